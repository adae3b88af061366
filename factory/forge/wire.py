"""How a forge is asked: every request goes out here, every wait has a bound.

Reading is repeated a few times; a write is sent once, and again only after a rate limit refused
it, for then nothing happened. What is wrong is a `ForgeError`.
"""

import json
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any, Final, Protocol
from urllib.parse import quote, urlsplit

from factory.forge import answers, queries
from factory.forge.answers import Part
from factory.forge.cache import Cache, Known
from factory.forge.failures import ForgeError, Limited, Refused, Unknown, Unreachable, sorted_out
from factory.forge.values import Repo

Parameters = Mapping[str, str | int]

PAGE: Final = 100
MOST_PAGES: Final = 100
DENIED: Final = 403
FOUND: Final = 302
_REPEATS: Final = 4
_BACKOFF: Final = 0.5
_SECONDARY: Final = 60.0
"""Seconds to wait after a secondary limit that does not say how long."""
_PACE: Final = ((80, 60.0), (500, 3600.0))
"""So many writes in so many seconds are what GitHub allows."""
_MULTIPLE, _BAD = 300, 400
NOT_MODIFIED: Final = 304
_TOO_MANY, _BROKEN = 429, 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer as it came."""

    status: int
    headers: Mapping[str, str]
    text: str = field(repr=False)

    @property
    def request_id(self) -> str:
        """Give the name under which the forge's support finds the request."""
        return self.headers.get("x-github-request-id", "")


class Requester(Protocol):
    """Sends a request over one connection, and repeats nothing."""

    def requestJson(  # noqa: N802 - as the client calls it
        self,
        verb: str,
        url: str,
        parameters: dict[str, Any] | None,
        headers: dict[str, str] | None,
        input: Any,  # noqa: A002
    ) -> tuple[int, dict[str, Any], str]:
        """Give status, headers and text of the answer."""
        ...


class Client(Protocol):
    """One connection to the forge."""

    @property
    def requester(self) -> Requester:
        """Give what sends."""
        ...

    def close(self) -> None:
        """Close it."""
        ...


