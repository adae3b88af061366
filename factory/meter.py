"""Measures a run while its events come: seconds busy, waiting and idle per station and seat.

Pure: it folds events over the line. Time in which no process worked on the run (between the end
of one and ``Resumed``) does not count.
"""

from collections.abc import Iterable, Sequence

from factory.events import (
    Closed,
    Dead,
    Event,
    GateComposed,
    InGate,
    Landed,
    NeedsYou,
    Opened,
    Place,
    Proposed,
    Resting,
    Resumed,
    Rules,
    Waiting,
    Withdrawn,
    Working,
)
from factory.line import Line, opened, step
from factory.pace import LANDED, LEFT, PERSON, START, Pace
from factory.room import Room
from stations.contract import Kind
from worktrees.names import JobId, StationName


def measured(events: Iterable[tuple[Event, float]], until: float | None = None) -> Pace:
    """Give what these events of one run tell, up to ``until`` or the last of them."""
    meter = Meter()
    history = list(events)
    ends = {to for _, to in gaps(history)}
    for event, at in history:
        if at in ends and meter.line is not None:
            meter.skip(at)
        meter.take(event, at)
    return meter.read(until)


def gaps(history: Sequence[tuple[Event, float]]) -> tuple[tuple[float, float], ...]:
    """Give the times in which nobody worked on the run, each from its end to a ``Resumed``.

    What a resume records before ``Resumed`` carries its time: the gap lies before all of that.
    """
    found: list[tuple[float, float]] = []
    for event, at in history:
        if isinstance(event, Resumed):
            before = max((then for _, then in history if then < at), default=at)
            found.append((before, at))
    return tuple(found)


