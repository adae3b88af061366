"""Budgets: nothing is sent that an account cannot bear, and every call is charged exactly."""

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typing_extensions import override

from stations.contract import Budget
from stations.models.meter import LOST, Ceilings, Left, Meter, Reservation
from stations.models.prices import Price, Prices
from stations.models.values import Basis, Call, ModelError, Payer, Provider, Usage
from tests.stations.records import Listed
from worktrees.names import JobId, RunId, StationName

MODEL = "claude-sonnet-5-5"
PRICES = Prices.load()
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC).timestamp()
DAY = 86_400.0
PROVIDER = Provider(name="anthropic", base_url="https://models.invalid", key="sk-canary")
LOCAL = Provider(name="anthropic", base_url="http://127.0.0.1:8080")
NONE = Budget()


def payer(
    job: str = "a", station: str = "api", *, budget: Budget = NONE, attempt: int = 1
) -> Payer:
    """Give who pays, in one run."""
    return Payer(
        run=RunId("run"),
        job=JobId(job),
        station=StationName(station),
        attempt=attempt,
        budget=budget,
    )


@dataclass
class Desk:
    """A meter with a clock that the test sets, and all that it told."""

    ceilings: Ceilings = field(default_factory=Ceilings)
    spent: tuple[Call, ...] = ()
    prices: Prices = PRICES
    now: float = NOON
    calls: list[Call] = field(init=False)
    warnings: list[str] = field(default_factory=list)
    record: Listed = field(default_factory=Listed)
    meter: Meter = field(init=False)

    def __post_init__(self) -> None:
        self.calls = self.record.calls
        self.meter = Meter(
            prices=self.prices,
            ceilings=self.ceilings,
            spent=self.spent,
            now=lambda: self.now,
            record=self.record,
            warn=self.warnings.append,
        )

    def reserve(
        self,
        who: Payer,
        tokens_in: int = 0,
        tokens_out: int = 0,
        *,
        provider: Provider = PROVIDER,
        model: str = MODEL,
    ) -> Reservation:
        """Reserve a call."""
        return self.meter.reserve(who, provider, model, tokens_in=tokens_in, tokens_out=tokens_out)

    def call(self, who: Payer, tokens_in: int = 0, tokens_out: int = 0) -> Call:
        """Make a call that takes what was reserved for it."""
        with self.reserve(who, tokens_in, tokens_out) as held:
            return held.settle(used(tokens_in, tokens_out), seconds=1.0)

    def refused(self, who: Payer, tokens_in: int = 0, tokens_out: int = 0) -> ModelError:
        """Give the error by which a call is refused."""
        with pytest.raises(ModelError) as found:
            self.reserve(who, tokens_in, tokens_out)
        assert found.value.cause == "budget"
        return found.value


def used(tokens_in: int, tokens_out: int) -> Usage:
    """Give the usage of one call at its dearest."""
    return Usage(cache_write_1h=tokens_in, output=tokens_out, requests=1)


def tokens(most: int) -> Budget:
    """Give a budget of so many tokens."""
    return Budget(tokens=most)


def dollars(most: str) -> Budget:
    """Give a budget of so many dollars."""
    return Budget(dollars=Decimal(most))


def test_a_call_is_charged_what_it_took_and_recorded() -> None:
    """A settled call carries who paid, what it took, what it cost, and by which prices."""
    desk = Desk()
    usage = Usage(input=1_000, cache_read=9_000, output=500, requests=1)

    call = desk.reserve(payer(), 10_000, 8_000).settle(usage, seconds=2.5)

    assert desk.calls == [call]
    assert (call.run, call.job, call.station, call.attempt) == ("run", "a", "api", 1)
    assert (call.provider, call.model, call.usage) == ("anthropic", MODEL, usage)
    assert (call.dollars, call.basis) == (Decimal("0.0079"), Basis.EXACT)
    assert (call.prices, call.at, call.seconds) == (PRICES.version, NOON, 2.5)
    assert call.ended == "good"
    assert "canary" not in repr(call)


