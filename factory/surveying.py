"""Surveys a repository's items about one theme: gathered, set apart, read, grouped, told.

Nothing is written to the forge, and no model sees what looks like a security report. Each step
keeps what it learned, so that a survey which was stopped goes on where it was.
"""

import re
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from factory.calls import tally
from factory.complaint import Complaint
from factory.survey import causes, naming, packets, reading, security
from factory.survey.packets import Subject
from factory.survey.reading import Read, Reader
from factory.survey.values import (
    Candidate,
    Cause,
    Class,
    Finding,
    Gathered,
    LeftOut,
    Remark,
    Survey,
)
from factory.survey.verdicts import NAMING
from factory.wording import clean, count, listed, masked
from stations.models.values import Call, ModelError
from stations.models.values import Cause as Trouble

MOST: Final = 40
"""Items that a survey keeps, unless told otherwise."""
_TOKENS: Final = 6_000
_REASONS: Final = 2
_NUMBER: Final = re.compile(r"#([0-9]{1,9})\b")
_ALONE: Final = frozenset({Class.INDEPENDENT, Class.NEEDS_HUMAN, Class.SECURITY})
"""The classes whose items are put under no cause by what they share."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a survey is asked: of which repository, about what, and how many items to keep."""

    repo: str
    query: str
    seeds: tuple[int, ...]
    most: int = MOST


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What a survey works with beside what was gathered; ``reader`` is None without a model."""

    reader: Reader | None
    remarks: Callable[[int], tuple[Remark, ...]]
    tracked: Sequence[str]
    calls: Callable[[], Iterable[Call]]
    say: Callable[[str], None]
    now: Callable[[], datetime]


@dataclass(frozen=True, slots=True, kw_only=True)
class Surveyed:
    """A survey; ``cause`` is why a model did not answer all of it, None when it did.

    ``limited`` says that the forge did not let all be asked.
    """

    survey: Survey
    cause: Trouble | None
    limited: bool


def conclude(desk: Desk, question: Question, gathered: Gathered) -> Surveyed:
    """Give the survey of what was gathered; nothing is asked of the forge any more."""
    apart = {
        one.item.number: why
        for one in gathered.candidates
        if (why := security.suspicion(one.item, _texts(desk, one)))
    }
    _check_seeds(question, apart)
    told = [one for one in gathered.candidates if one.item.number not in apart]
    near = told[: read_at_most(question.most)]
    subjects = [
        Subject(item=one.item, remarks=desk.remarks(one.item.number), links=one.links)
        for one in near
    ]
    read = _read(desk.reader, question, subjects)
    findings = {one.number: one for one in read.findings}
    for one in near:
        findings.setdefault(one.item.number, _unread(one.item.number, read.trouble))
    apart |= {n: one.why for n, one in findings.items() if one.verdict is Class.SECURITY}
    kept = _kept([one for one in near if one.item.number not in apart], findings, question.most)
    numbers = {one.item.number for one in kept}
    shown = [subject for subject in subjects if subject.number in numbers]
    grouped, trouble = _grouped(desk, question, shown, findings, read)
    for line in grouped.refused:
        desk.say(f"note: {line}")
    held = causes.of_items(grouped.causes)
    left = [_discreet(one, apart) for one in told if one.item.number not in numbers | apart.keys()]
    spent = tally(desk.calls())
    survey = Survey(
        repo=question.repo,
        query=question.query,
        seeds=question.seeds,
        created=desk.now(),
        complete=gathered.complete and trouble is None,
        why="; ".join(filter(None, (gathered.why, _said(trouble)))),
        theme=grouped.theme or _theme(question, grouped.causes),
        classified=desk.reader is not None and bool(read.findings),
        model="" if desk.reader is None else desk.reader.model,
        asked=read.both,
        agreement=read.agreement,
        requests=gathered.requests,
        waited=gathered.waited,
        spend=spent.spend,
        candidates=tuple(_discreet(one, apart) for one in kept),
        findings=tuple(
            replace(findings[one.item.number], cause=held.get(one.item.number)) for one in kept
        ),
        causes=grouped.causes,
        quarantined=tuple(sorted(apart.items())),
        left_out=tuple(_left(one, findings, gathered, question.most) for one in left),
        calls=spent.calls,
        basis=None if spent.basis is None else spent.basis.value,
    )
    return Surveyed(
        survey=survey,
        cause=None if trouble is None else trouble.cause,
        limited=not gathered.complete,
    )


def read_at_most(most: int) -> int:
    """Give how many items are looked at so that so many can be kept."""
    return most * 3 // 2


def _texts(desk: Desk, one: Candidate) -> list[str]:
    return [remark.body for remark in desk.remarks(one.item.number)]


def _discreet(one: Candidate, apart: Container[int]) -> Candidate:
    """Give a candidate of which no reason tells the words of an item that is set aside."""
    return replace(
        one,
        reasons=tuple(
            replace(reason, said="like an item that was set aside")
            if any(int(number) in apart for number in _NUMBER.findall(reason.said))
            else reason
            for reason in one.reasons
        ),
    )


def _check_seeds(question: Question, apart: Mapping[int, str]) -> None:
    """Complain when what the survey shall begin with must be told to nobody."""
    found = [number for number in question.seeds if number in apart]
    if found:
        raise Complaint(
            f"{listed(map(str, found))}: set aside for a maintainer, since it"
            f" {apart[found[0]]}; a survey would tell of it",
            hint="name the theme in words instead, or another seed",
        )


def _read(reader: Reader | None, question: Question, subjects: Sequence[Subject]) -> Read:
    if reader is None or not subjects:
        return Read(findings=(), agreement=None, both=0, extra=0, trouble=None)
    read = reading.classify(reader, _asked_about(question, subjects), subjects)
    if read.extra:
        reader.say(f"{count(read.extra, 'answer')} about items that nobody asked for: dropped")
    return read


def _asked_about(question: Question, subjects: Sequence[Subject]) -> str:
    """Say what the theme is: the query, and what its seeds are called."""
    seeds = [
        f"{subject.number} ({masked(clean(subject.item.title))[:120]})"
        for subject in subjects
        if subject.number in question.seeds
    ]
    begun = f"; begun with {listed(seeds)}" if seeds else ""
    return f"{question.query}{begun}"


def _unread(number: int, trouble: ModelError | None) -> Finding:
    return Finding(
        number=number,
        verdict=Class.UNCLASSIFIED,
        cause=None,
        of=None,
        confidence=0.0,
        evidence=(),
        why="" if trouble is None else "no reader was asked about it any more",
    )


def _kept(near: Sequence[Candidate], findings: Mapping[int, Finding], most: int) -> list[Candidate]:
    """Give the items that are kept, in their order: what is independent only where there is room.

    What an item repeats, or is fixed by, is kept with it.
    """
    by = {one.item.number: one for one in near}
    order = sorted(by, key=lambda n: findings[n].verdict is Class.INDEPENDENT)
    numbers: set[int] = set()
    for number in order:
        finding = findings[number]
        wanted = {number, finding.of} if finding.of is not None else {number}
        if len(numbers | wanted) <= most:
            numbers |= wanted
    return [one for n, one in by.items() if n in numbers]


def _grouped(
    desk: Desk,
    question: Question,
    shown: Sequence[Subject],
    findings: Mapping[int, Finding],
    read: Read,
) -> tuple[causes.Grouped, ModelError | None]:
    """Give the causes: as a model sees them, or by what items share where none answers."""
    known = naming.tracked(desk.tracked)
    alike = [one for one in shown if findings[one.number].verdict not in _ALONE]
    plain = causes.Grouped(theme="", causes=causes.clustered(alike, known))
    sortable = [one for one in alike if findings[one.number].verdict not in causes.APART]
    if desk.reader is None or read.trouble is not None or not sortable:
        return plain, read.trouble
    try:
        said = _answered(desk.reader, causes.question(question.query, sortable, findings))
    except ModelError as trouble:
        return plain, trouble
    return causes.stated(said, sortable, findings, known), None


def _answered(reader: Reader, asked: str) -> str:
    """Give what a model says of the causes; what it said of the same before, if it did."""
    told = reading.prompt("causes")
    key = packets.digest([told, causes.SCHEMA, asked, reader.model])
    known = reader.readings.found([key]).get(key)
    if isinstance(known, str):
        return known
    reader.say(f"asking {clean(reader.model)} for the root causes")
    reply = reader.ask(told, causes.SCHEMA, asked, tokens=_TOKENS, station="causes")
    if reply.stop_reason == "end_turn":
        reader.readings.keep({key: reply.text})
    return reply.text


def _said(trouble: ModelError | None) -> str:
    return "" if trouble is None else f"the readers stopped: {masked(clean(str(trouble)))}"


def _theme(question: Question, groups: Sequence[Cause]) -> str:
    """Give the theme where no model says it: what was asked for, and what stands out."""
    files = dict.fromkeys(path for group in groups for path in group.files)
    shared = f"; several items name {listed(files, most=4)}" if files else ""
    return f"What was found for: {question.query}{shared}"


def _left(
    one: Candidate, findings: Mapping[int, Finding], gathered: Gathered, most: int
) -> LeftOut:
    """Say why an item was not kept."""
    number = one.item.number
    place = next(at for at, each in enumerate(gathered.candidates, 1) if each.item.number == number)
    ranked = f"place {place} of {len(gathered.candidates)}, and {most} are kept"
    finding = findings.get(number)
    read = "" if finding is None or finding.verdict is Class.UNCLASSIFIED else _verdict(finding)
    best = sorted(one.reasons, key=lambda reason: -reason.points)[:_REASONS]
    spoke = listed((reason.said for reason in best), most=_REASONS) or "nothing"
    return LeftOut(
        number=number,
        title=one.item.title,
        score=one.score,
        why=masked(clean(f"{ranked}{read}; for it spoke: {spoke}")),
    )


def _verdict(finding: Finding) -> str:
    of = f" of {finding.of}" if finding.verdict in NAMING else ""
    return f"; read as {finding.verdict.value.replace('_', ' ')}{of}"
