"""Stragglers: attempts that take so much longer than others at their station that they hang.

The logarithms of the finished visits (and of those under way, as far as they came) say how long
one may take: an attempt is only named when chance would not do that once in a million. Where visits
vary much by nature nothing is named: slow but healthy work is never ended.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import erfc, exp, log, pi, sqrt
from typing import Final

from factory.pace.drift import since_drift
from factory.pace.layout import AtWork
from factory.pace.values import Pace

COHORT: Final = 5
"""Finished visits below which nobody is judged."""
RATIO: Final = 3.0
"""An attempt must take at least so many times the middle of its cohort."""
Z: Final = 4.75
"""The normal distribution's quantile of one in a million."""
_SPREAD: Final = 0.1
"""The least standard deviation of a logarithm that is believed."""
_ROUNDS: Final = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Straggler:
    """An attempt that hangs, and the seconds beyond which its cohort says so."""

    at: AtWork
    middle: float
    bound: float


def stragglers(pace: Pace, at_work: Sequence[AtWork]) -> tuple[Straggler, ...]:
    """Give the attempts that take longer than their cohort allows."""
    return tuple(
        found
        for name, station in pace.stations.items()
        for found in _at(
            [visit.seconds for visit in since_drift(station.recent)],
            [at for at in at_work if at.station == name],
        )
    )


def _at(finished: Sequence[float], at_work: Sequence[AtWork]) -> Iterator[Straggler]:
    """Give those of one station; each is judged by the others, those under way included."""
    least = bound_of(finished) if at_work else None
    for at in at_work:
        if least is None or at.seconds <= least:
            continue  # others under way only raise the bound
        bound = bound_of(finished, [other.seconds for other in at_work if other is not at])
        if bound is not None and at.seconds > bound:
            middle = sorted(finished)[len(finished) // 2]
            yield Straggler(at=at, middle=middle, bound=bound)


def bound_of(finished: Sequence[float], running: Sequence[float] = ()) -> float | None:
    """Give the seconds that no healthy visit exceeds; None while too few have finished.

    Visits under way took longer than they have so far: each counts as what such a one takes on the
    average, found by going round until mean and spread agree with themselves.
    """
    if len(finished) < COHORT:
        return None
    known = [log(max(seconds, 1e-3)) for seconds in finished]
    mean, spread = _moments(known, [])
    longer = [log(seconds) for seconds in running if seconds > 0]
    longer = [x for x in longer if x > mean]  # what came less far than the middle tells nothing
    for _ in range(_ROUNDS if longer else 0):
        filled = [_beyond((x - mean) / spread) for x in longer]
        guesses = [(mean + spread * m, spread * spread * v) for m, v in filled]
        mean, spread = _moments(known, guesses)
    freedom = len(known) - 1
    reach = _quantile(freedom) * spread * sqrt(1 + 1 / len(known))
    middle = exp(mean)
    tail = max(0.0, *(x - mean for x in known))
    return max(RATIO * middle, exp(min(mean + reach, 50.0)), exp(min(mean + 2 * tail, 50.0)))


def _moments(known: Sequence[float], guesses: Sequence[tuple[float, float]]) -> tuple[float, float]:
    values = [*known, *(guess for guess, _ in guesses)]
    mean = sum(values) / len(values)
    square = sum((x - mean) ** 2 for x in values) + sum(extra for _, extra in guesses)
    return mean, max(_SPREAD, sqrt(square / max(1, len(values) - 1)))


def _beyond(z: float) -> tuple[float, float]:
    """Give mean and variance of a standard normal value that is known to lie above ``z``."""
    z = min(z, 8.0)
    density = exp(-z * z / 2) / sqrt(2 * pi)
    above = erfc(z / sqrt(2)) / 2
    hazard = density / above
    return hazard, max(0.0, 1 + z * hazard - hazard * hazard)


def _quantile(freedom: int) -> float:
    """Give Student's quantile of one in a million, closely."""
    near = ((8 * freedom + 3) / (8 * freedom + 1)) ** 2
    return sqrt(freedom * (exp(min(Z * Z * near / freedom, 60.0)) - 1))
