"""Judges what readers say of items: only what code can check is believed. Pure.

A claim needs words that stand in the item's own text; what it names must be a candidate of a kind
that fits. Two readings that differ, or a claim that nothing shows, go to a person.
"""

import json
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from factory.survey import quotes
from factory.survey.packets import Subject
from factory.survey.values import Class, Finding, Item, Quote
from factory.wording import clean, cut, masked

NAMING: Final = frozenset({Class.DUPLICATE, Class.SUPERSEDED, Class.FIXED_BY_CANDIDATE})
"""The classes that are nothing without another item."""
CLASSES: Final = tuple(each for each in Class if each is not Class.UNCLASSIFIED)
"""The classes that a reader may give."""
_EVIDENCE: Final = 4
_CLAIMED: Final = 8
_WHY: Final = 160
_VERDICT: Final[dict[str, Any]] = {
    "n": {"type": "integer"},
    "class": {"type": "string", "enum": [each.value for each in CLASSES]},
    "of": {"type": "integer"},
    "confidence": {"type": "number"},
    "evidence": {
        "type": "array",
        "items": {
            "type": "object",
            "properties": {"source": {"type": "string"}, "quote": {"type": "string"}},
            "required": ["source", "quote"],
            "additionalProperties": False,
        },
    },
    "why": {"type": "string"},
}
SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "verdicts": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": _VERDICT,
                "required": list(_VERDICT),
                "additionalProperties": False,
            },
        }
    },
    "required": ["verdicts"],
    "additionalProperties": False,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What one reading says an item is: a claim, its quotes not yet looked for."""

    number: int
    verdict: Class
    of: int | None
    confidence: float
    evidence: tuple[Quote, ...]
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """A reply as verdicts by number; ``extra`` counts those for numbers that nobody asked for."""

    verdicts: Mapping[int, Verdict]
    extra: int = 0


def read(text: str, asked: Collection[int]) -> Heard | str:
    """Read a reply; give what is wrong with it as a text when it is none.

    What it says of other numbers than those asked for is dropped, and so is what it says of one
    number in two ways.
    """
    try:
        value: Any = json.loads(text)
    except (ValueError, RecursionError):
        return "the reply is no JSON"
    rows = value.get("verdicts") if isinstance(value, dict) else None
    if not isinstance(rows, list):
        return 'the reply is no object with a list in "verdicts"'
    found: dict[int, Verdict] = {}
    twice: set[int] = set()
    extra = 0
    for row in rows:
        one = verdict_of(row)
        if one is None:
            continue
        if one.number not in asked:
            extra += 1
        elif one.number in found and _claim(found[one.number]) != _claim(one):
            twice.add(one.number)
        else:
            found.setdefault(one.number, one)
    return Heard(verdicts={n: one for n, one in found.items() if n not in twice}, extra=extra)


def verdict_of(row: object) -> Verdict | None:
    """Read one verdict, as a model or our own store writes it; None when it is none."""
    if not isinstance(row, dict):
        return None
    number, said, of = row.get("n"), row.get("class"), row.get("of")
    confidence, evidence = row.get("confidence"), row.get("evidence")
    if type(number) is not int or said not in CLASSES or not isinstance(evidence, list):
        return None
    if not isinstance(confidence, int | float) or not math.isfinite(confidence):
        confidence = 0.0
    verdict = Class(said)
    return Verdict(
        number=number,
        verdict=verdict,
        of=of if type(of) is int and of > 0 and verdict in NAMING else None,
        confidence=min(max(float(confidence), 0.0), 1.0),
        evidence=tuple(
            Quote(source=one["source"], quote=one["quote"])
            for one in evidence[:_CLAIMED]
            if isinstance(one, dict)
            and isinstance(one.get("source"), str)
            and isinstance(one.get("quote"), str)
        ),
        why=said_plainly(row.get("why")),
    )


def row_of(one: Verdict) -> dict[str, object]:
    """Give a verdict as a plain row, which `verdict_of` reads."""
    return {
        "n": one.number,
        "class": one.verdict.value,
        "of": one.of or 0,
        "confidence": one.confidence,
        "evidence": [{"source": each.source, "quote": each.quote} for each in one.evidence],
        "why": one.why,
    }


def said_plainly(text: object, most: int = _WHY) -> str:
    """Give words of a model as one short line in which nothing hides."""
    return cut(masked(clean(text)), most) if isinstance(text, str) else ""


def judged(
    first: Verdict | None,
    second: Verdict | None,
    subject: Subject,
    listed: Mapping[int, Item],
) -> Finding:
    """Give what an item is by two readings of it; ``listed`` are all candidates."""
    proofs = [_proven(one, subject, listed) for one in (first, second)]
    said = [one for one in (first, second) if one is not None]
    stood = [one for one in proofs if isinstance(one, Verdict)]
    evidence = tuple(dict.fromkeys(each for one in stood for each in one.evidence))[:_EVIDENCE]
    # One word of it is enough, quoted or not: what was said else of such an item is told nobody.
    if any(one.verdict is Class.SECURITY for one in said):
        return _finding(subject, Class.SECURITY, why="a reader took it for a security report")
    if len(said) == 2 and not agreed(said[0], said[1]):  # noqa: PLR2004
        told = ", then as ".join(_told(one) for one in said)
        return _finding(
            subject, Class.NEEDS_HUMAN, why=f"read as {told}", evidence=evidence, of=None
        )
    if len(stood) < 2:  # noqa: PLR2004
        wrong = next(one for one in proofs if isinstance(one, str))
        told = f"read as {_told(said[0])}, but {wrong}" if said else wrong
        return _finding(subject, Class.NEEDS_HUMAN, why=told, evidence=evidence)
    one, other = stood
    return Finding(
        number=subject.number,
        verdict=one.verdict,
        cause=None,
        of=one.of,
        confidence=min(one.confidence, other.confidence),
        evidence=evidence,
        why=one.why,
    )


def agreed(one: Verdict, other: Verdict) -> bool:
    """Say whether two readings claim the same: the class, and the item that it names."""
    return _claim(one) == _claim(other)


def unresolved(one: Finding, why: str) -> Finding:
    """Give a finding that goes to a person, and why."""
    return replace(one, verdict=Class.NEEDS_HUMAN, of=None, confidence=0.0, why=why)


def untangled(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Give findings in which every duplicate names an item that is none itself.

    Of items that are called duplicates of one another the oldest is the canonical one.
    """
    names = {one.number: one.of for one in findings if one.verdict is Class.DUPLICATE}
    roots = {number: _root(number, names) for number in names}
    return tuple(_pointed(one, roots) if one.number in roots else one for one in findings)


