"""The host's side of the toolbox: started in the sandbox, asked line by line, never believed."""

import json
import marshal
import re
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from secrets import token_hex
from typing import Any, Final

from stations import toolbox
from stations.contract import Argv, Kind
from stations.ran import printable
from stations.runtimes.prompt import shown
from stations.runtimes.task import Task, equipped
from stations.runtimes.toolset import reads_only
from stations.shell import Running
from worktrees.globs import DEEP, CharSet, Glob, Segment, glob
from worktrees.shadow import INSIDE, Mount

TOOLBOX_INSIDE: Final = f"{INSIDE}/toolbox.py"
# Its bytecode comes first on its standard input: made by us, written nowhere, and taken only by
# an interpreter of just our build. To compile it in every sandbox would take 10 ms each time.
START: Final = """
import marshal, sys
of, size, place = sys.argv[1:]
sent = sys.stdin.buffer.read(int(size))
if sys.version == of:
    code = marshal.loads(sent)
else:
    with open(place, encoding="utf-8") as file:
        code = compile(file.read(), place, "exec")
toolbox = {"__name__": "toolbox"}
exec(code, toolbox)
toolbox["main"]()
"""
ANSWER_SECONDS: Final = 60.0
_SLACK: Final = 10.0
_STRAY_LINES: Final = 100
_WAIT: Final = 1.0
_ANSWER_BYTES: Final = 16 * 1024 * 1024
_KEPT_BYTES: Final = 4_096


class ToolboxGone(Exception):  # noqa: N818 - reads as what is the matter
    """The toolbox gives no answer any more; the message says what was seen of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a tool gave: hostile text; ``value`` is all of it."""

    good: bool
    text: str
    value: Mapping[str, Any] = field(default_factory=dict)


class ToolboxDoor:
    """A toolbox at work in its sandbox; belongs to the thread that opened it."""

    def __init__(self, running: Running) -> None:
        self._running = running

    def ask(self, do: str, given: Mapping[str, object], *, seconds: float = 0.0) -> Answer:
        """Let it do one thing; ``seconds`` is how long that may take beyond the usual."""
        name = token_hex(8)
        line = _line(name, do, given)
        if len(line) > toolbox.LINE_BYTES:
            return Answer(good=False, text="the input is too long")
        if not self._running.send(line):
            raise self._gone()
        return self._answer(name, ANSWER_SECONDS + seconds)

    def _answer(self, name: str, seconds: float) -> Answer:
        until = time.monotonic() + seconds
        for _ in range(_STRAY_LINES):
            value = _parsed(self._line(until))
            if value.get("id") != name:
                continue
            text = value.get("text")
            return Answer(
                good=value.get("ok") is True,
                text=_sound(text) if isinstance(text, str) else "",
                value=value,
            )
        raise ToolboxGone("the tools of the agent answered out of turn")

    def _line(self, until: float) -> bytes:
        while (line := self._running.line(_WAIT)) is None:
            if self._running.over or time.monotonic() > until:
                raise self._gone()
        return line

    def _gone(self) -> ToolboxGone:
        said = printable(self._running.end().err).strip()[-300:]
        return ToolboxGone(f"the tools of the agent are gone{f': {said}' if said else ''}")


@contextmanager
def opened(task: Task, *, seconds: float) -> Iterator[ToolboxDoor]:
    """Start the toolbox in the task's sandbox; at the end nothing that it started lives.

    The thread that opens it must be the one that asks.
    """
    interpreter = str(Path(sys.executable).resolve())
    source, code = Path(toolbox.__file__), _code()
    place = TOOLBOX_INSIDE if task.sandbox.contains else str(source)
    words = (interpreter, "-I", "-S", "-c", START, sys.version, str(len(code)), place)
    box = equipped(task, words)
    told = replace(box, mounts=(*box.mounts, Mount(source=source, target=TOOLBOX_INSIDE)))
    with task.sandbox.open(
        told,
        deadline=seconds + _SLACK,
        stop=task.stop,
        out_bytes=_KEPT_BYTES,
        stdout_cap=_ANSWER_BYTES,
    ) as running:
        # Nobody waits for it to be ready: it may read this while what it is asked first is made.
        running.post(code + _line("begin", "begin", _told(task)))
        yield ToolboxDoor(running)


@cache
def _code() -> bytes:
    """Give the toolbox as this interpreter's bytecode."""
    source = Path(toolbox.__file__).read_bytes()
    return marshal.dumps(compile(source, TOOLBOX_INSIDE, "exec", dont_inherit=True, optimize=2))


def rules(globs: tuple[str, ...]) -> list[list[object]]:
    """Give globs as the toolbox reads them: a sign, and an expression of a path with a slash."""
    return [[not one.negative, _expression(one)] for one in map(glob, globs)]


def _line(name: str, do: str, given: Mapping[str, object]) -> bytes:
    return json.dumps({"id": name, "do": do, "with": given}).encode("ascii") + b"\n"


def _told(task: Task) -> dict[str, object]:
    scope, spec = task.assignment.scope, task.spec
    write = () if reads_only(spec.kind) else scope.write
    return {
        "root": task.box.checkout,
        "globs": list(write),
        "write": rules(write),
        "shown": rules(shown(scope)),
        # A review is told what the change is about, and may look at everything beside it.
        "read": rules(scope.read if spec.kind is not Kind.REVIEW else ("**",)),
        "commands": [[task.find(words[0]).path, *words[1:]] for words in spec.commands],
        "names": [_name(words) for words in spec.commands],
    }


def _name(words: Argv) -> str:
    return " ".join(words)


def _expression(one: Glob) -> str:
    return "".join(map(_part, one.segments))


def _part(segment: Segment) -> str:
    if segment is DEEP:
        return r"(?:[^/]+/)*"
    tokens = (segment,) if isinstance(segment, str) else segment
    return "".join(_token(token) for token in tokens) + "/"


def _token(token: str | CharSet | None) -> str:
    if token is None:
        return "[^/]*"
    if isinstance(token, str):
        return re.escape(token)
    inner = "".join(rf"\U{low:08x}-\U{high:08x}" for low, high in token.ranges)
    return f"[^/{inner}]" if token.negated else f"[{inner}]"


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _sound(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
