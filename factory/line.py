"""The line: one pure step from (state, event, time) to (state, actions).

It routes jobs through their stations, retries with backoff, opens breakers, respects needs, seats
and overlapping scopes, feeds the gate and answers for what the gate returns. It knows no clock,
no file and no thread: the same events give the same line, so replaying the ledger restores it.
"""

import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Literal, assert_never

from factory import landing
from factory.events import (
    Action,
    Advanced,
    CancelTrial,
    Closed,
    Closing,
    ComposeTree,
    Dead,
    Event,
    Finished,
    GateAwaits,
    GateComposed,
    GateTried,
    InGate,
    Killed,
    Land,
    Landed,
    Landing,
    Missed,
    Moved,
    NeedsYou,
    Noted,
    Opened,
    Paused,
    Place,
    Placed,
    Proposed,
    Reason,
    Refused,
    Resting,
    Resumed,
    Retried,
    Rules,
    Salvage,
    SeatsChanged,
    Start,
    Started,
    StationRetired,
    Steered,
    Stop,
    TestTree,
    Waiting,
    WakeAt,
    Withdrawn,
    Woke,
    Working,
)
from stations.contract import (
    Assignment,
    Branch,
    Brief,
    Compose,
    Composed,
    Done,
    Escalated,
    Failed,
    Found,
    Green,
    Job,
    Kind,
    Lost,
    Outcome,
    Red,
    Reviewed,
    Spend,
    Split,
    StationSpec,
    Strayed,
    Trial,
    Unchanged,
    Verdict,
)
from worktrees.names import JobId, Oid, RunId, StationName
from worktrees.scope import Scope

DEPTH: Final = 2
"""How deep a job may be split."""
INTERRUPTIONS: Final = 5
"""Attempts that a crash cut short before they count as the job's own."""
LOSSES: Final = 3
"""Trials lost in a row before the environment is blamed."""
BREAKS: Final = 3
"""Times in a row that one breaker may open before the line closes."""
YES: Final = frozenset({"yes", "y", "ok", "approve", "approved", "land", "accept"})
NO: Final = frozenset({"no", "n", "drop", "reject", "rejected", "discard"})
MINUTE: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One job on the line: where it is, what was tried, what it has made so far."""

    job: Job
    place: Place
    station: StationName
    since: float
    attempt: int = 0
    tries: int = 0
    rounds: int = 0
    strays: int = 0
    interruptions: int = 0
    base: Oid | None = None
    judged_from: Oid | None = None
    commit: Oid | None = None
    failure: str = ""
    found: str = ""
    told: tuple[str, ...] = ()
    children: tuple[JobId, ...] = ()
    spend: Spend = field(default_factory=Spend)


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaker:
    """Counts a station's failures in a row; above the limit it rests until ``until``."""

    failures: int = 0
    opened: int = 0
    until: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What the line knows of a trial that the gate has under way."""

    base: Oid
    branches: tuple[Branch, ...]
    composed: Composed | None = None
    external: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Everything the line knows; replaced as a whole by each step."""

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
    trials: Mapping[int, Held] = field(default_factory=dict)
    losses: int = 0
    paused: bool = False
    closing: Closing | None = None

    @property
    def still(self) -> bool:
        """Say whether nothing is under way and nothing more can start by itself."""
        return not self.trials and not any(
            isinstance(work.place, Working | Resting | InGate) or _held_back(self, work)
            for work in self.jobs.values()
        )

    @property
    def drained(self) -> bool:
        """Say whether no attempt and no trial is under way (jobs may still wait in the gate)."""
        return not self.trials and not any(
            isinstance(work.place, Working) for work in self.jobs.values()
        )


def opened(event: Opened, now: float) -> Line:
    """Give the line as it stands when a run begins."""
    return Line(
        run=event.run,
        rules=event.rules,
        target=event.target,
        base=event.base,
        opened_at=now,
        gate=landing.opened(event.base, event.rules.slots),
    )


