"""How many calls a model gets at once, and when none: one limiter for all threads of a process.

Each model of a provider has a lane. Its limit grows by one for every window of successes that
used it fully and is halved, once per window, when the provider says that it is too much. Turns
are given first come, first served. After failures in a row the lane is shut: nobody is let
through for a while, then one turn at a time until one of them works.
"""

import math
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, Literal

from stations.models.values import ModelError, Provider
from stations.ran import printable

RETRY_AFTER_CAP: Final = 120.0
"""Whoever asks us to wait longer than this has limited us; we come back another time."""
_FIRST: Final = 8
_MOST: Final = 64
_LOOK: Final = 0.2
_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 60.0
_LONGEST_REST: Final = 60.0
_DOUBLINGS: Final = 10
_JITTER: Final = 1.0
_LANES: Final = 256
_NAME: Final = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """What one model of a provider is granted now, for views."""

    provider: str
    model: str
    limit: int
    busy: int
    waiting: int
    resting_until: float | None
    """By the limiter's clock: until then nobody is let through; None when all is well."""


class Turn:
    """Leave to make one call. Say how it went, once; without a word it counts for nothing.

    A permanent refusal of one request (400, 401, ...) ``worked``: the provider is well.
    """

    def __init__(self, tell: "Callable[[Turn, _Verdict, float | None], None]", window: int) -> None:
        self.window = window
        self._tell = tell
        self._told = False

    def worked(self) -> None:
        """Say that the provider answered."""
        self._say("worked")

    def throttled(self, retry_after: float | None = None) -> None:
        """Say that it was too much (429, 529); with a time, nobody is let through so long."""
        self._say("throttled", retry_after)

    def failed(self) -> None:
        """Say that the provider failed (5xx, a broken connection, no answer)."""
        self._say("failed")

    def _say(self, verdict: "_Verdict", retry_after: float | None = None) -> None:
        if not self._told:
            self._told = True
            self._tell(self, verdict, retry_after)


