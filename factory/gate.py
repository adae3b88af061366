"""The gate as a value: what stands where in it, what it is told, and what it answers.

Branches are called by their jobs; the host knows their commits, composes the trees, looks verdicts
up by tree and tests what is new. It answers a ``Land`` before it tells anything else, and never
takes a single branch's red verdict from memory. ``factory.landing`` holds the rules.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import chain
from typing import Literal

from worktrees.names import JobId, Oid

Group = tuple[JobId, ...]
"""Branches that are tested together, in the order they are merged."""


SHOWN = 8
"""How many mates of a branch are named to a person; the rest is counted."""


class GateError(Exception):
    """The gate was told something impossible, or has lost count of its branches: a bug."""


class Cause(StrEnum):
    """Why a branch is sent back."""

    RED = "red"
    CONFLICT = "conflict"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A branch that waits for its first run; equal scope keys are tested together first."""

    job: JobId
    commit: Oid
    scope_key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What one slot tests, merged onto ``base``: one group, or all groups of a proof."""

    kind: Literal["group", "proof"]
    base: Oid
    groups: tuple[Group, ...]

    @property
    def jobs(self) -> Group:
        """Give the branches of all its groups in order."""
        return flat(self.groups)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """All that the gate knows. A branch stands in one place: todo, pool, green, forced or a run.

    ``todo`` are newcomers, ``pool`` suspects and reruns, ``green`` groups that passed on some
    target, ``forced`` what the next proof must consist of. ``landing`` names the proof for which
    the host is moving the target; it keeps its slot until the host has answered.
    """

    target: Oid
    slots: int
    paused: bool = False
    todo: tuple[Entry, ...] = ()
    pool: tuple[Group, ...] = ()
    green: tuple[Group, ...] = ()
    forced: tuple[Group, ...] = ()
    runs: Mapping[int, Run] = field(default_factory=dict)
    landing: int | None = None
    strikes: Mapping[JobId, int] = field(default_factory=dict)
    landed: int = 0
    returned: int = 0
    next_run: int = 1

    @property
    def idle(self) -> int:
        """Say how many slots are free; fewer than none after slots were taken away."""
        return self.slots - len(self.runs)

    @property
    def proof(self) -> int | None:
        """Name the run that is the proof, if one is under way."""
        return next((number for number, run in self.runs.items() if run.kind == "proof"), None)

    @property
    def bad(self) -> float:
        """Estimate how likely a branch is bad, from what landed and what was sent back red."""
        return (1 + self.returned) / (10 + self.landed + self.returned)


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """These branches are durable and want to land."""

    branches: tuple[Entry, ...]
    kind: Literal["arrived"] = "arrived"


@dataclass(frozen=True, slots=True, kw_only=True)
class Composed:
    """A run's tree was made without these: they conflict with its base, or with earlier mates.

    A run from which everything was left out is void and gets no result.
    """

    run: int
    base_clash: tuple[JobId, ...] = ()
    mate_clash: tuple[JobId, ...] = ()
    kind: Literal["composed"] = "composed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A run ended; ``lost`` is no verdict. ``suspects`` is a hint: only their own checks failed."""

    run: int
    verdict: Literal["green", "red", "lost"]
    suspects: tuple[JobId, ...] = ()
    kind: Literal["result"] = "result"


@dataclass(frozen=True, slots=True, kw_only=True)
class Landed:
    """The target was moved for the ``Land`` that was asked for, and is now at ``tip``."""

    tip: Oid
    kind: Literal["landed"] = "landed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The target was not where the proof was tested, but at ``tip``: nothing landed."""

    tip: Oid
    kind: Literal["refused"] = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """Somebody else moved the target to ``tip``."""

    tip: Oid
    kind: Literal["moved"] = "moved"


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawn:
    """The branch must not land any more."""

    job: JobId
    kind: Literal["withdrawn"] = "withdrawn"


@dataclass(frozen=True, slots=True, kw_only=True)
class Slots:
    """From now on at most ``n`` runs at once."""

    n: int
    kind: Literal["slots"] = "slots"


