"""Feeds and reads the pipes of one child: everything at once, until a deadline, up to a cap."""

import os
import selectors
import time
from contextlib import suppress
from typing import IO, Final, Protocol

ERRORS: Final = 64 * 1024
"""So much of the end of the error output is kept."""
CHUNK: Final = 1 << 18


class Late(Exception):  # noqa: N818  reads as what happened
    """The deadline passed before the child closed its outputs."""


class Flooded(Exception):  # noqa: N818  reads as what happened
    """The child wrote more than it may."""


class Child(Protocol):
    """A started process with three pipes."""

    @property
    def stdin(self) -> IO[bytes] | None:
        """The end to write to."""
        ...

    @property
    def stdout(self) -> IO[bytes] | None:
        """The end to read its output from."""
        ...

    @property
    def stderr(self) -> IO[bytes] | None:
        """The end to read its errors from."""
        ...


def exchange(child: Child, *, stdin: bytes, deadline: float, cap: int) -> tuple[bytes, bytes]:
    """Write the input while reading both outputs and give them; ``deadline`` is monotonic."""
    out, err, rest = bytearray(), bytearray(), memoryview(stdin)
    assert child.stdin is not None  # noqa: S101  all three were asked for as pipes
    assert child.stdout is not None  # noqa: S101
    assert child.stderr is not None  # noqa: S101
    with selectors.DefaultSelector() as ready:
        ready.register(child.stdout, selectors.EVENT_READ, out)
        ready.register(child.stderr, selectors.EVENT_READ, err)
        if rest:
            os.set_blocking(child.stdin.fileno(), False)
            ready.register(child.stdin, selectors.EVENT_WRITE)
        else:
            child.stdin.close()
        while ready.get_map():
            events = ready.select(max(0.0, deadline - time.monotonic()))
            if time.monotonic() >= deadline:
                raise Late
            for key, _ in events:
                if key.fileobj is child.stdin:
                    with suppress(BrokenPipeError):
                        rest = rest[os.write(key.fd, rest[:CHUNK]) :]
                        if rest:
                            continue
                    ready.unregister(child.stdin)
                    child.stdin.close()
                elif chunk := os.read(key.fd, CHUNK):
                    key.data.extend(chunk)
                else:
                    ready.unregister(key.fileobj)
            del err[:-ERRORS]
            if len(out) > cap:
                raise Flooded
    return bytes(out), bytes(err)
