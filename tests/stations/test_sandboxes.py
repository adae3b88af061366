"""What every sandbox promises, tried from inside: what must fail fails, what must work works."""

import ctypes
import os
import platform
import shlex
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from stations.box import Box, Sandbox, SandboxError
from stations.cgroup import controllers
from stations.limits import Limits
from stations.ran import Ran
from stations.sandbox import DockerOptions, choose, preflight
from tests.run import run
from tests.stations.benches import left
from tests.stations.boxes import PLACE, box, plant
from worktrees.shadow import Mount


@pytest.fixture(params=["bubblewrap", "docker"])
def sandbox(request: pytest.FixtureRequest) -> Sandbox:
    """Give each kind of sandbox in turn."""
    if request.param == "bubblewrap":
        return choose("bubblewrap")
    address: str = request.getfixturevalue("docker_engine")
    return choose("docker", docker=DockerOptions(engine=address))


docker_in_soak = pytest.mark.parametrize(
    "sandbox", ["bubblewrap", pytest.param("docker", marks=pytest.mark.soak)], indirect=True
)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Give a tree with one directory in scope and one outside."""
    return plant(tmp_path / "tree")


@contextmanager
def mounted(place: Path) -> Iterator[None]:
    """Mount a file system in memory at a place."""
    run(["mount", "-t", "tmpfs", "none", place])
    try:
        yield
    finally:
        run(["umount", "-l", place])


def ran(sandbox: Sandbox, tree: Path, script: str, deadline: float = 10) -> Ran:
    """Run a script in a box and give how it ended."""
    return sandbox.run(box(tree, script), deadline=deadline)


def test_preflight_tries_to_break_out_and_every_attempt_fails(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    """Each named attempt was made and prevented."""
    found = preflight(sandbox, tmp_path / "scratch")

    assert [one for one in found if not one.ok] == []
    names = {one.name for one in found}
    assert {"write outside the scope", "remount the tree writable", "reach the network"} <= names
    assert {"create a user namespace", "read the factory's environment"} <= names
    assert "change the kernel's settings" in names
    assert len(found) == 14


@docker_in_soak
def test_nothing_of_the_kernel_can_be_set(sandbox: Sandbox, tree: Path) -> None:
    """Not one file of /proc outside the processes, but what stands for none, can be written to."""
    script = (
        "find /proc /sys -path '/proc/[0-9]*' -prune -o -type f -writable -print | "
        "while read f; do [ -c $f ] || echo $f; done; : > /proc/mtrr"
    )

    answer = ran(sandbox, tree, script)

    assert answer.out == b""
    assert not answer.good


@pytest.mark.skipif(platform.machine() != "x86_64", reason="calls the kernel by number")
@docker_in_soak
def test_keys_of_the_session_stay_outside(sandbox: Sandbox, tree: Path) -> None:
    """A key in the factory's session keyring cannot be read from inside, not by its number."""
    libc = ctypes.CDLL(None, use_errno=True)
    session = -3
    key = libc.syscall(248, b"user", b"canary", b"secret", 6, session)
    if key < 0:
        pytest.skip(f"no keys here: {os.strerror(ctypes.get_errno())}")
    read = f"ctypes.CDLL(None).syscall(250, 11, {key}, b, 9, 0)"
    script = f"python3 -c 'import ctypes; b = ctypes.create_string_buffer(9); print({read})'"

    answer = ran(sandbox, tree, script)

    assert answer.out == b"-1\n", answer.text


ATTEMPTS = (
    "echo x > out/b.txt",
    "echo x > new",
    "rm out/b.txt",
    "mv out/b.txt in/",
    "ln out/b.txt in/hard",
    "mv in out/in",
    "echo x > /usr/x",
    "echo x > /x",
    "echo x > /dev/x",
    "echo x > /etc/passwd",
    "echo x > /sys/x",
    "mount -o remount,bind,rw .",
    "mount -o remount,rw /",
    "umount in",
    "umount /proc",
    "mkdir /tmp/m && mount -t tmpfs none /tmp/m",
    "unshare -U true",
    "nsenter -t 1 -m true",
    "mknod /tmp/disk b 254 0",
    "chroot /usr true",
)


def test_nothing_outside_the_scope_can_be_changed(sandbox: Sandbox, tree: Path) -> None:
    """Each attempt fails, and the host's files are as they were."""
    each = "".join(
        f"if sh -c {shlex.quote(attempt)}; then echo worked: {shlex.quote(attempt)}; fi\n"
        for attempt in ATTEMPTS
    )

    result = ran(sandbox, tree, each)

    assert (result.code, result.out) == (0, b""), result.text
    assert (tree / "out/b.txt").read_text() == "text\n"
    assert sorted(path.name for path in tree.iterdir()) == ["in", "out"]


