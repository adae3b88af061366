"""The layout: what of a line can be changed, and how far, as the catalogue sees it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from factory.changes import Order
from factory.events import Resting, Waiting, Working
from factory.line import Line
from factory.retiring import heir_of, optional
from factory.state import by_model
from stations.contract import Kind, StationSpec
from worktrees.names import JobId


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """One station as it may be changed: ``seats`` of at most ``most``.

    ``optional`` is what a person wrote; ``heir`` is the one station that could take over every job
    that waits here. A ``fixed`` one has no seats of its own to change; one that ``samples`` only
    judges, so that it may see a part of the work; one that ``splits`` takes whole jobs.
    """

    name: str
    kind: str
    seats: int
    most: int
    optional: bool = False
    sampled: int = 1
    order: Order = Order.ARRIVAL
    heir: str | None = None
    waiting: int = 0
    fixed: bool = False
    model: bool = False
    samples: bool = False
    splits: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AtWork:
    """An attempt under way, for so many seconds."""

    job: JobId
    attempt: int
    station: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """A line as it may be changed; ``shared`` are the stations that use the line's own seats."""

    spots: Mapping[str, Spot]
    seats: int
    most_seats: int
    slots: int
    most_slots: int
    wip: int | None
    shared: tuple[str, ...] = ()
    tested: tuple[str, ...] = ()
    at_work: tuple[AtWork, ...] = ()
    retired: frozenset[str] = field(default_factory=frozenset)


def layout_of(line: Line, now: float, *, names: tuple[str, str], most: int | None) -> Layout:
    """Give a line's layout at ``now``; ``names`` are those of the gate and the tests as measured.

    ``most`` are the seats, and slots, that a person allows; None: no more than there are.
    """
    rules = line.rules
    top = max(rules.seats, most or 0)
    slots = max(rules.slots, most or 0)
    spots = {
        str(spec.name): _spot(line, spec, top)
        for spec in rules.stations
        if spec.kind is not Kind.TEST and not spec.at_merge
    }
    for name, kind in zip(names, ("gate", "test"), strict=True):
        spots[name] = Spot(name=name, kind=kind, seats=rules.slots, most=slots)
    shared = tuple(
        str(spec.name)
        for spec in rules.stations
        if spec.kind is not Kind.TEST and spec.name in spots
    )
    return Layout(
        spots=spots,
        seats=rules.seats,
        most_seats=top,
        slots=rules.slots,
        most_slots=slots,
        wip=rules.wip,
        shared=shared,
        tested=names,
        at_work=tuple(
            AtWork(
                job=work.job.id,
                attempt=work.attempt,
                station=str(work.place.station),
                seconds=max(0.0, now - work.since),
            )
            for work in line.jobs.values()
            if isinstance(work.place, Working)
        ),
        retired=frozenset(map(str, rules.retired)),
    )


def _spot(line: Line, spec: StationSpec, top: int) -> Spot:
    rules = line.rules
    waiting = [
        work
        for work in line.jobs.values()
        if work.station == spec.name and isinstance(work.place, Waiting | Resting)
    ]
    leaving = waiting if optional(spec) and spec.kind is not Kind.REVIEW else []
    heirs = {heir_of(rules, work.job, spec.name) for work in leaving}
    heir = heirs.pop() if len(heirs) == 1 else None
    return Spot(
        name=str(spec.name),
        kind=spec.kind.value,
        seats=min(spec.seats, rules.seats) if spec.seats else rules.seats,
        most=top if spec.seats else rules.seats,
        optional=optional(spec),
        sampled=rules.sampled.get(spec.name, 1),
        order=rules.orders.get(spec.name, Order.ARRIVAL),
        heir=None if heir is None else str(heir),
        waiting=len(waiting),
        fixed=not spec.seats,
        model=by_model(spec),
        samples=spec.kind is Kind.REVIEW,
        splits=spec.kind in (Kind.CODE, Kind.COMMAND),
    )
