"""Commits: what git tells of the past, read in one go and given as values."""

from collections.abc import Iterator, Sequence
from typing import Final

from factory.complaint import Complaint
from factory.history.changes import Past, past
from worktrees.git import Git, GitTimeout
from worktrees.names import OID_PATTERN, Oid

MOST: Final = 2_000
"""So many commits are read unless a person asks for more."""
_RENAMES: Final = 400
_SECONDS: Final = 60.0
_CAP: Final = 128 * 1024 * 1024
_USAGE: Final = 2
_FOLLOWED: Final = frozenset("RC")


def read(git: Git, head: Oid, *, most: int = MOST, seconds: float = _SECONDS) -> Past:
    """Read the newest ``most`` commits that are no merges; complain when git takes too long."""
    try:
        listed = git(
            *("rev-list", "--no-merges", "--timestamp", f"--max-count={most}"),
            *("--end-of-options", head),
            timeout=seconds,
        ).out
        rows = [row.split(b" ") for row in listed.splitlines()]
        told = git(
            *("diff-tree", "--stdin", "-r", "-z", "--root", "--always", "--name-status"),
            *("-M", f"-l{_RENAMES}"),
            stdin=b"".join(oid + b"\n" for _, oid in rows),
            timeout=seconds,
            cap=_CAP,
        ).out
    except GitTimeout as late:
        raise Complaint(
            f"git took more than {seconds:g} s to read {most} commits",
            hint="read fewer of them: --commits 500",
            code=_USAGE,
        ) from late
    entries = git("ls-tree", "-r", "-z", head, timeout=seconds, cap=_CAP).parts
    # A submodule stands among the files, and is none.
    tracked = tuple(
        _path(path)
        for kind, _, path in (entry.partition(b"\t") for entry in entries)
        if b" blob " in kind
    )
    times = {oid.decode(): int(when) for when, oid in rows}
    return past(_touched(told), times, head=head, tracked=tracked)


def _touched(told: bytes) -> Iterator[tuple[Oid, Sequence[tuple[str, str]]]]:
    """Read what `git diff-tree --stdin -z --name-status` told: commits with their pairs of paths.

    A record is a commit's id, or a status with one path (two for a rename), so nothing that a path
    holds can be taken for anything else.
    """
    words = iter(told.split(b"\0"))
    commit: Oid | None = None
    pairs: list[tuple[str, str]] = []
    for word in words:
        text = word.decode("ascii", "replace")
        if OID_PATTERN.fullmatch(text):
            if commit is not None:
                yield commit, pairs
            commit, pairs = Oid(text), []
        elif text:
            old = _path(next(words))
            pairs.append((old, _path(next(words)) if text[0] in _FOLLOWED else old))
    if commit is not None:
        yield commit, pairs


def _path(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")
