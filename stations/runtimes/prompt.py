"""What our own loop tells a model before it has read a file, and how large that is.

The prefix (system and tools) is the same bytes for every agent of a kind of station, so that a
provider's cache serves them all. The first message holds what is this job's own. The whole first
request stays within ``FIRST_TOKENS``, at four bytes a token.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum, auto
from functools import cache, lru_cache
from importlib.resources import files as packaged
from posixpath import dirname, join, normpath
from typing import Any, Final

from stations.contract import Argv, Brief, Kind, StationSpec
from stations.ran import printable
from stations.runtimes.skills import Skill, skills
from stations.runtimes.toolset import offered, plain, reads_only
from stations.toolbox import outline as outlined
from worktrees.git import Git
from worktrees.globs import glob
from worktrees.names import Oid
from worktrees.scope import Scope, allows

FIRST_TOKENS: Final = 1_200
BYTES_A_TOKEN: Final = 4
_MARGIN: Final = 32
"""Bytes for what a client adds to a request beside what is counted here."""
_WORDS: Final = 200
_TITLE: Final = 60
_BRIEF: Final = 320
_SCOPE: Final = 80
_LEFT: Final = 40
_LEAST: Final = 8
_COMMANDS: Final = 80
_FAILURE: Final = 200
_TOLD: Final = 100
_HANDOVER: Final = 180
_FOUND: Final = 150
_FILES: Final = 120
_AGENTS: Final = 400
_SKILLS: Final = 100
_SKILL: Final = 120
_SYMBOLS: Final = 600
_FREE: Final = 24_000
"""Characters of a review's text, which holds the change itself."""
_LINK: Final = b"120000"
_KEPT_BLOBS: Final = 1_024
_READ_BYTES: Final = 2_000_000
_SCARCE: Final = 320
"""Bytes of room that are not worth sharing between files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prefix:
    """The part of every request that all agents of a kind of station share."""

    system: tuple[dict[str, Any], ...]
    tools: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """What a tree shows of itself: hostile text. Each symbol line begins with its line number.

    ``count`` is how many files the scope has, ``files`` some of them with their lines, the
    likeliest first; ``beside`` are files that these import; ``size`` is all tracked bytes.
    """

    files: tuple[tuple[str, int], ...] = ()
    count: int = 0
    symbols: tuple[tuple[str, tuple[str, ...]], ...] = ()
    beside: tuple[tuple[str, tuple[str, ...]], ...] = ()
    agents: tuple[tuple[str, str], ...] = ()
    skills: tuple[Skill, ...] = ()
    size: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextSize:
    """Tokens that a session begins with, beside what one with the whole repository would carry."""

    first: int
    whole: int

    @property
    def text(self) -> str:
        """Say it in a few words."""
        return f"context {self.first:,} tokens; the whole repository would be {self.whole:,}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """What one job's first message is made of, beside the outline of its tree."""

    brief: Brief
    scope: Scope
    commands: tuple[str, ...] = ()
    accept: tuple[Argv, ...] = ()
    left: str = ""
    handover: str = ""


@cache
def prefix(kind: Kind) -> Prefix:
    """Give what all agents of a kind of station share, with the mark after which it is cached."""
    name = "reader.md" if reads_only(kind) else "worker.md"
    text = (packaged("stations") / "prompts" / name).read_text("utf-8").strip()
    block = {"cache_control": {"type": "ephemeral"}, "text": text, "type": "text"}
    return Prefix(system=(block,), tools=offered(kind))


