"""A docker engine of the tests' own: real, private, without a network, ended with its test session.

It is there when `dockerd` is installed and this process may start it; else there is a reason.
"""

import os
import shutil
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.run import Child, end, run, start

_WHERE = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_WITHIN = 20.0


class NoEngineError(Exception):
    """No engine can be started here; the message says why."""


@contextmanager
def engine() -> Iterator[str]:
    """Give the address of a fresh engine without an image, a bridge or a rule of its own."""
    if shutil.which("dockerd", path=_WHERE) is None:
        msg = "dockerd is not installed (Debian and Ubuntu: apt-get install docker.io)"
        raise NoEngineError(msg)
    if os.geteuid() != 0:
        msg = "only uid 0 can start a private dockerd"
        raise NoEngineError(msg)
    place = Path(tempfile.mkdtemp(prefix="factory-dockerd-"))  # the path of a socket is short
    child = begun(place)
    try:
        if not _until(lambda: child.poll() is not None or answers(place / "s")):
            msg = "dockerd does not answer"
            raise NoEngineError(msg)
        if child.poll() is not None:
            said = (place / "log").read_text(errors="replace").splitlines()[-1:]
            msg = f"dockerd does not start here: {said}"
            raise NoEngineError(msg)
        yield f"unix://{place}/s"
    finally:
        _stop(child)
        _end_parts(place)
        for line in reversed(Path("/proc/self/mountinfo").read_text().splitlines()):
            mounted = line.split()[4]
            if mounted.startswith(f"{place}/"):
                run(["umount", "-l", mounted])
        shutil.rmtree(place)


def begun(place: Path, name: str = "first") -> Child:
    """Start an engine that listens in a directory, with a store of its own there."""
    _end_parts(place)
    (place / "pid").unlink(missing_ok=True)
    words = [
        "dockerd",
        "--data-root",
        f"{place}/{name}/data",
        "--exec-root",
        f"{place}/{name}/exec",
    ]
    words += ["--pidfile", f"{place}/pid", "--host", f"unix://{place}/s"]
    words += ["--bridge=none", "--iptables=false"]
    quiet = ["/bin/sh", "-c", 'exec "$@" >>"$0" 2>&1 </dev/null', f"{place}/log"]
    # Should the tests be killed, it ends too.
    return start(["setpriv", "--pdeathsig", "TERM", *quiet, *words], env={"PATH": _WHERE})


def place_of(address: str) -> Path:
    """Give the directory of an engine of ours by its address."""
    return Path(address.removeprefix("unix://")).parent


def answers(path: Path) -> bool:
    """Say whether an engine answers at a socket."""
    if not path.is_socket():
        return False
    with socket.socket(socket.AF_UNIX) as talk:
        talk.settimeout(_WITHIN)
        try:
            talk.connect(str(path))
            talk.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
            return b" 200 " in talk.recv(64)
        except ConnectionError:  # it starts, or is just going away
            return False


def _stop(child: Child) -> None:
    if child.poll() is None:
        os.kill(child.pid, signal.SIGTERM)
        _until(lambda: child.poll() is not None)
    end(child)


def _end_parts(place: Path) -> None:
    """End the engine's own children, which outlive it when it was killed."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if f"{place}/".encode() in (process / "cmdline").read_bytes():
                os.kill(int(process.name), signal.SIGKILL)


def _until(true: Callable[[], bool]) -> bool:
    ends = time.monotonic() + _WITHIN
    while not (now := true()) and time.monotonic() < ends:
        threading.Event().wait(0.02)
    return now
