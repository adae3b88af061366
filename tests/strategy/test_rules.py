"""What a plan must hold: each way to break it is refused by name, with what to do."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest

from factory.strategy import rules
from factory.strategy.values import (
    Acceptance,
    Action,
    Allowance,
    Aside,
    Closing,
    Credit,
    Plan,
    RootCause,
)
from factory.survey.values import Class, Quote
from tests.strategy import scenes
from worktrees.scope import Scope

Break = Callable[[Plan], Plan]


def _station(name: str, **changes: object) -> Break:
    return lambda plan: scenes.with_station(plan, name, **changes)


def _item(number: int, **changes: object) -> Break:
    return lambda plan: scenes.with_item(plan, number, **changes)


def _cause(name: str, **changes: object) -> Break:
    def broken(plan: Plan) -> Plan:
        causes = tuple(
            replace(each, **changes) if each.id == name else each for each in plan.root_causes
        )
        return replace(plan, root_causes=causes)

    return broken


def _with(**changes: object) -> Break:
    return lambda plan: replace(plan, **changes)


def _scope(*write: str) -> Scope:
    return Scope(write=write)


def _write(name: str, *more: str) -> Break:
    def broken(plan: Plan) -> Plan:
        station = next(each for each in plan.stations if each.id == name)
        return scenes.with_station(plan, name, scope=_scope(*station.scope.write, *more))

    return broken


def _test(name: str, **changes: object) -> Break:
    def broken(plan: Plan) -> Plan:
        station = next(each for each in plan.stations if each.id == name)
        first, *rest = station.acceptance
        return scenes.with_station(plan, name, acceptance=(replace(first, **changes), *rest))

    return broken


BROKEN: dict[str, tuple[Break, str, str]] = {
    "an item that nobody holds": (
        _with(left_out=()),
        "item #6: is in no root cause and not in left_out",
        "put it into a root cause's items, or into left_out",
    ),
    "an item in two causes": (
        _cause("rc-2", items=(3, 8, 1)),
        "item #1: is in the root causes rc-1, rc-2",
        "leave it in one of them",
    ),
    "an item in a cause and left out": (
        lambda plan: replace(plan, left_out=(*plan.left_out, Aside(n=1, why="x"))),
        "item #1: is in rc-1 and in left_out",
        "take it out of one of the two",
    ),
    "a cause that names another item than the item does": (
        _item(3, root_cause_id="rc-1"),
        "item #3: has the root_cause_id rc-1, but rc-2 names it",
        "make the two agree",
    ),
    "an unknown item in a cause": (
        _cause("rc-2", items=(3, 8, 77)),
        "root cause rc-2: names #77, which is no item of this plan",
        "take it out of rc-2",
    ),
    "a cause without an item": (
        lambda plan: replace(
            plan, root_causes=(*plan.root_causes, RootCause(id="rc-9", statement="x", items=()))
        ),
        "root cause rc-9: has no item",
        "take the root cause out",
    ),
    "a fix without a test": (
        _station("url", acceptance=()),
        "item #3: has the action fix, but no acceptance test",
        "make its action leave",
    ),
    "a copy without a test": (
        lambda plan: scenes.with_station(plan, "proxy", acceptance=plan.stations[0].acceptance[:1]),
        "item #2: has the action covered, but no acceptance test",
        "make its action leave",
    ),
    "a test of an item that is not there": (
        _test("url", item=77),
        "station url, acceptance of #77: is of no item of this plan",
        "take it out",
    ),
    "a test outside of its station's scope": (
        _test("url", test_id="tests/other.py::test_it"),
        "tests/other.py is not in the station's scope",
        'add "tests/other.py" to its scope.write',
    ),
    "a test that leaves the repository": (
        _test("url", test_id="../evil.py::test_it"),
        '"../evil.py::test_it" names no file of the repository',
        "path/to/test_file.py::test_name",
    ),
    "a test by a program of its own": (
        _test("url", command=("curl", "http://127.0.0.1")),
        '"curl" is no program of this line',
        "begin the command with one of: python",
    ),
    "a proof by a program of its own": (
        _item(4, proof=Acceptance(item=4, test_id="tests/test_rules.py", command=("curl", "x"))),
        'item #4, proof: "curl" is no program of this line',
        "begin the command with one of: python",
    ),
    "a proof that the base has not": (
        _item(4, proof=Acceptance(item=4, test_id="tests/no.py", command=scenes.RUN)),
        "shown by tests/no.py, which the base has not",
        "make its proof null",
    ),
    "a test in another cause's station": (
        _test("url", item=5),
        "is of rc-4, which is no root cause of this station",
        "move it to that station",
    ),
    "two stations of a wave with one file": (
        _write("url", "src/net/proxy.py"),
        "stations proxy and url: are in one wave and both may write src/net/proxy.py",
        "give it to one of them",
    ),
    "two stations of a wave with one new file": (
        _write("url", "tests/test_proxy_issues.py"),
        "both may write tests/test_proxy_issues.py",
        "give it to one of them",
    ),
    "a glob over another's file": (
        _write("url", "src/net/**"),
        "stations proxy and url: are in one wave and both may write src/net/proxy.py",
        "a wave later",
    ),
    "a ring": (
        lambda plan: scenes.with_station(
            scenes.with_station(plan, "url", depends_on=("pool",)), "pool", depends_on=("url",)
        ),
        "stations: depend on each other: ",
        "break the ring",
    ),
    "a station that depends on itself": (
        _station("url", depends_on=("url",)),
        "stations: depend on each other: url -> url",
        "break the ring",
    ),
    "a station before what it needs": (
        _station("url", depends_on=("pool",)),
        "station url: is in a wave that is not after pool",
        "move it to a wave behind that of pool",
    ),
    "an unknown need": (
        _station("url", depends_on=("nobody",)),
        "station url: depends on nobody, which is no station of this plan",
        "take it out of depends_on",
    ),
    "a station in no wave": (
        _with(waves=(("proxy", "url"),)),
        "station pool: is in no wave",
        "put it into one",
    ),
    "a station in two waves": (
        _with(waves=(("proxy", "url", "pool"), ("url",))),
        "station url: is in two waves",
        "leave it in one",
    ),
    "an unknown station in a wave": (
        _with(waves=(("proxy", "url", "pool", "nobody"),)),
        "waves: name nobody, which is no station",
        "take it out",
    ),
    "an empty wave": (
        _with(waves=(("proxy", "url", "pool"), ())),
        "waves[1]: is empty",
        "take it out",
    ),
    "a name that no job can have": (
        _station("url", id="Url!"),
        "station Url!: is no id of a job",
        "a-z, 0-9",
    ),
    "the name of the tests": (
        _station("url", id="tests"),
        "station tests: has the name of another station of this line",
        "call it something else",
    ),
    "a station twice": (
        lambda plan: replace(plan, stations=(*plan.stations, plan.stations[0])),
        "station proxy: is there twice",
        "keep one of them",
    ),
    "an unknown cause of a station": (
        _station("url", root_cause_ids=("rc-2", "rc-77")),
        "station url: names the unknown root cause rc-77",
        "take it out",
    ),
    "a cause without a station": (
        _station("url", root_cause_ids=("rc-3",)),
        "root cause rc-2: has #3, #8 to fix, but no station",
        "root_cause_ids",
    ),
    "a scope outside of the configuration": (
        _write("url", "scripts/run.sh"),
        "station url, scope: scripts/run.sh is not inside the scope of a coding station (code)",
        "widen one in factory.toml",
    ),
    "a scope of everything": (
        _write("url", "**"),
        "station url, scope: ** is not inside the scope of a coding station (code)",
        "widen one in factory.toml",
    ),
    "a workflow in a scope": (
        _write("url", ".github/workflows/ci.yml"),
        ".github/workflows/ci.yml decides what is checked",
        "only a person changes it",
    ),
    "a lockfile in a scope": (
        _write("url", "/uv.lock"),
        "uv.lock pins what is installed",
        "only a person changes it",
    ),
    "the changelog in a scope": (
        _write("url", "/CHANGELOG.md"),
        "CHANGELOG.md belongs to the integrator alone",
        "take it out",
    ),
    "a scope of nothing": (
        _station("url", scope=_scope("!src/**")),
        "station url, scope: writes nothing",
        "name the files",
    ),
    "more tokens than the run has": (
        _station("url", budget=Allowance(tokens=6_000_000)),
        "the run has 5,000,000",
        "raise the run's",
    ),
    "more dollars than the run has": (
        _station("url", budget=Allowance(usd=Decimal(21))),
        "USD together; the run has 20",
        "raise the run's",
    ),
    "more time than the run has": (
        _station("url", budget=Allowance(seconds=4_000.0)),
        "let the waves take 4000 s; the run has 3600",
        "raise the run's",
    ),
    "a security report that is fixed": (
        _item(1, verdict=Class.SECURITY),
        "item #1: is of the class security with the action fix",
        "a security report is set aside by both",
    ),
    "a security report in a cause": (
        _item(1, verdict=Class.SECURITY, action=Action.SECURITY),
        "item #1: was set aside for a maintainer, but is in rc-1",
        "no station may see it",
    ),
    "the words of a security report": (
        _item(6, verdict=Class.SECURITY, action=Action.SECURITY),
        "item #6: was set aside for a maintainer, but its words stand here",
        "evidence []",
    ),
    "a pull request that is fixed": (
        _item(21, action=Action.FIX),
        "item #21: is a pull request with the action fix",
        "only issues are fixed",
    ),
    "a fix without a cause": (
        _item(6, action=Action.FIX),
        "item #6: has the action fix, but no root cause",
        "put it into a root cause",
    ),
    "an item that is a copy of itself": (
        _item(2, of=2),
        "item #2: is a copy of itself",
        "correct its `of`",
    ),
    "a keyword for what is left": (
        lambda plan: replace(
            plan, closing=(*plan.closing, Closing(item=6, keyword="Fixes", gate=""))
        ),
        "closing of #6: closes an item that is not fixed here (issue, leave)",
        'make its keyword "none"',
    ),
    "a fix whose end is not said": (
        _with(closing=()),
        "item #1: is worked on, but `closing` does not say what becomes of it",
        '"gate"',
    ),
    "credit for what is no pull request": (
        _with(credit=(Credit(login="mona", id=1, pr=1, how="mention"),)),
        "credit of mona: #1 is no pull request of this plan",
        "take it out",
    ),
    "one pull request on two branches": (
        lambda plan: replace(
            plan,
            delivery=replace(plan.delivery, branches=("factory/pr/a", "factory/pr/b")),
        ),
        "delivery: is one pull request with 2 branches",
        "make it a stack",
    ),
    "a stack that is too high": (
        lambda plan: replace(
            plan,
            delivery=replace(
                plan.delivery,
                mode="stack",
                branches=tuple(f"factory/pr/x-{place}" for place in range(6)),
            ),
        ),
        "delivery: is a stack of 6",
        "2 to 5 branches",
    ),
    "an item twice in a cause": (
        _cause("rc-2", items=(3, 8, 8)),
        "root cause rc-2: names #8 twice",
        "name it once",
    ),
    "an item left out twice": (
        lambda plan: replace(plan, left_out=(*plan.left_out, *plan.left_out)),
        "left_out #6: is there twice",
        "name it once",
    ),
    "a station without a cause": (
        _station("url", root_cause_ids=()),
        "station url: has no root cause",
        "say which it works on",
    ),
    "the end of an unknown item": (
        lambda plan: replace(
            plan, closing=(*plan.closing, Closing(item=77, keyword="none", gate=""))
        ),
        "closing of #77: is of no item of this plan",
        "take it out",
    ),
    "two ends of an item": (
        lambda plan: replace(plan, closing=(*plan.closing, plan.closing[0])),
        "closing of #1: is there twice",
        "name it once",
    ),
    "credit twice": (
        lambda plan: replace(plan, credit=(*plan.credit, plan.credit[0])),
        "credit of #21: is there twice",
        "name it once",
    ),
    "credit for what was set aside": (
        lambda plan: scenes.with_item(
            plan, 21, verdict=Class.SECURITY, action=Action.SECURITY, title="", evidence=()
        ),
        "credit of hubot: #21 was set aside for a maintainer",
        "take it out",
    ),
    "a branch twice": (
        lambda plan: replace(
            plan,
            delivery=replace(
                plan.delivery, mode="stack", branches=("factory/pr/a", "factory/pr/a")
            ),
        ),
        "delivery: names factory/pr/a twice",
        "name it once",
    ),
    "a branch of somebody else's": (
        lambda plan: replace(plan, delivery=replace(plan.delivery, branches=("main",))),
        'delivery: "main" is no branch of ours',
        "factory/pr/",
    ),
}


@pytest.mark.parametrize("how", BROKEN)
def test_each_broken_rule_is_refused_by_name(how: str) -> None:
    """The refusal names the item or the station, what is wrong, and what to do."""
    broken, said, remedy = BROKEN[how]

    found = rules.mistakes(broken(scenes.plan()), scenes.GROUND)

    lines = [f"{each.where}: {each.what}" for each in found]
    assert any(said in line for line in lines), lines
    assert any(remedy in each.hint for each, line in zip(found, lines, strict=True) if said in line)


def test_all_mistakes_are_told_at_once() -> None:
    """Who edits a plan learns everything in one look."""
    plan = scenes.with_item(scenes.plan(), 6, action=Action.FIX)
    plan = scenes.with_station(
        plan, "url", depends_on=("nobody",), budget=Allowance(usd=Decimal(99))
    )

    found = rules.mistakes(plan, scenes.GROUND)

    assert len({each.where for each in found}) >= 3
    assert all(each.hint for each in found)


def test_stations_of_different_waves_may_write_the_same_file() -> None:
    """What comes later may touch what is done by then."""
    plan = scenes.with_station(scenes.plan(), "url", depends_on=("proxy",))
    station = next(each for each in plan.stations if each.id == "url")
    write = (*station.scope.write, "src/net/proxy.py")
    plan = scenes.with_station(plan, "url", scope=_scope(*write))

    plan = replace(plan, waves=(("proxy", "pool"), ("url",)))

    assert rules.mistakes(plan, scenes.GROUND) == ()


def test_a_protected_file_in_a_wide_scope_is_said() -> None:
    """A glob may hold what only a person changes; the plan says so instead of hiding it."""
    ground = replace(scenes.GROUND, tracked=scenes.GROUND.tracked | {"tests/conftest.py"})
    plan = replace(scenes.plan(), waves=(("proxy",), ("url",), ("pool",)))
    plan = scenes.with_station(plan, "pool", scope=_scope("src/net/pool.py", "tests/**"))

    assert rules.mistakes(plan, ground) == ()
    assert any("tests/conftest.py" in note for note in rules.notes(plan, ground))


def test_a_hole_takes_a_file_out_of_a_wide_scope() -> None:
    """`!` keeps two scopes apart, and what it takes out is not refused."""
    plan = scenes.with_station(
        scenes.plan(),
        "pool",
        scope=_scope(
            "src/net/**",
            "!src/net/proxy.py",
            "!src/net/url.py",
            "tests/test_pool_issues.py",
        ),
    )

    assert rules.mistakes(plan, scenes.GROUND) == ()


def test_a_maintainer_may_set_an_item_aside_by_hand() -> None:
    """Class and action together, its words taken out, it is in left_out: that is a right plan."""
    plan = scenes.with_item(
        scenes.plan(), 6, verdict=Class.SECURITY, action=Action.SECURITY, title="", evidence=()
    )

    assert rules.mistakes(plan, scenes.GROUND) == ()
    assert Quote(source="title", quote="Item 6 fails") not in [
        quote for item in plan.items for quote in item.evidence
    ]


def test_a_line_without_coding_stations_bounds_nothing_more() -> None:
    """Where the configuration names no coding station, none is asked to hold the scope."""
    ground = replace(scenes.GROUND, stations=(scenes.TESTS,))

    assert rules.mistakes(scenes.plan(), ground) == ()
