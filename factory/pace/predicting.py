"""What a change would do: rate, lead and dollars before and after it, from the same draws.

The rate is what demand allows (and a limit of work in progress, where it is tight); the lead is
Little's law. What is uncertain is how long visits take; that is drawn, as for the odds.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from factory.changes import Prediction, Range
from factory.pace.demand import Needs, crowded, needs
from factory.pace.layout import Layout
from factory.pace.odds import drawn
from factory.pace.values import PERSON, PROVIDER, SPAWN, Chance, Pace
from factory.pace.windows import loads

DRAWS: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A line in figures: what a change needs of it, how much may be under way, what it costs.

    ``inside`` is how much is under way on the average; ``dollars`` are those of one change, by
    station.
    """

    needs: Needs
    wip: float | None
    inside: float
    dollars: Mapping[str, float]

    def seats(self, name: str, seats: int) -> "Model":
        """Give the line with so many seats at a station, a pool included that becomes too small."""
        return self._with(seats={**self.needs.seats, name: seats})

    def pool(self, name: str, seats: int) -> "Model":
        """Give the line with so many seats in a pool, and at the stations that had all of them."""
        old = next(pool for pool in self.needs.pools if pool.name == name)
        pools = tuple(
            replace(pool, seats=seats) if pool is old else pool for pool in self.needs.pools
        )
        wide = {m: seats for m in old.members if self.needs.seats.get(m) == old.seats}
        return self._with(pools=pools, seats={**self.needs.seats, **wide})

    def share(self, name: str, part: float) -> "Model":
        """Give the line in which a station sees only this part of its work."""
        minutes = {**self.needs.minutes, name: self.needs.minutes.get(name, 0.0) * part}
        dollars = {**self.dollars, name: self.dollars.get(name, 0.0) * part}
        return replace(self._with(minutes=minutes), dollars=dollars)

    def move(self, name: str, heir: str | None) -> "Model":
        """Give the line in which another station does a station's work, or nobody does."""
        gone = self.needs.minutes.get(name, 0.0)
        minutes = {**self.needs.minutes, name: 0.0}
        if heir is not None:
            minutes[heir] = minutes.get(heir, 0.0) + gone
        return self._with(minutes=minutes)

    def capped(self, wip: int | None) -> "Model":
        """Give the line with at most so many jobs under way."""
        return replace(self, wip=wip)

    def rate(self, minutes: Mapping[str, float]) -> float:
        """Give changes per hour for these minutes of work by station."""
        demands = {name: m / max(1, self.needs.seats[name]) for name, m in minutes.items()}
        _, most = crowded(self.needs, demands)
        if most <= 0:
            return 0.0
        bound = 60 / most
        way = sum(minutes.values())
        return bound if self.wip is None or way <= 0 else min(bound, 60 * self.wip / way)

    def lead(self, minutes: Mapping[str, float], rate: float) -> float:
        """Give the seconds a change takes from its beginning to its landing."""
        alone = sum(minutes.values()) * 60
        inside = self.inside if self.wip is None else min(self.inside, self.wip)
        return max(alone, inside / rate * 3600 if rate > 0 else 0.0)

    def cost(self) -> float:
        """Give the dollars of one change."""
        return sum(self.dollars.values())

    def _with(self, **fields: object) -> "Model":
        return replace(self, needs=replace(self.needs, **fields))  # type: ignore[arg-type]


def model_of(pace: Pace, layout: Layout) -> Model:
    """Give a line in figures as it was measured."""
    known = needs(pace)
    paid = max(1, pace.landed)
    aside = {name for name, each in pace.stations.items() if each.kind == SPAWN}
    minutes = {name: m for name, m in known.minutes.items() if name not in aside and m > 0}
    return Model(
        needs=replace(known, minutes=minutes),
        wip=layout.wip,
        inside=max(float(pace.inside), pace.wip),
        dollars={name: each.dollars / paid for name, each in pace.stations.items()},
    )


Twist = Callable[[Model], Model]
"""What a change does to a line in figures."""


def predict(
    pace: Pace, layout: Layout, twists: Sequence[Twist], chance: Chance
) -> list[Prediction]:
    """Give what each change would do; all are judged by the same draws."""
    base = model_of(pace, layout)
    after = [twist(base) for twist in twists]
    rates: list[list[tuple[float, float, float, float]]] = [[] for _ in twists]
    seen = {
        name: m / max(1, base.needs.seats[name])
        for name, m in base.needs.minutes.items()
        if pace.stations[name].visits
    }
    for demands in drawn(seen, loads(pace), chance, draws=DRAWS):
        scale = {name: demands[name] / seen[name] for name in seen if seen[name] > 0}
        old = _figures(base, scale)
        for place, model in enumerate(after):
            new = _figures(model, scale)
            gain = new[0] / old[0] if old[0] > 0 else 1.0
            sooner = old[1] / new[1] if new[1] > 0 else 1.0
            rates[place].append((*new, gain, sooner))
    return [_said(model, rows, base) for model, rows in zip(after, rates, strict=True)]


def _figures(model: Model, scale: Mapping[str, float]) -> tuple[float, float]:
    minutes = {name: m * scale.get(name, 1.0) for name, m in model.needs.minutes.items()}
    # People and a provider's limit take no seat: they delay a change, they are not on its way.
    rate = model.rate(minutes)
    way = {name: m for name, m in minutes.items() if name not in (PERSON, PROVIDER)}
    return rate, model.lead(way, rate)


def _said(
    model: Model, rows: Sequence[tuple[float, float, float, float]], base: Model
) -> Prediction:
    rate, lead, gain, sooner = (range_of([row[n] for row in rows]) for n in range(4))
    paid = base.cost() > 0
    cost = model.cost()
    return Prediction(
        rate=rate,
        lead=lead,
        dollars=Range(low=cost, mid=cost, high=cost) if paid else None,
        gain=gain,
        sooner=sooner,
    )


def range_of(values: Sequence[float]) -> Range:
    """Give the tenth, the half and the nine tenths of these values; zeros of none."""
    ordered = sorted(values)
    if not ordered:
        return Range(low=0.0, mid=0.0, high=0.0)

    def at(share: float) -> float:
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    return Range(low=at(0.1), mid=at(0.5), high=at(0.9))
