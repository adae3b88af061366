"""References: which items of a repository a text names, as the forge itself would link them. Pure.

What stands in code or in a comment of HTML names nothing, nor do colours and entities.
"""

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterator
from typing import Final

from factory.survey.values import Link, LinkKind

_NUMBER: Final = r"([1-9]\d{0,8})(?!\w)"
_NAME: Final = r"[A-Za-z0-9][\w.-]{0,99}/[\w.-]{1,100}"
_HERE: Final = re.compile(
    rf"(?<![\w&/#.\\-])(?:({_NAME}))?#{_NUMBER}"
    rf"|(?<![\w&/#.\\-])(?i:GH)-{_NUMBER}"
    rf"|https?://([\w.:-]{{1,255}})/({_NAME})/(?:issues|pull)/{_NUMBER}"
)
_CLOSING: Final = re.compile(r"\b(?:close[sd]?|fix(?:e[sd])?|resolve[sd]?):?[ \t]+$", re.IGNORECASE)
_DOUBLING: Final = re.compile(
    r"\b(?:duplicate[sd]?(?:[ \t]+of)?|dup(?:e)?[ \t]+of):?[ \t]+$", re.IGNORECASE
)
_BEFORE: Final = 24
"""Characters before a reference that a keyword and its blanks may take."""
_FENCE: Final = re.compile(
    r"^(?:[ \t]{0,4}>)*(?:[ ]{0,4}(?:[-*+]|\d{1,9}[.)])[ ]+)?[ ]{0,12}(`{3,}|~{3,})(.*)$"
)
_INDENTED: Final = re.compile(r"^(?: {4}|\t)")
_LISTED: Final = re.compile(r"^\s{0,12}(?:[-*+]|\d{1,9}[.)])\s")
_MARK: Final = re.compile(r"`+|<!--|<(pre|code)\b[^>]{0,200}>", re.IGNORECASE)
_RUN: Final = re.compile(r"`+")
_STRENGTH: Final[dict[LinkKind, int]] = {"mentions": 0, "closes": 1, "duplicate": 2}


def found(text: str, host: str, names: Collection[str]) -> tuple[Link, ...]:
    """Give what a text as it was written names of a repository, each number once.

    ``names`` are the repository's on that host, with the owner's and in small letters.
    """
    prose, links = _prose(text), dict[int, LinkKind]()
    for match in _HERE.finditer(prose):
        name, plain, short, site, other, full = match.groups()
        named = name or other
        if named is not None and named.lower() not in names:
            continue
        if site is not None and site.lower() != host:
            continue
        number = int(plain or short or full)
        kind = _kind(prose[max(0, match.start() - _BEFORE) : match.start()])
        if _STRENGTH[kind] >= _STRENGTH[links.get(number, "mentions")]:
            links[number] = kind
    return tuple(Link(kind=kind, number=number) for number, kind in links.items())


def _kind(before: str) -> LinkKind:
    if _CLOSING.search(before):
        return "closes"
    return "duplicate" if _DOUBLING.search(before) else "mentions"


def _prose(text: str) -> str:
    """Give a text without code and without what is not shown; a blank stands in its place."""
    return " ".join(_spoken("\n".join(_unfenced(text.replace("\r\n", "\n")))))


def _unfenced(text: str) -> Iterator[str]:
    fence, blank, listing = "", True, False
    for line in text.split("\n"):
        opened = _FENCE.match(line)
        if fence:
            if opened and opened[1].startswith(fence) and not opened[2].strip():
                fence = ""
            yield ""
            continue
        if opened and not (opened[1][0] == "`" and "`" in opened[2]):
            fence = opened[1]
            yield ""
            continue
        indented = bool(_INDENTED.match(line))
        if _LISTED.match(line):
            listing = True
        elif line.strip() and not indented:
            listing = False
        code = indented and blank and not listing
        # A block of code goes on for as long as it is indented.
        blank = not line.strip() or code
        yield "" if code else line


def _spoken(text: str) -> Iterator[str]:
    """Give the pieces between spans of code and comments."""
    runs = defaultdict[int, list[int]](list)
    for run in _RUN.finditer(text):
        runs[len(run[0])].append(run.start())
    gaps = [gap.start() for gap in re.finditer(r"\n[ \t]*\n", text)]
    lowered, at, begin = text.lower(), 0, 0
    while (mark := _MARK.search(text, at)) is not None:
        end = _end(text, lowered, mark, runs, gaps)
        if end is None:
            at = mark.end()
            continue
        yield text[begin : mark.start()]
        begin = at = end
    yield text[begin:]


def _end(
    text: str, lowered: str, mark: re.Match[str], runs: dict[int, list[int]], gaps: list[int]
) -> int | None:
    """Give where it ends, what begins at a mark; None when nothing begins there."""
    sign = mark[0]
    if sign == "<!--":
        close = text.find("-->", mark.end())
        return len(text) if close < 0 else close + 3
    if sign.startswith("<"):
        close = lowered.find(f"</{mark[1].lower()}", mark.end())
        return len(text) if close < 0 else close
    same = runs[len(sign)]
    after = bisect_right(same, mark.start())
    if after == len(same):
        return None
    # A span does not reach over the end of its paragraph.
    gap = bisect_right(gaps, mark.start())
    if gap < len(gaps) and gaps[gap] < same[after]:
        return None
    return same[after] + len(sign)
