"""Which proxy the environment names for an address."""

from collections.abc import Mapping

from ferry.address import Address


def proxy_for(address: Address, environ: Mapping[str, str]) -> str | None:
    """Give the proxy for an address; None means: go there directly."""
    if bypassed(address, environ.get("no_proxy", "")):
        return None
    return environ.get(f"{address.scheme}_proxy")


def bypassed(address: Address, no_proxy: str) -> bool:
    """Say whether a list like `localhost,corp.example` keeps an address away from the proxy."""
    for entry in no_proxy.lower().split(","):
        name = entry.strip()
        if name == "*":
            return True
        if name and (address.host == name or address.host.endswith(f".{name}")):
            return True
    return False
