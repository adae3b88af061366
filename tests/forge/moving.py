"""What follows when a ref moves: pull requests see it, keywords close issues, listeners hear."""

from tests.forge.bare import NOTHING
from tests.forge.life import Life, Pushed
from tests.forge.world import ACTIONS_BOT, Issue, Pull, Repo, closed_by

_MOST = 250


def moved(life: Life, repo: Repo, ref: str, before: str, after: str, login: str) -> None:
    """Take notice of a ref that moved."""
    branch = ref.removeprefix("refs/heads/")
    if branch == ref:
        return
    for base in life.repos.values():
        for issue, pull in base.pulls():
            if issue.state == "open" and pull.head_repo == repo.full and pull.head_ref == branch:
                _follow(life, base, issue, pull, repo, after, login)
    if after == NOTHING:
        _without_base(life, repo, branch, login)
        return
    for issue, pull in repo.pulls():
        if issue.state == "open" and pull.base_ref == branch:
            pull.base = after
            if before != NOTHING and repo.bare.contains(after, pull.head):
                merged(life, repo, issue, pull, after, login)
    if branch == repo.default and before != NOTHING:
        _close_by_commits(life, repo, before, after, login)
    if login != ACTIONS_BOT:
        life.tell(Pushed(repo=repo.full, ref=ref, before=before, after=after, login=login))


def _without_base(life: Life, repo: Repo, branch: str, login: str) -> None:
    """Put what was for a branch that is gone onto the base that it was merged into, or close it."""
    below = [pull for _, pull in repo.pulls() if pull.merged and pull.head_ref == branch]
    for issue, pull in repo.pulls():
        if issue.state != "open" or pull.base_ref != branch:
            continue
        tip = repo.bare.branch(below[-1].base_ref) if below else None
        if tip is None:
            life.close(issue, login)
            continue
        pull.base_ref, pull.base = below[-1].base_ref, tip
        life.happen(issue, "base_ref_changed", login)
        life.touch(issue)


def merged(life: Life, repo: Repo, issue: Issue, pull: Pull, commit: str, login: str) -> None:
    """Call a pull request merged, and close what it says it closes."""
    pull.merged, pull.merged_by, pull.merge_commit = life.clock.now(), login, commit
    pull.auto_merge = pull.queued = None
    life.happen(issue, "merged", login, commit_id=commit)
    life.close(issue, login)
    if pull.base_ref == repo.default:
        _close(life, repo, issue.body, commit, login)


def keep_head(repo: Repo, issue: Issue, source: Repo) -> None:
    """Keep the head of a pull request in the base repository, as GitHub does."""
    pull = issue.pull
    assert pull is not None
    if source is not repo:
        repo.bare.git("fetch", "-q", str(source.bare.path), pull.head)
    repo.bare.move(f"refs/pull/{issue.number}/head", pull.head)


def announce_fork(life: Life, repo: Repo, issue: Issue, login: str, before: str = NOTHING) -> None:
    """Let the base repository's listeners hear of a fork's commits."""
    pull = issue.pull
    assert pull is not None
    if pull.head_repo != repo.full and login != ACTIONS_BOT:
        ref = f"refs/pull/{issue.number}/head"
        life.tell(
            Pushed(
                repo=repo.full,
                ref=ref,
                before=before,
                after=pull.head,
                login=login,
                event="pull_request",
            )
        )


def _follow(
    life: Life, base: Repo, issue: Issue, pull: Pull, source: Repo, after: str, login: str
) -> None:
    if after == NOTHING:
        life.happen(issue, "head_ref_deleted", login)
        life.close(issue, login)
        return
    before, pull.head = pull.head, after
    keep_head(base, issue, source)
    if not base.bare.contains(after, before):
        life.happen(issue, "head_ref_force_pushed", login, commit_id=after)
    pull.queued = None
    life.touch(issue)
    announce_fork(life, base, issue, login, before)


def _close_by_commits(life: Life, repo: Repo, before: str, after: str, login: str) -> None:
    span = [f"{before}..{after}", f"--max-count={_MOST}"]
    for commit in repo.bare.commits(span, walk=True):
        _close(life, repo, commit.message, commit.sha, login)


def _close(life: Life, repo: Repo, text: str | None, commit: str, login: str) -> None:
    for number in closed_by(text, repo.full):
        issue = repo.issues.get(number)
        if issue is not None and issue.pull is None:
            life.close(issue, login, "completed", commit)
