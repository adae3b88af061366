"""The iron rules: what neither the loop nor anybody through it may change.

A required station is never retired or sampled, a test, review or gate never has fewer seats than
one, and nothing here can name a command, a time limit or a threshold: there is no such change.
"""

from typing import assert_never

from factory.changes import (
    Advice,
    Change,
    LimitWip,
    Option,
    Reorder,
    Replace,
    Restore,
    Retire,
    Sample,
    SetSeats,
    SetSlots,
)
from factory.pace.layout import Layout


def broken(layout: Layout, change: Change) -> str:
    """Say why a change may not be made; empty when it may."""
    match change:
        case LimitWip(wip=wip):
            return (
                "a limit of work in progress is at least 1" if wip is not None and wip < 1 else ""
            )
        case Reorder(station=station):
            return _unknown(layout, station)
        case Replace(job=job, attempt=attempt):
            there = any((a.job, a.attempt) == (job, attempt) for a in layout.at_work)
            return "" if there else f"attempt {attempt} of {job} is not under way any more"
        case SetSeats(seats=seats, station=station):
            if station is None:
                return _count(seats, layout.most_seats, "the line", "seats")
            fault = _unknown(layout, station)
            return fault or _count(seats, layout.spots[station].most, station, "seats")
        case SetSlots(slots=slots):
            return _count(slots, layout.most_slots, "the gate", "slots")
        case Sample(station=station, every=every):
            if every < 1:
                return "one in less than one cannot be"
            fault = _unknown(layout, station) or _required(layout, station, "sampled")
            return fault or _whole(layout, station)
        case Retire(station=station):
            return _unknown(layout, station) or _required(layout, station, "retired")
        case Restore(station=station):
            return _unknown(layout, station)
        case Advice():
            return "only a person can change that"
        case _:
            assert_never(change)


def lawful(layout: Layout, option: Option) -> bool:
    """Say whether an option may be shown: what is for a person breaks nothing."""
    return isinstance(option.change, Advice) or not broken(layout, option.change)


def _unknown(layout: Layout, station: str) -> str:
    return "" if station in layout.spots else f"there is no station {station}"


def _required(layout: Layout, station: str, what: str) -> str:
    if layout.spots[station].optional:
        return ""
    return f"station {station} is required: it is never {what}"


def _whole(layout: Layout, station: str) -> str:
    if layout.spots[station].samples:
        return ""
    return f"station {station} makes changes: it cannot see a part of them"


def _count(given: int, most: int, who: str, what: str) -> str:
    if given < 1:
        return f"{who} needs at least one of its {what}"
    if given > most:
        return f"{who} may have at most {most} {what} ([pace] max_seats)"
    return ""
