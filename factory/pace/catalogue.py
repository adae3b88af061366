"""The catalogue: all that may be done about a constraint, the cheapest and safest first.

Every option carries what it is expected to do. What an iron rule forbids is not in it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil
from typing import Final, Literal

from factory.changes import (
    Advice,
    Change,
    LimitWip,
    Option,
    Order,
    Reorder,
    Replace,
    Retire,
    Sample,
    SetSeats,
    SetSlots,
)
from factory.pace.demand import needs
from factory.pace.iron import lawful
from factory.pace.layout import Layout, Spot
from factory.pace.predicting import Model, Twist, predict
from factory.pace.stragglers import Straggler, stragglers
from factory.pace.takt import default_wip, first_pass
from factory.pace.values import PERSON, PROVIDER, Chance, Limit, Pace
from factory.wording import count, span
from worktrees.names import StationName

EVERY: Final = 4
"""An optional station off the line sees one piece of work in so many."""
YIELD: Final = 0.8
"""The share of first trials that must be green for batches to pay."""
FINDINGS: Final = 0.05
"""Findings per visit below which an optional station may leave by itself, if that is allowed."""
VISITS: Final = 20
"""Visits below which nobody knows what an optional station finds."""
SPARE: Final = 1.3
"""What a widened station gets beyond the next one, so that it is not the constraint at once."""
_LARGE: Final = 2.0
_OFTEN: Final = 0.1
_SEATS: Final = "seats"
_SLOTS: Final = "slots"

Mode = Literal["off", "suggest", "auto"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What a person allows; ``wanted`` are changes an hour, ``max_seats`` bounds slots too."""

    mode: Mode = "suggest"
    wanted: float | None = None
    wip: int | None = None
    max_seats: int | None = None
    allow_retire: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Idea:
    name: str
    change: Change
    why: str
    alone: bool
    twist: Twist


def catalogue(
    pace: Pace, limits: Limit, layout: Layout, policy: Policy, chance: Chance
) -> tuple[Option, ...]:
    """Give what may be done about the constraint, each with what it would do."""
    ideas = list(_ideas(pace, limits, layout, policy))
    predictions = predict(pace, layout, [idea.twist for idea in ideas], chance)
    options = [
        Option(
            name=idea.name,
            change=idea.change,
            why=idea.why,
            alone=idea.alone,
            prediction=prediction,
        )
        for idea, prediction in zip(ideas, predictions, strict=True)
    ]
    return tuple(option for option in options if lawful(layout, option))


def replacements(pace: Pace, layout: Layout) -> tuple[Option, ...]:
    """Give the attempts that hang, each to be tried again by another seat; their work is kept."""
    return tuple(_replacement(found) for found in stragglers(pace, layout.at_work))


def findings(pace: Pace, name: str) -> str:
    """Say what an optional station found: a person must know before it goes."""
    station = pace.stations[name]
    return f"{count(station.found, 'finding')} in {count(station.visits, 'visit')}"


def _replacement(found: Straggler) -> Option:
    at = found.at
    return Option(
        name=f"replace-{at.job}",
        change=Replace(job=at.job, attempt=at.attempt),
        why=(
            f"attempt {at.attempt} of {at.job} has taken {span(at.seconds)} at {at.station}, where"
            f" {span(found.middle)} is usual and nothing takes {span(found.bound)}"
        ),
        alone=True,
    )


def _ideas(pace: Pace, limits: Limit, layout: Layout, policy: Policy) -> Iterator[_Idea]:
    name = limits.station
    if name is None:
        return
    yield from _feeding(pace, layout, policy, name)
    if pace.stations[name].kind == PERSON:
        yield _advice("person", name, "answers are waited for longest: factory inbox shows them")
        return
    if pace.stations[name].kind == PROVIDER:
        why = "the provider's rate limit holds agents back: more seats cannot help"
        key = "fewer [line] seats, another tier, or another account"
        yield _advice("provider", name, why, key=key)
        return
    spot = layout.spots.get(name)
    if spot is None or name in layout.retired:
        return
    yield from _batching(pace, spot)
    yield from _seating(pace, limits, layout, spot)
    yield from _faster(pace, spot)
    if spot.optional:
        yield from _leaving(pace, policy, spot)


def _feeding(pace: Pace, layout: Layout, policy: Policy, name: str) -> Iterator[_Idea]:
    cap = policy.wip if policy.wip is not None else default_wip(pace, layout)
    # The gate lives of what waits for it: the more, the larger the groups that it tests at once.
    elsewhere = name not in layout.tested or policy.wip is not None
    if elsewhere and (layout.wip is None or layout.wip > cap) and pace.inside > cap:
        why = f"{pace.inside} jobs are under way, {cap} keep every station on the way busy"
        twist = _capped(cap)
        yield _Idea(name=f"wip-{cap}", change=LimitWip(wip=cap), why=why, alone=True, twist=twist)
    spot = layout.spots.get(name)
    if spot is not None and name in layout.shared and spot.waiting > 1:
        for order in (Order.OLDEST, Order.SHORTEST):
            if spot.order is Order.ARRIVAL:
                yield _Idea(
                    name=f"order-{name}-{order}",
                    change=Reorder(station=StationName(name), order=order),
                    why=f"{count(spot.waiting, 'job')} wait at {name}: start the {order} first",
                    alone=True,
                    twist=_same,
                )


def _batching(pace: Pace, spot: Spot) -> Iterator[_Idea]:
    green = first_pass(pace)
    if spot.kind in ("gate", "test") and green is not None and green < YIELD:
        runs = needs(pace).visits.get(spot.name, 0.0)
        why = (
            f"only {green:.0%} of first trials are green, so the gate must test small groups"
            f" ({runs:.1f} trials a change): better first tries help more than slots"
        )
        yield _advice("batch", spot.name, why)


