"""Workspaces: complete or absent, exact bytes, gone by renaming."""

import os
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from tests.conftest import make_repository
from tests.run import ROOT, RunError, run
from tests.worktrees.marks import evil_script, fingerprint, sound, status
from worktrees.failpoint import FailpointError, arm
from worktrees.git import GitError, open_repository
from worktrees.lock import worktree_lock
from worktrees.workspace import (
    Plain,
    Reaper,
    fell,
    grow,
    hand_out,
    hold_base,
    release_base,
)

REF = "refs/heads/factory/r/job/a"


@pytest.fixture
def lock(repository):
    """Give the lock of worktree administration."""
    return worktree_lock(repository.factory)


def listed(checkout):
    """Give the worktrees that git lists beside the main one."""
    lines = run(["git", "worktree", "list", "--porcelain"], cwd=checkout).text.splitlines()
    return [line for line in lines if line.startswith("worktree ")][1:]


def test_a_workspace_is_a_registered_detached_worktree(repository, base, lock, checkout):
    """Git lists it locked and detached at the base, and finds it clean."""
    grown = grow(repository, name="r-0", base=base, lock=lock)

    porcelain = run(["git", "worktree", "list", "--porcelain"], cwd=checkout).text
    assert f"worktree {grown.tree}\nHEAD {base}\ndetached\nlocked factory" in porcelain
    assert status(grown.tree).text == ""
    assert (grown.tree / "src/core.py").read_bytes() == (checkout / "src/core.py").read_bytes()


def test_hand_out_puts_it_on_the_branch(repository, base, commit, lock, checkout):
    """The branch stands at the start, HEAD names it, and the files are the start's."""
    start = commit(base, {"README.md": "2\n", "src/core.py": None})
    grown = grow(repository, name="r-0", base=base, lock=lock)

    given = hand_out(repository, grown, ref=REF, start=start, expected=None)

    assert given.base == start
    assert repository.git.resolve(REF) == start
    assert run(["git", "branch", "--show-current"], cwd=given.tree).text == "factory/r/job/a"
    assert status(given.tree).text == ""
    assert not (given.tree / "src/core.py").exists()
    sound(checkout)


def test_a_branch_that_stands_elsewhere_is_not_moved(repository, base, commit, lock):
    """Handing out compares before it swaps."""
    other = commit(base, {"README.md": "2\n"})
    repository.git("update-ref", REF, other)
    grown = grow(repository, name="r-0", base=base, lock=lock)

    with pytest.raises(GitError):
        hand_out(repository, grown, ref=REF, start=base, expected=None)

    assert repository.git.resolve(REF) == other


def test_attempt_two_takes_the_branch_while_attempt_one_stands(repository, base, lock):
    """Two registered worktrees on one branch do not collide."""
    first = grow(repository, name="r-0", base=base, lock=lock)
    hand_out(repository, first, ref=REF, start=base, expected=None)
    second = grow(repository, name="r-1", base=base, lock=lock)

    hand_out(repository, second, ref=REF, start=base, expected=base)

    assert run(["git", "branch", "--show-current"], cwd=second.tree).text == "factory/r/job/a"


def test_files_are_the_exact_bytes_of_the_tree(repository, base, commit, lock, tmp_path):
    """Neither attributes nor the user's filters and line endings change a byte."""
    proof = tmp_path / "executed"
    evil = evil_script(tmp_path / "evil", proof)
    for key in ("clean", "smudge"):
        run(["git", "config", f"filter.f.{key}", str(evil)], cwd=repository.checkout)
    run(["git", "config", "core.autocrlf", "true"], cwd=repository.checkout)
    attributes = "* text=auto eol=crlf ident filter=f\nu working-tree-encoding=UTF-16\n"
    odd = {".gitattributes": attributes, "a.txt": b"1\r\n2\n$Id$\n", "u": "text\n"}
    start = commit(base, odd)

    grown = grow(repository, name="r-0", base=start, lock=lock)

    assert (grown.tree / "a.txt").read_bytes() == b"1\r\n2\n$Id$\n"
    assert (grown.tree / "u").read_bytes() == b"text\n"
    assert not proof.exists()


def test_prune_by_anybody_leaves_a_workspace(repository, base, lock, checkout):
    """Even when its files cannot be seen, `worktree prune` keeps the registration."""
    grown = grow(repository, name="r-0", base=base, lock=lock)
    (grown.tree / ".git").unlink()

    run(["git", "worktree", "prune", "--expire=now"], cwd=checkout)

    assert grown.admin.is_dir()


