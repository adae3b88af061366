"""The two dialects in which an agent's own client asks a model, as far as a proxy must know them.

Pure: what a request asks for and whether it may pass, what a reply says it took, how a refusal is
worded so that the client understands it and does not ask again.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from stations.models.values import Usage

Dialect = Literal["messages", "responses"]
"""``messages``: Anthropic's Messages API. ``responses``: OpenAI's Responses API."""
Json = dict[str, Any]

OUTPUT_TOKENS: Final = 32_000
"""How long a reply may become where a request does not say it."""
_MOST_OUTPUT: Final = 1_000_000
_MOST_TOOLS: Final = 500
_NAME: Final = 200
_EVENT_BYTES: Final = 32 * 1024 * 1024
_BYTES_PER_TOKEN: Final = 3
# A tool that the provider itself carries out has a network of its own, and a price of its own.
_OWN_TOOLS: Final[Mapping[Dialect, tuple[str, ...]]] = {
    "messages": ("custom", "bash_", "text_editor_", "memory_", "tool_search_tool_"),
    "responses": ("function", "custom", "local_shell", "apply_patch", "tool_search"),
}
_ELSEWHERE: Final[Mapping[Dialect, tuple[str, ...]]] = {
    "messages": ("mcp_servers", "container"),
    "responses": ("background", "conversation", "previous_response_id", "prompt"),
}
_SAID_IN: Final[Mapping[Dialect, str]] = {"messages": "messages", "responses": "input"}
_USUAL: Final[Mapping[str, frozenset[object]]] = {
    "speed": frozenset({"standard"}),
    "service_tier": frozenset({"auto", "default", "standard_only", "flex"}),
    "inference_geo": frozenset({"", "global"}),
}
_ENDS: Final = frozenset(
    {"message_stop", "response.completed", "response.incomplete", "response.failed"}
)
_KINDS: Final[Mapping[int, str]] = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    422: "invalid_request_error",
}


class Unfit(Exception):  # noqa: N818 - reads as what a request is
    """A request that does not pass; the message says why and what would."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a request asks for: the model, the longest reply, and the body to send."""

    model: str
    tokens_out: int
    body: bytes


def wanted(dialect: Dialect, body: bytes) -> Wanted:
    """Read a request; what is sent is what was read, however the given bytes put it.

    Raises ``Unfit``.
    """
    value = _read(dialect, body)
    model = value.get("model")
    if not isinstance(model, str) or not model or len(model) > _NAME:
        raise Unfit("model: name one")
    key = "max_tokens" if dialect == "messages" else "max_output_tokens"
    tokens = value.get(key)
    if tokens is None and dialect == "responses":
        # The provider would write until its own limit, which no budget is asked for.
        value[key] = tokens = OUTPUT_TOKENS
    if isinstance(tokens, bool) or not isinstance(tokens, int) or not 0 <= tokens <= _MOST_OUTPUT:
        raise Unfit(f"{key}: give a number of tokens")
    return Wanted(model=model, tokens_out=tokens, body=_anew(value))


def countable(body: bytes) -> bytes:
    """Give a question how many tokens a request has, as it may be sent. Raises ``Unfit``."""
    return _anew(_read("messages", body))


def _read(dialect: Dialect, body: bytes) -> Json:
    try:
        value = json.loads(body)
        if not isinstance(value, dict):
            raise Unfit("the body is no JSON object")
        _keeps_in(dialect, value)
    except (ValueError, RecursionError) as error:
        raise Unfit("the body is no JSON, or nested too deep") from error
    return value