@pytest.mark.parametrize(
    ("ceilings", "budget", "account"),
    [
        (Ceilings(), tokens(999), "job"),
        (Ceilings(stations={StationName("api"): tokens(999)}), NONE, "station"),
        (Ceilings(run=tokens(999)), NONE, "run"),
        (Ceilings(day=tokens(999)), NONE, "day"),
        (Ceilings(), dollars("0.0063"), "job"),
        (Ceilings(stations={StationName("api"): dollars("0.0063")}), NONE, "station"),
        (Ceilings(run=dollars("0.0063")), NONE, "run"),
        (Ceilings(day=dollars("0.0063")), NONE, "day"),
    ],
)
def test_each_account_refuses_what_it_cannot_bear(
    ceilings: Ceilings, budget: Budget, account: str
) -> None:
    """A call that breaks one ceiling is refused before it is made, and by name of the account."""
    desk = Desk(ceilings=ceilings)

    error = desk.refused(payer(budget=budget), 600, 400)

    assert error.account == account
    assert "budget" in str(error)
    assert "\n" not in str(error)
    assert desk.calls == []
    desk.call(payer(budget=budget), 599, 390)


def test_a_ceiling_may_be_reached_exactly() -> None:
    """The last token or cent of a budget can be spent, the one after it cannot."""
    desk = Desk(ceilings=Ceilings(run=tokens(1_000)))

    desk.call(payer(), 600, 400)

    assert desk.meter.left(payer()) == Left(tokens=0)
    assert desk.refused(payer(), 0, 1).account == "run"

    desk = Desk(ceilings=Ceilings(run=dollars("0.0064")))

    desk.call(payer(), 600, 400)

    assert desk.meter.left(payer()) == Left(dollars=Decimal(0))
    assert desk.refused(payer(), 0, 1).account == "run"


def test_calls_in_flight_count() -> None:
    """What is reserved is as good as spent until it is settled or released."""
    desk = Desk(ceilings=Ceilings(run=tokens(1_000)))
    held = desk.reserve(payer(), 600)

    assert desk.meter.left(payer()) == Left(tokens=400)
    assert "600 tokens held by calls in flight" in str(desk.refused(payer("b"), 500))

    held.release()
    desk.reserve(payer("b"), 1_000)


def test_settling_gives_back_what_was_not_needed() -> None:
    """A reservation is replaced by the real usage."""
    desk = Desk(ceilings=Ceilings(run=tokens(1_000)))

    desk.reserve(payer(), 500, 500).settle(Usage(input=100, output=50), seconds=1.0)

    assert desk.meter.left(payer()) == Left(tokens=850)


def test_a_call_that_took_more_than_reserved_is_charged_in_full() -> None:
    """The account is overdrawn by exactly the difference, and nothing more is let through."""
    desk = Desk(ceilings=Ceilings(run=tokens(1_000)))

    call = desk.reserve(payer(), 500, 500).settle(Usage(input=900, output=600), seconds=1.0)

    assert call.usage.tokens == 1_500
    assert desk.meter.left(payer()) == Left(tokens=0)
    assert "1,500 of 1,000 tokens spent" in str(desk.refused(payer(), 1))


def test_a_reservation_is_for_the_dearest_that_a_cache_may_make_of_it() -> None:
    """All input is reserved as if it were written into the cache for an hour."""
    desk = Desk()

    assert desk.reserve(payer(), 1_000_000, 100_000).dollars == Decimal(5)
    assert desk.reserve(payer(), 200_000, model="claude-haiku-5-5").dollars == Decimal("0.2")


def test_accounts_are_apart() -> None:
    """What one job or station spent does not count for another; the run pays for both."""
    limits = {StationName("api"): tokens(1_000), StationName("web"): tokens(1_000)}
    desk = Desk(ceilings=Ceilings(stations=limits, run=tokens(2_500)))
    small = tokens(700)

    desk.call(payer("a", "api", budget=small), 700)

    assert desk.refused(payer("a", "web", budget=small), 1).account == "job"
    assert desk.refused(payer("b", "api", budget=small), 301).account == "station"
    desk.call(payer("b", "api", budget=small), 300)
    desk.call(payer("c", "web", budget=tokens(1_000)), 1_000)
    assert desk.refused(payer("d", "other"), 501).account == "run"


