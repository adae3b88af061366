"""Where a job goes after an attempt: on to the gate, once more, to another station, or out."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final, assert_never

from factory.budgets import share, tighter
from factory.events import (
    Closing,
    Dead,
    Finished,
    NeedsYou,
    Reason,
    Resting,
    Salvage,
    WakeAt,
    Withdrawn,
    Working,
)
from factory.feeding import close
from factory.reviews import pass_on, remark_line, reviewed, submit
from factory.state import INTERRUPTIONS, Breaker, Work, by_model
from factory.turn import Turn
from stations.contract import (
    Done,
    Escalated,
    Failed,
    Found,
    Job,
    Kind,
    Outcome,
    Reviewed,
    Split,
    StationSpec,
    Strayed,
    Unchanged,
)
from worktrees.names import JobId, StationName

DEPTH: Final = 2
"""How deep a job may be split."""
WANTS: Final = 8
"""At most so many globs that an agent wants are put before a person, who is to read them."""
BREAKS: Final = 3
"""Times in a row that one breaker may open before the line closes."""


def finished(turn: Turn, event: Finished) -> None:
    """Take the answer of an attempt; a late one is charged and its work kept, no more."""
    work = turn.line.jobs.get(event.job)
    if work is None:
        return
    if event.attempt in work.unanswered:
        rest = tuple(number for number in work.unanswered if number != event.attempt)
        spend = work.spend + event.outcome.spend
        work = turn.change(event.job, spend=spend, unanswered=rest)
    if event.attempt != work.attempt or not isinstance(work.place, Working):
        turn.keep(event.job, event.outcome)  # a late answer of an attempt that was given up
        return
    spec = turn.line.rules.station(work.station)
    _clock(turn, spec, event.outcome.spend.seconds)
    if work.author is not None:
        reviewed(turn, work, spec, event.outcome)
        return
    _count(turn, spec, event.outcome)
    _outcome(turn, work, spec, event.outcome)


def lose(turn: Turn, work: Work, spec: StationSpec, outcome: str, fault: str, tail: str) -> None:
    """Give a job up; work that was only sent back by a review goes on to the gate instead."""
    work = turn.line.jobs[work.job.id]
    if work.answering:
        pass_on(turn, work, f"what it asked for was not done: {fault}")
    else:
        turn.give_up(work, spec, outcome, fault, tail)


def broke(turn: Turn, work: Work, spec: StationSpec, fault: str, tail: str) -> None:
    """Give up a job that has nothing left to spend; another station would not have it either."""
    if work.answering:
        lose(turn, work, spec, "failed", fault, tail)
        return
    to = "inbox" if spec.on.get("failed") == "inbox" else "dead"
    turn.settle_hand_off(work, to, fault, Dead(fault=fault, tail=tail))


def _outcome(turn: Turn, work: Work, spec: StationSpec, outcome: Outcome) -> None:
    job = work.job.id
    match outcome:
        case Done(commit=commit):
            submit(turn, job, commit)
        case Failed():
            _failed(turn, work, spec, outcome)
        case Strayed():
            _strayed(turn, work, spec, outcome)
        case Escalated(reason=reason, commit=None) if work.answering:
            lose(turn, work, spec, "escalated", reason, "")
        case Escalated(reason=reason, wants=wants, commit=commit):
            to = spec.on.get("escalated", "inbox")
            if to in ("inbox", "dead") or commit is not None:
                turn.change(job, answering=False)
                if commit is not None:
                    turn.change(job, commit=commit, wrote=work.attempt)
                    place = NeedsYou(question=reason, wants=wants, commit=commit)
                else:
                    place = _question(reason, wants[:WANTS])
                turn.settle_hand_off(work, to, reason, place)
            else:
                turn.hand_off(work, StationName(to), reason)
        case Unchanged():
            _unchanged(turn, work, spec)
        case Found(data=data):
            _answered(turn, job, data)
        case Split() if work.answering:
            lose(turn, work, spec, "failed", "its author proposed to split it", "")
        case Split(jobs=jobs):
            _split(turn, work, jobs)
        case Reviewed(remarks=remarks):  # a job of its own: to read the tree as it is
            _answered(turn, job, "\n".join(remark_line(each) for each in remarks))
        case _:
            assert_never(outcome)


def _question(reason: str, wants: tuple[str, ...]) -> NeedsYou:
    """Ask a person, who must see all that a yes allows."""
    allows = f" (a yes lets it change {', '.join(wants)})" if wants else ""
    return NeedsYou(question=f"{reason}{allows}", wants=wants)


def _answered(turn: Turn, job: JobId, data: str) -> None:
    turn.change(job, found=data)
    turn.put(job, Withdrawn(why="answered; it changes nothing", met=True))


def _failed(turn: Turn, work: Work, spec: StationSpec, failed: Failed) -> None:
    job, untried = work.job.id, max(0, work.tries - 1)
    match failed.cause:
        case "budget":
            _budget(turn, work, spec, failed)
        case "denied" | "full":
            turn.change(job, tries=untried)
            turn.wait(job)
            why = f"station {spec.name}: {failed.fault}"
            close(turn, Closing(reason=Reason.ENVIRONMENT, why=why))
        case "limited":
            _limited(turn, turn.change(job, tries=untried), spec, failed.fault)
        case "contract":
            _missed(turn, work, spec)
            if _once_more(turn, work, spec, "contract"):
                turn.rest(work, failed.fault, failed.tail or failed.fault)
            else:
                lose(turn, work, spec, "failed", failed.fault, failed.tail)
        case "":
            _failed_plainly(turn, work, spec, failed)
        case _:
            assert_never(failed.cause)


def _failed_plainly(turn: Turn, work: Work, spec: StationSpec, failed: Failed) -> None:
    job, untried = work.job.id, max(0, work.tries - 1)
    if failed.interrupted and work.interruptions < INTERRUPTIONS:
        turn.change(job, interruptions=work.interruptions + 1, tries=untried)
        turn.wait(job)
        return
    if failed.environment:
        # The machine was at fault: the try does not count, the station's breaker does.
        turn.change(job, tries=untried)
        turn.rest(work, failed.fault, failed.tail)
        return
    if not failed.interrupted:
        _missed(turn, work, spec)
    if failed.retryable and work.tries < turn.attempts(work, spec):
        handed = failed.tail or (failed.fault if by_model(spec) else "")
        turn.rest(work, failed.fault, handed)
    else:
        lose(turn, work, spec, "failed", failed.fault, failed.tail)


def _budget(turn: Turn, work: Work, spec: StationSpec, failed: Failed) -> None:
    """Go on after an account was spent: what is left to do waits for whoever fills it."""
    job, untried = work.job.id, max(0, work.tries - 1)
    if failed.account in {"run", "day"}:
        turn.change(job, tries=untried)
        turn.wait(job)
        close(turn, Closing(reason=Reason.BUDGET, why=failed.fault, lands=True))
    elif failed.account == "station":
        turn.change(job, tries=untried)
        turn.wait(job)
        turn.shut(spec.name, failed.fault)
    else:
        broke(turn, work, spec, f"the job's budget is spent: {failed.fault}", failed.tail)


def _limited(turn: Turn, work: Work, spec: StationSpec, fault: str) -> None:
    """Let a station whose provider told us to wait rest; then one job at a time tries again."""
    line = turn.line
    breaker = line.breakers.get(spec.name, Breaker())
    until = max(turn.now + line.rules.breaker_rest, breaker.until)
    breaker = replace(breaker, opened=max(1, breaker.opened), until=until)
    turn.line = replace(
        line,
        limited=turn.now if line.limited is None else line.limited,
        breakers={**line.breakers, spec.name: breaker},
    )
    turn.put(work.job.id, Resting(until=until, why=fault, limited=True))
    turn.actions.append(WakeAt(when=until))


def _strayed(turn: Turn, work: Work, spec: StationSpec, strayed: Strayed) -> None:
    turn.keep(work.job.id, strayed)
    _missed(turn, work, spec)
    why = "; ".join(strayed.reasons) or "left its scope"
    if spec.agent is not None and _once_more(turn, work, spec, "strayed"):
        failing = f"{work.failure}\n\n" if work.commit is not None else ""
        turn.change(work.job.id, failure=f"{failing}refused: {why}")
        turn.wait(work.job.id)
    else:
        lose(turn, work, spec, "strayed", f"refused: {why}", "")


def _unchanged(turn: Turn, work: Work, spec: StationSpec) -> None:
    nothing = "the agent changed nothing"
    _missed(turn, work, spec)
    if work.answering:
        lose(turn, work, spec, "unchanged", nothing, "")
    elif work.commit is not None:
        turn.give_up(work, spec, "unchanged", "red, and the repair changed nothing", work.failure)
    elif spec.kind in (Kind.COMMAND, Kind.CLEANUP):
        turn.put(work.job.id, Withdrawn(why="nothing to change", met=True))
    elif _once_more(turn, work, spec, "unchanged"):
        turn.rest(work, nothing, nothing if by_model(spec) else "")
    else:
        lose(turn, work, spec, "unchanged", nothing, "")


def _once_more(turn: Turn, work: Work, spec: StationSpec, what: str) -> bool:
    """Say whether this may be tried again, which is granted once for each thing."""
    if what in work.again or work.tries >= turn.attempts(work, spec):
        return False
    turn.change(work.job.id, again=work.again | {what})
    return True


def _missed(turn: Turn, work: Work, spec: StationSpec) -> None:
    """Count a model's try that came to nothing: the next one is of a higher tier."""
    if by_model(spec):
        turn.change(work.job.id, raised=work.raised + 1)


