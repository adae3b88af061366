"""The story of one job: every attempt, verdict and decision in order, from the ledger's records."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import assert_never

from factory.calls import by_job
from factory.events import (
    Advanced,
    Finished,
    GateAwaits,
    GateComposed,
    GateTried,
    Killed,
    Landed,
    Landing,
    Missed,
    Noted,
    Opened,
    Placed,
    Refused,
    Retried,
    Started,
    Steered,
    Working,
)
from factory.ledger import Record
from factory.line import Line, opened, remark_line, step
from factory.views.progress import moved, sent, verdict_said
from factory.views.rows import NO_CALL, spend_row, state, where
from factory.views.schemas import Moment, WhyDocument
from factory.wording import clean, count, failing, listed, masked, span
from stations.contract import (
    Done,
    Escalated,
    Failed,
    Found,
    Outcome,
    Red,
    Reviewed,
    Split,
    Strayed,
    Unchanged,
)
from stations.models.values import Call
from worktrees.names import JobId, StationName, workspace_name


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One record with the line before and after it."""

    record: Record
    before: Line | None
    line: Line


@dataclass(frozen=True, slots=True, kw_only=True)
class RedTrial:
    """A trial of a job that came out red, with the end of what failed."""

    at: float
    trial: int
    owner: str
    tail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Said:
    what: str
    text: str
    station: str | None = None
    attempt: int | None = None
    trial: int | None = None
    commit: str | None = None
    tail: tuple[str, ...] = ()


class Follower:
    """Steps a run's own line along its records as they come; `seq` is the last one taken."""

    def __init__(self) -> None:
        self.line: Line | None = None
        self.seq = 0

    def more(self, records: Iterable[Record]) -> Iterator[Step]:
        """Give each further record with the line before and after it."""
        for record in records:
            before, event = self.line, record.event
            if before is not None:
                line, _ = step(before, event, record.at)
            elif isinstance(event, Opened):
                line = opened(event, record.at)
            else:
                msg = f"a run begins with `opened`, not with `{event.kind}`"
                raise ValueError(msg)
            self.line, self.seq = line, record.seq
            yield Step(record=record, before=before, line=line)


def steps(records: Iterable[Record]) -> Iterator[Step]:
    """Give each record of one run with the line before and after it."""
    return Follower().more(records)


def why_document(
    line: Line,
    records: Iterable[Record],
    job: JobId,
    *,
    now: float,
    in_target: bool | None,
    calls: Sequence[Call] = (),
) -> WhyDocument:
    """Give a job's story; ``in_target`` is what git says, None when nobody asked it."""
    work = line.jobs[job]
    moments: list[Moment] = []
    began: float | None = None
    for made in steps(records):
        for said in _moments(made, job):
            at = made.record.at
            began = at if began is None else began
            moments.append(_moment(said, at, at - began))
    return {
        "schema": "factory.why/1",
        "run": line.run,
        "job": job,
        "title": clean(work.job.title),
        "brief": masked(work.job.brief),
        "scope": list(work.job.scope.write),
        "source": clean(work.job.source),
        "needs": list(work.job.needs),
        "state": state(work.place),
        "place": work.place.kind,
        "where": where(line, work, now),
        "in_target": in_target,
        "moments": moments,
        "spend": spend_row(work.spend, by_job(calls).get(job, NO_CALL)),
    }


def red_trials(records: Iterable[Record], job: JobId) -> Sequence[RedTrial]:
    """Give the trials of a job that came out red, oldest first."""
    found = []
    for made in steps(records):
        event = made.record.event
        match event:
            case GateTried(trial=trial, verdict=Red(owner=owner, tail=tail)) if job in _tried(
                made.before, trial
            ):
                red = RedTrial(at=made.record.at, trial=trial, owner=owner, tail=tail)
                found.append(red)
            case _:
                pass
    return found


