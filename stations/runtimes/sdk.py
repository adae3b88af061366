"""The ``sdk`` runtime: our own loop around a model, whose tools work inside the sandbox.

The loop, the client and the key stay in this process; agents are threads that share one client.
A reply is acted on only if it came whole, ended well and every input is valid; then the diff, the
policy and the tests decide what it is worth.
"""

import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from importlib import metadata
from typing import Final

from stations.contract import Kind
from stations.models.asking import Reply, Request
from stations.models.caller import Caller
from stations.models.tiers import effort, resolve
from stations.models.values import ModelError, Payer, Usage
from stations.runtimes import journal, prompt
from stations.runtimes.closing import End, broken_off
from stations.runtimes.conversation import Block, Conversation, said, text
from stations.runtimes.ear import Ear
from stations.runtimes.hands import Hands
from stations.runtimes.journal import RESUME_TOKENS, Session
from stations.runtimes.parking import Parking
from stations.runtimes.prompt import Opening, Outline
from stations.runtimes.task import Attempt, Capabilities, Probe, Status, Steered, Step, Task
from stations.runtimes.toolbox_door import ToolboxGone, opened
from stations.runtimes.toolset import plain, reads_only

TURNS: Final = 60
CONTEXT_TOKENS: Final = 60_000
"""A conversation that is longer loses its old results, or is begun anew with a note."""
_REPLY_TOKENS: Final = 16_000
_LESS_TOKENS: Final = 4_096
_CUTS: Final = 3
_ROOMY: Final = 0.7
_MINUTES: Final = 120.0
_ANEW: Final = 3
_SEVERAL: Final = 2
_EFFORTS: Final[Mapping[Kind, str]] = {Kind.READ: "low"}
_REMIND: Final = "Go on with the tools, or end with `finish` (or `escalate`): only these are seen."
_CUT: Final = "Your answer was cut: it grew too long. Go on in smaller steps."
_ANOTHER: Final = "Another job, in a fresh tree without the changes of the last one:"
_REPAIR: Final = "Your change was not good enough. The tree holds it; read again before you edit:"


class Sdk:
    """Works a station by calls to a model; finished sessions of a batch wait here for more."""

    name: Final = "sdk"

    def __init__(
        self,
        caller: Caller,
        models: Mapping[str, str],
        *,
        turns: int = TURNS,
        context: int = CONTEXT_TOKENS,
    ) -> None:
        self.caller = caller
        self.models = dict(models)
        self.turns = turns
        self.context = context
        self.parking = Parking()

    def capabilities(self) -> Capabilities:
        """Say that words are heard between turns and that every token is counted."""
        return Capabilities(steer="queued", resume=True, cost="exact")

    def probe(self) -> Probe:
        """Say whether the client is installed and there is a key; nothing is called."""
        provider = self.caller.provider
        try:
            version = metadata.version("anthropic")
        except metadata.PackageNotFoundError:
            return Probe(ok=False, detail="the package anthropic is missing", fix="install it")
        if not provider.key and not provider.synthetic:
            return Probe(
                ok=False,
                version=version,
                detail=f"there is no key for the provider {provider.name}",
                fix=f"export the variable that [provider.{provider.name}] key_env names",
            )
        return Probe(ok=True, version=version, detail=f"provider {provider.name}")

    def start(self, task: Task) -> "SdkSession":
        """Give a session for a task."""
        return SdkSession(self, task)