def first_message(kind: Kind, opening: Opening, outline: Outline, *, beside: int) -> str:
    """Give the text that begins a job; with ``beside`` bytes of the request it stays in bounds.

    What does not fit is cut and says so; `status` and the tools give the rest. Only a review is
    told its whole text: that holds the change, which is what it is to read. What a repository,
    a program or another model wrote is quoted, so that it cannot pass for a line of ours.
    """
    brief = opening.brief
    page = _Page(FIRST_TOKENS * BYTES_A_TOKEN - beside - _MARGIN)
    page.add(_Place.TITLE, "", plain(brief.title, 400), _TITLE)
    written = () if reads_only(kind) else opening.scope.write
    page.add(_Place.SCOPE, "You may write: " if written else "", ", ".join(written), _SCOPE)
    page.add(_Place.LEFT, "Left: ", opening.left, _LEFT)
    page.add(
        _Place.FAILURE,
        "It failed before:\n",
        brief.failure.strip(),
        min(_FAILURE, page.tokens // 2),
        keep_end=True,
        quoted=True,
    )
    told = _clean("\n".join(brief.told))
    page.add(_Place.TOLD, "You were told: ", told, min(_TOLD, page.tokens // 4), keep_end=True)
    if kind is Kind.REVIEW:
        page.free(_Place.BRIEF, brief.text[:_FREE])
    else:
        whole = "[cut: `status` shows all]"
        most = min(_BRIEF, page.tokens * 3 // 4)
        page.add(_Place.BRIEF, "", _clean(brief.text), most, cut=whole)
    listed = "; ".join(f"{n}: {name}" for n, name in enumerate(opening.commands, 1))
    page.add(_Place.COMMANDS, "Commands for run: ", listed or "none", _COMMANDS)
    handover = "From the session before:\n"
    page.add(_Place.HANDOVER, handover, opening.handover, min(_HANDOVER, page.tokens * 3 // 4))
    accepted = "; ".join(" ".join(argv) for argv in opening.accept)
    page.add(_Place.ACCEPT, "It lands only if these pass: ", accepted, _COMMANDS)
    found = "\n".join(f"{job}: {text}" for job, text in brief.found.items())
    most = min(_FOUND, page.tokens * 3 // 4)
    page.add(_Place.FOUND, "Found before:\n", found, most, quoted=True)
    page.rows(_Place.FILES, "Files (lines): ", _listed(outline), _FILES, between=", ")
    notes = min(_AGENTS, page.tokens * 2 // 5) // max(1, len(outline.agents))
    for path, text in outline.agents:
        page.add(_Place.AGENTS, f"{path} says:\n", text.strip(), notes, quoted=True)
    listed_skills = [f"{skill.name}: {skill.description[:_SKILL]}" for skill in outline.skills]
    most = min(_SKILLS, page.tokens // 3)
    page.rows(_Place.SKILLS, "Skills: ", listed_skills, most, between="; ")
    head = "Symbols (line first):\n"
    page.rows(_Place.SYMBOLS, head, _symbols(outline, page.room(head, _SYMBOLS)), _SYMBOLS)
    return page.text


def body(
    kind: Kind, model: str, max_tokens: int, effort: str | None, messages: Sequence[object]
) -> int:
    """Give the bytes of a request's body as it goes over the wire."""
    shared = prefix(kind)
    request = {
        "max_tokens": max_tokens,
        "messages": list(messages),
        "model": model,
        "stream": True,
        "system": shared.system,
        "tools": shared.tools,
    }
    if effort is not None:
        request["output_config"] = {"effort": effort}
    return len(_encoded(request))


def envelope(kind: Kind, model: str, max_tokens: int, effort: str | None) -> int:
    """Give the bytes of a first request but for its text."""
    return body(kind, model, max_tokens, effort, [user("")])


def user(text: str) -> dict[str, Any]:
    """Give a message of ours that holds a text."""
    return {"content": [{"text": text, "type": "text"}], "role": "user"}


def measure(
    spec: StationSpec,
    brief: Brief,
    scope: Scope,
    *,
    files: Mapping[str, int],
    read: Callable[[str], bytes | None],
    accept: tuple[Argv, ...] = (),
) -> ContextSize:
    """Say how large a job's first request would be, without any call.

    ``files`` are all tracked paths with their sizes, ``read`` gives one of them (``of_commit``).
    """
    globs = shown(scope)
    found = outlined(
        list(files),
        read=read,
        allowed=lambda path: allows(globs, path),
        words=words(brief),
        heads=heads(scope),
    )
    outline = parsed({**found, "bytes": sum(files.values())})
    opening = Opening(
        brief=brief,
        scope=scope,
        commands=names(spec.commands),
        accept=accept,
        left=f"{spec.timeout / 60:.0f} min",
    )
    beside = envelope(spec.kind, "claude-sonnet-5-5", 16_000, "medium")
    text = first_message(spec.kind, opening, outline, beside=beside)
    return size(beside + cost(text), outline)


def of_commit(git: Git, commit: Oid) -> tuple[dict[str, int], Callable[[str], bytes | None]]:
    """Give the files of a commit with their sizes, and how to read one; for ``measure``."""
    sizes: dict[str, int] = {}
    blobs: dict[str, str] = {}
    links: set[str] = set()
    for row in git("ls-tree", "-r", "-l", "-z", commit).parts:
        about, _, name = row.partition(b"\t")
        mode, kind, oid, length = about.split()
        if kind == b"blob":
            path = name.decode("utf-8", "surrogateescape")
            sizes[path], blobs[path] = int(length), oid.decode("ascii")
            links |= {path} if mode == _LINK else set()

    def content(path: str) -> bytes:
        return git("cat-file", "blob", blobs[path]).out

    @lru_cache(maxsize=_KEPT_BLOBS)
    def read(path: str) -> bytes | None:
        if path in links:
            to = content(path).decode("utf-8", "surrogateescape")
            path = normpath(join(dirname(path), to))
        known = path in blobs and path not in links and sizes[path] <= _READ_BYTES
        return content(path) if known else None

    return sizes, read


def size(first: int, outline: Outline) -> ContextSize:
    """Give the tokens of a first request of so many bytes, and of the whole tree."""
    return ContextSize(
        first=-(-first // BYTES_A_TOKEN), whole=-(-(first + outline.size) // BYTES_A_TOKEN)
    )


def parsed(found: Mapping[str, Any]) -> Outline:
    """Read what the toolbox found in a tree: hostile, so whatever is not as it must be is left."""
    return Outline(
        files=tuple((path, n) for path, n in _pairs(found, "files") if isinstance(n, int)),
        count=_whole(found.get("count")),
        symbols=_lines(found, "symbols"),
        beside=_lines(found, "beside"),
        agents=_texts(found, "agents"),
        skills=skills(_texts(found, "skills")),
        size=_whole(found.get("bytes")),
    )


def words(brief: Brief) -> list[str]:
    """Give the words of a job that may name a file."""
    text = f"{brief.title}\n{brief.text}\n{brief.failure[-4_000:]}"[:20_000]
    named = re.findall(r"[\w.-]+(?:/[\w.-]+)+|\w{3,}", text)
    return list(dict.fromkeys(word.casefold() for word in named))[:_WORDS]


def shown(scope: Scope) -> tuple[str, ...]:
    """Give the globs of what a job is about: what it may write, else what it may read."""
    return scope.write or scope.read


def heads(scope: Scope) -> list[str]:
    """Give the directories that a scope's globs begin with."""
    globs = [glob(pattern) for pattern in shown(scope)]
    return list(
        dict.fromkeys(
            "/".join(one.head[:-1] if one.whole else one.head) for one in globs if not one.negative
        )
    )


def names(commands: Sequence[Argv]) -> tuple[str, ...]:
    """Give commands as a model names them."""
    return tuple(" ".join(argv) for argv in commands)


def cost(text: str) -> int:
    """Give the bytes of a text inside a request."""
    return len(_encoded(text)) - 2


class _Place(IntEnum):
    """The parts of a first message in the order in which they are read."""

    TITLE = auto()
    BRIEF = auto()
    SCOPE = auto()
    COMMANDS = auto()
    ACCEPT = auto()
    LEFT = auto()
    FAILURE = auto()
    TOLD = auto()
    HANDOVER = auto()
    FOUND = auto()
    FILES = auto()
    AGENTS = auto()
    SKILLS = auto()
    SYMBOLS = auto()


class _Page:
    """A text that is given its parts by their weight and never grows past its room."""

    def __init__(self, room: int) -> None:
        self._room = room
        self._parts: list[tuple[_Place, str]] = []

    @property
    def text(self) -> str:
        """All parts in their places."""
        return "\n".join(text for _, text in sorted(self._parts, key=lambda part: part[0]))

    @property
    def tokens(self) -> int:
        """How many more it can take."""
        return max(0, self._room) // BYTES_A_TOKEN

    def room(self, head: str, tokens: int) -> int:
        """Say how many bytes a part of at most so many tokens may have under its head."""
        return min(tokens * BYTES_A_TOKEN, self._room) - cost(f"{head}\n")

    def add(
        self,
        place: _Place,
        head: str,
        text: str,
        tokens: int,
        *,
        cut: str = "[cut]",
        keep_end: bool = False,
        quoted: bool = False,
    ) -> None:
        """Add a part of at most so many tokens, cut where it must be; nothing when it is empty."""
        most = self.room(head, tokens)
        form = _quoted if quoted else str
        if text and most > cost(cut) + _LEAST:
            self._put(place, head + _within(text, most, cut=cut, keep_end=keep_end, form=form))

    def rows(
        self, place: _Place, head: str, rows: Sequence[str], tokens: int, *, between: str = "\n"
    ) -> None:
        """Add the whole rows that there is room for; one that is too long is passed over."""
        room = self.room(head, tokens)
        kept: list[str] = []
        for row in rows:
            size = cost(row) + (cost(between) if kept else 0)
            if size <= room:
                kept.append(row)
                room -= size
        if kept:
            self._put(place, head + between.join(kept))

    def free(self, place: _Place, text: str) -> None:
        """Add a part whole, which takes no room."""
        if text:
            self._parts.append((place, text))

    def _put(self, place: _Place, text: str) -> None:
        self._parts.append((place, text))
        self._room -= cost(f"{text}\n")


def _within(text: str, most: int, *, cut: str, keep_end: bool, form: Callable[[str], str]) -> str:
    if cost(form(text)) <= most:
        return form(text)
    most -= cost(cut) + 2
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        part = text[len(text) - middle :] if keep_end else text[:middle]
        low, high = (middle, high) if cost(form(part)) <= most else (low, middle - 1)
    if keep_end:
        return f"{cut}\n{form(text[len(text) - low :])}"
    return f"{form(text[:low])} {cut}"


def _quoted(text: str) -> str:
    return "\n".join(f"> {line}" for line in _clean(text).split("\n"))


def _clean(text: str) -> str:
    return printable(text.encode("utf-8", "replace"))


def _listed(outline: Outline) -> list[str]:
    rows = [f"{path} {lines}" for path, lines in outline.files]
    more = outline.count - len(outline.files)
    return [*([f"{outline.count} in all"] if more > 0 or len(rows) > _TITLE else []), *rows]


def _symbols(outline: Outline, room: int) -> list[str]:
    """Give a row for each file, which may take half of the room while there is enough of it.

    Where a file has more to name, what its classes hold is left out first, then what comes last.
    """
    files = [*outline.symbols, *((f"(imported) {path}", lines) for path, lines in outline.beside)]
    rows: list[str] = []
    for place, (path, lines) in enumerate(files):
        most = room if place == len(files) - 1 or room < _SCARCE else room // 2
        row = "\n".join((path, *lines))
        if cost(row) > most:
            row = path
            for line in lines:
                longer = f"{row}\n{line}"
                if not line.startswith(" ") and cost(longer) <= most:
                    row = longer
        if row != path:
            rows.append(row)
            room -= cost(f"{row}\n")
    return rows


def _encoded(value: object) -> bytes:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "backslashreplace")


def _whole(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def _pairs(found: Mapping[str, Any], key: str) -> list[tuple[str, Any]]:
    rows = found.get(key)
    if not isinstance(rows, list):
        return []
    pairs = [row for row in rows if isinstance(row, list) and len(row) == len(("path", "what"))]
    return [(_line(path), what) for path, what in pairs if isinstance(path, str)]


def _texts(found: Mapping[str, Any], key: str) -> tuple[tuple[str, str], ...]:
    pairs = _pairs(found, key)
    return tuple((path, _clean(what)) for path, what in pairs if isinstance(what, str))


def _lines(found: Mapping[str, Any], key: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    return tuple(
        (path, tuple(_line(line) for line in what if isinstance(line, str)))
        for path, what in _pairs(found, key)
        if isinstance(what, list)
    )


def _line(text: str) -> str:
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