def test_what_is_left_is_the_tightest_of_all_accounts() -> None:
    """An agent is told the least that any of its accounts still bears, net of calls in flight."""
    ceilings = Ceilings(
        run=Budget(tokens=10_000, dollars=Decimal(1)),
        day=dollars("0.5"),
        stations={StationName("api"): tokens(5_000)},
    )
    desk = Desk(ceilings=ceilings)

    assert Desk().meter.left(payer()) == Left()
    assert desk.meter.left(payer()) == Left(tokens=5_000, dollars=Decimal("0.5"))

    desk.call(payer(), 1_000)
    desk.reserve(payer(), 500)

    assert desk.meter.left(payer(budget=tokens(2_000))) == Left(
        tokens=500, dollars=Decimal("0.494")
    )
    assert desk.meter.left(payer("b", "web")) == Left(tokens=8_500, dollars=Decimal("0.494"))


def test_a_day_ends_at_midnight_utc() -> None:
    """The day's account begins anew, the run's does not; a call counts for the day it began in."""
    desk = Desk(ceilings=Ceilings(day=tokens(1_000), run=tokens(2_600)))
    desk.now = NOON + DAY / 2 - 1
    late = desk.reserve(payer(), 400)
    desk.call(payer(), 600)
    assert desk.refused(payer(), 1).account == "day"

    desk.now += 1
    call = late.settle(Usage(input=900), seconds=2.0)

    assert call.at == NOON + DAY / 2 - 1
    assert desk.meter.left(payer()) == Left(tokens=1_000)
    desk.call(payer(), 1_000)
    assert desk.refused(payer(), 1).account == "day"
    desk.now += DAY
    desk.call(payer(), 100)
    assert desk.refused(payer(), 1).account == "run"


def test_a_retry_pays_again_from_the_same_accounts() -> None:
    """A call that broke off is charged by what it took, and the next try like any other."""
    desk = Desk(ceilings=Ceilings(run=tokens(1_000)))
    with desk.reserve(payer(), 500) as broken:
        broken.settle(Usage(input=500), seconds=1.0, ended="incomplete", estimated=True)

    desk.call(payer(), 500)

    assert [call.ended for call in desk.calls] == ["incomplete", "good"]
    assert [call.basis for call in desk.calls] == [Basis.ESTIMATED, Basis.EXACT]
    assert desk.meter.left(payer()) == Left(tokens=0)


def test_a_reservation_that_is_left_open_is_released() -> None:
    """An error before anything was sent costs nothing."""
    desk = Desk(ceilings=Ceilings(run=tokens(1_000)))

    with pytest.raises(KeyError), desk.reserve(payer(), 1_000):
        raise KeyError

    assert desk.meter.left(payer()) == Left(tokens=1_000)
    assert desk.calls == []


@pytest.mark.parametrize(
    "again", [Reservation.release, lambda held: held.settle(Usage(), seconds=0.0)]
)
def test_a_reservation_ends_once(again: Callable[[Reservation], Any]) -> None:
    """To settle or release twice is a bug and changes no account."""
    desk = Desk(ceilings=Ceilings(run=tokens(1_000)))
    held = desk.reserve(payer(), 600)
    held.settle(Usage(input=100), seconds=1.0)

    with pytest.raises(RuntimeError, match="only once"):
        again(held)

    assert desk.meter.left(payer()) == Left(tokens=900)
    assert len(desk.calls) == 1


@pytest.mark.parametrize(
    ("ceilings", "budget", "account"),
    [
        (Ceilings(), dollars("5"), "job"),
        (Ceilings(stations={StationName("api"): dollars("5")}), NONE, "station"),
        (Ceilings(run=dollars("5")), NONE, "run"),
        (Ceilings(day=dollars("5")), NONE, "day"),
    ],
)
def test_a_model_without_a_price_cannot_be_paid_in_dollars(
    ceilings: Ceilings, budget: Budget, account: str
) -> None:
    """It is refused before the call, and the error names the model, the account and the remedy."""
    desk = Desk(ceilings=ceilings)

    with pytest.raises(ModelError, match='"mystery-1" has no price') as found:
        desk.reserve(payer(budget=budget), 10, model="mystery-1")

    assert (found.value.cause, found.value.account) == ("budget", account)
    assert "5.00 dollars" in str(found.value)
    assert "in tokens" in str(found.value)
    assert "[models]" in str(found.value)


