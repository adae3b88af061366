"""Told to stop, by a person, a deadline or a kill, the factory leaves nobody and loses nothing."""

import json
import signal

import pytest

from tests.system.outside import agent_bytes, check, lost_bytes, remember
from tests.system.sites import WAITS, WRITES, Plan, make_toy, report, states, until

FOUR = ("a", "b", "c", "d")
STUBBORN = "trap '' TERM INT HUP\nwhile :; do sleep 1; done\n"
DAEMON = 'setsid sh -c "trap \'\' TERM; while :; do sleep 1; done" "$1" > /dev/null 2>&1 &\n'
HANGS = {
    "hangs": "sleep 1000\n",
    "ignores SIGTERM": STUBBORN,
    "daemonised": f"{DAEMON}sleep 1000\n",
    "stopped": "kill -STOP $$\n",
}


def test_one_ctrl_c_drains(tmp_path):
    """Running work ends and is kept, nothing more starts; the resume does each of the rest once."""
    toy = make_toy(tmp_path / "toy", Plan(jobs=FOUR, seats=2, agent=WRITES + WAITS))
    before = remember(toy)
    with toy.start() as run:
        until(lambda: len(agent_bytes(toy)) == 2, seconds=30, what="two agents work")
        run.signal(signal.SIGINT)
        until(lambda: toy.events("closing"), seconds=5, what="the Ctrl-C is on record")
        toy.open_gate()
        ran = run.wait()

    assert ran.code == 130
    assert len(toy.events("finished")) == 2
    assert {one["outcome"]["kind"] for one in toy.events("finished")} == {"done"}
    document = toy.finish()
    check(toy, before, document)
    assert set(states(document).values()) == {"landed"}
    assert [job["attempts"] for job in document["jobs"]] == [1, 1, 1, 1]


@pytest.mark.parametrize(
    "signals",
    [(signal.SIGINT, signal.SIGINT), (signal.SIGTERM,), (signal.SIGHUP,)],
    ids=["two Ctrl-C", "SIGTERM", "SIGHUP"],
)
def test_told_twice_or_politely_it_stops_at_once(signals, tmp_path):
    """All work ends within 3 s and is kept as far as it got; it can be resumed."""
    toy = make_toy(tmp_path / "toy", Plan(jobs=FOUR, seats=2, agent=WRITES + WAITS))
    before = remember(toy)
    with toy.start() as run:
        until(lambda: len(agent_bytes(toy)) == 2, seconds=30, what="two agents work")
        seen = agent_bytes(toy)
        for number in signals:
            run.signal(number)
            until(lambda: toy.events("closing"), seconds=5, what="the signal is on record")
        until(lambda: run.child.poll() is not None, seconds=3, what="it has ended")
        ran = run.wait()

    assert ran.code == 130
    assert not toy.alive()
    assert not lost_bytes(toy, seen)
    kept = toy.git("for-each-ref", "--format=%(refname)", "refs/factory/salvage").text
    assert len(kept.splitlines()) == 2
    toy.open_gate()
    document = toy.finish()
    check(toy, before, document)
    assert set(states(document).values()) == {"landed"}
    assert not lost_bytes(toy, seen)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_before_anything_was_placed_it_leaves_nothing(number, tmp_path):
    """Stopped while the base is tested, a run leaves nothing that the next one does not tidy."""
    toy = make_toy(tmp_path / "toy", Plan(check=WAITS))
    before = remember(toy)
    with toy.start() as run:
        until(lambda: any("check.sh" in line for line in toy.alive()), seconds=30, what="a test")
        run.signal(number)
        until(lambda: run.child.poll() is not None, seconds=3, what="it has ended")
        ran = run.wait()
    assert ran.code == (130 if number is signal.SIGINT else -number)
    toy.nobody_left()
    toy.open_gate()

    resumed = toy.resume()

    assert (resumed.code, report(resumed)["run"]) == (0, None)
    document = toy.finish()
    check(toy, before, document)
    assert set(states(document).values()) == {"landed"}


@pytest.mark.parametrize("name", HANGS)
def test_an_agent_that_does_not_end_is_ended(name, tmp_path):
    """Two seconds after its deadline an agent is dead, whatever it does, and its work is kept."""
    agent = f'if [ "$FACTORY_JOB" = a ]; then {WRITES}{HANGS[name]}fi\n{WRITES}'
    plan = Plan(jobs=("a", "b"), agent=agent, code='timeout = "1s"\nattempts = 1')
    toy = make_toy(tmp_path / "toy", plan)
    before = remember(toy)

    document = report(toy.run())

    check(toy, before, document)
    assert states(document) == {"a": "dead", "b": "landed"}
    assert seconds_of(toy, "a") <= 3.5  # 1 s deadline, 2 s to die, 0.5 s for seat and export
    kept = toy.git("show", f"refs/factory/salvage/{document['run']}/a:jobs/a/x.txt").text
    assert kept.startswith("made a 1")


def seconds_of(toy, job):
    """Give the time from a job's start to its end, by the ledger."""
    found = [(json.loads(body), at) for body, at in toy.rows("SELECT body, at FROM events")]
    of_job = {body["kind"]: at for body, at in found if body.get("job") == job}
    return of_job["finished"] - of_job["started"]


@pytest.mark.parametrize("options", [(), ("--no-sandbox",)], ids=["sandbox", "no sandbox"])
def test_nobody_outlives_a_killed_factory(options, tmp_path):
    """Daemons and stubborn agents are gone within 2 s of a kill -9 of the factory."""
    toy = make_toy(tmp_path / "toy", Plan(agent=f"{WRITES}{DAEMON}{STUBBORN}"))
    with toy.start("run", "--yes", "--trust", "--json", *options) as run:
        until(lambda: len(agent_bytes(toy)) == 3, seconds=30, what="three agents work")
        run.signal(signal.SIGKILL)
        run.wait()
        toy.nobody_left()


def test_a_test_run_that_hangs_is_ended_and_blamed(tmp_path):
    """A test command that does not end is ended at its deadline and counts as red."""
    check_sh = f"if grep -q ^made jobs/*/x.txt; then\n{DAEMON}{STUBBORN}fi\n"
    plan = Plan(jobs=("a",), check=check_sh, tests='timeout = "1s"')
    toy = make_toy(tmp_path / "toy", plan)
    before = remember(toy)

    document = report(toy.run())

    check(toy, before, document)
    assert states(document) == {"a": "dead"}
    assert toy.tip() == before.tip
