"""Control groups: joined, counted, taken away; only where they are ours to make."""

import os
from pathlib import Path

import pytest

from stations.cgroup import bounded, controllers
from stations.limits import Limits
from stations.shell import run
from tests.run import ROOT, end, start
from tests.run import run as run_program

ENV = {"PATH": "/usr/bin:/bin"}


def mine() -> Path:
    """Give the place where groups may be made, or skip."""
    place = controllers().pids
    if place is None:
        pytest.skip("no control group may be made here")
    return place


def test_a_program_joins_its_group_before_it_starts_and_the_group_goes_after() -> None:
    """Its own first process is counted already."""
    place = mine()
    with bounded(Limits(processes=7)) as limits:
        (group,) = [one for one in limits.groups if one.parent == place]
        ran = run(["/bin/cat", "/proc/self/cgroup"], env=ENV, deadline=5, limits=limits)
        assert (group / "pids.max").read_text() == "7\n"

    assert group.name.encode() in ran.out
    assert not group.exists()


def test_groups_of_a_killed_factory_are_swept_by_the_next_one() -> None:
    """A kill -9 leaves an empty directory, and only until somebody comes."""
    place = mine()
    program = (
        "import sys\nfrom stations.cgroup import bounded\nfrom stations.limits import Limits\n"
        "with bounded(Limits(processes=7)) as limits:\n"
        "    print(limits.groups[0], flush=True)\n    sys.stdin.read()\n"
    )
    child = start([ROOT / ".venv/bin/python", "-c", program], cwd=ROOT)
    assert child.stdout is not None
    group = Path(child.stdout.readline().decode().strip())
    os.kill(child.pid, 9)
    end(child)
    assert group.exists()

    sweep = "from stations.cgroup import controllers; print(controllers().pids)"
    seen = run_program([ROOT / ".venv/bin/python", "-c", sweep], cwd=ROOT).text

    assert seen == str(place)
    assert not group.exists()


def test_what_bounds_a_sandbox_can_be_said_in_a_line() -> None:
    """The text names processes and memory."""
    assert controllers().text.startswith("processes: ")
    assert "; memory: " in controllers().text
