"""Texts for a forge: titles and bodies of pull requests from fixed templates, and comments. Pure.

What an agent, an issue or a repository says stands in them as one escaped, capped field: a code
span in which nothing calls a person, closes or names an item, hides, shows an image or a link, or
passes for a line of ours. Fields stay harmless when a forge makes a commit message of the text.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from factory.wording import count, cut, masked, span
from worktrees.message import clean_title
from worktrees.names import JobId, Oid, RunId

T = TypeVar("T")
BODY: Final = 65_000
"""Characters of a body, which leaves room for the marker: a forge takes 65,536."""
TITLE: Final = 100
FIELD: Final = 200
REASON: Final = 400
STATEMENT: Final = 1_200
SLUG: Final = 40
BRANCHES: Final = "factory/pr/"
"""Where branches of pull requests lie, below ``refs/heads/``."""
OFF: Final = "factory:off"
"""The label by which people keep the factory away from an issue or a pull request."""

_LOGIN: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,38})")
_BLANK: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0\ufe0e\ufe0f")
_DISARM: Final[tuple[tuple[re.Pattern[str], str], ...]] = (
    (re.compile(r"`"), "'"),
    (re.compile(r"@(?=\w)"), "@ "),
    (re.compile(r"#(?=\d)"), "# "),
    (re.compile(r"\b(GH)-(?=\d)", re.IGNORECASE), "\\1\u2011"),
    (re.compile(r"(?<=\w)://"), ": //"),
    (re.compile(r"<(?=[A-Za-z/!?])"), "< "),
    (re.compile(r"!\["), "! ["),
    (re.compile(r"\](?=[(\[:])"), "] "),
    (re.compile(r"\[\s*(?=(?:skip|no|ci|actions)\b)", re.IGNORECASE), "[ - "),
    (re.compile(r"\*\*\*NO_CI", re.IGNORECASE), "NO_CI"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What is said of an issue that a job came from.

    ``closes`` only where a reproduction was shown; ``proof`` says what was tried, and ``by`` who
    opened the issue. Of a plan's issue the root cause is known, its test, and how that one failed;
    ``shown`` also where it closes nothing.
    """

    issue: int
    closes: bool = False
    proof: str = ""
    by: str = ""
    cause: str = ""
    test: str = ""
    failure: str = ""
    shown: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One job of a pull request: what was asked, and the issues that it came from."""

    job: JobId
    title: str
    claims: tuple[Claim, ...] = ()
    attempts: int = 1
    repairs: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Touched:
    """A changed path; the lines are None for what is no text."""

    path: str
    added: int | None
    removed: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What the jobs took; ``dollars`` is None when nobody knows, ``basis`` says how it is known."""

    dollars: str | None
    basis: str
    calls: int
    tokens_in: int
    tokens_out: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a pull request stands in a stack, from 1 at the bottom; ``below`` is its number."""

    number: int
    of: int
    below: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Strategy:
    """What a plan says of the whole change; ``digest`` is its SHA-256.

    ``aside`` are items that it does not work on, each with why. ``builds`` and ``replaces`` are
    pull requests of other people, each with its author's login.
    """

    digest: str
    statement: str
    non_goals: tuple[str, ...] = ()
    risks: tuple[str, ...] = ()
    aside: tuple[tuple[int, str], ...] = ()
    builds: tuple[tuple[int, str], ...] = ()
    replaces: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Everything the body of a pull request tells: facts of the ledger and of git, no opinion.

    ``checks`` are the commands that the tree passed, ``limits`` what is not shown, ``left_out`` the
    jobs that are not in it, each with why.
    """

    run: RunId
    line: str
    onto: str
    base: Oid
    commit: Oid
    tree: Oid
    asked: tuple[Asked, ...]
    touched: tuple[Touched, ...]
    landings: int
    checks: tuple[str, ...]
    trials: int
    reds: int
    findings: tuple[str, ...]
    cost: Cost
    limits: tuple[str, ...] = ()
    left_out: Mapping[JobId, str]
    credit: tuple[str, ...] = ()
    place: Place | None = None
    strategy: Strategy | None = None


def field(text: str, *, most: int = FIELD) -> str:
    """Give a text of anybody's as one code span that is only text."""
    return f"`{plain(text, most=most) or '(nothing)'}`"


def plain(text: str, *, most: int) -> str:
    """Give one line of at most ``most`` characters in which nothing acts on a forge."""
    shown = " ".join("".join(_visible(char) for char in text[: 4 * most]).split())
    shown = masked(shown)
    for pattern, instead in _DISARM:
        shown = pattern.sub(instead, shown)
    return cut(" ".join(shown.split()), most).strip()


def _visible(char: str) -> str:
    if char.isspace():
        return " "
    hidden = unicodedata.category(char).startswith("C") or char in _BLANK
    return "" if hidden else char


