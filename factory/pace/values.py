"""What was measured of a run, as values: its stations, their visits, the moves between them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

START: Final = "<in>"
LANDED: Final = "<landed>"
LEFT: Final = "<left>"
PERSON: Final = "you"
PROVIDER: Final = "provider"
SPAWN: Final = "spawn"
GATE: Final = "gate"

Chance = Callable[[float], float]
"""Draws from a gamma distribution of this shape and scale 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One finished visit: what it took of a seat's seconds, and how many had landed by then."""

    seconds: float
    ships: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """A job went from one station to the next when so many had landed."""

    start: str
    end: str
    ships: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ship:
    """A landing: when, of the measured seconds, and how long the job had been under way."""

    at: float
    lead: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Seats that several stations share."""

    name: str
    members: tuple[str, ...]
    seats: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StationPace:
    """What one station did: seat-seconds that sum to seats x seconds of the run.

    ``waiting`` are seats that stood free while work for this station could not start (needs,
    overlaps, breakers, the line's own limit); ``queued`` are job-seconds in front of it. ``visits``
    and ``finished`` count jobs; a trial of several jobs counts for each of them. ``recent`` are
    the last finished visits; without them the sums stand for all. ``found`` counts the visits
    that found something to object to.
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
    recent: tuple[Visit, ...] = ()
    queue: int = 0
    """Jobs in front of it now."""
    dollars: float = 0.0
    found: int = 0

    @property
    def mean(self) -> float:
        """Give the mean seconds of a finished visit; 0 when none has finished."""
        return self.finished_busy / self.finished if self.finished else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """A run as measured: its stations, its moves between them, what landed, over how long.

    ``declared`` is one change's way down the line as it is set up, so that a cold start has a way
    to land; ``trail`` are the last moves. ``inside`` are the jobs begun and not ended now, ``wip``
    their mean over the run; ``fresh`` were not begun yet. ``passed`` of ``judged`` jobs were green
    at their first trial; ``ships`` are the last landings.
    """

    stations: Mapping[str, StationPace]
    moves: Mapping[tuple[str, str], float]
    landed: int
    placed: int
    seconds: float
    declared: Mapping[tuple[str, str], float] = field(default_factory=dict)
    trail: tuple[Move, ...] = ()
    pools: tuple[Pool, ...] = ()
    ships: tuple[Ship, ...] = ()
    inside: int = 0
    fresh: int = 0
    wip: float = 0.0
    passed: float = 0.0
    judged: float = 0.0
    window: int = 25
    """Landings that count in full; those before them half, and so on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """What limits the line: demand in minutes per landed change and the odds, by station.

    ``bound`` is the most changes an hour that demand allows, ``without`` the same if the
    constraint were none; 0 where nothing is known.
    """

    demand: Mapping[str, float]
    odds: Mapping[str, float]
    station: str | None
    """The station with the largest demand; None while it is too early to say."""
    bound: float = 0.0
    without: float = 0.0

    @property
    def headroom(self) -> Mapping[str, float]:
        """Give how many times its work each station could do before it were the constraint."""
        most = max(self.demand.values(), default=0.0)
        return {name: most / each for name, each in self.demand.items() if each > 0}
