"""The live page: an HTTP server for one person, on this machine, that only shows and passes orders.

The one door to Starlette and uvicorn. Who may come in: a browser that was given the token, by the
name of the host it was given; an order needs the page's own origin and the page's own key besides.
"""

import asyncio
import secrets
import socket
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import parse_qs, quote

from factory.complaint import Complaint
from factory.wording import masked

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from factory.show.markup import Html
    from factory.show.pages import Group
    from factory.showing import Drawn, House, Reader

PORT: Final = 8470
LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
TICK: Final = 1.0
"""Seconds between two looks at the ledger: a page changes at most so often."""
HEARTBEAT: Final = 15.0
STREAMS: Final = 32
"""Most pages that follow the ledger at once."""
_BODY: Final = 16_384
_TOKEN: Final = 32
_HTTP: Final = 80
_POLICY: Final = (
    "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none';"
    " object-src 'none'"
)
_HEADERS: Final = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    # Not `no-referrer`: with that a browser sends no origin with a form of our own.
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}

Made = TypeVar("Made")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """How one comes in: the names a browser may call the host by, the port, and the secrets.

    ``token`` is in the first address, ``session`` in the cookie that it is traded for, ``key`` in
    every form.
    """

    names: frozenset[str]
    port: int
    token: str = field(repr=False)
    session: str = field(default_factory=secrets.token_urlsafe, repr=False)
    key: str = field(default_factory=secrets.token_urlsafe, repr=False)

    @property
    def cookie(self) -> str:
        """Give the cookie's name: several servers of one host do not take each other's."""
        return f"factory-{self.port}"

    def hosts(self) -> frozenset[str]:
        """Give what a browser may say that it talks to; it leaves out the usual port."""
        shown = {f"[{name}]" if ":" in name else name for name in self.names}
        plain = shown if self.port == _HTTP else set[str]()
        return frozenset({f"{name}:{self.port}" for name in shown} | plain)

    def address(self, name: str, *, with_token: bool) -> str:
        """Give the address to open first."""
        host = f"[{name}]" if ":" in name else name
        query = f"?token={quote(self.token)}" if with_token else ""
        return f"http://{host}:{self.port}/{query}"


def token_problem(token: str) -> str | None:
    """Say what is wrong with a token that a person chose; None when it will do."""
    if len(token) < _TOKEN:
        return f"it holds {len(token)} characters, at least {_TOKEN} are needed"
    return (
        None if token.isascii() and token.isprintable() and " " not in token else "use plain ASCII"
    )


def listen(host: str, port: int | None) -> socket.socket:
    """Give a socket that listens; without a port the usual one, or any that is free."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    wanted = [PORT, 0] if port is None else [port]
    for number in wanted:
        made = socket.socket(family, socket.SOCK_STREAM)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            made.bind((host, number))
        except OSError as error:
            made.close()
            if number != wanted[-1]:
                continue
            raise Complaint(
                f"cannot listen on {host} port {number}: {error.strerror}",
                hint="take another: factory serve --port 0 finds a free one",
            ) from error
        made.listen()
        return made
    raise AssertionError(wanted)


def serve(house: "House", entry: Entry, listening: socket.socket) -> None:
    """Serve until the person ends it with Ctrl-C."""
    import uvicorn

    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="ledger") as worker:
        config = uvicorn.Config(
            application(house, entry, worker, ended=lambda: server.should_exit),
            loop="asyncio",
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=4 * STREAMS,
            timeout_graceful_shutdown=1,
            h11_max_incomplete_event_size=_BODY,
        )
        server = uvicorn.Server(config)
        try:
            server.run(sockets=[listening])
        except KeyboardInterrupt:
            return  # that is how a person ends it; everything is closed by now
        finally:
            listening.close()


def application(
    house: "House", entry: Entry, worker: ThreadPoolExecutor, *, ended: Callable[[], bool]
) -> "ASGIApp":
    """Give the whole application, its guard in front; ``worker`` is the reader's one thread."""
    from factory.showing import Reader

    rooms = _Rooms(Reader(house, entry.key), entry, worker, ended)
    return _Guard(rooms.application(), entry)


