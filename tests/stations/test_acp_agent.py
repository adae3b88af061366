"""A real agent of the Agent Client Protocol, driven end to end through relay, proxy and sandbox.

It is installed by `scripts/agents`; where it is not, these tests are skipped. Every model here is
scripted.
"""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import pytest

from stations.bench import Bench
from stations.coding import Coding
from stations.contract import Agent, Argv, Budget, Done, Failed, Kind, Outcome, StationSpec
from stations.models.limiter import Limiter
from stations.models.meter import Ceilings, Meter
from stations.models.prices import Prices
from stations.models.values import Basis, Call, Provider
from stations.runtimes.acp import Acp
from stations.runtimes.connected import Gateway
from stations.runtimes.task import Control
from stations.seat import papers_of
from stations.tools import Surroundings
from tests.run import ROOT
from tests.scripted import messages as scripted
from tests.scripted.messages import Asked, MessagesServer, Script, Step, Turn
from tests.stations.benches import PATH, assignment, base_of, bearing, bench_at, until
from tests.stations.records import Listed
from worktrees.change import paths
from worktrees.names import JobId, StationName
from worktrees.scope import Scope

AGENTS: Final = ROOT / ".agents"
BIN: Final = AGENTS / "bin"
KEY: Final = "sk-canary-4f1c9d-never-inside"
MODEL: Final = "claude-sonnet-5-5"
SCOPE: Final = ("src/**",)

pytestmark = pytest.mark.skipif(
    not (BIN / "claude-agent-acp").exists(),
    reason=f"claude-agent-acp is not in {BIN}: run scripts/agents",
)


@dataclass(kw_only=True)
class Place:
    """A bench whose agents call a scripted server through the proxy."""

    bench: Bench
    server: MessagesServer
    calls: list[Call] = field(default_factory=list)

    @property
    def log(self) -> str:
        """The attempt's log."""
        return (papers_of(self.bench, JobId("job1"), 1) / "output.log").read_text()

    def turn(
        self,
        *,
        control: Control | None = None,
        commands: tuple[Argv, ...] = (),
        budget: Budget | None = None,
    ) -> Outcome:
        """Let the real agent do one attempt."""
        spec = StationSpec(
            name=StationName("work"),
            kind=Kind.CODE,
            scope=Scope(write=SCOPE),
            agent=Agent(runtime="acp", run=("claude-agent-acp",), model=MODEL),
            commands=commands,
        )
        given = assignment(self.bench, scope=SCOPE, seconds=50.0)
        task = replace(given, budget=budget or Budget())
        return Coding(spec=spec, bench=self.bench).work(task, control)


@contextmanager
def place(tmp_path: Path, script: Script, programs: Path = BIN) -> Iterator[Place]:
    """Give a bench on a small repository, and a server that answers by a script.

    The server may refuse what the agent tries first: it falls back to what the API has.
    """
    path = f"{programs}:{PATH}"
    calls: list[Call] = []
    with (
        MessagesServer(script, key=KEY, refusals=True) as server,
        bench_at(tmp_path / "repo", surroundings=Surroundings(path=path)) as bench,
    ):
        gateway = Gateway(
            providers={"messages": Provider(name="anthropic", base_url=server.url, key=KEY)},
            meter=Meter(
                prices=Prices.load(),
                ceilings=Ceilings(),
                now=time.time,
                record=Listed(calls),
                warn=lambda _: None,
            ),
            limiter=Limiter(),
            models={},
        )
        equipped = replace(bench, runtimes={"acp": Acp(link=gateway.acp)})
        try:
            yield Place(bench=equipped, server=server, calls=calls)
        finally:
            for upstream in gateway.upstreams.values():
                upstream.close()


def acts(*steps: Step) -> Callable[[Asked], Step | None]:
    """Give a script of the agent's turns; what it asks without tools is a title."""

    def script(asked: Asked) -> Step | None:
        if not asked.tools:
            return scripted.text("A title")
        return steps[asked.turn] if asked.turn < len(steps) else scripted.text("Done.")

    return script


def report(**more: Any) -> Step:
    """Give the step that leaves a report."""
    told = json.dumps({"status": "done", "summary": "did it", **more})
    return scripted.tool("Write", {"file_path": "/.factory/out/report.json", "content": told})


def edit(tmp_path: Path) -> tuple[Turn, Turn]:
    """Give the steps that change a file inside the scope."""
    file = str(tmp_path / "repo" / "src" / "core.py")
    old_to_new = {"old_string": "ONE = 1", "new_string": "ONE = 11", "replace_all": False}
    return (
        scripted.tool("Read", {"file_path": file}),
        scripted.tool("Edit", {"file_path": file, **old_to_new}),
    )


