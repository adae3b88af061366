"""The way through a proxy to a server that speaks TLS."""

from collections.abc import Mapping

from ferry.address import Address


class TunnelError(Exception):
    """The proxy did not open the way."""


def opening(address: Address, headers: Mapping[str, str]) -> bytes:
    """Give the request that asks a proxy for a way to an address."""
    authority = f"{address.host}:{address.port}"
    lines = [f"CONNECT {authority} HTTP/1.1", f"Host: {authority}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "".join(f"{line}\r\n" for line in [*lines, ""]).encode("latin-1")


def check(status_line: bytes) -> None:
    """Complain when the first line of the answer is no success."""
    _, _, rest = status_line.decode("latin-1").partition(" ")
    if not rest.startswith("2"):
        raise TunnelError(f"the proxy answered: {rest.strip()}")
