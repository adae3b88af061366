"""Issues, their comments, labels and timeline, and the search."""

from typing import Final

from tests.forge.ask import Answer, Ask, Listing, Reply, Route, in_order, invalid
from tests.forge.refusal import RefusedError
from tests.forge.searching import found
from tests.forge.world import Comment, Issue, Label, utc

_REPO: Final = "/repos/{owner}/{repo}"
_ISSUE: Final = f"{_REPO}/issues/{{issue_number}}"
_LONGEST: Final = 65_536


def _show(ask: Ask, issue: Issue) -> object:
    return ask.shapes.issue(ask.repo, issue)


def _list(ask: Ask) -> Answer:
    repo, query = ask.repo, ask.query
    state = query.get("state", "open")
    names = {name for name in query.get("labels", "").split(",") if name}
    since = utc(query["since"]) if "since" in query else None
    chosen = [
        issue
        for issue in repo.issues.values()
        if state in {"all", issue.state}
        and (repo.has_issues or issue.pull is not None)
        and names <= set(issue.labels)
        and (since is None or issue.updated >= since)
        and query.get("creator", issue.author) == issue.author
        and ("assignee" not in query or query["assignee"] in issue.assignees)
    ]
    return Listing(items=in_order(query, chosen), show=lambda issue: _show(ask, issue))


def _create(ask: Ask) -> Answer:
    repo, body = ask.repo, ask.body
    if not repo.has_issues:
        raise RefusedError(410, "Issues has been disabled in this repository.")
    _long(body.get("body"))
    app = None if ask.token is None else ask.token.app
    issue = ask.life.open_issue(repo, ask.login, str(body["title"]), body.get("body"), app=app)
    if repo.may(ask.login, "triage"):
        ask.life.relabel(repo, issue, ask.login, _names(body.get("labels", [])))
        issue.assignees = list(body.get("assignees") or [])
    return Reply(status=201, value=_show(ask, issue))


def _edit(ask: Ask) -> Answer:
    repo, issue, body = ask.repo, ask.issue, ask.body
    ask.own(issue.author)
    _long(body.get("body"))
    title = None if body.get("title") is None else str(body["title"])
    ask.life.edit(repo, issue, ask.login, title=title, body=body.get("body"))
    if "labels" in body:
        ask.must("triage")
        ask.life.relabel(repo, issue, ask.login, _names(body["labels"]))
    if "assignees" in body:
        issue.assignees = list(body["assignees"])
    if body.get("state") == "closed":
        ask.life.close(issue, ask.login, body.get("state_reason") or "completed")
    if body.get("state") == "open":
        ask.life.reopen(issue, ask.login)
    return Reply(value=_show(ask, issue))


def _long(text: str | None) -> None:
    if text is not None and len(text) > _LONGEST:
        error = {"resource": "Issue", "code": "custom", "field": "body"}
        error["message"] = "body is too long (maximum is 65536 characters)"
        raise RefusedError(422, "Validation Failed", [error])


def _names(labels: list[object]) -> list[str]:
    return [str(label["name"]) if isinstance(label, dict) else str(label) for label in labels]


def _comments(ask: Ask) -> Answer:
    repo, issue = ask.repo, ask.issue
    since = utc(ask.query["since"]) if "since" in ask.query else None
    chosen = [
        comment
        for comment in repo.comments.values()
        if comment.number == issue.number and (since is None or comment.updated >= since)
    ]
    return Listing(items=chosen, show=lambda comment: ask.shapes.comment(repo, comment))


def _all_comments(ask: Ask) -> Answer:
    repo, query = ask.repo, ask.query
    since = utc(query["since"]) if "since" in query else None
    chosen = [c for c in repo.comments.values() if since is None or c.updated >= since]
    by_update = query.get("sort") == "updated"
    chosen.sort(
        key=lambda c: (c.updated if by_update else c.created, c.id),
        reverse=query.get("direction", "asc" if "sort" not in query else "desc") == "desc",
    )
    return Listing(items=chosen, show=lambda comment: ask.shapes.comment(repo, comment))


