"""Cut GitHub's OpenAPI document down to what the hub serves; `scripts/openapi-cut` runs this."""

import json
import re
import sys
from pathlib import Path
from typing import Any, Final

from tests.forge.routes import ROUTES
from tests.run import ROOT

HERE: Final = ROOT / "tests" / "forge"
FILE: Final = HERE / "openapi.json"
_NOISE: Final = frozenset(
    {"title", "description", "example", "examples", "default", "deprecated", "externalDocs"}
    | {"discriminator", "readOnly", "writeOnly", "xml"}
)
_MEANT: Final = frozenset({"date-time", "uri", "email", "date", "uuid"})
_ADDRESS: Final = re.compile(r"https?://(?!127\.0\.0\.1)")
_LARGEST: Final = 250_000


class CutError(Exception):
    """The document does not hold what the hub serves, or the cut would hold what it must not."""


def cut(document: dict[str, Any], source: str) -> str:
    """Give the cut as text: one operation or schema per line, in a stable order."""
    parts = document["components"]
    operations = {
        route.key: _operation(_found(document, route.method, route.template), parts)
        for route in ROUTES
    }
    schemas: dict[str, Any] = {}
    wanted = _names(operations) | {"basic-error"}
    while wanted:
        name = wanted.pop()
        schemas[name] = _schema(parts["schemas"][name])
        wanted |= _names(schemas[name]) - schemas.keys()
    return "\n".join(
        [
            "{",
            f'"source": {json.dumps(source)},',
            *_block("operations", operations),
            "},",
            *_block("schemas", schemas),
            "}",
            "}",
            "",
        ]
    )


def main(words: list[str]) -> int:
    """Write the cut of the document at a path; the second word says where it came from."""
    path, source = words
    text = cut(json.loads(Path(path).read_text()), source)
    if (found := _ADDRESS.search(text)) is not None:
        msg = f"the cut holds an address: {text[found.start() : found.start() + 60]!r}"
        raise CutError(msg)
    if len(text.encode()) > _LARGEST:
        msg = f"the cut has {len(text.encode())} bytes, more than {_LARGEST}: serve less"
        raise CutError(msg)
    FILE.write_text(text)
    sys.stdout.write(f"{FILE.relative_to(ROOT)}: {len(text.encode())} bytes\n")
    return 0


def _block(name: str, entries: dict[str, Any]) -> list[str]:
    lines = [
        f"{json.dumps(key)}: {json.dumps(entries[key], sort_keys=True, separators=(',', ':'))}"
        for key in sorted(entries)
    ]
    return [f'"{name}": {{', ",\n".join(lines)]


def _found(document: dict[str, Any], method: str, template: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = document["paths"][template][method.lower()]
    except KeyError as error:
        msg = f"the document has no {method} {template}"
        raise CutError(msg) from error
    return found


def _operation(operation: dict[str, Any], parts: dict[str, Any]) -> dict[str, Any]:
    query = {}
    for given in operation.get("parameters", ()):
        parameter = _resolved(given, parts)
        if parameter["in"] == "query":
            query[parameter["name"]] = _schema(parameter["schema"])
    responses = {}
    for status, given in operation["responses"].items():
        content = _resolved(given, parts).get("content", {}).get("application/json")
        responses[status] = None if content is None else _schema(content["schema"])
    body = operation.get("requestBody", {}).get("content", {}).get("application/json")
    return {
        "query": query,
        "body": None if body is None else _schema(body["schema"]),
        "responses": responses,
    }


def _resolved(given: dict[str, Any], parts: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in given:
        return given
    *_, kind, name = given["$ref"].split("/")
    found: dict[str, Any] = parts[kind][name]
    return found


def _schema(schema: Any) -> Any:
    """Give the same promise in the words of JSON Schema 2020-12."""
    if not isinstance(schema, dict):
        return schema
    out: dict[str, Any] = {}
    for key, value in schema.items():
        match key:
            case "nullable":
                continue
            case "properties" | "patternProperties":
                out[key] = {name: _schema(inner) for name, inner in value.items()}
            case "oneOf" | "anyOf":
                # Many of GitHub's alternatives overlap: "exactly one" is not what it sends.
                out["anyOf"] = [_schema(inner) for inner in value]
            case "allOf":
                out[key] = [_schema(inner) for inner in value]
            case "items" | "additionalProperties" | "not":
                out[key] = _schema(value)
            case "$ref":
                out[key] = "#/$defs/" + value.rsplit("/", 1)[1]
            case "format":
                if value in _MEANT:
                    out[key] = value
            case _:
                if key not in _NOISE and not key.startswith("x-"):
                    out[key] = value
    return _or_null(out) if schema.get("nullable") else out


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    if isinstance(schema.get("type"), str) and not {"anyOf", "allOf"} & schema.keys():
        more = {"enum": [*schema["enum"], None]} if None not in schema.get("enum", [None]) else {}
        return {**schema, "type": [schema["type"], "null"], **more}
    return {"anyOf": [schema, {"type": "null"}]}


def _names(schema: Any) -> set[str]:
    if isinstance(schema, list):
        return {name for inner in schema for name in _names(inner)}
    if not isinstance(schema, dict):
        return set()
    here = {schema["$ref"].rsplit("/", 1)[1]} if isinstance(schema.get("$ref"), str) else set()
    return here | {name for inner in schema.values() for name in _names(inner)}


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
