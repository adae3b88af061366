"""What a rehearsal came to: how each replayed change ended, and what the line can land an hour.

Pure: changes and events in, values out. A change is one commit of the repository's own history; an
oracle applied it where an agent would have worked, and the line judged it as any other work.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from factory.events import (
    Advanced,
    Dead,
    Event,
    Finished,
    GateComposed,
    GateTried,
    InGate,
    Landed,
    NeedsYou,
    Opened,
    Place,
    Started,
    Withdrawn,
)
from factory.feeding import CLASH
from factory.line import Line, opened, step
from factory.meter import measured
from factory.pace.demand import crowded, needs
from factory.pace.values import PERSON, PROVIDER, SPAWN, Pace
from factory.patching import CONFLICT
from factory.wording import failing, listed
from stations.contract import Done, Escalated, Failed, Green, Lost, Outcome, Red, Strayed
from stations.harvest import REFUSED as REFUSAL
from worktrees.names import JobId, Oid

MINUTES: Final = 60
SHORT: Final = 10
"""So many characters of a commit's id are shown."""
_SLOTS: Final = ("gate", "test")
"""The kinds of the two places that share the slots."""
_ASIDE: Final = frozenset({PERSON, PROVIDER, SPAWN})
"""What takes no seat of the line's, or is in the seats' own time already."""


class Fate(StrEnum):
    """How a replayed change ended; the first three are in the target."""

    FIRST = "first try"
    LATER = "after others"
    ALREADY = "already there"
    CONFLICT = "conflict"
    RED = "red tests"
    SCOPE = "out of scope"
    PROTECTED = "protected path"
    POLICY = "policy"
    FAILED = "failed"
    MISFIT = "fits no station"
    EMPTY = "empty"
    OPEN = "not ended"


IN_TARGET: Final = frozenset({Fate.FIRST, Fate.LATER, Fate.ALREADY})
AGAIN: Final = frozenset({Fate.CONFLICT, Fate.RED, Fate.FAILED})
"""What a newer target may change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One commit to replay; ``job`` is None when it is not on the line.

    ``station`` is the configured station that holds all of its paths, empty without one; ``why``
    says then what stands in the way.
    """

    commit: Oid
    title: str
    paths: tuple[str, ...]
    station: str
    job: JobId | None
    why: str = ""

    @property
    def fits(self) -> bool:
        """Say whether one configured station may write all that it changes."""
        return bool(self.station) or not self.paths


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How one change ended: tries at a seat, why, and the first lines of what failed."""

    change: Change
    fate: Fate
    tries: int = 0
    why: str = ""
    lines: tuple[str, ...] = ()
    asked: bool = False
    """Whether a person would have been asked before it went on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flake:
    """A tree that was both red and green under the same checks, and whose work was in it."""

    tree: Oid
    jobs: tuple[JobId, ...]
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRuns:
    """The test runs of the gate: on trees, how many were red or lost, how many known before."""

    runs: int
    red: int
    lost: int
    known: int
    landings: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """Everything that the events of a rehearsal tell.

    ``proved`` are the landings whose tree had passed before the target moved to it; ``bounds`` are
    changes an hour as the line is (empty name), with one more ``seat`` and with one more ``slot``.
    """

    line: Line
    ended: tuple[Ended, ...]
    flakes: tuple[Flake, ...]
    gate: GateRuns
    proved: tuple[Oid, ...]
    pace: Pace
    bounds: Mapping[str, float]

    @property
    def landed(self) -> int:
        """Count the changes that landed."""
        return sum(each.fate in {Fate.FIRST, Fate.LATER} for each in self.ended)

    @property
    def per_hour(self) -> float:
        """Give the changes that landed in an hour of the run."""
        return self.landed * MINUTES * MINUTES / self.pace.seconds if self.pace.seconds else 0.0


