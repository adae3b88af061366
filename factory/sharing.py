"""Turns a goal into jobs that a person can edit: what `factory split` asks a large model for.

What the model gives is judged by the same code as a jobs file that a person wrote. It is never run
from here: the jobs go into a file or to standard output.
"""

import json
import re
import tempfile
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.resources import files as packaged
from itertools import combinations
from pathlib import Path
from typing import Any, Final

from factory import settings as configuration
from factory.calls import Tally, tally
from factory.complaint import Complaint
from factory.config import specs
from factory.config.configured import Settings
from factory.config.mistakes import ConfigErrors
from factory.wording import clean, count, listed
from stations.contract import Job, StationSpec
from stations.models import tiers
from stations.models.asking import Block, Reply, Request
from stations.models.caller import Caller
from stations.models.values import Call, Payer
from worktrees.names import JobId, RunId, StationName
from worktrees.scope import Scope

TIER: Final = "large"
DEPTH: Final = 2
"""How often a job that is too large is split again, the goal itself included."""
SENTENCES: Final = 2
MOST_JOBS: Final = 24
_MOST_IN_ALL: Final = 60
_TOKENS: Final = 16_000
_FILES: Final = 400
_TITLE: Final = 72
_BRIEF: Final = 1_200
_LIST: Final = 24
_GOAL: Final = 20_000
_SENTENCE: Final = re.compile(r"[.!?](?=\s+[\"'(`A-Z0-9])")
_ABBREVIATED: Final = re.compile(r"\b(?:e\.g|i\.e|etc|vs|cf|approx|no)\.\s", re.IGNORECASE)
_WORDS: Final[Block] = {"type": "array", "items": {"type": "string"}}
_JOB: Final[Block] = {
    "id": {"type": "string"},
    "title": {"type": "string"},
    "brief": {"type": "string"},
    "station": {"type": "string"},
    "scope": _WORDS,
    "needs": _WORDS,
    "accept": {"type": "array", "items": _WORDS},
    "large": {"type": "boolean"},
}
SCHEMA: Final[Block] = {
    "type": "object",
    "properties": {
        "jobs": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": _JOB,
                "required": list(_JOB),
                "additionalProperties": False,
            },
        }
    },
    "required": ["jobs"],
    "additionalProperties": False,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One job that a model proposes: hostile text, cut to size and made printable."""

    id: str
    title: str
    brief: str
    station: str = ""
    scope: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    accept: tuple[tuple[str, ...], ...] = ()
    large: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """A goal as jobs: the text of their file, what is worth knowing, and what it took."""

    jobs: tuple[Job, ...]
    text: str
    overlaps: tuple[tuple[JobId, JobId], ...]
    notes: tuple[str, ...]
    model: str
    spent: Tally = field(default_factory=Tally)


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What a split works with: who is asked, on whose account, and the repository as it is."""

    settings: Settings
    caller: Caller
    run: RunId
    tracked: Sequence[str]
    calls: Callable[[], Iterable[Call]] = tuple
    """Gives what was asked so far."""
    stop: threading.Event = field(default_factory=threading.Event)

    @property
    def model(self) -> str:
        """The id of the model that is asked."""
        return tiers.resolve(TIER, 0, self.settings.models)

    @property
    def payer(self) -> Payer:
        """On whose account it is."""
        return Payer(run=self.run, job=JobId("split"), station=StationName("split"), attempt=1)


