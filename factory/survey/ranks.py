"""Ranks: lists of items, the best first, made into one by their reciprocal ranks. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Final

_FLAT: Final = 60
"""How little the first places of a list stand out: the usual constant."""


def fused(lists: Iterable[Sequence[int]]) -> list[int]:
    """Give every item of the lists, the one with the best places first."""
    score: defaultdict[int, float] = defaultdict(float)
    for numbers in lists:
        for place, number in enumerate(numbers):
            score[number] += points(place)
    # The number decides between equals, so that a survey is the same twice.
    return sorted(score, key=lambda number: (-score[number], number))


def points(place: int, weight: float = 1.0) -> float:
    """Give what a place in a list is worth; the first is 0."""
    return weight / (_FLAT + place)
