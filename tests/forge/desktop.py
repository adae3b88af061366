"""A person's clone of a repository of the hub, connected to it."""

from dataclasses import dataclass, field
from pathlib import Path

from factory.forge.access import Access
from factory.forge.connecting import Forge, connect
from tests.forge.client import clone
from tests.forge.hub import Hub
from worktrees.git import Repository, open_repository


@dataclass(frozen=True, slots=True, kw_only=True)
class Desktop:
    """A clone, the forge as its owner sees it, and what was waited and said on the way.

    Waiting takes no time here: how long it would have been is noted.
    """

    place: Path
    repository: Repository
    forge: Forge
    token: str = field(repr=False)
    waits: list[float]
    said: list[str]


def entered(
    hub: Hub,
    place: Path,
    *,
    login: str = "mona",
    permission: str = "write",
    full: str = "octo/toy",
    max_wait: float = 600.0,
) -> Desktop:
    """Clone a repository of the hub as somebody, and connect to it."""
    token = hub.token(login, permission)
    clone(hub, token, full, place)
    repository = open_repository(place)
    waits: list[float] = []
    said: list[str] = []
    access = Access(token=token, api_url=hub.api_url, max_wait=max_wait)
    forge = connect(repository, access, say=said.append, wait=waits.append)
    return Desktop(
        place=place, repository=repository, forge=forge, token=token, waits=waits, said=said
    )
