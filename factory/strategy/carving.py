"""Root causes into stations: who writes which files, in which wave, with what allowance. Pure.

Causes that share a file become one station. A file that many want is written once, before them, by
a station of its own; tests and texts that several want are written after them. Whatever two could
write, one of them writes: the scopes of a wave are disjoint.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_DOWN, Decimal
from typing import Final

from factory.strategy.values import Allowance, Found
from stations.contract import Budget
from worktrees.names import ID_PATTERN

SHARED: Final = "shared"
LAST: Final = "tests-and-docs"
MANY: Final = 3
"""A file that so many root causes want is a contract between them."""
STRONG: Final = 0.5
"""A file with this share of its root cause's strongest is one that it cannot do without."""
MOST_FILES: Final = 12
"""A station writes at most so many files that exist; more is too broad for one change."""
PER_FILE: Final = 25
PER_TEST: Final = 40
"""Changed lines that a file and a test are taken for before anybody wrote them."""
_TOKENS: Final = 1_000_000
_TOKENS_EACH: Final = 400_000
_MOST_TOKENS: Final = 6_000_000
_KEPT: Final = Decimal("0.9")
"""The share of a run's budget that its stations get; the rest is for repairs."""
_SPECIAL: Final = re.compile(r"([*?\[\]\\!#])")
_DULL: Final = frozenset({"__init__", "index", "main", "mod", "lib", "__main__", "init", "setup"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What a root cause needs: its files by weight, and how many of its items want a test."""

    cause: str
    code: tuple[Found, ...]
    beside: tuple[Found, ...] = ()
    """Tests and texts that exist and that it may have to change."""
    items: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What bounds the carving: the run's budget and time, and names that are taken."""

    budget: Budget = field(default_factory=Budget)
    timeout: float = 1200.0
    most_files: int = MOST_FILES
    taken: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A station to be: ``home`` are the causes whose items it shows cured."""

    id: str
    causes: tuple[str, ...]
    home: tuple[str, ...]
    files: tuple[str, ...]
    depends_on: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Carved:
    """The stations, their waves, and what a person should know of how they came about."""

    stations: tuple[Draft, ...]
    waves: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]


def carve(needs: Sequence[Need], terms: Terms) -> Carved:
    """Give stations with disjoint files for these root causes, the same each time."""
    return _Carving([need for need in needs if need.code or need.beside], terms).carved()


class _Carving:
    def __init__(self, needs: Sequence[Need], terms: Terms) -> None:
        self.needs = {need.cause: need for need in needs}
        self.terms = terms
        self.notes: list[str] = []
        self.code = {need.cause: _weights(need.code or need.beside) for need in needs}
        self.beside = {need.cause: _weights(need.beside if need.code else ()) for need in needs}

    def carved(self) -> Carved:
        central = self._central()
        groups = self._joined(central)
        owned = self._owned(groups, central)
        alone = [group for group in groups if not owned[group]]
        groups = [group for group in groups if owned[group]]
        if not groups and central:
            # Nothing is left beside what all of them want: it is one station's work.
            groups, alone = [tuple(cause for group in alone for cause in group)], []
            owned, central = {groups[0]: sorted(central)}, set()
        stations = self._named(groups, owned, central, alone)
        return Carved(stations=stations, waves=waves_of(stations), notes=tuple(self.notes))

    def _strong(self, cause: str) -> set[str]:
        weights = self.code[cause]
        least = STRONG * max(weights.values(), default=0.0)
        return {path for path, weight in weights.items() if weight >= least}

    def _central(self) -> set[str]:
        """Find the contracts: files that many root causes want, and cannot do without."""
        wanted = _wanted(self.code)
        strong = {cause: self._strong(cause) for cause in self.code}
        found = {
            path
            for path, causes in wanted.items()
            if len(causes) >= MANY and sum(path in files for files in strong.values()) > 1
        }
        # Who has nothing else does not share a file with a few: it is their own work.
        for files in strong.values():
            if files <= found:
                found -= {path for path in files if self._sharers(path, strong) < MANY}
        return found

    @staticmethod
    def _sharers(path: str, strong: Mapping[str, set[str]]) -> int:
        """Count the root causes that cannot do without a file, and have others of their own."""
        return sum(path in files and len(files) > 1 for files in strong.values())

    def _joined(self, central: set[str]) -> list[tuple[str, ...]]:
        """Join the causes that share a file; what would become too broad shares it instead."""
        above = {cause: cause for cause in self.code}

        def top(cause: str) -> str:
            while above[cause] != cause:
                above[cause] = above[above[cause]]
                cause = above[cause]
            return cause

        strong = {cause: self._strong(cause) - central for cause in self.code}
        for path, causes in sorted(_wanted(strong).items()):
            first, *others = causes
            for other in others:
                one, two = top(first), top(other)
                if one == two:
                    continue
                members = [each for each in above if top(each) in {one, two}]
                size = len(set().union(*(strong[each] for each in members)))
                if size > self.terms.most_files:
                    central.add(path)
                    self.notes.append(
                        f"{path} is shared by {first} and {other}, which together are too broad"
                        " for one station"
                    )
                    break
                above[two] = one
        groups: dict[str, list[str]] = {}
        for cause in self.code:
            groups.setdefault(top(cause), []).append(cause)
        return [tuple(group) for group in groups.values()]

    def _owned(
        self, groups: Sequence[tuple[str, ...]], central: Collection[str]
    ) -> dict[tuple[str, ...], list[str]]:
        """Give each file to the one group that wants it most."""
        best: dict[str, tuple[bool, float, int]] = {}
        for place, group in enumerate(groups):
            strong = set().union(*(self._strong(cause) for cause in group))
            sums: dict[str, float] = {}
            for cause in group:
                for path, weight in self.code[cause].items():
                    sums[path] = sums.get(path, 0.0) + weight
            for path, weight in sums.items():
                claim = (path in strong, weight, -place)
                if path not in central and (path not in best or claim > best[path]):
                    best[path] = claim
        owned: dict[tuple[str, ...], list[str]] = {}
        for place, group in enumerate(groups):
            mine = [path for path, (_, _, owner) in best.items() if owner == -place]
            mine.sort(key=lambda path: (not best[path][0], -best[path][1], path))
            if len(mine) > self.terms.most_files:
                self.notes.append(
                    f"{', '.join(group)}: {len(mine)} files speak for it; the"
                    f" {self.terms.most_files} that most does are written, the others only read"
                )
            owned[group] = mine[: self.terms.most_files]
        return owned

    def _named(
        self,
        groups: Sequence[tuple[str, ...]],
        owned: Mapping[tuple[str, ...], list[str]],
        central: set[str],
        alone: Sequence[tuple[str, ...]],
    ) -> tuple[Draft, ...]:
        used = set(self.terms.taken) | {SHARED, LAST}
        homeless = tuple(cause for group in alone for cause in group)
        first = sorted(central)
        shared = _free(SHARED, set(self.terms.taken))
        last = _free(LAST, set(self.terms.taken))
        after = self._after(groups)
        found: list[Draft] = []
        if first:
            causes = tuple(cause for cause in self.code if not central.isdisjoint(self.code[cause]))
            found.append(Draft(id=shared, causes=causes, home=homeless, files=tuple(first)))
        names: list[str] = []
        for group in groups:
            name = _free(_name(owned[group]), used)
            used.add(name)
            names.append(name)
            mine = [
                path
                for cause in group
                for path in self.beside[cause]
                if path not in after and path not in first and self._keeper(groups, path) == group
            ]
            files = tuple(dict.fromkeys([*owned[group], *self._beside(group, mine)]))
            needs = bool(first) and any(
                path in self.code[cause] for cause in group for path in first
            )
            found.append(
                Draft(
                    id=name,
                    causes=group,
                    home=group,
                    files=files,
                    depends_on=(shared,) if needs else (),
                )
            )
        if after:
            whose = [
                name
                for name, group in zip(names, groups, strict=True)
                if any(path in self.beside[cause] for cause in group for path in after)
            ]
            causes = tuple(
                cause
                for group in groups
                for cause in group
                if not after.isdisjoint(self.beside[cause])
            )
            found.append(
                Draft(
                    id=last,
                    causes=causes,
                    home=(),
                    files=tuple(sorted(after)),
                    depends_on=tuple(whose),
                )
            )
        return tuple(found)

    def _after(self, groups: Sequence[tuple[str, ...]]) -> set[str]:
        """Find the tests and texts that several groups need and nobody writes as code."""
        wanted: dict[str, set[int]] = {}
        for place, group in enumerate(groups):
            for cause in group:
                least = STRONG * max(self.code[cause].values(), default=0.0)
                for path, weight in self.beside[cause].items():
                    if weight >= least:
                        wanted.setdefault(path, set()).add(place)
        code = {path for weights in self.code.values() for path in weights}
        return {path for path, who in wanted.items() if len(who) > 1 and path not in code}

    def _keeper(self, groups: Sequence[tuple[str, ...]], path: str) -> tuple[str, ...]:
        """Give the group that wants a test or a text most; the first one of several."""
        return max(
            groups,
            key=lambda group: max(self.beside[cause].get(path, 0.0) for cause in group),
        )

    def _beside(self, group: Sequence[str], paths: Sequence[str]) -> list[str]:
        code = {path for cause, each in self.code.items() if cause not in group for path in each}
        return [path for path in dict.fromkeys(paths) if path not in code]


def waves_of(stations: Iterable[Draft]) -> tuple[tuple[str, ...], ...]:
    """Give the rounds in which stations can work: each as soon as those it depends on are done."""
    depth: dict[str, int] = {}
    for station in stations:
        # What a station depends on stands before it.
        depth[station.id] = 1 + max((depth[each] for each in station.depends_on), default=-1)
    most = max(depth.values(), default=-1)
    return tuple(
        tuple(name for name, each in depth.items() if each == wave) for wave in range(most + 1)
    )


def allowances(
    sizes: Sequence[tuple[int, int]], terms: Terms, *, waves: int
) -> tuple[Allowance, ...]:
    """Give what each station may spend, by its files and tests, within the run's budget."""
    budget = terms.budget
    shares = [
        min(_MOST_TOKENS, _TOKENS + _TOKENS_EACH * tests + _TOKENS * files // 10)
        for files, tests in sizes
    ]
    whole = sum(shares)
    most = None if budget.tokens is None else int(budget.tokens * _KEPT)
    scaled = [share if most is None else min(share, most * share // whole) for share in shares]
    seconds = 2 * terms.timeout
    if budget.seconds is not None:
        seconds = min(seconds, float(_KEPT) * budget.seconds / max(1, waves))
    return tuple(
        Allowance(
            tokens=max(1, tokens),
            usd=_dollars(budget.dollars, share, whole),
            seconds=float(max(1, int(seconds))),
        )
        for tokens, share in zip(scaled, shares, strict=True)
    )


def lines_of(files: int, tests: int) -> int:
    """Give how many changed lines a station is taken for."""
    return PER_FILE * files + PER_TEST * tests


def literal(path: str) -> str:
    """Give the glob that means exactly this path."""
    escaped = _SPECIAL.sub(r"\\\1", path)
    return escaped if "/" in path else f"/{escaped}"


def _dollars(whole: Decimal | None, share: int, shares: int) -> Decimal | None:
    if whole is None:
        return None
    cents = (whole * _KEPT * share / shares).quantize(Decimal("0.0001"), rounding=ROUND_DOWN)
    return max(cents, Decimal("0.0001"))


def _weights(found: Iterable[Found]) -> dict[str, float]:
    return {each.path: each.weight for each in found}


def _wanted(files: Mapping[str, Iterable[str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for cause, paths in files.items():
        for path in paths:
            found.setdefault(path, []).append(cause)
    return {path: causes for path, causes in found.items() if len(causes) > 1}


def _name(files: Sequence[str]) -> str:
    """Give a station the name of its strongest file, or of the directory of a dull one."""
    for path in files:
        parts = [part.split(".")[0] for part in path.split("/")]
        for part in reversed(parts):
            slug = re.sub(r"[^a-z0-9]+", "-", part.lower()).strip("-")[:40].strip("-")
            if slug and part.lower() not in _DULL and ID_PATTERN.fullmatch(slug):
                return slug
    return "fix"


def _free(name: str, used: Collection[str]) -> str:
    found, number = name, 1
    while found in used:
        number += 1
        found = f"{name}-{number}"
    return found
