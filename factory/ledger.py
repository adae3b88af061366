"""The ledger: the durable, append-only record of a repository's runs, in one SQLite file.

Events are only ever added; replaying a run's events gives its line. One process writes events (it
holds `factory/owner`); others read at any time and may leave mail for the floor. SQLite's
write-ahead log drops a torn last transaction by itself and nothing before it.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import Field, TypeAdapter

from factory.changes import Option
from factory.events import Event, GateTried
from factory.line import Line, replay
from factory.storing import write_ahead
from stations.contract import Green, Red, Verdict
from worktrees.failpoint import failpoint
from worktrees.names import JobId, Oid, RunId

VERSION: Final = 1
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, run TEXT NOT NULL, at REAL NOT NULL, body TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS events_run ON events (run, seq);
CREATE TABLE IF NOT EXISTS verdicts (
    tree TEXT NOT NULL, key TEXT NOT NULL, body TEXT NOT NULL, flaky INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (tree, key));
CREATE TABLE IF NOT EXISTS mail (
    id INTEGER PRIMARY KEY AUTOINCREMENT, run TEXT NOT NULL, at REAL NOT NULL, body TEXT NOT NULL,
    taken INTEGER NOT NULL DEFAULT 0);
"""

LetterKind = Literal["tell", "kill", "retry", "pause", "resume", "apply", "undo"]


