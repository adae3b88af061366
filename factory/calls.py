"""The calls to models that were made, kept for good: one row each, in the ledger's own file.

A row is written before its call is sent, as the most that the call may take, and holds what it
really took before the reply is acted on. So what a killed process spent is known to the next one,
also for what it was just asking. Any thread may write; the file is shared with the ledger's
connection.
"""

import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Final, Self, TypeVar

from factory.storing import write_ahead
from stations import living
from stations.contract import Spend
from stations.models.meter import Elsewhere
from stations.models.values import Basis, Call, ModelError, Usage
from worktrees.names import JobId, RunId, StationName

DAY: Final = 86_400
"""Seconds of a day; a day begins at midnight UTC."""
_PATIENCE: Final = 30.0
_TABLE: Final = """
CREATE TABLE IF NOT EXISTS calls (
    id INTEGER PRIMARY KEY AUTOINCREMENT, run TEXT NOT NULL, job TEXT NOT NULL,
    station TEXT NOT NULL, attempt INTEGER NOT NULL, provider TEXT NOT NULL, model TEXT NOT NULL,
    at REAL NOT NULL, seconds REAL NOT NULL, input INTEGER NOT NULL, output INTEGER NOT NULL,
    cache_read INTEGER NOT NULL, cache_write_5m INTEGER NOT NULL, cache_write_1h INTEGER NOT NULL,
    requests INTEGER NOT NULL, dollars TEXT, basis TEXT NOT NULL, prices TEXT NOT NULL,
    ended TEXT NOT NULL, holder TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS calls_run ON calls (run);
CREATE INDEX IF NOT EXISTS calls_at ON calls (at);
"""
_COLUMNS: Final = (
    "run, job, station, attempt, provider, model, at, seconds, input, output, cache_read,"
    " cache_write_5m, cache_write_1h, requests, dollars, basis, prices, ended, holder"
)
"""``holder`` is the process that the call is under way in; it is empty once a call is settled."""
_WRITE: Final = (
    f"INSERT OR REPLACE INTO calls (id, {_COLUMNS})"  # noqa: S608
    f" VALUES (?{', ?' * (_COLUMNS.count(',') + 1)})"
)
_SUMS: Final = """
SELECT SUM(input + output + cache_read + cache_write_5m + cache_write_1h),
    SUM(CAST(ROUND(dollars * 1e9) AS INTEGER)), SUM(seconds)
FROM calls WHERE run <> ? AND at >= ?
"""
_WEAKEST: Final = (Basis.UNKNOWN, Basis.SYNTHETIC, Basis.ESTIMATED, Basis.EXACT)

_Key = TypeVar("_Key")


