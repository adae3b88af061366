"""The one door to GitHub's API: PyGithub sends, our values come out, every wait has a bound.

Reading is repeated a few times; a write is sent once, and again only after a rate limit refused
it, for then nothing happened. What is wrong is a `ForgeError`. PyGithub's own objects are not
used: their attributes ask for themselves, one request each, and know no ETag.
"""

import base64
import binascii
import json
import logging
import queue
import threading
import time
import urllib.request
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import quote, urlsplit

from typing_extensions import override

from factory.forge import answers, queries
from factory.forge.answers import Part
from factory.forge.app import App, Granted
from factory.forge.cache import Cache, Known
from factory.forge.failures import (
    Denied,
    ForgeError,
    Limited,
    Missing,
    Refused,
    Unknown,
    Unreachable,
    sorted_out,
)
from factory.forge.values import (
    Annotation,
    ChangedFile,
    Check,
    Comment,
    Commit,
    Edit,
    Happened,
    Issue,
    Pull,
    Rate,
    Reference,
    Repo,
    Repository,
    Review,
    Rules,
    Status,
    Thread,
)

if TYPE_CHECKING:
    from github import Github

How = Literal["merge", "squash", "rebase"]
Parameters = Mapping[str, str | int]

_PAGE: Final = 100
_REPEATS: Final = 4
_BACKOFF: Final = 0.5
_SECONDARY: Final = 60.0
"""Seconds to wait after a secondary limit that does not say how long."""
_PACE: Final = ((80, 60.0), (500, 3600.0))
"""So many writes in so many seconds are what GitHub allows."""
_MOST_PAGES: Final = 100
_LOG_CHUNK: Final = 64 * 1024
_MOST_LOG: Final = 64 * 1024 * 1024
_MULTIPLE, _BAD = 300, 400
_NOT_MODIFIED, _FOUND = 304, 302
_DENIED, _TOO_MANY, _BROKEN = 403, 429, 500
_TAIL: Final = 256 * 1024


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


