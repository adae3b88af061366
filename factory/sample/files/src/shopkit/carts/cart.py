"""Carts: items with quantities."""

import warnings
from decimal import Decimal

from shopkit.catalog.items import Item
from shopkit.money import money


class Cart:
    """A customer's items and how many of each."""

    def __init__(self) -> None:
        self.lines: dict[Item, int] = {}

    def add(self, item: Item, quantity: int = 1) -> None:
        """Put more of an item into the cart."""
        if quantity < 1:
            raise ValueError(f"quantity must be at least 1, not {quantity}")
        self.lines[item] = self.lines.get(item, 0) + quantity

    def total(self) -> Decimal:
        """Give the net price of everything in the cart."""
        return money(sum((item.price * n for item, n in self.lines.items()), Decimal(0)))

    def get_total(self) -> Decimal:
        """Give the net price; deprecated, call `total` instead."""
        warnings.warn("Cart.get_total() is deprecated, use total()", DeprecationWarning, stacklevel=2)
        return self.total()

    def is_free(self) -> bool:
        """Say whether the cart costs nothing."""
        return self.get_total() == 0
