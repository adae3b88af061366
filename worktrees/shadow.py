"""Shadow: the private git dirs of sandboxes, and what to run to bring work out of one.

Nothing is started here. Every git dir is written file by file, holds no object of its own and
reads the host's through ``/.factory/objects``, so an agent may do to it whatever it likes.
"""

import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import Final

from worktrees.failpoint import failpoint
from worktrees.git import FACTORY_IDENTITY, Identity, Repository
from worktrees.gitdir import alternates, write_git_dir
from worktrees.names import OID_PATTERN, Oid
from worktrees.scope import Mounts

INSIDE: Final = "/.factory"
GIT_INSIDE: Final = f"{INSIDE}/git"
OBJECTS_INSIDE: Final = f"{INSIDE}/objects"
EXPORT_SECONDS: Final = 8.0
_FILES_A_SECOND: Final = 500

# The index holds no times yet, so every file is read and compared here. `add` alone would also
# write each of them as an object again: it cannot freshen those of a read-only store. Nothing
# changes the files meanwhile, so none is suspect for being as young as the index. Without -q a
# file that is not as the index says ends the script.
_READ_ALL: Final = """
read_all() {
  touch -t 203801010000 "$GIT_INDEX_FILE"
  git -c core.bigFileThreshold=1m update-index "$@" --refresh >&2
  touch -t 203801010000 "$GIT_INDEX_FILE"
}
"""
_EXPORT: Final = """
git read-tree "$2"
read_all -q
git -c core.bigFileThreshold=1m add -A . >/dev/null
tree=$(git write-tree)
commit=$(git commit-tree "$tree" -p "$2" -m "$3")
printf '%s\\n^%s\\n' "$commit" "$2" |
  git -c pack.threads=1 -c core.bigFileThreshold=1m pack-objects --revs --thin --stdout -q
echo "$commit" >&2
"""
# An index of `read-tree` remembers the id of its tree, and `write-tree` would only repeat it. The
# trees are wanted for their id alone, and no disk need see them.
_MATERIALISE: Final = """
git ls-tree -r -z "$2" | git update-index -z --index-info
git checkout-index -a -f
read_all
git -c core.bigFileThreshold=1m add -A -f . >/dev/null
away=$(mktemp -d 2>/dev/null || mktemp -dp "$GIT_DIR")
GIT_OBJECT_DIRECTORY="$away" git write-tree --missing-ok
rm -r "$away"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """One place of the host as a sandbox shows it."""

    source: Path
    target: str
    writable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Shadow:
    """A private git dir, the file that points to it, and all that must be mounted for it.

    ``alternates`` pairs each object directory of the host with its place in the sandbox.
    """

    git_dir: Path
    pointer_file: Path
    alternates: tuple[tuple[Path, str], ...]
    mounts: tuple[Mount, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportPlan:
    """What to run in a fresh sandbox: mounts in their order, argv, environment, deadline.

    ``scratch_git_dir`` may be deleted afterwards; the command stands in ``checkout``.
    """

    argv: tuple[str, ...]
    mounts: tuple[Mount, ...]
    env: Mapping[str, str]
    scratch_git_dir: Path
    checkout: str
    seconds: float = EXPORT_SECONDS


def prepare(
    repository: Repository,
    workspace_admin_index: Path,
    *,
    at: Path,
    checkout: Path,
    branch: str,
    target: str,
    base: Oid,
    excludes: Sequence[str] = (),
) -> Shadow:
    """Give the git dir an agent works with: on ``branch`` at ``base``, with a ready index."""
    refs = {f"refs/heads/{name.removeprefix('refs/heads/')}": base for name in (branch, target)}
    head = f"ref: refs/heads/{branch.removeprefix('refs/heads/')}"
    failpoint("shadow.prepare.before")
    made = _shadow(repository, at, checkout=checkout, head=head, refs=refs, excludes=excludes)
    shutil.copyfile(workspace_admin_index, made.git_dir / "index")
    failpoint("shadow.prepare.after")
    return made


def testing_git_dir(repository: Repository, *, at: Path, checkout: Path, commit: Oid) -> Shadow:
    """Give the throwaway git dir of a test sandbox: detached at ``commit``, with all tags.

    Suites and builds ask git for versions, so the history is readable; the index is the commit's.
    """
    listed = repository.git("for-each-ref", "--format=%(objectname) %(refname)", "refs/tags/").text
    refs = {name: Oid(oid) for oid, _, name in (line.partition(" ") for line in listed.split("\n"))}
    refs.pop("", None)
    failpoint("shadow.testing.before")
    made = _shadow(repository, at, checkout=checkout, head=commit, refs=refs)
    repository.git.with_index(made.git_dir / "index")("read-tree", commit)
    failpoint("shadow.testing.after")
    return made


def export_plan(
    repository: Repository,
    *,
    tree: Path,
    at: Path,
    checkout: Path,
    base: Oid,
    message: str,
    identity: Identity = FACTORY_IDENTITY,
    excludes: Sequence[str] = (),
    seconds: float | None = None,
) -> ExportPlan:
    """Say what turns the files of a workspace into one commit on ``base``.

    The sandbox writes the pack to its output and, once it is complete, the commit's id as the last
    line of its errors (`exported_commit`). The workspace is read-only meanwhile, and nothing of
    the agent's git dir takes part. Every file is read anew, so without ``seconds`` the deadline
    grows with the tree.
    """
    files = repository.git("ls-tree", "-r", "-z", "--name-only", base).out.count(b"\0")
    failpoint("shadow.export.before")
    made = _shadow(repository, at, checkout=checkout, head=base, refs={}, excludes=excludes)
    with suppress(FileExistsError):
        os.close(
            os.open(tree / ".git", os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_WRONLY, 0o644)
        )
    made.pointer_file.write_text("gitdir: /nonexistent\n")
    failpoint("shadow.export.after")
    return ExportPlan(
        argv=("/bin/sh", "-euc", _READ_ALL + _EXPORT, "export", str(checkout), base, message),
        mounts=(Mount(source=tree, target=str(checkout)), *made.mounts),
        env=_environment(checkout, identity),
        scratch_git_dir=at,
        checkout=str(checkout),
        seconds=seconds or EXPORT_SECONDS + files / _FILES_A_SECOND,
    )


def exported_commit(errors: bytes) -> Oid | None:
    """Give the commit that an export named last in its errors; None when it did not get so far."""
    last = errors.decode("ascii", "replace").rstrip("\n").rpartition("\n")[2]
    return Oid(last) if OID_PATTERN.fullmatch(last) else None


def materialise_plan(
    repository: Repository,
    *,
    tree: Oid,
    directory: Path,
    at: Path,
    checkout: Path,
    seconds: float = 120.0,
) -> ExportPlan:
    """Say what writes a tree into an empty directory of the host and prints the id it reads back.

    The two ids are equal exactly when the files are the tree; anything else must not be tested.
    """
    failpoint("shadow.materialise.before")
    made = _shadow(repository, at, checkout=checkout, head=tree, refs={})
    (directory / ".git").touch()
    made.pointer_file.write_text("gitdir: /nonexistent\n")
    failpoint("shadow.materialise.after")
    return ExportPlan(
        argv=("/bin/sh", "-euc", _READ_ALL + _MATERIALISE, "materialise", str(checkout), tree),
        mounts=(Mount(source=directory, target=str(checkout), writable=True), *made.mounts),
        env=_environment(checkout, FACTORY_IDENTITY),
        scratch_git_dir=at,
        checkout=str(checkout),
        seconds=seconds,
    )


def scope_mounts(tree: Path, checkout: Path, mounts: Mounts) -> tuple[Mount, ...]:
    """Give a scope's mounts over a read-only tree, in order; makes the directories that miss.

    Only for a workspace that no agent has touched. A symbolic link is never a mount's place: it
    would lead the mount elsewhere, so such an entry stays as its directory is and policy judges.
    """
    for path in mounts.missing:
        _make_below(tree, path)
    given: list[Mount] = []
    for path, writable in mounts.ordered():
        place = tree / path if path else tree
        mode = place.lstat().st_mode if os.path.lexists(place) else 0
        if S_ISDIR(mode) or S_ISREG(mode):
            target = f"{checkout}/{path}".rstrip("/")
            given.append(Mount(source=place, target=target, writable=writable))
    return tuple(given)


def _make_below(tree: Path, path: str) -> None:
    here = tree
    for name in path.split("/"):
        here = here / name
        if here.is_symlink():
            return
        here.mkdir(exist_ok=True)


def _environment(checkout: Path, identity: Identity) -> dict[str, str]:
    return {
        "GIT_DIR": GIT_INSIDE,
        "GIT_WORK_TREE": str(checkout),
        "GIT_INDEX_FILE": f"{GIT_INSIDE}/fresh-index",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_LITERAL_PATHSPECS": "1",
        "GIT_AUTHOR_NAME": identity.name,
        "GIT_AUTHOR_EMAIL": identity.email,
        "GIT_COMMITTER_NAME": identity.name,
        "GIT_COMMITTER_EMAIL": identity.email,
        "LC_ALL": "C",
    }


def _shadow(
    repository: Repository,
    at: Path,
    *,
    checkout: Path,
    head: str,
    refs: Mapping[str, Oid],
    excludes: Sequence[str] = (),
) -> Shadow:
    chain = alternates(repository.objects)
    inside = [OBJECTS_INSIDE, *(f"{OBJECTS_INSIDE}.{place}" for place in range(1, len(chain)))]
    git_dir = write_git_dir(
        at / "git",
        object_format=repository.object_format,
        work_tree=checkout,
        head=head,
        refs=refs,
        objects=inside,
        excludes=excludes,
    )
    pointer = at / "pointer"
    pointer.write_text(f"gitdir: {GIT_INSIDE}\n")
    mounts = [
        Mount(source=pointer, target=f"{checkout}/.git"),
        Mount(source=git_dir, target=GIT_INSIDE, writable=True),
    ]
    for place, (host, shown) in enumerate(zip(chain, inside, strict=True)):
        mounts.append(Mount(source=host, target=shown))
        if (host / "info/alternates").exists():
            # The host's own list names paths that no sandbox has; git would complain of each.
            empty = at / f"no-alternates-{place}"
            empty.touch()
            mounts.append(Mount(source=empty, target=f"{shown}/info/alternates"))
    return Shadow(
        git_dir=git_dir,
        pointer_file=pointer,
        alternates=tuple(zip(chain, inside, strict=True)),
        mounts=tuple(mounts),
    )
