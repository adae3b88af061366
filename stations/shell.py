"""Run one program: its own session, a built environment, limits, a deadline, bounded output."""

import contextlib
import os
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, BinaryIO, Final, Protocol, Required, Self, TypedDict, Unpack

from stations.keeper import KEEPER
from stations.limits import Limits, launched
from stations.ran import Ended, Ran

GRACE: Final = 0.8
"""Seconds between SIGTERM and SIGKILL."""
LAST_WORDS: Final = 0.5
"""Seconds for which output is still read once the program is gone but somebody holds its pipe."""
_TICK: Final = 0.1
_CHUNK: Final = 65_536


class Options(TypedDict, total=False):
    """How a program is minded while it runs.

    ``deadline`` and ``idle`` (time without output) are seconds; 0 means that it may stay silent.
    The last ``tail_bytes`` of all output and the first ``out_bytes`` of each kind are kept.
    Standard output goes to ``stdout_to`` up to ``stdout_cap`` bytes, above which it is ended.
    ``on_output`` sees all output; ``stop`` ends it.
    """

    deadline: Required[float]
    idle: float
    tail_bytes: int
    out_bytes: int
    stdout_to: BinaryIO | None
    stdout_cap: int
    on_output: Callable[[bytes], None] | None
    stop: threading.Event | None


class Ends(Protocol):
    """The ends by which a started program is held: descriptors of ours, its death, its exit code.

    All descriptors can be selected on and never block.
    """

    @property
    def pid(self) -> int:
        """Its first process on this host; 0 when that is not known."""
        ...

    @property
    def stdin(self) -> int | None:
        """What its standard input is written to; None once it is closed."""
        ...

    @property
    def outputs(self) -> tuple[int, ...]:
        """What its output is read from, without what has ended."""
        ...

    @property
    def death(self) -> int:
        """What can be read from once it is gone."""
        ...

    def read(self, fd: int) -> Sequence[tuple[bool, bytes]] | None:
        """Give what came on an output, each piece with whether it is standard output.

        None when no more will come; the descriptor is closed then.
        """
        ...

    def close_stdin(self) -> None:
        """Let it see the end of its input."""
        ...

    def signal(self, number: signal.Signals) -> None:
        """Signal all of it, if it still runs."""
        ...

    def reap(self) -> int:
        """End what is left of it, once it is gone, and give its exit code."""
        ...

    def close(self) -> None:
        """Close what is still open."""
        ...


class _Child:
    """The ends of a child of this process that leads a process group."""

    def __init__(self, process: subprocess.Popen[bytes], *, kept: bool) -> None:
        self.pid = process.pid
        self._process, self._kept = process, kept
        if kept:
            KEEPER.hold(process.pid)
        self.death = os.pidfd_open(process.pid)
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                os.set_blocking(stream.fileno(), False)

    @property
    def stdin(self) -> int | None:
        return _descriptor(self._process.stdin)

    @property
    def outputs(self) -> tuple[int, ...]:
        found = map(_descriptor, (self._process.stdout, self._process.stderr))
        return tuple(fd for fd in found if fd is not None)

    def read(self, fd: int) -> Sequence[tuple[bool, bytes]] | None:
        is_out = fd == _descriptor(self._process.stdout)
        try:
            data = os.read(fd, _CHUNK)
        except BlockingIOError:
            return ()
        if data:
            return ((is_out, data),)
        _close(self._process.stdout if is_out else self._process.stderr)
        return None

    def close_stdin(self) -> None:
        _close(self._process.stdin)

    def signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def reap(self) -> int:
        # Before the launcher is reaped its group id cannot belong to anybody else.
        self.signal(signal.SIGKILL)
        if self._kept:
            KEEPER.release(self.pid)
        return self._process.wait()

    def close(self) -> None:
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            _close(stream)
        if self.death >= 0:
            os.close(self.death)
            self.death = -1


