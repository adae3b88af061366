"""Trust: which repositories' own commands a person allowed, by path and content."""

import hashlib
import json
import os
import tempfile
from pathlib import Path

_SCHEMA = "factory.trust/1"


class TrustUnreadable(Exception):  # noqa: N818 - the name says what happened
    """The remembered trust cannot be read; nothing is trusted until the file is removed."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"{path}: {why}; remove it and run `factory trust` again")


def is_trusted(state: Path, repository: Path, content: str) -> bool:
    """Say whether a person allowed exactly this content for this repository.

    ``content`` is a configuration's trust hash; the empty one names no command and needs no trust.
    """
    return not content or remembered(state, repository) == content


def remembered(state: Path, repository: Path) -> str | None:
    """Give the content a person allowed last for this repository, if any."""
    path = _file(state, repository)
    try:
        raw = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise TrustUnreadable(path, str(error)) from error
    try:
        known: object = json.loads(raw)
    except (json.JSONDecodeError, RecursionError) as error:
        raise TrustUnreadable(path, "is not JSON") from error
    if not isinstance(known, dict) or known.get("schema") != _SCHEMA:
        raise TrustUnreadable(path, f"is no {_SCHEMA}")
    content = known.get("content")
    # The path stands in the file too: a file that was copied to another name trusts nothing.
    same = known.get("repository") == str(repository.resolve())
    return content if same and isinstance(content, str) else None


def remember(state: Path, repository: Path, content: str) -> Path:
    """Remember that a person allowed this content; give the file that says so."""
    path = _file(state, repository)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    document = {"schema": _SCHEMA, "repository": str(repository.resolve()), "content": content}
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".trust-")
    new = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(document, file, indent=1)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
    return path


def forget(state: Path, repository: Path) -> bool:
    """Take a repository's trust back; say whether there was any."""
    path = _file(state, repository)
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    return True


def _file(state: Path, repository: Path) -> Path:
    name = hashlib.sha256(os.fsencode(repository.resolve())).hexdigest()[:32]
    return state / "trust" / f"{name}.json"
