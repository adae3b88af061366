"""The forge's answers as they were last time, so that asking again for the same costs nothing.

A SQLite file beside the ledger, from address to ETag and body. It may be lost at any time. Each
call opens it anew: threads and processes share it without a lock of ours. A stored answer is used
only when the forge says for this very token that nothing changed.
"""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from factory.storing import write_ahead

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS answers (
    address TEXT PRIMARY KEY, etag TEXT NOT NULL, link TEXT NOT NULL, body TEXT NOT NULL,
    size INTEGER NOT NULL, at REAL NOT NULL)
"""
_BYTES: Final = 64 * 1024 * 1024
_LARGEST: Final = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """An answer: its ETag, where its next page is, and what it says."""

    etag: str
    link: str
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cache:
    """Keeps answers in ``path``, the newest ``size`` bytes of them."""

    path: Path
    size: int = _BYTES

    def find(self, address: str) -> Known | None:
        """Give what was last answered there."""
        with self._open() as db:
            row = db.execute(
                "SELECT etag, link, body FROM answers WHERE address = ?", (address,)
            ).fetchone()
        return None if row is None else Known(etag=row[0], link=row[1], body=row[2])

    def keep(self, address: str, known: Known) -> None:
        """Keep an answer and drop the oldest ones that no longer fit."""
        size = len(known.body.encode(errors="replace"))
        if size > min(_LARGEST, self.size):
            return
        with self._open() as db:
            db.execute(
                "INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?, ?)",
                (address, known.etag, known.link, known.body, size, time.time()),
            )
            self._trim(db)

    def _trim(self, db: sqlite3.Connection) -> None:
        (held,) = db.execute("SELECT total(size) FROM answers").fetchone()
        if held <= self.size:
            return
        kept, last = 0, None
        for number, size in db.execute("SELECT rowid, size FROM answers ORDER BY at DESC"):
            kept += size
            if kept > self.size:
                last = number
                break
        if last is not None:
            db.execute(
                "DELETE FROM answers WHERE at <= (SELECT at FROM answers WHERE rowid = ?)", (last,)
            )

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """Open the file; one that is no database is begun anew."""
        try:
            db = self._connected()
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise
            for end in ("", "-wal", "-shm"):
                with suppress(FileNotFoundError):
                    Path(f"{self.path}{end}").unlink()
            db = self._connected()
        with closing(db), db:
            yield db

    def _connected(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        db = sqlite3.connect(self.path, timeout=10)
        try:
            write_ahead(db)
            db.execute("PRAGMA synchronous = OFF")
            db.execute(_SCHEMA)
        except BaseException:
            db.close()
            raise
        return db
