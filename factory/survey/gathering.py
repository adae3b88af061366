"""Gathering: the items of a repository that may have to do with a theme, recall first.

The mirror is brought up to date, ranked by the theme and by the seeds, asked through the forge's
own search, and followed one link far; the best are then read with their comments and files. What a
rate limit does not let through in time is missing, and said so.
"""

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from math import sqrt
from typing import Final

from factory.complaint import Complaint
from factory.forge.around import MOST as TOGETHER
from factory.forge.around import MOST_CHANGES
from factory.forge.door import Door
from factory.forge.failures import Denied, Gone, Limited, Missing, Refused, Unreachable
from factory.survey import fusing, naming, queries, texts
from factory.survey.fusing import Signal
from factory.survey.mirror import Mirror
from factory.survey.values import Candidate, Gathered, Item, Link, Reason
from worktrees.noise import is_noise

LIMIT: Final = 60
"""So many candidates are read with their comments, files and links."""
_ROOTS: Final = 10
"""Without seeds, links are followed from so many of the best."""
_LIKE: Final = 5
"""What the best few speak of is asked for as well: the words of a theme are not its authors'."""
_LIKENESS: Final = 0.5
_WAITING: Final = 300
_MERGED: Final = 100
"""Of so many open and merged pull requests, the newest, the files are known."""
_KEPT: Final = 500
_SHOWN: Final = 4
_FINDS: Final = 100


def gather(
    mirror: Mirror,
    door: Door,
    query: str,
    seeds: Sequence[int] = (),
    *,
    now: datetime,
    limit: int = LIMIT,
    max_wait: float = 600.0,
    say: Callable[[str], None] | None = None,
) -> Gathered:
    """Give the candidates for a theme, a text of any kind, and for seeds, known by their number.

    Waits for the forge's limits take ``max_wait`` seconds in all; what then was not asked is named
    in ``why``. A `Complaint` says that a seed is not there, a `ForgeError` what is worse.
    """
    requests, waited = door.requests, door.waited
    work = _Work(
        mirror=mirror,
        door=door,
        query=query,
        seeds=tuple(dict.fromkeys(seeds)),
        now=now,
        limit=limit,
        patience=max_wait,
        say=say or (lambda _: None),
    )
    try:
        with door.waiting(max_wait):
            found = work.go()
    except sqlite3.DatabaseError as error:
        raise Complaint(
            f"{mirror.path} cannot be read: {error}",
            hint="remove the file: it is made anew",
            code=7,
        ) from error
    return Gathered(
        candidates=found,
        seeds=work.seeds,
        queries=tuple(work.asked),
        complete=not work.missing,
        why="; ".join(work.missing),
        requests=door.requests - requests,
        waited=door.waited - waited,
    )


