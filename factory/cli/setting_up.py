"""Commands that set a repository up: init, doctor, trust, config, completion."""

import sys
from collections.abc import Iterator
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from factory.cli.app import Json, command, emit, say
from factory.cli.place import here
from factory.complaint import Complaint

if TYPE_CHECKING:
    from factory.site import Site

UNFIT = 7
"""The exit code when the line could not run here."""


@command(
    "init",
    short="Look at the repository and write a factory.toml of at most 30 lines.",
    examples=("factory init", "factory init --dry-run"),
)
def init_command(
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the file, write nothing.")
    ] = False,
    json: Json = False,
) -> None:
    """Write the file and say what was found."""
    from factory import onboard
    from stations.bench import tracked
    from worktrees.git import open_repository

    repository = open_repository(Path.cwd())
    where = repository.checkout
    if where is None:
        raise Complaint("a bare repository has no place for a factory.toml")
    path = where / "factory.toml"
    head = repository.git.resolve("HEAD")
    found = onboard.look(where, () if head is None else tracked(repository.git, head))
    text = onboard.config_text(found)
    if dry_run:
        if not json:
            print(text, end="")
    elif path.exists() and not force:
        raise Complaint(f"{path} exists", hint="--force replaces it, --dry-run only prints")
    else:
        path.write_text(text)
    for line in onboard.told(found):
        say(line)
    if json:
        emit({"schema": "factory.init/1", "path": str(path), "written": not dry_run, "text": text})
    elif not dry_run:
        say(f"wrote {path}; look at it, then `factory trust` and `factory plan`")


@command(
    "doctor",
    short="Say what stands in the line's way here, each with its fix.",
    examples=("factory doctor", "factory doctor --json"),
    text="Exit code 7 when the line could not run.",
)
def doctor_command(json: Json = False) -> int:
    """Check the machine and the repository."""
    from factory import checkup
    from factory.views import show

    found = checkup.look(here({}))
    if json:
        emit(checkup.document(found))
    else:
        show.findings(found)
    return UNFIT if any(not each.ok and each.stops for each in found) else 0


@command(
    "trust",
    short="Look at the repository's own commands and remember that they may run.",
    examples=(
        "factory trust",
        "factory trust --yes",
        "factory trust --forget",
        "factory trust a.toml b.toml   for `factory run --compare`",
    ),
)
def trust_command(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[FILE]...",
            help="Other versions of factory.toml, to be compared.",
            show_default=False,
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    forget: Annotated[bool, typer.Option("--forget", help="Take it back.")] = False,
    json: Json = False,
) -> None:
    """Show the commands; remember the yes by path and content."""
    asked = [_trust(file, yes=yes, forget=forget) for file in files or (None,)]
    if json:
        place, trusted = here({}).place, all(trusted for trusted, _ in asked)
        emit({"schema": "factory.trust/1", "repository": str(place), "trusted": trusted})
        return
    for _, text in asked:
        say(text)


def _trust(given: Path | None, *, yes: bool, forget: bool) -> tuple[bool, str]:
    """Ask for the repository's own commands, or a file's; say whether they are trusted now."""
    from factory import trust

    file = None if given is None else given.absolute()

    site = here({}, instead=file)
    state, place = site.environment.state_dir, file or site.place
    if forget:
        trusted, text = False, "forgotten" if trust.forget(state, place) else "there was no trust"
    else:
        _show_commands(site, file)
        trusted = _agreed(site, yes=yes)
        if trusted and site.settings.trust_hash:
            trust.remember(state, place, site.settings.trust_hash)
        text = f"{place} is trusted as it is now" if trusted else "nothing was remembered"
    return trusted, text


def _show_commands(site: "Site", file: Path | None) -> None:
    if not site.settings.trusts:
        say(f"{file or 'this repository'} brings no commands of its own")
    for item in site.settings.trusts:
        say(f"{item.where}: {item.what}")


def _agreed(site: "Site", *, yes: bool) -> bool:
    if yes or not site.settings.trusts:
        return True
    if not sys.stdin.isatty():
        raise Complaint("nobody is here to ask", hint="factory trust --yes")
    return typer.confirm("May these run here?", default=False, err=True)


@command(
    "config",
    short="Check, show or describe the configuration; list its versions, put one back.",
    examples=(
        "factory config check",
        "factory config show --origin",
        "factory config schema",
        "factory config history            every version that a run used, and how it did",
        "factory config rollback 3f2a9c --dry-run",
    ),
)
def config_command(
    what: Annotated[
        Literal["check", "show", "schema", "history", "rollback"],
        typer.Argument(metavar="check|show|schema|history|rollback"),
    ],
    version: Annotated[
        str | None,
        typer.Argument(metavar="[VERSION]", help="Of rollback: how a version's hash begins."),
    ] = None,
    origin: Annotated[bool, typer.Option("--origin", help="Say where each value is from.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Of rollback: show what would change, write nothing.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Of rollback: lose changes that nothing keeps.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    json: Json = False,
) -> None:
    """Check the configuration, show what it amounts to, or print its JSON Schema.

    Or list the versions that runs used, or put one of them back.
    """
    from factory import settings
    from factory.cli import versions

    if what == "rollback":
        if version is None:
            raise Complaint("rollback to which version?", hint="`factory config history`")
        versions.rollback(version, dry_run=dry_run, force=force, yes=yes, json=json)
        return
    if version is not None:
        raise Complaint(f"{what} takes no {version!r}", hint=f"factory config {what}")
    if what == "history":
        versions.history(json=json)
        return
    if what == "schema":
        emit(settings.schema())
        return
    site = here({})
    shown = settings.show(site.settings)
    if what == "check":
        for note in (*site.settings.warnings, *site.settings.notes):
            say(f"note: {note}")
        if json:
            emit({"schema": "factory.check/1", "ok": True, "warnings": shown["warnings"]})
        else:
            say("the configuration is sound")
    elif json:
        emit(shown)
    else:
        for key, value in _leaves(shown, ""):
            note = f"  # {site.settings.origins.get(key, 'default')}" if origin else ""
            print(f"{key} = {dumps(value)}{note}")


def _leaves(value: object, key: str) -> Iterator[tuple[str, object]]:
    if isinstance(value, dict) and value:
        for name, below in value.items():
            if not key and name in ("origins", "schema"):
                continue
            yield from _leaves(below, f"{key}.{name}" if key else str(name))
    else:
        yield key, value


@command(
    "completion",
    short="Print the completion script of a shell.",
    examples=('eval "$(factory completion bash)"',),
)
def completion_command(
    shell: Annotated[Literal["bash", "zsh", "fish"], typer.Argument(metavar="bash|zsh|fish")],
    json: Json = False,
) -> None:
    """Print the script."""
    from typer._completion_shared import get_completion_script

    script = get_completion_script(
        prog_name="factory", complete_var="_FACTORY_COMPLETE", shell=shell
    )
    if json:
        emit({"schema": "factory.completion/1", "shell": shell, "script": script})
    else:
        print(script)
