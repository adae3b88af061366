"""The docker sandbox: what is its own beside what every sandbox promises."""

import gc
import io
import os
import random
import signal
import socket
import sys
import tarfile
import threading
import time
import warnings
from contextlib import closing
from pathlib import Path

import pytest

from stations.box import Box, NoSandbox, SandboxError
from stations.docker_box import REPOSITORY, RUN, Docker, connect, engine_at
from stations.limits import Limits
from stations.sandbox import DockerOptions, choose, listening, preflight
from tests.engine import engine
from tests.run import ROOT, end, run, start
from tests.stations.benches import bearing, left, until
from tests.stations.boxes import box, plant


@pytest.fixture
def sandbox(docker_engine: str, tmp_path: Path) -> Docker:
    """Give the docker sandbox of a repository."""
    return sandbox_at(docker_engine, tmp_path)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Give a tree with one directory in scope and one outside."""
    return plant(tmp_path / "tree")


def sandbox_at(address: str, repository: Path) -> Docker:
    """Give the docker sandbox of a repository on an engine."""
    found = choose("docker", docker=DockerOptions(engine=address), repository=repository)
    assert isinstance(found, Docker)
    return found


def containers(sandbox: Docker) -> dict[str, dict[str, str]]:
    """Give the labels of each container of the sandbox's repository, running or not."""
    wanted = {"label": [f"{REPOSITORY}={sandbox.labels[REPOSITORY]}"]}
    with sandbox.engine.client() as client:
        listed = client.containers(all=True, filters=wanted)
    return {one["Names"][0]: one["Labels"] for one in listed}


def test_a_container_bears_its_run_and_is_removed_with_its_context(
    sandbox: Docker, tree: Path
) -> None:
    """It can be told whose it is while it runs, and nothing of it is there after."""
    named = sandbox.of_run("run-1")

    with named.open(box(tree, "read x"), deadline=20):
        (labels,) = containers(sandbox).values()

    assert labels[RUN] == "run-1"
    assert labels[REPOSITORY] == str(tree.parent)
    assert containers(sandbox) == {}


def test_a_container_is_removed_whatever_goes_wrong(sandbox: Docker, tree: Path) -> None:
    """An error of whoever talks to it, and one before it could start, leave nothing."""
    with (
        pytest.raises(ValueError, match="ours"),
        sandbox.open(box(tree, "sleep 4721.25"), deadline=20),
    ):
        raise ValueError("ours")
    with pytest.raises(SandboxError, match="did not start"):
        sandbox.run(box(tree, "true", limits=Limits(memory_bytes=1)), deadline=5)

    assert left("4721.25") == []
    assert containers(sandbox) == {}


def test_nothing_is_left_when_the_factory_is_killed(
    sandbox: Docker, docker_engine: str, tree: Path
) -> None:
    """After kill -9 of the process that runs it, the keeper has the engine remove the container."""
    program = (
        "from tests.stations.test_docker_box import *; "
        f"sandbox_at({docker_engine!r}, Path({str(tree.parent)!r}))"
        f".run(box(Path({str(tree)!r}), 'touch in/started; sleep 4722.25'), deadline=60)"
    )
    child = start([ROOT / ".venv/bin/python", "-c", program], cwd=ROOT)
    try:
        assert until((tree / "in/started").exists)
    finally:
        os.kill(child.pid, signal.SIGKILL)

    assert until(lambda: left("4722.25") == [], 2.0)
    assert until(lambda: containers(sandbox) == {}, 2.0)
    end(child)


STORM = """
import os, random, signal, sys, threading
from tests.stations.test_docker_box import *
sandbox = sandbox_at(sys.argv[3], Path(sys.argv[4]))
dice = random.Random(int(sys.argv[1]))
for _ in range(int(sys.argv[2])):
    factory = os.fork()
    if factory == 0:
        sandbox.run(Box(argv=("/bin/sleep", sys.argv[5]), checkout="/usr"), deadline=60)
    threading.Event().wait(dice.uniform(0, 0.25))
    os.kill(factory, signal.SIGKILL)
    os.waitpid(factory, 0)
"""


def killed_while_starting(sandbox: Docker, seed: int, kills: int) -> None:
    """Kill factories at random moments while they start a container; none may be left."""
    mark = f"48{seed}.{random.Random(seed).randint(10**6, 10**7)}25"  # noqa: S311  a name
    words = [str(seed), str(kills), sandbox.engine.address, sandbox.labels[REPOSITORY], mark]

    run([sys.executable, "-c", STORM, *words], cwd=ROOT, timeout=500)

    assert until(lambda: not bearing(f"^/bin/sleep {mark}") and not containers(sandbox), 6.0)


