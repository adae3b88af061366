"""The typer app, what all commands share, and the one edge where an error becomes an exit code.

Nothing heavy is imported here: `factory --help` loads no door.
"""

import contextlib
import errno
import json
import os
import platform
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import typer

from factory.complaint import Complaint
from factory.wording import block, clean, masked

DISTRIBUTION: Final = "coding-agent-factory"
INTERRUPTED: Final = 130
ORDER: Final[tuple[str | None, ...]] = (
    *(
        "demo",
        "init",
        "doctor",
        "scopes",
        "rehearse",
        "plan",
        "run",
        "pull",
        "survey",
        "fix",
        "status",
        "watch",
        "logs",
        "why",
        "diff",
        "events",
    ),
    *("take", "tell", "inbox", "kill", "retry", "pause", "resume", "balance", "report", "serve"),
    *("split", "clean"),
    *("trust", "config", "completion"),
)
"""The commands in the order in which a person meets them; others come last."""
EPILOG: Final = (
    "Exit codes: 0 all landed or nothing to do, 1 a job failed, 2 usage or configuration, 3 budget"
    " reached, 4 waits for a person, 5 a gate refused, 6 another run holds the repository, 7 the"
    " environment cannot run the line, 75 rate limited, 130 interrupted (resumable)."
)

Command = TypeVar("Command", bound=Callable[..., object])

Json = Annotated[
    bool, typer.Option("--json", help="Print one JSON document on standard output, nothing else.")
]
"""The option that every command has."""


