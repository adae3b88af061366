"""The desk: takes a request, asks GitHub's schemas, lets a route answer, and asks them again."""

import hashlib
import json
import threading
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NoReturn, TypeGuard
from urllib.parse import parse_qsl, urlencode, urlsplit

from typing_extensions import override

from tests.forge import git_http
from tests.forge.action_routes import LOGS
from tests.forge.ask import Answer, Ask, Reply
from tests.forge.faults import Fault, Faults
from tests.forge.graph import Graph
from tests.forge.life import Life
from tests.forge.merging import settle
from tests.forge.oracle import request_mistakes, response_mistakes
from tests.forge.refusal import RefusedError
from tests.forge.routes import Met, meet
from tests.forge.shapes import Json
from tests.forge.tokens import allowed, speaker
from tests.forge.world import Clock, Token
from tests.scripted.transport import Exchange, Seen, Server

API: Final = "/api/v3"
_GRAPH: Final = "/api/graphql"
_MOST: Final = 100
_PAGE: Final = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Logged:
    """One request as it was answered; ``status`` 0 is a connection that was dropped."""

    method: str
    template: str
    path: str
    query: Mapping[str, str]
    body: Any
    login: str
    status: int
    applied: bool
    fault: str | None

    @property
    def writes(self) -> bool:
        """Say whether it asked to change something."""
        if self.template == _GRAPH:
            return "mutation" in (self.body or {}).get("query", "")
        return self.method != "GET" and not self.template.endswith("/git-upload-pack")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sent:
    """What goes out."""

    status: int
    body: bytes
    kind: str
    headers: Mapping[str, str]


_NO_JSON: Final = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Call:
    """What came in for the API."""

    path: str
    query: dict[str, str]
    body: Any
    headers: Mapping[str, str]


class _Exchange(Exchange):
    """A connection that knows all of the API's verbs."""

    @override
    def version_string(self) -> str:
        return "github.com"

    do_PATCH = do_PUT = do_DELETE = Exchange.do_POST  # noqa: N815 - the names http.server calls


