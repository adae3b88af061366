"""The line's vocabulary: its rules, where a job can be, what happens to it, what is to be done.

Places, events and actions are unions of small frozen values; data lives in the variant that needs
it. Events are what the ledger keeps, so a field is added with a default and never changed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from factory.changes import Change, Inputs, Option, Order
from stations.contract import (
    Assignment,
    Budget,
    Compose,
    Composed,
    Job,
    Kind,
    Outcome,
    StationSpec,
    Trial,
    Verdict,
)
from worktrees.names import JobId, Oid, RunId, StationName


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenHours:
    """When people answer, each day: seconds after midnight, at ``offset`` seconds east of UTC.

    ``begin`` after ``end`` means over midnight.
    """

    begin: int
    end: int
    offset: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How a line is set up. ``hash`` covers everything that decides what may land.

    ``repair`` is the cleanup station that gets red work. Times are seconds. ``wip`` bounds the
    jobs that are begun and not ended; a ``sampled`` station sees one piece of work in so many, a
    ``retired`` one none. ``configured`` is the hash without those two, empty when it is the same.
    """

    stations: tuple[StationSpec, ...]
    seats: int
    slots: int
    hash: str
    repair: StationName | None = None
    budget: Budget = field(default_factory=Budget)
    backoff_first: float = 2.0
    backoff_cap: float = 60.0
    breaker_after: int = 5
    breaker_rest: float = 60.0
    wip: int | None = None
    orders: Mapping[StationName, Order] = field(default_factory=dict)
    sampled: Mapping[StationName, int] = field(default_factory=dict)
    retired: tuple[StationName, ...] = ()
    configured: str = ""
    open_hours: OpenHours | None = None

    def station(self, name: str) -> StationSpec:
        """Give the station of that name; KeyError when there is none."""
        for spec in self.stations:
            if spec.name == name:
                return spec
        raise KeyError(name)

    @property
    def review(self) -> StationSpec | None:
        """Give the station that reads finished work before the gate tests it: the first one."""
        return next((spec for spec in self.stations if spec.kind is Kind.REVIEW), None)

    @property
    def tests(self) -> tuple[StationSpec, ...]:
        """Give the test stations, in their order."""
        return tuple(spec for spec in self.stations if spec.kind is Kind.TEST)


class Reason(StrEnum):
    """Why a line closes before its jobs are settled; where several hold, the first of them."""

    INTERRUPTED = "interrupted"
    ENVIRONMENT = "environment"
    LIMITED = "limited"
    BUDGET = "budget"
    TARGET = "target"

    def outranks(self, other: "Reason") -> bool:
        """Say whether this is the reason to name when both hold."""
        order = list(Reason)
        return order.index(self) < order.index(other)


# --- where a job can be -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """Waits for its needs, a seat, or an overlapping job ahead of it."""

    kind: Literal["waiting"] = "waiting"


@dataclass(frozen=True, slots=True, kw_only=True)
class Working:
    """An attempt is under way in the workspace ``serial``."""

    station: StationName
    serial: int
    kind: Literal["working"] = "working"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resting:
    """Will be tried again at ``until``; ``limited``: a provider told us to wait."""

    until: float
    why: str
    limited: bool = False
    kind: Literal["resting"] = "resting"


@dataclass(frozen=True, slots=True, kw_only=True)
class InGate:
    """Its work is durable and on its way through the gate."""

    commit: Oid
    kind: Literal["gate"] = "gate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Landed:
    """Its work is in the target's history."""

    commit: Oid
    tree: Oid
    kind: Literal["landed"] = "landed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposed:
    """Its work stands in a pull request; ``commit`` is its landing on the run's own target."""

    pull: str
    commit: Oid
    tree: Oid
    kind: Literal["proposed"] = "proposed"


@dataclass(frozen=True, slots=True, kw_only=True)
class NeedsYou:
    """A person is asked; with a ``commit`` a yes sends the work to the gate."""

    question: str
    wants: tuple[str, ...] = ()
    commit: Oid | None = None
    kind: Literal["needs-you"] = "needs-you"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dead:
    """Gave up; ``fault`` says why in one line and ``tail`` shows the end of what failed."""

    fault: str
    tail: str = ""
    kind: Literal["dead"] = "dead"


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawn:
    """Ended without a change; ``met`` says whether jobs that need it may go on."""

    why: str
    met: bool
    kind: Literal["withdrawn"] = "withdrawn"


Place = Waiting | Working | Resting | InGate | Landed | Proposed | NeedsYou | Dead | Withdrawn
Settled = Landed | Proposed | Dead | Withdrawn
"""The places at which a job has ended."""


