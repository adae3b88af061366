"""The relay, run as it is run in a sandbox: bytes through, and the program as if it were alone."""

import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from stations import relay
from tests.run import end, run, start

ASK = """
import socket, sys
host, port = sys.argv[1].removeprefix("http://").split(":")
with socket.create_connection((host, int(port))) as far:
    data = sys.stdin.buffer.read()
    far.sendall(data)
    far.shutdown(socket.SHUT_WR)
    while got := far.recv(65536):
        sys.stdout.buffer.write(got)
"""


@contextmanager
def echo(at: Path) -> Iterator[list[int]]:
    """Answer on a unix socket with what comes, and count the connections."""
    seen: list[int] = []

    def serve(listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                near, _ = listener.accept()
                with near:
                    seen.append(1)
                    while data := near.recv(65_536):
                        near.sendall(data)

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(at))
        listener.listen()
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        yield seen
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)


def line(door: Path, *words: str) -> list[str]:
    """Give the command line of a relay with a program."""
    return [sys.executable, "-I", "-S", relay.__file__, str(door), "{url}", "--", *words]


def test_bytes_go_through_both_ways_and_the_program_owns_its_pipes(tmp_path: Path) -> None:
    """A megabyte comes back as it was sent, over an address that only the program was told."""
    data = bytes(range(256)) * 4096

    with echo(tmp_path / "door") as seen:
        ran = run(line(tmp_path / "door", sys.executable, "-c", ASK, "{url}"), stdin=data)

    assert ran.out == data
    assert ran.err == b""
    assert seen == [1]


def test_the_address_stands_in_words_and_variables_alike(tmp_path: Path) -> None:
    """Only the marker is replaced; everything else reaches the program as it was."""
    argv = line(tmp_path / "door", "/bin/sh", "-c", 'echo "$1 $PLACE $OTHER"', "sh", "{url}/v1")

    ran = run(argv, env={"PLACE": "<{url}>", "OTHER": "{other}"})

    address, place, other = ran.text.split()
    assert address.startswith("http://127.0.0.1:")
    assert place == f"<{address.removesuffix('/v1')}>"
    assert other == "{other}"


def test_it_ends_as_its_program_ends(tmp_path: Path) -> None:
    """Exit codes, deaths by signal and a program that is not there are told on as they are."""
    door = tmp_path / "door"

    codes = [
        run(line(door, "/bin/sh", "-c", script), check=False).code
        for script in ("exit 0", "exit 7", "kill -9 $$", "kill -TERM $$")
    ]

    assert codes == [0, 7, -signal.SIGKILL, -signal.SIGTERM]
    missing = run(line(door, "/nowhere/agent"), check=False)
    assert missing.code == 127
    assert b"/nowhere/agent: No such file or directory" in missing.err


def test_signals_reach_the_program(tmp_path: Path) -> None:
    """A signal to the relay is the program's to answer."""
    script = "trap 'echo told; exit 3' TERM; echo ready; while :; do sleep 0.02; done"
    child = start(line(tmp_path / "door", "/bin/sh", "-c", script))
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"

        child.send_signal(signal.SIGTERM)

        assert child.stdout.readline() == b"told\n"
        assert child.wait(10) == 3
    finally:
        end(child)


def test_an_output_that_the_program_closed_is_seen_to_be_closed(tmp_path: Path) -> None:
    """The relay holds neither end of the program's pipes."""
    child = start(line(tmp_path / "door", "/bin/sh", "-c", "exec >&-; exec sleep 60"))
    try:
        assert child.stdout is not None
        assert child.stdout.read() == b""
    finally:
        end(child)


def test_a_door_that_is_not_there_is_named_and_ends_the_connection(tmp_path: Path) -> None:
    """The program sees its connection end; people see why."""
    door = tmp_path / "nowhere"

    ran = run(line(door, sys.executable, "-c", ASK, "{url}"), stdin=b"hello", check=False)

    assert ran.out == b""
    assert f"relay: {door}: No such file or directory" in ran.err.decode()
