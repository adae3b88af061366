"""What people see: golden screens at 80 columns, a board of 30 jobs, plain lines, harmless text."""

import io
import re
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from factory.planning import Forecast, JobPlan, Plan
from factory.settings import Environment
from factory.views import show
from factory.views.board import Board, Lines, laid_out
from factory.views.documents import (
    inbox_document,
    plan_document,
    report_document,
    runs_document,
    status_document,
)
from factory.views.screen import Cell, Column, Screen, Table, Terminal
from factory.views.story import Follower, why_document
from stations.contract import Escalated, Failed
from stations.sandbox import Finding
from tests.factory.line_sim import simulate
from tests.factory.planted import Tale, job, oid
from worktrees.names import JobId

HOSTILE = "\x1b[2J\x1b]0;owned\x07 [red]bold[/red] \u202edlrow\u2066 \x9b31m"
AROUND = Environment(
    path="",
    home=Path("/nonexistent"),
    config_dir=Path("/nonexistent"),
    state_dir=Path("/nonexistent"),
    failpoint="",
    ci=False,
    color=None,
    animate=True,
    columns=None,
)


class Tty(io.StringIO):
    """A terminal that remembers what was written to it."""

    def isatty(self) -> bool:
        return True


def drawn(draw: Callable[[Screen], None], *, width: int = 80) -> str:
    """Give what is drawn on a screen of this width, without the blanks at the ends of lines."""
    out = io.StringIO()
    draw(Screen(out, Terminal(columns=width)))
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def shop() -> Tale:
    """Give a run with a landed, a red, a strayed, a waiting, an asking and a running job."""
    tale = Tale(*(job(name) for name in ("cart", "price", "stock", "docs", "ci", "late")), seats=4)
    tale.done("cart", after=2).compose().test(after=3).compose(known=True).land()
    tale.done("price", after=1).compose().test(red="E   assert 3 == 4\n").compose()
    tale.test(red="E   assert 3 == 4\n")
    tale.finish("ci", Escalated(reason="a protected path", wants=(".github/**",), commit=oid("ci")))
    return tale


def many() -> Tale:
    """Give a run of 30 jobs in many states, some with long names."""
    names = [f"job-with-a-rather-long-name-{n}" if n % 5 == 0 else f"j{n}" for n in range(30)]
    tale = Tale(*(job(name) for name in names), seats=6)
    tale.done(names[0], after=3)
    tale.finish(names[1], Failed(fault="it broke", tail=f"E   assert 1 == 2 {HOSTILE}"))
    tale.finish(names[2], Escalated(reason="a protected path " * 9, commit=oid("x")))
    return tale.done(names[3]).compose().test().compose(known=True).land()


STATUS = """\
too early to say what limits the line: 1 job landed; api was busy longest, 52 s
over 4 seats
run r1 onto main: 1 waiting for you, 3 at work, 1 dead, 1 landed

JOB    STATION  WHERE
ci     api      waits for you: a protected path
stock  api      attempt 1 at api for 13 s
docs   api      attempt 1 at api for 13 s
late   api      attempt 1 at api for 5.0 s
price  api      gave up: its tests are red
                  E assert 3 == 4
cart   api      landed in 0f29c754bff9

STATION  SEATS   BUSY  WAITING   IDLE  VISITS   MEAN  P
api          4   52 s    0.0 s  0.0 s       6  7.0 s  -
gate         1  4.0 s    0.0 s  9.0 s       4  1.0 s  -
tests        1  5.0 s    0.0 s  8.0 s       3  1.7 s  -
you          1  0.0 s    0.0 s   13 s       1      -  -

factory inbox shows what waits for you

nobody works on this run now: factory resume r1"""