def test_nothing_is_left_of_a_container_that_was_just_starting(sandbox: Docker) -> None:
    """Whether it was being made, made or started when the factory was killed."""
    killed_while_starting(sandbox, 1, 5)


@pytest.mark.soak
def test_nothing_is_left_after_hundreds_of_kills(sandbox: Docker) -> None:
    """The same holds for three hundred kills."""
    killed_while_starting(sandbox, 2, 300)


def test_what_is_left_is_swept_and_nobody_elses_is(
    sandbox: Docker, docker_engine: str, tree: Path
) -> None:
    """Of one repository go the containers whose process is gone, should the keeper have died too.

    One whose process lives stays, and so does one of another repository.
    """
    place = str(tree.parent)
    program = (
        "from tests.stations.test_docker_box import *; import sys; from dataclasses import replace;"
        f"one = sandbox_at({docker_engine!r}, Path(sys.argv[1]));"
        f"one.run(box(Path({str(tree)!r}), 'touch in/$0; sleep 4723.25'.replace('$0',"
        " sys.argv[2])), deadline=60)"
    )
    others = sandbox_at(docker_engine, tree.parent / "other")
    pair = [
        start([sys.executable, "-c", program, *words], cwd=ROOT)
        for words in ((place, "mine"), (others.labels[REPOSITORY], "theirs"))
    ]
    try:
        for name in ("mine", "theirs"):
            assert until((tree / "in" / name).exists), name
        with sandbox.open(box(tree, "read x"), deadline=20):
            for child in pair:  # the factory and its keeper, at once
                keeper = run(["pgrep", "-P", str(child.pid), "sh"]).text.split()
                for pid in (*map(int, keeper), child.pid):
                    os.kill(pid, signal.SIGKILL)
                child.wait()
            found = sandbox.left()

            assert len(containers(sandbox)) == 2
            assert sandbox.sweep() == found
            assert len(found) == 1
            assert len(containers(sandbox)) == 1
        assert sandbox.sweep() == ()
        assert len(containers(others)) == 1
    finally:
        others.sweep()
        for child in pair:
            end(child)
    assert left("4723.25") == []


def test_auto_takes_docker_where_bubblewrap_is_missing(docker_engine: str, tmp_path: Path) -> None:
    """Nothing is downgraded in silence: docker holds as well, and without both there is a fix."""
    empty, nowhere = str(tmp_path), f"unix://{tmp_path}/none"

    assert choose("auto").name == "bubblewrap"
    found = choose("auto", where=empty, docker=DockerOptions(engine=docker_engine))
    assert found.name == "docker"
    with pytest.raises(NoSandbox, match=r"install bubblewrap.*no docker engine.*systemctl start"):
        choose("auto", where=empty, docker=DockerOptions(engine=nowhere))
    with pytest.raises(NoSandbox, match="install bubblewrap"):
        choose("bubblewrap", where=empty, docker=DockerOptions(engine=docker_engine))


def test_an_engine_of_no_use_is_refused_by_name(docker_engine: str, tmp_path: Path) -> None:
    """An engine elsewhere, one that is none, one that is gone, an image that is not there."""
    with pytest.raises(NoSandbox, match="only an engine of this machine"):
        connect("tcp://127.0.0.1:2375")
    with pytest.raises(NoSandbox, match=r"no-such:1.*docker pull"):
        connect(docker_engine, image="no-such:1")
    with closing(socket.socket(socket.AF_UNIX)) as server:
        server.bind(str(tmp_path / "s"))
        with pytest.raises(NoSandbox, match=r"unix:///.*refused.*systemctl"):
            connect(f"unix://{tmp_path}/s")
        server.listen()
        threading.Thread(target=babble, args=(server,)).start()
        with pytest.raises(NoSandbox, match=r"nothing can run in a container"):
            connect(f"unix://{tmp_path}/s")
    assert listening(DockerOptions(engine=f"unix://{tmp_path}/none"), tmp_path) is None


def babble(server: socket.socket) -> None:
    """Answer the first call as no engine does."""
    called = False
    while not called:
        with closing(server.accept()[0]) as talk:
            called = bool(talk.recv(10_000))
            if called:
                talk.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")


def test_the_image_is_ours_and_made_once(docker_engine: str) -> None:
    """It holds links and no file, was downloaded from nowhere, and is found again."""
    first, again = connect(docker_engine), connect(docker_engine)

    assert first.image == again.image
    with first.client() as client:
        assert client.inspect_image(first.image)["Size"] < 1000


