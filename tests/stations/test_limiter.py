"""Turns at a model: how many at once, who comes first, and when nobody is let through."""

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typing_extensions import override

from stations.models.limiter import RETRY_AFTER_CAP, Lane, Limiter, Turn
from stations.models.values import ModelError, Provider

PROVIDER = Provider(name="anthropic", base_url="https://models.invalid", key="sk-canary")
OTHER = Provider(name="openai", base_url="https://models.invalid")
MODEL = "claude-sonnet-5-5"
NEVER = threading.Event()


class Deadline(threading.Event):
    """Set by itself after five seconds: a turn that should be free is not waited for in vain."""

    def __init__(self) -> None:
        super().__init__()
        self._end = time.monotonic() + 5

    @override
    def is_set(self) -> bool:
        return time.monotonic() > self._end


@dataclass
class Clock:
    """A clock that the test sets."""

    now: float = 1_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Bench:
    """A limiter with a clock and dice of the test's."""

    clock: Clock = field(default_factory=Clock)
    thrown: float = 1.0
    impatient: bool = False
    limiter: Limiter = field(init=False)
    threads: list[threading.Thread] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.limiter = Limiter(
            self.clock, lambda: self.thrown, patience=0.0 if self.impatient else 120.0
        )

    @contextmanager
    def turn(self, model: str = MODEL, provider: Provider = PROVIDER) -> Iterator[Turn]:
        """Have a turn."""
        with self.limiter.turn(provider, model, Deadline()) as turn:
            yield turn

    def lane(self, model: str = MODEL) -> Lane:
        """Give the state of a lane."""
        return next(lane for lane in self.limiter.states() if lane.model == model)

    def hold(self, stack: ExitStack, count: int) -> list[Turn]:
        """Have so many turns at once."""
        return [stack.enter_context(self.turn()) for _ in range(count)]

    def throttle(self, retry_after: float | None = None) -> None:
        """Have one turn that is too much."""
        with self.turn() as turn:
            turn.throttled(retry_after)

    def fail(self, count: int) -> None:
        """Have so many turns that fail."""
        for _ in range(count):
            with self.turn() as turn:
                turn.failed()

    def refused(self, model: str = MODEL) -> ModelError:
        """Give the error by which a turn is refused."""
        with pytest.raises(ModelError) as found, self.turn(model):
            pass
        return found.value

    def waits(self, stop: threading.Event | None = None) -> "Waiter":
        """Let another thread wait for a turn."""
        waiter = Waiter()

        def wait() -> None:
            try:
                with self.limiter.turn(PROVIDER, MODEL, stop or NEVER) as turn:
                    waiter.turn = turn
                    waiter.began.set()
                    waiter.leave.wait(20)
            except ModelError as error:
                waiter.error = error
            finally:
                waiter.ended.set()

        waiting = self.lane().waiting if self.limiter.states() else 0
        thread = threading.Thread(target=wait, daemon=True)
        thread.start()
        until(lambda: waiter.began.is_set() or self.lane().waiting > waiting)
        return waiter


@dataclass
class Waiter:
    """Another thread that wants a turn."""

    began: threading.Event = field(default_factory=threading.Event)
    leave: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)
    turn: Turn | None = None
    error: ModelError | None = None

    def end(self) -> None:
        """Give the turn back."""
        self.leave.set()
        assert self.ended.wait(10)

    def held_back(self) -> bool:
        """Say whether it still waits, after it had time to look again."""
        return not self.began.wait(0.25) and not self.ended.is_set()


def until(true: Callable[[], object]) -> None:
    """Wait until something holds, at most ten seconds."""
    end = time.monotonic() + 10
    while not true():
        assert time.monotonic() < end
        threading.Event().wait(0.002)


def test_eight_calls_are_let_through_at_first() -> None:
    """A new lane has eight turns; the ninth waits until one is given back."""
    bench = Bench()
    with ExitStack() as stack:
        bench.hold(stack, 8)
        ninth = bench.waits()
        assert ninth.held_back()
        assert bench.lane() == Lane(
            provider="anthropic", model=MODEL, limit=8, busy=8, waiting=1, resting_until=None
        )

    assert ninth.began.wait(10)
    ninth.end()
    assert (bench.lane().busy, bench.lane().waiting) == (0, 0)


