"""`factory run --compare`: two versions of the line share the work; and `resume` of that."""

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from factory.cli.app import emit, say
from factory.cli.place import here
from factory.wording import count

if TYPE_CHECKING:
    from factory.comparing import Name
    from factory.comparisons import Done, Record, Side
    from factory.site import Site
    from stations.contract import Job
    from worktrees.names import RunId

Find = Callable[["Site"], "Sequence[Job]"]
"""Gives the jobs that the command line asks for, as a site's stations take them."""


def start(
    files: tuple[Path, Path],
    options: Mapping[str, str],
    find: Find,
    *,
    ask: bool,
    json: bool,
) -> int:
    """Deal the jobs out to two versions, let both work, and say what that shows."""
    from factory import comparisons

    known: dict[Name, Path] = {"a": files[0].absolute(), "b": files[1].absolute()}
    sides = _sides(known, known, options)
    jobs = {name: tuple(find(side.site)) for name, side in sides.items()}
    record = comparisons.deal(sides, {name: str(path) for name, path in known.items()}, jobs)
    shown = comparisons.names(sides["a"].site, record.files)
    comparisons.check(sides, record)
    for name in known:
        dealt = sum(len(turn.jobs) for turn in record.turns if turn.name == name)
        say(f"{shown[name]}: {count(dealt, 'job')}, drawn with seed {record.seed}")
    if ask and not typer.confirm("Start?", default=True, err=True):
        return 0
    site = sides["a"].site
    comparisons.save(site, record)
    try:
        return _work(sides, record, options, json=json)
    finally:
        comparisons.forget(site, record)


def go_on(
    site: "Site", run: "RunId", opened: Mapping[str, str], options: Mapping[str, str], *, json: bool
) -> int | None:
    """Go on with the comparison that a run is a turn of; None when it is of none.

    ``opened`` are the options the run began with, ``options`` those of now.
    """
    from factory import comparisons, versions

    if comparisons.OPTION not in opened:
        return None
    record = comparisons.load(site, opened[comparisons.OPTION])
    factory = site.repository.factory
    files = {name: Path(text) for name, text in record.files.items()}
    kept = {name: versions.path_of(factory, each) for name, each in record.lines.items()}
    say(f"{run} is a turn of a comparison")
    return _work(_sides(files, kept, options), record, options, json=json)


def _sides(
    files: "Mapping[Name, Path]", read: "Mapping[Name, Path]", options: Mapping[str, str]
) -> "dict[Name, Side]":
    """Give both versions at work, as they were ``read``; complain unless each may run here."""
    from factory import site as sites
    from factory.comparisons import Side

    places = {name: here(options, instead=path) for name, path in read.items()}
    for name, site in places.items():
        sites.check_trust(site, given="trust" in options, file=files[name])
    for name, site in places.items():
        for warning in site.settings.warnings:
            say(f"note: {files[name].name}: {warning}")
    # Versions that want another one are refused: one proof does for both.
    box = sites.sandbox_of(places["a"], without="no_sandbox" in options)
    if not box.contains:
        say("no sandbox: agents and tests can read and write whatever you can")
    return {name: Side(site=site, sandbox=box) for name, site in places.items()}


def _work(
    sides: "Mapping[Name, Side]", record: "Record", options: Mapping[str, str], *, json: bool
) -> int:
    from factory import comparisons
    from factory.views import show

    around = sides["a"].site.environment
    try:
        done = comparisons.carry_on(
            sides,
            record,
            options,
            progress=lambda: show.progress(around, quiet=json),
            say=say,
        )
    except KeyboardInterrupt:
        if comparisons.runs_of(sides["a"].site, record):
            say("interrupted between two turns; `factory resume` goes on")
        raise
    return _told(sides["a"].site, done, json=json)


def _told(site: "Site", done: "Done", *, json: bool) -> int:
    """Show a comparison, and give its exit code."""
    from factory import comparisons
    from factory.views import comparing, show

    record = done.record
    runs = comparisons.runs_of(site, record)
    shown = comparisons.names(site, record.files)
    document = comparing.compare_document(
        done.found,
        done.shares,
        {
            name: comparing.Version(
                file=shown[name],
                hash=record.lines[name],
                runs=tuple(
                    run for at, run in sorted(runs.items()) if record.turns[at].name == name
                ),
            )
            for name in record.files
        },
        name=record.id,
        seed=record.seed,
        turns=[turn.name for turn in record.turns],
        target=done.target,
        whole=done.whole,
        code=done.code,
    )
    if json:
        emit(document)
    else:
        show.screen_on(sys.stdout).show(*comparing.compare_parts(document))
    if not done.whole:
        say("not at its end: `factory inbox` shows what waits for you, `factory resume` goes on")
    return done.code
