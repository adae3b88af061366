"""Where notices go: the terminal, the desktop, a webhook, any command.

Nothing of an agent reaches a terminal; a webhook's address and token stand in no message.
"""

import html
import ipaddress
import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, Protocol, TextIO
from urllib.parse import unquote, urlsplit

from factory.notices import Notice, message, summary
from stations import shell

if TYPE_CHECKING:
    from http.client import HTTPConnection

PATIENCE: Final = 10.0
"""Seconds that a sink may take."""
_GOOD: Final = range(200, 300)
_PROXY_PORT: Final = 80

Bell = Literal["bell", "osc9", "osc777"]
_RINGS: Final[Mapping[Bell, str]] = {
    "bell": "\a",
    "osc9": "\x1b]9;{text}\a",
    "osc777": "\x1b]777;notify;Factory;{text}\a",
}


class Sink(Protocol):
    """Somewhere notices go; ``name`` is what its position is kept under."""

    @property
    def name(self) -> str:
        """Name it."""
        ...

    def send(self, notices: Sequence[Notice]) -> str:
        """Tell these notices; give why that failed, nothing when it did not."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Terminal:
    """A terminal that rings, or shows a notification of its own."""

    stream: TextIO
    kind: Bell
    name: str = "terminal"

    def send(self, notices: Sequence[Notice]) -> str:
        """Ring."""
        said = "".join(char for char in summary(notices) if char.isprintable())
        try:
            # In one piece, so that nothing else is written in the middle of it.
            self.stream.write(_RINGS[self.kind].format(text=said.replace(";", ",")))
            self.stream.flush()
        except OSError as error:
            return f"the terminal is gone ({type(error).__name__})"
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A program that is started for each message: the document is on its standard input."""

    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: Path
    repository: str
    name: str = "run"

    def send(self, notices: Sequence[Notice]) -> str:
        """Start it and wait for its end."""
        document = message(notices, repository=self.repository)
        env = {**self.env, "FACTORY_NOTICE": str(document["text"])}
        return _ran(self.argv, env=env, cwd=self.cwd, stdin=json.dumps(document).encode() + b"\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class Desktop:
    """The desktop's own notifications, by ``notify-send``."""

    program: str
    env: Mapping[str, str]
    name: str = "desktop"

    def send(self, notices: Sequence[Notice]) -> str:
        """Show a notification."""
        # Desktops read the body as markup.
        lines = [html.escape(f"{notice.job or notice.run}: {notice.text}") for notice in notices]
        body = "\n".join(lines[-3:])
        argv = (self.program, "--app-name=factory", "--", summary(notices), body)
        return _ran(argv, env=self.env, cwd=Path("/"), stdin=b"")


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """An address that gets each message as JSON; no redirect is followed, no answer is read."""

    address: str = field(repr=False)
    repository: str
    token: str = field(default="", repr=False)
    proxy: str | None = field(default=None, repr=False)
    ca: str | None = None
    name: str = "webhook"

    def send(self, notices: Sequence[Notice]) -> str:
        """Post the message."""
        from http.client import HTTPException

        if not allowed(self.address):
            return "its address is neither https nor on this machine"
        if not (self.token.isascii() and self.token.isprintable()):
            return "its token holds characters that no header can"
        body = json.dumps(message(notices, repository=self.repository)).encode()
        headers = {"Content-Type": "application/json", "User-Agent": "coding-agent-factory"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        parts = urlsplit(self.address)
        path = f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"
        try:
            link = self._link()
            try:
                link.request("POST", path, body, headers)
                status = link.getresponse().status
            finally:
                link.close()
        except (OSError, HTTPException, ValueError) as error:
            # The text of such an error may hold the address, which may be a secret.
            return f"it does not answer ({type(error).__name__})"
        return "" if status in _GOOD else f"it answered {status}"

    def _link(self) -> "HTTPConnection":
        import ssl
        from http.client import HTTPConnection, HTTPSConnection

        parts = urlsplit(self.address)
        host, port = parts.hostname or "", parts.port
        if parts.scheme == "http":
            return HTTPConnection(host, port, timeout=PATIENCE)
        trust = ssl.create_default_context(cafile=self.ca)
        if self.proxy is None:
            return HTTPSConnection(host, port, timeout=PATIENCE, context=trust)
        way = urlsplit(self.proxy)
        link = HTTPSConnection(
            way.hostname or "", way.port or _PROXY_PORT, timeout=PATIENCE, context=trust
        )
        login = f"{unquote(way.username or '')}:{unquote(way.password or '')}".encode()
        headers = {"Proxy-Authorization": f"Basic {b64encode(login).decode()}"}
        link.set_tunnel(host, port, headers if way.username else None)
        return link


def allowed(address: str) -> bool:
    """Say whether notices may go to this address: https anywhere, http on this machine."""
    try:
        parts = urlsplit(address)
        host = parts.hostname or ""
        if parts.port == 0 or not host:
            return False
    except ValueError:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and _local(host))


def _local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _ran(argv: Sequence[str], *, env: Mapping[str, str], cwd: Path, stdin: bytes) -> str:
    try:
        ran = shell.run(argv, env=env, cwd=cwd, stdin=stdin, deadline=PATIENCE)
    except OSError as error:
        return f"{Path(argv[0]).name} cannot be started ({type(error).__name__})"
    if ran.code == 0:
        return ""
    return f"{Path(argv[0]).name} ended with {ran.code if ran.code is not None else ran.ended}"
