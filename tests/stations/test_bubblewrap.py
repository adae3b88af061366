"""The bubblewrap sandbox: what is its own beside what every sandbox promises."""

import os
from pathlib import Path

import pytest

from stations.bubblewrap import Bubblewrap
from stations.ran import Ran
from stations.sandbox import preflight
from tests.run import ROOT, end, run, start
from tests.stations.benches import bearing, left, until
from tests.stations.boxes import box, plant

SANDBOX = Bubblewrap()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Give a tree with one directory in scope and one outside."""
    return plant(tmp_path / "tree")


def ran(tree: Path, script: str, deadline: float = 10) -> Ran:
    """Run a script in a box and give how it ended."""
    return SANDBOX.run(box(tree, script), deadline=deadline)


def test_preflight_of_a_sandbox_that_does_not_contain_says_so(tmp_path: Path) -> None:
    """A launcher that leaves the host's network in is caught by the attempts that it lets in."""
    lax = tmp_path / "bwrap"
    lax.write_text('#!/bin/sh\nfirst=$1; shift\nexec bwrap "$first" --share-net "$@"\n')
    lax.chmod(0o755)

    found = preflight(Bubblewrap(program=lax), tmp_path / "scratch")

    assert "reach the host's loopback" in {one.name for one in found if not one.ok}


def test_preflight_of_a_sandbox_that_does_not_start_gives_the_fix(tmp_path: Path) -> None:
    """The finding holds the launcher's own words and what to do."""
    broken = tmp_path / "bwrap"
    broken.write_text(
        "#!/bin/sh\necho 'bwrap: setting up uid map: Permission denied' >&2; exit 1\n"
    )
    broken.chmod(0o755)

    (found,) = preflight(Bubblewrap(program=broken), tmp_path / "scratch")

    assert not found.ok
    assert "uid map" in found.detail
    assert "apparmor" in found.detail


def test_no_environment_inside_holds_our_secret(tree: Path) -> None:
    """A canary in the factory's real environment is in no /proc/*/environ and in no variable."""
    script = "cat /proc/[0-9]*/environ | tr '\\0' '\\n'; env; ps -e | wc -l"
    program = (
        "from tests.stations.test_bubblewrap import *; import sys; "
        f"r = ran(Path({str(tree)!r}), {script!r}); sys.stdout.buffer.write(r.out)"
    )

    seen = run(
        [ROOT / ".venv/bin/python", "-c", program], cwd=ROOT, env={"FACTORY_CANARY": "canary-5f2a"}
    ).out

    assert b"PATH=" in seen
    assert b"canary-5f2a" not in seen
    assert b"FACTORY_CANARY" not in seen


def test_the_launcher_shows_only_its_path(tree: Path) -> None:
    """The first process of the sandbox has nothing in its environment but PATH and PWD."""
    seen = ran(tree, "tr '\\0' '\\n' < /proc/1/environ | cut -d= -f1 | sort").out.split()

    assert set(seen) <= {b"PATH", b"PWD", b"OLDPWD"}


def test_nothing_is_left_when_the_factory_is_killed(tree: Path) -> None:
    """After kill -9 of the process that runs a sandbox, its namespace dies with it."""
    flag = tree / "in" / "started"
    program = (
        "from tests.stations.test_bubblewrap import *; "
        f"ran(Path({str(tree)!r}), '(setsid sleep 4712.25 &); touch in/started; sleep 4712.25', 60)"
    )
    child = start([ROOT / ".venv/bin/python", "-c", program], cwd=ROOT)
    try:
        assert until(flag.exists)
        assert left("4712.25") != []
    finally:
        os.kill(child.pid, 9)

    assert until(lambda: left("4712.25") == [], 2.0)
    end(child)


def test_a_sandbox_that_starts_after_the_factory_died_runs_nothing(tree: Path) -> None:
    """A launcher that is still starting when its factory is killed never starts the program."""
    flag, late = tree / "in" / "started", tree / "launcher"
    late.write_text(
        f"#!/bin/sh\n: > {tree}/waits\n"
        "while [ $PPID = $(ps -o ppid= -p $$) ]; do sleep 0.01; done\n"
        'exec /usr/bin/bwrap "$@"\n'
    )
    late.chmod(0o700)
    program = (
        "from tests.stations.test_bubblewrap import *; "
        f"Bubblewrap(program=Path({str(late)!r})).run("
        f"box(Path({str(tree)!r}), 'touch in/started; sleep 4714.25'), deadline=60)"
    )
    child = start([ROOT / ".venv/bin/python", "-c", program], cwd=ROOT)
    try:
        assert until((tree / "waits").exists)
    finally:
        os.kill(child.pid, 9)
        child.wait()

    assert until(lambda: not bearing(str(late)) and not bearing("4714.25"), 2.0)
    assert not flag.exists()
    end(child)
