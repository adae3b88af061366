"""Bundle: the folder that crosses from the agent's job to the one that may write.

It holds the sealed commits, a manifest with the digest of every file, and an account of the run
for people. The digest of the manifest crosses beside it, as an output of the job.
"""

import hashlib
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked

from factory.forge.texts import Account
from worktrees.forms import printable
from worktrees.names import OID_PATTERN, Oid
from worktrees.policy import Entry

CHANGE: Final = "change.bundle"
MANIFEST: Final = "manifest.json"
REPORT: Final = "report.md"
SCHEMA: Final = "factory.change/1"
_MOST: Final = {MANIFEST: 4_000_000, REPORT: 1_000_000}


class BundleError(Exception):
    """The folder is not what was sealed; ``gate`` names what found it."""

    def __init__(self, gate: str, why: str) -> None:
        super().__init__(f"{gate}: {why}")
        self.gate = gate


@checked(frozen=True, slots=True, kw_only=True, config=ConfigDict(extra="forbid", strict=True))
class File:
    """A changed path as text, with the mode and the object that it has afterwards."""

    path: str
    mode: str
    oid: str


@checked(frozen=True, slots=True, kw_only=True, config=ConfigDict(extra="forbid", strict=True))
class Answered:
    """A job that followed threads of a review."""

    job: str
    threads: tuple[str, ...]


@checked(frozen=True, slots=True, kw_only=True, config=ConfigDict(extra="forbid", strict=True))
class Evidence:
    """What became of the reproduction of a job's issue on the base, and on the tree that landed."""

    job: str
    issue: int
    base: str
    tree: str
    shown: bool
    why: str


@checked(frozen=True, slots=True, kw_only=True, config=ConfigDict(extra="forbid", strict=True))
class Seen:
    """An issue that a fix is for, and the mark of how it was when it was read."""

    number: int
    mark: str


@checked(frozen=True, slots=True, kw_only=True, config=ConfigDict(extra="forbid", strict=True))
class Manifest:
    """What was sealed: for which item, over which base, and the digests of the other files.

    A fix has the digest of its ``plan``, the issues that it is ``seen`` to be for, and the pull
    requests of others that it is ``built`` on; its number is 0 when it began with no item.
    """

    schema: str
    repository: str
    number: int
    plan: str
    seen: tuple[Seen, ...]
    built: tuple[int, ...]
    round: int
    answered: tuple[Answered, ...]
    evidence: tuple[Evidence, ...]
    base: str
    head: str
    tree: str
    files: tuple[File, ...]
    digests: dict[str, str]
    account: Account


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """A folder whose digests are right; what is in it is still judged by whoever uses it."""

    manifest: Manifest
    change: bytes
    report: str


_ADAPTER: Final = TypeAdapter(Manifest)


def files_of(entries: tuple[Entry, ...]) -> tuple[File, ...]:
    """Give the changed paths as a manifest lists them."""
    return tuple(
        File(
            path=printable(entry.path.decode("utf-8", "backslashreplace")),
            mode=entry.new_mode,
            oid=entry.new_oid,
        )
        for entry in entries
    )


def write(
    folder: Path,
    *,
    change: bytes,
    report: str,
    repository: str,
    number: int,
    plan: str = "",
    seen: tuple[Seen, ...] = (),
    built: tuple[int, ...] = (),
    round: int,  # noqa: A002  the manifest's own word
    answered: tuple[Answered, ...],
    evidence: tuple[Evidence, ...],
    base: Oid,
    head: Oid,
    tree: Oid,
    entries: tuple[Entry, ...],
    account: Account,
) -> str:
    """Write the folder, which must not exist yet, and give the digest that crosses beside it."""
    folder.mkdir(mode=0o700)
    parts = {CHANGE: change, REPORT: report.encode("utf-8", "replace")}
    for name, data in parts.items():
        (folder / name).write_bytes(data)
    manifest = Manifest(
        schema=SCHEMA,
        repository=repository,
        number=number,
        plan=plan,
        seen=seen,
        built=built,
        round=round,
        answered=answered,
        evidence=evidence,
        base=base,
        head=head,
        tree=tree,
        files=files_of(entries),
        digests={name: _digest(data) for name, data in parts.items()},
        account=account,
    )
    text = _ADAPTER.dump_json(manifest, indent=1)
    (folder / MANIFEST).write_bytes(text)
    return _digest(text)


def read(folder: Path, digest: str, *, most: int) -> Sealed:
    """Read a folder whose manifest has this digest; raise `BundleError` for any other.

    ``most`` is how many bytes the commits may have: sizes are looked at before anything is read.
    """
    sizes = {CHANGE: most, **_MOST}
    try:
        found = sorted(entry.name for entry in folder.iterdir())
    except OSError as error:
        raise BundleError("bundle", f"{folder.name} cannot be read: {error.strerror}") from error
    if found != sorted(sizes):
        raise BundleError("bundle", f"{folder.name} must hold {', '.join(sorted(sizes))}")
    parts = {name: _read(folder / name, limit) for name, limit in sizes.items()}
    if not digest or _digest(parts[MANIFEST]) != digest:
        raise BundleError("digest", f"{MANIFEST} is not the one that was sealed")
    try:
        manifest = _ADAPTER.validate_json(parts[MANIFEST])
    except ValidationError as error:
        raise BundleError("manifest", f"it has {error.error_count()} mistakes") from None
    for name in (CHANGE, REPORT):
        if manifest.digests.get(name) != _digest(parts[name]):
            raise BundleError("digest", f"{name} is not the one that was sealed")
    ids = (manifest.base, manifest.head, manifest.tree)
    if manifest.schema != SCHEMA or not all(map(OID_PATTERN.fullmatch, ids)):
        raise BundleError("manifest", f"it is not {SCHEMA}, or names no commits")
    return Sealed(
        manifest=manifest,
        change=parts[CHANGE],
        report=parts[REPORT].decode("utf-8", "replace"),
    )


def _read(path: Path, most: int) -> bytes:
    # Of a link or a device nothing is ever read.
    told = path.lstat()
    if not stat.S_ISREG(told.st_mode):
        raise BundleError("bundle", f"{path.name} is no ordinary file")
    if told.st_size > most:
        raise BundleError("bundle", f"{path.name} has {told.st_size} bytes, it may have {most}")
    return path.read_bytes()


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
