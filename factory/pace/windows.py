"""Windows: the last 25 landings count in full, the 25 before them half, and so on.

What is decided must hold over all that is known, too: `whole` gives that.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from factory.pace.drift import since_drift
from factory.pace.values import Pace, StationPace

KEPT: Final = 400
"""Visits and moves of one station that are kept: what is older weighs next to nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What a station did lately, older work at less weight: visits, seconds and their squares.

    ``busy`` holds what is under way too, which has not finished: so a hung attempt raises it.
    """

    finished: float
    busy: float
    done: float
    square: float


def weight(age: int, window: int) -> float:
    """Give what something counts that happened so many landings ago."""
    return float(0.5 ** (max(0, age) // window))


def whole(pace: Pace) -> Pace:
    """Give a run in which all that was kept counts in full."""
    return replace(pace, window=max(pace.window, pace.landed + 1))


def load(station: StationPace, landed: int, window: int) -> Load:
    """Give a station's work of late; all of it where its visits were not kept."""
    running = max(0.0, station.busy - station.finished_busy)
    if not station.recent:
        return Load(
            finished=station.finished,
            busy=station.busy,
            done=station.finished_busy,
            square=station.square,
        )
    visits = since_drift(station.recent)
    weighed = [(weight(landed - visit.ships, window), visit.seconds) for visit in visits]
    done = sum(w * seconds for w, seconds in weighed)
    return Load(
        finished=sum(w for w, _ in weighed),
        busy=done + running,
        done=done,
        square=sum(w * seconds * seconds for w, seconds in weighed),
    )


def loads(pace: Pace) -> dict[str, Load]:
    """Give every station's work of late."""
    return {
        name: load(station, pace.landed, pace.window) for name, station in pace.stations.items()
    }


def moves(pace: Pace) -> Mapping[tuple[str, str], float]:
    """Give the moves of late, with the declared way as a beginning; all where none were kept."""
    if not pace.trail:
        return pace.moves
    found = dict(pace.declared)
    for move in pace.trail:
        key = (move.start, move.end)
        found[key] = found.get(key, 0.0) + weight(pace.landed - move.ships, pace.window)
    return found
