"""The crew: who sits in the seats. Assignments, compositions and trials out; their answers back.

Nothing else crosses this seam, so that workers on other machines can take the seats later.
"""

import errno
import threading
import traceback
from collections.abc import Callable, Mapping
from typing import Protocol

from factory.events import Finished, GateAwaits, GateComposed, GateTried
from stations.box import SandboxError
from stations.contract import (
    Assignment,
    Awaited,
    Compose,
    Composed,
    Failed,
    Green,
    Lost,
    Outcome,
    Trial,
    Verdict,
)
from stations.runtimes.task import Control
from worktrees.names import JobId, StationName

Answer = Finished | GateComposed | GateTried | GateAwaits


class Crew(Protocol):
    """Takes work and answers through the callable it was made with; no method blocks."""

    def start(self, assignment: Assignment) -> None:
        """Begin an attempt; it is answered by ``Finished``."""
        ...

    def stop(self, job: JobId, attempt: int) -> None:
        """End an attempt now; it is still answered."""
        ...

    def tell(self, job: JobId, attempt: int, text: str) -> None:
        """Tell an attempt under way something; one that cannot listen hears it at its next try."""
        ...

    def compose(self, task: Compose) -> None:
        """Make a trial's tree; it is answered by ``GateComposed``."""
        ...

    def try_tree(self, task: Trial) -> None:
        """Run a trial's checks; it is answered by ``GateTried``, or by ``GateAwaits``."""
        ...

    def await_verdict(self, task: Trial, external: str) -> None:
        """Ask outside for a trial's verdict; answered as a trial is, under ``external``."""
        ...

    def cancel(self, trial: int) -> None:
        """End a trial now; an answer that is still given is not looked at."""
        ...

    def close(self) -> None:
        """End everything under way and wait until it has ended."""
        ...


class Worker(Protocol):
    """A station that can be told to stop."""

    def work(self, assignment: Assignment, control: Control) -> Outcome:
        """Do one attempt; blocks until it ended."""
        ...


class Tester(Protocol):
    """Whoever makes trees and runs checks on them."""

    def compose(self, task: Compose, stop: threading.Event) -> Composed:
        """Make the tree of a trial."""
        ...

    def try_tree(self, task: Trial, stop: threading.Event) -> Verdict:
        """Give the verdict on a tree."""
        ...


class Prover(Protocol):
    """Whoever gets verdicts from outside on trees that have passed all that runs here."""

    def prove(self, task: Trial, stop: threading.Event, notes: tuple[str, ...]) -> Awaited | Lost:
        """Show a tree to those who judge it, and give the id by which they are asked."""
        ...

    def judge(self, task: Trial, external: str, stop: threading.Event) -> Verdict | Awaited:
        """Wait for the verdict; ``Awaited`` says that it is asked for anew, under another id."""
        ...

    def let_go(self, task: Trial, external: str) -> None:
        """Take back what was shown: nobody asks for it any more."""
        ...


