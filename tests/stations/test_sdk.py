"""Our own loop: real calls to a strict scripted API, real seats, sandboxes and git."""

import itertools
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from stations.bench import Bench
from stations.contract import (
    Brief,
    Budget,
    Done,
    Escalated,
    Failed,
    Found,
    Kind,
    Outcome,
    Reviewed,
    Split,
)
from stations.models.anthropic_door import AnthropicDoor
from stations.models.caller import Caller
from stations.models.values import Payer, Provider
from stations.reviewing import Reviewing
from stations.runtimes.sdk import Sdk
from stations.runtimes.task import Control
from stations.seat import papers_of, take_turn
from tests.scripted.messages import (
    KEY,
    Asked,
    broken_json,
    context_exceeded,
    drip,
    error_event,
    finish,
    hang,
    html,
    huge_argument,
    max_tokens,
    max_tokens_in_tool,
    pause,
    refusal,
    reset,
    status,
    text,
    thinking,
    tool,
    truncated_in_tool,
    turn,
    unknown_tool,
)
from tests.stations.benches import RUN, assignment, base_of, bearing, bench_at, until
from tests.stations.shops import EDIT, FILES, SERIALS, log_of, shop
from worktrees.change import paths
from worktrees.names import JobId, StationName, salvage_ref


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """Give one bench for the whole module; each attempt has a job and a workspace of its own."""
    with bench_at(tmp_path_factory.mktemp("sdk") / "repo", files=FILES) as made:
        yield made


def test_a_model_reads_edits_checks_and_reports(ground: Bench) -> None:
    """The change is what git sees, the note what it said, the spend what the API counted."""
    script = [
        tool("read", {"path": "src/api/users.py"}, say="Let me look."),
        EDIT,
        tool("run", {"name": "1", "timeout_s": 20}),
        finish("done", "Renamed it.", files=["src/api/users.py"]),
    ]
    with shop(ground, script) as made:
        outcome = made.turn(
            made.spec(commands=(("grep", "-c", "user", "src/api/users.py"),)), job="whole"
        )
        asked = made.server.requests

    assert made.changed(outcome) == [b"src/api/users.py"]
    assert made.held(outcome, "src/api/users.py").endswith("'user'")
    assert isinstance(outcome, Done)
    assert outcome.note == "Renamed it."
    assert "return 'u'" in asked[1].answers[0]
    assert asked[3].answers[0].startswith("exit 0 after ")
    assert outcome.spend.tokens_in == sum(call.usage.total_input for call in made.calls)
    assert outcome.spend.tokens_out > 0
    assert outcome.spend.dollars == sum((call.dollars or Decimal(0)) for call in made.calls)
    assert asked[0].body["output_config"] == {"effort": "medium"}
    said = log_of(made, "whole")
    size = int(said.partition("context ")[2].partition(" ")[0])
    assert abs(size - asked[0].size / 4) < 10
    assert f"{size} tokens; the whole repository would be " in said
    assert "synthetic: a server on this machine answers" in said
    assert "tool       edit src/api/users.py" in said
    assert "text       Let me look." in said
    assert "finished   done" in said


def test_the_claim_of_done_counts_for_nothing(ground: Bench) -> None:
    """Without a change there is none, whatever the report says."""
    with shop(ground, [finish("done", "All fixed!", files=["src/api/users.py"])]) as made:
        outcome = made.turn()

    assert outcome.kind == "unchanged"


def test_nobody_is_believed_who_ends_without_a_report(ground: Bench) -> None:
    """It is reminded once; then the attempt is a breach of the contract."""
    with shop(ground, [text("Done."), text("I said: done.")]) as made:
        outcome = made.turn()
        reminded = made.server.requests[1].last

    assert isinstance(outcome, Failed)
    assert outcome.cause == "contract"
    assert "`finish`" in reminded


def test_a_reminder_is_enough_for_most(ground: Bench) -> None:
    """The report may come after it."""
    with shop(ground, [EDIT, text("Done."), finish()]) as made:
        assert made.changed(made.turn()) == [b"src/api/users.py"]