def image(address: str, name: str, *changes: str) -> None:
    """Give an engine an image of a user's own: a shell, cat, and a program where none would be."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        listed = run(["ldd", "/usr/bin/dash", "/usr/bin/cat", "/usr/bin/env"]).text.split()
        needed = {word for word in listed if word.startswith("/") and not word.endswith(":")}
        for path in {"/usr/bin/dash", "/usr/bin/cat", "/usr/bin/env", *needed}:
            tar.add(Path(path).resolve(), path)
        for link, place in (("bin", "usr/bin"), ("usr/bin/sh", "dash")):
            entry = tarfile.TarInfo(link)
            entry.type, entry.linkname = tarfile.SYMTYPE, place
            tar.addfile(entry)
        for program in ("made", "python3"):
            entry = tarfile.TarInfo(f"opt/own/bin/{program}")
            entry.mode, body = 0o755, b"#!/bin/sh\necho of the image $OWN $1\n"
            entry.size = len(body)
            tar.addfile(entry, io.BytesIO(body))
    with engine_at(address).client() as client:
        client.import_image_from_data(packed.getvalue(), repository=name, changes=list(changes))


def test_an_image_of_the_user_brings_its_own_system(docker_engine: str, tree: Path) -> None:
    """Its programs are found by name, its variables hold, the host's /usr is not there.

    A python of ours is the image's, whatever its version; verdicts are the image's own.
    """
    image(docker_engine, "own", "ENV PATH=/opt/own/bin:/usr/bin", "ENV OWN=1", "VOLUME /data")
    sandbox = Docker(engine=connect(docker_engine, image="own"))
    script = (
        "made x; echo y > /data/y && cat /data/y; echo no > /usr/n; ls /usr/share; cat in/a.txt"
    )
    words = Box(argv=("/usr/local/bin/made", "z"), checkout="/")
    python = Box(argv=("/usr/bin/python3.99", "p"), checkout="/")

    named = sandbox.run(words, deadline=10)
    assert sandbox.run(python, deadline=10).out == b"of the image 1 p\n"
    result = sandbox.run(box(tree, script), deadline=10)

    assert named.out == b"of the image 1 z\n", named.text
    assert result.out == b"of the image 1 x\ny\ntext\n", result.text
    with sandbox.engine.client() as client:
        assert client.volumes()["Volumes"] in (None, [])
        assert sandbox.stamp == client.inspect_image("own")["Id"]
    assert sandbox_at(docker_engine, tree).stamp == ""


@pytest.mark.soak
def test_a_sandbox_that_does_not_hold_is_found_out(docker_engine: str, tmp_path: Path) -> None:
    """An image in which no probe can run is no proof of anything: the finding says what to do."""
    image(docker_engine, "bare", "ENV PATH=/usr/bin")
    sandbox = Docker(engine=connect(docker_engine, image="bare"))

    found = preflight(sandbox, tmp_path / "scratch")

    assert not found[-1].ok
    assert "must hold sh, git and python3" in found[-1].detail


@pytest.mark.timeout(120)
def test_nothing_lives_on_when_the_engine_is_killed(tree: Path) -> None:
    """Its containers run without it: they are ended all the same, and the error says what to do."""
    with engine() as address:
        sandbox = sandbox_at(address, tree.parent)
        pid = int((Path(address.removeprefix("unix://")).parent / "pid").read_text())
        began = time.monotonic()

        with warnings.catch_warnings():  # docker's client forgets a socket that was refused
            warnings.simplefilter("ignore", ResourceWarning)
            with pytest.raises(SandboxError, match=r"lost a container.*refused.*factory resume"):
                lost(sandbox, tree, pid)
            assert left("4724.25") == []
            gc.collect()

        assert time.monotonic() - began < 30


def lost(sandbox: Docker, tree: Path, pid: int) -> None:
    """Kill the engine while a box runs on it."""
    script = "(setsid sleep 4724.25 </dev/null >/dev/null 2>&1 &); echo up; sleep 4724.25"
    with sandbox.open(box(tree, script), deadline=60) as talk:
        assert talk.line(10) == b"up"
        os.kill(pid, signal.SIGKILL)
        talk.wait()


@pytest.mark.soak
def test_what_it_costs() -> None:
    """One box takes less than a second, thirty at once less than twenty, and nothing is left."""
    with engine() as address:
        sandbox = sandbox_at(address, Path("/costs"))
        small = Box(argv=("/bin/true",), checkout="/usr")
        sandbox.run(small, deadline=20)
        for many, most in ((1, 1.0), (8, 6.0), (30, 20.0)):
            threads = [
                threading.Thread(target=sandbox.run, args=(small,), kwargs={"deadline": 60})
                for _ in range(many)
            ]
            began = time.monotonic()
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert time.monotonic() - began < most, many
        assert containers(sandbox) == {}
