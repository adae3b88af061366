"""The ground: what the floor does to the repository, and what git says has landed.

Git is the truth. A landing is one compare-and-swap of one ref to a commit that was checked before;
the user's checkout follows, if the target is checked out there and clean.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from factory.config.configured import Commit
from factory.events import Land, Reason
from factory.floor import Blocked, LandingPlan
from worktrees import checkout, merge
from worktrees.git import GitError, Identity, Repository
from worktrees.lock import Flock
from worktrees.names import JobId, Oid, RunId, job_ref


@dataclass(frozen=True, slots=True, kw_only=True)
class HostGround:
    """The host repository of one run. ``target`` is a full ref, ``me`` the person who runs it.

    ``credit`` names people whose work every landing builds on, ``brought`` those of some jobs.
    ``made`` says of a path whether a station ``at = "merge"`` makes it; ``say`` hears what a
    person should know although the landing itself is sound.
    """

    repository: Repository
    lock: Flock
    run: RunId
    base: Oid
    target: str
    commit: Commit
    me: Identity | None
    made: Callable[[str], bool]
    say: Callable[[str], None]
    credit: tuple[str, ...] = ()
    brought: Mapping[JobId, tuple[str, ...]] = field(default_factory=dict)

    def tip(self) -> Oid | None:
        """Give the commit that the target stands at; None when the ref is gone."""
        return self.repository.git.resolve(self.target)

    def landed(self, tip: Oid) -> Mapping[JobId, Oid]:
        """Give this run's landed jobs by the trailers in the target's history."""
        found = merge.landings(self.repository.git, self.base, tip)
        return {job: commit for (run, job), commit in found.items() if run == self.run}

    def prepare(self, land: Land) -> LandingPlan | Blocked:
        """Make the landing commit and check it against what its branches changed."""
        git = self.repository.git
        try:
            merge.post_check(
                git, old=land.base, new_tree=land.tree, branches=land.branches, made=self.made
            )
        except merge.PostCheckFailed as failed:
            why = f"a tested tree holds what no job changed; nothing was moved: {failed}"
            return Blocked(reason=Reason.ENVIRONMENT, why=why)
        try:
            commit = self._commit(land)
        except GitError as failed:
            why = f"the landing commit could not be made; nothing was moved: {failed}"
            return Blocked(reason=Reason.ENVIRONMENT, why=why)
        where = self._checkout()
        if where is not None:
            why = checkout.ready_to_forward(self.repository, where, old=land.base, new=commit)
            if why:
                return Blocked(reason=Reason.TARGET, why=why)
        return LandingPlan(commit=commit, tree=land.tree, old=land.base)

    def _commit(self, land: Land) -> Oid:
        me = self.me if self.commit.author == "me" or self.commit.signoff else None
        wrote = (who for job, _ in land.branches for who in self.brought.get(job, ()))
        return merge.landing_commit(
            # Keys and the program that signs are named by the user's own configuration.
            self.repository.personal if self.commit.sign else self.repository.git,
            tree=land.tree,
            tip=land.base,
            branches=land.branches,
            run=self.run,
            title=land.title,
            shape=self.commit.shape,
            author=me if self.commit.author == "me" else None,
            signoff=f"{me.name} <{me.email}>" if me is not None and self.commit.signoff else None,
            sign=self.commit.sign,
            checked=land.checked,
            credit=tuple(dict.fromkeys((*self.credit, *wrote))),
        )

    def swap(self, plan: LandingPlan) -> bool:
        """Move the target; False when it stood elsewhere."""
        return merge.advance(self.repository.git, self.target, new=plan.commit, old=plan.old)

    def follow(self, old: Oid, new: Oid) -> None:
        """Bring the user's checkout along, if the target is checked out there."""
        try:
            where = self._checkout()
            if where is None:
                return
            why = checkout.fast_forward_checkout(self.repository, where, old=old, new=new)
        except GitError as error:  # the landing itself is done and must be recorded
            why = str(error)
        if why:
            self.say(f"{self.target} moved to {new[:12]}, but the checkout did not follow: {why}")

    def salvage(self, job: JobId, commit: Oid) -> None:
        """Keep a commit under the job's salvage ref."""
        merge.salvage(self.repository.git, self.run, job, commit)

    def tidy(self, jobs: Sequence[JobId]) -> None:
        """Drop the branches of landed jobs; what is in the target needs no other ref."""
        git = self.repository.git
        refs = [job_ref(self.run, job) for job in jobs]
        found = git("for-each-ref", "--format=delete %(refname) %(objectname)", *refs).out
        if git("update-ref", "--stdin", stdin=found, ok=(0, 1, 128)).code:
            # One of them moved or is locked: the others go by themselves.
            for order in found.splitlines(keepends=True):
                git("update-ref", "--stdin", stdin=order, ok=(0, 1, 128))

    def _checkout(self) -> Path | None:
        with self.lock:
            return checkout.checked_out(self.repository, self.target)
