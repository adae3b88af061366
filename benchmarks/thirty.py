"""Thirty agents at once on a large repository: time to a ready workspace, disk, memory.

The repository is made from a seed. The baseline is ``git worktree add`` on the same one.
"""

import random
from pathlib import Path

from measure import (
    ROOT,
    Report,
    arguments,
    events,
    factory,
    git,
    high,
    leftovers,
    middle,
    repository,
    scratch,
    size,
    timed,
)
from overhead import AGENT, LINE

from worktrees.git import open_repository
from worktrees.lock import worktree_lock
from worktrees.names import JobId, RunId, job_ref
from worktrees.pool import Pool
from worktrees.workspace import Plain


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
        f'scope = ["jobs/j{i}.txt"]\n'
        for i in range(jobs)
    )
    return repository(
        place,
        {
            **sources,
            **{f"jobs/j{i}.txt": f"before {i}\n" for i in range(jobs)},
            "agent.sh": f"sleep 2; {AGENT}",
            "factory.toml": LINE.format(seats=jobs) + tables,
        },
    )


def hand_out(place: Path, jobs: int) -> tuple[list[float], list[float], int]:
    """Give the seconds to grow each workspace, to hand each out when grown, and its disk."""
    repo = open_repository(place)
    base = repo.git.resolve("HEAD")
    assert base is not None
    run, lock = RunId("bench"), worktree_lock(repo.factory)
    grower = Plain(repository=repo, lock=lock)
    grown: list[float] = []
    given: list[float] = []
    with Pool(repo, run, grower=grower, bound=jobs, base=base) as pool:
        for serial in range(jobs):
            grown.append(timed(lambda number=serial: wait(pool, number + 1)))  # type: ignore[misc]
        for serial in range(jobs):
            ref = job_ref(run, JobId(f"j{serial}"))
            taken = []
            given.append(
                timed(
                    lambda at=serial, ref=ref: taken.append(  # type: ignore[misc]
                        pool.take(at, ref=ref, start=base, expected=None)
                    )
                )
            )
            if serial == 0:
                bytes_each = size(taken[0].tree)
            pool.give_back(taken[0])
            repo.git("update-ref", "-d", ref)
    return grown, given, bytes_each


def wait(pool: Pool, number: int) -> None:
    """Wait until so many stand grown."""
    import threading

    tick = threading.Event()
    while pool.ready() < number:
        tick.wait(0.005)


def main() -> None:
    """Measure the pool alone, git alone, and a whole run of thirty agents."""
    options = arguments(__doc__ or "", files=20_000, jobs=30, seed=7)
    report = Report(name="thirty")
    with scratch() as room:
        place = large(room / "repo", files=options.files, jobs=options.jobs, seed=options.seed)
        grown, given, each = hand_out(place, options.jobs)
        report.add("grow in the background, s p50", middle(grown))
        report.add("hand out when grown, s p50", middle(given))
        report.add("hand out when grown, s p95", high(given))
        report.add("disk per workspace, MB", round(each / 1e6, 1))
        added = [
            timed(lambda i=i: git(place, "worktree", "add", "-q", "--detach", str(room / f"w{i}")))  # type: ignore[misc]
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
    assert ROOT
    main()