def seat_of(records: Iterable[Record], job: JobId, attempt: int) -> StationName | None:
    """Give the station at which an attempt was made; None when it never began."""
    events = (record.event for record in records)
    begun = (event for event in events if isinstance(event, Started))
    same = (event.station for event in begun if (event.job, event.attempt) == (job, attempt))
    return next(same, None)


def _moments(made: Step, job: JobId) -> Iterator[_Said]:
    yield from _event(made, job)
    old = None if made.before is None else made.before.jobs.get(job)
    new = made.line.jobs.get(job)
    if new is None or old is None or old.place == new.place:
        return
    if isinstance(new.place, Landed):
        return
    # `Started` tells of a new attempt; here is only told why there is one.
    decided = sent(old, new) if isinstance(new.place, Working) else moved(old, new)
    for who, text, _ in decided:
        if not text.startswith("  "):
            yield _Said(what="decided", text=text.removeprefix(f"{job} "), station=who)


def _event(made: Step, job: JobId) -> Iterator[_Said]:
    event = made.record.event
    match event:
        case Placed(jobs=jobs) if any(each.id == job for each in jobs):
            yield _Said(what="placed", text=f"one of {count(len(jobs), 'job')}")
        case Started(job=of, station=station, attempt=attempt, serial=serial, base=base) if (
            of == job
        ):
            place = workspace_name(made.record.run, serial)
            text = f"attempt {attempt} at {station} from {base[:12]} in workspace {place}"
            yield _Said(what="started", text=text, station=station, attempt=attempt)
        case Finished(job=of, attempt=attempt, outcome=outcome) if of == job:
            work = None if made.before is None else made.before.jobs.get(job)
            late = work is None or work.attempt != attempt or not isinstance(work.place, Working)
            said = _ended(outcome)
            text = f"attempt {attempt} {'(given up before) ' if late else ''}{said.text}"
            who = None if work is None else work.station
            yield replace(said, text=text, attempt=attempt, station=who)
        case Finished(outcome=Split(jobs=jobs), job=of) if any(each.id == job for each in jobs):
            yield _Said(what="placed", text=f"{of} was split into {count(len(jobs), 'job')}")
        case GateComposed():
            yield from _composed(event, made.before, job)
        case GateAwaits(trial=trial) if job in _tried(made.before, trial):
            text = f"passed here; waits for the forge's checks of {clean(event.place)}"
            yield _Said(what="awaited", text=text, trial=trial)
        case GateTried(trial=trial, verdict=verdict) if job in _tried(made.before, trial):
            mates = listed(_tried(made.before, trial))
            lines = [text for _, text, _ in verdict_said(verdict, mates)]
            tail = tuple(text.strip() for text in lines[1:])
            yield _Said(what="tested", text=lines[0], trial=trial, tail=tail)
        case Landing(trial=trial, jobs=jobs, commit=commit, old=old) if job in jobs:
            text = f"about to move the target from {old[:12]} to {commit[:12]}"
            yield _Said(what="landing", text=text, trial=trial, commit=commit)
        case Advanced(trial=trial, jobs=jobs, commit=commit, tree=tree) if job in jobs:
            text = f"in {commit[:12]} as exactly the tested tree {tree[:12]}: {listed(jobs)}"
            yield _Said(what="landed", text=text, trial=trial, commit=commit)
        case Missed(trial=trial, tip=tip) if job in _tried(made.before, trial):
            text = f"the target stood at {tip[:12]} by then; nothing moved"
            yield _Said(what="missed", text=text, trial=trial)
        case Steered(job=of, text=text) if of == job:
            yield _Said(what="told", text=clean(masked(text)))
        case Killed(job=of) if of == job:
            yield _Said(what="killed", text="by a person; its work is kept")
        case Retried(job=of) if of == job:
            yield _Said(what="retried", text="a person put it back on the line")
        case Refused(job=of, why=why) if of == job:
            yield _Said(what="refused", text=clean(masked(why)))
        case Noted(what=what, text=text, job=of) if of == job:
            yield _Said(what=clean(what), text=clean(masked(text)))
        case _:
            return


