"""The door to a model for agents with clients of their own: what passes, and what it costs."""

import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from typing_extensions import override

from stations.contract import Budget
from stations.models.dialects import Dialect, Reader
from stations.models.meter import Meter
from stations.models.passage import Upstream
from stations.models.proxy import Served, serve
from stations.models.values import Basis, Call, Payer, Provider, Usage
from tests.scripted import messages
from tests.scripted.messages import (
    MessagesServer,
    drip,
    error_event,
    hang,
    html,
    overloaded,
    spend_limit,
    status,
    text,
    truncated_in_tool,
)
from tests.scripted.responses import ResponsesServer
from tests.scripted.transport import Exchange, Seen, Server
from tests.stations.gateways import KEY, Books, books, limiter, provider
from tests.stations.records import Listed
from worktrees.names import JobId, RunId, StationName

MODEL = "claude-sonnet-5-5"


class Wire(http.client.HTTPConnection):
    """A client on a unix socket."""

    def __init__(self, at: Path) -> None:
        super().__init__("localhost", timeout=20)
        self._at = at

    @override
    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(20)
        self.sock.connect(str(self._at))


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a client got."""

    status: int
    body: bytes
    headers: Mapping[str, str]

    @property
    def said(self) -> str:
        """The message of an error."""
        return str(json.loads(self.body)["error"]["message"])


@contextmanager
def opened(
    url: str,
    at: Path,
    *,
    kept: Books | None = None,
    dialect: Dialect = "messages",
    models: frozenset[str] | None = frozenset({MODEL}),
    budget: Budget | None = None,
    proxy: str | None = None,
) -> Iterator[Served]:
    """Open the door to a scripted model."""
    given = provider(url)
    upstream = Upstream(
        Provider(name=given.name, base_url=given.base_url, key=given.key, proxy=proxy)
    )
    try:
        with serve(
            upstreams={dialect: upstream},
            payer=Payer(
                run=RunId("run1"),
                job=JobId("job1"),
                station=StationName("work"),
                attempt=1,
                budget=budget or Budget(),
            ),
            meter=(kept or books()).meter,
            limiter=limiter(),
            models=models,
            socket_at=at / "door",
        ) as served:
            yield served
    finally:
        upstream.close()


def body(**more: Any) -> dict[str, Any]:
    """Give the body of a small request."""
    asked = [{"role": "user", "content": "Say hello."}]
    return {"model": MODEL, "max_tokens": 100, "messages": asked, "stream": True, **more}


def ask(
    served: Served,
    value: object = None,
    *,
    path: str = "/v1/messages?beta=true",
    method: str = "POST",
    headers: Mapping[str, str] | None = None,
    raw: bytes | None = None,
) -> Answer:
    """Ask as an agent's client does, or with raw bytes as none does."""
    wire = Wire(served.socket)
    try:
        text = json.dumps(body() if value is None else value)
        data = None if method != "POST" else raw or text.encode()
        own = {"anthropic-version": "2023-06-01", "x-api-key": "placeholder"}
        wire.request(method, path, data, {**own, **(headers or {})})
        reply = wire.getresponse()
        return Answer(status=reply.status, body=reply.read(), headers=dict(reply.headers))
    finally:
        wire.close()


def test_a_reply_passes_as_it_comes_and_is_paid_by_what_the_provider_counted(
    tmp_path: Path,
) -> None:
    """The stream is the provider's own, the call is exact, and the place is the attempt's."""
    kept = books()
    with (
        MessagesServer([text("hello")], key=KEY) as model,
        opened(model.url, tmp_path, kept=kept) as served,
    ):
        answer = ask(served)
        whole = ask(served, body(stream=False))

        assert answer.status == whole.status == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert b"message_stop" in answer.body
        assert json.loads(whole.body)["content"] == [{"type": "text", "text": "hello"}]
        took = json.loads(whole.body)["usage"]
        assert kept.calls[1].usage == Usage(
            input=took["input_tokens"], output=took["output_tokens"], requests=1
        )
        assert [call.ended for call in kept.calls] == ["good", "good"]
        assert {call.basis for call in kept.calls} == {Basis.SYNTHETIC}
        assert served.usage() == kept.calls[0].usage + kept.calls[1].usage
        assert served.spend().dollars == sum(call.dollars or Decimal(0) for call in kept.calls)
        assert [one.kind for one in served.news()] == ["request", "usage"] * 2
        assert served.fault is None
        assert not served.busy


