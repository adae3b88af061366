"""Which files a root cause is about: found on a real base, each with what speaks for it."""

from collections.abc import Sequence

from factory.strategy import files
from factory.strategy.files import Ground, Told, files_of, grep_of
from factory.strategy.values import Found
from tests.conftest import Commit
from worktrees.git import Repository
from worktrees.names import Oid

TREE = {
    "src/net/proxy.py": "from net.rules import bypass_host\n\nclass ProxyMap:\n    pass\n",
    "src/net/rules.py": "def bypass_host(name):\n    return False\n",
    "src/net/pool.py": "import net.proxy\n",
    "src/lone/rules.py": "X = 1\n",
    "tests/net/test_rules.py": "from net.rules import bypass_host\n",
    "docs/proxy.md": "`bypass_host` decides.\n",
    "CHANGELOG.md": "bypass_host\n",
    "uv.lock": "bypass_host\n",
    "strange [1].py": "def odd_name(): ...\n",
}


def none(_: object) -> list[tuple[str, float]]:
    """Give no file that changed together with others."""
    return []


def ground(repository: Repository, base: Oid) -> Ground:
    """Give the ground of a commit as the strategy sees it."""
    listed = repository.git("ls-tree", "-r", "-z", "--name-only", base).parts
    tracked = frozenset(path.decode() for path in listed)
    return Ground(tracked=tracked, grep=grep_of(repository.git, base), related=none)


def paths(found: Sequence[Found]) -> list[str]:
    """Give the paths, strongest first."""
    return [each.path for each in found]


def test_a_symbol_leads_to_where_it_is_defined_and_used(
    repository: Repository, base: Oid, commit: Commit
) -> None:
    """The definition weighs most; lockfile and changelog name it too, and are nobody's."""
    at = ground(repository, commit(base, TREE))

    found = files_of(at, [Told(number=3, texts=("`bypass_host` says no to ports",))])

    assert paths(found)[0] == "src/net/rules.py"
    assert set(paths(found)) == {
        *("src/net/rules.py", "src/net/proxy.py", "tests/net/test_rules.py", "docs/proxy.md"),
    }
    assert "it defines bypass_host" in found[0].reasons
    tested = next(each for each in found if each.path == "tests/net/test_rules.py")
    assert "it tests src/net/rules.py" in tested.reasons


def test_paths_count_only_when_the_base_tracks_them(
    repository: Repository, base: Oid, commit: Commit
) -> None:
    """Stack frames of other machines lead home; what is not tracked, or means two files, is not."""
    text = (
        'File "/usr/lib/python3.11/site-packages/net/proxy.py", line 3, in f\n'
        "see ../../../etc/passwd, rules.py, /etc/shadow and net/no.py"
    )
    at = ground(repository, commit(base, TREE))

    found = files_of(at, [Told(number=3, texts=(text,))])

    assert paths(found) == ["src/net/proxy.py"]
    assert found[0].reasons == ("#3 names it",)


def test_a_pull_requests_files_weigh_by_what_it_adds(
    repository: Repository, base: Oid, commit: Commit
) -> None:
    """The file with most added lines is first; a changelog in it is left out."""
    at = ground(repository, commit(base, TREE))
    told = Told(
        number=9,
        files=("src/net/pool.py", "src/net/proxy.py", "CHANGELOG.md", "gone.py"),
        added={"src/net/pool.py": 1, "src/net/proxy.py": 90, "CHANGELOG.md": 500},
    )

    found = files_of(at, [told])

    assert paths(found) == ["src/net/proxy.py", "src/net/pool.py"]
    assert found[0].reasons == ("pull request #9 changes it",)


def test_what_changed_together_is_weaker_than_what_is_named(
    repository: Repository, base: Oid, commit: Commit
) -> None:
    """A neighbour in history joins in, below the file that leads to it."""
    at = ground(repository, commit(base, TREE))
    near = Ground(
        tracked=at.tracked,
        grep=at.grep,
        related=lambda files: [("src/net/pool.py", 0.9), ("gone.py", 1.0)] if files else [],
    )

    found = files_of(near, [], files=["src/net/proxy.py", "invented.py"])

    assert paths(found) == ["src/net/proxy.py", "src/net/pool.py"]
    assert found[1].reasons == ("it changed together with these files",)


def test_a_text_is_no_option_and_no_pattern_of_git(
    repository: Repository, base: Oid, commit: Commit
) -> None:
    """Words are fixed strings: dashes, stars and line breaks in them reach git as nothing else."""
    grep = grep_of(repository.git, commit(base, TREE))

    assert grep(["--help"]) == ()
    assert grep(["by.*host"]) == ()
    assert grep(["a\nbypass_host"]) is None
    assert grep(["odd_name"]) == ("strange [1].py",)


def test_a_word_that_is_everywhere_says_nothing(
    repository: Repository, base: Oid, commit: Commit
) -> None:
    """A symbol in more files than a cause can be about leads nowhere."""
    many = {f"src/m{place}.py": "common_word = 1\n" for place in range(files.COMMON + 1)}
    at = ground(repository, commit(base, many))

    assert files_of(at, [Told(number=3, texts=("`common_word` is wrong",))]) == ()


def test_a_search_that_takes_too_long_is_given_up(repository: Repository, base: Oid) -> None:
    """One that ran out of its time is not tried again, and is no error."""
    grep = grep_of(repository.git, base, seconds=0.0)

    assert grep(["name"]) is None
    assert grep(["ONE"]) is None


def test_a_cause_keeps_a_bounded_number_of_files() -> None:
    """However many files speak for a cause, the strongest few are kept."""
    tracked = frozenset(f"src/f{place}.py" for place in range(200))
    at = Ground(tracked=tracked, grep=lambda _: (), related=none)

    found = files_of(at, [Told(number=1, files=tuple(sorted(tracked)))])

    assert len(found) == files.MOST_FILES
