"""What a line may change about itself, what that is expected to do, and why: plain values.

A change is data: the pace proposes it, a person or the loop decides on it, the line applies it, and
the change that takes it back is kept beside it. `Advice` changes nothing: it is for a person.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from worktrees.names import JobId, StationName


class Order(StrEnum):
    """Who starts first at a station where several wait: as they came, or one of these."""

    ARRIVAL = "arrival"
    OLDEST = "oldest"
    SHORTEST = "shortest"


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitWip:
    """At most so many jobs are begun and not ended at once; None sets no limit."""

    wip: int | None
    kind: Literal["wip"] = "wip"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reorder:
    """Waiting work starts at a station in this order."""

    station: StationName
    order: Order
    kind: Literal["order"] = "order"


@dataclass(frozen=True, slots=True, kw_only=True)
class Replace:
    """An attempt is ended, its work kept, and its job tried again by another seat."""

    job: JobId
    attempt: int
    kind: Literal["replace"] = "replace"


@dataclass(frozen=True, slots=True, kw_only=True)
class SetSeats:
    """A station, or the whole line without one, has so many seats."""

    seats: int
    station: StationName | None = None
    kind: Literal["seats"] = "seats"


@dataclass(frozen=True, slots=True, kw_only=True)
class SetSlots:
    """The gate tests so many trees at once."""

    slots: int
    kind: Literal["slots"] = "slots"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """An optional station sees one piece of work in so many; 1 lets it see all again."""

    station: StationName
    every: int
    kind: Literal["sample"] = "sample"


@dataclass(frozen=True, slots=True, kw_only=True)
class Retire:
    """An optional station takes no more work."""

    station: StationName
    kind: Literal["retire"] = "retire"


@dataclass(frozen=True, slots=True, kw_only=True)
class Restore:
    """A station that was retired takes work again."""

    station: StationName
    kind: Literal["restore"] = "restore"


Topic = Literal["batch", "tier", "split", "provider", "person"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """What only a person can change; ``key`` is what would be written into factory.toml."""

    topic: Topic
    station: str
    key: str = ""
    kind: Literal["advice"] = "advice"


Change = LimitWip | Reorder | Replace | SetSeats | SetSlots | Sample | Retire | Restore | Advice


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """A figure with its doubt: a tenth of the draws lies below ``low``, a tenth above ``high``."""

    low: float
    mid: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """What a change is expected to do: changes per hour, seconds of lead, dollars a change.

    ``gain`` is the new rate as a share of the old one, ``sooner`` the old lead as a share of the
    new one: above 1 is better. Dollars are None where nobody knows what the work costs.
    """

    rate: Range
    lead: Range
    dollars: Range | None
    gain: Range
    sooner: Range


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One thing that could be done about the constraint.

    ``name`` is what a person types to have it; ``alone`` says that the loop may take it by itself.
    """

    name: str
    change: Change
    why: str
    alone: bool
    prediction: Prediction | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """What was known when a decision was made, or when its effect was measured.

    ``rate`` is in changes per hour as seen over ``ships`` landings, ``bound`` what demand allows;
    ``passed`` of ``judged`` jobs were green at their first trial; leads are seconds.
    """

    ships: int
    rate: float
    seen: int
    bound: float
    lead: float
    passed: float
    judged: float
    inside: int = 0
    """Jobs that were under way: what they do still tells of the line as it was."""
    station: str | None = None
    demand: Mapping[str, float] = field(default_factory=dict)
    odds: Mapping[str, float] = field(default_factory=dict)