def _split(turn: Turn, work: Work, jobs: tuple[Job, ...]) -> None:
    parent = work.job
    faults = tuple(_misfits(turn, parent, jobs))
    if faults or not jobs:
        why = "; ".join(faults) or "split into nothing"
        lose(turn, work, turn.line.rules.station(work.station), "failed", why, "")
        return
    if work.commit is not None:
        turn.actions.append(Salvage(job=parent.id, commit=work.commit))
    turn.change(parent.id, children=tuple(job.id for job in jobs))
    names = ", ".join(job.id for job in jobs)
    turn.put(parent.id, Withdrawn(why=f"split into {names}", met=True))
    left = share(parent.budget, work.spend, len(jobs))
    parts = [
        replace(job, needs=(*parent.needs, *job.needs), budget=tighter(job.budget, left))
        for job in jobs
    ]
    if parent.accept:  # it must pass where all the parts are in: on the tree of the last one
        mates = tuple(job.id for job in jobs[:-1] if job.id not in jobs[-1].needs)
        last = parts[-1]
        accept = (*last.accept, *parent.accept)
        parts[-1] = replace(last, needs=(*last.needs, *mates), accept=accept)
    turn.place_new(tuple(parts))


def _misfits(turn: Turn, parent: Job, jobs: Sequence[Job]) -> Iterator[str]:
    names = [job.id for job in jobs]
    for place, job in enumerate(jobs):
        if job.id in turn.line.jobs or job.id in names[:place]:
            yield f"{job.id}: there is such a job already"
        if job.depth != parent.depth + 1 or job.depth > DEPTH:
            yield f"{job.id}: split too deep"
        if not job.scope.inside(parent.scope):
            yield f"{job.id}: scope outside the parent's"
        if not turn.knows(job.route):
            yield f"{job.id}: no station {job.route}"
        if set(job.needs) & {*names[place:], parent.id}:
            yield f"{job.id}: needs what comes after it"


