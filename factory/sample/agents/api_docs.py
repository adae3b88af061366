"""An agent that writes the API's page from the docstrings of packages.

    python api_docs.py [--check] PAGE PACKAGE...

With --check it writes nothing and fails when the page is not what the code says.
"""

import ast
import sys
from pathlib import Path

Function = ast.FunctionDef | ast.AsyncFunctionDef


def page(packages: list[Path]) -> str:
    """Give the whole page: one chapter for each module."""
    modules = [file for package in packages for file in sorted(package.rglob("*.py"))]
    chapters = [chapter(file) for file in modules if file.name != "__init__.py"]
    return "# API\n\nMade from the docstrings by agents/api_docs.py.\n" + "".join(chapters)


def chapter(file: Path) -> str:
    """Give the chapter of one module."""
    tree = ast.parse(file.read_text())
    parts = file.with_suffix("").parts
    name = ".".join(parts[parts.index("src") + 1 :] if "src" in parts else parts)
    return f"\n## {name}\n\n{summary(tree)}\n" + "".join(
        entry(node, "") for node in tree.body if public(node)
    )


def entry(node: ast.stmt, owner: str) -> str:
    """Give the lines of one function or class and, for a class, of its methods."""
    if isinstance(node, Function):
        returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
        title = f"{owner}{node.name}({ast.unparse(node.args)}){returns}"
        return f"\n- `{title}`: {summary(node)}"
    assert isinstance(node, ast.ClassDef)
    inside = [each for each in node.body if public(each) and isinstance(each, Function)]
    methods = "".join(entry(each, f"{node.name}.") for each in inside)
    return f"\n- `{node.name}`: {summary(node)}{methods}"


def public(node: ast.stmt) -> bool:
    """Say whether a statement defines something that belongs on the page."""
    return isinstance(node, Function | ast.ClassDef) and not node.name.startswith("_")


def summary(node: ast.Module | Function | ast.ClassDef) -> str:
    """Give the first line of a docstring."""
    return (ast.get_docstring(node) or "Undocumented.").splitlines()[0]


def main(words: list[str]) -> int:
    """Write or check the page."""
    check = "--check" in words
    target, *packages = [Path(word) for word in words if word != "--check"]
    text = page(packages) + "\n"
    if check:
        same = target.read_text() == text
        print(f"{target} is {'up to date' if same else 'not what the code says'}")
        return 0 if same else 1
    target.write_text(text)
    print(f"{target}: {text.count('- `')} entries")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
