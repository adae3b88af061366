"""Gatekeeping: who may start the Action and on what, and whether that still stands. Pure.

A payload is hostile data of any shape: what is not exactly as it must be is a reason to skip. No
reason repeats a text of the payload.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Final, TypeGuard

LEVELS: Final = ("none", "read", "write", "admin")
"""What GitHub lets somebody do, in rising order."""
OPT_OUT: Final = "factory:off"
"""The label that keeps the factory away from an item."""
MARK: Final = "<!-- factory:key="
"""How the marker of everything that the factory writes begins."""
_LOGIN: Final = re.compile(r"[A-Za-z0-9_-]{1,100}(?:\[bot\])?")
_OID: Final = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_TARGET: Final = re.compile(r"(?:gh:)?([1-9][0-9]{0,17})")
_HEX: Final = re.compile(r"[0-9a-f]{64}")
_TIME: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}Z")
COMMANDS: Final = ("run", "survey", "fix")
"""What the Action can be there for: an item's own work, a survey, or a survey and its fix."""
LONGEST_QUERY: Final = 256
_MOST: Final = 10**18


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What a workflow says about who may start the Action, and on what."""

    repository: str
    phrase: str = "/factory"
    label: str = "factory"
    level: str = "write"
    users: frozenset[str] = frozenset()
    bots: frozenset[str] = frozenset()
    target: str = ""
    command: str = "run"
    query: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What an event asks for: by whom, on which item, and what the event itself says of it.

    A survey needs no item: its ``number`` may be 0, and its ``query`` then says what it is about.
    """

    actor: str
    bot: bool
    number: int
    content: str = ""
    head: str = ""
    query: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Whether the Action starts, why, and on what."""

    go: bool
    why: str
    ask: Ask | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """What an issue or a pull request is at one moment; ``head`` is empty for an issue."""

    number: int
    is_pull: bool
    open: bool
    updated: str
    content: str
    labels: frozenset[str] = frozenset()
    head: str = ""
    branch: str = ""
    fork: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Pins:
    """What the gate saw and later roles must find again; it travels as one line of JSON.

    What is of an item is empty where there is none.
    """

    number: int
    is_pull: bool
    base: str
    branch: str
    updated: str
    content: str
    head: str
    fork: bool
    command: str = "run"
    query: str = ""

    @property
    def text(self) -> str:
        """The pins as one line of JSON."""
        return json.dumps(asdict(self), separators=(",", ":"))


def fingerprint(title: str, body: str | None) -> str:
    """Give what tells two texts of an item apart."""
    return hashlib.sha256(json.dumps([title, body or ""]).encode()).hexdigest()


def asked(event: str, payload: object, wishes: Wishes) -> Ask | Decision:
    """Say what an event asks for, or decide at once that it asks for nothing."""
    if not _is_table(payload):
        return _skip("the event says nothing")
    if _text(payload, "repository", "full_name").lower() != wishes.repository.lower():
        return _skip("the event is of another repository")
    if wishes.command == "fix" and event != "workflow_dispatch":
        return _skip("a fix is started by hand alone")
    match event, _text(payload, "action"):
        case "issues", "labeled" if wishes.command == "run":
            if not wishes.label or _text(payload, "label", "name") != wishes.label:
                return _skip("another label was added")
            item = _inner(payload, "issue")
        case "issue_comment", "created":
            item = _inner(payload, "issue")
        case "pull_request_review_comment", "created" if wishes.command == "run":
            item = _inner(payload, "pull_request")
        case "workflow_dispatch", _:
            return _dispatched(payload, wishes)
        case (("issues" | "issue_comment" | "pull_request_review_comment"), _):
            return _skip("nothing starts on this action of the event")
        case _:
            return _skip("nothing starts on this event")
    why = _unspoken(payload, wishes) if "comment" in event else ""
    why = why or _closed(item)
    return _skip(why) if why else _of_item(payload, item, wishes)


def decide(ask: Ask, wishes: Wishes, permission: str) -> Decision:
    """Decide by who asks; ``permission`` is what GitHub's API says of them now."""
    low = ask.actor.lower()
    if ask.bot:
        if low not in wishes.bots:
            return _skip(f"{ask.actor} is a bot that nobody allowed")
        return Decision(go=True, why=f"{ask.actor} is an allowed bot", ask=ask)
    if low in wishes.users:
        return Decision(go=True, why=f"{ask.actor} is an allowed user", ask=ask)
    if permission not in LEVELS or _rank(permission) < _rank(wishes.level):
        return _skip(f"{ask.actor} has no {wishes.level} permission")
    return Decision(go=True, why=f"{ask.actor} has {permission} permission", ask=ask)


