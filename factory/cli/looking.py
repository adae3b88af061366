"""Commands that look and change nothing: status, why, inbox, report."""

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from factory.cli.app import Json, command, emit, say
from factory.cli.finding import is_alive, job_of, ledger_of, read_run, repository, run_of
from factory.cli.place import here
from factory.complaint import Complaint

if TYPE_CHECKING:
    from factory.line import Line
    from worktrees.git import Repository
    from worktrees.names import JobId

RunName = Annotated[
    str | None, typer.Argument(metavar="[RUN]", help="Default: the newest.", show_default=False)
]
JobName = Annotated[str, typer.Argument(metavar="JOB", help="A job's id.")]
OfRun = Annotated[
    str | None, typer.Option("--run", metavar="RUN", help="Default: the newest with that job.")
]


@command(
    "status",
    short="Show where everything is and why: the constraint first, failures in sight.",
    examples=(
        "factory status                 the newest run",
        "factory status --all           every run of this repository",
        "factory status --json",
    ),
)
def status_command(
    run: RunName = None,
    every: Annotated[bool, typer.Option("--all", help="One line for each run.")] = False,
    json: Json = False,
) -> None:
    """Print a status."""
    from factory import calls
    from factory.views import documents, show

    where = repository()
    with ledger_of(where) as ledger:
        if every:
            rows = [
                (line, records, is_alive(where, ledger, records[-1]))
                for line, records in (read_run(ledger, run) for run in reversed(ledger.runs()))
            ]
            listing = documents.runs_document(rows)
            emit(listing) if json else show.runs(listing)
            return
        line, records = read_run(ledger, run_of(ledger, run))
        document = documents.status_document(
            line,
            records,
            now=time.time(),
            alive=is_alive(where, ledger, records[-1]),
            calls=calls.of_run(ledger.path, line.run),
        )
    emit(document) if json else show.status(document)


@command(
    "why",
    short="Tell the story of a job: every attempt, verdict and decision, from ledger and git.",
    examples=("factory why sort-imports", "factory why sort-imports --run 261121-081502-3f2a"),
)
def why_command(job: JobName, run: OfRun = None, json: Json = False) -> None:
    """Print a job's story."""
    from factory import calls
    from factory.views import show
    from factory.views.story import why_document

    where = repository()
    with ledger_of(where) as ledger:
        line, name = job_of(ledger, job, run)
        document = why_document(
            line,
            ledger.records(line.run),
            name,
            now=time.time(),
            in_target=in_target(where, line, name),
            calls=calls.of_run(ledger.path, line.run),
        )
    emit(document) if json else show.why(document)


@command(
    "inbox",
    short="Show everything that waits for a person, oldest first, with the line that answers it.",
    examples=("factory inbox", "factory inbox --json"),
)
def inbox_command(json: Json = False) -> None:
    """Print what waits for a person in all runs."""
    from factory.views import documents, show

    where, now = repository(), time.time()
    with ledger_of(where) as ledger:
        runs = [read_run(ledger, run) for run in ledger.runs()]
        alive = bool(runs) and is_alive(where, ledger, runs[-1][1][-1])
    document = documents.inbox_document([line for line, _ in runs])
    if runs:
        # Only the newest run can be at work: nobody holds an older one up.
        document["sentence"] = documents.held_up_by_you(runs[-1][1], now=now if alive else None)
    emit(document) if json else show.inbox(document, now=now)


@command(
    "report",
    short="Report what happened in a run, how long it took and what it cost.",
    examples=(
        "factory report",
        "factory report --markdown >> $GITHUB_STEP_SUMMARY",
        "factory report --html run.html one file with pictures, to open or to send",
        "factory report --cost          by station, model, scope and day; --all: of every run",
        "factory report --json",
    ),
)
def report_command(
    run: RunName = None,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="As Markdown, for a CI step summary.")
    ] = False,
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="As one file of HTML, with pictures."),
    ] = None,
    cost: Annotated[
        bool, typer.Option("--cost", help="What models cost, by station, model, scope and day.")
    ] = False,
    every: Annotated[bool, typer.Option("--all", help="With --cost: of all runs.")] = False,
    json: Json = False,
) -> None:
    """Print a report."""
    from factory import calls
    from factory.views import documents, report, show

    if every and (run is not None or not cost):
        raise Complaint(
            "--all belongs to --cost, and names no run", hint="factory report --cost --all"
        )
    if html is not None and (cost or markdown):
        raise Complaint("--html is a form of its own", hint="leave --cost and --markdown out")
    if cost:
        _cost(run, every=every, markdown=markdown, json=json)
        return
    if html is not None:
        _paper(run, html)
    with ledger_of(repository()) as ledger:
        line, records = read_run(ledger, run_of(ledger, run))
        made = calls.of_run(ledger.path, line.run)
    document = documents.report_document(line, records, made)
    if json:
        emit(document)
    elif markdown:
        print(report.markdown(document))
    elif html is None:
        show.report(document)


def _paper(run: str | None, file: Path) -> None:
    """Write a run as one file of HTML."""
    from factory import calls
    from factory.balancing import policy_of
    from factory.show.paper import paper
    from factory.show.watching import Watch

    site = here({})
    with ledger_of(site.repository) as ledger:
        watch = Watch(policy_of(site.settings.pace))
        watch.take(ledger.records(name := run_of(ledger, run)))
        alive = is_alive(site.repository, ledger, watch.record)
        made = watch.figures(time.time(), calls.of_run(ledger.path, name), alive=alive)
    beside = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        beside.write_text(paper(made), encoding="utf-8")
        beside.replace(file)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise Complaint(
            f"cannot write {file}: {error.strerror}", hint="name a file in a directory that exists"
        ) from error
    say(f"the report of run {name} is in {file}")


def _cost(run: str | None, *, every: bool, markdown: bool, json: bool) -> None:
    """Print what models cost."""
    from factory import calls
    from factory.views import cost, show

    with ledger_of(repository()) as ledger:
        names = ledger.runs() if every else (run_of(ledger, run),)
        lines = [read_run(ledger, name)[0] for name in names]
        made = calls.of_all(ledger.path) if every else calls.of_run(ledger.path, names[0])
    document = cost.cost_document(lines, made)
    if json:
        emit(document)
    elif markdown:
        print(cost.cost_markdown(document))
    else:
        show.screen_on(sys.stdout).show(*cost.cost_parts(document))


def in_target(where: "Repository", line: "Line", job: "JobId") -> bool | None:
    """Say whether git's history of the target holds the job; None when the target is gone."""
    from worktrees.merge import landings

    tip = where.git.resolve(line.target)
    if tip is None or where.git.resolve(line.base) is None:
        return None
    return (line.run, job) in landings(where.git, line.base, tip)
