"""What of a job's budget is spent, and what its parts may spend of the rest."""

from decimal import Decimal
from typing import Final

from stations.contract import Budget, Spend


def exhausted(budget: Budget, spend: Spend, *, calls: bool) -> str:
    """Say which part of a budget is spent; tokens and dollars count where a model is called."""
    if budget.seconds is not None and spend.seconds >= budget.seconds:
        return f"the {budget.seconds:g} seconds of its budget are spent"
    if calls and budget.tokens is not None and _tokens(spend) >= budget.tokens:
        return f"the {budget.tokens:,} tokens of its budget are spent"
    if calls and budget.dollars is not None and (spend.dollars or 0) >= budget.dollars:
        return f"the {budget.dollars:f} dollars of its budget are spent"
    return ""


REMEDY: Final = "raise `budget` of its [[job]] for a new run"
"""What helps a job that has nothing left: what it was placed with stays as it is."""


def share(budget: Budget, spend: Spend, parts: int) -> Budget:
    """Give what each of so many parts may spend of what is left."""
    tokens, dollars, seconds = budget.tokens, budget.dollars, budget.seconds
    paid = spend.dollars or Decimal(0)
    return Budget(
        tokens=None if tokens is None else max(0, tokens - _tokens(spend)) // parts,
        dollars=None if dollars is None else max(Decimal(0), dollars - paid) / parts,
        seconds=None if seconds is None else max(0.0, seconds - spend.seconds) / parts,
        attempts=budget.attempts,
    )


def tighter(one: Budget, other: Budget) -> Budget:
    """Give a budget that keeps both."""
    tokens = [each.tokens for each in (one, other) if each.tokens is not None]
    dollars = [each.dollars for each in (one, other) if each.dollars is not None]
    seconds = [each.seconds for each in (one, other) if each.seconds is not None]
    attempts = [each.attempts for each in (one, other) if each.attempts is not None]
    return Budget(
        tokens=min(tokens, default=None),
        dollars=min(dollars, default=None),
        seconds=min(seconds, default=None),
        attempts=min(attempts, default=None),
    )


def _tokens(spend: Spend) -> int:
    return spend.tokens_in + spend.tokens_out
