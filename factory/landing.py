"""The landing rules: which branches are tested together, and when what was tested may land.

A test run answers one bit, so disjoint groups of branches are tested side by side, and one proof
at a time tests the union of the groups that passed. Only a proof lands, and only on the target it
was tested on. A red union is halved until one branch stands alone; two reds of its own send that
branch back, and it never holds up another.
"""

from collections.abc import Mapping
from dataclasses import replace
from itertools import chain, pairwise
from math import ceil, floor, log
from typing import Literal, assert_never

from factory.gate import (
    Arrived,
    Cancel,
    Cause,
    Composed,
    Entry,
    Gate,
    GateError,
    Group,
    Input,
    Land,
    Landed,
    Moved,
    Output,
    Paused,
    Refused,
    Result,
    Return,
    Run,
    Slots,
    Start,
    Withdrawn,
    check,
    flat,
    held,
    opened,
    position,
)
from worktrees.names import JobId, Oid

__all__ = [
    "Arrived",
    "Cancel",
    "Cause",
    "Composed",
    "Entry",
    "Gate",
    "GateError",
    "Group",
    "Input",
    "Land",
    "Landed",
    "Moved",
    "Output",
    "Paused",
    "Refused",
    "Result",
    "Return",
    "Run",
    "Slots",
    "Start",
    "Step",
    "Withdrawn",
    "check",
    "gate",
    "held",
    "opened",
    "position",
]

PASSES = 0.6
"""How likely a new group shall pass: near a half a verdict tells most, above it more lands."""

Step = tuple[Gate, tuple[Output, ...]]


def gate(state: Gate, event: Input) -> Step:
    """Give the gate after one input, and what the host must do now, in this order."""
    if state.landing is not None and not isinstance(event, Landed | Refused):
        fault = f"told {event.kind} before it was told whether {state.landing} landed"
        raise GateError(fault)
    told, outputs = _told(state, event)
    after, started = _filled(told)
    if _weight(after) != _weight(state) + _change(state, event, outputs):
        fault = f"lost count of the branches when told {event.kind}"
        raise GateError(fault)
    return after, outputs + started


def _told(state: Gate, event: Input) -> Step:
    match event:
        case Arrived():
            return _arrived(state, event.branches), ()
        case Composed():
            return _composed(state, event)
        case Result():
            return _result(state, event)
        case Landed():
            return _landed(state, _asked(state), event.tip), ()
        case Refused():
            back = _unended(state, _asked(state))
            return replace(back, target=event.tip, landing=None), ()
        case Moved():
            return _moved(state, event.tip)
        case Withdrawn():
            return _withdrawn(state, event.job)
        case Slots():
            return replace(state, slots=event.n), ()
        case Paused():
            return replace(state, paused=event.paused), ()
        case _:
            assert_never(event)


def _arrived(state: Gate, branches: tuple[Entry, ...]) -> Gate:
    after = replace(state, todo=state.todo + branches)
    jobs = held(after)
    if len(set(jobs)) < len(jobs):
        fault = f"in the gate already: one of {[entry.job for entry in branches]}"
        raise GateError(fault)
    return after


def _composed(state: Gate, event: Composed) -> Step:
    run = state.runs.get(event.run)
    if run is None:
        return state, ()
    refused = tuple(job for job in run.jobs if job in event.base_clash)
    alone = tuple(job for job in run.jobs if job in event.mate_clash and job not in refused)
    if not refused and not alone:
        return state, ()
    kept = _without(run.groups, refused + alone)
    after = replace(
        _ended(state, event.run),
        pool=state.pool + tuple((job,) for job in alone),
        strikes=_forgiven(state, refused),
    )
    if kept:
        after = replace(after, runs={**state.runs, event.run: replace(run, groups=kept)})
    return after, tuple(Return(job=job, cause=Cause.CONFLICT, run=event.run) for job in refused)


def _result(state: Gate, event: Result) -> Step:
    run = state.runs.get(event.run)
    if run is None:
        return state, ()
    if event.verdict == "lost":
        return _unended(state, event.run), ()
    if event.verdict == "red":
        return _red(_ended(state, event.run), run.groups, event)
    if run.kind == "group":
        return replace(_ended(state, event.run), green=state.green + run.groups), ()
    if run.base != state.target:
        fault = f"run {event.run} proved {run.base}, but the target is {state.target}"
        raise GateError(fault)
    return replace(state, landing=event.run), (Land(run=event.run, jobs=run.jobs),)


def _red(state: Gate, groups: tuple[Group, ...], event: Result) -> Step:
    """Halve what failed, a proof by its groups and a group by its branches, or strike one."""
    if len(groups) > 1:
        # Unless the next proof is half of this one, the same union may fail for ever.
        middle = len(groups) // 2
        rest = flat(groups[middle:])
        return replace(state, forced=groups[:middle], pool=(*state.pool, rest)), ()
    (group,) = groups
    if len(group) > 1:
        return replace(state, pool=_parts(state, group, event.suspects) + state.pool), ()
    (job,) = group
    if job not in state.strikes:
        strikes = {**state.strikes, job: 1}
        return replace(state, pool=(*state.pool, group), strikes=strikes), ()
    after = replace(state, strikes=_forgiven(state, group), returned=state.returned + 1)
    return after, (Return(job=job, cause=Cause.RED, run=event.run),)


