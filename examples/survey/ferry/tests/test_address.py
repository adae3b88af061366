"""Addresses as people write them."""

import pytest

from ferry.address import Address, parse, parse_proxy


def test_an_address_has_the_port_of_its_scheme():
    """Nobody writes the port that everybody knows."""
    assert parse("https://shop.example/a?b=1") == Address("https", "shop.example", 443, "/a?b=1")


def test_what_is_no_address_is_named():
    """The message shows what was given."""
    with pytest.raises(ValueError, match="mailto:a"):
        parse("mailto:a@shop.example")


def test_a_proxy_without_a_scheme_is_spoken_to_in_plain():
    """Most people write host and port alone."""
    assert parse_proxy("proxy.example:3128") == Address("http", "proxy.example", 3128)
