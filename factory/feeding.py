"""What the line gives to the gate, and how it carries out what the gate answers."""

from dataclasses import replace
from typing import Final, Literal, assert_never

from factory import landing
from factory.events import (
    Advanced,
    AwaitVerdict,
    CancelTrial,
    Closing,
    ComposeTree,
    GateAwaits,
    GateComposed,
    GateTried,
    InGate,
    Land,
    Landed,
    Reason,
    Salvage,
    TestTree,
)
from factory.state import Held, Work
from factory.turn import Turn
from stations.contract import Branch, Compose, Green, Lost, Red, Trial, Verdict
from worktrees.names import JobId, Oid

CLASH: Final = "conflicts with the target in"
"""How it is said of work that the target has outgrown; the paths follow."""
LOSSES: Final = 3
"""Trials lost in a row before the environment is blamed."""


def arrive(turn: Turn, job: JobId, commit: Oid) -> None:
    """Give durable work to the gate."""
    work = turn.change(job, commit=commit, failure="")
    turn.put(job, InGate(commit=commit))
    scope_key = "|".join(work.job.scope.write)
    entry = landing.Entry(job=job, commit=commit, scope_key=scope_key)
    feed(turn, landing.Arrived(branches=(entry,)))


def composed(turn: Turn, event: GateComposed) -> None:
    """Go on with a trial whose tree was made, or could not be."""
    made = event.composed
    held = turn.line.trials.get(made.trial)
    if held is None or made.trial not in turn.line.gate.runs:
        return
    trials = {**turn.line.trials, made.trial: replace(held, composed=made)}
    turn.line = replace(turn.line, trials=trials)
    if made.fault and made.blame == "environment":
        _verdict(turn, made.trial, Lost(why=made.fault))
        return
    if made.fault:
        _verdict(turn, made.trial, Red(tree=held.base, key="", owner="merge", tail=made.fault))
        return
    clash = landing.Composed(
        run=made.trial,
        base_clash=tuple(made.base_clash),
        mate_clash=tuple(made.mate_clash),
    )
    feed(turn, clash)
    if made.trial not in turn.line.gate.runs or made.tree is None:
        return
    size = len(turn.line.gate.runs[made.trial].jobs)
    match event.known:
        case Green():
            _verdict(turn, made.trial, event.known)
        case Red() if size > 1:
            _verdict(turn, made.trial, event.known)
        case _:  # a single is always really run, so that a strike costs a run of its own
            turn.actions.append(TestTree(task=_trial(turn, made.trial)))


def _trial(turn: Turn, trial: int) -> Trial:
    held = turn.line.trials[trial]
    made = held.composed
    assert made is not None  # noqa: S101  (only what was composed is tested)
    assert made.tree is not None  # noqa: S101
    return Trial(
        run=turn.line.run,
        trial=trial,
        base=held.base,
        tree=made.tree,
        checks=made.commands,
        key=made.key,
    )


def awaited(turn: Turn, event: GateAwaits) -> None:
    """Keep the id of a verdict that will come from outside, and ask for it."""
    held = turn.line.trials.get(event.trial)
    if held is None or event.trial not in turn.line.gate.runs:
        return
    held = replace(held, external=event.external)
    turn.line = replace(turn.line, trials={**turn.line.trials, event.trial: held})
    turn.actions.append(AwaitVerdict(task=_trial(turn, event.trial), external=event.external))


def await_again(turn: Turn) -> None:
    """Ask anew for the verdicts from outside: who asked before is gone."""
    for trial, held in turn.line.trials.items():
        if held.external:
            turn.actions.append(AwaitVerdict(task=_trial(turn, trial), external=held.external))


def tried(turn: Turn, event: GateTried) -> None:
    """Take a verdict, one from outside only under the id it was awaited by."""
    held = turn.line.trials.get(event.trial)
    if held is None or event.external != held.external:
        return
    _verdict(turn, event.trial, event.verdict)


def _verdict(turn: Turn, trial: int, verdict: Verdict) -> None:
    suspects: tuple[JobId, ...] = ()
    tail = ""
    word: Literal["green", "red", "lost"]
    match verdict:
        case Green(checked=checked):
            word = "green"
            turn.line = replace(turn.line, losses=0)
            if checked and trial in turn.line.trials:
                held = replace(turn.line.trials[trial], checked=checked)
                turn.line = replace(turn.line, trials={**turn.line.trials, trial: held})
        case Red(owner=owner):
            word = "red"
            turn.line = replace(turn.line, losses=0)
            tail = verdict.tail
            if owner.startswith("accept:"):
                suspects = (JobId(owner.removeprefix("accept:")),)
        case Lost(why=why):
            word = "lost"
            turn.line = replace(turn.line, losses=turn.line.losses + 1)
            if not verdict.again:
                close(turn, Closing(reason=Reason.ENVIRONMENT, why=why))
            elif turn.line.losses >= LOSSES:
                close(
                    turn,
                    Closing(
                        reason=Reason.ENVIRONMENT,
                        why=f"{LOSSES} test runs in a row were lost: {why}",
                    ),
                )
        case _:
            assert_never(verdict)
    feed(turn, landing.Result(run=trial, verdict=word, suspects=suspects), tail=tail)