def test_calls_that_are_not_valid_are_answered_and_not_done(ground: Bench) -> None:
    """Unknown tools, wrong types, missing and unknown keys, ten megabytes: each says so."""
    wrong = turn(
        tool("edit", {"path": "src/api/users.py", "old": "'u'"}),
        tool("edit", {"path": "src/api/users.py", "old": "'u'", "new": 7}),
        tool("read", {"path": "src/api/users.py", "line": 3}),
        tool("finish", {"status": "perfect", "summary": ""}),
        tool("read", {"path": "src/api/users.py"}),
    )
    with shop(ground, [unknown_tool(), wrong, huge_argument(), EDIT, finish()]) as made:
        outcome = made.turn()
        asked = made.server.requests

    assert made.changed(outcome) == [b"src/api/users.py"]
    assert "there is no tool 'launch_missiles'; there are read, search" in asked[1].answers[0]
    assert asked[1].results[0]["is_error"] is True
    said = asked[2].answers
    assert "lacks 'new'" in said[0]
    assert "the input.new must be a text" in said[1]
    assert "holds 'line', which is not known" in said[2]
    assert "lacks 'files'" in said[3]
    assert said[4].startswith("src/api/users.py lines 1-2 of 2")
    assert "too long" in asked[3].answers[0]
    assert asked[3].size < 50_000


def test_numbers_and_depths_that_nobody_can_use_are_answered_too(ground: Bench) -> None:
    """A number of 400 digits, lists in lists in lists: neither a crash nor carried along."""
    deep: object = "bottom"
    for _ in range(300):
        deep = [deep]
    wrong = turn(
        tool("run", {"name": "1", "timeout_s": 10**400}),
        tool("read", {"path": "README.md", "start": -1}),
        tool("split", {"jobs": deep}),
    )
    with shop(ground, [wrong, EDIT, finish()]) as made:
        outcome = made.turn(made.spec(commands=(("true",),)))
        asked = made.server.requests

    assert isinstance(outcome, Done)
    assert "timeout_s must be from 0 to" in asked[1].answers[0]
    assert "start must be from 0 to" in asked[1].answers[1]
    assert "too long or too deep" in asked[1].answers[2]
    assert asked[1].size < 10_000


def test_a_report_that_names_what_git_does_not_see_is_noted(ground: Bench) -> None:
    """For people: it decides nothing, as the report itself decides nothing."""
    claims = ["src/api/users.py", "src/core.py", "\x1b[2Jsrc/x"]
    with shop(ground, [EDIT, finish("done", "x", files=claims)]) as made:
        outcome = made.turn(job="claims")
    with shop(ground, [finish("done", "x", files=["src/api/users.py"])]) as made:
        lied = made.turn(job="lies")

    assert made.changed(outcome) == [b"src/api/users.py"]
    said = log_of(made, "claims")
    assert "names files that are not changed: " in said
    assert "src/core.py" in said
    assert "users.py" not in said.partition("are not changed")[2].partition("\n")[0]
    assert "\x1b" not in said
    assert lied.kind == "unchanged"
    assert "names files that are not changed: src/api/users.py" in log_of(made, "lies")


def test_three_times_nonsense_in_a_row_is_a_failure(ground: Bench) -> None:
    """Not one call more than that is paid for."""
    with shop(ground, lambda _: unknown_tool()) as made:
        outcome = made.turn()
        count = len(made.server.requests)

    assert isinstance(outcome, Failed)
    assert outcome.retryable
    assert outcome.fault.startswith("3 times in a row: not done: there is no tool")
    assert count == 3


def test_a_denial_is_readable_and_escalating_ends_with_a_question(ground: Bench) -> None:
    """Outside its scope a model learns the way out, and a person is asked for what it needs."""
    script = [
        tool("edit", {"path": "src/core.py", "old": "1", "new": "2"}),
        tool("escalate", {"reason": "ONE must change too.", "need": ["src/core.py"]}),
    ]
    with shop(ground, script) as made:
        outcome = made.turn()
        denial = made.server.requests[1].answers[0]

    assert "src/core.py is outside your scope; you may write: src/api/**" in denial
    assert isinstance(outcome, Escalated)
    assert (outcome.reason, outcome.wants) == ("ONE must change too.", ("src/core.py",))


def test_a_report_after_a_failed_edit_of_the_same_answer_is_not_taken(ground: Bench) -> None:
    """What came wrong just before was not known to who wrote the report."""
    missed = tool("edit", {"path": "src/api/users.py", "old": "nowhere", "new": "x"})
    with shop(ground, [turn(missed, finish()), EDIT, finish()]) as made:
        outcome = made.turn()
        said = made.server.requests[1].answers

    assert isinstance(outcome, Done)
    assert "not taken: a call before it" in said[1]


