"""What every git call of ours is given: a built environment and fixed settings."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

PATH: Final = "/usr/local/bin:/usr/bin:/bin"
SETTINGS: Final = tuple(
    word
    for setting in (
        "core.fsmonitor=false",
        "core.hooksPath=/dev/null",
        "core.attributesFile=/dev/null",
        "safe.bareRepository=explicit",
        "protocol.allow=never",
        "gc.auto=0",
        "maintenance.auto=false",
        "commit.gpgsign=false",
        "submodule.recurse=false",
        "diff.ignoreSubmodules=all",
        "core.protectHFS=true",
        "core.protectNTFS=true",
    )
    for word in ("-c", setting)
)
"""No hook, no monitor, no protocol, no upkeep, no lax path: whatever a configuration says."""


def pinned(
    empty: Path, *, name: str = "Factory", email: str = "factory@localhost"
) -> dict[str, str]:
    """Give the whole environment of a call; ``empty`` is an empty directory of ours."""
    return {
        "PATH": PATH,
        "HOME": str(empty),
        "LC_ALL": "C",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_LITERAL_PATHSPECS": "1",
        "GIT_AUTHOR_NAME": name,
        "GIT_AUTHOR_EMAIL": email,
        "GIT_COMMITTER_NAME": name,
        "GIT_COMMITTER_EMAIL": email,
    }


def personal(user: Mapping[str, str]) -> dict[str, str]:
    """Give what the user's own git adds: their variables, and their global configuration."""
    if "HOME" not in user:
        return dict(user)
    return {"GIT_CONFIG_GLOBAL": f"{user['HOME']}/.gitconfig", **user}


def listed(path: Path) -> str:
    """Give a path as an entry of a colon-separated list, quoted where it must be."""
    text = str(path)
    if not set(text) & set(':"\n'):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
