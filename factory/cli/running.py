"""Commands that run the line: plan, run, resume, demo."""

import os
import re
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from factory.cli.app import INTERRUPTED, Json, command, emit, say
from factory.cli.finding import at_work, ledger_of, run_of
from factory.cli.place import here
from factory.complaint import Complaint

if TYPE_CHECKING:
    from factory.fixing import Fix
    from factory.line import Line
    from factory.planning import Forecast, Plan
    from factory.repairing import Delivered, Errand, Repair
    from factory.shift import Order
    from factory.site import Site
    from stations.box import Sandbox
    from stations.contract import Job
    from worktrees.names import JobId, Oid

ISSUE: Final = ("gh:", "https://", "http://")
_NUMBER: Final = re.compile(r"#?([1-9][0-9]{0,8})")

Jobs = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[JOB]...",
        help="A text, @file.toml with [[job]] tables, gh:12 or an issue's address, or nothing:"
        " the jobs of factory.toml.",
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
PullRequest = Annotated[
    int | None,
    typer.Option("--pr", min=1, metavar="N", help="Repair this pull request instead."),
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
Compare = Annotated[
    tuple[Path, Path] | None,
    typer.Option(
        "--compare",
        metavar="A.toml B.toml",
        help="Let two versions of factory.toml share the jobs at random, and compare them.",
    ),
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
    examples=(
        "factory plan",
        "factory plan @jobs.toml",
        'factory plan "Fix the typo" --json',
        "factory plan gh:12",
        "factory plan --pr 34",
        "factory plan plan.json          what `factory fix plan.json` would do",
    ),
)
def plan_command(
    jobs: Jobs = None,
    onto: Onto = None,
    deliver: Deliver = None,
    seats: Seats = None,
    only: Only = None,
    agent: AgentOption = None,
    pr: PullRequest = None,
    trust: Trust = False,
    json: Json = False,
) -> None:
    """Print the plan."""
    from factory.views import documents, show

    options = options_of(onto=onto, deliver=deliver, seats=seats, agent=agent)
    site = here(options)
    strategy = strategy_of(jobs or [])
    if pr is None and strategy is not None:
        plan = _strategy_plan(site, strategy)
    elif pr is None:
        plan = _plan(site, jobs_of(site, jobs or [], only=only, trust=trust))
    else:
        repair = _repair(site, jobs, pr, only=only, trust=trust)
        plan = _plan(site, repair.jobs, base=repair.errand.head)
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
        "factory run gh:12 gh:15 --deliver pr   the issues 12 and 15",
        "factory run --pr 34             repair a pull request: red checks, open review threads",
        "factory run --yes --json        the [[job]] entries of factory.toml",
        "factory run --compare a.toml b.toml @jobs.toml   which version of the line is better?",
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
    pr: PullRequest = None,
    compare: Compare = None,
    trust: Trust = False,
    no_sandbox: Bare = False,
    yes: Yes = False,
    json: Json = False,
) -> int:
    """Run the jobs and say what became of each."""
    from factory import site as sites
    from factory.cli import comparing

    options = options_of(
        onto=onto,
        deliver=deliver,
        seats=seats,
        budget=budget,
        sandbox=sandbox,
        agent=agent,
        trust=trust or None,
        no_sandbox=no_sandbox or None,
    )
    asks = not (jobs or yes or json) and sys.stdin.isatty() and sys.stdout.isatty()
    if compare is not None:
        if pr is not None:
            raise Complaint("--compare and --pr go not together", hint="leave one of them out")

        def taken(version: "Site") -> "list[Job]":
            return jobs_of(version, jobs or [], only=only, trust=trust)

        return comparing.start(compare, options, taken, ask=asks, json=json)
    site = here(options)
    if pr is not None:
        if onto is not None or deliver not in {None, "branch"}:
            raise Complaint(
                "--pr goes neither with --onto nor with another --deliver than branch",
                hint="new commits go onto the pull request; `--deliver branch` pushes nothing",
            )
        sites.check_trust(site, given=trust)
        found = _repair(site, jobs, pr, only=only, trust=trust)
        if not found.jobs:
            return nothing(f"pull request {pr}: nothing to repair", json=json)
        return carry_out(site, found.jobs, options, repair=found, bare=no_sandbox, json=json)
    wanted = jobs_of(site, jobs or [], only=only, trust=trust)
    if not wanted:
        return nothing(
            "there is no job: give a text, @file.toml, or write [[job]] tables in factory.toml",
            json=json,
        )
    sites.check_trust(site, given=trust)
    if asks:
        from factory.views import documents, show

        show.plan(documents.plan_document(_plan(site, wanted)))
        if not typer.confirm("Start?", default=True, err=True):
            return 0
    return carry_out(site, wanted, options, bare=no_sandbox, json=json)


