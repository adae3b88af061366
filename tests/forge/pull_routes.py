"""Pull requests: opening, looking, reviewing and merging them."""

from typing import Any, Final

from tests.forge.ask import Answer, Ask, Listing, Reply, Route, in_order, invalid
from tests.forge.merging import look, merge
from tests.forge.moving import announce_fork, keep_head, moved
from tests.forge.refusal import RefusedError
from tests.forge.shapes import Json
from tests.forge.world import ACTIONS_BOT, Issue, Pull, Remark, Repo, Review

_REPO: Final = "/repos/{owner}/{repo}"
_PULL: Final = f"{_REPO}/pulls/{{pull_number}}"
_MOST_FILES: Final = 3000
_MOST_COMMITS: Final = 250
_STATES: Final = {
    "APPROVE": "APPROVED",
    "REQUEST_CHANGES": "CHANGES_REQUESTED",
    "COMMENT": "COMMENTED",
}


def _show(ask: Ask, issue: Issue, more: Json | None = None) -> Json:
    repo, pull = ask.repo, issue.pull
    assert pull is not None
    source = ask.life.repo(pull.head_repo)
    sides = {
        "head": ask.shapes.side(source, pull.head_repo, pull.head_ref, pull.head, ask.login),
        "base": ask.shapes.side(repo, repo.full, pull.base_ref, pull.base, ask.login),
    }
    return {**ask.shapes.pull(repo, issue, more), **sides}


def _whole(ask: Ask, issue: Issue, *, fresh: bool = False) -> Json:
    more = look(ask.life, ask.repo, issue)
    if fresh:
        # GitHub has not yet worked out whether it fits when it answers the request that opens it.
        more |= {"mergeable": None, "rebaseable": None, "mergeable_state": "unknown"}
    return _show(ask, issue, more)


def _list(ask: Ask) -> Answer:
    repo, query = ask.repo, ask.query
    state, head = query.get("state", "open"), query.get("head")
    chosen = [
        issue
        for issue, pull in repo.pulls()
        if state in {"all", issue.state}
        and query.get("base", pull.base_ref) == pull.base_ref
        and (head is None or head == f"{pull.head_repo.partition('/')[0]}:{pull.head_ref}")
    ]
    return Listing(items=in_order(query, chosen), show=lambda issue: _show(ask, issue))


def _get(ask: Ask) -> Answer:
    return Reply(value=_whole(ask, ask.pull[0]))


def _create(ask: Ask) -> Answer:
    repo, body = ask.repo, ask.body
    if ask.login == ACTIONS_BOT and not repo.actions_may_open:
        raise RefusedError(
            403, "GitHub Actions is not permitted to create or approve pull requests."
        )
    source, branch = _source(ask, repo, body)
    if not source.may(ask.login, "write") and not repo.may(ask.login, "write"):
        raise RefusedError(403, "Must have push access to repository.")
    head, base = source.bare.branch(branch), repo.bare.branch(body["base"])
    if head is None:
        raise invalid("PullRequest", "head")
    if base is None:
        raise invalid("PullRequest", "base")
    label = f"{source.owner}:{branch}"
    for issue, pull in repo.pulls():
        same = (pull.head_repo, pull.head_ref) == (source.full, branch)
        if issue.state == "open" and same and pull.base_ref == body["base"]:
            raise _refused(f"A pull request already exists for {label}.")
    if len(body.get("body") or "") > 65_536:
        raise _refused("body is too long (maximum is 65536 characters)")
    if source is not repo:
        repo.bare.git("fetch", "-q", str(source.bare.path), head)
    if not repo.bare.count(f"{base}..{head}"):
        raise _refused(f"No commits between {body['base']} and {branch}")
    made = Pull(
        head_repo=source.full,
        head_ref=branch,
        base_ref=body["base"],
        head=head,
        base=base,
        draft=bool(body.get("draft")),
        maintainer_can_modify=source is not repo and bool(body.get("maintainer_can_modify")),
    )
    title = str(body["title"])
    app = None if ask.token is None else ask.token.app
    issue = ask.life.open_issue(repo, ask.login, title, body.get("body"), pull=made, app=app)
    keep_head(repo, issue, source)
    announce_fork(ask.life, repo, issue, ask.login)
    return Reply(status=201, value=_whole(ask, issue, fresh=True))


