"""Units: the pieces of a repository that a station takes or leaves, as fine as its changes. Pure.

A directory that changes rarely is one unit with all below it. One that changes often is split into
the directories in it, and its own files that change often; the rest of it stays one unit.
"""

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

MOST: Final = 120
_SHARE: Final = 0.01
"""A unit with a smaller share of the changes is not split."""
_FILE_SHARE: Final = 0.003
"""A file with a smaller share of the changes is no unit of its own."""
_SPECIAL: Final = "\\*?["


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """A directory with all below it but the units inside it, or a file.

    ``parent`` is the place of the unit it lies in, None for the repository's own; ``weight`` is
    how many commits changed its files, one of several units counted in parts.
    """

    path: str
    is_file: bool
    parent: int | None
    files: tuple[str, ...]
    weight: float


@dataclass(slots=True, kw_only=True)
class _Directory:
    path: str
    directories: dict[str, "_Directory"]
    files: list[str]
    weight: float = 0.0


def split(
    tracked: Iterable[str], groups: Iterable[Sequence[str]], *, most: int = MOST
) -> tuple[Unit, ...]:
    """Give the units of a repository for these commits, a parent always before what is in it."""
    weights: dict[str, float] = {}
    for files in groups:
        for file in files:
            weights[file] = weights.get(file, 0.0) + 1 / len(files)
    root = _tree(sorted(tracked), weights)
    total = sum(weights.values())
    found: list[_Draft] = [_Draft(path="", is_file=False, parent=None, inside=root)]
    # What is split is as heavy as possible, and of two as heavy the one that was found first.
    heap = [(-root.weight, 0)]
    while heap and len(found) < most:
        weight, place = heapq.heappop(heap)
        draft = found[place]
        if place and -weight < _SHARE * total:
            break
        inside = draft.inside
        draft.split = True
        for name, below in sorted(inside.directories.items()):
            if writable(name):
                found.append(_Draft(path=below.path, is_file=False, parent=place, inside=below))
                heapq.heappush(heap, (-below.weight, len(found) - 1))
        own = sum(weights.get(file, 0.0) for file in inside.files)
        if own >= _SHARE * total:
            draft.hot = [
                file
                for file in inside.files
                if file in weights
                and weights[file] >= _FILE_SHARE * total
                and writable(file.rpartition("/")[2])
            ]
    return _finished(found, weights)


def writable(name: str) -> bool:
    """Say whether a name of a path can stand in a glob that means it alone."""
    return name.isprintable() and name == name.strip() and name not in {".", ".."}


def pattern(unit: Unit) -> str:
    """Give the glob that means a unit with all below it."""
    text = "".join(f"\\{char}" if char in _SPECIAL else char for char in unit.path)
    if not unit.is_file:
        text = f"{text}/**" if text else "**"
    if "/" not in text and unit.is_file:
        text = f"/{text}"
    return f"\\{text}" if text[:1] in {"!", "#"} else text


@dataclass(slots=True, kw_only=True)
class _Draft:
    path: str
    is_file: bool
    parent: int | None
    inside: _Directory
    split: bool = False
    hot: list[str] | None = None


def _finished(found: Sequence[_Draft], weights: Mapping[str, float]) -> tuple[Unit, ...]:
    units: list[Unit] = []
    taken = {draft.path for draft in found}
    single: list[tuple[int, str]] = []
    for place, draft in enumerate(found):
        hot = frozenset(draft.hot or ())
        files = _below(draft.inside, skip=taken if draft.split else frozenset())
        units.append(
            Unit(
                path=draft.path,
                is_file=False,
                parent=draft.parent,
                files=tuple(file for file in files if file not in hot),
                weight=sum(weights.get(file, 0.0) for file in files if file not in hot),
            )
        )
        single += [(place, file) for file in sorted(hot)]
    units += [
        Unit(path=file, is_file=True, parent=place, files=(file,), weight=weights[file])
        for place, file in single
    ]
    return tuple(units)


def _tree(tracked: Iterable[str], weights: Mapping[str, float]) -> _Directory:
    root = _Directory(path="", directories={}, files=[])
    for path in tracked:
        here = root
        weight = weights.get(path, 0.0)
        here.weight += weight
        *names, _ = path.split("/")
        for name in names:
            below = here.directories.get(name)
            if below is None:
                inner = f"{here.path}/{name}" if here.path else name
                below = here.directories[name] = _Directory(path=inner, directories={}, files=[])
            below.weight += weight
            here = below
        here.files.append(path)
    return root


def _below(directory: _Directory, *, skip: Iterable[str]) -> list[str]:
    """Give the files of a directory and of all below it, but not of the directories to skip."""
    out = frozenset(skip)
    files: list[str] = []
    todo = [directory]
    while todo:
        here = todo.pop()
        files += here.files
        todo += [below for below in here.directories.values() if below.path not in out]
    return sorted(files)