class Meter:
    """Measures a run while its events come; `take` them in order, `read` at any time."""

    def __init__(self) -> None:
        self.line: Line | None = None
        self._began = 0.0
        self._now = 0.0
        self._lost = 0.0
        self._closed = False
        self._rooms: dict[str, Room] = {}
        self._names = ("gate", "tests", PERSON)
        self._routes: dict[str, int] = {}
        self._moves: dict[tuple[str, str], float] = {}
        self._last: dict[JobId, str] = {}
        self._testing: set[int] = set()
        self._landed = 0

    def take(self, event: Event, at: float) -> None:
        """Step the own line with the next event; ValueError unless the first is ``Opened``."""
        if self.line is not None:
            line, _ = step(self.line, event, at)
            self.see(line, event, at)
        elif isinstance(event, Opened):
            self.see(opened(event, at), event, at)
        else:
            raise ValueError(f"a run begins with `opened`, not with `{event.kind}`")

    def see(self, line: Line, event: Event, at: float) -> None:
        """Measure one event with the line that it made."""
        before = self.line
        if before is None:
            self._began = self._now = at
            self._furnish(line.rules)
        if self._closed or isinstance(event, Resumed):
            self.skip(at)
        self._closed = isinstance(event, Closed)
        self._pass_time(at)
        self.line = line
        if before is not None and before.rules is not line.rules:
            self._seat(line.rules)
        self._trials(before, line, event)
        if before is None or before.jobs is not line.jobs:
            for job, work in line.jobs.items():
                old = None if before is None else before.jobs.get(job)
                if old is not work and (old is None or old.place != work.place):
                    self._moved(job, None if old is None else old.place, work.place, work.station)
            self._count_queues(line)

    def read(self, until: float | None = None) -> Pace:
        """Give what was measured up to ``until``, or up to the last event."""
        if until is not None and not self._closed:
            self._pass_time(until)
        line = self.line
        moves = {**self._moves}
        jobs = sum(self._routes.values())
        for name, times in self._routes.items():
            moves[START, name] = moves.get((START, name), 0.0) + times / jobs
        return Pace(
            stations={name: room.read(name) for name, room in self._rooms.items()},
            moves=moves,
            landed=self._landed,
            placed=len(line.jobs) if line is not None else 0,
            seconds=self._now - self._began,
        )

    def skip(self, at: float) -> None:
        """Let no time pass up to ``at``: nobody worked on the run."""
        self._lost = max(self._lost, at - self._now)

    def _pass_time(self, at: float) -> None:
        now = at - self._lost
        seconds = now - self._now
        if seconds > 0:
            for room in self._rooms.values():
                room.pass_time(seconds)
            self._now = now

    def _furnish(self, rules: Rules) -> None:
        taken = {spec.name for spec in rules.stations if spec.kind is not Kind.TEST}
        tests = rules.tests[0].name if len(rules.tests) == 1 else "tests"
        gate, test, you = (
            name if name not in taken else f"the {name}" for name in ("gate", tests, PERSON)
        )
        self._names = (gate, test, you)
        for spec in rules.stations:
            if spec.kind is not Kind.TEST and not spec.at_merge:
                self._rooms[spec.name] = Room(
                    kind=spec.kind.value, seats=_seats(rules, spec.name), required=spec.required
                )
        self._rooms[gate] = Room(kind="gate", seats=rules.slots, required=True)
        self._rooms[test] = Room(kind="test", seats=rules.slots, required=True)
        self._rooms[you] = Room(kind=PERSON, seats=1, required=True)
        self._moves = _declared(rules, self._names)

    def _seat(self, rules: Rules) -> None:
        for spec in rules.stations:
            if spec.name in self._rooms:
                self._rooms[spec.name].seats = _seats(rules, spec.name)

    def _trials(self, before: Line | None, line: Line, event: Event) -> None:
        gate, test, _ = self._names
        old = frozenset(before.trials) if before is not None else frozenset[int]()
        if isinstance(event, GateComposed) and event.composed.trial in line.trials:
            trial = event.composed.trial
            held = line.gate.runs.get(trial)
            new = trial not in self._testing and trial != line.gate.landing
            if held is not None and new:
                self._end(gate, str(trial))
                self._testing.add(trial)
                self._begin(test, str(trial), held.jobs)
        for trial in old - frozenset(line.trials):
            self._end(test if trial in self._testing else gate, str(trial))
            self._testing.discard(trial)
        for trial in frozenset(line.trials) - old:
            jobs = tuple(branch.job for branch in line.trials[trial].branches)
            self._begin(gate, str(trial), jobs)
        self._rooms[gate].lent = len(self._rooms[test].at)
        self._rooms[test].lent = len(self._rooms[gate].at)

    def _moved(self, job: JobId, old: Place | None, new: Place, station: StationName) -> None:
        you = self._names[2]
        if isinstance(old, Working):
            self._end(old.station, str(old.serial))
        if isinstance(old, NeedsYou) and not isinstance(new, NeedsYou):
            self._rooms[you].finished += 1
        match new:
            case Working(station=at, serial=serial):
                self._begin(at, str(serial), (job,))
            case NeedsYou() if not isinstance(old, NeedsYou):
                self._rooms[you].visits += 1
                self._go(job, you)
            case Landed() | Proposed() if isinstance(old, Landed | Proposed):
                pass  # it was offered, or merged where it was offered: it landed once
            case Landed() | Proposed():
                self._landed += 1
                self._go(job, LANDED)
            case Dead() | Withdrawn():
                self._go(job, LEFT)
                self._last.pop(job, None)
            case Waiting() | Resting() | InGate() | NeedsYou():
                self._last.setdefault(job, START)
        if old is None:
            self._routes[station] = self._routes.get(station, 0) + 1

    def _begin(self, room: str, visit: str, jobs: tuple[JobId, ...]) -> None:
        if room not in self._rooms:
            self._rooms[room] = Room(kind=Kind.COMMAND.value, seats=1, required=True)
        self._rooms[room].begin(visit, self._now, jobs)
        for job in jobs:
            self._go(job, room)

    def _end(self, room: str, visit: str) -> None:
        if visit in self._rooms[room].at:
            self._rooms[room].end(visit, self._now)

    def _go(self, job: JobId, to: str) -> None:
        move = (self._last.get(job, START), to)
        self._moves[move] = self._moves.get(move, 0.0) + 1.0
        self._last[job] = to

    def _count_queues(self, line: Line) -> None:
        you = self._names[2]
        waiting: dict[str, int] = {}
        asked = 0
        for work in line.jobs.values():
            if isinstance(work.place, Waiting | Resting):
                waiting[work.station] = waiting.get(work.station, 0) + 1
            asked += isinstance(work.place, NeedsYou)
        for name, room in self._rooms.items():
            room.queue = waiting.get(name, 0)
        gate = self._rooms[self._names[0]]
        gate.queue = len(line.gate.todo) + sum(map(len, line.gate.pool))
        person = self._rooms[you]
        if asked and not person.at:
            person.begin("", self._now, ())  # one person's delay, however many questions there are
        elif not asked and person.at:
            _, began, _ = person.at.pop("")
            person.finished_busy += self._now - began


def _seats(rules: Rules, name: StationName) -> int:
    own = rules.station(name).seats
    return min(own, rules.seats) if own else rules.seats


def _declared(rules: Rules, names: tuple[str, str, str]) -> dict[tuple[str, str], float]:
    """Give one change's way down the declared line, so that a cold start has a way to land."""
    gate, test, _ = names
    moves: dict[tuple[str, str], float] = {(gate, test): 1.0, (test, LANDED): 1.0}
    review = None if rules.review is None else rules.review.name
    for spec in rules.stations:
        if spec.kind is not Kind.TEST and not spec.at_merge:
            reads = spec.kind in (Kind.READ, Kind.REVIEW)
            to = review if review is not None and not reads else gate
            moves[spec.name, LEFT if spec.kind is Kind.READ else to] = 1.0
    if rules.repair is not None:
        moves[test, rules.repair] = 0.5
    return moves