# --- what happens -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A run began: its base commit, its target ref, its rules.

    ``options`` are the command line's, so that a resume sees the same settings. ``onto`` is the
    forge's branch that pull requests of this run ask to be merged into, empty without any.
    ``config`` is the hash by which the configuration is kept, empty without a factory.toml.
    """

    run: RunId
    base: Oid
    target: str
    deliver: str
    rules: Rules
    options: Mapping[str, str] = field(default_factory=dict)
    promise: str = ""
    onto: str = ""
    config: str = ""
    kind: Literal["opened"] = "opened"


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """Jobs entered the line."""

    jobs: tuple[Job, ...]
    kind: Literal["placed"] = "placed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A job was placed and at once withdrawn (a near-duplicate)."""

    job: JobId
    why: str
    kind: Literal["refused"] = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """The floor is about to give an attempt to the crew: the intent, with its workspace's name."""

    job: JobId
    station: StationName
    attempt: int
    serial: int
    base: Oid
    kind: Literal["started"] = "started"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """An attempt ended."""

    job: JobId
    attempt: int
    outcome: Outcome
    kind: Literal["finished"] = "finished"


@dataclass(frozen=True, slots=True, kw_only=True)
class GateComposed:
    """A trial's tree was made; ``known`` is the verdict already on record for that tree and key."""

    composed: Composed
    known: Verdict | None = None
    kind: Literal["gate-composed"] = "gate-composed"


@dataclass(frozen=True, slots=True, kw_only=True)
class GateTried:
    """A trial's verdict; ``external`` is the durable id of one that came from outside."""

    trial: int
    verdict: Verdict
    external: str = ""
    kind: Literal["gate-tried"] = "gate-tried"


@dataclass(frozen=True, slots=True, kw_only=True)
class GateAwaits:
    """A trial's verdict will come from outside, under this durable id.

    ``notes`` tell of optional checks that ran here before.
    """

    trial: int
    external: str
    notes: tuple[str, ...] = ()
    kind: Literal["gate-awaits"] = "gate-awaits"

    @property
    def place(self) -> str:
        """Name what the verdict is awaited of: the id without what only machines read."""
        return self.external.partition("@")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Landing:
    """The floor is about to move the target: the intent."""

    trial: int
    jobs: tuple[JobId, ...]
    commit: Oid
    tree: Oid
    old: Oid
    line: str = ""
    kind: Literal["landing"] = "landing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Advanced:
    """The target moved to ``commit`` and these jobs are in it.

    ``line`` is the hash of the line whose evidence that rests on.
    """

    trial: int
    jobs: tuple[JobId, ...]
    commit: Oid
    tree: Oid
    line: str = ""
    kind: Literal["advanced"] = "advanced"


@dataclass(frozen=True, slots=True, kw_only=True)
class Missed:
    """The swap found the target elsewhere; ``tip`` is where it stands."""

    trial: int
    tip: Oid
    kind: Literal["missed"] = "missed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """Somebody else moved the target."""

    tip: Oid
    kind: Literal["moved"] = "moved"


@dataclass(frozen=True, slots=True, kw_only=True)
class Steered:
    """A person told a job something, or answered its question."""

    job: JobId
    text: str
    kind: Literal["steered"] = "steered"


@dataclass(frozen=True, slots=True, kw_only=True)
class Killed:
    """A person took a job off the line; its work is kept."""

    job: JobId
    kind: Literal["killed"] = "killed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Retried:
    """A person put a dead or withdrawn job back on the line."""

    job: JobId
    kind: Literal["retried"] = "retried"


@dataclass(frozen=True, slots=True, kw_only=True)
class Paused:
    """A person paused the line (``on``), or let it go on."""

    on: bool
    kind: Literal["paused"] = "paused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """Somebody decided to change the line, or only suggested it (not ``applied``).

    ``options`` are all that were open, ``back`` is the change that takes this one back.
    """

    number: int
    by: str
    applied: bool
    chosen: Option
    inputs: Inputs
    options: tuple[Option, ...] = ()
    back: Change | None = None
    kind: Literal["decided"] = "decided"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What a decision has done, at the end of its probation."""

    number: int
    after: Inputs
    effect: Literal["better", "worse", "even"]
    why: str
    kind: Literal["measured"] = "measured"


