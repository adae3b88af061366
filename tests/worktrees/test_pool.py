"""The pool: bounded, in order, each serial at most once, errors where they are waited for."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest

from tests.run import run
from tests.worktrees.marks import sound, status
from worktrees.failpoint import FailpointError, arm
from worktrees.git import GitError
from worktrees.lock import worktree_lock
from worktrees.pool import Pool, PoolError
from worktrees.workspace import Plain, Workspace


def ref(serial):
    """Give a job's branch."""
    return f"refs/heads/factory/r/job/j{serial}"


@dataclass
class Counting:
    """A real grower that also counts how many stand at once and in which order they grew."""

    plain: Plain
    grown: list[str] = field(default_factory=list)
    felled: list[str] = field(default_factory=list)
    most: int = 0
    ready: threading.Condition = field(default_factory=threading.Condition)

    def grow(self, name, base) -> Workspace:
        """Grow and count."""
        made = self.plain.grow(name, base)
        with self.ready:
            self.grown.append(name)
            self.most = max(self.most, len(self.grown) - len(self.felled))
            self.ready.notify_all()
        return made

    def fell(self, workspace) -> None:
        """Fell and count."""
        self.plain.fell(workspace)
        with self.ready:
            self.felled.append(workspace.name)
            self.ready.notify_all()

    def wait_grown(self, number):
        """Wait until so many were grown."""
        with self.ready:
            assert self.ready.wait_for(lambda: len(self.grown) >= number, 20)


@pytest.fixture
def grower(repository):
    """Give a counting grower."""
    return Counting(Plain(repository=repository, lock=worktree_lock(repository.factory)))


def make(repository, grower, base, **more):
    """Give a pool of run r."""
    return Pool(repository, "r", grower=grower, base=base, **{"bound": 3, **more})


def test_a_taken_workspace_stands_on_its_branch(repository, base, grower):
    """Taking gives the serial's own workspace, on the branch, clean."""
    with make(repository, grower, base, first_serial=5) as pool:
        given = pool.take(5, ref=ref(5), start=base, expected=None)

        assert given.name == "r-5"
        assert run(["git", "branch", "--show-current"], cwd=given.tree).text == "factory/r/job/j5"
        assert status(given.tree).text == ""
        pool.give_back(given)


def test_workspaces_are_grown_ahead_up_to_the_bound(repository, base, grower):
    """Before anybody asks there are as many as the bound, and never more."""
    with make(repository, grower, base) as pool:
        grower.wait_grown(3)
        assert pool.ready() == 3
        given = pool.take(0, ref=ref(0), start=base, expected=None)
        assert pool.ready() == 2
        pool.give_back(given)
        grower.wait_grown(4)

    assert grower.grown[:4] == ["r-0", "r-1", "r-2", "r-3"]
    assert grower.most <= 3


def test_many_seats_take_and_give_back_and_nothing_stays(repository, base, grower, checkout):
    """Forty attempts by eight seats, in any order, each get their own; at the end none stands."""
    seen = []

    def seat(serial):
        given = pool.take(serial, ref=ref(serial), start=base, expected=None)
        seen.append(given.name)
        pool.give_back(given)

    with make(repository, grower, base, bound=10) as pool, ThreadPoolExecutor(8) as seats:
        list(seats.map(seat, range(40)))

    assert sorted(seen) == sorted(f"r-{serial}" for serial in range(40))
    assert grower.most <= 10
    assert list((repository.factory / "trees").iterdir()) == []
    sound(checkout)


def test_a_serial_is_never_handed_out_twice(repository, base, grower):
    """Asking again for a spent serial is an error."""
    with make(repository, grower, base) as pool:
        pool.give_back(pool.take(0, ref=ref(0), start=base, expected=None))

        with pytest.raises(PoolError, match="r-0 was handed out before"):
            pool.take(0, ref=ref(0), start=base, expected=base)


def test_skipped_serials_make_room(repository, base, grower):
    """Serials that nobody takes are felled when a later one needs their place."""
    with make(repository, grower, base) as pool:
        grower.wait_grown(3)
        given = pool.take(7, ref=ref(7), start=base, expected=None)

        assert given.name == "r-7"
        assert "r-0" in grower.felled
        pool.give_back(given)
    assert grower.most <= 3


