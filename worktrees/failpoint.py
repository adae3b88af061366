"""Named points beside every effect, that tests arm to kill, raise or halt the process there."""

import os
import signal
import threading
from dataclasses import dataclass
from enum import StrEnum
from itertools import count
from typing import Final

HALT: Final = 600.0
"""A halted process goes on after this many seconds, so that a forgotten one ends."""


class FailpointError(Exception):
    """An armed point was reached and asked to raise."""


class Deed(StrEnum):
    """What an armed point does to the process."""

    KILL = "kill"
    RAISE = "raise"
    SLEEP = "sleep"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Armed:
    name: str
    deed: Deed
    hit: int
    hits: "count[int]"


_armed: _Armed | None = None


def arm(spec: str | None) -> None:
    """Arm one point by ``name:kill|raise|sleep[:n]`` (its n-th hit); None disarms."""
    global _armed  # noqa: PLW0603  the one switch of this process
    if spec is None:
        _armed = None
        return
    name, _, rest = spec.partition(":")
    deed, _, hit = rest.partition(":")
    if not name or deed not in set(Deed) or (hit and not hit.isdigit()):
        msg = f"failpoint {spec!r}: write name:kill|raise|sleep, optionally :n for the n-th hit"
        raise ValueError(msg)
    _armed = _Armed(name=name, deed=Deed(deed), hit=int(hit or 1), hits=count(1))


def failpoint(name: str) -> None:
    """Do nothing, unless this point was armed and this is the hit that counts."""
    armed = _armed
    # One bytecode on one counter: threads that pass together get different numbers.
    if armed is None or armed.name != name or next(armed.hits) != armed.hit:
        return
    if armed.deed is Deed.RAISE:
        raise FailpointError(name)
    if armed.deed is Deed.KILL:
        os.kill(os.getpid(), signal.SIGKILL)
    threading.Event().wait(HALT)
