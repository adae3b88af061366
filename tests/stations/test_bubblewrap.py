"""The bubblewrap sandbox, attacked from inside: what must fail fails, what must work works."""

import ctypes
import os
import platform
import threading
import time
from pathlib import Path

import pytest

from stations.box import Box, NoSandbox, SandboxError
from stations.bubblewrap import Bubblewrap
from stations.cgroup import controllers
from stations.limits import Limits
from stations.ran import Ran
from stations.sandbox import choose, preflight
from tests.run import ROOT, end, run, start
from tests.stations.benches import bearing, left, until
from worktrees.shadow import Mount

SANDBOX = Bubblewrap()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Give a tree with one directory in scope and one outside."""
    for name in ("in/a.txt", "out/b.txt"):
        (tmp_path / "tree" / name).parent.mkdir(parents=True)
        (tmp_path / "tree" / name).write_text("text\n")
    return tmp_path / "tree"


def box(tree: Path, script: str, **more: object) -> Box:
    """Give a box in which a shell script runs with only ``in`` writable."""
    place = "/somewhere/checkout"
    mounts = (
        Mount(source=tree / "in", target=f"{place}/in", writable=True),
        Mount(source=tree, target=place),
    )
    return Box(argv=("/bin/sh", "-c", script), checkout=place, mounts=mounts, **more)  # type: ignore[arg-type]  # fields by name


def ran(tree: Path, script: str, deadline: float = 10) -> Ran:
    """Run a script in a box and give how it ended."""
    return SANDBOX.run(box(tree, script), deadline=deadline)


def test_preflight_tries_to_break_out_and_every_attempt_fails(tmp_path: Path) -> None:
    """Each named attempt was made and prevented."""
    found = preflight(SANDBOX, tmp_path / "scratch")

    assert [one for one in found if not one.ok] == []
    names = {one.name for one in found}
    assert {"write outside the scope", "remount the tree writable", "reach the network"} <= names
    assert {"create a user namespace", "read the factory's environment"} <= names
    assert "change the kernel's settings" in names
    assert len(found) == 13


def test_nothing_of_the_kernel_can_be_set(tree: Path) -> None:
    """Not one file of /proc outside the processes can be opened for writing, uid 0 or not."""
    script = "find /proc -path '/proc/[0-9]*' -prune -o -type f -writable -print; : > /proc/mtrr"

    answer = ran(tree, script)

    assert answer.out == b""
    assert not answer.good


@pytest.mark.skipif(platform.machine() != "x86_64", reason="calls the kernel by number")
def test_keys_of_the_session_stay_outside(tree: Path) -> None:
    """A key in the factory's session keyring cannot be read from inside, not by its number."""
    libc = ctypes.CDLL(None, use_errno=True)
    session = -3
    key = libc.syscall(248, b"user", b"canary", b"secret", 6, session)
    if key < 0:
        pytest.skip(f"no keys here: {os.strerror(ctypes.get_errno())}")
    read = f"ctypes.CDLL(None).syscall(250, 11, {key}, b, 9, 0)"
    script = f"python3 -c 'import ctypes; b = ctypes.create_string_buffer(9); print({read})'"

    answer = ran(tree, script)

    assert answer.out == b"-1\n", answer.text


def test_preflight_of_a_sandbox_that_does_not_contain_says_so(tmp_path: Path) -> None:
    """A launcher that leaves the host's network in is caught by the attempts that it lets in."""
    lax = tmp_path / "bwrap"
    lax.write_text('#!/bin/sh\nfirst=$1; shift\nexec bwrap "$first" --share-net "$@"\n')
    lax.chmod(0o755)

    found = preflight(Bubblewrap(program=lax), tmp_path / "scratch")

    assert "reach the host's loopback" in {one.name for one in found if not one.ok}


def test_preflight_of_a_sandbox_that_does_not_start_gives_the_fix(tmp_path: Path) -> None:
    """The finding holds the launcher's own words and what to do."""
    broken = tmp_path / "bwrap"
    broken.write_text(
        "#!/bin/sh\necho 'bwrap: setting up uid map: Permission denied' >&2; exit 1\n"
    )
    broken.chmod(0o755)

    (found,) = preflight(Bubblewrap(program=broken), tmp_path / "scratch")

    assert not found.ok
    assert "uid map" in found.detail
    assert "apparmor" in found.detail


def test_a_kind_that_is_not_here_names_the_fix() -> None:
    """Nothing is downgraded in silence."""
    assert choose("auto").name == "bubblewrap"
    with pytest.raises(NoSandbox, match="bubblewrap"):
        choose("docker")


