"""One request of an agent's own client on its way to the provider, and its reply on the way back.

What comes is handed on piece by piece while it is read what it took; what went wrong is told in
the words that every call has, so that the one owner of retries and budgets can act on it.
"""

import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, Protocol

from typing_extensions import override

from stations.models import faults
from stations.models.asking import Hear, Reply, Request, Toll, Trouble
from stations.models.dialects import Dialect, Reader, said
from stations.models.values import Cause, Provider

if TYPE_CHECKING:
    import httpx2

    from stations.models.wire import Wire

_ANSWER_BYTES: Final = 1024 * 1024
_BYTES_PER_TOKEN: Final = 3


class Upstream:
    """The connections to one provider, shared by all attempts of a process."""

    def __init__(self, provider: Provider) -> None:
        self.provider = provider
        self._lock = threading.Lock()
        self._wire: Wire | None = None

    def wire(self) -> "Wire":
        """Give the wire, opened when it is first needed."""
        from stations.models.wire import Wire

        with self._lock:
            if self._wire is None:
                self._wire = Wire(self.provider)
            return self._wire

    def warm(self) -> None:
        """Load in a thread of its own what is slow to load."""
        threading.Thread(target=self.wire, name="warming", daemon=True).start()

    def close(self) -> None:
        """Cut what is under way and close every connection."""
        with self._lock:
            wire, self._wire = self._wire, None
        if wire is not None:
            wire.close()

    def url(self, path: str) -> str:
        """Give the address of a path of the API, whether or not the base ends with its version."""
        return self.provider.base_url.rstrip("/").removesuffix("/v1") + path

    def one_line(self, text: str) -> str:
        """Give text of a server as one short line without any secret of ours."""
        return faults.one_line(self.provider, text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel(Request):
    """A request whose body is the agent's own, of which only the sizes count."""

    raw: bytes

    @property
    @override
    def size(self) -> int:
        """The bytes of the request."""
        return len(self.raw)


class Client(Protocol):
    """Whoever asked, at the other end of a connection; each but ``gone`` may raise OSError."""

    def gone(self) -> bool:
        """Say whether it has hung up."""
        ...

    def begin(self, kind: str, headers: Mapping[str, str]) -> None:
        """Begin to answer with what will come piece by piece."""
        ...

    def piece(self, data: bytes) -> None:
        """Pass on a piece at once."""
        ...

    def end(self) -> None:
        """Say that the answer is complete."""
        ...


class Passage:
    """One request on its way: a door that hands every piece on instead of keeping the reply."""

    def __init__(
        self,
        client: Client,
        upstream: Upstream,
        dialect: Dialect,
        *,
        url: str,
        headers: Mapping[str, str],
        raw: bytes,
    ) -> None:
        self.begun = False
        """Whether something of a reply has reached the client: then no other try is possible."""
        self._client, self._upstream = client, upstream
        self._dialect: Dialect = dialect
        self._url, self._headers, self._raw = url, dict(headers), raw
        self._tokens_in = -(-len(raw) // _BYTES_PER_TOKEN)
        self._held = bytearray()

    def stream(
        self,
        request: Request,  # noqa: ARG002 - the passage was given it
        *,
        stop: threading.Event,
        hear: Hear | None = None,  # noqa: ARG002 - the protocol's signature
    ) -> Reply:
        """Ask once and pass the reply on, or raise Trouble."""
        import httpx2

        if self._client.gone():
            raise Trouble("stopped", "the agent asks no longer", permanent=True)
        reader = Reader(self._dialect)
        trouble: Trouble | None
        wire = self._upstream.wire()
        with wire.hold(stop) as hold:
            try:
                with wire.client.stream(
                    "POST",
                    self._url,
                    content=self._raw,
                    headers=self._headers,
                ) as response:
                    kind = response.headers.get("content-type", "").split(";")[0].strip()
                    if response.status_code != HTTPStatus.OK:
                        trouble = self._status(response)
                    elif kind == "text/event-stream":
                        trouble = self._pass_on(response, reader)
                    elif kind == "application/json":
                        trouble = self._hand_over(response, reader)
                    else:
                        trouble = self._trouble("incomplete", "what came is no reply", again=True)
            except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError, OSError) as error:
                trouble = self._broken(error, reader, sent=hold.sent > 0, why=hold.why)
        if trouble is not None:
            raise trouble
        return Reply(
            content=(),
            stop_reason="",
            usage=reader.usage if reader.usage.requests else reader.counted(self._tokens_in),
            request_id="",
            model=reader.model,
            estimated=not reader.usage.requests,
        )

    def finish(self) -> None:
        """Hand the end of the reply over, which makes it one: only once it has been paid."""
        with suppress(OSError):
            self._client.piece(bytes(self._held))
            self._client.end()

    def _pass_on(self, response: "httpx2.Response", reader: Reader) -> Trouble | None:
        """Pass a stream on as it comes."""
        for data in response.iter_bytes():
            reader.stream(data)
            try:
                if not self.begun:
                    self.begun = True
                    self._client.begin(response.headers["content-type"], response.headers)
                if reader.ended:
                    self._held += data
                else:
                    self._client.piece(data)
            except OSError:
                return self._left(reader)
        if reader.ended:
            return None
        why = f"the reply broke off ({reader.fault})" if reader.fault else "the reply broke off"
        return self._trouble("incomplete", why, toll=self._toll(reader), again=not self.begun)

    def _hand_over(self, response: "httpx2.Response", reader: Reader) -> Trouble | None:
        """Pass on a reply in one piece, once it is whole."""
        body = response.read()
        reader.whole(body)
        if not reader.ended:
            return self._trouble("incomplete", "what came is no JSON", again=True)
        self.begun = True
        self._held += body
        try:
            self._client.begin("application/json", response.headers)
        except OSError:
            return self._left(reader)
        return None

    def _left(self, reader: Reader) -> Trouble:
        return Trouble("stopped", "the agent hung up", permanent=True, toll=self._toll(reader))

    def _toll(self, reader: Reader) -> Toll:
        return Toll(usage=reader.counted(self._tokens_in), sent=True)

    def _broken(self, error: Exception, reader: Reader, *, sent: bool, why: str) -> Trouble:
        import httpx2

        toll = self._toll(reader) if sent else Toll()
        if why == "stopped":
            return Trouble("stopped", "stopped in the middle of a call", permanent=True, toll=toll)
        causes = list(faults.causes(error))
        if any("CERTIFICATE_VERIFY_FAILED" in str(one) for one in causes):
            name = self._upstream.provider.name
            text = (
                f"its certificate does not count here; name a file with `ca` in [provider.{name}]"
            )
            return self._trouble("denied", text, again=False)
        if any(isinstance(one, httpx2.UnsupportedProtocol | httpx2.InvalidURL) for one in causes):
            return self._trouble("denied", "base_url is no address of a web server", again=False)
        never = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.ProxyError)
        if any(isinstance(one, never) for one in causes):
            toll = Toll()
        text = f"it broke the connection off ({type(causes[-1]).__name__}: {causes[-1]})"
        return self._trouble("provider", text, toll=toll, again=not self.begun)

    def _status(self, response: "httpx2.Response") -> Trouble:
        """Give the trouble that an error of the provider is."""
        status = response.status_code
        text, code = said(_at_most(response, _ANSWER_BYTES))
        spent = "spend_limit" in code or code == "insufficient_quota"
        again = faults.passing(status) and not spent
        remedy = (
            "the account's spend limit is reached"
            if spent
            else faults.remedy(self._upstream.provider, status)
        )
        parts = [f"it answered {status}", text, remedy]
        return self._trouble(
            "provider" if again else "denied",
            "; ".join(part for part in parts if part),
            status=status,
            retry_after=faults.retry_after(response.headers) if again else None,
            again=again,
        )

    def _trouble(
        self,
        cause: Cause,
        text: str,
        *,
        again: bool,
        status: int = 0,
        retry_after: float | None = None,
        toll: Toll | None = None,
    ) -> Trouble:
        line = self._upstream.one_line(f"provider {self._upstream.provider.name}: {text}")
        return Trouble(
            cause,
            line,
            status=status,
            permanent=not again,
            retry_after=retry_after,
            toll=toll,
        )


def _at_most(response: "httpx2.Response", most: int) -> bytes:
    data = bytearray()
    for piece in response.iter_bytes():
        data += piece
        if len(data) > most:
            break
    return bytes(data[:most])
