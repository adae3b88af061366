"""Comparisons: two versions of a line take turns at one repository until all jobs have been dealt.

What was dealt is on disk before the first turn; each turn is a run of its own that says which
turn it is, so that whoever resumes the newest run takes the comparison up where it was left.
"""

import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter, ValidationError

from factory import calls, comparing, shift, versions
from factory import site as sites
from factory.balancing import seeded
from factory.budgets import exhausted, share
from factory.comparing import Compared, Name, Result, Share, Taken
from factory.complaint import Complaint
from factory.config.configured import Settings
from factory.duplicates import near_duplicates
from factory.ending import RANK, exit_code, landed_in
from factory.events import Closed, Opened
from factory.floor import Watcher
from factory.ledger import Ledger
from factory.line import Line
from factory.meter import measured
from factory.pace.values import Pace
from factory.site import Site
from factory.wording import count, listed
from stations.box import Sandbox
from stations.contract import Budget, Job, Kind, Spend, StationSpec
from worktrees.names import JobId, RunId

OPTION: Final = "compare"
TURN: Final = "compare_turn"
SCHEMA: Final = "factory.comparison/1"
_BUDGET: Final = 3
_OVER: Final = (0, 1)
"""Exit codes of a run in which every job came to an end."""
_SAME: Final = (
    *("target", "deliver", "sandbox", "budget", "day", "protect", "env", "limits", "commit"),
    *("network", "forge", "docker_image", "docker_engine"),
)
"""What both versions must say alike, as the settings call it."""