def test_a_directory_in_scope_can_be_written_in_every_way(sandbox: Sandbox, tree: Path) -> None:
    """In-place writes, atomic saves, renames, directories, deletions; by the tree's own owner."""
    saves = "echo 1 >> in/a.txt && echo 2 > in/t && mv in/t in/a.txt"

    result = ran(sandbox, tree, f"{saves} && mkdir in/d && mv in/a.txt in/d/ && cat in/d/a.txt")

    assert result.out == b"2\n"
    assert (tree / "in/d/a.txt").read_text() == "2\n"
    assert (tree / "in/d/a.txt").stat().st_uid == os.geteuid()


def test_nothing_of_the_host_is_visible_but_what_was_given(sandbox: Sandbox, tree: Path) -> None:
    """Homes, sockets, other trees and the place of the tree on the host are absent."""
    places = f"/ /root /home /var /run /sys /mnt /srv {tree} /work"

    result = ran(sandbox, tree, f"ls -A {places} 2>/dev/null; ls -A $HOME")

    shown = {word for word in result.out.decode().split() if not word.endswith(":")}
    system = {"bin", "sbin", "lib", "lib32", "lib64", "libx32", "usr", "etc", "dev", "proc", "tmp"}
    assert shown <= system | {"somewhere", "sys", ".dockerenv"}, shown


@docker_in_soak
def test_there_is_no_network_but_loopback(sandbox: Sandbox, tree: Path) -> None:
    """Only lo exists, it works, and what listens on the host's loopback is not there."""
    lines = "tail -n +3 /proc/net/dev | cut -d: -f1; tail -n +2 /proc/net/route"
    works = 'import socket as s; a = s.create_server(("127.0.0.1", 0)); print(a.getsockname()[0])'

    result = ran(sandbox, tree, f"{lines}; python3 -c {shlex.quote(works)}")

    assert result.out.split() == [b"lo", b"127.0.0.1"]


def test_a_socket_of_ours_that_is_shown_can_be_spoken_to(sandbox: Sandbox, tree: Path) -> None:
    """The one door that an agent may get: a unix socket on the host, bound into its sandbox."""
    door, said = tree.parent / "door", []
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(door))
        server.listen()

        def serve() -> None:
            with server.accept()[0] as talk:
                said.append(talk.recv(10))
                talk.sendall(b"hello")

        thread = threading.Thread(target=serve)
        thread.start()
        call = (
            "import socket as s; t = s.socket(s.AF_UNIX); t.connect('/.factory/door'); "
            "t.send(b'hey'); print(t.recv(10).decode())"
        )
        shown = Mount(source=door, target="/.factory/door")

        result = sandbox.run(box(tree, f"python3 -c {shlex.quote(call)}", shown), deadline=10)
        thread.join(10)

    assert (result.out, said) == (b"hello\n", [b"hey"]), result.text


