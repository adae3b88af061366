"""Ranking: which items speak of what a text speaks of, by three views of the words, fused.

Stems find other forms of a word, 3-letter pieces of a title's words find other spellings and parts
of names, and weighed words find what has most in common; each alone is wrong in its own way. A
rank is never a verdict.
"""

import json
import sqlite3
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from math import hypot, log
from typing import Final

from factory.survey import texts
from factory.survey.ranks import fused

SCHEMA: Final = """
CREATE VIRTUAL TABLE stems USING fts5(title, body, content='', tokenize='porter unicode61');
CREATE VIRTUAL TABLE pieces USING fts5(title, body, content='', tokenize='trigram');
CREATE TABLE counts (number INTEGER PRIMARY KEY, words TEXT NOT NULL);
"""
"""The tables of a ranking, beside whatever else the database holds."""
_TABLES: Final = (("stems", texts.COUNTED), ("pieces", 80))
"""Each with how many words of a body it holds; pieces of what comes late fit everything."""
_DEEP: Final = 200
"""So many of each view are looked at."""
_TITLE: Final = 3
"""A word of the title counts as three of the body."""
_PIECES: Final = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Views:
    """The numbers that each view found, the best first."""

    stems: tuple[int, ...]
    pieces: tuple[int, ...]
    weighed: tuple[int, ...]


def index(db: sqlite3.Connection, number: int, title: str, body: str) -> None:
    """Add an item that is not yet there."""
    counted = texts.counted(body)
    for table, most in _TABLES:
        db.execute(
            f"INSERT INTO {table} (rowid, title, body) VALUES (?, ?, ?)",  # noqa: S608
            (number, title, texts.counted(counted, most=most)),
        )
    words = json.dumps(texts.weighed(title, counted, more=_TITLE), separators=(",", ":"))
    db.execute("INSERT INTO counts VALUES (?, ?)", (number, words))


def forget(db: sqlite3.Connection, number: int, title: str, body: str) -> None:
    """Take an item out again; title and body are those it was added with."""
    for table, most in _TABLES:
        db.execute(
            f"INSERT INTO {table} ({table}, rowid, title, body) VALUES ('delete', ?, ?, ?)",  # noqa: S608
            (number, title, texts.counted(body, most=most)),
        )
    db.execute("DELETE FROM counts WHERE number = ?", (number,))


class Ranking:
    """Ranks the items of a database; it knows how common a word was when it was made."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        common: Counter[str] = Counter()
        held = 0
        for (words,) in db.execute("SELECT words FROM counts"):
            common.update(json.loads(words).keys())
            held += 1
        self._rare = {word: log((held + 1) / (n + 1)) + 1 for word, n in common.items()}

    def rank(self, title: str, body: str = "") -> list[int]:
        """Give the numbers of what is most alike, the best first."""
        views = self.views(title, body)
        return fused((views.stems, views.pieces, views.weighed))

    def views(self, title: str, body: str = "") -> Views:
        """Give what each view finds."""
        counted = texts.counted(body)
        stems = self._match("stems", texts.asked(f"{title} {counted}"))
        pieces = self._match("pieces", texts.unique(texts.pieces(title), _PIECES))
        asked = self._weights(texts.weighed(title, counted, more=_TITLE))
        alike = self._alike(asked, {*stems, *pieces})
        return Views(stems=stems, pieces=pieces, weighed=alike)

    def rarity(self, word: str) -> float:
        """Give how much a word says: the rarer, the more; 0 where nobody uses it."""
        return self._rare.get(word, 0.0)

    def _match(self, table: str, terms: Sequence[str]) -> tuple[int, ...]:
        if not terms:
            return ()
        # Quoted: no text of anybody is ever syntax.
        match = " OR ".join(f'"{term}"' for term in terms)
        rows = self._db.execute(
            f"SELECT rowid FROM {table} WHERE {table} MATCH ?"  # noqa: S608
            f" ORDER BY bm25({table}, {_TITLE}.0, 1.0), rowid LIMIT {_DEEP}",
            (match,),
        )
        return tuple(number for (number,) in rows)

    def _alike(self, asked: Mapping[str, float], numbers: Collection[int]) -> tuple[int, ...]:
        """Order these by the angle between their words' weights and the asked ones."""
        near: dict[int, float] = {}
        marks = ",".join(map(str, numbers))
        for number, words in self._db.execute(
            f"SELECT number, words FROM counts WHERE number IN ({marks})"  # noqa: S608
        ):
            theirs = self._weights(json.loads(words))
            same = sum(theirs[word] * asked[word] for word in theirs.keys() & asked.keys())
            near[number] = same / _length(theirs)
        order = sorted((n for n in near if near[n] > 0), key=lambda n: (-near[n], n))
        return tuple(order[:_DEEP])

    def _weights(self, words: Mapping[str, int]) -> dict[str, float]:
        rare = self._rare
        # Most words stand once, and the logarithm of that is nothing.
        return {
            word: rare[word] if n == 1 else (1 + log(n)) * rare[word]
            for word, n in words.items()
            if word in rare
        }


def _length(weights: Mapping[str, float]) -> float:
    return hypot(*weights.values()) or 1.0
