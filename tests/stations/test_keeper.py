"""The keeper: whenever the factory is killed, what it was just starting ends too."""

import random
import signal
import sys

import psutil
import pytest

from stations.box import Box
from stations.bubblewrap import Bubblewrap
from stations.keeper import Keeper
from stations.limits import Limits
from tests.run import ROOT, run, start
from tests.stations.benches import bearing, until


def starts(mark: str) -> None:
    """Run a sandbox as a factory does; its command line bears the mark.

    It is in no control group: what a killed factory leaves in one is swept by the next factory.
    """
    box = Box(
        argv=("/bin/sleep", mark),
        checkout="/usr",
        limits=Limits(processes=0, memory_bytes=0),
    )
    Bubblewrap().run(box, deadline=60)


PROGRAM = """
import os, random, signal, sys, threading
from tests.stations.test_keeper import starts
dice = random.Random(int(sys.argv[1]))
for _ in range(int(sys.argv[2])):
    factory = os.fork()
    if factory == 0:
        starts(sys.argv[3])
    threading.Event().wait(dice.uniform(0, 0.045))
    os.kill(factory, signal.SIGKILL)
    os.waitpid(factory, 0)
"""


def killed_while_starting(seed: int, kills: int) -> None:
    """Kill factories at random moments while they start a sandbox; nobody may be left."""
    mark = f"49{seed}.{random.Random(seed).randint(10**6, 10**7)}25"  # noqa: S311  a name
    run([sys.executable, "-c", PROGRAM, str(seed), str(kills), mark], cwd=ROOT, timeout=500)

    assert until(lambda: not bearing(f"^/usr/bin/bwrap.*{mark}|^sleep {mark}"), 2.0), bearing(
        f"^/usr/bin/bwrap.*{mark}|^sleep {mark}"
    )


def test_nothing_is_left_of_a_sandbox_that_was_just_starting() -> None:
    """One kill in sixteen finds bwrap where it would wait for ever for its dead parent."""
    killed_while_starting(1, 120)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(10, 14))
def test_nothing_is_left_after_thousands_of_kills(seed: int) -> None:
    """The same holds for ten thousand kills."""
    killed_while_starting(seed, 2500)


def test_a_group_that_was_released_is_left_alone() -> None:
    """Only groups that were registered and not released end with the factory."""
    script = "\n".join(
        (
            "import os, sys",
            "from stations.keeper import KEEPER",
            "door = KEEPER.door()",
            "for word in ('+', '-'):",
            "    for group in sys.argv[1:] if word == '+' else sys.argv[1:2]:",
            "        open(door, 'w').write(f'{word} {group}\\n')",
        )
    )
    pair = [start(["/bin/sleep", "60"]) for _ in range(2)]
    try:
        run([sys.executable, "-c", script, *(str(child.pid) for child in pair)], cwd=ROOT)

        assert pair[1].wait(5) == -signal.SIGKILL
        assert pair[0].poll() is None
    finally:
        for child in pair:
            child.kill()
            child.communicate()


def test_a_keeper_that_died_is_followed_by_one_that_knows_the_groups() -> None:
    """A lost keeper is started anew with the next sandbox, and what was running is told to it."""
    before = set(psutil.Process().children())
    keeper, child = Keeper(), start(["/bin/sleep", "60"])
    try:
        door = keeper.door()
        keeper.hold(child.pid)
        (lost,) = {one for one in psutil.Process().children() if one.pid != child.pid} - before
        lost.kill()
        assert until(lambda: lost.status() == psutil.STATUS_ZOMBIE)
        keeper.release(0)  # nobody hears it

        assert keeper.door() == door
        keeper.close()

        assert child.wait(5) == -signal.SIGKILL
        assert set(psutil.Process().children()) <= before
    finally:
        child.kill()
        child.communicate()