def _anew(value: Json) -> bytes:
    """Write a request anew: of a key that stands twice, others may have read the other value."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except (ValueError, RecursionError) as error:
        raise Unfit("the body holds a number that JSON has not, or is nested too deep") from error
    return text.encode("utf-8", "replace")


def _keeps_in(dialect: Dialect, value: Json) -> None:
    """Refuse what would leave by another way than this one, or cost other than by tokens."""
    for key in _ELSEWHERE[dialect]:
        if value.get(key):
            raise Unfit(f"{key}: not from a sandbox")
    for key, usual in _USUAL.items():
        given = value.get(key)
        if given is not None and given not in usual:
            raise Unfit(f"{key}: only the usual one is paid for")
    said = value.get(_SAID_IN[dialect])
    _run_here(dialect, value.get("tools"))
    for item in said if isinstance(said, list) else ():
        if isinstance(item, dict) and "tools" in item:  # a conversation may bring more of them
            _run_here(dialect, item["tools"])
    if any(_far(part) for part in _parts(said)):
        raise Unfit("a picture or file by its address: send its bytes, no address is fetched")


def _run_here(dialect: Dialect, tools: object) -> None:
    """Refuse tools that would not run in the sandbox; those in a named group count as well."""
    if not isinstance(tools, list | None) or len(tools or ()) > _MOST_TOOLS:
        raise Unfit("tools: give a list")
    for tool in tools or ():
        kind = (tool.get("type") or "custom") if isinstance(tool, dict) else None
        if kind == "namespace" and dialect == "responses":
            _run_here(dialect, tool.get("tools"))
            continue
        if not (isinstance(kind, str) and kind.startswith(_OWN_TOOLS[dialect])):
            raise Unfit(f"tools: {str(kind)[:60]}: only tools that run in the sandbox itself")


def _parts(content: object) -> Iterator[Json]:
    """Give the parts of a conversation, also those in a message, a result or a document.

    What a tool is to be called with is no part: nobody fetches anything for it.
    """
    for part in content if isinstance(content, list) else []:
        if isinstance(part, dict):
            yield part
            inner = (part.get("content"), part.get("output"), part.get("source"))
            for one in inner:
                yield from _parts(one.get("content") if isinstance(one, dict) else one)


def _far(part: Json) -> bool:
    """Say whether the provider would have to fetch a part from an address that it names."""
    source = part.get("source")
    if isinstance(source, dict) and (source.get("type") == "url" or "url" in source):
        return True
    named = [part.get("image_url"), part.get("file_url")]
    return any(one is not None and not str(one).startswith("data:") for one in named)


class Reader:
    """Reads in passing what a reply says of itself; believes none of it more than it must."""

    def __init__(self, dialect: Dialect) -> None:
        self.usage = Usage()
        self.ended = False
        """Whether the reply said that it is complete."""
        self.fault = ""
        """The kind of error that the reply reported in its middle."""
        self.model = ""
        self._dialect = dialect
        self._rest = bytearray()
        self._written = 0

    def stream(self, data: bytes) -> None:
        """Read a piece of a stream of events."""
        self._rest += data
        *lines, rest = self._rest.split(b"\n")
        self._rest = bytearray() if len(rest) > _EVENT_BYTES else bytearray(rest)
        for line in lines:
            if line.startswith(b"data:") and (event := _object(bytes(line[5:]))):
                self._event(event)

    def whole(self, data: bytes) -> None:
        """Read a reply that came in one piece."""
        value = _object(data)
        self.ended = bool(value)
        self.model = str(value.get("model", ""))[:_NAME]
        self._took(value.get("usage"))

    def counted(self, tokens_in: int) -> Usage:
        """Give what a reply that broke off surely took, as far as it was seen."""
        if not self.usage.requests:
            return Usage(input=tokens_in, output=self._written // _BYTES_PER_TOKEN, requests=1)
        seen = max(self.usage.output, self._written // _BYTES_PER_TOKEN)
        return Usage(
            input=self.usage.input,
            output=seen,
            cache_read=self.usage.cache_read,
            cache_write_5m=self.usage.cache_write_5m,
            cache_write_1h=self.usage.cache_write_1h,
            requests=1,
        )

    def _event(self, event: Json) -> None:
        kind = event.get("type")
        if kind in _ENDS:
            self.ended = True
        delta = event.get("delta")
        if isinstance(delta, str):
            self._written += len(delta)
        elif isinstance(delta, dict):
            self._written += sum(
                len(delta[key])
                for key in ("text", "thinking", "partial_json")
                if isinstance(delta.get(key), str)
            )
        if kind == "error":
            error = event.get("error")
            self.fault = str(error.get("type") if isinstance(error, dict) else kind)[:_NAME]
        holder = event.get("message") if kind == "message_start" else event.get("response", event)
        if isinstance(holder, dict):
            self.model = self.model or str(holder.get("model", ""))[:_NAME]
            self._took(holder.get("usage"))

    def _took(self, usage: object) -> None:
        if not isinstance(usage, dict):
            return
        if self._dialect == "responses":
            given = usage.get("input_tokens_details")
            details = given if isinstance(given, dict) else {}
            cached = _count(details.get("cached_tokens"))
            written = _count(details.get("cache_write_tokens"))
            self.usage = Usage(
                input=max(0, _count(usage.get("input_tokens")) - cached - written),
                output=_count(usage.get("output_tokens")),
                cache_read=cached,
                cache_write_5m=written,
                requests=1,
            )
            return
        # A later event repeats the figures that it knows better, and leaves out the others.
        before = self.usage
        created = usage.get("cache_creation")
        written = _count(usage.get("cache_creation_input_tokens"))
        hour = _count(created.get("ephemeral_1h_input_tokens")) if isinstance(created, dict) else 0
        self.usage = Usage(
            input=_count(usage.get("input_tokens")) or before.input,
            output=max(_count(usage.get("output_tokens")), before.output),
            cache_read=_count(usage.get("cache_read_input_tokens")) or before.cache_read,
            cache_write_5m=max(0, written - hour) or before.cache_write_5m,
            cache_write_1h=hour or before.cache_write_1h,
            requests=1,
        )


def refused(dialect: Dialect, status: int, message: str) -> bytes:
    """Give the body of a refusal as this dialect words it."""
    kind = _KINDS.get(status, "api_error")
    if dialect == "messages":
        return _text({"type": "error", "error": {"type": kind, "message": message}})
    error = {"message": message, "type": kind, "param": None, "code": kind}
    return _text({"error": error})


def said(body: bytes) -> tuple[str, str]:
    """Give what an error of a provider says, and the code of a spend limit if it names one."""
    value = _object(body)
    error = value.get("error")
    if not isinstance(error, dict):
        return "", ""
    details = error.get("details")
    code = error.get("code")
    if isinstance(details, dict):
        code = details.get("error_code", code)
    kind, text = error.get("type"), error.get("message")
    parts = [part for part in (kind, text) if isinstance(part, str)]
    return ": ".join(parts), code if isinstance(code, str) else ""


def _text(value: Json) -> bytes:
    return json.dumps(value).encode()


def _object(data: bytes) -> Json:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
