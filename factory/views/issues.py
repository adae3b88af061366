"""Shows what became of each item of a plan, with what shows it or why not."""

import sys
from collections.abc import Mapping, Sequence
from typing import Final

from factory.views.schemas import IssueRow
from factory.views.screen import Cell, Column, Part, Style, Table
from factory.views.show import screen_on
from factory.wording import clean, count, cut, masked

_TITLE: Final = 60
_WHY: Final = 200
_SAID: Final[Mapping[str, tuple[str, Style]]] = {
    "fixed": ("fixed", "good"),
    "not-shown": ("not shown", "warn"),
    "failed": ("not fixed", "bad"),
    "unfinished": ("unfinished", "warn"),
    "already-fixed": ("fixed already", "good"),
    "in-flight": ("in flight", "plain"),
    "built-on": ("built on", "good"),
    "superseded": ("superseded", "plain"),
    "duplicate": ("duplicate", "plain"),
    "left": ("left", "dim"),
    "human": ("waits for you", "warn"),
    "security": ("set aside", "warn"),
}


def show(rows: Sequence[IssueRow]) -> None:
    """Draw the table on standard output."""
    screen_on(sys.stdout).show(*parts(rows))


def parts(rows: Sequence[IssueRow]) -> list[Part]:
    """Give the sentence on a plan's items, and a row for each."""
    shown = sum(row["head"] == "pass" for row in rows)
    head = f"{count(len(rows), 'item')} of the plan, {shown} shown to be fixed"
    return [
        Cell(""),
        Cell(head, "strong"),
        Table(
            (Column("ITEM", right=True), Column("STATE"), Column("WHAT", wide=True)),
            tuple((Cell(f"#{row['issue']}"), _state(row), _what(row)) for row in rows),
        ),
    ]


def _state(row: IssueRow) -> Cell:
    said, style = _SAID[row["state"]]
    return Cell(f"{said} of #{row['of']}" if _copies(row) else said, style)


def _copies(row: IssueRow) -> bool:
    return row["state"] == "duplicate" and row["of"] is not None


def _what(row: IssueRow) -> tuple[Cell, ...]:
    title = cut(clean(masked(row["title"])), _TITLE)
    found = [Cell(title)] if title else []
    if row["why"]:
        found.append(Cell(cut(clean(masked(row["why"])), _WHY), "dim" if row["head"] else "plain"))
    if row["failure"]:
        found.append(Cell(f"before: {cut(clean(masked(row['failure'])), _WHY)}", "dim"))
    return tuple(found) or (Cell("-"),)
