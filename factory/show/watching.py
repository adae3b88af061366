"""Follows a run's records and gives its figures at any time; what was read is not read again."""

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Final, assert_never

from factory.balancing import Balancing, seeded, seen
from factory.calls import by_model
from factory.events import (
    Closed,
    Dead,
    Decided,
    Event,
    Finished,
    GateComposed,
    GateTried,
    Landed,
    NeedsYou,
    Proposed,
    Resumed,
    Settled,
    Started,
    Withdrawn,
    Working,
)
from factory.ledger import Record
from factory.line import Line, Work
from factory.meter import Meter, steps
from factory.pace.catalogue import Policy
from factory.pace.controller import options
from factory.pace.odds import limit
from factory.pace.values import Pace
from factory.show.figures import Figures, Flow, How, Money, Span, Spent
from factory.views.balance import EVERY, balance_of, shift_row
from factory.views.cost import BILLED
from factory.views.documents import inbox_document, status_of
from factory.views.rows import spend_row
from factory.views.schemas import ShiftRow
from factory.wording import clean, count
from stations.contract import (
    Done,
    Escalated,
    Failed,
    Found,
    Green,
    Outcome,
    Red,
    Reviewed,
    Split,
    Strayed,
    Unchanged,
)
from stations.models.values import Call
from worktrees.names import JobId

POINTS: Final = 160
"""Most points of a curve."""
_THIN: Final = 20


