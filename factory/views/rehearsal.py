"""Shows a rehearsal: what the line can land, what it refused and why, and as a document."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from factory.pace.sentence import rate_text, sentence
from factory.rehearsal import SHORT, Ended, Fate, Told
from factory.views.documents import limits_of
from factory.views.schemas import RehearsalDocument, ReplayRow
from factory.views.screen import Cell, Column, Part, Style, Table
from factory.wording import clean, count, cut, masked, span

_TITLE: Final = 60
_STYLES: Final[dict[Fate, Style]] = {
    Fate.FIRST: "good",
    Fate.LATER: "good",
    Fate.ALREADY: "dim",
    Fate.EMPTY: "dim",
    Fate.MISFIT: "warn",
    Fate.PROTECTED: "warn",
}
_QUIET: Final = frozenset({Fate.FIRST, Fate.EMPTY, Fate.OPEN})
"""What is counted and not listed."""


def document(
    told: Told,
    *,
    tip: str,
    green: bool,
    same: bool,
    kept: str = "",
    notes: Sequence[str] = (),
    code: int,
) -> RehearsalDocument:
    """Give what `factory rehearse --json` prints."""
    line, gate = told.line, told.gate
    limits = limits_of(told.pace, len(told.ended))
    changing = [each.change for each in told.ended if each.change.paths]
    seats = line.rules.seats
    return {
        "schema": "factory.rehearse/1",
        "run": line.run,
        "base": line.base,
        "tip": tip,
        "target": kept or None,
        "seconds": round(told.pace.seconds, 3),
        "seats": seats,
        "slots": line.rules.slots,
        "changes": [_row(each) for each in told.ended],
        "counts": {
            fate.value: number
            for fate in Fate
            if (number := sum(each.fate is fate for each in told.ended))
        },
        "landed": told.landed,
        "per_hour": round(told.per_hour, 1),
        "per_hour_per_seat": round(told.per_hour / seats, 1),
        "green": green,
        "same": same,
        "gate": {
            "runs": gate.runs,
            "red": gate.red,
            "lost": gate.lost,
            "known": gate.known,
            "landings": gate.landings,
            "per_landing": round(gate.runs / told.landed, 2) if told.landed else None,
        },
        "flaky": [
            {"tree": each.tree, "jobs": list(each.jobs), "lines": list(each.lines)}
            for each in told.flakes
        ],
        "fit": {"fit": sum(change.fits for change in changing), "of": len(changing)},
        "constraint": {
            "sentence": sentence(told.pace, limits, over=line.closing is None),
            "station": limits.station,
            "odds": None if limits.station is None else limits.odds[limits.station],
        },
        "bound": {name or "now": round(rate, 1) for name, rate in told.bounds.items()},
        "notes": list(notes),
        "exit": code,
    }


def _row(each: Ended) -> ReplayRow:
    return {
        "commit": each.change.commit,
        "title": clean(each.change.title),
        "job": each.change.job,
        "station": each.change.station or None,
        "paths": len(each.change.paths),
        "fate": each.fate.value,
        "tries": each.tries,
        "asked": each.asked,
        "why": clean(masked(each.why)) or None,
        "lines": list(each.lines),
    }


def parts(shown: RehearsalDocument) -> Iterator[Part]:
    """Give what a person sees: the figures, the proof, the constraint, and what was refused."""
    seats, slots = count(shown["seats"], "seat"), count(shown["slots"], "slot")
    landed, every = shown["landed"], len(shown["changes"])
    yield Cell(
        f"{landed} of {count(every, 'change')} landed in {span(shown['seconds'])}:"
        f" {rate_text(shown['per_hour'])}/h, {rate_text(shown['per_hour_per_seat'])}/h for each of"
        f" {seats} ({slots} to test in)",
        "strong",
    )
    yield _proof(shown)
    if shown["same"]:
        yield Cell(f"what came out is the tree of {shown['tip'][:SHORT]} itself", "good")
    yield Cell(shown["constraint"]["sentence"])
    if shown["bound"]["now"]:
        bound = shown["bound"]
        yield Cell(
            f"one seat more: {_more(bound, 'seat')}; one slot more: {_more(bound, 'slot')}, if the"
            " machine has the cores (an agent takes longer at its seat than a replay)"
        )
    fit = shown["fit"]
    share = "every change fits" if fit["fit"] == fit["of"] else f"{fit['fit']} of {fit['of']} fit"
    yield Cell(f"{share} one coding station as configured")
    yield Cell(", ".join(f"{number} {fate}" for fate, number in shown["counts"].items()))
    listed = [row for row in shown["changes"] if Fate(row["fate"]) not in _QUIET]
    if listed:
        yield Cell("")
        yield _table(listed)
    for flake in shown["flaky"]:
        where = ", ".join(flake["jobs"])
        yield Cell(
            f"flaky: the tree of {where} was red, then green: {'; '.join(flake['lines'])}", "warn"
        )
    if shown["target"]:
        yield Cell(f"kept: {shown['target']}", "dim")


def _more(bound: Mapping[str, float], what: str) -> str:
    """Say what one worker more of a kind would change."""
    if bound[what] <= bound["now"]:
        return "no change"
    return f"at most {rate_text(bound[what])}/h"


def _proof(shown: RehearsalDocument) -> Cell:
    gate = shown["gate"]
    each = "" if gate["per_landing"] is None else f", {gate['per_landing']:g} for each that landed"
    ran = f"{count(gate['runs'], 'test run')}{each}"
    if not shown["green"]:
        return Cell(f"NOT PROVED: a commit of the target has no green verdict; {ran}", "bad")
    if not gate["landings"]:
        return Cell(f"nothing landed; {ran}")
    moves = count(gate["landings"], "landing")
    return Cell(
        f"the target was green at every commit: {moves}, each tree had passed; {ran}", "good"
    )


def _table(rows: Sequence[ReplayRow]) -> Table:
    return Table(
        (Column("COMMIT"), Column("ENDED"), Column("TRIES", right=True), Column("WHAT", wide=True)),
        tuple(
            (
                Cell(row["commit"][:SHORT]),
                Cell(row["fate"], _STYLES.get(Fate(row["fate"]), "bad")),
                Cell(str(row["tries"] or "-")),
                (
                    Cell(cut(row["title"], _TITLE)),
                    *((Cell(f"  {row['why']}", "dim"),) if row["why"] else ()),
                    *(Cell(f"  {line}", "bad") for line in row["lines"]),
                    *((Cell("  a person would be asked", "warn"),) if row["asked"] else ()),
                ),
            )
            for row in rows
        ),
    )