def test_a_window_of_successes_at_the_limit_allows_one_more() -> None:
    """Eight calls that worked while all turns were taken make nine turns, nine more make ten."""
    bench = Bench()
    for limit in (8, 9):
        with ExitStack() as stack:
            turns = bench.hold(stack, limit)
            for turn in turns[:-1]:
                turn.worked()
            assert bench.lane().limit == limit
            turns[-1].worked()

    assert bench.lane().limit == 10


def test_a_limit_that_nobody_needs_does_not_grow() -> None:
    """Successes prove nothing about a load that was never there."""
    bench = Bench()
    for _ in range(100):
        with bench.turn() as turn:
            turn.worked()

    assert bench.lane().limit == 8


def test_the_limit_has_a_ceiling() -> None:
    """It never grows beyond 64."""
    bench = Bench()
    for _ in range(60):
        with ExitStack() as stack:
            for turn in bench.hold(stack, bench.lane().limit if bench.limiter.states() else 8):
                turn.worked()

    assert bench.lane().limit == 64


def test_a_throttled_call_halves_the_limit_once_per_window() -> None:
    """Eight calls that are refused together are one sign of overload, not eight."""
    bench = Bench()
    with ExitStack() as stack:
        for turn in bench.hold(stack, 8):
            turn.throttled()
        assert bench.lane().limit == 4

    bench.throttle()
    assert bench.lane().limit == 2


def test_one_call_at_a_time_is_always_allowed() -> None:
    """The limit never falls below one, and grows from there."""
    bench = Bench()
    for _ in range(6):
        bench.throttle(0.0)
    assert bench.lane().limit == 1

    with bench.turn() as turn:
        turn.worked()
    assert bench.lane().limit == 2


def test_a_success_of_an_earlier_window_does_not_count() -> None:
    """A call that began before the limit was halved says nothing about the new one."""
    bench = Bench()
    with ExitStack() as stack:
        turns = bench.hold(stack, 8)
        turns[0].throttled()
        for turn in turns[1:]:
            turn.worked()

    assert bench.lane().limit == 4


def test_only_the_first_word_of_a_turn_counts() -> None:
    """A turn that worked cannot be called throttled afterwards."""
    bench = Bench()
    with bench.turn() as turn:
        turn.worked()
        turn.throttled(100)
        turn.failed()

    assert bench.lane().limit == 8
    assert bench.lane().resting_until is None


def test_a_wait_that_the_provider_asks_for_holds_everybody() -> None:
    """After Retry-After nobody is let through until the time is over, then all are."""
    bench = Bench()
    bench.throttle(30)
    first, second = bench.waits(), bench.waits()

    assert bench.lane().resting_until == bench.clock.now + 30
    bench.clock.now += 29.9
    assert first.held_back()
    assert second.held_back()
    bench.clock.now += 0.1

    assert first.began.wait(10)
    assert second.began.wait(10)
    first.end()
    second.end()
    assert bench.lane().resting_until is None


def test_a_shorter_wait_does_not_end_a_longer_one() -> None:
    """The latest time of all that were named holds."""
    bench = Bench()
    with ExitStack() as stack:
        one, two, three = bench.hold(stack, 3)
        one.throttled(60)
        two.throttled(1)
        three.worked()

    assert bench.lane().resting_until == bench.clock.now + 60


def test_a_wait_beyond_the_cap_refuses_instead() -> None:
    """Nobody waits an hour: turns are refused as limited at once, and one tries again in time."""
    bench = Bench()
    waiter = None
    with ExitStack() as stack:
        turns = bench.hold(stack, 8)
        waiter = bench.waits()
        turns[0].throttled(3_600)
        assert waiter.ended.wait(10)
    assert waiter.error is not None
    assert waiter.error.cause == "limited"
    assert bench.lane().resting_until == bench.clock.now + RETRY_AFTER_CAP
    assert bench.refused().cause == "limited"

    bench.clock.now += RETRY_AFTER_CAP
    with bench.turn() as probe:
        assert bench.refused().cause == "limited"
        probe.throttled(3_600)
    assert bench.refused().cause == "limited"

    bench.clock.now += RETRY_AFTER_CAP
    with bench.turn() as probe:
        probe.worked()
    with ExitStack() as stack:
        bench.hold(stack, bench.lane().limit)


