"""The shapes of the JSON documents that people and programs get; each names its ``schema``.

They are the promise to scripts: fields are added, never changed.
"""

from typing import Literal

from typing_extensions import TypedDict

State = Literal["landed", "proposed", "dead", "withdrawn", "waiting"]


class SpendRow(TypedDict):
    """What was spent; ``usd`` is a decimal as text, or null when unknown.

    ``basis`` says what the dollars rest on: ``exact`` (tokens the provider counted, at list price),
    ``estimated``, ``synthetic`` (answered on this machine, so nobody paid), ``unknown``; null when
    no model was called. ``calls`` counts the calls that were made, those of killed attempts too.
    """

    tokens_in: int
    tokens_out: int
    tokens_cached: int
    usd: str | None
    seconds: float
    basis: str | None
    calls: int


class ModelRow(TypedDict):
    """What one model was asked in a run."""

    model: str
    spend: SpendRow


class ConstraintRow(TypedDict):
    """The one sentence on what limits the line, and the station; null while it is too early."""

    sentence: str
    station: str | None
    odds: float | None


class JobRow(TypedDict):
    """How one job of a run ended, or where it waits."""

    id: str
    title: str
    station: str
    state: State
    commit: str | None
    tree: str | None
    pull: str | None
    attempts: int
    seconds: float
    spend: SpendRow
    reason: str | None


class RunDocument(TypedDict):
    """`factory.run/1`: how a run ended."""

    schema: Literal["factory.run/1"]
    run: str
    target: str
    base: str
    tip: str
    seconds: float
    jobs: list[JobRow]
    undelivered: list[str]
    spend: SpendRow
    constraint: ConstraintRow


class WaitsFor(TypedDict):
    """What a job waits for; what does not hold it up is empty or null."""

    needs: list[str]
    overlaps: str | None
    seat: bool
    breaker: float | None
    question: str | None


class StatusJob(TypedDict):
    """Where one job is, since when, and what it waits for; the first lines of its failure."""

    id: str
    title: str
    station: str
    state: State
    place: str
    where: str
    since: float
    seconds: float
    attempt: int
    waits_for: WaitsFor
    failure: list[str]
    spend: SpendRow


class TrialRow(TypedDict):
    """One test run under way."""

    trial: int
    kind: str
    jobs: list[str]
    testing: bool


class GateRow(TypedDict):
    """What stands in the gate."""

    slots: int
    todo: list[str]
    again: list[list[str]]
    green: list[list[str]]
    runs: list[TrialRow]


class StationRow(TypedDict):
    """One station's seat-seconds; busy, waiting and idle sum to seats times the run's seconds."""

    name: str
    kind: str
    seats: int
    required: bool
    busy: float
    waiting: float
    idle: float
    queued: float
    visits: int
    finished: int
    running: int
    mean: float
    demand: float
    odds: float | None
    each_seat: list[float]


class StatusDocument(TypedDict):
    """`factory.status/1`: where everything is now."""

    schema: Literal["factory.status/1"]
    sentence: str
    run: str
    target: str
    base: str
    tip: str
    at: float
    seconds: float
    alive: bool
    paused: bool
    closing: str | None
    undelivered: list[str]
    counts: dict[str, int]
    jobs: list[StatusJob]
    gate: GateRow
    stations: list[StationRow]
    spend: SpendRow


class RunsRow(TypedDict):
    """One run of a repository, in a line."""

    run: str
    target: str
    began: float
    seconds: float
    alive: bool
    counts: dict[str, int]


class RunsDocument(TypedDict):
    """`factory.runs/1`: every run of a repository, newest first."""

    schema: Literal["factory.runs/1"]
    runs: list[RunsRow]


class InboxRow(TypedDict):
    """One question to a person, with the line that answers it."""

    run: str
    job: str
    title: str
    since: float
    question: str
    wants: list[str]
    commit: str | None
    answer: str


class InboxDocument(TypedDict):
    """`factory.inbox/1`: everything that waits for a person, oldest first."""

    schema: Literal["factory.inbox/1"]
    waiting: list[InboxRow]


class ReportDocument(TypedDict):
    """`factory.report/1`: what happened in a run, how long, how much."""

    schema: Literal["factory.report/1"]
    run: str
    target: str
    base: str
    tip: str
    began: float
    seconds: float
    exit: int
    counts: dict[str, int]
    jobs: list[JobRow]
    failures: dict[str, list[str]]
    reviews: dict[str, str]
    spend: SpendRow
    constraint: ConstraintRow
    stations: list[StationRow]
    models: list[ModelRow]


class Moment(TypedDict):
    """One thing that happened to a job."""

    at: float
    seconds: float
    what: str
    text: str
    station: str | None
    attempt: int | None
    trial: int | None
    commit: str | None
    tail: list[str]


class WhyDocument(TypedDict):
    """`factory.why/1`: every attempt, verdict and decision of one job, in order."""

    schema: Literal["factory.why/1"]
    run: str
    job: str
    title: str
    brief: str
    scope: list[str]
    source: str
    needs: list[str]
    state: State
    place: str
    where: str
    in_target: bool | None
    moments: list[Moment]
    spend: SpendRow


class ForecastRow(TypedDict):
    """What one attempt of a job would ask of a model; ``usd`` is null without a price.

    ``context`` are the tokens of its first request, ``whole`` what a session with the whole
    repository would begin with. ``tokens`` and ``usd`` are a low and a high figure.
    """

    runtime: str
    tier: str
    model: str
    context: int
    whole: int
    tokens: list[int]
    usd: list[str] | None


class PlanJob(TypedDict):
    """One job as a run would take it; ``round`` is the earliest in which it can start."""

    id: str
    title: str
    station: str
    round: int
    files: int
    scope: list[str]
    needs: list[str]
    waits_for: list[str]
    overlaps: list[str]
    accept: list[list[str]]
    tokens: int
    refused: str | None
    forecast: ForecastRow | None


class PlanDocument(TypedDict):
    """`factory.plan/1`: what a run would do, before anything starts."""

    schema: Literal["factory.plan/1"]
    jobs: list[PlanJob]
    waves: int
    warnings: list[str]
    constraint: str