class ThreadCrew:
    """A crew of threads on this machine: one per attempt and one per trial under way."""

    def __init__(
        self,
        workers: Mapping[StationName, Worker],
        tester: Tester,
        answer: Callable[[Answer], None],
        prover: Prover | None = None,
    ) -> None:
        self._workers = workers
        self._tester = tester
        self._answer = answer
        self._prover = prover
        self._closing = threading.Event()
        self._controls: dict[str, Control] = {}
        self._threads: dict[str, threading.Thread] = {}

    def start(self, assignment: Assignment) -> None:
        """Begin an attempt in a thread of its own."""
        name = f"{assignment.job}#{assignment.attempt}"
        worker = self._workers[assignment.station]

        def turn(control: Control) -> Answer:
            return Finished(
                job=assignment.job,
                attempt=assignment.attempt,
                outcome=_attempt(lambda: worker.work(assignment, control)),
            )

        self._begin(name, turn)

    def stop(self, job: JobId, attempt: int) -> None:
        """End an attempt now."""
        self._end(f"{job}#{attempt}")

    def tell(self, job: JobId, attempt: int, text: str) -> None:
        """Tell an attempt under way something."""
        control = self._controls.get(f"{job}#{attempt}")
        if control is not None:
            control.steer(text)

    def compose(self, task: Compose) -> None:
        """Make a trial's tree in a thread of its own."""

        def turn(control: Control) -> Answer:
            try:
                composed = self._tester.compose(task, control.stop)
            except Exception as error:  # noqa: BLE001  (the edge: a fault is an answer)
                composed = Composed(
                    trial=task.trial, tree=None, fault=_say(error), blame="environment"
                )
            return GateComposed(composed=composed)

        self._begin(f"trial {task.trial} compose", turn)

    def try_tree(self, task: Trial) -> None:
        """Run a trial's checks in a thread of its own."""

        def tried(control: Control) -> Verdict | Awaited:
            verdict = self._tester.try_tree(task, control.stop)
            if isinstance(verdict, Green) and task.outside and self._prover is not None:
                return self._prover.prove(task, control.stop, verdict.notes)
            return verdict

        def turn(control: Control) -> Answer:
            return _verdict(task, lambda: tried(control))

        self._begin(f"trial {task.trial} test", turn)

    def await_verdict(self, task: Trial, external: str) -> None:
        """Wait for a verdict from outside in a thread of its own."""
        prover = self._prover
        assert prover is not None  # noqa: S101  (nobody else gave the id)

        def turn(control: Control) -> Answer:
            return _verdict(task, lambda: prover.judge(task, external, control.stop), external)

        def after() -> None:
            if not self._closing.is_set():  # a resume asks again for what is still awaited
                prover.let_go(task, external)

        self._begin(f"trial {task.trial} {external}", turn, after)

    def cancel(self, trial: int) -> None:
        """End a trial now."""
        for name in tuple(self._controls):
            if name.startswith(f"trial {trial} "):
                self._end(name)

    def close(self) -> None:
        """Stop all threads and wait for them."""
        self._closing.set()
        for control in tuple(self._controls.values()):
            control.end()
        for thread in tuple(self._threads.values()):
            thread.join()

    def _begin(
        self,
        name: str,
        turn: Callable[[Control], Answer],
        after: Callable[[], None] = lambda: None,
    ) -> None:
        control = Control()
        self._controls[name] = control

        def body() -> None:
            try:
                answer = turn(control)
            finally:
                self._controls.pop(name, None)
            try:
                self._answer(answer)
                after()
            finally:
                self._threads.pop(name, None)

        thread = threading.Thread(target=body, name=name, daemon=True)
        self._threads[name] = thread
        thread.start()

    def _end(self, name: str) -> None:
        control = self._controls.get(name)
        if control is not None:
            control.end()


def _verdict(
    task: Trial, judge: Callable[[], Verdict | Awaited], external: str = ""
) -> GateTried | GateAwaits:
    found: Verdict | Awaited
    try:
        found = judge()
    except Exception as error:  # noqa: BLE001  (the edge: a fault is an answer)
        found = Lost(why=_say(error))
    if isinstance(found, Awaited):
        return GateAwaits(trial=task.trial, external=found.external, notes=found.notes)
    return GateTried(trial=task.trial, verdict=found, external=external)


def _attempt(work: Callable[[], Outcome]) -> Outcome:
    try:
        return work()
    except Exception as error:  # noqa: BLE001  (the one edge where a fault becomes an outcome)
        # A sandbox's error says all; where it came from is of use only for a fault of ours.
        tail = "" if isinstance(error, SandboxError) else traceback.format_exc()[-4000:]
        # A rest makes no room: who waited for one would wait for nothing.
        full = isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}
        return Failed(
            fault=_say(error),
            retryable=True,
            environment=True,
            tail=tail,
            cause="full" if full else "",
        )


def _say(error: Exception) -> str:
    said = str(error) if isinstance(error, SandboxError) else f"{type(error).__name__}: {error}"
    return "; ".join((said, *getattr(error, "__notes__", ())))
