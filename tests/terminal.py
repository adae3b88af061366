"""A person at a real terminal: a program on a pty, and a screen that shows what it drew."""

import fcntl
import os
import select
import struct
import sys
import termios
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyte

from tests.run import Child, end, on_terminal

_LEAD = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""
"""Makes the terminal the program's own, so that Ctrl-C and Ctrl-Z mean it."""
PATIENCE = 10.0
"""Seconds after which something that should show up is missed."""


class Terminal:
    """A terminal of so many columns and lines with a program on it."""

    def __init__(self, child: Child, fd: int, *, columns: int, lines: int) -> None:
        self.child, self._fd = child, fd
        self.screen = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self.screen)
        self.raw = b""
        """All that the program ever sent."""

    @property
    def lines(self) -> list[str]:
        """Give what stands on the screen."""
        return [line.rstrip() for line in self.screen.display]

    @property
    def text(self) -> str:
        """Give the screen as one text."""
        return "\n".join(self.lines)

    @property
    def mode(self) -> list[object]:
        """Give the terminal's modes."""
        return termios.tcgetattr(self._fd)

    def type(self, keys: str | bytes) -> None:
        """Press keys."""
        os.write(self._fd, keys.encode() if isinstance(keys, str) else keys)

    def resize(self, columns: int, lines: int) -> None:
        """Give the window another size."""
        size(self._fd, columns, lines)
        self.screen.resize(lines, columns)

    def until(self, holds: Callable[[], object], what: str = "") -> None:
        """Read on until something holds."""
        late = time.monotonic() + PATIENCE
        while not holds():
            assert time.monotonic() < late, f"never came: {what}\n{self.text}"
            assert self._read(0.1) or not self.over or holds(), f"ended: {what}\n{self.text}"

    def sees(self, *words: str) -> None:
        """Wait until all these words are on the screen."""
        self.until(lambda: all(word in self.text for word in words), f"{words}")

    def ended(self) -> int:
        """Wait until the program has ended and give its exit code; negative: the signal."""
        self.until(lambda: self.over, "its end")
        while self._read(0.0):
            pass
        return self.child.wait()

    @property
    def over(self) -> bool:
        """Say whether the program has ended."""
        return self.child.poll() is not None

    def _read(self, wait: float) -> bool:
        ready, _, _ = select.select([self._fd], [], [], wait)
        if not ready:
            return False
        try:
            data = os.read(self._fd, 65536)
        except OSError:  # nobody holds the other end any more
            return False
        self.raw += data
        self._stream.feed(data)
        return bool(data)


def size(fd: int, columns: int, lines: int) -> None:
    """Set the size of a terminal's window."""
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))


@contextmanager
def terminal(
    argv: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    columns: int = 80,
    lines: int = 24,
) -> Iterator[Terminal]:
    """Start a program on a terminal of its own; both are gone with the block."""
    master, slave = os.openpty()
    size(master, columns, lines)
    try:
        lead = [sys.executable, "-c", _LEAD, *argv]
        child = on_terminal(lead, slave, cwd=cwd, env={"TERM": "xterm-256color", **env})
        try:
            yield Terminal(child, master, columns=columns, lines=lines)
        finally:
            end(child)
    finally:
        os.close(slave)
        os.close(master)