def test_failures_in_a_row_shut_the_lane() -> None:
    """After five nobody is let through for two seconds; four are not enough."""
    bench = Bench()
    bench.fail(4)
    assert bench.lane().resting_until is None
    with bench.turn() as turn:
        turn.worked()
    bench.fail(4)
    assert bench.lane().resting_until is None

    bench.fail(1)

    assert bench.lane().resting_until == bench.clock.now + 2
    waiter = bench.waits()
    assert waiter.held_back()
    bench.clock.now += 2
    assert waiter.began.wait(10)
    waiter.end()


def test_after_a_rest_one_call_probes() -> None:
    """A second call waits for the verdict of the first; success opens the lane for all."""
    bench = Bench()
    bench.fail(5)
    bench.clock.now += 2
    with bench.turn() as probe:
        second, third = bench.waits(), bench.waits()
        assert second.held_back()
        probe.worked()
        assert second.began.wait(10)
        assert third.began.wait(10)

    second.end()
    third.end()


def test_each_failed_probe_doubles_the_rest() -> None:
    """2, 4, 8 ... up to 60 seconds; a success begins again with 2."""
    bench = Bench()
    bench.fail(5)
    rests = []
    for _ in range(6):
        due = bench.lane().resting_until
        assert due is not None
        rests.append(due - bench.clock.now)
        bench.clock.now = due
        bench.fail(1)
    assert rests == [2, 4, 8, 16, 32, 60]

    bench.clock.now += 60
    with bench.turn() as turn:
        turn.worked()
    bench.fail(5)
    assert bench.lane().resting_until == bench.clock.now + 2


def test_turns_wait_for_a_lane_that_is_shut_only_so_long() -> None:
    """When a provider has failed for two minutes, turns are refused, but one still probes."""
    bench = Bench()
    bench.fail(5)
    waiter = bench.waits()
    while bench.clock.now < 1_000 + 62:
        due = bench.lane().resting_until
        assert due is not None
        bench.clock.now = due
        waiter = probed(bench, waiter)
    assert waiter.held_back()

    bench.clock.now = 1_000 + 120

    assert waiter.ended.wait(10)
    assert waiter.error is not None
    assert waiter.error.cause == "provider"
    error = bench.refused()
    assert error.cause == "provider"
    assert "anthropic" in str(error)
    assert MODEL in str(error)
    assert "canary" not in str(error)

    due = bench.lane().resting_until
    assert due is not None
    bench.clock.now = due
    with bench.turn() as turn:
        turn.worked()
    with ExitStack() as stack:
        bench.hold(stack, bench.lane().limit)


def probed(bench: Bench, waiter: Waiter) -> Waiter:
    """Let the one that waits probe and fail, and another one wait behind it."""
    assert waiter.began.wait(10)
    assert waiter.turn is not None
    waiter.turn.failed()
    waiter.end()
    return bench.waits()


def test_overload_without_a_time_shuts_the_lane_too() -> None:
    """Five calls in a row that are too much rest like five that fail, under their own name."""
    bench = Bench()
    for _ in range(5):
        bench.throttle()
    assert bench.lane().resting_until == bench.clock.now + 2

    for _ in range(6):
        due = bench.lane().resting_until
        assert due is not None
        bench.clock.now = due
        bench.throttle()

    assert bench.refused().cause == "limited"


def test_failures_of_calls_from_before_do_not_lengthen_the_rest() -> None:
    """What was in flight when the lane was shut tells nothing new."""
    bench = Bench()
    with ExitStack() as stack:
        for turn in bench.hold(stack, 8):
            turn.failed()

    assert bench.lane().resting_until == bench.clock.now + 2


def test_a_success_of_a_call_from_before_does_not_open_the_lane() -> None:
    """Only a call that began after the lane was shut proves that the provider is well again."""
    bench = Bench()
    with bench.turn() as early:
        bench.fail(5)
        early.worked()

    assert bench.lane().resting_until == bench.clock.now + 2


def test_a_turn_without_a_word_counts_for_nothing() -> None:
    """An error of ours in a turn gives the place back and says nothing about the provider."""
    bench = Bench()
    for _ in range(20):
        with pytest.raises(KeyError), bench.turn():
            raise KeyError

    assert bench.lane() == Lane(
        provider="anthropic", model=MODEL, limit=8, busy=0, waiting=0, resting_until=None
    )


