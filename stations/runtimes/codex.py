"""The ``codex`` runtime: OpenAI's Codex program, run once over its machine-readable output.

It runs wholly inside the sandbox, which is what keeps it in: its own would need namespaces that
are not to be had there, so it is told that it may do everything. It asks nobody for leave, hears
no word from outside, and what it took is what went through the proxy.
"""

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from stations.contract import Argv, Spend
from stations.models.limiter import Limiter
from stations.models.meter import Meter
from stations.models.values import ModelError, Provider, Usage
from stations.ran import Ran, printable
from stations.runtimes import connected, versions
from stations.runtimes.command import brief_text, variables
from stations.runtimes.connected import Gateway, Link
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
from worktrees.shadow import INSIDE, Mount

PROGRAM: Final = "codex"
PACKAGE: Final = "@openai/codex"
PINNED: Final = "0.169.0"
"""The release that all of this was measured with."""
TIERS: Final[Mapping[str, str]] = {
    "small": "gpt-5.6-luna",
    "medium": "gpt-5.6-terra",
    "large": "gpt-5.6-sol",
}
"""What the tiers mean to it, where the configuration names models of another vendor or none."""
SCHEMA_INSIDE: Final = f"{INSIDE}/report-schema.json"
_NOT_ITS: Final = "claude-"
_TICK: Final = 0.1
_LINE_BYTES: Final = 64 * 1024 * 1024
_STRAYS: Final = 1_000
_TEXT: Final = 2_000
_TAIL: Final = 4_000
_SHOWN: Final = 200
# What needs a person, an account, a network or another agent; the rest of a prompt is smaller.
_WITHOUT: Final = (
    *("apps", "goals", "hooks", "image_generation", "multi_agent", "plugins"),
    *("shell_snapshot", "tool_suggest", "unbounded_connection_retries", "unified_exec"),
)
_RULES: Final = """\
You work alone: nobody can be asked. Change only what the list above allows: the rest of the tree \
is read-only. If the work needs more, stop and report "blocked" with the missing paths in \
needs_scope. There is no network. Do not commit: what you leave is tested by others."""
_ANSWER: Final = """\
You work alone: nobody can be asked. Change no file. Put your whole answer, as text, into the \
field data of the report."""

Event = Mapping[str, Any]


class Codex:
    """Starts Codex once for each attempt."""

    name: Final = "codex"

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
        named = {tier: name for tier, name in models.items() if not name.startswith(_NOT_ITS)}
        self._gateway = Gateway(
            providers={"responses": provider},
            meter=meter,
            limiter=limiter,
            models={**TIERS, **named},
        )
        self._program, self._path = program, path
        self._version = ""

    def capabilities(self) -> Capabilities:
        """Say that no word reaches it, and that the proxy counts exactly."""
        return Capabilities(steer="unsupported", cost="exact")

    def probe(self) -> Probe:
        """Ask the program for its version; that calls no model."""
        return versions.probe(self._program, package=PACKAGE, pinned=PINNED, path=self._path)

    def close(self) -> None:
        """Close the connections to the provider; no attempt may be under way."""
        self._gateway.close()

    def start(self, task: Task) -> "CodexSession":
        """Give a session in which the program is run once."""
        if not self._version:
            self._version = self.probe().version
        return CodexSession(task, self._gateway, self._program, self._version)


@dataclass(slots=True, kw_only=True)
class _Heard:
    """What the program has said so far."""

    said: str = ""
    fault: str = ""
    completed: bool = False
    strays: int = 0


