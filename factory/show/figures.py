"""What is drawn of a run, as values: its documents, who worked when, what was spent by when."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from factory.views.schemas import BalanceDocument, InboxRow, ModelRow, StatusDocument

How = Literal["work", "good", "bad", "wait", "cut"]
"""How a span of time ended: it goes on, well, badly, at a person, or it was cut short."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Some seconds of one station for these jobs; ``end`` is None while they go on.

    Times are seconds since the run began; time in which nobody worked on it does not count.
    """

    station: str
    jobs: tuple[str, ...]
    begin: float
    end: float | None
    how: How
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """So many jobs went from one station to the next."""

    start: str
    end: str
    times: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What was spent by one time: tokens, and dollars that a provider counts or we impute."""

    at: float
    tokens: int
    billed: float
    imputed: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Money:
    """What a run has cost: ``billed`` by a provider, ``imputed`` by us, calls without a price."""

    tokens: int = 0
    billed: float = 0.0
    imputed: float = 0.0
    calls: int = 0
    unpriced: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Everything that is drawn of one run at one position of the ledger."""

    seq: int
    began: float
    """When the run began, in seconds since the epoch."""
    seconds: float
    """How long it was worked on, up to now."""
    status: StatusDocument
    balance: BalanceDocument
    spans: tuple[Span, ...]
    settled: Mapping[str, float]
    """When each job that has ended did, in seconds of the run."""
    flows: tuple[Flow, ...]
    spent: tuple[Spent, ...]
    money: Money
    models: tuple[ModelRow, ...]
    inbox: tuple[InboxRow, ...]

    @property
    def order(self) -> str | None:
        """Give the command that would ease the constraint; None where there is none."""
        rows = {row["name"]: row["kind"] for row in self.balance["stations"]}
        found = [row["apply"] for row in self.balance["options"] if row["apply"]]
        if self.inbox and rows.get(self.limiting or "") == "you":
            return "factory inbox"
        return found[0] if found else None

    @property
    def limiting(self) -> str | None:
        """Give the station that limits the line; None while it is too early to say."""
        known = [row for row in self.balance["stations"] if row["odds"] is not None]
        return max(known, key=lambda row: row["odds"] or 0.0)["name"] if known else None
