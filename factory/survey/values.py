"""What a survey knows: items of a forge, why each was chosen, what each was found to be.

Every text in them is hostile data: cleaned of what does not show, believed in nothing.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal

from stations.contract import Spend

ItemKind = Literal["issue", "pull"]
ItemState = Literal["open", "closed", "merged"]
ReasonKind = Literal["seed", "words", "pieces", "search", "link", "files", "labels", "recent"]
LinkKind = Literal["mentions", "closes", "duplicate", "connected", "files"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """An issue or a pull request as the mirror holds it, its body cleaned and cut.

    What only a pull request has is there once it was a candidate; ``files`` are of ``head_sha``.
    """

    number: int
    kind: ItemKind
    title: str
    body: str
    state: ItemState
    author: str
    association: str
    labels: tuple[str, ...]
    created: datetime
    updated: datetime
    url: str
    comments: int
    draft: bool = False
    head_sha: str = ""
    head_ref: str = ""
    head_repo: str = ""
    files: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """A comment on an item, cleaned and cut like its body."""

    id: int
    author: str
    association: str
    body: str
    created: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One signal that speaks for an item; ``said`` is it in words."""

    kind: ReasonKind
    points: float
    said: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """What an item has to do with another one."""

    kind: LinkKind
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """An item with what speaks for it; ``distance`` is None where no link leads to a seed."""

    item: Item
    score: float
    reasons: tuple[Reason, ...]
    distance: int | None
    links: tuple[Link, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """All that was scored, the best first; when not ``complete``, ``why`` says what is missing."""

    candidates: tuple[Candidate, ...]
    seeds: tuple[int, ...]
    queries: tuple[str, ...]
    complete: bool
    why: str
    requests: int
    waited: float


class Class(StrEnum):
    """What an item is among the others."""

    CANONICAL = "canonical"
    DUPLICATE = "duplicate"
    SUPERSEDED = "superseded"
    FIXED_BY_CANDIDATE = "fixed_by_candidate"
    RELATED = "related"
    INDEPENDENT = "independent"
    SECURITY = "security"
    NEEDS_HUMAN = "needs_human"
    UNCLASSIFIED = "unclassified"


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """Words of an item's stored text; ``source`` is `title`, `body` or `comment:ID`."""

    source: str
    quote: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What an item is, and what shows it; ``of`` is what it duplicates or is fixed by."""

    number: int
    verdict: Class
    cause: str | None
    of: int | None
    confidence: float
    evidence: tuple[Quote, ...]
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """A root cause of some of the items; its ``id`` is `rc-1`, `rc-2`, ..."""

    id: str
    statement: str
    files: tuple[str, ...]
    symbols: tuple[str, ...]
    items: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """An item that was scored and not kept."""

    number: int
    title: str
    score: float
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """A survey as its document holds it: ``candidates`` are those kept, ``findings`` theirs.

    ``asked`` counts the items that were read twice, of which ``agreement`` is the part that was
    read alike; ``calls`` are those to the model, and ``basis`` is what their dollars rest on.
    """

    repo: str
    query: str
    seeds: tuple[int, ...]
    created: datetime
    complete: bool
    why: str
    theme: str
    classified: bool
    model: str
    asked: int
    agreement: float | None
    requests: int
    waited: float
    spend: Spend
    candidates: tuple[Candidate, ...]
    findings: tuple[Finding, ...]
    causes: tuple[Cause, ...]
    quarantined: tuple[tuple[int, str], ...]
    left_out: tuple[LeftOut, ...]
    calls: int = 0
    basis: str | None = None
