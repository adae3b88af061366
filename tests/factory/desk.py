"""A line at a desk: one event at a time, its clock in hand, and what each event asks for."""

from dataclasses import replace
from decimal import Decimal

from factory.ending import exit_code
from factory.events import (
    Action,
    Advanced,
    Event,
    Finished,
    GateComposed,
    GateTried,
    Land,
    Note,
    Opened,
    Placed,
    Reason,
    Rules,
    Start,
    Woke,
)
from factory.line import Line, opened, step
from stations.contract import (
    Agent,
    Assignment,
    Composed,
    Done,
    Failed,
    Green,
    Job,
    Kind,
    Outcome,
    Red,
    Spend,
    StationSpec,
)
from worktrees.names import JobId, Oid, RunId, StationName
from worktrees.scope import Scope

BASE = Oid("0" * 40)
AGENT = Agent(runtime="command", run=("agent",))
MODEL = Agent(runtime="sdk", model="small")
DENIED = Failed(fault="401: no such key", retryable=True, environment=True, cause="denied")
LIMITED = Failed(fault="wait 1 h", retryable=True, environment=True, cause="limited")


def station(name: str, kind: Kind = Kind.CODE, **fields: object) -> StationSpec:
    """Give a station over everything."""
    spec = StationSpec(
        name=StationName(name), kind=kind, scope=Scope(write=("**",)), agent=AGENT, attempts=3
    )
    return replace(spec, **fields)  # type: ignore[arg-type]  # fields of the spec


def by_model(name: str = "code", **fields: object) -> StationSpec:
    """Give a station that a model works."""
    return station(name, agent=MODEL, **fields)


def job(name: str, *, path: str = "", needs: tuple[str, ...] = (), **fields: object) -> Job:
    """Give a job on station ``code`` that writes one file of its own."""
    made = Job(
        id=JobId(name),
        title=f"Do {name}",
        brief="do it",
        scope=Scope(write=(path or f"{name}/{name}.py",)),
        route=StationName("code"),
        needs=tuple(JobId(need) for need in needs),
    )
    return replace(made, **fields)  # type: ignore[arg-type]  # fields of the job


def budget(account: str) -> Failed:
    """Give the failure of an attempt for which an account had nothing left."""
    whole = account in {"run", "day"}
    return Failed(
        fault=f"the {account} has spent 5 of 5 dollars",
        cause="budget",
        account=account,
        retryable=whole,
        interrupted=whole,
        spend=Spend(tokens_in=7, dollars=Decimal("0.5")),
    )


class Desk:
    """A line, its clock, and the actions of the last event."""

    def __init__(self, *jobs: Job, seats: int = 4, **rules: object) -> None:
        stations = rules.pop("stations", (station("code"),))
        made = Rules(stations=stations, seats=seats, slots=1, hash="h")  # type: ignore[arg-type]
        made = replace(made, **rules)  # type: ignore[arg-type]  # fields of the rules
        self.now = 100.0
        event = Opened(
            run=RunId("r"), base=BASE, target="refs/heads/main", deliver="merge", rules=made
        )
        self.line: Line = opened(event, self.now)
        self.actions: tuple[Action, ...] = ()
        self.send(Placed(jobs=jobs))

    def send(self, event: Event) -> tuple[Action, ...]:
        self.line, self.actions = step(self.line, event, self.now)
        return self.actions

    def finish(self, name: str, outcome: Outcome) -> tuple[Action, ...]:
        attempt = self.line.jobs[JobId(name)].attempt
        return self.send(Finished(job=JobId(name), attempt=attempt, outcome=outcome))

    def done(self, name: str, commit: str = "") -> tuple[Action, ...]:
        return self.finish(name, Done(commit=Oid(commit or f"commit-{name}")))

    def place(self, name: str) -> object:
        return self.line.jobs[JobId(name)].place

    def started(self) -> list[str]:
        return [a.assignment.job for a in self.actions if isinstance(a, Start)]

    def assigned(self) -> Assignment:
        """Give the assignment that the last event started."""
        return next(a.assignment for a in self.actions if isinstance(a, Start))

    def wake(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds
        self.send(Woke())

    def notes(self) -> list[str]:
        """Give what the last event put on record."""
        return [a.text for a in self.actions if isinstance(a, Note)]

    def closed(self) -> tuple[Reason, int] | None:
        """Give why the line closes, and the exit code of that."""
        closing = self.line.closing
        return None if closing is None else (closing.reason, exit_code(self.line))

    def compose(self, trial: int, known: Green | Red | None = None) -> tuple[Action, ...]:
        composed = Composed(trial=trial, tree=Oid(f"tree-{trial}"), key="k")
        return self.send(GateComposed(composed=composed, known=known))

    def trial(self) -> int:
        return max(self.line.trials)

    def verdict(self, *, green: bool, tail: str = "assert 1 == 2") -> tuple[Action, ...]:
        trial = self.trial()
        held = self.line.trials[trial].composed
        assert held is not None
        assert held.tree is not None
        if green:
            return self.send(GateTried(trial=trial, verdict=Green(tree=held.tree, key="k")))
        return self.send(GateTried(trial=trial, verdict=Red(tree=held.tree, key="k", tail=tail)))

    def land(self, name: str) -> None:
        """Take one durable job all the way to the target."""
        self.compose(self.trial())
        self.verdict(green=True)
        known = Green(tree=Oid(f"tree-{self.trial()}"), key="k")
        actions = self.compose(self.trial(), known)
        land = next(a for a in actions if isinstance(a, Land))
        tip = Oid(f"tip-{name}")
        jobs = tuple(j for j, _ in land.branches)
        self.send(Advanced(trial=land.trial, jobs=jobs, commit=tip, tree=land.tree))

    def refuse(self) -> None:
        """Have the one job in the gate judged red twice by runs of its own."""
        for _ in range(2):
            self.compose(self.trial())
            self.verdict(green=False)
