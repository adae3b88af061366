"""The examples: each configuration is one the factory accepts, each agent does what it says."""

import json
import sys
import tomllib
from itertools import combinations
from pathlib import Path

import pytest

from factory.settings import jobs_file, load
from tests.run import ROOT, run
from worktrees.scope import Scope

EXAMPLES = ROOT / "examples"
PROJECTS = sorted(path.parent.name for path in (EXAMPLES / "projects").glob("*/jobs.toml"))


@pytest.mark.parametrize("name", ["quick-start", "agent", "github"])
def test_an_example_to_copy_is_accepted_as_it_is(name: str) -> None:
    """Whoever copies an example's factory.toml gets no error and no warning."""
    settings = load(EXAMPLES / name, flags={}, tracked=None, environ={"HOME": "/nonexistent"})

    assert settings.warnings == ()


@pytest.mark.parametrize("name", PROJECTS)
def test_a_projects_jobs_are_accepted(name: str) -> None:
    """Every job of a project finds its station, and there are at least a dozen."""
    folder = EXAMPLES / "projects" / name
    settings = load(folder, flags={}, tracked=None, environ={"HOME": "/nonexistent"})

    jobs = jobs_file(folder / "jobs.toml", settings)

    assert len(jobs) >= 12
    assert settings.warnings == ()


@pytest.mark.parametrize("name", PROJECTS)
def test_jobs_that_share_a_file_wait_for_each_other(name: str) -> None:
    """Two jobs of a project are disjoint, or one needs the other: none is held up in silence."""
    text = (EXAMPLES / "projects" / name / "jobs.toml").read_text()
    jobs = {job["id"]: job for job in tomllib.loads(text)["job"]}

    def waits_for(job: str) -> set[str]:
        needed = set(jobs[job].get("needs", ()))
        return needed.union(*(waits_for(each) for each in needed))

    for one, other in combinations(jobs, 2):
        scopes = [Scope(write=tuple(jobs[job]["scope"])) for job in (one, other)]
        together = one in waits_for(other) or other in waits_for(one)
        assert together or not scopes[0].overlaps(scopes[1]), (one, other)


@pytest.mark.parametrize("name", PROJECTS)
def test_a_projects_pins_name_no_address(name: str) -> None:
    """The example's test requirements are versions and hashes only."""
    text = (EXAMPLES / "projects" / name / "requirements.txt").read_text()

    assert "://" not in text
    assert text.count("==") <= text.count("--hash=sha256:")


def test_the_shell_agent_tidies_and_reports(checkout: Path, tmp_path: Path) -> None:
    """The agent in shell strips line ends in text files, touches no other, and writes a report."""
    (checkout / "README.md").write_bytes(b"one  \ntwo\t\nthree")
    (checkout / "data.bin").write_bytes(b"one  \n")
    run(["git", "add", "-A"], cwd=checkout)
    report = tmp_path / "report.json"
    env = {
        "FACTORY_JOB": "line-ends",
        "FACTORY_STATION": "tidy",
        "FACTORY_ATTEMPT": "1",
        "FACTORY_REPORT": str(report),
    }

    ran = run(["sh", EXAMPLES / "agent/agent.sh"], cwd=checkout, env=env, stdin=b"Line ends\n")

    assert (checkout / "README.md").read_bytes() == b"one\ntwo\nthree\n"
    assert (checkout / "data.bin").read_bytes() == b"one  \n"
    assert b"tidied README.md" in ran.out
    assert json.loads(report.read_text())["status"] == "done"


def test_the_mender_refuses_a_brief_without_a_task(checkout: Path, tmp_path: Path) -> None:
    """The projects' agent does nothing unless its brief names a task it knows."""
    for text in ("do something", "mend: magic"):
        brief = tmp_path / "brief.json"
        brief.write_text(json.dumps({"brief": text, "scope": ["src/**"]}))
        agent = [sys.executable, EXAMPLES / "projects/mend.py"]

        ran = run(agent, cwd=checkout, env={"FACTORY_BRIEF": str(brief)}, check=False)

        assert ran.code == 2
        assert run(["git", "status", "--porcelain"], cwd=checkout).text == ""


@pytest.mark.soak
def test_the_github_demo_ends_as_it_is_meant_to() -> None:
    """An issue becomes a draft that tells the truth, is merged, closed, and known to be landed."""
    ran = run([sys.executable, EXAMPLES / "github/demo.py"], env={"PYTHONPATH": str(ROOT)})

    assert b"Fixes #1" in ran.out
    assert b"NO " not in ran.out
