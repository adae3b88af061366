"""Harvest: what an attempt left in its workspace, brought out, judged and made durable."""

import dataclasses
from pathlib import Path
from typing import Final, assert_never
from uuid import uuid4

from stations.bench import Bench, ExportError, export, rooms_of
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
from stations.runtimes.task import Attempt
from worktrees.failpoint import failpoint
from worktrees.intake import Refused, Same, Taken, intake
from worktrees.names import JobId, Oid, job_ref, salvage_ref, workspace_name
from worktrees.policy import Rule
from worktrees.scope import widest

REFUSED: Final = "the change was refused:"
"""How the failure of work begins that the policy does not take; the reasons follow."""


def harvest(
    bench: Bench,
    spec: StationSpec,
    assignment: Assignment,
    attempt: Attempt,
    *,
    tree: Path,
    room: Path,
) -> Outcome:
    """Bring the work out, judge it, and make it durable on the job's branch.

    Files that cannot be brought out are kept beside the attempt's papers.
    """
    try:
        exported = export(
            bench,
            tree=tree,
            room=_sub(room, "export"),
            base=assignment.base,
            message=_message(assignment),
        )
    except ExportError as error:
        kept = set_aside(tree, papers_of(bench, assignment.job, assignment.attempt))
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
        at=_sub(room, "quarantine"),
        keep_refused=salvage_ref(assignment.run, assignment.job),
    )
    note = attempt.report.summary if attempt.report is not None else ""
    match taken:
        case Same():
            return Unchanged(spend=attempt.spend, note=note)
        case Refused(judgement=judgement, commit=kept_commit):
            reasons = tuple(refusal.text for refusal in judgement.refusals)
            if kept_commit is None:
                papers = papers_of(bench, assignment.job, assignment.attempt)
                reasons = (*reasons, f"its files are kept in {set_aside(tree, papers)}")
            if any(refusal.rule is Rule.SCOPE for refusal in judgement.refusals):
                return Strayed(
                    paths=tuple(dict.fromkeys(r.name for r in judgement.refusals if r.path)),
                    reasons=reasons,
                    commit=kept_commit,
                    spend=attempt.spend,
                )
            return Failed(
                fault=f"{REFUSED} {'; '.join(reasons[:5])}",
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


def keep_work(bench: Bench, assignment: Assignment, *, tree: Path, room: Path) -> None:
    """Keep what an attempt that failed has done so far, where it can be brought out at all."""
    try:
        _kept(
            bench,
            assignment.job,
            tree=tree,
            room=_sub(room, "unfinished"),
            base=assignment.base,
        )
    except ExportError:
        set_aside(tree, papers_of(bench, assignment.job, assignment.attempt))


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
            set_aside(tree, papers_of(bench, job, serial))
            return None


def papers_of(bench: Bench, job: JobId, attempt: int) -> Path:
    """Give the directory of an attempt's brief, output and outcome."""
    return bench.runs / job / str(attempt)


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
    if isinstance(taken, Refused) and taken.commit is None:
        said = "; ".join(refusal.text for refusal in taken.judgement.refusals[:5])
        raise ExportError(said)  # no commit may hold it: the files themselves are kept
    return None if isinstance(taken, Same) else taken.commit


def set_aside(tree: Path, papers: Path) -> Path:
    """Keep the files of a workspace that could not be brought out, so that the pool goes on."""
    kept = papers / f"tree-{uuid4().hex[:8]}"
    papers.mkdir(parents=True, exist_ok=True)
    failpoint("seat.set_aside.before")
    tree.rename(kept)
    failpoint("seat.set_aside.after")
    return kept


def _message(assignment: Assignment) -> str:
    return f"{assignment.job}: attempt {assignment.attempt} at {assignment.station}\n"


def _sub(room: Path, name: str) -> Path:
    (room / name).mkdir()
    return room / name
