"""The controller: looks at a line from time to time and gives at most one decision.

Pure: what was measured, the layout, what a person allows and what was decided before come in;
events come out. One change at a time, or nothing could be learnt from it: after each comes a
probation, at whose end it stays or is taken back. An attempt that hangs is replaced at any time.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, assert_never

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
from factory.events import Decided, Measured, Undone
from factory.pace.catalogue import Policy, catalogue, replacements
from factory.pace.iron import broken
from factory.pace.judging import COOL, cooled, inputs, judge
from factory.pace.layout import Layout
from factory.pace.odds import limit
from factory.pace.takt import saturated
from factory.pace.values import Chance, Limit, Pace
from factory.pace.windows import whole
from worktrees.names import JobId

EVERY: Final = 5
"""Landings between two looks."""
SURE: Final = 0.9
"""How likely a station must be the constraint before anything is done about it.

At 0.8 a line whose stations all tie was changed three times as often in the simulation.
"""
SEEN: Final = 8
"""Visits that must have finished there."""
GAIN: Final = 1.1
"""What a change must promise in the half of all draws."""
LEAST: Final = 1.05
"""What it must promise in nine of ten: where stations nearly tie, it does not."""
LOSS: Final = 0.97
"""What a change that shortens the lead may at most cost in rate, at worst."""
AGAIN: Final = 100
"""Landings after which something that was taken back may be tried again."""
REPEAT: Final = 100
"""Landings after which the same suggestion is made again."""

Verdict = Decided | Measured | Undone


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """What was decided in this run, by its number, and what became of it."""

    decided: Mapping[int, Decided] = field(default_factory=dict)
    measured: Mapping[int, Measured] = field(default_factory=dict)
    undone: Mapping[int, Undone] = field(default_factory=dict)

    @property
    def next(self) -> int:
        """Give the number of the next decision."""
        return max(self.decided, default=0) + 1

    @property
    def steady(self) -> int:
        """Give the landing from which on the line tells of itself, after what was changed last."""
        kept = [cooled(each.inputs) for each in self.decided.values() if _lasts(each)]
        back = [
            each.ships + max(COOL, self.decided[number].inputs.inside)
            for number, each in self.undone.items()
        ]
        return max([0, *kept, *back])

    @property
    def open(self) -> Decided | None:
        """Give the change that is on probation; None without one."""
        for number, decided in self.decided.items():
            ended = number in self.measured or number in self.undone
            if _lasts(decided) and not ended:
                return decided
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What a look leaves for the next one; it is lost with the process, which costs one look."""

    ships: int = 0
    station: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a look sees."""

    pace: Pace
    layout: Layout
    policy: Policy
    past: Past
    chance: Chance


def look(seen: Look, memory: Memory) -> tuple[tuple[Verdict, ...], Memory]:
    """Give what is decided now, mostly nothing, and what to remember."""
    if seen.policy.mode == "off":
        return (), memory
    hung = _hung(seen)
    if hung:
        return hung, memory
    open_ = seen.past.open
    if open_ is not None:
        return _probation(seen, open_), memory
    if seen.pace.landed < memory.ships + EVERY:
        return (), memory
    limits = limit(seen.pace, seen.chance)
    after = Memory(ships=seen.pace.landed, station=limits.station)
    if seen.pace.landed < seen.past.steady + SEEN:
        return (), after
    if limits.station is None or limits.station != memory.station or not clear(seen, limits):
        return (), after
    longer = replace(seen, pace=whole(seen.pace))
    limits = limit(longer.pace, seen.chance)
    if limits.station != after.station or not clear(longer, limits):
        return (), after  # of late it looks so, on the whole it does not: chance, or a beginning
    decided = _decision(longer, limits)
    return ((decided,) if decided is not None else ()), after


def clear(seen: Look, limits: Limit) -> bool:
    """Say whether it is sure enough what limits the line, and that it is the line that does."""
    name = limits.station
    if name is None or limits.odds.get(name, 0.0) < SURE:
        return False
    if seen.pace.stations[name].finished < SEEN or not saturated(seen.pace, limits):
        return False
    wanted = seen.policy.wanted
    return wanted is None or limits.bound < wanted


def options(seen: Look, limits: Limit) -> tuple[Option, ...]:
    """Give everything that may be done now, hung attempts first."""
    known = catalogue(seen.pace, limits, seen.layout, seen.policy, seen.chance)
    return (*replacements(seen.pace, seen.layout), *known)


def named(seen: Look, limits: Limit, name: str) -> Option | str:
    """Give the option of that name, or why there is none to apply."""
    known = options(seen, limits)
    option = next((each for each in known if each.name == name), None)
    if option is None:
        names = ", ".join(each.name for each in known) or "nothing"
        return f"there is no option {name} now; there is {names}"
    if isinstance(option.change, Advice):
        key = f" ({option.change.key} in factory.toml)" if option.change.key else ""
        return f"{name} is for a person to change{key}"
    return option


def chosen(seen: Look, option: Option, *, by: str) -> Decided | str:
    """Give the decision for an option that somebody was shown and chose, or why it cannot be."""
    fault = broken(seen.layout, option.change) or _late(seen.layout, option.change)
    if fault:
        return fault
    if seen.past.open is not None and not isinstance(option.change, Replace):
        number = seen.past.open.number
        return f"one change at a time: decision {number} is being measured; undo it first"
    limits = limit(seen.pace, seen.chance)
    return _decided(seen, limits, option, (option,), by=by, applied=True)


def undone(past: Past, number: int, *, by: str, why: str, ships: int) -> Undone | str:
    """Give the event that takes a decision back, or why that cannot be."""
    decided = past.decided.get(number)
    if decided is None:
        return f"there is no decision {number}"
    if number in past.undone:
        return f"decision {number} was undone already"
    if not decided.applied or decided.back is None:
        return f"decision {number} changed nothing that could be taken back"
    later = [
        n
        for n, each in past.decided.items()
        if n > number
        and each.applied
        and n not in past.undone
        and _subject(each.chosen.change) == _subject(decided.chosen.change)
    ]
    if later:
        return f"decision {later[-1]} came after it and changed the same; undo that one first"
    return Undone(number=number, by=by, why=why, ships=ships)


def back_of(layout: Layout, change: Change) -> Change | None:
    """Give the change that takes another one back; None when nothing can."""
    match change:
        case LimitWip():
            return LimitWip(wip=layout.wip)
        case Reorder(station=station):
            return Reorder(station=station, order=layout.spots[station].order)
        case SetSeats(station=station):
            now = layout.seats if station is None else layout.spots[station].seats
            return SetSeats(seats=now, station=station)
        case SetSlots():
            return SetSlots(slots=layout.slots)
        case Sample(station=station):
            return Sample(station=station, every=layout.spots[station].sampled)
        case Retire(station=station):
            return Restore(station=station)
        case Restore(station=station):
            return Retire(station=station)
        case Replace() | Advice():
            return None
        case _:
            assert_never(change)


def _late(layout: Layout, change: Change) -> str:
    """Say why an option is none any more: the line went on since somebody was shown it."""
    match change:
        case SetSeats(seats=seats, station=station):
            now = layout.seats if station is None else layout.spots[station].seats
            return f"{station or 'the line'} has {now} seats by now" if now >= seats else ""
        case SetSlots(slots=slots):
            return f"the gate has {layout.slots} slots by now" if layout.slots >= slots else ""
        case Retire(station=station):
            return f"station {station} left already" if station in layout.retired else ""
        case Restore(station=station):
            return "" if station in layout.retired else f"station {station} has not left"
        case _:
            return ""


def _lasts(decided: Decided) -> bool:
    """Say whether a decision changed the line for longer than an attempt."""
    return decided.applied and not isinstance(decided.chosen.change, Replace)


def _hung(seen: Look) -> tuple[Decided, ...]:
    """Give the replacement of one attempt that hangs, once for each job."""
    known = {
        each.chosen.change.job
        for each in seen.past.decided.values()
        if isinstance(each.chosen.change, Replace)
    }
    for option in replacements(seen.pace, seen.layout):
        assert isinstance(option.change, Replace)  # noqa: S101  (nothing else is a replacement)
        if JobId(option.change.job) not in known:
            # Told twice, a job that is slow by itself would never end.
            limits = limit(seen.pace, seen.chance)
            applied = seen.policy.mode == "auto"
            return (_decided(seen, limits, option, (option,), by="the loop", applied=applied),)
    return ()


def _probation(seen: Look, decided: Decided) -> tuple[Verdict, ...]:
    judged = judge(decided, seen.pace, seen.chance)
    if judged is None:
        return ()
    measured = Measured(
        number=decided.number, after=judged.after, effect=judged.effect, why=judged.why
    )
    back = judged.effect == "worse" and seen.policy.mode == "auto" and decided.by == "the loop"
    if not back or decided.back is None:
        return (measured,)
    ships = seen.pace.landed
    return (measured, Undone(number=decided.number, by="the loop", why=judged.why, ships=ships))


def _decision(seen: Look, limits: Limit) -> Decided | None:
    known = catalogue(seen.pace, limits, seen.layout, seen.policy, seen.chance)
    fresh = [option for option in known if not _tried(seen, option)]
    worth = [option for option in fresh if _pays(option)]
    alone = [option for option in worth if option.alone]
    if seen.policy.mode == "auto" and alone:
        return _decided(seen, limits, _best(alone), known, by="the loop", applied=True)
    said = _best(worth) if worth else next((o for o in known if isinstance(o.change, Advice)), None)
    if said is None:
        said = _person(limits)
    if _said_lately(seen, said):
        return None
    return _decided(seen, limits, said, known, by="the loop", applied=False)


def _best(worth: list[Option]) -> Option:
    """Give the cheapest and safest kind of change, and of that kind the one that gains most.

    What only shortens the lead comes after what gains: its probation would hold that up.
    """
    ordered = [option for option in worth if _faster(option)] or worth
    kind = ordered[0].change.kind
    same = [option for option in ordered if option.change.kind == kind]
    # Of those that gain as much the last one has room to spare: it is not the next constraint.
    return max(reversed(same), key=_gain)


def _gain(option: Option) -> float:
    return 0.0 if option.prediction is None else round(option.prediction.gain.mid, 2)


def _pays(option: Option) -> bool:
    """Say whether a change surely harms nothing and is expected to gain a tenth."""
    prediction = option.prediction
    if prediction is None:
        return False
    if not isinstance(option.change, LimitWip | Reorder):
        return _faster(option)
    sooner = prediction.sooner
    return prediction.gain.low >= LOSS and sooner.low >= 1.0 and sooner.mid >= GAIN


def _faster(option: Option) -> bool:
    gain = None if option.prediction is None else option.prediction.gain
    return gain is not None and gain.low >= LEAST and gain.mid >= GAIN


def _person(limits: Limit) -> Option:
    name = limits.station or ""
    return Option(
        name=f"person-{name}",
        change=Advice(topic="person", station=name),
        why=(
            f"{name} limits the line at {limits.bound:.1f} changes/h and nothing safe is left to"
            f" do; without it {limits.without:.1f}/h"
        ),
        alone=False,
    )


def _tried(seen: Look, option: Option) -> bool:
    """Say whether the like was taken back not long ago, at a line that is as it was then."""
    subject = _subject(option.change)
    return any(
        _subject(seen.past.decided[number].chosen.change) == subject
        and seen.pace.landed - back.ships < AGAIN
        for number, back in seen.past.undone.items()
    )


def _said_lately(seen: Look, option: Option) -> bool:
    return any(
        not each.applied
        and each.chosen.name == option.name
        and seen.pace.landed - each.inputs.ships < REPEAT
        for each in seen.past.decided.values()
    )


def _subject(change: Change) -> tuple[str, str]:
    """Give what a change is about: two that are about the same stand in each other's way."""
    match change:
        case LimitWip() | SetSlots():
            return change.kind, ""
        case Reorder(station=station) | Sample(station=station) | Advice(station=station):
            return change.kind, station
        case Retire(station=station) | Restore(station=station):
            return "retire", station
        case SetSeats(station=station):
            return change.kind, station or ""
        case Replace(job=job):
            return change.kind, job
        case _:
            assert_never(change)


def _decided(
    seen: Look,
    limits: Limit,
    option: Option,
    known: tuple[Option, ...],
    *,
    by: str,
    applied: bool,
) -> Decided:
    return Decided(
        number=seen.past.next,
        by=by,
        applied=applied,
        chosen=option,
        options=known,
        inputs=inputs(seen.pace, limits, after=seen.past.steady),
        back=back_of(seen.layout, option.change) if applied else None,
    )
