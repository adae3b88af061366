"""The real Codex program in real seats and sandboxes, against a scripted Responses API."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from stations.bench import Bench
from stations.coding import Coding
from stations.contract import (
    Agent,
    Budget,
    Done,
    Escalated,
    Failed,
    Kind,
    Outcome,
    StationSpec,
    Unchanged,
)
from stations.runtimes.codex import PINNED, TIERS, Codex
from stations.runtimes.task import Control
from stations.seat import papers_of
from stations.tools import Surroundings
from tests.conftest import FILES
from tests.run import run
from tests.scripted.messages import Turn, answer, hang, status, text, tool, truncated_in_tool
from tests.scripted.responses import ResponsesServer
from tests.stations.benches import PATH, assignment, base_of, bearing, bench_at, until
from tests.stations.gateways import KEY, Books, books, installed, limiter, provider, stand_in
from worktrees.change import paths
from worktrees.names import JobId, StationName
from worktrees.scope import Scope

SCOPE = ("src/api/**",)
REPORT: dict[str, Any] = {
    "status": "done",
    "summary": "Renamed it.",
    "files": ["src/api/users.py"],
    "tests_run": [],
    "risks": [],
    "needs_scope": [],
}

SAID = {"type": "item.completed", "item": {"type": "agent_message", "text": json.dumps(REPORT)}}


@contextmanager
def seat(
    at: Path, script: Any, *, place: Path | None = None, **server: Any
) -> Iterator[tuple[Bench, ResponsesServer, Books]]:
    """Give a bench whose agents are the program, a scripted model and the books.

    It is the real program, or the one of that name at a ``place``.
    """
    place, made = place or installed("codex"), books()
    around = Surroundings(path=f"{place}:{PATH}")
    advice = {"AGENTS.md": "Speak plainly.\n", "src/api/AGENTS.md": "Names are short.\n"}
    files = {**FILES, **advice}
    with (
        bench_at(at / "repo", files=files, surroundings=around) as bench,
        ResponsesServer(script, **server) as model,
    ):
        runtime = Codex(
            provider=provider(model.url, "openai"),
            meter=made.meter,
            limiter=limiter(),
            models={"medium": "claude-sonnet-5-5"},
            path=f"{place}:{PATH}",
        )
        with closing(runtime):
            yield replace(bench, runtimes={"codex": runtime}), model, made


def turn(
    bench: Bench,
    *,
    control: Control | None = None,
    budget: Budget | None = None,
    seconds: float = 60.0,
) -> Outcome:
    """Do one attempt of a job."""
    spec = StationSpec(
        name=StationName("work"),
        kind=Kind.CODE,
        scope=Scope(write=SCOPE),
        agent=Agent(runtime="codex", model="gpt-5.5"),
    )
    given = assignment(bench, scope=SCOPE, seconds=seconds)
    paid = replace(given, budget=budget or Budget())
    return Coding(spec=spec, bench=bench).work(paid, control or Control())


def log(bench: Bench) -> str:
    """Give the steps of the first attempt."""
    return (papers_of(bench, JobId("job1"), 1) / "output.log").read_text()


def shell(command: str) -> Turn:
    """Have it run a command."""
    return tool("exec_command", {"cmd": command, "yield_time_ms": 60_000})


def spied(at: Path) -> list[str]:
    """Name the files of a repository, its git directory included, that hold the key."""
    found = run(["grep", "-rlaF", KEY, str(at / "repo")], check=False)
    return found.text.split()


def test_work_in_scope_lands_and_the_kernel_refuses_the_rest(tmp_path: Path) -> None:
    """An edit in scope is Done, one outside fails, and no key is anywhere in the sandbox."""
    snoop = (
        "cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline | tr '\\0' '\\n'; "
        'grep -rs canary-5f0f /tmp /.factory "$HOME"'
    )
    script = [
        shell("sed -i s/u/user/ src/api/users.py"),
        shell("echo x > src/core.py"),
        shell(snoop),
        answer(REPORT),
    ]
    with seat(tmp_path, script) as (bench, model, kept):
        outcome = turn(bench)

        assert isinstance(outcome, Done), (outcome, log(bench))
        assert list(paths(bench.git, base_of(bench), outcome.commit)) == [b"src/api/users.py"]
        refused, seen = model.requests[3].answers[1:3]
        assert "src/core.py: Read-only file system" in refused
        assert "OPENAI_API_KEY=held-by-the-factory" in seen
        assert KEY not in seen
        assert spied(tmp_path) == []
        assert outcome.note == "Renamed it."
        assert f"started    codex {PINNED}, gpt-5.5" in log(bench)
        told = str(model.requests[0].body["input"])
        assert told.count("Speak plainly.") == told.count("Names are short.") == 1
        assert len(kept.calls) == len(model.requests) == 4
        assert outcome.spend.tokens_out == sum(call.usage.output for call in kept.calls)
        assert outcome.spend.dollars == sum(call.dollars or Decimal(0) for call in kept.calls)
        assert "exit 1: /bin/bash: line 1: src/core.py: Read-only file system" in log(bench)


def test_it_is_stopped_soon_and_nothing_of_it_is_left(tmp_path: Path) -> None:
    """Neither the program, the relay nor what it ran lives on."""
    control, ended = Control(), list[Outcome]()
    with seat(tmp_path, [shell("sleep 4343.75")]) as (bench, _, _):
        thread = threading.Thread(target=lambda: ended.append(turn(bench, control=control)))
        thread.start()
        assert until(lambda: bearing("^sleep 4343.75"), 30)
        began = time.monotonic()
        control.end()
        thread.join(30)
        took = time.monotonic() - began

        assert took < 15.0  # where nothing else is at work it is under two
        assert until(lambda: not bearing("sleep 4343.75"))
        assert until(lambda: not bearing(str(tmp_path / "repo")))
        assert isinstance(ended[0], Failed)
        assert ended[0].interrupted


def test_a_spent_budget_ends_it_at_once(tmp_path: Path) -> None:
    """One refusal is enough: it does not ask again, and the account is named."""
    with seat(tmp_path, []) as (bench, model, kept):
        outcome = turn(bench, budget=Budget(tokens=1000))

        assert isinstance(outcome, Failed), outcome
        assert (outcome.cause, outcome.account) == ("budget", "job")
        assert not outcome.retryable
        assert model.requests == []
        assert kept.calls == []
        assert log(bench).count("request ") == 1


@pytest.mark.parametrize(
    ("lines", "cause", "says"),
    [
        ([SAID, {"type": "turn.completed"}], "Unchanged", ""),
        ([SAID], "", "not completed (exit 0)"),
        ([{"type": "turn.completed"}], "contract", "no valid report"),
        ([{"type": "turn.failed", "error": {"message": "no\u001b[2J"}}], "", "no\ufffd[2J"),
        ([{"type": "turn.failed", "error": "no"}, "last words"], "", "last words"),
        (["[]", "{", "[" * 50_000, {"type": "item.completed", "item": 7}], "", "not completed"),
        ([], "", "no output"),
    ],
)  # fmt: skip
def test_a_program_s_words_are_believed_only_as_far_as_they_are_in_order(
    lines: list[Any], cause: str, says: str, tmp_path: Path
) -> None:
    """Whatever events come, in whatever shape: the end has its cause, and nothing breaks."""
    place = stand_in(tmp_path / "bin", "codex", *lines, first=1)
    with seat(tmp_path, [], place=place) as (bench, _, _):
        outcome = turn(bench)

    if cause == "Unchanged":
        assert isinstance(outcome, Unchanged), outcome
        return
    assert isinstance(outcome, Failed), outcome
    assert (outcome.cause, outcome.retryable) == (cause, True)
    assert says in outcome.fault


def test_its_tiers_are_models_that_it_knows(tmp_path: Path) -> None:
    """A tier that the configuration gives to another vendor's model means one of its own."""
    kept = books()
    runtime = Codex(
        provider=provider("http://127.0.0.1:9"),
        meter=kept.meter,
        limiter=limiter(),
        models={"medium": "claude-sonnet-5-5", "large": "gpt-5.5"},
        path=str(tmp_path),
    )

    assert not runtime.probe().ok
    assert f"@{PINNED}" in runtime.probe().fix
    assert all(kept.meter.prices.of(name) is not None for name in TIERS.values())


