"""What the Messages API refuses: pure checks of a whole request, worded as the API does."""

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NoReturn

Json = dict[str, Any]

MODELS: Final[Mapping[str, tuple[int, int]]] = {
    "claude-haiku-5-5": (1_000_000, 128_000),
    "claude-sonnet-5-5": (1_000_000, 128_000),
    "claude-opus-5-5": (1_000_000, 128_000),
    "claude-fable-5-2": (1_000_000, 128_000),
    "claude-fable-5-1": (1_000_000, 128_000),
    "claude-opus-5": (1_000_000, 128_000),
    "claude-sonnet-5": (1_000_000, 128_000),
    "claude-haiku-4-5": (200_000, 64_000),
}
"""The models that exist, with their context and their longest answer in tokens."""
OLD: Final = "2023-06-01"
NEW: Final = "2026-10-21"
BYTES_PER_TOKEN: Final = 4
MOST_BYTES: Final = 32 * 1024 * 1024

_KEYS: Final = frozenset(
    {
        "max_tokens",
        "messages",
        "model",
        "cache_control",
        "container",
        "diagnostics",
        "inference_geo",
        "metadata",
        "output_config",
        "service_tier",
        "speed",
        "stop_sequences",
        "stream",
        "system",
        "thinking",
        "tool_choice",
        "tools",
    }
)
_SAMPLING: Final = frozenset({"temperature", "top_p", "top_k"})
_BETA_KEYS: Final = frozenset({"context_management", "mcp_servers", "output_format", "betas"})
_COUNT_KEYS: Final = frozenset(
    {
        "messages",
        "model",
        "cache_control",
        "output_config",
        "system",
        "thinking",
        "tool_choice",
        "tools",
    }
)
_TOOL_KEYS: Final = frozenset(
    {
        "name",
        "description",
        "input_schema",
        "cache_control",
        "strict",
        "defer_loading",
        "input_examples",
        "allowed_callers",
        "eager_input_streaming",
        "type",
    }
)
_BLOCK_KEYS: Final[Mapping[str, frozenset[str]]] = {
    "text": frozenset({"type", "text", "cache_control", "citations"}),
    "image": frozenset({"type", "source", "cache_control"}),
    "document": frozenset({"type", "source", "cache_control", "title", "context", "citations"}),
    "thinking": frozenset({"type", "thinking", "signature"}),
    "redacted_thinking": frozenset({"type", "data"}),
    "tool_use": frozenset({"type", "id", "name", "input", "cache_control", "caller"}),
    "tool_result": frozenset({"type", "tool_use_id", "content", "is_error", "cache_control"}),
}
_ROLES: Final[Mapping[str, frozenset[str]]] = {
    "user": frozenset({"text", "image", "document", "tool_result"}),
    "assistant": frozenset({"text", "thinking", "redacted_thinking", "tool_use"}),
    "system": frozenset({"text"}),
}
_EFFORTS: Final = frozenset({"low", "medium", "high", "xhigh", "max"})
_NAME: Final = re.compile(r"[a-zA-Z0-9_-]{1,128}\Z")
_TOOL_ID: Final = re.compile(r"[a-zA-Z0-9_-]+\Z")
_NO_SCHEMA_WORDS: Final = frozenset(
    {
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "multipleOf",
        "minLength",
        "maxLength",
        "maxItems",
        "uniqueItems",
        "minProperties",
        "maxProperties",
    }
)


