"""A survey for people: the Markdown page, and why an item is in it or out. Pure.

It is read on a forge and in a terminal, and whatever comes from the forge or from a model stands
in it as a code span: nothing in it calls a person, closes or names an item, or shows an image.
Numbers are bare for the same reason: with their sign a forge would leave a note on each item.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from factory.forge.texts import field
from factory.survey.values import Candidate, Class, Finding, Item, LeftOut, Link, Survey
from factory.wording import clean, count, cut, listed, span

_TITLE: Final = 120
_QUOTE: Final = 160
_SAID: Final = 300
_LISTED: Final = 40
_QUOTES: Final = 2
_APART: Final = "set aside for a maintainer"
_BASES: Final[Mapping[str, str]] = {
    "exact": "tokens that the provider counted, at list price",
    "estimated": "tokens estimated, at list price",
    "synthetic": "a server on this machine answered: this says nothing about a real model",
    "unknown": "the model has no price here",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """One item of a survey with all that is known of it."""

    candidate: Candidate
    finding: Finding

    @property
    def item(self) -> Item:
        """The item itself."""
        return self.candidate.item

    @property
    def number(self) -> int:
        """The item's number."""
        return self.item.number


def kept(survey: Survey) -> dict[int, Kept]:
    """Give the items of a survey by number, the best first."""
    findings = {one.number: one for one in survey.findings}
    return {
        one.item.number: Kept(candidate=one, finding=findings[one.item.number])
        for one in survey.candidates
    }


def page(survey: Survey, *, public: bool = False) -> str:
    """Give the page `survey.md`; a ``public`` one does not say which items were set aside."""
    items = kept(survey)
    parts = [
        *_head(survey, items),
        *_causes(survey, items),
        *_section("Under no cause", _rows(items, _is_alone)),
        *_section("Duplicates", _rows(items, _is(Class.DUPLICATE))),
        *_section("Superseded", _rows(items, _is(Class.SUPERSEDED))),
        *_section("Already fixed", _rows(items, lambda one: _fixed(one, items))),
        *_section("Closed by a merged pull request", _closed(items)),
        *_section("In flight", _in_flight(items)),
        *_section("For a person", _rows(items, _is(Class.NEEDS_HUMAN))),
        *_section("Independent of the theme", _rows(items, _is(Class.INDEPENDENT))),
        *_section("Set aside for a maintainer", _apart(survey, public=public)),
        *_section("Left out", _left_out(survey.left_out)),
        *_section("How this was made", _made(survey)),
    ]
    return "\n".join(parts).rstrip() + "\n"


def _section(title: str, lines: Iterator[str]) -> Iterator[str]:
    found = list(lines)
    if found:
        yield from (f"## {title}", "", *found, "")


def _head(survey: Survey, items: Mapping[int, Kept]) -> Iterator[str]:
    yield f"# Survey of {field(survey.repo)}: {field(survey.query, most=_TITLE)}"
    yield ""
    if survey.theme:
        yield from (field(survey.theme, most=_SAID), "")
    scored = len(items) + len(survey.left_out) + len(survey.quarantined)
    yield (
        f"{count(len(items), 'item')} kept of {scored} that were scored,"
        f" {count(len(survey.causes), 'root cause' if survey.classified else 'group')}."
    )
    if not survey.classified:
        yield (
            "No model read them: every item is unclassified, and the groups are only what items"
            " share. Whether they have one cause is for a person to say."
        )
    if not survey.complete:
        yield f"**Not complete:** {field(survey.why, most=_SAID)}"
    yield ""


def _causes(survey: Survey, items: Mapping[int, Kept]) -> Iterator[str]:
    if not survey.causes:
        return
    yield from ("## Root causes" if survey.classified else "## What items share", "")
    for cause in survey.causes:
        yield f"### {cause.id}"
        yield ""
        yield field(cause.statement, most=_SAID)
        yield ""
        if cause.files:
            yield f"Files: {listed(map(field, cause.files), most=8)}"
            yield ""
        if cause.symbols:
            yield f"Symbols: {listed(map(field, cause.symbols), most=8)}"
            yield ""
        for number in cause.items:
            if number in items:
                yield from _item(items[number])
        yield ""


