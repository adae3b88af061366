"""Durations, token counts, money and rates as people write them."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.config import quantities


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("20m", 1200), ("1h30m", 5400), ("1.5h", 5400), ("2d", 172800), ("250ms", 0.25)],
)
def test_a_duration_is_read_as_seconds(text: str, seconds: float) -> None:
    """Each unit, and units in a row, mean what they say."""
    assert quantities.duration(text) == seconds


@given(
    st.floats(0, 366 * 86400.0).map(lambda seconds: round(seconds, 6))
    | st.integers(0, 366 * 86400).map(float)
)
def test_a_duration_reads_back_as_it_was_written(seconds: float) -> None:
    """Writing and reading any duration gives exactly the same seconds."""
    assert quantities.duration(quantities.duration_text(seconds)) == seconds


@pytest.mark.parametrize(
    "given", ["", "20", "m", "-5s", "1h 30", "1e9s", "400d", "٣s", True, -1, float("nan"), [], None]
)
def test_what_is_no_duration_is_refused(given: object) -> None:
    """Nothing is guessed from what is not plainly a duration."""
    with pytest.raises(ValueError, match="is not a duration; write seconds"):
        quantities.duration(given)


@given(st.integers(1, 10**15))
def test_a_token_count_reads_back_as_it_was_written(count: int) -> None:
    """Writing and reading any count gives exactly the same count."""
    assert quantities.tokens(quantities.tokens_text(count)) == count


@pytest.mark.parametrize(
    ("text", "count"), [("5M", 5_000_000), ("200k", 200_000), ("1.5M", 1_500_000)]
)
def test_tokens_have_suffixes(text: str, count: int) -> None:
    """k, M and G are thousands, millions and milliards."""
    assert quantities.tokens(text) == count


@pytest.mark.parametrize(
    "given", ["5m", "0", "1.5", "0.0001k", "5 million", 0, -1, 1.5, True, None]
)
def test_what_is_no_token_count_is_refused(given: object) -> None:
    """A count is a whole number above 0, and m is no suffix: it would be minutes elsewhere."""
    with pytest.raises(ValueError, match="is not a number of tokens"):
        quantities.tokens(given)


def test_dollars_are_exact() -> None:
    """Money never passes through binary fractions."""
    assert quantities.dollars(0.1) + quantities.dollars("$0.20") == Decimal("0.30")


@pytest.mark.parametrize("given", ["", "x", "nan", "inf", 0, -1, True, float("inf"), "1e12", None])
def test_what_is_no_amount_is_refused(given: object) -> None:
    """An amount is a finite number above 0."""
    with pytest.raises(ValueError, match="is not an amount of dollars"):
        quantities.dollars(given)


@pytest.mark.parametrize(("text", "hourly"), [("6/h", 6), ("48/d", 2), ("0.5 / m", 30)])
def test_a_rate_is_changes_per_hour(text: str, hourly: float) -> None:
    """A rate counts per minute, hour or day."""
    assert quantities.rate(text) == hourly


@pytest.mark.parametrize("given", ["6", "6/w", "0/h", 6, None])
def test_what_is_no_rate_is_refused(given: object) -> None:
    """A rate needs its time."""
    with pytest.raises(ValueError, match="is not a rate"):
        quantities.rate(given)


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("20", {"usd": "20"}),
        ("$0.50", {"usd": "$0.50"}),
        ("5M", {"tokens": "5M"}),
        ("60m", {"minutes": "60m"}),
        ("20, 5M, 1h30m", {"usd": "20", "tokens": "5M", "minutes": "1h30m"}),
        ("usd=3,tokens=10,minutes=5", {"usd": "3", "tokens": "10", "minutes": 5}),
    ],
)
def test_a_budget_is_read_from_one_flag(text: str, keys: dict[str, object]) -> None:
    """A bare number is dollars, k M G are tokens, a duration is time; names make it plain."""
    assert quantities.budget(text) == keys


@pytest.mark.parametrize("text", ["", "20,30", "eur=5", "5 apples"])
def test_what_is_no_budget_is_refused(text: str) -> None:
    """A budget names each of its kinds once."""
    with pytest.raises(ValueError, match="is not a budget"):
        quantities.budget(text)
