"""The door to the Messages API: the real client over real HTTP, against every fault we know."""

import contextlib
import gc
import http.server
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from stations.models.anthropic_door import AnthropicDoor
from stations.models.asking import Block, Request, Trouble
from stations.models.values import Provider
from tests.run import run
from tests.scripted.messages import (
    Asked,
    Fault,
    MessagesServer,
    Step,
    Turn,
    broken_json,
    context_exceeded,
    drip,
    duplicate_tool_id,
    error_event,
    hang,
    html,
    huge_argument,
    max_tokens,
    max_tokens_in_tool,
    overloaded,
    pause,
    refusal,
    reset,
    spend_limit,
    stall,
    status,
    text,
    thinking,
    tool,
    truncated_in_tool,
    turn,
    unknown_tool,
)

KEY = "sk-ant-canary-9f27c1"
TOOLS: tuple[Block, ...] = tuple(
    {"name": name, "description": name, "input_schema": {"type": "object", "properties": {}}}
    for name in ("read", "write", "finish")
)
EDIT = tool("write", {"path": "a.py", "content": "x = 1\n" * 20})


def request(say: str = "hello", **more: object) -> Request:
    """Give a request of one message."""
    message = {"role": "user", "content": [{"type": "text", "text": say}]}
    return Request(
        **{
            "model": "claude-sonnet-5-5",
            "max_tokens": 4000,
            "messages": (message,),
            "tools": TOOLS,
            **more,
        }  # type: ignore[arg-type]
    )


def provider(url: str, **more: object) -> Provider:
    """Give a provider at an address."""
    return Provider(name="anthropic", base_url=url, key=KEY, **more)  # type: ignore[arg-type]


@contextlib.contextmanager
def door(url: str, *, idle: float = 5.0, longest: float = 20.0) -> Iterator[AnthropicDoor]:
    """Give a door that is closed at the end."""
    opened = AnthropicDoor(provider(url), idle=idle, longest=longest)
    try:
        yield opened
    finally:
        opened.close()


def trouble(step: Step, *, idle: float = 5.0, longest: float = 20.0) -> Trouble:
    """Give the trouble that one step of a server makes."""
    with MessagesServer([step]) as server, door(server.url, idle=idle, longest=longest) as opened:
        with pytest.raises(Trouble) as caught:
            opened.stream(request(), stop=threading.Event())
        assert len(server.requests) == 1, "the door never tries again"
    return caught.value


