"""How a model is asked: reserved, in turn, tried again while that helps, and charged.

The only way by which this program calls a model by itself; nothing is sent but by `Caller.ask`.
"""

import json
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from stations.models.asking import Door, Hear, Reply, Request, Trouble
from stations.models.limiter import Limiter, Turn
from stations.models.meter import Meter, Reservation
from stations.models.values import ModelError, Payer, Provider, Usage

TRIES: Final = 6
WITHIN: Final = 600.0
"""Seconds after which no new try begins."""
LONGEST_REPLY: Final = 64_000
"""Tokens up to which a reply that broke off in a tool's input is given more room."""
_BYTES_PER_TOKEN: Final = 3
_LIMITED: Final = 429
_TOO_MANY: Final = frozenset({_LIMITED, 529})

Retried = Callable[[str], None]
"""Hears one line about each try that is made again."""


class Caller:
    """Asks the models of one provider for all threads of a process.

    ``clock`` and ``rest`` (which waits until the event or for so many seconds, and says whether
    the event is set) are how it knows time.
    """

    def __init__(
        self,
        *,
        door: Door,
        meter: Meter,
        limiter: Limiter,
        provider: Provider,
        clock: Callable[[], float] = time.monotonic,
        rest: Callable[[threading.Event, float], bool] = threading.Event.wait,
    ) -> None:
        self.meter = meter
        self.limiter = limiter
        self.provider = provider
        self._door = door
        self._clock = clock
        self._rest = rest

    def ask(
        self,
        payer: Payer,
        request: Request,
        *,
        stop: threading.Event,
        hear: Hear | None = None,
        retried: Retried | None = None,
    ) -> Reply:
        """Give a complete reply, or raise ModelError; each try is charged to the payer.

        What broke off is asked for again as a whole, so ``hear`` may hear the beginning twice. A
        reply that was at its longest in a tool's input is asked for once more with more room.
        """
        began, tries, roomier = self._clock(), 0, False
        while True:
            tries += 1
            try:
                return self._try(payer, request, stop=stop, hear=hear)
            except Trouble as caught:
                trouble = caught
            if trouble.cut_tool:
                if roomier or request.max_tokens >= LONGEST_REPLY:
                    raise _last(trouble, tries)
                room = min(LONGEST_REPLY, 2 * request.max_tokens)
                request, roomier, pause = replace(request, max_tokens=room), True, 0.0
            elif trouble.permanent:
                raise _last(trouble, 1)
            else:
                pause = self.limiter.pause(tries, trouble.retry_after)
            if tries >= TRIES or self._clock() + pause - began > WITHIN:
                raise _last(trouble, tries)
            if retried is not None:
                retried(f"try {tries + 1} of {TRIES} in {pause:.1f} s: {trouble}")
            if self._rest(stop, pause) or stop.is_set():
                raise ModelError("stopped", "stopped before another try")

    def _try(
        self, payer: Payer, request: Request, *, stop: threading.Event, hear: Hear | None
    ) -> Reply:
        tokens_in = -(-request.size // _BYTES_PER_TOKEN)
        with (
            self.meter.reserve(
                payer,
                self.provider,
                request.model,
                tokens_in=tokens_in,
                tokens_out=request.max_tokens,
                stop=stop,
            ) as reservation,
            self.limiter.turn(self.provider, request.model, stop) as turn,
        ):
            reservation.begin()
            began = self._clock()
            try:
                reply = self._door.stream(request, stop=stop, hear=hear)
            except Trouble as trouble:
                _tell(turn, trouble)
                _charge(reservation, trouble, tokens_in=tokens_in, seconds=self._clock() - began)
                raise
            turn.worked()
            usage = _believed(reply, tokens_in)
            estimated = reply.estimated or usage is not reply.usage
            reservation.settle(usage, seconds=self._clock() - began, estimated=estimated)
            return reply


def _believed(reply: Reply, tokens_in: int) -> Usage:
    """Give what a reply took; a provider that counts nothing does not work for nothing."""
    if reply.usage.total_input:
        return reply.usage
    size = sum(len(json.dumps(block)) for block in reply.content)
    return Usage(input=tokens_in, output=-(-size // _BYTES_PER_TOKEN), requests=1)


def _tell(turn: Turn, trouble: Trouble) -> None:
    """Tell the limiter how the provider is, as far as this call shows it."""
    if trouble.cause == "stopped":
        return
    asked_to_wait = trouble.status in _TOO_MANY or trouble.retry_after is not None
    if asked_to_wait and not trouble.permanent:
        turn.throttled(trouble.retry_after)
    elif trouble.cause == "denied" or trouble.cut_tool:
        turn.worked()
    else:
        turn.failed()


def _charge(reservation: Reservation, trouble: Trouble, *, tokens_in: int, seconds: float) -> None:
    """Charge what a call without a reply may have cost; an error answer costs nothing."""
    toll = trouble.toll
    if toll.usage.tokens:
        reservation.settle(
            toll.usage, seconds=seconds, ended=trouble.cause, estimated=not toll.exact
        )
    elif toll.sent:
        usage = Usage(input=tokens_in, requests=1)
        reservation.settle(usage, seconds=seconds, ended=trouble.cause, estimated=True)
    else:
        reservation.release()


def _last(trouble: Trouble, tries: int) -> ModelError:
    """Give the error that is left when no further try is made."""
    limited = trouble.status == _LIMITED and trouble.cause == "provider"
    text = f"{trouble} (tried {tries} times)" if tries > 1 else str(trouble)
    return ModelError("limited" if limited else trouble.cause, text, status=trouble.status)
