"""The contract between the line and whoever works: plain frozen values, and the station protocol.

Everything here is picklable and knows no file, clock or process, so that a seat may be a thread
on this machine or a worker on another one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Literal, Protocol

from worktrees.names import JobId, Oid, RunId, StationName
from worktrees.scope import Scope

Argv = tuple[str, ...]
"""A command as its list of words; never a shell line."""


class Kind(StrEnum):
    """What kind of work a station does."""

    CODE = "code"
    COMMAND = "command"
    TEST = "test"
    CLEANUP = "cleanup"
    REVIEW = "review"
    READ = "read"


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """Which runtime works a station; ``run`` is the program of the ``command`` runtime."""

    runtime: str
    run: Argv = ()
    model: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What may be spent; None means no limit of that kind."""

    tokens: int | None = None
    dollars: Decimal | None = None
    seconds: float | None = None
    attempts: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StationSpec:
    """One station as configured. Times are seconds; ``when`` are gitignore-style globs.

    ``on`` maps an outcome (failed, strayed, escalated, unchanged, red, conflict) to the name of
    another station, to ``inbox`` or to ``dead``.
    """

    name: StationName
    kind: Kind
    scope: Scope
    agent: Agent | None = None
    run: Argv = ()
    commands: tuple[Argv, ...] = ()
    seats: int = 0
    """At most this many at once; 0 means as many as the line has."""
    batch: int = 1
    """So many small assignments in a row may share one session of a model."""
    budget: Budget = field(default_factory=Budget)
    timeout: float = 1200.0
    idle: float = 0.0
    """Seconds without output after which an attempt is ended; 0 means never."""
    attempts: int = 3
    rounds: int = 2
    required: bool = True
    when: tuple[str, ...] = ()
    at_merge: bool = False
    symlinks: bool = False
    on: Mapping[str, str] = field(default_factory=dict)
    checks: tuple[str, ...] = ()
    """The forge's checks whose verdict is this test station's; it then runs nothing here."""

    def check(self) -> "Check":
        """Give what a tree must pass at this test station."""
        return Check(
            owner=self.name,
            run=self.run,
            required=self.required,
            timeout=self.timeout,
            idle=self.idle,
            checks=self.checks,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Spend:
    """What was spent: tokens in, out and cached, dollars (None when unknown), wall seconds."""

    tokens_in: int = 0
    tokens_out: int = 0
    tokens_cached: int = 0
    dollars: Decimal | None = Decimal(0)
    seconds: float = 0.0

    def __add__(self, other: "Spend") -> "Spend":
        """Give the sum; unknown dollars stay unknown."""
        known = self.dollars is not None and other.dollars is not None
        return Spend(
            tokens_in=self.tokens_in + other.tokens_in,
            tokens_out=self.tokens_out + other.tokens_out,
            tokens_cached=self.tokens_cached + other.tokens_cached,
            dollars=(self.dollars or Decimal(0)) + (other.dollars or Decimal(0)) if known else None,
            seconds=self.seconds + other.seconds,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """An issue that a job is to cure; ``seen`` is the mark of how it was when it was read.

    ``test`` names the test that is to show the cure and ``command`` runs it; without them the
    tests that the job's change brings are taken for it.
    """

    number: int
    seen: str = ""
    test: str = ""
    command: Argv = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One requested change. ``route`` names the station that takes it first.

    ``scope`` is the effective one: the job's own, else its station's. ``issues`` are the issues of
    the forge that it came from.
    """

    id: JobId
    title: str
    brief: str
    scope: Scope
    route: StationName
    needs: tuple[JobId, ...] = ()
    accept: tuple[Argv, ...] = ()
    budget: Budget = field(default_factory=Budget)
    source: str = "text"
    depth: int = 0
    issues: tuple[Wanted, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Brief:
    """What an agent is told. ``failure`` is the failing tail on a repair, or names denied paths."""

    title: str
    text: str
    failure: str = ""
    found: Mapping[JobId, str] = field(default_factory=dict)
    told: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """One attempt of one job at one station: all that a seat needs.

    ``base`` is the commit the attempt starts from, ``judged_from`` the one its cumulative change
    is judged against, ``serial`` names its workspace, ``seconds`` is its deadline. ``raised`` says
    how many tiers above its station's own it is to be tried; ``budget`` is the whole job's;
    ``wrote`` is the attempt whose work ``base`` is, 0 when it is none of this job's.
    """

    run: RunId
    job: JobId
    station: StationName
    attempt: int
    serial: int
    base: Oid
    judged_from: Oid
    scope: Scope
    brief: Brief
    seconds: float
    idle: float
    line: str
    raised: int = 0
    wrote: int = 0
    depth: int = 0
    accept: tuple[Argv, ...] = ()
    budget: Budget = field(default_factory=Budget)


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """The work is durable as ``commit``; worth testing, not yet correct."""

    commit: Oid
    spend: Spend = field(default_factory=Spend)
    note: str = ""
    kind: Literal["done"] = "done"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The attempt failed; ``tail`` holds its last lines.

    ``environment`` says that the machine and not the work was at fault (sandbox, disk, git),
    ``interrupted`` that whoever ran it stopped it or died. ``cause`` says more where a model
    was at work: a ``budget`` is spent (``account`` names whose: job, station, run or day), the
    provider has ``denied`` a call for good, it ``limited`` us for longer than we wait, or the
    agent broke its ``contract``; ``full`` is the disk, on which nothing can be kept any more.
    """

    fault: str
    retryable: bool = False
    environment: bool = False
    interrupted: bool = False
    tail: str = ""
    cause: Literal["", "budget", "denied", "limited", "contract", "full"] = ""
    account: str = ""
    spend: Spend = field(default_factory=Spend)
    kind: Literal["failed"] = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Strayed:
    """The change was refused by the tree policy; each reason names its path.

    ``commit`` is where the refused work was kept for a person to look at, if it could be kept.
    """

    paths: tuple[str, ...]
    reasons: tuple[str, ...]
    commit: Oid | None = None
    spend: Spend = field(default_factory=Spend)
    kind: Literal["strayed"] = "strayed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Escalated:
    """A person is asked. With a ``commit`` the work is durable and waits for a yes or a no."""

    reason: str
    wants: tuple[str, ...] = ()
    commit: Oid | None = None
    spend: Spend = field(default_factory=Spend)
    kind: Literal["escalated"] = "escalated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unchanged:
    """The tree equals the one the attempt started from."""

    spend: Spend = field(default_factory=Spend)
    note: str = ""
    kind: Literal["unchanged"] = "unchanged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A read station's answer: text (often JSON) for the briefs of its dependants."""

    data: str
    spend: Spend = field(default_factory=Spend)
    kind: Literal["found"] = "found"


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """The job is better done as these smaller ones."""

    jobs: tuple[Job, ...]
    spend: Spend = field(default_factory=Spend)
    kind: Literal["split"] = "split"


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """One finding of a review, about a line of a file (0: about the file) or the whole change."""

    text: str
    path: str = ""
    line: int = 0
    serious: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Reviewed:
    """An independent read of a change; ``back`` sends it to its author once, with the remarks."""

    back: bool
    remarks: tuple[Remark, ...] = ()
    spend: Spend = field(default_factory=Spend)
    kind: Literal["reviewed"] = "reviewed"


Outcome = Done | Failed | Strayed | Escalated | Unchanged | Found | Split | Reviewed


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """Durable work of one job on its way through the gate."""

    job: JobId
    commit: Oid
    accept: tuple[Argv, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Compose:
    """Merge these branches onto ``base`` in memory and make what ``at = "merge"`` stations make."""

    run: RunId
    trial: int
    base: Oid
    branches: tuple[Branch, ...]
    line: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Composed:
    """The exact tree to test, the commands that count for it and their key; who was left out.

    ``base_clash`` conflict with the base itself, ``mate_clash`` with an earlier mate; both map a
    job to the conflicting paths. ``fault`` is not empty when the tree could not be made: ``blame``
    then says whether the environment (lost) or the branches (red) are at fault.
    """

    trial: int
    tree: Oid | None
    commands: tuple["Check", ...] = ()
    key: str = ""
    base_clash: Mapping[JobId, tuple[str, ...]] = field(default_factory=dict)
    mate_clash: Mapping[JobId, tuple[str, ...]] = field(default_factory=dict)
    fault: str = ""
    blame: Literal["", "environment", "branches"] = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One command that a tree must pass: a test station's, or a job's acceptance command.

    ``owner`` is a station name or ``accept:<job>``; a check that is not required only informs.
    With ``checks`` nothing runs here: the forge's checks of these names are the verdict.
    """

    owner: str
    run: Argv
    required: bool = True
    timeout: float = 1200.0
    idle: float = 0.0
    checks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """Run these checks on exactly this tree."""

    run: RunId
    trial: int
    base: Oid
    tree: Oid
    checks: tuple[Check, ...]
    key: str

    @property
    def outside(self) -> tuple[Check, ...]:
        """Give the checks that the forge runs, when all that run here have passed."""
        return tuple(check for check in self.checks if check.checks)


@dataclass(frozen=True, slots=True, kw_only=True)
class Green:
    """Every required check passed on exactly ``tree``; ``notes`` tell of optional ones.

    ``checked`` are the addresses at which the forge shows its checks of it.
    """

    tree: Oid
    key: str
    seconds: float = 0.0
    notes: tuple[str, ...] = ()
    checked: tuple[str, ...] = ()
    kind: Literal["green"] = "green"


@dataclass(frozen=True, slots=True, kw_only=True)
class Red:
    """A required check failed on ``tree``; ``owner`` names it, ``tail`` holds its last lines."""

    tree: Oid
    key: str
    owner: str = ""
    tail: str = ""
    seconds: float = 0.0
    kind: Literal["red"] = "red"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """No verdict: the environment failed, or the run was cancelled.

    Without ``again`` a person must change something first: another try would end the same way.
    """

    why: str
    again: bool = True
    kind: Literal["lost"] = "lost"


Verdict = Green | Red | Lost


@dataclass(frozen=True, slots=True, kw_only=True)
class Awaited:
    """No verdict yet: it comes from outside, and is asked for by the durable id ``external``."""

    external: str
    notes: tuple[str, ...] = ()


class Station(Protocol):
    """A place on the line: gives each assignment back as an outcome and keeps no state between."""

    @property
    def spec(self) -> StationSpec:
        """Say what this station was configured to be."""
        ...

    def work(self, assignment: Assignment) -> Outcome:
        """Do one attempt; blocks until it ended."""
        ...
