"""The crew of threads: everybody who was started is answered for, also after a fault or a stop."""

import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pytest

from factory.crew import Answer, ThreadCrew
from factory.events import Finished, GateAwaits, GateComposed, GateTried
from stations.box import SandboxError
from stations.contract import (
    Assignment,
    Awaited,
    Brief,
    Check,
    Compose,
    Composed,
    Done,
    Failed,
    Green,
    Lost,
    Outcome,
    Trial,
    Verdict,
)
from stations.runtimes.task import Control
from worktrees.names import JobId, Oid, RunId, StationName
from worktrees.scope import Scope

OID = Oid("a" * 40)
WAIT = 20.0


@dataclass
class Bench:
    """A worker and tester that do what their orders say: end, break, or wait to be stopped."""

    orders: dict[str, str] = field(default_factory=dict)

    def obey(self, name: str, stop: threading.Event) -> str:
        """Follow the order for this name."""
        order = self.orders.get(name, "")
        if order == "lose":
            error = SandboxError("the engine went away")
            error.add_note("the files are kept in /there")
            raise error
        if order == "break":
            raise OSError("no disk")
        if order == "wait":
            assert stop.wait(WAIT)
            return "stopped"
        return "ended"

    def work(self, assignment: Assignment, control: Control) -> Outcome:
        """Do one attempt."""
        return Done(commit=OID, note=self.obey(assignment.job, control.stop))

    def compose(self, task: Compose, stop: threading.Event) -> Composed:
        """Make a tree."""
        return Composed(trial=task.trial, tree=OID, key=self.obey("compose", stop))

    def try_tree(self, task: Trial, stop: threading.Event) -> Verdict:
        """Give a verdict."""
        return Green(tree=task.tree, key=self.obey("test", stop))


@pytest.fixture
def bench() -> Bench:
    """Give the orders."""
    return Bench()


@pytest.fixture
def answers() -> "queue.SimpleQueue[Answer]":
    """Give where answers arrive."""
    return queue.SimpleQueue()


@pytest.fixture
def crew(bench: Bench, answers: "queue.SimpleQueue[Answer]") -> Iterator[ThreadCrew]:
    """Give a crew with one station."""
    made = ThreadCrew({StationName("code"): bench}, bench, answers.put)
    yield made
    made.close()


def assignment(job: str) -> Assignment:
    """Give the first attempt of a job."""
    return Assignment(
        run=RunId("r"), job=JobId(job), station=StationName("code"), attempt=1, serial=0,
        base=OID, judged_from=OID, scope=Scope(write=("**",)), brief=Brief(title="t", text="t"),
        seconds=1.0, idle=0.0, line="h",
    )  # fmt: skip


COMPOSE = Compose(run=RunId("r"), trial=1, base=OID, branches=(), line="h")
TRIAL = Trial(run=RunId("r"), trial=1, base=OID, tree=OID, checks=(), key="k")


def test_every_task_is_answered_once(crew, answers) -> None:
    """An attempt, a composition and a trial each give their own answer."""
    crew.start(assignment("one"))
    crew.compose(COMPOSE)
    crew.try_tree(TRIAL)

    found = {type(each): each for each in (answers.get(timeout=WAIT) for _ in range(3))}

    assert found[Finished].outcome == Done(commit=OID, note="ended")
    assert found[GateComposed].composed.tree == OID
    assert found[GateTried].verdict == Green(tree=OID, key="ended")


def test_a_fault_of_a_worker_is_an_outcome(crew, bench, answers) -> None:
    """An exception becomes a failure of the machine, with the trace as its tail."""
    bench.orders = {"one": "break"}

    crew.start(assignment("one"))
    outcome = answers.get(timeout=WAIT).outcome

    assert isinstance(outcome, Failed)
    assert (outcome.fault, outcome.retryable, outcome.environment) == (
        "OSError: no disk",
        True,
        True,
    )
    assert "Traceback" in outcome.tail


def test_a_sandbox_that_is_lost_says_so_in_one_line(crew, bench, answers) -> None:
    """Its own words and what was noted with them, without a trace that is nobody's business."""
    bench.orders = {"one": "lose"}

    crew.start(assignment("one"))
    outcome = answers.get(timeout=WAIT).outcome

    assert isinstance(outcome, Failed)
    assert outcome.fault == "the engine went away; the files are kept in /there"
    assert (outcome.tail, outcome.environment) == ("", True)


def test_a_fault_at_the_gate_blames_the_environment(crew, bench, answers) -> None:
    """No branch is red because a composition or a trial broke."""
    bench.orders = {"compose": "break", "test": "break"}

    crew.compose(COMPOSE)
    composed = answers.get(timeout=WAIT).composed
    crew.try_tree(TRIAL)
    verdict = answers.get(timeout=WAIT).verdict

    assert (composed.tree, composed.blame, composed.fault) == (
        None,
        "environment",
        "OSError: no disk",
    )
    assert verdict == Lost(why="OSError: no disk")


