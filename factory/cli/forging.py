"""The command that takes labelled issues as jobs, one shot."""

from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from factory.cli.app import Json, command, say
from factory.cli.finding import alive
from factory.cli.place import here
from factory.cli.running import (
    AgentOption,
    Bare,
    Budget,
    Deliver,
    Kind,
    Only,
    Onto,
    Seats,
    Trust,
    carry_out,
    nothing,
    options_of,
)
from factory.complaint import Complaint
from factory.wording import count, listed

if TYPE_CHECKING:
    from factory.site import Site
    from stations.contract import Job


@command(
    "pull",
    short="Take labelled issues as the jobs of one run. One shot, for cron; no daemon.",
    examples=(
        "factory pull --label factory --deliver pr --trust",
        "factory pull --label factory --limit 1 --json",
    ),
    text="It takes open issues, oldest first, whose label somebody with write permission set, which"
    " have no open pull request and which no factory had yet. A second call takes nothing twice.",
)
def pull_command(
    label: Annotated[str, typer.Option("--label", metavar="LABEL", help="Which issues.")],
    limit: Annotated[int, typer.Option("--limit", min=1, max=100, help="At most so many.")] = 10,
    onto: Onto = None,
    deliver: Deliver = None,
    seats: Seats = None,
    budget: Budget = None,
    only: Only = None,
    sandbox: Kind = None,
    agent: AgentOption = None,
    trust: Trust = False,
    no_sandbox: Bare = False,
    json: Json = False,
) -> int:
    """Take issues, run them, and say on each what became of it."""
    from factory import pulling
    from factory import site as sites
    from factory.delivering import connected

    options = options_of(
        onto=onto,
        deliver=deliver,
        seats=seats,
        budget=budget,
        sandbox=sandbox,
        agent=agent,
        trust=trust or None,
        no_sandbox=no_sandbox or None,
        label=label,
    )
    site = here(options)
    sites.check_trust(site, given=trust)
    if alive(site.repository):
        raise Complaint(
            "another run holds this repository", hint="`factory status` shows it", code=6
        )
    with connected(site, say=say) as forge:
        taken = pulling.labelled(
            forge,
            site.settings.rules,
            label,
            limit=limit,
            known=pulling.known_issues(site.ledger),
            only=only,
            now=datetime.now(UTC),
        )
        for number, why in taken.left:
            say(f"issue {number} is left: {why}")
        if not taken.jobs:
            return nothing(f"no issue with the label {label} is to be taken", json=json)
        names = listed(f"gh:{each.number}" for job in taken.jobs for each in job.issues)
        say(f"taking {count(len(taken.jobs), 'issue')}: {names}")
        pulling.claim(forge, taken.jobs)
    with ExitStack() as undo:
        undo.callback(_give_back, site, taken.jobs)
        code = carry_out(site, taken.jobs, options, bare=no_sandbox, json=json)
        undo.pop_all()
    return code


def _give_back(site: "Site", jobs: "Sequence[Job]") -> None:
    """Say on the issues that no run has as jobs that they are free again."""
    from factory import pulling
    from factory.delivering import connected

    placed = pulling.known_issues(site.ledger)
    with connected(site, say=say) as forge:
        pulling.release(
            forge, [job for job in jobs if placed.isdisjoint(each.number for each in job.issues)]
        )
