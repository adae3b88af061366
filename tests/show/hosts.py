"""A `factory serve` of its own over a planted run, and a plain client that talks to it."""

import http.client
import re
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self
from urllib.parse import urlencode

from factory.calls import Calls
from factory.ledger import Ledger, Letter
from tests.conftest import make_repository
from tests.factory.planted import plant
from tests.run import ROOT, Child, end, start
from tests.show.crowds import Crowd
from worktrees.git import Repository, open_repository
from worktrees.names import RunId

PATIENCE = 40.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a server answered."""

    status: int
    headers: Mapping[str, str]
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """One server-sent event."""

    seq: int
    data: str


class Stream:
    """An open stream of server-sent events."""

    def __init__(self, line: http.client.HTTPConnection) -> None:
        self._line = line
        self._answer = line.getresponse()
        self.status = self._answer.status

    def comment(self) -> str:
        """Give the next line."""
        return self._answer.readline().decode().strip()

    def event(self) -> Heard:
        """Give the next event; comments are left out."""
        seq, data = 0, list[str]()
        while True:
            line = self._answer.readline().decode().rstrip("\n")
            if line.startswith("id: "):
                seq = int(line[4:])
            elif line.startswith("data: "):
                data.append(line[6:])
            elif not line and data:
                return Heard(seq=seq, data="\n".join(data))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._answer.close()
        self._line.close()


@dataclass(kw_only=True)
class Host:
    """A server with what one needs to come in."""

    repository: Repository
    child: Child
    address: str
    crowd: Crowd
    later: float
    run: str
    cookie: str = ""
    key: str = ""
    env: Mapping[str, str] = field(default_factory=dict)

    @property
    def port(self) -> int:
        """The port that it listens on."""
        found = re.search(r":(\d+)/", self.address)
        assert found is not None
        return int(found[1])

    @property
    def token(self) -> str:
        """The token of the first address."""
        return self.address.partition("token=")[2]

    def plant(self, begin: int) -> int:
        """Write what happened to the run since ``begin``, and give how much that is by now."""
        book = [(event, at + self.later) for event, at in self.crowd.tale.book[begin:]]
        plant(self.repository, self.run, book)
        return begin + len(book)

    def come_in(self) -> "Host":
        """Trade the token for a cookie, and read the key that every form sends back."""
        answer = self.ask("GET", f"/?token={self.token}", cookie="")
        self.cookie = answer.headers["set-cookie"].partition(";")[0]
        waits = self.ask("GET", f"/run/{self.run}").text
        job = re.search(r'href="(/run/[^"]*/job/[^"]*)"', waits)
        pages = [waits] if job is None else [waits, self.ask("GET", job[1]).text]
        for page in pages:
            found = re.search(r'name="key" value="([^"]+)"', page)
            self.key = found[1] if found else self.key
        return self

    def ask(
        self,
        method: str,
        path: str,
        body: str = "",
        *,
        cookie: str | None = None,
        headers: Mapping[str, str] = {},
    ) -> Answer:
        """Ask for a page, with the cookie unless another is given."""
        line = self._line(method, path, body, self.cookie if cookie is None else cookie, headers)
        answer = line.getresponse()
        text = answer.read().decode()
        line.close()
        found = {name.lower(): value for name, value in answer.getheaders()}
        return Answer(status=answer.status, headers=found, text=text)

    def order(
        self,
        *,
        kind: str,
        what: str = "",
        text: str = "",
        key: str | None = None,
        headers: Mapping[str, str] = {},
    ) -> Answer:
        """Send a form as the page would."""
        fields = {"kind": kind, "what": what, "text": text}
        fields["key"] = self.key if key is None else key
        own = {"Origin": self.address.partition("/?")[0]}
        own["Content-Type"] = "application/x-www-form-urlencoded"
        path = f"/run/{self.run}/letter"
        return self.ask("POST", path, urlencode(fields), headers={**own, **headers})

    def stream(self, path: str, headers: Mapping[str, str] = {}) -> Stream:
        """Follow a page."""
        return Stream(self._line("GET", path, "", self.cookie, headers))

    def letters(self) -> list[Letter]:
        """Give the letters that wait for the floor."""
        with Ledger(self.repository.factory / "ledger.sqlite") as ledger:
            return [letter for _, letter in ledger.letters(RunId(self.run))]

    def _line(
        self, method: str, path: str, body: str, cookie: str, headers: Mapping[str, str]
    ) -> http.client.HTTPConnection:
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        line.putrequest(method, path, skip_host="Host" in headers, skip_accept_encoding=True)
        for name, value in headers.items():
            line.putheader(name, value)
        if cookie:
            line.putheader("Cookie", cookie)
        line.putheader("Content-Length", str(len(body.encode())))
        line.endheaders(body.encode())
        return line


@contextmanager
def hosted(place: Path, crowd: Crowd) -> Iterator[Host]:
    """Give a server over a run; it is ended with the block."""
    repository = open_repository(make_repository(place))
    later = time.time() - crowd.tale.at - 1
    plant(repository, crowd.tale.run, [(event, at + later) for event, at in crowd.tale.book])
    with Calls(repository.factory / "ledger.sqlite") as calls:
        for call in crowd.calls():
            calls.settle(replace(call, at=call.at + later), None)
    env = {"PYTHONPATH": str(ROOT), "HOME": str(place.parent)}
    argv = [sys.executable, "-m", "factory", "serve", "--port", "0"]
    child = start(argv, cwd=place, env=env)
    try:
        host = Host(
            repository=repository,
            child=child,
            address=_first_line(child),
            crowd=crowd,
            later=later,
            run=crowd.tale.run,
            env=env,
        )
        yield host.come_in()
    finally:
        end(child)


def _first_line(child: Child) -> str:
    """Give what the server prints first; it has to come in time."""
    found: list[str] = []
    assert child.stdout is not None
    output = child.stdout
    reader = threading.Thread(target=lambda: found.append(output.readline().decode().strip()))
    reader.daemon = True
    reader.start()
    reader.join(PATIENCE)
    assert found, "factory serve printed no address"
    return found[0]
