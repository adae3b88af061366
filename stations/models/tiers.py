"""Which model a tier means: stations name tiers, never vendors."""

import re
from collections.abc import Mapping
from typing import Final

LADDER: Final = ("small", "medium", "large")
"""The tiers that a raised attempt climbs, cheapest first."""
DEFAULT_TIER: Final = "medium"
"""What an agent without a tier works with."""
DEFAULTS: Final[Mapping[str, str]] = {
    "small": "claude-haiku-5-5",
    "medium": "claude-sonnet-5-5",
    "large": "claude-opus-5-5",
}
_EFFORTLESS: Final = re.compile(r"claude-(?:haiku|sonnet|opus)-4")
"""Older models refuse to be told an effort."""


def resolve(model: str, raised: int, models: Mapping[str, str]) -> str:
    """Give the id of a model that was named by its tier, ``raised`` tiers above that one.

    ``models`` are the tiers of a configuration; one may stand for another. Only the three of the
    ladder rise; whatever is no tier is the id of a model and stays what it is.
    """
    name = model or DEFAULT_TIER
    if name in LADDER:
        name = LADDER[min(LADDER.index(name) + max(raised, 0), len(LADDER) - 1)]
    known = {**DEFAULTS, **models}
    seen: set[str] = set()
    while name in known and name not in seen:
        seen.add(name)
        name = known[name]
    return name


def names(models: Mapping[str, str]) -> tuple[str, ...]:
    """Name every tier there is, those of the ladder first."""
    return (*LADDER, *sorted(set(models) - set(LADDER)))


def effort(model: str, wanted: str) -> str | None:
    """Give the effort that a model may be told; None when it takes none."""
    return None if _EFFORTLESS.match(model) else wanted