class Running:
    """A started program; a context manager that leaves nothing of it behind."""

    def __init__(
        self,
        ends: Ends,
        *,
        stdin: bytes | None,
        greeting: bytes = b"",
        deadline: float,
        idle: float = 0.0,
        tail_bytes: int = 16_384,
        out_bytes: int = 1024 * 1024,
        stdout_to: BinaryIO | None = None,
        stdout_cap: int = 64 * 1024 * 1024,
        on_output: Callable[[bytes], None] | None = None,
        stop: threading.Event | None = None,
    ) -> None:
        self.pid = ends.pid
        self.greeted = not greeting
        """Whether the program's launcher said its greeting, so that the program itself ran."""
        self._greeting, self._held = greeting, b""
        self._ends = ends
        self._code: int | None = None
        self._began = self._heard = time.monotonic()
        self._deadline = self._began + deadline
        self._idle, self._stop, self._on_output = idle, stop, on_output
        self._tail_bytes, self._out_bytes = tail_bytes, out_bytes
        self._stdout_to, self._stdout_room = stdout_to, stdout_cap
        self._tail, self._out, self._err = bytearray(), bytearray(), bytearray()
        self._lines = bytearray()
        self._keep_lines = self._keep_stdin = stdin is None
        self._outgoing = bytearray(stdin or b"")
        self._ended: Ended | None = None
        self._kill_at: float | None = None
        self._gone_at: float | None = None
        self._selector = selectors.DefaultSelector()
        for fd in (ends.death, *ends.outputs):
            self._selector.register(fd, selectors.EVENT_READ)
        self._aim_stdin()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:  # whoever takes the output may be the one that failed
            self._on_output = self._stdout_to = None
        self.end()

    def send(self, data: bytes) -> bool:
        """Write to its standard input; False when it no longer listens."""
        self._outgoing += data
        self._aim_stdin()
        while self._outgoing and self._gone_at is None and self._ends.stdin is not None:
            self._step(_TICK)
        return not self._outgoing

    def post(self, data: bytes) -> int:
        """Write to its standard input while others wait on it; give how many bytes still wait."""
        self._outgoing += data
        self._aim_stdin()
        return len(self._outgoing)

    def end_input(self) -> None:
        """Let it see the end of its standard input, once all that waits is written."""
        self._keep_stdin = False
        self._aim_stdin()

    @property
    def over(self) -> bool:
        """Say whether it is gone and no more output will come."""
        return self._over()

    def line(self, timeout: float) -> bytes | None:
        """Give the next line of its standard output, or None when none came in time."""
        until = time.monotonic() + timeout
        while b"\n" not in self._lines:
            left = until - time.monotonic()
            if left <= 0 or self._over():
                return None
            self._step(min(left, _TICK))
        line, _, rest = bytes(self._lines).partition(b"\n")
        self._lines[:] = rest
        return line

    def wait(self) -> Ran:
        """Run it to its end, whoever brings that about, and say how it ended."""
        while not self._over():
            self._step(_TICK)
        return self._ran()

    def end(self) -> Ran:
        """End it now if it still runs: SIGTERM, a short grace, SIGKILL for the whole group."""
        if self._gone_at is None:
            self._bring_to_end("stopped")
        try:
            return self.wait()
        finally:
            self._close()

    def _ran(self) -> Ran:
        held, self._held = self._held, b""
        self._take(held, is_out=False)
        ended = self._ended or "exit"
        return Ran(
            code=self._code if ended == "exit" else None,
            ended=ended,
            tail=bytes(self._tail),
            out=bytes(self._out),
            err=bytes(self._err),
            seconds=(self._gone_at or time.monotonic()) - self._began,
        )

    def _over(self) -> bool:
        if self._gone_at is None:
            return False
        return not self._ends.outputs or time.monotonic() > self._gone_at + LAST_WORDS

    def _step(self, wait: float) -> None:
        soonest = min(self._deadline, self._kill_at or self._deadline)
        if self._gone_at is not None:
            soonest = self._gone_at + LAST_WORDS
        for key, _ in self._selector.select(max(0.0, min(wait, soonest - time.monotonic()))):
            if key.events == selectors.EVENT_WRITE:
                self._write()
            elif key.fd == self._ends.death:
                self._reap()
            else:
                self._read(key.fd)
        if self._gone_at is None:
            self._watch(time.monotonic())

    def _watch(self, now: float) -> None:
        if self._kill_at is not None:
            if now >= self._kill_at:
                self._ends.signal(signal.SIGKILL)
                self._kill_at = now + GRACE
        elif self._stop is not None and self._stop.is_set():
            self._bring_to_end("stopped")
        elif now >= self._deadline:
            self._bring_to_end("deadline")
        elif self._idle and now >= self._heard + self._idle:
            self._bring_to_end("idle")

    def _bring_to_end(self, why: Ended) -> None:
        if self._ended is None:
            self._ended = why
            self._kill_at = time.monotonic() + GRACE
            self._deadline = self._kill_at + GRACE
            self._ends.signal(signal.SIGTERM)
            self._ends.signal(signal.SIGCONT)

    def _reap(self) -> None:
        self._code = self._ends.reap()
        self._gone_at = time.monotonic()
        self._selector.unregister(self._ends.death)
        self._drop_stdin()

    def _read(self, fd: int) -> None:
        pieces = self._ends.read(fd)
        if pieces is None:
            self._selector.unregister(fd)
            return
        for is_out, piece in pieces:
            self._heard = time.monotonic()
            told = piece if is_out or self.greeted else self._listen(piece)
            self._take(told, is_out=is_out)

    def _listen(self, data: bytes) -> bytes:
        self._held += data
        before, greeting, after = self._held.partition(self._greeting)
        self.greeted = bool(greeting)
        self._held = b"" if self.greeted else self._held[-_CHUNK:]
        return before + after if self.greeted else b""

    def _take(self, data: bytes, *, is_out: bool) -> None:
        first = self._out if is_out else self._err
        first += data[: max(0, self._out_bytes - len(first))]
        self._tail += data
        del self._tail[: -self._tail_bytes]
        if is_out:
            self._pass_on(data)
        if self._on_output is not None and data:
            self._on_output(data)

    def _pass_on(self, data: bytes) -> None:
        if self._keep_lines:
            self._lines += data
            if len(self._lines) > self._stdout_room:
                self._lines.clear()
                self._bring_to_end("output")
        if self._stdout_to is not None:
            self._stdout_to.write(data[: self._stdout_room])
            self._stdout_room -= len(data)
            if self._stdout_room < 0:
                self._stdout_room = 0
                self._bring_to_end("output")

    def _aim_stdin(self) -> None:
        stdin = self._ends.stdin
        if stdin is None:
            self._outgoing.clear()
        elif self._outgoing and stdin not in self._selector.get_map():
            self._selector.register(stdin, selectors.EVENT_WRITE)
        elif not self._outgoing and not self._keep_stdin:
            self._drop_stdin()

    def _write(self) -> None:
        stdin = self._ends.stdin
        if stdin is None:  # it exited in the same wake-up
            return
        try:
            del self._outgoing[: os.write(stdin, self._outgoing[:_CHUNK])]
        except BlockingIOError:
            return
        except ConnectionError:
            self._drop_stdin()
            return
        if not self._outgoing:
            self._selector.unregister(stdin)
            self._aim_stdin()

    def _drop_stdin(self) -> None:
        stdin = self._ends.stdin
        if stdin is not None and stdin in self._selector.get_map():
            self._selector.unregister(stdin)
        self._ends.close_stdin()

    def _close(self) -> None:
        self._selector.close()
        self._ends.close()


