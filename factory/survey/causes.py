"""Root causes of items: as a model groups them, checked, or as what they share groups them. Pure.

A theme is no cause. Nothing is grouped because it sounds alike: similarity only says which of two
groups an item joins that shares as much with the one as with the other.
"""

import json
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from factory.survey import naming
from factory.survey.naming import Tracked
from factory.survey.packets import Subject
from factory.survey.values import Cause, Class, Finding, Link
from factory.survey.verdicts import NAMING, said_plainly
from factory.wording import cut, listed, masked

MOST: Final = 24
_STATEMENT: Final = 240
_FILES: Final = 12
_NAMED: Final = 3
_TITLE: Final = 120
_TEXTS: Final[dict[str, Any]] = {"type": "array", "items": {"type": "string"}}
_CAUSE: Final[dict[str, Any]] = {
    "statement": {"type": "string"},
    "items": {"type": "array", "items": {"type": "integer"}},
    "files": _TEXTS,
    "symbols": _TEXTS,
}
SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "theme": {"type": "string"},
        "causes": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": _CAUSE,
                "required": list(_CAUSE),
                "additionalProperties": False,
            },
        },
    },
    "required": ["theme", "causes"],
    "additionalProperties": False,
}
APART: Final = frozenset({Class.INDEPENDENT, Class.SECURITY, Class.NEEDS_HUMAN, Class.UNCLASSIFIED})
"""The classes whose items a model does not sort under causes."""
_TIES: Final = frozenset({"closes", "duplicate", "connected"})
"""The links that say, by a person's or a change's word, that two items are about one thing."""
_MOST_TIES: Final = 4
"""Who names more items than this ties none of them: anybody can write a list of numbers."""
_WEIGHTS: Final[Mapping[str, float]] = {
    "error": 3.0,
    "file": 2.0,
    "kind": 1.5,
    "mention": 1.5,
    "symbol": 1.0,
}
_JOINS: Final = 2.0
"""What two items must share at least: an error that two have, a file that two have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grouped:
    """Items under causes; ``theme`` is empty and ``refused`` says why where a model was wrong."""

    theme: str
    causes: tuple[Cause, ...]
    refused: tuple[str, ...] = ()


def question(query: str, subjects: Sequence[Subject], findings: Mapping[int, Finding]) -> str:
    """Give what the model is told of the items: only what code has checked of each."""
    rows = [
        {
            "n": subject.number,
            "kind": f"{subject.item.state} {subject.item.kind}",
            "title": cut(masked(subject.item.title), _TITLE),
            "class": finding.verdict.value,
            **({"of": finding.of} if finding.of is not None else {}),
            "quotes": [quote.quote for quote in finding.evidence],
            "files": list(subject.item.files[:_FILES]),
        }
        for subject in subjects
        if (finding := findings[subject.number]).verdict not in APART
    ]
    return json.dumps({"query": query, "items": rows}, ensure_ascii=False, separators=(",", ":"))


def stated(
    text: str,
    subjects: Sequence[Subject],
    findings: Mapping[int, Finding],
    known: Tracked,
) -> Grouped:
    """Give the causes of a model's reply as far as code bears them out.

    A cause that names an unknown item is refused as a whole. Its files are tracked ones, its
    symbols stand in the texts of its items. What repeats an item, or is fixed by one, stands where
    that one does, by a reader's word or a person's; what stands nowhere is grouped by what it
    shares.
    """
    rows, theme, wrong = _rows(text)
    by = {subject.number: subject for subject in subjects}
    sortable = {n for n in by if findings[n].verdict not in APART}
    placed: dict[int, int] = {}
    kept: list[Mapping[str, Any]] = []
    for row in rows[:MOST]:
        numbers, refusal = _numbers(row, sortable)
        if refusal:
            wrong.append(refusal)
            continue
        kept.append(row)
        for number in numbers:
            placed.setdefault(number, len(kept) - 1)
    _follow(placed, findings)
    _heed(placed, [by[n] for n in by if n in sortable])
    causes = [
        _cause(row, tuple(n for n in by if placed.get(n) == at), by, known)
        for at, row in enumerate(kept)
    ]
    rest = [by[n] for n in by if n in sortable and n not in placed]
    causes += clustered(rest, known)
    return Grouped(
        theme=said_plainly(theme, _STATEMENT),
        causes=numbered(one for one in causes if one.items),
        refused=tuple(wrong),
    )


def numbered(causes: Iterable[Cause]) -> tuple[Cause, ...]:
    """Give causes their ids, in order."""
    return tuple(replace(one, id=f"rc-{at}") for at, one in enumerate(causes, 1))


def of_items(causes: Iterable[Cause]) -> Mapping[int, str]:
    """Give the cause of each item that has one."""
    return {number: cause.id for cause in causes for number in cause.items}


def _rows(text: str) -> tuple[list[Mapping[str, Any]], object, list[str]]:
    try:
        value: Any = json.loads(text)
    except (ValueError, RecursionError):
        return [], "", ["the reply is no JSON"]
    rows = value.get("causes") if isinstance(value, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        return [], "", ['the reply is no object with a list of objects in "causes"']
    return rows, value.get("theme"), []


def _numbers(row: Mapping[str, Any], sortable: Collection[int]) -> tuple[list[int], str]:
    numbers = row.get("items")
    if not isinstance(numbers, list) or not all(type(one) is int for one in numbers):
        return [], "a cause without a list of numbers is left out"
    unknown = [number for number in numbers if number not in sortable]
    if unknown:
        return [], f"a cause is left out: {listed(map(str, unknown))} is no item that can have one"
    if not said_plainly(row.get("statement")):
        return [], "a cause without a statement is left out"
    return numbers, ""


def _follow(placed: dict[int, int], findings: Mapping[int, Finding]) -> None:
    """Put what names another item where that one stands, and that one where it is named from."""
    named = [
        (one.number, one.of, one.verdict)
        for one in findings.values()
        if one.verdict in NAMING and one.of is not None
    ]
    for number, of, _ in named:
        if of not in placed and number in placed and _placeable(of, findings):
            placed[of] = placed[number]
    for number, of, verdict in named:
        # A pull request may fix items of several causes: it stands under one, they stay in theirs.
        stays = verdict is Class.FIXED_BY_CANDIDATE and number in placed
        if of in placed and not stays:
            placed[number] = placed[of]


def _heed(placed: dict[int, int], subjects: Sequence[Subject]) -> None:
    """Put items where those stand that people or changes tied to them.

    What somebody marked as a duplicate stands with the older one, whatever a model thinks; the
    other ties only place what nobody placed.
    """
    for number, links in _ties(subjects).items():
        for link in links:
            older, newer = sorted((number, link.number))
            if older in placed and (link.kind == "duplicate" or newer not in placed):
                placed[newer] = placed[older]
            elif newer in placed and older not in placed:
                placed[older] = placed[newer]


def _ties(subjects: Sequence[Subject]) -> dict[int, list[Link]]:
    """Give the links that tie items to one another, but for those of who names many."""
    known = {subject.number for subject in subjects}
    ties = {
        subject.number: [
            link for link in subject.links if link.kind in _TIES and link.number in known
        ]
        for subject in subjects
    }
    few = {number for number, links in ties.items() if len(links) <= _MOST_TIES}
    return {number: [link for link in ties[number] if link.number in few] for number in few}


def _placeable(number: int, findings: Mapping[int, Finding]) -> bool:
    return number in findings and findings[number].verdict not in APART


def _cause(
    row: Mapping[str, Any], items: tuple[int, ...], by: Mapping[int, Subject], known: Tracked
) -> Cause:
    texts = [text for number in items for text in by[number].texts.values()]
    files = (known.meant(path) for path in _strings(row.get("files")))
    symbols = (
        one for one in _strings(row.get("symbols")) if any(_holds(text, one) for text in texts)
    )
    return Cause(
        id="",
        statement=said_plainly(row.get("statement"), _STATEMENT),
        files=tuple(dict.fromkeys(path for path in files if path))[:_FILES],
        symbols=tuple(dict.fromkeys(symbols))[:_FILES],
        items=items,
    )


def _strings(value: object) -> list[str]:
    found = value if isinstance(value, list) else []
    return [one for one in found if isinstance(one, str) and len(one) <= _TITLE]


def _holds(text: str, symbol: str) -> bool:
    return re.fullmatch(r"[\w.:$-]{2,}", symbol) is not None and symbol in text


_Thing = tuple[str, str]
"""What an item may share with others: its kind, a key of the weights, and what it is."""


def clustered(subjects: Sequence[Subject], known: Tracked) -> tuple[Cause, ...]:
    """Group items by the links between them and by what they share; who is alone has no cause."""
    things = {subject.number: _things(subject, known) for subject in subjects}
    spread = Counter(thing for one in things.values() for thing in one)
    most = max(2, len(subjects) // 3)
    telling = {
        n: frozenset(thing for thing in one if spread[thing] <= most) for n, one in things.items()
    }
    groups: list[list[Subject]] = []
    for tied in _tied(subjects):
        group = _nearest(tied, groups, telling, spread)
        if group is None:
            groups.append(list(tied))
        else:
            group += tied
    return numbered(
        _described([one.number for one in group], things, spread)
        for group in groups
        if len(group) > 1
    )


def _things(subject: Subject, known: Tracked) -> frozenset[_Thing]:
    text = "\n".join(subject.texts.values())
    paths = (*naming.files(text, known), *filter(None, map(known.meant, subject.item.files)))
    errors = naming.errors(text)
    kinds = {each.partition(":")[0] for each in errors}
    mentioned = (link.number for link in subject.links if link.kind == "mentions")
    return frozenset(
        {("error", each) for each in errors}
        | {("kind", each) for each in kinds}
        | {("file", each) for each in paths}
        | {("symbol", each) for each in naming.symbols(text, besides=kinds)}
        | {("mention", str(number)) for number in (*mentioned, subject.number)}
    )


def _tied(subjects: Sequence[Subject]) -> list[list[Subject]]:
    """Give items in groups: those that a link ties together, the best item first."""
    group = {subject.number: subject.number for subject in subjects}

    def top(number: int) -> int:
        while group[number] != number:
            number = group[number]
        return number

    for number, links in _ties(subjects).items():
        for link in links:
            group[top(link.number)] = top(number)
    found: dict[int, list[Subject]] = {}
    for subject in subjects:
        found.setdefault(top(subject.number), []).append(subject)
    return list(found.values())


def _nearest(
    tied: Sequence[Subject],
    groups: Sequence[list[Subject]],
    telling: Mapping[int, frozenset[_Thing]],
    spread: Mapping[_Thing, int],
) -> list[Subject] | None:
    """Give the group that items share enough with; of two that share as much, the likest."""
    enough: list[tuple[float, float, int]] = []
    for at, group in enumerate(groups):
        theirs = frozenset[_Thing]().union(*(telling[one.number] for one in group))
        shared = max(_weighed(telling[one.number] & theirs, spread) for one in tied)
        if shared >= _JOINS:
            enough.append((shared, _alike(tied, group), -at))
    return groups[-max(enough)[2]] if enough else None


def _weighed(things: Iterable[_Thing], spread: Mapping[_Thing, int]) -> float:
    """Say what shared things weigh; what many items have counts little."""
    return sum(_WEIGHTS[kind] * 2 / spread[kind, what] for kind, what in things)


def _alike(some: Sequence[Subject], others: Sequence[Subject]) -> float:
    one, other = (
        {word for each in group for word in re.findall(r"\w{3,}", each.item.title.lower())}
        for group in (some, others)
    )
    return len(one & other) / max(1, len(one | other))


def _described(
    items: Sequence[int], things: Mapping[int, frozenset[_Thing]], spread: Mapping[_Thing, int]
) -> Cause:
    """Give a cause whose statement only names what its items share."""
    common = Counter(thing for n in items for thing in things[n] if thing[0] != "mention")
    errors = {what for (kind, what), many in common.items() if kind == "error" and many > 1}
    shared = sorted(
        (thing for thing, many in common.items() if many > 1),
        key=lambda thing: (-_weighed((thing,), spread), -common[thing], thing),
    )
    names = [
        what
        for kind, what in shared
        if kind != "kind" or not any(one.startswith(what) for one in errors)
    ][:_NAMED]
    if not names:
        said = f"These {len(items)} items are linked with one another."
    elif all(common[thing] == len(items) for thing in shared if thing[1] in names):
        said = f"These {len(items)} items share {listed(names)}."
    else:
        said = (
            f"Each of these {len(items)} items shares something with another one"
            f" ({listed(names)}), or is linked with it."
        )
    return Cause(
        id="",
        statement=said_plainly(said, _STATEMENT),
        files=tuple(what for kind, what in shared if kind == "file")[:_FILES],
        symbols=tuple(what for kind, what in shared if kind == "symbol")[:_FILES],
        items=tuple(items),
    )
