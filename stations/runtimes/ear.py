"""The ear of an attempt: words from outside, kept from any thread until the model hears them."""

import threading
from collections import deque
from typing import Final

from stations.runtimes.task import Steered

MOST_CHARACTERS: Final = 4_000
_CUT: Final = " [cut]"


class Ear:
    """Takes words until the attempt's end; none that it took is dropped without being heard."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[str] = deque()
        self._closed = False
        self.heard: tuple[str, ...] = ()

    def tell(self, words: str) -> Steered:
        """Keep words for the next message; after the end nobody hears them any more."""
        if len(words) > MOST_CHARACTERS:
            words = words[: MOST_CHARACTERS - len(_CUT)] + _CUT
        with self._lock:
            if self._closed:
                return "unsupported"
            self._waiting.append(words)
        return "queued"

    def take(self) -> tuple[str, ...]:
        """Give the words that wait, which are heard now."""
        with self._lock:
            words, self._waiting = tuple(self._waiting), deque()
            self.heard += words
        return words

    def close_if_quiet(self) -> bool:
        """Close, unless words wait that must be heard first; say whether it is closed."""
        with self._lock:
            self._closed = self._closed or not self._waiting
            return self._closed

    def close(self) -> None:
        """Close, whatever waits: it is in the job's record for its next attempt."""
        with self._lock:
            self._closed = True
