"""What a reader is shown of items: bounded JSON, in which every text is data. Pure.

A call holds as many items as fit; when they are many, long texts are cut shorter before another
call is made. Nothing that looks like a secret goes in.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from factory.forge.briefs import capped
from factory.survey.values import Item, Link, Remark
from factory.wording import cut, masked

ROOM: Final = 24_000
"""Bytes of a whole request: 8,000 tokens at three bytes each, which is more than text takes."""
CALLS: Final = 8
"""Calls that sixty items may take before their texts are cut shorter."""
_SIXTY: Final = 60
_BODIES: Final = (2_400, 2_000, 1_600, 1_200, 900, 600)
"""Characters of a body, the longest that fits is taken; 2,400 are some 400 words."""
_REMARKS: Final = 3
_TITLE: Final = 160
_LISTED: Final = 72
_FILES: Final = 12
_LINKS: Final = 12
_PATH: Final = 120

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """An item to be read, with its comments and links as the mirror holds them."""

    item: Item
    remarks: tuple[Remark, ...] = ()
    links: tuple[Link, ...] = ()

    @property
    def number(self) -> int:
        """The item's number."""
        return self.item.number

    @property
    def texts(self) -> Mapping[str, str]:
        """Every text that may be quoted, by its source."""
        remarks = {f"comment:{remark.id}": remark.body for remark in self.remarks}
        return {"title": self.item.title, "body": self.item.body, **remarks}

    @property
    def mark(self) -> str:
        """A mark of everything in it that a verdict may rest on."""
        item = self.item
        links = sorted((link.kind, link.number) for link in self.links)
        held = [item.number, item.kind, item.state, self.texts, item.labels, item.files, links]
        return digest(held)


def digest(value: object) -> str:
    """Give a mark of a plain value, the same for equal ones."""
    return hashlib.sha256(json.dumps(value, default=dict).encode()).hexdigest()


def question(theme: str, listed: Sequence[Item], asked: Sequence[Subject], most: int) -> str:
    """Give what a reader is told: the theme, a line on each candidate, the texts of some items.

    The latter must be veiled.
    """
    return _json(
        {
            "theme": theme,
            "candidates": [_line(item) for item in listed],
            "classify": [subject.number for subject in asked],
            "items": [shown(subject, most) for subject in asked],
        }
    )


def packed(
    theme: str, listed: Sequence[Item], asked: Sequence[Subject], *, beside: int, each: int
) -> tuple[tuple[str, tuple[Subject, ...]], ...]:
    """Give the questions that ask for all these items, each with whose they are.

    ``beside`` are the bytes of a request that are no question, ``each`` the most items of one.
    """
    fixed = beside + len(question(theme, listed, (), 0).encode())
    bare = [veiled(subject) for subject in asked]
    allowed = -(-CALLS * len(asked) // _SIXTY)
    batches: list[tuple[Subject, ...]] = []
    most = _BODIES[-1]
    for most in _BODIES:
        batches = list(_batches(bare, ROOM - fixed, most, each))
        if len(batches) <= max(allowed, -(-len(asked) // each)):
            break
    return tuple((question(theme, listed, batch, most), batch) for batch in batches)


def _batches(
    asked: Sequence[Subject], room: int, most: int, each: int
) -> Iterator[tuple[Subject, ...]]:
    batch: list[Subject] = []
    left = room
    for subject in asked:
        size = len(_json(shown(subject, most)).encode()) + len(f",{subject.number},")
        if batch and (size > left or len(batch) == each):
            yield tuple(batch)
            batch, left = [], room
        batch.append(subject)
        left -= size
    if batch:
        yield tuple(batch)


def veiled(subject: Subject) -> Subject:
    """Give an item in whose texts whatever looks like a secret is masked."""
    item = subject.item
    return replace(
        subject,
        item=replace(
            item,
            title=masked(item.title),
            body=masked(item.body),
            labels=tuple(map(masked, item.labels)),
        ),
        remarks=tuple(
            replace(remark, body=masked(remark.body)) for remark in subject.remarks[:_REMARKS]
        ),
    )


def shown(subject: Subject, most: int) -> Json:
    """Give what a reader sees of a veiled item; ``most`` are the characters of its body."""
    item = subject.item
    found: Json = {
        "n": item.number,
        "kind": item.kind,
        "state": item.state,
        "opened": f"{item.created:%Y-%m-%d}",
        "title": cut(item.title, _TITLE),
        "body": capped(item.body, most),
        "comments": [
            {"id": remark.id, "text": capped(remark.body, most // 4)} for remark in subject.remarks
        ],
        "labels": [cut(label, _LISTED) for label in item.labels[:_FILES]],
        "files": [cut(path, _PATH) for path in item.files[:_FILES]],
        "links": [f"{link.kind} {link.number}" for link in subject.links[:_LINKS]],
    }
    return {key: value for key, value in found.items() if value or key == "body"}


def _line(item: Item) -> Json:
    return {
        "n": item.number,
        "is": f"{item.state} {item.kind}",
        "title": cut(masked(item.title), _LISTED),
    }


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