class Desk(Server):
    """Serves the API, GraphQL, the logs of jobs, and git."""

    def __init__(self, place: Path, clock: Clock) -> None:
        super().__init__(exchange=_Exchange)
        self.state = threading.RLock()
        self.life = Life(self.url, place, clock)
        self.log: list[Logged] = []
        self.planned = Faults()
        self._graph = Graph(self.life)

    @override
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for left in self.planned.left():
            self.fault(f"no request met the fault {left}")
        if error is not None and self.faults:
            error.add_note("The hub has more to say:\n" + "\n".join(self.faults))
        super().__exit__(kind, error, trace)

    def settle(self) -> None:
        """Let what waits for checks and reviews go on."""
        for repo in self.life.repos.values():
            settle(self.life, repo)

    @override
    def take(self, seen: Seen, headers: dict[str, str], exchange: Exchange) -> None:
        parts = urlsplit(seen.path)
        git = git_http.asked(seen.method, parts.path, parts.query, headers, seen.raw)
        if git is not None:
            self._take_git(git, parts.path, exchange)
        elif parts.path.startswith(LOGS):
            self._take_log(parts.path, exchange)
        else:
            self._take_call(seen, headers, exchange)

    def _take_git(self, git: git_http.Asked, path: str, exchange: Exchange) -> None:
        template = f"/{{owner}}/{{repo}}.git{git.service}"
        fault = self._struck(git.method, exchange, template, path)
        token: Token | None = None
        applied = False
        try:
            if _instead(fault):
                _refuse(fault.status, "git is out of order")
            repo, token = git_http.admit(self.life, git)
            if git.changes:
                with self.state:
                    answered = git_http.push(self.life, git, repo, token)
                    self.settle()
                applied = True
            else:
                answered = git_http.serve(git, repo, token)
            sent = _Sent(
                status=answered.status,
                body=answered.body,
                kind=answered.kind,
                headers=answered.headers,
            )
        except RefusedError as refused:
            sent = _Sent(
                status=refused.status,
                body=refused.message.encode(),
                kind="text/plain",
                headers=refused.headers,
            )
        note = Logged(
            method=git.method,
            template=template,
            path=path,
            query=dict(parse_qsl(git.query)),
            body=None,
            login="" if token is None else token.login,
            status=sent.status,
            applied=applied,
            fault=None if fault is None else fault.kind,
        )
        self._finish(exchange, note, sent, fault)

    def _take_log(self, path: str, exchange: Exchange) -> None:
        number = int(path.removeprefix(LOGS))
        for repo in self.life.repos.values():
            run = repo.runs.get(number)
            if run is not None and run.log is not None:
                exchange.send(200, run.log.encode(), kind="text/plain; charset=utf-8")
                return
        self.fault(f"{path} is asked for, where no log is")
        exchange.send(404, b"", kind="text/plain")

    def _take_call(self, seen: Seen, headers: dict[str, str], exchange: Exchange) -> None:
        parts = urlsplit(seen.path)
        path = parts.path.removeprefix(API)
        method = "GET" if seen.method == "HEAD" else seen.method
        met = meet(method, path) if parts.path.startswith(f"{API}/") else None
        graph = parts.path == _GRAPH and method == "POST"
        template = _GRAPH if graph else path if met is None else met.route.template
        fault = self._struck(method, exchange, template, path)
        call = _Call(
            path=path,
            query=dict(parse_qsl(parts.query, keep_blank_values=True)),
            body=_loaded(seen.raw),
            headers=headers,
        )
        token, applied = None, False
        try:
            if _instead(fault):
                sent = self._failed(fault)
            else:
                token = self._welcomed(call)
                if graph:
                    sent = self._graph_answer(token, call.body)
                elif met is None:
                    sent = self._unknown(f"{seen.method} {parts.path}")
                else:
                    sent = self._answer(met, call, token)
                applied = sent.status < 400
        except RefusedError as refused:
            sent = self._refusal(refused, token)
            if met is not None:
                self._judge(met, refused.status, json.loads(sent.body))
        except Exception as error:  # noqa: BLE001 - a mistake of the hub must not look like GitHub
            self.fault(f"{method} {path}: {''.join(traceback.format_exception(error))}")
            sent = self._refusal(RefusedError(500, "Server Error"), token)
        note = Logged(
            method=method,
            template=template,
            path=path,
            query=call.query,
            body=None if call.body is _NO_JSON else call.body,
            login="" if token is None else token.login,
            status=sent.status,
            applied=applied,
            fault=None if fault is None else fault.kind,
        )
        self._finish(exchange, note, sent, fault)

    def _welcomed(self, call: _Call) -> Token | None:
        if call.body is _NO_JSON:
            self.fault(f"{call.path}: the body is not JSON")
            raise RefusedError(400, "Problems parsing JSON")
        if "user-agent" not in call.headers:
            raise RefusedError(403, "Request forbidden: make sure it has a User-Agent header.")
        return speaker(self.life, call.headers.get("authorization", ""))

    def _unknown(self, what: str) -> _Sent:
        self.fault(f"nothing serves {what}")
        return self._refusal(RefusedError(404, "Not Found"), None)

    def _answer(self, met: Met, call: _Call, token: Token | None) -> _Sent:
        resource = "search" if met.route.template.startswith("/search") else "core"
        key = met.route.key
        if wrong := request_mistakes(key, call.query, call.body):
            self.fault(f"{key}: the request is not GitHub's: {'; '.join(wrong)}")
            raise RefusedError(422, "Validation Failed", wrong)
        with self.state:
            self.life.meter.demand(token, resource)
            ask = Ask(
                life=self.life,
                params=met.params,
                query=call.query,
                body=call.body,
                token=token,
                accept=call.headers.get("accept", ""),
            )
            self._admit(ask, met)
            answer = met.route.handler(ask)
            if met.route.method != "GET":
                self.settle()
            reply = _paged(answer, call.query, f"{self.url}{API}{call.path}")
        self._judge(met, reply.status, reply.value, text=reply.text is not None)
        data = b"" if reply.value is None else json.dumps(reply.value).encode()
        kind = "application/json; charset=utf-8"
        if reply.text is not None:
            data, kind = reply.text, "text/plain; charset=utf-8"
        status, more = reply.status, dict(reply.headers)
        if met.route.method == "GET" and status == 200:
            more["etag"] = f'W/"{hashlib.sha256(data).hexdigest()}"'
            if call.headers.get("if-none-match") == more["etag"]:
                status, data = 304, b""
        if status != 304:
            self.life.meter.charge(token, resource)
        more |= self.life.meter.headers(token, resource)
        return _Sent(status=status, body=data, kind=kind, headers=more)

    def _admit(self, ask: Ask, met: Met) -> None:
        route = met.route
        if "repo" in met.params and not (ask.token is not None and not ask.token.login):
            repo = ask.repo
            if ask.token is None and route.method != "GET":
                raise RefusedError(401, "Requires authentication")
            if not allowed(ask.token, route.needs):
                raise RefusedError(403, "Resource not accessible by integration")
            if not repo.may(ask.login, route.level):
                ask.must(route.level)

    def _graph_answer(self, token: Token | None, body: Any) -> _Sent:
        if token is None:
            raise RefusedError(401, "This endpoint requires you to be authenticated.")
        with self.state:
            self.life.meter.demand(token, "graphql")
            value, wrong = self._graph.answer(token, body)
            self.settle()
        if wrong:
            self.fault(f"GraphQL: {wrong}")
        self.life.meter.charge(token, "graphql")
        headers = self.life.meter.headers(token, "graphql")
        data = json.dumps(value).encode()
        return _Sent(status=200, body=data, kind="application/json; charset=utf-8", headers=headers)

    def _judge(self, met: Met, status: int, value: Any, *, text: bool = False) -> None:
        if not text and (wrong := response_mistakes(met.route.key, status, value)):
            self.fault(f"{met.route.key}: the answer {status} is not GitHub's: {'; '.join(wrong)}")

    def _refusal(self, refused: RefusedError, token: Token | None) -> _Sent:
        value: Json = {"message": refused.message, "documentation_url": f"{self.url}/docs"}
        if refused.errors:
            value["errors"] = refused.errors
        value["status"] = str(refused.status)
        headers = {**self.life.meter.headers(token, "core"), **refused.headers}
        return _Sent(
            status=refused.status,
            body=json.dumps(value).encode(),
            kind="application/json; charset=utf-8",
            headers=headers,
        )

    def _struck(self, method: str, exchange: Exchange, *names: str) -> Fault | None:
        fault = self.planned.due(method, *names)
        if fault is None:
            return None
        if fault.kind == "delay":
            exchange.wait(fault.seconds)
            return None
        return fault

    def _failed(self, fault: Fault) -> _Sent:
        about = f"{self.url}/docs/rate-limits#about-secondary-rate-limits"
        headers = self.life.meter.headers(None, "core")
        match fault.kind:
            case "primary":
                reset = str(int(time.time() + fault.seconds))
                headers |= {"x-ratelimit-remaining": "0", "x-ratelimit-reset": reset}
                value: object = {
                    "message": "API rate limit exceeded for user ID 1.",
                    "documentation_url": about.partition("#")[0],
                }
                status = 403
            case "secondary":
                headers["retry-after"] = str(int(fault.seconds))
                value = {
                    "message": "You have exceeded a secondary rate limit. Please wait a moment.",
                    "documentation_url": about,
                }
                status = fault.status
            case _:
                value, status = fault.body, fault.status
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        return _Sent(
            status=status,
            body=body,
            kind="application/json; charset=utf-8",
            headers={**headers, **fault.headers},
        )

    def _finish(self, exchange: Exchange, note: Logged, sent: _Sent, fault: Fault | None) -> None:
        kind = None if fault is None else fault.kind
        dropped = kind in {"drop", "applied-then-drop"}
        if kind == "applied-then-502":
            sent = _Sent(status=502, body=b"{}", kind="application/json", headers={})
        status = 0 if dropped else sent.status
        with self.lock:
            self.log.append(replace(note, status=status))
            number = len(self.log)
        if dropped:
            exchange.reset()
        headers = {**sent.headers, "x-github-request-id": f"{number:04X}:1:1:1:1"}
        exchange.send(sent.status, sent.body, kind=sent.kind, **headers)


