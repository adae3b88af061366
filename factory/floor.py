"""The floor: the only loop with a clock. Take an event, record it, step the line, act.

An event and the intents that follow from it are in the ledger before any effect starts; what an
effect gave comes back as another event. A landing is answered before anything else is looked at.
"""

import queue
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from factory.crew import Answer, Crew
from factory.events import (
    Action,
    Advanced,
    AwaitVerdict,
    CancelTrial,
    Closed,
    Closing,
    ComposeTree,
    Event,
    Finished,
    GateComposed,
    Land,
    Landing,
    Missed,
    Moved,
    Note,
    Noted,
    Reason,
    Resumed,
    Salvage,
    Settled,
    Start,
    Started,
    Stop,
    Tell,
    TestTree,
    WakeAt,
    Woke,
    Working,
)
from factory.line import Line, step
from stations.contract import Budget, Failed, Verdict
from worktrees.failpoint import failpoint
from worktrees.names import JobId, Oid, RunId

GLANCE: Final = 0.25
"""Seconds between two looks at the mail and the target while nothing else happens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LandingPlan:
    """A landing that is ready: one swap of the target from ``old`` to ``commit``."""

    commit: Oid
    tree: Oid
    old: Oid


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocked:
    """The target cannot be moved now for a reason that a person must remove."""

    reason: Reason
    why: str


class Ground(Protocol):
    """What the floor does to the repository; the truth about what landed."""

    def tip(self) -> Oid | None:
        """Give the commit that the target stands at; None when the ref is gone."""
        ...

    def landed(self, tip: Oid) -> Mapping[JobId, Oid]:
        """Give this run's jobs that are in the target's history, with their landing commits."""
        ...

    def prepare(self, land: Land) -> LandingPlan | Blocked:
        """Make and check the landing commit; nothing visible moves."""
        ...

    def swap(self, plan: LandingPlan) -> bool:
        """Move the target by one compare-and-swap; False when it stood elsewhere."""
        ...

    def follow(self, old: Oid, new: Oid) -> None:
        """Bring the user's clean checkout along after a landing; once more changes nothing."""
        ...

    def salvage(self, job: JobId, commit: Oid) -> None:
        """Keep a commit reachable."""
        ...

    def tidy(self, jobs: Sequence[JobId]) -> None:
        """Drop the branches of jobs that are in the target's history."""
        ...


class Book(Protocol):
    """What the floor needs of the ledger."""

    def append(self, run: RunId, events: Sequence[Event], at: float) -> None:
        """Add events in one durable transaction."""
        ...

    def verdict(self, tree: Oid, key: str) -> Verdict | None:
        """Give the verdict on record."""
        ...


Watcher = Callable[[Line, Event, float], None]


