"""The record of calls to models: durable before anything follows from it, from any thread."""

import signal
import sqlite3
import sys
import threading
from decimal import Decimal
from pathlib import Path

import pytest

from factory import calls
from factory.calls import Calls, CallsError, Tally
from factory.ledger import Ledger
from stations.contract import Budget, Spend
from stations.models.meter import LOST, Ceilings, Elsewhere, Meter
from stations.models.prices import Prices
from stations.models.values import Basis, Call, ModelError, Payer, Provider, Usage
from tests.run import ROOT, run
from worktrees.names import JobId, RunId, StationName

NOON = 1_800_000_000 // calls.DAY * calls.DAY + calls.DAY // 2


def call(job: str = "a", *, of: str = "r1", at: float = NOON, **more: object) -> Call:
    """Give a call of 100 tokens in and 10 out for a cent."""
    values: dict[str, object] = {
        "run": RunId(of),
        "job": JobId(job),
        "station": StationName("code"),
        "attempt": 1,
        "provider": "anthropic",
        "model": "claude-haiku-5-5",
        "usage": Usage(input=60, cache_read=40, output=10, requests=1),
        "dollars": Decimal("0.01"),
        "basis": Basis.EXACT,
        "prices": "2026-11-01",
        "at": at,
        **more,
    }
    return Call(**values)  # type: ignore[arg-type]  # fields of a call


def test_a_call_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    """Every field survives, exact dollars and unknown ones."""
    path = tmp_path / "ledger.sqlite"
    wrote = (
        call(dollars=Decimal("0.000000125"), seconds=1.5, ended="incomplete"),
        call("b", dollars=None, basis=Basis.UNKNOWN),
    )

    with Calls(path) as book:
        for each in wrote:
            book.settle(each, None)

    assert calls.of_run(path, RunId("r1")) == wrote


def test_sums_are_told_by_job_station_and_model_with_the_weakest_basis() -> None:
    """A sum with one unknown price is unknown; a synthetic part makes the whole synthetic."""
    made = [
        call("a"),
        call("a", basis=Basis.SYNTHETIC),
        call("b", station=StationName("repair"), model="x", dollars=None, basis=Basis.UNKNOWN),
    ]

    per_job = calls.by_job(made)

    assert per_job[JobId("a")] == Tally(
        spend=Spend(tokens_in=200, tokens_out=20, tokens_cached=80, dollars=Decimal("0.02")),
        calls=2,
        basis=Basis.SYNTHETIC,
    )
    assert (per_job[JobId("b")].spend.dollars, per_job[JobId("b")].basis) == (None, "unknown")
    assert set(calls.by_station(made)) == {"code", "repair"}
    assert set(calls.by_model(made)) == {"claude-haiku-5-5", "x"}
    assert (calls.tally(made).calls, calls.tally(made).spend.dollars) == (3, None)
    assert calls.tally([]) == Tally()


def test_budgets_count_the_run_and_the_day_by_utc(tmp_path: Path) -> None:
    """Calls of other runs count from midnight UTC on; those of this run always."""
    midnight = NOON - calls.DAY // 2
    with Calls(tmp_path / "ledger.sqlite") as book:
        for each in (
            call("old", at=midnight - calls.DAY),
            call("late", of="r0", at=midnight - 1),
            call("today", of="r0", at=midnight, seconds=1.5),
            call("now"),
        ):
            book.settle(each, None)

        found, others = book.counted(RunId("r1")), book.elsewhere(RunId("r1"), NOON)

    assert [each.job for each in found] == ["old", "now"]
    assert others == Elsewhere(tokens=110, dollars=Decimal("0.01"), seconds=1.5)


