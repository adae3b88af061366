"""The document of a survey, `factory.survey/1`: written, and read as strictly as a stranger's.

People may edit it, and anybody may have written it: whatever is wrong with it is named at once.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter, ValidationError

from factory.complaint import Complaint
from factory.survey.shapes import SCHEMA, ItemRow, SurveyDocument
from factory.survey.values import (
    Candidate,
    Cause,
    Class,
    Finding,
    Item,
    LeftOut,
    Link,
    Quote,
    Reason,
    Survey,
)
from factory.survey.verdicts import NAMING
from factory.wording import clean, count, cut, masked
from stations.contract import Spend

_LONGEST: Final = 20_000_000
"""Bytes of a document that is still read."""
_TOLD: Final = 20


def document(survey: Survey) -> SurveyDocument:
    """Give the document of a survey."""
    findings = {one.number: one for one in survey.findings}
    spend = survey.spend
    return {
        "schema": SCHEMA,
        "repo": survey.repo,
        "query": survey.query,
        "seeds": list(survey.seeds),
        "created": _stamp(survey.created),
        "complete": survey.complete,
        "why": survey.why,
        "theme": survey.theme,
        "classified": survey.classified,
        "model": survey.model,
        "asked": survey.asked,
        "agreement": None if survey.agreement is None else round(survey.agreement, 4),
        "requests": survey.requests,
        "waited": round(survey.waited, 1),
        "spend": {
            "tokens_in": spend.tokens_in,
            "tokens_out": spend.tokens_out,
            "tokens_cached": spend.tokens_cached,
            "usd": None if spend.dollars is None else f"{spend.dollars:f}",
            "basis": survey.basis,
            "calls": survey.calls,
        },
        "items": [_item_row(one, findings[one.item.number]) for one in survey.candidates],
        "root_causes": [
            {
                "id": one.id,
                "statement": one.statement,
                "files": list(one.files),
                "symbols": list(one.symbols),
                "items": list(one.items),
            }
            for one in survey.causes
        ],
        "quarantined": [{"n": number, "why": why} for number, why in survey.quarantined],
        "left_out": [
            {
                "n": one.number,
                "title": masked(one.title),
                "score": round(one.score, 6),
                "why": one.why,
            }
            for one in survey.left_out
        ],
    }


def _item_row(candidate: Candidate, finding: Finding) -> ItemRow:
    item = candidate.item
    return {
        "n": item.number,
        "kind": item.kind,
        "title": masked(item.title),
        "state": item.state,
        "draft": item.draft,
        "author": item.author,
        "association": item.association,
        "labels": list(item.labels),
        "created_at": _stamp(item.created),
        "updated_at": _stamp(item.updated),
        "comments": item.comments,
        "head_sha": item.head_sha,
        "head_ref": item.head_ref,
        "head_repo": item.head_repo,
        "url": item.url,
        "score": round(candidate.score, 6),
        "distance": candidate.distance,
        "reasons": [
            {"kind": one.kind, "points": round(one.points, 6), "said": one.said}
            for one in candidate.reasons
        ],
        "links": [{"kind": one.kind, "n": one.number} for one in candidate.links],
        "files": list(item.files),
        "class": finding.verdict,
        "of": finding.of,
        "root_cause_id": finding.cause,
        "confidence": round(finding.confidence, 4),
        "evidence": [{"source": one.source, "quote": one.quote} for one in finding.evidence],
        "why": finding.why,
    }


def text(survey: Survey) -> str:
    """Give the document as the text of its file."""
    return json.dumps(document(survey), indent=2, ensure_ascii=False) + "\n"


def load(path: Path) -> Survey:
    """Read a survey's file; complain of all that is wrong with it."""
    try:
        with path.open("rb") as file:
            data = file.read(_LONGEST + 1)
    except OSError as error:
        raise Complaint(f"{path} cannot be read: {error.strerror}") from error
    if len(data) > _LONGEST:
        raise Complaint(f"{path} is too large for a survey", hint="name a survey.json")
    return read(data, name=str(path))


def read(data: bytes | str, *, name: str) -> Survey:
    """Read a document; complain of all that is wrong with it, by the ``name`` of its file.

    The items of the survey have no bodies: these are in the mirror.
    """
    try:
        found = _adapter().validate_json(data)
    except ValidationError as error:
        wrong = [
            f"{_where(one['loc'])}: {clean(one['msg'])}"
            for one in error.errors(include_url=False, include_input=False)
        ]
        raise _unfit(name, wrong) from error
    wrong = list(_mistakes(found))
    if wrong:
        raise _unfit(name, wrong)
    return _survey(found)


def _adapter() -> TypeAdapter[SurveyDocument]:
    return TypeAdapter(SurveyDocument)


def _unfit(name: str, wrong: list[str]) -> Complaint:
    more = [f"and {count(len(wrong) - _TOLD, 'more mistake')}"] if len(wrong) > _TOLD else []
    lines = "\n".join(f"  {line}" for line in [*wrong[:_TOLD], *more])
    return Complaint(
        f"{clean(name)} is no survey that can be used:\n{lines}",
        hint="put right what was edited, or make it anew: factory survey QUERY",
    )


def _where(place: tuple[int | str, ...]) -> str:
    """Give a place as people write it: `items[3].score`."""
    parts = (f"[{one}]" if isinstance(one, int) else f".{cut(clean(one), 40)}" for one in place)
    return "".join(parts).lstrip(".") or "the document"


