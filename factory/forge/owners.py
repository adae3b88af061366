"""Owners: who is asked to review a change, by the CODEOWNERS file of the branch. Pure."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from worktrees.scope import allows, faults

PLACES: Final = (".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS")
"""Where the file may lie; the first that is there counts."""
MOST: Final = 15
"""So many people at most are asked for a review at once."""
_TOGETHER: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Owners:
    """Who owns what was touched: people and teams by name, and the paths that have owners."""

    people: tuple[str, ...]
    teams: tuple[str, ...]
    paths: tuple[str, ...]


def owners(text: str, paths: Iterable[str], *, owner: str) -> Owners:
    """Give the owners of these paths; of each path the last rule that means it counts.

    Teams of another organisation than ``owner`` cannot be asked, nor can addresses.
    """
    named = named_by(text)
    people: dict[str, None] = {}
    teams: dict[str, None] = {}
    owned: list[str] = []
    for path in paths:
        names = named(path)
        if names:
            owned.append(path)
        for name in names:
            group, slash, team = name.removeprefix("@").partition("/")
            if slash and group.lower() == owner.lower():
                teams[team] = None
            elif not slash and name.startswith("@"):
                people[group] = None
    return Owners(people=tuple(people)[:MOST], teams=tuple(teams)[:MOST], paths=tuple(owned))


def named_by(text: str) -> Callable[[str], tuple[str, ...]]:
    """Give what tells the owners of a path as the file names them; the last rule for it counts."""
    rules = [rule for line in text.splitlines() if (rule := _rule(line)) is not None]
    # Asked in groups: a large file has more rules than matchers are kept.
    groups = [
        (tuple(glob for glob, _ in rules[start : start + _TOGETHER]), rules[start:][:_TOGETHER])
        for start in range(0, len(rules), _TOGETHER)
    ]

    def names(path: str) -> tuple[str, ...]:
        some = next((group for globs, group in reversed(groups) if allows(globs, path)), [])
        return next((who for glob, who in reversed(some) if allows((glob,), path)), ())

    return names


def _rule(line: str) -> tuple[str, tuple[str, ...]] | None:
    """Give a line's pattern and owners; None for a comment or what nobody could mean."""
    words = line.split("#", 1)[0].split()
    if not words or words[0].startswith("!") or faults([words[0]]):
        return None
    return words[0], tuple(words[1:])
