"""How a program ended, as a value, and its output as text that is safe to print."""

from dataclasses import dataclass
from typing import Literal

Ended = Literal["exit", "deadline", "idle", "stopped", "output"]
"""Why a program is over: by itself, or why it was ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """How a program ended: ``code`` only when it exited by itself, and its bounded output.

    ``tail`` holds the last bytes of both streams in order of arrival, ``out`` and ``err`` the
    first bytes of each.
    """

    code: int | None
    ended: Ended
    tail: bytes
    out: bytes
    err: bytes
    seconds: float

    @property
    def good(self) -> bool:
        """Say whether it exited by itself with 0."""
        return self.ended == "exit" and self.code == 0

    @property
    def text(self) -> str:
        """The tail as text that is safe to print: no control characters but tab and newline."""
        return printable(self.tail)


def printable(data: bytes) -> str:
    """Give hostile bytes as text without control characters, terminal escapes or surrogates."""
    text = data.decode("utf-8", "replace").replace("\r\n", "\n")
    return "".join(
        c if c in "\n\t" or c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text
    )