def test_a_day_is_shared_by_all_that_run_at_once(tmp_path: Path) -> None:
    """What another run spends or is asking meanwhile leaves that much less, once and not twice."""
    path = tmp_path / "ledger.sqlite"
    mine = Payer(run=RunId("r1"), job=JobId("a"), station=StationName("code"), attempt=1)
    provider = Provider(name="anthropic", base_url="https://api.example")
    prices = Prices.load()
    with Calls(path) as book, Calls(path) as beside:
        meter = Meter(
            prices=prices,
            ceilings=Ceilings(day=Budget(tokens=1000)),
            spent=book.counted(RunId("r1")),
            now=lambda: float(NOON),
            record=book,
            warn=print,
            elsewhere=lambda at: book.elsewhere(RunId("r1"), at),
        )
        assert meter.left(mine).tokens == 1000
        row = beside.hold(call(of="split-1", usage=Usage(input=700)))
        assert meter.left(mine).tokens == 300
        with pytest.raises(ModelError, match="budget of this day") as caught:
            meter.reserve(mine, provider, "claude-haiku-5-5", tokens_in=301, tokens_out=0)
        assert caught.value.cause == "budget"
        beside.settle(call(of="split-1", usage=Usage(input=100)), row)
        assert meter.left(mine).tokens == 900
        own = meter.reserve(mine, provider, "claude-haiku-5-5", tokens_in=500, tokens_out=0)
        own.begin()
        own.settle(Usage(input=400), seconds=1.0)
        assert meter.left(mine).tokens == 500
        beside.drop(beside.hold(call(of="split-1")))
        assert meter.left(mine).tokens == 500


def test_many_threads_write_beside_the_ledger(tmp_path: Path) -> None:
    """Fifty threads and the ledger's own connection share the file; no row is lost."""
    path = tmp_path / "ledger.sqlite"
    with Ledger(path) as ledger, Calls(path) as book:
        threads = [
            threading.Thread(target=lambda n=n: book.settle(call(f"j{n}"), None)) for n in range(50)
        ]
        for thread in threads:
            thread.start()
        ledger.append(RunId("r1"), [], NOON)
        for thread in threads:
            thread.join()

        assert {each.job for each in book.of_run(RunId("r1"))} == {f"j{n}" for n in range(50)}


def test_a_ledger_without_calls_has_none(tmp_path: Path) -> None:
    """A file of before, opened for reading only, gives no calls and no error."""
    path = tmp_path / "ledger.sqlite"
    Ledger(path).close()

    assert calls.of_run(path, RunId("r1")) == ()


def test_a_call_is_on_disk_before_anything_follows_from_it(tmp_path: Path) -> None:
    """A process that is killed right after the record has left the row."""
    path = tmp_path / "ledger.sqlite"
    script = (
        "import os, sys; from pathlib import Path; from tests.factory.test_calls import call;"
        "from factory.calls import Calls; Calls(Path(sys.argv[1])).settle(call(), None);"
        "os.kill(0, 9)"
    )

    ran = run([sys.executable, "-c", script, path], cwd=ROOT, check=False)

    assert ran.code == -signal.SIGKILL
    assert calls.of_run(path, RunId("r1")) == (call(),)


def test_what_is_asked_just_now_counts_for_budgets_and_is_no_call_yet(tmp_path: Path) -> None:
    """The row that is held counts in full; what the call really took takes its place."""
    most, real = call(ended=LOST, dollars=Decimal(1)), call(seconds=2.0)
    with Calls(tmp_path / "ledger.sqlite") as book:
        row = book.hold(most)
        assert book.of_run(RunId("r1")) == ()
        assert book.counted(RunId("r1")) == (most,)

        book.settle(real, row)

        assert book.of_run(RunId("r1")) == book.counted(RunId("r1")) == (real,)
        book.drop(book.hold(most))
        assert book.of_run(RunId("r1")) == (real,)


