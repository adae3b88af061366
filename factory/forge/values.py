"""What a forge tells, as values: issues, pull requests, checks, rules, people.

Every text in them was written by whoever could write it, and is data: nothing here was cleaned.
"""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Repo:
    """Which repository on which host."""

    owner: str
    name: str
    host: str

    @property
    def full(self) -> str:
        """Give the name with its owner's."""
        return f"{self.owner}/{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """An account; ``kind`` is `User`, `Bot`, `Organization` or what the forge says."""

    login: str
    kind: str
    id: int

    @property
    def bot(self) -> bool:
        """Say whether a program writes under this name."""
        return self.kind == "Bot" or self.login.endswith("[bot]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """A repository; ``full`` is its name today, also when an older one was asked for."""

    full: str
    default: str
    private: bool
    fork: bool
    has_issues: bool
    url: str
    node: str
    auto_merge: bool
    pushes: bool
    """Whether this token may push to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """How many requests a token may still make until ``reset``."""

    left: int
    limit: int
    reset: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    """An issue, or what a pull request has of one."""

    number: int
    title: str
    body: str
    state: str
    author: Person
    labels: tuple[str, ...]
    created: datetime
    updated: datetime
    url: str
    comments: int
    locked: bool
    is_pull: bool
    association: str
    merged: bool = False
    draft: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page of issues; ``etag`` is its name, and None of ``issues`` says that it has it still."""

    issues: tuple[Issue, ...] | None
    etag: str
    following: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """A change of an issue's text."""

    by: Person
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Comment:
    """What somebody said on an issue, a pull request or a line of its change."""

    id: int
    author: Person
    body: str
    created: datetime
    updated: datetime
    url: str
    association: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pull:
    """A pull request; ``head_repo`` is None when the fork it came from is gone.

    ``mergeable`` is None while the forge has not computed it. ``node`` is its name in GraphQL.
    """

    number: int
    title: str
    body: str
    state: str
    draft: bool
    merged: bool
    author: Person
    head_ref: str
    head_sha: str
    head_repo: str | None
    base_ref: str
    base_sha: str
    mergeable: bool | None
    mergeable_state: str
    labels: tuple[str, ...]
    created: datetime
    updated: datetime
    url: str
    node: str
    maintainer_can_modify: bool
    auto_merge: bool
    merge_commit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedFile:
    """A file of a pull request; ``previous`` is its old name after a rename, else empty."""

    path: str
    previous: str
    status: str
    additions: int
    deletions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """A commit as the forge lists it; ``author`` is the account, when it knows one."""

    sha: str
    message: str
    author: Person | None
    parents: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """A review: approved, changes requested, or only said; ``commit`` is what was looked at."""

    id: int
    author: Person
    state: str
    body: str
    commit: str
    at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Thread:
    """A talk about a line; ``line`` is None when the change moved on or it means the file."""

    id: str
    path: str
    line: int | None
    resolved: bool
    outdated: bool
    comments: tuple[Comment, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A check run; ``app`` is the slug of the App that reported it."""

    id: int
    name: str
    status: str
    conclusion: str | None
    url: str
    app: str
    external_id: str
    started: datetime | None
    completed: datetime | None
    title: str
    summary: str

    @property
    def done(self) -> bool:
        """Say whether it has a conclusion."""
        return self.status == "completed" and self.conclusion is not None

    @property
    def green(self) -> bool:
        """Say whether a rule that requires it is met."""
        return self.done and self.conclusion in {"success", "neutral", "skipped"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """A commit status, the older kind of check; the newest of each context."""

    context: str
    state: str
    description: str
    url: str
    updated: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotation:
    """What a check says about a line."""

    path: str
    line: int
    level: str
    title: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What a branch demands; ``whole`` is False when this token could not read all of it."""

    required_checks: tuple[str, ...] = ()
    signatures: bool = False
    linear: bool = False
    reviews: int = 0
    code_owners: bool = False
    queue: bool = False
    pushes_restricted: bool = False
    pull_only: bool = False
    strict: bool = False
    paths: tuple[str, ...] = ()
    """Globs of paths that no push may touch."""
    whole: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """An item and what it has to do with another.

    ``kind`` is `closes` or `mentions`, and around an item also `connected` or `duplicate`.
    """

    kind: str
    number: int
    repo: str
    is_pull: bool
    state: str
    merged: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Happened:
    """An entry of a timeline; ``source`` is the item that refers to this one."""

    kind: str
    actor: Person | None
    at: datetime | None
    label: str
    commit: str
    source: Reference | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """The first 100 files that a pull request changes, as of ``head_sha``.

    ``head_repo`` is empty when the fork it came from is gone.
    """

    number: int
    updated: datetime
    head_sha: str
    head_ref: str
    head_repo: str
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What surrounds an issue or a pull request: who names it, what was said, what it changes."""

    number: int
    updated: datetime
    changes: Changes | None
    references: tuple[Reference, ...]
    comments: tuple[Comment, ...]
