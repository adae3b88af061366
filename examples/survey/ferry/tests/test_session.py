"""Following an address to its end."""

import pytest

from ferry import Request, Response, Session
from ferry.session import RedirectError


class Script:
    """A transport that answers by address and keeps what it was asked."""

    def __init__(self, answers):
        self.answers = answers
        self.asked: list[Request] = []

    def __call__(self, request):
        """Answer one request."""
        self.asked.append(request)
        return self.answers[request.address.host]


def test_an_address_leads_to_another():
    """The answer is the one of the last address."""
    moved = Response(301, {"Location": "http://new.example/b"})
    script = Script({"old.example": moved, "new.example": Response(200, {}, b"here")})

    assert Session(script, {}).get("http://old.example/a").body == b"here"
    assert [request.address.path for request in script.asked] == ["/a", "/b"]


def test_a_circle_ends():
    """Nobody is sent around for ever."""
    script = Script({"old.example": Response(302, {"Location": "/again"})})

    with pytest.raises(RedirectError, match="more than 3 redirects"):
        Session(script, {}, most=3).get("http://old.example/")


def test_a_proxy_that_wants_a_name_is_told_one():
    """Where there is no tunnel, the header goes with the request."""
    script = Script({"shop.example": Response(200)})
    environ = {"http_proxy": "http://ada:secret@proxy.example:3128"}

    Session(script, environ).get("http://shop.example/")

    assert script.asked[0].proxy == "http://ada:secret@proxy.example:3128"
    assert script.asked[0].headers["Proxy-Authorization"] == "Basic YWRhOnNlY3JldA=="
