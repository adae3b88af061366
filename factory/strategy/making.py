"""From a survey to a plan: what is done about each item, where, by which stations, and why so.

What a person has to decide is left to a person: an item that nobody classified waits, with a
station and a test prepared, until somebody writes what is to be done about it.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Final

from factory.strategy import accepting, carving, files, rules
from factory.strategy.accepting import Runner
from factory.strategy.carving import Carved, Draft, Need, Terms
from factory.strategy.deciding import Decided, causes_of, decide
from factory.strategy.document import SCHEMA
from factory.strategy.files import Told
from factory.strategy.lining import holder
from factory.strategy.stating import Stated
from factory.strategy.values import (
    LOGIN,
    WORKED,
    Acceptance,
    Action,
    Allowance,
    Bounds,
    Closing,
    Credit,
    Delivery,
    Found,
    Plan,
    PlanItem,
    PlanStation,
    RootCause,
)
from factory.survey.values import Candidate, Class, Survey
from factory.wording import clean, cut
from stations.contract import Kind, StationSpec
from worktrees.names import Oid
from worktrees.noise import is_noise
from worktrees.protection import protected
from worktrees.scope import Scope
from worktrees.testfiles import is_test

GATE: Final = "its test fails on the base and passes on what lands, three times of three"
_WORDS: Final = re.compile(r"[^a-z0-9]+")
_SLUG: Final = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Author:
    """Who made a pull request, by the forge's own word: login, number of the account, commits."""

    login: str
    id: int
    commits: tuple[str, ...]
    added: Mapping[str, int] = field(default_factory=dict)
    """The lines that it adds to each file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Land:
    """What a plan is made on: the base, its files, the line, and what bounds a pull request."""

    base: Oid
    tracked: tuple[str, ...]
    rules: rules.Ground
    limits: Bounds
    search: files.Ground
    now: Callable[[], datetime] = lambda: datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where more is read: the stored texts of items, the authors of pull requests, the words."""

    texts: Callable[[int], tuple[str, ...]]
    authors: Callable[[Sequence[int]], Mapping[int, Author]]
    state: Callable[[str, Sequence[RootCause], Sequence[PlanItem]], Stated]


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A plan, what a person should know of how it came about, and who put it into words."""

    plan: Plan
    notes: tuple[str, ...]
    by: str = ""


def make(survey: Survey, land: Land, sources: Sources) -> Made:
    """Give the plan of a survey; what is wrong with it by its own rules is for `rules` to say."""
    decided = decide(survey)
    credited = (*decided.built, *decided.replaced)
    authors = sources.authors(credited) if credited else {}
    causes = _with_files(survey, decided, land, sources, authors)
    stated = sources.state(survey.theme, causes, decided.items)
    causes = tuple(replace(cause, fix=stated.fixes.get(cause.id, cause.fix)) for cause in causes)
    runner = accepting.runner_of(
        (
            spec.run
            for spec in land.rules.stations
            if spec.kind is Kind.TEST and spec.required and spec.run
        ),
        land.tracked,
    )
    items = tuple(replace(item, proof=_proof(survey, item, land, runner)) for item in decided.items)
    carved = _carved(causes, items, land)
    items = _with_place(items, carved)
    stations = _stations(carved, causes, items, land, runner, stated)
    plan = Plan(
        schema=SCHEMA,
        repo=survey.repo,
        base_sha=land.base,
        theme=cut(clean(survey.theme), 1_000),
        created=land.now().replace(microsecond=0),
        items=items,
        root_causes=causes,
        strategy=stated.strategy,
        stations=stations,
        waves=carved.waves,
        delivery=_delivery(survey, carved, stations, land.limits),
        credit=tuple(_credit(survey, decided, authors)),
        closing=tuple(_closing(item) for item in items if _may_close(item)),
        left_out=decided.left,
    )
    known = (*_of_survey(survey), *carved.notes, *_fitted(carved, stations), *stated.notes)
    return Made(plan=plan, notes=known, by=stated.by)


def _of_survey(survey: Survey) -> list[str]:
    """Say what of the survey a plan cannot make good."""
    why = f" ({clean(survey.why)})" if survey.why else ""
    return [] if survey.complete else [f"the survey is not complete{why}: more may belong to it"]


def _with_files(
    survey: Survey,
    decided: Decided,
    land: Land,
    sources: Sources,
    authors: Mapping[int, Author],
) -> tuple[RootCause, ...]:
    known = {each.item.number: each for each in survey.candidates}
    aside = {item.n for item in decided.items if item.action is Action.SECURITY}
    found: list[RootCause] = []
    for cause in causes_of(survey, decided):
        told = [
            _told(known[number], decided, sources, authors)
            for number in cause.items
            if number not in aside
        ]
        where = files.files_of(land.search, told, files=cause.files, symbols=cause.symbols)
        found.append(
            RootCause(
                id=cause.id,
                statement=clean(cause.statement)[:2_000] or cause.id,
                files=tuple(each.path for each in where),
                symbols=tuple(
                    cut(clean(symbol), 200) for symbol in cause.symbols if symbol.strip()
                ),
                items=cause.items,
                found=where,
            )
        )
    return tuple(found)


def _told(
    candidate: Candidate, decided: Decided, sources: Sources, authors: Mapping[int, Author]
) -> Told:
    number = candidate.item.number
    evidence = next(item.evidence for item in decided.items if item.n == number)
    quotes = tuple(each.quote for each in evidence)
    author = authors.get(number)
    return Told(
        number=number,
        texts=(candidate.item.title, *quotes, *sources.texts(number)),
        files=candidate.item.files,
        added=author.added if author is not None else {},
    )


def _carved(causes: Sequence[RootCause], items: Sequence[PlanItem], land: Land) -> Carved:
    allowed = land.rules.coding
    needs: list[Need] = []
    for cause in causes:
        mine = [item for item in items if item.root_cause_id == cause.id]
        if not any(item.action in WORKED or item.action is Action.HUMAN for item in mine):
            continue  # all of it is fixed, or nobody asks for it any more
        may = [each for each in cause.found if _writable(each.path, allowed, land.rules)]
        needs.append(
            Need(
                cause=cause.id,
                code=tuple(each for each in may if not _is_beside(each.path)),
                beside=tuple(each for each in may if _is_beside(each.path) and _is_sure(each)),
                items=len(mine),
            )
        )
    timeouts = [spec.timeout for spec in allowed] or [1200.0]
    fixed = {str(spec.name) for spec in land.rules.stations if spec not in allowed}
    terms = Terms(
        budget=land.rules.budget,
        timeout=max(timeouts),
        most_files=min(carving.MOST_FILES, land.limits.files),
        taken=frozenset(fixed),
    )
    return carving.carve(needs, terms)


def _with_place(items: Sequence[PlanItem], carved: Carved) -> tuple[PlanItem, ...]:
    """Leave to a person what no station can cure, since nothing leads to a file for it."""
    homes = {cause for draft in carved.stations for cause in draft.home}
    why = "nothing leads to a file for it: give its root cause to a station, with the files"
    return tuple(
        replace(item, action=Action.HUMAN, why=why)
        if item.action in WORKED and item.root_cause_id not in homes
        else item
        for item in items
    )


def _is_beside(path: str) -> bool:
    return is_test(path) or files.is_text(path)


def _is_sure(found: Found) -> bool:
    """Say whether somebody's change touched a test or text, or it tests the files in question."""
    return any(reason.startswith(("pull request ", "it tests ")) for reason in found.reasons)


