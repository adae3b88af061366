"""A Responses API (the dialect of Codex) that answers from a script, in the spirit of `messages`.

The same steps and the same scripts: a turn is one answer of the model, however many calls it
holds. Only POST /v1/responses and GET /v1/models are there; what no step foresees fails the test.
"""

import itertools
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn

from typing_extensions import override

from tests.scripted.steps import Fault, Step, Turn, chosen
from tests.scripted.strict import Json, RefusedError, canonical, tokens
from tests.scripted.transport import Exchange, Seen, Server, UnscriptedError

__all__ = ["Asked", "ResponsesServer", "UnscriptedError"]

MODELS: Final = (
    "gpt-5.6-sol",
    "gpt-5.6-terra",
    "gpt-5.6-luna",
    "gpt-5.5",
    "gpt-5.4",
    "gpt-5.3-codex",
)
_KEYS: Final = frozenset(
    {
        "background",
        "client_metadata",
        "include",
        "input",
        "instructions",
        "max_output_tokens",
        "max_tool_calls",
        "metadata",
        "model",
        "parallel_tool_calls",
        "previous_response_id",
        "prompt",
        "prompt_cache_key",
        "prompt_cache_retention",
        "reasoning",
        "safety_identifier",
        "service_tier",
        "store",
        "stream",
        "stream_options",
        "text",
        "tool_choice",
        "tools",
        "truncation",
        "user",
    }
)
_SAMPLING: Final = frozenset({"temperature", "top_p", "presence_penalty", "frequency_penalty"})
_ROLES: Final = frozenset({"user", "assistant", "developer", "system"})
_EFFORTS: Final = frozenset({"none", "minimal", "low", "medium", "high", "xhigh"})
_WORDS: Final = {"function_call": "arguments", "custom_tool_call": "input"}
_CALLS: Final = {kind: f"{kind}_output" for kind in _WORDS}
_NAME: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request for a response; ``attempt`` counts the earlier ones that were the same."""

    seen: Seen = field(repr=False)
    body: Json
    number: int
    attempt: int
    turn: int
    """How many answers of the model its input holds."""

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
    def items(self) -> list[Json]:
        """Its conversation."""
        given = self.body["input"]
        whole = [{"type": "message", "role": "user", "content": given}]
        return whole if isinstance(given, str) else list(given)

    @property
    def tools(self) -> tuple[str, ...]:
        """The names of the functions it offers."""
        return tuple(one["name"] for one in _offered(self.body))

    @property
    def answers(self) -> tuple[str, ...]:
        """What all calls so far came to."""
        return tuple(
            _text_of(one["output"]) for one in self.items if one["type"] in _CALLS.values()
        )

    @property
    def said(self) -> tuple[str, ...]:
        """The texts of the user, in order."""
        return tuple(
            _text_of(one["content"])
            for one in self.items
            if one["type"] == "message" and one["role"] == "user"
        )


class ResponsesServer(Server):
    """The scripted Responses API; ``requests`` are what it was asked, in order."""

    def __init__(
        self,
        script: Sequence[Step | Sequence[Step]] | Callable[[Asked], Step | None],
        *,
        key: str = "",
        refusals: bool = False,
    ) -> None:
        super().__init__()
        self.requests: list[Asked] = []
        self.refused: list[str] = []
        self._script, self._key, self._refusals = script, key, refusals
        self._ids = itertools.count(1)
        self._attempts: dict[str, int] = {}
        self._calls: dict[str, int] = {}
        self._texts: dict[str, int] = {}
        self._thoughts: set[str] = set()

    @override
    def take(self, seen: Seen, headers: dict[str, str], exchange: Exchange) -> None:
        with self.lock:
            self.seen.append(seen)
        match seen.method, seen.path.partition("?")[0]:
            case "HEAD", "/":
                exchange.send(200, b"")
            case "GET", "/v1/models":
                data = [{"id": name, "object": "model"} for name in MODELS]
                exchange.send_json(200, {"object": "list", "data": data})
            case "POST", "/v1/responses":
                try:
                    body = self._checked(seen, headers)
                except RefusedError as refused:
                    self._refuse(exchange, refused)
                    return
                self._respond(self._asked(seen, body), exchange)
            case method, path:
                self.fault(f"unscripted: {method} {path}")
                exchange.send_json(404, _error("invalid_request_error", "Not found"))

    def _checked(self, seen: Seen, headers: dict[str, str]) -> Json:
        key = headers.get("authorization", "").removeprefix("Bearer ")
        if not key or (self._key and key != self._key):
            _refuse("Incorrect API key provided", status=401, code="invalid_api_key")
        try:
            body = seen.json()
        except ValueError:
            body = None
        if not isinstance(body, dict):
            _refuse("We could not parse the JSON body of your request.")
        with self.lock:
            calls, thoughts = set(self._calls), set(self._thoughts)
        _check(body, calls=calls, thoughts=thoughts)
        return body

    def _refuse(self, exchange: Exchange, refused: RefusedError) -> None:
        with self.lock:
            self.refused.append(f"{refused.status} {refused}")
        if not self._refusals:
            self.fault(f"refused: {refused.status} {refused}")
        error = _error("invalid_request_error", str(refused), code=refused.kind)
        exchange.send_json(refused.status, error)

    def _asked(self, seen: Seen, body: Json) -> Asked:
        plain = [
            {key: value for key, value in item.items() if key != "id"}
            for item in (body["input"] if isinstance(body["input"], list) else [])
        ]
        same = canonical([body["model"], body.get("instructions"), plain or body["input"]])
        with self.lock:
            attempt = self._attempts.get(same, 0)
            self._attempts[same] = attempt + 1
            asked = Asked(
                seen=seen,
                body=body,
                number=len(self.requests),
                attempt=attempt,
                turn=len(self._answers(plain)),
            )
            self.requests.append(asked)
        return asked

    def _answers(self, items: list[Json]) -> set[int]:
        """Give the numbers of the answers that these items came from."""
        found: set[int | None] = set()
        for item in items:
            if item["type"] in _CALLS:
                found.add(self._calls.get(item["call_id"]))
            elif item["type"] == "message" and item["role"] == "assistant":
                found.add(self._texts.get(_text_of(item["content"])))
        return {one for one in found if one is not None}

    def _respond(self, asked: Asked, exchange: Exchange) -> None:
        try:
            step = chosen(self._script, asked)
        except Exception as error:  # noqa: BLE001 - the script is the test's own code
            self._unscripted(asked, exchange, f"the script failed: {error!r}")
            return
        if step is None:
            self._unscripted(asked, exchange, "no step is left for it")
            return
        for block in step.blocks:
            name = block.get("name", "")
            if name and not block.get("_unknown") and name not in asked.tools:
                self._unscripted(asked, exchange, f"it offers no {name}: {asked.tools}")
                return
        self._answer(step, asked, exchange)

    def _unscripted(self, asked: Asked, exchange: Exchange, why: str) -> None:
        last = (asked.answers or asked.said)[-1:]
        self.fault(
            f"unscripted: request {asked.number} (turn {asked.turn}, try {asked.attempt}) of "
            f"{asked.model}: {why}; it ends with {last!r}"[:2000]
        )
        exchange.send_json(500, _error("server_error", f"unscripted: {why}"))

    def _answer(self, step: Step, asked: Asked, exchange: Exchange) -> None:
        ids = {"x_request_id": f"req_scripted_{asked.number:04}"}
        kind = step.kind if isinstance(step, Fault) else ""
        if isinstance(step, Fault):
            match kind:
                case "status":
                    error = _error(step.body["type"], step.body["message"], code=_code(step))
                    exchange.send_json(step.code, error, **step.headers, **ids)
                    return
                case "hang":
                    exchange.wait()
                    return
                case "html":
                    page = b"<!doctype html><title>Sign in</title>"
                    exchange.send(200, page, kind="text/html", **ids)
                    return
                case "reset" if not step.blocks:
                    exchange.reset()
                case _:
                    pass
        items = self._items(step, asked)
        went_in = tokens(asked.size)
        came_out = tokens(sum(len(canonical(item)) for item in items))
        usage: Json = {
            "input_tokens": went_in,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": came_out,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": went_in + came_out,
        }
        whole: Json = {
            "id": f"resp_scripted_{asked.number:04}",
            "object": "response",
            "created_at": 0,
            "status": "completed",
            "model": asked.model,
            "output": items,
            "error": None,
            "incomplete_details": None,
            "usage": usage,
        }
        if asked.body.get("stream"):
            exchange.begin_events(**ids)
            _stream(step, whole, exchange)
        elif isinstance(step, Fault):
            exchange.reset()
        else:
            exchange.send_json(200, whole, **ids)

    def _items(self, step: Step, asked: Asked) -> list[Json]:
        """Give the blocks of a step as items, with ids, and remember them."""
        items: list[Json] = []
        with self.lock:
            for block in step.blocks:
                number = next(self._ids)
                match block["type"]:
                    case "tool_use":
                        call = f"call_scripted_{number:06}"
                        self._calls[call] = asked.number
                        items.append(_call(block, asked.body, number, call))
                    case "thinking":
                        sealed = f"scripted-{asked.model}-{number}"
                        self._thoughts.add(sealed)
                        items.append(
                            {
                                "type": "reasoning",
                                "id": f"rs_scripted_{number:06}",
                                "summary": [{"type": "summary_text", "text": block["thinking"]}],
                                "encrypted_content": sealed,
                            }
                        )
                    case _:
                        self._texts[block["text"]] = asked.number
                        part = {"type": "output_text", "text": block["text"], "annotations": []}
                        items.append(
                            {
                                "type": "message",
                                "id": f"msg_scripted_{number:06}",
                                "role": "assistant",
                                "status": "completed",
                                "content": [part],
                            }
                        )
        return items


def _check(body: Json, *, calls: set[str], thoughts: set[str]) -> None:
    for key in ("model", "input"):
        if key not in body:
            _refuse(f"Missing required parameter: '{key}'.", code="missing_required_parameter")
    for key in sorted(body.keys() & _SAMPLING):
        _refuse(
            f"Unsupported parameter: '{key}' is not supported with this model.",
            code="unsupported_parameter",
        )
    for key in sorted(body.keys() - _KEYS):
        _refuse(f"Unknown parameter: '{key}'.", code="unknown_parameter")
    if body["model"] not in MODELS:
        _refuse(
            f"The model '{body['model']}' does not exist or you do not have access to it.",
            status=404,
            code="model_not_found",
        )
    effort = (body.get("reasoning") or {}).get("effort")
    if effort is not None and effort not in _EFFORTS:
        _refuse(f"Invalid value: '{effort}'.", code="invalid_value")
    names = [one["name"] for one in _offered(body)]
    for name in names:
        if not _NAME.match(name) or names.count(name) > 1:
            _refuse(
                f"Invalid 'tools': '{name}' is no name, or there are two.", code="invalid_value"
            )
    _format((body.get("text") or {}).get("format"))
    _input(body["input"], calls=calls, thoughts=thoughts)


def _format(form: Json | None) -> None:
    if form is None or form.get("type") == "text":
        return
    if form.get("type") != "json_schema" or not {"name", "schema"} <= form.keys():
        _refuse("Missing required parameter: 'text.format.name'.")
    if not form.get("strict"):
        return
    for schema in _objects(form["schema"]):
        if schema.get("additionalProperties") is not False:
            _refuse(
                "Invalid schema for response_format: 'additionalProperties' is required to be "
                "supplied and to be false.",
                code="invalid_json_schema",
            )
        if set(schema.get("required", ())) != set(schema.get("properties", {})):
            _refuse(
                "Invalid schema for response_format: 'required' is required to be supplied and to "
                "be an array including every key in properties.",
                code="invalid_json_schema",
            )


def _objects(schema: object) -> Iterator[Json]:
    if not isinstance(schema, dict):
        return
    if schema.get("type") == "object":
        yield schema
    for value in (*schema.get("properties", {}).values(), schema.get("items")):
        yield from _objects(value)


def _input(given: object, *, calls: set[str], thoughts: set[str]) -> None:
    if isinstance(given, str):
        return
    if not isinstance(given, list) or not given:
        _refuse("Invalid type for 'input': expected a string or an array.", code="invalid_type")
    open_calls: list[str] = []
    answered: set[str] = set()
    for at, item in enumerate(given):
        where = f"input[{at}]"
        match item.get("type", "message"):
            case "message":
                if item.get("role") not in _ROLES:
                    _refuse(f"Invalid value: '{item.get('role')}' for '{where}.role'.")
                _parts(item.get("content"), item["role"], where)
            case "additional_tools":
                if item.get("role") != "developer" or not isinstance(item.get("tools"), list):
                    _refuse(f"Invalid value for '{where}'.", code="invalid_value")
            case "function_call" | "custom_tool_call" as kind:
                key = _WORDS[kind]
                if not isinstance(item.get(key), str):
                    _refuse(f"Invalid type for '{where}.{key}': expected a string.")
                if item["call_id"] not in calls:
                    _refuse(f"'{where}': call {item['call_id']} was never made.")
                open_calls.append(item["call_id"])
            case "function_call_output" | "custom_tool_call_output":
                call = item.get("call_id")
                if call not in open_calls:
                    _refuse(f"No tool call found for function call output with call_id {call}.")
                if call in answered:
                    _refuse(f"'{where}': there are two outputs for call_id {call}.")
                answered.add(call)
            case "reasoning":
                sealed = item.get("encrypted_content")
                if sealed is not None and sealed not in thoughts:
                    _refuse(
                        f"The encrypted content for item {item.get('id')} could not be verified."
                    )
            case kind:
                _refuse(f"Invalid value: '{kind}' for '{where}.type'.", code="invalid_value")
    for call in open_calls:
        if call not in answered:
            _refuse(f"No tool output found for function call {call}.")


def _parts(content: object, role: str, where: str) -> None:
    if isinstance(content, str):
        return
    if not isinstance(content, list):
        _refuse(f"Invalid type for '{where}.content'.", code="invalid_type")
    wanted = {"output_text", "refusal"} if role == "assistant" else {"input_text", "input_image"}
    for part in content:
        if part.get("type") not in wanted:
            _refuse(f"Invalid value: '{part.get('type')}' in '{where}.content'.")


def _refuse(message: str, *, status: int = 400, code: str = "") -> NoReturn:
    raise RefusedError(message, status=status, kind=code)


def _offered(body: Json) -> Iterator[Json]:
    """Give the tools of a request, also those that stand in its conversation."""
    yield from _functions(body.get("tools", ()))
    items = body.get("input")
    for item in items if isinstance(items, list) else ():
        if item.get("type") == "additional_tools":
            yield from _functions(item["tools"])


def _call(block: Json, body: Json, number: int, call: str) -> Json:
    """Give a call as the tool's kind wants it: with JSON, or with free text under ``input``."""
    name = block["name"]
    custom = any((one["name"], one["type"]) == (name, "custom") for one in _offered(body))
    kind = "custom_tool_call" if custom else "function_call"
    return {
        "type": kind,
        "id": f"fc_scripted_{number:06}",
        "call_id": call,
        "name": name,
        _WORDS[kind]: block["input"]["input"] if custom else json.dumps(block["input"]),
        "status": "completed",
    }


