"""Items: what one thing in the shop is."""

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True)
class Item:
    """One thing that is sold, with its net price and its weight."""

    sku: str
    name: str
    price: Decimal
    grams: int = 0


def label(item: Item) -> str:
    """Give the line that is printed on the shelf."""
    return f"{item.sku}  {item.name}  {item.price:.2f}"
