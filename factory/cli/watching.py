"""The command that watches a run: a full screen on a terminal, plain lines anywhere else."""

import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from factory.cli.acting import post, promise
from factory.cli.app import Json, command, emit, say
from factory.cli.balancing import letter_of, read_balance
from factory.cli.finding import GLANCE, following, is_alive, ledger_of, read_run, repository, run_of
from factory.cli.looking import RunName
from factory.cli.paging import Text
from factory.cli.place import here
from factory.complaint import Complaint

if TYPE_CHECKING:
    from factory.events import Event
    from factory.ledger import Ledger, Letter, Record
    from factory.line import Line
    from factory.views.fullscreen import FullScreen
    from factory.views.keys import Key
    from factory.views.panel import Page, Post, Scene, Sight
    from factory.views.screen import Screen
    from worktrees.git import Repository
    from worktrees.names import RunId

_STALE: Final = 1.0
"""Seconds after which what moves with time alone is drawn anew."""


@command(
    "watch",
    short="Watch a run from another terminal, and act on it: ? shows the keys.",
    examples=(
        "factory watch                  the newest run; on a terminal the whole screen",
        "factory watch 261121-081502-3f2a",
        "factory watch 2>&1 | cat       plain lines, until the run ends",
    ),
)
def watch_command(run: RunName = None, json: Json = False) -> int:
    """Follow the ledger of a run."""
    from factory import calls
    from factory.ending import exit_code
    from factory.views import documents, show

    where = repository()
    screen = show.screen_on(sys.stdout)
    whole = screen.animated and sys.stdin.isatty() and not json
    with ledger_of(where) as ledger:
        name = run_of(ledger, run)
        if whole:
            _Watch(where, ledger, name, screen).run()
        else:
            _lines(where, ledger, name, quiet=json)
        line, records = read_run(ledger, name)
        goes_on = whole and is_alive(where, ledger, records[-1])
        asked = calls.of_run(ledger.path, name)
    if goes_on:
        say(f"{name} goes on; `factory watch` shows it again")
        return 0
    if json:
        emit(documents.run_document(line, records, asked))
    else:
        show.report(documents.report_document(line, records, asked))
    return exit_code(line)


def _lines(where: "Repository", ledger: "Ledger", run: "RunId", *, quiet: bool) -> None:
    """Tell what happens line by line until nobody works on the run."""
    from factory.settings import environment
    from factory.views import show
    from factory.views.story import Follower

    follower = Follower()
    history = [(made.record.event, made.record.at) for made in follower.more(ledger.records(run))]
    with show.progress(environment(), quiet=quiet, history=history) as watch:
        for _ in following(where, ledger, run):
            for made in follower.more(ledger.records(run, after=follower.seq)):
                watch(made.line, made.record.event, made.record.at)


class _Run:
    """What is known of a run whose ledger is followed."""

    def __init__(self, where: "Repository", ledger: "Ledger", run: "RunId") -> None:
        from factory.meter import Meter

        self._where, self._ledger, self.run = where, ledger, run
        self._meter: Meter = Meter()
        self._history: list[tuple[Event, float]] = []
        self._last: Record | None = None
        self._sentence = ""
        self._said = 0.0
        self._fresh = False

    @property
    def seq(self) -> int:
        """Give the ledger's position."""
        return 0 if self._last is None else self._last.seq

    def look(self) -> bool:
        """Take what the ledger has more of; say whether there was anything."""
        from factory.events import Resumed
        from factory.meter import Meter, steps

        new = list(self._ledger.records(self.run, after=self.seq))
        if not new:
            return False
        self._history += [(record.event, record.at) for record in new]
        if self._last is None or any(isinstance(record.event, Resumed) for record in new):
            # The time in which nobody worked shows only in the whole of it.
            self._meter = Meter()
            for _ in steps(self._meter, self._history):
                pass
        else:
            for record in new:
                self._meter.take(record.event, record.at)
        self._last, self._fresh = new[-1], True
        return True

    def scene(self, now: float) -> "Scene":
        """Give what is known at this moment."""
        from factory.events import Closed
        from factory.pace.sentence import sentence
        from factory.views.documents import limits_of
        from factory.views.panel import Scene

        line, last = self._meter.line, self._last
        if line is None or last is None:
            raise Complaint(f"run {self.run} holds nothing", code=7, hint="factory doctor")
        alive = is_alive(self._where, self._ledger, last)
        ended = isinstance(last.event, Closed)
        if self._fresh and (ended or now - self._said >= _STALE):
            pace = self._meter.read(now if alive else last.at)
            limits = limits_of(pace, len(self._history))
            self._sentence = sentence(pace, limits, over=ended)
            self._said, self._fresh = now, False
        return Scene(
            line=line,
            now=now if alive else last.at,
            sentence=self._sentence,
            alive=alive,
            ended=ended,
        )


