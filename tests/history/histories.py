"""Histories for tests: real commits of known files, made by one call of git."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from tests.run import run

Step = Mapping[str, str | None]
"""What a commit does: the text of each file it changes, None for one that goes."""


def grow(path: Path, steps: Iterable[Step], *, moves: Mapping[int, Mapping[str, str]] = {}) -> Path:
    """Make a repository with a commit for each step on main, and give its checkout.

    ``moves`` are the renames of a step, from the old path to the new one, before its files.
    """
    run(["git", "init", "-q", "-b", "main", str(path)])
    told: list[bytes] = []
    for number, step in enumerate(steps):
        told.append(
            f"commit refs/heads/main\ncommitter T <t@example.org> {1_700_000_000 + number} +0000\n"
            f"data 1\n.\n".encode()
        )
        told += [
            f"R {quoted(old)} {quoted(new)}\n".encode("utf-8", "surrogateescape")
            for old, new in moves.get(number, {}).items()
        ]
        for name, text in step.items():
            written = quoted(name).encode("utf-8", "surrogateescape")
            if text is None:
                told.append(b"D " + written + b"\n")
                continue
            data = text.encode("utf-8", "surrogateescape")
            told.append(b"M 100644 inline " + written + b"\n")
            told.append(b"data %d\n" % len(data) + data + b"\n")
        told.append(b"\n")
    run(["git", "fast-import", "--quiet"], cwd=path, stdin=b"".join(told))
    run(["git", "reset", "-q", "--hard", "main"], cwd=path)
    return path


def quoted(path: str) -> str:
    """Give a path as fast-import reads it."""
    escaped = path.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def touches(groups: Sequence[Sequence[str]]) -> list[Step]:
    """Give steps that change these groups of files, each to a text it never had."""
    return [
        {path: f"{path}\nthe {number}th text\n" + "same\n" * 20 for path in group}
        for number, group in enumerate(groups)
    ]


def planted(parts: int, *, rounds: int, across: int = 23) -> list[tuple[str, ...]]:
    """Give groups of files of a repository of parts: each part's code changes with its tests.

    Every ``across``-th change needs two parts.
    """
    groups: list[tuple[str, ...]] = []
    for number in range(parts * rounds):
        part = f"part{number % parts}"
        turn = number // parts % 3
        files = [f"src/app/{part}/m{each}.py" for each in {turn, (turn + 1) % 3}]
        files.append(f"tests/{part}/test_m{turn}.py")
        if number % across == across - 1:
            files.append(f"src/app/part{(number + 1) % parts}/m0.py")
        groups.append(tuple(sorted(files)))
    return groups
