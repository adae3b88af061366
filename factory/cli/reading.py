"""Commands that read what was written: logs of attempts, the diff of work, the ledger's events."""

import json as codec
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from factory.cli.app import Json, command, emit, say
from factory.cli.finding import following, job_of, ledger_of, line_of, repository, run_of
from factory.cli.looking import JobName, OfRun, RunName
from factory.complaint import Complaint
from factory.wording import Curtain, block

if TYPE_CHECKING:
    from factory.ledger import Ledger, Record
    from factory.line import Line, Work
    from worktrees.git import Git, Repository
    from worktrees.names import JobId, Oid, RunId

PIECE = 1 << 16


@command(
    "logs",
    short="Print what an attempt wrote, and the tail of the test runs that refused it.",
    examples=(
        "factory logs api               the newest attempt",
        "factory logs api --attempt 1",
        "factory logs api -f            follow its attempts until the job is settled",
    ),
)
def logs_command(
    job: JobName,
    attempt: Annotated[
        int | None, typer.Option("--attempt", metavar="N", min=1, help="Default: the newest.")
    ] = None,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on until it ends.")] = False,
    run: OfRun = None,
    json: Json = False,
) -> None:
    """Print an attempt's output, secrets masked."""
    from factory.views.story import red_trials, seat_of

    if follow and json:
        raise Complaint(
            "--json gives one document and cannot follow", hint="leave -f or --json out"
        )
    where = repository()
    with ledger_of(where) as ledger:
        line, name = job_of(ledger, job, run)
        number = attempt or line.jobs[name].attempt
        log = papers(where, line.run, name) / str(number) / "output.log"
        if number > line.jobs[name].attempt or (attempt and not log.exists()):
            raise Complaint(f"{name} has no attempt {number}", hint=f"factory why {name}")
        if follow:
            for text in _followed(where, ledger, line.run, name, only=attempt):
                print(text, flush=True)
            return
        reds = red_trials(ledger.records(line.run), name)
        seat = seat_of(ledger.records(line.run), name, number) or line.jobs[name].station
    lines = [*(reader := Tail(log)).more(), *reader.rest()]
    if json:
        emit(
            {
                "schema": "factory.logs/1",
                "run": line.run,
                "job": name,
                "attempt": number,
                "output": "\n".join(lines),
                "trials": [
                    {"trial": red.trial, "at": red.at, "owner": red.owner, "tail": _safe(red.tail)}
                    for red in reds
                ],
            }
        )
        return
    if not lines:
        say(f"{name}, attempt {number}: no output" + ("" if log.exists() else " yet"))
    for text in lines:
        print(f"{seat} | {text}")
    for red in reds:
        say(f"test run {red.trial} refused it{f' ({red.owner})' if red.owner else ''}:")
        for text in _safe(red.tail).splitlines():
            print(f"tests | {text}")


@command(
    "diff",
    short="Show what a job or a run changed.",
    examples=(
        "factory diff                   the newest run, base to target",
        "factory diff api               one job's own change",
        "factory diff api | git apply --check",
    ),
)
def diff_command(
    what: Annotated[
        str | None,
        typer.Argument(metavar="[JOB|RUN]", help="Default: the newest run.", show_default=False),
    ] = None,
    run: OfRun = None,
    json: Json = False,
) -> None:
    """Print a patch; on a terminal control characters are made visible."""
    where = repository()
    with ledger_of(where) as ledger:
        job: JobId | None = None
        if what is None or what in ledger.runs():
            line = line_of(ledger, run_of(ledger, what or run))
            ends = _run_ends(where.git, line)
        else:
            line, job = job_of(ledger, what, run)
            ends = job_ends(where.git, line, job)
    patch = patch_of(where.git, ends)
    if json:
        emit(
            {
                "schema": "factory.diff/1",
                "run": line.run,
                "job": job,
                "base": ends[0],
                "commit": ends[1],
                "files": _files(where.git, ends),
                "patch": patch.decode("utf-8", "backslashreplace"),
            }
        )
    elif sys.stdout.isatty():
        print(block(patch.decode("utf-8", "backslashreplace")))
    else:
        sys.stdout.flush()
        sys.stdout.buffer.write(patch)


@command(
    "events",
    short="Print the ledger of a run as JSON lines.",
    examples=(
        "factory events",
        "factory events -f | jq .event.kind",
        "factory events --all > ledger.ndjson",
    ),
)
def events_command(
    run: RunName = None,
    every: Annotated[bool, typer.Option("--all", help="The events of all runs.")] = False,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on until it ends.")] = False,
    json: Json = False,
) -> None:
    """Print records as {seq, run, at, event}."""
    if follow and (json or every):
        raise Complaint("-f follows one run, as JSON lines", hint="leave --json and --all out")
    where = repository()
    with ledger_of(where) as ledger:
        name = None if every else run_of(ledger, run)
        if json:
            rows = [_event(record) for record in ledger.records(name)]
            emit({"schema": "factory.events/1", "events": rows})
            return
        seq = 0
        for _ in iter((None,)) if name is None or not follow else following(where, ledger, name):
            for record in ledger.records(name, after=seq):
                print(codec.dumps(_event(record)))
                seq = record.seq
            sys.stdout.flush()


