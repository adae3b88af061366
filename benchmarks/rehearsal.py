"""A history rehearsed: changes an hour that the line lands, beside replaying it one by one.

The history is made from a seed: most commits touch one module, some two, some the list of changes.
The suite takes three seconds. The baseline cherry-picks each commit and runs the suite after it.
"""

import json
import random
import sys
from pathlib import Path

from measure import (
    PYTHON,
    Report,
    arguments,
    git,
    leftovers,
    machine,
    middle,
    repository,
    scratch,
    timed,
)

from tests.run import run as program

MODULES = 8
LINE = """\
version = 1
[line]
seats = 4
[gate]
slots = 2
[[station]]
name = "tests"
kind = "test"
run = ["sh", "check.sh"]
"""
CHECK = "sleep 3; for file in m*/a.txt; do test -s $file || exit 1; done\n"


def past(place: Path, commits: int, seed: int) -> Path:
    """Make a repository with so many commits on top of its first one."""
    chance = random.Random(seed)  # noqa: S311  not for secrets
    lines = "".join(f"line {number}\n" for number in range(40))
    files = {f"m{i}/a.txt": lines for i in range(MODULES)}
    repository(place, {**files, "check.sh": CHECK, "factory.toml": LINE, "CHANGES": "Changes\n"})
    for number in range(commits):
        kind = chance.random()
        for i in chance.sample(range(MODULES), 2 if kind < 0.2 else 1):
            path = place / f"m{i}/a.txt"
            text = path.read_text().splitlines()
            text[chance.randrange(len(text))] = f"changed by {number}"
            path.write_text("\n".join(text) + "\n")
        if kind > 0.9:
            (place / "CHANGES").write_text((place / "CHANGES").read_text() + f"- {number}\n")
        git(place, "commit", "-qam", f"change {number}")
    return place


def one_by_one(place: Path, commits: int) -> None:
    """Replay the commits the naive way, each tested before the next."""
    tree = place.parent / "tree"
    git(place, "worktree", "add", "-q", "--detach", str(tree), f"main~{commits}")
    for commit in git(place, "rev-list", "--reverse", f"main~{commits}..main").split():
        git(tree, "cherry-pick", commit)
        program(["sh", "check.sh"], cwd=tree)
    git(place, "worktree", "remove", "--force", str(tree))


def rehearsed(place: Path, code: Path, commits: int) -> dict[str, object]:
    """Rehearse the commits and give the document."""
    words = ["rehearse", "--commits", str(commits), "--trust", "--json"]
    env = {"PYTHONPATH": str(code)}
    ran = program([PYTHON, "-m", "factory", *words], cwd=place, env=env, timeout=600)
    found: dict[str, object] = json.loads(ran.out)
    return found


def main() -> int:
    """Rehearse generated histories and print the figures."""
    options = arguments(__doc__ or "", commits=24, trials=2)
    report = Report(name="rehearsal", machine=machine())
    ours, naive, fine = list[float](), list[float](), True
    for seed in range(options.trials):
        with scratch() as room:
            place = past(room / "past", options.commits, seed)
            slow = timed(one_by_one, place, options.commits)
            found = rehearsed(place, options.code, options.commits)
            seconds = float(str(found["seconds"]))
            left = leftovers(place)
            kept = ("landed", "counts", "green", "same", "per_hour", "gate")
            figures = {name: found[name] for name in kept}
            report.add(f"history {seed}", {**figures, "seconds": seconds, "left": left})
            report.add(f"one by one {seed}", {"seconds": round(slow, 2)})
            ours.append(seconds)
            naive.append(slow)
            fine = fine and bool(found["green"] and found["same"]) and not left
    report.add("rehearsal, median seconds", middle(ours))
    report.add("one by one, median seconds", middle(naive))
    report.add("ratio", middle([b / a for a, b in zip(ours, naive, strict=True)]))
    report.write()
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