REPORT = """\
run r1 onto main: 1 waiting for you, 3 at work, 1 dead, 1 landed
13 s, 3.0 s of station time, 0 tokens, 0.00 USD
too early to say what limits the line: 1 job landed; api was busy longest, 52 s
over 4 seats

JOB    STATE    TRIES   TIME  WHAT
cart   landed       1  7.0 s  Do cart
price  dead         1   12 s  its tests are red
                                E assert 3 == 4
stock  waiting      1   13 s  Do stock
docs   waiting      1   13 s  Do docs
ci     waiting      1   13 s  a protected path
late   waiting      1   13 s  Do late

STATION  SEATS   BUSY  WAITING   IDLE  VISITS   MEAN  P
api          4   52 s    0.0 s  0.0 s       6  7.0 s  -
gate         1  4.0 s    0.0 s  9.0 s       4  1.0 s  -
tests        1  5.0 s    0.0 s  8.0 s       3  1.7 s  -
you          1  0.0 s    0.0 s   13 s       1      -  -"""

INBOX = """\
ci has waited 1 min 30 s: Do ci
  a protected path
  wants: .github/**
  look:   factory diff ci
  answer: factory tell ci yes
"""

WHY = """\
price: Do price
gave up: its tests are red
git: it is not in the target's history

AFTER  WHAT
0.0 s  placed    one of 6 jobs
0.0 s  started   attempt 1 at api from 1405df66cbe2 in workspace r1-1
8.0 s  finished  attempt 1 made a85f6a806c1b after 1.0 s
8.0 s  decided   has made a85f6a806c1b, which is on its way to land
9.0 s  merged    merged alone onto the target
 10 s  tested    red in 1.0 s by tests: price
                   E assert 3 == 4
 11 s  merged    merged alone onto the target
 12 s  tested    red in 1.0 s by tests: price
                   E assert 3 == 4
 12 s  decided   gave up: its tests are red"""

PLAN = """\
3 jobs in 2 rounds; order: 2 jobs must run one after the other (needs and
overlapping scopes)

ROUND  JOB  STATION  FILES  WHAT
    1  a    api          1  Do a
    2  b    api         12  Do b
                              after a
    -  c    api          0  Do c
                              refused: near-duplicate of a
warning: a: its brief is very short"""


def test_a_status_fits_80_columns_and_begins_with_the_constraint() -> None:
    """The whole status of a small run, failures in sight, as it is shown."""
    tale = shop()
    document = status_document(tale.line, tale.records(), now=tale.at, alive=False)

    assert drawn(lambda screen: show.status(document, screen)) == STATUS


def test_a_status_of_many_jobs_folds_what_is_done() -> None:
    """Above forty jobs those that landed are counted; what moves or failed keeps its row."""
    tale = Tale(*(job(f"j{n}") for n in range(42)), seats=1)
    tale.done("j0").compose().test().compose(known=True).land()
    tale.finish("j1", Failed(fault="it broke"))
    document = status_document(tale.line, tale.records(), now=tale.at, alive=True)

    said = drawn(lambda screen: show.status(document, screen))

    assert "and 1 job that landed or was withdrawn: factory report" in said
    assert "landed in" not in said
    assert "gave up: it broke" in said
    assert sum(line.startswith("j") for line in said.split("\n")) == 41


def test_a_report_tells_what_happened() -> None:
    """The whole report of a small run, as it is shown."""
    tale = shop()
    document = report_document(tale.line, tale.records())

    assert drawn(lambda screen: show.report(document, screen)) == REPORT


def test_the_inbox_shows_the_line_that_answers() -> None:
    """A question is shown with its age, what it wants, and the commands to look and to answer."""
    tale = shop()
    document = inbox_document([tale.line])

    said = drawn(lambda screen: show.inbox(document, screen, now=tale.at + 90))

    assert said == INBOX
    nothing = inbox_document([])
    assert drawn(lambda screen: show.inbox(nothing, screen, now=0)) == "nothing waits for you"


def test_why_shows_every_turn() -> None:
    """The whole story of a job that gave up, as it is shown."""
    tale = shop()
    document = why_document(tale.line, tale.records(), JobId("price"), now=tale.at, in_target=False)

    assert drawn(lambda screen: show.why(document, screen)) == WHY


