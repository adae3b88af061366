"""Finds what a command is about: the repository, its ledger, a run, a job; complains by name."""

import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from factory.complaint import Complaint

if TYPE_CHECKING:
    from factory.ledger import Ledger, Record
    from factory.line import Line
    from worktrees.git import Repository
    from worktrees.names import JobId, RunId

GLANCE: Final = 0.25
"""Seconds between two looks at a ledger that another process writes."""


def repository() -> "Repository":
    """Give the repository of the current directory."""
    from factory.settings import environment
    from worktrees.git import open_repository

    return open_repository(Path.cwd(), user={"HOME": str(environment().home)})


def ledger_of(where: "Repository") -> "Ledger":
    """Give the ledger, open for reading; complain when nothing ever ran here."""
    from factory.ledger import Ledger

    path = where.factory / "ledger.sqlite"
    if not path.exists():
        raise Complaint(
            f"no run yet in {where.checkout or where.common}", hint='start one: factory run "..."'
        )
    return Ledger(path, read_only=True)


def run_of(ledger: "Ledger", name: str | None) -> "RunId":
    """Give the run of that name, the newest one without a name."""
    runs = ledger.runs()
    if not runs:
        raise Complaint("no run yet in this repository", hint='start one: factory run "..."')
    if name is None:
        return runs[-1]
    for run in runs:
        if run == name:
            return run
    raise Complaint(f"there is no run {name!r}", hint=meant(name, runs, "factory status --all"))


def read_run(ledger: "Ledger", run: "RunId") -> "tuple[Line, tuple[Record, ...]]":
    """Give a run's line with the records that made it."""
    from factory.line import replay

    records = tuple(ledger.records(run))
    if not records:
        raise Complaint(f"run {run} holds nothing", code=7, hint="factory doctor")
    return replay((record.event, record.at) for record in records), records


def line_of(ledger: "Ledger", run: "RunId") -> "Line":
    """Give a run's line."""
    line, _ = read_run(ledger, run)
    return line


def job_of(ledger: "Ledger", name: str, run: str | None = None) -> "tuple[Line, JobId]":
    """Give the job of that id with its line: of the run that is named, else the newest with it."""
    runs = ledger.runs() if run is None else (run_of(ledger, run),)
    known: list[str] = []
    for each in reversed(runs):
        line = line_of(ledger, each)
        for job in line.jobs:
            if job == name:
                return line, job
        known += line.jobs
    where = "any run of this repository" if run is None else f"run {run}"
    raise Complaint(
        f"there is no job {name!r} in {where}", hint=meant(name, known, "factory status")
    )


def meant(word: str, known: Iterable[str], command: str) -> str:
    """Give the hint for a name that is not known: the nearest one, and who lists them all."""
    from difflib import get_close_matches

    near = get_close_matches(word, list(known), n=1, cutoff=0.5)
    guess = f"did you mean {near[0]!r}? " if near else ""
    return f"{guess}{command} lists them"


def is_alive(where: "Repository", ledger: "Ledger", last: "Record") -> bool:
    """Say whether a process works on the run whose last record this is.

    It holds the repository, and this run had the ledger's last word.
    """
    from factory.events import Closed

    if isinstance(last.event, Closed) or next(ledger.records(after=last.seq), None) is not None:
        return False
    return alive(where)


def at_work(where: "Repository", ledger: "Ledger", run: "RunId") -> bool:
    """Say whether a process works on this run now."""
    records = tuple(ledger.records(run))
    return bool(records) and is_alive(where, ledger, records[-1])


def alive(where: "Repository") -> bool:
    """Say whether a process works on a run of this repository."""
    from worktrees.lock import owner_lock

    owner = owner_lock(where.factory)
    if not owner.path.exists():
        return False
    free = owner.try_acquire()
    if free:
        owner.release()
    return not free


def following(where: "Repository", ledger: "Ledger", run: "RunId") -> Iterator[None]:
    """Give a turn to look whenever something may be new, and a last one when the run has ended."""
    pause = threading.Event()
    seq, over = 0, False
    while not over:
        last: Record | None = None
        for last in ledger.records(run, after=seq):
            seq = last.seq
        over = not alive(where) if last is None else not is_alive(where, ledger, last)
        yield
        if not over:
            pause.wait(GLANCE)
