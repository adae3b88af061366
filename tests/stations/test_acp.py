"""The ``acp`` runtime against a scripted agent of its protocol, in real seats and sandboxes."""

import json
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
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
    Found,
    Kind,
    Outcome,
    StationSpec,
    Unchanged,
)
from stations.models.limiter import Limiter
from stations.models.meter import Ceilings, Meter
from stations.models.prices import Prices
from stations.models.values import Call, Provider
from stations.reading import Reading
from stations.runtimes import acp, acp_messages
from stations.runtimes.acp import Acp
from stations.runtimes.acp_link import Link, Linker, alone
from stations.runtimes.acp_messages import VERSION
from stations.runtimes.connected import Gateway
from stations.runtimes.permissions import Rules, Wish, refusal
from stations.runtimes.task import Control, Task
from stations.sandbox import choose
from stations.seat import papers_of
from tests.run import ROOT
from tests.scripted.messages import MessagesServer, Script, Step, text
from tests.stations.benches import assignment, base_of, bench_at, left, until
from tests.stations.records import Listed
from worktrees.change import paths
from worktrees.names import JobId, StationName
from worktrees.scope import Scope

Turns = list[list[list[Any]]]
REPORT = ["report", {"status": "done", "summary": "did it"}]
SCOPE = ("src/**",)


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """Give the scripted agent as a program of its own."""
    place = tmp_path / "agent" / "bin" / "scripted-acp"
    place.parent.mkdir(parents=True)
    shutil.copy(ROOT / "tests" / "scripted" / "acp_agent.py", place)
    return place


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """Give a bench on the small repository whose agents speak the protocol."""
    with bench_at(tmp_path / "repo") as made:
        yield replace(made, runtimes={"acp": Acp(link=alone)})


def spec(
    program: Path,
    turns: Turns,
    kind: Kind = Kind.CODE,
    commands: tuple[Argv, ...] = (),
    **more: Any,
) -> StationSpec:
    """Give a station whose agent does these turns."""
    script = json.dumps({"turns": turns, **more})
    return StationSpec(
        name=StationName("work"),
        kind=kind,
        scope=Scope(write=SCOPE),
        agent=Agent(runtime="acp", run=(str(program), script)),
        commands=commands,
    )


def turn(
    bench: Bench,
    program: Path,
    *turns: list[list[Any]],
    seconds: float = 20.0,
    idle: float = 0.0,
    budget: Budget | None = None,
    control: Control | None = None,
    commands: tuple[Argv, ...] = (),
    **more: Any,
) -> Outcome:
    """Let the scripted agent do one attempt."""
    station = spec(program, list(turns), commands=commands, **more)
    task = replace(
        assignment(bench, scope=SCOPE, seconds=seconds), idle=idle, budget=budget or Budget()
    )
    return Coding(spec=station, bench=bench).work(task, control)


def log(bench: Bench) -> str:
    """Give the attempt's log."""
    return (papers_of(bench, JobId("job1"), 1) / "output.log").read_text()


def test_an_edit_inside_the_scope_is_done(bench: Bench, program: Path) -> None:
    """Leave is given inside the scope, for this once, and the change becomes durable."""
    outcome = turn(bench, program, [["edit", "src/core.py", "ONE = 11\n"], ["say", "so"], REPORT])

    assert isinstance(outcome, Done), outcome
    assert list(paths(bench.git, base_of(bench), outcome.commit)) == [b"src/core.py"]
    assert outcome.note == "did it"
    said = log(bench)
    for line in ("started    scripted-acp 1.0", "tool       Edit src/core.py", "given: edit"):
        assert line in said
    assert "leave: once" in said
    assert "finished   done" in said


def test_leave_outside_the_scope_is_refused_and_named(bench: Bench, program: Path) -> None:
    """Who asks to write outside is refused, the scope is named, and the tree stays as it was."""
    outcome = turn(bench, program, [["edit", "README.md", "x"], REPORT])

    assert isinstance(outcome, Unchanged), outcome
    assert "leave: no" in log(bench)
    assert "README.md is outside the scope src/**" in log(bench)


def test_who_does_not_ask_is_stopped_by_the_kernel(bench: Bench, program: Path) -> None:
    """The protocol is no boundary: a write without asking fails in the sandbox."""
    outcome = turn(bench, program, [["write", "README.md", "x"], REPORT])

    assert isinstance(outcome, Unchanged), outcome
    assert "kernel: Read-only file system" in log(bench)


