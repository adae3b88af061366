"""The janitor: whatever a killed process left is repaired, and nothing unlanded is lost."""

import os
import re
import signal
import sys
import time

import pytest

from tests.run import ROOT, end, run, start
from tests.worktrees.marks import evil_script, fingerprint, sound
from worktrees.failpoint import FailpointError, arm
from worktrees.git import open_repository
from worktrees.janitor import Leftovers, StillAliveError, names_of, runs_of, tidy
from worktrees.lock import worktree_lock
from worktrees.merge import advance, chain, landing_commit
from worktrees.names import RunId, made_refs
from worktrees.workspace import Reaper, grow, hand_out

MAIN = "refs/heads/main"
PREFIX = "refs/heads/factory/r/job/"


def left(base, **more):
    """Give what the floor would say of run r; everything on disk is old enough."""
    told = {"run": "r", "target": MAIN, "base": base, "landed": {}}
    return Leftovers(**{**told, "started_before": time.time() + 10, **more})


def repair(repository, base, **more):
    """Run the janitor as the floor does."""
    return tidy(repository, left(base, **more), lock=worktree_lock(repository.factory))


def nothing_of_ours(repository, checkout):
    """Require that no workspace, branch, lock or temporary of the run is left."""
    assert names_of(repository, "r") == ()
    assert repository.git("for-each-ref", PREFIX).text == ""
    assert list(repository.common.rglob("*.lock")) == []
    assert list(repository.objects.rglob("tmp_obj_*")) == []
    sound(checkout)


def attempt(repository, base, commit, *, job="a", serial=0):
    """Leave an attempt as a kill leaves it: workspace on its branch, work saved on the branch."""
    lock = worktree_lock(repository.factory)
    grown = grow(repository, name=f"r-{serial}", base=base, lock=lock)
    hand_out(repository, grown, ref=PREFIX + job, start=base, expected=None)
    saved = commit(base, {f"{job}.txt": f"{job}\n"})
    repository.git("update-ref", PREFIX + job, saved, base)
    return grown, saved


def test_unlanded_work_is_salvaged_and_the_rest_goes(repository, base, commit, checkout):
    """Branch, workspace and registration are gone; the saved commit has its salvage ref."""
    _, saved = attempt(repository, base, commit)
    before = fingerprint(checkout)

    done = repair(repository, base)

    assert done.felled == ("r-0",)
    assert done.salvaged == ("a",)
    assert done.branches_deleted == (PREFIX + "a",)
    assert repository.git.resolve("refs/factory/salvage/r/a") == saved
    assert fingerprint(checkout) == before
    nothing_of_ours(repository, checkout)


def test_doing_it_again_changes_nothing(repository, base, commit):
    """A second run of the janitor finds nothing to do."""
    attempt(repository, base, commit)
    repair(repository, base)

    again = repair(repository, base)

    assert (again.felled, again.salvaged, again.branches_deleted) == ((), (), ())
    assert (again.locks_removed, again.foreign_locks, again.garbage) == ((), (), ())


def test_landed_and_untouched_branches_need_no_salvage(repository, base, commit, checkout):
    """What is on the target, is the base, or landed linearly is deleted and not kept twice."""
    git = repository.git
    merged, flat = commit(base, {"m": "1\n"}), commit(base, {"f": "1\n"})
    for job, at in (("merged", merged), ("flat", flat), ("idle", base)):
        git("update-ref", PREFIX + job, at)
    tip = landing_commit(
        git,
        tree=chain(git, base, [("merged", merged)]).tree,
        tip=base,
        branches=[("merged", merged)],
        run="r",
        title="t",
    )
    assert advance(git, MAIN, new=tip, old=base)

    done = repair(repository, base, landed={"flat": flat})

    assert done.salvaged == ()
    assert len(done.branches_deleted) == 3
    nothing_of_ours(repository, checkout)


def test_what_is_still_needed_stays(repository, base, commit):
    """Branches to keep and workspaces that were not named are left as they are."""
    _, kept = attempt(repository, base, commit, job="kept", serial=0)
    attempt(repository, base, commit, job="gone", serial=1)

    done = repair(repository, base, keep=("kept",), workspaces=("r-1",))

    assert done.felled == ("r-1",)
    assert names_of(repository, "r") == ("r-0",)
    assert repository.git.resolve(PREFIX + "kept") == kept
    assert repository.git.resolve(PREFIX + "gone") is None


