"""Makes the JSON documents of a run from its line and records: every view shows the same facts.

The story of one job is made in `factory.views.story`, the shapes are in `factory.views.schemas`.
"""

import random
from collections.abc import Iterable, Sequence

from factory.calls import Tally, by_job, by_model, tally
from factory.changes import Advice
from factory.ending import exit_code
from factory.events import (
    Closed,
    Dead,
    Event,
    Finished,
    Landed,
    NeedsYou,
    Noted,
    Placed,
    Proposed,
    Withdrawn,
)
from factory.ledger import Record
from factory.line import Line, Work
from factory.meter import gaps, measured
from factory.pace.odds import limit
from factory.pace.sentence import sentence
from factory.pace.takt import lead_ahead, rest_ahead
from factory.pace.values import PERSON, Limit, Pace
from factory.planning import Forecast, Plan
from factory.views.rows import (
    NO_CALL,
    branch,
    commit_of,
    counts,
    first_lines,
    gate_row,
    reason,
    spend_row,
    state,
    station_rows,
    status_job,
)
from factory.views.schemas import (
    ConstraintRow,
    ForecastRow,
    InboxDocument,
    InboxRow,
    JobRow,
    PlanDocument,
    ReportDocument,
    RunDocument,
    RunsDocument,
    StatusDocument,
)
from factory.wording import clean, listed, masked
from stations.contract import Spend, Split
from stations.models.values import Call
from worktrees.names import JobId

History = list[tuple[Event, float]]


def run_document(line: Line, records: Iterable[Record], calls: Sequence[Call] = ()) -> RunDocument:
    """Give the document that `factory run --json` ends with; ``calls`` are those of the run."""
    history = _history(records)
    pace = measured(history)
    return {
        "schema": "factory.run/1",
        "run": line.run,
        "target": branch(line.target),
        "base": line.base,
        "tip": line.gate.target,
        "seconds": round(pace.seconds, 3),
        "jobs": _job_rows(line, history, calls),
        "undelivered": _undelivered(line),
        "spend": spend_row(_total(line), tally(calls)),
        "constraint": _constraint(pace, len(history), over=_is_over(history)),
    }


def status_document(
    line: Line,
    records: Iterable[Record],
    *,
    now: float,
    alive: bool,
    calls: Sequence[Call] = (),
) -> StatusDocument:
    """Give where everything is at ``now``; ``alive`` says whether a process works on the run."""
    history = _history(records)
    at = now if alive else history[-1][1]
    pace = measured(history, at)
    limits = limits_of(pace, len(history))
    over = _is_over(history)
    return status_of(line, pace, limits, over=over, at=at, alive=alive, calls=calls)


def status_of(
    line: Line,
    pace: Pace,
    limits: Limit,
    *,
    over: bool,
    at: float,
    alive: bool,
    calls: Sequence[Call] = (),
) -> StatusDocument:
    """Give the same for whoever has measured the run already."""
    made = by_job(calls)
    ahead, rest = lead_ahead(pace, limits), rest_ahead(pace, limits)
    return {
        "schema": "factory.status/1",
        "sentence": sentence(pace, limits, over=over),
        "run": line.run,
        "target": branch(line.target),
        "base": line.base,
        "tip": line.gate.target,
        "at": at,
        "seconds": round(pace.seconds, 3),
        "lead": None if ahead is None else round(ahead, 3),
        "rest": None if rest is None else round(rest, 3),
        "suggestion": _suggestion(line, limits) if alive else None,
        "alive": alive,
        "paused": line.paused,
        "closing": None if line.closing is None else line.closing.why,
        "undelivered": [*_undelivered(line), *([] if alive else _unoffered(line))],
        "counts": counts(line),
        "jobs": [
            status_job(line, work, at, made.get(name, NO_CALL)) for name, work in line.jobs.items()
        ],
        "gate": gate_row(line),
        "stations": station_rows(pace, limits),
        "spend": spend_row(_total(line), tally(calls)),
    }


