"""Reorder: when to buy more, and how much."""

PACK = 12


def needs_reorder(count: int, threshold: int) -> bool:
    """Say whether an item has fallen to its threshold."""
    return not count > threshold


def packs_for(missing: int) -> int:
    """Give how many packs cover what is missing."""
    if not missing > 0:
        return 0
    return -(-missing // PACK)


def rush(count: int, daily: int, days: int) -> bool:
    """Say whether the shelf runs empty before a delivery in so many days arrives."""
    return not count >= daily * days
