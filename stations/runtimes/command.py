"""The ``command`` runtime: any program is an agent; a dumb station's program is one as well."""

import json
from dataclasses import replace

from stations.box import BRIEF_INSIDE, OUT_INSIDE
from stations.contract import Argv, Assignment, Spend
from stations.ran import Ran
from stations.runtimes.task import Attempt, Report, Status, Task, equipped, read_report

BRIEF_SCHEMA = "factory.brief/1"
TRY_AGAIN = 75
_TAIL_LINES = 20


class Command:
    """Starts the station's program in the workspace with the brief on its standard input."""

    def work(self, task: Task) -> Attempt:
        """Run it to its end; exit 0 is done, 75 try again later, anything else failed."""
        assignment = task.assignment
        box = equipped(task, program(task))
        told = {
            "FACTORY_JOB": assignment.job,
            "FACTORY_STATION": assignment.station,
            "FACTORY_ATTEMPT": str(assignment.attempt),
            "FACTORY_BRIEF": BRIEF_INSIDE,
            "FACTORY_REPORT": f"{OUT_INSIDE}/{task.desk.report.name}",
        }
        ran = task.sandbox.run(
            replace(box, env={**box.env, **told}),
            stdin=brief_text(assignment).encode("utf-8", "replace"),
            deadline=assignment.seconds,
            idle=assignment.idle,
            on_output=task.log,
            stop=task.stop,
        )
        return _attempt(ran, read_report(task.desk.report))


def program(task: Task) -> Argv:
    """Give the words of the station's program."""
    agent = task.spec.agent
    return agent.run if agent is not None and agent.run else task.spec.run


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
    parts = [brief.title, "", brief.text, "", "You may change:"]
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


def _status(ran: Ran, report: Report | None) -> Status:
    if ran.ended != "exit":
        return ran.ended
    if ran.code == TRY_AGAIN:
        return "again"
    if report is not None and report.status == "blocked":
        return "blocked"
    if ran.code != 0 or (report is not None and report.status == "failed"):
        return "failed"
    return "done"


def _fault(ran: Ran, report: Report | None, status: Status) -> str:
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