class Floor:
    """Drives one run's line. ``now`` gives seconds since the epoch and never runs back."""

    def __init__(
        self,
        *,
        line: Line,
        book: Book,
        crew: Crew,
        ground: Ground,
        now: Callable[[], float],
        watch: Watcher = lambda _line, _event, _now: None,
    ) -> None:
        self.line = line
        self.wakes: list[float] = []
        self._book = book
        self._crew = crew
        self._ground = ground
        self._now = now
        self._watch = watch
        self._stopping = False

    def tick(self, events: Sequence[Event]) -> None:
        """Record these events and what follows from them, then carry it out."""
        todo: deque[Event] = deque(events)
        while todo:
            records: list[Event] = []
            actions: list[Action] = []
            now = self._now()
            seen: list[tuple[Line, Event]] = []
            # A landing is answered before the next event is looked at.
            while todo and not any(isinstance(action, Land) for action in actions):
                event = self._look_up(todo.popleft())
                self.line, more = step(self.line, event, now)
                records += [event, *_intents(more)]
                actions += more
                seen.append((self.line, event))
            self._book.append(self.line.run, records, now)
            for line, event in seen:
                self._watch(line, event, now)
            answers = [answer for action in actions for answer in self._act(action)]
            todo.extendleft(reversed(answers))

    def stop_all(self) -> None:
        """End every attempt and trial under way or about to start; what they saved is kept."""
        self._stopping = True
        for work in self.line.jobs.values():
            if isinstance(work.place, Working):
                self._crew.stop(work.job.id, work.attempt)
        for trial, held in self.line.trials.items():
            if not held.external:  # what is judged outside costs nothing here, and a resume asks
                self._crew.cancel(trial)

    def look_at_target(self) -> None:
        """Notice when somebody else moved the target."""
        tip = self._ground.tip()
        if tip is None:
            self.tick([_gone(self.line)])
        elif tip != self.line.gate.target and self.line.gate.landing is None:
            self.tick([Moved(tip=tip)])

    def _look_up(self, event: Event) -> Event:
        if isinstance(event, GateComposed) and event.composed.tree is not None:
            known = self._book.verdict(event.composed.tree, event.composed.key)
            return GateComposed(composed=event.composed, known=known)
        return event

    def _act(self, action: Action) -> Sequence[Event]:
        match action:
            case Start(assignment=assignment):
                failpoint("floor.start.before")
                self._crew.start(assignment)
                if self._stopping:
                    self._crew.stop(assignment.job, assignment.attempt)
                failpoint("floor.start.after")
            case Stop(job=job, attempt=attempt):
                self._crew.stop(job, attempt)
            case Tell(job=job, attempt=attempt, text=text):
                self._crew.tell(job, attempt, text)
            case Note(what=what, text=text, job=job):
                return [Noted(what=what, text=text, job=job)]
            case WakeAt(when=when):
                self.wakes.append(when)
            case ComposeTree(task=task):
                failpoint("floor.compose.before")
                self._crew.compose(task)
                if self._stopping:
                    self._crew.cancel(task.trial)
                failpoint("floor.compose.after")
            case TestTree(task=task):
                failpoint("floor.test.before")
                self._crew.try_tree(task)
                if self._stopping:
                    self._crew.cancel(task.trial)
                failpoint("floor.test.after")
            case AwaitVerdict(task=task, external=external):
                failpoint("floor.await.before")
                if not self._stopping:
                    self._crew.await_verdict(task, external)
                failpoint("floor.await.after")
            case CancelTrial(trial=trial):
                self._crew.cancel(trial)
            case Salvage(job=job, commit=commit):
                failpoint("floor.salvage.before")
                self._ground.salvage(job, commit)
                failpoint("floor.salvage.after")
            case Land():
                return self._land(action)
        return ()

    def _land(self, land: Land) -> Sequence[Event]:
        tip = self._ground.tip()
        if tip is None:
            return [_gone(self.line), Missed(trial=land.trial, tip=land.base)]
        if tip != land.base:
            return [Missed(trial=land.trial, tip=tip)]
        plan = self._ground.prepare(land)
        if isinstance(plan, Blocked):
            # The work goes back to the gate as it is; a resume lands it without a new test.
            return [
                Closing(reason=plan.reason, why=plan.why),
                Missed(trial=land.trial, tip=tip),
            ]
        jobs = tuple(job for job, _ in land.branches)
        intent = Landing(
            trial=land.trial,
            jobs=jobs,
            commit=plan.commit,
            tree=plan.tree,
            old=plan.old,
            line=land.line,
        )
        self._book.append(self.line.run, [intent], self._now())
        failpoint("floor.swap.before")
        if not self._ground.swap(plan):
            return [Missed(trial=land.trial, tip=self._ground.tip() or land.base)]
        failpoint("floor.swap.after")
        self._ground.follow(plan.old, plan.commit)
        done = Advanced(
            trial=land.trial, jobs=jobs, commit=plan.commit, tree=plan.tree, line=land.line
        )
        self.tick([done])  # recorded before anything derived from it is tidied
        failpoint("floor.tidy.before")
        self._ground.tidy(jobs)
        failpoint("floor.tidy.after")
        return []