def test_a_probe_without_a_word_leaves_the_lane_to_the_next() -> None:
    """A probe that was stopped does not keep the lane shut for ever."""
    bench = Bench()
    bench.fail(5)
    bench.clock.now += 2
    with bench.turn():
        pass

    with bench.turn() as next_:
        next_.worked()


def test_turns_are_given_first_come_first_served() -> None:
    """Whoever waits longest gets the next turn."""
    bench = Bench()
    for _ in range(3):
        bench.throttle(0.0)
    waiters: list[Waiter] = []
    with bench.turn():
        for _ in range(5):
            waiters.append(bench.waits())  # noqa: PERF401 - one after the other

    for place, waiter in enumerate(waiters):
        assert waiter.began.wait(10)
        assert not any(later.began.is_set() for later in waiters[place + 1 :])
        waiter.end()


def test_nobody_overtakes_those_who_wait() -> None:
    """A newcomer that finds a free turn leaves it to the one who waited for it."""
    bench = Bench()
    for _ in range(3):
        bench.throttle(0.0)
    bench.throttle(30)
    first = bench.waits()
    bench.clock.now += 30

    newcomer = bench.waits()

    assert first.began.wait(10)
    assert not newcomer.began.is_set()
    first.end()
    assert newcomer.began.wait(10)
    newcomer.end()


@pytest.mark.parametrize("why", ["busy", "resting", "shut"])
def test_a_wait_is_ended_by_the_stop_event(why: str) -> None:
    """Within 0.2 s, whatever it waits for; the others' places are untouched."""
    bench = Bench()
    stop = threading.Event()
    with ExitStack() as stack:
        match why:
            case "busy":
                bench.hold(stack, 8)
            case "resting":
                bench.throttle(100)
            case _:
                bench.fail(5)
        waiter, other = bench.waits(stop), bench.waits()
        began = time.monotonic()
        stop.set()
        assert waiter.ended.wait(10)
        took = time.monotonic() - began
        assert waiter.error is not None
        assert waiter.error.cause == "stopped"
        assert took < 1.0
        assert bench.lane().waiting == 1
    bench.clock.now += 200

    assert other.began.wait(10)
    other.end()


def test_a_stopped_caller_gets_no_turn() -> None:
    """Also when one is free."""
    bench = Bench()
    stop = threading.Event()
    stop.set()

    with pytest.raises(ModelError) as found, bench.limiter.turn(PROVIDER, MODEL, stop):
        pass

    assert found.value.cause == "stopped"


def test_lanes_are_apart() -> None:
    """One model's trouble is not another's, nor another provider's of the same model."""
    bench = Bench()
    bench.fail(5)

    with bench.turn("claude-opus-5-5") as turn:
        turn.worked()
    with bench.turn(MODEL, OTHER) as turn:
        turn.worked()

    assert [(s.provider, s.model, s.limit) for s in bench.limiter.states()] == [
        ("anthropic", "claude-opus-5-5", 8),
        ("anthropic", MODEL, 4),
        ("openai", MODEL, 8),
    ]


def test_names_that_an_agent_makes_up_fill_no_memory() -> None:
    """However many models are asked for, few lanes are kept; a busy one always is."""
    bench = Bench()
    with bench.turn("kept"):
        for number in range(1_000):
            with bench.turn(f"made-up-{number}"):
                pass

        assert len(bench.limiter.states()) <= 256
        assert bench.lane("kept").busy == 1


def test_the_name_of_a_model_is_hostile() -> None:
    """In an error it is one short printable line."""
    bench = Bench()
    name = "\x1b[31mx\n" + "y" * 5_000 + "\ud800"
    with bench.turn(name) as turn:
        turn.throttled(math.inf)

    error = bench.refused(name)

    assert str(error).isprintable()
    assert len(str(error)) < 300


def test_a_pause_is_a_full_jitter() -> None:
    """Anything between nothing and a bound that doubles with each try, up to a minute."""
    bench = Bench()
    assert [bench.limiter.pause(tries, None) for tries in (1, 2, 3, 6, 7, 500)] == [
        1, 2, 4, 32, 60, 60,
    ]  # fmt: skip
    bench.thrown = 0.0
    assert bench.limiter.pause(3, None) == 0
    bench.thrown = 0.25
    assert bench.limiter.pause(3, None) == 1


