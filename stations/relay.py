"""Relay: the sandbox's end of the one door to a model; runs INSIDE, alone, on the stdlib only.

``relay.py SOCKET MARKER -- PROGRAM WORD...`` listens on the sandbox's own 127.0.0.1, copies what
comes there to the unix socket and back, and runs the program as its child with the address put in
place of the marker in its words and variables. It passes signals on and ends as its child ends.
"""

import contextlib
import os
import signal
import socket
import sys
import threading

_CHUNK = 65_536
_CONNECTIONS = 64
_PASSED_ON = (
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
)


def main(words: list[str]) -> int:
    """Serve until the program ended; give its exit code."""
    door, marker, _, *argv = words
    listener = socket.create_server(("127.0.0.1", 0), backlog=_CONNECTIONS)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    env = {name: value.replace(marker, url) for name, value in os.environ.items()}
    argv = [word.replace(marker, url) for word in argv]
    signal.pthread_sigmask(signal.SIG_BLOCK, _PASSED_ON)  # none is lost while there is no child
    try:
        # Python ignores the last two, which a program must not inherit.
        child = os.posix_spawn(
            argv[0], argv, env, setsigmask=(), setsigdef=(signal.SIGPIPE, signal.SIGXFSZ)
        )
    except OSError as error:
        sys.stderr.write(f"{argv[0]}: {error.strerror}\n")
        return 127
    for number in _PASSED_ON:
        signal.signal(number, lambda came, _: _send(child, came))
    _let_go()
    threading.Thread(target=_serve, args=(listener, door), daemon=True).start()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _PASSED_ON)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def _send(child: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, number)


def _let_go() -> None:
    """Hold the program's input and output no longer, so that their end is seen when it comes."""
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    os.close(nothing)


def _serve(listener: socket.socket, door: str) -> None:
    room = threading.Semaphore(_CONNECTIONS)
    while True:
        room.acquire()
        near, _ = listener.accept()
        threading.Thread(target=_connect, args=(near, door, room), daemon=True).start()


def _connect(near: socket.socket, door: str, room: threading.Semaphore) -> None:
    far = socket.socket(socket.AF_UNIX)
    with near, far:
        try:
            far.connect(door)
        except OSError as error:
            sys.stderr.write(f"relay: {door}: {error.strerror}\n")
        else:
            back = threading.Thread(target=_copy, args=(far, near), daemon=True)
            back.start()
            _copy(near, far)
            back.join()
    room.release()


def _copy(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(_CHUNK):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
    with contextlib.suppress(OSError):  # whoever wrote here hears that nobody listens any more
        source.shutdown(socket.SHUT_RD)


def _end(code: int) -> int:
    """Give an exit code, or end by the signal that ended the program."""
    if code >= 0:
        return code
    number = -code
    if number not in {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    return 128 + number


if __name__ == "__main__":
    sys.exit(_end(main(sys.argv[1:])))