def _writable(path: str, allowed: Sequence[StationSpec], ground: rules.Ground) -> bool:
    if is_noise(path) or protected(path, new=False, extra=ground.protect, made=()):
        return False
    return not allowed or any(spec.scope.allows(path) for spec in allowed)


def _stations(
    carved: Carved,
    causes: Sequence[RootCause],
    items: Sequence[PlanItem],
    land: Land,
    runner: Runner,
    stated: Stated,
) -> tuple[PlanStation, ...]:
    taken: set[str] = set()
    tests: list[tuple[Acceptance, ...]] = []
    for draft in carved.stations:
        asked = [
            item
            for item in items
            if item.root_cause_id in draft.home
            and item.kind == "issue"
            and (item.action in WORKED or item.action is Action.HUMAN)
        ]
        tests.append(_tests(draft, causes, asked, land, runner, stated, taken))
    sizes = [
        (len(draft.files), len(mine)) for draft, mine in zip(carved.stations, tests, strict=True)
    ]
    terms = Terms(
        budget=land.rules.budget,
        timeout=max([spec.timeout for spec in land.rules.coding] or [1200.0]),
    )
    allowances = carving.allowances(sizes, terms, waves=len(carved.waves))
    return tuple(
        _station(draft, mine, allowance, land)
        for draft, mine, allowance in zip(carved.stations, tests, allowances, strict=True)
    )


