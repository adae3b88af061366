"""Asks for an address and follows where it leads."""

from collections.abc import Callable, Mapping
from urllib.parse import urljoin

from ferry.address import Address, parse
from ferry.login import authorization
from ferry.environment import proxy_for
from ferry.message import Request, Response

REDIRECTS = {301, 302, 303, 307, 308}
Transport = Callable[[Request], Response]


class RedirectError(Exception):
    """An address led on and on."""


class Session:
    """A client with one environment; `transport` carries a request and brings the answer."""

    def __init__(self, transport: Transport, environ: Mapping[str, str], *, most: int = 10) -> None:
        self._transport = transport
        self._environ = environ
        self._most = most

    def get(self, url: str) -> Response:
        """Ask for an address, and for the next one as long as the answer is a redirect."""
        address = parse(url)
        proxy = proxy_for(address, self._environ)
        for _ in range(self._most):
            response = self._transport(self._request(address, proxy))
            if response.status not in REDIRECTS:
                return response
            url = urljoin(url, response.headers["Location"])
            address = parse(url)
        raise RedirectError(f"more than {self._most} redirects, the last one to {url}")

    def _request(self, address: Address, proxy: str | None) -> Request:
        named = authorization(proxy) if proxy is not None and address.scheme == "http" else None
        headers = {"Host": address.host}
        return Request(
            address, proxy, headers if named is None else {**headers, "Proxy-Authorization": named}
        )
