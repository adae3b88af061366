"""Intake: takes an exported pack into the repository, through quarantine and policy, or refuses it.

The work is durable when, and only when, `intake` gives ``Taken``: then a ref points at it.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from worktrees import quarantine
from worktrees.change import contents
from worktrees.failpoint import failpoint
from worktrees.git import Git, GitError, Repository
from worktrees.names import OID_PATTERN, Oid
from worktrees.policy import Entry, Judgement, Refusal, Rule, Rules
from worktrees.scope import Scope

_SLACK: Final = 1_000_000
_NO_LOG: Final = ("-c", "core.logAllRefUpdates=false")
_SANE_ENOUGH: Final = frozenset({Rule.SCOPE, Rule.PROTECTED, Rule.TEXT, Rule.DEPENDENCY})
_SALVAGE: Final = "refs/factory/salvage/"
_OLD_SALVAGE: Final = "refs/factory/salvage-old/"


class RefMoved(Exception):  # noqa: N818 - says what happened
    """The job's ref was not where the caller left it, so nothing was moved."""

    def __init__(self, ref: str, found: Oid | None) -> None:
        super().__init__(f"{ref} stands at {found or 'nothing'}, which nobody expected")


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """The commit is durable; when ``judgement.protected`` names anything, a person must look."""

    commit: Oid
    judgement: Judgement
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The change was refused; ``commit`` is there when it was kept for a person to look at."""

    judgement: Judgement
    commit: Oid | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Same:
    """The tree is the one that the attempt started from, or is judged against."""


def intake(
    repository: Repository,
    pack: bytes | Path,
    commit: str,
    *,
    base: Oid,
    judged_from: Oid,
    scope: Scope,
    rules: Rules,
    ref: str,
    old: Oid | None,
    at: Path | None = None,
    keep_refused: str = "",
) -> Taken | Refused | Same:
    """Take an exported commit in and move ``ref`` from ``old`` to it, or say why not.

    Quarantine is a new directory in ``at``, which lies on the repository's file system.
    ``keep_refused`` is the salvage ref that keeps refused work whose objects are harmless. Raises
    `GitError` or ``OSError`` when the machine is at fault, `RefMoved` when ``ref`` is not at
    ``old``.
    """
    if not OID_PATTERN.fullmatch(commit) or len(commit) != len(base):
        return _refused(Rule.ENVELOPE, "the export named no commit")
    most = int(rules.megabytes * 1_000_000) + _SLACK
    if (pack.stat().st_size if isinstance(pack, Path) else len(pack)) > most:
        return _refused(Rule.SIZE, f"the pack is larger than {most} bytes")
    data = pack.read_bytes() if isinstance(pack, Path) else pack
    wanted = Oid(commit)
    with quarantine.opened(at or repository.factory / "quarantine") as held:
        inside = repository.git.with_objects(held, [repository.objects])
        why, tree = quarantine.index(inside, data, most), base
        if not why:
            why, tree = _envelope(inside, held, wanted, base)
        if why:
            return _refused(Rule.ENVELOPE, why)
        if tree in {inside.tree_of(start) for start in {base, judged_from}}:
            return Same()
        judgement, changed = quarantine.judged(inside, judged_from, wanted, scope, rules)
        if judgement.accepted:
            quarantine.migrate(held, repository.objects / "pack")
            _point(repository.git, ref, wanted, old)
            return Taken(commit=wanted, judgement=judgement, entries=changed)
        kept = bool(keep_refused) and {one.rule for one in judgement.refusals} <= _SANE_ENOUGH
        if kept:
            quarantine.migrate(held, repository.objects / "pack")
            _keep(repository.git, keep_refused, wanted)
        return Refused(judgement=judgement, commit=wanted if kept else None)


def _envelope(git: Git, held: Path, commit: Oid, base: Oid) -> tuple[str, Oid]:
    """Give the tree of the commit that the pack itself must hold, or say what is wrong."""
    alone = replace(git, extra_env=(("GIT_OBJECT_DIRECTORY", str(held)),))
    found = contents(alone, [commit])[0]
    if found is None or found[0] != "commit":
        return "the pack does not hold the commit that the export named", base
    head = found[1].partition(b"\n\n")[0].split(b"\n")
    parents = [line for line in head if line.startswith(b"parent ")]
    if parents != [b"parent " + base.encode()] or not head[0].startswith(b"tree "):
        return "the commit has other parents than the one it must have", base
    return "", Oid(head[0].removeprefix(b"tree ").decode("ascii"))


def _point(git: Git, ref: str, commit: Oid, old: Oid | None) -> None:
    failpoint("shadow.ref.before")
    try:
        git(*_NO_LOG, "update-ref", ref, commit, old or "0" * len(commit), fsync=True)
    except GitError:
        found = git.resolve(ref)
        if found == old:
            raise
        if found != commit:
            raise RefMoved(ref, found) from None
    failpoint("shadow.ref.after")


def _keep(git: Git, ref: str, commit: Oid) -> None:
    """Keep refused work; what an earlier attempt left at the ref stays where it is."""
    found = git.resolve(ref)
    if found == commit:
        return
    if found is not None:
        ref = f"{_OLD_SALVAGE}{ref.removeprefix(_SALVAGE)}/{commit[:12]}"
        found = git.resolve(ref)
    _point(git, ref, commit, found)


def _refused(rule: Rule, why: str) -> Refused:
    return Refused(judgement=Judgement(refusals=(Refusal(rule=rule, path=b"", why=why),)))
