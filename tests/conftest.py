"""Fixtures for all tests: a small real repository, and git that never reads the user's files."""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, settings

from tests.engine import NoEngineError, engine
from tests.run import environment, run
from tests.scripted.recording import Live
from worktrees.git import Repository, open_repository
from worktrees.names import Oid

# How long an example takes says how loaded the machine is, and nothing about our code.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")

FILES: dict[str, str] = {
    "README.md": "A small repository.\n",
    "src/api/users.py": "def name() -> str:\n    return 'u'\n",
    "src/api/items.py": "def name() -> str:\n    return 'i'\n",
    "src/core.py": "ONE = 1\nTWO = 2\nTHREE = 3\nFOUR = 4\nFIVE = 5\n",
    "tests/test_core.py": "def test_one():\n    assert True\n",
}

Commit = Callable[..., Oid]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take the address of a real provider, for whoever records answers anew."""
    parser.addoption("--live", metavar="BASE_URL", help="record real answers; costs money")


@pytest.fixture(scope="session")
def live(request: pytest.FixtureRequest) -> Live | None:
    """Give the real provider that a person named with --live and FACTORY_LIVE_API_KEY."""
    base_url = request.config.getoption("--live")
    if base_url is None:
        return None
    key = os.environ.get("FACTORY_LIVE_API_KEY", "")  # noqa: TID251 - the one place, opt-in
    if not key:
        pytest.fail("--live needs the key in FACTORY_LIVE_API_KEY")
    return Live(base_url=base_url, key=key)


@pytest.fixture(scope="session", autouse=True)
def _pinned_git() -> Iterator[None]:
    """Pin git's environment in this process too, for whatever starts it without our doors."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment().items():
            if name.startswith("GIT_"):
                patch.setenv(name, value)
        yield


@pytest.fixture(scope="session")
def docker_engine() -> Iterator[str]:
    """Give the address of a private docker engine; skip, with the reason, where none can be."""
    with ExitStack() as stack:
        try:
            address = stack.enter_context(engine())
        except NoEngineError as error:
            pytest.skip(f"no docker engine: {error}")
        yield address


def make_repository(path: Path, files: Mapping[str, str] = FILES) -> Path:
    """Make a repository with one commit of ``files`` on main and give its checkout."""
    path.mkdir(parents=True, exist_ok=True)
    run(["git", "init", "-q", "-b", "main", str(path)])
    for name, text in files.items():
        file = path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    run(["git", "add", "-A"], cwd=path)
    run(["git", "commit", "-q", "-m", "start"], cwd=path)
    return path


def commit_files(
    repository: Repository, parent: Oid, files: Mapping[str, str | bytes | None]
) -> Oid:
    """Commit changed files (None deletes) on top of ``parent``, without touching any checkout."""
    index = repository.factory / f"test-index-{uuid4().hex}"
    git = repository.git.with_index(index)
    git("read-tree", parent)
    lines = []
    for name, content in files.items():
        if content is None:
            lines.append(f"0 {'0' * len(parent)}\t{name}\n")
            continue
        data = content.encode() if isinstance(content, str) else content
        blob = git("hash-object", "-w", "--stdin", stdin=data).text
        lines.append(f"100644 {blob}\t{name}\n")
    git("update-index", "--index-info", stdin="".join(lines).encode())
    tree = git("write-tree").text
    index.unlink()
    return Oid(git("commit-tree", tree, "-p", parent, "-m", "change").text)


@pytest.fixture(scope="session")
def _template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the small repository once; every test gets a copy."""
    return make_repository(tmp_path_factory.mktemp("template") / "repo")


@pytest.fixture
def checkout(tmp_path: Path, _template: Path) -> Path:
    """Give a small real repository with one commit on main, checked out."""
    copied = tmp_path / "repo"
    shutil.copytree(_template, copied, symlinks=True)
    # The copies have other inodes and times than the index says.
    run(["git", "update-index", "-q", "--refresh"], cwd=copied)
    return copied


@pytest.fixture
def repository(checkout: Path) -> Repository:
    """Give the small repository, opened."""
    return open_repository(checkout)


@pytest.fixture
def base(repository: Repository) -> Oid:
    """Give the only commit of the small repository."""
    found = repository.git.resolve("refs/heads/main")
    assert found is not None
    return found


@pytest.fixture
def commit(repository: Repository) -> Commit:
    """Give a function that commits files on a parent: ``commit(parent, {"path": "text"})``."""

    def make(parent: Oid, files: Mapping[str, str | bytes | None]) -> Oid:
        return commit_files(repository, parent, files)

    return make
