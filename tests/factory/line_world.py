"""Lines that are simulated: stations with seats, lognormal work, rework, a cap; the truth is known.

A world has always more jobs than its cap lets in, unless jobs arrive at a rate. It measures itself
as the meter measures a run, so that the pace's own code judges it, and takes the pace's changes.
"""

import heapq
import itertools
import random
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import exp, log, sqrt

from factory.changes import (
    Change,
    LimitWip,
    Option,
    Order,
    Replace,
    Restore,
    Retire,
    Sample,
    SetSeats,
)
from factory.events import Decided, Measured, Undone
from factory.pace.catalogue import Policy
from factory.pace.controller import Look, Memory, Past, Verdict, look
from factory.pace.demand import visits_per_change
from factory.pace.judging import inputs
from factory.pace.layout import AtWork, Layout, Spot
from factory.pace.odds import limit
from factory.pace.values import LANDED, START, Chance, Move, Pace, Ship, StationPace, Visit
from worktrees.names import JobId

HOUR = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One station of a world: minutes of a visit, their variation, seats, and at most how many.

    ``to`` are the ways on, each with its chance. An ``optional`` one can be left out.
    """

    minutes: float
    seats: int
    to: Mapping[str, float]
    cv: float = 0.6
    most: int = 0
    optional: bool = False
    dollars: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A line as it truly is; without ``arrivals`` (an hour) there is always work."""

    places: Mapping[str, Place]
    first: str
    wip: int
    arrivals: float | None = None


def true_demand(plan: Plan) -> dict[str, float]:
    """Give the minutes of station time for one change that nobody who measures can see."""
    moves = {(START, plan.first): 1.0}
    moves |= {(name, to): p for name, place in plan.places.items() for to, p in place.to.items()}
    visits = visits_per_change(Pace(stations={}, moves=moves, landed=0, placed=0, seconds=0))
    return {
        name: visits.get(name, 0.0) * place.minutes / place.seats
        for name, place in plan.places.items()
    }


@dataclass
class Desk:
    """What happens at one station of a world."""

    seats: int
    queue: deque[int] = field(default_factory=deque)
    at: dict[int, tuple[float, float, int]] = field(default_factory=dict)
    recent: deque[Visit] = field(default_factory=lambda: deque(maxlen=400))
    finished: int = 0
    busy: float = 0.0
    square: float = 0.0
    active: dict[int, float] = field(default_factory=dict)
    periods: list[float] = field(default_factory=list)
    queued: float = 0.0
    dollars: float = 0.0

    def end(self, seconds: float, ships: int) -> None:
        """Count a visit that has ended."""
        self.recent.append(Visit(seconds=seconds, ships=ships))
        self.finished += 1
        self.busy += seconds
        self.square += seconds * seconds


