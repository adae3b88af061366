"""Device nodes of our own: an agent that runs under the host's uid 0 owns what it is shown.

A sandbox's `/dev` usually shows the host's nodes. Their owner may change their mode without any
capability, so with uid 0 an agent could close the host's `/dev/null` to everybody else.
"""

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final
from uuid import uuid4

NAMES: Final = ("null", "zero", "full", "random", "urandom", "tty")
_MODE: Final = 0o666


def own_nodes(place: Path) -> tuple[tuple[Path, str], ...]:
    """Make private twins of the plain devices below ``place``; give each with the path it covers.

    Without uid 0 there is nothing to protect, and where nodes cannot be made or opened (a
    container, a file system mounted `nodev`) there is no way to: then there are none.
    """
    if os.geteuid() != 0:
        return ()
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(OSError):
        return tuple((_node(place / name, Path("/dev", name)), f"/dev/{name}") for name in NAMES)
    return ()


def _node(own: Path, like: Path) -> Path:
    if not own.exists():
        new = own.with_name(f"{own.name}.{uuid4().hex}")
        os.mknod(new, stat.S_IFCHR | _MODE, like.stat().st_rdev)
        new.replace(own)
    own.chmod(_MODE)  # an agent may have closed it
    if own.name == "null":
        own.read_bytes()  # on a file system without devices this fails
    return own
