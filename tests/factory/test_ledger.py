"""The ledger: append-only, durable, replayable; readers and letters beside one writer."""

import sqlite3
from pathlib import Path

import pytest

from factory.events import Closed, GateTried, Noted, Opened, Placed, Started
from factory.ledger import Ledger, LedgerError, Letter, decode, encode
from factory.line import replay
from stations.contract import Green, Lost, Red
from tests.factory.planted import book_of
from tests.factory.works import rules, task
from worktrees.names import JobId, Oid, RunId, StationName

RUN, BASE = RunId("run"), Oid("b" * 40)
TREE = Oid("c" * 40)


def opening(run: str = RUN) -> Opened:
    """Give the event that begins a run."""
    return Opened(
        run=RunId(run),
        base=BASE,
        target="refs/heads/main",
        deliver="merge",
        rules=rules(),
        options={"seats": "3"},
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Give where the ledger lies."""
    return tmp_path / "factory" / "ledger.sqlite"


@pytest.fixture
def ledger(path: Path):
    """Give an open ledger."""
    with Ledger(path) as made:
        yield made


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_event_of_a_run_comes_back_as_it_was(ledger: Ledger, seed: int) -> None:
    """Encoding loses nothing, and replaying the ledger gives the line of the run."""
    book = book_of(seed)
    for event, at in book:
        ledger.append(RunId("sim"), [event], at)

    records = list(ledger.records(RunId("sim")))

    assert [(record.event, record.at) for record in records] == book
    assert all(decode(encode(event)) == event for event, _ in book)
    assert ledger.line(RunId("sim")) == replay(iter(book))


def test_what_is_appended_together_is_there_together_or_not_at_all(
    ledger: Ledger, path: Path
) -> None:
    """A transaction that cannot be written whole leaves nothing, and says so."""
    ledger.append(RUN, [opening()], 1.0)
    db = sqlite3.connect(path)
    db.execute(
        "CREATE TRIGGER full BEFORE INSERT ON events WHEN new.body LIKE '%\"closed\"%'"
        " BEGIN SELECT RAISE(FAIL, 'no room'); END"
    )
    db.close()

    with pytest.raises(LedgerError, match="no room"):
        ledger.append(RUN, [Placed(jobs=(task("a"),)), Closed(exit=0)], 2.0)

    assert [record.event.kind for record in ledger.records()] == ["opened"]
    ledger.append(RUN, [Placed(jobs=())], 3.0)
    assert [record.event.kind for record in ledger.records()] == ["opened", "placed"]


def test_runs_are_kept_apart_and_in_order(ledger: Ledger) -> None:
    """Records can be read of one run or of all, from any place on."""
    ledger.append(RunId("b"), [opening("b")], 1.0)
    ledger.append(RunId("a"), [opening("a"), Noted(what="x", text="y")], 2.0)
    ledger.append(RunId("b"), [Closed(exit=0)], 3.0)

    assert ledger.runs() == ("b", "a")
    assert [record.at for record in ledger.records(RunId("b"))] == [1.0, 3.0]
    assert [record.seq for record in ledger.records(after=2)] == [3, 4]
    assert ledger.line(RunId("none")) is None


def test_a_verdict_is_known_by_tree_and_key(ledger: Ledger) -> None:
    """The last verdict on a tree under the same checks counts; both colours make it flaky."""
    red = Red(tree=TREE, key="k", owner="tests", tail="no")
    ledger.append(RUN, [GateTried(trial=1, verdict=red)], 1.0)
    ledger.append(RUN, [GateTried(trial=2, verdict=Lost(why="cancelled"))], 1.0)

    assert ledger.verdict(TREE, "k") == red
    assert ledger.verdict(TREE, "other") is None
    assert ledger.flaky() == ()

    ledger.keep(Green(tree=TREE, key="k"))
    ledger.keep(Green(tree=TREE, key="other"))
    assert ledger.verdict(TREE, "k") == Green(tree=TREE, key="k")
    assert ledger.flaky() == (TREE,)


def test_a_letter_waits_until_it_is_taken(ledger: Ledger, path: Path) -> None:
    """Another process posts; the floor reads it as often as it likes and takes it once."""
    letter = Letter(kind="tell", job=JobId("a"), text="yes")
    with Ledger(path) as other:
        other.post(RUN, letter, 1.0)
        other.post(RunId("another"), Letter(kind="pause"), 1.0)

    ((key, found),) = ledger.letters(RUN)
    assert found == letter
    assert ledger.letters(RUN) == ((key, letter),)
    ledger.take([key])
    assert ledger.letters(RUN) == ()


def test_readers_see_a_ledger_that_is_written(ledger: Ledger, path: Path) -> None:
    """A reader beside the writer sees each transaction, and can write nothing."""
    ledger.append(RUN, [opening()], 1.0)
    with Ledger(path, read_only=True) as reader:
        ledger.append(RUN, [Placed(jobs=(task("a"),))], 2.0)
        started = Started(
            job=JobId("a"), station=StationName("code"), attempt=1, serial=0, base=BASE
        )
        ledger.append(RUN, [started], 3.0)

        assert [record.event.kind for record in reader.records()] == [
            "opened",
            "placed",
            "started",
        ]
        with pytest.raises(LedgerError, match="readonly"):
            reader.append(RUN, [Closed(exit=0)], 4.0)


def test_a_ledger_of_a_newer_factory_is_not_touched(path: Path) -> None:
    """A version that is not known is refused with the way out."""
    Ledger(path).close()
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 99")
    db.close()

    with pytest.raises(LedgerError, match=r"newer factory.*update the factory"):
        Ledger(path)


def test_what_is_no_ledger_is_named(tmp_path: Path) -> None:
    """A damaged file, a record that cannot be read and a missing file say which file it is."""
    (tmp_path / "text").write_text("this is no database, " * 99)
    with pytest.raises(LedgerError, match="text: file is not a database"):
        Ledger(tmp_path / "text")
    with pytest.raises(LedgerError, match="unable to open"):
        Ledger(tmp_path / "nowhere", read_only=True)
    with Ledger(tmp_path / "odd") as ledger:
        db = sqlite3.connect(tmp_path / "odd")
        db.execute("INSERT INTO events (run, at, body) VALUES ('run', 1, '{}')")
        db.commit()
        db.close()
        with pytest.raises(LedgerError, match="cannot read"):
            ledger.line(RUN)


def test_a_file_whose_maker_was_killed_holds_no_run(path: Path) -> None:
    """A reader finds no run in a ledger that has no tables yet; a writer makes them."""
    path.parent.mkdir()
    path.touch()

    with Ledger(path, read_only=True) as reader:
        assert reader.runs() == ()
    with Ledger(path) as writer:
        writer.append(RUN, [opening()], 1.0)
        assert writer.runs() == (RUN,)