def test_a_stop_reaches_its_attempt_alone(crew, bench, answers) -> None:
    """Stopping one attempt leaves the others; what is not under way may be stopped too."""
    bench.orders = {"one": "wait", "two": "wait"}
    crew.start(assignment("one"))
    crew.start(assignment("two"))

    crew.stop(JobId("two"), 1)
    crew.stop(JobId("two"), 2)
    crew.stop(JobId("nobody"), 1)

    assert answers.get(timeout=WAIT).job == "two"
    assert answers.empty()


def test_a_cancelled_trial_ends(crew, bench, answers) -> None:
    """Cancelling ends composition and test of this trial."""
    bench.orders = {"compose": "wait", "test": "wait"}
    crew.compose(COMPOSE)
    crew.try_tree(TRIAL)

    crew.cancel(2)
    assert answers.empty()
    crew.cancel(1)

    kinds = {answers.get(timeout=WAIT).kind for _ in range(2)}
    assert kinds == {"gate-composed", "gate-tried"}


def test_closing_waits_until_everybody_has_left(crew, bench, answers) -> None:
    """After `close` each task has answered and no thread of the crew is alive."""
    bench.orders = dict.fromkeys(("one", "two", "test"), "wait")
    crew.start(assignment("one"))
    crew.start(assignment("two"))
    crew.try_tree(TRIAL)

    crew.close()

    assert {answers.get_nowait().kind for _ in range(3)} == {"finished", "gate-tried"}
    names = {thread.name for thread in threading.enumerate()}
    assert not names & {"one#1", "two#1", "trial 1 test"}


@dataclass
class Judges:
    """Whoever judges outside: does what the orders of the bench say for `prove` and `judge`."""

    bench: Bench
    gone: "queue.SimpleQueue[str]" = field(default_factory=queue.SimpleQueue)

    def prove(self, task: Trial, stop: threading.Event, notes: tuple[str, ...]) -> Awaited | Lost:
        """Give an id."""
        self.bench.obey("prove", stop)
        return Awaited(external=f"proof of {task.trial}", notes=notes)

    def judge(self, task: Trial, external: str, stop: threading.Event) -> Verdict | Awaited:
        """Give a verdict, or ask anew."""
        if self.bench.obey("judge", stop) == "stopped":
            return Lost(why="cancelled")
        return Green(tree=task.tree, key=external)

    def let_go(self, task: Trial, external: str) -> None:
        """Note whose branch goes."""
        self.gone.put(f"{task.trial}: {external}")


OUTSIDE = replace(TRIAL, checks=(Check(owner="ci", run=(), checks=("ci",)),))


def test_what_passed_here_is_shown_outside_and_judged_there(bench, answers) -> None:
    """A trial is answered by the id of its proof; asked for that, by the verdict; then it goes."""
    judges = Judges(bench)
    crew = ThreadCrew({}, bench, answers.put, judges)

    crew.try_tree(OUTSIDE)
    assert answers.get(timeout=WAIT) == GateAwaits(trial=1, external="proof of 1")
    crew.await_verdict(OUTSIDE, "proof of 1")
    tried = answers.get(timeout=WAIT)

    green = Green(tree=OID, key="proof of 1")
    assert tried == GateTried(trial=1, verdict=green, external="proof of 1")
    assert judges.gone.get(timeout=WAIT) == "1: proof of 1"
    crew.close()


def test_a_trial_without_checks_outside_is_shown_to_nobody(bench, answers) -> None:
    """The verdict of this machine is the whole verdict then."""
    crew = ThreadCrew({}, bench, answers.put, Judges(bench))

    crew.try_tree(TRIAL)

    assert answers.get(timeout=WAIT).verdict == Green(tree=OID, key="ended")
    crew.close()


def test_a_cancelled_wait_takes_the_proof_back_and_an_ended_one_leaves_it(bench, answers) -> None:
    """Nobody asks again for what the gate gave up; a resume does for what it still awaits."""
    bench.orders = {"judge": "wait"}
    judges = Judges(bench)
    crew = ThreadCrew({}, bench, answers.put, judges)
    crew.await_verdict(OUTSIDE, "one")
    crew.await_verdict(replace(OUTSIDE, trial=2), "two")

    crew.cancel(1)
    assert judges.gone.get(timeout=WAIT) == "1: one"
    crew.close()

    assert judges.gone.empty()


def test_a_fault_of_who_judges_outside_is_a_lost_trial(bench, answers) -> None:
    """Neither a push nor a question that breaks off ends the factory."""
    bench.orders = {"prove": "lose", "judge": "break"}
    crew = ThreadCrew({}, bench, answers.put, Judges(bench))

    crew.try_tree(OUTSIDE)
    first = answers.get(timeout=WAIT)
    crew.await_verdict(OUTSIDE, "one")
    second = answers.get(timeout=WAIT)

    assert first.verdict.why == "the engine went away; the files are kept in /there"
    assert (second.external, second.verdict.why) == ("one", "OSError: no disk")
    crew.close()
