"""Fitting: which units go together, so that most changes stay inside one group. Pure.

What is sought is a partition in which a change needs one group alone while many changes can be
made at a time; the two pull against each other. Its worth is the share of changes that fit one
group, plus what working at a time is worth, less a little for each group and each glob. The same
input always gives the same partition.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import log2
from typing import Final

PARALLEL: Final = 0.12
"""Twice as many changes at a time are worth so many changes that fit no longer."""
_GROUP: Final = 0.004
_GLOB: Final = 0.006
_SMALL: Final = 0.04
"""What a group of fewer files than ``_FEW`` costs: it is a file, and no place for work."""
_FEW: Final = 5
_UNEVEN: Final = 0.5
_TIES: Final = 0.15
"""What ties beside the commits are worth: enough to decide where the commits say little."""
_LARGEST: Final = 0.5
"""A group that takes more of the changes than this is where they queue."""
_MOST_PASSES: Final = 12
_LINKAGES: Final = (0.5, 0.8, 1.0)
_TINY: Final = 1e-9

Pattern = tuple[int, ...]
"""The units that a commit changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """A partition: the group of each unit, numbered from 0, and what it is worth."""

    groups: tuple[int, ...]
    worth: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ground:
    """What a search stands on: units, commits, and which has to do with which."""

    parents: tuple[int | None, ...]
    files: tuple[int, ...]
    sizes: frozenset[int]
    rows: tuple[tuple[Pattern, int], ...]
    rows_of: tuple[tuple[int, ...], ...]
    around: tuple[tuple[int, ...], ...]
    """A unit's parent, and the units that lie right in it."""
    below: tuple[tuple[int, ...], ...]
    """All units that lie in a unit."""
    tied: tuple[tuple[tuple[int, float], ...], ...]
    """The units that a unit is tied to beside the commits, and how much."""
    total: int


def fit(
    patterns: Mapping[Pattern, int],
    parents: Sequence[int | None],
    files: Sequence[int],
    ties: Mapping[tuple[int, int], float],
    sizes: Iterable[int],
) -> Fitted:
    """Give the worthiest partition that was found with one of these numbers of groups.

    ``files`` are the numbers of files of the units, ``ties`` what ties pairs of them together
    beside the commits, whose own ties weigh 1 in sum. There is at least one number of groups, and
    none above that of the units with files; a unit without files has one with files in it.
    """
    wanted = sorted(set(sizes))
    ground = _ground(patterns, parents, files, ties, wanted)
    found = (
        _Search(ground, start).improved()
        for linkage in _LINKAGES
        for start in _agglomerated(ground, wanted, linkage)
    )
    best = next(found)
    for each in found:
        if each.worth > best.worth + _TINY:
            best = each
    return best


def _ground(
    patterns: Mapping[Pattern, int],
    parents: Sequence[int | None],
    files: Sequence[int],
    ties: Mapping[tuple[int, int], float],
    sizes: Iterable[int],
) -> _Ground:
    rows = tuple(sorted(patterns.items()))
    rows_of: list[list[int]] = [[] for _ in parents]
    for row, (pattern, _) in enumerate(rows):
        for unit in pattern:
            rows_of[unit].append(row)
    around: list[list[int]] = [[] for _ in parents]
    below: list[list[int]] = [[] for _ in parents]
    for unit, parent in enumerate(parents):
        if parent is not None:
            around[parent].append(unit)
            around[unit].append(parent)
        above = parent
        while above is not None:
            below[above].append(unit)
            above = parents[above]
    tied: list[list[tuple[int, float]]] = [[] for _ in parents]
    for (one, other), tie in sorted(ties.items()):
        tied[one].append((other, tie))
        tied[other].append((one, tie))
    return _Ground(
        parents=tuple(parents),
        files=tuple(files),
        sizes=frozenset(sizes),
        rows=rows,
        rows_of=tuple(map(tuple, rows_of)),
        around=tuple(map(tuple, around)),
        below=tuple(map(tuple, below)),
        tied=tuple(map(tuple, tied)),
        total=max(1, sum(patterns.values())),
    )


