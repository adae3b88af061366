"""A world for the gate: hidden facts, a host that obeys, a clock, and promises it watches.

The machine under test is the real one. A world decides each verdict from facts the gate never
sees; a tree is a set of contents, kept as the bits of a number. The same seed gives the same
world, and a broken promise tells the seed and everything the gate was told and answered.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from heapq import heappop, heappush
from itertools import count
from random import Random
from typing import Literal

from factory.landing import (
    Arrived,
    Cancel,
    Cause,
    Composed,
    Entry,
    Gate,
    GateError,
    Group,
    Input,
    Land,
    Landed,
    Moved,
    Output,
    Paused,
    Refused,
    Result,
    Return,
    Slots,
    Start,
    Step,
    Withdrawn,
    check,
    gate,
    held,
    opened,
    position,
)
from worktrees.names import JobId, Oid

Verdict = Literal["green", "red", "lost"]

RUNS_PER_BRANCH = 25
"""More runs than this, per content there ever was, count as a gate that never ends."""


class PromiseError(Exception):
    """The gate, or the host, broke a promise in some world."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a world is like; chances are per branch, pair, run or landing."""

    branches: int
    slots: int
    bad: float
    flake: float = 0.0
    clash: float = 0.0
    """That two branches of one scope are red together though each is green."""
    far_clash: float = 0.0
    """The same for two branches of different scopes."""
    conflict: float = 0.0
    lost: float = 0.0
    hint: float = 0.0
    """That a red run names suspects, rightly or not."""
    race: float = 0.0
    """That somebody pushes in the very moment of a landing."""
    pushes: int = 0
    withdrawals: int = 0
    stirs: int = 0
    """How often the slots change or the gate is paused for a while."""
    repair: float = 0.0
    span: float = 0.0
    """Over how many test durations the branches arrive."""
    jitter: float = 0.1
    making: float = 0.0
    """How long composing a tree may take."""
    scopes: int = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A composed tree: its run, where it was made and what is in it."""

    base: Oid
    jobs: Group
    kept: Group
    tree: int
    base_clash: Group
    mate_clash: Group


@dataclass(frozen=True, slots=True, kw_only=True)
class Drain:
    """What one drained world cost, in test durations and in test runs that were really made."""

    time: float
    waits: tuple[float, ...]
    """From arrival to landing, of each branch that landed."""
    runs: int
    landed: int
    returned: int
    false_returns: int


class World:
    """One seeded world with its host; ``drain`` lets it run until every branch has an end."""

    def __init__(self, plan: Plan, seed: int) -> None:
        self.plan = plan
        self.seed = seed
        self.random = Random(seed)  # noqa: S311 - a seed must give the same world again
        self.now = 0.0
        self.agenda: list[tuple[float, int, Callable[[], None]]] = []
        self.serial = count()
        self.told: list[tuple[Input, tuple[Output, ...]]] = []
        # Facts by bit: which contents are bad, clash when tested together, conflict when merged.
        self.contents = 0
        self.bad = 0
        self.clash: list[int] = []
        self.conflict: list[int] = []
        self.truth: dict[int, bool] = {}
        # The repository: every tip's tree, and where the target is.
        self.tip = Oid("t0")
        self.trees: dict[Oid, int] = {self.tip: 0}
        # The host: a job's newest content, trees being tested, and remembered verdicts.
        self.bit: dict[JobId, int] = {}
        self.scope: dict[JobId, str] = {}
        self.trials: dict[int, Trial] = {}
        self.cache: dict[int, Verdict] = {}
        self.passed: set[int] = set()
        self.own_reds: dict[int, int] = {}
        self.came: dict[JobId, float] = {}
        self.waits: list[float] = []
        self.ended: dict[JobId, str] = {}
        self.starts = self.runs = self.landed = self.returned = self.false_returns = 0
        self.state: Gate = opened(self.tip, plan.slots)
        self.populate()

    # What there is, and what will happen to it.

    def populate(self) -> None:
        """Make the branches, and put everything that comes from outside on the agenda."""
        plan, chance = self.plan, self.random
        weights = [1 / (rank + 1) for rank in range(plan.scopes)]
        entries = []
        for number in range(plan.branches):
            job = JobId(f"j{number}")
            self.scope[job] = f"s{chance.choices(range(plan.scopes), weights)[0]}"
            entries.append(self.branch(job, bad=plan.bad))
        if plan.span:
            for entry in entries:
                self.at(chance.uniform(0, plan.span), partial(self.arrive, entry))
        else:
            self.at(0.0, partial(self.arrive, *entries))
        length = plan.span + plan.branches / plan.slots
        for _ in range(plan.pushes):
            self.at(chance.uniform(0, length), self.push)
        for _ in range(plan.withdrawals):
            job = JobId(f"j{chance.randrange(plan.branches)}")
            self.at(chance.uniform(0, length), partial(self.withdraw, job))
        for _ in range(plan.stirs):
            self.at(chance.uniform(0, length), self.stir)

    def branch(self, job: JobId, *, bad: float) -> Entry:
        """Make new work of a job: a content of its own, with its hidden facts."""
        plan, chance = self.plan, self.random
        bit = self.content()
        if chance.random() < bad:
            self.bad |= bit
        for other, known in self.bit.items():
            near = self.scope[other] == self.scope[job]
            if other != job and chance.random() < (plan.clash if near else plan.far_clash):
                self.clash[bit.bit_length() - 1] |= known
            if other != job and plan.conflict and chance.random() < plan.conflict:
                self.conflict[known.bit_length() - 1] |= bit
                self.conflict[bit.bit_length() - 1] |= known
        self.bit[job] = bit
        return Entry(job=job, commit=Oid(f"c{bit:x}"), scope_key=self.scope[job])

    def content(self) -> int:
        """Give a new content's bit."""
        self.contents += 1
        self.clash.append(0)
        self.conflict.append(0)
        return 1 << self.contents - 1

    def red(self, tree: int) -> bool:
        """Say whether a tree is truly red: something in it is bad, or clashes with another."""
        known = self.truth.get(tree)
        if known is None:
            known = bool(tree & self.bad) or any(
                partners & tree and tree >> number & 1 for number, partners in enumerate(self.clash)
            )
            self.truth[tree] = known
        return known

    def at(self, when: float, what: Callable[[], None]) -> None:
        """Put something on the agenda."""
        heappush(self.agenda, (when, next(self.serial), what))

    # What comes from outside.

    def arrive(self, *entries: Entry) -> None:
        """Bring branches that were not withdrawn on their way."""
        coming = tuple(entry for entry in entries if entry.job not in self.ended)
        self.came |= {entry.job: self.now for entry in coming}
        if coming:
            self.tell(Arrived(branches=coming))

    def withdraw(self, job: JobId) -> None:
        """Take a branch back, wherever it is."""
        if job not in self.ended:
            self.ended[job] = "withdrawn"
            self.tell(Withdrawn(job=job))

    def push(self) -> None:
        """Let somebody else move the target; the gate hears of it a little later."""
        self.foreign()
        self.at(self.now + self.random.choice((0.0, 0.3)), self.notice)

    def foreign(self) -> None:
        """Put somebody else's green commit on the target; it may not fit what has not landed."""
        bit, chance = self.content(), self.random
        for job, known in self.bit.items():
            if job not in self.ended and chance.random() < self.plan.clash / 4:
                self.clash[bit.bit_length() - 1] |= known
            if job not in self.ended and chance.random() < self.plan.conflict / 4:
                self.conflict[known.bit_length() - 1] |= bit
        self.truth.clear()
        self.advance(self.trees[self.tip] | bit)

    def notice(self) -> None:
        """Tell the gate where the target is now."""
        self.tell(Moved(tip=self.tip))

    def stir(self) -> None:
        """Change the slots, or pause; both are put right a little later."""
        if self.random.random() < 0.5:
            self.tell(Slots(n=self.random.randint(0, 16)))
            self.at(self.now + 1, lambda: self.tell(Slots(n=self.plan.slots)))
        else:
            self.tell(Paused(paused=True))
            self.at(self.now + 1, lambda: self.tell(Paused(paused=False)))

    # The host.

    def step(self, event: Input) -> Step:
        """Ask the machine under test."""
        return gate(self.state, event)

    def tell(self, event: Input) -> None:
        """Tell the gate something, and do what it says."""
        self.state, outputs = self.step(event)
        self.told.append((event, outputs))
        check(self.state)
        for output in outputs:
            match output:
                case Start():
                    self.start(output)
                case Cancel():
                    self.promise("only what runs is cancelled", output.run in self.trials)
                    if self.random.random() < 0.5:
                        del self.trials[output.run]
                case Land():
                    self.land(output)
                case Return():
                    self.send_back(output)

    def start(self, start: Start) -> None:
        """Compose a tree, and test it unless its verdict is remembered."""
        self.starts += 1
        self.promise("the gate ends", self.starts <= RUNS_PER_BRANCH * self.contents)
        self.promise("no slot is used twice", len(self.state.runs) <= self.state.slots)
        self.promise("nothing starts while paused", not self.state.paused)
        self.promise("nothing starts while something lands", self.state.landing is None)
        self.trials[start.run] = self.compose(start.base, start.jobs)
        self.at(self.now + self.random.random() * self.plan.making, partial(self.made, start.run))

    def compose(self, base: Oid, jobs: Group) -> Trial:
        """Merge branches in order; what conflicts stays out."""
        ground = tree = self.trees[base]
        kept, base_clash, mate_clash = [], [], []
        for job in jobs:
            bit = self.bit[job]
            obstacles = self.conflict[bit.bit_length() - 1]
            if obstacles & ground:
                base_clash.append(job)
            elif obstacles & tree:
                mate_clash.append(job)
            else:
                kept.append(job)
                tree |= bit
        return Trial(
            base=base,
            jobs=jobs,
            kept=tuple(kept),
            tree=tree,
            base_clash=tuple(base_clash),
            mate_clash=tuple(mate_clash),
        )

    def made(self, run: int) -> None:
        """Say what was left out; then give the remembered verdict, or test for a while."""
        trial = self.trials.get(run)
        if trial is None:
            return
        clashes = Composed(run=run, base_clash=trial.base_clash, mate_clash=trial.mate_clash)
        if clashes.base_clash or clashes.mate_clash or self.plan.making:
            self.tell(clashes)
        if run not in self.state.runs:
            return
        known = self.remembered(trial)
        if known is not None:
            self.at(self.now, partial(self.result, run, known))
            return
        length = 1 + self.plan.jitter * self.random.uniform(-1, 1)
        self.at(self.now + length, lambda: self.result(run, self.test(trial)))

    def remembered(self, trial: Trial) -> Verdict | None:
        """Give a tree's verdict from memory: a green one always, a red one only for several."""
        known = self.cache.get(trial.tree)
        return known if known == "green" or len(trial.kept) > 1 else None

    def test(self, trial: Trial) -> Verdict:
        """Really test a tree; now and then the machine is lost, or a good tree looks red."""
        if self.plan.lost and self.random.random() < self.plan.lost:
            return "lost"
        self.runs += 1
        red = self.red(trial.tree) or self.random.random() < self.plan.flake
        if not red:
            self.passed.add(trial.tree)
        elif len(trial.kept) == 1:
            bit = trial.tree & ~self.trees[trial.base]
            self.own_reds[bit] = self.own_reds.get(bit, 0) + 1
        self.cache[trial.tree] = "red" if red else "green"
        return self.cache[trial.tree]

    def result(self, run: int, verdict: Verdict) -> None:
        """Tell a verdict, late ones of cancelled runs too."""
        trial = self.trials.get(run)
        if trial is None:
            return
        hinted = verdict == "red" and self.random.random() < self.plan.hint
        suspects = tuple(job for job in trial.jobs if hinted and self.random.random() < 0.5)
        self.tell(Result(run=run, verdict=verdict, suspects=suspects))

    def land(self, land: Land) -> None:
        """Swap the target if nobody moved it, and tell how that went."""
        if self.random.random() < self.plan.race:
            self.foreign()
        tree = self.swapped(land)
        if tree is None:
            self.tell(Refused(tip=self.tip))
            return
        added = self.trees[self.tip]
        for job in land.jobs:
            self.promise("only what is on its way lands, once", job not in self.ended)
            self.ended[job] = "landed"
            self.promise("nothing lands twice", not added & self.bit[job])
            added |= self.bit[job]
            self.waits.append(self.now - self.came[job])
        self.promise("a landing adds exactly its branches", tree == added)
        self.promise("only a tree that passed lands", tree in self.passed)
        self.promise("the target is never red", not self.red(tree))
        self.landed += len(land.jobs)
        self.advance(tree)
        self.tell(Landed(tip=self.tip))

    def swapped(self, land: Land) -> int | None:
        """Give the tree that the target is swapped to, or None when it is not at the base."""
        base = self.state.runs[land.run].base
        return self.trials[land.run].tree if base == self.tip else None

    def advance(self, tree: int) -> None:
        """Move the target to a new commit of this tree."""
        self.tip = Oid(f"t{len(self.trees)}")
        self.trees[self.tip] = tree

    def send_back(self, sent: Return) -> None:
        """Take a branch that is sent back; now and then its repair comes again."""
        job, bit = sent.job, self.bit[sent.job]
        self.promise("only what is on its way is sent back", job not in self.ended)
        if sent.cause is Cause.RED:
            self.returned += 1
            self.promise("a red return costs two runs of its own", self.own_reds.get(bit, 0) >= 2)
            self.false_returns += not self.red(self.trees[self.tip] | bit)
        else:
            ground = self.trees[self.trials[sent.run].base]
            blocked = self.conflict[bit.bit_length() - 1] & ground
            self.promise("only what conflicts with its base is a conflict", bool(blocked))
        if self.random.random() < self.plan.repair:
            entry = self.branch(job, bad=self.plan.bad / 2)
            self.at(self.now + 2 * self.random.random(), partial(self.arrive, entry))
        else:
            self.ended[job] = "returned"

    # The promises.

    def promise(self, text: str, kept: bool) -> None:  # noqa: FBT001 - reads as a sentence
        """Stop this world when a promise does not hold."""
        if not kept:
            raise PromiseError(text)

    def drain(self) -> Drain:
        """Run until nothing is left to happen, and see that every branch has exactly one end."""
        try:
            while self.agenda:
                self.now, _, what = heappop(self.agenda)
                what()
                self.promise("every branch can be found", self.found())
            self.promise("the gate is empty in the end", not held(self.state))
            self.promise("every branch has an end", self.ended.keys() == self.bit.keys())
        except (PromiseError, GateError) as broken:
            raise PromiseError(f"{broken}\n{self.trace()}") from broken
        return self.cost()

    def cost(self) -> Drain:
        """Say what it took so far."""
        return Drain(
            time=self.now,
            waits=tuple(self.waits),
            runs=self.runs,
            landed=self.landed,
            returned=self.returned,
            false_returns=self.false_returns,
        )

    def found(self) -> bool:
        """Ask now and then where some branch is; the gate must know its own and no others."""
        if len(self.told) % 16:
            return True
        job = JobId(f"j{self.random.randrange(self.plan.branches)}")
        return (position(self.state, job) is not None) == (job in held(self.state))

    def trace(self) -> str:
        """Give everything that a person needs to see this world again."""
        lines = (f"  {event}\n    -> {outputs}" for event, outputs in self.told)
        return "\n".join((f"{type(self).__name__} seed {self.seed}: {self.plan}", *lines))


