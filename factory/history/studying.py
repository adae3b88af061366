"""Studying: a repository's history read, stations made from it and judged on what is newest."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Final

from factory.complaint import Complaint
from factory.forge import owners
from factory.history import commits, imports, proposing, scoring, snapshot
from factory.history.changes import Past
from factory.history.proposing import Proposal
from factory.history.scoring import Breaker, Score
from worktrees.checkout import cut_short
from worktrees.git import Git, GitError
from worktrees.names import Oid

FEWEST: Final = 40
"""Fewer changes than this say nothing that would hold."""
_USAGE: Final = 2
_UNFIT: Final = 7
_LARGEST_OWNERS: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """What a history says: stations made from its older changes, judged on its newest ones.

    ``whole`` and ``tops`` judge the same changes by the plainest scopes: the whole repository as
    one, and each directory at the top as one. ``breakers`` are the files that most often keep a
    change from fitting one scope.
    """

    past: Past
    proposal: Proposal
    made_from: int
    score: Score
    whole: Score
    tops: Score
    breakers: tuple[Breaker, ...]


def study(
    git: Git,
    *,
    most: int = commits.MOST,
    sizes: Iterable[int] = range(proposing.FEWEST, proposing.MOST + 1),
    taken: Collection[str] = (),
    say: Callable[[str], None] = lambda _text: None,
) -> Study:
    """Study the history of HEAD; complain of one that is cut short, or says too little."""
    if missing := cut_short(git):
        raise Complaint(
            "the history is not whole here:\n" + "\n".join(f"  {text}" for text in missing),
            code=_UNFIT,
        )
    head = git.resolve("HEAD")
    if head is None:
        raise Complaint(
            "there is no commit yet, so no history to learn from",
            hint="make commits first; `factory init` writes a factory.toml without a history",
            code=_USAGE,
        )
    past = commits.read(git, head, most=most)
    if len(past.changes) < FEWEST:
        raise Complaint(
            f"the history says too little: {len(past.changes)} of {past.seen} commits tell which"
            f" files belong together, and {FEWEST} are needed",
            hint="read more with --commits N, or write the scopes by hand",
            code=_USAGE,
        )
    say(f"read {past.seen} commits; {len(past.changes)} say which files belong together")
    older, newest = scoring.halves(past.changes)
    # Imports as they were before the first change that judges.
    sources = snapshot.sources(
        git, older[0].commit, (file for each in older for file in each.files)
    )
    try:
        proposal = proposing.propose(
            [change.files for change in older],
            past.tracked,
            imports=imports.imports(sources, past.tracked),
            owners=_owners(git, head, past.tracked),
            sizes=sizes,
            taken=taken,
        )
    except proposing.TooFewPieces as error:
        raise Complaint(
            f"this repository does not fall into that many parts: {error}",
            hint="ask for fewer with --stations, or write the scopes by hand",
            code=_USAGE,
        ) from error
    names = {file: each.name for each in proposal.stations for file in each.files}
    return Study(
        past=past,
        proposal=proposal,
        made_from=len(older),
        score=scoring.score(newest, names.__getitem__),
        whole=scoring.score(newest, scoring.one_scope),
        tops=scoring.score(newest, scoring.top_directory),
        breakers=scoring.breakers(newest, names.__getitem__),
    )


def _owners(git: Git, head: Oid, tracked: Collection[str]) -> proposing.Owners:
    place = next((path for path in owners.PLACES if path in tracked), None)
    if place is None:
        return lambda _path: ()
    entry = git("ls-tree", "-z", "--full-tree", head, "--", place).out
    oid = Oid(entry.partition(b"\t")[0].split(b" ")[2].decode())
    try:
        text = git.read_blob(oid, cap=_LARGEST_OWNERS)
    except GitError as error:
        raise Complaint(
            f"{place} cannot be read: {error}",
            hint=f"a file of owners has at most {_LARGEST_OWNERS} bytes",
            code=_USAGE,
        ) from error
    return owners.named_by(text.decode("utf-8", "replace"))
