"""What the factory says on issues and pull requests: fixed sentences with escaped fields. Pure."""

from collections.abc import Sequence
from typing import Final

from factory.forge.texts import REASON, field
from factory.wording import count
from worktrees.names import JobId, Oid, RunId

ROUNDS: Final = 2
"""Times that one pull request is repaired at most."""
_AT_WORK: Final = "A factory is at work on this issue."
_FREE: Final = "The work on this issue did not begin."
_LISTED: Final = 40


def at_work(number: int) -> str:
    """Give the comment on an issue that was taken."""
    return (
        f"{_AT_WORK} This comment will say what became of it. If it does not change within a day,"
        f" `factory run gh:{number}` takes the issue again.\n"
    )


def is_at_work(body: str) -> bool:
    """Say whether a comment of ours says that the work goes on."""
    return body.startswith(_AT_WORK)


def not_begun(number: int) -> str:
    """Give the comment on an issue whose work could not begin."""
    return (
        f"{_FREE} Why is known where the factory runs. The next call takes it, or"
        f" `factory run gh:{number}`.\n"
    )


def is_free(body: str) -> bool:
    """Say whether a comment of ours gives the issue back."""
    return body.startswith(_FREE)


def landed(run: RunId, *, branch: str, commit: Oid) -> str:
    """Give the comment for work that is on a branch where the factory runs."""
    return f"Done and tested: commit `{commit}` on {field(branch)}, by run `{run}`.\n"


def proposed(run: RunId, *, pull: str) -> str:
    """Give the comment for work that stands in a pull request."""
    return f"Done and tested; it is proposed in {address(pull)}, by run `{run}`.\n"


def given_up(run: RunId, number: int, *, why: str) -> str:
    """Give the comment for work that ended without a change."""
    return (
        f"Not done: {field(why, most=REASON)} (run `{run}`). `factory run gh:{number}` tries it"
        " again.\n"
    )


def asks(run: RunId, *, question: str) -> str:
    """Give the comment for work that waits for a person."""
    return (
        f"It waits for an answer where the factory runs (`factory inbox`, run `{run}`):"
        f" {field(question, most=REASON)}\n"
    )


def interrupted(run: RunId) -> str:
    """Give the comment for a run that stopped before its end."""
    return f"{_AT_WORK} It was interrupted; `factory resume {run}` goes on.\n"


def address(pull: str) -> str:
    """Give an address of ours as it is, whatever else was in its place as a field."""
    return (
        pull if pull.startswith("http") and pull.isprintable() and " " not in pull else field(pull)
    )


def answered(*, commit: Oid, job: JobId, run: RunId) -> str:
    """Give the answer in a thread whose remark was followed."""
    return (
        f"Changed in {commit}: each landing passed this repository's own tests (job `{job}`, run"
        f" `{run}`). Whoever opened this thread says whether that settles it.\n"
    )


def round_of(
    number: int,
    *,
    run: RunId,
    done: Sequence[str],
    undone: Sequence[tuple[str, str]],
    left: Sequence[str],
    where: str,
) -> str:
    """Give the comment on a pull request after a round: what was pushed, what was not, and why.

    ``done`` and the first of each ``undone`` are titles, ``where`` is a sentence of ours.
    """
    parts = [f"Round {number} of at most {ROUNDS} by run `{run}`. {where}", ""]
    parts += _list("Repaired", [field(title) for title in done])
    parts += _list("Not repaired", [f"{field(t)}: {field(why, most=REASON)}" for t, why in undone])
    parts += _list("Not looked at", [field(text, most=REASON) for text in left])
    parts.append("Threads stay open: whoever opened one says whether it is settled.")
    return "\n".join(parts) + "\n"


def is_round_of(body: str, commit: Oid) -> bool:
    """Say whether a comment on a round says that this commit was pushed.

    Only the sentence of ours counts: titles, and the run's name before it, are others' words.
    """
    return commit in body.partition("\n")[0].partition("`. ")[2]


def pushed(commit: Oid) -> str:
    """Say that new commits are on the pull request's own branch."""
    return f"New commits are on this branch, up to {commit}; nothing was rewritten."


def beside(branch: str, commit: Oid, *, remote: str) -> str:
    """Say that the commits lie beside a fork, and how its owner takes them."""
    return (
        f"This pull request comes from a fork, so its commits lie beside it, on {field(branch)} of"
        f" this repository at {commit}. They build on this pull request's head, and its author is"
        f" named in them. To take them: `git pull {remote} {branch}` on the fork's branch."
    )


def nothing_pushed(why: str) -> str:
    """Say that nothing was pushed, and why."""
    return f"Nothing was pushed: {field(why, most=REASON)}"


def _list(head: str, lines: Sequence[str]) -> list[str]:
    if not lines:
        return []
    more = len(lines) - _LISTED
    rest = [f"- and {count(more, 'more')}"] if more > 0 else []
    return [f"{head}:", *(f"- {line}" for line in lines[:_LISTED]), *rest, ""]
