"""Which test shows an item cured, and how that one test is run. Pure.

The names are made of numbers and of words that code chose: what an issue says is in none of them.
A runner that is not known here runs the repository's own tests, all of them.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from factory.strategy.values import Acceptance
from stations.contract import Argv
from worktrees.testfiles import is_test

_PYTEST: Final = "pytest"
_UNITTEST: Final = "unittest"
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{2,60}")
_FALLBACK: Final = ("python", "-m", "pytest", "-q")
_SUFFIXES: Final = {
    ".js": ".test.js",
    ".mjs": ".test.mjs",
    ".ts": ".test.ts",
    ".tsx": ".test.ts",
    ".rb": "_spec.rb",
    ".rs": ".rs",
    ".php": "Test.php",
    ".java": "Test.java",
    ".kt": "Test.kt",
    ".ex": "_test.exs",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Runner:
    """How the repository's tests are run: by a runner that can run one test, or only as a whole.

    ``whole`` is the repository's own command; ``suffix`` is that of most of its code.
    """

    kind: str
    whole: Argv
    suffix: str


def runner_of(commands: Iterable[Argv], tracked: Collection[str]) -> Runner:
    """Give the runner of a line's required test commands; of none, what its files speak for."""
    given = [words for words in commands if words]
    suffix = _most_used(tracked)
    for words in given:
        if _place(words, _PYTEST) is not None:
            return Runner(kind=_PYTEST, whole=words, suffix=".py")
        if _place(words, _UNITTEST) is not None:
            return Runner(kind=_UNITTEST, whole=words, suffix=".py")
        if words[:2] == ("go", "test"):
            return Runner(kind="go", whole=words, suffix=".go")
    if given:
        return Runner(kind="", whole=given[0], suffix=suffix)
    return Runner(kind=_PYTEST if suffix == ".py" else "", whole=_FALLBACK, suffix=suffix)


def acceptance(runner: Runner, file: str, number: int, *, name: str = "") -> Acceptance:
    """Give the test of an item in a test file; ``name`` are words for its name, from a model."""
    words = f"_{name}" if _NAME.fullmatch(name) else ""
    match runner.kind:
        case "pytest":
            test = f"{file}::test_issue_{number}{words}"
            return Acceptance(item=number, test_id=test, command=(*_head(runner.whole), test))
        case "unittest":
            module = file.removesuffix(".py").replace("/", ".")
            case = f"{module}.Issue{number}"
            head = (*_until(runner.whole, _UNITTEST), "-q")
            return Acceptance(item=number, test_id=f"{file}::Issue{number}", command=(*head, case))
        case "go":
            test = f"TestIssue{number}"
            directory = f"./{file.rpartition('/')[0]}"
            return Acceptance(
                item=number,
                test_id=f"{file}::{test}",
                command=("go", "test", "-count=1", "-run", f"^{test}$", directory),
            )
        case _:
            return Acceptance(item=number, test_id=file, command=runner.whole)


def existing(runner: Runner, file: str, number: int) -> Acceptance | None:
    """Give a test file that the repository has as what shows an item; None where it cannot run."""
    match runner.kind:
        case "pytest":
            return Acceptance(item=number, test_id=file, command=(*_head(runner.whole), file))
        case "unittest":
            module = file.removesuffix(".py").replace("/", ".")
            head = (*_until(runner.whole, _UNITTEST), "-q")
            return Acceptance(item=number, test_id=file, command=(*head, module))
        case "go":
            directory = f"./{file.rpartition('/')[0]}"
            command = ("go", "test", "-count=1", directory)
            return Acceptance(item=number, test_id=file, command=command)
        case _:
            return None


def file_of(test_id: str) -> str:
    """Give the file that a test lies in."""
    return test_id.partition("::")[0]


def test_file(
    runner: Runner,
    name: str,
    *,
    near: Sequence[str],
    tracked: Collection[str],
    allowed: Sequence[str],
    taken: Collection[str],
) -> str:
    """Give a new test file for a station, where its files' tests lie.

    ``allowed`` are directories that may be written, best first, where no test lies near; ``taken``
    are files that other stations make.
    """
    if runner.kind == "go":
        directory = next((path.rpartition("/")[0] for path in near if path.endswith(".go")), "")
    else:
        directory = _tests_near(near, tracked, allowed)
    stem = name.replace("-", "_")
    used = {*tracked, *taken}
    number = 1
    while True:
        more = "" if number == 1 else f"_{number}"
        path = f"{directory}/{_called(runner, f'{stem}_issues{more}')}".lstrip("/")
        if path not in used:
            return path
        number += 1


def _tests_near(near: Sequence[str], tracked: Collection[str], allowed: Sequence[str]) -> str:
    tests = [path for path in near if is_test(path)]
    tests = tests or sorted(path for path in tracked if is_test(path) and "/" in path)
    counts: dict[str, int] = {}
    for path in tests:
        directory = path.rpartition("/")[0]
        if not allowed or directory in allowed:
            counts[directory] = counts.get(directory, 0) + 1
    if counts:
        return min(counts, key=lambda one: (-counts[one], one.count("/"), one))
    return next(iter(allowed), "tests")


def _called(runner: Runner, stem: str) -> str:
    if runner.kind in {_PYTEST, _UNITTEST} or runner.suffix in {".py", ""}:
        return f"test_{stem}.py"
    if runner.kind == "go":
        return f"{stem}_test.go"
    if runner.suffix in {".java", ".kt", ".php"}:
        stem = "".join(word.capitalize() for word in stem.split("_"))
    return stem + _SUFFIXES.get(runner.suffix, f"_test{runner.suffix}")


def _head(words: Argv) -> Argv:
    """Give what starts pytest, without the paths and choices that its command may end with."""
    return (*_until(words, _PYTEST), "-q")


def _until(words: Argv, program: str) -> Argv:
    place = _place(words, program)
    return words if place is None else words[: place + 1]


def _place(words: Argv, program: str) -> int | None:
    for place, word in enumerate(words):
        if word.rpartition("/")[2] == program:
            return place
    return None


def _most_used(tracked: Collection[str]) -> str:
    counts: dict[str, int] = {}
    for path in tracked:
        name = path.rpartition("/")[2]
        if "." in name and (suffix := f".{name.rpartition('.')[2]}") in {*_SUFFIXES, ".py", ".go"}:
            counts[suffix] = counts.get(suffix, 0) + 1
    return min(counts, key=lambda one: (-counts[one], one)) if counts else ""
