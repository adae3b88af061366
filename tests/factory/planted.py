"""Plants the ledger of a simulated run in a real repository."""

import hashlib
import re
from collections.abc import Sequence

from factory.events import Event
from factory.ledger import Ledger, decode, encode
from tests.factory.line_sim import simulate
from worktrees.git import Repository
from worktrees.names import RunId

_TWIN = re.compile(r'"(c\d+|tree:[^"]*)"')


def hexed(name: str) -> str:
    """Give a full object id for a name of the simulated git."""
    return hashlib.sha1(name.encode()).hexdigest()  # noqa: S324  (an id, not a secret)


def book_of(seed: int, run: str = "sim") -> list[tuple[Event, float]]:
    """Give the events of a simulated run with object ids of the right shape."""

    def renamed(event: Event) -> Event:
        text = _TWIN.sub(lambda found: f'"{hexed(found[1])}"', encode(event))
        return decode(text.replace('"run":"sim"', f'"run":"{run}"'))

    return [(renamed(event), at) for event, at in simulate(seed).book]


def plant(repository: Repository, run: str, book: Sequence[tuple[Event, float]]) -> None:
    """Write these events into the repository's ledger."""
    with Ledger(repository.factory / "ledger.sqlite") as ledger:
        for event, at in book:
            ledger.append(RunId(run), [event], at)
