"""The ground: landing commits in a real repository, and the checkout that follows or stops them."""

from dataclasses import replace

import pytest

from factory.config.configured import Commit
from factory.events import Land, Reason
from factory.floor import Blocked, LandingPlan
from factory.ground import HostGround
from tests.conftest import Commit as Make
from tests.run import run
from worktrees.git import Identity, Repository
from worktrees.lock import worktree_lock
from worktrees.merge import chain
from worktrees.names import JobId, Oid, RunId, job_ref

ME = Identity(name="Ada L", email="ada@example.org")
JOB = JobId("one")


@pytest.fixture
def said() -> list[str]:
    """Give what the ground told a person."""
    return []


@pytest.fixture
def ground(repository: Repository, base: Oid, said: list[str]) -> HostGround:
    """Give the ground of a run that lands on main, which is checked out."""
    return HostGround(
        repository=repository,
        lock=worktree_lock(repository.factory),
        run=RunId("run1"),
        base=base,
        target="refs/heads/main",
        commit=Commit(shape="merge", author="factory", signoff=False, sign=False),
        me=ME,
        made=lambda _path: False,
        say=said.append,
    )


@pytest.fixture
def work(base: Oid, commit: Make) -> Oid:
    """Give the commit of a job."""
    return commit(base, {"src/new.py": "NEW = 1\n"})


def land(ground: HostGround, base: Oid, work: Oid) -> Land:
    """Give the landing of this one job's commit."""
    tree = chain(ground.repository.git, base, [(JOB, work)]).tree
    return Land(trial=1, base=base, tree=tree, branches=((JOB, work),), title="Write it")


def shown(ground: HostGround, commit: Oid, form: str) -> str:
    """Give a commit in this format."""
    return ground.repository.git("log", "-1", f"--format={form}", commit).text


def test_preparing_moves_nothing_and_swapping_moves_everything(ground, base, work) -> None:
    """The landing commit exists before the ref moves; then the checkout follows, once or twice."""
    where = ground.repository.checkout
    plan = ground.prepare(land(ground, base, work))

    assert isinstance(plan, LandingPlan)
    assert (ground.tip(), ground.landed(base)) == (base, {})
    assert not (where / "src/new.py").exists()

    assert ground.swap(plan)
    ground.follow(plan.old, plan.commit)
    ground.follow(plan.old, plan.commit)

    assert ground.tip() == plan.commit
    assert ground.landed(plan.commit) == {JOB: plan.commit}
    assert (where / "src/new.py").read_text() == "NEW = 1\n"
    assert run(["git", "status", "--porcelain"], cwd=where).out == b""


def test_the_commit_has_the_shape_and_the_author_that_were_asked_for(ground, base, work) -> None:
    """Merge or linear, the factory or the person, with a sign-off of the person."""
    merged = ground.prepare(land(ground, base, work))
    mine = replace(
        ground, commit=Commit(shape="linear", author="me", signoff=True, sign=False)
    ).prepare(land(ground, base, work))

    assert shown(ground, merged.commit, "%an|%P") == f"Factory|{base} {work}"
    assert shown(ground, mine.commit, "%an|%P") == f"Ada L|{base}"
    assert "Signed-off-by: Ada L <ada@example.org>" in shown(ground, mine.commit, "%B")
    assert "Signed-off-by" not in shown(ground, merged.commit, "%B")


def test_a_checkout_that_is_in_the_way_blocks_before_anything_moves(ground, base, work) -> None:
    """A modified file, a staged one and an untracked one in the way each stop the landing."""
    where = ground.repository.checkout
    (where / "src/new.py").write_text("mine\n")

    blocked = ground.prepare(land(ground, base, work))

    assert isinstance(blocked, Blocked)
    assert (blocked.reason, "src/new.py" in blocked.why) == (Reason.TARGET, True)
    (where / "src/new.py").unlink()
    (where / "README.md").write_text("mine\n")
    assert "modified" in ground.prepare(land(ground, base, work)).why
    run(["git", "add", "README.md"], cwd=where)
    assert "staged" in ground.prepare(land(ground, base, work)).why
    assert ground.tip() == base


def test_a_tree_that_holds_more_than_its_jobs_changed_never_lands(
    ground, base, work, commit
) -> None:
    """The landing is checked against what its branches brought."""
    more = commit(base, {"src/new.py": "NEW = 1\n", "src/core.py": "gone\n"})
    strange = replace(land(ground, base, work), tree=ground.repository.git.tree_of(more))

    blocked = ground.prepare(strange)

    assert isinstance(blocked, Blocked)
    assert blocked.reason is Reason.ENVIRONMENT
    assert "src/core.py" in blocked.why


def test_a_commit_that_cannot_be_signed_blocks_with_the_reason(ground, base, work) -> None:
    """Nothing moves when git cannot make the landing commit; its words say why."""
    run(["git", "config", "gpg.format", "ssh"], cwd=ground.repository.checkout)
    run(["git", "config", "user.signingkey", "/nowhere"], cwd=ground.repository.checkout)
    signs = replace(ground, commit=replace(ground.commit, sign=True))

    blocked = signs.prepare(land(ground, base, work))

    assert isinstance(blocked, Blocked)
    assert blocked.reason is Reason.ENVIRONMENT
    assert "/nowhere" in blocked.why
    assert ground.tip() == base


def test_a_swap_misses_when_the_target_moved(ground, base, work, commit) -> None:
    """Somebody else's commit is never overwritten."""
    plan = ground.prepare(land(ground, base, work))
    other = commit(base, {"other": "1\n"})
    ground.repository.git("update-ref", ground.target, other)

    assert not ground.swap(plan)
    assert ground.tip() == other


def test_a_checkout_that_cannot_follow_is_told(ground, base, work, said) -> None:
    """The landing stands; a person hears what their checkout has in the way."""
    plan = ground.prepare(land(ground, base, work))
    (ground.repository.checkout / "src/new.py").write_text("mine\n")

    assert ground.swap(plan)
    ground.follow(plan.old, plan.commit)

    assert ground.tip() == plan.commit
    assert "did not follow" in said[0]
    assert (ground.repository.checkout / "src/new.py").read_text() == "mine\n"


def test_a_target_that_is_gone_stands_nowhere(ground) -> None:
    """A ref that somebody deleted is no reason to crash, and is told as what it is."""
    gone = replace(ground, target="refs/heads/gone")

    assert gone.tip() is None


def test_work_is_kept_and_branches_of_landed_work_go(ground, work) -> None:
    """Salvage keeps a commit reachable; tidying drops the branch of a job."""
    git, ref = ground.repository.git, job_ref(RunId("run1"), JOB)
    git("update-ref", ref, work)

    ground.salvage(JOB, work)
    ground.tidy([JOB, JobId("never")])

    assert git.resolve(ref) is None
    assert git.resolve("refs/factory/salvage/run1/one") == work
