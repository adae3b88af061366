"""How work reaches the target, what the history says of it, and what stays untouched."""

import shutil
from pathlib import Path

import pytest

from tests.run import run
from tests.system.user import CODE, ONE, TESTS, User, job, states, table

ADA = "[user]\nname = Ada L\nemail = ada@example.org\n"
TRAILERS = "--format=%(trailers:only,unfold)"


def message_of(user: User, ref: str) -> list[str]:
    """Give the trailers of a commit as lines."""
    return user.git("log", "-1", TRAILERS, ref).splitlines()


def test_by_default_a_run_lands_on_a_branch_of_its_own(user: User) -> None:
    """Without a target the work lands on factory/<run>/target; `take` brings it to the user."""
    user.configure(CODE, TESTS, job("one", **ONE), line={})
    before = user.git("rev-parse", "main")

    document = user.document("run", "--trust", schema="factory.run/1")

    target = f"factory/{document['run']}/target"
    assert document["target"] == target
    assert user.git("rev-parse", target) == document["tip"] == document["jobs"][0]["commit"]
    assert (user.git("rev-parse", "main"), user.git("status", "--porcelain")) == (before, "")
    assert user.at(target, "a/new.txt") == "new"
    assert not (user.checkout / "a/new.txt").exists()

    taken = user.document("take", schema="factory.take/1")
    again = user.document("take", schema="factory.take/1")

    assert (taken["how"], taken["commit"], again["how"]) == (
        "fast-forward",
        document["tip"],
        "nothing",
    )
    assert (user.checkout / "a/new.txt").read_text() == "new\n"
    assert user.git("status", "--porcelain") == ""


def test_take_merges_or_says_why_not(user: User) -> None:
    """Beside other commits `take` merges in the user's name; dirt and conflicts stop it."""
    (user.home / ".gitconfig").write_text(ADA)
    user.configure(CODE, TESTS, job("one", "echo mine > a/x.txt", scope=["a/**"]), line={})
    document = user.document("run", "--trust", schema="factory.run/1")
    user.commit({"b/own.txt": "own\n"})

    (user.checkout / "b/own.txt").write_text("dirty\n")
    error = user.document("take", schema="factory.error/1", code=2)
    user.git("checkout", "-q", "b/own.txt")
    taken = user.document("take", schema="factory.take/1")

    assert "not committed" in error["error"]
    assert taken["how"] == "merge"
    assert user.git("log", "-1", "--format=%an %P").startswith("Ada L ")
    assert user.git("log", "-1", "--format=%P").split()[1] == document["tip"]
    assert (user.checkout / "a/x.txt").read_text() == "mine\n"

    user.git("reset", "-q", "--hard", "HEAD^")
    user.commit({"a/x.txt": "other\n"})
    error = user.document("take", schema="factory.error/1", code=1)
    assert "a/x.txt" in error["error"]
    assert "git merge factory/" in error["hint"]
    assert user.git("status", "--porcelain") == ""


def test_a_clean_checkout_of_the_target_goes_along(user: User) -> None:
    """With --deliver merge the checked-out branch and its files stand at the landing."""
    user.configure(CODE, TESTS, job("one", **ONE), line={})
    (user.checkout / "notes").write_text("untracked\n")

    rows = user.run("--deliver", "merge")

    assert user.git("rev-parse", "HEAD") == rows["one"]["commit"]
    assert user.git("symbolic-ref", "HEAD") == "refs/heads/main"
    assert (user.checkout / "a/new.txt").read_text() == "new\n"
    assert user.git("status", "--porcelain") == "?? notes"


def test_onto_a_new_branch_makes_it_from_head(user: User) -> None:
    """--onto names the branch that moves; one that does not exist is made; nothing else moves."""
    user.configure(CODE, TESTS, job("one", **ONE), line={})
    before = user.git("rev-parse", "main")

    document = user.document(
        "run", "--trust", "--deliver", "merge", "--onto", "next", schema="factory.run/1"
    )

    assert (document["target"], document["base"]) == ("next", before)
    assert user.git("rev-parse", "next") == document["tip"]
    assert user.git("rev-parse", "next^1") == before
    assert user.git("rev-parse", "main") == before
    assert user.git("branch", "--show-current") == "main"


def test_onto_alone_lands_on_that_branch(user: User) -> None:
    """--onto BRANCH without --deliver merges into that branch, as `target` in the file does."""
    user.configure(CODE, TESTS, job("one", **ONE), line={})

    document = user.document("run", "--trust", "--onto", "next", schema="factory.run/1")

    assert document["target"] == "next"
    assert user.git("rev-parse", "next") == document["tip"]


def test_deliver_branch_starts_at_the_target_and_leaves_it(user: User) -> None:
    """With --deliver branch the configured target is only where the run begins."""
    user.configure(CODE, TESTS, job("one", **ONE))
    before = user.git("rev-parse", "main")

    document = user.document("run", "--trust", "--deliver", "branch", schema="factory.run/1")

    assert document["target"] == f"factory/{document['run']}/target"
    assert (document["base"], user.git("rev-parse", "main")) == (before, before)


def test_a_dirty_checkout_of_the_target_is_refused(user: User) -> None:
    """Changes that are not committed stop the run before anything starts, with the way out."""
    user.configure(CODE, TESTS, job("one", **ONE))
    (user.checkout / "b/x.txt").write_text("mine\n")

    error = user.document("run", "--trust", schema="factory.error/1", code=7)

    assert "not committed" in error["error"]
    assert "--deliver branch" in error["error"]
    assert (user.checkout / "b/x.txt").read_text() == "mine\n"
    assert states(user.run("--deliver", "branch")) == {"one": "landed"}
    assert (user.checkout / "b/x.txt").read_text() == "mine\n"


