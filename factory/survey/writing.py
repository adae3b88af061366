"""The two files of a survey: never over somebody else's, and never half of one."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from factory.complaint import Complaint
from factory.survey import document, page
from factory.survey.values import Survey

DATA: Final = "survey.json"
PAGE: Final = "survey.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a survey is of: two with the same are an earlier and a later one."""

    repo: str
    query: str
    seeds: tuple[int, ...]


def asked(survey: Survey) -> Asked:
    """Give what a survey is of."""
    return Asked(repo=survey.repo.lower(), query=survey.query, seeds=survey.seeds)


def earlier(out: Path, wanted: Asked) -> Survey | None:
    """Give the survey of the same question that a directory holds; None without one.

    A `Complaint` when its files are of anything else.
    """
    _check(out)
    path = out / DATA
    if not path.exists():
        if (out / PAGE).exists():
            raise _taken(out / PAGE, f"no {DATA} lies beside it")
        return None
    try:
        found = document.load(path)
    except Complaint as complaint:
        raise _taken(path, "it is no survey that can be read") from complaint
    if asked(found) != wanted:
        raise _taken(path, "it is the survey of another question")
    return found


def write(out: Path, survey: Survey, *, force: bool) -> tuple[Path, Path]:
    """Write a survey and its page; complain rather than replace what is no older one of it."""
    known = None if force else earlier(out, asked(survey))
    if known is not None and known.created > survey.created:
        raise _taken(out / DATA, "it is newer than this survey")
    data, told = out / DATA, out / PAGE
    try:
        out.mkdir(parents=True, exist_ok=True)
        _replace(data, document.text(survey))
        _replace(told, page.page(survey))
    except OSError as error:
        raise _unwritable(out, str(error.strerror)) from error
    return data, told


def _check(out: Path) -> None:
    """Complain, before anything is asked of anybody, of a place that takes no files."""
    place = next(each for each in (out.absolute(), *out.absolute().parents) if each.exists())
    if not place.is_dir():
        raise _unwritable(out, f"{place} is no directory")
    if not os.access(place, os.W_OK | os.X_OK):
        raise _unwritable(out, "it may not be written")


def _unwritable(out: Path, why: str) -> Complaint:
    return Complaint(f"no survey can be written to {out}: {why}", hint="name another --out DIR")


def _replace(path: Path, text: str) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        part.write_text(text, "utf-8", errors="replace")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _taken(path: Path, why: str) -> Complaint:
    return Complaint(
        f"{path} stays as it is: {why}",
        hint="write elsewhere with `--out DIR`, or replace it with `--force`",
    )
