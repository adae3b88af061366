"""Which files a root cause is about, each with what speaks for it.

Everything that is read for it is hostile text: a path counts only when the base tracks it, a
symbol only where git finds it there as a fixed string.
"""

import os
import re
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from itertools import islice
from typing import Final

from factory.strategy.values import Found
from factory.survey import naming
from worktrees.git import Git, GitTimeout
from worktrees.names import Oid
from worktrees.noise import is_noise
from worktrees.scope import allows
from worktrees.testfiles import is_test

DOCS: Final = ("*.md", "*.rst", "*.adoc", "*.txt", "docs/**", "doc/**")
"""What is written for people; it follows the code."""
MOST_FILES: Final = 16
"""A root cause keeps at most this many files."""
LONGEST: Final = 300
"""A file with a longer path is nobody's to write: a plan names each by its path."""
MOST_SYMBOLS: Final = 16
SECONDS: Final = 60.0
"""All searches for words of one plan take at most so long; what is not found by then is not."""
COMMON: Final = 12
"""A symbol in more files than this says nothing about where the fault is."""
_PULL: Final = 4.0
_NAMED: Final = 3.0
_DEFINED: Final = 2.0
_USED: Final = 0.5
_RELATED: Final = 1.5
_TESTED: Final = 0.5
_LEAST: Final = 0.4
_ADDED: Final = 200
"""A change of so many added lines counts as much as a change can."""
_REASONS: Final = 6
_CAP: Final = 64_000_000
_INSTALLED: Final = re.compile(r"[\w./\\:~-]*[/\\](?:site|dist)-packages[/\\]")
"""Where a frame of an installed copy lies; what follows is called as in the repository."""
_WORD: Final = re.compile(r"[A-Za-z_]\w{2,60}")
_DEFINERS: Final = 3
"""A name that more files define is nobody's."""
_ANY: Final = frozenset({"__init__", "index", "main", "mod", "lib", "base", "utils"})
_DEFINES: Final = ("def", "class", "func", "function", "fn", "struct", "interface", "type", "const")

Related = Callable[[Collection[str]], Iterable[tuple[str, float]]]
"""Gives the files that changed together with these, each with a weight of at most 1."""
Grep = Callable[[Sequence[str]], tuple[str, ...] | None]
"""Gives the files that hold one of these fixed words; None when that took too long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What one item brings to the search: its texts, and of a pull request its files.

    ``added`` are the lines that it adds to each, as far as they are known.
    """

    number: int
    texts: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    added: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """The base as the search sees it."""

    tracked: frozenset[str]
    grep: Grep
    related: Related


def files_of(
    ground: Ground, told: Sequence[Told], *, files: Sequence[str] = (), symbols: Sequence[str] = ()
) -> tuple[Found, ...]:
    """Give the files of a root cause, the strongest first; ``files`` and ``symbols`` are its own.

    Lockfiles, changelogs and what is generated belong to nobody, and are never among them.
    """
    search = _Search(ground)
    for path in files:
        if path in ground.tracked:
            search.add(path, _NAMED, "the root cause names it")
    for item in told:
        search.add_pull(item)
        search.add_paths(item)
    search.add_symbols(told, symbols)
    search.add_related()
    search.add_tests()
    return search.found()