def _comment_on(ask: Ask) -> Answer:
    repo, issue = ask.repo, ask.issue
    if issue.locked:
        ask.must("write")
    if not str(ask.body["body"]).strip():
        raise invalid("IssueComment", "body", "missing_field")
    _long(ask.body["body"])
    app = None if ask.token is None else ask.token.app
    made = ask.life.comment(repo, issue, ask.login, ask.body["body"], app)
    return Reply(status=201, value=ask.shapes.comment(repo, made))


def _comment_of(ask: Ask) -> Comment:
    comment = ask.repo.comments.get(int(ask.params["comment_id"]))
    if comment is None:
        raise RefusedError(404, "Not Found")
    return comment


def _comment(ask: Ask) -> Answer:
    return Reply(value=ask.shapes.comment(ask.repo, _comment_of(ask)))


def _edit_comment(ask: Ask) -> Answer:
    comment = _comment_of(ask)
    if comment.author != ask.login:
        ask.must("write")
    _long(ask.body["body"])
    ask.life.edit_comment(ask.repo, comment, ask.login, ask.body["body"])
    return Reply(value=ask.shapes.comment(ask.repo, comment))


def _delete_comment(ask: Ask) -> Answer:
    comment = _comment_of(ask)
    if comment.author != ask.login:
        ask.must("write")
    ask.life.delete_comment(ask.repo, comment)
    return Reply(status=204)


def _timeline(ask: Ask) -> Answer:
    repo = ask.repo
    return Listing(
        items=list(ask.issue.timeline),
        show=lambda entry: ask.shapes.happening(repo, entry, ask.login),
    )


def _labels_of(ask: Ask, names: list[str]) -> Answer:
    repo = ask.repo
    return Listing(items=names, show=lambda name: ask.shapes.label(repo, name))


def _issue_labels(ask: Ask) -> Answer:
    return _labels_of(ask, list(ask.issue.labels))


def _wanted(ask: Ask) -> list[str]:
    return _names(ask.body if isinstance(ask.body, list) else ask.body.get("labels", []))


def _add_labels(ask: Ask) -> Answer:
    issue = ask.issue
    ask.life.relabel(ask.repo, issue, ask.login, [*issue.labels, *_wanted(ask)])
    return _labels_of(ask, list(issue.labels))


def _set_labels(ask: Ask) -> Answer:
    ask.life.relabel(ask.repo, ask.issue, ask.login, _wanted(ask))
    return _labels_of(ask, list(ask.issue.labels))


def _clear_labels(ask: Ask) -> Answer:
    ask.life.relabel(ask.repo, ask.issue, ask.login, [])
    return Reply(status=204)


def _remove_label(ask: Ask) -> Answer:
    issue, name = ask.issue, ask.params["name"]
    if name not in issue.labels:
        raise RefusedError(404, "Label does not exist")
    ask.life.relabel(ask.repo, issue, ask.login, [n for n in issue.labels if n != name])
    return _labels_of(ask, list(issue.labels))


def _labels(ask: Ask) -> Answer:
    return _labels_of(ask, list(ask.repo.labels))


def _label_of(ask: Ask) -> Label:
    label = ask.repo.labels.get(ask.params["name"])
    if label is None:
        raise RefusedError(404, "Not Found")
    return label


def _label(ask: Ask) -> Answer:
    return Reply(value=ask.shapes.label(ask.repo, _label_of(ask).name))


def _create_label(ask: Ask) -> Answer:
    repo, body = ask.repo, ask.body
    if any(name.lower() == body["name"].lower() for name in repo.labels):
        raise invalid("Label", "name", "already_exists")
    made = ask.life.make_label(
        repo, body["name"], body.get("color", "ededed"), body.get("description")
    )
    return Reply(status=201, value=ask.shapes.label(repo, made.name))


