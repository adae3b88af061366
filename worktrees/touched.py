"""What each side of a merge touched since they parted, renames included; display knows more."""

from dataclasses import dataclass

from worktrees.git import Git
from worktrees.names import Oid


@dataclass(frozen=True, slots=True, kw_only=True)
class Own:
    """What one branch touched since its merge base, and what the target did meanwhile."""

    paths: frozenset[bytes]
    renames: tuple[tuple[bytes, bytes], ...]
    by_target: frozenset[bytes]
    moved_by_target: frozenset[bytes]


def own_of(git: Git, tip: Oid, branch: Oid) -> Own:
    """Give what a branch touched since it left ``tip``'s history."""
    fork = git("merge-base", tip, branch).text
    paths = changed(git, fork, branch)
    moved = {new for was, new in _renames(git, fork, tip) if was in paths}
    return Own(
        paths=frozenset(paths),
        renames=tuple(_renames(git, fork, branch)),
        by_target=frozenset(changed(git, fork, tip)),
        moved_by_target=frozenset(moved),
    )


def changed(git: Git, before: str, after: str) -> set[bytes]:
    """Give the paths whose entries differ between two trees; a rename is two of them."""
    raw = git("diff-tree", "-r", "-z", "--no-renames", "--name-only", before, after)
    return set(raw.parts)


def _renames(git: Git, before: str, after: str) -> list[tuple[bytes, bytes]]:
    raw = git(
        "diff-tree", "-r", "-z", "-M", "-l7000", "--diff-filter=R", "--name-status", before, after
    )
    words = iter(raw.parts)
    return [(was, new) for _status, was, new in zip(words, words, words, strict=True)]
