"""The command that turns a goal into an editable jobs file."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from factory.cli.app import Json, command, emit, say
from factory.cli.place import here
from factory.complaint import Complaint
from factory.wording import count

if TYPE_CHECKING:
    from factory.sharing import Shared
    from factory.site import Site
    from worktrees.names import RunId

ENDS: Final[Mapping[str, tuple[int, str]]] = {
    "budget": (3, "a larger --budget, or a narrower goal"),
    "denied": (7, "factory doctor"),
    "limited": (75, "try again later"),
    "stopped": (130, ""),
}
"""The exit code and what to do, by why there was no reply."""


@command(
    "split",
    short="Let a large model turn a goal into an editable jobs file. It runs nothing.",
    examples=(
        'factory split "Support PUT for all resources"            print the jobs',
        'factory split "Support PUT for all resources" -o jobs.toml',
        "factory plan @jobs.toml",
    ),
    text="Each brief is two sentences at most; a job that needs more is split once again.",
)
def split_command(
    goal: Annotated[str, typer.Argument(metavar="GOAL", help="What shall be reached.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write the jobs into this new file."),
    ] = None,
    depth: Annotated[
        int, typer.Option("--depth", min=1, max=2, help="How often a large job is split again.")
    ] = 2,
    budget: Annotated[
        str | None, typer.Option("--budget", metavar="LIMITS", help='For instance "1" (USD).')
    ] = None,
    trust: Annotated[
        bool, typer.Option("--trust", help="Allow the repository's own configuration.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
    json: Json = False,
) -> None:
    """Ask for the jobs, and write or print them."""
    from factory import sharing
    from factory import site as sites
    from stations.models.values import ModelError
    from worktrees.names import RunId

    if not goal.strip():
        raise Complaint("the goal says nothing", hint='factory split "what shall be reached"')
    if output is not None and output.exists() and not force:
        raise Complaint(f"{output} exists", hint="--force replaces it")
    site = here({} if budget is None else {"budget": budget})
    sites.check_trust(site, given=trust)
    run = RunId(f"split-{sites.new_run()}")
    try:
        made = _shared(site, run, goal, depth=depth)
    except ModelError as error:
        code, hint = ENDS.get(error.cause, (1, "factory doctor"))
        raise Complaint(f"no reply: {error}", hint=hint, code=code) from error
    if output is not None:
        output.write_text(made.text, "utf-8")
    if json:
        emit(sharing.document(made, goal, output))
        return
    if output is None:
        print(made.text, end="")
    else:
        say(f"wrote {output}: look at it and change it, then `factory plan @{output}`")
    for note in made.notes:
        say(f"note: {note}")
    say(f"{count(len(made.jobs), 'job')}; {sharing.cost(made.spent, made.model)}")


def _shared(site: "Site", run: "RunId", goal: str, *, depth: int) -> "Shared":
    import time

    from factory import models, sharing
    from factory.calls import tally
    from factory.models import Models
    from stations.bench import tracked
    from stations.models.values import ModelError

    provider = models.provider_of(site.settings, "anthropic")
    models.check_key(provider, site.settings, who="`factory split`")
    head = site.repository.git.resolve("HEAD")
    if head is None:
        raise Complaint("the repository has no commit", hint="make a first commit", code=7)
    site.repository.factory.mkdir(parents=True, exist_ok=True)
    path = site.environment.path
    with Models(site.settings, site.ledger, run, path=path, now=time.time, warn=say) as shared:
        caller = shared.caller()
        desk = sharing.Desk(
            settings=site.settings,
            caller=caller,
            run=run,
            tracked=tracked(site.repository.git, head),
            calls=lambda: shared.calls.of_run(run),
        )
        models.check_prices(site.settings, (desk.model,), who="`factory split`")
        say(f"asking {desk.model}")
        try:
            return sharing.share(desk, goal, depth=depth)
        except (Complaint, ModelError):
            say(sharing.cost(tally(desk.calls()), desk.model))
            raise