def themed(ask: Ask, branch: str, base: str, command: str) -> Pins:
    """Pin a survey that is about a theme and no item: the branch it is about, and what it asks."""
    return Pins(
        number=0,
        is_pull=False,
        base=base,
        branch=branch,
        updated="",
        content="",
        head="",
        fork=False,
        command=command,
        query=ask.query,
    )


def admitted(ask: Ask, item: Item, base: str, *, command: str = "run") -> Pins | Decision:
    """Pin an item as it is now, or say why it is not what was asked about."""
    why = "it is closed" if not item.open else _out(item.labels)
    if ask.content and ask.content != item.content:
        why = "its text was changed after it was asked for"
    if ask.head and ask.head != item.head:
        why = "its head moved after it was asked for"
    if command != "run" and item.is_pull:
        why = "a survey begins with an issue"
    if why:
        return _skip(f"#{item.number}: {why}")
    return Pins(
        number=item.number,
        is_pull=item.is_pull,
        base=base,
        branch=item.branch,
        updated=item.updated,
        content=item.content,
        head=item.head,
        fork=item.fork,
        command=command,
        query=ask.query,
    )


def moved(pins: Pins, item: Item) -> str:
    """Say what changed since the gate saw an item, or give an empty string.

    A newer time alone is no change: whoever comments moves it. Whose comments count is the caller's
    to see.
    """
    if not item.open:
        return "it was closed"
    if item.is_pull is not pins.is_pull:
        return "it is of another kind"
    if item.content != pins.content:
        return "its text was changed"
    if item.head != pins.head:
        return "its head moved"
    return _out(item.labels)


def pins_of(text: str) -> Pins | None:
    """Read pins that the gate wrote; None when it is anything else."""
    try:
        read = json.loads(text)
    except ValueError:
        return None
    if not _is_table(read) or set(read) != {field.name for field in fields(Pins)}:
        return None
    is_pull, fork = read.get("is_pull"), read.get("fork")
    if not isinstance(is_pull, bool) or not isinstance(fork, bool):
        return None
    pins = Pins(
        number=_number(read.get("number")),
        is_pull=is_pull,
        base=_text(read, "base"),
        branch=_text(read, "branch"),
        updated=_text(read, "updated"),
        content=_text(read, "content"),
        head=_text(read, "head"),
        fork=fork,
        command=_text(read, "command"),
        query=_text(read, "query"),
    )
    sound = (
        pins.branch
        and _OID.fullmatch(pins.base)
        and pins.command in COMMANDS
        and pins.query == query_of(pins.query)
        and (_sound_item(pins) if pins.number else _sound_theme(pins))
    )
    return pins if sound else None


def _sound_item(pins: Pins) -> object:
    return (
        _OID.fullmatch(pins.head or pins.base)
        and _HEX.fullmatch(pins.content)
        and _TIME.fullmatch(pins.updated)
    )


def _sound_theme(pins: Pins) -> object:
    empty = not (pins.updated or pins.content or pins.head or pins.is_pull or pins.fork)
    return empty and pins.query and pins.command != "run"


def query_of(text: str) -> str:
    """Give what a text asks a survey for: its first line, of characters that can be seen."""
    line = next(iter(text.strip().splitlines()), "")
    shown = "".join(char if char.isprintable() else " " for char in line)
    return " ".join(shown.split())[:LONGEST_QUERY].strip()


