"""The rows that documents are made of: where one job is and why, a station, the gate."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, assert_never

from factory.calls import Tally
from factory.events import (
    Dead,
    GateAwaits,
    InGate,
    Landed,
    NeedsYou,
    Place,
    Proposed,
    Resting,
    Waiting,
    Withdrawn,
    Working,
)
from factory.landing import position
from factory.line import Line, Work, blocked_by, under_way, unmet
from factory.pace.values import Limit, Pace
from factory.views.schemas import (
    ForecastRow,
    GateRow,
    ModelRow,
    SpendRow,
    State,
    StationRow,
    StatusJob,
    WaitsFor,
)
from factory.wording import clean, count, failing, listed, masked, span
from stations.contract import Spend
from worktrees.names import JobId, StationName

ORDER: Final = (
    *("needs-you", "working", "dead", "gate", "resting", "waiting", "withdrawn"),
    *("proposed", "landed"),
)
"""Which jobs come first: those that want something, that move, that failed, then the rest."""
NO_CALL: Final = Tally()
_BASES: Final[Mapping[str, str]] = {
    "synthetic": " (synthetic: a server on this machine answered, nobody paid)",
    "estimated": " (estimated)",
}
_WORDS: Final[Mapping[str, str]] = {
    "working": "at work",
    "gate": "in the gate",
    "resting": "resting",
    "needs-you": "waiting for you",
}


def state(place: Place) -> State:
    """Give the state that a place counts as in a run's document."""
    match place:
        case Landed() | Proposed() | Dead() | Withdrawn():
            return place.kind
        case Waiting() | Working() | Resting() | InGate() | NeedsYou():
            return "waiting"
        case _:
            assert_never(place)


def counts(line: Line) -> dict[str, int]:
    """Give how many jobs stand at each kind of place."""
    found = dict.fromkeys(sorted(ORDER), 0)
    for work in line.jobs.values():
        found[work.place.kind] += 1
    return found


def waits_for(line: Line, work: Work, now: float) -> WaitsFor:
    """Give everything that holds a job up."""
    nothing: WaitsFor = {
        "needs": [],
        "overlaps": None,
        "seat": False,
        "breaker": None,
        "question": None,
    }
    if isinstance(work.place, NeedsYou):
        return {**nothing, "question": clean(masked(work.place.question))}
    if not isinstance(work.place, Waiting):
        return nothing
    needs: list[str] = list(unmet(line, work.job))
    overlaps = blocked_by(under_way(line), work)
    breaker = line.breakers.get(work.station)
    until = breaker.until if breaker is not None and breaker.until > now else None
    held = until is not None or work.station in line.shut
    free = not needs and overlaps is None and not held
    return {**nothing, "needs": needs, "overlaps": overlaps, "breaker": until, "seat": free}


def where(line: Line, work: Work, now: float) -> str:
    """Say in words where a job is and what it waits for."""
    match work.place:
        case Waiting():
            return _held_up(line, work, now)
        case Working(station=station):
            return f"attempt {work.attempt} at {station} for {span(max(0.0, now - work.since))}"
        case Resting(until=until, why=why):
            again = f"tries again in {span(max(0.0, until - now))}"
            limit = "the provider told us to wait: " if work.place.limited else ""
            return f"{again}: {limit}{clean(masked(why))}"
        case InGate():
            there = position(line.gate, work.job.id) or "is in the gate"
            return there + _awaited(line, work.job.id)
        case Landed(commit=commit):
            return f"landed in {commit[:12]}"
        case Proposed(pull=pull):
            return f"proposed as {clean(pull)}"
        case NeedsYou(question=question):
            return f"waits for you: {clean(masked(question))}"
        case Dead(fault=fault):
            return f"gave up: {clean(masked(fault))}"
        case Withdrawn(why=why):
            return f"ended without a change: {clean(masked(why))}"
        case _:
            assert_never(work.place)


def _awaited(line: Line, job: JobId) -> str:
    """Say which checks of the forge a job's trial waits for, and of which branch there."""
    for trial, held in line.trials.items():
        run = line.gate.runs.get(trial)
        if held.external and held.composed is not None and run is not None and job in run.jobs:
            names = listed(clean(n) for check in held.composed.commands for n in check.checks)
            place = GateAwaits(trial=trial, external=held.external).place
            return f"; waits for the forge's checks of {clean(place)}: {names}"
    return ""


