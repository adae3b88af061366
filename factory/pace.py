"""What limits the line: demand of each station, the odds, and one honest sentence about them.

Pure: what was measured and the chance for the draws are passed in. The measure is minutes of
station time per landed change (visits x mean time / workers); its largest value names the
constraint. It never says more than the data can tell.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import exp, log
from typing import Final

from factory.wording import count, span

ENOUGH: Final = 3
"""Landed changes below which no station is named as the constraint."""
SURE: Final = 0.6
"""The share of draws above which one station is named alone."""
DRAWS: Final = 400
ROUNDS: Final = 400
START: Final = "<in>"
LANDED: Final = "<landed>"
LEFT: Final = "<left>"
PERSON: Final = "you"
_FEW: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class StationPace:
    """What one station did: seat-seconds that sum to seats x seconds of the run.

    ``waiting`` are seats that stood free while work for this station could not start (needs,
    overlaps, breakers, the line's own limit); ``queued`` are job-seconds in front of it. ``visits``
    and ``finished`` count jobs; a trial of several jobs counts for each of them.
    """

    name: str
    kind: str
    seats: int
    required: bool
    busy: float
    waiting: float
    idle: float
    queued: float
    visits: int
    finished: int
    running: int
    square: float
    """Sum of the squares of the finished visits' seconds."""
    finished_busy: float
    each_seat: tuple[float, ...]
    """Busy seconds of every seat that was used, by the seat's number."""

    @property
    def mean(self) -> float:
        """Give the mean seconds of a finished visit; 0 when none has finished."""
        return self.finished_busy / self.finished if self.finished else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """A run as measured: its stations, its moves between them, what landed, over how long."""

    stations: Mapping[str, StationPace]
    moves: Mapping[tuple[str, str], float]
    landed: int
    placed: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """What limits the line: demand in minutes per landed change and the odds, by station."""

    demand: Mapping[str, float]
    odds: Mapping[str, float]
    station: str | None
    """The station with the largest demand; None while it is too early to say."""


Chance = Callable[[float], float]
"""Draws from a gamma distribution of this shape and scale 1."""


def limit(pace: Pace, chance: Chance) -> Limit:
    """Give demand and odds of every station that was visited, and the constraint, if it shows."""
    demands = demand(pace)
    seen = {name: d for name, d in demands.items() if pace.stations[name].visits and d > 0}
    early = pace.landed < ENOUGH or not seen
    station = None if early else max(seen, key=lambda name: seen[name])
    return Limit(demand=demands, odds=_odds(pace, seen, chance), station=station)


def demand(pace: Pace) -> dict[str, float]:
    """Give minutes of station time per landed change, running attempts included."""
    means = [max(s.mean / 60, 1e-3) for s in pace.stations.values() if s.finished]
    pooled = exp(sum(map(log, means)) / len(means)) if means else 1.0
    visits = visits_per_change(pace)
    return {
        name: visits.get(name, 0.0)
        * (s.busy / 60 + 0.5 * pooled)
        / (s.finished + 0.5)
        / max(1, s.seats)
        for name, s in pace.stations.items()
    }


def visits_per_change(pace: Pace) -> dict[str, float]:
    """Give how often each station is visited for one landed change, rework included."""
    leaving: dict[str, float] = {}
    for (start, _), times in pace.moves.items():
        leaving[start] = leaving.get(start, 0.0) + times
    chances = {move: times / leaving[move[0]] for move, times in pace.moves.items() if times}
    visits = {START: 1.0}
    for _ in range(ROUNDS):
        after = {START: 1.0}
        for (start, end), share in chances.items():
            after[end] = after.get(end, 0.0) + share * visits.get(start, 0.0)
        change = max(abs(after[name] - visits.get(name, 0.0)) for name in after)
        visits = after
        if change < 1e-6:  # noqa: PLR2004
            break
    landed = visits.get(LANDED, 0.0)
    return {name: times / landed for name, times in visits.items()} if landed > 0 else {}


def sentence(pace: Pace, limits: Limit, *, over: bool = False) -> str:
    """Give the one sentence on the constraint; it says so when there is too little to go by."""
    busiest = max(pace.stations.values(), key=lambda s: s.busy, default=None)
    landed = count(pace.landed, "job") + " landed"
    if limits.station is None:
        if busiest is None or busiest.busy <= 0:
            return f"too early to say what limits the line: {landed}, nothing has been busy yet"
        who = "people were waited for" if busiest.kind == PERSON else f"{busiest.name} was busy"
        used = len(busiest.each_seat)
        seats = f" over {used} seats" if used > 1 else ""
        long = f"{who} longest, {span(busiest.busy)}{seats}"
        return f"too early to say what limits the line: {landed}; {long}"
    name, most = limits.station, limits.demand[limits.station]
    odds = limits.odds.get(name, 0.0)
    bound = f"at most {_rate(most)} changes/h"
    if odds < SURE:
        ranked = sorted(limits.odds, key=lambda n: limits.odds[n], reverse=True)[:2]
        rivals = ", ".join(f"{n} P {limits.odds[n]:.2f}" for n in ranked)
        verb = "limited" if over else "limits"
        return f"no station clearly {verb} the line: {rivals}; {bound} ({landed})"
    others = [d for n, d in limits.demand.items() if n != name and n in limits.odds]
    without = f"; without it {_rate(max(others))}/h" if others else ""
    if pace.stations[name].kind == PERSON:
        verb = "limited" if over else "limit"
        return f"you {verb} the line (factory inbox): {bound}, P {odds:.2f}{without} ({landed})"
    verb = "limited" if over else "limits"
    return f"{name} {verb} the line: {bound}, P {odds:.2f}{without} ({landed})"


def _odds(pace: Pace, seen: Mapping[str, float], chance: Chance) -> dict[str, float]:
    """Give the share of draws in which each station is the constraint."""
    shapes = {name: _samples(pace.stations[name]) for name in seen}
    wins = dict.fromkeys(seen, 0)
    for _ in range(DRAWS if len(seen) > 1 else min(1, len(seen))):
        drawn = {n: seen[n] * shapes[n] / max(chance(shapes[n]), 1e-12) for n in seen}
        wins[max(drawn, key=lambda n: drawn[n])] += 1
    draws = sum(wins.values()) or 1
    return {name: won / draws for name, won in wins.items()}


def _samples(station: StationPace) -> float:
    """Give how many samples of plain chance the finished visits are worth."""
    n, mean = station.finished, station.mean
    spread = 1.0
    if n >= _FEW and mean > 0 and station.square > 0:
        variance = max(0.0, station.square / n - mean * mean) * n / (n - 1)
        spread = (variance / mean**2 * (n - 1) + 4) / (n + 3)
    return max((n + 0.5) / spread, 0.5)


def _rate(minutes: float) -> str:
    rate = 60 / minutes
    return f"{rate:,.0f}" if rate >= 100 else f"{rate:.1f}"  # noqa: PLR2004
