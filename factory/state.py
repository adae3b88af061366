"""The line's state: its jobs, breakers and trials, and the questions one can ask of it."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from factory import landing
from factory.events import (
    Closing,
    Dead,
    Decided,
    InGate,
    Landed,
    Measured,
    Opened,
    Place,
    Proposed,
    Reproduced,
    Resting,
    Rules,
    Undelivered,
    Undone,
    Waiting,
    Withdrawn,
    Working,
)
from stations.contract import Branch, Composed, Job, Spend, StationSpec
from worktrees.names import JobId, Oid, RunId, StationName

INTERRUPTIONS: Final = 5
"""Attempts that a crash cut short before they count as the job's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One job on the line: where it is, what was tried, what it has made so far.

    ``raised`` counts a model's tries at this station that came to nothing: the next one takes so
    many tiers more. ``again`` names what was allowed once more and is not a second time. An
    attempt stays in ``unanswered`` until its spend is counted; ``wrote`` is the one that made the
    commit. ``author`` is set while the commit
    is under review and says who wrote it; ``returns`` is how often a review sent the job back,
    and ``answering`` whether its author is at work on the remarks.
    """

    job: Job
    place: Place
    station: StationName
    since: float
    attempt: int = 0
    tries: int = 0
    rounds: int = 0
    raised: int = 0
    returns: int = 0
    interruptions: int = 0
    again: frozenset[str] = frozenset()
    unanswered: tuple[int, ...] = ()
    base: Oid | None = None
    judged_from: Oid | None = None
    commit: Oid | None = None
    wrote: int = 0
    author: StationName | None = None
    answering: bool = False
    failure: str = ""
    found: str = ""
    told: tuple[str, ...] = ()
    children: tuple[JobId, ...] = ()
    spend: Spend = field(default_factory=Spend)

    @property
    def midway(self) -> bool:
        """Say whether it stands between its author and the gate: then its scope stays taken."""
        return self.author is not None or self.answering


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaker:
    """Counts a station's failures in a row; above the limit it rests until ``until``."""

    failures: int = 0
    opened: int = 0
    until: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What the line knows of a trial that the gate has under way.

    ``external`` is set while its verdict is awaited from outside; ``checked`` are the addresses
    at which that was found green.
    """

    base: Oid
    branches: tuple[Branch, ...]
    line: str = ""
    """The hash of the line when the trial began: its evidence is of that line."""
    composed: Composed | None = None
    external: str = ""
    checked: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A pull request of this run; ``merged`` is the commit with which the forge took it."""

    key: str
    jobs: tuple[JobId, ...]
    branch: str
    base: str
    commit: Oid
    number: int
    pull: str
    merged: Oid | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Everything the line knows; replaced as a whole by each step.

    ``used`` are the seconds of work that stations with a budget of time have had, ``shut`` the
    stations that take no more until a resume, each with the reason; ``limited`` is since when
    providers only told us to wait. ``came`` counts the work that came to a sampled station.
    """

    run: RunId
    rules: Rules
    target: str
    base: Oid
    opened_at: float
    gate: landing.Gate
    jobs: Mapping[JobId, Work] = field(default_factory=dict)
    queue: tuple[JobId, ...] = ()
    serial: int = 0
    breakers: Mapping[StationName, Breaker] = field(default_factory=dict)
    used: Mapping[StationName, float] = field(default_factory=dict)
    shut: Mapping[StationName, str] = field(default_factory=dict)
    limited: float | None = None
    trials: Mapping[int, Held] = field(default_factory=dict)
    losses: int = 0
    paused: bool = False
    closing: Closing | None = None
    deliver: str = "branch"
    onto: str = ""
    proposals: Mapping[str, Proposal] = field(default_factory=dict)
    undelivered: Mapping[str, Undelivered] = field(default_factory=dict)
    reproduced: Mapping[tuple[JobId, int], Reproduced] = field(default_factory=dict)
    came: Mapping[StationName, int] = field(default_factory=dict)
    decided: Mapping[int, Decided] = field(default_factory=dict)
    measured: Mapping[int, Measured] = field(default_factory=dict)
    undone: Mapping[int, Undone] = field(default_factory=dict)

    @property
    def still(self) -> bool:
        """Say whether nothing is under way and nothing more can start by itself."""
        return not self.trials and not any(
            isinstance(work.place, Working | Resting | InGate) or held_back(self, work)
            for work in self.jobs.values()
        )

    @property
    def drained(self) -> bool:
        """Say whether nothing is under way that a closing line waits for.

        Jobs may still wait in the gate, unless it stays open for them; so may a verdict from
        outside, which is there for whoever resumes.
        """
        lands = self.closing is not None and self.closing.lands and not self.gate.paused
        awaited = (Working, InGate) if lands else Working
        here = any(not held.external for held in self.trials.values())
        return not here and not any(isinstance(work.place, awaited) for work in self.jobs.values())

    @property
    def gated(self) -> bool:
        """Say whether the gate may begin nothing more: a person paused the line, or it closes."""
        return self.paused or (self.closing is not None and not self.closing.lands)


def opened(event: Opened, now: float) -> Line:
    """Give the line as it stands when a run begins."""
    return Line(
        run=event.run,
        rules=event.rules,
        target=event.target,
        base=event.base,
        opened_at=now,
        gate=landing.opened(event.base, event.rules.slots),
        deliver=event.deliver,
        onto=event.onto,
    )


def under_way(line: Line) -> list[Work]:
    """Give the jobs whose scopes are taken: at work, under review, or in the gate."""
    return [
        work
        for work in line.jobs.values()
        if isinstance(work.place, Working | Resting | InGate)
        or (work.midway and isinstance(work.place, Waiting))
    ]


def blocked_by(taken: Iterable[Work], work: Work) -> JobId | None:
    """Give the job of ``taken`` whose scope overlaps this one's, if there is one."""
    scope, own = work.job.scope, work.job.id
    return next((w.job.id for w in taken if w.job.id != own and w.job.scope.overlaps(scope)), None)


def held_back(line: Line, work: Work) -> bool:
    """Say whether only its station's breaker keeps a job from starting: its rest ends by itself."""
    resting = line.breakers.get(work.station, Breaker()).until > 0
    waits = isinstance(work.place, Waiting) and work.station not in line.shut
    return resting and waits and not unmet(line, work.job)


def unmet(line: Line, job: Job) -> tuple[JobId, ...]:
    """Give the needs of a job that are not met yet; a split need is met by all its parts."""
    return tuple(need for need in job.needs if not _met(line, need))


def _met(line: Line, need: JobId) -> bool:
    work = line.jobs.get(need)
    if work is None:
        return False
    if work.children:
        return all(_met(line, child) for child in work.children)
    match work.place:
        case Landed() | Proposed():
            return True
        case Withdrawn(met=met):
            return met
        case _:
            return False


def hopeless(line: Line, need: JobId) -> bool:
    """Say whether a need can no longer be met unless a person steps in."""
    work = line.jobs.get(need)
    if work is None:
        return True
    if work.children:
        return any(hopeless(line, child) for child in work.children)
    match work.place:
        case Dead() | Withdrawn(met=False):
            return True
        case _:
            return False


def answers(line: Line, need: JobId) -> Iterator[str]:
    """Give what a need found, or what the parts of a split one did."""
    work = line.jobs[need]
    if work.found:
        yield work.found
    for child in work.children:
        yield from answers(line, child)


def by_model(spec: StationSpec) -> bool:
    """Say whether a model works this station, so that another tier may do better."""
    return spec.agent is not None and spec.agent.runtime != "command"
