"""Imports: which files of a repository name which others, read from their texts. Pure.

Python is read as a tree, the other languages by light patterns; only what resolves to a tracked
file counts. Texts are hostile: nothing in them is run, and what cannot be read imports nothing.
"""

import ast
import posixpath
import re
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

_SCRIPTS: Final = (".js", ".jsx", ".mjs", ".cjs", ".ts", ".tsx", ".mts", ".cts", ".vue", ".svelte")
_C: Final = (".c", ".h", ".cc", ".cpp", ".cxx", ".hh", ".hpp", ".hxx")
SUFFIXES: Final = (".py", ".pyi", ".go", ".rs", ".java", *_SCRIPTS, *_C)
"""The ends of names of files that are read."""
GO_MODULE: Final = "go.mod"
"""The file that names the packages of a Go module: without it none of them resolves."""
_BODIES: Final = ("body", "orelse", "finalbody", "handlers", "cases")
_PACKAGE: Final = 40
"""A Go package of more files is imported by so many that it says nothing."""
_FROM_SCRIPT: Final = re.compile(
    r"""(?:\bfrom|\bimport|\brequire\s*\(|\bimport\s*\()\s*['"](\.[^'"\n]{0,400})['"]"""
)
# What may stand before a word never spans lines: thousands of blank ones would take hours.
_FROM_GO: Final = re.compile(
    r'^[ \t]*(?:import[ \t]+)?(?:[\w.]+[ \t]+)?"([^"\n]{1,400})"', re.MULTILINE
)
_GO_NAME: Final = re.compile(r"^module[ \t]+(\S+)", re.MULTILINE)
_RUST_MOD: Final = re.compile(
    r"^[ \t]*(?:pub(?:\([^)\n]{0,80}\))?[ \t]+)?mod[ \t]+(\w+)[ \t]*;", re.MULTILINE
)
_RUST_USE: Final = re.compile(r"^[ \t]*(?:pub[ \t]+)?use[ \t]+(\w+)((?:::\w+){0,8})", re.MULTILINE)
_FROM_JAVA: Final = re.compile(r"^[ \t]*import[ \t]+(?:static[ \t]+)?([\w.]{1,400})", re.MULTILINE)
_FROM_C: Final = re.compile(r'^[ \t]*#[ \t]*include[ \t]+"([^"\n]{1,400})"', re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Map:
    """Where things are: tracked paths, Python modules, Go modules, files by their last names."""

    tracked: frozenset[str]
    modules: Mapping[str, str]
    packages: Mapping[str, str]
    directories: Mapping[str, tuple[str, ...]]
    named: Mapping[str, tuple[str, ...]]


def imports(sources: Mapping[str, str], tracked: Collection[str]) -> Mapping[str, frozenset[str]]:
    """Give which tracked files each of these sources imports; those that import none are left out.

    ``sources`` are the texts of files by their path, a Go module's ``go.mod`` among them.
    """
    known = _map(sources, tracked)
    found = {
        path: frozenset(reader(path, text, known)) - {path}
        for path, text in sources.items()
        if (reader := _READERS.get(posixpath.splitext(path)[1])) is not None
    }
    return {path: others for path, others in found.items() if others}


def _map(sources: Mapping[str, str], tracked: Collection[str]) -> _Map:
    paths = frozenset(tracked)
    modules: dict[str, str] = {}
    directories: dict[str, list[str]] = {}
    named: dict[str, list[str]] = {}
    for path in sorted(paths):
        directory, _, name = path.rpartition("/")
        if name.endswith((".py", ".pyi")):
            for module in _modules(path, paths):
                modules.setdefault(module, path)
        elif name.endswith(".go") and not name.endswith("_test.go"):
            directories.setdefault(directory, []).append(path)
        elif name.endswith((".java", *_C)):
            named.setdefault(name, []).append(path)
    packages = {
        found[1]: posixpath.dirname(path)
        for path, text in sources.items()
        if posixpath.basename(path) == GO_MODULE and (found := _GO_NAME.search(text))
    }
    return _Map(
        tracked=paths,
        modules=modules,
        packages=packages,
        directories={name: tuple(files) for name, files in directories.items()},
        named={name: tuple(files) for name, files in named.items()},
    )


def _modules(path: str, paths: frozenset[str]) -> Iterator[str]:
    """Give the dotted names of a Python file: in its package, and from the top."""
    parts = posixpath.splitext(path)[0].split("/")
    top = len(parts) - 1
    while top and f"{'/'.join(parts[:top])}/__init__.py" in paths:
        top -= 1
    if parts[-1] == "__init__":
        parts = parts[:-1]
    for names in (parts[top:], parts, parts[1:]):
        if names:
            yield ".".join(names)


def _python(path: str, text: str, known: _Map) -> Iterator[str]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    here = posixpath.dirname(path).split("/")
    for node in _statements(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _module(alias.name, known)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                above = here[: len(here) - node.level + 1]
                stems = ["/".join([*above, *(node.module or "").split(".")]).strip("/")]
                for name in (alias.name for alias in node.names):
                    files = (f"{stems[0]}/{name}.py".lstrip("/"), f"{stems[0]}/{name}/__init__.py")
                    ends = (*files, f"{stems[0]}.py", f"{stems[0]}/__init__.py")
                    yield from (end for end in ends if end in known.tracked)
            else:
                module = node.module or ""
                for alias in node.names:
                    yield from _module(f"{module}.{alias.name}", known)


def _statements(tree: ast.Module) -> Iterator[ast.AST]:
    """Give every statement of a module; an import stands in no expression."""
    todo: list[ast.AST] = [tree]
    while todo:
        node = todo.pop()
        yield node
        for field in _BODIES:
            inside = getattr(node, field, None)
            if isinstance(inside, list):
                todo += inside


def _module(name: str, known: _Map) -> Iterator[str]:
    """Give the file of a dotted name, or of the longest part of it that is a module."""
    while name:
        if name in known.modules:
            yield known.modules[name]
            return
        name = name.rpartition(".")[0]


def _script(path: str, text: str, known: _Map) -> Iterator[str]:
    for found in _FROM_SCRIPT.finditer(text):
        target = posixpath.normpath(posixpath.join(posixpath.dirname(path), found[1]))
        stem, end = posixpath.splitext(target)
        tries = [target, *(f"{target}{each}" for each in _SCRIPTS)]
        # TypeScript's modules name the file that they will be compiled to.
        tries += [f"{stem}{each}" for each in _SCRIPTS if end in {".js", ".mjs", ".cjs"}]
        tries += [f"{target}/index{each}" for each in _SCRIPTS]
        yield from (each for each in tries if each in known.tracked)


def _go(_path: str, text: str, known: _Map) -> Iterator[str]:
    for found in _FROM_GO.finditer(text):
        for module, top in known.packages.items():
            if found[1] == module or found[1].startswith(f"{module}/"):
                directory = f"{top}/{found[1][len(module) + 1 :]}".strip("/")
                files = known.directories.get(directory, ())
                yield from files if len(files) <= _PACKAGE else ()


def _rust(path: str, text: str, known: _Map) -> Iterator[str]:
    directory, _, name = path.rpartition("/")
    own = directory if name in {"mod.rs", "lib.rs", "main.rs"} else posixpath.splitext(path)[0]
    for found in _RUST_MOD.finditer(text):
        tries = (f"{own}/{found[1]}.rs".lstrip("/"), f"{own}/{found[1]}/mod.rs".lstrip("/"))
        yield from (each for each in tries if each in known.tracked)
    source, inside, _ = f"/{path}".rpartition("/src/")
    root = f"{source}/src".lstrip("/") if inside else ""
    for found in _RUST_USE.finditer(text):
        names = found[2].split("::")[1:]
        top = {"crate": root, "super": posixpath.dirname(own), "self": own}.get(found[1])
        if top is None:
            crate = posixpath.dirname(source.lstrip("/"))
            for each in (found[1], found[1].replace("_", "-")):
                library = f"{crate}/{each}/src/lib.rs".lstrip("/")
                if library in known.tracked:
                    yield library
            continue
        for end in range(len(names), 0, -1):
            stem = "/".join([top, *names[:end]]).lstrip("/")
            hits = [file for file in (f"{stem}.rs", f"{stem}/mod.rs") if file in known.tracked]
            if hits:
                yield from hits
                break


def _java(_path: str, text: str, known: _Map) -> Iterator[str]:
    for found in _FROM_JAVA.finditer(text):
        tail = found[1].replace(".", "/") + ".java"
        files = known.named.get(posixpath.basename(tail), ())
        yield from (file for file in files if f"/{file}".endswith(f"/{tail}"))


def _c(path: str, text: str, known: _Map) -> Iterator[str]:
    for found in _FROM_C.finditer(text):
        beside = posixpath.normpath(posixpath.join(posixpath.dirname(path), found[1]))
        if beside in known.tracked:
            yield beside
            continue
        tail = posixpath.normpath(found[1])
        files = known.named.get(posixpath.basename(tail), ())
        hits = [file for file in files if f"/{file}".endswith(f"/{tail}")]
        yield from hits if len(hits) == 1 else ()


_Reader = Callable[[str, str, _Map], Iterator[str]]
_READERS: Final[Mapping[str, _Reader]] = {
    ".py": _python,
    ".pyi": _python,
    ".go": _go,
    ".rs": _rust,
    ".java": _java,
    **dict.fromkeys(_SCRIPTS, _script),
    **dict.fromkeys(_C, _c),
}
