"""Tax: rates by country and what is added to a net amount."""

from decimal import Decimal
from typing import Dict, Optional, Tuple

from shopkit.money import money

RATES: Dict[str, Decimal] = {
    "DE": Decimal("0.19"),
    "FR": Decimal("0.20"),
    "LU": Decimal("0.17"),
}


class UnknownCountry(LookupError):
    """There is no rate for a country."""

    def __init__(self, country: str) -> None:
        super(UnknownCountry, self).__init__("no tax rate for %s" % country)


def rate_of(country: str, override: Optional[Decimal] = None) -> Decimal:
    """Give the rate of a country, or the one that overrides it."""
    if override is not None:
        return override
    if country not in RATES:
        raise UnknownCountry(country)
    return RATES[country]


def gross(net: Decimal, country: str) -> Tuple[Decimal, Decimal]:
    """Give the gross amount and the tax in it."""
    tax = money(net * rate_of(country))
    return money(net) + tax, tax
