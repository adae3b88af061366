"""The two file locks: ``factory/lock`` (worktree administration) and ``factory/owner`` (one run).

The kernel frees them with the process. A second descriptor of the same file would deadlock against
the first, so one lives per file and process, and the threads of the process take turns on it.
"""

import fcntl
import os
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Final, Self

PATIENCE: Final = 60.0
"""Seconds that a ``with`` block waits for its turn."""


class LockTimeout(Exception):  # noqa: N818  reads as what happened
    """A lock did not become free in time; the message names who holds it."""


class _Turn:
    """Whose turn it is in this process, and the one descriptor."""

    __slots__ = ("depth", "descriptor", "free", "thread")

    def __init__(self) -> None:
        self.free = threading.Lock()
        self.thread: int | None = None
        self.depth = 0
        self.descriptor = -1


_turns: Final[dict[Path, _Turn]] = {}
_register: Final = threading.Lock()


class Flock:
    """One file lock; as a context manager it waits for its turn and gives it back.

    The thread that holds it may take it again. Two values of one path are one lock.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        with _register:
            self._turn = _turns.setdefault(self.path, _Turn())

    def __enter__(self) -> Self:
        if not self.acquire(PATIENCE):
            msg = f"{self.path} is still held after {PATIENCE:g} s by {self.holder()}"
            raise LockTimeout(msg)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()

    @property
    def held(self) -> bool:
        """Say whether the calling thread holds it."""
        return self._turn.thread == threading.get_ident()

    def acquire(self, timeout: float) -> bool:
        """Wait at most ``timeout`` seconds for the lock and say whether it was taken."""
        turn = self._turn
        if self.held:
            turn.depth += 1
            return True
        deadline = time.monotonic() + timeout
        if not turn.free.acquire(timeout=max(0.0, timeout)):
            return False
        pause = 0.001
        while not self._take():
            left = deadline - time.monotonic()
            if left <= 0:
                turn.free.release()
                return False
            threading.Event().wait(min(pause, left))
            pause = min(pause * 1.5, 0.02)
        turn.thread, turn.depth = threading.get_ident(), 1
        return True

    def try_acquire(self) -> bool:
        """Take it if nobody holds it, this process and thread included."""
        return not self.held and self.acquire(0.0)

    def release(self) -> None:
        """Give one `acquire` back; the last one frees the lock."""
        turn = self._turn
        turn.depth -= 1
        if turn.depth:
            return
        turn.thread = None
        os.close(turn.descriptor)
        turn.descriptor = -1
        turn.free.release()

    def holder(self) -> str:
        """Say who took the lock last: process id and since when."""
        with suppress(OSError):
            if said := self.path.read_text("ascii", "replace").strip():
                return said
        return "an unknown process"

    def _take(self) -> bool:
        try:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                return False
            except BaseException:
                os.close(descriptor)
                raise
        except BaseException:
            self._turn.free.release()
            raise
        self._turn.descriptor = descriptor
        said = f"pid {os.getpid()} since {datetime.now(UTC).isoformat(timespec='seconds')}\n"
        with suppress(OSError):  # it serves a message only: a full disk must not stop a repair
            os.pwrite(descriptor, said.ljust(64).encode(), 0)
        return True


def worktree_lock(factory: Path) -> Flock:
    """Give the lock of all worktree administration; ``factory`` is our directory."""
    return Flock(factory / "lock")


def owner_lock(factory: Path) -> Flock:
    """Give the lock that a run holds from its start to its end."""
    return Flock(factory / "owner")
