"""The ``claude-code`` runtime: the Claude Code program, spoken to over its control channel.

It runs wholly inside the sandbox, in its bare mode, with an empty home, a key that is none, and
nothing of the repository's own settings. It asks before it changes anything; what it asks for is
judged by the scope, with the scope in the answer. What it took is what went through the proxy.
"""

import json
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, BinaryIO, Final

from stations.box import TEMPORARY
from stations.contract import Argv, Spend
from stations.models.limiter import Limiter
from stations.models.meter import Meter
from stations.models.values import ModelError, Provider, Usage
from stations.ran import Ran, printable
from stations.runtimes import connected, versions
from stations.runtimes.command import brief_text, variables
from stations.runtimes.connected import Gateway, Link
from stations.runtimes.permissions import Rules, Wish, refusal
from stations.runtimes.task import (
    Attempt,
    Capabilities,
    Probe,
    Report,
    Status,
    Steered,
    Step,
    Task,
    report_of,
)
from stations.shell import Running
from worktrees.scope import Scope

PROGRAM: Final = "claude"
PACKAGE: Final = "@anthropic-ai/claude-code"
PINNED: Final = "2.1.329"
"""The release that all of this was measured with."""
TURNS: Final = 100
_OUTPUT_TOKENS: Final = 16_000
_RETRIES: Final = 2
_PATIENCE_MS: Final = 1_200_000
_TICK: Final = 0.1
_LAST_WORDS: Final = 0.8
_FRAME_BYTES: Final = 64 * 1024 * 1024
_TRANSCRIPT_BYTES: Final = 8 * 1024 * 1024
_STRAYS: Final = 1_000
_TEXT: Final = 2_000
_TAIL: Final = 4_000
_SHOWN: Final = 200
_WRITES: Final = frozenset({"Edit", "MultiEdit", "Write", "NotebookEdit"})
_READS: Final = frozenset({"Read", "Grep", "Glob", "LS", "StructuredOutput"})
_FETCHES: Final = frozenset({"WebFetch", "WebSearch"})
_WORDED_BADLY: Final = frozenset({400, 413, 422})
_RULES: Final = """\
You work alone: nobody can be asked. Change only what the list above allows; leave to change \
anything else is refused, and the rest of the tree is read-only. If the work needs more, stop and \
report "blocked" with the missing paths in needs_scope. Do not commit: what you leave is tested \
by others."""
_ANSWER: Final = """\
You work alone: nobody can be asked. Change no file. Put your whole answer, as text, into the \
field data of the report."""

Frame = Mapping[str, Any]


class ClaudeCode:
    """Starts Claude Code once for each attempt."""

    name: Final = "claude-code"

    def __init__(
        self,
        *,
        provider: Provider,
        meter: Meter,
        limiter: Limiter,
        models: Mapping[str, str],
        program: str = PROGRAM,
        path: str = versions.PATH,
    ) -> None:
        self._gateway = Gateway(
            providers={"messages": provider}, meter=meter, limiter=limiter, models=models
        )
        self._program, self._path = program, path

    def capabilities(self) -> Capabilities:
        """Say that a word is heard at once, and that the proxy counts exactly."""
        return Capabilities(steer="injected", cost="exact")

    def probe(self) -> Probe:
        """Ask the program for its version; that calls no model."""
        return versions.probe(self._program, package=PACKAGE, pinned=PINNED, path=self._path)

    def close(self) -> None:
        """Close the connections to the provider; no attempt may be under way."""
        self._gateway.close()

    def start(self, task: Task) -> "ClaudeSession":
        """Give a session in which the program is started, asked and ended."""
        return ClaudeSession(task, self._gateway, self._program)


@dataclass(slots=True, kw_only=True)
class _Heard:
    """What the program has said so far."""

    result: Frame | None = None
    said: str = ""
    strays: int = 0
    denials: int = 0
    version: str = ""
    asked_to_stop: float | None = None
    words: deque[str] = field(default_factory=deque)