def test_a_whole_reply_comes_through() -> None:
    """Text, thinking and tools come as they were sent, with the tokens that were counted."""
    said: list[str] = []
    answer = turn(thinking("hm"), text("I look at both."), tool("read", {"path": "a"}), EDIT)
    with MessagesServer([answer], key=KEY) as server, door(server.url) as opened:
        reply = opened.stream(request(), stop=threading.Event(), hear=said.append)

    assert reply.stop_reason == "tool_use"
    assert reply.text == "".join(said) == "I look at both."
    assert [(use.name, use.input) for use in reply.tool_uses] == [
        ("read", {"path": "a"}),
        ("write", EDIT.blocks[0]["input"]),
    ]
    assert [block["type"] for block in reply.content] == ["thinking", "text", *["tool_use"] * 2]
    assert reply.usage.input == -(-server.requests[0].size // 4)
    assert reply.usage.output > 20
    assert reply.usage.requests == 1
    assert reply.request_id == "req_scripted_0000"


def test_a_reply_goes_back_as_it_is() -> None:
    """The next turn of a conversation may hold a reply's content unchanged, thinking included."""
    script = [turn(thinking("hm"), tool("read", {"path": "a"})), text("Done.")]
    with MessagesServer(script) as server, door(server.url) as opened:
        first = request(cache=True)
        reply = opened.stream(first, stop=threading.Event())
        result = {"type": "tool_result", "tool_use_id": reply.tool_uses[0].id, "content": "x"}
        more = (
            *first.messages,
            {"role": "assistant", "content": list(reply.content)},
            {"role": "user", "content": [result]},
        )
        after = opened.stream(request(messages=more, effort="low"), stop=threading.Event())

    assert after.text == "Done."
    assert server.requests[0].body["cache_control"] == {"type": "ephemeral"}
    assert server.requests[1].body["output_config"] == {"effort": "low"}
    assert server.requests[1].answers == ("x",)


def test_only_what_is_meant_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither variables nor the package add a header, an address or a key of their own."""
    for name, value in {
        "ANTHROPIC_API_KEY": "sk-other",
        "ANTHROPIC_AUTH_TOKEN": "other",
        "ANTHROPIC_BASE_URL": "http://127.0.0.1:9",
        "ANTHROPIC_CUSTOM_HEADERS": "x-leak: yes\nauthorization: Bearer other",
        "HTTP_PROXY": "http://127.0.0.1:9",
        "ALL_PROXY": "http://127.0.0.1:9",
    }.items():
        monkeypatch.setenv(name, value)
    with MessagesServer([text("hi")], key=KEY) as server, door(server.url) as opened:
        opened.stream(request(), stop=threading.Event())

    assert set(server.requests[0].headers) == {
        "accept",
        "accept-encoding",
        "anthropic-version",
        "authorization",
        "connection",
        "content-length",
        "content-type",
        "host",
        "user-agent",
    }
    assert server.requests[0].headers["anthropic-version"] == "2026-10-21"


@pytest.mark.parametrize(
    ("step", "cause", "code", "permanent"),
    [
        (status(400, "bad"), "denied", 400, True),
        (status(401, "bad key"), "denied", 401, True),
        (status(402), "denied", 402, True),
        (status(403), "denied", 403, True),
        (status(404, "model: x"), "denied", 404, True),
        (status(413), "denied", 413, True),
        (status(422), "denied", 422, True),
        (status(301), "denied", 301, True),
        (spend_limit(), "denied", 429, True),
        (spend_limit("contract_spend_limit_reached"), "denied", 429, True),
        (status(429, "slow down"), "provider", 429, False),
        (status(429, "slow down", should_retry=False), "provider", 429, True),
        (status(408), "provider", 408, False),
        (status(409), "provider", 409, False),
        (status(500), "provider", 500, False),
        (status(501), "denied", 501, True),
        (status(504), "provider", 504, False),
        (overloaded(), "provider", 529, False),
    ],
)
def test_an_error_answer_is_told_apart(
    step: Fault, cause: str, code: int, *, permanent: bool
) -> None:
    """What can never work is permanent, the rest may be tried again, and neither cost anything."""
    found = trouble(step)

    assert (found.cause, found.status, found.permanent) == (cause, code, permanent)
    assert not found.toll.sent
    assert not found.toll.usage.tokens
    assert "\n" not in str(found)


@pytest.mark.parametrize(
    ("step", "seconds"),
    [
        (status(429, retry_after=7), 7.0),
        (status(429, retry_after=7, retry_after_ms=1500), 1.5),
        (status(529, retry_after="3600"), 3600.0),
        (status(429, retry_after="nan"), None),
        (status(429, retry_after="-3"), None),
        (status(429, retry_after="soon"), None),
        (status(429, retry_after="Fri, 01 Jan 1999 00:00:00"), 0.0),
        (status(429, retry_after="Fri, 01 Jan 1999 00:00:00 -0000"), 0.0),
        (status(429, retry_after=f"Fri, 01 Jan 1999 00:00:00 +{'9' * 30}"), None),
        (status(429, retry_after="Fri, 01 Jan 1999 00:00:00 GMT"), 0.0),
        (status(429), None),
        (spend_limit(), None),
    ],
)
def test_the_wait_that_is_asked_for_is_heard(step: Fault, seconds: float | None) -> None:
    """Retry-After counts in each of its forms; nonsense counts as not said."""
    assert trouble(step).retry_after == seconds


@pytest.mark.parametrize(
    ("step", "cause", "sent"),
    [
        (reset(), "provider", True),
        (reset(after=EDIT), "provider", True),
        (html(), "incomplete", True),
        (broken_json(), "incomplete", True),
        (truncated_in_tool("write", EDIT.blocks[0]["input"]), "incomplete", True),
        (max_tokens_in_tool("write", EDIT.blocks[0]["input"]), "incomplete", True),
        (duplicate_tool_id("read", {"path": "a"}, {"path": "b"}), "incomplete", True),
        (Turn(blocks=EDIT.blocks, stop="max_tokens"), "incomplete", True),
        (Turn(blocks=EDIT.blocks, stop="pause_turn"), "incomplete", True),
        (Turn(blocks=text("hm").blocks, stop="tool_use"), "incomplete", True),
        (Turn(blocks=text("hm").blocks, stop="compaction"), "incomplete", True),
        (Turn(blocks=tool("read", {"path": "\ud800"}).blocks, stop="tool_use"), "incomplete", True),
        (
            Turn(blocks=tool("read", {"n": float("nan")}).blocks, stop="tool_use"),
            "incomplete",
            True,
        ),
    ],
)
def test_half_a_reply_is_none(step: Step, cause: str, *, sent: bool) -> None:
    """Whatever is not a complete and valid reply never comes out, and may have cost something."""
    found = trouble(step)

    assert (found.cause, found.permanent, found.toll.sent) == (cause, False, sent)


def test_what_was_seen_of_half_a_reply_is_counted() -> None:
    """A stream that was cut had the provider read everything and write a part."""
    found = trouble(reset(after=EDIT))

    assert found.toll.usage.total_input > 100
    assert found.toll.usage.output > 20
    assert not found.toll.exact


def test_an_error_in_mid_stream_is_read() -> None:
    """An error event counts as the status that it would have been."""
    full = trouble(error_event(after=EDIT))
    denied = trouble(error_event("invalid_request_error", "no"))

    assert (full.cause, full.status, full.permanent) == ("provider", 529, False)
    assert full.toll.usage.total_input > 100
    assert (denied.cause, denied.status, denied.permanent) == ("denied", 400, True)


@pytest.mark.parametrize("step", [hang(), stall(), stall(after=EDIT)])
def test_silence_is_given_up(step: Fault) -> None:
    """A server that says nothing for too long is left, as one that may answer the next time."""
    began = time.monotonic()
    found = trouble(step, idle=0.2)

    assert (found.cause, found.permanent) == ("provider", False)
    assert found.toll.sent
    assert time.monotonic() - began < 2


def test_a_drip_ends_in_time() -> None:
    """A reply that never ends is cut when its time is over, however alive it looks."""
    endless = drip(text("word " * 400), 0.05)

    found = trouble(endless, longest=0.4)

    assert found.cause == "provider"
    assert "0 s" in str(found)


@pytest.mark.parametrize("step", [hang(), stall(after=EDIT), drip(text("word " * 400), 0.02)])
def test_stop_ends_a_call_at_once(step: Step) -> None:
    """A call ends within 0.2 s after its stop is set, wherever it waits."""
    with MessagesServer([step]) as server, door(server.url) as opened:
        stop, ended = threading.Event(), []

        def work() -> None:
            try:
                opened.stream(request(), stop=stop)
            except Trouble as found:
                ended.append((found.cause, found.toll.sent, time.monotonic()))

        thread = threading.Thread(target=work)
        thread.start()
        _until(lambda: bool(server.requests))
        threading.Event().wait(0.1)
        told = time.monotonic()
        stop.set()
        thread.join(5)

    ((cause, sent, at),) = ended
    assert (cause, sent) == ("stopped", True)
    assert at - told < 0.2


def test_stop_ends_a_call_that_cannot_connect() -> None:
    """Connecting to a host that does not answer ends at once too, and cost nothing."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        # So many wait at the door that the next one gets no answer.
        crowd = [socket.socket() for _ in range(4)]
        for one in crowd:
            one.settimeout(0)
            one.connect_ex(full.getsockname())
        url = f"http://127.0.0.1:{full.getsockname()[1]}"
        stop = threading.Event()
        threading.Timer(0.2, stop.set).start()
        with door(url) as opened, pytest.raises(Trouble) as caught:
            opened.stream(request(), stop=stop)
        for one in crowd:
            one.close()

    assert caught.value.cause == "stopped"
    assert not caught.value.toll.sent


def test_nobody_at_the_address() -> None:
    """A refused connection may work later and cost nothing."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with door(url) as opened, pytest.raises(Trouble) as caught:
        opened.stream(request(), stop=threading.Event())

    assert (caught.value.cause, caught.value.permanent) == ("provider", False)
    assert not caught.value.toll.sent


@pytest.mark.parametrize(
    ("step", "stop_reason", "words"),
    [
        (refusal("I cannot."), "refusal", "I cannot."),
        (refusal(), "refusal", ""),
        (pause(), "pause_turn", "Still at it."),
        (max_tokens(), "max_tokens", "This is as far as"),
        (context_exceeded(), "model_context_window_exceeded", "There is no more"),
        (Turn(blocks=EDIT.blocks, stop="refusal"), "refusal", ""),
        (Turn(blocks=EDIT.blocks, stop="model_context_window_exceeded"), None, ""),
        (Turn(blocks=text(" \n").blocks), "end_turn", ""),
    ],
)
def test_a_turn_that_ends_otherwise_comes_back_without_tools(
    step: Turn, stop_reason: str | None, words: str
) -> None:
    """Each stop reason comes back as it is; no tool does when the turn was broken off."""
    with MessagesServer([step]) as server, door(server.url) as opened:
        reply = opened.stream(request(), stop=threading.Event())

    assert reply.stop_reason == stop_reason or stop_reason is None
    assert reply.text.strip() == words
    assert reply.tool_uses == ()


def test_a_huge_argument_and_an_unknown_tool_come_through() -> None:
    """What a tool is called with is for its own caller to judge; ten megabytes take no second."""

    def script(asked: Asked) -> Step:
        return huge_argument() if asked.number else unknown_tool()

    with MessagesServer(script) as server, door(server.url) as opened:
        unknown = opened.stream(request(), stop=threading.Event())
        began = time.process_time()
        huge = opened.stream(request("again"), stop=threading.Event())
        took = time.process_time() - began

    assert unknown.tool_uses[0].name == "launch_missiles"
    assert len(huge.tool_uses[0].input["content"]) == 10_000_000
    assert took < 3


def test_text_that_is_no_text_can_be_sent() -> None:
    """A conversation may hold half a character of a repository's file; it is sent as a mark."""
    with MessagesServer([text("ok")]) as server, door(server.url) as opened:
        reply = opened.stream(request("a\ud800b"), stop=threading.Event())

    assert reply.text == "ok"
    assert server.requests[0].first == "a?b"


def test_no_key_is_said_before_anything_is_sent() -> None:
    """Without a key the door names the place where one belongs."""
    with MessagesServer([]) as server:
        opened = AnthropicDoor(Provider(name="mine", base_url=server.url))
        with pytest.raises(Trouble, match=r"key_env of \[provider.mine\]") as caught:
            opened.stream(request(), stop=threading.Event())

    assert caught.value.permanent
    assert not server.requests


def test_a_broken_key_is_said_without_showing_it() -> None:
    """A key that a file was read into with its line break is refused by name only."""
    opened = AnthropicDoor(Provider(name="mine", base_url="http://127.0.0.1:9", key=f"{KEY}\n"))
    with pytest.raises(Trouble, match="line break") as caught:
        opened.stream(request(), stop=threading.Event())

    assert caught.value.cause == "denied"
    assert KEY not in str(caught.value)


def test_no_secret_shows() -> None:
    """A server that repeats the key does not get it into any message, nor does an error hold it."""
    leak = f"your key {KEY} is bad\n\x1b[31mred {'x' * 5000}"
    for step in (status(401, leak), error_event("api_error", leak), status(500, leak)):
        found = trouble(step)
        assert KEY not in str(found)
        assert "***" in str(found)
        assert "\x1b" not in str(found)
        assert len(str(found)) <= 300
        assert found.__cause__ is None
        assert found.__context__ is None


def test_fifty_threads_share_one_client() -> None:
    """Fifty threads with five calls each get their own replies over one client."""
    found: list[bool] = []

    def script(asked: Asked) -> Step:
        return text(asked.first)

    with MessagesServer(script) as server, door(server.url) as opened:
        opened.warm()

        def work(name: int) -> None:
            for call in range(5):
                say = f"agent {name} call {call}"
                reply = opened.stream(request(say), stop=threading.Event())
                found.append(reply.text == say)

        threads = [threading.Thread(target=work, args=(name,)) for name in range(50)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)

    assert found == [True] * 250


def test_a_door_leaves_no_thread() -> None:
    """When no call is under way, nothing of a door runs: an idle factory does nothing."""
    with MessagesServer([text("ok")]) as server, door(server.url) as opened:
        opened.stream(request(), stop=threading.Event())
        _until(lambda: not _threads("wire", "connecting"))


class _Proxy(http.server.BaseHTTPRequestHandler):
    """A corporate proxy: notes what it was asked, and answers for the host behind it."""

    asked: ClassVar[list[tuple[str, str]]]

    def do_POST(self) -> None:
        """Pass on a plain request."""
        self.asked.append((self.path, self.headers.get("proxy-authorization", "")))
        body = self.rfile.read(int(self.headers["content-length"]))
        error = {"type": "error", "error": {"type": "api_error", "message": f"{len(body)} bytes"}}
        data = json.dumps(error).encode()
        self.send_response(400)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


def test_a_corporate_proxy_is_used_and_its_password_kept() -> None:
    """Calls go through the proxy of the provider; its password shows in no error."""

    class Handler(_Proxy):
        asked: ClassVar[list[tuple[str, str]]] = []

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        proxy = f"http://me:s3cret-word@127.0.0.1:{server.server_address[1]}"
        opened = AnthropicDoor(provider("http://models.invalid", proxy=proxy))
        with pytest.raises(Trouble, match="bytes"):
            opened.stream(request(), stop=threading.Event())
        opened.close()
        server.shutdown()
        thread.join()
    gone = AnthropicDoor(provider("http://models.invalid", proxy=proxy))
    with pytest.raises(Trouble) as caught:
        gone.stream(request(), stop=threading.Event())

    ((path, authorization),) = Handler.asked
    assert path == "http://models.invalid/v1/messages"
    assert authorization.startswith("Basic ")
    assert "s3cret" not in str(caught.value)
    assert not caught.value.toll.sent


def test_a_certificate_must_count_here(tmp_path: Path) -> None:
    """A provider behind a certificate of one's own is refused, until `ca` names that."""
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    name = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    kind = ["-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"]
    run(["openssl", "req", *kind, *name, "-keyout", str(key), "-out", str(certificate)])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with MessagesServer([text("ok"), text("never")], tls=context) as server:
        strange = AnthropicDoor(provider(server.url))
        with pytest.raises(Trouble, match="`ca` in") as caught:
            strange.stream(request(), stop=threading.Event())
        strange.close()
        known = AnthropicDoor(provider(server.url, ca=certificate))
        reply = known.stream(request(), stop=threading.Event())
        known.close()

    assert (caught.value.cause, caught.value.permanent) == ("denied", True)
    assert reply.text == "ok"


def _threads(*names: str) -> list[str]:
    return [one.name for one in threading.enumerate() if one.name in names]


def _until(done: object) -> None:
    for _ in range(500):
        if done():  # type: ignore[operator]
            return
        threading.Event().wait(0.01)
    gc.collect()
    raise AssertionError("it never happened")