class Tail:
    """Reads a log that grows, in whole lines, harmless and with secrets masked."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._at = 0
        self._half = b""
        self._curtain = Curtain()

    def more(self) -> Iterator[str]:
        """Give the whole lines that came since the last look."""
        if not self._path.is_file():
            return
        with self._path.open("rb") as file:
            file.seek(self._at)
            while piece := file.read(PIECE):
                self._at += len(piece)
                *lines, self._half = (self._half + piece).split(b"\n")
                for line in lines:
                    yield self._shown(line)

    def rest(self) -> Iterator[str]:
        """Give the last line, when no line end came after it."""
        if self._half:
            yield self._shown(self._half)
            self._half = b""

    def _shown(self, line: bytes) -> str:
        return block(self._curtain.draw(line.decode("utf-8", "backslashreplace")))


def _followed(
    where: "Repository", ledger: "Ledger", run: "RunId", job: "JobId", *, only: int | None
) -> Iterator[str]:
    """Give the lines of a job's attempts as they come, from the newest one on.

    It ends when the job is settled, when nobody works on the run, or with the ``only`` attempt.
    """
    from factory.events import Settled, Working
    from factory.views.story import Follower

    follower, number, reader = Follower(), 0, Tail(Path())
    work: Work | None = None
    for _ in following(where, ledger, run):
        for made in follower.more(ledger.records(run, after=follower.seq)):
            work = made.line.jobs.get(job, work)
        if work is None:
            continue
        newest = only or work.attempt
        number = number or newest - 1
        while number < newest:
            yield from reader.rest()
            number += 1
            say(f"{job}, attempt {number}:")
            reader = Tail(papers(where, run, job) / str(number) / "output.log")
            yield from reader.more()
        yield from reader.more()
        at_it = isinstance(work.place, Working) and work.attempt == number
        if isinstance(work.place, Settled) or (only is not None and not at_it):
            break
    yield from reader.rest()


def papers(where: "Repository", run: "RunId", job: "JobId") -> Path:
    """Give the directory in which a job's attempts are kept."""
    return where.factory / "runs" / run / job


def _safe(tail: str) -> str:
    curtain = Curtain()
    return block("\n".join(curtain.draw(text) for text in tail.splitlines()))


def _event(record: "Record") -> dict[str, object]:
    from factory.ledger import encode

    event = _masked(codec.loads(encode(record.event)))
    return {"seq": record.seq, "run": record.run, "at": record.at, "event": event}


def _masked(value: object) -> object:
    from factory.wording import masked

    match value:
        case str():
            return masked(value)
        case dict():
            return {key: _masked(each) for key, each in value.items()}
        case list():
            return [_masked(each) for each in value]
        case _:
            return value


def patch_of(git: "Git", ends: "tuple[Oid, Oid]") -> bytes:
    """Give the patch between two commits, as git makes it for everybody."""
    plain = ("--no-color", "--no-ext-diff", "--no-textconv", "--end-of-options")
    return git("diff", *plain, *ends).out


def _run_ends(git: "Git", line: "Line") -> "tuple[Oid, Oid]":
    return line.base, git.resolve(line.target) or line.gate.target


def job_ends(git: "Git", line: "Line", job: "JobId") -> "tuple[Oid, Oid]":
    """Give the commits whose difference is a job's own work: landed, saved or set aside."""
    from factory.views.rows import commit_of
    from worktrees.names import Oid, salvage_ref

    work = line.jobs[job]
    own = work.commit or commit_of(work)
    made = git.resolve(own) if own is not None else None
    made = made or git.resolve(salvage_ref(line.run, job))
    if made is None:
        raise Complaint(f"{job} has made nothing that was saved", hint=f"factory why {job}")
    start = work.judged_from or line.base
    base = git("merge-base", "--end-of-options", start, made, ok=(0, 1)).text
    return Oid(base or start), made


def _files(git: "Git", ends: "tuple[Oid, Oid]") -> list[dict[str, object]]:
    answer = git("diff", "--numstat", "-z", "--no-renames", "--end-of-options", *ends)
    found: list[dict[str, object]] = []
    for part in answer.parts:
        added, removed, path = part.split(b"\t", 2)
        found.append(
            {
                "path": path.decode("utf-8", "backslashreplace"),
                "added": None if added == b"-" else int(added),
                "removed": None if removed == b"-" else int(removed),
            }
        )
    return found
