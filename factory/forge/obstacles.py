"""Obstacles: what a branch's rules will refuse of a pull request, each with the remedy. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from factory.forge.values import Repository, Rules
from factory.wording import clean, count, listed

ACTIONS: Final = "github-actions[bot]"
"""Whose pull requests start no checks: a workflow's own token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Obstacle:
    """One thing that was looked at; ``stops`` says that no pull request can come of a run."""

    ok: bool
    text: str
    stops: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """How this line makes its commits and what is to become of its pull requests."""

    onto: str
    after: Literal["none", "auto-merge", "queue"]
    signed: bool
    linear: bool


def obstacles(
    repository: Repository,
    rules: Rules,
    *,
    heads: Rules,
    login: str,
    wanted: Wanted,
) -> tuple[Obstacle, ...]:
    """Give what the forge says of pull requests by ``login`` for the branch ``wanted.onto``.

    ``heads`` are the rules of the branches that we push.
    """
    return (
        *_entrance(repository, heads, login=login),
        *_commits(rules, wanted),
        *_merging(repository, rules, wanted),
    )


def _entrance(repository: Repository, heads: Rules, *, login: str) -> Iterator[Obstacle]:
    who, full, may = clean(login), clean(repository.full), repository.pushes
    said = f"{who} may push to {full}"
    if not may:
        need = "a token with write permission for contents and pull requests"
        said = f"{who} may not push to {full}: use {need}"
    yield Obstacle(ok=may, text=said, stops=not may)
    if heads.pushes_restricted or heads.pull_only:
        text = "a rule keeps branches below factory/pr/ from being pushed: except them from it"
        yield Obstacle(ok=False, text=text, stops=True)
    if heads.paths:
        names = listed(map(clean, heads.paths))
        text = f"changes to these paths are refused before any push: {names}"
        yield Obstacle(ok=True, text=text)
    if login == ACTIONS:
        text = (
            "a workflow's own token starts no checks on what it opens, and may open pull requests"
            " only where the repository's settings for Actions allow it: an App's token has neither"
        )
        yield Obstacle(ok=False, text=text)


def _commits(rules: Rules, wanted: Wanted) -> Iterator[Obstacle]:
    onto = clean(wanted.onto)
    if rules.signatures:
        text = f"{onto} takes signed commits only"
        hint = "" if wanted.signed else ": set [commit] sign = true"
        yield Obstacle(ok=wanted.signed, text=f"{text}{hint}")
    if rules.linear:
        text = f"{onto} takes no merge commits"
        hint = "" if wanted.linear else ': squash when merging, or set [commit] shape = "linear"'
        yield Obstacle(ok=wanted.linear, text=f"{text}{hint}")
    if not rules.whole:
        text = f"this token cannot read all rules of {onto}: some may refuse what is not named here"
        yield Obstacle(ok=False, text=text)


def _merging(repository: Repository, rules: Rules, wanted: Wanted) -> Iterator[Obstacle]:
    onto = clean(wanted.onto)
    checks = listed(map(clean, rules.required_checks)) or "none"
    yield Obstacle(ok=True, text=f"required checks of {onto}: {checks}")
    if rules.reviews or rules.code_owners:
        owners = ", of the owners where paths have some" if rules.code_owners else ""
        reviews = count(max(1, rules.reviews), "approving review")
        yield Obstacle(ok=True, text=f"{onto} wants {reviews} of people{owners}")
    if wanted.after == "none":
        return
    if not rules.required_checks:
        text = f"nothing is merged by itself while {onto} requires no check: require one"
        yield Obstacle(ok=False, text=text)
    if wanted.after == "auto-merge" and rules.queue:
        text = f'{onto} has a merge queue: set [forge] after = "queue"'
        yield Obstacle(ok=False, text=text)
    elif wanted.after == "auto-merge" and not repository.auto_merge:
        text = "the repository does not allow auto-merge: allow it in its settings"
        yield Obstacle(ok=False, text=text)
    elif wanted.after == "queue" and not rules.queue:
        text = f'{onto} has no merge queue: set [forge] after = "auto-merge" or "none"'
        yield Obstacle(ok=False, text=text)
