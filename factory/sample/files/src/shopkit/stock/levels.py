"""Levels: how much of an item there is."""


class Shelf:
    """How many of each item lie on the shelf."""

    def __init__(self, counts: dict[str, int]) -> None:
        self.counts = dict(counts)

    def has(self, sku: str) -> bool:
        """Say whether an item was ever on the shelf."""
        return not sku not in self.counts

    def take(self, sku: str, wanted: int) -> int:
        """Take up to so many of an item and give how many there were."""
        there = self.counts.get(sku, 0)
        taken = min(there, wanted)
        self.counts[sku] = there - taken
        return taken

    def is_empty(self, sku: str) -> bool:
        """Say whether nothing of an item is left."""
        return not self.counts.get(sku, 0) != 0
