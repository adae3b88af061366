"""The strategy in words: asked from a model that has no tools, or left to a person to write.

The model is told what code verified, titles and quotes, never the texts themselves. What it says
decides nothing: no file, no item, no action, no budget; it is checked, cut and kept as text.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from factory.strategy.values import (
    UNSTATED,
    WORKED,
    Action,
    Alternative,
    PlanItem,
    RootCause,
    Strategy,
)
from factory.survey import packets
from factory.survey.reading import Reader, prompt
from factory.wording import clean, cut, listed, masked
from stations.models.asking import Block

TIER: Final = "large"
SENTENCES: Final = 2
"""What is to change at a root cause is said in so many sentences."""
_TOKENS: Final = 8_000
_TRIES: Final = 2
_TEXT: Final = 900
_SHORT: Final = 300
_LIST: Final = 6
_NAME_LENGTH: Final = 60
_TITLE: Final = 160
_QUOTE: Final = 200
_QUOTES: Final = 2
_FILES: Final = 8
_MOST: Final = 48_000
"""Characters that a question may have; more items than fit are told by number and class alone."""
_SENTENCE: Final = re.compile(r"(?<=[.!?])\s+(?=[\"'(`A-Z0-9])")
_NAME: Final = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+){1,7}")
_NUMBER: Final = re.compile(r"#\d+")
_TEXTS: Final[Block] = {"type": "array", "items": {"type": "string"}}


def _object(**properties: Block) -> Block:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


_STRING: Final[Block] = {"type": "string"}
SCHEMA: Final[Block] = _object(
    statement=_STRING,
    alternatives={"type": "array", "items": _object(what=_STRING, why_not=_STRING)},
    non_goals=_TEXTS,
    risks=_TEXTS,
    root_causes={"type": "array", "items": _object(id=_STRING, fix=_STRING)},
    tests={"type": "array", "items": _object(n={"type": "integer"}, name=_STRING)},
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stated:
    """A strategy, what is to change at each root cause, and names for tests by item.

    ``by`` is the model that said so; empty where the words are a template.
    """

    strategy: Strategy
    fixes: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[int, str] = field(default_factory=dict)
    by: str = ""
    notes: tuple[str, ...] = ()


def template(theme: str, causes: Sequence[RootCause]) -> Stated:
    """Give words that say only what the survey says, and leave the strategy to a person."""
    what = masked(clean(theme)) or "what the survey found"
    ids = listed(cause.id for cause in causes)
    return Stated(
        strategy=Strategy(
            statement=cut(
                f"{UNSTATED} What shall hold after the change that cures {ids or 'all of it'}, and"
                f" where is it decided in the code? The theme: {what}",
                _TEXT,
            ),
            non_goals=("Nothing beyond what the listed items report.",),
        )
    )


def state(
    reader: Reader,
    theme: str,
    causes: Sequence[RootCause],
    items: Sequence[PlanItem],
) -> Stated:
    """Ask for the strategy; once more with what was wrong. ModelError when there is no reply."""
    wanted = [item.n for item in items if item.action in WORKED]
    said = question(theme, causes, items, wanted)
    told, wrong = prompt("strategy"), ""
    key = packets.digest([told, SCHEMA, said, reader.model])
    known = reader.readings.found([key]).get(key)
    stated = read(known, causes, wanted, by=reader.model) if isinstance(known, str) else ""
    if isinstance(stated, Stated):
        return stated
    reader.say(f"asking {clean(reader.model)} for the strategy")
    for _ in range(_TRIES):
        again = (
            f"\n\nYour last answer cannot be used: {wrong}. Give all of it again." if wrong else ""
        )
        reply = reader.ask(told, SCHEMA, said + again, tokens=_TOKENS, station="strategy")
        stated = read(reply.text, causes, wanted, by=reader.model)
        if isinstance(stated, Stated):
            reader.readings.keep({key: reply.text})
            return stated
        wrong = stated
        reader.say(f"that strategy cannot be used: {wrong} ({clean(reply.stop_reason)})")
    plain = template(theme, causes)
    note = f"{clean(reader.model)} gave no strategy that can be used: {wrong}"
    return Stated(strategy=plain.strategy, notes=(note,))


def question(
    theme: str, causes: Sequence[RootCause], items: Sequence[PlanItem], wanted: Sequence[int]
) -> str:
    """Give what the model is told, as JSON: verified words only, nothing of what was set aside."""
    known = {item.n: item for item in items if item.action is not Action.SECURITY}
    room = _MOST
    rows: list[dict[str, object]] = []
    for cause in causes:
        told: list[dict[str, object]] = []
        for number in cause.items:
            if number not in known:
                continue
            row = _told(known[number])
            size = len(json.dumps(row))
            told.append(row if size <= room else {"n": number, "class": known[number].verdict})
            room -= size
        rows.append(
            {
                "id": cause.id,
                "statement": cut(clean(cause.statement), _TEXT),
                "files": [clean(path) for path in cause.files[:_FILES]],
                "items": told,
            }
        )
    tree = {"theme": cut(clean(theme), _SHORT), "root_causes": rows, "wanted": list(wanted)}
    return json.dumps(tree, ensure_ascii=False)


def read(text: str, causes: Sequence[RootCause], wanted: Sequence[int], *, by: str) -> Stated | str:
    """Read a reply; give what is wrong with it as a text when it is none."""
    try:
        value: Any = json.loads(text)
    except (ValueError, RecursionError):
        return "it is no JSON"
    if not isinstance(value, dict):
        return "it is no object"
    statement = _text(value.get("statement"), _TEXT)
    if not statement:
        return "it has no statement"
    ids = [cause.id for cause in causes]
    fixes = {
        row.get("id"): _sentences(_text(row.get("fix"), _TEXT))
        for row in _rows(value.get("root_causes"), len(ids) + _LIST)
    }
    missing = [name for name in ids if not fixes.get(name)]
    if missing:
        return f"it does not say what is to change at {listed(missing)}"
    return Stated(
        strategy=Strategy(
            statement=statement,
            alternatives=tuple(
                Alternative(what=what, why_not=why)
                for row in _rows(value.get("alternatives"), _LIST)
                if (what := _text(row.get("what"), _SHORT))
                and (why := _text(row.get("why_not"), _SHORT))
            ),
            non_goals=_texts(value.get("non_goals")),
            risks=_texts(value.get("risks")),
        ),
        fixes={name: fixes[name] for name in ids},
        names=_names(value.get("tests"), wanted),
        by=by,
    )


def _told(item: PlanItem) -> dict[str, object]:
    return {
        "n": item.n,
        "title": cut(masked(clean(item.title)), _TITLE),
        "class": item.verdict.value,
        "quotes": [cut(masked(clean(each.quote)), _QUOTE) for each in item.evidence[:_QUOTES]],
    }


def _names(value: object, wanted: Sequence[int]) -> dict[int, str]:
    """Give the names of tests that can be names, for the items that were asked for."""
    found: dict[int, str] = {}
    for row in _rows(value, len(wanted) + _LIST):
        number, name = row.get("n"), row.get("name")
        if type(number) is not int or number not in wanted or not isinstance(name, str):
            continue
        if len(name) <= _NAME_LENGTH and _NAME.fullmatch(name):
            found.setdefault(number, name.removeprefix("test_"))
    return found


def _rows(value: object, most: int) -> list[dict[str, Any]]:
    rows = value[:most] if isinstance(value, list) else []
    return [row for row in rows if isinstance(row, dict)]


def _texts(value: object) -> tuple[str, ...]:
    rows = value[:_LIST] if isinstance(value, list) else []
    return tuple(text for each in rows if (text := _text(each, _SHORT)))


def _text(value: object, most: int) -> str:
    # A number in a model's words could mean any issue; what an item is, code says.
    return (
        cut(_NUMBER.sub("an issue", masked(clean(value))), most) if isinstance(value, str) else ""
    )


def _sentences(text: str) -> str:
    return " ".join(_SENTENCE.split(text)[:SENTENCES])
