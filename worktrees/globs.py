"""Globs: the algebra of gitignore patterns, whether two can meet and whether one covers another.

Matching a path is pathspec's work. What it cannot say, without any file to look at, is whether
some path could match two patterns. A pattern becomes a row of segments: a literal name, a name
with wildcards, or ``DEEP`` for any number of segments.
"""

from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Final


class BadGlob(ValueError):  # noqa: N818 - it names what a person wrote
    """A pattern that this project refuses to guess about; it says why and what to write."""

    def __init__(self, pattern: str, why: str) -> None:
        super().__init__(f"{pattern!r} {why}")


class Deep(Enum):
    """The type of ``DEEP``: any number of segments, also none."""

    DEEP = "**"


DEEP: Final = Deep.DEEP


@dataclass(frozen=True, slots=True, kw_only=True)
class CharSet:
    """The characters that one place of a segment may hold; never a slash."""

    ranges: tuple[tuple[int, int], ...] = ()
    negated: bool = False

    def holds(self, char: int) -> bool:
        """Say whether this character may stand here."""
        return any(low <= char <= high for low, high in self.ranges) is not self.negated


Token = str | CharSet | None
"""A literal character, a choice of characters, or None for any run of characters."""
Name = str | tuple[Token, ...]
Segment = Name | Deep
STAR: Final[tuple[Token, ...]] = (None,)
_ONE: Final = CharSet(negated=True)
_SLASH: Final = ord("/")


@dataclass(frozen=True, slots=True, kw_only=True)
class Glob:
    """One pattern, understood: its segments, the literal segments it begins with, its sign.

    ``whole`` says that it is a path without wildcards,
    ``inside`` that it means only what lies in a directory (``a/`` and ``a/**``), ``odd`` that
    pathspec does not read it as git does (it lets a negated class match a slash).
    """

    segments: tuple[Segment, ...]
    head: tuple[str, ...]
    negative: bool
    whole: bool
    inside: bool
    odd: bool


@lru_cache(maxsize=65_536)
def glob(pattern: str) -> Glob:
    """Understand one gitignore pattern; raises ``BadGlob`` for what nobody means in a scope."""
    negative = pattern.startswith("!")
    body = pattern[1:] if negative else pattern
    _check(pattern, body)
    inside = body.endswith("/")
    stem = body.strip("/")
    names = stem.split("/")
    anchored = "/" in body.rstrip("/")
    segments: list[Segment] = [] if anchored else [DEEP]
    segments += [_segment(pattern, name) for name in names]
    inside = inside or segments[-1] is DEEP
    segments += [STAR, DEEP] if inside else [DEEP]
    tidy = canonical(segments)
    head: list[str] = []
    for segment in tidy:
        if not isinstance(segment, str):
            break
        head.append(segment)
    return Glob(
        segments=tidy,
        head=tuple(head),
        negative=negative,
        whole=anchored and not inside and len(head) == len(names),
        inside=inside,
        odd=any(_is_odd(segment) for segment in tidy),
    )


def _check(pattern: str, body: str) -> None:
    if not body.strip("/") or body != body.strip() or body.startswith("#"):
        raise BadGlob(pattern, "is not a glob of paths")
    if not body.isprintable():
        raise BadGlob(pattern, "holds a character that cannot be seen")
    if body.endswith("/") and not body.strip("*/"):
        raise BadGlob(pattern, "is unclear: write ** for everything")
    names = body.strip("/").split("/")
    if body.startswith("//") or body.endswith("//") or not {"", ".", ".."}.isdisjoint(names):
        raise BadGlob(pattern, "must be relative to the repository, without empty, . or .. parts")


def _segment(pattern: str, name: str) -> Segment:
    if name == "**":
        return DEEP
    tokens: list[Token] = []
    at = 0
    while at < len(name):
        char = name[at]
        end = at + 1
        if char == "\\":
            end = at + 2
            if end > len(name):
                raise BadGlob(pattern, "ends in a lone backslash")
            tokens.append(name[at + 1])
        elif char == "*":
            if not tokens or tokens[-1] is not None:
                tokens.append(None)
        elif char == "?":
            tokens.append(_ONE)
        elif char == "[":
            chars, end = _charset(pattern, name, at)
            tokens.append(chars)
        else:
            tokens.append(char)
        at = end
    literal = [token for token in tokens if isinstance(token, str)]
    if len(literal) == len(tokens):
        return "".join(literal)
    return tuple(tokens)


def _is_odd(segment: Segment) -> bool:
    return isinstance(segment, tuple) and any(
        isinstance(token, CharSet) and token.negated and token is not _ONE for token in segment
    )


