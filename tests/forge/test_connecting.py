"""Connecting: the right forge for a remote, and a token that goes to no other host."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from factory.complaint import Complaint
from factory.config.mistakes import ConfigErrors
from factory.forge.access import Access
from factory.forge.connecting import Forge, address, connect
from factory.forge.values import Repo
from factory.settings import Settings, forge_access, load
from tests.forge.client import clone
from tests.forge.hub import Hub
from tests.run import run
from worktrees.git import Repository, open_repository

WORD = "ghp_canary"
GIVEN = Access(token=WORD)


def repository(place: Path, url: str, *, name: str = "origin") -> Repository:
    """Give a repository with one remote."""
    run(["git", "init", "-q", "-b", "main", place])
    run(["git", "remote", "add", name, url], cwd=place)
    return open_repository(place)


def configured(place: Path, text: str = "", environ: Mapping[str, str] | None = None) -> Settings:
    """Give the settings of a user's own file with this text."""
    user = place / "config" / "coding-agent-factory"
    user.mkdir(parents=True, exist_ok=True)
    (user / "factory.toml").write_text(text)
    around = {"HOME": str(place), "XDG_CONFIG_HOME": str(place / "config"), **(environ or {})}
    return load(place, flags={}, tracked=None, environ=around)


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://github.com/octo/toy", "https://github.com/octo/toy.git"),
        ("https://mona:word@github.com/octo/toy.git/", "https://github.com/octo/toy.git"),
        ("git@github.com:octo/toy.git", "https://github.com/octo/toy.git"),
        ("ssh://git@ssh.github.com:443/octo/toy.git", "https://github.com/octo/toy.git"),
        ("https://Forge.Example:8443/o/n.git", "https://forge.example:8443/o/n.git"),
        ("ssh://git@forge.example:2222/o/n", "https://forge.example/o/n.git"),
        ("http://127.0.0.1:8080/o/n.git", "http://127.0.0.1:8080/o/n.git"),
        ("http://forge.example/o/n.git", None),
        ("/srv/toy.git", None),
        ("file:///srv/a/b", None),
        ("../a/b", None),
        ("https://github.com/octo", None),
        ("https://github.com/a/b/c", None),
        ("https://github.com/../x", None),
        ("https://github.com/o/n?x=1#y", "https://github.com/o/n.git"),
        ("https://[bad/o/n", None),
        ("https://h:port/o/n", None),
        ("ext::sh -c id", None),
        ("git@host:o/n; id", None),
    ],
)
def test_the_address_of_a_remote_is_read_without_user_or_trick(text: str, url: str | None) -> None:
    """Web and ssh addresses name host, owner and name; anything else is no forge's."""
    found = address(text)

    assert (None if found is None else found.url) == url


@pytest.mark.parametrize(
    ("url", "access", "api"),
    [
        ("git@github.com:o/n.git", GIVEN, "https://api.github.com"),
        ("https://acme.ghe.com/o/n", replace(GIVEN, named=True), "https://api.acme.ghe.com"),
        ("https://forge.example/o/n", replace(GIVEN, named=True), "https://forge.example/api/v3"),
        (
            "https://forge.example/o/n",
            replace(GIVEN, ambient_url="https://forge.example/api/v3"),
            "https://forge.example/api/v3",
        ),
        (
            "work-alias:o/n.git",
            replace(GIVEN, api_url="https://forge.example/api/v3/"),
            "https://forge.example/api/v3",
        ),
        (
            "https://github.com/o/n",
            replace(GIVEN, ambient_url="https://forge.example/api/v3"),
            "https://api.github.com",
        ),
    ],
)
def test_the_api_is_on_the_remotes_own_host(
    tmp_path: Path, url: str, access: Access, api: str
) -> None:
    """Its address follows from the remote's host, or from a trusted configuration."""
    with connect(repository(tmp_path, url), access) as forge:
        assert forge.door.api_url == api
        assert (forge.repo.owner, forge.repo.name) == ("o", "n")
        assert forge.remote.url.endswith("/o/n.git")
        assert WORD not in repr(forge) + repr(access)


@pytest.mark.parametrize(
    ("url", "access", "words"),
    [
        ("https://github.com/o/n", Access(token=""), "there is no token for github.com"),
        ("https://github.com/o/n", Access(token=f"{WORD}\nHost: x"), "is no token"),
        ("https://github.com/o/n", Access(token=f"{WORD}\N{BULLET}"), "is no token"),
        ("https://forge.example/o/n", GIVEN, "not known to be one of forge.example"),
        (
            "https://elsewhere.example/o/n",
            replace(GIVEN, api_url="https://forge.example/api/v3"),
            "is on elsewhere.example",
        ),
        ("/srv/toy.git", GIVEN, "is at no forge"),
        ("https://github.com/o/n", replace(GIVEN, remote="upstream"), 'no git remote "upstream"'),
        (
            "git@forge.example:o/n",
            replace(GIVEN, api_url="http://forge.example/api/v3"),
            "is not encrypted",
        ),
    ],
)
def test_what_is_missing_or_would_leak_the_token_is_a_complaint(
    tmp_path: Path, url: str, access: Access, words: str
) -> None:
    """Each has a remedy and exit code 7, and nothing was sent."""
    with pytest.raises(Complaint) as told:
        connect(repository(tmp_path, url), access)

    assert words in told.value.what
    assert told.value.hint
    assert told.value.code == 7
    assert WORD not in f"{told.value.what} {told.value.hint}"


