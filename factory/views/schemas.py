"""The shapes of the JSON documents that people and programs get; each names its ``schema``.

They are the promise to scripts: fields are added, never changed.
"""

from typing import Literal, NotRequired

from typing_extensions import TypedDict

from factory.survey.shapes import SurveyDocument as SurveyDocument  # noqa: PLC0414  published with the others

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


class PlanRow(TypedDict):
    """The plan that a run carried out: its file, and the SHA-256 of its canonical form."""

    path: str
    sha256: str


class IssueRow(TypedDict):
    """What became of one item of a plan, with what shows it; what does not apply is null or empty.

    ``base`` and ``head`` say how its test went without and with the change, ``failure`` how it
    failed; ``closes`` that the evidence holds for a closing keyword, and the plan allows one.
    """

    issue: int
    kind: Literal["issue", "pull"]
    title: str
    state: Literal[
        "fixed",
        "not-shown",
        "failed",
        "unfinished",
        "already-fixed",
        "in-flight",
        "built-on",
        "superseded",
        "duplicate",
        "left",
        "human",
        "security",
    ]
    why: str
    of: int | None
    job: str | None
    pull: str | None
    test: str | None
    base: Literal["", "fail", "pass"]
    failure: str
    head: Literal["", "pass"]
    runs: int
    closes: bool


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
    plan: NotRequired[PlanRow]
    issues: NotRequired[list[IssueRow]]


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
    """`factory.status/1`: where everything is now.

    ``lead`` are the seconds that a job begun now will take, ``rest`` those until all have landed,
    at the rate of late; null while nothing has landed. ``suggestion`` is the command that does
    what the loop would do about the constraint.
    """

    schema: Literal["factory.status/1"]
    sentence: str
    run: str
    target: str
    base: str
    tip: str
    at: float
    seconds: float
    lead: float | None
    rest: float | None
    suggestion: str | None
    alive: bool
    paused: bool
    closing: str | None
    undelivered: list[str]
    counts: dict[str, int]
    jobs: list[StatusJob]
    gate: GateRow
    stations: list[StationRow]
    spend: SpendRow


class RangeRow(TypedDict):
    """A figure with its doubt: tenth, half and nine tenths of the draws."""

    low: float
    mid: float
    high: float


class PredictionRow(TypedDict):
    """What a change promises: changes an hour, seconds of lead, dollars, and both as ratios."""

    rate: RangeRow
    lead: RangeRow
    usd: RangeRow | None
    gain: RangeRow
    sooner: RangeRow


class OptionRow(TypedDict):
    """One thing that may be done; ``apply`` is null where only a person can do it."""

    name: str
    kind: str
    change: str
    why: str
    alone: bool
    apply: str | None
    prediction: PredictionRow | None


class DecisionRow(TypedDict):
    """One decision: what it was based on, what it promised, what it has done."""

    number: int
    at: float
    by: str
    applied: bool
    name: str
    change: str
    why: str
    station: str | None
    odds: float | None
    ships: int
    rate_before: float
    bound_before: float
    predicted: PredictionRow | None
    effect: str | None
    rate_after: float | None
    bound_after: float | None
    told: str | None
    undone: str | None
    undo: str | None
    options: list[str]


class BalanceRow(StationRow):
    """One station; ``headroom`` is how many times its work it could do, ``colour`` by the takt."""

    headroom: float | None
    colour: str | None
    found: int
    usd: float


class WipRow(TypedDict):
    """Work in progress: its limit, the one that keeps the line busy, jobs begun and not begun."""

    limit: int | None
    advised: int
    inside: int
    fresh: int


class ShiftRow(TypedDict):
    """Who limited the line when so many had landed."""

    at: float
    ships: int
    station: str | None
    odds: float
    bound: float


class BalanceDocument(TypedDict):
    """`factory.balance/1`: who limits the line, what may be done, what was decided and measured.

    Rates are changes an hour, ``takt`` minutes, ``lead`` and ``rest`` seconds. ``calibration``
    pairs every predicted gain with the measured one.
    """

    schema: Literal["factory.balance/1"]
    run: str
    sentence: str
    mode: str
    at: float
    alive: bool
    landed: int
    rate: float
    bound: float
    without: float
    wanted: float | None
    takt: float | None
    lead: float | None
    rest: float | None
    wip: WipRow
    first_pass: float | None
    line: str
    stations: list[BalanceRow]
    options: list[OptionRow]
    decisions: list[DecisionRow]
    shifts: list[ShiftRow]
    calibration: list[list[float]]


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
    """`factory.inbox/1`: everything that waits for a person, oldest first.

    ``sentence`` says so when a person is what limits the newest run.
    """

    schema: Literal["factory.inbox/1"]
    sentence: str | None
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


class CostRow(TypedDict):
    """What some calls came to. Dollars are decimals as text.

    ``billed`` is at list price, to the account of the key; ``imputed`` is the list price of what
    nobody pays for, as a server on this machine answered; ``unpriced`` calls are in neither.
    """

    name: str
    calls: int
    tokens_in: int
    tokens_out: int
    tokens_cached: int
    billed: str
    imputed: str
    estimated: int
    unpriced: int


class ShippedRow(TypedDict):
    """What one change that shipped cost."""

    tokens: int
    billed: str
    imputed: str


class CostDocument(TypedDict):
    """`factory.cost/1`: what models cost, by station, model, scope and day (UTC).

    ``shipped`` counts the changes that landed or were proposed; ``each`` is null without any.
    """

    schema: Literal["factory.cost/1"]
    runs: list[str]
    shipped: int
    total: CostRow
    each: ShippedRow | None
    stations: list[CostRow]
    models: list[CostRow]
    scopes: list[CostRow]
    days: list[CostRow]


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