def reason(place: Place) -> str | None:
    """Give why a job is where it is, when its place says so."""
    match place:
        case Dead(fault=why) | Withdrawn(why=why) | Resting(why=why) | NeedsYou(question=why):
            return clean(masked(why))
        case Landed() | Proposed() | Waiting() | Working() | InGate():
            return None
        case _:
            assert_never(place)


def first_lines(work: Work) -> list[str]:
    """Give the first lines of a job's failure that say what failed."""
    match work.place:
        case Dead(fault=fault, tail=tail):
            return list(failing(tail) or failing(fault))
        case Waiting() | Working() | Resting() | NeedsYou():
            return list(failing(work.failure))
        case InGate() | Landed() | Proposed() | Withdrawn():
            return []
        case _:
            assert_never(work.place)


def spend_row(spend: Spend, made: Tally = NO_CALL) -> SpendRow:
    """Give a spend as plain data: the time it took, and the tokens of the calls that were made.

    What an outcome says of tokens counts only where no call is on record.
    """
    tokens = made.spend if made.calls else spend
    return {
        "tokens_in": tokens.tokens_in,
        "tokens_out": tokens.tokens_out,
        "tokens_cached": tokens.tokens_cached,
        "usd": None if tokens.dollars is None else f"{tokens.dollars:f}",
        "seconds": round(spend.seconds, 3),
        "basis": None if made.basis is None else made.basis.value,
        "calls": made.calls,
    }


def spent(spend: SpendRow) -> str:
    """Say what was spent, unknown dollars included."""
    tokens = spend["tokens_in"] + spend["tokens_out"]
    money = "unknown cost" if spend["usd"] is None else dollars(spend["usd"])
    note = _BASES.get(spend["basis"] or "", "")
    calls = f" in {count(spend['calls'], 'call')}" if spend["calls"] else ""
    return f"{span(spend['seconds'])} of station time, {tokens:,} tokens{calls}, {money}{note}"


def dollars(usd: str) -> str:
    """Give an amount as people read it: cents, and for less than ten of them two digits more."""
    return f"{amount(usd)} USD"


def amount(usd: str) -> str:
    """Give the same without the currency."""
    value = float(usd)
    return f"{value:.4f}" if 0 < value < 0.1 else f"{value:.2f}"  # noqa: PLR2004


def per_model(models: Sequence[ModelRow]) -> list[str]:
    """Say in one line for each model what it was asked and what that cost."""
    return [
        f"{row['model']}: {row['spend']['tokens_in']:,} tokens in"
        f" ({row['spend']['tokens_cached']:,} from the cache), {row['spend']['tokens_out']:,} out,"
        f" {'unknown cost' if row['spend']['usd'] is None else dollars(row['spend']['usd'])}"
        f" in {count(row['spend']['calls'], 'call')}"
        for row in models
    ]


def worker(row: ForecastRow) -> str:
    """Say which model would work a job, and as which tier of which runtime."""
    by = f"{row['runtime']}:{row['tier']}" if row["tier"] else row["runtime"]
    return f"{clean(row['model'])} ({clean(by)})"


def forecast_total(rows: Sequence[ForecastRow]) -> str:
    """Say what all of these would take together."""
    low, high = (sum(row["tokens"][end] for row in rows) for end in (0, 1))
    known = [row["usd"] for row in rows if row["usd"] is not None]
    sums = [str(sum(Decimal(usd[end]) for usd in known)) for end in (0, 1)]
    missing = f", and {len(rows) - len(known)} of unknown cost" if len(known) < len(rows) else ""
    money = f"{between(sums)} USD{missing}" if known else "unknown cost"
    return f"{low:,} to {high:,} tokens, {money}"


def between(usd: Sequence[str] | None) -> str:
    """Give a low and a high amount."""
    return "unknown" if usd is None else f"{amount(usd[0])} to {amount(usd[1])}"


