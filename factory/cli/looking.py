"""Commands that look and change nothing: status, watch, why, inbox, report."""

import time
from typing import TYPE_CHECKING, Annotated

import typer

from factory.cli.app import Json, command, emit
from factory.cli.finding import following, is_alive, job_of, ledger_of, read_run, repository, run_of

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
    "watch",
    short="Watch a run from another terminal until it ends.",
    examples=("factory watch", "factory watch 261121-081502-3f2a"),
)
def watch_command(run: RunName = None, json: Json = False) -> int:
    """Follow the ledger of a run."""
    from factory import calls
    from factory.ending import exit_code
    from factory.settings import environment
    from factory.views import documents, show
    from factory.views.story import Follower

    where, follower = repository(), Follower()
    with ledger_of(where) as ledger:
        name = run_of(ledger, run)
        history = [
            (made.record.event, made.record.at) for made in follower.more(ledger.records(name))
        ]
        with show.progress(environment(), quiet=json, history=history) as watch:
            for _ in following(where, ledger, name):
                for made in follower.more(ledger.records(name, after=follower.seq)):
                    watch(made.line, made.record.event, made.record.at)
        line, records = read_run(ledger, name)
        asked = calls.of_run(ledger.path, name)
    if json:
        emit(documents.run_document(line, records, asked))
    else:
        show.report(documents.report_document(line, records, asked))
    return exit_code(line)


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

    with ledger_of(repository()) as ledger:
        lines = [read_run(ledger, run)[0] for run in ledger.runs()]
    document = documents.inbox_document(lines)
    emit(document) if json else show.inbox(document, now=time.time())


@command(
    "report",
    short="Report what happened in a run, how long it took and what it cost.",
    examples=(
        "factory report",
        "factory report --markdown >> $GITHUB_STEP_SUMMARY",
        "factory report --json",
    ),
)
def report_command(
    run: RunName = None,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="As Markdown, for a CI step summary.")
    ] = False,
    json: Json = False,
) -> None:
    """Print a report."""
    from factory import calls
    from factory.views import documents, report, show

    with ledger_of(repository()) as ledger:
        line, records = read_run(ledger, run_of(ledger, run))
        made = calls.of_run(ledger.path, line.run)
    document = documents.report_document(line, records, made)
    if json:
        emit(document)
    elif markdown:
        print(report.markdown(document))
    else:
        show.report(document)


def in_target(where: "Repository", line: "Line", job: "JobId") -> bool | None:
    """Say whether git's history of the target holds the job; None when the target is gone."""
    from worktrees.merge import landings

    tip = where.git.resolve(line.target)
    if tip is None or where.git.resolve(line.base) is None:
        return None
    return (line.run, job) in landings(where.git, line.base, tip)