def test_the_first_words_are_there_before_the_last_ones_are_written(tmp_path: Path) -> None:
    """Nothing is held back: a client reads while the model still writes."""
    with (
        MessagesServer([drip(text("a " * 200), 0.05)], key=KEY) as model,
        opened(model.url, tmp_path) as served,
    ):
        wire = Wire(served.socket)
        began = time.monotonic()
        wire.request("POST", "/v1/messages", json.dumps(body(max_tokens=1000)), _version())
        reply = wire.getresponse()
        reply.read(100)
        first = time.monotonic() - began
        reply.read()
        last = time.monotonic() - began
        wire.close()

    assert first < last / 2


def _version() -> dict[str, str]:
    return {"anthropic-version": "2023-06-01"}


def test_the_key_is_put_in_and_only_the_headers_of_the_api_go_on(tmp_path: Path) -> None:
    """A client's own credentials, cookies and hints stay here; each version gets its header."""
    hints = {"cookie": "a=b", "x-stainless-os": "Linux", "authorization": "Bearer mine"}
    with (
        MessagesServer(lambda _: text("hello"), key=KEY) as model,
        opened(model.url, tmp_path) as served,
    ):
        assert ask(served, headers={**hints, "anthropic-beta": "one-2026-01-01"}).status == 200
        assert ask(served, headers={"anthropic-version": "2026-10-21"}).status == 200

        old, new = (one.headers for one in model.requests)
        assert old["anthropic-beta"] == "one-2026-01-01"
        assert "x-api-key" in old
        assert "authorization" in new
        assert not {"cookie", "x-stainless-os", "authorization"} & old.keys()
        assert "x-api-key" not in new


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("POST", "/v1/files", 404),
        ("POST", "/v1/messages/batches", 404),
        ("POST", "/v1/responses", 404),
        ("POST", "http://elsewhere.invalid/v1/messages", 404),
        ("GET", "/", 404),
        ("DELETE", "/v1/models", 501),
        ("GET", "/v1/models", 200),
        ("HEAD", "/", 200),
        ("POST", "/v1/messages/count_tokens", 200),
    ],
)
def test_only_the_model_s_api_is_there(method: str, path: str, code: int, tmp_path: Path) -> None:
    """Other paths and addresses are refused here, and what costs nothing costs nothing."""
    kept = books()
    with (
        MessagesServer([], key=KEY) as model,
        opened(model.url, tmp_path, kept=kept) as served,
    ):
        counted = {key: value for key, value in body().items() if key in {"model", "messages"}}
        assert ask(served, counted, path=path, method=method).status == code

    assert kept.calls == []


def _picture(source: object) -> object:
    return {"role": "user", "content": [{"type": "image", "source": source}]}


def _result(source: object) -> object:
    pages = {"type": "content", "content": [{"type": "image", "source": source}]}
    document = {"type": "document", "source": pages}
    result = {"type": "tool_result", "tool_use_id": "one", "content": [document]}
    return {"role": "user", "content": [result]}


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"tools": [{"type": "web_search_20260318", "name": "web_search"}]}, "web_search_20260318"),
        ({"tools": [{"type": "web_fetch_20260318", "name": "web_fetch"}]}, "web_fetch"),
        ({"mcp_servers": [{"url": "http://elsewhere.invalid"}]}, "mcp_servers"),
        ({"speed": "fast"}, "speed"),
        ({"service_tier": "priority"}, "service_tier"),
        ({"max_tokens": None}, "max_tokens"),
        ({"max_tokens": True}, "max_tokens"),
        ({"messages": [_picture({"type": "url", "url": "http://elsewhere.invalid"})]}, "address"),
        ({"messages": [_picture({"url": "http://elsewhere.invalid"})]}, "address"),
        ({"messages": [_result({"type": "url", "url": "http://elsewhere.invalid"})]}, "address"),
        ({"temperature": float("inf")}, "a number that JSON has not"),
        ({"model": ""}, "model"),
        ({"model": "claude-opus-5-5"}, "may ask claude-sonnet-5-5"),
        ({"model": "no-such-model"}, "may ask claude-sonnet-5-5"),
    ],
)
def test_what_would_leave_another_way_or_cost_otherwise_is_refused(
    more: dict[str, Any], why: str, tmp_path: Path
) -> None:
    """Tools with a network of their own, dearer service and other models: nothing is sent."""
    with MessagesServer([], key=KEY) as model, opened(model.url, tmp_path) as served:
        answer = ask(served, body(**more))

        assert answer.status == 400
        assert why in answer.said
        assert model.seen == []
        assert served.fault is None, "what an agent words badly is no fault of the line"


