"""Where a command works: the repository it stands in, its runs, their jobs."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from factory.complaint import Complaint

if TYPE_CHECKING:
    from factory.line import Line
    from factory.site import Site
    from worktrees.names import JobId, RunId


def here(options: Mapping[str, str]) -> "Site":
    """Give the site of the current directory under these options."""
    from factory import settings, site
    from worktrees.failpoint import arm
    from worktrees.git import open_repository

    environment = settings.environment()
    arm(environment.failpoint or None)
    repository = open_repository(Path.cwd(), user={"HOME": str(environment.home)})
    place = repository.checkout or repository.common
    flags: dict[str, object] = {
        name: value for name, value in options.items() if name not in ("trust", "no_sandbox")
    }
    if "seats" in flags:
        flags["seats"] = int(options["seats"])
    loaded = settings.load(place, flags=flags, tracked=None)
    return site.at(repository, loaded, environment)


def find_run(site: "Site", name: str | None) -> "RunId | None":
    """Give the run of that name, the newest without one; None when there was none at all."""
    from factory.ledger import Ledger

    if not site.ledger.exists():
        return None
    with Ledger(site.ledger, read_only=True) as ledger:
        runs = ledger.runs()
    if name is None:
        return runs[-1] if runs else None
    known = next((run for run in runs if run == name), None)
    if known is None:
        raise Complaint(f"there is no run {name}", hint=nearest(name, runs))
    return known


def nearest(name: str, known: Iterable[str]) -> str:
    """Give the hint for a name that is not known: the nearest one, or what there is."""
    names = list(known)
    near = get_close_matches(name, names, n=1)
    if near:
        return f"did you mean {near[0]}?"
    return f"there are: {', '.join(names[:20])}" if names else "there are none yet"


def line_of(site: "Site", name: str | None) -> "tuple[RunId, Line]":
    """Give a run and its line; complain when there is none."""
    from factory.ledger import Ledger

    run = find_run(site, name)
    if run is None:
        raise Complaint("there is no run here yet", hint='start one: factory run "..."')
    with Ledger(site.ledger, read_only=True) as ledger:
        line = ledger.line(run)
    if line is None:
        raise Complaint(f"run {run} has no record", hint="factory status --all")
    return run, line


def job_of(line: "Line", name: str) -> "JobId":
    """Give the job of that id; complain with the nearest one."""
    from worktrees.names import JobId

    if name in line.jobs:
        return JobId(name)
    raise Complaint(f"run {line.run} has no job {name}", hint=nearest(name, line.jobs))
