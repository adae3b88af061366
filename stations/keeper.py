"""The keeper: a small process that ends what a killed factory was just starting.

A sandbox is bound to die with the factory, but not from its first instant: ``bwrap`` 0.8 whose
caller dies while it starts leaves a child that waits for ever for its parent's word (eventfd_read,
measured: 18 of 300 kills within the first 30 ms). So each launcher tells the keeper its process
group before it becomes the sandbox, and the keeper ends the groups that are left when the pipe from
the factory closes, however that came about.
"""

import atexit
import os
import subprocess
import threading
from contextlib import suppress
from typing import Final

_PROGRAM: Final = """
trap '' HUP INT TERM
groups=' '
while read -r sign group; do
  case $sign in
  +) groups="$groups$group " ;;
  -) case $groups in
     *" $group "*) groups="${groups%%" $group "*} ${groups#*" $group "}" ;;
     esac ;;
  esac
done
for group in $groups; do kill -s KILL -- "-$group"; done
"""


class Keeper:
    """The one keeper of a process: started with the first sandbox, and again should it die."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._groups: set[int] = set()

    def door(self) -> str:
        """Give the path to which a launcher writes ``+ GROUP``; it is gone with this process."""
        with self._lock:
            return f"/proc/{os.getpid()}/fd/{self._pipe()}"

    def hold(self, group: int) -> None:
        """Remember a group that registers itself, should the keeper have to be started anew."""
        with self._lock:
            self._groups.add(group)

    def release(self, group: int) -> None:
        """Forget a group; call this before its leader is reaped, while the number is still its."""
        with self._lock:
            self._groups.discard(group)
            self._say(f"- {group}\n")

    def close(self) -> None:
        """End it, and with it every group that is still held."""
        with self._lock:
            if self._process is not None:
                self._process.communicate()
                self._process = None

    def _pipe(self) -> int:
        if self._process is None or self._process.poll() is not None:
            if self._process is not None:
                self._process.communicate()
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", _PROGRAM],
                env={},
                cwd="/",
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                bufsize=0,
                start_new_session=True,
            )
            for group in sorted(self._groups):
                self._say(f"+ {group}\n")
        assert self._process.stdin is not None  # noqa: S101  it was asked for as a pipe
        return self._process.stdin.fileno()

    def _say(self, line: str) -> None:
        if self._process is not None and self._process.stdin is not None:
            with suppress(BrokenPipeError):  # it died: the next sandbox starts another one
                self._process.stdin.write(line.encode())


KEEPER: Final = Keeper()
"""This process's keeper; a process has one as it has one parent."""
atexit.register(KEEPER.close)