def _functions(tools: Sequence[Json]) -> Iterator[Json]:
    for one in tools:
        if one.get("type") == "namespace":
            yield from _functions(one["tools"])
        elif "name" in one:
            yield one


def _stream(step: Step, whole: Json, exchange: Exchange) -> None:
    count = itertools.count()

    def event(kind: str, **more: object) -> None:
        exchange.event(kind, {"type": kind, "sequence_number": next(count), **more})

    kind = step.kind if isinstance(step, Fault) else ""
    begun = {**whole, "status": "in_progress", "output": [], "usage": None}
    event("response.created", response=begun)
    event("response.in_progress", response=begun)
    items: list[Json] = whole["output"]
    for at, item in enumerate(items):
        half = at == len(items) - 1 and kind in {"cut", "half", "reset"}
        _item(event, at, item, half=half)
        if isinstance(step, Turn) and step.pace:
            exchange.flush()
            exchange.wait(step.pace)
    match kind:
        case "reset":
            exchange.reset()
        case "stall":
            exchange.flush()
            exchange.wait()
        case "broken_json":
            exchange.write(b'event: response.output_item.added\ndata: {"type": "respo\n\n')
        case "error_event":
            assert isinstance(step, Fault)
            error = {"code": _code(step) or "server_error", "message": step.body["message"]}
            event("response.failed", response={**whole, "status": "failed", "error": error})
        case "half":
            why = {"reason": "max_output_tokens"}
            cut = {**whole, "status": "incomplete", "incomplete_details": why}
            event("response.incomplete", response=cut)
        case "cut":
            pass
        case _:
            event("response.completed", response=whole)
    exchange.end_events()