class _Guard:
    """Stands in front of everything: the host's name, the token, and the headers of each answer."""

    def __init__(self, inside: "Starlette", entry: Entry) -> None:
        self._inside = inside
        self._entry = entry
        self._hosts = entry.hosts()

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        if scope["type"] != "http":
            return

        async def guarded(message: "Message") -> None:
            if message["type"] == "http.response.start":
                given = {name for name, _ in message["headers"]}
                more = ((key.encode(), value.encode()) for key, value in _HEADERS.items())
                message["headers"] += [pair for pair in more if pair[0] not in given]
            await send(message)

        await (self._refusal(scope) or self._inside)(scope, receive, guarded)

    def _refusal(self, scope: "Scope") -> "Response | None":
        from starlette.requests import Request
        from starlette.responses import RedirectResponse

        request = Request(scope)
        if request.headers.get("host", "") not in self._hosts:
            return _said(
                "This is not the host you meant", "Open the address of factory serve.", 421
            )
        token = request.query_params.get("token")
        if token is not None and request.url.path == "/" and request.method == "GET":
            if not _same(token, self._entry.token):
                return _said(
                    "That is not the token", "Open the address of factory serve again.", 403
                )
            answer = RedirectResponse("/", status_code=303)
            answer.set_cookie(
                self._entry.cookie, self._entry.session, httponly=True, samesite="strict", path="/"
            )
            return answer
        if not _same(request.cookies.get(self._entry.cookie, ""), self._entry.session):
            said = "Open the whole address that factory serve printed, with its token."
            return _said("Who are you?", said, 403)
        if request.method not in ("GET", "HEAD") and not self._ours(request):
            return _said("An order must come from the page itself", "Reload it and try again.", 403)
        return None

    def _ours(self, request: "Request") -> bool:
        origin = request.headers.get("origin", "")
        return origin == f"http://{request.headers.get('host', '')}"


class _Rooms:
    """What there is to see, by address."""

    def __init__(
        self,
        reader: "Reader",
        entry: Entry,
        worker: ThreadPoolExecutor,
        ended: Callable[[], bool],
    ) -> None:
        self._reader = reader
        self._entry = entry
        self._worker = worker
        self._ended = ended
        self._streams = 0

    def application(self) -> "Starlette":
        """Give the routes and what errors look like."""
        from starlette.applications import Starlette
        from starlette.routing import Route

        from factory.calls import CallsError
        from factory.ledger import LedgerError

        run, job = "/run/{run}", "/run/{run}/job/{job}"
        return Starlette(
            routes=[
                Route("/", self.newest),
                Route("/runs", self.runs),
                Route("/assets/{name}", self.asset),
                Route(run, self.run),
                Route(f"{run}/live", self.run_live),
                Route(f"{run}/report", self.report),
                Route(f"{run}/apply/{{what}}", self.apply),
                Route(f"{run}/undo/{{what}}", self.undo),
                Route(f"{run}/letter", self.letter, methods=["POST"]),
                Route(job, self.job),
                Route(f"{job}/live", self.job_live),
                Route(f"{job}/kill", self.kill),
            ],
            exception_handlers={
                Complaint: _complained,
                LedgerError: _unread,
                CallsError: _unread,
                404: _nowhere,
                405: _nowhere,
            },
        )

    async def newest(self, _: "Request") -> "Response":
        """Lead to the newest run."""
        from starlette.responses import RedirectResponse

        from factory.show.pages import address

        return RedirectResponse(address(await self._ask(self._reader.newest)), status_code=303)

    async def runs(self, _: "Request") -> "Response":
        """Show all runs."""
        return _page(await self._ask(self._reader.runs_page))

    async def run(self, request: "Request") -> "Response":
        """Show a run."""
        name, group, asked = request.path_params["run"], _group(request), request.query_params
        noted, what = asked.get("noted", ""), asked.get("what", "")
        return _page(await self._ask(lambda: self._reader.run_page(name, group, noted, what)))

    async def job(self, request: "Request") -> "Response":
        """Show a job."""
        where, noted = request.path_params, request.query_params.get("noted", "")
        asked = lambda: self._reader.job_page(where["run"], where["job"], noted)  # noqa: E731
        return _page(await self._ask(asked))

    async def kill(self, request: "Request") -> "Response":
        """Ask before a job is killed."""
        where = request.path_params
        return _page(await self._ask(lambda: self._reader.kill_page(where["run"], where["job"])))

    async def apply(self, request: "Request") -> "Response":
        """Ask before an option is applied."""
        where = request.path_params
        return _page(await self._ask(lambda: self._reader.apply_page(where["run"], where["what"])))

    async def undo(self, request: "Request") -> "Response":
        """Ask before a decision is taken back."""
        where = request.path_params
        return _page(await self._ask(lambda: self._reader.undo_page(where["run"], where["what"])))

    async def report(self, request: "Request") -> "Response":
        """Give the report to keep."""
        from starlette.responses import Response

        name = request.path_params["run"]
        made = await self._ask(lambda: self._reader.report(name))
        kept = {"content-disposition": f'attachment; filename="factory-{quote(name)}.html"'}
        return Response(made, media_type="text/html", headers=kept)

    async def asset(self, request: "Request") -> "Response":
        """Give one of the files that a page loads."""
        from starlette.responses import Response

        from factory.show.assets import TYPES, read

        name = request.path_params["name"]
        if name not in TYPES:
            return await _nowhere(request, Exception())
        # A browser asks again each time and is told at once that nothing changed: no-cache.
        return Response(read(name), media_type=TYPES[name], headers={"cache-control": "no-cache"})

    async def run_live(self, request: "Request") -> "Response":
        """Follow a run."""
        name, group = request.path_params["run"], _group(request)
        return await self._stream(request, lambda: self._reader.overview(name, group))

    async def job_live(self, request: "Request") -> "Response":
        """Follow a job."""
        where = request.path_params
        return await self._stream(request, lambda: self._reader.story(where["run"], where["job"]))

    async def letter(self, request: "Request") -> "Response":
        """Take an order: the same letter that the command leaves."""
        from starlette.responses import RedirectResponse

        sent = await _form(request)
        if not _same(sent.get("key", ""), self._entry.key):
            return _said("This page is an old one", "Reload it and try again.", 403)
        run, kind = request.path_params["run"], sent.get("kind", "")
        what, text = sent.get("what", ""), sent.get("text", "")
        back = await self._ask(lambda: self._reader.post(run, kind, what, text))
        return RedirectResponse(back, status_code=303)

    async def _ask(self, what: Callable[[], Made]) -> Made:
        return await asyncio.get_running_loop().run_in_executor(self._worker, what)

    async def _stream(self, request: "Request", look: "Callable[[], Drawn]") -> "Response":
        from starlette.responses import StreamingResponse

        first = await self._ask(look)
        if self._streams >= STREAMS:
            return _said("Too many pages are open", f"At most {STREAMS} follow at once.", 503)
        known = request.headers.get("last-event-id") or request.query_params.get("after", "")
        return StreamingResponse(self._events(first, known, look), media_type="text/event-stream")

    async def _events(
        self, first: "Drawn", known: str, look: "Callable[[], Drawn]"
    ) -> AsyncIterator[str]:
        """Give the part that changes whenever it has, at most once a tick, and a sign of life."""
        self._streams += 1
        try:
            # Whoever has seen this position already needs it only when it has changed.
            sent = first.mark if known == str(first.seq) else None
            yield ": here\n\n"
            quiet = 0.0
            drawn = first
            while not self._ended():
                if drawn.mark != sent:
                    sent, quiet = drawn.mark, 0.0
                    yield event(drawn)
                elif quiet >= HEARTBEAT:
                    quiet = 0.0
                    yield ": still here\n\n"
                await asyncio.sleep(TICK)
                quiet += TICK
                drawn = await self._ask(look)
        finally:
            self._streams -= 1


