"""Apply: brings a sealed change to the forge. It runs no code of the repository and no model.

Nothing that the other jobs left is believed: the digest crossed beside the bundle, the base comes
from the server, every commit is judged again, and the item is looked at again before each write.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

from factory import repairing, telling
from factory.action import gate, texts
from factory.action.bundle import BundleError, Evidence, Sealed, Seen, read
from factory.action.inputs import Inputs, Workflow
from factory.action.marker import Lease, Marker
from factory.forge import replies, standing
from factory.forge import texts as bodies
from factory.forge.connecting import Forge
from factory.forge.failures import Conflict, Denied, ForgeError, Limited, Missing, Refused
from factory.forge.gatekeeping import Pins, moved
from factory.forge.keeping import key_of
from factory.forge.obstacles import ACTIONS
from factory.forge.people import People
from factory.forge.replies import ROUNDS
from factory.forge.texts import Account, Claim
from factory.forge.values import Comment
from factory.repairing import Errand
from worktrees.names import ID_PATTERN, JobId, Oid, RunId
from worktrees.policy import Rules
from worktrees.sealed import open_sealed

MEGABYTES: Final = 20
CHECK: Final = "factory"
"""What the check run on a pushed commit is called."""
HEADS: Final = "refs/heads/"
REFUSED, WAITS, LIMITED, FAILED = 5, 4, 75, 1
_CLOSES: Final = re.compile(
    rb"\b(?:close[sd]?|fix(?:e[sd])?|resolve[sd]?)\b[\s:]{0,9}(?:[\w./-]{0,200}#|GH-|https?://)\S",
    re.IGNORECASE,
)
"""What a forge reads in the message of a commit as an order to close something."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What was written, and the exit code; ``said`` is what the marker comment says of it."""

    status: str
    why: str
    said: str
    code: int = 0
    head: str = ""
    branch: str = ""
    number: int = 0
    url: str = ""
    operation: str = "none"
    findings: tuple[str, ...] = ()
    silent: str = ""


class _Stop(Exception):  # noqa: N818  reads as what happened
    """Nothing more may be written; ``applied`` says why."""

    def __init__(self, applied: Applied) -> None:
        super().__init__(applied.why)
        self.applied = applied


