"""Pull requests repaired: what is red or asked for there becomes jobs on top of its head.

What was read is pinned by the head's commit. New commits are only ever put on top of exactly that
commit; when it moved meanwhile nothing is pushed.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from factory.complaint import Complaint
from factory.config import specs
from factory.events import Dead, Landed, NeedsYou, Opened, Rules, Withdrawn
from factory.forge import briefs, replies, texts
from factory.forge.briefs import Cluster, Failure
from factory.forge.connecting import Forge
from factory.forge.failures import Conflict, Denied, ForgeError, Limited, Missing, Refused
from factory.forge.gatekeeping import MARK
from factory.forge.keeping import bears, key_of
from factory.forge.people import People
from factory.forge.replies import ROUNDS
from factory.forge.values import Check, Comment, Person, Pull, Thread
from factory.ledger import Ledger
from factory.line import Line
from factory.site import HEADS, Site
from stations.contract import Job, Kind, Red, StationSpec
from worktrees.failpoint import failpoint
from worktrees.merge import landings
from worktrees.names import JobId, Oid, RunId
from worktrees.scope import Scope

OPTION: Final = "pr"
"""The option of a run that repairs a pull request: its number; with the next ones, its errand."""
HEAD: Final = "pr_head"
ROUND: Final = "pr_round"
CREDIT: Final = "pr_credit"
_RED: Final = frozenset({"failure", "timed_out", "startup_failure"})
_ACTIONS: Final = "github-actions"
_MOST: Final = 20
"""Failing checks that are read in one round."""
_LOG: Final = 256 * 1024
_ODD: Final = re.compile(r"[*?\[\]\\!#\s]|^$")
_THREADS: Final = "threads="
_FILES: Final = 3_000
"""Files that a forge lists of one pull request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """Which pull request is repaired, the head that was read, and which round this is."""

    number: int
    head: Oid
    round: int
    credit: tuple[str, ...] = ()

    @property
    def options(self) -> dict[str, str]:
        """The errand as options of a run."""
        said = {OPTION: str(self.number), HEAD: self.head, ROUND: str(self.round)}
        return said | ({CREDIT: self.credit[0]} if self.credit else {})


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair:
    """What there is to repair. ``together`` gives the jobs for a head that is red by itself.

    ``left`` says what is not looked at and why, ``logs`` where the whole logs lie.
    """

    errand: Errand
    jobs: tuple[Job, ...]
    together: Callable[[Red], tuple[Job, ...]] | None
    left: tuple[str, ...]
    logs: Path | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """What became of a round on the forge; ``code`` is 0, or the exit code of what refused."""

    text: str
    code: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pushed:
    """The branch of this repository that the commits are on, and the sentence that says so."""

    branch: str
    said: str
    beside: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """Threads of one file with what people who may write say in them."""

    path: str
    threads: tuple[Thread, ...]
    said: tuple[tuple[Comment, ...], ...]


def errand_of(options: Mapping[str, str]) -> Errand | None:
    """Give the errand that a run's options hold; None when it repairs no pull request."""
    if OPTION not in options:
        return None
    return Errand(
        number=int(options[OPTION]),
        head=Oid(options[HEAD]),
        round=int(options[ROUND]),
        credit=(options[CREDIT],) if CREDIT in options else (),
    )


