"""An agent with a client of its own, in a sandbox whose only way out is its model's API.

The proxy listens on a unix socket that is bound into the sandbox; the relay inside makes it an
address on the sandbox's own 127.0.0.1. No key is in there: the proxy puts it in.
"""

import os
import stat
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from secrets import token_hex
from typing import Final

from stations import relay
from stations.box import Box
from stations.contract import Argv, Kind, Spend
from stations.models.dialects import Dialect
from stations.models.limiter import Limiter
from stations.models.meter import Left, Meter
from stations.models.passage import Upstream
from stations.models.proxy import News, Served, serve
from stations.models.tiers import resolve
from stations.models.values import ModelError, Payer, Provider, Usage
from stations.runtimes.command import program, variables
from stations.runtimes.task import Status, Step, StepKind, Task, equipped
from worktrees.shadow import INSIDE, Mount

RELAY_INSIDE: Final = f"{INSIDE}/relay.py"
SOCKET_INSIDE: Final = f"{INSIDE}/model.sock"
URL: Final = "{url}"
"""Stands in a variable for the address at which the model's API is inside."""
PLACEHOLDER: Final = "held-by-the-factory"
"""The key that an agent has: none."""
_QUIET: Final = {"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", "DISABLE_AUTOUPDATER": "1"}
"""Said to any agent: Claude's listens, others pass it over."""
_AGENTS: Final = "AGENTS.md"
_AGENTS_CHARACTERS: Final = 1_600
_STEPS: Final[Mapping[str, StepKind]] = {
    "request": "request",
    "usage": "usage",
    "retry": "retry",
    "refused": "result",
}


class Gateway:
    """The way to their models of all agents of a process that have clients of their own."""

    def __init__(
        self,
        *,
        providers: Mapping[Dialect, Provider],
        meter: Meter,
        limiter: Limiter,
        models: Mapping[str, str],
    ) -> None:
        self.upstreams = {dialect: Upstream(one) for dialect, one in providers.items()}
        self.meter = meter
        self.limiter = limiter
        self.models = models

    def close(self) -> None:
        """Close every connection to a provider."""
        for upstream in self.upstreams.values():
            upstream.close()

    def model(self, task: Task) -> str:
        """Give the model that a task's station and attempt name."""
        agent = task.spec.agent
        named = agent.model if agent is not None else ""
        return resolve(named, task.assignment.raised, self.models)

    def left(self, task: Task) -> Left:
        """Give what a task's attempt may still spend."""
        return self.meter.left(payer(task))

    @contextmanager
    def link(
        self,
        task: Task,
        words: Argv,
        *,
        env: Mapping[str, str],
        model: str = "",
        models: frozenset[str] | None = None,
        marker: str = URL,
    ) -> Iterator["Link"]:
        """Open an attempt's way to its model; at the end every call is over and paid.

        ``marker`` stands in variables and words for the address of the API inside.
        """
        with serve(
            upstreams=self.upstreams,
            payer=payer(task),
            meter=self.meter,
            limiter=self.limiter,
            models=models,
            socket_at=task.desk.out.parent / "model.sock",
        ) as served:
            box = inside(task, served.socket, words, env=env, marker=marker)
            yield Link(box=box, model=model, served=served)

    @contextmanager
    def acp(self, task: Task) -> Iterator["Link"]:
        """Open the way for any program that takes its API's address from the usual variables."""
        agent = task.spec.agent
        model = self.model(task) if agent is not None and agent.model else ""
        env = {**variables(task), **addresses(self.upstreams), **_QUIET}
        models = frozenset({model}) if model else None
        if model:
            env["ANTHROPIC_MODEL"] = model
        with self.link(task, program(task), env=env, model=model, models=models) as link:
            yield link


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """An attempt's way to its model: the box in which it is, and what went through it."""

    box: Box
    model: str
    served: Served

    @property
    def fault(self) -> ModelError | None:
        """The last call that was refused for good."""
        return self.served.fault

    @property
    def busy(self) -> bool:
        """Whether a call is under way."""
        return self.served.busy

    def usage(self) -> Usage:
        """Give the tokens so far, as the provider counted them."""
        return self.served.usage()

    def spend(self) -> Spend:
        """Give what the attempt's calls cost so far."""
        return self.served.spend()

    def steps(self) -> Iterator[Step]:
        """Give what went through since the last time."""
        return map(_step, self.served.news())


