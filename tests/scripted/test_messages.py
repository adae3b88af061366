"""The scripted Messages API refuses what the real one refuses, and invents nothing."""

import http.client
import json
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.scripted.messages import (
    Asked,
    MessagesServer,
    Step,
    UnscriptedError,
    finish,
    pause,
    text,
    thinking,
    tool,
    turn,
    unknown_tool,
)
from tests.scripted.strict import NEW, OLD, Json

READ: Json = {"name": "read", "input_schema": {"type": "object", "properties": {}}}
HELLO: Json = {"role": "user", "content": "hello"}


def post(server: MessagesServer, body: object, **headers: str) -> tuple[int, Any, dict[str, str]]:
    """Send one request as it is and give the status, the answer and its headers."""
    sent = {"anthropic-version": NEW, "x-api-key": "k", "content-type": "application/json"}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    path = sent.pop("path", "/v1/messages")
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=5)
    connection.request("POST", path, json.dumps(body), {k: v for k, v in sent.items() if v})
    answer = connection.getresponse()
    got = json.loads(answer.read())
    connection.close()
    return answer.status, got, dict(answer.getheaders())


def asked(**more: object) -> Json:
    """Give the body of a request that is taken; None leaves a key out."""
    body = {"model": "claude-sonnet-5-5", "max_tokens": 500, "messages": [HELLO], **more}
    return {key: value for key, value in body.items() if value is not None}


def use(*names: str) -> Json:
    """Give an assistant's message that uses tools."""
    return {
        "role": "assistant",
        "content": [{"type": "tool_use", "id": one, "name": "read", "input": {}} for one in names],
    }


def results(*names: str, first: tuple[Json, ...] = ()) -> Json:
    """Give a user's message with results."""
    found = [{"type": "tool_result", "tool_use_id": one, "content": "x"} for one in names]
    return {"role": "user", "content": [*first, *found]}


MARK: Json = {"cache_control": {"type": "ephemeral"}}
LOOSE = {"type": "object", "properties": {"a": {"type": "string"}}}
BOUND = {"type": "object", "properties": {"a": {"type": "integer", "minimum": 1}}}
SAY: Json = {"type": "text", "text": "hm"}


def form(schema: Json) -> Json:
    """Give an output configuration with a schema."""
    return {"format": {"type": "json_schema", "schema": schema}}


