"""The bubblewrap sandbox: namespaces without any capability, nothing of the host but the mounts."""

import ctypes
import errno
import json
import os
import platform
import select
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import Final, Unpack

from typing_extensions import override

from stations.box import (
    ETC,
    SHARED_MEMORY_BYTES,
    SYSTEM_LINKS,
    TEMPORARY,
    Box,
    NotStarted,
    Sandbox,
    SandboxError,
)
from stations.cgroup import bounded, controllers
from stations.devices import own_nodes
from stations.limits import Limits
from stations.shell import Options, Running, start

LAUNCHER_ENV: Final = {"PATH": "/usr/bin:/bin"}
"""All that the launcher's own environment holds: a sandbox can read it in /proc/1/environ."""
REMEDY: Final = (
    "install bubblewrap (Debian and Ubuntu: `sudo apt-get install bubblewrap`, Fedora: "
    "`sudo dnf install bubblewrap`). Where user namespaces are blocked (Ubuntu 24.04): "
    "`sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0`, or load the AppArmor profile "
    "bwrap-userns-restrict"
)
"""What to do where bubblewrap is missing or is not let work."""
_EMPTY_WITHIN: Final = 2.0
_KEYCTL: Final = {"x86_64": 250, "aarch64": 219}
_JOIN_SESSION: Final = 1
_NO_KEYS: Final = frozenset({errno.ENOSYS, errno.EPERM, errno.EACCES})
# The first word proves that the sandbox stood before the program could say anything. Processes are
# counted per user namespace when the limit is set inside it; dash says -p where others say -u.
_INNER: Final = """
[ "$2" -eq 0 ] || ulimit -u "$2" 2>/dev/null || ulimit -p "$2" || exit 125
echo "$1" >&2 || exit 125; shift 2; exec "$@"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bubblewrap(Sandbox):
    """Runs boxes under one ``bwrap`` program of the host.

    ``nodes`` is a directory of ours for private device nodes, which only uid 0 needs.
    """

    program: Path = Path("/usr/bin/bwrap")
    nodes: Path | None = None
    name: str = "bubblewrap"
    contains: bool = True

    @property
    @override
    def remedy(self) -> str:
        """Give how bubblewrap is installed, and how user namespaces are allowed."""
        return REMEDY

    @override
    def place(self, tree: Path, checkout: Path) -> Path:
        """Give the checkout's own path: absolute paths in a shared environment then mean a tree."""
        return checkout

    @override
    @contextmanager
    def open(
        self,
        box: Box,
        *,
        stdin: bytes | None = None,
        **options: Unpack[Options],
    ) -> Iterator[Running]:
        """Start a box that is talked to; its namespace is empty when the context is left."""
        greeting = token_hex(16)
        with bounded(box.limits) as limits:
            info, told = os.pipe()
            try:
                _leave_keys()
                running = start(
                    self.line(box, info=told, greeting=greeting),
                    env=LAUNCHER_ENV,
                    cwd="/",
                    stdin=stdin,
                    limits=limits,
                    **options,
                    pass_fds=(told,),
                    greeting=f"{greeting}\n".encode(),
                    kept=True,
                )
            except BaseException:
                os.close(info)
                raise
            finally:
                os.close(told)
            with running, _emptied(running, info):
                yield running
                ran = running.end()
                if not running.greeted and ran.ended == "exit":
                    msg = f"the sandbox did not start: {ran.text.strip()[-1000:]}"
                    raise NotStarted(msg)

    def line(self, box: Box, *, info: int, greeting: str) -> list[str]:
        """Give the whole command line; bwrap names its first process on the descriptor ``info``."""
        return [
            *(str(self.program), "--unshare-all", *(["--share-net"] if box.network else [])),
            *("--unshare-user", "--disable-userns", "--cap-drop", "ALL", "--die-with-parent"),
            *("--new-session", "--clearenv", "--info-fd", str(info)),
            *_system(network=box.network),
            *(() if self.nodes is None else _devices(self.nodes)),
            *_shown(box),
            *_environment(box),
            # The owner of the kernel's settings may write them without any capability: with uid 0
            # on the host one line to core_pattern would run a program there.
            *("--remount-ro", "/proc", "--remount-ro", "/dev", "--remount-ro", "/"),
            *("--chdir", box.checkout, "--"),
            *("/bin/sh", "-c", _INNER, "sh", greeting, str(_few_processes(box.limits))),
            *box.argv,
        ]


