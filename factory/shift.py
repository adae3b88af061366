"""A shift: one process at work on one run, from the owner lock to the janitor's last look.

Opening places all jobs and the base ref before any seat starts. Whatever ends the process, the
next shift first brings out what unfinished attempts left, then puts the line right with git.
"""

import queue
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from graphlib import TopologicalSorter
from types import FrameType
from typing import TYPE_CHECKING, Final, Self

from factory import models, versions
from factory import site as sites
from factory.balancing import Balancer, policy_of
from factory.complaint import Complaint
from factory.crew import Answer, ThreadCrew, Worker
from factory.ending import exit_code
from factory.events import (
    Closing,
    Delivered,
    Event,
    Killed,
    Landed,
    Opened,
    Paused,
    Place,
    Placed,
    Proposed,
    PullMerged,
    Reason,
    Refused,
    Reproduced,
    Resting,
    Retried,
    Settled,
    Steered,
    Waiting,
    Working,
)
from factory.floor import Floor, Watcher, closed, noted, operate, recovery
from factory.ground import HostGround
from factory.ledger import Ledger, Letter
from factory.line import Line, opened, step
from factory.models import Models
from factory.notifying import notifying
from factory.patching import credits_of
from factory.site import Delivery, Site
from factory.wording import count, masked
from stations.bench import Bench, rooms_of
from stations.box import Sandbox
from stations.coding import Coding
from stations.contract import Green, Job, Kind, Lost, Red, Trial
from stations.reading import Reading
from stations.reviewing import Reviewing
from stations.seat import rescue
from stations.setup import SetupError, setup
from stations.testing import Testing, key_of, try_tree
from stations.tools import ToolMissingError
from worktrees import janitor
from worktrees.failpoint import failpoint
from worktrees.janitor import Leftovers
from worktrees.merge import advance
from worktrees.names import JobId, Oid, RunId, StationName, base_ref, default_target
from worktrees.policy import Rules as ChangeRules
from worktrees.pool import Pool
from worktrees.workspace import Plain, Reaper

if TYPE_CHECKING:
    from factory.delivering import Courier
    from factory.forge.proofs import Proofs
    from factory.outgoing import Outgoing
    from factory.proving import Proving
    from factory.telling import Planned

# The forge's modules are imported where a run needs a forge: most runs need none.

PATIENCE: Final = 480.0
"""Seconds that reproductions may take in all where nobody delivers from here."""
WARM: Final = 2
"""Workspaces grown beyond the number of seats."""

