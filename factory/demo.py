"""The demo: a sample repository with real defects, and the line of command agents that mends it.

Nothing here runs the line: `build` makes the repository, `configuration` says what its factory.toml
holds, `works` and `left_out` say what is to happen and what cannot for want of a tool.
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import as_file, files
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Literal

from factory.line import Line
from worktrees.git import Git, Identity
from worktrees.names import JobId

AUTHOR: Final = Identity(name="Factory Demo", email="demo@localhost")
WHEN: Final = "2026-01-01T00:00:00+0000"
"""The first commit's time: the same files always make the same commit."""

PYTEST: Final = ("PYTHON", "-m", "pytest", "-q")


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One job of the demo with the station that does it, and how it is to end.

    In commands the word PYTHON stands for the interpreter and RUFF for ruff's program.
    """

    job: str
    title: str
    brief: str
    station: str
    scope: tuple[str, ...]
    run: tuple[str, ...]
    mechanical: bool
    """Done by a tool, at a `run` station; else by an agent that is given a brief."""
    tool: Literal["", "ruff", "libcst"] = ""
    needs: tuple[str, ...] = ()
    accept: tuple[tuple[str, ...], ...] = ()
    ends: Literal["landed", "dead", "waiting"] = "landed"
    repaired: bool = False


WORKS: Final = (
    Work(
        job="sort-imports",
        title="Sort the imports of orders and drop those that nobody uses",
        brief="Rules F401 and I001 of ruff.",
        station="imports",
        scope=("src/shopkit/orders/**",),
        run=("RUFF", "check", "--no-cache", "--fix", "--select=F401,I001", "src/shopkit/orders"),
        mechanical=True,
        tool="ruff",
        accept=(("RUFF", "check", "--no-cache", "--select=F401,I001", "src/shopkit/orders"),),
    ),
    Work(
        job="modern-types",
        title="Write the types of pricing as Python 3.11 does",
        brief="Rules UP of ruff: list and | instead of typing's List and Optional, f-strings.",
        station="types",
        scope=("src/shopkit/pricing/**",),
        run=(
            *("RUFF", "check", "--no-cache", "--fix", "--unsafe-fixes", "--select=UP,F401"),
            "src/shopkit/pricing",
        ),
        mechanical=True,
        tool="ruff",
        accept=(("RUFF", "check", "--no-cache", "--select=UP,F401", "src/shopkit/pricing"),),
    ),
    Work(
        job="format-reports",
        title="Put reports into the common format",
        brief="ruff format.",
        station="format",
        scope=("src/shopkit/reports/**",),
        run=("RUFF", "format", "--no-cache", "src/shopkit/reports"),
        mechanical=True,
        tool="ruff",
        accept=(("RUFF", "format", "--no-cache", "--check", "src/shopkit/reports"),),
    ),
    Work(
        job="rename-total",
        title="Stop calling the deprecated get_total",
        brief="Replace calls of `get_total` with `total` in the package and in its tests.",
        station="rename",
        scope=("src/shopkit/carts/**", "tests/carts/**"),
        run=("PYTHON", "agents/rename_call.py", "src/shopkit/carts", "tests/carts"),
        mechanical=False,
        tool="libcst",
        accept=((*PYTEST, "-W", "error::DeprecationWarning", "tests/carts"),),
    ),
    Work(
        job="docstrings",
        title="Make docstrings of the comments in shipping",
        brief="A comment above a function or class becomes its docstring.",
        station="docstrings",
        scope=("src/shopkit/shipping/**",),
        run=("PYTHON", "agents/docstrings.py", "src/shopkit/shipping"),
        mechanical=False,
        accept=(("PYTHON", "agents/docstrings.py", "--check", "src/shopkit/shipping"),),
    ),
    Work(
        job="api-page",
        title="Write the API page of catalog and shipping from their docstrings",
        brief="docs/api.md must say what the code says; it is made once shipping is documented.",
        station="page",
        scope=("docs/**",),
        run=(
            *("PYTHON", "agents/api_docs.py", "docs/api.md"),
            *("src/shopkit/catalog", "src/shopkit/shipping"),
        ),
        mechanical=False,
        needs=("docstrings",),
        accept=(
            (
                *("PYTHON", "agents/api_docs.py", "--check", "docs/api.md"),
                *("src/shopkit/catalog", "src/shopkit/shipping"),
            ),
        ),
    ),
    Work(
        job="simplify-stock",
        title="Remove the negated comparisons in stock",
        brief="`not a == b` reads better as `a != b`; what it does must stay the same.",
        station="simplify",
        scope=("src/shopkit/stock/**",),
        run=("PYTHON", "agents/simplify.py", "src/shopkit/stock"),
        mechanical=False,
        repaired=True,
    ),
    Work(
        job="wander",
        title="Tidy the points of the loyalty package",
        brief="One module, and nothing else. (This agent does not listen.)",
        station="wander",
        scope=("src/shopkit/loyalty/points.py",),
        run=("PYTHON", "agents/stray.py"),
        mechanical=False,
        ends="dead",
    ),
)
"""What the demo does: seven jobs that land, one of them repaired first, and one that is refused."""

PROTECTED: Final = Work(
    job="widen-ci",
    title="Test on three versions of Python",
    brief="Add a matrix to the workflow. (A protected path: a person has to allow it.)",
    station="workflows",
    scope=(".github/**",),
    run=("PYTHON", "agents/workflow.py", ".github/workflows/ci.yml"),
    mechanical=False,
    ends="waiting",
)
"""One more job, only on demand: it ends in the inbox, so the run ends with exit code 4."""


def build(at: Path, configuration: str) -> None:
    """Make the sample repository with its agents and this factory.toml: one commit on main.

    ``at`` must not exist yet, or be empty.
    """
    with as_file(files("factory.sample")) as sample:
        ignored = shutil.ignore_patterns("__pycache__", ".*_cache")
        shutil.copytree(sample / "files", at, ignore=ignored, dirs_exist_ok=True)
        shutil.copytree(sample / "agents", at / "agents", ignore=ignored)
    (at / "factory.toml").write_text(configuration)
    git = Git(git_dir=at / ".git", empty=at, identity=AUTHOR).with_env(
        GIT_AUTHOR_DATE=WHEN, GIT_COMMITTER_DATE=WHEN
    )
    git("init", "--quiet", "--initial-branch=main")
    tree = git.with_work_tree(at)
    tree("add", "--all")
    tree("commit", "--quiet", "--message=A small shop, as it was found")


def works(ruff: str | None, *, libcst: bool, protected: bool = False) -> tuple[Work, ...]:
    """Give what can be done with these tools, in the order of the line."""
    missing = ({"ruff"} if ruff is None else set()) | (set() if libcst else {"libcst"})
    everything = (*WORKS, PROTECTED) if protected else WORKS
    return tuple(work for work in everything if work.tool not in missing)


def left_out(ruff: str | None, *, libcst: bool) -> tuple[str, ...]:
    """Name the jobs that are left out, each with the tool that is not installed."""
    kept = works(ruff, libcst=libcst)
    return tuple(f"{work.job} (needs {work.tool})" for work in WORKS if work not in kept)


def surprises(line: Line) -> tuple[str, ...]:
    """Say of each job that ended in another way than it was meant to."""
    found = []
    for work in (*WORKS, PROTECTED):
        state = line.jobs.get(JobId(work.job))
        if state is None:
            continue
        place = state.place.kind.replace("needs-you", "waiting")
        if place != work.ends or bool(state.rounds) != work.repaired:
            repaired = " after a repair" if work.repaired else ""
            found.append(f"{work.job} was to end {work.ends}{repaired}, and is {place}")
    return tuple(found)


def has_libcst() -> bool:
    """Say whether libcst is installed beside the factory, without importing it."""
    return find_spec("libcst") is not None


def configuration(
    python: str, ruff: str | None, *, libcst: bool, seats: int = 4, protected: bool = False
) -> str:
    """Give the sample's factory.toml; ``python`` and ``ruff`` are absolute paths of programs."""
    programs = {"PYTHON": python, "RUFF": ruff or ""}
    chosen = works(ruff, libcst=libcst, protected=protected)
    return "\n".join(
        [
            "version = 1\n",
            f"[line]\nseats = {seats}\n",
            "[gate]\nslots = 2\n",
            *(_station(work, programs) for work in chosen),
            _ENDS.format(
                tests=_array([programs.get(word, word) for word in PYTEST]),
                repair=_array(
                    [python, "agents/repair.py", "src/shopkit", python, "-m", "pytest", "-q"]
                ),
            ),
            *(_job(work, programs) for work in chosen),
        ]
    )