def test_only_the_commands_of_the_station_may_be_run(bench: Bench, program: Path) -> None:
    """Leave to run is given for the station's own commands and for nothing a shell adds."""
    asks = [
        ["ask", "execute", {"command": "git status -s"}],
        ["ask", "execute", {"command": "git status; rm -rf src"}],
        ["ask", "fetch", {"url": "somewhere"}],
        ["ask", "read", {"location": "/etc/hosts"}],
    ]

    turn(bench, program, [*asks, REPORT], commands=(("git", "status"),))

    answers = [line.split("leave: ")[1] for line in log(bench).splitlines() if "leave: " in line]
    assert answers == ["once", "no", "no", "once"]
    assert "one of those that may be run (git status)" in log(bench)


def test_without_a_fitting_option_nothing_is_given(bench: Bench, program: Path) -> None:
    """Leave for ever is never given, also when nothing else is offered."""
    only = [{"optionId": "always", "name": "Always", "kind": "allow_always"}]

    turn(bench, program, [["ask", "edit", {"location": "src/core.py"}, only], REPORT])

    assert "leave: cancelled" in log(bench)


def test_files_and_terminals_of_the_client_are_not_offered(bench: Bench, program: Path) -> None:
    """An agent that asks for the client's files or terminals is answered that there are none."""
    turn(bench, program, [["files"], REPORT])

    assert log(bench).count(": -32601") == 3


def test_a_missing_report_is_asked_for_once(bench: Bench, program: Path) -> None:
    """An agent that leaves no report is reminded once, in the same session."""
    outcome = turn(bench, program, [["write", "src/core.py", "x = 1\n"]], [["echo"], REPORT])

    assert isinstance(outcome, Done), outcome
    assert "retry      it left no valid report" in log(bench)
    assert "/.factory/out/report.json" in log(bench)


def test_without_any_report_the_change_counts(bench: Bench, program: Path) -> None:
    """An agent that ends its turns well and never reports is judged by what it changed."""
    outcome = turn(bench, program, [["write", "src/core.py", "x = 1\n"]], [])

    assert isinstance(outcome, Done), outcome


@pytest.mark.parametrize(
    ("acts", "cause", "fault"),
    [
        ([["stop", "max_tokens"]], "contract", "ended with max_tokens"),
        ([["stop", "max_turn_requests"]], "", "its own limit of turns"),
        ([["stop", "refusal"]], "", "refused the task"),
        ([["stop", "cancelled"]], "", "cancelled its own turn"),
        ([["stop", "soon\u001b[31m"]], "contract", "ended with soon\ufffd[31m"),
        ([["report", {"status": "perfect"}]], "contract", "without a valid report"),
        ([["error", -32603, "the model is gone"]], "", "session/prompt: the model is gone"),
        ([["error", -32000, "login"]], "denied", "wants to be logged in"),
        ([["die", 3]], "", "exit 3: my last word"),
        ([["raw", "[1]", 300]], "", "is no JSON-RPC: [1]"),
    ],
)
def test_a_turn_that_ends_badly_is_named(
    bench: Bench, program: Path, acts: list[list[Any]], cause: str, fault: str
) -> None:
    """Whatever ends a turn but its own good end fails the attempt and says what it was."""
    outcome = turn(bench, program, acts, acts)

    assert isinstance(outcome, Failed), outcome
    assert fault in outcome.fault
    assert outcome.cause == cause
    assert outcome.retryable


def test_what_it_reports_decides_nothing_good(bench: Bench, program: Path) -> None:
    """A report of done without a change is unchanged; of blocked it asks for what it needs."""
    blocked = {"status": "blocked", "summary": "no way", "needs_scope": ["docs/**"]}

    outcome = turn(bench, program, [["report", blocked]])

    assert outcome == Escalated(reason="no way", wants=("docs/**",), spend=outcome.spend)


def test_hostile_lines_are_passed_over(bench: Bench, program: Path) -> None:
    """Lines that are no message, answers nobody asked for and floods do not end an attempt."""
    deep = "[" * 100_000
    acts: list[list[Any]] = [
        ["raw", "npm warn"],
        ["raw", deep],
        ["raw", "\u0007{"],
        ["wrong_ids"],
        ["flood", 3000],
    ]

    more: list[list[Any]] = [["write", "src/core.py", "x = 2\n"], REPORT]

    outcome = turn(bench, program, [*acts, *more])

    assert isinstance(outcome, Done), outcome
    assert "(no message) npm warn" in log(bench)
    assert "\u0007" not in log(bench)


def test_another_version_of_the_protocol_is_refused(bench: Bench, program: Path) -> None:
    """An agent of another version is refused by name before it is given anything to do."""
    outcome = turn(bench, program, [], hello={"protocolVersion": VERSION + 1})

    assert isinstance(outcome, Failed)
    assert outcome.cause == "denied"
    assert "scripted-acp speaks version 2 of the Agent Client Protocol" in outcome.fault


