"""The docker sandbox: one hardened container for each box, on an engine of this machine.

A container shows what it is given and nothing else: an image of ours without any file, the host's
`/usr` read-only, the mounts of its box. Which directories those are is fixed when it is made, so no
container serves two boxes, and its program is its only command: an `exec` in a container that runs
already saves 0.13 s of 0.19 (measured), and what it leaves behind would outlive the call.
"""

import hashlib
import io
import os
import re
import secrets
import select
import signal
import socket
import tarfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Final, Unpack

from typing_extensions import override

from stations import living
from stations.box import (
    ETC,
    SHARED_MEMORY_BYTES,
    SYSTEM_LINKS,
    TEMPORARY,
    Box,
    NoSandbox,
    NotStarted,
    Sandbox,
    SandboxError,
)
from stations.keeper import KEEPER
from stations.limits import Limits
from stations.ran import printable
from stations.shell import Ends, Options, Running
from worktrees.shadow import Mount

if TYPE_CHECKING:
    from docker import APIClient

ENGINE: Final = "unix:///var/run/docker.sock"
"""Where an engine listens when nobody says otherwise."""
REPOSITORY: Final = "factory.repo"
RUN: Final = "factory.run"
PROCESS: Final = "factory.process"
"""The labels of our containers: whose they are, so that nobody else's is ever removed."""
_IMAGE: Final = "coding-agent-factory/empty"
_NOT_STARTED: Final = "the sandbox did not start"
_NO_USE: Final = "nothing can run in a container of the docker engine at"
_TIMEOUT: Final = 60
"""Seconds in which an engine that is at work must answer."""
_SPEAKS_WITHIN: Final = 10
"""Seconds in which an engine must answer the first question."""
_ENDS_WITHIN: Final = 1.0
_GONE_WITHIN: Final = 10.0
_WORDS: Final = 1_000
_GONE: Final = frozenset({404, 409})
_CHUNK: Final = 65_536
_HEADER: Final = 8
_OLDEST: Final = "1.40"
"""The API of docker 19.03, the first with mounts that do not recur."""
_STDOUT: Final = 1
# uid 0 owns what the kernel lets it set, whatever capability it lacks, and docker's own `/dev` and
# `/sys` hold file systems in memory without a limit.
_READ_ONLY: Final = ("/proc", "/dev")
_HIDDEN: Final = (
    *("/sys", "/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats"),
    *("/proc/sched_debug", "/proc/scsi", "/proc/timer_list", "/proc/timer_stats"),
)
# The first process must not be the program: it would have to take in every orphan, and signals
# mean something else to it. A program that an image has elsewhere is found by its name, and a
# python of another version than the host's by the name that all of them have.
_INNER: Final = """
echo "$1" >&2 || exit 125; shift
case $1 in /*) [ -e "$1" ] || {
  name=${1##*/}; shift
  case $name in python3.*) command -v "$name" >/dev/null || name=python3 ;; esac
  set -- "$name" "$@"
} ;; esac
"$@"; exit $?
"""
_AGAIN: Final = "see to it that the engine runs, then `factory resume`"
_OWN_REMEDY: Final = "an image of yours must hold sh, git and python3"
_REMEDY: Final = (
    "start an engine (`sudo systemctl start docker`; Debian and Ubuntu install one with "
    "`sudo apt-get install docker.io`), let this user use it (`sudo usermod -aG docker $USER`, "
    'then log in again), or name its socket: [sandbox.docker] engine = "unix:///path"'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Docker(Sandbox):
    """Runs boxes in containers of one engine, labelled so that what is left can be found."""

    engine: "Engine"
    labels: Mapping[str, str] = field(default_factory=dict)
    name: str = "docker"
    contains: bool = True

    @property
    @override
    def stamp(self) -> str:
        """Give a user's image, on which all programs run; ours shows the host's own."""
        return self.engine.image if self.engine.foreign else ""

    @property
    @override
    def remedy(self) -> str:
        """Give how an engine is installed and reached."""
        return self.engine.remedy

    @override
    def place(self, tree: Path, checkout: Path) -> Path:
        """Give the checkout's own path: absolute paths in a shared environment then mean a tree."""
        return checkout

    @override
    def of_run(self, run: str) -> "Docker":
        """Give the same sandbox with a run's label on all containers."""
        return replace(self, labels={**self.labels, RUN: run})

    def sweep(self) -> tuple[str, ...]:
        """Remove the containers of this repository whose factory is gone, and give their names."""
        found = self.left()
        with _answered("a container that was left is not removed"), self.engine.client() as client:
            for name in found:
                _remove(client, name)
        return found

    def left(self) -> tuple[str, ...]:
        """Give the names of the containers of this repository whose factory is gone.

        Whoever made one is known by pid namespace, pid and start time; what was made in another
        namespace cannot be judged from here and is left alone.
        """
        if REPOSITORY not in self.labels:
            return ()
        filters = {"label": [f"{REPOSITORY}={self.labels[REPOSITORY]}", PROCESS]}
        with _answered("the docker engine says no names"), self.engine.client() as client:
            listed = client.containers(all=True, filters=filters)
        return tuple(
            str(one["Names"][0]).removeprefix("/")
            for one in listed
            if one.get("Names") and not living.lives(str(one["Labels"][PROCESS]))
        )

    @override
    @contextmanager
    def open(
        self,
        box: Box,
        *,
        stdin: bytes | None = None,
        **options: Unpack[Options],
    ) -> Iterator[Running]:
        """Start a box that is talked to; its container is gone when the context is left."""
        greeting, name = secrets.token_hex(16), f"factory-{os.getpid()}-{secrets.token_hex(6)}"
        wanted = self._container(box, greeting=greeting, listens=stdin != b"")
        with self.engine.client() as client, _made(self.engine, client, name, wanted):
            with _answered(self.engine.failed, NotStarted):
                ends = _Container(self.engine, client, name, listens=stdin != b"")
            try:
                _start(self.engine, client, name)
            except BaseException:
                ends.close()
                raise
            said = f"{greeting}\n".encode()
            with Running(ends, stdin=stdin, greeting=said, **options) as running:
                yield running
                ran = running.end()
                if not running.greeted and ran.ended == "exit":
                    msg = f"{_NOT_STARTED}: {ran.text.strip()[-1000:]}"
                    raise NotStarted(msg)

    def _container(self, box: Box, *, greeting: str, listens: bool) -> dict[str, object]:
        """Give a container in the words of the engine's API."""
        engine, env = self.engine, box.variables
        if engine.own_path:
            env["PATH"] = f"{env['PATH']}:{engine.own_path}"
        return {
            "Image": engine.image,
            "Entrypoint": ["/bin/sh", "-c", _INNER, "sh", greeting],
            "Cmd": list(box.argv),
            "Env": [f"{name}={value}" for name, value in env.items()],
            "User": engine.user,
            "WorkingDir": box.checkout,
            "Hostname": "sandbox",
            "Labels": {**self.labels, PROCESS: living.this_process()},
            "OpenStdin": listens,
            "StdinOnce": listens,
            "AttachStdin": listens,
            "AttachStdout": True,
            "AttachStderr": True,
            "Tty": False,
            "Healthcheck": {"Test": ["NONE"]},
            "HostConfig": self._host(box),
        }

    def _host(self, box: Box) -> dict[str, object]:
        engine, limits = self.engine, box.limits
        disks = dict.fromkeys((*engine.volumes, TEMPORARY), "mode=1777")
        shown = {mount.target: mount for mount in (*engine.system(), *box.mounts)}
        disks = {target: mode for target, mode in disks.items() if target not in shown}
        disks |= dict.fromkeys(box.scratch, engine.owned)
        shown = {target: mount for target, mount in shown.items() if target not in disks}
        return {
            "NetworkMode": "host" if box.network else "none",
            "IpcMode": "private",
            "UsernsMode": engine.namespace,
            "Privileged": False,
            "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges"],
            "ReadonlyRootfs": True,
            "ReadonlyPaths": list(_READ_ONLY),
            "MaskedPaths": list(_HIDDEN),
            "Init": False,
            "AutoRemove": False,
            "RestartPolicy": {"Name": "no"},
            "LogConfig": {"Type": "none"},
            "ShmSize": SHARED_MEMORY_BYTES,
            "Tmpfs": {
                target: f"rw,exec,nosuid,nodev,size={box.tmpfs_bytes},{mode}"
                for target, mode in disks.items()
            },
            "Mounts": [_bind(mount) for mount in _with_inner(shown)],
            "Memory": limits.memory_bytes,
            "MemorySwap": limits.memory_bytes,
            "PidsLimit": limits.processes or -1,
            "Ulimits": _ulimits(limits),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """An engine that answered: where it listens, which image it has for us, who we are inside.

    ``own_path`` and ``volumes`` are what a user's image says of itself; ours says nothing.
    """

    address: str
    version: str
    image: str
    user: str
    namespace: str = ""
    own_path: str = ""
    volumes: tuple[str, ...] = ()
    foreign: bool = False
    remedy: str = _REMEDY

    @property
    def socket(self) -> str:
        """The path of its socket."""
        return _socket(self.address)

    @property
    def failed(self) -> str:
        """How it is told that a container did not start."""
        return f"{_NOT_STARTED} in the docker engine at {self.address}"

    @property
    def lost(self) -> str:
        """How it is told that a container that ran is out of reach."""
        return f"the docker engine at {self.address} lost a container that was at work"

    @property
    def owned(self) -> str:
        """How a directory in memory is mounted that belongs to whoever works inside."""
        uid, gid = self.user.split(":")
        return f"mode=755,uid={uid},gid={gid}"

    @contextmanager
    def client(self, timeout: int = _TIMEOUT) -> Iterator["APIClient"]:
        """Give a client of its own: they are not made to be shared by threads."""
        from docker import APIClient

        client = APIClient(base_url=self.address, version=self.version, timeout=timeout)
        client.trust_env = False
        try:
            yield client
        finally:
            client.close()

    def system(self) -> tuple[Mount, ...]:
        """Give what is shown of the host's own system: nothing where the image brings one."""
        if self.foreign:
            return ()
        roots = [Path("/", name) for name in SYSTEM_LINKS]
        real = [root for root in roots if root.is_dir() and not root.is_symlink()]
        etc = [Path("/etc", name) for name in ETC if Path("/etc", name).exists()]
        return tuple(Mount(source=path, target=str(path)) for path in (Path("/usr"), *real, *etc))


def connect(address: str = ENGINE, *, image: str | None = None) -> Engine:
    """Give the engine that listens at an address of this machine; ``image`` is the user's own.

    Without one the engine is given ours, which holds no file; nothing is ever downloaded. Raises
    ``NoSandbox`` with what to do.
    """
    asked = engine_at(address)
    with _answered(f"{_NO_USE} {address}", NoSandbox, remedy=_REMEDY), asked.client() as client:
        facts = client.info()
        lacks = [what for what in ("MemoryLimit", "PidsLimit") if not facts.get(what)]
        if lacks or facts.get("OSType") != "linux":
            msg = (
                f"{_NO_USE} {address}: it cannot bound what runs in a container"
                f" ({', '.join(lacks) or facts.get('OSType')}); use an engine with the memory and"
                " the pids control groups, or bubblewrap"
            )
            raise NoSandbox(msg)
        options = {str(option).split(",")[0] for option in facts.get("SecurityOptions") or ()}
        own = _own_image(client, image) if image is not None else None
        return replace(
            asked,
            image=_empty_image(client) if own is None else own.identity,
            # To a rootless engine the host's user is uid 0 of its containers.
            user="0:0" if "name=rootless" in options else f"{os.geteuid()}:{os.getegid()}",
            namespace="host" if "name=userns" in options else "",
            own_path="" if own is None else own.path,
            volumes=() if own is None else own.volumes,
            foreign=own is not None,
            remedy=_REMEDY if own is None else _OWN_REMEDY,
        )


def engine_at(address: str) -> Engine:
    """Give the engine at an address as far as is needed to look at its containers.

    Raises ``NoSandbox``.
    """
    path = _socket(address)
    try:  # the client would not close a socket on which nobody listens
        with socket.socket(socket.AF_UNIX) as trial:
            trial.connect(path)
    except OSError as error:
        msg = f"no docker engine listens at {address}: {error.strerror or error}; {_REMEDY}"
        raise NoSandbox(msg) from error
    asked = Engine(address=address, version=_OLDEST, image="", user="")
    with (
        _answered(f"{_NO_USE} {address}", NoSandbox, remedy=_REMEDY),
        asked.client(_SPEAKS_WITHIN) as client,
    ):
        return replace(asked, version=str(client.version(api_version=False)["ApiVersion"]))


class _Container(Ends):
    """The ends of a container that is about to be started: one socket for all of its streams."""

    def __init__(self, engine: Engine, client: "APIClient", name: str, *, listens: bool) -> None:
        self._engine, self._client, self._name = engine, client, name
        wanted = {"stdin": int(listens), "stdout": 1, "stderr": 1, "stream": 1}
        answer = client.attach_socket(name, params=wanted)
        # The client's own object hides the socket; both are closed, only ours is used.
        self._answer, self._socket = answer, socket.socket(fileno=os.dup(answer.fileno()))
        self._socket.settimeout(0)
        self._input: int | None = os.dup(self._socket.fileno()) if listens else None
        self._death = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._header, self._left, self._is_out = b"", 0, False
        self._over = False
        self._killer: Thread | None = None
        self._asked_at = 0.0

    @property
    @override
    def pid(self) -> int:
        return 0

    @property
    @override
    def stdin(self) -> int | None:
        return self._input

    @property
    @override
    def outputs(self) -> tuple[int, ...]:
        return () if self._over else (self._socket.fileno(),)

    @property
    @override
    def death(self) -> int:
        return self._death

    @override
    def read(self, fd: int) -> Sequence[tuple[bool, bytes]] | None:
        try:
            data = self._socket.recv(_CHUNK)
        except BlockingIOError:
            return ()
        except ConnectionError:
            data = b""
        if data:
            return tuple(self._parted(data))
        self._over = True
        os.eventfd_write(self._death, 1)
        return None

    @override
    def close_stdin(self) -> None:
        if self._input is not None:
            os.close(self._input)
            self._input = None
            with suppress(OSError):  # the container is gone, and the connection with it
                self._socket.shutdown(socket.SHUT_WR)

    @override
    def signal(self, number: signal.Signals) -> None:
        """Kill it, whatever the signal: its first process hears no other one.

        An engine answers only when the last output was read, so somebody else waits for that.
        """
        if self._killer is None:
            self._killer = Thread(target=_end, args=(self._engine, self._name), daemon=True)
            self._asked_at = time.monotonic()
            self._killer.start()
        elif number == signal.SIGKILL and time.monotonic() - self._asked_at > _GONE_WITHIN:
            msg = f"the container {self._name} does not end, not even when it is killed"
            raise SandboxError(msg)

    @override
    def reap(self) -> int:
        # A program that closed its first process's outputs, or an engine that let go of it, ends.
        with _answered(self._engine.lost, remedy=_AGAIN):
            with suppress(OSError):
                return int(self._client.wait(self._name, timeout=_ENDS_WITHIN)["StatusCode"])
            _kill(self._client, self._name)
            return int(self._client.wait(self._name, timeout=_GONE_WITHIN)["StatusCode"])

    @override
    def close(self) -> None:
        self.close_stdin()
        if self._killer is not None:
            self._killer.join(_GONE_WITHIN)
        self._socket.close()
        getattr(self._answer, "_response", self._answer).close()  # it holds the connection
        if self._death >= 0:
            os.close(self._death)
            self._death = -1

    def _parted(self, data: bytes) -> Iterator[tuple[bool, bytes]]:
        """Take the frames apart: a byte that names the stream, three of nothing, four of length."""
        while data:
            if self._left:
                piece, data = data[: self._left], data[self._left :]
                self._left -= len(piece)
                yield self._is_out, piece
                continue
            missing = _HEADER - len(self._header)
            self._header, data = self._header + data[:missing], data[missing:]
            if len(self._header) == _HEADER:
                self._is_out = self._header[0] == _STDOUT
                self._left = int.from_bytes(self._header[4:], "big")
                self._header = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Image:
    """A user's image, by its own account."""

    identity: str
    path: str
    volumes: tuple[str, ...]


def _own_image(client: "APIClient", name: str) -> _Image:
    from docker.errors import ImageNotFound

    try:
        found = client.inspect_image(name)
    except ImageNotFound as error:
        msg = f"[sandbox.docker] image: the engine has no {name!r}: build it, or `docker pull` it"
        raise NoSandbox(msg) from error
    config = found.get("Config") or {}
    env = dict(str(word).partition("=")[::2] for word in config.get("Env") or ())
    return _Image(
        identity=str(found["Id"]),
        path=env.get("PATH", ""),
        volumes=tuple(map(str, config.get("Volumes") or ())),
    )


def _empty_image(client: "APIClient") -> str:
    """Give the id of our image, made now if the engine has none: the links to `/usr`, no file."""
    from docker.errors import ImageNotFound

    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for root in (Path("/", name) for name in SYSTEM_LINKS):
            if root.is_symlink():
                entry = tarfile.TarInfo(root.name)
                entry.type, entry.linkname = tarfile.SYMTYPE, str(root.readlink())
                tar.addfile(entry)
        entry = tarfile.TarInfo("usr")
        entry.type, entry.mode = tarfile.DIRTYPE, 0o755
        tar.addfile(entry)
    tag = hashlib.sha256(packed.getvalue()).hexdigest()[:16]
    with suppress(ImageNotFound):
        return str(client.inspect_image(f"{_IMAGE}:{tag}")["Id"])
    client.import_image_from_data(packed.getvalue(), repository=_IMAGE, tag=tag)
    return str(client.inspect_image(f"{_IMAGE}:{tag}")["Id"])


@contextmanager
def _made(
    engine: Engine, client: "APIClient", name: str, wanted: Mapping[str, object]
) -> Iterator[None]:
    """Make a container, and see to it that it is removed, by us or by the keeper if we are killed.

    When this is back nothing in it lives, whatever became of its engine.
    """
    KEEPER.hold_container(engine.socket, name)
    identity = ""
    try:
        with _answered(engine.failed, NotStarted):
            identity = str(client.create_container_from_config(wanted, name)["Id"])
        yield
    except BaseException:
        with suppress(SandboxError):  # what went wrong first is what is told
            _unmade(engine, client, name, identity)
        raise
    _unmade(engine, client, name, identity)


def _start(engine: Engine, client: "APIClient", name: str) -> None:
    """Start a container; an engine that goes away meanwhile may have started it all the same."""
    from docker.errors import APIError

    with _answered(engine.lost, remedy=_AGAIN):
        try:
            client.start(name)
        except APIError as error:
            msg = f"{engine.failed}: {_words(error)}"
            raise NotStarted(msg) from error


def _unmade(engine: Engine, client: "APIClient", name: str, identity: str) -> None:
    """Remove a container; one that its engine does not remove stays the keeper's."""
    stays = f"the docker engine at {engine.address} does not remove a container"
    try:
        with _answered(stays, remedy=_AGAIN):
            _remove(client, name)
    except SandboxError:
        _extinguish(identity)
        raise
    KEEPER.release_container(engine.socket, name)


def _extinguish(identity: str) -> None:
    """Kill what runs in a container without its engine, as it is not the engine that runs it.

    The control group of a process bears its container's name, which nothing inside can change.
    """
    ends = time.monotonic() + _GONE_WITHIN
    while identity and (found := _inside(identity)):
        for process in found:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(process, signal.SIGKILL)
        select.select(found, [], [], _ENDS_WITHIN)
        for process in found:
            os.close(process)
        if time.monotonic() > ends:
            msg = f"a process of the container {identity[:12]} does not end, not even when killed"
            raise SandboxError(msg)


def _inside(identity: str) -> list[int]:
    """Give the living processes of a container, each by a descriptor of its own."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        if not _is_of(place, identity):
            continue
        with suppress(ProcessLookupError):
            process = os.pidfd_open(int(place.name))
            # Only now does the number stand for this one alone; it may have ended before.
            if _is_of(place, identity) and not select.select([process], [], [], 0)[0]:
                found.append(process)
            else:
                os.close(process)
    return found


def _is_of(process: Path, identity: str) -> bool:
    with suppress(OSError):  # it ended meanwhile
        return identity in (process / "cgroup").read_text("utf-8", "replace")
    return False


def _end(engine: Engine, name: str) -> None:
    """Kill a container; whoever waits for its death sees whether that helped."""
    with suppress(SandboxError), _answered("the engine kills nothing"), engine.client() as client:
        _kill(client, name)


def _remove(client: "APIClient", name: str) -> None:
    from docker.errors import APIError

    try:
        client.remove_container(name, v=True, force=True)
    except APIError as error:
        if error.status_code not in _GONE:
            raise


def _kill(client: "APIClient", name: str) -> None:
    from docker.errors import APIError

    try:
        client.kill(name)
    except APIError as error:
        if error.status_code not in _GONE:
            raise


@contextmanager
def _answered(
    what: str, kind: type[SandboxError] = SandboxError, *, remedy: str = ""
) -> Iterator[None]:
    """Turn whatever the engine or the way to it says into an error of ours."""
    from docker.errors import DockerException

    try:
        yield
    except (DockerException, OSError) as error:
        msg = f"{what}: {printable(_words(error).encode('utf-8', 'replace'))[:_WORDS]}"
        raise kind(f"{msg}; {remedy}" if remedy else msg) from error


def _words(error: BaseException) -> str:
    """Give an engine's own explanation, else what the system said at the bottom of it all."""
    told = getattr(error, "explanation", None)
    if told:
        return str(told)
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return str(getattr(error, "strerror", None) or error)


def _socket(address: str) -> str:
    path = address.removeprefix("unix://")
    if path == address or not path.startswith("/"):
        msg = (
            f"[sandbox.docker] engine = {address!r}: only an engine of this machine can show its"
            f' directories to a container: "{ENGINE}" or another unix:///path'
        )
        raise NoSandbox(msg)
    return path


def _bind(mount: Mount) -> dict[str, object]:
    return {
        "Type": "bind",
        "Source": str(mount.source),
        "Target": mount.target,
        "ReadOnly": not mount.writable,
        "BindOptions": {"NonRecursive": True},
    }


def _with_inner(shown: Mapping[str, Mount]) -> tuple[Mount, ...]:
    """Give the mounts with each file system that is mounted below one, as writable as that.

    An engine makes only the uppermost read-only; the others would be open to their owner.
    """
    found = dict(shown)
    places = _mounted()
    for mount in shown.values():
        source = mount.source.resolve()
        for place in places:
            if source in place.parents:
                target = f"{mount.target.rstrip('/')}/{place.relative_to(source)}"
                found.setdefault(target, replace(mount, source=place, target=target))
    return tuple(found.values())


def _mounted() -> tuple[Path, ...]:
    """Give where something is mounted on this host; the kernel writes odd bytes in octal."""
    lines = Path("/proc/self/mountinfo").read_bytes().splitlines()
    return tuple(
        Path(os.fsdecode(re.sub(rb"\\(\d{3})", lambda m: bytes([int(m[1], 8)]), line.split()[4])))
        for line in lines
    )


def _ulimits(limits: Limits) -> list[dict[str, object]]:
    wanted = {
        "core": 0,
        "fsize": limits.file_bytes or None,
        "cpu": limits.cpu_seconds or None,
        "nofile": limits.open_files or None,
    }
    return [
        {"Name": name, "Soft": most, "Hard": most}
        for name, most in wanted.items()
        if most is not None
    ]
