"""The command that makes one strategy of a survey, and carries it out."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from factory.cli.app import Json, command, emit, say
from factory.cli.place import here
from factory.cli.running import (
    AgentOption,
    Bare,
    Budget,
    Deliver,
    Kind,
    Onto,
    Seats,
    Trust,
    Yes,
    carry_out,
    items_of,
    options_of,
    show_items,
)
from factory.cli.splitting import ENDS
from factory.complaint import Complaint

if TYPE_CHECKING:
    from collections.abc import Sequence

    from factory.fixing import Fix
    from factory.site import Site
    from factory.strategy.values import Plan
    from worktrees.names import Oid

PLAN: Final = "plan.json"
WAITS: Final = 4
"""The exit code of a plan that a person has to fill in."""


def print_schema(wanted: bool) -> None:
    """Print the schema of a plan's file, where it is asked for, and leave."""
    from factory.strategy import document

    if wanted:
        emit(document.schema())
        raise typer.Exit


@command(
    "fix",
    short="Make one strategy of a survey, with a test for each issue, and carry it out.",
    examples=(
        "factory fix survey.json --plan-only   write plan.json and show it",
        "factory plan plan.json                 the same as a run: jobs, order, cost",
        "factory fix plan.json                  carry out the plan, also one that you edited",
    ),
)
def fix_command(
    path: Annotated[
        Path, typer.Argument(metavar="SURVEY|PLAN", help="A survey.json, or a plan.json.")
    ],
    plan_only: Annotated[
        bool, typer.Option("--plan-only", help="Write and show the plan; start nothing.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Where plan.json goes. Default: by the survey."),
    ] = None,
    no_model: Annotated[
        bool, typer.Option("--no-model", help="Leave the words of the strategy to you.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Make plan.json anew, over what stands in it.")
    ] = False,
    replace: Annotated[
        bool,
        typer.Option("--replace", help="Do not build on open pull requests: offer this instead."),
    ] = False,
    onto: Onto = None,
    deliver: Deliver = None,
    seats: Seats = None,
    budget: Budget = None,
    sandbox: Kind = None,
    agent: AgentOption = None,
    trust: Trust = False,
    no_sandbox: Bare = False,
    yes: Yes = False,
    schema: Annotated[  # noqa: ARG001  typer calls it by its own callback
        bool,
        typer.Option(
            "--schema",
            callback=print_schema,
            is_eager=True,
            help="Print the JSON Schema of plan.json, for editors.",
        ),
    ] = False,
    json: Json = False,
) -> int:
    """Make or read the plan, show it, and carry it out."""
    from factory import fixing
    from factory import site as sites
    from factory.config.configured import DEFAULT

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
    site = here(options)
    if site.settings.origins["line.deliver"] == DEFAULT:
        # What is made of other people's issues is offered to them, unless somebody said otherwise.
        options["deliver"] = "pr"
        site = here(options)
    plan, notes, place = plan_of(site, path, out=out, model=not no_model, force=force, trust=trust)
    held = waiting(plan, place)
    if plan_only or held:
        show_plan(plan, notes, place, json=json)
        return held
    if not json:
        show_plan(plan, notes, place, json=False)
    sites.check_trust(site, given=trust)
    box = sites.sandbox_of(site, without=no_sandbox)
    ready = fixing.prepare(site, plan, path=str(place), replaces=replace, say=say)
    asks = not yes and not json and sys.stdin.isatty() and sys.stdout.isatty()
    # Before the first command of the plan is run, also of one that is only to be shown as fixed.
    runs = bool(ready.jobs) or fixing.has_proofs(plan)
    if asks and runs and not typer.confirm("Start?", default=True, err=True):
        return 0
    ready = fixing.prove(ready, box, say=say)
    if not ready.jobs:
        return nothing_to_fix(ready, json=json)
    return carry_out(ready.site, ready.jobs, options, fix=ready, bare=no_sandbox, json=json)


def nothing_to_fix(ready: "Fix", *, json: bool) -> int:
    """Say what is known of each item where none is to be worked on."""
    say("no item of the plan is to be worked on")
    if json:
        emit({"schema": "factory.run/1", "run": None, "jobs": [], **items_of(ready, None)})
    else:
        show_items(ready, None)
    moved = any(each.state != "in-flight" for each in ready.facts.left.values())
    return WAITS if moved else 0