Say = Callable[[str], None]
Progress = Callable[[], AbstractContextManager[Watcher]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dealt:
    """One turn: the version that works, and its jobs as that version reads them."""

    name: Name
    jobs: tuple[Job, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A comparison as it was dealt: the versions' files and hashes, the seed, the turns."""

    id: str
    seed: int
    files: Mapping[Name, str]
    lines: Mapping[Name, str]
    turns: tuple[Dealt, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """A version at work: the site as it configures it, and where its agents and tests run."""

    site: Site
    sandbox: Sandbox


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A comparison as it stands: its runs in their order, and what they show.

    ``whole`` says whether every turn was taken to its end.
    """

    record: Record
    lines: tuple[Line, ...]
    shares: Mapping[Name, Share]
    found: Compared
    target: str
    whole: bool
    code: int


@cache
def _records() -> TypeAdapter[Record]:
    return TypeAdapter(Record)


def unlike(a: Settings, b: Settings) -> tuple[str, ...]:
    """Say in what two versions differ that a comparison must not change."""
    found = [
        f"{_key(name)}: {getattr(a, name)!r} and {getattr(b, name)!r}"
        for name in _SAME
        if getattr(a, name) != getattr(b, name)
    ]
    one, two = (_judges(each.rules.stations) for each in (a, b))
    for name in sorted(one.keys() | two.keys()):
        if name not in one or name not in two:
            found.append(f"the required station {name} stands in only one of them")
        elif one[name] != two[name]:
            found.append(f"the required station {name} is not the same in both")
    return tuple(found)


def _key(name: str) -> str:
    tables = ("env", "limits", "commit", "network", "forge")
    return f"[{name}]" if name in tables else f"[line] {name}"


def _judges(stations: Sequence[StationSpec]) -> dict[str, StationSpec]:
    """Give the required stations that judge work, without what says nothing of how they do."""
    judging = [s for s in stations if s.required and s.kind in (Kind.TEST, Kind.REVIEW)]
    return {spec.name: replace(spec, seats=0, batch=1, budget=Budget()) for spec in judging}


def deal(
    sides: Mapping[Name, Side],
    files: Mapping[Name, str],
    jobs: Mapping[Name, Sequence[Job]],
    *,
    seed: int | None = None,
) -> Record:
    """Deal the jobs out; complain of versions or jobs that allow no fair comparison."""
    shown = names(sides["a"].site, files)
    settings = {name: side.site.settings for name, side in sides.items()}
    if wrong := unlike(settings["a"], settings["b"]):
        lines = "\n".join(f"  {text}" for text in wrong)
        raise Complaint(
            f"{shown['a']} and {shown['b']} cannot be compared:\n{lines}",
            hint="a comparison changes who works and how, never what a change must pass",
        )
    if settings["a"].deliver == "pr":
        raise Complaint(
            "a comparison makes no pull requests", hint="--deliver branch, or merge with --onto"
        )
    _same_jobs(jobs, shown)
    number = secrets.randbits(32) if seed is None else seed
    chance = seeded(number)
    alike = [(kept, gone) for kept, gone, _ in _duplicates(settings["a"], jobs["a"])]
    whole = comparing.parcels(jobs["a"], alike)
    if len(whole) < 2:  # noqa: PLR2004
        raise _inseparable(jobs["a"])
    dealt = comparing.deal(whole, {job.id: job.route for job in jobs["a"]}, chance)
    known = {name: {job.id: job for job in each} for name, each in jobs.items()}
    return Record(
        id=sites.new_run(),
        seed=number,
        files=dict(files),
        lines={
            name: versions.keep(side.site.repository.factory, side.site.settings.written)
            for name, side in sides.items()
        },
        turns=tuple(
            Dealt(name=turn.name, jobs=tuple(known[turn.name][job] for job in turn.jobs))
            for turn in comparing.turns(dealt, chance)
        ),
    )


def _inseparable(jobs: Sequence[Job]) -> Complaint:
    """Give the complaint about jobs that are one parcel; it names who touches most of them."""
    what = f"{count(len(jobs), 'job')} cannot be shared by two versions"
    touched = {
        one.id: sum(one.scope.overlaps(two.scope) for two in jobs if two is not one) for one in jobs
    }
    most = max(touched, key=lambda job: touched[job], default=None)
    if most is None or not touched[most]:
        return Complaint(what, hint="give more jobs, that do not all need each other")
    return Complaint(
        f"{what}: overlapping scopes or needs tie them all together",
        hint=f"give jobs scopes of their own: that of {most} overlaps"
        f" {count(touched[most], 'other')}, and what overlaps stays with one version",
    )


def _duplicates(settings: Settings, jobs: Sequence[Job]) -> tuple[tuple[JobId, JobId, str], ...]:
    return near_duplicates(jobs, settings.rules.stations)


def _same_jobs(jobs: Mapping[Name, Sequence[Job]], files: Mapping[Name, str]) -> None:
    """Complain when the versions would not do the same jobs."""
    told = {
        name: {job.id: (job.title, job.brief, set(job.needs), job.accept) for job in each}
        for name, each in jobs.items()
    }
    known = dict.fromkeys([*told["a"], *told["b"]])
    other = [job for job in known if told["a"].get(job) != told["b"].get(job)]
    if other:
        raise Complaint(
            f"{files['a']} and {files['b']} mean different jobs: {listed(other)}",
            hint="write the jobs into a file of their own: factory run --compare A B @jobs.toml",
        )


def names(site: Site, files: Mapping[Name, str]) -> Mapping[Name, str]:
    """Give what both files are called here: below the checkout by their place in it."""
    if files["a"] == files["b"]:
        raise Complaint(f"{files['a']} is compared with itself", hint="name two files")
    place = site.place.resolve()
    resolved = {name: Path(text).resolve() for name, text in files.items()}
    return {
        name: str(path.relative_to(place)) if path.is_relative_to(place) else files[name]
        for name, path in resolved.items()
    }


def check(sides: Mapping[Name, Side], record: Record) -> None:
    """Complain, before anything starts, of what would stop one of the versions later."""
    for dealt in record.turns:
        sites.check_stations(sides[dealt.name].site, dealt.jobs)


def save(site: Site, record: Record) -> None:
    """Put what was dealt on disk."""
    path = _path(site, record.id)
    path.parent.mkdir(parents=True, exist_ok=True)
    text = {"schema": SCHEMA, **json.loads(_records().dump_json(record))}
    versions.replaced(path, json.dumps(text, indent=1), mode=0o600)


def load(site: Site, name: str) -> Record:
    """Give the comparison of that id; complain when its record cannot be read."""
    path = _path(site, name)
    try:
        tree = json.loads(path.read_bytes())
        if not isinstance(tree, dict) or tree.pop("schema", None) != SCHEMA:
            raise ValueError("another schema")  # noqa: TRY301
        return _records().validate_json(json.dumps(tree))
    except (OSError, ValueError, ValidationError) as error:
        raise Complaint(
            f"the record of the comparison, {path}, cannot be read: {type(error).__name__}",
            hint="start a new one; what the runs of this one landed stays",
            code=7,
        ) from error


def forget(site: Site, record: Record) -> None:
    """Remove the record of a comparison of which no turn began."""
    if not runs_of(site, record):
        _path(site, record.id).unlink(missing_ok=True)


def _path(site: Site, name: str) -> Path:
    return site.repository.factory / "comparisons" / f"{name}.json"


def runs_of(site: Site, record: Record) -> Mapping[int, RunId]:
    """Give the runs of a comparison by the number of their turn."""
    if not site.ledger.exists():
        return {}
    with Ledger(site.ledger, read_only=True) as ledger:
        return {
            int(each.event.options[TURN]): each.run
            for each in ledger.of_kind("opened")
            if isinstance(each.event, Opened) and each.event.options.get(OPTION) == record.id
        }


def carry_on(
    sides: Mapping[Name, Side],
    record: Record,
    options: Mapping[str, str],
    *,
    progress: Progress,
    say: Say,
) -> Done:
    """Take every turn that is not at its end yet, in order, until one of them stops early."""
    short = 0
    shown = names(sides["a"].site, record.files)
    for number, dealt in enumerate(record.turns):
        there = sides[dealt.name].site
        runs = runs_of(there, record)
        run = runs.get(number)
        if run is not None and _seen(there, run).over:
            continue
        before = [_seen(there, each) for at, each in sorted(runs.items()) if at < number]
        left = _left(there, before)
        if left is None:
            say("the budget of the comparison is spent; `factory resume --budget LIMITS` goes on")
            short = _BUDGET
            break
        what = f"turn {number + 1} of {len(record.turns)}: {shown[dealt.name]}"
        say(f"{what}, {count(len(dealt.jobs), 'job')}")
        side = replace(sides[dealt.name], site=_limited(there, left))
        with progress() as watch:
            if run is not None:
                line = shift.resume(side.site, run, side.sandbox, watch=watch, say=say)
            else:
                line = _start(side, record, number, options, before=before, watch=watch, say=say)
        if line.closing is not None:
            break
    return standing(sides, record, short=short)


def _start(
    side: Side,
    record: Record,
    number: int,
    options: Mapping[str, str],
    *,
    before: Sequence["Seen"],
    watch: Watcher,
    say: Say,
) -> Line:
    """Open the run of a turn; all turns land on one branch, the first one's without another."""
    site = side.site
    order = shift.Order(
        jobs=record.turns[number].jobs,
        options={**options, OPTION: record.id, TURN: str(number)},
        sandbox=side.sandbox,
    )
    if site.settings.deliver == "branch":
        if before:
            target = before[0].line.target.removeprefix(sites.HEADS)
            own = replace(site.settings, target=target, deliver="merge")
            site = replace(site, settings=own)
        else:
            base = sites.deliver_to(site, sites.new_run()).base
            order = replace(order, base=base)
    return shift.start(site, order, watch=watch, say=say)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A run of a comparison as its record tells it; ``exit`` is None where no process ended it."""

    line: Line
    pace: Pace
    spent: Mapping[JobId, calls.Tally]
    exit: int | None

    @property
    def over(self) -> bool:
        """Say whether nothing is left to do in it."""
        return self.exit in _OVER


def _seen(site: Site, run: RunId) -> Seen:
    with Ledger(site.ledger, read_only=True) as ledger:
        history = [(each.event, each.at) for each in ledger.records(run)]
        line = ledger.line(run)
    assert line is not None  # noqa: S101  (it was found by its first event)
    last, _ = history[-1]
    return Seen(
        line=line,
        pace=measured(history),
        spent=calls.by_job(calls.of_run(site.ledger, run)),
        exit=last.exit if isinstance(last, Closed) else None,
    )


def _left(site: Site, before: Sequence[Seen]) -> Budget | None:
    """Give what these runs left of the budget; None when they left nothing."""
    spent = Spend()
    for each in before:
        made = sum(each.spent.values(), calls.Tally()).spend
        spent += replace(made, seconds=each.pace.seconds)
    budget = site.settings.budget
    return None if exhausted(budget, spent, calls=True) else share(budget, spent, 1)


def _limited(site: Site, budget: Budget) -> Site:
    rules = replace(site.settings.rules, budget=budget)
    return replace(site, settings=replace(site.settings, budget=budget, rules=rules))


def standing(sides: Mapping[Name, Side], record: Record, *, short: int = 0) -> Done:
    """Give what the runs of a comparison show so far."""
    site = sides["a"].site
    runs = runs_of(site, record)
    seen = {number: _seen(site, run) for number, run in sorted(runs.items())}
    shares = {
        name: _share([each for number, each in seen.items() if record.turns[number].name == name])
        for name in record.files
    }
    lines = tuple(each.line for each in seen.values())
    ends = [exit_code(each.line) if each.exit is None else each.exit for each in seen.values()]
    whole = len(seen) == len(record.turns) and all(each.over for each in seen.values())
    return Done(
        record=record,
        lines=lines,
        shares=shares,
        found=comparing.compare(shares["a"], shares["b"], seeded(record.seed)),
        target=lines[-1].target if lines else "",
        whole=whole,
        code=min([short, *ends], key=RANK.index),
    )


def _share(seen: Sequence[Seen]) -> Share:
    return Share(
        turns=tuple(Taken(seconds=each.pace.seconds, results=_results(each)) for each in seen),
        passed=sum(each.pace.passed for each in seen),
        judged=sum(each.pace.judged for each in seen),
    )


def _results(seen: Seen) -> tuple[Result, ...]:
    landed = landed_in(seen.line)
    paid = {job: seen.spent.get(job, calls.Tally()).spend.dollars for job in seen.line.jobs}
    return tuple(
        Result(
            landed=job in landed,
            seconds=work.spend.seconds,
            dollars=None if (each := paid[job]) is None else float(each),
        )
        for job, work in seen.line.jobs.items()
    )
