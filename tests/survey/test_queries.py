"""Queries for the forge's search: within its limits, and nobody's syntax."""

import re
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from factory.survey import queries
from factory.survey.values import Item

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def item(title: str, body: str = "") -> Item:
    """Give an issue."""
    return Item(
        number=1,
        kind="issue",
        title=title,
        body=body,
        state="open",
        author="mona",
        association="NONE",
        labels=(),
        created=NOW,
        updated=NOW,
        url="",
        comments=0,
    )


def test_a_theme_is_asked_for_as_a_whole_and_by_any_of_its_words() -> None:
    """Issues and pull requests one after the other: both at once is refused to some tokens."""
    assert queries.written("The proxy handling", (), lambda _: 1.0) == (
        "is:issue proxy handling",
        "is:pr proxy handling",
        "is:issue proxy OR handling",
        "is:pr proxy OR handling",
    )


def test_a_seed_is_asked_for_by_its_title_its_error_and_its_files() -> None:
    """The error as a phrase, files by their names."""
    seed = item("Login breaks", 'File "src/net/login.py"\nValueError: no "key" here\n')
    asked = queries.written("", (seed,), lambda word: float(len(word)))

    assert asked[0::2] == (
        "is:issue breaks OR login",
        'is:issue "ValueError: no key here"',
        'is:issue "login.py"',
    )


@given(st.text(max_size=400), st.text(max_size=200), st.text(max_size=400))
def test_every_query_keeps_to_the_limits_of_the_search(theme: str, title: str, body: str) -> None:
    """At most 256 characters and five operators, six queries, no qualifier but ours."""
    asked = queries.written(theme, (item(title, body),), lambda word: float(len(word)))

    assert len(asked) <= queries.MOST
    for query in asked:
        kind, _, rest = query.partition(" ")
        assert kind in {"is:issue", "is:pr"}
        assert rest
        assert len(rest) <= queries.LONGEST
        assert rest.count('"') % 2 == 0
        bare = re.sub(r'"[^"]*"', "x", rest)
        assert sum(word in {"AND", "OR", "NOT"} for word in bare.split()) <= 5
        assert not re.search(r"[():]|(?:^|\s)-", bare)