def advanced(turn: Turn, event: Advanced) -> None:
    """Settle the jobs that are in the target now."""
    for job in event.jobs:
        turn.put(job, Landed(commit=event.commit, tree=event.tree))
    feed(turn, landing.Landed(tip=event.commit))


def feed(turn: Turn, event: landing.Input, *, tail: str = "") -> None:
    """Give the gate an input and carry out what it answers."""
    gate, outputs = landing.gate(turn.line.gate, event)
    turn.line = replace(turn.line, gate=gate)
    for output in outputs:
        match output:
            case landing.Start(run=run, base=base, jobs=jobs):
                _compose(turn, run, base, jobs)
            case landing.Cancel(run=run):
                turn.actions.append(CancelTrial(trial=run))
            case landing.Land(run=run, jobs=jobs):
                _land(turn, run, jobs)
            case landing.Return(job=job, cause=cause, run=run):
                _returned(turn, job, cause, run, tail)
            case _:
                assert_never(output)
    _prune(turn)


def _prune(turn: Turn) -> None:
    """Forget the trials that the gate no longer runs, but for one that waits to land."""
    live = turn.line.gate.runs
    if any(trial not in live for trial in turn.line.trials):
        trials = {
            trial: held
            for trial, held in turn.line.trials.items()
            if trial in live or trial == turn.line.gate.landing
        }
        turn.line = replace(turn.line, trials=trials)


def _compose(turn: Turn, run: int, base: Oid, jobs: tuple[JobId, ...]) -> None:
    works = (turn.line.jobs[job] for job in jobs)
    branches = tuple(
        Branch(job=work.job.id, commit=work.place.commit, accept=work.job.accept)
        for work in works
        if isinstance(work.place, InGate)
    )
    held = Held(base=base, branches=branches, line=turn.line.rules.hash)
    turn.line = replace(turn.line, trials={**turn.line.trials, run: held})
    task = Compose(run=turn.line.run, trial=run, base=base, branches=branches, line=held.line)
    turn.actions.append(ComposeTree(task=task))


def _land(turn: Turn, run: int, jobs: tuple[JobId, ...]) -> None:
    held = turn.line.trials[run]
    assert held.composed is not None  # noqa: S101  (the gate lands only what was composed)
    assert held.composed.tree is not None  # noqa: S101
    branches = tuple((b.job, b.commit) for b in held.branches if b.job in frozenset(jobs))
    title = turn.line.jobs[jobs[0]].job.title
    if len(jobs) > 1:
        title = f"Land {len(jobs)} jobs: {', '.join(jobs)}"
    turn.actions.append(
        Land(
            trial=run,
            base=held.base,
            tree=held.composed.tree,
            branches=branches,
            title=title,
            checked=held.checked,
            line=held.line,
        )
    )


def _returned(turn: Turn, job: JobId, cause: landing.Cause, run: int, tail: str) -> None:
    work = turn.line.jobs[job]
    assert isinstance(work.place, InGate)  # noqa: S101
    match cause:
        case landing.Cause.CONFLICT:
            held = turn.line.trials.get(run)
            clash = held.composed.base_clash.get(job, ()) if held and held.composed else ()
            why = f"{CLASH} {', '.join(clash or ('its paths',))}"
            turn.actions.append(Salvage(job=job, commit=work.place.commit))
            _conflict(turn, turn.change(job, commit=None), why)
        case landing.Cause.RED:
            _red(turn, work, work.place.commit, tail)
        case _:
            assert_never(cause)


def _conflict(turn: Turn, work: Work, why: str) -> None:
    spec = turn.line.rules.station(work.job.route)
    if work.tries < turn.attempts(work, spec) and "conflict" not in spec.on:
        raised = work.raised if work.station == work.job.route else 0
        turn.change(
            work.job.id, station=work.job.route, raised=raised, failure=why, judged_from=None
        )
        turn.wait(work.job.id)
    else:
        turn.give_up(work, spec, "conflict", why, why)


def _red(turn: Turn, work: Work, commit: Oid, tail: str) -> None:
    job, repair = work.job.id, turn.line.rules.repair
    if repair is not None and work.rounds < turn.line.rules.station(repair).rounds:
        turn.change(
            job,
            station=repair,
            failure=tail,
            rounds=work.rounds + 1,
            tries=0,
            raised=work.rounds,  # a repair that left it red was a try that came to nothing
            again=frozenset(),
            commit=commit,
        )
        turn.wait(job)
    else:
        spec = turn.line.rules.station(work.job.route)
        rounds = f" after {work.rounds} repairs" if work.rounds else ""
        turn.give_up(work, spec, "red", f"its tests are red{rounds}", tail)


def close(turn: Turn, event: Closing) -> None:
    """Start nothing more; of several reasons the one that outranks the others is kept.

    The gate stays open only as long as every one of them lets it.
    """
    known = turn.line.closing
    if known is not None:
        first = event if event.reason.outranks(known.reason) else known
        event = replace(first, lands=known.lands and event.lands)
    turn.line = replace(turn.line, closing=event)
    if event.lands:
        return
    if turn.line.gate.landing is None:
        feed(turn, landing.Paused(paused=True))
    else:  # the gate may hear nothing else before it knows whether it landed
        turn.line = replace(turn.line, gate=replace(turn.line.gate, paused=True))
