"""One worktree: grown detached and complete, handed out on a branch, felled into the trash.

Its files are filled by a neutral git dir of ours, whose attributes switch every conversion off:
what stands in a workspace is the tree's exact bytes, and no filter of anybody runs. Nothing here
runs git in a tree that an agent has written: a used workspace is only ever renamed away.
"""

import os
import stat
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Protocol, Self
from uuid import uuid4

from worktrees.failpoint import failpoint
from worktrees.git import Git, Repository
from worktrees.lock import Flock
from worktrees.names import Oid, RunId, base_ref

EXACT: Final = "* -text -eol -ident -filter -working-tree-encoding\n"
"""The attributes under which checking out gives the bytes of the tree and nothing else."""
DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
OWNED: Final = 0o700


@dataclass(frozen=True, slots=True, kw_only=True)
class Workspace:
    """A worktree of ours: its files, its admin directory, the commit that its files show."""

    name: str
    tree: Path
    admin: Path
    base: Oid


class Grower(Protocol):
    """A way to make workspaces and to take them away."""

    def grow(self, name: str, base: Oid) -> Workspace:
        """Make a detached workspace that shows ``base``."""
        ...

    def fell(self, workspace: Workspace) -> None:
        """Take a workspace away at once; deleting it comes later."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Plain:
    """The way that needs no rights: a full copy of the files per workspace."""

    repository: Repository
    lock: Flock
    reaper: "Reaper | None" = None

    def grow(self, name: str, base: Oid) -> Workspace:
        """Make a detached workspace that shows ``base``."""
        return grow(self.repository, name=name, base=base, lock=self.lock)

    def fell(self, workspace: Workspace) -> None:
        """Rename a workspace into the trash and wake the reaper."""
        fell(self.repository, workspace, lock=self.lock)
        if self.reaper is not None:
            self.reaper.wake()


def grow(repository: Repository, *, name: str, base: Oid, lock: Flock) -> Workspace:
    """Make a detached worktree that shows ``base``; it is registered complete or not at all."""
    tree = repository.factory / "trees" / name
    new = repository.factory / "new" / name
    admin = repository.common / "worktrees" / name
    failpoint("workspace.grow.before")
    if admin.exists():
        raise FileExistsError(17, "a workspace of this name is registered", str(admin))
    tree.mkdir(parents=True)
    new.mkdir(parents=True)
    try:
        failpoint("workspace.fill.before")
        filler = _filler(repository).with_index(new / "index").with_work_tree(tree)
        filler("read-tree", base, timeout=120)
        filler("checkout-index", "-a", "-f", "-u", timeout=600)
        failpoint("workspace.fill.after")
        (new / "gitdir").write_bytes(os.fsencode(tree / ".git") + b"\n")
        (new / "commondir").write_text("../..\n")
        (new / "HEAD").write_text(f"{base}\n")
        # Without it, anybody's `worktree prune` takes a worktree whose files it cannot see.
        (new / "locked").write_text("factory\n")
        (tree / ".git").write_bytes(b"gitdir: " + os.fsencode(admin) + b"\n")
        with lock:
            failpoint("workspace.register.before")
            _register(new, admin)
            failpoint("workspace.register.after")
    except BaseException:
        with lock:
            clear(repository, name)
        raise
    failpoint("workspace.grow.after")
    return Workspace(name=name, tree=tree, admin=admin, base=base)


def hand_out(
    repository: Repository, workspace: Workspace, *, ref: str, start: Oid, expected: Oid | None
) -> Workspace:
    """Put a fresh workspace on ``ref`` at ``start``, if the ref still is as ``expected``."""
    failpoint("workspace.hand_out.before")
    zero = "0" * len(start)
    repository.git("update-ref", "--no-deref", ref, start, expected or zero)
    failpoint("workspace.hand_out.branch")
    head = workspace.admin / "HEAD.new"
    head.write_text(f"ref: {ref}\n")
    head.rename(workspace.admin / "HEAD")
    failpoint("workspace.hand_out.head")
    if start != workspace.base:
        filler = _filler(repository).with_index(workspace.admin / "index")
        mover = filler.with_work_tree(workspace.tree)
        mover("read-tree", "-m", "-u", workspace.base, start, timeout=600)
    failpoint("workspace.hand_out.after")
    return replace(workspace, base=start)


def hold_base(repository: Repository, run: RunId, base: Oid) -> None:
    """Keep a run's base commit from anybody's garbage collection."""
    repository.git("update-ref", base_ref(run), base)


def release_base(repository: Repository, run: RunId) -> None:
    """Let a finished run's base commit go; once is enough, twice is no error."""
    repository.git("update-ref", "-d", base_ref(run))


def fell(repository: Repository, workspace: Workspace, *, lock: Flock) -> None:
    """Take a workspace away by renaming; whatever of it is gone already is no error."""
    with lock:
        clear(repository, workspace.name)


def clear(repository: Repository, name: str) -> None:
    """Move everything of one workspace name to the trash; the caller holds ``factory/lock``."""
    failpoint("workspace.fell.before")
    _discard(repository, repository.factory / "trees" / name)
    failpoint("workspace.fell.tree")
    _discard(repository, repository.common / "worktrees" / name)
    failpoint("workspace.fell.admin")
    _discard(repository, repository.factory / "new" / name)
    failpoint("workspace.fell.after")


