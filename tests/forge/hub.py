"""The hub: a GitHub on 127.0.0.1 for the time of a `with`, as a test sees it."""

import secrets
import shutil
import tempfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from tests.forge import git_http
from tests.forge.bare import Bare, copied, grown
from tests.forge.ci import Ci, Line, Verdict
from tests.forge.desk import API, Desk, Logged
from tests.forge.faults import Fault, Kind
from tests.forge.life import Pushed
from tests.forge.person import Person
from tests.forge.world import App, Clock, Comment, Dispatch, Issue, Repo, Rules, Token

_BEGINS: Final = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Objects:
    """How much there is of what."""

    issues: int
    pulls: int
    comments: int
    labels: int
    branches: int
    checks: int
    statuses: int
    reviews: int
    remarks: int


class Hub:
    """A GitHub with repositories, people, tokens, checks and faults, all of the test's making.

    Leaving it raises when a request or an answer was not one of GitHub's, when an address was
    asked for that nothing serves, or when a fault that was planned met no request.
    """

    def __init__(self, place: Path | None = None, *, begins: datetime = _BEGINS) -> None:
        self._own = None if place is not None else Path(tempfile.mkdtemp(prefix="factory-hub-"))
        self.place = place or self._own or Path()
        self.clock = Clock(begins)
        self._desk = Desk(self.place, self.clock)
        self.life = self._desk.life
        self._line = Line(self._desk)
        self._levels: dict[str, str] = {}

    def __enter__(self) -> Self:
        self._desk.__enter__()
        self._line.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._desk.closing.set()
        self._line.stop()
        try:
            self._desk.__exit__(kind, error, trace)
        finally:
            if self._own is not None:
                shutil.rmtree(self._own, ignore_errors=True)

    @property
    def url(self) -> str:
        """Give where people would look at it."""
        return self._desk.url

    @property
    def log(self) -> list[Logged]:
        """Give every request so far."""
        return list(self._desk.log)

    def writes(self, method: str = "*") -> list[Logged]:
        """Give the requests that asked to change something, whether they did or not."""
        return [one for one in self.log if one.writes and method in {"*", one.method}]

    def objects(self, full: str) -> Objects:
        """Count what a repository has."""
        repo = self.repo(full)
        pulls = list(repo.pulls())
        return Objects(
            issues=len(repo.issues) - len(pulls),
            pulls=len(pulls),
            comments=len(repo.comments),
            labels=sum(len(issue.labels) for issue in repo.issues.values()),
            branches=len(repo.bare.refs("refs/heads")),
            checks=len(repo.runs),
            statuses=len(repo.statuses),
            reviews=sum(len(pull.reviews) for _, pull in pulls),
            remarks=sum(len(pull.remarks) for _, pull in pulls),
        )

    @property
    def api_url(self) -> str:
        """Give the address of the API, as `GITHUB_API_URL` and PyGithub's base_url have it."""
        return f"{self.url}{API}"

    def git_url(self, full: str) -> str:
        """Give the address to clone a repository from; it bears no token."""
        return f"{self.url}/{full}.git"

    def repository(
        self,
        full: str,
        seed: Path | None = None,
        *,
        private: bool = False,
        files: Mapping[str, str] | None = None,
    ) -> Repo:
        """Make a repository: a bare copy of ``seed``, or one commit of ``files`` on main."""
        with self._desk.state:
            number = self.life.fresh()
            place = self.place / f"{number}.git"
            if seed is not None:
                return self._add(full, number, copied(seed, place), private=private)
            held = files or {"README.md": "A toy.\n"}
            return self._add(full, number, grown(held, place), private=private)

    def fork(self, full: str, new: str) -> Repo:
        """Make somebody's own copy of a repository."""
        with self._desk.state:
            repo = self.repo(full)
            number = self.life.fresh()
            bare = copied(repo.bare.path, self.place / f"{number}.git")
            made = self._add(new, number, bare, private=repo.private)
            made.parent = repo.full
            made.has_issues = False
            return made

    def _add(self, full: str, number: int, bare: Bare, *, private: bool) -> Repo:
        owner, _, name = full.partition("/")
        head = bare.git("symbolic-ref", "--short", "HEAD").text
        self.life.user(owner)
        repo = Repo(
            id=number,
            owner=owner,
            name=name,
            bare=bare,
            default=head,
            created=self.clock.now(),
            private=private,
            people=dict(self._levels),
        )
        git_http.guard(bare.path, [])
        self.life.repos[full.lower()] = repo
        return repo

    def repo(self, full: str) -> Repo:
        """Give a repository's live record; read it as you like, change it through the hub."""
        found = self.life.repo(full)
        if found is None:
            msg = f"the hub has no repository {full}; it has {sorted(self.life.repos)}"
            raise LookupError(msg)
        return found

    def issue(self, full: str, number: int) -> Issue:
        """Give the record of an issue or a pull request."""
        return self.repo(full).issues[number]

    def comments(self, full: str, number: int) -> list[Comment]:
        """Give what was said on an issue or on a pull request as a whole."""
        return [c for c in self.repo(full).comments.values() if c.number == number]

    def pulls(self, full: str) -> list[Issue]:
        """Give the records of the pull requests, oldest first."""
        return [issue for issue, _ in self.repo(full).pulls()]

    def dispatched(self, full: str) -> list[Dispatch]:
        """Give the workflows that were started by a call."""
        return list(self.repo(full).dispatches)

    def user(self, login: str, permission: str = "read", repository: str | None = None) -> None:
        """Introduce somebody, and say what they may do: none, read, triage, write, admin."""
        with self._desk.state:
            self.life.user(login)
            if repository is None:
                self._levels[login] = permission
            for repo in self.life.repos.values():
                if repository in {None, repo.full}:
                    repo.people[login] = permission

    def token(
        self,
        login: str,
        permission: str = "write",
        *,
        repository: str | None = None,
        areas: Mapping[str, str] | None = None,
    ) -> str:
        """Give a token of somebody: of a person, or of an app where the login ends in ``[bot]``.

        ``areas`` narrows it as a workflow's `permissions` do: ``{"contents": "read"}``.
        """
        self.user(login, permission, repository)
        with self._desk.state:
            app = None
            if login.endswith("[bot]"):
                app = self.life.app(login.removesuffix("[bot]"))
            word = f"{'ghp' if app is None else 'ghs'}_{secrets.token_hex(18)}"
            self.life.tokens[word] = Token(login=login, app=app, areas=areas)
            return word

    def app(self, slug: str, public_key: str, permissions: Mapping[str, str]) -> App:
        """Install an app; with its private key it asks for tokens of its own."""
        with self._desk.state:
            app = self.life.app(slug)
            app.public_key, app.permissions = public_key, permissions
            return app

    def protect(self, full: str, pattern: str = "main", **rules: Any) -> None:
        """Set the rules of branches; see `Rules` for what they are."""
        with self._desk.state:
            repo = self.repo(full)
            repo.rules = [old for old in repo.rules if old.pattern != pattern]
            repo.rules.append(Rules(pattern=pattern, **rules))
            git_http.guard(repo.bare.path, repo.rules)

    def act(self, login: str) -> Person:
        """Give somebody who can act at the hub's own keyboard."""
        return Person(login=login, life=self.life, lock=self._desk.state, done=self._desk.settle)

    def on_push(self, pattern: str, does: Callable[[Pushed], None]) -> None:
        """Let something happen after a ref that matches has moved, on a thread of its own."""
        self.life.listeners.append((pattern, lambda pushed: lambda: does(pushed)))

    def ci(
        self,
        checks: Mapping[str, Callable[[Path], Verdict | str]],
        *,
        pattern: str = "refs/heads/*",
        hold: threading.Event | None = None,
        workflow: str = "ci",
    ) -> None:
        """Let each push start a workflow whose jobs judge the pushed files.

        A check gets a folder with the files and gives a conclusion or a `Verdict`. With ``hold``
        the jobs wait for that event first.
        """
        ci = Ci(desk=self._desk, checks=checks, hold=hold, workflow=workflow)
        self.life.listeners.append((pattern, ci.begin))

    def idle(self, seconds: float = 30) -> None:
        """Wait until nothing that pushes started is still at work."""
        if not self._line.idle(seconds):
            msg = f"the hub is still at work after {seconds} s"
            raise TimeoutError(msg)

    def limit(self, resource: str, limit: int) -> None:
        """Set a rate limit: core, search or graphql."""
        self.life.meter.limits[resource] = limit

    def fault(
        self,
        method: str,
        pattern: str,
        kind: Kind,
        times: int = 1,
        *,
        skip: int = 0,
        status: int | None = None,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        seconds: float = 1,
    ) -> None:
        """Let ``times`` requests fail after ``skip`` that do not.

        ``pattern`` is a glob over the operation's template or the path; git's are
        ``*/git-receive-pack``. ``seconds`` is how long a delay lasts, or how far off the end of a
        limit is; ``status`` is 502 when it is not said, 403 for a secondary limit.
        """
        self._desk.planned.add(
            Fault(
                method=method,
                pattern=pattern,
                kind=kind,
                times=times,
                skip=skip,
                status=status or (403 if kind == "secondary" else 502),
                body=body,
                headers=headers or {},
                seconds=seconds,
            )
        )