class Wire:
    """Asks one repository's forge; threads may share it."""

    def __init__(
        self,
        repo: Repo,
        api_url: str,
        token: Callable[[], str],
        make: Callable[[], Client],
        *,
        cache: Cache | None = None,
        max_wait: float = 600.0,
        say: Callable[[str], None] | None = None,
        wait: Callable[[float], object] | None = None,
    ) -> None:
        self.repo = repo
        self.api_url = api_url.rstrip("/")
        self.requests = 0
        self.waited = 0.0
        """Seconds that were waited for limits."""
        self._token = token
        self._make = make
        self._cache = cache
        self._max_wait = max_wait
        self._until: float | None = None
        self._say = say
        self._wait: Callable[[float], object] = threading.Event().wait if wait is None else wait
        # A client keeps a request in its connection until it is sent: two threads on one client
        # would send each other's. So each request has a client for itself while it runs.
        self._idle: queue.LifoQueue[Client] = queue.LifoQueue()
        self._at = f"/repos/{segment(repo.owner)}/{segment(repo.name)}"
        # Guards the count and the pace, which all threads share.
        self._lock = threading.Lock()
        self._written: deque[float] = deque(maxlen=max(most for most, _ in _PACE))

    def close(self) -> None:
        """Close the connections."""
        while not self._idle.empty():
            self._idle.get_nowait().close()

    @contextmanager
    def waiting(self, seconds: float) -> Iterator[None]:
        """Let all waits for limits inside, taken together, last no longer than this."""
        before, self._until = self._until, self.waited + seconds
        try:
            yield
        finally:
            self._until = before

    def _naming(self, number: int) -> dict[str, object]:
        return {"owner": self.repo.owner, "name": self.repo.name, "number": number}

    def _one(self, path: str, asked: Parameters | None = None, *, fresh: bool = False) -> Part:
        return Part(answers.document(self._read(path, asked, fresh=fresh).text, path), path)

    def _list(
        self,
        path: str,
        asked: Parameters | None = None,
        *,
        key: str = "",
        limit: int = PAGE * MOST_PAGES,
    ) -> Iterator[Part]:
        """Give the items of a list over all its pages; ``key`` is where an object holds them."""
        parameters: Parameters | None = {**(asked or {}), "per_page": min(PAGE, limit)}
        here, left = path, limit
        for _ in range(MOST_PAGES):
            answer = self._read(here, parameters)
            for part in listed(answer.text, path, key)[:left]:
                yield part
                left -= 1
            later = following(answer.headers.get("link", ""))
            if not later or left <= 0:
                return
            here, parameters = self._inside(later), None

    def _inside(self, address: str) -> str:
        """Give a page's address as a path of this API, where it is one."""
        asked, ours = urlsplit(address), urlsplit(self.api_url)
        same = (asked.scheme, asked.netloc) == (ours.scheme, ours.netloc)
        if not same or not asked.path.startswith(f"{ours.path}/"):
            raise ForgeError("the next page of a list lies on another host; it is not followed")
        return asked.path.removeprefix(ours.path) + (f"?{asked.query}" if asked.query else "")

    def _read(self, path: str, asked: Parameters | None = None, *, fresh: bool = False) -> Answer:
        """Read, by way of the cache where there is one."""
        address = f"{self.api_url}{path} {json.dumps(dict(asked or {}), sort_keys=True)}"
        cache = None if fresh else self._cache
        known = cache.find(address) if cache is not None else None
        condition = {} if known is None else {"If-None-Match": known.etag}
        answer = self._patient("GET", path, asked=asked, headers=condition, again=True)
        if answer.status == NOT_MODIFIED and known is not None:
            return Answer(status=200, headers={"link": known.link}, text=known.body)
        self._judge(answer, f"GET {path}")
        etag = answer.headers.get("etag")
        if cache is not None and etag:
            link = answer.headers.get("link", "")
            cache.keep(address, Known(etag=etag, link=link, body=answer.text))
        return answer

    def _asked(self, path: str, asked: Parameters, etag: str) -> Answer:
        """Read past the cache: the caller keeps the ETag itself, and may be told 304."""
        condition = {"If-None-Match": etag} if etag else {}
        answer = self._patient("GET", path, asked=asked, headers=condition, again=True)
        if answer.status != NOT_MODIFIED:
            self._judge(answer, f"GET {path}")
        return answer

    def _write(self, verb: str, path: str, body: object) -> Part:
        answer = self._send(verb, path, body)
        return Part(answers.document(answer.text, path), path)

    def _send(self, verb: str, path: str, body: object = None) -> Answer:
        self._pace()
        answer = self._patient(verb, path, body=body, again=False)
        self._judge(answer, f"{verb} {path}")
        return answer

    def _query(
        self,
        query: str,
        variables: Mapping[str, object],
        *,
        writes: bool = False,
        gone: bool = False,
    ) -> Part:
        """Ask in GraphQL; its refusals come with status 200. ``gone`` parts may be missing."""
        if writes:
            self._pace()
        # .../api/v3 has its neighbour .../api/graphql; the public API has it below itself.
        address = f"{self.api_url.removesuffix('/v3')}/graphql"
        body = {"query": query, "variables": dict(variables)}
        answer = self._patient("POST", address, body=body, again=not writes)
        self._judge(answer, "GraphQL")
        told = Part(answers.document(answer.text, "GraphQL"), "GraphQL")
        for error in told.parts("errors"):
            if gone and error.words("type") == "NOT_FOUND" and len(error.items("path")) > 1:
                continue
            status = queries.STATUS.get(error.words("type"), 422)
            raise sorted_out(
                status, self._blank(error.words("message")), request_id=answer.request_id
            )
        return told.part("data")

    def _patient(
        self,
        verb: str,
        path: str,
        *,
        asked: Parameters | None = None,
        headers: Mapping[str, str] | None = None,
        body: object = None,
        again: bool,
    ) -> Answer:
        """Send, wait where a limit says so, and repeat what is safe to repeat (``again``)."""
        waited, broken = 0.0, 0
        while True:
            about = f"{verb} {urlsplit(path).path}"
            try:
                answer = self._once(verb, path, asked, headers, body)
            except (OSError, RuntimeError, ValueError, AssertionError) as error:
                failure = self._failure(about, error, again=again)
            else:
                pause = _limit(answer)
                if pause is not None:
                    waited = self._sit_out(answer, about, pause, waited)
                    continue
                if answer.status < _BROKEN:
                    return answer
                kind = Unreachable if again else Unknown
                said = f"{about}: the forge answered {answer.status}"
                failure = kind(said, status=answer.status, request_id=answer.request_id)
            broken += 1
            if not again or broken > _REPEATS:
                raise failure
            self._wait(_BACKOFF * 2 ** (broken - 1))

    def _once(
        self,
        verb: str,
        path: str,
        asked: Parameters | None,
        headers: Mapping[str, str] | None,
        body: object,
    ) -> Answer:
        with self._lock:
            self.requests += 1
        with self._client() as client:
            status, told, text = client.requester.requestJson(
                verb, path, dict(asked or {}), dict(headers or {}), body
            )
        return Answer(status=status, headers=told, text=text)

    @contextmanager
    def _client(self) -> Iterator[Client]:
        try:
            client = self._idle.get_nowait()
        except queue.Empty:
            client = self._make()
        try:
            yield client
        finally:
            self._idle.put(client)

    def _failure(self, about: str, error: Exception, *, again: bool) -> ForgeError:
        # Their texts hold addresses and parts of answers: the kind says enough, and no secret.
        said = f"{about}: no answer ({type(error).__name__})"
        return Unreachable(said) if again else Unknown(said)

    def _sit_out(self, answer: Answer, about: str, pause: float, waited: float) -> float:
        """Wait for a limit's end and give how long was waited in all; `Limited` if too long."""
        with self._lock:
            left = self._max_wait - waited
            left = left if self._until is None else min(left, self._until - self.waited)
            if pause <= left:
                self.waited += pause
        if pause > left:
            raise Limited(
                f"{about}: rate limited for {pause:.0f} s, longer than may be waited",
                retry_at=time.time() + pause,
                status=answer.status,
                request_id=answer.request_id,
            )
        if self._say is not None:
            self._say(f"rate limited by {self.repo.host}: waiting {pause:.0f} s")
        self._wait(pause)
        return waited + pause

    def _pace(self) -> None:
        """Wait until one more write is within what GitHub allows."""
        with self._lock:
            now = time.monotonic()
            at = max(
                (
                    self._written[-most] + seconds
                    for most, seconds in _PACE
                    if len(self._written) >= most
                ),
                default=now,
            )
            pause = max(0.0, at - now)
            if pause <= self._max_wait:
                self._written.append(now + pause)
        if pause > self._max_wait:
            said = f"{len(self._written)} writes were made in an hour, as many as may be"
            raise Limited(said, retry_at=time.time() + pause)
        if pause:
            if self._say is not None:
                self._say(f"keeping to {self.repo.host}'s pace of writes: waiting {pause:.0f} s")
            self._wait(pause)

    def _judge(self, answer: Answer, about: str) -> None:
        if answer.status < _MULTIPLE:
            return
        if answer.status < _BAD:
            said = f"{about}: it moved ({answer.status}); give the remote its new address"
            raise ForgeError(said, status=answer.status, request_id=answer.request_id)
        said = f"{about}: {_words(answer)}"
        raise sorted_out(answer.status, self._blank(said), request_id=answer.request_id)

    def _blank(self, text: str) -> str:
        return text.replace(self._token(), "***")