class Door:
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
        self.repo = repo
        self.api_url = api_url.rstrip("/")
        self.requests = 0
        self._token = token
        self._cache = cache
        self._max_wait = max_wait
        self._say = say
        self._wait: Callable[[float], object] = threading.Event().wait if wait is None else wait
        self._timeout = timeout
        self._make: Callable[[], Github] = lambda: _client(
            self.api_url, token, timeout=timeout, ca=ca
        )
        # PyGithub keeps a request in its connection until it is sent: two threads on one client
        # would send each other's. So each request has a client for itself while it runs.
        self._idle: queue.LifoQueue[Github] = queue.LifoQueue()
        self._at = f"/repos/{_part(repo.owner)}/{_part(repo.name)}"
        # Guards the count and the pace, which all threads share.
        self._lock = threading.Lock()
        self._written: deque[float] = deque(maxlen=max(most for most, _ in _PACE))
        self._me = ""

    def close(self) -> None:
        """Close the connections."""
        while not self._idle.empty():
            self._idle.get_nowait().close()

    # What is there

    def repository(self) -> Repository:
        """Give the repository itself."""
        return answers.repository(self._one(self._at))

    def me(self) -> str:
        """Give the login under which this token writes."""
        if not self._me:
            try:
                self._me = self._one("/user").text("login")
            except Denied as error:
                if error.status != _DENIED:
                    raise
                # An App's token is nobody's; GraphQL names its account, at times without suffix.
                login = self._query(queries.VIEWER, {}).part("viewer").text("login")
                self._me = f"{login.removesuffix('[bot]')}[bot]"
        return self._me

    def rate(self) -> Rate:
        """Give how many requests are left; asking that is free."""
        return answers.rate(self._one("/rate_limit", fresh=True))

    def issue(self, number: int) -> Issue:
        """Give an issue or what a pull request has of one."""
        return answers.issue(self._one(f"{self._at}/issues/{number}"))

    def issues(
        self,
        *,
        state: str = "open",
        labels: Sequence[str] = (),
        since: datetime | None = None,
        limit: int = 1000,
    ) -> tuple[Issue, ...]:
        """Give issues and pull requests, the newest first, at most ``limit``."""
        asked: dict[str, str | int] = {"state": state, "sort": "created", "direction": "desc"}
        if labels:
            asked["labels"] = ",".join(labels)
        if since is not None:
            asked["since"] = since.strftime("%Y-%m-%dT%H:%M:%SZ")
        return tuple(map(answers.issue, self._list(f"{self._at}/issues", asked, limit=limit)))

    def comments(self, number: int, *, since: datetime | None = None) -> tuple[Comment, ...]:
        """Give what was said on an issue or a pull request as a whole, oldest first."""
        asked = {} if since is None else {"since": since.strftime("%Y-%m-%dT%H:%M:%SZ")}
        path = f"{self._at}/issues/{number}/comments"
        return tuple(map(answers.comment, self._list(path, asked)))

    def timeline(self, number: int) -> tuple[Happened, ...]:
        """Give what happened to an issue or pull request, oldest first."""
        path = f"{self._at}/issues/{number}/timeline"
        return tuple(map(answers.happened, self._list(path)))

    def edits(self, number: int) -> tuple[Edit, ...]:
        """Give the changes of an issue's text, which its timeline does not hold."""
        found = self._query(queries.EDITS, self._naming(number))
        return answers.edits(found.part("repository").part("issue"))

    def references(self, number: int) -> tuple[Reference, ...]:
        """Give what closes or names an issue, or what a pull request closes and who names it."""
        asked = self._naming(number)
        try:
            found = self._query(queries.ISSUE_REFERENCES, asked)
            return answers.references(found.part("repository").part("issue"))
        except Missing:
            found = self._query(queries.PULL_REFERENCES, asked)
            return answers.references(found.part("repository").part("pullRequest"))

    def pull(self, number: int) -> Pull:
        """Give a pull request."""
        return answers.pull(self._one(f"{self._at}/pulls/{number}"))

    def pulls(
        self, *, head: str = "", base: str = "", state: str = "open", limit: int = 1000
    ) -> tuple[Pull, ...]:
        """Give pull requests, the newest first; ``head`` is ``owner:branch``."""
        named = {name: value for name, value in (("head", head), ("base", base)) if value}
        asked = {**named, "state": state, "sort": "created", "direction": "desc"}
        return tuple(map(answers.pull, self._list(f"{self._at}/pulls", asked, limit=limit)))

    def files(self, number: int) -> tuple[ChangedFile, ...]:
        """Give the files that a pull request changes; GitHub lists at most 3,000."""
        path = f"{self._at}/pulls/{number}/files"
        return tuple(map(answers.changed_file, self._list(path)))

    def commits(self, number: int) -> tuple[Commit, ...]:
        """Give the commits of a pull request, oldest first; GitHub lists at most 250."""
        return tuple(map(answers.commit, self._list(f"{self._at}/pulls/{number}/commits")))

    def reviews(self, number: int) -> tuple[Review, ...]:
        """Give the reviews of a pull request, oldest first."""
        return tuple(map(answers.review, self._list(f"{self._at}/pulls/{number}/reviews")))

    def threads(self, number: int) -> tuple[Thread, ...]:
        """Give the talks about lines of a pull request, each with its first 100 comments."""
        found: list[Thread] = []
        after: str | None = None
        for _ in range(_MOST_PAGES):
            asked = {**self._naming(number), "after": after}
            pull = self._query(queries.THREADS, asked).part("repository").part("pullRequest")
            found += map(answers.thread, pull.nodes("reviewThreads"))
            page = pull.part("reviewThreads").part("pageInfo")
            if not page.flag("hasNextPage"):
                break
            after = page.text("endCursor")
        return tuple(found)

    def checks(self, sha: str, *, name: str = "") -> tuple[Check, ...]:
        """Give the newest check run of each name on a commit."""
        asked = {"filter": "latest", **({"check_name": name} if name else {})}
        path = f"{self._at}/commits/{_part(sha)}/check-runs"
        return tuple(map(answers.check, self._list(path, asked, key="check_runs")))

    def statuses(self, sha: str) -> tuple[Status, ...]:
        """Give the newest status of each context on a commit."""
        path = f"{self._at}/commits/{_part(sha)}/status"
        return tuple(map(answers.status, self._list(path, key="statuses")))

    def annotations(self, check_id: int) -> tuple[Annotation, ...]:
        """Give what a check says about lines."""
        path = f"{self._at}/check-runs/{check_id}/annotations"
        return tuple(map(answers.annotation, self._list(path)))

    def job_log(self, check_id: int, *, cap: int = _TAIL) -> str:
        """Give the end of the log of a check that Actions ran; its id is also the job's."""
        path = f"{self._at}/actions/jobs/{check_id}/logs"
        answer = self._patient("GET", path, again=True)
        if answer.status == _FOUND:
            return self._tail(answer.headers.get("location", ""), cap)
        self._judge(answer, f"GET {path}")
        return answer.text[-cap:]

    def rules(self, branch: str) -> Rules:
        """Give what a branch demands, from rulesets and from the older protection."""
        name = _part(branch)
        newer = tuple(self._list(f"{self._at}/rules/branches/{name}"))
        older: Part | None
        try:
            older = self._one(f"{self._at}/branches/{name}/protection")
        except (Missing, Denied) as error:
            if isinstance(error, Missing) and "not protected" in error.message:
                return answers.rules(newer, None, whole=True)
            older, whole = self._seen_from_outside(name)
            return answers.rules(newer, older, whole=whole)
        return answers.rules(newer, older, whole=True)

    def permission(self, login: str) -> str:
        """Give what somebody may do: none, read, write or admin."""
        try:
            path = f"{self._at}/collaborators/{_part(login)}/permission"
            return self._one(path).text("permission")
        except Missing:
            return "none"

    def labels(self) -> tuple[str, ...]:
        """Give the names of the repository's labels."""
        return tuple(part.text("name") for part in self._list(f"{self._at}/labels"))

    def branch(self, name: str) -> str | None:
        """Give the commit that a branch is at; None when there is no such branch."""
        try:
            found = self._one(f"{self._at}/branches/{_part(name)}")
        except Missing:
            return None
        return found.part("commit").text("sha")

    def content(self, path: str, ref: str) -> bytes | None:
        """Give a file of a commit or branch, of at most a megabyte; None where there is none."""
        try:
            found = self._one(f"{self._at}/contents/{_path(path)}", {"ref": ref})
        except Missing:
            return None
        try:
            return base64.b64decode(found.words("content"))
        except binascii.Error as error:
            raise ForgeError(f"{path}: its content is no base64") from error

    # What is written, each once

    def create_pull(self, *, head: str, base: str, title: str, body: str, draft: bool) -> Pull:
        """Open a pull request from a branch of this repository, or ``owner:branch`` of a fork."""
        sent = {"head": head, "base": base, "title": title, "body": body, "draft": draft}
        return answers.pull(self._write("POST", f"{self._at}/pulls", sent))

    def edit_pull(
        self,
        number: int,
        *,
        title: str | None = None,
        body: str | None = None,
        base: str | None = None,
        state: str | None = None,
    ) -> Pull:
        """Change what a pull request says, where it goes, or whether it is open."""
        given = {"title": title, "body": body, "base": base, "state": state}
        sent = {name: value for name, value in given.items() if value is not None}
        return answers.pull(self._write("PATCH", f"{self._at}/pulls/{number}", sent))

    def create_comment(self, number: int, body: str) -> Comment:
        """Say something on an issue or a pull request."""
        path = f"{self._at}/issues/{number}/comments"
        return answers.comment(self._write("POST", path, {"body": body}))

    def edit_comment(self, comment_id: int, body: str) -> Comment:
        """Say it in other words."""
        path = f"{self._at}/issues/comments/{comment_id}"
        return answers.comment(self._write("PATCH", path, {"body": body}))

    def delete_comment(self, comment_id: int) -> None:
        """Take it back."""
        self._send("DELETE", f"{self._at}/issues/comments/{comment_id}")

    def add_labels(self, number: int, names: Sequence[str]) -> tuple[str, ...]:
        """Add labels to an issue or pull request, and give all that it has then."""
        path = f"{self._at}/issues/{number}/labels"
        answer = self._send("POST", path, {"labels": list(names)})
        return tuple(part.text("name") for part in _parts(answer.text, path))

    def remove_label(self, number: int, name: str) -> None:
        """Take a label off."""
        self._send("DELETE", f"{self._at}/issues/{number}/labels/{_part(name)}")

    def create_check(
        self,
        sha: str,
        *,
        name: str,
        status: str,
        conclusion: str | None = None,
        title: str,
        summary: str,
        external_id: str = "",
        url: str = "",
    ) -> Check:
        """Report a check on a commit; only an App's token may."""
        sent = {"name": name, "head_sha": sha, **_told(status, conclusion, title, summary)}
        sent |= {"external_id": external_id} if external_id else {}
        sent |= {"details_url": url} if url else {}
        return answers.check(self._write("POST", f"{self._at}/check-runs", sent))

    def update_check(
        self,
        check_id: int,
        *,
        status: str,
        conclusion: str | None = None,
        title: str,
        summary: str,
        url: str = "",
    ) -> Check:
        """Report how a check goes on."""
        sent = _told(status, conclusion, title, summary)
        sent |= {"details_url": url} if url else {}
        return answers.check(self._write("PATCH", f"{self._at}/check-runs/{check_id}", sent))

    def request_reviews(
        self, number: int, *, people: Sequence[str] = (), teams: Sequence[str] = ()
    ) -> None:
        """Ask people and teams to look at a pull request."""
        sent = {"reviewers": list(people), "team_reviewers": list(teams)}
        self._send("POST", f"{self._at}/pulls/{number}/requested_reviewers", sent)

    def merge(
        self, number: int, *, sha: str, how: How = "merge", title: str = "", message: str = ""
    ) -> str:
        """Merge a pull request whose head is exactly this commit, and give the merged commit."""
        sent = {"sha": sha, "merge_method": how}
        sent |= {"commit_title": title} if title else {}
        sent |= {"commit_message": message} if message else {}
        return self._write("PUT", f"{self._at}/pulls/{number}/merge", sent).text("sha")

    def enable_auto_merge(self, pull: Pull, *, how: How, sha: str) -> None:
        """Let the forge merge this commit as soon as its rules allow."""
        given = {"id": pull.node, "how": how.upper(), "sha": sha}
        self._query(queries.AUTO_MERGE, given, writes=True)

    def disable_auto_merge(self, pull: Pull) -> None:
        """Let the forge not merge it by itself."""
        self._query(queries.NO_AUTO_MERGE, {"id": pull.node}, writes=True)

    def enqueue(self, pull: Pull, *, sha: str) -> None:
        """Put this commit into the merge queue of its base branch."""
        self._query(queries.ENQUEUE, {"id": pull.node, "sha": sha}, writes=True)

    def queued(self, number: int) -> bool:
        """Say whether a pull request is in its base's merge queue."""
        found = self._query(queries.QUEUED, self._naming(number))
        return found.part("repository").part("pullRequest").flag("isInMergeQueue")

    def ready(self, pull: Pull) -> None:
        """Let a draft be a draft no longer."""
        self._query(queries.READY, {"id": pull.node}, writes=True)

    def resolve(self, thread_id: str) -> None:
        """Call the talk about a line settled."""
        self._query(queries.RESOLVE, {"id": thread_id}, writes=True)

    def answer(self, thread_id: str, body: str) -> None:
        """Say something in the talk about a line."""
        self._query(queries.ANSWER, {"id": thread_id, "body": body}, writes=True)

    def create_ref(self, ref: str, sha: str) -> None:
        """Make a ref such as ``refs/heads/x``; `Refused` when it exists."""
        self._send("POST", f"{self._at}/git/refs", {"ref": ref, "sha": sha})

    def delete_ref(self, ref: str) -> None:
        """Remove a ref such as ``refs/heads/x``."""
        self._send("DELETE", f"{self._at}/git/{_path(ref)}")

    def dispatch(self, workflow: str, *, ref: str, inputs: Mapping[str, str] | None = None) -> None:
        """Start a workflow by the name of its file."""
        path = f"{self._at}/actions/workflows/{_part(workflow)}/dispatches"
        self._send("POST", path, {"ref": ref, "inputs": dict(inputs or {})})

    def dispatched(self, workflow: str, sha: str) -> bool:
        """Say whether a workflow was started by a call on this commit."""
        asked = {"event": "workflow_dispatch", "head_sha": sha}
        runs = self._list(f"{self._at}/actions/runs", asked, key="workflow_runs")
        # A run's path bears a ref behind an @ where the file is another repository's.
        files = (run.words("path").partition("@")[0] for run in runs)
        return any(file.rpartition("/")[2] == workflow for file in files)

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

    # How it is asked

    def _naming(self, number: int) -> dict[str, object]:
        return {"owner": self.repo.owner, "name": self.repo.name, "number": number}

    def _seen_from_outside(self, name: str) -> tuple[Part | None, bool]:
        """Give what of the older protection anybody may read, and whether that is all."""
        try:
            branch = self._one(f"{self._at}/branches/{name}")
        except Missing:
            return None, True
        if not branch.flag("protected"):
            return None, True
        return branch.part_or_none("protection"), False

    def _one(self, path: str, asked: Parameters | None = None, *, fresh: bool = False) -> Part:
        return Part(answers.document(self._read(path, asked, fresh=fresh).text, path), path)

    def _list(
        self,
        path: str,
        asked: Parameters | None = None,
        *,
        key: str = "",
        limit: int = _PAGE * _MOST_PAGES,
    ) -> Iterator[Part]:
        """Give the items of a list over all its pages; ``key`` is where an object holds them."""
        parameters: Parameters | None = {**(asked or {}), "per_page": min(_PAGE, limit)}
        here, left = path, limit
        for _ in range(_MOST_PAGES):
            answer = self._read(here, parameters)
            for part in _parts(answer.text, path, key)[:left]:
                yield part
                left -= 1
            following = _following(answer.headers.get("link", ""))
            if not following or left <= 0:
                return
            here, parameters = self._inside(following), None

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
        if answer.status == _NOT_MODIFIED and known is not None:
            return Answer(status=200, headers={"link": known.link}, text=known.body)
        self._judge(answer, f"GET {path}")
        etag = answer.headers.get("etag")
        if cache is not None and etag:
            link = answer.headers.get("link", "")
            cache.keep(address, Known(etag=etag, link=link, body=answer.text))
        return answer

    def _write(self, verb: str, path: str, body: object) -> Part:
        answer = self._send(verb, path, body)
        return Part(answers.document(answer.text, path), path)

    def _send(self, verb: str, path: str, body: object = None) -> Answer:
        self._pace()
        answer = self._patient(verb, path, body=body, again=False)
        self._judge(answer, f"{verb} {path}")
        return answer

    def _query(self, query: str, variables: Mapping[str, object], *, writes: bool = False) -> Part:
        """Ask in GraphQL; its refusals come with status 200."""
        if writes:
            self._pace()
        # .../api/v3 has its neighbour .../api/graphql; the public API has it below itself.
        address = f"{self.api_url.removesuffix('/v3')}/graphql"
        body = {"query": query, "variables": dict(variables)}
        answer = self._patient("POST", address, body=body, again=not writes)
        self._judge(answer, "GraphQL")
        told = Part(answers.document(answer.text, "GraphQL"), "GraphQL")
        for error in told.parts("errors"):
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
    def _client(self) -> Iterator["Github"]:
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
        if waited + pause > self._max_wait:
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

    def _tail(self, address: str, cap: int) -> str:
        """Read a log from where it is stored, without our token, and give its end."""
        parts = urlsplit(address)
        local = parts.hostname in {"127.0.0.1", "::1", "localhost"}
        if parts.scheme != "https" and not (parts.scheme == "http" and local):
            raise ForgeError("the log lies at an address that is not https; it is not read")
        held, read = bytearray(), 0
        with self._lock:
            self.requests += 1
        try:
            opener = urllib.request.build_opener(_Still)
            with opener.open(address, timeout=self._timeout) as stream:
                while read < _MOST_LOG and (chunk := stream.read(_LOG_CHUNK)):
                    read += len(chunk)
                    held += chunk
                    del held[: -2 * cap]
        except (OSError, ValueError) as error:
            raise Unreachable(f"the log was not read ({type(error).__name__})") from error
        return held.decode(errors="replace")[-cap:]


