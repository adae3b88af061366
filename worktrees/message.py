"""The message of a landing commit: our trailers, and a title that is only text."""

import re
import unicodedata
from collections.abc import Sequence
from typing import Final

from worktrees.names import (
    TRAILER_CHECKED,
    TRAILER_JOB,
    TRAILER_RUN,
    TRAILER_TREE,
    JobId,
    Oid,
    RunId,
)

TITLE: Final = 100
"""A subject has at most this many characters."""
_SWITCHES: Final = re.compile(
    r"\[\s*(?:skip|no)[ -](?:ci|actions)\s*\]|\[\s*(?:ci|actions)[ -]skip\s*\]|\*\*\*NO_CI\*\*\*",
    re.IGNORECASE,
)
_CLOSING: Final = re.compile(
    r"\b(close[sd]?|fix(?:e[sd])?|resolve[sd]?)(:\s*|\s+)"
    r"(?:[\w.-]+/[\w.-]+)?(?:#|GH-|https?://\S*/(?:issues|pull)/)(?=\d)",
    re.IGNORECASE,
)
"""Words with which a forge closes an issue when the commit reaches its default branch."""
_MENTION: Final = re.compile(r"(?<![\w.])@(?=\w)")
_ADDRESS: Final = re.compile(r"https?://[!-~]{1,400}")
_MAILBOX: Final = re.compile(r"[A-Za-z0-9._%+\[\]-]{1,120}@[A-Za-z0-9.-]{1,120}")
_NO_NAME: Final = str.maketrans(dict.fromkeys('@#<>&`*"', " "))
_TRAILER: Final = re.compile(r"^([A-Za-z0-9]+(?:-[A-Za-z0-9]+)+)\s*:")


def landing_message(
    *,
    run: RunId,
    jobs: Sequence[JobId],
    tree: Oid,
    title: str,
    signoff: str | None,
    checked: Sequence[str] = (),
    credit: Sequence[str] = (),
) -> str:
    """Give the whole message: a cleaned subject, then run, jobs and tested tree as trailers.

    ``checked`` are addresses that a server gave: what is not plainly one is left out. ``credit``
    names whose work this builds on, each as ``name <address>``.
    """
    lines = [clean_title(title) or f"Land {', '.join(jobs)}"[:TITLE], "", f"{TRAILER_RUN}: {run}"]
    lines += [f"{TRAILER_JOB}: {job}" for job in jobs]
    lines.append(f"{TRAILER_TREE}: {tree}")
    lines += [f"{TRAILER_CHECKED}: {at}" for at in checked if _ADDRESS.fullmatch(at)]
    lines += [f"Co-authored-by: {_one_line(who)}" for who in credit]
    if signoff is not None:
        lines.append(f"Signed-off-by: {_one_line(signoff)}")
    return "\n".join([*lines, ""])


def clean_title(title: str) -> str:
    """Give one line that is only text: it hides, calls, closes, skips and signs nothing."""
    line = _one_line(_SWITCHES.sub("", _one_line(title)))
    line = _MENTION.sub("@ ", _CLOSING.sub(r"\1\2no. ", line))
    return _TRAILER.sub(r"\1 -", line, count=1)[:TITLE].strip()


def person_line(name: str, address: str) -> str:
    """Give a person as a line of credit that is only a name; empty when it cannot be one.

    Both come from a commit that anybody may have made: nothing in them mentions or closes.
    """
    if not _MAILBOX.fullmatch(address):
        return ""
    shown = " ".join(_one_line(name).translate(_NO_NAME).split())
    shown = _CLOSING.sub(r"\1\2no. ", shown)[:TITLE].strip()
    return f"{shown} <{address}>" if shown else ""


def _one_line(text: str) -> str:
    shown = (" " if unicodedata.category(sign).startswith(("C", "Z")) else sign for sign in text)
    return " ".join("".join(shown).split())
