"""Evidence that a change cures what an issue tells of: its own test, red before and green after.

The tree before is the run's base with only the test files of that issue. Whatever is not plainly
shown, each time anew in a clean sandbox, is not shown, and the reason is kept.
"""

import re
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from typing import Final

from factory.events import Reproduced
from factory.line import Line
from factory.wording import clean, cut, failing, masked
from stations.bench import Bench
from stations.contract import (
    Argv,
    Check,
    Green,
    Job,
    Lost,
    Red,
    StationSpec,
    Trial,
    Verdict,
    Wanted,
)
from stations.testing import key_of, try_tree
from worktrees.change import entries
from worktrees.git import Git, GitError
from worktrees.merge import grafted, landings
from worktrees.names import JobId, Oid
from worktrees.scope import allows
from worktrees.testfiles import TESTS
from worktrees.touched import own_of

RUNS: Final = 3
"""How often each side is tried: once is chance."""
_BROKEN: Final = re.compile(
    r"ImportError|ModuleNotFoundError|SyntaxError|IndentationError|TabError"
    r"|ERROR collecting|errors? during collection|no tests ran|collected 0 items"
    r"|ERROR at setup of|ERROR at teardown of"
    r"|_FailedTest|ERROR: not found: |ERROR: file or directory not found|no match in any of"
    r"|fixture '[^']*' not found|Cannot find module|ERR_MODULE_NOT_FOUND|Test suite failed to run"
    r"|\[build failed\]|\[setup failed\]|error\[E\d{4}\]|could not compile|COMPILATION ERROR"
    r"|cannot find symbol|LoadError|command not found|^\S*sh: .*not found|can't open file"
    r"|was ended after",
    re.MULTILINE,
)
"""How a run speaks that came to no test: nothing was reproduced then."""
_RAN: Final = re.compile(r"^Ran (\d+) tests? in", re.MULTILINE)
_SKIPPED: Final = re.compile(r"^OK \(.*\bskipped=(\d+)", re.MULTILINE)
_NOTHING: Final = re.compile(
    r"no tests to run|^Ran 0 tests|^--- SKIP"
    r"|^=*\s*\d+ (?:skipped|deselected|xfailed)(?:, \d+ \w+)* in [\d.]+s\b"
    r"|^Tests:\s+\d+ skipped, \d+ total",
    re.MULTILINE,
)
"""How a run speaks that passes because it ran no test."""
_UNRUN: Final = "its tests could not be run: "
_OPEN: Final = "it would be run in no sandbox, where one run may leave what another one finds"
_SILENT: Final = "without any output"
_REASON: Final = 400
_MODULES: Final = tuple(glob for glob in TESTS if not glob.startswith("**/"))
"""What a file with tests of its own is called; the rest of a test directory serves them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What the runs came to: an empty ``why`` when nothing is missing."""

    why: str = ""
    failure: str = ""
    already: bool = False


Want = tuple[JobId, Wanted]
"""A job that landed, and one of its issues."""


def wants(line: Line, jobs: Sequence[JobId]) -> tuple[Want, ...]:
    """Give every issue of these jobs, each with its job."""
    return tuple((job, each) for job in jobs for each in line.jobs[job].job.issues)


def of_landings(
    bench: Bench,
    line: Line,
    wanted: Sequence[Want],
    *,
    head: Oid | None = None,
    stop: threading.Event,
) -> Iterator[Reproduced]:
    """Give the reproduction of each of these, as it is known; the gate's slots try them at once.

    ``head`` is the landing whose tree is offered; without it that of the run's last one. A
    reproduction that is on record of the same tree stands and is given as it is.
    """
    alike: dict[tuple[JobId, str, Argv], list[Want]] = {}
    for job, each in wanted:
        # Without a test of its own the change's tests are the same for all of a job's issues.
        alike.setdefault((job, each.test, each.command), []).append((job, each))
    with ThreadPoolExecutor(line.rules.slots, thread_name_prefix="evidence") as pool:
        tried = {
            pool.submit(of_landing, bench, line, *same[0], head=head, stop=stop): same
            for same in alike.values()
        }
        try:
            for future in as_completed(tried):
                for job, want in tried[future]:
                    yield _of(line, job, want, future.result())
        except BaseException:
            stop.set()  # whoever stops listening waits for no test
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _of(line: Line, job: JobId, want: Wanted, made: Reproduced) -> Reproduced:
    """Give what was found for one issue as that of another one with the same test."""
    own = replace(made, issue=want.number)
    known = line.reproduced.get((job, want.number))
    return made if made == own else known if known == own else own


