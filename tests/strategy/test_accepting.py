"""Which test shows an item cured: named by code, run alone where the runner can do that."""

import pytest

from factory.strategy import accepting
from factory.strategy.accepting import Runner, acceptance, existing, runner_of
from stations.contract import Argv

PYTHON = ("src/a.py", "tests/test_a.py")


def runner(*words: str, tracked: tuple[str, ...] = PYTHON) -> Runner:
    """Give the runner of one required test command."""
    return runner_of([words], tracked)


@pytest.mark.parametrize(
    ("words", "file", "test_id", "command"),
    [
        (
            (".venv/bin/python", "-P", "-m", "pytest", "-x", "tests/unit"),
            "tests/test_a.py",
            "tests/test_a.py::test_issue_7",
            (".venv/bin/python", "-P", "-m", "pytest", "-q", "tests/test_a.py::test_issue_7"),
        ),
        (
            ("/opt/bin/pytest", "-n", "4"),
            "tests/test_a.py",
            "tests/test_a.py::test_issue_7",
            ("/opt/bin/pytest", "-q", "tests/test_a.py::test_issue_7"),
        ),
        (
            ("python", "-m", "unittest", "discover", "-q"),
            "tests/test_a.py",
            "tests/test_a.py::Issue7",
            ("python", "-m", "unittest", "-q", "tests.test_a.Issue7"),
        ),
        (
            ("go", "test", "./..."),
            "net/a_test.go",
            "net/a_test.go::TestIssue7",
            ("go", "test", "-count=1", "-run", "^TestIssue7$", "./net"),
        ),
        (("npm", "test"), "test/a.test.js", "test/a.test.js", ("npm", "test")),
    ],
)
def test_one_test_is_run_alone_where_the_runner_can(
    words: Argv, file: str, test_id: str, command: Argv
) -> None:
    """The line's own command is kept as far as it starts the runner; paths and choices go."""
    found = acceptance(runner(*words), file, 7)

    assert (found.item, found.test_id, found.command) == (7, test_id, command)
    assert accepting.file_of(found.test_id) == file


def test_a_name_that_is_none_is_left_out() -> None:
    """Only words that can be a name go behind the number."""
    pytest_ = runner("pytest")

    assert acceptance(pytest_, "t.py", 7, name="port_is_kept").test_id.endswith("7_port_is_kept")
    for name in ("x(); y", "UPPER", "a", "ä_ö", "../../x"):
        assert acceptance(pytest_, "t.py", 7, name=name).test_id == "t.py::test_issue_7"


@pytest.mark.parametrize(
    ("words", "file", "command"),
    [
        (("pytest",), "tests/test_a.py", ("pytest", "-q", "tests/test_a.py")),
        (
            ("python", "-m", "unittest"),
            "tests/test_a.py",
            ("python", "-m", "unittest", "-q", "tests.test_a"),
        ),
        (("go", "test"), "net/a_test.go", ("go", "test", "-count=1", "./net")),
    ],
)
def test_a_test_file_that_is_there_is_run_as_a_whole(words: Argv, file: str, command: Argv) -> None:
    """What a merged change brought is its file; a runner that cannot choose shows nothing."""
    found = existing(runner(*words), file, 7)

    assert found is not None
    assert found.command == command
    assert existing(runner("make", "test"), file, 7) is None


def test_the_runner_follows_the_line_and_then_the_files() -> None:
    """The first required command that is known counts; without any, what most files are."""
    assert runner_of([(), ("make", "test"), ("pytest",)], PYTHON).kind == "pytest"
    assert runner_of([("make", "test")], PYTHON).whole == ("make", "test")
    assert runner_of([], PYTHON).kind == "pytest"
    assert runner_of([], ("a.js", "b.js", "c.py")).suffix == ".js"
    assert runner_of([], ()).suffix == ""


@pytest.mark.parametrize(
    ("words", "tracked", "near", "file"),
    [
        (("pytest",), PYTHON, ("tests/test_a.py",), "tests/test_http_pool_issues.py"),
        (("pytest",), ("src/a.py",), ("src/a.py",), "tests/test_http_pool_issues.py"),
        (
            ("pytest",),
            ("a/tests/test_x.py", "b/tests/test_y.py", "b/tests/test_z.py"),
            ("a/x.py", "a/tests/test_x.py"),
            "a/tests/test_http_pool_issues.py",
        ),
        (("go", "test"), ("net/pool.go",), ("net/pool.go",), "net/http_pool_issues_test.go"),
        (("npm", "test"), ("a.ts", "test/a.test.ts"), (), "test/http_pool_issues.test.ts"),
        (("mvn", "test"), ("A.java", "B.java"), (), "tests/HttpPoolIssuesTest.java"),
        (("bundle",), ("a.rb", "spec/a_spec.rb"), (), "spec/http_pool_issues_spec.rb"),
    ],
)
def test_new_tests_lie_where_the_others_do(
    words: Argv, tracked: tuple[str, ...], near: tuple[str, ...], file: str
) -> None:
    """Beside the tests of the station's files, else where most tests are, named as they are."""
    found = accepting.test_file(
        runner(*words, tracked=tracked),
        "http-pool",
        near=near,
        tracked=tracked,
        allowed=(),
        taken=(),
    )

    assert found == file


def test_a_name_that_is_taken_is_not_taken_again() -> None:
    """Neither a file of the base nor one of another station is written over."""
    taken = "tests/test_pool_issues.py"
    tracked = (*PYTHON, taken)

    found = accepting.test_file(
        runner("pytest"),
        "pool",
        near=(),
        tracked=tracked,
        allowed=("tests",),
        taken=("tests/test_pool_issues_2.py",),
    )

    assert found == "tests/test_pool_issues_3.py"
