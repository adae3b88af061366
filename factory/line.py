"""The line: one pure step from (state, event, time) to (state, actions).

It routes jobs through their stations, retries with backoff, opens breakers, respects needs, seats
and overlapping scopes, feeds the gate and answers for what the gate returns. It knows no clock,
no file and no thread: the same events give the same line, so replaying the ledger restores it.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import assert_never

from factory import adjusting, landing
from factory.asking import killed, retried, steered
from factory.events import (
    Action,
    Advanced,
    Closed,
    Closing,
    Decided,
    Delivered,
    Delivering,
    Event,
    Finished,
    GateAwaits,
    GateComposed,
    GateTried,
    Killed,
    Landing,
    Measured,
    Missed,
    Moved,
    Noted,
    Opened,
    Paused,
    Placed,
    PullMerged,
    Refused,
    Reproduced,
    Resting,
    Resumed,
    Retried,
    Started,
    Steered,
    Undelivered,
    Undone,
    WakeAt,
    Withdrawn,
    Woke,
)
from factory.feeding import advanced, await_again, awaited, close, composed, feed, tried
from factory.outcomes import BREAKS, finished
from factory.proposing import proposed
from factory.reviews import remark_line
from factory.starting import fill
from factory.state import Line, Work, blocked_by, opened, under_way, unmet
from factory.turn import Turn

__all__ = [
    "BREAKS",
    "Line",
    "Work",
    "blocked_by",
    "opened",
    "remark_line",
    "replay",
    "step",
    "under_way",
    "unmet",
]


def step(line: Line, event: Event, now: float) -> tuple[Line, tuple[Action, ...]]:
    """Give the line after ``event`` at ``now`` (seconds, never running back) and what to do."""
    turn = Turn(line, now)
    _take(turn, event)
    fill(turn)
    return turn.line, tuple(turn.actions)


def replay(events: Iterator[tuple[Event, float]]) -> Line:
    """Give the line that these events made, the first of them ``Opened``; ValueError if not."""
    first, at = next(events)
    if not isinstance(first, Opened):
        raise ValueError(f"a run begins with `opened`, not with `{first.kind}`")  # noqa: TRY004
    line = opened(first, at)
    for event, now in events:
        line, _ = step(line, event, now)
    return line


def _take(turn: Turn, event: Event) -> None:
    match event:
        case Placed(jobs=jobs):
            turn.place_new(jobs)
        case Refused(job=job, why=why):
            turn.put(job, Withdrawn(why=why, met=False))
        case Finished():
            finished(turn, event)
        case GateComposed():
            composed(turn, event)
        case GateTried():
            tried(turn, event)
        case GateAwaits():
            awaited(turn, event)
        case Advanced():
            advanced(turn, event)
        case Missed(tip=tip):
            feed(turn, landing.Refused(tip=tip))
        case Moved(tip=tip):
            feed(turn, landing.Moved(tip=tip))
        case Steered(job=job, text=text):
            steered(turn, job, text)
        case Killed(job=job):
            killed(turn, job)
        case Retried(job=job):
            retried(turn, job)
        case Paused(on=on):
            turn.line = replace(turn.line, paused=on)
            feed(turn, landing.Paused(paused=turn.line.gated))
        case Decided():
            adjusting.decided(turn, event)
        case Measured():
            adjusting.measured(turn, event)
        case Undone():
            adjusting.undone(turn, event)
        case Closing():
            close(turn, event)
        case Resumed():
            _resumed(turn, event)
        case Reproduced() | Delivered() | Undelivered() | PullMerged():
            proposed(turn, event)
        case Opened() | Started() | Landing() | Woke() | Noted() | Delivering() | Closed():
            pass
        case _:
            assert_never(event)


def _resumed(turn: Turn, event: Resumed) -> None:
    rules = turn.line.rules
    turn.line = replace(
        turn.line,
        rules=rules if event.budget is None else replace(rules, budget=event.budget),
        serial=max(turn.line.serial, event.serial),
        closing=None,
        paused=False,
        losses=0,
        breakers={},
        used={},
        shut={},
        limited=None,
        undelivered={},
        opened_at=turn.now,
    )
    for work in turn.line.jobs.values():
        if isinstance(work.place, Resting):  # its alarm went with the process that set it
            turn.actions.append(WakeAt(when=work.place.until))
    feed(turn, landing.Paused(paused=True))  # nothing starts until the gate knows what is lost
    if turn.line.gate.target != event.tip:
        feed(turn, landing.Moved(tip=event.tip))
    for trial, held in tuple(turn.line.trials.items()):
        if not held.external:
            feed(turn, landing.Result(run=trial, verdict="lost"))
    feed(turn, landing.Paused(paused=False))
    await_again(turn)
