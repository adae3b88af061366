"""Shadow git dirs in real sandboxes: what an agent may do there, and what comes out of it."""

import hashlib
from pathlib import Path

import pytest

from tests.conftest import Commit, make_repository
from tests.run import run
from tests.worktrees.boxes import box, carry_out
from tests.worktrees.line import Desk, sit
from worktrees import shadow
from worktrees.git import Identity, Repository, open_repository
from worktrees.gitdir import alternates
from worktrees.intake import Same, Taken
from worktrees.names import Oid
from worktrees.scope import Mounts, Scope
from worktrees.shadow import (
    ExportPlan,
    Mount,
    export_plan,
    exported_commit,
    materialise_plan,
    scope_mounts,
)


@pytest.fixture
def desk(repository: Repository, base: Oid, tmp_path: Path) -> Desk:
    """Give a workspace on the small repository."""
    return sit(repository, base, tmp_path / "room")


def fingerprint(directory: Path) -> dict[str, str]:
    """Give the hash of every file below a directory."""
    return {
        str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(directory.rglob("*"))
        if path.is_file() and not path.is_symlink()
    }


def changed(desk: Desk) -> dict[str, str]:
    """Export and take in, and give status by path."""
    taken = desk.take()
    assert isinstance(taken, Taken), taken
    return {entry.path.decode(): entry.status for entry in taken.entries}


def test_an_agent_has_all_of_git_and_none_of_it_reaches_the_host(desk: Desk) -> None:
    """Commits, stashes, branches, configuration and moved refs of an agent stay in its shadow."""
    before = fingerprint(desk.repository.common)

    said = desk.work(
        """
        git status --porcelain
        echo new > src/new.py; git add -A; git commit -qm mine
        echo two >> src/core.py; git stash -q; git stash pop -q
        git checkout -q -b other; git tag t; git config core.fsmonitor ./evil
        git update-ref refs/heads/main HEAD; git reflog expire --all --expire=now; git gc -q
        git -c core.fsmonitor= log --oneline | wc -l
        """
    )

    assert said == "2"
    assert fingerprint(desk.repository.common) == before


def test_the_shadow_starts_clean_on_the_jobs_branch(desk: Desk) -> None:
    """The agent finds its branch checked out, nothing changed, and no other ref but the target."""
    said = desk.work("git status --porcelain -b; git for-each-ref --format='%(refname)'")

    assert said.split("\n") == [
        "## factory/r1/job/j1",
        "refs/heads/factory/r1/job/j1",
        "refs/heads/main",
    ]


def test_an_export_is_exactly_what_the_files_are(desk: Desk) -> None:
    """Changed, new and deleted files travel; nothing else does, and the base is the one parent."""
    desk.work("echo x >> src/core.py; mkdir -p a/b; echo n > a/b/c; rm README.md; chmod +x a/b/c")

    taken = desk.take()

    assert isinstance(taken, Taken)
    assert {(e.path, e.status, e.new_mode) for e in taken.entries} == {
        (b"README.md", "D", "000000"),
        (b"a/b/c", "A", "100755"),
        (b"src/core.py", "M", "100644"),
    }
    said = desk.repository.git("log", "-1", "--format=%P|%an|%ae|%cn|%B", taken.commit).text
    assert said == f"{desk.base}|Factory|factory@localhost|Factory|Work of job j1"


def test_nothing_an_agent_committed_travels(desk: Desk) -> None:
    """Agent messages, authors and forged trailers are not in the exported commit."""
    desk.work(
        "echo x > src/x.py; git add -A; git commit -qm 'Factory-Run: forged' --author='E <e@x.y>'"
    )

    taken = desk.take()

    assert isinstance(taken, Taken)
    raw = desk.repository.git("cat-file", "commit", taken.commit).out
    assert b"forged" not in raw
    assert b"e@x.y" not in raw
    assert raw.count(b"parent ") == 1


