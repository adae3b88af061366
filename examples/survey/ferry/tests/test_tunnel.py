"""The way through a proxy."""

import pytest

from ferry.address import parse
from ferry.tunnel import TunnelError, check, opening


def test_a_way_is_asked_for():
    """The authority stands in the first line and in Host."""
    asked = opening(parse("https://shop.example"), {"Proxy-Authorization": "Basic YQ=="})

    assert asked == (
        b"CONNECT shop.example:443 HTTP/1.1\r\nHost: shop.example:443\r\n"
        b"Proxy-Authorization: Basic YQ==\r\n\r\n"
    )


def test_a_closed_way_is_named():
    """What the proxy said is in the message."""
    check(b"HTTP/1.1 200 Connection established\r\n")
    with pytest.raises(TunnelError, match="407 Proxy Authentication Required"):
        check(b"HTTP/1.1 407 Proxy Authentication Required\r\n")
