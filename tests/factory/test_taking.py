"""Taking a run's target into the checked-out branch."""

import pytest

from factory import taking
from factory.complaint import Complaint
from factory.events import Opened
from factory.line import Line, opened
from factory.site import Site
from tests.conftest import Commit, commit_files
from tests.factory.works import rules, site_at
from tests.run import run
from worktrees.git import Repository
from worktrees.names import Oid, RunId

TARGET = "refs/heads/factory/run1/target"


@pytest.fixture
def site(checkout) -> Site:
    """Give the site of the small repository."""
    return site_at(checkout)


@pytest.fixture
def line(base: Oid) -> Line:
    """Give the line of a run."""
    event = Opened(run=RunId("run1"), base=base, target=TARGET, deliver="branch", rules=rules())
    return opened(event, 0.0)


@pytest.fixture
def tip(repository: Repository, base: Oid, commit: Commit) -> Oid:
    """Give where the target stands: one commit after the base."""
    made = commit(base, {"src/new.py": "NEW = 1\n"})
    repository.git("update-ref", TARGET, made)
    return made


def test_a_branch_that_is_behind_goes_forward(site, line, tip, checkout) -> None:
    """Branch, index and files stand at the target; a second time there is nothing to do."""
    taken = taking.take(site, line)

    assert (taken.how, taken.commit) == ("fast-forward", tip)
    assert (checkout / "src/new.py").exists()
    assert run(["git", "status", "--porcelain"], cwd=checkout).out == b""
    assert taking.take(site, line).how == "nothing"


def test_a_branch_with_own_commits_gets_a_merge(site, line, tip, checkout) -> None:
    """Both sides are in it, and both are parents."""
    (checkout / "own").write_text("own\n")
    run(["git", "add", "own"], cwd=checkout)
    run(["git", "commit", "-q", "-m", "own"], cwd=checkout)
    head = run(["git", "rev-parse", "HEAD"], cwd=checkout).text

    taken = taking.take(site, line)

    parents = run(["git", "log", "-1", "--format=%P"], cwd=checkout).text
    assert (taken.how, parents) == ("merge", f"{head} {tip}")
    assert (checkout / "own").exists()
    assert (checkout / "src/new.py").exists()


@pytest.mark.usefixtures("tip")
def test_a_conflict_changes_nothing_and_names_the_paths(site, line, checkout) -> None:
    """The complaint says what to type instead."""
    (checkout / "src/new.py").write_text("NEW = 2\n")
    run(["git", "add", "src"], cwd=checkout)
    run(["git", "commit", "-q", "-m", "own"], cwd=checkout)

    with pytest.raises(Complaint, match=r"src/new\.py") as caught:
        taking.take(site, line)

    assert (caught.value.code, caught.value.hint) == (
        1,
        "merge it by hand: git merge factory/run1/target",
    )
    assert (checkout / "src/new.py").read_text() == "NEW = 2\n"


@pytest.mark.usefixtures("tip")
@pytest.mark.parametrize("staged", [False, True])
def test_a_dirty_checkout_is_left_alone(site, line, checkout, *, staged: bool) -> None:
    """Neither staged nor unstaged changes are ever merged into."""
    (checkout / "README.md").write_text("mine\n")
    if staged:
        run(["git", "add", "README.md"], cwd=checkout)

    with pytest.raises(Complaint, match="not committed"):
        taking.take(site, line)


@pytest.mark.usefixtures("tip")
def test_an_untracked_file_in_the_way_stops_it(site, line, checkout, base) -> None:
    """The branch does not move without its files."""
    (checkout / "src/new.py").write_text("mine\n")

    with pytest.raises(Complaint, match=r"could not be taken.*src/new\.py"):
        taking.take(site, line)

    assert run(["git", "rev-parse", "main"], cwd=checkout).text == base
    assert (checkout / "src/new.py").read_text() == "mine\n"


def test_what_is_missing_is_named(site, line, checkout, repository, base) -> None:
    """No target, no branch: each has its own words."""
    with pytest.raises(Complaint, match="does not exist any more"):
        taking.take(site, line)
    repository.git("update-ref", TARGET, commit_files(repository, base, {"x": "x\n"}))
    run(["git", "checkout", "-q", "--detach"], cwd=checkout)
    with pytest.raises(Complaint, match="HEAD is on no branch"):
        taking.take(site, line)
