"""Versions: every factory.toml that a run used, kept by its hash in the factory's directory."""

import hashlib
import os
import tempfile
from pathlib import Path
from typing import Final

from factory.complaint import Complaint

_SHORTEST: Final = 4


def keep(factory: Path, text: str) -> str:
    """Keep a configuration and give its hash; empty when there is none to keep."""
    if not text:
        return ""
    name = digest(text)
    path = _place(factory, name)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        replaced(path, text, mode=0o600)
    return name


def digest(text: str) -> str:
    """Give the hash by which a configuration is kept."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def text_of(factory: Path, name: str) -> str | None:
    """Give a kept configuration; None when it is not there, or is not what it was."""
    try:
        text = _place(factory, name).read_bytes().decode()
    except (FileNotFoundError, UnicodeDecodeError):
        return None
    return text if digest(text) == name else None


def path_of(factory: Path, name: str) -> Path:
    """Give the file of a kept configuration; complain when it is gone or was changed."""
    if text_of(factory, name) is None:
        raise Complaint(
            f"the configuration {name[:12]} is not kept any more, or was changed",
            hint=f"it lay at {_place(factory, name)}; begin anew",
            code=7,
        )
    return _place(factory, name)


def known(factory: Path) -> tuple[str, ...]:
    """Give the hashes of all that is kept."""
    return tuple(sorted(path.stem for path in (factory / "lines").glob("*.toml")))


def named(factory: Path, beginning: str) -> str:
    """Give the one hash that begins so; complain of none and of several."""
    found = [name for name in known(factory) if name.startswith(beginning.lower())]
    if len(beginning) >= _SHORTEST and len(found) == 1:
        return found[0]
    what = "is too short" if len(beginning) < _SHORTEST else "names no version"
    what = "names several versions" if len(found) > 1 and len(beginning) >= _SHORTEST else what
    raise Complaint(f"{beginning!r} {what}", hint="`factory config history` lists them")


def replaced(path: Path, text: str, *, mode: int) -> None:
    """Put a text in the place of a file, all of it or nothing, durably."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    made = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        made.chmod(mode)
        made.replace(path)
    finally:
        made.unlink(missing_ok=True)


def _place(factory: Path, name: str) -> Path:
    return factory / "lines" / f"{name}.toml"