def test_a_plan_shows_rounds_and_warnings() -> None:
    """The whole plan of three jobs, as it is shown."""
    planned = [
        JobPlan(job=each, files=files, wave=wave, waits_for=(), overlaps=(), tokens=2)
        for each, files, wave in ((job("a"), 1, 1), (job("b"), 12, 2), (job("c"), 0, 0))
    ]
    after = replace(planned[1], waits_for=(JobId("a"),))
    copy = replace(planned[2], refused="near-duplicate of a")
    document = plan_document(
        Plan(
            jobs=(planned[0], after, copy),
            waves=2,
            warnings=("a: its brief is very short",),
            constraint="order: 2 jobs must run one after the other (needs and overlapping scopes)",
        )
    )

    assert drawn(lambda screen: show.plan(document, screen)) == PLAN


FORECASTS = """\
JOB  MODEL                           CONTEXT   WHOLE             USD
a    claude-sonnet-5-5 (sdk:medium)      771  58,000  0.0184 to 0.59
b    mine-1 (sdk:own)                    771  58,000         unknown
context: tokens before the agent reads a file; whole: with the whole repository
in it; USD: one attempt
in all, for one attempt each: 20 to 60 tokens, 0.0184 to 0.59 USD, and 1 of
unknown cost
"""


def test_a_plan_shows_what_models_would_be_asked_for() -> None:
    """Each job has its model, its context beside the whole repository's, and a range of dollars."""
    seen = Forecast(
        runtime="sdk",
        tier="medium",
        model="claude-sonnet-5-5",
        context=771,
        whole=58_000,
        tokens=(10, 30),
        dollars=(Decimal("0.0184"), Decimal("0.5885")),
    )
    own = replace(seen, tier="own", model="mine-1", dollars=None)
    planned = tuple(
        JobPlan(job=each, files=1, wave=1, waits_for=(), overlaps=(), tokens=2, forecast=forecast)
        for each, forecast in ((job("a"), seen), (job("b"), own), (job("c"), None))
    )
    document = plan_document(Plan(jobs=planned, waves=1, warnings=(), constraint="nothing to do"))

    shown = drawn(lambda screen: show.plan(document, screen))

    assert shown.endswith(f"\n{FORECASTS.rstrip()}")


def test_findings_say_what_is_wrong_and_what_to_do() -> None:
    """Checks of a machine are shown one below the other, what failed marked."""
    found = [
        Finding(name="outside the scope", ok=True, detail="refused"),
        Finding(name="network", ok=False, detail="a connection was made: install bubblewrap"),
    ]

    assert drawn(lambda screen: show.findings(found, screen)) == (
        "    CHECK              FOUND\n"
        "ok  outside the scope  refused\n"
        "NO  network            a connection was made: install bubblewrap"
    )


def test_all_runs_are_a_line_each() -> None:
    """`status --all` says of every run how it stands and whether somebody works on it."""
    tale = shop()
    document = runs_document([(tale.line, tale.records(), True)])

    assert drawn(lambda screen: show.runs(document, screen), width=120) == (
        "run r1 onto main: 1 waiting for you, 3 at work, 1 dead, 1 landed (13 s, at work now)"
    )
    assert drawn(lambda screen: show.runs(runs_document([]), screen)) == "no run yet"


@pytest.mark.parametrize("height", [24, 40, 60])
def test_a_board_of_30_jobs_fits_its_screen(height: int) -> None:
    """At 80 columns no line of the board is longer, and it is not higher than the screen."""
    line, now = many().line, 2000.0

    said = drawn(
        lambda screen: screen.show(
            *laid_out(line, now, sentence="x " * 90, width=80, height=height)
        )
    )

    lines = said.split("\n")
    assert max(map(len, lines)) <= 80
    assert len(lines) < height
    assert all(str(n) in said for n in (4, 6, 7, 8, 9))


