"""The toy: eight agents of two seconds each, one command, a test gate; beside swarmgit and a loop.

Landed is told by git and by file content, never by a tool's word. swarmgit 0.1.1 has no test stage
and its own command returns before its agents ended, so it is given the agents' end for nothing.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

from measure import (
    PYTHON,
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

from tests.run import run as program

SWARMGIT = "swarmgit==0.1.1"
EIGHT = range(8)
TEST = """\
import pathlib
import pytest


@pytest.mark.parametrize("i", range(8))
def test_module(i):
    names = {}
    exec(pathlib.Path(f"m{i}/a.py").read_text(), names)
    assert isinstance(names["x"], int)
"""
LINE = """\
version = 1
[line]
target = "main"
deliver = "merge"
seats = 8
[[station]]
name = "code"
scope = ["m*/**"]
agent = { runtime = "command", run = ["sh", "agent.sh"] }
[[station]]
name = "tests"
kind = "test"
"""
AGENT = 'sleep 2; echo "x=9$(date +%N)" > "${FACTORY_JOB:-$1}/a.py"\n'
SWARM = """\
max_agents: 8
worktree_dir: .swarm
auto_merge: true
on_conflict: abort
default_agent: dumb
agents: {architect: dumb, coder: dumb, tester: dumb, reviewer: dumb}
custom_agents: {dumb: {command: "AGENT {task}"}}
"""
DRIVER = """\
import sys, threading
from pathlib import Path
import swarmgit.orchestrator as swarm
swarm._split_task = lambda task, config, max_agents=4: [f"m{i}" for i in range(8)]
repo = Path.cwd()
swarm.cmd_run(repo, "toy", max_agents=8, auto_merge=True)
done = lambda: all(list((repo / ".swarm").rglob(f"m{i}.done")) for i in range(8))
ticks = threading.Event()
for _ in range(600):
    if done():
        break
    ticks.wait(0.05)
swarm.cmd_merge(repo)
"""


def toy(place: Path) -> Path:
    """Make the repository of eight modules, their test and the line."""
    jobs = "".join(
        f'[[job]]\nid = "m{i}"\ntitle = "Edit m{i}"\nbrief = "Set x in m{i}/a.py"\n'
        f'scope = ["m{i}/**"]\n'
        for i in EIGHT
    )
    tests = f'run = ["{PYTHON}", "-m", "pytest", "-q", "-p", "no:cacheprovider"]\n'
    return repository(
        place,
        {
            **{f"m{i}/a.py": "x=0\n" for i in EIGHT},
            "test_all.py": TEST,
            "agent.sh": AGENT,
            "factory.toml": LINE + tests + jobs,
        },
    )


def landed(place: Path) -> int:
    """Count the modules that main's history and its files have changed."""
    changed = git(place, "log", "--format=", "--name-only", "-m", "main").splitlines()
    found = 0
    for i in EIGHT:
        text = git(place, "show", f"main:m{i}/a.py")
        found += text.startswith("x=9") and changed.count(f"m{i}/a.py") > 1
    return found


def gate(place: Path) -> bool:
    """Say whether the tests pass on what main holds."""
    ran = program([PYTHON, "-m", "pytest", "-q", "-p", "no:cacheprovider"], cwd=place, check=False)
    return ran.code == 0


def loop(place: Path) -> None:
    """Do the jobs the naive way: one worktree, agent, merge and test run after the other."""
    for i in EIGHT:
        tree = place.parent / f"tree-{i}"
        git(place, "worktree", "add", "-q", "-b", f"job-{i}", str(tree))
        program(["sh", "agent.sh", f"m{i}"], cwd=tree)
        git(tree, "commit", "-qam", f"m{i}")
        git(place, "merge", "-q", "--no-ff", "-m", f"m{i}", f"job-{i}")
        assert gate(place)
        git(place, "worktree", "remove", str(tree))
        git(place, "branch", "-q", "-D", f"job-{i}")


def swarm(place: Path, python: Path) -> None:
    """Let swarmgit do the jobs, then merge, then test once: it has no test stage of its own."""
    agent = place.parent / "agent.sh"
    agent.write_text(
        '#!/bin/sh\nsleep 2; echo "x=9$(date +%N)" > "$1/a.py"; git add -A "$1"\n'
        'git commit -qm "agent $1"; touch "$1.done"\n'
    )
    agent.chmod(0o755)
    (place / "swarm.yml").write_text(SWARM.replace("AGENT", str(agent)))
    (place / ".gitignore").write_text(".swarm/\n*.done\n__pycache__/\n")
    git(place, "add", "-A")
    git(place, "commit", "-qm", "swarm")
    driver = place.parent / "driver.py"
    driver.write_text(DRIVER)
    program([python, driver], cwd=place, timeout=90)
    gate(place)


def swarmgit(place: Path) -> Path | None:
    """Install swarmgit into an environment of its own; None when that cannot be."""
    program([PYTHON, "-m", "venv", place], timeout=120)
    python = place / "bin/python"
    index = {"PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    words: list[str | Path] = [python, "-m", "pip", "install", "-q", SWARMGIT]
    return python if program(words, env=index, timeout=180, check=False).code == 0 else None


def trial(
    report: Report, name: str, place: Path, work: Callable[..., None], *given: object
) -> float:
    """Measure one way of doing the toy on a fresh repository."""
    toy(place)
    wall = timed(work, place, *given)
    left = leftovers(place)
    report.add(name, {"wall": round(wall, 2), "landed": landed(place), "left": len(left)})
    return wall


def main() -> None:
    """Run three trials of each, in turn, and give the medians."""
    options = arguments(__doc__ or "", trials=3)
    report = Report(name="toy", machine=machine())
    ours: list[float] = []
    loops: list[float] = []
    swarms: list[float] = []
    with scratch() as room:
        python = swarmgit(room / "swarmgit")
        for number in range(options.trials):
            place = toy(room / f"ours-{number}" / "toy")
            run = factory(place, options.code)
            true = landed(place)
            said = sum(state == "landed" for state in run.states.values())
            figures = {
                "wall": round(run.wall, 2),
                "landed": true,
                "said": said,
                "green": gate(place),
                "left": leftovers(place),
                "load": round(run.load, 1),
            }
            report.add(f"factory {number}", figures)
            ours.append(run.wall)
            where = room / f"loop-{number}" / "toy"
            loops.append(trial(report, f"serial loop {number}", where, loop))
            if python is not None:
                where = room / f"swarm-{number}" / "toy"
                swarms.append(trial(report, f"swarmgit {number}", where, swarm, python))
        shutil.rmtree(room / "swarmgit", ignore_errors=True)
    report.add("factory, median wall (target < 10)", middle(ours))
    report.add("serial loop, median wall", middle(loops))
    report.add("ratio loop / factory", middle([b / a for a, b in zip(ours, loops, strict=True)]))
    if swarms:
        report.add("swarmgit (no gate per landing), median", middle(swarms))
    report.write()


if __name__ == "__main__":
    main()
