"""The two file locks: one descriptor per file and process, freed by the kernel."""

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from tests.run import ROOT, end, run, start
from worktrees.lock import Flock, owner_lock, worktree_lock

HOLD = (
    "import sys; from pathlib import Path; from worktrees.lock import owner_lock; "
    "assert owner_lock(Path(sys.argv[1])).try_acquire(); print('held', flush=True); "
    "sys.stdin.read()"
)


def test_the_lock_excludes_another_process_and_names_it(tmp_path):
    """While a process holds the lock nobody else gets it, and the message can name the holder."""
    child = start([sys.executable, "-c", HOLD, str(tmp_path)], cwd=ROOT)
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == b"held\n"
        owner = owner_lock(tmp_path)

        assert not owner.try_acquire()
        assert not owner.acquire(0.05)
        assert f"pid {child.pid} since 20" in owner.holder()
    finally:
        end(child)


def test_the_kernel_frees_the_lock_of_a_killed_process(tmp_path):
    """A kill -9 of the holder leaves no stale lock."""
    child = start([sys.executable, "-c", HOLD, str(tmp_path)], cwd=ROOT)
    assert child.stdout is not None
    assert child.stdout.readline() == b"held\n"

    end(child)

    owner = owner_lock(tmp_path)
    assert owner.try_acquire()
    owner.release()


def test_threads_take_turns_and_never_overlap(tmp_path):
    """Of eight threads only one is inside at a time, through different values of one path."""
    inside, most = 0, 0
    together = Barrier(8)

    def work(_: int) -> None:
        nonlocal inside, most
        together.wait()
        for _ in range(20):
            with worktree_lock(tmp_path):
                inside += 1
                most = max(most, inside)
                inside -= 1

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))

    assert most == 1
    assert inside == 0


def test_the_holding_thread_may_enter_again(tmp_path):
    """Nested blocks of one thread are one hold, given back by the outermost."""
    lock = worktree_lock(tmp_path)

    with lock, lock:
        assert lock.held

    assert not lock.held
    assert lock.try_acquire()
    lock.release()


def test_a_held_lock_is_not_taken_twice(tmp_path):
    """`try_acquire` says no while this very process holds it: one run per repository."""
    owner = owner_lock(tmp_path)
    assert owner.try_acquire()

    assert not owner_lock(tmp_path).try_acquire()

    owner.release()


def test_one_descriptor_and_no_leak(tmp_path):
    """A hundred holds leave no descriptor behind, and a child inherits none."""
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    for _ in range(100):
        with worktree_lock(tmp_path):
            listed = os.listdir("/proc/self/fd")  # noqa: PTH208
            assert len(listed) <= before + 1

    with worktree_lock(tmp_path):
        inherited = run([sys.executable, "-c", "import os; print(os.listdir('/proc/self/fd'))"])

    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
    assert len(eval(inherited.text)) <= 4  # noqa: S307  a list that our own child printed


def test_no_lock_file_ends_in_lock(tmp_path):
    """Our files are not taken for git's stale locks."""
    with worktree_lock(tmp_path), owner_lock(tmp_path):
        assert {path.name for path in tmp_path.iterdir()} == {"lock", "owner"}


def test_an_unusable_place_is_an_error_and_frees_the_turn(tmp_path):
    """A lock in a missing directory raises each time and never hangs."""
    lock = Flock(tmp_path / "missing" / "lock")

    for _ in range(2):
        with pytest.raises(FileNotFoundError):
            lock.acquire(0.1)
