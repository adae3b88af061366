"""A plan file read, judged against the repository that it is for, and kept by its hash."""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from factory.complaint import Complaint
from factory.config.configured import Settings
from factory.strategy import document, rules
from factory.strategy.values import Mistake, Plan, PlanErrors
from factory.wording import clean, count
from stations.bench import tracked
from worktrees.git import Git
from worktrees.names import Oid

_TOLD: Final = 30
_AGAIN: Final = "put it right and try again, or make it anew: factory fix SURVEY --force"


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A plan that may run, its hash, and what a person should know of it."""

    plan: Plan
    sha256: str
    notes: tuple[str, ...]


def ground_of(settings: Settings, git: Git, base: Oid) -> rules.Ground:
    """Give what a plan stands on in this repository at a commit."""
    return rules.Ground(
        tracked=frozenset(tracked(git, base)),
        stations=settings.rules.stations,
        budget=settings.budget,
        protect=settings.protect,
    )


def load(path: Path, ground: rules.Ground) -> Loaded:
    """Give the plan of a file; complain of all that is wrong with it."""
    try:
        with path.open("rb") as file:
            data = file.read(document.MOST + 1)
    except OSError as error:
        raise Complaint(f"{path} cannot be read: {error.strerror}") from error
    try:
        plan = document.read(data.decode("utf-8", "replace"))
        return checked(plan, ground)
    except PlanErrors as errors:
        raise refused(clean(str(path)), errors) from errors


def checked(plan: Plan, ground: rules.Ground) -> Loaded:
    """Give a plan that may run; raises `PlanErrors` with all that stands against it."""
    wrong = rules.mistakes(plan, ground)
    if wrong:
        raise PlanErrors(wrong)
    return Loaded(plan=plan, sha256=document.digest(plan), notes=rules.notes(plan, ground))


def refused(name: str, errors: PlanErrors, *, hint: str = _AGAIN) -> Complaint:
    """Give the complaint about a plan: every mistake with its place and its remedy."""
    lines = [clean(_line(each)) for each in errors.mistakes[:_TOLD]]
    more = len(errors.mistakes) - _TOLD
    lines += [f"and {count(more, 'more mistake')}"] if more > 0 else []
    return Complaint(
        f"{name} is no plan that can run:\n" + "\n".join(f"  {line}" for line in lines),
        hint=hint,
    )


def keep(plan: Plan, factory: Path) -> Path:
    """Keep a plan under its hash, where no later edit of its file can change a run."""
    place = factory / "plans" / f"{document.digest(plan)}.json"
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        replace(place, document.write(plan))
    return place


def kept(factory: Path, sha256: str) -> Plan:
    """Give the plan that was kept under a hash; complain when it is not what the hash says."""
    place = factory / "plans" / f"{sha256}.json"
    try:
        plan = document.read(place.read_text("utf-8"))
    except (OSError, PlanErrors) as error:
        raise Complaint(
            f"the plan {sha256[:12]} of this run cannot be read: {place}",
            hint="start it anew: factory fix plan.json",
            code=7,
        ) from error
    if document.digest(plan) != sha256:
        raise Complaint(
            f"{place} is not the plan that the run began with",
            hint="somebody changed it: start it anew with factory fix plan.json",
            code=7,
        )
    return plan


def note_made(path: Path, plan: Plan, survey: Path, factory: Path) -> None:
    """Remember of which survey's file, as it is now, the plan in a file was made."""
    keep(plan, factory)
    replace(_mark(path, factory), _content(survey))


def is_made_from(path: Path, survey: Path, factory: Path) -> bool:
    """Say whether a file is, edited or not, the plan that was made of a survey's file."""
    mark = _mark(path, factory)
    return is_plan(path) and mark.is_file() and mark.read_text("ascii") == _content(survey)


def _mark(path: Path, factory: Path) -> Path:
    name = hashlib.sha256(os.fsencode(path.resolve())).hexdigest()
    return factory / "plans" / f"{name}.made"


def _content(survey: Path) -> str:
    return hashlib.sha256(survey.read_bytes()).hexdigest()


def replace(path: Path, text: str) -> None:
    """Write a file at once: who reads it finds the old text or the new one, never a part."""
    new = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        new.write_text(text, "utf-8")
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)


def is_plan(path: Path) -> bool:
    """Say whether a file calls itself a plan; one that cannot be read does not."""
    return document.is_plan(_tree(path))


def _tree(path: Path) -> Mapping[str, object]:
    """Give the object that a file holds; none of what cannot be read as one."""
    try:
        with path.open("rb") as file:
            tree: object = json.loads(file.read(document.MOST + 1))
    except (OSError, ValueError, RecursionError):
        return {}
    return tree if isinstance(tree, dict) else {}


def _line(mistake: Mistake) -> str:
    return f"{mistake.where}: {mistake.what}" + (f"; {mistake.hint}" if mistake.hint else "")
