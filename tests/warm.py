"""The command line in a process of its own, forked from one that has its imports already.

Such a process is real in all that the system tests look at: its own pid, session, directory,
environment, descriptors, and end. What it saves is the start of the interpreter and the imports,
of which the suite would pay hundreds. The plain start is tested by whoever gives a prefix, by
tests/factory/test_looking.py and by tests/test_project.py.
"""

import atexit
import gc
import importlib
import json
import os
import selectors
import signal
import socket
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Final
from uuid import uuid4

LOADED: Final = (
    "factory.__main__",
    "factory.calls",
    "factory.forecast",
    "factory.outgoing",
    "factory.proving",
    "factory.shift",
    "factory.views.documents",
    "factory.views.show",
    "anthropic",
    "github",
    "rich.console",
    "rich.table",
)
"""What the forked process need not import."""
LONGEST: Final = 100_000


class Warm:
    """A command line at work; it can be asked and ended as any started program."""

    stdin = None

    def __init__(self, words: Sequence[str], *, cwd: Path, env: Mapping[str, str]) -> None:
        self.returncode: int | None = None
        self.stdout = tempfile.TemporaryFile()  # noqa: SIM115  `tests.run.end` closes both
        self.stderr = tempfile.TemporaryFile()  # noqa: SIM115
        self._link = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._link.connect(f"\0{_nursery()}")
        order = json.dumps({"words": list(words), "cwd": str(cwd), "env": dict(env)}).encode()
        files = [self.stdout.fileno(), self.stderr.fileno()]
        socket.send_fds(self._link, [order], files)
        self.pid = self._told(None)

    def poll(self) -> int | None:
        """Give the exit code (negative: the signal), None while it runs."""
        with suppress(TimeoutError, BlockingIOError):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it has ended and give its exit code."""
        if self.returncode is None:
            self.returncode = self._told(timeout)
            self._link.close()
        return self.returncode

    def communicate(self, stdin: bytes = b"", timeout: float | None = None) -> tuple[bytes, bytes]:
        """Wait until it has ended and give both outputs; it reads nothing."""
        assert not stdin
        self.wait(timeout)
        for file in (self.stdout, self.stderr):
            file.seek(0)
        return self.stdout.read(), self.stderr.read()

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal to it alone, where it still runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def _told(self, timeout: float | None) -> int:
        self._link.settimeout(timeout)
        told = self._link.recv(100)
        assert told, "the process that forks command lines has died"
        return int(told)


@cache
def _nursery() -> str:
    """Start the process that forks, for as long as this one lives, and give its socket's name."""
    from tests.run import ROOT, end, start

    name = f"factory-tests-{uuid4().hex}"
    env = {"PYTHONPATH": str(ROOT), "PYTHONSAFEPATH": "1"}
    child = start([sys.executable, "-m", "tests.warm", name], cwd=ROOT, env=env)
    atexit.register(end, child)
    assert child.stdout is not None
    assert child.stdout.readline() == b"ready\n", "the imports of the command line failed"
    return name


def _serve(name: str) -> Sequence[str]:
    """Fork a process for each order; only in a forked one does this come back, with its words."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(f"\0{name}")
    listener.listen()
    asked = selectors.DefaultSelector()
    asked.register(listener, selectors.EVENT_READ)
    asked.register(0, selectors.EVENT_READ)
    at_work: dict[int, tuple[int, socket.socket]] = {}
    gc.freeze()
    os.write(1, b"ready\n")
    while True:
        for key, _ in asked.select():
            if key.fd == 0:
                sys.exit()
            if key.fd in at_work:
                pid, link = at_work.pop(key.fd)
                asked.unregister(key.fd)
                os.close(key.fd)
                _, status = os.waitpid(pid, 0)
                with suppress(BrokenPipeError, ConnectionResetError):
                    link.send(str(os.waitstatus_to_exitcode(status)).encode())
                link.close()
                continue
            link, _ = listener.accept()
            text, files, _, _ = socket.recv_fds(link, LONGEST, 2)
            pid = os.fork()
            if pid == 0:
                for fd, (_, other) in at_work.items():
                    os.close(fd)
                    other.close()
                asked.close()
                listener.close()
                return _become(json.loads(text), files, link)
            for fd in files:
                os.close(fd)
            watched = os.pidfd_open(pid)
            at_work[watched] = pid, link
            asked.register(watched, selectors.EVENT_READ)


def _become(
    order: Mapping[str, object], files: Sequence[int], link: socket.socket
) -> Sequence[str]:
    """Turn this process into the one that was ordered."""
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDONLY)
    for number, fd in enumerate((nothing, *files)):
        os.dup2(fd, number)
        os.close(fd)
    os.chdir(str(order["cwd"]))
    env = order["env"]
    assert isinstance(env, dict)
    os.environ.clear()  # noqa: TID251  it becomes another process
    os.environ.update(env)  # noqa: TID251
    words = order["words"]
    assert isinstance(words, list)
    link.send(str(os.getpid()).encode())
    link.close()
    return words


if __name__ == "__main__":
    for name in LOADED:
        importlib.import_module(name)
    sys.argv = [sys.modules["factory.__main__"].__file__ or "", *_serve(sys.argv[1])]
    sys.modules["factory.__main__"].main()
