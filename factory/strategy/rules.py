"""What a plan must hold before anything starts, whoever wrote or edited it. Pure.

Each refusal names the item or the station, and what to do about it.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from graphlib import CycleError, TopologicalSorter
from itertools import combinations
from typing import Final, TypeVar

from factory.strategy.accepting import file_of
from factory.strategy.values import (
    WORKED,
    Acceptance,
    Action,
    Mistake,
    Plan,
    PlanItem,
    PlanStation,
)
from factory.survey.values import Class
from factory.wording import count, listed
from stations.contract import Argv, Budget, Kind, StationSpec
from worktrees.globs import glob
from worktrees.names import ID_PATTERN
from worktrees.noise import is_noise
from worktrees.protection import protected
from worktrees.scope import Scope

STACK: Final = 5
"""A stack of more pull requests than this is too high to be read."""
_NAMED: Final = 3
_LISTED: Final = 12

Name = TypeVar("Name", str, int)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What a plan stands on: the base's files, the configured line and what bounds a run."""

    tracked: frozenset[str]
    stations: tuple[StationSpec, ...]
    budget: Budget
    protect: tuple[str, ...] = ()

    @property
    def coding(self) -> tuple[StationSpec, ...]:
        """Give the configured stations that write what a plan's stations may write."""
        return coding(self.stations)


def coding(stations: Sequence[StationSpec]) -> tuple[StationSpec, ...]:
    """Give the stations whose place a plan's stations take: those where an agent writes code."""
    return tuple(spec for spec in stations if spec.kind is Kind.CODE and not spec.at_merge)


def mistakes(plan: Plan, ground: Ground) -> tuple[Mistake, ...]:
    """Give everything for which a plan is refused; nothing when it may run."""
    return tuple(_Judge(plan, ground).found())


def notes(plan: Plan, ground: Ground) -> tuple[str, ...]:
    """Give what a person should know of a plan that is not refused."""
    found: list[str] = []
    guarded = frozenset(path for path in ground.tracked if _guarded(path, ground))
    for station in plan.stations:
        paths = files_in(station.scope, guarded)
        if paths:
            found.append(
                f"station {station.id}: its scope holds {listed(paths, most=_NAMED)}: a change"
                " there waits for a person"
            )
    waiting = plan.undecided()
    if waiting:
        numbers = listed(f"#{item.n}" for item in waiting)
        found.append(f"{numbers}: action human, nothing is done about {_them(waiting)} until then")
    return tuple(found)


def files_in(scope: Scope, paths: Collection[str]) -> list[str]:
    """Give those of these paths that a scope may write, in order."""
    globs = [known for pattern in scope.write if not (known := glob(pattern)).negative]
    heads = {"/".join(known.head) for known in globs}
    below = tuple(f"{head}/" for head in heads)
    # Most of a large repository lies below no head: only the rest is looked at closely.
    near = (
        paths
        if "" in heads
        else (path for path in paths if path in heads or path.startswith(below))
    )
    return sorted(path for path in near if scope.allows(path))


def waits(plan: Plan) -> tuple[str, ...]:
    """Give what a person has to write into a plan before anything of it can run."""
    found: list[str] = []
    if plan.unstated:
        found.append("strategy.statement: say in your own words what shall hold afterwards")
    if not plan.running():
        issues = (f"#{item.n}" for item in plan.undecided() if item.kind == "issue")
        numbers = listed(issues, most=_LISTED)
        found.append(
            f"items {numbers}: make `action` fix or covered for those to be worked on (or leave);"
            " stations and tests are prepared for them"
            if numbers
            else "items: none of them is to be worked on, so there is nothing to run"
        )
    return tuple(found)


def _them(items: Sequence[PlanItem]) -> str:
    return "it" if len(items) == 1 else "them"


