"""Draws the documents for people: one screen each, readable at 80 columns, failures in sight."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final, Protocol, TextIO

from factory.events import Event, Noted
from factory.line import Line
from factory.pace.values import SPAWN
from factory.reviews import FOUND_GOOD
from factory.settings import Environment, environment
from factory.views.board import Board, Lines
from factory.views.rows import (
    ORDER,
    between,
    forecast_total,
    headline,
    per_model,
    spent,
    worker,
)
from factory.views.schemas import (
    ForecastRow,
    InboxDocument,
    PlanDocument,
    ReportDocument,
    RunsDocument,
    StationRow,
    StatusDocument,
    StatusJob,
    WhyDocument,
)
from factory.views.screen import PLACES, Cell, Column, Part, Screen, Style, Table, Terminal
from factory.wording import clean, count, cut, listed, masked, span

_ID: Final = 26
_MANY: Final = 40
BUDGET: Final = "budget"
"""What a note about spent money or tokens is called."""
_DONE: Final = frozenset({"landed", "proposed", "withdrawn"})

Watch = Callable[[Line, Event, float], None]


class Finding(Protocol):
    """What a check found: of `doctor`, or of a sandbox that was proved."""

    @property
    def name(self) -> str:
        """Say what was looked at."""
        ...

    @property
    def ok(self) -> bool:
        """Say whether it is as it must be."""
        ...

    @property
    def detail(self) -> str:
        """Say what was found, and what to do about it."""
        ...


def screen_on(stream: TextIO, around: Environment | None = None) -> Screen:
    """Give a screen on a stream, as the environment wants it."""
    known = around or environment()
    terminal = Terminal(
        tty=stream.isatty(), color=known.color, animate=known.animate, columns=known.columns
    )
    return Screen(stream, terminal)


@contextmanager
def progress(
    around: Environment, *, quiet: bool, history: Iterable[tuple[Event, float]] = ()
) -> Iterator[Watch]:
    """Give what a floor tells its events: a board on a terminal, else lines, on standard error."""
    screen = screen_on(sys.stderr, around)
    if quiet:
        yield _warning(screen)
        return
    if screen.animated:
        with Board(screen, now=time.time, history=history) as board:
            yield board.watch
    else:
        with Lines(screen, history=history) as lines:
            yield lines.watch


def _warning(screen: Screen) -> Watch:
    """Give what tells only what nobody must miss, also where nothing but a document is wanted."""

    def watch(_line: Line, event: Event, _now: float) -> None:
        if isinstance(event, Noted) and event.what == BUDGET:
            screen.show(Cell(f"factory: {clean(masked(event.text))}", "warn"))

    return watch


def status(document: StatusDocument, screen: Screen | None = None) -> None:
    """Show where everything is: the constraint first, failures with their first lines."""
    _out(screen).show(*status_parts(document))


def status_parts(document: StatusDocument) -> list[Part]:
    """Give the parts of a status: sentence, headline, jobs, stations, what to do next."""
    parts: list[Part] = [
        Cell(document["sentence"], "strong"),
        Cell(headline(document["run"], document["target"], document["counts"])),
    ]
    if document["spend"]["calls"]:
        parts.append(Cell(f"so far: {spent(document['spend'])}"))
    if document["suggestion"] is not None:
        parts.append(Cell(document["suggestion"], "good"))
    if document["alive"] and document["lead"] is not None and document["rest"]:
        lead, rest = span(document["lead"]), span(document["rest"])
        parts.append(Cell(f"about {rest} more; a job that begins now takes about {lead}", "dim"))
    if document["closing"] is not None:
        parts.append(Cell(f"closing: {document['closing']}", "warn"))
    elif document["paused"]:
        parts.append(Cell("paused: factory resume lets it go on", "warn"))
    parts += [Cell(f"not delivered: {why}", "warn") for why in document["undelivered"]]
    jobs = sorted(document["jobs"], key=lambda job: ORDER.index(job["place"]))
    # On one screen what still moves or failed matters more than what is done.
    rows = jobs if len(jobs) <= _MANY else [job for job in jobs if job["place"] not in _DONE]
    parts += [Cell(""), job_table(rows)]
    if len(rows) < len(jobs):
        ended = count(len(jobs) - len(rows), "job")
        parts.append(Cell(f"and {ended} that landed or was withdrawn: factory report", "dim"))
    parts += [Cell(""), station_table(document["stations"])]
    if document["counts"]["needs-you"]:
        parts += [Cell(""), Cell("factory inbox shows what waits for you", "warn")]
    if not document["alive"] and not all(job["state"] != "waiting" for job in document["jobs"]):
        text = f"nobody works on this run now: factory resume {document['run']}"
        parts += [Cell(""), Cell(text, "warn")]
    return parts


def job_table(jobs: Sequence[StatusJob]) -> Table:
    """Give jobs with where they are and the first lines of their failures."""
    return Table(
        (Column("JOB", most=_ID), Column("STATION", most=_ID), Column("WHERE", wide=True)),
        tuple(
            (
                Cell(job["id"]),
                Cell(job["station"]),
                (
                    Cell(job["where"], PLACES[job["place"]]),
                    *_failing(job["failure"], job["where"]),
                ),
            )
            for job in jobs
        ),
    )


def station_table(stations: Sequence[StationRow]) -> Table:
    """Give stations with their seat-seconds; those that nothing ever came to are left out.

    So is what makes seats ready: its time is part of the others'.
    """
    came = (row for row in stations if row["visits"] or row["queued"] or row["running"])
    seen = [row for row in came if row["kind"] != SPAWN]
    heads = ("SEATS", "BUSY", "WAITING", "IDLE", "VISITS", "MEAN", "P")
    return Table(
        (Column("STATION", wide=True), *(Column(head, right=True) for head in heads)),
        tuple(
            (
                Cell(row["name"]),
                Cell(str(row["seats"])),
                Cell(span(row["busy"])),
                Cell(span(row["waiting"])),
                Cell(span(row["idle"])),
                Cell(str(row["visits"])),
                Cell(span(row["mean"]) if row["finished"] else "-"),
                Cell("-" if row["odds"] is None else f"{row['odds']:.2f}"),
            )
            for row in seen
        ),
    )


def runs(document: RunsDocument, screen: Screen | None = None) -> None:
    """Show every run of a repository in a line."""
    if not document["runs"]:
        _out(screen).show(Cell("no run yet"))
    for row in document["runs"]:
        after = span(row["seconds"]) + (", at work now" if row["alive"] else "")
        said = headline(row["run"], row["target"], row["counts"])
        _out(screen).show(Cell(f"{said} ({after})"))


def why(document: WhyDocument, screen: Screen | None = None) -> None:
    """Show the story of one job, moment by moment."""
    _out(screen).show(
        Cell(f"{document['job']}: {document['title']}", "strong"),
        Cell(document["where"], PLACES[document["place"]]),
    )
    if document["in_target"] is not None:
        truth = "is" if document["in_target"] else "is not"
        _out(screen).show(Cell(f"git: it {truth} in the target's history", "dim"))
    _out(screen).show(
        Cell(""),
        Table(
            (Column("AFTER", right=True), Column("WHAT"), Column("", wide=True)),
            tuple(
                (
                    Cell(span(moment["seconds"]), "dim"),
                    Cell(moment["what"]),
                    (
                        Cell(moment["text"]),
                        *(Cell(f"  {line}", "bad") for line in moment["tail"]),
                    ),
                )
                for moment in document["moments"]
            ),
        ),
    )


def inbox(document: InboxDocument, screen: Screen | None = None, *, now: float) -> None:
    """Show what waits for a person, oldest first, each with the line that answers it."""
    if document["sentence"] is not None:
        _out(screen).show(Cell(document["sentence"], "warn"), Cell(""))
    if not document["waiting"]:
        _out(screen).show(Cell("nothing waits for you"))
    for row in document["waiting"]:
        age = span(max(0.0, now - row["since"]))
        _out(screen).show(
            Cell(f"{row['job']} has waited {age}: {row['title']}", "strong"),
            Cell(f"  {row['question']}", "warn"),
        )
        if row["wants"]:
            _out(screen).show(Cell(f"  wants: {listed(row['wants'])}"))
        if row["commit"] is not None:
            _out(screen).show(Cell(f"  look:   factory diff {row['job']}"))
        _out(screen).show(Cell(f"  answer: {row['answer']}"), Cell(""))


def report(document: ReportDocument, screen: Screen | None = None) -> None:
    """Show what happened in a run, how long, how much."""
    failures = document["failures"]
    _out(screen).show(
        Cell(headline(document["run"], document["target"], document["counts"]), "strong"),
        Cell(f"{span(document['seconds'])}, {spent(document['spend'])}"),
        Cell(document["constraint"]["sentence"]),
        Cell(""),
        Table(
            (
                *(Column("JOB", most=_ID), Column("STATE"), Column("TRIES", right=True)),
                *(Column("TIME", right=True), Column("WHAT", wide=True)),
            ),
            tuple(
                (
                    Cell(row["id"]),
                    Cell(row["state"], PLACES[row["state"]]),
                    Cell(str(row["attempts"])),
                    Cell(span(row["seconds"])),
                    (
                        Cell(row["reason"] or row["pull"] or row["title"]),
                        *_failing(failures.get(row["id"], []), row["reason"] or ""),
                        *_note("review:", _doubt(document["reviews"].get(row["id"], "")), "warn"),
                    ),
                )
                for row in document["jobs"]
            ),
        ),
        Cell(""),
        station_table(document["stations"]),
    )
    if document["models"]:
        _out(screen).show(Cell(""), *(Cell(text) for text in per_model(document["models"])))


def _doubt(review: str) -> str:
    """Give what a person should know of a job's review: nothing when it asked for nothing."""
    return "" if review.startswith(FOUND_GOOD) else review


