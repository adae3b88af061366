"""Runs a whole line on every example project and prints what landed, what did not and why.

    python run_all.py [--seats N] [NAME...]

Fetch the projects first (fetch.py). Each run lands on a new branch; the projects' main stays.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
WORK = HERE / "work"


def factory() -> tuple[list[str], dict[str, str]]:
    """Give the command that is the factory, and its environment: this checkout's."""
    return [sys.executable, "-m", "factory"], {**os.environ, "PYTHONPATH": str(ROOT)}


def line(checkout: Path, branch: str, seats: int) -> dict[str, object]:
    """Run the project's jobs and give the run's document."""
    command, env = factory()
    options = ("--onto", branch, "--seats", str(seats), "--trust", "--yes", "--json")
    words = [*command, "run", "@jobs.toml", *options]
    done = subprocess.run(words, cwd=checkout, env=env, stdout=subprocess.PIPE, check=False)
    if not done.stdout.strip():
        return {"jobs": [], "seconds": 0.0, "exit": done.returncode}
    return {**json.loads(done.stdout), "exit": done.returncode}


def in_history(checkout: Path, branch: str) -> set[str]:
    """Give the jobs that the branch's own history says have landed."""
    trailers = "--format=%(trailers:key=Factory-Job,valueonly)"
    words = ["git", "log", trailers, f"main..{branch}"]
    done = subprocess.run(words, cwd=checkout, capture_output=True, text=True, check=False)
    return set(done.stdout.split())


def main() -> int:
    """Run the lines and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seats", type=int, default=4)
    parser.add_argument("names", nargs="*")
    asked = parser.parse_args()
    names = asked.names or sorted(p.parent.name for p in WORK.glob("*/jobs.toml"))
    if not names:
        print("nothing is fetched yet: python fetch.py", file=sys.stderr)
        return 2
    documents, reasons, wrong = {}, [], False
    form = "{:16} {:>5} {:>7} {:>10} {:>5} {:>8} {:>6} {:>5}"
    print(form.format("project", "jobs", "landed", "no change", "dead", "seconds", "/h", "exit"))
    for name in names:
        checkout, branch = WORK / name, f"mended-{int(time.time())}"
        documents[name] = run = line(checkout, branch, asked.seats)
        jobs = run["jobs"]
        assert isinstance(jobs, list)
        by = {
            state: {job["id"] for job in jobs if job["state"] == state}
            for state in ("landed", "withdrawn", "dead", "waiting")
        }
        seconds = float(str(run["seconds"]))
        counts = (len(by["landed"]), len(by["withdrawn"]), len(by["dead"] | by["waiting"]))
        pace = f"{3600 * counts[0] / seconds:.0f}" if seconds else "-"
        print(form.format(name, len(jobs), *counts, f"{seconds:.1f}", pace, str(run["exit"])))
        reasons += [
            f"  {name}: {job['id']}: {job['state']}: {' '.join(str(job['reason']).split())[:100]}"
            for job in jobs
            if job["state"] != "landed"
        ]
        if in_history(checkout, branch) != by["landed"] or not jobs:
            wrong = True
            reasons.append(f"  {name}: the history of {branch} does not say what the run said")
    print("\nwhat did not land:", *(reasons or ["  nothing"]), sep="\n")
    (WORK / "results.json").write_text(json.dumps(documents, indent=1))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
