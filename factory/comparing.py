"""Two versions of a line on the same work: who gets which jobs, and what the difference shows.

Pure: chance comes in as gamma draws. Jobs are dealt out at random, never apart what is tied; what
comes back is compared with intervals, and nothing is claimed that they do not carry.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Final, Literal

from factory.pace.sentence import rate_text
from factory.pace.values import Chance
from stations.contract import Job
from worktrees.names import JobId

Name = Literal["a", "b"]
Parcel = tuple[JobId, ...]
"""Jobs that stay together."""

SURE: Final = 0.95
"""From these odds on a difference is claimed."""
ENOUGH: Final = 5
"""So many of a kind each version needs before anything is claimed."""
DRAWS: Final = 1000
_BLOCKS: Final = 4
_TAIL: Final = 0.05
_Z: Final = 1.6449
"""Of a two-sided interval that holds 90 %."""
_HOUR: Final = 3600
_PRIOR: Final = 6
"""Jobs that are taken to have been seen with times that vary by their mean."""
_LAST: Final = 3.0
"""What the end of a turn adds to the variance of its time, in that of one job."""
_SHARP: Final = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """Jobs that one version works in a run of its own, when the run before has ended."""

    name: Name
    jobs: tuple[JobId, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What one job came to: seconds of work, and dollars, None when nobody knows them."""

    landed: bool
    seconds: float
    dollars: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A turn that was taken: its seconds, and what its jobs came to."""

    seconds: float
    results: tuple[Result, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What one version did in its turns, and how its jobs' first trials ended."""

    turns: tuple[Taken, ...]
    passed: float
    judged: float

    @property
    def seconds(self) -> float:
        """Give how long it worked."""
        return sum(turn.seconds for turn in self.turns)

    @property
    def results(self) -> tuple[Result, ...]:
        """Give what its jobs came to."""
        return tuple(each for turn in self.turns for each in turn.results)

    @property
    def landed(self) -> int:
        """Give how many of its jobs landed."""
        return sum(each.landed for each in self.results)


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A figure with the interval that holds it nine times in ten."""

    low: float
    mid: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure of both versions: ``odds`` is the chance that b's is the larger.

    ``ratio`` is b's through a's. ``enough`` says whether there were jobs enough to claim anything.
    """

    a: Interval
    b: Interval
    ratio: Interval
    odds: float
    enough: bool

    @property
    def larger(self) -> Name | None:
        """Name the version whose figure is larger; None while that is not sure."""
        if not self.enough or 1 - SURE < self.odds < SURE:
            return None
        return "b" if self.odds >= SURE else "a"


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """What the work of two versions shows; ``cost`` is None where nothing was paid, or unknown."""

    rate: Figure
    first_pass: Figure
    cost: Figure | None


def parcels(jobs: Sequence[Job], alike: Iterable[Collection[JobId]] = ()) -> tuple[Parcel, ...]:
    """Give the jobs in parcels that must not be torn: by needs, overlapping scopes, or ``alike``.

    Parcels and the jobs in them keep the order of the jobs.
    """
    root = {job.id: job.id for job in jobs}

    def of(job: JobId) -> JobId:
        while root[job] != job:
            root[job] = job = root[root[job]]
        return job

    ties = [(job.id, need) for job in jobs for need in job.needs if need in root]
    ties += [
        (one.id, two.id)
        for number, one in enumerate(jobs)
        for two in jobs[:number]
        if of(one.id) != of(two.id) and one.scope.overlaps(two.scope)
    ]
    for group in alike:
        first, *rest = group
        ties += [(first, other) for other in rest]
    for one, two in ties:
        root[of(one)] = of(two)
    found: dict[JobId, list[JobId]] = {}
    for job in jobs:
        found.setdefault(of(job.id), []).append(job.id)
    return tuple(map(tuple, found.values()))


def deal(
    whole: Sequence[Parcel], kinds: Mapping[JobId, str], chance: Chance
) -> Mapping[Name, tuple[Parcel, ...]]:
    """Deal parcels out at random, in pairs of the same kind and size as far as there are such.

    The two sides differ by no more jobs than the largest parcel has.
    """
    one, two = _halves(whole, kinds, chance)
    return {"a": one, "b": two} if _heads(chance) else {"a": two, "b": one}