def title(
    asked: Sequence[Asked], *, place: Place | None = None, strategy: Strategy | None = None
) -> str:
    """Give the title of a pull request: what was asked, or how much; of a plan, what it says."""
    said = strategy.statement if strategy is not None else asked[0].title
    first = clean_title(plain(said, most=TITLE)) or f"Change by {asked[0].job}"
    many = len(asked) > 1 and strategy is None
    rest = f" and {count(len(asked) - 1, 'more job')}" if many else ""
    part = f" ({place.number}/{place.of})" if place is not None and place.of > 1 else ""
    return f"{cut(first, TITLE - len(rest) - len(part)).strip()}{rest}{part}"


def branch(name: str, key: str) -> str:
    """Give the branch of a pull request, without ``refs/heads/``: a slug and its key."""
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower())[:SLUG].strip("-")
    return f"{BRANCHES}{slug or 'change'}-{key}"


def body(told: Account) -> str:
    """Give the body of a pull request; what does not fit is counted instead of listed."""
    most = 60
    while len(text := _body(told, most)) > BODY and most > 1:
        most //= 2
    return text


def _body(told: Account, most: int) -> str:
    planned = told.strategy
    job = _asked if planned is None else _job
    parts = [
        *_stacked(told.place),
        *_section("Strategy", _strategy(planned, most)),
        *_section("What was asked", _listed(told.asked, job, most)),
        *_issues(told.asked),
        *_section("Evidence", _evidence(told, most)),
        *_section("What changed", _changed(told, most)),
        *_section("How it was tested", _tested(told, most)),
        *_section("What an independent review said", _listed(told.findings, _finding, most)),
        *_section("What it cost", [_cost(told.cost)]),
        *_section("What is not shown", [f"- {text}" for text in (*_LIMITS, *told.limits)]),
        *_section("What is left out", [*_left(told, most)]),
        *_section("Credit", [*_credit(told, most)]),
        f"Made by Factory in run `{told.run}`.",
    ]
    return "\n".join(parts) + "\n"


_LIMITS: Final = (
    "Only what the checks above test is shown. Unless a review says so, nobody has read it yet.",
    "The checks ran on the branch as it is here, not on what it becomes when others merge first.",
)


def _section(name: str, lines: Sequence[str]) -> Iterable[str]:
    """Give a heading with its lines, when there are any."""
    return (f"## {name}", "", *lines, "") if lines else ()


def _listed(items: Sequence[T], line: Callable[[T], str], most: int) -> list[str]:
    """Give a line for each of the first items, and how many more there are."""
    rest = len(items) - most
    return [*map(line, items[:most]), *([f"- and {rest} more"] if rest > 0 else [])]


def _issues(asked: Sequence[Asked]) -> Iterable[str]:
    """Give one keyword for each issue: a forge closes only the first of several behind one."""
    claims = [claim for each in asked for claim in each.claims]
    closes = {each.issue: each.closes for each in claims}
    for each in claims:
        if not each.closes:
            closes[each.issue] = False  # one job of an issue that is not shown is enough
    words = [f"{'Fixes' if closes[issue] else 'Refs'} #{issue}" for issue in sorted(closes)]
    return (*words, "") if words else ()


def _strategy(planned: Strategy | None, most: int) -> list[str]:
    if planned is None:
        return []
    return [
        field(planned.statement, most=STATEMENT),
        "",
        *_listed(
            [f"not meant: {field(each, most=REASON)}" for each in planned.non_goals], _item, most
        ),
        *_listed([f"a risk: {field(each, most=REASON)}" for each in planned.risks], _item, most),
        f"- the plan: `{planned.digest}`",
    ]


def _item(text: str) -> str:
    return f"- {text}"


def _evidence(told: Account, most: int) -> list[str]:
    """Give the table of a plan's issues: which test, and how it went before and after."""
    claims = sorted((c for each in told.asked for c in each.claims), key=lambda c: c.issue)
    if told.strategy is None or not claims:
        return []
    head = (
        "Each test that is shown here was run three times on the commit that the run began with,"
        f" and three times on `{told.tree[:12]}`, the tree that this offers."
    )
    rows = [
        "| issue | root cause | test | before | after |",
        "| --- | --- | --- | --- | --- |",
        *map(_row, claims[:most]),
    ]
    rest = len(claims) - most
    return [head, "", *rows, *(["", f"and {rest} more"] if rest > 0 else [])]


def _row(claim: Claim) -> str:
    if claim.closes or claim.shown:
        before, after = f"fails: {_cell(claim.failure)}", "passes"
    else:
        before, after = f"not shown: {_cell(claim.proof)}", "-"
    cause, test = _cell(claim.cause), _cell(claim.test)
    return f"| #{claim.issue} | {cause} | {test} | {before} | {after} |"


