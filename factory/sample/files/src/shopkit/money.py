"""Amounts of money: exact, in cents, rounded half up as the tax office wants it."""

from decimal import ROUND_HALF_UP, Decimal

CENT = Decimal("0.01")


def money(amount):
    """Give an amount rounded to whole cents, half a cent going up."""
    return Decimal(amount).quantize(CENT, rounding=ROUND_HALF_UP)
