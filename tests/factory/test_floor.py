"""The floor: first the ledger, then the effect; a landing is answered before all else."""

import queue
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from factory.events import (
    Closing,
    Event,
    Finished,
    GateComposed,
    GateTried,
    InGate,
    Killed,
    Land,
    Landed,
    Noted,
    Opened,
    Placed,
    Reason,
    Resting,
    Steered,
    Withdrawn,
    Working,
)
from factory.floor import Blocked, Floor, LandingPlan, operate, recovery
from factory.line import Line, opened, step
from stations.contract import (
    Assignment,
    Compose,
    Composed,
    Done,
    Failed,
    Green,
    Kind,
    Trial,
    Verdict,
)
from tests.factory.works import rules, spec, task
from worktrees.names import JobId, Oid, RunId

BASE, WORK, TREE, NEXT = (Oid(sign * 40) for sign in "bwtn")
OPENED = Opened(
    run=RunId("run"), base=BASE, target="refs/heads/main", deliver="merge", rules=rules()
)


@dataclass
class World:
    """Ledger, crew and ground in one, writing down what happens in which order."""

    happened: list[str] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    known: Verdict | None = None
    target: Oid | None = BASE
    others: Oid | None = None
    blocked: Blocked | None = None
    clock: float = 0.0

    def append(self, run: RunId, events: Sequence[Event], at: float) -> None:  # noqa: ARG002
        """Record."""
        self.events += events
        self.happened.append("ledger " + " ".join(event.kind for event in events))

    def verdict(self, tree: Oid, key: str) -> Verdict | None:  # noqa: ARG002
        """Look up."""
        return self.known

    def start(self, assignment: Assignment) -> None:
        """Begin an attempt."""
        self.happened.append(f"start {assignment.job}#{assignment.attempt}")

    def stop(self, job: JobId, attempt: int) -> None:
        """End an attempt."""
        self.happened.append(f"stop {job}#{attempt}")

    def tell(self, job: JobId, attempt: int, text: str) -> None:
        """Tell an attempt something."""
        self.happened.append(f"tell {job}#{attempt} {text}")

    def compose(self, task: Compose) -> None:
        """Make a tree."""
        self.happened.append(f"compose {task.trial}")

    def try_tree(self, task: Trial) -> None:
        """Test a tree."""
        self.happened.append(f"test {task.trial}")

    def cancel(self, trial: int) -> None:
        """End a trial."""
        self.happened.append(f"cancel {trial}")

    def close(self) -> None:
        """Send everybody home."""

    def tip(self) -> Oid | None:
        """Say where the target is."""
        return self.target

    def landed(self, tip: Oid) -> Mapping[JobId, Oid]:
        """Say what is in the history."""
        return {JobId("a"): NEXT} if tip == NEXT else {}

    def prepare(self, land: Land) -> LandingPlan | Blocked:
        """Make the landing."""
        self.happened.append("prepare")
        return self.blocked or LandingPlan(commit=NEXT, tree=land.tree, old=land.base)

    def swap(self, plan: LandingPlan) -> bool:
        """Move the target, unless somebody else did meanwhile."""
        self.target = self.others or plan.commit
        self.happened.append("swap")
        return self.others is None

    def follow(self, old: Oid, new: Oid) -> None:  # noqa: ARG002
        """Bring the checkout along."""
        self.happened.append("follow")

    def salvage(self, job: JobId, commit: Oid) -> None:  # noqa: ARG002
        """Keep a commit."""
        self.happened.append(f"salvage {job}")

    def tidy(self, jobs: Sequence[JobId]) -> None:
        """Drop branches."""
        self.happened.append("tidy " + " ".join(jobs))

    def now(self) -> float:
        """Tell the time."""
        return self.clock

    def collect(self, line: Line) -> Sequence[Event]:  # noqa: ARG002
        """Bring no mail."""
        return ()


def floor_of(world: World, event: Opened = OPENED) -> Floor:
    """Give a floor on which one job was placed."""
    line = opened(event, 0.0)
    floor = Floor(line=line, book=world, crew=world, ground=world, now=world.now)
    floor.tick([event, Placed(jobs=(task("a"),))])
    return floor


def until_proof(world: World) -> Floor:
    """Give a floor whose one job was green once, so that `PROOF` lands it."""
    floor = floor_of(world)
    floor.tick([Finished(job=JobId("a"), attempt=1, outcome=Done(commit=WORK))])
    floor.tick([GateComposed(composed=Composed(trial=1, tree=TREE, key="k"))])
    green = Green(tree=TREE, key="k")
    floor.tick([GateTried(trial=1, verdict=green)])
    world.known = green
    world.happened.clear()
    return floor


PROOF = GateComposed(composed=Composed(trial=2, tree=TREE, key="k"))


def test_an_intent_is_on_record_before_its_effect() -> None:
    """The start of an attempt is in the same transaction as what caused it, and before it."""
    world = World()

    floor_of(world)

    assert world.happened == ["ledger opened placed started", "start a#1"]


