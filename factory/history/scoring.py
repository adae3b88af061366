"""Scoring: how well scopes fit changes that nobody looked at when the scopes were made. Pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from factory.history.changes import Change
from factory.history.fitting import at_once

HELD_OUT: Final = 0.2
"""The newest share of a history, on which scopes are judged and from which none is made."""
_BREAKERS: Final = 3
_PAIR: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """How changes fit scopes.

    ``fit`` is the share of changes that need one scope alone, ``wide_fit`` that share among the
    changes of several files, ``mean`` the scopes that a change needs, ``at_once`` how many changes
    can be made at a time, ``touched`` the share of changes that need each scope.
    """

    changes: int
    wide: int
    fit: float
    wide_fit: float
    mean: float
    at_once: float
    touched: Mapping[str, float]


def halves(changes: Sequence[Change]) -> tuple[tuple[Change, ...], tuple[Change, ...]]:
    """Give the older changes, to make scopes from, and the newest ones, to judge them by."""
    held = round(len(changes) * HELD_OUT)
    return tuple(changes[held:]), tuple(changes[:held])


def score(changes: Iterable[Change], scope_of: Callable[[str], str]) -> Score:
    """Give how changes fit scopes that hold every path; ``scope_of`` names a path's."""
    touched: dict[str, int] = {}
    total = wide = fits = wide_fits = 0
    for change in changes:
        needed = {scope_of(file) for file in change.files}
        total += 1
        fits += len(needed) == 1
        if len(change.files) > 1:
            wide += 1
            wide_fits += len(needed) == 1
        for name in needed:
            touched[name] = touched.get(name, 0) + 1
    return Score(
        changes=total,
        wide=wide,
        fit=_share(fits, total),
        wide_fit=_share(wide_fits, wide),
        mean=_share(sum(touched.values()), total),
        at_once=at_once(touched.values(), total),
        touched={name: count / total for name, count in sorted(touched.items())},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaker:
    """A file without which so many changes would have fit one scope."""

    path: str
    changes: int


def breakers(
    changes: Iterable[Change], scope_of: Callable[[str], str], *, most: int = _BREAKERS
) -> tuple[Breaker, ...]:
    """Give the files that most often alone keep a change from fitting, the worst first."""
    blamed: dict[str, int] = {}
    for change in changes:
        held: dict[str, list[str]] = {}
        for file in change.files:
            held.setdefault(scope_of(file), []).append(file)
        # Of one file here and one there either could be blamed, and so neither is.
        alone = [files[0] for files in held.values() if len(files) == 1]
        if len(held) == _PAIR and len(alone) == 1:
            blamed[alone[0]] = blamed.get(alone[0], 0) + 1
    worst = sorted(blamed.items(), key=lambda item: (-item[1], item[0]))[:most]
    return tuple(Breaker(path=path, changes=count) for path, count in worst)


def one_scope(_path: str) -> str:
    """Name the scope of a path where the whole repository is one."""
    return "**"


def top_directory(path: str) -> str:
    """Name the scope of a path where every directory at the top is one, and the files there one."""
    top, slash, _ = path.partition("/")
    return f"{top}/**" if slash else "/*"


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
