"""Fusing: many signals, each a list of items with the best first, made into one order. Pure.

Every place in every list is worth a reciprocal rank, and every point is kept with the reason for
it, so that a person can be told why an item is in or out.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Final

from factory.survey.ranks import points
from factory.survey.values import Candidate, Item, Link, LinkKind, Reason, ReasonKind
from worktrees.noise import is_noise

LINKED: Final = 3.0
"""What a link to a seed weighs: somebody who knew said that they belong together."""
FOUND_LINKED: Final = 1.0
"""What a link to an item weighs that was itself only found by its words."""
FILES: Final = 1.0
LABELS: Final = 0.25
RECENT: Final = 0.1
"""Labels and dates order what other signals found; they find nothing."""
SEED: Final = 10.0
_CROWD: Final = 10
"""An item that is linked with more than these says less with each link."""
_FILE_LINKS: Final = 8
_STRENGTH: Final[dict[LinkKind, int]] = {
    "duplicate": 0,
    "closes": 1,
    "connected": 2,
    "mentions": 3,
    "files": 4,
}
_SAID: Final[dict[LinkKind, str]] = {
    "duplicate": "one is called a duplicate of the other: #{}",
    "closes": "one closes the other: #{}",
    "connected": "linked by hand with #{}",
    "mentions": "one names the other: #{}",
    "files": "changes the same files as #{}",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """A list of items, the best first; ``said`` holds for each of them, or is told per item."""

    kind: ReasonKind
    weight: float
    numbers: Sequence[int]
    said: str = ""
    each: Mapping[int, str] | None = None

    def words(self, number: int) -> str:
        """Give the signal in words for one item."""
        return self.said if self.each is None else self.each.get(number, self.said)


def reasons(signals: Iterable[Signal]) -> dict[int, tuple[Reason, ...]]:
    """Give what speaks for each item: one reason of each kind, the strongest first."""
    gathered: defaultdict[int, dict[ReasonKind, list[tuple[float, str]]]]
    gathered = defaultdict(lambda: defaultdict(list))
    for signal in signals:
        for place, number in enumerate(signal.numbers):
            told = points(place, signal.weight), signal.words(number)
            gathered[number][signal.kind].append(told)
    return {
        number: tuple(
            sorted(
                (_reason(kind, told) for kind, told in kinds.items()),
                key=lambda reason: (-reason.points, reason.kind),
            )
        )
        for number, kinds in gathered.items()
    }


def score(found: Iterable[Reason]) -> float:
    """Give the sum of the points."""
    return round(sum(reason.points for reason in found), 6)


def ordered(found: Mapping[int, tuple[Reason, ...]]) -> list[int]:
    """Give the numbers, the best first."""
    return sorted(found, key=lambda number: (-score(found[number]), number))


def linked(
    roots: Iterable[int], links: Mapping[int, Sequence[Link]], *, seeds: Iterable[int]
) -> list[Signal]:
    """Give a signal for what is linked with each root, and for the seeds with more weight."""
    first, found = frozenset(seeds), []
    for root in roots:
        near = sorted(links.get(root, ()), key=lambda link: (_STRENGTH[link.kind], link.number))
        best: dict[int, str] = {}
        for link in near:
            best.setdefault(link.number, _SAID[link.kind].format(root))
        weight = LINKED if root in first else FOUND_LINKED
        crowd = sqrt(max(1.0, len(best) / _CROWD))
        found.append(Signal(kind="link", weight=weight / crowd, numbers=list(best), each=best))
    return found


def filed(items: Iterable[Item], wanted: Collection[str]) -> Signal:
    """Give a signal for the pull requests that change one of these files, the rare ones first."""
    others = list(items)
    common = Counter(path for item in others for path in item.files)
    worth: dict[int, float] = {}
    each: dict[int, str] = {}
    for item in others:
        if shared := [path for path in item.files if path in wanted]:
            worth[item.number] = sum(1 / common[path] for path in shared)
            more = f" and {len(shared) - 1} more" if len(shared) > 1 else ""
            each[item.number] = f"changes {shared[0]}{more}"
    order = sorted(worth, key=lambda number: (-worth[number], number))
    return Signal(kind="files", weight=FILES, numbers=order, each=each)


def labelled(roots: Iterable[Item], items: Iterable[Item]) -> Signal:
    """Give a signal for the items that bear the roots' labels, the rare ones first."""
    others = list(items)
    common = Counter(label for item in others for label in item.labels)
    mine = {label for item in roots for label in item.labels}
    worth: dict[int, float] = {}
    each: dict[int, str] = {}
    for item in others:
        if shared := [label for label in item.labels if label in mine]:
            worth[item.number] = sum(1 / common[label] for label in shared)
            each[item.number] = f"labelled {', '.join(shared[:3])}"
    order = sorted(worth, key=lambda number: (-worth[number], number))
    return Signal(kind="labels", weight=LABELS, numbers=order, each=each)


def recent(items: Iterable[Item]) -> Signal:
    """Give a signal for what changed last."""
    order = sorted(items, key=lambda item: (item.updated, item.number), reverse=True)
    each = {item.number: f"changed {item.updated:%Y-%m-%d}" for item in order}
    return Signal(kind="recent", weight=RECENT, numbers=[i.number for i in order], each=each)


def sharing(items: Iterable[Item]) -> dict[int, tuple[Link, ...]]:
    """Give for each pull request the others that change a file it changes, the closest first."""
    changes = {
        item.number: frozenset(path for path in item.files if not is_noise(path)) for item in items
    }
    holders: defaultdict[str, list[int]] = defaultdict(list)
    for number, paths in changes.items():
        for path in paths:
            holders[path].append(number)
    found: dict[int, tuple[Link, ...]] = {}
    for number, paths in changes.items():
        near = Counter(other for path in paths for other in holders[path] if other != number)
        best = sorted(near, key=lambda other: (-near[other], other))[:_FILE_LINKS]
        found[number] = tuple(Link(kind="files", number=other) for other in best)
    return found


def distances(starts: Iterable[int], links: Mapping[int, Sequence[Link]]) -> dict[int, int]:
    """Give how many links lead from the nearest start to each item that one leads to."""
    found = dict.fromkeys(starts, 0)
    edge, far = list(found), 0
    while edge:
        far += 1
        reached = dict.fromkeys(
            link.number
            for number in edge
            for link in links.get(number, ())
            if link.kind != "files" and link.number not in found
        )
        found |= dict.fromkeys(reached, far)
        edge = list(reached)
    return found


def candidates(
    found: Mapping[int, tuple[Reason, ...]],
    items: Mapping[int, Item],
    links: Mapping[int, Sequence[Link]],
    near: Mapping[int, int],
) -> tuple[Candidate, ...]:
    """Give the candidates, the best first."""
    return tuple(
        Candidate(
            item=items[number],
            score=score(found[number]),
            reasons=found[number],
            distance=near.get(number),
            links=tuple(links.get(number, ())),
        )
        for number in ordered(found)
        if number in items
    )


def _reason(kind: ReasonKind, told: Sequence[tuple[float, str]]) -> Reason:
    best = max(told, key=lambda one: one[0])
    more = len({said for _, said in told}) - 1
    said = f"{best[1]}, and {more} more" if more and kind == "link" else best[1]
    return Reason(kind=kind, points=round(sum(worth for worth, _ in told), 6), said=said)
