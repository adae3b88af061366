"""Commands that act on work from another terminal, and on what a run left."""

import time
from typing import TYPE_CHECKING, Annotated

import typer

from factory.cli.app import Json, command, emit, say
from factory.cli.finding import at_work, job_of, ledger_of, line_of, repository, run_of
from factory.cli.place import here
from factory.complaint import Complaint

if TYPE_CHECKING:
    from pathlib import Path

    from factory.ledger import Letter, LetterKind
    from worktrees.names import RunId

RunName = Annotated[
    str | None, typer.Option("--run", metavar="RUN", help="Default: the newest run.")
]
JobName = Annotated[str, typer.Argument(metavar="JOB", help="The job's id.")]


@command(
    "tell",
    short="Tell a job something, or answer its question: yes, no, or words for its next attempt.",
    examples=("factory tell api-names yes", 'factory tell api-names "use the second form"'),
)
def tell_command(
    job: JobName,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What to tell it.")],
    run: RunName = None,
    json: Json = False,
) -> None:
    """Leave a letter for the floor."""
    _send(job, "tell", text, run=run, json=json)


@command(
    "kill",
    short="Take a job off the line at once; what it saved is kept.",
    examples=("factory kill api-names", "factory kill --all"),
)
def kill_command(
    job: Annotated[str | None, typer.Argument(metavar="[JOB]", help="The job's id.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All jobs of the run.")] = False,
    run: RunName = None,
    json: Json = False,
) -> None:
    """Leave a letter for the floor."""
    if (job is None) is not everything:
        raise Complaint("which job?", hint="factory kill JOB, or factory kill --all")
    _send(job, "kill", "", run=run, json=json)


@command(
    "retry",
    short="Put a dead or withdrawn job back on the line, with all its attempts.",
    examples=("factory retry api-names",),
)
def retry_command(job: JobName, run: RunName = None, json: Json = False) -> None:
    """Leave a letter for the floor."""
    _send(job, "retry", "", run=run, json=json)


@command(
    "pause",
    short="Start nothing more until `factory resume`; what runs goes on to its end.",
    examples=("factory pause",),
)
def pause_command(run: RunName = None, json: Json = False) -> None:
    """Leave a letter for the floor."""
    _send(None, "pause", "", run=run, json=json)


def _send(job: str | None, kind: "LetterKind", text: str, *, run: str | None, json: bool) -> None:
    from factory.ledger import Letter

    where = repository()
    with ledger_of(where) as reader:
        if job is None:
            name, known = run_of(reader, run), None
        else:
            line, known = job_of(reader, job, run)
            name = line.run
        path = reader.path
        active = at_work(where, reader, name)
    letter = Letter(kind=kind, job=known, text=text)
    post(path, name, letter)
    if json:
        emit(
            {
                "schema": "factory.letter/1",
                "run": name,
                "job": letter.job,
                "kind": letter.kind,
                "active": active,
            }
        )
    else:
        say(promise(letter, name, active=active))


def post(path: "Path", run: "RunId", letter: "Letter") -> None:
    """Leave a letter for the floor of a run, in the ledger at this path."""
    from factory.ledger import Ledger

    with Ledger(path) as ledger:
        ledger.post(run, letter, time.time())


def promise(letter: "Letter", run: "RunId", *, active: bool) -> str:
    """Say when a letter takes effect; ``active`` says whether a process works on the run."""
    whom = letter.job or letter.text or "all jobs"
    soon = "with the next step of its work" if letter.kind == "tell" else "at once"
    when = soon if active else f"with `factory resume {run}`"
    return f"{letter.kind} {whom}: noted; it takes effect {when}"


@command(
    "take",
    short="Bring the run's target into the checked-out branch, when the checkout is clean.",
    examples=("factory take", "factory take 261121-081502-3f2a"),
)
def take_command(
    run: Annotated[str | None, typer.Argument(metavar="[RUN]", help="Default: the newest.")] = None,
    json: Json = False,
) -> None:
    """Fast-forward the checked-out branch to the target, else merge it."""
    from factory import taking

    site = here({})
    with ledger_of(site.repository) as ledger:
        line = line_of(ledger, run_of(ledger, run))
    taken = taking.take(site, line)
    if json:
        emit(
            {"schema": "factory.take/1", "run": line.run, "how": taken.how, "commit": taken.commit}
        )
    else:
        say(taken.text)


@command(
    "clean",
    short="Remove what runs left: workspaces, branches, trash. Shows first.",
    examples=("factory clean", "factory clean --yes", "factory clean --yes --force"),
)
def clean_command(
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do it; else only show it.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Also drop work that is on no branch of yours.")
    ] = False,
    json: Json = False,
) -> None:
    """Show or remove the leftovers of all runs."""
    from factory import cleaning

    site = here({})
    found = cleaning.leftovers(site, force=force)
    if yes:
        cleaning.remove(site, found, say=say)
    if json:
        emit(cleaning.document(found, done=yes))
        return
    for text in found.texts:
        print(text)
    if not found.texts:
        say("nothing to clean")
    elif not yes:
        say("shown only; `factory clean --yes` removes it")
    if found.kept:
        say(f"kept: {len(found.kept)} refs with work that did not land; --force drops them too")
