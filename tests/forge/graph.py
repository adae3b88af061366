"""GraphQL: what the API of calls does not have, judged by GitHub's own schema.

`schema.graphql` is that schema, cut to `SERVED`; a query for more fails the test.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any, Final

from tests.forge.life import Life
from tests.forge.merging import blockers, enqueue, look
from tests.forge.refusal import RefusedError
from tests.forge.shapes import node, stamp
from tests.forge.tokens import allowed
from tests.forge.world import Issue, Pull, Remark, Repo, Token, closed_by
from tests.run import ROOT

_PAGED: Final = ("nodes", "pageInfo", "totalCount")
_ISSUE: Final = (
    *("id", "number", "title", "body", "url", "state", "createdAt", "updatedAt", "author"),
    *("authorAssociation", "labels", "comments", "locked", "timelineItems", "closed"),
)
_PULL: Final = (
    *("isDraft", "merged", "mergeable", "mergeStateStatus", "headRefName", "headRefOid"),
    *("baseRefName", "baseRefOid", "closingIssuesReferences", "reviewThreads"),
    *("autoMergeRequest", "mergeQueueEntry", "isInMergeQueue", "isCrossRepository"),
    *("headRepository", "maintainerCanModify", "reviewDecision", "files"),
)
_EVENT: Final = ("id", "createdAt", "actor")
SERVED: Final[Mapping[str, Sequence[str]]] = {
    "Query": ("id", "repository", "node", "viewer", "rateLimit"),
    "Mutation": (
        "markPullRequestReadyForReview",
        "convertPullRequestToDraft",
        "enablePullRequestAutoMerge",
        "disablePullRequestAutoMerge",
        "enqueuePullRequest",
        "dequeuePullRequest",
        "resolveReviewThread",
        "unresolveReviewThread",
        "addPullRequestReviewThreadReply",
    ),
    "Node": ("id",),
    "Actor": ("avatarUrl", "login", "resourcePath", "url"),
    "User": ("id", "avatarUrl", "login", "resourcePath", "url"),
    "Bot": ("id", "avatarUrl", "login", "resourcePath", "url"),
    "RateLimit": ("limit", "remaining", "used", "resetAt", "cost"),
    "PageInfo": ("hasNextPage", "endCursor", "hasPreviousPage", "startCursor"),
    "Repository": (
        "id",
        "name",
        "nameWithOwner",
        "url",
        "isPrivate",
        "isFork",
        "hasIssuesEnabled",
        "autoMergeAllowed",
        "issue",
        "pullRequest",
        "issueOrPullRequest",
        "viewerPermission",
    ),
    "Label": ("id", "name"),
    "LabelConnection": _PAGED,
    "Issue": (
        *_ISSUE,
        "closedByPullRequestsReferences",
        "stateReason",
        "lastEditedAt",
        "editor",
        "userContentEdits",
    ),
    "UserContentEdit": ("id", "editedAt", "editor"),
    "UserContentEditConnection": _PAGED,
    "IssueConnection": _PAGED,
    "IssueComment": (
        *("id", "databaseId", "body", "author", "authorAssociation", "createdAt", "updatedAt"),
        "url",
    ),
    "IssueCommentConnection": _PAGED,
    "PullRequest": (*_ISSUE, *_PULL),
    "PullRequestConnection": _PAGED,
    "AutoMergeRequest": ("enabledAt", "enabledBy", "mergeMethod"),
    "MergeQueueEntry": ("id", "position", "state", "headCommit"),
    "Commit": ("id", "oid"),
    "PullRequestReviewThread": (
        "id",
        "isResolved",
        "isOutdated",
        "isCollapsed",
        "path",
        "line",
        "startLine",
        "originalLine",
        "diffSide",
        "subjectType",
        "resolvedBy",
        "comments",
    ),
    "PullRequestReviewThreadConnection": _PAGED,
    "PullRequestReviewComment": (
        "id",
        "databaseId",
        "body",
        "author",
        "authorAssociation",
        "createdAt",
        "updatedAt",
        "url",
        "path",
        "line",
        "originalLine",
        "diffHunk",
        "replyTo",
    ),
    "PullRequestReviewCommentConnection": _PAGED,
    "IssueTimelineItems": (),
    "PullRequestTimelineItems": (),
    "IssueTimelineItemsConnection": _PAGED,
    "PullRequestTimelineItemsConnection": _PAGED,
    "ReferencedSubject": (),
    "IssueOrPullRequest": (),
    "PullRequestChangedFile": ("path", "additions", "deletions"),
    "PullRequestChangedFileConnection": _PAGED,
    "ConnectedEvent": (*_EVENT, "source", "subject", "isCrossRepository"),
    "MarkedAsDuplicateEvent": (*_EVENT, "canonical", "duplicate", "isCrossRepository"),
    "CrossReferencedEvent": (*_EVENT, "source", "willCloseTarget", "isCrossRepository", "url"),
    "ClosedEvent": (*_EVENT, "stateReason"),
    "ReopenedEvent": _EVENT,
    "LabeledEvent": (*_EVENT, "label"),
    "UnlabeledEvent": (*_EVENT, "label"),
    "MergedEvent": _EVENT,
    "MarkPullRequestReadyForReviewPayload": ("pullRequest", "clientMutationId"),
    "ConvertPullRequestToDraftPayload": ("pullRequest", "clientMutationId"),
    "EnablePullRequestAutoMergePayload": ("actor", "pullRequest", "clientMutationId"),
    "DisablePullRequestAutoMergePayload": ("actor", "pullRequest", "clientMutationId"),
    "EnqueuePullRequestPayload": ("mergeQueueEntry", "clientMutationId"),
    "DequeuePullRequestPayload": ("mergeQueueEntry", "clientMutationId"),
    "ResolveReviewThreadPayload": ("thread", "clientMutationId"),
    "UnresolveReviewThreadPayload": ("thread", "clientMutationId"),
    "AddPullRequestReviewThreadReplyPayload": ("comment", "clientMutationId"),
}
_EVENTS: Final = {
    "cross-referenced": "CrossReferencedEvent",
    "closed": "ClosedEvent",
    "reopened": "ReopenedEvent",
    "labeled": "LabeledEvent",
    "unlabeled": "UnlabeledEvent",
    "merged": "MergedEvent",
    "connected": "ConnectedEvent",
    "marked_as_duplicate": "MarkedAsDuplicateEvent",
}
_TYPES: Final = {401: "UNAUTHENTICATED", 403: "FORBIDDEN", 404: "NOT_FOUND"}
_MOST: Final = 100
Tree = dict[str, Any]


class Graph:
    """Answers queries and mutations."""

    def __init__(self, life: Life) -> None:
        self._life = life

    def answer(self, token: Token, body: Any) -> tuple[Tree, str]:
        """Give the answer, and what in the query was not GitHub's."""
        from graphql import GraphQLError, graphql_sync

        tree = _Tree(self._life, token)
        result = graphql_sync(
            _schema(),
            body.get("query", ""),
            root_value=tree.root(),
            variable_values=body.get("variables"),
            operation_name=body.get("operationName"),
        )
        value: Tree = {"data": result.data}
        wrong, errors = [], []
        for error in result.errors or ():
            cause = error.original_error
            if isinstance(cause, RefusedError):
                kind = _TYPES.get(cause.status, "UNPROCESSABLE")
                errors.append({"type": kind, **dict(error.formatted)})
            else:
                assert isinstance(error, GraphQLError)
                wrong.append(repr(cause) if cause else error.message)
                errors.append(dict(error.formatted))
        if errors:
            value["errors"] = errors
        return value, "; ".join(wrong)


