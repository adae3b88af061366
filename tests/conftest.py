"""Fixtures for all tests: a small real repository, and git that never reads the user's files."""

import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from uuid import uuid4

import pytest

from tests.run import environment, run
from worktrees.git import Repository, open_repository
from worktrees.names import Oid

FILES: dict[str, str] = {
    "README.md": "A small repository.\n",
    "src/api/users.py": "def name() -> str:\n    return 'u'\n",
    "src/api/items.py": "def name() -> str:\n    return 'i'\n",
    "src/core.py": "ONE = 1\nTWO = 2\nTHREE = 3\nFOUR = 4\nFIVE = 5\n",
    "tests/test_core.py": "def test_one():\n    assert True\n",
}

Commit = Callable[..., Oid]


@pytest.fixture(scope="session", autouse=True)
def _pinned_git() -> Iterator[None]:
    """Pin git's environment in this process too, for whatever starts it without our doors."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment().items():
            if name.startswith("GIT_"):
                patch.setenv(name, value)
        yield


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