def test_a_split_names_parts_inside_the_scope(ground: Bench) -> None:
    """Parts outside the scope, or a split of a split of a split, are refused by name."""
    inside = {"title": "Users", "brief": "Do users.", "scope": ["src/api/users.py"]}
    other = {"title": "Items", "brief": "Do items.", "scope": ["src/api/items.py"], "needs": [0]}
    outside = {**other, "scope": ["src/core.py"]}
    script = [
        tool("split", {"jobs": [inside, outside]}),
        tool("split", {"jobs": [inside]}),
        tool("split", {"jobs": [inside, {**other, "needs": [5]}]}),
        tool("split", {"jobs": [inside, other]}),
    ]
    with shop(ground, script) as made:
        outcome = made.turn(job="parent")
        said = [one.answers[0] for one in made.server.requests[1:]]
    with shop(ground, [script[3], tool("escalate", {"reason": "stuck", "need": []})]) as made:
        made.turn(depth=2)
        deep = made.server.requests[1].answers[0]

    assert "the scope of jobs[1] must be globs inside src/api/**" in said[0]
    assert "propose 2 to 8" in said[1]
    assert "jobs[1] may only need jobs before it" in said[2]
    assert isinstance(outcome, Split)
    assert [part.title for part in outcome.jobs] == ["Users", "Items"]
    assert outcome.jobs[1].needs == (outcome.jobs[0].id,)
    assert "a part of a part" in deep


def test_the_agent_can_ask_what_it_may_do_and_what_is_left(ground: Bench) -> None:
    """One call gives the whole job, scope, changes, commands, time and money; skills on demand."""
    script = [
        EDIT,
        tool("status"),
        tool("skill", {"name": "naming"}),
        tool("skill", {"name": "none"}),
        finish(),
    ]
    brief = Brief(title="T", text="First line.\n" + "more " * 1_000 + "THE END")
    budget = Budget(tokens=200_000, dollars=Decimal(5))
    with shop(ground, script) as made:
        made.turn(made.spec(commands=(("true",),)), brief=brief, budget=budget)
        asked = made.server.requests

    said = asked[2].answers[0]
    assert "THE END" not in asked[0].first
    assert "THE END" in said
    assert "you may write: src/api/**\nchanged so far: src/api/users.py" in said
    assert "commands for run: 1: true" in said
    assert "left: " in said
    assert " tokens, $" in said
    assert "naming: How names are made" in asked[0].first
    assert asked[3].answers[0].startswith(".agents/skills/naming/SKILL.md lines 1-5 of 5\n")
    assert asked[3].answers[0].endswith("\nUse nouns.")
    assert "there are naming" in asked[4].answers[0]


def test_a_word_from_outside_comes_with_the_next_message(ground: Bench) -> None:
    """Also when it crosses a report: that is taken only once the word was heard."""
    control = Control()
    control.steer("Keep it short.")

    def script(asked: Asked) -> object:
        if asked.turn == 1:
            assert control.steer("And no comments.") == "queued"
            return finish()
        return [EDIT, None, finish()][asked.turn]

    with shop(ground, script) as made:  # type: ignore[arg-type]  # a step or None
        outcome = made.turn(job="told", control=control)
        asked = made.server.requests

    assert made.changed(outcome) == [b"src/api/users.py"]
    assert "says: Keep it short." in asked[0].first
    assert "not taken yet" in asked[2].answers[0]
    assert "says: And no comments." in asked[2].last
    assert "told       And no comments." in log_of(made, "told")


def test_a_cancelled_session_ends_within_two_seconds_and_keeps_its_work(ground: Bench) -> None:
    """The stream is closed in its middle."""
    control = Control()
    ended: list[float] = []

    def end() -> None:
        until(lambda: len(made.server.requests) > 1)
        ended.append(time.monotonic())
        control.end()

    with shop(ground, [EDIT, hang()]) as made:
        threading.Thread(target=end).start()
        outcome = made.turn(control=control, job="cancelled")
        took = time.monotonic() - ended[0]

    assert isinstance(outcome, Failed)
    assert (outcome.fault, outcome.interrupted) == ("interrupted", True)
    assert took < 2
    kept = ground.git.resolve(salvage_ref(RUN, JobId("cancelled")))
    assert kept is not None
    assert list(paths(ground.git, base_of(ground), kept)) == [b"src/api/users.py"]