class SdkSession:
    """One attempt of a model; driven by the thread that asks for its events."""

    def __init__(self, sdk: Sdk, task: Task) -> None:
        self._sdk, self._task = sdk, task
        assignment, spec = task.assignment, task.spec
        named = spec.agent.model if spec.agent is not None else ""
        self._model = resolve(named, assignment.raised, sdk.models)
        self._payer = Payer(
            run=assignment.run,
            job=assignment.job,
            station=assignment.station,
            attempt=assignment.attempt,
            budget=assignment.budget,
        )
        self._prefix = prompt.prefix(spec.kind)
        self._effort = effort(self._model, _EFFORTS.get(spec.kind, "medium"))
        self._talk = Conversation()
        self._session = Session(
            job=assignment.job,
            station=assignment.station,
            kind="reader" if reads_only(spec.kind) else "worker",
            model=self._model,
            basis="synthetic" if sdk.caller.provider.synthetic else "",
        )
        self._ear = Ear()
        self._late = False
        self._reminded = False
        self._cuts = self._anew = self._turn = 0
        self._began = time.monotonic()
        self._seconds = 0.0
        self._end: End | None = None

    def events(self) -> Iterator[Step]:
        """Work until the model reports, a limit is reached or a call fails for good."""
        self._began = time.monotonic()
        seconds = self._task.assignment.seconds
        timer = threading.Timer(seconds, self._expire)
        timer.daemon = True
        timer.start()
        try:
            with opened(self._task, seconds=seconds) as door:
                hands = Hands(self._task, door, ear=self._ear, left=self._left, note=self._note)
                yield from self._work(hands)
        except ModelError as error:
            self._end = broken_off(error)
        except ToolboxGone as gone:
            status: Status = "stopped" if self._task.stop.is_set() else "again"
            self._end = End(status=status, fault=str(gone))
        finally:
            timer.cancel()
            self._ear.close()
            self._seconds = time.monotonic() - self._began
            self._keep()
        self._park()
        ended = self._ended()
        yield Step(kind="finished", text=f"{ended.status} {ended.fault}".strip())

    def steer(self, text: str) -> Steered:
        """Tell it something, which it hears with the next message."""
        return self._ear.tell(text)

    def cancel(self, reason: str) -> None:  # noqa: ARG002 - the protocol's signature
        """End it: the stream is closed, the sandbox is ended."""
        self._task.stop.set()

    def usage(self) -> Usage:
        """Give the tokens so far."""
        return self._sdk.caller.meter.spent_by(self._payer).usage

    def resume_token(self) -> str | None:
        """Name the journal with which a repair can go on."""
        return str(self._task.papers / journal.NAME) if self._session.ended == "done" else None

    def result(self) -> Attempt:
        """Say how it ended."""
        end = self._ended()
        spent = self._sdk.caller.meter.spent_by(self._payer).spend
        return Attempt(
            status=end.status,
            fault=end.fault,
            report=end.report,
            split=end.split,
            account=end.account,
            spend=replace(spent, seconds=self._seconds),
        )

    def _ended(self) -> End:
        if self._end is None:
            return End(status="stopped", fault="interrupted")
        if self._end.status == "stopped":
            seconds = self._task.assignment.seconds
            if self._late:
                return End(status="deadline", fault=f"not done after {seconds:.0f} s")
            return replace(self._end, fault="interrupted")
        return self._end

    def _expire(self) -> None:
        if not self._task.stop.is_set():
            self._late = True
            self._task.stop.set()

    def _work(self, hands: Hands) -> Iterator[Step]:
        yield from self._open(hands)
        while self._end is None:
            if self._turn >= self._sdk.turns:
                self._end = End(status="turns", fault=f"not done after {self._turn} turns")
                return
            self._turn += 1
            yield Step(kind="request", text=f"turn {self._turn}")
            reply = self._ask()
            yield from _shown(reply)
            before = self._length()
            yield from self._act(reply, hands)
            grown = (self._length() - before) // prompt.BYTES_A_TOKEN
            self._session = replace(self._session, tokens=reply.usage.total_input + grown)
            self._keep()
            yield from self._make_room(hands)

    def _open(self, hands: Hands) -> Iterator[Step]:
        """Begin: with a session that may be gone on with, else anew, told what was before."""
        before = journal.load(self._task.before)
        going_on = self._repaired(before) or self._next_of_batch()
        outline = hands.look()
        if going_on is not None:
            yield self._go_on(going_on, outline)
            return
        handover = ""
        if before is not None and before.kind == self._session.kind and before.handover:
            where = "is in the tree" if self._task.assignment.wrote else "is NOT in the tree"
            handover = f"(what an earlier session did {where})\n{before.handover}"
        self._begin(handover, outline)
        yield self._started(self._model, outline)

    def _go_on(self, session: Session, outline: Outline) -> Step:
        """Take up a session: to mend what it wrote, or for the next job of its batch."""
        another = session.job != self._session.job
        jobs = session.jobs + (1 if another else 0)
        self._session = replace(self._session, jobs=jobs, notes=() if another else session.notes)
        self._talk = Conversation(session.messages)
        opening = prompt.first_message(
            self._task.spec.kind, self._opening(""), outline if another else Outline(), beside=0
        )
        why = _ANOTHER if another else _REPAIR
        self._talk.say([*session.unsent, text(f"{why}\n{opening}"), *self._words()])
        return self._started(f"{self._model}; goes on with a session, job {jobs} of it", outline)

    def _started(self, how: str, outline: Outline) -> Step:
        size = prompt.size(self._length(), outline)
        basis = "; synthetic: a server on this machine answers" if self._session.basis else ""
        return Step(kind="started", text=f"{how}; {size.text}{basis}")

    def _repaired(self, before: Session | None) -> Session | None:
        """Give the session that wrote the change which is to be repaired, if it may go on."""
        fits = (
            before is not None
            and self._task.assignment.wrote > 0
            and before.ended == "done"
            and (before.model, before.kind) == (self._model, self._session.kind)
            and before.tokens <= RESUME_TOKENS
        )
        return before if fits else None

    def _next_of_batch(self) -> Session | None:
        spec, assignment = self._task.spec, self._task.assignment
        if spec.batch < _SEVERAL or assignment.attempt > 1:
            return None
        return self._sdk.parking.unpark(
            assignment.run, assignment.station, self._model, batch=spec.batch
        )

    def _begin(self, handover: str, outline: Outline) -> None:
        kind = self._task.spec.kind
        beside = prompt.envelope(kind, self._model, _REPLY_TOKENS, self._effort)
        words = prompt.first_message(kind, self._opening(handover), outline, beside=beside)
        self._talk = Conversation([prompt.user(words)])
        if told := self._words():
            self._talk.say(told)

    def _opening(self, handover: str) -> Opening:
        assignment, spec = self._task.assignment, self._task.spec
        told = (*assignment.brief.told, *self._ear.heard)
        return Opening(
            brief=replace(assignment.brief, told=told),
            scope=assignment.scope,
            commands=prompt.names(spec.commands),
            accept=assignment.accept,
            left=self._left()[1],
            handover=handover,
        )

    def _left(self) -> tuple[float, str]:
        """Give the seconds that are left, and all that is left in words."""
        left = self._sdk.caller.meter.left(self._payer)
        seconds = max(0.0, self._began + self._task.assignment.seconds - time.monotonic())
        time_left = f"{seconds:.0f} s" if seconds < _MINUTES else f"{seconds / 60:.0f} min"
        parts = [time_left, f"{self._sdk.turns - self._turn} turns"]
        parts += [f"{left.tokens:,} tokens"] if left.tokens is not None else []
        parts += [f"${left.dollars:.2f}"] if left.dollars is not None else []
        return seconds, ", ".join(parts)

    def _words(self) -> list[Block]:
        """Give what was told meanwhile, for the next message."""
        told = self._ear.take()
        for words in told:
            self._log(Step(kind="told", text=words))
        return [text(f"The person you work for says: {words}") for words in told]

    def _note(self, line: str) -> None:
        self._session = self._session.noted(line)

    def _log(self, step: Step) -> None:
        self._task.log(step.line.encode("utf-8", "replace"))

    def _ask(self) -> Reply:
        try:
            return self._call(_REPLY_TOKENS)
        except ModelError as error:
            if error.cause != "budget":
                raise
            return self._call(_LESS_TOKENS)  # a shorter answer may still be paid for

    def _call(self, most: int) -> Reply:
        request = Request(
            model=self._model,
            max_tokens=most,
            system=self._prefix.system,
            tools=self._prefix.tools,
            messages=tuple(self._talk.messages),
            effort=self._effort,
            cache=self._turn > 1,
        )
        return self._sdk.caller.ask(
            self._payer,
            request,
            stop=self._task.stop,
            retried=lambda line: self._log(Step(kind="retry", text=line)),
        )

    def _act(self, reply: Reply, hands: Hands) -> Iterator[Step]:
        calls = self._talk.hear(reply.content)
        match reply.stop_reason:
            case "end_turn" | "stop_sequence" | "tool_use":
                self._cuts = 0
                if calls:
                    yield from self._do_all(calls, hands)
                else:
                    self._remind()
            case "pause_turn":
                return
            case "max_tokens":
                self._cuts += 1
                if self._cuts >= _CUTS:
                    self._end = End(status="failed", fault="its answers were cut for their length")
                self._talk.say([text(_CUT), *self._words()])
            case "model_context_window_exceeded":
                yield from self._start_anew(hands)
            case "refusal":
                self._end = End(status="failed", fault="the model refused to go on")
            case other:
                self._end = End(status="failed", fault=f"the model stopped: {plain(other, 60)}")

    def _remind(self) -> None:
        if self._reminded:
            self._end = End(status="contract", fault="it ended without a report, also reminded")
            return
        self._reminded = True
        self._talk.say([*self._words(), text(_REMIND)])

    def _do_all(self, calls: list[Block], hands: Hands) -> Iterator[Step]:
        yield from hands.do_all(calls, self._talk.unfit)
        self._end = hands.end
        if self._end is None:
            self._talk.say([*hands.results, *self._words()])
        else:
            self._session = replace(self._session, unsent=tuple(hands.results))

    def _make_room(self, hands: Hands) -> Iterator[Step]:
        """Keep the conversation short: without old results, or else anew with a note."""
        if self._end is not None or self._session.tokens <= self._sdk.context:
            return
        before = self._length()
        trimmed = self._talk.trim()
        tokens = self._session.tokens - (before - self._length()) // prompt.BYTES_A_TOKEN
        if trimmed and tokens < self._sdk.context * _ROOMY:
            self._session = replace(self._session, tokens=tokens)
            yield Step(kind="result", text=f"{trimmed} old results left out of the conversation")
            return
        yield from self._start_anew(hands)

    def _length(self) -> int:
        kind = self._task.spec.kind
        return prompt.body(kind, self._model, _REPLY_TOKENS, self._effort, self._talk.messages)

    def _start_anew(self, hands: Hands) -> Iterator[Step]:
        self._anew += 1
        if self._anew > _ANEW:
            fault = "the conversation grew too long again and again"
            self._end = End(status="failed", fault=fault)
            return
        outline = hands.look()
        note = f"(you did this; your edits are in the tree)\n{self._session.handover}"
        self._begin(note, outline)
        yield self._started("anew with a note", outline)

    def _keep(self) -> None:
        """Write the journal."""
        ended = self._end.status if self._end is not None else ""
        self._session = replace(self._session, messages=tuple(self._talk.messages), ended=ended)
        journal.save(self._session, self._task.papers, hide=self._task.hide)

    def _park(self) -> None:
        """Let a finished session of a batch wait for the next job."""
        if self._session.ended == "done" and self._session.jobs < self._task.spec.batch:
            self._sdk.parking.park(self._task.assignment.run, self._session)


def _shown(reply: Reply) -> Iterator[Step]:
    usage = reply.usage
    if words := said(reply.content):
        yield Step(kind="text", text=words)
    cached = f"{usage.cache_read:,} cached"
    yield Step(kind="usage", text=f"{usage.total_input:,} in ({cached}), {usage.output:,} out")
