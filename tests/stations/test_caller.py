"""How a model is asked: what is tried again, what it costs, and when it ends."""

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal

import pytest

from stations.contract import Budget
from stations.models.anthropic_door import AnthropicDoor
from stations.models.asking import Block, Hear, Reply, Request
from stations.models.caller import Caller
from stations.models.limiter import Limiter
from stations.models.meter import Ceilings, Meter
from stations.models.prices import Prices
from stations.models.values import Basis, Call, ModelError, Payer, Provider, Usage
from tests.scripted.messages import (
    Asked,
    MessagesServer,
    Script,
    Step,
    broken_json,
    error_event,
    hang,
    html,
    max_tokens_in_tool,
    overloaded,
    reset,
    spend_limit,
    stall,
    status,
    text,
    tool,
    truncated_in_tool,
)
from tests.stations.records import Listed
from worktrees.names import JobId, RunId, StationName

KEY = "sk-ant-canary-2b8e40"
WRITE: Block = {"name": "write", "input_schema": {"type": "object", "properties": {}}}
EDIT = tool("write", {"path": "a.py", "content": "x = 1\n" * 20})
PAYER = Payer(run=RunId("r1"), job=JobId("j1"), station=StationName("api"), attempt=1)


@dataclass(slots=True, kw_only=True)
class Clock:
    """A clock that goes on only when somebody rests."""

    now: float = 1000.0
    rests: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.now

    def rest(self, stop: threading.Event, seconds: float) -> bool:
        """Let time pass."""
        self.now += seconds
        self.rests.append(seconds)
        return stop.is_set()


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """A caller with everything that it noted."""

    caller: Caller
    server: MessagesServer
    clock: Clock
    record: Listed = field(default_factory=Listed)
    lines: list[str] = field(default_factory=list)

    @property
    def calls(self) -> list[Call]:
        """The calls that were settled."""
        return self.record.calls

    def ask(self, payer: Payer = PAYER, **more: object) -> Reply:
        """Ask once."""
        stop = threading.Event()
        return self.caller.ask(payer, request(**more), stop=stop, retried=self.lines.append)  # type: ignore[arg-type]


def request(say: str = "hello", **more: object) -> Request:
    """Give a request of one message."""
    message = {"role": "user", "content": [{"type": "text", "text": say}]}
    asked = Request(model="claude-sonnet-5-5", max_tokens=2000, messages=(message,), tools=(WRITE,))
    return replace(asked, **more)  # type: ignore[arg-type]


@contextmanager
def desk(script: Script, *, ceilings: Ceilings | None = None, idle: float = 5.0) -> Iterator[Desk]:
    """Give a caller before a scripted server."""
    record, clock = Listed(), Clock()
    with MessagesServer(script, key=KEY) as server:
        provider = Provider(name="anthropic", base_url=server.url, key=KEY)
        door = AnthropicDoor(provider, idle=idle)
        meter = Meter(
            prices=Prices.load(),
            ceilings=ceilings or Ceilings(),
            now=time.time,
            record=record,
            warn=lambda _: None,
        )
        caller = Caller(
            door=door,
            meter=meter,
            limiter=Limiter(clock, lambda: 0.5),
            provider=provider,
            clock=clock,
            rest=clock.rest,
        )
        yield Desk(caller=caller, server=server, clock=clock, record=record)
        door.close()


def test_a_reply_is_charged_as_it_was_counted() -> None:
    """One good call is one entry, with the provider's own figures and the price of the model."""
    with desk([text("hi")]) as at:
        assert not at.server.seen, "nobody asked, so nothing was sent"
        reply = at.ask()

    (call,) = at.calls
    assert call.usage == reply.usage
    assert call.ended == "good"
    assert call.basis is Basis.SYNTHETIC
    assert call.dollars == (reply.usage.input * 2 + reply.usage.output * 10) / Decimal(1_000_000)
    assert not at.lines


@pytest.mark.parametrize(
    ("fault", "charged"),
    [
        (status(429), False),
        (status(429, retry_after=3), False),
        (status(408), False),
        (status(409), False),
        (status(500), False),
        (overloaded(), False),
        (reset(), True),
        (reset(after=EDIT), True),
        (hang(), True),
        (stall(after=EDIT), True),
        (html(), True),
        (broken_json(), True),
        (truncated_in_tool("write", {"content": "half" * 50}), True),
        (error_event(after=EDIT), True),
    ],
)
def test_what_may_work_later_is_tried_again(fault: Step, *, charged: bool) -> None:
    """After each fault the whole turn is asked for again; what it may have cost is charged."""
    with desk([(fault, fault, EDIT)], idle=0.15) as at:
        reply = at.ask()

    assert reply.tool_uses[0].input == EDIT.blocks[0]["input"]
    assert len(at.server.requests) == 3
    assert at.server.requests[0].body == at.server.requests[2].body
    assert len(at.lines) == len(at.clock.rests) == 2
    assert [call.ended == "good" for call in at.calls] == [False, False, True][
        0 if charged else 2 :
    ]
    assert all(call.usage.total_input for call in at.calls)
    assert at.lines[0].startswith("try 2 of 6 in ")


