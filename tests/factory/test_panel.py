"""The full-screen view as values: keys in, states and lines out, drawn on a simulated terminal."""

import io
from dataclasses import replace

import pyte
import pytest

from factory.views.keys import Key, parsed
from factory.views.panel import (
    Confirm,
    Leave,
    Page,
    Panel,
    Post,
    Prompt,
    Scene,
    Sight,
    frame,
    picture,
    press,
    room,
    shown,
)
from factory.views.screen import Cell, Screen, Strip, Terminal, folded
from stations.contract import Escalated, Failed
from tests.factory.planted import Tale, job
from worktrees.names import JobId

HOSTILE = "x\x1b[2J\x1b[1;1H\x9b5m\r\n> fake  api  landed\u202e\x07 \u6f22\u5b57"
SIGHT = Sight(jobs=tuple(JobId(f"job-{n:02}") for n in range(50)), room=14)


def crowd() -> Tale:
    """Give a run of 50 jobs with some in every place, and an agent that writes to the terminal."""
    tale = Tale(*(job(f"job-{n:02}", title=f"{HOSTILE} {n}") for n in range(50)), seats=4)
    for n in range(12):
        name = f"job-{n:02}"
        if n % 4 == 1:
            tale.finish(name, Failed(fault=HOSTILE, tail=f"E   {HOSTILE}"))
        elif n % 4 == 2:
            tale.finish(name, Escalated(reason=HOSTILE))
        else:
            tale.done(name).compose().test().compose(known=True).land()
    return tale


def scene(tale: Tale, **more: object) -> Scene:
    """Give what is known of a run that goes on."""
    known = Scene(
        line=tale.line,
        now=tale.at + 60,
        sentence="tests limits the line: at most 15.4 changes/h, P 0.94; without it 23.4/h "
        "(12 jobs landed)",
        alive=True,
        ended=False,
    )
    return replace(known, **more)  # type: ignore[arg-type]  # fields of the scene


def drawn(given: Scene, panel: Panel, width: int, height: int) -> list[str]:
    """Give what a terminal of this size shows."""
    strips = picture(given, panel, width=width, height=height)
    screen = Screen(io.StringIO(), Terminal(tty=True, color=True, animate=True))
    seen = pyte.Screen(width, height)
    stream = pyte.Stream(seen)
    for row, line in enumerate(screen.strips(strips, width), start=1):
        stream.feed(f"\x1b[{row};1H{line}")
    return [line.rstrip() for line in seen.display]


def pressed(panel: Panel, *keys: str, sight: Sight = SIGHT) -> tuple[Panel, list[object]]:
    """Press keys one after the other; give the view and all wishes."""
    wishes: list[object] = []
    for key in keys:
        typed = Key("char", key) if len(key) == 1 else Key(key)
        panel, wish = press(panel, typed, sight)
        wishes += [] if wish is None else [wish]
    return panel, wishes


@pytest.mark.parametrize(("width", "height"), [(80, 24), (200, 50), (40, 12)])
def test_fifty_jobs_fit_and_the_keys_stay_in_sight(width: int, height: int) -> None:
    """Constraint, counts, head, as many rows as fit, position, busy seats, keys: no more."""
    tale = crowd()

    lines = drawn(scene(tale), Panel(), width, height)

    assert len(picture(scene(tale), Panel(), width=width, height=height)) == height
    assert lines[0].startswith("tests limits the line")
    assert lines[2].startswith("run r1 onto main")
    assert sum(line.startswith(("  job-", "> job-")) for line in lines) == min(50, room(height))
    assert lines[-1].startswith("j/k move")
    if height < 50:
        assert lines[3].endswith(f"1-{room(height)} of 50")


def test_a_tiny_window_is_no_fault() -> None:
    """Whatever size a window is dragged to, something of it is drawn."""
    tale = crowd()

    for width, height in ((1, 1), (5, 3), (14, 11), (10, 80)):
        assert len(drawn(scene(tale), Panel(words="job"), width, height)) == height


def test_what_agents_wrote_moves_no_cursor_and_fakes_no_row() -> None:
    """Titles, questions and faults with escape sequences stay text, each on its own line."""
    tale = crowd()
    strips = picture(scene(tale), Panel(), width=80, height=24)
    screen = Screen(io.StringIO(), Terminal(tty=True, color=False))

    raw = screen.strips(strips, 80) + screen.strips([Strip(((Cell(HOSTILE), 0),))], 80)
    raw += folded(HOSTILE, 80) + screen.painted([Cell(HOSTILE)], 80)

    assert not any(ord(char) < 32 or 127 <= ord(char) < 160 for line in raw for char in line)
    lines = drawn(scene(tale), Panel(), 80, 24)
    assert sum(line.startswith("> ") for line in lines) == 1
    assert not any(line.startswith("> fake") for line in lines)
    assert [line[:8] for line in lines[5:8]] == ["> job-02", "  job-06", "  job-10"]
    assert folded("\u6f22" * 50, 80) == ["\u6f22" * 40, "\u6f22" * 10]


def test_the_chosen_job_stays_in_sight_and_chosen_when_others_move() -> None:
    """Keys move through all 50 jobs; the choice is a job, not a row."""
    tale = crowd()
    jobs = tuple(work.job.id for work in shown(tale.line, ""))
    panel, _ = pressed(Panel(), "G", sight=replace(SIGHT, jobs=jobs))
    assert panel.chosen == jobs[-1]
    assert any(line.startswith(f"> {jobs[-1]}") for line in drawn(scene(tale), panel, 80, 24))

    moved = replace(SIGHT, jobs=jobs[::-1])
    panel, _ = pressed(panel, "j", "k", sight=moved)

    assert panel.chosen == jobs[-1]


