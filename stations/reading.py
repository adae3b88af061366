"""Reading: stations that answer a question about the tree and change nothing."""

from dataclasses import dataclass

from stations.bench import Bench
from stations.contract import Assignment, Escalated, Failed, Found, Outcome, StationSpec
from stations.ran import printable
from stations.runtimes.task import DATA_CHARACTERS, Attempt, Control
from stations.seat import attempted, failure, sit, write_outcome
from stations.tools import ToolMissingError


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A station of kind read: the whole tree is read-only, the answer is what it reports."""

    spec: StationSpec
    bench: Bench

    def work(self, assignment: Assignment, control: Control | None = None) -> Outcome:
        """Give what was found: the report's data or summary, else what was printed."""
        try:
            with sit(
                self.bench, self.spec, assignment, scope=None, control=control or Control()
            ) as turn:
                outcome = _answer(attempted(self.bench, self.spec, turn))
                write_outcome(turn.papers, outcome)
                return outcome
        except ToolMissingError as error:
            return Failed(fault=str(error))


def _answer(attempt: Attempt) -> Outcome:
    report = attempt.report
    if attempt.status == "blocked":
        wants = report.needs_scope if report is not None else ()
        return Escalated(reason=attempt.fault, wants=wants, spend=attempt.spend)
    if attempt.status != "done":
        return failure(attempt, calls=False)
    said = (report.data or report.summary) if report is not None else ""
    text = said or printable(attempt.answer[: DATA_CHARACTERS * 4]).strip()
    return Found(data=text[:DATA_CHARACTERS], spend=attempt.spend)