def test_a_folded_board_shows_who_asks_runs_and_failed_first() -> None:
    """On a small screen the asking, running and failed jobs have rows; the rest is counted."""
    line = many().line

    lines = drawn(
        lambda screen: screen.show(*laid_out(line, 2000.0, sentence="", width=80, height=24))
    ).split("\n")

    first = lines.index(next(text for text in lines if text.startswith("JOB"))) + 1
    assert lines[first].startswith("j2 ")
    assert all("attempt 1 at api" in text for text in lines[first + 1 : first + 7])
    assert "gave up: E assert 1 == 2" in lines[first + 7]
    assert any(re.match(r"and \d+ waiting: .* and \d+ more", text) for text in lines)
    folded = sum(int(found[1]) for text in lines if (found := re.match(r"and (\d+) ", text)))
    rows = next(n for n, text in enumerate(lines[first:]) if text.startswith("and "))
    assert rows + folded == 30


def test_a_board_shows_every_simulated_moment() -> None:
    """Whatever state a line is in, the board can be drawn and fits 80 columns."""
    for seed in range(3):
        follower, tale = Follower(), Tale()
        tale.book = simulate(seed).book
        for made in tuple(follower.more(tale.records()))[::3]:
            parts = laid_out(made.line, made.record.at, sentence="", width=80, height=24)
            said = drawn(lambda screen, parts=parts: screen.show(*parts))  # type: ignore[misc]
            assert max(map(len, said.split("\n"))) <= 80


def test_the_board_is_drawn_in_place_on_a_terminal() -> None:
    """On a terminal the board hides the cursor, draws what it was told, and gives it back."""
    out, tale, follower = Tty(), shop(), Follower()
    screen = Screen(out, Terminal(tty=True, animate=True, columns=80))

    with Board(screen, now=lambda: tale.at) as board:
        for made in follower.more(tale.records()):
            board.watch(made.line, made.record.event, made.record.at)

    said = out.getvalue()
    assert said.startswith("\x1b[?25l")
    assert said.rstrip().endswith("\x1b[?25h")
    assert "attempt 1 at api" in said
    assert "too early to say what limits the line: 1 job landed" in said


def test_a_board_knows_what_was_before_it_looked() -> None:
    """A board that is opened in the middle of a run measures from the run's beginning."""
    tale = shop()
    screen = Screen(io.StringIO(), Terminal(columns=80))

    board = Board(screen, now=lambda: tale.at, history=tale.book)

    said = drawn(lambda out: out.show(*board.draw()))
    assert "run r1 onto main: 1 waiting for you, 3 at work, 1 dead, 1 landed" in said
    assert drawn(lambda out: out.show(*Board(screen, now=lambda: 0.0).draw())) == (
        "preparing the line"
    )


def test_plain_lines_tell_each_thing_once_with_its_station() -> None:
    """Without a terminal every meaningful event is one line: when, who, what."""
    tale, out = shop(), io.StringIO()
    lines = Lines(Screen(out, Terminal()))

    with lines:
        for made in Follower().more(tale.records()):
            lines.watch(made.line, made.record.event, made.record.at)

    said = [text.rstrip() for text in out.getvalue().splitlines()]
    assert said[:3] == [
        "    0.0 s  line           run r1 onto main from 1405df66cbe2",
        "    0.0 s  line           6 jobs placed: cart, price, stock, docs, ci, late",
        "    0.0 s  api            cart begins attempt 1",
    ]
    assert said[-6:] == [
        "     10 s  tests            E assert 3 == 4",
        "     12 s  tests          red in 1.0 s by tests: price",
        "     12 s  tests            E assert 3 == 4",
        "     12 s  api            price gave up: its tests are red",
        "     12 s  api              E assert 3 == 4",
        "     13 s  you            ci waits for you: a protected path",
    ]
    assert sum("landed in" in text for text in said) == 1