def share(desk: Desk, goal: str, *, depth: int = DEPTH) -> Shared:
    """Give the jobs of a goal; complain when even after one repair they are not sound.

    A job that its model calls too large, or whose brief is longer than two sentences, is split
    once more by itself, while ``depth`` allows. ModelError when there is no reply.
    """
    pieces = _asked(desk, goal, within=None)
    notes: list[str] = []
    for piece in [one for one in pieces if too_large(one)]:
        if depth < DEPTH:
            break
        parts = _asked(desk, f"{piece.title}\n{piece.brief}", within=piece)
        if len(pieces) + len(parts) > _MOST_IN_ALL:
            break
        pieces = put_in_place(pieces, piece, parts)
        notes.append(f"{piece.id} was too large and became {listed(one.id for one in parts)}")
    notes += [
        f"{one.id} is still large: its brief needs more than {count(SENTENCES, 'sentence')}"
        for one in pieces
        if too_large(one)
    ]
    jobs, mistakes = judged(desk.settings, pieces)
    if mistakes:
        raise Complaint(
            "the jobs that the model proposes are not sound:\n" + "\n".join(mistakes),
            hint="try again, name the goal more narrowly, or write the jobs yourself",
            code=1,
        )
    overlaps = tuple(
        (one.id, other.id)
        for one, other in combinations(jobs, 2)
        if one.scope.overlaps(other.scope)
    )
    notes += [f"{one} and {other} overlap: they run one after the other" for one, other in overlaps]
    head = _head(desk, goal, notes)
    return Shared(
        jobs=jobs,
        text=head + as_toml(pieces),
        overlaps=overlaps,
        notes=tuple(notes),
        model=desk.model,
        spent=tally(desk.calls()),
    )


def too_large(piece: Piece) -> bool:
    """Say whether a job does not keep the rule of two sentences."""
    return piece.large or sentences(piece.brief) > SENTENCES


def sentences(text: str) -> int:
    """Count the sentences of a text, as far as their ends can be told."""
    plain = _ABBREVIATED.sub(" ", text.strip())
    return len(_SENTENCE.findall(plain)) + 1 if plain else 0


def put_in_place(
    pieces: Sequence[Piece], whole: Piece, parts: Sequence[Piece]
) -> tuple[Piece, ...]:
    """Put the parts of a job where it stood: they need what it needed, and are needed for it."""
    taken = {one.id for one in pieces}
    names: dict[str, str] = {}
    for part in parts:
        name, tries = part.id, 1
        while name in taken:
            tries += 1
            name = f"{whole.id[:50]}-{part.id[:10]}-{tries}".strip("-")
        taken.add(name)
        names[part.id] = name
    renamed = [
        replace(
            part,
            id=names[part.id],
            needs=(*whole.needs, *(names.get(need, need) for need in part.needs)),
        )
        for part in parts
    ]
    found: list[Piece] = []
    for one in pieces:
        if one.id == whole.id:
            found += renamed
            continue
        needs = [
            each for need in one.needs for each in (names.values() if need == whole.id else (need,))
        ]
        found.append(replace(one, needs=tuple(dict.fromkeys(needs))))
    return tuple(found)


def judged(settings: Settings, pieces: Sequence[Piece]) -> tuple[tuple[Job, ...], list[str]]:
    """Give the jobs as a jobs file would give them, and every mistake as one line."""
    mistakes = [
        f"{one.id}: accept: {words[0]!r} is no program of this line"
        f" ({listed(sorted(programs(settings)))})"
        for one in pieces
        for words in one.accept
        if words and words[0] not in programs(settings)
    ]
    if not pieces:
        mistakes.append("there is no job")
    if len(pieces) > _MOST_IN_ALL:
        mistakes.append(f"there are {len(pieces)} jobs; at most {_MOST_IN_ALL} make sense")
    with tempfile.TemporaryDirectory(prefix="factory-split-") as scratch:
        path = Path(scratch) / "jobs.toml"
        path.write_text(as_toml(pieces), "utf-8")
        try:
            taken = [str(job.id) for job in settings.jobs]
            jobs = configuration.jobs_file(path, settings, taken_ids=taken)
        except ConfigErrors as errors:
            found = [
                f"{clean(each.where)}: {clean(each.what)}; {each.hint}" for each in errors.errors
            ]
            return (), mistakes + found
    return tuple(replace(job, source="split") for job in jobs), mistakes


def programs(settings: Settings) -> frozenset[str]:
    """Name the programs that the line runs anyway: what `accept` may be made of."""
    found = {
        words[0]
        for spec in settings.rules.stations
        for words in (spec.run, *spec.commands)
        if words
    }
    return frozenset(found | {words[0] for job in settings.jobs for words in job.accept})