class World:
    """A line at work; ``tick`` lets the next thing happen. Times are minutes."""

    def __init__(self, plan: Plan, seed: int) -> None:
        self.plan = plan
        self.rng = random.Random(seed)  # noqa: S311  (a simulation, not a secret)
        self.time = 0.0
        self.speed = dict.fromkeys(plan.places, 1.0)
        self.ways = {name: dict(place.to) for name, place in plan.places.items()}
        self.desks = {name: Desk(seats=place.seats) for name, place in plan.places.items()}
        self.wip = plan.wip
        self.first_wip = plan.wip
        self.every: dict[str, int] = {}
        self.came: dict[str, int] = {}
        self.gone: set[str] = set()
        self.trail: deque[Move] = deque(maxlen=3200)
        self.moves: dict[tuple[str, str], float] = {}
        self.ships: list[Ship] = []
        self.begun: dict[int, float] = {}
        self.tries: dict[int, int] = {}
        self.tested: set[int] = set()
        self.passed = self.judged = 0
        self.numbers = itertools.count()
        self.serials = itertools.count()
        self.agenda: list[tuple[float, int, str, int]] = []
        self.waiting = 0
        self.killed: list[tuple[str, float, bool]] = []
        self.hung: set[int] = set()
        self.drag = 1.0
        if plan.arrivals is not None:
            heapq.heappush(self.agenda, (0.0, next(self.serials), "", 0))
        self.feed()

    # -- what happens ------------------------------------------------------------------------------

    def feed(self) -> None:
        """Begin jobs as far as the cap allows and there are any."""
        while len(self.begun) < self.wip and (self.plan.arrivals is None or self.waiting):
            self.waiting -= self.plan.arrivals is not None
            job = next(self.numbers)
            self.begun[job] = self.time
            self.go(job, START, self.plan.first)

    def go(self, job: int, start: str, end: str) -> None:
        """Move a job on, past stations that left or do not see it."""
        while end in self.desks and self.skips(end):
            end = next(to for to in self.ways[end] if to != "repair")
        ships = len(self.ships)
        self.trail.append(Move(start=start, end=end, ships=ships))
        self.moves[start, end] = self.moves.get((start, end), 0.0) + 1
        if end == LANDED:
            lead = (self.time - self.begun.pop(job)) * 60
            self.ships.append(Ship(at=self.time * 60, lead=lead))
            return
        if start == "test" and job not in self.tested:
            self.tested.add(job)
            self.judged += 1
            self.passed += end != "repair"
        desk = self.desks[end]
        desk.queue.append(job)
        self.sit(end)

    def skips(self, name: str) -> bool:
        every = self.every.get(name, 1)
        count = self.came.get(name, 0)
        self.came[name] = count + 1
        return name in self.gone or bool(count % every)

    def sit(self, name: str) -> None:
        """Let waiting work take the free seats."""
        desk = self.desks[name]
        while desk.queue and len(desk.at) < desk.seats:
            job = desk.queue.popleft()
            seat = next(
                n for n in itertools.count() if n not in {s for _, _, s in desk.at.values()}
            )
            desk.active.setdefault(seat, self.time)
            self.begin(name, job, seat)

    def begin(self, name: str, job: int, seat: int) -> None:
        minutes = self.draw(name)
        serial = next(self.serials)
        desk = self.desks[name]
        desk.at[job] = (self.time, minutes, seat)
        self.tries[job] = self.tries.get(job, 0) + 1
        heapq.heappush(self.agenda, (self.time + minutes, serial, name, job))

    def draw(self, name: str) -> float:
        """Give the minutes of one visit."""
        place = self.plan.places[name]
        spread = log(1 + place.cv**2)
        normal = self.rng.gauss(0, sqrt(spread)) - spread / 2
        return place.minutes * exp(normal) * self.speed[name] * self.drag

    def tick(self) -> None:
        """Let the next visit end, or the next job come."""
        at, _, name, job = heapq.heappop(self.agenda)
        for desk in self.desks.values():
            desk.queued += len(desk.queue) * (at - self.time)
        self.time = at
        if not name:
            self.waiting += 1
            gap = self.rng.expovariate((self.plan.arrivals or 1.0) / HOUR)
            heapq.heappush(self.agenda, (at + gap, next(self.serials), "", 0))
            self.feed()
            return
        desk = self.desks[name]
        began, minutes, seat = desk.at.get(job, (-1.0, 0.0, 0))
        if abs(began + minutes - at) > 1e-9:
            return  # it was replaced meanwhile
        del desk.at[job]
        desk.end(minutes * 60, len(self.ships))
        desk.dollars += self.plan.places[name].dollars
        ways = self.ways[name]
        end = self.rng.choices(list(ways), list(ways.values()))[0]
        self.go(job, name, end)
        self.sit(name)
        if seat not in {s for _, _, s in desk.at.values()}:
            desk.periods.append(at - desk.active.pop(seat))
        self.feed()

    def ship(self, many: int) -> None:
        """Go on until so many have landed in all."""
        while len(self.ships) < many and self.agenda:
            self.tick()

    def hang(self, name: str) -> int:
        """Let one visit under way never end, and give its job."""
        desk = self.desks[name]
        job, (began, _, seat) = min(desk.at.items(), key=lambda item: item[1][0])
        desk.at[job] = (began, 1e9, seat)
        self.hung.add(job)
        return job

    # -- what is changed ---------------------------------------------------------------------------

    def apply(self, change: Change | None) -> None:
        """Change the world as the line would."""
        match change:
            case LimitWip(wip=wip):
                self.wip = self.first_wip if wip is None else wip
            case SetSeats(seats=seats, station=str(station)):
                self.desks[station].seats = seats
                self.sit(station)
            case Sample(station=station, every=every):
                self.every[station] = every
            case Retire(station=station):
                self.gone.add(station)
                while self.desks[station].queue:
                    job = self.desks[station].queue.popleft()
                    self.go(job, station, next(iter(self.ways[station])))
            case Restore(station=station):
                self.gone.discard(station)
            case Replace(job=job):
                self.replace(int(job))
            case _:
                pass
        self.feed()

    def replace(self, job: int) -> None:
        for name, desk in self.desks.items():
            if job in desk.at:
                began, minutes, seat = desk.at.pop(job)
                self.killed.append((name, minutes, job in self.hung))
                self.hung.discard(job)
                desk.end((self.time - began) * 60, len(self.ships))
                self.begin(name, job, seat)

    # -- how it is measured ------------------------------------------------------------------------

    def pace(self) -> Pace:
        """Give the world as the meter would."""
        declared = {(START, self.plan.first): 1.0}
        for name, ways in self.ways.items():
            for to in ways:
                declared[name, to] = 0.5 if to == "repair" else 1.0
        moves = dict(declared)
        for move, times in self.moves.items():
            moves[move] = moves.get(move, 0.0) + times
        return Pace(
            stations={name: self.station(name) for name in self.desks},
            moves=moves,
            landed=len(self.ships),
            placed=len(self.ships) + len(self.begun),
            seconds=self.time * 60,
            declared=declared,
            trail=tuple(self.trail),
            ships=tuple(self.ships[-400:]),
            inside=len(self.begun),
            fresh=1000 if self.plan.arrivals is None else self.waiting,
            wip=float(len(self.begun)),
            passed=self.passed,
            judged=self.judged,
        )

    def station(self, name: str) -> StationPace:
        desk = self.desks[name]
        running = sum((self.time - began) * 60 for began, _, _ in desk.at.values())
        return StationPace(
            name=name,
            kind="code",
            seats=desk.seats,
            required=not self.plan.places[name].optional,
            busy=desk.busy + running,
            waiting=0.0,
            idle=0.0,
            queued=desk.queued * 60,
            visits=desk.finished + len(desk.at),
            finished=desk.finished,
            running=len(desk.at),
            square=desk.square,
            finished_busy=desk.busy,
            each_seat=(),
            recent=tuple(desk.recent),
            queue=len(desk.queue),
            dollars=desk.dollars,
        )

    def layout(self) -> Layout:
        """Give what of the world can be changed."""
        spots = {
            name: Spot(
                name=name,
                kind="code",
                seats=self.desks[name].seats,
                most=max(place.most, self.desks[name].seats),
                optional=place.optional,
                sampled=self.every.get(name, 1),
                order=Order.ARRIVAL,
                waiting=len(self.desks[name].queue),
                samples=place.optional,
            )
            for name, place in self.plan.places.items()
        }
        return Layout(
            spots=spots,
            seats=1,
            most_seats=1,
            slots=1,
            most_slots=1,
            wip=self.wip,
            at_work=tuple(
                AtWork(
                    job=JobId(str(job)),
                    attempt=self.tries[job],
                    station=name,
                    seconds=(self.time - began) * 60,
                )
                for name, desk in self.desks.items()
                for job, (began, _, _) in desk.at.items()
            ),
            retired=frozenset(self.gone),
        )


