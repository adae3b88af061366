"""How the tests speak to the hub: the real PyGithub, and the real git with a token."""

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from github import Auth, Github
from github.Requester import Requester

from tests.forge.hub import Hub
from tests.run import Ran, run


def github(hub: Hub, token: str) -> Github:
    """Give a PyGithub that neither waits nor retries."""
    return Github(
        auth=Auth.Token(token),
        base_url=hub.api_url,
        retry=None,
        per_page=100,
        seconds_between_requests=0,
        seconds_between_writes=0,
    )


def requester(hub: Hub, token: str) -> Requester:
    """Give PyGithub's own speaker, for operations that it has no method for."""
    return github(hub, token).requester


def call(hub: Hub, token: str, method: str, path: str, body: Any = None) -> Any:
    """Ask an operation and give its value; a refusal raises PyGithub's exception."""
    return requester(hub, token).requestJsonAndCheck(method, path, input=body)[1]


def git(
    hub: Hub, token: str, *words: str | Path, cwd: Path | None = None, check: bool = True
) -> Ran:
    """Run git against the hub as whoever the token stands for."""
    env: Mapping[str, str] = {
        "GIT_ALLOW_PROTOCOL": "http:file",
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"http.{hub.url}/.extraHeader",
        "GIT_CONFIG_VALUE_0": "Authorization: Basic "
        + base64.b64encode(f"x-access-token:{token}".encode()).decode(),
    }
    return run(["git", *words], cwd=cwd, env=env, check=check)


def clone(hub: Hub, token: str, full: str, place: Path) -> Path:
    """Clone a repository from the hub."""
    git(hub, token, "clone", "-q", hub.git_url(full), place)
    return place


def commit(place: Path, message: str = "change", **files: str) -> str:
    """Commit files in a clone, a double underscore standing for a slash, and give the commit."""
    for name, text in files.items():
        file = place / name.replace("__", "/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    run(["git", "add", "-A"], cwd=place)
    run(["git", "commit", "-q", "-m", message], cwd=place)
    return run(["git", "rev-parse", "HEAD"], cwd=place).text
