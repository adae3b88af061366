"""The user's own checkout: what the line refuses to start on; only this module touches it."""

import os
import re
from pathlib import Path

from worktrees.git import Git, Repository, in_checkout
from worktrees.lock import worktree_lock
from worktrees.names import Oid


def refusals(repository: Repository, commit: Oid | None) -> tuple[str, ...]:
    """Everything about a repository that the line cannot do right, each with its remedy."""
    git = repository.git
    found = []
    if repository.object_format not in {"sha1", "sha256"}:
        found.append(f"object format {repository.object_format}: only sha1 and sha256 are known")
    refs = git("config", "--get", "extensions.refstorage", ok=(0, 1)).text
    if refs not in {"", "files"}:
        found.append(f"ref storage {refs}: migrate with `git refs migrate --ref-format=files`")
    found += cut_short(git)
    if commit is None or git.resolve(commit) is None:
        return (*found, "no commit: the line starts from a commit; make a first one")
    attributes, modules = [], False
    for record in git("ls-tree", "-r", "-z", commit).parts:
        meta, _, path = record.partition(b"\t")
        mode, _, oid = meta.split(b" ")[:3]
        modules = modules or mode == b"160000" or path == b".gitmodules"
        if path.rpartition(b"/")[2] == b".gitattributes":
            attributes.append(oid)
    if modules:
        found.append("submodules: the line does not follow them; vendor the files, or split repos")
    text = git("cat-file", "--batch", stdin=b"".join(oid + b"\n" for oid in attributes)).out
    if re.search(rb"\bfilter=lfs\b", text):
        found.append("Git LFS: its filters do not run here; `git lfs migrate export` the files")
    return tuple(found)


def cut_short(git: Git) -> tuple[str, ...]:
    """Say what of a repository's history is not here, each with its remedy."""
    found = []
    if git("rev-parse", "--is-shallow-repository").text == "true":
        found.append("shallow clone: fetch the whole history with `git fetch --unshallow`")
    promised = git(
        "config", "--get-regexp", r"^(extensions\.partialclone|remote\..*\.promisor)$", ok=(0, 1)
    )
    if promised.text:
        found.append("partial clone: clone again without --filter")
    return tuple(found)


def checked_out(repository: Repository, ref: str) -> Path | None:
    """Give the worktree of the user in which a full ref is checked out, or None."""
    own = repository.factory / "trees"
    with worktree_lock(repository.factory):
        listed = repository.git("worktree", "list", "--porcelain", "-z").out
    for block in listed.split(b"\0\0"):
        lines = block.strip(b"\0").split(b"\0")
        if b"branch " + os.fsencode(ref) not in lines or b"bare" in lines:
            continue
        path = Path(os.fsdecode(lines[0].removeprefix(b"worktree ")))
        if own not in path.parents:
            # Of a checkout with a separate git dir, git lists the git dir.
            return path if path != repository.common else repository.checkout
    return None


def is_clean(repository: Repository, checkout: Path) -> bool:
    """Say whether no tracked file of the user's checkout differs from its HEAD."""
    status = in_checkout(
        repository, checkout, "status", "--porcelain=v2", "-z", "--untracked-files=no"
    )
    return not status.out


def fast_forward_checkout(repository: Repository, checkout: Path, *, old: Oid, new: Oid) -> str:
    """Bring the index and files of a clean checkout from ``old`` to ``new``; give why not, or ''.

    It looks at index and files only, so it may be called before, after or again after the ref
    moved, and it never overwrites a modified or untracked file: then it changes nothing.
    """
    why = _not_forward(repository, checkout, old=old, new=new)
    if why is not None:
        return why
    moved = in_checkout(repository, checkout, "read-tree", "-m", "-u", old, new, ok=(0, 128))
    return "" if moved.code == 0 else _words(moved.err)


def ready_to_forward(repository: Repository, checkout: Path, *, old: Oid, new: Oid) -> str:
    """Say why a checkout could not go from ``old`` to ``new``, or '' when it can (or has)."""
    why = _not_forward(repository, checkout, old=old, new=new)
    if why is not None:
        return why
    trial = in_checkout(repository, checkout, "read-tree", "-n", "-m", "-u", old, new, ok=(0, 128))
    return "" if trial.code == 0 else _words(trial.err)


def _not_forward(repository: Repository, checkout: Path, *, old: Oid, new: Oid) -> str | None:
    """Say why a checkout cannot move, '' when it is there already, None when git may move it."""
    in_checkout(repository, checkout, "update-index", "-q", "--refresh", ok=(0, 1))
    if in_checkout(repository, checkout, "diff-files", "--quiet", ok=(0, 1)).code:
        return f"{checkout} has modified files; commit or stash them"
    if not in_checkout(
        repository, checkout, "diff-index", "--cached", "--quiet", new, ok=(0, 1)
    ).code:
        return ""
    if in_checkout(repository, checkout, "diff-index", "--cached", "--quiet", old, ok=(0, 1)).code:
        return f"{checkout} has staged changes; commit or unstage them"
    if blocked := _in_the_way(repository, checkout, old=old, new=new):
        return f"{checkout} has untracked files in the way: {', '.join(blocked[:8])}; move them"
    return None


def _in_the_way(repository: Repository, checkout: Path, *, old: Oid, new: Oid) -> list[str]:
    """Give the untracked files that a move would overwrite; git spares no ignored ones."""
    added = repository.git(
        "diff-tree", "-r", "-z", "--no-renames", "--diff-filter=A", "--name-only", old, new
    ).parts
    top = os.fsencode(checkout)
    suspects = set[bytes]()
    for path in added:
        at = b""
        for name in path.split(b"/")[:-1]:
            at = at + name
            if os.path.lexists(full := os.path.join(top, at)) and not _is_directory(full):  # noqa: PTH118  bytes
                suspects.add(at)
                break
            at += b"/"
        full = os.path.join(top, path)  # noqa: PTH118  bytes
        if _is_directory(full):
            for where, _, names in os.walk(full):
                suspects.update(os.path.relpath(os.path.join(where, name), top) for name in names)  # noqa: PTH118
        elif os.path.lexists(full):
            suspects.add(path)
    if not suspects:
        return []
    tracked = set(repository.git("ls-tree", "-r", "-z", "--name-only", old).parts)
    return sorted(path.decode(errors="backslashreplace") for path in suspects - tracked)


def _is_directory(path: bytes) -> bool:
    return os.path.isdir(path) and not os.path.islink(path)  # noqa: PTH112, PTH114  bytes


def _words(err: bytes) -> str:
    return err.decode(errors="backslashreplace").strip()