def test_each_try_is_on_record_before_the_provider_hears_of_it() -> None:
    """Whoever kills us in a call leaves its reservation; a refused try leaves nothing."""
    seen: list[list[tuple[str, int]]] = []

    def script(asked: Asked) -> Step:
        held = at.record.held.values()
        seen.append([(most.ended, most.usage.output) for most in held])
        return [overloaded(), reset(), EDIT][asked.attempt]

    with desk(script) as at:
        at.ask()

    assert seen == [[("lost", 2000)]] * 3
    assert at.record.held == {}
    assert [call.ended for call in at.calls] == ["provider", "good"]


@pytest.mark.parametrize("code", [400, 401, 402, 403, 404, 413, 422])
def test_what_never_works_is_asked_once(code: int) -> None:
    """A refusal for good ends the call at once and costs nothing."""
    with desk([status(code)]) as at, pytest.raises(ModelError) as caught:
        at.ask()

    assert (caught.value.cause, caught.value.status) == ("denied", code)
    assert len(at.server.requests) == 1
    assert not at.calls


def test_a_spend_limit_stops_at_once() -> None:
    """No waiting helps against a spend limit, whatever its status says."""
    with desk([spend_limit()]) as at, pytest.raises(ModelError, match="spend limit") as caught:
        at.ask()

    assert caught.value.cause == "denied"
    assert len(at.server.requests) == 1


@pytest.mark.parametrize(
    ("code", "cause"), [(500, "provider"), (529, "provider"), (429, "limited")]
)
def test_six_tries_are_enough(code: int, cause: str) -> None:
    """A provider that fails again and again is left after six tries, with growing pauses."""
    with desk([(status(code),) * 6]) as at, pytest.raises(ModelError, match="6 times") as caught:
        at.ask()

    assert (caught.value.cause, caught.value.status) == (cause, code)
    assert len(at.server.requests) == 6
    assert at.clock.rests == sorted(at.clock.rests)
    assert len(at.clock.rests) == 5


def test_ten_minutes_are_enough() -> None:
    """No try begins later than ten minutes after the first, however few they were."""
    slow = status(429, retry_after=120)
    with desk([(slow,) * 6]) as at, pytest.raises(ModelError) as caught:
        at.ask()

    assert caught.value.cause == "limited"
    assert len(at.server.requests) == 5
    assert sum(at.clock.rests) <= 600


def test_an_hour_is_not_waited_for() -> None:
    """Whoever asks us to wait for long is left at once: the run goes on another time."""
    with desk([status(429, retry_after=3600)]) as at, pytest.raises(ModelError) as caught:
        at.ask()

    assert caught.value.cause == "limited"
    assert not at.clock.rests


@pytest.mark.parametrize("code", [429, 503, 529])
def test_a_wait_that_is_asked_for_holds_everybody(code: int) -> None:
    """Whatever the provider's trouble is called: while it wants to be left alone, nobody calls."""
    held: list[float | None] = []
    with desk([(status(code, retry_after=30), text("hi"))]) as at:

        def note(_: str) -> None:
            held.extend(lane.resting_until for lane in at.caller.limiter.states())

        at.caller.ask(PAYER, request(), stop=threading.Event(), retried=note)

    assert held == [1030.0]
    assert at.clock.rests == [30.5]


def test_a_reply_that_was_too_long_gets_room_once() -> None:
    """Half a tool's input is asked for again with twice the room, and then given up."""
    half = max_tokens_in_tool("write", {"content": "long" * 50})

    def script(asked: Asked) -> Step:
        return EDIT if asked.body["max_tokens"] == 4000 else half

    with desk(script) as at:
        reply = at.ask()
        with pytest.raises(ModelError) as caught:
            at.ask(max_tokens=1000)

    assert reply.tool_uses
    assert [asked.body["max_tokens"] for asked in at.server.requests] == [2000, 4000, 1000, 2000]
    assert caught.value.cause == "incomplete"
    assert [call.ended for call in at.calls] == ["incomplete", "good", "incomplete", "incomplete"]


