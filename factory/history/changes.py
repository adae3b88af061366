"""Changes: what commits say of which files belong together, by the names files have today. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from worktrees.manifests import is_manifest
from worktrees.names import Oid
from worktrees.noise import is_noise
from worktrees.protection import protected

_MOST_FILES: Final = 30
"""A commit of more files is a sweep: it says nothing about what belongs together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One commit that is no merge: the files it changed, by the names they have today, sorted."""

    commit: Oid
    when: int
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """What was read of a history: its changes, the newest first, and what was left out.

    ``seen`` commits were read; ``sweeps`` of them changed too many files to say anything, and
    ``silent`` ones only files that say nothing or are gone.
    """

    head: Oid
    changes: tuple[Change, ...]
    tracked: tuple[str, ...]
    seen: int
    sweeps: int
    silent: int


def past(
    touched: Iterable[tuple[Oid, Sequence[tuple[str, str]]]],
    times: Mapping[str, int],
    *,
    head: Oid,
    tracked: tuple[str, ...],
) -> Past:
    """Give what commits say, from each one's pairs of an old and a new path, the newest first."""
    known = frozenset(tracked)
    today: dict[str, str] = {}
    changes: list[Change] = []
    seen = sweeps = silent = 0
    for commit, pairs in touched:
        seen += 1
        files = {today.get(new, new) for _, new in pairs}
        # What a commit renamed is known by its newer name from here on into the past.
        today |= {old: today.get(new, new) for old, new in pairs if old != new}
        if len(pairs) > _MOST_FILES:
            sweeps += 1
            continue
        kept = sorted(file for file in files & known if tells(file))
        if kept:
            changes.append(Change(commit=commit, when=times[commit], files=tuple(kept)))
        else:
            silent += 1
    return Past(
        head=head,
        changes=tuple(changes),
        tracked=tracked,
        seen=seen,
        sweeps=sweeps,
        silent=silent,
    )


@lru_cache(maxsize=65_536)
def tells(path: str) -> bool:
    """Say whether a change of this file says what belongs together.

    Noise does not, nor do files that no job may change without a person: manifests, what decides
    how things are built, tested and checked.
    """
    return not (
        is_noise(path) or is_manifest(path) or protected(path, new=False, extra=(), made=())
    )
