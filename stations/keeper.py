"""The keeper: a small process that ends what a killed factory was just starting.

A sandbox is bound to die with the factory, but not from its first instant: ``bwrap`` 0.8 whose
caller dies while it starts leaves a child that waits for ever for its parent's word (eventfd_read,
measured: 18 of 300 kills within the first 30 ms). So each launcher tells the keeper its process
group before it becomes the sandbox, and the keeper ends the groups that are left when the pipe from
the factory closes, however that came about.

A container is a child of its engine and of nobody here: the keeper has the engine remove it.
"""

import atexit
import os
import subprocess
import sys
import threading
from contextlib import suppress
from typing import Final
from urllib.parse import quote

_PROGRAM: Final = """
trap '' HUP INT TERM
held=' '
while read -r sign what; do
  case $sign in
  +) held="$held$what " ;;
  -) case $held in
     *" $what "*) held="${held%%" $what "*} ${held#*" $what "}" ;;
     esac ;;
  esac
done
containers=
for what in $held; do
  case $what in
  *'#'*) containers="$containers $what" ;;
  *) kill -s KILL -- "-$what" ;;
  esac
done
[ -z "$containers" ] || exec "$1" -I -S -c "$2" $containers
"""
# A container that is not there yet may be just being made: it is asked for again for a while.
_REMOVER: Final = """
import socket, sys, threading
from urllib.parse import unquote
def remove(word):
    engine, _, name = word.rpartition("#")
    request = f"DELETE /containers/{name}?force=1&v=1 HTTP/1.0\\r\\nHost: docker\\r\\n\\r\\n"
    for _ in range(30):
        with socket.socket(socket.AF_UNIX) as talk:
            talk.settimeout(30)
            talk.connect(unquote(engine))
            talk.sendall(request.encode())
            if b" 404 " not in talk.recv(64):
                return
        threading.Event().wait(0.1)
for word in sys.argv[1:]:
    threading.Thread(target=remove, args=(word,)).start()
"""


class Keeper:
    """The one keeper of a process: started with the first sandbox, and again should it die."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._held: set[str] = set()

    def door(self) -> str:
        """Give the path to which a launcher writes ``+ GROUP``; it is gone with this process."""
        with self._lock:
            return f"/proc/{os.getpid()}/fd/{self._pipe()}"

    def hold(self, group: int) -> None:
        """Remember a group that registers itself, should the keeper have to be started anew."""
        with self._lock:
            self._held.add(str(group))

    def release(self, group: int) -> None:
        """Forget a group; call this before its leader is reaped, while the number is still its."""
        self._forget(str(group))

    def hold_container(self, engine: str, name: str) -> None:
        """Remember a container, before it is made, by the path of its engine's socket."""
        with self._lock:
            self._pipe()
            self._held.add(_container(engine, name))
            self._say(f"+ {_container(engine, name)}\n")

    def release_container(self, engine: str, name: str) -> None:
        """Forget a container that was removed."""
        self._forget(_container(engine, name))

    def close(self) -> None:
        """End it, and with it every group that is still held."""
        with self._lock:
            if self._process is not None:
                self._process.communicate()
                self._process = None

    def _forget(self, what: str) -> None:
        with self._lock:
            self._held.discard(what)
            self._say(f"- {what}\n")

    def _pipe(self) -> int:
        if self._process is None or self._process.poll() is not None:
            if self._process is not None:
                self._process.communicate()
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", _PROGRAM, "sh", sys.executable, _REMOVER],
                env={},
                cwd="/",
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                bufsize=0,
                start_new_session=True,
            )
            for what in sorted(self._held):
                self._say(f"+ {what}\n")
        assert self._process.stdin is not None  # noqa: S101  it was asked for as a pipe
        return self._process.stdin.fileno()

    def _say(self, line: str) -> None:
        if self._process is not None and self._process.stdin is not None:
            with suppress(BrokenPipeError):  # it died: the next sandbox starts another one
                self._process.stdin.write(line.encode())


def _container(engine: str, name: str) -> str:
    return f"{quote(engine)}#{name}"


KEEPER: Final = Keeper()
"""This process's keeper; a process has one as it has one parent."""
atexit.register(KEEPER.close)
