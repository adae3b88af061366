"""Rehearsal: a repository's own last commits replayed through its line, without any model.

Every coding station is worked by an oracle that applies one commit's change; scopes, policy, gate
and tests are the real ones. It lands on a branch of its own that goes afterwards; no checkout and
no branch of the user's is touched, and nothing is delivered.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from factory import patching, rehearsal, shift
from factory.complaint import Complaint
from factory.config import specs
from factory.ending import exit_code
from factory.events import Advanced, Dead, Event, Finished, NeedsYou, Rules
from factory.floor import Watcher
from factory.ledger import Ledger, Letter
from factory.line import Line
from factory.patching import Patch
from factory.rehearsal import IN_TARGET, Change, Fate, Told
from factory.site import Site
from factory.wording import listed
from stations.box import Sandbox
from stations.contract import Budget, Job, Kind, StationSpec
from worktrees.git import Git
from worktrees.merge import landings
from worktrees.names import JobId, Oid, RunId, StationName
from worktrees.scope import widest

OPTION: Final = "rehearse"
TIP: Final = "rehearse_tip"
MISFITS: Final = "rehearse_misfits"
APPROVE: Final = "rehearse_approve"
KEEP: Final = "rehearse_keep"
OPTIONS: Final = (OPTION, TIP, MISFITS, APPROVE, KEEP)
"""The options of a run that rehearses."""
WHOLE: Final = "whole"
"""What the station is called that takes what fits no other, when that is asked for."""
_MERGE: Final = ("Merge pull request ", "Merge branch ", "Merge remote-tracking branch ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is to be rehearsed: so many commits up to ``tip``.

    With ``misfits`` what fits no configured station is replayed at one over the whole repository;
    with ``approve`` each question to a person is answered with yes; ``keep`` keeps the target.
    """

    commits: int
    tip: Oid
    misfits: bool = False
    approve: bool = False
    keep: bool = False

    @property
    def options(self) -> dict[str, str]:
        """The wish as options of a run."""
        told = {MISFITS: self.misfits, APPROVE: self.approve, KEEP: self.keep}
        kept = {name: "True" for name, asked in told.items() if asked}
        return {OPTION: str(self.commits), TIP: self.tip, **kept}


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """What a wish comes to: the first base, the changes in their order, and the jobs for them."""

    base: Oid
    changes: tuple[Change, ...]
    jobs: tuple[Job, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsed:
    """A rehearsal as it stands: what was told, and whether the history says the same.

    ``whole``: every commit of the target is a landing of this run with a tree that had passed;
    ``same``: what came out is, to the byte, the tree that the branch itself has. ``kept`` is the
    branch that was kept, empty without one.
    """

    replay: Replay
    told: Told
    whole: bool
    same: bool
    kept: str = ""

    @property
    def code(self) -> int:
        """The exit code: 0 when all that could land did, and the target was never red."""
        line = self.told.line
        if line.closing is not None:
            return exit_code(line)
        fine = all(each.fate in {*IN_TARGET, Fate.EMPTY} for each in self.told.ended)
        return 0 if fine and self.whole else 1


def wish_of(options: Mapping[str, str]) -> Wish | None:
    """Give the wish that a run's options hold; None when it rehearses nothing."""
    if OPTION not in options:
        return None
    return Wish(
        commits=int(options[OPTION]),
        tip=Oid(options[TIP]),
        misfits=MISFITS in options,
        approve=APPROVE in options,
        keep=KEEP in options,
    )


def tip_of(site: Site, branch: str | None) -> Oid:
    """Give the commit to rehearse up to: a branch's, else what is checked out."""
    git = site.repository.git
    if branch is None:
        found = git.resolve("HEAD")
    else:
        names = (f"refs/heads/{branch}", f"refs/remotes/{branch}", f"refs/tags/{branch}")
        found = next((oid for name in names if (oid := git.resolve(name)) is not None), None)
    if found is None:
        raise Complaint(
            f"there is no branch {branch} here" if branch else "the repository has no commit",
            hint="git branch --all lists them" if branch else "make a first commit",
            code=2,
        )
    return Oid(git("rev-parse", "--verify", f"{found}^{{commit}}").text)


def prepared(site: Site, wish: Wish) -> Site:
    """Give the site with oracles at its coding stations; nothing of it asks a model or a forge.

    What is measured is the line as it is configured: it does not change itself meanwhile, and
    what an earlier rehearsal tested is tested again.
    """
    settings = site.settings
    commit = replace(settings.commit, author="factory", signoff=False, sign=False)
    rules = rules_of(settings.rules, wish)
    own = replace(
        settings,
        rules=rules,
        deliver="branch",
        target=None,
        commit=commit,
        budget=Budget(),
        pace=replace(settings.pace, mode="off"),
    )
    return replace(site, settings=own, anew=True)


def under(site: Site, options: Mapping[str, str]) -> Site:
    """Give the site as a run with these options has it."""
    wish = wish_of(options)
    return site if wish is None else prepared(site, wish)


def rules_of(rules: Rules, wish: Wish) -> Rules:
    """Give the rules of a rehearsal: what has an agent of its own is an oracle, or left out."""
    kept = [spec for spec in rules.stations if _stays(spec)]
    coding = [replace(patching.oracle(spec), on={}) for spec in _coding(rules)]
    if not coding or (wish.misfits and all(spec.scope != widest() for spec in coding)):
        names = {spec.name for spec in rules.stations}
        name = next(n for n in (WHOLE, *(f"{WHOLE}-{i}" for i in range(1, 99))) if n not in names)
        whole = StationSpec(name=StationName(name), kind=Kind.CODE, scope=widest())
        coding.append(patching.oracle(whole))
    said = json.dumps([rules.hash, sorted(wish.options.items()), patching.PROGRAM])
    return replace(
        rules,
        stations=(*coding, *kept),
        hash=hashlib.sha256(said.encode()).hexdigest(),
        repair=next((spec.name for spec in kept if spec.kind is Kind.CLEANUP), None),
        budget=Budget(),
        open_hours=None,
    )


def left_out(rules: Rules) -> tuple[str, ...]:
    """Say which stations take no part in a rehearsal, and what that means."""
    coding = {spec.name for spec in _coding(rules)}
    gone = [s for s in rules.stations if s.name not in coding and not _stays(s)]
    found = [
        f"station {spec.name} takes no part: "
        + ("the forge is not asked" if spec.checks else "only programs without a model do")
        for spec in gone
        if spec.agent is not None or spec.checks
    ]
    if not any(spec.kind is Kind.TEST and _stays(spec) for spec in rules.stations):
        found.append("nothing tests this line: every change that applies lands")
    return tuple(found)


def _coding(rules: Rules) -> list[StationSpec]:
    return [s for s in rules.stations if s.kind is Kind.CODE and not s.at_merge]


def _stays(spec: StationSpec) -> bool:
    """Say whether a station is worked in a rehearsal as it is configured."""
    behind = spec.kind in {Kind.TEST, Kind.CLEANUP} or spec.at_merge
    return behind and bool(spec.run) and spec.agent is None and not spec.checks


def replayed(git: Git, configured: Rules, rules: Rules, wish: Wish) -> Replay:
    """Give the changes of a wish and their jobs, oldest first; the same each time it is asked."""
    listed = git(
        "rev-list",
        "--first-parent",
        "--parents",
        f"--max-count={wish.commits}",
        "--end-of-options",
        wish.tip,
    ).text.splitlines()
    pairs = [tuple(map(Oid, line.split()[:2])) for line in reversed(listed)]
    steps = [Patch(before=pair[1], after=pair[0]) for pair in pairs if len(pair) > 1]
    if not steps:
        raise Complaint(
            f"{wish.tip[:12]} has no commit before it, so there is nothing to replay", code=2
        )
    titles = _titles(git, [patch.after for patch in steps])
    oracles = [spec for spec in rules.stations if spec.run == patching.PROGRAM]
    own = {spec.name for spec in _coding(configured)}
    changes, jobs = list[Change](), list[Job]()
    for number, patch in enumerate(steps, 1):
        title = titles[patch.after]
        name = JobId(f"{number:0{len(str(len(steps)))}d}-{patch.after[:10]}")
        made = (patching.job(git, patch, name=name, title=title, at=spec) for spec in oracles)
        paths = patching.changed(git, patch)
        job = next((each for each in made if each is not None), None) if paths else None
        fits = job is not None and (job.route in own or not own)
        changes.append(
            Change(
                commit=patch.after,
                title=title,
                paths=paths,
                station=job.route if job is not None and fits else "",
                job=job.id if job is not None else None,
                why="" if fits or not paths else _misfit(_coding(configured), paths),
            )
        )
        jobs += [job] if job is not None else []
    if not jobs:
        raise Complaint(
            f"none of the last {len(steps)} commits can be replayed: each is empty or fits no"
            " coding station",
            hint="`--misfits run` replays what fits none at a station over the whole repository",
            code=2,
        )
    short = len(steps) < wish.commits
    notes = (f"the history has only {len(steps)} commits to replay",) if short else ()
    return Replay(
        base=steps[0].before,
        changes=tuple(changes),
        jobs=tuple(jobs),
        notes=(*notes, *left_out(configured)),
    )


def _misfit(stations: Sequence[StationSpec], paths: Sequence[str]) -> str:
    """Say why no one station may write these paths."""
    holders = {p: [spec.name for spec in stations if spec.scope.allows(p)] for p in paths}
    nobody = [path for path, names in holders.items() if not names]
    if nobody:
        return f"no station may write {listed(nobody, most=3)}"
    names = dict.fromkeys(name for each in holders.values() for name in each)
    return f"it needs {listed(names)} together"


def _titles(git: Git, commits: Sequence[Oid]) -> Mapping[Oid, str]:
    """Give a line on each commit: its subject, or what a merge says below the forge's own words."""
    words = ("--no-walk=unsorted", "-z", "--format=%H%n%B", "--stdin")
    said = git("log", *words, stdin="".join(f"{oid}\n" for oid in commits).encode())
    found: dict[Oid, str] = {}
    for part in said.parts:
        oid, _, text = part.decode("utf-8", "replace").partition("\n")
        subject, _, body = text.partition("\n")
        better = specs.one_line(body) if subject.startswith(_MERGE) else ""
        found[Oid(oid)] = better or specs.one_line(subject) or oid[:12]
    return found


def start(
    site: Site,
    wish: Wish,
    sandbox: Sandbox,
    *,
    options: Mapping[str, str],
    watch: Watcher,
    say: Callable[[str], None],
) -> Rehearsed:
    """Replay the commits of a wish to the end; complain where none of them can be replayed.

    ``options`` are those of the command line, which a resume sees again.
    """
    there = prepared(site, wish)
    replay = replayed(there.repository.git, site.settings.rules, there.settings.rules, wish)
    for text in replay.notes:
        say(f"note: {text}")

    order = shift.Order(
        jobs=replay.jobs,
        options={**options, **wish.options},
        sandbox=sandbox,
        base=replay.base,
        remedy="begin elsewhere in the history with another `--commits N` or `--branch`, or let the"
        " test station run what passed then",
    )
    promptly = _Promptly(there, replay, wish, watch)
    line = shift.start(there, order, watch=promptly, say=say)
    return _to_the_end(there, replay, wish, sandbox, line, watch=promptly, say=say)


def resume(
    site: Site,
    run: RunId,
    sandbox: Sandbox,
    wish: Wish,
    *,
    watch: Watcher,
    say: Callable[[str], None],
) -> Rehearsed:
    """Take a rehearsal up where it was left; ``site`` is the configured one."""
    there = prepared(site, wish)
    replay = replayed(there.repository.git, site.settings.rules, there.settings.rules, wish)
    git = there.repository.git
    with Ledger(there.ledger, read_only=True) as ledger:
        line = ledger.line(run)
    promptly = _Promptly(there, replay, wish, watch)
    open_jobs = line is None or any(shift.unsettled(work.place) for work in line.jobs.values())
    if line is None or open_jobs or git.resolve(line.target) is not None:
        line = shift.resume(there, run, sandbox, watch=promptly, say=say)
    return _to_the_end(there, replay, wish, sandbox, line, watch=promptly, say=say)


class _Promptly:
    """Sends what did not apply back to the line as soon as an earlier change of its files landed.

    The line may take a later change first where only an earlier one must wait: an agent would write
    it for the tree as it is, a commit's own text cannot be. Where the wish says so, each question
    to a person is answered at once.
    """

    def __init__(self, site: Site, replay: Replay, wish: Wish, watch: Watcher) -> None:
        self._ledger = site.ledger
        self._watch = watch
        self._approve = wish.approve
        self._paths = {each.job: frozenset(each.paths) for each in replay.changes}

    def __call__(self, line: Line, event: Event, now: float) -> None:
        """Pass an event on, and ask for another try where it made one worthwhile."""
        self._watch(line, event, now)
        if isinstance(event, Finished) and self._approve:
            asks = isinstance(line.jobs[event.job].place, NeedsYou)
            _post(self._ledger, line.run, [_yes(event.job)] if asks else [])
        if not isinstance(event, Advanced):
            return
        landed = frozenset[str]().union(*(self._paths[job] for job in event.jobs))
        tried = [
            job
            for job, work in line.jobs.items()
            if isinstance(work.place, Dead)
            and rehearsal.outgrown(work.place)
            and not landed.isdisjoint(self._paths[job])
        ]
        _post(self._ledger, line.run, [Letter(kind="retry", job=job) for job in reversed(tried)])


def _yes(job: JobId) -> Letter:
    return Letter(kind="tell", job=job, text="yes")


def _post(ledger: Path, run: RunId, letters: Sequence[Letter]) -> None:
    if letters:
        with Ledger(ledger) as mail:
            waiting = {letter for _, letter in mail.letters(run)}
            for letter in letters:
                if letter not in waiting:
                    mail.post(run, letter, shift.Clock(mail.last(run))())


def _to_the_end(
    site: Site,
    replay: Replay,
    wish: Wish,
    sandbox: Sandbox,
    line: Line,
    *,
    watch: Watcher,
    say: Callable[[str], None],
) -> Rehearsed:
    """Try what was refused again as long as the target goes on, then tidy and give the result."""
    while line.closing is None:
        history = _history(site, line.run)
        letters = _letters(replay, wish, line, history)
        if not letters:
            break
        _post(site.ledger, line.run, letters)
        line = shift.resume(site, line.run, sandbox, watch=watch, say=say)
    found = rehearsal.told(replay.changes, _history(site, line.run))
    git = site.repository.git
    whole = _whole(git, found)
    same = git.tree_of(found.line.gate.target) == git.tree_of(wish.tip)
    kept = ""
    if line.closing is None:
        if wish.keep:
            kept = line.target.removeprefix("refs/heads/")
        _remove_refs(site, line, keep=wish.keep)
    return Rehearsed(replay=replay, told=found, whole=whole, same=same, kept=kept)


def _letters(
    replay: Replay, wish: Wish, line: Line, history: Sequence[tuple[Event, float]]
) -> list[Letter]:
    """Give what to ask of a line that stands still; nothing when it has come to its end."""
    waiting = [job for job, work in line.jobs.items() if isinstance(work.place, NeedsYou)]
    if waiting and wish.approve:
        return [_yes(job) for job in waiting]
    tried = rehearsal.again(rehearsal.told(replay.changes, history), rehearsal.judged_on(history))
    if tried:
        # Each goes to the front of the queue: the oldest is put there last.
        return [Letter(kind="retry", job=job) for job in reversed(tried)]
    return [Letter(kind="kill", job=job) for job in waiting]


def _history(site: Site, run: RunId) -> list[tuple[Event, float]]:
    with Ledger(site.ledger, read_only=True) as ledger:
        return [(record.event, record.at) for record in ledger.records(run)]


def _whole(git: Git, told: Told) -> bool:
    """Say whether git's history holds the proved landings of this run and nothing else."""
    line = told.line
    tip = line.gate.target
    count = int(git("rev-list", "--count", "--first-parent", f"{line.base}..{tip}").text)
    ours = {commit for (run, _), commit in landings(git, line.base, tip).items() if run == line.run}
    return len(told.proved) == told.gate.landings == count and ours == set(told.proved)


def _remove_refs(site: Site, line: Line, *, keep: bool) -> None:
    """Remove every ref of a rehearsal: what it made is in the repository's own history already."""
    git, run = site.repository.git, line.run
    prefixes = (
        f"refs/heads/factory/{run}/",
        f"refs/factory/base/{run}",
        f"refs/factory/salvage/{run}/",
        f"refs/factory/salvage-old/{run}/",
    )
    with shift.owning(site):
        said = git("for-each-ref", "--format=%(objectname) %(refname)", *prefixes).text
        for entry in said.splitlines():
            oid, _, ref = entry.partition(" ")
            if not (keep and ref == line.target):
                git("update-ref", "-d", "--", ref, oid, ok=(0, 1, 128))
