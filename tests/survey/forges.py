"""A loopback forge with a repository to survey, and its mirror."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from factory.forge.door import Door
from factory.forge.values import Repo
from factory.survey.gathering import gather
from factory.survey.mirror import Mirror
from factory.survey.values import Candidate, Gathered
from tests.forge.hub import Hub
from tests.forge.person import Person

TOY = "octo/toy"
NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A hub, its repository's people, and what a survey of it said and would have waited."""

    hub: Hub
    place: Path
    token: str = field(repr=False)
    waits: list[float]
    said: list[str]

    @property
    def octocat(self) -> Person:
        """Give somebody who opens and says things."""
        return self.hub.act("octocat")

    @property
    def repo(self) -> Repo:
        """Give the repository's name."""
        return Repo(owner="octo", name="toy", host=self.hub.url.partition("://")[2])

    def door(self, **more: Any) -> Door:
        """Give a door whose waiting takes no time."""
        given = {"wait": self.waits.append, "say": self.said.append, **more}
        return Door(self.repo, self.hub.api_url, lambda: self.token, **given)

    def mirror(self, name: str = "toy") -> Mirror:
        """Open a mirror."""
        return Mirror(self.place / f"{name}.sqlite", self.repo, say=self.said.append)

    def gather(self, query: str = "", *seeds: int, **more: Any) -> Gathered:
        """Gather what belongs to a theme and to seeds."""
        with self.mirror() as mirror:
            door = self.door()
            try:
                given = {"now": NOW, "say": self.said.append, **more}
                return gather(mirror, door, query, seeds, **given)
            finally:
                door.close()

    def requests(self, does: Callable[[], object]) -> list[tuple[str, int]]:
        """Give the template and the status of each request that something made."""
        before = len(self.hub.log)
        does()
        return [(one.template, one.status) for one in self.hub.log[before:]]


@contextmanager
def scene(place: Path) -> Iterator[Scene]:
    """Give a hub with an empty repository that somebody may read."""
    with Hub(place / "hub") as hub:
        hub.repository(TOY, files={"src/net.py": "x = 1\n", "README.md": "A toy.\n"})
        hub.user("octocat", "write")
        token = hub.token("reader", "read")
        yield Scene(hub=hub, place=place, token=token, waits=[], said=[])


def found(gathered: Gathered, number: int) -> Candidate:
    """Give a candidate."""
    return next(one for one in gathered.candidates if one.item.number == number)
