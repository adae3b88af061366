"""A record of calls in memory, for meters whose calls a test wants to see."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count

from stations.models.values import Call


@dataclass(frozen=True, slots=True)
class Listed:
    """Keeps settled calls in a list, and those that are under way by their number."""

    calls: list[Call] = field(default_factory=list)
    held: dict[int, Call] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=count)

    def hold(self, most: Call) -> int:
        """Keep a call that is about to be sent."""
        number = next(self._numbers)
        self.held[number] = most
        return number

    def settle(self, call: Call, held: int | None) -> None:
        """Keep a call in the place of what was held for it."""
        if held is not None:
            del self.held[held]
        self.calls.append(call)

    def drop(self, held: int) -> None:
        """Forget what was held."""
        del self.held[held]
