"""Sealed: what a run made travels as one file and is judged commit by commit where it arrives."""

from pathlib import Path

import pytest

from tests.conftest import commit_files
from tests.run import run
from worktrees.git import Repository, open_repository
from worktrees.names import Oid
from worktrees.policy import Rule, Rules
from worktrees.sealed import REF, Opened, SealError, header, open_sealed, seal


@pytest.fixture
def base(repository: Repository) -> Oid:
    """Give the commit that everything starts from."""
    found = repository.git.resolve("refs/heads/main")
    assert found is not None
    return found


@pytest.fixture
def clone(repository: Repository, tmp_path: Path) -> Repository:
    """Give a bare clone that has the base and nothing that came after."""
    assert repository.checkout is not None
    place = tmp_path / "clone.git"
    run(["git", "clone", "-q", "--bare", str(repository.checkout), str(place)])
    return open_repository(place)


def opened(
    clone: Repository, repository: Repository, base: Oid, head: Oid, rules: Rules | None = None
) -> Opened:
    """Seal in one repository and open in the other."""
    data = seal(repository.git, base, head)
    return open_sealed(clone, data, base=base, head=head, rules=rules or Rules())


def linked(repository: Repository, parent: Oid, mode: str, name: str, target: str) -> Oid:
    """Commit an entry of any mode."""
    git = repository.git.with_index(repository.factory / "odd-index")
    git("read-tree", parent)
    oid = target
    if mode != "160000":
        oid = git("hash-object", "-w", "--stdin", stdin=target.encode()).text
    git("update-index", "--add", "--cacheinfo", f"{mode},{oid},{name}")
    tree = git("write-tree").text
    return Oid(git("commit-tree", tree, "-p", parent, "-m", "odd").text)


def test_sealed_commits_arrive_as_they_were(
    repository: Repository, clone: Repository, base: Oid
) -> None:
    """What was sealed stands in the other repository, with its tree, entries and messages."""
    one = commit_files(repository, base, {"src/core.py": "ONE = 2\n"})
    two = commit_files(repository, one, {"src/new.py": "NEW = 1\n"})

    found = opened(clone, repository, base, two)

    assert found.judgement.accepted
    assert clone.git.resolve(REF) == two
    assert found.tree == repository.git.tree_of(two)
    assert [entry.path for entry in found.entries] == [b"src/core.py", b"src/new.py"]
    assert found.messages == (b"change\n", b"change\n")
    assert found.lines == 7


def test_git_itself_reads_the_file(repository: Repository, base: Oid, tmp_path: Path) -> None:
    """The file is a bundle that plain git verifies."""
    head = commit_files(repository, base, {"a.txt": "a\n"})
    file = tmp_path / "change.bundle"
    file.write_bytes(seal(repository.git, base, head))

    said = run(["git", "bundle", "list-heads", file], cwd=repository.checkout)

    assert said.text == f"{head} {REF}"
    run(["git", "bundle", "verify", file], cwd=repository.checkout)


@pytest.mark.parametrize(
    ("mode", "target", "rule"),
    [("120000", "/etc/passwd", Rule.MODE), ("160000", "1" * 40, Rule.MODE)],
)
def test_links_and_submodules_are_refused(
    repository: Repository, clone: Repository, base: Oid, mode: str, target: str, rule: Rule
) -> None:
    """A symbolic link and a submodule never arrive, and nothing of them stays."""
    head = linked(repository, base, mode, "odd", target)

    found = opened(clone, repository, base, head)

    assert [one.rule for one in found.judgement.refusals] == [rule]
    assert clone.git.resolve(REF) is None
    assert clone.git.resolve(head) is None


def test_a_commit_between_is_judged_too(
    repository: Repository, clone: Repository, base: Oid
) -> None:
    """What was added and taken away again is refused: a push would publish it."""
    bad = linked(repository, base, "120000", "odd", "/etc/passwd")
    good = commit_files(repository, bad, {"odd": None, "a.txt": "a\n"})

    found = opened(clone, repository, base, good)

    assert [one.rule for one in found.judgement.refusals] == [Rule.MODE]


def test_too_many_files_are_refused(repository: Repository, clone: Repository, base: Oid) -> None:
    """The number of files is judged before anything in them is read."""
    head = commit_files(repository, base, {f"many/{n}.txt": "x\n" for n in range(60)})

    found = opened(clone, repository, base, head, Rules(files=50))

    assert [one.rule for one in found.judgement.refusals] == [Rule.COUNT]


def test_a_bomb_is_refused_by_its_size(
    repository: Repository, clone: Repository, base: Oid
) -> None:
    """A small pack that unpacks to much more is refused without being read."""
    head = commit_files(repository, base, {"zeros.bin": b"\0" * 30_000_000})
    data = seal(repository.git, base, head)
    assert len(data) < 100_000

    found = open_sealed(clone, data, base=base, head=head, rules=Rules(megabytes=20))

    assert {one.rule for one in found.judgement.refusals} == {Rule.SIZE}


def test_protected_paths_are_named(repository: Repository, clone: Repository, base: Oid) -> None:
    """A workflow and what the caller protects are found, apart from what is refused outright."""
    files: dict[str, str | bytes | None] = {
        ".github/workflows/x.yml": "on: push\n",
        "AGENTS.md": "",
    }
    head = commit_files(repository, base, files)

    found = opened(clone, repository, base, head, Rules(protect=("AGENTS.md",)))

    assert sorted(one.path for one in found.judgement.protected) == [
        b".github/workflows/x.yml",
        b"AGENTS.md",
    ]


def test_another_base_or_head_is_refused(
    repository: Repository, clone: Repository, base: Oid
) -> None:
    """The file must be of exactly this head over exactly this base."""
    head = commit_files(repository, base, {"a.txt": "a\n"})
    other = commit_files(repository, base, {"b.txt": "b\n"})
    data = seal(repository.git, base, head)

    for wrong in (
        open_sealed(clone, data, base=base, head=other, rules=Rules()),
        open_sealed(clone, data, base=other, head=head, rules=Rules()),
        open_sealed(clone, header(base, head) + b"no pack", base=base, head=head, rules=Rules()),
        open_sealed(clone, data[:-30], base=base, head=head, rules=Rules()),
        open_sealed(clone, data, base=base, head=head, rules=Rules(megabytes=-1)),
    ):
        assert not wrong.judgement.accepted
    assert clone.git.resolve(REF) is None


def test_a_root_of_its_own_is_refused(repository: Repository, clone: Repository, base: Oid) -> None:
    """History that does not grow out of the base is refused."""
    tree = repository.git.tree_of(base)
    root = Oid(repository.git("commit-tree", tree, "-m", "root").text)
    git = repository.git
    head = Oid(git("commit-tree", tree, "-p", base, "-p", root, "-m", "two").text)

    found = opened(clone, repository, base, head)

    assert [one.rule for one in found.judgement.refusals] == [Rule.ENVELOPE]


def test_nothing_is_no_bundle(repository: Repository, base: Oid) -> None:
    """There is nothing to seal where nothing changed."""
    with pytest.raises(SealError):
        seal(repository.git, base, base)
