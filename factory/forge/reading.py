"""What a forge tells of one repository, asked for and read into our values."""

import base64
import binascii
import urllib.request
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final
from urllib.parse import urlsplit

from typing_extensions import override

from factory.forge import answers, around, queries
from factory.forge.answers import Part
from factory.forge.failures import Denied, ForgeError, Missing, Unreachable
from factory.forge.values import (
    Annotation,
    Around,
    ChangedFile,
    Changes,
    Check,
    Comment,
    Commit,
    Edit,
    Happened,
    Issue,
    Page,
    Pull,
    Rate,
    Reference,
    Repository,
    Review,
    Rules,
    Status,
    Thread,
)
from factory.forge.wire import (
    DENIED,
    FOUND,
    MOST_PAGES,
    NOT_MODIFIED,
    PAGE,
    Wire,
    following,
    listed,
    path_of,
    segment,
)

_LOG_CHUNK: Final = 64 * 1024
_MOST_LOG: Final = 64 * 1024 * 1024
_TAIL: Final = 256 * 1024
_LOG_TIMEOUT: Final = 20


class Reading(Wire):
    """Reads what is there; nothing here changes anything."""

    _me = ""

    def repository(self) -> Repository:
        """Give the repository itself."""
        return answers.repository(self._one(self._at))

    def me(self) -> str:
        """Give the login under which this token writes."""
        if not self._me:
            try:
                self._me = self._one("/user").text("login")
            except Denied as error:
                if error.status != DENIED:
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

    def page(self, *, since: datetime | None, place: int = 1, etag: str = "") -> Page:
        """Give a page of all issues and pull requests, the longest unchanged first.

        With the ``etag`` of last time, a page that is still so is not sent again.
        """
        asked: dict[str, str | int] = {"state": "all", "sort": "updated", "direction": "asc"}
        if since is not None:
            asked["since"] = since.strftime("%Y-%m-%dT%H:%M:%SZ")
        if place > 1:
            asked["page"] = place
        path = f"{self._at}/issues"
        answer = self._asked(path, {**asked, "per_page": PAGE}, etag)
        if answer.status == NOT_MODIFIED:
            return Page(issues=None, etag=etag, following=False)
        return Page(
            issues=tuple(map(answers.issue, listed(answer.text, path))),
            etag=answer.headers.get("etag", ""),
            following=bool(following(answer.headers.get("link", ""))),
        )

    def search(self, query: str, *, full: str = "", limit: int = PAGE) -> tuple[Issue, ...]:
        """Give what the forge's search finds in this repository, the best first.

        The search follows no renaming: ``full`` is the repository's name of today.
        """
        asked = {"q": f"repo:{full or self.repo.full} {query}"}
        found = self._list("/search/issues", asked, key="items", limit=limit)
        return tuple(map(answers.issue, found))

    def around(self, numbers: Sequence[int]) -> tuple[Around, ...]:
        """Give what surrounds these items, without those that are gone; a few per request."""
        found: list[Around] = []
        for asked in _parted(numbers, around.MOST):
            found += around.read(self._several(around.question(asked)), asked)
        return tuple(found)

    def changes(self, numbers: Sequence[int]) -> tuple[Changes, ...]:
        """Give what these pull requests change, without those that are gone; many per request."""
        found: list[Changes] = []
        for asked in _parted(numbers, around.MOST_CHANGES):
            found += around.read_changes(self._several(around.changes_question(asked)), asked)
        return tuple(found)

    def _several(self, query: str) -> Part:
        naming = {"owner": self.repo.owner, "name": self.repo.name}
        return self._query(query, naming, gone=True).part("repository")

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
        for _ in range(MOST_PAGES):
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
        path = f"{self._at}/commits/{segment(sha)}/check-runs"
        return tuple(map(answers.check, self._list(path, asked, key="check_runs")))

    def statuses(self, sha: str) -> tuple[Status, ...]:
        """Give the newest status of each context on a commit."""
        path = f"{self._at}/commits/{segment(sha)}/status"
        return tuple(map(answers.status, self._list(path, key="statuses")))

    def annotations(self, check_id: int) -> tuple[Annotation, ...]:
        """Give what a check says about lines."""
        path = f"{self._at}/check-runs/{check_id}/annotations"
        return tuple(map(answers.annotation, self._list(path)))

    def job_log(self, check_id: int, *, cap: int = _TAIL) -> str:
        """Give the end of the log of a check that Actions ran; its id is also the job's."""
        path = f"{self._at}/actions/jobs/{check_id}/logs"
        answer = self._patient("GET", path, again=True)
        if answer.status == FOUND:
            return self._tail(answer.headers.get("location", ""), cap)
        self._judge(answer, f"GET {path}")
        return answer.text[-cap:]

    def rules(self, branch: str) -> Rules:
        """Give what a branch demands, from rulesets and from the older protection."""
        name = segment(branch)
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
            path = f"{self._at}/collaborators/{segment(login)}/permission"
            return self._one(path).text("permission")
        except Missing:
            return "none"

    def labels(self) -> tuple[str, ...]:
        """Give the names of the repository's labels."""
        return tuple(part.text("name") for part in self._list(f"{self._at}/labels"))

    def branch(self, name: str) -> str | None:
        """Give the commit that a branch is at; None when there is no such branch."""
        try:
            found = self._one(f"{self._at}/branches/{segment(name)}")
        except Missing:
            return None
        return found.part("commit").text("sha")

    def content(self, path: str, ref: str) -> bytes | None:
        """Give a file of a commit or branch, of at most a megabyte; None where there is none."""
        try:
            found = self._one(f"{self._at}/contents/{path_of(path)}", {"ref": ref})
        except Missing:
            return None
        try:
            return base64.b64decode(found.words("content"))
        except binascii.Error as error:
            raise ForgeError(f"{path}: its content is no base64") from error

    def queued(self, number: int) -> bool:
        """Say whether a pull request is in its base's merge queue."""
        found = self._query(queries.QUEUED, self._naming(number))
        return found.part("repository").part("pullRequest").flag("isInMergeQueue")

    def dispatched(self, workflow: str, sha: str) -> bool:
        """Say whether a workflow was started by a call on this commit."""
        asked = {"event": "workflow_dispatch", "head_sha": sha}
        runs = self._list(f"{self._at}/actions/runs", asked, key="workflow_runs")
        # A run's path bears a ref behind an @ where the file is another repository's.
        files = (run.words("path").partition("@")[0] for run in runs)
        return any(file.rpartition("/")[2] == workflow for file in files)

    def _seen_from_outside(self, name: str) -> tuple[Part | None, bool]:
        """Give what of the older protection anybody may read, and whether that is all."""
        try:
            branch = self._one(f"{self._at}/branches/{name}")
        except Missing:
            return None, True
        if not branch.flag("protected"):
            return None, True
        return branch.part_or_none("protection"), False

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
            with opener.open(address, timeout=_LOG_TIMEOUT) as stream:
                while read < _MOST_LOG and (chunk := stream.read(_LOG_CHUNK)):
                    read += len(chunk)
                    held += chunk
                    del held[: -2 * cap]
        except (OSError, ValueError) as error:
            raise Unreachable(f"the log was not read ({type(error).__name__})") from error
        return held.decode(errors="replace")[-cap:]


def _parted(numbers: Sequence[int], most: int) -> Iterator[Sequence[int]]:
    return (numbers[start : start + most] for start in range(0, len(numbers), most))


class _Still(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: where a log lies was checked for one address."""

    @override
    def redirect_request(self, *_: object) -> None:
        return None