def plan_of(
    site: "Site", path: Path, *, out: Path | None, model: bool, force: bool, trust: bool
) -> "tuple[Plan, tuple[str, ...], Path]":
    """Give the plan that a file is, or that is made of a survey's; what to know, and its file."""
    from factory.strategy import loading

    if loading.is_plan(path):
        return (*read_plan(site, path), path)
    return _made(site, path, out=out, model=model, force=force, trust=trust)


def read_plan(site: "Site", path: Path) -> "tuple[Plan, tuple[str, ...]]":
    """Give the plan of a file, judged on the commit that it is for, and what is to be known."""
    from factory.strategy import loading

    git = site.repository.git
    base = base_of(site)
    loaded = loading.load(path, loading.ground_of(site.settings, git, base))
    notes = list(loaded.notes)
    if loaded.plan.base_sha != base:
        moved = f"it was made on {loaded.plan.base_sha[:12]}; a run begins at {base[:12]}"
        notes.append(f"the base moved since the plan was made: {moved}")
    return loaded.plan, tuple(notes)


def base_of(site: "Site") -> "Oid":
    """Give the commit that a run would begin at."""
    from factory import site as sites

    return sites.deliver_to(site, sites.new_run()).base


def _made(
    site: "Site", path: Path, *, out: Path | None, model: bool, force: bool, trust: bool
) -> "tuple[Plan, tuple[str, ...], Path]":
    """Make the plan of a survey and write it; one of the same survey stands, with its edits."""
    from factory import sharing, strategizing
    from factory import site as sites
    from factory.strategy import document, loading
    from factory.survey import document as surveys
    from stations.models.values import ModelError
    from worktrees.names import RunId

    survey = surveys.load(path)
    place = (out or path.parent) / PLAN
    if place.exists() and not force:
        if not loading.is_made_from(place, path, site.repository.factory):
            raise Complaint(
                f"{place} exists, and is not a plan of this survey",
                hint=f"`factory fix {place}` goes on with it; --force makes it anew",
            )
        say(f"{place} is there already, made of this survey: it counts, with your edits")
        return (*read_plan(site, place), place)
    sites.check_forge(site, given=trust)
    asks = model and survey.classified and strategizing.has_model(site, say=say)
    if asks:
        sites.check_trust(site, given=trust)
    _check_place(place)
    run = RunId(f"fix-{sites.new_run()}")
    try:
        made = strategizing.planned(site, survey, base=base_of(site), run=run, model=asks, say=say)
    except ModelError as error:
        code, _ = ENDS.get(error.cause, (1, ""))
        raise Complaint(
            f"no reply: {error}",
            hint="try again, or --no-model: the words of the strategy are then left to you",
            code=code,
        ) from error
    except KeyboardInterrupt:
        say("no plan was written: the same command begins anew, and pays for no answer twice")
        raise
    loading.replace(place, document.write(made.plan))
    loading.note_made(place, made.plan, path, site.repository.factory)
    say(f"wrote {place}, {strategizing.written(made)}")
    if made.by:
        say(sharing.cost(made.spent, made.by))
    return made.plan, made.notes, place


def _check_place(place: Path) -> None:
    """Complain, before a model is asked, where no plan can be written."""
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Complaint(
            f"no plan can be written to {place.parent}: {error.strerror}",
            hint="name another --out DIR",
        ) from error
    if not os.access(place.parent, os.W_OK | os.X_OK) or place.is_dir():
        raise Complaint(f"{place} cannot be written", hint="name another --out DIR")


def show_plan(plan: "Plan", notes: "Sequence[str]", path: Path, *, json: bool) -> None:
    """Show a plan to whoever asked: the document itself, or its picture."""
    from factory.strategy import document, showing
    from factory.views.show import screen_on

    if json:
        print(document.write(plan), end="")
    else:
        screen_on(sys.stdout).show(*showing.parts(plan, notes))
    say(f"plan {document.digest(plan)[:12]}: {path}")


def waiting(plan: "Plan", path: Path) -> int:
    """Say what a person has to write into a plan before it can run; 0 when nothing."""
    from factory.strategy import rules

    found = rules.waits(plan)
    for text in found:
        say(f"to fill in: {text}")
    if found:
        say(f"then: factory fix {path}")
    return WAITS if found else 0
