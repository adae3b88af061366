"""Small repositories for whole runs: a toy whose agents and tests are shell scripts."""

import json
import signal
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

from tests.conftest import make_repository
from tests.run import ROOT, Ran, command, end, environment, run, start
from tests.warm import Warm

AGENT = 'echo "made $FACTORY_JOB $FACTORY_ATTEMPT $(cat /proc/sys/kernel/random/uuid)"'
WRITES = f"{AGENT} > jobs/$FACTORY_JOB/x.txt\n"
"""An agent that writes one line that nobody ever wrote before."""
WAITS = 'while ! test -e "$2/go"; do sleep 0.05; done\n'
"""A script that waits until the test opens the gate."""
CHECKS = "for file in jobs/*/x.txt; do test -s $file || exit 1; done\n"
SECRET = "canary-5f1c-secret"  # noqa: S105  it opens nothing
TARGET = "refs/heads/line"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a toy is made of: jobs, scripts, and what is added to its factory.toml."""

    jobs: tuple[str, ...] = ("a", "b", "c")
    agent: str = WRITES
    check: str = CHECKS
    target: str = "line"
    seats: int = 3
    line: str = ""
    station: str = ""
    tables: str = ""
    env: str = ""
    code: str = ""
    tests: str = ""
    job: str = ""
    files: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Toy:
    """A repository with a line. ``marker`` is an argument of every agent and test process."""

    path: Path
    marker: str
    plan: Plan

    @property
    def common(self) -> Path:
        """The git directory."""
        return self.path / ".git"

    @property
    def gate(self) -> Path:
        """A directory that agents and tests can look into."""
        return self.path.parent / "gate"

    def open_gate(self) -> None:
        """Let go on who waits."""
        (self.gate / "go").touch()

    @property
    def target(self) -> str:
        """The full ref that work lands on."""
        return f"refs/heads/{self.plan.target}"

    def git(self, *argv: str, stdin: bytes = b"", check: bool = True) -> Ran:
        """Run git as the user would, in the checkout."""
        return run(["git", *argv], cwd=self.path, stdin=stdin, check=check)

    def tip(self) -> str:
        """Give the commit of the target, or an empty string."""
        return self.git("rev-parse", "--verify", "-q", self.target, check=False).text

    def factory(self, *argv: str, failpoint: str = "", timeout: float = 50) -> Ran:
        """Run the real command line in the checkout and give what it said."""
        env = _environment(failpoint)
        return command(argv, cwd=self.path, env=env, timeout=timeout)

    def run(self, *options: str, failpoint: str = "") -> Ran:
        """Run all jobs of the toy."""
        return self.factory("run", "--yes", "--trust", "--json", *options, failpoint=failpoint)

    def resume(self, *, failpoint: str = "") -> Ran:
        """Go on with the newest run."""
        return self.factory("resume", "--trust", "--json", failpoint=failpoint)

    def go_on(self, *, failpoint: str = "") -> Ran:
        """Resume, or run anew when nothing was placed."""
        ran = self.resume(failpoint=failpoint)
        if ran.code == 0 and report(ran)["run"] is None:
            return self.run(failpoint=failpoint)
        return ran

    def start(self, *argv: str, prefix: Sequence[str] = (), failpoint: str = "") -> "Started":
        """Start the command line in the background."""
        words = argv or ("run", "--yes", "--trust", "--json")
        env = _environment(failpoint)
        if prefix:
            argv = [*prefix, sys.executable, "-m", "factory", *words]
            return Started(start(argv, cwd=self.path, env=env), self)
        return Started(Warm(words, cwd=self.path, env=environment(**env)), self)

    def finish(self) -> dict[str, Any]:
        """Resume until it is over, or run anew when nothing was placed; give the document."""
        return report(self.go_on())

    def alive(self) -> tuple[str, ...]:
        """Give the command lines of the toy's processes that live, zombies aside."""
        return living(str(self.path), self.marker)

    def nobody_left(self) -> None:
        """Wait until no process of the toy lives (I5); fail after 2 s, and say who it is."""
        ends = time.monotonic() + 2
        while (found := self.alive()) and time.monotonic() < ends:
            threading.Event().wait(0.01)
        assert not found, f"I5: still alive 2 s later: {found}"

    def events(self, kind: str) -> list[dict[str, Any]]:
        """Give the ledger's events of one kind, read as any program would."""
        bodies = (json.loads(body) for (body,) in self.rows("SELECT body FROM events"))
        return [body for body in bodies if body["kind"] == kind]

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Read rows of the ledger; none when it was killed before it had tables."""
        path = self.common / "factory" / "ledger.sqlite"
        if not path.exists():
            return []
        with closing(sqlite3.connect(path)) as base, suppress(sqlite3.OperationalError):
            return base.execute(query).fetchall()
        return []


class Started:
    """A command line that runs in the background; use it in ``with``."""

    def __init__(self, child: Any, toy: Toy) -> None:
        self.child = child
        self._toy = toy

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        end(self.child)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the factory alone."""
        self.child.send_signal(number)

    def wait(self, timeout: float = 40) -> Ran:
        """Wait until it ended and give what it said."""
        out, err = self.child.communicate(timeout=timeout)
        return Ran(code=self.child.returncode, out=out, err=err)