class RefusedError(Exception):
    """The API would not take this request."""

    def __init__(self, message: str, *, status: int, kind: str) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What a server gave out before and must get back unchanged.

    ``signatures`` are those of thinking blocks with their model; ``thought`` maps a tool call to
    the signatures that stood before it; ``paused`` are the contents that may end a conversation.
    """

    signatures: Mapping[str, str]
    thought: Mapping[str, tuple[str, ...]]
    paused: Collection[str]


def tokens(size: int) -> int:
    """Give the tokens of so many bytes, rounded up."""
    return -(-size // BYTES_PER_TOKEN)


def check(
    body: Json, *, version: str, beta: bool, given: Given, size: int, counting: bool = False
) -> None:
    """Refuse a request that the real API would refuse."""
    _top(body, version=version, beta=beta, counting=counting)
    model = body["model"]
    if model not in MODELS:
        _refuse(f"model: {model}", status=404, kind="not_found_error")
    context, longest = MODELS[model]
    newest = model.endswith("-5-5")
    if not counting:
        _max_tokens(body["max_tokens"], longest)
    _tools(body.get("tools", []), beta=beta)
    _choice(body, newest=newest)
    _thinking(body.get("thinking"), model=model, newest=newest)
    _output(body.get("output_config"))
    _system(body.get("system"), beta=beta)
    _messages(body["messages"], model=model, version=version, given=given, beta=beta)
    marks = sum(1 for _ in _cache_marks(body))
    if marks > 4:
        _refuse(f"A maximum of 4 blocks with cache_control may be provided. Found {marks}.")
    if tokens(size) > context:
        _refuse(f"prompt is too long: {tokens(size)} tokens > {context} maximum")


def _refuse(message: str, *, status: int = 400, kind: str = "invalid_request_error") -> NoReturn:
    raise RefusedError(message, status=status, kind=kind)


def _top(body: Json, *, version: str, beta: bool, counting: bool) -> None:
    needed = ("model", "messages") if counting else ("model", "max_tokens", "messages")
    for key in needed:
        if key not in body:
            _refuse(f"{key}: Field required")
    if not isinstance(body["model"], str):
        _refuse("model: Input should be a valid string")
    newest = body["model"].endswith("-5-5")
    for key in sorted(_SAMPLING & body.keys()):
        if version == NEW or newest:
            _refuse(f"{key}: sampling parameters are not supported")
    known = _COUNT_KEYS if counting else _KEYS
    extra = body.keys() - known - _SAMPLING - (_BETA_KEYS if beta else frozenset())
    for key in sorted(extra):
        _refuse(f"{key}: Extra inputs are not permitted")
    if not isinstance(body.get("stream", False), bool):
        _refuse("stream: Input should be a valid boolean")


def _max_tokens(value: object, longest: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        _refuse("max_tokens: Input should be greater than or equal to 0")
    if value > longest:
        _refuse(f"max_tokens: {value} > {longest}, which is the maximum allowed number")


def _tools(tools: object, *, beta: bool) -> None:
    if not isinstance(tools, list):
        _refuse("tools: Input should be a valid list")
    names: set[str] = set()
    for at, tool in enumerate(tools):
        where = f"tools.{at}"
        name = tool.get("name")
        if not isinstance(name, str) or not _NAME.match(name):
            _refuse(f"{where}.custom.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'")
        if name in names:
            _refuse("tools: Tool names must be unique.")
        names.add(name)
        _mark(tool.get("cache_control"), where, beta=beta)
        if tool.get("type", "custom") != "custom":
            continue  # one of the provider's own tools
        for key in sorted(tool.keys() - _TOOL_KEYS):
            _refuse(f"{where}.custom.{key}: Extra inputs are not permitted")
        schema = tool.get("input_schema")
        if not isinstance(schema, dict) or schema.get("type") != "object":
            _refuse(f"{where}.custom.input_schema.type: Field required")
        if tool.get("strict"):
            _schema(schema, f"{where}.custom")


def _choice(body: Json, *, newest: bool) -> None:
    choice = body.get("tool_choice")
    if choice is None:
        return
    kind = choice.get("type")
    if kind not in {"auto", "any", "tool", "none"}:
        _refuse(f"tool_choice: Input tag '{kind}' found does not match any of the expected tags")
    if extra := choice.keys() - {"type", "name", "disable_parallel_tool_use"}:
        _refuse(f"tool_choice.{min(extra)}: Extra inputs are not permitted")
    if not body.get("tools"):
        _refuse("tool_choice may only be specified while providing tools")
    if newest and kind in {"any", "tool"}:
        _refuse(f"tool_choice: type '{kind}' is not supported by this model")


def _thinking(thinking: object, *, model: str, newest: bool) -> None:
    if thinking is None:
        return
    if not isinstance(thinking, dict):
        _refuse("thinking: Input should be a valid dictionary")
    kind = thinking.get("type")
    if kind not in {"enabled", "adaptive", "between_tools", "disabled"}:
        _refuse(f"thinking: Input tag '{kind}' does not match any of the expected tags")
    if newest and kind == "enabled":
        _refuse("thinking.enabled: thinking budgets are not supported by this model")
    if model == "claude-opus-5-5" and kind == "disabled":
        _refuse("thinking.disabled: thinking cannot be disabled for this model")
    if kind == "between_tools" and model != "claude-sonnet-5-5":
        _refuse("thinking.between_tools: not supported by this model")


def _output(output: object) -> None:
    if output is None:
        return
    if not isinstance(output, dict):
        _refuse("output_config: Input should be a valid dictionary")
    if extra := output.keys() - {"format", "effort"}:
        _refuse(f"output_config.{min(extra)}: Extra inputs are not permitted")
    if output.get("effort", "low") not in _EFFORTS:
        _refuse("output_config.effort: Input should be 'low', 'medium', 'high', 'xhigh' or 'max'")
    form = output.get("format")
    if form is None:
        return
    if form.get("type") != "json_schema" or form.keys() != {"type", "schema"}:
        _refuse("output_config.format: Input should be a json_schema with its schema")
    _schema(form["schema"], "output_config.format")


def _schema(schema: object, where: str) -> None:
    """Refuse what a schema that binds the answer may not hold."""
    for one in _schemas(schema):
        kind = one.get("type")
        if kind == "object" and one.get("additionalProperties") is not False:
            _refuse(
                f"{where}.schema: For 'object' type, 'additionalProperties' must be explicitly "
                "set to false"
            )
        for word in sorted(_NO_SCHEMA_WORDS & one.keys()):
            _refuse(f"{where}.schema: For '{kind}' type, property '{word}' is not supported")


def _schemas(schema: object) -> Iterator[Json]:
    if not isinstance(schema, dict):
        return
    yield schema
    for key in ("properties", "$defs"):
        for value in schema.get(key, {}).values():
            yield from _schemas(value)
    yield from _schemas(schema.get("items"))
    for key in ("anyOf", "allOf", "oneOf"):
        for value in schema.get(key, ()):
            yield from _schemas(value)


def _system(system: object, *, beta: bool) -> None:
    if system is None or isinstance(system, str):
        return
    if not isinstance(system, list):
        _refuse("system: Input should be a valid list")
    for at, block in enumerate(system):
        _block(block, role="system", where=f"system.{at}", beta=beta)


def _messages(messages: object, *, model: str, version: str, given: Given, beta: bool) -> None:
    if not isinstance(messages, list) or not messages:
        _refuse("messages: at least one message is required")
    if messages[0].get("role") != "user":
        _refuse('messages: first message must use the "user" role')
    seen: set[str] = set()
    open_calls: list[str] = []
    before = ""
    for at, message in enumerate(messages):
        where = f"messages.{at}"
        blocks = _message(message, where, beta=beta)
        role = message["role"]
        if role == "system":
            continue
        if role == before and version == NEW:
            _refuse(f"{where}: roles must alternate between user and assistant, found two {role}")
        before = role
        if role == "user":
            _answers(blocks, open_calls, where)
            open_calls = []
            continue
        if open_calls:
            _unanswered(open_calls, where)
        open_calls = [block["id"] for block in blocks if block["type"] == "tool_use"]
        for call in open_calls:
            if call in seen:
                _refuse(f"{where}.content: `tool_use` ids must be unique")
            seen.add(call)
        _thoughts(blocks, where, model=model, given=given)
    if open_calls:
        _unanswered(open_calls, f"messages.{len(messages) - 1}")
    if before == "assistant" and canonical(messages[-1]["content"]) not in given.paused:
        _refuse(
            "This model does not support assistant message prefill. The conversation must end "
            "with a user message."
        )
    _last_thoughts(messages, given)


def _message(message: object, where: str, *, beta: bool) -> list[Json]:
    if not isinstance(message, dict):
        _refuse(f"{where}: Input should be a valid dictionary")
    role, content = str(message.get("role")), message.get("content")
    if role not in _ROLES:
        _refuse(f"{where}.role: Input should be 'user', 'assistant' or 'system'")
    more = {"output_config", "clear_at"} if beta and role == "system" else set()
    for key in sorted(message.keys() - {"role", "content"} - more):
        _refuse(f"{where}.{key}: Extra inputs are not permitted")
    if content is None and message.get("output_config"):
        return []
    if isinstance(content, str):
        content = [{"type": "text", "text": content}]
    if not isinstance(content, list):
        _refuse(f"{where}.content: Input should be a valid list")
    if not content and not message.get("output_config"):
        _refuse(f"{where}: all messages must have non-empty content")
    for at, block in enumerate(content):
        _block(block, role=role, where=f"{where}.content.{at}", beta=beta)
    return content


def _block(block: object, *, role: str, where: str, beta: bool) -> None:
    if not isinstance(block, dict):
        _refuse(f"{where}: Input should be a valid dictionary")
    kind = block.get("type")
    if beta and role == "system" and kind in {"tool_addition", "tool_removal"}:
        return
    if kind not in _ROLES[role]:
        _refuse(f"{where}: Input tag '{kind}' does not match any of the tags expected of {role}")
    for key in sorted(block.keys() - _BLOCK_KEYS[kind]):
        _refuse(f"{where}.{kind}.{key}: Extra inputs are not permitted")
    _mark(block.get("cache_control"), where, beta=beta)
    if kind == "text":
        if not isinstance(block.get("text"), str):
            _refuse(f"{where}.text.text: Input should be a valid string")
        if not block["text"].strip():
            _refuse(f"{where}: text content blocks must contain non-whitespace text")
    if kind == "tool_use":
        if not isinstance(block.get("input"), dict):
            _refuse(f"{where}.tool_use.input: Input should be a valid dictionary")
        if not _TOOL_ID.match(str(block.get("id", ""))):
            _refuse(f"{where}.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'")
    if kind == "tool_result":
        _result(block, where, beta=beta)


def _result(block: Json, where: str, *, beta: bool) -> None:
    if not isinstance(block.get("tool_use_id"), str):
        _refuse(f"{where}.tool_result.tool_use_id: Field required")
    if not isinstance(block.get("is_error", False), bool):
        _refuse(f"{where}.tool_result.is_error: Input should be a valid boolean")
    content = block.get("content", "")
    if isinstance(content, str):
        if block.get("is_error") and not content:
            _refuse(f"{where}: content cannot be empty if is_error is true")
        return
    for at, part in enumerate(content):
        _block(part, role="user", where=f"{where}.content.{at}", beta=beta)


def _answers(blocks: list[Json], calls: list[str], where: str) -> None:
    """Refuse a user message that does not answer every call once, before anything else."""
    answered: list[str] = []
    other = False
    for block in blocks:
        if block["type"] != "tool_result":
            other = True
            continue
        call = block["tool_use_id"]
        if call not in calls:
            _refuse(
                f"{where}.content: unexpected `tool_use_id` found in `tool_result` blocks: {call}. "
                "Each `tool_result` block must have a corresponding `tool_use` block in the "
                "previous message."
            )
        if call in answered:
            _refuse(
                f"{where}.content: each tool_use must have a single result. Found multiple "
                f"`tool_result` blocks with id: {call}"
            )
        if other:
            _refuse(f"{where}.content: `tool_result` blocks must come first")
        answered.append(call)
    if missing := [call for call in calls if call not in answered]:
        _unanswered(missing, where)


def _unanswered(calls: list[str], where: str) -> NoReturn:
    _refuse(
        f"{where}: `tool_use` ids were found without `tool_result` blocks immediately after: "
        f"{', '.join(calls)}."
    )


def _thoughts(blocks: list[Json], where: str, *, model: str, given: Given) -> None:
    for block in blocks:
        if (
            block["type"] == "thinking"
            and given.signatures.get(block.get("signature", "")) != model
        ):
            _refuse(f"{where}.content: Invalid `signature` in `thinking` block")


def _last_thoughts(messages: list[Json], given: Given) -> None:
    """Refuse when the turn that is gone on with lost the thinking that its calls came from."""
    last = [one for one in messages if one["role"] == "assistant"][-1:]
    for message in last:
        content = message["content"]
        if isinstance(content, str):
            continue
        here = {block.get("signature") for block in content if block["type"] == "thinking"}
        for block in content:
            if block["type"] == "tool_use" and set(given.thought.get(block["id"], ())) - here:
                _refuse(
                    "messages: `thinking` blocks in the latest assistant message cannot be "
                    "modified. These blocks must remain as they were in the original response."
                )


def _mark(mark: object, where: str, *, beta: bool) -> None:
    if mark is None:
        return
    if not isinstance(mark, dict) or mark.get("type") != "ephemeral":
        _refuse(f"{where}.cache_control: Input should be of type 'ephemeral'")
    for key in sorted(mark.keys() - {"type", "ttl"} - ({"scope"} if beta else set())):
        _refuse(f"{where}.cache_control.{key}: Extra inputs are not permitted")
    if mark.get("ttl", "5m") not in {"5m", "1h"}:
        _refuse(f"{where}.cache_control.ttl: Input should be '5m' or '1h'")


def parts(body: Json) -> Iterator[Json]:
    """Give everything of a request that can be cached, in the order in which it counts."""
    yield from body.get("tools", [])
    for content in (
        body.get("system") or [],
        *(one.get("content", []) for one in body["messages"]),
    ):
        if isinstance(content, str):
            yield {"type": "text", "text": content}
        else:
            yield from content


def _cache_marks(body: Json) -> Iterator[Json]:
    if body.get("cache_control"):
        yield body["cache_control"]
    for part in parts(body):
        if part.get("cache_control"):
            yield part["cache_control"]


def canonical(value: object) -> str:
    """Give a text that is equal for equal JSON; where the cache ends is no part of it."""

    def plain(one: object) -> object:
        if isinstance(one, dict):
            return {key: plain(part) for key, part in one.items() if key != "cache_control"}
        if isinstance(one, list | tuple):
            return [plain(part) for part in one]
        return one

    return json.dumps(plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
