"""What a repository tells about itself."""

import tomllib
from pathlib import Path

import pytest

from factory import onboard
from factory.onboard import Findings
from tests.factory.loading import Load


def fill(path: Path, files: dict[str, str]) -> Path:
    """Write files into a directory."""
    for name, text in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(text)
    return path


PYTEST = ("python", "-m", "pytest", "-q")


@pytest.mark.parametrize(
    ("files", "argv"),
    [
        ({"pytest.ini": ""}, PYTEST),
        ({"tests/conftest.py": ""}, PYTEST),
        ({"setup.cfg": "[tool:pytest]\n"}, PYTEST),
        ({"tox.ini": "[pytest]\n"}, PYTEST),
        ({"pyproject.toml": "[tool.pytest.ini_options]\n"}, PYTEST),
        ({"pyproject.toml": "[tox]\ndeps = ['pytest>=8']\n", "tests/unit/test_a.py": ""}, PYTEST),
        ({"package.json": '{"scripts": {"test": "vitest"}}'}, ("npm", "test", "--silent")),
        ({"package.json": '{"scripts": {"test": "x"}}', "yarn.lock": ""}, ("yarn", "run", "test")),
        ({"Cargo.toml": ""}, ("cargo", "test", "--quiet")),
        ({"go.mod": ""}, ("go", "test", "./...")),
        ({"Makefile": "all test: x\n\ttrue\n"}, ("make", "test")),
        ({"test_a.py": ""}, ("python", "-m", "unittest", "discover", "-q")),
    ],
)  # fmt: skip
def test_a_plain_test_command_is_found(
    tmp_path: Path, files: dict[str, str], argv: tuple[str, ...]
) -> None:
    """Each ecosystem's usual mark names its usual command."""
    assert onboard.detect_tests(fill(tmp_path, files)) == argv


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"pyproject.toml": "[project]\nname = 'pytest-less'\n"},
        {"pyproject.toml": "not TOML ["},
        {"package.json": '{"scripts": {"test": "echo \\"Error: no test specified\\" && exit 1"}}'},
        {"package.json": "[" * 100_000},
        {"package.json": '{"scripts": ["test"]}'},
        {"Makefile": "testing:\n# test:\n\ttest: x\n"},
    ],
)
def test_what_is_not_plain_is_no_test_command(tmp_path: Path, files: dict[str, str]) -> None:
    """Nothing is guessed, also not from broken or hostile files."""
    assert onboard.detect_tests(fill(tmp_path, files)) is None


def test_a_repository_is_looked_at_through_its_tracked_paths(tmp_path: Path) -> None:
    """Languages and directories come by frequency; what is only on disk is shared, not counted."""
    fill(tmp_path, {"pytest.ini": "", ".venv/bin/python": "", "node_modules/x/a.js": ""})
    tracked = (
        "src/a.py",
        "src/b.py",
        "web/a.ts",
        "tests/test_a.py",
        "a b/x.py",
        ".github/workflows/ci.yml",
        ".github/CODEOWNERS",
        ".pre-commit-config.yaml",
        "docs/index.md",
    )

    found = onboard.look(tmp_path, tracked)

    assert found == Findings(
        languages=("Python", "TypeScript"),
        tests=PYTEST,
        pre_commit=True,
        owners=".github/CODEOWNERS",
        ci=("GitHub Actions",),
        share=(".venv", "node_modules"),
        sources=("src", "tests", "web"),
    )
    assert onboard.told(found)[:2] == (
        "languages: Python, TypeScript",
        "tests: python -m pytest -q",
    )


@pytest.mark.parametrize(
    ("files", "guarded"),
    [
        ({".venv/pyvenv.cfg": "version = 3.11.4\n", "conftest.py": ""}, True),
        ({".venv/pyvenv.cfg": "version_info = 3.13.0\n", "src/a/__init__.py": ""}, True),
        ({".venv/pyvenv.cfg": "version = 3.12.1\n", "pytest.ini": "pythonpath = ."}, True),
        ({".venv/pyvenv.cfg": "version = 3.12.1\n"}, False),
        ({".venv/pyvenv.cfg": "version = 3.9.1\n", "conftest.py": ""}, False),
        ({"conftest.py": ""}, False),
    ],
)  # fmt: skip
def test_pytest_is_guarded_where_that_breaks_nothing(
    tmp_path: Path, files: dict[str, str], *, guarded: bool
) -> None:
    """`-P` keeps an agent's own pytest.py from being the tests' pytest, where it is known."""
    found = onboard.look(fill(tmp_path, {"tests/conftest.py": "", **files}), ())

    assert found.guarded is guarded
    assert ('["python", "-P", "-m", "pytest", "-q"]' in onboard.config_text(found)) is guarded


@pytest.mark.parametrize("tests", [None, PYTEST])
@pytest.mark.parametrize("rich", [False, True])
def test_init_s_text_is_short_and_loads(
    tmp_path: Path, tests: tuple[str, ...] | None, *, rich: bool
) -> None:
    """Whatever was found, the file has at most 30 lines and no mistake."""
    found = Findings(
        languages=("Python",),
        tests=tests,
        pre_commit=rich,
        owners=None,
        ci=(),
        share=(".venv", "node_modules") if rich else (),
        sources=("src", "tests", "docs", "more") if rich else (),
    )

    text = onboard.config_text(found)

    assert text.count("\n") <= 30
    assert tomllib.loads(text)["version"] == 1
    settings = Load(tmp_path)(text)
    names = [spec.name for spec in settings.rules.stations]
    assert names == (["code", "repair"] if tests is None else ["code", "tests", "repair"])
    assert settings.rules.repair == "repair"
    assert any("nothing tests" in warning for warning in settings.warnings) is (tests is None)