_HEARD: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_STATIONS: Final[Mapping[Kind, type[Coding | Reading | Reviewing]]] = {
    Kind.READ: Reading,
    Kind.REVIEW: Reviewing,
}

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a person asked for: the jobs, and the options a resume must see again.

    With a ``base`` the run begins there and lands on a branch of its own; with ``prepared`` only
    where the branch that it is for is still at this commit. ``when_red`` gives the jobs to place
    instead where the base is red under its own tests; without it, such a base is refused, with the
    ``remedy``. ``credit`` names people whose work every landing builds on. With
    ``reproduce`` the cure of each issue is shown at the end, where nobody delivers from here.
    ``plan`` is what the run carries out: each cure is shown then, and told of in its pull request.
    """

    jobs: tuple[Job, ...]
    options: Mapping[str, str]
    sandbox: Sandbox
    base: Oid | None = None
    prepared: Oid | None = None
    when_red: Callable[[Red], tuple[Job, ...]] | None = None
    remedy: str = "repair it, or name a green base with `--onto BRANCH`"
    credit: tuple[str, ...] = ()
    reproduce: bool = False
    plan: "Planned | None" = None


class Clock:
    """Seconds since the epoch that never run back, also across shifts of one run."""

    def __init__(self, at_least: float = 0.0) -> None:
        self._zero = max(time.time(), at_least) - time.monotonic()

    def __call__(self) -> float:
        """Give the time now."""
        return self._zero + time.monotonic()


@contextmanager
def owning(site: Site) -> Iterator[None]:
    """Hold the repository: one run at a time. Complain when another process has it."""
    site.repository.factory.mkdir(parents=True, exist_ok=True)
    if not site.owner.acquire(timeout=1.0):  # a look from `status` lasts no time
        raise Complaint(
            f"another run holds this repository ({site.owner.holder()})",
            hint="`factory status` shows it, `factory watch` follows it",
            code=6,
        )
    try:
        yield
    finally:
        site.owner.release()


def start(site: Site, order: Order, *, watch: Watcher, say: Say) -> Line:
    """Open a run, work it until nothing more happens by itself, and give its line.

    Raises ``Complaint`` before anything was placed, ``LedgerError`` when no effect may follow.
    """
    with owning(site), Ledger(site.ledger) as ledger, Reaper(site.repository) as reaper:
        recover_all(site, ledger, order.sandbox, say=say)
        sites.check_room(site)
        run = sites.new_run()
        base = order.base
        delivery = sites.deliver_to(site, run) if base is None else sites.beside(run, base)
        if order.prepared not in {None, delivery.base}:
            raise Complaint(
                f"the branch moved to {delivery.base[:12]} while this was prepared on"
                f" {str(order.prepared)[:12]}",
                hint="the same command again: everything is looked at and tried anew",
                code=4,
            )
        sites.check_repository(site, delivery)
        sites.check_stations(site, order.jobs)
        if delivery.onto:
            from factory import delivering

            delivering.check(site, delivery, say=say)
        event = Opened(
            run=run,
            base=delivery.base,
            target=delivery.target,
            deliver=delivery.deliver,
            onto=delivery.onto,
            rules=site.settings.rules,
            options=order.options,
            promise="" if order.sandbox.contains else "no sandbox: nothing is contained",
            config=versions.keep(site.repository.factory, site.settings.written),
        )
        clock = Clock()
        shift = _Shift(
            site,
            ledger,
            reaper,
            order.sandbox,
            opened(event, clock()),
            clock,
            watch,
            say,
            expected=len(order.jobs),
            credit=order.credit,
            brought=_brought(site, order.jobs, order.plan),
            plan=order.plan,
        )
        with shift, notifying(site, say=say):
            jobs = _jobs(order, shift.base_verdict(), delivery.base, say)
            events: list[Event] = [event, Placed(jobs=jobs)]
            events += [
                Refused(job=job, why=why)
                for job, why in sites.refusals_of(site.settings.rules, jobs).items()
            ]
            _make_refs(site, run, delivery)
            return shift.work(events, reproduce=order.reproduce)


def _brought(
    site: Site, jobs: Iterable[Job], plan: "Planned | None"
) -> dict[JobId, tuple[str, ...]]:
    """Give whose work the jobs that apply changes bring: of a pull request the forge knows it."""
    known = dict(credits_of(site.repository.git, jobs))
    return known if plan is None else known | dict(plan.credit)


def _jobs(order: Order, red: Red | None, base: Oid, say: Say) -> tuple[Job, ...]:
    """Give the jobs to place; complain, with the failing tail, of an unforeseen red base."""
    if red is None:
        return order.jobs
    if order.when_red is None:
        raise Complaint(
            f"the base {base[:12]} is red before anything started ({red.owner}):\n{red.tail}",
            hint=order.remedy,
            code=7,
        )
    say(f"the base is red ({red.owner}), as was to be expected: only what makes it green can land")
    return order.when_red(red)


def resume(
    site: Site,
    run: RunId,
    sandbox: Sandbox,
    *,
    watch: Watcher,
    say: Say,
    credit: tuple[str, ...] = (),
    plan: "Planned | None" = None,
) -> Line:
    """Take a run up where it was left, however it was left."""
    with owning(site), Ledger(site.ledger) as ledger, Reaper(site.repository) as reaper:
        recover_all(site, ledger, sandbox, say=say)
        sites.check_room(site)
        line = ledger.line(run)
        if line is None:
            raise Complaint(f"there is no run {run}", hint="`factory status --all` lists them")
        left = [work.job for work in line.jobs.values() if unsettled(work.place)]
        if left:
            sites.check_stations(site, left)
        clock = Clock(ledger.last(run))
        shift = _Shift(
            site,
            ledger,
            reaper,
            sandbox,
            line,
            clock,
            watch,
            say,
            expected=len(left),
            credit=credit,
            brought=_brought(site, [work.job for work in line.jobs.values()], plan),
            plan=plan,
        )
        with shift, notifying(site, say=say):
            if shift.ground.tip() is None:
                target, tip = line.target, line.gate.target
                raise Complaint(f"{target} is gone", hint=f"git update-ref {target} {tip}", code=7)
            serial, budget = _next_serial(site, line), site.settings.budget
            new = None if budget == line.rules.budget else budget
            return shift.work(recovery(line, shift.ground, serial=serial, budget=new))


def recover_all(site: Site, ledger: Ledger, sandbox: Sandbox, *, say: Say) -> None:
    """Bring out and tidy what earlier processes left, for every run that did not end cleanly."""
    left = [
        run
        for run in ledger.runs()
        if not ledger.ended(run) or janitor.names_of(site.repository, run)
    ]
    if left or sandbox.name == "docker":  # whose engine may have gone away before it removed all
        engine = sites.containers_of(site)
        # An agent that still works in a container would change what is exported here.
        for name in engine.sweep() if engine is not None else ():
            say(f"removed the container {name} of a factory that is gone")
    for run in left:
        line = ledger.line(run)
        if line is not None:
            _recover(site, ledger, sandbox, line, say)
    for run in janitor.runs_of(site.repository) - set(ledger.runs()):
        _forget(site, run)


def _forget(site: Site, run: RunId) -> None:
    """Tidy what a run left that ended before it was placed: nobody ever worked for it."""
    rooms = rooms_of(site.repository, run)
    if any(rooms.glob("*-seat")):
        return  # somebody did: its ledger is gone, and so is what may be thrown away
    git, target = site.repository.git, f"{sites.HEADS}{default_target(run)}"
    base = git.resolve(base_ref(run)) or git.resolve("HEAD")
    if base is None:
        return
    left = Leftovers(
        run=run,
        target=target,
        base=base,
        started_before=time.time(),
        landed={},
        scratch=(*(site.repository.factory / "new").glob(f"{run}-*"), rooms),
    )
    janitor.tidy(site.repository, left, lock=site.lock)
    for ref in (target, base_ref(run)):
        git("update-ref", "-d", "--", ref, base, ok=(0, 1, 128))


def _recover(site: Site, ledger: Ledger, sandbox: Sandbox, line: Line, say: Say) -> None:
    """Export unfinished attempts to salvage, then let the janitor repair the repository."""
    with _pool(site, line, bound=0) as nothing_grows:
        bench = _bench(site, line, sandbox, pool=nothing_grows)
        _rescue(ledger, bench, line, say)
    tidy(site, line)


def _rescue(ledger: Ledger, bench: Bench, line: Line, say: Say) -> None:
    for work in line.jobs.values():
        if not isinstance(work.place, Working) or work.base is None:
            continue
        failpoint("shift.rescue.before")
        commit = rescue(bench, job=work.job.id, serial=work.place.serial, base=work.base)
        failpoint("shift.rescue.after")
        if commit is not None:
            text = f"unfinished work of {work.job.id} is kept as {commit}"
            ledger.append(line.run, [noted("salvage", text, work.job.id)], time.time())
            say(text)


def tidy(site: Site, line: Line) -> janitor.Tidied:
    """Let the janitor repair what a run left; branches of work that still waits are kept."""
    landed = {
        work.job.id: work.commit
        for work in line.jobs.values()
        if isinstance(work.place, Landed | Proposed) and work.commit is not None
    }
    keep = [
        work.job.id
        for work in line.jobs.values()
        if work.commit is not None and work.job.id not in landed and unsettled(work.place)
    ]
    new = site.repository.factory / "new"
    scratch = (*new.glob(f"{line.run}-*"), rooms_of(site.repository, line.run))
    left = Leftovers(
        run=line.run,
        target=line.target,
        base=line.base,
        started_before=time.time(),
        keep=keep,
        landed=landed,
        scratch=scratch,
    )
    return janitor.tidy(site.repository, left, lock=site.lock)


def unsettled(place: Place) -> bool:
    """Say whether a job at this place is not in one of its final ones."""
    return not isinstance(place, Settled)


def _make_refs(site: Site, run: RunId, delivery: Delivery) -> None:
    """Keep the base from being collected, and make the target when it is new."""
    git = site.repository.git
    zeros = Oid("0" * len(delivery.base))
    failpoint("shift.refs.before")
    git("update-ref", "--", base_ref(run), delivery.base, zeros)
    if delivery.new and not advance(git, delivery.target, new=delivery.base, old=zeros):
        raise Complaint(f"{delivery.target} was made by somebody else meanwhile", code=6)
    failpoint("shift.refs.after")


def _next_serial(site: Site, line: Line) -> int:
    """Give a serial that no workspace of this run ever had, grown ahead ones included."""
    seats = max(line.rules.seats, site.settings.pace.max_seats or 0) + WARM
    known = [int(name.rpartition("-")[2]) for name in janitor.names_of(site.repository, line.run)]
    return max([line.serial + seats, *(serial + 1 for serial in known)])


def _ahead(line: Line) -> int:
    """Say how many attempts may begin soon: of each job that waits, and one repair of another."""
    waiting = sum(isinstance(work.place, Waiting | Resting) for work in line.jobs.values())
    return waiting + (not line.still)


def _made(line: Line) -> Callable[[str], bool]:
    """Say of a path whether a station ``at = "merge"`` makes it."""
    scopes = tuple(spec.scope for spec in line.rules.stations if spec.at_merge)
    return lambda path: any(scope.allows(path) for scope in scopes)


def _pool(
    site: Site,
    line: Line,
    *,
    bound: int,
    base: Oid | None = None,
    first_serial: int = 0,
    ahead: int | None = None,
    reaper: Reaper | None = None,
) -> Pool:
    return Pool(
        site.repository,
        line.run,
        grower=Plain(repository=site.repository, lock=site.lock, reaper=reaper),
        bound=bound,
        base=base or line.base,
        first_serial=first_serial,
        ahead=ahead,
    )


def _bench(site: Site, line: Line, sandbox: Sandbox, *, pool: Pool) -> Bench:
    settings = site.settings
    stations = line.rules.stations
    made = tuple(glob for spec in stations if spec.at_merge for glob in spec.scope.write)
    return Bench(
        repository=site.repository,
        pool=pool,
        sandbox=sandbox.of_run(line.run),
        surroundings=sites.surroundings_of(site),
        rules=ChangeRules(
            files=settings.limits.files,
            megabytes=settings.limits.megabytes,
            protect=settings.protect,
            made=made,
        ),
        run=line.run,
        target=line.target,
        runs=site.repository.factory / "runs" / line.run,
        secrets=models.secrets(settings, stations),
        anew=site.anew,
    )


def _set_up(site: Site, bench: Bench, base: Oid, say: Say) -> Bench:
    """Give the bench with what `[env] setup` makes; complain when that fails."""
    env = site.settings.env
    if env.setup is None:
        return bench
    say(f"setup: {' '.join(env.setup)} (kept until its key files change)")
    try:
        made = setup(bench, env.setup, keys=env.key, base=base)
    except (SetupError, ToolMissingError) as error:
        raise Complaint(f"[env] setup failed: {error}", code=7) from error
    return replace(bench, surroundings=made)


@contextmanager
def trying(site: Site, sandbox: Sandbox, base: Oid, *, say: Say) -> Iterator[Bench]:
    """Give where tests can be run on trees before a run begins; nothing of it is on record."""
    run = sites.new_run()
    event = Opened(
        run=run,
        base=base,
        target=f"{sites.HEADS}{default_target(run)}",
        deliver="branch",
        rules=site.settings.rules,
    )
    line = opened(event, 0.0)
    with owning(site), _pool(site, line, bound=0) as nothing_grows:
        sites.check_room(site)
        bench = _bench(site, line, sandbox, pool=nothing_grows)
        try:
            yield _set_up(site, bench, base, say)
        finally:
            _forget(site, run)


class _Shift:
    """The moving parts of one run in this process, begun and ended together."""

    def __init__(
        self,
        site: Site,
        ledger: Ledger,
        reaper: Reaper,
        sandbox: Sandbox,
        line: Line,
        clock: Clock,
        watch: Watcher,
        say: Say,
        *,
        expected: int,
        credit: tuple[str, ...],
        brought: Mapping[JobId, tuple[str, ...]],
        plan: "Planned | None",
    ) -> None:
        self._expected = expected
        self._plan = plan
        self._post: Outgoing | None = None
        self._site = site
        self._ledger = ledger
        self._say = say
        self._clock = clock
        self._watch = watch
        self._answers: queue.SimpleQueue[Answer | Event] = queue.SimpleQueue()
        self._ending = threading.Event()
        self._line = line
        history = [(record.event, record.at) for record in ledger.records(line.run)]
        self._balancer = Balancer(policy_of(site.settings.pace), history)
        self._reaper = reaper
        self._sandbox = sandbox
        self.ground = HostGround(
            repository=site.repository,
            lock=site.lock,
            run=line.run,
            base=line.base,
            target=line.target,
            commit=site.settings.commit,
            me=sites.person(site),
            made=_made(line),
            say=say,
            credit=credit,
            brought=brought,
        )

    def __enter__(self) -> Self:
        self._stack = ExitStack()
        with ExitStack() as stack:
            site, line = self._site, self._line
            pool = stack.enter_context(
                _pool(
                    site,
                    line,
                    bound=max(line.rules.seats, site.settings.pace.max_seats or 0) + WARM,
                    base=self.ground.tip() or line.base,
                    first_serial=_next_serial(site, line) if line.jobs else 0,
                    ahead=self._expected,
                    reaper=self._reaper,
                )
            )
            bench = _bench(site, line, self._sandbox, pool=pool)
            if models.wanted(line.rules.stations):
                shared = stack.enter_context(
                    Models(
                        site.settings,
                        site.ledger,
                        line.run,
                        path=site.environment.path,
                        now=self._clock,
                        warn=lambda text: self._answers.put(noted("budget", text)),
                    )
                )
                bench = replace(bench, runtimes=shared.runtimes(line.rules.stations))
                shared.warm()
            self.bench = _set_up(site, bench, line.base, self._say)
            workers: dict[StationName, Worker] = {
                spec.name: _STATIONS.get(spec.kind, Coding)(spec=spec, bench=self.bench)
                for spec in line.rules.stations
                if spec.kind is not Kind.TEST
            }
            tester = Testing(bench=self.bench, specs=line.rules.stations)
            self.prover = stack.enter_context(self._forge_checks())
            self.crew = ThreadCrew(workers, tester, self._answers.put, self.prover)
            stack.callback(self.crew.close)
            stack.callback(self._ending.set)  # whoever waits for a rate limit to pass is let go
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @contextmanager
    def _forge_checks(self) -> "Iterator[Proving | None]":
        """Give who asks the forge for verdicts, where a station wants them; what is left goes."""
        site, line = self._site, self._line
        if not any(spec.checks for spec in line.rules.stations):
            yield None
            return
        from factory.delivering import connected
        from factory.forge.proofs import Proofs
        from factory.proving import Proving

        with connected(site, say=self._say, wait=self._ending.wait) as forge:
            proofs = Proofs(git=site.repository.git, remote=forge.remote, say=self._say)
            self._sweep(proofs, keep=proofs.live(line.run))
            onto = line.onto or site.settings.target or ""
            secrets = self.bench.secrets
            try:
                yield Proving(proofs=proofs, door=forge.door, onto=onto, secrets=secrets)
            finally:
                self._sweep(proofs)

    def _sweep(self, proofs: "Proofs", keep: frozenset[Oid] = frozenset()) -> None:
        """Remove the proofs of all runs for whose verdicts nobody waits."""
        from factory.proving import awaited

        runs = frozenset(proofs.left().values())
        proofs.sweep(keep | awaited(self._ledger.line(run) for run in runs))

    def base_verdict(self) -> Red | None:
        """Give how the base fails its own required tests; None when it passes, or none are."""
        trial = self._base_trial()
        if trial is None:
            self._say("nothing tests this line: what agents make lands as it is")
            return None
        verdict = self._ledger.verdict(trial.tree, trial.key)
        if verdict is None or verdict.kind != "green":
            self._say("testing the base")
            verdict = try_tree(self.bench, trial, stop=threading.Event())
            if self.prover is not None and trial.outside and isinstance(verdict, Green):
                self._say("asking the forge about the base")
                verdict = self.prover.base(trial, threading.Event())
        if isinstance(verdict, Lost):
            raise Complaint(f"the tests cannot run: {verdict.why}", code=7)
        self._ledger.keep(verdict)
        return verdict if isinstance(verdict, Red) else None

    def _base_trial(self) -> Trial | None:
        line = self._line
        checks = tuple(spec.check() for spec in line.rules.tests if spec.required)
        if not checks:
            return None
        tree = self._site.repository.git.tree_of(line.base)
        key = key_of(self.bench, checks)
        return Trial(run=line.run, trial=0, base=line.base, tree=tree, checks=checks, key=key)

    def work(self, events: Sequence[Event], *, reproduce: bool = False) -> Line:
        """Carry the line on from these events until nothing more happens by itself."""
        floor = Floor(
            line=self._line,
            book=self._ledger,
            crew=self.crew,
            ground=self.ground,
            now=self._clock,
            watch=self._watched,
        )
        mail = Mail(self._ledger, self._line.run, self._balancer, self._clock)
        with self._outgoing(floor), _signals(floor, self._answers):
            # A pause that was asked for while nobody worked must not stop who was told to go on.
            first = [e for e in mail.collect(floor.line) if not isinstance(e, Paused)]
            floor.tick([*events, *first])
            operate(floor, self._answers, mail, self._clock)
            mail.settle()
        self._stack.close()  # everybody has left before the janitor comes
        self._drain(floor)
        try:
            if reproduce or self._plan is not None:
                self._reproduce(floor)
            if floor.line.deliver == "pr":
                self._courier(floor).deliver()
        except KeyboardInterrupt:
            self._say(f"interrupted; `factory resume {floor.line.run}` goes on delivering")
            raise
        tidy(self._site, floor.line)
        self._reaper.drain()
        if not any(unsettled(work.place) for work in floor.line.jobs.values()):
            git, ref = self._site.repository.git, base_ref(floor.line.run)
            git("update-ref", "-d", "--", ref, ok=(0, 1))
        floor.tick([closed(exit_code(floor.line))])
        if floor.line.closing is not None:
            self._say(_stopped(floor.line.closing))
        return floor.line

    def _reproduce(self, floor: Floor) -> None:
        """Put on record what shows that landed jobs cure their issues; a stopped run shows none."""
        if floor.line.closing is not None:
            return
        from factory.evidence import of_landings, wants

        stop = threading.Event()
        timer = threading.Timer(PATIENCE, stop.set)
        if self._plan is None:
            timer.start()
        landed = [
            job
            for job, work in floor.line.jobs.items()
            if isinstance(work.place, Landed | Proposed)
        ]
        wanted = wants(floor.line, landed)
        new = [job for job, each in wanted if (job, each.number) not in floor.line.reproduced]
        if new:
            self._say(f"showing the cure of {count(len(new), 'issue')}: each test, 6 times")
        try:
            for made in of_landings(self.bench, floor.line, wanted, stop=stop):
                if made is not floor.line.reproduced.get((made.job, made.issue)):
                    floor.tick([made])
        finally:
            timer.cancel()

    def _courier(self, floor: Floor) -> "Courier":
        """Give who offers what landed as pull requests, where the run is to end so."""
        from factory.delivering import Courier

        return Courier(
            site=self._site,
            bench=self.bench,
            line=lambda: floor.line,
            record=lambda event: floor.tick([event]),
            say=self._say,
            plan=self._plan,
        )

    @contextmanager
    def _outgoing(self, floor: Floor) -> Iterator[None]:
        """Offer each landing while the run goes on, where every job has its pull request."""
        if floor.line.deliver != "pr" or self._site.settings.forge.pulls != "job":
            yield
            return
        from factory.outgoing import Outgoing

        with Outgoing(courier=self._courier(floor), put=self._answers.put) as self._post:
            yield

    def _drain(self, floor: Floor) -> None:
        """Put on record what was told when nobody listened any more: it happened."""
        while not self._answers.empty():
            event = self._answers.get()
            if isinstance(event, Delivered | Reproduced | PullMerged):
                floor.tick([event])

    def _watched(self, line: Line, event: Event, now: float) -> None:
        self._balancer.watch(line, event, now)
        self.bench.pool.rebase(line.gate.target, ahead=_ahead(line))
        self._reaper.wake()
        self._watch(line, event, now)
        if self._post is not None:
            self._post.seen(event)


def _stopped(closing: Closing) -> str:
    larger = " (`--budget LIMITS` gives the run a larger budget)"
    more = larger if closing.reason is Reason.BUDGET else ""
    return f"stopped: {masked(closing.why)}\n  `factory resume` goes on from here{more}"


class Mail:
    """The letters that other processes left for this run, and what its own loop decides."""

    def __init__(
        self, ledger: Ledger, run: RunId, balancer: Balancer, now: Callable[[], float]
    ) -> None:
        self._ledger = ledger
        self._run = run
        self._balancer = balancer
        self._now = now
        self._read: list[int] = []

    def collect(self, line: Line) -> Sequence[Event]:
        """Give new letters as events; those given before are on record now and marked so."""
        self.settle()
        letters = self._ledger.letters(self._run)
        self._read = [key for key, _ in letters]
        if not letters:
            return self._balancer.look(line, self._now()) if line.jobs else ()
        found: list[Event] = []
        for _, letter in letters:
            events = self._decided(letter, line)
            for event in events:  # the next letter is judged by what this one changes
                line, _ = step(line, event, self._now())
            found += events or _events(letter, line)
        return found

    def _decided(self, letter: Letter, line: Line) -> Sequence[Event]:
        match letter.kind:
            case "apply" if letter.option is not None:
                return self._balancer.apply(line, letter.option, self._now())
            case "undo":
                return self._balancer.undo(line, letter.text)
            case _:
                return ()

    def settle(self) -> None:
        """Mark the letters taken whose events are on record now."""
        if self._read:
            self._ledger.take(self._read)
            self._read = []


def _events(letter: Letter, line: Line) -> Sequence[Event]:
    jobs = tuple(line.jobs) if letter.job is None else (letter.job,)
    match letter.kind:
        case "tell":
            return [Steered(job=job, text=letter.text) for job in jobs]
        case "kill":
            return [Killed(job=job) for job in _dependants_first(line, jobs)]
        case "retry":
            return [Retried(job=job) for job in jobs]
        case "pause":
            return [Paused(on=True)]
        case "resume":
            return [Paused(on=False)]
        case "apply" | "undo":
            return ()  # the balancer answers these


def _dependants_first(line: Line, jobs: Sequence[JobId]) -> Sequence[JobId]:
    """Order jobs so that none is given up for what it needs before its own turn comes."""
    after = {job: (*line.jobs[job].job.needs, *line.jobs[job].children) for job in line.jobs}
    return [job for job in (*TopologicalSorter(after).static_order(),)[::-1] if job in jobs]


@contextmanager
def _signals(floor: Floor, answers: "queue.SimpleQueue[Answer | Event]") -> Iterator[None]:
    """Let Ctrl-C drain the line once, and end all work the second time; so does a polite kill."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    asked = 0

    def hear(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        del frame
        asked += 1
        why = "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name
        answers.put(Closing(reason=Reason.INTERRUPTED, why=why))
        if asked > 1 or number != signal.SIGINT:
            floor.stop_all()

    before = {number: signal.signal(number, hear) for number in _HEARD}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
