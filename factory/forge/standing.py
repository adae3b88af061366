"""How an issue stands since it was read: whether anything may still be written for it. Pure."""

import hashlib
from collections.abc import Callable, Collection, Sequence

from factory.forge.texts import OFF
from factory.forge.values import Comment, Issue, Person, Reference


def mark(issue: Issue) -> str:
    """Give the mark of an issue as it is now: when it last changed, and what it says."""
    said = hashlib.sha256(f"{issue.title}\0{issue.body}".encode("utf-8", "replace")).hexdigest()
    return f"{issue.updated.isoformat()} {said[:16]}"


def changed(
    seen: str,
    issue: Issue,
    *,
    comments: Sequence[Comment],
    references: Sequence[Reference],
    ours: Collection[int],
    me: str,
    repo: str,
    counts: Callable[[Person], bool] = lambda _: True,
) -> str:
    """Say why nothing may be written for an issue any more; an empty string when nothing changed.

    ``seen`` is the mark of how it was read; what we (``me``) said since is no change, and ``ours``
    are our own pull requests. ``counts`` says whose comments are heard: what strangers say never
    entered the work, and does not stop it either.
    """
    number = f"#{issue.number}"
    if issue.state != "open":
        return f"issue {number} was closed meanwhile"
    if OFF in issue.labels:
        return f"issue {number} has the label {OFF} now"
    other = [
        each.number
        for each in references
        if each.kind == "closes"
        and each.is_pull
        and each.state == "open"
        and each.repo.lower() == repo.lower()
        and each.number not in ours
    ]
    if other:
        return f"issue {number} has another open pull request: #{min(other)}"
    if not seen or mark(issue) == seen:
        return ""
    when, _, said = seen.partition(" ")
    if mark(issue).rpartition(" ")[2] != said:
        return f"the text of issue {number} was changed since it was read"
    since = [each for each in comments if each.updated.isoformat() > when]
    # The newest first: not all of a crowd are asked about.
    others = (each.author for each in reversed(since) if each.author.login.lower() != me.lower())
    if any(map(counts, others)):
        return f"somebody commented on issue {number} since it was read"
    if not since and not ours:
        return f"issue {number} was changed since it was read"
    return ""
