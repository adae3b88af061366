"""What a repository tells about itself, and the short factory.toml that follows from it."""

import json
import re
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from stations.contract import Argv

_LANGUAGES: Final = {
    ".py": "Python",
    ".js": "JavaScript",
    ".ts": "TypeScript",
    ".tsx": "TypeScript",
    ".go": "Go",
    ".rs": "Rust",
    ".java": "Java",
    ".kt": "Kotlin",
    ".rb": "Ruby",
    ".php": "PHP",
    ".c": "C",
    ".h": "C",
    ".cc": "C++",
    ".cpp": "C++",
    ".hpp": "C++",
    ".cs": "C#",
    ".swift": "Swift",
    ".sh": "Shell",
}
_CI: Final = (
    (".github/workflows", "GitHub Actions"),
    (".gitlab-ci.yml", "GitLab CI"),
    (".circleci/config.yml", "CircleCI"),
    ("azure-pipelines.yml", "Azure Pipelines"),
    ("Jenkinsfile", "Jenkins"),
    (".buildkite", "Buildkite"),
    (".travis.yml", "Travis CI"),
)
_OWNERS: Final = ("CODEOWNERS", ".github/CODEOWNERS", "docs/CODEOWNERS", ".gitlab/CODEOWNERS")
_SHARED: Final = (".venv", "venv", "node_modules")
_NO_TESTS: Final = "no test specified"
_MOST_STATIONS: Final = 3
_PYTEST: Final = ("python", "-m", "pytest", "-q")
_GUARDED: Final = ("python", "-P", "-m", "pytest", "-q")
_KNOWS_P: Final = (3, 11)
_LARGEST: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What was found in a repository, most frequent language first."""

    languages: tuple[str, ...]
    tests: Argv | None
    pre_commit: bool
    owners: str | None
    ci: tuple[str, ...]
    share: tuple[str, ...]
    sources: tuple[str, ...]
    """Top directories that hold code, those with most files first."""
    guarded: bool = False
    """Whether pytest can be run without the tree's top on the path of imports."""


def look(checkout: Path, tracked: Collection[str]) -> Findings:
    """Say what a repository is, from its tracked paths and a few small files."""
    languages: dict[str, int] = {}
    sources: dict[str, int] = {}
    for path in tracked:
        top, inner, _ = path.partition("/")
        language = _LANGUAGES.get(Path(path).suffix)
        if language is not None:
            languages[language] = languages.get(language, 0) + 1
            if inner and not top.startswith(".") and _plain(top):
                sources[top] = sources.get(top, 0) + 1
    return Findings(
        languages=_frequent(languages),
        tests=detect_tests(checkout),
        pre_commit=".pre-commit-config.yaml" in tracked,
        owners=next((path for path in _OWNERS if path in tracked), None),
        ci=tuple(name for path, name in _CI if _has(tracked, path)),
        share=tuple(
            name for name in _SHARED if (checkout / name).is_dir() and not _has(tracked, name)
        ),
        sources=_frequent(sources),
        guarded=_guarded(checkout),
    )


def detect_tests(checkout: Path) -> Argv | None:
    """Find the command that runs the repository's tests; None when nothing plain is there."""
    if _python(checkout):
        return _PYTEST
    tries: tuple[tuple[str, Argv], ...] = (
        ("Cargo.toml", ("cargo", "test", "--quiet")),
        ("go.mod", ("go", "test", "./...")),
        ("pom.xml", ("mvn", "-q", "test")),
        ("gradlew", ("./gradlew", "test")),
        ("mix.exs", ("mix", "test")),
        (".rspec", ("bundle", "exec", "rspec")),
    )
    node = _node(checkout)
    if node is not None:
        return node
    for name, argv in tries:
        if (checkout / name).is_file():
            return argv
    if any("test" in _targets(checkout / name) for name in ("GNUmakefile", "Makefile", "makefile")):
        return ("make", "test")
    if any(True for _ in checkout.glob("test*/test_*.py")) or any(checkout.glob("test_*.py")):
        return ("python", "-m", "unittest", "discover", "-q")
    return None