def make_toy(path: Path, plan: Plan | None = None) -> Toy:
    """Make a toy repository with one commit on main, checked out."""
    plan = plan or Plan()
    gate = path.resolve().parent / "gate"
    gate.mkdir(parents=True)
    marker = f"marker-{uuid4().hex}"
    jobs = "".join(
        f'[[job]]\nid = "{job}"\ntitle = "Edit {job}"\nbrief = "Write jobs/{job}/x.txt"\n'
        f'scope = ["jobs/{job}/**"]\n{plan.job}\n'
        for job in plan.jobs
    )
    config = f"""version = 1
[line]
target = "{plan.target}"
deliver = "merge"
seats = {plan.seats}
{plan.line}
[[station]]
name = "code"
scope = ["jobs/**"]
agent = {{ runtime = "command", run = ["sh", "agent.sh", "{marker}", "{gate}"] }}
{plan.code}
{plan.station}
[[station]]
name = "tests"
kind = "test"
run = ["sh", "check.sh", "{marker}", "{gate}"]
{plan.tests}
[env]
tools = ["{gate}"]
{plan.env}
{plan.tables}
{jobs}"""
    files = {f"jobs/{job}/x.txt": "start\n" for job in plan.jobs}
    scripts = {"agent.sh": plan.agent, "check.sh": plan.check, "factory.toml": config}
    make_repository(path, {**files, **scripts, **plan.files})
    return Toy(path=path.resolve(), marker=marker, plan=plan)


def report(ran: Ran) -> dict[str, Any]:
    """Give the JSON document of a command; it must be the whole of its output."""
    assert ran.out, f"exit {ran.code} without a document: {ran.err.decode()[-3000:]}"
    document: dict[str, Any] = json.loads(ran.out)
    return document


def states(document: Mapping[str, Any]) -> dict[str, str]:
    """Give each job's state by a run's document."""
    assert "jobs" in document, document
    return {job["id"]: job["state"] for job in document["jobs"]}


def until(true: Callable[[], object], *, seconds: float, what: str) -> float:
    """Wait until something is true and give how long that took; fail when it takes too long."""
    began = time.monotonic()
    while not true():
        assert time.monotonic() - began < seconds, f"after {seconds} s still not: {what}"
        threading.Event().wait(0.01)
    return time.monotonic() - began


def living(*words: str) -> tuple[str, ...]:
    """Give the command lines of all processes that bear one of these words, zombies aside."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            line = (place / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            state = (place / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if state not in {"Z", "X"} and any(word in line for word in words):
            found.append(f"{place.name} {state} {line[:300]}")
    return tuple(found)


def _environment(failpoint: str) -> dict[str, str]:
    return {
        "PYTHONPATH": str(ROOT),
        "PYTHONSAFEPATH": "1",
        "FACTORY_FAILPOINT": failpoint,
        "FACTORY_CANARY_TOKEN": SECRET,
        "ANTHROPIC_API_KEY": SECRET,
    }
