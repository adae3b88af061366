"""Runs without a floor: simulated ones with real ids, hand-made ones, and ledgers of both."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from factory.events import (
    Advanced,
    Event,
    Finished,
    GateComposed,
    GateTried,
    Opened,
    Placed,
    Rules,
    Start,
    Started,
)
from factory.ledger import Ledger, Record, decode, encode
from factory.line import Line, opened, step
from stations.contract import (
    Agent,
    Composed,
    Done,
    Green,
    Job,
    Kind,
    Outcome,
    Red,
    Spend,
    StationSpec,
    Verdict,
)
from tests.factory.line_sim import simulate
from worktrees.git import Repository
from worktrees.names import JobId, Oid, RunId, StationName
from worktrees.scope import Scope

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


class Tale:
    """A run made by hand: each event is stepped at once, so that its line can be asked."""

    def __init__(
        self,
        *jobs: Job,
        run: str = "r1",
        base: Oid | None = None,
        target: str = "refs/heads/main",
        deliver: str = "merge",
        **rules: object,
    ) -> None:
        self.run = RunId(run)
        self.at = 1000.0
        self.book: list[tuple[Event, float]] = []
        start = Opened(
            run=self.run,
            base=base or oid("base"),
            target=target,
            deliver=deliver,
            rules=replace(RULES, **rules),  # type: ignore[arg-type]  # fields of the rules
        )
        self.line: Line = opened(start, self.at)
        self.tell(start, after=0)
        self.tell(Placed(jobs=jobs), after=0)

    def tell(self, event: Event, *, after: float = 1.0) -> "Tale":
        """Let an event happen; what starts with it is recorded as the floor does it."""
        self.at += after
        self.line, actions = step(self.line, event, self.at)
        self.book.append((event, self.at))
        for action in actions:
            if isinstance(action, Start):
                task = action.assignment
                started = Started(
                    job=task.job,
                    station=task.station,
                    attempt=task.attempt,
                    serial=task.serial,
                    base=task.base,
                )
                self.book.append((started, self.at))
        return self

    def finish(self, job: str, outcome: Outcome, *, after: float = 1.0) -> "Tale":
        """Let the attempt of a job end."""
        attempt = self.line.jobs[JobId(job)].attempt
        return self.tell(Finished(job=JobId(job), attempt=attempt, outcome=outcome), after=after)

    def done(self, job: str, *, after: float = 1.0, commit: Oid | None = None) -> "Tale":
        """Let the attempt of a job make a commit."""
        work = Done(commit=commit or oid(f"work of {job}"), spend=Spend(seconds=after))
        return self.finish(job, work, after=after)

    def compose(self, *, after: float = 1.0, known: bool = False) -> "Tale":
        """Let the oldest trial's tree be made; ``known`` ones are green already."""
        trial = min(n for n, held in self.line.trials.items() if held.composed is None)
        jobs = self.line.gate.runs[trial].jobs
        tree = oid("tree of " + " ".join(sorted(jobs)))
        verdict = Green(tree=tree, key="k") if known else None
        made = Composed(trial=trial, tree=tree, key="k")
        return self.tell(GateComposed(composed=made, known=verdict), after=after)

    def test(self, *, after: float = 1.0, red: str = "") -> "Tale":
        """Let the oldest test run end: green, or red with this tail."""
        trial = min(n for n, held in self.line.trials.items() if held.composed is not None)
        tree = self.line.trials[trial].composed.tree  # type: ignore[union-attr]  # chosen so
        assert tree is not None
        verdict: Verdict = Green(tree=tree, key="k", seconds=after)
        if red:
            verdict = Red(tree=tree, key="k", owner="tests", tail=red, seconds=after)
        return self.tell(GateTried(trial=trial, verdict=verdict), after=after)

    def land(self, *, after: float = 0.0, commit: Oid | None = None) -> "Tale":
        """Let the proof under way land."""
        trial = self.line.gate.landing
        assert trial is not None
        held = self.line.trials[trial]
        assert held.composed is not None
        tree = held.composed.tree
        assert tree is not None
        jobs = self.line.gate.runs[trial].jobs
        landed = commit or oid("landing of " + " ".join(jobs))
        return self.tell(Advanced(trial=trial, jobs=jobs, commit=landed, tree=tree), after=after)

    def records(self) -> list[Record]:
        """Give the events as a ledger gives them."""
        return [
            Record(seq=n, run=self.run, at=at, event=event)
            for n, (event, at) in enumerate(self.book, start=1)
        ]


def oid(name: str) -> Oid:
    """Give an object id for a name."""
    return Oid(hexed(name))


def job(name: str, *, route: str = "api", **fields: object) -> Job:
    """Give a job with a scope of its own."""
    plain = Job(
        id=JobId(name),
        title=f"Do {name}",
        brief="Do it.",
        scope=Scope(write=(f"{name}/**",)),
        route=StationName(route),
    )
    return replace(plain, **fields)  # type: ignore[arg-type]  # fields of the job


def station(name: str, kind: Kind, **fields: object) -> StationSpec:
    """Give a station over everything."""
    spec = StationSpec(name=StationName(name), kind=kind, scope=Scope(write=("**",)))
    return replace(spec, **fields)  # type: ignore[arg-type]  # fields of the spec


RULES: Final = Rules(
    stations=(
        station("api", Kind.CODE, agent=Agent(runtime="command", run=("agent",)), attempts=1),
        station("tests", Kind.TEST, run=("pytest",)),
    ),
    seats=2,
    slots=1,
    hash="h",
)
"""One coding station and tests, two seats, one slot, no repair."""