def inside(
    task: Task, served_socket: Path, words: Argv, *, env: Mapping[str, str], marker: str = URL
) -> Box:
    """Give the task's box with an agent that reaches the socket as an address of its own."""
    box = equipped(task, words)
    interpreter = task.find(str(Path(sys.executable).resolve()))
    script, socket_at = Path(relay.__file__), served_socket
    if task.sandbox.contains:
        script, socket_at = Path(RELAY_INSIDE), Path(SOCKET_INSIDE)
    around = (interpreter.path, "-I", "-S", str(script), str(socket_at), marker, "--")
    return replace(
        box,
        argv=(*around, *box.argv),
        mounts=(
            *box.mounts,
            *interpreter.mounts,
            Mount(source=Path(relay.__file__), target=RELAY_INSIDE),
            Mount(source=served_socket, target=SOCKET_INSIDE),
        ),
        env={**box.env, **env},
    )


def addresses(dialects: Mapping[Dialect, object]) -> dict[str, str]:
    """Give the variables by which clients find their API, and a key that is none."""
    env: dict[str, str] = {}
    if "messages" in dialects:
        env |= {"ANTHROPIC_BASE_URL": URL, "ANTHROPIC_API_KEY": PLACEHOLDER}
    if "responses" in dialects:
        env |= {"OPENAI_BASE_URL": f"{URL}/v1", "OPENAI_API_KEY": PLACEHOLDER}
    return env


def fresh_marker() -> str:
    """Give a marker for words that hold hostile text: none of it is taken for the marker."""
    return f"relay-{token_hex(12)}"


def payer(task: Task) -> Payer:
    """Say on whose accounts the calls of a task are charged."""
    assignment = task.assignment
    return Payer(
        run=assignment.run,
        job=assignment.job,
        station=assignment.station,
        attempt=assignment.attempt,
        budget=assignment.budget,
    )


def status_of(fault: ModelError) -> Status:
    """Give the status of an attempt that ended because of a call that was refused."""
    match fault.cause:
        case "budget" | "denied" | "limited" | "provider" | "stopped":
            return fault.cause
        case "incomplete":
            return "provider"


def keeps_nothing(task: Task) -> bool:
    """Say whether the station only answers: nothing that its agent writes is kept."""
    return task.spec.kind in {Kind.READ, Kind.REVIEW}


def contract(task: Task) -> dict[str, object]:
    """Give the schema of the report that ends an attempt."""
    texts = {"type": "array", "items": {"type": "string"}}
    told: dict[str, object] = {
        "status": {"type": "string", "enum": ["done", "blocked", "failed"]},
        "summary": {"type": "string", "description": "at most 400 characters"},
        "files": {**texts, "description": "the files that were changed"},
        "tests_run": texts,
        "risks": texts,
        "needs_scope": {**texts, "description": "what is missing from the scope, when blocked"},
    }
    if keeps_nothing(task):
        told["data"] = {"type": "string", "description": "the whole answer, as text"}
    return {
        "type": "object",
        "properties": told,
        "required": list(told),
        "additionalProperties": False,
    }


def advice(task: Task) -> str:
    """Give the AGENTS.md texts on the way to the scope, the closest first, within their room.

    An agent that is told not to look for such files by itself is given them. They are read from a
    tree that no agent has touched yet, and never through a link.
    """
    tree = next(m.source for m in task.box.mounts if m.target == task.box.checkout)
    parts: list[str] = []
    room = _AGENTS_CHARACTERS
    for directory in _directories(task):
        text = _plain_file(tree, f"{directory}/{_AGENTS}".lstrip("/")).strip()[:room]
        if text:
            parts.append(f"{directory or '.'}/{_AGENTS} says:\n{text}")
            room -= len(text)
    return "\n\n".join(parts)


def _directories(task: Task) -> list[str]:
    """Name the directories above what may be written, the deepest first."""
    found = {""}
    for pattern in task.assignment.scope.write:
        here = ""
        for part in pattern.lstrip("!/").split("/")[:-1]:
            if any(sign in part for sign in "*?[\\") or part in {"", ".", ".."}:
                break
            here = f"{here}/{part}".lstrip("/")
            found.add(here)
    return sorted(found, key=lambda name: (-name.count("/") if name else 1, name))


def _plain_file(tree: Path, name: str) -> str:
    path = tree / name
    if path.resolve() != tree.resolve() / name:
        return ""
    with suppress(OSError):
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as file:
            if stat.S_ISREG(os.fstat(handle).st_mode):
                return file.read(4 * _AGENTS_CHARACTERS).decode("utf-8", "replace")
    return ""


def _step(news: News) -> Step:
    return Step(kind=_STEPS[news.kind], text=news.text)
