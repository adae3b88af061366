"""Delivering: what landed on the run's own target is offered as pull requests, each of them once.

The intent of every write is in the ledger before it, the result after it, and each write looks
before it writes: whoever is killed in between is followed by one who finds what is there. What
cannot be offered stays landed, and is said with the way out.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from factory import calls, telling
from factory import settings as configuration
from factory.complaint import Complaint
from factory.events import (
    Delivered,
    Delivering,
    Event,
    Landed,
    Noted,
    Proposed,
    PullMerged,
    Reason,
    Reproduced,
    Undelivered,
)
from factory.evidence import Want, of_landings, wants
from factory.forge import owners, standing, texts
from factory.forge.failures import (
    Conflict,
    Denied,
    ForgeError,
    Gone,
    Limited,
    Missing,
    Refused,
    remedy,
)
from factory.forge.keeping import key_of
from factory.forge.obstacles import ACTIONS, Obstacle, Wanted, obstacles
from factory.forge.people import People
from factory.forge.values import Pull, Repository, Rules
from factory.ledger import Ledger
from factory.line import Line
from factory.site import HEADS, Delivery, Site
from factory.stacking import Part, Size, Step, parts
from factory.state import Proposal
from factory.telling import Around, Planned
from factory.wording import clean, listed, masked
from stations.bench import Bench
from stations.contract import Job
from worktrees.failpoint import failpoint
from worktrees.git import GitError
from worktrees.merge import landings
from worktrees.names import JobId, Oid
from worktrees.scope import allows

if TYPE_CHECKING:
    from factory.forge.connecting import Forge

Say = Callable[[str], None]
_SILENT: Final = frozenset({Reason.INTERRUPTED, Reason.ENVIRONMENT})
"""After these a resume goes on first; nothing is offered before."""


class _Held(Exception):  # noqa: N818  reads as what happened
    """Nothing may be written for this part; ``code`` is the exit code it stands for."""

    def __init__(self, why: str, code: int) -> None:
        super().__init__(why)
        self.why = why
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class Courier:
    """Delivers one run. ``line`` gives it as it is now, ``record`` puts an event on record first.

    ``bench`` is where reproductions are tried; ``stop`` ends one that is under way. ``plan`` is
    what the run carries out, where it does.
    """

    site: Site
    bench: Bench
    line: Callable[[], Line]
    record: Callable[[Event], None]
    say: Say
    stop: threading.Event = field(default_factory=threading.Event)
    plan: Planned | None = None

    def deliver(self) -> None:
        """Offer everything that landed; what stands in the way is on record when this is back."""
        if not due(self.line()):
            return
        try:
            with connected(self.site, say=self.say, wait=self.stop.wait) as forge:
                repository = forge.door.repository()
                _Round(courier=self, forge=forge, repository=repository, me=forge.door.me()).go()
        except Complaint as error:
            why = f"{error.what}; {error.hint}" if error.hint else error.what
            self.record(Undelivered(key="", why=why, code=error.code))
        except ForgeError as error:
            self.record(Undelivered(key="", why=_said(error), code=code_of(error)))
        except GitError as error:
            self.record(Undelivered(key="", why=f"git failed: {error}; run factory doctor", code=7))
        for fault in self.line().undelivered.values():
            target = self.line().target.removeprefix(HEADS)
            self.say(f"not delivered: {clean(masked(fault.why))}")
            self.say(f"the work stays on {target}; `factory resume {self.line().run}` tries again")


def due(line: Line) -> bool:
    """Say whether a run has something that is, or is to be, in a pull request."""
    landed = any(isinstance(work.place, Landed | Proposed) for work in line.jobs.values())
    closed = line.closing is not None and line.closing.reason in _SILENT
    return line.deliver == "pr" and landed and not closed


@contextmanager
def connected(
    site: Site, *, say: Say, wait: Callable[[float], object] | None = None
) -> "Iterator[Forge]":
    """Give the forge of a repository; complain when there is none, or no token for it."""
    from factory.forge.connecting import connect

    access = configuration.forge_access(site.settings)
    with connect(site.repository, access, say=say, wait=wait) as forge:
        yield forge


def check(site: Site, delivery: Delivery, *, say: Say) -> None:
    """Complain, before a run, when its work could not be offered in the end."""
    try:
        with connected(site, say=say) as forge:
            may = forge.door.repository().pushes
            who = "" if may else forge.door.me()
            # What an App may is not told by its account; it finds out at the push.
            if not may and not who.endswith("[bot]"):
                raise Complaint(
                    f"{who} may not push to {forge.repo.full}",
                    hint="use a token with write permission for contents and pull requests",
                    code=7,
                )
            _check_base(site, forge, delivery, say=say)
    except ForgeError as error:
        raise Complaint(_said(error), hint=remedy(error), code=code_of(error)) from error


def _check_base(site: Site, forge: "Forge", delivery: Delivery, *, say: Say) -> None:
    """Complain when the base of a run is not what the forge's branch holds."""
    remote, onto, full = site.settings.forge.remote, delivery.onto, forge.repo.full
    ref = f"{HEADS}{onto}"
    tip = forge.remote.heads(ref).get(ref)
    if tip is not None and tip != delivery.base:
        tip = forge.remote.fetch(ref)
    if tip is None:
        raise Complaint(
            f"{full} has no branch {onto} that a pull request could ask to be merged into",
            hint=f"git push {remote} {onto}, or name another one with `--onto BRANCH`",
            code=7,
        )
    git = site.repository.git
    own = int(git("rev-list", "--count", f"{tip}..{delivery.base}").text)
    if own:
        raise Complaint(
            f"{onto} holds {own} commits that {full} does not: they would be in the pull request",
            hint=f"git push {remote} {onto}, or start from a branch that is there",
            code=7,
        )
    behind = int(git("rev-list", "--count", f"{delivery.base}..{tip}").text)
    if behind:
        say(f"note: {onto} is {behind} commits behind {full}; the run begins where you are")


