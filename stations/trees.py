"""Exact trees on disk: proved by the id that is read back, and the box for a command on one."""

from collections.abc import Sequence
from pathlib import Path
from uuid import uuid4

from stations.bench import Bench, planned, prepare_places, tracked
from stations.box import Box, SandboxError
from stations.tools import Tool
from worktrees.failpoint import failpoint
from worktrees.names import Oid
from worktrees.scope import Scope
from worktrees.shadow import Mount, materialise_plan, scope_mounts, testing_git_dir


def materialise(bench: Bench, tree: Oid, *, room: Path) -> Path:
    """Write a tree below ``room`` and give its directory; it is exactly that tree.

    Raises ``SandboxError`` when what was read back is anything else: then nothing is tested.
    """
    at = room / f"tree-{uuid4().hex[:8]}"
    directory = at / "tree"
    directory.mkdir(parents=True)
    plan = materialise_plan(
        bench.repository, tree=tree, directory=directory, at=at, checkout=bench.place(directory)
    )
    failpoint("trees.materialise.before")
    ran = bench.sandbox.run(planned(plan), deadline=plan.seconds)
    failpoint("trees.materialise.after")
    read = ran.out.decode("ascii", "replace").strip()
    if not ran.good or read != tree:
        said = ran.text.strip()[-600:] or f"ended by {ran.ended}, code {ran.code}"
        msg = f"the tree {tree} could not be written out exactly: {said}"
        raise SandboxError(msg)
    prepare_places(directory, bench)
    return directory


def command_box(
    bench: Bench,
    directory: Path,
    *,
    commit: Oid,
    words: Sequence[str],
    tool: Tool,
    scope: Scope | None,
) -> Box:
    """Give the box of a command on a materialised tree; without a scope all of it is writable."""
    place = bench.place(directory)
    git_dir = testing_git_dir(
        bench.repository, at=directory.parent / "head", checkout=place, commit=commit
    )
    written = scope.mounts(tracked(bench.git, commit)) if scope is not None else None
    return Box(
        argv=(tool.path, *words[1:]),
        checkout=str(place),
        mounts=(
            Mount(source=directory, target=str(place), writable=scope is None),
            *(scope_mounts(directory, place, written) if written is not None else ()),
            *git_dir.mounts,
            *tool.mounts,
        ),
        env=bench.variables(place),
        path=tool.path_entries,
        scratch=bench.scratch(place),
        limits=bench.limits,
    )
