"""A thousand trivial jobs in one run: cost per job and memory must not grow with what was done."""

from measure import Look, Report, arguments, events, factory, git, leftovers, machine, scratch
from overhead import trivial


def landings(found: list[tuple[float, dict[str, object]]]) -> list[float]:
    """Give when each job landed."""
    times = []
    for at, event in found:
        jobs = event.get("jobs")
        if event.get("kind") == "advanced" and isinstance(jobs, list):
            times += [at] * len(jobs)
    return times


def middle_of(looks: tuple[Look, ...], part: int) -> Look:
    """Give the look in the middle of one tenth of the run."""
    return looks[len(looks) * (2 * part + 1) // 20]


def main() -> None:
    """Run them and compare the first tenth with the last."""
    options = arguments(__doc__ or "", jobs=1000, files=300, seats=4)
    report = Report(name="thousand", machine=machine())
    with scratch() as room:
        place = trivial(room / "repo", files=options.files, jobs=options.jobs, seats=options.seats)
        run = factory(place, options.code)
        states = list(run.states.values())
        report.add("landed", states.count("landed"), f"{states.count('landed')} of {options.jobs}")
        report.add("wall, s", run.wall, f"{run.wall:.1f}  (load at start {run.load:.1f})")
        report.add("s per job", run.wall / options.jobs)
        found = events(place)
        times = landings(found)
        tenth = max(2, len(times) // 10)
        first = (times[tenth - 1] - found[0][0]) / tenth
        last = (times[-1] - times[-tenth]) / (tenth - 1)
        report.add("s per job, first tenth", first)
        report.add("s per job, last tenth", last)
        report.add("ratio last / first (flat: <= 1.2)", last / first)
        for part in range(10):
            look = middle_of(run.looks, part)
            text = (
                f"rss {look.rss / 1e6:.0f} MB, descriptors {look.descriptors},"
                f" children {look.children}, worktrees {look.worktrees}"
            )
            report.add(f"at {10 * part + 5} %", look, text)
        report.add("peak RSS, MB (target < 300)", round(run.peak / 1e6, 1))
        report.add("left behind", leftovers(place))
        report.add("fsck", git(place, "fsck", "--strict", "--no-dangling") or "clean")
    report.write()


if __name__ == "__main__":
    main()
