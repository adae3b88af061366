"""The one sentence on the constraint; it never says more than the data can tell."""

from typing import Final

from factory.pace.values import PERSON, PROVIDER, Limit, Pace
from factory.wording import count, span

SURE: Final = 0.6
"""The share of draws above which one station is named alone."""


def sentence(pace: Pace, limits: Limit, *, over: bool = False) -> str:
    """Give the one sentence on the constraint; it says so when there is too little to go by."""
    landed = count(pace.landed, "job") + " landed"
    if limits.station is None:
        return _early(pace, landed)
    name = limits.station
    odds = limits.odds.get(name, 0.0)
    bound = f"at most {rate_text(limits.bound)} changes/h"
    verb = "limited" if over else "limits"
    if odds < SURE:
        ranked = sorted(limits.odds, key=lambda n: limits.odds[n], reverse=True)[:2]
        rivals = ", ".join(f"{n} P {limits.odds[n]:.2f}" for n in ranked)
        return f"no station clearly {verb} the line: {rivals}; {bound} ({landed})"
    without = f"; without it {rate_text(limits.without)}/h" if limits.without else ""
    kind = pace.stations[name].kind
    if kind == PERSON:
        verb = "limited" if over else "limit"
        return f"you {verb} the line (factory inbox): {bound}, P {odds:.2f}{without} ({landed})"
    if kind == PROVIDER:
        who = "the provider's rate limit"
        return f"{who} {verb} the line: {bound}, P {odds:.2f}{without} ({landed})"
    return f"{name} {verb} the line: {bound}, P {odds:.2f}{without} ({landed})"


def rate_text(rate: float) -> str:
    """Give changes an hour as people read them."""
    return f"{rate:,.0f}" if rate >= 100 else f"{rate:.1f}"  # noqa: PLR2004


def _early(pace: Pace, landed: str) -> str:
    busiest = max(pace.stations.values(), key=lambda s: s.busy, default=None)
    if busiest is None or busiest.busy <= 0:
        return f"too early to say what limits the line: {landed}, nothing has been busy yet"
    who = "people were waited for" if busiest.kind == PERSON else f"{busiest.name} was busy"
    used = len(busiest.each_seat)
    seats = f" over {used} seats" if used > 1 else ""
    long = f"{who} longest, {span(busiest.busy)}{seats}"
    return f"too early to say what limits the line: {landed}; {long}"
