"""What models cost: by station, model, scope and day, as a document, on a screen, as Markdown."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from factory.events import Landed, Proposed
from factory.line import Line
from factory.views.report import plain, table
from factory.views.rows import amount, dollars
from factory.views.schemas import CostDocument, CostRow, ShippedRow
from factory.views.screen import Cell, Column, Part, Table
from factory.wording import clean, count, listed
from stations.models.values import Basis, Call
from worktrees.names import JobId, RunId

NO_JOB: Final = "(no job)"
"""The scope of calls that were made for no job of a run, as those of `split` and `survey`."""
BILLED: Final = frozenset({Basis.EXACT, Basis.ESTIMATED})
"""Whose dollars a provider asks for; others are imputed: nobody paid them."""
_HEADS: Final = ("CALLS", "IN", "CACHED", "OUT", "BILLED", "IMPUTED")
_SCOPES: Final = 3


def cost_document(lines: Sequence[Line], calls: Sequence[Call]) -> CostDocument:
    """Give what these calls cost that were made for these runs."""
    shipped = sum(
        isinstance(work.place, Landed | Proposed) for line in lines for work in line.jobs.values()
    )
    scopes = _scopes(lines)
    total = _row("total", calls)
    return {
        "schema": "factory.cost/1",
        "runs": [line.run for line in lines],
        "shipped": shipped,
        "total": total,
        "each": _each(total, shipped) if shipped else None,
        "stations": _rows(calls, lambda call: clean(call.station)),
        "models": _rows(calls, lambda call: clean(call.model)),
        "scopes": _rows(calls, lambda call: scopes.get((call.run, call.job), NO_JOB)),
        "days": sorted(_rows(calls, _day), key=lambda row: row["name"]),
    }


def cost_parts(document: CostDocument) -> list[Part]:
    """Give the parts of a screen: the sum, what each change cost, then one table for each."""
    parts: list[Part] = [Cell(_headline(document), "strong")]
    if not document["total"]["calls"]:
        return parts
    parts += [Cell(_shipped(document)), *(Cell(t, "warn") for t in _doubts(document["total"]))]
    for head, rows in _tables(document):
        columns = (Column(head, wide=True), *(Column(word, right=True) for word in _HEADS))
        cells = tuple(tuple(Cell(text) for text in _cells(row)) for row in rows)
        parts += [Cell(""), Table(columns, cells)]
    return parts


def cost_markdown(document: CostDocument) -> str:
    """Give the same as Markdown, for a CI step summary."""
    parts = [f"### {plain(_headline(document))}"]
    if document["total"]["calls"]:
        parts += [plain(text) for text in (_shipped(document), *_doubts(document["total"]))]
        heads = tuple(word.lower() for word in _HEADS)
        for head, rows in _tables(document):
            named = ((plain(name), *rest) for name, *rest in map(_cells, rows))
            parts.append(table((head.lower(), *heads), list(named)))
    return "\n\n".join(parts)


def _tables(document: CostDocument) -> Iterable[tuple[str, list[CostRow]]]:
    yield "STATION", document["stations"]
    yield "MODEL", document["models"]
    yield "SCOPE", document["scopes"]
    yield "DAY (UTC)", document["days"]


def _headline(document: CostDocument) -> str:
    runs, total = document["runs"], document["total"]
    of = f"run {runs[0]}" if len(runs) == 1 else count(len(runs), "run")
    if not total["calls"]:
        return f"{of}: no model was asked, so nothing was spent on one"
    tokens = total["tokens_in"] + total["tokens_out"]
    return (
        f"{of}: {dollars(total['billed'])} billed, {dollars(total['imputed'])} imputed,"
        f" {tokens:,} tokens in {count(total['calls'], 'call')}"
    )


def _shipped(document: CostDocument) -> str:
    each, shipped = document["each"], document["shipped"]
    if each is None:
        return "no change has shipped yet"
    return (
        f"each of {count(shipped, 'change')} that shipped: {dollars(each['billed'])} billed,"
        f" {dollars(each['imputed'])} imputed, {each['tokens']:,} tokens"
    )


def _doubts(total: CostRow) -> Iterable[str]:
    if total["imputed"] != "0":
        yield "imputed: what a server on this machine answered, at list price; nobody paid it"
    if total["estimated"]:
        yield f"{count(total['estimated'], 'call')} of the billed: tokens counted by us"
    if total["unpriced"]:
        yield f"{count(total['unpriced'], 'call')} to models without a known price: in neither sum"


def _cells(row: CostRow) -> tuple[str, ...]:
    return (
        row["name"],
        *(f"{number:,}" for number in (row["calls"], row["tokens_in"], row["tokens_cached"])),
        f"{row['tokens_out']:,}",
        *(("-", "-") if row["unpriced"] == row["calls"] else _money(row)),
    )


def _money(row: CostRow) -> tuple[str, str]:
    return amount(row["billed"]), amount(row["imputed"])


def _scopes(lines: Sequence[Line]) -> Mapping[tuple[RunId, JobId], str]:
    return {
        (line.run, name): clean(listed(work.job.scope.write, most=_SCOPES))
        for line in lines
        for name, work in line.jobs.items()
    }


def _day(call: Call) -> str:
    return datetime.fromtimestamp(call.at, UTC).date().isoformat()


def _rows(calls: Sequence[Call], name: Callable[[Call], str]) -> list[CostRow]:
    """Give a row for each name, the dearest first."""
    found: dict[str, list[Call]] = {}
    for call in calls:
        found.setdefault(name(call), []).append(call)
    rows = [_row(each, own) for each, own in found.items()]
    return sorted(rows, key=_weight, reverse=True)


def _weight(row: CostRow) -> tuple[Decimal, int]:
    worth = Decimal(row["billed"]) + Decimal(row["imputed"])
    return worth, row["tokens_in"] + row["tokens_out"]


def _row(name: str, calls: Sequence[Call]) -> CostRow:
    spends = [call.spend for call in calls]
    return {
        "name": name,
        "calls": len(calls),
        "tokens_in": sum(spend.tokens_in for spend in spends),
        "tokens_out": sum(spend.tokens_out for spend in spends),
        "tokens_cached": sum(spend.tokens_cached for spend in spends),
        "billed": _sum(call for call in calls if call.basis in BILLED),
        "imputed": _sum(call for call in calls if call.basis is Basis.SYNTHETIC),
        "estimated": sum(call.basis is Basis.ESTIMATED for call in calls),
        "unpriced": sum(call.dollars is None for call in calls),
    }


def _sum(calls: Iterable[Call]) -> str:
    return f"{sum((call.dollars or Decimal(0) for call in calls), Decimal(0)):f}"


def _each(total: CostRow, shipped: int) -> ShippedRow:
    billed, imputed = (f"{Decimal(total[key]) / shipped:.6f}" for key in ("billed", "imputed"))
    tokens = (total["tokens_in"] + total["tokens_out"]) // shipped
    return {"tokens": tokens, "billed": billed, "imputed": imputed}