def _edit_label(ask: Ask) -> Answer:
    repo, label, body = ask.repo, _label_of(ask), ask.body
    label.color = body.get("color", label.color)
    label.description = body.get("description", label.description)
    if (name := body.get("new_name")) is not None:
        repo.labels = {name if l is label else l.name: l for l in repo.labels.values()}  # noqa: E741
        for issue in repo.issues.values():
            issue.labels = [name if old == label.name else old for old in issue.labels]
        label.name = name
    return Reply(value=ask.shapes.label(repo, label.name))


def _delete_label(ask: Ask) -> Answer:
    repo, label = ask.repo, _label_of(ask)
    for issue in repo.issues.values():
        if label.name in issue.labels:
            kept = [name for name in issue.labels if name != label.name]
            ask.life.relabel(repo, issue, ask.login, kept)
    del repo.labels[label.name]
    return Reply(status=204)


def _search(ask: Ask) -> Answer:
    seen = [repo for repo in ask.life.repos.values() if repo.may(ask.login, "read")]
    hits = found(ask.query["q"], seen, ask.login)
    by_update = ask.query.get("sort") == "updated"
    if "sort" in ask.query:
        hits.sort(
            key=lambda hit: hit[1].updated if by_update else hit[1].created,
            reverse=ask.query.get("order", "desc") == "desc",
        )
    return Listing(
        items=hits[:1000],
        # What the search finds has a text, if only an empty one: so it is described.
        show=lambda hit: {
            **ask.shapes.issue(hit[0], hit[1]),
            "body": hit[1].body or "",
            "score": 1.0,
        },
        key="items",
        more={"total_count": len(hits), "incomplete_results": False, "search_type": "lexical"},
    )


ROUTES: Final = (
    Route("GET", f"{_REPO}/issues", _list, "issues:read"),
    Route("POST", f"{_REPO}/issues", _create, "issues:write"),
    Route("GET", f"{_REPO}/issues/comments", _all_comments, "issues:read"),
    Route("GET", f"{_REPO}/issues/comments/{{comment_id}}", _comment, "issues:read"),
    Route("PATCH", f"{_REPO}/issues/comments/{{comment_id}}", _edit_comment, "issues:write"),
    Route("DELETE", f"{_REPO}/issues/comments/{{comment_id}}", _delete_comment, "issues:write"),
    Route("GET", _ISSUE, lambda ask: Reply(value=_show(ask, ask.issue)), "issues:read"),
    Route("PATCH", _ISSUE, _edit, "issues:write"),
    Route("GET", f"{_ISSUE}/comments", _comments, "issues:read"),
    Route("POST", f"{_ISSUE}/comments", _comment_on, "issues:write"),
    Route("GET", f"{_ISSUE}/timeline", _timeline, "issues:read"),
    Route("GET", f"{_ISSUE}/labels", _issue_labels, "issues:read"),
    Route("POST", f"{_ISSUE}/labels", _add_labels, "issues:write", "triage"),
    Route("PUT", f"{_ISSUE}/labels", _set_labels, "issues:write", "triage"),
    Route("DELETE", f"{_ISSUE}/labels", _clear_labels, "issues:write", "triage"),
    Route("DELETE", f"{_ISSUE}/labels/{{name}}", _remove_label, "issues:write", "triage"),
    Route("GET", f"{_REPO}/labels", _labels, "issues:read"),
    Route("POST", f"{_REPO}/labels", _create_label, "issues:write", "write"),
    Route("GET", f"{_REPO}/labels/{{name}}", _label, "issues:read"),
    Route("PATCH", f"{_REPO}/labels/{{name}}", _edit_label, "issues:write", "write"),
    Route("DELETE", f"{_REPO}/labels/{{name}}", _delete_label, "issues:write", "write"),
    Route("GET", "/search/issues", _search),
)
