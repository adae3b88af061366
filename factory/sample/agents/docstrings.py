"""An agent that turns the comment above a function or class into its docstring.

    python docstrings.py [--check] PATH...

With --check it changes nothing and fails when a public function or class has no docstring.
"""

import ast
import sys
from pathlib import Path

Defined = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def bare(tree: ast.Module) -> list[Defined]:
    """Give the public functions and classes without a docstring, last first."""
    found = [
        node
        for node in ast.walk(tree)
        if isinstance(node, Defined)
        and not node.name.startswith("_")
        and ast.get_docstring(node) is None
    ]
    return sorted(found, key=lambda node: node.lineno, reverse=True)


def documented(source: str) -> str:
    """Give the source with comments above definitions moved into docstrings."""
    lines = source.splitlines(keepends=True)
    for node in bare(ast.parse(source)):
        first = min([node.lineno, *(mark.lineno for mark in node.decorator_list)]) - 1
        top = first
        while top > 0 and lines[top - 1].lstrip().startswith("#"):
            top -= 1
        words = [line.strip().removeprefix("#").strip() for line in lines[top:first]]
        if not words:
            continue
        body = node.body[0]
        lines.insert(body.lineno - 1, docstring(words, " " * body.col_offset))
        del lines[top:first]
    return "".join(lines)


def docstring(words: list[str], indent: str) -> str:
    """Give a docstring of these sentences; the first is the summary."""
    text = "\n".join(words).replace("\\", "\\\\").replace('"""', "'''")
    if "\n" not in text:
        return f'{indent}"""{text}"""\n'
    summary, rest = text.split("\n", 1)
    rest = rest.replace("\n", f"\n{indent}")
    return f'{indent}"""{summary}\n\n{indent}{rest}\n{indent}"""\n'


def main(words: list[str]) -> int:
    """Document (or check) every module below the paths and say what was done."""
    check = "--check" in words
    files = [
        file for word in words if word != "--check" for file in sorted(Path(word).rglob("*.py"))
    ]
    missing = 0
    for file in files:
        source = file.read_text()
        after = source if check else documented(source)
        if after != source:
            file.write_text(after)
            print(f"{file}: documented")
        for node in bare(ast.parse(after)):
            missing += 1
            print(f"{file}:{node.lineno}: {node.name} has no docstring")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
