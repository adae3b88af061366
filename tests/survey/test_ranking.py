"""The ranking: what is alike is found, whatever anybody writes."""

import sqlite3

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factory.survey import ranking, texts
from factory.survey.ranking import Ranking
from tests.survey.corpus import indexed, load, ours

SOME = {
    1: ("The proxy is ignored behind a firewall", "HTTPS_PROXY has no effect"),
    2: ("Proxies are not honoured", "the environment is not asked"),
    3: ("Crash when a name holds an umlaut", "UnicodeEncodeError"),
    4: ("Timeouts of the reverseproxy", ""),
}


def test_known_duplicates_are_found_among_the_first_forty() -> None:
    """On real reports: at least 0.85 of them; `benchmarks/ranking.py` has all figures."""
    assert ours(load()).recall_40 >= 0.85


def test_other_forms_and_parts_of_words_are_found() -> None:
    """The plural by its stem, a compound by its pieces; what shares nothing is not there."""
    views = Ranking(indexed(SOME)).views("proxy ignored")

    assert set(views.stems) == {1, 2}
    assert 4 in views.pieces
    assert Ranking(indexed(SOME)).rank("proxy ignored")[0] == 1
    assert 3 not in views.stems + views.weighed


def test_an_item_that_was_taken_out_is_found_no_more() -> None:
    """And one that is added again with other words is found by these alone."""
    db = indexed(SOME)
    ranking.forget(db, 1, *SOME[1])
    ranking.index(db, 1, "A zebra", "")

    assert 1 not in Ranking(db).rank("firewall")
    assert Ranking(db).rank("zebra") == [1]
    (count,) = db.execute("SELECT count(*) FROM counts").fetchone()
    assert count == len(SOME)


@pytest.mark.parametrize("text", ['" OR NOT (', "a* -b ^c", "title:x", "NEAR(a b)", "", "\x00'"])
def test_no_text_is_ever_syntax(text: str) -> None:
    """What a search language would take for a command is words here."""
    rank = Ranking(indexed(SOME)).rank
    assert set(rank(text, text)) <= SOME.keys()


@settings(max_examples=40)
@given(st.text(max_size=80), st.text(max_size=300))
def test_any_text_is_indexed_ranked_and_forgotten(title: str, body: str) -> None:
    """Whatever it holds, and the index is whole afterwards."""
    db = sqlite3.connect(":memory:")
    db.executescript(ranking.SCHEMA)
    title, body = texts.title(title), texts.body(body)
    ranking.index(db, 7, title, body)
    assert Ranking(db).rank(title, body) in ([7], [])
    ranking.forget(db, 7, title, body)
    assert Ranking(db).rank(title, body) == []
    for table in ("stems", "pieces"):
        db.execute(f"INSERT INTO {table} ({table}) VALUES ('integrity-check')")  # noqa: S608


def test_equals_stand_in_the_order_of_their_numbers() -> None:
    """A ranking is the same twice."""
    same = dict.fromkeys((5, 3, 9), ("the same words", "and more"))
    assert Ranking(indexed(same)).rank("same words") == [3, 5, 9]
