"""Attacks on the way from an agent's workspace to the host: what each may reach at most."""

import hashlib
from pathlib import Path

import pytest

from tests.conftest import Commit
from tests.run import RunError, run
from tests.worktrees.line import REF, Desk, sit
from worktrees.git import Repository
from worktrees.intake import Refused, Same, Taken
from worktrees.names import Oid
from worktrees.policy import Rule
from worktrees.scope import Scope

SCOPE = Scope(write=("**", "!docs/**"))
EVIL = 'printf "#!/bin/sh\\ntouch $PWD/owned; id > $HOME/owned\\n" > evil; chmod +x evil;'

ATTACKS: dict[str, tuple[str, set[Rule]]] = {
    "A01 the pointer is redirected": ("echo 'gitdir: mine' > .git || true", set()),
    "A02 an own repository": ("rm -f .git || mv .git x || git init . || true", set()),
    "A03 hooks": (f"{EVIL} cp evil /.factory/git/hooks || mkdir /.factory/git/hooks", set()),
    "A04 fsmonitor": (f"{EVIL} git config core.fsmonitor ./evil", set()),
    "A05 worktree config": (
        (f"{EVIL} git config extensions.worktreeConfig true;"
        "git config --worktree core.fsmonitor ./evil"), set()),
    "A06 hooks path": (f"{EVIL} git config core.hooksPath .", set()),
    "A07 a clean filter": (
        f"{EVIL} git config filter.f.clean ./evil; echo '* filter=f' > .gitattributes",
        {Rule.PROTECTED}),
    "A08 a merge driver": (
        f"{EVIL} git config merge.m.driver ./evil; echo '* merge=m' > .gitattributes",
        {Rule.PROTECTED}),
    "A09 textconv": (
        f"{EVIL} git config diff.t.textconv ./evil; echo '* diff=t' > .gitattributes",
        {Rule.PROTECTED}),
    "A10 an external diff": (f"{EVIL} git config diff.external ./evil", set()),
    "A11 signing": (
        f"{EVIL} git config gpg.program ./evil; git config commit.gpgsign true", set()),
    "A13 a nested bare repository": (
        ("mkdir -p fix/objects fix/refs; echo 'ref: refs/heads/x' > fix/HEAD;"
        "touch fix/objects/k fix/refs/k; printf '[core]\\nfsmonitor=./evil\\n' > fix/config"),
        {Rule.NESTED}),
    "A13b a worktree-like directory": (
        "mkdir fix; echo x > fix/HEAD; echo ../evil > fix/commondir", {Rule.NESTED}),
    "A14 a nested repository": (
        ("mkdir sub; cd sub; git init -q .; git -c core.worktree= add -f . 2>/dev/null || true;"
        "GIT_DIR=.git git commit -q --allow-empty -m m"), {Rule.MODE}),
    "A15 a link in place of a file": (
        "rm README.md; ln -s /etc/passwd README.md", {Rule.MODE}),
    "A15b a link in place of a directory": ("rm -r src; ln -s /etc src", {Rule.MODE}),
    "A16 names that become .git": ("mkdir .g\u200cit; echo x > .g\u200cit/config", {Rule.ENVELOPE}),
    "A17 the target is moved": (
        "echo x > e; git add e; git commit -qm m; git update-ref refs/heads/main HEAD", set()),
    "A18 other branches": ("git branch -D main; git tag main; git pack-refs --all", set()),
    "A19 collected away": (
        "git reflog expire --all --expire=now; git gc -q --prune=now", set()),
    "A20 shared objects are spoilt": (
        "for f in $(find /.factory/objects -type f); do echo x > $f || rm -f $f || true; done",
        set()),
    "A21 hidden from the index": (
        "git update-index --assume-unchanged README.md; echo evil > README.md", set()),
    "A22 HEAD is swapped": ("echo 'ref: refs/heads/main' > /.factory/git/HEAD", set()),
    "A23 an included config": (f"{EVIL} git config include.path $PWD/evil", set()),
    "A24 another remote": (
        "git remote add origin 'ext::sh -c evil'; git config url.ext::.insteadOf https", set()),
    "A25 tests are taken over": ("echo 'evil()' > tests/conftest.py", {Rule.PROTECTED}),
    "A26 the runner is shadowed": ("echo 'evil()' > pytest.py", {Rule.PROTECTED}),
    "A27 a tag with the branch's name": ("git tag factory/r1/job/j1", set()),
    "A28 replaced objects": (
        "echo e > e; git add e; git commit -qm m; git replace HEAD~1 HEAD", set()),
    "A29 a lock is left": ("touch /.factory/git/index.lock /.factory/git/HEAD.lock", set()),
    "A33 long and broken names": (
        ("d=$(printf 'd%.0s' $(seq 200)); mkdir -p $d/$d; echo x > $d/$d/x;"
        "echo x > \"$(printf 'a\\nb')\""), {Rule.PATH}),
    "outside the scope": ("echo x > docs/guide.md || true", set()),
    "an index full of lies": (
        "git update-index --add --cacheinfo 160000,1111111111111111111111111111111111111111,s",
        set()),
    "bidi in the source": ("printf 'a = \"\u202ex\"\\n' > src/t.py", {Rule.TEXT}),
    "a secret": ("echo 'k = \"AKIA'IOSFODNN7EXAMPLE'\"' > src/k.py", {Rule.TEXT}),
    "a workflow": ("mkdir -p .github/workflows; echo x > .github/workflows/x.yml",
                   {Rule.PROTECTED}),
    "a device of its own": ("mkfifo pipe; mknod dev c 1 3 || true", set()),
    "a program with its bits": ("cp /usr/bin/env e; chmod 6755 e; chmod 0777 src", set()),
}  # fmt: skip


@pytest.fixture
def desk(repository: Repository, base: Oid, commit: Commit, tmp_path: Path) -> Desk:
    """Give a workspace on the small repository with a directory outside the scope."""
    start = commit(base, {"docs/guide.md": "read me\n"})
    repository.git("update-ref", "refs/factory/base/r1", start)
    return sit(repository, start, tmp_path / "room")


def print_of(directory: Path) -> dict[str, str]:
    """Give the hash of every file of the host's git dir but those a run may add."""
    return {
        str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in directory.rglob("*")
        if path.is_file()
        and "quarantine" not in path.parts
        and path.relative_to(directory).parts[:2] != ("objects", "pack")
        and str(path.relative_to(directory)) != REF
    }


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_reaches_nothing_but_a_judged_change(desk: Desk, attack: str) -> None:
    """The host's git dir stays as it is, nothing of the agent runs there, policy names the rest."""
    script, expected = ATTACKS[attack]
    before = print_of(desk.repository.common)

    desk.work(f"echo honest > src/honest.py; ({script}) >/dev/null 2>&1", scope=SCOPE)
    answer = desk.take(scope=SCOPE)

    assert not isinstance(answer, Same)
    found = {*answer.judgement.refusals, *answer.judgement.protected}
    assert {one.rule for one in found} == expected, answer
    assert isinstance(answer, Refused if expected - {Rule.PROTECTED} else Taken)
    assert print_of(desk.repository.common) == before
    assert not list(desk.room.parent.rglob("owned"))
    assert run(["git", "fsck", "--full", "--strict"], cwd=desk.checkout).out == b""
    assert run(["git", "status", "--porcelain"], cwd=desk.checkout).out == b""


def test_names_that_git_itself_refuses_end_the_export(desk: Desk) -> None:
    """A name that git never adds gives no commit, and its own words name it."""
    desk.write("GIT~1/config", "x\n")

    with pytest.raises(RunError, match="GIT~1/config"):
        desk.export()
