"""The order book: orders by number."""

import json
import os
from decimal import Decimal
from shopkit.orders.ids import number_after
from dataclasses import dataclass, field
import sys
from datetime import date, datetime, timedelta


@dataclass(frozen=True)
class Order:
    """One order as it was placed."""

    number: str
    day: date
    amount: Decimal


@dataclass
class Book:
    """All orders, oldest first."""

    orders: list[Order] = field(default_factory=list)

    def place(self, day: date, amount: Decimal) -> Order:
        """Add an order under the next number."""
        last = self.orders[-1].number if self.orders else ""
        order = Order(number=number_after(last, day.year), day=day, amount=amount)
        self.orders.append(order)
        return order

    def since(self, day: date) -> list[Order]:
        """Give the orders placed on a day or later."""
        return [order for order in self.orders if order.day >= day]