@pytest.mark.parametrize(("deliver", "code", "word"), [("pr", 7, "remote"), ("mail", 2, "deliver")])
def test_what_cannot_be_delivered_is_refused_by_name(
    user: User, deliver: str, code: int, word: str
) -> None:
    """A way of delivery that there is not, or not here, stops before anything is placed."""
    user.configure(CODE, TESTS, job("one", **ONE))

    error = user.document(
        "run", "--trust", "--deliver", deliver, schema="factory.error/1", code=code
    )

    assert word in error["error"]
    nothing = user.document("resume", schema="factory.run/1")
    assert (nothing["run"], nothing["jobs"]) == (None, [])


def test_a_landing_says_run_jobs_and_tested_tree(user: User) -> None:
    """The trailers name run, each job and the tree that was tested, which is the commit's own."""
    user.configure(
        CODE,
        TESTS,
        job("one", "echo 1 > a/new.txt", scope=["a/**"], title="Write\tthe first"),
        job("two", "echo 2 > b/new.txt", scope=["b/**"]),
    )
    base = user.git("rev-parse", "main")

    document = user.document("run", "--trust", schema="factory.run/1")

    landed: dict[str, str] = {}
    for commit in user.git("rev-list", "--first-parent", f"{base}..main").splitlines():
        trailers = [line.partition(": ") for line in message_of(user, commit)]
        said = [(key, value) for key, _, value in trailers]
        names = [value for key, value in said if key == "Factory-Job"]
        landed |= dict.fromkeys(names, commit)
        assert said == [
            ("Factory-Run", document["run"]),
            *(("Factory-Job", name) for name in names),
            ("Factory-Tested-Tree", user.git("rev-parse", f"{commit}^{{tree}}")),
        ]
        author, parents = user.git("log", "-1", "--format=%an <%ae>%n%P", commit).splitlines()
        assert author == "Factory <factory@localhost>"
        assert len(parents.split()) == 1 + len(names)
    assert landed == {row["id"]: row["commit"] for row in document["jobs"]}
    trees = {row["id"]: row["tree"] for row in document["jobs"]}
    assert trees == {name: user.git("rev-parse", f"{c}^{{tree}}") for name, c in landed.items()}


def test_a_linear_history_in_the_users_name_with_a_signoff(user: User) -> None:
    """`[commit]` chooses one parent, the user as author, and a sign-off in the user's name."""
    (user.home / ".gitconfig").write_text(ADA)
    user.configure(
        CODE,
        TESTS,
        table("[commit]", shape="linear", author="me", signoff=True),
        job("one", **ONE, title="Write the file"),
    )
    base = user.git("rev-parse", "main")

    user.run()

    shown = user.git("log", "-1", "--format=%an <%ae>%n%cn%n%P%n%s", "main").splitlines()
    assert shown == ["Ada L <ada@example.org>", "Factory", base, "Write the file"]
    assert "Signed-off-by: Ada L <ada@example.org>" in message_of(user, "main")


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="ssh-keygen is not installed")
def test_a_landing_is_signed_by_the_users_own_git_configuration(user: User, tmp_path: Path) -> None:
    """`sign` signs with the key and the format that the user's own git names."""
    key = tmp_path / "key"
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", str(key)])
    allowed = tmp_path / "allowed"
    allowed.write_text(f"ada@example.org {key.with_suffix('.pub').read_text()}")
    (user.home / ".gitconfig").write_text(
        f"{ADA}signingkey = {key}\n[gpg]\nformat = ssh\n"
        f'[gpg "ssh"]\nallowedSignersFile = {allowed}\n'
    )
    user.configure(CODE, TESTS, table("[commit]", sign=True), job("one", **ONE))

    assert states(user.run()) == {"one": "landed"}

    personal = {"GIT_CONFIG_GLOBAL": str(user.home / ".gitconfig"), "HOME": str(user.home)}
    shown = run(["git", "log", "-1", "--format=%G? %GS", "main"], cwd=user.checkout, env=personal)
    assert shown.text == "G ada@example.org"


def test_a_key_that_cannot_sign_lands_nothing_and_is_told(user: User) -> None:
    """Signing that fails ends the run with the reason; the work lands once the key is there."""
    user.configure(CODE, TESTS, table("[commit]", sign=True), job("one", **ONE))
    user.git("config", "gpg.format", "ssh")
    user.git("config", "user.signingkey", "/nowhere/key")
    before = user.git("rev-parse", "main")

    rows = user.run(code=7)

    assert states(rows) == {"one": "waiting"}
    assert user.git("rev-parse", "main") == before
    closing = user.document("status", schema="factory.status/1")["closing"]
    assert "/nowhere/key" in closing

    user.git("config", "gpg.ssh.program", str(_signer(user)))
    again = user.document("resume", schema="factory.run/1")

    assert [row["state"] for row in again["jobs"]] == ["landed"]
    assert again["jobs"][0]["attempts"] == 1


def _signer(user: User) -> Path:
    """Make a program that signs as ssh-keygen would be asked to."""
    signer = user.home / "signer"
    signer.write_text('#!/bin/sh\nfor last; do :; done; echo signed > "$last.sig"\n')
    signer.chmod(0o755)
    return signer


def test_a_name_that_git_does_not_know_cannot_attest(user: User) -> None:
    """A sign-off or an author without a configured name is refused before anything starts."""
    user.configure(CODE, TESTS, table("[commit]", signoff=True), job("one", **ONE))

    error = user.document("run", "--trust", schema="factory.error/1", code=7)

    assert "git config user.name" in error["error"]
