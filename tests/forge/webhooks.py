"""GitHub's own examples of webhooks, as an Action's event file holds them."""

import json
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from tests.run import ROOT

FILE: Final = ROOT / "tests" / "forge" / "webhooks.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One delivery: the name of its event and its payload."""

    event: str
    payload: dict[str, Any]


@cache
def examples() -> tuple[Example, ...]:
    """Give all of them; they are inputs to be survived, not an oracle."""
    held = json.loads(FILE.read_text())["examples"]
    return tuple(Example(event=one["event"], payload=one["payload"]) for one in held)
