"""The published JSON Schema of factory.toml."""

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

from factory import demo, settings
from factory.onboard import Findings, config_text
from tests.run import ROOT

Schema = Mapping[str, object]
EXAMPLES: Final = sorted(
    path
    for path in [
        Path(__file__).parent / "golden/contract.toml",
        *(ROOT / "examples").rglob("factory.toml"),
    ]
    if "work" not in path.parts[len(ROOT.parts) :]
)
_KINDS: Final = {
    "string": str,
    "integer": int,
    "number": int | float,
    "boolean": bool,
    "array": list,
    "object": dict,
    "null": type(None),
}


def part(schema: Schema, key: str) -> Schema:
    """Give an inner schema; the one that takes everything when there is none."""
    inner = schema.get(key, {})
    assert isinstance(inner, Mapping)
    return inner


def fits(value: object, schema: Schema, top: Schema) -> bool:
    """Say whether a value fits: the part of JSON Schema that ours uses, read strictly."""
    if "$ref" in schema:
        name = str(schema["$ref"]).removeprefix("#/$defs/")
        return fits(value, part(part(top, "$defs"), name), top)
    options = schema.get("anyOf")
    if isinstance(options, list):
        return any(fits(value, option, top) for option in options)
    allowed = schema.get("enum", [schema["const"]] if "const" in schema else [value])
    kind = _KINDS.get(str(schema.get("type")), object)
    right = isinstance(value, kind) and (kind in {bool, object} or not isinstance(value, bool))
    if not right or not isinstance(allowed, list) or value not in allowed:
        return False
    if isinstance(value, list):
        return all(fits(item, part(schema, "items"), top) for item in value)
    if isinstance(value, dict):
        needed = schema.get("required", [])
        assert isinstance(needed, list)
        return set(needed) <= set(value) and all(
            fits_key(key, item, schema, top) for key, item in value.items()
        )
    return True


def fits_key(key: str, value: object, schema: Schema, top: Schema) -> bool:
    """Say whether a table may hold this key with this value."""
    known = part(schema, "properties")
    if key in known:
        return fits(value, part(known, key), top)
    free = list(part(schema, "patternProperties").values())
    if free:
        assert isinstance(free[0], Mapping)
        return fits(value, free[0], top)
    return schema.get("additionalProperties") is not False


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: "-".join(path.parts[-2:]))
def test_the_schema_accepts_every_example(path: Path) -> None:
    """Each factory.toml that we show is right in an editor too."""
    schema = settings.schema()

    assert fits(tomllib.loads(path.read_text()), schema, schema)


def test_the_schema_accepts_what_we_write_ourselves() -> None:
    """The demo's and init's configurations fit."""
    schema = settings.schema()
    written = config_text(
        Findings(
            languages=("Python",),
            tests=("pytest",),
            pre_commit=True,
            owners=None,
            ci=(),
            share=(".venv",),
            sources=("src",),
        )
    )

    for text in (demo.configuration("/bin/python", "/bin/ruff", libcst=True), written):
        assert fits(tomllib.loads(text), schema, schema)


@pytest.mark.parametrize(
    "text",
    [
        "version = 2",
        "[lin]",
        "[line]\nseats = '8'",
        "[line]\nsandbox = 'none'",
        "[[station]]\nrun = ['a']",
        "[[station]]\nname = 'a'\nkind = 'tset'",
        "[[station]]\nname = 'a'\nrun = 'make it'",
        "[[station]]\nname = 'a'\nagent = { run = ['a'] }",
        "[[job]]\nneeds = 'a'",
        "[provider.a]\nkey = 'x'",
    ],
)
def test_the_schema_refuses_what_the_loader_refuses(text: str) -> None:
    """An editor underlines the same mistakes of shape."""
    schema = settings.schema()

    assert not fits(tomllib.loads(text), schema, schema)


def test_the_schema_names_itself_and_is_json() -> None:
    """The document has a dialect and an id that names no host."""
    schema = json.loads(json.dumps(settings.schema()))

    assert schema["$schema"].endswith("2020-12/schema")
    assert schema["$id"] == "urn:factory:config:1"
