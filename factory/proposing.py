"""What the line knows of its pull requests: what stands where, what failed, what was merged."""

from dataclasses import replace
from typing import assert_never

from factory.events import Delivered, Landed, Proposed, PullMerged, Reproduced, Undelivered
from factory.state import Proposal
from factory.turn import Turn

Told = Reproduced | Delivered | Undelivered | PullMerged


def proposed(turn: Turn, event: Told) -> None:
    """Take what happened to a pull request of this run, or to the evidence for one."""
    line = turn.line
    match event:
        case Reproduced(job=job, issue=issue):
            turn.line = replace(line, reproduced={**line.reproduced, (job, issue): event})
        case Undelivered(key=key):
            turn.line = replace(line, undelivered={**line.undelivered, key: event})
        case Delivered():
            _delivered(turn, event)
        case PullMerged():
            _merged(turn, event)
        case _:
            assert_never(event)


def _delivered(turn: Turn, event: Delivered) -> None:
    """Settle the jobs that stand in a pull request; what failed before does not count any more."""
    line = turn.line
    known = Proposal(
        key=event.key,
        jobs=event.jobs,
        branch=event.branch,
        base=event.base,
        commit=event.commit,
        number=event.number,
        pull=event.pull,
    )
    # A delivery ends at its first fault, and says it again while it holds; a key may change.
    turn.line = replace(line, proposals={**line.proposals, event.key: known}, undelivered={})
    for job in event.jobs:
        place = line.jobs[job].place
        if isinstance(place, Landed | Proposed):
            where = Proposed(pull=event.pull, commit=place.commit, tree=place.tree)
            if where != place:
                turn.put(job, where)


def _merged(turn: Turn, event: PullMerged) -> None:
    """Settle the jobs whose pull request the forge took, also as one commit of its own."""
    known = replace(turn.line.proposals[event.key], merged=event.commit)
    turn.line = replace(turn.line, proposals={**turn.line.proposals, event.key: known})
    for job in event.jobs:
        if isinstance(turn.line.jobs[job].place, Landed | Proposed):
            turn.put(job, Landed(commit=event.commit, tree=event.tree))
