"""Outgoing: landings are offered while the run goes on, on a thread beside the floor.

The floor stays the one writer: an event of this thread goes to it like any answer, and nothing is
written to the forge before the floor has it on record. What is cut short here, the delivery at the
end of the run goes on with.
"""

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Self

from factory.delivering import Courier
from factory.events import Advanced, Event


class _Closed(Exception):  # noqa: N818  reads as what happened
    """The floor takes nothing more."""


@dataclass(slots=True, kw_only=True)
class Outgoing:
    """A courier that sets out after each landing; use it as a context manager.

    ``put`` gives an event to the floor, whose watcher tells ``seen`` of all that is on record.
    """

    courier: Courier
    put: Callable[[Event], None]
    _landed: "queue.SimpleQueue[bool]" = field(init=False, default_factory=queue.SimpleQueue)
    _recorded: "queue.SimpleQueue[bool]" = field(init=False, default_factory=queue.SimpleQueue)
    _asked: Event | None = field(init=False, default=None)
    _thread: threading.Thread = field(init=False)

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._work, name="outgoing", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.courier.stop.set()
        self._recorded.put(False)  # noqa: FBT003  what the queue holds
        self._landed.put(False)  # noqa: FBT003
        self._thread.join()

    def seen(self, event: Event) -> None:
        """Hear that an event is on record."""
        if event is self._asked:
            self._recorded.put(True)  # noqa: FBT003
        elif isinstance(event, Advanced):
            self._landed.put(True)  # noqa: FBT003

    def _work(self) -> None:
        courier = replace(self.courier, record=self._record)
        while self._landed.get():
            try:
                courier.deliver()
            except _Closed:
                return

    def _record(self, event: Event) -> None:
        """Have an event on record before this is back."""
        if self.courier.stop.is_set():
            raise _Closed
        self._asked = event
        self.put(event)
        if not self._recorded.get():
            raise _Closed
