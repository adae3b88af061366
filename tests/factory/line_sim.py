"""A deterministic world around the real line, gate and floor: git, crew, clock and people as twins.

One seed owns everything that is left to chance. A crash drops all volatile state; the floor is
then made anew from the book and put right with git, as `factory resume` does it. `check` looks at
the world from outside; a mutant is a switch that breaks one promise and must be caught by it.
"""

import heapq
import itertools
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Literal

from factory.crew import Answer
from factory.ending import exit_code
from factory.events import (
    Closing,
    Dead,
    Event,
    Finished,
    GateAwaits,
    GateComposed,
    GateTried,
    InGate,
    Killed,
    Land,
    Landed,
    NeedsYou,
    Opened,
    Paused,
    Placed,
    Reason,
    Retried,
    Rules,
    Settled,
    Steered,
    Withdrawn,
    Woke,
)
from factory.floor import Blocked, Floor, LandingPlan, recovery
from factory.line import Line, opened, replay
from stations.contract import (
    Agent,
    Assignment,
    Budget,
    Compose,
    Composed,
    Done,
    Escalated,
    Failed,
    Found,
    Green,
    Job,
    Kind,
    Lost,
    Outcome,
    Red,
    Remark,
    Reviewed,
    Spend,
    Split,
    StationSpec,
    Strayed,
    Trial,
    Unchanged,
    Verdict,
)
from tests.factory.line_watch import Watch
from worktrees.names import JobId, Oid, RunId, StationName
from worktrees.scope import Scope

RUN = RunId("sim")
FAULT = Failed(fault="refused", retryable=True)
LIMIT = 3000
RESUMES = 40


class Crash(BaseException):
    """The process is gone: everything that was not durable with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """A commit of the twin: its content is the set of works and foreign changes in it."""

    oid: Oid
    content: frozenset[str]
    parent: Oid | None
    jobs: tuple[JobId, ...] = ()
    tested: Oid | None = None


def tree_of(content: frozenset[str]) -> Oid:
    """Give the id of the tree that holds exactly this content."""
    return Oid("tree:" + ",".join(sorted(content)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A verdict that is asked for outside, under its durable id."""

    task: Trial
    external: str


@dataclass
class Facts:
    """What is hidden from the line: which works are bad, which do not go together."""

    bad: set[str] = field(default_factory=set)
    clashes: set[frozenset[str]] = field(default_factory=set)
    conflicts: set[frozenset[str]] = field(default_factory=set)