def test_a_model_without_a_price_can_be_paid_in_tokens() -> None:
    """Its cost is unknown, not zero; its tokens count."""
    desk = Desk(ceilings=Ceilings(run=tokens(100)))

    call = desk.reserve(payer(), 100, model="mystery-1").settle(Usage(input=60), seconds=1.0)

    assert (call.dollars, call.basis) == (None, Basis.UNKNOWN)
    assert desk.meter.left(payer()) == Left(tokens=40)
    assert desk.meter.spent_by(payer()).dollars is None


def test_a_price_of_the_users_own_lifts_the_refusal() -> None:
    """The remedy that the refusal names works."""
    own = {"mystery-1": Price.flat(tokens_in=Decimal(1), tokens_out=Decimal(4))}
    desk = Desk(ceilings=Ceilings(run=dollars("5")), prices=Prices.load(own))

    held = desk.reserve(payer(), 1_000_000, 250_000, model="mystery-1")

    assert held.dollars == 2


def test_the_name_of_a_model_is_hostile() -> None:
    """An agent may ask for any name: it shows as one short printable line."""
    desk = Desk(ceilings=Ceilings(run=dollars("5")))

    with pytest.raises(ModelError) as found:
        desk.reserve(payer(), 1, model="\x1b[31mx\n" + "y" * 5_000 + "\ud800")

    assert str(found.value).isprintable()
    assert len(str(found.value)) < 400


def test_an_answer_of_this_machine_costs_nobody() -> None:
    """A loopback provider is charged by the same arithmetic and called synthetic."""
    desk = Desk(ceilings=Ceilings(run=dollars("5")))

    call = desk.reserve(payer(), 1_000, provider=LOCAL).settle(Usage(input=1_000), seconds=1.0)

    assert (call.dollars, call.basis) == (Decimal("0.002"), Basis.SYNTHETIC)
    assert desk.meter.left(payer()).dollars == Decimal("4.998")


def test_no_figure_of_a_provider_enriches_an_account() -> None:
    """Negative tokens count as none, absurd ones are cut to what can be kept and summed."""
    desk = Desk(ceilings=Ceilings(run=tokens(1_000)))

    call = desk.reserve(payer(), 10).settle(
        Usage(input=-5_000, output=7, cache_read=-1, cache_write_5m=10**40), seconds=1.0
    )

    assert call.usage == Usage(output=7, cache_write_5m=10**12)
    assert desk.refused(payer(), 1).account == "run"
    with pytest.raises(ValueError, match="no fewer than 0"):
        desk.reserve(payer(), -1)


def test_warnings_are_given_once_each() -> None:
    """At 50, 75 and 90 % of what is settled a line names the account and its figures."""
    desk = Desk(ceilings=Ceilings(run=tokens(1_000)))
    held = desk.reserve(payer(), 500)
    assert desk.warnings == []
    held.settle(Usage(input=499), seconds=1.0)
    assert desk.warnings == []

    for size in (1, 0, 100, 200, 150, 50):
        desk.call(payer(), size)

    assert desk.warnings == [
        "50 % of the budget of this run is spent: 500 of 1,000 tokens",
        "75 % of the budget of this run is spent: 800 of 1,000 tokens",
        "90 % of the budget of this run is spent: 950 of 1,000 tokens",
    ]


def test_a_leap_over_several_marks_warns_once() -> None:
    """Only the highest mark is told, per account, of tokens or dollars, whichever is ahead."""
    who = payer(budget=Budget(tokens=1_000_000, dollars=Decimal("0.10")))
    desk = Desk(ceilings=Ceilings(day=tokens(10_000)))

    desk.call(who, 0, 8_000)

    job, day = desk.warnings
    assert job.startswith("75 % of the budget of job a is spent: 0.0800 of 0.1000 dollars and ")
    assert job.endswith(" 8,000 of 1,000,000 tokens")
    assert day == "75 % of the budget of this day (UTC) is spent: 8,000 of 10,000 tokens"


