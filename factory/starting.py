"""What starts next: the longest waiting first, as far as needs, seats, scopes and budgets allow."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from factory.budgets import REMEDY, exhausted
from factory.changes import Order
from factory.events import Closing, Dead, InGate, Reason, Resting, Start, Waiting, Working
from factory.feeding import close
from factory.outcomes import broke, lose
from factory.retiring import reroute
from factory.reviews import pass_on
from factory.state import Breaker, Work, answers, blocked_by, by_model, hopeless, under_way, unmet
from factory.turn import Turn
from stations.contract import Assignment, Brief, StationSpec
from worktrees.names import JobId, StationName
from worktrees.scope import Scope

MINUTE: Final = 60


PATIENCE: Final = 120.0
"""Seconds for which providers may tell us to wait before a line with nothing else to do closes."""


def fill(turn: Turn) -> None:
    """Start what may start; close the line when only a budget or a provider holds it up."""
    _check_budget(turn)
    _wake(turn)
    reroute(turn)
    if turn.line.closing is not None or turn.line.paused:
        return
    while _start_all(turn):
        pass  # who left the queue may have been what another one there needs
    _check_limits(turn)
    _check_shut(turn)


def _start_all(turn: Turn) -> bool:
    """Start the longest waiting first, and say whether some left the queue without a start."""
    held = under_way(turn.line)
    active = [work for work in held if isinstance(work.place, Working)]
    free = turn.line.rules.seats - len(active)
    wip = turn.line.rules.wip
    begun = 0 if wip is None else _inside(turn)
    taken: dict[StationName, int] = {}
    for work in active:
        taken[work.station] = taken.get(work.station, 0) + 1
    left: list[JobId] = []
    gone = False
    shut: set[Scope] = set()
    queue = iter(_ordered(turn))
    for job in queue:
        work = turn.line.jobs[job]
        if not isinstance(work.place, Waiting):
            continue
        if free <= 0:
            left.append(job)
            left.extend(queue)
            break
        passed = work.midway or work.job.scope not in shut
        room = work.attempt > 0 or wip is None or begun < wip
        if passed and room and _may_start(turn, work, taken):
            if not work.midway and blocked_by(held, work) is not None:
                shut.add(work.job.scope)
                left.append(job)
                continue
            begun += not work.attempt
            _start(turn, work)
            held.append(work)
            taken[work.station] = taken.get(work.station, 0) + 1
            free -= 1
        elif isinstance(turn.line.jobs[job].place, Waiting):
            left.append(job)
        else:
            gone = True
    if tuple(left) != turn.line.queue:
        turn.line = replace(turn.line, queue=tuple(left))
    return gone


def _inside(turn: Turn) -> int:
    """Give how many jobs are begun and not ended, without those that nobody here can go on with."""
    shut, places = turn.line.shut, (Working, Resting, Waiting, InGate)
    works = [work for work in turn.line.jobs.values() if isinstance(work.place, places)]
    return sum(work.attempt > 0 and work.station not in shut for work in works)


def _ordered(turn: Turn) -> Sequence[JobId]:
    """Give the queue, with the stations that start in another order than that of arrival."""
    queue, orders = turn.line.queue, turn.line.rules.orders
    if not orders:
        return queue
    ages = {job: age for age, job in enumerate(turn.line.jobs)}

    def rank(job: JobId) -> tuple[float, int]:
        work = turn.line.jobs[job]
        sized = orders[work.station] is Order.SHORTEST
        # What a job took before is the best guess of what it takes again; else its brief's length.
        took = work.spend.seconds / work.attempt if work.attempt else len(work.job.brief) / 1000
        return (took if sized else 0.0, ages[job])

    found = list(queue)
    for station in orders:
        places = [n for n, job in enumerate(queue) if turn.line.jobs[job].station == station]
        ranked = sorted((queue[n] for n in places), key=rank)
        for place, job in zip(places, ranked, strict=True):
            found[place] = job
    return found


def _may_start(turn: Turn, work: Work, taken: Mapping[StationName, int]) -> bool:
    """Say whether needs, budget, breaker and seats let a job start; its scope is yet to see."""
    lost = next((need for need in work.job.needs if hopeless(turn.line, need)), None)
    if work.author is None and lost is not None and unmet(turn.line, work.job):
        turn.put(work.job.id, Dead(fault=f"it needs {lost}, which did not land"))
        return False
    spec = turn.line.rules.station(work.station)
    spent = exhausted(work.job.budget, work.spend, calls=by_model(spec))
    gone = turn.line.shut.get(spec.name, "")
    if spent or gone:
        _without(turn, work, spec, spent, gone)
        return False
    breaker = turn.line.breakers.get(spec.name, Breaker())
    busy = taken.get(spec.name, 0)
    if turn.now < breaker.until or (breaker.opened and busy):
        return False
    if spec.seats and busy >= spec.seats:
        return False
    return work.author is not None or not unmet(turn.line, work.job)


def _without(turn: Turn, work: Work, spec: StationSpec, spent: str, gone: str) -> None:
    """Go on with a job that has no budget left (``spent``) or whose station has none (``gone``)."""
    if turn.line.gate.landing is not None:
        return  # the gate may hear nothing before it knows whether that landed
    if work.author is not None:
        pass_on(turn, work, f"not reviewed: {spent or gone}")
    elif spent:
        broke(turn, work, spec, f"{spent}; {REMEDY}", work.failure)
    elif work.answering:
        lose(turn, work, spec, "failed", gone, work.failure)


def _check_limits(turn: Turn) -> None:
    line = turn.line
    if line.limited is None or turn.now - line.limited < PATIENCE or line.trials:
        return
    places = [work.place for work in line.jobs.values()]
    resting = [place for place in places if isinstance(place, Resting)]
    moves = any(isinstance(place, Working | InGate) for place in places)
    if resting and not moves and all(place.limited for place in resting):
        why = f"nothing else is left to do: {resting[0].why}"
        close(turn, Closing(reason=Reason.LIMITED, why=why))


def _check_shut(turn: Turn) -> None:
    line = turn.line
    if not line.shut or line.closing is not None or not line.still:
        return
    held_up = [
        work.station
        for work in line.jobs.values()
        if work.station in line.shut
        and isinstance(work.place, Waiting)
        and not unmet(line, work.job)
    ]
    if held_up:
        name = held_up[0]
        why = f"nothing else is left to do: the budget of station {name} is spent"
        close(turn, Closing(reason=Reason.BUDGET, why=f"{why} ({line.shut[name]})"))


def _start(turn: Turn, work: Work) -> None:
    job, spec = work.job, turn.line.rules.station(work.station)
    target = turn.line.gate.target
    repairs = work.commit is not None
    base = work.commit if work.commit is not None else target
    judged_from = work.judged_from if repairs and work.judged_from else target
    serial = turn.line.serial
    seconds = spec.timeout
    if job.budget.seconds is not None:
        seconds = min(seconds, max(1.0, job.budget.seconds - work.spend.seconds))
    if spec.budget.seconds is not None:
        used = turn.line.used.get(spec.name, 0.0)
        seconds = min(seconds, max(1.0, spec.budget.seconds - used))
    found = {need: text for need in job.needs for text in answers(turn.line, need)}
    work = turn.change(
        job.id,
        place=Working(station=spec.name, serial=serial),
        since=turn.now,
        attempt=work.attempt + 1,
        tries=work.tries + (work.author is None),
        unanswered=(*work.unanswered, work.attempt + 1),
        base=base,
        judged_from=judged_from,
    )
    turn.line = replace(turn.line, serial=serial + 1)
    brief = Brief(
        title=job.title, text=job.brief, failure=work.failure, found=found, told=work.told
    )
    assignment = Assignment(
        run=turn.line.run,
        job=job.id,
        station=spec.name,
        attempt=work.attempt,
        serial=serial,
        base=base,
        judged_from=judged_from,
        scope=job.scope,
        brief=brief,
        seconds=seconds,
        idle=spec.idle,
        line=turn.line.rules.hash,
        raised=work.raised if by_model(spec) and work.author is None else 0,
        wrote=work.wrote if repairs else 0,
        depth=job.depth,
        accept=job.accept,
        budget=job.budget,
    )
    turn.actions.append(Start(assignment=assignment))


def _wake(turn: Turn) -> None:
    for work in turn.line.jobs.values():
        if isinstance(work.place, Resting) and work.place.until <= turn.now:
            turn.wait(work.job.id)


def _check_budget(turn: Turn) -> None:
    seconds = turn.line.rules.budget.seconds
    closing = turn.line.closing
    if seconds is None or (closing is not None and not closing.lands):
        return
    if turn.now - turn.line.opened_at >= seconds:
        time = f"{seconds:g} seconds" if seconds < MINUTE else f"{seconds / MINUTE:g} minutes"
        close(turn, Closing(reason=Reason.BUDGET, why=f"the run's {time} are up"))
