"""Choose a sandbox, and prove on this machine, by trying, that it keeps in what it must."""

import json
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from stations.box import Box, NoSandbox, Sandbox, SandboxError
from stations.bubblewrap import LAUNCHER_ENV, REMEDY, Bubblewrap
from stations.docker_box import ENGINE, REPOSITORY, Docker, connect, engine_at
from stations.limits import Limits
from stations.plain import Plain
from stations.shell import start
from stations.tools import (
    Surroundings,
    SurroundingsError,
    Tool,
    ToolMissingError,
    resolve,
)
from worktrees.shadow import Mount

__all__ = [
    "Box",
    "Bubblewrap",
    "Docker",
    "DockerOptions",
    "Finding",
    "NoSandbox",
    "Plain",
    "Sandbox",
    "SandboxError",
    "Surroundings",
    "SurroundingsError",
    "Tool",
    "ToolMissingError",
    "choose",
    "listening",
    "preflight",
    "resolve",
]

SandboxKind = Literal["auto", "bubblewrap", "docker", "none"]
WHERE: Final = "/usr/local/bin:/usr/bin:/bin"
"""Where the sandboxes' programs are."""
_CANARY: Final = "factory-canary-6d1c0e"
_PLACE: Final = "/factory-preflight/checkout"
_SECONDS: Final = 10.0
_START: Final = "start the sandbox"
# Each line of the answer is one attempt: its name, whether it was prevented, what happened.
_PROBE: Final = """
import ctypes, glob, json, os, socket, sys
place, port, name, canary = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4].encode()
libc = ctypes.CDLL(None, use_errno=True)
def called(code):
    if code:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
def write(path):
    with open(path, "w") as file:
        file.write("x")
def tcp(host):
    with socket.create_connection((host, port), 0.5):
        pass
def abstract():
    with socket.socket(socket.AF_UNIX) as talk:
        talk.connect(chr(0) + name)
def out():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as talk:
        talk.sendto(b"x", ("192.0.2.1", 9))
def remount(path):
    called(libc.mount(b"none", path.encode(), None, 4096 | 32, None))
def unmount():
    called(libc.umount2((place + "/scope").encode(), 2))
def secrets():
    for path in glob.glob("/proc/[0-9]*/environ"):
        with open(path, "rb") as file:
            if canary in file.read():
                return
    raise PermissionError("no canary in any environment")
def settings():
    # Opened and never written: were it let in, the host's kernel would keep what was said.
    os.close(os.open("/proc/sys/kernel/core_pattern", os.O_WRONLY))
def capable():
    with open("/proc/self/status") as file:
        caps = [line for line in file if line.startswith("CapEff")][0]
    if int(caps.split()[1], 16) == 0:
        raise PermissionError("no capability")
attempts = {
    "write outside the scope": lambda: write(place + "/outside"),
    "write to the root": lambda: write("/outside"),
    "write to the system": lambda: write("/usr/outside"),
    "remount the tree writable": lambda: remount(place),
    "unmount the scope": unmount,
    "hold a capability": capable,
    "create a user namespace": lambda: called(libc.unshare(0x10000000)),
    "reach the host's loopback": lambda: tcp("127.0.0.1"),
    "reach the host's abstract sockets": abstract,
    "reach the network": out,
    "read the factory's environment": secrets,
    "change the kernel's settings": settings,
}
for what, attempt in attempts.items():
    try:
        attempt()
        told = [what, False, "it worked"]
    except OSError as error:
        told = [what, True, str(error)]
    print(json.dumps(told), flush=True)
write(place + "/scope/inside")
print(json.dumps(["write inside the scope", True, "works"]))
found = [p + "/git" for p in os.environ["PATH"].split(":") if os.access(p + "/git", os.X_OK)]
found += [] if found else ["not on PATH: an image of yours must hold sh, git and python3"]
print(json.dumps(["find git inside", found[0].startswith("/"), found[0]]))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was tried in a sandbox, whether it went as it must, and what happened."""

    name: str
    ok: bool
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DockerOptions:
    """What a person says about the docker sandbox: the engine's address and an image of theirs."""

    engine: str | None = None
    image: str | None = None