def test_a_landing_is_on_record_before_and_after_the_swap() -> None:
    """The intent comes first, the result before anything is tidied."""
    world = World()
    floor = until_proof(world)

    floor.tick([PROOF, Noted(what="x", text="later")])

    assert world.happened == [
        "ledger gate-composed",
        "prepare",
        "ledger landing",
        "swap",
        "follow",
        "ledger advanced",
        "tidy a",
        "ledger noted",
    ]
    assert floor.line.jobs[JobId("a")].place == Landed(commit=NEXT, tree=TREE)


def test_a_target_that_moved_is_missed_and_tested_anew() -> None:
    """Found before the swap or by it, the work is composed again on the new tip."""
    for others, world in ((None, World()), (Oid("o" * 40), World())):
        floor = until_proof(world)
        world.others = others
        if others is None:
            world.target = Oid("o" * 40)

        floor.tick([PROOF])

        assert "ledger missed" in world.happened
        assert world.happened[-1].startswith("compose")
        assert floor.line.gate.target == "o" * 40


def test_a_target_that_is_gone_closes_the_line_with_the_way_back() -> None:
    """A branch that somebody deleted is not made again by the line; the work is kept."""
    looked, landing = World(), World()
    for world, event in ((looked, None), (landing, PROOF)):
        floor = until_proof(world)
        world.target = None

        floor.tick([event]) if event is not None else floor.look_at_target()

        assert "swap" not in world.happened
        assert floor.line.closing is not None
        assert "git update-ref refs/heads/main" in floor.line.closing.why
        assert isinstance(floor.line.jobs[JobId("a")].place, InGate)


def test_a_landing_that_is_blocked_closes_the_line_and_keeps_the_work() -> None:
    """Nothing moves; the job waits in the gate for a resume."""
    world = World(blocked=Blocked(reason=Reason.TARGET, why="dirty"))
    floor = until_proof(world)

    floor.tick([PROOF])

    assert "swap" not in world.happened
    assert floor.line.closing == Closing(reason=Reason.TARGET, why="dirty")
    assert floor.line.drained


def test_a_verdict_on_record_is_not_tested_again() -> None:
    """A tree that was green under the same checks lands without a run of its own."""
    world = World()
    floor = until_proof(world)

    floor.tick([PROOF])

    assert not any(entry.startswith("test") for entry in world.happened)
    assert isinstance(floor.line.jobs[JobId("a")].place, Landed)


def test_the_floor_works_until_the_line_is_still() -> None:
    """Answers are taken as they come, a rest is waited for, and then it is over."""
    world = World()
    floor = floor_of(world)
    again = Failed(fault="busy", retryable=True)
    answers: queue.SimpleQueue = queue.SimpleQueue()
    answers.put(Finished(job=JobId("a"), attempt=1, outcome=again))
    seen: list[str] = []

    def now() -> float:
        world.clock += 0.5
        if isinstance(floor.line.jobs[JobId("a")].place, Working) and "start a#2" in world.happened:
            answers.put(Killed(job=JobId("a")))
        if isinstance(floor.line.jobs[JobId("a")].place, Resting):
            seen.append("rested")
        return world.clock

    operate(floor, answers, world, now)

    assert seen
    assert isinstance(floor.line.jobs[JobId("a")].place, Withdrawn)
    assert "stop a#1" not in world.happened
    assert "stop a#2" in world.happened


def test_a_recovery_asks_git_what_landed() -> None:
    """A landing on record whose result is not is landed if git has it, else missed."""
    for swapped, kind in ((True, "advanced"), (False, "missed")):
        world = World()
        floor = until_proof(world)
        line, actions = step(floor.line, replace(PROOF, known=world.known), 0.0)
        world.target = NEXT if swapped else BASE

        events = recovery(line, world, serial=7)

        assert any(isinstance(action, Land) for action in actions)
        assert [event.kind for event in events] == [kind, "resumed"]


def test_a_recovery_ends_the_attempts_of_the_process_that_is_gone() -> None:
    """Each is interrupted, after the gate was told what is lost."""
    world = World()
    floor = floor_of(world)

    events = recovery(floor.line, world, serial=7)
    floor.tick(events)

    assert [event.kind for event in events] == ["resumed", "finished"]
    assert world.happened[-1] == "start a#2"
    assert floor.line.jobs[JobId("a")].tries == 1


def test_a_word_is_on_record_before_the_agent_hears_it() -> None:
    """`factory tell` on running work: first the ledger, then the attempt under way."""
    world = World()
    floor = floor_of(world)
    world.happened.clear()

    floor.tick([Steered(job=JobId("a"), text="use tabs")])

    assert world.happened == ["ledger steered", "tell a#1 use tabs"]


def test_what_became_of_a_review_is_noted_in_the_ledger() -> None:
    """Work that nobody could read goes on to the gate, and the record says why."""
    reads = rules(spec("code"), spec("read", Kind.REVIEW), spec("tests", Kind.TEST))
    world = World()
    floor = floor_of(world, replace(OPENED, rules=reads))
    floor.tick([Finished(job=JobId("a"), attempt=1, outcome=Done(commit=WORK))])

    floor.tick([Finished(job=JobId("a"), attempt=2, outcome=Failed(fault="exit 3"))])

    note = Noted(what="review", text="not reviewed: exit 3", job=JobId("a"))
    assert note in world.events
    assert floor.line.jobs[JobId("a")].place == InGate(commit=WORK)
