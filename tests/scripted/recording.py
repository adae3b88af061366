"""Record and replay: real answers of a model, kept once by whoever has a key, free ever after.

Recording forwards to an address that was given explicitly, with a key that no file ever holds.
A replay answers from the file, and what the file does not hold fails the test. Neither is an
evaluation of a model, and both say so: an answer that no model gave now bears the stamp.
"""

import hashlib
import json
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Final

from typing_extensions import override

from stations.models.values import Provider
from tests.scripted.strict import Json
from tests.scripted.transport import STAMP, Exchange, Seen, Server

SCHEMA: Final = "factory.recording/1"
_PATHS: Final = frozenset({"/v1/messages", "/v1/messages/count_tokens", "/v1/responses"})
_ASKED: Final = frozenset({"accept", "anthropic-beta", "anthropic-version", "content-type"})
_KEPT: Final = frozenset({"content-type", "retry-after", "retry-after-ms"})
_SECRETS: Final = re.compile(
    r"sk-[A-Za-z0-9_-]{16,}|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|AKIA[0-9A-Z]{16}"
    r"|xox[abprs]-[A-Za-z0-9-]{10,}|-----BEGIN [A-Z ]*PRIVATE KEY|Bearer\s+[A-Za-z0-9._-]{16,}"
)
_IDS: Final = re.compile(
    r"\b(?:toolu|srvtoolu|msg|req|call|fc|rs|resp)_[A-Za-z0-9_]+"
    r"|\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"
)
_DATES: Final = re.compile(
    r"\b20\d\d-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?"
)
_TEMPORARY: Final = re.compile(r"(?:/private)?/(?:var/)?tmp/[^\s\"'\\<>,;:)]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """A provider that really answers, as a person named it on the command line."""

    base_url: str
    key: str = field(repr=False)


def canonical_hash(path: str, body: object, *, cwd: str = "") -> str:
    """Give the same name to requests that differ in ids, directories and dates only."""
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    if cwd:
        text = text.replace(cwd, "<cwd>")
    text = _DATES.sub("<date>", _TEMPORARY.sub("<directory>", text))
    names: dict[str, str] = {}
    text = _IDS.sub(lambda found: names.setdefault(found[0], f"<id {len(names)}>"), text)
    return hashlib.sha256(f"{path}\n{text}".encode("utf-8", "replace")).hexdigest()


class RecordingServer(Server):
    """Forwards and keeps when it is given a live provider; else answers from its file.

    ``cwd`` is where the agent works, which is another place each time.
    """

    def __init__(self, file: Path, *, live: Live | None = None, cwd: str = "") -> None:
        super().__init__()
        self._file, self._live, self._cwd = file, live, cwd
        self._answers: dict[str, list[Json]] = {}
        self._taken: dict[str, int] = {}
        if live is None:
            document = json.loads(file.read_text("utf-8"))
            if document.get("schema") != SCHEMA:
                raise ValueError(f"{file} is no recording ({SCHEMA}); record it anew with --live")
            self._answers = document["answers"]

    @override
    def take(self, seen: Seen, headers: dict[str, str], exchange: Exchange) -> None:
        path = seen.path.partition("?")[0]
        with self.lock:
            self.seen.append(seen)
        if seen.method == "HEAD":
            exchange.send(200, b"")
            return
        if seen.method != "POST" or path not in _PATHS:
            self._fail(exchange, f"{seen.method} {path} is not recorded")
            return
        name = canonical_hash(path, seen.json(), cwd=self._cwd)
        if self._live is None:
            self._replay(name, seen, exchange)
        else:
            self._forward(self._live, name, seen, headers, exchange)

    def _replay(self, name: str, seen: Seen, exchange: Exchange) -> None:
        with self.lock:
            number = self._taken.get(name, 0)
            self._taken[name] = number + 1
            answers = self._answers.get(name, [])
        if number >= len(answers):
            where = f"{seen.path} ({seen.json().get('model')})"
            self._fail(exchange, f"{self._file.name} holds no answer to request {number} {where}")
            return
        _send(exchange, answers[number])

    def _forward(
        self, live: Live, name: str, seen: Seen, headers: dict[str, str], exchange: Exchange
    ) -> None:
        from stations.models.wire import Wire

        asked = {key: value for key, value in headers.items() if key in _ASKED}
        asked |= {"authorization": f"Bearer {live.key}", "accept-encoding": "identity"}
        provider = Provider(name="live", base_url=live.base_url, key=live.key)
        with Wire(provider) as wire, wire.hold(threading.Event()):
            url = f"{live.base_url.rstrip('/')}{seen.path}"
            answer = wire.client.post(url, content=seen.raw, headers=asked)
            body = answer.text
            kept = {key: value for key, value in answer.headers.items() if key in _KEPT}
            scripted = STAMP in answer.headers
        told = f"{seen.raw.decode('utf-8', 'replace')}{body}{json.dumps(kept)}"
        if live.key in told or _SECRETS.search(told):
            self._fail(exchange, "the request or its answer holds a secret; nothing was kept")
            return
        entry: Json = {
            "status": answer.status_code,
            "headers": kept,
            "body": body,
            "model": str(seen.json().get("model", "")),
            "recorded_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "scripted": scripted,
        }
        with self.lock:
            self._answers.setdefault(name, []).append(entry)
        _send(exchange, entry)

    def _fail(self, exchange: Exchange, why: str) -> None:
        self.fault(why)
        error = {"type": "error", "error": {"type": "api_error", "message": why}}
        exchange.send_json(500, error)

    @override
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None and kind is None and not self.faults:
            every = [one for answers in self._answers.values() for one in answers]
            document: Mapping[str, object] = {
                "schema": SCHEMA,
                "scripted": all(one["scripted"] for one in every),
                "note": "Answers that were recorded once. A replay says nothing about a model.",
                "answers": self._answers,
            }
            self._file.write_text(f"{json.dumps(document, indent=1)}\n", "utf-8")
        super().__exit__(kind, error, trace)


def _send(exchange: Exchange, entry: Json) -> None:
    headers = {"content-type": "application/json", **entry["headers"]}
    kind = headers.pop("content-type")
    exchange.send(entry["status"], entry["body"].encode(), kind=kind, **headers)
