"""Files of SQLite that several processes open at once."""

import sqlite3
import threading
from pathlib import Path

from factory.storing import write_ahead


def test_two_that_make_a_file_at_once_both_get_it(tmp_path: Path) -> None:
    """Of many new files none is refused to either of two who open it in the same moment."""
    modes = list[str]()

    def opened(path: Path, begun: threading.Barrier) -> None:
        db = sqlite3.connect(path, timeout=30)
        begun.wait()
        write_ahead(db)
        db.execute("CREATE TABLE IF NOT EXISTS known (n INTEGER)")
        modes.append(db.execute("PRAGMA journal_mode").fetchone()[0])
        db.close()

    for n in range(60):
        begun = threading.Barrier(2)
        pair = [
            threading.Thread(target=opened, args=(tmp_path / f"{n}.sqlite", begun)) for _ in "ab"
        ]
        for thread in pair:
            thread.start()
        for thread in pair:
            thread.join()

    assert modes == ["wal"] * 120
