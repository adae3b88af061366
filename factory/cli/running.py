"""Commands that run the line: plan, run, resume, demo."""

import os
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from factory.cli.app import Json, command, emit, say
from factory.cli.finding import at_work, ledger_of, run_of
from factory.cli.place import here
from factory.complaint import Complaint

if TYPE_CHECKING:
    from factory.line import Line
    from factory.planning import Forecast, Plan
    from factory.site import Site
    from stations.contract import Job
    from worktrees.names import JobId

ISSUE: Final = ("gh:", "https://", "http://")

Jobs = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[JOB]...",
        help="A text, @file.toml with [[job]] tables, or nothing: the jobs of factory.toml.",
        show_default=False,
    ),
]
Onto = Annotated[str | None, typer.Option("--onto", metavar="BRANCH", help="Land on this branch.")]
Deliver = Annotated[
    str | None,
    typer.Option("--deliver", metavar="branch|merge|pr", help="How work reaches the target."),
]
Seats = Annotated[int | None, typer.Option("--seats", min=1, help="Agents at work at once.")]
Budget = Annotated[
    str | None, typer.Option("--budget", metavar="LIMITS", help='For instance "60m" or "5M".')
]
Only = Annotated[
    str | None, typer.Option("--only", metavar="STATION", help="Only the jobs of this station.")
]
Kind = Annotated[
    str | None,
    typer.Option("--sandbox", metavar="KIND", help="auto, bubblewrap or docker."),
]
AgentOption = Annotated[
    str | None,
    typer.Option(
        "--agent", metavar="RUNTIME:TIER", help="Who works when no station is configured."
    ),
]
Trust = Annotated[
    bool, typer.Option("--trust", help="Allow the repository's own commands for this run.")
]
Bare = Annotated[
    bool,
    typer.Option(
        "--no-sandbox", help="Run agents and tests uncontained. No file can ask for this."
    ),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before starting.")]


@command(
    "plan",
    short="Show what `run` would do: jobs, order, overlaps, warnings. Starts nothing.",
    examples=("factory plan", "factory plan @jobs.toml", 'factory plan "Fix the typo" --json'),
)
def plan_command(
    jobs: Jobs = None,
    onto: Onto = None,
    deliver: Deliver = None,
    seats: Seats = None,
    only: Only = None,
    agent: AgentOption = None,
    json: Json = False,
) -> None:
    """Print the plan."""
    from factory.views import documents, show

    options = _options(onto=onto, deliver=deliver, seats=seats, agent=agent)
    site = here(options)
    wanted = jobs_of(site, jobs or [], only=only)
    plan = _plan(site, wanted)
    document = documents.plan_document(plan)
    if json:
        emit(document)
    else:
        show.plan(document)


@command(
    "run",
    short="Run jobs on this repository, from scoped workspaces to a branch that is never red.",
    examples=(
        'factory run "Reject empty names in POST /users"',
        "factory run @jobs.toml --onto main --deliver merge",
        "factory run --yes --json        the [[job]] entries of factory.toml",
    ),
)
def run_command(
    jobs: Jobs = None,
    onto: Onto = None,
    deliver: Deliver = None,
    seats: Seats = None,
    budget: Budget = None,
    only: Only = None,
    sandbox: Kind = None,
    agent: AgentOption = None,
    trust: Trust = False,
    no_sandbox: Bare = False,
    yes: Yes = False,
    json: Json = False,
) -> int:
    """Run the jobs and say what became of each."""
    from factory import shift
    from factory import site as sites
    from factory.views import show

    options = _options(
        onto=onto,
        deliver=deliver,
        seats=seats,
        budget=budget,
        sandbox=sandbox,
        agent=agent,
        trust=trust or None,
        no_sandbox=no_sandbox or None,
    )
    site = here(options)
    wanted = jobs_of(site, jobs or [], only=only)
    if not wanted:
        say("there is no job: give a text, @file.toml, or write [[job]] tables in factory.toml")
        if json:
            emit({"schema": "factory.run/1", "run": None, "jobs": []})
        return 0
    sites.check_trust(site, given=trust)
    for warning in (*site.settings.warnings, *_unbounded(site, wanted)):
        say(f"note: {warning}")
    if not jobs and not yes and not json and sys.stdin.isatty() and sys.stdout.isatty():
        from factory.views import documents

        show.plan(documents.plan_document(_plan(site, wanted)))
        if not typer.confirm("Start?", default=True, err=True):
            return 0
    box = sites.sandbox_of(site, without=no_sandbox)
    if not box.contains:
        say("no sandbox: agents and tests can read and write whatever you can")
    order = shift.Order(jobs=tuple(wanted), options=options, sandbox=box)
    with show.progress(site.environment, quiet=json) as watch:
        line = shift.start(site, order, watch=watch, say=say)
    return _report(site, line, json=json)


@command(
    "resume",
    short="Go on with a run that was interrupted, killed, paused, or waits for you.",
    examples=(
        "factory resume",
        "factory resume 261121-081502-3f2a",
        'factory resume --budget "40,10M"   after a budget was reached',
    ),
)
def resume_command(
    run: Annotated[str | None, typer.Argument(metavar="[RUN]", help="Default: the newest.")] = None,
    budget: Annotated[
        str | None,
        typer.Option("--budget", metavar="LIMITS", help="A new budget of the whole run."),
    ] = None,
    trust: Trust = False,
    json: Json = False,
) -> int:
    """Resume a run; nothing placed is nothing to do."""
    from factory import shift
    from factory import site as sites
    from factory.ledger import Ledger, Letter
    from factory.views import show

    first = here({})
    if run is None and not _has_run(first):
        say("nothing was placed: there is nothing to resume")
        if json:
            emit({"schema": "factory.run/1", "run": None, "jobs": []})
        return 0
    with ledger_of(first.repository) as reader:
        found = run_of(reader, run)
        opening = next(reader.records(found)).event
        working = at_work(first.repository, reader, found)
        paused = any(letter.kind == "pause" for _, letter in reader.letters(found))
    assert opening.kind == "opened"  # noqa: S101  (every run begins so)
    options = dict(opening.options) | _options(budget=budget)
    if working or paused:
        # A pause that nobody has read yet must not stop what is resumed now.
        with Ledger(first.ledger) as ledger:
            ledger.post(found, Letter(kind="resume"), shift.Clock()())
    if working:
        say(f"{found} is at work; told it to go on if it was paused")
        if json:
            letter = {"run": found, "job": None, "kind": "resume", "active": True}
            emit({"schema": "factory.letter/1", **letter})
        return 0
    site = here(options)
    if site.settings.rules.hash != opening.rules.hash:
        raise Complaint(
            f"the line's configuration changed since {found} began",
            hint="put it back as it was, or start a new run; the work of this one is kept",
        )
    sites.check_trust(site, given=trust or "trust" in options)
    box = sites.sandbox_of(site, without="no_sandbox" in options)
    with ledger_of(first.repository) as reader:
        history = [(record.event, record.at) for record in reader.records(found)]
    with show.progress(site.environment, quiet=json, history=history) as watch:
        line = shift.resume(site, found, box, watch=watch, say=say)
    return _report(site, line, json=json)


def _has_run(site: "Site") -> bool:
    if not site.ledger.exists():
        return False
    with ledger_of(site.repository) as reader:
        return bool(reader.runs())


@command(
    "demo",
    short="Build a sample repository and run a real line on it. No key, no network.",
    examples=("factory demo", "factory demo --keep"),
)
def demo_command(
    keep: Annotated[bool, typer.Option("--keep", help="Keep the sample repository.")] = False,
    json: Json = False,
) -> int:
    """Run the demo and say whether everything ended as it was meant to."""
    from factory import demo, shift
    from factory import settings as configuration
    from factory import site as sites
    from factory.views import show
    from worktrees.git import open_repository

    scratch = Path(tempfile.mkdtemp(prefix="factory-demo-"))
    place = scratch / "shop"
    ruff = shutil.which("ruff", path=_beside_python())
    libcst = demo.has_libcst()
    try:
        demo.build(place, demo.configuration(sys.executable, ruff, libcst=libcst))
        environment = configuration.environment()
        repository = open_repository(place, user={"HOME": str(environment.home)})
        settings = configuration.load(place, flags={}, tracked=None)
        site = sites.at(repository, settings, environment)
        for text in demo.left_out(ruff, libcst=libcst):
            say(f"left out: {text}; install the extra `demo` to see it")
        say(f"a sample shop with real defects stands in {place}")
        box = sites.sandbox_of(site, without=False)
        order = shift.Order(jobs=settings.jobs, options={"trust": "True"}, sandbox=box)
        with show.progress(site.environment, quiet=json) as watch:
            line = shift.start(site, order, watch=watch, say=say)
        _report(site, line, json=json)
        wrong = demo.surprises(line)
        for text in wrong:
            say(f"not as planned: {text}")
        if not json and not wrong:
            say(_ending(place, line, kept=keep))
        return 1 if wrong else 0
    finally:
        if not keep:
            shutil.rmtree(scratch)


def _beside_python() -> str:
    """Give the directories where a tool of the factory's own environment lies."""
    return f"{Path(sys.executable).parent}:{os.defpath}"


def jobs_of(site: "Site", words: Sequence[str], *, only: str | None) -> "list[Job]":
    """Give the jobs that the command line asks for, or those of the configuration."""
    from factory import settings

    found: list[Job] = []
    if not words:
        found += site.settings.jobs
    for word in words:
        if word.startswith(ISSUE):
            raise Complaint(f"{word}: this release cannot read issues yet", code=7)
        taken = {job.id for job in found} | {job.id for job in site.settings.jobs}
        if word.startswith("@"):
            found += settings.jobs_file(Path(word[1:]), site.settings, taken_ids=taken)
        else:
            found.append(settings.job_from_text(word, site.settings, taken_ids=taken))
    if only is not None:
        found = _at(site, found, only)
    here = {job.id for job in found}
    for job in found:
        for need in job.needs:
            if need not in here:
                raise Complaint(f"{job.id} needs {need}, which is not among the jobs of this run")
    return found


def _at(site: "Site", jobs: "Sequence[Job]", only: str) -> "list[Job]":
    if only not in {spec.name for spec in site.settings.rules.stations}:
        names = ", ".join(spec.name for spec in site.settings.rules.stations)
        raise Complaint(f"there is no station {only}", hint=f"there are: {names}")
    return [job for job in jobs if job.route == only]


def _plan(site: "Site", jobs: "Sequence[Job]") -> "Plan":
    from factory import forecast, planning
    from factory import site as sites
    from stations.bench import tracked

    delivery = sites.deliver_to(site, sites.new_run())
    known = forecast.forecasts(site, jobs, delivery.base)
    return planning.plan(
        site.settings.rules,
        jobs,
        tracked=tracked(site.repository.git, delivery.base),
        refused=sites.refusals_of(site.settings.rules, jobs),
        said=(
            *site.settings.warnings,
            *_budget_doubts(site, known),
            *_unbounded(site, jobs),
        ),
        forecasts=known,
    )


def _budget_doubts(site: "Site", known: "Mapping[JobId, Forecast]") -> "list[str]":
    """Say which budgets may not last for all jobs, by the low end of what they would take."""
    low = [each.dollars[0] for each in known.values() if each.dollars is not None]
    tokens = sum(each.tokens[0] for each in known.values())
    budget, doubts = site.settings.budget, []
    if budget.dollars is not None and sum(low) > budget.dollars:
        doubts.append(f"the budget of {budget.dollars} USD is less than the low forecast")
    if budget.tokens is not None and tokens > budget.tokens:
        doubts.append(f"the budget of {budget.tokens:,} tokens is less than the low forecast")
    return doubts


def _unbounded(site: "Site", jobs: "Sequence[Job]") -> "list[str]":
    """Say that nothing bounds what models may cost, when that is so."""
    from factory import models

    rules, limits = site.settings.rules, (site.settings.budget, site.settings.day)
    bounded = any(each.dollars is not None or each.tokens is not None for each in limits)
    if bounded or not models.wanted([rules.station(job.route) for job in jobs]):
        return []
    return ["no budget in dollars or tokens: [line] budget, or --budget"]


def _options(**given: object) -> dict[str, str]:
    return {name: str(value) for name, value in given.items() if value is not None}


def _report(site: "Site", line: "Line", *, json: bool) -> int:
    from factory import calls
    from factory.ending import exit_code
    from factory.ledger import Ledger
    from factory.views import documents, show

    with Ledger(site.ledger, read_only=True) as ledger:
        records = tuple(ledger.records(line.run))
    made = calls.of_run(site.ledger, line.run)
    code = exit_code(line)
    if json:
        emit(documents.run_document(line, records, made))
    else:
        show.report(documents.report_document(line, records, made))
        if code == WAITS:
            say("`factory inbox` shows what waits for you; after your answer, `factory resume`")
    return code


WAITS: Final = 4
"""The exit code of a run that waits for a person."""


def _ending(place: Path, line: "Line", *, kept: bool) -> str:
    target = line.target.removeprefix("refs/heads/")
    look = f"look around: cd {place} && git log --graph {target}"
    keep = "`factory demo --keep` leaves the repository for you to look at"
    return f"every job ended as it was meant to, the refused one too\n{look if kept else keep}"
