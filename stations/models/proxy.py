"""The one door out of a sandbox for an agent with a client of its own: to its model and no further.

Each attempt has an HTTP server on a unix socket that is bound into its sandbox. A request that is
one of the model's API goes on to the provider's address with the real key put in, is paid from the
attempt's accounts and takes its turn like any other call; whatever else is refused. What the
provider answers passes through as it comes, and what it took is read on the way.
"""

import os
import re
import select
import socket
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Final, Literal

from typing_extensions import override

from stations.contract import Spend
from stations.models.caller import Caller
from stations.models.dialects import Dialect, Unfit, Wanted, countable, refused, said, wanted
from stations.models.limiter import Limiter
from stations.models.meter import Meter
from stations.models.passage import Parcel, Passage, Upstream
from stations.models.prices import Prices
from stations.models.values import ModelError, Payer, Usage

BODY_BYTES: Final = 32 * 1024 * 1024
"""The longest request that passes, as the provider has it."""
STOPS: Final[Mapping[Dialect, int]] = {"messages": 402, "responses": 400}
"""The status of a refusal for good, at which the known clients end: they try others again."""
_CONNECTIONS: Final = 32
_WAITING: Final = 128
_AT_ONCE: Final = 8
_WRITE_SECONDS: Final = 60.0
_CLOSE_SECONDS: Final = 3.0
_NEWS: Final = 1000
_QUERY: Final = re.compile(r"[A-Za-z0-9_=&.-]{0,200}")
_PASSED_UP: Final = ("accept", "anthropic-beta", "anthropic-version", "openai-beta", "user-agent")
_PASSED_DOWN: Final = ("request-id", "x-request-id")
_HEADER_LENGTH: Final = 1_000
_WORDED_BADLY: Final = frozenset({400, 413, 422})
_FOR_GOOD: Final = frozenset({"budget", "denied", "incomplete", "limited", "provider"})
_PASSING: Final = frozenset({"incomplete", "limited", "provider"})
_OLD_VERSION: Final = "2023-06-01"

NewsKind = Literal["request", "usage", "retry", "refused"]


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """Something that happened on the way, in one line for people."""

    kind: NewsKind
    text: str


@dataclass(slots=True, kw_only=True)
class Served:
    """An attempt's door while it is open; everything may be asked from any thread.

    ``fault`` is the last call that was refused for good, unless its provider answered again since;
    what the agent worded badly is none.
    """

    socket: Path
    upstreams: Mapping[Dialect, Upstream]
    payer: Payer
    meter: Meter
    limiter: Limiter
    models: frozenset[str] | None
    stop: threading.Event
    fault: ModelError | None = None
    busy_calls: int = 0
    calls: int = 0
    _news: deque[News] = field(default_factory=lambda: deque(maxlen=_NEWS))
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _room: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(_AT_ONCE))

    @property
    def busy(self) -> bool:
        """Say whether a call is under way."""
        return self.busy_calls > 0

    def usage(self) -> Usage:
        """Give the tokens of the attempt so far, as the provider counted them."""
        return self.meter.spent_by(self.payer).usage

    def spend(self) -> Spend:
        """Give what the attempt's calls cost so far."""
        return self.meter.spent_by(self.payer).spend

    def news(self) -> Iterator[News]:
        """Give what happened since the last time."""
        while True:
            with self._lock:
                if not self._news:
                    return
                one = self._news.popleft()
            yield one

    def tell(self, kind: NewsKind, text: str) -> None:
        """Note something that happened."""
        with self._lock:
            self._news.append(News(kind=kind, text=text))

    @contextmanager
    def calling(self) -> Iterator[None]:
        """Hold one of the few places for calls at once."""
        with self._room:
            with self._lock:
                self.busy_calls += 1
                self.calls += 1
            try:
                yield
            finally:
                with self._lock:
                    self.busy_calls -= 1

    def recovered(self) -> None:
        """Forget a fault that was the provider's and is over."""
        if self.fault is not None and self.fault.cause in _PASSING:
            self.fault = None

    def admits(self, model: str) -> bool:
        """Say whether a model may be asked.

        Agents ask small models for titles and summaries without saying so: one that is priced, and
        is not dearer than what the attempt may use, passes and is paid like any other.
        """
        if self.models is None or model in self.models:
            return True
        return _cheaper(self.meter.prices, model, self.models)


@contextmanager
def serve(
    *,
    upstreams: Mapping[Dialect, Upstream],
    payer: Payer,
    meter: Meter,
    limiter: Limiter,
    models: frozenset[str] | None,
    socket_at: Path,
) -> Iterator[Served]:
    """Open an attempt's door at a socket; at the end every call is over and paid.

    ``models`` are those that the agent may ask, None for all.
    """
    stop = threading.Event()
    served = Served(
        socket=socket_at,
        upstreams=upstreams,
        payer=payer,
        meter=meter,
        limiter=limiter,
        models=models,
        stop=stop,
    )
    for upstream in upstreams.values():
        upstream.warm()
    listener = _listener(socket_at)
    door = _Door(served, listener)
    try:
        door.open()
        yield served
    finally:
        stop.set()
        door.close()
        socket_at.unlink(missing_ok=True)


