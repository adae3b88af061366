"""A GitHub App's tokens: each lasts an hour, is held in memory only, and is renewed in time."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

EARLY: Final = 300.0
"""Seconds before its end at which a token is no longer handed out: a push may take that long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """An App: its id, its private key, and which installation of it, when there are several."""

    id: str
    key: str = field(repr=False)
    installation: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """A token that the forge gave, and its end in seconds since the epoch."""

    token: str = field(repr=False)
    until: float


class Renewed:
    """Gives a token that lasts; ``ask`` gets another one from the forge."""

    def __init__(self, ask: Callable[[], Granted], *, now: Callable[[], float]) -> None:
        self._ask = ask
        self._now = now
        self._held: Granted | None = None
        # Any thread may find the token old: one of them renews it.
        self._lock = threading.Lock()

    def __call__(self) -> str:
        """Give the token."""
        with self._lock:
            if self._held is None or self._now() > self._held.until - EARLY:
                self._held = self._ask()
            return self._held.token
