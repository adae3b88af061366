"""What runs left: shown first, removed only when asked, and never work that is nowhere else."""

import pytest

from factory import cleaning
from factory.events import Delivered, Killed, Opened, Placed, PullMerged
from factory.ledger import Ledger
from factory.site import Site
from tests.conftest import Commit
from tests.factory.works import rules, site_at, task
from tests.run import run
from worktrees.git import Repository
from worktrees.names import JobId, Oid, RunId, base_ref, job_ref, salvage_ref

RUN = RunId("run1")
TARGET = f"refs/heads/factory/{RUN}/target"


@pytest.fixture
def site(checkout) -> Site:
    """Give the site of the small repository."""
    return site_at(checkout)


@pytest.fixture
def merged(repository: Repository, base: Oid) -> Oid:
    """Plant the refs of a run whose commit is on main."""
    for ref in (TARGET, base_ref(RUN)):
        repository.git("update-ref", ref, base)
    return base


@pytest.fixture
def unmerged(repository: Repository, base: Oid, commit: Commit) -> Oid:
    """Plant a salvage ref with work that is nowhere else."""
    made = commit(base, {"x": "x\n"})
    repository.git("update-ref", salvage_ref(RUN, JobId("one")), made)
    return made


def ledger_of(site: Site, base: Oid, *, settled: bool) -> None:
    """Plant the ledger of a run whose one job waits, or was killed."""
    opening = Opened(run=RUN, base=base, target=TARGET, deliver="branch", rules=rules())
    events = [opening, Placed(jobs=(task("one"),))]
    with Ledger(site.ledger) as ledger:
        ledger.append(RUN, [*events, *([Killed(job=JobId("one"))] if settled else [])], 1.0)


def refs(repository: Repository) -> set[str]:
    """Give all refs."""
    return set(repository.git("for-each-ref", "--format=%(refname)").text.splitlines())


def removed(site: Site, *, force: bool) -> cleaning.Found:
    """Clean up."""
    found = cleaning.leftovers(site, force=force)
    cleaning.remove(site, found, say=lambda _text: None)
    return found


def test_work_on_a_users_branch_may_go_and_other_work_stays(
    site, repository, merged, unmerged
) -> None:
    """A ref goes when a branch of the user's holds its commit; the rest needs --force."""
    ledger_of(site, merged, settled=True)

    found = removed(site, force=False)

    assert set(found.refs) == {TARGET, base_ref(RUN)}
    assert found.kept == {salvage_ref(RUN, JobId("one")): unmerged}
    assert refs(repository) == {"refs/heads/main", salvage_ref(RUN, JobId("one"))}
    removed(site, force=True)
    assert refs(repository) == {"refs/heads/main"}


def test_looking_changes_nothing(site, repository, merged) -> None:
    """What can go is told by name before it goes."""
    ledger_of(site, merged, settled=True)
    before = refs(repository)

    found = cleaning.leftovers(site, force=True)

    assert f"ref        {TARGET}" in found.texts
    assert cleaning.document(found, done=False)["removed"] is False
    assert refs(repository) == before


@pytest.mark.parametrize("force", [False, True])
def test_a_run_that_can_be_resumed_keeps_what_it_needs(
    site, repository, merged, *, force: bool
) -> None:
    """While a job waits, its run's refs stay, also those whose commits are merged."""
    ledger_of(site, merged, settled=False)
    repository.git("update-ref", job_ref(RUN, JobId("one")), merged)

    found = removed(site, force=force)

    left = {TARGET, base_ref(RUN), job_ref(RUN, JobId("one"))}
    assert (set(found.kept) == left) is not force
    assert (left <= refs(repository)) is not force


def test_a_ref_that_moved_since_is_left_alone(site, repository, merged, commit) -> None:
    """Nobody's newer commit is dropped by a list that was made before."""
    ledger_of(site, merged, settled=True)
    found = cleaning.leftovers(site, force=True)
    newer = commit(merged, {"y": "y\n"})
    repository.git("update-ref", TARGET, newer)
    said: list[str] = []

    cleaning.remove(site, found, say=said.append)

    assert repository.git.resolve(TARGET) == newer
    assert said == [f"{TARGET} moved meanwhile and was left alone"]


def test_trash_and_workspaces_are_counted_and_go(site, merged) -> None:
    """Whatever a killed process left is gone after."""
    ledger_of(site, merged, settled=True)
    trash = site.repository.factory / "trash/old"
    trash.mkdir(parents=True)
    tree = site.repository.factory / f"trees/{RUN}-0"
    run(["git", "worktree", "add", "-q", "--detach", str(tree)], cwd=site.place)

    found = removed(site, force=False)

    assert (found.trash, found.workspaces) == (1, (f"{RUN}-0",))
    assert not tree.exists()
    assert not trash.exists()
    assert run(["git", "worktree", "list"], cwd=site.place).text.count("\n") == 0


def test_a_repository_without_a_run_has_nothing_to_clean(site) -> None:
    """No ledger is needed to look."""
    found = cleaning.leftovers(site, force=True)

    assert (found.texts, found.kept) == ((), {})


def test_work_of_a_merged_pull_request_may_go(site, repository, base, commit) -> None:
    """The forge made one commit of its own of it, so no branch holds it as it was."""
    made = commit(base, {"x": "x\n"})
    repository.git("update-ref", TARGET, made)
    ledger_of(site, base, settled=True)
    jobs = (JobId("one"),)
    delivered = Delivered(
        key="k",
        jobs=jobs,
        branch="b",
        base="main",
        commit=made,
        number=1,
        pull="p",
        operation="created",
    )
    with Ledger(site.ledger) as ledger:
        ledger.append(RUN, [delivered], 2.0)
    assert TARGET in cleaning.leftovers(site, force=False).kept
    with Ledger(site.ledger) as ledger:
        ledger.append(RUN, [PullMerged(key="k", jobs=jobs, commit=base, tree=base)], 3.0)

    assert TARGET in removed(site, force=False).refs
