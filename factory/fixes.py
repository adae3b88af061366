"""What became of each item of a plan: proven, fixed already, in flight, or left with why. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from factory.ending import landed_in
from factory.events import Dead, Landed, NeedsYou, Proposed, Reproduced, Withdrawn
from factory.line import Line, Work
from factory.strategy.values import WORKED, Action, Plan, PlanItem
from factory.survey.values import Class
from stations.contract import Wanted
from worktrees.names import JobId, Oid

State = Literal[
    "fixed",
    "not-shown",
    "failed",
    "unfinished",
    "already-fixed",
    "in-flight",
    "built-on",
    "superseded",
    "duplicate",
    "left",
    "human",
    "security",
]
RUNS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """Why an item is not worked on although the plan meant it to be."""

    state: Literal["left", "in-flight", "human"]
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What was found out before a plan's run began; kept with the run.

    ``fixed`` are items whose test passes on the base, ``pulls`` the changes of pull requests that
    the work stands on, as ``before..after``, ``unused`` those that it does not, each with why;
    ``authors`` are the logins of all of them, as the forge gives them, ``credit`` their lines of
    credit.
    """

    base: Oid
    fixed: tuple[int, ...] = ()
    left: Mapping[int, Left] = field(default_factory=dict)
    pulls: Mapping[int, str] = field(default_factory=dict)
    unused: Mapping[int, str] = field(default_factory=dict)
    authors: Mapping[int, str] = field(default_factory=dict)
    credit: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    replace: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of one item. ``of`` is what it duplicates; ``closes`` that it may be closed."""

    n: int
    kind: Literal["issue", "pull"]
    title: str
    state: State
    why: str = ""
    of: int | None = None
    job: str = ""
    pull: str = ""
    test: str = ""
    base: Literal["", "fail", "pass"] = ""
    failure: str = ""
    head: Literal["", "pass"] = ""
    runs: int = 0
    closes: bool = False


def results(plan: Plan, facts: Facts, line: Line | None) -> tuple[Result, ...]:
    """Give what became of each item, in the plan's order; without a line nothing was worked on."""
    wanted = {each.number: (work, each) for work, each in _wanted(line)}
    return tuple(_result(item, plan, facts, line, wanted) for item in plan.items)


def kept_open(plan: Plan) -> frozenset[int]:
    """Give the items that the plan's closing says no keyword may close."""
    return frozenset(each.item for each in plan.closing if each.keyword == "none")


def takers(plan: Plan, number: int) -> tuple[JobId, ...]:
    """Give the jobs that work on the root cause of a pull request, and so may take its place."""
    cause = plan.item(number).root_cause_id
    return tuple(JobId(each.id) for each in plan.running() if cause in each.root_cause_ids)


def pull_job(number: int) -> JobId:
    """Give the name of the job that brings a pull request's change."""
    return JobId(f"pull-{number}")


def _wanted(line: Line | None) -> Iterator[tuple[Work, Wanted]]:
    for work in line.jobs.values() if line is not None else ():
        for each in work.job.issues:
            yield work, each


def _result(
    item: PlanItem,
    plan: Plan,
    facts: Facts,
    line: Line | None,
    wanted: Mapping[int, tuple[Work, Wanted]],
) -> Result:
    made = Result(n=item.n, kind=item.kind, title=item.title, state="left", of=item.of)
    if item.action is Action.SECURITY:
        return replace(made, state="security", title="", why="set aside for a maintainer")
    left = facts.left.get(item.n)
    if left is not None:
        return _with(made, left.state, left.why)
    if item.n in facts.fixed and item.proof is not None:
        return replace(
            made,
            state="already-fixed",
            why=f"{item.proof.test_id} passes on the base, {RUNS} times of {RUNS}",
            test=item.proof.test_id,
            base="pass",
            runs=RUNS,
        )
    if item.kind == "pull":
        return _pull(made, item, plan, facts, line)
    if item.action in WORKED and item.n in wanted:
        work, want = wanted[item.n]
        proof = line.reproduced.get((work.job.id, item.n)) if line is not None else None
        shown = _worked(made, item, work, want, proof)
        return replace(shown, closes=shown.closes and item.n not in kept_open(plan))
    if item.action is Action.HUMAN:
        return _with(made, "human", item.why or "waits for a person's word")
    if item.action is Action.ALREADY_FIXED:
        return _with(made, "human", "said to be fixed already, but no test shows it")
    if item.verdict is Class.DUPLICATE:
        return _with(made, "duplicate", item.why)
    return _with(made, "left", item.why or "the plan leaves it")


def _pull(made: Result, item: PlanItem, plan: Plan, facts: Facts, line: Line | None) -> Result:
    """Say what became of a contributor's pull request: it is never closed from here."""
    credit = next((each for each in plan.credit if each.pr == item.n), None)
    if item.n in facts.unused:
        return _with(made, "in-flight", f"not built on: {facts.unused[item.n]}")
    replaces = credit is not None and (facts.replace or credit.how == "mention")
    if replaces and item.n in facts.authors:
        jobs = takers(plan, item.n)
        if line is not None and jobs and landed_in(line).issuperset(jobs):
            return _with(
                made, "superseded", f"replaced by this change, thanks to {facts.authors[item.n]}"
            )
        return _with(made, "in-flight", "not replaced: not all that takes its place landed")
    if item.n in facts.pulls and line is not None:
        name = pull_job(item.n)
        work = line.jobs.get(name)
        if work is not None and isinstance(work.place, Landed | Proposed):
            return replace(made, state="built-on", why="its change is in this one", job=name)
        why = _fault(work) if work is not None else ""
        return replace(made, state="in-flight", why=f"not built on: {why}", job=name)
    if item.state == "open":
        return _with(made, "in-flight", item.why or "it is open; nothing is done about it")
    return _with(made, "left", item.why or "the plan leaves it")


def _worked(
    made: Result, item: PlanItem, work: Work, want: Wanted, proof: Reproduced | None
) -> Result:
    made = replace(made, job=work.job.id, test=want.test)
    match work.place:
        case Landed():
            return _shown(made, item, proof)
        case Proposed(pull=pull):
            return _shown(replace(made, pull=pull), item, proof)
        case Dead() | Withdrawn():
            return _with(made, "failed", _fault(work))
        case _:
            return _with(made, "unfinished", _fault(work))


def _shown(made: Result, item: PlanItem, proof: Reproduced | None) -> Result:
    if proof is None:
        return _with(made, "not-shown", "its test was not tried")
    if proof.already:  # by one run: it shows no fault, and an agent's word for a cure is none
        why = "its test passes on the base too: it was fixed already, or the test does not show it"
        return replace(made, state="not-shown", why=why, base="pass", runs=1)
    if not proof.shown:
        return replace(made, state="not-shown", why=proof.why, failure=proof.failure)
    state: State = "fixed"
    if item.verdict is Class.DUPLICATE and item.of is not None:
        state = "duplicate"
    return replace(
        made,
        state=state,
        why=proof.why,
        base="fail",
        failure=proof.failure,
        head="pass",
        runs=RUNS,
        closes=True,
    )


def _with(made: Result, state: State, why: str) -> Result:
    return replace(made, state=state, why=why)


def _fault(work: Work) -> str:
    match work.place:
        case Dead(fault=why) | Withdrawn(why=why) | NeedsYou(question=why):
            return why
        case _:
            return "the run was stopped before"
