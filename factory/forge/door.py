"""The one door to GitHub's API: PyGithub sends, our values come out, every wait has a bound.

PyGithub's own objects are not used: their attributes ask for themselves, one request each, and
know no ETag.
"""

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from typing_extensions import override

from factory.forge import answers
from factory.forge.answers import Part
from factory.forge.app import App, Granted
from factory.forge.cache import Cache
from factory.forge.failures import Denied
from factory.forge.reading import Reading
from factory.forge.values import Repo
from factory.forge.wire import PAGE
from factory.forge.writing import Writing

if TYPE_CHECKING:
    from github import Github


class Door(Reading, Writing):
    """Speaks to one repository of a forge; threads may share it."""

    def __init__(
        self,
        repo: Repo,
        api_url: str,
        token: Callable[[], str],
        *,
        cache: Cache | None = None,
        max_wait: float = 600.0,
        say: Callable[[str], None] | None = None,
        wait: Callable[[float], object] | None = None,
        timeout: int = 20,
        ca: str | None = None,
    ) -> None:
        super().__init__(
            repo,
            api_url,
            token,
            lambda: _client(self.api_url, token, timeout=timeout, ca=ca),
            cache=cache,
            max_wait=max_wait,
            say=say,
            wait=wait,
        )

    def grant(self, app: App) -> Granted:
        """Ask as an App for a token that is good for this repository alone."""
        number = app.installation
        if number is None:
            number = self._one(f"{self._at}/installation", fresh=True).number("id")
        path = f"/app/installations/{number}/access_tokens"
        # One token more does no harm: this POST is repeated like reading.
        answer = self._patient("POST", path, body={"repositories": [self.repo.name]}, again=True)
        self._judge(answer, f"POST {path}")
        told = Part(answers.document(answer.text, path), path)
        return Granted(token=told.text("token"), until=told.moment("expires_at").timestamp())


def app_word(app: App) -> Callable[[], str]:
    """Give what signs an App's own word (RS256), good for some minutes each time."""
    import jwt
    from github import Auth

    auth = Auth.AppAuth(app.id, app.key)
    try:
        if auth.token:
            return lambda: auth.token
    except (ValueError, TypeError, jwt.PyJWTError):
        # The error's own text may quote the key.
        raise Denied(f"the private key of App {app.id} signs nothing") from None
    raise Denied(f"the private key of App {app.id} signs nothing")


def _client(api_url: str, token: Callable[[], str], *, timeout: int, ca: str | None) -> "Github":
    from github import Auth, Github

    class Account(Auth.Token):
        @property
        @override
        def token(self) -> str:
            return token()

    # Its debug lines hold bodies, and one of the answers holds a token.
    logging.getLogger("github.Requester").setLevel(logging.INFO)
    return Github(
        auth=Account("asked for each time"),
        base_url=api_url,
        timeout=timeout,
        user_agent="coding-agent-factory",
        per_page=PAGE,
        verify=ca or True,
        retry=0,
        pool_size=1,
        seconds_between_requests=0,
        seconds_between_writes=0,
    )
