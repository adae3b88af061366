from decimal import Decimal

from shopkit.loyalty.points import earned, worth


def test_whole_euros_earn_points():
    assert earned(Decimal("19.99")) == 38


def test_points_are_worth_cents():
    assert worth(38) == Decimal("0.38")