def _gone(line: Line) -> Closing:
    why = f"{line.target} is gone; make it again (git update-ref {line.target} {line.gate.target})"
    return Closing(reason=Reason.TARGET, why=why)


def _intents(actions: Sequence[Action]) -> list[Event]:
    return [
        Started(
            job=a.assignment.job,
            station=a.assignment.station,
            attempt=a.assignment.attempt,
            serial=a.assignment.serial,
            base=a.assignment.base,
        )
        for a in actions
        if isinstance(a, Start)
    ]


def recovery(
    line: Line, ground: Ground, *, serial: int, budget: Budget | None = None
) -> list[Event]:
    """Give the events that put a replayed line right with git, which is the truth.

    A landing whose result was not recorded is looked up by its trailers. Attempts of a process
    that is gone were interrupted; what they left was exported by the caller before.
    """
    tip = ground.tip() or line.gate.target
    landed = ground.landed(tip)
    events: list[Event] = []
    if line.gate.landing is not None:
        trial = line.gate.landing
        jobs = line.trials[trial].branches
        names = tuple(branch.job for branch in jobs if branch.job in landed)
        if names:
            composed = line.trials[trial].composed
            assert composed is not None  # noqa: S101  (only a composed trial may land)
            assert composed.tree is not None  # noqa: S101
            commit = landed[names[0]]
            ground.follow(line.trials[trial].base, commit)  # it may have been left behind
            proof = line.trials[trial].line
            tree = composed.tree
            events.append(Advanced(trial=trial, jobs=names, commit=commit, tree=tree, line=proof))
        else:
            events.append(Missed(trial=trial, tip=tip))
    events.append(Resumed(serial=serial, tip=tip, budget=budget))
    interrupted = Failed(fault="interrupted", retryable=True, interrupted=True)
    events += [
        Finished(job=work.job.id, attempt=work.attempt, outcome=interrupted)
        for work in line.jobs.values()
        if isinstance(work.place, Working)
    ]
    return events


class Mailbox(Protocol):
    """Where other processes leave requests."""

    def collect(self, line: Line) -> Sequence[Event]:
        """Give what was asked since the last look, as events; it counts as taken on the next."""
        ...


def operate(
    floor: Floor,
    answers: "queue.SimpleQueue[Answer | Event]",
    mailbox: Mailbox,
    now: Callable[[], float],
) -> None:
    """Work until the line is still, or drained after it was told to close."""
    looked = now()
    while not _over(floor.line):
        events = _wait(answers, _patience(floor, now()))
        if floor.wakes and min(floor.wakes) <= now():
            floor.wakes = [when for when in floor.wakes if when > now()]
            events.append(Woke())
        events += mailbox.collect(floor.line)
        if events:
            floor.tick(events)
        if now() - looked >= GLANCE * 8:
            looked = now()
            floor.look_at_target()


def _over(line: Line) -> bool:
    if line.closing is not None:
        return line.drained
    settled = all(isinstance(work.place, Settled) for work in line.jobs.values())
    return line.still and (settled or not line.paused)


def _patience(floor: Floor, now: float) -> float:
    return max(0.0, min([GLANCE, *(when - now for when in floor.wakes)]))


def _wait(answers: "queue.SimpleQueue[Answer | Event]", seconds: float) -> list[Event]:
    events: list[Event] = []
    try:
        events.append(answers.get(timeout=seconds))
        while True:
            events.append(answers.get_nowait())
    except queue.Empty:
        return events


def closed(code: int) -> Event:
    """Give the event that ends an orderly run."""
    return Closed(exit=code)


def noted(what: str, text: str, job: JobId | None = None) -> Event:
    """Give an event that tells something and moves nothing."""
    return Noted(what=what, text=text, job=job)
