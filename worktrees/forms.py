"""Forms: what a path and the target of a link may look like, and how text is made safe to print.

Pure. A path is whatever bytes an agent chose, on whatever file system a person checks them out.
"""

import re
import unicodedata
from typing import Final

from worktrees.texts import hidden

MOST_PATH: Final = 400
MOST_NAME: Final = 255
_SHORT_GIT: Final = re.compile(r"(?:git|gi[0-9a-f]{4})~\d+")


def text_of(path: bytes) -> str:
    """Give a path as text; bytes that are no UTF-8 become surrogates."""
    return path.decode("utf-8", "surrogateescape")


def misformed(path: bytes) -> str:
    """Say what is wrong with the form of a path, or give an empty string."""
    try:
        text = path.decode()
    except UnicodeDecodeError:
        return "is not UTF-8"
    if not path or len(path) > MOST_PATH:
        return f"is empty or longer than {MOST_PATH} bytes"
    if "\\" in text or "\t" in text:
        return "holds a backslash or a tab"
    unseen = hidden(text)
    if unseen:
        return f"holds the unseen character {unseen}"
    for name in text.split("/"):
        if name in {"", ".", ".."}:
            return "has an empty, . or .. part"
        if len(name.encode()) > MOST_NAME:
            return f"has a part longer than {MOST_NAME} bytes"
        if is_git(name):
            return "has a part that is or may become .git"
    return ""


def is_git(name: str) -> bool:
    """Say whether some file system takes this name for ``.git``."""
    shown = "".join(char for char in name if unicodedata.category(char) != "Cf")
    plain = unicodedata.normalize("NFKC", shown).casefold().split(":")[0].rstrip(". ")
    return plain == ".git" or _SHORT_GIT.fullmatch(plain) is not None


def resolved(path: bytes, target: bytes) -> str | None:
    """Give where a relative link points, by names alone; None when that is outside or unclear."""
    text = text_of(target)
    parts = text_of(path).split("/")[:-1]
    if not text or text.startswith("/") or hidden(text) or "\\" in text or not text.isprintable():
        return None
    for name in text.removesuffix("/").split("/"):
        if name == "" or is_git(name):
            return None
        if name == "..":
            if not parts:
                return None
            parts.pop()
        elif name != ".":
            parts.append(name)
    return "/".join(parts) or None


def fold(name: bytes) -> str:
    """Give the form that names share on file systems which fold case or composition."""
    return unicodedata.normalize("NFKC", text_of(name)).casefold()


def printable(text: str) -> str:
    """Give a text without any character that a terminal obeys or does not show, and not long."""
    safe = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
    return safe if len(safe) <= MOST_PATH else f"{safe[:MOST_PATH]}..."
