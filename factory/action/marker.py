"""Marker: the one comment by which the Action speaks on an item, and the lease that it holds in it.

A lease says which workflow run works on the item and until when. GitHub has no compare-and-swap for
comments: whoever writes one waits a moment and looks again, and the one that stands then counts.
"""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from factory.action.inputs import MOST_MINUTES
from factory.forge.connecting import Forge
from factory.forge.failures import Gone
from factory.forge.keeping import bears, key_of

CONFIRM: Final = 2.0
"""Seconds between writing a lease and looking whose it is."""
MARGIN: Final = 1800
"""Seconds that a lease lasts beyond the work, for queues and for the writing job."""
LONGEST: Final = MOST_MINUTES * 60 + 2 * MARGIN
"""Seconds that a lease may still last: whoever edited a longer one in would hold us up for ever."""
_LOOKS: Final = 3
_STATE: Final = re.compile(
    r"^<!-- factory:lease run=([0-9]{1,20}|-) until=([0-9]{1,12}) head=([0-9a-f]{40,64}|-) -->$",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """Which run works on an item until when, and the commit that was last pushed for it."""

    run: str = ""
    until: int = 0
    head: str = ""

    def held(self, now: float, *, by: str) -> bool:
        """Say whether another run than ``by`` works on the item now."""
        return self.run not in {"", by} and now < self.until <= now + LONGEST

    @property
    def line(self) -> str:
        """The lease as the line of a comment that nobody sees."""
        return (
            f"<!-- factory:lease run={self.run or '-'} until={self.until}"
            f" head={self.head or '-'} -->"
        )


def lease_of(body: str) -> Lease:
    """Read the lease of a comment of ours; an empty one where there is none."""
    found = _STATE.findall(body.replace("\r\n", "\n"))
    if not found:
        return Lease()
    run, until, head = found[-1]
    return Lease(run=run.strip("-"), until=int(until), head=head.strip("-"))


def key(repository: str, number: int, command: str = "run") -> str:
    """Give the key of everything that the Action makes for an item by one of its commands."""
    beside = () if command == "run" else (command,)
    return key_of("action", repository.lower(), str(number), *beside)


class Marker:
    """The marker comment of one item; silent, with a reason, where comments are switched off."""

    def __init__(
        self,
        forge: Forge,
        number: int,
        *,
        command: str = "run",
        now: Callable[[], float] = time.time,
        wait: Callable[[float], object],
    ) -> None:
        self.key = key(forge.repo.full, number, command)
        self.silent = ""
        self._forge, self._number = forge, number
        self._now, self._wait = now, wait

    def lease(self) -> Lease:
        """Give the lease as it stands."""
        me = self._forge.door.me()
        ours = [
            comment
            for comment in self._forge.door.comments(self._number)
            if comment.author.login == me and bears(comment.body, self.key)
        ]
        # Of two that were made at once the first one counts, for everybody.
        return lease_of(min(ours, key=lambda comment: comment.id).body) if ours else Lease()

    def say(self, text: str, lease: Lease) -> None:
        """Have the comment say this and hold this lease."""
        try:
            self._forge.keep.comment(self._number, self.key, f"{text}\n\n{lease.line}")
        except Gone as gone:
            self.silent = gone.message

    def claim(self, run: str, *, seconds: int, text: str) -> Lease | None:
        """Take the lease for a run; None when it is taken or nobody may speak here.

        Gives the other run's lease when that one works on the item.
        """
        for _ in range(_LOOKS):
            began = self._now()
            there = self.lease()
            if there.held(began, by=run):
                return there
            mine = Lease(run=run, until=int(began) + seconds, head=there.head)
            self.say(text, mine)
            quick = self._now() - began < CONFIRM
            self._wait(CONFIRM)
            stands = self.lease()
            if stands.run != run and not self.silent:
                return stands
            # Who was slow between looking and writing may have written over another one's lease.
            if quick or self.silent:
                break
        return None