@pytest.mark.parametrize(
    ("more", "status", "words"),
    [
        ({"max_tokens": None}, 400, "max_tokens: Field required"),
        ({"max_tokens": 128_001}, 400, "maximum allowed"),
        ({"max_tokens": -1}, 400, "greater than"),
        ({"messages": []}, 400, "at least one message"),
        ({"model": "claude-nine"}, 404, "claude-nine"),
        ({"temperature": 0.5}, 400, "sampling"),
        ({"top_k": 3}, 400, "sampling"),
        ({"temprature": 1}, 400, "temprature: Extra inputs"),
        ({"context_management": {}}, 400, "Extra inputs"),
        ({"tools": [READ], "tool_choice": {"type": "any"}}, 400, "not supported by this model"),
        ({"tools": [READ], "tool_choice": {"type": "tool", "name": "read"}}, 400, "not supported"),
        ({"tool_choice": {"type": "auto"}}, 400, "while providing tools"),
        ({"tools": [READ, READ]}, 400, "must be unique"),
        ({"tools": [{**READ, "name": "read it"}]}, 400, "pattern"),
        ({"tools": [{**READ, "schema": {}}]}, 400, "Extra inputs"),
        ({"tools": [{"name": "read"}]}, 400, "input_schema"),
        ({"tools": [{**READ, "strict": True}]}, 400, "additionalProperties"),
        ({"thinking": {"type": "enabled", "budget_tokens": 2000}}, 400, "budgets"),
        ({"model": "claude-opus-5-5", "thinking": {"type": "disabled"}}, 400, "cannot be disabled"),
        ({"output_config": {"effort": "huge"}}, 400, "effort"),
        ({"output_config": form(LOOSE)}, 400, "additionalProperties"),
        ({"output_config": form({**BOUND, "additionalProperties": False})}, 400, "minimum"),
        ({"system": [{"type": "text", "text": " "}]}, 400, "non-whitespace"),
        ({"system": [{**SAY, **MARK}] * 5}, 400, "maximum of 4"),
        ({"system": [{**SAY, "cache_control": {"type": "forever"}}]}, 400, "ephemeral"),
        ({"messages": [{"role": "assistant", "content": "I"}]}, 400, "first message"),
        ({"messages": [HELLO, HELLO]}, 400, "must alternate"),
        ({"messages": [{**HELLO, "name": "me"}]}, 400, "Extra inputs"),
        ({"messages": [{"role": "user", "content": ""}]}, 400, "non-whitespace"),
        ({"messages": [{"role": "user", "content": []}]}, 400, "non-empty content"),
        ({"messages": [HELLO, {"role": "assistant", "content": "So,"}]}, 400, "prefill"),
        ({"messages": [HELLO, use("a")]}, 400, "without `tool_result`"),
        ({"messages": [HELLO, use("a"), HELLO]}, 400, "without `tool_result`"),
        ({"messages": [HELLO, use("a", "b"), results("a")]}, 400, "without `tool_result`"),
        ({"messages": [HELLO, use("a"), results("a", "a")]}, 400, "single result"),
        ({"messages": [HELLO, use("a"), results("a", "b")]}, 400, "unexpected `tool_use_id`"),
        ({"messages": [HELLO, use("a"), results("a", first=(SAY,))]}, 400, "must come first"),
        ({"messages": [HELLO, use("a", "a"), results("a")]}, 400, "must be unique"),
        ({"messages": [HELLO, use("a"), results("a"), use("a"), results("a")]}, 400, "unique"),
        ({"messages": [HELLO, {"role": "user", "content": [{"type": "tool"}]}]}, 400, "tag 'tool'"),
    ],
)
def test_what_the_api_refuses_is_refused(more: Json, status: int, words: str) -> None:
    """Each mistake is answered with the status and the shape of the real API's error."""
    with MessagesServer([text("never")], refusals=True) as server:
        got = post(server, asked(**more))

    assert got[0] == status
    assert got[1]["type"] == "error"
    assert words in got[1]["error"]["message"]
    assert not server.requests


def test_an_older_version_is_milder() -> None:
    """Under the version that older agents speak, messages of one role may follow each other."""
    with MessagesServer([text("ok")]) as server:
        mild = post(server, asked(messages=[HELLO, HELLO]), anthropic_version=OLD)
        beta = post(
            server,
            asked(context_management={}, model="claude-opus-5", temperature=1),
            anthropic_version=OLD,
            path="/v1/messages?beta=true",
        )

    assert (mild[0], beta[0]) == (200, 200)


def test_who_one_is_counts() -> None:
    """Both kinds of header are taken, a wrong key and an unknown version are not."""
    with MessagesServer([text("ok")], key="right", refusals=True) as server:
        found = [
            post(server, asked(), x_api_key="right")[0],
            post(server, asked(), x_api_key="", authorization="Bearer right")[0],
            post(server, asked(), x_api_key="wrong")[0],
            post(server, asked(), x_api_key="")[0],
            post(server, asked(), x_api_key="right", anthropic_version="2025-01-01")[0],
        ]

    assert found == [200, 200, 401, 401, 400]
    assert "right" not in repr(server.seen)


def test_every_answer_bears_the_stamp() -> None:
    """Nobody takes an answer from here for one of a model."""
    with MessagesServer([text("ok")], refusals=True) as server:
        good, bad = post(server, asked()), post(server, asked(max_tokens=None))

    assert good[2]["x-factory-scripted"] == bad[2]["x-factory-scripted"] == "1"
    assert good[2]["request-id"].startswith("req_scripted")
    assert good[1]["id"].startswith("msg_scripted")


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ([], "no step is left"),
        ([tool("read")], "the script calls read"),
        ([text("word " * 600)], "the answer takes"),
        (lambda asked: asked.nothing, "the script failed"),
        (lambda _: None, "no step is left"),
    ],
)
def test_what_nobody_foresaw_fails_the_test(script: Any, words: str) -> None:
    """An unscripted request is answered with 500, and leaving the server raises."""
    status = 0

    def work() -> None:
        nonlocal status
        with MessagesServer(script) as server:
            status = post(server, asked())[0]

    with pytest.raises(UnscriptedError, match=words):
        work()
    assert status == 500


