"""plan.json in and out: read strictly, written the same way each time, named by its hash.

A plan file may have been edited by a person, or written by anybody: all that is wrong in it is
said at once, each with its place.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from factory.config.mistakes import nearest
from factory.strategy.values import Mistake, Plan, PlanErrors
from factory.wording import clean, cut

SCHEMA: Final = "factory.plan/1"
MOST: Final = 4_000_000
"""A plan file of more characters than this is none."""
_SHOWN: Final = 60
_TYPES: Final[Mapping[str, str]] = {
    "string_type": "must be a text",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "decimal_type": "must be a number",
    "decimal_parsing": "must be a number",
    "tuple_type": "must be a list",
    "dataclass_type": "must be an object",
    "datetime_type": "must be a time like 2026-11-21T17:20:00Z",
    "datetime_parsing": "must be a time like 2026-11-21T17:20:00Z",
    "datetime_from_date_parsing": "must be a time like 2026-11-21T17:20:00Z",
    "missing": "is missing",
    "string_too_short": "must not be empty",
}


def read(text: str) -> Plan:
    """Give the plan of a file's text; raises `PlanErrors` with all its mistakes."""
    if len(text) > MOST:
        raise PlanErrors([Mistake(where="$", what=f"has more than {MOST:,} characters")])
    tree = _tree(text)
    if isinstance(tree, dict) and "jobs" in tree and "stations" not in tree:
        raise PlanErrors(
            [
                Mistake(
                    where="$",
                    what="is what `factory plan --json` prints, which is no strategy",
                    hint="give the plan.json that `factory fix SURVEY` wrote",
                )
            ]
        )
    try:
        return _adapter().validate_json(text)
    except ValidationError as error:
        raise PlanErrors(_mistake(each, tree) for each in error.errors(include_url=False)) from None


def is_plan(tree: Mapping[str, object]) -> bool:
    """Say whether a JSON object calls itself a plan."""
    return tree.get("schema") == SCHEMA


def write(plan: Plan) -> str:
    """Give the text of a plan's file, in the order of its fields."""
    return json.dumps(_plain(plan), indent=2, ensure_ascii=False) + "\n"


def canonical(plan: Plan) -> str:
    """Give the one text that means a plan: no blank, keys in order."""
    return json.dumps(_plain(plan), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest(plan: Plan) -> str:
    """Give the SHA-256 of a plan's canonical form, in hex."""
    return hashlib.sha256(canonical(plan).encode("utf-8", "surrogatepass")).hexdigest()


def branches(plan: Plan) -> tuple[str, ...]:
    """Give the names of the branches that a plan is delivered as; its hash is part of them."""
    return tuple(f"{name}-{digest(plan)[:8]}" for name in plan.delivery.branches)


def schema() -> dict[str, object]:
    """Give the JSON Schema of plan.json, for editors."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:factory:plan:1",
        **_adapter().json_schema(by_alias=True),
    }


@cache
def _adapter() -> TypeAdapter[Plan]:
    return TypeAdapter(Plan)


def _plain(plan: Plan) -> object:
    """Give a plan as JSON knows it; dollars as numbers, so that a person may edit them."""
    tree = _adapter().dump_python(plan, mode="json", by_alias=True)
    for station in tree["stations"]:
        dollars = station["budget"]["usd"]
        station["budget"]["usd"] = None if dollars is None else float(dollars)
    return tree


def _tree(text: str) -> object:
    twice: list[str] = []

    def unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in pairs:
            if key in found:
                twice.append(key)
            found[key] = value
        return found

    try:
        tree: object = json.loads(text, object_pairs_hook=unique)
    except json.JSONDecodeError as error:
        what = f"is no JSON (line {error.lineno}, column {error.colno}: {error.msg})"
        raise PlanErrors([Mistake(where="$", what=what)]) from None
    except (RecursionError, ValueError):
        raise PlanErrors([Mistake(where="$", what="is no JSON that can be read")]) from None
    if twice:
        raise PlanErrors(
            Mistake(
                where="$",
                what=f'an object has the key "{_short(key)}" twice',
                hint="keep one of them",
            )
            for key in dict.fromkeys(twice)
        )
    return tree


def _mistake(error: Any, tree: object) -> Mistake:
    path: tuple[int | str, ...] = error["loc"]
    kind, given = str(error["type"]), error["input"]
    context = error.get("ctx", {})
    if kind == "unexpected_keyword_argument":
        known = sorted(_known(path[:-1]))
        hint = nearest(str(path[-1]), known) or f"known: {', '.join(known)}"
        return Mistake(where=place(path, tree), what="is no field of a plan", hint=hint)
    if kind in {"enum", "literal_error"}:
        expected = str(context.get("expected", "")).replace("'", '"')
        words = expected.replace('"', "").replace(" or ", ", ").split(", ")
        return Mistake(
            where=place(path, tree),
            what=f'"{_short(given)}" is not {"one of " if len(words) > 1 else ""}{expected}',
            hint=nearest(str(given), words) if len(words) > 1 else "",
        )
    if kind in _TYPES:
        return Mistake(where=place(path, tree), what=_TYPES[kind])
    if kind == "value_error":
        return Mistake(where=place(path, tree), what=clean(str(context.get("error", ""))))
    if kind == "string_pattern_mismatch":
        what = f'"{_short(given)}" does not have the right form'
        return Mistake(
            where=place(path, tree), what=what, hint=f"it must match {context['pattern']}"
        )
    said = str(error["msg"]).replace("Input should", "must").replace("String should", "must")
    said = said.replace("Tuple should", "must").replace("Decimal input should", "must")
    return Mistake(where=place(path, tree), what=clean(said[:1].lower() + said[1:]))


def place(path: Sequence[int | str], tree: object = None) -> str:
    """Give a path in a document as JSON paths are written; a list's item by its id or number."""
    text, node = "$", tree
    for part in path:
        node = _below(node, part)
        text += f"[{part}]" if isinstance(part, int) else f".{_short(part)}"
        name = node.get("id", node.get("n")) if isinstance(node, dict) else None
        if isinstance(part, int) and isinstance(name, str | int):
            text += f" ({_short(name)})"
    return text


def _below(node: object, part: int | str) -> object:
    if isinstance(node, dict):
        return node.get(part)
    if isinstance(node, list) and isinstance(part, int) and part < len(node):
        return node[part]
    return None


def _known(path: Sequence[int | str]) -> list[str]:
    """Give the fields of the object at a path, by the schema."""
    whole = _adapter().json_schema(by_alias=True)
    node: Any = whole
    for part in path:
        node = _resolved(node, whole)
        node = (
            node.get("items", {})
            if isinstance(part, int)
            else node.get("properties", {}).get(part, {})
        )
    return list(_resolved(node, whole).get("properties", {}))


def _resolved(node: Any, whole: Any) -> Any:
    if "$ref" in node:
        return _resolved(whole["$defs"][node["$ref"].rpartition("/")[2]], whole)
    for option in node.get("anyOf", ()):
        if "$ref" in option:
            return _resolved(option, whole)
    return node


def _short(value: object) -> str:
    return cut(clean(str(value)), _SHOWN)
