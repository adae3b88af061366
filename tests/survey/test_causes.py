"""Items stand under a cause that code can check, or that what they share makes plain."""

import json
from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as some

from factory.survey import causes, naming
from factory.survey.packets import Subject
from factory.survey.values import Class, Finding, Link, LinkKind
from tests.survey.scenes import CANDIDATES, ITEMS, TRACKED, Bench, Json, item

KNOWN = naming.tracked(TRACKED)
SUBJECTS = tuple(Subject(item=one.item, links=one.links) for one in CANDIDATES)


def finding(number: int, verdict: Class = Class.RELATED, of: int | None = None) -> Finding:
    """Give what an item was found to be."""
    return Finding(
        number=number, verdict=verdict, cause=None, of=of, confidence=1.0, evidence=(), why=""
    )


def related(**changed: Finding) -> Mapping[int, Finding]:
    """Give all items as related, but for some: ``n5=...``."""
    found = {one.number: finding(one.number) for one in ITEMS}
    return found | {one.number: one for one in changed.values()}


def said(*rows: Json, theme: str = "Deadlines") -> str:
    """Give a model's reply."""
    full = [{"statement": "S", "items": [], "files": [], "symbols": [], **row} for row in rows]
    return json.dumps({"theme": theme, "causes": full})


def items_of(found: causes.Grouped) -> list[tuple[int, ...]]:
    """Give the items of each cause."""
    return [cause.items for cause in found.causes]


def test_a_models_causes_are_kept_as_far_as_code_bears_them_out() -> None:
    """Files must be tracked, symbols must stand in the items' texts."""
    row = {
        "statement": "Zero means no timeout",
        "items": [3, 5],
        "files": ["wait.py", "src/ferry/none.py", "../../etc/passwd"],
        "symbols": ["wait_for", "rm_rf", "x; rm -rf /"],
    }
    found = causes.stated(said(row), SUBJECTS, related(), KNOWN)

    cause = found.causes[0]
    assert (cause.id, cause.statement, cause.items) == ("rc-1", "Zero means no timeout", (3, 5, 9))
    assert (cause.files, cause.symbols) == (("src/ferry/wait.py",), ("wait_for",))
    assert found.theme == "Deadlines"


def test_a_cause_with_an_unknown_item_is_refused_as_a_whole() -> None:
    """A number that nobody gave, or whose item may have no cause, makes it worthless."""
    independent = related(n12=finding(12, Class.INDEPENDENT))
    found = causes.stated(
        said({"items": [3, 77]}, {"items": [12]}, {"items": "3"}, {"items": [6], "statement": ""}),
        SUBJECTS,
        independent,
        KNOWN,
    )

    assert len(found.refused) == 4
    assert "77 is no item that can have one" in found.refused[0]
    assert 12 not in {n for items in items_of(found) for n in items}


def test_an_item_stands_under_one_cause() -> None:
    """The first that names it keeps it."""
    found = causes.stated(said({"items": [3, 5]}, {"items": [5, 8]}), SUBJECTS, related(), KNOWN)

    assert items_of(found)[:2] == [(3, 5, 9), (8,)]


def test_what_repeats_an_item_or_is_fixed_follows_it() -> None:
    """A duplicate goes where its canonical item is, whatever the model says."""
    findings = related(
        n5=finding(5, Class.DUPLICATE, 3),
        n7=finding(7, Class.DUPLICATE, 6),
        n3=finding(3, Class.FIXED_BY_CANDIDATE, 9),
    )
    found = causes.stated(said({"items": [3]}, {"items": [5, 7]}), SUBJECTS, findings, KNOWN)

    assert items_of(found)[:2] == [(3, 5, 9), (6, 7)]


def test_a_fix_of_several_causes_leaves_its_items_where_they_are() -> None:
    """A pull request stands under one cause; the issues it fixes stay in theirs."""
    findings = related(
        n3=finding(3, Class.FIXED_BY_CANDIDATE, 9), n8=finding(8, Class.FIXED_BY_CANDIDATE, 9)
    )
    found = causes.stated(said({"items": [3]}, {"items": [8]}), SUBJECTS, findings, KNOWN)

    assert items_of(found)[:2] == [(3, 9), (8,)]