def _item(one: Kept) -> Iterator[str]:
    """Give an item as an entry of a list, with what shows its class below it."""
    yield f"- **{one.number}** {_is_what(one)}: {field(one.item.title, most=_TITLE)}"
    finding = one.finding
    telling = [quote for quote in finding.evidence if quote.quote not in one.item.title]
    for quote in telling[:_QUOTES]:
        yield f"  - {quote.source.partition(':')[0]}: {field(quote.quote, most=_QUOTE)}"
    if finding.why:
        yield f"  - why: {field(finding.why, most=_SAID)}"


def _is_what(one: Kept) -> str:
    item, finding = one.item, one.finding
    draft = "draft " if item.draft and item.state == "open" else ""
    kind = "pull request" if item.kind == "pull" else "issue"
    verdict = f", {verdict_of(finding)}" if finding.verdict is not Class.UNCLASSIFIED else ""
    sure = f" ({finding.confidence:.0%} sure)" if finding.confidence else ""
    return f"({item.state} {draft}{kind}){verdict}{sure}"


def verdict_of(finding: Finding) -> str:
    """Say what an item was found to be."""
    match finding.verdict:
        case Class.DUPLICATE:
            return f"duplicate of {finding.of}"
        case Class.SUPERSEDED:
            return f"superseded by {finding.of}"
        case Class.FIXED_BY_CANDIDATE:
            return f"fixed by {finding.of}"
        case Class.NEEDS_HUMAN:
            return "for a person to say"
        case verdict:
            return verdict.value


def _is(verdict: Class) -> Callable[[Kept], bool]:
    return lambda one: one.finding.verdict is verdict


def _is_alone(one: Kept) -> bool:
    told_elsewhere = {Class.NEEDS_HUMAN, Class.INDEPENDENT}
    return one.finding.cause is None and one.finding.verdict not in told_elsewhere


def _fixed(one: Kept, items: Mapping[int, Kept]) -> bool:
    fix = items.get(one.finding.of) if one.finding.of is not None else None
    fixed = one.finding.verdict is Class.FIXED_BY_CANDIDATE
    return fixed and fix is not None and fix.item.state == "merged"


def _closed(items: Mapping[int, Kept]) -> Iterator[str]:
    """Give the issues that nobody classified and that the forge links with what closed them."""
    for one in items.values():
        if one.item.kind != "issue" or one.finding.verdict is not Class.UNCLASSIFIED:
            continue
        by = [n for n in _closing(one, items) if items[n].item.state == "merged"]
        if by:
            yield (
                f"- **{one.number}** ({one.item.state} issue), by {listed(map(str, by))}:"
                f" {field(one.item.title, most=_TITLE)}"
            )


def _closing(one: Kept, items: Mapping[int, Kept]) -> list[int]:
    """Give the kept items of the other kind that a closing word links with one."""
    linked = {link.number for link in one.candidate.links if link.kind == "closes"}
    linked |= {
        n
        for n, other in items.items()
        if any(link == Link(kind="closes", number=one.number) for link in other.candidate.links)
    }
    return [n for n in sorted(linked & items.keys()) if items[n].item.kind != one.item.kind]


def _rows(items: Mapping[int, Kept], wanted: Callable[[Kept], bool]) -> Iterator[str]:
    for one in items.values():
        if wanted(one):
            where = f", {one.finding.cause}" if one.finding.cause else ""
            yield (
                f"- **{one.number}** {_is_what(one)}{where}: {field(one.item.title, most=_TITLE)}"
            )
            if one.finding.verdict is Class.NEEDS_HUMAN and one.finding.why:
                yield f"  - {field(one.finding.why, most=_SAID)}"


def _in_flight(items: Mapping[int, Kept]) -> Iterator[str]:
    """Give the open pull requests, each with what it fixes by a reader's word or its own."""
    for one in items.values():
        if one.item.kind != "pull" or one.item.state != "open":
            continue
        fixes = sorted(n for n, other in items.items() if _fixes(one, other))
        says = [n for n in _closing(one, items) if n not in fixes]
        told = f", fixes {listed(map(str, fixes))}" if fixes else ""
        told += f", says it closes {listed(map(str, says))}" if says else ""
        draft = ", draft" if one.item.draft else ""
        yield (
            f"- **{one.number}** by {field(one.item.author)}{draft}{told}:"
            f" {field(one.item.title, most=_TITLE)}"
        )


def _fixes(pull: Kept, other: Kept) -> bool:
    named = other.finding.verdict is Class.FIXED_BY_CANDIDATE
    return named and other.finding.of == pull.number