def runs_document(runs: Iterable[tuple[Line, Sequence[Record], bool]]) -> RunsDocument:
    """Give one line for each run, in the order given; each with whether it is alive."""
    return {
        "schema": "factory.runs/1",
        "runs": [
            {
                "run": line.run,
                "target": branch(line.target),
                "began": records[0].at,
                "seconds": round(measured(_history(records)).seconds, 3),
                "alive": alive,
                "counts": counts(line),
            }
            for line, records, alive in runs
        ],
    }


def inbox_document(lines: Iterable[Line]) -> InboxDocument:
    """Give what waits for a person in these runs, oldest first."""
    rows: list[InboxRow] = [
        {
            "run": line.run,
            "job": work.job.id,
            "title": clean(work.job.title),
            "since": work.since,
            "question": clean(masked(work.place.question)),
            "wants": [clean(want) for want in work.place.wants],
            "commit": work.place.commit,
            "answer": f"factory tell {work.job.id} {_answer(work.place)}",
        }
        for line in lines
        for work in line.jobs.values()
        if isinstance(work.place, NeedsYou)
    ]
    waiting = sorted(rows, key=lambda row: row["since"])
    return {"schema": "factory.inbox/1", "sentence": None, "waiting": waiting}


def held_up_by_you(records: Iterable[Record], *, now: float | None) -> str | None:
    """Give the sentence on the constraint of a run that a person limits; None of any other.

    ``now`` is None when nobody works on the run.
    """
    history = _history(records)
    pace = measured(history, now)
    limits = limits_of(pace, len(history))
    if limits.station is None or pace.stations[limits.station].kind != PERSON:
        return None
    return sentence(pace, limits, over=_is_over(history))


def _answer(place: NeedsYou) -> str:
    """Give what may be told: a yes where it decides something, else words."""
    return "yes" if place.commit is not None or place.wants else '"what to do"'


def report_document(
    line: Line, records: Iterable[Record], calls: Sequence[Call] = ()
) -> ReportDocument:
    """Give what happened in a run; ``calls`` are those that were made for it."""
    history = _history(records)
    pace = measured(history)
    limits = limits_of(pace, len(history))
    failures = {work.job.id: first_lines(work) for work in line.jobs.values()}
    return {
        "schema": "factory.report/1",
        "run": line.run,
        "target": branch(line.target),
        "base": line.base,
        "tip": line.gate.target,
        "began": history[0][1],
        "seconds": round(pace.seconds, 3),
        "exit": exit_code(line),
        "counts": counts(line),
        "jobs": _job_rows(line, history, calls),
        "failures": {job: lines for job, lines in failures.items() if lines},
        "reviews": {
            event.job: clean(masked(event.text))
            for event, _ in history
            if isinstance(event, Noted) and event.what == "review" and event.job is not None
        },
        "spend": spend_row(_total(line), tally(calls)),
        "constraint": _constraint(pace, len(history), over=_is_over(history)),
        "stations": station_rows(pace, limits),
        "models": [
            {"model": clean(model), "spend": spend_row(made.spend, made)}
            for model, made in by_model(calls).items()
        ],
    }


def plan_document(made: Plan) -> PlanDocument:
    """Give what a run would do."""
    return {
        "schema": "factory.plan/1",
        "jobs": [
            {
                "id": each.job.id,
                "title": clean(each.job.title),
                "station": each.job.route,
                "round": each.wave,
                "files": each.files,
                "scope": list(each.job.scope.write),
                "needs": list(each.job.needs),
                "waits_for": list(each.waits_for),
                "overlaps": list(each.overlaps),
                "accept": [list(argv) for argv in each.job.accept],
                "tokens": each.tokens,
                "refused": each.refused or None,
                "forecast": None if each.forecast is None else _forecast_row(each.forecast),
            }
            for each in made.jobs
        ],
        "waves": made.waves,
        "warnings": list(made.warnings),
        "constraint": made.constraint,
    }


