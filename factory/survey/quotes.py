"""Whether words that a model calls a quote stand in a stored text. Pure."""

import re
from collections.abc import Iterable, Mapping
from typing import Final

from factory.survey.values import Quote
from factory.wording import masked

LONGEST: Final = 300
SHORTEST: Final = 8
"""Signs, blanks aside, below which words stand in nearly every text and show nothing."""


def stored(text: str, quote: str) -> str:
    """Give the part of a text that a quote repeats, as it stands there; empty when none does.

    Blanks and line ends may differ, nothing else. What looks like a secret is never given.
    """
    words = quote[:LONGEST].split()
    if not words:
        return ""
    found = re.search(r"\s+".join(map(re.escape, words)), text)
    if found is None:
        return ""
    said = found[0]
    short = len("".join(words)) < SHORTEST and said != text.strip()
    return "" if short or masked(said) != said else said


def checked(claimed: Iterable[Quote], texts: Mapping[str, str]) -> tuple[Quote, ...]:
    """Give those quotes that stand in the text they name, each as it stands there, once."""
    found = [
        Quote(source=one.source, quote=said)
        for one in claimed
        if (said := stored(texts.get(one.source, ""), one.quote))
    ]
    return tuple(dict.fromkeys(found))
