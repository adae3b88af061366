"""What a terminal sends when keys are pressed, as keys; pure.

A key that comes in pieces, as over a slow line, is held until it is whole. What is pasted is one
key: nothing in it is a command.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

_BYTES: Final[Mapping[str, tuple[bytes, ...]]] = {
    "up": (b"\x1b[A", b"\x1bOA", b"\x1b[Z"),
    "down": (b"\x1b[B", b"\x1bOB", b"\t"),
    "pgup": (b"\x1b[5~", b"\x02"),
    "pgdn": (b"\x1b[6~", b"\x06"),
    "home": (b"\x1b[H", b"\x1bOH", b"\x1b[1~", b"\x1b[7~"),
    "end": (b"\x1b[F", b"\x1bOF", b"\x1b[4~", b"\x1b[8~"),
    "enter": (b"\r", b"\n"),
    "backspace": (b"\x7f", b"\x08"),
    "erase": (b"\x15",),
    "redraw": (b"\x0c",),
    "hangup": (b"\x04",),
}
_NAMES: Final = {each: name for name, sent in _BYTES.items() for each in sent}
_SEQUENCE: Final = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|O[ -~])")
_BEGUN: Final = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*|O)?")
_PASTE: Final = (b"\x1b[200~", b"\x1b[201~")
_MOST: Final = 4_000
"""Characters of one paste that count."""
_LEAD: Final = ((0xF0, 4), (0xE0, 3), (0xC0, 2))


@dataclass(frozen=True, slots=True)
class Key:
    """One key by its name; ``char`` and ``paste`` bring their text."""

    name: str
    text: str = ""


def parsed(data: bytes, *, late: bool = False) -> tuple[list[Key], bytes]:
    """Give the keys in what was read, and the bytes of one that is not whole yet.

    ``late`` says that nothing followed for a while: a lone escape is then the key itself.
    """
    found: list[Key] = []
    while data:
        key, used = _first(data, late=late)
        if not used:
            break
        if key is not None:
            found.append(key)
        data = data[used:]
    return found, data


def _first(data: bytes, *, late: bool) -> tuple[Key | None, int]:
    """Give the first key and its length; no length when it is not whole, no key when unknown."""
    begin, end = _PASTE
    if data.startswith(begin):
        inside, closed, _ = data[len(begin) :].partition(end)
        if not closed:
            return None, len(data) if len(data) > 4 * _MOST else 0
        text = inside.decode("utf-8", "replace")[:_MOST]
        return Key("paste", text), len(begin) + len(inside) + len(end)
    if data[:1] == b"\x1b":
        return _escape(data, late=late)
    if data[:1] in _NAMES:
        return Key(_NAMES[data[:1]]), 1
    size = next((length for lead, length in _LEAD if data[0] >= lead), 1)
    if len(data) < size and not late:
        return None, 0
    text = data[:size].decode("utf-8", "replace")
    return (Key("char", text) if len(text) == 1 and text.isprintable() else None), size


def _escape(data: bytes, *, late: bool) -> tuple[Key | None, int]:
    whole = _SEQUENCE.match(data)
    if whole is not None:
        name = _NAMES.get(whole[0])
        return (None if name is None else Key(name)), len(whole[0])
    begun = _BEGUN.match(data)
    if begun is not None and len(begun[0]) == len(data) and not late:
        return None, 0
    return Key("esc"), 1
