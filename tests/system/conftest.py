"""Fixtures of the system tests: a user with a copy of one small repository."""

import shutil
from pathlib import Path

import pytest

from tests.conftest import make_repository
from tests.run import run
from tests.system.user import CODE, FILES, TESTS, User, job, station


@pytest.fixture(scope="session")
def small_repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the repository of the system tests once; every test gets a copy."""
    return make_repository(tmp_path_factory.mktemp("small") / "repo", FILES)


def settle(small: Path, place: Path) -> User:
    """Give a user with a copy of the small repository."""
    checkout, home = place / "repo", place / "home"
    shutil.copytree(small, checkout, symlinks=True)
    home.mkdir()
    # The copies have other inodes and times than the index says.
    run(["git", "update-index", "-q", "--refresh"], cwd=checkout)
    return User(checkout=checkout, home=home)


@pytest.fixture
def user(tmp_path: Path, small_repository: Path) -> User:
    """Give a user at a fresh checkout."""
    return settle(small_repository, tmp_path)


@pytest.fixture(scope="session")
def week(tmp_path_factory: pytest.TempPathFactory, small_repository: Path) -> User:
    """Give a user after one run with every kind of end; for looking only."""
    found = settle(small_repository, tmp_path_factory.mktemp("week"))
    found.configure(
        CODE,
        TESTS,
        station("dumb", run=["true"], scope=["d/**"]),
        job("lands", "echo $FACTORY_JOB works; echo new > a/new.txt", scope=["a/**"]),
        job("breaks", "echo token=abcdefgh12345678; echo BUG > b/new.txt", scope=["b/**"]),
        job("asks", "echo > c/conftest.py", scope=["c/**"]),
        job("idle", station="dumb"),
    )
    found.run(code=1)
    return found
