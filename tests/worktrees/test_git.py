"""The door to git: explicit, bounded, inheriting nothing."""

import os
import select
from contextlib import suppress

import pytest

from tests.conftest import make_repository
from tests.run import run
from worktrees.git import (
    FACTORY_IDENTITY,
    Git,
    GitError,
    GitTimeout,
    Limits,
    NotARepository,
    open_repository,
)
from worktrees.names import Oid


def test_a_call_gives_code_and_bytes(repository, base):
    """Output comes back as bytes and as stripped text, with the exit code."""
    answer = repository.git("rev-parse", "refs/heads/main")

    assert answer.code == 0
    assert answer.out == base.encode() + b"\n"
    assert answer.text == base


def test_a_failed_call_raises_with_its_last_words(repository):
    """An exit code that was not asked for is an error that names command and reason."""
    with pytest.raises(GitError, match="cat-file") as caught:
        repository.git("cat-file", "blob", "0" * 40)

    assert caught.value.code == 128
    assert b"0000" in caught.value.stderr
    assert repository.git("cat-file", "-e", "0" * 40, ok=(0, 1)).code == 1


def test_nothing_is_inherited_from_the_environment(repository, base, monkeypatch, tmp_path):
    """GIT_ variables, global configuration and HOME of this process do not reach git."""
    (tmp_path / ".gitconfig").write_text("[factory]\n\tplanted = yes\n")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / ".gitconfig"))
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "factory.planted")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "yes")

    assert repository.git.resolve("HEAD") == base
    assert repository.git("config", "--get", "factory.planted", ok=(0, 1)).text == ""


def test_input_larger_than_a_pipe_does_not_block(repository):
    """A megabyte in and out at once passes through."""
    data = os.urandom(1 << 20)

    oid = repository.git("hash-object", "-w", "--stdin", stdin=data).text

    assert repository.git("cat-file", "blob", oid).out == data


def test_a_call_that_does_not_end_is_killed(repository, tmp_path):
    """A call past its deadline raises `GitTimeout` soon, and what git itself started is gone."""
    written = tmp_path / "pid"
    alias = f"alias.halt=!echo $$ > {written}; exec sleep 60"

    with pytest.raises(GitTimeout, match="after 2 s"):
        repository.git("-c", alias, "halt", timeout=2)

    with suppress(ProcessLookupError):
        started = os.pidfd_open(int(written.read_text()))
        try:
            ended, _, _ = select.select([started], [], [], 10)
        finally:
            os.close(started)
        assert ended


def test_output_past_the_cap_is_a_clear_error(repository):
    """A flood of output ends the call instead of filling memory."""
    oid = repository.git("hash-object", "-w", "--stdin", stdin=b"x" * 300_000).text

    with pytest.raises(GitError, match="more than 1000 bytes"):
        repository.git("cat-file", "blob", oid, cap=1000)


def test_limits_bound_memory(repository):
    """A call under limits cannot take more memory than they say."""
    data = b"x" * 200_000_000
    with pytest.raises(GitError):
        repository.git(
            "hash-object", "--stdin", stdin=data, limits=Limits(cpu=20, memory=60_000_000)
        )


@pytest.mark.parametrize("name", ["main", "--all", "HEAD~1", "refs/heads/no", "f" * 40])
def test_only_full_names_and_ids_resolve(repository, name):
    """A short name, an option or an absent object never turns into an object."""
    if name.startswith("refs/") or len(name) == 40:
        assert repository.git.resolve(name) is None
    else:
        with pytest.raises(GitError, match="neither a full ref name"):
            repository.git.resolve(name)


def test_a_tag_of_the_same_name_does_not_win(repository, base, commit):
    """The full ref name means the branch, whatever tag is called like it."""
    other = commit(base, {"README.md": "other\n"})
    repository.git("update-ref", "refs/tags/main", other)

    assert repository.git.resolve("refs/heads/main") == base


def test_replaced_objects_are_not_seen(repository, base, commit):
    """`git replace` does not change what we read (A28)."""
    other = commit(base, {"README.md": "other\n"})
    run(["git", "replace", base, other], cwd=repository.checkout)

    assert repository.git.tree_of(base) != repository.git.tree_of(other)


def test_blobs_are_read_as_git_reads_them(repository, base):
    """The library behind the door gives the same bytes as git, and absent objects are errors."""
    oid = Oid(repository.git("rev-parse", f"{base}:src/core.py").text)

    assert repository.git.read_blob(oid) == repository.git("cat-file", "blob", oid).out
    with pytest.raises(GitError, match="no such object"):
        repository.git.read_blob(Oid("a" * 40))
    with pytest.raises(GitError, match="not a blob"):
        repository.git.read_blob(base)


def test_reading_blobs_leaves_no_descriptor(repository, base):
    """Fifty reads leave as many descriptors as before."""
    oid = Oid(repository.git("rev-parse", f"{base}:src/core.py").text)
    repository.git.read_blob(oid)
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208

    for _ in range(50):
        repository.git.read_blob(oid)

    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


