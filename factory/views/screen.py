"""The one door to rich: lines and tables of our own values, drawn on a terminal or into a file.

No text is ever read as markup, and every text is made harmless before it is drawn.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final, Literal, TextIO

from factory.wording import block

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text

WIDTH: Final = 80
"""Columns where no terminal says how many there are."""
PER_SECOND: Final = 4

Style = Literal["plain", "good", "bad", "warn", "busy", "dim", "strong"]
_STYLES: Final[dict[Style, str]] = {
    "plain": "",
    "good": "green",
    "bad": "red",
    "warn": "yellow",
    "busy": "cyan",
    "dim": "dim",
    "strong": "bold",
}


PLACES: Final[Mapping[str, Style]] = {
    "working": "busy",
    "gate": "busy",
    "needs-you": "warn",
    "resting": "warn",
    "waiting": "dim",
    "dead": "bad",
    "withdrawn": "dim",
    "proposed": "good",
    "landed": "good",
}
"""How a job's place or state is drawn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terminal:
    """What is known of where text goes; the environment's part comes from `settings`.

    ``color`` is True when forced, False when refused; ``columns`` is given or None.
    """

    tty: bool = False
    color: bool | None = None
    animate: bool = False
    columns: int | None = None


@dataclass(frozen=True, slots=True)
class Cell:
    """A text in one style; in a table it may hold several lines."""

    text: str
    style: Style = "plain"


@dataclass(frozen=True, slots=True)
class Column:
    """A column's head; ``wide`` ones take what is left and fold, others fold above ``most``."""

    head: str
    right: bool = False
    wide: bool = False
    most: int | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under their columns; a cell may be several styled texts, one below the other."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell | tuple[Cell, ...], ...], ...]


Part = Cell | Table


@dataclass(frozen=True, slots=True)
class Strip:
    """One line of a picture: texts in fields of so many columns, 0 for all that is left.

    ``chosen`` draws the whole line the other way round.
    """

    fields: tuple[tuple[Cell, int], ...]
    chosen: bool = False


class Screen:
    """A stream that parts are drawn on."""

    def __init__(self, stream: TextIO, terminal: Terminal) -> None:
        self.stream = stream
        self.terminal = terminal

    @cached_property
    def _console(self) -> "Console":
        # Made when something is drawn: a run that prints a document alone never loads rich.
        return _console(self.stream, self.terminal)

    @property
    def animated(self) -> bool:
        """Say whether a picture may be drawn again and again."""
        return self.terminal.tty and self.terminal.animate

    @property
    def width(self) -> int:
        """Give the number of columns."""
        return self._console.width

    @property
    def height(self) -> int:
        """Give the number of lines."""
        return self._console.height

    def show(self, *parts: Part) -> None:
        """Draw these parts below each other."""
        for part in parts:
            self._console.print(_drawn(part), soft_wrap=isinstance(part, Cell) and self._loose)

    def strips(self, strips: Sequence[Strip], width: int) -> list[str]:
        """Give lines of exactly this many columns, ready for a terminal; nothing ever folds."""
        from rich.text import Text

        with self._console.capture() as drawn:
            whole = Text("\n").join(_strip(strip, width) for strip in strips)
            self._console.print(whole, soft_wrap=True, end="")
        return drawn.get().split("\n")

    def painted(self, parts: Sequence[Part], width: int) -> list[str]:
        """Give parts as lines of at most this many columns, ready for a terminal."""
        with self._console.capture() as drawn:
            for part in parts:
                self._console.print(_drawn(part), width=width)
        return drawn.get().removesuffix("\n").split("\n")

    @contextmanager
    def live(self, draw: Callable[[], Sequence[Part]]) -> Iterator[None]:
        """Draw what ``draw`` gives a few times a second, until the block ends."""
        from rich.console import Group
        from rich.live import Live

        with Live(
            get_renderable=lambda: Group(*map(_drawn, draw())),
            console=self._console,
            refresh_per_second=PER_SECOND,
            redirect_stdout=False,
        ):
            yield

    @property
    def _loose(self) -> bool:
        # A file or a pipe gets whole lines, so that they can be searched.
        return not self.terminal.tty and self.terminal.columns is None


def _console(stream: TextIO, terminal: Terminal) -> "Console":
    from rich.console import Console

    colored = terminal.color if terminal.color is not None else terminal.tty
    return Console(
        file=stream,
        force_terminal=terminal.tty,
        color_system="standard" if colored else None,
        width=terminal.columns if terminal.tty else terminal.columns or WIDTH,
        markup=False,
        emoji=False,
        highlight=False,
        _environ={},  # rich must not read the environment: `settings` has
    )


def _drawn(part: Part) -> "RenderableType":
    from rich.table import Table as Grid
    from rich.text import Text

    if isinstance(part, Cell):
        return Text(block(part.text), style=_STYLES[part.style], overflow="fold")
    grid = Grid(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for column in part.columns:
        grid.add_column(
            Text(column.head),
            justify="right" if column.right else "left",
            overflow="fold",
            no_wrap=not column.wide and column.most is None,
            max_width=column.most,
            ratio=1 if column.wide else None,
        )
    for row in part.rows:
        grid.add_row(*(_cell(cell) for cell in row))
    return grid


def _strip(strip: Strip, width: int) -> "Text":
    from rich.text import Text

    made, left = Text(style="reverse" if strip.chosen else ""), width
    for cell, wide in strip.fields:
        room = min(wide or left, left)
        field = Text(block(cell.text).replace("\n", " "), style=_STYLES[cell.style])
        field.truncate(room, overflow="ellipsis", pad=True)
        made.append_text(field)
        left -= room
    made.truncate(width, pad=True)
    return made


def folded(text: str, width: int) -> list[str]:
    """Give a text as harmless lines of at most this many columns; no character is left out."""
    from rich.cells import chop_cells

    return [piece for line in block(text).split("\n") for piece in chop_cells(line, width) or [""]]


def _cell(cell: Cell | tuple[Cell, ...]) -> "RenderableType":
    from rich.text import Text

    lines = cell if isinstance(cell, tuple) else (cell,)
    text = Text(overflow="fold")
    for number, line in enumerate(lines):
        text.append("\n" if number else "")
        text.append(block(line.text).replace("\n", " "), style=_STYLES[line.style])
    return text
