"""Merges in memory, the landing commit, the one swap of the target, and what history says landed.

Nothing here has a work tree: a merge reads and writes objects only, so nothing of an agent's tree
is ever on disk. Only `advance` moves a target, and only by compare-and-swap.
"""

import random
import re
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal
from uuid import uuid4

from worktrees.durable import settle
from worktrees.failpoint import failpoint
from worktrees.git import FACTORY_IDENTITY, Git, GitError, Identity
from worktrees.message import landing_message
from worktrees.names import (
    ID_PATTERN,
    TRAILER_JOB,
    TRAILER_RUN,
    TRAILER_TREE,
    JobId,
    Oid,
    RunId,
    salvage_ref,
)
from worktrees.touched import changed, own_of

MERGING: Final = ("-c", "merge.renames=true", "-c", "merge.directoryRenames=conflict")
LOG: Final = "%H%x09%T%x09" + "%x09".join(
    f"%(trailers:key={key},valueonly,separator=%x2C)"
    for key in (TRAILER_RUN, TRAILER_JOB, TRAILER_TREE)
)
TRIES: Final = 12

Made = Callable[[str], bool]


class Locked(GitError):  # noqa: N818  reads as what happened
    """The target's ref stayed locked by somebody else; the target did not move."""


class NotForward(GitError):  # noqa: N818  reads as what happened
    """The new commit does not follow from the old one; the target did not move."""


