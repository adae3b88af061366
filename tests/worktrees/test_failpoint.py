"""Failpoints: armed by a spec, silent otherwise."""

import re
import signal
import sys

import pytest

from tests.run import ROOT, end, run, start
from worktrees.failpoint import FailpointError, arm, failpoint

CHILD = "import sys; from worktrees.failpoint import *; arm(sys.argv[1]); failpoint('a.b'); "


@pytest.fixture(autouse=True)
def _disarmed():
    yield
    arm(None)


def test_an_unarmed_point_does_nothing():
    """Nothing happens at a point while none, or another one, is armed."""
    failpoint("a.b")
    arm("other:raise")

    failpoint("a.b")


def test_the_nth_hit_raises_and_no_other():
    """Only the hit that the spec counts raises."""
    arm("a.b:raise:2")

    failpoint("a.b")
    with pytest.raises(FailpointError, match=r"a\.b"):
        failpoint("a.b")
    failpoint("a.b")


def test_kill_ends_the_process_at_once():
    """A killed process runs nothing after the point."""
    ran = run([sys.executable, "-c", CHILD + "print('after')", "a.b:kill"], cwd=ROOT, check=False)

    assert ran.code == -signal.SIGKILL
    assert ran.out == b""


def test_sleep_halts_until_the_process_is_ended():
    """A halted process stays where it is and prints nothing."""
    code = "print('before', flush=True); " + CHILD + "print('after')"
    child = start([sys.executable, "-c", code, "a.b:sleep"], cwd=ROOT)
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == b"before\n"
        assert child.poll() is None
    finally:
        end(child)


@pytest.mark.parametrize("spec", ["", "a", "a:", "a:burn", "a:kill:x", ":kill"])
def test_a_wrong_spec_is_refused(spec):
    """A spec that names no deed is an error, not a silent no-op."""
    with pytest.raises(ValueError, match="failpoint"):
        arm(spec)


def test_every_effect_module_has_pairs_of_points():
    """Each of these modules names points before and after its effects, all as literals."""
    for module in ("workspace", "pool", "merge", "janitor"):
        text = (ROOT / "worktrees" / f"{module}.py").read_text()
        names = re.findall(r'failpoint\("([^"]+)"\)', text)

        assert len(names) == text.count("failpoint("), module
        assert all(name.startswith(f"{module}.") for name in names)
        assert any(name.endswith(".before") for name in names)
        assert any(name.endswith(".after") for name in names)