def _seating(pace: Pace, limits: Limit, layout: Layout, spot: Spot) -> Iterator[_Idea]:
    if spot.name in layout.tested:
        for slots in _more(layout.slots, layout.most_slots, limits, spot.name):
            yield _Idea(
                name=f"slots-{slots}",
                change=SetSlots(slots=slots),
                why=f"test {slots} trees at once instead of {layout.slots}",
                alone=True,
                twist=_slotted(slots, layout),
            )
        return
    together = next((pool for pool in pace.pools if pool.name == _SEATS), None)
    if not spot.fixed:
        for seats in _more(spot.seats, spot.most, limits, spot.name):
            yield _Idea(
                name=f"seats-{spot.name}-{seats}",
                change=SetSeats(seats=seats, station=StationName(spot.name)),
                why=f"{seats} seats at {spot.name} instead of {spot.seats}",
                alone=True,
                twist=_seated(spot.name, seats),
            )
    if together is not None and spot.name in together.members:
        for seats in _more(layout.seats, layout.most_seats, limits, spot.name):
            yield _Idea(
                name=f"seats-{seats}",
                change=SetSeats(seats=seats),
                why=f"{seats} seats on the line instead of {layout.seats}",
                alone=True,
                twist=_pooled(_SEATS, seats),
            )


def _more(now: int, most: int, limits: Limit, name: str) -> tuple[int, ...]:
    """Give one more, and as many as it takes until something else limits the line."""
    if now >= most:
        return ()
    others = [d for n, d in limits.demand.items() if n != name and d > 0]
    enough = ceil(SPARE * now * limits.demand.get(name, 0.0) / max(others)) if others else most
    return tuple(sorted({now + 1, min(most, max(now + 1, enough))}))


def _faster(pace: Pace, spot: Spot) -> Iterator[_Idea]:
    visits = sorted(visit.seconds for visit in pace.stations[spot.name].recent)
    middle = visits[len(visits) // 2] if visits else 0.0
    large = sum(seconds > _LARGE * middle for seconds in visits)
    if spot.model:
        yield _Idea(
            name=f"tier-{spot.name}",
            change=Advice(topic="tier", station=spot.name, key=f'agent of station "{spot.name}"'),
            why=(
                f"another tier, runtime or plain command under the same contract, were it twice as"
                f" fast at {spot.name}: let it share some jobs with this one first"
                f" (factory run --compare)"
            ),
            alone=False,
            twist=_shared(spot.name, 0.5),
        )
    if spot.splits and len(visits) >= VISITS and large > _OFTEN * len(visits):
        total, part = sum(visits), sum(s for s in visits if s > _LARGE * middle)
        why = f"{large} of {len(visits)} jobs at {spot.name} took over twice the usual: split them"
        yield _Idea(
            name=f"split-{spot.name}",
            change=Advice(topic="split", station=spot.name, key="scope"),
            why=f"{why} ({part / total:.0%} of its time)",
            alone=False,
            twist=_same,
        )


def _leaving(pace: Pace, policy: Policy, spot: Spot) -> Iterator[_Idea]:
    station = pace.stations[spot.name]
    found = findings(pace, spot.name)
    if spot.samples and spot.sampled < EVERY:
        yield _Idea(
            name=f"sample-{spot.name}-{EVERY}",
            change=Sample(station=StationName(spot.name), every=EVERY),
            why=f"{spot.name} is optional: let it see one in {EVERY} ({found} so far)",
            alone=False,
            twist=_shared(spot.name, spot.sampled / EVERY),
        )
    seldom = station.visits >= VISITS and station.found < FINDINGS * station.visits
    judges = spot.samples  # what a coding station is worth cannot be counted in findings
    yield _Idea(
        name=f"retire-{spot.name}",
        change=Retire(station=StationName(spot.name)),
        why=f"{spot.name} is optional ({found})" + _where_to(spot),
        alone=policy.allow_retire and judges and seldom,
        twist=_moved(spot.name, spot.heir) if not judges else _shared(spot.name, 0.0),
    )


def _where_to(spot: Spot) -> str:
    if spot.samples or not spot.waiting:
        return ""
    if spot.heir is None:
        return f"; {count(spot.waiting, 'job')} would wait for a person"
    return f"; {count(spot.waiting, 'job')} would go to {spot.heir}"


def _advice(
    topic: Literal["batch", "provider", "person"], station: str, why: str, *, key: str = ""
) -> _Idea:
    change = Advice(topic=topic, station=station, key=key)
    return _Idea(name=f"{topic}-{station}", change=change, why=why, alone=False, twist=_same)


def _same(model: Model) -> Model:
    return model


def _capped(cap: int) -> Twist:
    return lambda model: model.capped(cap)


def _seated(name: str, seats: int) -> Twist:
    return lambda model: model.seats(name, seats)


def _slotted(slots: int, layout: Layout) -> Twist:
    gate, tests = layout.tested

    def twist(model: Model) -> Model:
        more = _proofs(slots) / _proofs(layout.slots)
        return model.share(gate, more).share(tests, more).pool(_SLOTS, slots)

    return twist


def _proofs(slots: int) -> float:
    """Give the trials for each group: its own, and its part of the proof of all that ran beside it.

    Alone, a group is its own proof.
    """
    return 1.0 if slots == 1 else 1 + 1 / slots


def _pooled(name: str, seats: int) -> Twist:
    return lambda model: model.pool(name, seats)


def _shared(name: str, part: float) -> Twist:
    return lambda model: model.share(name, part)


def _moved(name: str, heir: str | None) -> Twist:
    return lambda model: model.move(name, heir)
