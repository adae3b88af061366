"""What a call costs at list price, from a dated file that comes with the package.

An id that the file does not know has no price; nothing is ever guessed from a similar name.
"""

import hashlib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from importlib.resources import files
from typing import Final, NotRequired, Self, TypedDict

from stations.models.values import Usage

_FILE: Final = "prices.toml"
_DATED: Final = re.compile(r"(?P<id>.+?)(?:[-@][0-9]{8}|-[0-9]{4}-[0-9]{2}-[0-9]{2})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Dollars for a million tokens of each sort."""

    input: Decimal
    output: Decimal
    cache_write_5m: Decimal
    cache_write_1h: Decimal
    cache_read: Decimal

    def __post_init__(self) -> None:
        """Refuse a rate by which a call would enrich whoever makes it."""
        rates = (self.input, self.output, *self._cached)
        if not all(rate.is_finite() and rate >= 0 for rate in rates):
            raise ValueError("a price is a number of dollars, 0 or more")

    def cost(self, usage: Usage) -> Decimal:
        """Give what these tokens cost, exactly."""
        millionths = (
            usage.input * self.input
            + usage.output * self.output
            + usage.cache_write_5m * self.cache_write_5m
            + usage.cache_write_1h * self.cache_write_1h
            + usage.cache_read * self.cache_read
        )
        return millionths.scaleb(-6)

    @property
    def dearest_input(self) -> Decimal:
        """The rate of a token of input whatever a cache makes of it."""
        return max(self.input, *self._cached)

    @property
    def _cached(self) -> tuple[Decimal, ...]:
        return (self.cache_write_5m, self.cache_write_1h, self.cache_read)


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What one model costs; a call with more than ``above`` tokens of input costs ``long``."""

    rates: Rates
    long: Rates | None = None
    above: int = 0
    since: date | None = None
    """The first day it holds; None when the provider does not say."""
    source: str = ""

    @classmethod
    def flat(cls, *, tokens_in: Decimal, tokens_out: Decimal, source: str = "") -> Self:
        """Give the price of a model that has no cache: every token of input costs the same."""
        rates = Rates(
            input=tokens_in,
            output=tokens_out,
            cache_write_5m=tokens_in,
            cache_write_1h=tokens_in,
            cache_read=tokens_in,
        )
        return cls(rates=rates, source=source)

    def row(self, tokens_in: int) -> Rates:
        """Give the rates of a call with so much input, which hold for the whole call."""
        return self.long if self.long is not None and tokens_in > self.above else self.rates

    def cost(self, usage: Usage) -> Decimal:
        """Give what one call cost; a sum over several calls may stand in the wrong row."""
        return self.row(usage.total_input).cost(usage)

    def most(self, tokens_in: int, tokens_out: int) -> Decimal:
        """Give the most that a call of at most this size can cost, whatever is cached."""
        rates = self.row(tokens_in)
        return (tokens_in * rates.dearest_input + tokens_out * rates.output).scaleb(-6)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """All prices that are known; ``version`` names them, and goes into every call."""

    version: str
    retrieved: date
    rows: Mapping[str, tuple[Price, ...]] = field(repr=False)
    """The prices of each id, the newest first."""

    @classmethod
    def load(cls, own: Mapping[str, Price] | None = None) -> Self:
        """Read the file of the package; ``own`` prices of the user's stand above it."""
        table = tomllib.loads(
            files("stations.models").joinpath(_FILE).read_text(encoding="utf-8"),
            parse_float=Decimal,
        )
        rows: dict[str, list[Price]] = {}
        for entry in table["price"]:
            for name in entry["ids"]:
                rows.setdefault(name, []).append(_price(entry))
        known = {
            name: tuple(sorted(found, key=lambda row: row.since or date.min, reverse=True))
            for name, found in rows.items()
        }
        version = str(table["version"])
        if own:
            known.update((name, (price,)) for name, price in own.items())
            version += f"+{_digest(own)}"
        return cls(version=version, retrieved=table["retrieved"], rows=known)

    def of(self, model: str, on: float | None = None) -> Price | None:
        """Give a model's price, at a time in seconds since the epoch if the day matters.

        An id with a date behind it is the same model. A time before the first known price is
        taken at that price.
        """
        rows = self.rows.get(model)
        if rows is None:
            dated = _DATED.fullmatch(model)
            rows = self.rows.get(dated["id"]) if dated else None
        if rows is None or on is None:
            return None if rows is None else rows[0]
        day = datetime.fromtimestamp(on, UTC).date()
        return next((row for row in rows if row.since is None or row.since <= day), rows[-1])

    def cost(self, model: str, usage: Usage, on: float | None = None) -> Decimal | None:
        """Give what one call cost at list price; None when the model has no price."""
        price = self.of(model, on)
        return None if price is None else price.cost(usage)


class _Row(TypedDict):
    ids: list[str]
    effective_from: NotRequired[date]
    source: str
    rates: dict[str, Decimal | int]
    above: NotRequired[int]
    long: NotRequired[dict[str, Decimal | int]]


def _price(row: _Row) -> Price:
    return Price(
        rates=_rates(row["rates"]),
        long=_rates(row["long"]) if "long" in row else None,
        above=row.get("above", 0),
        since=row.get("effective_from"),
        source=row["source"],
    )


def _rates(table: Mapping[str, Decimal | int]) -> Rates:
    return Rates(**{name: Decimal(rate) for name, rate in table.items()})


def _digest(own: Mapping[str, Price]) -> str:
    text = "\n".join(f"{name} {own[name]!r}" for name in sorted(own))
    return hashlib.sha256(text.encode()).hexdigest()[:8]
