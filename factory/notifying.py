"""Tells people what happens while a run goes on, on a thread beside the floor.

It only reads the ledger. What a sink was told is kept after it was told: a process that is killed
in between loses no notice, and the next one on this repository tells it.
"""

import shutil
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, TextIO

from factory import settings as configuration
from factory.balancing import seeded
from factory.complaint import Complaint
from factory.config.configured import Notify
from factory.ledger import Ledger, LedgerError, Record
from factory.notices import BLOCKED, Kind, Notice, Notices
from factory.notified import Notified, Told
from factory.sinks import Desktop, Program, Sink, Terminal, Webhook
from factory.site import Site
from worktrees.names import RunId

PAUSE: Final = 60.0
"""Seconds between two messages to one sink while nobody is blocked, and between two tries."""
_GLANCE: Final = 0.5
_DESK: Final = ("DBUS_SESSION_BUS_ADDRESS", "DISPLAY", "WAYLAND_DISPLAY", "XDG_RUNTIME_DIR")
_SETUP: Final = 2

Say = Callable[[str], None]


@contextmanager
def notifying(site: Site, *, say: Say) -> Iterator[None]:
    """Tell people what happens on this repository until the block ends, and then what is left."""
    # While a board is drawn, sys.stderr belongs to it and would lay out what it is given.
    sinks = sinks_of(site, sys.__stderr__ or sys.stderr, say=say)
    if not sinks:
        yield
        return
    stop = threading.Event()
    kinds = frozenset(site.settings.notify.events)
    teller = Teller(path=site.ledger, sinks=sinks, kinds=kinds, now=time.time, say=say)
    teller.begin()
    thread = threading.Thread(target=teller.work, args=(stop,), name="notifying", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def sinks_of(site: Site, stream: TextIO, *, say: Say) -> tuple[Sink, ...]:
    """Give where this site's notices go; complain of one that cannot be told."""
    wanted, around = site.settings.notify, site.environment
    where = site.repository.checkout or site.repository.common
    env = {"PATH": around.path, "HOME": str(around.home), "LANG": "C.UTF-8"}
    found: list[Sink] = []
    if wanted.terminal is not None and around.animate and stream.isatty():
        found.append(Terminal(stream=stream, kind=wanted.terminal))
    program = shutil.which("notify-send", path=around.path) if wanted.desktop else None
    if wanted.desktop and program is None:
        say("note: [notify] desktop needs notify-send, which is not on the PATH")
    if program is not None:
        found.append(Desktop(program=program, env={**env, **configuration.variables(*_DESK)}))
    if wanted.run is not None:
        found.append(Program(argv=wanted.run, env=env, cwd=where, repository=where.name))
    hook = _webhook(wanted, where, site)
    return (*found, *(() if hook is None else (hook,)))


def _webhook(wanted: Notify, where: Path, site: Site) -> Webhook | None:
    address = wanted.webhook or _held(wanted.webhook_env, "webhook_env")
    if not address:
        return None
    way = configuration.way_to(site.settings, address)
    token = _held(wanted.token_env, "token_env")
    return Webhook(address=address, repository=where.name, token=token, proxy=way.proxy, ca=way.ca)


def _held(variable: str | None, key: str) -> str:
    """Give the secret of a variable that the configuration names; complain when it holds none."""
    if variable is None:
        return ""
    secret = configuration.secret(variable)
    if secret is None:
        raise Complaint(
            f"[notify] {key} names {variable}, which holds nothing",
            hint=f"export {variable}=..., or leave {key} out",
            code=_SETUP,
        )
    return secret.value


@dataclass(slots=True, kw_only=True)
class Teller:
    """Reads the ledger and tells each sink what it has not been told yet."""

    path: Path
    sinks: Sequence[Sink]
    kinds: Collection[Kind]
    now: Callable[[], float]
    say: Say
    _runs: dict[RunId, Notices] = field(default_factory=dict)
    _known: list[Notice] = field(default_factory=list)
    _seq: int = 0
    _tried: dict[str, float] = field(default_factory=dict)

    def begin(self) -> None:
        """Let sinks that were never there begin with what happens from now on."""
        with Ledger(self.path) as ledger, Notified(self.path) as told:
            for sink in self.sinks:
                if told.of(sink.name) is None:
                    told.keep(sink.name, Told(seq=ledger.seq))

    def work(self, stop: threading.Event) -> None:
        """Tell what happens until told to stop, and then what is left."""
        try:
            with Ledger(self.path, read_only=True) as ledger, Notified(self.path) as told:
                while not stop.wait(_GLANCE):
                    self.round(ledger, told)
                self.round(ledger, told, last=True)
        except LedgerError as error:
            self.say(f"notices cannot be told: {error}")

    def round(self, ledger: Ledger, told: Notified, *, last: bool = False) -> None:
        """Tell every sink what is due; ``last`` says that there is no later time."""
        places = {sink.name: told.of(sink.name) or Told(seq=0) for sink in self.sinks}
        self._read(ledger, min(place.seq for place in places.values()))
        for sink in self.sinks:
            place, now = places[sink.name], self.now()
            new = [notice for notice in self._known if notice.seq > place.seq]
            if new and self._due(sink.name, new, place, now, last=last):
                self._tell(sink, new, told, now, last=last)
            elif not new and last and self._seq > place.seq:
                told.keep(sink.name, replace(place, seq=self._seq))

    def _due(
        self, name: str, new: Sequence[Notice], place: Told, now: float, *, last: bool
    ) -> bool:
        tried = self._tried.get(name)
        if last:
            return True
        if tried is not None and now - tried < PAUSE:
            return False
        blocked = any(notice.kind in BLOCKED for notice in new)
        return blocked or now - place.at >= PAUSE

    def _tell(
        self, sink: Sink, new: Sequence[Notice], told: Notified, now: float, *, last: bool
    ) -> None:
        fault = sink.send(new)
        if not fault:
            self._tried.pop(sink.name, None)
            told.keep(sink.name, Told(seq=new[-1].seq, at=now))
            return
        if last or sink.name not in self._tried:
            again = "the next run or resume tells it" if last else "it is tried again"
            self.say(f"[notify] {sink.name} was not told: {fault}; {again}")
        self._tried[sink.name] = now

    def _read(self, ledger: Ledger, least: int) -> None:
        """Read on in the ledger; each run is followed from its beginning, to know its line."""
        if self._seq == 0:
            self._seq = least
        for record in ledger.records(after=self._seq):
            if record.run not in self._runs:
                self._runs[record.run] = self._caught_up(ledger, record)
            found = _taken(self._runs[record.run], record)
            self._known += [notice for notice in found if notice.kind in self.kinds]
            self._seq = record.seq
        self._known = [notice for notice in self._known if notice.seq > least]

    def _caught_up(self, ledger: Ledger, until: Record) -> Notices:
        run = Notices(seeded)
        for record in ledger.records(until.run):
            if record.seq >= until.seq:
                break
            _taken(run, record)
        return run


def _taken(run: Notices, record: Record) -> list[Notice]:
    return run.take(record.event, record.at, run=record.run, seq=record.seq)