def _item(event: Callable[..., None], at: int, item: Json, *, half: bool) -> None:
    key = {**_WORDS, "message": "content"}.get(item["type"])
    empty = {"arguments": "", "input": "", "content": []}
    started = {**item, "status": "in_progress"} if key else dict(item)
    if key:
        started[key] = empty[key]
    event("response.output_item.added", output_index=at, item=started)
    where = {"item_id": item["id"], "output_index": at}
    if (words := _WORDS.get(item["type"])) is not None:
        for piece in _pieces(item[words], half=half):
            event(f"response.{item['type']}_{words}.delta", **where, delta=piece)
        if half:
            return
        event(f"response.{item['type']}_{words}.done", **where, **{words: item[words]})
    elif item["type"] == "message":
        part = item["content"][0]
        where["content_index"] = 0
        event("response.content_part.added", **where, part={**part, "text": ""})
        for piece in _pieces(part["text"], half=half):
            event("response.output_text.delta", **where, delta=piece)
        if half:
            return
        event("response.output_text.done", **where, text=part["text"])
        event("response.content_part.done", **where, part=part)
    event("response.output_item.done", output_index=at, item=item)


def _pieces(whole: str, *, half: bool) -> Iterator[str]:
    whole = whole[: len(whole) * 2 // 3] if half else whole
    length = max(24, len(whole) // 64)
    for begin in range(0, len(whole), length):
        yield whole[begin : begin + length]


def _code(step: Fault) -> str:
    """Give the code of an error; a spend limit is what this API calls a quota."""
    code = str(step.body.get("details", {}).get("error_code", ""))
    return "insufficient_quota" if "spend_limit" in code else code


def _error(kind: str, message: str, *, code: str = "") -> Json:
    return {"error": {"message": message, "type": kind, "param": None, "code": code or None}}


def _text_of(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(part.get("text", "") for part in content)
