"""Git over HTTP: the real `git http-backend`, with a token in front of it."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from urllib.parse import unquote

from tests.forge.bare import NOTHING
from tests.forge.life import Life
from tests.forge.moving import moved
from tests.forge.refusal import RefusedError
from tests.forge.tokens import allowed, speaker
from tests.forge.world import Repo, Rules, Token
from tests.run import ROOT, run

HOOK = ROOT / "tests" / "forge" / "pre-receive"
_SERVICES = ("/info/refs", "/git-upload-pack", "/git-receive-pack")
_WORKFLOWS = "workflows"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request of git."""

    method: str
    repo: str
    service: str
    query: str
    headers: Mapping[str, str] = field(repr=False)
    raw: bytes = field(repr=False)

    @property
    def writes(self) -> bool:
        """Say whether it is part of a push."""
        return "git-receive-pack" in (self.query if self.service == "/info/refs" else self.service)

    @property
    def changes(self) -> bool:
        """Say whether it is the part of a push that changes something."""
        return self.service == "/git-receive-pack"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What git answers."""

    status: int
    kind: str
    body: bytes
    headers: Mapping[str, str]


def asked(
    method: str, path: str, query: str, headers: Mapping[str, str], raw: bytes
) -> Asked | None:
    """Read an address as one of git's."""
    for service in _SERVICES:
        if path.endswith(service):
            repo = unquote(path.removesuffix(service)).strip("/").removesuffix(".git")
            return Asked(
                method=method, repo=repo, service=service, query=query, headers=headers, raw=raw
            )
    return None


def admit(life: Life, git: Asked) -> tuple[Repo, Token]:
    """Let in whoever may do what is asked."""
    challenge = {"www-authenticate": 'Basic realm="GitHub"'}
    try:
        token = speaker(life, git.headers.get("authorization", ""))
    except RefusedError as refused:
        raise RefusedError(401, "Invalid username or password.", headers=challenge) from refused
    repo = life.repo(git.repo)
    if token is None:
        # Who asks without a token is asked for one, also where nothing is: that tells nothing.
        raise RefusedError(401, "Authentication required.", headers=challenge)
    if repo is None or not repo.may(token.login, "read"):
        raise RefusedError(404, "Repository not found.")
    if git.writes and not (_may_push(life, repo, token) and allowed(token, "contents:write")):
        raise RefusedError(403, f"Permission to {repo.full}.git denied to {token.login}.")
    if not allowed(token, "contents:read"):
        raise RefusedError(403, f"Permission to {repo.full}.git denied to {token.login}.")
    return repo, token


def _may_push(life: Life, repo: Repo, token: Token) -> bool:
    if repo.may(token.login, "write"):
        return True
    # The head branch of a fork takes pushes of the base's maintainers, when its owner said so.
    return any(
        pull.maintainer_can_modify and pull.head_repo == repo.full and issue.state == "open"
        for base in life.repos.values()
        if base.may(token.login, "write")
        for issue, pull in base.pulls()
    )


def serve(git: Asked, repo: Repo, token: Token) -> Answered:
    """Let git answer."""
    bare = repo.bare.path
    workflows = token.areas is None or token.areas.get(_WORKFLOWS) == "write"
    ran = run(
        [_backend()],
        stdin=git.raw,
        env={
            "GIT_PROJECT_ROOT": str(bare.parent),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": f"/{bare.name}{git.service}",
            "QUERY_STRING": git.query,
            "REQUEST_METHOD": git.method,
            "REMOTE_ADDR": "127.0.0.1",
            "REMOTE_USER": token.login,
            "CONTENT_TYPE": git.headers.get("content-type", ""),
            "CONTENT_LENGTH": str(len(git.raw)),
            "HTTP_CONTENT_ENCODING": git.headers.get("content-encoding", ""),
            "GIT_PROTOCOL": git.headers.get("git-protocol", ""),
            "HUB_WORKFLOWS": "yes" if workflows else "no",
        },
        check=False,
    )
    head, _, body = ran.out.partition(b"\r\n\r\n")
    lines = (line.partition(": ") for line in head.decode().split("\r\n"))
    headers = {name.lower(): value for name, _, value in lines}
    status = int(headers.pop("status", "200").split()[0])
    kind = headers.pop("content-type", "text/plain")
    headers.pop("content-length", None)
    return Answered(status=status, kind=kind, body=body, headers=headers)


def push(life: Life, git: Asked, repo: Repo, token: Token) -> Answered:
    """Let git take a push, and let the hub see what it moved."""
    before = repo.bare.refs("refs/heads")
    answered = serve(git, repo, token)
    after = repo.bare.refs("refs/heads")
    for ref in sorted(before.keys() | after.keys()):
        old, new = before.get(ref, NOTHING), after.get(ref, NOTHING)
        if old != new:
            moved(life, repo, ref, old, new, token.login)
    return answered


def guard(bare: Path, rules: list[Rules]) -> None:
    """Let a repository refuse what its rules refuse."""
    (bare / "hub-rules").write_text("".join(_lines(rules)))
    hook = bare / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    if not hook.exists():
        shutil.copy(HOOK, hook)


def _lines(rules: list[Rules]) -> list[str]:
    found = []
    for rule in rules:
        words: list[tuple[str, str]] = [("check", name) for name in rule.checks]
        words += [("path", glob) for glob in rule.paths]
        flags = {
            "pull": rule.pull_only or rule.reviews > 0 or rule.queue,
            "signatures": rule.signatures,
            "linear": rule.linear,
            "forced": not rule.forced,
            "deletion": not rule.deletions,
        }
        words += [(name, "") for name, holds in flags.items() if holds]
        if rule.pushers is not None:
            words.append(("pushers", " ".join(rule.pushers)))
        found += [f"{rule.pattern}\t{name}\t{value}\n" for name, value in words]
    return found


@cache
def _backend() -> Path:
    return Path(run(["git", "--exec-path"]).text) / "git-http-backend"