def _source(ask: Ask, repo: Repo, body: Json) -> tuple[Repo, str]:
    owner, colon, branch = body["head"].rpartition(":")
    if not colon or owner == repo.owner:
        return repo, branch
    for other in ask.life.repos.values():
        if other.owner == owner and other.parent == repo.full:
            return other, branch
    raise invalid("PullRequest", "head")


def _refused(message: str) -> RefusedError:
    error = {"resource": "PullRequest", "code": "custom", "message": message}
    return RefusedError(422, "Validation Failed", [error])


def _edit(ask: Ask) -> Answer:
    (issue, pull), repo, body = ask.pull, ask.repo, ask.body
    ask.own(issue.author)
    ask.life.edit(repo, issue, ask.login, title=body.get("title"), body=body.get("body"))
    if (base := body.get("base")) is not None and base != pull.base_ref:
        tip = repo.bare.branch(base)
        if tip is None:
            raise invalid("PullRequest", "base")
        pull.base_ref, pull.base = base, tip
        ask.life.happen(issue, "base_ref_changed", ask.login)
    if body.get("state") == "closed":
        ask.life.close(issue, ask.login)
    if body.get("state") == "open" and issue.state == "closed":
        if pull.merged is not None:
            raise invalid("PullRequest", "state")
        ask.life.reopen(issue, ask.login)
    return Reply(value=_whole(ask, issue))


def _files(ask: Ask) -> Answer:
    (_, pull), repo = ask.pull, ask.repo
    changes = repo.bare.changes(repo.bare.merge_base(pull.base, pull.head), pull.head)
    return Listing(
        items=changes[:_MOST_FILES], show=lambda change: ask.shapes.file(repo, change, pull.head)
    )


def _commits(ask: Ask) -> Answer:
    (_, pull), repo = ask.pull, ask.repo
    span = [f"{pull.base}..{pull.head}"]
    commits = list(reversed(repo.bare.commits(span, walk=True)))
    return Listing(
        items=commits[-_MOST_COMMITS:], show=lambda commit: ask.shapes.commit(repo, commit)
    )


def _merged(ask: Ask) -> Answer:
    if ask.pull[1].merged is None:
        raise RefusedError(404, "Not Found")
    return Reply(status=204)


def _merge(ask: Ask) -> Answer:
    (issue, pull), body = ask.pull, ask.body or {}
    if body.get("sha", pull.head) != pull.head:
        raise RefusedError(409, "Head branch was modified. Review and try the merge again.")
    how = body.get("merge_method", "merge")
    commit = merge(ask.life, ask.repo, issue, ask.login, how, body)
    value = {"sha": commit, "merged": True, "message": "Pull Request successfully merged"}
    return Reply(value=value)


def _update_branch(ask: Ask) -> Answer:
    (issue, pull), repo = ask.pull, ask.repo
    expected = (ask.body or {}).get("expected_head_sha", pull.head)
    tree = repo.bare.merged(pull.head, pull.base)
    if expected != pull.head or tree is None:
        raise RefusedError(422, "expected head sha didn't match current head ref.")
    source = ask.life.repo(pull.head_repo)
    assert source is not None
    at = ask.life.clock.now().isoformat()
    text = f"Merge branch '{pull.base_ref}' into {pull.head_ref}"
    before, ref = pull.head, f"refs/heads/{pull.head_ref}"
    after = repo.bare.write(tree, [pull.head, pull.base], text, at=at)
    source.bare.git("fetch", "-q", str(repo.bare.path), after)
    source.bare.move(ref, after, before)
    moved(ask.life, source, ref, before, after, ask.login)
    page = f"{ask.shapes.root}/{repo.full}/pull/{issue.number}"
    return Reply(status=202, value={"message": "Updating pull request branch.", "url": page})


def _reviews(ask: Ask) -> Answer:
    (issue, pull), repo = ask.pull, ask.repo
    return Listing(
        items=list(pull.reviews), show=lambda review: ask.shapes.review(repo, issue, review)
    )


