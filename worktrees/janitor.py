"""Repairs what a killed process of ours left, by path and in a fixed order, from given values.

It asks git for nothing before the half-made worktrees are out of the way, because one of them can
stop every worktree command. It may be killed at any step and run again.
"""

import os
import re
import threading
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import uuid4

from worktrees.failpoint import failpoint
from worktrees.git import GitError, Repository
from worktrees.lock import Flock
from worktrees.merge import salvage
from worktrees.names import ID_PATTERN, JobId, Oid, RunId, base_ref, job_refs, made_refs
from worktrees.workspace import clear

PATIENCE: Final = 2.0
"""Seconds that a lock of somebody else, or a listing that fails, gets to settle by itself."""
PRUNE_AGE: Final = "3.months.ago"
"""What git's own upkeep uses: a worktree of the user on an absent disk keeps its registration."""


class StillAliveError(Exception):
    """A process that could still write lives; nothing was repaired."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftovers:
    """What the floor knows about a run that ended or was killed.

    ``target`` is a full ref. A branch in ``keep`` is still needed. ``landed`` holds the commit of
    each job that landed, for targets whose history does not have it as a parent. ``workspaces``
    are the names to fell; None means all of the run. ``scratch`` are our own directories that
    nothing needs any more. ``alive`` are processes that must have ended; what is older than
    ``started_before`` (seconds since the epoch) is ours to remove.
    """

    run: RunId
    target: str
    base: Oid
    started_before: float
    keep: Collection[JobId] = ()
    landed: Mapping[JobId, Oid]
    workspaces: Collection[str] | None = None
    scratch: Collection[Path] = ()
    alive: Collection[int] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Tidied:
    """What the janitor did, and the locks that are not ours to remove."""

    felled: tuple[str, ...]
    salvaged: tuple[JobId, ...]
    locks_removed: tuple[Path, ...]
    foreign_locks: tuple[Path, ...]
    branches_deleted: tuple[str, ...]
    garbage: tuple[Path, ...]


def tidy(repository: Repository, left: Leftovers, *, lock: Flock) -> Tidied:
    """Repair the repository after a run and say what was done; nothing unlanded is lost."""
    living = [pid for pid in left.alive if _lives(pid)]
    if living:
        msg = f"these processes must end first: {', '.join(map(str, living))}"
        raise StillAliveError(msg)
    with lock:
        # Stale locks of our refs go before salvage needs those refs: both are by path.
        removed, foreign = _unlock(repository, left)
        stray = _stray(repository, left)
        salvaged = _salvage(repository, left, stray)
        felled = _fell(repository, left)
        _prune(repository)
        deleted = _delete_branches(repository, left, stray)
        _let_go(repository, left.run)
        garbage = _sweep(repository, left)
    return Tidied(
        felled=felled,
        salvaged=salvaged,
        locks_removed=removed,
        foreign_locks=foreign,
        branches_deleted=deleted,
        garbage=garbage,
    )


def names_of(repository: Repository, run: RunId) -> tuple[str, ...]:
    """Give the names of all workspaces of a run that left anything on disk."""
    pattern = re.compile(re.escape(run) + r"-\d+")
    places = (
        repository.factory / "trees",
        repository.common / "worktrees",
        repository.factory / "new",
    )
    found = {path.name for place in places if place.is_dir() for path in place.iterdir()}
    return tuple(sorted(name for name in found if pattern.fullmatch(name)))


def runs_of(repository: Repository) -> frozenset[RunId]:
    """Give every run that left a workspace, a room or a base ref, known to a ledger or not."""
    factory, trees = repository.factory, repository.factory / "trees"
    places = (place for place in (trees, factory / "new") if place.is_dir())
    names = {path.name for place in places for path in place.iterdir()}
    mine = os.fsencode(trees) + b"/"
    for pointer in (repository.common / "worktrees").glob("*/gitdir"):
        if pointer.read_bytes().startswith(mine):
            names.add(pointer.parent.name)
    found = {name.rpartition("-")[0] for name in names}
    found |= {path.name for path in (factory / "rooms").glob("*")}
    prefix = base_ref(RunId(""))
    listed = repository.git("for-each-ref", "--format=%(refname)", prefix).text
    found |= {ref.removeprefix(prefix) for ref in listed.splitlines()}
    return frozenset(RunId(run) for run in found if ID_PATTERN.fullmatch(run))


def _lives(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state.split()[0] not in {"Z", "X"}


def _stray(repository: Repository, left: Leftovers) -> dict[JobId, Oid]:
    """Give the branches of the run that nothing needs, each with the commit it was seen at."""
    prefix = job_refs(left.run)
    listed = repository.git("for-each-ref", "--format=%(objectname) %(refname)", prefix).text
    lines = (line.partition(" ") for line in listed.splitlines())
    found = {JobId(ref.removeprefix(prefix)): Oid(oid) for oid, _, ref in lines}
    return {job: commit for job, commit in found.items() if job not in left.keep}


def _salvage(
    repository: Repository, left: Leftovers, stray: Mapping[JobId, Oid]
) -> tuple[JobId, ...]:
    git = repository.git
    safe = dict.fromkeys((left.base, git.resolve(left.target) or left.base))
    kept = []
    for job, commit in stray.items():
        known = left.landed.get(job) == commit or any(
            git("merge-base", "--is-ancestor", commit, place, ok=(0, 1)).code == 0 for place in safe
        )
        if not known:
            failpoint("janitor.salvage.before")
            salvage(git, left.run, job, commit)
            failpoint("janitor.salvage.after")
            kept.append(job)
    return tuple(kept)


def _fell(repository: Repository, left: Leftovers) -> tuple[str, ...]:
    names = names_of(repository, left.run)
    if left.workspaces is not None:
        names = tuple(name for name in names if name in left.workspaces)
    for name in names:
        failpoint("janitor.fell.before")
        clear(repository, name)
        failpoint("janitor.fell.after")
    return names


def _unlock(repository: Repository, left: Leftovers) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    common = repository.common
    # git locks HEAD as well when it moves the branch that HEAD names.
    ours = {common / name for name in (f"{left.target}.lock", "packed-refs.lock", "HEAD.lock")}
    own = (f"refs/heads/factory/{left.run}/", "refs/factory/")
    removed, foreign = [], []
    deadline = time.monotonic() + PATIENCE
    for path in (*sorted(common.glob("*.lock")), *sorted((common / "refs").rglob("*.lock"))):
        mine = path in ours or path.relative_to(common).as_posix().startswith(own)
        if mine and _older(path, left.started_before):
            failpoint("janitor.unlock.before")
            path.unlink(missing_ok=True)
            failpoint("janitor.unlock.after")
            removed.append(path)
        elif not mine or not _goes(path, deadline):
            foreign.append(path)
    return tuple(removed), tuple(foreign)


def _goes(path: Path, deadline: float) -> bool:
    """Wait a little for a young lock to go and say whether it did."""
    pause = 0.01
    while path.exists() and time.monotonic() < deadline:
        threading.Event().wait(pause)
        pause = min(pause * 2, 0.2)
    return not path.exists()


def _older(path: Path, moment: float) -> bool:
    with suppress(FileNotFoundError):
        return path.lstat().st_mtime < moment
    return False


def _prune(repository: Repository) -> None:
    failpoint("janitor.prune.before")
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            repository.git("worktree", "prune", f"--expire={PRUNE_AGE}")
            repository.git("worktree", "list", "--porcelain", "-z")
            break
        except GitError:
            # A worktree of somebody else that is half made at this moment.
            if time.monotonic() > deadline:
                raise
            threading.Event().wait(0.05)
    failpoint("janitor.prune.after")


def _delete_branches(
    repository: Repository, left: Leftovers, stray: Mapping[JobId, Oid]
) -> tuple[str, ...]:
    deleted = []
    for job, commit in stray.items():
        ref = job_refs(left.run) + job
        failpoint("janitor.branch.before")
        # By the commit that was salvaged: what came later is nobody's to delete.
        answer = repository.git("update-ref", "-d", ref, commit, ok=(0, 1, 128))
        failpoint("janitor.branch.after")
        if answer.code == 0:
            deleted.append(ref)
        elif repository.git.resolve(ref) == commit:
            raise GitError(("git", "update-ref", "-d", ref), answer.code, answer.err)
    return tuple(deleted)


def _let_go(repository: Repository, run: RunId) -> None:
    """Drop the refs that held what was made on merged trees; a landing holds it by its tree."""
    git = repository.git
    for ref in git("for-each-ref", "--format=%(refname)", made_refs(run)).text.splitlines():
        failpoint("janitor.made.before")
        git("update-ref", "-d", ref)
        failpoint("janitor.made.after")


def _sweep(repository: Repository, left: Leftovers) -> tuple[Path, ...]:
    """Put garbage into the trash: half-written objects, temporary indexes, given directories."""
    objects, factory = repository.objects, repository.factory
    # Packs are written in quarantine: a `pack/tmp_*` here is a repack of the user.
    found = [*objects.glob("??/tmp_obj_*"), *objects.glob("tmp_obj_*")]
    found += [*factory.glob("index.*"), *factory.glob("fill.*")]
    found = [path for path in found if _older(path, left.started_before)]
    found += [path for path in left.scratch if factory in path.parents and os.path.lexists(path)]
    trash = factory / "trash"
    trash.mkdir(exist_ok=True)
    gone = []
    for path in found:
        failpoint("janitor.sweep.before")
        with suppress(FileNotFoundError):
            path.rename(trash / f"garbage.{uuid4().hex}")
            gone.append(path)
        failpoint("janitor.sweep.after")
    return tuple(gone)
