"""Budgets: every call is reserved before it is sent and settled by what it really took.

Four accounts pay for a call: its job, its station, its run and the UTC day it began in. A call
is refused unless all four can bear the most that it may cost together with all calls in flight;
so no account is ever overdrawn by more than what a provider took beyond a reservation. What a
call may take at most is on record before it is sent: it counts so when this process is killed.
"""

import math
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from operator import itemgetter
from types import TracebackType
from typing import Final, Literal, Protocol, Self, TypeVar

from stations.contract import Budget, Spend
from stations.models.prices import Price, Prices
from stations.models.values import Basis, Call, ModelError, Payer, Provider, Usage
from stations.ran import printable
from worktrees.names import StationName

Account = Literal["job", "station", "run", "day"]
_Amount = TypeVar("_Amount", int, float, Decimal)
WARN_AT: Final = (50, 75, 90)
"""The percentages of an account at which a warning is given, once each."""
LOST: Final = "lost"
"""How a call ended of which nobody knows how it ended: it counts as the most it could take."""
_MOST_TOKENS: Final = 10**12
_LOOK: Final = 0.2
_MINUTE: Final = 60
_NAME: Final = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceilings:
    """What may be spent beside the budget of each job; None in a budget is no limit.

    The time of jobs and stations is kept by those who start them.
    """

    run: Budget = field(default_factory=Budget)
    """Its time is over at ``until``: from then on no call begins."""
    day: Budget = field(default_factory=Budget)
    """Of a UTC day, over all runs of a repository; its time is that of all calls together."""
    stations: Mapping[StationName, Budget] = field(default_factory=dict)
    """Of one station in one run."""
    until: float | None = None
    """In seconds since the epoch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """What a new call may still take; None is no limit.

    ``account`` is the one that has the fewest dollars.
    """

    tokens: int | None = None
    dollars: Decimal | None = None
    account: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What settled calls took; dollars are None when one of them had no price."""

    usage: Usage = field(default_factory=Usage)
    dollars: Decimal | None = Decimal(0)

    @property
    def spend(self) -> Spend:
        """The same as part of what a job spent; its time counts with the attempt."""
        return Spend(
            tokens_in=self.usage.total_input,
            tokens_out=self.usage.output,
            tokens_cached=self.usage.cache_read,
            dollars=self.dollars,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Elsewhere:
    """What the calls of other runs in a day come to; one under way at the most it may take."""

    tokens: int = 0
    dollars: Decimal = Decimal(0)
    seconds: float = 0.0


class Record(Protocol):
    """Where calls are kept for good, from any thread; ModelError when that is not possible."""

    def hold(self, most: Call) -> int:
        """Keep a call that is about to be sent, at the most it may take, and name the entry."""
        ...

    def settle(self, call: Call, held: int | None) -> None:
        """Keep a call, in the place of the entry that was held for it."""
        ...

    def drop(self, held: int) -> None:
        """Forget an entry that was held: its call cost nothing."""
        ...


class Meter:
    """Reserves and settles calls, from any thread.

    ``spent`` are the calls of before: those of the runs that go on, and all of the present day that
    ``elsewhere`` does not give, which is asked again whenever the day's budget decides.
    ``now`` gives seconds since the epoch. ``record`` has made a call durable when it returns, and
    ``settle`` returns only then; ``warn`` hears one line when an account is largely spent.
    """

    def __init__(
        self,
        *,
        prices: Prices,
        ceilings: Ceilings,
        spent: Iterable[Call] = (),
        now: Callable[[], float],
        record: Record,
        warn: Callable[[str], None],
        elsewhere: Callable[[float], Elsewhere] | None = None,
    ) -> None:
        self.prices = prices
        self.ceilings = ceilings
        self._now = now
        self._record = record
        self._warn = warn
        self._elsewhere = elsewhere
        self._others: dict[str, Elsewhere] = {}
        self._changed = threading.Condition()
        self._books: dict[tuple[str, ...], _Book] = {}
        self._attempts: dict[tuple[str, ...], Spent] = {}
        for call in spent:
            self._seed(call)

    def reserve(
        self,
        payer: Payer,
        provider: Provider,
        model: str,
        *,
        tokens_in: int,
        tokens_out: int,
        stop: threading.Event | None = None,
    ) -> "Reservation":
        """Set aside the most that a call of this size may take, or raise what forbids it.

        With a ``stop`` a call that only the reservations of others forbid waits until these are
        settled; without one it is refused at once. A thread that holds a reservation must not
        wait for another one.
        """
        if tokens_in < 0 or tokens_out < 0:
            raise ValueError("a call takes no fewer than 0 tokens")
        wanted = tokens_in + tokens_out
        while True:
            at = self._now()
            price = self.prices.of(model, at)
            dollars = Decimal(0) if price is None else price.most(tokens_in, tokens_out)
            with self._changed:
                self._heed(at)
                accounts = self._accounts(payer, at)
                _refuse_late(accounts, payer, late=at >= (self.ceilings.until or math.inf))
                if price is None:
                    _refuse_unpriced(model, accounts, payer)
                refusal = _refusal(accounts, payer, wanted, dollars)
                if refusal is None:
                    for entry in accounts:
                        entry.book.hold(wanted, dollars)
                    return Reservation(
                        payer=payer,
                        provider=provider,
                        model=model,
                        price=price,
                        version=self.prices.version,
                        at=at,
                        most=Usage(input=tokens_in, output=tokens_out, requests=1),
                        dollars=dollars,
                        hold=self._record.hold,
                        close=self._close,
                    )
                if stop is None or refusal.final:
                    raise refusal.error
                if stop.is_set():
                    raise ModelError("stopped", "stopped while waiting for a place in the budget")
                self._changed.wait(_LOOK)

    def left(self, payer: Payer) -> Left:
        """Give what a new call may still take: of all its accounts, the tightest."""
        with self._changed:
            at = self._now()
            self._heed(at)
            accounts = self._accounts(payer, at)
            tokens = [
                max(0, entry.budget.tokens - entry.book.tokens - entry.book.held_tokens)
                for entry in accounts
                if entry.budget.tokens is not None
            ]
            dollars = [
                (
                    max(
                        Decimal(0),
                        entry.budget.dollars - entry.book.dollars - entry.book.held_dollars,
                    ),
                    entry.name,
                )
                for entry in accounts
                if entry.budget.dollars is not None
            ]
        fewest, account = min(dollars, default=(None, ""), key=itemgetter(0))
        return Left(tokens=min(tokens, default=None), dollars=fewest, account=account)

    def spent_by(self, payer: Payer) -> Spent:
        """Give what the settled calls of this one attempt took."""
        with self._changed:
            return self._attempts.get(_attempt(payer), Spent())

    def _close(self, reservation: "Reservation", call: Call | None) -> None:
        """Give back what a reservation held, and charge the call if there was one."""
        warnings: list[str] = []
        with self._changed:
            for entry in self._accounts(reservation.payer, reservation.at):
                entry.book.hold(-reservation.tokens, -reservation.dollars)
                if call is not None:
                    warnings += _charge(entry, call)
            if call is not None:
                self._count(call)
            self._changed.notify_all()
        if call is not None:
            self._record.settle(call, reservation.held)
        elif reservation.held is not None:
            self._record.drop(reservation.held)
        for line in warnings:
            self._warn(line)

    def _count(self, call: Call) -> None:
        before = self._attempts.get(_attempt(call), Spent())
        known = before.dollars is not None and call.dollars is not None
        self._attempts[_attempt(call)] = Spent(
            usage=before.usage + call.usage,
            dollars=(before.dollars or Decimal(0)) + (call.dollars or 0) if known else None,
        )

    def _seed(self, call: Call) -> None:
        """Charge a call of before, whose warnings were given then."""
        payer = Payer(run=call.run, job=call.job, station=call.station, attempt=call.attempt)
        for entry in self._accounts(payer, call.at):
            _charge(entry, call)
        self._count(call)

    def _heed(self, at: float) -> None:
        """Charge the day with what others have spent of it since the last look."""
        if self._elsewhere is None or self.ceilings.day == Budget():
            return
        now, day = self._elsewhere(at), _day(at)
        before = self._others.get(day, Elsewhere())
        book = self._entry("day", self.ceilings.day, day).book
        book.tokens += now.tokens - before.tokens
        book.dollars += now.dollars - before.dollars
        book.seconds += now.seconds - before.seconds
        self._others[day] = now

    def _accounts(self, payer: Payer, at: float) -> "tuple[_Entry, ...]":
        station = self.ceilings.stations.get(payer.station, Budget())
        return (
            self._entry("job", payer.budget, payer.run, payer.job),
            self._entry("station", station, payer.run, payer.station),
            self._entry("run", self.ceilings.run, payer.run),
            self._entry("day", self.ceilings.day, _day(at)),
        )

    def _entry(self, name: Account, budget: Budget, *key: str) -> "_Entry":
        book = self._books.setdefault((name, *key), _Book())
        return _Entry(name=name, budget=budget, book=book)


class Reservation:
    """What one call may take. It is settled once, or released when it costs nothing.

    As a context it releases at its end what never began, and settles in full what began and was
    left in the middle: nobody knows what the provider took for that.
    """

    __slots__ = (
        "_close",
        "_closed",
        "_hold",
        "_most",
        "_price",
        "_version",
        "at",
        "dollars",
        "held",
        "model",
        "payer",
        "provider",
    )

    def __init__(
        self,
        *,
        payer: Payer,
        provider: Provider,
        model: str,
        price: Price | None,
        version: str,
        at: float,
        most: Usage,
        dollars: Decimal,
        hold: Callable[[Call], int],
        close: Callable[["Reservation", Call | None], None],
    ) -> None:
        self.payer = payer
        self.provider = provider
        self.model = model
        self.at = at
        self.dollars = dollars
        self.held: int | None = None
        """The entry on record of a call that has begun."""
        self._most = most
        self._price = price
        self._version = version
        self._hold = hold
        self._close = close
        self._closed = threading.Lock()

    @property
    def tokens(self) -> int:
        """The most tokens that the call may take, in and out."""
        return self._most.tokens

    def begin(self) -> None:
        """Put the call on record before it is sent, so that it counts if nobody can settle it."""
        self.held = self._hold(self._lost())

    def settle(
        self, usage: Usage, *, seconds: float, ended: str = "good", estimated: bool = False
    ) -> Call:
        """Charge what the call really took, and give it once it is recorded.

        ``estimated`` says that we and not the provider counted the tokens.
        """
        self._end()
        usage = _sane(usage)
        dollars = None if self._price is None else self._price.cost(usage)
        call = self._call(usage, dollars, seconds=seconds, ended=ended, estimated=estimated)
        self._close(self, call)
        return call

    def release(self) -> None:
        """Give everything back: nothing was sent, or an error came that costs nothing."""
        self._end()
        self._close(self, None)

    def __enter__(self) -> Self:
        """Settle or release at the end what is neither."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._closed.locked():
            return
        if self.held is None:
            self.release()
            return
        self._end()
        self._close(self, self._lost())

    def _end(self) -> None:
        if not self._closed.acquire(blocking=False):
            raise RuntimeError("a reservation is settled or released only once")

    def _lost(self) -> Call:
        """Give the call as the most that it may take."""
        dollars = None if self._price is None else self.dollars
        return self._call(self._most, dollars, ended=LOST, estimated=True)

    def _call(
        self,
        usage: Usage,
        dollars: Decimal | None,
        *,
        ended: str,
        estimated: bool,
        seconds: float = 0.0,
    ) -> Call:
        return Call(
            run=self.payer.run,
            job=self.payer.job,
            station=self.payer.station,
            attempt=self.payer.attempt,
            provider=self.provider.name,
            model=self.model,
            usage=usage,
            dollars=dollars,
            basis=self._basis(estimated=estimated),
            prices=self._version,
            at=self.at,
            seconds=seconds,
            ended=ended,
        )

    def _basis(self, *, estimated: bool) -> Basis:
        if self._price is None:
            return Basis.UNKNOWN
        if self.provider.synthetic:
            return Basis.SYNTHETIC
        return Basis.ESTIMATED if estimated else Basis.EXACT


@dataclass(slots=True, kw_only=True)
class _Book:
    """One account: what is spent, and what calls in flight hold."""

    tokens: int = 0
    dollars: Decimal = Decimal(0)
    seconds: float = 0.0
    held_tokens: int = 0
    held_dollars: Decimal = Decimal(0)

    def hold(self, tokens: int, dollars: Decimal) -> None:
        self.held_tokens += tokens
        self.held_dollars += dollars


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    name: Account
    budget: Budget
    book: _Book


@dataclass(frozen=True, slots=True, kw_only=True)
class _Refusal:
    """``final`` when the call would not fit even if all others gave back what they hold."""

    error: ModelError
    final: bool


def _charge(entry: _Entry, call: Call) -> tuple[str, ...]:
    """Charge an account, and give the warning for the highest mark that this passes, if any."""
    book, before = entry.book, _part(entry)
    book.tokens += call.usage.tokens
    book.dollars += call.dollars or Decimal(0)
    book.seconds += call.seconds
    after = _part(entry)
    passed = [mark for mark in WARN_AT if before < mark <= after]
    if not passed:
        return ()
    figures = _figures(entry.budget, book.tokens, book.dollars)
    seconds = _seconds(entry)
    if seconds is not None:
        figures = " and ".join(part for part in (figures, _times(entry, seconds)) if part)
    return (f"{passed[-1]} % of {_whose(entry.name, call)} is spent: {figures}",)


def _refuse_late(accounts: tuple[_Entry, ...], payer: Payer, *, late: bool) -> None:
    """Refuse a call for which there is no time; one that is under way is not cut for that."""
    for entry in accounts:
        seconds = entry.budget.seconds
        if entry.name == "run" and late and seconds is not None:
            raise ModelError(
                "budget",
                f"the {seconds / _MINUTE:g} minutes of this run are up; `factory resume` goes on "
                f"for as long again, or {_REMEDIES['run']}",
                account="run",
            )
        of_calls = _seconds(entry)
        if of_calls is not None and entry.book.seconds >= of_calls:
            raise ModelError(
                "budget",
                f"{_whose(entry.name, payer)} is spent: {_times(entry, of_calls)} of calls; "
                f"{_REMEDIES[entry.name]}",
                account=entry.name,
            )


def _refuse_unpriced(model: str, accounts: tuple[_Entry, ...], payer: Payer) -> None:
    for entry in accounts:
        if entry.budget.dollars is not None:
            raise ModelError(
                "budget",
                f"{_named(model)} has no price, so {_whose(entry.name, payer)} of "
                f"{_money(entry.budget.dollars)} dollars cannot be kept; {_UNPRICED}",
                account=entry.name,
            )


def _refusal(
    accounts: tuple[_Entry, ...], payer: Payer, tokens: int, dollars: Decimal
) -> _Refusal | None:
    """Say which account cannot bear a call; one that never can comes before one that waits."""
    waits: _Refusal | None = None
    for entry in accounts:
        book, budget = entry.book, entry.budget
        over = _over(budget, book.tokens + tokens, book.dollars + dollars)
        if over or _over(
            budget,
            book.tokens + book.held_tokens + tokens,
            book.dollars + book.held_dollars + dollars,
        ):
            held = _figures(budget, book.held_tokens, book.held_dollars, short=True)
            in_flight = f"{held} held by calls in flight, " if book.held_tokens else ""
            error = ModelError(
                "budget",
                f"{_whose(entry.name, payer)} cannot bear the next call: "
                f"{_figures(budget, book.tokens, book.dollars)} spent, {in_flight}"
                f"up to {_figures(budget, tokens, dollars, short=True)} wanted; "
                f"{_REMEDIES[entry.name]}",
                account=entry.name,
            )
            if over:
                return _Refusal(error=error, final=True)
            waits = waits or _Refusal(error=error, final=False)
    return waits


_UNPRICED: Final = (
    "give the budget in tokens, or the model a price: "
    '[models] NAME = { id = "...", input = 1.0, output = 5.0 } (dollars for a million tokens)'
)
_REMEDIES: Final[Mapping[Account, str]] = {
    "job": "raise `budget` of its [[job]] for a new run",
    "station": "raise `budget` of its [[station]]",
    "run": "raise `budget` in [line], or give --budget",
    "day": "raise `day` in [line], or go on tomorrow (UTC)",
}


def _over(budget: Budget, tokens: int, dollars: Decimal) -> bool:
    return (budget.tokens is not None and tokens > budget.tokens) or (
        budget.dollars is not None and dollars > budget.dollars
    )


def _seconds(entry: _Entry) -> float | None:
    """Give the time that the calls of an account may take; that of the others is not of calls."""
    return entry.budget.seconds if entry.name == "day" else None


def _times(entry: _Entry, seconds: float) -> str:
    return f"{entry.book.seconds / _MINUTE:.1f} of {seconds / _MINUTE:g} minutes"


def _part(entry: _Entry) -> float:
    """Give the largest part that is spent of an account: of its tokens, its dollars, its time."""
    book, budget = entry.book, entry.budget
    return max(
        _percent(book.tokens, budget.tokens),
        _percent(book.dollars, budget.dollars),
        _percent(book.seconds, _seconds(entry)),
    )


def _percent(spent: _Amount, limit: _Amount | None) -> float:
    if limit is None:
        return 0.0
    return float(spent * 100 / limit) if limit else math.inf if spent else 0.0


def _whose(name: Account, payer: Payer | Call) -> str:
    match name:
        case "job":
            return f"the budget of job {payer.job}"
        case "station":
            return f"the budget of station {payer.station}"
        case "run":
            return "the budget of this run"
        case "day":
            return "the budget of this day (UTC)"


def _figures(budget: Budget, tokens: int, dollars: Decimal, *, short: bool = False) -> str:
    """Give figures of the kinds that a budget limits, beside their limits unless short."""
    parts: list[str] = []
    if budget.dollars is not None:
        of = "" if short else f" of {_money(budget.dollars)}"
        parts.append(f"{_money(dollars)}{of} dollars")
    if budget.tokens is not None:
        of = "" if short else f" of {budget.tokens:,}"
        parts.append(f"{tokens:,}{of} tokens")
    return " and ".join(parts)


def _money(dollars: Decimal) -> str:
    rounded = round(dollars, 2 if dollars >= 1 or not dollars else 4)
    return f"{rounded:,f}"


def _named(model: str) -> str:
    shown = printable(model[:_NAME].encode("utf-8", "replace"))
    return f'"{" ".join(shown.split())}"'


def _sane(usage: Usage) -> Usage:
    """Give what a provider says it took; no figure of its can enrich an account or break a sum."""
    return Usage(
        input=_within(usage.input),
        output=_within(usage.output),
        cache_read=_within(usage.cache_read),
        cache_write_5m=_within(usage.cache_write_5m),
        cache_write_1h=_within(usage.cache_write_1h),
        requests=_within(usage.requests),
    )


def _day(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).date().isoformat()


def _within(tokens: int) -> int:
    return min(max(tokens, 0), _MOST_TOKENS)


def _attempt(payer: Payer | Call) -> tuple[str, ...]:
    return (payer.run, payer.job, payer.station, str(payer.attempt))
