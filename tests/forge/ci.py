"""The forge's own workers: they judge what was pushed, on a thread of their own."""

import shutil
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.forge.desk import Desk
from tests.forge.life import Life, Pushed, Work
from tests.forge.world import Repo, Run

_OFTEN = 0.02
_PATIENCE = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a check says, with its log and what it points at."""

    conclusion: str
    log: str = ""
    annotations: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ci:
    """One workflow: which checks it has, and what they wait for."""

    desk: Desk
    checks: Mapping[str, Callable[[Path], Verdict | str]]
    hold: threading.Event | None
    workflow: str

    def begin(self, pushed: Pushed) -> Work | None:
        """Post the checks as waiting, and give the work that ends them."""
        if set(pushed.after) == {"0"}:
            return None
        life: Life = self.desk.life
        repo = life.repos[pushed.repo.lower()]
        branch = pushed.ref.removeprefix("refs/heads/")
        flow = life.start_workflow(
            repo, self.workflow, pushed.after, branch, pushed.event, pushed.login
        )
        app = life.app("github-actions")

        def begin(names: list[str]) -> Work:
            runs = [
                life.start_run(repo, app, name, pushed.after, workflow=flow.id) for name in names
            ]
            return lambda: self._work(repo, pushed.after, runs)

        life.again[flow.id] = begin
        return begin(list(self.checks))

    def _work(self, repo: Repo, commit: str, runs: list[Run]) -> None:
        waited = 0.0
        while self.hold is not None and not self.hold.is_set():
            if self.desk.closing.wait(_OFTEN) or waited > _PATIENCE:
                return
            waited += _OFTEN
        place = self.desk.life.place / f"checkout-{runs[0].id if runs else 0}"
        repo.bare.export(commit, place)
        try:
            for run in runs:
                with self.desk.state:
                    run.status = "in_progress"
                said = self.checks[run.name](place)
                verdict = said if isinstance(said, Verdict) else Verdict(conclusion=said)
                with self.desk.state:
                    run.log = verdict.log
                    run.annotations = list(verdict.annotations)
                    self.desk.life.finish_run(run, verdict.conclusion)
                    self.desk.settle()
        finally:
            shutil.rmtree(place, ignore_errors=True)


@dataclass(slots=True)
class Line:
    """One thread that does the work which pushes left, in order."""

    desk: Desk
    _thread: threading.Thread | None = field(default=None, init=False)
    _busy: bool = field(default=False, init=False)

    def start(self) -> None:
        """Begin to look for work."""
        self._thread = threading.Thread(target=self._look, name="hub-ci", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End after what is being done; the desk is closing."""
        if self._thread is not None:
            self._thread.join(_PATIENCE)
            if self._thread.is_alive():
                self.desk.fault("what a push started is still at work")

    def idle(self, seconds: float) -> bool:
        """Wait until there is no work; say whether that came to be."""
        waited = 0.0
        while waited < seconds:
            with self.desk.state:
                if not self._busy and not self.desk.life.work:
                    return True
            threading.Event().wait(_OFTEN)
            waited += _OFTEN
        return False

    def _look(self) -> None:
        while not self.desk.closing.is_set():
            with self.desk.state:
                work = self.desk.life.work.pop(0) if self.desk.life.work else None
                self._busy = work is not None
            if work is None:
                self.desk.closing.wait(_OFTEN)
                continue
            try:
                work()
            except Exception as error:  # noqa: BLE001 - whatever it is, the test must hear of it
                self.desk.fault(f"what a push started failed: {error!r}")
