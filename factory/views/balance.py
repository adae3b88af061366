"""The document of `factory balance`, and how it is drawn: who limits the line, what may be done."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from factory.balancing import Balancing, shifts
from factory.changes import Advice, Inputs, Option, Prediction, Range
from factory.events import Closed, Decided
from factory.ledger import Record
from factory.line import Line
from factory.pace.controller import SURE
from factory.pace.sentence import rate_text, sentence
from factory.pace.takt import (
    colour,
    default_wip,
    first_pass,
    late_rate,
    lead_ahead,
    rest_ahead,
    takt,
)
from factory.pace.values import Limit, Pace
from factory.views.decisions import change_text, gain_text
from factory.views.rows import station_rows
from factory.views.schemas import (
    BalanceDocument,
    BalanceRow,
    DecisionRow,
    OptionRow,
    PredictionRow,
    RangeRow,
    ShiftRow,
)
from factory.views.screen import Cell, Column, Part, Style, Table
from factory.wording import clean, count, masked, span

EVERY: Final = 5
"""Landings between two entries of the timeline, at least."""
ENTRIES: Final = 40
"""Entries of the timeline, about, of a long run."""
_EVEN: Final = 1.01
_COLOURS: Final[dict[str | None, Style]] = {
    "red": "bad",
    "amber": "warn",
    "green": "good",
    None: "plain",
}


def balance_document(
    line: Line, records: Iterable[Record], seen: Balancing, *, now: float, alive: bool
) -> BalanceDocument:
    """Give how a run is balanced; ``seen`` is what was measured of it until ``now``."""
    history = [(record.event, record.at) for record in records]
    over = bool(history) and isinstance(history[-1][0], Closed)
    when = {event.number: at for event, at in history if isinstance(event, Decided)}
    every = max(EVERY, seen.pace.landed // ENTRIES)
    moved = [shift_row(*each) for each in shifts(history, every=every)]
    return balance_of(line, seen, moved, when, over=over, now=now, alive=alive)


def balance_of(
    line: Line,
    seen: Balancing,
    moved: list[ShiftRow],
    when: Mapping[int, float],
    *,
    over: bool,
    now: float,
    alive: bool,
) -> BalanceDocument:
    """Give the same for whoever followed the run: who limited it when, and when was decided."""
    pace, limits = seen.pace, seen.limits
    wanted = seen.policy.wanted
    return {
        "schema": "factory.balance/1",
        "run": line.run,
        "sentence": sentence(pace, limits, over=over),
        "mode": seen.policy.mode,
        "at": now,
        "alive": alive,
        "landed": pace.landed,
        "rate": round(late_rate(pace), 3),
        "bound": round(limits.bound, 3),
        "without": round(limits.without, 3),
        "wanted": wanted,
        "takt": None if wanted is None else round(takt(wanted), 3),
        "lead": _rounded(lead_ahead(pace, limits)),
        "rest": _rounded(rest_ahead(pace, limits)),
        "wip": {
            "limit": line.rules.wip,
            "advised": default_wip(pace, seen.layout),
            "inside": pace.inside,
            "fresh": pace.fresh,
        },
        "first_pass": _rounded(first_pass(pace)),
        "line": line.rules.hash,
        "stations": _stations(pace, limits, wanted),
        "options": [option_row(option) for option in seen.options],
        "decisions": [decision_row(line, each, when) for each in line.decided.values()],
        "shifts": moved,
        "calibration": _calibration(line),
    }


def option_row(option: Option) -> OptionRow:
    """Give an option as plain data."""
    advice = isinstance(option.change, Advice)
    return {
        "name": option.name,
        "kind": option.change.kind,
        "change": change_text(option.change),
        "why": clean(masked(option.why)),
        "alone": option.alone,
        "apply": None if advice else f"factory balance apply {option.name}",
        "prediction": _prediction(option.prediction),
    }


def decision_row(line: Line, decided: Decided, when: Mapping[int, float]) -> DecisionRow:
    """Give a decision with what it promised and what it has done."""
    number = decided.number
    measured, undone = line.measured.get(number), line.undone.get(number)
    before = decided.inputs
    return {
        "number": number,
        "at": when.get(number, 0.0),
        "by": decided.by,
        "applied": decided.applied,
        "name": decided.chosen.name,
        "change": change_text(decided.chosen.change),
        "why": clean(masked(decided.chosen.why)),
        "station": before.station,
        "odds": None if before.station is None else before.odds.get(before.station),
        "ships": before.ships,
        "rate_before": round(before.rate, 3),
        "bound_before": round(before.bound, 3),
        "predicted": _prediction(decided.chosen.prediction),
        "effect": None if measured is None else measured.effect,
        "rate_after": None if measured is None else round(measured.after.rate, 3),
        "bound_after": None if measured is None else round(measured.after.bound, 3),
        "told": None if measured is None else clean(measured.why),
        "undone": None if undone is None else f"by {undone.by}: {clean(masked(undone.why))}",
        "undo": _undo(decided, undone=undone is not None),
        "options": [option.name for option in decided.options],
    }


def show_parts(document: BalanceDocument) -> list[Part]:
    """Give the parts of `factory balance show`."""
    parts: list[Part] = [Cell(document["sentence"], "strong"), Cell(_headline(document))]
    parts += [Cell(""), _station_table(document)]
    if document["decisions"]:
        parts += [Cell(""), _decision_table(document["decisions"])]
    named = [row for row in document["options"] if row["apply"] is not None]
    if named:
        text = f"{count(len(document['options']), 'option')}: factory balance suggest shows them"
        parts += [Cell(""), Cell(text)]
    return parts


def suggest_parts(document: BalanceDocument) -> list[Part]:
    """Give the parts of `factory balance suggest`: each option with what it promises."""
    parts: list[Part] = [Cell(document["sentence"], "strong")]
    if not document["options"]:
        parts.append(Cell("there is nothing to suggest: no station is known to limit the line"))
    for row in document["options"]:
        promise = _promise(row["prediction"])
        parts += [Cell(""), Cell(row["change"], "strong"), Cell(f"  {row['why']}")]
        if promise:
            parts.append(Cell(f"  predicted: {promise}"))
        order = row["apply"] or "for a person to change; the loop never edits factory.toml"
        parts.append(Cell(f"  {order}", "good" if row["apply"] else "dim"))
    return parts


def _headline(document: BalanceDocument) -> str:
    wip = document["wip"]
    limit = "no limit" if wip["limit"] is None else f"at most {wip['limit']}"
    parts = [f"[pace] mode = {document['mode']}"]
    if document["rate"]:
        parts.append(f"{rate_text(document['rate'])} changes/h of late")
    if document["wanted"] is not None:
        parts.append(f"{rate_text(document['wanted'])}/h wanted")
    parts.append(f"{wip['inside']} under way ({limit}; {wip['advised']} keep it busy)")
    if document["lead"] is not None and document["alive"]:
        parts.append(f"a job that begins now takes about {span(document['lead'])}")
    if document["rest"] and document["alive"]:
        parts.append(f"all will be done in about {span(document['rest'])}")
    return "; ".join(parts)


def _station_table(document: BalanceDocument) -> Table:
    heads = ("SEATS", "VISITS", "MEAN", "D, MIN", "P", "HEADROOM")
    return Table(
        (Column("STATION", wide=True), *(Column(head, right=True) for head in heads)),
        tuple(
            (
                Cell(row["name"] + ("" if row["required"] else " (optional)")),
                Cell(str(row["seats"])),
                Cell(str(row["visits"])),
                Cell(span(row["mean"]) if row["finished"] else "-"),
                Cell(f"{row['demand']:.3f}", _COLOURS[row["colour"]]),
                Cell("-" if row["odds"] is None else f"{row['odds']:.2f}"),
                Cell("-" if row["headroom"] is None else f"{row['headroom']:.1f} x"),
            )
            for row in sorted(document["stations"], key=lambda row: -row["demand"])
            if row["visits"]
        ),
    )


def _decision_table(rows: Sequence[DecisionRow]) -> Table:
    return Table(
        (
            *(Column("NO", right=True), Column("DECISION", wide=True)),
            *(Column("PREDICTED", right=True), Column("MEASURED", right=True)),
        ),
        tuple(
            (
                Cell(str(row["number"])),
                (
                    Cell(f"{row['change']} ({row['by'] if row['applied'] else 'suggested'})"),
                    *((Cell(f"  undone {row['undone']}", "warn"),) if row["undone"] else ()),
                    *((Cell(f"  {row['told']}", "dim"),) if row["told"] else ()),
                ),
                Cell(_gain(row["predicted"])),
                Cell(_measured(row)),
            )
            for row in rows
        ),
    )


def _gain(row: PredictionRow | None) -> str:
    if row is None:
        return "-"
    gain, sooner = row["gain"]["mid"], row["sooner"]["mid"]
    return f"lead / {sooner:.2f}" if gain < _EVEN < sooner else f"x {gain:.2f}"


def _measured(row: DecisionRow) -> str:
    if row["rate_after"] is None or not row["rate_before"]:
        return "-"
    return f"x {row['rate_after'] / row['rate_before']:.2f} {row['effect']}"


def _promise(row: PredictionRow | None) -> str:
    if row is None:
        return ""
    ranges = {
        name: Range(low=each["low"], mid=each["mid"], high=each["high"])
        for name, each in (
            ("rate", row["rate"]),
            ("lead", row["lead"]),
            ("gain", row["gain"]),
            ("sooner", row["sooner"]),
        )
    }
    paid = row["usd"]
    dollars = None if paid is None else Range(low=paid["low"], mid=paid["mid"], high=paid["high"])
    return gain_text(Prediction(dollars=dollars, **ranges))


def _prediction(made: Prediction | None) -> PredictionRow | None:
    if made is None:
        return None
    return {
        "rate": _range(made.rate),
        "lead": _range(made.lead),
        "usd": None if made.dollars is None else _range(made.dollars),
        "gain": _range(made.gain),
        "sooner": _range(made.sooner),
    }


def _range(made: Range) -> RangeRow:
    return {"low": round(made.low, 4), "mid": round(made.mid, 4), "high": round(made.high, 4)}


def _undo(decided: Decided, *, undone: bool) -> str | None:
    back = decided.applied and decided.back is not None and not undone
    return f"factory balance undo {decided.number}" if back else None


def _stations(pace: Pace, limits: Limit, wanted: float | None) -> list[BalanceRow]:
    room = limits.headroom
    return [
        {
            **row,
            "headroom": _rounded(room.get(row["name"])),
            "colour": None if wanted is None else colour(row["demand"], takt(wanted)),
            "found": pace.stations[row["name"]].found,
            "usd": round(pace.stations[row["name"]].dollars, 6),
        }
        for row in station_rows(pace, limits)
    ]


def shift_row(at: float, pace: Pace, limits: Limit) -> ShiftRow:
    """Give who limited the line at one time, as it was known then."""
    odds = 0.0 if limits.station is None else limits.odds.get(limits.station, 0.0)
    return {
        "at": at,
        "ships": pace.landed,
        "station": limits.station,
        "odds": round(odds, 3),
        "bound": round(limits.bound, 3),
    }


def _calibration(line: Line) -> list[list[float]]:
    """Give predicted and measured gains of every change that was measured."""
    found: list[list[float]] = []
    for number, measured in line.measured.items():
        decided = line.decided[number]
        made, before = decided.chosen.prediction, decided.inputs
        if made is not None and before.rate > 0 and _counts(before):
            found.append([round(made.gain.mid, 4), round(measured.after.rate / before.rate, 4)])
    return found


def _counts(before: Inputs) -> bool:
    return before.station is not None and before.odds.get(before.station, 0.0) >= SURE


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