def _clock(turn: Turn, spec: StationSpec, seconds: float) -> None:
    """Count a station's seconds where it has a budget of them, and shut it when they are spent."""
    whole = spec.budget.seconds
    if whole is None:
        return
    used = turn.line.used.get(spec.name, 0.0) + seconds
    turn.line = replace(turn.line, used={**turn.line.used, spec.name: used})
    if used >= whole:
        turn.shut(spec.name, f"it has worked for the {whole:g} seconds of its budget")


def _count(turn: Turn, spec: StationSpec, outcome: Outcome) -> None:
    """Count a station's failures of the machine in a row; what a provider refuses is none."""
    refused = isinstance(outcome, Failed) and outcome.cause not in {"", "contract"}
    if refused:
        return
    line = turn.line
    if by_model(spec) and not (isinstance(outcome, Failed) and outcome.interrupted):
        turn.line = line = replace(line, limited=None)
    breaker = line.breakers.get(spec.name, Breaker())
    if not (isinstance(outcome, Failed) and outcome.environment):
        if breaker != Breaker():
            turn.line = replace(line, breakers={**line.breakers, spec.name: Breaker()})
        return
    breaker = replace(breaker, failures=breaker.failures + 1)
    if breaker.failures >= line.rules.breaker_after or breaker.opened:
        until = turn.now + line.rules.breaker_rest
        breaker = Breaker(failures=0, opened=breaker.opened + 1, until=until)
        turn.actions.append(WakeAt(when=until))
        if breaker.opened >= BREAKS:
            why = f"station {spec.name} fails for reasons of the machine: {outcome.fault}"
            close(turn, Closing(reason=Reason.ENVIRONMENT, why=why))
    turn.line = replace(turn.line, breakers={**turn.line.breakers, spec.name: breaker})
