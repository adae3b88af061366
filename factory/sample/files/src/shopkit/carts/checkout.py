"""Checkout: from a cart to what the customer pays."""

from decimal import Decimal

from shopkit.carts.cart import Cart
from shopkit.pricing.tax import gross

FREE_SHIPPING_FROM = Decimal("50.00")
SHIPPING = Decimal("4.90")


def shipping_for(cart: Cart) -> Decimal:
    """Give the shipping that a cart pays."""
    if cart.get_total() >= FREE_SHIPPING_FROM:
        return Decimal("0.00")
    return SHIPPING


def due(cart: Cart, country: str) -> Decimal:
    """Give what the customer pays, taxes and shipping included."""
    amount, _ = gross(cart.get_total() + shipping_for(cart), country)
    return amount


def receipt(carts: list[Cart]) -> str:
    """Give one line for each cart, and what they come to."""
    lines = [f"cart {n}: {cart.get_total()}" for n, cart in enumerate(carts, start=1)]
    total = sum((cart.get_total() for cart in carts), Decimal(0))
    return "\n".join([*lines, f"together: {total}"])
