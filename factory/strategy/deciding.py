"""What is done about each item of a survey, from what it was found to be. Pure.

A class is a reader's word, and decides only what is safe when it is wrong: a fix is shown by a
test of its own, what is said to be fixed is shown by one too, and the rest waits for a person.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from factory.strategy.values import Action, Aside, PlanItem
from factory.survey.values import Candidate, Cause, Class, Finding, Quote, Survey
from factory.wording import clean, cut, masked

_TITLE: Final = 300
_WHY: Final = 600
_QUOTE: Final = 400
_QUOTES: Final = 4
_ASIDE: Final = "set aside for a maintainer: it may be about security"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """The items of a plan; ``built`` are open pull requests to build on, ``replaced`` others.

    ``left`` are the items that no root cause holds, each with why.
    """

    items: tuple[PlanItem, ...]
    left: tuple[Aside, ...]
    built: tuple[int, ...]
    replaced: tuple[int, ...]


def decide(survey: Survey) -> Decided:
    """Give what is done about each kept item of a survey, and why."""
    return _Deciding(survey).decided()


class _Deciding:
    def __init__(self, survey: Survey) -> None:
        self.survey = survey
        self.quarantined = dict(survey.quarantined)
        self.known: Mapping[int, Candidate] = {each.item.number: each for each in survey.candidates}
        self.findings: Mapping[int, Finding] = {
            each.number: each for each in survey.findings if each.number in self.known
        }
        self.causes: dict[int, str] = {}
        for cause in survey.causes:
            for number in cause.items:
                self.causes.setdefault(number, cause.id)

    def decided(self) -> Decided:
        """Judge each item; a pull request takes the root cause of the issue that it fixes."""
        self._lend_causes()
        built = self._built()
        items = [self._judged(number, built) for number in self.known]
        left: list[Aside] = []
        placed: list[PlanItem] = []
        for item in items:
            if item.root_cause_id is None:
                left.append(Aside(n=item.n, why=item.why or "it belongs to no root cause"))
            placed.append(item)
        left += [
            Aside(n=number, why=_ASIDE) for number in self.quarantined if number not in self.known
        ]
        replaced = tuple(
            item.n
            for item in items
            if item.action is Action.CLOSE_AFTER_MERGE and item.n not in built
        )
        return Decided(items=tuple(placed), left=tuple(left), built=built, replaced=replaced)

    def _security(self, number: int) -> bool:
        finding = self.findings.get(number)
        classed = finding is not None and finding.verdict is Class.SECURITY
        return classed or number in self.quarantined

    def _verdict(self, number: int) -> Class:
        if self._security(number):
            return Class.SECURITY
        finding = self.findings.get(number)
        return finding.verdict if finding is not None else Class.UNCLASSIFIED

    def _lend_causes(self) -> None:
        for number, finding in self.findings.items():
            other = finding.of
            if other is None or other not in self.known:
                continue
            if number in self.causes and other not in self.causes:
                self.causes[other] = self.causes[number]
            elif other in self.causes and number not in self.causes:
                self.causes[number] = self.causes[other]

    def _built(self) -> tuple[int, ...]:
        """Give the open pull requests that are built on: at most one for each root cause."""
        found: dict[str, int] = {}
        for number, finding in self.findings.items():
            if self._verdict(number) is not Class.FIXED_BY_CANDIDATE or finding.of is None:
                continue
            if self._is_open_pull(finding.of):
                found.setdefault(self.causes.get(number, f"#{number}"), finding.of)
        for number in self.known:
            # A pull request that stands for its root cause alone is a way to fix it, too.
            if self._is_open_pull(number) and self._verdict(number) is Class.CANONICAL:
                cause = self.causes.get(number)
                if cause is not None:
                    found.setdefault(cause, number)
        return tuple(dict.fromkeys(found.values()))

    def _is_open_pull(self, number: int) -> bool:
        candidate = self.known.get(number)
        if candidate is None or self._security(number):
            return False
        return candidate.item.kind == "pull" and candidate.item.state == "open"

    def _judged(self, number: int, built: tuple[int, ...]) -> PlanItem:
        item, finding = self.known[number].item, self.findings.get(number)
        verdict = self._verdict(number)
        if verdict is Class.SECURITY:
            action, why, cause = Action.SECURITY, _ASIDE, None
        else:
            cause = self.causes.get(number)
            pull = item.kind == "pull"
            action, why = self._of_pull(number, built) if pull else self._of_issue(number, cause)
            if action is Action.LEAVE and cause is not None and verdict is Class.INDEPENDENT:
                cause = None
        told = finding.why if finding is not None and verdict is not Class.SECURITY else ""
        whole = "; ".join(part for part in (why, masked(clean(told))) if part)
        hidden = verdict is Class.SECURITY
        return PlanItem(
            n=number,
            kind=item.kind,
            state=item.state,
            title="" if hidden else cut(masked(clean(item.title)), _TITLE),
            updated_at=item.updated,
            head_sha=item.head_sha,
            verdict=verdict,
            of=finding.of if finding is not None and not hidden else None,
            root_cause_id=cause,
            confidence=finding.confidence if finding is not None else 0.0,
            evidence=() if finding is None or hidden else _quotes(finding),
            action=action,
            why=cut(whole, _WHY),
        )

    def _of_issue(self, number: int, cause: str | None) -> tuple[Action, str]:
        item, verdict = self.known[number].item, self._verdict(number)
        if item.state != "open":
            return Action.LEAVE, "it is closed"
        match verdict:
            case Class.UNCLASSIFIED:
                why = "nobody classified it: say fix, covered or leave"
                return (Action.HUMAN, why) if cause else (Action.LEAVE, "no root cause holds it")
            case Class.NEEDS_HUMAN:
                return Action.HUMAN, "its readers do not agree on it: say fix, covered or leave"
            case Class.INDEPENDENT | Class.SECURITY:
                return Action.LEAVE, "it has a cause of its own, outside of this theme"
            case Class.DUPLICATE | Class.SUPERSEDED:
                return self._of_copy(number, cause)
            case Class.FIXED_BY_CANDIDATE:
                return self._of_fixed(number, cause)
            case Class.CANONICAL | Class.RELATED:
                return (Action.FIX, "") if cause else (Action.LEAVE, "no root cause holds it")

    def _of_copy(self, number: int, cause: str | None) -> tuple[Action, str]:
        """Judge a duplicate by what it is one of; alone it is what is left of the two."""
        first = self._first(number)
        if cause is None:
            return Action.LEAVE, "no root cause holds it"
        if first is None or self.known[first].item.state != "open":
            return Action.FIX, "what it duplicates is not open here"
        verdict = self._verdict(first)
        if self.known[first].item.kind == "pull":
            return Action.FIX, f"#{first} stands for it"
        if verdict is Class.SECURITY:
            return Action.HUMAN, "what it duplicates was set aside for a maintainer"
        action, _ = self._of_issue(first, self.causes.get(first))
        if action is Action.FIX:
            return Action.COVERED, f"the fix of #{first} covers it"
        return action, f"as #{first}, which it duplicates"

    def _of_fixed(self, number: int, cause: str | None) -> tuple[Action, str]:
        other = self.findings[number].of
        state = self.known[other].item.state if other in self.known and other else None
        if other is not None and state == "merged":
            return Action.ALREADY_FIXED, f"#{other} is merged and says that it fixes it"
        if cause is None:
            return Action.LEAVE, "no root cause holds it"
        if other is not None and self._is_open_pull(other):
            return Action.FIX, f"in flight: the open pull request #{other} is built on"
        return Action.FIX, "what was to fix it is not open any more"

    def _of_pull(self, number: int, built: tuple[int, ...]) -> tuple[Action, str]:
        item, verdict = self.known[number].item, self._verdict(number)
        if item.state == "merged":
            return Action.LEAVE, "it is merged"
        if item.state != "open":
            return Action.LEAVE, "it was closed without a merge"
        if number in built:
            return Action.CLOSE_AFTER_MERGE, "it is built on, with credit to its author"
        if verdict is Class.NEEDS_HUMAN:
            return Action.HUMAN, "its readers do not agree on it"
        if verdict is Class.UNCLASSIFIED and number in self.causes:
            return Action.HUMAN, "nobody classified it: say close-after-merge or leave"
        if verdict in {Class.DUPLICATE, Class.SUPERSEDED, Class.FIXED_BY_CANDIDATE}:
            return Action.CLOSE_AFTER_MERGE, "another change takes its place"
        return Action.LEAVE, "it is a change of its own"

    def _first(self, number: int) -> int | None:
        """Follow what an item is a copy of to where it ends; None where that leads nowhere."""
        seen = {number}
        here: int | None = self.findings[number].of
        while here is not None and here in self.known and here not in seen:
            if self._verdict(here) not in {Class.DUPLICATE, Class.SUPERSEDED}:
                return here
            seen.add(here)
            here = self.findings[here].of
        return None


def causes_of(survey: Survey, decided: Decided) -> tuple[Cause, ...]:
    """Give the root causes with the items that the plan puts there; those without any are gone."""
    found = []
    for cause in survey.causes:
        items = tuple(each.n for each in decided.items if each.root_cause_id == cause.id)
        if items:
            found.append(replace(cause, items=items))
    return tuple(found)


def _quotes(finding: Finding) -> tuple[Quote, ...]:
    # A quote that is cut is still a part of the text; one with a secret in it is told to nobody.
    return tuple(
        Quote(source=each.source, quote=each.quote[:_QUOTE])
        for each in finding.evidence[:_QUOTES]
        if masked(each.quote) == each.quote
    )
