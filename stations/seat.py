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
from uuid import uuid4

from stations.bench import (
    Bench,
    ExportError,
    export,
    prepare_places,
    rooms_of,
    tracked,
)
from stations.box import BRIEF_INSIDE, MB, OUT_INSIDE, Box
from stations.contract import (
    Assignment,
    Done,
    Escalated,
    Failed,
    Outcome,
    StationSpec,
    Strayed,
    Unchanged,
)
from stations.plain import home_mount
from stations.runtimes.command import brief_json
from stations.runtimes.task import Attempt, Desk, Runtime, Task
from stations.tools import ToolMissingError
from worktrees.failpoint import failpoint
from worktrees.intake import Refused, Same, Taken, intake
from worktrees.merge import salvage
from worktrees.names import JobId, Oid, job_ref, salvage_ref, workspace_name
from worktrees.policy import Rule
from worktrees.scope import Mounts, Scope, ScopeTooWide, widest
from worktrees.shadow import Mount, prepare, scope_mounts
from worktrees.workspace import Workspace

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
            outcome = _outcome(bench, spec, assignment, turn, attempt)
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


def papers_of(bench: Bench, job: JobId, attempt: int) -> Path:
    """Give the directory of an attempt's brief, output and outcome."""
    return bench.runs / job / str(attempt)


def rescue(bench: Bench, *, job: JobId, serial: int, base: Oid) -> Oid | None:
    """Bring the unfinished work of a crashed attempt to its salvage ref; None when there is none.

    A workspace that no agent ever sat in is half made and gives None. It stays for the janitor,
    except when its files cannot be brought out: then they are kept beside the job's papers.
    """
    name = workspace_name(bench.run, serial)
    tree = bench.repository.factory / "trees" / name
    # The room is made once the workspace was handed out whole.
    if not tree.is_dir() or not (rooms_of(bench.repository, bench.run) / f"{serial}-seat").is_dir():
        return None
    with bench.room(f"{serial}-rescue-{uuid4().hex[:8]}") as room:
        try:
            return _kept(bench, job, tree=tree, room=room, base=base)
        except ExportError:
            _set_aside(tree, papers_of(bench, job, serial))
            return None


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
    match attempt.status:
        case "done":
            return _harvest(bench, spec, assignment, turn, attempt)
        case "blocked":
            _keep_work(bench, assignment, turn)
            wants = attempt.report.needs_scope if attempt.report is not None else ()
            return Escalated(reason=attempt.fault, wants=wants, spend=attempt.spend)
        case "again" | "deadline" | "idle" | "stopped":
            _keep_work(bench, assignment, turn)
            return Failed(
                fault=attempt.fault, retryable=True, tail=attempt.tail, spend=attempt.spend
            )
        case "failed" | "output":
            _keep_work(bench, assignment, turn)
            return Failed(fault=attempt.fault, tail=attempt.tail, spend=attempt.spend)
        case _:
            assert_never(attempt.status)


def _harvest(
    bench: Bench, spec: StationSpec, assignment: Assignment, turn: Turn, attempt: Attempt
) -> Outcome:
    """Bring the work out, judge it, and make it durable on the job's branch."""
    try:
        exported = export(
            bench,
            tree=turn.workspace.tree,
            room=_sub(turn.room, "export"),
            base=assignment.base,
            message=_message(assignment),
        )
    except ExportError as error:
        kept = _set_aside(turn.workspace.tree, turn.papers)
        return Failed(
            fault=f"{error}; the files are kept in {kept}", tail=attempt.tail, spend=attempt.spend
        )
    taken = intake(
        bench.repository,
        exported.pack,
        exported.commit,
        base=assignment.base,
        judged_from=assignment.judged_from,
        scope=assignment.scope,
        rules=dataclasses.replace(bench.rules, symlinks=spec.symlinks),
        ref=job_ref(assignment.run, assignment.job),
        old=assignment.base,
        at=_sub(turn.room, "quarantine"),
        keep_refused=salvage_ref(assignment.run, assignment.job),
    )
    note = attempt.report.summary if attempt.report is not None else ""
    match taken:
        case Same():
            return Unchanged(spend=attempt.spend, note=note)
        case Refused(judgement=judgement, commit=kept_commit):
            reasons = tuple(refusal.text for refusal in judgement.refusals)
            if any(refusal.rule is Rule.SCOPE for refusal in judgement.refusals):
                return Strayed(
                    paths=tuple(dict.fromkeys(r.name for r in judgement.refusals if r.path)),
                    reasons=reasons,
                    commit=kept_commit,
                    spend=attempt.spend,
                )
            return Failed(
                fault=f"the change was refused: {'; '.join(reasons[:5])}",
                retryable=spec.agent is not None,
                tail="\n".join(reasons),
                spend=attempt.spend,
            )
        case Taken(commit=commit, judgement=judgement) if judgement.protected:
            return Escalated(
                reason="; ".join(found.text for found in judgement.protected[:5]),
                wants=tuple(found.name for found in judgement.protected),
                commit=commit,
                spend=attempt.spend,
            )
        case Taken(commit=commit):
            return Done(commit=commit, spend=attempt.spend, note=note)
        case _:
            assert_never(taken)


def _keep_work(bench: Bench, assignment: Assignment, turn: Turn) -> None:
    """Keep what an attempt that failed has done so far, where it can be brought out at all."""
    try:
        _kept(
            bench,
            assignment.job,
            tree=turn.workspace.tree,
            room=_sub(turn.room, "unfinished"),
            base=assignment.base,
        )
    except ExportError:
        _set_aside(turn.workspace.tree, turn.papers)


def _kept(bench: Bench, job: JobId, *, tree: Path, room: Path, base: Oid) -> Oid | None:
    """Put a workspace's files under a salvage ref, unjudged: nothing lands from there."""
    exported = export(bench, tree=tree, room=room, base=base, message=f"{job}: unfinished\n")
    ref = salvage_ref(bench.run, job)
    if bench.git.resolve(ref) is not None:
        ref = f"refs/factory/salvage-old/{bench.run}/{job}/{exported.commit[:12]}"
    failpoint("seat.keep.before")
    taken = intake(
        bench.repository,
        exported.pack,
        exported.commit,
        base=base,
        judged_from=base,
        scope=widest(),
        rules=bench.rules,
        ref=ref,
        old=bench.git.resolve(ref),
        at=room,
        keep_refused=ref,
    )
    failpoint("seat.keep.after")
    return None if isinstance(taken, Same) else taken.commit


def _set_aside(tree: Path, papers: Path) -> Path:
    """Keep the files of a workspace that could not be brought out, so that the pool goes on."""
    kept = papers / f"tree-{uuid4().hex[:8]}"
    papers.mkdir(parents=True, exist_ok=True)
    failpoint("seat.set_aside.before")
    tree.rename(kept)
    failpoint("seat.set_aside.after")
    return kept


@dataclass(slots=True, kw_only=True)
class _Log:
    """Writes output to a file until there is no room left."""

    file: BinaryIO
    room: int

    def __call__(self, data: bytes) -> None:
        self.file.write(data[: self.room])
        self.room = max(0, self.room - len(data))


def _message(assignment: Assignment) -> str:
    return f"{assignment.job}: attempt {assignment.attempt} at {assignment.station}\n"


def _sub(room: Path, name: str) -> Path:
    (room / name).mkdir()
    return room / name


def _plain(value: object) -> str:
    if isinstance(value, Decimal):
        return str(value)
    msg = f"{type(value).__name__} is no part of an outcome"
    raise TypeError(msg)
