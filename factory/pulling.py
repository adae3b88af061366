"""Issues in: what people ask for on the forge, read, judged and made into jobs.

Whoever wrote an issue chooses nothing but words: scope, station, commands, budget and needs of its
job are the configuration's and the command line's.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from factory.complaint import Complaint
from factory.config import specs
from factory.events import Dead, Landed, NeedsYou, Placed, Proposed, Rules, Withdrawn
from factory.forge import briefs, replies, standing
from factory.forge.connecting import Forge
from factory.forge.failures import Gone, Missing
from factory.forge.gatekeeping import MARK
from factory.forge.keeping import bears, key_of
from factory.forge.people import People
from factory.forge.texts import BRANCHES, OFF
from factory.forge.values import Comment, Issue, Repo
from factory.ledger import Ledger
from factory.line import Line
from stations.contract import Job, StationSpec, Wanted
from worktrees.names import JobId

STALE: Final = timedelta(hours=24)
"""How long an issue counts as taken by a factory that says nothing more of it."""
LOOKS: Final = 200
"""Labelled issues that are looked at in one call, so that its requests have a bound."""
_NUMBER: Final = re.compile(r"[1-9][0-9]{0,8}")
_MENTIONS: Final = 5
"""Pull requests that only name an issue and are asked whether they are ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """The jobs of labelled issues, and the issues that were left with why, by their number."""

    jobs: tuple[Job, ...]
    left: tuple[tuple[int, str], ...]


def number_of(word: str, repo: Repo) -> int:
    """Give the number that ``gh:12`` or an issue's address names; complain of everything else."""
    if word.startswith("gh:"):
        if not _NUMBER.fullmatch(word.removeprefix("gh:")):
            raise Complaint(f"{word} names no issue", hint="write gh:12 for issue 12")
        return int(word.removeprefix("gh:"))
    try:
        parts = urlsplit(word)
    except ValueError:
        parts = urlsplit("")
    words = parts.path.strip("/").split("/")
    if len(words) != 4 or words[2] not in {"issues", "pull"} or not _NUMBER.fullmatch(words[3]):  # noqa: PLR2004
        raise Complaint(
            f"{briefs.plain_path(word)} is no address of an issue",
            hint=f"it looks like https://{repo.host}/{repo.full}/issues/12",
        )
    named = f"{words[0]}/{words[1]}"
    if (parts.netloc.lower(), named.lower()) != (repo.host.lower(), repo.full.lower()):
        raise Complaint(
            f"{briefs.plain_path(word)} is of another repository than {repo.host}/{repo.full}",
            hint="run it in a clone of that repository, or name the remote: [forge] remote",
        )
    if words[2] == "pull":
        raise Complaint(_is_pull(int(words[3])), hint=f"factory run --pr {words[3]} repairs it")
    return int(words[3])


def jobs_of(
    forge: Forge,
    rules: Rules,
    words: Sequence[str],
    *,
    only: str | None,
    taken: Collection[str],
) -> tuple[Job, ...]:
    """Give the jobs of the issues that the command line names; complain of one that cannot be."""
    people = People(forge.door)
    found: list[Job] = []
    for number in dict.fromkeys(number_of(word, forge.repo) for word in words):
        try:
            issue = forge.door.issue(number)
        except (Gone, Missing) as error:
            raise Complaint(
                f"gh:{number}: there is no such issue in {forge.repo.full}",
                hint=f"look at its number, and whether the token may read it ({error.message})",
            ) from error
        why = _refusal(issue) or _linked(forge, issue)
        if why:
            what, hint = why
            raise Complaint(f"gh:{number}: {what}", hint=hint)
        used = {*taken, *(job.id for job in found)}
        found.append(_job(forge, rules, issue, people, only=only, taken=used))
    return tuple(found)