@pytest.mark.soak
@pytest.mark.parametrize(
    ("step", "cause", "says"),
    [
        (status(401, "bad key"), "denied", "key_env"),
        (status(429, retry_after=3600), "limited", "3600 s"),
        (text("I did everything, trust me."), "contract", "report"),
        (truncated_in_tool("exec_command", {"cmd": "touch src/api/half"}), "", "broke"),
    ],
)
def test_every_end_has_its_cause(step: Any, cause: str, says: str, tmp_path: Path) -> None:
    """Exit codes and claims are not believed: causes come from events and from the proxy."""
    with seat(tmp_path, lambda _: step) as (bench, _, _):
        outcome = turn(bench)

        assert isinstance(outcome, Failed), outcome
        assert outcome.cause == cause, outcome
        assert says in outcome.fault
        assert spied(tmp_path) == []


@pytest.mark.soak
def test_a_blocked_agent_escalates_with_what_it_needs(tmp_path: Path) -> None:
    """What it says it needs stands in the outcome."""
    blocked = {**REPORT, "status": "blocked", "needs_scope": ["src/core.py"]}
    with seat(tmp_path, [answer(blocked)]) as (bench, _, _):
        outcome = turn(bench)

    assert isinstance(outcome, Escalated)
    assert outcome.wants == ("src/core.py",)


@pytest.mark.soak
def test_a_silent_provider_meets_the_deadline(tmp_path: Path) -> None:
    """An agent that waits for its model is ended in time, and the call is paid for."""
    with seat(tmp_path, [hang()]) as (bench, _, kept):
        outcome = turn(bench, seconds=4.0)

        assert isinstance(outcome, Failed)
        assert outcome.retryable
        assert "deadline" in outcome.fault
        assert [call.ended for call in kept.calls] == ["stopped"]
        assert outcome.spend.tokens_in == kept.calls[0].usage.total_input > 0
