"""Without a sandbox: what still holds when a person typed --no-sandbox."""

import os
import sys
import threading
import time
from pathlib import Path

from stations.box import Box
from stations.contract import Branch, Check, Compose, Done, Failed, Green, Trial
from stations.plain import Plain
from stations.runtimes.task import Control
from stations.seat import take_turn
from stations.testing import compose, try_tree
from stations.tools import Surroundings
from tests.conftest import make_repository
from tests.run import ROOT, end, run, start
from tests.stations.benches import PATH, RUN, assignment, base_of, bench_at, left, station, until
from worktrees.change import paths
from worktrees.names import JobId


def box(tmp_path: Path, script: str) -> Box:
    """Give a box that runs a shell script in a directory."""
    return Box(argv=("/bin/sh", "-c", script), checkout=str(tmp_path), path=("/usr/bin", "/bin"))


def test_the_exit_code_and_output_come_through_the_supervisor(tmp_path: Path) -> None:
    """Codes, both streams and a death by signal are the program's own."""
    assert Plain().run(box(tmp_path, "echo o; echo e >&2; exit 7"), deadline=9).code == 7
    assert Plain().run(box(tmp_path, "kill -ABRT $$"), deadline=9).code == -6
    assert Plain().run(box(tmp_path, "cat"), stdin=b"in", deadline=9).out == b"in"


def test_daemonised_orphans_are_ended_with_it(tmp_path: Path) -> None:
    """Double fork and a new session do not escape, at the end and when stopped."""
    script = (
        "(setsid sh -c 'sleep 4811.25 & sleep 4811.25' >/dev/null 2>&1 </dev/null &); sleep 0.2;"
    )

    Plain().run(box(tmp_path, f"{script} exit 0"), deadline=9)
    assert left("4811.25") == []

    stop = threading.Event()
    threading.Timer(0.6, stop.set).start()
    began = time.monotonic()
    ended = Plain().run(box(tmp_path, f"trap '' TERM; {script} sleep 99"), deadline=60, stop=stop)

    assert ended.ended == "stopped"
    assert time.monotonic() - began < 2.6
    assert left("4811.25") == []


def test_nothing_is_left_when_the_factory_is_killed(tmp_path: Path) -> None:
    """After kill -9 of the process that runs it, daemons and stubborn programs die too."""
    script = "trap '' TERM; (setsid sleep 4812.25 &); touch started; sleep 4812.25"
    program = (
        "from tests.stations.test_plain import *; "
        f"Plain().run(box(Path({str(tmp_path)!r}), {script!r}), deadline=60)"
    )
    child = start([sys.executable, "-c", program], cwd=ROOT)
    try:
        assert until((tmp_path / "started").exists)
        assert until(lambda: len(left("4812.25")) == 2)
    finally:
        os.kill(child.pid, 9)

    assert until(lambda: left("4812.25") == [], 2.0)
    end(child)


def test_an_attempt_and_its_test_work_without_a_sandbox(tmp_path: Path) -> None:
    """Private git dir, policy, exact tree and durable work are the same; the host's refs stay."""
    with bench_at(tmp_path / "repo", sandbox=Plain()) as bench:
        script = "echo 'A = 1' > src/a.py; git add -A; git commit -qm x; git tag evil"
        done = take_turn(
            bench,
            station("sh", "-c", script),
            assignment(bench, scope=("src/**",)),
            control=Control(),
        )
        assert isinstance(done, Done), done
        assert list(paths(bench.git, base_of(bench), done.commit)) == [b"src/a.py"]
        assert bench.git("tag").text == ""
        made = compose(
            bench,
            [],
            Compose(
                run=RUN,
                trial=1,
                base=base_of(bench),
                branches=(Branch(job=JobId("job1"), commit=done.commit),),
                line="h",
            ),
            stop=threading.Event(),
        )
        assert made.tree is not None
        check = Check(owner="t", run=("sh", "-c", "test -e src/a.py && git log -1"), timeout=20)
        trial = Trial(
            run=RUN, trial=1, base=base_of(bench), tree=made.tree, checks=(check,), key="k"
        )

        assert isinstance(try_tree(bench, trial, stop=threading.Event()), Green)


def test_the_scope_is_judged_without_a_sandbox_too(tmp_path: Path) -> None:
    """What no mount prevents the policy refuses."""
    with bench_at(tmp_path / "repo", sandbox=Plain()) as bench:
        outcome = take_turn(
            bench,
            station("sh", "-c", "echo x > README.md"),
            assignment(bench, scope=("src/**",)),
            control=Control(),
        )

    assert not isinstance(outcome, Done | Failed)
    assert (tmp_path / "repo/README.md").read_text() == "A small repository.\n"


def test_an_editable_install_means_the_tree_under_test_without_a_sandbox(tmp_path: Path) -> None:
    """The environment names the user's checkout; what is imported is the candidate all the same."""
    checkout = tmp_path / "repo"
    make_repository(
        checkout, {"src/demo/__init__.py": "VALUE = 'fresh'\n", ".gitignore": ".venv\n"}
    )
    run([Path(sys.base_prefix) / "bin/python3", "-m", "venv", "--without-pip", checkout / ".venv"])
    (site,) = (checkout / ".venv/lib").glob("python*/site-packages")
    (site / "demo.pth").write_text(f"{checkout}/src\n")
    (checkout / "src/demo/__init__.py").write_text("VALUE = 'stale'\n")
    around = Surroundings(share=(".venv",), path=PATH)

    with bench_at(checkout, files=None, surroundings=around, sandbox=Plain()) as bench:
        words = ("python", "-c", "import demo; assert demo.VALUE == 'fresh', demo.__file__")
        trial = Trial(
            run=RUN,
            trial=1,
            base=base_of(bench),
            tree=bench.git.tree_of(base_of(bench)),
            checks=(Check(owner="t", run=words, timeout=20),),
            key="k",
        )
        got = try_tree(bench, trial, stop=threading.Event())

    assert isinstance(got, Green), got
