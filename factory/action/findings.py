"""Findings: a survey on its way from the job that reads to the one that may comment.

The folder holds the survey as a document and as a page. Only the document is believed, after it
was read as strictly as one that a stranger edited; the page is made anew from it.
"""

import hashlib
import stat
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from factory.action import gate, texts
from factory.action.apply import REFUSED, Applied
from factory.action.inputs import Inputs, Workflow
from factory.action.marker import Lease, Marker
from factory.complaint import Complaint
from factory.forge.connecting import Forge
from factory.forge.failures import ForgeError
from factory.forge.gatekeeping import Pins, moved
from factory.survey import document, page
from factory.survey.values import Survey
from factory.survey.writing import DATA, PAGE

MOST: Final = 4_000_000
"""Bytes of a survey that is read."""


def write(folder: Path, survey: Survey) -> str:
    """Write the folder, which must not exist yet; give the digest that crosses beside it."""
    folder.mkdir(mode=0o700)
    data = document.text(survey).encode()
    (folder / DATA).write_bytes(data)
    (folder / PAGE).write_text(page.page(survey, public=True), "utf-8")
    return hashlib.sha256(data).hexdigest()


def read(folder: Path, digest: str, *, repository: str) -> Survey:
    """Read a survey of this repository with this digest; complain of any other."""
    path = folder / DATA
    try:
        told = path.lstat()
        sound = stat.S_ISREG(told.st_mode) and told.st_size <= MOST
        data = path.read_bytes() if sound else b""
    except OSError as error:
        raise Complaint(f"{DATA} cannot be read: {error.strerror}", code=REFUSED) from None
    if hashlib.sha256(data).hexdigest() != digest:
        raise Complaint(f"{DATA} is not the survey that was made", code=REFUSED)
    survey = document.read(data, name=DATA)
    if survey.repo.lower() != repository.lower():
        raise Complaint(f"{DATA} is of another repository", code=REFUSED)
    return survey


@dataclass(frozen=True, slots=True, kw_only=True)
class Comment:
    """A survey that is told on the issue that it began with, in one comment."""

    forge: Forge
    flow: Workflow
    given: Inputs
    pins: Pins
    wait: Callable[[float], object]

    def run(self) -> Applied:
        """Write what may be written, and the final state in any case."""
        pins = self.pins
        if not pins.number:
            return Applied(status="no-change", why="it began with no issue to tell it on", said="")
        marker = Marker(self.forge, pins.number, command=pins.command, wait=self.wait)
        lease = marker.lease()
        if lease.run not in {"", self.flow.run}:
            why = f"run {lease.run} works on it now"
            return Applied(status="blocked", why=why, said="", code=REFUSED)
        applied = self._told()
        marker.say(applied.said, Lease())
        return replace(applied, silent=marker.silent)

    def _told(self) -> Applied:
        given, page_ = self.given, self.flow.page
        if not given.digest:
            why = f"the agent's job ended with: {given.result}"
            said = texts.ended(page_, given.result, given.reason)
            return Applied(status="failed", why=why, said=said)
        try:
            item, _ = gate.look(self.forge, self.pins.number)
            why = moved(self.pins, item)
            if why:
                said = texts.blocked(page_, why)
                return Applied(status="blocked", why=why, said=said, code=REFUSED)
            folder = self.flow.temp / given.folder
            survey = read(folder, given.digest, repository=self.flow.repository)
        except Complaint as complaint:
            said = texts.ended(page_, "failure", complaint.what)
            return Applied(status="blocked", why=complaint.what, said=said, code=REFUSED)
        except ForgeError as error:
            said = texts.unfinished(page_, error.message)
            return Applied(status="failed", why=error.message, said=said, code=1)
        why = f"{len(survey.candidates)} items stand in the comment"
        told = page.page(survey, public=True)
        return Applied(status="changed", why=why, said=texts.surveyed(page_, told))
