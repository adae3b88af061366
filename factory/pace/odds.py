"""The odds: how sure it is which station is the constraint, by draws from what is known."""

from collections.abc import Iterator, Mapping
from typing import Final

from factory.pace.demand import Needs, crowded, needs
from factory.pace.values import Chance, Limit, Pace
from factory.pace.windows import Load, loads

ENOUGH: Final = 3
"""Landed changes below which no station is named as the constraint."""
DRAWS: Final = 400
_FEW: Final = 5


def limit(pace: Pace, chance: Chance) -> Limit:
    """Give demand and odds of every station that was visited, and the constraint, if it shows."""
    lately = loads(pace)
    needed = needs(pace, lately)
    demands = needed.demand()
    seen = {name: d for name, d in demands.items() if pace.stations[name].visits and d > 0}
    name, most = crowded(needed, seen)
    rest = {other: d for other, d in seen.items() if other != name}
    _, second = crowded(needed, rest)
    early = pace.landed < ENOUGH or not seen
    return Limit(
        demand=demands,
        odds=_odds(needed, seen, lately, chance),
        station=None if early else name,
        bound=60 / most if most > 0 else 0.0,
        without=60 / second if second > 0 else 0.0,
    )


def drawn(
    demands: Mapping[str, float], lately: Mapping[str, Load], chance: Chance, *, draws: int = DRAWS
) -> Iterator[Mapping[str, float]]:
    """Give demands as they may truly be, again and again: what few visits told varies most."""
    shapes = {name: samples(lately[name]) for name in demands}
    for _ in range(draws):
        yield {
            name: demands[name] * shape / max(chance(shape), 1e-12)
            for name, shape in shapes.items()
        }


def samples(known: Load) -> float:
    """Give how many samples of plain chance the finished visits are worth."""
    n = known.finished
    spread = 1.0
    if n >= _FEW and known.done > 0 and known.square > 0:
        mean = known.done / n
        variance = max(0.0, known.square / n - mean * mean) * n / (n - 1)
        spread = (variance / mean**2 * (n - 1) + 4) / (n + 3)
    return max((n + 0.5) / spread, 0.5)


def _odds(
    needed: Needs, seen: Mapping[str, float], lately: Mapping[str, Load], chance: Chance
) -> dict[str, float]:
    """Give the share of draws in which each station is the constraint."""
    wins = dict.fromkeys(seen, 0)
    for each in drawn(seen, lately, chance, draws=DRAWS if len(seen) > 1 else len(seen)):
        name, _ = crowded(needed, each)
        if name is not None:
            wins[name] += 1
    draws = sum(wins.values()) or 1
    return {name: won / draws for name, won in wins.items()}