class _Search:
    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._weights: dict[str, float] = {}
        self._reasons: dict[str, list[str]] = {}
        self._tracked = _names(ground.tracked)

    def add(self, path: str, weight: float, reason: str) -> None:
        if is_noise(path) or not path.isprintable() or len(path) > LONGEST:
            return
        self._weights[path] = self._weights.get(path, 0.0) + weight
        said = self._reasons.setdefault(path, [])
        if reason not in said:
            said.append(reason)

    def add_pull(self, item: Told) -> None:
        """Count a pull request's files; those to which it adds most say most."""
        for path in item.files:
            if path not in self._ground.tracked:
                continue
            lines = item.added.get(path)
            share = 1.0 if lines is None else (1 + min(lines, _ADDED)) / (1 + _ADDED)
            self.add(path, _PULL * (0.5 + share / 2), f"pull request #{item.number} changes it")

    def add_paths(self, item: Told) -> None:
        texts = (_INSTALLED.sub("", text) for text in item.texts)
        named = (path for text in texts for path in naming.files(text, self._tracked))
        for path in dict.fromkeys(named):
            self.add(path, _NAMED, f"#{item.number} names it")

    def add_symbols(self, told: Sequence[Told], symbols: Sequence[str]) -> None:
        """Count where words of code that the texts name are defined or used."""
        asked = [*symbols]
        for item in told:
            asked += [word for text in item.texts for word in naming.symbols(text)]
        words = [word for word in dict.fromkeys(map(_last, asked)) if word]
        for symbol in words[:MOST_SYMBOLS]:
            used = self._ground.grep([symbol])
            if not used:
                continue
            defined = self._ground.grep([f"{kind} {symbol}" for kind in _DEFINES]) or ()
            for path in defined if len(defined) <= _DEFINERS else ():
                self.add(path, _DEFINED, f"it defines {symbol}")
            for path in used if len(used) <= COMMON else ():
                if path not in defined:
                    self.add(path, _USED, f"it names {symbol}")

    def add_related(self) -> None:
        """Count what changed together with the strongest files so far."""
        strong = [path for path in self._ordered()[:MOST_FILES] if self._weights[path] >= _NAMED]
        for path, weight in self._ground.related(strong) if strong else ():
            if path in self._ground.tracked:
                self.add(path, _RELATED * min(1.0, weight), "it changed together with these files")

    def add_tests(self) -> None:
        """Count the tests that are called after the files so far."""
        sure = [
            path
            for path in self._ordered()[:MOST_FILES]
            if self._weights[path] >= _LEAST and not is_test(path) and not is_text(path)
        ]
        stems = {stem: path for path in reversed(sure) if (stem := _stem(path)) not in _ANY}
        for path in sorted(self._ground.tracked):
            named = _tested(path) if is_test(path) else ""
            if not named:
                continue
            tested = stems.get(named) or next(
                (each for stem, each in stems.items() if named.endswith(f"_{stem}")), None
            )
            if tested is not None:
                self.add(path, _TESTED, f"it tests {tested}")

    def found(self) -> tuple[Found, ...]:
        least = _LEAST if self._weights else 0.0
        return tuple(
            Found(
                path=path,
                weight=round(self._weights[path], 2),
                reasons=tuple(self._reasons[path][:_REASONS]),
            )
            for path in self._ordered()[:MOST_FILES]
            if self._weights[path] >= least
        )

    def _ordered(self) -> list[str]:
        return sorted(self._weights, key=lambda path: (-self._weights[path], path))


@lru_cache(maxsize=2)
def _names(tracked: frozenset[str]) -> naming.Tracked:
    return naming.tracked(sorted(tracked))


def is_text(path: str) -> bool:
    """Say whether a file is written for people."""
    return allows(DOCS, path)


def grep_of(git: Git, base: Oid, *, seconds: float = SECONDS, most: int = 4 * COMMON) -> Grep:
    """Give a search for fixed words in a commit's files; all of it has so many seconds."""
    left = [seconds]

    @cache
    def found(words: tuple[str, ...]) -> tuple[str, ...] | None:
        if left[0] <= 0 or any("\n" in word or "\0" in word for word in words):
            return None
        asked = [part for word in words for part in ("-e", word)]
        began = time.monotonic()
        try:
            answer = git(
                *("grep", "-I", "-l", "-z", "-w", "-F", "--no-textconv", "--full-name"),
                *(*asked, base, "--"),
                ok=(0, 1),
                timeout=left[0],
                cap=_CAP,
            )
        except GitTimeout:
            return None
        finally:
            left[0] -= time.monotonic() - began
        head = f"{base}:".encode()
        paths = (os.fsdecode(part.removeprefix(head)) for part in answer.parts)
        return tuple(islice(paths, most + 1))

    return lambda words: found(tuple(words))


def _last(symbol: str) -> str:
    """Give the part of a dotted name that a definition would show."""
    word = re.split(r"\.|::|->|#", symbol.strip().removesuffix("()"))[-1]
    return word if _WORD.fullmatch(word) else ""


def _tested(path: str) -> str:
    """Give what a test is called after; nothing where it is called after nothing."""
    name, stem = path.rpartition("/")[2], _stem(path)
    bare = stem.removeprefix("test_").removesuffix("_test").removesuffix("_spec")
    marked = bare != stem or ".test." in name or ".spec." in name or "/__tests__/" in f"/{path}"
    return bare if marked else ""


def _stem(path: str) -> str:
    return path.rpartition("/")[2].split(".")[0]
