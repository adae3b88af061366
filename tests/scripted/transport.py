"""The HTTP below every scripted model server: real sockets on 127.0.0.1, nothing invented."""

import json
import socket
import ssl
import struct
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Final, Self

from typing_extensions import override

STAMP: Final = "x-factory-scripted"
"""The header by which every scripted answer says that no model gave it."""
SECRET_HEADERS: Final = frozenset({"authorization", "x-api-key", "cookie", "proxy-authorization"})
_LONGEST: Final = 30.0


class UnscriptedError(AssertionError):
    """Something was asked that no script foresaw, or that the real server would have refused."""


class CutError(Exception):
    """The connection was cut on purpose."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One request as it came in; keys are blacked out."""

    method: str
    path: str
    headers: dict[str, str]
    raw: bytes = field(repr=False)

    def json(self) -> Any:
        """Give the body as JSON."""
        return json.loads(self.raw)


class Exchange(BaseHTTPRequestHandler):
    """One connection; answers go through a buffer, because unbuffered ones wait for the peer."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True
    server: "_Listener"

    @override
    def setup(self) -> None:
        super().setup()
        self.server.owner.joined(self.connection)

    @override
    def finish(self) -> None:
        with suppress(OSError):
            super().finish()
        self.server.owner.left(self.connection)

    @override
    def handle(self) -> None:
        with suppress(OSError, CutError):
            super().handle()

    @override
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: what counts is recorded."""

    @override
    def version_string(self) -> str:
        return "factory-scripted"

    def do_GET(self) -> None:
        """Answer a GET."""
        self._answer()

    def do_HEAD(self) -> None:
        """Answer a HEAD."""
        self._answer()

    def do_POST(self) -> None:
        """Answer a POST."""
        self._answer()

    def _answer(self) -> None:
        raw = self._body()
        headers = {name.lower(): value for name, value in self.headers.items()}
        secret = {name: "***" for name in headers if name in SECRET_HEADERS}
        seen = Seen(method=self.command, path=self.path, headers={**headers, **secret}, raw=raw)
        self.server.owner.take(seen, headers, self)

    def _body(self) -> bytes:
        if self.headers.get("transfer-encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("content-length", 0)))
        body = bytearray()
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return bytes(body)

    def send(
        self, status: int, body: bytes, *, kind: str = "application/json", **headers: str
    ) -> None:
        """Answer at once; an underscore in a header's name stands for a dash."""
        self._head(status, kind, headers)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.wfile.flush()

    def send_json(self, status: int, value: object, **headers: str) -> None:
        """Answer with JSON."""
        self.send(status, json.dumps(value).encode(), **headers)

    def begin_events(self, **headers: str) -> None:
        """Begin a stream of events."""
        self._head(200, "text/event-stream; charset=utf-8", headers)
        self.send_header("transfer-encoding", "chunked")
        self.send_header("cache-control", "no-cache")
        self.end_headers()

    def event(self, name: str, value: object) -> None:
        """Add an event to the stream; it leaves with the next `flush`."""
        self.write(f"event: {name}\ndata: {json.dumps(value)}\n\n".encode())

    def write(self, data: bytes) -> None:
        """Add bytes to the stream."""
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def flush(self) -> None:
        """Let everything leave that was written."""
        self.wfile.flush()

    def end_events(self) -> None:
        """End the stream as HTTP ends one."""
        self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()

    def reset(self) -> None:
        """Cut the connection hard: the other side sees a reset."""
        self.wfile.flush()
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.close_connection = True
        for holder in (self.rfile, self.wfile, self.connection):
            with suppress(OSError):
                holder.close()
        raise CutError

    def wait(self, seconds: float = _LONGEST) -> None:
        """Stay silent so long, or until the server closes."""
        if self.server.owner.closing.wait(seconds):
            self.close_connection = True
            raise CutError

    def _head(self, status: int, kind: str, headers: dict[str, str]) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header(STAMP, "1")
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)


class _Listener(ThreadingHTTPServer):
    """Takes connections; each has a thread, which ends with the server."""

    daemon_threads = True
    request_queue_size = 256
    owner: "Server"

    @override
    def handle_error(self, request: Any, client_address: Any) -> None:
        error = sys.exception()
        if not isinstance(error, OSError | CutError):
            self.owner.fault(f"the server itself failed: {error!r}")


class Server:
    """A server on 127.0.0.1 for the time of a `with`; leaving it tells of what went wrong."""

    def __init__(
        self, tls: ssl.SSLContext | None = None, exchange: type[Exchange] = Exchange
    ) -> None:
        self.closing = threading.Event()
        self.lock = threading.Lock()
        self.seen: list[Seen] = []
        self.faults: list[str] = []
        self._open: set[socket.socket] = set()
        self._listener = _Listener(("127.0.0.1", 0), exchange)
        self._listener.owner = self
        self._scheme = "http" if tls is None else "https"
        if tls is not None:
            self._listener.socket = tls.wrap_socket(
                self._listener.socket, server_side=True, do_handshake_on_connect=False
            )
        self._thread = threading.Thread(
            target=self._listener.serve_forever, args=(0.02,), name="scripted", daemon=True
        )

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"{self._scheme}://127.0.0.1:{self._listener.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.closing.set()
        self._listener.shutdown()
        self._thread.join()
        self._listener.server_close()
        with self.lock:
            left, self._open = list(self._open), set()
        for connection in left:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        if self.faults and kind is None:
            raise UnscriptedError("\n".join(self.faults))

    def take(self, seen: Seen, headers: dict[str, str], exchange: Exchange) -> None:
        """Answer a request; ``headers`` still hold the key."""
        raise NotImplementedError

    def fault(self, text: str) -> None:
        """Note what makes the test fail at the end."""
        with self.lock:
            self.faults.append(text)

    def joined(self, connection: socket.socket) -> None:
        """Note a connection that is open."""
        with self.lock:
            self._open.add(connection)

    def left(self, connection: socket.socket) -> None:
        """Forget a connection."""
        with self.lock:
            self._open.discard(connection)