def obstacles_of(site: Site, delivery: Delivery) -> tuple[Obstacle, ...]:
    """Give what the forge's rules say about pull requests of this line, read and never tried."""
    said: list[str] = []
    settings = site.settings
    try:
        with connected(site, say=said.append) as forge:
            _check_base(site, forge, delivery, say=said.append)
            door, me = forge.door, forge.door.me()
            repository = door.repository()
            return (
                *(Obstacle(ok=True, text=text) for text in said),
                *obstacles(
                    repository,
                    door.rules(delivery.onto),
                    heads=door.rules(texts.branch("any", "00000000")),
                    login=me,
                    wanted=Wanted(
                        onto=delivery.onto,
                        after=settings.forge.after,
                        signed=settings.commit.sign,
                        linear=settings.commit.shape == "linear",
                    ),
                ),
            )
    except ForgeError as error:
        raise Complaint(_said(error), hint=remedy(error), code=code_of(error)) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class _Round:
    """One delivery of one run to one forge."""

    courier: Courier
    forge: "Forge"
    repository: Repository
    me: str

    @property
    def line(self) -> Line:
        return self.courier.line()

    def go(self) -> None:
        """Look what was merged, then offer the rest from the bottom up."""
        site, tip = self.courier.site, self._base_tip()
        self._look_for_merged(tip)
        settings, git = site.settings.forge, site.repository.git
        merged = [each for each in self.line.proposals.values() if each.merged is not None]
        placed = [job for job, work in self.line.jobs.items() if isinstance(work.place, Landed)]
        base, steps = self._steps(merged)
        self._check_held(placed, steps, merged)
        found = parts(
            base,
            steps,
            pulls=settings.pulls,
            limit=self._limit,
            measure=lambda before, after: _size(site, before, after),
        )
        moved = int(git("rev-list", "--count", f"{self.line.base}..{tip}").text)
        closes = self.line.onto == self.repository.default and self.repository.has_issues
        limits = tuple(self._limits(moved, closes=closes))
        rules = self.forge.door.rules(self.line.onto)
        below: Pull | None = None
        plan = self.courier.plan
        for number, part in enumerate(found, start=len(merged) + 1):
            place = texts.Place(
                number=number,
                of=len(merged) + len(found),
                below=below.number if below is not None else None,
            )
            around = Around(
                onto=below.head_ref if below is not None else self.line.onto,
                limits=(*limits, *self._large(part)),
                place=place,
                strategy=plan.told(self.line) if plan is not None else None,
            )
            key = self._key(part, number)
            try:
                below = self._offer(part, key, around, rules, closes=closes)
            except _Held as held:
                self.courier.record(Undelivered(key=key, why=held.why, code=held.code))
                return
            except ForgeError as error:
                self.courier.record(Undelivered(key=key, why=_said(error), code=code_of(error)))
                return

    @property
    def _limit(self) -> Size:
        if self.courier.plan is not None:
            return self.courier.plan.limit
        settings = self.courier.site.settings.forge
        return Size(files=settings.files, lines=settings.lines)

    def _base_tip(self) -> Oid:
        """Give where the forge's base branch stands; it may have moved on, but not away."""
        tip = self.forge.remote.fetch(f"{HEADS}{self.line.onto}")
        git = self.courier.site.repository.git
        if git("merge-base", "--is-ancestor", self.line.base, tip, ok=(0, 1)).code:
            raise Complaint(
                f"{self.line.onto} on the forge does not hold the run's base any more",
                hint="somebody rewrote it: start a new run from where it stands now",
                code=4,
            )
        return tip

    def _look_for_merged(self, tip: Oid) -> None:
        """Put on record which pull requests were taken, as whatever commit."""
        git = self.courier.site.repository.git
        for proposal in self.line.proposals.values():
            if proposal.merged is not None:
                continue
            pull = self.forge.door.pull(proposal.number)
            commit = git.resolve(pull.merge_commit) if pull.merged and pull.merge_commit else None
            if commit is None or not self._holds(pull, proposal.commit):
                continue
            # A part of a stack may have been merged into the branch below it only.
            if git("merge-base", "--is-ancestor", commit, tip, ok=(0, 1)).code == 0:
                self.courier.record(
                    PullMerged(
                        key=proposal.key,
                        jobs=proposal.jobs,
                        commit=commit,
                        tree=git.tree_of(commit),
                    )
                )

    def _holds(self, pull: Pull, commit: Oid) -> bool:
        """Say whether a pull request has our commit, perhaps below commits of other people."""
        if pull.head_sha == commit:
            return True
        head = self.forge.remote.fetch(f"refs/pull/{pull.number}/head")
        git = self.courier.site.repository.git
        return git("merge-base", "--is-ancestor", commit, head, ok=(0, 1)).code == 0

    def _steps(self, merged: Sequence[Proposal]) -> tuple[Oid, tuple[Step, ...]]:
        """Give the landings that no merged pull request holds, and the commit they begin after."""
        line, git = self.line, self.courier.site.repository.git
        tip = git.resolve(line.target) or line.gate.target
        found: dict[Oid, list[JobId]] = {}
        for (run, job), commit in landings(git, line.base, tip).items():
            if run == line.run and job in line.jobs:
                found.setdefault(commit, []).append(job)
        steps = [Step(commit=commit, jobs=tuple(jobs)) for commit, jobs in found.items()]
        gone = {job for proposal in merged for job in proposal.jobs}
        base = line.base
        while steps and gone.issuperset(steps[0].jobs):
            base = steps.pop(0).commit
        return base, tuple(steps)

    def _check_held(
        self, placed: Sequence[JobId], steps: Sequence[Step], merged: Sequence[Proposal]
    ) -> None:
        """Complain when landed work is not there to be offered: silence would pass for success."""
        held = {job for step in steps for job in step.jobs}
        held |= {job for proposal in merged for job in proposal.jobs}
        lost = [job for job in placed if job not in held]
        if lost:
            target = self.line.target.removeprefix(HEADS)
            raise Complaint(
                f"{target} does not hold what landed for {listed(lost)}",
                hint="somebody moved that branch: put it back to where the run left it",
                code=4,
            )

    def _named(self, part: Part) -> list[Job]:
        """Give the jobs after which a part is called, in the order in which they were placed."""
        jobs = (work.job for work in self.line.jobs.values())
        if self.courier.site.settings.forge.pulls == "job":
            return [job for job in jobs if job.id in part.jobs]
        return [job for job in jobs if job.depth == 0]

    def _key(self, part: Part, number: int) -> str:
        """Give the key of a part: the same jobs onto the same branch are the same pull request.

        The run is no part of it, so that a line that is started again and again for the same work
        brings one pull request up to date instead of opening one more each time.
        """
        plan = self.courier.plan
        names = map(_identity, self._named(part)) if plan is None else (plan.strategy.digest,)
        whole = self.courier.site.settings.forge.pulls == "run"
        place = (str(number),) if whole else ()
        return key_of(self.forge.repo.full, self.line.onto, *names, *place)

    def _offer(self, part: Part, key: str, around: Around, rules: Rules, *, closes: bool) -> Pull:
        """Push a part and have its pull request; give it."""
        number = around.place.number if around.place is not None else 1
        name, key = self._branch(part, key, number)
        self._recheck(part, name)
        claims = self._claims(part, closes=closes)
        self._check_paths(part, rules)
        made = self._account(part, replace(around, claims=claims))
        delivering = Delivering(
            key=key, jobs=part.jobs, branch=name, commit=part.commit, base=around.onto
        )
        self._push(part, name, before=lambda: self.courier.record(delivering))
        self._recheck(part, name)
        pull, operation = self._pull(part, key, name, made)
        known = self.line.proposals.get(key)
        if known is None:  # once: what people took back since is not asked for again
            self._ask_owners(pull, made)
            self._labels(pull)
        delivered = Delivered(
            key=key,
            jobs=part.jobs,
            branch=name,
            base=around.onto,
            commit=part.commit,
            number=pull.number,
            pull=pull.url,
            operation=operation,
        )
        same = known is not None and (known.commit, known.jobs, known.base) == (
            part.commit,
            part.jobs,
            around.onto,
        )
        if operation != "none" or not same or self.line.undelivered:
            self.courier.record(delivered)
        if around.onto == self.line.onto:
            self._after(replace(pull, head_sha=part.commit), rules)
        return pull

    def _branch(self, part: Part, key: str, number: int) -> tuple[str, str]:
        """Give the branch and key of a part, another one where an earlier work was merged."""
        known, plan, first = self.line.proposals.values(), self.courier.plan, key
        while True:
            if plan is None:
                name = texts.branch(self._named(part)[0].id, key)
            else:  # the plan's hash, which is a part of the name, is what makes it one of its own
                name = plan.branch(number) + ("" if key == first else f"-{key}")
            pull = self._standing(name)
            if pull is None or pull.state == "open":
                return name, key
            if not pull.merged:
                raise _Held(
                    f"a person closed #{pull.number}, which offers this work: reopen it, or leave"
                    " it at that",
                    4,
                )
            if any(each.number == pull.number and each.merged is None for each in known):
                raise _Held(
                    f"#{pull.number} was merged, but {self.line.onto} does not hold what the run"
                    " made: look at it, then start a new run for what is left",
                    4,
                )
            key = key_of(key, str(pull.number))

    def _standing(self, name: str) -> Pull | None:
        """Give the pull request of a branch: the open one, else the newest."""
        found = self.forge.door.pulls(head=f"{self.forge.repo.owner}:{name}", state="all")
        opened = next((pull for pull in found if pull.state == "open"), None)
        return opened or max(found, key=lambda pull: pull.number, default=None)

    def _push(self, part: Part, name: str, *, before: Callable[[], None]) -> None:
        """Have the branch hold a part, over nothing but what we pushed ourselves."""
        ref = f"{HEADS}{name}"
        head = self.forge.remote.heads(ref).get(ref)
        if head is not None and head not in {part.commit, *self._pushed(name)}:
            raise _Held(
                f"branch {name} holds {head[:12]}, which this factory did not push; nothing was"
                " pushed over it: take that commit over, or delete the branch",
                5,
            )
        pull = self._standing(name)
        if pull is not None and texts.OFF in pull.labels:
            raise _Held(f"#{pull.number} has the label {texts.OFF}: people work on it", 4)
        self._recheck(part, name)
        if head != part.commit or head not in self._pushed(name):
            before()
        failpoint("delivering.push.before")
        if head != part.commit:
            self.forge.remote.push(ref, part.commit, expect=head)
        failpoint("delivering.push.after")

    def _pushed(self, name: str) -> frozenset[str]:
        with Ledger(self.courier.site.ledger, read_only=True) as ledger:
            return ledger.pushed(name)

    def _pull(self, part: Part, key: str, name: str, made: texts.Account) -> tuple[Pull, str]:
        """Have the pull request of a branch; where that is forbidden, say so where people look."""
        settings = self.courier.site.settings.forge
        self._check_head(self._standing(name), name)
        failpoint("delivering.pull.before")
        try:
            kept = self.forge.keep.pull(
                key,
                head=name,
                base=made.onto,
                title=texts.title(made.asked, place=made.place, strategy=made.strategy),
                body=texts.body(made),
                draft=settings.draft and settings.after == "none",
            )
        except Denied as denied:
            raise self._fallback(part, key, name, made.onto, denied) from denied
        failpoint("delivering.pull.after")
        self._check_head(kept.value, name)
        return kept.value, kept.operation

    def _check_head(self, pull: Pull | None, name: str) -> None:
        """Stop where somebody else moved the head of a pull request."""
        # Right after a push the forge may still tell of the head before it.
        if pull is not None and pull.head_sha not in self._pushed(name):
            raise _Held(
                f"somebody moved {name} to {pull.head_sha[:12]}: take that over, or delete the"
                " branch",
                5,
            )

    def _fallback(self, part: Part, key: str, name: str, onto: str, denied: Denied) -> _Held:
        """Say of a branch without a pull request where it stands; never that one was opened."""
        url = f"{self.repository.url}/compare/{onto}...{name}?expand=1"
        told = ""
        for issue in self._numbers(part):
            body = texts.fallback(branch_url=url, why=denied.message)
            try:
                self.forge.keep.comment(issue, key, body)
            except (Denied, Gone, Missing) as silent:
                told = f"; #{issue} could not be told ({silent.message})"
        return _Held(
            f"no pull request was opened, the forge forbids it: {denied.message}; the branch stands"
            f" there, and a person can open it: {url}{told}",
            4,
        )

    def _recheck(self, part: Part, name: str) -> None:
        """Look at the issues of a part once more: what moved since is not written about."""
        plan = self.courier.plan
        if plan is not None:
            self._recheck_pulls(plan)
        if not self.repository.has_issues:
            return  # they were switched off: there is nothing left that could have moved
        door, mine = self.forge.door, self._standing(name)
        ours = {each.number for each in self.line.proposals.values()}
        ours |= {mine.number} if mine is not None else set()
        ours |= {*plan.builds, *plan.replaces} if plan is not None else set()
        people = People(door)
        for _, wanted in wants(self.line, part.jobs):
            number = wanted.number
            try:
                issue = door.issue(number)
                linked = door.references(number)
                comments = door.comments(number)
            except (Gone, Missing):
                raise _Held(f"issue #{number} is there no more", 4) from None
            why = standing.changed(
                wanted.seen,
                issue,
                comments=comments,
                references=linked,
                ours=ours,
                me=self.me,
                repo=self.forge.repo.full,
                counts=people.may_write,
            )
            if why:
                raise _Held(f"{why}; look at it, then start it anew", 4)

    def _recheck_pulls(self, plan: Planned) -> None:
        """Look at the pull requests that the work stands upon: they are to be what was read."""
        for number, (job, head) in plan.builds.items():
            if not isinstance(self.line.jobs[job].place, Landed | Proposed):
                continue
            pull = self.forge.door.pull(number)
            if pull.state != "open":
                raise _Held(f"#{number}, on which this builds, was closed meanwhile; look at it", 4)
            if texts.OFF in pull.labels:
                raise _Held(f"#{number}, on which this builds, has the label {texts.OFF} now", 4)
            if pull.head_sha != head:
                raise _Held(
                    f"#{number}, on which this builds, moved from {head[:12]} to"
                    f" {pull.head_sha[:12]} since it was read; survey it anew",
                    4,
                )

    def _after(self, pull: Pull, rules: Rules) -> None:
        """Let the forge merge it by its own rules, where a person configured that."""
        after = self.courier.site.settings.forge.after
        if after == "none" or pull.merged:
            return
        if not rules.required_checks:
            self._note(f"#{pull.number} is not merged by itself: {pull.base_ref} requires no check")
            return
        try:
            now = self.forge.keep.ready(pull).value
            # Only what was tested here may be merged, also when somebody pushes at this moment.
            ready = replace(now, head_sha=pull.head_sha)
            if after == "queue":
                self.forge.keep.enqueue(ready)
                said = "is in the merge queue"
            else:
                self.forge.keep.auto_merge(ready, how="squash" if rules.linear else "merge")
                said = "will be merged by the forge when its required checks are green"
        except (Refused, Conflict, Denied) as no:
            said = f"is not merged by itself, the forge says no: {no.message}"
        self._note(f"#{pull.number} {said}")

    def _labels(self, pull: Pull) -> None:
        labels = self.courier.site.settings.forge.labels
        if labels:
            self.forge.keep.label(pull.number, labels)

    def _ask_owners(self, pull: Pull, made: texts.Account) -> None:
        """Ask the owners of what was touched for their review, as the base branch names them."""
        found = owned(self.forge, self.line.onto, [each.path for each in made.touched])
        people = [name for name in found.people if name.lower() != self.me.lower()]
        if not people and not found.teams:
            return
        try:
            self.forge.keep.reviewers(pull.number, people=people, teams=found.teams)
        except (Refused, Denied) as no:
            self._note(f"the owners of #{pull.number} could not be asked: {no.message}")

    def _check_paths(self, part: Part, rules: Rules) -> None:
        """Refuse by name what a rule of the forge would refuse anyway."""
        for each in telling.touched(self.courier.site.repository.git, part.below, part.commit):
            gate = next((glob for glob in rules.paths if allows((glob,), each.path)), None)
            if gate is not None:
                raise _Held(
                    f"{each.path} is protected on the forge ({gate}): nothing was pushed", 5
                )

    def _claims(self, part: Part, *, closes: bool) -> dict[JobId, tuple[texts.Claim, ...]]:
        """Give what is said of the issues of a part, reproductions tried once and kept."""
        wanted = wants(self.line, part.jobs)
        proofs = self._reproduced(wanted, part.commit) if closes else self.line.reproduced
        found: dict[JobId, tuple[texts.Claim, ...]] = {}
        plan, tree = self.courier.plan, self.courier.bench.git.tree_of(part.commit)
        for job, each in wanted:
            there, number = self.repository.has_issues, each.number
            by = self.forge.door.issue(number).author.login if there else ""
            proof = proofs.get((job, number))
            if proof is not None and proof.tree != tree:  # what shows a whole shows no part of it
                proof = None
            shown = proof is not None and proof.shown
            may = plan is None or number not in plan.kept_open
            why = proof.why if proof is not None else "not tried here: it would close nothing"
            claim = texts.Claim(
                issue=number,
                closes=closes and shown and may,
                shown=shown,
                proof=why,
                by=by,
                cause=plan.causes.get(number, "") if plan is not None else "",
                test=each.test,
                failure=proof.failure if proof is not None else "",
            )
            found[job] = (*found.get(job, ()), claim)
        return found

    def _reproduced(self, wanted: Sequence[Want], head: Oid) -> dict[tuple[JobId, int], Reproduced]:
        courier, line, found = self.courier, self.line, dict[tuple[JobId, int], Reproduced]()
        for made in of_landings(courier.bench, line, wanted, head=head, stop=courier.stop):
            key = (made.job, made.issue)
            if made is not line.reproduced.get(key):
                courier.record(made)
            found[key] = made
        return found

    def _account(self, part: Part, around: Around) -> texts.Account:
        site, line = self.courier.site, self.line
        with Ledger(site.ledger, read_only=True) as ledger:
            told = telling.story(tuple(ledger.records(line.run)))
        made = calls.of_run(site.ledger, line.run)
        return telling.account(site.repository.git, line, part, told, made, around)

    def _limits(self, moved: int, *, closes: bool) -> Iterator[str]:
        if moved:
            yield f"The base branch has moved on by {moved} commits since the run began."
        if not self.repository.has_issues:
            yield "Issues are switched off here, so nothing could be looked up in them."
        elif not closes and any(work.job.issues for work in self.line.jobs.values()):
            yield "It is for a branch that is not the default one, so it closes no issue."
        if self.me == ACTIONS:
            yield (
                "The checks of this repository did not start by themselves, because a workflow's"
                " own token opened this: close and reopen it, or push to its branch."
            )

    def _large(self, part: Part) -> Iterator[str]:
        limit = self._limit
        if not part.size.within(limit):
            yield (
                f"It is larger than the {limit.files} files and {limit.lines} lines that"
                " were asked for: a landing cannot be divided."
            )

    def _numbers(self, part: Part) -> list[int]:
        return list(dict.fromkeys(each.number for _, each in wants(self.line, part.jobs)))

    def _note(self, text: str) -> None:
        self.courier.record(Noted(what="forge", text=text))
        self.courier.say(text)


