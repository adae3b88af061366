"""A real bench for tests of the stations: repository, pool and bubblewrap in a directory."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from stations.bench import Bench
from stations.box import Sandbox
from stations.contract import Agent, Assignment, Brief, Kind, StationSpec
from stations.sandbox import choose
from stations.tools import Surroundings
from tests.conftest import FILES, make_repository
from tests.run import run
from worktrees.git import open_repository
from worktrees.lock import worktree_lock
from worktrees.names import JobId, Oid, RunId, StationName
from worktrees.policy import Rules
from worktrees.pool import Pool
from worktrees.scope import Scope
from worktrees.workspace import Plain, Reaper

RUN = RunId("run1")
PATH = "/usr/local/bin:/usr/bin:/bin"


@contextmanager
def bench_at(
    checkout: Path,
    *,
    files: Mapping[str, str] | None = FILES,
    surroundings: Surroundings | None = None,
    rules: Rules | None = None,
    sandbox: Sandbox | None = None,
    bound: int = 2,
    first_serial: int = 0,
) -> Iterator[Bench]:
    """Give a bench on a small real repository at ``checkout``, made unless ``files`` is None."""
    if files is not None:
        make_repository(checkout, files)
    repository = open_repository(checkout)
    base = repository.git.resolve("refs/heads/main")
    assert base is not None
    lock = worktree_lock(repository.factory)
    with Reaper(repository) as reaper:
        grower = Plain(repository=repository, lock=lock, reaper=reaper)
        with Pool(
            repository, RUN, grower=grower, bound=bound, base=base, first_serial=first_serial
        ) as pool:
            yield Bench(
                repository=repository,
                pool=pool,
                sandbox=sandbox or choose("bubblewrap"),
                surroundings=surroundings or Surroundings(path=PATH),
                rules=rules or Rules(),
                run=RUN,
                target="refs/heads/main",
                runs=repository.factory / "runs" / RUN,
            )


def base_of(bench: Bench) -> Oid:
    """Give the commit on main."""
    found = bench.git.resolve("refs/heads/main")
    assert found is not None
    return found


def station(
    *run: str, kind: Kind = Kind.COMMAND, scope: tuple[str, ...] = ("**",), agent: bool = False
) -> StationSpec:
    """Give a station that runs this command."""
    return StationSpec(
        name=StationName("work"),
        kind=kind,
        scope=Scope(write=scope),
        run=() if agent else run,
        agent=Agent(runtime="command", run=run) if agent else None,
    )


def assignment(
    bench: Bench,
    *,
    scope: tuple[str, ...] = ("**",),
    serial: int = 0,
    attempt: int = 1,
    base: Oid | None = None,
    job: str = "job1",
    seconds: float = 30.0,
    brief: Brief | None = None,
) -> Assignment:
    """Give an assignment of one attempt, on main unless told otherwise."""
    start = base or base_of(bench)
    return Assignment(
        run=RUN,
        job=JobId(job),
        station=StationName("work"),
        attempt=attempt,
        serial=serial,
        base=start,
        judged_from=base_of(bench),
        scope=Scope(write=scope),
        brief=brief or Brief(title="Do it", text="Please do it."),
        seconds=seconds,
        idle=0.0,
        line="hash",
    )


def left(marker: str) -> list[str]:
    """Give the processes on the host that run ``sleep`` with this argument."""
    return run(["pgrep", "-xf", f"sleep {marker}"], check=False).text.split()


def until(true: Callable[[], object], seconds: float = 10.0) -> bool:
    """Wait until something is true and say whether it became so in time."""
    ends = time.monotonic() + seconds
    while not (now := bool(true())) and time.monotonic() < ends:
        threading.Event().wait(0.02)
    return now


def bearing(pattern: str) -> list[str]:
    """Give the processes on the host whose command line matches, whatever they are."""
    return run(["pgrep", "-f", pattern], check=False).text.split()