_ENDS: Final = """\
[[station]]
name = "tests"
kind = "test"
run = {tests}
timeout = "2m"

[[station]]
name = "repair"
kind = "cleanup"
agent = {{ runtime = "command", run = {repair} }}
timeout = "2m"
"""


def _station(work: Work, programs: Mapping[str, str]) -> str:
    run = _array([programs.get(word, word) for word in work.run])
    does = f"run = {run}" if work.mechanical else f'agent = {{ runtime = "command", run = {run} }}'
    return (
        f'[[station]]\nname = "{work.station}"\nscope = {_array(work.scope)}\n{does}\n'
        'attempts = 1\ntimeout = "1m"\n'
    )


def _job(work: Work, programs: Mapping[str, str]) -> str:
    lines = [
        "[[job]]",
        f'id = "{work.job}"',
        f'station = "{work.station}"',
        f"title = {_text(work.title)}",
        f"brief = {_text(work.brief)}",
    ]
    if work.needs:
        lines.append(f"needs = {_array(work.needs)}")
    if work.accept:
        commands = ([programs.get(word, word) for word in words] for words in work.accept)
        lines.append(f"accept = [{', '.join(map(_array, commands))}]")
    return "\n".join(lines) + "\n"


def _array(words: Sequence[str]) -> str:
    return f"[{', '.join(map(_text, words))}]"


def _text(word: str) -> str:
    # A JSON string is a basic TOML string, as long as nothing is written as a surrogate pair.
    return json.dumps(word, ensure_ascii=False)