@cache
def _schema() -> Any:
    from graphql import build_schema

    return build_schema((ROOT / "tests" / "forge" / "schema.graphql").read_text())


class _Tree:
    """What one token sees, as a tree whose branches grow when they are asked for."""

    def __init__(self, life: Life, token: Token) -> None:
        self._life = life
        self._token = token

    def root(self) -> Tree:
        return {
            "repository": self._repository,
            "node": self._node,
            "viewer": self._actor(self._token.login),
            "rateLimit": self._rate,
            "markPullRequestReadyForReview": self._ready,
            "convertPullRequestToDraft": self._draft,
            "enablePullRequestAutoMerge": self._auto_merge,
            "disablePullRequestAutoMerge": self._no_auto_merge,
            "enqueuePullRequest": self._enqueue,
            "dequeuePullRequest": self._dequeue,
            "resolveReviewThread": self._resolve,
            "unresolveReviewThread": self._unresolve,
            "addPullRequestReviewThreadReply": self._reply,
        }

    def _rate(self, _info: Any, **_given: Any) -> Tree:
        state = self._life.meter.state(self._token, "graphql")
        kept = {name: state[name] for name in ("limit", "remaining", "used")}
        return {**kept, "cost": 1, "resetAt": stamp(self._life.clock.now())}

    def _repository(self, _info: Any, owner: str, name: str, **_given: Any) -> Tree:
        repo = self._life.repo(f"{owner}/{name}")
        if repo is None or not repo.may(self._token.login, "read"):
            text = f"Could not resolve to a Repository with the name '{owner}/{name}'."
            raise RefusedError(404, text)
        return self._repo(repo)

    def _repo(self, repo: Repo) -> Tree:
        def found(number: int, *, pull: bool) -> Tree:
            issue = repo.issues.get(number)
            if issue is None or (issue.pull is not None) is not pull:
                kind = "a PullRequest" if pull else "an Issue"
                raise RefusedError(404, f"Could not resolve to {kind} with the number of {number}.")
            return self._item(repo, issue)

        def either(_info: Any, number: int) -> Tree:
            issue = repo.issues.get(number)
            if issue is None:
                text = f"Could not resolve to an issue or pull request with the number of {number}."
                raise RefusedError(404, text)
            return self._item(repo, issue)

        return {
            "__typename": "Repository",
            "id": node("R", repo.id),
            "name": repo.name,
            "nameWithOwner": repo.full,
            "url": f"{self._life.shapes.root}/{repo.full}",
            "isPrivate": repo.private,
            "isFork": repo.parent is not None,
            "hasIssuesEnabled": repo.has_issues,
            "autoMergeAllowed": repo.auto_merge,
            "viewerPermission": repo.permission(self._token.login).upper(),
            "issue": lambda _info, number: found(number, pull=False),
            "pullRequest": lambda _info, number: found(number, pull=True),
            "issueOrPullRequest": either,
        }

    def _actor(self, login: str) -> Tree:
        user = self._life.user(login)
        return {
            "__typename": "Bot" if user.kind == "Bot" else "User",
            "id": node("U", user.id),
            "login": user.login.removesuffix("[bot]"),
            "avatarUrl": f"{self._life.shapes.root}/avatars/{user.id}",
            "resourcePath": f"/{user.login}",
            "url": f"{self._life.shapes.root}/{user.login}",
        }

    def _item(self, repo: Repo, issue: Issue) -> Tree:
        shapes = self._life.shapes
        kind = "issues" if issue.pull is None else "pull"
        comments = [c for c in repo.comments.values() if c.number == issue.number]
        tree: Tree = {
            "__typename": "Issue" if issue.pull is None else "PullRequest",
            "id": node("I" if issue.pull is None else "PR", issue.id),
            "number": issue.number,
            "title": issue.title,
            "body": issue.body or "",
            "url": f"{shapes.root}/{repo.full}/{kind}/{issue.number}",
            "state": issue.state.upper(),
            "closed": issue.state == "closed",
            "stateReason": issue.reason.upper() if issue.reason else None,
            "locked": issue.locked,
            "createdAt": stamp(issue.created),
            "updatedAt": stamp(issue.updated),
            "author": self._actor(issue.author),
            "authorAssociation": shapes.association(repo, issue.author),
            "labels": _connection([self._label(repo, name) for name in issue.labels]),
            "comments": _connection(
                [
                    {
                        "__typename": "IssueComment",
                        "id": node("IC", comment.id),
                        "databaseId": comment.id,
                        "body": comment.body,
                        "author": self._actor(comment.author),
                        "authorAssociation": shapes.association(repo, comment.author),
                        "createdAt": stamp(comment.created),
                        "updatedAt": stamp(comment.updated),
                        "url": shapes.comment(repo, comment)["html_url"],
                    }
                    for comment in comments
                ]
            ),
            "timelineItems": lambda info, **given: self._timeline(repo, issue, info, given),
        }
        if issue.pull is None:
            edits = [self._edit(*edit) for edit in reversed(issue.edits)]
            tree["lastEditedAt"] = edits[0]["editedAt"] if edits else None
            tree["editor"] = edits[0]["editor"] if edits else None
            tree["userContentEdits"] = _connection(edits)
            tree["closedByPullRequestsReferences"] = _connection(
                lambda: [
                    self._item(repo, other)
                    for other, pull in repo.pulls()
                    if pull.base_ref == repo.default
                    and issue.number in closed_by(other.body, repo.full)
                ]
            )
            return tree
        return tree | self._pull(repo, issue, issue.pull)

    def _edit(self, at: datetime, login: str) -> Tree:
        made = {"editedAt": stamp(at), "editor": self._actor(login)}
        return {"__typename": "UserContentEdit", "id": f"UCE_{stamp(at)}", **made}

    def _pull(self, repo: Repo, issue: Issue, pull: Pull) -> Tree:
        def state(_info: Any) -> str:
            return str(look(self._life, repo, issue)["mergeable_state"]).upper()

        def mergeable(_info: Any) -> str:
            fits = look(self._life, repo, issue)["mergeable"]
            return {True: "MERGEABLE", False: "CONFLICTING"}.get(fits, "UNKNOWN")

        closing = closed_by(issue.body, repo.full) if pull.base_ref == repo.default else []
        auto = pull.auto_merge
        source = self._life.repo(pull.head_repo)
        return {
            "state": "MERGED" if pull.merged else issue.state.upper(),
            "isDraft": pull.draft,
            "merged": pull.merged is not None,
            "mergeable": mergeable,
            "mergeStateStatus": state,
            "headRefName": pull.head_ref,
            "headRefOid": pull.head,
            "baseRefName": pull.base_ref,
            "baseRefOid": pull.base,
            "isCrossRepository": pull.head_repo != repo.full,
            "headRepository": lambda _info: None if source is None else self._repo(source),
            "maintainerCanModify": pull.maintainer_can_modify,
            "reviewDecision": _decision(pull),
            "closingIssuesReferences": _connection(
                lambda: [
                    self._item(repo, repo.issues[number])
                    for number in closing
                    if number in repo.issues and repo.issues[number].pull is None
                ]
            ),
            "files": _connection(lambda: self._files(repo, pull)),
            "reviewThreads": _connection(lambda: self._threads(repo, issue, pull)),
            "autoMergeRequest": None
            if auto is None
            else {
                "enabledAt": stamp(issue.updated),
                "enabledBy": self._actor(auto["login"]),
                "mergeMethod": auto["method"].upper(),
            },
            "isInMergeQueue": pull.queued is not None,
            "mergeQueueEntry": self._entry(issue, pull),
        }

    def _entry(self, issue: Issue, pull: Pull) -> Tree | None:
        if pull.queued is None:
            return None
        commit = {"id": f"C_{pull.queued[:8]}", "oid": pull.queued}
        number = node("MQE", issue.id)
        return {"id": number, "position": 1, "state": "AWAITING_CHECKS", "headCommit": commit}

    def _files(self, repo: Repo, pull: Pull) -> list[Tree]:
        changes = repo.bare.changes(repo.bare.merge_base(pull.base, pull.head), pull.head)
        kind = "PullRequestChangedFile"
        return [
            {
                "__typename": kind,
                "path": change.path,
                "additions": change.additions,
                "deletions": change.deletions,
            }
            for change in changes
        ]

    def _threads(self, repo: Repo, issue: Issue, pull: Pull) -> list[Tree]:
        firsts = [remark for remark in pull.remarks if remark.answers is None]
        return [self._thread(repo, issue, pull, first) for first in firsts]

    def _thread(self, repo: Repo, issue: Issue, pull: Pull, first: Remark) -> Tree:
        said = [remark for remark in pull.remarks if remark.thread == first.thread]
        solver = pull.resolved.get(first.thread)
        moved = first.commit != pull.head and not _same(repo, first, pull.head)
        return {
            "__typename": "PullRequestReviewThread",
            "id": node("PRRT", first.thread),
            "isResolved": solver is not None,
            "resolvedBy": None if solver is None else self._actor(solver),
            "isCollapsed": solver is not None,
            "isOutdated": moved,
            "path": first.path,
            "line": None if moved else first.line,
            "originalLine": first.line,
            "startLine": None,
            "diffSide": "RIGHT",
            "subjectType": "FILE" if first.line is None else "LINE",
            "comments": _connection([self._remark(repo, issue, remark) for remark in said]),
        }

    def _remark(self, repo: Repo, issue: Issue, remark: Remark) -> Tree:
        shapes = self._life.shapes
        answered = None
        if remark.answers is not None:
            answered = {"id": node("PRRC", remark.answers), "databaseId": remark.answers}
        return {
            "__typename": "PullRequestReviewComment",
            "id": node("PRRC", remark.id),
            "databaseId": remark.id,
            "body": remark.body,
            "author": self._actor(remark.author),
            "authorAssociation": shapes.association(repo, remark.author),
            "createdAt": stamp(remark.created),
            "updatedAt": stamp(remark.updated),
            "url": shapes.remark(repo, issue, remark)["html_url"],
            "path": remark.path,
            "line": remark.line,
            "originalLine": remark.line,
            "diffHunk": "@@",
            "replyTo": answered,
        }

    def _label(self, repo: Repo, name: str) -> Tree:
        label = self._life.shapes.label(repo, name)
        return {"__typename": "Label", "id": label["node_id"], "name": name}

    def _timeline(self, repo: Repo, issue: Issue, info: Any, given: Tree) -> Tree:
        asked = given.get("itemTypes")
        entries = []
        for entry in issue.timeline:
            kind = _EVENTS.get(entry.event)
            if kind is None:
                continue
            if asked is not None and re.sub(r"(?<!^)([A-Z])", r"_\1", kind).upper() not in asked:
                continue
            tree: Tree = {
                "__typename": kind,
                "id": node("E", entry.id),
                "createdAt": stamp(entry.at),
                "actor": self._actor(entry.actor),
            }
            if kind == "CrossReferencedEvent":
                source = entry.more["source"]
                tree["source"] = self._item(entry.more["repo"], source)
                tree["isCrossRepository"] = False
                tree["url"] = tree["source"]["url"]
                tree["willCloseTarget"] = source.pull is not None and issue.number in closed_by(
                    source.body, repo.full
                )
            if kind == "ConnectedEvent":
                tree["source"] = self._item(repo, entry.more["source"])
                tree["subject"] = self._item(repo, issue)
            if kind == "MarkedAsDuplicateEvent":
                tree["canonical"] = self._item(repo, entry.more["canonical"])
                tree["duplicate"] = self._item(repo, issue)
            if kind in {"ConnectedEvent", "MarkedAsDuplicateEvent"}:
                tree["isCrossRepository"] = False
            if "label" in entry.more:
                tree["label"] = self._label(repo, entry.more["label"])
            if kind == "ClosedEvent":
                reason = entry.more.get("reason")
                tree["stateReason"] = reason.upper() if reason else None
            entries.append(tree)
        page: Tree = _connection(entries)(info, **given)
        return page

    def _all(self) -> list[tuple[Repo, Issue]]:
        seen = (r for r in self._life.repos.values() if r.may(self._token.login, "read"))
        return [(repo, issue) for repo in seen for issue in repo.issues.values()]

    def _node(self, _info: Any, id: str) -> Tree:  # noqa: A002 - GitHub's name
        for repo, issue in self._all():
            if id in {node("I", issue.id), node("PR", issue.id)}:
                return self._item(repo, issue)
            if issue.pull is not None:
                for thread in self._threads(repo, issue, issue.pull):
                    if thread["id"] == id:
                        return thread
        raise RefusedError(404, f"Could not resolve to a node with the global id of '{id}'")

    def _found(self, id: str) -> tuple[Repo, Issue, Pull]:  # noqa: A002 - GitHub's name
        for repo, issue in self._all():
            if issue.pull is not None and node("PR", issue.id) == id:
                if not repo.may(self._token.login, "write") and issue.author != self._token.login:
                    raise RefusedError(
                        403, f"{self._token.login} does not have the correct permissions"
                    )
                if not allowed(self._token, "pull_requests:write"):
                    raise RefusedError(403, "Resource not accessible by integration")
                return repo, issue, issue.pull
        raise RefusedError(404, f"Could not resolve to a node with the global id of '{id}'")

    def _found_thread(self, id: str) -> tuple[Repo, Issue, Pull, Remark]:  # noqa: A002
        for repo, issue in self._all():
            for remark in () if issue.pull is None else issue.pull.remarks:
                if node("PRRT", remark.thread) == id and remark.answers is None:
                    self._found(node("PR", issue.id))
                    assert issue.pull is not None
                    return repo, issue, issue.pull, remark
        raise RefusedError(404, f"Could not resolve to a node with the global id of '{id}'")

    def _said(self, given: Tree, **more: Any) -> Tree:
        actor = self._actor(self._token.login)
        return {"clientMutationId": given.get("clientMutationId"), "actor": actor, **more}

    def _ready(self, _info: Any, input: Tree) -> Tree:  # noqa: A002 - GitHub's name
        repo, issue, pull = self._found(input["pullRequestId"])
        pull.draft = False
        self._life.happen(issue, "ready_for_review", self._token.login)
        return self._said(input, pullRequest=lambda _info: self._item(repo, issue))

    def _draft(self, _info: Any, input: Tree) -> Tree:  # noqa: A002
        repo, issue, pull = self._found(input["pullRequestId"])
        pull.draft = True
        self._life.happen(issue, "convert_to_draft", self._token.login)
        return self._said(input, pullRequest=lambda _info: self._item(repo, issue))

    def _auto_merge(self, _info: Any, input: Tree) -> Tree:  # noqa: A002
        repo, issue, pull = self._found(input["pullRequestId"])
        if not repo.auto_merge:
            raise RefusedError(422, "Auto merge is not allowed for this repository")
        if input.get("expectedHeadOid", pull.head) != pull.head:
            raise RefusedError(422, "Head sha didn't match the expected head oid.")
        queue = any(rules.queue for rules in repo.rules_of(pull.base_ref))
        method = input.get("mergeMethod", "MERGE").lower()
        if method not in repo.methods:
            raise RefusedError(
                422, f"Merge method {method} merging is not allowed on this repository"
            )
        if not pull.draft and not queue and not blockers(repo, issue):
            raise RefusedError(422, "Pull request is in clean status")
        pull.auto_merge = {
            "login": self._token.login,
            "method": method,
            "commit_title": input.get("commitHeadline"),
            "commit_message": input.get("commitBody"),
        }
        self._life.happen(issue, "auto_merge_enabled", self._token.login)
        return self._said(input, pullRequest=lambda _info: self._item(repo, issue))

    def _no_auto_merge(self, _info: Any, input: Tree) -> Tree:  # noqa: A002
        repo, issue, pull = self._found(input["pullRequestId"])
        pull.auto_merge = None
        self._life.happen(issue, "auto_merge_disabled", self._token.login)
        return self._said(input, pullRequest=lambda _info: self._item(repo, issue))

    def _enqueue(self, _info: Any, input: Tree) -> Tree:  # noqa: A002
        repo, issue, pull = self._found(input["pullRequestId"])
        if input.get("expectedHeadOid", pull.head) != pull.head:
            raise RefusedError(422, "Head sha didn't match the expected head oid.")
        enqueue(self._life, repo, issue, self._token.login)
        return self._said(input, mergeQueueEntry=self._entry(issue, pull))

    def _dequeue(self, _info: Any, input: Tree) -> Tree:  # noqa: A002
        _, issue, pull = self._found(input["id"])
        entry, pull.queued = self._entry(issue, pull), None
        self._life.happen(issue, "removed_from_merge_queue", self._token.login)
        return self._said(input, mergeQueueEntry=entry)

    def _resolve(self, _info: Any, input: Tree) -> Tree:  # noqa: A002
        repo, issue, pull, first = self._found_thread(input["threadId"])
        pull.resolved[first.thread] = self._token.login
        self._life.touch(issue)
        return self._said(input, thread=self._thread(repo, issue, pull, first))

    def _unresolve(self, _info: Any, input: Tree) -> Tree:  # noqa: A002
        repo, issue, pull, first = self._found_thread(input["threadId"])
        pull.resolved.pop(first.thread, None)
        self._life.touch(issue)
        return self._said(input, thread=self._thread(repo, issue, pull, first))

    def _reply(self, _info: Any, input: Tree) -> Tree:  # noqa: A002
        repo, issue, pull, first = self._found_thread(input["pullRequestReviewThreadId"])
        made = self._life.remark(issue, pull, self._token.login, input["body"], answers=first)
        return self._said(input, comment=self._remark(repo, issue, made))


