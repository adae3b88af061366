"""The loop on a live run: it measures what happens, looks from time to time, and gives decisions.

All that decides is pure and in `factory.pace`; here is what it remembers between two looks, and the
chance it draws from, seeded by how much of the ledger there was.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from factory.changes import Option
from factory.config.configured import Pace as Wanted
from factory.events import Decided, Event, Noted, Settled, Undone
from factory.line import Line
from factory.meter import Meter, steps
from factory.pace.catalogue import Policy
from factory.pace.controller import Look, Memory, Past, chosen, look, options, undone
from factory.pace.layout import Layout, layout_of
from factory.pace.odds import limit
from factory.pace.values import Chance, Limit, Pace

GLANCE: Final = 2.0
"""Seconds between two looks at what is under way while nothing lands."""
ABOUT: Final = "pace"
"""What a note of the loop is called."""
PERSON: Final = "a person"
_DIGITS: Final = 9
"""No run makes a decision of a longer number, and Python reads no number of any length."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Balancing:
    """How a run is balanced: what was seen, what limits it, and everything that may be done."""

    look: Look
    limits: Limit
    options: tuple[Option, ...]

    @property
    def pace(self) -> Pace:
        """Give what was measured."""
        return self.look.pace

    @property
    def layout(self) -> Layout:
        """Give what of the line can be changed."""
        return self.look.layout

    @property
    def policy(self) -> Policy:
        """Give what a person allows."""
        return self.look.policy


class Balancer:
    """Watches one run's events, and says what to do about its pace."""

    def __init__(self, policy: Policy, history: Sequence[tuple[Event, float]] = ()) -> None:
        self._policy = policy
        self._meter = Meter()
        self._events = 0
        self._memory = Memory()
        self._looked = 0.0
        self._landed = 0
        self._began = False
        for _ in steps(self._meter, history):
            self._events += 1

    def watch(self, line: Line, event: Event, now: float) -> None:
        """Measure an event with the line that it made."""
        self._meter.see(line, event, now)
        self._events += 1
        self._began = True

    def look(self, line: Line, now: float) -> Sequence[Event]:
        """Give what is to be done now, mostly nothing."""
        if self._policy.mode == "off" or line.closing is not None or line.paused:
            return ()
        if not self._began:
            return ()  # what a killed process left at work seems to hang since then
        landed = self._meter.landed
        if landed == self._landed and now - self._looked < GLANCE:
            return ()
        self._landed, self._looked = landed, now
        verdicts, self._memory = look(self._seen(line, now), self._memory)
        return verdicts

    def apply(self, line: Line, option: Option, now: float) -> Sequence[Event]:
        """Give the decision for an option that a person chose, or a note of why it cannot be."""
        found = chosen(self._seen(line, now), option, by=PERSON)
        return [
            found if isinstance(found, Decided) else Noted(what=ABOUT, text=f"refused: {found}")
        ]

    def undo(self, line: Line, number: str) -> Sequence[Event]:
        """Give the event that takes a decision back for a person, or a note of why it cannot be."""
        found = take_back(line, number, landed=self._meter.landed)
        return [found if isinstance(found, Undone) else Noted(what=ABOUT, text=f"refused: {found}")]

    def _seen(self, line: Line, now: float) -> Look:
        return seen(line, self._meter, self._policy, now=now, events=self._events)


def policy_of(wanted: Wanted) -> Policy:
    """Give what a person allows, from the settings."""
    return Policy(
        mode=wanted.mode,
        wanted=wanted.wanted,
        wip=wanted.wip,
        max_seats=wanted.max_seats,
        allow_retire=wanted.allow_retire,
    )


def past_of(line: Line) -> Past:
    """Give what was decided in a run."""
    return Past(decided=line.decided, measured=line.measured, undone=line.undone)


def layout_now(line: Line, meter: Meter, policy: Policy, now: float) -> Layout:
    """Give what of a line can be changed, by the names it is measured under."""
    return layout_of(line, now, names=meter.names, most=policy.max_seats)


def seen(line: Line, meter: Meter, policy: Policy, *, now: float, events: int) -> Look:
    """Give what a look at a run sees; the same ledger gives the same."""
    return Look(
        pace=meter.read(now),
        layout=layout_now(line, meter, policy, now),
        policy=policy,
        past=past_of(line),
        chance=seeded(events),
    )


def seeded(events: int) -> Chance:
    """Give the chance of draws about so much of a ledger."""
    draws = random.Random(events)  # noqa: S311  (a simulation, not a secret)
    return lambda shape: draws.gammavariate(shape, 1.0)


def balancing(
    line: Line, history: Sequence[tuple[Event, float]], policy: Policy, now: float
) -> Balancing:
    """Give how a run is balanced, from its record."""
    meter = Meter()
    for _ in steps(meter, history):
        pass
    sight = seen(line, meter, policy, now=now, events=len(history))
    limits = limit(sight.pace, sight.chance)
    over = all(isinstance(work.place, Settled) for work in line.jobs.values())
    return Balancing(look=sight, limits=limits, options=() if over else options(sight, limits))


def take_back(line: Line, number: str, *, landed: int) -> Undone | str:
    """Give the event that takes back a decision, named by its number or what was chosen."""
    past = past_of(line)
    if number.isdecimal() and len(number) <= _DIGITS:
        found = int(number)
    else:
        named = [n for n, each in past.decided.items() if each.chosen.name == number]
        found = max((n for n in named if past.decided[n].applied), default=0)
        if not found:
            return f"there is no decision {number}"
    return undone(past, found, by=PERSON, why="asked for", ships=landed)


def shifts(
    history: Sequence[tuple[Event, float]], *, every: int
) -> list[tuple[float, Pace, Limit]]:
    """Give who limited the line when: at every so many landings, as it was known then."""
    meter, found, last = Meter(), list[tuple[float, Pace, Limit]](), 0
    for count, (_, at) in enumerate(steps(meter, history), start=1):
        if meter.landed >= last + every:
            last = meter.landed
            pace = meter.read()
            found.append((at, pace, limit(pace, seeded(count))))
    return found