def test_the_environment_is_built_and_nothing_else(
    sandbox: Sandbox, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What our own environment holds is in no variable and in no process that can be seen."""
    monkeypatch.setenv("FACTORY_CANARY", "canary-5f2a")
    script = "cat /proc/[0-9]*/environ | tr '\\0' '\\n'; env; echo HOME=$(ls -A $HOME)."

    seen = sandbox.run(box(tree, script, env={"MINE": "this"}), deadline=10).out

    assert b"MINE=this\n" in seen
    assert b"HOME=/tmp\n" in seen
    assert b"HOME=.\n" in seen
    assert b"canary-5f2a" not in seen
    names = {line.partition(b"=")[0].decode() for line in seen.splitlines()}
    assert {name for name in names if name.lower().endswith("proxy")} == set()


def test_a_daemonised_orphan_is_gone_when_the_call_is_back(sandbox: Sandbox, tree: Path) -> None:
    """Double fork, a new session and closed pipes do not help, at the end and when stopped."""
    script = (
        "(setsid sh -c 'sleep 4711.25 & sleep 4711.25' </dev/null >/dev/null 2>&1 &) ; sleep 0.1;"
    )

    ran(sandbox, tree, f"{script} exit 0")
    assert left("4711.25") == []

    stop = threading.Event()
    threading.Timer(0.3, stop.set).start()
    began = time.monotonic()
    stopped = sandbox.run(box(tree, f"trap '' TERM; {script} sleep 100"), deadline=60, stop=stop)

    assert stopped.ended == "stopped"
    assert time.monotonic() - began < 2.3
    assert left("4711.25") == []


@docker_in_soak
def test_signals_and_orphans_are_as_a_program_expects(sandbox: Sandbox, tree: Path) -> None:
    """The program is not the first process: it can be signalled, and its orphans are taken in."""
    script = "(sleep 0.1 &); sleep 0.3; ps -e -o stat= | grep -c Z; kill -s INT $$; echo late"

    result = ran(sandbox, tree, script)

    assert (result.code, result.out) == (130, b"0\n"), result.text


def test_a_fork_bomb_is_bounded_and_ends_with_its_box(sandbox: Sandbox, tree: Path) -> None:
    """Forks beyond the limit fail, the machine goes on, and nothing is left."""
    if sandbox.name == "bubblewrap" and controllers().pids is None and os.geteuid() == 0:
        pytest.skip("no control group may be made here, and the kernel does not count uid 0")
    script = "i=0; while [ $i -lt 300 ]; do sleep 4713.25 & i=$((i+1)); done; echo all; wait"

    result = sandbox.run(box(tree, script, limits=Limits(processes=50)), deadline=5)

    assert b"all" not in result.out
    assert b"fork" in result.err.lower()
    assert left("4713.25") == []


@docker_in_soak
def test_a_memory_hog_fails_alone(sandbox: Sandbox, tree: Path) -> None:
    """A process that wants more than its share gets an error or is killed."""
    limits = Limits(memory_bytes=100 * 1024 * 1024)
    hog = "head -c 300000000 /dev/zero | tail -c 299999999 | wc -c"

    result = sandbox.run(box(tree, hog, limits=limits), deadline=20)

    assert result.out.strip() != b"299999999"


@docker_in_soak
def test_files_descriptors_and_time_are_bounded(sandbox: Sandbox, tree: Path) -> None:
    """Neither a file nor the number of open files nor the time of a processor exceeds its limit."""
    limits = Limits(file_bytes=1_048_576, open_files=64, cpu_seconds=1)
    script = "head -c 5000000 /dev/zero > in/big; ulimit -n; ulimit -c; while :; do :; done"

    result = sandbox.run(box(tree, script, limits=limits), deadline=20)

    assert (tree / "in/big").stat().st_size == 1_048_576
    assert result.out.split() == [b"64", b"0"]
    assert result.ended == "exit"
    assert result.code not in (0, None)


@docker_in_soak
def test_disks_in_memory_are_bounded(sandbox: Sandbox, tree: Path) -> None:
    """Neither the temporary directory, /dev/shm nor a scratch path takes more than it may."""
    fill = "for d in /tmp /dev/shm build; do head -c 400000000 /dev/zero > $d/big; done"
    script = f"{fill}; wc -c /tmp/big /dev/shm/big build/big"
    (tree / "build").mkdir()
    small = box(tree, script, tmpfs_bytes=8_000_000, scratch=(f"{PLACE}/build",))

    counts = sandbox.run(small, deadline=20).out.split()[::2]

    assert int(counts[0]) <= 8_400_000
    assert int(counts[1]) <= 270_000_000
    assert int(counts[2]) <= 8_400_000
    assert list((tree / "build").iterdir()) == []


@docker_in_soak
def test_programs_run_from_what_is_thrown_away(sandbox: Sandbox, tree: Path) -> None:
    """A build may start what it wrote into its temporary directory."""
    script = "printf '#!/bin/sh\\necho ran\\n' > /tmp/x; chmod +x /tmp/x; /tmp/x"

    assert ran(sandbox, tree, script).out == b"ran\n"


def test_a_box_that_cannot_start_is_the_machines_fault(sandbox: Sandbox, tree: Path) -> None:
    """A launcher error is never taken for the exit code of the program, and nothing is made."""
    nowhere = tree / "none"

    with pytest.raises(SandboxError, match="did not start"):
        sandbox.run(box(tree, "exit 0", Mount(source=nowhere, target="/x")), deadline=5)

    assert not nowhere.exists()


@docker_in_soak
def test_a_program_cannot_fake_a_launcher_error(sandbox: Sandbox, tree: Path) -> None:
    """Words and exit code of a launcher from inside stay the program's own failure."""
    result = ran(sandbox, tree, "echo 'bwrap: Can not mount' >&2; exit 125")

    assert result.code == 125
    assert result.err == b"bwrap: Can not mount\n"


@docker_in_soak
def test_a_tree_below_the_temporary_directory_is_shown(sandbox: Sandbox, tree: Path) -> None:
    """A checkout may itself lie where the sandbox has its own temporary directory."""
    place = "/tmp/deep/er/checkout"  # noqa: S108 - inside
    here = Box(
        argv=("/bin/sh", "-c", "cat in/a.txt; echo x > /tmp/mine; pwd"),
        checkout=place,
        mounts=(Mount(source=tree, target=place),),
    )

    assert sandbox.run(here, deadline=5).out.split() == [b"text", place.encode()]


def test_a_box_can_be_talked_to_and_dies_with_its_context(sandbox: Sandbox, tree: Path) -> None:
    """Lines go in and out, and leaving the context ends all of it."""
    with sandbox.open(
        box(tree, "(setsid sleep 4714.25 &); while read x; do echo $x $x; done"), deadline=20
    ) as talk:
        assert talk.send(b"hey\n")
        assert talk.line(5) == b"hey hey"
        assert talk.send(b"x" * 300_000 + b"\n")
        assert len(talk.line(5) or b"") == 600_001
        assert talk.line(0.05) is None

    assert left("4714.25") == []


def test_input_and_both_outputs_are_kept_apart_and_whole(
    sandbox: Sandbox, tree: Path, tmp_path: Path
) -> None:
    """Large input goes in while output comes out; each stream is its own, to the byte."""
    data = os.urandom(700_000)
    script = "tee in/copy | head -c 600000; cat > /dev/null; echo err >&2; exit 7"

    with (tmp_path / "out").open("wb") as out:
        result = sandbox.run(box(tree, script), stdin=data, deadline=20, stdout_to=out)

    assert (result.code, result.err) == (7, b"err\n")
    assert (tmp_path / "out").read_bytes() == data[:600_000]


@docker_in_soak
def test_a_program_without_input_reads_its_end(sandbox: Sandbox, tree: Path) -> None:
    """Nothing to read is the end of the input, not a wait for ever."""
    assert ran(sandbox, tree, "cat; echo end").out == b"end\n"


@docker_in_soak
def test_it_ends_by_deadline_silence_and_flood(sandbox: Sandbox, tree: Path) -> None:
    """Each limit is named as the reason, and output beyond the cap is not kept."""
    with (tree.parent / "out").open("wb") as out:
        flood = sandbox.run(box(tree, "yes"), deadline=20, stdout_to=out, stdout_cap=100_000)
    late = sandbox.run(box(tree, "while :; do echo; sleep 0.1; done"), deadline=0.5)
    silent = sandbox.run(box(tree, "sleep 50"), deadline=20, idle=0.3)

    assert (late.ended, silent.ended, flood.ended) == ("deadline", "idle", "output")
    assert (tree.parent / "out").stat().st_size == 100_000
    assert (late.code, silent.code, flood.code) == (None, None, None)


@pytest.mark.skipif(os.geteuid() != 0, reason="only uid 0 owns the host's device nodes")
@docker_in_soak
def test_the_hosts_device_nodes_are_out_of_reach(sandbox: Sandbox, tree: Path) -> None:
    """An agent may close its own devices, which are whole again for the next, never the host's."""
    if sandbox.name == "bubblewrap":
        sandbox = choose("bubblewrap", nodes=tree.parent / "dev")
    before = Path("/dev/zero").stat().st_mode
    script = "chmod 000 /dev/zero; echo x >/dev/null && head -c1 /dev/urandom | wc -c"

    first = ran(sandbox, tree, script)
    second = ran(sandbox, tree, "head -c1 /dev/zero")

    assert (first.good, second.good) == (True, True), first.text + second.text
    assert Path("/dev/zero").stat().st_mode == before


@pytest.mark.skipif(os.geteuid() != 0, reason="only uid 0 can mount")
@docker_in_soak
def test_what_is_mounted_below_a_directory_is_as_closed(sandbox: Sandbox, tree: Path) -> None:
    """A file system of its own below a read-only directory is shown, and is read-only too."""
    inner = tree / "out" / "in ner"
    inner.mkdir()
    with mounted(inner):
        (inner / "file").write_text("inner\n")
        result = ran(sandbox, tree, "cat out/in\\ ner/file; echo x > out/in\\ ner/new")

    assert result.out == b"inner\n", result.text
    assert not result.good
