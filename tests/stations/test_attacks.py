"""Attacks by an agent, end to end: nothing of it runs on the host, nothing there is changed."""

import hashlib
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from stations.bench import Bench
from stations.contract import Branch, Check, Compose, Done, Escalated, Trial
from stations.runtimes.task import Control
from stations.sandbox import DockerOptions, choose
from stations.seat import take_turn
from stations.testing import compose, try_tree
from tests.run import run
from tests.stations.benches import RUN, assignment, base_of, bench_at, station
from worktrees.names import JobId

ATTACKS = {
    "git file deleted": "rm -rf .git; git init -q . ; echo 'touch OWNED' > .git/hooks/post-commit",
    "git file replaced": "mv .git x; mkdir .git; printf 'gitdir: src/evil' > .git",
    "fsmonitor": "git config core.fsmonitor 'touch OWNED'; echo x > src/x.py",
    "hooks path": "mkdir src/h; printf '#!/bin/sh\\ntouch OWNED' > src/h/post-commit; "
    "chmod +x src/h/*; git config core.hooksPath src/h; echo x > src/x.py; git commit -qam x",
    "filter": "git config filter.f.clean 'touch OWNED; cat'; echo '* filter=f' > .gitattributes",
    "merge driver": "git config merge.m.driver 'touch OWNED'; echo '* merge=m' > .gitattributes",
    "external diff": "git config diff.external 'touch OWNED'; echo x > src/core.py",
    "nested bare repository": "git init -q --bare src/b; echo x > src/b/x; "
    "printf '[core]\\nfsmonitor=touch OWNED\\n' > src/b/config",
    "gitlink": "git init -q src/sub; cd src/sub; git commit -q --allow-empty -m x",
    "file becomes a link": "rm src/core.py; ln -s VICTIM src/core.py",
    "directory becomes a link": "rm -rf src/api; ln -s / src/api",
    "target moved": "git update-ref refs/heads/main $(git commit-tree HEAD^{tree} -m evil)",
    "gc": "git reflog expire --all --expire=now; git gc -q --prune=now; echo x > src/x.py",
    "objects corrupted": "for f in /.factory/objects/??/*; do echo x > $f; done; echo x > src/x.py",
    "hidden change": "git update-index --assume-unchanged src/core.py; echo x > src/core.py; "
    "echo '*' > $(git rev-parse --git-dir)/info/exclude; echo x > src/new.py",
    "alternates": "echo / >> $(git rev-parse --git-dir)/objects/info/alternates; echo x > src/x",
    "replace": "git replace HEAD $(git commit-tree HEAD^{tree} -m evil); echo x > src/x.py",
    "tag with the branch's name": "git tag factory/run1/job/job1; echo x > src/x.py",
    "runner shadowed": "echo \"open('OWNED','w')\" > pytest.py; cp pytest.py sitecustomize.py",
    "report is a link": "ln -s VICTIM $FACTORY_REPORT; echo x > src/x.py",
    "pack on output": "cat /.factory/objects/pack/* ; printf '\\033]0;owned\\007'; echo x > src/x",
    "odd names": "touch \"src/$(printf 'a\\nb')\" 'src/-rf' 'src/\u202ex'; mkdir -p src/.GIT",
}


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """Give a bench on the small repository."""
    with bench_at(tmp_path / "repo") as made:
        yield made


@pytest.fixture
def contained(tmp_path: Path, docker_engine: str) -> Iterator[Bench]:
    """Give a bench whose sandbox is docker."""
    docker = choose("docker", docker=DockerOptions(engine=docker_engine))
    with bench_at(tmp_path / "repo", sandbox=docker) as made:
        yield made


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_reaches_neither_host_nor_target(
    bench: Bench, tmp_path: Path, attack: str
) -> None:
    """Whatever the agent did, the host ran none of it and its repository is as it was."""
    attacked(bench, tmp_path, attack)


IN_SOAK = [pytest.param(each, marks=pytest.mark.soak) for each in ATTACKS if each != "filter"]


@pytest.mark.parametrize("attack", ["filter", *IN_SOAK])
def test_an_attack_in_a_container_reaches_neither(
    contained: Bench, tmp_path: Path, attack: str
) -> None:
    """The same holds where docker is the sandbox."""
    attacked(contained, tmp_path, attack)


def attacked(bench: Bench, tmp_path: Path, attack: str) -> None:
    """Let an agent attack, land what it made in a trial, and see that the host is whole."""
    owned, victim = tmp_path / "owned", tmp_path / "victim"
    victim.write_text("whole")
    script = ATTACKS[attack].replace("OWNED", str(owned)).replace("VICTIM", str(victim))
    before = held(bench)

    outcome = take_turn(bench, station("sh", "-c", script), assignment(bench), control=Control())
    if isinstance(outcome, Done | Escalated) and outcome.commit is not None:
        branch = Branch(job=JobId("job1"), commit=outcome.commit)
        task = Compose(run=RUN, trial=1, base=base_of(bench), branches=(branch,), line="h")
        made = compose(bench, [], task, stop=threading.Event())
        assert made.tree is not None
        run_tests = ("sh", "-c", "git status; git diff; git log -p -1; python3 -c 'import pytest'")
        check = Check(owner="t", run=run_tests, timeout=20)
        trial = Trial(
            run=RUN, trial=1, base=base_of(bench), tree=made.tree, checks=(check,), key="k"
        )
        try_tree(bench, trial, stop=threading.Event())

    assert not owned.exists()
    assert victim.read_text() == "whole"
    assert held(bench) == before
    assert run(["git", "status", "--porcelain"], cwd=bench.checkout).text == ""
    assert run(["git", "fsck", "--full", "--strict"], cwd=bench.checkout).code == 0


def test_a_hidden_change_is_seen(bench: Bench) -> None:
    """Index flags and excludes of the agent's own git dir take no part in the export."""
    outcome = take_turn(
        bench,
        station("sh", "-c", ATTACKS["hidden change"]),
        assignment(bench),
        control=Control(),
    )

    assert isinstance(outcome, Done)
    changed = bench.git("diff-tree", "-r", "--name-only", base_of(bench), outcome.commit).text
    assert changed.splitlines() == ["src/core.py", "src/new.py"]


def held(bench: Bench) -> dict[str, str]:
    """Give what an agent must not change: config, hooks, HEAD, and every ref but the job's."""
    common = bench.repository.common
    files = [common / "config", common / "HEAD", *sorted((common / "hooks").rglob("*"))]
    found = {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    refs = bench.git("for-each-ref").text.splitlines()
    ours = ("refs/heads/factory/run1/job/job1", "refs/factory/salvage/run1/job1")
    return found | {line: "" for line in refs if not line.endswith(ours)}