def target_of(text: str, repository: str) -> int:
    """Give the number that ``12``, ``gh:12`` or an item's own address means; 0 for none."""
    path = f"/{repository}/".lower()
    ends = [
        tail
        for kind in ("issues/", "pull/")
        for tail in (text.lower().partition(f"{path}{kind}")[2],)
        if tail
    ]
    found = _TARGET.fullmatch(ends[0] if ends else text.strip())
    return int(found[1]) if found else 0


def _dispatched(payload: Mapping[str, object], wishes: Wishes) -> Ask | Decision:
    number = target_of(wishes.target, wishes.repository)
    actor = _text(payload, "sender", "login")
    about = wishes.command != "run" and wishes.query and not wishes.target
    if not number and not about:
        return _skip("the input `target` names no issue and no pull request")
    if not _LOGIN.fullmatch(actor):
        return _skip("nobody asked: the account is gone")
    return Ask(
        actor=actor,
        bot=_text(payload, "sender", "type") != "User",
        number=number,
        query=wishes.query,
    )


def _of_item(
    payload: Mapping[str, object], item: Mapping[str, object], wishes: Wishes
) -> Ask | Decision:
    actor = _text(payload, "sender", "login")
    number = _number(item.get("number"))
    if not _LOGIN.fullmatch(actor):
        return _skip("nobody asked: the account is gone")
    if not number:
        return _skip("the event names no item")
    title, body, head = item.get("title"), item.get("body"), _text(item, "head", "sha")
    told = isinstance(title, str) and isinstance(body, str | None)
    return Ask(
        actor=actor,
        bot=_text(payload, "sender", "type") != "User",
        number=number,
        content=fingerprint(str(title), body if isinstance(body, str) else None) if told else "",
        head=head if _OID.fullmatch(head) else "",
        query=_spoken(payload) if wishes.command != "run" else "",
    )


def _spoken(payload: Mapping[str, object]) -> str:
    """Give what a comment asks a survey for: the words behind the phrase and the command."""
    line = next(iter(_text(payload, "comment", "body").strip().splitlines()), "")
    return query_of("".join(line.split(maxsplit=2)[2:]))


def _unspoken(payload: Mapping[str, object], wishes: Wishes) -> str:
    """Say why a comment starts nothing, or give an empty string."""
    comment = _inner(payload, "comment")
    body = _text(comment, "body")
    if MARK in body:
        return "the comment is the factory's own"
    words = body.split(maxsplit=2)[:2]
    if not wishes.phrase or words[:1] != [wishes.phrase]:
        return "the comment does not begin with the trigger phrase"
    if (words[1:] == ["survey"]) is not (wishes.command == "survey"):
        return "the comment asks for another command"
    if _text(comment, "user", "login") != _text(payload, "sender", "login"):
        return "the comment is by somebody else than the event"
    return ""


def _closed(item: Mapping[str, object]) -> str:
    if _text(item, "state") == "closed":
        return "the item is closed"
    listed = item.get("labels")
    labels = listed if isinstance(listed, list) else []
    return _out([_text(label, "name") for label in labels if _is_table(label)])


def _out(labels: Sequence[str] | frozenset[str]) -> str:
    return f"the label {OPT_OUT} keeps the factory away" if OPT_OUT in labels else ""


def _skip(why: str) -> Decision:
    return Decision(go=False, why=why)


def _rank(level: str) -> int:
    return LEVELS.index(level)


def _is_table(value: object) -> TypeGuard[Mapping[str, object]]:
    return isinstance(value, dict)


def _inner(value: Mapping[str, object], key: str) -> Mapping[str, object]:
    found = value.get(key)
    return found if _is_table(found) else {}


def _text(value: Mapping[str, object], *path: str) -> str:
    for key in path[:-1]:
        value = _inner(value, key)
    found = value.get(path[-1])
    return found if isinstance(found, str) else ""


def _number(value: object) -> int:
    """Give a whole positive number; 0 for anything else."""
    if not isinstance(value, int) or isinstance(value, bool):
        return 0
    return value if 0 < value < _MOST else 0
