"""The project as a whole: what starting it costs, what a wheel holds, what its files may say."""

import re
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from tests.run import ROOT, run

SLOW_OR_HEAVY = (
    *("anthropic", "github", "docker", "git", "rich", "unidiff", "sqlite3", "asyncio"),
    *("starlette", "uvicorn"),
)
FACTORY_BOY = frozenset(
    {
        "alchemy",
        "base",
        "builder",
        "declarations",
        "django",
        "enums",
        "errors",
        "faker",
        "fuzzy",
        "helpers",
        "mogo",
        "mongoengine",
        "random",
        "utils",
        "__init__",
    }
)
ADDRESS = re.compile(r"://|@\s*file:|--(?:extra-)?index-url|--find-links|\bwww\.")
MADE = frozenset({"__pycache__", ".mypy_cache", ".pytest_cache", ".ruff_cache"})
PACKAGES = ("factory", "stations", "worktrees")


def test_help_imports_nothing_that_is_slow() -> None:
    """`factory --help` loads no vendor's package: it is the first thing a person waits for."""
    program = (
        "import contextlib, sys\n"
        "sys.argv = ['factory', '--help']\n"
        "from factory.__main__ import main\n"
        "with contextlib.suppress(SystemExit):\n"
        "    main()\n"
        f"loaded = sorted(set({SLOW_OR_HEAVY!r}) & set(sys.modules))\n"
        "sys.exit(f'loaded: {loaded}' if loaded else 0)\n"
    )

    ran = run([sys.executable, "-c", program], cwd=ROOT, check=False)

    assert ran.code == 0, ran.err.decode()[-2000:]
    assert b"factory" in ran.out


def test_the_package_leaves_factory_boy_alone() -> None:
    """Installing beside `factory_boy`, which owns the same import name, overwrites none of it."""
    ours = {path.stem for path in (ROOT / "factory").iterdir() if path.name != "__pycache__"}

    assert not ours & FACTORY_BOY
    assert not (ROOT / "factory" / "py.typed").exists()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """Build the wheel from this tree, without a network, and open it."""
    out = tmp_path_factory.mktemp("wheel")
    program = "import sys, uv_build; print(uv_build.build_wheel(sys.argv[1]))"
    run([sys.executable, "-c", program, str(out)], cwd=ROOT, env={"PATH": _path_with_scripts()})
    (built,) = out.glob("coding_agent_factory-*.whl")
    return zipfile.ZipFile(built)


def _path_with_scripts() -> str:
    return f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"


def test_a_wheel_holds_the_three_packages_and_the_sample(wheel: zipfile.ZipFile) -> None:
    """Whoever installs the distribution has every module, and the demo's files with them."""
    held = {name for name in wheel.namelist() if ".dist-info/" not in name}
    wanted = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and not MADE.intersection(path.parts)
    }

    assert {name for name in held if not name.endswith("/")} == wanted
    assert {name.split("/")[0] for name in held} == set(PACKAGES)


def test_a_wheel_brings_both_commands(wheel: zipfile.ZipFile) -> None:
    """The distribution installs `factory`, and its own name as a second command for uvx."""
    (entry,) = (name for name in wheel.namelist() if name.endswith("entry_points.txt"))
    text = wheel.read(entry).decode()

    assert "factory = factory.__main__:main" in text
    assert "coding-agent-factory = factory.__main__:main" in text


@pytest.mark.parametrize("name", ["run", "dev"])
def test_requirements_hold_versions_and_hashes_and_no_address(name: str) -> None:
    """The pinned requirements say what to install, never from where."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    pins = [line for line in text.splitlines() if line and not line.startswith((" ", "#"))]

    assert not ADDRESS.search(text)
    assert pins
    assert all(re.match(r"[a-z0-9][a-z0-9._-]*(\[[a-z,]+\])?==[^ ]+", line) for line in pins)
    assert text.count("--hash=sha256:") >= len(pins)


def test_requirements_pin_everything_the_project_asks_for() -> None:
    """Every dependency of pyproject.toml is pinned, those of the users with the same version."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    users = _pins("run")
    developers = _pins("dev")

    asked = {_bare(line) for line in project["project"]["dependencies"]}
    more = {_bare(line) for line in project["dependency-groups"]["dev"]}
    assert asked <= users.keys()
    assert asked | more <= developers.keys()
    assert {name: developers[name] for name in users} == users


def _pins(name: str) -> dict[str, str]:
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    return {_bare(pin): rest for pin, rest in re.findall(r"^([^ =]+)==([^ ]+)", text, re.MULTILINE)}


def _bare(requirement: str) -> str:
    return re.split(r"[\[<>=!~; ]", requirement)[0].lower().replace("_", "-").replace(".", "-")


def test_every_command_of_the_readme_exists() -> None:
    """A `factory ...` or `make ...` line of the documentation names a command that exists."""
    pages = "\n".join(page.read_text() for page in (ROOT / "README.md", *ROOT.glob("docs/*.md")))
    blocks = re.findall(r"^```(?:sh|console|bash)?\n(.*?)^```", pages, re.MULTILINE | re.DOTALL)
    lines = [line.removeprefix("$ ").strip() for block in blocks for line in block.splitlines()]
    verbs = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    asked: dict[str, set[str]] = {}
    for line in lines:
        words = line.partition("#")[0].split()
        if words[:1] == ["make"]:
            assert set(words[1:]) <= verbs, line
        if words[:1] == ["factory"] and len(words) > 1 and not words[1].startswith("-"):
            asked.setdefault(words[1], set()).update(w for w in words if w.startswith("--"))

    assert asked, "the README shows no factory command"
    for command, options in asked.items():
        ran = run(
            [sys.executable, "-m", "factory", command, "--help"],
            cwd=ROOT,
            env={"COLUMNS": "200", "NO_COLOR": "1"},
            check=False,
        )
        assert ran.code == 0, (command, ran.err.decode()[-500:])
        missing = {o for o in options if o.partition("=")[0] not in ran.out.decode()}
        assert not missing, (command, missing)


def test_no_committed_text_names_a_machine_of_ours() -> None:
    """Project files that install things never name an index, a proxy or a mirror."""
    for name in ("pyproject.toml", "Makefile", "scripts/setup", "scripts/lock", ".ci/run"):
        assert not re.search(
            r"https?://|index-url", (ROOT / name).read_text().replace("--no-emit-index-url", "")
        ), name