def _listener(at: Path) -> socket.socket:
    """Listen at a path; a long one is reached through its directory, since few bytes fit."""
    listener = socket.socket(socket.AF_UNIX)
    directory = os.open(at.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        listener.bind(f"/proc/self/fd/{directory}/{at.name}")
        at.chmod(0o600)
        listener.listen(_WAITING)
    except BaseException:
        listener.close()
        raise
    finally:
        os.close(directory)
    return listener


class _Door:
    """Takes connections; each has a thread, and all end with the door."""

    def __init__(self, served: Served, listener: socket.socket) -> None:
        self.served = served
        self._listener = listener
        self._lock = threading.Lock()
        self._connections: dict[socket.socket, threading.Thread] = {}
        self._thread = threading.Thread(target=self._accept, name="proxy", daemon=True)

    def open(self) -> None:
        self._thread.start()

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(_CLOSE_SECONDS)
        self._listener.close()
        with self._lock:
            left = dict(self._connections)
        for connection in left:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        until = time.monotonic() + _CLOSE_SECONDS
        for thread in left.values():
            thread.join(max(0.0, until - time.monotonic()))

    def _accept(self) -> None:
        while not self.served.stop.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(
                target=self._talk, args=(connection,), name="proxied", daemon=True
            )
            with self._lock:
                full = len(self._connections) >= _CONNECTIONS
                if not full:
                    self._connections[connection] = thread
            if full:
                connection.close()
            else:
                thread.start()

    def _talk(self, connection: socket.socket) -> None:
        try:
            with connection, suppress(OSError):
                _Exchange(connection, self.served)
        finally:
            with self._lock:
                del self._connections[connection]


class _Exchange(BaseHTTPRequestHandler):
    """One connection of an agent's client: hostile to the last byte."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def __init__(self, connection: socket.socket, served: Served) -> None:
        self.served = served
        super().__init__(connection, ("sandbox", 0), None)  # type: ignore[arg-type]  # no server

    @override
    def finish(self) -> None:
        for part in (self.wfile, self.rfile):  # whoever hung up cannot be told any more
            with suppress(OSError):
                part.close()

    @override
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: what counts is told otherwise."""

    @override
    def version_string(self) -> str:
        return "factory"

    @override
    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        self._refuse(code, "that is no request for a model")
        self.close_connection = True

    def do_HEAD(self) -> None:
        """Say that somebody is here."""
        self._send(200, b"")

    def do_GET(self) -> None:
        """Pass on a question about the models there are."""
        path, _, query = self.path.partition("?")
        if path != "/v1/models":
            self._refuse(404, "there is nothing but a model's API here")
            return
        self._forward("GET", path, query, dialect=next(iter(self.served.upstreams)), body=None)

    def do_POST(self) -> None:
        """Pass on a request for a reply."""
        body = self._body()
        if body is None:
            return
        path, _, query = self.path.partition("?")
        match path:
            case "/v1/messages":
                self._ask("messages", path, query, body)
            case "/v1/responses":
                self._ask("responses", path, query, body)
            case "/v1/messages/count_tokens" if "messages" in self.served.upstreams:
                self._count(path, query, body)
            case _:
                self._refuse(404, "there is nothing but a model's API here")

    def _body(self) -> bytes | None:
        length = self.headers.get("content-length", "")
        if "transfer-encoding" in self.headers or not length.isdigit():
            self.close_connection = True
            self._refuse(411, "say how long the request is")
            return None
        if int(length) > BODY_BYTES:
            self.close_connection = True
            self._refuse(413, f"a request has at most {BODY_BYTES} bytes")
            return None
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            raise ConnectionResetError
        return body

    def _ask(self, dialect: Dialect, path: str, query: str, body: bytes) -> None:
        served = self.served
        if dialect not in served.upstreams:
            self._refuse(404, "this agent's provider does not speak that dialect", dialect)
            return
        try:
            want = self._admitted(wanted(dialect, body))
        except Unfit as unfit:
            served.tell("refused", str(unfit))
            self._refuse(400, str(unfit), dialect)
            return
        upstream = served.upstreams[dialect]
        passage = Passage(
            self,
            upstream,
            dialect,
            url=upstream.url(path) + _asked(query),
            headers=self._headers_up(dialect, body=True),
            raw=want.body,
        )
        caller = Caller(
            door=passage,
            meter=served.meter,
            limiter=served.limiter,
            provider=upstream.provider,
        )
        parcel = Parcel(model=want.model, max_tokens=want.tokens_out, messages=(), raw=want.body)
        served.tell("request", f"{want.model}, {len(want.body)} bytes")
        with served.calling():
            try:
                took = caller.ask(
                    served.payer,
                    parcel,
                    stop=served.stop,
                    retried=lambda line: served.tell("retry", line),
                ).usage
            except ModelError as error:
                self._fail(error, dialect, begun=passage.begun)
                return
        served.recovered()
        served.tell("usage", f"{took.total_input} in, {took.output} out")
        passage.finish()

    def _count(self, path: str, query: str, body: bytes) -> None:
        try:
            asked = countable(body)
        except Unfit as unfit:
            self._refuse(400, str(unfit), "messages")
            return
        self._forward("POST", path, query, dialect="messages", body=asked)

    def _admitted(self, want: Wanted) -> Wanted:
        if not self.served.admits(want.model):
            known = ", ".join(sorted(self.served.models or ()))
            raise Unfit(f"model: this agent may ask {known}")
        return want

    def _fail(self, error: ModelError, dialect: Dialect, *, begun: bool) -> None:
        if error.cause in _FOR_GOOD and error.status not in _WORDED_BADLY:
            self.served.fault = error
        if begun or error.cause == "stopped":
            # The client must see that the reply broke off: it ends without its last chunk.
            self.close_connection = True
            return
        self.served.tell("refused", str(error))
        status = error.status if error.status in _WORDED_BADLY else STOPS[dialect]
        self._refuse(status, str(error), dialect)

    def _forward(
        self, method: str, path: str, query: str, *, dialect: Dialect, body: bytes | None
    ) -> None:
        """Pass on what costs nothing, once."""
        import httpx2

        served, upstream = self.served, self.served.upstreams[dialect]
        wire = upstream.wire()
        try:
            with served.calling(), wire.hold(served.stop, seconds=_WRITE_SECONDS):
                response = wire.client.request(
                    method,
                    upstream.url(path) + _asked(query),
                    content=body,
                    headers=self._headers_up(dialect, body=body is not None),
                )
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError):
            self._refuse(502, "the provider does not answer", dialect)
            return
        if response.status_code != HTTPStatus.OK:
            text = upstream.one_line(said(response.content)[0])
            bad = response.status_code in _WORDED_BADLY
            status = response.status_code if bad else STOPS[dialect]
            self._refuse(status, text or f"the provider answered {response.status_code}", dialect)
            return
        self._send(200, response.content, kind=response.headers.get("content-type", ""))

    def _headers_up(self, dialect: Dialect, *, body: bool) -> dict[str, str]:
        """Give the headers that go on, with the key in its place."""
        given = {name: self.headers.get(name, "")[:_HEADER_LENGTH] for name in _PASSED_UP}
        headers = {name: value for name, value in given.items() if value and value.isascii()}
        headers["accept-encoding"] = "identity"
        if body:
            headers["content-type"] = "application/json"
        key = self.served.upstreams[dialect].provider.key
        if dialect == "messages" and headers.get("anthropic-version", "") <= _OLD_VERSION:
            headers["x-api-key"] = key
        else:
            headers["authorization"] = f"Bearer {key}"
        return headers

    def gone(self) -> bool:
        """Say whether the client has hung up."""
        try:
            ready, _, _ = select.select([self.connection], [], [], 0)
            return bool(ready) and not self.connection.recv(1, socket.MSG_PEEK)
        except OSError:
            return True

    def begin(self, kind: str, headers: Mapping[str, str]) -> None:
        """Begin to answer with what will come piece by piece."""
        self.connection.settimeout(_WRITE_SECONDS)
        self.send_response(200)
        self.send_header("content-type", kind)
        for name in _PASSED_DOWN:
            if value := headers.get(name):
                self.send_header(name, value[:_HEADER_LENGTH])
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        self.wfile.flush()

    def piece(self, data: bytes) -> None:
        """Pass on a piece at once."""
        self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))
        self.wfile.flush()

    def end(self) -> None:
        """Say that the answer is complete."""
        self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()
        self.connection.settimeout(None)

    def _send(self, status: int, body: bytes, *, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.wfile.flush()

    def _refuse(self, status: int, message: str, dialect: Dialect | None = None) -> None:
        first: Dialect = next(iter(self.served.upstreams))
        worded = first if dialect is None else dialect
        self._send(status, refused(worded, status, f"factory: {message}"))


def _asked(query: str) -> str:
    return f"?{query}" if query and _QUERY.fullmatch(query) else ""


def _cheaper(prices: Prices, model: str, than: frozenset[str]) -> bool:
    price = prices.of(model)
    allowed = [found for one in than if (found := prices.of(one)) is not None]
    return price is not None and any(
        price.rates.input <= one.rates.input and price.rates.output <= one.rates.output
        for one in allowed
    )