def test_a_kill_needs_a_yes_and_names_the_job() -> None:
    """K asks; only y posts the letter, for the job that was asked about."""
    asked, wishes = pressed(Panel(), "j", "K")
    assert isinstance(asked.asks, Confirm)
    assert asked.asks.question == "kill job-01?"
    assert wishes == []

    assert pressed(asked, "n")[1] == []
    assert pressed(asked, "enter")[1] == []
    assert pressed(asked, "K")[1] == []
    assert pressed(asked, "y")[1] == [Post(kind="kill", job=JobId("job-01"))]


def test_what_is_typed_and_pasted_is_told_and_commands_nothing() -> None:
    """In a prompt letters are text; a paste is text there, lines and all, and nothing outside."""
    panel, wishes = pressed(Panel(), "t", *"Kill q")
    panel, _ = press(panel, Key("paste", "this\nq\nK y"), SIGHT)
    assert isinstance(panel.asks, Prompt)
    panel, told = pressed(panel, "backspace", "enter")
    assert wishes == []
    assert told == [Post(kind="tell", job=JobId("job-00"), text="Kill qthis q K")]

    assert press(Panel(), Key("paste", "Ky"), SIGHT)[1] is None
    assert pressed(Panel(), "t", "enter")[1] == []
    assert pressed(Panel(), "t", "x", "esc")[1] == []


def test_a_filter_shows_jobs_with_all_its_words() -> None:
    """Words are looked for in id, station, place and title while they are typed; escape ends it."""
    tale = crowd()
    panel, _ = pressed(Panel(), "/", *"needs-you 06")
    assert [work.job.id for work in shown(tale.line, panel.words)] == ["job-06"]
    assert any("only: needs-you 06" in line for line in drawn(scene(tale), panel, 80, 24))

    panel, _ = pressed(panel, "enter", "esc")

    assert panel.words == ""
    nothing, _ = pressed(Panel(), "/", *"zzz", "enter", "K", sight=replace(SIGHT, jobs=()))
    assert nothing.asks is None
    assert any("no job has these words" in line for line in drawn(scene(tale), nothing, 80, 24))


def test_every_key_asks_for_what_the_help_says() -> None:
    """Retry, pause, pages, leaving: each key gives its wish or its page."""
    assert pressed(Panel(), "r")[1] == [Post(kind="retry", job=JobId("job-00"))]
    assert pressed(Panel(), "p")[1] == [Post(kind="pause")]
    assert pressed(Panel(), "q")[1] == [Leave()]
    assert pressed(Panel(), "hangup")[1] == [Leave()]
    for key, kind in (("enter", "logs"), ("d", "diff"), ("b", "balance"), ("?", "help")):
        panel, wishes = pressed(Panel(), key)
        assert panel.page is not None
        assert panel.page.kind == kind
        assert wishes == []
        assert pressed(panel, "q")[0].page is None
    assert pressed(Panel(), "x")[0].said == "? shows the keys"


def test_a_page_scrolls_and_follows_its_end() -> None:
    """A log keeps its end in sight until somebody scrolls up, and again once at the end."""
    sight = Sight(jobs=(), room=20, length=100)
    panel = Panel(page=Page(kind="logs", job=JobId("a"), follow=True))
    up, _ = pressed(panel, "k", sight=sight)
    assert up.page == Page(kind="logs", job=JobId("a"), top=79)
    back, _ = pressed(up, " ", sight=sight)
    assert back.page is not None
    assert back.page.follow
    top, _ = pressed(up, "g", sight=sight)
    assert top.page is not None
    assert top.page.top == 0


def test_the_balance_applies_and_undoes_only_after_a_yes() -> None:
    """A digit is an option of the page, u the last change; anything beyond does nothing."""
    sight = Sight(jobs=(), room=20, length=10, options=("seats-tests-3",), last="2")
    panel = Panel(page=Page(kind="balance"))

    assert pressed(panel, "1", "y", sight=sight)[1] == [Post(kind="apply", text="seats-tests-3")]
    assert pressed(panel, "u", "y", sight=sight)[1] == [Post(kind="undo", text="2")]
    assert pressed(panel, "2", "y", sight=sight)[1] == []
    assert "apply" in frame(panel, "balance", 80)[2].fields[0][0].text


def test_keys_that_come_in_pieces_are_whole_keys() -> None:
    """An arrow, a letter of several bytes or a paste that is cut anywhere is still one key."""
    data = b"\x1b[A\x1bOB\xc3\xa9\x1b[200~K\ny\x1b[201~q\x1b[6~"
    whole = [
        *(Key("up"), Key("down"), Key("char", "\u00e9"), Key("paste", "K\ny")),
        *(Key("char", "q"), Key("pgdn")),
    ]
    for cut in range(len(data) + 1):
        first, rest = parsed(data[:cut])
        second, rest = parsed(rest + data[cut:])
        assert (first + second, rest) == (whole, b"")
    assert parsed(b"\x1b") == ([], b"\x1b")
    assert parsed(b"\x1b", late=True) == ([Key("esc")], b"")
    assert parsed(b"\x1b[99;5u\x1b]0;x") == (
        [Key("esc"), *(Key("char", each) for each in "]0;x")],
        b"",
    )
