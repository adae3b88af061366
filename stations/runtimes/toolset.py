"""The tools that our own loop offers a model, and whether what it gives them is valid.

A tool's schema is written once and used twice: every input is judged by it here, and the model is
shown it without what lists hold, because every token of it is paid for by every agent.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from stations.contract import Kind

Schema = Mapping[str, Any]

MOST_CHARACTERS: Final = 1_000_000
"""No text that a model gives a tool is longer."""
MOST_NUMBER: Final = 1_000_000
SUMMARY_CHARACTERS: Final = 2_000
_READERS: Final = frozenset({Kind.READ, Kind.REVIEW})
_TEXT: Final[Schema] = {"type": "string"}
_WHOLE: Final[Schema] = {"type": "integer"}
_TEXTS: Final[Schema] = {"type": "array", "items": {"type": "string"}}
_STATUS: Final[Schema] = {"enum": ["done", "blocked", "failed"], "type": "string"}
_PART: Final[Schema] = {
    "type": "object",
    "properties": {
        "title": _TEXT,
        "brief": _TEXT,
        "scope": _TEXTS,
        "needs": {"type": "array", "items": _WHOLE},
    },
    "required": ["title", "brief", "scope"],
}


def _tool(
    name: str, says: str, given: Mapping[str, Schema], *, optional: Sequence[str] = ()
) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object", "properties": dict(given)}
    if required := [key for key in given if key not in optional]:
        schema["required"] = required
    return {"name": name, "description": says, "input_schema": schema}


_READ: Final = _tool(
    "read",
    "Show lines of a file, or list a directory",
    {"path": _TEXT, "start": _WHOLE, "end": _WHOLE},
    optional=("start", "end"),
)
_SEARCH: Final = _tool(
    "search",
    "Find lines by a regular expression",
    {"pattern": _TEXT, "glob": _TEXT},
    optional=("glob",),
)
_EDIT: Final = _tool(
    "edit",
    "Replace old, found exactly `expected` times (1)",
    {"path": _TEXT, "old": _TEXT, "new": _TEXT, "expected": _WHOLE},
    optional=("expected",),
)
_WRITE: Final = _tool("write", "Make or overwrite a file", {"path": _TEXT, "content": _TEXT})
_RUN: Final = _tool(
    "run", "Run a command of the job, by number", {"name": _TEXT, "timeout_s": _WHOLE}
)
_STATUS_TOOL: Final = _tool(
    "status", "Show the whole job, scope, changes, commands, what is left to spend", {}
)
_SKILL: Final = _tool("skill", "Show a listed skill", {"name": _TEXT})
_REPORT: Final[Mapping[str, Schema]] = {
    "status": _STATUS,
    "summary": _TEXT,
    "files": _TEXTS,
    "tests_run": _TEXTS,
    "risks": _TEXTS,
    "needs_scope": _TEXTS,
}
_FINISH: Final = _tool("finish", "Report, and end the work", _REPORT)
_ANSWER: Final = _tool(
    "finish",
    "Give the answer, and end the work",
    {"status": _STATUS, "summary": _TEXT, "data": _TEXT},
)
_ESCALATE: Final = _tool(
    "escalate", "End: a person must decide, or give globs", {"reason": _TEXT, "need": _TEXTS}
)
_SPLIT: Final = _tool(
    "split",
    "End: propose 2-8 jobs instead: {title, brief, scope: globs, needs: earlier places from 0}",
    {"jobs": {"type": "array", "items": _PART}},
)


def reads_only(kind: Kind) -> bool:
    """Say whether a station of this kind changes nothing."""
    return kind in _READERS


def offered(kind: Kind) -> tuple[dict[str, Any], ...]:
    """Give the tools for a kind of station as a model is shown them, always the same bytes."""
    shown = [{**tool, "input_schema": _shown(tool["input_schema"])} for tool in _tools(kind)]
    return tuple(json.loads(json.dumps(tool, sort_keys=True)) for tool in shown)


def _tools(kind: Kind) -> tuple[dict[str, Any], ...]:
    if reads_only(kind):
        return (_READ, _SEARCH, _RUN, _STATUS_TOOL, _SKILL, _ANSWER, _ESCALATE)
    return (
        *(_READ, _SEARCH, _EDIT, _WRITE, _RUN, _STATUS_TOOL, _SKILL),
        *(_FINISH, _ESCALATE, _SPLIT),
    )


def _shown(schema: Schema) -> dict[str, Any]:
    properties = {
        key: {"type": "array"} if one["type"] == "array" else one
        for key, one in schema["properties"].items()
    }
    return {**schema, "properties": properties}


def fault(kind: Kind, name: object, given: object) -> str:
    """Say in one sentence what is wrong with a call; empty when it may be done."""
    tools = _tools(kind)
    schema = next((tool["input_schema"] for tool in tools if tool["name"] == name), None)
    if schema is None:
        known = ", ".join(str(tool["name"]) for tool in tools)
        return f"there is no tool {plain(str(name), 40)!r}; there are {known}"
    return _fault(schema, given, "the input")


def _fault(schema: Schema, value: object, where: str) -> str:
    match schema["type"]:
        case "object":
            return _object_fault(schema, value, where)
        case "array":
            if not isinstance(value, list):
                return f"{where} must be a list"
            faults = (_fault(schema["items"], one, f"{where}[{n}]") for n, one in enumerate(value))
            return next((said for said in faults if said), "")
        case "integer":
            if isinstance(value, bool) or not isinstance(value, int):
                return f"{where} must be a whole number"
            fits = 0 <= value <= MOST_NUMBER
            return "" if fits else f"{where} must be from 0 to {MOST_NUMBER}"
        case _:
            if not isinstance(value, str):
                return f"{where} must be a text"
            if len(value) > MOST_CHARACTERS:
                return f"{where} is too long: {len(value)} characters"
            if "enum" in schema and value not in schema["enum"]:
                return f"{where} must be one of {', '.join(schema['enum'])}"
            return ""


def _object_fault(schema: Schema, value: object, where: str) -> str:
    if not isinstance(value, dict):
        return f"{where} must be an object"
    properties = schema["properties"]
    if extra := sorted(str(key) for key in value if key not in properties):
        known = ", ".join(properties) or "nothing"
        return f"{where} holds {plain(extra[0], 40)!r}, which is not known; it takes {known}"
    if missing := [key for key in schema.get("required", ()) if key not in value]:
        return f"{where} lacks {missing[0]!r}"
    faults = (_fault(properties[key], one, f"{where}.{key}") for key, one in value.items())
    return next((said for said in faults if said), "")


def plain(text: str, most: int) -> str:
    """Give a text of a model as one short printable line."""
    line = re.sub(r"\s+", " ", text).strip()
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in line)[:most]
