"""What must hold at every event of a run, found by stepping its record once more."""

from collections.abc import Iterator, Sequence

from factory.events import (
    Action,
    Closing,
    ComposeTree,
    Dead,
    Event,
    Finished,
    InGate,
    Landed,
    NeedsYou,
    Opened,
    Reason,
    Resting,
    Resumed,
    Retried,
    Start,
    Steered,
    Tell,
    Withdrawn,
    Working,
)
from factory.line import Line, Work, blocked_by, opened, step, under_way
from stations.contract import (
    Assignment,
    Done,
    Escalated,
    Failed,
    Kind,
    Outcome,
    Reviewed,
    Spend,
    Strayed,
    Unchanged,
)
from worktrees.names import JobId, Oid, StationName

ORDER = list(Reason)


class Watch:
    """Steps a book of events and asserts RELIABILITY's promises about models between them."""

    def __init__(self, book: Sequence[tuple[Event, float]]) -> None:
        self.charged: dict[tuple[JobId, int], Spend] = {}
        self.returns: dict[JobId, int] = {}
        self.tiers: dict[JobId, tuple[StationName, int, int]] = {}
        self.seconds: dict[StationName, float] = {}
        self.made: dict[tuple[JobId, int], Oid] = {}
        self.line = self.stepped(iter(book))
        for job, work in self.line.jobs.items():
            spent = sum((s for (of, _), s in self.charged.items() if of == job), Spend())
            assert work.spend == spent, f"{job} spent {spent} and is charged {work.spend}"
            assert work.job.depth <= 2, f"{job} is split too deep"
            self.parts(work)

    def stepped(self, book: Iterator[tuple[Event, float]]) -> Line:
        first, at = next(book)
        assert isinstance(first, Opened)
        line = opened(first, at)
        for event, now in book:
            before = line
            line, actions = step(before, event, now)
            if isinstance(event, Finished):
                self.ended(before, line, event)
            if isinstance(event, Retried):
                self.returns.pop(event.job, None)
                self.tiers.pop(event.job, None)
            else:
                self.settled(before, line)
            if isinstance(event, Resumed):
                self.seconds.clear()
            if isinstance(event, Closing):
                assert line.closing is not None
                assert not event.reason.outranks(line.closing.reason), "the lesser reason stayed"
            if isinstance(event, Steered):
                self.told(before, line, event, actions)
            if line.closing is not None:
                self.closing(before, line)
            shut = line.closing is not None and not line.closing.lands
            for action in actions:
                assert not (shut and isinstance(action, ComposeTree)), "a closed gate began a trial"
                if isinstance(action, Start):
                    assert line.closing is None, "a closing line started something"
                    self.started(line, action.assignment)
                    self.seated(line, action.assignment)
        return line

    def settled(self, before: Line, line: Line) -> None:
        """See that a job which has ended stays where it is, unless a person puts it back."""
        for job, work in before.jobs.items():
            if isinstance(work.place, Landed | Dead | Withdrawn):
                assert line.jobs[job].place == work.place, f"{job} was settled twice"

    def seated(self, line: Line, task: Assignment) -> None:
        """See that seats suffice and that nobody works where another job's work is on its way."""
        at_work = [w for w in line.jobs.values() if isinstance(w.place, Working)]
        here = [w for w in at_work if w.station == task.station]
        spec = line.rules.station(task.station)
        assert len(at_work) <= line.rules.seats, "more attempts than seats"
        assert not spec.seats or len(here) <= spec.seats, f"{spec.name} has no seat for {task.job}"
        if not line.jobs[task.job].midway:  # else its scope has been its own since it began
            other = blocked_by(under_way(line), line.jobs[task.job])
            assert other is None, f"{task.job} began beside {other}, whose scope overlaps"

    def ended(self, before: Line, line: Line, event: Finished) -> None:
        work = before.jobs.get(event.job)
        if work is None or event.attempt > work.attempt:
            return
        outcome, now = event.outcome, line.jobs[event.job]
        if isinstance(outcome, Done | Escalated) and outcome.commit is not None:
            self.made[event.job, event.attempt] = outcome.commit
        self.charged.setdefault((event.job, event.attempt), outcome.spend)
        if work.attempt != event.attempt or not isinstance(work.place, Working):
            if isinstance(work.place, Working | Landed | Dead | Withdrawn):
                assert now.place == work.place, f"a late answer moved {event.job}"
            return
        for child in now.children:
            assert line.jobs[child].job.scope.inside(work.job.scope), f"{child} widens its parent"
        used = self.seconds.get(work.station, 0.0) + outcome.spend.seconds
        self.seconds[work.station] = used
        if work.author is not None:
            self.read(before, work, now, outcome)
        else:
            self.counted(before, work, outcome)
        if work.midway:
            assert not isinstance(now.place, Dead | Withdrawn | Landed), f"a review ended {event}"
        self.refused(line, work, outcome)

    def read(self, before: Line, work: Work, now: Work, outcome: Outcome) -> None:
        """See that a review led to the gate with the same commit, or to its author, once."""
        job = work.job.id
        again = isinstance(outcome, Failed) and outcome.interrupted and not outcome.cause
        back = isinstance(outcome, Reviewed) and outcome.back and not isinstance(now.place, InGate)
        if again and now.author == work.author:
            return
        if back:
            self.returns[job] = self.returns.get(job, 0) + 1
            assert self.returns[job] == 1, f"a review sent {job} back twice"
            assert now.station == work.author
            return
        asked = isinstance(now.place, NeedsYou) and before.rules.station(work.station).on
        assert asked or isinstance(now.place, InGate), f"a review put {job} at {now.place}"
        assert now.place.commit == work.commit  # type: ignore[union-attr]  # both have one

    def refused(self, line: Line, work: Work, outcome: Outcome) -> None:
        """See that a refusal closed the line at once and for the reason that outranks."""
        if not isinstance(outcome, Failed):
            return
        wanted = None
        if outcome.cause in {"denied", "full"} and work.author is None:
            wanted = Reason.ENVIRONMENT
        elif outcome.cause == "budget" and outcome.account in {"run", "day"}:
            wanted = Reason.BUDGET
        if outcome.cause == "budget" and outcome.account == "station":
            assert work.station in line.shut, f"{work.station} is spent and goes on"
        if wanted is not None:
            assert line.closing is not None, f"{outcome} did not close the line"
            assert ORDER.index(line.closing.reason) <= ORDER.index(wanted), line.closing
        if outcome.cause in {"denied", "full", "limited"} or wanted is not None:
            now = line.jobs[work.job.id]
            assert not isinstance(now.place, Dead), f"{outcome} was blamed on {work.job.id}"
            assert now.raised == work.raised

    def closing(self, before: Line, line: Line) -> None:
        if before.closing == line.closing or line.closing is None:
            return
        places = [work.place for work in line.jobs.values()]
        if line.closing.reason is Reason.LIMITED:
            assert not line.trials
            assert not any(isinstance(place, Working | InGate) for place in places)
            assert any(isinstance(place, Resting) and place.limited for place in places)

    def told(self, before: Line, line: Line, event: Steered, actions: Sequence[Action]) -> None:
        """See that a word reaches who is at work, and that only a yes allows what is wanted."""
        work = before.jobs.get(event.job)
        if work is not None and isinstance(work.place, NeedsYou) and work.place.commit is None:
            wants = work.place.wants if event.text == "yes" else ()
            now = line.jobs[event.job].job.scope
            assert now.write == (*work.job.scope.write, *wants), f"{event.job} may write {now}"
        if work is not None and isinstance(work.place, Working):
            wanted = Tell(job=event.job, attempt=work.attempt, text=event.text)
            assert wanted in actions, f"nobody told {event.job}"

    def counted(self, before: Line, work: Work, outcome: Outcome) -> None:
        """Remember the tier that the next attempt at this station must have."""
        agent = before.rules.station(work.station).agent
        model = agent is not None and agent.runtime != "command"
        missed = isinstance(outcome, Strayed | Unchanged)
        if isinstance(outcome, Failed):
            ours = outcome.environment or outcome.interrupted or outcome.cause == "budget"
            missed = not ours
        station, raised, rounds = self.tiers[work.job.id]
        self.tiers[work.job.id] = (station, raised + (missed and model), rounds)

    def started(self, line: Line, task: Assignment) -> None:
        work, rules = line.jobs[task.job], line.rules
        spec = rules.station(task.station)
        if work.commit is not None:
            wrote = self.made.get((task.job, task.wrote))
            assert wrote == task.base, f"attempt {task.wrote} of {task.job} wrote {wrote}"
        assert task.station not in line.shut, f"{task.job} began at a station that is shut"
        most = spec.budget.seconds
        assert most is None or self.seconds.get(spec.name, 0.0) < most, f"{spec.name} is worn out"
        model = spec.agent is not None and spec.agent.runtime != "command"
        own = work.job.budget
        if model and own.tokens is not None:
            assert work.spend.tokens_in + work.spend.tokens_out < own.tokens
        if spec.kind is Kind.REVIEW:
            assert work.author is not None
            assert task.base == work.commit
            assert task.raised == 0
            return
        last = self.tiers.get(task.job)
        fresh = work.rounds - 1 if task.station == rules.repair and model else 0
        wanted = fresh
        if last is not None and last[0] == task.station and last[2] == work.rounds:
            wanted = last[1]
        assert task.raised == wanted, f"{task.job} is raised {task.raised}, not {wanted}"
        self.tiers[task.job] = (task.station, task.raised, work.rounds)

    def parts(self, work: Work) -> None:
        """See that parts may spend no more in sum than their parent."""
        budgets = [self.line.jobs[child].job.budget for child in work.children]
        if work.children and work.job.budget.tokens is not None:
            given = sum(budget.tokens or 0 for budget in budgets)
            assert given <= work.job.budget.tokens, f"the parts of {work.job.id} may spend {given}"
