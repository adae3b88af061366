"""How well proposed scopes fit changes they were not made from, beside the plainest scopes.

`python benchmarks/scopes.py PATH...` judges the histories of repositories, which it only reads;
without a path it judges a synthetic one whose structure is known.
"""

import argparse
from pathlib import Path
from time import perf_counter

from measure import Report, machine, scratch

from factory.complaint import Complaint
from factory.history import commits
from factory.history.scoring import Score
from factory.history.studying import study
from tests.history.histories import grow, planted, touches
from tests.run import run
from worktrees.git import Git

PARTS, ROUNDS, ACROSS = 6, 200, 13


def judge(report: Report, name: str, git_dir: Path, empty: Path, *, most: int) -> None:
    """Study one history, and print what its stations fit beside what the plainest scopes fit."""
    began = perf_counter()
    try:
        found = study(Git(git_dir=git_dir, empty=empty), most=most)
    except Complaint as complaint:
        report.add(name, complaint.what)
        return
    seconds = perf_counter() - began
    past = found.past
    stations = {each.name: list(each.scope) for each in found.proposal.stations}
    report.add(
        name,
        {
            "head": past.head,
            "commits": past.seen,
            "changes": len(past.changes),
            "sweeps": past.sweeps,
            "silent": past.silent,
            "judged_on": found.score.changes,
            "stations": stations,
            "seconds": seconds,
        },
        f"{len(past.tracked)} files, {past.seen} commits, {len(past.changes)} changes,"
        f" judged on the newest {found.score.changes}; {seconds:.1f} s",
    )
    globs = sum(len(scope) for scope in stations.values())
    for kind, score in (
        (f"{len(stations)} stations, {globs} globs", found.score),
        ("one per top directory", found.tops),
        ("the whole repository", found.whole),
    ):
        report.add(f"  {kind}", told(score), line(score))


def told(score: Score) -> dict[str, float]:
    """Give a score's figures."""
    return {
        "fit": score.fit,
        "wide": score.wide,
        "wide_fit": score.wide_fit,
        "scopes_per_change": score.mean,
        "at_once": score.at_once,
    }


def line(score: Score) -> str:
    """Give a score as one line."""
    return (
        f"fit {score.fit:6.1%}   of several files {score.wide_fit:6.1%} (n={score.wide})"
        f"   scopes a change {score.mean:.2f}   at a time {score.at_once:.2f}"
    )


def main() -> None:
    """Judge each history that was named, or a synthetic one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("paths", nargs="*", type=Path, help="repositories, bare or checked out")
    parser.add_argument("--commits", type=int, default=commits.MOST)
    given = parser.parse_args()
    report = Report(name="scopes", machine=machine())
    with scratch() as place:
        empty = place / "empty"
        empty.mkdir()
        paths = given.paths
        if not paths:
            groups = planted(PARTS, rounds=ROUNDS, across=ACROSS)
            paths = [grow(place / "synthetic", touches(groups))]
        for path in paths:
            git_dir = run(["git", "-C", str(path), "rev-parse", "--absolute-git-dir"]).text
            judge(report, str(path), Path(git_dir), empty, most=given.commits)
    report.write()


if __name__ == "__main__":
    main()