class CodexSession:
    """One run of the program."""

    def __init__(self, task: Task, gateway: Gateway, program: str, version: str) -> None:
        self._task, self._gateway, self._program = task, gateway, program
        self._version = version
        self._heard = _Heard()
        self._link: Link | None = None
        self._attempt: Attempt | None = None

    def events(self) -> Iterator[Step]:
        """Run it to its end."""
        task = self._task
        began = time.monotonic()
        model = self._gateway.model(task)
        schema = task.desk.out.parent / "report-schema.json"
        schema.write_text(json.dumps(connected.contract(task)), "ascii")
        schema_at = SCHEMA_INSIDE if task.sandbox.contains else str(schema)
        with self._gateway.link(
            task,
            (self._program, *_words(task, model, schema_at)),
            env={**variables(task), "OPENAI_API_KEY": connected.PLACEHOLDER},
            model=model,
            models=frozenset({model}),
        ) as link:
            self._link = link
            shown = Mount(source=schema, target=SCHEMA_INSIDE)
            with task.sandbox.open(
                replace(link.box, mounts=(*link.box.mounts, shown)),
                deadline=task.assignment.seconds,
                idle=task.assignment.idle,
                stop=task.stop,
                stdout_cap=_LINE_BYTES,
            ) as running:
                yield Step(kind="started", text=f"codex {self._version}, {model}")
                running.post(instructions(task).encode("utf-8", "replace"))
                running.end_input()
                yield from self._listen(running, link)
                ran = running.end()
        # Only now is a call that was under way over and paid.
        yield from link.steps()
        spend = link.spend() + Spend(seconds=time.monotonic() - began)
        self._attempt = attempt = self._judged(ran, link.fault, spend)
        end = f"{attempt.status}: {attempt.fault}" if attempt.fault else attempt.status
        yield Step(kind="finished", text=end)

    def steer(self, text: str) -> Steered:  # noqa: ARG002 - the protocol's signature
        """Say that it does not listen."""
        return "unsupported"

    def cancel(self, reason: str) -> None:  # noqa: ARG002 - the protocol's signature
        """End it; the task's own stop does that."""
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

    def _listen(self, running: Running, link: Link) -> Iterator[Step]:
        heard = self._heard
        while not running.over:
            line = running.line(_TICK)
            yield from link.steps()
            if line is None:
                continue
            event = _event(line)
            if event is None:
                heard.strays += 1
                if heard.strays > _STRAYS:
                    return
                continue
            yield from self._take(event)
        while (line := running.line(0.0)) is not None:
            yield from self._take(_event(line) or {})

    def _take(self, event: Event) -> Iterator[Step]:
        heard = self._heard
        match event.get("type"):
            case "item.started" | "item.completed" as moment:
                done = moment == "item.completed"
                yield from self._item(_mapping(event.get("item")), done=done)
            case "turn.completed":
                heard.completed = True
            case "turn.failed":
                heard.fault = _plain(_mapping(event.get("error")).get("message"))
            case "error":
                yield Step(kind="retry", text=_plain(event.get("message"))[:_SHOWN])
            case _:
                pass

    def _item(self, item: Event, *, done: bool) -> Iterator[Step]:
        match item.get("type"):
            case "agent_message":
                self._heard.said = str(item.get("text", ""))
                yield Step(kind="text", text=self._heard.said[:_TEXT])
            case "command_execution" if item.get("status") == "in_progress":
                yield Step(kind="tool", text=str(item.get("command", ""))[:_SHOWN])
            case "command_execution" if item.get("exit_code"):
                output = str(item.get("aggregated_output", "")).strip()[-_SHOWN:]
                yield Step(kind="result", text=f"exit {item.get('exit_code')}: {output}")
            case "file_change" if done:
                changes = item.get("changes")
                named = changes if isinstance(changes, list) else []
                files = ", ".join(str(_mapping(one).get("path", "")) for one in named)
                yield Step(kind="tool", text=f"patch {files} ({item.get('status')})"[:_SHOWN])
            case "error":
                yield Step(kind="result", text=_plain(item.get("message"))[:_SHOWN])
            case _:
                pass

    def _judged(self, ran: Ran, fault: ModelError | None, spend: Spend) -> Attempt:
        heard = self._heard
        report = _report(heard.said) if heard.completed else None
        status, why, account = _status(heard, report, ran, fault)
        tail = heard.said[-_TAIL:].encode("utf-8", "replace") or ran.err[-_TAIL:]
        answer = report.data or report.summary if report is not None else ""
        return Attempt(
            status=status,
            fault=why,
            tail=printable(tail),
            answer=answer.encode("utf-8", "replace"),
            report=report,
            account=account,
            spend=spend,
        )


