"""What goes wrong on purpose, for so many requests of a kind."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Literal

Kind = Literal[
    "status", "drop", "delay", "primary", "secondary", "applied-then-502", "applied-then-drop"
]


@dataclass(slots=True, kw_only=True)
class Fault:
    """One fault; ``pattern`` matches the operation's template or the path of the request."""

    method: str
    pattern: str
    kind: Kind
    times: int
    skip: int
    status: int
    body: object
    headers: Mapping[str, str]
    seconds: float
    met: int = 0


@dataclass(slots=True)
class Faults:
    """The faults that still wait for their requests."""

    _waiting: list[Fault] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, fault: Fault) -> None:
        """Let something go wrong."""
        with self._lock:
            self._waiting.append(fault)

    def due(self, method: str, *names: str) -> Fault | None:
        """Give the fault that meets a request, the oldest first."""
        with self._lock:
            for fault in self._waiting:
                if fault.method not in {"*", method}:
                    continue
                if not any(fnmatchcase(name, fault.pattern) for name in names):
                    continue
                fault.met += 1
                if fault.met <= fault.skip:
                    continue
                if fault.met == fault.skip + fault.times:
                    self._waiting.remove(fault)
                return fault
        return None

    def left(self) -> list[Fault]:
        """Give those that nothing has met often enough."""
        with self._lock:
            return list(self._waiting)