def step(line: Line, event: Event, now: float) -> tuple[Line, tuple[Action, ...]]:
    """Give the line after ``event`` at ``now`` (seconds, never running back) and what to do."""
    turn = _Turn(line, now)
    turn.take(event)
    turn.fill()
    return turn.line, tuple(turn.actions)


def under_way(line: Line) -> list[Work]:
    """Give the jobs whose scopes are taken: somebody is at work on them, or the gate has them."""
    return [w for w in line.jobs.values() if isinstance(w.place, Working | Resting | InGate)]


def blocked_by(taken: Iterable[Work], work: Work) -> JobId | None:
    """Give the job of ``taken`` whose scope overlaps this one's, if there is one."""
    scope, own = work.job.scope, work.job.id
    return next((w.job.id for w in taken if w.job.id != own and w.job.scope.overlaps(scope)), None)


def _held_back(line: Line, work: Work) -> bool:
    """Say whether only its station's breaker keeps a job from starting: its rest ends by itself."""
    resting = line.breakers.get(work.station, Breaker()).until > 0
    return resting and isinstance(work.place, Waiting) and not unmet(line, work.job)


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


def _hopeless(line: Line, need: JobId) -> bool:
    """Say whether a need can no longer be met unless a person steps in."""
    work = line.jobs.get(need)
    if work is None:
        return True
    if work.children:
        return any(_hopeless(line, child) for child in work.children)
    match work.place:
        case Dead() | Withdrawn(met=False):
            return True
        case _:
            return False