def test_changes_hidden_from_git_are_seen(desk: Desk) -> None:
    """Index flags, excludes, sparse settings and a lying index of an agent hide nothing."""
    desk.work(
        """
        git update-index --assume-unchanged src/core.py
        git update-index --skip-worktree README.md
        echo evil >> src/core.py; echo evil >> README.md; echo evil > hidden.py
        echo hidden.py >> /.factory/git/info/exclude
        touch -d '2001-01-01' src/core.py
        git config core.excludesFile /dev/stdin; git config core.sparseCheckout true
        """
    )

    assert changed(desk) == {"README.md": "M", "hidden.py": "A", "src/core.py": "M"}


def test_ignored_files_stay_behind_and_tracked_ones_travel(
    repository: Repository, base: Oid, commit: Commit, tmp_path: Path
) -> None:
    """The tree's own ignore rules keep new files out and never hide a change of a tracked one."""
    start = commit(base, {".gitignore": "*.log\n", "kept.log": "a\n"})
    desk = sit(repository, start, tmp_path / "room")

    desk.work("echo b > kept.log; echo c > new.log; echo d > new.py")

    assert changed(desk) == {"kept.log": "M", "new.py": "A"}


def test_an_untouched_workspace_exports_as_its_base(desk: Desk) -> None:
    """Nothing done is nothing changed, whatever git commands an agent ran."""
    desk.work("git status; git gc -q; touch src/core.py")

    assert desk.take() == Same()


ODD_FILES = {
    ".gitattributes": "*.crlf text eol=crlf\n*.id ident\n*.arch export-subst\n"
    "secret export-ignore\n*.f filter=evil diff=evil merge=evil\n"
    "*.u working-tree-encoding=UTF-16\n* text=auto\n",
    "mixed.txt": "one\r\ntwo\nthree\r\n",
    "plain.crlf": "as\nis\n",
    "windows.crlf": "as\r\nis\r\n",
    "tag.id": "$Id$ $Id: 0123 $\n",
    "release.arch": "$Format:%H$\n",
    "secret": "not to be archived\n",
    "x.f": "filtered\n",
    "x.u": "not utf-16\n",
}


@pytest.fixture
def odd(repository: Repository, base: Oid, commit: Commit, tmp_path: Path) -> Desk:
    """Give a workspace on a tree whose attributes would convert what they can."""
    start = commit(base, {**ODD_FILES, "zero": b"\0\xff\r\n\0"})
    repository.git("config", "filter.evil.clean", "touch owned")
    repository.git("config", "filter.evil.smudge", "touch owned")
    return sit(repository, start, tmp_path / "room")


def test_bytes_round_trip_whatever_the_attributes_say(odd: Desk) -> None:
    """Line ends, ident, encodings and filters of the tree change nothing on the way."""
    odd.work("echo more >> mixed.txt")

    taken = odd.take()

    assert isinstance(taken, Taken)
    assert [entry.path for entry in taken.entries] == [b"mixed.txt"]
    assert odd.repository.git("cat-file", "blob", f"{taken.commit}:mixed.txt").out == (
        b"one\r\ntwo\nthree\r\nmore\n"
    )


def objects(plan: ExportPlan) -> int:
    """Count the objects that a plan wrote into its private git dir."""
    return sum(path.is_file() for path in (plan.scratch_git_dir / "git/objects").rglob("*/*"))


def test_no_unchanged_file_is_written_as_an_object_again(odd: Desk, tmp_path: Path) -> None:
    """An export writes objects for what changed, and a materialised tree none for its files."""
    directory = tmp_path / "made"
    directory.mkdir()
    made = materialise_plan(
        odd.repository,
        tree=odd.repository.git.tree_of(odd.base),
        directory=directory,
        at=tmp_path / "m",
        checkout=odd.checkout,
    )
    unchanged = export_plan(
        odd.repository, tree=odd.tree, at=tmp_path / "e", checkout=odd.checkout, base=odd.base,
        message="nothing",
    )  # fmt: skip

    carry_out(made)
    carry_out(unchanged)

    alternates_file = 1
    assert objects(made) == alternates_file
    assert objects(unchanged) == alternates_file + 1  # the commit


