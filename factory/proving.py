"""Proving: the forge's checks as a test station, for trees that passed all that runs here.

The tree is pushed as a branch of its own; the checks of exactly that commit are its verdict. It
may come late, and after this process has died: the id says all that is needed to ask again.
"""

import threading
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from factory.forge import briefs, verdicts
from factory.forge.door import Door
from factory.forge.failures import Denied, ForgeError, Limited, Missing, Refused, Unreachable
from factory.forge.proofs import Proof, Proofs
from factory.forge.verdicts import Mark, Standing
from factory.line import Line
from factory.wording import clean, listed, masked, span
from stations.contract import Awaited, Check, Green, Lost, Red, Trial, Verdict
from stations.veil import Veil
from worktrees.names import Oid

LOG: Final = 6_000
"""Bytes of a failing job's log that go to whoever repairs it."""
NOTES: Final = 10
ASKED: Final = 2
"""How often a verdict is asked for when the forge cancels its checks."""
LIMITS: Final = 3
"""Rate limits in a row that are waited for."""
LONGEST: Final = 3_700.0
"""Seconds that are waited for one of them: the longest that the forge has lasts an hour."""
_SLOWER: Final = 1.5
_ERROR: Final = "##[error]"
_OPEN: Final = frozenset({Mark.PENDING, Mark.ABSENT})


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Seconds between two looks at the forge: from ``first``, each wait longer, to ``most``."""

    first: float = 1.0
    most: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cancelled:
    """The forge ended what would have decided, so that it must be asked anew."""


Known = Sequence[tuple[Standing, Check]]
"""Where each check stands, with the station's check that wants it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proving:
    """Gets verdicts from the forge. ``onto`` is its branch whose rules say what counts.

    ``onto`` is empty for the forge's default branch; ``secrets`` stand in no tail.
    """

    proofs: Proofs
    door: Door
    onto: str = ""
    secrets: tuple[str, ...] = field(default=(), repr=False)
    pace: Pace = Pace()
    now: Callable[[], float] = field(default=time.monotonic, repr=False)

    def prove(self, task: Trial, stop: threading.Event, notes: tuple[str, ...]) -> Awaited | Lost:
        """Push a trial's tree as a proof and give the id by which its verdict is asked for."""
        try:
            proof = self._shown(task, asked=1)
        except ForgeError as error:
            return _lost(error)
        if stop.is_set():
            self.let_go(task, proof.external)
            return Lost(why="cancelled")
        return Awaited(external=proof.external, notes=notes)

    def judge(self, task: Trial, external: str, stop: threading.Event) -> Verdict | Awaited:
        """Wait until the forge's checks of a proof decide; what was cancelled is asked for anew."""
        proof = Proof.of(external)
        found = self._judged(task, proof.commit, proof.branch, stop)
        if isinstance(found, Lost) and stop.is_set():
            return found  # nothing was decided: whoever resumes asks for the same proof
        # A verdict that was given once is never taken for that of a later trial of this tree.
        self.proofs.spend(task.run, proof.commit)
        if not isinstance(found, _Cancelled):
            return found
        if proof.asked >= ASKED:
            return Lost(why=f"the forge's checks of {proof.branch} were cancelled, twice")
        try:
            return Awaited(external=self._shown(task, asked=proof.asked + 1).external)
        except ForgeError as error:
            return _lost(error)

    def let_go(self, task: Trial, external: str) -> None:
        """Remove the branch of a proof for whose verdict nobody waits."""
        self.proofs.drop(task.run, Proof.of(external))

    def base(self, task: Trial, stop: threading.Event) -> Verdict:
        """Give the verdict on a base: by the checks that it has, else by those of a proof of it."""
        try:
            known = self._look(task, task.base)
        except ForgeError as error:
            return _lost(error)
        needed = [each for each, check in known if check.required]
        if all(each.mark in {Mark.GREEN, Mark.RED, Mark.PENDING} for each in needed):
            said = self._judged(task, task.base, f"the base {task.base[:12]}", stop)
            if not isinstance(said, _Cancelled):
                return said
        found: Verdict | Awaited = self.prove(task, stop, ())
        while isinstance(found, Awaited):
            asked = found.external
            found = self.judge(task, asked, stop)
            self.let_go(task, asked)
        return found

    def _shown(self, task: Trial, *, asked: int) -> Proof:
        why = f"Show the tree of trial {task.trial} of {task.run} to the forge's checks ({asked})"
        return self.proofs.show(task.run, tree=task.tree, base=task.base, why=why, asked=asked)

    def _judged(
        self, task: Trial, commit: Oid, place: str, stop: threading.Event
    ) -> Verdict | _Cancelled:
        """Ask until the checks of a commit decide; each wait is longer, to a bound."""
        began = self.now()
        last = max(check.timeout for check in task.outside)
        seen: dict[str, float] = {}
        pause, limits = self.pace.first, 0
        while True:
            wait = pause
            try:
                known = self._look(task, commit)
            except Limited as error:
                limits += 1
                if limits > LIMITS:
                    return _lost(error)
                wait = min(max(pause, error.retry_at - time.time()), LONGEST)
            except Unreachable as error:
                if self.now() - began > last:
                    return _lost(error)
            except ForgeError as error:
                return _lost(error)
            else:
                now, limits = self.now(), 0
                for each, _ in known:
                    if each.mark is not Mark.ABSENT:
                        seen.setdefault(each.name, now)
                late = {
                    each.name
                    for each, check in known
                    if now - seen.get(each.name, began) > check.timeout
                }
                found = self._decided(task, known, late, commit, place)
                if isinstance(found, Green | Red):
                    return replace(found, seconds=now - began)
                if found is not None:
                    return found
            if stop.wait(wait):
                return Lost(why="cancelled")
            pause = min(pause * _SLOWER, self.pace.most)

    def _look(self, task: Trial, commit: Oid) -> Known:
        """Give where the checks of a commit stand; what is not needed is not asked."""
        wanted = [name for check in task.outside for name in check.checks]
        checks = self.door.checks(commit)
        ran = {check.name for check in checks}
        statuses = self.door.statuses(commit) if not ran.issuperset(wanted) else ()
        found = verdicts.standings(wanted, checks, statuses)
        if any(each.mark is Mark.UNCOUNTED for each in found):
            found = verdicts.standings(wanted, checks, statuses, counted=self._counted())
        by_name = {each.name: each for each in found}
        return [(by_name[name], check) for check in task.outside for name in check.checks]

    def _counted(self) -> Collection[str]:
        onto = self.onto or self.door.repository().default
        try:
            return self.door.rules(onto).required_checks
        except Missing:  # a branch that only this repository has
            return ()

    def _decided(
        self, task: Trial, known: Known, late: Collection[str], commit: Oid, place: str
    ) -> Verdict | _Cancelled | None:
        """Say what the checks come to; None while they may still decide otherwise."""
        needed = [(each, check) for each, check in known if check.required]
        for each, check in needed:
            hangs = each.mark is Mark.PENDING and each.said == "in_progress" and each.name in late
            if each.mark is Mark.RED or hangs:
                did = (
                    f"did not end within {span(check.timeout)}"
                    if hangs
                    else f"ended as {each.said}"
                )
                tail = self._tail(each, did)
                return Red(tree=task.tree, key=task.key, owner=check.owner, tail=tail)
        for each, check in needed:
            if each.name in late and each.mark in _OPEN:
                return self._never(each, check, commit, place)
        if not any(each.mark is Mark.PENDING for each, _ in needed):
            # What a failing check of the same workflow cancelled is not asked for anew.
            if any(each.mark is Mark.CANCELLED for each, _ in needed):
                return _Cancelled()
            for each, _ in needed:
                if each.mark is Mark.UNCOUNTED:
                    return Lost(why=_uncounted(each, place), again=False)
        if any(each.mark in _OPEN and each.name not in late for each, _ in known):
            return None
        return Green(
            tree=task.tree,
            key=task.key,
            notes=tuple(_note(each) for each, _ in known if each.mark is not Mark.GREEN),
            checked=tuple(
                dict.fromkeys(each.url for each, _ in known if each.mark is Mark.GREEN and each.url)
            ),
        )

    def _never(self, each: Standing, check: Check, commit: Oid, place: str) -> Lost:
        """Say what a check did instead of starting, and what to look at."""
        name, after = clean(each.name), span(check.timeout)
        if each.mark is Mark.PENDING:
            why = f"'{name}' of {place} was still {clean(each.said)} after {after}"
            return Lost(why=f"{why}: are there workers for it? `timeout` says how long to wait")
        why = f"no run of '{name}' appeared on {place} within {after}"
        try:
            others = verdicts.names(self.door.checks(commit), self.door.statuses(commit))
        except ForgeError:
            others = ()
        if others:
            return Lost(why=f"{why}; these did: {listed(map(clean, others))}", again=False)
        hint = (
            "does its workflow run on pushes to factory/proof/**?"
            " A push with a workflow's own GITHUB_TOKEN starts none"
        )
        return Lost(why=f"{why}: {hint}", again=False)

    def _tail(self, each: Standing, did: str) -> str:
        """Give what says why a check failed, cleaned and cut: its words, its findings, its log."""
        parts = [f"'{each.name}' {did} on the forge: {each.url}"]
        parts += [each.told] if each.told else []
        parts += self._findings(each)
        shown = [briefs.legible(part) for part in parts]
        text = Veil(self.secrets).text("\n".join([*shown, self._log(each)]).strip())
        return masked(text)

    def _findings(self, each: Standing) -> list[str]:
        try:
            found = self.door.annotations(each.run) if each.run else ()
        except ForgeError as error:
            return [f"(its findings cannot be read: {error})"]
        return [f"{note.path}:{note.line}: {note.message}" for note in found[:NOTES]]

    def _log(self, each: Standing) -> str:
        try:
            log = self.door.job_log(each.run) if each.run else ""
        except ForgeError:
            return ""  # only what the forge's own workers ran has one, and not for ever
        # Behind the last error stands what the workers do to clean up.
        end = log.find("\n", log.rfind(_ERROR)) if _ERROR in log else -1
        return briefs.tail(log if end < 0 else log[:end], most=LOG)


def awaited(lines: Iterable[Line | None]) -> frozenset[Oid]:
    """Give the proofs for whose verdicts these runs wait, or will when they are resumed."""
    held = [held for line in lines if line is not None for held in line.trials.values()]
    return frozenset(Proof.of(each.external).commit for each in held if each.external)


def _lost(error: ForgeError) -> Lost:
    again = not isinstance(error, Denied | Missing | Refused)
    return Lost(why=f"the forge: {clean(masked(str(error)))}", again=again)


def _uncounted(each: Standing, place: str) -> str:
    return (
        f"'{clean(each.name)}' of {place} is {clean(each.said)}, which says nothing about the tree:"
        " let its workflow run on pushes to factory/proof/**, or have the branch's rules require it"
    )


def _note(each: Standing) -> str:
    said = "never appeared" if each.mark is Mark.ABSENT else clean(each.said)
    return f"'{clean(each.name)}' does not count: {said}"
