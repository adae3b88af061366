"""An agent of a cleanup station: reads how the tests failed, finds the place and mends it.

    python repair.py SOURCES TESTS_COMMAND...

It learns from the failing tail in its brief which tests failed, from their code which functions
they call, and from those which comparisons could be wrong at a boundary. It tries one operator
after another, runs the failing test on each, and keeps what makes it pass.
"""

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

NEIGHBOURS: dict[type[ast.cmpop], str] = {ast.Lt: "<=", ast.LtE: "<", ast.Gt: ">=", ast.GtE: ">"}
SIGNS: dict[type[ast.cmpop], str] = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">="}


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """One operator of a file that could be its neighbour instead."""

    file: Path
    line: int
    column: int
    old: str
    new: str

    def applied(self, source: str) -> str:
        """Give the source with the operator replaced."""
        lines = source.splitlines(keepends=True)
        text = lines[self.line - 1]
        lines[self.line - 1] = text[: self.column] + text[self.column :].replace(
            self.old, self.new, 1
        )
        return "".join(lines)


def failed(tail: str) -> list[tuple[Path, str]]:
    """Give the test files and the test functions that the tail of a pytest run names."""
    found = re.findall(r"^FAILED ([^\s:]+\.py)::(?:\w+::)*(\w+)", tail, re.MULTILINE)
    return list(dict.fromkeys((Path(file), name) for file, name in found))


def called(file: Path, test: str) -> set[str]:
    """Give the names that a test function calls."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.FunctionDef) and node.name == test:
            calls = [each.func for each in ast.walk(node) if isinstance(each, ast.Call)]
            return {
                f.id if isinstance(f, ast.Name) else f.attr
                for f in calls
                if isinstance(f, ast.Name | ast.Attribute)
            }
    return set()


def edits(sources: Path, names: set[str]) -> Iterator[Edit]:
    """Give every boundary that could be off by one in the functions of these names."""
    for file in sorted(sources.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.FunctionDef) and node.name in names:
                yield from boundaries(file, node)


def boundaries(file: Path, function: ast.FunctionDef) -> Iterator[Edit]:
    """Give the comparisons of one function, each with its neighbour."""
    for node in ast.walk(function):
        if isinstance(node, ast.Compare) and type(node.ops[0]) in NEIGHBOURS:
            kind = type(node.ops[0])
            end = node.left.end_col_offset or 0
            yield Edit(
                file=file,
                line=node.left.end_lineno or 0,
                column=end,
                old=SIGNS[kind],
                new=NEIGHBOURS[kind],
            )


def passes(command: list[str], tests: list[str]) -> bool:
    """Say whether the tests pass on the tree as it is."""
    # A byte-code file of the previous try would hide an edit of the same size and second.
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    return (
        subprocess.run(
            [*command, *tests], env=env, capture_output=True, timeout=120, check=False
        ).returncode
        == 0
    )


def main(words: list[str]) -> int:
    """Repair what the brief says has failed."""
    sources, *command = words
    tail = json.loads(Path(os.environ["FACTORY_BRIEF"]).read_text())["failure"]
    tests = failed(tail)
    print(
        "failed:",
        ", ".join(f"{file}::{name}" for file, name in tests) or "no test that the tail names",
    )
    for file, name in tests:
        if passes(command, [f"{file}::{name}"]):
            continue
        for edit in edits(Path(sources), called(file, name)):
            before = edit.file.read_text()
            edit.file.write_text(edit.applied(before))
            if passes(command, [f"{file}::{name}"]):
                print(f"{edit.file}:{edit.line}: {edit.old} is now {edit.new}; {name} passes")
                break
            edit.file.write_text(before)
        else:
            print(f"no boundary that {name} calls makes it pass")
            return 1
    return 0 if tests and passes(command, sorted({str(file) for file, _ in tests})) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