class FitRow(TypedDict):
    """How changes fit scopes: the share that needs one alone, all and those of several files."""

    fit: float
    wide: int
    wide_fit: float
    scopes_per_change: float
    at_once: float


class ScopeRow(TypedDict):
    """One proposed station; ``touched`` is the share of the newest changes that need it."""

    name: str
    scope: list[str]
    files: int
    touched: float


class BreakerRow(TypedDict):
    """A file that alone kept so many changes from fitting one scope."""

    path: str
    changes: int


class ScopesDocument(TypedDict):
    """`factory.scopes/1`: stations that the history proposes, judged on its newest changes.

    ``commits`` were read, ``changes`` of them say something: ``made_from`` the older ones the
    stations are made, and they are ``judged_on`` the newest. ``since`` is the day of the oldest,
    ``written`` the file, or null.
    """

    schema: Literal["factory.scopes/1"]
    head: str
    commits: int
    changes: int
    since: str
    sweeps: int
    silent: int
    made_from: int
    judged_on: int
    sentence: str
    stations: list[ScopeRow]
    fit: FitRow
    one_scope: FitRow
    top_directories: FitRow
    breakers: list[BreakerRow]
    toml: str
    written: str | None


class ReplayRow(TypedDict):
    """One commit that was replayed; ``fate`` says how it ended, ``lines`` how its tests failed.

    ``station`` is the configured one that may write all of its ``paths``, null without one.
    ``asked``: a person would have been asked before it went on.
    """

    commit: str
    title: str
    job: str | None
    station: str | None
    paths: int
    fate: str
    tries: int
    asked: bool
    why: str | None
    lines: list[str]


class FlakeRow(TypedDict):
    """A tree that was red and green under the same checks, and whose work was in it."""

    tree: str
    jobs: list[str]
    lines: list[str]


class RehearsalGateRow(TypedDict):
    """What the gate did: test runs, those red or lost, trees known before, landings."""

    runs: int
    red: int
    lost: int
    known: int
    landings: int
    per_landing: float | None


class RehearsalDocument(TypedDict):
    """`factory.rehearse/1`: a repository's own commits replayed through its line.

    ``green``: every commit of the target is a landing whose tree had passed; ``same``: what came
    out is, to the byte, the tree of ``tip``. ``bound`` are the changes an hour that the slowest
    place allows, as it is and with a seat or a slot more.
    ``fit`` counts the changes that one configured station may write, of those that change files.
    """

    schema: Literal["factory.rehearse/1"]
    run: str | None
    base: str
    tip: str
    target: str | None
    seconds: float
    seats: int
    slots: int
    changes: list[ReplayRow]
    counts: dict[str, int]
    landed: int
    per_hour: float
    per_hour_per_seat: float
    green: bool
    same: bool
    gate: RehearsalGateRow
    flaky: list[FlakeRow]
    fit: dict[str, int]
    constraint: ConstraintRow
    bound: dict[str, float]
    notes: list[str]
    exit: int


class ExplainDocument(TypedDict):
    """`factory.explain/1`: why an item is in a survey or out of it, line by line."""

    schema: Literal["factory.explain/1"]
    n: int
    why: list[str]


class FigureRow(TypedDict):
    """One figure of two versions, each as low, middle, high of what holds it nine times in ten.

    ``ratio`` is b's through a's, ``odds`` the chance that b's is the larger. ``larger`` names the
    version for which that is sure, null while nothing can be said; ``enough`` says whether there
    were jobs enough to say anything.
    """

    a: list[float]
    b: list[float]
    ratio: list[float]
    odds: float
    larger: Literal["a", "b"] | None
    enough: bool


class VersionShareRow(TypedDict):
    """What one version was dealt, and what became of it; ``hash`` is that of its file."""

    file: str
    hash: str
    runs: list[str]
    jobs: int
    landed: int
    passed: float
    judged: float
    seconds: float
    usd: float | None


class CompareDocument(TypedDict):
    """`factory.compare/1`: two versions of a line that shared the work.

    ``rate`` are landed changes an hour, ``first_pass`` is the share of jobs that were green at
    their first trial, ``cost`` are dollars for each landed change, null where nobody paid or knows.
    ``whole`` says whether every turn came to its end.
    """

    schema: Literal["factory.compare/1"]
    id: str
    seed: int
    target: str | None
    sentence: str
    versions: dict[str, VersionShareRow]
    turns: list[str]
    rate: FigureRow
    first_pass: FigureRow
    cost: FigureRow | None
    whole: bool
    exit: int


class VersionRow(TypedDict):
    """A factory.toml that runs used; ``now`` says whether it is the one that stands there.

    ``per_hour`` and ``first_pass`` are those of its runs together, null without a landing or trial.
    """

    hash: str
    last: float
    runs: list[str]
    landed: int
    first_pass: float | None
    per_hour: float | None
    now: bool
    kept: bool


class VersionsDocument(TypedDict):
    """`factory.versions/1`: every configuration that a run of this repository used, newest last."""

    schema: Literal["factory.versions/1"]
    versions: list[VersionRow]


class RollbackDocument(TypedDict):
    """`factory.rollback/1`: a version put back as factory.toml, or what that would change."""

    schema: Literal["factory.rollback/1"]
    hash: str
    path: str
    diff: str
    written: bool