def test_a_command_is_ended_when_the_session_is(ground: Bench) -> None:
    """Nothing that it started lives on."""
    control = Control()
    with shop(ground, [tool("run", {"name": "1", "timeout_s": 60})]) as made:
        threading.Thread(
            target=lambda: (until(lambda: bearing("sleep 27.1828")), control.end())
        ).start()
        outcome = made.turn(made.spec(commands=(("sleep", "27.1828"),)), control=control)

    assert isinstance(outcome, Failed)
    assert outcome.interrupted
    assert not bearing("sleep 27.1828")


def test_the_deadline_of_an_attempt_ends_a_call(ground: Bench) -> None:
    """The fault says that time ran out."""
    with shop(ground, [hang()]) as made:
        outcome = made.turn(seconds=0.7)

    assert isinstance(outcome, Failed)
    assert outcome.fault == "not done after 1 s"
    assert not outcome.interrupted


def test_turns_have_an_end(ground: Bench) -> None:
    """A model that only looks is stopped at its limit."""
    with shop(ground, lambda _: tool("read", {"path": "README.md"}), turns=3) as made:
        outcome = made.turn()

    assert isinstance(outcome, Failed)
    assert outcome.fault == "not done after 3 turns"


@pytest.mark.parametrize(
    ("fault", "cause", "environment"),
    [(status(401), "denied", True), (status(529), "", True), (status(400), "denied", True)],
)
def test_a_provider_that_fails_is_no_fault_of_the_work(
    ground: Bench, fault: object, cause: str, *, environment: bool
) -> None:
    """The edit before it is kept; what will never work is told apart from what may."""
    with shop(ground, lambda asked: fault if asked.turn else EDIT) as made:  # type: ignore[arg-type, return-value]
        outcome = made.turn()

    assert isinstance(outcome, Failed)
    assert (outcome.cause, outcome.environment) == (cause, environment)
    assert KEY not in outcome.fault


def test_a_spent_budget_says_whose(ground: Bench) -> None:
    """A job's own budget ends the job, the run's is somebody else's."""
    with shop(ground, [EDIT, finish()]) as made:
        own = made.turn(budget=Budget(tokens=2_000))
    with shop(ground, [EDIT, finish()], run=Budget(dollars=Decimal("0.03"))) as made:
        whole = made.turn()

    assert isinstance(own, Failed)
    assert (own.cause, own.account, own.retryable) == ("budget", "job", False)
    assert isinstance(whole, Failed)
    assert (whole.cause, whole.account, whole.interrupted) == ("budget", "run", True)


def test_a_budget_that_bears_only_a_short_answer_is_used(ground: Bench) -> None:
    """Before it gives up it asks for less."""
    with shop(ground, [EDIT, finish()]) as made:
        outcome = made.turn(budget=Budget(tokens=12_000))
        most = [one.body["max_tokens"] for one in made.server.requests]

    assert isinstance(outcome, Done)
    assert most == [4_096, 4_096]


def test_every_way_a_reply_can_end_is_handled(ground: Bench) -> None:
    """A pause goes on, a cut answer is told so, a full context begins anew with a note."""
    steps = iter([pause(), EDIT, max_tokens(), finish()])
    with shop(ground, lambda _: next(steps)) as made:
        paused = made.turn()
        asked = made.server.requests
    full = [EDIT, context_exceeded()]

    def anew(asked: Asked) -> object:
        if "From the session before" in asked.first:
            return finish()
        return full[asked.turn]

    with shop(ground, anew) as made:  # type: ignore[arg-type]  # a step or None
        exceeded = made.turn()
        note = made.server.requests[2].first
    with shop(ground, [EDIT, refusal()]) as made:
        refused = made.turn()

    assert isinstance(paused, Done)
    assert asked[1].messages[-1]["role"] == "assistant"
    assert "cut" in asked[3].last
    assert isinstance(exceeded, Done)
    assert "edited src/api/users.py, first at line 2" in note
    assert isinstance(refused, Failed)
    assert refused.fault == "the model refused to go on"


