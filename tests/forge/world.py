"""What the hub knows: people, repositories, issues, pull requests, checks; plain records."""

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any, Final

from tests.forge.bare import Bare

LEVELS: Final = ("none", "read", "triage", "write", "maintain", "admin")
ACTIONS_BOT: Final = "github-actions[bot]"
"""Whom a workflow's own token speaks for; what it pushes or opens starts no workflow."""
_CLOSING: Final = re.compile(
    r"\b(?:close[sd]?|fix(?:e[sd])?|resolve[sd]?):?[ \t]+(?:([\w.-]+/[\w.-]+))?#(\d+)\b",
    re.IGNORECASE,
)
_MENTIONED: Final = re.compile(r"(?<![\w&/])(?:([\w.-]+/[\w.-]+))?#(\d+)\b")
_NOT_PROSE: Final = re.compile(r"```.*?(?:```|\Z)|`[^`\n]*`|<!--.*?(?:-->|\Z)", re.DOTALL)


class Clock:
    """A clock of the hub's own: every reading is a second later than the one before."""

    def __init__(self, begins: datetime) -> None:
        self._now = begins

    def now(self) -> datetime:
        """Give the time, and let a second pass."""
        self._now += timedelta(seconds=1)
        return self._now

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._now += timedelta(seconds=seconds)


@dataclass(slots=True, kw_only=True)
class User:
    """A person, or an app's bot."""

    login: str
    id: int
    kind: str = "User"
    name: str | None = None

    @property
    def email(self) -> str:
        """Give the address that hides the real one."""
        return f"{self.id}+{self.login}@users.noreply.github.com"


@dataclass(slots=True, kw_only=True)
class App:
    """A GitHub App; whoever owns the public key's other half may ask for tokens."""

    slug: str
    id: int
    public_key: str = ""
    installation: int = 0
    permissions: Mapping[str, str] = field(default_factory=dict)

    @property
    def login(self) -> str:
        """Give the login of its bot."""
        return f"{self.slug}[bot]"


@dataclass(slots=True, kw_only=True)
class Token:
    """Who speaks with it, and what it may do; ``areas`` of None means all that the person may."""

    login: str
    areas: Mapping[str, str] | None = None
    app: App | None = None
    repositories: frozenset[str] | None = None
    expires: float | None = None
    used: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Label:
    """A label of a repository."""

    id: int
    name: str
    color: str = "ededed"
    description: str | None = None


@dataclass(slots=True, kw_only=True)
class Comment:
    """A comment on an issue or on a pull request as a whole."""

    id: int
    number: int
    author: str
    body: str
    created: datetime
    updated: datetime
    app: App | None = None


@dataclass(slots=True, kw_only=True)
class Happening:
    """One entry of a timeline."""

    id: int
    event: str
    actor: str
    at: datetime
    more: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Review:
    """A review of a pull request."""

    id: int
    author: str
    state: str
    body: str
    commit: str
    at: datetime


@dataclass(slots=True, kw_only=True)
class Remark:
    """A comment on a line of a pull request."""

    id: int
    thread: int
    review: int
    author: str
    body: str
    path: str
    line: int | None
    commit: str
    created: datetime
    updated: datetime
    answers: int | None = None


@dataclass(slots=True, kw_only=True)
class Pull:
    """What a pull request is beyond an issue."""

    head_repo: str
    head_ref: str
    base_ref: str
    head: str
    base: str
    draft: bool = False
    maintainer_can_modify: bool = False
    merged: datetime | None = None
    merged_by: str | None = None
    merge_commit: str | None = None
    auto_merge: Mapping[str, Any] | None = None
    queued: str | None = None
    reviewers: list[str] = field(default_factory=list)
    reviews: list[Review] = field(default_factory=list)
    remarks: list[Remark] = field(default_factory=list)
    resolved: dict[int, str] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Issue:
    """An issue; a pull request is one with `pull`."""

    id: int
    number: int
    title: str
    body: str | None
    author: str
    created: datetime
    updated: datetime
    state: str = "open"
    reason: str | None = None
    closed: datetime | None = None
    closed_by: str | None = None
    locked: bool = False
    labels: list[str] = field(default_factory=list)
    assignees: list[str] = field(default_factory=list)
    timeline: list[Happening] = field(default_factory=list)
    pull: Pull | None = None
    app: App | None = None
    edits: list[tuple[datetime, str]] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Run:
    """A check run; of a workflow's job it bears the job's number."""

    id: int
    suite: int
    name: str
    sha: str
    app: App
    status: str
    conclusion: str | None = None
    external: str = ""
    details: str | None = None
    started: datetime | None = None
    completed: datetime | None = None
    title: str | None = None
    summary: str | None = None
    text: str | None = None
    annotations: list[Mapping[str, Any]] = field(default_factory=list)
    log: str | None = None
    workflow: int | None = None


