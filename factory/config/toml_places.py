"""Where each key and value of a TOML text stands: tomllib reads values but forgets their places."""

import re
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

Path = tuple[str | int, ...]
"""Keys and list positions from the top of a document down to one value."""

_BLANK: Final = re.compile(r"(?:[ \t\n\r]|#[^\n]*)*")
_SPACE: Final = re.compile(r"[ \t]*")
_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")
_BARE_VALUE: Final = re.compile(r"[^,\]}#\n]+")
_STRINGS: Final = (
    re.compile(r'"""(?:\\.|[^\\])*?"{3,5}(?!")', re.DOTALL),
    re.compile(r"'''.*?'{3,5}(?!')", re.DOTALL),
    re.compile(r'"(?:\\.|[^"\\])*"'),
    re.compile(r"'[^']*'"),
)
_ESCAPE: Final = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(.))", re.DOTALL)
_CONTROL: Final = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A line and a column, both counted from 1."""

    line: int
    col: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """The places of all keys and all values of one document."""

    keys: Mapping[Path, Place]
    values: Mapping[Path, Place]

    def key(self, path: Path) -> Place:
        """Give the place of a key, or of the nearest table around it."""
        return _nearest(path, self.keys)

    def value(self, path: Path) -> Place:
        """Give the place of a value, or of the nearest thing around it that has a place."""
        return _nearest(path, self.values, self.keys)


def places(text: str) -> Places:
    """Give the places of a text that tomllib has accepted."""
    return _Scanner(text.replace("\r\n", "\n")).document()


def _nearest(path: Path, *known: Mapping[Path, Place]) -> Place:
    for length in range(len(path), 0, -1):
        for some in known:
            if path[:length] in some:
                return some[path[:length]]
    return Place(line=1, col=1)


class _Scanner:
    """One pass over a valid document; it knows the grammar and checks nothing."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.starts = [0, *accumulate(len(line) + 1 for line in text.split("\n"))]
        self.keys: dict[Path, Place] = {}
        self.values: dict[Path, Place] = {}
        self.tables: dict[Path, int] = {}

    def document(self) -> Places:
        base: Path = ()
        while self.skip(_BLANK) < len(self.text):
            if self.text[self.at] == "[":
                base = self.header()
            else:
                self.pair(base)
        return Places(keys=self.keys, values=self.values)

    def here(self) -> Place:
        line = bisect_right(self.starts, self.at)
        return Place(line=line, col=self.at - self.starts[line - 1] + 1)

    def skip(self, pattern: re.Pattern[str]) -> int:
        found = pattern.match(self.text, self.at)
        if found is not None:
            self.at = found.end()
        return self.at

    def header(self) -> Path:
        place = self.here()
        repeated = self.text.startswith("[[", self.at)
        self.at += 2 if repeated else 1
        parts = [part for part, _ in self.dotted()]
        self.at += 2 if repeated else 1
        path: Path = ()
        for depth, part in enumerate(parts, start=1):
            path = (*path, part)
            self.keys.setdefault(path, place)
            if path in self.tables and not (repeated and depth == len(parts)):
                path = (*path, self.tables[path])
        if repeated:
            number = self.tables.get(path, -1) + 1
            self.tables[path] = number
            path = (*path, number)
            self.keys[path] = place
        return path

    def dotted(self) -> list[tuple[str, Place]]:
        parts: list[tuple[str, Place]] = []
        while True:
            self.skip(_SPACE)
            place, start = self.here(), self.at
            quote = self.text[start]
            if quote in "\"'":
                self.string()
                body = self.text[start + 1 : self.at - 1]
                parts.append((_ESCAPE.sub(_unescape, body) if quote == '"' else body, place))
            else:
                parts.append((self.text[start : self.skip(_BARE_KEY)], place))
            self.skip(_SPACE)
            if not self.text.startswith(".", self.at):
                return parts
            self.at += 1

    def pair(self, base: Path) -> None:
        path = base
        for part, place in self.dotted():
            path = (*path, part)
            self.keys.setdefault(path, place)
        self.at += 1
        self.skip(_SPACE)
        self.value(path)

    def value(self, path: Path) -> None:
        self.values[path] = self.here()
        opening = self.text[self.at]
        if opening in "\"'":
            self.string()
        elif opening == "[":
            self.items(path)
        elif opening == "{":
            self.table(path)
        else:
            self.skip(_BARE_VALUE)

    def string(self) -> None:
        for pattern in _STRINGS:
            found = pattern.match(self.text, self.at)
            if found is not None:
                self.at = found.end()
                return

    def items(self, path: Path) -> None:
        self.at += 1
        number = 0
        while self.text[self.skip(_BLANK)] != "]":
            self.keys[*path, number] = self.here()
            self.value((*path, number))
            number += 1
            if self.text[self.skip(_BLANK)] == ",":
                self.at += 1
        self.at += 1

    def table(self, path: Path) -> None:
        self.at += 1
        while self.text[self.skip(_BLANK)] != "}":
            self.pair(path)
            if self.text[self.skip(_BLANK)] == ",":
                self.at += 1
        self.at += 1


def _unescape(found: re.Match[str]) -> str:
    code = found[1] or found[2]
    return chr(int(code, 16)) if code else _CONTROL.get(found[3], found[3])
