"""A reply as it comes, event by event, and whether it may be acted on once it has ended."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from stations.models.asking import Block, Reply, Toll
from stations.models.values import Usage

_ACTED_ON: Final = frozenset({"end_turn", "tool_use", "stop_sequence", "pause_turn"})
_BROKEN_OFF: Final = frozenset({"max_tokens", "refusal", "model_context_window_exceeded"})

_NAME: Final = 100


class UnfitError(Exception):
    """What came is no reply; the message is ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfit:
    """Why a reply that ended may not be acted on."""

    why: str
    cut_tool: bool = False


class Draft:
    """A reply as far as it has come; nothing of it is believed before its end."""

    def __init__(self, *, model: str) -> None:
        self.request_id = ""
        self.ended = False
        self._model = model
        self._blocks: list[Block] = []
        self._pieces: list[list[str]] = []
        self._open: set[int] = set()
        self._stop_reason = ""
        self._begun = False
        self._usage: Block = {}
        self._characters = 0

    def take(self, event: Block) -> str:
        """Take an event of the stream and give the text that is new."""
        match event.get("type"):
            case "message_start":
                self._start(as_object(event.get("message")))
            case "content_block_start":
                self._begin(event)
            case "content_block_delta":
                return self._add(event)
            case "content_block_stop":
                self._open.discard(self._place(event))
            case "message_delta":
                self._stop_reason = str(as_object(event.get("delta")).get("stop_reason") or "")
                self._count(event.get("usage"))
            case "message_stop":
                self.ended = self._begun
            case _:  # the API says that there may be more kinds some day
                pass
        return ""

    def toll(self, *, sent: bool) -> Toll:
        """Give what the call may have cost so far."""
        if not self._begun:
            return Toll(sent=sent)
        return Toll(usage=self._tokens(), exact=self.ended, sent=sent)

    def reply(self) -> Reply | Unfit:
        """Give the reply that ended, or say why it may not be acted on."""
        if self._stop_reason not in _ACTED_ON | _BROKEN_OFF:
            return Unfit(why=f"the reply ended without a reason that is known: {self._stop_reason}")
        calls = [block for block in self._blocks if block["type"] == "tool_use"]
        if self._stop_reason == "max_tokens" and calls:
            why = "the reply was at its longest in the middle of a tool's input"
            return Unfit(why=why, cut_tool=True)
        if self._stop_reason in _ACTED_ON:
            if self._open:
                return Unfit(why="the reply ended in the middle of a block")
            if bool(calls) < (self._stop_reason == "tool_use"):
                return Unfit(why="the reply asks for a tool and names none")
            if calls and self._stop_reason == "pause_turn":
                return Unfit(why="the reply pauses with a tool that waits")
        try:
            content = tuple(self._content())
            json.dumps(content, ensure_ascii=False).encode()
        except (UnfitError, ValueError, RecursionError) as error:
            said = str(error) if isinstance(error, UnfitError) else "it holds no valid text"
            return Unfit(why=said)
        return Reply(
            content=content,
            stop_reason=self._stop_reason,
            usage=self._tokens(),
            request_id=self.request_id,
            model=self._model,
        )

    def _start(self, message: Block) -> None:
        self._begun = True
        if isinstance(message.get("model"), str):
            self._model = message["model"][:_NAME]
        self._count(message.get("usage"))

    def _begin(self, event: Block) -> None:
        block = as_object(event.get("content_block"))
        if event.get("index") != len(self._blocks):
            raise UnfitError("the blocks of the reply are out of order")
        if not isinstance(block.get("type"), str):
            raise UnfitError("a block of the reply has no type")
        self._open.add(len(self._blocks))
        self._blocks.append({key: value for key, value in block.items() if value is not None})
        self._pieces.append([])

    def _add(self, event: Block) -> str:
        place, delta = self._place(event), as_object(event.get("delta"))
        block = self._blocks[place]
        match delta.get("type"), block["type"]:
            case "text_delta", "text":
                return self._piece(place, delta.get("text"))
            case "input_json_delta", "tool_use":
                self._piece(place, delta.get("partial_json"))
            case "thinking_delta", "thinking":
                self._piece(place, delta.get("thinking"))
            case "signature_delta", "thinking":
                block["signature"] = delta.get("signature")
            case "citations_delta", "text":
                block.setdefault("citations", []).append(delta.get("citation"))
            case kind, _:
                raise UnfitError(f"a {kind} does not belong into a block {block['type']}")
        return ""

    def _piece(self, place: int, piece: object) -> str:
        if not isinstance(piece, str):
            raise UnfitError("a piece of the reply is no text")
        self._pieces[place].append(piece)
        self._characters += len(piece)
        return piece

    def _place(self, event: Block) -> int:
        place = event.get("index")
        if not isinstance(place, int) or place not in self._open:
            raise UnfitError("the reply goes on with a block that is not open")
        return place

    def _content(self) -> Iterator[Block]:
        """Give the blocks as they go back to the API, which takes no blank text."""
        seen: set[str] = set()
        for block, pieces in zip(self._blocks, self._pieces, strict=True):
            match block["type"]:
                case "text":
                    text = f"{block.get('text', '')}{''.join(pieces)}"
                    if text.strip():
                        yield {**block, "text": text}
                case "thinking":
                    yield {**block, "thinking": f"{block.get('thinking', '')}{''.join(pieces)}"}
                case "tool_use" if self._stop_reason in _ACTED_ON:
                    call = {**block, "input": _input(block, "".join(pieces))}
                    name, known = call.get("id"), isinstance(call.get("name"), str)
                    if not isinstance(name, str) or not known or name in seen:
                        raise UnfitError("two tools of the reply have one id, or one has none")
                    seen.add(name)
                    yield call
                case "tool_use":
                    pass
                case _:
                    yield block

    def _count(self, usage: object) -> None:
        if isinstance(usage, dict):
            self._usage |= {key: value for key, value in usage.items() if value is not None}

    def _tokens(self) -> Usage:
        written = self._figure("cache_creation_input_tokens")
        split = self._usage.get("cache_creation")
        hour = _figure(split, "ephemeral_1h_input_tokens") if isinstance(split, dict) else 0
        hour = min(hour, written)
        # Whoever was cut off never heard how much it was.
        output = 0 if self.ended else -(-self._characters // 3)
        return Usage(
            input=self._figure("input_tokens"),
            output=max(self._figure("output_tokens"), output),
            cache_read=self._figure("cache_read_input_tokens"),
            cache_write_5m=written - hour,
            cache_write_1h=hour,
            requests=1,
        )

    def _figure(self, key: str) -> int:
        return _figure(self._usage, key)


def as_object(value: object) -> Block:
    """Give what must be an object of JSON."""
    if not isinstance(value, dict):
        raise UnfitError("an event of the stream is no object")
    return value


def _input(block: Block, text: str) -> Block:
    """Give the input of a tool; half of it is no input."""
    try:
        value = json.loads(text, parse_constant=_no_number) if text else block.get("input")
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise UnfitError("the input of a tool is no complete object")
    return value


def _no_number(name: str) -> None:
    msg = f"{name} is no number of JSON"
    raise ValueError(msg)


def _figure(usage: Block, key: str) -> int:
    value = usage.get(key)
    return max(0, value) if isinstance(value, int) and not isinstance(value, bool) else 0
