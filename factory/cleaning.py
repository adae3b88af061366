"""Cleaning: what runs left in the repository, shown first and removed only when asked."""

from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from factory import delivering, shift
from factory import site as sites
from factory.complaint import Complaint
from factory.forge.proofs import Proofs
from factory.ledger import Ledger
from factory.line import Line
from factory.proving import awaited
from factory.shift import owning
from factory.site import Site, containers_of, sandbox_of
from stations.bench import discard
from worktrees import janitor
from worktrees.names import PROOFS, SPENT, Oid, RunId, base_ref, proof_branch
from worktrees.workspace import Reaper

_OURS: Final = "refs/factory/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What can go: refs with their commits, workspaces of runs, trash; and what is kept."""

    refs: Mapping[str, Oid]
    workspaces: tuple[str, ...]
    trash: int
    kept: Mapping[str, Oid]
    trees: tuple[Path, ...] = ()
    containers: tuple[str, ...] = ()
    proofs: Mapping[Oid, str] = field(default_factory=dict)
    """Commits that the forge was shown for its checks, and their branches there."""

    @property
    def texts(self) -> tuple[str, ...]:
        """Give one line for each thing that can go."""
        trash = (f"trash      {self.trash} entries",) if self.trash else ()
        return (
            *(f"workspace  {name}" for name in self.workspaces),
            *(f"ref        {ref}" for ref in self.refs),
            *(f"files      {tree}" for tree in self.trees),
            *(f"container  {name}" for name in self.containers),
            *(f"proof      {name} on the forge" for name in dict.fromkeys(self.proofs.values())),
            *trash,
        )


def leftovers(site: Site, *, force: bool) -> Found:
    """Find what runs left. Without ``force`` a ref goes only when its commit is on a user's branch.

    The refs of a run that is not settled stay too: `factory resume` needs them.
    """
    # Also of runs that ended before they were placed, which no ledger knows.
    runs = sorted({*_runs(site), *janitor.runs_of(site.repository)})
    every = dict(_own_refs(site, runs))
    own = {ref: oid for ref, oid in every.items() if not ref.startswith((PROOFS, SPENT))}
    shown = frozenset(oid for ref, oid in every.items() if ref not in own)
    lines = _lines(site)
    open_runs = frozenset(run for run, line in lines.items() if _is_open(line))
    taken = [
        proposal.commit
        for line in lines.values()
        for proposal in line.proposals.values()
        if proposal.merged is not None
    ]
    settled = {
        ref: oid for ref, oid in own.items() if not any(_belongs(ref, run) for run in open_runs)
    }
    bases = {base_ref(run) for run in runs}
    kept = {
        ref: oid
        for ref, oid in own.items()
        if ref not in settled or (ref not in bases and not _merged(site, oid, own, taken))
    }
    goes = own if force else {ref: oid for ref, oid in own.items() if ref not in kept}
    names = tuple(name for run in runs for name in janitor.names_of(site.repository, run))
    trash = site.repository.factory / "trash"
    count = sum(1 for _ in trash.iterdir()) if trash.is_dir() else 0
    # Work that no commit could hold was kept as files beside the attempt's papers.
    aside = tuple(sorted(site.repository.factory.glob("runs/*/*/*/tree-*"))) if force else ()
    left = {} if force else kept
    engine = containers_of(site)
    return Found(
        refs=goes,
        workspaces=names,
        trash=count,
        kept=left,
        trees=aside,
        containers=engine.left() if engine is not None else (),
        proofs={
            commit: proof_branch(site.repository.git.tree_of(commit))
            for commit in sorted(shown - (frozenset() if force else awaited(lines.values())))
        },
    )


def remove(site: Site, found: Found, *, say: Callable[[str], None]) -> None:
    """Remove what was found; unfinished attempts are brought out to salvage before."""
    with owning(site), Ledger(site.ledger) as ledger, Reaper(site.repository) as reaper:
        if found.containers and (engine := containers_of(site)) is not None:
            engine.sweep()
        if found.workspaces:
            shift.recover_all(site, ledger, sandbox_of(site, without=False), say=say)
        for ref, oid in found.refs.items():
            answer = site.repository.git("update-ref", "-d", "--", ref, oid, ok=(0, 1, 128))
            if answer.code:
                say(f"{ref} moved meanwhile and was left alone")
        for tree in found.trees:
            discard(site.repository, tree)
        if found.proofs:
            _take_back(site, found, say)
        reaper.drain()


def _take_back(site: Site, found: Found, say: Callable[[str], None]) -> None:
    """Remove branches of the forge that were shown to its checks; the others there stay."""
    try:
        sites.check_forge(site, given=False)
        with delivering.connected(site, say=say) as forge:
            proofs = Proofs(git=site.repository.git, remote=forge.remote, say=say)
            proofs.sweep(proofs.left().keys() - found.proofs.keys())
    except Complaint as error:
        say(f"the proofs stay on the forge: {error.what}; {error.hint}")


def document(found: Found, *, done: bool) -> dict[str, object]:
    """Give the `factory.clean/1` document."""
    return {
        "schema": "factory.clean/1",
        "removed": done,
        "refs": dict(found.refs),
        "workspaces": list(found.workspaces),
        "files": [str(tree) for tree in found.trees],
        "containers": list(found.containers),
        "proofs": sorted(set(found.proofs.values())),
        "trash": found.trash,
        "kept": dict(found.kept),
    }


def _own_refs(site: Site, runs: Iterable[RunId]) -> Iterator[tuple[str, Oid]]:
    """Give the refs that a run made; a branch that somebody has checked out is theirs."""
    heads = tuple(f"refs/heads/factory/{run}/" for run in runs)
    trees = str(site.repository.factory / "trees")
    form = "--format=%(objectname) %(refname) %(worktreepath)"
    for line in site.repository.git("for-each-ref", form).text.splitlines():
        oid, ref, place = f"{line} ".split(" ", 2)
        theirs = place.strip() and not place.startswith(trees)
        if ref.startswith((_OURS, *heads)) and not theirs:
            yield ref, Oid(oid)


def _runs(site: Site) -> tuple[RunId, ...]:
    if not site.ledger.exists():
        return ()
    with Ledger(site.ledger, read_only=True) as ledger:
        return ledger.runs()


def _lines(site: Site) -> dict[RunId, Line]:
    if not site.ledger.exists():
        return {}
    with Ledger(site.ledger, read_only=True) as ledger:
        lines = {run: ledger.line(run) for run in ledger.runs()}
    return {run: line for run, line in lines.items() if line is not None}


def _is_open(line: Line) -> bool:
    return any(shift.unsettled(work.place) for work in line.jobs.values())


def _belongs(ref: str, run: RunId) -> bool:
    return f"/{run}/" in f"{ref}/"


def _merged(site: Site, commit: Oid, own: Container[str], taken: Iterable[Oid]) -> bool:
    """Say whether a branch of the user's holds this commit, or a pull request that was merged."""
    git = site.repository.git
    contains = git("for-each-ref", "--contains", commit, "--format=%(refname)").text.splitlines()
    # The forge may have made one commit of its own of it, so that no branch holds it as it was.
    return any(ref not in own for ref in contains) or any(
        git("merge-base", "--is-ancestor", commit, head, ok=(0, 1, 128)).code == 0 for head in taken
    )