def test_a_connection_reads_writes_and_pushes(tmp_path: Path) -> None:
    """One call gives all of it, also for another repository on the same host."""
    with Hub(tmp_path / "hub") as hub:
        hub.repository("octo/toy", files={"a": "1\n"})
        hub.fork("octo/toy", "mona/toy")
        token = hub.token("mona", "write")
        place = clone(hub, token, "octo/toy", tmp_path / "clone")
        settings = configured(tmp_path, f'[forge]\napi_url = "{hub.api_url}"\n')
        access = forge_access(settings, {"GITHUB_TOKEN": token, "GH_TOKEN": "other"})
        opened = open_repository(place)

        with connect(opened, access) as forge:
            assert isinstance(forge, Forge)
            number = hub.act("octocat").open("octo/toy", "It breaks", "")
            assert forge.keep.comment(number, "0a1b2c3d", "Hi").operation == "created"
            assert forge.door.repository().full == forge.repo.full == "octo/toy"
        other = Repo(owner="mona", name="toy", host=forge.repo.host)
        with connect(opened, access, repo=other) as fork:
            assert fork.door.repository().fork
            assert list(fork.remote.heads()) == ["refs/heads/main"]
        assert (opened.factory / "forge.sqlite").exists()
        files = [path for path in place.rglob("*") if path.is_file()]
        assert not [path for path in files if token.encode() in path.read_bytes()]


@pytest.mark.parametrize(
    ("text", "environ", "token"),
    [
        ("", {"GITHUB_TOKEN": "a", "GH_TOKEN": "b"}, "a"),
        ("", {"GITHUB_TOKEN": "", "GH_TOKEN": "b\n"}, "b"),
        ("", {}, ""),
        ('[forge]\ntoken_env = "MINE"\n', {"GITHUB_TOKEN": "a", "MINE": "c"}, "c"),
        ('[forge]\ntoken_env = "MINE"\n', {"GITHUB_TOKEN": "a"}, ""),
    ],
)
def test_the_token_is_that_of_the_named_variable_or_of_the_usual_two(
    tmp_path: Path, text: str, environ: dict[str, str], token: str
) -> None:
    """A named variable is the only one looked at; else GITHUB_TOKEN goes before GH_TOKEN."""
    access = forge_access(configured(tmp_path, text), environ)

    assert access.token == token
    assert access.named == bool(text)


def test_the_forges_keys_are_read_with_their_defaults(tmp_path: Path) -> None:
    """Without a word of configuration proposals are drafts, one for a run, and nothing follows."""
    forge = configured(tmp_path).forge

    assert (forge.remote, forge.pulls, forge.draft, forge.after) == ("origin", "run", True, "none")
    assert (forge.labels, forge.max_wait, forge.app) == ((), 600, None)
    text = '[forge]\npulls = "job"\nafter = "queue"\nlabels = ["bot"]\nmax_wait = "1m"\n'
    own = configured(tmp_path, text).forge
    assert (own.pulls, own.after, own.labels, own.max_wait) == ("job", "queue", ("bot",), 60)


def test_an_apps_key_comes_from_a_variable_or_a_file(tmp_path: Path) -> None:
    """A variable's written-out line breaks are ones; what is missing is a complaint, code 7."""
    inline = '[forge]\napp = {id = "12", key_env = "KEY", installation = 3}\n'
    settings = configured(tmp_path, inline)
    found = forge_access(settings, {"KEY": "one\\ntwo"}).app
    assert found is not None
    assert (found.id, found.key, found.installation) == ("12", "one\ntwo", 3)
    with pytest.raises(Complaint, match="KEY holds no private key") as told:
        forge_access(settings, {})
    assert told.value.code == 7

    file = tmp_path / "app.pem"
    settings = configured(tmp_path, f'[forge]\napp = {{id = "12", key_file = "{file}"}}\n')
    with pytest.raises(Complaint, match="cannot be read"):
        forge_access(settings, {})
    file.write_text("pem")
    found = forge_access(settings, {}).app
    assert found is not None
    assert found.key == "pem"


@pytest.mark.parametrize(
    "line",
    [
        'app = {id = "1"}',
        'app = {id = "1", key_env = "K", key_file = "/k"}',
        'remote = "--upload-pack=id"',
        'after = "merge"',
        'api_url = "https://me:word@forge.example/"',
        'token_env = "ghp_abc"',
    ],
)
def test_a_wrong_key_of_the_forge_is_a_mistake_of_configuration(tmp_path: Path, line: str) -> None:
    """Half an App, an option for a remote, or a secret in the file is refused by name."""
    with pytest.raises(ConfigErrors):
        configured(tmp_path, f"[forge]\n{line}\n")


@pytest.mark.parametrize(
    "line",
    [
        'api_url = "https://evil.example/api/v3"',
        'token_env = "AWS_SECRET"',
        'app = {id = "1", key_env = "KEY"}',
        'remote = "evil"',
    ],
)
def test_where_a_token_goes_needs_trust_when_the_repository_says_it(
    tmp_path: Path, line: str
) -> None:
    """The same key in the repository's own file is named among what a person must allow."""
    (tmp_path / "factory.toml").write_text(f"[forge]\n{line}\n")

    named = {trust.where for trust in configured(tmp_path).trusts}

    apps = {"forge.app.id", "forge.app.key_env"}
    assert named == (apps if line.startswith("app") else {f"forge.{line.partition(' ')[0]}"})
