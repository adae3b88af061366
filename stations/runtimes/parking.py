"""Parked sessions: conversations that ended well and may serve the next job of their station."""

import threading
import time
from typing import Final

from stations.runtimes.journal import RESUME_TOKENS, Session

PARKED_SECONDS: Final = 270.0
"""How long a finished session waits for another job: the provider's cache forgets it then."""
_MOST: Final = 64


class Parking:
    """Holds finished sessions for a while; any thread may come for one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._parked: list[tuple[float, str, Session]] = []

    def park(self, run: str, session: Session) -> None:
        """Keep a finished session for the next job of its station."""
        now = time.monotonic()
        with self._lock:
            fresh = [one for one in self._parked if one[0] > now - PARKED_SECONDS]
            self._parked = [*fresh[-_MOST + 1 :], (now, run, session)]

    def unpark(self, run: str, station: str, model: str, *, batch: int) -> Session | None:
        """Give a session that may do one more job of this station."""
        now = time.monotonic()
        with self._lock:
            for place, (at, whose, session) in enumerate(self._parked):
                if (
                    at > now - PARKED_SECONDS
                    and (whose, session.station, session.model) == (run, station, model)
                    and session.jobs < batch
                    and session.tokens <= RESUME_TOKENS
                ):
                    del self._parked[place]
                    return session
        return None
