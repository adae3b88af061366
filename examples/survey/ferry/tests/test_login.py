"""Names and passwords in the address of a proxy."""

from base64 import b64decode

from ferry.login import authorization


def test_a_name_and_a_password_are_told_to_the_proxy():
    """As the scheme Basic has it."""
    told = authorization("http://ada:secret@proxy.example:3128")

    assert told is not None
    assert b64decode(told.removeprefix("Basic ")) == b"ada:secret"


def test_without_a_name_nothing_is_told():
    """Most proxies ask for none."""
    assert authorization("http://proxy.example:3128") is None
