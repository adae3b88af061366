"""When a pull request may be merged, and merging it: for real, in the bare repository."""

from collections.abc import Mapping
from typing import Any

from tests.forge.bare import NOTHING
from tests.forge.life import Life, Pushed
from tests.forge.moving import merged, moved
from tests.forge.refusal import RefusedError
from tests.forge.shapes import Json, stamp
from tests.forge.world import Issue, Pull, Repo, Rules, Run, latest

_GREEN = frozenset({"success", "neutral", "skipped"})


def look(life: Life, repo: Repo, issue: Issue) -> Json:
    """Give what only a look at one pull request tells, worked out now."""
    pull = _pull(issue)
    start = repo.bare.merge_base(pull.base, pull.head)
    changes = repo.bare.changes(start, pull.head)
    fits = issue.state == "open" and repo.bare.merged(pull.base, pull.head) is not None
    return {
        "merged": pull.merged is not None,
        "merged_by": None if pull.merged_by is None else life.shapes.user(pull.merged_by),
        "mergeable": fits if issue.state == "open" else None,
        "rebaseable": fits if issue.state == "open" else None,
        "mergeable_state": _state(repo, issue, fits=fits),
        "comments": sum(c.number == issue.number for c in repo.comments.values()),
        "review_comments": len(pull.remarks),
        "maintainer_can_modify": pull.maintainer_can_modify,
        "commits": repo.bare.count(f"{pull.base}..{pull.head}"),
        "additions": sum(change.additions for change in changes),
        "deletions": sum(change.deletions for change in changes),
        "changed_files": len(changes),
    }


def _state(repo: Repo, issue: Issue, *, fits: bool) -> str:
    pull = _pull(issue)
    if issue.state == "closed":
        return "unknown"
    if not fits:
        return "dirty"
    if pull.draft:
        return "draft"
    if blockers(repo, issue):
        return "blocked"
    runs = latest(run for run in repo.runs.values() if run.sha == pull.head)
    return "clean" if all(run.conclusion in _GREEN for run in runs) else "unstable"


def verdict(repo: Repo, sha: str, name: str) -> str:
    """Give what the last check run or status of a name says of a commit: green, red, waiting."""
    runs = [run for run in repo.runs.values() if run.sha == sha and run.name == name]
    if runs:
        return _run_says(runs[-1])
    for status in reversed(repo.statuses):
        if status.sha == sha and status.context == name:
            if status.state == "success":
                return "green"
            return "waiting" if status.state == "pending" else "red"
    return "waiting"


def _run_says(run: Run) -> str:
    if run.status != "completed":
        return "waiting"
    return "green" if run.conclusion in _GREEN else "red"


def blockers(repo: Repo, issue: Issue, *, queue: bool = False) -> list[str]:
    """Say, in GitHub's words, what of the rules is not met; ``queue``: on the way into one."""
    pull = _pull(issue)
    found = []
    for rules in repo.rules_of(pull.base_ref):
        found += [
            f'Required status check "{name}" is expected.'
            for name in rules.checks
            if verdict(repo, pull.head, name) != "green"
        ]
        found += _reviews_missing(repo, issue, pull, rules)
        if rules.strict and not repo.bare.contains(pull.head, pull.base):
            found.append("The head branch is not up to date with the base branch.")
        if rules.signatures and not repo.bare.signed(pull.head):
            found.append("Commits must have verified signatures.")
        if rules.queue and not queue:
            found.append("Changes must be made through the merge queue.")
    return found


def _reviews_missing(repo: Repo, issue: Issue, pull: Pull, rules: Rules) -> list[str]:
    last: dict[str, str] = {}
    for review in pull.reviews:
        if review.state != "COMMENTED" and repo.may(review.author, "write"):
            last[review.author] = review.state
    approved = {who for who, state in last.items() if state == "APPROVED" and who != issue.author}
    found = []
    if len(approved) < rules.reviews:
        found.append(f"At least {rules.reviews} approving review is required.")
    if rules.code_owners and not approved & _owners(repo, pull):
        found.append("Waiting on code owner review.")
    if "CHANGES_REQUESTED" in last.values():
        found.append("Changes have been requested.")
    return found


def _owners(repo: Repo, pull: Pull) -> set[str]:
    text = repo.bare.file(pull.base, ".github/CODEOWNERS") or repo.bare.file(
        pull.base, "CODEOWNERS"
    )
    if text is None:
        return set()
    words = text[1].decode(errors="replace").split()
    return {word[1:] for word in words if word.startswith("@")}


def merge(
    life: Life,
    repo: Repo,
    issue: Issue,
    login: str,
    how: str = "merge",
    texts: Mapping[str, Any] | None = None,
) -> str:
    """Merge a pull request and give the commit; whatever stands against it is refused."""
    pull = _pull(issue)
    if issue.state == "closed" or repo.bare.merged(pull.base, pull.head) is None:
        raise RefusedError(405, "Pull Request is not mergeable")
    if pull.draft:
        raise RefusedError(405, "Pull Request is still a draft")
    if how not in repo.methods:
        raise RefusedError(405, f"{how.title()} merges are not allowed on this repository.")
    if any(rules.linear for rules in repo.rules_of(pull.base_ref)) and how == "merge":
        raise RefusedError(405, "Merge commits are not allowed on this repository.")
    if missing := blockers(repo, issue):
        raise RefusedError(405, missing[0])
    commit = _commit(life, repo, issue, pull, how, texts or {})
    _land(life, repo, issue, pull, commit, login)
    return commit


