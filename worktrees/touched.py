"""What each side of a merge touched since they parted, renames included; display knows more."""

from dataclasses import dataclass
from functools import lru_cache

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
    paths, renames = _diff(git, fork, branch)
    by_target, target_renames = _diff(git, fork, tip)
    moved = frozenset(new for was, new in target_renames if was in paths)
    return Own(paths=paths, renames=renames, by_target=by_target, moved_by_target=moved)


def changed(git: Git, before: str, after: str) -> set[bytes]:
    """Give the paths whose entries differ between two trees; a rename is two of them."""
    raw = git("diff-tree", "-r", "-z", "--no-renames", "--name-only", before, after)
    return set(raw.parts)


@lru_cache(maxsize=64)
def _diff(
    git: Git, before: str, after: str
) -> tuple[frozenset[bytes], tuple[tuple[bytes, bytes], ...]]:
    """Give the paths that differ between two commits, and the renames among them.

    Ids name contents, so an answer holds for good; branches of one landing mostly share a fork.
    """
    if before == after:
        return frozenset(), ()
    words = iter(git("diff-tree", "-r", "-z", "-M", "-l7000", "--name-status", before, after).parts)
    paths, renames = list[bytes](), list[tuple[bytes, bytes]]()
    for status in words:
        was = next(words)
        paths.append(was)
        if status.startswith(b"R"):
            paths.append(new := next(words))
            renames.append((was, new))
    return frozenset(paths), tuple(renames)
