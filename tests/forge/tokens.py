"""Who speaks: tokens of people, of apps and of workflows, and an app's signed word."""

import secrets
import time
from base64 import b64decode
from binascii import Error
from collections.abc import Mapping

from tests.forge.life import Life
from tests.forge.refusal import RefusedError
from tests.forge.world import App, Token

_HOUR = 3600


def speaker(life: Life, header: str) -> Token | None:
    """Give the token of an Authorization header; none at all is nobody, a wrong one is refused."""
    if not header:
        return None
    word = _word(header)
    if word.count(".") == 2:
        return app_of(life, word)
    token = life.tokens.get(word)
    if token is None or (token.expires is not None and token.expires < time.time()):
        raise RefusedError(401, "Bad credentials")
    return token


def _word(header: str) -> str:
    scheme, _, value = header.partition(" ")
    if scheme.lower() != "basic":
        return value.strip()
    try:
        return b64decode(value).decode().partition(":")[2]
    except (Error, UnicodeDecodeError) as error:
        raise RefusedError(401, "Bad credentials") from error


def app_of(life: Life, word: str) -> Token:
    """Give the app that signed a JSON web token; it stands for no person."""
    import jwt

    try:
        claims = jwt.decode(word, options={"verify_signature": False})
        app = life.apps[int(claims["iss"])]
        jwt.decode(word, app.public_key, algorithms=["RS256"], options={"require": ["exp", "iat"]})
    except (jwt.PyJWTError, KeyError, ValueError) as error:
        raise RefusedError(401, "A JSON web token could not be decoded") from error
    if claims["exp"] - time.time() > 610:
        raise RefusedError(401, "'Expiration time' claim ('exp') is too far in the future")
    return Token(login="", app=app)


def new_installation_token(
    life: Life, app: App, areas: Mapping[str, str], only: frozenset[str] | None
) -> tuple[str, float]:
    """Make a token for an app that is installed, and say when it ends."""
    word, expires = f"ghs_{secrets.token_hex(18)}", time.time() + _HOUR
    life.tokens[word] = Token(
        login=app.login, app=app, areas=areas, repositories=only, expires=expires
    )
    for repo in life.repos.values():
        repo.people.setdefault(app.login, "write")
    return word, expires


def allowed(token: Token | None, needs: str) -> bool:
    """Say whether a token was given what a route needs; what people may do is asked elsewhere."""
    if token is None or token.areas is None:
        return True
    area, _, level = needs.partition(":")
    if area == "metadata":
        return True
    has = token.areas.get(area, "none")
    if has == "none" and area == "issues":
        # Issues and pull requests share comments and labels.
        has = token.areas.get("pull_requests", "none")
    return has == "write" or (has == "read" and level == "read")
