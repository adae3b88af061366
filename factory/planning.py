"""The plan of a run that has not begun: jobs, order, overlaps, warnings. It starts nothing."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from graphlib import TopologicalSorter
from itertools import combinations
from typing import Final

from factory.events import Rules
from factory.wording import count
from stations.contract import Job, Kind
from worktrees.names import JobId, StationName

WIDE: Final = 0.5
"""A scope that holds more than this share of the repository's files is called wide."""
SHORT: Final = 20
"""A brief of fewer characters than this says little to an agent."""
BYTES_PER_TOKEN: Final = 4
NOTHING: Final[Mapping[JobId, "Forecast"]] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What one attempt of a job would ask of a model: tokens and dollars from low to high.

    ``context`` are the tokens of its first request, ``whole`` those of a session that carries the
    whole repository; ``dollars`` are None where the model has no price.
    """

    runtime: str
    tier: str
    model: str
    context: int
    whole: int
    tokens: tuple[int, int]
    dollars: tuple[Decimal, Decimal] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobPlan:
    """One job as the line would take it: ``wave`` is the earliest round in which it can start."""

    job: Job
    files: int
    wave: int
    waits_for: tuple[JobId, ...]
    overlaps: tuple[JobId, ...]
    tokens: int
    refused: str = ""
    forecast: Forecast | None = None
    """None where no model is asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a run would do, and what a person should know before."""

    jobs: tuple[JobPlan, ...]
    waves: int
    warnings: tuple[str, ...]
    constraint: str


def plan(
    rules: Rules,
    jobs: Sequence[Job],
    *,
    tracked: Collection[str],
    refused: Mapping[JobId, str],
    said: Sequence[str] = (),
    forecasts: Mapping[JobId, Forecast] = NOTHING,
) -> Plan:
    """Give the plan for these jobs in this order; ``tracked`` are the base's paths."""
    live = [job for job in jobs if job.id not in refused]
    clashes = {
        frozenset((one.id, two.id))
        for one, two in combinations(live, 2)
        if one.scope.overlaps(two.scope)
    }
    waves: dict[JobId, int] = {}
    plans: dict[JobId, JobPlan] = {}
    for job in _needs_first(jobs):
        before = [other.id for other in live if other.id in waves]
        mates = tuple(other for other in before if frozenset((job.id, other)) in clashes)
        waits = tuple(dict.fromkeys((*job.needs, *mates)))
        if job.id not in refused:
            waves[job.id] = 1 + max((waves.get(other, 0) for other in waits), default=0)
        plans[job.id] = JobPlan(
            job=job,
            files=sum(job.scope.allows(path) for path in tracked),
            wave=waves.get(job.id, 0),
            waits_for=waits,
            overlaps=tuple(other.id for other in live if frozenset((job.id, other.id)) in clashes),
            tokens=len(f"{job.title}{job.brief}".encode()) // BYTES_PER_TOKEN,
            refused=refused.get(job.id, ""),
            forecast=forecasts.get(job.id),
        )
    ordered = tuple(plans[job.id] for job in jobs)
    warnings = (*said, *_warnings(rules, ordered, len(tracked)))
    return Plan(
        jobs=ordered,
        waves=max(waves.values(), default=0),
        warnings=warnings,
        constraint=_constraint(rules, live, waves),
    )


def _needs_first(jobs: Sequence[Job]) -> list[Job]:
    """Give the jobs as the line can take them: each after those it needs, else in their order."""
    known = {job.id: job for job in jobs}
    order: TopologicalSorter[JobId] = TopologicalSorter(dict.fromkeys(known, ()))
    for job in jobs:
        order.add(job.id, *(need for need in job.needs if need in known))
    return [known[name] for name in order.static_order()]


def _warnings(rules: Rules, plans: Sequence[JobPlan], tracked: int) -> list[str]:
    asked = [spec for spec in rules.tests if spec.checks]
    found = [] if rules.tests else ["no test station: what agents make would land untested"]
    writes = [
        each
        for each in plans
        if rules.station(each.job.route).kind is not Kind.READ and not each.refused
    ]
    coded = [each for each in writes if rules.station(each.job.route).kind is Kind.CODE]
    doubts = {
        "no acceptance command says when it is done": [
            each for each in coded if not each.job.accept
        ],
        "the brief is very short": [each for each in coded if len(each.job.brief) < SHORT],
        f"the scope holds more than {WIDE:.0%} of the files": [
            each for each in writes if tracked > 1 and each.files > WIDE * tracked
        ],
        "the scope matches no file yet": [each for each in writes if tracked and not each.files],
    }
    found += [
        f"{spec.name} waits for the forge: what is to land is first pushed as factory/proof/*"
        for spec in asked
    ]
    return found + [
        f"{doubt}: {', '.join(each.job.id for each in about)}"
        for doubt, about in doubts.items()
        if about
    ]


def _constraint(rules: Rules, jobs: Sequence[Job], waves: Mapping[JobId, int]) -> str:
    """Say what will hold the line up as far as numbers of seats and jobs can tell."""
    if not jobs:
        return "nothing to do"
    deepest = max(waves.values())
    per_station: dict[StationName, int] = {}
    for job in jobs:
        per_station[job.route] = per_station.get(job.route, 0) + 1
    widths = {
        name: each / min(rules.seats, rules.station(name).seats or rules.seats)
        for name, each in per_station.items()
    }
    name = max(widths, key=lambda station: widths[station])
    if deepest > max(1, widths[name]):
        return f"order: {deepest} jobs must run one after the other (needs and overlapping scopes)"
    many, seats = per_station[name], rules.station(name).seats or rules.seats
    tests = f"tests run {rules.slots} at a time"
    seats = min(seats, rules.seats)
    return f"{name}: {count(many, 'job')} for {count(seats, 'seat')}; {tests}"