def test_another_runs_workspaces_are_not_ours(repository, base):
    """Names of runs that merely begin alike, and the user's worktrees, are left alone."""
    lock = worktree_lock(repository.factory)
    for name in ("r-0", "r-1-0", "rr-0", "other-0"):
        grow(repository, name=name, base=base, lock=lock)

    repair(repository, base)

    assert names_of(repository, "r") == ()
    assert names_of(repository, "r-1") == ("r-1-0",)
    assert len(list((repository.common / "worktrees").iterdir())) == 3


def test_nothing_is_touched_while_a_process_lives(repository, base, commit):
    """A living process of the list stops the janitor before its first step; a dead one does not."""
    attempt(repository, base, commit)
    child = start([sys.executable, "-c", "import sys; sys.stdin.read()"])
    try:
        with pytest.raises(StillAliveError, match=str(child.pid)):
            repair(repository, base, alive=(child.pid,))
        assert names_of(repository, "r") == ("r-0",)
    finally:
        end(child)

    assert repair(repository, base, alive=(child.pid,)).felled == ("r-0",)


def test_a_process_that_only_waits_to_be_reaped_is_dead(repository, base):
    """A zombie cannot write and stops nothing."""
    child = start([sys.executable, "-c", ""])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    try:
        assert repair(repository, base, alive=(child.pid,)).felled == ()
    finally:
        end(child)


@pytest.mark.parametrize("emptied", ["commondir", "gitdir", "HEAD", "all"])
def test_a_half_registered_worktree_is_removed_by_path(repository, base, commit, checkout, emptied):
    """The state that stops every worktree command of git is repaired without asking git."""
    grown, _ = attempt(repository, base, commit)
    for name in ("commondir", "gitdir", "HEAD") if emptied == "all" else (emptied,):
        (grown.admin / name).write_text("")
    if emptied == "commondir":
        broken = run(["git", "worktree", "list"], cwd=checkout, check=False)
        assert broken.code == 128

    done = repair(repository, base)

    assert done.salvaged == ("a",)
    nothing_of_ours(repository, checkout)


def test_old_locks_of_ours_go_and_all_others_stay(repository, base, checkout):
    """Only names that we create and that are older than our start are removed."""
    common = repository.common
    ours = [
        common / f"{MAIN}.lock",
        common / "packed-refs.lock",
        common / "HEAD.lock",
        common / f"{PREFIX}a.lock",
        common / "refs/factory/salvage/r/a.lock",
    ]
    foreign = [common / "index.lock", common / "refs/heads/theirs.lock", common / "config.lock"]
    for path in (*ours, *foreign):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()

    done = repair(repository, base)

    assert set(done.locks_removed) == set(ours)
    assert set(done.foreign_locks) == set(foreign)
    assert all(path.exists() for path in foreign)
    for path in foreign:
        path.unlink()
    nothing_of_ours(repository, checkout)


def test_a_young_lock_is_waited_for_and_never_removed(repository, base, monkeypatch):
    """A lock made after our start may be somebody's work: it is reported and left."""
    monkeypatch.setattr("worktrees.janitor.PATIENCE", 0.1)
    young = repository.common / f"{MAIN}.lock"
    young.touch()

    done = repair(repository, base, started_before=time.time() - 60)

    assert done.locks_removed == ()
    assert done.foreign_locks == (young,)
    assert young.exists()


def test_garbage_goes_to_the_trash(repository, base, checkout):
    """Half-written objects, temporary indexes and given directories go, and nothing of the user."""
    git, factory = repository.git, repository.factory
    oid = git("hash-object", "-w", "--stdin", stdin=b"x").text
    half = repository.objects / oid[:2] / "tmp_obj_abc"
    half.write_bytes(b"half")
    repack = repository.objects / "pack" / "tmp_pack_abc"
    repack.write_bytes(b"somebody's repack")
    quarantine = factory / "quarantine" / "r-0"
    quarantine.mkdir(parents=True)
    (factory / "index.abc").write_bytes(b"half")

    done = repair(repository, base, scratch=(quarantine, checkout / "src", factory / "absent"))

    assert set(done.garbage) == {half, quarantine, factory / "index.abc"}
    assert (checkout / "src").is_dir()
    assert repack.exists()
    with Reaper(repository) as reaper:
        reaper.drain()
    assert list((factory / "trash").iterdir()) == []
    nothing_of_ours(repository, checkout)


