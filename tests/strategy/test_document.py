"""plan.json in and out: strict, all mistakes at once, one text and one hash for one plan."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from factory.strategy import document, rules, showing
from factory.strategy.values import PlanErrors
from tests.strategy import scenes
from tests.strategy.test_lining import on_line

Tree = dict[str, Any]


def tree() -> Tree:
    """Give the sample's plan as JSON."""
    found: Tree = json.loads(document.write(scenes.plan()))
    return found


def refused(value: object) -> list[str]:
    """Give what is said of a document that is none, a line for each mistake."""
    text = value if isinstance(value, str) else json.dumps(value)
    with pytest.raises(PlanErrors) as caught:
        document.read(text)
    assert str(caught.value)
    return [
        f"{each.where}: {each.what}" + (f"; {each.hint}" if each.hint else "")
        for each in caught.value.mistakes
    ]


def test_a_plan_is_written_as_the_published_schema_says() -> None:
    """Editors and scripts may rely on the schema, with the fields of the design in it."""
    schema = document.schema()

    assert jsonschema_rs.is_valid(schema, tree())
    assert set(tree()) == {
        *("schema", "repo", "base_sha", "theme", "created", "items", "root_causes", "strategy"),
        *("stations", "waves", "delivery", "credit", "closing", "left_out"),
    }
    assert not jsonschema_rs.is_valid(schema, tree() | {"more": 1})


def test_the_hash_is_of_the_plan_and_not_of_its_layout() -> None:
    """Blanks and the order of keys change no hash; each word of it does."""
    plan = scenes.plan()
    shuffled = json.dumps(dict(reversed(tree().items())))

    assert document.digest(document.read(shuffled)) == document.digest(plan)
    edited = replace(plan, theme=f"{plan.theme}.")
    assert document.digest(edited) != document.digest(plan)
    assert document.branches(plan) == (f"factory/pr/proxy-handling-{document.digest(plan)[:8]}",)


def test_all_mistakes_are_told_at_once_with_their_places() -> None:
    """Each line says where, what, and what to do; an item is named by its number."""
    value = tree()
    value["items"][0]["action"] = "fx"
    value["items"][1]["clas"] = value["items"][1].pop("class")
    value["stations"][0]["scope"]["write"] = ["../out"]
    value["stations"][1]["budget"]["tokens"] = "many"
    value["waves"] = "proxy"
    value["base_sha"] = "main"
    del value["strategy"]

    lines = refused(value)

    assert '$.items[0] (1).action: "fx" is not one of "fix"' in "\n".join(lines)
    assert any(line.startswith("$.items[1] (2).class: is missing") for line in lines)
    assert '$.items[1] (2).clas: is no field of a plan; did you mean "class"?' in lines
    assert any("$.stations[0] (proxy).scope: '../out' must be relative" in line for line in lines)
    assert "$.stations[1] (url).budget.tokens: must be a whole number" in lines
    assert "$.waves: must be a list" in lines
    assert any(line.startswith('$.base_sha: "main" does not have the right form') for line in lines)
    assert "$.strategy: is missing" in lines


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is no JSON (line 1, column 1"),
        ("[]", "must be an object"),
        ("{" * 20_000, "is no JSON"),
        ("[" * 20_000, "is no JSON that can be read"),
        ('{"schema": "factory.plan/1", "schema": "factory.plan/1"}', 'has the key "schema" twice'),
        ('{"schema": "factory.plan/1", "jobs": [], "waves": 1}', "is what `factory plan --json`"),
        ('{"schema": "factory.survey/1"}', '"factory.survey/1" is not "factory.plan/1"'),
        (" " * (document.MOST + 1), "has more than 4,000,000 characters"),
    ],
)
def test_what_is_no_plan_is_refused_in_words(text: str, said: str) -> None:
    """Whatever a file holds, a person reads what it is not, and nothing crashes."""
    assert any(said in line for line in refused(text))


def _paths(value: object, *above: str | int) -> list[tuple[str | int, ...]]:
    inner: list[tuple[str | int, ...]] = []
    if isinstance(value, dict):
        inner = [path for key, each in value.items() for path in _paths(each, *above, key)]
    elif isinstance(value, list):
        inner = [path for place, each in enumerate(value) for path in _paths(each, *above, place)]
    return [above, *inner]


_PLACES = [path for path in _paths(tree()) if path]


@given(
    path=some.sampled_from(_PLACES),
    value=some.sampled_from(
        [
            None,
            True,
            -1,
            1,
            3,
            77,
            "rc-1",
            "url",
            "fix",
            "security",
            "**",
            10**20,
            1.5,
            "",
            "\x1b[31m\u202e",
            [],
            {},
            [[]],
            "x" * 5_000,
            {"n": []},
        ]
    ),
)
@settings(max_examples=80, deadline=None)
def test_any_value_at_any_place_is_read_or_named(
    path: tuple[str | int, ...], value: object
) -> None:
    """A hostile file is a plan that can run, or a list of mistakes; no other exception comes."""
    whole = tree()
    node: Any = whole
    for part in path[:-1]:
        node = node[part]
    node[path[-1]] = value

    assert all(_told(json.dumps(whole)))


def _told(text: str) -> list[str]:
    try:
        plan = document.read(text)
    except PlanErrors as errors:
        return [f"{each.where}: {each.what}" for each in errors.mistakes]
    wrong = rules.mistakes(plan, scenes.GROUND)
    if not wrong:
        # What is judged right can be shown and put on the line.
        return [*map(str, showing.parts(plan, ())), on_line(plan).rules.hash]
    return [f"{each.where}: {each.what}; {each.hint}" for each in wrong]


def test_dollars_are_numbers_that_a_person_can_edit() -> None:
    """A budget is written as 4.5 and read as it stands, without the noise of binary fractions."""
    value = tree()
    value["stations"][0]["budget"]["usd"] = 0.1
    value["stations"][1]["budget"]["usd"] = 3

    plan = document.read(json.dumps(value))

    assert str(plan.stations[0].budget.usd) == "0.1"
    assert json.loads(document.write(plan))["stations"][1]["budget"]["usd"] == 3


BOUNDS: dict[str, Callable[[Tree], None]] = {
    "items": lambda value: value.update(items=value["items"] * 40),
    "waves": lambda value: value.update(waves=[["x"]] * 201),
}


def test_a_scope_has_an_end() -> None:
    """Nor can a scope of more globs than anybody reads make it compare them all."""
    value = tree()
    value["stations"][0]["scope"]["write"] = [f"src/{place}" for place in range(301)]

    assert refused(value) == ["$.stations[0] (proxy).scope: has more than 300 globs"]


@pytest.mark.parametrize("name", BOUNDS)
def test_lists_have_an_end(name: str) -> None:
    """A file cannot make the factory work without bound."""
    value = tree()
    BOUNDS[name](value)

    assert any(line.startswith(f"$.{name}: ") and "at most" in line for line in refused(value))
