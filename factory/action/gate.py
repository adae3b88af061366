"""Gate: decides whether an event starts the Action, pins what it starts on, and takes the lease.

It runs no model and no code of the repository. For whoever may not start it, it is silent: no
comment, no red cross, and only the page of the run says why.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass

from factory.action import marker, texts
from factory.action.inputs import Inputs, Workflow
from factory.complaint import Complaint
from factory.forge.connecting import Forge
from factory.forge.gatekeeping import (
    Ask,
    Decision,
    Item,
    Pins,
    admitted,
    asked,
    decide,
    fingerprint,
    themed,
)
from factory.forge.values import Issue, Pull

MOST_EVENT = 25_000_000
"""Bytes of an event that is read: GitHub itself sends no larger one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gated:
    """What the gate decided: whether the work starts, why, and on what."""

    go: bool
    why: str
    pins: Pins | None = None
    silent: str = ""


def run(forge: Forge, flow: Workflow, given: Inputs, *, wait: Callable[[float], object]) -> Gated:
    """Decide on the event of this workflow's run."""
    ask = asked(flow.event, event(flow), given.wishes)
    if isinstance(ask, Decision):
        return Gated(go=False, why=ask.why)
    decision = allowed(forge, flow, given, ask)
    if not decision.go:
        return Gated(go=False, why=decision.why)
    command = given.wishes.command
    if not ask.number:
        branch = forge.door.repository().default
        pins = themed(ask, branch, _tip(forge, branch), command)
        return Gated(go=True, why=decision.why, pins=pins)
    item, base = look(forge, ask.number)
    found = admitted(ask, item, base, command=command)
    if isinstance(found, Decision):
        return Gated(go=False, why=found.why)
    held = marker.Marker(forge, ask.number, command=command, wait=wait)
    other = held.claim(
        flow.run,
        seconds=given.minutes * 60 + marker.MARGIN,
        text=texts.working(flow.page),
    )
    if other is not None:
        return Gated(go=False, why=f"already running: run {other.run} works on #{ask.number}")
    return Gated(go=True, why=decision.why, pins=found, silent=held.silent)


def event(flow: Workflow) -> object:
    """Read the event of the run; complain when it is no document."""
    try:
        if flow.event_file.stat().st_size > MOST_EVENT:
            raise Complaint(f"{flow.event_file.name} is larger than any event of GitHub", code=7)
        return json.loads(flow.event_file.read_bytes())
    except (OSError, ValueError) as error:
        raise Complaint(
            f"{flow.event_file.name} cannot be read as an event: {type(error).__name__}",
            hint="this runs as a step of a GitHub workflow, by action.yml",
            code=7,
        ) from None


def allowed(forge: Forge, flow: Workflow, given: Inputs, ask: Ask) -> Decision:
    """Ask GitHub what whoever asks may do, and whoever started the run again as well."""
    first = decide(ask, given.wishes, _permission(forge, ask))
    again = flow.actor
    if not first.go or not again or again.lower() == ask.actor.lower():
        return first
    second = Ask(actor=again, bot=again.endswith("[bot]"), number=ask.number)
    found = decide(second, given.wishes, _permission(forge, second))
    return first if found.go else found


def _permission(forge: Forge, ask: Ask) -> str:
    # Of a bot only its name counts.
    return "none" if ask.bot else forge.door.permission(ask.actor)


def look(forge: Forge, number: int) -> tuple[Item, str]:
    """Give an item as it is now, and the commit that work on it starts from."""
    issue = forge.door.issue(number)
    if not issue.is_pull:
        branch = forge.door.repository().default
        return item_of(issue, None, branch), _tip(forge, branch)
    pull = forge.door.pull(number)
    return item_of(issue, pull, pull.base_ref), _tip(forge, pull.base_ref)


def item_of(issue: Issue, pull: Pull | None, branch: str) -> Item:
    """Give what counts of an issue or pull request."""
    ours = pull is not None and pull.head_repo is not None
    return Item(
        number=issue.number,
        is_pull=issue.is_pull,
        open=issue.state == "open",
        updated=issue.updated.strftime("%Y-%m-%dT%H:%M:%SZ"),
        content=fingerprint(issue.title, issue.body),
        labels=frozenset(issue.labels),
        head=pull.head_sha if pull is not None else "",
        branch=branch,
        fork=pull is not None and not (ours and _same(pull)),
    )


def _same(pull: Pull) -> bool:
    """Say whether a pull request's branch lies in the repository that it is opened on."""
    base = pull.url.split("/")[-4:-2]
    return pull.head_repo is not None and pull.head_repo.lower() == "/".join(base).lower()


def _tip(forge: Forge, branch: str) -> str:
    tip = forge.door.branch(branch)
    if tip is None:
        raise Complaint(f"{forge.repo.full} has no branch {branch!r} with a commit", code=7)
    return tip
