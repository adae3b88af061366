"""What becomes of work at a station that left the line: another one that may hold it, or a person.

A required station never leaves, whoever asks: `leaves` is the one place that lets one go.
"""

from collections.abc import Collection
from dataclasses import replace
from typing import Final

from factory.events import NeedsYou, Resting, Rules, Waiting
from factory.reviews import pass_on
from factory.turn import Turn
from stations.contract import Job, Kind, StationSpec
from worktrees.names import StationName

GOES: Final = frozenset({Kind.REVIEW, Kind.CODE, Kind.COMMAND})
"""The kinds of stations without which a line can go on."""


def heir_of(rules: Rules, job: Job, station: StationName) -> StationName | None:
    """Give the station that can take a job over: of the same kind, its scope holding the job's.

    One that itself hands work on to a station that left would have it back at once, for ever.
    """
    gone = rules.station(station)
    for spec in rules.stations:
        alike = spec.kind is gone.kind and not spec.at_merge and spec.run == gone.run
        free = spec.name not in {station, *rules.retired}
        holds = alike and free and job.scope.inside(spec.scope)
        if holds and not _leads(rules, spec.name, {station, *rules.retired}):
            return spec.name
    return None


def _leads(rules: Rules, start: StationName, to: Collection[str]) -> bool:
    """Say whether work that a station does not manage may be handed on to one of these."""
    reached, todo = set[str](), [str(start)]
    while todo:
        name = todo.pop()
        if name in reached or not any(spec.name == name for spec in rules.stations):
            continue  # the inbox and the end are no stations
        reached.add(name)
        todo += rules.station(name).on.values()
    return not reached.isdisjoint(to)


def optional(spec: StationSpec) -> bool:
    """Say whether a station may leave the line: its person wrote so, and work can go without."""
    return not spec.required and not spec.at_merge and spec.kind in GOES


def leaves(turn: Turn, station: StationName) -> None:
    """Let an optional station take no more work; a required one stays."""
    rules = turn.line.rules
    if turn.knows(station) and optional(rules.station(station)) and station not in rules.retired:
        turn.line = replace(turn.line, rules=replace(rules, retired=(*rules.retired, station)))
        reroute(turn)


def returns(turn: Turn, station: StationName) -> None:
    """Let a station that left take work again."""
    rules = turn.line.rules
    stay = tuple(name for name in rules.retired if name != station)
    turn.line = replace(turn.line, rules=replace(rules, retired=stay))


def reroute(turn: Turn) -> None:
    """Send what waits at stations that left to others, to the gate, or to a person."""
    rules = turn.line.rules
    if not rules.retired or turn.line.gate.landing is not None:
        return  # the gate may hear nothing before it knows whether that landed
    for work in tuple(turn.line.jobs.values()):
        if work.station not in rules.retired or not isinstance(work.place, Waiting | Resting):
            continue
        if work.author is not None:
            pass_on(turn, work, f"not reviewed: station {work.station} left the line")
            continue
        heir = heir_of(rules, work.job, work.station)
        if heir is not None:
            turn.hand_off(work, heir, f"station {work.station} left the line")
        elif work.answering:
            pass_on(turn, work, f"what it asked for was not done: {work.station} left the line")
        else:
            question = f"station {work.station} left the line and no other holds this job's scope"
            turn.put(work.job.id, NeedsYou(question=f"{question}: what should become of it?"))
