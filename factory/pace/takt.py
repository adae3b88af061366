"""The takt people want, and when what is on the line will be done, by Little's law."""

from math import ceil, floor, log
from typing import Final, Literal

from factory.pace.demand import needs
from factory.pace.layout import Layout
from factory.pace.values import GATE, PERSON, PROVIDER, SPAWN, Limit, Pace

Colour = Literal["red", "amber", "green"]
AMBER: Final = 0.85
"""The share of the takt above which a station has little left."""
_GREEN_GROUP: Final = 0.6
_MOST_GROUP: Final = 8
_NO_SEATS: Final = frozenset({PERSON, PROVIDER, SPAWN, GATE})


def takt(wanted: float) -> float:
    """Give the minutes between two changes when so many an hour are wanted."""
    return 60 / wanted


def colour(demand: float, minutes: float) -> Colour:
    """Say how a station's demand stands against the takt."""
    if demand > minutes:
        return "red"
    return "amber" if demand > AMBER * minutes else "green"


def seen_rate(pace: Pace, *, after: int = 0, most: int = 25) -> tuple[float, int]:
    """Give changes per hour over the last landings, and how many intervals that rests on.

    Only landings beyond the first ``after`` count, at most the last ``most`` of them.
    """
    first = pace.landed - len(pace.ships)
    taken = [ship.at for ship in pace.ships[max(0, after - first) :]][-most:]
    begins = len(taken) and taken[0]
    if len(taken) < 2 or taken[-1] <= begins:  # noqa: PLR2004
        return 0.0, 0
    return (len(taken) - 1) / (taken[-1] - begins) * 3600, len(taken) - 1


def late_rate(pace: Pace, *, most: int = 25) -> float:
    """Give changes per hour over the last landings; the first of a run count from its beginning.

    A batch that lands at once would else seem faster than the line that tested it.
    """
    if not pace.ships:
        return 0.0
    begins = pace.ships[-most - 1].at if len(pace.ships) > most else 0.0
    seconds = pace.ships[-1].at - begins
    return min(most, pace.landed) / seconds * 3600 if seconds > 0 else 0.0


def median_lead(pace: Pace, *, after: int = 0) -> float:
    """Give the median seconds from a job's beginning to its landing, of late; 0 without any."""
    first = pace.landed - len(pace.ships)
    leads = sorted(ship.lead for ship in pace.ships[max(0, after - first) :][-25:])
    return leads[len(leads) // 2] if leads else 0.0


def lead_ahead(pace: Pace, limits: Limit) -> float | None:
    """Give the seconds a job that begins now will take, by Little's law; None while unknown."""
    rate = _rate(pace, limits)
    return None if rate <= 0 else max(pace.inside, 1) / rate * 3600


def rest_ahead(pace: Pace, limits: Limit) -> float | None:
    """Give the seconds until all that was placed has landed, at the rate of late."""
    rate = _rate(pace, limits)
    left = pace.inside + pace.fresh
    return None if rate <= 0 else left / rate * 3600


def default_wip(pace: Pace, layout: Layout) -> int:
    """Give the limit of work in progress that keeps the constraint's way busy and no more.

    One and a half times the seats on that way; a slot of the gate holds a whole group of changes.
    """
    visits = needs(pace).visits
    way = [
        spot
        for name, spot in layout.spots.items()
        if name not in _NO_SEATS and (visits.get(name, 0.0) > 0 or not pace.landed)
    ]
    agents = sum(spot.seats for spot in way if spot.name in layout.shared)
    agents = min(agents, layout.seats) if layout.shared else agents
    others = sum(spot.seats for spot in way if spot.name not in layout.shared + layout.tested)
    slots = layout.slots * likely_group(pace) if layout.tested else 0
    return ceil(1.5 * (agents + others + slots))


def likely_group(pace: Pace) -> int:
    """Give how many changes the gate would test together, as few as are red."""
    bad = (1 + max(0.0, pace.judged - pace.passed)) / (10 + pace.judged)
    return min(_MOST_GROUP, max(1, floor(log(_GREEN_GROUP) / log(1 - bad))))


def first_pass(pace: Pace) -> float | None:
    """Give the share of jobs that were green at their first trial; None without any."""
    return pace.passed / pace.judged if pace.judged else None


def saturated(pace: Pace, limits: Limit, *, share: float = 0.7) -> bool:
    """Say whether the line works near what demand allows.

    Without work, or held up by needs and overlaps, more of anything would change nothing.
    """
    rate, seen = seen_rate(pace)
    name = limits.station
    if name is None or not seen:
        return False
    return rate >= share * limits.bound


def _rate(pace: Pace, limits: Limit) -> float:
    rate, seen = seen_rate(pace)
    return rate if seen >= 2 else limits.bound if pace.landed else 0.0  # noqa: PLR2004
