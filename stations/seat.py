"""A seat: one worker's turn, from a fresh workspace to durable work or a named reason why not."""

import dataclasses
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import BinaryIO, Final

from stations.bench import (
    Bench,
    prepare_places,
    tracked,
)
from stations.box import BRIEF_INSIDE, MB, OUT_INSIDE, Box, NotStarted
from stations.contract import (
    Assignment,
    Budget,
    Escalated,
    Failed,
    Job,
    Outcome,
    Split,
    StationSpec,
)
from stations.harvest import harvest, keep_work, papers_of, rescue, set_aside
from stations.plain import home_mount
from stations.runtimes.command import brief_json
from stations.runtimes.task import Attempt, Control, Desk, Proposal, Runtime, Task, work
from stations.tools import ToolMissingError
from stations.veil import Veil
from worktrees.failpoint import failpoint
from worktrees.merge import salvage
from worktrees.names import JobId, job_ref
from worktrees.scope import Mounts, Scope, ScopeTooWide
from worktrees.shadow import Mount, prepare, scope_mounts
from worktrees.workspace import Workspace

__all__ = [
    "LOG_BYTES",
    "Turn",
    "attempted",
    "failure",
    "papers_of",
    "parts",
    "rescue",
    "runtime",
    "sit",
    "take_turn",
    "write_outcome",
]

LOG_BYTES: Final = 4 * MB
"""At most this much of an attempt's output is kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One attempt at a seat: its workspace, its private room, the task for the runtime."""

    workspace: Workspace
    room: Path
    papers: Path
    task: Task


def take_turn(
    bench: Bench, spec: StationSpec, assignment: Assignment, *, control: Control
) -> Outcome:
    """Do one attempt of a job: agent in its sandbox, export in another one, policy, durable work.

    The workspace is given back at the end; one whose files could not be brought out is kept beside
    the attempt's papers.
    """
    try:
        with sit(bench, spec, assignment, scope=assignment.scope, control=control) as turn:
            with _set_aside(turn, unless=(ScopeTooWide, ToolMissingError, NotStarted)):
                attempt = attempted(bench, spec, turn)
            with _set_aside(turn):
                outcome = _outcome(bench, spec, assignment, turn, attempt)
            write_outcome(turn.papers, outcome)
            return outcome
    except (ScopeTooWide, ToolMissingError) as error:
        return Failed(fault=str(error))


