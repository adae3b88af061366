"""How programs are installed on a host: scripts, virtual environments, pyenv, rustup; all read."""

import os
import re
import tomllib
from pathlib import Path
from typing import Final

NODE_MODULES: Final = "node_modules"


def executable(path: Path) -> bool:
    """Say whether a path is a program that may be run."""
    return path.is_file() and os.access(path, os.X_OK)


def interpreter_parts(prefix: Path) -> list[Path]:
    """Give the directories in which an interpreter keeps its libraries."""
    libraries = sorted(prefix.glob("lib/python3.*"))
    modules = prefix / "lib" / NODE_MODULES
    return [*libraries, *([modules] if modules.is_dir() else [])]


def own_interpreter(prefix: Path) -> bool:
    """Say whether a prefix holds an interpreter of its own and not just links to others."""
    programs = prefix / "bin"
    return any(
        (programs / name).is_file() and (programs / name).resolve().parent == programs.resolve()
        for name in ("python3", "node")
    )


def node_packages(path: Path) -> Path | None:
    """Give the directory from which a program of Node takes its modules; None for other programs.

    Node looks beside the real file and in every ``node_modules`` above it: the outermost one holds
    all of those, and a package that is only linked into one has its own below its root.
    """
    if NODE_MODULES in path.parts:
        return Path(*path.parts[: path.parts.index(NODE_MODULES) + 1])
    if "node" not in {Path(word).name for word in shebang(path)}:
        return None
    return next((p for p in path.parents if (p / "package.json").is_file()), None)


def shebang(path: Path) -> list[str]:
    """Name the programs that a script's first line asks for."""
    if not path.is_file():
        return []
    with path.open("rb") as file:
        first = file.readline(512)
    if not first.startswith(b"#!"):
        return []
    words = first[2:].decode("utf-8", "surrogateescape").split()
    if words and Path(words[0]).name == "env":
        plain = [w for w in words[1:] if not w.startswith("-") and "=" not in w]
        return [words[0], *plain[:1]]
    return words[:1]


def venv_home(prefix: Path) -> Path | None:
    """Give the directory of the interpreter that a virtual environment was made from."""
    text = (prefix / "pyvenv.cfg").read_text("utf-8", "surrogateescape")
    found = re.search(r"^home\s*=\s*(/.*?)\s*$", text, re.MULTILINE)
    return Path(found[1]) if found else None


def editable_roots(environment: Path, checkout: Path) -> tuple[Path, ...]:
    """Give the directories of a checkout from which a virtual environment imports directly."""
    found: list[Path] = []
    for site in environment.glob("lib/python3.*/site-packages"):
        for file in sorted(site.glob("*.pth")):
            found += [Path(line) for line in file.read_text("utf-8", "replace").splitlines()]
        for file in sorted(site.glob("__editable__*_finder.py")):
            named = re.findall(r"['\"](/[^'\"\n]+)['\"]", file.read_text("utf-8", "replace"))
            found += [Path(name).parent for name in named]
    return tuple(dict.fromkeys(p for p in found if p == checkout or checkout in p.parents))


def pyenv_versions(root: Path, checkout: Path) -> list[Path]:
    """Give the installations that pyenv would use in a checkout, the first one first."""
    files = [parent / ".python-version" for parent in (checkout, *checkout.parents)]
    named = next((f for f in (*files, root / "version") if f.is_file()), None)
    words = named.read_text("utf-8", "replace").split() if named else []
    versions = [entry for entry in (root / "versions").iterdir() if entry.is_dir()]
    chosen: list[Path] = []
    for word in words:
        matching = [v for v in versions if v.name == word or v.name.startswith(f"{word}.")]
        chosen += sorted(matching, key=_by_number)[-1:]
    return chosen


def _by_number(path: Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", path.name)]


def rustup_toolchain(path: Path) -> Path | None:
    """Give the default toolchain's program for which a rustup link stands."""
    root = path.parent.parent.parent / ".rustup"
    settings = root / "settings.toml"
    if not settings.is_file():
        return None
    name = tomllib.loads(settings.read_text("utf-8")).get("default_toolchain")
    found = root / "toolchains" / str(name) / "bin" / path.name
    return found if executable(found) else None