app: Final = typer.Typer(
    name="factory",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    add_completion=False,
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def command(
    name: str, *, short: str, examples: Sequence[str], text: str = ""
) -> Callable[[Command], Command]:
    """Give the decorator that makes a function a command whose help leads with examples."""
    lines = "\n".join(f"  {example}" for example in examples)
    whole = f"\b\nExamples:\n{lines}\n\n{short}\n\n{text}".rstrip()
    register = app.command(name, help=whole, short_help=short)

    def keep(function: Command) -> Command:
        @wraps(function)
        def interruptible(*args: Any, **options: Any) -> Any:
            try:
                return function(*args, **options)
            except KeyboardInterrupt as stop:
                # typer would leave with 130 by itself, and nobody would be told.
                raise typer.Abort from stop

        register(interruptible)
        return function

    return keep


def installed() -> str:
    """Give the version of the factory that runs."""
    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError:
        return "0+checkout"


def _version(wanted: bool) -> None:
    if wanted:
        print(f"factory {installed()}")
        raise typer.Exit


@app.callback(
    help="\b\nExamples:\n  factory demo                  see it work, in a minute, without a key\n"
    "  factory init                  write a factory.toml for this repository\n"
    '  factory run "Fix the typo"    do one job on a branch of its own\n'
    "  factory status                see where everything is\n\n"
    "A factory line for code changes: scoped agents in their own worktrees, tested as exactly the"
    " tree that lands."
)
def _top(
    where: Annotated[
        Path | None,
        typer.Option("-C", metavar="PATH", help="Work as if started in this directory."),
    ] = None,
    version: Annotated[  # noqa: ARG001  typer calls it by its own callback
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    if where is None:
        return
    if not where.is_dir():
        raise Complaint(f"{where} is not a directory", hint="give -C an existing directory")
    os.chdir(where)  # `run` goes back at its end


def emit(document: Mapping[str, object]) -> None:
    """Print the one JSON document of a command on standard output."""
    print(json.dumps(document, indent=2))


def say(text: str) -> None:
    """Tell a person something on standard error; control characters are made visible."""
    print(block(text), file=sys.stderr)


def run(argv: Sequence[str]) -> int:
    """Run one command and give its exit code; every error ends here."""
    try:
        start = Path.cwd()
    except FileNotFoundError:
        say("factory: the current directory does not exist any more")
        return 2
    with contextlib.chdir(start):
        return _run(argv, as_json="--json" in argv)


def _run(argv: Sequence[str], *, as_json: bool) -> int:
    app.registered_commands.sort(
        key=lambda known: ORDER.index(known.name) if known.name in ORDER else len(ORDER)
    )
    try:
        code = app(args=list(argv), prog_name="factory", standalone_mode=False)
        sys.stdout.flush()
    except Complaint as complaint:
        return _tell(complaint, as_json=as_json)
    except typer.TyperException as error:
        return _tell(_usage(error), as_json=as_json)
    except (KeyboardInterrupt, typer.Abort):
        say("factory: interrupted")
        return INTERRUPTED
    except SystemExit as end:
        # typer leaves so when whoever read has gone, and has quieted the streams.
        return 0 if isinstance(end.__context__, BrokenPipeError) else 1
    except Exception as error:  # noqa: BLE001  the edge: whatever is left is a bug or known below
        return _tell(_expected(error) or _crash(error, argv), as_json=as_json)
    return code if isinstance(code, int) else 0


def _tell(complaint: Complaint, *, as_json: bool) -> int:
    if as_json:
        emit(
            {
                "schema": "factory.error/1",
                "error": complaint.what,
                "hint": complaint.hint,
                "exit": complaint.code,
            }
        )
    elif complaint.what:
        say(f"factory: {masked(complaint.what)}")
        if complaint.hint:
            say("\n".join(f"  {line}" for line in complaint.hint.splitlines()))
    return complaint.code


def _usage(error: typer.TyperException) -> Complaint:
    context = getattr(error, "ctx", None)
    said = error.format_message()
    if context is None:
        return Complaint(said, hint="factory --help", code=error.exit_code)
    if not said or type(error).__name__ == "NoArgsIsHelpError":
        print(context.get_help())
        return Complaint("", code=2)
    return Complaint(said, hint=f"{context.command_path} --help", code=error.exit_code)


def _expected(error: Exception) -> Complaint | None:
    """Give the complaint for an error that the layers below declare; None for a bug."""
    import sqlite3

    from factory.calls import CallsError
    from factory.config.mistakes import ConfigErrors
    from factory.forge.failures import ForgeError, Limited, remedy
    from factory.ledger import LedgerError
    from stations.box import SandboxError
    from worktrees.git import GitError, NotARepository
    from worktrees.lock import LockTimeout

    match error:
        case ConfigErrors():
            return Complaint(f"the configuration has mistakes\n{error}", code=2)
        case NotARepository():
            return Complaint(
                f"{Path.cwd()} is not in a git repository that can be used",
                hint=f"git says: {clean(str(error))}",
                code=2,
            )
        case ForgeError():
            asked = f" (request {error.request_id})" if error.request_id else ""
            return Complaint(
                f"the forge: {error.message}{asked}",
                hint=remedy(error),
                code=75 if isinstance(error, Limited) else 7,
            )
        case LedgerError() | CallsError() | SandboxError():
            return Complaint(str(error), hint="factory doctor", code=7)
        case sqlite3.Error():
            return Complaint(f"the ledger cannot be used: {error}", hint="factory doctor", code=7)
        case LockTimeout():
            return Complaint(str(error), hint="wait for it, or end that process", code=6)
        case GitError():
            return Complaint(f"git failed: {error}", hint="factory doctor", code=7)
        case OSError(errno=errno.ENOSPC | errno.EDQUOT | errno.EROFS | errno.EIO):
            return Complaint(
                f"{error.filename or 'the disk'}: {error.strerror}",
                hint="make room (`factory clean` shows what can go), then `factory resume`",
                code=7,
            )
        case _:
            return None


def _crash(error: Exception, argv: Sequence[str]) -> Complaint:
    """Leave a file that can be pasted into an issue, and say where it is."""
    trace = "".join(traceback.format_exception(error))
    text = (
        f"factory {installed()}, Python {platform.python_version()}, {platform.platform()}\n"
        f"arguments: {json.dumps([masked(word) for word in argv])}\n\n{masked(trace)}"
    )
    with tempfile.NamedTemporaryFile(
        "w", prefix="factory-crash-", suffix=".txt", delete=False, dir=_crash_place()
    ) as file:
        file.write(text)
    return Complaint(
        f"this is a bug: {type(error).__name__}: {clean(str(error))}",
        hint=f"what happened is in {file.name}; please report it with that file",
        code=1,
    )


def _crash_place() -> Path | None:
    """Give the repository's own directory for crash files; None where there is none."""
    from worktrees.git import GitError, open_repository

    try:
        place = open_repository(Path.cwd()).factory / "crashes"
        place.mkdir(exist_ok=True)
    except (GitError, OSError):
        return None
    return place