def carry_out(
    site: "Site",
    jobs: "Sequence[Job]",
    options: Mapping[str, str],
    *,
    repair: "Repair | None" = None,
    fix: "Fix | None" = None,
    bare: bool,
    json: bool,
) -> int:
    """Run these jobs, say what became of each, and give the exit code."""
    from factory import fixing, shift
    from factory import site as sites
    from factory.views import show

    for warning in (*site.settings.warnings, *_unbounded(site, jobs)):
        say(f"note: {warning}")
    box = sites.sandbox_of(site, without=bare)
    if not box.contains:
        say("no sandbox: agents and tests can read and write whatever you can")
    order = order_of(jobs, options, box, repair)
    if fix is not None:
        order = fixing.order(fix, options, box)
    with show.progress(site.environment, quiet=json) as watch:
        line = shift.start(site, order, watch=watch, say=say)
    left = repair.left if repair is not None else ()
    return _report(site, line, json=json, left=left, fix=fix)


def order_of(
    jobs: "Sequence[Job]", options: Mapping[str, str], box: "Sandbox", repair: "Repair | None"
) -> "Order":
    """Give what a run is asked for; one that repairs begins at the head that was read."""
    from factory.shift import Order

    order = Order(jobs=tuple(jobs), options=options, sandbox=box)
    if repair is None:
        return order
    errand = repair.errand
    return replace(
        order,
        options={**options, **errand.options},
        base=errand.head,
        when_red=repair.together,
        credit=errand.credit,
    )


def nothing(why: str, *, json: bool) -> int:
    """Say that there is nothing to do, which is no failure."""
    say(why)
    if json:
        emit({"schema": "factory.run/1", "run": None, "jobs": []})
    return 0


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
    from factory import fixing, rehearsing, repairing, shift
    from factory import site as sites
    from factory.cli import comparing
    from factory.cli.rehearsing import go_on
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
    options = dict(opening.options) | options_of(budget=budget)
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
    again = options | ({"trust": "True"} if trust else {})
    if (code := comparing.go_on(first, found, opening.options, again, json=json)) is not None:
        return code
    site = here(options)
    fix = fixing.taken_up(site, options)
    site = site if fix is None else fix.site
    if rehearsing.under(site, options).settings.rules.hash != opening.rules.hash:
        raise Complaint(
            f"the line's configuration changed since {found} began",
            hint="put it back as it was, or start a new run; the work of this one is kept",
        )
    sites.check_trust(site, given=trust or "trust" in options)
    box = sites.sandbox_of(site, without="no_sandbox" in options)
    if (code := go_on(site, found, box, options, json=json)) is not None:
        return code
    with ledger_of(first.repository) as reader:
        history = [(record.event, record.at) for record in reader.records(found)]
    with show.progress(site.environment, quiet=json, history=history) as watch:
        errand = repairing.errand_of(options)
        credit = errand.credit if errand is not None else ()
        plan = fix.planned if fix is not None else None
        line = shift.resume(site, found, box, watch=watch, say=say, credit=credit, plan=plan)
    return _report(site, line, json=json, fix=fix)


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