def _charset(pattern: str, name: str, at: int) -> tuple[CharSet, int]:
    """Give the class that opens at ``at``, and where the text goes on behind it."""
    start = at + 1
    negated = name[start : start + 1] in {"!", "^"}
    start += negated
    close = name.find("]", start + 1)
    inner = name[start:close]
    if close < 0 or "[" in inner or "\\" in inner:
        raise BadGlob(pattern, "has a bracket that this project does not read: use plain [a-z]")
    ranges: list[tuple[int, int]] = []
    place = 0
    while place < len(inner):
        low = high = ord(inner[place])
        place += 1
        if inner[place : place + 1] == "-" and place + 1 < len(inner):
            high = ord(inner[place + 1])
            place += 2
        if low > high or (not negated and low <= _SLASH <= high):
            raise BadGlob(pattern, "has a bracket range that is empty or spans the slash")
        ranges.append((low, high))
    return CharSet(ranges=tuple(ranges), negated=negated), close + 1


def canonical(segments: list[Segment]) -> tuple[Segment, ...]:
    """Give the one way to write a row: ``*`` before ``**``, never two ``**`` side by side."""
    tidy: list[Segment] = []
    for segment in segments:
        if segment is DEEP and tidy and tidy[-1] is DEEP:
            continue
        if segment == STAR and tidy and tidy[-1] is DEEP:
            tidy.insert(len(tidy) - 1, segment)
            continue
        tidy.append(segment)
    return tuple(tidy)


@lru_cache(maxsize=65_536)
def meets(one: tuple[Segment, ...], two: tuple[Segment, ...]) -> bool:
    """Say whether some path matches both rows; exact."""
    seen: set[tuple[int, int]] = set()
    todo = [(0, 0)]
    while todo:
        place = todo.pop()
        if place in seen:
            continue
        seen.add(place)
        i, j = place
        left = one[i] if i < len(one) else None
        right = two[j] if j < len(two) else None
        if left is None and right is None:
            return True
        if left is DEEP:
            todo.append((i + 1, j))
            if right is not None:
                todo.append((i, j + 1))
        elif right is DEEP:
            todo.append((i, j + 1))
            if left is not None:
                todo.append((i + 1, j))
        elif left is not None and right is not None and _segments_meet(left, right):
            todo.append((i + 1, j + 1))
    return False


def _segments_meet(one: Name, two: Name) -> bool:
    if isinstance(one, str) and isinstance(two, str):
        return one == two
    return _tokens_meet(tuple(one), tuple(two))


@lru_cache(maxsize=65_536)
def _tokens_meet(one: tuple[Token, ...], two: tuple[Token, ...]) -> bool:
    seen: set[tuple[int, int]] = set()
    todo = [(0, 0)]
    while todo:
        place = todo.pop()
        if place in seen:
            continue
        seen.add(place)
        i, j = place
        if i == len(one) and j == len(two):
            return True
        if i < len(one) and one[i] is None:
            todo.append((i + 1, j))
            if j < len(two):
                todo.append((i, j + 1))
        elif j < len(two) and two[j] is None:
            todo.append((i, j + 1))
            if i < len(one):
                todo.append((i + 1, j))
        elif i < len(one) and j < len(two) and _chars_meet(one[i], two[j]):
            todo.append((i + 1, j + 1))
    return False


def _chars_meet(one: Token, two: Token) -> bool:
    left, right = _as_set(one), _as_set(two)
    bounds = [place for chars in (left, right) for pair in chars.ranges for place in pair]
    # Membership changes only at the ends of ranges, so their neighbours decide for everything.
    near = {place + step for place in bounds for step in (-1, 0, 1)} | {ord("a")}
    return any(
        left.holds(char) and right.holds(char) for char in near if char > 0 and char != _SLASH
    )


def _as_set(token: Token) -> CharSet:
    if isinstance(token, CharSet):
        return token
    return CharSet(ranges=((ord(token), ord(token)),)) if token is not None else _ONE


@lru_cache(maxsize=65_536)
def covers(whole: tuple[Segment, ...], part: tuple[Segment, ...]) -> bool:
    """Say whether every path of ``part`` surely matches ``whole``; False when unsure."""
    whole = _loosened(whole)
    seen: set[tuple[int, int]] = set()
    todo = [(0, 0)]
    while todo:
        place = todo.pop()
        if place in seen:
            continue
        seen.add(place)
        i, j = place
        if i == len(whole):
            if j == len(part):
                return True
            continue
        wide = whole[i]
        if wide is DEEP:
            todo.append((i + 1, j))
            if j < len(part):
                todo.append((i, j + 1))
        elif j < len(part) and _segment_covers(wide, part[j]):
            todo.append((i + 1, j + 1))
    return False


def _loosened(whole: tuple[Segment, ...]) -> tuple[Segment, ...]:
    """Give the same paths in a form that also covers a part which begins with any depth.

    One name and any depth below it is also any depth, one name, and any depth again.
    """
    loose: list[Segment] = []
    for place, here in enumerate(whole):
        if here == STAR and whole[place + 1 : place + 2] == (DEEP,):
            loose.append(DEEP)
        loose.append(here)
    return tuple(loose)


def _segment_covers(whole: Name, part: Segment) -> bool:
    if part is DEEP:
        return False
    if whole in (part, STAR):
        return True
    return isinstance(part, str) and _segments_meet(whole, part)
