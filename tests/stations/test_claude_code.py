"""The real Claude Code program in real seats and sandboxes, against a scripted Messages API."""

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
    Argv,
    Budget,
    Done,
    Escalated,
    Failed,
    Kind,
    Outcome,
    StationSpec,
    Unchanged,
)
from stations.runtimes.claude_code import PINNED, ClaudeCode
from stations.runtimes.task import Control, Probe
from stations.seat import papers_of
from stations.tools import Surroundings
from tests.conftest import FILES
from tests.run import run
from tests.scripted.messages import (
    Asked,
    MessagesServer,
    Script,
    Turn,
    drip,
    hang,
    refusal,
    spend_limit,
    status,
    text,
    tool,
    truncated_in_tool,
)
from tests.stations.benches import PATH, RUN, assignment, base_of, bearing, bench_at, until
from tests.stations.gateways import KEY, Books, books, installed, limiter, provider, stand_in
from worktrees.change import paths
from worktrees.names import JobId, StationName, job_ref, salvage_ref
from worktrees.scope import Scope

SCOPE = ("src/api/**",)
SNOOP = """
cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline | tr '\\0' '\\n'
grep -rs canary-5f0f /tmp /.factory "$HOME"
echo x > src/core.py
"""
REPORT: dict[str, Any] = {
    "status": "done",
    "summary": "Renamed it.",
    "files": ["src/api/users.py"],
    "tests_run": [],
    "risks": [],
    "needs_scope": [],
}


RESULT: dict[str, Any] = {
    "type": "result",
    "subtype": "success",
    "is_error": False,
    "terminal_reason": "completed",
    "structured_output": REPORT,
}


@contextmanager
def seat(
    at: Path,
    script: Script,
    *,
    place: Path | None = None,
    run: Budget | None = None,
    **server: Any,
) -> Iterator[tuple[Bench, MessagesServer, Books]]:
    """Give a bench whose agents are the program, a scripted model and the books.

    It is the real program, or the one of that name at a ``place``.
    """
    place, made = place or installed("claude"), books(run=run)
    around = Surroundings(path=f"{place}:{PATH}")
    files = {**FILES, "AGENTS.md": "Speak plainly.\n", "snoop.sh": SNOOP}
    with (
        bench_at(at / "repo", files=files, surroundings=around) as bench,
        MessagesServer(script, key=KEY, **server) as model,
    ):
        runtime = ClaudeCode(
            provider=provider(model.url),
            meter=made.meter,
            limiter=limiter(),
            models={},
            path=f"{place}:{PATH}",
        )
        with closing(runtime):
            yield replace(bench, runtimes={"claude-code": runtime}), model, made


def turn(
    bench: Bench,
    *,
    control: Control | None = None,
    budget: Budget | None = None,
    seconds: float = 60.0,
    commands: tuple[Argv, ...] = (),
) -> Outcome:
    """Do one attempt of a job."""
    spec = StationSpec(
        name=StationName("work"),
        kind=Kind.CODE,
        scope=Scope(write=SCOPE),
        agent=Agent(runtime="claude-code", model="medium"),
        commands=commands,
    )
    given = assignment(bench, scope=SCOPE, seconds=seconds)
    paid = replace(given, budget=budget or Budget())
    return Coding(spec=spec, bench=bench).work(paid, control or Control())


def log(bench: Bench) -> str:
    """Give the steps of the first attempt."""
    return (papers_of(bench, JobId("job1"), 1) / "output.log").read_text()


def report(**more: Any) -> Turn:
    """Have it report."""
    return tool("StructuredOutput", {**REPORT, **more})


def edit(at: Path, path: str, old: str, new: str) -> Turn:
    """Have it change a file."""
    given = {"file_path": f"{at}/repo/{path}", "old_string": old, "new_string": new}
    return tool("Edit", given)


def read(at: Path, path: str) -> Turn:
    """Have it read a file, which it wants to before it changes one."""
    return tool("Read", {"file_path": f"{at}/repo/{path}"})


def spied(at: Path) -> list[str]:
    """Name the files of a repository, its git directory included, that hold the key."""
    found = run(["grep", "-rlaF", KEY, str(at / "repo")], check=False)
    return found.text.split()


