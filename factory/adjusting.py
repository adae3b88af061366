"""What a decision changes in the line, and how it is taken back: the same whoever decided.

The iron rules hold here too, whatever an event says: a required station is neither sampled nor
retired. What may land is hashed anew when an optional station sees less than all.
"""

import hashlib
import json
from dataclasses import replace
from typing import assert_never

from factory import landing
from factory.asking import seats_changed
from factory.changes import (
    Advice,
    Change,
    LimitWip,
    Order,
    Reorder,
    Replace,
    Restore,
    Retire,
    Sample,
    SetSeats,
    SetSlots,
)
from factory.events import Decided, Measured, Rules, Stop, Undone, Working
from factory.feeding import feed
from factory.retiring import leaves, optional, returns
from factory.turn import Turn
from stations.contract import Kind
from worktrees.names import StationName


def decided(turn: Turn, event: Decided) -> None:
    """Keep a decision, and change the line by it when it is to be applied."""
    turn.line = replace(turn.line, decided={**turn.line.decided, event.number: event})
    if event.applied:
        _apply(turn, event.chosen.change)


def measured(turn: Turn, event: Measured) -> None:
    """Keep what a decision has done."""
    turn.line = replace(turn.line, measured={**turn.line.measured, event.number: event})


def undone(turn: Turn, event: Undone) -> None:
    """Take a decision back, once."""
    known = turn.line.decided.get(event.number)
    if known is None or event.number in turn.line.undone or not known.applied:
        return
    turn.line = replace(turn.line, undone={**turn.line.undone, event.number: event})
    if known.back is not None:
        _apply(turn, known.back)


def effective_hash(rules: Rules) -> str:
    """Give the hash of a line as it works now: the configured one while every station sees all."""
    first = rules.configured or rules.hash
    part = {name: every for name, every in sorted(rules.sampled.items()) if every > 1}
    if not part and not rules.retired:
        return first
    text = json.dumps([first, part, sorted(rules.retired)])
    return hashlib.sha256(text.encode()).hexdigest()


def _apply(turn: Turn, change: Change) -> None:
    rules = turn.line.rules
    match change:
        case LimitWip(wip=wip):
            _rule(turn, replace(rules, wip=None if wip is None else max(1, wip)))
        case Reorder(station=station, order=order):
            orders = {name: each for name, each in rules.orders.items() if name != station}
            if order is not Order.ARRIVAL:
                orders[station] = order
            _rule(turn, replace(rules, orders=orders))
        case Replace(job=job, attempt=attempt):
            work = turn.line.jobs.get(job)
            if work is not None and isinstance(work.place, Working) and work.attempt == attempt:
                turn.actions.append(Stop(job=job, attempt=attempt))
        case SetSeats(seats=seats, station=station):
            if seats >= 1 and (station is None or turn.knows(station)):
                seats_changed(turn, seats, station)
        case SetSlots(slots=slots):
            if slots >= 1:
                _rule(turn, replace(rules, slots=slots))
                _slots(turn, slots)
        case Sample(station=station, every=every):
            _sample(turn, station, every)
        case Retire(station=station):
            leaves(turn, station)
            _rehash(turn)
        case Restore(station=station):
            returns(turn, station)
            _rehash(turn)
        case Advice():
            pass
        case _:
            assert_never(change)


def _sample(turn: Turn, station: StationName, every: int) -> None:
    rules = turn.line.rules
    spec = next((each for each in rules.stations if each.name == station), None)
    if spec is None or not optional(spec) or spec.kind is not Kind.REVIEW:
        return
    sampled = {name: each for name, each in rules.sampled.items() if name != station}
    if every > 1:
        sampled[station] = every
    _rule(turn, replace(rules, sampled=sampled))
    _rehash(turn)


def _rehash(turn: Turn) -> None:
    rules = turn.line.rules
    configured = rules.configured or rules.hash
    _rule(turn, replace(rules, configured=configured, hash=effective_hash(rules)))


def _rule(turn: Turn, rules: Rules) -> None:
    turn.line = replace(turn.line, rules=rules)


def _slots(turn: Turn, slots: int) -> None:
    if turn.line.gate.landing is None:
        feed(turn, landing.Slots(n=slots))
    else:  # the gate may hear nothing else before it knows whether it landed
        turn.line = replace(turn.line, gate=replace(turn.line.gate, slots=slots))