def _forecast_row(made: Forecast) -> ForecastRow:
    return {
        "runtime": made.runtime,
        "tier": made.tier,
        "model": made.model,
        "context": made.context,
        "whole": made.whole,
        "tokens": list(made.tokens),
        "usd": None if made.dollars is None else [f"{amount:f}" for amount in made.dollars],
    }


def _job_rows(line: Line, history: History, calls: Sequence[Call]) -> list[JobRow]:
    placed: dict[JobId, float] = {}
    for event, at in history:
        match event:
            case Placed(jobs=jobs) | Finished(outcome=Split(jobs=jobs)):
                for job in jobs:
                    placed.setdefault(job.id, at)
            case _:
                pass
    last, idle = history[-1][1], gaps(history)

    def worked(work: Work) -> float:
        settled = isinstance(work.place, Landed | Proposed | Dead | Withdrawn)
        began, ended = placed.get(work.job.id, last), work.since if settled else last
        lost = sum(max(0.0, min(ended, to) - max(began, start)) for start, to in idle)
        return max(0.0, ended - began - lost)

    made = by_job(calls)
    return [
        _job_row(work, worked(work), made.get(name, NO_CALL)) for name, work in line.jobs.items()
    ]


def _job_row(work: Work, seconds: float, made: Tally) -> JobRow:
    return {
        "id": work.job.id,
        "title": clean(work.job.title),
        "station": work.job.route,
        "state": state(work.place),
        "commit": commit_of(work),
        "tree": work.place.tree if isinstance(work.place, Landed | Proposed) else None,
        "pull": work.place.pull if isinstance(work.place, Proposed) else None,
        "attempts": work.attempt,
        "seconds": round(seconds, 3),
        "spend": spend_row(work.spend, made),
        "reason": reason(work.place),
    }


def _constraint(pace: Pace, seed: int, *, over: bool) -> ConstraintRow:
    limits = limits_of(pace, seed)
    return {
        "sentence": sentence(pace, limits, over=over),
        "station": limits.station,
        "odds": None if limits.station is None else limits.odds[limits.station],
    }


def limits_of(pace: Pace, seed: int) -> Limit:
    """Give what limits a run as measured; ``seed`` is how much of the ledger was read."""
    # The same ledger gives the same answer: the draws are seeded by how much is in it.
    draws = random.Random(seed)  # noqa: S311  a simulation, not a secret
    return limit(pace, lambda shape: draws.gammavariate(shape, 1.0))


def _suggestion(line: Line, limits: Limit) -> str | None:
    """Give the command for what the loop would do last about what limits the line now."""
    last = line.decided.get(max(line.decided, default=0))
    if last is None or last.applied or isinstance(last.chosen.change, Advice):
        return None
    stands = last.inputs.station == limits.station
    return f"factory balance apply {last.chosen.name}" if stands else None


def _undelivered(line: Line) -> list[str]:
    """Give why work that landed stands in no pull request."""
    return [clean(masked(fault.why)) for fault in line.undelivered.values()]


def _unoffered(line: Line) -> list[str]:
    """Say which landed work was left before it was offered, as by a kill, and for no reason told.

    Such work is whole and tested; nobody would miss the pull request that it never became.
    """
    offered = {job for known in line.proposals.values() for job in known.jobs}
    left = [name for name, work in line.jobs.items() if isinstance(work.place, Landed)]
    left = [name for name in left if name not in offered]
    if line.deliver != "pr" or line.undelivered or not left:
        return []
    return [f"{listed(left)}: in no pull request yet; `factory resume {line.run}` goes on"]


def _total(line: Line) -> Spend:
    total = Spend()
    for work in line.jobs.values():
        total += work.spend
    return total


def _history(records: Iterable[Record]) -> History:
    return [(record.event, record.at) for record in records]


def _is_over(history: History) -> bool:
    return isinstance(history[-1][0], Closed)