def test_work_in_scope_lands_and_work_outside_is_refused_by_agent_and_kernel(
    tmp_path: Path,
) -> None:
    """An edit in scope is Done, one outside is refused twice over, and no key is in the sandbox."""
    script = [
        read(tmp_path, "src/api/users.py"),
        edit(tmp_path, "src/api/users.py", "'u'", "'user'"),
        edit(tmp_path, "src/api/new.py", "", "NEW = 1\n"),
        read(tmp_path, "src/core.py"),
        edit(tmp_path, "src/core.py", "ONE", "UNO"),
        tool("Bash", {"command": "rm -rf src"}),
        tool("Bash", {"command": "sh snoop.sh"}),
        report(),
    ]

    with seat(tmp_path, script) as (bench, model, kept):
        outcome = turn(bench, commands=(("sh", "snoop.sh"),))

        assert isinstance(outcome, Done), (outcome, log(bench))
        changed = list(paths(bench.git, base_of(bench), outcome.commit))
        assert changed == [b"src/api/new.py", b"src/api/users.py"]
        outside, removal, seen = (one.answers[0] for one in model.requests[5:8])
        assert "is outside the scope src/api/**" in outside
        assert "needs_scope" in outside
        assert "not one of those that may be run (sh snoop.sh)" in removal
        assert "src/core.py: Read-only file system" in seen
        assert "ANTHROPIC_API_KEY=held-by-the-factory" in seen
        assert KEY not in seen
        assert "canary-5f0f" not in seen.replace("grep -rs canary-5f0f", "")
        assert spied(tmp_path) == []
        assert "Speak plainly." in model.requests[0].first
        assert len(kept.calls) == len(model.requests) == 8
        assert outcome.spend.tokens_out == sum(call.usage.output for call in kept.calls)
        assert outcome.spend.dollars == sum(call.dollars or Decimal(0) for call in kept.calls)
        shown = log(bench)
        assert f"started    claude {PINNED}, claude-sonnet-5-5" in shown
        assert "permission refused Edit" in shown


def test_it_is_stopped_soon_and_nothing_of_it_is_left(tmp_path: Path) -> None:
    """Neither the program, the relay nor what it ran lives on, and its work is kept."""
    script = [
        edit(tmp_path, "src/api/new.py", "", "NEW = 1\n"),
        tool("Bash", {"command": "sleep 4242.75", "timeout": 60_000}),
    ]
    control, ended = Control(), list[Outcome]()

    with seat(tmp_path, script) as (bench, _, _):
        sleeper = (("sleep", "4242.75"),)
        thread = threading.Thread(
            target=lambda: ended.append(turn(bench, control=control, commands=sleeper))
        )
        thread.start()
        assert until(lambda: bearing("^sleep 4242.75"), 30)
        began = time.monotonic()
        control.end()
        thread.join(30)
        took = time.monotonic() - began

        assert took < 15.0  # where nothing else is at work it is under two
        assert until(lambda: not bearing("sleep 4242.75"))
        assert until(lambda: not bearing(str(tmp_path / "repo")))
        assert isinstance(ended[0], Failed)
        assert ended[0].interrupted
        kept = bench.git.resolve(job_ref(RUN, JobId("job1")))
        assert kept is not None or bench.git.resolve(salvage_ref(RUN, JobId("job1")))


def test_a_word_from_outside_is_heard_between_two_steps(tmp_path: Path) -> None:
    """What is told while it works stands in its next request."""
    control = Control()

    def script(asked: Asked) -> Turn:
        if asked.turn == 0:
            control.steer("Mind the gap.")
            return drip(read(tmp_path, "src/core.py"), 0.15)
        heard = any("Mind the gap." in str(one) for one in asked.messages)
        return report() if heard else read(tmp_path, "README.md")

    with seat(tmp_path, script) as (bench, model, _):
        outcome = turn(bench, control=control)

        assert isinstance(outcome, Unchanged), (outcome, log(bench))
        assert "told       Mind the gap." in log(bench)
        assert len(model.requests) < 6


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


@pytest.mark.soak
@pytest.mark.parametrize(
    ("step", "cause", "says"),
    [
        (status(401, "bad key"), "denied", "key_env"),
        (spend_limit(), "denied", "spend limit"),
        (status(429, retry_after=3600), "limited", "3600 s"),
        (status(400, "prompt is too long"), "", "too long"),
        (text("I did everything, trust me."), "contract", "report"),
        (tool("StructuredOutput", {"status": "great"}), "contract", "structured output"),
        (refusal("no"), "", "flagged"),
        (truncated_in_tool("Bash", {"command": "true"}), "", "broke"),
    ],
)
def test_every_end_has_its_cause(step: Any, cause: str, says: str, tmp_path: Path) -> None:
    """Exit codes and claims are not believed: causes come from frames and from the proxy."""
    with seat(tmp_path, lambda _: step) as (bench, _, _):
        outcome = turn(bench)

        assert isinstance(outcome, Failed), outcome
        assert outcome.cause == cause
        assert says in outcome.fault
        assert spied(tmp_path) == []