class ClaudeSession:
    """One run of the program, from its greeting to its report."""

    def __init__(self, task: Task, gateway: Gateway, program: str) -> None:
        self._task, self._gateway, self._program = task, gateway, program
        self._heard = _Heard()
        self._lock = threading.Lock()
        self._closed = False
        self._link: Link | None = None
        self._attempt: Attempt | None = None
        self._rules = _rules(task)

    def events(self) -> Iterator[Step]:
        """Start it, give it the task, answer what it asks for, and end it."""
        task = self._task
        began = time.monotonic()
        model, left = self._gateway.model(task), self._gateway.left(task)
        with self._gateway.link(
            task,
            (self._program, *_words(task, model, left.dollars)),
            env=_environment(task),
            model=model,
            models=frozenset({model}),
        ) as link:
            self._link = link
            with (
                (task.papers / "claude-code.jsonl").open("wb") as file,
                task.sandbox.open(
                    link.box,
                    deadline=task.assignment.seconds,
                    idle=task.assignment.idle,
                    stdout_cap=_FRAME_BYTES,
                ) as running,
            ):
                transcript = _Transcript(file)
                yield from self._talk(running, link, transcript)
                with self._lock:
                    self._closed = True
                ran = running.end()
        # Only now is a call that was under way over and paid.
        yield from link.steps()
        spend = link.spend() + Spend(seconds=time.monotonic() - began)
        self._attempt = attempt = self._judged(ran, link.fault, spend, limit=left.account)
        end = f"{attempt.status}: {attempt.fault}" if attempt.fault else attempt.status
        yield Step(kind="finished", text=end)

    def steer(self, text: str) -> Steered:
        """Tell it something: it hears it between two of its steps."""
        with self._lock:
            if self._closed:
                return "unsupported"
            self._heard.words.append(text)
        return "injected"

    def cancel(self, reason: str) -> None:  # noqa: ARG002 - the protocol's signature
        """Ask it to stop, and end it shortly after."""
        self._task.stop.set()

    def usage(self) -> Usage:
        """Give the tokens that went through the proxy."""
        return self._link.usage() if self._link is not None else Usage()

    def resume_token(self) -> str | None:
        """Say that its memory is thrown away with its sandbox."""
        return None

    def result(self) -> Attempt:
        """Say how it ended."""
        assert self._attempt is not None  # noqa: S101  the events are over
        return self._attempt

    def _talk(self, running: Running, link: Link, transcript: "_Transcript") -> Iterator[Step]:
        """Have it do the task; back when it has reported, was told to stop or is gone."""
        heard = self._heard
        running.post(_line(_INITIALIZE))
        running.post(_line(_user(instructions(self._task))))
        while not running.over:
            line = running.line(_TICK)
            yield from link.steps()
            yield from self._pass_on(running)
            if self._stopping(running):
                return
            if line is None:
                continue
            transcript.keep(line)
            frame = _frame(line)
            if frame is None:
                heard.strays += 1
                if heard.strays > _STRAYS:
                    return
                continue
            yield from self._take(frame, running)
            if self._reported():
                return

    def _reported(self) -> bool:
        """Say whether it is done and nobody has told it more; from then on nobody can."""
        with self._lock:
            self._closed = self._heard.result is not None and not self._heard.words
            return self._closed

    def _stopping(self, running: Running) -> bool:
        """Ask it to stop when that is wanted; say whether it had its time to do so."""
        heard = self._heard
        if not self._task.stop.is_set():
            return False
        now = time.monotonic()
        if heard.asked_to_stop is None:
            heard.asked_to_stop = now
            running.post(_line(_INTERRUPT))
        return heard.result is not None or now > heard.asked_to_stop + _LAST_WORDS

    def _pass_on(self, running: Running) -> Iterator[Step]:
        """Give it the words from outside; one after its report makes it go on."""
        while True:
            with self._lock:
                if not self._heard.words:
                    return
                word = self._heard.words.popleft()
            self._heard.result = None
            running.post(_line(_user(word)))
            yield Step(kind="told", text=word)

    def _take(self, frame: Frame, running: Running) -> Iterator[Step]:
        match frame.get("type"):
            case "control_request":
                yield from self._answer(frame, running)
            case "assistant":
                yield from self._assistant(frame)
            case "user":
                yield from _results(frame)
            case "system":
                yield from self._system(frame)
            case "result":
                self._heard.result = frame
            case _:
                pass

    def _answer(self, frame: Frame, running: Running) -> Iterator[Step]:
        """Answer what it asks for: leave to use a tool, else nothing that we offer."""
        name = str(frame.get("request_id", ""))[:_SHOWN]
        request = _mapping(frame.get("request"))
        if request.get("subtype") != "can_use_tool":
            error = {"subtype": "error", "request_id": name, "error": "not offered"}
            running.post(_line({"type": "control_response", "response": error}))
            return
        tool, given = str(request.get("tool_name", "")), _mapping(request.get("input"))
        why = refusal(_wish(tool, given), self._rules)
        if why:
            self._heard.denials += 1
            behavior: dict[str, object] = {
                "behavior": "deny",
                "message": f'{why}. If the work needs it, stop and report "blocked" with the '
                "missing paths in needs_scope.",
            }
            yield Step(kind="permission", text=f"refused {_summed(tool, given)}: {why}")
        else:
            behavior = {"behavior": "allow", "updatedInput": dict(given)}
        success = {"subtype": "success", "request_id": name, "response": behavior}
        running.post(_line({"type": "control_response", "response": success}))

    def _assistant(self, frame: Frame) -> Iterator[Step]:
        for block in _blocks(frame):
            if block.get("type") == "text" and (text := str(block.get("text", "")).strip()):
                self._heard.said = text
                yield Step(kind="text", text=text[:_TEXT])
            elif block.get("type") == "tool_use":
                given = _mapping(block.get("input"))
                yield Step(kind="tool", text=_summed(str(block.get("name", "")), given))

    def _system(self, frame: Frame) -> Iterator[Step]:
        match frame.get("subtype"):
            case "init":
                self._heard.version = str(frame.get("claude_code_version", ""))[:_SHOWN]
                model = str(frame.get("model", ""))[:_SHOWN]
                yield Step(kind="started", text=f"claude {self._heard.version}, {model}")
            case "api_retry":
                tries = f"{frame.get('attempt')} of {frame.get('max_retries')}"
                yield Step(kind="retry", text=f"it asks again by itself ({tries})"[:_SHOWN])
            case "permission_denied":
                self._heard.denials += 1
                yield Step(kind="permission", text=f"refused {frame.get('tool_name')}"[:_SHOWN])
            case _:
                pass

    def _judged(self, ran: Ran, fault: ModelError | None, spend: Spend, *, limit: str) -> Attempt:
        """Judge the end; ``limit`` is the account whose rest was the program's own limit."""
        frame = self._heard.result
        report = _report(frame)
        status, why, account = _status(self._task, frame, report, ran, fault)
        if status == "budget":
            account = account or limit
        tail = self._heard.said[-_TAIL:] or ran.err[-_TAIL:].decode("utf-8", "replace")
        answer = report.data or report.summary if report is not None else ""
        return Attempt(
            status=status,
            fault=why,
            tail=printable(tail.encode("utf-8", "replace")),
            answer=answer.encode("utf-8", "replace"),
            report=report,
            account=account,
            spend=spend,
        )


