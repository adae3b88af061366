"""What a person should hear of a run, from its events; pure.

The same events give the same notices, whoever reads them: so a notice can be told late, and never
gets lost with the process that should have told it.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from factory.events import (
    Advanced,
    Closed,
    Closing,
    Dead,
    Event,
    Landed,
    NeedsYou,
    Proposed,
    Reason,
    Withdrawn,
)
from factory.line import Line
from factory.meter import Meter
from factory.pace.odds import limit
from factory.pace.values import Chance
from factory.wording import clean, count, cut, listed, masked
from worktrees.names import JobId, RunId

Kind = Literal["waits", "died", "ended", "budget", "shifted"]

BLOCKED: Final[frozenset[Kind]] = frozenset({"waits", "ended", "budget"})
"""Nothing goes on before a person does something: this is told at once."""
CERTAIN: Final = 0.8
"""The odds from which on a station is named as what limits the line."""
_MOST: Final = 20
"""Notices that one message spells out; of more it gives the number."""
_LONGEST: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One thing that happened at a position of the ledger; ``text`` is harmless, secrets masked."""

    seq: int
    at: float
    run: RunId
    kind: Kind
    text: str
    job: JobId | None = None


class Notices:
    """Follows one run's events and gives what a person should hear of them."""

    def __init__(self, chance: Callable[[int], Chance]) -> None:
        self._chance = chance
        self._meter = Meter()
        self._events = 0
        self._named: str | None = None

    def take(self, event: Event, at: float, *, run: RunId, seq: int) -> list[Notice]:
        """Give what the run's next event, at this position of the ledger, is worth telling."""
        before = self._meter.line
        self._meter.take(event, at)
        self._events += 1
        line = self._meter.line
        assert line is not None  # noqa: S101  (it has just taken an event)

        def notice(kind: Kind, text: str, job: JobId | None = None) -> Notice:
            said = cut(clean(masked(text)), _LONGEST)
            return Notice(seq=seq, at=at, run=run, kind=kind, text=said, job=job)

        found = [notice(*told) for told in _places(before, line)]
        match event:
            case Closing(reason=Reason.BUDGET, why=why):
                found.append(notice("budget", why))
            case Closed():
                found.append(notice("ended", _ended(line)))
            case Advanced():
                found += [notice("shifted", text) for text in self._shift(at)]
            case _:
                pass
        return found

    def _shift(self, at: float) -> Iterator[str]:
        """Say which station limits the line now, when it was another one before."""
        limits = limit(self._meter.read(at), self._chance(self._events))
        name = limits.station
        if name is None or limits.odds.get(name, 0.0) < CERTAIN:
            return
        if self._named not in {None, name}:
            yield f"{name} limits the line now, no longer {self._named}"
        self._named = name


def _places(before: Line | None, line: Line) -> Iterator[tuple[Kind, str, JobId]]:
    for name, work in line.jobs.items():
        old = before.jobs.get(name) if before is not None else None
        if old is not None and old.place == work.place:
            continue
        match work.place:
            case NeedsYou(question=question):
                yield "waits", question, name
            case Dead(fault=fault):
                yield "died", fault, name
            case _:
                pass


def _ended(line: Line) -> str:
    landed = died = waits = left = 0
    for work in line.jobs.values():
        match work.place:
            case Landed() | Proposed():
                landed += 1
            case Dead():
                died += 1
            case NeedsYou():
                waits += 1
            case Withdrawn():
                pass
            case _:
                left += 1
    words = ("landed", "gave up", "waiting for you", "not done")
    parts = [f"{n} {word}" for n, word in zip((landed, died, waits, left), words, strict=True) if n]
    return ", ".join(parts) or "nothing landed"


def summary(notices: Sequence[Notice]) -> str:
    """Say in one line what these notices come to, in words of our own and names of jobs only."""
    runs = dict.fromkeys(notice.run for notice in notices)
    parts = [part for part in (_part(notices, kind) for kind in _ORDER) if part]
    more = "; factory inbox" if any(notice.kind == "waits" for notice in notices) else ""
    return f"factory, run {listed(runs, most=3)}: {', '.join(parts)}{more}"


_ORDER: Final[tuple[Kind, ...]] = ("budget", "waits", "died", "ended", "shifted")


def _part(notices: Iterable[Notice], kind: Kind) -> str:
    own = [notice for notice in notices if notice.kind == kind]
    if not own:
        return ""
    jobs = list(dict.fromkeys(notice.job for notice in own if notice.job is not None))
    names = f" ({listed(jobs, most=3)})"
    match kind:
        case "budget":
            return "the budget is reached"
        case "waits":
            verb = "waits" if len(jobs) == 1 else "wait"
            return f"{count(len(jobs), 'job')} {verb} for you{names}"
        case "died":
            return f"{count(len(jobs), 'job')} gave up{names}"
        case "ended":
            return f"ended: {own[-1].text}"
        case "shifted":
            return own[-1].text


def message(notices: Sequence[Notice], *, repository: str) -> dict[str, object]:
    """Give the document of these notices, as programs get it."""
    return {
        "schema": "factory.notice/1",
        "repository": clean(repository),
        "text": summary(notices),
        "notices": [
            {
                "seq": notice.seq,
                "at": notice.at,
                "run": notice.run,
                "kind": notice.kind,
                "job": notice.job,
                "text": notice.text,
            }
            for notice in notices[-_MOST:]
        ],
        "more": max(0, len(notices) - _MOST),
    }