class Loop:
    """The controller at a world: it looks after each landing, and its decisions are carried out."""

    def __init__(self, world: World, policy: Policy, seed: int = 1) -> None:
        self.world = world
        self.policy = policy
        self.memory = Memory()
        self.past = Past()
        self.told: list[tuple[int, Verdict]] = []
        self.chance = chance(seed)

    def run(self, ships: int) -> None:
        """Go on until so many have landed."""
        for count in range(len(self.world.ships) + 1, ships + 1):
            self.world.ship(count)
            self.look()

    def look(self) -> None:
        """Look once, and carry out what was decided."""
        seen = Look(
            pace=self.world.pace(),
            layout=self.world.layout(),
            policy=self.policy,
            past=self.past,
            chance=self.chance,
        )
        verdicts, self.memory = look(seen, self.memory)
        for verdict in verdicts:
            self.take(verdict)

    def take(self, verdict: Verdict) -> None:
        """Carry out one decision."""
        self.told.append((len(self.world.ships), verdict))
        match verdict:
            case Decided(number=number):
                self.past = replace(self.past, decided={**self.past.decided, number: verdict})
                if verdict.applied:
                    self.world.apply(verdict.chosen.change)
            case Measured(number=number):
                self.past = replace(self.past, measured={**self.past.measured, number: verdict})
            case Undone(number=number):
                self.past = replace(self.past, undone={**self.past.undone, number: verdict})
                self.world.apply(self.past.decided[number].back)

    @property
    def applied(self) -> list[Decided]:
        """Give the decisions that changed the world."""
        return [each for each in self.past.decided.values() if each.applied]


