"""The ``command`` runtime: any program is an agent; a dumb station's program is one as well."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from stations.box import BRIEF_INSIDE, OUT_INSIDE
from stations.contract import Argv, Assignment, Spend
from stations.models.values import Usage
from stations.ran import Ran
from stations.runtimes.task import (
    Attempt,
    ByAnyProgram,
    Capabilities,
    Probe,
    Report,
    Steered,
    Step,
    Task,
    equipped,
    read_report,
)

BRIEF_SCHEMA = "factory.brief/1"
TRY_AGAIN = 75
_TAIL_LINES = 20


class Command:
    """Starts the station's program in the workspace with the brief on its standard input."""

    name: Final = "command"

    def capabilities(self) -> Capabilities:
        """Say that no word reaches it, and that what it spends is not ours to know."""
        return Capabilities(calls=False)

    def probe(self) -> Probe:
        """Whether the program is there is looked up station by station."""
        return Probe(ok=True, detail="any program")

    def start(self, task: Task) -> "CommandSession":
        """Give a session in which the program is run once."""
        return CommandSession(task)


class CommandSession:
    """One run of a program; exit 0 is done, 75 try again later, anything else failed."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._attempt: Attempt | None = None

    def events(self) -> Iterator[Step]:
        """Run it to its end; its own output is the log."""
        task, assignment = self._task, self._task.assignment
        box = equipped(task, program(task))
        yield Step(kind="started")
        ran = task.sandbox.run(
            replace(box, env={**box.env, **variables(task)}),
            stdin=brief_text(assignment).encode("utf-8", "replace"),
            deadline=assignment.seconds,
            idle=assignment.idle,
            on_output=task.log,
            stop=task.stop,
        )
        self._attempt = _attempt(ran, read_report(task.desk.report))
        yield Step(kind="finished")

    def steer(self, text: str) -> Steered:  # noqa: ARG002 - the protocol's signature
        """Say that a program does not listen."""
        return "unsupported"

    def cancel(self, reason: str) -> None:  # noqa: ARG002 - the protocol's signature
        """End it; the task's own stop does that."""
        self._task.stop.set()

    def usage(self) -> Usage:
        """Give no tokens: what a program spends is not ours to know."""
        return Usage()

    def resume_token(self) -> str | None:
        """Say that a program begins anew each time."""
        return None

    def result(self) -> Attempt:
        """Say how it ended."""
        assert self._attempt is not None  # noqa: S101  the events are over
        return self._attempt


def program(task: Task) -> Argv:
    """Give the words of the station's program."""
    agent = task.spec.agent
    return agent.run if agent is not None and agent.run else task.spec.run


def variables(task: Task) -> dict[str, str]:
    """Give what an agent's program is told by its environment."""
    assignment = task.assignment
    return {
        "FACTORY_JOB": assignment.job,
        "FACTORY_STATION": assignment.station,
        "FACTORY_ATTEMPT": str(assignment.attempt),
        "FACTORY_BRIEF": BRIEF_INSIDE,
        "FACTORY_REPORT": f"{OUT_INSIDE}/{task.desk.report.name}",
    }


def brief_json(assignment: Assignment) -> bytes:
    """Give the brief as the JSON document at ``FACTORY_BRIEF``."""
    brief = assignment.brief
    document = {
        "schema": BRIEF_SCHEMA,
        "run": assignment.run,
        "job": assignment.job,
        "title": brief.title,
        "brief": brief.text,
        "scope": list(assignment.scope.write),
        "budget": {"seconds": assignment.seconds},
        "attempt": assignment.attempt,
        "failure": brief.failure,
        "found": dict(brief.found),
        "told": list(brief.told),
    }
    return json.dumps(document, indent=1).encode("ascii") + b"\n"


def brief_text(assignment: Assignment) -> str:
    """Give the brief as text for people and models."""
    brief = assignment.brief
    parts = [brief.title, "", brief.text, ""]
    parts.append("You may change:" if assignment.scope.write else "You may change nothing.")
    parts += [f"  {pattern}" for pattern in assignment.scope.write]
    if brief.failure:
        parts += ["", "The last attempt failed:", brief.failure]
    for job, found in brief.found.items():
        parts += ["", f"Found by {job}:", found]
    if brief.told:
        parts += ["", "You were told:", *(f"- {text}" for text in brief.told)]
    return "\n".join(parts).strip() + "\n"


def _attempt(ran: Ran, report: Report | None) -> Attempt:
    status = _status(ran, report)
    return Attempt(
        status=status,
        fault=_fault(ran, report, status),
        tail=ran.text,
        answer=ran.out,
        report=report,
        spend=Spend(seconds=ran.seconds),
    )


def _status(ran: Ran, report: Report | None) -> ByAnyProgram:
    if ran.ended != "exit":
        return ran.ended
    if ran.code == TRY_AGAIN:
        return "again"
    if report is not None and report.status == "blocked":
        return "blocked"
    if ran.code != 0 or (report is not None and report.status == "failed"):
        return "failed"
    return "done"


def _fault(ran: Ran, report: Report | None, status: ByAnyProgram) -> str:
    said = report.summary if report is not None else ""
    match status:
        case "done":
            return ""
        case "again":
            return said or "the agent asked to be tried again later (exit 75)"
        case "blocked":
            return said or "the agent is blocked and does not say why"
        case "failed":
            last = [line for line in ran.text.splitlines() if line.strip()][-1:]
            return said or f"exit {ran.code}: {(last or ['no output'])[0][:300]}"
        case "stopped":
            return "interrupted"
        case "deadline":
            return f"not done after {ran.seconds:.0f} s; the deadline ended it"
        case "idle":
            return f"no output for too long; ended after {ran.seconds:.0f} s"
        case "output":
            return "it wrote more output than it may"
