"""What each runtime costs before its first answer: time to the first request, and its size.

Every runtime works in a real seat and sandbox. Beside it stands the default session of the same
agent, started by hand in an empty home. Scripted: no model was reached. The command-line agents are
those that scripts/agents installed; what is not there is said.
"""

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from measure import ROOT, Report, arguments, machine, middle, program, scratch, timed

from stations.box import Box
from stations.coding import Coding
from stations.contract import Agent, Failed, Kind, StationSpec
from stations.models.anthropic_door import AnthropicDoor
from stations.models.caller import Caller
from stations.models.limiter import Limiter
from stations.models.meter import Ceilings, Meter
from stations.models.prices import Prices
from stations.models.values import Provider
from stations.runtimes import acp_messages
from stations.runtimes.acp import Acp
from stations.runtimes.claude_code import ClaudeCode
from stations.runtimes.codex import Codex
from stations.runtimes.connected import Gateway
from stations.runtimes.sdk import Sdk
from stations.runtimes.task import Capabilities, Probe, Runtime, Session, Task
from stations.sandbox import choose
from stations.tools import Surroundings, resolve
from tests.run import RunError
from tests.scripted import messages as scripted
from tests.scripted.messages import MessagesServer
from tests.scripted.responses import ResponsesServer
from tests.stations.benches import PATH, assignment, bench_at
from tests.stations.records import Listed
from worktrees.names import StationName
from worktrees.scope import Scope
from worktrees.shadow import Mount

STAMP = "scripted: no model was reached"
BIN = ROOT / ".agents" / "bin"
BYTES_PER_TOKEN = 4
TASK = "Reject empty names in src/api/users.py."
KEY = "local"
Server = MessagesServer | ResponsesServer


@dataclass(slots=True, kw_only=True)
class First:
    """When the first request with tools came, and how large it was."""

    at: float = 0.0
    size: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Default:
    """The baseline: an agent as its maker starts it."""

    seconds: float
    size: int


class Timed:
    """A runtime that notes when its sessions begin."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self.began = 0.0

    @property
    def name(self) -> str:
        """Its name in a configuration."""
        return self._runtime.name

    def capabilities(self) -> Capabilities:
        """Say what it can do."""
        return self._runtime.capabilities()

    def probe(self) -> Probe:
        """Say whether it can work here."""
        return self._runtime.probe()

    def start(self, task: Task) -> Session:
        """Give a session, and note when."""
        self.began = time.monotonic()
        return self._runtime.start(task)


@contextmanager
def server(kind: type[Server]) -> Iterator[tuple[Server, First]]:
    """Give a server that ends every conversation at its first request with tools."""
    first = First()

    def script(asked: scripted.Asked) -> scripted.Step:
        if asked.tools and not first.at:
            first.at, first.size = time.monotonic(), asked.size
        return scripted.text("That is all.")

    made = kind(script, refusals=True)
    with made as running:
        yield running, first


def runtimes(provider: Provider, meter: Meter) -> Mapping[str, Callable[[], Runtime]]:
    """Give what makes each runtime."""
    limiter = Limiter()

    def sdk() -> Runtime:
        door = AnthropicDoor(provider)
        door.warm()
        return Sdk(Caller(door=door, meter=meter, limiter=limiter, provider=provider), {})

    def acp() -> Runtime:
        gateway = Gateway(providers={"messages": provider}, meter=meter, limiter=limiter, models={})
        return Acp(link=gateway.acp)

    return {
        "sdk": sdk,
        "claude-code": lambda: ClaudeCode(
            provider=provider, meter=meter, limiter=limiter, models={}
        ),
        "codex": lambda: Codex(provider=provider, meter=meter, limiter=limiter, models={}),
        "acp": acp,
    }


def sit(name: str, trials: int) -> tuple[list[float], list[float], int]:
    """Give seconds from seat and from session to the first request, and the request's bytes."""
    kind = ResponsesServer if name == "codex" else MessagesServer
    model = "gpt-5.4" if name == "codex" else "claude-sonnet-5-5"
    seats: list[float] = []
    sessions: list[float] = []
    size = 0
    for _ in range(trials):
        with scratch() as place, server(kind) as (running, first):
            provider = Provider(name="openai", base_url=running.url, key=KEY)
            meter = Meter(
                prices=Prices.load(),
                ceilings=Ceilings(),
                now=time.time,
                record=Listed(),
                warn=print,
            )
            runtime = Timed(runtimes(provider, meter)[name]())
            around = Surroundings(path=f"{BIN}:{PATH}")
            spec = StationSpec(
                name=StationName("work"),
                kind=Kind.CODE,
                scope=Scope(write=("src/api/**",)),
                agent=Agent(runtime=name, run=("claude-agent-acp",), model=model),
            )
            with bench_at(place / "repo", surroundings=around) as bench:
                began = time.monotonic()
                outcome = Coding(spec=spec, bench=replace(bench, runtimes={name: runtime})).work(
                    assignment(bench, scope=("src/api/**",), seconds=60)
                )
            if not first.at:
                why = outcome.fault if isinstance(outcome, Failed) else outcome.kind
                msg = f"{name} sent no request: {why}"
                raise RunError(msg)
            seats.append(first.at - began)
            sessions.append(first.at - runtime.began)
            size = first.size
    return seats, sessions, size


