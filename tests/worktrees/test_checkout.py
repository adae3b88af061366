"""The user's own checkout: refused by name, or forwarded without losing a byte."""

import pytest

from tests.run import run
from tests.worktrees.marks import fingerprint, status
from worktrees.checkout import (
    checked_out,
    fast_forward_checkout,
    is_clean,
    ready_to_forward,
    refusals,
)
from worktrees.git import open_repository
from worktrees.lock import worktree_lock
from worktrees.workspace import grow, hand_out


@pytest.mark.parametrize(
    ("files", "word"),
    [
        ({".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n"}, "Git LFS"),
        ({"deep/er/.gitattributes": "*.psd filter=lfs\n"}, "Git LFS"),
        ({".gitmodules": "[submodule]\n"}, "submodules"),
    ],
)
def test_what_a_tree_makes_impossible_is_named(repository, base, commit, files, word):
    """LFS attributes anywhere and a submodule file are refused, each with a remedy."""
    reasons = refusals(repository, commit(base, files))

    assert len(reasons) == 1
    assert word in reasons[0]


def test_a_gitlink_is_refused(repository, base):
    """A submodule entry without any `.gitmodules` is found by its mode."""
    git = repository.git.with_index(repository.factory / "gitlink")
    git("read-tree", base)
    git("update-index", "--index-info", stdin=f"160000 {base}\tsub\n".encode())
    made = git("commit-tree", git("write-tree").text, "-p", base, stdin=b"m").text

    assert "submodules" in refusals(repository, made)[0]


def test_an_ordinary_repository_is_not_refused(repository, base):
    """Nothing is said about a plain repository."""
    assert refusals(repository, base) == ()


def test_an_empty_repository_is_refused(tmp_path):
    """A repository without commit is told to make one."""
    run(["git", "init", "-q", str(tmp_path / "r")])
    repository = open_repository(tmp_path / "r")

    assert "no commit" in refusals(repository, repository.git.resolve("HEAD"))[0]


def test_shallow_and_partial_clones_are_refused(checkout, tmp_path):
    """Both kinds of incomplete clone are named."""
    url = f"file://{checkout}"
    run(["git", "config", "uploadpack.allowFilter", "true"], cwd=checkout)
    run(["git", "commit", "-q", "--allow-empty", "-m", "two"], cwd=checkout)
    run(["git", "clone", "-q", "--depth=1", url, str(tmp_path / "shallow")])
    run(["git", "clone", "-q", "--filter=blob:none", url, str(tmp_path / "partial")])

    for kind in ("shallow", "partial"):
        repository = open_repository(tmp_path / kind)
        reasons = refusals(repository, repository.git.resolve("HEAD"))
        assert any(kind in reason for reason in reasons), kind


def test_only_the_users_worktrees_count_as_checkouts(repository, base, checkout, tmp_path):
    """A ref is found where the user has it checked out, and never in a workspace of ours."""
    lock = worktree_lock(repository.factory)
    linked = tmp_path / "linked"
    run(["git", "worktree", "add", "-q", "-b", "side", str(linked)], cwd=checkout)
    ref = "refs/heads/factory/r/job/a"
    grown = grow(repository, name="r-0", base=base, lock=lock)
    hand_out(repository, grown, ref=ref, start=base, expected=None)

    assert checked_out(repository, "refs/heads/main") == checkout
    assert checked_out(repository, "refs/heads/side") == linked
    assert checked_out(repository, ref) is None
    assert checked_out(repository, "refs/heads/ma") is None


def test_a_clean_checkout_goes_forward(repository, base, commit, checkout):
    """Index and files become the new commit's, and doing it again changes nothing."""
    new = commit(base, {"src/core.py": None, "new/file": "n\n", "README.md": "2\n"})
    assert is_clean(repository, checkout)

    assert ready_to_forward(repository, checkout, old=base, new=new) == ""
    repository.git("update-ref", "refs/heads/main", new, base)
    assert fast_forward_checkout(repository, checkout, old=base, new=new) == ""

    assert status(checkout).text == ""
    assert (checkout / "new/file").read_text() == "n\n"
    assert not (checkout / "src/core.py").exists()
    assert fast_forward_checkout(repository, checkout, old=base, new=new) == ""


def test_touched_but_equal_files_do_not_block(repository, base, commit, checkout):
    """A file whose time changed but whose bytes did not is clean."""
    new = commit(base, {"README.md": "2\n"})
    text = (checkout / "README.md").read_bytes()
    (checkout / "README.md").unlink()
    (checkout / "README.md").write_bytes(text)

    assert fast_forward_checkout(repository, checkout, old=base, new=new) == ""

    assert (checkout / "README.md").read_text() == "2\n"


def test_an_untracked_file_in_the_way_is_never_overwritten(repository, base, commit, checkout):
    """A collision, even with an ignored file, refuses the whole move and changes no byte."""
    new = commit(base, {"new.txt": "theirs\n", "README.md": "2\n"})
    (checkout / ".git" / "info" / "exclude").write_text("new.txt\n")
    (checkout / "new.txt").write_text("mine\n")
    before = fingerprint(checkout)

    why = fast_forward_checkout(repository, checkout, old=base, new=new)

    assert "new.txt" in why
    assert fingerprint(checkout) == before


@pytest.mark.parametrize("staged", [True, False])
def test_a_dirty_checkout_is_left_alone(repository, base, commit, checkout, staged):
    """Modified or staged work, even in files that the move does not touch, refuses the move."""
    new = commit(base, {"README.md": "2\n"})
    (checkout / "src/core.py").write_text("mine\n")
    if staged:
        run(["git", "add", "-A"], cwd=checkout)
    seen = status(checkout).text
    assert not is_clean(repository, checkout)

    why = fast_forward_checkout(repository, checkout, old=base, new=new)

    assert "stash" in why or "unstage" in why
    assert (checkout / "src/core.py").read_text() == "mine\n"
    assert (checkout / "README.md").read_text() != "2\n"
    assert status(checkout).text == seen


def test_untracked_files_in_a_replaced_directory_survive(repository, base, commit, checkout):
    """Neither a directory that becomes a file nor a file that becomes a directory loses any."""
    (checkout / ".git" / "info" / "exclude").write_text("*.log\nlogs\n")
    (checkout / "src/api/mine.log").write_text("mine\n")
    (checkout / "logs").write_text("mine\n")
    gone: dict[str, str | None] = {"src/api/users.py": None, "src/api/items.py": None}
    narrow = commit(base, gone | {"src/api": "now a file\n"})
    deep = commit(base, {"logs/a": "theirs\n"})

    assert "src/api/mine.log" in ready_to_forward(repository, checkout, old=base, new=narrow)
    assert "logs" in ready_to_forward(repository, checkout, old=base, new=deep)
    assert (checkout / "src/api/mine.log").read_text() == "mine\n"

    (checkout / "src/api/mine.log").unlink()
    assert fast_forward_checkout(repository, checkout, old=base, new=narrow) == ""
    assert (checkout / "src/api").read_text() == "now a file\n"


def test_an_unrelated_untracked_file_does_not_block(repository, base, commit, checkout):
    """Untracked files that do not collide stay where they are."""
    new = commit(base, {"README.md": "2\n"})
    (checkout / "notes.txt").write_text("mine\n")

    assert is_clean(repository, checkout)
    assert fast_forward_checkout(repository, checkout, old=base, new=new) == ""

    assert (checkout / "notes.txt").read_text() == "mine\n"
