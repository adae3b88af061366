"""Texts of items: cleaned for keeping, cut into words for ranking, searched for signs. Pure."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final, TypeVar

from factory.forge.briefs import cleaned
from factory.wording import masked

BODY: Final = 20_000
"""Characters of a body that are kept; the mirror also notes how long it was."""
COMMENT: Final = 4_000
TITLE: Final = 300
COUNTED: Final = 400
"""Words of a body that count: what comes after is logs more often than talk."""
ASKED: Final = 48
"""Words of a text that are looked for."""
_WORD: Final = re.compile(r"\w+")
_ERROR: Final = re.compile(
    r"(?:[A-Za-z_][\w.]{0,80}\.)?[A-Z]\w{1,60}(?:Error|Exception|Failure|Warning)\b"
    r"(?:: ?[^\n]{1,160})?"
    r"|\b(?:panicked at|panic:|fatal:|error\[[A-Z]\d+\]:|segmentation fault)[^\n]{0,160}"
)
_PATH: Final = re.compile(
    r"(?<![\w./:@-])(?:\.{0,2}/)?((?:[\w.-]{1,80}/){1,12}[\w.-]{1,80}\.\w{1,8})\b"
)
_QUIET: Final = """
a about after again all also although am an and any are as at be because been before being but
by can cannot could did do does doing don done during each else ever every few for from further
get gets getting got had has have having he her here him his how however i if in instead into is
isn it its itself just let like ll make makes may me might more most much must my no nor not now
of off on once one only or other our out over own per please same see seems she should since so
some still such than that the their them then there these they this those though through to too
under until up us use used using ve very via was way we well were what when where whether which
while who why will with within without won would yes yet you your
actual actually bug bugs behavior behaviour chore describe description enhancement environment
expected feat feature fix fixed fixes happened issue issues problem pull reproduce repro request
result results screenshot screenshots step steps version
"""
"""What every report says, whatever it is about."""
_STOP: Final = frozenset(_QUIET.split())
_T = TypeVar("_T")


def title(text: str) -> str:
    """Give a title as one visible line."""
    return masked(" ".join(cleaned(text[: 4 * TITLE]).split()))[:TITLE]


def body(text: str, *, most: int = BODY) -> str:
    """Give a body or a comment as it is kept: what a page shows of it, without secrets, cut."""
    return masked(cleaned(text))[:most]


def words(text: str) -> Iterator[str]:
    """Give the words of a text that say something, as often as they stand there."""
    return (word for word in _WORD.findall(text.lower()) if word not in _STOP)


def asked(text: str) -> tuple[str, ...]:
    """Give the words to look for: those that say something, or all where none does."""
    return unique(words(text), ASKED) or unique(_WORD.findall(text.lower()), ASKED)


def counted(text: str, *, most: int = COUNTED) -> str:
    """Give the part of a body that is looked at for what it is about."""
    return " ".join(text.split(maxsplit=most)[:most])


def pieces(text: str) -> Iterator[str]:
    """Give the 3-letter pieces of a title's words."""
    return (word[at : at + 3] for word in words(text) for at in range(len(word) - 2))


def unique(things: Iterable[_T], most: int) -> tuple[_T, ...]:
    """Give each thing once, in the order of the first, at most so many."""
    return tuple(dict.fromkeys(things))[:most]


def weighed(title: str, text: str, *, more: int) -> Counter[str]:
    """Count an item's words; one of the title counts as ``more``."""
    found = Counter(words(text))
    for word in words(title):
        found[word] += more
    return found


def errors(text: str, *, most: int = 3) -> tuple[str, ...]:
    """Give the error messages that a text quotes."""
    return unique((" ".join(one[0].split()) for one in _ERROR.finditer(text)), most)


def paths(text: str, *, most: int = 20) -> tuple[str, ...]:
    """Give the paths of files that a text names, of any tree."""
    return unique((one[1] for one in _PATH.finditer(text)), most)