class World:
    """Git, book, crew, people and clock of one seed."""

    def __init__(self, seed: int, mutant: str = "") -> None:
        self.rng = random.Random(seed)  # noqa: S311  (a simulation, not a secret)
        self.far = random.Random(-seed - 1)  # noqa: S311  (what happens outside)
        self.outside = self.far.random() < 0.5
        self.mutant = mutant
        self.time = 1000.0
        self.crashes = 0
        self.steps = 0
        self.numbers = itertools.count()
        self.facts = Facts()
        self.commits: dict[Oid, Commit] = {}
        self.base = self.commit(frozenset(), None)
        self.target = self.base
        self.history = [self.base]
        self.foreign: list[str] = []
        self.branches: dict[JobId, Oid] = {}
        self.saved: set[Oid] = set()
        self.salvaged: set[Oid] = set()
        self.passed: set[Oid] = set()
        self.killed: set[JobId] = set()
        self.exits: list[int] = []
        self.book: list[tuple[Event, float]] = []
        self.verdicts: dict[tuple[Oid, str], Verdict] = {}
        self.agenda: list[tuple[float, int, object]] = []
        self.dead: set[int] = set()
        self.placed = self.draw_jobs()
        self.chance = self.rng.choice([0.0, 0.01, 0.03])
        self.drawn = self.rules()
        self.mood = self.rng.choice(["calm"] * 7 + ["strict"] * 2 + ["limited"])
        self.floor: Floor

    # -- the repository --------------------------------------------------------------------------

    def commit(
        self,
        content: frozenset[str],
        parent: Oid | None,
        jobs: tuple[JobId, ...] = (),
        tested: Oid | None = None,
    ) -> Oid:
        oid = Oid(f"c{next(self.numbers)}")
        self.commits[oid] = Commit(
            oid=oid, content=content, parent=parent, jobs=jobs, tested=tested
        )
        return oid

    def tip(self) -> Oid:
        if self.mutant == "stale base":
            return self.floor.line.gate.target if hasattr(self, "floor") else self.target
        return self.target

    def landed(self, tip: Oid) -> Mapping[JobId, Oid]:
        if self.mutant == "no idempotence":
            return {}
        found: dict[JobId, Oid] = {}
        at: Oid | None = tip
        while at is not None:
            here = self.commits[at]
            found |= dict.fromkeys(here.jobs, at)
            at = here.parent
        return found

    def prepare(self, land: Land) -> LandingPlan | Blocked:
        self.may_crash()
        if self.rng.random() < 0.005:
            return Blocked(reason=Reason.TARGET, why="the checkout has changes")
        content = self.commits[land.base].content
        for _, commit in land.branches:
            content |= self.commits[commit].content
        jobs = tuple(job for job, _ in land.branches)
        old = land.base
        if self.mutant in ("merge after test", "stale base"):
            if self.rng.random() < 0.1:
                self.foreign_commit()
            old = self.target
        if self.mutant == "merge after test":
            content |= self.commits[old].content
        commit = self.commit(content, old, jobs, land.tree)
        return LandingPlan(commit=commit, tree=tree_of(content), old=old)

    def swap(self, plan: LandingPlan) -> bool:
        self.may_crash()
        if self.rng.random() < 0.1:
            self.foreign_commit()  # somebody is faster, between the look and the swap
        if self.target != plan.old and self.mutant != "no compare-and-swap":
            return False
        self.target = plan.commit
        self.history.append(plan.commit)
        self.may_crash()
        return True

    def follow(self, old: Oid, new: Oid) -> None:
        del old, new  # nobody has the twin's target checked out

    def salvage(self, job: JobId, commit: Oid) -> None:
        del job
        if self.mutant != "forget the salvage":
            self.salvaged.add(commit)

    def tidy(self, jobs: Sequence[JobId]) -> None:
        self.may_crash()
        for job in jobs:
            self.branches.pop(job, None)

    def foreign_commit(self) -> None:
        mark = f"foreign{next(self.numbers)}"
        self.foreign.append(mark)
        content = self.commits[self.target].content | {mark}
        self.passed.add(tree_of(content))  # a person answers for what a person pushes
        self.target = self.commit(content, self.target)
        self.history.append(self.target)

    # -- the book --------------------------------------------------------------------------------

    def append(self, run: RunId, events: Sequence[Event], at: float) -> None:
        del run
        self.may_crash()
        for event in events:
            self.book.append((event, at))
            if isinstance(event, GateTried) and isinstance(event.verdict, Green | Red):
                self.verdicts[event.verdict.tree, event.verdict.key] = event.verdict
        self.may_crash()

    def verdict(self, tree: Oid, key: str) -> Verdict | None:
        return self.verdicts.get((tree, key))

    # -- the crew --------------------------------------------------------------------------------

    def start(self, assignment: Assignment) -> None:
        self.may_crash()
        old = self.branches.get(assignment.job)
        if old is not None and self.mutant != "forget the salvage":
            self.salvaged.add(old)
        self.branches[assignment.job] = assignment.base
        self.later(assignment)

    def stop(self, job: JobId, attempt: int) -> None:
        stopped = Failed(fault="stopped", spend=self.spend())
        self.later(Finished(job=job, attempt=attempt, outcome=stopped))

    def tell(self, job: JobId, attempt: int, text: str) -> None:
        work = self.floor.line.jobs[job]
        assert work.attempt == attempt, f"{job} was told {text!r} at attempt {attempt}"

    def compose(self, task: Compose) -> None:
        self.later(task)

    def try_tree(self, task: Trial) -> None:
        self.later(task)

    def await_verdict(self, task: Trial, external: str) -> None:
        known = [event for event, _ in self.book if isinstance(event, GateAwaits)]
        assert (task.trial, external) in {(event.trial, event.external) for event in known}
        self.later(Asked(task=task, external=external))

    def cancel(self, trial: int) -> None:
        self.dead.add(trial)

    def close(self) -> None:
        self.agenda.clear()

    def later(self, what: object) -> None:
        slow = self.mood == "limited" and isinstance(what, Assignment) and what.station == "fix"
        due = self.time + self.rng.uniform(0.1, 300.0 if slow else 5.0)
        heapq.heappush(self.agenda, (due, next(self.numbers), what))

    def answer(self, what: object) -> Answer | None:
        match what:
            case Assignment():
                return Finished(job=what.job, attempt=what.attempt, outcome=self.work(what))
            case Compose():
                return None if self.unheard(what.trial) else self.composition(what)
            case Trial() if self.outside and self.far.random() < 0.7:
                return None if self.unheard(what.trial) else self.awaited(what)
            case Trial():
                return None if self.unheard(what.trial) else self.trial(what)
            case Asked():
                return None if self.unheard(what.task.trial) else self.late(what)
            case Finished():
                return what
            case _:
                raise AssertionError(what)

    def unheard(self, trial: int) -> bool:
        """Say whether a trial that was ended gives no answer; some still do, and too late."""
        return trial in self.dead and self.rng.random() < 0.7

    def work(self, task: Assignment) -> Outcome:
        outcome = self.attempt(task)
        return replace(outcome, spend=self.spend())

    def spend(self) -> Spend:
        return Spend(
            tokens_in=self.rng.randint(0, 900),
            tokens_out=self.rng.randint(0, 100),
            dollars=Decimal(self.rng.randint(0, 99)) / 100,
            seconds=float(self.rng.randint(0, 8)),
        )

    def attempt(self, task: Assignment) -> Outcome:
        spec = self.floor.line.rules.station(task.station)
        if spec.kind is Kind.READ:
            return Found(data=f"answer of {task.job}")
        refused = self.refusal() if spec.agent is not None and spec.agent.model else None
        if refused is not None:
            return refused
        if spec.kind is Kind.REVIEW:
            return self.review(task)
        draw = self.rng.random()
        if task.depth and self.rng.random() < 0.2:
            draw = 0.94  # who was split is often split again
        if draw < 0.72:
            return Done(commit=self.effort(task))
        if draw < 0.80:
            return Failed(fault="try again", retryable=True, environment=draw < 0.745)
        if draw < 0.84:
            return Failed(fault="broken")
        if draw < 0.88:
            kept = self.effort(task) if draw < 0.86 else None
            return Strayed(paths=("x",), reasons=("outside: x",), commit=kept)
        if draw < 0.93:
            kept = self.effort(task) if draw < 0.91 else None
            wants = () if kept or self.rng.random() < 0.5 else (f"more-{task.job}/**",)
            return Escalated(reason="may I?", wants=wants, commit=kept)
        if draw < 0.95 and spec.kind is Kind.CODE:
            taken = self.rng.random() < 0.1  # an id that is not free
            parts = tuple(
                Job(
                    id=task.job if taken and n else JobId(f"{task.job}x{n}"),
                    title="part",
                    brief="",
                    scope=task.scope,
                    route=task.station,
                    depth=task.depth + 1,
                    budget=task.budget,
                )
                for n in range(2)
            )
            return Split(jobs=parts)
        return Unchanged()

    def refusal(self) -> Failed | None:
        """Give what a provider or an account may say instead of working."""
        draw = self.rng.random()
        if self.mood == "limited" and self.time < 1000 + 400:
            return replace(FAULT, cause="limited", environment=True) if draw < 0.9 else None
        odds = {"calm": 0.04, "strict": 0.4}.get(self.mood, 0.0)
        if draw > odds:
            return None
        match self.rng.randint(0, 5):
            case 0:
                account = self.rng.choice(["run", "day"])
                return replace(FAULT, cause="budget", account=account, interrupted=True)
            case 1:
                account = self.rng.choice(["job", "station"])
                return Failed(fault="spent", cause="budget", account=account)
            case 2:
                why: Literal["denied", "full"] = "denied" if draw < odds / 2 else "full"
                return replace(FAULT, cause=why, environment=True)
            case 3:
                return replace(FAULT, cause="limited", environment=True)
            case _:
                return replace(FAULT, cause="contract")

    def review(self, task: Assignment) -> Outcome:
        """Read a change as all kinds of readers do; what they say is not what is true."""
        assert task.raised == 0
        draw = self.rng.random()
        remark = Remark(text="hm", path="a", line=1, serious=True)
        if draw < 0.45:
            return Reviewed(back=False)
        if draw < 0.85:
            return Reviewed(back=True, remarks=(remark,))
        if draw < 0.9:
            return Done(commit=self.effort(task))  # it cannot, but it says so
        return self.rng.choice(
            [
                Failed(fault="no findings"),
                Failed(fault="no space", environment=True, retryable=True),
                Escalated(reason="which one?"),
                Unchanged(),
                Split(jobs=()),
            ]
        )

    def effort(self, task: Assignment) -> Oid:
        """Make a durable commit: what it starts from and one new work, often good."""
        mark = f"{task.job}.{task.attempt}"
        repaired = task.base != task.judged_from
        content = frozenset({mark}) | {
            old
            for old in self.commits[task.base].content
            if not (repaired and old in self.facts.bad)
        }
        if self.rng.random() < (0.25 if repaired else 0.2):
            self.facts.bad.add(mark)
        for other in self.floor.line.jobs:
            if other != task.job and self.rng.random() < 0.03:
                self.facts.clashes.add(frozenset({task.job, other}))
            if other != task.job and self.rng.random() < 0.03:
                self.facts.conflicts.add(frozenset({mark, other}))
        commit = self.commit(content, task.base)
        self.branches[task.job] = commit
        self.saved.add(commit)
        return commit

    def composition(self, task: Compose) -> GateComposed:
        content = self.commits[task.base].content
        base_clash: dict[JobId, tuple[str, ...]] = {}
        mate_clash: dict[JobId, tuple[str, ...]] = {}
        mates: list[JobId] = []
        for branch in task.branches:
            new = self.commits[branch.commit].content
            if any(
                frozenset({mark, JobId(there.split(".")[0])}) in self.facts.conflicts
                for mark in new
                for there in self.commits[task.base].content
            ):
                base_clash[branch.job] = ("a",)
            elif any(
                frozenset({mark, mate}) in self.facts.conflicts for mark in new for mate in mates
            ):
                mate_clash[branch.job] = ("a",)
            else:
                content |= new
                mates.append(branch.job)
        fault = self.rng.random() < 0.01
        composed = Composed(
            trial=task.trial,
            tree=None if fault else tree_of(content),
            key="key",
            base_clash={} if fault else base_clash,
            mate_clash={} if fault else mate_clash,
            fault="no room" if fault else "",
            blame="environment" if fault else "",
        )
        return GateComposed(composed=composed)

    def trial(self, task: Trial) -> GateTried:
        verdict: Verdict
        if self.rng.random() < 0.03:
            verdict = Lost(why="the machine")
        elif self.is_good(task.tree) and self.rng.random() > 0.02:
            self.passed.add(task.tree)
            verdict = Green(tree=task.tree, key=task.key)
        else:
            verdict = Red(tree=task.tree, key=task.key, tail="assert 1 == 2")
        return GateTried(trial=task.trial, verdict=verdict)

    def awaited(self, task: Trial) -> GateAwaits:
        return GateAwaits(trial=task.trial, external=f"proof {next(self.numbers)}")

    def late(self, asked: Asked) -> GateTried | GateAwaits:
        """Judge outside; some ask anew, and some answer under an id that nobody awaits."""
        draw = self.far.random()
        if draw < 0.1:
            return self.awaited(asked.task)
        if draw < 0.15:
            self.later(asked)
            liar = Green(tree=asked.task.tree, key="another key")
            return GateTried(trial=asked.task.trial, verdict=liar, external="proof of another")
        return replace(self.trial(asked.task), external=asked.external)

    def is_good(self, tree: Oid) -> bool:
        marks = set(tree.removeprefix("tree:").split(","))
        jobs = {mark.split(".")[0] for mark in marks}
        return not (marks & self.facts.bad) and not any(pair <= jobs for pair in self.facts.clashes)

    # -- a run -----------------------------------------------------------------------------------

    def draw_jobs(self) -> tuple[Job, ...]:
        count = self.rng.randint(1, 7)
        jobs: list[Job] = []
        for n in range(count):
            route = self.rng.choice(["code", "code", "fix", "senior", "ask"])
            folder = self.rng.choice("abcdef")
            needs = tuple(job.id for job in jobs if self.rng.random() < 0.15)
            jobs.append(
                Job(
                    id=JobId(f"j{n}"),
                    title=f"job {n}",
                    brief="do",
                    route=StationName(route),
                    scope=Scope(write=(f"{folder}/**",)),
                    needs=needs,
                    budget=Budget(
                        attempts=self.rng.choice([None, 2]),
                        tokens=self.rng.choice([None, None, 4000]),
                        dollars=self.rng.choice([None, None, Decimal(3)]),
                    ),
                )
            )
        return tuple(jobs)

    def rules(self) -> Rules:
        program = Agent(runtime="command", run=("agent",))
        agent = self.rng.choice([program, Agent(runtime="sdk", model="small")])
        repairs = self.rng.random() < 0.7
        reads = self.rng.random() < 0.5

        def station(name: str, kind: Kind, **fields: object) -> StationSpec:
            spec = StationSpec(name=StationName(name), kind=kind, scope=Scope(write=("**",)))
            return replace(spec, **fields)  # type: ignore[arg-type]  # fields of the spec

        stations = (
            station("code", Kind.CODE, agent=agent, on={"failed": "senior"}),
            station(
                "senior",
                Kind.CODE,
                agent=agent,
                seats=1,
                on={"strayed": "inbox"},
                budget=Budget(seconds=self.rng.choice([None, 6.0])),
            ),
            station("fix", Kind.COMMAND, run=("fix",)),
            station("ask", Kind.READ, agent=agent),
            station("repair", Kind.CLEANUP, agent=agent, rounds=self.rng.randint(1, 2)),
        )
        if reads:
            on = self.rng.choice([{}, {}, {"failed": "inbox"}])
            seats = self.rng.randint(0, 1)
            stations += (station("review", Kind.REVIEW, agent=agent, seats=seats, on=on),)
        return Rules(
            stations=stations,
            seats=self.rng.randint(1, 4),
            slots=self.rng.randint(1, 3),
            hash="h",
            repair=StationName("repair") if repairs else None,
            breaker_after=4,
        )

    def open(self) -> None:
        """Place all jobs in one transaction, as `factory run` does; a crash before it is no run."""
        event = Opened(
            run=RUN, base=self.base, target="refs/heads/main", deliver="merge", rules=self.drawn
        )
        self.floor = self.made(opened(event, self.time))
        self.floor.tick([event, Placed(jobs=self.placed)])

    def made(self, line: Line) -> Floor:
        return Floor(line=line, book=self, crew=self, ground=self, now=lambda: self.time)

    def may_crash(self) -> None:
        if self.crashes < 4 and self.rng.random() < self.chance:
            self.crashes += 1
            raise Crash

    def resume(self) -> None:
        """Do what `factory resume` does: janitor, replay, look at git, go on."""
        self.agenda.clear()
        self.dead.clear()
        line = replay(iter(self.book))
        in_target = self.landed_content()
        for job, commit in tuple(self.branches.items()):
            if commit in self.saved and self.mutant != "forget the salvage":
                self.salvaged.add(commit)
            if not self.commits[commit].content - in_target:
                del self.branches[job]
        self.floor = self.made(line)
        self.floor.tick(recovery(line, self, serial=line.serial + 3))

    def landed_content(self) -> frozenset[str]:
        return self.commits[self.target].content

    def people(self) -> list[Event]:
        events: list[Event] = []
        for work in self.floor.line.jobs.values():
            if isinstance(work.place, NeedsYou):
                text = self.rng.choice(["yes", "no", "please do it that way"])
                events.append(Steered(job=work.job.id, text=text))
                break
        draw = self.rng.random()
        if draw < (0.02 if self.floor.line.closing is None else 0.5):
            events.append(Closing(reason=Reason.INTERRUPTED, why="Ctrl-C"))
        elif draw < 0.05 and self.floor.line.jobs:
            events.append(Killed(job=self.rng.choice(tuple(self.floor.line.jobs))))
        elif draw < 0.15:
            job = self.rng.choice(tuple(self.floor.line.jobs))
            events.append(Steered(job=job, text="hurry"))
        elif draw < 0.2:
            events += [Paused(on=True), Paused(on=False)]
        elif draw < 0.22:
            job = self.rng.choice(tuple(self.floor.line.jobs))
            if isinstance(self.floor.line.jobs[job].place, Dead | Withdrawn):
                self.killed.discard(job)
                events.append(Retried(job=job))
        return events

    def round(self) -> None:
        if self.agenda:
            self.time, _, what = heapq.heappop(self.agenda)
            answer = self.answer(what)
            events: list[Event] = [] if answer is None else [answer]
            if isinstance(answer, Finished) and self.rng.random() < 0.03:
                self.later(answer)  # some answers come twice
        else:
            self.time += 5.0
            events = [Woke()]
        if self.rng.random() < 0.03:
            self.foreign_commit()
        if self.rng.random() < 0.1:
            events += self.people()
        if self.rng.random() < 0.1:
            self.floor.look_at_target()
        if events:
            self.floor.tick(events)
        self.killed |= {
            event.job
            for event in events
            if isinstance(event, Killed)
            and isinstance(self.floor.line.jobs[event.job].place, Withdrawn)
        }

    def settled(self) -> bool:
        line = self.floor.line
        return line.still and not any(isinstance(w.place, NeedsYou) for w in line.jobs.values())

    def run(self) -> None:
        """Work until all jobs are settled; a closed line is resumed, as a person would."""
        try:
            self.open()
        except Crash:
            self.recover()
        while self.steps < LIMIT:
            self.steps += 1
            try:
                if self.settled() and self.floor.line.closing is None:
                    return
                if self.floor.line.closing is not None and self.floor.line.drained:
                    self.exits.append(exit_code(self.floor.line))
                    assert self.exits[-1] == self.expected_exit()
                    assert len(self.exits) < RESUMES, "a resume does not get on"
                    self.nothing_is_held_back()
                    self.resume()
                self.round()
            except Crash:
                self.recover()
        raise AssertionError("livelock: the line never settled")

    def expected_exit(self) -> int:
        """Give the exit code by the contract's precedence."""
        closing = self.floor.line.closing
        codes = {"interrupted": 130, "environment": 7, "limited": 75, "budget": 3}
        if closing is not None and closing.reason in codes:
            return codes[closing.reason]
        places = [work.place for work in self.floor.line.jobs.values()]
        if any(isinstance(place, Dead) for place in places):
            return 1
        return 0 if all(isinstance(place, Settled) for place in places) else 4

    def nothing_is_held_back(self) -> None:
        """See that a line which closes for want of money lands what is paid for."""
        line = self.floor.line
        assert line.closing is not None
        if line.closing.lands and not line.paused:
            left = [w.job.id for w in line.jobs.values() if isinstance(w.place, InGate)]
            assert not left, f"{left} could have landed"

    def recover(self) -> None:
        while True:
            try:
                if self.book:
                    self.resume()
                else:
                    self.agenda.clear()
                    self.open()
            except Crash:
                continue
            return