def test_a_restart_knows_what_was_spent() -> None:
    """Calls of before fill the same accounts; their warnings are not given again."""
    ceilings = Ceilings(
        run=tokens(1_000), day=tokens(5_000), stations={StationName("api"): tokens(900)}
    )
    before = Desk(ceilings=ceilings)
    who = payer(budget=tokens(700))
    before.call(who, 300, 200)
    other = replace(before.calls[0], run=RunId("other"), usage=Usage(input=3_990))
    yesterday = replace(other, at=NOON - DAY)

    after = Desk(ceilings=ceilings, spent=(*before.calls, other, yesterday))

    assert after.meter.left(who) == Left(tokens=200)
    assert after.meter.left(payer("b")) == Left(tokens=400)
    assert after.meter.left(payer("b", "web")) == Left(tokens=500)
    assert after.meter.left(replace(payer(), run=RunId("new"))) == Left(tokens=510)
    assert after.meter.spent_by(who).usage.tokens == 500
    after.call(who, 10)
    assert after.warnings == [
        "90 % of the budget of this day (UTC) is spent: 4,500 of 5,000 tokens"
    ]


def test_an_attempt_knows_what_it_took() -> None:
    """What an attempt spent is apart from what its job spent in other attempts."""
    desk = Desk()
    desk.call(payer(), 100, 10)
    desk.call(payer(), 100, 10)
    desk.call(payer(attempt=2), 7)

    spent = desk.meter.spent_by(payer())

    assert (spent.usage.requests, spent.usage.tokens) == (2, 220)
    assert spent.dollars == Decimal("0.001")
    assert (spent.spend.tokens_in, spent.spend.tokens_out) == (200, 20)
    assert desk.meter.spent_by(payer(attempt=3)).dollars == 0


def test_a_call_is_on_record_at_its_most_before_it_is_sent() -> None:
    """A call that begins is held as lost and in full; what it really took replaces that."""
    desk = Desk()
    held = desk.reserve(payer(), 1_000, 500)
    assert not desk.record.held

    held.begin()

    (most,) = desk.record.held.values()
    assert (most.usage, most.dollars) == (Usage(input=1_000, output=500, requests=1), held.dollars)
    assert (most.ended, most.basis, most.at, most.prices) == (
        LOST,
        Basis.ESTIMATED,
        NOON,
        PRICES.version,
    )
    assert not desk.calls

    call = held.settle(Usage(input=10, output=5), seconds=1.0)

    assert (desk.calls, desk.record.held) == ([call], {})


def test_a_call_that_began_and_cost_nothing_leaves_no_record() -> None:
    """What a provider refused is given back, on record too."""
    desk = Desk(ceilings=Ceilings(run=tokens(1_000)))

    with desk.reserve(payer(), 1_000) as held:
        held.begin()
        held.release()

    assert (desk.calls, desk.record.held) == ([], {})
    assert desk.meter.left(payer()) == Left(tokens=1_000)


def test_a_call_that_is_left_in_the_middle_is_charged_in_full() -> None:
    """After an error that nobody foresaw nobody knows what the provider took: all of it counts."""
    desk = Desk(ceilings=Ceilings(run=tokens(1_000)))

    held = desk.reserve(payer(), 600, 300)

    def broken() -> None:
        with held:
            held.begin()
            raise KeyError

    with pytest.raises(KeyError):
        broken()

    (call,) = desk.calls
    assert (call.ended, call.basis, call.usage.tokens) == (LOST, Basis.ESTIMATED, 900)
    assert call.dollars == held.dollars
    assert not desk.record.held
    assert desk.meter.left(payer()) == Left(tokens=100)