def as_toml(pieces: Sequence[Piece]) -> str:
    """Give the jobs as the text of a jobs file."""
    parts = []
    for one in pieces:
        lines = ["[[job]]", f"id     = {_text(one.id)}", f"title  = {_text(one.title)}"]
        lines += [f"brief  = {_text(one.brief)}"]
        if one.station:
            lines.append(f"station = {_text(one.station)}")
        if one.scope:
            lines.append(f"scope  = {_texts(one.scope)}")
        if one.needs:
            lines.append(f"needs  = {_texts(one.needs)}")
        if one.accept:
            lines.append(f"accept = [{', '.join(_texts(words) for words in one.accept)}]")
        parts.append("\n".join(lines))
    return "version = 1\n\n" + "\n\n".join(parts) + "\n"


def read(text: str) -> tuple[Piece, ...] | str:
    """Read a reply; give what is wrong with it as a text when it is none."""
    try:
        value: Any = json.loads(text)
    except (ValueError, RecursionError):
        return "the reply is no JSON"
    jobs = value.get("jobs") if isinstance(value, dict) else None
    if not isinstance(jobs, list) or not all(isinstance(one, dict) for one in jobs):
        return 'the reply is no object with a list of objects in "jobs"'
    if len(jobs) > MOST_JOBS:
        return f"there are {len(jobs)} jobs; at most {MOST_JOBS} make sense"
    return tuple(
        Piece(
            id=_said(one.get("id"), _TITLE),
            title=_said(one.get("title"), _TITLE),
            brief=_said(one.get("brief"), _BRIEF),
            station=_said(one.get("station"), _TITLE),
            scope=_list(one.get("scope")),
            needs=_list(one.get("needs")),
            accept=tuple(words for each in _items(one.get("accept")) if (words := _list(each))),
            large=one.get("large") is True,
        )
        for one in jobs
    )


def question(settings: Settings, tracked: Sequence[str], goal: str, within: Piece | None) -> str:
    """Give what the model is told: the goal, the stations, the programs, the files."""
    parts = [f"Goal:\n{goal.strip()[:_GOAL]}"]
    if within is not None:
        parts.append(
            "This is a part of a larger plan that was too large for one job. Its parts stay inside"
            f" this scope: {' '.join(within.scope) or '**'}; station {within.station or 'any'}."
            " No part may be large."
        )
    stations = [_station(spec) for spec in specs.routes(settings.rules.stations)]
    parts.append("Stations that take jobs:\n" + "\n".join(stations))
    parts.append(f"Programs for accept: {listed(sorted(programs(settings)), most=_LIST) or 'none'}")
    parts.append("Files:\n" + "\n".join(shown(tracked)))
    return "\n\n".join(parts)


def shown(tracked: Sequence[str]) -> list[str]:
    """Give the paths of a repository, or its directories with their number of files."""
    paths = [clean(path) for path in sorted(tracked)]
    depth = max((path.count("/") for path in paths), default=0)
    while len(paths) > _FILES and depth > 0:
        sums: dict[str, int] = {}
        for path in sorted(tracked):
            top = "/".join(clean(path).split("/")[:depth])
            sums[top] = sums.get(top, 0) + 1
        paths = [f"{top} ({count(number, 'file')})" for top, number in sums.items()]
        depth -= 1
    left = len(paths) - _FILES
    return paths[:_FILES] + ([f"and {left} more"] if left > 0 else [])


def _asked(desk: Desk, goal: str, *, within: Piece | None) -> tuple[Piece, ...]:
    """Ask for the jobs of a goal, and once more with the mistakes of the first answer."""
    first: Block = {
        "role": "user",
        "content": question(desk.settings, desk.tracked, goal, within),
    }
    reply = _reply(desk, (first,))
    pieces, wrong = _checked(desk.settings, reply, within)
    if not wrong:
        return pieces
    said = "These jobs cannot be used. Give all of them again, put right:\n" + "\n".join(wrong)
    again = (
        first,
        {"role": "assistant", "content": list(reply.content)},
        {"role": "user", "content": said},
    )
    pieces, wrong = _checked(desk.settings, _reply(desk, again), within)
    if wrong and not pieces:
        raise Complaint(
            "the model gives no jobs that can be used:\n" + "\n".join(wrong),
            hint="try again, or name the goal more narrowly",
            code=1,
        )
    return pieces


