"""Evidence that a change cures what its issue tells of: its own tests, red before and green after.

The tree before is the run's base with only the test files that the change brought. Whatever is
not plainly shown, each time anew in a clean sandbox, is not shown, and the reason is kept.
"""

import re
import threading
from collections.abc import Sequence
from typing import Final

from factory.events import Reproduced
from factory.line import Line
from stations.bench import Bench
from stations.contract import Check, Green, Job, Lost, Red, StationSpec, Trial, Verdict
from stations.testing import key_of, try_tree
from worktrees.change import entries
from worktrees.git import GitError
from worktrees.merge import grafted, landings
from worktrees.names import JobId, Oid
from worktrees.scope import allows
from worktrees.touched import own_of

RUNS: Final = 3
"""How often each side is tried: once is chance."""
TESTS: Final = (
    *(
        "**/test/**",
        "**/tests/**",
        "**/spec/**",
        "**/specs/**",
        "**/__tests__/**",
        "**/testdata/**",
    ),
    *("test_*", "*_test.*", "*_tests.*", "*.test.*", "*.spec.*", "*_spec.*", "*Test.*", "*Tests.*"),
)
"""What a test file is called."""
_BROKEN: Final = re.compile(
    r"ImportError|ModuleNotFoundError|SyntaxError|IndentationError|TabError"
    r"|ERROR collecting|errors? during collection|no tests ran|collected 0 items"
    r"|fixture '[^']*' not found|Cannot find module|ERR_MODULE_NOT_FOUND|Test suite failed to run"
    r"|\[build failed\]|\[setup failed\]|error\[E\d{4}\]|could not compile|COMPILATION ERROR"
    r"|cannot find symbol|LoadError|command not found|^\S*sh: .*not found|can't open file"
    r"|was ended after",
    re.MULTILINE,
)
"""How a run speaks that came to no test: nothing was reproduced then."""


def of_landing(bench: Bench, line: Line, job: JobId, *, stop: threading.Event) -> Reproduced:
    """Give the reproduction of a job that landed; one that is on record of its tree stands."""
    git = bench.git
    tip = git.resolve(line.target) or line.gate.target
    landed = landings(git, line.base, tip).get((line.run, job))
    if landed is None:
        why = f"{line.target} does not hold its landing any more"
        tree = git.tree_of(tip)
        return Reproduced(job=job, base=line.base, tree=tree, shown=False, why=why)
    known = line.reproduced.get(job)
    if known is not None and known.tree == git.tree_of(landed):
        return known
    work = line.jobs[job]
    return reproduce(
        bench,
        line.rules.tests,
        work.job,
        base=line.base,
        before=Oid(git("rev-parse", "--verify", f"{landed}^1").text),
        work=work.commit or landed,
        landed=landed,
        stop=stop,
    )


def reproduce(
    bench: Bench,
    specs: Sequence[StationSpec],
    job: Job,
    *,
    base: Oid,
    before: Oid,
    work: Oid,
    landed: Oid,
    stop: threading.Event,
) -> Reproduced:
    """Try whether the tests of a job's change fail without the rest of it and pass with all of it.

    ``work`` is the job's own commit, which landed upon ``before``; ``landed`` is the landing.
    """
    tree = bench.git.tree_of(landed)
    why = _missing(bench, specs, job, base=base, before=before, work=work, tree=tree, stop=stop)
    shown = f"its tests fail on {base[:12]} and pass on the tested tree, {RUNS} times of {RUNS}"
    return Reproduced(job=job.id, base=base, tree=tree, shown=not why, why=why or shown)


def _missing(
    bench: Bench,
    specs: Sequence[StationSpec],
    job: Job,
    *,
    base: Oid,
    before: Oid,
    work: Oid,
    tree: Oid,
    stop: threading.Event,
) -> str:
    """Say what is missing to the evidence; an empty string when nothing is."""
    checks = _checks(specs, job)
    if not checks:
        return "no command tests it"
    tests = _tests(bench, before=before, work=work)
    if not tests:
        return "its change brings no test of its own"
    old = grafted(bench.git, tree=bench.git.tree_of(base), tip=work, paths=tests)
    if old == tree:
        return "its change brings nothing but tests"
    owners: set[str] = set()
    for _ in range(RUNS):
        verdict = _tried(bench, checks, base=base, tree=old, stop=stop)
        if not isinstance(verdict, Red):
            return _unshown(verdict, "its tests pass without the change too")
        if broken := _BROKEN.search(verdict.tail):
            return f"without the change its tests do not run at all ({broken[0]})"
        owners.add(verdict.owner)
    if len(owners) > 1:
        return "without the change its tests fail each time elsewhere"
    for _ in range(RUNS):
        verdict = _tried(bench, checks, base=base, tree=tree, stop=stop)
        if not isinstance(verdict, Green):
            return _unshown(verdict, "its tests do not pass every time with the change")
    return ""


def _unshown(verdict: Verdict, otherwise: str) -> str:
    return f"its tests could not be run: {verdict.why}" if isinstance(verdict, Lost) else otherwise


def _checks(specs: Sequence[StationSpec], job: Job) -> tuple[Check, ...]:
    """Give the job's own commands, else what the line's test stations run here."""
    if job.accept:
        return tuple(Check(owner=f"accept:{job.id}", run=command) for command in job.accept)
    return tuple(spec.check() for spec in specs if spec.run and spec.required)


def _tests(bench: Bench, *, before: Oid, work: Oid) -> set[bytes]:
    """Give the test files that the job itself made or changed."""
    try:
        own = own_of(bench.git, before, work).paths
        there = {entry.path for entry in entries(bench.git, before, work) if entry.status != "D"}
    except GitError:  # a landing of one parent lets the job's own commit go in the end
        return set()
    return {path for path in own & there if allows(TESTS, path.decode("utf-8", "surrogateescape"))}


def _tried(
    bench: Bench, checks: tuple[Check, ...], *, base: Oid, tree: Oid, stop: threading.Event
) -> Verdict:
    key = key_of(bench, checks)
    trial = Trial(run=bench.run, trial=0, base=base, tree=tree, checks=checks, key=key)
    return try_tree(bench, trial, stop=stop)
