"""Skills of a repository: SKILL.md files, offered by name and description, shown when asked for.

They are written by whoever writes to the repository: hostile text that is judged and cut.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

_NAME: Final = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_KEY: Final = re.compile(r"([a-z][a-z-]*):\s*(.*)")
_NAME_CHARACTERS: Final = 64
_DESCRIPTION_CHARACTERS: Final = 1_024
_COMPATIBILITY_CHARACTERS: Final = 500
_MOST: Final = 40
_PLACES: Final = (".agents/skills/", ".claude/skills/")


@dataclass(frozen=True, slots=True, kw_only=True)
class Skill:
    """One skill: what it is for, and the file that holds it."""

    name: str
    description: str
    path: str


def skills(files: Iterable[tuple[str, str]]) -> tuple[Skill, ...]:
    """Give the valid skills among files (path, first part of the text), each name once.

    One whose frontmatter is not as the format says is left out: it is no error of the job.
    """
    found: dict[str, Skill] = {}
    for path, text in files:
        skill = _skill(path, text)
        if skill is not None and len(found) < _MOST:
            found.setdefault(skill.name, skill)
    return tuple(found[name] for name in sorted(found))


def body(text: str) -> str:
    """Give a skill's text without its frontmatter."""
    lines = text.splitlines(keepends=True)
    closed = _end(lines)
    return "".join(lines[closed + 1 :]).strip() if closed else text.strip()


def _skill(path: str, text: str) -> Skill | None:
    folder = path.rpartition("/")[0]
    if not any(f"/{place}" in f"/{path}" for place in _PLACES):
        return None
    lines = text.splitlines()
    closed = _end(lines)
    if not closed:
        return None
    given = _frontmatter(lines[1:closed])
    name, description = given.get("name", ""), given.get("description", "")
    valid = (
        len(name) <= _NAME_CHARACTERS
        and _NAME.fullmatch(name) is not None
        and name == folder.rpartition("/")[2]
        and 0 < len(description) <= _DESCRIPTION_CHARACTERS
        and len(given.get("compatibility", "")) <= _COMPATIBILITY_CHARACTERS
    )
    return Skill(name=name, description=description, path=path) if valid else None


def _end(lines: list[str]) -> int:
    """Give the place of the line that closes the frontmatter; 0 when there is none."""
    if not lines or lines[0].strip() != "---":
        return 0
    return next((n for n, line in enumerate(lines[1:], 1) if line.strip() == "---"), 0)


def _frontmatter(lines: list[str]) -> dict[str, str]:
    """Read the plain texts of the top level, also folded ones; whatever else YAML can is nothing.

    A value that goes on is indented; one that begins with ``>`` or ``|`` has all its text there.
    """
    given: dict[str, str] = {}
    key = ""
    for line in lines:
        if (match := _KEY.match(line)) is not None:
            key = match[1]
            value = match[2].strip()
            given[key] = "" if value in {">", "|", ">-", "|-"} else _unquoted(value)
        elif key and line[:1].isspace() and line.strip():
            given[key] = f"{given[key]} {line.strip()}".strip()
    return {key: _printable(value) for key, value in given.items()}


def _unquoted(value: str) -> str:
    quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
    return value[1:-1] if quoted else value


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)
