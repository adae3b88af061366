"""Agents that ask models, in containers: the same seats, toolbox, relay and proxy."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stations.bench import Bench
from stations.contract import Done, Failed
from stations.runtimes.task import Control
from stations.sandbox import DockerOptions, choose
from tests.scripted.messages import KEY, finish, text, tool
from tests.stations.benches import bearing, bench_at, until
from tests.stations.shops import EDIT, FILES, log_of, shop
from tests.stations.test_acp import REPORT, calling, log, program, turn

__all__ = ["program"]


@pytest.fixture(scope="module")
def ground(docker_engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """Give one bench whose sandbox is docker."""
    docker = choose("docker", docker=DockerOptions(engine=docker_engine))
    place = tmp_path_factory.mktemp("agents") / "repo"
    with bench_at(place, files=FILES, sandbox=docker) as made:
        yield made


def test_our_own_loop_works_in_one_container(ground: Bench) -> None:
    """Its toolbox reads, edits and runs there, all in one; what is out of scope the kernel holds.

    No key is in any environment that it can see.
    """
    look = "cat /proc/[0-9]*/environ | tr '\\0' '\\n'; hostname; test -e /.dockerenv && echo in it"
    script = [
        tool("read", {"path": "src/api/users.py"}),
        EDIT,
        tool("run", {"name": "1", "timeout_s": 20}),
        tool("run", {"name": "2", "timeout_s": 20}),
        finish("done", "Renamed it.", files=["src/api/users.py"]),
    ]
    commands = (("sh", "-c", look), ("sh", "-c", "echo x > src/core.py"))
    with shop(ground, script) as made:
        outcome = made.turn(made.spec(commands=commands), job="whole")
        asked = made.server.requests

    assert made.changed(outcome) == [b"src/api/users.py"]
    assert "return 'u'" in asked[1].answers[0]
    assert "in it" in asked[3].answers[0]
    assert KEY not in json.dumps([request.body for request in asked])
    assert "Read-only file system" in asked[4].answers[0]


def test_a_cancelled_loop_leaves_no_container_and_keeps_its_work(ground: Bench) -> None:
    """Ended from outside in the middle of a command, it is over, and what it did is kept."""
    control = Control()
    stays = ("sh", "-c", "sleep 4731.25")

    def end() -> None:
        until(lambda: bearing("^sleep 4731.25"), 20)
        control.end()

    ends = threading.Thread(target=end)
    with shop(ground, [EDIT, tool("run", {"name": "1", "timeout_s": 60})]) as made:
        ends.start()
        outcome = made.turn(made.spec(commands=(stays,)), job="cut", control=control)
        ends.join()

    assert isinstance(outcome, Failed)
    assert outcome.interrupted
    assert bearing("4731.25") == []
    assert "edit src/api/users.py" in log_of(made, "cut")
    kept = made.bench.git("for-each-ref", "refs/factory/salvage").text
    assert "/cut" in kept


def test_an_agent_of_its_own_calls_its_model_through_the_one_door(
    docker_engine: str, program: Path, tmp_path: Path
) -> None:
    """The socket is bound into the container, the relay serves its loopback, the proxy charges."""
    docker = choose("docker", docker=DockerOptions(engine=docker_engine))
    acts: list[list[Any]] = [["call"], ["edit", "src/core.py", "ONE = 11\n"], ["call"], REPORT]

    with (
        bench_at(tmp_path / "repo", sandbox=docker) as bench,
        calling(bench, lambda _: text("hello")) as (equipped, calls),
    ):
        outcome = turn(equipped, program, acts)

        assert isinstance(outcome, Done), outcome
        assert log(bench).count("model: hello") == 2
        assert len(calls) == 2
        assert outcome.spend.tokens_in == sum(call.usage.total_input for call in calls) > 0