def plan(document: PlanDocument, screen: Screen | None = None) -> None:
    """Show what a run would do."""
    jobs = document["jobs"]
    waves = count(document["waves"], "round")
    _out(screen).show(
        Cell(f"{count(len(jobs), 'job')} in {waves}; {document['constraint']}", "strong"),
        Cell(""),
        Table(
            (
                *(
                    Column("ROUND", right=True),
                    Column("JOB", most=_ID),
                    Column("STATION", most=_ID),
                ),
                *(Column("FILES", right=True), Column("WHAT", wide=True)),
            ),
            tuple(
                (
                    Cell(str(row["round"] or "-")),
                    Cell(row["id"]),
                    Cell(row["station"]),
                    Cell(str(row["files"])),
                    (
                        Cell(row["title"]),
                        *_note("after", listed(row["waits_for"]), "dim"),
                        *_note("refused:", row["refused"] or "", "bad"),
                    ),
                )
                for row in jobs
            ),
        ),
    )
    _out(screen).show(*_forecasts({row["id"]: row["forecast"] for row in jobs}))
    for warning in document["warnings"]:
        _out(screen).show(Cell(f"warning: {warning}", "warn"))


def _forecasts(rows: Mapping[str, ForecastRow | None]) -> Iterator[Part]:
    """Give what models would be asked for, job by job; nothing where none would be."""
    asked = {job: row for job, row in rows.items() if row is not None}
    if not asked:
        return
    yield Cell("")
    yield Table(
        (
            *(Column("JOB", most=_ID), Column("MODEL", wide=True)),
            *(Column("CONTEXT", right=True), Column("WHOLE", right=True)),
            Column("USD", right=True),
        ),
        tuple(
            (
                *(Cell(job), Cell(worker(row))),
                *(Cell(f"{row['context']:,}"), Cell(f"{row['whole']:,}")),
                Cell(between(row["usd"])),
            )
            for job, row in asked.items()
        ),
    )
    yield Cell(
        "context: tokens before the agent reads a file; whole: with the whole repository in it;"
        " USD: one attempt",
        "dim",
    )
    yield Cell(f"in all, for one attempt each: {forecast_total([*asked.values()])}")


def findings(found: Sequence[Finding], screen: Screen | None = None) -> None:
    """Show what checks found, one line each."""
    _out(screen).show(
        Table(
            (Column(""), Column("CHECK"), Column("FOUND", wide=True)),
            tuple(
                (
                    Cell("ok", "good") if each.ok else Cell("NO", "bad"),
                    Cell(cut(each.name, 24)),
                    Cell(each.detail),
                )
                for each in found
            ),
        )
    )


def _note(word: str, said: str, style: Style) -> tuple[Cell, ...]:
    return (Cell(f"  {word} {said}" if word else f"  {said}", style),) if said else ()


def _failing(lines: Sequence[str], said: str) -> tuple[Cell, ...]:
    """Give the first lines of a failure, without those that stand above them already."""
    return tuple(Cell(f"  {line}", "bad") for line in lines if line not in said)


def _out(screen: Screen | None) -> Screen:
    return screen_on(sys.stdout) if screen is None else screen
