"""One station being measured: its seats, numbered by first free, and the seconds they spent."""

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from factory.pace.values import StationPace, Visit
from factory.pace.windows import KEPT
from worktrees.names import JobId

_ALL: Final = ""


@dataclass
class Room:
    """One station being measured: who sits at which seat since when, and what it came to.

    A ``union`` is one seat that is taken as long as anything waits: many who are held up at once
    are one delay.
    """

    kind: str
    seats: int
    required: bool
    union: bool = False
    at: dict[str, tuple[int, float, tuple[JobId, ...]]] = field(default_factory=dict)
    each_seat: dict[int, float] = field(default_factory=dict)
    recent: deque[Visit] = field(default_factory=lambda: deque(maxlen=KEPT))
    busy: float = 0.0
    waiting: float = 0.0
    idle: float = 0.0
    queued: float = 0.0
    visits: int = 0
    finished: int = 0
    square: float = 0.0
    finished_busy: float = 0.0
    queue: int = 0
    lent: int = 0
    """Seats that another station uses now: gate and tests share the slots."""
    dollars: float = 0.0
    found: int = 0

    def pass_time(self, seconds: float, open_seconds: float | None = None) -> None:
        """Let time pass for everybody who sits, waits or idles here, or only the open part of it.

        Closed time is idle, whoever waits.
        """
        count = seconds if open_seconds is None else open_seconds
        busy = len(self.at)
        seats = max(self.seats, busy)
        held_up = min(max(0, seats - busy - self.lent), self.queue)
        self.busy += busy * count
        self.waiting += held_up * count
        self.idle += (seats - busy - held_up) * count + seats * (seconds - count)
        self.queued += self.queue * count
        for seat, _, _ in self.at.values():
            self.each_seat[seat] = self.each_seat.get(seat, 0.0) + count

    def begin(self, visit: str, now: float, jobs: tuple[JobId, ...]) -> None:
        """Give a visit the first free seat."""
        taken = {seat for seat, _, _ in self.at.values()}
        seat = next(n for n in range(len(taken) + 1) if n not in taken)
        self.at[visit] = (seat, now, jobs)
        self.visits += len(jobs)

    def end(self, visit: str, now: float, ships: int) -> None:
        """Free the seat of a visit and count what it took."""
        _, began, jobs = self.at.pop(visit)
        if jobs:
            each = (now - began) / len(jobs)
            self.finished += len(jobs)
            self.finished_busy += now - began
            self.square += each * each * len(jobs)
            self.recent.extend(Visit(seconds=each, ships=ships) for _ in jobs)

    def ask(self) -> None:
        """Let one more be held up at a union."""
        self.visits += 1

    def hold(self, many: int, now: float) -> None:
        """Let a union be taken while many are held up."""
        if many and not self.at:
            self.begin(_ALL, now, ())
        elif not many and self.at:
            self.at.pop(_ALL)

    def answer(self, ships: int) -> None:
        """Let one be held up no longer: it took what passed since the last one was."""
        each = self.busy - self.finished_busy
        self.finished += 1
        self.finished_busy = self.busy
        self.square += each * each
        self.recent.append(Visit(seconds=each, ships=ships))

    def spend(self, seconds: float, ships: int) -> None:
        """Count a visit whose seconds were learnt only at its end."""
        self.visits += 1
        self.finished += 1
        self.busy += seconds
        self.finished_busy += seconds
        self.square += seconds * seconds
        self.idle -= seconds
        self.each_seat[0] = self.each_seat.get(0, 0.0) + seconds
        self.recent.append(Visit(seconds=seconds, ships=ships))

    def read(self, name: str) -> StationPace:
        """Give what was measured."""
        used = max(self.each_seat, default=-1) + 1
        running = sum(len(jobs) or 1 for _, _, jobs in self.at.values())
        return StationPace(
            name=name,
            kind=self.kind,
            seats=self.seats,
            required=self.required,
            busy=self.busy,
            waiting=self.waiting,
            idle=self.idle,
            queued=self.queued,
            visits=self.visits,
            finished=self.finished,
            running=running,
            square=self.square,
            finished_busy=self.finished_busy,
            each_seat=tuple(self.each_seat.get(seat, 0.0) for seat in range(used)),
            recent=tuple(self.recent),
            queue=self.queue,
            dollars=self.dollars,
            found=self.found,
        )