def test_the_users_absent_worktree_keeps_its_registration(repository, base, checkout, tmp_path):
    """A worktree of the user whose disk is away is not pruned by us."""
    linked = tmp_path / "linked"
    run(["git", "worktree", "add", "-q", "-b", "side", str(linked)], cwd=checkout)
    linked.rename(tmp_path / "away")

    repair(repository, base)

    (tmp_path / "away").rename(linked)
    assert run(["git", "branch", "--show-current"], cwd=linked).text == "side"


def test_a_workspace_full_of_traps_executes_nothing(repository, base, commit, tmp_path, checkout):
    """Redirected git files, planted configuration, filters and hooks in a tree never run."""
    proof = tmp_path / "executed"
    grown, _ = attempt(repository, base, commit)
    evil = evil_script(tmp_path / "evil", proof)
    trap = grown.tree / "trap"
    run(["git", "init", "-q", str(trap)])
    with (trap / ".git" / "config").open("a") as config:
        config.write(
            f"[core]\n\tfsmonitor = {evil}\n\thooksPath = {tmp_path}\n"
            f'[filter "f"]\n\tclean = {evil}\n\tsmudge = {evil}\n[merge "m"]\n\tdriver = {evil}\n'
        )
    for name in ("HEAD", "config"):
        (grown.tree / name).write_bytes((trap / ".git" / name).read_bytes())
    for name in ("objects", "refs"):
        (grown.tree / name).mkdir()
    (grown.tree / ".gitattributes").write_text("* filter=f merge=m\n")
    (grown.tree / ".git").write_text(f"gitdir: {trap}/.git\n")
    for hook in ("reference-transaction", "post-index-change", "post-checkout"):
        evil_script(tmp_path / hook, proof)

    done = repair(open_repository(checkout), base)

    assert done.felled == ("r-0",)
    assert not proof.exists()
    nothing_of_ours(repository, checkout)


CHILD = """
import sys
from pathlib import Path
from worktrees.failpoint import arm
from worktrees.git import open_repository
from worktrees.lock import worktree_lock
from worktrees.merge import advance, chain, landing_commit, salvage
from worktrees.pool import Pool
from worktrees.workspace import Plain, fell, grow, hand_out

repository = open_repository(Path(sys.argv[1]))
base, work, other = sys.argv[3:6]
git, lock = repository.git, worktree_lock(repository.factory)
arm(sys.argv[2])
ref = "refs/heads/factory/r/job/"
one = hand_out(
    repository, grow(repository, name="r-90", base=base, lock=lock),
    ref=ref + "one", start=work, expected=None,
)
fell(repository, one, lock=lock)
pool = Pool(repository, "r", grower=Plain(repository=repository, lock=lock), bound=2, base=base)
two = pool.take(0, ref=ref + "two", start=base, expected=None)
git("update-ref", ref + "two", other, base)
pool.give_back(two)
salvage(git, "r", "one", other)
salvage(git, "r", "one", work)
made = chain(git, base, [("one", work)])
commit = landing_commit(
    git, tree=made.tree, tip=base, branches=[("one", work)], run="r", title="t"
)
assert advance(git, "refs/heads/main", new=commit, old=base)
pool.close()
print("ended")
"""


def points(*modules):
    """Give every point that these modules name."""
    found = []
    for module in modules:
        text = (ROOT / "worktrees" / f"{module}.py").read_text()
        found += re.findall(r'failpoint\("([^"]+)"\)', text)
    return sorted(set(found))


def reachable(repository, commit):
    """Say whether a commit is reachable from any ref."""
    return repository.git("for-each-ref", f"--contains={commit}").text != ""