def owned(forge: "Forge", onto: str, paths: Sequence[str]) -> owners.Owners:
    """Give who owns these paths on the forge's branch."""
    for place in owners.PLACES:
        found = forge.door.content(place, onto)
        if found is not None:
            text = found.decode("utf-8", "replace")
            return owners.owners(text, paths, owner=forge.repo.owner)
    return owners.Owners(people=(), teams=(), paths=())


def code_of(error: ForgeError) -> int:
    """Give the exit code that a failure of the forge stands for."""
    match error:
        case Limited():
            return 75
        case Conflict() | Refused():
            return 5
        case Denied() | Gone():
            return 4
        case _:
            return 7


def _said(error: ForgeError) -> str:
    asked = f" (request {error.request_id})" if error.request_id else ""
    return f"the forge: {error.message}{asked}"


def _identity(job: Job) -> str:
    """Give what a job asks for; one of issues is those, whatever was said there since."""
    if job.issues:
        return "issue " + " ".join(str(each.number) for each in job.issues)
    return f"{job.id}\0{job.title}\0{job.brief}"


def _size(site: Site, before: Oid, after: Oid) -> Size:
    found = telling.touched(site.repository.git, before, after)
    return Size(
        files=len(found), lines=sum((each.added or 0) + (each.removed or 0) for each in found)
    )