def test_what_is_sent_is_what_was_judged(tmp_path: Path) -> None:
    """A key that stands twice, or bytes of another encoding, show no second request to others."""
    twice = json.dumps(body()).replace('"model"', '"model": "claude-opus-5-5", "model"', 1)
    odd = json.dumps(body(messages=[{"role": "user", "content": "half \ud83d, whole \u20ac"}]))
    with (
        MessagesServer(lambda _: text("hello"), key=KEY) as model,
        opened(model.url, tmp_path) as served,
    ):
        for data in (twice.encode(), twice.encode("utf-16"), odd.encode()):
            assert ask(served, raw=data).status == 200

        sent = [one.seen.raw for one in model.requests]
    assert all(data.count(b'"model"') == 1 for data in sent)
    assert not any(b"opus" in data for data in sent)
    assert "half ?, whole \u20ac".encode() in sent[2]


def test_a_question_how_long_a_request_is_shows_nobody_an_address(tmp_path: Path) -> None:
    """What is only counted is judged as well, and a refusal is none that a client repeats."""
    far = {"model": MODEL, "messages": [_picture({"type": "url", "url": "http://a.invalid"})]}
    near = {key: value for key, value in body().items() if key in {"model", "messages"}}
    path = "/v1/messages/count_tokens"
    with (
        MessagesServer([], key="another key", refusals=True) as model,
        opened(model.url, tmp_path) as served,
    ):
        assert ask(served, far, path=path).status == 400
        assert model.seen == []
        assert ask(served, near, path=path).status == 402


@pytest.mark.parametrize("stream", [False, True])
def test_the_last_bytes_come_once_the_call_is_paid(tmp_path: Path, *, stream: bool) -> None:
    """Whoever has seen a reply's end may ask again: what it took is no longer held."""
    paying, go_on = threading.Event(), threading.Event()

    class Slow(Listed):
        """A record that is as slow as a disk can be."""

        @override
        def settle(self, call: Call, held: int | None) -> None:
            paying.set()
            assert go_on.wait(20)
            super().settle(call, held)

    kept, answers = books(), list[Answer]()
    kept.meter = Meter(
        prices=kept.meter.prices,
        ceilings=kept.meter.ceilings,
        now=time.time,
        record=Slow(kept.calls),
        warn=lambda _: None,
    )
    with (
        MessagesServer([text("hello")], key=KEY) as model,
        opened(model.url, tmp_path, kept=kept) as served,
    ):
        asking = threading.Thread(target=lambda: answers.append(ask(served, body(stream=stream))))
        asking.start()
        assert paying.wait(20)
        assert not answers

        go_on.set()
        asking.join(20)

    assert answers[0].status == 200
    assert b"hello" in answers[0].body


def test_a_fault_that_is_over_is_not_what_an_attempt_ended_with(tmp_path: Path) -> None:
    """A provider that asked for too long a pause and then answers is no reason any more."""
    steps = [(status(429, "slow down", retry_after=3600), text("hello"))]
    with (
        MessagesServer(steps, key=KEY) as model,
        opened(model.url, tmp_path) as served,
    ):
        assert ask(served).status == 402
        assert served.fault is not None
        assert served.fault.cause == "limited"
        served.limiter = limiter()  # the pause is over
        assert ask(served).status == 200
        assert served.fault is None


def test_a_cheaper_model_for_titles_passes_and_is_paid(tmp_path: Path) -> None:
    """An agent's hidden call is metered like any other."""
    kept = books()
    with (
        MessagesServer([text("A title")], key=KEY) as model,
        opened(model.url, tmp_path, kept=kept) as served,
    ):
        assert ask(served, body(model="claude-haiku-5-5")).status == 200

    assert [call.model for call in kept.calls] == ["claude-haiku-5-5"]
    assert kept.calls[0].dollars


def test_a_spent_budget_is_said_so_that_the_client_ends(tmp_path: Path) -> None:
    """The refusal is no status that clients try again, names the account, and sends nothing."""
    with (
        MessagesServer([], key=KEY) as model,
        opened(model.url, tmp_path, budget=Budget(dollars=Decimal("0.0001"))) as served,
    ):
        answer = ask(served)

        assert answer.status == 402
        assert "the budget of job job1" in answer.said
        assert served.fault is not None
        assert (served.fault.cause, served.fault.account) == ("budget", "job")
        assert model.seen == []