class Limiter:
    """Gives turns; one for all threads of a process.

    ``failures`` in a row shut a lane for ``rest`` seconds, twice as long each further time.
    Turns wait for a lane that is shut for at most ``patience`` seconds, then they are refused.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        dice: Callable[[], float] = random.random,
        *,
        failures: int = 5,
        rest: float = 2.0,
        patience: float = 120.0,
    ) -> None:
        self._clock = clock
        self._dice = dice
        self._failures = failures
        self._rest = rest
        self._patience = patience
        self._lock = threading.Lock()
        self._lanes: dict[tuple[str, str], _Lane] = {}

    @contextmanager
    def turn(self, provider: Provider, model: str, stop: threading.Event) -> Iterator[Turn]:
        """Wait for a turn and hold it while the context lasts.

        ModelError ``stopped`` when the event comes first, ``limited`` when the provider wants to
        be left alone for long, ``provider`` when it has failed for longer than we wait.
        """
        lane, turn = self._wait(provider.name, model, stop)
        try:
            yield turn
        finally:
            with self._lock:
                lane.busy -= 1
                if lane.probe is turn:
                    lane.probe = None
                lane.wake()

    def pause(self, tries: int, retry_after: float | None) -> float:
        """Give the seconds to wait before another try, after so many that failed."""
        told = _seconds(retry_after)
        if told is None:
            most = min(_LONGEST_PAUSE, _PAUSE * 2.0 ** min(tries, _DOUBLINGS))
            return self._dice() * most
        if told > RETRY_AFTER_CAP:
            raise ModelError(
                "limited",
                f"the provider asks to wait {told:.0f} s, which is longer than the "
                f"{RETRY_AFTER_CAP:.0f} s that a call waits; resume later",
            )
        return told + self._dice() * _JITTER

    def states(self) -> tuple[Lane, ...]:
        """Give every lane as it is now."""
        with self._lock:
            now = self._clock()
            return tuple(
                Lane(
                    provider=provider,
                    model=model,
                    limit=lane.limit,
                    busy=lane.busy,
                    waiting=len(lane.queue),
                    resting_until=lane.resting_until if lane.resting_until > now else None,
                )
                for (provider, model), lane in sorted(self._lanes.items())
            )

    def _wait(self, provider: str, model: str, stop: threading.Event) -> "tuple[_Lane, Turn]":
        ticket = threading.Event()
        with self._lock:
            lane = self._lane(provider, model)
            lane.queue.append(ticket)
        try:
            while True:
                with self._lock:
                    now = self._clock()
                    if stop.is_set():
                        raise ModelError("stopped", "stopped while waiting for a turn")
                    if lane.queue[0] is ticket and lane.free(now):
                        return lane, self._admit(lane)
                    if lane.refuses(now):
                        raise _refusal(provider, model, lane, now)
                    due = lane.resting_until - now
                ticket.wait(min(_LOOK, due) if due > 0 else _LOOK)
                ticket.clear()
        finally:
            with self._lock:
                lane.queue.remove(ticket)
                lane.wake()

    def _admit(self, lane: "_Lane") -> Turn:
        def tell(turn: Turn, verdict: _Verdict, retry_after: float | None) -> None:
            with self._lock:
                self._hear(lane, turn, verdict, _seconds(retry_after))
                lane.wake()

        turn = Turn(tell, lane.window)
        lane.busy += 1
        if lane.shut is not None:
            lane.probe = turn
        return turn

    def _hear(
        self, lane: "_Lane", turn: Turn, verdict: "_Verdict", retry_after: float | None
    ) -> None:
        now = self._clock()
        # A turn of an earlier window tells of a load, or a time, that is over.
        fresh = turn.window == lane.window
        match verdict:
            case "worked":
                if fresh:
                    lane.works()
            case "throttled":
                if retry_after is not None:
                    lane.hold(min(retry_after, RETRY_AFTER_CAP), now)
                    if fresh:
                        lane.halve()
                    if retry_after > RETRY_AFTER_CAP:
                        lane.close(now, "limited")
                elif fresh:
                    lane.halve()
                    self._fails(lane, now, "limited")
            case "failed":
                if fresh:
                    self._fails(lane, now, "provider")

    def _fails(self, lane: "_Lane", now: float, cause: "_Cause") -> None:
        lane.fails += 1
        if lane.shut is not None or lane.fails >= self._failures:
            rest = lane.rest or self._rest
            lane.hold(rest, now)
            lane.close(now + self._patience, cause)
            lane.halve()
            lane.rest = min(2 * rest, _LONGEST_REST)

    def _lane(self, provider: str, model: str) -> "_Lane":
        found = self._lanes.get((provider, model))
        if found is None:
            if len(self._lanes) >= _LANES:
                # An agent may ask for whatever model it makes up.
                now = self._clock()
                for key in [key for key, lane in self._lanes.items() if lane.idle(now)]:
                    del self._lanes[key]
            found = self._lanes[provider, model] = _Lane()
        return found


_Verdict = Literal["worked", "throttled", "failed"]
_Cause = Literal["provider", "limited"]


@dataclass(slots=True, kw_only=True)
class _Lane:
    """One model of a provider. ``shut`` is the time from which turns are refused, not kept."""

    limit: int = _FIRST
    busy: int = 0
    queue: deque[threading.Event] = field(default_factory=deque)
    window: int = 0
    successes: int = 0
    fails: int = 0
    resting_until: float = -math.inf
    rest: float = 0.0
    shut: float | None = None
    cause: _Cause = "provider"
    probe: Turn | None = None

    def free(self, now: float) -> bool:
        """Say whether the first in the queue may go."""
        ajar = self.shut is None or self.probe is None
        return now >= self.resting_until and self.busy < self.limit and ajar

    def refuses(self, now: float) -> bool:
        """Say whether it is pointless to wait."""
        resting = now < self.resting_until or self.probe is not None
        return self.shut is not None and resting and now >= self.shut

    def idle(self, now: float) -> bool:
        """Say whether nobody uses it or waits for it."""
        return not self.busy and not self.queue and now >= self.resting_until

    def wake(self) -> None:
        """Let the first in the queue look again."""
        if self.queue:
            self.queue[0].set()

    def works(self) -> None:
        """Open again, and grow when the limit was what held the calls back."""
        self.fails, self.rest, self.shut = 0, 0.0, None
        if self.busy >= self.limit or self.queue:
            self.successes += 1
            if self.successes >= self.limit:
                self.limit, self.successes = min(self.limit + 1, _MOST), 0

    def halve(self) -> None:
        """Allow half as many at once; begin a new window."""
        self.limit = max(1, self.limit // 2)
        self.successes = 0
        self.window += 1

    def hold(self, seconds: float, now: float) -> None:
        """Let nobody through for so long."""
        self.resting_until = max(self.resting_until, now + seconds)

    def close(self, refuse_from: float, cause: _Cause) -> None:
        """Let only one at a time through until one works; refuse the others from then on."""
        self.cause = cause
        self.shut = refuse_from if self.shut is None else min(self.shut, refuse_from)
        self.probe = None


def _refusal(provider: str, model: str, lane: _Lane, now: float) -> ModelError:
    shown = " ".join(printable(model[:_NAME].encode("utf-8", "replace")).split())
    why = "limits us for long" if lane.cause == "limited" else "fails one call after another"
    when = f"in {max(0.0, lane.resting_until - now):.0f} s"
    return ModelError(
        lane.cause, f'provider {provider} {why} for "{shown}"; it may be tried again {when}'
    )


def _seconds(retry_after: float | None) -> float | None:
    """Give what a server says as a time that can be reckoned with; nonsense is no word at all."""
    if retry_after is None or math.isnan(retry_after):
        return None
    return max(0.0, retry_after)
