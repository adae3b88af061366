"""Corpora of issues with known duplicates, and how well an order finds them.

The cut in `gitbugs` is for tests; `benchmarks/ranking.py` takes any other in the same form.
"""

import csv
import re
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from math import log, log2, sqrt
from pathlib import Path
from typing import Final

from factory.survey import ranking, texts
from factory.survey.ranking import Ranking
from factory.survey.ranks import fused
from tests.run import ROOT

CUT: Final = ROOT / "tests" / "survey" / "gitbugs"
Order = Callable[[str, str], Sequence[int]]
"""Gives numbers for a title and a body, the best first."""
_NAMES: Final = {
    "number": ("issue id", "bug id", "id", "number"),
    "title": ("summary", "title"),
    "body": ("description", "body"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Corpus:
    """Items by number, each a title and a body, and what belongs together."""

    items: Mapping[int, tuple[str, str]]
    pairs: Mapping[int, frozenset[int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The mean over all queries, each with itself left out of what it found."""

    recall_10: float
    recall_40: float
    ndcg_10: float

    def __str__(self) -> str:
        """Give them as one reads them in a table."""
        return f"{self.recall_10:.3f} / {self.recall_40:.3f} / {self.ndcg_10:.3f}"


def load(issues: Path = CUT / "issues.csv", pairs: Path = CUT / "pairs.csv") -> Corpus:
    """Read a corpus as GitBugs has it: issues with title and description, and their duplicates."""
    csv.field_size_limit(2**31 - 1)
    items: dict[int, tuple[str, str]] = {}
    with issues.open(newline="", encoding="utf-8", errors="replace") as file:
        for row in csv.DictReader(file):
            named = {(name or "").strip().lower(): text for name, text in row.items()}
            number, title, body = (
                next((named[name] or "" for name in _NAMES[what] if name in named), "")
                for what in ("number", "title", "body")
            )
            if number.strip().isdigit():
                items[int(number)] = texts.title(title), texts.body(body)
    belonging: defaultdict[int, set[int]] = defaultdict(set)
    with pairs.open(newline="", encoding="utf-8") as file:
        for one, others in (row[:2] for row in csv.reader(file) if len(row) > 1):
            for other in re.findall(r"\d+", others):
                if one.strip().isdigit() and {int(one), int(other)} <= items.keys():
                    belonging[int(one)].add(int(other))
    return Corpus(
        items=items,
        pairs={one: frozenset(others - {one}) for one, others in belonging.items()},
    )


def judged(corpus: Corpus, order: Order) -> Figures:
    """Ask for every item that has a partner, and look where its partners are."""
    tens: list[float] = []
    forties: list[float] = []
    gains: list[float] = []
    for number, partners in corpus.pairs.items():
        found = [other for other in order(*corpus.items[number]) if other != number]
        tens.append(len(partners.intersection(found[:10])) / len(partners))
        forties.append(len(partners.intersection(found[:40])) / len(partners))
        gain = sum(1 / log2(at + 2) for at, other in enumerate(found[:10]) if other in partners)
        gains.append(gain / sum(1 / log2(at + 2) for at in range(min(10, len(partners)))))
    many = len(corpus.pairs)
    return Figures(
        recall_10=sum(tens) / many, recall_40=sum(forties) / many, ndcg_10=sum(gains) / many
    )


def indexed(items: Mapping[int, tuple[str, str]]) -> sqlite3.Connection:
    """Give a database with the factory's own index of these items."""
    db = sqlite3.connect(":memory:")
    db.executescript(ranking.SCHEMA)
    for number, (title, body) in items.items():
        ranking.index(db, number, title, body)
    return db


def ours(corpus: Corpus) -> Figures:
    """Judge the factory's ranking."""
    with closing(indexed(corpus.items)) as db:
        return judged(corpus, Ranking(db).rank)


def others(corpus: Corpus) -> dict[str, Figures]:
    """Judge what one would take first: FTS5 as it is, with stems, with pieces; TF-IDF."""
    with closing(sqlite3.connect(":memory:")) as db:
        _table(db, "pieces", "trigram", corpus.items)
        words = _table(db, "stems", "porter unicode61", corpus.items)

        def both(title: str, body: str) -> list[int]:
            parts = texts.unique(texts.pieces(title), 80)
            return fused((words(title, body), _match(db, "pieces", parts)))

        return {
            "FTS5, no stems": judged(corpus, _table(db, "plain", "unicode61", corpus.items)),
            "FTS5 porter": judged(corpus, words),
            "FTS5 porter + trigram, fused": judged(corpus, both),
            "TF-IDF of words": judged(corpus, _cosine(corpus.items)),
        }


def _table(
    db: sqlite3.Connection, name: str, how: str, items: Mapping[int, tuple[str, str]]
) -> Order:
    db.execute(f"CREATE VIRTUAL TABLE {name} USING fts5(title, body, tokenize='{how}')")
    db.executemany(
        f"INSERT INTO {name} (rowid, title, body) VALUES (?, ?, ?)",  # noqa: S608
        ((number, title, texts.counted(body)) for number, (title, body) in items.items()),
    )
    return lambda title, body: _match(db, name, texts.asked(texts.counted(f"{title} {body}")))


def _match(db: sqlite3.Connection, table: str, terms: Sequence[str]) -> list[int]:
    if not terms:
        return []
    query = " OR ".join(f'"{term}"' for term in terms)
    rows = db.execute(
        f"SELECT rowid FROM {table} WHERE {table} MATCH ?"  # noqa: S608
        f" ORDER BY bm25({table}, 3.0, 1.0) LIMIT 200",
        (query,),
    )
    return [number for (number,) in rows]


def _cosine(items: Mapping[int, tuple[str, str]]) -> Order:
    counts = {
        number: Counter(texts.words(f"{title} {texts.counted(body)}"))
        for number, (title, body) in items.items()
    }
    common = Counter(word for found in counts.values() for word in found)
    rare = {word: log((len(items) + 1) / (n + 1)) + 1 for word, n in common.items()}
    vectors = {number: _vector(found, rare) for number, found in counts.items()}
    holders: defaultdict[str, list[tuple[int, float]]] = defaultdict(list)
    for number, vector in vectors.items():
        for word, weight in vector.items():
            holders[word].append((number, weight))

    def order(title: str, body: str) -> Iterable[int]:
        near: defaultdict[int, float] = defaultdict(float)
        asked = _vector(Counter(texts.words(f"{title} {texts.counted(body)}")), rare)
        for word, weight in asked.items():
            for number, theirs in holders[word]:
                near[number] += weight * theirs
        return sorted(near, key=lambda number: -near[number])[:200]

    return lambda title, body: list(order(title, body))


def _vector(counts: Mapping[str, int], rare: Mapping[str, float]) -> dict[str, float]:
    weights = {word: (1 + log(n)) * rare[word] for word, n in counts.items() if word in rare}
    length = sqrt(sum(weight * weight for weight in weights.values())) or 1.0
    return {word: weight / length for word, weight in weights.items()}
