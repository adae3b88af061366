"""The texts of a commit's source files."""

from pathlib import Path

from factory.history.snapshot import sources
from tests.history.histories import grow
from tests.run import run
from worktrees.git import open_repository


def read(path: Path, *first: str, **more: int) -> dict[str, str]:
    """Read the sources of a checkout's HEAD."""
    git = open_repository(path).git
    head = git.resolve("HEAD")
    assert head is not None
    return dict(sources(git, head, first, **more))


def test_sources_are_read_by_their_path(tmp_path: Path) -> None:
    """Files of known languages are read as text, others, links and huge ones are not."""
    path = grow(
        tmp_path / "r",
        [
            {
                "a.py": "one\n",
                "w/b.ts": "two\n",
                "go.mod": "module x\n",
                "n\n.c": "",
                "README.md": "no\n",
                "huge.py": "x = 1\n" * 70_000,
                "odd.rs": "\udcff\n",
            }
        ],
    )
    (path / "link.py").symlink_to("/etc/passwd")
    run(["git", "add", "link.py"], cwd=path)
    run(["git", "commit", "-q", "-m", "link"], cwd=path)

    found = read(path)

    assert found == {
        "a.py": "one\n",
        "w/b.ts": "two\n",
        "go.mod": "module x\n",
        "n\n.c": "",
        "odd.rs": "\N{REPLACEMENT CHARACTER}\n",
    }


def test_what_changes_is_read_before_what_does_not(tmp_path: Path) -> None:
    """When not everything may be read, it is what was named first."""
    path = grow(tmp_path / "r", [{f"{name}.py": "12345\n" for name in "abcd"}])

    assert set(read(path, "gone.py", "d.py", "b.py", most_bytes=12)) == {"b.py", "d.py"}
    assert read(path, most_bytes=5) == {}
