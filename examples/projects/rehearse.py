"""Rehearses real projects: their own last commits through a line, with their whole suites.

    python rehearse.py [--commits N] NAME=CLONE...

CLONE is a directory or an address that git can clone, with the project's whole history. For every
project: clone it to work/history/NAME at the pinned commit, install the pinned test requirements,
and replay the last commits. No model is asked. What is there already is kept.
"""

import argparse
import json
import os
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from fetch import PROJECTS, WORK, install, run

ROOT = Path(__file__).resolve().parents[2]
HISTORY = WORK / "history"
LINE = """\
version = 1

[line]
seats = 4

[gate]
slots = 2

[env]
share = [".venv"]

[[station]]
name = "tests"
kind = "test"
run = {run}
timeout = "5m"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """The commit to rehearse up to, how many before it, and what its suite was run with then."""

    tip: str
    commits: int
    options: tuple[str, ...] = ()


PAST = {
    "boltons": Past(tip="967864f89791509f9eb36b22b4579d36b72a6df2", commits=40),
    # Its tests of that time pass iterators to parametrize, which the pinned pytest warns of.
    "click": Past(
        tip="2c8cd3ac958a7eb316d67f2d316c27086c4c0369",
        commits=40,
        options=("-W", "ignore::pytest.PytestRemovedIn10Warning"),
    ),
    "more-itertools": Past(tip="2fe1b2eeb9d75f994113fe3ac76d14b6bcd6fb10", commits=36),
}


def settle(name: str, clone: str) -> Path:
    """Give the checkout of a project at its pinned commit, ready to run its tests."""
    checkout, past = HISTORY / name, PAST[name]
    project = next(each for each in PROJECTS if each.name == name)
    if not checkout.exists():
        run("git", "clone", "-q", "--no-hardlinks", clone, checkout)
    run("git", "checkout", "-q", "-B", "rehearsed", past.tip, cwd=checkout)
    (checkout / ".git/info/exclude").write_text(".venv/\nfactory.toml\n")
    install(replace(project, version="0"), checkout)
    words = (*project.tests[:-1], *past.options, project.tests[-1])
    (checkout / "factory.toml").write_text(LINE.format(run=json.dumps(list(words))))
    return checkout


def rehearse(checkout: Path, commits: int) -> dict[str, object]:
    """Replay the commits and give the document."""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    options = ("--commits", str(commits), "--approve", "--trust", "--json")
    words = [sys.executable, "-m", "factory", "rehearse", *options]
    done = subprocess.run(words, cwd=checkout, env=env, stdout=subprocess.PIPE, check=False)
    document = json.loads(done.stdout)
    (HISTORY / f"{checkout.name}.json").write_text(json.dumps(document, indent=1))
    return document


def main() -> int:
    """Rehearse what is named and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clones", nargs="+", metavar="NAME=CLONE")
    parser.add_argument("--commits", type=int, metavar="N", help="instead of the pinned number")
    asked = parser.parse_args()
    HISTORY.mkdir(parents=True, exist_ok=True)
    form = "{:16} {:>7} {:>7} {:>6} {:>8} {:>6} {:>6} {:>9}  {}"
    heads = ("project", "commits", "landed", "first", "seconds", "/h", "green", "same tree", "")
    print(form.format(*heads))
    wrong = False
    for given in asked.clones:
        name, _, clone = given.partition("=")
        if name not in PAST or not clone:
            parser.error(f"{given}: write NAME=CLONE; there are {', '.join(PAST)}")
        found = rehearse(settle(name, clone), asked.commits or PAST[name].commits)
        if "changes" not in found:
            wrong = True
            print(form.format(name, *["-"] * 7, found.get("error", "")))
            continue
        counts = found["counts"]
        assert isinstance(counts, dict)
        words = ("landed", "seconds", "per_hour", "green", "same")
        landed, seconds, rate, green, same = (found[word] for word in words)
        total, first = sum(counts.values()), counts.get("first try", 0)
        said = ", ".join(f"{number} {fate}" for fate, number in counts.items())
        row = (total, landed, first, seconds, rate, str(green), str(same), said)
        print(form.format(name, *map(str, row)))
        wrong = wrong or not green
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
