"""Proofs: branches of the forge that show it one tree, for its checks to judge.

A commit of ours is remembered by a ref of this repository before it is pushed, as one whose checks
are awaited, then as one whose branch nobody needs. So nothing that a killed process left on the
forge is forgotten, and no spent verdict passes for a new one. Only exactly what we know is moved.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Final, Self

from factory.forge.failures import Conflict, ForgeError, Refused
from factory.forge.remote import Remote
from worktrees.failpoint import failpoint
from worktrees.git import Git, GitError
from worktrees.names import (
    OID_PATTERN,
    PROOFS,
    SPENT,
    Oid,
    RunId,
    proof_branch,
    proof_ref,
    spent_ref,
)

_HEADS: Final = "refs/heads/"
_TRIES: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """A commit that the forge was shown under a branch; ``asked`` counts how often in a row."""

    branch: str
    commit: Oid
    asked: int = 1

    @property
    def external(self) -> str:
        """Give the durable id."""
        return f"{self.branch}@{self.commit}#{self.asked}"

    @classmethod
    def of(cls, external: str) -> Self:
        """Give the proof of a durable id; ValueError when it is none."""
        branch, _, rest = external.partition("@")
        commit, _, asked = rest.partition("#")
        if not OID_PATTERN.fullmatch(commit) or not asked.isdigit():
            msg = f"{external!r} names no proof"
            raise ValueError(msg)
        return cls(branch=branch, commit=Oid(commit), asked=int(asked))


@dataclass(frozen=True, slots=True, kw_only=True)
class Proofs:
    """The proofs of one repository on its forge; ``say`` hears what could not be removed."""

    git: Git
    remote: Remote
    say: Callable[[str], None] = field(repr=False)

    def show(self, run: RunId, *, tree: Oid, base: Oid, why: str, asked: int = 1) -> Proof:
        """Let the forge see a tree, on ``base``, and give its proof; one that is there is reused.

        A proof that was judged already is replaced: who asks again wants another verdict.
        """
        branch = proof_branch(tree)
        ref = f"{_HEADS}{branch}"
        for left in range(_TRIES)[::-1]:
            there = self.remote.heads(ref).get(ref)
            if there is not None and not self._marked(SPENT, there):
                self._take(run, ref, there, tree)
                return Proof(branch=branch, commit=there, asked=asked)
            commit = self._waiting(run, tree) or self._made(run, tree, base, why)
            failpoint("proofs.push.before")
            try:
                self.remote.push(ref, commit, expect=there)
            except Conflict:  # it was removed, or somebody shows the same tree, at this moment
                if not left:
                    raise
                continue
            failpoint("proofs.push.after")
            return Proof(branch=branch, commit=commit, asked=asked)
        raise AssertionError

    def spend(self, run: RunId, commit: Oid) -> None:
        """Remember that this proof was judged, or that nobody waits for its verdict any more."""
        order = f"create {spent_ref(run, commit)} {commit}\ndelete {proof_ref(run, commit)}\n"
        if self.git.resolve(proof_ref(run, commit)) is not None:
            self.git("update-ref", "--stdin", stdin=order.encode())

    def drop(self, run: RunId, proof: Proof) -> None:
        """Remove a proof's branch, unless it holds another commit by now; it may fail, and says."""
        try:
            self.spend(run, proof.commit)
            self._drop(spent_ref(run, proof.commit), proof.branch, proof.commit)
        except GitError as error:
            self.say(f"{proof.branch} may still be on the forge: {error}")

    def left(self) -> dict[Oid, RunId]:
        """Give the proofs that this repository remembers, each with the run that made it."""
        return {commit: run for _, commit, run in self._refs()}

    def live(self, run: RunId) -> frozenset[Oid]:
        """Give the proofs of a run that nobody judged yet: what shows the same tree uses them."""
        return frozenset(self._listed(f"{PROOFS}{run}/").values())

    def sweep(self, keep: Collection[Oid]) -> tuple[str, ...]:
        """Remove every proof that is remembered, but for those still awaited; give their names."""
        gone = []
        for ref, commit, _ in self._refs():
            if commit not in keep:
                branch = proof_branch(self.git.tree_of(commit))
                gone += [branch] if self._drop(ref, branch, commit) else []
        return tuple(dict.fromkeys(gone))

    def _drop(self, remembered: str, branch: str, commit: Oid) -> bool:
        failpoint("proofs.drop.before")
        try:
            self.remote.delete(f"{_HEADS}{branch}", expect=commit)
        except Conflict:
            pass  # it shows another commit by now, which is not this one's to remove
        except ForgeError as error:
            self.say(f"{branch} is still on the forge ({error}); `factory clean` removes it")
            return False
        failpoint("proofs.drop.after")
        self.git("update-ref", "-d", remembered, commit, ok=(0, 1, 128))
        return True

    def _take(self, run: RunId, ref: str, there: Oid, tree: Oid) -> None:
        """Use a commit that stands there already, when it holds exactly the tree."""
        if self.git.resolve(there) is None:
            self.remote.fetch(ref)
        if self.git.tree_of(there) != tree:
            raise Refused(f"{ref} on the forge holds another tree; look at it and delete it there")
        self._remember(run, there)

    def _made(self, run: RunId, tree: Oid, base: Oid, why: str) -> Oid:
        commit = Oid(self.git("commit-tree", tree, "-p", base, stdin=f"{why}\n".encode()).text)
        self._remember(run, commit)
        return commit

    def _remember(self, run: RunId, commit: Oid) -> None:
        self.git("update-ref", proof_ref(run, commit), commit)

    def _waiting(self, run: RunId, tree: Oid) -> Oid | None:
        """Give the commit that a killed process made for this tree and may not have pushed."""
        known = self._listed(f"{PROOFS}{run}/")
        return next((commit for commit in known.values() if self.git.tree_of(commit) == tree), None)

    def _marked(self, prefix: str, commit: Oid) -> bool:
        return commit in self._listed(prefix).values()

    def _refs(self) -> list[tuple[str, Oid, RunId]]:
        return [
            (ref, commit, RunId(ref.removeprefix(prefix).partition("/")[0]))
            for prefix in (PROOFS, SPENT)
            for ref, commit in self._listed(prefix).items()
        ]

    def _listed(self, prefix: str) -> dict[str, Oid]:
        said = self.git("for-each-ref", "--format=%(objectname) %(refname)", prefix).text
        rows = (row.partition(" ") for row in said.splitlines())
        return {ref: Oid(oid) for oid, _, ref in rows}