def _parts(state: Gate, group: Group, suspects: tuple[JobId, ...]) -> tuple[Group, ...]:
    """Split a group by the hint, else over the free slots, at least in halves."""
    named = tuple(job for job in group if job in suspects)
    if 0 < len(named) < len(group):
        return named, tuple(job for job in group if job not in suspects)
    # A second free slot means that nothing else waits for it.
    count = min(len(group), max(2, state.idle))
    cuts = [len(group) * part // count for part in range(count + 1)]
    return tuple(group[start:end] for start, end in pairwise(cuts))


def _landed(state: Gate, number: int, tip: Oid) -> Gate:
    jobs = state.runs[number].jobs
    return replace(
        _ended(state, number),
        target=tip,
        landing=None,
        landed=state.landed + len(jobs),
        strikes=_forgiven(state, jobs),
    )


def _moved(state: Gate, tip: Oid) -> Step:
    if state.proof is None or tip == state.target:
        return replace(state, target=tip), ()
    return replace(_unended(state, state.proof), target=tip), (Cancel(run=state.proof),)


def _withdrawn(state: Gate, job: JobId) -> Step:
    running = tuple(number for number, run in state.runs.items() if job in run.jobs)
    for number in running:
        state = _unended(state, number)
    after = replace(
        state,
        todo=tuple(entry for entry in state.todo if entry.job != job),
        pool=_without(state.pool, (job,)),
        green=_without(state.green, (job,)),
        forced=_without(state.forced, (job,)),
        strikes=_forgiven(state, (job,)),
    )
    return after, tuple(Cancel(run=number) for number in running)


def _filled(state: Gate) -> Step:
    """Use the free slots: what is due comes first, until nothing is."""
    started: list[Start] = []
    while state.idle > 0 and not state.paused:
        rest, run = _due(state)
        if run is None:
            break
        number = state.next_run
        started.append(Start(run=number, base=run.base, jobs=run.jobs))
        state = replace(rest, runs={**state.runs, number: run}, next_run=number + 1)
    return state, tuple(started)


def _due(state: Gate) -> tuple[Gate, Run | None]:
    """Take out what to test next: the proof, else suspects, else newcomers."""
    if state.forced:
        return replace(state, forced=()), _run(state, "proof", state.forced)
    undecided = len(state.runs) + len(state.pool) + bool(state.todo)
    if state.proof is None and len(state.green) >= max(1, undecided):
        return replace(state, green=()), _run(state, "proof", state.green)
    if state.pool:
        return replace(state, pool=state.pool[1:]), _run(state, "group", state.pool[:1])
    if state.todo:
        group, todo = _newcomers(state)
        return replace(state, todo=todo), _run(state, "group", (group,))
    return state, None


def _newcomers(state: Gate) -> tuple[Group, tuple[Entry, ...]]:
    """Part todo into a new group, the oldest and then its scope's oldest first, and the rest."""
    likely = max(1, floor(log(PASSES) / log(1 - state.bad)))
    size = min(ceil(len(state.todo) / state.idle), likely)
    key = state.todo[0].scope_key
    # The sort is stable: within the scope, and among the others, the oldest stay in front.
    ranked = sorted(state.todo, key=lambda entry: entry.scope_key != key)
    group = tuple(entry.job for entry in ranked[:size])
    taken = frozenset(group)
    return group, tuple(entry for entry in state.todo if entry.job not in taken)


def _run(state: Gate, kind: Literal["group", "proof"], groups: tuple[Group, ...]) -> Run:
    return Run(kind=kind, base=state.target, groups=groups)


def _asked(state: Gate) -> int:
    if state.landing is None:
        raise GateError("told of a landing that was not asked for")
    return state.landing


def _ended(state: Gate, number: int) -> Gate:
    """Free a run's slot; its branches are in nobody's hand until the caller places them."""
    return replace(state, runs={n: run for n, run in state.runs.items() if n != number})


def _unended(state: Gate, number: int) -> Gate:
    """Take a run back without a verdict: its groups wait again, in front."""
    run, rest = state.runs[number], _ended(state, number)
    if run.kind == "proof":
        return replace(rest, green=run.groups + rest.green)
    return replace(rest, pool=run.groups + rest.pool)


def _forgiven(state: Gate, jobs: Group) -> Mapping[JobId, int]:
    return {job: count for job, count in state.strikes.items() if job not in jobs}


def _without(groups: tuple[Group, ...], jobs: Group) -> tuple[Group, ...]:
    gone = frozenset(jobs)
    kept = (tuple(job for job in group if job not in gone) for group in groups)
    return tuple(group for group in kept if group)


def _weight(state: Gate) -> int:
    groups = (*state.pool, *state.green, *state.forced)
    running = chain.from_iterable(run.groups for run in state.runs.values())
    return len(state.todo) + sum(map(len, chain(groups, running)))


def _change(state: Gate, event: Input, outputs: tuple[Output, ...]) -> int:
    """Say how many branches more there must be after an input that was answered so."""
    match event:
        case Arrived():
            return len(event.branches)
        case Landed():
            return -len(state.runs[_asked(state)].jobs)
        case Withdrawn():
            return -(event.job in held(state))
        case _:
            return -sum(isinstance(output, Return) for output in outputs)