def test_answers_that_are_always_too_long_end_the_attempt(ground: Bench) -> None:
    """Three cut answers in a row; one that came whole in between begins the count anew."""
    with shop(ground, lambda _: max_tokens()) as made:
        outcome = made.turn()
        count = len(made.server.requests)
    steps = [max_tokens(), max_tokens(), EDIT, max_tokens(), max_tokens(), finish()]
    sent = iter(steps)
    with shop(ground, lambda _: next(sent)) as made:
        slow = made.turn()

    assert isinstance(outcome, Failed)
    assert outcome.fault == "its answers were cut for their length"
    assert count == 3
    assert isinstance(slow, Done)


def test_a_word_is_not_forgotten_when_a_session_begins_anew(ground: Bench) -> None:
    """The new session is told it, and so is who asks for the status."""
    control = Control()
    control.steer("Keep the old name too.")

    def script(asked: Asked) -> object:
        if "From the session before" not in asked.first:
            return context_exceeded()
        return [tool("status"), EDIT, finish()][asked.turn]

    with shop(ground, script) as made:  # type: ignore[arg-type]  # a step or None
        outcome = made.turn(control=control)
        asked = made.server.requests

    assert isinstance(outcome, Done)
    assert "says: Keep the old name too." in asked[0].first
    assert "You were told: Keep the old name too." in asked[1].first
    assert "told: Keep the old name too." in asked[2].answers[0]


def test_a_reply_that_did_not_come_whole_is_never_acted_on(ground: Bench) -> None:
    """The edit that was cut is asked for again and done once."""
    half = {"path": "src/api/users.py", "old": "'u'", "new": "'user' + 'x' * 80"}
    script = [
        (truncated_in_tool("edit", half), max_tokens_in_tool("edit", half), EDIT),
        finish(),
    ]
    with shop(ground, script) as made:
        outcome = made.turn()

    assert made.held(outcome, "src/api/users.py").endswith("return 'user'")


def test_long_conversations_lose_old_results(ground: Bench) -> None:
    """Old results give way to a note; the last ones stay, and the API takes it."""
    reads = tool("write", {"path": "src/api/big.txt", "content": ("x" * 1_000 + "\n") * 3})
    script = [reads, *[tool("read", {"path": "src/api/big.txt"})] * 12, finish()]
    with shop(ground, script, context=8_000) as made:
        outcome = made.turn(job="long")
        asked = made.server.requests

    assert isinstance(outcome, Done)
    said = json.dumps(asked[-1].messages)
    assert "an old result, left out" in said
    assert "x" * 1_000 in asked[-1].answers[0]
    assert "old results left out" in log_of(made, "long")


def test_a_conversation_with_thoughts_is_begun_anew_instead(ground: Bench) -> None:
    """Nothing before a thought is changed: a fresh session gets a note of what was done."""

    def script(asked: Asked) -> object:
        if "From the session before" in asked.first:
            return finish()
        if asked.turn == 0:
            return turn(thinking("hm"), EDIT)
        return turn(thinking("hm"), tool("read", {"path": "src/api/many.txt"}))

    brief = Brief(title="T", text="x")
    with shop(ground, script, context=3_000) as made:  # type: ignore[arg-type]  # a step or None
        outcome = made.turn(job="thinks", brief=brief)
        last = made.server.requests[-1]

    assert made.changed(outcome) == [b"src/api/users.py"]
    assert last.turn == 0
    assert "edited src/api/users.py" in last.first
    assert "anew with a note" in log_of(made, "thinks")


def test_a_repair_goes_on_with_the_session_that_wrote_the_change(ground: Bench) -> None:
    """It knows what it did; with another model it gets a note instead."""
    script = [EDIT, finish()]
    fix = tool("edit", {"path": "src/api/users.py", "old": "'user'", "new": "'User'"})
    brief = Brief(title="Longer names", text="As before.", failure="E  assert 'user' == 'User'")
    with shop(ground, lambda asked: [*script, fix, finish()][asked.turn]) as made:
        first = made.turn(job="mend")
        assert isinstance(first, Done)
        second = made.turn(
            made.spec(kind=Kind.CLEANUP), job="mend", attempt=2, brief=brief, base=first.commit
        )
        asked = made.server.requests
    with shop(ground, [fix, finish()]) as made:
        third = made.turn(
            made.spec(kind=Kind.CLEANUP, model="large"),
            job="mend",
            attempt=2,
            brief=brief,
            base=first.commit,
        )
        noted = made.server.requests[0].first

    assert made.held(second, "src/api/users.py").endswith("'User'")
    assert asked[2].turn == 2
    assert "assert 'user' == 'User'" in asked[2].last
    assert asked[2].answers == ("taken",)
    assert isinstance(third, Done)
    assert "did is in the tree" in noted
    assert "edited src/api/users.py" in noted