def _connection(items: Sequence[Tree] | Callable[[], Sequence[Tree]]) -> Callable[..., Tree]:
    """Give a list page by page; a cursor is the place after which a page begins."""

    def page(_info: Any, **given: Any) -> Tree:
        whole = list(items() if callable(items) else items)
        if "first" not in given and "last" not in given:
            raise RefusedError(422, "You must provide a `first` or `last` value.")
        size = given.get("first") or given.get("last") or 0
        if size > _MOST:
            raise RefusedError(422, f"Requesting {size} records exceeds the limit of 100 records.")
        start = int(given["after"]) if given.get("after") else 0
        if "first" not in given:
            start = max(0, len(whole) - size)
        shown = whole[start : start + size]
        end = start + len(shown)
        return {
            "nodes": shown,
            "totalCount": len(whole),
            "pageInfo": {
                "hasNextPage": end < len(whole),
                "hasPreviousPage": start > 0,
                "startCursor": str(start) if shown else None,
                "endCursor": str(end) if shown else None,
            },
        }

    return page


def _decision(pull: Pull) -> str | None:
    last = {review.author: review.state for review in pull.reviews if review.state != "COMMENTED"}
    if "CHANGES_REQUESTED" in last.values():
        return "CHANGES_REQUESTED"
    return "APPROVED" if "APPROVED" in last.values() else None


def _same(repo: Repo, remark: Remark, head: str) -> bool:
    """Say whether the line still reads as when something was said of it."""
    before, after = repo.bare.file(remark.commit, remark.path), repo.bare.file(head, remark.path)
    if before is None or after is None or remark.line is None:
        return before == after
    lines = [text[1].splitlines()[remark.line - 1 : remark.line] for text in (before, after)]
    return lines[0] == lines[1]