def fuzzed(seed: int) -> Plan:
    """Give the plan of a seed: any mixture of trouble, mild and wild, in a small world."""
    chance = Random(-1 - seed)  # noqa: S311 - a seed must give the same plan again

    def some(most: float) -> float:
        return chance.choice((0.0, 1.0)) * most * chance.random()

    def few(most: int) -> int:
        return chance.choice((0, 0, chance.randint(0, most)))

    return Plan(
        branches=1 + int(40 * chance.random() ** 2),
        slots=chance.randint(1, 16),
        bad=some(0.9),
        flake=some(0.3),
        clash=some(0.5),
        far_clash=some(0.1),
        conflict=some(0.4) * chance.random(),
        lost=some(0.2),
        hint=some(0.9),
        race=some(0.3),
        pushes=few(6),
        withdrawals=few(6),
        stirs=few(4),
        repair=some(0.5),
        span=some(10),
        jitter=chance.choice((0.1, 0.9)),
        making=some(0.5),
        scopes=chance.randint(1, 12),
    )


def fleet(*, branches: int, bad: float, slots: int, flake: float = 0.01, span: float = 0.0) -> Plan:
    """Give the plan of a drain without surprises: branches come at once, or over some time."""
    return Plan(
        branches=branches,
        slots=slots,
        bad=bad,
        flake=flake,
        clash=0.004,
        far_clash=0.00008,
        span=span,
    )


def serial(plan: Plan, seed: int) -> Drain:
    """Drain a world the plain way: one branch at a time on the target, a red one run again."""
    world = World(plan, seed)
    for job, bit in world.bit.items():
        tree = world.trees[world.tip] | bit
        for _ in range(2):
            world.runs += 1
            world.now += 1 + plan.jitter * world.random.uniform(-1, 1)
            if not world.red(tree) and world.random.random() >= plan.flake:
                world.advance(tree)
                world.ended[job] = "landed"
                world.landed += 1
                world.waits.append(world.now)
                break
        else:
            world.ended[job] = "returned"
            world.returned += 1
            world.false_returns += not world.red(tree)
    return world.cost()
