"""A plan as a value: what is done about each item of a survey, by which stations, and why so.

The fields are those of its document, `factory.plan/1`, which a person may edit. Every text in it
may come from whoever wrote an issue, or from a model, and is data.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, ClassVar, Final, Literal

from pydantic import AfterValidator, ConfigDict, Field

from factory.survey.values import Class, ItemKind, ItemState, Quote
from worktrees.scope import Scope

_STRICT: Final = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

Number = Annotated[int, Field(ge=1, le=999_999_999)]
"""The number of an issue or a pull request."""
Line = Annotated[str, Field(min_length=1, max_length=400)]
Text = Annotated[str, Field(max_length=4_000)]
Told = Annotated[str, Field(min_length=1, max_length=4_000)]
Sha = Annotated[str, Field(pattern=r"^[0-9a-f]{40}(?:[0-9a-f]{24})?$")]
LOGIN: Final = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,98}(?:\[bot\])?$"
Hints = Annotated[tuple[Line, ...], Field(max_length=200)]


class Action(StrEnum):
    """What is done about an item."""

    FIX = "fix"
    COVERED = "covered"
    ALREADY_FIXED = "already-fixed"
    CLOSE_AFTER_MERGE = "close-after-merge"
    LEAVE = "leave"
    SECURITY = "security"
    HUMAN = "human"


MOST_GLOBS: Final = 300
"""A station's scope of more globs is no scope that a person has read."""
UNSTATED: Final = "[to be stated]"
"""A strategy that begins so is a template, which a person has to put into words."""
WORKED: Final = frozenset({Action.FIX, Action.COVERED})
"""The actions that need a test of their own and may close an issue."""


def _bounded(scope: Scope) -> Scope:
    if len(scope.write) + len(scope.read) > MOST_GLOBS:
        raise ValueError(f"has more than {MOST_GLOBS} globs")
    return scope


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """The test that shows an item cured, and the command that runs nothing else."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    item: Number
    test_id: Line
    command: Annotated[tuple[Annotated[str, Field(max_length=1_000)], ...], Field(max_length=64)]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanItem:
    """One issue or pull request; ``of`` is what it duplicates, or is superseded or fixed by.

    ``proof`` is a test that the repository has already, of what is said to be fixed already.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    n: Number
    kind: ItemKind
    state: ItemState
    title: Text = ""
    updated_at: datetime
    head_sha: Annotated[str, Field(pattern=r"^(?:[0-9a-f]{40}(?:[0-9a-f]{24})?)?$")] = ""
    verdict: Annotated[Class, Field(alias="class")]
    of: Number | None = None
    root_cause_id: Line | None
    confidence: Annotated[float, Field(ge=0, le=1)]
    evidence: Annotated[tuple[Quote, ...], Field(max_length=20)] = ()
    action: Action
    why: Text = ""
    proof: Acceptance | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A file of a root cause, how much speaks for it, and what does."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    path: Line
    weight: Annotated[float, Field(ge=0)]
    reasons: Hints = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RootCause:
    """What is wrong behind some of the items; ``fix`` says in two sentences what is to change."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    id: Line
    statement: Told
    files: Hints = ()
    symbols: Hints = ()
    items: Annotated[tuple[Number, ...], Field(max_length=200)]
    fix: Text = ""
    found: Annotated[tuple[Found, ...], Field(max_length=200)] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """Another way, and why it was not taken."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    what: Told
    why_not: Told