class _Still(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: where a log lies was checked for one address."""

    @override
    def redirect_request(self, *_: object) -> None:
        return None


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
        per_page=_PAGE,
        verify=ca or True,
        retry=0,
        pool_size=1,
        seconds_between_requests=0,
        seconds_between_writes=0,
    )


def _part(text: str) -> str:
    """Give a text as one part of an address, whatever it holds."""
    if text in {".", "..", ""}:
        raise Refused(f"{text!r} names nothing")
    return quote(text, safe="", errors="replace")


def _path(text: str) -> str:
    return "/".join(map(_part, text.split("/")))


def _told(status: str, conclusion: str | None, title: str, summary: str) -> dict[str, Any]:
    told: dict[str, Any] = {"status": status, "output": {"title": title, "summary": summary}}
    return told if conclusion is None else {**told, "conclusion": conclusion}


def _parts(text: str, about: str, key: str = "") -> list[Part]:
    found = answers.document(text, about)
    if key:
        return list(Part(found, about).parts(key))
    if not isinstance(found, list):
        raise ForgeError(f"{about}: the answer is no list")
    return [Part(item, about) for item in found]


def _following(link: str) -> str:
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
    if answer.status not in {_DENIED, _TOO_MANY} and not limited:
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
    except ValueError:
        return time.time()
