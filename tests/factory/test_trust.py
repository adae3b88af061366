"""Trust in a repository's own commands."""

from pathlib import Path

import pytest

from factory import trust


def test_trust_holds_for_one_path_and_one_content(tmp_path: Path) -> None:
    """A yes counts for that repository with that content, and for nothing else."""
    state, repository, other = tmp_path / "state", tmp_path / "a", tmp_path / "b"

    trust.remember(state, repository, "c0ffee")

    assert trust.is_trusted(state, repository, "c0ffee")
    assert not trust.is_trusted(state, repository, "decaf")
    assert not trust.is_trusted(state, other, "c0ffee")


def test_nothing_to_trust_needs_no_trust(tmp_path: Path) -> None:
    """A repository that brings no command is not asked about."""
    assert trust.is_trusted(tmp_path / "state", tmp_path, "")


def test_a_new_yes_replaces_the_old_one(tmp_path: Path) -> None:
    """Only the last content a person saw is trusted; no other file is left behind."""
    path = trust.remember(tmp_path / "state", tmp_path, "one")
    trust.remember(tmp_path / "state", tmp_path, "two")

    assert trust.remembered(tmp_path / "state", tmp_path) == "two"
    assert list(path.parent.iterdir()) == [path]
    assert path.stat().st_mode & 0o077 == 0


def test_trust_can_be_taken_back(tmp_path: Path) -> None:
    """Forgetting says whether there was anything to forget."""
    trust.remember(tmp_path / "state", tmp_path, "one")

    assert trust.forget(tmp_path / "state", tmp_path)
    assert not trust.forget(tmp_path / "state", tmp_path)
    assert not trust.is_trusted(tmp_path / "state", tmp_path, "one")


def test_a_link_to_a_repository_is_that_repository(tmp_path: Path) -> None:
    """Trust follows the real path, whatever name led to it."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")

    trust.remember(tmp_path / "state", tmp_path / "link", "one")

    assert trust.is_trusted(tmp_path / "state", tmp_path / "real", "one")


def test_another_repository_s_file_trusts_nothing(tmp_path: Path) -> None:
    """A trust file under a wrong name, copied or restored, is no yes."""
    state = tmp_path / "state"
    mine = trust.remember(state, tmp_path / "a", "one")
    other = trust.remember(state, tmp_path / "b", "two")
    mine.write_bytes(other.read_bytes())

    assert not trust.is_trusted(state, tmp_path / "a", "two")


@pytest.mark.parametrize("raw", [b"", b"\xff", b"[]", b"{", b'{"schema": "factory.trust/2"}'])
def test_an_unreadable_yes_is_told_and_trusts_nothing(tmp_path: Path, raw: bytes) -> None:
    """A damaged file is neither a yes nor silently a no: it says what to do."""
    path = trust.remember(tmp_path / "state", tmp_path, "one")
    path.write_bytes(raw)

    with pytest.raises(trust.TrustUnreadable, match="remove it and run `factory trust` again"):
        trust.is_trusted(tmp_path / "state", tmp_path, "one")


def test_a_failed_write_leaves_no_half_file(tmp_path: Path) -> None:
    """The file is replaced whole or not at all."""
    path = trust.remember(tmp_path / "state", tmp_path, "one")
    path.unlink()
    path.mkdir()

    with pytest.raises(IsADirectoryError):
        trust.remember(tmp_path / "state", tmp_path, "two")

    assert list(path.parent.iterdir()) == [path]
