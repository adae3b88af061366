"""Surveys of a small repository, the ground that their plans stand on, and random ones."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

from hypothesis import strategies as some

from factory.strategy import rules
from factory.strategy.files import Ground as Search
from factory.strategy.making import Author, Land, Made, Sources, make
from factory.strategy.stating import Stated, template
from factory.strategy.values import Bounds, Plan, PlanItem, RootCause
from factory.survey.values import (
    Candidate,
    Cause,
    Class,
    Finding,
    Item,
    ItemKind,
    ItemState,
    Quote,
    Survey,
)
from stations.contract import Agent, Budget, Kind, Spend, StationSpec
from worktrees.names import Oid, StationName
from worktrees.scope import Scope

NOW = datetime(2026, 11, 21, 17, 20, tzinfo=UTC)
BASE = Oid("ab" * 20)
HEAD = "cd" * 20
TRACKED = (
    *("README.md", "CHANGELOG.md", "uv.lock", ".github/workflows/ci.yml", "conftest.py"),
    *("src/net/__init__.py", "src/net/proxy.py", "src/net/rules.py", "src/net/auth.py"),
    *("src/net/url.py", "src/net/pool.py", "src/net/errors.py", "docs/proxies.md"),
    *("tests/test_proxy.py", "tests/test_rules.py", "tests/test_url.py"),
)
RUN = ("python", "-P", "-m", "pytest", "-q")
CODE = StationSpec(
    name=StationName("code"),
    kind=Kind.CODE,
    scope=Scope(write=("src/**", "tests/**", "docs/**")),
    agent=Agent(runtime="sdk", model="medium"),
    timeout=600.0,
)
TESTS = StationSpec(
    name=StationName("tests"), kind=Kind.TEST, scope=Scope(), run=RUN, required=True
)
REPAIR = StationSpec(
    name=StationName("repair"),
    kind=Kind.CLEANUP,
    scope=Scope(write=("**",)),
    agent=Agent(runtime="sdk", model="small"),
)
BUDGET = Budget(tokens=5_000_000, dollars=Decimal(20), seconds=3_600.0)
GROUND = rules.Ground(tracked=frozenset(TRACKED), stations=(CODE, TESTS, REPAIR), budget=BUDGET)


def item(
    number: int,
    *,
    title: str = "",
    kind: ItemKind = "issue",
    state: ItemState = "open",
    author: str = "mona",
    files: tuple[str, ...] = (),
) -> Candidate:
    """Give a candidate as a survey's document holds it: without its body."""
    one = Item(
        number=number,
        kind=kind,
        title=title or f"Item {number} fails",
        body="",
        state=state,
        author=author,
        association="NONE",
        labels=(),
        created=NOW,
        updated=NOW,
        url=f"http://127.0.0.1/octo/ferry/issues/{number}",
        comments=0,
        head_sha=HEAD if kind == "pull" else "",
        files=files,
    )
    return Candidate(item=one, score=1.0, reasons=(), distance=None, links=())


def finding(
    number: int, verdict: Class, cause: str | None = None, *, of: int | None = None, why: str = ""
) -> Finding:
    """Give what a reader made of an item."""
    return Finding(
        number=number,
        verdict=verdict,
        cause=cause,
        of=of,
        confidence=0.9,
        evidence=(Quote(source="title", quote=f"Item {number} fails"),),
        why=why,
    )


def cause(name: str, items: Sequence[int], *files: str, statement: str = "") -> Cause:
    """Give a root cause."""
    return Cause(
        id=name,
        statement=statement or f"{name} is wrong.",
        files=files,
        symbols=(),
        items=tuple(items),
    )


def survey(
    candidates: Sequence[Candidate],
    findings: Sequence[Finding],
    causes: Sequence[Cause],
    *,
    quarantined: Sequence[tuple[int, str]] = (),
    classified: bool = True,
    theme: str = "proxy handling",
) -> Survey:
    """Give a survey of these parts."""
    return Survey(
        repo="octo/ferry",
        query="proxy handling",
        seeds=(),
        created=NOW,
        complete=True,
        why="",
        theme=theme,
        classified=classified,
        model="claude-sonnet-5-5" if classified else "",
        asked=len(candidates),
        agreement=1.0 if classified else None,
        requests=3,
        waited=0.0,
        spend=Spend(),
        candidates=tuple(candidates),
        findings=tuple(findings),
        causes=tuple(causes),
        quarantined=tuple(quarantined),
        left_out=(),
    )