def jobs_of(
    site: "Site", words: Sequence[str], *, only: str | None, trust: bool = False
) -> "list[Job]":
    """Give the jobs that the command line asks for, or those of the configuration."""
    from factory import settings

    plan = strategy_of(words)
    if plan is not None:
        raise Complaint(f"{plan} is a plan, not a job", hint=f"factory fix {plan}")
    found: list[Job] = []
    if not words:
        found += site.settings.jobs
    for word in words:
        if word.startswith(ISSUE):
            continue
        if number := _NUMBER.fullmatch(word.strip()):
            hint = f"write gh:{number[1]} for issue {number[1]}"
            raise Complaint(f"{word} alone says nothing to be done", hint=hint)
        taken = {job.id for job in found} | {job.id for job in site.settings.jobs}
        if word.startswith("@"):
            found += settings.jobs_file(Path(word[1:]), site.settings, taken_ids=taken)
        else:
            found.append(settings.job_from_text(word, site.settings, taken_ids=taken))
    issues = [word for word in words if word.startswith(ISSUE)]
    if issues:
        found += _issues(site, issues, only=only, trust=trust, taken={job.id for job in found})
    if only is not None:
        found = _at(site, found, only)
    here = {job.id for job in found}
    for job in found:
        for need in job.needs:
            if need not in here:
                raise Complaint(f"{job.id} needs {need}, which is not among the jobs of this run")
    return found


def _issues(
    site: "Site", words: Sequence[str], *, only: str | None, trust: bool, taken: "set[JobId]"
) -> "list[Job]":
    from factory import pulling
    from factory import site as sites
    from factory.delivering import connected

    sites.check_forge(site, given=trust)
    rules = site.settings.rules
    known = taken | {job.id for job in site.settings.jobs}
    with connected(site, say=say) as forge:
        return list(pulling.jobs_of(forge, rules, words, only=only, taken=known))


def _repair(
    site: "Site", words: Sequence[str] | None, number: int, *, only: str | None, trust: bool
) -> "Repair":
    from factory import repairing
    from factory import site as sites
    from factory.delivering import connected

    if words:
        raise Complaint("--pr takes no further jobs", hint=f"factory run --pr {number}")
    sites.check_forge(site, given=trust)
    with connected(site, say=say) as forge:
        found = repairing.read(site, forge, number, only=only, say=say)
    for text in found.left:
        say(f"left out: {text}")
    if found.logs is not None:
        say(f"the whole logs lie in {found.logs}")
    return found


def _at(site: "Site", jobs: "Sequence[Job]", only: str) -> "list[Job]":
    if only not in {spec.name for spec in site.settings.rules.stations}:
        names = ", ".join(spec.name for spec in site.settings.rules.stations)
        raise Complaint(f"there is no station {only}", hint=f"there are: {names}")
    return [job for job in jobs if job.route == only]


def _plan(site: "Site", jobs: "Sequence[Job]", *, base: "Oid | None" = None) -> "Plan":
    from factory import forecast, planning
    from factory import site as sites
    from stations.bench import tracked

    start = sites.deliver_to(site, sites.new_run()).base if base is None else base
    known = forecast.forecasts(site, jobs, start)
    return planning.plan(
        site.settings.rules,
        jobs,
        tracked=tracked(site.repository.git, start),
        refused=sites.refusals_of(site.settings.rules, jobs),
        said=(
            *site.settings.warnings,
            *_budget_doubts(site, known),
            *_unbounded(site, jobs),
        ),
        forecasts=known,
    )


def strategy_of(words: Sequence[str]) -> Path | None:
    """Give the plan.json that the command line names, with `@` or without; None for jobs."""
    paths = [Path(word.removeprefix("@")) for word in words if word.endswith(".json")]
    if not paths:
        return None
    from factory.strategy import loading

    found = [path for path in paths if loading.is_plan(path)]
    if found and len(words) > 1:
        raise Complaint(f"{found[0]} is a plan, which takes no further jobs")
    if paths and not found and words[0].startswith("@"):
        raise Complaint(
            f"{paths[0]} is no plan.json",
            hint="a jobs file ends in .toml; `factory fix` makes plans",
        )
    return found[0] if found else None


def _strategy_plan(site: "Site", path: Path) -> "Plan":
    """Give what carrying out a plan.json would do, as a run's plan."""
    from factory import site as sites
    from factory import strategizing
    from factory.strategy import loading, rules

    base = sites.deliver_to(site, sites.new_run()).base
    ground = loading.ground_of(site.settings, site.repository.git, base)
    loaded = loading.load(path, ground)
    around, jobs = strategizing.on_line(site, loaded.plan, base=base)
    made = _plan(around, jobs, base=base)
    said = (*(f"to fill in: {text}" for text in rules.waits(loaded.plan)), *loaded.notes)
    return replace(made, warnings=(*said, *made.warnings))


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


