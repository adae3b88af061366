"""How values are said in words: durations, numbers, and text of agents made harmless.

What an agent wrote may hold escape sequences, bidirectional overrides and secrets; whatever is
shown to a person goes through `clean` or `block`, and through `masked` when it may hold secrets.
"""

import re
import unicodedata
from collections.abc import Iterable
from typing import Final

_SECRETS: Final = re.compile(
    r"""
    (?P<key>sk-[A-Za-z0-9_-]{16,} | sk_(?:live|test)_[A-Za-z0-9]{16,}
      | gh[pousr]_[A-Za-z0-9]{20,} | github_pat_[A-Za-z0-9_]{20,} | glpat-[A-Za-z0-9_-]{16,}
      | xox[abeoprs]-[A-Za-z0-9-]{10,} | (?:AKIA|ASIA)[0-9A-Z]{16} | AIza[0-9A-Za-z_-]{30,}
      | npm_[A-Za-z0-9]{30,} | pypi-[A-Za-z0-9_-]{30,} | hf_[A-Za-z0-9]{30,}
      | eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]*)
    | (?P<block>-----BEGIN\ [A-Z ]*PRIVATE\ KEY-----.*?(?:-----END\ [A-Z ]*PRIVATE\ KEY-----|\Z))
    | (?P<login>(?<=://)[^\s/:@"']+:[^\s/@"']+(?=@))
    | (?P<bearer>(?i:(?<=bearer\ )|(?<=basic\ ))[A-Za-z0-9._~+/=-]{12,})
    | (?P<named>(?i:(?<!/)\b[\w-]{0,64}
      (?:api[_-]?key|token|secret|passw(?:or)?d|credential)[\w-]{0,32})
      ["']?\s*[=:]\s*["']?)(?P<value>[A-Za-z0-9._~+/=-]{8,})
    """,
    re.VERBOSE | re.DOTALL,
)
_KEY: Final = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")
_STRONG: Final = re.compile(
    r"^E\s|\bFAILED\b|\b[A-Z]\w*(?:Error|Exception)\b|\berror\b|\bfatal:|assert", re.IGNORECASE
)
_NOISE: Final = re.compile(r"^[\s=_.~*#-]*$|^=+ .* =+$|^_+ .* _+$")
_SHORT: Final = 60.0
_HOUR: Final = 3600.0


def clean(text: str) -> str:
    """Give a text as one line in which nothing can move the cursor or turn the reading order."""
    return "".join(_harmless(c) for c in " ".join(text.split()))


def block(text: str) -> str:
    """Give a text of several lines, each made harmless like `clean` does; the lines stay."""
    lines = text.expandtabs(4).replace("\r\n", "\n").split("\n")
    return "\n".join("".join(_harmless(c) for c in line) for line in lines)


def _harmless(char: str) -> str:
    if char.isprintable():
        return char
    if char.isspace():
        return " "
    if unicodedata.category(char) == "Cc":
        return f"\\x{ord(char):02x}"
    return "\N{REPLACEMENT CHARACTER}"


def masked(text: str) -> str:
    """Give a text in which whatever looks like a secret is three stars."""
    return _SECRETS.sub(lambda found: f"{found['named'] or ''}***", text)


class Curtain:
    """Masks secrets line by line, a private key over all its lines."""

    def __init__(self) -> None:
        self._inside = False

    def draw(self, line: str) -> str:
        """Give the next line with three stars for whatever looks like a secret."""
        if self._inside:
            self._inside = "-----END " not in line
            return "***"
        shown = masked(line)
        self._inside = bool(_KEY.search(line)) and "-----END " not in line
        return shown


def cut(text: str, width: int) -> str:
    """Give a text of at most ``width`` characters; what was left out shows as an ellipsis."""
    return text if len(text) <= width else text[: max(0, width - 1)] + "\N{HORIZONTAL ELLIPSIS}"


def span(seconds: float) -> str:
    """Give a duration as people say it: ``3.2 s``, ``4 min 10 s``, ``2 h 05 min``."""
    if seconds < _SHORT:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"  # noqa: PLR2004
    if seconds < _HOUR:
        return f"{int(seconds // 60)} min {int(seconds % 60):02} s"
    return f"{int(seconds // 3600)} h {int(seconds % 3600 // 60):02} min"


def count(number: int, one: str, many: str = "") -> str:
    """Give a number with its noun: ``1 job``, ``3 jobs``."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def listed(names: Iterable[str], *, most: int = 6) -> str:
    """Give names with commas, and how many more there are."""
    every = list(names)
    rest = len(every) - most
    return ", ".join(every[:most]) + (f" and {rest} more" if rest > 0 else "")


def failing(tail: str, *, most: int = 3) -> tuple[str, ...]:
    """Give the first lines of a failure that say what failed; its last lines when none does."""
    lines = [clean(line) for line in masked(tail).splitlines() if not _NOISE.match(line)]
    strong = [line for line in lines if _STRONG.search(line)]
    return tuple((strong or lines[-most:])[:most])
