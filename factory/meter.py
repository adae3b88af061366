"""Measures a run while its events come: seconds busy, waiting and idle per station and seat.

Pure: it folds events over the line. Time in which no process worked on the run (between the end
of one and ``Resumed``) does not count.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from factory.events import (
    Closed,
    Dead,
    Event,
    Finished,
    GateComposed,
    InGate,
    Landed,
    NeedsYou,
    Opened,
    OpenHours,
    Place,
    Proposed,
    Resting,
    Resumed,
    Rules,
    Waiting,
    Withdrawn,
    Working,
)
from factory.line import Line, Work, opened, step
from factory.pace.values import (
    GATE,
    LANDED,
    LEFT,
    PERSON,
    PROVIDER,
    SPAWN,
    START,
    Move,
    Pace,
    Pool,
    Ship,
)
from factory.pace.windows import KEPT
from factory.room import Room
from stations.contract import Kind, Reviewed
from worktrees.names import JobId, StationName

_DAY: Final = 86400
_TRAIL: Final = 8 * KEPT


def measured(events: Iterable[tuple[Event, float]], until: float | None = None) -> Pace:
    """Give what these events of one run tell, up to ``until`` or the last of them."""
    meter = Meter()
    for _ in steps(meter, list(events)):
        pass
    return meter.read(until)


def steps(meter: "Meter", history: Sequence[tuple[Event, float]]) -> Iterator[tuple[Event, float]]:
    """Let a meter take these events one by one, each given back when it was taken."""
    ends = {to for _, to in gaps(history)}
    for event, at in history:
        if at in ends and meter.line is not None:
            meter.skip(at)
        meter.take(event, at)
        yield event, at


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
        self._names = (GATE, "tests", PERSON, PROVIDER, SPAWN)
        self._open: OpenHours | None = None
        self._routes: dict[str, int] = {}
        self._declared: dict[tuple[str, str], float] = {}
        self._moves: dict[tuple[str, str], float] = {}
        self._trail: deque[Move] = deque(maxlen=_TRAIL)
        self._ships: deque[Ship] = deque(maxlen=KEPT)
        self._begun: dict[JobId, float] = {}
        self._returned: set[JobId] = set()
        self._passed = 0
        self._judged = 0
        self._waiting: dict[str, int] = {}
        self._asked = self._limited = self._inside = self._fresh = 0
        self._under_way = 0.0
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
        if before is not None and isinstance(event, Finished):
            self._ended(before, event)
        if before is not None and before.rules is not line.rules:
            self._seat(line.rules)
        self._trials(before, line, event)
        if before is None or before.jobs is not line.jobs:
            for job, work in line.jobs.items():
                old = None if before is None else before.jobs.get(job)
                if old is work:
                    continue
                if old is not None:
                    self._count(old, -1)
                self._count(work, 1)
                if old is None or old.place != work.place:
                    self._moved(job, None if old is None else old.place, work.place, work.station)
            self._queue_up(line)

    def read(self, until: float | None = None) -> Pace:
        """Give what was measured up to ``until``, or up to the last event."""
        if until is not None and not self._closed:
            self._pass_time(until)
        line = self.line
        declared = {**self._declared}
        jobs = sum(self._routes.values())
        for name, times in self._routes.items():
            declared[START, name] = declared.get((START, name), 0.0) + times / jobs
        moves = {**declared}
        for move, counted in self._moves.items():
            moves[move] = moves.get(move, 0.0) + counted
        return Pace(
            stations={name: room.read(name) for name, room in self._rooms.items()},
            moves=moves,
            landed=self._landed,
            placed=len(line.jobs) if line is not None else 0,
            seconds=self._now - self._began,
            declared=declared,
            trail=tuple(self._trail),
            pools=() if line is None else self._pools(line.rules),
            ships=tuple(self._ships),
            inside=self._inside,
            fresh=self._fresh,
            wip=self._under_way / (self._now - self._began) if self._now > self._began else 0.0,
            passed=self._passed,
            judged=self._judged,
        )

    @property
    def landed(self) -> int:
        """Give how many jobs have landed."""
        return self._landed

    @property
    def names(self) -> tuple[str, str]:
        """Give the names under which gate and tests are measured."""
        return self._names[0], self._names[1]

    def skip(self, at: float) -> None:
        """Let no time pass up to ``at``: nobody worked on the run."""
        self._lost = max(self._lost, at - self._now)

    def _pass_time(self, at: float) -> None:
        now = at - self._lost
        seconds = now - self._now
        if seconds > 0:
            you = self._names[2]
            for name, room in self._rooms.items():
                answers = self._open is not None and name == you
                room.pass_time(
                    seconds, open_within(self._open, at - seconds, at) if answers else None
                )
            self._under_way += self._inside * seconds
            self._now = now

    def _furnish(self, rules: Rules) -> None:
        taken = {spec.name for spec in rules.stations if spec.kind is not Kind.TEST}
        tests = rules.tests[0].name if len(rules.tests) == 1 else "tests"
        ours = (GATE, tests, PERSON, PROVIDER, SPAWN)
        gate, test, you, provider, spawn = (
            name if name not in taken else f"the {name}" for name in ours
        )
        self._names = (gate, test, you, provider, spawn)
        self._open = rules.open_hours
        for spec in rules.stations:
            if spec.kind is not Kind.TEST and not spec.at_merge:
                self._rooms[spec.name] = Room(
                    kind=spec.kind.value, seats=_seats(rules, spec.name), required=spec.required
                )
        self._rooms[gate] = Room(kind="gate", seats=rules.slots, required=True)
        self._rooms[test] = Room(kind="test", seats=rules.slots, required=True)
        self._rooms[you] = Room(kind=PERSON, seats=1, required=True, union=True)
        self._rooms[provider] = Room(kind=PROVIDER, seats=1, required=True, union=True)
        self._rooms[spawn] = Room(kind=SPAWN, seats=rules.seats, required=True)
        self._declared = _declared(rules, (gate, test))

    def _pools(self, rules: Rules) -> tuple[Pool, ...]:
        gate, test, _, _, spawn = self._names
        aside = (*self._names[:4], spawn)
        agents = tuple(name for name in self._rooms if name not in aside)
        return (
            Pool(name="seats", members=agents, seats=rules.seats),
            Pool(name="slots", members=(gate, test), seats=rules.slots),
        )

    def _seat(self, rules: Rules) -> None:
        for spec in rules.stations:
            if spec.name in self._rooms:
                self._rooms[spec.name].seats = _seats(rules, spec.name)
        for name in self._names[:2]:
            self._rooms[name].seats = rules.slots
        self._rooms[self._names[4]].seats = rules.seats

    def _ended(self, before: Line, event: Finished) -> None:
        """Count what an attempt cost and found, and the seconds its seat was made ready for it."""
        work = before.jobs.get(event.job)
        room = None if work is None else self._rooms.get(work.station)
        if work is None or room is None:
            return
        outcome = event.outcome
        room.dollars += float(outcome.spend.dollars or 0)
        if work.attempt == event.attempt and isinstance(work.place, Working):
            room.found += isinstance(outcome, Reviewed) and (
                outcome.back or any(remark.serious for remark in outcome.remarks)
            )
            if outcome.spend.seconds:
                seat = room.at.get(str(work.place.serial))
                began = self._now if seat is None else seat[1]
                ready = max(0.0, self._now - began - outcome.spend.seconds)
                self._rooms[self._names[4]].spend(ready, self._landed)

    def _trials(self, before: Line | None, line: Line, event: Event) -> None:
        gate, test, _, _, _ = self._names
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
        you, provider = self._names[2:4]
        if isinstance(old, Working):
            self._end(old.station, str(old.serial))
        if isinstance(old, NeedsYou) and not isinstance(new, NeedsYou):
            self._rooms[you].answer(self._landed)
        if _limited(old) and not _limited(new):
            self._rooms[provider].answer(self._landed)
        if isinstance(old, InGate) and not isinstance(new, InGate):
            self._tried(job, green=isinstance(new, Landed | Proposed))
        match new:
            case Working(station=at, serial=serial):
                self._begun.setdefault(job, self._now)
                self._begin(at, str(serial), (job,))
            case NeedsYou() if not isinstance(old, NeedsYou):
                self._rooms[you].ask()
                self._go(job, you)
            case Resting(limited=True) if not _limited(old):
                self._rooms[provider].ask()
                self._go(job, provider)
            case Landed() | Proposed() if isinstance(old, Landed | Proposed):
                pass  # it was offered, or merged where it was offered: it landed once
            case Landed() | Proposed():
                self._landed += 1
                lead = self._now - self._begun.pop(job, self._now)
                self._ships.append(Ship(at=self._now, lead=lead))
                self._go(job, LANDED)
            case Dead() | Withdrawn():
                self._go(job, LEFT)
                self._last.pop(job, None)
                self._begun.pop(job, None)
            case Waiting() | Resting() | InGate() | NeedsYou():
                self._last.setdefault(job, START)
        if old is None:
            self._routes[station] = self._routes.get(station, 0) + 1

    def _tried(self, job: JobId, *, green: bool) -> None:
        """Count how a job's first way through the gate ended."""
        if job not in self._returned:
            self._judged += 1
            self._passed += green
        if not green:
            self._returned.add(job)

    def _begin(self, room: str, visit: str, jobs: tuple[JobId, ...]) -> None:
        if room not in self._rooms:
            self._rooms[room] = Room(kind=Kind.COMMAND.value, seats=1, required=True)
        self._rooms[room].begin(visit, self._now, jobs)
        for job in jobs:
            self._go(job, room)

    def _end(self, room: str, visit: str) -> None:
        if visit in self._rooms[room].at:
            self._rooms[room].end(visit, self._now, self._landed)

    def _go(self, job: JobId, to: str) -> None:
        move = (self._last.get(job, START), to)
        self._moves[move] = self._moves.get(move, 0.0) + 1.0
        self._trail.append(Move(start=move[0], end=to, ships=self._landed))
        self._last[job] = to

    def _count(self, work: Work, sign: int) -> None:
        """Count a job in, or out, where it stands now."""
        place = work.place
        if isinstance(place, Waiting | Resting):
            self._waiting[work.station] = self._waiting.get(work.station, 0) + sign
        self._asked += sign * isinstance(place, NeedsYou)
        self._limited += sign * _limited(place)
        if isinstance(place, Waiting | Resting | Working | InGate):
            self._inside += sign * bool(work.attempt)
            self._fresh += sign * (not work.attempt)

    def _queue_up(self, line: Line) -> None:
        for name, room in self._rooms.items():
            room.queue = self._waiting.get(name, 0)
        gate = self._rooms[self._names[0]]
        gate.queue = len(line.gate.todo) + sum(map(len, line.gate.pool))
        self._rooms[self._names[2]].hold(self._asked, self._now)
        self._rooms[self._names[3]].hold(self._limited, self._now)


def open_within(hours: OpenHours | None, start: float, end: float) -> float:
    """Give the seconds between two times of the epoch that lie within open hours."""
    if hours is None:
        return end - start
    found, day = 0.0, (start + hours.offset) // _DAY - 1
    begin, over = float(hours.begin), float(hours.end)
    if over <= begin:
        over += _DAY
    while day * _DAY - hours.offset < end:
        midnight = day * _DAY - hours.offset
        found += max(0.0, min(end, midnight + over) - max(start, midnight + begin))
        day += 1
    return found


def _limited(place: Place | None) -> bool:
    return isinstance(place, Resting) and place.limited


def _seats(rules: Rules, name: StationName) -> int:
    own = rules.station(name).seats
    return min(own, rules.seats) if own else rules.seats


def _declared(rules: Rules, names: tuple[str, str]) -> dict[tuple[str, str], float]:
    """Give one change's way down the declared line, so that a cold start has a way to land."""
    gate, test = names
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
