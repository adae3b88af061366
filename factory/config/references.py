"""What tables say about each other: names that must exist, cycles, scopes, what each kind needs."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from factory.config import kinds, specs
from factory.config.mistakes import Fault, nearest
from factory.config.tables import JobTable, ModelTable, PaceTable, StationTable
from factory.config.toml_places import Path
from stations.contract import Kind, StationSpec
from stations.models import tiers
from stations.models.prices import Prices
from worktrees.scope import Scope

RESERVED: Final = ("inbox", "dead")
"""Where a station may hand on to, beside another station."""
_SHOWN: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """The mistakes between the tables, and what is worth saying without being one."""

    faults: tuple[Fault, ...]
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def stations(tables: Sequence[StationTable], *, broken: Collection[Path]) -> Checked:
    """Check the stations against each other; ``broken`` are paths of their own mistakes."""
    found: list[Fault] = []
    items = {path[:2] for path in broken}
    names = [table.name for table in tables]
    for number, table in enumerate(tables):
        path: Path = ("station", number)
        if table.name in RESERVED:
            found.append(Fault(path=(*path, "name"), what=f'"{table.name}" is not free as a name'))
        if table.name in names[:number]:
            what = f'the name "{table.name}" is taken by station {names.index(table.name) + 1}'
            found.append(Fault(path=(*path, "name"), what=what, hint="names are unique"))
        if path not in items:
            found.extend(
                Fault(path=(*path, *key), what=what, hint=hint)
                for key, what, hint in kinds.misuses(table)
            )
        found.extend(_hand_offs(table, path, tables))
    edges = {table.name: [to for to in table.on.values() if to in names] for table in tables}
    for cycle in _cycles(edges):
        place = ("station", names.index(cycle[0]), "on")
        what = f"hands on in a circle: {' -> '.join([*cycle, cycle[0]])}"
        found.append(Fault(path=place, what=what, hint='let one of them hand on to "inbox"'))
    clean = () if found or broken else tuple(specs.station(table) for table in tables)
    return Checked(faults=tuple(found), warnings=_warnings(clean), notes=_overlaps(clean))


def jobs(
    tables: Sequence[JobTable],
    line: Sequence[StationSpec],
    *,
    broken: Collection[Path] = (),
    known: Collection[str] = (),
    taken: Collection[str] = (),
) -> Checked:
    """Check jobs against each other and against the stations.

    ``known`` are stations with mistakes of their own, ``taken`` ids of jobs that exist already.
    """
    found: list[Fault] = []
    items = {path[:2] for path in broken}
    ids = specs.names(tables, taken=taken)
    first: dict[str, int] = {name: number for number, name in reversed(list(enumerate(ids)))}
    for number, (name, table) in enumerate(zip(ids, tables, strict=True)):
        path = ("job", number)
        if first[name] < number:
            what = f'the id "{name}" is taken by job {first[name] + 1}'
            found.append(Fault(path=(*path, "id"), what=what, hint="ids are unique"))
        elif name in taken:
            what = f'the id "{name}" is taken by a job that exists already'
            found.append(Fault(path=(*path, "id"), what=what, hint="ids are unique"))
        for place, need in enumerate(table.needs):
            if need not in first and need not in taken:
                hint = nearest(need, first) or "needs are ids of other jobs"
                what = f'there is no job "{need[:80]}"'
                found.append(Fault(path=(*path, "needs", place), what=what, hint=hint))
        found.extend(_place(table, path, line, known=known, sound=path not in items))
    edges: dict[str, list[str]] = {
        name: [need for need in table.needs if need in first]
        for name, table in zip(ids, tables, strict=True)
    }
    for cycle in _cycles(edges):
        what = f"needs itself in a circle: {' -> '.join([*cycle, cycle[0]])}"
        found.append(Fault(path=("job", first[cycle[0]], "needs"), what=what))
    return Checked(faults=tuple(found))


def pace(table: PaceTable, *, seats: int, line: Sequence[StationSpec]) -> Checked:
    """Check what the loop may do against the line it may do it to."""
    found: list[Fault] = []
    warnings: list[str] = []
    if table.max_seats is not None and table.max_seats < seats:
        what = f"{table.max_seats} is less than the {seats} seats of [line]"
        hint = "it says how many the loop may give; write at least as many, or fewer [line] seats"
        found.append(Fault(path=("pace", "max_seats"), what=what, hint=hint))
    if table.wip is not None and table.wip < seats:
        warnings.append(f"[pace] wip = {table.wip} leaves some of the {seats} seats of [line] idle")
    if table.allow_retire and line and all(spec.required for spec in line):
        warnings.append("[pace] allow_retire: every station is required, so none can ever leave")
    return Checked(faults=tuple(found), warnings=tuple(warnings))


def unmatched(line: Sequence[StationSpec], paths: Collection[str]) -> Iterator[str]:
    """Say which stations are about paths that the repository does not have."""
    for spec in line:
        globs = spec.scope.write if spec.kind in specs.WRITES else spec.when
        scope = Scope(write=globs)
        if globs and paths and not any(scope.allows(path) for path in paths):
            word = "scope" if spec.kind in specs.WRITES else "when"
            yield f'the {word} of station "{spec.name}" matches no tracked file'


def strangers(line: Sequence[StationSpec], models: Mapping[str, ModelTable]) -> Iterator[str]:
    """Say which stations name a model that is no tier and whose price nobody knows."""
    priced = {table.id for table in models.values() if table.input is not None}
    known = tiers.names({name: table.id for name, table in models.items()})
    for spec in line:
        name = spec.agent.model if spec.agent is not None else ""
        if name and name not in known and name not in priced and Prices.load().of(name) is None:
            near = nearest(name, known) or f"tiers: {', '.join(known)}"
            what = "is no tier and no model with a known price"
            yield f'station "{spec.name}": "{name[:80]}" {what}, so its cost is unknown; {near}'


def _hand_offs(table: StationTable, path: Path, tables: Sequence[StationTable]) -> Iterator[Fault]:
    others = {other.name: other for other in tables}
    for outcome, target in table.on.items():
        place = (*path, "on", outcome)
        if target in RESERVED:
            continue
        if target not in others:
            hint = nearest(target, [*others, *RESERVED]) or f"stations: {', '.join(others)}"
            yield Fault(path=place, what=f'there is no station "{target[:80]}"', hint=hint)
        elif specs.kind_of(others[target]) not in specs.WRITES or others[target].at == "merge":
            what = f'"{target}" cannot take work over'
            yield Fault(path=place, what=what, hint="code, command and cleanup stations can")


def _place(
    table: JobTable,
    path: Path,
    line: Sequence[StationSpec],
    *,
    known: Collection[str],
    sound: bool,
) -> Iterator[Fault]:
    """Say why no station can do this job; of one with other mistakes only what surely is one."""
    open_to = {str(spec.name): spec for spec in specs.routes(line)}
    listed = "; ".join(f"{name}: {_scope_text(spec)}" for name, spec in open_to.items()) or "none"
    if table.station is not None:
        yield from _named(table, path, line, known, listed)
        return
    spec = specs.route(line, table.scope) if sound else None
    if spec is None and sound and not known:
        key: Path = path if table.scope is None else (*path, "scope")
        what = (
            "no station's scope holds this one"
            if table.scope
            else "names neither station nor scope"
        )
        yield Fault(path=key, what=what, hint=f"stations: {listed}")
    elif spec is not None:
        yield from _asked(table, path, spec)


def _named(
    table: JobTable, path: Path, line: Sequence[StationSpec], known: Collection[str], listed: str
) -> Iterator[Fault]:
    name = table.station or ""
    spec = next((spec for spec in line if spec.name == name), None)
    if spec is None:
        if name not in known:
            hint = (
                nearest(name, [*(str(spec.name) for spec in line), *known]) or f"stations: {listed}"
            )
            yield Fault(
                path=(*path, "station"), what=f'there is no station "{name[:80]}"', hint=hint
            )
        return
    if spec not in specs.routes(line):
        at = " at the merge" if spec.at_merge else ""
        what = f'"{name}" is a {spec.kind} station{at} and takes no jobs'
        yield Fault(path=(*path, "station"), what=what, hint=f"stations: {listed}")
        return
    if (
        table.scope is not None
        and spec.kind in specs.WRITES
        and specs.within(table.scope, spec) is None
    ):
        what = f'lies outside the scope of station "{name}"'
        yield Fault(path=(*path, "scope"), what=what, hint=f"it holds {_scope_text(spec)}")
    yield from _asked(table, path, spec)


def _asked(table: JobTable, path: Path, spec: StationSpec) -> Iterator[Fault]:
    if spec.agent is not None and table.title is None and not table.brief.strip():
        hint = "write a title, and a brief where a title is not enough"
        yield Fault(path=path, what="says nothing to its agent", hint=hint)


def _scope_text(spec: StationSpec) -> str:
    shown = spec.scope.write if spec.kind in specs.WRITES else spec.scope.read
    more = len(shown) - _SHOWN
    return " ".join(shown[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _warnings(line: Sequence[StationSpec]) -> tuple[str, ...]:
    if not line:
        return ()
    found: list[str] = []
    tests = [spec for spec in line if spec.kind is Kind.TEST]
    repairs = [spec.name for spec in line if spec.kind is Kind.CLEANUP]
    reviews = [spec.name for spec in line if spec.kind is Kind.REVIEW]
    writers = [spec for spec in line if spec.kind in specs.WRITES]
    if not tests:
        found.append('nothing tests what lands: add a [[station]] with kind = "test" and its run')
    elif not any(spec.required for spec in tests):
        found.append("no test station is required: red work could land")
    elif all(spec.when for spec in tests if spec.required):
        found.append("every required test station has a `when`: changes outside land untested")
    for spec in tests:
        reached = Scope(write=spec.when)
        if spec.when and not any(reached.overlaps(writer.scope) for writer in writers):
            found.append(
                f'test station "{spec.name}" is never reached: no station writes its `when`'
            )
    if repairs and not tests:
        found.append(f'cleanup station "{repairs[0]}" is never reached: nothing tests')
    if len(repairs) > 1:
        found.append(f'only the first cleanup station, "{repairs[0]}", gets red work')
    if len(reviews) > 1:
        found.append(f'only the first review station, "{reviews[0]}", reads finished work')
    if not specs.routes(line):
        found.append("no station takes jobs: add a [[station]] with an agent or a run")
    return tuple(found)


def _overlaps(line: Sequence[StationSpec]) -> tuple[str, ...]:
    writers = [
        spec for spec in line if spec.kind in {Kind.CODE, Kind.COMMAND} and not spec.at_merge
    ]
    return tuple(
        f'stations "{one.name}" and "{other.name}" have overlapping scopes: '
        "their jobs run one after the other where they meet"
        for place, one in enumerate(writers)
        for other in writers[place + 1 :]
        if one.scope.overlaps(other.scope)
    )


def _cycles(edges: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, ...]]:
    """Give one cycle per knot, each begun at its earliest name."""
    order = {name: place for place, name in enumerate(edges)}
    settled: set[str] = set()
    for start in edges:
        trail: list[str] = []
        stack: list[tuple[str, Iterator[str]]] = []
        if start not in settled:
            trail.append(start)
            stack.append((start, iter(edges[start])))
        while stack:
            name, rest = stack[-1]
            following = next(rest, None)
            if following is None:
                stack.pop()
                trail.pop()
                settled.add(name)
            elif following in trail:
                knot = trail[trail.index(following) :]
                low = knot.index(min(knot, key=order.__getitem__))
                yield (*knot[low:], *knot[:low])
            elif following not in settled:
                trail.append(following)
                stack.append((following, iter(edges[following])))