def _system(*, network: bool) -> list[str]:
    words = ["--ro-bind", "/usr", "/usr"]
    for name in SYSTEM_LINKS:
        place = Path("/", name)
        if place.is_symlink():
            words += ["--symlink", str(place.readlink()), str(place)]
        elif place.is_dir():
            words += ["--ro-bind", str(place), str(place)]
    for name in (*ETC, *(["resolv.conf"] if network else [])):
        words += ["--ro-bind-try", f"/etc/{name}", f"/etc/{name}"]
    words += ["--proc", "/proc", "--dev", "/dev"]
    return [*words, "--size", str(SHARED_MEMORY_BYTES), "--tmpfs", "/dev/shm"]  # noqa: S108 - its own


def _devices(nodes: Path) -> list[str]:
    bound = own_nodes(nodes)
    return [word for own, place in bound for word in ("--dev-bind", str(own), place)]


def _shown(box: Box) -> list[str]:
    size = str(box.tmpfs_bytes)
    shown = {TEMPORARY: ["--perms", "1777", "--size", size, "--tmpfs", TEMPORARY]}
    for mount in box.mounts:
        kind = "--bind" if mount.writable else "--ro-bind"
        shown[mount.target] = [kind, str(mount.source), mount.target]
    for target in box.scratch:
        shown[target] = ["--size", size, "--tmpfs", target]
    ordered = sorted(shown, key=lambda target: len(Path(target).parts))
    return [word for target in ordered for word in shown[target]]


def _environment(box: Box) -> list[str]:
    return [word for name, value in box.variables.items() for word in ("--setenv", name, value)]


def _leave_keys() -> None:
    """Give the calling thread, and so what it starts, an empty session keyring.

    No namespace holds keyrings apart: a sandbox could read every key of the session by its number.
    Where the kernel lets nobody have keys there is nothing to leave.
    """
    call = _KEYCTL.get(platform.machine())
    if call is None:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(call, _JOIN_SESSION, None) < 0 and ctypes.get_errno() not in _NO_KEYS:
        msg = f"no empty keyring for the sandbox: {os.strerror(ctypes.get_errno())}"
        raise SandboxError(msg)


def _few_processes(limits: Limits) -> int:
    counted = controllers().pids is not None or os.geteuid() == 0
    return 0 if counted else limits.processes


@contextmanager
def _emptied(running: Running, info: int) -> Iterator[None]:
    """Wait at the end until the sandbox's first process is gone, which is the last one to go."""
    init: int | None = None
    try:
        init = _first_process(info)
        yield
    finally:
        os.close(info)
        running.end()
        if init is not None:
            try:
                _await_gone(init)
            finally:
                os.close(init)


def _first_process(info: int) -> int | None:
    said = b""
    while select.select([info], [], [], 10.0)[0] and (data := os.read(info, 4096)):
        said += data
    with suppress(ValueError, KeyError, ProcessLookupError):
        return os.pidfd_open(int(json.loads(said)["child-pid"]))
    return None  # it did not start, or it has ended already


def _await_gone(init: int) -> None:
    for again in (True, False):
        if select.select([init], [], [], _EMPTY_WITHIN)[0]:
            return
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(init, signal.SIGKILL)
        if not again:
            msg = "a process in a sandbox does not end, not even when it is killed"
            raise SandboxError(msg)
