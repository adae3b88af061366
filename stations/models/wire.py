"""The wire to a provider: an httpx2 client that every wait of can be cut from another thread.

It reads no environment, follows no redirect and shows only the headers it is told to. Import this
module inside functions only: it is slow to load.
"""

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Final, Literal, Self

import httpcore2
import httpx2
from typing_extensions import override

from stations.models.asking import IDLE, LONGEST
from stations.models.values import Provider

CONNECT: Final = 10.0
MOST_BYTES: Final = 128 * 1024 * 1024
_TICK: Final = 0.05
_KEPT: Final = 60.0

Cut = Literal["", "stopped", "late", "flood"]
"""Why a call was cut: it was told to stop, it took too long, or too much came."""


class Hold:
    """A call under way in one thread; another thread may cut it, whatever it waits for."""

    def __init__(self, stop: threading.Event, *, seconds: float, most: int = MOST_BYTES) -> None:
        self.stop = stop
        self.until = time.monotonic() + seconds
        self.why: Cut = ""
        self.sent = 0
        self.received = 0
        self._most = most
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._news = threading.Event()

    def cut(self, why: Cut) -> None:
        """End what the call waits for."""
        with self._lock:
            self.why = self.why or why
            self._news.set()
            if self._socket is not None:
                with contextlib.suppress(OSError):
                    # Not its own method: that of a TLS socket would pull the state from under
                    # the thread that reads it.
                    socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def hurry(self, seconds: float) -> None:
        """Cut the call after so many seconds, or earlier."""
        self.until = min(self.until, time.monotonic() + seconds)

    def look(self, now: float) -> None:
        """Cut the call when it is time to."""
        if self.stop.is_set():
            self.cut("stopped")
        elif now >= self.until:
            self.cut("late")

    @contextmanager
    def waiting(self, on: socket.socket) -> Iterator[None]:
        """Let a wait on this socket be cut."""
        with self._lock:
            self._refuse_cut()
            self._socket = on
        try:
            yield
        finally:
            with self._lock:
                self._socket = None

    def connecting(self, connect: Callable[[], httpcore2.NetworkStream]) -> httpcore2.NetworkStream:
        """Connect in a thread of its own, because nothing can cut that."""
        with self._lock:
            self._refuse_cut()
            self._news.clear()
        made: list[httpcore2.NetworkStream] = []
        failed: list[Exception] = []

        def work() -> None:
            try:
                stream = connect()
            except Exception as error:  # noqa: BLE001 - it is raised in the thread that asked
                failed.append(error)
            else:
                with self._lock:
                    if not self.why:
                        made.append(stream)
                if not made:
                    stream.close()
            self._news.set()

        threading.Thread(target=work, name="connecting", daemon=True).start()
        self._news.wait()
        with self._lock:
            if made:
                return made[0]
        if failed:
            raise failed[0]
        raise httpcore2.ConnectError("cut")

    def count(self, received: int) -> None:
        """Count what came in, and cut a flood."""
        self.received += received
        if self.received > self._most:
            self.cut("flood")

    def _refuse_cut(self) -> None:
        if self.why:
            raise httpcore2.ReadError("cut")


class Wire:
    """A client for one provider, and the watch over its calls.

    ``dress`` may change each request before it leaves; after ``idle`` seconds without a byte a
    call is given up.
    """

    def __init__(
        self,
        provider: Provider,
        *,
        dress: Callable[[httpx2.Request], None] | None = None,
        idle: float = IDLE,
    ) -> None:
        self._lock = threading.Lock()
        self._holds: set[Hold] = set()
        self._watching = False
        self.client = httpx2.Client(
            transport=_Transport(provider),
            trust_env=False,
            follow_redirects=False,
            timeout=httpx2.Timeout(idle, connect=CONNECT),
            event_hooks={"request": [dress]} if dress is not None else None,
        )

    @contextmanager
    def hold(
        self, stop: threading.Event, *, seconds: float = LONGEST, most: int = MOST_BYTES
    ) -> Iterator[Hold]:
        """Watch over what this thread does with the client; ``stop`` cuts it soon."""
        hold = Hold(stop, seconds=seconds, most=most)
        with self._lock:
            self._holds.add(hold)
            if not self._watching:
                self._watching = True
                threading.Thread(target=self._watch, name="wire", daemon=True).start()
        before, _own.hold = _current(), hold
        try:
            yield hold
        finally:
            _own.hold = before
            with self._lock:
                self._holds.discard(hold)

    def close(self) -> None:
        """Cut what is under way and close every connection."""
        with self._lock:
            holds = list(self._holds)
        for hold in holds:
            hold.cut("stopped")
        self.client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _watch(self) -> None:
        tick = threading.Event()
        while True:
            with self._lock:
                holds = list(self._holds)
                if not holds:
                    self._watching = False
                    return
            now = time.monotonic()
            for hold in holds:
                hold.look(now)
            tick.wait(_TICK)