class PostCheckFailed(Exception):  # noqa: N818  reads as what happened
    """A merged tree holds what no branch brought: a bug alarm, never to be tried again."""

    def __init__(self, paths: Iterable[bytes], why: str) -> None:
        self.paths = tuple(sorted(paths))
        shown = ", ".join(repr(path.decode(errors="backslashreplace")) for path in self.paths[:8])
        super().__init__(f"{why}: {shown}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """The tree of a merge, and the paths that conflict in it (none: it is clean)."""

    tree: Oid
    conflicts: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """Branches merged one after the other: the tree, a scratch commit of it, who is in and out."""

    tree: Oid
    commit: Oid
    merged: tuple[JobId, ...]
    base_clash: dict[JobId, tuple[str, ...]]
    mate_clash: dict[JobId, tuple[str, ...]]


def never(_path: str) -> bool:
    """Say that no path is made on the merged tree."""
    return False


def merge(git: Git, tip: Oid, branch: Oid) -> Merged:
    """Merge two commits in memory and give the tree and its conflicts."""
    answer = git(
        *MERGING,
        "merge-tree",
        "--write-tree",
        "-z",
        "--name-only",
        "--no-messages",
        tip,
        branch,
        ok=(0, 1),
    )
    tree, *conflicts = answer.parts
    return Merged(tree=Oid(tree.decode()), conflicts=tuple(map(_text, conflicts)))


def chain(
    git: Git, base: Oid, branches: Sequence[tuple[JobId, Oid]], *, made: Made = never
) -> Chain:
    """Merge branches onto ``base`` in order; one that clashes is left out and the rest goes on.

    Of a path for which ``made`` is true the tip's entry is kept, whatever the branch has there.
    """
    tip, tree, merged = base, None, list[JobId]()
    base_clash: dict[JobId, tuple[str, ...]] = {}
    mate_clash: dict[JobId, tuple[str, ...]] = {}
    for job, branch in branches:
        both = merge(git, tip, branch)
        if clash := tuple(path for path in both.conflicts if not made(path)):
            alone = both if tip == base else merge(git, base, branch)
            at_base = tuple(path for path in alone.conflicts if not made(path))
            if at_base:
                base_clash[job] = at_base
            else:
                mate_clash[job] = clash
            continue
        tree = both.tree
        if made is not never:
            own = own_of(git, tip, branch)
            kept = {path for path in own.paths if made(_text(path))}
            kept.update(_bytes(path) for path in both.conflicts)
            tree = grafted(git, tree=tree, tip=tip, paths=kept)
        tip = Oid(git("commit-tree", tree, "-p", tip, "-p", branch, stdin=b"scratch\n").text)
        merged.append(job)
    return Chain(
        tree=tree or git.tree_of(base),
        commit=tip,
        merged=tuple(merged),
        base_clash=base_clash,
        mate_clash=mate_clash,
    )


def landing_commit(
    git: Git,
    *,
    tree: Oid,
    tip: Oid,
    branches: Sequence[tuple[JobId, Oid]],
    run: RunId,
    title: str,
    shape: Literal["merge", "linear"] = "merge",
    author: Identity | None = None,
    signoff: str | None = None,
    sign: bool = False,
    checked: Sequence[str] = (),
    credit: Sequence[str] = (),
) -> Oid:
    """Make the one commit of a landing: exactly ``tree`` on ``tip``, with our trailers."""
    message = landing_message(
        run=run,
        jobs=[job for job, _ in branches],
        tree=tree,
        title=title,
        signoff=signoff,
        checked=checked,
        credit=credit,
    )
    parents = [tip, *(commit for _, commit in branches if shape == "merge")]
    who = author or FACTORY_IDENTITY
    failpoint("merge.landing_commit.before")
    made = git(
        "commit-tree",
        *(("-S",) if sign else ()),
        tree,
        *(word for parent in dict.fromkeys(parents) for word in ("-p", parent)),
        stdin=message.encode("utf-8", "replace"),
        env={"GIT_AUTHOR_NAME": who.name, "GIT_AUTHOR_EMAIL": who.email},
        fsync=True,
    )
    failpoint("merge.landing_commit.after")
    return Oid(made.text)


def advance(git: Git, ref: str, *, new: Oid, old: Oid) -> bool:
    """Move one ref from ``old`` to ``new``; False when it stands elsewhere by now.

    The outcome is read from the ref, never from a message; an ``old`` of zeros makes the ref.
    """
    if not ref.startswith("refs/") or re.search(r"\s", ref):
        raise GitError(("advance", ref), 1, b"not a full ref name")
    zero = set(old) == {"0"}
    if not zero and git("merge-base", "--is-ancestor", old, new, ok=(0, 1)).code:
        raise NotForward(("advance", ref, new), 1, f"{new} does not follow from {old}".encode())
    settle(git, new=new, old=() if zero else (old,))
    order = f"start\nupdate {ref} {new} {old}\nprepare\ncommit\n".encode()
    pause, said = 0.01, b""
    for _ in range(TRIES):
        failpoint("merge.advance.before")
        answer = git(
            "update-ref", "-m", "factory: land", "--stdin", stdin=order, ok=(0, 1, 128), fsync=True
        )
        failpoint("merge.advance.after")
        if answer.code == 0 or (now := git.resolve(ref)) == new:
            return True
        if now != (None if zero else old):
            return False
        said = answer.err
        threading.Event().wait(random.uniform(pause / 2, pause))  # noqa: S311  a jitter
        pause = min(pause * 2, 1.0)
    raise Locked(("advance", ref, new), 128, said)


def landings(git: Git, base: Oid, tip: Oid) -> dict[tuple[RunId, JobId], Oid]:
    """Read what landed in ``base..tip``: run and job of each true landing commit.

    True is a first-parent commit whose own tree is the one that it says was tested.
    """
    found: dict[tuple[RunId, JobId], Oid] = {}
    log = git(
        "-c",
        "trailer.separators=:",
        "rev-list",
        "--no-commit-header",
        "--first-parent",
        "--reverse",
        f"--format={LOG}",
        f"{base}..{tip}",
    )
    for line in log.out.split(b"\n")[:-1]:
        commit, tree, run, jobs, tested = line.decode("utf-8", "replace").split("\t")[:5]
        names = jobs.split(",")
        if tested != tree or not all(map(ID_PATTERN.fullmatch, (run, *names))):
            continue
        for job in names:
            found.setdefault((RunId(run), JobId(job)), Oid(commit))
    return found


def post_check(
    git: Git,
    *,
    old: Oid,
    new_tree: Oid,
    branches: Sequence[tuple[JobId, Oid]],
    made: Made = never,
) -> None:
    """Check that a merged tree holds what its branches brought and nothing else, else raise.

    Every changed path is some branch's own (or made); and where one branch alone touched a path,
    the tree has exactly that branch's file. File renames are followed, as the merge does.
    """
    owns = [own_of(git, old, commit) for _, commit in branches]
    allowed = {path for own in owns for path in own.paths | own.moved_by_target}
    strange = {path for path in changed(git, old, new_tree) if path not in allowed}
    strange = {path for path in strange if not made(_text(path))}
    if strange:
        raise PostCheckFailed(strange, "the merged tree changes what no branch touched")
    for own, (_, commit) in zip(owns, branches, strict=True):
        others = set[bytes]().union(*(other.paths for other in owns if other is not own))
        foreign = others | own.by_target
        # What somebody else changed at the old name, the merge carries to the new one.
        carried = {new for was, new in own.renames if was in foreign}
        alone = own.paths - foreign - carried
        wrong = {path for path in changed(git, commit, new_tree) & alone if not made(_text(path))}
        if wrong:
            raise PostCheckFailed(wrong, f"the merged tree lost what {commit} brought")


def salvage(git: Git, run: RunId, job: JobId, commit: Oid) -> str:
    """Keep work that did not land under its salvage ref, and what was there before reachable."""
    ref = salvage_ref(run, job)
    before = git.resolve(ref)
    if before is not None and _reaches(git, before, commit):
        return ref
    failpoint("merge.salvage.before")
    if before is not None and not _reaches(git, commit, before):
        _keep_old(git, prefix=f"refs/factory/salvage-old/{run}/{job}", commit=before)
    failpoint("merge.salvage.between")
    settle(git, new=commit, old=())
    git("update-ref", ref, commit, before or "0" * len(commit), fsync=True)
    failpoint("merge.salvage.after")
    return ref


def _keep_old(git: Git, *, prefix: str, commit: Oid) -> None:
    kept = git("for-each-ref", "--format=%(objectname) %(refname)", f"{prefix}/").text.splitlines()
    if any(line.startswith(commit) for line in kept):
        return
    taken = {line.rpartition("/")[2] for line in kept}
    number = next(str(n) for n in range(1, len(taken) + 2) if str(n) not in taken)
    git("update-ref", f"{prefix}/{number}", commit, "0" * len(commit), fsync=True)


def _reaches(git: Git, tip: Oid, commit: Oid) -> bool:
    return git("merge-base", "--is-ancestor", commit, tip, ok=(0, 1)).code == 0


def grafted(git: Git, *, tree: Oid, tip: Oid, paths: set[bytes]) -> Oid:
    """Give ``tree`` with the entries of ``tip`` at ``paths``."""
    if not paths:
        return tree
    standing = {}
    for record in git("ls-tree", "-r", "-z", tip).parts:
        meta, _, path = record.partition(b"\t")
        if path in paths:
            mode, _kind, oid = meta.split(b" ")
            standing[path] = mode + b" " + oid + b"\t" + path + b"\0"
    zero = b"0" * len(tree)
    index = git.empty.parent / f"index.{uuid4().hex}"
    mine = git.with_index(index)
    try:
        mine("read-tree", tree)
        gone = (b"0 " + zero + b"\t" + path + b"\0" for path in paths - standing.keys())
        mine("update-index", "-z", "--index-info", stdin=b"".join((*gone, *standing.values())))
        return Oid(mine("write-tree").text)
    finally:
        index.unlink(missing_ok=True)


def _text(path: bytes) -> str:
    return path.decode("utf-8", "surrogateescape")


def _bytes(path: str) -> bytes:
    return path.encode("utf-8", "surrogateescape")