def _tests(
    draft: Draft,
    causes: Sequence[RootCause],
    asked: Sequence[PlanItem],
    land: Land,
    runner: Runner,
    stated: Stated,
    taken: set[str],
) -> tuple[Acceptance, ...]:
    """Name a test for each item: all in one new file, or in one each where none can be chosen."""
    near = [
        *draft.files,
        *(path for cause in causes if cause.id in draft.home for path in cause.files),
    ]
    allowed = _test_directories(land)
    known = {item.n: item for item in asked}
    found: dict[int, Acceptance] = {}
    file = ""
    for item in sorted(asked, key=lambda each: each.action is Action.COVERED):
        first = known.get(item.of) if item.of is not None else None
        if first is not None and first.n in found and _told_alike(item, first):
            found[item.n] = replace(found[first.n], item=item.n)
            continue
        if not file or not runner.kind:
            name = draft.id if runner.kind else f"{draft.id}_{item.n}"
            file = accepting.test_file(
                runner, name, near=near, tracked=land.tracked, allowed=allowed, taken=taken
            )
            taken.add(file)
        name = stated.names.get(item.n, "")
        found[item.n] = accepting.acceptance(runner, file, item.n, name=name)
    return tuple(found[item.n] for item in asked)


def _told_alike(one: PlanItem, other: PlanItem) -> bool:
    """Say whether two reports use the same words, so that one test shows both."""
    return (one.title.lower(), {each.quote for each in one.evidence}) == (
        other.title.lower(),
        {each.quote for each in other.evidence},
    )


def _test_directories(land: Land) -> tuple[str, ...]:
    """Give the directories of tests that a coding station may write, most tests first."""
    coding = land.rules.coding
    counts: dict[str, int] = {}
    for path in land.tracked:
        directory = path.rpartition("/")[0]
        if is_test(path) and directory and _may_hold(directory, coding):
            counts[directory] = counts.get(directory, 0) + 1
    known = sorted(counts, key=lambda one: (-counts[one], one))
    if known:
        return tuple(known)
    return ("tests",) if _may_hold("tests", coding) else ()


def _may_hold(directory: str, coding: Sequence[StationSpec]) -> bool:
    return not coding or any(spec.scope.allows(f"{directory}/test_x.py") for spec in coding)


def _station(
    draft: Draft, tests: Sequence[Acceptance], allowance: Allowance, land: Land
) -> PlanStation:
    made = [accepting.file_of(test.test_id) for test in tests]
    paths = dict.fromkeys([*draft.files, *made])
    station = PlanStation(
        id=draft.id,
        root_cause_ids=draft.causes,
        scope=Scope(write=tuple(carving.literal(path) for path in paths)),
        depends_on=draft.depends_on,
        budget=allowance,
        acceptance=tuple(tests),
    )
    found = holder(station, land.rules.stations, land.tracked)
    return (
        station
        if found is None
        else replace(station, scope=replace(station.scope, read=found.scope.read))
    )


