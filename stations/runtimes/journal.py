"""The journal of our own loop: a session as it is kept, gone on with, or handed over in words."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Final

SCHEMA: Final = "factory.session/1"
NAME: Final = "session.json"
MOST_BYTES: Final = 16 * 1024 * 1024
RESUME_TOKENS: Final = 30_000
"""A session that is longer is not gone on with: a note is cheaper."""
_NOTES: Final = 40
_TOLD: Final = 10
_DID: Final = ("edited ", "made ", "wrote ", "run ")
_NOTE: Final = 160

Message = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A conversation with a model, as it stands after one of its turns.

    ``unsent`` are the results of the last message's calls that the model has not been given yet;
    ``notes`` say in short lines what was done; ``tokens`` is how long the conversation has become,
    ``jobs`` how many it has served, ``ended`` how the last one ended; ``basis`` is ``synthetic``
    when a server on this machine answered instead of a provider.
    """

    job: str
    station: str
    kind: str
    model: str
    messages: tuple[Message, ...] = ()
    unsent: tuple[Message, ...] = ()
    notes: tuple[str, ...] = ()
    tokens: int = 0
    jobs: int = 1
    ended: str = ""
    basis: str = ""

    def noted(self, line: str) -> "Session":
        """Add a line to the notes, each once; of many the oldest that only looked are forgotten."""
        line = line[:_NOTE]
        notes = [*(note for note in self.notes if note != line), line]
        if len(notes) > _NOTES:
            looked = (place for place, note in enumerate(notes) if not note.startswith(_DID))
            del notes[next(looked, 0)]
        return replace(self, notes=tuple(notes))

    @property
    def handover(self) -> str:
        """What another session must know to go on: what was changed and run, what was seen last."""
        once = self.notes[::-1]
        did = [note for note in once if note.startswith(_DID)][:_TOLD]
        seen = [note for note in once if not note.startswith(_DID)][: _TOLD // 2]
        kept = {*did, *seen}
        return "\n".join(f"- {note}" for note in reversed(once) if note in kept)


def save(session: Session, papers: Path, *, hide: Callable[[str], str]) -> None:
    """Keep a session beside an attempt's papers; a reader sees the old one or the new one.

    A model may have been shown anything, also what a careless person committed or said: every
    text goes through ``hide`` first.
    """
    # Not `asdict`, which copies the whole conversation once more, in every turn.
    value = {field.name: getattr(session, field.name) for field in fields(session)}
    text = json.dumps(_hidden({"schema": SCHEMA, **value}, hide), ensure_ascii=True)
    made = papers / f"{NAME}.new"
    made.write_text(text, "ascii")
    made.replace(papers / NAME)


def load(papers: Path | None) -> Session | None:
    """Give the session of an attempt; None when none was kept, or not one that can be read."""
    if papers is None:
        return None
    try:
        with (papers / NAME).open("rb") as file:
            value = json.loads(file.read(MOST_BYTES))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(value, dict) or value.get("schema") != SCHEMA:
        return None
    return _session(value)


def _hidden(value: object, hide: Callable[[str], str]) -> object:
    match value:
        case str():
            return hide(value)
        case dict():
            return {key: _hidden(one, hide) for key, one in value.items()}
        case list() | tuple():
            return [_hidden(one, hide) for one in value]
        case _:
            return value


def _session(value: Mapping[str, Any]) -> Session | None:
    texts = {key: value.get(key) for key in ("job", "station", "kind", "model", "ended", "basis")}
    numbers = {key: value.get(key) for key in ("tokens", "jobs")}
    lists = {key: value.get(key) for key in ("messages", "unsent", "notes")}
    if not all(isinstance(one, str) for one in texts.values()):
        return None
    if not all(isinstance(one, int) for one in numbers.values()):
        return None
    if not all(isinstance(one, list) for one in lists.values()):
        return None
    return Session(
        **{key: str(one) for key, one in texts.items()},
        tokens=value["tokens"],
        jobs=value["jobs"],
        messages=tuple(value["messages"]),
        unsent=tuple(value["unsent"]),
        notes=tuple(str(note) for note in value["notes"]),
    )
