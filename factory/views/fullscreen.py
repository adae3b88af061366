"""A terminal as one whole picture and its keys: the one module that changes a terminal's modes.

Whatever ends the block, a crash, Ctrl-C or a signal included, the terminal is as it was before;
Ctrl-Z gives it back for as long as the process is stopped.
"""

import os
import select
import signal
import termios
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Final, Self

from factory.views.keys import Key, parsed

_ON: Final = b"\x1b[?1049h\x1b[?25l\x1b[?2004h\x1b[?7l\x1b[2J"
_OFF: Final = b"\x1b[?7h\x1b[?2004l\x1b[?25h\x1b[0m\x1b[?1049l"
_TOGETHER: Final = (b"\x1b[?2026h", b"\x1b[?2026l")
"""What lets a terminal that knows it show a frame only when it is whole."""
_LATE: Final = 0.06
"""Seconds after which a lone escape is the key, not the beginning of one."""
_PIECE: Final = 4096
_ENDS: Final = (signal.SIGTERM, signal.SIGHUP)


class FullScreen:
    """A terminal taken over; ``keys`` and ``out`` are its descriptors. A context manager.

    Only the main thread of a process can have one: signals are heard while it is up.
    """

    def __init__(self, keys: int, out: int) -> None:
        self._keys, self._out = keys, out
        self._held = b""
        self._shown: list[str] = []
        self._size = (0, 0)
        self._up = self._gone = False

    def __enter__(self) -> Self:
        self._before = termios.tcgetattr(self._keys)
        self._woken, self._wake = os.pipe()
        for end in (self._woken, self._wake):
            os.set_blocking(end, False)
        self._old_wake = signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        heard: dict[signal.Signals, Callable[[int, FrameType | None], None]] = {
            signal.SIGWINCH: self._resized,
            signal.SIGTSTP: self._stopped,
            **dict.fromkeys(_ENDS, self._ended),
        }
        self._handlers = {number: signal.signal(number, hear) for number, hear in heard.items()}
        self._raise()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._lower()
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._old_wake)
        os.close(self._woken)
        os.close(self._wake)

    @property
    def size(self) -> tuple[int, int]:
        """Give columns and lines, as they are now."""
        with suppress(OSError):
            found = os.get_terminal_size(self._out)
            if found.columns > 0 and found.lines > 0:
                return found.columns, found.lines
        return 80, 24

    def paint(self, lines: Sequence[str]) -> None:
        """Show these lines from the top; only those that changed are sent."""
        size = self.size
        if size != self._size:
            self._size, self._shown = size, []
        new = [*lines[: size[1]], *[""] * (size[1] - len(lines))]
        old = self._shown
        parts = [
            f"\x1b[{row};1H{line}\x1b[0m\x1b[K".encode("utf-8", "replace")
            for row, line in enumerate(new, start=1)
            if row > len(old) or old[row - 1] != line
        ]
        if not old:
            parts.insert(0, b"\x1b[2J")
        if parts:
            begin, end = _TOGETHER
            try:
                self._write(begin + b"".join(parts) + end)
            except OSError:
                self._gone = True
        self._shown = new

    def repaint(self) -> None:
        """Send every line again next time, as after somebody else wrote here."""
        self._shown = []

    def read(self, timeout: float) -> list[Key]:
        """Wait so long for keys, or until the window has another size; ``hangup`` is the end."""
        if self._gone:
            return [Key("hangup")]
        found = self._more(timeout)
        while self._held and not found:
            found = self._more(_LATE, late=True)
        return found

    def _more(self, timeout: float, *, late: bool = False) -> list[Key]:
        ready, _, _ = select.select([self._keys, self._woken], [], [], timeout)
        if self._woken in ready:
            with suppress(BlockingIOError):
                os.read(self._woken, _PIECE)
        if self._keys in ready:
            late = False
            try:
                piece = os.read(self._keys, _PIECE)
            except OSError:  # the terminal is gone
                piece = b""
            if not piece:
                return [Key("hangup")]
            self._held += piece
        found, self._held = parsed(self._held, late=late)
        return found

    def _raise(self) -> None:
        mode = termios.tcgetattr(self._keys)
        mode[3] &= ~(termios.ECHO | termios.ICANON)
        termios.tcsetattr(self._keys, termios.TCSADRAIN, mode)
        self._write(_ON)
        self._shown = []
        self._up = True

    def _lower(self) -> None:
        if not self._up:
            return
        self._up = False
        with suppress(OSError, termios.error):  # a terminal that is gone needs nothing
            self._write(_OFF)
            termios.tcsetattr(self._keys, termios.TCSANOW, self._before)

    def _write(self, data: bytes) -> None:
        # Not through a buffered stream: a signal's handler may write in the middle of this.
        while data:
            data = data[os.write(self._out, data) :]

    def _resized(self, number: int, frame: FrameType | None) -> None:
        del number, frame  # the wakeup descriptor ends the wait for keys

    def _stopped(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self._lower()
        os.kill(os.getpid(), signal.SIGSTOP)
        self._raise()

    def _ended(self, number: int, frame: FrameType | None) -> None:
        del frame
        self._lower()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