class _Judge:
    def __init__(self, plan: Plan, ground: Ground) -> None:
        self.plan = plan
        self.ground = ground
        self.items: Mapping[int, PlanItem] = {item.n: item for item in plan.items}
        self.stations: Mapping[str, PlanStation] = {each.id: each for each in plan.stations}
        self.causes = {cause.id: cause for cause in plan.root_causes}

    def found(self) -> Iterator[Mistake]:
        yield from self._names()
        yield from self._coverage()
        yield from self._actions()
        yield from self._tests()
        yield from self._stations()
        yield from self._order()
        yield from self._apart()
        yield from self._budgets()
        yield from self._delivery()
        yield from self._told()

    def _names(self) -> Iterator[Mistake]:
        """Nothing is there twice."""
        for what, names in (
            ("item", [f"#{item.n}" for item in self.plan.items]),
            ("root cause", [cause.id for cause in self.plan.root_causes]),
            ("station", [station.id for station in self.plan.stations]),
        ):
            for name in _twice(names):
                yield Mistake(
                    where=f"{what} {name}", what="is there twice", hint="keep one of them"
                )

    def _coverage(self) -> Iterator[Mistake]:
        """Each item is in exactly one root cause, or left out."""
        homes: dict[int, list[str]] = {}
        for cause in self.plan.root_causes:
            for number in dict.fromkeys(cause.items):
                homes.setdefault(number, []).append(cause.id)
                if number not in self.items:
                    yield Mistake(
                        where=f"root cause {cause.id}",
                        what=f"names #{number}, which is no item of this plan",
                        hint=f"take it out of {cause.id}, or add the item",
                    )
            for number in _twice(cause.items):
                yield Mistake(
                    where=f"root cause {cause.id}",
                    what=f"names #{number} twice",
                    hint="name it once",
                )
            if not cause.items:
                yield Mistake(
                    where=f"root cause {cause.id}",
                    what="has no item",
                    hint="give it one, or take the root cause out",
                )
        out = [aside.n for aside in self.plan.left_out]
        for number in _twice(out):
            yield Mistake(where=f"left_out #{number}", what="is there twice", hint="name it once")
        for item in self.plan.items:
            where = f"item #{item.n}"
            mine = homes.get(item.n, [])
            if len(mine) > 1:
                yield Mistake(
                    where=where,
                    what=f"is in the root causes {listed(mine)}",
                    hint="leave it in one of them",
                )
            elif mine and item.n in out:
                yield Mistake(
                    where=where,
                    what=f"is in {mine[0]} and in left_out",
                    hint="take it out of one of the two",
                )
            elif not mine and item.n not in out:
                yield Mistake(
                    where=where,
                    what="is in no root cause and not in left_out",
                    hint="put it into a root cause's items, or into left_out with why",
                )
            if item.root_cause_id != (mine[0] if mine else None) and len(mine) < 2:  # noqa: PLR2004
                yield Mistake(
                    where=where,
                    what=f"has the root_cause_id {item.root_cause_id}, but {_home(mine)} names it",
                    hint="make the two agree",
                )

    def _actions(self) -> Iterator[Mistake]:
        """Check that what is done about an item goes with what it is."""
        for item in self.plan.items:
            where = f"item #{item.n}"
            if (item.verdict is Class.SECURITY) is not (item.action is Action.SECURITY):
                yield Mistake(
                    where=where,
                    what=f"is of the class {item.verdict} with the action {item.action}",
                    hint="a security report is set aside by both; else change both",
                )
            if item.action is Action.SECURITY and item.root_cause_id is not None:
                yield Mistake(
                    where=where,
                    what=f"was set aside for a maintainer, but is in {item.root_cause_id}",
                    hint="take it out: no station may see it",
                )
            if item.action is Action.SECURITY and (item.title or item.evidence):
                yield Mistake(
                    where=where,
                    what="was set aside for a maintainer, but its words stand here",
                    hint='make its title "" and its evidence []',
                )
            if item.action in WORKED and item.root_cause_id is None:
                yield Mistake(
                    where=where,
                    what=f"has the action {item.action}, but no root cause",
                    hint="put it into a root cause, or make its action leave",
                )
            if item.action in WORKED and item.kind == "pull":
                yield Mistake(
                    where=where,
                    what=f"is a pull request with the action {item.action}",
                    hint="only issues are fixed; of a pull request say close-after-merge or leave",
                )
            if item.of is not None and item.of == item.n:
                yield Mistake(where=where, what="is a copy of itself", hint="correct its `of`")

    def _tests(self) -> Iterator[Mistake]:
        """Each item that is worked on has a test of its own, written where it may be."""
        tests: dict[int, list[tuple[str, Acceptance]]] = {}
        for station in self.plan.stations:
            for test in station.acceptance:
                tests.setdefault(test.item, []).append((station.id, test))
                yield from self._test(station, test)
        for item in self.plan.items:
            mine = tests.get(item.n, [])
            if item.action in WORKED and not mine:
                yield Mistake(
                    where=f"item #{item.n}",
                    what=f"has the action {item.action}, but no acceptance test",
                    hint="add one where its root cause is worked on, or make its action leave",
                )
            names = [name for name, _ in mine]
            if len(set(names)) > 1:
                yield Mistake(
                    where=f"item #{item.n}",
                    what=f"has acceptance tests in the stations {listed(dict.fromkeys(names))}",
                    hint="one station writes them",
                )
            if item.proof is not None:
                yield from self._program(f"item #{item.n}, proof", item.proof)
            if item.proof is not None and file_of(item.proof.test_id) not in self.ground.tracked:
                yield Mistake(
                    where=f"item #{item.n}",
                    what=f"is said to be shown by {item.proof.test_id}, which the base has not",
                    hint="name a test that is there, or make its proof null",
                )

    def _test(self, station: PlanStation, test: Acceptance) -> Iterator[Mistake]:
        where = f"station {station.id}, acceptance of #{test.item}"
        item = self.items.get(test.item)
        if item is None:
            yield Mistake(where=where, what="is of no item of this plan", hint="take it out")
        elif item.action is Action.SECURITY:
            yield Mistake(
                where=where, what="is of an item set aside for a maintainer", hint="take it out"
            )
        elif item.root_cause_id not in station.root_cause_ids:
            yield Mistake(
                where=where,
                what=f"is of {item.root_cause_id}, which is no root cause of this station",
                hint="move it to that station, or add the root cause here",
            )
        file = file_of(test.test_id)
        if not _is_path(file):
            yield Mistake(
                where=where,
                what=f'"{test.test_id}" names no file of the repository',
                hint="write it as path/to/test_file.py::test_name",
            )
        elif not station.scope.allows(file):
            yield Mistake(
                where=where,
                what=f"{file} is not in the station's scope",
                hint=f'add "{file}" to its scope.write',
            )
        yield from self._program(where, test)

    def _program(self, where: str, test: Acceptance) -> Iterator[Mistake]:
        programs = _programs(self.ground.stations)
        if test.command and (not programs or test.command[0] in programs):
            return
        named = test.command[0] if test.command else ""
        yield Mistake(
            where=where,
            what=f'"{named}" is no program of this line',
            hint=f"begin the command with one of: {listed(sorted(programs))}",
        )

    def _stations(self) -> Iterator[Mistake]:
        """Each station has a name that a job can have, and writes only what is configured."""
        fixed = {spec.name for spec in self.ground.stations} - {
            spec.name for spec in self.ground.coding
        }
        for station in self.plan.stations:
            where = f"station {station.id}"
            if not ID_PATTERN.fullmatch(station.id):
                yield Mistake(
                    where=where,
                    what="is no id of a job",
                    hint="a-z, 0-9 and '-', at most 64, beginning with a letter or digit",
                )
            if station.id in fixed:
                yield Mistake(
                    where=where,
                    what="has the name of another station of this line",
                    hint="call it something else",
                )
            for name in station.root_cause_ids:
                if name not in self.causes:
                    yield Mistake(
                        where=where, what=f"names the unknown root cause {name}", hint="take it out"
                    )
            if not station.root_cause_ids:
                yield Mistake(
                    where=where, what="has no root cause", hint="say which it works on, or drop it"
                )
            yield from self._scope(station)
        homes = {name for station in self.plan.stations for name in station.root_cause_ids}
        for cause in self.plan.root_causes:
            worked = [
                number
                for number in cause.items
                if number in self.items and self.items[number].action in WORKED
            ]
            if worked and cause.id not in homes:
                yield Mistake(
                    where=f"root cause {cause.id}",
                    what=f"has {listed(f'#{number}' for number in worked)} to fix, but no station",
                    hint="add it to a station's root_cause_ids",
                )

    def _scope(self, station: PlanStation) -> Iterator[Mistake]:
        where = f"station {station.id}, scope"
        allowed = self.ground.coding
        if not any(not pattern.startswith("!") for pattern in station.scope.write):
            yield Mistake(
                where=where, what="writes nothing", hint="name the files that it may write"
            )
        holes = tuple(pattern for pattern in station.scope.write if pattern.startswith("!"))
        for pattern in station.scope.write:
            if pattern.startswith("!"):
                continue
            one = glob(pattern)
            path = "/".join(one.head) if one.whole else ""
            if path and not station.scope.allows(path):
                continue
            if path and (why := _guarded(path, self.ground)):
                yield Mistake(
                    where=where,
                    what=f"{path} {why}",
                    hint="take it out: only a person changes it",
                )
            if allowed and not any(holds(spec, pattern, holes) for spec in allowed):
                names = listed(spec.name for spec in allowed)
                yield Mistake(
                    where=where,
                    what=f"{pattern} is not inside the scope of a coding station ({names})",
                    hint="name files that those may write, or widen one in factory.toml",
                )

    def _order(self) -> Iterator[Mistake]:
        """Check that the waves hold each station once, after those that it depends on."""
        order: TopologicalSorter[str] = TopologicalSorter()
        waves = {name: place for place, wave in enumerate(self.plan.waves) for name in wave}
        for station in self.plan.stations:
            order.add(station.id)
            for need in station.depends_on:
                if need not in self.stations:
                    yield Mistake(
                        where=f"station {station.id}",
                        what=f"depends on {need}, which is no station of this plan",
                        hint="take it out of depends_on",
                    )
                    continue
                order.add(station.id, need)
                if waves.get(need, -1) >= waves.get(station.id, len(waves)) and need != station.id:
                    yield Mistake(
                        where=f"station {station.id}",
                        what=f"is in a wave that is not after {need}, on which it depends",
                        hint=f"move it to a wave behind that of {need}",
                    )
        try:
            order.prepare()
        except CycleError as error:
            ring = " -> ".join(error.args[1])
            yield Mistake(
                where="stations", what=f"depend on each other: {ring}", hint="break the ring"
            )
        names = [name for wave in self.plan.waves for name in wave]
        for name in _twice(names):
            yield Mistake(where=f"station {name}", what="is in two waves", hint="leave it in one")
        for name in dict.fromkeys(names):
            if name not in self.stations:
                yield Mistake(
                    where="waves", what=f"name {name}, which is no station", hint="take it out"
                )
        for name in self.stations:
            if name not in waves:
                yield Mistake(where=f"station {name}", what="is in no wave", hint="put it into one")
        for place, wave in enumerate(self.plan.waves):
            if not wave:
                yield Mistake(where=f"waves[{place}]", what="is empty", hint="take it out")

    def _apart(self) -> Iterator[Mistake]:
        """Two stations of one wave write no file that both could."""
        made = {
            file_of(test.test_id) for station in self.plan.stations for test in station.acceptance
        }
        whole = {
            "/".join(known.head)
            for station in self.plan.stations
            for pattern in station.scope.write
            if (known := glob(pattern)).whole
        }
        paths = self.ground.tracked | made | whole
        for wave in self.plan.waves:
            mates = [self.stations[name] for name in dict.fromkeys(wave) if name in self.stations]
            for one, other in combinations(mates, 2):
                if not one.scope.overlaps(other.scope):
                    continue
                both = [path for path in files_in(one.scope, paths) if other.scope.allows(path)]
                if both:
                    yield Mistake(
                        where=f"stations {one.id} and {other.id}",
                        what=f"are in one wave and both may write {listed(both, most=_NAMED)}",
                        hint="give it to one of them, or let one depend on the other, a wave later",
                    )

    def _budgets(self) -> Iterator[Mistake]:
        """All stations together stay within what the run may spend."""
        run, stations = self.ground.budget, self.plan.stations
        tokens = sum(station.budget.tokens or 0 for station in stations)
        dollars = sum((station.budget.usd or Decimal(0) for station in stations), Decimal(0))
        hint = "lower them, or raise the run's: [line] budget, --budget"
        if run.tokens is not None and tokens > run.tokens:
            what = f"have {tokens:,} tokens together; the run has {run.tokens:,}"
            yield Mistake(where="budgets", what=what, hint=hint)
        if run.dollars is not None and dollars > run.dollars:
            what = f"have {dollars:f} USD together; the run has {run.dollars:f}"
            yield Mistake(where="budgets", what=what, hint=hint)
        if run.seconds is None:
            return
        longest = sum(
            max(
                (self.stations[name].budget.seconds or 0 for name in wave if name in self.stations),
                default=0,
            )
            for wave in self.plan.waves
        )
        if longest > run.seconds:
            what = f"let the waves take {longest:.0f} s; the run has {run.seconds:.0f}"
            yield Mistake(where="budgets", what=what, hint=hint)

    def _delivery(self) -> Iterator[Mistake]:
        delivery = self.plan.delivery
        many = len(delivery.branches)
        if delivery.mode == "one-pr" and many != 1:
            yield Mistake(
                where="delivery",
                what=f"is one pull request with {count(many, 'branch', 'branches')}",
                hint="name one branch, or make it a stack",
            )
        if delivery.mode == "stack" and not 1 < many <= STACK:
            yield Mistake(
                where="delivery",
                what=f"is a stack of {many}",
                hint=f"a stack has 2 to {STACK} branches",
            )
        for name in delivery.branches:
            slug = name.removeprefix("factory/pr/")
            if slug == name or not ID_PATTERN.fullmatch(slug):
                yield Mistake(
                    where="delivery",
                    what=f'"{name}" is no branch of ours',
                    hint="write factory/pr/ and a slug of a-z, 0-9 and '-'",
                )
        for name in _twice(delivery.branches):
            yield Mistake(where="delivery", what=f"names {name} twice", hint="name it once")

    def _told(self) -> Iterator[Mistake]:
        """Check that closing and credit speak of items that they can speak of."""
        for closing in self.plan.closing:
            item = self.items.get(closing.item)
            where = f"closing of #{closing.item}"
            if item is None:
                yield Mistake(where=where, what="is of no item of this plan", hint="take it out")
            elif closing.keyword != "none" and (
                item.kind == "pull" or item.action in {Action.SECURITY, Action.LEAVE}
            ):
                yield Mistake(
                    where=where,
                    what=f"closes an item that is not fixed here ({item.kind}, {item.action})",
                    hint='make its keyword "none"',
                )
        for number in _twice([closing.item for closing in self.plan.closing]):
            yield Mistake(where=f"closing of #{number}", what="is there twice", hint="name it once")
        said = {closing.item for closing in self.plan.closing}
        for item in self.plan.items:
            if item.action in WORKED and item.n not in said:
                yield Mistake(
                    where=f"item #{item.n}",
                    what="is worked on, but `closing` does not say what becomes of it",
                    hint='add {"item": N, "keyword": "Fixes" or "none", "gate": "..."}',
                )
        for credit in self.plan.credit:
            item = self.items.get(credit.pr)
            if item is None or item.kind != "pull":
                yield Mistake(
                    where=f"credit of {credit.login}",
                    what=f"#{credit.pr} is no pull request of this plan",
                    hint="name one of its items, or take it out",
                )
            elif item.action is Action.SECURITY:
                yield Mistake(
                    where=f"credit of {credit.login}",
                    what=f"#{credit.pr} was set aside for a maintainer",
                    hint="take it out",
                )
        for number in _twice([credit.pr for credit in self.plan.credit]):
            yield Mistake(where=f"credit of #{number}", what="is there twice", hint="name it once")


def holds(spec: StationSpec, pattern: str, holes: tuple[str, ...]) -> bool:
    """Say whether a coding station may write what a plan's pattern means, but for ``holes``."""
    one = glob(pattern)
    path = "/".join(one.head) if one.whole else ""
    return spec.scope.allows(path) if path else Scope(write=(pattern, *holes)).inside(spec.scope)


def _guarded(path: str, ground: Ground) -> str:
    why = protected(path, new=path not in ground.tracked, extra=ground.protect, made=())
    return why or ("belongs to the integrator alone" if is_noise(path) else "")


def _programs(stations: Sequence[StationSpec]) -> frozenset[str]:
    given: list[Argv] = [spec.run for spec in stations]
    given += [words for spec in stations for words in spec.commands]
    return frozenset(words[0] for words in given if words)


def _is_path(path: str) -> bool:
    parts = path.split("/")
    return path.isprintable() and all(part not in {"", ".", "..", ".git"} for part in parts)


def _twice(names: Collection[Name]) -> list[Name]:
    return [name for name, many in Counter(names).items() if many > 1]


def _home(homes: Sequence[str]) -> str:
    return homes[0] if homes else "no root cause"