def test_silence_ends_an_attempt(bench: Bench, program: Path) -> None:
    """An agent that hangs is ended after the station's silence and leaves no process."""
    outcome = turn(bench, program, [["leave_child", "98765431"], ["hang"]], idle=0.5)

    assert isinstance(outcome, Failed)
    assert outcome.fault == "no message for 0.5 s"
    assert left("98765431") == []


def test_noise_is_no_sign_of_life(bench: Bench, program: Path) -> None:
    """A child that is deaf and asks without end is ended, however much waits for it."""
    outcome = turn(bench, program, [["deaf", 4000]], idle=1.0)

    assert isinstance(outcome, Failed), outcome
    assert outcome.retryable
    assert outcome.spend.seconds < 8


def test_a_line_without_an_end_is_ended(
    bench: Bench, program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line that is longer than any message ends the agent."""
    monkeypatch.setattr(acp, "LINE_BYTES", 100_000)

    outcome = turn(bench, program, [["long_line", 300_000]])

    assert isinstance(outcome, Failed), outcome
    assert "longer line" in outcome.fault


def test_its_time_ends_an_attempt(bench: Bench, program: Path) -> None:
    """The attempt's deadline ends an agent that still says something."""
    outcome = turn(bench, program, [["hang"]], seconds=1.0)

    assert isinstance(outcome, Failed)
    assert "the deadline ended it" in outcome.fault


@pytest.mark.parametrize("act", ["until_cancel", "hang"])
def test_a_stop_is_over_in_two_seconds(bench: Bench, program: Path, act: str) -> None:
    """Ended from outside it is told to stop, gone within two seconds, and its work is kept."""
    control = Control()
    ended: list[Outcome] = []
    acts = [["write", "src/core.py", "x = 3\n"], ["say", "waiting"], ["leave_child", "98765432"]]
    worker = threading.Thread(
        target=lambda: ended.append(turn(bench, program, [*acts, [act]], control=control))
    )
    worker.start()
    assert until(lambda: left("98765432"))

    control.end("killed")
    gone = until(lambda: not left("98765432"), 2.0)
    worker.join(20)

    assert gone
    assert isinstance(ended[0], Failed)
    assert ended[0].interrupted
    assert bench.git("for-each-ref", "refs/factory/salvage").text


def told(bench: Bench, program: Path, act: str, **more: Any) -> tuple[str, Outcome]:
    """Steer an agent in mid-turn; give what became of the word, and the outcome."""
    control = Control()
    ended: list[Outcome] = []
    turns: Turns = [[["leave_child", "98765433"], [act]], [["echo"], REPORT]]

    def work() -> None:
        ended.append(turn(bench, program, *turns, control=control, **more))

    worker = threading.Thread(target=work)
    worker.start()
    assert until(lambda: left("98765433"))
    steered = control.steer("use tabs")
    worker.join(20)
    return steered, ended[0]


def test_a_word_reaches_an_agent_that_can_be_steered(bench: Bench, program: Path) -> None:
    """An agent that says it can be steered hears a word in mid-turn."""
    steered, _ = told(
        bench, program, "until_steered", hello={"_meta": {"steering": {"supported": True}}}
    )

    assert steered == "injected"
    assert "steered: use tabs" in log(bench)


def test_a_word_that_is_not_taken_is_said_in_the_next_turn(bench: Bench, program: Path) -> None:
    """An agent that refuses a word in mid-turn is not pressed: it hears it in its next turn."""
    told(bench, program, "refuse_steering", hello={"_meta": {"steering": {"supported": True}}})

    assert "refused 1" in log(bench)
    assert "prompt: use tabs" in log(bench)


def test_a_word_becomes_a_prompt_where_prompts_may_queue(bench: Bench, program: Path) -> None:
    """An agent that queues prompts gets the word as one, in mid-turn."""
    queues = {"agentCapabilities": {"_meta": {"claudeCode": {"promptQueueing": True}}}}

    steered, _ = told(bench, program, "until_prompted", hello=queues)

    assert steered == "injected"
    assert "also: use tabs" in log(bench)


def test_a_word_waits_for_the_end_of_a_turn(bench: Bench, program: Path) -> None:
    """An agent that hears nothing in mid-turn gets the word as its next prompt."""
    control = Control()
    control.steer("use tabs")

    outcome = turn(bench, program, [["echo"], REPORT], control=control)

    assert isinstance(outcome, Unchanged)
    assert "use tabs" in log(bench)


def test_the_prompt_says_scope_commands_and_report(bench: Bench, program: Path) -> None:
    """The first prompt tells what may be changed and run, and where the report goes."""
    turn(bench, program, [["echo"], REPORT], commands=(("git", "status"),))

    said = log(bench)
    assert "prompt: Do it" in said
    assert "You may change:   src/**" in said
    assert "These commands may be run: git status." in said
    assert "to the file /.factory/out/report.json" in said


CHOICE = [{"value": "other", "name": "O"}, {"value": "wanted", "name": "W"}]
OPTION = {"id": "model", "category": "model", "type": "select", "currentValue": "other"}
LISTED = {"currentModelId": "other", "availableModels": [{"modelId": "wanted", "name": "W"}]}


@pytest.mark.parametrize(
    "offered",
    [
        {"configOptions": [{**OPTION, "options": CHOICE}]},
        {"configOptions": [{**OPTION, "options": [{"group": "g", "options": CHOICE}]}]},
        {"models": LISTED},
    ],
    ids=["option", "grouped option", "list"],
)
def test_a_model_that_the_agent_offers_is_chosen(
    bench: Bench, program: Path, offered: dict[str, Any]
) -> None:
    """The station's model is set in the session, in whichever way the agent offers it."""
    with_model = replace(bench, runtimes={"acp": Acp(link=_wanting("wanted"))})
    turn(with_model, program, [REPORT], new=offered)

    assert "model set to wanted" in log(bench)


def test_a_result_is_named_by_what_its_call_was_last_called(bench: Bench, program: Path) -> None:
    """An end that brings no title is shown under the one that its call got meanwhile."""
    call: dict[str, Any] = {"sessionUpdate": "tool_call", "toolCallId": "t9", "title": "Preparing"}
    later = {"sessionUpdate": "tool_call_update", "toolCallId": "t9"}
    acts = [call, later | {"title": "Write core.py"}, later | {"status": "completed"}]

    turn(bench, program, [*(["update", one] for one in acts), REPORT])

    assert "tool       Preparing" in log(bench)
    assert "result     Write core.py completed" in log(bench)


ODD: tuple[Any, ...] = ([], {}, [[]], {"a": {}}, None, True, 1e99, "\ud800\u0007", "x" * 5_000)


@pytest.mark.parametrize("odd", ODD, ids=repr)
def test_no_field_of_a_message_is_trusted_to_be_what_it_should(odd: Any) -> None:
    """Whatever stands in a field of any message, reading it raises nothing and says little."""
    call = {"toolCallId": odd, "title": odd, "kind": odd, "rawInput": {"command": odd, "path": odd}}
    asked = {"toolCall": call | {"locations": odd}, "options": [{"kind": odd, "optionId": odd}]}
    calls: dict[str, str] = {}
    for kind in (odd, "tool_call", "tool_call_update", "agent_message_chunk"):
        for name in (odd, "t1"):
            update = {"sessionUpdate": kind, "toolCallId": name, "status": odd, "content": odd}
            acp_messages.opened(update, calls)
            acp_messages.step(update | {"locations": [{"path": odd}], "title": odd}, calls)
            acp_messages.spoken(update)

    greeted = acp_messages.hello({"protocolVersion": odd, "agentInfo": odd, "authMethods": odd})

    assert greeted.version != VERSION
    assert acp_messages.option_for(asked, granted=True) is None
    assert len(acp_messages.title(asked)) <= 300
    assert refusal(acp_messages.wish(asked), Rules(place="/repo", scope=Scope()))
    assert (
        acp_messages.model_choice({"configOptions": [{"options": odd}], "models": odd}, "m") is None
    )
    assert len(acp_messages.stop_reason({"stopReason": odd})) <= 80
    assert len(acp_messages.session_id({"sessionId": odd})) <= 300


def test_a_question_is_answered_from_a_tree_that_nobody_may_write(
    bench: Bench, program: Path
) -> None:
    """A reading station gives the report's data, and leave to write is refused everywhere."""
    report = {"status": "done", "summary": "s", "data": {"answer": 42}}
    station = spec(program, [[["edit", "src/core.py", "x"], ["report", report]]], kind=Kind.READ)

    outcome = Reading(spec=station, bench=bench).work(assignment(bench, scope=SCOPE))

    assert isinstance(outcome, Found), outcome
    assert json.loads(outcome.data) == {"answer": 42}
    assert "outside the scope nothing" in log(bench)


@contextmanager
def calling(bench: Bench, script: Script) -> Iterator[tuple[Bench, list[Call]]]:
    """Give a bench whose agents reach a scripted model through relay and proxy."""
    calls: list[Call] = []
    with MessagesServer(script) as server:
        gateway = Gateway(
            providers={"messages": Provider(name="anthropic", base_url=server.url, key="sk-1")},
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
        try:
            yield replace(bench, runtimes={"acp": Acp(link=gateway.acp)}), calls
        finally:
            for upstream in gateway.upstreams.values():
                upstream.close()


def test_its_calls_go_through_the_proxy_and_are_charged(bench: Bench, program: Path) -> None:
    """An agent reaches its model from inside, and what that took is the attempt's spend."""
    with calling(bench, lambda _: text("hello")) as (equipped, calls):
        outcome = turn(equipped, program, [["call"], ["call"], REPORT])

    assert isinstance(outcome, Unchanged), outcome
    assert log(bench).count("model: hello") == 2
    assert len(calls) == 2
    assert outcome.spend.tokens_in == sum(call.usage.total_input for call in calls) > 0


def test_a_call_under_way_is_no_silence(bench: Bench, program: Path) -> None:
    """An agent that waits for its model is not ended for saying nothing meanwhile."""

    def slow(_: object) -> Step:
        threading.Event().wait(3.5)
        return text("hello")

    with calling(bench, slow) as (equipped, _):
        outcome = turn(equipped, program, [["call"], REPORT], idle=2.5)

    assert isinstance(outcome, Unchanged), outcome


def test_a_spent_budget_ends_an_attempt_at_once(bench: Bench, program: Path) -> None:
    """An agent whose budget is spent is ended although it would go on calling."""
    with calling(bench, lambda _: text("hello")) as (equipped, calls):
        acts: list[list[Any]] = [["call"], ["call", 30_000], ["hang"]]
        outcome = turn(equipped, program, acts, budget=Budget(tokens=5_000))

    assert isinstance(outcome, Failed), outcome
    assert (outcome.cause, outcome.account) == ("budget", "job")
    assert len(calls) == 1


def test_without_a_sandbox_the_report_is_found(tmp_path: Path, program: Path) -> None:
    """Outside of a sandbox the agent is told where its report really goes."""
    with bench_at(tmp_path / "repo", sandbox=choose("none")) as made:
        plain = replace(made, runtimes={"acp": Acp(link=alone)})
        outcome = turn(plain, program, [["write", "src/core.py", "x = 1\n"], ["reported"]])

    assert isinstance(outcome, Done), outcome
    assert outcome.note == "by path"


def test_permissions_see_through_paths() -> None:
    """Paths are judged as they resolve; git's own files and what has no path are refused."""
    rules = Rules(
        place="/work/tree",
        scope=Scope(write=("src/**", "!src/secret.py")),
        commands=(("make", "test"),),
        also=("/.factory/out", "/work"),
    )

    def given(path: str) -> bool:
        return not refusal(Wish(deed="write", paths=(path,)), rules)

    assert given("src/a.py")
    assert given("/work/tree/src/../src/a.py")
    assert given("/.factory/out/report.json")
    for outside in (
        *("src/../README.md", "/worker/src/a.py", "../../tree2/src/a.py"),
        *("src/secret.py", "src/.git/config", ".GIT/hooks/x", "/.factory/outer", "/etc/passwd"),
        *("src/a\0.py", "src/" + "a" * 5000, ""),
    ):
        assert not given(outside), outside
    assert refusal(Wish(deed="write"), rules)
    assert refusal(Wish(deed="other"), rules)
    assert refusal(Wish(deed="write", paths=("src/a.py", "README.md")), rules)


def test_commands_are_judged_as_words() -> None:
    """A command counts only as the words of one program; a shell's additions refuse it."""
    rules = Rules(place="/t", scope=Scope(), commands=(("make", "test"),))

    def given(command: str | tuple[str, ...]) -> bool:
        return not refusal(Wish(deed="run", command=command), rules)

    assert given("make test")
    assert given("make test -k 'a b'")
    assert given("cd /t && make test")
    assert given(("make", "test"))
    assert given(("bash", "-lc", "make test"))
    for other in (
        *(
            "make",
            "make tests",
            "make test && rm x",
            "make test\nrm x",
            "make test $(rm x)",
            "'",
            "",
        ),
        *("cd /elsewhere && make test", "make test > README.md"),
    ):
        assert not given(other), other
    assert not given(("bash", "-lc", "make test; rm x"))
    assert not given(())


def _wanting(model: str) -> Linker:
    """Give a way to no model at all that names one."""

    @contextmanager
    def link(task: Task) -> Iterator[Link]:
        with alone(task) as made:
            yield replace(made, model=model)

    return link