def test_a_call_that_cannot_be_put_on_record_is_not_made() -> None:
    """A full disk refuses the call before it is sent, and no account is charged."""

    class Full(Listed):
        @override
        def hold(self, most: Call) -> int:
            raise ModelError("denied", "disk full")

    desk = Desk(ceilings=Ceilings(run=tokens(100)), record=Full())

    with pytest.raises(ModelError, match="disk full"), desk.reserve(payer(), 100) as held:
        held.begin()

    assert desk.meter.left(payer()) == Left(tokens=100)


@pytest.mark.parametrize(
    ("model", "provider", "basis", "dollars"),
    [("mystery-1", PROVIDER, Basis.UNKNOWN, None), (MODEL, LOCAL, Basis.SYNTHETIC, 0)],
)
def test_a_lost_call_says_what_its_figure_rests_on(
    model: str, provider: Provider, basis: Basis, dollars: int | None
) -> None:
    """Without a price nothing is known of it, and nobody paid a server on this machine."""
    desk = Desk()

    desk.reserve(payer(), provider=provider, model=model).begin()

    (most,) = desk.record.held.values()
    assert (most.basis, most.dollars) == (basis, dollars)


def test_a_call_is_charged_even_if_it_cannot_be_recorded() -> None:
    """A full disk is told to the caller, and the account still knows that money was spent."""

    class Full(Listed):
        @override
        def settle(self, call: Call, held: int | None) -> None:
            raise OSError("disk full")

    meter = Meter(
        prices=PRICES,
        ceilings=Ceilings(run=tokens(100)),
        now=lambda: NOON,
        record=Full(),
        warn=print,
    )
    held = meter.reserve(payer(), PROVIDER, MODEL, tokens_in=100, tokens_out=0)

    with pytest.raises(OSError, match="disk full"):
        held.settle(Usage(input=40), seconds=1.0)

    assert meter.left(payer()) == Left(tokens=60)


def test_a_call_waits_for_what_others_may_give_back() -> None:
    """With a stop event, a call that only calls in flight forbid waits until they are settled."""
    desk = Desk(ceilings=Ceilings(run=tokens(1_000)))
    held = desk.reserve(payer(), 800)
    got: list[Reservation] = []

    def wait() -> None:
        got.append(
            desk.meter.reserve(
                payer("b"),
                PROVIDER,
                MODEL,
                tokens_in=500,
                tokens_out=0,
                stop=threading.Event(),
            )
        )

    thread = threading.Thread(target=wait)
    thread.start()
    thread.join(0.05)
    assert not got

    held.settle(Usage(input=100), seconds=1.0)
    thread.join(10)

    assert got[0].tokens == 500
    assert desk.meter.left(payer()) == Left(tokens=400)


def test_a_call_does_not_wait_for_what_is_gone() -> None:
    """What can never fit is refused at once, whoever else is in flight."""
    desk = Desk(ceilings=Ceilings(run=tokens(1_000)))
    desk.call(payer(), 600)
    desk.reserve(payer(), 300)

    with pytest.raises(ModelError) as found:
        desk.meter.reserve(
            payer(), PROVIDER, MODEL, tokens_in=500, tokens_out=0, stop=threading.Event()
        )

    assert (found.value.cause, found.value.account) == ("budget", "run")


def test_a_call_that_waits_can_be_stopped() -> None:
    """The stop event ends the wait and nothing is held."""
    desk = Desk(ceilings=Ceilings(run=tokens(1_000)))
    desk.reserve(payer(), 800)
    stop = threading.Event()
    threading.Timer(0.05, stop.set).start()

    with pytest.raises(ModelError) as found:
        desk.meter.reserve(payer(), PROVIDER, MODEL, tokens_in=500, tokens_out=0, stop=stop)

    assert found.value.cause == "stopped"
    assert desk.meter.left(payer()) == Left(tokens=200)