def test_a_busy_provider_is_asked_again_here_and_the_client_never_knows(tmp_path: Path) -> None:
    """429, 529 and 500 before a reply: one owner of retries, one answer to the client."""
    busy = (status(429, retry_after=0), overloaded(), status(500), html(), text("hello"))
    with (
        MessagesServer([busy], key=KEY) as model,
        opened(model.url, tmp_path) as served,
    ):
        answer = ask(served)

        assert answer.status == 200
        assert len(model.requests) == 5
        assert [one.kind for one in served.news()].count("retry") == 4


@pytest.mark.parametrize(
    ("fault", "cause", "code"),
    [
        (status(401, f"invalid x-api-key {KEY}"), "denied", 402),
        (status(403, "no"), "denied", 402),
        (status(404, "model: unknown"), "denied", 402),
        (spend_limit(), "denied", 402),
        (status(429, "slow down", retry_after=3600), "limited", 402),
        (status(400, "messages: too long"), "", 400),
    ],
)
def test_what_will_never_work_is_asked_once_and_says_why_without_any_secret(
    fault: Any, cause: str, code: int, tmp_path: Path
) -> None:
    """The client is told by a status at which it ends; the line learns the cause."""
    with (
        MessagesServer([fault], key=KEY) as model,
        opened(model.url, tmp_path) as served,
    ):
        answer = ask(served)

        assert answer.status == code
        assert len(model.requests) == 1
        assert (served.fault.cause if served.fault else "") == cause
        shown = [answer.said, str(served.fault), *(one.text for one in served.news()), repr(served)]
        assert not any(KEY in one for one in shown)


@pytest.mark.parametrize(
    "fault",
    [truncated_in_tool("go"), error_event(after=text("hel")), messages.reset(after=text("hello"))],
)
def test_a_reply_that_breaks_off_is_seen_to_be_broken_and_is_paid(
    fault: Any, tmp_path: Path
) -> None:
    """The client sees no proper end, nothing is asked again behind its back, the tokens count."""
    kept = books()
    tools = [{"name": "go", "input_schema": {"type": "object", "properties": {}}}]
    with (
        MessagesServer([fault], key=KEY) as model,
        opened(model.url, tmp_path, kept=kept) as served,
    ):
        with pytest.raises(http.client.IncompleteRead):
            ask(served, body(tools=tools))

        assert len(model.requests) == 1
        assert [call.ended for call in kept.calls] == ["incomplete"] or [
            call.ended for call in kept.calls
        ] == ["provider"]
        assert kept.calls[0].usage.input > 0
        assert served.fault is not None
        assert served.fault.cause in {"incomplete", "provider"}


@pytest.mark.parametrize("hangs_up", [False, True])
def test_a_reply_of_the_other_dialect_that_breaks_off_is_paid_with_what_it_read(
    tmp_path: Path, *, hangs_up: bool
) -> None:
    """Figures stand at its end only: whoever leaves before has asked nothing for nothing."""
    kept = books()
    asked = {"model": "gpt-5.5", "input": "Say it. " * 300, "stream": True, "store": False}
    long = text("a " * 3000)
    step = drip(long, 0.02) if hangs_up else messages.reset(after=long)
    with (
        ResponsesServer([step], key=KEY) as model,
        opened(
            model.url,
            tmp_path,
            kept=kept,
            dialect="responses",
            models=frozenset({"gpt-5.5"}),
        ) as served,
    ):
        wire = Wire(served.socket)
        wire.request("POST", "/v1/responses", json.dumps(asked))
        reply = wire.getresponse()
        if hangs_up:
            reply.read(2000)
        else:
            with suppress(http.client.IncompleteRead):
                reply.read()
        wire.close()
        until = time.monotonic() + 20
        while not kept.calls and time.monotonic() < until:
            threading.Event().wait(0.01)

    (call,) = kept.calls
    assert call.ended == ("stopped" if hangs_up else "provider")
    assert call.usage.input >= 2400 / 3
    assert call.usage.output > 0


class Uncounted(Server):
    """A provider that says nothing of what it took."""

    @override
    def take(self, seen: Seen, headers: dict[str, str], exchange: Exchange) -> None:
        exchange.send(200, json.dumps({"content": [], "model": MODEL}).encode())


