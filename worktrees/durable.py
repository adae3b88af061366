"""Brings objects to the disk before a ref needs them: a power cut must not keep only the ref."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from worktrees.git import Git
from worktrees.names import Oid

MANY: Final = 500
"""From this many objects on the whole disk is synced instead of each file."""


def settle(git: Git, *, new: Oid, old: Sequence[Oid]) -> None:
    """Bring the loose objects of ``new`` to the disk: a ref must not survive what it points to."""
    fence = ("--not", *old) if old else ("--not", "--branches", "--tags")
    listed = git("rev-list", "--objects", "--no-object-names", new, *fence).text.splitlines()
    if len(listed) > MANY:
        os.sync()
        return
    directories = set()
    for oid in listed:
        path = git.git_dir / "objects" / oid[:2] / oid[2:]
        if path.exists():
            _sync(path)
            directories.add(path.parent)
    for directory in directories:
        _sync(directory)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
