"""What goes out and what comes back."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ferry.address import Address


@dataclass(frozen=True, slots=True)
class Request:
    """One request on its way; `proxy` is the address of the proxy that carries it."""

    address: Address
    proxy: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Response:
    """The answer to one request."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