def test_a_provider_that_counts_nothing_is_paid_by_estimate(tmp_path: Path) -> None:
    """What nobody counted for us is never called exact."""
    kept = books()
    with (
        Uncounted() as proxy,  # by way of a proxy nobody sees that the provider is on this machine
        opened("http://model.invalid", tmp_path, kept=kept, proxy=proxy.url) as served,
    ):
        assert ask(served, body(stream=False)).status == 200

    assert kept.calls[0].usage.input > 0
    assert kept.calls[0].basis is Basis.ESTIMATED


def test_leaving_ends_what_is_under_way_and_pays_for_it(tmp_path: Path) -> None:
    """A call whose provider is silent is cut within a second, and what it may cost is paid."""
    kept = books()
    with MessagesServer([hang()], key=KEY) as model:
        with opened(model.url, tmp_path, kept=kept) as served:
            thread = threading.Thread(target=_quietly, args=(served,))
            thread.start()
            while not model.requests:
                threading.Event().wait(0.01)
            assert served.busy
            began = time.monotonic()
        took = time.monotonic() - began
        thread.join(5)

    assert took < 15.0  # the provider would be waited for six times as long
    assert not thread.is_alive()
    assert [call.ended for call in kept.calls] == ["stopped"]
    assert kept.meter.left(served.payer).dollars is None
    assert not served.socket.exists()


def _quietly(served: Served) -> None:
    with suppress(OSError, http.client.HTTPException):
        ask(served)


def test_a_client_that_hangs_up_stops_its_call(tmp_path: Path) -> None:
    """Nobody pays for the rest of a reply that nobody reads."""
    kept = books()
    with (
        MessagesServer([drip(text("a " * 3000), 0.02)], key=KEY) as model,
        opened(model.url, tmp_path, kept=kept) as served,
    ):
        wire = Wire(served.socket)
        wire.request("POST", "/v1/messages", json.dumps(body(max_tokens=9000)), _version())
        wire.getresponse().read(50)
        wire.close()
        until = time.monotonic() + 5
        while served.busy and time.monotonic() < until:
            threading.Event().wait(0.01)

        assert [call.ended for call in kept.calls] == ["stopped"]
        assert model.requests


@pytest.mark.parametrize(
    "data",
    [
        b"\x00\xff\x16\x03\x01 garbage\r\n\r\n",
        b"POST /v1/messages HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /v1/messages HTTP/1.1\r\ncontent-length: -5\r\n\r\n",
        b"POST /v1/messages HTTP/1.1\r\ncontent-length: 99999999999\r\n\r\n",
        b"POST /v1/messages HTTP/1.1\r\ncontent-length: 2\r\n\r\n[]",
        b"POST /v1/messages HTTP/1.1\r\ncontent-length: 7\r\n\r\n[[[[[[[",
        b"GET /v1/models HTTP/1.1\r\n" + b"a: b\r\n" * 200 + b"\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
    ],
)
def test_what_is_no_request_is_refused_and_hurts_nobody(data: bytes, tmp_path: Path) -> None:
    """A hostile client gets an error of ours or a closed connection; the next one is served."""
    with (
        MessagesServer([text("hello")], key=KEY) as model,
        opened(model.url, tmp_path) as served,
    ):
        with socket.socket(socket.AF_UNIX) as raw:
            raw.settimeout(5)
            raw.connect(str(served.socket))
            with suppress(OSError):
                raw.sendall(data)
                raw.shutdown(socket.SHUT_WR)
                while raw.recv(65_536):
                    pass

        assert ask(served).status == 200
        assert len(model.requests) == 1


def test_a_flood_of_connections_is_bounded(tmp_path: Path) -> None:
    """More connections than an agent needs are closed at once; those that are open stay served."""
    with (
        MessagesServer([text("hello")], key=KEY) as model,
        opened(model.url, tmp_path) as served,
    ):
        idle = [socket.socket(socket.AF_UNIX) for _ in range(40)]
        for one in idle:
            one.settimeout(5)
            one.connect(str(served.socket))
        closed = 0
        for one in idle[32:]:
            closed += one.recv(1) == b""
        for one in idle:
            one.close()
        until = time.monotonic() + 5
        answer = None
        while answer is None and time.monotonic() < until:
            with suppress(OSError, http.client.HTTPException):
                answer = ask(served)

    assert closed == 8
    assert answer is not None
    assert answer.status == 200


