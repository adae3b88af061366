"""A full disk and a ledger that cannot be used stop the line with a word, and lose nothing."""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from factory.ledger import Ledger, LedgerError, Record
from tests.run import RunError, run
from tests.system.outside import agent_bytes, check, lost_bytes, remember
from tests.system.sites import WAITS, WRITES, Plan, Toy, make_toy, report, states, until
from worktrees.names import RunId

MB = 1_000_000


@contextmanager
def small_disk(place: Path, *, megabytes: int) -> Iterator[None]:
    """Mount a small file system at a new directory; skip the test where that is not allowed."""
    place.mkdir(parents=True)
    try:
        run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(place)])
    except (RunError, FileNotFoundError) as error:
        pytest.skip(f"no file system can be mounted here: {error}")
    try:
        yield
    finally:
        run(["umount", "-l", str(place)])


def fill(place: Path, *, leave: int = 0) -> Path:
    """Fill a file system up to so many free bytes and give the file that does it."""
    filler = place / "filler"
    state = os.statvfs(place)
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, state.f_bavail * state.f_frsize - leave)
    return filler


def told(toy: Toy, said: bytes) -> None:
    """Check that a message names the place and is no traceback."""
    assert str(toy.common / "factory").encode() in said, said
    assert b"Traceback" not in said
    assert b"this is a bug" not in said


def test_a_disk_that_fills_up_during_a_run_stops_it_and_loses_nothing(tmp_path):
    """No space left: exit 7 with the place named; with room again the resume ends the run."""
    with small_disk(tmp_path / "toy" / ".git", megabytes=300):
        toy = make_toy(tmp_path / "toy", Plan(agent=WRITES + WAITS))
        before = remember(toy)
        with toy.start() as child:
            until(lambda: len(agent_bytes(toy)) == 3, seconds=30, what="three agents work")
            seen = agent_bytes(toy)
            filler = fill(toy.common)
            toy.open_gate()
            ran = child.wait()

        assert ran.code == 7, ran.err.decode()
        told(toy, ran.out + ran.err)
        assert not toy.alive()
        # What was green before the last byte was gone may have landed.
        toy.git("merge-base", "--is-ancestor", before.tip, toy.tip())
        filler.unlink()
        document = toy.finish()
        check(toy, before, document)
        assert set(states(document).values()) == {"landed"}
        assert not lost_bytes(toy, seen)


def test_too_little_room_to_begin_is_said_at_once(tmp_path):
    """With less free than a line needs nothing starts: exit 7, the place named, nothing left."""
    with small_disk(tmp_path / "toy" / ".git", megabytes=300):
        toy = make_toy(tmp_path / "toy")
        before = remember(toy)
        filler = fill(toy.common, leave=20 * MB)

        ran = toy.run()

        assert ran.code == 7, ran.out.decode() + ran.err.decode()
        told(toy, ran.out + ran.err)
        filler.unlink()
        document = toy.finish()
        check(toy, before, document)
        assert set(states(document).values()) == {"landed"}


def test_a_ledger_that_cannot_be_written_allows_no_effect(tmp_path):
    """While somebody else holds the ledger nothing moves: exit 7, and a resume lands everything."""
    toy = make_toy(tmp_path / "toy", Plan(agent=WRITES + WAITS))
    before = remember(toy)
    ledger = toy.common / "factory" / "ledger.sqlite"
    with toy.start() as child:
        until(lambda: len(agent_bytes(toy)) == 3, seconds=30, what="three agents work")
        with closing(sqlite3.connect(ledger, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            toy.open_gate()
            ran = child.wait()

    assert ran.code == 7, ran.err.decode()
    told(toy, ran.out + ran.err)
    assert toy.tip() == before.tip
    assert not toy.alive()
    document = toy.finish()
    check(toy, before, document)
    assert set(states(document).values()) == {"landed"}


@pytest.mark.parametrize("command", ["run", "resume", "status"])
def test_a_newer_ledger_is_refused_by_name(command, tmp_path):
    """A ledger of a newer factory is not touched: exit 7, and the message says who can read it."""
    toy = make_toy(tmp_path / "toy", Plan(jobs=("a",)))
    ledger = toy.common / "factory" / "ledger.sqlite"
    ledger.parent.mkdir()
    with closing(sqlite3.connect(ledger)) as other:
        other.execute("PRAGMA user_version = 99")
    whole = ledger.read_bytes()

    ran = toy.run() if command == "run" else toy.factory(command, "--json")

    assert ran.code == 7
    assert "newer factory (ledger version 99" in report(ran)["error"]
    assert ledger.read_bytes() == whole


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the ledger directory of a run that was killed: its log is not folded in yet."""
    toy = make_toy(tmp_path_factory.mktemp("torn") / "toy")
    toy.run(failpoint="floor.swap.after:kill")
    return toy.common / "factory"


def copied(written: Path, place: Path, *, length: int) -> Path:
    """Copy a ledger with its log cut to a length."""
    place.mkdir()
    shutil.copyfile(written / "ledger.sqlite", place / "ledger.sqlite")
    log = (written / "ledger.sqlite-wal").read_bytes()
    (place / "ledger.sqlite-wal").write_bytes(log[:length])
    return place / "ledger.sqlite"


def test_a_torn_log_loses_its_last_transaction_and_nothing_before(written, tmp_path):
    """Wherever the log is cut, what is read is whole transactions from the beginning on."""
    size = (written / "ledger.sqlite-wal").stat().st_size
    whole = read(copied(written, tmp_path / "whole", length=size))
    assert len(whole) > 10
    cuts = sorted({*range(0, size, max(1, size // 150)), *range(size - 40, size)})
    lengths = []
    for cut in cuts:
        found = read(copied(written, tmp_path / str(cut), length=cut))
        assert found == whole[: len(found)]
        lengths.append(len(found))
    assert lengths == sorted(lengths)
    assert lengths[-1] < len(whole)
    assert len(set(lengths)) > 5


def read(path: Path) -> list[Record]:
    """Give all events of a ledger, after checking that they replay to a line."""
    with Ledger(path) as ledger:
        records = list(ledger.records())
        for name in ledger.runs():
            assert ledger.line(RunId(name)) is not None
    return records


def test_what_is_no_ledger_is_said_to_be_none(tmp_path):
    """A file of something else is not written over."""
    place = tmp_path / "ledger.sqlite"
    place.write_bytes(b"not a database, but somebody's file" * 50)

    with pytest.raises(LedgerError, match=str(place)):
        Ledger(place)

    assert place.read_bytes().startswith(b"not a database")


def test_a_run_goes_on_after_its_last_transaction_was_torn(tmp_path):
    """A run whose last record was torn by a crash is resumed and each job lands once."""
    toy = make_toy(tmp_path / "toy")
    before = remember(toy)
    toy.run(failpoint="floor.tidy.before:kill")
    toy.nobody_left()
    log = toy.common / "factory" / "ledger.sqlite-wal"
    os.truncate(log, log.stat().st_size - 100)

    document = toy.finish()

    check(toy, before, document)
    assert set(states(document).values()) == {"landed"}
    assert toy.rows("PRAGMA integrity_check") == [("ok",)]
