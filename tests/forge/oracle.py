"""GitHub's own schemas as the judge of what comes in and goes out; `openapi.json` holds them."""

import json
from functools import cache
from typing import Any, Final

import jsonschema_rs

from tests.run import ROOT

FILE: Final = ROOT / "tests" / "forge" / "openapi.json"
_NOWHERE: Final = "not-served"
_LABELS: Final = "/repos/{owner}/{repo}/issues/{issue_number}/labels"
_CONNECTORS: Final = ("allOf", "anyOf")


@cache
def document() -> dict[str, Any]:
    """Give the cut."""
    found: dict[str, Any] = json.loads(FILE.read_text())
    return found


@cache
def _judge(where: tuple[str, ...]) -> jsonschema_rs.Draft202012Validator | None:
    schema: Any = document()
    for step in where:
        schema = schema.get(step)
        if schema is None:
            return None
    whole = {"$defs": document()["schemas"], "allOf": [schema]}
    return jsonschema_rs.Draft202012Validator(whole, validate_formats=True)


def request_mistakes(key: str, query: dict[str, str], body: Any) -> list[str]:
    """Say what is wrong with a request of an operation such as ``GET /user``."""
    known = document()["operations"][key]["query"]
    # PyGithub asks for pages wherever it expects a list; GitHub does not mind.
    strange = query.keys() - known.keys() - {"page", "per_page"}
    found = [f"unknown query parameter {name!r}" for name in sorted(strange)]
    for name in query.keys() & known.keys():
        judge = _judge(("operations", key, "query", name))
        assert judge is not None
        # A query is text: what the schema calls a number or a truth value is written as one.
        if not any(judge.is_valid(value) for value in _read(query[name])):
            found.append(f"query parameter {name}={query[name]!r} is not one of GitHub's")
    if body is None:
        return found
    judge = _judge(("operations", key, "body"))
    if judge is None:
        return [*found, "a body where none belongs"]
    # PyGithub posts labels as a bare list, which GitHub takes and no longer describes.
    bare = isinstance(body, list) and all(isinstance(name, str) for name in body)
    if key.endswith(_LABELS) and bare:
        return found
    return found + _told(judge, body)


def response_mistakes(key: str, status: int, value: Any) -> list[str]:
    """Say what is wrong with an answer to an operation."""
    listed = document()["operations"][key]["responses"]
    if str(status) in listed:
        judge = _judge(("operations", key, "responses", str(status)))
        if judge is None:
            return [] if value is None or status >= 400 else ["a body where none belongs"]
        return _told(judge, value)
    if status < 400:
        return [f"GitHub never answers {status}"]
    judge = _judge(("schemas", "basic-error"))
    assert judge is not None
    return _told(judge, value)


def _told(judge: jsonschema_rs.Draft202012Validator, value: Any) -> list[str]:
    return [
        f"{'/'.join(map(str, error.instance_path)) or 'the whole'}: {error.message[:300]}"
        for error in judge.iter_errors(value)
    ]


def _read(text: str) -> list[Any]:
    found: list[Any] = [text, text.split(",")]
    if text.lstrip("-").isdigit():
        found.append(int(text))
    if text in {"true", "false"}:
        found.append(text == "true")
    return found


def complete(schema: str, value: dict[str, Any], address: str) -> dict[str, Any]:
    """Fill in what GitHub always sends and the hub knows nothing of.

    An address filled in so is served by no route: who follows it fails the test.
    """
    filled = {
        name: filler.replace("{address}", address) if isinstance(filler, str) else filler
        for name, filler in _fillers(schema).items()
        if name not in value
    }
    return {**filled, **value}


@cache
def _fillers(schema: str) -> dict[str, Any]:
    found = document()["schemas"][schema]
    filled: dict[str, Any] = _filler(
        {**found, "type": "object"} if "properties" in found else found
    )
    return filled


def _filler(schema: dict[str, Any]) -> Any:
    if "$ref" in schema:
        return _filler(document()["schemas"][schema["$ref"].rsplit("/", 1)[1]])
    if "allOf" in schema:
        parts = [_filler(part) for part in schema["allOf"]]
        return {name: inner for part in parts for name, inner in part.items()}
    if "anyOf" in schema:
        options = schema["anyOf"]
        return None if {"type": "null"} in options else _filler(options[0])
    kind = schema.get("type")
    if isinstance(kind, list):
        return None
    if "enum" in schema:
        return schema["enum"][0]
    match kind:
        case "object":
            asked = schema.get("required", ())
            return {name: _filler(schema["properties"][name]) for name in asked}
        case "array":
            return []
        case "boolean":
            return False
        case "integer" | "number":
            return 0
        case "string":
            return _text(schema.get("format"))
        case _:
            return None


def _text(form: str | None) -> str:
    match form:
        case "date-time":
            return "2026-01-01T00:00:00Z"
        case "uri":
            return f"{{address}}/{_NOWHERE}"
        case "email":
            return "nobody@example.org"
        case "uuid":
            return "00000000-0000-4000-8000-000000000000"
        case _:
            return ""
