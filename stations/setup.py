"""Setup: what workspaces need beside the tree, made once per content of its key files."""

import hashlib
import json
import os
import stat
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final
from uuid import uuid4

from stations.bench import Bench
from stations.contract import Argv
from stations.tools import Surroundings
from stations.trees import command_box, materialise
from worktrees.failpoint import failpoint
from worktrees.names import Oid
from worktrees.scope import allows

SECONDS: Final = 1800.0


class SetupError(Exception):
    """The configured setup command failed; the message holds its last lines."""


def setup(
    bench: Bench,
    argv: Argv,
    *,
    keys: Sequence[str],
    base: Oid,
    stop: threading.Event | None = None,
    seconds: float = SECONDS,
) -> Surroundings:
    """Give the surroundings with what ``argv`` makes on the base tree, run now or kept from before.

    It runs in a sandbox without network and secrets. What counts is each new top-level directory
    or file; a symbolic link is left out, because it would lead a mount somewhere else.
    """
    place = bench.repository.factory / "setup" / _key(bench, argv, keys, base)
    if not place.is_dir():
        _make(bench, argv, base=base, place=place, stop=stop, seconds=seconds)
    made = tuple((path.name, path) for path in sorted(place.iterdir()))
    return replace(bench.surroundings, made=made)


def _key(bench: Bench, argv: Argv, keys: Sequence[str], base: Oid) -> str:
    listed = bench.git("ls-tree", "-r", "-z", base).parts if keys else ()
    entries = map(os.fsdecode, listed)
    contents = sorted(entry for entry in entries if allows(keys, entry.partition("\t")[2]))
    stamp = bench.find(argv[0]).stamp + bench.sandbox.stamp
    parts = [list(argv), contents, stamp, str(bench.checkout)]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


def _make(
    bench: Bench,
    argv: Argv,
    *,
    base: Oid,
    place: Path,
    stop: threading.Event | None,
    seconds: float,
) -> None:
    with bench.room(f"setup-{uuid4().hex[:8]}") as room:
        directory = materialise(bench, bench.git.tree_of(base), room=room)
        before = {path.name for path in directory.iterdir()}
        box = command_box(
            bench, directory, commit=base, words=argv, tool=bench.find(argv[0]), scope=None
        )
        ran = bench.sandbox.run(box, deadline=seconds, stop=stop)
        if not ran.good:
            why = ran.text.strip()[-2000:] or f"ended by {ran.ended}, code {ran.code}"
            msg = f"setup ({' '.join(argv)[:200]}) failed: {why}"
            raise SetupError(msg)
        gathered = room / "made"
        gathered.mkdir()
        for path in [path for path in directory.iterdir() if path.name not in before]:
            mode = path.lstat().st_mode
            if stat.S_ISDIR(mode) or stat.S_ISREG(mode):
                path.rename(gathered / path.name)
        place.parent.mkdir(exist_ok=True)
        failpoint("setup.keep.before")
        gathered.rename(place)
        failpoint("setup.keep.after")
