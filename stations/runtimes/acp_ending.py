"""How an attempt of a protocol's agent ended, from what was seen and from what it claims."""

from collections.abc import Mapping
from typing import Final

from stations.models.values import ModelError
from stations.ran import Ran, printable
from stations.runtimes.connected import status_of
from stations.runtimes.task import Report, Status

_TEXT: Final = 2_000
_TAIL: Final = 4_000
_ENDED: Final[Mapping[str, str]] = {
    "deadline": "not done in its time; the deadline ended it",
    "idle": "no output for too long",
    "stopped": "interrupted",
    "output": "it wrote a longer line than it may",
}


class OverError(Exception):
    """The conversation is over before its end; the message says why."""

    def __init__(self, status: Status, fault: str, *, account: str = "") -> None:
        super().__init__(fault)
        self.status: Status = status
        self.account = account


def claimed(report: Report | None) -> Status | None:
    """Give the status that a report claims; None when it is not valid."""
    match report.status if report is not None else "":
        case ("done" | "blocked" | "failed") as status:
            return status
        case _:
            return None


def judged(
    over: OverError | None,
    reason: str,
    ran: Ran,
    report: Report | None,
    fault: ModelError | None,
) -> tuple[Status, str, str]:
    """Give status, fault and account: first what was seen to happen, then what it claims."""
    account = fault.account if fault is not None else ""
    if over is not None:
        return over.status, str(over), over.account
    if not reason and ran.ended != "exit":
        return ran.ended, _ENDED[ran.ended], ""
    if reason == "refusal":
        return "failed", "its model refused the task", ""
    status = claimed(report)
    if reason and reason != "cancelled" and status is not None:
        said = report.summary if report is not None else ""
        return status, "" if status == "done" else said or f"{status}, and it says no why", ""
    if fault is not None:
        return status_of(fault), str(fault), account
    match reason:
        case "":
            return "failed", f"the agent ended in mid-turn: {_last_line(ran)}", ""
        case "end_turn" if report is None:
            return "done", "", ""
        case "cancelled":
            return "failed", "it cancelled its own turn", ""
        case "max_turn_requests":
            return "turns", "it reached its own limit of turns without a report", ""
        case _:
            return "contract", f"its turn ended with {reason} and without a valid report", ""


def _last_line(ran: Ran) -> str:
    lines = [line for line in printable(ran.err[-_TAIL:]).splitlines() if line.strip()]
    return f"exit {ran.code}: {(lines or ['no word'])[-1][:300]}"


def tail(said: str, ran: Ran) -> str:
    """Give the last words of an agent and of its program."""
    parts = (
        printable(part) for part in (said[-_TEXT:].encode("utf-8", "replace"), ran.err[-_TEXT:])
    )
    return "\n".join(part.strip() for part in parts if part.strip())
