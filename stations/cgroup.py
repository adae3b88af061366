"""Control groups: bound the processes and the memory of one sandbox, where the host lets us."""

import contextlib
import os
import re
import signal
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import count
from pathlib import Path
from typing import Final

from stations.limits import Limits

_serial = count()
_PREFIX: Final = "factory"
_SYSTEMD: Final = Path("/run/systemd/system")


@dataclass(frozen=True, slots=True, kw_only=True)
class Controllers:
    """The directories below which a group of ours may be made; None where that is not ours."""

    pids: Path | None = None
    memory: Path | None = None

    @property
    def text(self) -> str:
        """Say in one line what bounds a sandbox."""
        pids = f"cgroup {self.pids}" if self.pids else "RLIMIT_NPROC (not enforced for uid 0)"
        memory = f"cgroup {self.memory}" if self.memory else "RLIMIT_DATA of each process"
        return f"processes: {pids}; memory: {memory}"


@cache
def controllers() -> Controllers:
    """Find out once where this process may make groups.

    Only below a group that was delegated to us, or below the root of a hierarchy that nobody
    manages (a container without systemd): a group made below somebody else's would hinder them.
    """
    own = Path("/proc/self/cgroup").read_text("utf-8").splitlines()
    mounts = Path("/proc/self/mountinfo").read_text("utf-8").splitlines()
    found: dict[str, Path] = {}
    for line in own:
        _, names, path = line.split(":", 2)
        for mount in mounts:
            place = _directory(mount, names, path)
            if place is None or not _is_ours(place, path):
                continue
            offered = names.split(",")
            if not names:
                offered = (place / "cgroup.subtree_control").read_text("utf-8").split()
            found |= {name: place for name in offered if name in {"pids", "memory"}}
    usable = {name: place for name, place in found.items() if _sweep(place)}
    return Controllers(pids=usable.get("pids"), memory=usable.get("memory"))


@contextlib.contextmanager
def bounded(limits: Limits) -> Iterator[Limits]:
    """Give limits that name a fresh group for each controller; whoever is in it at the end dies."""
    where = controllers()
    name = f"{_PREFIX}-{os.getpid()}-{next(_serial)}"
    groups: list[Path] = []
    try:
        if where.pids is not None and limits.processes:
            groups.append(_made(where.pids / name))
            (groups[-1] / "pids.max").write_text(str(limits.processes), "utf-8")
        if where.memory is not None and limits.memory_bytes:
            group = _made(where.memory / name)
            groups += [group] if group not in groups else []
            for file in ("memory.max", "memory.limit_in_bytes", "memory.memsw.limit_in_bytes"):
                if (group / file).exists():
                    (group / file).write_text(str(limits.memory_bytes), "utf-8")
            limits = replace(limits, memory_bytes=0)
        yield replace(limits, groups=tuple(groups))
    finally:
        for group in groups:
            _fell(group)


def _made(group: Path) -> Path:
    group.mkdir(exist_ok=True)
    return group


def _fell(group: Path) -> None:
    """End whoever is left in a group and take it away; a group that will not go is swept later."""
    try:
        left = (group / "cgroup.procs").read_text("utf-8").split()
    except OSError:  # another factory swept it at the same time
        return
    for pid in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)
    with contextlib.suppress(OSError):
        group.rmdir()


def _sweep(place: Path) -> bool:
    """Take away the groups of processes that are gone; False when none can be made here."""
    trial = place / f"{_PREFIX}-{os.getpid()}-trial"
    try:
        _made(trial).rmdir()
    except OSError:
        return False
    for group in place.glob(f"{_PREFIX}-*-*"):
        owner = re.fullmatch(rf"{_PREFIX}-(\d+)-\w+", group.name)
        if owner and not Path("/proc", owner[1]).exists():
            _fell(group)
    return True


def _directory(mount: str, names: str, path: str) -> Path | None:
    fields, _, rest = mount.partition(" - ")
    kind, _, options = rest.split(" ", 2)
    root, place = fields.split(" ")[3:5]
    if kind != ("cgroup" if names else "cgroup2"):
        return None
    if names and not set(names.split(",")) <= set(options.replace(" ", ",").split(",")):
        return None
    return Path(place) / os.path.relpath(path, root)


def _is_ours(place: Path, path: str) -> bool:
    if path == "/":
        return not _SYSTEMD.exists() and os.access(place, os.W_OK)
    for mark in ("trusted.delegate", "user.delegate"):
        with contextlib.suppress(OSError):
            if os.getxattr(place, mark) == b"1":
                return os.access(place, os.W_OK)
    return False
