"""The pages of the full-screen view: logs, patch, balance, help, as lines that fit.

All of it is harmless and has its secrets masked before it is kept here.
"""

import time
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from factory.cli.balancing import read_balance
from factory.cli.place import here
from factory.cli.reading import Tail, job_ends, papers, patch_of
from factory.complaint import Complaint
from factory.wording import Curtain, block

if TYPE_CHECKING:
    from factory.ledger import Ledger
    from factory.line import Line
    from factory.views.panel import Page
    from factory.views.schemas import BalanceDocument
    from factory.views.screen import Part, Screen, Strip, Style
    from worktrees.git import Repository
    from worktrees.names import JobId, RunId

_LONGEST: Final = 5_000
"""Lines that a page holds: of a log the last ones, of a patch the first."""
_AGAIN: Final = 5.0
"""Seconds between two balances of a run that goes on."""
_OPTIONS: Final = 9
"""As many as there are digits to choose one by."""


class Text:
    """What a page shows: read once, or again as it grows."""

    def __init__(self, where: "Repository", ledger: "Ledger", run: "RunId", page: "Page") -> None:
        self.key = (page.kind, page.job)
        self._where, self._ledger, self._run = where, ledger, run
        self._attempt = 0
        self._tail: Tail | None = None
        self._reds: list[tuple[str, Style]] = []
        self._lines: deque[tuple[str, Style]] = deque(maxlen=_LONGEST)
        self._document: BalanceDocument | None = None
        self._line: Line | None = None
        self._read: float | None = None
        self._width = 0
        self._body: list[str | Strip] = []

    def more(self, line: "Line") -> bool:
        """Read what there is more of; say whether there was anything."""
        kind, job = self.key
        match kind:
            case "logs" if job is not None:
                new = self._log(line, job)
            case "balance":
                new = self._balance()
            case _ if self._read is not None:
                new = False
            case "diff" if job is not None:
                self._lines.extend(self._patch(line, job))
                new = True
            case _:
                self._lines.extend(_help())
                new = True
        if new:
            self._read, self._width = time.monotonic(), 0
        return new

    def title(self, top: int, room: int) -> str:
        """Say what the page is, and which part of it is in sight."""
        kind, job = self.key
        attempt = f", attempt {self._attempt}" if kind == "logs" else ""
        length = len(self._body)
        part = f"  ({top + 1}-{min(length, top + room)} of {length})" if length > room else ""
        return f"{kind}{f' of {job}' if job else ''}{attempt}{part}"

    @property
    def actions(self) -> tuple[tuple[str, ...], str]:
        """Give the options that the page offers, and the decision that can be undone last."""
        document = self._document
        if document is None:
            return (), ""
        undo = [row["number"] for row in document["decisions"] if row["undo"]]
        return _offered(document), str(undo[-1]) if undo else ""

    def length(self, screen: "Screen", width: int) -> int:
        """Give how many lines of so many columns the text has."""
        if self._width != width:
            self._width, self._body = width, self._laid(screen, width)
        return len(self._body)

    def window(self, screen: "Screen", top: int, room: int) -> list[str]:
        """Give so many lines of the text from this one on, ready for a terminal."""
        shown: list[str] = []
        for line in self._body[top : top + room]:
            shown += [line] if isinstance(line, str) else screen.strips([line], self._width)
        return shown

    def _laid(self, screen: "Screen", width: int) -> "list[str | Strip]":
        from factory.views.screen import Cell, Strip, folded

        if self._document is not None:
            return [*screen.painted(_balance_parts(self._document), width)]
        return [
            Strip(((Cell(piece, style), 0),))
            for text, style in (*self._lines, *self._reds)
            for piece in folded(text, width)
        ]

    def _log(self, line: "Line", job: "JobId") -> bool:
        """Read on in the newest attempt's output, and the tails of the trials that refused it."""
        from factory.events import Working

        work, before = line.jobs[job], (self._attempt, len(self._reds))
        if self._tail is None or work.attempt != self._attempt:
            self._attempt = work.attempt
            log = papers(self._where, self._run, job) / str(work.attempt) / "output.log"
            self._tail = Tail(log)
            self._lines.clear()
        at_work = isinstance(work.place, Working)
        new = [*self._tail.more(), *(() if at_work else self._tail.rest())]
        self._lines.extend((text, "plain") for text in new)
        if line is not self._line:
            self._line, self._reds = line, [] if at_work else list(self._refusals(job))
        empty = not self._lines and not self._reds
        if empty:
            self._reds = [("no output yet", "dim")]
        return bool(new) or empty or before != (self._attempt, len(self._reds))

    def _refusals(self, job: "JobId") -> "Iterator[tuple[str, Style]]":
        from factory.views.story import red_trials

        for red in red_trials(self._ledger.records(self._run), job):
            owner = f" ({red.owner})" if red.owner else ""
            yield "", "plain"
            yield f"test run {red.trial} refused it{owner}:", "bad"
            curtain = Curtain()
            for text in red.tail.splitlines():
                yield block(curtain.draw(text)), "plain"

    def _patch(self, line: "Line", job: "JobId") -> "Iterator[tuple[str, Style]]":
        try:
            patch = patch_of(self._where.git, job_ends(self._where.git, line, job))
        except Complaint as complaint:
            yield complaint.what, "warn"
            return
        for number, text in enumerate(patch.decode("utf-8", "backslashreplace").split("\n")):
            if number == _LONGEST - 1:
                yield f"and more: factory diff {job}", "warn"
                return
            yield block(text), _style(text)

    def _balance(self) -> bool:
        from factory.config.mistakes import ConfigErrors
        from factory.views.balance import balance_document

        now = time.monotonic()
        if self._read is not None and now - self._read < _AGAIN:
            return False
        try:
            line, records, seen, alive = read_balance(here({}), self._ledger, self._run)
        except ConfigErrors as error:
            self._lines.clear()
            self._lines.extend((text, "warn") for text in str(error).splitlines())
            return True
        self._document = balance_document(line, records, seen, now=time.time(), alive=alive)
        return True


def _help() -> "Iterator[tuple[str, Style]]":
    from factory.views.panel import HELP

    yield from ((text, "plain") for text in HELP)


def _style(text: str) -> "Style":
    """Give how a line of a patch is drawn."""
    match text[:1]:
        case "+":
            return "good"
        case "-":
            return "bad"
        case "@":
            return "busy"
        case _:
            return "plain"


def _offered(document: "BalanceDocument") -> tuple[str, ...]:
    return tuple(row["name"] for row in document["options"] if row["apply"])[:_OPTIONS]


def _balance_parts(document: "BalanceDocument") -> "list[Part]":
    """Give the balance with its options numbered by the keys that apply them."""
    from factory.views.balance import show_parts
    from factory.views.screen import Cell

    names = _offered(document)
    parts = show_parts(document)
    for row in document["options"]:
        number = f"{names.index(row['name']) + 1}  " if row["name"] in names else "   "
        parts += [Cell(""), Cell(f"{number}{row['change']}", "strong"), Cell(f"   {row['why']}")]
    return parts
