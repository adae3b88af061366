"""Conversations, their journal and their tools: what is sent, what is kept, what is refused."""

import json
from pathlib import Path

import pytest

from stations.contract import Kind
from stations.runtimes import journal
from stations.runtimes.conversation import INPUT_CHARACTERS, Conversation, result, text
from stations.runtimes.journal import Session
from stations.runtimes.toolset import fault
from stations.veil import Veil

SESSION = Session(job="j", station="s", kind="worker", model="m")
REPORT = {
    "status": "done",
    "summary": "",
    **{key: [] for key in ("files", "tests_run", "risks", "needs_scope")},
}


def call(name: str, **given: object) -> dict[str, object]:
    """Give a call of a tool."""
    return {"type": "tool_use", "id": name, "name": "read", "input": given}


def test_an_id_that_comes_again_gets_another_one_and_is_told() -> None:
    """The API takes no id twice, within an answer or over the whole conversation."""
    talk = Conversation([{"role": "user", "content": [text("go")]}])

    first = talk.hear([call("a"), call("a")])
    talk.say([result(one["id"], "x", good=True) for one in first])
    second = talk.hear([call("a")])

    assert [one["id"] for one in (*first, *second)] == ["a", "a_2", "a_3"]
    assert set(talk.unfit) == {"a_2", "a_3"}
    assert "used before" in talk.unfit["a_2"]


def test_what_the_api_would_not_take_back_is_left_out() -> None:
    """Blank texts, inputs of megabytes, and answers that hold nothing at all."""
    talk = Conversation([{"role": "user", "content": [text("go")]}])

    talk.hear([{"type": "text", "text": " \n"}])
    talk.say([text("well?")])
    (huge,) = talk.hear([{"type": "text", "text": ""}, call("a", path="x" * INPUT_CHARACTERS)])

    assert [message["role"] for message in talk.messages] == ["user", "assistant"]
    assert [block["text"] for block in talk.messages[0]["content"]] == ["go", "well?"]
    assert huge["input"] == {}
    assert "too long" in talk.unfit["a"]
    assert talk.messages[1]["content"] == [huge]


def test_what_no_json_can_hold_and_what_we_never_offered_is_not_carried() -> None:
    """An endless number would end in a request that the API refuses for ever."""
    talk = Conversation([{"role": "user", "content": [text("go")]}])

    (odd,) = talk.hear([{"type": "server_tool_use", "x": [[]]}, call("a", start=float("inf"))])

    assert odd["input"] == {}
    assert talk.messages[-1]["content"] == [odd]
    assert "a" in talk.unfit


def test_a_paused_answer_and_its_rest_are_one_message() -> None:
    """Two of the model in a row would be refused."""
    talk = Conversation([{"role": "user", "content": [text("go")]}])

    talk.hear([{"type": "text", "text": "one"}])
    talk.hear([{"type": "text", "text": "two"}])

    assert [len(message["content"]) for message in talk.messages] == [1, 2]


def test_nothing_before_a_thought_is_trimmed() -> None:
    """A thought is signed for the conversation before it; the results after it may go."""
    talk = Conversation([{"role": "user", "content": [text("go")]}])
    for number in range(8):
        thought = [{"type": "thinking", "thinking": "hm", "signature": "s"}] if number == 1 else []
        (one,) = talk.hear([*thought, call(f"c{number}")])
        talk.say([result(one["id"], "x" * 1_000, good=True)])

    assert talk.trim() == 3
    said = json.dumps(talk.messages)
    assert said.count("an old result, left out") == 3
    assert "x" * 1_000 in json.dumps(talk.messages[2])
    assert talk.trim() == 0


@pytest.mark.parametrize(
    "kept",
    [
        b"",
        b"{",
        b"[]",
        b'{"schema": "other"}',
        b"[" * 100_000,
        json.dumps({"schema": journal.SCHEMA, "job": 7}).encode(),
        json.dumps(
            {**dict.fromkeys(("job", "station", "kind", "model", "ended"), "x"),
             "schema": journal.SCHEMA, "tokens": "many"}
        ).encode(),
    ],
)  # fmt: skip
def test_a_journal_that_cannot_be_read_is_none(tmp_path: Path, kept: bytes) -> None:
    """Then a session begins anew."""
    (tmp_path / journal.NAME).write_bytes(kept)

    assert journal.load(tmp_path) is None
    assert journal.load(tmp_path / "nowhere") is None
    assert journal.load(None) is None


def test_a_journal_comes_back_as_it_was_without_the_secret(tmp_path: Path) -> None:
    """Whatever a model was shown: the key is not kept."""
    key = 'sk-"odd"-\\0000'
    session = Session(
        job="j",
        station="s",
        kind="worker",
        model="m",
        messages=({"role": "user", "content": [text("\N{SNOWMAN}")]},),
        unsent=(result("a", "taken", good=True),),
        notes=("read a.py",),
        tokens=7,
        jobs=2,
        ended="done",
    )

    hide = Veil([key]).text
    journal.save(session, tmp_path, hide=hide)
    again = journal.load(tmp_path)
    journal.save(session.noted(f"found {key}"), tmp_path, hide=hide)

    assert again == session
    assert json.dumps(key)[1:-1] not in (tmp_path / journal.NAME).read_text()
    assert [path.name for path in tmp_path.iterdir()] == [journal.NAME]


def test_a_handover_says_first_of_all_what_was_done() -> None:
    """Edits and runs outlive a hundred reads; each line once."""
    session = SESSION.noted("edited a.py, first at line 3").noted("run 1: exit 1")
    for number in range(30):
        session = session.noted(f"b{number}.py lines 1-9 of 9").noted("c.py lines 1-2 of 2")

    said = session.handover.splitlines()

    assert said[:2] == ["- edited a.py, first at line 3", "- run 1: exit 1"]
    assert len(said) < 10
    assert said.count("- c.py lines 1-2 of 2") == 1


@pytest.mark.parametrize(
    ("name", "given", "wrong"),
    [
        ("read", {"path": "a"}, ""),
        ("read", {"path": "a", "start": 1, "end": 2}, ""),
        ("status", {}, ""),
        ("split", {"jobs": [{"title": "t", "brief": "b", "scope": ["a"], "needs": [0]}]}, ""),
        ("read", {}, "lacks 'path'"),
        ("read", [], "must be an object"),
        ("read", {"path": 7}, "the input.path must be a text"),
        ("read", {"path": "a", "start": 1.5}, "must be a whole number"),
        ("read", {"path": "a", "start": True}, "must be a whole number"),
        ("read", {"path": "a", "\x1b[2J": 1}, "which is not known"),
        ("write", {"path": "a", "content": "x" * 1_000_001}, "too long"),
        ("finish", {**REPORT, "status": "great"}, "must be one of done, blocked, failed"),
        ("escalate", {"reason": "r", "need": "all"}, "must be a list"),
        ("escalate", {"reason": "r", "need": [1]}, "the input.need[0] must be a text"),
        ("split", {"jobs": [{"title": "t"}]}, "the input.jobs[0] lacks 'brief'"),
        ("bash", {"command": "ls"}, "there is no tool 'bash'"),
        (None, {}, "there is no tool"),
    ],
)
def test_every_input_is_judged_before_it_is_used(name: object, given: object, wrong: str) -> None:
    """What is wrong is said in one printable sentence; what is right gives none."""
    said = fault(Kind.CODE, name, given)

    assert wrong in said
    assert bool(said) is bool(wrong)
    assert said.isprintable()
