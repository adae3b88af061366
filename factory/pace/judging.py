"""What a change has done: the rate before and after it, with the doubt that few landings leave.

What is under way when a change is made still tells of the line as it was: so many landings pass
before any counts (the cool-down). Then 10 to 20 decide (the probation).
"""

from dataclasses import dataclass
from typing import Final, Literal

from factory.changes import Inputs, LimitWip, Reorder
from factory.events import Decided
from factory.pace.odds import limit
from factory.pace.takt import median_lead, seen_rate
from factory.pace.values import Chance, Limit, Pace

DRAWS: Final = 400
SOON: Final = 10
"""Landings after the cool-down before a change is judged at all."""
LATE: Final = 20
"""Landings after which it is judged for good."""
COOL: Final = 10
"""The shortest cool-down."""
SURELY: Final = 0.9
YIELD: Final = 0.05
"""The share of first trials that may turn red more than before."""

Effect = Literal["better", "worse", "even"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What a change came to, and why; ``after`` is what was measured."""

    effect: Effect
    why: str
    after: Inputs


def inputs(
    pace: Pace, limits: Limit, *, after: int = 0, judged: float = 0, passed: float = 0
) -> Inputs:
    """Give what is known now; of landings and first trials only those since a decision."""
    rate, seen = seen_rate(pace, after=after)
    return Inputs(
        ships=pace.landed,
        rate=rate,
        seen=seen,
        bound=limits.bound,
        lead=median_lead(pace, after=after),
        passed=pace.passed - passed,
        judged=pace.judged - judged,
        inside=pace.inside,
        station=limits.station,
        demand=dict(limits.demand),
        odds=dict(limits.odds),
    )


def cooled(known: Inputs) -> int:
    """Give the landing from which on a line tells of itself after a change."""
    return known.ships + max(COOL, known.inside)


def judge(decided: Decided, pace: Pace, chance: Chance) -> Judged | None:
    """Say what a decision has done; None while it is too early."""
    before = decided.inputs
    ships = pace.landed - cooled(before)
    if ships < SOON:
        return None
    limits = limit(pace, chance)
    after = inputs(pace, limits, after=cooled(before), judged=before.judged, passed=before.passed)
    said = f"{before.rate:.1f} -> {after.rate:.1f} changes/h over {after.seen} landings"
    if _fell(before, after, chance):
        return Judged(effect="worse", why="fewer first trials are green than before", after=after)
    faster = _faster(before, after, chance)
    leads = isinstance(decided.chosen.change, LimitWip | Reorder)
    if faster < 1 - SURELY:
        return Judged(effect="worse", why=f"slower: {said}", after=after)
    if faster > SURELY and not leads:
        return Judged(effect="better", why=f"faster: {said}", after=after)
    if ships < LATE:
        return None
    if leads:
        shorter = after.lead < before.lead
        why = f"median lead {before.lead:.0f} s -> {after.lead:.0f} s, no slower"
        return Judged(effect="better" if shorter else "even", why=why, after=after)
    # So few landings cannot show a tenth; the demand of every station, known far better, can.
    wider = after.bound > before.bound
    effect: Effect = "even" if wider or faster > 0.5 else "worse"  # noqa: PLR2004
    bounds = f"the bound {before.bound:.1f} -> {after.bound:.1f}/h"
    return Judged(effect=effect, why=f"not surely faster: {said}, {bounds}", after=after)


def _faster(before: Inputs, after: Inputs, chance: Chance) -> float:
    """Give how likely the true rate is higher than it was."""
    if not before.seen or not after.seen:
        return 0.5
    wins = 0
    for _ in range(DRAWS):
        old = before.rate * chance(before.seen) / before.seen
        new = after.rate * chance(after.seen) / after.seen
        wins += new > old
    return wins / DRAWS


def _fell(before: Inputs, after: Inputs, chance: Chance) -> bool:
    """Say whether first trials are surely red more often than before."""
    if not before.judged or not after.judged:
        return False
    fell = 0
    for _ in range(DRAWS):
        fell += _share(after, chance) < _share(before, chance) - YIELD
    return fell / DRAWS > SURELY


def _share(known: Inputs, chance: Chance) -> float:
    green = chance(known.passed + 1)
    return green / (green + chance(known.judged - known.passed + 1))