def _descriptor(stream: IO[bytes] | None) -> int | None:
    return None if stream is None or stream.closed else stream.fileno()


def _close(stream: IO[bytes] | None) -> None:
    if stream is not None:
        with contextlib.suppress(BrokenPipeError):
            stream.close()


def start(
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: str | Path | None = None,
    stdin: bytes | None = None,
    limits: Limits | None = None,
    pass_fds: tuple[int, ...] = (),
    greeting: bytes = b"",
    kept: bool = False,
    **options: Unpack[Options],
) -> Running:
    """Start a program that is talked to line by line, or (with ``stdin`` given) left alone.

    The calling thread must outlive it: a sandbox dies with the thread that started it. A
    ``greeting`` is what a launcher writes to standard error just before the program itself starts.
    With ``kept`` the keeper ends its process group should this process be killed.
    """
    door = KEEPER.door() if kept else ""
    words = list(argv) if limits is None else launched(argv, limits, keeper=door)
    process = subprocess.Popen(
        words,
        env=dict(env),
        cwd=cwd,
        stdin=subprocess.DEVNULL if stdin == b"" else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
        start_new_session=True,
        pass_fds=pass_fds,
    )
    return Running(_Child(process, kept=kept), stdin=stdin, greeting=greeting, **options)


def run(
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: str | Path | None = None,
    stdin: bytes = b"",
    limits: Limits | None = None,
    **options: Unpack[Options],
) -> Ran:
    """Run a program to its end and give how it ended; ended from outside it is gone within 2 s."""
    with start(argv, env=env, cwd=cwd, stdin=stdin, limits=limits, **options) as running:
        return running.wait()
