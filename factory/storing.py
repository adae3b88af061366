"""What every SQLite file of ours has in common: readers beside one writer, whoever made it."""

import sqlite3
import threading
import time
from typing import Final

PATIENCE: Final = 30.0
_GLANCE: Final = 0.01


def write_ahead(db: sqlite3.Connection) -> None:
    """Let readers and a writer work side by side; sqlite3.OperationalError when it may not be.

    Two that make the same file at once cannot both switch it, and SQLite tells one of them that
    it is locked without waiting as it does elsewhere; the mode then stays for all who come later.
    """
    ends = time.monotonic() + PATIENCE
    pause = threading.Event()
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
            if not busy or time.monotonic() >= ends:
                raise
            pause.wait(_GLANCE)
        else:
            return