class Corporate(Server):
    """A proxy of a company, which lets nothing through and remembers what was wanted."""

    def __init__(self) -> None:
        super().__init__()
        self.wanted: list[str] = []

    @override
    def take(self, seen: Seen, headers: dict[str, str], exchange: Exchange) -> None:
        self.wanted.append(f"{seen.method} {seen.path}")
        exchange.send(400, b"{}")


def test_it_goes_by_way_of_a_corporate_proxy(tmp_path: Path) -> None:
    """The provider's name is for the proxy to find: this machine could not."""
    with (
        Corporate() as proxy,
        opened("http://model.invalid", tmp_path, proxy=proxy.url) as served,
    ):
        assert ask(served).status == 400

    assert proxy.wanted == ["POST http://model.invalid/v1/messages?beta=true"]


def test_a_socket_in_a_deep_directory_can_be_reached_from_a_short_one(tmp_path: Path) -> None:
    """A path longer than the kernel takes in one piece is no obstacle."""
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    deep.mkdir(parents=True)
    with (
        MessagesServer([text("hello")], key=KEY) as model,
        opened(model.url, deep) as served,
    ):
        short = tmp_path / "short"
        short.symlink_to(deep, target_is_directory=True)
        wire = Wire(short / "door")
        wire.request("POST", "/v1/messages", json.dumps(body()), _version())

        assert wire.getresponse().status == 200
        assert served.socket.stat().st_mode & 0o777 == 0o600
        wire.close()


def test_the_other_dialect_passes_and_gets_a_bound(tmp_path: Path) -> None:
    """A request without a limit of its own gets one, so that the budget can bear it."""
    kept = books()
    asked = {"model": "gpt-5.5", "input": "Say hello.", "stream": True, "store": False}
    with (
        ResponsesServer([text("hello")], key=KEY) as model,
        opened(
            f"{model.url}/v1",
            tmp_path,
            kept=kept,
            dialect="responses",
            models=frozenset({"gpt-5.5"}),
        ) as served,
    ):
        answer = ask(served, asked, path="/v1/responses")
        refused = ask(served, {**asked, "tools": [{"type": "web_search"}]}, path="/v1/responses")
        hidden = [{"type": "namespace", "name": "n", "tools": [{"type": "web_search"}]}]
        for more in (
            {"tools": hidden},
            {"tools": [{"type": "shell", "environment": {"type": "container_auto"}}]},
            {"input": [{"type": "additional_tools", "role": "developer", "tools": hidden}]},
        ):
            ran_there = ask(served, {**asked, **more}, path="/v1/responses")
            assert (ran_there.status, "in the sandbox itself" in ran_there.said) == (400, True)
        for part in ({"type": "input_image", "image_url": "http://a.invalid"}, {"file_url": "a"}):
            told = {"role": "user", "content": [part]}
            result = {"type": "function_call_output", "call_id": "one", "output": [part]}
            for item in (told, result):
                far = ask(served, {**asked, "input": [item]}, path="/v1/responses")
                assert (far.status, "address" in far.said) == (400, True)

        assert answer.status == 200
        assert b"response.completed" in answer.body
        assert model.requests[0].body["max_output_tokens"] == 32_000
        assert model.requests[0].headers["authorization"] == "***"
        assert refused.status == 400
        assert "web_search" in refused.said
        assert [call.provider for call in kept.calls] == ["anthropic"]
        assert kept.calls[0].usage.output > 0


def test_figures_are_read_from_pieces_of_any_size() -> None:
    """A stream cut into single bytes says the same as in one piece; nonsense adds nothing."""
    events = [
        {"type": "message_start", "message": {"model": "m", "usage": {"input_tokens": 7}}},
        {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "x" * 30}},
        {"type": "message_delta", "usage": {"output_tokens": 9, "cache_read_input_tokens": -4}},
        {"type": "message_stop"},
    ]
    data = b"".join(b"event: x\r\ndata: " + json.dumps(one).encode() + b"\n\n" for one in events)
    data = b"data: [1]\n\ndata: {broken\n\n: ping\n\n" + data
    whole, slow = Reader("messages"), Reader("messages")

    whole.stream(data)
    for at in range(len(data)):
        slow.stream(data[at : at + 1])

    assert whole.usage == slow.usage == Usage(input=7, output=9, requests=1)
    assert whole.ended
    assert slow.ended
    cut = Reader("messages")
    cut.stream(data[: data.index(b"message_delta")])
    assert cut.counted(100) == Usage(input=7, output=10, requests=1)
    assert Reader("messages").counted(100) == Usage(input=100, requests=1)