class Reaper:
    """Deletes what lies in the trash, in one background thread; close it or use it in ``with``."""

    def __init__(self, repository: Repository) -> None:
        self._trash = repository.factory / "trash"
        self._wake = threading.Event()
        self._closed = False
        self.fault: OSError | None = None
        """What last went wrong while deleting in the background."""
        self._thread = threading.Thread(target=self._work, name="factory-reaper", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def wake(self) -> None:
        """Say that there is something in the trash."""
        self._wake.set()

    def drain(self) -> None:
        """Empty the trash now, in the calling thread."""
        empty_trash(self._trash, going=lambda: True)

    def close(self) -> None:
        """End the thread after the entry it is at; the rest stays for the next one."""
        self._closed = True
        self._wake.set()
        self._thread.join()

    def _work(self) -> None:
        while not self._closed:
            self._wake.wait()
            self._wake.clear()
            try:
                empty_trash(self._trash, going=lambda: not self._closed)
            except OSError as error:
                self.fault = error


def empty_trash(trash: Path, *, going: Callable[[], bool]) -> None:
    """Delete all that lies in ``trash`` while ``going`` says so.

    A subdirectory is renamed up before it is emptied: no depth that an agent makes can overflow a
    stack or a path. Two may do this at once. What cannot be deleted is raised after the rest.
    """
    stuck: dict[str, OSError] = {}
    try:
        handle = os.open(trash, DIRECTORY)
    except FileNotFoundError:
        return
    try:
        while names := [name for name in os.listdir(handle) if name not in stuck]:  # noqa: PTH208
            for name in names:
                if not going():
                    return
                try:
                    _delete(handle, name)
                except FileNotFoundError:
                    continue  # the other one was faster
                except OSError as error:
                    stuck[name] = error
    finally:
        os.close(handle)
    for trouble in stuck.values():
        raise trouble


def _delete(trash: int, name: str) -> None:
    if not stat.S_ISDIR(os.stat(name, dir_fd=trash, follow_symlinks=False).st_mode):
        os.unlink(name, dir_fd=trash)
        return
    inner = _opened(trash, name)
    try:
        with os.scandir(inner) as entries:
            below = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
        for entry, is_dir in below:
            with suppress(FileNotFoundError):
                if is_dir:
                    # Renaming a directory to another parent needs the right to write in it.
                    os.close(_opened(inner, entry))
                    os.rename(entry, uuid4().hex, src_dir_fd=inner, dst_dir_fd=trash)
                else:
                    os.unlink(entry, dir_fd=inner)
    finally:
        os.close(inner)
    os.rmdir(name, dir_fd=trash)


def _opened(parent: int, name: str) -> int:
    try:
        handle = os.open(name, DIRECTORY, dir_fd=parent)
    except PermissionError:
        # An agent may have taken its own directory's rights away.
        os.chmod(name, OWNED, dir_fd=parent)
        return os.open(name, DIRECTORY, dir_fd=parent)
    if os.fstat(handle).st_mode & OWNED != OWNED:
        os.fchmod(handle, OWNED)
    return handle


def _discard(repository: Repository, path: Path) -> None:
    trash = repository.factory / "trash"
    trash.mkdir(exist_ok=True)
    away = trash / f"{path.parent.name}.{path.name}.{uuid4().hex}"
    with suppress(FileNotFoundError):
        try:
            path.rename(away)
        except PermissionError:
            path.chmod(OWNED)
            path.rename(away)


def _register(new: Path, admin: Path) -> None:
    for _ in range(8):
        admin.parent.mkdir(exist_ok=True)
        # A foreign `worktree prune` removes the parent when it is empty.
        with suppress(FileNotFoundError):
            new.rename(admin)
            return
    raise FileNotFoundError(2, "somebody keeps removing the directory", str(admin.parent))


def _filler(repository: Repository) -> Git:
    home = repository.factory / "fill"
    if not (home / "HEAD").is_file():
        made = repository.factory / f"fill.{uuid4().hex}"
        for directory in ("objects/info", "refs", "info"):
            (made / directory).mkdir(parents=True)
        form = repository.object_format
        version = "0" if form == "sha1" else f"1\n[extensions]\n\tobjectformat = {form}"
        config = f"[core]\n\tbare = false\n\trepositoryformatversion = {version}\n"
        (made / "config").write_text(config)
        (made / "info" / "attributes").write_text(EXACT)
        (made / "objects" / "info" / "alternates").write_bytes(_quoted(repository.objects))
        (made / "HEAD").write_text("ref: refs/heads/none\n")
        with suppress(FileExistsError, OSError):
            made.rename(home)
    return Git(git_dir=home, empty=repository.git.empty)


def _quoted(path: Path) -> bytes:
    raw = os.fsencode(path)
    if raw[:1] not in {b'"', b"#"} and b"\n" not in raw:
        return raw + b"\n"
    return b'"' + raw.replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n") + b'"\n'