def test_another_try_gets_a_note_of_the_failed_one(ground: Bench) -> None:
    """One tier higher is a new session; what was edited is not in its tree, and it is told so."""
    script = [EDIT, finish("failed", "It does not work.")]
    with shop(ground, script) as made:
        first = made.turn(job="again")
        papers = papers_of(made.bench, JobId("again"), 1)
        kept = json.loads((papers / "session.json").read_text())
    with shop(ground, [EDIT, finish()]) as made:
        second = made.turn(job="again", attempt=2, raised=1)
        asked = made.server.requests[0]

    assert isinstance(first, Failed)
    assert (first.fault, first.tail) == ("It does not work.", "")
    assert (kept["schema"], kept["ended"]) == ("factory.session/1", "failed")
    assert kept["basis"] == "synthetic"
    assert KEY not in json.dumps(kept)
    assert isinstance(second, Done)
    assert asked.model == "claude-opus-5-5"
    assert "did is NOT in the tree" in asked.first
    assert "edited src/api/users.py" in asked.first


def test_no_secret_is_kept_in_the_journal(ground: Bench) -> None:
    """Neither the key nor what a person said by mistake; the log hides both as well."""
    said = "ghp_canary0123456789"
    control = Control()
    control.steer(f"The token is {said}.")
    with shop(ground, [EDIT, finish("done", f"with {KEY}")]) as made:
        made.bench = replace(made.bench, secrets=(KEY, said))
        outcome = made.turn(job="secret", control=control, brief=Brief(title="T", text=said))
        papers = papers_of(made.bench, JobId("secret"), 1)

    assert isinstance(outcome, Done)
    assert "The token is ***." in (papers / "session.json").read_text()
    for path in papers.iterdir():
        assert said not in path.read_text()
        assert KEY not in path.read_text()


def test_a_batch_does_several_jobs_in_one_session(ground: Bench) -> None:
    """Each has its own tree, change and verdict; no session takes more than the batch."""
    other = tool("edit", {"path": "src/api/items.py", "old": "'i'", "new": "'item'"})
    script = [EDIT, finish("done", "one"), other, finish("done", "two")]
    with shop(ground, lambda asked: script[asked.turn]) as made:
        spec = made.spec(batch=2)
        outcomes = [made.turn(spec, job=f"batch{n}") for n in range(3)]
        asked = made.server.requests
        logs = [log_of(made, f"batch{n}") for n in range(3)]

    assert [made.changed(one) for one in outcomes] == [
        [b"src/api/users.py"],
        [b"src/api/items.py"],
        [b"src/api/users.py"],
    ]
    assert [one.turn for one in asked] == [0, 1, 2, 3, 0, 1]
    assert "Another job, in a fresh tree" in asked[2].last
    assert all("tokens; the whole repository would be" in log for log in logs)
    assert "job 2 of it" in logs[1]


def test_a_reading_station_answers_with_data_and_has_no_tool_that_writes(ground: Bench) -> None:
    """Its report holds the answer."""
    report = {"status": "done", "summary": "Two.", "data": '{"files": 2}'}
    with shop(ground, [tool("search", {"pattern": "def name"}), tool("finish", report)]) as made:
        outcome = made.turn(made.spec(kind=Kind.READ, model="small"))
        asked = made.server.requests

    assert isinstance(outcome, Found)
    assert outcome.data == '{"files": 2}'
    assert asked[0].tools == ("read", "search", "run", "status", "skill", "finish", "escalate")
    assert asked[0].model == "claude-haiku-5-5"
    assert "src/api/items.py:1:" in asked[1].answers[0]


def test_the_conversation_is_cached_from_the_second_turn_on(ground: Bench) -> None:
    """The prefix by its own mark, the rest by the one that moves along."""
    with shop(ground, [EDIT, tool("status"), finish()]) as made:
        made.turn()
        asked = made.server.requests

    assert [("cache_control" in one.body) for one in asked] == [False, True, True]
    assert all("cache_control" in one.body["system"][-1] for one in asked)
    assert made.calls[-1].usage.cache_read > 0