def test_nothing_is_sent_that_nobody_can_pay() -> None:
    """A call that could overdraw an account is refused before it is sent."""
    poor = replace(PAYER, budget=Budget(tokens=1500))
    with desk([]) as at, pytest.raises(ModelError) as caught:
        at.ask(poor)

    assert (caught.value.cause, caught.value.account) == ("budget", "job")
    assert not at.server.seen


def test_tries_are_charged_to_the_same_account() -> None:
    """A provider that breaks off and charges cannot spend more than the job has."""
    poor = replace(PAYER, budget=Budget(tokens=2300))
    with desk(lambda _: reset(after=EDIT)) as at, pytest.raises(ModelError) as caught:
        at.ask(poor)

    assert (caught.value.cause, caught.value.account) == ("budget", "job")
    assert 1 <= len(at.server.requests) < 6
    assert sum(call.usage.tokens for call in at.calls) <= 2300


def test_stop_ends_a_pause() -> None:
    """A stop that comes while a call waits for its next try ends it, and nothing more is sent."""
    stop = threading.Event()
    with desk([overloaded()]) as at, pytest.raises(ModelError) as caught:
        at.caller.ask(PAYER, request(), stop=stop, retried=lambda _: stop.set())

    assert caught.value.cause == "stopped"
    assert len(at.server.requests) == 1


def test_stop_ends_a_call_and_what_it_cost_is_charged() -> None:
    """A call that is stopped while the model writes is charged by what was seen of it."""
    stop = threading.Event()
    script = [stall(after=text("I begin with the file."))]
    with desk(script) as at, pytest.raises(ModelError) as caught:
        at.caller.ask(PAYER, request(), stop=stop, hear=lambda _: stop.set())

    assert caught.value.cause == "stopped"
    (call,) = at.calls
    assert call.ended == "stopped"
    assert call.usage.total_input
    assert call.usage.output


def test_a_provider_that_counts_nothing_is_charged_all_the_same() -> None:
    """A gateway without figures does not make a budget endless: then we count."""

    class Silent:
        def stream(
            self, request: Request, *, stop: threading.Event, hear: Hear | None = None
        ) -> Reply:
            """Reply without a figure."""
            assert hear is None
            assert not stop.is_set()
            return Reply(
                content=({"type": "text", "text": "a" * 300},),
                stop_reason="end_turn",
                usage=Usage(requests=1),
                request_id="",
                model=request.model,
            )

    with desk([]) as at:
        caller = Caller(
            door=Silent(),
            meter=at.caller.meter,
            limiter=at.caller.limiter,
            provider=Provider(name="gateway", base_url="https://models.invalid", key=KEY),
        )
        caller.ask(PAYER, request(), stop=threading.Event())

    (call,) = at.calls
    assert call.usage.input == -(-request().size // 3)
    assert call.usage.output >= 100
    assert call.basis is Basis.ESTIMATED


def test_no_secret_is_told() -> None:
    """A server that repeats the key gets it into no line, no error and no entry."""
    leak = f"bad key {KEY}"
    script = [(status(500, leak), error_event("api_error", leak), status(401, leak))]
    with desk(script) as at, pytest.raises(ModelError) as caught:
        at.ask()

    told = [*at.lines, str(caught.value), repr(at.calls), repr(at.caller.provider)]
    assert len(at.lines) == 2
    assert not [line for line in told if KEY in line]
    assert KEY not in repr(at.server.requests)


def test_fifty_agents_in_a_storm_never_overdraw() -> None:
    """Fifty threads against a server that fails often: all end, and the run's money is enough."""
    dice = random.Random(7)  # noqa: S311 - faults, not secrets
    lock = threading.Lock()
    ended: list[str] = []

    def script(asked: Asked) -> Step:
        with lock:
            luck = dice.random()
        if luck < 0.1:
            return overloaded()
        if luck < 0.2:
            return reset(after=EDIT)
        return status(429) if luck < 0.25 else text(f"re: {asked.first}")

    whole = Ceilings(run=Budget(tokens=12_000))
    with desk(script, ceilings=whole) as at:

        def work(name: int) -> None:
            payer = replace(PAYER, job=JobId(f"j{name}"))
            for turn in range(5):
                say = f"{name}/{turn}"
                try:
                    assert at.ask(payer, say=say).text == f"re: {say}"
                except ModelError as error:
                    ended.append(error.cause)
                else:
                    ended.append("good")

        threads = [threading.Thread(target=work, args=(name,)) for name in range(50)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(40)

    assert len(ended) == 250
    assert set(ended) <= {"good", "budget", "provider", "limited"}
    assert ended.count("budget") > 10
    assert ended.count("good") == sum(call.ended == "good" for call in at.calls)
    assert sum(call.usage.tokens for call in at.calls) <= 12_000