def test_a_refusal_fails_the_test_that_does_not_want_it() -> None:
    """A request that the real API would refuse is a mistake of ours unless a test says so."""

    def work() -> None:
        with MessagesServer([text("ok")]) as server:
            post(server, asked(top_p=1))

    with pytest.raises(UnscriptedError, match="refused: 400 top_p"):
        work()


def test_a_script_goes_by_the_turn_and_the_try() -> None:
    """The step is chosen by what the conversation holds, and by how often it was asked."""
    seen: list[Asked] = []

    def script(one: Asked) -> Step:
        seen.append(one)
        return unknown_tool() if one.turn == 0 else finish()

    tools = [READ, {**READ, "name": "finish"}]
    with MessagesServer(script) as server:
        first = post(server, asked(tools=tools))[1]
        again = post(server, asked(tools=tools))[1]
        call = first["content"][0]["id"]
        more = [HELLO, {"role": "assistant", "content": first["content"]}, results(call)]
        last = post(server, asked(tools=tools, messages=more))[1]

    assert [(one.turn, one.attempt) for one in seen] == [(0, 0), (0, 1), (1, 0)]
    assert call != again["content"][0]["id"]
    assert last["content"][0]["input"]["status"] == "done"
    assert seen[2].answers == ("x",)
    assert seen[2].tools == ("read", "finish")


def test_thinking_comes_back_unchanged() -> None:
    """Thinking is bound to its model and to the calls that came from it."""
    think = turn(thinking("hm"), tool("read"))
    with MessagesServer(lambda one: text("ok") if one.turn else think, refusals=True) as server:
        content = post(server, asked(tools=[READ]))[1]["content"]
        call = results(content[1]["id"])

        def go_on(blocks: list[Json], **more: object) -> int:
            said = {"role": "assistant", "content": blocks}
            return post(server, asked(tools=[READ], messages=[HELLO, said, call], **more))[0]

        changed = [{**content[0], "signature": "mine"}, content[1]]
        found = [go_on(content), go_on(content[1:]), go_on(changed)]
        found.append(go_on(content, model="claude-opus-5-5"))

    assert found == [200, 400, 400, 400]


def test_a_pause_is_sent_back_as_it_is() -> None:
    """A conversation may end with what the server paused with, and with nothing else of its own."""
    with MessagesServer(lambda one: text("ok") if one.turn else pause(), refusals=True) as server:
        content = post(server, asked())[1]["content"]
        said = {"role": "assistant", "content": content}
        other = {"role": "assistant", "content": "Still at it, really."}

        found = [post(server, asked(messages=[HELLO, one]))[0] for one in (said, other)]

    assert found == [200, 400]


def test_tokens_are_counted_from_bytes_and_cached_by_prefix() -> None:
    """A marked beginning is written once and read the next time; the sum is the whole request."""
    system = [{"type": "text", "text": "rule " * 800, **MARK}]
    with MessagesServer(lambda _: text("ok")) as server:
        first = post(server, asked(system=system))[1]["usage"]
        again = post(server, asked(system=system, messages=[{**HELLO, "content": "you"}]))[1]
        counted = post(
            server, asked(system=system, max_tokens=None), path="/v1/messages/count_tokens"
        )[1]
        size = server.requests[0].size

    second = again["usage"]
    assert first["cache_creation_input_tokens"] == second["cache_read_input_tokens"] >= 1000
    assert first["cache_read_input_tokens"] == second["cache_creation_input_tokens"] == 0
    assert first["input_tokens"] + first["cache_creation_input_tokens"] == -(-size // 4)
    assert counted["input_tokens"] > 1000


def test_warming_the_cache_needs_no_step() -> None:
    """A request for no answer at all gets none."""
    with MessagesServer([]) as server:
        status, got, _ = post(server, asked(max_tokens=0))

    assert (status, got["content"], got["stop_reason"]) == (200, [], "max_tokens")
