"""What calls cost: the dated price file, long contexts, unknown models; and the tiers."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from importlib.resources import files

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stations.models import tiers
from stations.models.prices import Price, Prices, Rates
from stations.models.values import Usage

PRICES = Prices.load()
MILLION = 1_000_000
RATES = ("input", "output", "cache_write_5m", "cache_write_1h", "cache_read")
USAGES = st.builds(
    Usage,
    input=st.integers(0, 300_000),
    output=st.integers(0, 128_000),
    cache_read=st.integers(0, 300_000),
    cache_write_5m=st.integers(0, 300_000),
    cache_write_1h=st.integers(0, 300_000),
)
MODELS = st.sampled_from(sorted(PRICES.rows))


def rates(model: str) -> tuple[str, ...]:
    """Give a model's present rates as they are written on a price page."""
    price = PRICES.of(model)
    assert price is not None
    return tuple(f"{getattr(price.rates, name).normalize():f}" for name in RATES)


def at(text: str) -> float:
    """Give the start of a UTC day in seconds since the epoch."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("claude-haiku-5-5", ("0.1", "0.5", "0.125", "0.2", "0.01")),
        ("claude-sonnet-5-5", ("2", "10", "2.5", "4", "0.1")),
        ("claude-opus-5-5", ("4", "20", "5", "8", "0.2")),
        ("claude-fable-5-2", ("8", "40", "10", "16", "0.2")),
        ("claude-fable-5-1", ("10", "50", "12.5", "20", "0.25")),
        ("claude-opus-5", ("5", "25", "6.25", "10", "0.5")),
        ("claude-sonnet-5", ("2", "10", "2.5", "4", "0.2")),
        ("claude-haiku-4-5", ("1", "5", "1.25", "2", "0.1")),
        ("gpt-5.5", ("5", "30", "5", "5", "0.5")),
        ("gpt-5.4", ("2.5", "15", "2.5", "2.5", "0.25")),
        ("gpt-5.3-codex", ("1.75", "14", "1.75", "1.75", "0.175")),
    ],
)
def test_the_models_of_the_design_have_their_list_prices(
    model: str, expected: tuple[str, ...]
) -> None:
    """Each model that the design names costs what its table says."""
    assert rates(model) == expected


def test_a_call_costs_the_sum_of_its_tokens_exactly() -> None:
    """Every sort of token has its own rate, and no cent is rounded."""
    usage = Usage(input=1, output=1, cache_read=1, cache_write_5m=1, cache_write_1h=1, requests=1)

    assert PRICES.cost("claude-sonnet-5-5", usage) == Decimal("0.0000186")


def test_a_long_context_costs_its_own_row_for_the_whole_call() -> None:
    """Above the threshold all tokens of the call cost more, cached input counts, at it none do."""
    at_it = Usage(input=60_000, cache_read=40_000, output=MILLION)
    above = Usage(input=60_000, cache_read=40_001, output=MILLION)

    assert PRICES.cost("claude-haiku-5-5", at_it) == Decimal("0.5064")
    assert PRICES.cost("claude-haiku-5-5", above) == Decimal("2.53200005")


@pytest.mark.parametrize(
    "model",
    [
        "",
        "claude",
        "claude-opus-5-5-preview",
        "claude-opus-5-55",
        "anthropic/claude-opus-5-5",
        "Claude-Opus-5-5",
        "claude-opus-5-5-2026101",
        "claude-opus-5-5-20261001-preview",
        "gpt-5.5-pro",
        "gpt-5.5\n",
    ],
)
def test_an_unknown_model_has_no_price(model: str) -> None:
    """A similar name is another model: nothing is guessed, also not zero."""
    assert PRICES.of(model) is None
    assert PRICES.cost(model, Usage(input=1)) is None


@pytest.mark.parametrize(
    ("dated", "model"),
    [
        ("claude-haiku-4-5-20251001", "claude-haiku-4-5"),
        ("claude-sonnet-5-5@20261001", "claude-sonnet-5-5"),
        ("claude-opus-5-20260301", "claude-opus-5"),
        ("gpt-5.5-2026-04-23", "gpt-5.5"),
    ],
)
def test_an_id_with_a_date_is_the_same_model(dated: str, model: str) -> None:
    """Providers put dates behind ids; the price is that of the id before it."""
    assert PRICES.of(dated) is PRICES.of(model) is not None


def test_a_price_that_changed_depends_on_the_day() -> None:
    """A call costs what held on its day; before the first known price, that one."""
    usage = Usage(input=MILLION // 10)

    assert PRICES.cost("gpt-5.6-luna", usage, at("2026-07-29")) == Decimal("0.1")
    assert PRICES.cost("gpt-5.6-luna", usage, at("2026-07-30")) == Decimal("0.02")
    assert PRICES.cost("gpt-5.6-luna", usage, at("1971-01-01")) == Decimal("0.1")
    assert PRICES.cost("gpt-5.6-luna", usage) == Decimal("0.02")


@settings(max_examples=60, deadline=None)
@given(model=MODELS, usage=USAGES)
def test_the_most_that_a_call_can_cost_bounds_what_it_does(model: str, usage: Usage) -> None:
    """However its input falls to caches, a call of reserved size costs at most what was held."""
    price = PRICES.of(model)
    assert price is not None

    assert price.cost(usage) <= price.most(usage.total_input, usage.output)
    assert price.most(usage.total_input, usage.output) <= price.most(
        usage.total_input + 1, usage.output + 1
    )


@settings(max_examples=60, deadline=None)
@given(model=MODELS, usage=USAGES)
def test_costs_are_exact(model: str, usage: Usage) -> None:
    """The cost equals the one reckoned in fractions."""
    price = PRICES.of(model)
    assert price is not None
    row = price.long if price.long and usage.total_input > price.above else price.rates

    exact = sum(
        (getattr(usage, name) * Fraction(getattr(row, name)) for name in RATES), Fraction(0)
    )

    assert Fraction(price.cost(usage)) == exact / MILLION


def test_the_file_says_where_each_price_comes_from() -> None:
    """Each row has a source and the file its date; no address of any server stands in it."""
    text = files("stations.models").joinpath("prices.toml").read_text(encoding="utf-8")

    assert str(PRICES.retrieved) == PRICES.version == "2026-11-21"
    assert "://" not in text
    for rows in PRICES.rows.values():
        assert all(row.source for row in rows)
        assert len({row.since for row in rows}) == len(rows)
        assert [row.since is None for row in rows][:-1] == [False] * (len(rows) - 1)


def test_a_price_of_the_users_own_stands_above_the_file() -> None:
    """A model that the file does not know, or knows otherwise, gets its price; the version says so.

    Calls made with other prices must not look alike.
    """
    own = {"my-model": Price.flat(tokens_in=Decimal(1), tokens_out=Decimal(4))}
    dearer = {"my-model": Price.flat(tokens_in=Decimal(2), tokens_out=Decimal(4))}
    usage = Usage(input=MILLION, cache_read=MILLION, output=MILLION)

    assert Prices.load(own).cost("my-model", usage) == 6
    assert Prices.load(own).cost("claude-opus-5", usage) == PRICES.cost("claude-opus-5", usage)
    assert Prices.load(own).version.startswith(f"{PRICES.version}+")
    assert Prices.load(own).version == Prices.load(dict(own)).version
    assert Prices.load(own).version != Prices.load(dearer).version


@pytest.mark.parametrize("rate", ["-0.01", "NaN", "Infinity"])
def test_a_price_is_an_amount_of_money(rate: str) -> None:
    """No price may enrich an account or make its sum unknowable."""
    with pytest.raises(ValueError, match="0 or more"):
        Price.flat(tokens_in=Decimal(rate), tokens_out=Decimal(1))


def test_the_file_agrees_with_another_list_of_prices() -> None:
    """Each rate is the one that genai-prices has, where that package is installed."""
    other = pytest.importorskip(
        "genai_prices", reason="genai-prices is not installed: pip install genai-prices"
    )
    day = datetime(2026, 11, 21, tzinfo=UTC)
    differ: list[str] = []
    for model in sorted(PRICES.rows):
        for tokens in (50_000, 150_000, 250_000, 300_000):
            usage = Usage(input=tokens - 2_000, cache_read=1_000, output=1_000)
            if model.startswith("claude-"):
                usage += Usage(input=-1_000, cache_write_5m=1_000)
            theirs = other.calc_price(
                other.Usage(
                    input_tokens=usage.total_input,
                    output_tokens=usage.output,
                    cache_read_tokens=usage.cache_read,
                    cache_write_tokens=usage.cache_write_5m,
                ),
                model,
                genai_request_timestamp=day,
            ).total_price
            if PRICES.cost(model, usage) != theirs:
                differ.append(f"{model} at {tokens}: {PRICES.cost(model, usage)} != {theirs}")
    assert not differ


@pytest.mark.parametrize(
    ("model", "raised", "expected"),
    [
        ("small", 0, "claude-haiku-5-5"),
        ("small", 1, "claude-sonnet-5-5"),
        ("small", 2, "claude-opus-5-5"),
        ("small", 9, "claude-opus-5-5"),
        ("medium", 0, "claude-sonnet-5-5"),
        ("medium", 1, "claude-opus-5-5"),
        ("large", 5, "claude-opus-5-5"),
        ("medium", -1, "claude-sonnet-5-5"),
        ("", 0, "claude-sonnet-5-5"),
        ("", 1, "claude-opus-5-5"),
        ("claude-haiku-5-5", 2, "claude-haiku-5-5"),
        ("some-other-model", 1, "some-other-model"),
    ],
)
def test_a_tier_names_a_model_and_rises_to_the_top(model: str, raised: int, expected: str) -> None:
    """A raised attempt takes the next tier and stops at the last; an id stays what it is."""
    assert tiers.resolve(model, raised, {}) == expected


@pytest.mark.parametrize(
    ("model", "raised", "expected"),
    [
        ("small", 0, "tiny"),
        ("small", 1, "claude-sonnet-5-5"),
        ("small", 2, "huge"),
        ("last", 0, "claude-fable-5-2"),
        ("last", 3, "claude-fable-5-2"),
        ("review", 0, "huge"),
        ("round", 0, "round"),
    ],
)
def test_a_configuration_has_its_own_tiers(model: str, raised: int, expected: str) -> None:
    """[models] replaces a tier and adds others, which may stand for one but do not rise."""
    models: Mapping[str, str] = {
        "small": "tiny",
        "large": "huge",
        "last": "claude-fable-5-2",
        "review": "large",
        "round": "about",
        "about": "round",
    }

    assert tiers.resolve(model, raised, models) == expected
    assert tiers.names(models)[:4] == ("small", "medium", "large", "about")


def test_the_default_tiers_have_prices_that_rise() -> None:
    """What a line uses without any configuration is priced, cheapest first."""
    costs = [
        PRICES.cost(tiers.resolve(tier, 0, {}), Usage(input=MILLION, output=MILLION))
        for tier in tiers.LADDER
    ]

    assert all(cost is not None for cost in costs)
    assert costs == sorted(cost for cost in costs if cost is not None)


def test_rates_know_their_dearest_input() -> None:
    """The worst case of a token of input is the dearest of all that a cache may make of it."""
    some = Rates(
        input=Decimal(2),
        output=Decimal(9),
        cache_write_5m=Decimal(3),
        cache_write_1h=Decimal(4),
        cache_read=Decimal(1),
    )

    assert some.dearest_input == 4
