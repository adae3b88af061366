"""Attacks by command agents through the real command line, honest jobs at work beside them."""

from collections.abc import Mapping
from itertools import islice
from pathlib import Path

import pytest

from tests.run import run
from tests.system.attacks import scripts
from tests.system.attacks.harness import UNSAFE, arena
from tests.system.attacks.scripts import Attack

LINE = 100


def half(attacks: Mapping[str, Attack], which: int) -> Mapping[str, Attack]:
    """Give every second attack."""
    return dict(islice(attacks.items(), which, None, 2))


GROUPS: Mapping[str, Mapping[str, Attack]] = {
    "git, even": half(scripts.GIT, 0),
    "git, odd": half(scripts.GIT, 1),
    "escapes, even": half(scripts.ESCAPES, 0),
    "escapes, odd": half(scripts.ESCAPES, 1),
    "whole tree": scripts.ROOT,
    "claims": scripts.CLAIMS,
    "hostile tests": scripts.TESTS,
    "bombs": scripts.BOMBS,
}


@pytest.mark.timeout(120)
@pytest.mark.parametrize("group", GROUPS)
def test_an_attack_ends_named_and_the_host_is_whole(tmp_path: Path, group: str) -> None:
    """Nothing of an agent runs on the host, its job ends as it must, honest work lands beside."""
    with arena(tmp_path, GROUPS[group]) as found:
        document = found.run(timeout=110)

        found.judge(document)


@pytest.mark.soak
@pytest.mark.timeout(300)
@pytest.mark.parametrize("group", GROUPS)
def test_an_attack_on_docker_ends_the_same(tmp_path: Path, docker_engine: str, group: str) -> None:
    """The same attacks, in containers."""
    with arena(tmp_path, GROUPS[group], engine=docker_engine) as found:
        document = found.run(timeout=280)

        found.judge(document)


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_a_bomb_hurts_only_its_own_job(tmp_path: Path) -> None:
    """Too many files, memory without end, endless loops: each job dies named, the others land."""
    with arena(tmp_path, scripts.LONG_BOMBS) as found:
        document = found.run(timeout=500)

        found.judge(document)


@pytest.mark.timeout(120)
def test_what_a_person_lets_in_still_runs_in_a_sandbox_only(tmp_path: Path) -> None:
    """A yes to a protected path lets it into the tests' sandbox and never onto the host."""
    with arena(tmp_path, scripts.ROOT) as found:
        waiting = [row["id"] for row in found.run()["jobs"] if row["state"] == "waiting"]

        for name in waiting:
            assert found.say("tell", name, "yes").code == 0
        found.say("resume", "--trust")

        assert waiting
        assert list(found.host()) == []
        assert found.toy.git("status", "--porcelain").text == ""
        assert found.toy.git("rev-parse", "main").text == found.before.tip
        landed = {job for event in found.toy.events("advanced") for job in event["jobs"]}
        assert {"r28-configuration", "r29-attributes"} <= landed


NAIVE = (
    "git status; git add -A; git commit -qm change; git diff HEAD~1; git log -p -1; "
    "git checkout -q --detach; echo other > $J/x.txt; git add -A; git commit -qm other; "
    "git merge -q HEAD@{1} main; git merge -q work; true"
)
EXECUTES = (
    *("a03-hooks", "a04-fsmonitor", "a05-worktree-config", "a06-hooks-path", "a07-clean-filter"),
    *("a09-textconv", "a10-external-diff", "a11-signing", "a23-include"),
)


@pytest.mark.parametrize("name", EXECUTES)
def test_the_attack_works_where_there_is_no_defence(tmp_path: Path, name: str) -> None:
    """The control: the same script in a plain worktree runs on the host as soon as git is used."""
    with arena(tmp_path, {name: scripts.GIT[name]}) as found:
        tree = tmp_path / "tree"
        found.toy.git("worktree", "add", "-q", "-b", "work", str(tree))
        env = {"FACTORY_JOB": name, "J": f"jobs/{name}", "TMPDIR": str(tmp_path)}

        run(["sh", "-eu", f"attacks/{name}.sh"], cwd=tree, env=env)
        assert list(found.host()) == []
        run(["sh", "-c", NAIVE], cwd=tree, env=env, check=False)

        assert any("executed" in fault for fault in found.host())


def test_texts_of_an_issue_are_only_text(tmp_path: Path) -> None:
    """Titles and briefs execute nothing, forge no trailer and steer no terminal."""
    with arena(tmp_path, scripts.TEXTS) as found:
        document = found.run()

        found.judge(document)
        log = found.toy.git("log", "--format=%B", f"{found.before.tip}..{found.toy.target}").text
        assert not UNSAFE.search(log)
        assert "[skip ci]" not in log
        assert "Signed-off-by" not in log
        assert all(len(line) <= LINE for line in log.splitlines())
        for words in (("status",), ("report",), ("why", "x04-terminal"), ("logs", "x01-trailers")):
            found.say(*words)


@pytest.mark.timeout(120)
def test_output_of_agents_and_tests_is_made_harmless(tmp_path: Path) -> None:
    """Escape sequences and bidirectional marks reach no view: status, why, logs, report, events."""
    names = ("c09-forged", "c12-terminal", "c11-flood")
    attacks = {name: scripts.CLAIMS[name] for name in names}
    attacks |= {name: scripts.TESTS[name] for name in ("t02-terminal",)}
    attacks |= {name: scripts.ESCAPES[name] for name in ("e46-bidi-name", "e47-bidi-text")}
    with arena(tmp_path, attacks) as found:
        found.judge(found.run())

        for words in (("status",), ("report",), ("events",), ("why", "c12-terminal")):
            found.say(*words)
        for name in ("c12-terminal", "c09-forged", "t02-terminal"):
            found.say("logs", name)
        found.say("why", "e46-bidi-name")
        told = found.say("why", "t02-terminal").text
        assert "FAILED" in told
        assert "evil" in told
