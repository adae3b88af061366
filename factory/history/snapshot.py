"""Snapshot: the texts of a commit's source files, so many of them as are worth reading."""

from collections.abc import Iterable, Mapping
from typing import Final

from factory.history.imports import GO_MODULE, SUFFIXES
from worktrees.git import Git
from worktrees.names import Oid

MOST_FILES: Final = 4_000
MOST_BYTES: Final = 32_000_000
_LARGEST: Final = 400_000
_SECONDS: Final = 60.0


def sources(
    git: Git, head: Oid, first: Iterable[str] = (), *, most_bytes: int = MOST_BYTES
) -> Mapping[str, str]:
    """Give the texts of a commit's source files by path, bounded; ``first`` are read before others.

    What is too large for a file that a person wrote is left out.
    """
    blobs: dict[str, tuple[str, int]] = {}
    for entry in git("ls-tree", "-r", "-l", "-z", head, timeout=_SECONDS).parts:
        meta, _, raw = entry.partition(b"\t")
        mode, kind, oid, size = meta.decode().split()
        path = raw.decode("utf-8", "surrogateescape")
        wanted = path.endswith(SUFFIXES) or path.rpartition("/")[2] == GO_MODULE
        if kind == "blob" and mode != "120000" and wanted and int(size) <= _LARGEST:
            blobs[path] = (oid, int(size))
    modules = [path for path in blobs if path.endswith(GO_MODULE)]
    order = dict.fromkeys([*modules, *(path for path in first if path in blobs), *blobs])
    chosen: list[str] = []
    left = most_bytes
    for path in order:
        left -= blobs[path][1]
        if left < 0 or len(chosen) == MOST_FILES:
            break
        chosen.append(path)
    return _texts(git, [(path, blobs[path][0]) for path in chosen])


def _texts(git: Git, chosen: list[tuple[str, str]]) -> Mapping[str, str]:
    told = git(
        *("cat-file", "--batch"),
        stdin=b"".join(oid.encode() + b"\n" for _, oid in chosen),
        timeout=_SECONDS,
    ).out
    texts: dict[str, str] = {}
    at = 0
    for path, _ in chosen:
        head = told.index(b"\n", at)
        start, size = head + 1, int(told[at:head].split(b" ")[2])
        texts[path] = told[start : start + size].decode("utf-8", "replace")
        at = start + size + 1
    return texts
