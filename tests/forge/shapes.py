"""The hub's records in the form in which GitHub's API gives them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote

from tests.forge.bare import CommitText, FileChange
from tests.forge.oracle import complete
from tests.forge.world import (
    App,
    Comment,
    Happening,
    Issue,
    Label,
    Pull,
    Remark,
    Repo,
    Review,
    Run,
    Status,
    User,
    Workflow,
    latest,
)

Json = dict[str, Any]
_RIGHTS: Final = ("pull", "triage", "push", "maintain", "admin")
_LEVEL_OF_RIGHT: Final = ("read", "triage", "write", "maintain", "admin")


def stamp(at: datetime | None) -> str | None:
    """Write a time as GitHub does."""
    return None if at is None else at.strftime("%Y-%m-%dT%H:%M:%SZ")


def rights(repo: Repo, login: str) -> dict[str, bool]:
    """Give what somebody may do, one truth value for each right."""
    named = zip(_RIGHTS, _LEVEL_OF_RIGHT, strict=True)
    return {right: repo.may(login, level) for right, level in named}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shapes:
    """Writes records; ``root`` is the hub's address."""

    root: str
    users: dict[str, User]

    @property
    def api(self) -> str:
        """Give the address of the API."""
        return f"{self.root}/api/v3"

    def complete(self, schema: str, value: Json) -> Json:
        """Fill in what GitHub always sends and the hub knows nothing of."""
        return complete(schema, value, self.root)

    def user(self, login: str, schema: str = "simple-user") -> Json:
        """Write a person; one whom nobody introduced is GitHub's ghost."""
        user = self.users.get(login) or User(login="ghost", id=10137)
        return self.complete(
            schema,
            {
                "login": user.login,
                "id": user.id,
                "node_id": node("U", user.id),
                "type": user.kind,
                "name": user.name,
                "email": None,
                "site_admin": False,
                "url": f"{self.api}/users/{quote(user.login)}",
                "html_url": f"{self.root}/{_page(user)}",
            },
        )

    def app(self, app: App) -> Json:
        """Write an app."""
        return self.complete(
            "integration",
            {
                "id": app.id,
                "slug": app.slug,
                "node_id": node("A", app.id),
                "name": app.slug.replace("-", " ").title(),
                "owner": self.user(app.login),
                "permissions": dict(app.permissions),
                "events": [],
                "html_url": f"{self.root}/apps/{app.slug}",
            },
        )

    def repo(self, repo: Repo, login: str, schema: str = "minimal-repository") -> Json:
        """Write a repository as somebody sees it."""
        at = f"{self.api}/repos/{repo.full}"
        web = f"{self.root}/{repo.full}"
        return self.complete(
            schema,
            {
                "id": repo.id,
                "node_id": node("R", repo.id),
                "name": repo.name,
                "full_name": repo.full,
                "owner": self.user(repo.owner),
                "private": repo.private,
                "visibility": "private" if repo.private else "public",
                "fork": repo.parent is not None,
                "default_branch": repo.default,
                "has_issues": repo.has_issues,
                "has_pull_requests": True,
                "archived": False,
                "disabled": False,
                "allow_merge_commit": "merge" in repo.methods,
                "allow_squash_merge": "squash" in repo.methods,
                "allow_rebase_merge": "rebase" in repo.methods,
                "allow_auto_merge": repo.auto_merge,
                "delete_branch_on_merge": False,
                "permissions": rights(repo, login),
                "created_at": stamp(repo.created),
                "updated_at": stamp(repo.created),
                "pushed_at": stamp(repo.created),
                "open_issues_count": sum(i.state == "open" for i in repo.issues.values()),
                "url": at,
                "html_url": web,
                "clone_url": f"{web}.git",
                "git_url": f"{web}.git",
                "ssh_url": f"git@127.0.0.1:{repo.full}.git",
                "svn_url": web,
                "issues_url": f"{at}/issues{{/number}}",
                "pulls_url": f"{at}/pulls{{/number}}",
                "labels_url": f"{at}/labels{{/name}}",
                "branches_url": f"{at}/branches{{/branch}}",
                "commits_url": f"{at}/commits{{/sha}}",
                "contents_url": f"{at}/contents/{{+path}}",
                "compare_url": f"{at}/compare/{{base}}...{{head}}",
            },
        )

    def label(self, repo: Repo, name: str) -> Json:
        """Write a label."""
        label = repo.labels.get(name) or Label(id=0, name=name)
        return {
            "id": label.id,
            "node_id": node("LA", label.id),
            "url": f"{self.api}/repos/{repo.full}/labels/{quote(label.name)}",
            "name": label.name,
            "color": label.color,
            "description": label.description,
            "default": False,
        }

    def issue(self, repo: Repo, issue: Issue) -> Json:
        """Write an issue; a pull request says where it is one."""
        at = f"{self.api}/repos/{repo.full}"
        url = f"{at}/issues/{issue.number}"
        kind = "issues" if issue.pull is None else "pull"
        value = {
            **self._common(repo, issue),
            "node_id": node("I" if issue.pull is None else "PR", issue.id),
            "url": url,
            "repository_url": at,
            "labels_url": f"{url}/labels{{/name}}",
            "comments_url": f"{url}/comments",
            "events_url": f"{url}/events",
            "timeline_url": f"{url}/timeline",
            "html_url": f"{self.root}/{repo.full}/{kind}/{issue.number}",
            "state_reason": issue.reason,
            "comments": sum(c.number == issue.number for c in repo.comments.values()),
            "closed_by": None if issue.closed_by is None else self.user(issue.closed_by),
            "performed_via_github_app": None if issue.app is None else self.app(issue.app),
        }
        if issue.pull is not None:
            value["draft"] = issue.pull.draft
            value["pull_request"] = {
                "url": f"{at}/pulls/{issue.number}",
                "html_url": value["html_url"],
                "diff_url": f"{value['html_url']}.diff",
                "patch_url": f"{value['html_url']}.patch",
                "merged_at": stamp(issue.pull.merged),
            }
        return self.complete("issue", value)

    def _common(self, repo: Repo, issue: Issue) -> Json:
        return {
            "id": issue.id,
            "number": issue.number,
            "title": issue.title,
            "body": issue.body,
            "user": self.user(issue.author),
            "state": issue.state,
            "locked": issue.locked,
            "active_lock_reason": None,
            "labels": [self.label(repo, name) for name in issue.labels],
            "assignee": self.user(issue.assignees[0]) if issue.assignees else None,
            "assignees": [self.user(who) for who in issue.assignees],
            "milestone": None,
            "created_at": stamp(issue.created),
            "updated_at": stamp(issue.updated),
            "closed_at": stamp(issue.closed),
            "author_association": self.association(repo, issue.author),
        }

    def association(self, repo: Repo, login: str) -> str:
        """Say what somebody is to a repository, in GitHub's words."""
        if login == repo.owner:
            return "OWNER"
        if repo.may(login, "triage"):
            return "COLLABORATOR"
        return "NONE"

    def comment(self, repo: Repo, comment: Comment) -> Json:
        """Write a comment."""
        at = f"{self.api}/repos/{repo.full}/issues"
        pull = repo.issues[comment.number].pull is not None
        page = f"{self.root}/{repo.full}/{'pull' if pull else 'issues'}/{comment.number}"
        return self.complete(
            "issue-comment",
            {
                "id": comment.id,
                "node_id": node("IC", comment.id),
                "url": f"{at}/comments/{comment.id}",
                "html_url": f"{page}#issuecomment-{comment.id}",
                "issue_url": f"{at}/{comment.number}",
                "body": comment.body,
                "user": self.user(comment.author),
                "created_at": stamp(comment.created),
                "updated_at": stamp(comment.updated),
                "author_association": self.association(repo, comment.author),
                "performed_via_github_app": None if comment.app is None else self.app(comment.app),
            },
        )

    def happening(self, repo: Repo, entry: Happening, login: str) -> Json:
        """Write an entry of a timeline."""
        where = f"{self.api}/repos/{repo.full}/issues/events/{entry.id}"
        value: Json = {
            "id": entry.id,
            "node_id": node("E", entry.id),
            "url": where,
            "event": entry.event,
            "actor": self.user(entry.actor),
            "commit_id": None,
            "commit_url": None,
            "created_at": stamp(entry.at),
            "performed_via_github_app": None,
        }
        match entry.event:
            case "cross-referenced":
                source = entry.more["source"]
                shown = {
                    **self.issue(entry.more["repo"], source),
                    "repository": self.repo(entry.more["repo"], login, "repository"),
                }
                return {
                    "event": entry.event,
                    "actor": value["actor"],
                    "created_at": value["created_at"],
                    "updated_at": value["created_at"],
                    "source": {"type": "issue", "issue": shown},
                }
            case "commented":
                comment = repo.comments[entry.more["comment"]]
                return {
                    **self.comment(repo, comment),
                    "event": "commented",
                    "actor": value["actor"],
                }
            case "labeled" | "unlabeled":
                name = entry.more["label"]
                value["label"] = {"name": name, "color": self.label(repo, name)["color"]}
            case "closed":
                value["state_reason"] = entry.more.get("reason")
                value["commit_id"] = entry.more.get("commit")
            case "renamed":
                value["rename"] = {"from": entry.more["before"], "to": entry.more["after"]}
            case "review_requested":
                value["review_requester"] = value["actor"]
                value["requested_reviewer"] = self.user(entry.more["reviewer"])
            case "connected" | "marked_as_duplicate":
                pass  # GitHub says with what only in GraphQL
            case _:
                value |= entry.more
        return value

    def pull(self, repo: Repo, issue: Issue, more: Json | None = None) -> Json:
        """Write a pull request; ``more`` is what only a look at one pull request tells."""
        pull = issue.pull
        assert pull is not None
        at = f"{self.api}/repos/{repo.full}"
        url = f"{at}/pulls/{issue.number}"
        page = f"{self.root}/{repo.full}/pull/{issue.number}"
        links = {
            "self": url,
            "html": page,
            "issue": f"{at}/issues/{issue.number}",
            "comments": f"{at}/issues/{issue.number}/comments",
            "review_comments": f"{url}/comments",
            "review_comment": f"{at}/pulls/comments{{/number}}",
            "commits": f"{url}/commits",
            "statuses": f"{at}/statuses/{pull.head}",
        }
        value = {
            **self._common(repo, issue),
            "node_id": node("PR", issue.id),
            "url": url,
            "html_url": page,
            "diff_url": f"{page}.diff",
            "patch_url": f"{page}.patch",
            **{f"{name}_url": link for name, link in links.items() if name not in {"self", "html"}},
            "_links": {name: {"href": link} for name, link in links.items()},
            "draft": pull.draft,
            "merged_at": stamp(pull.merged),
            "merge_commit_sha": pull.merge_commit,
            "requested_reviewers": [self.user(who) for who in pull.reviewers],
            "requested_teams": [],
            "auto_merge": self._auto_merge(pull),
            **(more or {}),
        }
        return self.complete("pull-request" if more is not None else "pull-request-simple", value)

    def _auto_merge(self, pull: Pull) -> Json | None:
        if pull.auto_merge is None:
            return None
        return {
            "enabled_by": self.user(pull.auto_merge["login"]),
            "merge_method": pull.auto_merge["method"],
            "commit_title": pull.auto_merge.get("title", ""),
            "commit_message": pull.auto_merge.get("message", ""),
        }

    def side(self, repo: Repo | None, name: str, ref: str, sha: str, login: str) -> Json:
        """Write one side of a pull request; a fork that is gone has no repository."""
        owner = name.partition("/")[0]
        return {
            "label": f"{owner}:{ref}",
            "ref": ref,
            "sha": sha,
            "user": self.user(owner),
            "repo": None if repo is None else self.repo(repo, login, "repository"),
        }

    def review(self, repo: Repo, issue: Issue, review: Review) -> Json:
        """Write a review."""
        at = f"{self.api}/repos/{repo.full}/pulls/{issue.number}"
        page = f"{self.root}/{repo.full}/pull/{issue.number}#pullrequestreview-{review.id}"
        return {
            "id": review.id,
            "node_id": node("PRR", review.id),
            "user": self.user(review.author),
            "body": review.body,
            "state": review.state,
            "html_url": page,
            "pull_request_url": at,
            "_links": {"html": {"href": page}, "pull_request": {"href": at}},
            "submitted_at": stamp(review.at),
            "commit_id": review.commit,
            "author_association": self.association(repo, review.author),
        }

    def remark(self, repo: Repo, issue: Issue, remark: Remark) -> Json:
        """Write a comment on a line."""
        at = f"{self.api}/repos/{repo.full}/pulls"
        page = f"{self.root}/{repo.full}/pull/{issue.number}#discussion_r{remark.id}"
        url = f"{at}/comments/{remark.id}"
        pull = f"{at}/{issue.number}"
        value: Json = {
            "id": remark.id,
            "node_id": node("PRRC", remark.id),
            "url": url,
            "html_url": page,
            "pull_request_url": pull,
            "_links": {
                "self": {"href": url},
                "html": {"href": page},
                "pull_request": {"href": pull},
            },
            "pull_request_review_id": remark.review,
            "diff_hunk": "@@",
            "path": remark.path,
            "line": remark.line,
            "original_line": remark.line,
            "side": "RIGHT",
            "commit_id": remark.commit,
            "original_commit_id": remark.commit,
            "user": self.user(remark.author),
            "body": remark.body,
            "created_at": stamp(remark.created),
            "updated_at": stamp(remark.updated),
            "author_association": self.association(repo, remark.author),
            "subject_type": "line" if remark.line is not None else "file",
        }
        if remark.line is None:
            del value["line"], value["original_line"]
        if remark.answers is not None:
            value["in_reply_to_id"] = remark.answers
        return self.complete("pull-request-review-comment", value)

    def commit(self, repo: Repo, commit: CommitText, *, signed: bool = False) -> Json:
        """Write a commit."""
        at = f"{self.api}/repos/{repo.full}"
        url = f"{at}/commits/{commit.sha}"
        return {
            "sha": commit.sha,
            "node_id": node("C", int(commit.sha[:8], 16)),
            "url": url,
            "html_url": f"{self.root}/{repo.full}/commit/{commit.sha}",
            "comments_url": f"{url}/comments",
            "commit": {
                "url": f"{at}/git/commits/{commit.sha}",
                "message": commit.message,
                "author": _signature(commit.author),
                "committer": _signature(commit.committer),
                "comment_count": 0,
                "tree": {"sha": commit.tree, "url": f"{at}/git/trees/{commit.tree}"},
                "verification": {
                    "verified": signed,
                    "reason": "valid" if signed else "unsigned",
                    "signature": None,
                    "payload": None,
                    "verified_at": None,
                },
            },
            "author": self._known(commit.author[1]),
            "committer": self._known(commit.committer[1]),
            "parents": [
                {
                    "sha": parent,
                    "url": f"{at}/commits/{parent}",
                    "html_url": f"{self.root}/{repo.full}/commit/{parent}",
                }
                for parent in commit.parents
            ],
        }

    def _known(self, email: str) -> Json | None:
        for user in self.users.values():
            if user.email == email:
                return self.user(user.login)
        return None

    def file(self, repo: Repo, change: FileChange, commit: str) -> Json:
        """Write a file of a diff."""
        value: Json = {
            "sha": change.sha,
            "filename": change.path,
            "status": change.status,
            "additions": change.additions,
            "deletions": change.deletions,
            "changes": change.additions + change.deletions,
            **self._places(repo, change.path, commit),
        }
        if change.previous is not None:
            value["previous_filename"] = change.previous
        if change.patch is not None:
            value["patch"] = change.patch
        return value

    def _places(self, repo: Repo, path: str, commit: str) -> Json:
        quoted = quote(path)
        return {
            "blob_url": f"{self.root}/{repo.full}/blob/{commit}/{quoted}",
            "raw_url": f"{self.root}/{repo.full}/raw/{commit}/{quoted}",
            "contents_url": f"{self.api}/repos/{repo.full}/contents/{quoted}?ref={commit}",
        }

    def run(self, repo: Repo, run: Run) -> Json:
        """Write a check run."""
        at = f"{self.api}/repos/{repo.full}"
        return {
            "id": run.id,
            "node_id": node("CR", run.id),
            "name": run.name,
            "head_sha": run.sha,
            "external_id": run.external,
            "url": f"{at}/check-runs/{run.id}",
            "html_url": f"{self.root}/{repo.full}/runs/{run.id}",
            "details_url": run.details,
            "status": run.status,
            "conclusion": run.conclusion,
            "started_at": stamp(run.started),
            "completed_at": stamp(run.completed),
            "output": {
                "title": run.title,
                "summary": run.summary,
                "text": run.text,
                "annotations_count": len(run.annotations),
                "annotations_url": f"{at}/check-runs/{run.id}/annotations",
            },
            "check_suite": {"id": run.suite},
            "app": self.app(run.app),
            "pull_requests": [],
        }

    def suite(self, repo: Repo, app: App, sha: str, number: int, login: str) -> Json:
        """Write a check suite: what one app says of one commit."""
        runs = latest(run for run in repo.runs.values() if run.suite == number)
        done = all(run.status == "completed" for run in runs)
        bad = [run.conclusion for run in runs if run.conclusion not in {"success", "neutral"}]
        at = f"{self.api}/repos/{repo.full}/check-suites/{number}"
        return self.complete(
            "check-suite",
            {
                "id": number,
                "node_id": node("CS", number),
                "head_sha": sha,
                "head_branch": None,
                "status": "completed" if runs and done else "queued",
                "conclusion": (bad[0] if bad else "success") if runs and done else None,
                "url": at,
                "before": None,
                "after": sha,
                "pull_requests": [],
                "app": self.app(app),
                "repository": self.repo(repo, login),
                "head_commit": self.simple_commit(repo, sha),
                "latest_check_runs_count": len(runs),
                "check_runs_url": f"{at}/check-runs",
            },
        )

    def simple_commit(self, repo: Repo, sha: str) -> Json:
        """Write a commit in short."""
        commit = repo.bare.commit(sha)
        name, email, at = commit.author
        return {
            "id": sha,
            "tree_id": commit.tree,
            "message": commit.message,
            "timestamp": at,
            "author": {"name": name, "email": email},
            "committer": {"name": commit.committer[0], "email": commit.committer[1]},
        }

    def status(self, repo: Repo, status: Status) -> Json:
        """Write a commit status."""
        return {
            "id": status.id,
            "node_id": node("SC", status.id),
            "url": f"{self.api}/repos/{repo.full}/statuses/{status.sha}",
            "avatar_url": None,
            "state": status.state,
            "description": status.description,
            "target_url": status.target,
            "context": status.context,
            "created_at": stamp(status.at),
            "updated_at": stamp(status.at),
        }

    def workflow(self, repo: Repo, run: Workflow, login: str) -> Json:
        """Write a run of a workflow."""
        at = f"{self.api}/repos/{repo.full}/actions/runs/{run.id}"
        jobs = latest(job for job in repo.runs.values() if job.workflow == run.id)
        done = bool(jobs) and all(job.status == "completed" for job in jobs)
        bad = [job.conclusion for job in jobs if job.conclusion not in {"success", "skipped"}]
        links = ("jobs", "logs", "artifacts", "cancel", "rerun")
        return self.complete(
            "workflow-run",
            {
                "id": run.id,
                "node_id": node("WFR", run.id),
                "name": run.name,
                "display_title": run.name,
                "path": run.path,
                "head_sha": run.sha,
                "head_branch": run.branch,
                "event": run.event,
                "actor": self.user(run.actor),
                "triggering_actor": self.user(run.actor),
                "run_number": run.id,
                "run_attempt": run.attempt,
                "check_suite_id": run.suite,
                "status": "completed" if done else "in_progress",
                "conclusion": (bad[0] if bad else "success") if done else None,
                "workflow_id": 1,
                "url": at,
                "html_url": f"{self.root}/{repo.full}/actions/runs/{run.id}",
                "pull_requests": [],
                "created_at": stamp(run.created),
                "updated_at": stamp(run.created),
                **{f"{name}_url": f"{at}/{name}" for name in links},
                "check_suite_url": f"{self.api}/repos/{repo.full}/check-suites/{run.suite}",
                "workflow_url": f"{self.api}/repos/{repo.full}/actions/workflows/1",
                "head_commit": self.simple_commit(repo, run.sha),
                "repository": self.repo(repo, login),
                "head_repository": self.repo(repo, login),
            },
        )

    def job(self, repo: Repo, run: Run) -> Json:
        """Write a job of a workflow: a check run, seen from the other side."""
        at = f"{self.api}/repos/{repo.full}"
        workflow = repo.workflows[run.workflow or 0]
        return self.complete(
            "job",
            {
                "id": run.id,
                "node_id": node("CR", run.id),
                "run_id": workflow.id,
                "run_url": f"{at}/actions/runs/{workflow.id}",
                "run_attempt": workflow.attempt,
                "head_sha": run.sha,
                "head_branch": workflow.branch,
                "workflow_name": workflow.name,
                "name": run.name,
                "url": f"{at}/actions/jobs/{run.id}",
                "html_url": f"{self.root}/{repo.full}/actions/runs/{workflow.id}/job/{run.id}",
                "check_run_url": f"{at}/check-runs/{run.id}",
                "status": run.status,
                "conclusion": run.conclusion,
                "created_at": stamp(workflow.created),
                "started_at": stamp(run.started or workflow.created),
                "completed_at": stamp(run.completed),
                "labels": [],
                "steps": [],
                "runner_id": None,
                "runner_name": None,
                "runner_group_id": None,
                "runner_group_name": None,
            },
        )

    def ref(self, repo: Repo, name: str, sha: str) -> Json:
        """Write a ref."""
        at = f"{self.api}/repos/{repo.full}/git"
        return {
            "ref": name,
            "node_id": node("REF", int(sha[:8], 16)),
            "url": f"{at}/{name}",
            "object": {"type": "commit", "sha": sha, "url": f"{at}/commits/{sha}"},
        }


def node(kind: str, number: int) -> str:
    """Give the opaque name that GraphQL uses."""
    return f"{kind}_{number}"


def _page(user: User) -> str:
    return f"apps/{user.login.removesuffix('[bot]')}" if user.kind == "Bot" else user.login


def _signature(who: tuple[str, str, str]) -> Json:
    return {"name": who[0], "email": who[1], "date": who[2]}