def choose(
    kind: SandboxKind,
    *,
    nodes: Path | None = None,
    docker: DockerOptions | None = None,
    repository: Path | None = None,
    where: str = WHERE,
) -> Sandbox:
    """Give the sandbox of a kind; raises ``NoSandbox`` with the fix when there is none here.

    ``auto`` is bubblewrap, else docker, else nothing. ``nodes`` is a directory of ours in which it
    may keep device nodes of its own; ``repository`` is what containers are labelled with; ``where``
    is the path on which bubblewrap's program is looked for.
    """
    wanted = docker or DockerOptions()
    match kind:
        case "none":
            return Plain()
        case "docker":
            return _docker(wanted, repository)
        case "bubblewrap" | "auto":
            found = shutil.which("bwrap", path=where)
            if found is not None:
                return Bubblewrap(program=Path(found), nodes=nodes)
            missing = f"bwrap was not found in {where}: {REMEDY}"
            if kind == "bubblewrap":
                raise NoSandbox(missing)
            try:
                return _docker(wanted, repository)
            except NoSandbox as error:
                msg = f"{missing}. Or use docker: {error}"
                raise NoSandbox(msg) from error


def listening(docker: DockerOptions, repository: Path) -> Docker | None:
    """Give what finds and sweeps a repository's containers, never what runs a box.

    None where no engine listens that this user may talk to: then none is this user's either.
    """
    try:
        found = engine_at(docker.engine or ENGINE)
    except NoSandbox:
        return None
    return Docker(engine=found, labels={REPOSITORY: str(repository)})


def _docker(wanted: DockerOptions, repository: Path | None) -> Docker:
    labels = {} if repository is None else {REPOSITORY: str(repository)}
    return Docker(engine=connect(wanted.engine or ENGINE, image=wanted.image), labels=labels)


def preflight(sandbox: Sandbox, scratch: Path) -> tuple[Finding, ...]:
    """Start the sandbox once and try to break out; every attempt must fail.

    ``scratch`` is a directory of ours in which a small tree is made meanwhile.
    """
    if not sandbox.contains:
        return (Finding(name="sandbox", ok=True, detail="none: nothing is kept in, as asked for"),)
    python = resolve(sys.executable, Path(_PLACE), Surroundings())
    with _tree(scratch) as tree, _listeners() as (port, name), _planted():
        box = Box(
            argv=(python.path, "-I", "-S", "-c", _PROBE, _PLACE, str(port), name, _CANARY),
            checkout=_PLACE,
            mounts=(
                Mount(source=tree, target=_PLACE, writable=False),
                Mount(source=tree / "scope", target=f"{_PLACE}/scope", writable=True),
                *python.mounts,
            ),
            path=python.path_entries,
            limits=Limits(cpu_seconds=10),
        )
        try:
            ran = sandbox.run(box, deadline=_SECONDS)
        except SandboxError as error:
            return (Finding(name=_START, ok=False, detail=f"{error}; {sandbox.remedy}"),)
        if (tree / "outside").exists():
            return (Finding(name="write outside the scope", ok=False, detail="the file is there"),)
    found = tuple(_finding(line) for line in ran.out.decode("utf-8", "replace").splitlines())
    if not ran.good:
        why = ran.text.strip() or f"it ended by {ran.ended}, code {ran.code}"
        return (*found, Finding(name=_START, ok=False, detail=f"{why}; {sandbox.remedy}"))
    return found


def _finding(line: str) -> Finding:
    name, ok, detail = json.loads(line)
    return Finding(name=str(name), ok=ok is True, detail=str(detail))


@contextmanager
def _tree(scratch: Path) -> Iterator[Path]:
    scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="preflight-", dir=scratch) as made:
        (Path(made) / "scope").mkdir()
        yield Path(made)


@contextmanager
def _listeners() -> Iterator[tuple[int, str]]:
    """Listen on the host where a sandbox must not be heard."""
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_UNIX) as unix:
        name = f"factory-preflight-{tcp.getsockname()[1]}"
        unix.bind(f"\0{name}")
        unix.listen()
        yield tcp.getsockname()[1], name


@contextmanager
def _planted() -> Iterator[None]:
    """Keep a process on the host that holds the canary, as the factory holds its keys."""
    with start(["/bin/cat"], env={**LAUNCHER_ENV, "CANARY": _CANARY}, deadline=_SECONDS * 2):
        yield
