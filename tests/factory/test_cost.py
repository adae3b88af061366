"""What models cost: by station, model, scope and day; billed and imputed apart."""

import json
from dataclasses import replace
from decimal import Decimal

import pytest

from factory.calls import Calls
from factory.views.cost import cost_document, cost_markdown, cost_parts
from factory.views.screen import Cell
from stations.models.values import Basis, Call, Usage
from tests.factory.planted import Tale, job, plant
from tests.factory.test_looking import Say, document, told
from worktrees.git import Repository
from worktrees.names import JobId, RunId, StationName

DAY = 86_400.0


def call(name: str, dollars: str | None, basis: Basis, **more: object) -> Call:
    """Give a call of a thousand tokens in, half of them cached, and a hundred out."""
    made = Call(
        run=RunId("r1"),
        job=JobId(name),
        station=StationName("api"),
        attempt=1,
        provider="anthropic",
        model="small-1",
        usage=Usage(input=500, cache_read=500, output=100),
        dollars=None if dollars is None else Decimal(dollars),
        basis=basis,
        prices="p",
        at=DAY,
    )
    return replace(made, **more)  # type: ignore[arg-type]  # fields of the call


CALLS = (
    call("cart", "0.30", Basis.EXACT),
    call("cart", "0.10", Basis.ESTIMATED, model="large|1", at=2 * DAY),
    call("price", "0.50", Basis.SYNTHETIC, station=StationName("repair")),
    call("gone", None, Basis.UNKNOWN, model="own"),
)


@pytest.fixture
def tale() -> Tale:
    """Give a run with a landed job and one that is under way."""
    found = Tale(job("cart"), job("price"), seats=2)
    found.done("cart").compose().test().compose(known=True).land()
    return found


def test_billed_and_imputed_dollars_stand_apart_and_sum_up(tale: Tale) -> None:
    """Every table sums to the same total; what nobody paid and what has no price is in no bill."""
    found = cost_document([tale.line], CALLS)

    total = found["total"]
    assert (total["billed"], total["imputed"]) == ("0.40", "0.50")
    assert (total["calls"], total["estimated"], total["unpriced"]) == (4, 1, 1)
    assert (total["tokens_in"], total["tokens_cached"], total["tokens_out"]) == (4000, 2000, 400)
    for rows in (found["stations"], found["models"], found["scopes"], found["days"]):
        assert sum(Decimal(row["billed"]) for row in rows) == Decimal("0.40")
        assert sum(Decimal(row["imputed"]) for row in rows) == Decimal("0.50")
        assert sum(row["calls"] for row in rows) == 4
    assert [row["name"] for row in found["stations"]] == ["repair", "api"]
    assert [row["name"] for row in found["days"]] == ["1970-01-02", "1970-01-03"]
    assert {row["name"] for row in found["scopes"]} == {"cart/**", "price/**", "(no job)"}
    assert found["shipped"] == 1
    assert found["each"] == {"tokens": 4400, "billed": "0.400000", "imputed": "0.500000"}


def test_nothing_shipped_and_nothing_asked_are_said(tale: Tale) -> None:
    """Without a landing there is no price of one; without a call there is no table."""
    none = Tale(job("a"))

    assert cost_document([none.line], CALLS)["each"] is None
    parts = [part for part in cost_parts(cost_document([tale.line], ())) if isinstance(part, Cell)]
    assert parts[0].text == "run r1: no model was asked, so nothing was spent on one"


def test_the_step_summary_cannot_be_formatted_by_a_name(tale: Tale) -> None:
    """A model's name with a bar stays in its cell; the doubts about figures are said."""
    said = cost_markdown(cost_document([tale.line], CALLS))

    assert said.startswith("### run r1: 0.40 USD billed, 0.50 USD imputed, 4,400 tokens in 4 calls")
    assert "each of 1 change that shipped: 0.40 USD billed" in said
    assert "| large\\|1 | 1 | 1,000 | 500 | 100 | 0.10 | 0.00 |" in said
    assert "1 call to models without a known price: in neither sum" in said


def test_the_command_reads_one_run_or_all(repository: Repository, capsys: Say, tale: Tale) -> None:
    """`report --cost` is about the newest run, with --all about every call in the ledger."""
    plant(repository, "r1", tale.book)
    path = repository.factory / "ledger.sqlite"
    with Calls(path) as calls:
        for each in CALLS:
            calls.settle(each, None)
        calls.settle(call("x", "1.00", Basis.EXACT, run=RunId("split-1")), None)

    one = document(repository, capsys, "report", "--cost")
    every = document(repository, capsys, "report", "--cost", "--all")

    assert one["schema"] == every["schema"] == "factory.cost/1"
    assert json.loads(json.dumps(one))["total"]["billed"] == "0.40"
    assert json.loads(json.dumps(every))["total"]["billed"] == "1.40"
    assert told(repository, "report", "--cost") == 0
    assert "DAY (UTC)" in capsys.readouterr().out
    assert told(repository, "report", "--all") == 2
    assert "--all belongs to --cost" in capsys.readouterr().err
