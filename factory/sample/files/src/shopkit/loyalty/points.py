"""Points: what a customer earns and what it is worth."""

from decimal import Decimal

PER_EURO = 2
WORTH = Decimal("0.01")


def earned(amount: Decimal) -> int:
    """Give the points that a purchase earns: whole euros count."""
    return int(amount) * PER_EURO


def worth(points: int) -> Decimal:
    """Give what points are worth."""
    return points * WORTH
