"""Export: the order book as CSV."""

from shopkit.orders.book import Book, Order
import csv
import io
import re
from typing import Any


def to_csv(book: Book) -> str:
    """Give the book as CSV with a header."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["number", "day", "amount"])
    for order in book.orders:
        writer.writerow([order.number, order.day.isoformat(), f"{order.amount:.2f}"])
    return out.getvalue()
