"""A plan on the line: its stations in place of the configured coding stations, a job for each.

Who works, with which commands and for how long, is the configuration's; the plan says only which
files, in which order, and what must be shown.
"""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from factory.config import specs
from factory.events import Rules
from factory.strategy import briefs, document
from factory.strategy.rules import coding, files_in, holds
from factory.strategy.values import Plan, PlanStation
from stations.contract import Budget, Job, StationSpec, Wanted
from worktrees.names import JobId, StationName
from worktrees.scope import Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class Lined:
    """The rules of a run that carries out a plan, and its jobs in the order of their waves."""

    rules: Rules
    jobs: tuple[Job, ...]


def lined(plan: Plan, rules: Rules, *, tracked: Collection[str]) -> Lined:
    """Give the line of a plan that was found right; stations with nothing to do are left out."""
    running = plan.running()
    names = {station.id for station in running}
    gone = {spec.name for spec in coding(rules.stations)} - names
    made = tuple(_spec(station, rules, tracked) for station in running)
    kept = tuple(spec for spec in rules.stations if spec not in coding(rules.stations))
    # What the configuration hands on to may be a station whose place the plan took.
    stations = tuple(
        replace(spec, on={word: name for word, name in spec.on.items() if name not in gone})
        for spec in (*made, *kept)
    )
    waves = {name: place for place, wave in enumerate(plan.waves) for name in wave}
    ordered = sorted(running, key=lambda station: waves.get(station.id, 0))
    scopes = {str(spec.name): spec.scope for spec in made}
    text = f"{rules.hash}\0{document.digest(plan)}"
    return Lined(
        rules=replace(
            rules,
            stations=stations,
            hash=hashlib.sha256(text.encode()).hexdigest(),
        ),
        jobs=tuple(_job(plan, station, scopes[station.id], names) for station in ordered),
    )


def holder(
    station: PlanStation, stations: Sequence[StationSpec], tracked: Collection[str]
) -> StationSpec | None:
    """Give the configured coding station that holds most of a plan station's files."""
    known = coding(stations)
    mine = files_in(station.scope, tracked)

    def held(spec: StationSpec) -> tuple[int, bool]:
        return sum(spec.scope.allows(path) for path in mine), spec.scope.overlaps(station.scope)

    return max(known, key=held, default=None)


def _spec(station: PlanStation, rules: Rules, tracked: Collection[str]) -> StationSpec:
    found = holder(station, rules.stations, tracked)
    if found is None:
        raise LookupError(f"no coding station can take {station.id}")
    return replace(
        found,
        name=StationName(station.id),
        scope=_scope(station, found, coding(rules.stations)),
        seats=1,
        batch=1,
    )


def _scope(station: PlanStation, spec: StationSpec, known: Sequence[StationSpec]) -> Scope:
    within = specs.within(station.scope.write, spec)
    return replace(within or _across(station.scope.write, known), read=station.scope.read)


def _across(write: Sequence[str], known: Sequence[StationSpec]) -> Scope:
    """Give a scope that only several stations hold: behind each one's patterns what it leaves out.

    The last pattern that matches decides, so nothing is written that none of them may write.
    """
    holes = tuple(pattern for pattern in write if pattern.startswith("!"))
    left = [pattern for pattern in write if not pattern.startswith("!")]
    found: list[str] = []
    for spec in known:
        mine = [pattern for pattern in left if holds(spec, pattern, holes)]
        left = [pattern for pattern in left if pattern not in mine]
        if mine:
            found += [*mine, *(glob for glob in spec.scope.write if glob.startswith("!"))]
    return Scope(write=(*found, *holes))


def _job(plan: Plan, station: PlanStation, scope: Scope, names: Collection[str]) -> Job:
    budget = station.budget
    asked = plan.asked(station)
    return Job(
        id=JobId(station.id),
        title=briefs.title(plan, station),
        brief=briefs.brief(plan, station),
        scope=scope,
        route=StationName(station.id),
        needs=tuple(JobId(name) for name in station.depends_on if name in names),
        accept=tuple(dict.fromkeys(test.command for test in asked)),
        budget=Budget(tokens=budget.tokens, dollars=budget.usd, seconds=budget.seconds),
        source="plan",
        issues=tuple(
            Wanted(number=test.item, test=test.test_id, command=test.command) for test in asked
        ),
    )
