"""The command that rehearses: the repository's own commits through its line, without a model."""

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from factory.cli.app import Json, command, emit, say
from factory.cli.place import here
from factory.cli.running import Bare, Kind, Seats, Trust, options_of

if TYPE_CHECKING:
    from factory.rehearsing import Rehearsed, Wish
    from factory.site import Site
    from stations.box import Sandbox
    from worktrees.names import RunId


@command(
    "rehearse",
    short="Replay the repository's own last commits through the line. No model, no cost.",
    examples=(
        "factory rehearse                      the last 20 commits of what is checked out",
        "factory rehearse --commits 50 --seats 8",
        "factory rehearse --branch main --misfits run --approve",
        "factory rehearse --commits 30 --json",
    ),
    text="Each commit becomes a job: an oracle applies its change in a workspace where an agent"
    " would work, and scopes, policy, gate and tests judge it as any other work. The target is a"
    " branch of the run's own, which goes afterwards. It says how many changes an hour the line"
    " can land, what it refused and why, and what limits it.",
)
def rehearse_command(
    commits: Annotated[
        int, typer.Option("--commits", "-n", min=1, max=5000, metavar="N", help="How many.")
    ] = 20,
    branch: Annotated[
        str | None,
        typer.Option(
            "--branch", metavar="BRANCH", help="Whose last commits; default: what is checked out."
        ),
    ] = None,
    seats: Seats = None,
    misfits: Annotated[
        Literal["leave", "run"],
        typer.Option(
            "--misfits",
            help="What becomes of a commit that fits no coding station: it is left out, or runs at"
            " one over the whole repository.",
        ),
    ] = "leave",
    approve: Annotated[
        bool,
        typer.Option("--approve", help="Answer yes where a person would be asked."),
    ] = False,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep the branch that the replay landed on.")
    ] = False,
    sandbox: Kind = None,
    trust: Trust = False,
    no_sandbox: Bare = False,
    json: Json = False,
) -> int:
    """Rehearse and say what the line can land."""
    from factory import rehearsing
    from factory import site as sites
    from factory.views import show

    options = options_of(
        seats=seats, sandbox=sandbox, trust=trust or None, no_sandbox=no_sandbox or None
    )
    site = here(options)
    sites.check_trust(site, given=trust)
    wish = rehearsing.Wish(
        commits=commits,
        tip=rehearsing.tip_of(site, branch),
        misfits=misfits == "run",
        approve=approve,
        keep=keep,
    )
    box = sites.sandbox_of(site, without=no_sandbox)
    if not box.contains:
        say("no sandbox: tests can read and write whatever you can")
    with show.progress(site.environment, quiet=json) as watch:
        done = rehearsing.start(site, wish, box, options=options, watch=watch, say=say)
    return told(done, wish, json=json)


def go_on(
    site: "Site", run: "RunId", box: "Sandbox", options: Mapping[str, str], *, json: bool
) -> int | None:
    """Go on with a run if it is a rehearsal, and give the exit code; None for another one."""
    from factory import rehearsing
    from factory.views import show

    wish = rehearsing.wish_of(options)
    if wish is None:
        return None
    with show.progress(site.environment, quiet=json) as watch:
        done = rehearsing.resume(site, run, box, wish, watch=watch, say=say)
    return told(done, wish, json=json)


def told(done: "Rehearsed", wish: "Wish", *, json: bool) -> int:
    """Show a rehearsal, and give its exit code."""
    from factory.views import rehearsal, show

    document = rehearsal.document(
        done.told,
        tip=wish.tip,
        green=done.whole,
        same=done.same,
        kept=done.kept,
        notes=done.replay.notes,
        code=done.code,
    )
    if json:
        emit(document)
    else:
        show.screen_on(sys.stdout).show(*rehearsal.parts(document))
    line = done.told.line
    if line.closing is not None:
        say(f"not at its end: `factory resume {line.run}` goes on")
    return done.code