class LedgerError(Exception):
    """The ledger cannot be read or written; the message says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One event as the ledger keeps it; ``at`` is in seconds since the epoch."""

    seq: int
    run: RunId
    at: float
    event: Event


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A request that another process leaves for the floor; ``option`` is what is to be applied."""

    kind: LetterKind
    job: JobId | None = None
    text: str = ""
    option: Option | None = None


@cache
def _events() -> TypeAdapter[Event]:
    return TypeAdapter(Annotated[Event, Field(discriminator="kind")])


@cache
def _verdicts() -> TypeAdapter[Verdict]:
    return TypeAdapter(Annotated[Verdict, Field(discriminator="kind")])


@cache
def _letters() -> TypeAdapter[Letter]:
    return TypeAdapter(Letter)


def encode(event: Event) -> str:
    """Give an event as one line of JSON."""
    return _events().dump_json(event).decode()


def decode(body: str) -> Event:
    """Give back an event from its JSON; ValueError when it is none."""
    return _events().validate_json(body)


class Ledger:
    """An open ledger; use it as a context manager. All methods are for one thread."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path = path
        self._blank = False  # its maker was killed before it had tables
        try:
            if read_only:
                self._db = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=10)
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                self._db = sqlite3.connect(path, timeout=10)
            self._db.isolation_level = None
            self._open(read_only)
        except sqlite3.Error as error:
            raise LedgerError(f"{path}: {error}") from error

    def _open(self, read_only: bool) -> None:  # noqa: FBT001
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if version > VERSION:
            raise LedgerError(
                f"{self.path} was written by a newer factory (ledger version {version}, this one"
                f" knows {VERSION}); update the factory"
            )
        if read_only:
            self._blank = version == 0
            return
        write_ahead(self._db)
        self._db.execute("PRAGMA synchronous = FULL")
        if version == 0:
            with self._writing():
                for statement in _SCHEMA.split(";"):
                    self._db.execute(statement)
                self._db.execute(f"PRAGMA user_version = {VERSION}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; the ledger cannot be used after that."""
        self._db.close()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise LedgerError(f"cannot write {self.path}: {error}") from error

    def append(self, run: RunId, events: Sequence[Event], at: float) -> None:
        """Add these events in one durable transaction; LedgerError when that is not possible."""
        failpoint("ledger.append.before")
        with self._writing():
            for event in events:
                self._db.execute(
                    "INSERT INTO events (run, at, body) VALUES (?, ?, ?)", (run, at, encode(event))
                )
                if isinstance(event, GateTried) and isinstance(event.verdict, Green | Red):
                    self._keep(event.verdict)
        failpoint("ledger.append.after")

    def _keep(self, verdict: Green | Red) -> None:
        body = _verdicts().dump_json(verdict).decode()
        self._db.execute(
            "INSERT INTO verdicts (tree, key, body) VALUES (?, ?, ?) ON CONFLICT (tree, key) DO"
            " UPDATE SET flaky = flaky OR json_extract(body, '$.kind') <> ?, body = excluded.body",
            (verdict.tree, verdict.key, body, verdict.kind),
        )

    def keep(self, verdict: Green | Red) -> None:
        """Record a verdict that belongs to no trial, such as the base's."""
        with self._writing():
            self._keep(verdict)

    def verdict(self, tree: Oid, key: str) -> Verdict | None:
        """Give the last verdict on exactly this tree under exactly these checks."""
        row = self._db.execute(
            "SELECT body FROM verdicts WHERE tree = ? AND key = ?", (tree, key)
        ).fetchone()
        return None if row is None else _verdicts().validate_json(row[0])

    def flaky(self) -> tuple[Oid, ...]:
        """Give the trees that were both green and red under the same checks."""
        rows = self._db.execute("SELECT tree FROM verdicts WHERE flaky").fetchall()
        return tuple(Oid(tree) for (tree,) in rows)

    def records(self, run: RunId | None = None, *, after: int = 0) -> Iterator[Record]:
        """Give the events with a higher ``seq`` than ``after``, of one run or of all."""
        where = "seq > ?" if run is None else "seq > ? AND run = ?"
        values = (after,) if run is None else (after, run)
        try:
            rows = self._db.execute(
                f"SELECT seq, run, at, body FROM events WHERE {where} ORDER BY seq",  # noqa: S608
                values,
            )
            for seq, of, at, body in rows:
                yield Record(seq=seq, run=RunId(of), at=at, event=decode(body))
        except (sqlite3.Error, ValueError) as error:
            raise LedgerError(f"cannot read {self.path}: {error}") from error

    def runs(self) -> tuple[RunId, ...]:
        """Give all runs, oldest first."""
        if self._blank:
            return ()
        try:
            rows = self._db.execute("SELECT run FROM events GROUP BY run ORDER BY min(seq)")
            return tuple(RunId(run) for (run,) in rows.fetchall())
        except sqlite3.Error as error:
            raise LedgerError(f"cannot read {self.path}: {error}") from error

    @property
    def seq(self) -> int:
        """Give the position of the newest event of all runs; 0 without any."""
        (found,) = self._db.execute("SELECT max(seq) FROM events").fetchone()
        return int(found or 0)

    def last(self, run: RunId) -> float:
        """Give the time of a run's last event, in seconds since the epoch; 0 without any."""
        row = self._db.execute("SELECT max(at) FROM events WHERE run = ?", (run,)).fetchone()
        return float(row[0] or 0.0)

    def ended(self, run: RunId) -> bool:
        """Say whether the last process of a run left it in an orderly way."""
        row = self._db.execute(
            "SELECT json_extract(body, '$.kind') FROM events WHERE run = ? ORDER BY seq DESC"
            " LIMIT 1",
            (run,),
        ).fetchone()
        return row is not None and row[0] == "closed"

    def of_kind(self, kind: str) -> Iterator[Record]:
        """Give the events of one kind, of all runs, oldest first."""
        if self._blank:
            return
        try:
            rows = self._db.execute(
                "SELECT seq, run, at, body FROM events WHERE json_extract(body, '$.kind') = ?"
                " ORDER BY seq",
                (kind,),
            )
            for seq, of, at, body in rows:
                yield Record(seq=seq, run=RunId(of), at=at, event=decode(body))
        except (sqlite3.Error, ValueError) as error:
            raise LedgerError(f"cannot read {self.path}: {error}") from error

    def pushed(self, branch: str) -> frozenset[Oid]:
        """Give every commit that any run meant a branch of the forge to hold."""
        rows = self._db.execute(
            "SELECT json_extract(body, '$.commit') FROM events WHERE"
            " json_extract(body, '$.kind') = 'delivering' AND json_extract(body, '$.branch') = ?",
            (branch,),
        ).fetchall()
        return frozenset(Oid(commit) for (commit,) in rows)

    def line(self, run: RunId) -> Line | None:
        """Give a run's line by replaying its events; None when there is no such run."""
        events = ((record.event, record.at) for record in self.records(run))
        try:
            return replay(events)
        except StopIteration:
            return None

    def post(self, run: RunId, letter: Letter, at: float) -> None:
        """Leave a letter for the floor of a run; it is read now or when the run is resumed."""
        body = _letters().dump_json(letter).decode()
        with self._writing():
            self._db.execute("INSERT INTO mail (run, at, body) VALUES (?, ?, ?)", (run, at, body))

    def letters(self, run: RunId) -> tuple[tuple[int, Letter], ...]:
        """Give the letters that the floor has not taken yet, each with its id."""
        rows = self._db.execute(
            "SELECT id, body FROM mail WHERE run = ? AND NOT taken ORDER BY id", (run,)
        ).fetchall()
        return tuple((key, _letters().validate_json(body)) for key, body in rows)

    def take(self, ids: Sequence[int]) -> None:
        """Mark letters as taken; call it after their events were appended."""
        with self._writing():
            self._db.executemany("UPDATE mail SET taken = 1 WHERE id = ?", [(key,) for key in ids])