def segment(text: str) -> str:
    """Give a text as one part of an address, whatever it holds."""
    if text in {".", "..", ""}:
        raise Refused(f"{text!r} names nothing")
    return quote(text, safe="", errors="replace")


def path_of(text: str) -> str:
    """Give a path whose parts mean themselves."""
    return "/".join(map(segment, text.split("/")))


def listed(text: str, about: str, key: str = "") -> list[Part]:
    """Give the objects of a list; ``key`` is where an object holds it."""
    found = answers.document(text, about)
    if key:
        return list(Part(found, about).parts(key))
    if not isinstance(found, list):
        raise ForgeError(f"{about}: the answer is no list")
    return [Part(item, about) for item in found]


def following(link: str) -> str:
    """Give the address of the next page, as a Link header says it."""
    for entry in link.split(","):
        address, *marks = (word.strip() for word in entry.split(";"))
        if 'rel="next"' in marks and address.startswith("<") and address.endswith(">"):
            return address[1:-1]
    return ""


def _words(answer: Answer) -> str:
    """Give the forge's own reason, with what it says of single fields."""
    try:
        told = Part(json.loads(answer.text), "refusal")
        reasons = [told.words("message")]
        for error in told.items("errors"):
            one = Part(error, "refusal") if isinstance(error, dict) else None
            names = ("resource", "field", "code", "message")
            reasons.append(
                " ".join(filter(None, map(one.words, names))) if one is not None else str(error)
            )
        return "; ".join(filter(None, reasons)) or f"status {answer.status}"
    except (ValueError, RecursionError, ForgeError):
        return f"status {answer.status}"


def _limit(answer: Answer) -> float | None:
    """Give for how many seconds an answer asks to wait; None when it does not."""
    headers = answer.headers
    limited = answer.status < _MULTIPLE and _query_limited(answer.text)
    if answer.status not in {DENIED, _TOO_MANY} and not limited:
        return None
    after = _number(headers.get("retry-after"))
    if after is not None:
        return max(1.0, after)
    reset = _number(headers.get("x-ratelimit-reset"))
    if headers.get("x-ratelimit-remaining") == "0" and reset is not None:
        return max(1.0, reset - _clock(headers.get("date", "")) + 1)
    named = any(words in answer.text.lower() for words in ("rate limit", "abuse"))
    return _SECONDARY if named or limited or answer.status == _TOO_MANY else None


def _query_limited(text: str) -> bool:
    """Say whether this is GraphQL's own limit; people may write the same word anywhere else."""
    if '"RATE_LIMITED"' not in text:
        return False
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        return False
    errors = told.get("errors") if isinstance(told, dict) else None
    return isinstance(errors, list) and any(
        isinstance(error, dict) and error.get("type") == "RATE_LIMITED" for error in errors
    )


def _number(text: str | None) -> float | None:
    return float(text) if text is not None and text.isascii() and text.isdecimal() else None


def _clock(date: str) -> float:
    """Give the forge's own time: the end of a limit is by its clock and not by ours."""
    try:
        return parsedate_to_datetime(date).timestamp()
    except (ValueError, OverflowError):
        return time.time()