def _composed(event: GateComposed, before: Line | None, job: JobId) -> Iterator[_Said]:
    made = event.composed
    if job not in _tried(before, made.trial):
        return
    if made.fault:
        text = f"the tree could not be made: {clean(masked(made.fault))}"
    elif job in made.base_clash:
        text = f"conflicts with the target in {_paths(made.base_clash[job])}"
    elif job in made.mate_clash:
        text = f"conflicts with a mate in {_paths(made.mate_clash[job])}; tested without it"
    elif event.known is not None:
        text = f"merged; this very tree is known to be {event.known.kind}"
    else:
        mates = [mate for mate in _tried(before, made.trial) if mate != job]
        text = f"merged {f'with {listed(mates)}' if mates else 'alone'} onto the target"
    yield _Said(what="merged", text=text, trial=made.trial)


def _ended(outcome: Outcome) -> _Said:
    after = f"after {span(outcome.spend.seconds)}"
    match outcome:
        case Done(commit=commit, note=note):
            note = f": {clean(masked(note))}" if note else ""
            return _Said(what="finished", text=f"made {commit[:12]} {after}{note}", commit=commit)
        case Failed(fault=fault, tail=tail):
            text = f"failed {after}{_blame(outcome)}: {clean(masked(fault))}"
            return _Said(what="failed", text=text, tail=failing(tail))
        case Strayed(reasons=reasons, commit=commit):
            lines = tuple(clean(masked(text)) for text in reasons[:8])
            return _Said(what="strayed", text=f"was refused {after}", commit=commit, tail=lines)
        case Escalated(reason=reason, wants=wants, commit=commit):
            text = f"asked a person {after}: {clean(masked(reason))}"
            lines = tuple(f"wants {clean(masked(want))}" for want in wants[:8])
            return _Said(what="escalated", text=text, commit=commit, tail=lines)
        case Unchanged(note=note):
            note = f": {clean(masked(note))}" if note else ""
            return _Said(what="unchanged", text=f"changed nothing {after}{note}")
        case Found():
            return _Said(what="found", text=f"answered {after}")
        case Split(jobs=jobs):
            names = listed(job.id for job in jobs)
            return _Said(what="split", text=f"was split {after} into {names}")
        case Reviewed(back=back, remarks=remarks):
            end = "asked for more" if back else "found it good"
            lines = tuple(clean(masked(remark_line(remark))) for remark in remarks[:8])
            said = f", {count(len(remarks), 'remark')}" if remarks else ""
            return _Said(what="reviewed", text=f"read it {after}: {end}{said}", tail=lines)
        case _:
            assert_never(outcome)


def _blame(failed: Failed) -> str:
    match failed.cause:
        case "budget":
            return f" (the budget of the {failed.account or 'job'} is spent)"
        case "denied":
            return " (the provider denied it)"
        case "limited":
            return " (the provider told us to wait)"
        case "contract":
            return " (no valid report)"
        case "full":
            return " (the disk is full)"
        case "":
            return " (the machine's fault)" if failed.environment else ""
        case _:
            assert_never(failed.cause)


def _tried(line: Line | None, trial: int) -> tuple[JobId, ...]:
    if line is None or trial not in line.trials:
        return ()
    run = line.gate.runs.get(trial)
    return tuple(branch.job for branch in line.trials[trial].branches) if run is None else run.jobs


def _paths(paths: Sequence[str]) -> str:
    return listed(clean(path) for path in paths)


def _moment(said: _Said, at: float, seconds: float) -> Moment:
    return {
        "at": at,
        "seconds": round(seconds, 3),
        "what": said.what,
        "text": said.text,
        "station": said.station,
        "attempt": said.attempt,
        "trial": said.trial,
        "commit": said.commit,
        "tail": list(said.tail),
    }
