"""Runs of any size, made by chance: attempts, red trials, repairs, questions, landings."""

import random
from collections.abc import Callable
from decimal import Decimal
from heapq import heappop, heappush

from factory.events import NeedsYou, Started, Steered
from factory.line import Line
from stations.contract import Agent, Done, Escalated, Failed, Kind, Outcome, Reviewed, Spend
from stations.models.values import Basis, Call, Usage
from tests.factory.planted import Tale, job, oid, station
from worktrees.names import JobId, RunId, StationName

HOSTILE = "<script>alert(1)</script> \"x\" onload='y' ]]> <!-- \x1b[2J \u202e & $(id)"
STATIONS = (
    station("api", Kind.CODE, agent=Agent(runtime="command", run=("agent",)), attempts=3),
    station("web", Kind.CODE, agent=Agent(runtime="command", run=("agent",)), attempts=3),
    station("imports", Kind.COMMAND, run=("ruff",), attempts=2),
    station("review", Kind.REVIEW, run=("look",), required=False),
    station("repair", Kind.CLEANUP, run=("mend",)),
    station("tests", Kind.TEST, run=("pytest",)),
)
RUN = "261121-081502-3f2a"
_MINUTES = {"api": 6.0, "web": 4.0, "imports": 0.5, "review": 3.0, "repair": 3.0}


class Crowd:
    """A run of so many jobs that goes on by chance; the same seed gives the same run."""

    def __init__(
        self, jobs: int, *, seed: int = 1, run: str = RUN, seats: int = 8, more: str = ""
    ) -> None:
        self._chance = random.Random(seed)  # noqa: S311  (a simulation, not a secret)
        routes = ("api", "api", "web", "imports")
        self.tale = Tale(
            *(
                job(f"job-{n:04}", route=routes[n % 4], title=f"Do the {n}th thing properly{more}")
                for n in range(jobs)
            ),
            run=run,
            stations=STATIONS,
            seats=seats,
            slots=2,
            repair=StationName("repair"),
        )
        self._book = 0
        self._trials: set[int] = set()
        self._composed: set[int] = set()
        self._agenda: list[tuple[float, int, str, str, int]] = []
        self._count = 0

    @property
    def line(self) -> Line:
        """The line as it stands."""
        return self.tale.line

    def go(self, enough: Callable[[Line], bool] | None = None) -> "Crowd":
        """Let time pass until nothing is under way, or ``enough`` says so."""
        self._look()
        while self._agenda and not (enough is not None and enough(self.line)):
            at, _, what, name, number = heappop(self._agenda)
            after = max(0.0, at - self.tale.at)
            if what == "attempt":
                work = self.line.jobs[JobId(name)]
                if work.place.kind == "working" and work.attempt == number:
                    self.tale.finish(name, self._outcome(name, after), after=after)
            elif what == "compose":
                if any(held.composed is None for held in self.line.trials.values()):
                    self.tale.compose(after=after)
            elif any(held.composed is not None for held in self.line.trials.values()):
                red = "E   assert 3 == 4\n" if self._chance.random() < 0.15 else ""
                self.tale.test(after=after, red=red)
            while self.line.gate.landing is not None:
                self.tale.land()
            self._look()
        return self

    def answer(self, text: str = "yes") -> "Crowd":
        """Answer every question of the line."""
        for name, work in list(self.line.jobs.items()):
            if isinstance(work.place, NeedsYou):
                self.tale.tell(Steered(job=name, text=text))
        return self.go()

    def calls(self) -> tuple[Call, ...]:
        """Give one model call for each attempt that was made."""
        found = []
        for n, (event, at) in enumerate(self.tale.book):
            if isinstance(event, Started):
                found.append(_call(self.tale.run, event, at, exact=n % 5 != 0))
        return tuple(found)

    def _outcome(self, name: str, after: float) -> Outcome:
        chance, work = self._chance.random(), self.line.jobs[JobId(name)]
        spend = Spend(seconds=after, tokens_in=900, tokens_out=90, dollars=Decimal("0.01"))
        if work.station == "review":
            return Reviewed(back=chance < 0.1, remarks=(), spend=spend)
        if chance < 0.04:
            return Failed(fault="the agent gave up: no such file", tail="E   broke", spend=spend)
        if chance < 0.05:
            return Escalated(reason="which of the two forms is meant?", spend=spend)
        return Done(commit=oid(f"{name} {work.attempt}"), spend=spend)

    def _look(self) -> None:
        for event, at in self.tale.book[self._book :]:
            if isinstance(event, Started):
                mean = _MINUTES.get(event.station, 1.0) * 60
                long = mean * self._chance.lognormvariate(-0.2, 0.6)
                self._plan(at + long, "attempt", event.job, event.attempt)
        self._book = len(self.tale.book)
        for number, held in self.line.trials.items():
            if number not in self._trials:
                self._trials.add(number)
                self._plan(self.tale.at + 1.0, "compose", "", number)
            elif held.composed is not None and number not in self._composed:
                self._composed.add(number)
                self._plan(self.tale.at + 40 + 30 * self._chance.random(), "test", "", number)

    def _plan(self, at: float, what: str, name: str, number: int) -> None:
        self._count += 1
        heappush(self._agenda, (at, self._count, what, name, number))


def _call(run: RunId, event: Started, at: float, *, exact: bool) -> Call:
    return Call(
        run=run,
        job=event.job,
        station=event.station,
        attempt=event.attempt,
        provider="anthropic",
        model="large",
        usage=Usage(input=9000, output=700),
        dollars=Decimal("0.0375"),
        basis=Basis.EXACT if exact else Basis.SYNTHETIC,
        prices="p",
        at=at + 5,
        seconds=4.0,
        ended="end_turn",
    )
