"""Drift: a station that has become faster or slower is judged by what came after.

Every place in the last visits is tried as the moment of the change; the one at which the logarithms
of the seconds before and after differ most decides, if that is far beyond what chance would do.
"""

from collections.abc import Sequence
from itertools import accumulate
from math import log, sqrt
from typing import Final

from factory.pace.values import Visit

BEYOND: Final = 5.0
"""Standard errors by which before and after must differ; a search over many places needs so many.
"""
_BEFORE: Final = 6
_AFTER: Final = 5
_SPREAD: Final = 0.01
"""The least variance of a logarithm that is believed."""


def since_drift(visits: Sequence[Visit]) -> Sequence[Visit]:
    """Give the visits since the station last changed its speed; all of them when it did not."""
    place = drifted(visits)
    return visits if place is None else visits[place:]


def drifted(visits: Sequence[Visit]) -> int | None:
    """Give the place of the first visit at the new speed; None when there is one speed only."""
    if len(visits) < _BEFORE + _AFTER:
        return None
    logs = [log(max(visit.seconds, 1e-3)) for visit in visits]
    sums = list(accumulate(logs, initial=0.0))
    squares = list(accumulate((x * x for x in logs), initial=0.0))
    best, where = 0.0, 0
    for place in range(_BEFORE, len(logs) - _AFTER + 1):
        apart = _apart(sums, squares, place)
        if apart > best:
            best, where = apart, place
    return where if best > BEYOND else None


def _apart(sums: Sequence[float], squares: Sequence[float], place: int) -> float:
    """Give by how many standard errors the means before and after a place differ."""
    count = len(sums) - 1
    one, two = place, count - place
    early, late = sums[place] / one, (sums[-1] - sums[place]) / two
    rest = squares[-1] - one * early * early - two * late * late
    variance = max(_SPREAD, rest / max(1, count - 2))
    return abs(late - early) / sqrt(variance * (1 / one + 1 / two))