def _commit(
    life: Life, repo: Repo, issue: Issue, pull: Pull, how: str, texts: Mapping[str, Any]
) -> str:
    at = stamp(life.clock.now()) or ""
    author = life.users[issue.author]
    who = (author.name or author.login, author.email)
    tree = repo.bare.merged(pull.base, pull.head)
    assert tree is not None
    if how == "squash":
        title = texts.get("commit_title") or f"{issue.title} (#{issue.number})"
        text = f"{title}\n\n{texts.get('commit_message') or ''}".strip()
        return repo.bare.write(tree, [pull.base], text, author=who, at=at)
    if how == "merge":
        label = f"{pull.head_repo.partition('/')[0]}/{pull.head_ref}"
        title = texts.get("commit_title") or f"Merge pull request #{issue.number} from {label}"
        text = f"{title}\n\n{texts.get('commit_message') or issue.title}"
        return repo.bare.write(tree, [pull.base, pull.head], text, author=who, at=at)
    tip = pull.base
    span = [f"{pull.base}..{pull.head}", "--no-merges"]
    for commit in reversed(repo.bare.commits(span, walk=True)):
        replayed = repo.bare.replayed(commit, tip, at)
        if replayed is None:
            raise RefusedError(405, "This branch can't be rebased")
        tip = replayed
    return tip


def _land(life: Life, repo: Repo, issue: Issue, pull: Pull, commit: str, login: str) -> None:
    before = pull.base
    ref = f"refs/heads/{pull.base_ref}"
    if not repo.bare.move(ref, commit, before):
        raise RefusedError(409, "Base branch was modified. Review and try the merge again.")
    merged(life, repo, issue, pull, commit, login)
    moved(life, repo, ref, before, commit, login)


def enqueue(life: Life, repo: Repo, issue: Issue, login: str) -> str:
    """Put a pull request into the merge queue: its merge gets a commit and a branch of its own."""
    pull = _pull(issue)
    if not any(rules.queue for rules in repo.rules_of(pull.base_ref)):
        raise RefusedError(422, "The base branch has no merge queue")
    if pull.draft or issue.state == "closed":
        raise RefusedError(422, "Pull Request is not mergeable")
    if missing := blockers(repo, issue, queue=True):
        raise RefusedError(422, missing[0])
    how = "squash" if any(r.linear for r in repo.rules_of(pull.base_ref)) else "merge"
    pull.queued = _commit(life, repo, issue, pull, how, {})
    ref = f"refs/heads/gh-readonly-queue/{pull.base_ref}/pr-{issue.number}-{pull.queued}"
    repo.bare.move(ref, pull.queued)
    life.happen(issue, "added_to_merge_queue", login)
    life.tell(
        Pushed(
            repo=repo.full,
            ref=ref,
            before=NOTHING,
            after=pull.queued,
            login=login,
            event="merge_group",
        )
    )
    return pull.queued


def settle(life: Life, repo: Repo) -> None:
    """Merge what waits for it and may be merged now."""
    for issue, pull in list(repo.pulls()):
        if pull.queued is not None:
            _settle_queued(life, repo, issue, pull, pull.queued)
        elif pull.auto_merge is not None and issue.state == "open":
            queue = any(rules.queue for rules in repo.rules_of(pull.base_ref))
            if pull.draft or blockers(repo, issue, queue=queue):
                continue
            if repo.bare.merged(pull.base, pull.head) is None:
                continue
            who = pull.auto_merge["login"]
            texts, pull.auto_merge = pull.auto_merge, None
            try:
                if queue:
                    enqueue(life, repo, issue, who)
                else:
                    merge(life, repo, issue, who, texts["method"], texts)
            except RefusedError as refused:
                life.happen(issue, "auto_merge_disabled", who, reason=refused.message)


def _settle_queued(life: Life, repo: Repo, issue: Issue, pull: Pull, commit: str) -> None:
    names = {name for rules in repo.rules_of(pull.base_ref) for name in rules.checks}
    said = {verdict(repo, commit, name) for name in names}
    if said - {"green", "red"}:
        return
    under = f"refs/heads/gh-readonly-queue/{pull.base_ref}/pr-{issue.number}-{commit}"
    repo.bare.move(under, NOTHING)
    pull.queued = None
    if "red" in said or repo.bare.branch(pull.base_ref) != pull.base:
        pull.auto_merge = None
        life.happen(issue, "removed_from_merge_queue", issue.author)
        return
    _land(life, repo, issue, pull, commit, issue.author)


def _pull(issue: Issue) -> Pull:
    assert issue.pull is not None
    return issue.pull
