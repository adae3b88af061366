"""The command that shows the runs of a repository on a live page, for a browser of this machine."""

import secrets
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from factory.cli.acting import promise
from factory.cli.app import Json, command, emit, say
from factory.cli.balancing import letter_of
from factory.cli.finding import is_alive, ledger_of
from factory.cli.place import here
from factory.complaint import Complaint

if TYPE_CHECKING:
    from collections.abc import Sequence

_ANY = frozenset({"0.0.0.0", "::"})  # noqa: S104  (compared with, never listened on by default)


@command(
    "serve",
    short="Show runs on a live page: who limits the line, where jobs wait, what it costs.",
    examples=(
        "factory serve                      print an address with a token; Ctrl-C ends it",
        "factory serve --port 9000",
        "ssh -L 8470:127.0.0.1:8470 HOST    to look at it from another machine",
    ),
    text="Only browsers of this machine reach it, and only with the token of the printed address."
    " --host opens it to others, without encryption: then the token comes from --token-file.",
)
def serve_command(
    port: Annotated[
        int | None,
        typer.Option("--port", min=0, max=65535, help="Default: 8470, or any that is free."),
    ] = None,
    host: Annotated[
        str,
        typer.Option(
            "--host", help="The address to listen on; others than this machine's need --token-file."
        ),
    ] = "127.0.0.1",
    name: Annotated[
        list[str] | None,
        typer.Option(
            "--name", metavar="NAME", help="What browsers call this host, besides --host."
        ),
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(
            "--token-file", metavar="FILE", help="A token of your own, at least 32 characters."
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Serve until Ctrl-C."""
    from factory import serving, showing
    from factory.balancing import policy_of

    site = here({})
    with ledger_of(site.repository) as ledger:
        path = ledger.path
    names = _names(host, name or [], guarded=token_file is not None)
    token = secrets.token_urlsafe() if token_file is None else _token(token_file)
    listening = serving.listen(host, port)
    entry = serving.Entry(names=names, port=listening.getsockname()[1], token=token)
    house = showing.House(
        ledger=path,
        policy=policy_of(site.settings.pace),
        alive=lambda ledger, last: is_alive(site.repository, ledger, last),
        order=letter_of,
        promise=lambda letter, run, active: promise(letter, run, active=active),
    )
    shown = next(iter(name or [host]))
    address = entry.address(shown, with_token=token_file is None)
    if json:
        emit({"schema": "factory.serve/1", "address": address, "port": entry.port})
    else:
        print(address, flush=True)
        more = "" if token_file is None else f" (add ?token= and the token of {token_file})"
        say(f"open this address{more}; Ctrl-C ends it")
    serving.serve(house, entry, listening)
    say("factory serve: ended")


def _names(host: str, more: "Sequence[str]", *, guarded: bool) -> frozenset[str]:
    """Give what browsers may call this host; complain where strangers could come in."""
    from factory.serving import LOOPBACK

    if host in LOOPBACK:
        return LOOPBACK | frozenset(more)
    if not guarded:
        raise Complaint(
            f"--host {host} lets other machines in: that takes a token that no screen shows",
            hint="give --token-file FILE; or leave --host out and use ssh -L 8470:127.0.0.1:8470",
        )
    if host in _ANY and not more:
        raise Complaint(
            f"--host {host} says not what browsers call this host", hint="give --name as well"
        )
    return frozenset(more) | (frozenset() if host in _ANY else {host})


def _token(file: Path) -> str:
    """Give the token of a file that nobody else can read."""
    from factory.serving import token_problem

    try:
        mode = file.stat().st_mode
        token = file.read_text(errors="replace").strip()
    except OSError as error:
        raise Complaint(f"cannot read {file}: {error.strerror}", hint="see --token-file") from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise Complaint(f"others may read {file}", hint=f"chmod 600 {file}")
    problem = token_problem(token)
    if problem is not None:
        raise Complaint(
            f"the token of {file} will not do: {problem}",
            hint=f"python3 -c 'import secrets; print(secrets.token_urlsafe())' > {file}",
        )
    return token
