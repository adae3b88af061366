"""How what goes wrong with a provider is understood and told: in one line, without any secret."""

import math
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Final
from urllib.parse import unquote, urlsplit

from stations.models.values import Provider
from stations.ran import printable

_AGAIN: Final = frozenset({408, 409, 425, 429, *range(500, 600)} - {501})
_SAID: Final = 300
_SHORT: Final = 4


def passing(status: int) -> bool:
    """Say whether the same request may be answered another time."""
    return status in _AGAIN


def remedy(provider: Provider, status: int) -> str:
    """Give what a person can do about a status; nothing where that is unknown."""
    where = f"[provider.{provider.name}]"
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        return f"base_url of {where} leads elsewhere; name the address that answers"
    match status:
        case 401 | 403:
            return f"look at the key in the variable that key_env of {where} names"
        case 402:
            return "look at the billing of the account"
        case 404:
            return f"look at the model's name, and at base_url of {where}"
        case 413:
            return "the request is too large"
        case _:
            return ""


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Give the seconds that the provider wants to be left alone; None when it does not say."""
    with suppress(ValueError):
        return _finite(float(headers.get("retry-after-ms", ""))) / 1000
    with suppress(ValueError):
        return _finite(float(headers.get("retry-after", "")))
    with suppress(ValueError, OverflowError):
        until = parsedate_to_datetime(headers.get("retry-after", ""))
        if until.tzinfo is None:  # the date names no zone
            until = until.replace(tzinfo=UTC)
        return max(0.0, (until - datetime.now(UTC)).total_seconds())
    return None


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """Give an error and what it came from, the deepest one last."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def one_line(provider: Provider, text: str) -> str:
    """Give text of a server as one short line without any secret of ours."""
    for secret in _secrets(provider):
        text = text.replace(secret, "***")
    return " ".join(printable(text.encode("utf-8", "replace")).split())[:_SAID]


def _finite(seconds: float) -> float:
    if not math.isfinite(seconds) or seconds < 0:
        raise ValueError(seconds)
    return seconds


def _secrets(provider: Provider) -> list[str]:
    """Give every text that must not show, the longest first."""
    found = {provider.key}
    for address in (provider.proxy or "", provider.base_url):
        parts = urlsplit(address)
        for part in (parts.password, parts.username):
            if part:
                found |= {part, unquote(part)}
    return sorted((one for one in found if len(one) >= _SHORT), key=len, reverse=True)