def labelled(
    forge: Forge,
    rules: Rules,
    label: str,
    *,
    limit: int,
    known: Collection[int],
    only: str | None,
    now: datetime,
) -> Taken:
    """Give jobs for open issues with a label, oldest first, which nobody works on yet.

    ``known`` are issues that runs of this repository had. The label counts only where somebody
    put it there who may write: the template of an issue gives labels to anybody.
    """
    people = People(forge.door)
    jobs: list[Job] = []
    left: list[tuple[int, str]] = []
    issues = [each for each in forge.door.issues(labels=(label,)) if not each.is_pull]
    looked = 0
    for issue in reversed(issues):
        if len(jobs) == limit or looked == LOOKS:
            left.append((issue.number, "not in this call: it took as many as it may"))
            continue
        if issue.number in known:
            left.append((issue.number, "a run of this repository had it"))
            continue
        looked += 1
        why = _passed(forge, issue, label, people, now=now)
        if why:
            left.append((issue.number, why))
            continue
        used = {job.id for job in jobs}
        jobs.append(_job(forge, rules, issue, people, only=only, taken=used))
    return Taken(jobs=tuple(jobs), left=tuple(left))


def known_issues(path: Path) -> frozenset[int]:
    """Give the issues that runs of this repository ever had as jobs."""
    if not path.exists():
        return frozenset()
    with Ledger(path, read_only=True) as ledger:
        return frozenset(
            each.number
            for record in ledger.of_kind("placed")
            if isinstance(record.event, Placed)
            for job in record.event.jobs
            for each in job.issues
        )


def claim(forge: Forge, jobs: Sequence[Job]) -> None:
    """Say on each issue that a factory works on it, before it does."""
    for number in _issues(jobs):
        forge.keep.comment(number, _key(forge, number), replies.at_work(number))


def release(forge: Forge, jobs: Sequence[Job]) -> None:
    """Say on each issue that the work did not begin, so that a later call takes it."""
    for number in _issues(jobs):
        forge.keep.comment(number, _key(forge, number), replies.not_begun(number))


def tell(forge: Forge, line: Line, *, unasked: bool) -> None:
    """Say on each issue of a run what became of it; ``unasked`` only where we said something."""
    wanted = ((work, each.number) for work in line.jobs.values() for each in work.job.issues)
    for work, number in wanted:
        if unasked and not any(_ours_on(forge, number)):
            continue
        match work.place:
            case Landed(commit=commit):
                branch = line.target.removeprefix("refs/heads/")
                said = replies.landed(line.run, branch=branch, commit=commit)
            case Proposed(pull=pull):
                said = replies.proposed(line.run, pull=pull)
            case Dead(fault=fault):
                said = replies.given_up(line.run, number, why=fault)
            case Withdrawn(why=why):
                said = replies.given_up(line.run, number, why=why)
            case NeedsYou(question=question):
                said = replies.asks(line.run, question=question)
            case _:
                said = replies.interrupted(line.run)
        forge.keep.comment(number, _key(forge, number), said)


def station_of(rules: Rules, *, only: str | None, what: str) -> StationSpec:
    """Give the station that takes a job which names none; complain when a person must choose."""
    choices = specs.routes(rules.stations)
    if only is not None:
        found = next((spec for spec in choices if spec.name == only), None)
    else:
        found = specs.route(rules.stations, None)
    if found is None:
        names = ", ".join(spec.name for spec in choices) or "none"
        raise Complaint(
            f"{what} cannot choose its station", hint=f"`--only STATION` does; there are: {names}"
        )
    return found


def _job(
    forge: Forge,
    rules: Rules,
    issue: Issue,
    people: People,
    *,
    only: str | None,
    taken: Collection[str],
) -> Job:
    number = issue.number
    spec = station_of(rules, only=only, what=f"gh:{number}")
    said = forge.door.comments(number) if issue.comments else ()
    heard = people.heard(said)
    strange = sum(not _ours(one) for one in said) - len(heard)
    return Job(
        id=JobId(specs.slug(f"gh {number}", content=issue.url, taken=taken)),
        title=briefs.plain_title(issue.title, fallback=f"Issue {number}"),
        brief=briefs.issue_brief(issue, heard, repo=forge.repo.full, unheard=strange),
        scope=spec.scope,
        route=spec.name,
        source=f"gh:{number}",
        issues=(Wanted(number=number, seen=standing.mark(issue)),),
    )


