"""Search: finding items by what a customer types."""

from collections.abc import Iterable

from shopkit.catalog.items import Item


def words(text: str) -> list[str]:
    """Split a query into lower-case words without punctuation."""
    kept = "".join(c.lower() if c.isalnum() else " " for c in text)
    return kept.split()


def search(items: Iterable[Item], query: str) -> list[Item]:
    """Give the items whose names hold every word of the query, cheapest first."""
    wanted = words(query)
    hits = [item for item in items if all(w in words(item.name) for w in wanted)]
    return sorted(hits, key=lambda item: (item.price, item.sku))
