"""From a survey to a plan: whatever was found, the plan keeps its own rules."""

from dataclasses import replace
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as some

from factory.strategy import document, rules
from factory.strategy.stating import Stated
from factory.strategy.values import WORKED, Action, Plan, Strategy
from stations.contract import Budget
from tests.strategy import scenes
from worktrees.noise import is_noise


def assert_sound(plan: Plan) -> None:
    """Check coverage, order and disjointness, without the code that the rules are made of."""
    held = [number for cause in plan.root_causes for number in cause.items]
    out = [each.n for each in plan.left_out]
    assert sorted([*held, *(n for n in out if n < 90)]) == sorted(each.n for each in plan.items)
    done: set[str] = set()
    for wave in plan.waves:
        mates = [each for each in plan.stations if each.id in wave]
        assert all(done.issuperset(each.depends_on) for each in mates)
        tests = {test.test_id.split("::")[0] for each in mates for test in each.acceptance}
        for path in {*scenes.TRACKED, *tests}:
            assert sum(each.scope.allows(path) for each in mates) <= 1, path
        done.update(wave)
    assert done == {each.id for each in plan.stations}


def test_a_partial_survey_is_said_to_be_one() -> None:
    """Whoever reads the plan learns that the survey behind it was cut short, and why."""
    found = replace(scenes.sample(), complete=False, why="the budget was reached")

    (first, *_) = scenes.made(found).notes

    assert first == "the survey is not complete (the budget was reached): more may belong to it"


@given(found=scenes.surveys(), tokens=some.integers(50, 10**7), usd=some.integers(1, 500))
@settings(max_examples=40, deadline=None)
def test_every_survey_leads_to_a_plan_that_keeps_the_rules(
    found: scenes.Survey, tokens: int, usd: int
) -> None:
    """Total coverage, disjoint scopes, no cycle, sums within any budget: for every mixture.

    What was set aside is in no station, changelogs and lockfiles are in nobody's scope, and only
    open issues are worked on.
    """
    budget = Budget(tokens=tokens, dollars=Decimal(usd) / 10, seconds=60.0)
    ground = replace(scenes.GROUND, budget=budget)

    plan = scenes.made(found, ground).plan

    assert rules.mistakes(plan, ground) == ()
    assert document.read(document.write(plan)) == plan
    assert_sound(plan)
    aside = dict(found.quarantined).keys()
    assert aside <= {each.n for each in plan.left_out}
    assert not aside & {each.n for each in plan.items}
    tests = {test.item for station in plan.stations for test in station.acceptance}
    assert not aside & tests
    given_out = {path for one in plan.stations for path in scenes.TRACKED if one.scope.allows(path)}
    assert not [path for path in given_out if is_noise(path)]
    assert not given_out & {"conftest.py", ".github/workflows/ci.yml"}
    worked = [each for each in plan.items if each.action in WORKED]
    assert all(each.kind == "issue" and each.state == "open" for each in worked)
    assert {each.n for each in worked} <= tests


def test_the_sample_becomes_one_plan_with_everything_in_its_place() -> None:
    """Fixes, copies, what is fixed, in flight, independent and set aside are told apart."""
    plan = scenes.plan()

    assert {each.n: each.action for each in plan.items} == {
        1: Action.FIX,
        2: Action.COVERED,
        3: Action.FIX,
        4: Action.ALREADY_FIXED,
        5: Action.FIX,
        6: Action.LEAVE,
        7: Action.HUMAN,
        8: Action.FIX,
        20: Action.LEAVE,
        21: Action.CLOSE_AFTER_MERGE,
        22: Action.CLOSE_AFTER_MERGE,
    }
    assert [each.id for each in plan.stations] == ["proxy", "url", "pool"]
    assert plan.waves == (("proxy", "url", "pool"),)
    proxy = plan.stations[0]
    assert proxy.scope.write == (
        "src/net/proxy.py",
        "tests/test_proxy.py",
        "tests/test_proxy_issues.py",
    )
    assert [each.test_id for each in proxy.acceptance] == [
        "tests/test_proxy_issues.py::test_issue_1",
        "tests/test_proxy_issues.py::test_issue_2",
    ]
    assert proxy.acceptance[0].command == (
        *scenes.RUN,
        "tests/test_proxy_issues.py::test_issue_1",
    )
    assert {each.n for each in plan.left_out} == {6, 7, 9}
    assert plan.delivery.mode == "one-pr"
    assert plan.delivery.branches == ("factory/pr/proxy-handling",)


def test_a_merged_fix_is_shown_by_the_test_it_brought() -> None:
    """What is said to be fixed comes with a test of the base, and closes nothing by itself."""
    plan = scenes.plan()

    proof = plan.item(4).proof
    assert proof is not None
    assert proof.command == (*scenes.RUN, "tests/test_rules.py")
    assert {each.item: each.keyword for each in plan.closing}[4] == "none"


def test_an_open_pull_request_is_built_on_with_credit() -> None:
    """Its author, account and commits stand in the plan; a replaced one is only mentioned."""
    plan = scenes.plan()

    assert [(each.login, each.id, each.pr, each.how) for each in plan.credit] == [
        ("hubot", 7, 21, "co-author"),
        ("zoe", None, 22, "mention"),
    ]
    assert plan.credit[0].commits == ("ef" * 20,)
    assert "#21 is built on" in plan.item(5).why


