"""The demo's sample: a green library with real defects, and agents that truly mend them."""

import json
import os
import sys
import tomllib
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import pytest

from factory.demo import PROTECTED, WORKS, Work, build, configuration, left_out, works
from tests.run import Ran, run
from worktrees.scope import Scope

RUFF = str(Path(sys.executable).parent / "ruff")
PROGRAMS = {"PYTHON": sys.executable, "RUFF": RUFF}
RIGHT = [work for work in (*WORKS, PROTECTED) if work.ends != "dead" and not work.repaired]


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the sample repository once; nobody changes this one."""
    at = tmp_path_factory.mktemp("demo") / "shop"
    build(at, configuration(sys.executable, RUFF, libcst=True, protected=True))
    return at


@pytest.fixture
def shop(pristine: Path, tmp_path: Path) -> Path:
    """Give a clone of the sample repository."""
    run(["git", "clone", "-q", str(pristine), str(tmp_path / "shop")])
    return tmp_path / "shop"


def command(words: Sequence[str], shop: Path, *, brief: Path | None = None, stdin: str = "") -> Ran:
    """Run one of the demo's commands in the sample repository."""
    argv = [PROGRAMS.get(word, word) for word in words]
    env = {"FACTORY_BRIEF": str(brief)} if brief else {}
    return run(argv, cwd=shop, env=env, stdin=stdin.encode(), check=False)


def suite(shop: Path) -> Ran:
    """Run the sample's whole test suite."""
    return command(("PYTHON", "-m", "pytest", "-q"), shop)


def changed(shop: Path) -> set[str]:
    """Give the paths that differ from the first commit, new ones included."""
    listed = run(["git", "status", "-z", "--porcelain", "--untracked-files=all"], cwd=shop).out
    return {os.fsdecode(entry[3:]) for entry in listed.split(b"\0") if entry}


def work_named(job: str) -> Work:
    """Give the demo's job of that name."""
    (found,) = (work for work in WORKS if work.job == job)
    return found


def test_the_sample_begins_green_and_clean(shop: Path) -> None:
    """The repository as it is built passes its own tests and has nothing uncommitted."""
    ran = suite(shop)

    assert ran.code == 0, ran.text
    assert b"48 passed" in ran.out
    assert changed(shop) == set()


def test_the_same_files_make_the_same_commit(pristine: Path, tmp_path: Path) -> None:
    """Building twice gives the same commit id, so reports of the demo can be compared."""
    build(tmp_path / "again", (pristine / "factory.toml").read_text())

    first, second = (
        run(["git", "rev-parse", "HEAD"], cwd=each).text for each in (pristine, tmp_path / "again")
    )
    assert first == second


@pytest.mark.parametrize("work", RIGHT, ids=lambda work: work.job)
def test_an_agent_does_what_its_job_says(work: Work, shop: Path) -> None:
    """Acceptance fails before and passes after; the change is in scope; the suite stays green."""
    if work.needs:
        for needed in work.needs:
            command(work_named(needed).run, shop)
        run(["git", "commit", "-q", "-a", "-m", "needed"], cwd=shop)
    assert not work.accept or any(command(words, shop).code for words in work.accept)

    ran = command(work.run, shop, stdin=work.brief)

    assert ran.code == 0, ran.text
    scope = Scope(write=work.scope)
    assert changed(shop)
    assert all(scope.allows(path) for path in changed(shop))
    assert all(command(words, shop).code == 0 for words in work.accept)
    assert suite(shop).code == 0


def test_two_jobs_of_the_demo_never_write_the_same_file() -> None:
    """The scopes are disjoint, so all jobs can be at work at once."""
    scopes = [Scope(write=work.scope) for work in (*WORKS, PROTECTED)]

    assert not any(one.overlaps(other) for one, other in combinations(scopes, 2))


def test_the_simplifier_breaks_the_suite_and_the_repairer_mends_it(
    shop: Path, tmp_path: Path
) -> None:
    """The repair reads the failing tail alone, turns the one wrong operator and keeps the rest."""
    broken = command(work_named("simplify-stock").run, shop)
    red = suite(shop)
    assert broken.code == 0
    assert red.code == 1
    reorder = shop / "src/shopkit/stock/reorder.py"
    assert "return count <= daily * days" in reorder.read_text()
    brief = tmp_path / "brief.json"
    brief.write_text(json.dumps({"failure": red.out.decode()[-16_000:]}))

    mended = command(
        ("PYTHON", "agents/repair.py", "src/shopkit", "PYTHON", "-m", "pytest", "-q"),
        shop,
        brief=brief,
    )

    assert mended.code == 0, mended.text
    assert "return count < daily * days" in reorder.read_text()
    assert "return count <= threshold" in reorder.read_text()
    assert suite(shop).code == 0
    assert changed(shop) == {"src/shopkit/stock/reorder.py", "src/shopkit/stock/levels.py"}


def test_the_repairer_guesses_nothing(shop: Path, tmp_path: Path) -> None:
    """A tail that names no test leads to no change and to an honest failure."""
    brief = tmp_path / "brief.json"
    brief.write_text(json.dumps({"failure": "Killed"}))

    ran = command(
        ("PYTHON", "agents/repair.py", "src/shopkit", "PYTHON", "-m", "pytest"), shop, brief=brief
    )

    assert ran.code == 1
    assert changed(shop) == set()


def test_the_stray_agent_really_strays(shop: Path) -> None:
    """Without a sandbox it leaves its scope and says that all is well: it is no straw man."""
    work = work_named("wander")

    ran = command(work.run, shop)

    scope = Scope(write=work.scope)
    assert ran.code == 0
    assert {path for path in changed(shop) if not scope.allows(path)} == {
        "src/shopkit/money.py",
        "src/shopkit/loyalty/sitecustomize.py",
    }
    assert (shop / ".git/hooks/pre-commit").exists()


def test_jobs_whose_tool_is_missing_are_left_out_and_named() -> None:
    """Without ruff and libcst the demo still runs, and says what it could not show."""
    bare = works(None, libcst=False)

    assert [work.job for work in bare] == ["docstrings", "api-page", "simplify-stock", "wander"]
    assert left_out(None, libcst=False) == (
        "sort-imports (needs ruff)",
        "modern-types (needs ruff)",
        "format-reports (needs ruff)",
        "rename-total (needs libcst)",
    )
    assert left_out(RUFF, libcst=True) == ()
    assert "RUFF" not in configuration("/usr/bin/python3", None, libcst=False)


def test_the_configuration_survives_a_strange_path() -> None:
    """An interpreter in a directory with quotes, blanks and non-ASCII letters is written right."""
    python = '/opt/a "strange" pläce/bin/python'

    table = tomllib.loads(configuration(python, RUFF, libcst=True))

    agents = [station["agent"]["run"][0] for station in table["station"] if "agent" in station]
    assert set(agents) == {python}
    assert [job["id"] for job in table["job"]] == [work.job for work in WORKS]
