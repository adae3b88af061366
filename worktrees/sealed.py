"""Sealed: the commits of a run as one file, and their way into another clone past the policy.

The file is a git bundle of exactly one head over exactly one base. Whoever opens it trusts nothing
of it: every commit is judged, not only the last tree, since a push publishes all of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from worktrees import quarantine
from worktrees.change import contents, counted
from worktrees.git import SHA1, Git, GitError, Repository
from worktrees.names import Oid
from worktrees.policy import Entry, Judgement, Refusal, Rule, Rules
from worktrees.scope import Scope

REF: Final = "refs/factory/sealed"
"""What the one head is called in the file, and where opened commits stand afterwards."""
MOST_COMMITS: Final = 500
_SLACK: Final = 1_000_000
_SHA256: Final = "# v3 git bundle\n@object-format=sha256"
_EVERYTHING: Final = Scope(write=("**",))


class SealError(Exception):
    """There is nothing that could be sealed so: the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """What a sealed file held: its tree, its change as a whole, and how large that is.

    The commits are in the repository when ``judgement.accepted``, else they left no trace.
    """

    judgement: Judgement
    tree: Oid | None = None
    entries: tuple[Entry, ...] = ()
    messages: tuple[bytes, ...] = ()
    lines: int = 0


def header(base: Oid, head: Oid) -> bytes:
    """Give the first lines of the file, up to the pack."""
    if len(base) != len(head):
        raise SealError("base and head have ids of different kinds")
    kind = "# v2 git bundle" if len(head) == SHA1 else _SHA256
    return f"{kind}\n-{base}\n{head} {REF}\n\n".encode()


def seal(git: Git, base: Oid, head: Oid) -> bytes:
    """Give the bundle of everything that ``head`` has and ``base`` has not."""
    if base == head:
        raise SealError("there is no commit to seal")
    pack = git("pack-objects", "--revs", "--thin", "--stdout", "-q", stdin=_range(base, head)).out
    return header(base, head) + pack


def open_sealed(
    repository: Repository, data: bytes, *, base: Oid, head: Oid, rules: Rules
) -> Opened:
    """Judge a sealed file and take its commits in, or say by name why not."""
    most = int(rules.megabytes * 1_000_000) + _SLACK
    if len(data) > most:
        return _refused(Rule.SIZE, f"the bundle is larger than {most} bytes")
    first = header(base, head)
    if not data.startswith(first):
        return _refused(Rule.ENVELOPE, "it is no bundle of this head over this base")
    with quarantine.opened(repository.factory / "quarantine") as held:
        inside = repository.git.with_objects(held, [repository.objects])
        why = quarantine.index(inside, data[len(first) :], most)
        if why:
            return _refused(Rule.ENVELOPE, why)
        try:
            opened = _judged(inside, base, head, rules)
        except (GitError, ValueError, IndexError):
            return _refused(Rule.ENVELOPE, "the commits cannot be read")
        if opened.judgement.accepted:
            quarantine.migrate(held, repository.objects / "pack")
            repository.git("update-ref", REF, head, fsync=True)
        return opened


def _judged(git: Git, base: Oid, head: Oid, rules: Rules) -> Opened:
    listed = git(
        *("rev-list", "--topo-order", "--parents", f"--max-count={MOST_COMMITS + 1}", "--stdin"),
        stdin=_range(base, head),
    ).text.splitlines()
    if not listed or len(listed) > MOST_COMMITS:
        return _refused(Rule.COUNT, f"it holds {len(listed)} commits, 1 to {MOST_COMMITS} may be")
    lines = [[Oid(word) for word in line.split(" ")] for line in listed]
    rooted = _grows(git, base, lines)
    if rooted:
        return _refused(Rule.ENVELOPE, rooted)
    found = [quarantine.judged(git, base, head, _EVERYTHING, rules)]
    # One commit over the base is the whole change already.
    if len(lines) > 1:
        found += [
            quarantine.judged(git, first, commit, _EVERYTHING, rules) for commit, first, *_ in lines
        ]
    judgement = _together([each for each, _ in found])
    whole = found[0][1]
    if not judgement.accepted:
        return Opened(judgement=judgement, entries=whole)
    sizes = counted(git, base, head)
    return Opened(
        judgement=judgement,
        tree=git.tree_of(head),
        entries=whole,
        messages=_messages(git, [line[0] for line in lines]),
        lines=sum((size.added or 0) + (size.removed or 0) for size in sizes),
    )


def _grows(git: Git, base: Oid, lines: Sequence[Sequence[Oid]]) -> str:
    """Say why these commits do not grow out of the base alone, or give an empty string."""
    inside = {line[0] for line in lines}
    if any(len(line) == 1 for line in lines):
        return "a commit has no parent"
    for parent in {parent for line in lines for parent in line[1:]} - inside - {base}:
        if git("merge-base", "--is-ancestor", parent, base, ok=(0, 1, 128)).code:
            return "a commit grows out of something else than the base"
    return ""


def _messages(git: Git, commits: Sequence[Oid]) -> tuple[bytes, ...]:
    texts = (found[1] if found else b"" for found in contents(git, commits))
    return tuple(text.partition(b"\n\n")[2] for text in texts)


def _together(judgements: Sequence[Judgement]) -> Judgement:
    """Give all findings of several judgements, each once."""
    return Judgement(
        refusals=tuple(dict.fromkeys(one for each in judgements for one in each.refusals)),
        protected=tuple(dict.fromkeys(one for each in judgements for one in each.protected)),
        warnings=tuple(dict.fromkeys(one for each in judgements for one in each.warnings)),
    )


def _range(base: Oid, head: Oid) -> bytes:
    return f"{head}\n^{base}\n".encode()


def _refused(rule: Rule, why: str) -> Opened:
    return Opened(judgement=Judgement(refusals=(Refusal(rule=rule, path=b"", why=why),)))
