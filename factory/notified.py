"""How far each sink of notices was told, kept for good in the ledger's own file.

A position is written only after its notices were delivered: whoever is killed in between tells
them again, and nobody leaves one out.
"""

import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from factory.ledger import LedgerError

_PATIENCE: Final = 30.0
_TABLE: Final = """
CREATE TABLE IF NOT EXISTS notified (
    sink TEXT PRIMARY KEY, seq INTEGER NOT NULL, at REAL NOT NULL)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """Up to which position of the ledger a sink was told, and when something was sent last."""

    seq: int
    at: float = 0.0


class Notified:
    """The open record of what sinks were told; a context manager, for one thread."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._db = sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None)
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.execute(_TABLE)
        except sqlite3.Error as error:
            raise LedgerError(f"{path}: {error}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def of(self, sink: str) -> Told | None:
        """Give how far a sink was told; None when it was never there."""
        try:
            row = self._db.execute(
                "SELECT seq, at FROM notified WHERE sink = ?", (sink,)
            ).fetchone()
        except sqlite3.Error as error:
            raise LedgerError(f"cannot read {self.path}: {error}") from error
        return None if row is None else Told(seq=row[0], at=row[1])

    def keep(self, sink: str, told: Told) -> None:
        """Keep how far a sink was told; it is on disk when this is back."""
        try:
            self._db.execute(
                "INSERT OR REPLACE INTO notified (sink, seq, at) VALUES (?, ?, ?)",
                (sink, told.seq, told.at),
            )
        except sqlite3.Error as error:
            raise LedgerError(f"cannot write {self.path}: {error}") from error