def _pointed(one: Finding, roots: Mapping[int, int]) -> Finding:
    root = roots[one.number]
    if root != one.number:
        return replace(one, of=root)
    why = f"of items called duplicates of one another it is the oldest; {one.why}"
    return replace(one, verdict=Class.CANONICAL, of=None, why=why)


def _root(number: int, names: Mapping[int, int | None]) -> int:
    """Follow what is named to an item that names none, or to the oldest of a circle."""
    path = [number]
    while (after := names.get(path[-1])) is not None:
        if after in path:
            return min(path[path.index(after) :])
        path.append(after)
    return path[-1]


def _claim(one: Verdict) -> tuple[Class, int | None]:
    return one.verdict, one.of


def _told(one: Verdict) -> str:
    of = f" of {one.of}" if one.of is not None else ""
    why = f" ({one.why})" if one.why else ""
    return f"{one.verdict.value.replace('_', ' ')}{of}{why}"


def _proven(one: Verdict | None, subject: Subject, listed: Mapping[int, Item]) -> Verdict | str:
    """Give a verdict with the quotes that stand; else what is wrong with it."""
    if one is None:
        return "a reader gave no answer for it"
    wrong = _misfit(one, subject.item, listed)
    if wrong:
        return wrong
    evidence = quotes.checked(one.evidence, subject.texts)
    if not evidence:
        return "no quote given for it stands in its text"
    return replace(one, evidence=evidence)


def _misfit(one: Verdict, item: Item, listed: Mapping[int, Item]) -> str:
    """Say why what a verdict names cannot be; empty when it can, or when it names nothing."""
    if one.verdict not in NAMING:
        return ""
    other = listed.get(one.of) if one.of is not None else None
    if other is None:
        return "what it names is no candidate"
    if other.number == item.number:
        return "it names itself"
    if one.verdict is Class.FIXED_BY_CANDIDATE:
        fits = item.kind == "issue" and other.kind == "pull" and other.state != "closed"
        return "" if fits else f"{other.number} is no pull request, open or merged, that can fix it"
    if one.verdict is Class.DUPLICATE and other.kind != item.kind:
        return f"{other.number} is of another kind"
    if one.verdict is Class.SUPERSEDED and item.kind == "pull" and other.kind != "pull":
        return f"{other.number} is of another kind"
    return ""


def _finding(
    subject: Subject,
    verdict: Class,
    *,
    why: str,
    evidence: tuple[Quote, ...] = (),
    of: int | None = None,
) -> Finding:
    return Finding(
        number=subject.number,
        verdict=verdict,
        cause=None,
        of=of,
        confidence=0.0,
        evidence=evidence,
        why=why,
    )
