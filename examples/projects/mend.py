"""The agent of the example projects: does the one mechanical task that its brief names.

The brief's last line says which: `mend: ruff RULES`, `mend: ruff-unsafe RULES`, `mend: format`,
`mend: pyupgrade`, `mend: returns` (a libcst codemod: tests are annotated to return None) or
`mend: obsolete` (drops dead entries from translation catalogues). The paths are the job's scope.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import libcst as cst
import libcst.matchers as m

PROGRAMS = Path(sys.executable).parent


def files(patterns: list[str]) -> list[Path]:
    """Give the files of a scope made of file names and `directory/**`."""
    found: list[Path] = []
    for pattern in patterns:
        path = Path(pattern.removesuffix("/**"))
        found += sorted(path.rglob("*")) if path.is_dir() else [path]
    return [path for path in found if path.is_file()]


def tool(*words: str | Path) -> None:
    """Run a program of the shared environment; its failure is ours."""
    subprocess.run([PROGRAMS / words[0], *words[1:]], check=True, timeout=300)


def ruff(rules: str, paths: list[Path], *more: str) -> None:
    """Apply the fixes of these rules; what cannot be fixed is left for a person."""
    common = ("--isolated", "--no-cache", "--exit-zero", "--quiet", "--target-version=py310")
    tool("ruff", "check", *common, "--fix", *more, f"--select={rules}", *paths)


def returning_none(source: str) -> str:
    """Give the source with `-> None` on test functions that say nothing of what they return."""
    tests = m.FunctionDef(name=m.Name(m.MatchRegex("test_.*")), returns=None)

    def annotated(node: cst.CSTNode, _: object) -> cst.CSTNode:
        return node.with_changes(returns=cst.Annotation(cst.Name("None")))

    after = m.replace(cst.parse_module(source), tests, annotated)
    assert isinstance(after, cst.Module)
    return after.code


def without_obsolete(source: str) -> str:
    """Give a translation catalogue without its `#~` entries."""
    return re.sub(r"(?:^#~.*\n)+\n*", "", source, flags=re.MULTILINE).rstrip("\n") + "\n"


def main() -> int:
    """Do what the brief's last line names."""
    brief = json.loads(Path(os.environ["FACTORY_BRIEF"]).read_text())
    found = re.search(r"^mend: ([a-z-]+) ?(\S*)$", brief["brief"], re.MULTILINE)
    if found is None:
        print("the brief has no line `mend: TASK`")
        return 2
    task, rules = found.groups()
    paths = files(brief["scope"])
    python = [path for path in paths if path.suffix in {".py", ".pyi"}]
    if task == "ruff":
        ruff(rules, python)
    elif task == "ruff-unsafe":
        ruff(rules, python, "--unsafe-fixes")
    elif task == "format":
        tool("ruff", "format", "--isolated", "--no-cache", "--quiet", *python)
    elif task == "pyupgrade":
        tool("pyupgrade", "--py310-plus", "--exit-zero-even-if-changed", *python)
    elif task == "returns":
        for path in python:
            path.write_text(returning_none(path.read_text()))
    elif task == "obsolete":
        for path in paths:
            if path.suffix == ".po":
                path.write_text(without_obsolete(path.read_text()))
    else:
        print(f"there is no task {task}")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
