"""Reads the ledger for whoever shows runs: what was read and drawn once is kept per position.

All methods of a `Reader` are for one thread. It decides nothing: an order becomes the same letter
that the commands leave.
"""

import re
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

from factory import calls
from factory.balancing import Balancing
from factory.complaint import Complaint
from factory.events import Settled
from factory.landing import position
from factory.ledger import Ledger, Letter, LetterKind, Record
from factory.line import Line, Work, replay
from factory.pace.catalogue import Policy
from factory.show import pages
from factory.show.figures import Figures
from factory.show.markup import Html
from factory.show.pages import Group
from factory.show.paper import paper
from factory.show.watching import Watch
from factory.views.balance import decision_row, option_row
from factory.views.documents import runs_document
from factory.views.rows import where
from factory.views.schemas import WhyDocument
from factory.views.story import why_document
from worktrees.names import JobId, RunId

REFRESH: Final = 5.0
"""Seconds after which durations are drawn anew although nothing happened."""
KEPT: Final = 4
"""Runs whose figures are kept at hand."""
_SHOWN: Final = 20
_TEXT: Final = 4000
_NAME: Final = re.compile(r"[a-z0-9-]{0,100}")


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """What is shown: a ledger, who works on it, what a person allows, and how orders are made."""

    ledger: Path
    policy: Policy
    alive: Callable[[Ledger, Record], bool]
    order: Callable[[Line, Balancing, str, str], Letter]
    promise: Callable[[Letter, RunId, bool], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A piece of a page: the ledger's position it shows, and what else it depends on."""

    seq: int
    mark: object
    html: Html


class NotFound(Complaint):
    """There is no such run, job, option or decision."""


class Reader:
    """Gives the pages of a repository's runs, and leaves letters for their floors."""

    def __init__(self, house: House, key: str) -> None:
        self._house = house
        self._key = key
        self._watches: OrderedDict[RunId, Watch] = OrderedDict()
        self._figures: dict[RunId, tuple[object, Figures]] = {}
        self._drawn: dict[tuple[RunId, Group], Drawn] = {}
        self._stories: dict[tuple[RunId, JobId], Drawn] = {}

    def newest(self) -> str:
        """Give the newest run."""
        return self._runs()[-1]

    def run_page(self, run: str, group: Group, noted: str, what: str) -> Html:
        """Give the page of a run."""
        figures, _, _ = self._shown(run)
        note = self._note(run, noted, what, None)
        return pages.run_page(figures, len(self._runs()), key=self._key, group=group, note=note)

    def overview(self, run: str, group: Group) -> Drawn:
        """Give the part of a run's page that changes."""
        figures, mark, _ = self._shown(run)
        known = self._drawn.get((RunId(run), group))
        if known is None or known.mark != mark:
            html = pages.live_overview(figures, key=self._key, group=group)
            known = Drawn(seq=figures.seq, mark=mark, html=html)
            self._drawn[RunId(run), group] = known
        return known

    def job_page(self, run: str, job: str, noted: str) -> Html:
        """Give the page of a job."""
        watch, work, document = self._story(run, job)
        note = self._note(run, noted, "", work.job.id)
        many = len(self._runs())
        return pages.job_page(document, many, key=self._key, seq=watch.seq, note=note)

    def story(self, run: str, job: str) -> Drawn:
        """Give the part of a job's page that changes; drawn anew when something happened to it."""
        watch, work = self._job(run, job)
        mark = (work, position(watch.line.gate, work.job.id))
        known = self._stories.get((watch.line.run, work.job.id))
        if known is None or known.mark != mark:
            _, _, document = self._story(run, job)
            known = Drawn(seq=watch.seq, mark=mark, html=pages.live_job(document))
            self._stories = {(watch.line.run, work.job.id): known}
        return known

    def kill_page(self, run: str, job: str) -> Html:
        """Give the page that asks before a job is killed."""
        watch, work = self._job(run, job)
        if isinstance(work.place, Settled):
            raise Complaint(f"{job} has ended: there is nothing to kill")
        asked = pages.kill_asked(run, job, where(watch.line, work, time.time()))
        return pages.ask_page(run, asked, len(self._runs()), key=self._key)

    def apply_page(self, run: str, name: str) -> Html:
        """Give the page that asks before an option is applied, with what it promises."""
        watch, alive = self._watch(run)
        made = watch.balancing(_now(watch, alive=alive))
        for option in made.options:
            if option.name == name:
                asked = pages.apply_asked(run, option_row(option))
                return pages.ask_page(run, asked, len(self._runs()), key=self._key)
        raise NotFound(f"{name} is no option now", hint="the line has changed since: look again")

    def undo_page(self, run: str, number: str) -> Html:
        """Give the page that asks before a decision is taken back."""
        watch, _ = self._watch(run)
        for decided in watch.line.decided.values():
            if str(decided.number) == number:
                row = decision_row(watch.line, decided, {})
                asked = pages.undo_asked(run, row)
                return pages.ask_page(run, asked, len(self._runs()), key=self._key)
        raise NotFound(f"there is no decision {number}")

    def runs_page(self) -> Html:
        """Give the list of runs, newest first."""
        with self._open() as ledger:
            rows = []
            for run in tuple(reversed(ledger.runs()))[:_SHOWN]:
                records = tuple(ledger.records(run))
                line = replay((record.event, record.at) for record in records)
                rows.append((line, records, self._house.alive(ledger, records[-1])))
        return pages.runs_page(runs_document(rows))

    def report(self, run: str) -> Html:
        """Give the report of a run as one file."""
        return paper(self._shown(run)[0])

    def post(self, run: str, kind: str, what: str, text: str) -> str:
        """Leave a letter for the floor of a run, and give where it shows; complain if refused."""
        watch, alive = self._watch(run)
        letter = self._letter(watch, kind, what, text, alive=alive)
        with Ledger(self._house.ledger) as ledger:
            ledger.post(watch.line.run, letter, time.time())
        rest = () if letter.job is None else ("job", letter.job)
        what = letter.text if kind in ("apply", "undo") else ""
        return f"{pages.address(run, *rest)}?noted={kind}&what={quote(what)}"

    def _letter(self, watch: Watch, kind: str, what: str, text: str, *, alive: bool) -> Letter:
        match kind:
            case "apply" | "undo":
                made = watch.balancing(_now(watch, alive=alive))
                return self._house.order(watch.line, made, kind, what)
            case "pause" | "resume":
                return Letter(kind=kind)
            case "tell" | "kill" | "retry":
                _, work = self._job(watch.line.run, what)
                if kind == "tell" and not 0 < len(text.strip()) <= _TEXT:
                    raise Complaint(f"say something to {what}, in at most {_TEXT} characters")
                said = text.strip() if kind == "tell" else ""
                return Letter(kind=kind, job=work.job.id, text=said)
            case _:
                raise NotFound("there is no such order")

    def _note(self, run: str, noted: str, what: str, job: JobId | None) -> str:
        kinds: dict[str, LetterKind] = {
            "tell": "tell",
            "kill": "kill",
            "retry": "retry",
            "pause": "pause",
            "resume": "resume",
            "apply": "apply",
            "undo": "undo",
        }
        kind = kinds.get(noted)
        if kind is None or not _NAME.fullmatch(what):
            return ""
        watch, alive = self._watch(run)
        return self._house.promise(Letter(kind=kind, job=job, text=what), watch.line.run, alive)

    def _shown(self, run: str) -> tuple[Figures, object, bool]:
        watch, alive = self._watch(run)
        now = _now(watch, alive=alive)
        mark = (watch.seq, alive, int(now // REFRESH) if alive else 0)
        known = self._figures.get(watch.line.run)
        if known is None or known[0] != mark:
            asked = calls.of_run(self._house.ledger, watch.line.run)
            known = (mark, watch.figures(now, asked, alive=alive))
            self._figures = {
                each: kept for each, kept in self._figures.items() if each in self._watches
            }
            self._figures[watch.line.run] = known
        return known[1], mark, alive

    def _story(self, run: str, job: str) -> tuple[Watch, Work, WhyDocument]:
        watch, work = self._job(run, job)
        with self._open() as ledger:
            document = why_document(
                watch.line,
                ledger.records(watch.line.run),
                work.job.id,
                now=time.time(),
                in_target=None,
                calls=calls.of_run(self._house.ledger, watch.line.run),
            )
        return watch, work, document

    def _job(self, run: str, job: str) -> tuple[Watch, Work]:
        watch, _ = self._watch(run)
        work = watch.line.jobs.get(JobId(job))
        if work is None:
            raise NotFound(f"there is no job {job} in run {run}")
        return watch, work

    def _watch(self, run: str) -> tuple[Watch, bool]:
        """Give a run as far as its ledger goes now, and whether a process works on it."""
        with self._open() as ledger:
            if RunId(run) not in self._watches:
                if run not in ledger.runs():
                    raise NotFound(f"there is no run {run}")
                self._watches[RunId(run)] = Watch(self._house.policy)
            watch = self._watches[RunId(run)]
            self._watches.move_to_end(RunId(run))
            watch.take(ledger.records(RunId(run), after=watch.seq))
            while len(self._watches) > KEPT:
                gone, _ = self._watches.popitem(last=False)
                self._drawn = {key: each for key, each in self._drawn.items() if key[0] != gone}
            return watch, self._house.alive(ledger, watch.record)

    def _runs(self) -> tuple[RunId, ...]:
        with self._open() as ledger:
            return ledger.runs()

    @contextmanager
    def _open(self) -> Iterator[Ledger]:
        with Ledger(self._house.ledger, read_only=True) as ledger:
            yield ledger


def _now(watch: Watch, *, alive: bool) -> float:
    return time.time() if alive else watch.last
