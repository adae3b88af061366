"""The scripted Responses API: as strict, and driven by the same scripts."""

import http.client
import json
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.scripted.messages import (
    Step,
    UnscriptedError,
    answer,
    error_event,
    max_tokens_in_tool,
    spend_limit,
    text,
    thinking,
    tool,
    truncated_in_tool,
    turn,
)
from tests.scripted.responses import ResponsesServer
from tests.scripted.strict import Json

RUN: Json = {"type": "function", "name": "run", "parameters": {"type": "object"}, "strict": False}


def post(server: ResponsesServer, body: object) -> tuple[int, str]:
    """Send one request as it is and give the status and the answer's text."""
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=5)
    headers = {"authorization": "Bearer k", "content-type": "application/json"}
    connection.request("POST", "/v1/responses", json.dumps(body), headers)
    response = connection.getresponse()
    got = response.read().decode()
    connection.close()
    return response.status, got


def asked(*items: Json, **more: object) -> Json:
    """Give the body of a request that is taken."""
    hello = {"type": "message", "role": "user", "content": "hello"}
    return {"model": "gpt-5.3-codex", "input": [hello, *items], "tools": [RUN], **more}


def events(got: str) -> list[Json]:
    """Give the events of a stream."""
    return [json.loads(line[6:]) for line in got.splitlines() if line.startswith("data: ")]


def test_a_conversation_goes_on_by_turns() -> None:
    """Several calls of one answer are one turn, and their outputs come back by their ids."""
    script = [turn(thinking("hm"), tool("run", {"a": 1}), tool("run", {"b": 2})), answer({"ok": 1})]
    with ResponsesServer(script) as server:
        first = json.loads(post(server, asked())[1])["output"]
        outputs = [
            {"type": "function_call_output", "call_id": one["call_id"], "output": f"ran {at}"}
            for at, one in enumerate(first[1:])
        ]
        last = json.loads(post(server, asked(*first, *outputs))[1])

    assert [one["type"] for one in first] == ["reasoning", "function_call", "function_call"]
    assert last["output"][0]["content"][0]["text"] == '{"ok": 1}'
    assert last["usage"]["total_tokens"] > last["usage"]["output_tokens"] > 0
    assert [(one.turn, one.answers) for one in server.requests] == [
        (0, ()),
        (1, ("ran 0", "ran 1")),
    ]


def test_a_stream_is_whole() -> None:
    """The pieces of each item make the item, numbered without a gap, and the end says all."""
    with ResponsesServer([turn(text("I run it."), tool("run", {"cmd": "ls " * 50}))]) as server:
        got = events(post(server, asked(stream=True))[1])

    kinds = [one["type"] for one in got]
    pieces = [one["delta"] for one in got if one["type"].endswith("arguments.delta")]
    assert [one["sequence_number"] for one in got] == list(range(len(got)))
    assert (kinds[0], kinds[-1]) == ("response.created", "response.completed")
    assert (
        kinds.count("response.output_item.added") == kinds.count("response.output_item.done") == 2
    )
    assert "".join(pieces) == got[-1]["response"]["output"][1]["arguments"]


@pytest.mark.parametrize(
    ("step", "last", "status"),
    [
        (
            truncated_in_tool("run", {"cmd": "x" * 90}),
            "response.function_call_arguments.delta",
            200,
        ),
        (max_tokens_in_tool("run", {"cmd": "x" * 90}), "response.incomplete", 200),
        (error_event(after=text("I")), "response.failed", 200),
        (spend_limit(), None, 429),
    ],
)
def test_faults_look_as_they_do_there(step: Step, last: str | None, status: int) -> None:
    """The same faults come in this dialect's own shape."""
    with ResponsesServer([step]) as server:
        got = post(server, asked(stream=True))

    assert got[0] == status
    if last is None:
        assert json.loads(got[1])["error"]["code"] == "insufficient_quota"
    else:
        assert events(got[1])[-1]["type"] == last


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"input": "x"}, "Missing required parameter: 'model'"),
        (asked(temperature=1), "Unsupported parameter"),
        (asked(max_tokens=5), "Unknown parameter: 'max_tokens'"),
        (asked(model="gpt-2"), "does not exist"),
        (asked(reasoning={"effort": "huge"}), "Invalid value"),
        (asked(tools=[RUN, RUN]), "there are two"),
        (
            asked({"type": "function_call", "call_id": "c", "name": "run", "arguments": "{}"}),
            "never made",
        ),
        (
            asked({"type": "function_call_output", "call_id": "c", "output": ""}),
            "No tool call found",
        ),
        (
            asked({"type": "reasoning", "id": "r", "encrypted_content": "x"}),
            "could not be verified",
        ),
        (asked({"type": "thought"}), "Invalid value: 'thought'"),
        (
            asked(
                text={
                    "format": {
                        "type": "json_schema",
                        "strict": True,
                        "name": "n",
                        "schema": RUN["parameters"],
                    }
                }
            ),
            "additionalProperties",
        ),
    ],
)
def test_what_the_api_refuses_is_refused(body: Json, words: str) -> None:
    """Each mistake is answered in the shape of the real API's error."""
    with ResponsesServer([text("never")], refusals=True) as server:
        status, got = post(server, body)

    assert status in {400, 404}
    assert words in json.loads(got)["error"]["message"]


def test_a_call_without_its_output_is_refused() -> None:
    """Every call that was made needs its one output."""
    with ResponsesServer([tool("run")], refusals=True) as server:
        (call,) = json.loads(post(server, asked())[1])["output"]
        status, got = post(server, asked(call))

    assert (status, "No tool output found" in got) == (400, True)


@pytest.mark.parametrize("script", [[], [tool("walk")]])
def test_what_nobody_foresaw_fails_the_test(script: Any) -> None:
    """An unscripted request is answered with 500, and leaving the server raises."""

    def work() -> None:
        with ResponsesServer(script) as server:
            assert post(server, asked())[0] == 500

    with pytest.raises(UnscriptedError, match="unscripted"):
        work()
