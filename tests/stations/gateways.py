"""What the tests of agents with clients of their own share: the installed programs, the meter."""

import json
import shlex
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest

from stations.contract import Budget
from stations.models.limiter import Limiter
from stations.models.meter import Ceilings, Meter
from stations.models.prices import Prices
from stations.models.values import Call, Provider
from stations.runtimes import claude_code, codex, versions
from tests.run import ROOT
from tests.stations.records import Listed

KEY = "sk-canary-5f0f6e9a7b"
"""The real key of these tests: it must be nowhere but in what leaves the proxy."""

PROGRAMS = {
    claude_code.PROGRAM: (claude_code.PACKAGE, claude_code.PINNED),
    codex.PROGRAM: (codex.PACKAGE, codex.PINNED),
}


@dataclass(slots=True, kw_only=True)
class Books:
    """A meter, and every call that it recorded."""

    meter: Meter
    calls: list[Call] = field(default_factory=list)


def books(*, run: Budget | None = None) -> Books:
    """Give a meter with real prices."""
    calls: list[Call] = []
    meter = Meter(
        prices=Prices.load(),
        ceilings=Ceilings(run=run or Budget()),
        now=lambda: 1_795_000_000.0,
        record=Listed(calls),
        warn=lambda _: None,
    )
    return Books(meter=meter, calls=calls)


def provider(url: str, name: str = "anthropic") -> Provider:
    """Give a provider that answers on this machine."""
    return Provider(name=name, base_url=url, key=KEY)


def limiter() -> Limiter:
    """Give a limiter whose pauses are as short as chance can make them."""
    return Limiter(dice=lambda: 0.0)


def installed(program: str) -> Path:
    """Give the directory of an agent's program; skips the test where its release is not there."""
    place, why = _found(program)
    if place is None:
        pytest.skip(f"{why}: run scripts/agents")
    return place


@cache
def _found(program: str) -> tuple[Path | None, str]:
    """Give where the release that a runtime was measured with is, or why it is not there."""
    package, pinned = PROGRAMS[program]
    why = f"{program} {pinned} is not installed"
    for place in (ROOT / ".agents" / "bin", Path("/usr/local/bin"), Path("/usr/bin")):
        if (place / program).exists():
            found = versions.probe(program, package=package, pinned=pinned, path=str(place))
            if found.version == pinned:
                return place, ""
            why = found.detail
    return None, why


def stand_in(at: Path, program: str, *lines: object, first: int = 2) -> Path:
    """Put a program of an agent's name into a directory, which says lines whatever it is told.

    It hears so many lines ``first``; what is no text is said as JSON.
    """
    said = [one if isinstance(one, str) else json.dumps(one) for one in lines]
    listen = "read -r _; " * first
    words = "".join(f"echo {shlex.quote(one)}\n" for one in said)
    at.mkdir(exist_ok=True)
    made = at / program
    made.write_text(f"#!/bin/sh\n{listen}\n{words}", "utf-8")
    made.chmod(0o755)
    return at