JOBS = st.sampled_from(("a", "b"))
SIZES = st.integers(0, 400)
USED = st.builds(
    Usage, input=SIZES, output=SIZES, cache_read=SIZES, cache_write_5m=SIZES, cache_write_1h=SIZES
)
ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("reserve"), JOBS, st.sampled_from(("api", "web")), SIZES, SIZES),
        st.tuples(st.just("settle"), st.integers(0, 5), USED),
        st.tuples(st.just("exact"), st.integers(0, 5)),
        st.tuples(st.just("release"), st.integers(0, 5)),
        st.tuples(st.just("pass"), st.sampled_from((1.0, DAY / 2))),
    ),
    max_size=60,
)
LIMITS = st.builds(
    Budget,
    tokens=st.none() | st.integers(0, 4_000),
    dollars=st.none() | st.decimals("0", "0.02", places=6),
)


def over(budget: Budget, calls: list[tuple[Call, Reservation]]) -> tuple[int, Decimal]:
    """Give by how much calls overdrew a budget."""
    took = sum(call.usage.tokens for call, _ in calls)
    cost = sum((call.dollars or Decimal(0) for call, _ in calls), Decimal(0))
    return (
        max(0, took - budget.tokens) if budget.tokens is not None else 0,
        max(Decimal(0), cost - budget.dollars) if budget.dollars is not None else Decimal(0),
    )


