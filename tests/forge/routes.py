"""Every operation that the hub serves, and finding the one that an address means."""

import re
from dataclasses import dataclass
from functools import cache
from typing import Final
from urllib.parse import unquote

from tests.forge import (
    action_routes,
    check_routes,
    git_routes,
    issue_routes,
    people_routes,
    pull_routes,
    rule_routes,
)
from tests.forge.ask import Route

ROUTES: Final[tuple[Route, ...]] = (
    *issue_routes.ROUTES,
    *pull_routes.ROUTES,
    *git_routes.ROUTES,
    *check_routes.ROUTES,
    *action_routes.ROUTES,
    *rule_routes.ROUTES,
    *people_routes.ROUTES,
)
_LONG: Final = frozenset({"path", "ref", "branch", "basehead", "name"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Met:
    """The route of an address, with what the address names."""

    route: Route
    params: dict[str, str]


def meet(method: str, path: str) -> Met | None:
    """Find the route of an address."""
    if method == "GET":
        # An older address, which GitHub still serves, no longer describes, and PyGithub asks.
        path = re.sub(r"^(/repos/[^/]+/[^/]+)/statuses/([^/]+)$", r"\1/commits/\2/statuses", path)
    for route in _sorted():
        if route.method == method and (match := _pattern(route.template).fullmatch(path)):
            named = {name: unquote(value) for name, value in match.groupdict().items()}
            return Met(route=route, params=named)
    return None


@cache
def _sorted() -> tuple[Route, ...]:
    # What is spelt out goes before what is open: .../issues/comments before .../issues/{number}.
    return tuple(
        sorted(ROUTES, key=lambda r: (-r.template.count("/"), re.sub(r"\{", "~", r.template)))
    )


@cache
def _pattern(template: str) -> re.Pattern[str]:
    def part(match: re.Match[str]) -> str:
        name = match[1]
        kind = ".+" if name in _LONG else r"\d+" if name.endswith(("_id", "_number")) else "[^/]+"
        if name == "workflow_id":
            kind = "[^/]+"
        if name == "path":
            kind = ".*"
        return f"(?P<{name}>{kind})"

    return re.compile(re.sub(r"\\\{(\w+)\\\}", part, re.escape(template)))
