"""What a model call is made of, costs and counts: plain frozen values."""

from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from stations.contract import Budget, Spend
from worktrees.names import JobId, RunId, StationName


class Basis(StrEnum):
    """What a figure in dollars rests on.

    ``exact``: tokens that the provider counted, at list price. ``estimated``: tokens that were
    counted by us. ``synthetic``: answered by a server on this machine, so nobody paid.
    ``unknown``: the model has no price.
    """

    EXACT = "exact"
    ESTIMATED = "estimated"
    SYNTHETIC = "synthetic"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens of one or more calls. All input is ``input`` and the three cache figures together."""

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    requests: int = 0

    @property
    def total_input(self) -> int:
        """All tokens that went in, cached or not."""
        return self.input + self.cache_read + self.cache_write_5m + self.cache_write_1h

    @property
    def tokens(self) -> int:
        """All tokens, in and out."""
        return self.total_input + self.output

    def __add__(self, other: "Usage") -> "Usage":
        """Give the sum."""
        return Usage(
            input=self.input + other.input,
            output=self.output + other.output,
            cache_read=self.cache_read + other.cache_read,
            cache_write_5m=self.cache_write_5m + other.cache_write_5m,
            cache_write_1h=self.cache_write_1h + other.cache_write_1h,
            requests=self.requests + other.requests,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Payer:
    """On whose accounts a call is charged; ``budget`` is the whole job's."""

    run: RunId
    job: JobId
    station: StationName
    attempt: int
    budget: Budget = field(default_factory=Budget)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call that was made, as it is kept for good; ``at`` is seconds since the epoch."""

    run: RunId
    job: JobId
    station: StationName
    attempt: int
    provider: str
    model: str
    usage: Usage
    dollars: Decimal | None
    basis: Basis
    prices: str
    at: float
    seconds: float = 0.0
    ended: str = "good"

    @property
    def spend(self) -> Spend:
        """The call as part of what a job spent; its time counts with the attempt."""
        return Spend(
            tokens_in=self.usage.total_input,
            tokens_out=self.usage.output,
            tokens_cached=self.usage.cache_read,
            dollars=self.dollars,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """Where models answer. ``key`` is a secret and never shows itself; empty when there is none.

    ``proxy`` is the address of a corporate proxy, ``ca`` a file of certificates that count there.
    """

    name: str
    base_url: str
    key: str = field(default="", repr=False)
    proxy: str | None = field(default=None, repr=False)  # it may hold a password
    ca: Path | None = None

    @property
    def synthetic(self) -> bool:
        """Whether it answers on this machine: then no figure about it is about a real model."""
        host = urlsplit(self.base_url).hostname or ""
        return host == "localhost" or host.startswith("127.") or host == "::1"


Cause = Literal["budget", "provider", "denied", "limited", "incomplete", "stopped"]
"""Why a call gave no reply that may be acted on.

``budget``: an account would be overdrawn. ``provider``: it failed, and may work later. ``denied``:
it will never work like this (400, 401, 402, 403, 404, 413, 422, a spend limit). ``limited``: told
to wait longer than we wait. ``incomplete``: cut short, or its input is not valid. ``stopped``: us.
"""


class ModelError(Exception):
    """A call gave no reply that may be acted on; the message is one line without any secret."""

    def __init__(self, cause: Cause, message: str, *, account: str = "", status: int = 0) -> None:
        super().__init__(message)
        self.cause: Cause = cause
        self.account = account
        """With ``budget``: ``job``, ``station``, ``run`` or ``day``."""
        self.status = status
