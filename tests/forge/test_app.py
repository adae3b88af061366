"""An App's tokens: signed for, narrow, in memory only, renewed before they end."""

from functools import cache
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from factory.complaint import Complaint
from factory.forge.access import Access
from factory.forge.app import EARLY, App, Granted, Renewed
from factory.forge.connecting import connect
from factory.forge.failures import Denied, Missing, Unreachable
from tests.forge.client import clone
from tests.forge.hub import Hub
from worktrees.git import open_repository

MAY = {"contents": "write", "issues": "write", "checks": "write", "metadata": "read"}


@cache
def keys() -> tuple[str, str]:
    """Give a private and a public key."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return private.decode(), public.decode()


def test_a_token_is_renewed_before_it_ends_and_not_sooner() -> None:
    """The same token is given until shortly before its end, then another one."""
    now = [1000.0]
    given: list[Granted] = []

    def ask() -> Granted:
        given.append(Granted(token=f"t{len(given)}", until=now[0] + 3600))
        return given[-1]

    token = Renewed(ask, now=lambda: now[0])
    first = [token(), token()]
    now[0] += 3600 - EARLY - 1
    late = token()
    now[0] += 2

    assert [*first, late, token()] == ["t0", "t0", "t0", "t1"]


def test_no_repr_shows_a_key_or_a_token() -> None:
    """Neither an App nor what it was granted shows its secret."""
    word = "s3cret"

    shown = repr(App(id="1", key=word)) + repr(Granted(token=word, until=1.0))

    assert word not in shown


def test_an_app_reads_writes_and_pushes_with_tokens_of_its_own(tmp_path: Path) -> None:
    """With its key alone an App reports a check, comments and pushes; its token is one repo's."""
    private, public = keys()
    with Hub(tmp_path / "hub") as hub:
        hub.repository("octo/toy", files={"a": "1\n"})
        hub.repository("octo/other", files={"a": "1\n"}, private=True)
        place = clone(hub, hub.token("mona"), "octo/toy", tmp_path / "clone")
        app = hub.app("factory", public, MAY)
        number = hub.act("octocat").open("octo/toy", "It breaks", "")
        access = Access(
            token="", api_url=hub.api_url, app=App(id=str(app.id), key=private), max_wait=1
        )
        with connect(open_repository(place), access) as forge:
            main = forge.remote.heads()["refs/heads/main"]
            forge.remote.push("refs/heads/factory/pr/x-1", main, expect=None)
            kept = forge.keep.comment(number, "0a1b2c3d", "Hello.")
            check = forge.keep.check(
                main, "0a1b2c3d", name="line", status="queued", title="t", summary="s"
            )

            assert forge.door.me() == kept.value.author.login == "factory[bot]"
            assert check.value.app == "factory"
        asked = [one for one in hub.log if one.template.endswith("/access_tokens")]
        assert [one.body for one in asked] == [{"repositories": ["toy"]}]
        files = [path for path in place.rglob("*") if path.is_file()]
        assert not [path for path in files if b"ghs_" in path.read_bytes()]


def test_a_key_that_signs_nothing_is_a_complaint_without_the_key(tmp_path: Path) -> None:
    """A key that is none ends with exit code 7, and its text is not repeated."""
    with Hub(tmp_path / "hub") as hub:
        hub.repository("octo/toy", files={"a": "1\n"})
        place = clone(hub, hub.token("mona"), "octo/toy", tmp_path / "clone")
        access = Access(token="", api_url=hub.api_url, app=App(id="9", key="-----SECRET-----"))

        with pytest.raises(Complaint) as told:
            connect(open_repository(place), access)

        assert told.value.code == 7
        assert "SECRET" not in f"{told.value.what} {told.value.hint}"


def test_a_key_of_another_app_and_a_wrong_installation_are_told(tmp_path: Path) -> None:
    """A word that the forge does not believe is denied; an unknown installation is missing."""
    private, public = keys()
    with Hub(tmp_path / "hub") as hub:
        hub.repository("octo/toy", files={"a": "1\n"})
        place = clone(hub, hub.token("mona"), "octo/toy", tmp_path / "clone")
        app = hub.app("factory", public, MAY)
        repository = open_repository(place)

        def entering(**named: object) -> App:
            return App(**{"id": str(app.id), "key": private, **named})  # type: ignore[arg-type]

        for broken, kind in (
            (entering(id="424242"), Denied),
            (entering(installation=424242), Missing),
        ):
            access = Access(token="", api_url=hub.api_url, app=broken)
            with connect(repository, access) as forge, pytest.raises(kind):
                forge.door.repository()


def test_a_lost_answer_to_asking_for_a_token_is_asked_again(tmp_path: Path) -> None:
    """Asking for a token is repeated when the forge breaks, and given up in the end."""
    private, public = keys()
    with Hub(tmp_path / "hub") as hub:
        hub.repository("octo/toy", files={"a": "1\n"})
        place = clone(hub, hub.token("mona"), "octo/toy", tmp_path / "clone")
        app = hub.app("factory", public, MAY)
        own = App(id=str(app.id), key=private, installation=app.installation)
        access = Access(token="", api_url=hub.api_url, app=own)
        waits: list[float] = []
        hub.fault("POST", "*/access_tokens", "applied-then-502")
        with connect(open_repository(place), access, wait=waits.append) as forge:
            assert forge.door.repository().full == "octo/toy"
        hub.fault("POST", "*/access_tokens", "status", 5)
        with (
            connect(open_repository(place), access, wait=waits.append) as forge,
            pytest.raises(Unreachable),
        ):
            forge.door.repository()
        assert waits[:2] == [0.5, 0.5]
