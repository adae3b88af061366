"""A plan on the line: its stations and jobs, within what a person configured."""

from dataclasses import replace

import pytest

from factory.events import Rules
from factory.strategy import rules
from factory.strategy.lining import Lined, holder, lined
from factory.strategy.values import Action, Plan
from stations.contract import Agent, Kind, StationSpec
from tests.strategy import scenes
from worktrees.names import StationName
from worktrees.scope import Scope

RULES = Rules(stations=scenes.GROUND.stations, seats=8, slots=2, hash="00" * 32)


def on_line(plan: Plan, rules: Rules = RULES) -> Lined:
    """Put a plan on a line."""
    return lined(plan, rules, tracked=scenes.TRACKED)


def test_the_plans_stations_stand_in_for_the_coding_ones() -> None:
    """Tests and repairs stay; a station of the plan has one seat and its own scope."""
    found = on_line(scenes.plan())

    assert [spec.name for spec in found.rules.stations] == [
        *("proxy", "url", "pool", "tests", "repair")
    ]
    pool = found.rules.station("pool")
    assert (pool.kind, pool.seats, pool.timeout, pool.agent) == (
        Kind.CODE,
        1,
        scenes.CODE.timeout,
        scenes.CODE.agent,
    )
    assert not pool.scope.allows("src/net/proxy.py")


def test_each_job_wants_the_tests_of_its_items() -> None:
    """Acceptance commands, issues with their tests, needs and budgets come from the plan."""
    plan = scenes.with_station(scenes.plan(), "url", depends_on=("pool",))
    plan = replace(plan, waves=(("pool", "proxy"), ("url",)))

    jobs = {job.id: job for job in on_line(plan).jobs}

    assert list(jobs) == ["proxy", "pool", "url"]
    assert jobs["url"].needs == ("pool",)
    proxy = jobs["proxy"]
    assert [(each.number, each.test) for each in proxy.issues] == [
        (1, "tests/test_proxy_issues.py::test_issue_1"),
        (2, "tests/test_proxy_issues.py::test_issue_2"),
    ]
    assert proxy.accept == tuple(each.command for each in proxy.issues)
    assert proxy.budget.tokens == plan.stations[0].budget.tokens
    assert proxy.scope.inside(scenes.CODE.scope)


def test_what_waits_for_a_person_is_on_no_line() -> None:
    """A station whose items all wait has no job, and nobody depends on it."""
    plan = scenes.with_item(scenes.plan(), 5, action=Action.HUMAN)

    assert [job.id for job in on_line(plan).jobs] == ["proxy", "url"]


def test_another_plan_is_another_line() -> None:
    """The hash of the rules covers the plan, so that an edited one cannot go on as the same run."""
    plan = scenes.plan()

    one, other = on_line(plan), on_line(replace(plan, theme="other"))

    assert one.rules.hash not in {RULES.hash, other.rules.hash}


def test_the_station_that_holds_most_of_the_files_lends_its_agent() -> None:
    """Who works on a plan's station follows from where its files lie, and holes stay holes."""
    docs = StationSpec(
        name=StationName("docs"),
        kind=Kind.CODE,
        scope=Scope(write=("docs/**",)),
        agent=Agent(runtime="sdk", model="small"),
    )
    code = replace(scenes.CODE, scope=Scope(write=("src/**", "tests/**", "!src/net/auth.py")))
    rules = replace(RULES, stations=(docs, code, scenes.TESTS))

    found = on_line(scenes.plan(), rules)

    assert found.rules.station("proxy").agent == scenes.CODE.agent
    assert not found.rules.station("proxy").scope.allows("src/net/auth.py")
    assert [job.route for job in found.jobs] == ["proxy", "url", "pool"]


def test_a_hand_over_to_a_station_that_is_gone_is_gone_too() -> None:
    """No outcome leads to a coding station whose place the plan took."""
    senior = replace(scenes.CODE, name=StationName("senior"))
    code = replace(scenes.CODE, on={"failed": "senior", "escalated": "inbox"})
    rules = replace(RULES, stations=(code, senior, scenes.TESTS))

    assert on_line(scenes.plan(), rules).rules.station("pool").on == {"escalated": "inbox"}


def test_without_a_coding_station_no_job_can_be_made() -> None:
    """A line that writes nothing takes no plan; who calls must have checked that."""
    assert holder(scenes.plan().stations[0], (scenes.TESTS,), scenes.TRACKED) is None
    with pytest.raises(LookupError, match="no coding station can take proxy"):
        on_line(scenes.plan(), replace(RULES, stations=(scenes.TESTS,)))


def test_a_scope_across_stations_keeps_what_each_of_them_leaves_out() -> None:
    """What a person took from a scope is in no scope of a plan, whatever stands beside it."""
    code = replace(scenes.CODE, scope=Scope(write=("/src", "!/src/net/auth.py", "tests/**")))
    docs = replace(
        scenes.CODE, name=StationName("docs"), scope=Scope(write=("/docs", "!/docs/legal/**"))
    )
    ground = replace(scenes.GROUND, stations=(code, docs, scenes.TESTS))
    plan = scenes.plan()
    wide = Scope(write=("/src/net", "/docs", "/tests/test_proxy_issues.py"))
    plan = scenes.with_station(plan, "proxy", scope=wide)

    refused = [each for each in rules.mistakes(plan, ground) if "inside" in each.what]
    found = on_line(plan, replace(RULES, stations=ground.stations))

    assert refused == []
    scope = found.rules.station("proxy").scope
    assert [
        scope.allows(path)
        for path in ("src/net/proxy.py", "docs/proxies.md", "tests/test_proxy_issues.py")
    ] == [True] * 3
    assert [scope.allows(path) for path in ("src/net/auth.py", "docs/legal/x.md", "README.md")] == [
        False
    ] * 3
    assert found.jobs[0].scope == scope
