"""What the end of a run means to who started it: one exit code, by the contract's precedence."""

from typing import Final

from factory.events import Dead, Landed, Proposed, Reason, Settled
from factory.line import Line
from worktrees.names import JobId

CLOSED: Final = {
    Reason.INTERRUPTED: 130,
    Reason.ENVIRONMENT: 7,
    Reason.LIMITED: 75,
    Reason.BUDGET: 3,
}
"""Reasons to close early that outrank what became of the jobs."""


RANK: Final = (130, 7, 6, 75, 3, 5, 1, 4, 0)
"""Where several exit codes hold, the first of these is given."""


def exit_code(line: Line) -> int:
    """Give the exit code of a run that stands still."""
    codes = {fault.code for fault in line.undelivered.values()}
    if line.closing is not None and line.closing.reason in CLOSED:
        codes.add(CLOSED[line.closing.reason])
    places = [work.place for work in line.jobs.values()]
    if any(isinstance(place, Dead) for place in places):
        codes.add(1)
    settled = all(isinstance(place, Settled) for place in places)
    # What is left waits for a person's answer, for a job that does, or for the target to be freed.
    codes.add(0 if settled else 4)
    return min(codes, key=RANK.index)


def landed_in(line: Line) -> frozenset[JobId]:
    """Give the jobs of a run whose work landed."""
    return frozenset(
        job for job, work in line.jobs.items() if isinstance(work.place, Landed | Proposed)
    )