def test_a_failed_grow_leaves_nothing(repository, lock, checkout):
    """When the base cannot be read, no directory and no registration stays."""
    with pytest.raises(GitError):
        grow(repository, name="r-0", base="a" * 40, lock=lock)

    assert listed(checkout) == []
    assert list((repository.factory / "trees").iterdir()) == []
    assert list((repository.factory / "new").iterdir()) == []


def test_a_name_is_not_used_twice(repository, base, lock):
    """A standing workspace is never grown over."""
    grown = grow(repository, name="r-0", base=base, lock=lock)
    (grown.tree / "mine").write_text("work")

    with pytest.raises(FileExistsError):
        grow(repository, name="r-0", base=base, lock=lock)

    assert (grown.tree / "mine").read_text() == "work"


def test_felling_frees_name_and_place_at_once(repository, base, lock, checkout):
    """After felling nothing is registered, all lies in the trash, and twice is no error."""
    grown = grow(repository, name="r-0", base=base, lock=lock)

    fell(repository, grown, lock=lock)
    fell(repository, grown, lock=lock)

    assert listed(checkout) == []
    assert not grown.tree.exists()
    assert len(list((repository.factory / "trash").iterdir())) == 2
    sound(checkout)


def test_a_swapped_git_file_does_not_stop_felling(repository, base, lock, checkout, tmp_path):
    """What an agent makes of its `.git` file is never read by us (A01, A02)."""
    proof = tmp_path / "executed"
    grown = grow(repository, name="r-0", base=base, lock=lock)
    hand_out(repository, grown, ref=REF, start=base, expected=None)
    (grown.tree / ".git").unlink()
    run(["git", "init", "-q", str(grown.tree)])
    config = (grown.tree / ".git" / "config").open("a")
    with config:
        config.write(f"[core]\n\tfsmonitor = {evil_script(tmp_path / 'evil', proof)}\n")

    fell(repository, grown, lock=lock)

    assert not proof.exists()
    assert listed(checkout) == []


