"""Quarantine: where foreign objects are unpacked and judged before the repository can see them."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from worktrees.change import entries, gather
from worktrees.failpoint import failpoint
from worktrees.forms import printable
from worktrees.git import Git, GitError, Limits
from worktrees.names import Oid
from worktrees.policy import Entry, Judgement, Refusal, Rule, Rules, judge
from worktrees.scope import Scope

LIMITS: Final = Limits(cpu=20, memory=2_000_000_000)
_MACHINE_FAULTS: Final = (
    b"No space left on device",
    b"Input/output error",
    b"Read-only file system",
    b"Disk quota exceeded",
)


@contextmanager
def opened(parent: Path) -> Iterator[Path]:
    """Give a new empty object directory in ``parent`` that is gone afterwards."""
    parent.mkdir(parents=True, exist_ok=True)
    failpoint("shadow.quarantine.before")
    held = Path(tempfile.mkdtemp(prefix="quarantine-", dir=parent))
    try:
        (held / "pack").mkdir()
        failpoint("shadow.quarantine.after")
        yield held
    finally:
        shutil.rmtree(held)


def index(git: Git, pack: bytes, most: int) -> str:
    """Unpack into quarantine; say why git does not accept it, or give an empty string."""
    settings = ("-c", "pack.threads=1", "-c", "core.bigFileThreshold=4m")
    failpoint("shadow.index.before")
    try:
        git(
            *(*settings, "index-pack", "--stdin", "--strict", "--fix-thin"),
            f"--max-input-size={most}",
            stdin=pack,
            limits=LIMITS,
            timeout=120.0,
            fsync=True,
        )
    except GitError as fault:
        if any(words in fault.stderr for words in _MACHINE_FAULTS):
            raise
        said = "; ".join(fault.stderr.decode("utf-8", "replace").strip().splitlines()[-2:])
        return f"git does not accept the pack: {printable(said) or f'code {fault.code}'}"
    failpoint("shadow.index.after")
    return ""


def judged(
    git: Git, before: Oid, after: Oid, scope: Scope, rules: Rules
) -> tuple[Judgement, tuple[Entry, ...]]:
    """Judge what lies in quarantine; what cannot be read is refused and never skipped."""
    try:
        changed = entries(git, before, after)
        evidence = gather(git, before, after, changed, rules)
        return judge(changed, scope=scope, rules=rules, evidence=evidence), changed
    except (GitError, ValueError, IndexError) as fault:
        why = f"the change cannot be read: {printable(str(fault))}"
        return Judgement(refusals=(Refusal(rule=Rule.ENVELOPE, path=b"", why=why),)), ()


def migrate(held: Path, store: Path) -> None:
    """Link the quarantined pack into the store, its index last: git sees a pack by its index."""
    store.mkdir(exist_ok=True)
    files = sorted(held.glob("pack/pack-*"), key=lambda file: file.suffix == ".idx")
    failpoint("shadow.migrate.before")
    for file in files:
        with suppress(FileExistsError):
            os.link(file, store / file.name)
        failpoint("shadow.migrate.between")
    directory = os.open(store, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
    failpoint("shadow.migrate.after")
