"""How a client names itself to a proxy."""

from base64 import b64encode
from urllib.parse import urlsplit


def authorization(proxy: str) -> str | None:
    """Give the value of `Proxy-Authorization`; None where the address holds no name."""
    userinfo, at, _ = urlsplit(proxy).netloc.rpartition("@")
    if not at:
        return None
    user, password = [*userinfo.split(":"), ""][:2]
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode()
