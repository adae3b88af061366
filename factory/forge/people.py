"""Who may write to the repository, asked of the forge: only their words are followed."""

from collections.abc import Iterable
from typing import Final

from factory.forge.door import Door
from factory.forge.gatekeeping import MARK
from factory.forge.values import Comment, Person

_MAY: Final = frozenset({"write", "admin"})
_MOST: Final = 40
"""Accounts that are asked about at most; strangers could be any number."""


class People:
    """What is known of the people around one issue or pull request; each is asked about once."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._known: dict[str, bool] = {}

    def may_write(self, person: Person) -> bool:
        """Say whether this is a person with write permission; nobody counts after too many."""
        if person.bot or not person.login:
            return False
        name = person.login.lower()
        if name not in self._known and len(self._known) < _MOST:
            self._known[name] = self._door.permission(person.login) in _MAY
        return self._known.get(name, False)

    def heard(self, comments: Iterable[Comment]) -> tuple[Comment, ...]:
        """Give the comments of people who may write, in their order; the newest are asked first."""
        said = [one for one in comments if MARK not in one.body]
        kept = [one for one in reversed(said) if self.may_write(one.author)]
        return tuple(reversed(kept))
