"""How landings become pull requests: one for the run, or a stack when it is too large. Pure.

A part ends where a landing ends, so its head is exactly a commit that the gate tested.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from worktrees.names import JobId, Oid


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One landing of the run: its commit, and the jobs in it."""

    commit: Oid
    jobs: tuple[JobId, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How large a change is."""

    files: int
    lines: int

    def within(self, limit: "Size") -> bool:
        """Say whether it is no larger than this."""
        return self.files <= limit.files and self.lines <= limit.lines


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What one pull request holds: the landings from after ``below`` up to ``commit``."""

    below: Oid
    commit: Oid
    jobs: tuple[JobId, ...]
    landings: int
    size: Size


Measure = Callable[[Oid, Oid], Size]

MOST: int = 5
"""Parts of a stack that was made only because the change is large."""


def parts(
    base: Oid,
    steps: Sequence[Step],
    *,
    pulls: Literal["run", "job"],
    limit: Size,
    measure: Measure,
) -> tuple[Part, ...]:
    """Give the parts from the bottom up; later landings change none but the last of them.

    A landing that is too large alone is a part of its own; the last of ``MOST`` holds the rest.
    """
    found: list[Part] = []
    for step in steps:
        last = found[-1] if found else None
        grown = None if last is None or pulls == "job" else _grown(last, step, measure)
        full = pulls == "run" and len(found) == MOST
        if grown is not None and (grown.size.within(limit) or full):
            found[-1] = grown
        else:
            below = base if last is None else last.commit
            size = measure(below, step.commit)
            found.append(
                Part(below=below, commit=step.commit, jobs=step.jobs, landings=1, size=size)
            )
    return tuple(found)


def _grown(part: Part, step: Step, measure: Measure) -> Part:
    return Part(
        below=part.below,
        commit=step.commit,
        jobs=(*part.jobs, *step.jobs),
        landings=part.landings + 1,
        size=measure(part.below, step.commit),
    )
