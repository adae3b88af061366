"""JSON-RPC 2.0 as lines over a program's pipes; all that the other side says is hostile data."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from stations.ran import printable
from stations.shell import Running

LINE_BYTES: Final = 8 * 1024 * 1024
"""A longer line ends the program; parsed it may take twenty times as much memory."""
BACKLOG_BYTES: Final = 8 * 1024 * 1024
"""So much may wait for a program that does not read."""
UNKNOWN_METHOD: Final = -32601
_BAD_REQUEST: Final = -32600
_DEEP: Final = (ValueError, RecursionError)
_NOISE: Final = 300

Id = int | str | None


class DeafError(Exception):
    """The other side does not read what it is told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The other side asks and waits for an answer."""

    id: Id
    method: str
    params: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """The other side tells, and waits for nothing."""

    method: str
    params: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What we asked was answered: with a result, or with an error whose ``fault`` is not empty."""

    id: int
    result: Mapping[str, object] = field(default_factory=dict)
    code: int = 0
    fault: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """A line that is no message, or an answer to what nobody asked."""

    text: str


Heard = Asked | Told | Answered | Noise


class Peer:
    """The other end of a program's pipes."""

    def __init__(self, running: Running) -> None:
        self._running = running
        self._last = 0
        self._open: set[int] = set()

    @property
    def gone(self) -> bool:
        """Whether nothing will be heard any more."""
        return self._running.over

    def ask(self, method: str, params: Mapping[str, object]) -> int:
        """Ask, and give the number by which the answer will be known."""
        self._last += 1
        self._open.add(self._last)
        self._post({"id": self._last, "method": method, "params": dict(params)})
        return self._last

    def tell(self, method: str, params: Mapping[str, object]) -> None:
        """Tell something that needs no answer."""
        self._post({"method": method, "params": dict(params)})

    def answer(self, number: Id, result: Mapping[str, object]) -> None:
        """Answer what was asked."""
        self._post({"id": number, "result": dict(result)})

    def refuse(self, number: Id, code: int, message: str) -> None:
        """Answer what was asked with an error."""
        self._post({"id": number, "error": {"code": code, "message": message}})

    def hear(self, timeout: float) -> Heard | None:
        """Give the next message; None when none came in time."""
        line = self._running.line(timeout)
        return None if line is None else self._heard(line)

    def _heard(self, line: bytes) -> Heard:
        try:
            value: object = json.loads(line)
        except _DEEP:
            return _noise(line)
        if not isinstance(value, dict):
            return _noise(line)
        number, method = value.get("id"), value.get("method")
        if isinstance(method, str):
            params = value.get("params")
            given = params if isinstance(params, dict) else {}
            if "id" not in value:
                return Told(method=method, params=given)
            if isinstance(number, bool) or not isinstance(number, int | str | None):
                self.refuse(None, _BAD_REQUEST, "an id is a number, a string or null")
                return _noise(line)
            return Asked(id=number, method=method, params=given)
        if isinstance(number, bool) or not isinstance(number, int) or number not in self._open:
            return _noise(line)
        self._open.remove(number)
        error, result = value.get("error"), value.get("result")
        if error is None:
            return Answered(id=number, result=result if isinstance(result, dict) else {})
        code, said = (error.get("code"), _said(error)) if isinstance(error, dict) else (0, "")
        return Answered(
            id=number,
            code=code if isinstance(code, int) else 0,
            fault=said or "an error without a message",
        )

    def _post(self, message: Mapping[str, object]) -> None:
        text = json.dumps({"jsonrpc": "2.0", **message}, ensure_ascii=True)
        if self._running.post(f"{text}\n".encode("ascii")) > BACKLOG_BYTES:
            msg = f"it does not read what it is told ({BACKLOG_BYTES} bytes wait)"
            raise DeafError(msg)


def _said(error: Mapping[str, object]) -> str:
    """Give an error's message with what its data adds, as one line."""
    data = error.get("data")
    parts = [error.get("message"), data.get("details") if isinstance(data, dict) else data]
    said = ": ".join(part for part in parts if isinstance(part, str) and part)
    return printable(said.encode("utf-8", "replace")).replace("\n", " ")[:_NOISE]


def _noise(line: bytes) -> Noise:
    return Noise(text=printable(line[:_NOISE]).strip())
