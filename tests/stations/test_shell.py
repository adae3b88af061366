"""Running programs: endings, limits, bounded output, nothing inherited, nobody left behind."""

import io
import os
import sys
import threading
import time
from pathlib import Path

import pytest

from stations.limits import Limits
from stations.ran import printable
from stations.shell import run, start
from tests.run import run as run_program

ENV = {"PATH": "/usr/bin:/bin"}


def sh(script: str) -> list[str]:
    """Give the argv of a shell script."""
    return ["/bin/sh", "-c", script]


def alive(marker: str) -> list[str]:
    """Give the processes whose command line holds a marker."""
    found = run_program(["pgrep", "-f", "--", marker], check=False).text.split()
    return [pid for pid in found if pid != str(os.getpid())]


def test_a_program_that_exits_gives_its_code_and_both_outputs() -> None:
    """The code, each stream and the joined tail are what the program gave."""
    ran = run(sh("echo out; echo err >&2; exit 7"), env=ENV, deadline=5)

    assert (ran.code, ran.ended, ran.out, ran.err) == (7, "exit", b"out\n", b"err\n")
    assert sorted(ran.tail.splitlines()) == [b"err", b"out"]
    assert not ran.good


def test_nothing_of_our_environment_is_inherited(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program sees the given variables and none of ours."""
    monkeypatch.setenv("FACTORY_CANARY", "secret")

    ran = run(["/usr/bin/env"], env={"ONLY": "this"}, deadline=5)

    assert ran.out == b"ONLY=this\n"


def test_no_descriptor_but_the_three_is_passed_on(tmp_path: Path) -> None:
    """An open file of ours, even an inheritable one, is closed in the program."""
    with (tmp_path / "open").open("wb") as file:
        inheritable = True
        os.set_inheritable(file.fileno(), inheritable)
        ran = run(sh("ls /proc/self/fd"), env=ENV, deadline=5)

    assert ran.out.split() == [b"0", b"1", b"2", b"3"]  # 3 is the listing itself


def test_input_larger_than_a_pipe_goes_through_while_output_is_read() -> None:
    """Neither side waits for the other for ever."""
    data = b"x" * 3_000_000

    ran = run(["/bin/cat"], env=ENV, stdin=data, deadline=20, out_bytes=len(data))

    assert ran.out == data


def test_a_program_that_does_not_read_its_input_is_no_error() -> None:
    """A closed pipe ends the sending and nothing else."""
    assert run(sh("exit 0"), env=ENV, stdin=b"y" * 1_000_000, deadline=5).good


def test_a_chatty_program_keeps_only_a_bounded_tail() -> None:
    """Memory holds the first and the last bytes, however much is written."""
    ran = run(
        sh("head -c 20000000 /dev/zero; echo end"),
        env=ENV,
        deadline=20,
        tail_bytes=100,
        out_bytes=10,
    )

    assert ran.good
    assert len(ran.tail) == 100
    assert ran.tail.endswith(b"end\n")
    assert ran.out == bytes(10)


@pytest.mark.parametrize(
    "script",
    [
        "trap '' TERM; while :; do sleep 5; done",
        "kill -STOP $$",
        "sleep 100 & sleep 100 & wait",
    ],
)
def test_the_deadline_ends_a_program_within_two_seconds(script: str) -> None:
    """Ignoring SIGTERM, being stopped or having children does not help."""
    began = time.monotonic()

    ran = run(sh(script), env=ENV, deadline=0.2)

    assert ran.ended == "deadline"
    assert ran.code is None
    assert time.monotonic() - began < 2.2


def test_silence_ends_a_program_and_output_keeps_it_going() -> None:
    """Idle time counts from the last output."""
    ran = run(
        sh("for i in 1 2 3 4; do echo $i; sleep 0.2; done; sleep 60"),
        env=ENV,
        deadline=30,
        idle=0.6,
    )

    assert ran.ended == "idle"
    assert ran.out == b"1\n2\n3\n4\n"


def test_a_stop_event_ends_a_program_at_once() -> None:
    """Setting the event from another thread is enough."""
    stop = threading.Event()
    timer = threading.Timer(0.2, stop.set)
    timer.start()

    ran = run(sh("sleep 60"), env=ENV, deadline=60, stop=stop)

    timer.join()
    assert ran.ended == "stopped"
    assert ran.seconds < 1


def test_output_to_a_file_stops_at_its_cap() -> None:
    """What would be more than the cap ends the program and is not written."""
    file = io.BytesIO()

    ran = run(
        sh("head -c 9000000 /dev/zero; sleep 60"),
        env=ENV,
        deadline=20,
        stdout_to=file,
        stdout_cap=5000,
    )

    assert ran.ended == "output"
    assert file.getvalue() == bytes(5000)


def test_the_group_of_a_program_that_exited_is_ended_too() -> None:
    """A child left in the background does not outlive the call."""
    run(sh("sleep 4242.5 & echo started"), env=ENV, deadline=10)

    assert alive("sleep 4242.5") == []


def test_limits_hold_for_the_program_and_its_children() -> None:
    """File size, open files and memory of each process are what was asked for."""
    limits = Limits(
        file_bytes=1024 * 1024, open_files=64, memory_bytes=64 * 1024 * 1024, cpu_seconds=9
    )
    script = "ulimit -f; ulimit -n; ulimit -d; ulimit -t; ulimit -c; sh -c 'ulimit -Hn'"

    ran = run(sh(script), env=ENV, deadline=5, limits=limits)

    assert ran.out.split() == [b"2048", b"64", b"65536", b"9", b"0", b"64"]


def test_a_program_over_its_memory_fails_and_the_caller_does_not() -> None:
    """An allocation past the limit is refused by the kernel."""
    limits = Limits(memory_bytes=64 * 1024 * 1024)

    ran = run(
        [sys.executable, "-I", "-S", "-c", "b'x' * 200_000_000"],
        env=ENV,
        deadline=10,
        limits=limits,
    )

    assert ran.code == 1
    assert b"MemoryError" in ran.err


def test_a_conversation_goes_line_by_line_and_ends_with_its_context() -> None:
    """Lines go both ways and leaving the context ends the program."""
    with start(sh("while read x; do echo got $x; done"), env=ENV, deadline=20) as talk:
        assert talk.send(b"one\n")
        assert talk.line(5) == b"got one"
        assert talk.send(b"two\n")
        assert talk.line(5) == b"got two"
        assert talk.line(0.05) is None
        pid = talk.pid

    assert not Path(f"/proc/{pid}").exists()


def test_text_of_hostile_bytes_is_safe_to_print() -> None:
    """Escape sequences, controls, bidi marks and broken UTF-8 do not reach a terminal."""
    text = printable(b"a\x1b[2Jb\r\nc\x00\xff\t\xe2\x80\xae")

    assert "\x1b" not in text
    assert "\x00" not in text
    assert "\u202e" not in text
    assert text.startswith("a")
    assert "b\nc" in text


def test_a_program_is_ended_when_whoever_takes_its_output_fails() -> None:
    """An error of ours leaves no process behind."""

    def full(data: bytes) -> None:
        raise OSError(28, "No space left on device", data)

    with pytest.raises(OSError, match="No space"):
        run(sh("echo x; exec sleep 4243.5"), env=ENV, deadline=60, on_output=full)

    assert alive("sleep 4243.5") == []
