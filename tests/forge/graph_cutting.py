"""Cut GitHub's GraphQL schema down to what the hub serves; `scripts/openapi-cut` runs this."""

import sys
from pathlib import Path
from typing import Final

from graphql import (
    DefinitionNode,
    DirectiveDefinitionNode,
    EnumTypeDefinitionNode,
    FieldDefinitionNode,
    InputObjectTypeDefinitionNode,
    InterfaceTypeDefinitionNode,
    NamedTypeNode,
    Node,
    ObjectTypeDefinitionNode,
    ScalarTypeDefinitionNode,
    TypeNode,
    UnionTypeDefinitionNode,
    assert_valid_schema,
    build_schema,
    parse,
    print_ast,
)

from tests.forge.graph import SERVED
from tests.run import ROOT

FILE: Final = ROOT / "tests" / "forge" / "schema.graphql"
_BUILT_IN: Final = frozenset({"String", "Int", "Float", "Boolean", "ID"})


class CutError(Exception):
    """The schema does not hold what the hub serves."""


def cut(text: str, source: str) -> str:
    """Give the served types with their served fields, and all that their arguments need."""
    document = parse(text, no_location=True)
    known = {node.name.value: node for node in document.definitions if hasattr(node, "name")}
    kept: dict[str, DefinitionNode] = {}
    wanted = list(SERVED)
    while wanted:
        name = wanted.pop()
        if name in kept or name in _BUILT_IN:
            continue
        if name not in known:
            msg = f"the schema has no {name}"
            raise CutError(msg)
        kept[name] = _bare(name, known[name])
        wanted += _needs(kept[name])
    parts = [print_ast(kept[name]) for name in sorted(kept)]
    return f"# {source} (MIT), cut\n\n" + "\n\n".join(parts) + "\n"


def main(words: list[str]) -> int:
    """Write the cut of the schema at a path; the second word says where it came from."""
    path, source = words
    text = cut(Path(path).read_text(), source)
    assert_valid_schema(build_schema(text))
    if "://" in text:
        msg = "the cut holds an address"
        raise CutError(msg)
    FILE.write_text(text)
    sys.stdout.write(f"{FILE.relative_to(ROOT)}: {len(text.encode())} bytes\n")
    return 0


def _bare(name: str, node: DefinitionNode) -> DefinitionNode:
    if isinstance(node, ObjectTypeDefinitionNode | InterfaceTypeDefinitionNode):
        served = SERVED.get(name)
        if served is None:
            msg = f"{name} is needed and not among what is served"
            raise CutError(msg)
        fields = {field.name.value: field for field in node.fields or ()}
        if missing := set(served) - fields.keys():
            msg = f"{name} has no {sorted(missing)}"
            raise CutError(msg)
        above = tuple(face for face in node.interfaces or () if face.name.value in SERVED)
        more = tuple(_bare_field(fields[field]) for field in sorted(served))
        return type(node)(name=node.name, interfaces=above, directives=(), fields=more)
    if isinstance(node, UnionTypeDefinitionNode):
        types = tuple(one for one in node.types or () if one.name.value in SERVED)
        return UnionTypeDefinitionNode(name=node.name, directives=(), types=types)
    if isinstance(node, EnumTypeDefinitionNode):
        values = tuple(type(one)(name=one.name, directives=()) for one in node.values or ())
        return EnumTypeDefinitionNode(name=node.name, directives=(), values=values)
    if isinstance(node, InputObjectTypeDefinitionNode):
        inputs = tuple(
            type(one)(name=one.name, type=one.type, directives=()) for one in node.fields or ()
        )
        return InputObjectTypeDefinitionNode(name=node.name, directives=(), fields=inputs)
    if isinstance(node, ScalarTypeDefinitionNode):
        return ScalarTypeDefinitionNode(name=node.name, directives=())
    assert not isinstance(node, DirectiveDefinitionNode)
    msg = f"{name} is of a kind that nothing is known of"
    raise CutError(msg)


def _bare_field(field: FieldDefinitionNode) -> FieldDefinitionNode:
    arguments = tuple(
        type(one)(name=one.name, type=one.type, default_value=one.default_value, directives=())
        for one in field.arguments or ()
    )
    return FieldDefinitionNode(name=field.name, arguments=arguments, type=field.type, directives=())


def _needs(node: DefinitionNode) -> list[str]:
    if isinstance(node, ObjectTypeDefinitionNode | InterfaceTypeDefinitionNode):
        fields = node.fields or ()
        needed = [_named(field.type) for field in fields]
        needed += [_named(one.type) for field in fields for one in field.arguments or ()]
        return [*needed, *(face.name.value for face in node.interfaces or ())]
    if isinstance(node, InputObjectTypeDefinitionNode):
        inputs = node.fields or ()
        return [_named(one.type) for one in inputs]
    if isinstance(node, UnionTypeDefinitionNode):
        return [one.name.value for one in node.types or ()]
    return []


def _named(kind: TypeNode) -> str:
    inner: Node = kind
    while not isinstance(inner, NamedTypeNode):
        inner = inner.type  # type: ignore[attr-defined]
    return inner.name.value


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
