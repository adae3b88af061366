"""What a pull request tells: its facts, taken from the ledger, the calls and git. No opinion."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from factory import calls as costs
from factory.events import (
    Advanced,
    Dead,
    GateComposed,
    GateTried,
    Landed,
    NeedsYou,
    Noted,
    Proposed,
    Withdrawn,
)
from factory.forge.texts import Account, Asked, Cost, Place, Touched
from factory.ledger import Record
from factory.line import Line, Work
from factory.stacking import Part
from stations.contract import Check, Green, Red, Spend
from stations.models.values import Call
from worktrees.change import counted
from worktrees.git import Git
from worktrees.names import JobId, Oid


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """What the records of a run say: the checks of each landing, its test runs, its reviews."""

    checks: Mapping[Oid, tuple[Check, ...]]
    trials: int
    reds: int
    reviews: Mapping[JobId, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    """What a pull request says of the issue of a job."""

    closes: bool
    proof: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What is known only to whoever delivers: the issues, what is not shown, the stack."""

    onto: str
    issues: Mapping[JobId, Issue] = field(default_factory=dict)
    limits: tuple[str, ...] = ()
    place: Place | None = None


def story(records: Sequence[Record]) -> Story:
    """Read a run's records once."""
    composed: dict[int, tuple[Check, ...]] = {}
    checks: dict[Oid, tuple[Check, ...]] = {}
    reviews: dict[JobId, str] = {}
    trials = reds = 0
    for record in records:
        match record.event:
            case GateComposed(composed=made):
                composed[made.trial] = made.commands
            case GateTried(verdict=Green() | Red() as verdict):
                trials += 1
                reds += isinstance(verdict, Red)
            case Advanced(trial=trial, commit=commit):
                checks[commit] = composed.get(trial, ())
            case Noted(what="review", text=text, job=JobId() as job):
                reviews[job] = text
            case _:
                pass
    return Story(checks=checks, trials=trials, reds=reds, reviews=reviews)


def account(
    git: Git, line: Line, part: Part, told: Story, made: Sequence[Call], around: Around
) -> Account:
    """Give everything that the body of a part's pull request tells."""
    works = [line.jobs[job] for job in part.jobs]
    who = [around.issues[job].by for job in part.jobs if job in around.issues]
    return Account(
        run=line.run,
        line=line.rules.hash,
        onto=around.onto,
        base=part.below,
        commit=part.commit,
        tree=git.tree_of(part.commit),
        asked=tuple(_asked(work, around.issues.get(work.job.id)) for work in works),
        touched=touched(git, part.below, part.commit),
        landings=part.landings,
        checks=tuple(_check(check) for check in told.checks.get(part.commit, ()) if check.required),
        trials=told.trials,
        reds=told.reds,
        findings=tuple(f"{job}: {told.reviews[job]}" for job in part.jobs if job in told.reviews),
        cost=_cost(works, made),
        limits=around.limits,
        left_out=left_out(line),
        credit=tuple(f"asked for by {name}" for name in dict.fromkeys(who) if name),
        place=around.place,
    )


def touched(git: Git, before: Oid, after: Oid) -> tuple[Touched, ...]:
    """Give each path that differs, with its lines."""
    return tuple(
        Touched(
            path=size.path.decode("utf-8", "backslashreplace"),
            added=size.added,
            removed=size.removed,
        )
        for size in counted(git, before, after)
    )


def left_out(line: Line) -> dict[JobId, str]:
    """Give the jobs of a run that made nothing which landed, each with why."""
    found: dict[JobId, str] = {}
    for job, work in line.jobs.items():
        match work.place:
            case Landed() | Proposed():
                pass
            case Dead(fault=why) | Withdrawn(why=why):
                found[job] = why
            case NeedsYou(question=question):
                found[job] = f"waits for a person: {question}"
            case _:
                found[job] = "is not finished"
    return found


def _asked(work: Work, issue: Issue | None) -> Asked:
    return Asked(
        job=work.job.id,
        title=work.job.title,
        issue=work.job.issue,
        closes=issue is not None and issue.closes,
        proof=issue.proof if issue is not None else "",
        by=issue.by if issue is not None else "",
        attempts=work.attempt,
        repairs=work.rounds,
    )


def _check(check: Check) -> str:
    return f"{check.owner}: {' '.join(check.run)}" if check.run else check.owner


def _cost(works: Sequence[Work], made: Sequence[Call]) -> Cost:
    jobs = {work.job.id for work in works}
    tally = costs.tally([call for call in made if call.job in jobs])
    spend = tally.spend if tally.calls else sum((work.spend for work in works), Spend())
    return Cost(
        dollars=None if spend.dollars is None else f"{spend.dollars:f}",
        basis=tally.basis.value if tally.basis is not None else "",
        calls=tally.calls,
        tokens_in=spend.tokens_in,
        tokens_out=spend.tokens_out,
        seconds=sum(work.spend.seconds for work in works),
    )
