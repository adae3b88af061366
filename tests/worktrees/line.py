"""A workspace of one job for tests: filled with exact bytes, worked on, exported, taken in."""

from dataclasses import dataclass
from pathlib import Path

from tests.worktrees.boxes import box, carry_out
from worktrees.gitdir import write_git_dir
from worktrees.intake import Refused, Same, Taken, intake
from worktrees.names import Oid
from worktrees.policy import Rules
from worktrees.scope import Scope, widest
from worktrees.shadow import (
    Mount,
    Repository,
    Shadow,
    export_plan,
    exported_commit,
    prepare,
    scope_mounts,
)

REF = "refs/heads/factory/r1/job/j1"
KEEP = "refs/factory/salvage/r1/j1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What an export gave: the pack and the commit that it named."""

    pack: bytes
    commit: Oid


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """One workspace at ``base`` with its shadow; ``room`` holds everything that is ours."""

    repository: Repository
    base: Oid
    room: Path
    tree: Path
    shadow: Shadow

    @property
    def checkout(self) -> Path:
        """Where the tree stands in every sandbox."""
        assert self.repository.checkout is not None
        return self.repository.checkout

    def work(self, script: str, *, scope: Scope | None = None) -> str:
        """Run a shell script as the agent, with only the scope writable, and give its output."""
        listed = self.repository.git("ls-tree", "-r", "-z", "--name-only", self.base).parts
        opened = (scope or widest()).mounts([path.decode() for path in listed])
        mounts = (
            Mount(source=self.tree, target=str(self.checkout)),
            *scope_mounts(self.tree, self.checkout, opened),
            *self.shadow.mounts,
        )
        return box(mounts, ["sh", "-ec", script], checkout=self.checkout).text

    def write(self, path: str | bytes, content: str | bytes) -> None:
        """Write a file as an agent could have."""
        name = path.decode("utf-8", "surrogateescape") if isinstance(path, bytes) else path
        file = self.tree / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)

    def export(self) -> Exported:
        """Export the workspace in a fresh sandbox."""
        at = self.room / f"export-{len(list(self.room.iterdir()))}"
        plan = export_plan(
            self.repository,
            tree=self.tree,
            at=at,
            checkout=self.checkout,
            base=self.base,
            message="Work of job j1\n",
        )
        ran = carry_out(plan)
        commit = exported_commit(ran.err)
        assert commit is not None
        return Exported(pack=ran.out, commit=commit)

    def take(
        self,
        exported: Exported | None = None,
        *,
        scope: Scope | None = None,
        rules: Rules | None = None,
        judged_from: Oid | None = None,
        keep: bool = False,
    ) -> Taken | Refused | Same:
        """Take an export in (a new one when none is given), onto the job's new branch."""
        given = exported or self.export()
        return intake(
            self.repository,
            given.pack,
            given.commit,
            base=self.base,
            judged_from=judged_from or self.base,
            scope=scope or widest(),
            rules=rules or Rules(),
            ref=REF,
            old=None,
            keep_refused=KEEP if keep else "",
        )


def sit(repository: Repository, base: Oid, room: Path) -> Desk:
    """Give a fresh workspace at ``base``, filled with the exact bytes of its tree."""
    tree = room / "tree"
    tree.mkdir(parents=True)
    filler = write_git_dir(
        room / "filler",
        object_format=repository.object_format,
        work_tree=tree,
        head=base,
        refs={},
        objects=[str(repository.objects)],
        excludes=(),
    )
    git = repository.git
    fill = type(git)(git_dir=filler, empty=git.empty).with_work_tree(tree)
    fill("read-tree", base)
    fill("checkout-index", "-a", "-f", "-u")
    (tree / ".git").write_text("gitdir: /nowhere\n")
    assert repository.checkout is not None
    shadow = prepare(
        repository,
        filler / "index",
        at=room / "shadow",
        checkout=repository.checkout,
        branch="factory/r1/job/j1",
        target="main",
        base=base,
        excludes=[".venv"],
    )
    return Desk(repository=repository, base=base, room=room, tree=tree, shadow=shadow)
