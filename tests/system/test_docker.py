"""Whole runs with docker as the sandbox: the same line, the same promises."""

import os
import signal
from pathlib import Path

import pytest

from tests.engine import answers, begun, engine, place_of
from tests.run import end, run
from tests.system.outside import check, remember
from tests.system.sites import WAITS, WRITES, Plan, living, make_toy, report, states, until
from tests.system.user import CODE, ONE, TESTS, User, job, table
from tests.system.user import states as states_of


def in_docker(address: str) -> str:
    """Give the tables of a line whose sandbox is docker."""
    return f'[sandbox.docker]\nengine = "{address}"\n'


def running(address: str) -> list[str]:
    """Give the ids of the engine's containers, running or not."""
    path = address.removeprefix("unix://")
    ask = "GET /containers/json?all=1 HTTP/1.0\r\n\r\n"
    return run(["python3", "-c", ASK, path, ask]).text.split()


ASK = """
import json, socket, sys
with socket.socket(socket.AF_UNIX) as talk:
    talk.connect(sys.argv[1])
    talk.sendall(sys.argv[2].encode())
    said = b"".join(iter(lambda: talk.recv(65536), b""))
print(*(one["Id"] for one in json.loads(said.partition(b"\\r\\n\\r\\n")[2])))
"""


def test_a_line_works_in_containers(user: User, docker_engine: str) -> None:
    """Agent, export, merge and tests each ran in one; the change landed, and none is left."""
    line = {"target": "main", "deliver": "merge", "sandbox": "docker"}
    user.configure(
        table("[sandbox.docker]", engine=docker_engine),
        CODE,
        TESTS,
        job("in", "cat /.dockerenv && id -u > a/new.txt; echo x > b/x.txt || :", scope=["a/**"]),
        line=line,
    )

    rows = user.run()

    assert states_of(rows) == {"in": "landed"}
    assert user.at("main", "b/x.txt") == "one\ntwo\nthree"
    assert user.at("main", "a/new.txt") == str(os.geteuid())
    assert running(docker_engine) == []


@pytest.mark.soak
def test_doctor_proves_docker_and_names_the_fix(user: User, docker_engine: str) -> None:
    """It is tried by breaking out of it; an engine that is gone stops the line, with what to do."""
    user.configure(table("[sandbox.docker]", engine=docker_engine), CODE, TESTS, job("in", **ONE))

    found = {
        each["name"]: each
        for each in user.document("doctor", schema="factory.doctor/1")["findings"]
    }
    gone = {"FACTORY_SANDBOX_DOCKER_ENGINE": "unix:///nowhere/s"}
    refused = user.fac("run", "--trust", "--sandbox", "docker", code=7, env=gone)

    assert found["sandbox"]["detail"].startswith("bubblewrap holds")
    assert found["sandbox docker"]["ok"]
    assert found["sandbox docker"]["detail"].startswith("docker holds")
    assert b"no docker engine listens at unix:///nowhere/s" in refused.err
    assert b"systemctl start docker" in refused.err


@pytest.mark.soak
@pytest.mark.timeout(180)
def test_an_engine_that_dies_in_mid_run_loses_no_work(tmp_path: Path) -> None:
    """Nobody works on, files are kept, and the run goes on once an engine is there again."""
    with engine() as address:
        toy = make_toy(
            tmp_path / "toy",
            Plan(
                jobs=("a", "b"),
                agent=f"echo early > jobs/$FACTORY_JOB/early.txt\n{WAITS}{WRITES}",
                line='sandbox = "docker"',
                tables=in_docker(address),
            ),
        )
        with toy.start() as started:
            early = "factory/trees/*/jobs/*/early.txt"
            until(lambda: len([*toy.common.glob(early)]) > 1, seconds=20, what="both agents wrote")
            os.kill(int((place_of(address) / "pid").read_text()), signal.SIGKILL)
            kept = "factory/runs/*/*/1/tree-*/jobs/*/early.txt"
            until(lambda: len([*toy.common.glob(kept)]) > 1, seconds=20, what="all is kept")
            until(lambda: not living("agent.sh", toy.marker), seconds=5, what="nobody works on")
            started.signal(signal.SIGINT)
            ended = started.wait()
        refused = toy.resume()

        again = begun(place_of(address), "second")
        try:
            until(lambda: answers(place_of(address) / "s"), seconds=20, what="the engine answers")
            toy.open_gate()
            resumed = toy.resume()
            left = running(address)
        finally:
            os.kill(again.pid, signal.SIGTERM)
            until(lambda: again.poll() is not None, seconds=20, what="the engine ends")
            end(again)

    assert (ended.code, refused.code) == (130, 7), ended.err
    assert b"no docker engine listens at unix://" in refused.out
    failed = [event["outcome"] for event in toy.events("finished")][:2]
    assert all("lost a container that was at work" in each["fault"] for each in failed)
    assert all("the files of the attempt are kept in" in each["fault"] for each in failed)
    assert sorted(path.parent.name for path in toy.common.glob(kept)) == ["a", "b"]
    assert states(report(resumed)) == {"a": "landed", "b": "landed"}
    assert left == []


@pytest.mark.soak
def test_what_a_killed_factory_left_is_removed(tmp_path: Path, docker_engine: str) -> None:
    """With its keeper killed too, a container lives on: `clean` names it, `resume` ends it."""
    toy = make_toy(
        tmp_path / "toy",
        Plan(
            jobs=("a",),
            agent=WAITS + WRITES,
            line='sandbox = "docker"',
            tables=in_docker(docker_engine),
        ),
    )
    before = remember(toy)
    with toy.start() as started:
        until(lambda: living(toy.marker), seconds=20, what="the agent works")
        keeper = run(["pgrep", "-P", str(started.child.pid), "sh"]).text.split()
        for pid in (*map(int, keeper), started.child.pid):
            os.kill(pid, signal.SIGKILL)
        started.child.wait()

    shown = toy.factory("clean", "--json")
    toy.open_gate()
    ran = toy.resume()

    assert len(report(shown)["containers"]) == 1
    assert b"removed the container" in ran.err
    assert states(report(ran)) == {"a": "landed"}
    assert running(docker_engine) == []
    check(toy, before, report(ran))