@dataclass(frozen=True, slots=True, kw_only=True)
class Strategy:
    """The one statement that all stations share."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    statement: Told
    alternatives: Annotated[tuple[Alternative, ...], Field(max_length=20)] = ()
    non_goals: Annotated[tuple[Told, ...], Field(max_length=20)] = ()
    risks: Annotated[tuple[Told, ...], Field(max_length=20)] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """What a station's job may spend; null sets no limit of that kind."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    tokens: Annotated[int, Field(ge=1)] | None = None
    usd: Annotated[Decimal, Field(gt=0, max_digits=12, decimal_places=4, strict=False)] | None = (
        None
    )
    seconds: Annotated[float, Field(gt=0)] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanStation:
    """One job of the plan: which root causes, which files, after whom, shown by which tests."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    id: Line
    root_cause_ids: Hints
    scope: Annotated[Scope, AfterValidator(_bounded)]
    depends_on: Hints = ()
    budget: Allowance
    acceptance: Annotated[tuple[Acceptance, ...], Field(max_length=200)] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How large one pull request may be."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    files: Annotated[int, Field(ge=1)]
    lines: Annotated[int, Field(ge=1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One pull request, or a stack of them; the plan's hash is put behind each branch's name."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    mode: Literal["one-pr", "stack"]
    branches: Hints
    limits: Bounds


@dataclass(frozen=True, slots=True, kw_only=True)
class Credit:
    """Whose pull request is built on (`co-author`) or replaced (`mention`); ``id`` may be unknown.

    ``commits`` are those of the pull request when the plan was made.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    login: Annotated[str, Field(pattern=LOGIN)]
    id: Annotated[int, Field(ge=1)] | None
    pr: Number
    commits: Annotated[tuple[Sha, ...], Field(max_length=250)] = ()
    how: Literal["co-author", "mention"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Closing:
    """Whether merging may close an item, and what must hold before the keyword is written."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    item: Number
    keyword: Literal["Fixes", "none"]
    gate: Text = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Aside:
    """An item that no root cause holds, and why."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    n: Number
    why: Told


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """`factory.plan/1`: one strategy for the items of a survey, as a person may edit it."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    schema: Literal["factory.plan/1"]
    repo: Line
    base_sha: Sha
    theme: Text
    created: datetime
    items: Annotated[tuple[PlanItem, ...], Field(max_length=200)]
    root_causes: Annotated[tuple[RootCause, ...], Field(max_length=200)]
    strategy: Strategy
    stations: Annotated[tuple[PlanStation, ...], Field(max_length=200)]
    waves: Annotated[tuple[Hints, ...], Field(max_length=200)]
    delivery: Delivery
    credit: Annotated[tuple[Credit, ...], Field(max_length=100)] = ()
    closing: Annotated[tuple[Closing, ...], Field(max_length=200)] = ()
    left_out: Annotated[tuple[Aside, ...], Field(max_length=400)] = ()

    def item(self, number: int) -> PlanItem:
        """Give an item by its number; KeyError when the plan has none."""
        for each in self.items:
            if each.n == number:
                return each
        raise KeyError(number)

    def cause(self, name: str) -> RootCause:
        """Give a root cause by its id; KeyError when the plan has none."""
        for each in self.root_causes:
            if each.id == name:
                return each
        raise KeyError(name)

    def worked(self) -> tuple[int, ...]:
        """Give the items that the plan's stations are to cure."""
        return tuple(each.n for each in self.items if each.action in WORKED)

    def asked(self, station: PlanStation) -> tuple[Acceptance, ...]:
        """Give the tests that a station has to write: those of items that are worked on."""
        worked = set(self.worked())
        return tuple(each for each in station.acceptance if each.item in worked)

    def running(self) -> tuple[PlanStation, ...]:
        """Give the stations with something to do, and those they stand upon."""
        known = {each.id: each for each in self.stations}
        wanted: set[str] = set()
        ahead = [each.id for each in self.stations if self._has_work(each)]
        while ahead:
            name = ahead.pop()
            if name in known and name not in wanted:
                wanted.add(name)
                ahead += known[name].depends_on
        return tuple(each for each in self.stations if each.id in wanted)

    def _has_work(self, station: PlanStation) -> bool:
        if station.acceptance:
            return bool(self.asked(station))
        # A station that shares files of others writes no test of its own.
        worked = {self.item(number).root_cause_id for number in self.worked()}
        return not worked.isdisjoint(station.root_cause_ids)

    @property
    def unstated(self) -> bool:
        """Whether nobody has put the strategy into words yet."""
        return self.strategy.statement.lstrip().startswith(UNSTATED)

    def undecided(self) -> tuple[PlanItem, ...]:
        """Give the items that wait for a person's word."""
        return tuple(each for each in self.items if each.action is Action.HUMAN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """One thing that is wrong in a plan: where it stands, what it is, what to do."""

    where: str
    what: str
    hint: str = ""


class PlanErrors(Exception):  # noqa: N818 - the name says that there may be several
    """All mistakes of a plan at once, a line for each."""

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__(
            "\n".join(
                f"{each.where}: {each.what}" + (f"; {each.hint}" if each.hint else "")
                for each in self.mistakes
            )
        )
