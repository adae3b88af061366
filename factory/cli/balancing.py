"""The command that shows who limits the line, what may be done about it, and has it done."""

import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from factory.cli.acting import post, promise
from factory.cli.app import Json, command, emit, say
from factory.cli.finding import is_alive, ledger_of, meant, read_run, run_of
from factory.cli.place import here
from factory.complaint import Complaint

if TYPE_CHECKING:
    from pathlib import Path

    from factory.balancing import Balancing
    from factory.ledger import Ledger, Letter, Record
    from factory.line import Line
    from factory.site import Site

_ACTIONS = ("show", "suggest", "apply", "undo")


@command(
    "balance",
    short="Show the slowest station, what may be done about it, and have it done or undone.",
    examples=(
        "factory balance                    who limits the line, how sure that is, what was done",
        "factory balance suggest            what may be done now, each with its prediction",
        "factory balance apply seats-code-6",
        "factory balance undo 2             by its number, as `factory balance` shows it",
    ),
)
def balance_command(
    action: Annotated[
        str, typer.Argument(metavar="[show|suggest|apply|undo]", show_default=False)
    ] = "show",
    what: Annotated[
        str | None,
        typer.Argument(metavar="[ID]", help="An option's name, a decision's number."),
    ] = None,
    run: Annotated[
        str | None, typer.Option("--run", metavar="RUN", help="Default: the newest run.")
    ] = None,
    json: Json = False,
) -> None:
    """Print the balance of a run, or leave a letter for its floor."""
    from factory.views import balance, show

    if action not in _ACTIONS:
        raise Complaint(f"{action!r} is nothing that balance does", hint=meant_here(action))
    asks = action in ("apply", "undo")
    if asks and what is None:
        lists = "factory balance suggest" if action == "apply" else "factory balance"
        raise Complaint(f"{action} what?", hint=f"{lists} lists them")
    if not asks and what is not None:
        raise Complaint(f"{action} takes no {what!r}", hint=f"factory balance apply {what}")
    site = here({})
    with ledger_of(site.repository) as ledger:
        line, records, seen, alive = read_balance(site, ledger, run)
        path = ledger.path
    now = time.time()
    if asks and what is not None:
        _post(path, letter_of(line, seen, action, what), line, alive=alive, json=json)
        return
    document = balance.balance_document(line, records, seen, now=now, alive=alive)
    if json:
        emit(document)
        return
    parts = balance.suggest_parts if action == "suggest" else balance.show_parts
    show.screen_on(sys.stdout).show(*parts(document))


def meant_here(action: str) -> str:
    """Give the hint for an action that is none."""
    return meant(action, _ACTIONS, "factory balance --help")


def read_balance(
    site: "Site", ledger: "Ledger", run: str | None
) -> "tuple[Line, tuple[Record, ...], Balancing, bool]":
    """Give a run with how it is balanced, and whether a process works on it."""
    from factory.balancing import balancing, policy_of

    line, records = read_run(ledger, run_of(ledger, run))
    alive = is_alive(site.repository, ledger, records[-1])
    now = time.time() if alive else records[-1].at
    history = [(record.event, record.at) for record in records]
    return line, records, balancing(line, history, policy_of(site.settings.pace), now), alive


def letter_of(line: "Line", seen: "Balancing", action: str, what: str) -> "Letter":
    """Give the letter for the floor; complain of what it would refuse."""
    from factory.balancing import PERSON, take_back
    from factory.events import Settled, Undone
    from factory.ledger import Letter
    from factory.pace.controller import chosen, named

    if all(isinstance(work.place, Settled) for work in line.jobs.values()):
        raise Complaint(
            f"run {line.run} is over: nothing can be changed in it any more",
            hint="what should stay goes into factory.toml",
        )
    if action == "apply":
        option = named(seen.look, seen.limits, what)
        fault = option if isinstance(option, str) else chosen(seen.look, option, by=PERSON)
        if isinstance(fault, str) or isinstance(option, str):
            raise Complaint(str(fault), hint="factory balance suggest lists what there is")
        return Letter(kind="apply", text=what, option=option)
    back = take_back(line, what, landed=seen.pace.landed)
    if not isinstance(back, Undone):
        raise Complaint(back, hint="factory balance lists the decisions")
    return Letter(kind="undo", text=what)


def _post(path: "Path", letter: "Letter", line: "Line", *, alive: bool, json: bool) -> None:
    post(path, line.run, letter)
    if json:
        emit(
            {
                "schema": "factory.letter/1",
                "run": line.run,
                "job": None,
                "kind": letter.kind,
                "what": letter.text,
                "active": alive,
            }
        )
    else:
        noted = promise(letter, line.run, active=alive)
        say(f"{noted} (factory balance shows what it does)")
