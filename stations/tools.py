"""Commands and what they need to run: found on the host, before any sandbox is started."""

import os
import pwd
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final

from stations.installs import (
    NODE_MODULES,
    executable,
    interpreter_parts,
    node_packages,
    own_interpreter,
    pyenv_versions,
    rustup_toolchain,
    shebang,
    venv_home,
)
from worktrees.shadow import Mount

SYSTEM: Final = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
"""What every sandbox sees of the host's own system."""
_DEPTH: Final = 6
_TOP: Final = 2


class ToolMissingError(Exception):
    """A command that is found neither in what is shared nor on the user's PATH."""


class SurroundingsError(ValueError):
    """Paths that a sandbox may not be given; the message names the path and the remedy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a sandbox sees beside the tree.

    ``share`` are untracked paths of the checkout, ``tools`` directories anywhere, ``scratch``
    paths that are writable and thrown away, ``made`` what ``setup`` made (path in the tree, place
    on the host), ``path`` the user's PATH.
    """

    share: tuple[str, ...] = ()
    tools: tuple[Path, ...] = ()
    scratch: tuple[str, ...] = ()
    made: tuple[tuple[str, Path], ...] = ()
    path: str = "/usr/local/bin:/usr/bin:/bin"

    def shown(self, checkout: Path) -> tuple[tuple[str, Path], ...]:
        """Give what lies at which relative path of the tree, and where it is on the host."""
        made = dict(self.made)
        shared = ((s, checkout / s) for s in self.share if s not in made)
        return (*((s, p) for s, p in shared if p.exists()), *self.made)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A command as it is started: its path, the mounts and PATH entries it needs, its stamp."""

    path: str
    mounts: tuple[Mount, ...]
    path_entries: tuple[str, ...]
    stamp: str = ""


def resolve(argv0: str, checkout: Path, surroundings: Surroundings) -> Tool:
    """Find a command: in a shared virtual environment first, else on the user's PATH.

    A word with a slash that is not absolute names a file of the tree. Raises ``ToolMissingError``.
    """
    check(checkout, surroundings)
    view = _View(checkout=checkout, surroundings=surroundings)
    view.show_surroundings()
    if "/" in argv0:
        path = Path(os.path.normpath(checkout / argv0))
        if not Path(argv0).is_absolute() and not view.covers(path):
            return view.tool(argv0, front=None)
        if not path.is_file():
            msg = f"{argv0}: there is no such file"
            raise ToolMissingError(msg)
    else:
        found = view.look_up(argv0)
        if found is None:
            msg = (
                f"{argv0}: not found in {', '.join(surroundings.share) or 'no shared path'} nor on "
                f"PATH ({surroundings.path}); install it, or name its directory in [env] tools"
            )
            raise ToolMissingError(msg)
        path = found
    view.show_executable(path, _DEPTH)
    return view.tool(str(path), front=path.parent)


def check(checkout: Path, surroundings: Surroundings) -> None:
    """Raise ``SurroundingsError`` when a path would show the checkout or leave it."""
    for tool in surroundings.tools:
        for path in (tool, tool.resolve()):
            if not path.is_absolute() or path == path.parent:
                msg = f"tools: {tool}: name an absolute directory below /"
                raise SurroundingsError(msg)
            if _inside(checkout, path) or _inside(path, checkout):
                msg = (
                    f"tools: {tool}: contains or lies in the checkout {checkout}; "
                    "untracked paths of the checkout belong in [env] share"
                )
                raise SurroundingsError(msg)
    for name in (*surroundings.share, *surroundings.scratch, *(m for m, _ in surroundings.made)):
        parts = Path(name).parts
        if not parts or name.startswith("/") or ".." in parts or parts[0] == ".git":
            msg = f"{name!r}: name a path below the checkout"
            raise SurroundingsError(msg)


@dataclass(slots=True, kw_only=True)
class _View:
    """What becomes visible, gathered while commands are found."""

    checkout: Path
    surroundings: Surroundings
    mounts: dict[str, Path] = field(default_factory=dict)
    first: list[str] = field(default_factory=list)

    def tool(self, path: str, *, front: Path | None) -> Tool:
        """Give the finished tool; PATH keeps the user's order of what is visible."""
        entries = list(self.first)
        if front is not None and not _is_system(front):
            entries.append(str(front))
        for entry in self.surroundings.path.split(":"):
            entries += self._visible_entry(entry)
        entries += ["/usr/bin", "/bin"]
        real = Path(path).resolve()
        stamp = ""
        if Path(path).is_absolute():
            status = real.stat()
            stamp = f"{real}:{status.st_size}:{status.st_mtime_ns}"
        return Tool(
            path=path,
            mounts=tuple(
                Mount(source=source, target=target, writable=False)
                for target, source in self.mounts.items()
            ),
            path_entries=tuple(dict.fromkeys(entries)),
            stamp=stamp,
        )

    def show_surroundings(self) -> None:
        """Show what is shared and the tools; find the interpreter that ``python`` means."""
        for tool in self.surroundings.tools:
            if tool.exists():
                self._show(tool)
        for name, source in self.surroundings.shown(self.checkout):
            place = self.checkout / name
            self.mounts[str(place)] = source.resolve()
            if source == place and source.is_symlink():
                self._show(source.resolve())
            for directory in (place / "bin", place / ".bin"):
                if (source / directory.name).is_dir():
                    self.first.append(str(directory))
            # What setup made was made by code from anywhere: its links lead nowhere on the host.
            if source == place and (source / "pyvenv.cfg").is_file():
                self._show_venv(source, _DEPTH)
        if self.surroundings.made or not any(executable(Path(d) / "python") for d in self.first):
            for name in ("python3", "python"):
                if found := self.look_up(name, shared=False):
                    self.show_executable(found, _DEPTH)

    def look_up(self, name: str, *, shared: bool = True) -> Path | None:
        """Find an executable; a pyenv or rustup stand-in gives the program it stands for."""
        for entry in self.first if shared else ():
            found = Path(entry) / name
            if executable(self._source(found)):
                return found
        for entry in self.surroundings.path.split(":"):
            found = Path(entry) / name
            if not found.is_absolute() or _inside(found, self.checkout) or not executable(found):
                continue
            if (real := self._stand_in(found)) is not None:
                return real
        return None

    def covers(self, path: Path) -> bool:
        """Say whether something already shown holds the path."""
        return any(_inside(path, Path(target)) for target in self.mounts)

    def show_executable(self, path: Path, depth: int) -> None:
        """Show a program, every link on the way to it, and what its first line asks for."""
        if depth == 0:
            return
        hop = path
        for _ in range(_DEPTH * 2):
            self._show_installation(hop, depth)
            source = self._source(hop)
            if not source.is_symlink():
                break
            target = source.readlink()
            parent = source.parent.resolve() if ".." in target.parts else hop.parent
            hop = Path(os.path.normpath(parent / target))
        real = self._source(path).resolve()
        self._show_installation(real, depth)
        for interpreter in shebang(real):
            found = Path(interpreter) if "/" in interpreter else self.look_up(interpreter)
            if found is not None and executable(self._source(found)):
                self.show_executable(found, depth - 1)

    def _show_installation(self, path: Path, depth: int) -> None:
        if _is_system(path):
            return
        prefix = path.parent.parent if path.parent.name in {"bin", "sbin"} else path.parent
        if (self._source(prefix) / "pyvenv.cfg").is_file():
            if not self.covers(prefix):
                self._show(prefix)
            self._show_venv(self._source(prefix), depth)
        elif self.covers(path):
            return
        elif (packages := node_packages(path)) is not None and self._narrow(packages):
            self._show(packages)
        elif not self._narrow(prefix):
            self._show(path)
            for part in interpreter_parts(prefix):
                if _inside(self._source(path).resolve(), part):
                    self._show(part)
        else:
            self._show(prefix)

    def _narrow(self, directory: Path) -> bool:
        """Say whether a directory holds a tool and little else, the checkout least of all."""
        wide = directory.name != NODE_MODULES and _too_wide(directory)
        return not wide and not _inside(self.checkout, directory)

    def _show_venv(self, prefix: Path, depth: int) -> None:
        if depth == 0:
            return
        base = venv_home(prefix)
        for python in (prefix / "bin" / "python", base / "python3" if base else None):
            if python is not None and python.exists():
                self.show_executable(python.resolve(), 1)
                if python.is_symlink():
                    hop = Path(os.path.normpath(python.parent / python.readlink()))
                    if not _inside(hop, prefix):
                        self.show_executable(hop, depth - 1)

    def _show(self, path: Path) -> None:
        if _is_system(path) or path == self.checkout or self.covers(path):
            return
        real = path.resolve()
        self.mounts[str(path)] = real
        if real != path and real.is_dir():
            self._show(real)

    def _source(self, path: Path) -> Path:
        """Where a path of the sandbox lies on the host (what ``setup`` made lies elsewhere)."""
        for name, source in self.surroundings.made:
            place = self.checkout / name
            if _inside(path, place):
                return source / path.relative_to(place)
        return path

    def _visible_entry(self, entry: str) -> list[str]:
        path = Path(entry)
        if not path.is_absolute() or _inside(path, self.checkout):
            return []
        if path.name == "shims" and (path.parent / "versions").is_dir():
            shown = (v for v in pyenv_versions(path.parent, self.checkout) if self.covers(v))
            return [str(version / "bin") for version in shown]
        return [entry] if _is_system(path) or self.covers(path) else []

    def _stand_in(self, path: Path) -> Path | None:
        if path.parent.name == "shims" and (path.parent.parent / "versions").is_dir():
            versions = pyenv_versions(path.parent.parent, self.checkout)
            candidates = (version / "bin" / path.name for version in versions)
            return next((c for c in candidates if executable(c)), None)
        if path.resolve().name == "rustup" and path.name != "rustup":
            return rustup_toolchain(path)
        return path


def _is_system(path: Path) -> bool:
    return any(_inside(path, Path(root)) for root in SYSTEM)


def _inside(path: Path, root: Path) -> bool:
    return path == root or root in path.parents


@cache
def _homes() -> frozenset[Path]:
    listed = (Path(entry.pw_dir) for entry in pwd.getpwall())
    return frozenset(home for home in listed if len(home.parts) > 1 and not _is_system(home))


def _too_wide(prefix: Path) -> bool:
    """Say whether a directory (a home, one directly in it, one below /) holds more than a tool."""
    homes = _homes()
    return (
        len(prefix.parts) <= _TOP
        or any(_inside(home, prefix) for home in homes)
        or prefix.parent in homes
        or prefix.parent.parent == Path("/home")
    ) and not (prefix.parent in homes and own_interpreter(prefix))
