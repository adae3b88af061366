"""The door to the Messages API, and the only module that knows the `anthropic` package.

A reply comes out of it only when it is complete: the stream ended as streams end, the stop reason
is one that the API knows, and the input of each tool is an object. Everything else is Trouble.
"""

import json
import threading
from collections.abc import Generator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from stations.models import faults
from stations.models.asking import (
    IDLE,
    LONGEST,
    Block,
    Hear,
    Reply,
    Request,
    Toll,
    Trouble,
    encoded,
)
from stations.models.draft import Draft, UnfitError, as_object
from stations.models.values import Provider
from stations.ran import printable

if TYPE_CHECKING:
    import anthropic
    import httpx2

    from stations.models.wire import Hold, Wire

_AFTER_THE_END: Final = 1.0
_SENT_HEADERS: Final = frozenset(
    {
        "accept",
        "anthropic-beta",
        "anthropic-version",
        "connection",
        "content-length",
        "content-type",
        "host",
        "transfer-encoding",
        "user-agent",
    }
)
_STATUS: Final[Mapping[str, int]] = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}


class AnthropicDoor:
    """Asks one provider over one client that all threads share; it never tries again by itself."""

    def __init__(self, provider: Provider, *, longest: float = LONGEST, idle: float = IDLE) -> None:
        self.provider = provider
        self._longest, self._idle = longest, idle
        self._lock = threading.Lock()
        self._opened: _Opened | None = None

    def warm(self) -> None:
        """Load what is slow to load, before the first call needs it."""
        self._open()

    def close(self) -> None:
        """Cut what is under way and close every connection."""
        with self._lock:
            opened, self._opened = self._opened, None
        if opened is not None:
            opened.wire.close()

    def stream(self, request: Request, *, stop: threading.Event, hear: Hear | None = None) -> Reply:
        """Ask once and give a complete reply, or raise Trouble; ``stop`` ends it at once."""
        import anthropic
        import httpx2

        if not self.provider.key:
            raise Trouble(
                "denied",
                f"provider {self.provider.name}: there is no key; set the variable that key_env "
                f"of [provider.{self.provider.name}] names",
                permanent=True,
            )
        if not (self.provider.key.isascii() and self.provider.key.isprintable()):
            raise Trouble(
                "denied",
                f"provider {self.provider.name}: the key holds what no header can carry (a line "
                f"break, perhaps); look at the variable that key_env of "
                f"[provider.{self.provider.name}] names",
                permanent=True,
            )
        if stop.is_set():
            raise Trouble("stopped", "stopped before the call", permanent=True)
        opened = self._open()
        draft = Draft(model=request.model)
        failed: Exception | None = None
        with opened.wire.hold(stop, seconds=self._longest) as hold:
            try:
                with closing(_events(opened.client, request, draft)) as events:
                    for event in events:
                        piece = draft.take(event)
                        if piece and hear is not None:
                            hear(piece)
                        if draft.ended:
                            hold.hurry(_AFTER_THE_END)
            except (
                anthropic.AnthropicError,
                httpx2.HTTPError,
                httpx2.InvalidURL,
                httpx2.StreamError,
                _ErrorEventError,
                UnfitError,
                OSError,
                ValueError,
                RecursionError,
            ) as error:
                failed = error
        # Raised outside of an `except`: the vendor's error holds the request, and that the key.
        if draft.ended:
            reply = draft.reply()
            if isinstance(reply, Reply):
                return reply
            raise Trouble(
                "incomplete",
                faults.one_line(self.provider, f"provider {self.provider.name}: {reply.why}"),
                toll=draft.toll(sent=True),
                cut_tool=reply.cut_tool,
            )
        trouble = self._trouble(failed, hold, draft)
        del failed
        raise trouble

    def _open(self) -> "_Opened":
        import anthropic

        from stations.models.wire import Wire

        with self._lock:
            if self._opened is None:
                wire = Wire(self.provider, dress=self._dress, idle=self._idle)
                client = anthropic.Anthropic(
                    api_key=self.provider.key,
                    base_url=self.provider.base_url,
                    max_retries=0,
                    timeout=wire.client.timeout,
                    http_client=wire.client,
                )
                self._opened = _Opened(client=client, wire=wire)
            return self._opened

    def _dress(self, request: "httpx2.Request") -> None:
        """Send no header but those that are meant: the package takes more from the environment."""
        for name in [name for name in request.headers if name not in _SENT_HEADERS]:
            del request.headers[name]
        request.headers["authorization"] = f"Bearer {self.provider.key}"
        request.headers["accept-encoding"] = "identity"

    def _trouble(self, error: Exception | None, hold: "Hold", draft: "Draft") -> Trouble:
        import anthropic

        name = self.provider.name
        toll = draft.toll(sent=hold.sent > 0)
        match hold.why:
            case "stopped":
                return Trouble(
                    "stopped", "stopped in the middle of a call", permanent=True, toll=toll
                )
            case "late":
                text = f"provider {name} gave no complete reply within {self._longest:.0f} s"
                return Trouble("provider", text, toll=toll)
            case "flood":
                return Trouble("incomplete", f"provider {name} sent more than a reply", toll=toll)
            case "":
                pass
        match error:
            case None:
                text = f"provider {name}: the stream ended before the reply did"
                return Trouble("incomplete", text, toll=toll)
            case _ErrorEventError():
                return self._refused(error.status, error.said, code=error.code, toll=toll)
            case anthropic.APIStatusError():
                return self._status(error)
            case UnfitError():
                return Trouble(
                    "incomplete",
                    faults.one_line(self.provider, f"provider {name}: {error}"),
                    toll=toll,
                )
            case ValueError() | RecursionError():
                text = f"provider {name}: what came is no valid stream of events"
                return Trouble("incomplete", text, toll=toll)
            case _:
                return self._broken(error, toll)

    def _broken(self, error: Exception, toll: Toll) -> Trouble:
        """Give the trouble that a broken connection is."""
        import httpx2

        name = self.provider.name
        chain = list(faults.causes(error))
        said = " ".join(str(one) for one in chain)
        if "CERTIFICATE_VERIFY_FAILED" in said:
            return Trouble(
                "denied",
                f"provider {name}: its certificate is not one that counts here; name a file of "
                f"certificates with `ca` in [provider.{name}]",
                permanent=True,
            )
        if any(isinstance(one, httpx2.UnsupportedProtocol | httpx2.InvalidURL) for one in chain):
            text = f"provider {name}: base_url is no address of a web server"
            return Trouble("denied", text, permanent=True)
        never = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.ProxyError)
        if any(isinstance(one, never) for one in chain):
            toll = Toll()
        silent = any(isinstance(one, httpx2.TimeoutException) for one in chain)
        what = "is silent" if silent else "broke the connection off"
        kind = type(chain[-1]).__name__
        text = f"provider {name} {what} ({kind}: {chain[-1]})"
        return Trouble("provider", faults.one_line(self.provider, text), toll=toll)

    def _status(self, error: "anthropic.APIStatusError") -> Trouble:
        headers = error.response.headers
        kind = str(error.type or "")
        said = error.api_message if isinstance(error.api_message, str) else ""
        return self._refused(
            error.status_code,
            f"{kind}: {said}" if said else kind,
            code=str(error.error_code or ""),
            retry_after=faults.retry_after(headers),
            never=headers.get("x-should-retry") == "false",
            ask_for=str(error.request_id or ""),
        )

    def _refused(
        self,
        status: int,
        said: str,
        *,
        code: str = "",
        retry_after: float | None = None,
        never: bool = False,
        ask_for: str = "",
        toll: Toll | None = None,
    ) -> Trouble:
        """Give the trouble that an error of the API is; ``ask_for`` is the request's id."""
        spent = "spend_limit" in code
        again = faults.passing(status) and not spent
        remedy = (
            "the account's spend limit is reached"
            if spent
            else faults.remedy(self.provider, status)
        )
        parts = [f"provider {self.provider.name} answered {status}", said, remedy]
        text = "; ".join(part for part in parts if part) + (f" [{ask_for}]" if ask_for else "")
        return Trouble(
            "provider" if again else "denied",
            faults.one_line(self.provider, text),
            status=status,
            permanent=never or not again,
            retry_after=retry_after if again else None,
            toll=toll,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Opened:
    client: "anthropic.Anthropic"
    wire: "Wire"


class _ErrorEventError(Exception):
    """The API reported an error in the middle of a stream."""

    def __init__(self, error: Mapping[str, Any]) -> None:
        kind = str(error.get("type", ""))
        super().__init__(kind)
        self.said = f"{kind}: {error.get('message', '')}"
        self.status = _STATUS.get(kind, 500)
        details = error.get("details")
        self.code = str(details.get("error_code", "")) if isinstance(details, dict) else ""


def _events(client: "anthropic.Anthropic", request: Request, draft: Draft) -> Generator[Block]:
    """Give the events of the stream as they come, pings left out."""
    import anthropic

    # Encoded here, once: `messages.create` walks and copies the whole conversation before that,
    # which is half of what a call costs this process.
    with client.post(
        "/v1/messages",
        content=encoded({**request.body, "stream": True}),
        cast_to=object,
        stream=True,
        stream_cls=anthropic.Stream[object],
    ) as stream:
        answer = stream.response
        draft.request_id = _one_word(answer.headers.get("request-id", ""))
        kind = answer.headers.get("content-type", "nothing").split(";")[0].strip()
        if kind.lower() != "text/event-stream":
            raise UnfitError(
                f"it answered {answer.status_code} with {kind} where a stream of events was due; "
                "does base_url lead to the API, and is there a portal in between?"
            )
        for sent in anthropic.Stream.raw_events(answer):
            if sent.event == "ping" or not sent.data:
                continue
            event = as_object(json.loads(sent.data))
            if event.get("type") == "error":
                raise _ErrorEventError(as_object(event.get("error")))
            yield event


def _one_word(text: str) -> str:
    return "".join(printable(text.encode("utf-8", "replace")).split())[:80]
