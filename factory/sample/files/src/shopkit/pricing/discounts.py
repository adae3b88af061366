"""Discounts: tiers by quantity, and coupons."""

from decimal import Decimal
from typing import Dict, List, Optional, Tuple, Union

from shopkit.money import money

Tier = Tuple[int, Decimal]
TIERS: List[Tier] = [(10, Decimal("0.05")), (50, Decimal("0.10")), (200, Decimal("0.15"))]
COUPONS: Dict[str, Decimal] = {"HELLO": Decimal("5.00"), "BACK": Decimal("2.50")}


def tier_for(quantity: int) -> Optional[Tier]:
    """Give the best tier that a quantity reaches, or None."""
    reached = [tier for tier in TIERS if quantity >= tier[0]]
    return max(reached) if reached else None


def discounted(price: Decimal, quantity: int) -> Decimal:
    """Give the price of a quantity after its tier's discount."""
    tier = tier_for(quantity)
    rate = tier[1] if tier else Decimal(0)
    return money(price * quantity * (1 - rate))


def with_coupon(amount: Decimal, code: Union[str, None]) -> Decimal:
    """Take a coupon off an amount, never below nothing."""
    if code is None:
        return amount
    off = COUPONS.get(code.upper())
    if off is None:
        raise ValueError("no such coupon: {}".format(code))
    return max(Decimal(0), amount - off)
