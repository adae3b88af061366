"""Manifests: what a change does to the files that name packages and how a project is built. Pure.

Each known kind is read into its packages (with where they come from, when that is no registry)
and its settings that decide what runs. What cannot be read is not trusted.
"""

import json
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from worktrees.scope import allows

MOST_BYTES: Final = 1_000_000
_UNREAD: Final = (
    *(
        "gemfile",
        "*.gemspec",
        "pom.xml",
        "build.gradle",
        "build.gradle.kts",
        "*.csproj",
        "*.fsproj",
    ),
    *("directory.packages.props", "packages.config", "build.sbt", "mix.exs", "pubspec.yaml"),
    *("package.swift", "podfile", "environment.y*ml", "conda*.y*ml", "*.cabal", "deps.edn"),
    *("project.clj", "rebar.config", "pnpm-workspace.yaml", "pnpm-workspace.yml", "module.bazel"),
    *("workspace.bazel", "flake.nix", "requirements.yml", "libs.versions.toml"),
)
_HARMLESS_TOOLS_WORDS: Final = (
    "ruff black isort mypy pyright basedpyright pylint flake8 pydocstyle pydoclint codespell typos "
    "bandit vulture towncrier commitizen semantic_release bumpversion djlint importlinter "
    "interrogate refurb yapf autopep8 autoflake docformatter darglint ty pyrefly pyupgrade "
    "git-cliff changelog check-wheel-contents deptry tomlsort taplo sqlfluff numpydoc"
)
_HARMLESS_TOOLS: Final = frozenset(_HARMLESS_TOOLS_WORDS.split())
_PLAIN_PROJECT_WORDS: Final = (
    "name version description readme license license-files authors maintainers keywords urls "
    "classifiers requires-python dependencies optional-dependencies"
)
_PLAIN_PROJECT: Final = frozenset(_PLAIN_PROJECT_WORDS.split())
_PLAIN_PACKAGE_WORDS: Final = (
    "name version description keywords homepage bugs license author contributors funding files "
    "repository private sideEffects types typings browserslist eslintConfig prettier "
    "dependencies devDependencies peerDependencies peerDependenciesMeta optionalDependencies "
    "keywords engines os cpu displayName icon publisher categories stylelint"
)
_PLAIN_PACKAGE: Final = frozenset(_PLAIN_PACKAGE_WORDS.split())
_NAME: Final = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)")
_ELSEWHERE: Final = re.compile(r"^(?:\.|/|~/|[a-z+]+:|[\w.-]+/[\w.-]+)", re.IGNORECASE)

Tree = Mapping[str, object]


class Unreadable(Exception):  # noqa: N818 - says what the file is
    """A manifest that this project cannot read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What one manifest says: packages as names with their origin, settings as comparable text."""

    packages: frozenset[str] = frozenset()
    settings: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gain:
    """Why a person must look at a changed manifest: ``dependency`` or ``protected``."""

    rule: str
    why: str


def is_manifest(path: str) -> bool:
    """Say whether this path names packages or how they are built."""
    return _reader(path) is not None or _is_unread(path)


def gains(path: str, before: bytes | None, after: bytes | None) -> tuple[Gain, ...]:
    """Say what a manifest gained that a person must see; None stands for no such file."""
    read = _reader(path)
    if read is None:
        return (_unread("belongs to a kind that is not read here"),) if _is_unread(path) else ()
    try:
        new = _read(read, after)
    except Unreadable as fault:
        return (_unread(str(fault)),)
    try:
        old = _read(read, before)
    except Unreadable:
        old = Manifest()
    found: list[Gain] = []
    if old.settings != new.settings:
        found.append(Gain(rule="protected", why="changes what the build or the test runner does"))
    added = sorted(new.packages - old.packages)
    if added:
        named = ", ".join(name[:80] for name in added[:10]) + (" ..." if added[10:] else "")
        found.append(Gain(rule="dependency", why=f"gains {named}"))
    return tuple(found)


def _unread(why: str) -> Gain:
    return Gain(rule="protected", why=f"names packages and {why}")


def _is_unread(path: str) -> bool:
    return allows(_UNREAD, path.lower())


def _read(read: Callable[[str], Manifest], data: bytes | None) -> Manifest:
    if data is None:
        return Manifest()
    if len(data) > MOST_BYTES:
        msg = "is too large to be read"
        raise Unreadable(msg)
    try:
        return read(data.decode())
    except (ValueError, RecursionError, TypeError, AttributeError, KeyError) as fault:
        msg = "cannot be read"
        raise Unreadable(msg) from fault


def _reader(path: str) -> Callable[[str], Manifest] | None:
    name = path.lower().rpartition("/")[2]
    if name in _READERS:
        return _READERS[name]
    directory = path.lower().rpartition("/")[0].rpartition("/")[2]
    listed = re.fullmatch(r"(?:.*[-_.])?(?:requirements|constraints)(?:[-_.].*)?\.(?:txt|in)", name)
    if listed or (directory == "requirements" and name.endswith((".txt", ".in"))):
        return _requirements
    return None


def _text(value: object) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def _settings(*values: object) -> str:
    """Write settings down for comparison; without any they are those of no file."""
    return _text(values) if any(values) else ""


def _table(value: object) -> Tree:
    if not isinstance(value, dict):
        msg = "a table was expected"
        raise TypeError(msg)
    return value


def _sub(tree: Tree, *names: str) -> Tree:
    for name in names:
        tree = _table(tree.get(name, {}))
    return tree