def test_quarantined_objects_stay_out_of_the_store(repository, tmp_path):
    """What is written through `with_objects` is seen there and not in the repository."""
    quarantine = tmp_path / 'q:"uar'
    quarantine.mkdir()
    git = repository.git.with_objects(quarantine, [repository.objects])

    oid = git("hash-object", "-w", "--stdin", stdin=b"hidden").text

    assert git.resolve(oid) == oid
    assert repository.git.resolve(oid) is None
    assert git.resolve("HEAD") is not None


def test_a_checkout_is_found_from_below(checkout):
    """Discovery gives common dir, top level and our directory from any place in the checkout."""
    repository = open_repository(checkout / "src" / "api")

    assert repository.common == checkout / ".git"
    assert repository.checkout == checkout
    assert repository.factory == checkout / ".git" / "factory"
    assert list(repository.git.empty.iterdir()) == []
    assert repository.object_format == "sha1"


def test_a_linked_worktree_shares_the_common_dir(checkout, tmp_path):
    """From a linked worktree of the user the common dir is the same, the checkout its own."""
    linked = tmp_path / "linked"
    run(["git", "worktree", "add", "-q", "-b", "side", str(linked)], cwd=checkout)

    repository = open_repository(linked)

    assert repository.common == checkout / ".git"
    assert repository.checkout == linked


def test_a_bare_repository_has_no_checkout(checkout, tmp_path):
    """A bare repository is usable and has no checkout."""
    bare = tmp_path / "bare.git"
    run(["git", "clone", "-q", "--bare", str(checkout), str(bare)])

    repository = open_repository(bare)

    assert repository.checkout is None
    assert repository.git.resolve("refs/heads/main") is not None


def test_no_repository_is_said_so(tmp_path):
    """A directory without repository, or none at all, is `NotARepository`."""
    for place in (tmp_path, tmp_path / "absent"):
        with pytest.raises(NotARepository):
            open_repository(place)


def test_sha256_repositories_work(tmp_path):
    """The other object format is known and resolves."""
    run(["git", "init", "-q", "--object-format=sha256", "-b", "main", str(tmp_path / "r")])
    make_repository(tmp_path / "r", {"a": "1\n"})

    repository = open_repository(tmp_path / "r")

    assert repository.object_format == "sha256"
    head = repository.git.resolve("HEAD")
    assert head is not None
    assert len(head) == 64
    blob = Oid(repository.git("rev-parse", f"{head}:a").text)
    assert repository.git.read_blob(blob) == b"1\n"


def test_a_work_tree_in_the_configuration_is_not_used(checkout, tmp_path):
    """`core.worktree` of the user does not lead our calls into their files."""
    planted = tmp_path / "planted"
    planted.mkdir()
    run(["git", "config", "core.worktree", str(planted)], cwd=checkout)

    repository = open_repository(checkout / ".git")

    assert repository.git("rev-parse", "--show-toplevel").text == str(repository.git.empty)


def test_hooks_and_fsmonitor_of_the_repository_never_run(checkout, base, commit, tmp_path):
    """What is planted as hook, fsmonitor or reference hook is not executed by our calls."""
    proof = tmp_path / "executed"
    evil = tmp_path / "evil"
    evil.write_text(f"#!/bin/sh\ntouch {proof}\n")
    evil.chmod(0o755)
    hooks = checkout / ".git" / "hooks"
    hooks.mkdir(exist_ok=True)
    for name in ("reference-transaction", "post-index-change", "post-checkout", "pre-auto-gc"):
        (hooks / name).write_bytes(evil.read_bytes())
        (hooks / name).chmod(0o755)
    run(["git", "config", "core.fsmonitor", str(evil)], cwd=checkout)
    run(["git", "config", "core.hooksPath", str(hooks)], cwd=checkout)
    proof.unlink(missing_ok=True)
    repository = open_repository(checkout)

    made = commit(base, {"README.md": "new\n"})
    repository.git("update-ref", "refs/heads/x", made)
    repository.git.with_work_tree(checkout)("status")

    assert not proof.exists()


def test_the_identity_is_the_factorys(repository, base):
    """Commits carry the pinned identity, or the one a derived git names."""
    tree = repository.git.tree_of(base)
    made = repository.git("commit-tree", tree, "-p", base, stdin=b"m\n").text

    said = repository.git("log", "-1", "--format=%an <%ae> %cn", made).text

    assert said == f"{FACTORY_IDENTITY.name} <{FACTORY_IDENTITY.email}> Factory"


def test_paths_that_are_no_utf8_survive(repository):
    """A path of arbitrary bytes comes back as it is in ``parts`` and through ``text``."""
    git = repository.git.with_index(repository.factory / "odd")
    blob = git("hash-object", "-w", "--stdin", stdin=b"x").text
    git("update-index", "-z", "--index-info", stdin=b"100644 %s\ta\xff\nb\0" % blob.encode())

    listed = git("ls-files", "-z")

    assert listed.parts == (b"a\xff\nb",)
    assert listed.text.encode("utf-8", "surrogateescape") == b"a\xff\nb\0"
    assert isinstance(git, Git)
