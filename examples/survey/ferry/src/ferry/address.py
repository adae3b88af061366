"""Where a request goes: the parts of an address that a connection needs."""

from dataclasses import dataclass
from urllib.parse import urlsplit

PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Address:
    """A server, and what is asked of it."""

    scheme: str
    host: str
    port: int
    path: str = "/"


def parse(url: str) -> Address:
    """Read an absolute address."""
    parts = urlsplit(url)
    if parts.scheme not in PORTS or not parts.hostname:
        raise ValueError(f"not an address of the web: {url}")
    port = parts.port or PORTS[parts.scheme]
    path = parts.path or "/"
    return Address(
        parts.scheme, parts.hostname, port, f"{path}?{parts.query}" if parts.query else path
    )


def parse_proxy(url: str) -> Address:
    """Read the address of a proxy; `proxy.example:3128` means `http://proxy.example:3128`."""
    return parse(url if "://" in url else f"http://{url}")