def config_text(findings: Findings) -> str:
    """Give a factory.toml of at most 30 lines for what was found."""
    scopes = [f"{name}/**" for name in findings.sources[:_MOST_STATIONS]]
    lines = ["version = 1", "", "[line]", "budget = { usd = 5, minutes = 60 }"]
    if findings.share:
        lines += ["", "[env]", f"share = {_list(findings.share)}   # untracked, shown read-only"]
    lines += ["", "[[station]]", 'name = "code"', f"scope = {_list(scopes or ['**'])}"]
    lines += ['agent = "sdk:medium"   # or { runtime = "command", run = ["sh", "agent.sh"] }']
    if findings.tests is None:
        lines += ["", "# Nothing tests what lands: no test command was found. Write yours:"]
        lines += [
            "# [[station]]",
            '# name = "tests"',
            '# kind = "test"',
            '# run = ["make", "test"]',
        ]
    else:
        lines += [
            "",
            "[[station]]",
            'name = "tests"',
            'kind = "test"',
            f"run = {_list(findings.tests)}",
        ]
        if findings.guarded and findings.tests == _PYTEST:
            lines[-1] = f"run = {_list(_GUARDED)}   # -P: no file here stands in for pytest"
    lines += ["", "[[station]]", 'name = "repair"', 'kind = "cleanup"', 'agent = "sdk:small"']
    if findings.pre_commit:
        lines += [
            "",
            '# pre-commit was found: run = ["pre-commit", "run", "--all-files"] in a station',
        ]
        lines += ['# of kind = "test" with required = false would tell without deciding.']
    return "\n".join(lines) + "\n"


def told(findings: Findings) -> tuple[str, ...]:
    """Give the findings as sentences for a person."""
    tests = " ".join(findings.tests) if findings.tests else "none found"
    return (
        f"languages: {', '.join(findings.languages) or 'none known'}",
        f"tests: {tests}",
        f"pre-commit: {'yes' if findings.pre_commit else 'no'}",
        f"code owners: {findings.owners or 'none'}",
        f"CI: {', '.join(findings.ci) or 'none'}",
        f"shared beside the tree: {', '.join(findings.share) or 'nothing'}",
    )


def _python(checkout: Path) -> bool:
    if any(
        (checkout / name).is_file() for name in ("pytest.ini", "conftest.py", "tests/conftest.py")
    ):
        return True
    if "[tool:pytest]" in _text(checkout / "setup.cfg") or "[pytest]" in _text(
        checkout / "tox.ini"
    ):
        return True
    try:
        project: object = tomllib.loads(_text(checkout / "pyproject.toml"))
    except (tomllib.TOMLDecodeError, RecursionError):
        return False
    if not isinstance(project, Mapping) or not project:
        return False
    tool = project.get("tool")
    if isinstance(tool, Mapping) and "pytest" in tool:
        return True
    # A dependency on pytest is named in many ways (extras, groups, poetry, hatch); its name is one.
    named = "pytest" in json.dumps(project, default=str)
    return named and any(any(checkout.glob(glob)) for glob in ("test*/**/test_*.py", "test_*.py"))


def _guarded(checkout: Path) -> bool:
    """Say whether `python -P` is known here and the tests do not need the top to be imported."""
    said = re.search(r"^version(?:_info)? *= *(\d+)\.(\d+)", _venv(checkout), re.MULTILINE)
    if said is None or (int(said[1]), int(said[2])) < _KNOWS_P:
        return False
    settings = "".join(_text(checkout / name) for name in ("pyproject.toml", "pytest.ini"))
    return (checkout / "conftest.py").is_file() or "pythonpath" in settings or _src(checkout)


def _venv(checkout: Path) -> str:
    return _text(checkout / ".venv/pyvenv.cfg") or _text(checkout / "venv/pyvenv.cfg")


def _src(checkout: Path) -> bool:
    return any(checkout.glob("src/*/__init__.py"))


def _node(checkout: Path) -> Argv | None:
    try:
        package: object = json.loads(_text(checkout / "package.json") or "{}")
    except (json.JSONDecodeError, RecursionError):
        return None
    scripts = package.get("scripts") if isinstance(package, Mapping) else None
    test = scripts.get("test") if isinstance(scripts, Mapping) else None
    if not isinstance(test, str) or _NO_TESTS in test:
        return None
    for lock, program in (("pnpm-lock.yaml", "pnpm"), ("yarn.lock", "yarn"), ("bun.lock", "bun")):
        if (checkout / lock).is_file():
            return (program, "run", "test")
    return ("npm", "test", "--silent")


def _targets(makefile: Path) -> frozenset[str]:
    heads = [line.partition(":")[0] for line in _text(makefile).splitlines() if line[:1].isalnum()]
    return frozenset(name for head in heads for name in head.split())


def _text(path: Path) -> str:
    # A repository may hold a link to a device or a pipe: only plain files are opened.
    try:
        if not path.is_file():
            return ""
        with path.open("rb") as file:
            return file.read(_LARGEST).decode(errors="replace")
    except PermissionError:
        return ""


def _has(tracked: Collection[str], path: str) -> bool:
    return path in tracked or any(known.startswith(f"{path}/") for known in tracked)


def _plain(name: str) -> bool:
    return all(c.isascii() and (c.isalnum() or c in "._-") for c in name)


def _frequent(counts: Mapping[str, int]) -> tuple[str, ...]:
    return tuple(sorted(counts, key=lambda name: (-counts[name], name)))


def _list(words: Collection[str]) -> str:
    return "[" + ", ".join(json.dumps(word) for word in words) + "]"
