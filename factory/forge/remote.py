"""The forge's git: fetch, list and push over https, as the token's owner, to an exact commit.

The token reaches git in an anonymous file of memory that only git and its helper inherit, as
configuration for this one address: it is in no argument, no variable, no file and no address.
Hooks, credential helpers, prompts and redirects are off. A push states what it replaces.
"""

import base64
import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Final
from urllib.parse import urlsplit

from factory.forge.failures import (
    Conflict,
    Denied,
    ForgeError,
    Missing,
    Refused,
    Unknown,
    Unreachable,
)
from worktrees.git import Answer, GitError, GitTimeout, Repository
from worktrees.names import OID_PATTERN, Oid

LOCAL: Final = frozenset({"127.0.0.1", "::1", "localhost"})
"""Where http without encryption may be spoken."""
_LONG: Final = 600.0
_PAUSES: Final = (0.0, 1.0, 3.0)
_REF: Final = re.compile(
    r"refs/(?!.*(?:\.\.|//|@\{|/\.|/$|\.$|\.lock(?:/|$)))[^\x00-\x20\x7f~^:?*\[\\]+"
)
_PATTERN: Final = re.compile(r"refs/[^\x00-\x20\x7f~^:\\]*")
_OLD: Final = "".join(
    f"\t{name} = ignore\n"
    for name in ("badTimezone", "missingSpaceBeforeDate", "zeroPaddedFilemode")
)
"""Harmless mistakes of old programs that stand in the history of well-known repositories."""
_STATUS: Final = re.compile(r"returned error: (\d{3})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Remote:
    """One repository of a forge as git sees it; ``url`` bears no user and no token."""

    repository: Repository
    url: str
    token: Callable[[], str] = field(repr=False)
    proxy: str | None = None
    ca: str | None = None
    wait: Callable[[float], object] | None = field(default=None, repr=False)

    def heads(self, pattern: str = "refs/heads/*") -> dict[str, Oid]:
        """Give the refs whose full names match a glob, and where they are."""
        if not _PATTERN.fullmatch(pattern):
            raise Refused(f"{pattern!r} is no pattern of refs")
        said = self._reading("ls-remote", "--refs", "--quiet", self.url, pattern)
        found = (line.partition("\t") for line in said.text.splitlines())
        return {
            ref: Oid(oid)
            for oid, _, ref in found
            if OID_PATTERN.fullmatch(oid) and fnmatchcase(ref, pattern)
        }

    def fetch(self, ref: str) -> Oid:
        """Bring a ref's commit and all that it needs, and give it; no ref is made here."""
        oid = self.heads(_named(ref)).get(ref)
        if oid is None:
            raise Missing(f"{self.url} has no {ref}")
        self._reading(
            "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules",
            "--no-auto-maintenance", self.url, oid,
        )  # fmt: skip
        return oid

    def push(self, ref: str, new: Oid, *, expect: Oid | None) -> None:
        """Let a ref be at ``new`` where it was at ``expect``; None means that it must not exist.

        `Conflict` when somebody else moved it. Where it already is at ``new``, nothing is done.
        """
        self._move(ref, new, expect)

    def delete(self, ref: str, *, expect: Oid) -> None:
        """Remove a ref that is at ``expect``; one that is gone stays gone."""
        self._move(ref, None, expect)

    def _move(self, ref: str, new: Oid | None, expect: Oid | None) -> None:
        _named(ref)
        for oid in (new, expect):
            if oid is not None and not OID_PATTERN.fullmatch(oid):
                raise Refused(f"{oid!r} is no commit")
        failure: ForgeError | None = None
        for pause in _PAUSES:
            if failure is not None:
                self._pause(pause)
            try:
                self._push(ref, new, expect)
            except (Unknown, Conflict) as error:
                failure = error
            else:
                return
            try:
                now = self.heads(ref).get(ref)
            except Unreachable:
                continue
            if now == new:
                return
            if now != expect:
                told = "is gone" if now is None else f"is at {now[:12]}"
                raise Conflict(f"{ref} {told}: somebody else moved it; it is left alone")
        raise failure or AssertionError

    def _push(self, ref: str, new: Oid | None, expect: Oid | None) -> None:
        with self._configured() as fd:
            answer = self._run(
                fd,
                "push", "--porcelain", "--no-verify", "--no-follow-tags", "--no-signed",
                "--recurse-submodules=no", f"--force-with-lease={ref}:{expect or ''}",
                self.url, f"{new or ''}:{ref}",
            )  # fmt: skip
        if not answer.code:
            return
        line = next((row for row in answer.text.splitlines() if row.startswith("!\t")), "")
        why = line.rpartition("\t")[2]
        # curl repeats a request whose connection broke: the second push meets the first one.
        if "stale info" in why or "failed to update ref" in why:
            raise Conflict(f"{ref} is not where it was believed to be")
        if line and "failed to push" not in why and "remote failure" not in why:
            said = " ".join(row[8:] for row in _lines(answer) if row.startswith("remote: "))
            raise Refused(f"push of {ref}: {why} {self._blank(said)}")
        raise self._sorted(answer, f"push of {ref}", Unknown)

    def _reading(self, *words: str) -> Answer:
        """Run what changes nothing there, a few times where the forge does not answer."""
        failure: ForgeError | None = None
        for pause in _PAUSES:
            if failure is not None:
                self._pause(pause)
            try:
                with self._configured() as fd:
                    answer = self._run(fd, *words)
            except Unknown as error:
                failure = Unreachable(error.message)
                continue
            if not answer.code:
                return answer
            failure = self._sorted(answer, words[0], Unreachable)
            if not isinstance(failure, Unreachable):
                break
        raise failure or AssertionError

    def _run(self, fd: int, *words: str) -> Answer:
        env = {
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "include.path",
            "GIT_CONFIG_VALUE_0": f"/proc/self/fd/{fd}",
        }
        env |= {"https_proxy": self.proxy} if self.proxy else {}
        try:
            return self.repository.git(*words, ok=range(256), timeout=_LONG, env=env, fds=(fd,))
        except GitTimeout as error:
            raise Unknown(f"git {words[0]} did not end in {_LONG:.0f} s") from error
        except GitError as error:
            raise ForgeError(f"git {words[0]}: {self._blank(str(error))}") from error

    @contextmanager
    def _configured(self) -> Iterator[int]:
        """Write git's configuration to a file that is nowhere, and give its number."""
        fd = os.memfd_create("factory-git", os.MFD_CLOEXEC)
        try:
            os.write(fd, self._configuration().encode())
            yield fd
        finally:
            os.close(fd)

    def _configuration(self) -> str:
        word = base64.b64encode(f"x-access-token:{self.token()}".encode()).decode()
        url = _quoted(self.url)
        parts = urlsplit(self.url)
        spoken = "http" if parts.scheme == "http" and parts.hostname in LOCAL else "https"
        ca = f"\tsslCAInfo = {_quoted(self.ca)}\n" if self.ca else ""
        # The empty values end what the repository's own configuration lists: a header that a
        # checkout left there would be sent beside ours. The rewrite of the address to itself is
        # longer than any other, so that none of the repository's leads elsewhere.
        return (
            f'[http]\n\textraHeader = ""\n\tfollowRedirects = false\n\tcookieFile = ""\n'
            f"\tlowSpeedLimit = 1000\n\tlowSpeedTime = 60\n"
            f'[http {url}]\n\textraHeader = ""\n\textraHeader = "Authorization: Basic {word}"\n'
            f"\tfollowRedirects = false\n{ca}"
            f"[url {url}]\n\tinsteadOf = {url}\n\tpushInsteadOf = {url}\n"
            f'[protocol "{spoken}"]\n\tallow = always\n'
            f'[credential]\n\thelper = ""\n[core]\n\taskPass = ""\n'
            f'[push]\n\tpushOption = ""\n[fetch]\n\tfsckObjects = true\n[fetch "fsck"]\n{_OLD}'
        )

    def _sorted(self, answer: Answer, about: str, lost: type[ForgeError]) -> ForgeError:
        # git tells a failed request in words alone; LC_ALL=C keeps them the same everywhere.
        said = self._blank(" ".join(_lines(answer)))
        met = _STATUS.search(said)
        status = int(met[1]) if met else 0
        if status == 401 or "Authentication failed" in said or "could not read Username" in said:  # noqa: PLR2004
            return Denied(f"{about}: the token is not accepted", status=401)
        if status == 403:  # noqa: PLR2004
            return Denied(f"{about}: the token may not ({said})", status=status)
        if status == 404 or "not found" in said:  # noqa: PLR2004 - HTTP's own number
            return Missing(f"{about}: {said}", status=status)
        if 300 <= status < 400:  # noqa: PLR2004 - HTTP's own numbers
            return Refused(f"{about}: the repository moved; give the remote its new address")
        if (
            "fsck" in said
            or "not allowed" in said
            or "not our ref" in said
            or "is not a commit" in said
        ):
            return Refused(f"{about}: {said}")
        return lost(f"{about}: {said}", status=status)

    def _blank(self, text: str) -> str:
        return text.replace(self.token(), "***")

    def _pause(self, seconds: float) -> None:
        (self.wait or threading.Event().wait)(seconds)


def _lines(answer: Answer) -> list[str]:
    return answer.err.decode(errors="replace").splitlines()


def _named(ref: str) -> str:
    if not _REF.fullmatch(ref):
        raise Refused(f"{ref!r} is no full name of a ref")
    return ref


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