class _Turn:
    """One step being made: the line as it changes, and the actions so far."""

    def __init__(self, line: Line, now: float) -> None:
        self.line = line
        self.now = now
        self.actions: list[Action] = []

    # -- events ----------------------------------------------------------------------------------

    def take(self, event: Event) -> None:
        match event:
            case Placed(jobs=jobs):
                self.place_new(jobs)
            case Refused(job=job, why=why):
                self.put(job, Withdrawn(why=why, met=False))
            case Finished():
                self.finished(event)
            case GateComposed():
                self.composed(event)
            case GateTried():
                self.tried(event)
            case GateAwaits(trial=trial, external=external):
                if trial in self.line.trials:
                    held = replace(self.line.trials[trial], external=external)
                    self.line = replace(self.line, trials={**self.line.trials, trial: held})
            case Advanced():
                self.advanced(event)
            case Missed(tip=tip):
                self.feed(landing.Refused(tip=tip))
            case Moved(tip=tip):
                self.feed(landing.Moved(tip=tip))
            case Steered(job=job, text=text):
                self.steered(job, text)
            case Killed(job=job):
                self.killed(job)
            case Retried(job=job):
                self.retried(job)
            case Paused(on=on):
                self.line = replace(self.line, paused=on)
                self.feed(landing.Paused(paused=on or self.line.closing is not None))
            case SeatsChanged(seats=seats, station=station):
                self.seats_changed(seats, station)
            case StationRetired(station=station, heir=heir):
                self.retired(station, heir)
            case Closing():
                self.close(event)
            case Resumed(serial=serial, tip=tip):
                self.resumed(serial, tip)
            case Opened() | Started() | Landing() | Woke() | Noted() | Closed():
                pass
            case _:
                assert_never(event)

    def place_new(self, jobs: tuple[Job, ...]) -> None:
        known = dict(self.line.jobs)
        for job in jobs:
            known[job.id] = Work(job=job, place=Waiting(), station=job.route, since=self.now)
        queue = (*self.line.queue, *(job.id for job in jobs))
        self.line = replace(self.line, jobs=known, queue=queue)

    def finished(self, event: Finished) -> None:
        work = self.line.jobs.get(event.job)
        if work is None:
            return
        if event.attempt != work.attempt or not isinstance(work.place, Working):
            self.keep(event.job, event.outcome)  # a late answer of an attempt that was given up
            return
        work = self.change(event.job, spend=work.spend + event.outcome.spend)
        spec = self.line.rules.station(work.station)
        self.count(spec, event.outcome)
        self.outcome(work, spec, event.outcome)

    def keep(self, job: JobId, outcome: Outcome) -> None:
        if isinstance(outcome, Done | Escalated | Strayed) and outcome.commit is not None:
            self.actions.append(Salvage(job=job, commit=outcome.commit))

    def outcome(self, work: Work, spec: StationSpec, outcome: Outcome) -> None:
        job = work.job.id
        match outcome:
            case Done(commit=commit):
                self.arrive(job, commit)
            case Failed():
                self.failed(work, spec, outcome)
            case Strayed():
                self.strayed(work, spec, outcome)
            case Escalated(reason=reason, wants=wants, commit=commit):
                to = spec.on.get("escalated", "inbox")
                if to in ("inbox", "dead") or commit is not None:
                    self.change(job, commit=commit or work.commit)
                    self.settle_hand_off(
                        work, to, reason, NeedsYou(question=reason, wants=wants, commit=commit)
                    )
                else:
                    self.hand_off(work, StationName(to), reason)
            case Unchanged():
                self.unchanged(work, spec)
            case Found(data=data):
                self.change(job, found=data)
                self.put(job, Withdrawn(why="answered; it changes nothing", met=True))
            case Split(jobs=jobs):
                self.split(work, jobs)
            case Reviewed():
                if work.commit is not None:
                    self.arrive(job, work.commit)
            case _:
                assert_never(outcome)

    def failed(self, work: Work, spec: StationSpec, failed: Failed) -> None:
        job = work.job.id
        if failed.interrupted and work.interruptions < INTERRUPTIONS:
            self.change(job, interruptions=work.interruptions + 1, tries=max(0, work.tries - 1))
            self.wait(job)
        elif failed.environment:
            # The machine was at fault: the try does not count, the station's breaker does.
            self.change(job, tries=max(0, work.tries - 1))
            self.rest(work, failed.fault, failed.tail)
        elif failed.retryable and work.tries < self.attempts(work, spec):
            self.rest(work, failed.fault, failed.tail)
        else:
            self.give_up(work, spec, "failed", failed.fault, failed.tail)

    def strayed(self, work: Work, spec: StationSpec, strayed: Strayed) -> None:
        self.keep(work.job.id, strayed)
        why = "; ".join(strayed.reasons) or "left its scope"
        if spec.agent is not None and work.strays == 0 and work.tries < self.attempts(work, spec):
            failing = f"{work.failure}\n\n" if work.commit is not None else ""
            self.change(work.job.id, strays=1, failure=f"{failing}refused: {why}")
            self.wait(work.job.id)
        else:
            self.give_up(work, spec, "strayed", f"refused: {why}", "")

    def unchanged(self, work: Work, spec: StationSpec) -> None:
        repairs = work.commit is not None
        if repairs:
            self.give_up(
                work, spec, "unchanged", "red, and the repair changed nothing", work.failure
            )
        elif spec.kind in (Kind.COMMAND, Kind.CLEANUP):
            self.put(work.job.id, Withdrawn(why="nothing to change", met=True))
        elif work.tries < min(2, self.attempts(work, spec)):
            self.rest(work, "the agent changed nothing", "")
        else:
            self.give_up(work, spec, "unchanged", "the agent changed nothing", "")

    def split(self, work: Work, jobs: tuple[Job, ...]) -> None:
        parent = work.job
        faults = [
            f"{job.id}: {why}"
            for job in jobs
            for wrong, why in (
                (job.id in self.line.jobs, "there is such a job already"),
                (job.depth != parent.depth + 1 or job.depth > DEPTH, "split too deep"),
                (not job.scope.inside(parent.scope), "scope outside the parent's"),
                (not self.knows(job.route), f"no station {job.route}"),
            )
            if wrong
        ]
        if faults or not jobs:
            why = "; ".join(faults) or "split into nothing"
            self.give_up(work, self.line.rules.station(work.station), "failed", why, "")
            return
        self.change(parent.id, children=tuple(job.id for job in jobs))
        names = ", ".join(job.id for job in jobs)
        self.put(parent.id, Withdrawn(why=f"split into {names}", met=True))
        inherited = tuple(replace(job, needs=(*parent.needs, *job.needs)) for job in jobs)
        self.place_new(inherited)

    def composed(self, event: GateComposed) -> None:
        made = event.composed
        held = self.line.trials.get(made.trial)
        if held is None or made.trial not in self.line.gate.runs:
            return
        trials = {**self.line.trials, made.trial: replace(held, composed=made)}
        self.line = replace(self.line, trials=trials)
        if made.fault and made.blame == "environment":
            self.verdict(made.trial, Lost(why=made.fault))
            return
        if made.fault:
            self.verdict(made.trial, Red(tree=held.base, key="", owner="merge", tail=made.fault))
            return
        clash = landing.Composed(
            run=made.trial,
            base_clash=tuple(made.base_clash),
            mate_clash=tuple(made.mate_clash),
        )
        self.feed(clash)
        if made.trial not in self.line.gate.runs or made.tree is None:
            return
        size = len(self.line.gate.runs[made.trial].jobs)
        match event.known:
            case Green():
                self.verdict(made.trial, event.known)
            case Red() if size > 1:
                self.verdict(made.trial, event.known)
            case _:  # a single is always really run, so that a strike costs a run of its own
                task = Trial(
                    run=self.line.run,
                    trial=made.trial,
                    base=held.base,
                    tree=made.tree,
                    checks=made.commands,
                    key=made.key,
                )
                self.actions.append(TestTree(task=task))

    def tried(self, event: GateTried) -> None:
        held = self.line.trials.get(event.trial)
        if held is None or (event.external and event.external != held.external):
            return
        self.verdict(event.trial, event.verdict)

    def verdict(self, trial: int, verdict: Verdict) -> None:
        suspects: tuple[JobId, ...] = ()
        tail = ""
        word: Literal["green", "red", "lost"]
        match verdict:
            case Green():
                word = "green"
                self.line = replace(self.line, losses=0)
            case Red(owner=owner):
                word = "red"
                self.line = replace(self.line, losses=0)
                tail = verdict.tail
                if owner.startswith("accept:"):
                    suspects = (JobId(owner.removeprefix("accept:")),)
            case Lost(why=why):
                word = "lost"
                self.line = replace(self.line, losses=self.line.losses + 1)
                if self.line.losses >= LOSSES:
                    self.close(
                        Closing(
                            reason=Reason.ENVIRONMENT,
                            why=f"{LOSSES} test runs in a row were lost: {why}",
                        )
                    )
            case _:
                assert_never(verdict)
        self.feed(landing.Result(run=trial, verdict=word, suspects=suspects), tail=tail)

    def advanced(self, event: Advanced) -> None:
        for job in event.jobs:
            self.put(job, Landed(commit=event.commit, tree=event.tree))
        self.feed(landing.Landed(tip=event.commit))

    def steered(self, job: JobId, text: str) -> None:
        work = self.line.jobs.get(job)
        if work is None:
            return
        place, answer = work.place, text.strip().lower()
        if isinstance(place, NeedsYou) and place.commit is not None and answer in YES:
            self.arrive(job, place.commit)
        elif isinstance(place, NeedsYou) and answer in NO:
            self.drop(job, place.commit, "dropped by a person")
        else:
            self.change(job, told=(*work.told, text))
            if isinstance(place, NeedsYou):
                if place.commit is not None:
                    self.actions.append(Salvage(job=job, commit=place.commit))
                # A repair goes on from the refused work; everything else starts anew.
                repairs = work.station == self.line.rules.repair
                self.change(job, tries=0, commit=work.commit if repairs else None)
                self.wait(job)

    def killed(self, job: JobId) -> None:
        work = self.line.jobs.get(job)
        if work is None or isinstance(work.place, Landed | Proposed | Withdrawn | Dead):
            return
        if isinstance(work.place, Working):
            self.actions.append(Stop(job=job, attempt=work.attempt))
        if isinstance(work.place, InGate):
            self.feed(landing.Withdrawn(job=job))
        self.drop(job, work.commit, "killed by a person")

    def drop(self, job: JobId, commit: Oid | None, why: str) -> None:
        if commit is not None:
            self.actions.append(Salvage(job=job, commit=commit))
        self.put(job, Withdrawn(why=why, met=False))

    def retried(self, job: JobId) -> None:
        work = self.line.jobs.get(job)
        if work is None or not isinstance(work.place, Dead | Withdrawn) or work.children:
            return
        self.change(
            job,
            tries=0,
            rounds=0,
            strays=0,
            interruptions=0,
            commit=None,
            failure="",
            judged_from=None,
            station=work.job.route,
        )
        self.wait(job)

    def seats_changed(self, seats: int, station: StationName | None) -> None:
        rules = self.line.rules
        if station is None:
            rules = replace(rules, seats=seats)
        else:
            stations = tuple(
                replace(spec, seats=seats) if spec.name == station else spec
                for spec in rules.stations
            )
            rules = replace(rules, stations=stations)
        self.line = replace(self.line, rules=rules)

    def retired(self, station: StationName, heir: StationName | None) -> None:
        if not self.knows(station) or self.line.rules.station(station).required:
            return  # iron rule: a required station is never retired by the factory
        for work in tuple(self.line.jobs.values()):
            if work.station == station and isinstance(work.place, Waiting | Resting):
                if heir is not None and self.knows(heir):
                    self.hand_off(work, heir, f"station {station} left the line")
                else:
                    question = f"station {station} left the line: where should this go?"
                    self.put(work.job.id, NeedsYou(question=question))

    def close(self, event: Closing) -> None:
        if self.line.closing is None:
            self.line = replace(self.line, closing=event)
            if self.line.gate.landing is None:
                self.feed(landing.Paused(paused=True))
            else:  # the gate may hear nothing else before it knows whether it landed
                self.line = replace(self.line, gate=replace(self.line.gate, paused=True))

    def resumed(self, serial: int, tip: Oid) -> None:
        self.line = replace(
            self.line,
            serial=max(self.line.serial, serial),
            closing=None,
            paused=False,
            losses=0,
            breakers={},
            opened_at=self.now,
        )
        for work in self.line.jobs.values():
            if isinstance(work.place, Resting):  # its alarm went with the process that set it
                self.actions.append(WakeAt(when=work.place.until))
        self.feed(landing.Paused(paused=True))  # nothing starts until the gate knows what is lost
        if self.line.gate.target != tip:
            self.feed(landing.Moved(tip=tip))
        for trial, held in tuple(self.line.trials.items()):
            if not held.external:
                self.feed(landing.Result(run=trial, verdict="lost"))
        self.feed(landing.Paused(paused=False))

    # -- routing ---------------------------------------------------------------------------------

    def arrive(self, job: JobId, commit: Oid) -> None:
        work = self.change(job, commit=commit, failure="")
        self.put(job, InGate(commit=commit))
        scope_key = "|".join(work.job.scope.write)
        entry = landing.Entry(job=job, commit=commit, scope_key=scope_key)
        self.feed(landing.Arrived(branches=(entry,)))

    def feed(self, event: landing.Input, *, tail: str = "") -> None:
        """Give the gate an input and carry out what it answers."""
        gate, outputs = landing.gate(self.line.gate, event)
        self.line = replace(self.line, gate=gate)
        for output in outputs:
            match output:
                case landing.Start(run=run, base=base, jobs=jobs):
                    self.compose(run, base, jobs)
                case landing.Cancel(run=run):
                    self.actions.append(CancelTrial(trial=run))
                case landing.Land(run=run, jobs=jobs):
                    self.land(run, jobs)
                case landing.Return(job=job, cause=cause, run=run):
                    self.returned(job, cause, run, tail)
                case _:
                    assert_never(output)
        self.prune()

    def prune(self) -> None:
        """Forget the trials that the gate no longer runs, but for one that waits to land."""
        live = self.line.gate.runs
        if any(trial not in live for trial in self.line.trials):
            trials = {
                trial: held
                for trial, held in self.line.trials.items()
                if trial in live or trial == self.line.gate.landing
            }
            self.line = replace(self.line, trials=trials)

    def compose(self, run: int, base: Oid, jobs: tuple[JobId, ...]) -> None:
        works = (self.line.jobs[job] for job in jobs)
        branches = tuple(
            Branch(job=work.job.id, commit=work.place.commit, accept=work.job.accept)
            for work in works
            if isinstance(work.place, InGate)
        )
        held = Held(base=base, branches=branches)
        self.line = replace(self.line, trials={**self.line.trials, run: held})
        task = Compose(
            run=self.line.run, trial=run, base=base, branches=branches, line=self.line.rules.hash
        )
        self.actions.append(ComposeTree(task=task))

    def land(self, run: int, jobs: tuple[JobId, ...]) -> None:
        held = self.line.trials[run]
        assert held.composed is not None  # noqa: S101  (the gate lands only what was composed)
        assert held.composed.tree is not None  # noqa: S101
        branches = tuple((b.job, b.commit) for b in held.branches if b.job in frozenset(jobs))
        title = self.line.jobs[jobs[0]].job.title
        if len(jobs) > 1:
            title = f"Land {len(jobs)} jobs: {', '.join(jobs)}"
        self.actions.append(
            Land(
                trial=run,
                base=held.base,
                tree=held.composed.tree,
                branches=branches,
                title=title,
            )
        )

    def returned(self, job: JobId, cause: landing.Cause, run: int, tail: str) -> None:
        work = self.line.jobs[job]
        assert isinstance(work.place, InGate)  # noqa: S101
        match cause:
            case landing.Cause.CONFLICT:
                held = self.line.trials.get(run)
                clash = held.composed.base_clash.get(job, ()) if held and held.composed else ()
                why = "conflicts with the target in " + ", ".join(clash or ("its paths",))
                self.actions.append(Salvage(job=job, commit=work.place.commit))
                self.conflict(self.change(job, commit=None), why)
            case landing.Cause.RED:
                self.red(work, work.place.commit, tail)
            case _:
                assert_never(cause)

    def conflict(self, work: Work, why: str) -> None:
        spec = self.line.rules.station(work.job.route)
        if work.tries < self.attempts(work, spec) and "conflict" not in spec.on:
            self.change(work.job.id, station=work.job.route, failure=why, judged_from=None)
            self.wait(work.job.id)
        else:
            self.give_up(work, spec, "conflict", why, why)

    def red(self, work: Work, commit: Oid, tail: str) -> None:
        job, repair = work.job.id, self.line.rules.repair
        if repair is not None and work.rounds < self.line.rules.station(repair).rounds:
            self.change(
                job, station=repair, failure=tail, rounds=work.rounds + 1, tries=0, commit=commit
            )
            self.wait(job)
        else:
            spec = self.line.rules.station(work.job.route)
            rounds = f" after {work.rounds} repairs" if work.rounds else ""
            self.give_up(work, spec, "red", f"its tests are red{rounds}", tail)

    def give_up(self, work: Work, spec: StationSpec, outcome: str, fault: str, tail: str) -> None:
        """Send a job where its station's ``on`` says, else make it a dead letter."""
        work = self.line.jobs[work.job.id]
        self.settle_hand_off(
            work,
            spec.on.get(outcome, "dead"),
            f"{spec.name}: {fault}",
            Dead(fault=fault, tail=tail),
        )

    def settle_hand_off(self, work: Work, to: str, why: str, place: Place) -> None:
        work = self.line.jobs[work.job.id]
        if to == "inbox" and not isinstance(place, NeedsYou):
            place = NeedsYou(question=why, commit=work.commit)
        elif to == "dead" and isinstance(place, NeedsYou):
            place = Dead(fault=why)
        elif to not in ("inbox", "dead"):
            self.hand_off(work, StationName(to), why)
            return
        if work.commit is not None:
            self.actions.append(Salvage(job=work.job.id, commit=work.commit))
        self.put(work.job.id, place)

    def hand_off(self, work: Work, station: StationName, why: str) -> None:
        if work.commit is not None:
            self.actions.append(Salvage(job=work.job.id, commit=work.commit))
        self.change(
            work.job.id,
            station=station,
            tries=0,
            strays=0,
            commit=None,
            failure=why,
            judged_from=None,
        )
        self.wait(work.job.id)

    def rest(self, work: Work, why: str, tail: str) -> None:
        rules, work = self.line.rules, self.line.jobs[work.job.id]
        ceiling = min(rules.backoff_cap, rules.backoff_first * 2 ** max(0, work.tries - 1))
        chance = zlib.crc32(f"{self.line.run}/{work.job.id}/{work.attempt}".encode()) / 2**32
        until = self.now + ceiling * (0.5 + chance / 2)
        if tail and work.commit is None:
            self.change(work.job.id, failure=tail)
        self.put(work.job.id, Resting(until=until, why=why))
        self.actions.append(WakeAt(when=until))

    def wait(self, job: JobId) -> None:
        self.put(job, Waiting())
        if job not in self.line.queue:
            self.line = replace(self.line, queue=(job, *self.line.queue))

    def put(self, job: JobId, place: Place) -> None:
        self.change(job, place=place, since=self.now)

    def change(self, job: JobId, **fields: object) -> Work:
        work = replace(self.line.jobs[job], **fields)  # type: ignore[arg-type]  # own fields
        self.line = replace(self.line, jobs={**self.line.jobs, job: work})
        return work

    def attempts(self, work: Work, spec: StationSpec) -> int:
        own = work.job.budget.attempts
        return spec.attempts if own is None else own

    def knows(self, station: str) -> bool:
        return any(spec.name == station for spec in self.line.rules.stations)

    # -- breakers --------------------------------------------------------------------------------

    def count(self, spec: StationSpec, outcome: Outcome) -> None:
        breaker = self.line.breakers.get(spec.name, Breaker())
        if not (isinstance(outcome, Failed) and outcome.environment):
            if breaker != Breaker():
                self.line = replace(
                    self.line, breakers={**self.line.breakers, spec.name: Breaker()}
                )
            return
        breaker = replace(breaker, failures=breaker.failures + 1)
        if breaker.failures >= self.line.rules.breaker_after or breaker.opened:
            until = self.now + self.line.rules.breaker_rest
            breaker = Breaker(failures=0, opened=breaker.opened + 1, until=until)
            self.actions.append(WakeAt(when=until))
            if breaker.opened >= BREAKS:
                why = f"station {spec.name} fails for reasons of the machine: {outcome.fault}"
                self.close(Closing(reason=Reason.ENVIRONMENT, why=why))
        self.line = replace(self.line, breakers={**self.line.breakers, spec.name: breaker})

    # -- starting --------------------------------------------------------------------------------

    def fill(self) -> None:
        """Start what may start: the longest waiting first, as far as seats and scopes allow."""
        self.check_budget()
        self.wake()
        if self.line.closing is not None or self.line.paused:
            return
        held = under_way(self.line)
        active = [work for work in held if isinstance(work.place, Working)]
        free = self.line.rules.seats - len(active)
        taken: dict[StationName, int] = {}
        for work in active:
            taken[work.station] = taken.get(work.station, 0) + 1
        left: list[JobId] = []
        shut: set[Scope] = set()
        queue = iter(self.line.queue)
        for job in queue:
            work = self.line.jobs[job]
            if not isinstance(work.place, Waiting):
                continue
            if free <= 0:
                left.append(job)
                left.extend(queue)
                break
            if work.job.scope not in shut and self.may_start(work, taken):
                if blocked_by(held, work) is not None:
                    shut.add(work.job.scope)
                    left.append(job)
                    continue
                self.start(work)
                held.append(work)
                taken[work.station] = taken.get(work.station, 0) + 1
                free -= 1
            elif isinstance(self.line.jobs[job].place, Waiting):
                left.append(job)
        if tuple(left) != self.line.queue:
            self.line = replace(self.line, queue=tuple(left))

    def may_start(self, work: Work, taken: Mapping[StationName, int]) -> bool:
        """Say whether needs, budget, breaker and seats let a job start; its scope is yet to see."""
        lost = next((need for need in work.job.needs if _hopeless(self.line, need)), None)
        if lost is not None and unmet(self.line, work.job):
            self.put(work.job.id, Dead(fault=f"it needs {lost}, which did not land"))
            return False
        spec = self.line.rules.station(work.station)
        seconds = work.job.budget.seconds
        if seconds is not None and work.spend.seconds >= seconds:
            fault = f"the {seconds:g} seconds of its budget are spent"
            self.give_up(work, spec, "failed", fault, work.failure)
            return False
        breaker = self.line.breakers.get(spec.name, Breaker())
        busy = taken.get(spec.name, 0)
        if self.now < breaker.until or (breaker.opened and busy):
            return False
        if spec.seats and busy >= spec.seats:
            return False
        return not unmet(self.line, work.job)

    def start(self, work: Work) -> None:
        job, spec = work.job, self.line.rules.station(work.station)
        target = self.line.gate.target
        repairs = work.commit is not None
        base = work.commit if work.commit is not None else target
        judged_from = work.judged_from if repairs and work.judged_from else target
        serial = self.line.serial
        seconds = spec.timeout
        if job.budget.seconds is not None:
            seconds = min(seconds, max(1.0, job.budget.seconds - work.spend.seconds))
        found = {need: text for need in job.needs for text in _answers(self.line, need)}
        work = self.change(
            job.id,
            attempt=work.attempt + 1,
            tries=work.tries + 1,
            base=base,
            judged_from=judged_from,
        )
        self.put(job.id, Working(station=spec.name, serial=serial))
        self.line = replace(self.line, serial=serial + 1)
        brief = Brief(
            title=job.title, text=job.brief, failure=work.failure, found=found, told=work.told
        )
        assignment = Assignment(
            run=self.line.run,
            job=job.id,
            station=spec.name,
            attempt=work.attempt,
            serial=serial,
            base=base,
            judged_from=judged_from,
            scope=job.scope,
            brief=brief,
            seconds=seconds,
            idle=spec.idle,
            line=self.line.rules.hash,
        )
        self.actions.append(Start(assignment=assignment))

    def wake(self) -> None:
        for work in self.line.jobs.values():
            if isinstance(work.place, Resting) and work.place.until <= self.now:
                self.wait(work.job.id)

    def check_budget(self) -> None:
        seconds = self.line.rules.budget.seconds
        if seconds is None or self.line.closing is not None:
            return
        if self.now - self.line.opened_at >= seconds:
            time = f"{seconds:g} seconds" if seconds < MINUTE else f"{seconds / MINUTE:g} minutes"
            self.close(Closing(reason=Reason.BUDGET, why=f"the run's {time} are up"))


def _answers(line: Line, need: JobId) -> Iterator[str]:
    work = line.jobs[need]
    if work.found:
        yield work.found
    for child in work.children:
        yield from _answers(line, child)


def replay(events: Iterator[tuple[Event, float]]) -> Line:
    """Give the line that these events made, the first of them ``Opened``; ValueError if not."""
    first, at = next(events)
    if not isinstance(first, Opened):
        raise ValueError(f"a run begins with `opened`, not with `{first.kind}`")  # noqa: TRY004
    line = opened(first, at)
    for event, now in events:
        line, _ = step(line, event, now)
    return line
