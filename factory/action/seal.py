"""Seal: closes what a run made into the folder that crosses to the job which may write.

This runs in the factory's own process, outside every sandbox, when no agent works any more.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from factory import telling
from factory.action import bundle
from factory.action.inputs import Inputs, Workflow
from factory.complaint import Complaint
from factory.ending import exit_code
from factory.events import Landed
from factory.fixing import Fix
from factory.forge.gatekeeping import Item, Pins, moved
from factory.forge.texts import Account, Claim, body
from factory.ledger import Record
from factory.line import Line
from factory.repairing import Errand, threads_of
from factory.stacking import Part, Size
from factory.telling import Around, Planned
from stations.contract import Wanted
from stations.models.values import Call
from worktrees.change import entries
from worktrees.git import Repository
from worktrees.names import JobId, Oid
from worktrees.sealed import seal

BLOCKED = 5
_UNTRIED = "not tried: the run was stopped before"


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What a run came to: its state, and the sealed folder with its digest when it changed."""

    status: str
    why: str
    folder: Path | None = None
    digest: str = ""
    account: Account | None = None


def checked_out(repository: Repository, pins: Pins) -> None:
    """Complain when the checkout is not the commit that the gate pinned."""
    head = repository.git.resolve("HEAD")
    if head != pins.base:
        raise Complaint(
            f"the checkout is at {head or 'nothing'} and not at {pins.base}",
            hint="check out with `ref:` the gate's output base-sha, and `fetch-depth: 0`",
            code=7,
        )


def unmoved(pins: Pins, item: Item) -> None:
    """Complain when the item is not what the gate saw: its text would be another order."""
    why = moved(pins, item)
    if why:
        raise Complaint(f"#{pins.number}: {why}", hint="start it again", code=BLOCKED)


def made(
    repository: Repository,
    line: Line,
    records: Sequence[Record],
    calls: Sequence[Call],
    *,
    flow: Workflow,
    given: Inputs,
    pins: Pins,
    errand: Errand | None,
    fix: Fix | None = None,
) -> Made:
    """Seal what landed; a run that landed nothing leaves no folder.

    ``fix`` is the plan that was carried out, where the run was for one.
    """
    git, base = repository.git, line.base
    jobs = tuple(job for job, work in line.jobs.items() if isinstance(work.place, Landed))
    tip = git.resolve(line.target) or base
    if not jobs or tip == base:
        left = telling.left_out(line)
        if exit_code(line):
            return Made(
                status="failed", why="; ".join(f"{job}: {why}" for job, why in left.items())
            )
        return Made(status="no-change", why="there was nothing to change")
    told = telling.story(records)
    part = Part(
        below=base,
        commit=tip,
        jobs=jobs,
        landings=len(told.checks),
        size=Size(files=0, lines=0),
    )
    evidence = _evidence(line, jobs)
    planned = fix.planned if fix is not None else None
    around = Around(
        onto=pins.branch,
        claims=_claims(line, jobs, evidence, planned),
        strategy=planned.told(line) if planned is not None else None,
    )
    account = telling.account(git, line, part, told, calls, around)
    folder = flow.temp / given.folder
    digest = bundle.write(
        folder,
        change=seal(git, base, tip),
        report=body(account),
        repository=flow.repository,
        number=pins.number,
        plan=fix.digest if fix is not None else "",
        seen=_seen(line, jobs) if fix is not None else (),
        built=tuple(planned.builds) if planned is not None else (),
        round=errand.round if errand is not None else 0,
        answered=_answered(line, jobs),
        evidence=evidence,
        base=base,
        head=tip,
        tree=Oid(account.tree),
        entries=entries(git, base, tip),
        account=account,
    )
    why = f"{len(jobs)} of {len(line.jobs)} jobs landed"
    return Made(status="changed", why=why, folder=folder, digest=digest, account=account)


def _evidence(line: Line, jobs: Sequence[JobId]) -> tuple[bundle.Evidence, ...]:
    """Give what was tried for each landed job that an issue asked for."""
    return tuple(
        bundle.Evidence(
            job=job,
            issue=each.number,
            base=tried.base,
            tree=tried.tree,
            shown=tried.shown,
            why=tried.why,
        )
        for job in jobs
        for each in line.jobs[job].job.issues
        if (tried := line.reproduced.get((job, each.number))) is not None
    )


def _claims(
    line: Line,
    jobs: Sequence[JobId],
    evidence: Sequence[bundle.Evidence],
    planned: Planned | None,
) -> dict[JobId, tuple[Claim, ...]]:
    """Give what the report says of the issues; nothing is closed by half."""
    tried = {(each.job, each.issue): each for each in evidence}
    # Each issue of a plan has a test of its own, which no other job has a part in.
    whole = planned is not None or not telling.left_out(line)
    causes = planned.causes if planned is not None else {}
    kept = planned.kept_open if planned is not None else frozenset[int]()

    def claim(job: JobId, wanted: Wanted) -> Claim:
        found = tried.get((job, wanted.number))
        made = line.reproduced.get((job, wanted.number))
        return Claim(
            issue=wanted.number,
            closes=whole and found is not None and found.shown and wanted.number not in kept,
            shown=found is not None and found.shown,
            proof=found.why if found is not None else _UNTRIED,
            cause=causes.get(wanted.number, ""),
            test=wanted.test,
            failure=made.failure if made is not None else "",
        )

    return {job: tuple(claim(job, each) for each in line.jobs[job].job.issues) for job in jobs}


def _seen(line: Line, jobs: Sequence[JobId]) -> tuple[bundle.Seen, ...]:
    """Give the issues of the jobs that landed, each as it was when it was read."""
    wanted = {each.number: each for job in jobs for each in line.jobs[job].job.issues}
    return tuple(bundle.Seen(number=each.number, mark=each.seen) for each in wanted.values())


def _answered(line: Line, jobs: Sequence[JobId]) -> tuple[bundle.Answered, ...]:
    told = ((job, threads_of(line.jobs[job].job)) for job in jobs)
    return tuple(bundle.Answered(job=job, threads=threads) for job, threads in told if threads)