def instructions(task: Task) -> str:
    """Give the first message: the brief, what may be done, and what the repository advises."""
    commands = "\n".join(f"  {' '.join(one)}" for one in task.spec.commands)
    runs = f"Of commands that do more than look, these may be run:\n{commands}" if commands else ""
    rules = _ANSWER if connected.keeps_nothing(task) else _RULES
    parts = (brief_text(task.assignment).strip(), rules, runs, connected.advice(task))
    return "\n\n".join(part for part in parts if part)


def _status(
    task: Task, frame: Frame | None, report: Report | None, ran: Ran, fault: ModelError | None
) -> tuple[Status, str, str]:
    """Give how it ended, why, and whose account is spent; the first that holds."""
    if task.stop.is_set():
        return "stopped", "interrupted", ""
    if frame is None:
        return _without_result(ran, fault)
    if frame.get("is_error") is not False:
        return _error(frame, fault)
    match report.status if report is not None else "":
        case "done":
            return "done", "", ""
        case "blocked" | "failed" as status:
            summary = report.summary if report is not None else ""
            return status, summary or f"the agent says {status} and not why", ""
        case _:
            return "contract", "it ended without a valid report, even after a reminder", ""


def _without_result(ran: Ran, fault: ModelError | None) -> tuple[Status, str, str]:
    match ran.ended:
        case "deadline":
            return "deadline", f"not done after {ran.seconds:.0f} s; the deadline ended it", ""
        case "idle":
            return "idle", f"no output for too long; ended after {ran.seconds:.0f} s", ""
        case "output":
            return "output", "it wrote more in one line than it may", ""
        case _:
            pass
    if fault is not None:
        return connected.status_of(fault), str(fault), fault.account
    lines = [line for line in ran.text.splitlines() if line.strip()]
    last = lines[-1][:_SHOWN] if lines else "no output"
    code = f"exit {ran.code}" if ran.code is not None else ran.ended
    return "failed", f"it ended without a result ({code}): {last}", ""


def _error(frame: Frame, fault: ModelError | None) -> tuple[Status, str, str]:
    """Judge a result that says that it is an error; its subtype alone lies."""
    reason = str(frame.get("terminal_reason", ""))
    errors = frame.get("errors")
    told = frame.get("result") or (errors[0] if isinstance(errors, list) and errors else "")
    why = " ".join(printable(str(told).encode("utf-8", "replace")).split())[:_TEXT] or reason
    match reason:
        case "max_turns":
            return "turns", f"not done after {TURNS} turns", ""
        case "budget_exhausted":
            return "budget", f"it reached what was left of the budget: {why}", ""
        case "structured_output_retry_exhausted":
            return "contract", why, ""
        case _:
            pass
    if fault is not None:
        return connected.status_of(fault), str(fault), fault.account
    if reason == "api_error" and frame.get("api_error_status") not in {None, *_WORDED_BADLY}:
        return "provider", why, ""
    return "failed", why, ""