def _cell(text: str) -> str:
    # A bar ends a cell, in a code span too.
    return field(text.replace("|", "\N{BROKEN BAR}"))


def _left(told: Account, most: int) -> Iterable[str]:
    yield from _listed(tuple(told.left_out.items()), _left_out, most)
    aside = told.strategy.aside if told.strategy is not None else ()
    yield from _listed(aside, lambda each: f"- item {each[0]}: {field(each[1], most=REASON)}", most)


def _credit(told: Account, most: int) -> Iterable[str]:
    if told.strategy is not None:
        for number, who in told.strategy.builds[:most]:
            yield f"- Builds on #{number} by {_login(who)}"
        for number, who in told.strategy.replaces[:most]:
            yield f"- Supersedes #{number} (thanks {_login(who)})"
    yield from _listed(told.credit, lambda who: f"- {field(who)}", most)


def _login(name: str) -> str:
    """Give a person as a forge mentions them, where the name is one that a forge gives."""
    return f"@{name}" if _LOGIN.fullmatch(name) else field(name)


def _stacked(place: Place | None) -> Iterable[str]:
    if place is None or place.of < 2:  # noqa: PLR2004  one alone is no stack
        return
    below = f"; it is based on #{place.below}" if place.below is not None else ""
    yield (
        f"Part {place.number} of a stack of {place.of}{below}. Merge from the bottom, part 1 first,"
        " with a merge commit, as squashing a part makes the parts above it conflict; and delete"
        " its branch, so that the part above is merged into the base and not into that branch."
    )
    yield ""


def _asked(each: Asked) -> str:
    rounds = f"{count(each.attempts, 'attempt')}, {count(each.repairs, 'repair')}"
    head = f"- {field(each.title)} (job `{each.job}`: {rounds})"
    if not each.claims:
        return head
    if len(each.claims) == 1:
        return f"{head}, {_claim(each.claims[0])}"
    return "\n".join((head, *(f"  - {_claim(claim)}" for claim in each.claims)))


def _job(each: Asked) -> str:
    return _asked(replace(each, claims=()))


def _claim(claim: Claim) -> str:
    asked_by = f", asked by {field(claim.by, most=80)}" if claim.by else ""
    proof = f". Reproduction: {field(claim.proof, most=REASON)}" if claim.proof else ""
    return f"issue #{claim.issue}{asked_by}{proof}"


def _changed(told: Account, most: int) -> list[str]:
    added = sum(each.added or 0 for each in told.touched)
    removed = sum(each.removed or 0 for each in told.touched)
    files = count(len(told.touched), "file")
    lines, landings = count(added, "line"), count(told.landings, "landing")
    head = (
        f"{files}, {lines} added and {removed} removed, in {landings}"
        f" on {field(told.onto, most=FIELD)} at `{told.base}`."
    )
    return [head, "", *_listed(told.touched, _touched, most)]


def _touched(each: Touched) -> str:
    lines = "not text" if each.added is None else f"+{each.added} -{each.removed}"
    return f"- {field(each.path)} ({lines})"


def _tested(told: Account, most: int) -> list[str]:
    if not told.checks:
        return ["Nothing tests this line: the change is here as it was made."]
    runs = f"{count(told.trials, 'test run')} on the way, {told.reds} of them red"
    return [
        f"Each of these passed on tree `{told.tree}`, exactly the tree of commit `{told.commit}`:",
        "",
        *_listed(told.checks, lambda check: f"- {field(check)}", most),
        "",
        f"The run: {runs}. The hash of the line, of all that decides what may land: `{told.line}`.",
    ]


def _finding(text: str) -> str:
    return f"- {field(text, most=REASON)}"


def _cost(cost: Cost) -> str:
    if not cost.calls:
        return f"{span(cost.seconds)} of work; no call of a model is on record."
    money = "an unknown amount" if cost.dollars is None else f"{cost.dollars} USD"
    tokens = f"{cost.tokens_in:,} tokens in and {cost.tokens_out:,} out"
    basis = {
        "synthetic": "synthetic: a server on the same machine answered and nobody paid",
        "estimated": "estimated",
        "exact": "by the list prices and the provider's own counts",
    }.get(cost.basis, "of unknown basis")
    calls = count(cost.calls, "call")
    return f"{money} ({basis}): {calls}, {tokens}, {span(cost.seconds)} of work."


def _left_out(left: tuple[JobId, str]) -> str:
    job, why = left
    return f"- job `{job}`: {field(why, most=REASON)}"


def fallback(*, branch_url: str, why: str) -> str:
    """Give the comment for work whose branch stands on the forge without a pull request."""
    return (
        f"The work for this is finished and tested, and its branch is on the forge, but no pull"
        f" request could be opened: {field(why, most=REASON)}\n\nA person can open it:"
        f" {branch_url}\n"
    )
