"""One station being measured: its seats, numbered by first free, and the seconds they spent."""

from dataclasses import dataclass, field

from factory.pace import StationPace
from worktrees.names import JobId


@dataclass
class Room:
    """One station being measured: who sits at which seat since when, and what it came to."""

    kind: str
    seats: int
    required: bool
    at: dict[str, tuple[int, float, tuple[JobId, ...]]] = field(default_factory=dict)
    each_seat: dict[int, float] = field(default_factory=dict)
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

    def pass_time(self, seconds: float) -> None:
        """Let time pass for everybody who sits, waits or idles here."""
        busy = len(self.at)
        seats = max(self.seats, busy)
        held_up = min(max(0, seats - busy - self.lent), self.queue)
        self.busy += busy * seconds
        self.waiting += held_up * seconds
        self.idle += (seats - busy - held_up) * seconds
        self.queued += self.queue * seconds
        for seat, _, _ in self.at.values():
            self.each_seat[seat] = self.each_seat.get(seat, 0.0) + seconds

    def begin(self, visit: str, now: float, jobs: tuple[JobId, ...]) -> None:
        """Give a visit the first free seat."""
        taken = {seat for seat, _, _ in self.at.values()}
        seat = next(n for n in range(len(taken) + 1) if n not in taken)
        self.at[visit] = (seat, now, jobs)
        self.visits += len(jobs)

    def end(self, visit: str, now: float) -> None:
        """Free the seat of a visit and count what it took."""
        _, began, jobs = self.at.pop(visit)
        if jobs:
            each = (now - began) / len(jobs)
            self.finished += len(jobs)
            self.finished_busy += now - began
            self.square += each * each * len(jobs)

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
        )