def _apart(survey: Survey, *, public: bool) -> Iterator[str]:
    numbers = [str(number) for number, _ in survey.quarantined]
    if numbers and public:
        yield f"{count(len(numbers), 'item')} {_APART}. Nothing of them is told here."
    elif numbers:
        yield f"{listed(numbers, most=_LISTED)}: {_APART}. Nothing of them is told here."


def _left_out(left: Sequence[LeftOut]) -> Iterator[str]:
    for one in left[:_LISTED]:
        title = field(one.title, most=_TITLE)
        yield f"- **{one.number}** (score {one.score:.4f}) {title}: {field(one.why, most=_SAID)}"
    more = len(left) - _LISTED
    if more > 0:
        yield f"- and {more} more, in `survey.json`"


def _made(survey: Survey) -> Iterator[str]:
    yield f"- made {survey.created:%Y-%m-%d %H:%M} UTC from {field(survey.repo)}"
    if survey.seeds:
        yield f"- seeds: {listed(map(str, survey.seeds), most=_LISTED)}"
    waits = f", {span(survey.waited)} of waiting" if survey.waited else ", no waiting"
    yield f"- {count(survey.requests, 'request')} to the forge{waits}; nothing was written there"
    if not survey.model:
        yield "- no model was asked"
        return
    agreement = agreed(survey)
    yield f"- readers: {field(survey.model)}, without tools, token or network{agreement}"
    yield f"- {spent(survey)}"


def agreed(survey: Survey) -> str:
    """Say how often both readings of an item were one; empty where none was read twice."""
    if survey.agreement is None:
        return ""
    return (
        f"; {count(survey.asked, 'item')} asked about twice, in two orders:"
        f" {survey.agreement:.0%} read alike"
    )


def spent(survey: Survey) -> str:
    """Say what the readers took, and what that figure rests on."""
    spend = survey.spend
    if not survey.calls:
        known = ": every answer was known from before" if survey.asked else ""
        return f"no call to a model{known}"
    tokens = spend.tokens_in + spend.tokens_out
    money = "unknown cost" if spend.dollars is None else f"{spend.dollars:.4f} USD"
    basis = (
        f" ({_BASES[survey.basis]})" if survey.basis is not None and survey.basis in _BASES else ""
    )
    return f"{count(survey.calls, 'call')} to the model, {tokens:,} tokens, {money}{basis}"


def explained(survey: Survey, number: int) -> tuple[str, ...]:
    """Say why an item is in a survey or out of it; nothing when the survey does not know it."""
    items = kept(survey)
    if number in items:
        return tuple(_why_in(survey, items[number]))
    if any(number == apart for apart, _ in survey.quarantined):
        why = next(why for apart, why in survey.quarantined if apart == number)
        return (f"{number} is {_APART}: it {clean(why)}.", "Nothing of it is shown.")
    left = next((one for one in survey.left_out if one.number == number), None)
    if left is None:
        return ()
    return (
        f"{number} is left out: {_quoted(left.title)}",
        f"  score {left.score:.4f}; {len(items)} are kept",
        f"  {clean(left.why)}",
    )


def _why_in(survey: Survey, one: Kept) -> Iterator[str]:
    place = [each.item.number for each in survey.candidates].index(one.number) + 1
    yield f"{one.number} is in: {_quoted(one.item.title)}"
    yield f"  place {place} of {len(survey.candidates)}, score {one.candidate.score:.4f}"
    for reason in one.candidate.reasons:
        yield f"  + {reason.points:.4f} {reason.kind}: {cut(clean(reason.said), _SAID)}"
    finding = one.finding
    if finding.verdict is Class.UNCLASSIFIED:
        why = f": {clean(finding.why)}" if finding.why else ""
        yield f"  unclassified{why}"
    else:
        yield f"  {verdict_of(finding)}: {cut(clean(finding.why), _SAID)}"
    for quote in finding.evidence:
        yield f"    {clean(quote.source)}: {_quoted(quote.quote)}"
    cause = next((each for each in survey.causes if each.id == finding.cause), None)
    if cause is not None:
        yield f"  under {cause.id}: {cut(clean(cause.statement), _SAID)}"


def _quoted(text: str) -> str:
    return f'"{cut(clean(text), _QUOTE)}"'
