"""Shows a run while it goes: a board that is drawn again in place, or plain lines.

Both are told of every event by the floor's thread through ``watch``; the board is drawn by a
thread of its own from the last line it was given.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Final, Self

from factory.events import (
    Advanced,
    Closed,
    Dead,
    Event,
    Waiting,
    Working,
)
from factory.line import Line, Work, replay
from factory.meter import Meter
from factory.pace.sentence import sentence
from factory.views.documents import limits_of
from factory.views.progress import told
from factory.views.rows import ORDER, at_work, branch, counts, first_lines, headline, where
from factory.views.screen import PLACES, Cell, Column, Part, Screen, Table
from factory.wording import clean, cut, listed, masked, span
from worktrees.names import JobId

STALE: Final = 1.0
"""Seconds after which the sentence on the constraint is made anew."""
_LEAST: Final = 6
_ID: Final = 26
_STATION: Final = 14

History = Iterable[tuple[Event, float]]


class Board:
    """A table of jobs and stations that is drawn again in place, at most four times a second."""

    def __init__(self, screen: Screen, *, now: Callable[[], float], history: History = ()) -> None:
        self._screen = screen
        self._now = now
        self._meter = Meter()
        self._line: Line | None = None
        self._sentence = ""
        self._said = 0.0
        self._events = 0
        self._stack = ExitStack()
        for event, at in history:
            self._meter.take(event, at)
            self._line = self._meter.line

    def __enter__(self) -> Self:
        self._stack.enter_context(self._screen.live(self.draw))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()
        self._screen.show(Cell(""))  # what comes next stands clear of the board

    def watch(self, line: Line, event: Event, now: float) -> None:
        """Take in one event with the line that it made."""
        self._meter.see(line, event, now)
        self._events += 1
        if now - self._said >= STALE or isinstance(event, Advanced | Closed):
            pace = self._meter.read(now)
            limits = limits_of(pace, self._events)
            self._sentence = sentence(pace, limits, over=isinstance(event, Closed))
            self._said = now
        self._line = line

    def draw(self) -> Sequence[Part]:
        """Give the picture of this moment."""
        line = self._line
        if line is None:
            return [Cell("preparing the line", "dim")]
        return laid_out(
            line,
            self._now(),
            sentence=self._sentence,
            width=self._screen.width,
            height=self._screen.height,
        )


class Lines:
    """Plain lines for files, pipes and CI: one for each thing that happened, station first."""

    def __init__(self, screen: Screen, *, history: History = ()) -> None:
        self._screen = screen
        past = tuple(history)
        self._line = replay(iter(past)) if past else None
        self._began = past[0][1] if past else None

    def __enter__(self) -> Self:
        if self._line is not None:
            line = self._line
            self._screen.show(Cell(headline(line.run, branch(line.target), counts(line))))
            self._screen.stream.flush()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._screen.stream.flush()

    def watch(self, line: Line, event: Event, now: float) -> None:
        """Print what one event changed."""
        if self._began is None:
            self._began = now
        for who, text, style in told(self._line, line, event):
            after = span(max(0.0, now - self._began))
            self._screen.show(Cell(f"{after:>9}  {who:<{_STATION}} {text}", style))
        self._screen.stream.flush()
        self._line = line


def laid_out(line: Line, now: float, *, sentence: str, width: int, height: int) -> list[Part]:
    """Give the parts of a board that fit: who works and who wants something first, then the rest.

    What does not fit is folded into one row for each kind of place.
    """
    works = sorted(line.jobs.values(), key=lambda work: ORDER.index(work.place.kind))
    stations = _stations(line, width)
    room = max(_LEAST, height - len(stations.rows) - 9)
    shown, folded = _fitting(works, room)
    names = min(_ID, max((len(work.job.id) for work in shown), default=3))
    places = min(_STATION, max((len(work.station) for work in shown), default=7))
    rest = max(10, width - names - max(places, 7) - 6)
    rows = tuple(
        (
            Cell(cut(work.job.id, names)),
            Cell(cut(work.station, places)),
            Cell(cut(_said(line, work, now), rest), PLACES[work.place.kind]),
        )
        for work in shown
    )
    head = headline(line.run, branch(line.target), counts(line))
    state = _state(line)
    return [
        Cell(cut(sentence, 2 * width), "strong"),
        Cell(head),
        *([Cell(cut(state, width), "warn")] if state else []),
        Cell(""),
        Table((Column("JOB"), Column("STATION"), Column("WHERE", wide=True)), rows),
        *(Cell(cut(text, width), "dim") for text in folded),
        Cell(""),
        stations,
    ]


def _fitting(works: Sequence[Work], room: int) -> tuple[Sequence[Work], list[str]]:
    """Give the jobs that get a row each, and one text for each kind of the others."""
    if len(works) <= room:
        return works, []
    rows = room
    while rows > 1 and rows + len({work.place.kind for work in works[rows:]}) > room:
        rows -= 1
    shown = works[:rows]
    left: dict[str, list[JobId]] = {}
    for work in works[len(shown) :]:
        left.setdefault(work.place.kind, []).append(work.job.id)
    return shown, [f"and {len(jobs)} {kind}: {listed(jobs, most=5)}" for kind, jobs in left.items()]


def _said(line: Line, work: Work, now: float) -> str:
    failure = first_lines(work)
    if isinstance(work.place, Dead) and failure:
        return f"gave up: {failure[0]}"
    if failure and isinstance(work.place, Working | Waiting):
        return f"{where(line, work, now)}; before: {failure[0]}"
    return where(line, work, now)


def _state(line: Line) -> str:
    if line.closing is not None:
        return f"closing, what runs goes on to its end: {clean(masked(line.closing.why))}"
    return "paused: factory resume lets it go on" if line.paused else ""


def _stations(line: Line, width: int) -> Table:
    return Table(
        (Column("STATION"), Column("BUSY", right=True), Column("WORKS ON", wide=True)),
        tuple(
            (
                Cell(cut(each.name, _STATION)),
                Cell(f"{each.taken}/{each.seats}"),
                Cell(cut(listed(each.jobs, most=4), width - 28)),
            )
            for each in at_work(line)
        ),
    )