def test_a_pause_is_never_shorter_than_the_provider_asks() -> None:
    """Retry-After is honoured up to two minutes, and spread so that not all come back at once."""
    bench = Bench(thrown=0.5)

    assert bench.limiter.pause(1, 0.1) == 0.6
    assert bench.limiter.pause(9, 7) == 7.5
    assert bench.limiter.pause(1, 120) == 120.5
    for longer in (120.1, 3_600, math.inf):
        with pytest.raises(ModelError, match="resume later") as found:
            bench.limiter.pause(1, longer)
        assert found.value.cause == "limited"


@pytest.mark.parametrize(("told", "taken"), [(math.nan, None), (-5.0, 0.0), (-math.inf, 0.0)])
def test_a_nonsensical_wait_harms_nobody(told: float, taken: float | None) -> None:
    """What is no number is no word; a time that is past is now."""
    bench = Bench()

    assert bench.limiter.pause(2, told) == bench.limiter.pause(2, taken)
    bench.throttle(told)
    assert bench.lane().resting_until is None
    with bench.turn() as turn:
        turn.worked()


STEPS = st.lists(
    st.one_of(
        st.just("turn"),
        st.floats(0, 200),
        st.tuples(
            st.integers(0, 9),
            st.sampled_from(("worked", "failed", "throttled", "nothing")),
            st.none() | st.floats(allow_nan=True, allow_infinity=True),
        ),
    ),
    max_size=60,
)


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_no_history_wedges_a_lane(
    steps: list[str | float | tuple[int, str, float | None]],
) -> None:
    """Whatever was said in whatever order: in time a turn is free, and a success opens the lane."""
    bench = Bench(impatient=True)
    turns: list[tuple[ExitStack, Turn]] = []
    for step in steps:
        match step:
            case "turn" if not bench.limiter.states() or (
                bench.lane().busy < bench.lane().limit and bench.lane().resting_until is None
            ):
                stack = ExitStack()
                # A lane that is shut refuses all but one.
                with suppress(ModelError):
                    turns.append((stack, stack.enter_context(bench.turn())))
            case (place, verdict, told) if turns:
                stack, turn = turns.pop(place % len(turns))
                match verdict:
                    case "worked":
                        turn.worked()
                    case "failed":
                        turn.failed()
                    case "throttled":
                        turn.throttled(told)
                    case _:
                        pass
                stack.close()
            case float() as seconds:
                bench.clock.now += seconds
            case _:
                continue
        if bench.limiter.states():
            due = bench.lane().resting_until
            assert due is None or due <= bench.clock.now + RETRY_AFTER_CAP
            assert 1 <= bench.lane().limit <= 64
            assert bench.lane().busy == len(turns)
    for stack, _ in turns:
        stack.close()
    bench.clock.now += RETRY_AFTER_CAP
    with bench.turn() as turn:
        turn.worked()

    assert (bench.lane().busy, bench.lane().resting_until) == (0, None)
    with ExitStack() as all_:
        bench.hold(all_, bench.lane().limit)


def test_the_limit_finds_what_a_provider_can_bear() -> None:
    """Fifty threads settle near a provider's capacity, and never more are let through than told."""
    limiter = Limiter(failures=10**6)
    bears, lock = 20, threading.Lock()
    busy, worked, throttled, peak = 0, 0, 0, 0

    def agent() -> None:
        nonlocal busy, worked, throttled, peak
        for _ in range(40):
            with limiter.turn(PROVIDER, MODEL, NEVER) as turn:
                with lock:
                    busy += 1
                    peak = max(peak, busy)
                    good = busy <= bears
                threading.Event().wait(0.001)
                with lock:
                    busy -= 1
                    worked, throttled = worked + good, throttled + (not good)
                if good:
                    turn.worked()
                else:
                    turn.throttled()

    threads = [threading.Thread(target=agent, daemon=True) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert worked + throttled == 2_000
    assert 0 < throttled < 400
    assert bears < peak <= 64
    (lane,) = limiter.states()
    assert (lane.busy, lane.waiting) == (0, 0)