@contextmanager
def _set_aside(turn: Turn, *, unless: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """Keep the agent's files whatever fails here, but for errors by which nothing of it ran."""
    try:
        yield
    except unless:
        raise
    except BaseException as error:  # a full disk, a dead engine: the work is still there
        if turn.workspace.tree.is_dir():
            kept = set_aside(turn.workspace.tree, turn.papers)
            error.add_note(f"the files of the attempt are kept in {kept}")
        raise


def attempted(bench: Bench, spec: StationSpec, turn: Turn) -> Attempt:
    """Let the station's runtime do the task, and give how it ended without any secret in it."""
    return Veil(bench.secrets).attempt(work(runtime(bench, spec), turn.task))


def runtime(bench: Bench, spec: StationSpec) -> Runtime:
    """Give the runtime that works a station; a station without an agent runs its own program."""
    name = spec.agent.runtime if spec.agent is not None else "command"
    if name not in bench.runtimes:
        known = ", ".join(sorted(bench.runtimes))
        msg = f"station {spec.name}: there is no runtime {name!r} here; known: {known}"
        raise ToolMissingError(msg)
    return bench.runtimes[name]


@contextmanager
def sit(
    bench: Bench,
    spec: StationSpec,
    assignment: Assignment,
    *,
    scope: Scope | None,
    control: Control,
) -> Iterator[Turn]:
    """Give a prepared seat; ``scope`` None means that nothing of the tree may be written."""
    workspace = _workspace(bench, assignment)
    try:
        with bench.room(f"{assignment.serial}-seat") as room:
            papers = papers_of(bench, assignment.job, assignment.attempt)
            papers.mkdir(parents=True, exist_ok=True)
            with (papers / "output.log").open("wb") as file:
                log = Log(file=file, veil=Veil(bench.secrets), room=LOG_BYTES)
                try:
                    yield _turn(
                        bench,
                        spec,
                        assignment,
                        workspace=workspace,
                        room=room,
                        papers=papers,
                        scope=scope,
                        log=log,
                        control=control,
                    )
                finally:
                    log.end()
    finally:
        failpoint("seat.fell.before")
        bench.pool.give_back(workspace)
        failpoint("seat.fell.after")


def write_outcome(papers: Path, outcome: Outcome) -> None:
    """Keep an outcome beside the attempt's brief and output."""
    document = {"schema": "factory.outcome/1", **dataclasses.asdict(outcome)}
    text = json.dumps(document, indent=1, default=_plain, ensure_ascii=True)
    (papers / "outcome.json").write_text(f"{text}\n", "ascii")


def _workspace(bench: Bench, assignment: Assignment) -> Workspace:
    """Take the attempt's workspace; what an earlier attempt left on the branch is kept first."""
    git, ref = bench.git, job_ref(assignment.run, assignment.job)
    now = git.resolve(ref)
    if now is not None and git("merge-base", "--is-ancestor", now, assignment.base, ok=(0, 1)).code:
        salvage(git, assignment.run, assignment.job, now)
    return bench.pool.take(assignment.serial, ref=ref, start=assignment.base, expected=now)


def _turn(
    bench: Bench,
    spec: StationSpec,
    assignment: Assignment,
    *,
    workspace: Workspace,
    room: Path,
    papers: Path,
    scope: Scope | None,
    log: "Log",
    control: Control,
) -> Turn:
    tree, place = workspace.tree, bench.place(workspace.tree)
    prepare_places(tree, bench)
    desk = Desk(brief=papers / "brief.json", out=room / "out")
    desk.brief.write_bytes(Veil(bench.secrets).data(brief_json(assignment)))
    desk.out.mkdir()
    (room / "home").mkdir()
    shadow = prepare(
        bench.repository,
        workspace.admin / "index",
        at=room / "shadow",
        checkout=place,
        branch=job_ref(assignment.run, assignment.job),
        target=bench.target,
        base=assignment.base,
        excludes=bench.hidden,
    )
    written = scope.mounts(tracked(bench.git, assignment.base)) if scope is not None else Mounts()
    box = Box(
        argv=(),
        checkout=str(place),
        mounts=(
            Mount(source=tree, target=str(place)),
            *scope_mounts(tree, place, written),
            *shadow.mounts,
            Mount(source=desk.brief, target=BRIEF_INSIDE),
            Mount(source=desk.out, target=OUT_INSIDE, writable=True),
            *(() if bench.sandbox.contains else (home_mount(room / "home"),)),
        ),
        env=bench.variables(place),
        scratch=bench.scratch(place),
        limits=bench.limits,
    )
    task = Task(
        assignment=assignment,
        spec=spec,
        sandbox=bench.sandbox,
        box=box,
        desk=desk,
        find=bench.find,
        log=log,
        control=control,
        papers=papers,
        before=_before(bench, assignment),
        hide=Veil(bench.secrets).text,
    )
    return Turn(workspace=workspace, room=room, papers=papers, task=task)


def _outcome(
    bench: Bench, spec: StationSpec, assignment: Assignment, turn: Turn, attempt: Attempt
) -> Outcome:
    tree = turn.workspace.tree
    match attempt.status:
        case "done":
            return harvest(bench, spec, assignment, attempt, tree=tree, room=turn.room)
        case "blocked":
            keep_work(bench, assignment, tree=tree, room=turn.room)
            wants = attempt.report.needs_scope if attempt.report is not None else ()
            return Escalated(reason=attempt.fault, wants=wants, spend=attempt.spend)
        case "split":
            keep_work(bench, assignment, tree=tree, room=turn.room)
            jobs = parts(assignment, spec, attempt.split)
            if not jobs:
                return Failed(
                    fault="it proposed to split the job into nothing", spend=attempt.spend
                )
            return Split(jobs=jobs, spend=attempt.spend)
        case _:
            keep_work(bench, assignment, tree=tree, room=turn.room)
            return failure(attempt, calls=runtime(bench, spec).capabilities().calls)


def failure(attempt: Attempt, *, calls: bool) -> Failed:
    """Give an attempt that did not end well as an outcome; ``calls``: a model was at work.

    What a model did not manage is tried again, one tier higher; a program would fail again.
    """
    again = Failed(fault=attempt.fault, tail=attempt.tail, spend=attempt.spend, retryable=True)
    match attempt.status:
        case "again" | "deadline" | "idle":
            return again
        case "stopped":
            return dataclasses.replace(again, interrupted=True)
        case "budget":
            whole = attempt.account in {"run", "day"}  # the job itself may go on another day
            return dataclasses.replace(
                again,
                cause="budget",
                account=attempt.account,
                interrupted=whole,
                retryable=whole,
            )
        case "provider":
            return dataclasses.replace(again, environment=True)
        case "denied" | "limited":
            return dataclasses.replace(again, environment=True, cause=attempt.status)
        case "contract":
            return dataclasses.replace(again, cause="contract")
        case _:
            return dataclasses.replace(again, retryable=calls)


def parts(
    assignment: Assignment, spec: StationSpec, proposals: Sequence[Proposal]
) -> tuple[Job, ...]:
    """Give the smaller jobs that were proposed, each with its share of the parent's budget."""
    names = [JobId(f"{assignment.job[:56]}-{number}") for number in range(1, len(proposals) + 1)]
    share = len(proposals)
    whole = assignment.budget
    budget = Budget(
        tokens=None if whole.tokens is None else whole.tokens // share,
        dollars=None if whole.dollars is None else whole.dollars / share,
        seconds=None if whole.seconds is None else whole.seconds / share,
        attempts=whole.attempts,
    )
    holes = tuple(glob for glob in assignment.scope.write if glob.startswith("!"))
    return tuple(
        Job(
            id=name,
            title=one.title,
            brief=one.brief,
            scope=Scope(write=(*one.scope, *holes)),
            route=spec.name,
            needs=tuple(names[need] for need in one.needs if need < place),
            budget=budget,
            source=f"split of {assignment.job}",
            depth=assignment.depth + 1,
        )
        for place, (name, one) in enumerate(zip(names, proposals, strict=True))
    )


def _before(bench: Bench, assignment: Assignment) -> Path | None:
    number = assignment.wrote or assignment.attempt - 1
    earlier = papers_of(bench, assignment.job, number)
    return earlier if number and earlier.is_dir() else None


@dataclass(slots=True, kw_only=True)
class Log:
    """Writes output to a file until there is no room left, at once and without any secret.

    What may be the beginning of a secret waits for what comes after it.
    """

    file: BinaryIO
    veil: Veil
    room: int
    held: bytes = b""

    def __call__(self, data: bytes) -> None:
        data = self.veil.data(self.held + data)
        whole = self.veil.whole(data)
        self.held = data[whole:]
        self._write(data[:whole])

    def end(self) -> None:
        """Write what still waited."""
        self._write(self.held)
        self.held = b""

    def _write(self, data: bytes) -> None:
        shown = data[: self.room]
        self.file.write(shown)
        self.file.flush()  # somebody may follow it
        self.room -= len(shown)


def _plain(value: object) -> str:
    if isinstance(value, Decimal):
        return str(value)
    msg = f"{type(value).__name__} is no part of an outcome"
    raise TypeError(msg)
