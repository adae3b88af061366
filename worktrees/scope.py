"""Scope: which paths a job may write. Pure; one matching rule (gitignore) for the whole project.

The last matching pattern decides: ``!`` always takes away what stands before it, also a single
file of a directory (git itself would ignore such a line, a person who writes it would not).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from pathspec import PathSpec
from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

from worktrees.globs import DEEP, STAR, BadGlob, Glob, Segment, canonical, covers, glob, meets

MOST_COVERED: Final = 500
"""At most this many read-only mounts lie over the writable ones of one sandbox."""


class ScopeTooWide(Exception):  # noqa: N818 - the name says what to change
    """A scope of scattered files that mounts cannot enforce; the message says how to widen it."""

    def __init__(self, patterns: Iterable[str], *, count: int, most: int) -> None:
        super().__init__(
            f"the scope {', '.join(patterns)} mixes files of a job with {count} others in the same "
            f"directories (at most {most} can be protected); widen it to whole directories"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Mounts:
    """What a sandbox shows writable so that a scope can be written, as paths below the tree.

    ``rw`` are directories wholly inside the scope. ``covered`` pairs a further writable directory
    with those of its entries that are read-only again. ``missing`` are directories to be made
    before. The root of the tree is the empty string. ``ordered`` is the order to mount in.
    """

    rw: tuple[str, ...] = ()
    covered: tuple[tuple[str, tuple[str, ...]], ...] = ()
    missing: tuple[str, ...] = ()

    def ordered(self) -> tuple[tuple[str, bool], ...]:
        """Give each path to mount and whether it is writable, a directory before what it holds."""
        flat = [(path, True) for path in self.rw]
        for parent, siblings in self.covered:
            flat.append((parent, True))
            flat += [(sibling, False) for sibling in siblings]
        told: dict[str, bool] = {}
        for path, writable in sorted(flat, key=lambda item: len(_parts(item[0]))):
            above = next((told[parent] for parent, _ in _climb(path) if parent in told), False)
            if writable is not above:
                told[path] = writable
        return tuple(told.items())


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Globs by gitignore rules, ``!`` allowed; an empty ``write`` may write nothing.

    Raises ``BadGlob`` (a ``ValueError``) when it is made from a glob nobody can mean.
    """

    write: tuple[str, ...] = ()
    read: tuple[str, ...] = ("**",)

    def __post_init__(self) -> None:
        for pattern in (*self.write, *self.read):
            glob(pattern)

    def allows(self, path: str) -> bool:
        """Say whether this path may be written."""
        return allows(self.write, path)

    def overlaps(self, other: "Scope") -> bool:
        """Say whether some path could be in both; may say yes when negations would say no."""
        return _overlaps(self.write, other.write)

    def inside(self, other: "Scope") -> bool:
        """Say whether every path of this scope surely is in the other; False when unsure."""
        return _inside(self.write, other.write)

    def mounts(self, tracked: Iterable[str], *, most: int = MOST_COVERED) -> Mounts:
        """Give the largest directories wholly inside, and covered parents of scattered files.

        Raises ``ScopeTooWide`` when more than ``most`` entries would have to be covered.
        """
        return _mounts(self.write, tracked, most)


def widest() -> Scope:
    """Give the scope of the whole repository."""
    return Scope(write=("**",))


def faults(patterns: Iterable[str]) -> tuple[str, ...]:
    """Say what is wrong with these globs, a sentence each; none when a scope can be made."""
    found: list[str] = []
    for pattern in patterns:
        try:
            glob(pattern)
        except BadGlob as fault:
            found.append(str(fault))
    return tuple(found)


@lru_cache(maxsize=65_536)
def allows(patterns: tuple[str, ...], path: str) -> bool:
    """Say whether the last pattern that matches this path is a positive one."""
    globs = [glob(pattern) for pattern in patterns]
    if not any(one.odd for one in globs):
        return _spec(patterns).match_file(path)
    row = _parts(path)
    last = next((one for one in reversed(globs) if covers(one.segments, row)), None)
    return last is not None and not last.negative


@lru_cache(maxsize=4_096)
def _spec(patterns: tuple[str, ...]) -> PathSpec[GitIgnoreSpecPattern]:
    return PathSpec.from_lines(GitIgnoreSpecPattern, patterns)


@lru_cache(maxsize=65_536)
def _globs(patterns: tuple[str, ...]) -> tuple[tuple[Glob, tuple[Glob, ...]], ...]:
    """Each positive glob with the negations that stand behind it."""
    globs = [glob(pattern) for pattern in patterns]
    return tuple(
        (one, tuple(later for later in globs[place + 1 :] if later.negative))
        for place, one in enumerate(globs)
        if not one.negative
    )


@lru_cache(maxsize=262_144)
def _overlaps(one: tuple[str, ...], two: tuple[str, ...]) -> bool:
    for left, taken in _globs(one):
        for right, given in _globs(two):
            if any(a != b for a, b in zip(left.head, right.head, strict=False)):
                continue
            if not meets(left.segments, right.segments):
                continue
            if _takes(taken, right.segments) or _takes(given, left.segments):
                continue
            return True
    return False