def _create_review(ask: Ask) -> Answer:
    (issue, pull), repo, body = ask.pull, ask.repo, ask.body
    event = body.get("event", "PENDING")
    if event not in _STATES:
        raise RefusedError(422, "Validation Failed", ["The hub keeps no pending reviews."])
    own = issue.author == ask.login
    if own and event != "COMMENT":
        word = "approve" if event == "APPROVE" else "request changes on"
        raise RefusedError(422, "Unprocessable Entity", [f"Can not {word} your own pull request"])
    if ask.login == ACTIONS_BOT and event == "APPROVE" and not repo.actions_may_open:
        raise RefusedError(422, "GitHub Actions is not permitted to approve pull requests.")
    if event != "APPROVE" and not body.get("body") and not body.get("comments"):
        raise RefusedError(422, "Unprocessable Entity", ["Body can't be blank"])
    text, commit = body.get("body") or "", body.get("commit_id")
    review = ask.life.review(issue, pull, ask.login, _STATES[event], text, commit)
    for comment in body.get("comments", ()):
        line = _checked_line(repo, pull, comment["path"], comment.get("line"))
        ask.life.remark(
            issue,
            pull,
            ask.login,
            comment["body"],
            path=comment["path"],
            line=line,
            review=review,
        )
    return Reply(value=ask.shapes.review(repo, issue, review))


def _review_of(ask: Ask, pull: Pull) -> Review:
    number = int(ask.params["review_id"])
    for review in pull.reviews:
        if review.id == number:
            return review
    raise RefusedError(404, "Not Found")


def _review(ask: Ask) -> Answer:
    issue, pull = ask.pull
    return Reply(value=ask.shapes.review(ask.repo, issue, _review_of(ask, pull)))


def _checked_line(repo: Repo, pull: Pull, path: str, line: int | None) -> int | None:
    start = repo.bare.merge_base(pull.base, pull.head)
    if path not in {change.path for change in repo.bare.changes(start, pull.head)}:
        raise invalid("PullRequestReviewComment", "path")
    return line


def _remarks(ask: Ask) -> Answer:
    (issue, pull), repo = ask.pull, ask.repo
    return Listing(
        items=list(pull.remarks), show=lambda remark: ask.shapes.remark(repo, issue, remark)
    )


def _remark_by_id(pull: Pull, number: int) -> Remark:
    for remark in pull.remarks:
        if remark.id == number:
            return remark
    raise RefusedError(404, "Not Found")


def _create_remark(ask: Ask) -> Answer:
    (issue, pull), repo, body = ask.pull, ask.repo, ask.body
    answers = None
    if (number := body.get("in_reply_to")) is not None:
        answers = _remark_by_id(pull, number)
    line = _checked_line(repo, pull, body["path"], body.get("line"))
    if body["commit_id"] not in {c.sha for c in _commits_of(repo, pull)}:
        raise invalid("PullRequestReviewComment", "commit_id")
    made = ask.life.remark(
        issue, pull, ask.login, body["body"], path=body["path"], line=line, answers=answers
    )
    return Reply(status=201, value=ask.shapes.remark(repo, issue, made))


def _commits_of(repo: Repo, pull: Pull) -> list[Any]:
    return repo.bare.commits([f"{pull.base}..{pull.head}"], walk=True)


def _answer_remark(ask: Ask) -> Answer:
    issue, pull = ask.pull
    answered = _remark_by_id(pull, int(ask.params["comment_id"]))
    made = ask.life.remark(issue, pull, ask.login, ask.body["body"], answers=answered)
    return Reply(status=201, value=ask.shapes.remark(ask.repo, issue, made))


def _any_remark(ask: Ask) -> tuple[Issue, Pull, Remark]:
    number = int(ask.params["comment_id"])
    for issue, pull in ask.repo.pulls():
        for remark in pull.remarks:
            if remark.id == number:
                return issue, pull, remark
    raise RefusedError(404, "Not Found")


def _remark(ask: Ask) -> Answer:
    issue, _, remark = _any_remark(ask)
    return Reply(value=ask.shapes.remark(ask.repo, issue, remark))


