"""What all seats of this machine share, and the private rooms in which work is done."""

import os
import stat
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Final
from uuid import uuid4

from stations.box import MB, Box, Sandbox
from stations.installs import editable_roots
from stations.limits import Limits
from stations.ran import printable
from stations.runtimes.command import Command
from stations.runtimes.task import Runtime
from stations.tools import Surroundings, SurroundingsError, Tool, resolve
from worktrees.failpoint import failpoint
from worktrees.git import FACTORY_IDENTITY, Git, Identity, Repository
from worktrees.names import Oid, RunId
from worktrees.policy import Rules
from worktrees.pool import Pool
from worktrees.shadow import ExportPlan, export_plan, exported_commit

NOWHERE: Final = Path("/checkout")
"""Where a tree stands when the repository has no checkout."""
_EXPORT_LIMITS: Final = Limits(cpu_seconds=30, processes=64)
_PACK_SLACK: Final = 4 * MB
_UNREAD: Final = b"warning: could not open directory "


class ExportError(Exception):
    """The files of a workspace could not be brought out; the message says what stood in the way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """One commit of a workspace's files, and the hostile pack that claims to hold it."""

    commit: Oid
    pack: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """The shared equipment of a run: repository, pool, sandbox, rules, directories.

    ``target`` is the full name of the target ref; ``runs`` the run's directory for briefs, logs
    and outcomes; ``reap`` says that something was put into the trash. ``anew``: only verdicts of
    this run count.
    """

    repository: Repository
    pool: Pool
    sandbox: Sandbox
    surroundings: Surroundings
    rules: Rules
    run: RunId
    target: str
    runs: Path
    identity: Identity = FACTORY_IDENTITY
    limits: Limits = field(default_factory=Limits)
    runtimes: Mapping[str, Runtime] = field(default_factory=lambda: {"command": Command()})
    reap: threading.Event = field(default_factory=threading.Event)
    anew: bool = False
    secrets: tuple[str, ...] = field(default=(), repr=False)
    """What must stand in nothing that is kept: the keys of this process, exactly."""

    @property
    def checkout(self) -> Path:
        """The absolute path at which every tree stands in a sandbox."""
        return self.repository.checkout or NOWHERE

    @property
    def git(self) -> Git:
        """Git on the host repository."""
        return self.repository.git

    @property
    def hidden(self) -> tuple[str, ...]:
        """The paths in a tree that are mount points and no part of any change."""
        shown = (name for name, _ in self.surroundings.shown(self.checkout))
        return (*shown, *self.surroundings.scratch)

    def find(self, argv0: str) -> Tool:
        """Resolve a command on the host."""
        return _found(argv0, self.checkout, self.surroundings)

    def place(self, tree: Path) -> Path:
        """Say at which path a tree stands while a box works on it."""
        return self.sandbox.place(tree, self.checkout)

    def variables(self, place: Path) -> dict[str, str]:
        """Give what a command must be told so that imports mean the tree at ``place``.

        In a sandbox the tree stands where an editable install looks for it, so nothing is needed.
        """
        if self.sandbox.contains:
            return {}
        shown = self.surroundings.shown(self.checkout)
        roots = [root for _, env in shown for root in editable_roots(env, self.checkout)]
        return {"PYTHONPATH": ":".join(str(place / r.relative_to(self.checkout)) for r in roots)}

    def scratch(self, place: Path) -> tuple[str, ...]:
        """Give the absolute paths of a tree that are writable and thrown away."""
        return tuple(str(place / name) for name in self.surroundings.scratch)

    @contextmanager
    def room(self, name: str) -> Iterator[Path]:
        """Give a private directory on the repository's file system; it goes to the trash after."""
        room = rooms_of(self.repository, self.run) / name
        room.mkdir(parents=True)
        try:
            yield room
        finally:
            discard(self.repository, room)
            self.reap.set()


def rooms_of(repository: Repository, run: RunId) -> Path:
    """Give the directory of a run's private rooms; after a crash it is garbage, once rescued."""
    return repository.factory / "rooms" / run


def discard(repository: Repository, path: Path) -> None:
    """Move what an agent could write into the trash, where it is deleted with care."""
    trash = repository.factory / "trash"
    trash.mkdir(exist_ok=True)
    failpoint("bench.discard.before")
    with suppress(FileNotFoundError):
        path.rename(trash / f"{path.name}.{uuid4().hex}")
    failpoint("bench.discard.after")


def prepare_places(tree: Path, bench: Bench) -> None:
    """Make the mount points in a tree that no agent has touched yet."""
    for name, source in bench.surroundings.shown(bench.checkout):
        _mount_point(tree, name, directory=source.is_dir())
    for name in bench.surroundings.scratch:
        _mount_point(tree, name, directory=True)


def export(bench: Bench, *, tree: Path, room: Path, base: Oid, message: str) -> Exported:
    """Bring the files of a workspace out as one commit on ``base``, through a fresh sandbox.

    Whatever the agent left behind except its files takes no part. Raises ``ExportError``.
    """
    plan = export_plan(
        bench.repository,
        tree=tree,
        at=room,
        checkout=bench.place(tree),
        base=base,
        message=message,
        identity=bench.identity,
        excludes=bench.hidden,
    )
    pack = room / "pack"
    failpoint("seat.export.before")
    with pack.open("wb") as file:
        ran = bench.sandbox.run(
            planned(plan),
            deadline=plan.seconds,
            stdout_to=file,
            stdout_cap=int(bench.rules.megabytes * MB) + _PACK_SLACK,
        )
    failpoint("seat.export.after")
    if ran.ended == "output":
        msg = f"the change is larger than {bench.rules.megabytes:g} MB; raise [limits] megabytes"
        raise ExportError(msg)
    unread = [line for line in ran.err.splitlines() if line.startswith(_UNREAD)]
    if unread:  # git goes on without what lies in there, as if it had been deleted
        said = printable(unread[0].removeprefix(b"warning: "))[:300]
        msg = f"its files cannot be read as a change: {said}"
        raise ExportError(msg)
    commit = exported_commit(ran.err)
    if not ran.good or commit is None:
        said = ran.text.strip()[-600:] or f"ended by {ran.ended}, code {ran.code}"
        msg = f"its files cannot be read as a change: {said}"
        raise ExportError(msg)
    return Exported(commit=commit, pack=pack)


def planned(plan: ExportPlan) -> Box:
    """Give the box of a plan."""
    return Box(
        argv=plan.argv,
        checkout=plan.checkout,
        mounts=plan.mounts,
        env=plan.env,
        limits=_EXPORT_LIMITS,
    )


@lru_cache(maxsize=8)
def tracked(git: Git, commit: Oid) -> tuple[str, ...]:
    """Give the paths of all files of a commit."""
    listed = git("ls-tree", "-r", "-z", "--name-only", commit).parts
    return tuple(os.fsdecode(path) for path in listed)


@lru_cache(maxsize=256)
def _found(argv0: str, checkout: Path, surroundings: Surroundings) -> Tool:
    return resolve(argv0, checkout, surroundings)


def _mount_point(tree: Path, name: str, *, directory: bool) -> None:
    parts: Sequence[str] = Path(name).parts
    here = tree
    for depth, part in enumerate(parts, 1):
        here /= part
        wants_directory = directory or depth < len(parts)
        if not os.path.lexists(here):
            here.mkdir() if wants_directory else here.touch()
        mode = here.lstat().st_mode
        if not (stat.S_ISDIR(mode) if wants_directory else stat.S_ISREG(mode)):
            msg = f"{name!r}: the repository has something else at {part!r}; nothing can lie there"
            raise SurroundingsError(msg)