def options_of(**given: object) -> dict[str, str]:
    """Give what was given on the command line, as a run keeps it."""
    return {name: str(value) for name, value in given.items() if value is not None}


def _report(
    site: "Site",
    line: "Line",
    *,
    json: bool,
    left: Sequence[str] = (),
    fix: "Fix | None" = None,
) -> int:
    from factory import calls, repairing
    from factory.ending import RANK, exit_code
    from factory.ledger import Ledger
    from factory.views import documents, show

    with Ledger(site.ledger, read_only=True) as ledger:
        records = tuple(ledger.records(line.run))
    made = calls.of_run(site.ledger, line.run)
    opening = records[0].event
    options = opening.options if opening.kind == "opened" else {}
    errand = repairing.errand_of(options)
    code, more = exit_code(line), dict[str, object]()
    pulled = "label" in options
    if pulled or any(work.job.source.startswith("gh:") for work in line.jobs.values()):
        told = _told(site, line, pulled=pulled)
        code = min(code, told, key=RANK.index)
    if errand is not None and code != INTERRUPTED and options.get("deliver") != "branch":
        done = _delivered(site, line, errand, left)
        code = min(code, done.code, key=RANK.index)
        more = {"repair": {"pull": errand.number, "round": errand.round, "text": done.text}}
    if fix is not None:
        more |= items_of(fix, line)
    if json:
        emit({**documents.run_document(line, records, made), **more})
    else:
        show.report(documents.report_document(line, records, made))
        if fix is not None:
            show_items(fix, line)
        if code == WAITS and not line.undelivered:
            say("`factory inbox` shows what waits for you; after your answer, `factory resume`")
    return code


def items_of(fix: "Fix", line: "Line | None") -> dict[str, object]:
    """Give what a document says of a plan and of each of its items."""
    from factory import fixing

    plan = {"path": fix.path, "sha256": fix.digest}
    return {"plan": plan, "issues": fixing.rows(fix, line)}


def show_items(fix: "Fix", line: "Line | None") -> None:
    """Show what became of each item of a plan."""
    from factory import fixing
    from factory.views import issues

    issues.show(fixing.rows(fix, line))


def _delivered(site: "Site", line: "Line", errand: "Errand", left: Sequence[str]) -> "Delivered":
    """Bring a round of repair to its pull request, and say how that went."""
    from factory import repairing
    from factory.delivering import code_of, connected
    from factory.forge.failures import ForgeError

    try:
        with connected(site, say=say) as forge:
            done = repairing.deliver(site, forge, line, errand, left=left)
    except ForgeError as error:
        done = repairing.Delivered(text=f"the forge: {error.message}", code=code_of(error))
    say(done.text)
    if done.code:
        branch = line.target.removeprefix("refs/heads/")
        say(f"the work stays on {branch}; `factory resume {line.run}` tries to push it again")
    return done


def _told(site: "Site", line: "Line", *, pulled: bool) -> int:
    """Say on issues what became of them; give 0, or an exit code.

    On those that a person named something is said only where a comment of ours already stands,
    as of a `factory pull` that was killed: it would be untrue now.
    """
    from factory import pulling
    from factory.delivering import code_of, connected
    from factory.forge.failures import ForgeError

    try:
        with connected(site, say=say) as forge:
            pulling.tell(forge, line, unasked=not pulled)
    except (Complaint, ForgeError) as error:
        if pulled and isinstance(error, Complaint):
            raise
        say(f"the issues do not say yet what became of them: the forge: {error}")
        say(f"`factory resume {line.run}` says it")
        return code_of(error) if pulled and isinstance(error, ForgeError) else 0
    return 0


WAITS: Final = 4
"""The exit code of a run that waits for a person."""


def _ending(place: Path, line: "Line", *, kept: bool) -> str:
    target = line.target.removeprefix("refs/heads/")
    look = f"look around: cd {place} && git log --graph {target}"
    keep = "`factory demo --keep` leaves the repository for you to look at"
    return f"every job ended as it was meant to, the refused one too\n{look if kept else keep}"