def _bonds(ground: _Ground) -> dict[tuple[int, int], float]:
    """Give the affinities of pairs of units: their common commits, and their other ties."""
    bonds: dict[tuple[int, int], float] = {}
    for pattern, count in ground.rows:
        for pair in combinations(pattern, 2):
            bonds[pair] = bonds.get(pair, 0.0) + count / (len(pattern) - 1)
    known = sum(bonds.values()) or 1.0
    for one, tied in enumerate(ground.tied):
        for other, tie in tied:
            if one < other:
                bonds[one, other] = bonds.get((one, other), 0.0) + known * tie
    return bonds


def _agglomerated(
    ground: _Ground,
    wanted: Sequence[int],
    linkage: float,
) -> Iterator[list[int]]:
    """Give partitions of the wanted sizes, joined from single units by their affinity."""
    mass = [1.0] * len(ground.files)
    for pattern, count in ground.rows:
        for unit in pattern:
            mass[unit] += count / len(pattern)
    # A directory without files of its own begins with the first unit in it that has some.
    group = [
        unit if files else next(each for each in ground.below[unit] if ground.files[each])
        for unit, files in enumerate(ground.files)
    ]
    near: list[dict[int, float]] = [{} for _ in group]
    for (left, right), bond in _bonds(ground).items():
        one, other = group[left], group[right]
        if one != other:
            near[one][other] = near[one].get(other, 0.0) + bond
            near[other][one] = near[other].get(one, 0.0) + bond
    alive = set(group)
    while True:
        if len(alive) in wanted:
            names = {name: number for number, name in enumerate(sorted(alive))}
            yield [names[each] for each in group]
        if len(alive) <= wanted[0]:
            return
        one, other = _closest(alive, near, mass, linkage)
        for neighbour, bond in near[other].items():
            if neighbour != one:
                near[one][neighbour] = near[one].get(neighbour, 0.0) + bond
                near[neighbour][one] = near[one][neighbour]
            del near[neighbour][other]
        near[other] = {}
        mass[one] += mass[other]
        alive.remove(other)
        group = [one if each == other else each for each in group]


