"""A conversation with a model: its messages, in the order and shape that the API asks for.

What the model said is never changed, but for what the API itself would not take back: blank
texts, ids used twice, and inputs too large, too deep or too odd to be sent again.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

Block = dict[str, Any]
Message = dict[str, Any]

INPUT_CHARACTERS: Final = 1_200_000
"""A call whose input is longer is refused, and its input is not carried along."""
_DEEPEST: Final = 30
_KEPT_RESULTS: Final = 4
_WORTH: Final = 400
_TRIMMED: Final = "[an old result, left out: do it again if it matters]"
_THOUGHTS: Final = frozenset({"thinking", "redacted_thinking"})
_KINDS: Final = _THOUGHTS | {"text", "tool_use"}
"""All that can come where only our own tools are offered; whatever else comes is not carried."""


class Conversation:
    """Messages that alternate; every call of the model is answered in the next one of ours."""

    def __init__(self, messages: Iterable[Message] = ()) -> None:
        self.messages: list[Message] = list(messages)
        self.unfit: dict[str, str] = {}
        """Which calls cannot be done, by their ids, and what to do instead."""

    def say(self, blocks: Sequence[Block]) -> None:
        """Add what we say; where the model said nothing in between it joins what we said last."""
        if self.messages and self.messages[-1]["role"] == "user":
            last = self.messages[-1]
            self.messages[-1] = {**last, "content": [*last["content"], *blocks]}
        else:
            self.messages.append({"role": "user", "content": list(blocks)})

    def hear(self, content: Iterable[Mapping[str, Any]]) -> list[Block]:
        """Add what the model said, and give its calls in their order."""
        blocks = [dict(block) for block in content if block["type"] in _KINDS]
        kept = [b for b in blocks if b["type"] != "text" or str(b.get("text", "")).strip()]
        used = {block["id"] for message in self.messages for block in _calls(message["content"])}
        for block in _calls(kept):
            if block["id"] in used:
                block["id"] = _other(block["id"], used)
                self.unfit[block["id"]] = "the id of this call was used before; call again"
            used.add(block["id"])
            if not _bearable(block["input"]):
                block["input"] = {}
                self.unfit[block["id"]] = "the input is too long or too deep; take smaller steps"
        last = self.messages[-1] if self.messages else None
        if kept and last is not None and last["role"] == "assistant":  # it had paused
            self.messages[-1] = {**last, "content": [*last["content"], *kept]}
        elif kept:
            self.messages.append({"role": "assistant", "content": kept})
        return _calls(kept)

    def trim(self) -> int:
        """Leave out old results of tools and give how many; the last few stay.

        What stands before a thought of the model stays as well: its signature covers that.
        """
        first = max((n + 1 for n, m in enumerate(self.messages) if _thinks(m)), default=0)
        places = [
            (n, at)
            for n, message in enumerate(self.messages)
            for at, block in enumerate(message["content"])
            if block["type"] == "tool_result"
        ]
        count = 0
        for n, at in places[:-_KEPT_RESULTS]:
            block = self.messages[n]["content"][at]
            if n >= first and len(json.dumps(block["content"])) > _WORTH:
                content = list(self.messages[n]["content"])
                content[at] = {**block, "content": _TRIMMED}
                self.messages[n] = {**self.messages[n], "content": content}
                count += 1
        return count


def text(words: str) -> Block:
    """Give a block that says something."""
    return {"type": "text", "text": words if words.strip() else "(nothing)"}


def result(call: str, said: str, *, good: bool) -> Block:
    """Give the block that answers a call."""
    block = {"type": "tool_result", "tool_use_id": call, "content": said or "(nothing)"}
    return block if good else {**block, "is_error": True}


def said(content: Iterable[Mapping[str, Any]]) -> str:
    """Give the texts of what a model said."""
    return "\n".join(str(b.get("text", "")) for b in content if b["type"] == "text").strip()


def _calls(blocks: Iterable[Block]) -> list[Block]:
    return [block for block in blocks if block["type"] == "tool_use"]


def _thinks(message: Message) -> bool:
    return any(block["type"] in _THOUGHTS for block in message["content"])


def _other(name: str, used: set[str]) -> str:
    number = 2
    while f"{name}_{number}" in used:
        number += 1
    return f"{name}_{number}"


def _bearable(value: object) -> bool:
    """Say whether an input can be sent again: whoever nests a thousand lists stops a parser."""
    layer: list[object] = [value]
    for _ in range(_DEEPEST):
        layer = [
            inner
            for one in layer
            if isinstance(one, dict | list)
            for inner in (one.values() if isinstance(one, dict) else one)
        ]
        if not layer:
            break
    if layer:
        return False
    try:
        return len(json.dumps(value, allow_nan=False)) <= INPUT_CHARACTERS
    except ValueError:  # a number that JSON cannot hold
        return False