def _proof(survey: Survey, item: PlanItem, land: Land, runner: Runner) -> Acceptance | None:
    """Give the test that a merged pull request brought for what it is said to have fixed."""
    if item.action is not Action.ALREADY_FIXED or item.of is None:
        return None
    files_of = next(
        (each.item.files for each in survey.candidates if each.item.number == item.of), ()
    )
    tests = [
        path
        for path in files_of
        if path in land.tracked and is_test(path) and len(path) <= files.LONGEST
    ]
    return next(
        (
            found
            for path in tests
            if PurePosixPath(path).name not in {"__init__.py", "conftest.py"}
            and (found := accepting.existing(runner, path, item.n)) is not None
        ),
        None,
    )


def _delivery(
    survey: Survey, carved: Carved, stations: Sequence[PlanStation], limits: Bounds
) -> Delivery:
    """Foresee one pull request or a stack: what lands is measured again before it is offered."""
    touched = {pattern for station in stations for pattern in station.scope.write}
    lines = sum(
        carving.lines_of(len(draft.files), len(station.acceptance))
        for draft, station in zip(carved.stations, stations, strict=True)
    )
    slug = _WORDS.sub("-", clean(survey.theme or survey.query).lower()).strip("-")
    slug = (slug[:_SLUG].rpartition("-")[0] or slug[:_SLUG]) if len(slug) > _SLUG else slug
    name = f"factory/pr/{slug.strip('-') or 'survey'}"
    large = len(touched) > limits.files or lines > limits.lines
    parts = min(rules.STACK, max(2, -(-lines // limits.lines), -(-len(touched) // limits.files)))
    if large and len(stations) > 1:
        parts = min(parts, len(stations))
        branches = tuple(f"{name}-{number}" for number in range(1, parts + 1))
        return Delivery(mode="stack", branches=branches, limits=limits)
    return Delivery(mode="one-pr", branches=(name,), limits=limits)


def _credit(
    survey: Survey, decided: Decided, authors: Mapping[int, Author]
) -> "Collection[Credit]":
    known = {each.item.number: each.item for each in survey.candidates}
    found: list[Credit] = []
    for number in (*decided.built, *decided.replaced):
        author = authors.get(number)
        found.append(
            Credit(
                login=_login(author.login if author is not None else known[number].author),
                id=author.id if author is not None and author.id else None,
                pr=number,
                commits=author.commits if author is not None else (),
                how="co-author" if number in decided.built else "mention",
            )
        )
    return found


def _login(told: str) -> str:
    """Give a login as the forge would; a hand-edited survey may hold anything in its place."""
    return told if re.match(LOGIN, told) and told.isascii() else "ghost"


def _may_close(item: PlanItem) -> bool:
    return item.action in WORKED or item.action in {
        Action.HUMAN,
        Action.ALREADY_FIXED,
        Action.CLOSE_AFTER_MERGE,
    }


def _closing(item: PlanItem) -> Closing:
    match item.action:
        case Action.FIX | Action.COVERED:
            return Closing(item=item.n, keyword="Fixes", gate=GATE)
        case Action.HUMAN if item.kind == "issue" and item.verdict is not Class.SECURITY:
            return Closing(item=item.n, keyword="Fixes", gate=f"a person says so, and {GATE}")
        case Action.ALREADY_FIXED:
            return Closing(
                item=item.n, keyword="none", gate="a maintainer closes it, with the test"
            )
        case _:
            return Closing(
                item=item.n, keyword="none", gate="a maintainer closes it after the merge"
            )


def _fitted(carved: Carved, stations: Sequence[PlanStation]) -> list[str]:
    placed = {cause for draft in carved.stations for cause in draft.causes}
    told = [] if placed else ["no root cause leads to a file that may be written"]
    return told + [
        f"station {station.id} has no test of its own: it makes what others stand upon"
        for station in stations
        if not station.acceptance
    ]
