"""From the tables of a configuration to the line's own values: stations, scopes, jobs."""

import hashlib
import re
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Final

from factory.config import quantities
from factory.config.tables import PROGRAMS, BudgetTable, JobBudgetTable, JobTable, StationTable
from factory.events import OpenHours
from stations.contract import Agent, Budget, Job, Kind, StationSpec
from worktrees.names import JobId, StationName
from worktrees.scope import Scope, widest

LONGEST_TITLE: Final = 72
TAKES_JOBS: Final = frozenset({Kind.CODE, Kind.COMMAND, Kind.READ, Kind.REVIEW})
WRITES: Final = frozenset({Kind.CODE, Kind.COMMAND, Kind.CLEANUP})
_SLUG: Final = 48
_DEFAULT_TIER: Final = "medium"


def kind_of(table: StationTable) -> Kind:
    """Give the kind a station says or plainly is."""
    if table.kind is not None:
        return table.kind
    if table.agent is not None:
        return Kind.CODE
    return Kind.TEST if table.where == "forge" else Kind.COMMAND


def scope_of(table: StationTable) -> Scope:
    """Give what a station may write; of a reading one, what it is about."""
    given = table.scope
    if kind_of(table) not in WRITES:
        return Scope(read=given) if given else Scope()
    return Scope(write=given) if given else widest()


def station(table: StationTable) -> StationSpec:
    """Give the station of a table that was found right."""
    agent = None
    if table.agent is not None:
        # An agent of a protocol has a model of its own, unless it is told another one.
        tier = "" if table.agent.runtime in PROGRAMS else _DEFAULT_TIER
        agent = Agent(
            runtime=table.agent.runtime,
            run=table.agent.run or (),
            model=table.agent.model or tier,
        )
    return StationSpec(
        name=StationName(table.name),
        kind=kind_of(table),
        scope=scope_of(table),
        agent=agent,
        run=table.run or (),
        commands=table.commands,
        seats=table.seats,
        batch=table.batch,
        budget=budget(table.budget),
        timeout=table.timeout,
        idle=table.idle,
        attempts=table.attempts,
        rounds=table.rounds,
        required=table.required,
        when=table.when,
        at_merge=table.at == "merge",
        symlinks=table.symlinks,
        on={str(outcome): target for outcome, target in table.on.items()},
        checks=table.checks,
    )


def routes(stations: Sequence[StationSpec]) -> tuple[StationSpec, ...]:
    """Give the stations that a job may name."""
    return tuple(spec for spec in stations if spec.kind in TAKES_JOBS and not spec.at_merge)


def route(stations: Sequence[StationSpec], scope: tuple[str, ...] | None) -> StationSpec | None:
    """Find the station for a job that names none: the first whose scope holds the job's.

    Stations with agents come before commands, which do one fixed task. Without a scope only the
    one coding station there is, or the one over the whole repository, is meant.
    """
    coding = [spec for spec in routes(stations) if spec.kind is Kind.CODE]
    commands = [spec for spec in routes(stations) if spec.kind is Kind.COMMAND]
    if scope is None:
        for some in (coding, commands):
            wide = [spec for spec in some if spec.scope.write == widest().write] or some
            if some:
                return wide[0] if len(wide) == 1 else None
        return None
    fits = (spec for spec in (*coding, *commands) if within(scope, spec) is not None)
    return next(fits, None)


def within(scope: tuple[str, ...], spec: StationSpec) -> Scope | None:
    """Give a job's effective scope: its own less what its station leaves out; None when outside."""
    holes = tuple(glob for glob in spec.scope.write if glob.startswith("!"))
    literal = [glob for glob in scope if not re.search(r"[*?\[\\!]", glob)]
    if any(not spec.scope.allows(glob.strip("/")) for glob in literal if not glob.endswith("/")):
        return None
    effective = Scope(write=scope + tuple(hole for hole in holes if hole not in scope))
    return effective if effective.inside(spec.scope) else None


def open_hours(text: str | None) -> OpenHours | None:
    """Give when people answer, in this machine's time as it is today; None: always."""
    if text is None:
        return None
    begin, end = quantities.hours(text)
    offset = datetime.now().astimezone().utcoffset() or timedelta()
    return OpenHours(begin=begin, end=end, offset=int(offset.total_seconds()))


def budget(table: BudgetTable) -> Budget:
    """Give what may be spent on a job, at a station, in a run."""
    attempts = table.attempts if isinstance(table, JobBudgetTable) else None
    return Budget(tokens=table.tokens, dollars=table.usd, seconds=table.minutes, attempts=attempts)


def job(table: JobTable, *, name: JobId, spec: StationSpec, source: str) -> Job:
    """Give the job of a table that was found right."""
    scope = spec.scope
    if table.scope is not None:
        reads = spec.kind not in WRITES
        scope = Scope(read=table.scope) if reads else within(table.scope, spec) or scope
    text = title(table)
    return Job(
        id=name,
        title=text,
        brief=table.brief.strip() or table.title or "",
        scope=scope,
        route=spec.name,
        needs=tuple(JobId(need) for need in table.needs),
        accept=table.accept,
        budget=budget(table.budget),
        source=source,
    )


def jobs(
    tables: Sequence[JobTable],
    line: Sequence[StationSpec],
    *,
    taken: Collection[str] = (),
    source: str,
) -> tuple[Job, ...]:
    """Give the jobs of tables in which no mistake was found."""
    by_name = {str(spec.name): spec for spec in line}
    found: list[Job] = []
    for name, table in zip(names(tables, taken=taken), tables, strict=True):
        spec = by_name[table.station] if table.station else route(line, table.scope)
        if spec is None:
            raise LookupError(f"job {name} has no station")
        found.append(job(table, name=name, spec=spec, source=source))
    return tuple(found)


def title(table: JobTable) -> str:
    """Give a job's title: its own, else its brief's first line, its id or its station."""
    if table.title is not None:
        return one_line(table.title)
    return one_line(table.brief) or table.id or table.station or "job"


def one_line(text: str) -> str:
    """Give the first line that says something, of at most 72 characters."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    words = "".join(c if c.isprintable() else " " for c in first).split()
    line = " ".join(words)
    if len(line) <= LONGEST_TITLE:
        return line
    # One more than fits: a word that ends exactly there is whole.
    cut = line[:LONGEST_TITLE].rpartition(" ")[0] or line[: LONGEST_TITLE - 1]
    return cut.rstrip(" ,;:.") + "…"


def names(tables: Sequence[JobTable], *, taken: Collection[str] = ()) -> tuple[JobId, ...]:
    """Give each job its id: its own, else one made from its title that no other job has."""
    used = {*taken, *(table.id for table in tables if table.id is not None)}
    found: list[JobId] = []
    for table in tables:
        name = table.id or slug(title(table), content=table.model_dump_json(), taken=used)
        used.add(name)
        found.append(JobId(name))
    return tuple(found)


def slug(text: str, *, content: str, taken: Collection[str]) -> str:
    """Give an id made of the words of a text, with a short hash of the content when taken."""
    words = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    short = (
        words[:_SLUG] if len(words) <= _SLUG else words[:_SLUG].rpartition("-")[0] or words[:_SLUG]
    )
    short = short.strip("-") or "job"
    name, tries = short, 0
    while name in taken:
        digest = hashlib.sha256(f"{tries}\0{content}".encode()).hexdigest()[:8]
        name, tries = f"{short}-{digest}", tries + 1
    return name