@pytest.mark.parametrize(
    ("stream", "around", "view"),
    [
        (Tty(), AROUND, Board),
        (Tty(), replace(AROUND, animate=False), Lines),
        (io.StringIO(), AROUND, Lines),
    ],
)
def test_only_a_terminal_that_may_be_animated_gets_a_board(
    stream: io.StringIO,
    around: Environment,
    view: type[Board] | type[Lines],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In CI, on a dumb terminal and in a pipe progress is plain lines."""
    monkeypatch.setattr("sys.stderr", stream)

    with show.progress(around, quiet=False) as watch:
        assert isinstance(watch.__self__, view)  # type: ignore[attr-defined]  # a bound method


def test_quiet_progress_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """With `--json` nothing is drawn at all."""
    tale = shop()

    with show.progress(AROUND, quiet=True) as watch:
        watch(tale.line, tale.book[0][0], tale.at)

    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("terminal", "begins"),
    [
        (Terminal(tty=True), "\x1b["),
        (Terminal(tty=True, color=False), "landed"),
        (Terminal(color=True), "\x1b["),
        (Terminal(), "landed"),
    ],
)
def test_colour_is_for_terminals_unless_refused_or_forced(terminal: Terminal, begins: str) -> None:
    """NO_COLOR takes colour from a terminal, FORCE_COLOR gives it to a pipe."""
    out = io.StringIO()

    Screen(out, terminal).show(Cell("landed", "good"))

    assert out.getvalue().startswith(begins)


def test_the_environment_cannot_reach_the_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what `settings` read counts: variables that rich would look at change nothing."""
    for name, value in (("FORCE_COLOR", "1"), ("COLUMNS", "200"), ("TERM", "xterm-256color")):
        monkeypatch.setenv(name, value)
    out = io.StringIO()
    screen = Screen(out, Terminal())

    screen.show(Cell("landed", "good"))

    assert out.getvalue() == "landed\n"
    assert screen.width == 80


def test_a_pipe_gets_whole_lines() -> None:
    """A line of text that goes to a file is not broken at 80 columns, so it can be searched."""
    out = io.StringIO()

    Screen(out, Terminal()).show(Cell("x" * 200))

    assert out.getvalue() == "x" * 200 + "\n"


def test_hostile_text_cannot_style_move_or_turn_the_screen() -> None:
    """Escape sequences, markup and bidirectional controls of an agent are shown, not obeyed."""
    table = Table((Column("WHAT", wide=True),), ((Cell(HOSTILE),),))

    said = drawn(lambda screen: screen.show(Cell(HOSTILE), table))

    assert "\x1b" not in said
    assert "\x07" not in said
    assert "\x9b" not in said
    assert "\u202e" not in said
    assert "\u2066" not in said
    assert said.count("[red]bold[/red]") == 2
    assert said.count("\\x1b[2J\\x1b]0;owned\\x07") == 2


def test_every_view_of_hostile_jobs_is_harmless() -> None:
    """No view of a run whose every text is hostile lets a control character through."""
    tale = Tale(job("a", title=HOSTILE), job("b", title=HOSTILE), job("c", title=HOSTILE))
    tale.finish("a", Failed(fault=HOSTILE, tail=HOSTILE))
    tale.finish("b", Escalated(reason=HOSTILE, wants=(HOSTILE,), commit=oid("b")))
    records, now = tale.records(), tale.at
    story = why_document(tale.line, records, JobId("a"), now=now, in_target=None)
    out = io.StringIO()
    lines = Lines(Screen(out, Terminal()))
    for made in Follower().more(records):
        lines.watch(made.line, made.record.event, made.record.at)

    status = status_document(tale.line, records, now=now, alive=True)
    said = out.getvalue() + drawn(
        lambda screen: (
            show.status(status, screen),
            show.report(report_document(tale.line, records), screen),
            show.inbox(inbox_document([tale.line]), screen, now=now),
            show.why(story, screen),
            screen.show(*laid_out(tale.line, now, sentence="", width=80, height=24)),
        )[0]
    )

    assert all(char.isprintable() or char == "\n" for char in said)
    assert "owned" in said
