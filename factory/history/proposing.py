"""Proposing: stations whose scopes hold the changes of the past, each change in one. Pure.

The scopes are disjoint and hold every path, also one that does not exist yet: the deepest glob
that means a path decides, and every directory belongs to one station.
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

from factory.history.fitting import Pattern, fit
from factory.history.units import Unit, pattern, split
from worktrees.names import StationName

FEWEST: Final = 2
MOST: Final = 8
_IMPORTS: Final = 0.25
"""What all imports weigh beside all commits, where everything else is equal."""
_PLACES: Final = 0.15
_OWNERS: Final = 0.15
_PLAIN_WORDS: Final = (
    "src lib libs app apps pkg packages internal main core source sources crates modules"
)
_PLAIN: Final = frozenset(_PLAIN_WORDS.split())
_TESTS: Final = re.compile(r"(?:^|/)(?:tests?|specs?|__tests__|testing)(?:/|$)")
_REST: Final = "project"
_NAMELESS: Final = frozenset({"init", "index", "main", "mod", "lib"})
"""Files that have the name of their directory."""

Owners = Callable[[str], tuple[str, ...]]
"""Who owns a path, by the repository's own file; nobody is an empty tuple."""


class TooFewPieces(Exception):  # noqa: N818  reads as what is the matter
    """A repository has fewer pieces than stations were asked for; the message counts them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposed:
    """One station: its name, the globs of its scope, and the tracked files it holds."""

    name: StationName
    scope: tuple[str, ...]
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """Stations with disjoint scopes that hold every tracked file, the busiest first."""

    stations: tuple[Proposed, ...]


def propose(
    groups: Sequence[tuple[str, ...]],
    tracked: Collection[str],
    *,
    imports: Mapping[str, Collection[str]],
    owners: Owners,
    sizes: Iterable[int] = range(FEWEST, MOST + 1),
    taken: Collection[str] = (),
) -> Proposal:
    """Give the stations that fit these commits best, under names that are not ``taken``.

    ``sizes`` are the numbers of stations to choose from. Raises ``TooFewPieces`` when the
    repository has not enough pieces for any of them.
    """
    units = split(tracked, sorted(groups))
    pieces = sum(len(unit.files) > 0 for unit in units)
    wanted = [size for size in sizes if size <= pieces]
    if not wanted:
        raise TooFewPieces(f"it has {pieces}")
    place = {file: number for number, unit in enumerate(units) for file in unit.files}
    patterns: dict[Pattern, int] = {}
    for files in groups:
        row = tuple(sorted({place[file] for file in files if file in place}))
        if row:
            patterns[row] = patterns.get(row, 0) + 1
    fitted = fit(
        patterns,
        [unit.parent for unit in units],
        [len(unit.files) for unit in units],
        _ties(units, place, imports, owners),
        wanted,
    )
    return _drawn(units, fitted.groups, taken)


def _ties(
    units: Sequence[Unit],
    place: Mapping[str, int],
    imports: Mapping[str, Collection[str]],
    owners: Owners,
) -> dict[tuple[int, int], float]:
    """Give what ties units together beside their past: imports, places, tests and owners."""
    ties: dict[tuple[int, int], float] = {}
    for share, found in (
        (_IMPORTS, _imported(place, imports)),
        (_PLACES, _beside(units)),
        (_OWNERS, _owned(units, owners)),
    ):
        whole = sum(found.values())
        for pair, tie in sorted(found.items()):
            ties[pair] = ties.get(pair, 0.0) + share * tie / whole
    return ties


def _imported(
    place: Mapping[str, int], imports: Mapping[str, Collection[str]]
) -> dict[tuple[int, int], float]:
    ties: dict[tuple[int, int], float] = {}
    for file, others in sorted(imports.items()):
        one = place.get(file)
        far = {place[other] for other in others if other in place} - {one}
        for other in far:
            if one is not None:
                pair = (min(one, other), max(one, other))
                # A file that imports everything is tied to nothing.
                ties[pair] = ties.get(pair, 0.0) + 1 / len(far)
    return ties


def _beside(units: Sequence[Unit]) -> dict[tuple[int, int], float]:
    """Tie a unit to what it lies in, and a test to what it has the name of."""
    ties = {
        (unit.parent, number): 1.0 for number, unit in enumerate(units) if unit.parent is not None
    }
    named: dict[str, list[int]] = {}
    for number, unit in enumerate(units):
        named.setdefault(_stem(unit.path), []).append(number)
    for alike in named.values():
        tests = [number for number in alike if _TESTS.search(units[number].path)]
        for test in tests:
            for number in alike:
                if number not in tests:
                    pair = (min(test, number), max(test, number))
                    ties[pair] = ties.get(pair, 0.0) + 2.0
    return ties


def _owned(units: Sequence[Unit], owners: Owners) -> dict[tuple[int, int], float]:
    teams: dict[tuple[str, ...], list[int]] = {}
    for number, unit in enumerate(units):
        names = owners(unit.files[0]) if unit.files else ()
        if names:
            teams.setdefault(names, []).append(number)
    # One team that owns everything says nothing.
    return {
        pair: 1 / (len(team) - 1)
        for team in teams.values()
        if len(team) * 2 <= len(units)
        for pair in combinations(team, 2)
    }


def _stem(path: str) -> str:
    name = path.rpartition("/")[2].split(".")[0].lower()
    return re.sub(r"^(?:test|spec)s?[_-]|[_-](?:test|spec)s?$", "", name)


def _drawn(units: Sequence[Unit], fitted: Sequence[int], taken: Collection[str]) -> Proposal:
    groups = _held(units, fitted)
    scopes: dict[int, list[str]] = {}
    for unit, group in zip(units, groups, strict=True):
        above = None if unit.parent is None else groups[unit.parent]
        if above != group:
            scopes.setdefault(group, []).append(pattern(unit))
            if above is not None:
                scopes[above].append(f"!{pattern(unit)}")
    members = {
        group: [unit for unit, own in zip(units, groups, strict=True) if own == group]
        for group in sorted(scopes)
    }
    order = sorted(members, key=lambda each: (-sum(u.weight for u in members[each]), each))
    names = list(taken)
    stations: list[Proposed] = []
    for group in order:
        names.append(_name(members[group], names))
        stations.append(
            Proposed(
                name=StationName(names[-1]),
                scope=tuple(scopes[group]),
                files=tuple(sorted(file for unit in members[group] for file in unit.files)),
            )
        )
    return Proposal(stations=tuple(stations))


def _held(units: Sequence[Unit], fitted: Sequence[int]) -> list[int]:
    """Give the groups without those that hold no file: their directories go with what is around."""
    full = {group for unit, group in zip(units, fitted, strict=True) if unit.files}
    groups: list[int] = []
    for unit, group in zip(units, fitted, strict=True):
        around = min(full) if unit.parent is None else groups[unit.parent]
        groups.append(group if group in full else around)
    return groups


def _name(units: Sequence[Unit], taken: Collection[str]) -> str:
    """Give a name from where most of a station's changes are, longer when that one is taken."""
    names = [_slug(name) for name in _telling(units).split("/")]
    names = [name for name in names if name not in _PLAIN | {""}] or names[-1:]
    tries = ["-".join(names[-count:]) for count in range(1, len(names) + 1)]
    tries = [each for each in tries if each] or [_REST]
    free = next((each for each in tries if each not in taken), None)
    number = 2
    while free is None:
        free = f"{tries[0]}-{number}" if f"{tries[0]}-{number}" not in taken else None
        number += 1
    return free


def _telling(units: Sequence[Unit]) -> str:
    """Give the path that tells most: the deepest directory of a station with half its changes.

    Tests tell what they test, and so do not count while there is anything else.
    """
    counted = [unit for unit in units if not _TESTS.search(unit.path)] or units
    whole = sum(unit.weight for unit in counted)
    held = {
        own.path: sum(unit.weight for unit in counted if _inside(unit.path, own.path))
        for own in counted
        if not own.is_file
    }
    most = [path for path, weight in held.items() if path and weight * 2 >= whole]
    if most:
        return max(most, key=lambda path: (path.count("/"), held[path], path))
    if "" in held and held[""] * 2 >= whole:
        return ""
    heaviest = min(counted, key=lambda each: (-held.get(each.path, each.weight), each.path))
    directory, _, _ = heaviest.path.rpartition("/")
    stem = _stem(heaviest.path)
    if not heaviest.is_file:
        return heaviest.path
    return directory if stem.strip("_") in _NAMELESS else f"{directory}/{stem}"


def _inside(path: str, directory: str) -> bool:
    return path == directory or path.startswith(f"{directory}/") or not directory


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40].strip("-")