def default(name: str) -> Default:
    """Give the first request of an agent's own default session, started by hand."""
    kind = ResponsesServer if name == "codex" else MessagesServer
    with scratch() as place, server(kind) as (running, first):
        env = {
            "HOME": str(place),
            "PATH": f"{BIN}:{PATH}",
            "ANTHROPIC_BASE_URL": running.url,
            "ANTHROPIC_API_KEY": KEY,
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "CODEX_HOME": str(place),
            "LOCAL_KEY": KEY,
        }
        if name == "codex":
            (place / "config.toml").write_text(
                'model = "gpt-5.4"\nmodel_provider = "local"\n[model_providers.local]\n'
                f'name = "local"\nbase_url = "{running.url}/v1"\nenv_key = "LOCAL_KEY"\n'
                'wire_api = "responses"\n'
            )
            words = ["codex", "exec", "--skip-git-repo-check", TASK]
        else:
            words = ["claude", "-p", TASK, "--model", "claude-sonnet-5-5"]
        began = time.monotonic()
        program([BIN / words[0], *words[1:]], cwd=place, env=env, timeout=90, check=False)
    if not first.at:
        msg = f"the default session of {name} sent no request"
        raise RunError(msg)
    return Default(seconds=first.at - began, size=first.size)


def default_acp() -> Default:
    """Give the same of an agent of the protocol whose session is given nothing of ours."""

    def bare(place: str, *, runs: bool) -> Mapping[str, object]:  # noqa: ARG001
        return {"cwd": place, "mcpServers": []}

    ours, acp_messages.new_session = acp_messages.new_session, bare
    try:
        _, sessions, size = sit("acp", 2)
        return Default(seconds=min(sessions), size=size)
    finally:
        acp_messages.new_session = ours


def tokens(size: int) -> int:
    """Estimate the tokens of so many bytes."""
    return round(size / BYTES_PER_TOKEN)


def installed(name: str) -> Path | None:
    """Give the program of a runtime; None when it needs none."""
    return {
        "claude-code": BIN / "claude",
        "codex": BIN / "codex",
        "acp": BIN / "claude-agent-acp",
    }.get(name)


def importing() -> float:
    """Give the CPU seconds that importing the client takes in a fresh process."""
    text = "import time; import anthropic; print(time.process_time())"
    return min(float(program([sys.executable, "-c", text]).text) for _ in range(3))


def interpreter(trials: int) -> float:
    """Give the median seconds of a sandbox in which an interpreter starts and ends."""
    python = resolve(sys.executable, Path("/checkout"), Surroundings())
    sandbox = choose("bubblewrap")
    with scratch() as place:
        box = Box(
            argv=(python.path, "-I", "-S", "-c", "pass"),
            checkout="/checkout",
            mounts=(Mount(source=place, target="/checkout"), *python.mounts),
        )
        return middle([timed(lambda: sandbox.run(box, deadline=10.0)) for _ in range(trials)])


def main() -> None:
    """Measure every runtime that is there."""
    options = arguments(__doc__ or "", trials=5)
    report = Report(name="runtimes", machine={**machine(), "figures": STAMP})
    report.add("import of the client, CPU s, once a process", importing())
    report.add("an interpreter in a sandbox, start to end s", interpreter(options.trials * 2))
    ours: dict[str, Default] = {}
    for name in ("sdk", "claude-code", "codex", "acp"):
        where = installed(name)
        if where is not None and not where.exists():
            report.add(name, None, f"not measured: {where} is not there (scripts/agents)")
            continue
        seats, sessions, size = sit(name, options.trials + 1)
        ours[name] = Default(seconds=middle(sessions[1:]), size=size)
        report.add(f"{name}: session to first request s", ours[name].seconds)
        report.add(f"{name}: best", min(sessions[1:]))
        if name in TARGETS:
            met = ours[name].seconds <= TARGETS[name]
            said = f"{TARGETS[name]} s: {'met' if met else 'missed'}"
            report.add(f"{name}: target of the median", said)
        report.add(f"{name}: seat to first request s", middle(seats[1:]))
        report.add(f"{name}: first request, tokens", tokens(size))
    for name, measure in BASELINES.items():
        if name in ours:
            theirs = measure()
            report.add(f"{name}: default session to first request s", theirs.seconds)
            report.add(f"{name}: default session, tokens", tokens(theirs.size))
            compare(report, name, ours[name], theirs)
            if name == "claude-code":
                compare(report, "sdk, against Claude Code's default", ours["sdk"], theirs)
    report.write()


def compare(report: Report, name: str, ours: Default, theirs: Default) -> None:
    """Say how much smaller and how much sooner ours is than the default session."""
    report.add(f"{name}: smaller by %", round(100 * (1 - ours.size / theirs.size), 1))
    report.add(f"{name}: sooner by a factor of", round(theirs.seconds / ours.seconds, 1))


TARGETS = {"sdk": 0.05, "claude-code": 1.0}
"""Seconds; those of the sdk are beyond the import, which a process pays once."""
BASELINES: Mapping[str, Callable[[], Default]] = {
    "claude-code": lambda: default("claude-code"),
    "codex": lambda: default("codex"),
    "acp": default_acp,
}


if __name__ == "__main__":
    main()
