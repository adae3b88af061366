"""Kills that nobody placed: at random times of a run, and at random calls of its programs."""

import random
import signal
import threading
from shutil import which

import pytest

from tests.system.outside import agent_bytes, check, lost_bytes, remember
from tests.system.sites import WRITES, Plan, make_toy, report, states, until

TWELVE = Plan(jobs=tuple(f"j{number}" for number in range(12)), seats=4)
ROUNDS = 5
"""Kills of one run; above this many a job's interruptions count as its own."""
CALLS = {
    "fdatasync": 20,
    "fsync": 8,
    "link": 4,
    "mkdir": 40,
    "pwrite64": 120,
    "rename": 5,
    "unlink": 4,
    "write": 24,
}
"""System calls that change something, and how many of each one thread of a run makes about."""


def storm(tmp_path, seed):
    """Kill a run and its resumes at random times; then let it end, and check from outside."""
    dice = random.Random(seed)  # noqa: S311  it picks what to kill
    toy = make_toy(tmp_path / "toy", TWELVE)
    before = remember(toy)
    seen, words = set(), ("run", "--yes")
    for _ in range(ROUNDS):
        with toy.start(*words, "--trust", "--json") as child:
            until(
                lambda child=child: (
                    (toy.common / "factory" / "owner").exists() or child.child.poll() is not None
                ),
                seconds=20,
                what="it has begun",
            )
            threading.Event().wait(dice.uniform(0.3, 1.8))
            child.signal(signal.SIGKILL)
            child.wait()
        toy.nobody_left()
        seen |= agent_bytes(toy)
        words = ("resume",) if toy.events("placed") else ("run", "--yes")

    document = toy.finish()

    check(toy, before, document)
    assert set(states(document).values()) == {"landed"}
    assert not lost_bytes(toy, seen)


@pytest.mark.parametrize("seed", range(2))
def test_a_run_stands_kills_at_random_times(seed, tmp_path):
    """Every agent's byte stays reachable, each job lands once, the resume completes all."""
    storm(tmp_path, seed)


@pytest.mark.soak
@pytest.mark.parametrize("seed", [2, 3, *range(100, 140)])
def test_a_run_stands_many_more_kills(seed, tmp_path):
    """The same holds for two hundred kills."""
    storm(tmp_path, seed)


def shot(tmp_path, call, number, fault="signal=KILL", seconds=50):
    """Strike whoever of a run makes the n-th call of a kind, resume, and check."""
    if which("strace") is None:
        pytest.skip("strace is not installed: no kill at a system call was tried")
    toy = make_toy(tmp_path / "toy", Plan(jobs=("a", "b"), seats=2))
    before = remember(toy)
    prefix = [
        *("strace", "-f", "-qq", "-o", "/dev/null", "--seccomp-bpf"),
        *("-e", f"trace={call}", "-e", f"inject={call}:{fault}:when={number}"),
    ]
    words = ("run", "--yes", "--trust", "--json")
    with toy.start(*words, prefix=prefix) as child:
        ran = child.wait(seconds)
    assert b"Traceback" not in ran.err
    toy.nobody_left()
    seen = agent_bytes(toy)

    document = toy.finish()

    check(toy, before, document)
    # A shot agent has failed, as any agent that dies; its job then is a dead letter.
    assert set(states(document).values()) <= {"landed", "dead"}
    assert not lost_bytes(toy, seen)


def sample(seed, size):
    """Give system calls with their counts, by a seed that the test's name shows."""
    dice = random.Random(seed)  # noqa: S311  it picks what to kill
    calls = sorted(CALLS)
    return [(call, dice.randint(1, CALLS[call])) for call in (calls * size)[:size]]


@pytest.mark.parametrize(("call", "number"), sample(7, 8))
def test_a_kill_at_a_system_call_is_made_good(call, number, tmp_path):
    """Whichever program of a run dies at whichever call, the repository ends sound and complete."""
    shot(tmp_path, call, number)


@pytest.mark.soak
@pytest.mark.parametrize("call", sorted(CALLS))
def test_a_kill_at_every_system_call_is_made_good(call, tmp_path):
    """The same holds at each call of each kind, as far as one process makes them."""
    for number in range(1, CALLS[call] + 1):
        shot(tmp_path / str(number), call, number)


FAULTS = [("write", "ENOSPC"), ("pwrite64", "ENOSPC"), ("fdatasync", "EIO")]


@pytest.mark.parametrize(("call", "fault"), FAULTS)
def test_an_error_of_the_disk_is_made_good(call, fault, tmp_path):
    """A disk that fails for one call of every program stops or delays a run and loses nothing."""
    shot(tmp_path, call, 2, f"error={fault}")


@pytest.mark.soak
@pytest.mark.parametrize(("call", "fault"), [*FAULTS, ("fsync", "EIO"), ("link", "EIO")])
def test_an_error_of_the_disk_at_every_call_is_made_good(call, fault, tmp_path):
    """The same holds at each call of each kind."""
    for number in range(1, CALLS[call] + 1):
        # A call that fails in every program keeps stations at rest, three times a minute.
        shot(tmp_path / str(number), call, number, f"error={fault}", seconds=400)


def test_work_that_an_agent_left_uncommitted_is_brought_out(tmp_path):
    """Edits of agents that were at work when the factory was killed are in their salvage refs."""
    toy = make_toy(tmp_path / "toy", Plan(agent=f"{WRITES}sleep 1000\n"))
    with toy.start() as child:
        until(lambda: len(agent_bytes(toy)) == 3, seconds=30, what="three agents work")
        seen = agent_bytes(toy)
        child.signal(signal.SIGKILL)
        child.wait()
    toy.nobody_left()
    with toy.start("resume", "--trust", "--json") as child:
        until(lambda: toy.events("resumed"), seconds=30, what="it goes on")
        assert not lost_bytes(toy, seen)
        kept = toy.git("for-each-ref", "--format=%(refname)", "refs/factory/salvage").text
        child.signal(signal.SIGTERM)
        ran = child.wait()

    assert len(kept.splitlines()) == 3
    assert ran.code == 130
    assert set(states(report(ran)).values()) == {"waiting"}
