"""Taking: a run's target comes into the branch that the user has checked out."""

from dataclasses import dataclass
from typing import Literal

from factory.complaint import Complaint
from factory.line import Line
from factory.site import HEADS, Site, person
from worktrees import checkout, merge
from worktrees.git import FACTORY_IDENTITY
from worktrees.names import Oid


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What was done, and the commit that the branch stands at now."""

    how: Literal["nothing", "fast-forward", "merge"]
    commit: Oid
    text: str


def take(site: Site, line: Line) -> Taken:
    """Bring the target into the checked-out branch; complain when the checkout is not clean."""
    git, where = site.repository.git, site.repository.checkout
    if where is None:
        raise Complaint("a bare repository has no checkout to take anything into")
    branch = git("symbolic-ref", "--quiet", "HEAD", ok=(0, 1)).text
    if not branch.startswith(HEADS):
        raise Complaint("HEAD is on no branch", hint="check one out first")
    tip, head = git.resolve(line.target), git.resolve("HEAD")
    name = branch.removeprefix(HEADS)
    if tip is None or head is None:
        raise Complaint(f"{line.target} does not exist any more", hint="factory status --all")
    if not checkout.is_clean(site.repository, where):
        raise Complaint(
            f"{where} has changes that are not committed", hint="commit or stash them first"
        )
    if _holds(site, head, tip):
        return Taken(how="nothing", commit=head, text=f"{name} holds all of {line.target} already")
    new, how = tip, "fast-forward"
    if not _holds(site, tip, head):
        new, how = _merged(site, line, head, tip), "merge"
    why = checkout.ready_to_forward(site.repository, where, old=head, new=new)
    if not why and not merge.advance(git, branch, new=new, old=head):
        why = f"{name} was moved by somebody else meanwhile"
    why = why or checkout.fast_forward_checkout(site.repository, where, old=head, new=new)
    if why:
        raise Complaint(f"{line.target} could not be taken: {why}")
    text = f"{name} now stands at {new[:12]} ({how})"
    return Taken(how="merge" if how == "merge" else "fast-forward", commit=new, text=text)


def _holds(site: Site, tip: Oid, commit: Oid) -> bool:
    return site.repository.git("merge-base", "--is-ancestor", commit, tip, ok=(0, 1)).code == 0


def _merged(site: Site, line: Line, head: Oid, tip: Oid) -> Oid:
    git = site.repository.git
    both = merge.merge(git, head, tip)
    if both.conflicts:
        paths = "\n".join(f"  {path}" for path in both.conflicts[:20])
        raise Complaint(
            f"{line.target} conflicts with your branch in:\n{paths}",
            hint=f"merge it by hand: git merge {line.target.removeprefix(HEADS)}",
            code=1,
        )
    me = person(site) or FACTORY_IDENTITY
    own = git.with_env(
        GIT_AUTHOR_NAME=me.name,
        GIT_AUTHOR_EMAIL=me.email,
        GIT_COMMITTER_NAME=me.name,
        GIT_COMMITTER_EMAIL=me.email,
    )
    message = f"Merge {line.target.removeprefix(HEADS)}\n".encode()
    return Oid(own("commit-tree", both.tree, "-p", head, "-p", tip, stdin=message).text)