def told(changes: Sequence[Change], history: Iterable[tuple[Event, float]]) -> Told:
    """Give what became of these changes, from the events of their run."""
    events = list(history)
    seen = _seen(events)
    pace = measured(events)
    return Told(
        line=seen.line,
        ended=_followed([_ended(change, seen) for change in changes]),
        flakes=tuple(seen.flakes()),
        gate=GateRuns(
            runs=len(seen.verdicts),
            red=sum(verdict.kind == "red" for verdict, _ in seen.verdicts),
            lost=seen.lost,
            known=seen.known,
            landings=len(seen.landings),
        ),
        proved=tuple(seen.proved),
        pace=pace,
        bounds=_bounds(pace),
    )


def outgrown(place: Dead) -> bool:
    """Say whether a change was refused because it does not apply to the target as it was."""
    return CONFLICT in place.fault or place.fault.startswith(CLASH)


def again(known: Told, seen: Mapping[JobId, Oid]) -> tuple[JobId, ...]:
    """Give the jobs to try once more: what refused them was an older target than it is now."""
    return tuple(
        each.change.job
        for each in known.ended
        if each.fate in AGAIN
        and each.change.job is not None
        and seen.get(each.change.job, known.line.base) != known.line.gate.target
    )


def judged_on(history: Iterable[tuple[Event, float]]) -> Mapping[JobId, Oid]:
    """Give the commit of the target on which each job was last judged."""
    return _seen(list(history)).bases


@dataclass(slots=True, kw_only=True)
class _Seen:
    """What is gathered while the events of a run are replayed."""

    line: Line
    outcomes: dict[JobId, Outcome]
    escalated: set[JobId]
    bases: dict[JobId, Oid]
    verdicts: list[tuple[Green | Red, tuple[JobId, ...]]]
    green: set[Oid]
    landings: list[Oid]
    proved: list[Oid]
    lost: int = 0
    known: int = 0

    def flakes(self) -> Iterable[Flake]:
        """Give the trees with both verdicts under one key."""
        kinds: dict[tuple[Oid, str], set[str]] = {}
        for verdict, _ in self.verdicts:
            kinds.setdefault((verdict.tree, verdict.key), set()).add(verdict.kind)
        told: set[Oid] = set()
        for verdict, jobs in self.verdicts:
            both = len(kinds[verdict.tree, verdict.key]) > 1
            if both and isinstance(verdict, Red) and verdict.tree not in told:
                told.add(verdict.tree)
                yield Flake(tree=verdict.tree, jobs=jobs, lines=failing(verdict.tail))


def _seen(events: Sequence[tuple[Event, float]]) -> _Seen:
    opening, began = events[0]
    assert isinstance(opening, Opened)  # noqa: S101  (every run begins so)
    seen = _Seen(
        line=opened(opening, began),
        outcomes={},
        escalated=set(),
        bases={},
        verdicts=[],
        green=set(),
        landings=[],
        proved=[],
    )
    for event, at in events[1:]:
        _note(seen, event)
        seen.line, _ = step(seen.line, event, at)
    return seen


def _note(seen: _Seen, event: Event) -> None:
    match event:
        case Started(job=job, base=base):
            seen.bases[job] = base
        case Finished(job=job, outcome=outcome):
            seen.outcomes[job] = outcome
            if isinstance(outcome, Escalated):
                seen.escalated.add(job)
        case GateComposed(composed=composed, known=known):
            held = seen.line.trials.get(composed.trial)
            for branch in held.branches if held is not None else ():
                seen.bases[branch.job] = held.base if held is not None else seen.line.base
            seen.known += known is not None
            if isinstance(known, Green):
                seen.green.add(known.tree)
        case GateTried(verdict=Lost()):
            seen.lost += 1
        case GateTried(trial=trial, verdict=verdict) if not isinstance(verdict, Lost):
            held = seen.line.trials.get(trial)
            jobs = tuple(branch.job for branch in held.branches) if held is not None else ()
            seen.verdicts.append((verdict, jobs))
            if isinstance(verdict, Green):
                seen.green.add(verdict.tree)
        case Advanced(commit=commit, tree=tree):
            seen.landings.append(commit)
            if tree in seen.green:
                seen.proved.append(commit)
        case _:
            pass