def _instead(fault: Fault | None) -> TypeGuard[Fault]:
    """Say whether the fault comes instead of what was asked."""
    return fault is not None and not fault.kind.startswith("applied")


def _refuse(status: int, message: str) -> NoReturn:
    raise RefusedError(status, message)


def _loaded(raw: bytes) -> Any:
    try:
        return json.loads(raw) if raw else None
    except ValueError:
        return _NO_JSON


def _paged(answer: Answer, query: Mapping[str, str], address: str) -> Reply:
    """Show the page that a query asks for, and say where the others are."""
    if isinstance(answer, Reply):
        return answer
    size = min(_MOST, max(1, int(query.get("per_page", _PAGE))))
    page = max(1, int(query.get("page", 1)))
    last = max(1, -(-len(answer.items) // size))
    shown = [answer.show(item) for item in answer.items[(page - 1) * size : page * size]]
    pages = {"prev": page - 1, "next": page + 1, "last": last, "first": 1}
    links = [
        f'<{address}?{urlencode({**query, "page": number})}>; rel="{name}"'
        for name, number in pages.items()
        if (name in {"next", "last"} and page < last) or (name in {"prev", "first"} and page > 1)
    ]
    value: Any = shown
    if answer.key is not None:
        value = {"total_count": len(answer.items), **answer.more, answer.key: shown}
    return Reply(value=value, headers={"link": ", ".join(links)} if links else {})