@pytest.mark.parametrize(
    "script",
    [
        "echo x > out/b.txt",
        "echo x > new",
        "rm out/b.txt",
        "mv out/b.txt in/",
        "ln out/b.txt in/hard",
        "mv in out/in",
        "echo x > /usr/x",
        "echo x > /x",
        "echo x > /dev/x",
        "mount -o remount,bind,rw .",
        "umount in",
        "mkdir /tmp/m && mount -t tmpfs none /tmp/m",
        "unshare -U true",
        "nsenter -t 1 -m true",
        "mknod /tmp/disk b 254 0",
        "chroot /usr true",
    ],
)
def test_nothing_outside_the_scope_can_be_changed(tree: Path, script: str) -> None:
    """Each attempt fails, and the host's files are as they were."""
    result = ran(tree, script)

    assert result.code not in (0, None), result.text
    assert (tree / "out/b.txt").read_text() == "text\n"
    assert sorted(path.name for path in tree.iterdir()) == ["in", "out"]


def test_a_directory_in_scope_can_be_written_in_every_way(tree: Path) -> None:
    """In-place writes, atomic saves, renames, directories, deletions."""
    saves = "echo 1 >> in/a.txt && echo 2 > in/t && mv in/t in/a.txt"

    result = ran(tree, f"{saves} && mkdir in/d && mv in/a.txt in/d/ && cat in/d/a.txt")

    assert result.out == b"2\n"
    assert (tree / "in/d/a.txt").read_text() == "2\n"


def test_nothing_of_the_host_is_visible_but_what_was_given(tree: Path) -> None:
    """Homes, sockets, other trees and the place of the tree on the host are absent."""
    result = ran(tree, f"ls -A / /root /home /var /run {tree} /work 2>/dev/null; ls -A $HOME")

    shown = set(result.out.decode().replace("/:", "").split())
    system = {"bin", "sbin", "lib", "lib32", "lib64", "libx32", "usr", "etc", "dev", "proc", "tmp"}
    assert shown <= system | {"somewhere"}, shown


def test_there_is_no_network_but_loopback(tree: Path) -> None:
    """Only lo exists, and what listens on the host's loopback is not there."""
    result = ran(tree, "tail -n +3 /proc/net/dev | cut -d: -f1; cat /proc/net/route | tail -n +2")

    assert result.out.split() == [b"lo"]


def test_no_environment_inside_holds_our_secret(tree: Path) -> None:
    """A canary in the factory's real environment is in no /proc/*/environ and in no variable."""
    script = "cat /proc/[0-9]*/environ | tr '\\0' '\\n'; env; ps -e | wc -l"
    program = (
        "from tests.stations.test_bubblewrap import *; import sys; "
        f"r = ran(Path({str(tree)!r}), {script!r}); sys.stdout.buffer.write(r.out)"
    )

    seen = run(
        [ROOT / ".venv/bin/python", "-c", program], cwd=ROOT, env={"FACTORY_CANARY": "canary-5f2a"}
    ).out

    assert b"PATH=" in seen
    assert b"canary-5f2a" not in seen
    assert b"FACTORY_CANARY" not in seen


def test_the_launcher_shows_only_its_path(tree: Path) -> None:
    """The first process of the sandbox has nothing in its environment but PATH and PWD."""
    seen = ran(tree, "tr '\\0' '\\n' < /proc/1/environ | cut -d= -f1 | sort").out.split()

    assert set(seen) <= {b"PATH", b"PWD", b"OLDPWD"}


def test_a_daemonised_orphan_is_gone_when_the_call_is_back(tree: Path) -> None:
    """Double fork, a new session and closed pipes do not help, at the end and when stopped."""
    script = (
        "(setsid sh -c 'sleep 4711.25 & sleep 4711.25' </dev/null >/dev/null 2>&1 &) ; sleep 0.1;"
    )

    ran(tree, f"{script} exit 0")
    assert left("4711.25") == []

    stop = threading.Event()
    threading.Timer(0.3, stop.set).start()
    began = time.monotonic()
    stopped = SANDBOX.run(box(tree, f"trap '' TERM; {script} sleep 100"), deadline=60, stop=stop)

    assert stopped.ended == "stopped"
    assert time.monotonic() - began < 2.3
    assert left("4711.25") == []


def test_nothing_is_left_when_the_factory_is_killed(tree: Path) -> None:
    """After kill -9 of the process that runs a sandbox, its namespace dies with it."""
    flag = tree / "in" / "started"
    program = (
        "from tests.stations.test_bubblewrap import *; "
        f"ran(Path({str(tree)!r}), '(setsid sleep 4712.25 &); touch in/started; sleep 4712.25', 60)"
    )
    child = start([ROOT / ".venv/bin/python", "-c", program], cwd=ROOT)
    try:
        assert until(flag.exists)
        assert left("4712.25") != []
    finally:
        os.kill(child.pid, 9)

    assert until(lambda: left("4712.25") == [], 2.0)
    end(child)