def chance(seed: int) -> Chance:
    """Give seeded chance."""
    rng = random.Random(seed)  # noqa: S311  (a simulation, not a secret)
    return lambda shape: rng.gammavariate(shape, 1.0)


def reference(*, wip: int = 60, more: int = 2) -> Plan:
    """Give the line of the design: from code to merge, with repairs and an optional security."""

    def place(minutes: float, seats: int, to: dict[str, float], **fields: object) -> Place:
        plain = Place(minutes=minutes, seats=seats, to=to, most=seats + more)
        return replace(plain, **fields)  # type: ignore[arg-type]  # fields of a place

    return Plan(
        places={
            "code": place(18, 30, {"lint": 1.0}, dollars=0.6),
            "lint": place(0.6, 2, {"test": 1.0}),
            "test": place(6, 4, {"security": 0.65, "repair": 0.35}),
            "repair": place(9, 8, {"test": 1.0}, dollars=0.3),
            "security": place(7, 2, {"review": 1.0}, optional=True, dollars=0.4),
            "review": place(4, 3, {"merge": 0.9, "repair": 0.1}),
            "merge": place(1.6, 1, {LANDED: 1.0}),
        },
        first="code",
        wip=wip,
    )


def random_plan(seed: int, *, cv: tuple[float, float] = (0.3, 1.0)) -> Plan:
    """Give a line of seven stations of which nothing is known."""
    rng = random.Random(seed)  # noqa: S311  (a simulation, not a secret)
    fails, returns = rng.uniform(0.05, 0.4), rng.uniform(0.0, 0.2)
    ways: dict[str, dict[str, float]] = {
        "code": {"lint": 1.0},
        "lint": {"test": 1.0},
        "test": {"security": 1 - fails, "repair": fails},
        "repair": {"test": 1.0},
        "security": {"review": 1.0},
        "review": {"merge": 1 - returns, "repair": returns},
        "merge": {LANDED: 1.0},
    }
    places = {
        name: Place(
            minutes=exp(rng.uniform(log(0.5), log(20))),
            seats=rng.randint(4, 30) if name == "code" else rng.randint(1, 8),
            to=to,
            cv=rng.uniform(*cv),
        )
        for name, to in ways.items()
    }
    seats = sum(place.seats for place in places.values())
    return Plan(places=places, first="code", wip=round(seats * 1.5))


def rate(ships: Sequence[Ship]) -> float:
    """Give landings per hour."""
    return (len(ships) - 1) / (ships[-1].at - ships[0].at) * 3600


def decision(number: int, change: Change, back: Change | None = None) -> Decided:
    """Give a decision that was applied."""
    world = World(reference(), 0)
    pace = world.pace()
    option = Option(name=change.kind, change=change, why="a test", alone=True)
    known = inputs(pace, limit(pace, chance(1)))
    return Decided(number=number, by="a test", applied=True, chosen=option, inputs=known, back=back)
