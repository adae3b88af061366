"""One step of the line being made: the line as it changes, and the actions so far."""

import zlib
from dataclasses import replace

from factory.events import (
    Action,
    Dead,
    NeedsYou,
    Place,
    Resting,
    Salvage,
    Waiting,
    WakeAt,
    Withdrawn,
)
from factory.state import Line, Work
from stations.contract import Done, Escalated, Job, Outcome, StationSpec, Strayed
from worktrees.names import JobId, Oid, StationName


class Turn:
    """Changes a line job by job; whoever makes a step holds one and throws it away after."""

    def __init__(self, line: Line, now: float) -> None:
        self.line = line
        self.now = now
        self.actions: list[Action] = []

    def place_new(self, jobs: tuple[Job, ...]) -> None:
        """Let jobs enter the line."""
        known = dict(self.line.jobs)
        for job in jobs:
            known[job.id] = Work(job=job, place=Waiting(), station=job.route, since=self.now)
        queue = (*self.line.queue, *(job.id for job in jobs))
        self.line = replace(self.line, jobs=known, queue=queue)

    def give_up(self, work: Work, spec: StationSpec, outcome: str, fault: str, tail: str) -> None:
        """Send a job where its station's ``on`` says, else make it a dead letter."""
        work = self.line.jobs[work.job.id]
        self.settle_hand_off(
            work,
            spec.on.get(outcome, "dead"),
            f"{spec.name}: {fault}",
            Dead(fault=fault, tail=tail),
        )

    def settle_hand_off(self, work: Work, to: str, why: str, place: Place) -> None:
        """Send a job to another station, to a person or to its end; its work is kept."""
        work = self.line.jobs[work.job.id]
        if to == "inbox" and not isinstance(place, NeedsYou):
            place = NeedsYou(question=why, commit=work.commit)
        elif to == "dead" and isinstance(place, NeedsYou):
            place = Dead(fault=why)
        elif to not in ("inbox", "dead"):
            self.hand_off(work, StationName(to), why)
            return
        if work.commit is not None:
            self.actions.append(Salvage(job=work.job.id, commit=work.commit))
        self.put(work.job.id, place)

    def hand_off(self, work: Work, station: StationName, why: str) -> None:
        """Let another station begin a job anew; what was made is kept."""
        if work.commit is not None:
            self.actions.append(Salvage(job=work.job.id, commit=work.commit))
        self.change(
            work.job.id,
            station=station,
            tries=0,
            raised=0,
            again=frozenset(),
            commit=None,
            author=None,
            answering=False,
            failure=why,
            judged_from=None,
        )
        self.wait(work.job.id)

    def rest(self, work: Work, why: str, tail: str) -> None:
        """Try a job again after a while that grows with its tries; the tail is for its brief."""
        rules, work = self.line.rules, self.line.jobs[work.job.id]
        ceiling = min(rules.backoff_cap, rules.backoff_first * 2 ** max(0, work.tries - 1))
        chance = zlib.crc32(f"{self.line.run}/{work.job.id}/{work.attempt}".encode()) / 2**32
        until = self.now + ceiling * (0.5 + chance / 2)
        if tail and work.commit is None:
            self.change(work.job.id, failure=tail)
        self.put(work.job.id, Resting(until=until, why=why))
        self.actions.append(WakeAt(when=until))

    def wait(self, job: JobId) -> None:
        """Put a job in front of all that wait."""
        self.put(job, Waiting())
        if job not in self.line.queue:
            self.line = replace(self.line, queue=(job, *self.line.queue))

    def put(self, job: JobId, place: Place) -> None:
        """Bring a job to another place."""
        self.change(job, place=place, since=self.now)

    def shut(self, station: StationName, why: str) -> None:
        """Let a station take no more work until the line is resumed."""
        self.line = replace(self.line, shut={**self.line.shut, station: why})

    def change(self, job: JobId, /, **fields: object) -> Work:
        """Change what is known of a job, and give it."""
        work = replace(self.line.jobs[job], **fields)  # type: ignore[arg-type]  # own fields
        self.line = replace(self.line, jobs={**self.line.jobs, job: work})
        return work

    def attempts(self, work: Work, spec: StationSpec) -> int:
        """Give how often a job may be tried at a station."""
        own = work.job.budget.attempts
        return spec.attempts if own is None else own

    def knows(self, station: str) -> bool:
        """Say whether the line has a station of that name."""
        return any(spec.name == station for spec in self.line.rules.stations)

    def drop(self, job: JobId, commit: Oid | None, why: str) -> None:
        """Take a job off the line; what was made is kept."""
        if commit is not None:
            self.actions.append(Salvage(job=job, commit=commit))
        self.put(job, Withdrawn(why=why, met=False))

    def keep(self, job: JobId, outcome: Outcome) -> None:
        """Keep the work of an outcome that nothing is made of."""
        if isinstance(outcome, Done | Escalated | Strayed) and outcome.commit is not None:
            self.actions.append(Salvage(job=job, commit=outcome.commit))