def check(world: World) -> None:
    """Look at the world from outside: RELIABILITY's I1 to I4, I8 and the replay."""
    line = world.floor.line
    landings: dict[JobId, int] = {}
    content: frozenset[str] = frozenset()
    for oid in world.history:
        commit = world.commits[oid]
        if oid != world.base:
            assert tree_of(commit.content) in world.passed, f"untested tree at {oid}"
        if commit.jobs:
            assert commit.tested == tree_of(commit.content), f"trailer lies at {oid}"
        for job in commit.jobs:
            landings[job] = landings.get(job, 0) + 1
        content = commit.content
    ancestors = set()
    at: Oid | None = world.target
    while at is not None:
        ancestors.add(at)
        at = world.commits[at].parent
    assert ancestors >= set(world.history), "the target was not only moved forward"
    assert content >= set(world.foreign), "somebody's commit was lost"
    assert all(count == 1 for count in landings.values()), f"landed twice: {landings}"
    assert not world.killed & set(landings), "a killed job landed"
    for job, work in line.jobs.items():
        place = work.place
        assert isinstance(place, Landed | Dead | Withdrawn), f"{job} is lost at {place}"
        assert isinstance(place, Landed) == (job in landings), f"{job}: {place} against git"
    assert {job.id for job in world.placed} <= set(line.jobs), "a placed job is not known any more"
    kept = world.salvaged | set(world.branches.values())
    for oid in world.saved:
        reachable = oid in kept or not world.commits[oid].content - content
        descends = any(world.commits[k].parent == oid for k in kept)
        assert reachable or descends, f"work {oid} is unreachable"
    watch = Watch(world.book)
    assert watch.line == line, "replaying the ledger gives another line"
    assert exit_code(line) == world.expected_exit(), "the exit code lies"


def simulate(seed: int, mutant: str = "") -> World:
    """Run one seed to its end and check it; AssertionError tells what broke."""
    world = World(seed, mutant)
    world.run()
    check(world)
    return world
