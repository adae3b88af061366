"""What a protocol's agent is told, and what it is allowed when it asks."""

import shlex
from typing import Final

from stations.box import OUT_INSIDE, TEMPORARY
from stations.runtimes.command import brief_text
from stations.runtimes.connected import keeps_nothing
from stations.runtimes.permissions import Rules
from stations.runtimes.task import Task
from worktrees.scope import Scope


def instructions(task: Task) -> str:
    """Give the first prompt: the brief, what may be done, and how to report."""
    commands = "; ".join(shlex.join(one) for one in task.spec.commands)
    rules = _ANSWER if keeps_nothing(task) else _WORK
    runs = f"These commands may be run: {commands}." if commands else "No command may be run."
    report = _REPORT.format(report=_report_at(task))
    return f"{brief_text(task.assignment)}\n{rules}\n{runs}\n{report}"


_WORK: Final = """\
You work alone: nobody can be asked. The files that you may change are those named above; all
others are read-only, and leave to change them is refused. If the work needs more, stop and report
"blocked" with the paths in needs_scope. Follow the AGENTS.md files on the way to what you change.
Do not commit: what you leave is tested by others."""
_ANSWER: Final = """\
You work alone: nobody can be asked. Change no file. Put your whole answer, as text, into the key
"data" of the report."""
_REPORT: Final = """\
When you are done, write one JSON object to the file {report} as your very last act:
{{"status": "done" | "blocked" | "failed", "summary": "at most 400 characters", "needs_scope": []}}
"""
_REMINDER: Final = """\
The report is missing or not valid. Change nothing else now. Write it as one JSON object with the
keys status ("done", "blocked" or "failed"), summary and needs_scope to the file {report}.
"""


def reminder(task: Task) -> str:
    """Give the prompt for an agent that left no valid report."""
    return _REMINDER.format(report=_report_at(task))


def _report_at(task: Task) -> str:
    """Give the path of the report as the agent sees it."""
    return f"{_out(task)}/{task.desk.report.name}"


def _out(task: Task) -> str:
    return OUT_INSIDE if task.sandbox.contains else str(task.desk.out)


def rules_of(task: Task) -> Rules:
    """Give what the agent is allowed when it asks."""
    temporary = (TEMPORARY,) if task.sandbox.contains else ()
    return Rules(
        place=task.box.checkout,
        scope=Scope() if keeps_nothing(task) else task.assignment.scope,
        commands=task.spec.commands,
        also=(_out(task), *temporary),
    )