def _strings(value: object) -> list[str]:
    if not isinstance(value, list):
        msg = "a list was expected"
        raise TypeError(msg)
    return [item for item in value if isinstance(item, str)]


def _python(requirement: str) -> str:
    match = _NAME.match(requirement)
    if match is None:
        return requirement.strip()
    name = re.sub(r"[-_.]+", "-", match.group(1)).lower()
    _, at, place = requirement.partition("@")
    return f"{name} @ {place.strip()}" if at else name


def _tabled(tree: Tree) -> set[str]:
    """Read packages given as ``name = version`` or ``name = {git = ...}``."""
    found: set[str] = set()
    for name, value in tree.items():
        origin = ""
        if isinstance(value, dict):
            kept = {
                key: value[key]
                for key in ("git", "path", "url", "registry", "source", "index", "package", "file")
                if key in value
            }
            origin = f" from {_text(kept)}" if kept else ""
        elif isinstance(value, list):
            origin = f" from {_text(value)}"
        elif isinstance(value, str) and _ELSEWHERE.match(value):
            origin = f" from {value}"
        found.add(f"{name}{origin}")
    return found


def _pyproject(text: str) -> Manifest:
    doc: Tree = tomllib.loads(text)
    project, tool = _sub(doc, "project"), _sub(doc, "tool")
    packages = {_python(one) for one in _strings(project.get("dependencies", []))}
    groups = [
        *_sub(project, "optional-dependencies").values(),
        *_sub(doc, "dependency-groups").values(),
    ]
    for group in groups:
        packages |= {_python(one) for one in _strings(group)}
    poetry, rest = dict(_sub(tool, "poetry")), {}
    packages |= _tabled(_table(poetry.pop("dependencies", {})))
    packages |= _tabled(_table(poetry.pop("dev-dependencies", {})))
    for group in _table(poetry.pop("group", {})).values():
        packages |= _tabled(_sub(_table(group), "dependencies"))
    for name in _PLAIN_PROJECT:
        poetry.pop(name, None)
    for name, table in tool.items():
        left = poetry if name == "poetry" else table
        if name not in _HARMLESS_TOOLS and left:
            rest[name] = left
    others = {
        name: value
        for name, value in doc.items()
        if name not in {"project", "tool", "dependency-groups"}
    }
    own = {name: value for name, value in project.items() if name not in _PLAIN_PROJECT}
    return Manifest(packages=frozenset(packages), settings=_settings(rest, own, others))


def _requirements(text: str) -> Manifest:
    packages, settings = set(), []
    for raw in text.replace("\\\n", " ").splitlines():
        line = re.sub(r"(?:^|\s)#.*$", "", raw).strip()
        if line.startswith("-"):
            settings.append(line)
        elif line:
            packages.add(_python(line.partition(" --")[0]))
    return Manifest(packages=frozenset(packages), settings=_settings(sorted(settings)))


def _package_json(text: str) -> Manifest:
    doc = _table(json.loads(text))
    kinds = ("dependencies", "devDependencies", "peerDependencies", "optionalDependencies")
    packages = {one for kind in kinds for one in _tabled(_sub(doc, kind))}
    rest = {name: value for name, value in doc.items() if name not in _PLAIN_PACKAGE}
    return Manifest(packages=frozenset(packages), settings=_settings(rest))


def _composer(text: str) -> Manifest:
    doc = dict(_table(json.loads(text)))
    packages = _tabled(_table(doc.pop("require", {}))) | _tabled(_table(doc.pop("require-dev", {})))
    rest = {name: value for name, value in doc.items() if name not in _PLAIN_PACKAGE}
    return Manifest(packages=frozenset(packages), settings=_settings(rest))


def _cargo(text: str) -> Manifest:
    doc = dict(tomllib.loads(text))
    kinds = ("dependencies", "dev-dependencies", "build-dependencies")
    places = [doc, _sub(doc, "workspace"), *(_table(one) for one in _sub(doc, "target").values())]
    packages = {one for place in places for kind in kinds for one in _tabled(_sub(place, kind))}
    keys = ("patch", "replace", "profile", "badges", "cargo-features")
    build = [_sub(doc, "package").get("build"), _sub(doc, "lib").get("proc-macro")]
    return Manifest(
        packages=frozenset(packages), settings=_settings(build, *(doc.get(key) for key in keys))
    )


def _pipfile(text: str) -> Manifest:
    doc = tomllib.loads(text)
    packages = _tabled(_sub(doc, "packages")) | _tabled(_sub(doc, "dev-packages"))
    return Manifest(
        packages=frozenset(packages), settings=_settings(doc.get("source"), doc.get("scripts"))
    )


def _go_mod(text: str) -> Manifest:
    packages, settings, block = set(), [], ""
    for raw in text.splitlines():
        line = raw.partition("//")[0].strip()
        if line == ")":
            block = ""
        elif line.endswith("("):
            block = line.removesuffix("(").strip()
        elif line:
            words = [block, *line.split()] if block else line.split()
            if words[0] == "require":
                packages.add(words[1] if len(words) > 1 else line)
            elif words[0] not in {"module", "exclude", "retract", "go"}:
                settings.append(" ".join(words))
    return Manifest(packages=frozenset(packages), settings=_settings(sorted(settings)))


_READERS: Final[Mapping[str, Callable[[str], Manifest]]] = {
    "pyproject.toml": _pyproject,
    "package.json": _package_json,
    "composer.json": _composer,
    "cargo.toml": _cargo,
    "pipfile": _pipfile,
    "go.mod": _go_mod,
}