class Watch:
    """One run as far as its records were taken; `figures` draws nothing and changes nothing."""

    def __init__(self, policy: Policy) -> None:
        self.seq = 0
        self._policy = policy
        self._record: Record | None = None
        self._meter = Meter()
        self._events = 0
        self._landed = 0
        self._over = False
        self._began = self._last = 0.0
        self._gaps: list[tuple[float, float]] = []
        self._lost = 0.0
        self._shifts: list[ShiftRow] = []
        self._when: dict[int, float] = {}
        self._open: dict[tuple[str, ...], Span] = {}
        self._spans: list[Span] = []
        self._settled: dict[str, float] = {}

    @property
    def line(self) -> Line:
        """Give the line as it stands; ValueError before its first record."""
        if self._meter.line is None:
            msg = "nothing was read of this run yet"
            raise ValueError(msg)
        return self._meter.line

    @property
    def record(self) -> Record:
        """Give the last record; ValueError before the first one."""
        if self._record is None:
            msg = "nothing was read of this run yet"
            raise ValueError(msg)
        return self._record

    @property
    def last(self) -> float:
        """Give the time of the last record."""
        return self._last

    def take(self, records: Iterable[Record]) -> None:
        """Follow these records, in their order."""
        batch = list(records)
        before = self._meter.line
        taken = steps(self._meter, [(record.event, record.at) for record in batch])
        for record, (event, at) in zip(batch, taken, strict=True):
            self.seq, self._record = record.seq, record
            self._see(before, self.line, event, at)
            before = self.line

    def balancing(self, now: float) -> Balancing:
        """Give how the run is balanced, and everything that may be done."""
        sight = seen(self.line, self._meter, self._policy, now=now, events=self._events)
        limits = limit(sight.pace, sight.chance)
        over = all(isinstance(work.place, Settled) for work in self.line.jobs.values())
        return Balancing(look=sight, limits=limits, options=() if over else options(sight, limits))

    def figures(self, now: float, calls: Sequence[Call] = (), *, alive: bool) -> Figures:
        """Give everything that is drawn; ``alive`` says whether a process works on the run."""
        at = max(now, self._last) if alive else self._last
        line, made = self.line, self.balancing(at)
        balance = balance_of(
            line, made, [*self._shifts], self._when, over=self._over, now=at, alive=alive
        )
        return Figures(
            seq=self.seq,
            began=self._began,
            seconds=self._since(at),
            status=status_of(
                line, made.pace, made.limits, over=self._over, at=at, alive=alive, calls=calls
            ),
            balance=balance,
            spans=(*self._spans, *self._open.values()),
            settled=dict(self._settled),
            flows=_flows(made.pace),
            spent=tuple(self._spent(calls)),
            money=_money(calls),
            models=tuple(
                {"model": clean(model), "spend": spend_row(each.spend, each)}
                for model, each in by_model(calls).items()
            ),
            inbox=tuple(inbox_document([line])["waiting"]),
        )

    def _see(self, before: Line | None, line: Line, event: Event, at: float) -> None:
        if before is None:
            self._began = self._last = at
        if self._over or isinstance(event, Resumed):
            self._skip(at)
        self._over = isinstance(event, Closed)
        self._last = max(self._last, at)
        self._events += 1
        if isinstance(event, Decided):
            self._when[event.number] = at
        self._work(line, event, self._since(at))
        self._trials(line, event, self._since(at))
        if before is not None and before.jobs is not line.jobs:
            for job, work in line.jobs.items():
                old = before.jobs.get(job)
                if old is not work and (old is None or old.place != work.place):
                    self._moved(old, work, self._since(at))
        if self._meter.landed >= self._landed + max(EVERY, self._landed // _THIN):
            self._landed = self._meter.landed
            pace = self._meter.read()
            self._shifts.append(shift_row(at, pace, limit(pace, seeded(self._events))))

    def _skip(self, at: float) -> None:
        """Let no time pass up to ``at``; whatever was under way had ended with its process."""
        self._gaps.append((self._last, at))
        ended = self._since(self._last)
        for key in [key for key in self._open if key[0] != "asked"]:
            self._end(key, ended, "cut", "cut short")
        self._lost += at - self._last

    def _since(self, at: float) -> float:
        return max(0.0, at - self._began - self._lost)

    def _work(self, line: Line, event: Event, at: float) -> None:
        match event:
            case Started(job=job, station=station, attempt=attempt):
                span = _begun(station, (job,), at, f"attempt {attempt}")
                self._open["attempt", job, str(attempt)] = span
            case Finished(job=job, attempt=attempt, outcome=outcome):
                how, what = _ended(outcome)
                self._end(("attempt", job, str(attempt)), at, how, what)
            case _:
                for key in [key for key in self._open if key[0] == "attempt"]:
                    work = line.jobs.get(_job(key))
                    if work is None or not isinstance(work.place, Working):
                        self._end(key, at, "cut", "ended by order")

    def _trials(self, line: Line, event: Event, at: float) -> None:
        if isinstance(event, GateComposed):
            trial = event.composed.trial
            run, held = line.gate.runs.get(trial), line.trials.get(trial)
            if run is not None and held is not None and trial != line.gate.landing:
                jobs = count(len(run.jobs), "job")
                span = _begun(self._meter.names[1], run.jobs, at, f"test run {trial}, {jobs}")
                self._open["trial", str(trial)] = span
        elif isinstance(event, GateTried):
            how: How = "cut"
            how = "good" if isinstance(event.verdict, Green) else how
            how = "bad" if isinstance(event.verdict, Red) else how
            self._end(("trial", str(event.trial)), at, how, event.verdict.kind)
        for key in [key for key in self._open if key[0] == "trial"]:
            if int(key[1]) not in line.trials:
                self._end(key, at, "cut", "not wanted any more")

    def _moved(self, old: Work | None, work: Work, at: float) -> None:
        job, place = work.job.id, work.place
        if isinstance(place, NeedsYou):
            self._open.setdefault(
                ("asked", job), _begun("you", (job,), at, f"asked: {place.question}", "wait")
            )
        elif old is not None and isinstance(old.place, NeedsYou):
            self._end(("asked", job), at, "wait", "answered")
        if isinstance(place, Landed | Proposed | Dead | Withdrawn):
            self._settled.setdefault(job, at)
        else:
            self._settled.pop(job, None)

    def _end(self, key: tuple[str, ...], at: float, how: How, what: str) -> None:
        span = self._open.pop(key, None)
        if span is not None:
            said = f"{span.what}: {what}"
            self._spans.append(
                Span(
                    station=span.station,
                    jobs=span.jobs,
                    begin=span.begin,
                    end=at,
                    how=how,
                    what=said,
                )
            )

    def _spent(self, calls: Sequence[Call]) -> Iterator[Spent]:
        step = max(1, len(calls) // POINTS)
        made = Money()
        ordered = sorted(calls, key=lambda call: call.at)
        for number, call in enumerate(ordered, start=1):
            made = _plus(made, call)
            if number % step == 0 or number == len(ordered):
                yield Spent(
                    at=self._worked(call.at + call.seconds),
                    tokens=made.tokens,
                    billed=made.billed,
                    imputed=made.imputed,
                )

    def _worked(self, at: float) -> float:
        lost = sum(max(0.0, min(at, end) - begin) for begin, end in self._gaps)
        return max(0.0, at - self._began - lost)


def _job(key: tuple[str, ...]) -> JobId:
    return JobId(key[1])


def _begun(station: str, jobs: Sequence[str], at: float, what: str, how: How = "work") -> Span:
    return Span(station=station, jobs=tuple(jobs), begin=at, end=None, how=how, what=what)


def _ended(outcome: Outcome) -> tuple[How, str]:
    match outcome:
        case Done():
            return "good", "made a change"
        case Unchanged():
            return "good", "changed nothing"
        case Found():
            return "good", "answered"
        case Split():
            return "good", "was split"
        case Reviewed(back=back):
            return ("bad", "sent back") if back else ("good", "found good")
        case Failed(fault=fault):
            return "bad", f"failed: {fault}"
        case Strayed():
            return "bad", "was refused"
        case Escalated():
            return "wait", "asked a person"
        case _:
            assert_never(outcome)


def _flows(pace: Pace) -> tuple[Flow, ...]:
    """Give the moves that were seen, without those that only say how the line is set up."""
    found = {move: round(n - pace.declared.get(move, 0.0)) for move, n in pace.moves.items()}
    return tuple(Flow(start=a, end=b, times=n) for (a, b), n in found.items() if n > 0)


def _money(calls: Sequence[Call]) -> Money:
    made = Money()
    for call in calls:
        made = _plus(made, call)
    return made


def _plus(made: Money, call: Call) -> Money:
    dollars = float(call.dollars or Decimal(0))
    billed = call.basis in BILLED
    spend = call.spend
    return Money(
        tokens=made.tokens + spend.tokens_in + spend.tokens_out,
        billed=made.billed + (dollars if billed else 0.0),
        imputed=made.imputed + (0.0 if billed else dollars),
        calls=made.calls + 1,
        unpriced=made.unpriced + (call.dollars is None),
    )
