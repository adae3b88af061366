"""The ``acp`` runtime: any agent that speaks the Agent Client Protocol, over its pipes.

The protocol is spoken by ourselves, line by line, in the seat's own thread: its library costs half
a second of CPU to import, brings an event loop, and left agents alive behind it.
"""

import threading
import time
from collections import deque
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeVar

from stations.contract import Spend
from stations.models.values import Usage
from stations.runtimes import acp_messages as messages
from stations.runtimes.acp_ending import OverError, claimed, judged, tail
from stations.runtimes.acp_link import Link, Linker
from stations.runtimes.acp_prompt import instructions, reminder, rules_of
from stations.runtimes.connected import status_of
from stations.runtimes.jsonrpc import (
    LINE_BYTES,
    UNKNOWN_METHOD,
    Answered,
    Asked,
    DeafError,
    Noise,
    Peer,
    Told,
)
from stations.runtimes.permissions import refusal
from stations.runtimes.task import (
    Attempt,
    Capabilities,
    Probe,
    Steered,
    Step,
    Task,
    read_report,
)

SILENCE: Final = 120.0
"""Seconds without any message after which an attempt is ended, where its station says nothing."""
SILENCE_AT_WORK: Final = 600.0
"""The same while a tool of the agent or a call to its model is under way."""
_TICK: Final = 0.1
_LAST_WORDS: Final = 0.6
_STEERED_WITHIN: Final = 2.0
_MOST_NOISE: Final = 200
_MOST_BYTES: Final = 256 * 1024 * 1024
_SAID: Final = 8_192
_TEXT: Final = 2_000
_LOGIN: Final = -32000
_CALLS_OVER: Final = frozenset({"budget", "limited"})


_T = TypeVar("_T")
_Steps = Generator[Step, None, _T]


class Acp:
    """Starts the station's program and speaks the protocol with it."""

    name: Final = "acp"

    def __init__(self, *, link: Linker) -> None:
        self._link = link

    def capabilities(self) -> Capabilities:
        """Say that a word is heard at the next turn (or at once, where the agent can)."""
        return Capabilities(steer="queued", cost="exact")

    def probe(self) -> Probe:
        """Whether the program is there is looked up station by station."""
        return Probe(ok=True, detail=f"any agent of protocol version {messages.VERSION}")

    def start(self, task: Task) -> "AcpSession":
        """Give a session in which the agent is started, prompted and ended."""
        return AcpSession(task, self._link)


@dataclass(slots=True, kw_only=True)
class _Turns:
    """What is open between us and the agent."""

    prompts: set[int] = field(default_factory=set)
    steering: dict[int, str] = field(default_factory=dict)
    calls: dict[str, str] = field(default_factory=dict)
    answers: dict[int, Answered] = field(default_factory=dict)
    said: str = ""
    flushed: int = 0
    noise: int = 0
    heard: int = 0
    heard_at: float = field(default_factory=time.monotonic)


class _GoneError(Exception):
    """The agent's program is no more."""


