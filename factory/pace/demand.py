"""Demand: the minutes of station time that the line needs for one landed change.

Visits per change x mean time of a visit / workers. It needs counts and busy times only. Stations
that share seats (all agents share the line's, gate and tests the slots) also make up a pool, whose
demand is that of its members together.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import exp, log
from typing import Final

from factory.pace.values import LANDED, SPAWN, START, Pace, Pool
from factory.pace.windows import Load, loads, moves

ROUNDS: Final = 400
_CLOSE: Final = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What one landed change needs: minutes of work and seats by station, visits, the pools."""

    minutes: Mapping[str, float]
    seats: Mapping[str, int]
    visits: Mapping[str, float]
    pools: tuple[Pool, ...]

    def demand(self) -> dict[str, float]:
        """Give minutes of station time per change, by station."""
        return {name: each / max(1, self.seats[name]) for name, each in self.minutes.items()}


def needs(pace: Pace, lately: Mapping[str, Load] | None = None) -> Needs:
    """Give what one landed change needs of every station, running attempts included."""
    known = loads(pace) if lately is None else lately
    means = [max(each.done / each.finished / 60, 1e-3) for each in known.values() if each.finished]
    pooled = exp(sum(map(log, means)) / len(means)) if means else 1.0
    visits = visits_per_change(pace)
    minutes = {
        name: visits.get(name, 0.0) * (each.busy / 60 + 0.5 * pooled) / (each.finished + 0.5)
        for name, each in known.items()
    }
    seats = {name: station.seats for name, station in pace.stations.items()}
    return Needs(minutes=minutes, seats=seats, visits=visits, pools=pace.pools)


def demand(pace: Pace) -> dict[str, float]:
    """Give minutes of station time per landed change, running attempts included."""
    return needs(pace).demand()


def visits_per_change(pace: Pace) -> dict[str, float]:
    """Give how often each station is visited for one landed change, rework included."""
    leaving: dict[str, float] = {}
    counted = moves(pace)
    for (start, _), times in counted.items():
        leaving[start] = leaving.get(start, 0.0) + times
    chances = {move: times / leaving[move[0]] for move, times in counted.items() if times}
    visits = {START: 1.0}
    for _ in range(ROUNDS):
        after = {START: 1.0}
        for (start, end), share in chances.items():
            after[end] = after.get(end, 0.0) + share * visits.get(start, 0.0)
        change = max(abs(after[name] - visits.get(name, 0.0)) for name in after)
        visits = after
        if change < _CLOSE:
            break
    landed = visits.get(LANDED, 0.0)
    found = {name: times / landed for name, times in visits.items()} if landed > 0 else {}
    if SPAWN in pace.stations:  # every attempt begins with one, so it is on no way of its own
        members = (member for pool in pace.pools[:1] for member in pool.members)
        found[SPAWN] = sum(found.get(member, 0.0) for member in members)
    return found


def crowded(needed: Needs, demands: Mapping[str, float]) -> tuple[str | None, float]:
    """Give the station that limits the line and the demand that does: its own or its pool's."""
    if not demands:
        return None, 0.0
    name = max(demands, key=lambda each: demands[each])
    most = demands[name]
    for pool in needed.pools:
        members = [member for member in pool.members if member in demands]
        if not members or pool.seats < 1:
            continue
        work = {member: demands[member] * max(1, needed.seats[member]) for member in members}
        together = sum(work.values()) / pool.seats
        if together > most:
            name, most = max(members, key=lambda each: work[each]), together
    return name, most
