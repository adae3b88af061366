"""Connecting to the forge of a repository: which one it is, and with what one may enter."""

import re
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final
from urllib.parse import urlsplit

from typing_extensions import override

from factory.complaint import Complaint
from factory.forge.access import Access
from factory.forge.app import App, Renewed
from factory.forge.cache import Cache
from factory.forge.door import Door, app_word
from factory.forge.failures import Denied
from factory.forge.keeping import Keeper
from factory.forge.remote import LOCAL, Remote
from factory.forge.values import Repo
from worktrees.git import Repository

PUBLIC: Final = "github.com"
_TENANTS: Final = ".ghe.com"
_NAMES: Final = re.compile(r"/?([A-Za-z0-9_.-]+)/([A-Za-z0-9_.-]+?)(?:\.git)?/?")
_SCP: Final = re.compile(r"(?:[^@/\s]+@)?([A-Za-z0-9.-]+):(?!//)(.+)")
_TOKEN: Final = re.compile(r"[\x21-\x7e]+")
_ALIASES: Final = {"ssh.github.com": PUBLIC, "www.github.com": PUBLIC}
_SETUP: Final = 7
"""The exit code of what must be set up first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a git remote lies: ``host`` bears a port where the web has one there."""

    scheme: str
    host: str
    owner: str
    name: str

    @property
    def url(self) -> str:
        """Give the address for git, without any user."""
        return f"{self.scheme}://{self.host}/{self.owner}/{self.name}.git"


@dataclass(frozen=True, slots=True, kw_only=True)
class Forge(AbstractContextManager["Forge"]):
    """A repository's forge: read through ``door``, write through ``keep``, push by ``remote``."""

    repo: Repo
    door: Door = field(repr=False)
    keep: Keeper = field(repr=False)
    remote: Remote = field(repr=False)

    def close(self) -> None:
        """Close the connections."""
        self.door.close()

    @override
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def connect(
    repository: Repository,
    access: Access,
    *,
    say: Callable[[str], None] | None = None,
    wait: Callable[[float], object] | None = None,
    repo: Repo | None = None,
) -> Forge:
    """Give the forge of a repository's remote, or another repository (``repo``) on its host.

    Nothing is asked of the forge yet. A `Complaint` says what is missing.
    """
    found = _address(repository, access)
    api = _api(found, access)
    token = _token_for(found, api, access)
    if repo is not None:
        found = Address(scheme=found.scheme, host=found.host, owner=repo.owner, name=repo.name)
    here = Repo(owner=found.owner, name=found.name, host=found.host)
    if access.app is not None:
        token = _renewed(access.app, here, api, access, wait)
    door = Door(
        here,
        api,
        token,
        cache=Cache(path=repository.factory / "forge.sqlite"),
        max_wait=access.max_wait,
        say=say,
        wait=wait,
        ca=access.ca,
    )
    remote = Remote(
        repository=repository,
        url=found.url,
        token=token,
        proxy=None if access.proxy is None else access.proxy(found.url),
        ca=access.ca,
        wait=wait,
    )
    return Forge(repo=here, door=door, keep=Keeper(door, wait=wait), remote=remote)


def address(text: str) -> Address | None:
    """Read a remote's address, of https or of ssh; None when it is none of a forge."""
    scp = _SCP.fullmatch(text) if "://" not in text else None
    if scp is not None:
        return _named("https", scp[1].lower(), scp[2])
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if not host:
        return None
    if parts.scheme in {"ssh", "git+ssh"}:
        # A port of ssh says nothing about the web's.
        return _named("https", host, parts.path)
    if parts.scheme == "https" or (parts.scheme == "http" and host in LOCAL):
        named = f"[{host}]" if ":" in host else host
        return _named(parts.scheme, named if port is None else f"{named}:{port}", parts.path)
    return None