def test_the_reaper_deletes_what_an_agent_made_hard_to_delete(repository, base, lock):
    """Fifteen hundred levels, closed directories, links and odd names all go; links' ends stay."""
    outside = repository.common.parent / "README.md"
    grown = grow(repository, name="r-0", base=base, lock=lock)
    closed = grown.tree / "closed"
    (closed / "in").mkdir(parents=True)
    (grown.tree / "link").symlink_to(outside.parent)
    os.mkfifo(grown.tree / "fifo")
    (grown.tree / os.fsdecode(b"odd\xff\n")).write_text("x")
    closed.chmod(0)
    here = os.open(grown.tree, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("d" * 100, dir_fd=here)
        below = os.open("d" * 100, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)

    fell(repository, grown, lock=lock)
    with Reaper(repository) as reaper:
        reaper.drain()

    assert list((repository.factory / "trash").iterdir()) == []
    assert outside.read_text()


def test_the_reaper_works_in_the_background(repository, base, lock):
    """Felling through the grower wakes the reaper, and closing it waits for the entry at hand."""
    with Reaper(repository) as reaper:
        way = Plain(repository=repository, lock=lock, reaper=reaper)
        way.fell(way.grow("r-0", base))
        trash = repository.factory / "trash"
        tries = iter(range(500))
        while list(trash.iterdir()) and next(tries, None) is not None:
            threading.Event().wait(0.01)

        assert list(trash.iterdir()) == []
        assert reaper.fault is None


def test_what_cannot_be_deleted_is_told_and_stops_nothing_else(repository, monkeypatch):
    """One stuck entry is an error after all the others are gone."""
    trash = repository.factory / "trash"
    for name in ("a", "b", "c"):
        (trash / name).mkdir(parents=True)
    whole = os.rmdir

    def stuck(path, **where):
        if path == "b":
            raise OSError(16, "busy", path)
        whole(path, **where)

    monkeypatch.setattr(os, "rmdir", stuck)
    with Reaper(repository) as reaper, pytest.raises(OSError, match="busy"):
        reaper.drain()

    assert [path.name for path in trash.iterdir()] == ["b"]


def test_fifty_at_once_never_break_and_others_see_no_half(repository, base, lock, checkout):
    """Under the lock 50 concurrent grows and fells never fail; foreign calls keep working."""
    stop = threading.Event()
    foreign: list[str] = []
    calls = 0

    def others():
        nonlocal calls
        while not stop.is_set():
            calls += 1
            try:
                run(["git", "worktree", "list"], cwd=checkout)
                assert status(checkout).text == ""
            except RunError as error:
                foreign.append(str(error))

    def one(number):
        grown = grow(repository, name=f"r-{number}", base=base, lock=lock)
        ref = f"refs/heads/factory/r/job/j{number}"
        given = hand_out(repository, grown, ref=ref, start=base, expected=None)
        with lock:
            repository.git("worktree", "list", "--porcelain", "-z")
        fell(repository, given, lock=lock)

    before = fingerprint(checkout)
    with ThreadPoolExecutor(11) as pool:
        watcher = pool.submit(others)
        list(pool.map(one, range(50)))
        stop.set()
        watcher.result()

    assert listed(checkout) == []
    assert fingerprint(checkout) == before
    # Felling may hide an admin directory between a foreign listing's two looks; never more.
    assert len(foreign) <= max(2, calls // 10), foreign
    assert all("No such file" in text for text in foreign), foreign
    sound(checkout)


def test_nobody_ever_sees_a_half_registered_worktree(repository, base, lock):
    """At the first moment that an admin directory is seen, all its files are there."""
    whole = {"HEAD", "commondir", "gitdir", "index", "locked"}
    halves = []
    for number in range(4):
        admin = repository.common / "worktrees" / f"r-{number}"
        done = threading.Event()

        def watch(admin=admin, done=done):
            while not done.is_set():
                with suppress(FileNotFoundError):
                    halves.append(set(os.listdir(admin)) ^ whole)  # noqa: PTH208  the fastest look
                    return

        watcher = threading.Thread(target=watch)
        watcher.start()
        grow(repository, name=f"r-{number}", base=base, lock=lock)
        done.set()
        watcher.join()

    assert set().union(*halves) == set()


def test_the_base_is_held_and_let_go(repository, base):
    """A base has a ref of ours for as long as the run wants it."""
    hold_base(repository, "r", base)
    assert repository.git.resolve("refs/factory/base/r") == base

    release_base(repository, "r")
    release_base(repository, "r")

    assert repository.git.resolve("refs/factory/base/r") is None


def test_an_interrupted_grow_cleans_up_after_itself(repository, base, lock, checkout):
    """An error at the registration takes everything back."""
    arm("workspace.register.after:raise")
    try:
        with pytest.raises(FailpointError):
            grow(repository, name="r-0", base=base, lock=lock)
    finally:
        arm(None)

    assert listed(checkout) == []
    assert not (repository.factory / "trees" / "r-0").exists()


def test_a_path_with_odd_characters_works(tmp_path):
    """A repository under a path with spaces, quotes and colons grows workspaces too."""
    home = tmp_path / 'a "b": c#d'
    repository = open_repository(make_repository(home / "r"))
    base = repository.git.resolve("HEAD")

    grown = grow(repository, name="r-0", base=base, lock=worktree_lock(repository.factory))

    assert status(grown.tree).text == ""


def test_sha256_workspaces_work(tmp_path):
    """The other object format is filled by the neutral git dir as well."""
    run(["git", "init", "-q", "--object-format=sha256", "-b", "main", str(tmp_path / "r")])
    repository = open_repository(make_repository(tmp_path / "r"))
    base = repository.git.resolve("HEAD")
    lock = worktree_lock(repository.factory)

    grown = grow(repository, name="r-0", base=base, lock=lock)
    hand_out(repository, grown, ref=REF, start=base, expected=None)

    assert status(grown.tree).text == ""


def test_a_kill_in_mid_grow_never_bricks_the_repository(base, checkout):
    """After kill -9 right before and after registration every worktree command still works."""
    code = (
        "import sys; from pathlib import Path; from worktrees.failpoint import arm; "
        "from worktrees.git import open_repository; from worktrees.lock import worktree_lock; "
        "from worktrees.workspace import grow; r = open_repository(Path(sys.argv[1])); "
        "arm(sys.argv[2]); "
        "grow(r, name=sys.argv[3], base=sys.argv[4], lock=worktree_lock(r.factory))"
    )
    for number, point in enumerate(("register.before", "register.after")):
        argv = [checkout, f"workspace.{point}:kill", f"r-{number}", base]
        ran = run([sys.executable, "-c", code, *argv], cwd=ROOT, check=False)

        assert ran.code == -signal.SIGKILL
        sound(checkout)
