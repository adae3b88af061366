"""What a runtime is given and gives back: one task of one agent, and how the attempt ended."""

import json
import os
import stat
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Literal, Protocol

from stations.box import Box, Sandbox
from stations.contract import Argv, Assignment, Spend, StationSpec
from stations.ran import printable
from stations.tools import Tool

Status = Literal["done", "again", "blocked", "failed", "stopped", "deadline", "idle", "output"]
"""How an attempt ended, by what was seen; what it claims comes on top and counts for nothing."""

REPORT_BYTES: Final = 65_536
DATA_CHARACTERS: Final = 8_192
_SUMMARY: Final = 2_000
_NEEDS: Final = 50
_PATH: Final = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What an agent says about its work: hostile text, cut to size and made printable."""

    status: str = ""
    summary: str = ""
    needs_scope: tuple[str, ...] = ()
    data: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """The directory on the host through which one attempt is told and answers."""

    brief: Path
    out: Path

    @property
    def report(self) -> Path:
        """Where the agent may leave its report."""
        return self.out / "report.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One attempt as a runtime sees it; ``box`` is complete but for its argv and variables."""

    assignment: Assignment
    spec: StationSpec
    sandbox: Sandbox
    box: Box
    desk: Desk
    find: Callable[[str], Tool]
    log: Callable[[bytes], None]
    stop: threading.Event


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """How an attempt ended, its last lines, what it reported and what it cost."""

    status: Status
    fault: str = ""
    tail: str = ""
    answer: bytes = b""
    report: Report | None = None
    spend: Spend = field(default_factory=Spend)


class Runtime(Protocol):
    """A way to drive an agent; it blocks in the calling thread until the attempt is over."""

    def work(self, task: Task) -> Attempt:
        """Do the task in its sandbox; when this is back, nothing of it runs any more."""
        ...


def equipped(task: Task, words: Argv) -> Box:
    """Give the task's box with a program to start and all that it and the commands need to run."""
    tools = [
        task.find(name) for name in (words[0], *(command[0] for command in task.spec.commands))
    ]
    return replace(
        task.box,
        argv=(tools[0].path, *words[1:]),
        mounts=(*task.box.mounts, *(mount for tool in tools for mount in tool.mounts)),
        path=tuple(dict.fromkeys(entry for tool in tools for entry in tool.path_entries)),
    )


def read_report(path: Path) -> Report | None:
    """Read what an agent left as its report; None when there is none that can be read."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            return None
        data = os.read(handle, REPORT_BYTES + 1)
    finally:
        os.close(handle)
    if len(data) > REPORT_BYTES:
        return None
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict):
        return None
    needs = value.get("needs_scope")
    return Report(
        status=_text(value.get("status"), 20),
        summary=_text(value.get("summary"), _SUMMARY),
        needs_scope=tuple(_text(n, _PATH) for n in needs[:_NEEDS] if isinstance(n, str))
        if isinstance(needs, list)
        else (),
        data=_data(value.get("data")),
    )


def _text(value: object, most: int) -> str:
    return _clean(value)[:most] if isinstance(value, str) else ""


def _data(value: object) -> str:
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return _clean(text)[:DATA_CHARACTERS]


def _clean(text: str) -> str:
    return printable(text.encode("utf-8", "replace"))
