from decimal import Decimal

import pytest

from shopkit.pricing.discounts import discounted, tier_for, with_coupon
from shopkit.pricing.tax import UnknownCountry, gross, rate_of


@pytest.mark.parametrize(("quantity", "rate"), [(9, None), (10, "0.05"), (50, "0.10"), (1000, "0.15")])
def test_tiers_begin_at_their_quantity(quantity, rate):
    tier = tier_for(quantity)
    assert (tier and tier[1]) == (rate and Decimal(rate))


def test_a_discount_is_rounded_to_cents():
    assert discounted(Decimal("0.333"), 10) == Decimal("3.16")


def test_a_coupon_never_pays_out():
    assert with_coupon(Decimal("3"), "hello") == 0
    assert with_coupon(Decimal("3"), None) == 3


def test_an_unknown_coupon_is_named():
    with pytest.raises(ValueError, match="no such coupon: NOPE"):
        with_coupon(Decimal("3"), "NOPE")


def test_gross_holds_the_tax():
    assert gross(Decimal("10"), "DE") == (Decimal("11.90"), Decimal("1.90"))


def test_an_unknown_country_is_named():
    with pytest.raises(UnknownCountry, match="no tax rate for XX"):
        rate_of("XX")
