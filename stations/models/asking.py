"""What a model is asked, what it replies, and what a door says when there is no reply."""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from stations.models.values import Cause, ModelError, Usage

Block = dict[str, Any]
"""A piece of a conversation as the Messages API has it: JSON that this program did not write."""
LONGEST: Final = 900.0
"""Seconds that one call may take in all."""
IDLE: Final = 90.0
"""Seconds without a byte after which a provider is given up."""
Hear = Callable[[str], None]
"""Hears the text of a reply piece by piece, while nobody knows yet whether it will be complete."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One turn of a conversation that is asked for.

    ``schema`` is one that the text of the reply must satisfy; ``cache`` lets the provider keep
    everything up to here for the next turn, beside the blocks that say so themselves.
    """

    model: str
    max_tokens: int
    messages: tuple[Block, ...]
    system: tuple[Block, ...] = ()
    tools: tuple[Block, ...] = ()
    schema: Block | None = None
    effort: str | None = None
    thinking: Block | None = None
    cache: bool = False

    @property
    def body(self) -> Block:
        """Give the request as the API takes it, but for how the reply is to come."""
        output: Block = {}
        if self.effort is not None:
            output["effort"] = self.effort
        if self.schema is not None:
            output["format"] = {"type": "json_schema", "schema": self.schema}
        optional: Block = {
            "system": list(self.system),
            "tools": list(self.tools),
            "output_config": output,
            "thinking": self.thinking,
            "cache_control": {"type": "ephemeral"} if self.cache else None,
        }
        return {
            "model": self.model,
            "max_tokens": self.max_tokens,
            "messages": list(self.messages),
            **{key: value for key, value in optional.items() if value},
        }

    @property
    def size(self) -> int:
        """The bytes of the request."""
        return len(encoded(self.body))


def encoded(body: Block) -> bytes:
    """Give JSON as it is sent; a mark stands for what is no text, which a repository may hold."""
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "replace")


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolUse:
    """A tool that a model wants to be used; its input is an object, and no more is known of it."""

    id: str
    name: str
    input: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A complete reply; ``content`` goes back as it is, as the assistant's message.

    There are tool uses only when the model ended its turn in order: never in a reply that was
    refused or for which there was no room. ``estimated``: the provider did not say what it took.
    """

    content: tuple[Block, ...]
    stop_reason: str
    usage: Usage
    request_id: str
    model: str
    estimated: bool = False

    @property
    def text(self) -> str:
        """Everything that it says, without its thinking."""
        return "".join(block["text"] for block in self.content if block["type"] == "text")

    @property
    def tool_uses(self) -> tuple[ToolUse, ...]:
        """The tools that it wants to be used, in order; their ids differ."""
        return tuple(
            ToolUse(id=block["id"], name=block["name"], input=block["input"])
            for block in self.content
            if block["type"] == "tool_use"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Toll:
    """What a call without a reply may have cost.

    ``usage`` are the tokens that are known of, ``exact`` when the provider counted all of them;
    ``sent`` says that it may have read the request although it never said so.
    """

    usage: Usage = field(default_factory=Usage)
    exact: bool = False
    sent: bool = False


class Trouble(ModelError):  # noqa: N818 - reads as what a door has
    """There is no reply that may be acted on; ``permanent``: nor will there be to this request.

    ``cut_tool`` says that the reply was at its longest in the middle of a tool's input.
    """

    def __init__(
        self,
        cause: Cause,
        message: str,
        *,
        status: int = 0,
        permanent: bool = False,
        retry_after: float | None = None,
        toll: Toll | None = None,
        cut_tool: bool = False,
    ) -> None:
        super().__init__(cause, message, status=status)
        self.permanent = permanent
        self.retry_after = retry_after
        self.toll = toll or Toll()
        self.cut_tool = cut_tool


class Door(Protocol):
    """The way to one provider."""

    def stream(self, request: Request, *, stop: threading.Event, hear: Hear | None = None) -> Reply:
        """Ask once and give a complete reply, or raise Trouble."""
        ...