def test_a_materialised_tree_is_the_tree(odd: Desk, tmp_path: Path) -> None:
    """The directory to test holds the exact bytes of every file, and proves it by its id."""
    directory = tmp_path / "made"
    directory.mkdir()
    tree = odd.repository.git.tree_of(odd.base)

    ran = carry_out(
        materialise_plan(
            odd.repository,
            tree=tree,
            directory=directory,
            at=tmp_path / "m",
            checkout=odd.checkout,
        )
    )

    assert ran.text == tree
    assert {name: (directory / name).read_bytes() for name in ODD_FILES} == {
        name: text.encode() for name, text in ODD_FILES.items()
    }


def test_a_tree_that_cannot_stand_as_files_is_found_out(
    repository: Repository, base: Oid, tmp_path: Path
) -> None:
    """A tree whose files are not what it says gives another id, so nothing else is tested."""
    git = repository.git
    blob = git("rev-parse", f"{base}:README.md").text
    inner = git("mktree", stdin=f"100644 blob {blob}\tx\n".encode()).text
    twice = f"100644 blob {blob}\ta\n040000 tree {inner}\ta\n".encode()
    tree = Oid(git("mktree", stdin=twice).text)
    directory = tmp_path / "made"
    directory.mkdir()
    assert repository.checkout is not None

    ran = carry_out(
        materialise_plan(
            repository, tree=tree, directory=directory, at=tmp_path / "m",
            checkout=repository.checkout,
        ),
        check=False,
    )  # fmt: skip

    assert ran.text != tree


def test_a_test_sandbox_knows_history_and_tags(
    repository: Repository, base: Oid, commit: Commit, tmp_path: Path
) -> None:
    """Builds that ask git for a version find the candidate, its history and the tags."""
    assert repository.checkout is not None
    run(["git", "tag", "-a", "v1.2", "-m", "one two", base], cwd=repository.checkout)
    tip = commit(base, {"src/new.py": "x\n"})
    made = shadow.testing_git_dir(
        repository, at=tmp_path / "t", checkout=repository.checkout, commit=tip
    )
    desk = sit(repository, tip, tmp_path / "room")

    mounts = (Mount(source=desk.tree, target=str(desk.checkout), writable=True), *made.mounts)
    said = box(
        mounts, ["sh", "-ec", "git describe; git status --porcelain; git rev-parse HEAD"],
        checkout=desk.checkout,
    ).text  # fmt: skip

    assert said.split("\n") == [f"v1.2-1-g{tip[:7]}", tip]


def test_only_the_scope_is_writable(desk: Desk) -> None:
    """Inside the scope files are made and replaced; outside, the kernel says no."""
    said = desk.work(
        """
        echo a > src/api/new.py; echo b > src/api/t; mv src/api/t src/api/users.py
        if (echo x > src/other.py) 2>/dev/null; then echo made; fi
        for path in README.md src/core.py src/api/items.py .git; do
          if (echo x > $path) 2>/dev/null; then echo open $path; fi
          if rm -f $path 2>/dev/null; then echo gone $path; fi
        done
        """,
        scope=Scope(write=("src/api/**", "!src/api/items.py")),
    )

    assert said == ""
    assert changed(desk) == {"src/api/new.py": "A", "src/api/users.py": "M"}


def test_a_link_in_the_way_of_a_mount_is_not_followed(tmp_path: Path) -> None:
    """No mount and no directory is made through a symbolic link of the tree."""
    outside = tmp_path / "outside"
    outside.mkdir()
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "link").symlink_to(outside)
    wanted = Mounts(rw=("link",), covered=(("", ("link",)),), missing=("link/made",))

    mounts = scope_mounts(tree, Path("/co"), wanted)

    assert [mount.target for mount in mounts] == ["/co"]
    assert not list(outside.iterdir())


