"""Permissions: what an agent that asks first is told. It guides; the sandbox is what holds."""

import posixpath
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from stations.contract import Argv
from worktrees.scope import Scope

Deed = Literal["read", "write", "run", "fetch", "other"]
_SHELL: Final = frozenset(";&|<>$`(){}\n\\")
_SHELLS: Final = frozenset({"sh", "bash", "/bin/sh", "/bin/bash"})
_MOST: Final = 12
_PATH: Final = 4_096


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """Something an agent asks leave for: what it does, to which paths, by which command."""

    deed: Deed
    paths: tuple[str, ...] = ()
    command: str | tuple[str, ...] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What may be done: ``place`` is where the tree stands; ``also`` may be written beside it."""

    place: str
    scope: Scope
    commands: tuple[Argv, ...] = ()
    also: tuple[str, ...] = ()

    @property
    def globs(self) -> str:
        """Name the scope in a few words."""
        write = self.scope.write
        more = f" and {len(write) - _MOST} more" if len(write) > _MOST else ""
        return (", ".join(write[:_MOST]) or "nothing") + more


def refusal(wish: Wish, rules: Rules) -> str:
    """Say why a wish is refused, with what is allowed instead; empty when it is granted."""
    match wish.deed:
        case "read":
            return ""
        case "fetch":
            return "there is no network here"
        case "run":
            return _run(wish.command, rules)
        case "write" | "other":
            if not wish.paths:
                return f"it does not say which file it changes; the scope is {rules.globs}"
            refused = [path for path in wish.paths if not _writable(path, rules)]
            return f"{refused[0][:200]} is outside the scope {rules.globs}" if refused else ""


def _writable(path: str, rules: Rules) -> bool:
    if len(path) > _PATH or "\0" in path:
        return False
    full = posixpath.normpath(posixpath.join(rules.place, path))
    if full == rules.place:
        return False
    if not full.startswith(f"{rules.place}/"):
        return any(full == one or full.startswith(f"{one}/") for one in rules.also)
    inside = full[len(rules.place) + 1 :]
    private = any(part.casefold() == ".git" for part in inside.split("/"))
    return not private and rules.scope.allows(inside)


def _run(command: str | tuple[str, ...], rules: Rules) -> str:
    words = _words(command, rules.place)
    if words and any(tuple(words[: len(one)]) == one for one in rules.commands):
        return ""
    allowed = "; ".join(shlex.join(one) for one in rules.commands[:_MOST]) or "none"
    return f"this command is not one of those that may be run ({allowed})"


def _words(command: str | tuple[str, ...], place: str) -> Sequence[str]:
    """Give a command as words; none when a shell would make more of it than one program."""
    if not isinstance(command, str):
        if len(command) == 3 and command[0] in _SHELLS and command[1] in {"-c", "-lc"}:  # noqa: PLR2004
            return _words(command[2], place)
        return command
    line = command.strip().removeprefix(f"cd {place} && ")
    if _SHELL & set(line):
        return ()
    try:
        return shlex.split(line)
    except ValueError:
        return ()