@dataclass(slots=True, kw_only=True)
class _Work:
    """One gathering on its way."""

    mirror: Mirror
    door: Door
    query: str
    seeds: tuple[int, ...]
    now: datetime
    limit: int
    patience: float
    say: Callable[[str], None]
    missing: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    silent: bool = False
    """Nothing more is asked: the forge let nothing through in time."""

    def go(self) -> tuple[Candidate, ...]:
        self._try("not all that changed was read", self._sync)
        seeds = self._seeds()
        signals = [*self._worded(seeds), *self._searched(seeds)]
        best = self._best(signals)
        signals += self._alike(best[:_LIKE])
        roots = (*self.seeds, *best[: _LIKE if self.seeds else _ROOTS])
        self._surround(roots, "what is linked")
        links = self.mirror.links(roots)
        signals += fusing.linked(roots, links, seeds=self.seeds)
        self._changes()
        found = fusing.reasons([*signals, *self._ordering(signals, roots)])
        self._surround(self._first(found), "the candidates")
        # The candidates' files and states are known now.
        found = fusing.reasons([*signals, *self._ordering(signals, roots)])
        return self._candidates(found)

    def _best(self, signals: Iterable[Signal]) -> list[int]:
        """Give what is worth following; to be spelt alike is not enough for that."""
        found = fusing.reasons(signals)
        return [
            number
            for number in fusing.ordered(found)
            if number not in self.seeds
            and any(reason.kind in {"words", "search"} for reason in found[number])
        ]

    # What is asked of the forge

    def _sync(self) -> None:
        self.mirror.sync(self.door, now=self.now, patience=self.patience)

    def _seeds(self) -> tuple[Item, ...]:
        for number in self.seeds:
            if self.mirror.item(number) is None:
                self._try(f"the seed #{number} was not read", partial(self._fetch, number))
        known = self.mirror.items(self.seeds)
        return tuple(known[number] for number in self.seeds if number in known)

    def _fetch(self, number: int) -> None:
        """Read a seed that the mirror does not have: it is too new, or the mirror too short."""
        try:
            issue = self.door.issue(number)
        except (Missing, Gone) as error:
            raise self._no_seed(number) from error
        # A transferred issue is answered by its new self, of another repository.
        if issue.number != number or not any(
            f"/{name}/" in issue.url.lower() for name in self.mirror.names
        ):
            raise self._no_seed(number)
        self.mirror.keep([issue])

    def _no_seed(self, number: int) -> Complaint:
        return Complaint(
            f"{self.mirror.repo.full} has no issue or pull request {number}, or has it no more",
            hint="give the number of one that is there",
        )

    def _searched(self, seeds: Sequence[Item]) -> list[Signal]:
        written = queries.written(self.query, seeds, self.mirror.ranking.rarity)
        found: list[Signal] = []
        failed = len(self.missing)
        for query in written:
            if len(self.missing) > failed:
                break
            look = partial(self._search, query, found)
            self._try("not all searches were made", look, searching=True)
        weight = 1 / sqrt(len(found) or 1)
        return [replace(one, weight=weight) for one in found]

    def _search(self, query: str, signals: list[Signal]) -> None:
        self.say(f"searching {self.mirror.repo.full}: {query}")
        issues = self.door.search(query, full=self.mirror.full, limit=_FINDS)
        numbers = [issue.number for issue in issues]
        known = self.mirror.items(numbers)
        self.mirror.keep(issue for issue in issues if issue.number not in known)
        self.asked.append(query)
        signals.append(
            Signal(kind="search", weight=1.0, numbers=numbers, said=f"the search finds it: {query}")
        )

    def _surround(self, numbers: Sequence[int], what: str) -> None:
        seeds = self.mirror.items(self.seeds)
        stale = self.mirror.stale(numbers, self.now)
        without = "not all candidates were read with their comments and links"
        for start in range(0, len(stale), TOGETHER):
            asked = stale[start : start + TOGETHER]
            if not self.silent:
                self.say(f"reading {what}: {start + len(asked)} of {len(stale)}")
            self._try(without, partial(self._read, asked))
        if gone := seeds.keys() - self.mirror.items(seeds).keys():
            raise self._no_seed(min(gone))

    def _changes(self) -> None:
        """Read what pull requests change that may be in flight, or may have settled it."""
        unread = self.mirror.unread(waiting=_WAITING, merged=_MERGED)
        for start in range(0, len(unread), MOST_CHANGES):
            asked = unread[start : start + MOST_CHANGES]
            if not self.silent:
                so_far = start + len(asked)
                self.say(f"reading the files of pull requests: {so_far} of {len(unread)}")
            self._try("the files of some pull requests were not read", partial(self._learn, asked))

    def _learn(self, numbers: Sequence[int]) -> None:
        self.mirror.change(self.door.changes(numbers))

    def _read(self, numbers: Sequence[int]) -> None:
        self.mirror.surround(numbers, self.door.around(numbers), self.now)

    def _try(self, without: str, does: Callable[[], None], *, searching: bool = False) -> None:
        """Do it, or note what is missing then."""
        if self.silent:
            return
        try:
            does()
        except (Limited, Unreachable) as error:
            # The search has a limit of its own; any other one is for everything.
            self.silent = not searching
            self.missing.append(f"{without} ({error.message})")
        except (Denied, Refused) as error:
            if not searching:
                raise
            self.missing.append(f"{without} ({error.message})")

    # What speaks for an item

    def _worded(self, seeds: Sequence[Item]) -> list[Signal]:
        found = self._spoken(self.query, "", 1.0, "the theme") if self.query else []
        if seeds:
            # A seed stands for itself, whatever else speaks for it.
            found.append(
                Signal(kind="seed", weight=fusing.SEED, numbers=self.seeds, said="it is a seed")
            )
        weight = 1 / sqrt(len(seeds) or 1)
        for seed in seeds:
            found += self._spoken(seed.title, seed.body, weight, f"#{seed.number}")
        return found

    def _alike(self, numbers: Sequence[int]) -> list[Signal]:
        weight = _LIKENESS / sqrt(len(numbers) or 1)
        items = self.mirror.items(numbers)
        return [
            signal
            for number in numbers
            for signal in self._spoken(
                items[number].title, items[number].body, weight, f"#{number}"
            )
        ]

    def _spoken(self, title: str, body: str, weight: float, whose: str) -> list[Signal]:
        views = self.mirror.ranking.views(title, body)
        rarity = self.mirror.ranking.rarity
        asked = set(texts.words(f"{title} {texts.counted(body)}"))
        shared: dict[int, str] = {}
        for number, item in self.mirror.items({*views.stems, *views.weighed}).items():
            same = asked.intersection(texts.words(f"{item.title} {texts.counted(item.body)}"))
            same = {word for word in same if len(word) > 1}
            telling = sorted(same, key=lambda word: (-rarity(word), word))[:_SHOWN]
            if telling:
                shared[number] = f"shares with {whose}: {', '.join(telling)}"
        other = f"has other forms of the words of {whose}"
        spelt = f"its title is spelt like that of {whose}"
        return [
            Signal(kind="words", weight=weight, numbers=views.stems, said=other, each=shared),
            Signal(kind="words", weight=weight, numbers=views.weighed, said=other, each=shared),
            Signal(kind="pieces", weight=weight, numbers=views.pieces, said=spelt),
        ]

    def _ordering(self, signals: Iterable[Signal], roots: Sequence[int]) -> list[Signal]:
        """Give what orders the items that other signals found."""
        numbers = {number for signal in signals for number in signal.numbers}
        items = self.mirror.items(numbers | set(roots))
        starts = [items[number] for number in self.seeds or roots if number in items]
        known = naming.tracked(self.mirror.changed())
        named = {path for item in starts for path in naming.files(item.body, known)}
        named |= {path for item in starts for path in item.files}
        named = {path for path in named if not is_noise(path)}
        items |= self.mirror.items(self.mirror.changing(named) - items.keys())
        others = [item for number, item in items.items() if number not in self.seeds]
        return [
            fusing.filed(others, named),
            fusing.labelled(starts, others),
            fusing.recent(others),
        ]

    def _first(self, found: dict[int, tuple[Reason, ...]]) -> list[int]:
        known = self.mirror.items(found)
        return [number for number in fusing.ordered(found) if number in known][: self.limit]

    def _candidates(self, found: dict[int, tuple[Reason, ...]]) -> tuple[Candidate, ...]:
        kept = fusing.ordered(found)[:_KEPT]
        items = self.mirror.items(kept)
        links: dict[int, tuple[Link, ...]] = self.mirror.links(items)
        near = fusing.distances(self.seeds, links)
        files = fusing.sharing([items[n] for n in kept[: self.limit] if n in items])
        every = {number: (*links[number], *files.get(number, ())) for number in items}
        return fusing.candidates(found, items, every, near)