def _ended(change: Change, seen: _Seen) -> Ended:
    if change.job is None or change.job not in seen.line.jobs:
        fate = Fate.EMPTY if not change.paths else Fate.MISFIT if not change.fits else Fate.OPEN
        return Ended(change=change, fate=fate, why=change.why)
    work = seen.line.jobs[change.job]
    outcome = seen.outcomes.get(change.job)
    asked = change.job in seen.escalated
    fate = _fate(work.place, outcome, first=work.attempt == 1)
    tail = work.place.tail if isinstance(work.place, Dead) else ""
    return Ended(
        change=change,
        fate=fate,
        tries=work.attempt,
        why=_why(work.place, outcome) if fate not in IN_TARGET else "",
        lines=failing(tail) if fate is Fate.RED else (),
        asked=asked,
    )


def _followed(every: Sequence[Ended]) -> tuple[Ended, ...]:
    """Say of a conflict which earlier change of the same files is not in the target either."""
    found: list[Ended] = []
    for place, each in enumerate(every):
        missing = [
            before.change.commit[:SHORT]
            for before in every[:place]
            if before.fate not in IN_TARGET
            and not frozenset(before.change.paths).isdisjoint(each.change.paths)
        ]
        more = f"; it follows {listed(missing, most=3)}, not landed either" if missing else ""
        conflict = each.fate is Fate.CONFLICT
        found.append(replace(each, why=each.why + more) if conflict else each)
    return tuple(found)


def _fate(place: Place, outcome: Outcome | None, *, first: bool) -> Fate:
    match place, outcome:
        case Landed(), _:
            return Fate.FIRST if first else Fate.LATER
        case ((NeedsYou() | Withdrawn(met=False)), Escalated()):
            return Fate.PROTECTED
        case Withdrawn(met=True), _:
            return Fate.ALREADY
        case Dead(), _ if outgrown(place):
            return Fate.CONFLICT
        case Dead(), Strayed():
            return Fate.SCOPE
        case Dead(), (Done() | Escalated()):  # what was made of it came to the gate
            return Fate.RED
        case Dead(), Failed(fault=fault) if fault.startswith(REFUSAL):
            return Fate.POLICY
        case ((Dead() | Withdrawn()), _):
            return Fate.FAILED
        case _:
            return Fate.OPEN


def _why(place: Place, outcome: Outcome | None) -> str:
    if isinstance(outcome, Escalated):
        return outcome.reason
    match place:
        case Dead(fault=why) | Withdrawn(why=why) | NeedsYou(question=why):
            return why[max(0, why.find(CONFLICT)) :]
        case InGate():
            return "it is in the gate still"
        case _:
            return ""


def _bounds(pace: Pace) -> dict[str, float]:
    """Give what the slowest place lets pass in an hour, as it is and with one worker more."""
    places = {name: station.kind in _SLOTS for name, station in pace.stations.items()}
    seats = frozenset(name for name, slot in places.items() if not slot)
    slots = frozenset(places) - seats
    return {"": _bound(pace, frozenset()), "seat": _bound(pace, seats), "slot": _bound(pace, slots)}


def _bound(pace: Pace, larger: Collection[str]) -> float:
    """Give the changes an hour that demand allows with one worker more at these places."""
    if not pace.landed:
        return 0.0
    known = needs(pace)
    more = replace(
        known,
        seats={name: seats + (name in larger) for name, seats in known.seats.items()},
        pools=tuple(
            replace(pool, seats=pool.seats + any(name in larger for name in pool.members))
            for pool in known.pools
        ),
    )
    demands = {
        name: each
        for name, each in more.demand().items()
        if pace.stations[name].visits and name not in _ASIDE
    }
    _, most = crowded(more, demands)
    return MINUTES / most if most else 0.0
