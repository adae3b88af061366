"""What happens at the hub and what follows from it, whoever asked for it and however."""

import fnmatch
import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.forge.rates import Meter
from tests.forge.shapes import Json, Shapes
from tests.forge.world import (
    App,
    Clock,
    Comment,
    Dispatch,
    Happening,
    Issue,
    Label,
    Pull,
    Remark,
    Repo,
    Review,
    Run,
    Status,
    Token,
    User,
    Workflow,
    mentioned,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pushed:
    """A ref that moved; what moved it may have been a push, a merge or a call."""

    repo: str
    ref: str
    before: str
    after: str
    login: str
    event: str = "push"


Work = Callable[[], None]


class Life:
    """All that the hub knows, and every way in which it changes."""

    def __init__(self, root: str, place: Path, clock: Clock) -> None:
        self.place = place
        self.clock = clock
        self.repos: dict[str, Repo] = {}
        self.users: dict[str, User] = {}
        self.tokens: dict[str, Token] = {}
        self.apps: dict[int, App] = {}
        self.meter = Meter()
        self.shapes = Shapes(root=root, users=self.users)
        self.listeners: list[tuple[str, Callable[[Pushed], Work | None]]] = []
        self.work: list[Work] = []
        self.again: dict[int, Callable[[list[str]], Work]] = {}
        self._ids = itertools.count(1001)

    def fresh(self) -> int:
        """Give an id that nothing has."""
        return next(self._ids)

    def repo(self, full: str) -> Repo | None:
        """Give a repository; GitHub does not care about capitals."""
        return self.repos.get(full.lower())

    def user(self, login: str) -> User:
        """Give a person, introduced when nobody knows them."""
        if login not in self.users:
            kind = "Bot" if login.endswith("[bot]") else "User"
            self.users[login] = User(login=login, id=self.fresh(), kind=kind)
        return self.users[login]

    def app(self, slug: str) -> App:
        """Give an app by its name."""
        for app in self.apps.values():
            if app.slug == slug:
                return app
        made = App(slug=slug, id=self.fresh())
        made.installation = self.fresh()
        self.apps[made.id] = made
        self.user(made.login)
        return made

    def happen(self, issue: Issue, event: str, actor: str, **more: Any) -> None:
        """Add to a timeline; the issue counts as updated."""
        at = self.clock.now()
        issue.timeline.append(
            Happening(id=self.fresh(), event=event, actor=actor, at=at, more=more)
        )
        issue.updated = at

    def touch(self, issue: Issue) -> None:
        """Move the time of an issue's last change."""
        issue.updated = self.clock.now()

    def open_issue(
        self,
        repo: Repo,
        login: str,
        title: str,
        body: str | None,
        *,
        app: App | None = None,
        pull: Pull | None = None,
    ) -> Issue:
        """Open an issue, or a pull request."""
        at = self.clock.now()
        issue = Issue(
            id=self.fresh(),
            number=repo.number(),
            title=title,
            body=body,
            author=login,
            created=at,
            updated=at,
            pull=pull,
            app=app,
        )
        repo.issues[issue.number] = issue
        self.refer(repo, issue, f"{title}\n{body or ''}", login)
        return issue

    def refer(self, repo: Repo, source: Issue, text: str, login: str) -> None:
        """Note on every issue that a text speaks of where it was spoken of."""
        for number in mentioned(text, repo.full):
            target = repo.issues.get(number)
            if target is None or target is source:
                continue
            known = (e.more["source"] for e in target.timeline if e.event == "cross-referenced")
            if not any(seen is source for seen in known):
                self.happen(target, "cross-referenced", login, source=source, repo=repo)

    def edit(
        self, repo: Repo, issue: Issue, login: str, *, title: str | None, body: str | None
    ) -> None:
        """Change title or body; None leaves it."""
        if title is not None and title != issue.title:
            self.happen(issue, "renamed", login, before=issue.title, after=title)
            issue.title = title
        if body is not None and body != issue.body:
            issue.body = body
            self.touch(issue)
            issue.edits.append((issue.updated, login))
            self.refer(repo, issue, body, login)

    def close(
        self, issue: Issue, login: str, reason: str | None = None, commit: str | None = None
    ) -> None:
        """Close an issue or a pull request, if it is open."""
        if issue.state == "open":
            issue.state = "closed"
            issue.reason = reason if issue.pull is None else None
            issue.closed_by = login
            self.happen(issue, "closed", login, reason=issue.reason, commit=commit)
            issue.closed = issue.updated

    def reopen(self, issue: Issue, login: str) -> None:
        """Open a closed issue again."""
        if issue.state == "closed":
            issue.state, issue.closed, issue.closed_by = "open", None, None
            issue.reason = "reopened" if issue.pull is None else None
            self.happen(issue, "reopened", login)

    def comment(
        self, repo: Repo, issue: Issue, login: str, body: str, app: App | None = None
    ) -> Comment:
        """Say something on an issue."""
        at = self.clock.now()
        made = Comment(
            id=self.fresh(),
            number=issue.number,
            author=login,
            body=body,
            created=at,
            updated=at,
            app=app,
        )
        repo.comments[made.id] = made
        self.happen(issue, "commented", login, comment=made.id)
        self.refer(repo, issue, body, login)
        return made

    def edit_comment(self, repo: Repo, comment: Comment, login: str, body: str) -> None:
        """Change what was said."""
        comment.body = body
        comment.updated = self.clock.now()
        issue = repo.issues[comment.number]
        issue.updated = comment.updated
        self.refer(repo, issue, body, login)

    def delete_comment(self, repo: Repo, comment: Comment) -> None:
        """Unsay it."""
        del repo.comments[comment.id]
        issue = repo.issues[comment.number]
        issue.timeline = [e for e in issue.timeline if e.more.get("comment") != comment.id]
        self.touch(issue)

    def make_label(
        self, repo: Repo, name: str, color: str = "ededed", description: str | None = None
    ) -> Label:
        """Give the label of a name, made when it is missing."""
        for label in repo.labels.values():
            if label.name.lower() == name.lower():
                return label
        made = Label(id=self.fresh(), name=name, color=color, description=description)
        repo.labels[name] = made
        return made

    def relabel(self, repo: Repo, issue: Issue, login: str, names: Iterable[str]) -> None:
        """Let an issue have exactly these labels."""
        wanted = list(dict.fromkeys(self.make_label(repo, name).name for name in names))
        for name in wanted:
            if name not in issue.labels:
                self.happen(issue, "labeled", login, label=name)
        for name in issue.labels:
            if name not in wanted:
                self.happen(issue, "unlabeled", login, label=name)
        issue.labels = wanted

    def review(
        self, issue: Issue, pull: Pull, login: str, state: str, body: str, commit: str | None = None
    ) -> Review:
        """Review a pull request."""
        made = Review(
            id=self.fresh(),
            author=login,
            state=state,
            body=body,
            commit=commit or pull.head,
            at=self.clock.now(),
        )
        pull.reviews.append(made)
        if login in pull.reviewers:
            pull.reviewers.remove(login)
        self.touch(issue)
        return made

    def remark(
        self,
        issue: Issue,
        pull: Pull,
        login: str,
        body: str,
        *,
        path: str = "",
        line: int | None = None,
        answers: Remark | None = None,
        review: Review | None = None,
    ) -> Remark:
        """Say something on a line, or answer what was said there."""
        review = review or self.review(issue, pull, login, "COMMENTED", "")
        number = self.fresh()
        made = Remark(
            id=number,
            thread=number if answers is None else answers.thread,
            review=review.id,
            author=login,
            body=body,
            path=path if answers is None else answers.path,
            line=line if answers is None else answers.line,
            commit=pull.head,
            created=review.at,
            updated=review.at,
            answers=None if answers is None else answers.answers or answers.id,
        )
        pull.remarks.append(made)
        self.touch(issue)
        return made

    def suite(self, repo: Repo, app: App, sha: str) -> int:
        """Give the check suite of an app for a commit."""
        key = (sha, app.id)
        if key not in repo.suites:
            repo.suites[key] = self.fresh()
        return repo.suites[key]

    def start_run(
        self, repo: Repo, app: App, name: str, sha: str, *, workflow: int | None = None
    ) -> Run:
        """Start a check run, waiting for its turn."""
        made = Run(
            id=self.fresh(),
            suite=self.suite(repo, app, sha),
            name=name,
            sha=sha,
            app=app,
            status="queued",
            started=self.clock.now(),
            workflow=workflow,
        )
        made.details = f"{self.shapes.root}/{repo.full}/runs/{made.id}"
        if workflow is not None:
            made.details = f"{self.shapes.root}/{repo.full}/actions/runs/{workflow}/job/{made.id}"
        repo.runs[made.id] = made
        return made

    def start_workflow(
        self, repo: Repo, name: str, sha: str, branch: str, event: str, actor: str
    ) -> Workflow:
        """Start a workflow on a commit."""
        made = Workflow(
            id=self.fresh(),
            name=name,
            path=f".github/workflows/{name}.yml",
            sha=sha,
            branch=branch,
            event=event,
            actor=actor,
            suite=self.suite(repo, self.app("github-actions"), sha),
            created=self.clock.now(),
        )
        repo.workflows[made.id] = made
        return made

    def dispatched(self, repo: Repo, dispatch: Dispatch) -> None:
        """Let listeners hear of a workflow that a call started; GitHub starts it for any token."""
        ref = f"refs/heads/{dispatch.ref.removeprefix('refs/heads/')}"
        tip = repo.bare.ref(ref)
        if tip is not None:
            told = Pushed(
                repo=repo.full,
                ref=ref,
                before=tip,
                after=tip,
                login=dispatch.login,
                event="workflow_dispatch",
            )
            self.tell(told)

    def rerun(self, repo: Repo, flow: Workflow, names: list[str]) -> None:
        """Run jobs of a workflow once more; without workers of its own somebody has to end them."""
        flow.attempt += 1
        begin = self.again.get(flow.id)
        if begin is not None:
            self.work.append(begin(names))
            return
        for name in names:
            self.start_run(repo, self.app("github-actions"), name, flow.sha, workflow=flow.id)

    def finish_run(self, run: Run, conclusion: str) -> None:
        """End a check run."""
        run.status, run.conclusion, run.completed = "completed", conclusion, self.clock.now()

    def set_status(self, repo: Repo, login: str, sha: str, body: Json) -> Status:
        """Set a commit status; the last one of a context counts."""
        made = Status(
            id=self.fresh(),
            sha=sha,
            context=body.get("context", "default"),
            state=body["state"],
            description=body.get("description"),
            target=body.get("target_url"),
            author=login,
            at=self.clock.now(),
        )
        repo.statuses.append(made)
        return made

    def tell(self, pushed: Pushed) -> None:
        """Let whoever listens begin; what they have to do waits for its turn."""
        for pattern, begin in self.listeners:
            if fnmatch.fnmatchcase(pushed.ref, pattern):
                work = begin(pushed)
                if work is not None:
                    self.work.append(work)
