"""An agent that removes negations: `not a == b` becomes `a != b`, and so on.

    python simplify.py PATH...

It makes a mistake that people make as well: it takes `<=` for the opposite of `>=`. The tests at
the boundaries find it, and the cleanup station repairs it.
"""

import ast
import sys
from pathlib import Path

OPPOSITE: dict[type[ast.cmpop], ast.cmpop] = {
    ast.Eq: ast.NotEq(),
    ast.NotEq: ast.Eq(),
    ast.In: ast.NotIn(),
    ast.NotIn: ast.In(),
    ast.Gt: ast.LtE(),
    ast.Lt: ast.GtE(),
    ast.LtE: ast.Gt(),
    ast.GtE: ast.LtE(),
}


def simplified(source: str) -> str:
    """Give the source with negated comparisons turned round."""
    lines = source.splitlines(keepends=True)
    for node in reversed(list(ast.walk(ast.parse(source)))):
        if not (isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not)):
            continue
        inner = node.operand
        if (
            not isinstance(inner, ast.Compare)
            or len(inner.ops) != 1
            or type(inner.ops[0]) not in OPPOSITE
        ):
            continue
        turned = ast.Compare(
            left=inner.left, ops=[OPPOSITE[type(inner.ops[0])]], comparators=inner.comparators
        )
        line = lines[node.lineno - 1]
        lines[node.lineno - 1] = (
            line[: node.col_offset] + ast.unparse(turned) + line[node.end_col_offset :]
        )
    return "".join(lines)


def main(words: list[str]) -> int:
    """Simplify every module below the paths and say which changed."""
    for file in sorted(each for word in words for each in Path(word).rglob("*.py")):
        source = file.read_text()
        after = simplified(source)
        if after != source:
            file.write_text(after)
            print(f"{file}: simplified")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