def of_landing(
    bench: Bench,
    line: Line,
    job: JobId,
    wanted: Wanted,
    *,
    head: Oid | None = None,
    stop: threading.Event,
) -> Reproduced:
    """Give the reproduction of an issue of a job that landed; one on record of its tree stands.

    A later landing may undo a cure: what is tried is the tree that is offered with it.
    """
    git = bench.git
    tip = git.resolve(line.target) or line.gate.target
    places = landings(git, line.base, tip)
    landed = places.get((line.run, job))
    if landed is None:
        return Reproduced(
            job=job,
            issue=wanted.number,
            base=line.base,
            tree=git.tree_of(tip),
            shown=False,
            why=f"{line.target} does not hold its landing any more",
            test=wanted.test,
        )
    last = head or [at for (run, _), at in places.items() if run == line.run][-1]
    known = line.reproduced.get((job, wanted.number))
    if known is not None and known.tree == git.tree_of(last) and _UNRUN not in known.why:
        return known
    work = line.jobs[job]
    return reproduce(
        bench,
        line.rules.tests,
        work.job,
        wanted,
        shared=_shared(line, job, wanted),
        base=line.base,
        before=Oid(git("rev-parse", "--verify", f"{landed}^1").text),
        work=work.commit or landed,
        head=last,
        stop=stop,
    )


def reproduce(
    bench: Bench,
    specs: Sequence[StationSpec],
    job: Job,
    wanted: Wanted,
    *,
    shared: Sequence[int] = (),
    base: Oid,
    before: Oid,
    work: Oid,
    head: Oid,
    stop: threading.Event,
) -> Reproduced:
    """Try whether an issue's test fails without the change and passes with all of it.

    ``work`` is the job's own commit, which landed upon ``before``; ``head`` is what is offered.
    ``shared`` are other issues whose tests lie in the same file.
    """
    tree = bench.git.tree_of(head)
    checks = _checks(specs, job, wanted)
    tests = _tests(bench, wanted, before=before, work=work, head=head)
    source = head if wanted.test else work
    old = grafted(bench.git, tree=bench.git.tree_of(base), tip=source, paths=tests)
    if not bench.sandbox.contains:
        found = _Found(why=_OPEN)
    elif not checks:
        found = _Found(why="no command tests it")
    elif not tests:
        named = (
            f"what landed holds no {wanted.test}"
            if wanted.test
            else "its change brings no test of its own"
        )
        found = _Found(why=named)
    elif shared and not _selects(wanted):
        others = ", ".join(f"#{number}" for number in shared)
        found = _Found(why=f"its command runs the tests of {others} as well")
    elif old == tree and not wanted.test:
        found = _Found(why="its change brings nothing but tests")
    else:
        found = _compared(bench, checks, wanted, base=base, old=old, tree=tree, stop=stop)
    what = f"{wanted.test} fails" if wanted.test else "its tests fail"
    passes = "passes" if wanted.test else "pass"
    shown = f"{what} on {base[:12]} and {passes} on the tested tree, {RUNS} times of {RUNS}"
    return Reproduced(
        job=job.id,
        issue=wanted.number,
        base=base,
        tree=tree,
        shown=not found.why,
        why=found.why or shown,
        test=wanted.test,
        failure=found.failure,
        already=found.already,
    )


def passes(bench: Bench, check: Check, *, base: Oid, tree: Oid, stop: threading.Event) -> str:
    """Say why a test does not pass on a tree every time; an empty string when it does."""
    if not bench.sandbox.contains:
        return _OPEN
    for _ in range(RUNS):
        heard: list[str] = []
        verdict = _tried(bench, (check,), base=base, tree=tree, stop=stop, hear=heard.append)
        match verdict:
            case Green() if any(map(idle, heard)):
                return "it skips itself"
            case Green():
                continue
            case Red(tail=tail):
                return _reason(tail) or f"{' '.join(check.run)} fails"
            case Lost(why=why):
                return f"it could not be run: {why}"
    return ""


def _compared(
    bench: Bench,
    checks: tuple[Check, ...],
    wanted: Wanted,
    *,
    base: Oid,
    old: Oid,
    tree: Oid,
    stop: threading.Event,
) -> _Found:
    """Run the tests on the old tree, where they must fail, then on the new one."""
    owners: set[str] = set()
    failure = ""
    heard: list[str] = []
    for number in range(RUNS):
        verdict = _tried(bench, checks, base=base, tree=old, stop=stop, hear=heard.append)
        if not isinstance(verdict, Red):
            green = isinstance(verdict, Green)
            if green and wanted.test and any(map(idle, heard)):
                return _Found(why="without the change its test skips itself", failure=failure)
            why = _unshown(verdict, "its tests pass without the change too")
            if green and number:
                why = "its tests fail only now and then without the change"
            return _Found(why=why, failure=failure, already=green and not number)
        failure = _reason(verdict.tail)
        if broken := _BROKEN.search(verdict.tail):
            why = f"without the change its tests do not run at all ({broken[0].strip()})"
            return _Found(why=why, failure=failure)
        if wanted.test and not failure:
            return _Found(why="without the change its test fails without saying why")
        owners.add(verdict.owner)
    if len(owners) > 1:
        why = "without the change its tests fail each time elsewhere"
        return _Found(why=why, failure=failure)
    for _ in range(RUNS):
        verdict = _tried(bench, checks, base=base, tree=tree, stop=stop, hear=heard.append)
        if not isinstance(verdict, Green):
            why = _unshown(verdict, "its tests do not pass every time with the change")
            return _Found(why=why, failure=failure)
        if wanted.test and any(map(idle, heard)):
            return _Found(why="with the change its test skips itself", failure=failure)
    return _Found(failure=failure)