def _closest(
    alive: set[int], near: Sequence[Mapping[int, float]], mass: Sequence[float], linkage: float
) -> tuple[int, int]:
    pairs = (
        (bond / (mass[one] * mass[other]) ** linkage, -one, -other)
        for one in alive
        for other, bond in near[one].items()
        if one < other
    )
    best = max(pairs, default=None)
    if best is None:
        light = sorted(alive, key=lambda each: (mass[each], each))[:2]
        return min(light), max(light)
    return -best[1], -best[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Move:
    """Units of one group that go to another, and what comes of it."""

    units: tuple[int, ...]
    there: int
    worth: float
    whole: int
    load: tuple[int, ...]
    held: tuple[int, ...]
    edges: int
    tied: float


class _Search:
    """Moves units as long as the partition gets worthier: one, all in a directory, or a group."""

    def __init__(self, ground: _Ground, start: Sequence[int]) -> None:
        self._ground = ground
        self._group = list(start)
        load, held = [0] * (max(start) + 1), [0] * (max(start) + 1)
        for unit, group in enumerate(start):
            held[group] += ground.files[unit]
        whole = 0
        for pattern, count in ground.rows:
            touched = {start[unit] for unit in pattern}
            whole += count if len(touched) == 1 else 0
            for group in touched:
                load[group] += count
        self._whole = whole
        self._load, self._held = tuple(load), tuple(held)
        self._edges = sum(
            parent is not None and start[unit] != start[parent]
            for unit, parent in enumerate(ground.parents)
        )
        self._tied = sum(
            tie
            for unit, tied in enumerate(ground.tied)
            for other, tie in tied
            if unit < other and start[unit] == start[other]
        )
        self._worth = self._valued(whole, self._load, self._held, self._edges, self._tied)

    def improved(self) -> Fitted:
        """Give the partition that no move makes worthier."""
        for _ in range(_MOST_PASSES):
            before = self._worth
            for unit in range(len(self._group)):
                self._try((unit,))
                if self._ground.below[unit]:
                    here = self._group[unit]
                    below = (each for each in self._ground.below[unit] if self._group[each] == here)
                    self._try((unit, *below))
            for group in sorted(set(self._group)):
                self._try(tuple(u for u, each in enumerate(self._group) if each == group))
            if self._worth <= before + _TINY:
                break
        names = {name: number for number, name in enumerate(sorted(set(self._group)))}
        return Fitted(groups=tuple(names[each] for each in self._group), worth=self._worth)

    def _try(self, units: tuple[int, ...]) -> None:
        """Move units of one group to where that makes the partition worthiest, if anywhere."""
        if not units:
            return
        best: _Move | None = None
        for there in self._reachable(units):
            move = self._outcome(units, there)
            if move.worth > (self._worth if best is None else best.worth) + _TINY:
                best = move
        if best is None:
            return
        for unit in best.units:
            self._group[unit] = best.there
        self._worth, self._whole = best.worth, best.whole
        self._edges, self._tied = best.edges, best.tied
        self._load, self._held = best.load, best.held

    def _reachable(self, units: tuple[int, ...]) -> list[int]:
        """Give the groups that these units have something to do with, but not their own."""
        here = self._group[units[0]]
        files = sum(self._ground.files[unit] for unit in units)
        left = sum(count > 0 for count in self._held) - 1
        if 0 < files == self._held[here] and left not in self._ground.sizes:
            return []
        found: set[int] = set()
        for unit in units:
            found |= {
                self._group[each]
                for row in self._ground.rows_of[unit]
                for each in self._ground.rows[row][0]
            }
            found |= {self._group[each] for each in self._ground.around[unit]}
            found |= {self._group[each] for each, _ in self._ground.tied[unit]}
        return sorted(found - {here})

    def _outcome(self, units: tuple[int, ...], there: int) -> _Move:
        ground, here = self._ground, self._group[units[0]]
        moved = frozenset(units)
        load, held = list(self._load), list(self._held)
        whole, edges, tied = self._whole, self._edges, self._tied
        for row in {row for unit in units for row in ground.rows_of[unit]}:
            pattern, count = ground.rows[row]
            before = {self._group[each] for each in pattern}
            after = {there if each in moved else self._group[each] for each in pattern}
            whole += count * ((len(after) == 1) - (len(before) == 1))
            if here not in after:
                load[here] -= count
            if there not in before:
                load[there] += count
        for unit in units:
            held[here] -= ground.files[unit]
            held[there] += ground.files[unit]
            edges += sum(
                (self._group[each] != there) - (self._group[each] != here)
                for each in ground.around[unit]
                if each not in moved
            )
            tied += sum(
                tie * ((self._group[each] == there) - (self._group[each] == here))
                for each, tie in ground.tied[unit]
                if each not in moved
            )
        return _Move(
            units=units,
            there=there,
            worth=self._valued(whole, load, held, edges, tied),
            whole=whole,
            load=tuple(load),
            held=tuple(held),
            edges=edges,
            tied=tied,
        )

    def _valued(
        self,
        whole: int,
        load: Sequence[int],
        held: Sequence[int],
        edges: int,
        tied: float,
    ) -> float:
        # A group without a file is none: its directories go with what is around them.
        total = self._ground.total
        groups = [count for count in held if count]
        return (
            whole / total
            + PARALLEL * log2(at_once(load, total))
            - _GROUP * len(groups)
            - _SMALL * sum(count < _FEW for count in groups)
            - _UNEVEN * max(0.0, max(load) / total - _LARGEST)
            - _GLOB * edges
            + _TIES * tied
        )


def at_once(load: Iterable[float], total: float) -> float:
    """Give how many changes can be made at a time, from how many of all touch each group.

    One group that takes all gives 1, and so do changes that touch every group; n groups with an
    equal part of the changes each, none of which touches two, give n.
    """
    loads = tuple(load)
    squares = sum(each * each for each in loads)
    return total * sum(loads) / squares if squares else 1.0