class _Watch:
    """The full-screen view at work: it reads the ledger, draws, and posts what keys ask for."""

    def __init__(
        self, where: "Repository", ledger: "Ledger", run: "RunId", screen: "Screen"
    ) -> None:
        from factory.views.panel import Panel

        self._where, self._ledger, self._screen = where, ledger, screen
        self._run = _Run(where, ledger, run)
        self._run.look()
        self._scene = self._run.scene(time.time())
        self._panel = Panel()
        self._text: Text | None = None
        self._sight: Sight | None = None

    def run(self) -> None:
        """Show the run until a person leaves."""
        from factory.views.fullscreen import FullScreen

        keys: list[Key] = []
        drawn, size = 0.0, (0, 0)
        with FullScreen(sys.stdin.fileno(), sys.stdout.fileno()) as full:
            while True:
                new = self._run.look()
                grown = self._text is not None and self._text.more(self._scene.line)
                now = time.monotonic()
                if new or grown or keys or full.size != size or now - drawn >= _STALE:
                    self._scene = self._run.scene(time.time())
                    drawn, size = now, full.size
                    self._draw(full)
                keys = full.read(GLANCE)
                for key in keys:
                    if not self._press(key, full):
                        return

    def _draw(self, full: "FullScreen") -> None:
        from factory.views import panel

        width, height = full.size
        page = self._panel.page
        if page is None:
            jobs = tuple(work.job.id for work in panel.shown(self._scene.line, self._panel.words))
            self._sight = panel.Sight(jobs=jobs, room=panel.room(height))
            strips = panel.picture(self._scene, self._panel, width=width, height=height)
            full.paint(self._screen.strips(strips, width))
            return
        text, room = self._opened(page), panel.room(height, page=True)
        length = text.length(self._screen, width)
        options, last = text.actions
        self._sight = panel.Sight(jobs=(), room=room, length=length, options=options, last=last)
        end = max(0, length - room)
        top = end if page.follow else min(page.top, end)
        around = panel.frame(self._panel, text.title(top, room), width)
        title, asks, keys = self._screen.strips(around, width)
        shown = text.window(self._screen, top, room)
        full.paint([title, *shown, *[""] * (room - len(shown)), asks, keys])

    def _opened(self, page: "Page") -> Text:
        """Give the text of a page, read when it was opened."""
        if self._text is None or self._text.key != (page.kind, page.job):
            self._text = Text(self._where, self._ledger, self._run.run, page)
            self._text.more(self._scene.line)
        return self._text

    def _press(self, key: "Key", full: "FullScreen") -> bool:
        """Do what a key asks for; say whether the view goes on."""
        from factory.views import panel

        if key.name == "redraw":
            full.repaint()
            return True
        if self._sight is None:
            return True
        self._panel, wish = panel.press(self._panel, key, self._sight)
        if self._panel.page is None:
            self._text = None
        self._draw(full)  # the next key is pressed over what is seen then
        match wish:
            case panel.Leave():
                return False
            case panel.Post():
                self._panel = replace(self._panel, said=self._posted(wish))
            case None:
                pass
        return True

    def _posted(self, wish: "Post") -> str:
        """Leave the letter that is wished for, and say what becomes of it."""
        from factory.config.mistakes import ConfigErrors
        from factory.ledger import LedgerError

        line = self._scene.line
        if wish.kind == "pause" and line.paused and not self._scene.alive:
            return f"nobody works on it: factory resume {line.run}"
        try:
            letter = self._letter(wish, line)
            post(self._ledger.path, line.run, letter)
        except Complaint as complaint:
            return f"{complaint.what}; {complaint.hint}"
        except (LedgerError, ConfigErrors) as error:
            return str(error)
        return promise(letter, line.run, active=self._scene.alive)

    def _letter(self, wish: "Post", line: "Line") -> "Letter":
        from factory.ledger import Letter

        match wish.kind:
            case "pause":
                return Letter(kind="resume" if line.paused else "pause")
            case "apply" | "undo":
                _, _, seen, _ = read_balance(here({}), self._ledger, line.run)
                return letter_of(line, seen, wish.kind, wish.text)
            case _:
                return Letter(kind=wish.kind, job=wish.job, text=wish.text)