def test_an_unclassified_survey_waits_for_a_person_with_everything_prepared() -> None:
    """Nothing runs until a person says fix; then nothing else has to be written."""
    found = scenes.survey(
        [scenes.item(1), scenes.item(2)],
        [scenes.finding(1, scenes.Class.UNCLASSIFIED, "rc-1"),
         scenes.finding(2, scenes.Class.UNCLASSIFIED, "rc-1")],
        [scenes.cause("rc-1", [1, 2], "src/net/proxy.py")],
        classified=False,
    )  # fmt: skip
    plan = scenes.made(found).plan

    assert [each.action for each in plan.items] == [Action.HUMAN, Action.HUMAN]
    assert plan.running() == ()
    assert len(rules.waits(plan)) == 2

    strategy = Strategy(statement="Hosts decide, names do not.")
    decided = scenes.with_item(replace(plan, strategy=strategy), 1, action=Action.FIX)

    assert rules.mistakes(decided, scenes.GROUND) == ()
    assert rules.waits(decided) == ()
    assert [each.id for each in decided.running()] == ["proxy"]
    assert [each.item for each in decided.asked(decided.stations[0])] == [1]


def test_what_leads_to_no_file_is_left_to_a_person() -> None:
    """A root cause without a file has no station; its items wait, with what to do."""
    found = scenes.survey(
        [scenes.item(1)],
        [scenes.finding(1, scenes.Class.CANONICAL, "rc-1")],
        [scenes.cause("rc-1", [1])],
    )
    made = scenes.made(found)

    assert made.plan.item(1).action is Action.HUMAN
    assert "give its root cause to a station" in made.plan.item(1).why
    assert rules.mistakes(made.plan, scenes.GROUND) == ()


def test_a_models_words_name_the_tests_and_the_fixes() -> None:
    """The names go behind the number, the sentences to the root causes; numbers stay ours."""
    stated = Stated(
        strategy=Strategy(statement="Hosts decide."),
        fixes={"rc-1": "Match whole labels."},
        names={1: "subdomain_of_a_host_is_no_match"},
        by="claude-opus-5-5",
    )
    plan = scenes.made(scenes.sample(), stated=stated).plan

    assert plan.cause("rc-1").fix == "Match whole labels."
    assert plan.stations[0].acceptance[0].test_id == (
        "tests/test_proxy_issues.py::test_issue_1_subdomain_of_a_host_is_no_match"
    )
    assert not plan.unstated


def test_a_survey_that_somebody_edited_leads_to_a_file_that_can_be_read() -> None:
    """Whatever stands in place of a login, a symbol or a path, the plan's file keeps its shape."""
    found = scenes.sample()
    odd = scenes.item(22, kind="pull", author="a b\x1b[31m")
    causes = tuple(replace(each, symbols=("x" * 1_000, " ")) for each in found.causes)
    found = replace(
        found,
        theme="\u202e\U0001f980" * 400,
        candidates=(*found.candidates[:-1], odd),
        causes=causes,
    )

    plan = scenes.made(found).plan

    assert document.read(document.write(plan)) == plan
    assert plan.credit[1].login == "ghost"
    assert plan.delivery.branches == ("factory/pr/survey",)


def test_a_large_change_is_foreseen_as_a_stack() -> None:
    """Beyond the lines of one pull request the plan says so, with at most five parts."""
    numbers = range(1, 31)
    found = scenes.survey(
        [scenes.item(number) for number in numbers],
        [scenes.finding(n, scenes.Class.CANONICAL, f"rc-{n % 3 + 1}") for n in numbers],
        [
            scenes.cause(f"rc-{place}", [n for n in numbers if n % 3 + 1 == place], path)
            for place, path in enumerate(scenes.TRACKED[6:9], 1)
        ],
    )

    delivery = scenes.made(found).plan.delivery

    assert delivery.mode == "stack"
    assert delivery.branches == ("factory/pr/proxy-handling-1", "factory/pr/proxy-handling-2")


def test_where_one_test_cannot_be_run_alone_each_item_has_a_file() -> None:
    """So that the base can be shown red with one item's test alone."""
    tests = replace(scenes.TESTS, run=("make", "test"))
    ground = replace(scenes.GROUND, stations=(scenes.CODE, tests))

    proxy = scenes.made(scenes.sample(), ground).plan.stations[0]

    assert [each.test_id for each in proxy.acceptance] == [
        "tests/test_proxy_1_issues.py",
        "tests/test_proxy_2_issues.py",
    ]
    assert {each.command for each in proxy.acceptance} == {("make", "test")}


def test_a_copy_in_the_same_words_is_shown_by_the_same_test() -> None:
    """A report that was sent twice needs one reproduction; in other words it gets its own."""
    found = scenes.sample()
    first, second, *rest = found.candidates
    again = replace(second, item=replace(second.item, title=first.item.title.upper()))
    one, other, *more = found.findings
    found = replace(
        found,
        candidates=(first, again, *rest),
        findings=(one, replace(other, evidence=one.evidence), *more),
    )

    plan = scenes.made(found).plan

    assert [(each.item, each.test_id) for each in plan.stations[0].acceptance] == [
        (1, "tests/test_proxy_issues.py::test_issue_1"),
        (2, "tests/test_proxy_issues.py::test_issue_1"),
    ]
    assert rules.mistakes(plan, scenes.GROUND) == ()
