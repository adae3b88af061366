"""What readers answered, kept: a survey that goes on, or comes again, pays for no call twice.

The file lies beside the mirror and outlives it: a mirror can be fetched anew, an answer is bought.
"""

import json
import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, Self

from factory.complaint import Complaint
from factory.storing import write_ahead

_PATIENCE: Final = 30.0
_TABLE: Final = (
    "CREATE TABLE IF NOT EXISTS readings (key TEXT PRIMARY KEY, said TEXT NOT NULL) WITHOUT ROWID"
)


class Readings:
    """An open store of answers by the mark of what was asked; a context manager."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._db = self._opened(path)
        except sqlite3.DatabaseError as error:
            raise Complaint(
                f"{path} cannot be used: {error}",
                hint="it only keeps what models answered: remove it, and they are asked again",
                code=7,
            ) from error

    @staticmethod
    def _opened(path: Path) -> sqlite3.Connection:
        db = sqlite3.connect(path, timeout=_PATIENCE)
        write_ahead(db)
        db.execute("PRAGMA synchronous = FULL")
        with db:
            db.execute(_TABLE)
        return db

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def found(self, keys: Iterable[str]) -> dict[str, Any]:
        """Give what was answered, by key; what was never asked is not in it."""
        said: dict[str, Any] = {}
        for key in keys:
            row = self._db.execute("SELECT said FROM readings WHERE key = ?", (key,)).fetchone()
            if row is not None:
                said[key] = json.loads(row[0])
        return said

    def keep(self, said: Mapping[str, object]) -> None:
        """Keep answers for good; they are on disk when this is back."""
        with self._db:
            self._db.executemany(
                "INSERT OR REPLACE INTO readings VALUES (?, ?)",
                [(key, json.dumps(value)) for key, value in said.items()],
            )
