"""Writing: proposed stations put into the text of a factory.toml, all else left as it is. Pure.

The stations that are replaced are the coding ones; what they all say beside name and scope goes
over to the new ones. A station that a person wrote or changed is told by a missing or wrong mark.
"""

import hashlib
import json
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from factory.config.toml_places import places

DEFAULT_AGENT: Final = 'agent = "sdk:medium"'
_HEADER: Final = "[[station]]"
_MARK: Final = "# by factory scopes, "
_NOTE: Final = "# Stations by factory scopes: "
_INITIAL: Final = "code"
_INITIAL_KEYS: Final = frozenset({"name", "scope", "agent"})
_OWN: Final = frozenset({"name", "scope"})
_WIDEST: Final = 96
_INNER: Final = re.compile(r"\s*\[\s*station\s*\.")
_CODE: Final = "code"


class NotRewritten(Exception):  # noqa: N818  reads as what happened
    """The text is left as it is; the message says why, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A station to be written: its name and its globs."""

    name: str
    scope: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Table:
    """A coding station in a text: the lines it stands on, and what they say."""

    first: int
    last: int
    value: Mapping[str, object]
    marked: bool

    @property
    def rest(self) -> dict[str, object]:
        """Give what it says beside name and scope."""
        return {key: each for key, each in self.value.items() if key not in _OWN}


def rewritten(text: str, entries: Sequence[Entry], *, note: str, force: bool) -> str:
    """Give a factory.toml with these coding stations in the place of those it has.

    The text is right as it is. ``note`` is one line that says what the scopes rest on. Raises
    ``NotRewritten`` where a person's stations would be lost, unless that is what ``force`` wants.
    """
    lines = text.replace("\r\n", "\n").rstrip("\n").split("\n")
    tables = _tables(text, lines)
    if not force:
        _check(tables)
    body = _body(lines, tables[0]) if tables else [DEFAULT_AGENT]
    copied = [bare for chunk in body if (bare := _uncommented(chunk))]
    blocks = [
        "\n".join([*_head(entry), *(copied if number else body)])
        for number, entry in enumerate(entries)
    ]
    drawn = f"{_NOTE}{note}\n" + "\n\n".join(blocks)
    gone = {line for table in tables for line in range(table.first, table.last + 1)}
    place = tables[0].first if tables else len(lines)
    before = _tidy(line for number, line in enumerate(lines[:place]) if number not in gone)
    after = _tidy(line for number, line in enumerate(lines[place:], place) if number not in gone)
    return "\n\n".join(part for part in (before, drawn, after) if part) + "\n"


def _tidy(lines: Iterable[str]) -> str:
    """Give the lines without an old note, and with one blank line where a table was taken out."""
    kept: list[str] = []
    for line in lines:
        doubled = not line.strip() and (not kept or not kept[-1].strip())
        if not line.startswith(_NOTE) and not doubled:
            kept.append(line)
    return "\n".join(kept).strip("\n")


def _head(entry: Entry) -> list[str]:
    """Give the first lines of a station's table, with the mark that says who wrote it."""
    return [
        f"{_HEADER}   {_MARK}{_mark(entry)}",
        f"name = {json.dumps(entry.name)}",
        *_scope(entry.scope),
    ]


def _scope(globs: Sequence[str]) -> list[str]:
    words = [json.dumps(glob, ensure_ascii=False) for glob in globs]
    line = f"scope = [{', '.join(words)}]"
    if len(line) <= _WIDEST:
        return [line]
    found, row = ["scope = ["], ""
    for word in words:
        if row and len(row) + len(word) + 2 > _WIDEST:
            found.append(row)
            row = ""
        row = f"{row} {word}," if row else f"  {word},"
    return [*found, row, "]"]


def _mark(entry: Entry) -> str:
    said = json.dumps([entry.name, *entry.scope]).encode()
    return hashlib.sha256(said).hexdigest()[:8]


def _codes(station: object) -> bool:
    return (
        isinstance(station, Mapping) and "agent" in station and station.get("kind", _CODE) == _CODE
    )


def _tables(text: str, lines: Sequence[str]) -> list[_Table]:
    """Find the coding stations of a text, each from its header to its last line that says a thing.

    Raises ``NotRewritten`` when they stand in an array, which has no headers.
    """
    known = places(text).keys
    starts: set[int] = set()
    heads: dict[int, int] = {}
    for path, place in known.items():
        # A key that stands at a bracket is a header; so is an item only of an array of tables.
        header = lines[place.line - 1][place.col - 1 :].startswith("[")
        if header and len(path) == 2 and path[0] in {"station", "job"}:  # noqa: PLR2004
            if path[0] == "station" and isinstance(path[1], int):
                heads[path[1]] = place.line - 1
            starts.add(place.line - 1)
        elif header and isinstance(path[-1], str) and path[:1] != ("station",):
            starts.add(place.line - 1)
    found: list[_Table] = []
    for number, station in enumerate(tomllib.loads(text).get("station", [])):
        if not _codes(station):
            continue
        if number not in heads or not lines[heads[number]].lstrip().startswith(_HEADER):
            raise NotRewritten(
                "its stations stand in one array: write each as a [[station]] table of its own"
            )
        first = heads[number]
        end = min((start for start in starts if start > first), default=len(lines))
        while not lines[end - 1].strip() or lines[end - 1].lstrip().startswith("#"):
            end -= 1
        entry = Entry(name=str(station["name"]), scope=tuple(station.get("scope", ())))
        marked = lines[first].rstrip().endswith(f"{_MARK}{_mark(entry)}")
        found.append(_Table(first=first, last=end - 1, value=station, marked=marked))
    return found


def _check(tables: Sequence[_Table]) -> None:
    by_hand = [table for table in tables if not table.marked]
    initial = (
        len(tables) == 1
        and tables[0].value["name"] == _INITIAL
        and tables[0].value.keys() <= _INITIAL_KEYS
    )
    if by_hand and not initial:
        names = ", ".join(str(table.value["name"]) for table in by_hand)
        raise NotRewritten(f"a person wrote its coding stations ({names})")
    odd = [table for table in tables if table.rest != tables[0].rest]
    if odd:
        names = ", ".join(str(table.value["name"]) for table in (tables[0], *odd))
        raise NotRewritten(f"its coding stations differ in more than name and scope ({names})")


def _body(lines: Sequence[str], table: _Table) -> list[str]:
    """Give what a station's table says beside its name and scope, a pair or a line each."""
    body: list[str] = []
    inner = False
    number = table.first + 1
    while number <= table.last:
        chunk = lines[number]
        number += 1
        inner = inner or _INNER.match(chunk) is not None
        while not _whole(chunk):
            chunk = f"{chunk}\n{lines[number]}"
            number += 1
        if inner or not _OWN.intersection(tomllib.loads(chunk)):
            body.append(chunk)
    return body


def _whole(text: str) -> bool:
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return False
    return True


def _uncommented(chunk: str) -> str:
    """Give a pair or a line without its comment."""
    said = tomllib.loads(chunk)
    for found in re.finditer("#", chunk):
        before = chunk[: found.start()].rstrip()
        if _whole(before) and tomllib.loads(before) == said:
            return before
    return chunk
