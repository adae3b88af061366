"""What a runtime is given and gives back: one task of one agent, and how the attempt ended."""

import json
import os
import stat
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Literal, Protocol

from stations.box import Box, Sandbox
from stations.contract import Argv, Assignment, Spend, StationSpec
from stations.models.values import Usage
from stations.ran import printable
from stations.tools import Tool

ByAnyProgram = Literal[
    "done", "again", "blocked", "failed", "stopped", "deadline", "idle", "output"
]
ByAModel = Literal["budget", "turns", "provider", "limited", "denied", "contract", "split"]
Status = ByAnyProgram | ByAModel
"""How an attempt ended, by what was seen; what it claims comes on top and counts for nothing.

``budget``: an account is spent; ``turns``: its own limit
of turns; ``provider``: calls fail and may work later; ``limited``: told to wait too long;
``denied``: calls will never work like this; ``contract``: no valid report, even after a reminder;
``split``: it proposes smaller jobs instead.
"""

StepKind = Literal[
    "started",
    "request",
    "text",
    "tool",
    "result",
    "permission",
    "usage",
    "retry",
    "told",
    "finished",
]
Steered = Literal["injected", "queued", "unsupported"]
"""What became of a word from outside: the agent hears it now, at its next turn, or never."""

REPORT_BYTES: Final = 65_536
DATA_CHARACTERS: Final = 8_192
_SUMMARY: Final = 2_000
_NEEDS: Final = 50
_PATH: Final = 400
_LINE: Final = 300


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
class Step:
    """Something an agent did; ``text`` is one line for people, hostile until printed."""

    kind: StepKind
    text: str = ""

    @property
    def line(self) -> str:
        """Give the step as one readable line of a log."""
        return f"{self.kind:<10} {_clean(self.text).replace(chr(10), ' ')[:_LINE]}\n"


class Control:
    """What others hold of an attempt under way: its end, and its ear."""

    def __init__(self, stop: threading.Event | None = None) -> None:
        self.stop = stop or threading.Event()
        self._lock = threading.Lock()
        self._session: Session | None = None
        self._early: list[str] = []

    def end(self, reason: str = "stopped") -> None:
        """End the attempt now."""
        self.stop.set()
        with self._lock:
            session = self._session
        if session is not None:
            session.cancel(reason)

    def steer(self, text: str) -> Steered:
        """Tell the agent something; a session that is still to begin hears it first."""
        with self._lock:
            session = self._session
            if session is None:
                self._early.append(text)
                return "queued"
        return session.steer(text)

    @contextmanager
    def holding(self, session: "Session") -> Iterator[None]:
        """Pass on what comes to this session, until the context is left."""
        with self._lock:
            self._session, early = session, self._early
            self._early = []
        for text in early:
            session.steer(text)
        if self.stop.is_set():
            session.cancel("stopped")
        try:
            yield
        finally:
            with self._lock:
                self._session = None


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
    control: Control
    papers: Path
    """Where the attempt's transcript is kept, for people and for a session that goes on."""
    before: Path | None = None
    """The papers of the attempt whose session may be gone on with."""
    hide: Callable[[str], str] = str
    """Gives a text without any secret, for whatever a runtime itself keeps."""

    @property
    def stop(self) -> threading.Event:
        """What ends the attempt."""
        return self.control.stop


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A smaller job that an agent proposes instead of its own: hostile text, cut to size."""

    title: str
    brief: str
    scope: tuple[str, ...]
    needs: tuple[int, ...] = ()
    """The places, from 0, of the proposals that must be done before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """How an attempt ended, its last lines, what it reported and what it cost."""

    status: Status
    fault: str = ""
    tail: str = ""
    answer: bytes = b""
    report: Report | None = None
    split: tuple[Proposal, ...] = ()
    account: str = ""
    """With ``budget``: whose is spent."""
    spend: Spend = field(default_factory=Spend)


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a runtime can do.

    ``steer``: when a word from outside is heard. ``resume``: whether a session can be gone on
    with. ``cost``: how well tokens and dollars are known. ``calls``: whether it calls a model.
    """

    steer: Steered = "unsupported"
    resume: bool = False
    cost: Literal["exact", "estimated", "none"] = "none"
    calls: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """Whether a runtime can work here: its exact version, or what is missing and the fix.

    No call that costs is made for it, and no secret stands in it.
    """

    ok: bool
    version: str = ""
    detail: str = ""
    fix: str = ""


class Session(Protocol):
    """One attempt under way. ``events`` and ``result`` belong to the thread that started it."""

    def events(self) -> Iterator[Step]:
        """Drive the attempt and give what it does; at the end nothing of it runs any more."""
        ...

    def steer(self, text: str) -> Steered:
        """Tell the agent something, from any thread."""
        ...

    def cancel(self, reason: str) -> None:
        """End the attempt within two seconds, from any thread; its work so far stays."""
        ...

    def usage(self) -> Usage:
        """Give the tokens so far."""
        ...

    def resume_token(self) -> str | None:
        """Name the session so that a later attempt can go on with it; None when none can."""
        ...

    def result(self) -> Attempt:
        """Say how it ended, once the events are over."""
        ...


class Runtime(Protocol):
    """A way to drive an agent."""

    @property
    def name(self) -> str:
        """Its name in a configuration."""
        ...

    def capabilities(self) -> Capabilities:
        """Say what it can do."""
        ...

    def probe(self) -> Probe:
        """Say whether it can work here."""
        ...

    def start(self, task: Task) -> Session:
        """Give a session for a task; nothing runs before its events are asked for."""
        ...


def work(runtime: Runtime, task: Task) -> Attempt:
    """Do a task to its end in this thread, each step a line of the attempt's log."""
    session = runtime.start(task)
    with task.control.holding(session):
        for step in session.events():
            if step.text:
                task.log(step.line.encode("utf-8", "replace"))
    return session.result()


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
    return report_of(value) if isinstance(value, dict) else None


def report_of(value: Mapping[str, object]) -> Report:
    """Give a report from JSON that an agent wrote, cut to size."""
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