def test_the_probe_says_what_is_missing(ground: Bench) -> None:
    """Without a key for a real provider nothing can be worked; no secret is in the answer."""
    with shop(ground, []) as made:
        here = made.sdk.probe()
        there = Provider(name="anthropic", base_url="https" + "://models.invalid")
        caller = Caller(
            door=AnthropicDoor(there),
            meter=made.sdk.caller.meter,
            limiter=made.sdk.caller.limiter,
            provider=there,
        )
        keyless = Sdk(caller, {}).probe()

    assert here.ok
    assert here.version.startswith("2.")
    assert not keyless.ok
    assert "[provider.anthropic] key_env" in keyless.fix
    assert KEY not in f"{here}{keyless}"


def test_usage_is_what_was_settled(ground: Bench) -> None:
    """Every attempt has its own account."""
    with shop(ground, [EDIT, finish()]) as made:
        made.turn(job="used")
        payer = Payer(run=RUN, job=JobId("used"), station=StationName("work"), attempt=1)
        spent = made.sdk.caller.meter.spent_by(payer)

    assert spent.usage.requests == 2
    assert [call.job for call in made.calls] == ["used", "used"]


def test_slow_streams_are_fine(ground: Bench) -> None:
    """A reply that drips is a reply."""
    with shop(ground, [drip(EDIT, 0.02), finish()]) as made:
        assert isinstance(made.turn(), Done)


def test_a_review_is_told_its_whole_text_and_sees_the_whole_tree(ground: Bench) -> None:
    """The change in its brief is not cut, and it may look beside what was changed."""
    report = {"status": "done", "summary": "Good.", "data": '{"findings": []}'}
    script = [tool("read", {"path": "src/core.py"}), tool("finish", report)]
    brief = Brief(title="Review: T", text="Look at this.\n" + "+ a line\n" * 1_500 + "THE END")
    with shop(ground, script) as made:
        spec = made.spec(kind=Kind.REVIEW, model="large")
        serial = next(SERIALS)
        asked = assignment(made.bench, scope=("src/api/**",), serial=serial, brief=brief)
        outcome = Reviewing(spec=spec, bench=made.bench).work(replace(asked, job=JobId("look")))
        first, second = made.server.requests

    assert isinstance(outcome, Reviewed)
    assert outcome.remarks == ()
    assert "THE END" in first.first
    assert second.answers[0].endswith("ONE = 1\n")


@pytest.mark.soak
def test_thirty_agents_share_one_client_and_one_budget(tmp_path: Path) -> None:
    """Faults in every other reply, a budget for only some of them: no half edit, no overshoot."""
    faults = (
        status(529),
        status(429, retry_after=0.01),
        status(500),
        reset(),
        reset(after=EDIT),
        html(),
        broken_json(),
        error_event(after=EDIT),
        truncated_in_tool("edit", {"path": "src/api/users.py", "old": "'u'", "new": "'us"}),
    )
    count = itertools.count()

    def script(asked: Asked) -> object:
        if asked.attempt == 0 and next(count) % 2:
            return faults[next(count) % len(faults)]
        return [EDIT, tool("status"), finish()][asked.turn]

    ceiling = Decimal("0.12")
    outcomes: list[Outcome] = []
    with (
        bench_at(tmp_path / "repo", files=FILES, bound=30) as ground,
        shop(ground, script, run=Budget(dollars=ceiling)) as made,  # type: ignore[arg-type]
    ):
        serials = itertools.count()

        def work() -> None:
            serial = next(serials)
            asked = assignment(
                made.bench, scope=("src/api/**",), serial=serial, job=f"soak{serial}", seconds=300
            )
            outcomes.append(take_turn(made.bench, made.spec(), asked, control=Control()))

        threads = [threading.Thread(target=work) for _ in range(30)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        done = [one for one in outcomes if isinstance(one, Done)]
        texts = {made.held(one, "src/api/users.py") for one in done}

    assert len(outcomes) == 30
    assert 0 < len(done) < 30
    assert texts == {"def name() -> str:\n    return 'user'"}
    rest = [one for one in outcomes if not isinstance(one, Done)]
    assert all(isinstance(one, Failed) and one.cause == "budget" for one in rest), rest
    assert sum((call.dollars or Decimal(0)) for call in made.calls) <= ceiling
