"""The strategy in words: what a model is told, what of its answer counts, and what without one."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from factory.strategy import rules, stating
from factory.strategy.stating import Stated
from factory.strategy.values import Action, PlanItem
from factory.survey.values import Class
from tests.scripted.messages import Asked, MessagesServer, Step, answer, text
from tests.strategy import scenes
from tests.survey.scenes import Bench

PLAN = scenes.plan()
WANTED = [1, 2, 3, 5, 8]
Json = dict[str, Any]


def said(**changes: object) -> Json:
    """Give an answer as an honest model gives it."""
    return {
        "statement": "One table says which host needs which proxy.",
        "alternatives": [{"what": "Ask the system", "why_not": "It differs by platform."}],
        "non_goals": ["SOCKS"],
        "risks": ["Hosts with a dot in front match differently."],
        "root_causes": [
            {"id": f"rc-{place}", "fix": "Compare whole labels."} for place in range(1, 5)
        ],
        "tests": [{"n": number, "name": "whole_labels_match"} for number in WANTED],
        **changes,
    }


def read(value: object) -> Stated | str:
    """Read an answer to the sample's question."""
    told = value if isinstance(value, str) else json.dumps(value)
    return stating.read(told, PLAN.root_causes, WANTED, by="a-model")


def good(value: object) -> Stated:
    """Read an answer that counts."""
    found = read(value)
    assert isinstance(found, Stated)
    return found


def test_an_honest_answer_is_the_strategy() -> None:
    """Statement, other ways, what is no part of it, risks, and what changes at each cause."""
    found = good(said())

    assert found.strategy.statement == "One table says which host needs which proxy."
    assert found.strategy.alternatives[0].why_not == "It differs by platform."
    assert found.fixes["rc-4"] == "Compare whole labels."
    assert found.names == dict.fromkeys(WANTED, "whole_labels_match")


@pytest.mark.parametrize(
    ("value", "wrong"),
    [
        ("no", "it is no JSON"),
        ("[" * 50_000, "it is no JSON"),
        ([], "it is no object"),
        (said(statement=" "), "it has no statement"),
        (said(root_causes=[]), "it does not say what is to change at rc-1, rc-2, rc-3, rc-4"),
        (said(root_causes="rc-1"), "it does not say what is to change at rc-1"),
    ],
)
def test_an_answer_that_is_none_is_named(value: object, wrong: str) -> None:
    """What cannot be used is told to the model once, and never kept."""
    assert str(read(value)).startswith(wrong)


def test_what_nobody_asked_for_counts_for_nothing() -> None:
    """Unknown causes and items, names that are none, and further keys are dropped."""
    found = good(
        said(
            root_causes=[*said()["root_causes"], {"id": "rc-77", "fix": "Everything."}],
            tests=[
                {"n": 77, "name": "not_there"},
                {"n": 1, "name": "x(); import os"},
                {"n": True, "name": "true_is_a_number"},
                {"n": 3, "name": "test_port_counts"},
                {"n": 3, "name": "second_name"},
            ],
            stations=[{"id": "evil", "scope": ["**"]}],
            items=[{"n": 6, "action": "fix"}],
        )
    )

    assert set(found.fixes) == {"rc-1", "rc-2", "rc-3", "rc-4"}
    assert found.names == {3: "port_counts"}


def test_words_of_a_model_are_cut_cleaned_and_name_no_issue() -> None:
    """Two sentences a cause, no number that could mean an issue, no control character, no key."""
    key = "ghp_" + "b2" * 18
    found = good(
        said(
            statement=f"Fixes #7 and \x1b[31m{key}. " + "x" * 5_000,
            root_causes=[
                {"id": f"rc-{place}", "fix": "First thing. Second thing. Third thing."}
                for place in range(1, 5)
            ],
            risks=["r" * 5_000] * 99,
        )
    )

    assert "#7" not in found.strategy.statement
    assert key not in found.strategy.statement
    assert found.strategy.statement.isprintable()
    assert len(found.strategy.statement) <= 1_000
    assert found.fixes["rc-1"] == "First thing. Second thing."
    assert len(found.strategy.risks) == 6


def test_the_question_holds_only_what_was_verified() -> None:
    """Titles and quotes as data; nothing of what was set aside; bounded however much there is."""
    aside = scenes.with_item(
        PLAN, 1, verdict=Class.SECURITY, action=Action.SECURITY, title="CANARY"
    )
    items: tuple[PlanItem, ...] = scenes.with_item(aside, 3, title="y" * 5_000).items

    asked = stating.question("theme", PLAN.root_causes, items, WANTED)

    assert "CANARY" not in asked
    rows = {each["id"]: each for each in json.loads(asked)["root_causes"]}
    assert [each["n"] for each in rows["rc-1"]["items"]] == [2, 22]
    assert len(rows["rc-2"]["items"][0]["title"]) <= 160
    assert json.loads(asked)["wanted"] == WANTED


def test_without_a_model_the_words_are_left_to_a_person() -> None:
    """The template says what is missing, and a plan with it waits."""
    found = stating.template("proxy handling", PLAN.root_causes)

    plan = scenes.made(scenes.sample(), stated=found).plan

    assert plan.unstated
    assert rules.waits(plan)[0].startswith("strategy.statement: say in your own words")


def asked_of(bench: Bench, script: Callable[[Asked], Step]) -> tuple[Stated, list[Asked]]:
    """Ask a server for the sample's strategy."""
    seen: list[Asked] = []

    def heard(asked: Asked) -> Step:
        seen.append(asked)
        return script(asked)

    with MessagesServer(heard) as server, bench.reader(server) as (reader, _):
        return stating.state(reader, PLAN.theme, PLAN.root_causes, PLAN.items), seen


def test_one_call_without_tools_gives_the_strategy_and_is_paid_once(bench: Bench) -> None:
    """The model has a schema and no tools; who comes again is answered from what was kept."""
    found, seen = asked_of(bench, lambda _: answer(said()))

    assert found.by
    (request,) = seen
    assert request.system.startswith("You state one strategy")
    assert json.loads(request.first)["wanted"] == WANTED

    again, more = asked_of(bench, lambda _: answer(said(statement="Another one.")))

    assert (again, more) == (found, [])


def test_an_answer_that_is_none_is_asked_for_once_more(bench: Bench) -> None:
    """The second question says what was wrong; a right answer then counts."""
    answers = iter([answer(said(root_causes=[])), answer(said())])

    found, seen = asked_of(bench, lambda _: next(answers))

    assert found.by
    assert "Your last answer cannot be used: it does not say" in seen[1].first


def test_a_model_that_gives_no_strategy_leaves_it_to_a_person(bench: Bench) -> None:
    """Two useless answers are enough: the template is told with why, and nothing is kept."""
    found, seen = asked_of(bench, lambda _: text("I would rather not."))

    assert (found.by, len(seen)) == ("", 2)
    assert found.strategy.statement.startswith("[to be stated]")
    assert "gave no strategy that can be used: it is no JSON" in found.notes[0]