def _mistakes(found: SurveyDocument) -> Iterator[str]:
    """Say everything in which the parts of a document do not fit together."""
    numbers = Counter(
        row["n"]
        for rows in (found["items"], found["quarantined"], found["left_out"])
        for row in rows
    )
    yield from (f"item {n} stands there {many} times" for n, many in numbers.items() if many > 1)
    ids = Counter(row["id"] for row in found["root_causes"])
    yield from (
        f"root cause {one} stands there {many} times" for one, many in ids.items() if many > 1
    )
    kept = {row["n"]: row for row in found["items"]}
    held = {n: row["id"] for row in found["root_causes"] for n in row["items"]}
    yield from _in_causes(found, kept)
    for at, row in enumerate(found["items"]):
        yield from _of_item(f"items[{at}]", row, kept, held)
    for where, moment in _moments(found):
        if _moment(moment) is None:
            yield f"{where}: no moment with its time zone, like 2026-11-21T17:00:00Z"


def _in_causes(found: SurveyDocument, kept: Mapping[int, ItemRow]) -> Iterator[str]:
    places = Counter(n for row in found["root_causes"] for n in row["items"])
    yield from (
        f"item {n} stands under {many} root causes" for n, many in places.items() if many > 1
    )
    for at, cause in enumerate(found["root_causes"]):
        for number in cause["items"]:
            if number not in kept:
                yield f"root_causes[{at}].items: {number} is none of the items"


def _of_item(
    where: str, row: ItemRow, kept: Mapping[int, ItemRow], held: Mapping[int, str]
) -> Iterator[str]:
    if row["root_cause_id"] != held.get(row["n"]):
        yield (
            f"{where}.root_cause_id: item {row['n']} stands under"
            f" {held.get(row['n']) or 'no root cause'} in root_causes"
        )
    verdict = Class(row["class"])
    if verdict is Class.SECURITY:
        yield f"{where}.class: a security report stands in quarantined, by its number alone"
    if verdict in NAMING and (row["of"] not in kept or row["of"] == row["n"]):
        yield f"{where}.of: {verdict.value} needs the number of another one of the items"
    if verdict not in NAMING and row["of"] is not None:
        yield f"{where}.of: {verdict.value} names no other item, so it must be null"


def _moments(found: SurveyDocument) -> Iterator[tuple[str, str]]:
    yield "created", found["created"]
    for at, row in enumerate(found["items"]):
        yield f"items[{at}].created_at", row["created_at"]
        yield f"items[{at}].updated_at", row["updated_at"]


def _survey(found: SurveyDocument) -> Survey:
    spend = found["spend"]
    return Survey(
        repo=found["repo"],
        query=found["query"],
        seeds=tuple(found["seeds"]),
        created=_known(found["created"]),
        complete=found["complete"],
        why=found["why"],
        theme=found["theme"],
        classified=found["classified"],
        model=found["model"],
        asked=found["asked"],
        agreement=found["agreement"],
        requests=found["requests"],
        waited=found["waited"],
        spend=Spend(
            tokens_in=spend["tokens_in"],
            tokens_out=spend["tokens_out"],
            tokens_cached=spend["tokens_cached"],
            dollars=None if spend["usd"] is None else Decimal(spend["usd"]),
        ),
        candidates=tuple(map(_candidate, found["items"])),
        findings=tuple(map(_finding, found["items"])),
        causes=tuple(
            Cause(
                id=row["id"],
                statement=row["statement"],
                files=tuple(row["files"]),
                symbols=tuple(row["symbols"]),
                items=tuple(row["items"]),
            )
            for row in found["root_causes"]
        ),
        quarantined=tuple((row["n"], row["why"]) for row in found["quarantined"]),
        left_out=tuple(
            LeftOut(number=row["n"], title=row["title"], score=row["score"], why=row["why"])
            for row in found["left_out"]
        ),
        calls=spend["calls"],
        basis=spend["basis"],
    )


def _candidate(row: ItemRow) -> Candidate:
    return Candidate(
        item=Item(
            number=row["n"],
            kind=row["kind"],
            title=row["title"],
            body="",
            state=row["state"],
            author=row["author"],
            association=row["association"],
            labels=tuple(row["labels"]),
            created=_known(row["created_at"]),
            updated=_known(row["updated_at"]),
            url=row["url"],
            comments=row["comments"],
            draft=row["draft"],
            head_sha=row["head_sha"],
            head_ref=row["head_ref"],
            head_repo=row["head_repo"],
            files=tuple(row["files"]),
        ),
        score=row["score"],
        reasons=tuple(
            Reason(kind=one["kind"], points=one["points"], said=one["said"])
            for one in row["reasons"]
        ),
        distance=row["distance"],
        links=tuple(Link(kind=one["kind"], number=one["n"]) for one in row["links"]),
    )


def _finding(row: ItemRow) -> Finding:
    return Finding(
        number=row["n"],
        verdict=Class(row["class"]),
        cause=row["root_cause_id"],
        of=row["of"],
        confidence=row["confidence"],
        evidence=tuple(Quote(source=one["source"], quote=one["quote"]) for one in row["evidence"]),
        why=row["why"],
    )


def _stamp(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def _moment(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo is not None else None


def _known(text: str) -> datetime:
    found = _moment(text)
    if found is None:
        raise AssertionError("what has no mistakes has moments")
    return found
