"""Near duplicates among jobs: what was asked twice. Pure, and careful to keep what differs."""

import re
import unicodedata
from collections.abc import Collection, Hashable, Iterable, Sequence
from typing import Final

from stations.contract import Job, Kind, StationSpec
from worktrees.names import JobId

_QUOTED: Final = re.compile(r"`[^`]*`|\"[^\"]*\"")
_MARK: Final = re.compile(r"\s*[-*]\s+")
_ITEM: Final = "\n-"
_TOKEN: Final = re.compile(r"`[^`]*`|\"[^\"]*\"|\S+")
_EDGES: Final = ".,;:!?"
_ENDS: Final = (".", "!", "?", ":")
_PLAIN: Final = re.compile(r"[A-Z]?[a-z]+")
_EMPTY: Final = frozenset({"a", "an", "the", "please", "kindly"})


def near_duplicates(
    jobs: Sequence[Job], stations: Iterable[StationSpec] = ()
) -> tuple[tuple[JobId, JobId, str], ...]:
    """Give pairs of a job to keep and a later one that asks for the same, and why.

    Both go to the same station with equal scope, needs and acceptance, and their texts hold the
    same words in the same order; only spacing, end punctuation, articles, politeness, list marks
    and the capital that begins a sentence may differ. Numbers, paths, identifiers and quotes must
    be equal. Of command stations (named in ``stations``) the texts must be equal as they stand.
    A job that others need is never one to drop.
    """
    commands = {spec.name for spec in stations if spec.kind is Kind.COMMAND}
    needed = {need for job in jobs for need in job.needs}
    kept: dict[Hashable, Job] = {}
    found: list[tuple[JobId, JobId, str]] = []
    for job in jobs:
        text = _whole(job) if job.route in commands else _sense(job)
        scope = (_globs(job.scope.write), _globs(job.scope.read))
        key = (job.route, scope, frozenset(job.needs), job.accept, text)
        first = kept.setdefault(key, job)
        if first is not job and job.id not in needed:
            what = "the same text" if _whole(first) == _whole(job) else "the same in other words"
            found.append((first.id, job.id, f"{what}, for the same station and scope"))
    return tuple(found)


def _whole(job: Job) -> str:
    return f"{job.title}\n{job.brief}"


def _sense(job: Job) -> tuple[str, ...]:
    """Give the words that carry meaning; a brief that begins with its title says it once."""
    repeated = job.brief.lstrip().startswith(job.title.rstrip("…"))
    text = job.brief if repeated else f"{job.title}.\n{job.brief}"
    words: list[str] = []
    begins = True
    for line in unicodedata.normalize("NFC", text).splitlines():
        mark = _MARK.match(line)
        if mark is not None:
            words.append(_ITEM)
            begins = True
        for token in _TOKEN.findall(line[mark.end() :] if mark is not None else line):
            words.extend(_meant(token, begins=begins))
            begins = token.endswith(_ENDS) and not _QUOTED.fullmatch(token)
    return tuple(words)


def _meant(token: str, *, begins: bool) -> tuple[str, ...]:
    if _QUOTED.fullmatch(token):
        return (token,)
    bare = token.rstrip(_EDGES) or token
    word = bare.lower() if begins and _PLAIN.fullmatch(bare) else bare
    return () if word in _EMPTY else (word,)


def _globs(patterns: Collection[str]) -> Hashable:
    # Without a negation the order of patterns means nothing.
    ordered = any(pattern.startswith("!") for pattern in patterns)
    return tuple(patterns) if ordered else frozenset(patterns)