def read(
    site: Site, forge: Forge, number: int, *, only: str | None, say: Callable[[str], None]
) -> Repair:
    """Read what a pull request needs and bring its head here; complain when it cannot be."""
    try:
        pull = forge.door.pull(number)
    except Missing as error:
        raise Complaint(
            f"there is no pull request {number} in {forge.repo.full}", hint=error.message
        ) from error
    people = People(forge.door)
    round_ = 1 + _rounds(site, forge, number, people)
    _check(pull, forge, round_)
    head = forge.remote.fetch(f"refs/pull/{number}/head")
    if head != pull.head_sha:
        raise Complaint(
            f"the head of pull request {number} moved while it was read",
            hint="try again",
            code=5,
        )
    left: list[str] = []
    clusters = briefs.clustered(_failures(forge, head, left, say))
    asked = _asked(forge, number, people, left)
    errand = Errand(number=number, head=head, round=round_, credit=_credit(pull, forge))
    files = set(site.repository.git("ls-tree", "-r", "-z", "--name-only", head).out.split(b"\0"))
    jobs = Jobs(
        rules=site.settings.rules,
        forge=forge,
        number=number,
        changed=tuple(each.path for each in forge.door.files(number)) if clusters else (),
        files=frozenset(name.decode("utf-8", "surrogateescape") for name in files if name),
        only=only,
    )
    answers = jobs.answers(asked, left)
    return Repair(
        errand=errand,
        jobs=(*jobs.checks(clusters), *answers),
        together=(lambda red: jobs.together(clusters, red, answers)) if clusters else None,
        left=tuple(left),
        logs=_keep_logs(site, errand, clusters),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Jobs:
    """Makes the jobs of one pull request; what people wrote there chooses only their words."""

    rules: Rules
    forge: Forge
    number: int
    changed: tuple[str, ...]
    files: Collection[str]
    only: str | None

    def checks(self, clusters: Sequence[Cluster]) -> tuple[Job, ...]:
        """Give a job for each reason why checks fail."""
        found: list[Job] = []
        for cluster in clusters:
            text = briefs.check_brief(cluster, pull=self.number, repo=self.forge.repo.full)
            found.append(self._check(cluster.names[0], text, cluster.paths, found))
        return tuple(found)

    def together(
        self, clusters: Sequence[Cluster], red: Red, answers: Sequence[Job]
    ) -> tuple[Job, ...]:
        """Give one job for all checks, which the answers to the review wait for.

        A head that is red under its own tests takes no partial repair: what lands must be green.
        """
        repo = self.forge.repo.full
        if len(clusters) == 1:
            text = briefs.check_brief(clusters[0], pull=self.number, repo=repo, local=red.tail)
        else:
            text = briefs.checks_brief(clusters, pull=self.number, repo=repo, local=red.tail)
        paths = tuple(path for cluster in clusters for path in cluster.paths)
        first = self._check(clusters[0].names[0], text, paths, answers)
        rest = (replace(job, needs=(*job.needs, first.id)) for job in answers)
        return (first, *rest)

    def answers(self, asked: Sequence[_Asked], left: list[str]) -> tuple[Job, ...]:
        """Give a job for each file that people talk about; what no station may write is left."""
        found: list[Job] = []
        for each in asked:
            spec = self._owner(each.path)
            path = briefs.plain_path(each.path)
            if spec is None:
                left.append(f"review of {path}: no station may write it")
                continue
            ids = ",".join(thread.id for thread in each.threads)
            found.append(
                Job(
                    id=self._id(path, found),
                    title=briefs.plain_title(f"Answer the review of {path}", fallback="Answer"),
                    brief=briefs.thread_brief(
                        each.threads, each.said, pull=self.number, repo=self.forge.repo.full
                    ),
                    scope=self._narrow(spec, each.path),
                    route=spec.name,
                    source=f"{OPTION}:{self.number} {_THREADS}{ids}",
                )
            )
        return tuple(found)

    def _check(self, name: str, text: str, paths: Sequence[str], others: Sequence[Job]) -> Job:
        spec = self._fixer(paths)
        return Job(
            id=self._id(name, others),
            title=briefs.plain_title(f"Make {name} pass", fallback="Make the checks pass"),
            brief=text,
            scope=spec.scope,
            route=spec.name,
            source=f"{OPTION}:{self.number}",
        )

    def _id(self, name: str, others: Sequence[Job]) -> JobId:
        taken = {job.id for job in others}
        return JobId(specs.slug(f"pr {self.number} {name}", content=name, taken=taken))

    def _fixer(self, paths: Sequence[str]) -> StationSpec:
        """Give who repairs a check: the station that may write most of what it names."""
        coding = self._coding()
        for some in (paths, self.changed):
            best = max(coding, key=lambda spec: _held(spec, some), default=None)
            if best is not None and _held(best, some):
                return best
        found = specs.route(self.rules.stations, None) or next(iter(coding), None)
        if found is None:
            raise Complaint(
                f"no station can repair pull request {self.number}",
                hint="a coding station can: [[station]] with an agent",
            )
        return found

    def _owner(self, path: str) -> StationSpec | None:
        return next((spec for spec in self._coding() if spec.scope.allows(path)), None)

    def _coding(self) -> list[StationSpec]:
        return [
            spec
            for spec in specs.routes(self.rules.stations)
            if spec.kind is Kind.CODE and self.only in {None, spec.name}
        ]

    def _narrow(self, spec: StationSpec, path: str) -> Scope:
        """Give the scope of one file, unless it is gone or its name could mean more than it."""
        if path not in self.files or _ODD.search(path) or not path.isprintable():
            return spec.scope
        return specs.within((f"/{path}",), spec) or spec.scope


def deliver(
    site: Site,
    forge: Forge,
    line: Line,
    errand: Errand,
    *,
    left: Sequence[str] = (),
) -> Delivered:
    """Put what landed on top of the head that was read, and say on the pull request what was done.

    Doing it again changes nothing more.
    """
    done = [work.job for work in line.jobs.values() if isinstance(work.place, Landed)]
    tip = _tested(site, line, done)
    undone = list(_undone(line))
    fault = ""
    code = 0
    where = replies.nothing_pushed("no job landed")
    if done and tip is None:
        fault, code = "the run's branch does not hold what landed any more", 4
        where = replies.nothing_pushed(fault)
    elif done and tip is not None:
        try:
            where = push(forge, errand, tip, ours=_ours(site, errand, tip)).said
        except (Conflict, Refused, Denied) as error:
            fault, code = error.message, _code(error)
            where = replies.nothing_pushed(fault)
    shown = [job.title for job in done] if not fault else []
    undone += [(job.title, "it was not pushed") for job in done] if fault else []
    text = replies.round_of(
        errand.round, run=line.run, done=shown, undone=undone, left=left, where=where
    )
    forge.keep.comment(errand.number, round_key(forge, errand.number, errand.round), text)
    failpoint("repairing.comment.after")
    if done and tip is not None and not fault:
        for job in done:
            _answer(forge, errand, job, line, tip)
        return Delivered(text=f"pull request {errand.number}: {where}")
    return Delivered(text=fault or "no job landed, so nothing was pushed", code=code)


def _tested(site: Site, line: Line, done: Sequence[Job]) -> Oid | None:
    """Give the last landing of the run; None when its branch does not hold all of these jobs.

    What people put above it on that branch was not tested.
    """
    git = site.repository.git
    tip = git.resolve(line.target)
    found = landings(git, line.base, tip) if tip is not None else {}
    ours = {job: commit for (run, job), commit in found.items() if run == line.run}
    return [*ours.values()][-1] if ours and ours.keys() >= {job.id for job in done} else None


def _ours(site: Site, errand: Errand, tip: Oid) -> frozenset[Oid]:
    """Give the landings of this round, any of which an earlier shift may have pushed."""
    said = site.repository.git("rev-list", "--first-parent", f"{errand.head}..{tip}").text
    return frozenset(map(Oid, said.split()))


def push(forge: Forge, errand: Errand, tip: Oid, *, ours: Collection[Oid] = ()) -> Pushed:
    """Put the commits where they belong; `Conflict` when the pull request is not as it was.

    ``ours`` are commits of this round that may stand there already, below the tip.
    """
    pull = forge.door.pull(errand.number)
    own = pull.head_repo is not None and pull.head_repo.lower() == forge.repo.full.lower()
    if own and pull.head_sha == tip:
        return Pushed(branch=pull.head_ref, said=replies.pushed(tip))
    if pull.state != "open":
        raise Conflict("the pull request was closed meanwhile")
    if texts.OFF in pull.labels:
        raise Conflict(f"the pull request has the label {texts.OFF} now")
    if pull.head_sha != errand.head and pull.head_sha not in ours:
        raise Conflict(
            f"its head moved from {errand.head[:12]} to {pull.head_sha[:12]} since it was read"
        )
    failpoint("repairing.push.before")
    if own:
        forge.remote.push(f"{HEADS}{pull.head_ref}", tip, expect=Oid(pull.head_sha))
        failpoint("repairing.push.after")
        return Pushed(branch=pull.head_ref, said=replies.pushed(tip))
    _check_fork(forge, errand.number)
    key = key_of(forge.repo.full.lower(), "beside", str(errand.number), errand.head)
    branch = texts.branch(f"pr {errand.number}", key)
    ref = f"{HEADS}{branch}"
    there = forge.remote.heads(ref).get(ref)
    if there != tip:
        forge.remote.push(ref, tip, expect=there if there in ours else None)
    address = forge.door.repository().url
    return Pushed(branch=branch, said=replies.beside(branch, tip, remote=address), beside=True)


def _check_fork(forge: Forge, number: int) -> None:
    """Refuse what a branch of this repository would let run with its secrets, unlike a fork's."""
    files = forge.door.files(number)
    if len(files) >= _FILES:
        raise Refused(f"the fork changes {len(files)} files or more: nobody could look at all")
    for each in files:
        for path in (each.path, each.previous):
            if path.lower().startswith(".github/"):
                raise Refused(
                    f"the fork changes {briefs.plain_path(path)}: on a branch of this repository"
                    " it would run with the repository's own rights"
                )


def _code(error: ForgeError) -> int:
    return 4 if isinstance(error, Denied) else 5


def threads_of(job: Job) -> tuple[str, ...]:
    """Give the threads of a review that a job answers."""
    _, found, ids = job.source.partition(_THREADS)
    return tuple(ids.split(",")) if found else ()


def answer(
    forge: Forge, errand: Errand, threads: Sequence[str], *, job: JobId, commit: Oid, run: RunId
) -> None:
    """Say in each thread that a job followed it, once a round."""
    for thread in threads:
        key = key_of(forge.repo.full.lower(), "answer", thread, str(errand.round))
        text = replies.answered(commit=commit, job=job, run=run)
        forge.keep.answer(errand.number, thread, key, text)
        failpoint("repairing.answer.after")


def _answer(forge: Forge, errand: Errand, job: Job, line: Line, tip: Oid) -> None:
    place = line.jobs[job.id].place
    landed = place.commit if isinstance(place, Landed) else tip
    answer(forge, errand, threads_of(job), job=job.id, commit=landed, run=line.run)


def _undone(line: Line) -> Iterator[tuple[str, str]]:
    for work in line.jobs.values():
        match work.place:
            case Landed():
                continue
            case Dead(fault=why) | Withdrawn(why=why) | NeedsYou(question=why):
                yield work.job.title, why
            case _:
                yield work.job.title, "it was interrupted"


def _check(pull: Pull, forge: Forge, round_: int) -> None:
    """Complain when a pull request is not one to repair."""
    number = pull.number
    if pull.state != "open":
        raise Complaint(f"pull request {number} is closed", hint="reopen it first", code=5)
    if texts.OFF in pull.labels:
        raise Complaint(
            f"pull request {number} has the label {texts.OFF}",
            hint="take the label off, if it is yours to take",
            code=5,
        )
    if round_ > ROUNDS:
        raise Complaint(
            f"pull request {number} was repaired {ROUNDS} times already",
            hint="a person goes on from here; `factory run` with a job of its own can help",
            code=5,
        )
    own = pull.head_repo is not None and pull.head_repo.lower() == forge.repo.full.lower()
    if own and pull.head_ref == forge.door.repository().default:
        raise Complaint(
            f"pull request {number} comes from the default branch, which is not pushed to",
            hint="give it a branch of its own",
            code=5,
        )


def _rounds(site: Site, forge: Forge, number: int, people: People) -> int:
    """Count the rounds so far: those this repository ran, and those that say so on the forge."""
    return max(rounds_said(forge, number, people), _own_rounds(site.ledger, number))


def rounds_said(forge: Forge, number: int, people: People, *, but: Oid | None = None) -> int:
    """Count the rounds that say so on the forge, other than the one that pushed ``but``."""
    me = forge.door.me().lower()

    def trusted(person: Person) -> bool:
        return person.login.lower() == me or people.may_write(person)

    keys = {round_key(forge, number, each): each for each in range(1, ROUNDS + 1)}
    said = [
        each
        for comment in forge.door.comments(number)
        for key, each in keys.items()
        if bears(comment.body, key)
        and trusted(comment.author)
        and (but is None or not replies.is_round_of(comment.body, but))
    ]
    return max(said, default=0)


def _own_rounds(path: Path, number: int) -> int:
    if not path.exists():
        return 0
    with Ledger(path, read_only=True) as ledger:
        opened = [record.event for record in ledger.of_kind("opened")]
    found = [errand_of(event.options) for event in opened if isinstance(event, Opened)]
    return max((one.round for one in found if one is not None and one.number == number), default=0)


def _failures(
    forge: Forge, head: Oid, left: list[str], say: Callable[[str], None]
) -> list[Failure]:
    """Give the checks that failed on a commit, with what is known of why."""
    checks = forge.door.checks(head)
    waiting = sum(not each.done for each in checks)
    if waiting:
        say(f"{waiting} checks are not finished; only those that failed already are looked at")
    red = sorted(
        (each for each in checks if each.done and each.conclusion in _RED),
        key=lambda each: (each.name, each.id),
    )
    many = (briefs.plain_title(each.name, fallback="?") for each in red[_MOST:])
    left.extend(f"check {name}: too many at once" for name in many)
    found = [_failure(forge, each) for each in red[:_MOST]]
    names = {each.name for each in red}
    found += [
        Failure(name=each.context, log=each.description)
        for each in forge.door.statuses(head)
        if each.state in {"failure", "error"} and each.context not in names
    ]
    return found[:_MOST]


def _failure(forge: Forge, check: Check) -> Failure:
    try:
        log = forge.door.job_log(check.id, cap=_LOG) if check.app == _ACTIONS else ""
    except ForgeError as error:
        if isinstance(error, Limited):
            raise
        log = ""  # logs are thrown away after a while, and not everybody may read them
    said = "\n".join(filter(None, (check.title, check.summary)))
    return Failure(name=check.name, log=log or said, notes=forge.door.annotations(check.id))


def _asked(forge: Forge, number: int, people: People, left: list[str]) -> list[_Asked]:
    """Give the open threads in which somebody who may write asks for something, file by file."""
    by_path: dict[str, list[tuple[Thread, tuple[Comment, ...]]]] = {}
    me = forge.door.me().lower()
    for thread in forge.door.threads(number):
        if thread.resolved or not thread.comments:
            continue
        where = f"{briefs.plain_path(thread.path)}:{thread.line or '?'}"
        last = thread.comments[-1]
        if last.author.login.lower() == me and MARK in last.body:
            left.append(f"thread at {where}: it was answered, and waits for a person")
            continue
        heard = people.heard(thread.comments)
        if not heard:
            who = ", ".join(dict.fromkeys(briefs.login(c.author.login) for c in thread.comments))
            left.append(f"thread at {where}: {who} may not write here")
            continue
        by_path.setdefault(thread.path, []).append((thread, heard))
    return [
        _Asked(
            path=path,
            threads=tuple(thread for thread, _ in each),
            said=tuple(heard for _, heard in each),
        )
        for path, each in by_path.items()
    ]


def _credit(pull: Pull, forge: Forge) -> tuple[str, ...]:
    """Give the author of a fork's pull request as a line of credit."""
    own = pull.head_repo is not None and pull.head_repo.lower() == forge.repo.full.lower()
    return () if own else briefs.credit(pull.author, forge.repo)


def _keep_logs(site: Site, errand: Errand, clusters: Sequence[Cluster]) -> Path | None:
    """Keep the whole logs for a person, beside the ledger."""
    if not any(cluster.log for cluster in clusters):
        return None
    name = f"{errand.number}-{errand.head[:12]}"
    place = site.repository.factory / "pulls" / name
    place.mkdir(parents=True, exist_ok=True)
    for number, cluster in enumerate(clusters, 1):
        slug = specs.slug(cluster.names[0], content=name, taken=())
        (place / f"{number:02}-{slug}.log").write_text(briefs.legible(cluster.log) + "\n", "utf-8")
    return place


def _held(spec: StationSpec, paths: Sequence[str]) -> int:
    return sum(spec.scope.allows(path) for path in paths)


def round_key(forge: Forge, number: int, round_: int) -> str:
    """Give the key of the comment that counts a round."""
    return key_of(forge.repo.full.lower(), "repair", str(number), str(round_))
