"""Mistakes in configuration: a value for each, and the text a person reads."""

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

from pydantic import BaseModel, ValidationError
from typing_extensions import override

from factory.config.toml_places import Path

_SECRET: Final = re.compile(r"(?i)key|token|secret|passw|credential|auth")
_USERINFO: Final = re.compile(r"(?<=://)[^/\s\"'@]*@")
_QUOTED: Final = re.compile(r"\"(?:\\.|[^\"\\])*\"|'[^']*'")
_NAMED: Final = re.compile(r"'([^']*)'")
_WIDEST: Final = 160
_BEFORE: Final = 60
_TYPES: Final = {
    "string_type": "a text",
    "int_type": "a whole number",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "dict_type": "a table",
    "model_type": "a table",
    "model_attributes_type": "a table",
}
_BOUNDS: Final = {
    "greater_than_equal": ("ge", "at least"),
    "less_than_equal": ("le", "at most"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigError:
    """One mistake: where it stands, what it is about, what is wrong, and what to do."""

    file: str
    line: int
    col: int
    where: str
    what: str
    hint: str = ""
    source_line: str = ""

    @override
    def __str__(self) -> str:
        """Give the message, the source line and a caret below the place."""
        hint = f"; {self.hint}" if self.hint else ""
        head = f"{self.file}:{self.line}:{self.col}: error: {self.where}: {self.what}{hint}"
        if not self.source_line:
            return plain(head)
        # A caret must stand below a place that can be seen, also in a line of a megabyte.
        cut = max(0, self.col - 1 - _BEFORE)
        shown = plain(self.source_line[cut : cut + _WIDEST])
        number = str(self.line)
        return (
            f"{plain(head)}\n  {number} | {shown}\n  {' ' * len(number)} | "
            f"{' ' * (self.col - 1 - cut)}^"
        )


class ConfigErrors(Exception):  # noqa: N818 - the name says that there may be several
    """All mistakes of all sources of one configuration."""

    def __init__(self, errors: Iterable[ConfigError]) -> None:
        self.errors = tuple(errors)
        count = len(self.errors)
        texts = [str(error) for error in self.errors]
        super().__init__("\n".join([*texts, f"{count} mistake{'' if count == 1 else 's'}"]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A mistake by its path in the tables; the source of the tables knows the place."""

    path: Path
    what: str
    hint: str = ""
    at_key: bool = False
    about: Path | None = None
    """What the message names when it is not the path itself."""


def nearest(word: str, known: Iterable[str]) -> str:
    """Give ``did you mean "x"?`` for a near miss, else nothing."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f'did you mean "{near[0]}"?' if near else ""


def plain(text: str) -> str:
    """Give the text with every control character and line break made visible or blank."""
    return "".join(
        c if c.isprintable() else " " if c == "\t" else "\N{REPLACEMENT CHARACTER}" for c in text
    )


def masked(line: str, path: Path, *, value_at: int | None = None) -> str:
    """Give a source line without what could be a secret; the columns stay as they are.

    ``value_at`` is the column of an unquoted value: of a flag or a variable.
    """
    line = _USERINFO.sub(lambda found: "*" * (len(found[0]) - 1) + "@", line)
    key = next((part for part in reversed(path) if isinstance(part, str)), "")
    if path[:2] == ("env", "key") or key == "tokens" or not _SECRET.search(key):
        return line
    if value_at is not None:
        return line[: value_at - 1] + "***"
    return _QUOTED.sub(lambda found: found[0][0] + "*" * (len(found[0]) - 2) + found[0][0], line)


def where(path: Path, tree: Mapping[str, object]) -> str:
    """Give the path as people say it, such as ``station "api".timeout`` or ``line.seats``."""
    if not path:
        return "file"
    text, rest = str(path[0]), path[1:]
    if text in {"station", "job"} and rest and isinstance(rest[0], int):
        item = at(tree, path[:2])
        label = None
        if isinstance(item, Mapping):
            label = item.get("name" if text == "station" else "id") or item.get("title")
        text += f' "{label[:60]}"' if isinstance(label, str) else f" {rest[0] + 1}"
        rest = rest[1:]
    for part in rest:
        text += f"[{part + 1}]" if isinstance(part, int) else f".{part}"
    return text


def faults(model: type[BaseModel], tree: Mapping[str, object]) -> tuple[Fault, ...]:
    """Give everything that the tables' types do not accept."""
    try:
        model.model_validate(tree)
    except ValidationError as error:
        return tuple(
            _fault(
                model, item["type"], item["loc"], item["msg"], item["input"], item.get("ctx", {})
            )
            for item in error.errors(include_url=False)
        )
    return ()


def _fault(
    model: type[BaseModel],
    kind: str,
    loc: tuple[int | str, ...],
    message: str,
    given: object,
    context: Mapping[str, object],
) -> Fault:
    at_key = loc[-1:] == ("[key]",)
    path = loc[:-1] if at_key else loc
    if kind == "extra_forbidden":
        known = _known(model, path[:-1])
        hint = nearest(str(path[-1]), known) or f"known: {', '.join(known)}"
        return Fault(path=path, what="unknown key", hint=hint, at_key=True)
    if kind == "missing":
        return Fault(path=path, what="is missing", at_key=True)
    if kind in {"literal_error", "enum"}:
        known = _NAMED.findall(str(context.get("expected", ""))) or [str(context["expected"])]
        what = f"{_shown(given)} is not one of {', '.join(known)}"
        if len(known) == 1:
            what = f"{_shown(given)} is not {known[0]}"
        return Fault(path=path, what=what, hint=nearest(str(given), known), at_key=at_key)
    if kind in _TYPES:
        return Fault(
            path=path, what=f"must be {_TYPES[kind]}, not {_type(given)}", hint=_like(kind, given)
        )
    if kind == "value_error":
        what, _, hint = message.removeprefix("Value error, ").partition("; ")
        return Fault(path=path, what=what, hint=hint, at_key=at_key)
    if kind == "string_too_short":
        return Fault(path=path, what="must not be empty")
    if kind in _BOUNDS:
        key, word = _BOUNDS[kind]
        return Fault(path=path, what=f"must be {word} {context[key]}, not {_shown(given)}")
    return Fault(path=path, what=re.sub(r"^(?:Input|String) should", "must", message))


def _known(model: type[BaseModel], path: Path) -> list[str]:
    schema = _schema(model)
    found = _resolved(schema, schema, path)
    return sorted(str(key) for key in found) if isinstance(found, Mapping) else []


@cache
def _schema(model: type[BaseModel]) -> dict[str, object]:
    return model.model_json_schema()


def _resolved(schema: Mapping[str, object], top: Mapping[str, object], path: Path) -> object:
    # The JSON schema knows the keys of every table, also behind unions and references.
    node = schema
    reference = node.get("$ref")
    if isinstance(reference, str):
        named = at(top, tuple(reference.removeprefix("#/").split("/")))
        return _resolved(named, top, path) if isinstance(named, Mapping) else None
    options = node.get("anyOf")
    if isinstance(options, list):
        tries = [_resolved(option, top, path) for option in options if isinstance(option, Mapping)]
        return next((found for found in tries if found is not None), None)
    if not path:
        return node.get("properties")
    free = node.get("patternProperties")
    for inner in (
        node.get("items") if isinstance(path[0], int) else at(node, ("properties", path[0])),
        *(free.values() if isinstance(free, Mapping) else ()),
    ):
        if isinstance(inner, Mapping):
            return _resolved(inner, top, path[1:])
    return None


def at(tree: object, path: Path) -> object:
    """Give what stands at a path of nested tables and lists; None when nothing does."""
    for part in path:
        if isinstance(tree, Mapping):
            tree = tree.get(part)
        elif isinstance(tree, list) and isinstance(part, int) and part < len(tree):
            tree = tree[part]
        else:
            return None
    return tree


def _shown(value: object) -> str:
    if isinstance(value, str):
        return f'"{value[:60]}"'
    return str(value).lower() if isinstance(value, bool) else str(value)[:60]


def _type(value: object) -> str:
    match value:
        case None:
            return "nothing"
        case bool():
            return "true or false"
        case str():
            return "a text"
        case int() | float():
            return "a number"
        case list():
            return "a list"
        case dict():
            return "a table"
        case _:
            return "a date or time"


def _like(kind: str, value: object) -> str:
    if kind == "tuple_type" and isinstance(value, str):
        return f'write ["{value[:60]}"]'
    if kind == "tuple_type" and isinstance(value, dict):
        return "write the table's name in double brackets"
    if kind == "int_type" and isinstance(value, str) and value.strip().isdecimal():
        return f"write {value.strip()[:60]} without quotes"
    if kind == "bool_type" and isinstance(value, str):
        return "write it without quotes"
    return ""