def _ours(comment: Comment) -> bool:
    return MARK in comment.body


def _refusal(issue: Issue) -> tuple[str, str] | None:
    """Say why an issue is no job, and what to do about it."""
    number = issue.number
    if issue.is_pull:
        return _is_pull(number), f"factory run --pr {number} repairs it"
    if issue.state != "open":
        return "it is closed", "reopen it, or give the text as a job"
    if OFF in issue.labels:
        return f"it has the label {OFF}", "take the label off, if it is yours to take"
    if issue.locked:
        return "its talk is locked", "unlock it, or give the text as a job"
    return None


def _is_pull(number: int) -> str:
    return f"{number} is a pull request and no issue"


def _linked(forge: Forge, issue: Issue) -> tuple[str, str] | None:
    """Say which open pull request is there for an issue: one that closes it, or one of ours."""
    asked = 0
    for each in forge.door.references(issue.number):
        if not each.is_pull or each.state != "open":
            continue
        if each.repo.lower() != forge.repo.full.lower():
            continue
        if each.kind != "closes":
            asked += 1
            if asked > _MENTIONS:
                continue
            if not forge.door.pull(each.number).head_ref.startswith(BRANCHES):
                continue
        what = f"pull request {each.number} is open for it"
        return what, f"`factory run --pr {each.number}` repairs it; or close it first"
    return None


def _passed(forge: Forge, issue: Issue, label: str, people: People, *, now: datetime) -> str:
    """Say why a labelled issue is passed over; empty when it is not."""
    why = _refusal(issue)
    if why is None and issue.comments:
        claimed = _claimed(forge, issue.number, now=now)
        why = (claimed, "") if claimed else None
    if why is None:
        unmeant = _unmeant(forge, issue.number, label, people)
        why = (unmeant, "") if unmeant else None
    why = why or _linked(forge, issue)
    return why[0] if why is not None else ""


def _unmeant(forge: Forge, number: int, label: str, people: People) -> str:
    """Say why a label does not stand for what the issue says; empty when it does."""
    happened = forge.door.timeline(number)
    put = [
        each for each in happened if each.kind == "labeled" and each.label.lower() == label.lower()
    ]
    if not put or put[-1].actor is None or not people.may_write(put[-1].actor):
        return "the label was put there by somebody without write permission"
    meant = put[-1].at
    changes = [(each.actor, each.at) for each in happened if each.kind == "renamed"]
    changes += ((each.by, each.at) for each in forge.door.edits(number))
    for who, at in changes:
        # Times are whole seconds: one that is the same may be the later one.
        late = meant is None or at is None or at >= meant
        if late and (who is None or not people.may_write(who)):
            return (
                "somebody without write permission changed its text after the label was put there; "
                f"read it, then take the label {label} off and put it there again"
            )
    return ""


def _ours_on(forge: Forge, number: int) -> Iterator[Comment]:
    """Give the comments on an issue by which we say what becomes of it."""
    key, me = _key(forge, number), forge.door.me().lower()
    for comment in forge.door.comments(number):
        if comment.author.login.lower() == me and bears(comment.body, key):
            yield comment


def _claimed(forge: Forge, number: int, *, now: datetime) -> str:
    for comment in _ours_on(forge, number):
        if replies.is_free(comment.body):
            return ""
        if not replies.is_at_work(comment.body):
            return "a factory had it already"
        return "" if now - comment.updated > STALE else "a factory is at work on it"
    return ""


def _key(forge: Forge, number: int) -> str:
    return key_of(forge.repo.full.lower(), "pull", str(number))


def _issues(jobs: Sequence[Job]) -> Iterator[int]:
    return (each.number for job in jobs for each in job.issues)