def _report(frame: Frame | None) -> Report | None:
    given = frame.get("structured_output") if frame is not None else None
    return report_of(given) if isinstance(given, dict) else None


def _words(task: Task, model: str, left: Decimal | None) -> Argv:
    """Give the words that follow the program; ``left`` are dollars."""
    tools = "Bash,Edit,Read" if not connected.keeps_nothing(task) else "Bash,Read"
    return (
        *("-p", "--bare", "--model", model, "--tools", tools),
        *("--input-format", "stream-json", "--output-format", "stream-json", "--verbose"),
        *("--permission-mode", "manual", "--permission-prompt-tool", "stdio"),
        *("--setting-sources", "", "--strict-mcp-config", "--disable-slash-commands"),
        *("--no-session-persistence", "--max-turns", str(TURNS)),
        *("--json-schema", json.dumps(connected.contract(task))),
        *(("--max-budget-usd", f"{left:f}") if left is not None and left > 0 else ()),
    )


def _environment(task: Task) -> dict[str, str]:
    """Give what it is told by its environment, beside what every agent is told."""
    return {
        **variables(task),
        **connected.addresses({"messages": None}),
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "CLAUDE_CODE_DISABLE_EXPERIMENTAL_BETAS": "1",
        "CLAUDE_CODE_DISABLE_BACKGROUND_TASKS": "1",
        "CLAUDE_CODE_DISABLE_NONSTREAMING_FALLBACK": "1",
        "DISABLE_AUTOUPDATER": "1",
        # The proxy tries again and waits; only a reply that broke off is left to the program.
        "CLAUDE_CODE_MAX_RETRIES": str(_RETRIES),
        "API_TIMEOUT_MS": str(_PATIENCE_MS),
        "CLAUDE_STREAM_FIRST_BYTE_TIMEOUT_MS": str(_PATIENCE_MS),
        "CLAUDE_CODE_MAX_OUTPUT_TOKENS": str(_OUTPUT_TOKENS),
    }


def _rules(task: Task) -> Rules:
    return Rules(
        place=task.box.checkout,
        scope=Scope() if connected.keeps_nothing(task) else task.assignment.scope,
        commands=task.spec.commands,
        also=(TEMPORARY,) if task.sandbox.contains else (),
    )


def _wish(tool: str, given: Frame) -> Wish:
    if tool == "Bash":
        return Wish(deed="run", command=str(given.get("command", "")))
    if tool in _READS:
        return Wish(deed="read")
    if tool in _FETCHES:
        return Wish(deed="fetch")
    named = (given.get("file_path"), given.get("notebook_path"))
    paths = tuple(path for path in named if isinstance(path, str))
    return Wish(deed="write" if tool in _WRITES else "other", paths=paths)


def _results(frame: Frame) -> Iterator[Step]:
    for block in _blocks(frame):
        if block.get("type") == "tool_result" and block.get("is_error"):
            content = block.get("content")
            if isinstance(content, list):
                content = " ".join(str(_mapping(one).get("text", "")) for one in content)
            yield Step(kind="result", text=f"error: {str(content)[:_SHOWN]}")


def _summed(tool: str, given: Frame) -> str:
    for key in ("file_path", "notebook_path", "command", "pattern", "status"):
        if isinstance(given.get(key), str):
            return f"{tool} {given[key]}"[:_SHOWN]
    return tool[:_SHOWN]


def _blocks(frame: Frame) -> list[Frame]:
    content = _mapping(frame.get("message")).get("content")
    return [_mapping(one) for one in content] if isinstance(content, list) else []


def _mapping(value: object) -> Frame:
    return value if isinstance(value, dict) else {}


def _frame(line: bytes) -> Frame | None:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _line(frame: Mapping[str, object]) -> bytes:
    return json.dumps(frame).encode("ascii") + b"\n"


def _user(text: str) -> dict[str, object]:
    return {
        "type": "user",
        "message": {"role": "user", "content": text},
        "parent_tool_use_id": None,
        "session_id": "default",
    }


_INITIALIZE: Final[Mapping[str, object]] = {
    "type": "control_request",
    "request_id": "initialize",
    "request": {"subtype": "initialize", "hooks": None},
}
_INTERRUPT: Final[Mapping[str, object]] = {
    "type": "control_request",
    "request_id": "interrupt",
    "request": {"subtype": "interrupt"},
}


class _Transcript:
    """Keeps what the program said, line by line, until there is no room left."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._room = file, _TRANSCRIPT_BYTES

    def keep(self, line: bytes) -> None:
        """Keep a whole line, or none of it."""
        if len(line) < self._room:
            self._file.write(line + b"\n")
            self._room -= len(line) + 1
