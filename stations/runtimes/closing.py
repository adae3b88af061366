"""How an attempt of our own loop closes: what a report, a question, a split or a fault comes to.

Pure. What the model wrote was judged by its schema before; here it is cut and made printable.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from stations.contract import Assignment
from stations.models.values import ModelError
from stations.ran import printable
from stations.runtimes.task import DATA_CHARACTERS, Proposal, Report, Status
from stations.runtimes.toolset import SUMMARY_CHARACTERS, plain
from worktrees.scope import Scope, faults

DEEPEST: Final = 2
"""A part of a part is not split again."""
_PARTS: Final = (2, 8)
_LIST: Final = 50
_ENTRY: Final = 400
_STATUSES: Final[Mapping[str, Status]] = {
    "budget": "budget",
    "denied": "denied",
    "limited": "limited",
    "stopped": "stopped",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """How a session came to its end."""

    status: Status
    fault: str = ""
    report: Report | None = None
    split: tuple[Proposal, ...] = ()
    account: str = ""


def reported(given: Mapping[str, Any]) -> End:
    """Give what a valid `finish` says: `done` is worth a look at the tree, and no more."""
    report = Report(
        status=given["status"],
        summary=_cut(given["summary"]),
        needs_scope=_some(given.get("needs_scope", [])),
        data=_clean(given.get("data", ""))[:DATA_CHARACTERS],
    )
    said = plain(report.summary, SUMMARY_CHARACTERS)
    match given["status"]:
        case "done":
            return End(status="done", report=report)
        case "blocked":
            return End(status="blocked", fault=said or "blocked", report=report)
        case _:
            fault = said or "it failed and does not say why"
            return End(status="failed", fault=fault, report=report)


def escalated(given: Mapping[str, Any]) -> End:
    """Give what a valid `escalate` asks a person for."""
    reason = _cut(given["reason"])
    report = Report(status="blocked", summary=reason, needs_scope=_some(given["need"]))
    fault = plain(reason, SUMMARY_CHARACTERS) or "blocked"
    return End(status="blocked", fault=fault, report=report)


def parted(jobs: Sequence[Mapping[str, Any]], assignment: Assignment) -> End | str:
    """Give the jobs that a valid `split` proposes, or in a sentence why they cannot be taken."""
    if assignment.depth >= DEEPEST:
        return "this job is a part of a part already; do it, or escalate"
    fewest, most = _PARTS
    if not fewest <= len(jobs) <= most:
        return f"propose {fewest} to {most} jobs"
    parts: list[Proposal] = []
    for place, one in enumerate(jobs):
        title, globs, needs = plain(one["title"], 120), tuple(one["scope"]), one.get("needs", ())
        if not title:
            return f"jobs[{place}] has no title"
        if len(globs) > _LIST or any(len(glob) > _ENTRY for glob in globs):
            return f"the scope of jobs[{place}] must be at most {_LIST} short globs"
        if not globs or faults(globs) or not Scope(write=globs).inside(assignment.scope):
            whole = ", ".join(assignment.scope.write)
            return f"the scope of jobs[{place}] must be globs inside {whole}"
        if any(not 0 <= need < place for need in needs):
            return f"jobs[{place}] may only need jobs before it"
        needed = tuple(dict.fromkeys(needs))
        parts.append(Proposal(title=title, brief=_cut(one["brief"]), scope=globs, needs=needed))
    return End(status="split", split=tuple(parts))


def broken_off(error: ModelError) -> End:
    """Give the end that a call which will not be made again comes to."""
    status = _STATUSES.get(error.cause, "provider")
    return End(status=status, fault=str(error), account=error.account)


def _cut(words: str) -> str:
    return _clean(words)[:SUMMARY_CHARACTERS]


def _some(entries: Sequence[str]) -> tuple[str, ...]:
    return tuple(plain(entry, _ENTRY) for entry in entries[:_LIST])


def _clean(words: str) -> str:
    return printable(words.encode("utf-8", "replace"))