def test_a_late_taker_of_a_skipped_serial_still_gets_it(repository, base, grower):
    """A serial that made room but was never handed out is grown when it is asked for."""
    with make(repository, grower, base, bound=1) as pool:
        grower.wait_grown(1)
        later = pool.take(1, ref=ref(1), start=base, expected=None)
        pool.give_back(later)

        early = pool.take(0, ref=ref(0), start=base, expected=None)

        assert early.name == "r-0"
        pool.give_back(early)


def test_a_new_base_counts_for_what_grows_later(repository, base, grower, commit):
    """After `rebase` both old and new workspaces are handed out at the start that is asked for."""
    start = commit(base, {"README.md": "2\n"})
    with make(repository, grower, base, bound=2) as pool:
        grower.wait_grown(2)
        pool.rebase(start, ahead=2)
        for serial in range(4):
            given = pool.take(serial, ref=ref(serial), start=start, expected=None)
            assert (given.tree / "README.md").read_text() == "2\n"
            assert status(given.tree).text == ""
            pool.give_back(given)


def test_no_more_grow_than_are_expected(repository, base, grower):
    """With one attempt to come one workspace stands ready; a second grows when it is asked for."""
    with make(repository, grower, base, bound=4, ahead=1) as pool:
        grower.wait_grown(1)
        pool.rebase(base, ahead=0)
        for serial in range(2):
            given = pool.take(serial, ref=ref(serial), start=base, expected=None)
            pool.give_back(given)

        assert grower.grown == ["r-0", "r-1"]


def test_a_growth_error_reaches_the_one_who_waits(repository, grower):
    """A base that cannot be read raises in `take`, serial by serial, and nothing stays."""
    with make(repository, grower, "a" * 40) as pool:
        for serial in (0, 1):
            with pytest.raises(GitError):
                pool.take(serial, ref=ref(serial), start="a" * 40, expected=None)

    assert list((repository.factory / "trees").iterdir()) == []


def test_the_pool_goes_on_after_an_error(repository, base, grower):
    """One failed growth costs its serial only."""
    arm("pool.grow.before:raise:1")
    try:
        with make(repository, grower, base) as pool:
            with pytest.raises(FailpointError):
                pool.take(0, ref=ref(0), start=base, expected=None)
            given = pool.take(1, ref=ref(1), start=base, expected=None)
            assert given.name == "r-1"
            pool.give_back(given)
    finally:
        arm(None)


def test_a_full_disk_is_a_clear_error(repository, base, grower):
    """Below the floor nothing grows, and the message says how much is free and what to do."""
    with (
        make(repository, grower, base, disk_floor=1 << 60) as pool,
        pytest.raises(OSError, match=r"only \d+ MB free"),
    ):
        pool.take(0, ref=ref(0), start=base, expected=None)

    assert grower.grown == []


def test_a_refused_hand_out_gives_the_place_back(repository, base, grower, commit):
    """When the branch stands elsewhere the workspace is felled and the pool goes on."""
    repository.git("update-ref", ref(0), commit(base, {"README.md": "2\n"}))
    with make(repository, grower, base, bound=1) as pool:
        with pytest.raises(GitError):
            pool.take(0, ref=ref(0), start=base, expected=None)

        pool.give_back(pool.take(1, ref=ref(1), start=base, expected=None))


def test_closing_ends_waiters_and_fells_the_rest(repository, base, grower):
    """A taker that waits for room is told that the pool ended; unused workspaces are gone."""
    pool = make(repository, grower, base, bound=1)
    held = pool.take(0, ref=ref(0), start=base, expected=None)
    with ThreadPoolExecutor(1) as seats:
        waiting = seats.submit(pool.take, 1, ref=ref(1), start=base, expected=None)
        pool.close()

        with pytest.raises(PoolError, match="ended"):
            waiting.result(20)
    pool.give_back(held)

    assert list((repository.factory / "trees").iterdir()) == []