def _edit_remark(ask: Ask) -> Answer:
    issue, _, remark = _any_remark(ask)
    if remark.author != ask.login:
        ask.must("write")
    remark.body, remark.updated = ask.body["body"], ask.life.clock.now()
    return Reply(value=ask.shapes.remark(ask.repo, issue, remark))


def _delete_remark(ask: Ask) -> Answer:
    _, pull, remark = _any_remark(ask)
    if remark.author != ask.login:
        ask.must("write")
    pull.remarks.remove(remark)
    return Reply(status=204)


def _requested(ask: Ask) -> Answer:
    users = [ask.shapes.user(who) for who in ask.pull[1].reviewers]
    return Reply(value={"users": users, "teams": []})


def _request(ask: Ask) -> Answer:
    (issue, pull), repo = ask.pull, ask.repo
    for who in ask.body.get("reviewers", ()):
        if who not in ask.life.users or not repo.may(who, "read") or who == issue.author:
            text = "Reviews may only be requested from collaborators."
            raise RefusedError(422, f"{text} One or more of the users or teams is not one.")
        if who not in pull.reviewers:
            pull.reviewers.append(who)
            ask.life.happen(issue, "review_requested", ask.login, reviewer=who)
    return Reply(status=201, value=_show(ask, issue))


def _unrequest(ask: Ask) -> Answer:
    issue, pull = ask.pull
    gone = set(ask.body.get("reviewers", ()))
    pull.reviewers = [who for who in pull.reviewers if who not in gone]
    ask.life.touch(issue)
    return Reply(value=_show(ask, issue))


def _of_commit(ask: Ask) -> Answer:
    repo, sha = ask.repo, ask.params["commit_sha"]
    if repo.bare.commitish(sha) is None:
        raise RefusedError(422, f"No commit found for SHA: {sha}")
    chosen = [
        issue
        for issue, pull in repo.pulls()
        if sha in {pull.merge_commit, *(c.sha for c in _commits_of(repo, pull))}
    ]
    return Listing(items=chosen, show=lambda issue: _show(ask, issue))


_READ, _WRITE = "pull_requests:read", "pull_requests:write"
_LINE: Final = f"{_REPO}/pulls/comments/{{comment_id}}"

ROUTES: Final = (
    Route("GET", f"{_REPO}/pulls", _list, _READ),
    Route("POST", f"{_REPO}/pulls", _create, _WRITE),
    Route("GET", _LINE, _remark, _READ),
    Route("PATCH", _LINE, _edit_remark, _WRITE),
    Route("DELETE", _LINE, _delete_remark, _WRITE),
    Route("GET", _PULL, _get, _READ),
    Route("PATCH", _PULL, _edit, _WRITE),
    Route("GET", f"{_PULL}/files", _files, _READ),
    Route("GET", f"{_PULL}/commits", _commits, _READ),
    Route("GET", f"{_PULL}/merge", _merged, "contents:read"),
    Route("PUT", f"{_PULL}/merge", _merge, "contents:write", "write"),
    Route("PUT", f"{_PULL}/update-branch", _update_branch, _WRITE, "write"),
    Route("GET", f"{_PULL}/reviews", _reviews, _READ),
    Route("POST", f"{_PULL}/reviews", _create_review, _WRITE),
    Route("GET", f"{_PULL}/reviews/{{review_id}}", _review, _READ),
    Route("GET", f"{_PULL}/comments", _remarks, _READ),
    Route("POST", f"{_PULL}/comments", _create_remark, _WRITE),
    Route("POST", f"{_PULL}/comments/{{comment_id}}/replies", _answer_remark, _WRITE),
    Route("GET", f"{_PULL}/requested_reviewers", _requested, _READ),
    Route("POST", f"{_PULL}/requested_reviewers", _request, _WRITE, "triage"),
    Route("DELETE", f"{_PULL}/requested_reviewers", _unrequest, _WRITE, "triage"),
    Route("GET", f"{_REPO}/commits/{{commit_sha}}/pulls", _of_commit, _READ),
)
