"""Thirty agents at once on a large repository: time to a ready workspace, disk, memory.

The repository is made from a seed. The baseline is ``git worktree add`` on the same one.
"""

import random
import threading
from pathlib import Path

from measure import (
    Report,
    arguments,
    events,
    factory,
    git,
    high,
    leftovers,
    machine,
    middle,
    repository,
    scratch,
    size,
    timed,
)
from overhead import AGENT, LINE, part

from tests.run import run as program
from worktrees.git import open_repository
from worktrees.lock import worktree_lock
from worktrees.names import JobId, Oid, RunId, job_ref
from worktrees.pool import Pool
from worktrees.workspace import Plain, clear, empty_trash


def large(place: Path, *, files: int, jobs: int, seed: int) -> Path:
    """Make a repository of so many source files in packages, the same ones for the same seed."""
    chance = random.Random(seed)  # noqa: S311  not for secrets
    words = [f"name_{chance.randrange(10**6)}" for _ in range(2000)]
    sources = {
        f"pkg{i % 50}/part{i % 1000 // 50}/mod{i}.py": "".join(
            f"{chance.choice(words)} = {chance.randrange(10**9)}\n"
            for _ in range(chance.randrange(20, 130))
        )
        for i in range(files)
    }
    tables = "".join(
        f'[[job]]\nid = "j{i}"\ntitle = "Do {i}"\nbrief = "Write part number {i} of all parts"\n'
        f'scope = ["{part(i)}"]\n'
        for i in range(jobs)
    )
    return repository(
        place,
        {
            **sources,
            **{part(i): f"before {i}\n" for i in range(jobs)},
            "agent.sh": f"sleep 2; {AGENT}",
            "factory.toml": LINE.format(seats=jobs) + tables,
        },
    )


def hand_out(place: Path, jobs: int) -> tuple[list[float], list[float], int]:
    """Give the seconds to grow each workspace, to hand each out when grown, and its disk."""
    repo = open_repository(place)
    base = repo.git.resolve("HEAD")
    assert base is not None
    grower = Plain(repository=repo, lock=worktree_lock(repo.factory))
    with Pool(repo, RunId("bench"), grower=grower, bound=jobs, base=base) as pool:
        grown = [timed(wait, pool, number + 1) for number in range(jobs)]
        given = [timed(take, pool, serial, base) for serial in range(jobs)]
        return grown, given, size(repo.factory / "trees/bench-0")


def take(pool: Pool, serial: int, base: Oid) -> None:
    """Take a workspace as a seat does."""
    ref = job_ref(RunId("bench"), JobId(f"j{serial}"))
    pool.take(serial, ref=ref, start=base, expected=None)


def wait(pool: Pool, number: int) -> None:
    """Wait until so many stand grown."""
    tick = threading.Event()
    while pool.ready() < number:
        tick.wait(0.005)


def tidy(place: Path) -> None:
    """Take the workspaces of the pool's own measurement away."""
    repo = open_repository(place)
    with worktree_lock(repo.factory):
        for tree in tuple((repo.factory / "trees").iterdir()):
            clear(repo, tree.name)
    empty_trash(repo.factory / "trash", going=lambda: True)
    refs = git(place, "for-each-ref", "--format=delete %(refname)", "refs/heads/factory")
    program(["git", "update-ref", "--stdin"], cwd=place, stdin=f"{refs}\n".encode())


def main() -> None:
    """Measure the pool alone, git alone, and a whole run of thirty agents."""
    options = arguments(__doc__ or "", files=20_000, jobs=30, seed=7)
    report = Report(name="thirty", machine=machine())
    with scratch() as room:
        place = large(room / "repo", files=options.files, jobs=options.jobs, seed=options.seed)
        grown, given, each = hand_out(place, options.jobs)
        tidy(place)
        report.add("grow in the background, s p50", middle(grown))
        report.add("hand out when grown, s p50", middle(given))
        report.add("hand out when grown, s p95", high(given))
        report.add("disk per workspace, MB", round(each / 1e6, 1))
        added = [
            timed(git, place, "worktree", "add", "-q", "--detach", str(room / f"w{i}"))
            for i in range(7)
        ]
        report.add("git worktree add, s p50", middle(added))
        report.add("ratio worktree add / hand out", middle(added) / middle(given))
        for i in range(7):
            git(place, "worktree", "remove", "--force", str(room / f"w{i}"))
        run = factory(place, options.code)
        states = list(run.states.values())
        report.add("whole run, wall s", run.wall, f"{run.wall:.1f}  (load {run.load:.1f})")
        report.add("landed", states.count("landed"), f"{states.count('landed')} of {len(states)}")
        text = " ".join(str(event) for _, event in events(place))
        faults = text.count(".lock") + text.count("index.lock") + run.errors.count(".lock")
        report.add("lock failures", faults)
        report.add("peak RSS of the orchestrator, MB", round(run.peak / 1e6, 1))
        report.add("left behind", leftovers(place))
    report.write()


if __name__ == "__main__":
    main()