def instructions(task: Task) -> str:
    """Give the prompt: the brief, what may be done, and what the repository advises."""
    commands = "\n".join(f"  {' '.join(one)}" for one in task.spec.commands)
    runs = f"These commands are meant to be run:\n{commands}" if commands else ""
    rules = _ANSWER if connected.keeps_nothing(task) else _RULES
    parts = (brief_text(task.assignment).strip(), rules, runs, connected.advice(task))
    return "\n\n".join(part for part in parts if part)


def _status(
    heard: _Heard, report: Report | None, ran: Ran, fault: ModelError | None
) -> tuple[Status, str, str]:
    """Give how it ended, why, and whose account is spent; the first that holds."""
    match ran.ended:
        case "stopped":
            return "stopped", "interrupted", ""
        case "deadline":
            return "deadline", f"not done after {ran.seconds:.0f} s; the deadline ended it", ""
        case "idle":
            return "idle", f"no output for too long; ended after {ran.seconds:.0f} s", ""
        case "output":
            return "output", "it wrote more in one line than it may", ""
        case "exit":
            pass
    if not heard.completed:
        if fault is not None:
            return connected.status_of(fault), str(fault), fault.account
        lines = [line for line in ran.text.splitlines() if line.strip()]
        last = heard.fault or (lines[-1] if lines else "no output")
        return "failed", f"its turn was not completed (exit {ran.code}): {last[:_SHOWN]}", ""
    match report.status if report is not None else "":
        case "done":
            return "done", "", ""
        case "blocked" | "failed" as status:
            summary = report.summary if report is not None else ""
            return status, summary or f"the agent says {status} and not why", ""
        case _:
            return "contract", "its last message is no valid report", ""


def _report(said: str) -> Report | None:
    try:
        value = json.loads(said)
    except (ValueError, RecursionError):
        return None
    return report_of(value) if isinstance(value, dict) else None


def _words(task: Task, model: str, schema: str) -> Argv:
    """Give the words that follow the program; its configuration is here and in no file."""
    ours = "model_providers.factory"
    settings = (
        'model_provider="factory"',
        f'{ours}.name="factory"',
        f'{ours}.base_url="{connected.URL}/v1"',
        f'{ours}.env_key="OPENAI_API_KEY"',
        f'{ours}.wire_api="responses"',
        # The proxy tries again and waits; only a reply that broke off is left to the program.
        f"{ours}.request_max_retries=0",
        f"{ours}.stream_max_retries=2",
        f"{ours}.stream_idle_timeout_ms=1200000",
        'approval_policy="never"',
        'web_search="disabled"',
        "check_for_update_on_startup=false",
        "project_doc_max_bytes=0",  # it reads the topmost one only: it is told those of its scope
        "analytics.enabled=false",
        'shell_environment_policy.inherit="all"',
    )
    return (
        *("exec", "--json", "--ephemeral", "--ignore-user-config", "--ignore-rules"),
        *("--skip-git-repo-check", "--color", "never", "--output-schema", schema),
        *("--sandbox", "danger-full-access", "--cd", task.box.checkout, "--model", model),
        *(word for setting in settings for word in ("--config", setting)),
        *(word for feature in _WITHOUT for word in ("--disable", feature)),
        "-",
    )


def _event(line: bytes) -> Event | None:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _mapping(value: object) -> Event:
    return value if isinstance(value, dict) else {}


def _plain(value: object) -> str:
    return " ".join(printable(str(value or "").encode("utf-8", "replace")).split())
