"""The way through a line's review: an independent read between the author's seat and the gate.

A review decides nothing: it can send work back to its author once, and whatever else becomes of
it, the work goes on to the gate. Only a person's own ``on`` at the review station changes that.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from factory.events import Closing, Dead, Note, Reason
from factory.feeding import arrive, close
from factory.state import INTERRUPTIONS, Work
from factory.turn import Turn
from stations.contract import Escalated, Failed, Outcome, Remark, Reviewed, StationSpec
from worktrees.names import JobId, Oid

FOUND_GOOD: Final = "found good"
"""How the note on a review begins that asked for nothing more."""


def submit(turn: Turn, job: JobId, commit: Oid) -> None:
    """Send durable work to the line's review, or to the gate when nobody can read it."""
    spec = turn.line.rules.review
    work = turn.line.jobs[job]
    work = turn.change(job, commit=commit, wrote=work.attempt)
    if spec is None:
        arrive(turn, job, commit)
    elif why := _unseen(turn, spec):
        pass_on(turn, work, f"not reviewed: {why}")
    elif spec.name in turn.line.shut:
        pass_on(turn, work, f"not reviewed: {turn.line.shut[spec.name]}")
    else:
        # A second reader is told what the first one asked for.
        asked = work.failure if work.answering else ""
        turn.change(job, author=work.station, station=spec.name, answering=False, failure=asked)
        turn.wait(job)


def _unseen(turn: Turn, spec: StationSpec) -> str:
    """Say why an optional review does not see this work: it left the line, or sees a part only."""
    if spec.name in turn.line.rules.retired:
        return f"station {spec.name} left the line"
    every = turn.line.rules.sampled.get(spec.name, 1)
    came = turn.line.came.get(spec.name, 0)
    if every > 1:
        turn.line = replace(turn.line, came={**turn.line.came, spec.name: came + 1})
    return f"{spec.name} sees one in {every}" if came % every else ""


def pass_on(turn: Turn, work: Work, note: str) -> None:
    """Let work go on to the gate as it is, with a note of why."""
    assert work.commit is not None  # noqa: S101  (only durable work is reviewed)
    job = work.job.id
    turn.change(job, station=work.author or work.station, author=None, answering=False)
    turn.actions.append(Note(what="review", text=note, job=job))
    arrive(turn, job, work.commit)


def reviewed(turn: Turn, work: Work, spec: StationSpec, outcome: Outcome) -> None:
    """Go on with work that was under review, whatever its reader came to."""
    match outcome:
        case Reviewed(back=True, remarks=remarks) if work.returns == 0:
            turn.change(
                work.job.id,
                station=work.author,
                author=None,
                answering=True,
                returns=1,
                tries=0,
                again=frozenset(),
                failure=_asked(remarks),
            )
            turn.wait(work.job.id)
        case Reviewed(back=True, remarks=remarks):
            pass_on(turn, work, f"sent back once already; it still says {_first(remarks)}")
        case Reviewed(remarks=remarks):
            said = f"; it says {_first(remarks)}" if remarks else ""
            pass_on(turn, work, f"{FOUND_GOOD}{said}")
        case Failed(cause="budget", account="run" | "day", fault=fault):
            close(turn, Closing(reason=Reason.BUDGET, why=fault, lands=True))
            pass_on(turn, work, f"not reviewed: {fault}")
        case (
            Failed(cause="denied", fault=fault)
            | Failed(cause="budget", account="station", fault=fault)
        ):
            turn.shut(spec.name, fault)
            pass_on(turn, work, f"not reviewed: {fault}")
        case Failed(interrupted=True) if work.interruptions < INTERRUPTIONS:
            turn.change(work.job.id, interruptions=work.interruptions + 1)
            turn.wait(work.job.id)
        case Failed(fault=fault):
            _without(turn, work, spec.on.get("failed"), fault)
        case Escalated(reason=reason):
            _without(turn, work, spec.on.get("escalated"), reason)
        case _:
            turn.keep(work.job.id, outcome)
            pass_on(turn, work, f"not reviewed: {spec.name} gave no review")


def _without(turn: Turn, work: Work, to: str | None, why: str) -> None:
    """Go on without a review: to the gate, unless a person wrote where else to."""
    if to is None:
        pass_on(turn, work, f"not reviewed: {why}")
        return
    work = turn.change(work.job.id, station=work.author, author=None)
    turn.settle_hand_off(work, to, f"not reviewed: {why}", Dead(fault=f"not reviewed: {why}"))


def remark_line(remark: Remark) -> str:
    """Give a remark as one line: where, and what."""
    place = f"{remark.path}:{remark.line}" if remark.path and remark.line else remark.path
    return f"{place}: {remark.text}" if place else remark.text


def _asked(remarks: Sequence[Remark]) -> str:
    # The serious last: a brief that has no room for all of it keeps the end, as of any failure.
    ordered = sorted(remarks, key=lambda remark: remark.serious)
    lines = [f"- {'' if each.serious else '(minor) '}{remark_line(each)}" for each in ordered]
    return "\n".join(["An independent review of the change asks for more:", *lines])


def _first(remarks: Sequence[Remark]) -> str:
    more = f" and {len(remarks) - 1} more" if len(remarks) > 1 else ""
    return f"{remark_line(remarks[0])}{more}" if remarks else "nothing"
