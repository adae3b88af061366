"""What people ask of a line: words to a job, a kill, another try, seats."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from factory import landing
from factory.events import (
    Dead,
    InGate,
    Landed,
    NeedsYou,
    Proposed,
    Salvage,
    Stop,
    Tell,
    Withdrawn,
    Working,
)
from factory.feeding import arrive, feed
from factory.state import by_model
from factory.turn import Turn
from stations.contract import Job
from worktrees.names import JobId, StationName
from worktrees.scope import Scope, faults

YES: Final = frozenset({"yes", "y", "ok", "approve", "approved", "land", "accept"})
QUESTION: Final = 300
"""At most so many characters of a question are repeated with its answer."""
NO: Final = frozenset({"no", "n", "drop", "reject", "rejected", "discard"})


def steered(turn: Turn, job: JobId, text: str) -> None:
    """Tell a job something: an answer to its question, or a word for its agent."""
    work = turn.line.jobs.get(job)
    if work is None:
        return
    place, answer = work.place, text.strip().lower()
    if isinstance(place, NeedsYou) and place.commit is not None and answer in YES:
        arrive(turn, job, place.commit)
    elif isinstance(place, NeedsYou) and answer in NO:
        turn.drop(job, place.commit, "dropped by a person")
    else:
        heard = text
        if isinstance(place, NeedsYou) and by_model(turn.line.rules.station(work.station)):
            heard = _answer(place.question, text)  # a program may look for the very words
        turn.change(job, told=(*work.told, heard))
        if isinstance(place, Working):
            turn.actions.append(Tell(job=job, attempt=work.attempt, text=text))
        if isinstance(place, NeedsYou):
            if answer in YES:
                turn.change(job, job=_allowed(work.job, place.wants))
            if place.commit is not None:
                turn.actions.append(Salvage(job=job, commit=place.commit))
            # A repair goes on from the refused work; everything else starts anew.
            repairs = work.station == turn.line.rules.repair
            turn.change(job, tries=0, commit=work.commit if repairs else None)
            turn.wait(job)


def _answer(question: str, text: str) -> str:
    """Give an answer for a model whose session is new and never saw the question."""
    return f'To "{question[:QUESTION]}" a person answered: {text}'


def _allowed(job: Job, wants: Sequence[str]) -> Job:
    """Let a job change what its agent wanted and a person said yes to, as far as it is globs."""
    globs = [want for want in wants if not want.startswith("!") and not faults([want])]
    fresh = tuple(want for want in globs if not Scope(write=(want,)).inside(job.scope))
    return replace(job, scope=replace(job.scope, write=(*job.scope.write, *fresh)))


def killed(turn: Turn, job: JobId) -> None:
    """Take a job off the line; its work is kept."""
    work = turn.line.jobs.get(job)
    if work is None or isinstance(work.place, Landed | Proposed | Withdrawn | Dead):
        return
    if isinstance(work.place, Working):
        turn.actions.append(Stop(job=job, attempt=work.attempt))
    if isinstance(work.place, InGate):
        feed(turn, landing.Withdrawn(job=job))
    turn.drop(job, work.commit, "killed by a person")


def retried(turn: Turn, job: JobId) -> None:
    """Put a dead or withdrawn job back at its first station."""
    work = turn.line.jobs.get(job)
    if work is None or not isinstance(work.place, Dead | Withdrawn) or work.children:
        return
    turn.change(
        job,
        tries=0,
        rounds=0,
        raised=0,
        returns=0,
        interruptions=0,
        again=frozenset(),
        commit=None,
        author=None,
        answering=False,
        failure="",
        judged_from=None,
        station=work.job.route,
    )
    turn.wait(job)


def seats_changed(turn: Turn, seats: int, station: StationName | None) -> None:
    """Give the line or one station another number of seats."""
    rules = turn.line.rules
    if station is None:
        rules = replace(rules, seats=seats)
    else:
        stations = tuple(
            replace(spec, seats=seats) if spec.name == station else spec for spec in rules.stations
        )
        rules = replace(rules, stations=stations)
    turn.line = replace(turn.line, rules=rules)
