"""Two at once: a person and the factory on one target, two factories on one repository."""

import signal

from tests.system.outside import agent_bytes, check, landings, remember
from tests.system.sites import WAITS, WRITES, Plan, make_toy, report, states, until

WAITING_TESTS = f"if ! grep -q ^made jobs/*/x.txt; then exit 0; fi\n{WAITS}"
"""Tests that wait at the gate as soon as there is anything of an agent to test."""


def test_a_persons_commit_during_a_test_is_kept_and_tested(tmp_path):
    """A commit that comes to the target during a test stays, and the work is tested on top."""
    toy = make_toy(tmp_path / "toy", Plan(check=WAITING_TESTS))
    before = remember(toy)
    with toy.start() as run:
        until(lambda: toy.events("gate-composed"), seconds=30, what="a tree is being tested")
        old = toy.tip()
        blob = toy.git("hash-object", "-w", "--stdin", stdin=b"a person's\n").text
        listed = toy.git("ls-tree", old).text + f"\n100644 blob {blob}\tperson.txt\n"
        tree = toy.git("mktree", stdin=listed.encode()).text
        foreign = toy.git("commit-tree", tree, "-p", old, "-m", "a person's").text
        toy.git("update-ref", toy.target, foreign, old)
        toy.open_gate()
        ran = run.wait()

    document = report(ran)
    check(toy, before, document, foreign=[foreign])
    assert set(states(document).values()) == {"landed"}
    for landing in landings(toy, before):
        assert "person.txt" in toy.git("ls-tree", "--name-only", landing.commit).text


def test_a_checkout_that_gets_dirty_is_left_alone_and_lands_later(tmp_path):
    """With changes in the checked-out target nothing lands (exit 4); once clean, resume lands."""
    toy = make_toy(tmp_path / "toy", Plan(target="main", agent=WRITES + WAITS))
    before = remember(toy)
    mine = toy.path / "jobs" / "a" / "x.txt"
    with toy.start() as run:
        until(lambda: len(toy.events("started")) == 3, seconds=30, what="agents work")
        mine.write_text("a person is at work\n")
        toy.open_gate()
        ran = run.wait()

    assert ran.code == 4, ran.err.decode()
    assert str(toy.path).encode() in ran.err + ran.out
    assert toy.tip() == before.tip
    assert mine.read_text() == "a person is at work\n"
    toy.git("checkout", "--", "jobs/a/x.txt")
    document = toy.finish()
    check(toy, before, document)
    assert set(states(document).values()) == {"landed"}
    assert [job["attempts"] for job in document["jobs"]] == [1, 1, 1]


def test_a_second_factory_is_refused_and_the_first_ends_well(tmp_path):
    """While a run holds the repository another one exits 6 and names the holder."""
    toy = make_toy(tmp_path / "toy", Plan(agent=WRITES + WAITS))
    before = remember(toy)
    with toy.start() as run:
        until(lambda: toy.events("started"), seconds=30, what="the run is at work")
        second = toy.run()
        toy.open_gate()
        ran = run.wait()

    assert second.code == 6
    assert f"pid {run.child.pid}" in report(second)["error"]
    check(toy, before, report(ran))
    assert ran.code == 0


def test_the_lock_of_a_dead_factory_holds_nobody_up(tmp_path):
    """After a kill -9 another run starts at once, and the dead one's work is kept."""
    toy = make_toy(tmp_path / "toy", Plan(agent=WRITES + WAITS))
    before = remember(toy)
    with toy.start() as run:
        until(lambda: len(agent_bytes(toy)) == 3, seconds=30, what="agents work")
        run.signal(signal.SIGKILL)
        run.wait()
    toy.open_gate()

    ran = toy.run()

    document = report(ran)
    assert (ran.code, set(states(document).values())) == (0, {"landed"})
    kept = toy.git("for-each-ref", "--format=%(refname)", "refs/factory/salvage").text
    assert len(kept.splitlines()) == 3
    first = toy.events("opened")[0]["run"]
    old = report(toy.factory("resume", first, "--trust", "--json"))
    assert old["run"] == first
    check(toy, before, old)


def test_fifty_workspaces_at_once(tmp_path):
    """Fifty jobs on fifty seats all land, with nothing lost in git's worktree administration."""
    jobs = tuple(f"j{number}" for number in range(50))
    toy = make_toy(tmp_path / "toy", Plan(jobs=jobs, seats=50))
    before = remember(toy)

    ran = toy.run()

    document = report(ran)
    check(toy, before, document)
    assert list(states(document).values()) == ["landed"] * 50
    assert all(job["attempts"] == 1 for job in document["jobs"])