def turns(dealt: Mapping[Name, Sequence[Parcel]], chance: Chance) -> tuple[Turn, ...]:
    """Give the turns in which both work: there and back where each has two parcels or more.

    A machine that gets faster or slower meanwhile then does so for both.
    """
    first: Name = "a" if _heads(chance) else "b"
    order: tuple[Name, Name] = (first, "b" if first == "a" else "a")
    if any(len(each) < _BLOCKS // 2 for each in dealt.values()):
        return tuple(Turn(name=name, jobs=_flat(dealt[name])) for name in order)
    halves = {name: _halves(dealt[name], {}, chance) for name in order}
    return (
        Turn(name=order[0], jobs=_flat(halves[order[0]][0])),
        Turn(name=order[1], jobs=_flat(halves[order[1]][0])),
        Turn(name=order[1], jobs=_flat(halves[order[1]][1])),
        Turn(name=order[0], jobs=_flat(halves[order[0]][1])),
    )


def _flat(each: Iterable[Parcel]) -> tuple[JobId, ...]:
    return tuple(job for parcel in each for job in parcel)


def _halves(
    whole: Sequence[Parcel], kinds: Mapping[JobId, str], chance: Chance
) -> tuple[tuple[Parcel, ...], tuple[Parcel, ...]]:
    """Give two halves by chance; of each pair the lighter half gets the larger parcel."""
    drawn = [(chance(1.0), parcel) for parcel in whole]
    ranked = sorted(
        drawn, key=lambda each: (-len(each[1]), sorted(kinds.get(j, "") for j in each[1]), each[0])
    )
    sides: tuple[list[Parcel], list[Parcel]] = ([], [])
    weight = [0, 0]
    side = 0
    for number, (_, parcel) in enumerate(ranked):
        if number % 2:
            side = 1 - side
        elif weight[0] != weight[1]:
            side = int(weight[0] > weight[1])
        else:
            side = int(_heads(chance))
        sides[side].append(parcel)
        weight[side] += len(parcel)
    place = {parcel: number for number, parcel in enumerate(whole)}
    one, two = (tuple(sorted(side, key=lambda parcel: place[parcel])) for side in sides)
    return one, two


def _heads(chance: Chance) -> bool:
    return chance(1.0) < chance(1.0)


def compare(a: Share, b: Share, chance: Chance) -> Compared:
    """Give what the shares of two versions show.

    The time is a gamma draw, wider where jobs take very different times; first passes have
    Wilson's interval; cost is drawn by weighing the jobs anew.
    """
    # A version that lands nothing of its share says something too.
    tried = min(len(a.results), len(b.results)) >= ENOUGH
    enough = tried and max(a.landed, b.landed) >= ENOUGH
    spread = _spread((a, b))
    rate = _figure(_rates(a, spread, chance), _rates(b, spread, chance), enough=enough)
    yields = _figure(_yields(a, chance), _yields(b, chance), enough=_judged(a, b))
    first_pass = Figure(
        a=wilson(a.passed, a.judged),
        b=wilson(b.passed, b.judged),
        ratio=yields.ratio,
        odds=yields.odds,
        enough=yields.enough,
    )
    paid = [each.dollars for each in (*a.results, *b.results)]
    cost = None
    if any(paid) and None not in paid and a.landed and b.landed:
        cost = _figure(_costs(a, chance), _costs(b, chance), enough=enough)
    return Compared(rate=rate, first_pass=first_pass, cost=cost)


def wilson(hits: float, of: float) -> Interval:
    """Give a share with Wilson's interval; from 0 to 1 when nothing was seen."""
    if not of:
        return Interval(low=0.0, mid=0.5, high=1.0)
    share, square = hits / of, _Z * _Z
    centre = (share + square / (2 * of)) / (1 + square / of)
    reach = _Z / (1 + square / of) * sqrt(share * (1 - share) / of + square / (4 * of * of))
    low, high = min(share, centre - reach), max(share, centre + reach)
    return Interval(low=max(0.0, low), mid=share, high=min(1.0, high))


def _judged(a: Share, b: Share) -> bool:
    return min(a.judged, b.judged) >= ENOUGH


def _rates(share: Share, spread: float, chance: Chance) -> list[float]:
    """Give draws of changes an hour: what may land of the jobs, through the time that they took.

    A turn's time varies as its jobs' times do, and with the last of them, for whom seats stand
    free.
    """
    results, seconds = share.results, share.seconds
    if seconds <= 0 or not results:
        return [0.0] * DRAWS
    mean = sum(each.seconds for each in results) / len(results)
    square = 0.0
    for turn in share.turns:
        work = sum(each.seconds for each in turn.results)
        beside = max(1.0, work / turn.seconds) if turn.seconds > 0 else 1.0
        square += spread * mean * mean * (len(turn.results) / beside**2 + _LAST)
    shape = max(1.0, seconds * seconds / square) if square else _SHARP
    lost = len(results) - share.landed
    found = []
    for _ in range(DRAWS):
        lands = _part(share.landed + 0.5, lost + 0.5, chance) if lost else 1.0
        found.append(len(results) * lands / (seconds * chance(shape) / shape) * _HOUR)
    return found


def _spread(shares: Iterable[Share]) -> float:
    """Give the squared coefficient of variation of the jobs' times, shrunk towards 1."""
    square, free = 0.0, 0
    for share in shares:
        seconds = [each.seconds for each in share.results]
        mean = sum(seconds) / len(seconds) if seconds else 0.0
        if mean > 0:
            square += sum((each / mean - 1) ** 2 for each in seconds)
            free += len(seconds) - 1
    return (square + _PRIOR) / (free + _PRIOR)


def _part(hits: float, misses: float, chance: Chance) -> float:
    """Give a draw of a share from its Beta distribution."""
    hit, miss = chance(hits), chance(misses)
    return hit / (hit + miss) if hit + miss else 0.5


def _yields(share: Share, chance: Chance) -> list[float]:
    missed = max(0.0, share.judged - share.passed)
    return [_part(share.passed + 0.5, missed + 0.5, chance) for _ in range(DRAWS)]


def _costs(share: Share, chance: Chance) -> list[float]:
    found = []
    for _ in range(DRAWS):
        weights = [chance(1.0) for _ in share.results]
        pairs = list(zip(weights, share.results, strict=True))
        landed = sum(weight for weight, each in pairs if each.landed)
        found.append(sum(weight * (each.dollars or 0.0) for weight, each in pairs) / landed)
    return found


def _figure(a: Sequence[float], b: Sequence[float], *, enough: bool) -> Figure:
    pairs = list(zip(a, b, strict=True))
    more = sum(two > one for one, two in pairs) + sum(two == one for one, two in pairs) / 2
    return Figure(
        a=_interval(a),
        b=_interval(b),
        ratio=_interval([two / one for one, two in pairs if one > 0] or [1.0]),
        odds=more / len(pairs),
        enough=enough,
    )


def _interval(draws: Sequence[float]) -> Interval:
    ordered = sorted(draws)
    last = len(ordered) - 1
    low, mid, high = (ordered[round(last * at)] for at in (_TAIL, 0.5, 1 - _TAIL))
    return Interval(low=low, mid=mid, high=high)


def sentence(found: Compared, shares: Mapping[Name, Share], names: Mapping[Name, str]) -> str:
    """Give the finding in one sentence, with how sure each part of it is."""
    parts = [_speed(found.rate, shares, names), _quality(found.first_pass, shares, names)]
    if found.cost is not None:
        parts.append(_price(found.cost, names))
    return "; ".join(parts)


def _speed(rate: Figure, shares: Mapping[Name, Share], names: Mapping[Name, str]) -> str:
    if not rate.enough:
        counts = [f"{each.landed} of {len(each.results)}" for each in shares.values()]
        return f"too few jobs to say which is faster: {' and '.join(counts)} landed"
    faster = rate.larger
    if faster is None:
        return f"no difference in speed is shown: {_times(rate, names)}"
    pair = (rate.b.mid, rate.a.mid) if faster == "b" else (rate.a.mid, rate.b.mid)
    return (
        f"{names[faster]} is faster: {rate_text(pair[0])} against {rate_text(pair[1])} changes/h"
        f" ({_sure(rate)}, {_times(rate, names)})"
    )


def _quality(figure: Figure, shares: Mapping[Name, Share], names: Mapping[Name, str]) -> str:
    counts = [f"{shares[n].passed:g} of {shares[n].judged:g}" for n in ("a", "b")]
    if not figure.enough:
        return f"too few trials to say whose work is sounder: {counts[0]} and {counts[1]} passed"
    better = figure.larger
    if better is None:
        return f"no difference in first passes is shown: {counts[0]} and {counts[1]}"
    said = counts if better == "a" else counts[::-1]
    return f"more of {names[better]} passes at first: {said[0]} against {said[1]} ({_sure(figure)})"


def _price(cost: Figure, names: Mapping[Name, str]) -> str:
    if not cost.enough:
        return "too few jobs to say which is cheaper"
    dearer = cost.larger
    if dearer is None:
        return f"no difference in cost is shown: {_times(cost, names)}"
    cheap, dear = (cost.a, cost.b) if dearer == "b" else (cost.b, cost.a)
    name = names["a" if dearer == "b" else "b"]
    return f"{name} is cheaper: {cheap.mid:.2f} against {dear.mid:.2f} USD ({_sure(cost)})"


def _sure(figure: Figure) -> str:
    # Odds out of so many draws are never certainty.
    return f"P {min(0.99, max(figure.odds, 1 - figure.odds)):.2f}"


def _times(figure: Figure, names: Mapping[Name, str]) -> str:
    low, mid, high = (
        f"{each:.2f}" for each in (figure.ratio.low, figure.ratio.mid, figure.ratio.high)
    )
    return f"{names['b']} at {mid} times {names['a']}, 90 % from {low} to {high}"