@dataclass(frozen=True, slots=True, kw_only=True)
class Apply:
    """One sealed change on its way; ``pushed`` is what it has let a branch be at so far."""

    forge: Forge
    flow: Workflow
    given: Inputs
    pins: Pins
    wait: Callable[[float], object]
    say: Callable[[str], None]
    pushed: list[Oid] = field(default_factory=list)

    def run(self) -> Applied:
        """Write what may be written, and the final state in any case."""
        if not self.pins.number:
            return self._tried(Lease())
        pins = self.pins
        marker = Marker(self.forge, pins.number, command=pins.command, wait=self.wait)
        lease = marker.lease()
        if lease.run not in {"", self.flow.run}:
            return self._blocked(f"run {lease.run} works on it now")
        applied = self._tried(lease)
        marker.say(applied.said, Lease(head=applied.head or lease.head))
        return replace(applied, silent=marker.silent)

    def _tried(self, lease: Lease) -> Applied:
        try:
            return self._apply(lease)
        except _Stop as stop:
            return stop.applied
        except ForgeError as error:
            return self._failed(error)

    def _apply(self, lease: Lease) -> Applied:
        page, given = self.flow.page, self.given
        if given.status == "no-change":
            why = "there was nothing to change"
            return Applied(status="no-change", why=why, said=texts.unchanged(page))
        if not given.digest:
            why = f"the agent's job ended with: {given.result}"
            return Applied(
                status="failed", why=why, said=texts.ended(page, given.result, given.reason)
            )
        sealed = self._unsealed()
        self._judge(sealed)
        self._recheck(sealed)
        if self.pins.is_pull:
            return self._extend(sealed)
        return self._propose(sealed, lease)

    def _unsealed(self) -> Sealed:
        most = MEGABYTES * 1_000_000 + 1_000_000
        try:
            sealed = read(self.flow.temp / self.given.folder, self.given.digest, most=most)
        except BundleError as error:
            raise _Stop(self._refused(error.gate, (str(error),))) from error
        told, pins = sealed.manifest, self.pins
        named = (told.repository.lower(), told.number, told.base)
        start = pins.head if pins.is_pull else pins.base
        if named != (self.flow.repository.lower(), pins.number, start):
            raise _Stop(self._refused("manifest", ("it is of another item or another base",)))
        planned = told.account.strategy is not None
        if {bool(told.plan), bool(told.seen), planned} != {pins.command == "fix"}:
            raise _Stop(self._refused("manifest", ("it is of another command",)))
        return sealed

    def _judge(self, sealed: Sealed) -> None:
        """Judge the commits as they are, in a repository that came from the server."""
        told, repository = sealed.manifest, self.forge.remote.repository
        base = Oid(told.base)
        ref = f"refs/pull/{told.number}/head" if self.pins.is_pull else f"{HEADS}{self.pins.branch}"
        tip = self.forge.remote.fetch(ref)
        if repository.git("merge-base", "--is-ancestor", base, tip, ok=(0, 1, 128)).code:
            raise _Stop(self._blocked(f"{ref} does not hold the commit that the work began from"))
        rules = Rules(files=self.given.files, megabytes=MEGABYTES, protect=self.given.protect)
        opened = open_sealed(repository, sealed.change, base=base, head=Oid(told.head), rules=rules)
        judgement = opened.judgement
        found = (*judgement.refusals, *judgement.protected)
        if found:
            named = tuple(one.text for one in found)
            raise _Stop(self._refused(str(found[0].rule), named))
        if opened.tree != told.tree:
            raise _Stop(self._refused("manifest", ("its tree is not the one of its commit",)))
        if opened.lines > self.given.lines:
            why = f"{opened.lines} lines change, {self.given.lines} may"
            raise _Stop(self._refused("lines", (why,)))
        if any(_CLOSES.search(message) for message in opened.messages):
            why = "a commit's message would close an item"
            raise _Stop(self._refused("message", (why,)))

    def _recheck(self, sealed: Sealed) -> None:
        """Look at every item once more: nothing is written about one that changed."""
        why = self._moved(sealed) if self.pins.number else ""
        for seen in sealed.manifest.seen:
            why = why or self._issue_moved(sealed, seen)
        if why:
            raise _Stop(self._blocked(why))

    def _moved(self, sealed: Sealed) -> str:
        """Say why the item that it began with is not what it was."""
        pins = self.pins
        item, _ = gate.look(self.forge, pins.number)
        if item.is_pull and item.head == sealed.manifest.head:
            # An earlier try pushed it and failed afterwards: this one goes on from there.
            item = replace(item, head=pins.head)
        why = moved(pins, item)
        if not why and not pins.is_pull and pins.command == "run":
            why = self._linked(sealed)
        if not why and item.updated != pins.updated:
            why = self._spoken()
        return why

    def _issue_moved(self, sealed: Sealed, seen: Seen) -> str:
        """Say why an issue of a fix is not what it was when the survey read it."""
        door, people = self.forge.door, People(self.forge.door)
        issue = door.issue(seen.number)
        if issue.is_pull:
            return f"#{seen.number} is no issue"
        return standing.changed(
            seen.mark,
            issue,
            comments=tuple(door.comments(seen.number)),
            references=door.references(seen.number),
            ours={*self._own(sealed), *sealed.manifest.built},
            me=door.me(),
            repo=self.forge.repo.full,
            counts=people.may_write,
        )

    def _own(self, sealed: Sealed) -> set[int]:
        """Give the pull requests of the branch that this is for."""
        head = f"{self.forge.repo.owner}:{self._branch(sealed)}"
        return {pull.number for pull in self.forge.door.pulls(head=head)}

    def _linked(self, sealed: Sealed) -> str:
        """Say that somebody else's pull request came first."""
        door, number = self.forge.door, self.pins.number
        return standing.changed(
            "",
            door.issue(number),
            comments=(),
            references=door.references(number),
            ours=self._own(sealed),
            me=door.me(),
            repo=self.forge.repo.full,
        )

    def _spoken(self) -> str:
        """Say that somebody whose word counts spoke since the work began, other than to start it.

        What strangers write never entered the work, and does not stop it either.
        """
        me, wishes = self.forge.door.me(), self.given.wishes
        for comment in self.forge.door.comments(self.pins.number):
            if self._old(comment) or comment.author.login == me or comment.author.bot:
                continue
            if comment.body.split(maxsplit=1)[:1] == [wishes.phrase]:
                continue
            if self.forge.door.permission(comment.author.login) in {"write", "admin"}:
                return f"{comment.author.login} commented on it while the work ran"
        return ""

    def _old(self, comment: Comment) -> bool:
        return comment.updated.strftime("%Y-%m-%dT%H:%M:%SZ") <= self.pins.updated

    def _branch(self, sealed: Sealed) -> str:
        pins = self.pins
        about = f"issue {pins.number}" if pins.command == "run" else f"fix {pins.query}"
        return bodies.branch(about, self._key(sealed))

    def _key(self, sealed: Sealed) -> str:
        """Give the key of what was asked: the same text or plan on the same base is one work."""
        pins, full = self.pins, self.forge.repo.full.lower()
        if pins.command == "run":
            return key_of("action", full, str(pins.number), pins.base, pins.content)
        return key_of("action fix", full, pins.base, sealed.manifest.plan)

    def _propose(self, sealed: Sealed, lease: Lease) -> Applied:
        """Push a branch of its own and have one pull request of it."""
        name, head = self._branch(sealed), Oid(sealed.manifest.head)
        account = self._account(sealed)
        ref = f"{HEADS}{name}"
        there = self.forge.remote.heads(ref).get(ref)
        if there is not None and there not in {head, lease.head}:
            why = f"{name} holds {there[:12]}, which this Action did not push"
            raise _Stop(self._refused("foreign commit", (why,)))
        if there != head:
            self._move(ref, head, expect=there)
        self._recheck(sealed)
        try:
            kept = self.forge.keep.pull(
                self._key(sealed),
                head=name,
                base=self.pins.branch,
                title=bodies.title(account.asked, strategy=account.strategy),
                body=bodies.body(account),
                draft=self.given.draft,
            )
        except Denied as denied:
            return self._fallback(name, head, denied)
        checks = self._start_checks(sealed, name, head)
        pull = kept.value
        said = texts.opened(
            self.flow.page, number=pull.number, operation=kept.operation, checks=checks
        )
        return Applied(
            status="changed",
            why=f"pull request {pull.number} {kept.operation}",
            said=said,
            head=head,
            branch=name,
            number=pull.number,
            url=pull.url,
            operation=kept.operation,
        )

    def _extend(self, sealed: Sealed) -> Applied:
        """Put the commits on top of the pull request that was repaired, or beside a fork's."""
        told, pins, head = sealed.manifest, self.pins, Oid(sealed.manifest.head)
        said = repairing.rounds_said(self.forge, pins.number, People(self.forge.door), but=head)
        round_ = max(told.round, 1 + said)
        if round_ > ROUNDS:
            why = f"this would be round {round_}, of at most {ROUNDS}"
            raise _Stop(self._refused("rounds", (why,)))
        account = self._account(sealed)
        errand = Errand(number=pins.number, head=Oid(pins.head), round=round_)
        try:
            put = repairing.push(self.forge, errand, head)
        except Conflict as error:
            raise _Stop(self._blocked(error.message)) from error
        except Refused as error:
            raise _Stop(self._refused("push", (error.message,))) from error
        self.pushed.append(head)
        text = replies.round_of(
            round_,
            run=account.run,
            done=[each.title for each in account.asked],
            undone=list(account.left_out.items()),
            left=(),
            where=put.said,
        )
        key = repairing.round_key(self.forge, pins.number, round_)
        self.forge.keep.comment(pins.number, key, text)
        self._answer(sealed, errand, account)
        pull = self.forge.door.pull(pins.number)
        checks = self._start_checks(sealed, put.branch, head, foreign=put.beside)
        beside = put.branch if put.beside else ""
        return Applied(
            status="changed",
            why="commits were pushed",
            said=texts.extended(self.flow.page, commit=head, beside=beside, checks=checks),
            head=head,
            branch=put.branch,
            number=pins.number,
            url=pull.url,
            operation="updated",
        )

    def _answer(self, sealed: Sealed, errand: Errand, account: Account) -> None:
        """Answer the threads that jobs followed: those of this pull request and no other."""
        jobs = {each.job for each in account.asked}
        claimed = [each for each in sealed.manifest.answered if each.job in jobs]
        there = {one.id for one in self.forge.door.threads(errand.number)} if claimed else set()
        for each in claimed:
            threads = [thread for thread in each.threads if thread in there]
            job, commit = JobId(each.job), account.commit
            repairing.answer(self.forge, errand, threads, job=job, commit=commit, run=account.run)

    def _move(self, ref: str, head: Oid, *, expect: Oid | None) -> None:
        try:
            self.forge.remote.push(ref, head, expect=expect)
        except Conflict as error:
            raise _Stop(self._refused("foreign commit", (error.message,))) from error
        except Refused as error:
            raise _Stop(self._refused("push", (error.message,))) from error
        self.pushed.append(head)

    def _fallback(self, name: str, head: Oid, denied: Denied) -> Applied:
        """Say where the branch stands when no pull request may be opened."""
        base = self.pins.branch
        url = f"{self.flow.server_url}/{self.flow.repository}/compare/{base}...{name}?expand=1"
        return Applied(
            status="changed",
            why="the branch stands, but no pull request may be opened with this token",
            said=texts.beside(self.flow.page, address=url, why=denied.message),
            code=WAITS,
            head=head,
            branch=name,
            url=url,
            operation="fallback",
        )

    def _start_checks(self, sealed: Sealed, name: str, head: Oid, *, foreign: bool = False) -> str:
        """Report our own check, start the workflow that was named, and say what will not start.

        No workflow of ours is started on ``foreign`` work: it holds code that nobody here read.
        """
        told = []
        try:
            self.forge.keep.check(
                head,
                self._key(sealed),
                name=CHECK,
                status="completed",
                conclusion="success",
                title="Sealed, judged and pushed",
                summary=f"Made by [this run]({self.flow.page}), whose report tells of its tests.",
                url=self.flow.page,
            )
        except (Denied, Refused) as error:
            told.append(f"Its own check could not be written: {bodies.field(error.message)}.")
        if self.forge.door.me() == ACTIONS:
            told.append(texts.FOREIGN if foreign else texts.started_by_hand(self._dispatched(name)))
        return " ".join(told)

    def _dispatched(self, name: str) -> str:
        """Start the workflow that was named, and say what became of that."""
        workflow = self.given.dispatch
        if not workflow:
            return ""
        try:
            self.forge.door.dispatch(workflow, ref=name)
        except (Denied, Missing, Refused) as error:
            return texts.not_dispatched(workflow, error.message)
        return texts.dispatched(workflow)

    def _account(self, sealed: Sealed) -> Account:
        """Give the account of the run as far as this role can vouch for it or must not doubt it.

        Numbers, names and counts are taken from what was judged here. The words are the run's,
        and stand in the body as text in which nothing acts.
        """
        told, pins = sealed.manifest.account, self.pins
        ids = (told.run, *(each.job for each in told.asked), *told.left_out)
        if not told.asked or not all(map(ID_PATTERN.fullmatch, ids)):
            raise _Stop(self._refused("manifest", ("its account names no run or no job",)))
        if not _HASH.fullmatch(told.line):
            raise _Stop(self._refused("manifest", ("its account names no line",)))
        self._check_people(told)
        evidence = self._evidence(sealed)
        default = self.forge.door.repository().default
        # One issue is not closed by half; each of a fix's has a test of its own.
        whole = pins.branch == default and (pins.command == "fix" or not told.left_out)
        asked = tuple(
            replace(
                each,
                claims=tuple(
                    _vouched(claim, evidence.get((each.job, claim.issue)), whole=whole)
                    for claim in each.claims
                    if claim.issue in self._issues(sealed)
                ),
            )
            for each in told.asked
        )
        return replace(
            told,
            run=RunId(told.run),
            onto=pins.branch,
            base=Oid(sealed.manifest.base),
            commit=Oid(sealed.manifest.head),
            tree=Oid(sealed.manifest.tree),
            touched=telling.touched(
                self.forge.remote.repository.git,
                Oid(sealed.manifest.base),
                Oid(sealed.manifest.head),
            ),
            landings=self._landings(sealed),
            asked=tuple(replace(each, job=JobId(each.job)) for each in asked),
            limits=(*told.limits, _VOUCHED),
            place=None,
        )

    def _check_people(self, told: Account) -> None:
        """Refuse an account that thanks anybody for a pull request who did not open it."""
        if told.strategy is None:
            return
        door = self.forge.door
        for number, login in (*told.strategy.builds, *told.strategy.replaces):
            issue = door.issue(number)
            if not issue.is_pull or issue.author.login != login:
                why = f"#{number} is no pull request of whom it names"
                raise _Stop(self._refused("manifest", (why,)))

    def _issues(self, sealed: Sealed) -> set[int]:
        """Give the issues that may be spoken of."""
        if self.pins.command == "fix":
            return {each.number for each in sealed.manifest.seen}
        return {self.pins.number}

    def _evidence(self, sealed: Sealed) -> dict[tuple[str, int], Evidence]:
        """Give the evidence by job and issue: of these, of this base and of what is offered."""
        told = sealed.manifest
        asked, issues = {each.job for each in told.account.asked}, self._issues(sealed)
        found = {(each.job, each.issue): each for each in told.evidence}
        fits = all(
            each.issue in issues
            and each.job in asked
            and each.base == told.base
            and each.tree == told.tree
            for each in told.evidence
        )
        if not fits or len(found) != len(told.evidence):
            why = "its evidence is not of this item, this base or these commits"
            raise _Stop(self._refused("manifest", (why,)))
        return found

    def _landings(self, sealed: Sealed) -> int:
        told, git = sealed.manifest, self.forge.remote.repository.git
        return int(git("rev-list", "--first-parent", "--count", told.head, f"^{told.base}").text)

    def _refused(self, name: str, findings: tuple[str, ...]) -> Applied:
        return Applied(
            status="blocked",
            why=f"refused by the gate {name}",
            said=texts.refused(self.flow.page, name, findings),
            code=REFUSED,
            findings=findings,
        )

    def _blocked(self, why: str) -> Applied:
        return Applied(
            status="blocked", why=why, said=texts.blocked(self.flow.page, why), code=REFUSED
        )

    def _failed(self, error: ForgeError) -> Applied:
        """Say what stands: what was pushed before the forge failed stays, and is found again."""
        return Applied(
            status="failed",
            why="the forge did not do what it was asked",
            said=texts.unfinished(self.flow.page, error.message),
            code=LIMITED if isinstance(error, Limited) else FAILED,
            head=self.pushed[-1] if self.pushed else "",
            findings=(error.message,),
        )


def _vouched(claim: Claim, found: Evidence | None, *, whole: bool) -> Claim:
    if found is None:
        return replace(claim, closes=False, shown=False)
    # The run may ask for less than its evidence allows: a person wanted to close that one alone.
    closes = claim.closes and whole and found.shown
    return replace(claim, closes=closes, shown=found.shown, proof=found.why)


_HASH: Final = re.compile(r"[0-9a-f]{8,64}")
_VOUCHED: Final = (
    "The tests ran in the job that made the change; the job that opened this judged the commits"
    " again and ran nothing."
)
