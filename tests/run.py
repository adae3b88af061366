"""The one door through which tests start programs: pinned environment, own group, a deadline."""

import os
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.warm import Warm

ROOT = Path(__file__).resolve().parents[1]
"""The directory that holds the three packages."""


Child = subprocess.Popen[bytes]
"""A program that runs beside its test."""


class RunError(Exception):
    """A program of a test ended with another code than 0, or not in time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What a program gave: its exit code (negative: the signal) and both outputs."""

    code: int
    out: bytes
    err: bytes

    @property
    def text(self) -> str:
        """The output as stripped text."""
        return self.out.decode("utf-8", "surrogateescape").strip()


@cache
def home() -> Path:
    """Give an empty home directory of this test process."""
    return Path(tempfile.mkdtemp(prefix="factory-tests-home-"))


def environment(**more: str) -> dict[str, str]:
    """Give the pinned environment that every program of a test gets."""
    who = {
        f"GIT_{role}_{what}": value
        for role in ("AUTHOR", "COMMITTER")
        for what, value in (("NAME", "Tess Ter"), ("EMAIL", "tess@example.org"))
    }
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": str(home()),
        "LC_ALL": "C.UTF-8",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ALLOW_PROTOCOL": "file",
        "PYTHONDONTWRITEBYTECODE": "1",
        **who,
        **more,
    }


def run(
    argv: Sequence[str | bytes | Path],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: bytes = b"",
    timeout: float = 60,
    check: bool = True,
) -> Ran:
    """Run a program to its end and give what it said; ``env`` adds to the pinned environment."""
    return finished(start(argv, cwd=cwd, env=env), argv, stdin=stdin, timeout=timeout, check=check)


def command(
    words: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    timeout: float = 60,
) -> Ran:
    """Run the factory's command line to its end and give what it said, whatever its code."""
    child = Warm(words, cwd=cwd, env=environment(**env))
    return finished(child, words, timeout=timeout, check=False)


def finished(
    child: "Child | Warm",
    argv: Sequence[str | bytes | Path],
    *,
    stdin: bytes = b"",
    timeout: float,
    check: bool,
) -> Ran:
    """Wait until a started program has ended, end it when that takes too long, and give it."""
    try:
        out, err = child.communicate(stdin, timeout)
    except (subprocess.TimeoutExpired, TimeoutError) as late:
        msg = f"{argv!r} did not end in {timeout} s"
        raise RunError(msg) from late
    finally:
        end(child)
    ran = Ran(code=child.wait(), out=out, err=err)
    if check and ran.code:
        said = (err or out)[-4000:].decode(errors="backslashreplace")
        msg = f"{argv!r} ended with {ran.code}: {said}"
        raise RunError(msg)
    return ran


def start(
    argv: Sequence[str | bytes | Path],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> Child:
    """Start a program in its own process group; the caller ends it with `end`."""
    return subprocess.Popen(
        argv,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=cwd,
        env=environment(**(env or {})),
        start_new_session=True,
    )


def on_terminal(argv: Sequence[str], slave: int, *, cwd: Path, env: Mapping[str, str]) -> Child:
    """Start a program in a session of its own that reads and writes this end of a terminal."""
    return subprocess.Popen(
        argv,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        cwd=cwd,
        env=environment(**env),
        start_new_session=True,
    )


def end(child: Child | Warm) -> None:
    """Kill a program with its whole process group, when it still lives, and reap it."""
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    for pipe in (child.stdin, child.stdout, child.stderr):
        if pipe is not None:
            pipe.close()