def event(drawn: "Drawn") -> str:
    """Give what was drawn as a server-sent event, its id the position of the ledger."""
    lines = "".join(f"data: {line}\n" for line in drawn.html.split("\n"))
    return f"id: {drawn.seq}\n{lines}\n"


async def _form(request: "Request") -> Mapping[str, str]:
    """Give the fields of a form; one that is too long or malformed has none."""
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > _BODY:
            return {}
    try:
        fields = parse_qs(body.decode(), keep_blank_values=True, max_num_fields=8)
    except ValueError:
        return {}
    return {name: values[0] for name, values in fields.items()}


def _group(request: "Request") -> "Group":
    return "station" if request.query_params.get("group") == "station" else "job"


def _same(one: str, other: str) -> bool:
    return secrets.compare_digest(one.encode(), other.encode())


def _page(html: "Html") -> "Response":
    from starlette.responses import HTMLResponse

    return HTMLResponse(html)


def _said(title: str, said: str, status: int, *, back: str | None = None) -> "Response":
    from starlette.responses import HTMLResponse

    from factory.show.pages import message_page

    return HTMLResponse(message_page(title, said, back=back), status_code=status)


async def _nowhere(_: "Request", __: Exception) -> "Response":
    return _said("There is nothing here", "Go back to the newest run.", 404, back="/")


async def _complained(_: "Request", error: Exception) -> "Response":
    from factory.showing import NotFound

    hint = error.hint if isinstance(error, Complaint) else ""
    status = 404 if isinstance(error, NotFound) else 409
    return _said(str(error), hint or "Go back and look again.", status, back="/")


async def _unread(_: "Request", error: Exception) -> "Response":
    said = f"{masked(str(error))}; factory doctor says more"
    sys.stderr.write(f"factory serve: {said}\n")
    return _said("The ledger cannot be read now", said, 503, back="/")
