"""`factory watch` by a person at a real terminal: a pty, and a screen that shows what was drawn."""

import os
import re
import signal
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from factory.events import Closed
from factory.ledger import Ledger, Letter
from stations.contract import Escalated, Failed
from tests.factory.planted import Tale, job, plant
from tests.run import ROOT, run
from tests.terminal import Terminal, terminal
from worktrees.git import Repository
from worktrees.names import JobId, Oid, RunId

ALTERNATE, BACK = b"\x1b[?1049h", b"\x1b[?1049l"


@pytest.fixture
def tale(repository: Repository, base: Oid) -> Tale:
    """Give a run of 50 jobs: one asks, one gave up and left a log, many wait."""
    found = Tale(*(job(f"job-{n:02}") for n in range(50)), base=base, seats=3)
    found.finish("job-00", Escalated(reason="may I?"))
    found.finish("job-01", Failed(fault="it broke", tail="E   assert 1 == 2"))
    plant(repository, "r1", found.book)
    log = repository.factory / "runs" / "r1" / "job-01" / "1" / "output.log"
    log.parent.mkdir(parents=True)
    log.write_text("".join(f"line {n}\x1b[2J\n" for n in range(60)))
    return found


@contextmanager
def watching(
    repository: Repository, *, columns: int = 80, lines: int = 24, **env: str
) -> Iterator[Terminal]:
    """Type `factory watch` in the repository."""
    assert repository.checkout is not None
    around = {"PYTHONPATH": str(ROOT), "PYTHONSAFEPATH": "1", **env}
    argv = [sys.executable, "-m", "factory", "watch"]
    with terminal(argv, cwd=repository.checkout, env=around, columns=columns, lines=lines) as seen:
        yield seen


def letters(repository: Repository) -> list[Letter]:
    """Give what was left for the floor."""
    with Ledger(path(repository)) as ledger:
        return [letter for _, letter in ledger.letters(RunId("r1"))]


def path(repository: Repository) -> Path:
    """Give where the ledger is."""
    return repository.factory / "ledger.sqlite"


def test_a_person_acts_on_jobs_and_gets_the_terminal_back(
    repository: Repository, tale: Tale
) -> None:
    """Each key leaves its command's letter, without colour too; q gives the terminal back."""
    with watching(repository, NO_COLOR="1") as seen:
        before = seen.mode
        seen.sees("too early to say", "> job-00", "waits for you: may I?", "q quit")
        assert len(seen.lines) == 24
        seen.type("t")
        seen.sees("tell job-00:")
        seen.type("yes\r")
        seen.sees("tell job-00: noted; it takes effect with `factory resume r1`")
        seen.type("/job-01\r")
        seen.sees("only: job-01", "E assert 1 == 2")
        seen.type("r")
        seen.sees("retry job-01: noted")
        seen.type("\r")
        seen.sees("logs of job-01, attempt 1", "line 59\\x1b[2J", "q back")
        seen.type("g")
        seen.sees("line 0\\x1b[2J")
        seen.type("q")
        seen.sees("> job-01", "q quit")
        seen.type("\x1b")
        seen.sees("of 50")
        seen.type("K")
        seen.sees("kill job-01? y does it")
        seen.type("y")
        seen.sees("kill job-01: noted")
        seen.type("p")
        seen.sees("pause all jobs: noted")
        seen.resize(200, 50)
        seen.sees("job-37")
        seen.until(lambda: seen.lines[49].startswith("j/k move"), "the keys in line 50")
        known = len(tale.book)
        tale.finish("job-02", Failed(fault="one more"))
        plant(repository, "r1", tale.book[known:])
        seen.sees("gave up: one more")
        seen.type("b")
        seen.sees("balance", "[pace] mode = suggest", "1-9 apply")
        plant(repository, "r1", [(Closed(exit=1), tale.at + 1)])
        seen.type("q")
        seen.sees("this run has ended; q leaves")
        seen.type("q")

        assert seen.ended() == 1
        assert seen.mode == before
        assert seen.raw.count(ALTERNATE) == seen.raw.count(BACK) == 1
        assert b"\x1b[?25h" in seen.raw[seen.raw.rindex(BACK) - 40 :]
        assert not re.search(rb"\x1b\[[0-9;]*(3[0-7]|9[0-7])m", seen.raw)
        assert b"run r1 onto main" in seen.raw[seen.raw.rindex(BACK) :]

    assert letters(repository) == [
        Letter(kind="tell", job=JobId("job-00"), text="yes"),
        Letter(kind="retry", job=JobId("job-01")),
        Letter(kind="kill", job=JobId("job-01")),
        Letter(kind="pause"),
    ]


@pytest.mark.usefixtures("tale")
@pytest.mark.parametrize("end", ["ctrl-c", "crash"])
def test_however_it_ends_the_terminal_is_as_it_was(repository: Repository, end: str) -> None:
    """After Ctrl-C and with a ledger that breaks the modes are back, the reason readable."""
    with watching(repository) as seen:
        before = seen.mode
        seen.sees("q quit")
        assert seen.mode != before
        if end == "ctrl-c":
            seen.type(b"\x03")
        else:
            with closing(sqlite3.connect(path(repository), isolation_level=None)) as db:
                db.execute("INSERT INTO events (run, at, body) VALUES ('r1', 1, 'no event')")

        code = seen.ended()

        assert code == {"ctrl-c": 130, "crash": 7}[end]
        assert seen.mode == before
        assert BACK in seen.raw
        after = seen.raw[seen.raw.rindex(BACK) + len(BACK) :]
        said = {"ctrl-c": b"interrupted", "crash": b"ledger.sqlite"}[end]
        assert said in after
        assert b"\x1b" not in after
    assert letters(repository) == []


@pytest.mark.usefixtures("tale")
def test_ctrl_z_gives_the_terminal_back_until_it_goes_on(repository: Repository) -> None:
    """Stopped, the terminal is the shell's; then the picture is back, until a polite kill."""
    with watching(repository) as seen:
        before = seen.mode
        seen.sees("q quit")
        seen.type(b"\x1a")
        seen.until(lambda: BACK in seen.raw, "the shell's screen")
        stopped = f"/proc/{seen.child.pid}/stat"
        seen.until(lambda: run(["cut", "-d ", "-f3", stopped]).text == "T", "a stopped process")
        assert seen.mode == before

        os.kill(seen.child.pid, signal.SIGCONT)

        seen.until(lambda: seen.raw.count(ALTERNATE) == 2, "the picture")
        seen.sees("> job-00", "q quit")
        os.kill(seen.child.pid, signal.SIGTERM)
        assert seen.ended() == -signal.SIGTERM
        assert seen.raw.count(BACK) == 2
        assert seen.mode == before


@pytest.mark.soak
def test_without_a_capable_terminal_it_prints_lines(repository: Repository, tale: Tale) -> None:
    """TERM=dumb gets no escape sequence at all, and the view ends by itself with the run."""
    plant(repository, "r1", [(Closed(exit=1), tale.at + 1)])

    with watching(repository, TERM="dumb") as seen:
        assert seen.ended() == 1

        assert b"\x1b" not in seen.raw
        assert "run r1 onto main" in seen.text or b"run r1 onto main" in seen.raw