def idle(said: str) -> bool:
    """Say whether a run that passed speaks of skipped tests and of none that ran."""
    ran = _RAN.search(said)
    skipped = _SKIPPED.search(said)
    if ran is not None and skipped is not None:
        return ran[1] == skipped[1]
    return _NOTHING.search(said) is not None


def _reason(tail: str) -> str:
    """Give the lines of a failure that say what failed, in one short line."""
    if tail.endswith(_SILENT):
        return ""
    # pytest marks the line that failed, and what it says of it; what stands around is not it.
    lines = [clean(line) for line in masked(tail).splitlines()]
    at = [line[1:] for line in lines if line.startswith("> ")][-1:]
    said = [line[1:] for line in lines if line.startswith("E ")][:1]
    found = (*at, *said) if said else failing(tail, most=2)
    return cut(" / ".join(line.strip() for line in found), _REASON)


def _unshown(verdict: Verdict, otherwise: str) -> str:
    return f"{_UNRUN}{verdict.why}" if isinstance(verdict, Lost) else otherwise


def _checks(specs: Sequence[StationSpec], job: Job, wanted: Wanted) -> tuple[Check, ...]:
    """Give the issue's own command, else the job's, else what the line's test stations run here."""
    own = (wanted.command,) if wanted.command else job.accept
    if own:
        return tuple(Check(owner=f"accept:{job.id}", run=command) for command in own)
    return tuple(spec.check() for spec in specs if spec.run and spec.required)


def file_of(test: str) -> str:
    """Give the file that a test's id names; the id itself when it is one."""
    return test.partition("::")[0]


def holds(git: Git, commit: Oid, test: str) -> bool:
    """Say whether a commit has the file of a test, and in it every name that its id names.

    Some runners pass where they find no test of a name.
    """
    file, *names = test.split("::")
    path = file.encode("utf-8", "surrogateescape")
    if path not in git("ls-tree", "-z", "--name-only", commit, "--", file, ok=(0, 128)).parts:
        return False
    text = git("cat-file", "blob", f"{commit}:{file}", ok=(0, 128)).out
    return all(_names(text.decode("utf-8", "replace"), name.partition("[")[0]) for name in names)


def _names(text: str, name: str) -> bool:
    """Say whether a name stands in a text, and not only as a part of a longer one."""
    return re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text) is not None


def _shared(line: Line, job: JobId, wanted: Wanted) -> tuple[int, ...]:
    """Give the run's other issues whose tests lie in the same file."""
    if not wanted.test:
        return ()
    return tuple(
        each.number
        for one, each in wants(line, tuple(line.jobs))
        if (one, each.number) != (job, wanted.number)
        and each.number != wanted.number
        and each.test
        and file_of(each.test) == file_of(wanted.test)
        and each.test != wanted.test
    )


def _selects(wanted: Wanted) -> bool:
    """Say whether the issue's command runs its own test alone, out of those of a file."""
    name = wanted.test.rpartition("::")[2]
    return name != wanted.test and any(_names(word, name) for word in wanted.command)


def _tests(bench: Bench, wanted: Wanted, *, before: Oid, work: Oid, head: Oid) -> set[bytes]:
    """Give the files of an issue's test; without a named one, those that the job itself changed."""
    own = _brought(bench, before=before, work=work)
    if not wanted.test:
        return own
    if not holds(bench.git, head, wanted.test):
        return set()
    served = {path for path in own if not allows(_MODULES, _name(path))}
    return {file_of(wanted.test).encode("utf-8", "surrogateescape"), *served}


def _brought(bench: Bench, *, before: Oid, work: Oid) -> set[bytes]:
    """Give the test files that the job itself made or changed."""
    try:
        own = own_of(bench.git, before, work).paths
        there = {entry.path for entry in entries(bench.git, before, work) if entry.status != "D"}
    except GitError:  # a landing of one parent lets the job's own commit go in the end
        return set()
    return {path for path in own & there if allows(TESTS, _name(path))}


def _name(path: bytes) -> str:
    return path.decode("utf-8", "surrogateescape")


def _tried(
    bench: Bench,
    checks: tuple[Check, ...],
    *,
    base: Oid,
    tree: Oid,
    stop: threading.Event,
    hear: Callable[[str], None],
) -> Verdict:
    key = key_of(bench, checks)
    trial = Trial(run=bench.run, trial=0, base=base, tree=tree, checks=checks, key=key)
    return try_tree(bench, trial, stop=stop, hear=hear)
