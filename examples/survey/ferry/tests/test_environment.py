"""The variables of the environment."""

from ferry.address import parse
from ferry.environment import bypassed, proxy_for

ENVIRON = {"http_proxy": "http://plain.example:3128", "https_proxy": "http://tls.example:3128"}


def test_each_scheme_has_its_own_proxy():
    """One variable speaks for plain addresses, another one for those with TLS."""
    assert proxy_for(parse("http://shop.example"), ENVIRON) == "http://plain.example:3128"
    assert proxy_for(parse("https://shop.example"), ENVIRON) == "http://tls.example:3128"


def test_a_listed_domain_is_reached_directly():
    """A name stands for itself and for what is below it, and for nothing that only ends alike."""
    assert bypassed(parse("http://shop.corp.example"), "localhost,corp.example")
    assert not bypassed(parse("http://notcorp.example"), "localhost,corp.example")


def test_a_star_turns_proxies_off():
    """Whatever the address, it is reached directly."""
    assert proxy_for(parse("http://shop.example"), {**ENVIRON, "no_proxy": "*"}) is None
