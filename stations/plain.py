"""No sandbox: plain processes under a supervisor. Only for ``--no-sandbox`` on the command line.

It keeps in neither files, network nor secrets. What is left is the environment that is built, a
supervisor that ends orphans too, the policy, exact-tree tests and the compare-and-swap.
"""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Unpack

from typing_extensions import override

from stations.box import Box, Sandbox
from stations.cgroup import bounded
from stations.shell import Options, Running, start
from worktrees.git import FACTORY_IDENTITY
from worktrees.shadow import GIT_INSIDE, Mount

# It becomes the parent of every orphan (PR_SET_CHILD_SUBREAPER), so a double fork does not escape.
# The death of the factory reaches it as SIGTERM (PR_SET_PDEATHSIG), or had come already.
_SUPERVISOR: Final = """
import ctypes, os, signal, sys
libc = ctypes.CDLL(None, use_errno=True)
if libc.prctl(36, 1, 0, 0, 0):
    sys.exit(125)
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGCHLD})
libc.prctl(1, signal.SIGTERM, 0, 0, 0)
if os.getppid() != int(sys.argv.pop(1)):
    sys.exit(125)
main = os.fork()
if main == 0:
    libc.prctl(1, signal.SIGKILL, 0, 0, 0)
    signal.pthread_sigmask(signal.SIG_SETMASK, set())
    try:
        os.execvpe(sys.argv[1], sys.argv[1:], os.environ)
    except OSError as error:
        sys.stderr.write(f"{sys.argv[1]}: {error.strerror}\\n")
        os._exit(127)
def children():
    with open(f"/proc/self/task/{os.getpid()}/children") as file:
        return [int(word) for word in file.read().split()]
def reap(status):
    while True:
        try:
            pid, ended = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return status
        if pid == 0:
            return status
        if pid == main:
            status = ended
status = None
while status is None:
    if signal.sigwait({signal.SIGTERM, signal.SIGCHLD}) == signal.SIGTERM:
        break
    status = reap(status)
while True:
    status = reap(status)
    left = children()
    if not left:
        break
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    signal.sigtimedwait({signal.SIGCHLD}, 0.05)
code = os.waitstatus_to_exitcode(status) if status is not None else 143
if code < 0:
    signal.signal(-code, signal.SIG_DFL) if -code not in (9, 19) else None
    signal.pthread_sigmask(signal.SIG_SETMASK, set())
    os.kill(os.getpid(), -code)
sys.exit(code)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plain(Sandbox):
    """Runs boxes as plain processes of this user; mounts only say where things lie."""

    name: str = "none"
    contains: bool = False

    @override
    def place(self, tree: Path, checkout: Path) -> Path:
        """Give the tree's own place: without a sandbox it cannot stand anywhere else."""
        return tree

    @override
    @contextmanager
    def open(
        self,
        box: Box,
        *,
        stdin: bytes | None = None,
        **options: Unpack[Options],
    ) -> Iterator[Running]:
        """Start a box that is talked to; its processes are gone when the context is left."""
        where = {mount.target: mount.source for mount in box.mounts}
        _tell_objects(where)
        home = where.get("/.factory/home", Path("/nonexistent"))
        with (
            bounded(box.limits) as limits,
            start(
                [sys.executable, "-I", "-S", "-c", _SUPERVISOR, str(os.getpid()), *box.argv],
                env=_environment(box, where, home),
                cwd=box.checkout,
                stdin=stdin,
                limits=limits,
                **options,
            ) as running,
        ):
            yield running


def _environment(box: Box, where: Mapping[str, Path], home: Path) -> dict[str, str]:
    env = {
        "PATH": ":".join(box.path or ("/usr/bin", "/bin")),
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_AUTHOR_NAME": FACTORY_IDENTITY.name,
        "GIT_AUTHOR_EMAIL": FACTORY_IDENTITY.email,
        "GIT_COMMITTER_NAME": FACTORY_IDENTITY.name,
        "GIT_COMMITTER_EMAIL": FACTORY_IDENTITY.email,
    }
    if GIT_INSIDE in where:
        # The tree's own .git file names the user's repository: it must not be what git finds.
        env |= {"GIT_DIR": GIT_INSIDE, "GIT_WORK_TREE": box.checkout}
    return {name: _on_host(value, where) for name, value in {**env, **box.env}.items()}


def _on_host(value: str, where: Mapping[str, Path]) -> str:
    for target in sorted(where, key=len, reverse=True):
        if value == target or value.startswith(f"{target}/"):
            return f"{where[target]}{value[len(target) :]}"
    return value


def _tell_objects(where: Mapping[str, Path]) -> None:
    """Name the host's object directories in a private git dir that names them as mounted."""
    if GIT_INSIDE not in where:
        return
    listed = where[GIT_INSIDE] / "objects" / "info" / "alternates"
    lines = listed.read_text("utf-8").splitlines()
    listed.write_text("".join(f"{_on_host(line, where)}\n" for line in lines), "utf-8")


def home_mount(home: Path) -> Mount:
    """Give the mount that names a private home on the host for boxes of this kind."""
    return Mount(source=home, target="/.factory/home", writable=True)