def _reply(desk: Desk, messages: tuple[Block, ...]) -> Reply:
    text = (packaged("stations") / "prompts" / "split.md").read_text("utf-8").strip()
    request = Request(
        model=desk.model,
        max_tokens=_TOKENS,
        system=({"type": "text", "text": text},),
        messages=messages,
        schema=SCHEMA,
        effort=tiers.effort(desk.model, "medium"),
    )
    reply = desk.caller.ask(desk.payer, request, stop=desk.stop)
    if reply.stop_reason != "end_turn":
        raise Complaint(
            f"{desk.model} gave no complete answer ({clean(reply.stop_reason)})",
            hint="name the goal more narrowly",
            code=1,
        )
    return reply


def _checked(
    settings: Settings, reply: Reply, within: Piece | None
) -> tuple[tuple[Piece, ...], list[str]]:
    pieces = read(reply.text)
    if isinstance(pieces, str):
        return (), [pieces]
    jobs, wrong = judged(settings, pieces)
    if within is not None and within.scope:
        whole = Scope(write=within.scope)
        wrong += [
            f"{job.id}: scope: lies outside of the part's own, {' '.join(within.scope)}"
            for job in jobs
            if not job.scope.inside(whole)
        ]
    return pieces, wrong


def _head(desk: Desk, goal: str, notes: Sequence[str]) -> str:
    lines = [f"Proposed by {clean(desk.model)} for: {clean(goal)[:300]}"]
    if desk.caller.provider.synthetic:
        lines.append("A server on this machine answered: this says nothing about a real model.")
    lines += [*notes, "Look at it and change it, then: factory plan @FILE, factory run @FILE"]
    return "".join(f"# {clean(line)}\n" for line in lines)


def _station(spec: StationSpec) -> str:
    scope = " ".join(spec.scope.write or spec.scope.read) or "**"
    return f"- {spec.name} ({spec.kind}): {clean(scope)[:300]}"


def _items(value: object) -> list[Any]:
    return value[:_LIST] if isinstance(value, list) else []


def _list(value: object) -> tuple[str, ...]:
    return tuple(_said(item, 300) for item in _items(value) if isinstance(item, str) and item)


def _said(value: object, most: int) -> str:
    return clean(value)[:most] if isinstance(value, str) else ""


def _text(text: str) -> str:
    # All that JSON escapes and TOML does not know was made printable before.
    return json.dumps(text, ensure_ascii=False)


def _texts(texts: Iterable[str]) -> str:
    return f"[{', '.join(_text(text) for text in texts)}]"


def cost(spent: Tally, model: str) -> str:
    """Say in one line what the calls to a model came to, and what that figure rests on."""
    spend = spent.spend
    money = "unknown cost" if spend.dollars is None else f"{spend.dollars:.4f} USD"
    how = f" ({spent.basis})" if spent.basis is not None else ""
    tokens = spend.tokens_in + spend.tokens_out
    return f"{count(spent.calls, 'call')} to {model}, {tokens:,} tokens, {money}{how}"


def document(made: Shared, goal: str, path: Path | None) -> Mapping[str, object]:
    """Give the `factory.split/1` document."""
    spend = made.spent.spend
    return {
        "schema": "factory.split/1",
        "goal": clean(goal),
        "model": made.model,
        "jobs": [
            {
                "id": job.id,
                "title": clean(job.title),
                "brief": job.brief,
                "station": job.route,
                "scope": list(job.scope.write or job.scope.read),
                "needs": list(job.needs),
                "accept": [list(words) for words in job.accept],
            }
            for job in made.jobs
        ],
        "overlaps": [list(pair) for pair in made.overlaps],
        "notes": list(made.notes),
        "path": None if path is None else str(path),
        "toml": made.text,
        "spend": {
            "tokens_in": spend.tokens_in,
            "tokens_out": spend.tokens_out,
            "usd": None if spend.dollars is None else f"{spend.dollars:f}",
            "basis": None if made.spent.basis is None else made.spent.basis.value,
            "calls": made.spent.calls,
        },
    }