def test_an_export_that_hangs_is_the_seats_to_end(desk: Desk) -> None:
    """A pipe in place of an attributes file has a deadline in the plan, and names no commit."""
    desk.work("mkfifo .gitattributes")
    plan = export_plan(
        desk.repository, tree=desk.tree, at=desk.room / "e", checkout=desk.checkout,
        base=desk.base, message="m\n", seconds=1.0,
    )  # fmt: skip

    ran = box(
        plan.mounts,
        ["timeout", str(plan.seconds), *plan.argv],
        checkout=plan.checkout,
        env=plan.env,
        check=False,
    )

    assert ran.code != 0
    assert exported_commit(ran.err) is None


def test_the_identity_of_an_export_is_the_callers(desk: Desk) -> None:
    """Author and committer are who the caller named."""
    desk.write("src/x.py", "x\n")
    plan = export_plan(
        desk.repository, tree=desk.tree, at=desk.room / "e", checkout=desk.checkout,
        base=desk.base, message="It's \"$(odd)\" `text`\n",
        identity=Identity(name="Ann O'Nym", email="ann@example.org"),
    )  # fmt: skip

    ran = carry_out(plan)

    assert (
        b"Ann O'Nym <ann@example.org>"
        in run(
            ["git", "cat-file", "commit", exported_commit(ran.err) or ""],
            cwd=desk.checkout,
            env={
                "GIT_OBJECT_DIRECTORY": str(plan.scratch_git_dir / "git/objects"),
                "GIT_ALTERNATE_OBJECT_DIRECTORIES": str(desk.repository.objects),
            },
        ).out
    )


def test_borrowed_objects_and_new_object_formats_work(tmp_path: Path) -> None:
    """A repository that borrows its objects is exported whole, and so is one with SHA-256 ids."""
    origin = make_repository(tmp_path / "origin")
    borrowed = tmp_path / "borrowed"
    run(["git", "clone", "-q", "--shared", str(origin), str(borrowed)])
    wide = tmp_path / "wide"
    run(["git", "init", "-q", "-b", "main", "--object-format=sha256", str(wide)])
    (wide / "a.txt").write_text("a\n")
    run(["git", "add", "-A"], cwd=wide)
    run(["git", "commit", "-q", "-m", "start"], cwd=wide)

    for checkout in (borrowed, wide):
        repository = open_repository(checkout)
        base = repository.git.resolve("refs/heads/main")
        assert base is not None
        desk = sit(repository, base, tmp_path / f"room-{checkout.name}")
        assert desk.work("echo x > new.txt; git fsck 2>&1; git add -A; git commit -qm m") == ""
        assert changed(desk) == {"new.txt": "A"}


def test_shared_paths_are_not_part_of_the_work(desk: Desk) -> None:
    """A path that is mounted into the tree is not added by an agent's own git."""
    assert desk.work("mkdir .venv; echo x > .venv/x; git status --porcelain") == ""


def test_a_directory_that_is_not_there_yet_can_be_filled(desk: Desk) -> None:
    """A scope of a new directory is writable, and an empty one is no change."""
    new = Scope(write=("src/brand/new/**",))

    desk.work("true", scope=new)
    assert desk.take() == Same()

    desk.work("echo x > src/brand/new/x; (echo y > src/brand/y) 2>/dev/null || true", scope=new)
    assert changed(desk) == {"src/brand/new/x": "A"}


def test_the_whole_chain_of_borrowed_objects_is_found(tmp_path: Path) -> None:
    """Absolute and relative lines, comments, loops and dead places of the list are understood."""
    for name, listed in {
        "one": f"# a comment\n{tmp_path}/two\n\n/nowhere\n",
        "two": "../three\n../one\n",
        "three": "",
    }.items():
        (tmp_path / name / "info").mkdir(parents=True)
        (tmp_path / name / "info/alternates").write_text(listed)

    assert alternates(tmp_path / "one") == tuple(tmp_path / n for n in ("one", "two", "three"))