def _takes(negations: tuple[Glob, ...], segments: tuple[Segment, ...]) -> bool:
    return any(covers(negation.segments, segments) for negation in negations)


@lru_cache(maxsize=65_536)
def _inside(inner: tuple[str, ...], outer: tuple[str, ...]) -> bool:
    return all(
        any(
            covers(wide.segments, part.segments)
            and all(
                not meets(hole.segments, part.segments) or _takes(left_out, hole.segments)
                for hole in holes
            )
            for wide, holes in _globs(outer)
        )
        for part, left_out in _globs(inner)
    )


def _parts(path: str) -> tuple[str, ...]:
    return tuple(path.split("/")) if path else ()


def _below(path: str) -> tuple[Segment, ...]:
    return (*_parts(path), STAR, DEEP)


def _wholly(patterns: tuple[str, ...], directory: str) -> bool:
    row = _below(directory)
    return any(
        covers(one.segments, row) and not any(meets(hole.segments, row) for hole in holes)
        for one, holes in _globs(patterns)
    )


def _could(patterns: tuple[str, ...], row: tuple[Segment, ...]) -> bool:
    return any(
        meets(one.segments, row) and not _takes(holes, row) for one, holes in _globs(patterns)
    )


def _mounts(patterns: tuple[str, ...], tracked: Iterable[str], most: int) -> Mounts:
    if _wholly(patterns, ""):
        return Mounts(rw=("",))
    files = frozenset(tracked)
    children = _children(files)
    missing = _missing(patterns, files, children)
    for made in missing:
        children.setdefault(made, set())
        for parent, name in _climb(made):
            children.setdefault(parent, set()).add(name)
    wanted = _heads(patterns) | set(missing)
    found = Mounts()
    for generous in (True, False):
        whole: list[str] = []
        parents: list[str] = []
        todo = [""]
        while todo:
            here = todo.pop()
            if _wholly(patterns, here):
                whole.append(here)
                continue
            if not _could(patterns, _below(here)):
                continue
            beside: tuple[Segment, ...] = (*_parts(here), STAR)
            holds = any(
                name in files and allows(patterns, name)
                for name in (f"{here}/{child}".lstrip("/") for child in children[here])
            )
            if holds or ((generous or here in wanted) and _could_hold(patterns, beside)):
                parents.append(here)
            below = (f"{here}/{child}".lstrip("/") for child in children[here])
            todo += [path for path in below if path in children]
        found = _cover(patterns, files, children, whole, parents, missing)
        if sum(len(siblings) for _, siblings in found.covered) <= most:
            return found
    count = sum(len(siblings) for _, siblings in found.covered)
    raise ScopeTooWide(patterns, count=count, most=most)


def _could_hold(patterns: tuple[str, ...], beside: tuple[Segment, ...]) -> bool:
    """Say whether a file that lies directly in a directory could be in the scope."""
    for one, holes in _globs(patterns):
        ends = one.segments[:-1] if one.segments[-1] is DEEP and not one.inside else one.segments
        if meets(ends, beside) and not _takes(holes, canonical([*beside, DEEP])):
            return True
    return False


def _children(files: frozenset[str]) -> dict[str, set[str]]:
    children: dict[str, set[str]] = {"": set()}
    for path in files:
        here = path
        while here:
            parent, _, name = here.rpartition("/")
            names = children.setdefault(parent, set())
            if name in names:
                break
            names.add(name)
            here = parent
    return children


def _climb(path: str) -> Iterable[tuple[str, str]]:
    while path:
        parent, _, name = path.rpartition("/")
        yield parent, name
        path = parent


def _heads(patterns: tuple[str, ...]) -> set[str]:
    """Give the directories that globs begin with, as far as they have no wildcard."""
    return {"/".join(one.head[:-1] if one.whole else one.head) for one, _ in _globs(patterns)}


def _missing(
    patterns: tuple[str, ...], files: frozenset[str], children: Mapping[str, set[str]]
) -> tuple[str, ...]:
    absent: list[str] = []
    for head in sorted(_heads(patterns)):
        above = [head, *(parent for parent, _ in _climb(head))]
        if head in children or any(path in files or path == ".git" for path in above):
            continue
        if any(_wholly(patterns, parent) for parent in above[1:] if parent in children):
            continue
        absent.append(head)
    return tuple(absent)


def _cover(
    patterns: tuple[str, ...],
    files: frozenset[str],
    children: Mapping[str, set[str]],
    whole: list[str],
    parents: list[str],
    missing: tuple[str, ...],
) -> Mounts:
    writable = {*whole, *parents}
    covered: list[tuple[str, tuple[str, ...]]] = []
    for parent in sorted(parents):
        siblings = [
            path
            for path in (f"{parent}/{name}".lstrip("/") for name in sorted(children[parent]))
            if path not in writable and not (path in files and allows(patterns, path))
        ]
        covered.append((parent, tuple(siblings)))
    roots = [path for path in whole if path.rpartition("/")[0] not in parents or not path]
    return Mounts(rw=tuple(sorted(roots)), covered=tuple(covered), missing=missing)
