"""Queries for the forge's own search: few, short, and never anybody's syntax. Pure."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, zip_longest
from typing import Final

from factory.survey import texts
from factory.survey.values import Item

MOST: Final = 6
LONGEST: Final = 256
_TERMS: Final = 6
"""With five operators between them, as many as the search takes."""
_ALL: Final = 4
"""More words than these are on no page together."""
_WORD: Final = 40
_PHRASE: Final = 80
_QUOTING: Final = frozenset("\"'`\\")
_KINDS: Final = ("is:issue", "is:pr")
"""A search for both at once is refused to some kinds of tokens."""


def written(theme: str, seeds: Sequence[Item], rarity: Callable[[str], float]) -> tuple[str, ...]:
    """Give the queries for a theme and what the seeds say, the broadest last."""
    columns = [list(_of_theme(theme)), *(list(_of_item(seed, rarity)) for seed in seeds)]
    terms = texts.unique(filter(None, chain.from_iterable(zip_longest(*columns))), MOST // 2)
    return tuple(f"{kind} {term}" for term in terms for kind in _KINDS)


def _of_theme(theme: str) -> Iterator[str]:
    words = [word for word in texts.asked(theme) if len(word) <= _WORD][:_TERMS]
    if len(words) in range(2, _ALL + 1):
        yield " ".join(words)
    yield _any(words)


def _of_item(item: Item, rarity: Callable[[str], float]) -> Iterator[str]:
    words = sorted(set(texts.words(item.title)), key=lambda word: (-rarity(word), word))
    yield _any([word for word in words if len(word) <= _WORD])
    for error in texts.errors(f"{item.title}\n{item.body}", most=1):
        yield _phrase(error)
    names = (path.rpartition("/")[2] for path in texts.paths(item.body))
    yield _any([_phrase(name) for name in texts.unique(names, 3)])


def _phrase(text: str) -> str:
    """Give a text as one phrase; only what is inside of it counts."""
    inner = " ".join("".join(c if c not in _QUOTING else " " for c in text[:_PHRASE]).split())
    return f'"{inner}"' if inner else ""


def _any(terms: Iterable[str]) -> str:
    """Give a query for any of these terms, as many as it may have."""
    found = list(filter(None, terms))[:_TERMS]
    while len(query := " OR ".join(found)) > LONGEST:
        found.pop()
    return query