_own = threading.local()


def _current() -> Hold | None:
    found: Hold | None = getattr(_own, "hold", None)
    return found


class _Transport(httpx2.HTTPTransport):
    """Sends through connections that can be cut."""

    def __init__(self, provider: Provider) -> None:
        context = _context(provider)
        super().__init__(verify=context, trust_env=False)
        self._pool.close()
        self._pool = _pool(provider, context)


def _context(provider: Provider) -> ssl.SSLContext:
    if not any(
        address.startswith("https:") for address in (provider.base_url, provider.proxy or "")
    ):
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # loading certificates takes its time
    context = httpx2.create_ssl_context(trust_env=False)
    if provider.ca is not None:
        context.load_verify_locations(cafile=str(provider.ca))
    return context


def _pool(provider: Provider, context: ssl.SSLContext) -> httpcore2.ConnectionPool:
    common: dict[str, Any] = {
        "ssl_context": context,
        "max_connections": 1000,
        "max_keepalive_connections": 100,
        "keepalive_expiry": _KEPT,
        "network_backend": _Backend(),
    }
    if provider.proxy is None:
        return httpcore2.ConnectionPool(**common)
    proxy = httpx2.Proxy(provider.proxy)
    return httpcore2.HTTPProxy(
        proxy_url=httpcore2.URL(
            scheme=proxy.url.raw_scheme,
            host=proxy.url.raw_host,
            port=proxy.url.port,
            target=proxy.url.raw_path,
        ),
        proxy_auth=proxy.raw_auth,
        proxy_ssl_context=context if proxy.url.scheme == "https" else None,
        **common,
    )


class _Backend(httpcore2.NetworkBackend):
    """Connects as usual, so that the call can be cut."""

    def __init__(self) -> None:
        self._inner = httpcore2.SyncBackend()

    @override
    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.NetworkStream:
        def connect() -> httpcore2.NetworkStream:
            return self._inner.connect_tcp(host, port, timeout, local_address, socket_options)

        hold = _current()
        return _Stream(connect() if hold is None else hold.connecting(connect))


class _Stream(httpcore2.NetworkStream):
    """A connection on which the call that waits can be cut."""

    def __init__(self, inner: httpcore2.NetworkStream) -> None:
        self._inner = inner
        self._socket: socket.socket = inner.get_extra_info("socket")

    @override
    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        hold = _current()
        if hold is None:
            return self._inner.read(max_bytes, timeout)
        with hold.waiting(self._socket):
            data = self._inner.read(max_bytes, timeout)
        hold.count(len(data))
        return data

    @override
    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        hold = _current()
        if hold is None:
            self._inner.write(buffer, timeout)
            return
        with hold.waiting(self._socket):
            hold.sent += len(buffer)
            self._inner.write(buffer, timeout)

    @override
    def close(self) -> None:
        self._inner.close()

    @override
    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore2.NetworkStream:
        hold = _current()
        if hold is None:
            return _Stream(self._inner.start_tls(ssl_context, server_hostname, timeout))
        # The handshake takes the descriptor away from the socket; its twin stays.
        with self._socket.dup() as twin, hold.waiting(twin):
            return _Stream(self._inner.start_tls(ssl_context, server_hostname, timeout))

    @override
    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)
