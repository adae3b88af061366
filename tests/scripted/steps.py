"""What a scripted model can be told to answer, and all that can go wrong: plain values."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol, TypeVar

from tests.scripted.strict import Json

KINDS: Final[Mapping[int, str]] = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    409: "conflict_error",
    413: "request_too_large",
    422: "invalid_request_error",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A well-formed answer of a model."""

    blocks: tuple[Json, ...]
    stop: str = "end_turn"
    pace: float = 0.0
    """Seconds between two events of the stream."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Something that goes wrong; ``blocks`` are what is seen of the answer before it does."""

    kind: Literal[
        "status", "reset", "hang", "html", "broken_json", "cut", "error_event", "stall", "half"
    ]
    blocks: tuple[Json, ...] = ()
    code: int = 0
    body: Json = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


Step = Turn | Fault


class Placed(Protocol):
    """Where a request stands: which turn of its conversation, and which try of that."""

    @property
    def turn(self) -> int:
        """How many answers the conversation holds already."""
        ...

    @property
    def attempt(self) -> int:
        """How many equal requests came before."""
        ...


A = TypeVar("A", bound=Placed)


def chosen(
    script: Sequence[Step | Sequence[Step]] | Callable[[A], Step | None], asked: A
) -> Step | None:
    """Give the step of a script for what was asked; None when none is left."""
    if callable(script):
        return script(asked)
    if asked.turn >= len(script):
        return None
    step = script[asked.turn]
    if isinstance(step, Turn | Fault):
        return step if asked.attempt == 0 or isinstance(step, Turn) else None
    return step[asked.attempt] if asked.attempt < len(step) else None


def text(words: str) -> Turn:
    """Say something and end the turn."""
    return Turn(blocks=({"type": "text", "text": words},))


def answer(value: object) -> Turn:
    """Answer with JSON, as a schema for the output asks for."""
    return text(json.dumps(value))


def tool(name: str, input: Mapping[str, object] | None = None, *, say: str = "") -> Turn:  # noqa: A002
    """Call a tool."""
    said: tuple[Json, ...] = ({"type": "text", "text": say},) if say else ()
    return Turn(blocks=(*said, _call(name, input)), stop="tool_use")


def finish(
    status: str = "done",
    summary: str = "Did what was asked.",
    *,
    files: Sequence[str] = (),
    tests_run: Sequence[str] = (),
    risks: Sequence[str] = (),
    needs_scope: Sequence[str] = (),
) -> Turn:
    """Call the tool `finish` with a report."""
    report = {
        "status": status,
        "summary": summary,
        "files": list(files),
        "tests_run": list(tests_run),
        "risks": list(risks),
        "needs_scope": list(needs_scope),
    }
    return tool("finish", report)


def thinking(words: str) -> Turn:
    """Think; what follows in the same `turn` came from it."""
    return Turn(blocks=({"type": "thinking", "thinking": words, "signature": ""},))


def turn(*steps: Turn) -> Turn:
    """Join several into one answer: text, thinking, many calls at once."""
    blocks = tuple(block for step in steps for block in step.blocks)
    calls = any(block["type"] == "tool_use" for block in blocks)
    return Turn(blocks=blocks, stop="tool_use" if calls else steps[-1].stop)


def drip(step: Turn, seconds: float) -> Turn:
    """Give the events of an answer one by one, so many seconds apart."""
    return Turn(blocks=step.blocks, stop=step.stop, pace=seconds)


def pause(words: str = "Still at it.") -> Turn:
    """Pause a long turn: the client sends it back as it is."""
    return Turn(blocks=text(words).blocks, stop="pause_turn")


def refusal(words: str = "") -> Turn:
    """Refuse to answer."""
    return Turn(blocks=text(words).blocks if words else (), stop="refusal")


def max_tokens(words: str = "This is as far as") -> Turn:
    """Stop in the middle of a text because the answer grew too long."""
    return Turn(blocks=text(words).blocks, stop="max_tokens")


def context_exceeded(words: str = "There is no more") -> Turn:
    """Stop because the context is full."""
    return Turn(blocks=text(words).blocks, stop="model_context_window_exceeded")


def unknown_tool(name: str = "launch_missiles") -> Turn:
    """Call a tool that was never offered."""
    return Turn(blocks=({**_call(name, {"now": True}), "_unknown": True},), stop="tool_use")


def huge_argument(name: str = "write", key: str = "content", size: int = 10_000_000) -> Turn:
    """Call a tool with one very long argument."""
    block = _call(name, {"path": "huge.txt", key: "x" * size})
    return Turn(blocks=({**block, "_huge": True},), stop="tool_use")


def duplicate_tool_id(name: str, *inputs: Mapping[str, object]) -> Turn:
    """Call a tool several times under the same id."""
    blocks = tuple({**_call(name, one), "_same": True} for one in inputs or ({}, {}))
    return Turn(blocks=blocks, stop="tool_use")


def status(
    code: int,
    message: str = "scripted",
    *,
    retry_after: float | str | None = None,
    retry_after_ms: int | None = None,
    should_retry: bool | None = None,
    kind: str = "",
    error_code: str = "",
) -> Fault:
    """Answer with an error in the API's own shape."""
    error: Json = {"type": kind or KINDS.get(code, "api_error"), "message": message}
    if error_code:
        error["details"] = {"error_code": error_code}
    headers: dict[str, str] = {}
    if retry_after is not None:
        headers["retry-after"] = str(retry_after)
    if retry_after_ms is not None:
        headers["retry-after-ms"] = str(retry_after_ms)
    if should_retry is not None:
        headers["x-should-retry"] = str(should_retry).lower()
    return Fault(kind="status", code=code, body=error, headers=headers)


def spend_limit(error_code: str = "enforced_spend_limit_reached") -> Fault:
    """Answer that the organisation has spent what it may: 429, but waiting does not help."""
    message = "You have reached your specified API usage limits."
    return status(429, message, error_code=error_code)


def overloaded() -> Fault:
    """Answer that there is too much to do."""
    return status(529, "Overloaded")


def reset(*, after: Turn | None = None) -> Fault:
    """Cut the connection before the answer, or in the middle of it."""
    return Fault(kind="reset", blocks=after.blocks if after else ())


def hang() -> Fault:
    """Give no answer at all."""
    return Fault(kind="hang")


def html() -> Fault:
    """Answer 200 with a page, as a captive portal does."""
    return Fault(kind="html")


def broken_json() -> Fault:
    """Answer 200 with JSON that is none."""
    return Fault(kind="broken_json")


def truncated_in_tool(name: str, input: Mapping[str, object] | None = None) -> Fault:  # noqa: A002
    """End the stream, as HTTP ends one, in the middle of a tool's input."""
    return Fault(kind="cut", blocks=(_call(name, input),))


def max_tokens_in_tool(name: str, input: Mapping[str, object] | None = None) -> Fault:  # noqa: A002
    """Stop for the length of the answer in the middle of a tool's input: a complete stream."""
    return Fault(kind="half", blocks=(_call(name, input),))


def error_event(
    kind: str = "overloaded_error", message: str = "Overloaded", *, after: Turn | None = None
) -> Fault:
    """Send an error in the middle of a stream that began with 200."""
    body = {"type": kind, "message": message}
    return Fault(kind="error_event", blocks=after.blocks if after else (), body=body)


def stall(*, after: Turn | None = None) -> Fault:
    """Begin a stream and then stay silent."""
    return Fault(kind="stall", blocks=after.blocks if after else ())


def _call(name: str, arguments: Mapping[str, object] | None) -> Json:
    return {"type": "tool_use", "id": "", "name": name, "input": dict(arguments or {})}
