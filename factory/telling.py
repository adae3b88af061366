"""What a pull request tells: its facts, taken from the ledger, the calls and git. No opinion."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from factory import calls as costs
from factory.ending import landed_in
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
from factory.forge.texts import Account, Asked, Claim, Cost, Place, Strategy, Touched
from factory.ledger import Record
from factory.line import Line, Work
from factory.stacking import Part, Size
from factory.wording import listed
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
class Around:
    """What is known only to whoever delivers: the issues, what is not shown, the stack."""

    onto: str
    claims: Mapping[JobId, tuple[Claim, ...]] = field(default_factory=dict)
    limits: tuple[str, ...] = ()
    place: Place | None = None
    strategy: Strategy | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """What a run that carries out a plan keeps to when it is delivered.

    ``causes`` is the root cause of each issue, ``builds`` the pull requests that the work stands
    upon, each with the job that brings it and the head that was read; ``replaces`` are those that
    it is offered instead of, each with the jobs that take its place. ``kept_open`` are the issues
    that a person wants to close alone, whatever is shown; ``credit`` are the people behind the
    jobs that bring pull requests, by the forge's word.
    """

    branches: tuple[str, ...]
    strategy: Strategy
    limit: Size
    causes: Mapping[int, str] = field(default_factory=dict)
    builds: Mapping[int, tuple[JobId, Oid]] = field(default_factory=dict)
    replaces: Mapping[int, tuple[JobId, ...]] = field(default_factory=dict)
    kept_open: frozenset[int] = frozenset()
    credit: Mapping[JobId, tuple[str, ...]] = field(default_factory=dict)

    def told(self, line: Line) -> Strategy:
        """Give the strategy with those pull requests alone of whose part something landed."""
        landed = landed_in(line)
        builds = {number for number, (job, _) in self.builds.items() if job in landed}
        replaces = {n for n, jobs in self.replaces.items() if jobs and landed.issuperset(jobs)}
        return replace(
            self.strategy,
            builds=tuple(each for each in self.strategy.builds if each[0] in builds),
            replaces=tuple(each for each in self.strategy.replaces if each[0] in replaces),
        )

    def branch(self, number: int) -> str:
        """Give the branch of a part of the stack, without ``refs/heads/``."""
        if number <= len(self.branches):
            return self.branches[number - 1]
        return f"{self.branches[0]}-{number}"


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
    who = [claim.by for job in part.jobs for claim in around.claims.get(job, ())]
    return Account(
        run=line.run,
        line=line.rules.hash,
        onto=around.onto,
        base=part.below,
        commit=part.commit,
        tree=git.tree_of(part.commit),
        asked=tuple(_asked(work, around.claims.get(work.job.id, ())) for work in works),
        touched=touched(git, part.below, part.commit),
        landings=part.landings,
        checks=tuple(_check(check) for check in told.checks.get(part.commit, ()) if check.required),
        trials=told.trials,
        reds=told.reds,
        findings=tuple(f"{job}: {told.reviews[job]}" for job in part.jobs if job in told.reviews),
        cost=_cost(works, made),
        limits=around.limits,
        left_out=left_out(line) if around.strategy is None else _unfixed(line),
        credit=tuple(f"asked for by {name}" for name in dict.fromkeys(who) if name),
        place=around.place,
        strategy=around.strategy,
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


def _unfixed(line: Line) -> dict[JobId, str]:
    """Give the jobs that are left out with the issues that are not fixed for it."""
    found: dict[JobId, str] = {}
    for job, why in left_out(line).items():
        numbers = listed(str(each.number) for each in line.jobs[job].job.issues)
        found[job] = f"not fixed for it: {numbers}; {why}" if numbers else why
    return found


def _asked(work: Work, claims: tuple[Claim, ...]) -> Asked:
    return Asked(
        job=work.job.id,
        title=work.job.title,
        claims=claims or tuple(Claim(issue=each.number) for each in work.job.issues),
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
