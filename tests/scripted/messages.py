"""A Messages API that answers from a script: real HTTP, as strict as the real one, all recorded.

A script is a list of steps, one for each turn of a conversation (a tuple of steps at one turn is
for one try after the other), or a function that gives a step for what was asked::

    with MessagesServer([tool("read", {"path": "a.py"}), finish("done", "read it")]) as server:
        ...  # server.url, server.requests

What no step foresees is answered with 500, what the real API would refuse with its error; leaving
the context then raises. Figures are counted from bytes, and every answer is stamped as scripted.
"""

import hashlib
import itertools
import json
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from typing_extensions import override

from tests.scripted.steps import (
    KINDS,
    Fault,
    Step,
    Turn,
    answer,
    broken_json,
    chosen,
    context_exceeded,
    drip,
    duplicate_tool_id,
    error_event,
    finish,
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
from tests.scripted.strict import (
    MODELS,
    MOST_BYTES,
    NEW,
    OLD,
    Given,
    Json,
    RefusedError,
    canonical,
    check,
    parts,
    tokens,
)
from tests.scripted.transport import Exchange, Seen, Server, UnscriptedError

__all__ = [
    "Asked",
    "Fault",
    "MessagesServer",
    "Script",
    "Step",
    "Turn",
    "UnscriptedError",
    "answer",
    "broken_json",
    "context_exceeded",
    "drip",
    "duplicate_tool_id",
    "error_event",
    "finish",
    "hang",
    "html",
    "huge_argument",
    "max_tokens",
    "max_tokens_in_tool",
    "overloaded",
    "pause",
    "refusal",
    "reset",
    "spend_limit",
    "stall",
    "status",
    "text",
    "thinking",
    "tool",
    "truncated_in_tool",
    "turn",
    "unknown_tool",
]

KEY: Final = "sk-ant-scripted-0000"
"""A key for those who need one; a server takes any unless it was told one."""
_CACHED_AT_LEAST: Final = 512
_LOOKS_BACK: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request for a message, as it came in.

    ``number`` counts all of the server, ``attempt`` the earlier requests that were the same.
    """

    seen: Seen = field(repr=False)
    body: Json
    number: int
    attempt: int

    @property
    def headers(self) -> dict[str, str]:
        """Its headers, keys blacked out."""
        return self.seen.headers

    @property
    def size(self) -> int:
        """The bytes of its body."""
        return len(self.seen.raw)

    @property
    def model(self) -> str:
        """The model it was for."""
        return str(self.body["model"])

    @property
    def messages(self) -> list[Json]:
        """Its conversation."""
        return list(self.body["messages"])

    @property
    def turn(self) -> int:
        """How many answers the conversation holds already."""
        return sum(1 for message in self.messages if message["role"] == "assistant")

    @property
    def tools(self) -> tuple[str, ...]:
        """The names of the tools it offers."""
        return tuple(one["name"] for one in self.body.get("tools", ()))

    @property
    def system(self) -> str:
        """The text of its system prompt."""
        return _text_of(self.body.get("system") or [])

    @property
    def first(self) -> str:
        """The text of its first message."""
        return _text_of(self._content(0))

    @property
    def last(self) -> str:
        """The text of its last message, without the results of tools."""
        return _text_of(self._content(-1))

    def _content(self, at: int) -> Any:
        """Give what a person or an assistant said; a system message changes no turn."""
        spoken = [one for one in self.messages if one["role"] != "system"]
        return spoken[at]["content"]

    @property
    def results(self) -> tuple[Json, ...]:
        """The results of tools in its last message."""
        content = self._content(-1)
        if isinstance(content, str):
            return ()
        return tuple(block for block in content if block["type"] == "tool_result")

    @property
    def answers(self) -> tuple[str, ...]:
        """The texts of those results."""
        return tuple(_text_of(one.get("content", "")) for one in self.results)


Script = Sequence[Step | Sequence[Step]] | Callable[[Asked], Step | None]


class MessagesServer(Server):
    """The scripted Messages API; ``requests`` are what it was asked, in order.

    With ``key`` every other key is refused. ``refusals`` True: a test that means to ask what is
    refused; they are kept in ``refused`` either way.
    """

    def __init__(
        self,
        script: Script,
        *,
        key: str = "",
        refusals: bool = False,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__(tls)
        self.requests: list[Asked] = []
        self.refused: list[str] = []
        self._script, self._key, self._refusals = script, key, refusals
        self._numbers = itertools.count()
        self._calls = itertools.count(1)
        self._attempts: dict[str, int] = {}
        self._cached: set[str] = set()
        self._signatures: dict[str, str] = {}
        self._thought: dict[str, tuple[str, ...]] = {}
        self._paused: set[str] = set()

    @override
    def take(self, seen: Seen, headers: dict[str, str], exchange: Exchange) -> None:
        with self.lock:
            self.seen.append(seen)
        path, _, query = seen.path.partition("?")
        match seen.method, path:
            case "HEAD", "/":
                exchange.send(200, b"")
            case "GET", "/v1/models":
                models = [{"type": "model", "id": name, "display_name": name} for name in MODELS]
                exchange.send_json(200, {"data": models, "has_more": False})
            case "POST", "/v1/messages" | "/v1/messages/count_tokens":
                try:
                    body = self._checked(
                        seen, headers, query, counting=path.endswith("s/count_tokens")
                    )
                except RefusedError as refused:
                    self._refuse(exchange, refused)
                    return
                if path.endswith("count_tokens"):
                    exchange.send_json(200, {"input_tokens": tokens(len(seen.raw))})
                else:
                    self._message(self._asked(seen, body), exchange)
            case _:
                self.fault(f"unscripted: {seen.method} {path}")
                exchange.send_json(404, _error("not_found_error", "Not found"))

    def _checked(self, seen: Seen, headers: dict[str, str], query: str, *, counting: bool) -> Json:
        key = headers.get("x-api-key") or headers.get("authorization", "").removeprefix("Bearer ")
        if not key or (self._key and key != self._key):
            raise RefusedError("invalid x-api-key", status=401, kind="authentication_error")
        version = headers.get("anthropic-version", "")
        if version not in {OLD, NEW}:
            raise RefusedError(
                f"anthropic-version: '{version}' is not a valid version",
                status=400,
                kind="invalid_request_error",
            )
        if len(seen.raw) > MOST_BYTES:
            raise RefusedError("Request exceeds the maximum size", status=413, kind=KINDS[413])
        try:
            body = seen.json()
        except ValueError:
            body = None
        if not isinstance(body, dict):
            raise RefusedError(
                "The request body is not valid JSON", status=400, kind="invalid_request_error"
            )
        with self.lock:
            given = Given(
                signatures=dict(self._signatures),
                thought=dict(self._thought),
                paused=set(self._paused),
            )
        check(
            body,
            version=version,
            beta="beta=true" in query or "anthropic-beta" in headers,
            given=given,
            size=len(seen.raw),
            counting=counting,
        )
        return body

    def _refuse(self, exchange: Exchange, refused: RefusedError) -> None:
        with self.lock:
            self.refused.append(f"{refused.status} {refused}")
        if not self._refusals:
            self.fault(f"refused: {refused.status} {refused}")
        exchange.send_json(refused.status, _error(refused.kind, str(refused)), **_ids("refused"))

    def _asked(self, seen: Seen, body: Json) -> Asked:
        same = canonical([body["model"], body.get("system"), body["messages"]])
        with self.lock:
            attempt = self._attempts.get(same, 0)
            self._attempts[same] = attempt + 1
            asked = Asked(seen=seen, body=body, number=len(self.requests), attempt=attempt)
            self.requests.append(asked)
        return asked

    def _message(self, asked: Asked, exchange: Exchange) -> None:
        if asked.body["max_tokens"] == 0:  # only warms the cache
            self._answer(Turn(blocks=(), stop="max_tokens"), asked, exchange)
            return
        try:
            step = chosen(self._script, asked)
        except Exception as error:  # noqa: BLE001 - the script is the test's own code
            self._unscripted(asked, exchange, f"the script failed: {error!r}")
            return
        if step is None:
            self._unscripted(asked, exchange, "no step is left for it")
        elif why := _impossible(step, asked):
            self._unscripted(asked, exchange, why)
        else:
            self._answer(step, asked, exchange)

    def _unscripted(self, asked: Asked, exchange: Exchange, why: str) -> None:
        last = asked.last or " | ".join(asked.answers)
        self.fault(
            f"unscripted: request {asked.number} (turn {asked.turn}, try {asked.attempt}) of "
            f"{asked.model}: {why}; it ends with {last[-300:]!r}"
        )
        exchange.send_json(500, _error("api_error", f"unscripted: {why}"), **_ids("unscripted"))

    def _answer(self, step: Step, asked: Asked, exchange: Exchange) -> None:
        ids = _ids(f"{asked.number:04}")
        if isinstance(step, Fault):
            match step.kind:
                case "status":
                    exchange.send_json(
                        step.code, {"type": "error", "error": step.body}, **step.headers, **ids
                    )
                    return
                case "hang":
                    exchange.wait()
                    return
                case "html":
                    page = b"<!doctype html><title>Sign in</title><p>Welcome to the hotel.</p>"
                    exchange.send(200, page, kind="text/html", **ids)
                    return
                case "reset" if not step.blocks:
                    exchange.reset()
                case "broken_json" if not asked.body.get("stream"):
                    exchange.send(200, b'{"type": "message", "content": [', **ids)
                    return
                case _:
                    pass
        blocks = self._given(step, asked)
        usage = self._usage(asked, blocks)
        head = {
            "id": f"msg_scripted_{asked.number:04}",
            "type": "message",
            "role": "assistant",
            "model": asked.model,
        }
        if asked.body.get("stream"):
            exchange.begin_events(**ids)
            _stream(step, blocks, head, usage, exchange)
            return
        if isinstance(step, Fault):  # a stream would be cut; a whole answer never comes
            exchange.reset()
            return
        whole = {**head, "content": blocks, "stop_reason": step.stop, "stop_sequence": None}
        exchange.send_json(200, {**whole, "usage": usage}, **ids)

    def _given(self, step: Step, asked: Asked) -> list[Json]:
        """Give the blocks with ids and signatures, and remember them."""
        blocks: list[Json] = []
        thought: list[str] = []
        same = ""
        with self.lock:
            for block in step.blocks:
                one = {key: value for key, value in block.items() if not key.startswith("_")}
                if one["type"] == "tool_use":
                    one["id"] = f"toolu_scripted_{next(self._calls):06}"
                    if block.get("_same"):
                        one["id"] = same = same or one["id"]
                    self._thought[one["id"]] = tuple(thought)
                if one["type"] == "thinking":
                    mark = f"{asked.model}/{asked.number}/{len(blocks)}/{one['thinking']}"
                    one["signature"] = hashlib.sha256(mark.encode()).hexdigest()
                    thought.append(one["signature"])
                    self._signatures[one["signature"]] = asked.model
                blocks.append(one)
            if isinstance(step, Turn) and step.stop == "pause_turn":
                self._paused.add(canonical(blocks))
        return blocks

    def _usage(self, asked: Asked, blocks: list[Json]) -> Json:
        """Count tokens from bytes; what was marked before and comes again was cached."""
        whole = tokens(asked.size)
        mark, prefixes = asked.model, []
        size, marked, hour = 0, -1, False
        every = list(parts(asked.body))
        for at, part in enumerate(every):
            plain = canonical(part)
            size += len(plain)
            mark = hashlib.sha256(f"{mark}{plain}".encode()).hexdigest()
            prefixes.append((mark, min(size // 4, whole)))
            own = part.get("cache_control")
            if at == len(every) - 1:
                own = own or asked.body.get("cache_control")
            if own:
                marked, hour = at, own.get("ttl") == "1h"
        read = written = 0
        with self.lock:
            if marked >= 0 and prefixes[marked][1] >= _CACHED_AT_LEAST:
                back = range(marked, max(-1, marked - _LOOKS_BACK), -1)
                found = next((at for at in back if prefixes[at][0] in self._cached), None)
                read = prefixes[found][1] if found is not None else 0
                written = prefixes[marked][1] - read
                self._cached.update(
                    prefixes[at][0]
                    for at in range(marked + 1)
                    if at == marked or every[at].get("cache_control")
                )
        return {
            "input_tokens": whole - read - written,
            "cache_creation_input_tokens": written,
            "cache_read_input_tokens": read,
            "cache_creation": {
                "ephemeral_5m_input_tokens": 0 if hour else written,
                "ephemeral_1h_input_tokens": written if hour else 0,
            },
            "output_tokens": _output_tokens(blocks),
            "service_tier": "standard",
        }


def _impossible(step: Step, asked: Asked) -> str:
    """Say why no model could answer this; empty when one could."""
    for block in step.blocks:
        if block["type"] != "tool_use" or block.get("_unknown"):
            continue
        if block["name"] not in asked.tools:
            return f"the script calls {block['name']}, but the tools are {', '.join(asked.tools)}"
    if any(block.get("_huge") for block in step.blocks) or isinstance(step, Fault):
        return ""
    needed = _output_tokens(step.blocks)
    if needed > asked.body["max_tokens"] > 0:
        return f"the answer takes {needed} tokens of {asked.body['max_tokens']}"
    return ""


def _output_tokens(blocks: Sequence[Json]) -> int:
    return tokens(sum(len(canonical(block)) for block in blocks))


def _stream(step: Step, blocks: list[Json], head: Json, usage: Json, exchange: Exchange) -> None:
    start = {**head, "content": [], "stop_reason": None, "stop_sequence": None}
    exchange.event(
        "message_start",
        {"type": "message_start", "message": {**start, "usage": {**usage, "output_tokens": 1}}},
    )
    exchange.event("ping", {"type": "ping"})
    pace = step.pace if isinstance(step, Turn) else 0.0
    kind = step.kind if isinstance(step, Fault) else ""
    for at, block in enumerate(blocks):
        last = at == len(blocks) - 1
        _block(exchange, at, block, pace=pace, half=last and kind in {"cut", "half", "reset"})
    match kind:
        case "reset":
            exchange.reset()
        case "cut":
            exchange.end_events()
        case "stall":
            exchange.flush()
            exchange.wait()
        case "error_event":
            assert isinstance(step, Fault)
            exchange.event("error", {"type": "error", "error": step.body})
            exchange.end_events()
        case "broken_json":
            exchange.write(b'event: content_block_start\ndata: {"type": "content_blo\n\n')
            exchange.end_events()
        case _:
            stop = "max_tokens" if kind == "half" else step.stop if isinstance(step, Turn) else ""
            delta = {"stop_reason": stop, "stop_sequence": None}
            done = {"type": "message_delta", "delta": delta, "usage": usage}
            exchange.event("message_delta", done)
            exchange.event("message_stop", {"type": "message_stop"})
            exchange.end_events()


def _block(exchange: Exchange, at: int, block: Json, *, pace: float, half: bool) -> None:
    match block["type"]:
        case "tool_use":
            empty, key, whole = {**block, "input": {}}, "partial_json", json.dumps(block["input"])
            delta = "input_json_delta"
        case "thinking":
            empty, key, whole = (
                {**block, "thinking": "", "signature": ""},
                "thinking",
                block["thinking"],
            )
            delta = "thinking_delta"
        case _:
            empty, key, whole = {**block, "text": ""}, "text", block["text"]
            delta = "text_delta"
    started = {"type": "content_block_start", "index": at, "content_block": empty}
    exchange.event("content_block_start", started)
    if half:
        whole = whole[: max(1, len(whole) * 2 // 3)]
    length = max(24, len(whole) // 64)
    for begin in range(0, len(whole), length):
        _delta(exchange, at, {"type": delta, key: whole[begin : begin + length]})
        if pace:
            exchange.flush()
            exchange.wait(pace)
    if block["type"] == "thinking":
        _delta(exchange, at, {"type": "signature_delta", "signature": block["signature"]})
    exchange.event("content_block_stop", {"type": "content_block_stop", "index": at})


def _delta(exchange: Exchange, at: int, delta: Json) -> None:
    exchange.event(
        "content_block_delta", {"type": "content_block_delta", "index": at, "delta": delta}
    )


def _error(kind: str, message: str) -> Json:
    return {"type": "error", "error": {"type": kind, "message": message}}


def _ids(name: str) -> dict[str, str]:
    return {"request_id": f"req_scripted_{name}"}


def _text_of(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(block["text"] for block in content if block["type"] == "text")
