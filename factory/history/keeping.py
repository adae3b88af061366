"""Keeping: proposed stations put into a factory.toml, when the whole file stays right."""

import os
import shutil
import tempfile
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final

from factory import onboard, settings
from factory.complaint import Complaint
from factory.config.layers import Source
from factory.config.sources import toml_file
from factory.history import writing
from factory.history.writing import Entry, NotRewritten
from factory.settings import ConfigErrors

FILE: Final = "factory.toml"
_PROJECT: Final = "pyproject.toml"


def place(checkout: Path | None) -> Path:
    """Give the file to write; complain where there is none, or none that can be replaced."""
    if checkout is None:
        raise Complaint("a bare repository has no place for a factory.toml")
    path = checkout / FILE
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise Complaint(f"{path} is no plain file", hint="make it one, or leave --write out")
    project = toml_file(checkout / _PROJECT, name=_PROJECT, under=("tool", "factory"))
    if isinstance(project, Source) and "station" in project.tree:
        raise Complaint(
            f"the stations stand in {_PROJECT}, and a second place would hide them",
            hint=f"move [tool.factory] into a {FILE} first",
        )
    return path


def write(
    path: Path, entries: Sequence[Entry], *, note: str, force: bool, tracked: Collection[str]
) -> None:
    """Put the stations into the file; complain, and leave it as it is, when that cannot be right.

    Without a file one is made as `factory init` would.
    """
    checkout = path.parent
    # newline="": a file keeps the line ends that it has.
    old = path.read_bytes().decode() if path.exists() else None
    start = onboard.config_text(onboard.look(checkout, tracked)) if old is None else old
    try:
        text = writing.rewritten(start, entries, note=note, force=force)
    except NotRewritten as kept:
        raise Complaint(
            f"{path} was left as it is: {kept}",
            hint="--force puts the proposed stations in their place",
        ) from kept
    if old is not None and "\r\n" in old:
        text = text.replace("\n", "\r\n")
    _check(path, text)
    _replace(path, text)


def _check(path: Path, text: str) -> None:
    """Complain of a text that could not be the configuration of this checkout."""
    with tempfile.TemporaryDirectory(prefix="factory-scopes-") as made:
        trial = Path(made)
        (trial / FILE).write_bytes(text.encode())
        if (path.parent / _PROJECT).is_file():
            shutil.copyfile(path.parent / _PROJECT, trial / _PROJECT)
        try:
            settings.load(trial, flags={}, tracked=None)
        except ConfigErrors as wrong:
            raise Complaint(
                f"{path} was left as it is: with these stations it would have mistakes\n{wrong}",
                hint="jobs or hand-offs name a station that would go; correct them first",
            ) from wrong


def _replace(path: Path, text: str) -> None:
    handle, name = tempfile.mkstemp(prefix=f".{FILE}-", dir=path.parent)
    made = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(text.encode())
        made.chmod(path.stat().st_mode & 0o777 if path.exists() else 0o644)
        made.replace(path)
    finally:
        made.unlink(missing_ok=True)