@dataclass(slots=True, kw_only=True)
class Workflow:
    """One run of a workflow on a commit."""

    id: int
    name: str
    path: str
    sha: str
    branch: str
    event: str
    actor: str
    suite: int
    created: datetime
    attempt: int = 1


@dataclass(slots=True, kw_only=True)
class Status:
    """A commit status, the older sister of a check run."""

    id: int
    sha: str
    context: str
    state: str
    description: str | None
    target: str | None
    author: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What holds for the branches that match ``pattern``."""

    pattern: str
    classic: bool = False
    checks: tuple[str, ...] = ()
    strict: bool = False
    signatures: bool = False
    linear: bool = False
    pull_only: bool = False
    reviews: int = 0
    code_owners: bool = False
    queue: bool = False
    paths: tuple[str, ...] = ()
    pushers: tuple[str, ...] | None = None
    forced: bool = False
    deletions: bool = False

    def cover(self, branch: str) -> bool:
        """Say whether they hold for a branch."""
        return fnmatchcase(branch, self.pattern)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispatch:
    """A workflow that was started by hand or by a program."""

    workflow: str
    ref: str
    inputs: Mapping[str, str]
    login: str


@dataclass(slots=True, kw_only=True)
class Repo:
    """A repository, with a real bare one behind it."""

    id: int
    owner: str
    name: str
    bare: Bare
    default: str
    created: datetime
    private: bool = False
    parent: str | None = None
    has_issues: bool = True
    methods: tuple[str, ...] = ("merge", "squash", "rebase")
    auto_merge: bool = True
    actions_may_open: bool = True
    people: dict[str, str] = field(default_factory=dict)
    labels: dict[str, Label] = field(default_factory=dict)
    issues: dict[int, Issue] = field(default_factory=dict)
    comments: dict[int, Comment] = field(default_factory=dict)
    runs: dict[int, Run] = field(default_factory=dict)
    suites: dict[tuple[str, int], int] = field(default_factory=dict)
    statuses: list[Status] = field(default_factory=list)
    workflows: dict[int, Workflow] = field(default_factory=dict)
    dispatches: list[Dispatch] = field(default_factory=list)
    workflow_files: set[str] = field(default_factory=set)
    rules: list[Rules] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    @property
    def full(self) -> str:
        """Give owner and name as one."""
        return f"{self.owner}/{self.name}"

    def number(self) -> int:
        """Give the next number; issues and pull requests share them."""
        return next(self._numbers)

    def permission(self, login: str) -> str:
        """Say what a person may do here."""
        if login == self.owner:
            return "admin"
        return self.people.get(login, "none" if self.private else "read")

    def may(self, login: str, level: str) -> bool:
        """Say whether a person may do at least so much."""
        return LEVELS.index(self.permission(login)) >= LEVELS.index(level)

    def rules_of(self, branch: str) -> list[Rules]:
        """Give the rules that hold for a branch."""
        return [rules for rules in self.rules if rules.cover(branch)]

    def pulls(self) -> Iterator[tuple[Issue, Pull]]:
        """Give every pull request with the issue it is."""
        for issue in self.issues.values():
            if issue.pull is not None:
                yield issue, issue.pull


def latest(runs: Iterable[Run]) -> list[Run]:
    """Give of each check the run that counts: the one that was started last."""
    return list({(run.suite, run.name): run for run in runs}.values())


def closed_by(text: str | None, repo: str) -> list[int]:
    """Give the numbers of ``repo`` that a text closes by keyword, each once."""
    return _numbers(_CLOSING, text, repo)


def mentioned(text: str | None, repo: str) -> list[int]:
    """Give the numbers of ``repo`` that a text speaks of outside code, each once."""
    return _numbers(_MENTIONED, text, repo)


def _numbers(pattern: re.Pattern[str], text: str | None, repo: str) -> list[int]:
    prose = _NOT_PROSE.sub(" ", text or "")
    found = (
        int(match[2])
        for match in pattern.finditer(prose)
        if match[1] is None or match[1].lower() == repo.lower()
    )
    return list(dict.fromkeys(found))


def utc(text: str) -> datetime:
    """Read a time as GitHub writes it."""
    return datetime.fromisoformat(text).astimezone(UTC)