def test_a_real_agent_from_its_own_packages_works_inside_the_scope_only(tmp_path: Path) -> None:
    """A real agent, started from a project's node_modules, edits, is refused and is charged."""
    outside = {"file_path": str(tmp_path / "repo" / "NEW.md"), "content": "x"}
    read, change = edit(tmp_path)
    both = scripted.turn(change, scripted.tool("Write", outside))

    with place(
        tmp_path, acts(read, both, report()), programs=AGENTS / "node_modules" / ".bin"
    ) as here:
        outcome = here.turn()
        log, sent = here.log, json.dumps([asked.body for asked in here.server.requests])

    assert isinstance(outcome, Done), (outcome, log)
    assert list(paths(here.bench.git, base_of(here.bench), outcome.commit)) == [b"src/core.py"]
    assert "NEW.md is outside the scope src/**" in log
    assert KEY not in sent + log
    assert outcome.spend.tokens_in == sum(call.usage.total_input for call in here.calls) > 0


@pytest.mark.soak
def test_a_real_agent_changes_what_it_may_and_nothing_else(tmp_path: Path) -> None:
    """A real agent's edit lands, its write outside is refused, and no key is ever inside."""
    outside = {"file_path": str(tmp_path / "repo" / "NEW.md"), "content": "x"}
    steps = (
        *edit(tmp_path),
        scripted.tool("Write", outside),
        scripted.tool("Bash", {"command": "env", "description": "look"}),
        scripted.tool("Bash", {"command": "touch README.md.new", "description": "go round"}),
        report(),
    )

    with place(tmp_path, acts(*steps)) as here:
        outcome = here.turn(commands=(("env",),))
        log, sent = here.log, json.dumps([asked.body for asked in here.server.requests])

    assert isinstance(outcome, Done), (outcome, log)
    assert list(paths(here.bench.git, base_of(here.bench), outcome.commit)) == [b"src/core.py"]
    assert "started    @agentclientprotocol/claude-agent-acp 0.100.0" in log
    assert "NEW.md is outside the scope src/**" in log
    assert "one of those that may be run (env)" in log
    assert "ANTHROPIC_BASE_URL" in sent  # the environment was looked at
    assert KEY not in sent + log
    assert here.calls
    assert {call.basis for call in here.calls} == {Basis.SYNTHETIC}
    assert outcome.spend.tokens_in == sum(call.usage.total_input for call in here.calls)


@pytest.mark.soak
def test_a_real_agent_hears_a_word_in_mid_turn(tmp_path: Path) -> None:
    """A word from outside reaches a real agent before its turn is over."""
    control = Control()
    heard: list[str] = []

    def script(asked: Asked) -> Step | None:
        if not asked.tools:
            return scripted.text("A title")
        if asked.turn == 0:
            assert control.steer("use tabs everywhere") == "injected"
            return scripted.drip(scripted.text("I am thinking about it for a while."), 0.3)
        if "use tabs everywhere" in json.dumps(asked.body["messages"][-2:]):
            heard.append(asked.last)
        return acts(scripted.text(""), *edit(tmp_path), report())(asked)

    with place(tmp_path, script) as here:
        here.turn(control=control)

    assert heard
    assert "told       use tabs everywhere" in here.log


@pytest.mark.soak
def test_a_real_agent_that_is_stopped_leaves_nothing(tmp_path: Path) -> None:
    """A stop ends a real agent with all its processes soon."""
    control, waiting = Control(), threading.Event()
    ended: list[Outcome] = []

    def script(asked: Asked) -> Step | None:
        if asked.tools:
            waiting.set()
        return scripted.hang()

    with place(tmp_path, script) as here:
        worker = threading.Thread(target=lambda: ended.append(here.turn(control=control)))
        worker.start()
        assert waiting.wait(20)
        began = time.monotonic()
        control.end("killed")
        worker.join(20)
        took = time.monotonic() - began

    assert took < 4.0
    assert isinstance(ended[0], Failed)
    assert ended[0].interrupted
    assert until(lambda: not bearing(str(tmp_path)))


@pytest.mark.soak
@pytest.mark.parametrize(
    ("step", "cause"),
    [
        (scripted.status(401), "denied"),
        (scripted.spend_limit(), "denied"),
    ],
)
def test_a_real_agent_ends_when_its_calls_are_denied(
    tmp_path: Path, step: Step, cause: str
) -> None:
    """A call that will never work ends a real agent soon, by the proxy's own word."""
    with place(tmp_path, lambda _: step) as here:
        began = time.monotonic()
        outcome = here.turn()

    assert time.monotonic() - began < 20
    assert isinstance(outcome, Failed), outcome
    assert outcome.cause == cause


@pytest.mark.soak
def test_a_real_agent_ends_when_its_budget_is_spent(tmp_path: Path) -> None:
    """A job's budget stops a real agent, and is never overdrawn."""
    file = str(tmp_path / "repo" / "src" / "core.py")

    def script(asked: Asked) -> Step | None:
        if not asked.tools:
            return scripted.text("A title")
        return scripted.tool("Read", {"file_path": file, "offset": asked.turn + 1, "limit": 1})

    with place(tmp_path, script) as here:
        outcome = here.turn(budget=Budget(tokens=60_000))

    assert isinstance(outcome, Failed), outcome
    assert (outcome.cause, outcome.account) == ("budget", "job")
    assert sum(call.usage.tokens for call in here.calls) <= 60_000
