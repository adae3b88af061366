"""Commands that learn from a repository's own history: scopes."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from factory.cli.app import Json, command, emit, say

if TYPE_CHECKING:
    from factory.site import Site


@command(
    "scopes",
    short="Propose stations whose scopes fit the repository's past changes.",
    examples=(
        "factory scopes                 show the stations and how well they fit",
        "factory scopes --stations 4    with this many stations",
        "factory scopes --write         put them into factory.toml",
    ),
    text="The stations are made from the older four fifths of the changes, and judged on the rest.",
)
def scopes_command(
    commits: Annotated[
        int, typer.Option("--commits", metavar="N", min=1, max=100_000, help="Read so many.")
    ] = 2_000,
    stations: Annotated[
        int | None,
        typer.Option(
            "--stations", metavar="K", min=2, max=20, help="Default: what fits best, 2 to 8."
        ),
    ] = None,
    write: Annotated[
        bool, typer.Option("--write", help="Put the stations into factory.toml.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Replace coding stations that a person wrote.")
    ] = False,
    json: Json = False,
) -> None:
    """Study the history, show what it says, and write it down when that is asked for."""
    from factory.cli.place import here
    from factory.history import keeping, proposing, writing
    from factory.history.studying import study
    from factory.views import scopes as view
    from factory.views.show import screen_on

    site = here({})
    path = keeping.place(site.repository.checkout) if write else None
    found = study(
        site.repository.git,
        most=commits,
        sizes=range(proposing.FEWEST, proposing.MOST + 1) if stations is None else (stations,),
        taken=_taken(site),
        say=say,
    )
    entries = [writing.Entry(name=each.name, scope=each.scope) for each in found.proposal.stations]
    note = view.note(found)
    if path is not None:
        keeping.write(path, entries, note=note, force=force, tracked=found.past.tracked)
    text = writing.rewritten("", entries, note=note, force=False)
    if json:
        emit(view.document(found, text=text, written=str(path) if path is not None else None))
        return
    screen_on(sys.stdout, site.environment).show(*view.parts(found))
    if path is None:
        print(f"\n{text}", end="")
        say("nothing was written: `factory scopes --write` puts these stations into factory.toml")
    else:
        say(f"wrote {path}; look at it, then `factory trust` and `factory plan`")


def _taken(site: "Site") -> tuple[str, ...]:
    """Give the names that no new station may bear: of stations that stay, and reserved ones."""
    from factory.config.references import RESERVED
    from stations.contract import Kind

    stay = (spec.name for spec in site.settings.rules.stations if spec.kind is not Kind.CODE)
    return (*RESERVED, *stay)
