"""What is read of a real history."""

from pathlib import Path

import pytest

from factory.complaint import Complaint
from factory.history import commits
from factory.history.changes import Past, tells
from tests.history.histories import grow, touches
from worktrees.git import open_repository

HOSTILE = (
    "a\nb.py",
    "0123456789012345678901234567890123456789",
    "M",
    "R100",
    "ü/ñ.py",
    " x ",
    "\udcff",
)


def read(path: Path, **more: int) -> Past:
    """Read the history of a checkout."""
    git = open_repository(path).git
    head = git.resolve("HEAD")
    assert head is not None
    return commits.read(git, head, **more)


def test_changes_come_newest_first_with_their_files(tmp_path: Path) -> None:
    """A history is read as what each commit changed, the newest first, files in order."""
    found = read(grow(tmp_path / "r", touches([("b.py", "a.py"), ("c.py",)])))

    assert [change.files for change in found.changes] == [("c.py",), ("a.py", "b.py")]
    assert [change.when for change in found.changes] == [1_700_000_001, 1_700_000_000]
    assert found.tracked == ("a.py", "b.py", "c.py")


def test_old_changes_bear_todays_names(tmp_path: Path) -> None:
    """A file that was renamed twice, once with its directory, is one file in all commits."""
    steps = touches([("lib/a.py", "z.py")] * 3)
    moves = {1: {"lib/a.py": "lib/b.py"}, 2: {"lib": "src"}}
    steps[1] = {"z.py": "new\n"}
    steps[2] = {"z.py": "newer\n"}

    found = read(grow(tmp_path / "r", steps, moves=moves))

    assert {change.files for change in found.changes} == {("src/b.py", "z.py")}
    assert len(found.changes) == 3


def test_a_name_that_was_taken_again_is_the_new_file(tmp_path: Path) -> None:
    """When a renamed file's old name is used again, each commit means the file of its time."""
    steps = touches([("a.py",), ("x.py",), ("a.py",)])
    steps[2] = {"a.py": "another\nfile\n"}

    found = read(grow(tmp_path / "r", steps, moves={1: {"a.py": "b.py"}}))

    assert [change.files for change in found.changes] == [("a.py",), ("b.py", "x.py"), ("b.py",)]


def test_whatever_a_path_holds_is_only_a_path(tmp_path: Path) -> None:
    """Names that look like statuses, ids or records change nothing about what is read."""
    found = read(grow(tmp_path / "r", touches([HOSTILE, HOSTILE[:2]])))

    assert [set(change.files) for change in found.changes] == [set(HOSTILE[:2]), set(HOSTILE)]


def test_what_says_nothing_is_left_out_and_counted(tmp_path: Path) -> None:
    """Sweeps, files that are gone and commits of noise alone are no changes, and are counted."""
    sweep = [f"d/{number}.py" for number in range(31)]
    steps = touches([sweep, ("gone.py",), ("poetry.lock", "CHANGES.rst"), ("a.py", "poetry.lock")])
    steps.append({"gone.py": None})

    found = read(grow(tmp_path / "r", steps))

    assert [change.files for change in found.changes] == [("a.py",)]
    assert (found.seen, found.sweeps, found.silent) == (5, 1, 3)


@pytest.mark.parametrize(
    "path",
    [
        *("package-lock.json", "docs/CHANGELOG.md", "a/vendor/x.go", "x.min.js", "api_pb2.py"),
        *("CHANGES/12.bugfix.rst", "doc/changelog/7.md"),
        *(".github/workflows/ci.yml", "pyproject.toml", "sub/package.json", "Makefile", "go.sum"),
    ],
)
def test_noise_and_what_only_a_person_changes_tell_nothing(path: str) -> None:
    """Lockfiles, changelogs, generated and vendored files, manifests and checks tell nothing."""
    assert not tells(path)


@pytest.mark.parametrize(
    "path", ["src/changes/model.py", "src/news/feed.py", "distance.py", "map.js"]
)
def test_code_tells(path: str) -> None:
    """A name that only looks like noise is code."""
    assert tells(path)


def test_only_so_many_commits_are_read(tmp_path: Path) -> None:
    """A bound on commits means the newest ones."""
    found = read(grow(tmp_path / "r", touches([("a.py",), ("b.py",), ("c.py",)])), most=2)

    assert [change.files for change in found.changes] == [("c.py",), ("b.py",)]


def test_a_history_that_takes_too_long_is_a_complaint(tmp_path: Path) -> None:
    """Git is given a bounded time, and the complaint says how to ask for less."""
    with pytest.raises(Complaint, match="git took more than 0 s") as told:
        read(grow(tmp_path / "r", touches([("a.py",)])), seconds=0)

    assert "--commits" in told.value.hint