@pytest.mark.soak
def test_a_blocked_agent_escalates_with_what_it_needs(tmp_path: Path) -> None:
    """What it says it needs stands in the outcome."""
    script = [report(status="blocked", summary="needs core", needs_scope=["src/core.py"])]
    with seat(tmp_path, script) as (bench, _, _):
        outcome = turn(bench)

    assert isinstance(outcome, Escalated)
    assert outcome.wants == ("src/core.py",)


@pytest.mark.soak
def test_a_reply_cut_in_a_tool_s_input_changes_nothing_and_is_asked_for_again(
    tmp_path: Path,
) -> None:
    """Half an edit is no edit; the next reply does the work."""
    half = {
        "file_path": f"{tmp_path}/repo/src/api/new.py",
        "old_string": "",
        "new_string": "x" * 99,
    }

    def script(asked: Asked) -> Any:
        if asked.number == 0:
            return truncated_in_tool("Edit", half)
        if not any("tool_result" in str(one) and "new.py" in str(one) for one in asked.messages):
            return edit(tmp_path, "src/api/new.py", "", "NEW = 1\n")
        return report()

    with seat(tmp_path, script) as (bench, _, kept):
        outcome = turn(bench)

        assert isinstance(outcome, Done), (outcome, log(bench))
        made = bench.git("cat-file", "blob", f"{outcome.commit}:src/api/new.py").out
        assert made == b"NEW = 1\n"
        assert kept.calls[0].ended in {"incomplete", "provider"}


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


@pytest.mark.parametrize(
    ("lines", "cause", "says"),
    [
        ([RESULT], "Unchanged", ""),
        ([{**RESULT, "is_error": True, "result": "no\u001b[2J"}], "", "no\ufffd[2J"),
        ([{**RESULT, "is_error": None}], "", "completed"),
        ([{**RESULT, "structured_output": None}], "contract", "reminder"),
        ([{**RESULT, "structured_output": {"status": 7}}], "contract", "report"),
        ([{**RESULT, "is_error": True, "terminal_reason": "max_turns"}], "", "100 turns"),
        (["[]", "{", '"x"', "[" * 50_000, "null", RESULT], "Unchanged", ""),
        ([{"type": "assistant", "message": 7}, {"type": "user", "message": {"content": [4]}}], "",
         "without a result (exit 0)"),
        ([{"type": "control_request", "request": ["rm"]}, "last words"], "", "exit 0): last words"),
        ([], "", "no output"),
    ],
)  # fmt: skip
def test_a_program_s_words_are_believed_only_as_far_as_they_are_in_order(
    lines: list[Any], cause: str, says: str, tmp_path: Path
) -> None:
    """Whatever frames come, in whatever shape: the end has its cause, and nothing breaks."""
    place = stand_in(tmp_path / "bin", "claude", *lines)
    with seat(tmp_path, [], place=place) as (bench, _, _):
        outcome = turn(bench)

    if cause == "Unchanged":
        assert isinstance(outcome, Unchanged), outcome
        return
    assert isinstance(outcome, Failed), outcome
    assert (outcome.cause, outcome.retryable) == (cause, True)
    assert says in outcome.fault


def test_a_limit_that_the_program_reached_by_itself_names_the_account_it_stood_for(
    tmp_path: Path,
) -> None:
    """Its own limit is what was left of the tightest account: a spent run is no spent job."""
    spent = {**RESULT, "is_error": True, "terminal_reason": "budget_exhausted", "result": "$0.5"}
    place = stand_in(tmp_path / "bin", "claude", spent)
    run = Budget(dollars=Decimal("0.5"))
    with seat(tmp_path, [], place=place, run=run) as (bench, _, _):
        of_run = turn(bench, budget=Budget(dollars=Decimal(2)))
    with seat(tmp_path / "again", [], place=place) as (bench, _, _):
        of_job = turn(bench, budget=Budget(dollars=Decimal(2)))

    assert isinstance(of_run, Failed)
    assert isinstance(of_job, Failed)
    assert (of_run.cause, of_run.account, of_run.retryable) == ("budget", "run", True)
    assert (of_job.cause, of_job.account, of_job.retryable) == ("budget", "job", False)


def test_the_probe_names_the_release_and_what_is_missing(tmp_path: Path) -> None:
    """The exact version is recorded; without the program the fix is named; no model is asked."""
    place = installed("claude")
    made = books()
    with MessagesServer([]) as model:

        def probe(path: str) -> Probe:
            return ClaudeCode(
                provider=provider(model.url),
                meter=made.meter,
                limiter=limiter(),
                models={},
                path=path,
            ).probe()

        found, missing = probe(f"{place}:{PATH}"), probe(str(tmp_path))

        assert (found.ok, found.version) == (True, PINNED)
        assert not missing.ok
        assert f"@{PINNED}" in missing.fix
        assert model.seen == []
