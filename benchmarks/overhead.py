"""What a landed job costs beside its agent and its tests: both do nothing here.

The baseline does the least that git alone can: worktree, commit, merge, removal, one by one.
"""

from pathlib import Path

from measure import (
    Report,
    arguments,
    factory,
    git,
    leftovers,
    machine,
    middle,
    repository,
    scratch,
    timed,
)

LINE = """\
version = 1
[line]
target = "main"
deliver = "merge"
seats = {seats}
[[station]]
name = "code"
scope = ["jobs/**"]
agent = {{ runtime = "command", run = ["sh", "agent.sh"] }}
[[station]]
name = "tests"
kind = "test"
run = ["true"]
"""
AGENT = 'i=${FACTORY_JOB#j}; echo done > "jobs/$((i / 20))/j$i.txt"\n'


def part(i: int) -> str:
    """Name the file of a job; a scope of single files cannot lie in a directory of many."""
    return f"jobs/{i // 20}/j{i}.txt"


def trivial(place: Path, *, files: int, jobs: int, seats: int) -> Path:
    """Make a repository of so many files and jobs; each job changes a file of its own."""
    tables = "".join(
        f'[[job]]\nid = "j{i}"\ntitle = "Do {i}"\nbrief = "Write part number {i} of all parts"\n'
        f'scope = ["{part(i)}"]\n'
        for i in range(jobs)
    )
    return repository(
        place,
        {
            **{f"d{i % 20}/f{i}.txt": f"line {i}\n" * 20 for i in range(files)},
            **{part(i): f"before {i}\n" for i in range(jobs)},
            "agent.sh": AGENT,
            "factory.toml": LINE.format(seats=seats) + tables,
        },
    )


def naive(place: Path, jobs: int) -> None:
    """Do the jobs with git alone, one after the other."""
    for i in range(jobs):
        tree = place.parent / f"tree-{i}"
        git(place, "worktree", "add", "-q", "-b", f"job-{i}", str(tree))
        (tree / part(i)).write_text("done\n")
        git(tree, "commit", "-qam", f"j{i}")
        git(place, "merge", "-q", "--no-ff", "-m", f"j{i}", f"job-{i}")
        git(place, "worktree", "remove", str(tree))
        git(place, "branch", "-q", "-D", f"job-{i}")


def main() -> None:
    """Measure runs of one job, for the latency, and runs of many, for the cost of each."""
    options = arguments(__doc__ or "", trials=3, files=300, jobs=40, seats=4)
    report = Report(name="overhead", machine=machine())
    ones: list[float] = []
    each: list[float] = []
    base: list[float] = []
    with scratch() as room:
        for number in range(options.trials):
            for count, found in ((1, ones), (options.jobs, each)):
                place = room / f"{number}-{count}" / "repo"
                trivial(place, files=options.files, jobs=count, seats=options.seats)
                run = factory(place, options.code)
                assert set(run.states.values()) == {"landed"}, run.errors[-2000:]
                assert leftovers(place) == []
                found.append(run.wall / count)
                what = f"factory, {count} jobs, trial {number}: s per job"
                report.add(what, run.wall / count, f"{run.wall / count:.3f}  (load {run.load:.1f})")
            place = room / f"{number}-naive" / "repo"
            trivial(place, files=options.files, jobs=options.jobs, seats=1)
            base.append(timed(naive, place, options.jobs) / options.jobs)
            report.add(f"git alone, trial {number}: s per job", base[-1])
    report.add("whole command for one job, median", middle(ones))
    report.add("factory, s per landed job (target <= 0.4)", middle(each))
    report.add("git alone, s per job", middle(base))
    report.add("ratio factory / git", middle([a / b for a, b in zip(each, base, strict=True)]))
    report.write()


if __name__ == "__main__":
    main()
