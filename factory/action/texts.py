"""Texts: what the Action says on an item and on the page of its run, from fixed templates. Pure.

What an agent or a stranger wrote stands in them only as a code span in which nothing acts.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from factory.forge.texts import REASON, field
from factory.wording import span

_REFUSED: Final = (
    "**Factory** made a change that the gate `{gate}` refused; nothing was pushed. More: [the run]"
    "({page})."
)
SURVEY: Final = 60_000
"""Characters of a survey in a comment: GitHub takes 65,536 with what else stands there."""
MOST_FINDINGS: Final = 20
"""Findings that a text lists; the rest is counted."""


def working(page: str) -> str:
    """Say that a run works on the item."""
    return f"**Factory** is working on this: [the run]({page})."


def ended(page: str, result: str, reason: str) -> str:
    """Say that a run came to its end without a change, by the result of its job and its words."""
    said = {
        "cancelled": "The work was cancelled or took too long",
        "failure": "The work failed",
        "skipped": "The work was not started",
    }.get(result, "The work ended without a change")
    why = f": {field(reason, most=REASON)}" if reason else ""
    return f"**Factory**: {said}{why}. Nothing was written. More: [the run]({page})."


def surveyed(page: str, survey: str) -> str:
    """Tell a survey, whose page is made of escaped fields; what does not fit stands in the run."""
    end = "\n\nThe rest stands in the artifact of the run.\n"
    whole = survey if len(survey) <= SURVEY else survey[:SURVEY].rpartition("\n")[0] + end
    return f"**Factory** surveyed what is related to this, in [this run]({page}).\n\n{whole}"


def unchanged(page: str) -> str:
    """Say that there was nothing to change."""
    return f"**Factory** found nothing to change. More: [the run]({page})."


def opened(page: str, *, number: int, operation: str, checks: str) -> str:
    """Say that a pull request stands."""
    verb = {"created": "opened", "updated": "updated"}.get(operation, "kept")
    return f"**Factory** {verb} #{number} for this, from [this run]({page}).{_after(checks)}"


def extended(page: str, *, commit: str, beside: str, checks: str) -> str:
    """Say that commits stand on the pull request's branch, or on one of ours beside a fork's."""
    where = f"{field(beside)}, beside this fork's branch" if beside else "this branch"
    return f"**Factory** put `{commit}` on {where}, from [this run]({page}).{_after(checks)}"


def beside(page: str, *, address: str, why: str) -> str:
    """Say that a branch stands and no pull request does."""
    return (
        "**Factory** finished the work for this and pushed its branch, but no pull request could"
        f" be opened: {field(why, most=REASON)}. A person can open it: {address}."
        f" It is from [this run]({page})."
    )


def refused(page: str, gate: str, findings: Sequence[str]) -> str:
    """Say that a change was refused, by which gate and for what."""
    return "\n".join(
        (
            _REFUSED.format(gate=gate, page=page),
            "",
            *_listed(findings),
        )
    )


def blocked(page: str, why: str) -> str:
    """Say that the item changed while the work ran, so that nothing was written."""
    return (
        f"**Factory** finished, but {why}, so nothing was pushed. Start it again when it still"
        f" should be done. More: [the run]({page})."
    )


def summary(
    role: str, status: str, *, facts: Mapping[str, str], phases: Mapping[str, float], more: str = ""
) -> str:
    """Give the page of one role: its status, what it did, and the seconds that each phase took."""
    rows = [f"| {name} | {value} |" for name, value in facts.items()]
    spent = [f"| {name} | {span(seconds)} |" for name, seconds in phases.items()]
    parts = [
        f"## Factory: {role}: {status}",
        "",
        *(("| | |", "|---|---|", *rows, "") if rows else ()),
        *(("| phase | took |", "|---|---|", *spent, "") if spent else ()),
        more,
    ]
    return "\n".join(parts).rstrip() + "\n"


def findings(named: Sequence[str]) -> str:
    """Give what a gate found as a list."""
    return "\n".join(_listed(named))


def unfinished(page: str, why: str) -> str:
    """Say that the forge failed while it was written to."""
    return (
        f"**Factory** could not finish writing: {field(why, most=REASON)}. What was pushed so far"
        f" stays; starting it again goes on from there. More: [the run]({page})."
    )


FOREIGN: Final = (
    "No checks were started: this branch holds a fork's code with this repository's rights. Read it"
    " first, then push to the branch to start them."
)


def started_by_hand(dispatched: str) -> str:
    """Say how checks start on a commit that a workflow's own token pushed."""
    return dispatched or (
        "A workflow's own token pushed this, so no checks start by themselves: close and reopen the"
        " pull request, or push to its branch, to start them."
    )


def dispatched(workflow: str) -> str:
    """Say that a workflow was started on the pushed branch."""
    return f"The workflow {field(workflow)} was started on the branch."


def not_dispatched(workflow: str, why: str) -> str:
    """Say that a workflow could not be started, and how checks start all the same."""
    said = f"The workflow {field(workflow)} could not be started: {field(why, most=REASON)}."
    return f"{said} {started_by_hand('')}"


def _after(checks: str) -> str:
    return f" {checks}" if checks else ""


def _listed(named: Sequence[str]) -> Iterable[str]:
    yield from (f"- {field(text, most=REASON)}" for text in named[:MOST_FINDINGS])
    if len(named) > MOST_FINDINGS:
        yield f"- and {len(named) - MOST_FINDINGS} more"
