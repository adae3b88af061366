"""Processes are known by more than a number that another one may get."""

import os
import sys

from stations.living import lives, this_process
from tests.run import ROOT, run


def test_a_process_lives_until_it_ends() -> None:
    """Ours lives; one that has ended does not, nor does one with its number reused."""
    me = this_process()
    namespace, number, began = me.split("/")
    told = run(
        [sys.executable, "-c", "from stations.living import *; print(this_process(), end='')"],
        cwd=ROOT,
    ).out.decode()

    assert int(number) == os.getpid()
    assert lives(me)
    assert told.startswith(namespace)
    assert not lives(told)
    assert not lives(f"{namespace}/{number}/{int(began) + 1}")


def test_a_process_that_cannot_be_seen_may_live() -> None:
    """One of another namespace is not known here, and is not taken for dead."""
    assert lives("pid:[1]/1/1")
    assert lives("nonsense")