def test_a_sandbox_that_starts_after_the_factory_died_runs_nothing(tree: Path) -> None:
    """A launcher that is still starting when its factory is killed never starts the program."""
    flag, late = tree / "in" / "started", tree / "launcher"
    late.write_text(
        f"#!/bin/sh\n: > {tree}/waits\n"
        "while [ $PPID = $(ps -o ppid= -p $$) ]; do sleep 0.01; done\n"
        'exec /usr/bin/bwrap "$@"\n'
    )
    late.chmod(0o700)
    program = (
        "from tests.stations.test_bubblewrap import *; "
        f"Bubblewrap(program=Path({str(late)!r})).run("
        f"box(Path({str(tree)!r}), 'touch in/started; sleep 4714.25'), deadline=60)"
    )
    child = start([ROOT / ".venv/bin/python", "-c", program], cwd=ROOT)
    try:
        assert until((tree / "waits").exists)
    finally:
        os.kill(child.pid, 9)
        child.wait()

    assert until(lambda: not bearing(str(late)) and not bearing("4714.25"), 2.0)
    assert not flag.exists()
    end(child)


def test_a_fork_bomb_is_bounded_and_ends_with_its_box(tree: Path) -> None:
    """Forks beyond the limit fail, the machine goes on, and nothing is left."""
    if controllers().pids is None and os.geteuid() == 0:
        pytest.skip("no control group may be made here, and the kernel does not count uid 0")
    script = "i=0; while [ $i -lt 300 ]; do sleep 4713.25 & i=$((i+1)); done; echo all; wait"

    result = SANDBOX.run(box(tree, script, limits=Limits(processes=50)), deadline=5)

    assert b"all" not in result.out
    assert b"fork" in result.err.lower()
    assert left("4713.25") == []


def test_a_memory_hog_fails_alone(tree: Path) -> None:
    """A process that wants more than its share gets an error or is killed."""
    limits = Limits(memory_bytes=100 * 1024 * 1024)

    result = SANDBOX.run(
        box(tree, "head -c 300000000 /dev/zero | tail -c 299999999 | wc -c", limits=limits),
        deadline=20,
    )

    assert result.out.strip() != b"299999999"


def test_disks_in_memory_are_bounded(tree: Path) -> None:
    """Neither the temporary directory, /dev/shm nor a scratch path takes more than it may."""
    fill = "for d in /tmp /dev/shm build; do head -c 400000000 /dev/zero > $d/big; done"
    script = f"{fill}; wc -c /tmp/big /dev/shm/big build/big"
    (tree / "build").mkdir()
    small = box(tree, script, tmpfs_bytes=8_000_000, scratch=("/somewhere/checkout/build",))

    counts = SANDBOX.run(small, deadline=20).out.split()[::2]

    assert int(counts[0]) <= 8_400_000
    assert int(counts[1]) <= 270_000_000
    assert int(counts[2]) <= 8_400_000
    assert list((tree / "build").iterdir()) == []


def test_a_box_that_cannot_start_is_the_machines_fault(tree: Path) -> None:
    """A launcher error is never taken for the exit code of the program."""
    broken = box(tree, "exit 0")
    missing = Box(
        argv=broken.argv,
        checkout=broken.checkout,
        mounts=(*broken.mounts, Mount(source=tree / "none", target="/x")),
    )

    with pytest.raises(SandboxError, match="did not start"):
        SANDBOX.run(missing, deadline=5)


def test_a_program_cannot_fake_a_launcher_error(tree: Path) -> None:
    """Words and exit code of bwrap from inside stay the program's own failure."""
    result = ran(tree, "echo 'bwrap: Can not mount' >&2; exit 1")

    assert result.code == 1
    assert result.err == b"bwrap: Can not mount\n"


def test_a_tree_below_the_temporary_directory_is_shown(tree: Path) -> None:
    """A checkout may itself lie where the sandbox has its own temporary directory."""
    place = "/tmp/deep/er/checkout"  # noqa: S108 - inside
    here = Box(
        argv=("/bin/sh", "-c", "cat in/a.txt; echo x > /tmp/mine; pwd"),
        checkout=place,
        mounts=(Mount(source=tree, target=place),),
    )

    assert SANDBOX.run(here, deadline=5).out.split() == [b"text", place.encode()]


def test_a_box_can_be_talked_to_and_dies_with_its_context(tree: Path) -> None:
    """Lines go in and out, and leaving the context empties the namespace."""
    with SANDBOX.open(
        box(tree, "(setsid sleep 4714.25 &); while read x; do echo $x $x; done"), deadline=20
    ) as talk:
        assert talk.send(b"hey\n")
        assert talk.line(5) == b"hey hey"

    assert left("4714.25") == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only uid 0 owns the host's device nodes")
def test_the_hosts_device_nodes_are_out_of_reach(tree: Path, tmp_path: Path) -> None:
    """An agent may close its own devices, which are whole again for the next, never the host's."""
    sandbox = Bubblewrap(nodes=tmp_path / "dev")
    before = Path("/dev/zero").stat().st_mode
    work = (
        "chmod 000 /dev/zero && ! head -c1 /dev/zero && echo x >/dev/null && head -c1 /dev/urandom"
    )

    first = sandbox.run(box(tree, work), deadline=10)
    second = sandbox.run(box(tree, "head -c1 /dev/zero"), deadline=10)

    assert (first.good, second.good) == (True, True), first.text + second.text
    assert Path("/dev/zero").stat().st_mode == before
