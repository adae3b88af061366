"""A seat: one worker's turn, from a fresh workspace to durable work or a named reason why not."""

import dataclasses
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import BinaryIO, Final, assert_never

from stations.bench import (
    Bench,
    prepare_places,
    tracked,
)
from stations.box import BRIEF_INSIDE, MB, OUT_INSIDE, Box
from stations.contract import (
    Assignment,
    Escalated,
    Failed,
    Outcome,
    StationSpec,
)
from stations.harvest import harvest, keep_work, papers_of, rescue, set_aside
from stations.plain import home_mount
from stations.runtimes.command import brief_json
from stations.runtimes.task import Attempt, Desk, Runtime, Task
from stations.tools import ToolMissingError
from worktrees.failpoint import failpoint
from worktrees.merge import salvage
from worktrees.names import job_ref
from worktrees.scope import Mounts, Scope, ScopeTooWide
from worktrees.shadow import Mount, prepare, scope_mounts
from worktrees.workspace import Workspace

__all__ = [
    "LOG_BYTES",
    "Turn",
    "papers_of",
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
    bench: Bench, spec: StationSpec, assignment: Assignment, *, stop: threading.Event
) -> Outcome:
    """Do one attempt of a job: agent in its sandbox, export in another one, policy, durable work.

    The workspace is given back at the end; one whose files could not be brought out is kept beside
    the attempt's papers.
    """
    try:
        with sit(bench, spec, assignment, scope=assignment.scope, stop=stop) as turn:
            attempt = runtime(bench, spec).work(turn.task)
            try:
                outcome = _outcome(bench, spec, assignment, turn, attempt)
            except BaseException:  # a full disk, a dead sandbox: the agent's work is still there
                if turn.workspace.tree.is_dir():
                    set_aside(turn.workspace.tree, turn.papers)
                raise
            write_outcome(turn.papers, outcome)
            return outcome
    except (ScopeTooWide, ToolMissingError) as error:
        return Failed(fault=str(error))


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
    stop: threading.Event,
) -> Iterator[Turn]:
    """Give a prepared seat; ``scope`` None means that nothing of the tree may be written."""
    workspace = _workspace(bench, assignment)
    try:
        with bench.room(f"{assignment.serial}-seat") as room:
            papers = papers_of(bench, assignment.job, assignment.attempt)
            papers.mkdir(parents=True, exist_ok=True)
            with (papers / "output.log").open("wb") as log:
                yield _turn(
                    bench,
                    spec,
                    assignment,
                    workspace=workspace,
                    room=room,
                    papers=papers,
                    scope=scope,
                    log=_Log(file=log, room=LOG_BYTES),
                    stop=stop,
                )
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
    log: "_Log",
    stop: threading.Event,
) -> Turn:
    tree, place = workspace.tree, bench.place(workspace.tree)
    prepare_places(tree, bench)
    desk = Desk(brief=papers / "brief.json", out=room / "out")
    desk.brief.write_bytes(brief_json(assignment))
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
        stop=stop,
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
        case "again" | "deadline" | "idle" | "stopped":
            keep_work(bench, assignment, tree=tree, room=turn.room)
            return Failed(
                fault=attempt.fault,
                retryable=True,
                interrupted=attempt.status == "stopped",
                tail=attempt.tail,
                spend=attempt.spend,
            )
        case "failed" | "output":
            keep_work(bench, assignment, tree=tree, room=turn.room)
            return Failed(fault=attempt.fault, tail=attempt.tail, spend=attempt.spend)
        case _:
            assert_never(attempt.status)


@dataclass(slots=True, kw_only=True)
class _Log:
    """Writes output to a file until there is no room left."""

    file: BinaryIO
    room: int

    def __call__(self, data: bytes) -> None:
        self.file.write(data[: self.room])
        self.room = max(0, self.room - len(data))


def _plain(value: object) -> str:
    if isinstance(value, Decimal):
        return str(value)
    msg = f"{type(value).__name__} is no part of an outcome"
    raise TypeError(msg)