class CallsError(ModelError):
    """The record of calls cannot be read or written; the message says which file.

    No model is asked while that is so: nobody would know what it took.
    """

    def __init__(self, message: str) -> None:
        super().__init__("denied", message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What some calls came to; ``basis`` is that of the figure one may rely on least."""

    spend: Spend = field(default_factory=Spend)
    calls: int = 0
    basis: Basis | None = None
    """None when no call was made."""

    def __add__(self, other: "Tally") -> "Tally":
        """Give the sum."""
        known = [basis for basis in (self.basis, other.basis) if basis is not None]
        return Tally(
            spend=self.spend + other.spend,
            calls=self.calls + other.calls,
            basis=min(known, key=_WEAKEST.index, default=None),
        )


class Calls:
    """An open record of calls; use it as a context manager. Any thread may use it."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path = path
        self._holder = living.this_process()
        self._lock = threading.Lock()
        try:
            self._db = sqlite3.connect(
                f"{path.as_uri()}?mode={'ro' if read_only else 'rwc'}",
                uri=True,
                timeout=_PATIENCE,
                isolation_level=None,
                check_same_thread=False,
            )
            if not read_only:
                write_ahead(self._db)
                self._db.executescript(_TABLE)
            # A ledger that no call was ever written to has no such table.
            found = self._db.execute("SELECT 1 FROM sqlite_master WHERE name = 'calls'")
            self._blank = found.fetchone() is None
        except sqlite3.Error as error:
            raise CallsError(f"{path}: {error}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def hold(self, most: Call) -> int:
        """Keep a call that is about to be sent, at the most it may take, and name its row.

        The row outlives this process from now on, and a power cut from the next settled call on:
        to wait for the disk twice in each call would be slow where disks are.
        """
        with self._writing(durably=False) as db:
            (row,) = db.execute(
                f"{_WRITE} RETURNING id", (None, *_values(most, holder=self._holder))
            ).fetchone()
        return int(row)

    def settle(self, call: Call, held: int | None) -> None:
        """Keep a call for good, in its row; it is on disk when this is back."""
        with self._writing(durably=True) as db:
            db.execute(_WRITE, (held, *_values(call, holder="")))

    def drop(self, held: int) -> None:
        """Forget a call that cost nothing."""
        with self._writing(durably=False) as db:
            db.execute("DELETE FROM calls WHERE id = ?", (held,))

    def lost(self, run: RunId) -> tuple[Call, ...]:
        """Give the calls in the middle of which a process ended; from now on they are made.

        The process that works a run is the only one, so no other lives that has one of its calls.
        """
        with self._writing(durably=True) as db:
            found = db.execute("SELECT id, run, holder FROM calls WHERE holder != ''").fetchall()
            ended = [row for row, of, holder in found if of == run or not living.lives(holder)]
            db.executemany("UPDATE calls SET holder = '' WHERE id = ?", ((row,) for row in ended))
        return tuple(call for row in ended for call, _ in self._read("id = ?", (row,)))

    def of_run(self, run: RunId) -> tuple[Call, ...]:
        """Give the calls of a run, oldest first, but those that are still under way."""
        return self._made("run = ?", (run,))

    def of_all(self) -> tuple[Call, ...]:
        """Give the calls of all runs, oldest first, but those that are still under way."""
        return self._made("TRUE", ())

    def counted(self, run: RunId) -> tuple[Call, ...]:
        """Give the calls that count for a run's budgets; one under way as the most it may take."""
        return tuple(call for call, _ in self._read("run = ?", (run,)))

    def elsewhere(self, run: RunId, now: float) -> Elsewhere:
        """Give what the calls of other runs come to in this day, by UTC.

        What another process is asking just now counts as the most that it may take.
        """
        if self._blank:
            return Elsewhere()
        try:
            with self._lock:
                tokens, nanos, seconds = self._db.execute(_SUMS, (run, now - now % DAY)).fetchone()
        except sqlite3.Error as error:
            raise CallsError(f"cannot read {self.path}: {error}") from error
        dollars = Decimal(nanos or 0).scaleb(-9)
        return Elsewhere(tokens=tokens or 0, dollars=dollars, seconds=seconds or 0.0)

    def _made(self, where: str, values: tuple[object, ...]) -> tuple[Call, ...]:
        found = self._read(where, values)
        return tuple(call for call, holder in found if not holder or not living.lives(holder))

    @contextmanager
    def _writing(self, *, durably: bool) -> Iterator[sqlite3.Connection]:
        """Give the connection for one transaction that is kept for good."""
        try:
            with self._lock:
                self._db.execute(f"PRAGMA synchronous = {'FULL' if durably else 'NORMAL'}")
                self._db.execute("BEGIN IMMEDIATE")
                with self._db:
                    yield self._db
        except sqlite3.Error as error:
            raise CallsError(f"cannot write a call to {self.path}: {error}") from error

    def _read(self, where: str, values: tuple[object, ...]) -> list[tuple[Call, str]]:
        if self._blank:
            return []
        try:
            with self._lock:
                rows = self._db.execute(
                    f"SELECT {_COLUMNS} FROM calls WHERE {where} ORDER BY id",  # noqa: S608
                    values,
                ).fetchall()
        except sqlite3.Error as error:
            raise CallsError(f"cannot read {self.path}: {error}") from error
        return [(_call(*values), holder) for *values, holder in rows]


def of_run(path: Path, run: RunId) -> tuple[Call, ...]:
    """Give the calls of a run out of a ledger's file that is only looked at."""
    with Calls(path, read_only=True) as calls:
        return calls.of_run(run)


def of_all(path: Path) -> tuple[Call, ...]:
    """Give the calls of all runs out of a ledger's file that is only looked at."""
    with Calls(path, read_only=True) as calls:
        return calls.of_all()


def tally(calls: Iterable[Call]) -> Tally:
    """Give what calls came to."""
    return sum((_one(call) for call in calls), Tally())


def by_job(calls: Iterable[Call]) -> Mapping[JobId, Tally]:
    """Give what the calls of each job came to."""
    return _by(calls, lambda call: call.job)


def by_station(calls: Iterable[Call]) -> Mapping[StationName, Tally]:
    """Give what the calls of each station came to."""
    return _by(calls, lambda call: call.station)


def by_model(calls: Iterable[Call]) -> Mapping[str, Tally]:
    """Give what the calls to each model came to."""
    return _by(calls, lambda call: call.model)


def _by(calls: Iterable[Call], key: Callable[[Call], _Key]) -> Mapping[_Key, Tally]:
    found: dict[_Key, Tally] = {}
    for call in calls:
        name = key(call)
        found[name] = found.get(name, Tally()) + _one(call)
    return found


def _one(call: Call) -> Tally:
    return Tally(spend=call.spend, calls=1, basis=call.basis)


def _values(call: Call, *, holder: str) -> tuple[str | int | float | None, ...]:
    usage = call.usage
    return (
        *(call.run, call.job, call.station, call.attempt, call.provider, call.model),
        *(call.at, call.seconds, usage.input, usage.output, usage.cache_read),
        *(usage.cache_write_5m, usage.cache_write_1h, usage.requests),
        None if call.dollars is None else str(call.dollars),
        *(call.basis.value, call.prices, call.ended, holder),
    )


def _call(
    run: str,
    job: str,
    station: str,
    attempt: int,
    provider: str,
    model: str,
    at: float,
    seconds: float,
    fresh: int,
    output: int,
    cache_read: int,
    cache_write_5m: int,
    cache_write_1h: int,
    requests: int,
    dollars: str | None,
    basis: str,
    prices: str,
    ended: str,
) -> Call:
    return Call(
        run=RunId(run),
        job=JobId(job),
        station=StationName(station),
        attempt=attempt,
        provider=provider,
        model=model,
        usage=Usage(
            input=fresh,
            output=output,
            cache_read=cache_read,
            cache_write_5m=cache_write_5m,
            cache_write_1h=cache_write_1h,
            requests=requests,
        ),
        dollars=None if dollars is None else Decimal(dollars),
        basis=Basis(basis),
        prices=prices,
        at=at,
        seconds=seconds,
        ended=ended,
    )
