"""What moved since a plan's survey: items and pull requests as the forge has them now.

Nothing is worked on, and nothing is written about, that is not any more what was read. What is
left for that is said with why, and the rest of the plan goes on.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from factory.fixes import Left
from factory.forge import standing
from factory.forge.briefs import credit, plain_path
from factory.forge.connecting import Forge
from factory.forge.failures import Gone, Missing
from factory.forge.people import People
from factory.forge.texts import OFF
from factory.forge.values import Issue, Pull
from factory.strategy import document
from factory.strategy.values import Credit, Plan, PlanItem
from worktrees.names import Oid


@dataclass(slots=True, kw_only=True)
class Now:
    """What was found: marks of the issues as they are, and the heads of pull requests to build on.

    ``unused`` are pull requests that cannot be built on, each with why; ``authors`` are the logins
    of the open ones that the plan builds on or replaces, ``credit`` the lines of credit for them.
    """

    marks: dict[int, str] = field(default_factory=dict)
    left: dict[int, Left] = field(default_factory=dict)
    heads: dict[int, Oid] = field(default_factory=dict)
    unused: dict[int, str] = field(default_factory=dict)
    authors: dict[int, str] = field(default_factory=dict)
    credit: dict[int, tuple[str, ...]] = field(default_factory=dict)


def look(forge: Forge, plan: Plan, *, onto: str, replace: bool) -> Now:
    """Look at everything that a plan works on or builds on; heads of pull requests come here.

    ``onto`` is the branch that the work is for; empty means the forge's default one.
    """
    now, people = Now(), People(forge.door)
    branch = onto or forge.door.repository().default
    building = {each.pr for each in built(plan)} if not replace else set()
    for number in dict.fromkeys(each.pr for each in plan.credit):
        try:
            pull = forge.door.pull(number)
        except (Gone, Missing):
            why = "it is not there any more"
        else:
            if pull.state == "open":  # nothing takes the place of what is done with
                now.authors[number] = pull.author.login
                now.credit[number] = credit(pull.author, forge.repo)
            why = _unfit(forge, plan, pull, branch, now) if number in building else ""
        if why and number in building:
            now.unused[number] = why
    known = _known(plan, now, replace=replace)
    own = {
        pull.number
        for name in document.branches(plan)
        for pull in forge.door.pulls(head=f"{forge.repo.owner}:{name}", state="open")
    }
    for number in plan.worked():
        found = _item(forge, plan.item(number), people, now, known=known, own=own)
        if found is not None:
            now.left[number] = found
    return now


def built(plan: Plan) -> tuple[Credit, ...]:
    """Give the pull requests that a plan builds on, each once."""
    found = {each.pr: each for each in plan.credit if each.how == "co-author"}
    return tuple(found.values())


def _known(plan: Plan, now: Now, *, replace: bool) -> set[int]:
    """Give the pull requests that are no hindrance: built on, or replaced by a person's word.

    Where one is built on, others for its root cause are superseded by that one.
    """
    if replace:
        return {each.pr for each in plan.credit}
    causes = {plan.item(number).root_cause_id for number in now.heads}
    also = {each.pr for each in plan.credit if plan.item(each.pr).root_cause_id in causes - {None}}
    return (now.heads.keys() | also) - now.unused.keys()


def _unfit(forge: Forge, plan: Plan, pull: Pull, branch: str, now: Now) -> str:
    """Bring the head of a pull request here; say why it is not built on where it is not."""
    number = pull.number
    item = next((each for each in plan.items if each.n == number), None)
    if pull.merged:
        return "it was merged meanwhile"
    if pull.state != "open":
        return "it was closed meanwhile"
    if OFF in pull.labels:
        return f"it has the label {OFF}"
    if pull.base_ref != branch:  # it would bring whatever else that branch holds
        return f"it is for the branch {plain_path(pull.base_ref)} and not for {branch}"
    if item is not None and item.head_sha and item.head_sha != pull.head_sha:
        return f"its head moved from {item.head_sha[:12]} to {pull.head_sha[:12]} since the survey"
    head = forge.remote.fetch(f"refs/pull/{number}/head")
    if head != pull.head_sha:
        return "its head moves at this moment"
    now.heads[number] = head
    return ""


def _item(
    forge: Forge,
    item: PlanItem,
    people: People,
    now: Now,
    *,
    known: Collection[int],
    own: Collection[int],
) -> Left | None:
    number = item.n
    try:
        issue = forge.door.issue(number)
    except (Gone, Missing):
        return Left(state="left", why="it is not there any more")
    if issue.is_pull:
        return Left(state="left", why="it is a pull request")
    others = [
        each
        for each in forge.door.references(number)
        if (each.kind, each.is_pull, each.state) == ("closes", True, "open")
        and each.repo.lower() == forge.repo.full.lower()
        and each.number not in known
    ]
    for each in others:
        if each.number in own:
            why = f"this plan is offered already: pull request {each.number}"
            return Left(state="in-flight", why=why)
        unused = now.unused.get(each.number, "")
        more = (
            f", which is not built on: {unused}"
            if unused
            else "; name it in the plan's credit to build on it, or to do it anew with --replace"
        )
        return Left(state="in-flight", why=f"pull request {each.number} is open for it{more}")
    why = next(_changes(forge, issue, item.updated_at, people), "")
    if why:
        return Left(state="left", why=why)
    now.marks[number] = standing.mark(issue)
    return None


def _changes(forge: Forge, issue: Issue, since: datetime, people: People) -> Iterator[str]:
    """Say what of an issue is not as it was surveyed; what strangers add changes nothing."""
    if issue.state != "open":
        yield "it was closed since the survey"
    if OFF in issue.labels:
        yield f"it has the label {OFF}"
    if since.tzinfo is None:
        since = since.replace(tzinfo=UTC)
    if issue.updated <= since:
        return
    happened = forge.door.timeline(issue.number)
    renamed = any(each.kind == "renamed" and _late(each.at, since) for each in happened)
    if renamed or any(_late(each.at, since) for each in forge.door.edits(issue.number)):
        yield "its text was changed since the survey"
    said = [each for each in forge.door.comments(issue.number) if each.updated > since]
    if people.heard(said):
        yield "somebody commented on it since the survey"


def _late(at: datetime | None, since: datetime) -> bool:
    return at is None or at > since
