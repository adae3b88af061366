"""What a route is asked and what it may answer."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.forge.life import Life
from tests.forge.refusal import RefusedError
from tests.forge.shapes import Json, Shapes
from tests.forge.world import Issue, Pull, Repo, Token, User


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One value, or a text that is not JSON."""

    status: int = 200
    value: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    text: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Many values, of which a page is shown; ``key`` names the list where it is not the whole."""

    items: Sequence[Any]
    show: Callable[[Any], Any]
    key: str | None = None
    more: Json = field(default_factory=dict)


Answer = Reply | Listing


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One request to a route."""

    life: Life
    params: Mapping[str, str]
    query: Mapping[str, str]
    body: Any
    token: Token | None
    accept: str = ""

    @property
    def login(self) -> str:
        """Give who asks; nobody is nobody."""
        return "" if self.token is None else self.token.login

    @property
    def shapes(self) -> Shapes:
        """Give what writes records."""
        return self.life.shapes

    @property
    def user(self) -> User:
        """Give the person who asks."""
        return self.life.shapes.users[self.login]

    @property
    def repo(self) -> Repo:
        """Give the repository that the address names, to whoever may see it."""
        full = f"{self.params['owner']}/{self.params['repo']}"
        found = self.life.repo(full)
        if found is None or not found.may(self.login, "read"):
            raise RefusedError(404, "Not Found")
        only = None if self.token is None else self.token.repositories
        if only is not None and found.full not in only:
            raise RefusedError(404, "Not Found")
        return found

    @property
    def issue(self) -> Issue:
        """Give the issue or pull request that the address names as an issue."""
        repo = self.repo
        found = repo.issues.get(int(self.params["issue_number"]))
        if found is None:
            raise RefusedError(404, "Not Found")
        if not repo.has_issues and found.pull is None:
            raise RefusedError(410, "Issues are disabled for this repo")
        return found

    @property
    def pull(self) -> tuple[Issue, Pull]:
        """Give the pull request that the address names."""
        found = self.repo.issues.get(int(self.params["pull_number"]))
        if found is None or found.pull is None:
            raise RefusedError(404, "Not Found")
        return found, found.pull

    def must(self, level: str) -> None:
        """Refuse whoever may not do so much."""
        if not self.repo.may(self.login, level):
            words = {"admin": "Must have admin rights to Repository."}
            raise RefusedError(403, words.get(level, "Must have push access to repository."))

    def own(self, author: str) -> None:
        """Refuse whoever is neither the author nor may write."""
        if author != self.login:
            self.must("triage")


@dataclass(frozen=True, slots=True)
class Route:
    """One operation: ``needs`` is the area and level that an app's token must have been given.

    ``level`` is what a person must be allowed in the repository.
    """

    method: str
    template: str
    handler: Callable[[Ask], Answer]
    needs: str = "metadata:read"
    level: str = "read"

    @property
    def key(self) -> str:
        """Give its name in the cut."""
        return f"{self.method} {self.template}"


def invalid(resource: str, name: str, code: str = "invalid") -> RefusedError:
    """Refuse a field in GitHub's words."""
    error = {"resource": resource, "field": name, "code": code}
    return RefusedError(422, "Validation Failed", [error])


def in_order(
    query: Mapping[str, str], items: Iterable[Issue], *, by: str = "created"
) -> list[Issue]:
    """Sort issues as a query asks, the newest first when it does not."""
    key = query.get("sort", by)

    def place(issue: Issue) -> Any:
        return (issue.updated if key == "updated" else issue.created, issue.number)

    return sorted(items, key=place, reverse=query.get("direction", "desc") == "desc")