def _named(scheme: str, host: str, path: str) -> Address | None:
    names = _NAMES.fullmatch(path)
    if names is None or {names[1], names[2]} & {".", ".."}:
        return None
    return Address(scheme=scheme, host=_ALIASES.get(host, host), owner=names[1], name=names[2])


def _address(repository: Repository, access: Access) -> Address:
    said = repository.personal("remote", "get-url", "--", access.remote, ok=range(256))
    if said.code:
        raise Complaint(
            f'there is no git remote "{access.remote}"',
            hint=f"add it with `git remote add {access.remote} ...`, or name another one by "
            "[forge] remote",
            code=_SETUP,
        )
    text = said.text
    found = address(text)
    if found is None:
        raise Complaint(
            f'the git remote "{access.remote}" is at no forge',
            hint="it must read https://HOST/OWNER/NAME or git@HOST:OWNER/NAME",
            code=_SETUP,
        )
    named = access.api_url and urlsplit(access.api_url)
    if named and not text.startswith("http"):
        # The host of ssh may be an alias of the user's own: the trusted address says which it is.
        host = _web(named.netloc)
        found = Address(scheme=named.scheme, host=host, owner=found.owner, name=found.name)
    return found


def _api(found: Address, access: Access) -> str:
    """Give the API's address, which is on the remote's own host: the token goes to both."""
    if access.api_url is not None:
        theirs = _web(urlsplit(access.api_url).netloc)
        if theirs != found.host:
            raise Complaint(
                f'the git remote "{access.remote}" is on {found.host}, but [forge] api_url is of '
                f"{theirs}",
                hint="a token goes to one host only; correct the one or the other",
                code=_SETUP,
            )
        return access.api_url.rstrip("/")
    if access.ambient_url and _web(urlsplit(access.ambient_url).netloc) == found.host:
        return access.ambient_url.rstrip("/")
    if found.host == PUBLIC:
        return "https://api.github.com"
    if found.host.endswith(_TENANTS):
        return f"https://api.{found.host}"
    return f"{found.scheme}://{found.host}/api/v3"


def _web(netloc: str) -> str:
    """Give the host that people see, of an API's."""
    host = netloc.rpartition("@")[2].lower()
    return host.removeprefix("api.")


def _token_for(found: Address, api: str, access: Access) -> Callable[[], str]:
    if urlsplit(api).scheme != "https" and urlsplit(api).hostname not in LOCAL:
        raise Complaint(
            f"{api} is not encrypted, and a token would go there",
            hint="write https:// in [forge] api_url",
            code=_SETUP,
        )
    known = found.host == PUBLIC or api in {
        (access.api_url or "").rstrip("/"),
        (access.ambient_url or "").rstrip("/"),
    }
    if access.app is None and not access.token:
        raise Complaint(
            f"there is no token for {found.host}",
            hint="put one into GITHUB_TOKEN or GH_TOKEN, or name its variable by "
            "[forge] token_env, or an App by [forge] app",
            code=_SETUP,
        )
    if access.app is None and not _TOKEN.fullmatch(access.token):
        raise Complaint(
            "what the token's variable holds is no token: it has blanks or odd characters",
            hint="put the token alone into it",
            code=_SETUP,
        )
    if access.app is None and not (known or access.named):
        # A token of the public forge must not go to whatever host a remote names.
        raise Complaint(
            f"the token in the environment is not known to be one of {found.host}",
            hint=f'say so: [forge] api_url = "{api}", or name its variable by [forge] token_env',
            code=_SETUP,
        )
    token = access.token
    return lambda: token


def _renewed(
    app: App, here: Repo, api: str, access: Access, wait: Callable[[float], object] | None
) -> Callable[[], str]:
    try:
        word = app_word(app)
    except Denied as error:
        hint = "correct the key that [forge] app names"
        raise Complaint(error.message, hint=hint, code=_SETUP) from error
    asking = Door(here, api, word, max_wait=access.max_wait, wait=wait, ca=access.ca)
    return Renewed(lambda: asking.grant(app), now=time.time)