@dataclass(frozen=True, slots=True, kw_only=True)
class Paused:
    """While paused nothing new is started; what is under way ends, and a green proof lands."""

    paused: bool
    kind: Literal["paused"] = "paused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Merge these branches onto ``base`` in order, and test the tree."""

    run: int
    base: Oid
    jobs: Group
    kind: Literal["start"] = "start"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancel:
    """End this run; nobody wants its result."""

    run: int
    kind: Literal["cancel"] = "cancel"


@dataclass(frozen=True, slots=True, kw_only=True)
class Land:
    """Move the target from the run's base to the tree that the run tested."""

    run: int
    jobs: Group
    kind: Literal["land"] = "land"


@dataclass(frozen=True, slots=True, kw_only=True)
class Return:
    """Send this branch back to be repaired; ``run`` saw it fail."""

    job: JobId
    cause: Cause
    run: int
    kind: Literal["return"] = "return"


Input = Arrived | Composed | Result | Landed | Refused | Moved | Withdrawn | Slots | Paused
Output = Start | Cancel | Land | Return


def opened(target: Oid, slots: int) -> Gate:
    """Give an empty gate in front of ``target``."""
    return Gate(target=target, slots=slots)


def held(state: Gate) -> Group:
    """Give every branch in the gate."""
    newcomers = tuple(entry.job for entry in state.todo)
    running = (run.jobs for run in state.runs.values())
    return flat((newcomers, *state.pool, *state.green, *state.forced, *running))


def position(state: Gate, job: JobId) -> str | None:
    """Say in words where a branch is, or None when it is not in the gate."""
    for number, run in state.runs.items():
        if job in run.jobs and number == state.landing:
            return f"passed in run {number}, is landing"
        if job in run.jobs:
            verb = "proven" if run.kind == "proof" else "tested"
            return f"is {verb} in run {number} on {run.base[:12]}, {_company(run.jobs, job)}"
    for place, entry in enumerate(state.todo, start=1):
        if entry.job == job:
            return f"waits for its first test run, {place} of {len(state.todo)}"
    for group in state.pool:
        if job in group and job in state.strikes:
            return "failed once by itself, waits for the run that confirms it"
        if job in group:
            return f"waits for another test run, {_company(group, job)}"
    for group in state.green + state.forced:
        if job in group:
            return f"passed {_company(group, job)}, waits for the proof"
    return None


def check(state: Gate) -> None:
    """Raise ``GateError`` unless the gate is as it may be between two inputs."""
    runs = state.runs.values()
    groups = (*state.pool, *state.green, *state.forced, *(run.jobs for run in runs))
    jobs = (*(entry.job for entry in state.todo), *flat(groups))
    proofs = [run for run in runs if run.kind == "proof"]
    lone = all(len(run.groups) == 1 for run in runs if run.kind == "group")
    ready = state.idle > 0 and not state.paused
    faults = {
        "a branch is in two places": len(set(jobs)) < len(jobs),
        "a group is empty": not all(groups),
        "a group run has several groups": not lone,
        "two proofs are under way": len(proofs) + bool(state.forced) > 1,
        "a proof is on an old target": any(run.base != state.target for run in proofs),
        "something else than the proof lands": state.landing not in {None, state.proof},
        "a branch that left has a strike": not state.strikes.keys() <= set(jobs),
        "a branch waits beside a free slot": ready and bool(state.pool or state.todo),
        "branches wait, but nothing runs": ready and bool(jobs) and not runs,
    }
    if any(faults.values()):
        raise GateError("; ".join(fault for fault, found in faults.items() if found))


def flat(groups: Iterable[Group]) -> Group:
    """Give the branches of these groups in order."""
    return tuple(chain.from_iterable(groups))


def _company(group: Group, job: JobId) -> str:
    mates = [mate for mate in group if mate != job]
    if not mates:
        return "by itself"
    more = f" and {len(mates) - SHOWN} more" if len(mates) > SHOWN else ""
    return f"with {', '.join(mates[:SHOWN])}{more}"
