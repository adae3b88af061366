"""The shape of a survey's document, as it is published and as strictly as it is read."""

from typing import Annotated, Final, Literal

from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict

from factory.survey.values import Class, ItemKind, ItemState, LinkKind, ReasonKind

SCHEMA: Final = "factory.survey/1"
_STRICT: Final = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)


Number = Annotated[int, Field(ge=1, le=10**9)]
Text = Annotated[str, Field(max_length=2_000)]
Texts = Annotated[list[Text], Field(max_length=5_000)]
Moment = Annotated[str, Field(max_length=40)]
CauseId = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
Share = Annotated[float, Field(ge=0, le=1)]


@with_config(_STRICT)
class ReasonRow(TypedDict):
    """One signal that spoke for an item."""

    kind: ReasonKind
    points: float
    said: Text


@with_config(_STRICT)
class LinkRow(TypedDict):
    """What an item has to do with another one."""

    kind: LinkKind
    n: Number


@with_config(_STRICT)
class QuoteRow(TypedDict):
    """Words of an item; ``source`` is `title`, `body` or `comment:ID`."""

    source: Text
    quote: Text


_Classed = TypedDict("_Classed", {"class": Class})


@with_config(_STRICT)
class ItemRow(_Classed):
    """One item that was kept, and what it was found to be; ``of`` is what that class names."""

    n: Number
    kind: ItemKind
    title: Text
    state: ItemState
    draft: bool
    author: Text
    association: Text
    labels: Texts
    created_at: Moment
    updated_at: Moment
    comments: Annotated[int, Field(ge=0)]
    head_sha: Annotated[str, Field(pattern=r"^([0-9a-f]{40}([0-9a-f]{24})?)?$")]
    head_ref: Text
    head_repo: Text
    url: Annotated[str, Field(pattern=r"^(https?://[A-Za-z0-9_.:/%~+-]{1,500})?$")]
    score: float
    distance: Annotated[int, Field(ge=0)] | None
    reasons: list[ReasonRow]
    links: list[LinkRow]
    files: Texts
    of: Number | None
    root_cause_id: CauseId | None
    confidence: Share
    evidence: list[QuoteRow]
    why: Text


@with_config(_STRICT)
class CauseRow(TypedDict):
    """A root cause, with the numbers of its items."""

    id: CauseId
    statement: Text
    files: Texts
    symbols: Texts
    items: list[Number]


@with_config(_STRICT)
class ApartRow(TypedDict):
    """An item that was set aside for a maintainer; nothing of its text is told."""

    n: Number
    why: Text


@with_config(_STRICT)
class LeftOutRow(TypedDict):
    """An item that was scored and not kept."""

    n: Number
    title: Text
    score: float
    why: Text


@with_config(_STRICT)
class SurveySpendRow(TypedDict):
    """What the calls to the model took; ``usd`` is a decimal as text, or null when unknown."""

    tokens_in: Annotated[int, Field(ge=0)]
    tokens_out: Annotated[int, Field(ge=0)]
    tokens_cached: Annotated[int, Field(ge=0)]
    usd: Annotated[str, Field(pattern=r"^\d{1,12}(\.\d{1,20})?$")] | None
    basis: Text | None
    calls: Annotated[int, Field(ge=0)]


@with_config(_STRICT)
class SurveyDocument(TypedDict):
    """`factory.survey/1`: what a repository's items about one theme are, and why."""

    schema: Literal["factory.survey/1"]
    repo: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,100}/[A-Za-z0-9_.-]{1,100}$")]
    query: Text
    seeds: list[Number]
    created: Moment
    complete: bool
    why: Text
    theme: Text
    classified: bool
    model: Text
    asked: Annotated[int, Field(ge=0)]
    agreement: Share | None
    requests: Annotated[int, Field(ge=0)]
    waited: Annotated[float, Field(ge=0)]
    spend: SurveySpendRow
    items: Annotated[list[ItemRow], Field(max_length=500)]
    root_causes: list[CauseRow]
    quarantined: list[ApartRow]
    left_out: list[LeftOutRow]