@dataclass(frozen=True, slots=True, kw_only=True)
class Undone:
    """A decision was taken back."""

    number: int
    by: str
    why: str
    ships: int = 0
    """How many had landed by then."""
    kind: Literal["undone"] = "undone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Closing:
    """The line starts nothing more and lets what runs finish; resumable.

    With ``lands`` the gate stays open for work that is durable: to test and land it costs nothing
    of what has run out.
    """

    reason: Reason
    why: str
    lands: bool = False
    kind: Literal["closing"] = "closing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumed:
    """A new process took the run over; workspaces are numbered from ``serial`` on.

    ``budget`` is the run's from here on; None leaves it as it was.
    """

    serial: int
    tip: Oid
    budget: Budget | None = None
    kind: Literal["resumed"] = "resumed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Woke:
    """Time passed: something that rested may go on."""

    kind: Literal["woke"] = "woke"


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted:
    """Something worth knowing that moves no job: what the janitor did, a preflight, a warning."""

    what: str
    text: str
    job: JobId | None = None
    kind: Literal["noted"] = "noted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reproduced:
    """What became of showing that a job's change cures what one of its issues tells of.

    ``shown``: its ``test`` is red on the ``base`` of the run, for the reason that ``failure``
    holds, and green on the ``tree`` that landed, every time; ``why`` says so, or what is missing.
    ``already``: the test passes on the base too, so that there was nothing to cure.
    """

    job: JobId
    base: Oid
    tree: Oid
    shown: bool
    why: str
    issue: int = 0
    test: str = ""
    failure: str = ""
    already: bool = False
    kind: Literal["reproduced"] = "reproduced"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivering:
    """A branch of the forge is to hold ``commit``, and a pull request to offer it: the intent.

    ``branch`` and ``base`` are branches of the forge, without ``refs/heads/``.
    """

    key: str
    jobs: tuple[JobId, ...]
    branch: str
    commit: Oid
    base: str
    kind: Literal["delivering"] = "delivering"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """These jobs stand in a pull request, at this address."""

    key: str
    jobs: tuple[JobId, ...]
    branch: str
    base: str
    commit: Oid
    number: int
    pull: str
    operation: str
    kind: Literal["delivered"] = "delivered"


@dataclass(frozen=True, slots=True, kw_only=True)
class Undelivered:
    """Work that landed on the run's own target could not be proposed; a resume tries again.

    ``key`` is empty when it concerns all of them; ``code`` is the exit code it stands for.
    """

    key: str
    why: str
    code: int
    kind: Literal["undelivered"] = "undelivered"


@dataclass(frozen=True, slots=True, kw_only=True)
class PullMerged:
    """A pull request of the run was merged on the forge, as ``commit``, which its base holds."""

    key: str
    jobs: tuple[JobId, ...]
    commit: Oid
    tree: Oid
    kind: Literal["pull-merged"] = "pull-merged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """The process left the run in an orderly way; ``exit`` is its exit code."""

    exit: int
    kind: Literal["closed"] = "closed"


Event = (
    Opened
    | Placed
    | Refused
    | Started
    | Finished
    | GateComposed
    | GateTried
    | GateAwaits
    | Landing
    | Advanced
    | Missed
    | Moved
    | Steered
    | Killed
    | Retried
    | Paused
    | Decided
    | Measured
    | Undone
    | Closing
    | Resumed
    | Woke
    | Noted
    | Reproduced
    | Delivering
    | Delivered
    | Undelivered
    | PullMerged
    | Closed
)


# --- what is to be done -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Give this assignment to the crew."""

    assignment: Assignment


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """End this attempt now; whatever it saved is kept."""

    job: JobId
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tell:
    """Tell this attempt something while it is under way."""

    job: JobId
    attempt: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Put something worth knowing about a job on record, as ``Noted``."""

    what: str
    text: str
    job: JobId


@dataclass(frozen=True, slots=True, kw_only=True)
class WakeAt:
    """Send ``Woke`` at this time at the latest."""

    when: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ComposeTree:
    """Make the tree of this trial."""

    task: Compose


@dataclass(frozen=True, slots=True, kw_only=True)
class TestTree:
    """Run the checks of this trial."""

    __test__ = False
    task: Trial


@dataclass(frozen=True, slots=True, kw_only=True)
class AwaitVerdict:
    """Ask outside for the verdict on this trial, under the durable id ``external``."""

    task: Trial
    external: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelTrial:
    """End this trial now; its verdict is not wanted any more."""

    trial: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Land:
    """Move the target to exactly ``tree``, holding these jobs' commits; answer before all else."""

    trial: int
    base: Oid
    tree: Oid
    branches: tuple[tuple[JobId, Oid], ...]
    title: str = ""
    checked: tuple[str, ...] = ()
    line: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Salvage:
    """Keep this work of a job reachable: it will not land as it is."""

    job: JobId
    commit: Oid


Action = (
    Start
    | Stop
    | Tell
    | Note
    | WakeAt
    | ComposeTree
    | TestTree
    | AwaitVerdict
    | CancelTrial
    | Land
    | Salvage
)
