"""Asks readers what items are: plain calls to a model that has no tools, no token and no network.

Every item is asked twice, in two orders, beside other items. What was answered is kept before the
next question, so whoever is killed in between is followed by one who asks only the rest.
"""

import random
import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.resources import files as packaged
from typing import Any, Final

from factory.survey import packets, verdicts
from factory.survey.packets import Subject
from factory.survey.readings import Readings
from factory.survey.values import Class, Finding
from factory.survey.verdicts import Heard, Verdict
from factory.wording import clean, count
from stations.models import tiers
from stations.models.asking import Block, Reply, Request
from stations.models.caller import Caller
from stations.models.values import ModelError, Payer
from worktrees.names import JobId, RunId, StationName

TIER: Final = "medium"
PASSES: Final = 2
_AT_ONCE: Final = 4
_TRIES: Final = (12, 3, 1)
"""Items in one call at most, by how often they were asked: fewer when a reply was of no use.

So one text that a model chokes on costs no other item its verdict.
"""
_NTH: Final[Mapping[int, str]] = {1: "the first", 2: "the second"}
_TOKENS: Final = 1_000
_EACH: Final = 450
"""Tokens that the verdict on one item may take, quotes included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """Who is asked, on whose account, and where the answers are kept."""

    caller: Caller
    model: str
    run: RunId
    readings: Readings
    say: Callable[[str], None]
    stop: threading.Event = field(default_factory=threading.Event)

    def ask(
        self, prompt: str, schema: Block, said: str, *, tokens: int, station: str = "readers"
    ) -> Reply:
        """Ask one question that has a schema for its answer; ModelError when there is none."""
        payer = Payer(run=self.run, job=JobId("survey"), station=StationName(station), attempt=1)
        request = self.request(prompt, schema, said, tokens=tokens)
        return self.caller.ask(payer, request, stop=self.stop)

    def request(self, prompt: str, schema: Block, said: str, *, tokens: int) -> Request:
        """Give the request that a question is."""
        return Request(
            model=self.model,
            max_tokens=tokens,
            system=({"type": "text", "text": prompt},),
            messages=({"role": "user", "content": said},),
            schema=schema,
            effort=tiers.effort(self.model, "low"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """What readers made of items: findings, of how many, and how often both readings were one.

    ``trouble`` is why not all could be asked; the items that are left out then have no finding.
    ``extra`` counts answers for numbers that nobody asked for, which were dropped.
    """

    findings: tuple[Finding, ...]
    agreement: float | None
    both: int
    extra: int
    trouble: ModelError | None


def prompt(name: str) -> str:
    """Give the text that readers are told first, by its name."""
    return (packaged("stations") / "prompts" / f"{name}.md").read_text("utf-8").strip()


def classify(reader: Reader, theme: str, subjects: Sequence[Subject]) -> Read:
    """Ask twice what each item is; code judges the answers."""
    told = prompt("survey")
    version = packets.digest([told, verdicts.SCHEMA, theme, reader.model])
    listed = {subject.number: subject.item for subject in subjects}
    heard: list[dict[int, Verdict]] = []
    extra, trouble = 0, None
    for turn in range(1, PASSES + 1):
        reading = _Pass(reader, told, theme, turn=turn, version=version, subjects=subjects)
        if trouble is None:
            trouble = reading.ask()
        heard.append(reading.heard)
        extra += reading.extra
    first, second = heard
    both = [(first[n], second[n]) for n in listed if n in first and n in second]
    read = [
        subject
        for subject in subjects
        if trouble is None or (subject.number in first and subject.number in second)
    ]
    found = [
        verdicts.judged(first.get(each.number), second.get(each.number), each, listed)
        for each in read
    ]
    return Read(
        findings=verdicts.untangled(_shielded(found)),
        agreement=sum(verdicts.agreed(*pair) for pair in both) / len(both) if both else None,
        both=len(both),
        extra=extra,
        trouble=trouble,
    )


class _Pass:
    """One reading of all items, in an order of its own."""

    def __init__(
        self,
        reader: Reader,
        told: str,
        theme: str,
        *,
        turn: int,
        version: str,
        subjects: Sequence[Subject],
    ) -> None:
        self._reader, self._told, self._theme, self._turn = reader, told, theme, turn
        # The same order each time, so that a survey which goes on asks what is left as it was.
        order = random.Random(f"{version} {turn}")  # noqa: S311  no secret hangs on it
        self._subjects = order.sample(list(subjects), len(subjects))
        self._listed = [each.item for each in order.sample(list(subjects), len(subjects))]
        self._keys = {
            each.number: packets.digest([version, turn, each.mark]) for each in self._subjects
        }
        self.extra = 0
        self.heard = self._kept()

    def _kept(self) -> dict[int, Verdict]:
        """Give what an earlier survey was answered, as far as it still means candidates."""
        kept = self._reader.readings.found(self._keys.values())
        known = {item.number for item in self._listed}
        rows = ((n, verdicts.verdict_of(kept.get(key))) for n, key in self._keys.items())
        return {n: one for n, one in rows if one is not None and (one.of or n) in known}

    def ask(self) -> ModelError | None:
        """Ask for what is not known yet; give why not all of it could be asked."""
        for each in _TRIES:
            left = [one for one in self._subjects if one.number not in self.heard]
            if not left:
                break
            trouble = self._asked(left, each)
            if trouble is not None:
                return trouble
        return None

    def _asked(self, left: Sequence[Subject], each: int) -> ModelError | None:
        empty = self._reader.request(self._told, verdicts.SCHEMA, "", tokens=_TOKENS)
        batches = packets.packed(self._theme, self._listed, left, beside=empty.size, each=each)
        self._reader.say(
            f"reading {count(len(left), 'item')}, {_NTH[self._turn]} time, in"
            f" {count(len(batches), 'call')} to {clean(self._reader.model)}"
        )
        pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="reader")
        waiting = iter(batches)
        asking: dict[Future[Reply], tuple[Subject, ...]] = {}
        trouble: ModelError | None = None
        try:
            while True:
                while trouble is None and len(asking) < _AT_ONCE:
                    batch = next(waiting, None)
                    if batch is None:
                        break
                    asking[pool.submit(partial(self._ask_one, *batch))] = batch[1]
                if not asking:
                    return trouble
                done, _ = wait(asking, return_when=FIRST_COMPLETED)
                for one in done:
                    batch_of = asking.pop(one)
                    try:
                        self._take(one.result(), batch_of)
                    except ModelError as error:
                        if error.cause == "incomplete":
                            self._reader.say(f"an answer cannot be used: {clean(str(error))}")
                        else:
                            trouble = trouble or error
        except KeyboardInterrupt:
            # What is answered already was paid for.
            self._reader.stop.set()
            for one in wait(asking).done:
                with suppress(ModelError):
                    self._take(one.result(), asking[one])
            raise
        finally:
            pool.shutdown(cancel_futures=True)

    def _ask_one(self, said: str, batch: Sequence[Subject]) -> Reply:
        tokens = _TOKENS + _EACH * len(batch)
        return self._reader.ask(self._told, verdicts.SCHEMA, said, tokens=tokens)

    def _take(self, reply: Reply, batch: Iterable[Subject]) -> None:
        asked = {subject.number for subject in batch}
        heard = verdicts.read(reply.text, asked)
        if not isinstance(heard, Heard):
            self._reader.say(f"an answer cannot be used: {heard} ({clean(reply.stop_reason)})")
            return
        self.extra += heard.extra
        self.heard |= heard.verdicts
        rows: Mapping[str, Any] = {
            self._keys[n]: verdicts.row_of(one) for n, one in heard.verdicts.items()
        }
        self._reader.readings.keep(rows)


def _shielded(findings: Sequence[Finding]) -> list[Finding]:
    """Set copies of what was set aside apart with it; give findings that name none of them."""
    apart = {one.number for one in findings if one.verdict is Class.SECURITY}
    copies = {one.number: one.of for one in findings if one.verdict is Class.DUPLICATE}
    while more := {number for number, of in copies.items() if of in apart} - apart:
        apart |= more
    return [_apart(one, apart) for one in findings]


def _apart(one: Finding, apart: Collection[int]) -> Finding:
    if one.number in apart and one.verdict is not Class.SECURITY:
        why = "was called a copy of one that was set aside"
        return replace(one, verdict=Class.SECURITY, of=None, evidence=(), why=why)
    return verdicts.unresolved(one, "what it names was set aside") if one.of in apart else one