class AcpSession:
    """One agent from its greeting to its end."""

    def __init__(self, task: Task, link: Linker) -> None:
        self._task, self._open_link = task, link
        self._place = task.box.checkout
        self._rules = rules_of(task)
        self._lock = threading.Lock()
        self._words: deque[str] = deque()
        self._hears = False
        self._closed = False
        self._cancelled = threading.Event()
        self._turns = _Turns()
        self._hello: messages.Hello | None = None
        self._session = ""
        self._link: Link | None = None
        self._attempt: Attempt | None = None

    def events(self) -> Iterator[Step]:
        """Greet, prompt, answer what it asks, and end it."""
        task, assignment = self._task, self._task.assignment
        began = time.monotonic()
        with self._open_link(task) as link:
            self._link = link
            with task.sandbox.open(
                link.box,
                deadline=assignment.seconds,
                stdout_cap=LINE_BYTES,
                on_output=self._count,
            ) as running:
                peer = Peer(running)
                self._turns.heard_at = time.monotonic()
                over: OverError | None = None
                reason = ""
                try:
                    reason = yield from self._conversation(peer)
                except _GoneError:
                    pass
                except DeafError as error:
                    over = OverError("failed", f"the agent stopped: {error}")
                except OverError as error:
                    over = error
                self._close()
                if over is not None:
                    self._take_leave(peer)
                yield from self._flush()
                ran = running.end()
        # Only now is a call that was under way over and paid.
        yield from link.steps()
        spend = link.spend() + Spend(seconds=time.monotonic() - began)
        fault = link.fault
        report = read_report(task.desk.report)
        status, why, account = judged(over, reason, ran, report, fault)
        self._attempt = Attempt(
            status=status,
            fault=why,
            tail=tail(self._turns.said, ran),
            answer=self._turns.said.encode("utf-8", "replace"),
            report=report,
            account=account,
            spend=spend,
        )
        yield Step(kind="finished", text=f"{status}: {why}" if why else status)

    def steer(self, text: str) -> Steered:
        """Tell the agent something: at once where it says that it can hear, else after its turn."""
        with self._lock:
            if self._closed:
                return "unsupported"
            self._words.append(text)
            return "injected" if self._hears else "queued"

    def cancel(self, reason: str) -> None:  # noqa: ARG002 - the protocol's signature
        """Ask it to stop, and end it shortly after."""
        self._cancelled.set()

    def usage(self) -> Usage:
        """Give the tokens that went through its way to the model."""
        return self._link.usage() if self._link is not None else Usage()

    def resume_token(self) -> str | None:
        """Say that its memory is thrown away with its sandbox."""
        return None

    def result(self) -> Attempt:
        """Say how it ended."""
        assert self._attempt is not None  # noqa: S101  the events are over
        return self._attempt

    def _conversation(self, peer: Peer) -> _Steps[str]:
        """Greet the agent and have it do its task; give why its last turn ended."""
        greeting = yield from self._answer(peer, "initialize", messages.HELLO)
        self._hello = hello = messages.hello(greeting)
        if hello.version != messages.VERSION:
            msg = (
                f"{hello.agent} speaks version {hello.version} of the Agent Client Protocol, only "
                f"version {messages.VERSION} is spoken here; install a release that speaks it"
            )
            raise OverError("denied", msg)
        yield Step(kind="started", text=f"{hello.agent} {hello.release}".strip())
        wanted = messages.new_session(self._place, runs=bool(self._task.spec.commands))
        made = yield from self._answer(peer, "session/new", wanted)
        self._session = messages.session_id(made)
        if not self._session:
            raise OverError("failed", f"{hello.agent} gave its session no name")
        yield from self._choose_model(peer, made)
        early = self._waiting()
        reason = yield from self._prompt(peer, "\n\n".join((instructions(self._task), *early)))
        while words := self._waiting():
            yield from (Step(kind="told", text=word) for word in words)
            reason = yield from self._prompt(peer, "\n\n".join(words))
        missing = claimed(read_report(self._task.desk.report)) is None
        denied = self._link is not None and self._link.fault is not None
        if missing and not denied and reason != "refusal":
            yield Step(kind="retry", text="it left no valid report and is reminded of it")
            reason = yield from self._prompt(peer, reminder(self._task))
        return reason

    def _choose_model(self, peer: Peer, made: Mapping[str, object]) -> _Steps[None]:
        model = self._link.model if self._link is not None else ""
        choice = messages.model_choice(made, model) if model else None
        if choice is not None:
            given = {"sessionId": self._session, **choice.params}
            yield from self._answer(peer, choice.method, given)

    def _answer(
        self, peer: Peer, method: str, params: Mapping[str, object]
    ) -> _Steps[Mapping[str, object]]:
        """Ask something and give its answer."""
        number = peer.ask(method, params)
        while (answered := self._turns.answers.pop(number, None)) is None:
            yield from self._hear(peer)
        if answered.fault:
            raise self._refused(method, answered)
        return answered.result

    def _prompt(self, peer: Peer, text: str) -> _Steps[str]:
        """Have the agent take a turn, with whatever is told meanwhile; give why it ended."""
        turns, reason = self._turns, ""
        yield Step(kind="request", text=f"prompt of {len(text)} characters")
        turns.prompts.add(peer.ask("session/prompt", self._spoken(text)))
        hello = self._hello
        self._listen(hears=hello is not None and (hello.steers or hello.queues))
        ended = time.monotonic()
        while turns.prompts or (turns.steering and time.monotonic() < ended + _STEERED_WITHIN):
            yield from self._hear(peer)
            yield from self._pass_on(peer)
            for number in [one for one in turns.prompts if one in turns.answers]:
                answered = turns.answers.pop(number)
                turns.prompts.remove(number)
                if not turns.prompts:
                    self._listen(hears=False)
                    ended = time.monotonic()
                if answered.fault:
                    raise self._refused("session/prompt", answered)
                reason = messages.stop_reason(answered.result)
        turns.steering.clear()
        yield from self._flush()
        return reason

    def _pass_on(self, peer: Peer) -> Iterator[Step]:
        """Bring words from outside into the turn under way, where the agent can hear them.

        What it does not take is said in its next turn.
        """
        turns = self._turns
        for number in [one for one in turns.steering if one in turns.answers]:
            text, answered = turns.steering.pop(number), turns.answers.pop(number)
            if answered.fault or answered.result.get("outcome") == "promptRequired":
                with self._lock:
                    self._words.appendleft(text)
                    self._hears = False
        if self._hello is None or not turns.prompts or not self._hears:
            return
        for word in self._waiting():
            yield Step(kind="told", text=word)
            if self._hello.steers:
                hint = {"_meta": {"steering": {"idleBehavior": "promptRequired"}}}
                number = peer.ask("_session/steering", {**self._spoken(word), **hint})
                turns.steering[number] = word
            else:
                turns.prompts.add(peer.ask("session/prompt", self._spoken(word)))

    def _hear(self, peer: Peer) -> Iterator[Step]:
        """Take one message, or a moment of silence."""
        self._mind()
        heard = peer.hear(_TICK)
        turns = self._turns
        if self._link is not None:
            yield from self._link.steps()
        match heard:
            case None:
                if peer.gone:
                    raise _GoneError
                return
            case Noise(text=text):
                turns.noise += 1
                if turns.noise > _MOST_NOISE:
                    raise OverError("failed", f"what it writes is no JSON-RPC: {text[:200]}")
                yield Step(kind="text", text=f"(no message) {text}")
                return
            case Answered(id=number):
                turns.answers[number] = heard
            case Told(method="session/update", params=params):
                update = params.get("update")
                if isinstance(update, dict):
                    yield from self._update(update)
            case Told():
                pass
            case Asked(method="session/request_permission"):
                yield from self._flush()
                yield self._permit(peer, heard)
            case Asked(id=number, method=method):
                peer.refuse(number, UNKNOWN_METHOD, f"{method[:80]} is not offered here")
        turns.heard_at = time.monotonic()

    def _update(self, update: Mapping[str, object]) -> Iterator[Step]:
        said = messages.spoken(update)
        if said is not None:
            self._turns.said = (self._turns.said + said)[-_SAID:]
            self._turns.flushed = min(self._turns.flushed + len(said), _SAID)
            if self._turns.flushed > _TEXT:
                yield from self._flush()
            return
        step = messages.step(update, self._turns.calls)
        messages.opened(update, self._turns.calls)
        if step is not None:
            yield from self._flush()
            yield step

    def _flush(self) -> Iterator[Step]:
        """Give what it said since the last time as one step."""
        unsaid, self._turns.flushed = self._turns.flushed, 0
        text = self._turns.said[len(self._turns.said) - unsaid :].strip()
        if text:
            yield Step(kind="text", text=text)

    def _permit(self, peer: Peer, asked: Asked) -> Step:
        """Answer what it asks leave for; there is no field for a reason, so the prompt gives it."""
        why = refusal(messages.wish(asked.params), self._rules)
        option = messages.option_for(asked.params, granted=not why)
        what = messages.title(asked.params)
        if option is None:
            peer.answer(asked.id, {"outcome": {"outcome": "cancelled"}})
            return Step(kind="permission", text=f"no option to answer with: {what}")
        peer.answer(
            asked.id,
            {
                "outcome": {"outcome": "selected", "optionId": option},
                "_meta": {"factory": {"reason": why}},
            },
        )
        return Step(kind="permission", text=f"refused, {why}: {what}" if why else f"given: {what}")

    def _mind(self) -> None:
        """End the conversation when something outside of it says so."""
        link, turns = self._link, self._turns
        if turns.heard > _MOST_BYTES:
            raise OverError("output", "it wrote more output than it may")
        if self._task.stop.is_set() or self._cancelled.is_set():
            raise OverError("stopped", "interrupted")
        if link is None:
            return
        fault = link.fault
        if fault is not None and fault.cause in _CALLS_OVER:
            raise OverError(status_of(fault), str(fault), account=fault.account)
        if link.busy:
            turns.heard_at = time.monotonic()
        silence = self._task.assignment.idle or (SILENCE_AT_WORK if turns.calls else SILENCE)
        if time.monotonic() - turns.heard_at > silence:
            raise OverError("idle", f"no message for {silence:g} s")

    def _refused(self, method: str, answered: Answered) -> OverError:
        fault = self._link.fault if self._link is not None else None
        if fault is not None:  # what it answers is about the call that was refused
            return OverError(status_of(fault), str(fault), account=fault.account)
        agent = self._hello.agent if self._hello is not None else "the agent"
        if answered.code == _LOGIN:
            logins = self._hello.logins if self._hello is not None else ()
            ways = f" ({', '.join(logins)})" if logins else ""
            msg = (
                f"{agent} wants to be logged in{ways}, which cannot be done in a sandbox; choose "
                "an agent that takes a key from its environment"
            )
            return OverError("denied", msg)
        return OverError("failed", f"{agent} refused {method}: {answered.fault}")

    def _take_leave(self, peer: Peer) -> None:
        """Ask it to stop its turn, and wait a moment for it to say that it did."""
        turns = self._turns
        if not turns.prompts or peer.gone:
            return
        try:
            peer.tell("session/cancel", {"sessionId": self._session})
            ends = time.monotonic() + _LAST_WORDS
            while turns.prompts and time.monotonic() < ends and not peer.gone:
                heard = peer.hear(_TICK)
                if isinstance(heard, Answered):
                    turns.prompts.discard(heard.id)
                elif isinstance(heard, Asked):
                    peer.answer(heard.id, {"outcome": {"outcome": "cancelled"}})
        except DeafError:
            return

    def _spoken(self, text: str) -> Mapping[str, object]:
        return {"sessionId": self._session, "prompt": [{"type": "text", "text": text}]}

    def _count(self, data: bytes) -> None:
        self._turns.heard += len(data)

    def _waiting(self) -> list[str]:
        with self._lock:
            words = list(self._words)
            self._words.clear()
        return words

    def _listen(self, *, hears: bool) -> None:
        with self._lock:
            self._hears = hears

    def _close(self) -> None:
        with self._lock:
            self._closed = True