@pytest.mark.parametrize("point", points("workspace", "pool", "merge"))
def test_a_kill_at_every_point_is_repaired(repository, base, commit, checkout, point):
    """After kill -9 at any point of grow, hand-out, fell, salvage and landing all is sound."""
    work, other = commit(base, {"w": "1\n"}), commit(base, {"o": "1\n"})
    before = fingerprint(checkout)
    argv = [sys.executable, "-c", CHILD, str(checkout), f"{point}:kill", base, work, other]

    ran = run(argv, cwd=ROOT, check=False)
    assert ran.code == -signal.SIGKILL, ran.err.decode()
    run(["git", "worktree", "list"], cwd=checkout)
    saved = [made for made in (work, other) if reachable(repository, made)]
    repair(repository, base)

    assert fingerprint(checkout) == before
    assert all(reachable(repository, made) for made in saved)
    assert repository.git.resolve(MAIN) == base or reachable(repository, work)
    nothing_of_ours(repository, checkout)
    again = grow(repository, name="r-91", base=base, lock=worktree_lock(repository.factory))
    assert (again.tree / "README.md").exists()


TIDY = """
import sys, time
from pathlib import Path
from worktrees.failpoint import arm
from worktrees.git import open_repository
from worktrees.janitor import Leftovers, tidy
from worktrees.lock import worktree_lock

repository = open_repository(Path(sys.argv[1]))
arm(sys.argv[2])
left = Leftovers(
    run="r", target="refs/heads/main", base=sys.argv[3], landed={}, started_before=time.time() + 10
)
tidy(repository, left, lock=worktree_lock(repository.factory))
"""


SHARED = [name for name in points("workspace", "merge") if ".fell." in name or ".salvage." in name]


@pytest.mark.parametrize("point", points("janitor") + SHARED)
def test_the_janitor_may_be_killed_at_every_point(repository, base, commit, checkout, point):
    """Killed anywhere and run again, it ends as if it had run once."""
    _, saved = attempt(repository, base, commit)
    _, more = attempt(repository, base, commit, job="b", serial=1)
    repository.git("update-ref", made_refs(RunId("r")) + "room", more)
    (repository.common / f"{MAIN}.lock").touch()
    (repository.factory / "index.abc").touch()
    argv = [sys.executable, "-c", TIDY, str(checkout), f"{point}:kill", base]

    ran = run(argv, cwd=ROOT, check=False)
    assert ran.code == -signal.SIGKILL, ran.err.decode()
    repair(repository, base)

    assert repository.git.resolve("refs/factory/salvage/r/a") == saved
    assert repository.git.resolve("refs/factory/salvage/r/b") == more
    nothing_of_ours(repository, checkout)


def test_an_error_in_the_middle_frees_the_lock(repository, base, commit):
    """When a step raises, the next run gets the lock and ends the work."""
    attempt(repository, base, commit)
    arm("janitor.prune.before:raise")
    try:
        with pytest.raises(FailpointError):
            repair(repository, base)
    finally:
        arm(None)

    assert repair(repository, base).branches_deleted == (PREFIX + "a",)


def test_a_branch_that_moved_meanwhile_is_not_deleted(repository, base, commit, monkeypatch):
    """New work on a branch between salvage and deletion stays."""
    _, saved = attempt(repository, base, commit)
    newer = commit(saved, {"n": "1\n"})
    moved = []

    def move(*_args):
        if not moved:
            moved.append(repository.git("update-ref", PREFIX + "a", newer, saved))

    monkeypatch.setattr("worktrees.janitor._prune", move)

    done = repair(repository, base)

    assert done.branches_deleted == ()
    assert repository.git.resolve(PREFIX + "a") == newer


def test_every_run_that_left_anything_is_known_by_it(repository, base, checkout):
    """Workspace, admin directory, room and base ref name their run; a user's worktree does not."""
    lock = worktree_lock(repository.factory)
    grow(repository, name="one-0", base=base, lock=lock)
    half = grow(repository, name="two-7", base=base, lock=lock)
    half.tree.rename(repository.factory / "gone")
    (repository.factory / "rooms" / "three").mkdir(parents=True)
    repository.git("update-ref", "refs/factory/base/four", base)
    run(["git", "worktree", "add", "-q", str(checkout.parent / "mine-1")], cwd=checkout)

    assert runs_of(repository) == {"one", "two", "three", "four"}