def test_what_people_tied_together_stands_together() -> None:
    """A mark as duplicate goes before the model's groups; a link places what it left out."""
    marked = _tied(5, "wait() never returns", "", to=3, kind="duplicate")
    linked = _tied(7, "Retry loop", "", to=6, kind="closes")
    others = [one for one in SUBJECTS if one.number not in {5, 7}]
    subjects = (*others, marked, linked)

    found = causes.stated(said({"items": [3]}, {"items": [5, 6]}), subjects, related(), KNOWN)

    assert [set(items) for items in items_of(found)[:2]] == [{3, 5, 9}, {6, 7}]


def test_without_a_usable_reply_items_are_grouped_by_what_they_share() -> None:
    """Links, errors and files make groups; who shares nothing has none."""
    for reply in ("no", "[]", '{"causes": 3}', said()):
        found = causes.stated(reply, SUBJECTS, related(), KNOWN)
        assert items_of(found) == [(3, 9), (6, 7)]
    plain = causes.clustered(SUBJECTS, KNOWN)
    assert [cause.items for cause in plain] == [(3, 9), (6, 7)]
    assert plain[0].files == ("src/ferry/wait.py",)
    assert "RetryError" in plain[1].statement
    assert "src/ferry/retry.py" in plain[1].statement


def test_likeness_alone_groups_nothing() -> None:
    """Two titles of the same words share nothing that tells of a cause."""
    same = tuple(Subject(item=item(n, "The proxy is slow at night")) for n in (1, 2))

    assert causes.clustered(same, KNOWN) == ()


def test_of_two_groups_that_share_as_much_the_likest_is_joined() -> None:
    """Only such a tie is left to how titles sound."""
    subjects = (
        _tied(1, "Pool of ships", "wait.py", to=2),
        _tied(2, "Pool of ships again", "", to=1),
        _tied(3, "Logs are long", "retry.py", to=4),
        _tied(4, "Logs are too long", "", to=3),
        Subject(item=item(5, "Long logs too", "wait.py and retry.py")),
    )

    assert [one.items for one in causes.clustered(subjects, KNOWN)] == [(1, 2), (3, 4, 5)]


def _tied(number: int, title: str, body: str, *, to: int, kind: LinkKind = "connected") -> Subject:
    links = (Link(kind=kind, number=to),)
    return Subject(item=item(number, title, body), links=links)


def test_a_list_of_numbers_ties_nothing() -> None:
    """Somebody who names many items does not make them one."""
    spam = tuple(Link(kind="closes", number=n) for n in range(1, 9))
    subjects = (
        *(_tied(n, f"Thing {n}", "", to=9, kind="closes") for n in range(1, 9)),
        Subject(item=item(9, "Fixes all", kind="pull"), links=spam),
    )

    assert causes.clustered(subjects, KNOWN) == ()


def test_what_nearly_all_items_name_groups_none() -> None:
    """A file that a theme is about says nothing of a cause."""
    subjects = tuple(
        Subject(item=item(n, f"Thing {n}", "in src/ferry/wait.py")) for n in range(1, 13)
    )

    assert causes.clustered(subjects, KNOWN) == ()


_NAMES = some.sampled_from(["causes", "theme", "items", "statement", "files", "symbols"])
_REPLIES = some.recursive(
    some.none() | some.integers() | some.text(max_size=9),
    lambda inner: some.lists(inner, max_size=4) | some.dictionaries(_NAMES, inner, max_size=5),
    max_leaves=20,
)


@given(some.text(max_size=300) | _REPLIES.map(json.dumps))
def test_any_reply_gives_causes_in_which_each_item_stands_once(reply: str) -> None:
    """Whatever a model writes, no item stands twice and none is made up."""
    found = causes.stated(reply, SUBJECTS, related(), KNOWN)

    placed = [n for items in items_of(found) for n in items]
    assert len(placed) == len(set(placed))
    assert set(placed) <= {one.number for one in ITEMS}


def test_causes_of_a_survey_are_named_in_its_findings(bench: Bench) -> None:
    """Each kept item names the cause it stands under, and each cause its items."""
    survey = bench.survey()

    held = {n: cause.id for cause in survey.causes for n in cause.items}
    assert {one.number: one.cause for one in survey.findings if one.cause} == held
    assert [cause.items for cause in survey.causes[:3]] == [(3, 5, 9), (6, 7), (8,)]
    assert survey.causes[0].symbols == ("wait_for",)
    assert survey.theme == "Deadlines are not kept"