def sample() -> Survey:
    """Give a survey with everything in it: copies, a fixed one, one in flight, one for a person."""
    return survey(
        [
            item(1),
            item(2),
            item(3),
            item(4),
            item(5),
            item(6),
            item(7),
            item(8),
            item(20, kind="pull", state="merged", files=("src/net/auth.py", "tests/test_rules.py")),
            item(21, kind="pull", author="hubot", files=("src/net/pool.py", "CHANGELOG.md")),
            item(22, kind="pull", author="zoe"),
        ],
        [
            finding(1, Class.CANONICAL, "rc-1"),
            finding(2, Class.DUPLICATE, "rc-1", of=1),
            finding(3, Class.CANONICAL, "rc-2"),
            finding(4, Class.FIXED_BY_CANDIDATE, "rc-3", of=20),
            finding(5, Class.FIXED_BY_CANDIDATE, "rc-4", of=21),
            finding(6, Class.INDEPENDENT),
            finding(7, Class.NEEDS_HUMAN),
            finding(8, Class.RELATED, "rc-2"),
            finding(20, Class.RELATED, "rc-3"),
            finding(21, Class.RELATED, "rc-4"),
            finding(22, Class.SUPERSEDED, "rc-1", of=1),
        ],
        [
            cause("rc-1", [1, 2, 22], "src/net/proxy.py"),
            cause("rc-2", [3, 8], "src/net/url.py"),
            cause("rc-3", [4, 20], "src/net/auth.py"),
            cause("rc-4", [5, 21], "src/net/pool.py"),
        ],
        quarantined=[(9, "bears a label of security")],
    )


def land(ground: rules.Ground = GROUND) -> Land:
    """Give what a plan is made on: nothing is searched in the files."""
    return Land(
        base=BASE,
        tracked=tuple(sorted(ground.tracked)),
        rules=ground,
        limits=Bounds(files=50, lines=800),
        search=Search(tracked=ground.tracked, grep=lambda _: (), related=_alone),
        now=lambda: NOW,
    )


def _alone(_: Collection[str]) -> list[tuple[str, float]]:
    return []


def made(
    found: Survey,
    ground: rules.Ground = GROUND,
    *,
    authors: Mapping[int, Author] | None = None,
    stated: Stated | None = None,
) -> Made:
    """Make the plan of a survey, in a model's words or in a template's."""
    known = authors or {}

    def state(theme: str, causes: Sequence[RootCause], _: Sequence[PlanItem]) -> Stated:
        return stated or template(theme, causes)

    sources = Sources(
        texts=lambda _: (),
        authors=lambda numbers: {number: known[number] for number in numbers if number in known},
        state=state,
    )
    return make(found, land(ground), sources)


def plan(ground: rules.Ground = GROUND) -> Plan:
    """Give the plan of the sample."""
    hubot = Author(login="hubot", id=7, commits=("ef" * 20,), added={"src/net/pool.py": 40})
    return made(sample(), ground, authors={21: hubot}).plan


def with_station(whole: Plan, name: str, **changes: object) -> Plan:
    """Give a plan in which one station is different."""
    stations = tuple(
        replace(each, **changes) if each.id == name else each for each in whole.stations
    )
    return replace(whole, stations=stations)


def with_item(whole: Plan, number: int, **changes: object) -> Plan:
    """Give a plan in which one item is different."""
    items = tuple(replace(each, **changes) if each.n == number else each for each in whole.items)
    return replace(whole, items=items)


_CODE = tuple(path for path in TRACKED if path.startswith("src/"))


@some.composite
def surveys(draw: some.DrawFn) -> Survey:
    """Give any survey that its document could hold: every class, kind and state, in any mixture."""
    many = draw(some.integers(1, 14))
    numbers = list(range(1, many + 1))
    candidates = []
    for number in numbers:
        kind: ItemKind = draw(some.sampled_from(["issue", "issue", "issue", "pull"]))
        states: list[ItemState] = (
            ["open", "closed"] if kind == "issue" else ["open", "closed", "merged"]
        )
        files = draw(some.lists(some.sampled_from(TRACKED), max_size=4, unique=True))
        candidates.append(
            item(
                number,
                kind=kind,
                state=draw(some.sampled_from(states)),
                files=tuple(files) if kind == "pull" else (),
            )
        )
    names = [f"rc-{number}" for number in range(1, draw(some.integers(1, 6)) + 1)]
    homes = {number: draw(some.sampled_from([None, *names])) for number in numbers}
    classified = draw(some.booleans())
    findings = []
    for number in numbers:
        verdict = draw(some.sampled_from([one for one in Class if one is not Class.SECURITY]))
        naming = verdict in {Class.DUPLICATE, Class.SUPERSEDED, Class.FIXED_BY_CANDIDATE}
        others = [other for other in numbers if other != number]
        of = draw(some.sampled_from(others)) if naming and others else None
        if naming and of is None:
            verdict = Class.RELATED
        if not classified:
            verdict, of = Class.UNCLASSIFIED, None
        findings.append(finding(number, verdict, homes[number], of=of))
    causes = [
        cause(
            name,
            [number for number in numbers if homes[number] == name],
            *draw(some.lists(some.sampled_from(_CODE), max_size=4, unique=True)),
        )
        for name in names
    ]
    quarantined = [(number, "set apart") for number in draw(some.sets(some.integers(90, 95)))]
    return survey(candidates, findings, causes, quarantined=quarantined, classified=classified)