@settings(max_examples=150, deadline=None)
@given(job=LIMITS, station=LIMITS, run=LIMITS, day=LIMITS, actions=ACTIONS, honest=st.booleans())
def test_no_account_is_overdrawn(
    *,
    job: Budget,
    station: Budget,
    run: Budget,
    day: Budget,
    actions: list[tuple[Any, ...]],
    honest: bool,
) -> None:
    """Overshoot is at most what calls took beyond their reservations: 0 when those are honest."""
    limits: Mapping[StationName, Budget] = {StationName("api"): station}
    desk = Desk(ceilings=Ceilings(run=run, day=day, stations=limits))
    open_: list[Reservation] = []
    done: list[tuple[Call, Reservation]] = []
    for action in actions:
        match action:
            case ("reserve", who, at, size_in, size_out):
                with suppress(ModelError):
                    open_.append(desk.reserve(payer(who, at, budget=job), size_in, size_out))
            case ("settle", n, usage) if open_ and not honest:
                held = open_.pop(n % len(open_))
                done.append((held.settle(usage, seconds=1.0), held))
            case ("exact" | "settle", n, *_) if open_:
                held = open_.pop(n % len(open_))
                done.append(
                    (held.settle(Usage(cache_write_1h=held.tokens // 2), seconds=1.0), held)
                )
            case ("release", n) if open_:
                open_.pop(n % len(open_)).release()
            case ("pass", seconds):
                desk.now += seconds
            case _:
                pass

        accounts = [
            (run, done),
            *((job, [d for d in done if d[0].job == name]) for name in ("a", "b")),
            (station, [d for d in done if d[0].station == "api"]),
            *(
                (day, [d for d in done if int(d[0].at // DAY) == which])
                for which in {int(call.at // DAY) for call, _ in done}
            ),
        ]
        for budget, calls in accounts:
            excess = sum(max(0, call.usage.tokens - held.tokens) for call, held in calls)
            dearer = sum(
                (
                    max(Decimal(0), (call.dollars or Decimal(0)) - held.dollars)
                    for call, held in calls
                ),
                Decimal(0),
            )
            beyond = over(budget, calls)
            assert beyond[0] <= excess
            assert beyond[1] <= dearer
    assert desk.calls == [call for call, _ in done]
    for held in open_:
        held.release()
    assert desk.meter.left(payer("c", "other")) == left(run, day, done, desk.now)


def left(run: Budget, day: Budget, done: list[tuple[Call, Reservation]], now: float) -> Left:
    """Reckon what a new job has left, from the calls alone."""
    today = [d for d in done if int(d[0].at // DAY) == int(now // DAY)]
    rest_tokens, rest_dollars = [], []
    for budget, calls in ((run, done), (day, today)):
        if budget.tokens is not None:
            rest_tokens.append(max(0, budget.tokens - sum(c.usage.tokens for c, _ in calls)))
        if budget.dollars is not None:
            cost = sum((c.dollars or Decimal(0) for c, _ in calls), Decimal(0))
            rest_dollars.append(max(Decimal(0), budget.dollars - cost))
    return Left(tokens=min(rest_tokens, default=None), dollars=min(rest_dollars, default=None))


@pytest.mark.parametrize("waiting", [False, True])
def test_fifty_agents_at_once_never_overdraw(*, waiting: bool) -> None:
    """Fifty real threads spend one budget down: overshoot 0, sums exact, and it is used up."""
    limit, tokens_in, tokens_out = Decimal("2.00"), 3_000, 1_000
    desk = Desk(ceilings=Ceilings(run=Budget(dollars=limit)))
    start, lock = threading.Barrier(50), threading.Lock()
    refused: list[ModelError] = []
    lowest = [Decimal(limit)]

    def agent(number: int) -> None:
        stop = threading.Event() if waiting else None
        who = payer(f"job-{number}")
        start.wait(10)
        try:
            for turn in range(1_000):
                held = desk.meter.reserve(
                    who, PROVIDER, MODEL, tokens_in=tokens_in, tokens_out=tokens_out, stop=stop
                )
                rest = desk.meter.left(who).dollars
                with lock:
                    lowest[0] = min(lowest[0], rest if rest is not None else Decimal(-1))
                if turn % 7 == 0:
                    held.release()
                else:
                    used_out = (number * 37 + turn * 11) % (tokens_out + 1)
                    held.settle(Usage(cache_write_1h=tokens_in, output=used_out), seconds=0.1)
        except ModelError as error:
            with lock:
                refused.append(error)

    threads = [threading.Thread(target=agent, args=(n,), daemon=True) for n in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    total = sum((call.dollars or Decimal(0) for call in desk.calls), Decimal(0))
    assert [error.cause for error in refused] == ["budget"] * 50
    assert total <= limit
    assert desk.meter.left(payer()).dollars == limit - total
    assert lowest[0] >= 0
    assert sum(desk.meter.spent_by(payer(f"job-{n}")).usage.tokens for n in range(50)) == sum(
        call.usage.tokens for call in desk.calls
    )
    assert len(desk.warnings) == 3
    if waiting:
        assert limit - total < PRICES.rows[MODEL][0].most(tokens_in, tokens_out)


def test_no_call_begins_once_the_time_of_a_run_is_up() -> None:
    """A call under way is settled; the next one is refused, with what goes on from there."""
    desk = Desk(ceilings=Ceilings(run=Budget(seconds=300.0), until=NOON + 300))
    held = desk.reserve(payer(), 10)
    desk.now += 300

    error = desk.refused(payer(), 10)

    assert error.account == "run"
    assert "the 5 minutes of this run are up; `factory resume`" in str(error)
    held.settle(Usage(input=10), seconds=300.0)
    assert len(desk.calls) == 1


def test_a_day_has_so_many_minutes_of_calls() -> None:
    """The time of all calls of a day adds up, is warned of, and is refused when it is spent."""
    desk = Desk(ceilings=Ceilings(day=Budget(seconds=120.0)))

    desk.reserve(payer("a")).settle(Usage(input=1), seconds=61.0)
    first = desk.reserve(payer("b"))
    first.settle(Usage(input=1), seconds=60.0)

    assert desk.warnings == [
        "50 % of the budget of this day (UTC) is spent: 1.0 of 2 minutes",
        "90 % of the budget of this day (UTC) is spent: 2.0 of 2 minutes",
    ]
    error = desk.refused(payer("c"), 1)
    assert error.account == "day"
    assert "2.0 of 2 minutes of calls; raise `day` in [line]" in str(error)
    assert Desk(ceilings=desk.ceilings, spent=tuple(desk.calls)).refused(payer()).account == "day"
    desk.now += DAY
    desk.reserve(payer("c"), 1)


def test_the_time_of_jobs_and_stations_is_not_that_of_their_calls() -> None:
    """Their minutes are of work, and are kept by whoever starts it."""
    limits = {StationName("api"): Budget(seconds=1.0)}
    desk = Desk(ceilings=Ceilings(stations=limits))
    who = payer(budget=Budget(seconds=1.0))

    desk.reserve(who).settle(Usage(input=1), seconds=60.0)

    desk.reserve(who)
    assert desk.warnings == []