def test_a_call_under_way_when_its_process_was_killed_counts_in_full(tmp_path: Path) -> None:
    """After kill -9 it is a call like any other, and named once; its run cannot forget it."""
    path = tmp_path / "ledger.sqlite"
    script = (
        "import os, sys; from pathlib import Path; from tests.factory.test_calls import call;"
        "from factory.calls import Calls; book = Calls(Path(sys.argv[1]));"
        "book.settle(call('b'), book.hold(call('b'))); book.drop(book.hold(call('c')));"
        "book.hold(call('a', ended='lost')); os.kill(0, 9)"
    )
    lost = call(ended=LOST)

    ran = run([sys.executable, "-c", script, path], cwd=ROOT, check=False)

    assert ran.code == -signal.SIGKILL
    assert calls.of_run(path, RunId("r1")) == (call("b"), lost)
    with Calls(path) as book:
        row = book.hold(call("d", of="r2"))  # of a process that lives
        assert book.lost(RunId("r3")) == (lost,)
        assert book.lost(RunId("r3")) == ()
        assert book.counted(RunId("r1"))[:2] == (call("b"), lost)
        book.settle(call("d", of="r2"), row)
    assert calls.of_run(path, RunId("r1")) == (call("b"), lost)


def test_whoever_works_a_run_knows_that_all_its_calls_are_over(tmp_path: Path) -> None:
    """Also those of a process that cannot be seen from here, in a container that is gone."""
    path = tmp_path / "ledger.sqlite"
    with Calls(path) as book:
        book.hold(call(ended=LOST))
        sqlite3.connect(path).execute("UPDATE calls SET holder = 'pid:[1]/1/1'").connection.commit()
        assert book.lost(RunId("r2")) == ()

        assert book.lost(RunId("r1")) == (call(ended=LOST),)

        assert book.of_run(RunId("r1")) == (call(ended=LOST),)


def test_fifty_threads_spend_a_budget_on_record_to_the_last_token(tmp_path: Path) -> None:
    """What is on disk, what the meter says and what was taken agree, and no budget is overdrawn."""
    path, most = tmp_path / "ledger.sqlite", 100_000
    took: list[int] = []
    with Calls(path) as book:
        meter = Meter(
            prices=Prices.load(),
            ceilings=Ceilings(run=Budget(tokens=most)),
            now=lambda: NOON,
            record=book,
            warn=lambda _: None,
        )
        provider = Provider(name="anthropic", base_url="https://models.invalid")

        def work(number: int) -> None:
            payer = Payer(
                run=RunId("r1"), job=JobId(f"j{number}"), station=StationName("code"), attempt=1
            )
            for turn in range(20):
                try:
                    held = meter.reserve(
                        payer, provider, "claude-haiku-5-5", tokens_in=500, tokens_out=700
                    )
                except ModelError:
                    return
                with held:
                    held.begin()
                    if (number + turn) % 7 == 0:
                        held.release()
                        continue
                    usage = Usage(input=100 + number, output=turn, requests=1)
                    took.append(held.settle(usage, seconds=0.1).usage.tokens)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(50)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        kept = book.counted(RunId("r1"))

    assert sum(each.usage.tokens for each in kept) == sum(took) <= most
    assert len(kept) == len(took) > 100
    assert {each.ended for each in kept} == {"good"}


def test_no_model_is_asked_while_calls_cannot_be_kept(tmp_path: Path) -> None:
    """A record that cannot be written refuses the call, by the name of the file."""
    path = tmp_path / "ledger.sqlite"
    Calls(path).close()
    with Calls(path) as book:
        other = sqlite3.connect(path)
        other.execute("DROP TABLE calls")
        other.close()

        with pytest.raises(ModelError, match=r"cannot write a call to .*ledger\.sqlite") as found:
            book.hold(call())

    assert found.value.cause == "denied"


def test_a_file_that_is_no_ledger_is_named(tmp_path: Path) -> None:
    """What cannot be read is said with its path."""
    path = tmp_path / "ledger.sqlite"
    path.write_text("no database, but long enough to be looked at as one" * 40)

    with pytest.raises(CallsError, match=r"ledger\.sqlite"):
        Calls(path)