def commit_of(work: Work) -> str | None:
    """Give the commit that holds a job's work; None when there is none any more."""
    match work.place:
        case Landed(commit=commit) | Proposed(commit=commit) | InGate(commit=commit):
            return commit
        case NeedsYou(commit=commit):
            return commit or work.commit
        case _:
            return work.commit


def _held_up(line: Line, work: Work, now: float) -> str:
    waits = waits_for(line, work, now)
    if waits["needs"]:
        return f"waits for {listed(waits['needs'])} to land"
    if waits["overlaps"] is not None:
        return f"waits for {waits['overlaps']}: their scopes overlap"
    if work.station in line.shut:
        return f"waits: the budget of station {work.station} is spent"
    if waits["breaker"] is not None:
        return f"waits: station {work.station} rests for {span(waits['breaker'] - now)}"
    if line.paused:
        return "waits: the line is paused"
    if line.closing is not None:
        return "waits: the line is closing"
    return f"waits for a seat at {work.station}"


def branch(target: str) -> str:
    """Give the name that people use for a target's ref."""
    return target.removeprefix("refs/heads/")


def headline(run: str, target: str, counts: Mapping[str, int]) -> str:
    """Say in one line how many jobs of a run are where."""
    said = ", ".join(f"{counts[kind]} {_WORDS.get(kind, kind)}" for kind in ORDER if counts[kind])
    return f"run {run} onto {clean(target)}: {said or 'no jobs'}"


def status_job(line: Line, work: Work, now: float, made: Tally = NO_CALL) -> StatusJob:
    """Give where one job is, since when, what it waits for and what it cost so far."""
    return {
        "id": work.job.id,
        "title": clean(work.job.title),
        "station": work.station,
        "state": state(work.place),
        "place": work.place.kind,
        "where": where(line, work, now),
        "since": work.since,
        "seconds": round(max(0.0, now - work.since), 3),
        "attempt": work.attempt,
        "waits_for": waits_for(line, work, now),
        "failure": first_lines(work),
        "spend": spend_row(work.spend, made),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Busy:
    """Who works where now: how many of how many seats, or runs of the gate, on which jobs."""

    name: str
    taken: int
    seats: int
    jobs: Sequence[str]


def at_work(line: Line) -> list[Busy]:
    """Give each station that works on something now, and the gate."""
    at: dict[StationName, list[str]] = {}
    for work in line.jobs.values():
        if isinstance(work.place, Working):
            at.setdefault(work.place.station, []).append(work.job.id)
    rules, gate = line.rules, line.gate
    rows = [
        Busy(
            name=name,
            taken=len(jobs),
            seats=min(rules.station(name).seats or rules.seats, rules.seats),
            jobs=jobs,
        )
        for name, jobs in at.items()
    ]
    trials: list[str] = [job for run in gate.runs.values() for job in run.jobs]
    return [*rows, Busy(name="gate", taken=len(gate.runs), seats=gate.slots, jobs=trials)]


def gate_row(line: Line) -> GateRow:
    """Give what stands in the gate."""
    gate = line.gate
    return {
        "slots": gate.slots,
        "todo": [entry.job for entry in gate.todo],
        "again": [list(group) for group in gate.pool + gate.forced],
        "green": [list(group) for group in gate.green],
        "runs": [
            {
                "trial": number,
                "kind": run.kind,
                "jobs": list(run.jobs),
                "testing": number in line.trials and line.trials[number].composed is not None,
            }
            for number, run in gate.runs.items()
        ],
    }


def station_rows(pace: Pace, limits: Limit) -> list[StationRow]:
    """Give each station as measured, with its demand and its odds."""
    return [
        {
            "name": station.name,
            "kind": station.kind,
            "seats": station.seats,
            "required": station.required,
            "busy": round(station.busy, 3),
            "waiting": round(station.waiting, 3),
            "idle": round(station.idle, 3),
            "queued": round(station.queued, 3),
            "visits": station.visits,
            "finished": station.finished,
            "running": station.running,
            "mean": round(station.mean, 3),
            "demand": round(limits.demand[station.name], 6),
            "odds": None if limits.station is None else limits.odds.get(station.name),
            "each_seat": [round(seconds, 3) for seconds in station.each_seat],
        }
        for station in pace.stations.values()
    ]
