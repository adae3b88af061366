"""What a text names of a repository: tracked files, errors, symbols. Pure.

The text is anybody's: a path counts only when it means exactly one tracked file.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

_READ: Final = 20_000
_PATH: Final = re.compile(
    r"(?<![\w.@+~-])[\w.@+~-]{0,200}(?:[/\\][\w.@+~-]{1,200}){1,40}"
    r"|(?<![\w@.-])[\w-]{1,100}(?:\.[\w-]{1,100}){1,8}\b"
)
_ERROR: Final = re.compile(
    r"\b(?:[A-Za-z_][\w.]{0,80}\.)?"
    r"([A-Z][A-Za-z0-9]{0,60}(?:Error|Exception|Failure|Timeout|Panic|Fault))\b"
    r"(?:: ?([^\n]{1,160}))?"
)
_FATAL: Final = re.compile(
    r"^\W{0,3}(error|fatal|panic)(?:\[\w+\])?: ?([^\n]{6,160})", re.IGNORECASE | re.MULTILINE
)
_NUMBERED: Final = re.compile(r"\bE[A-Z]{4,14}\b")
_VARIES: Final = re.compile(r"""'[^']*'|"[^"]*"|`[^`]*`|\S*[/\\]\S*|\S*\d\S*""")
_WORDS: Final = 6
_CODE: Final = re.compile(r"`([A-Za-z_][\w.:]{2,60})(?:\([^`)]{0,40}\))?`")
_IDENTIFIER: Final = re.compile(
    r"\b(?:[A-Za-z]\w*_\w+|[a-z][a-z0-9]*[A-Z]\w+|[A-Z][a-z0-9]+[A-Z]\w+)\b"
)


@dataclass(frozen=True, slots=True)
class Tracked:
    """The tracked files of a repository, found by what people write of their paths."""

    names: Mapping[str, tuple[str, ...]]

    def meant(self, word: str) -> str:
        """Give the one file that a word means; empty when it means none or several."""
        bare = word.replace("\\", "/").strip("./")
        known = self.names.get(_last(bare), ())
        if bare in known:
            return bare
        fits = [
            path for path in known if f"/{path}".endswith(f"/{bare}") or bare.endswith(f"/{path}")
        ]
        return fits[0] if len(fits) == 1 else ""


def tracked(paths: Iterable[str]) -> Tracked:
    """Give tracked files so that they can be looked for."""
    names: dict[str, list[str]] = {}
    for path in paths:
        names.setdefault(_last(path), []).append(path)
    return Tracked({name: tuple(found) for name, found in names.items()})


def files(text: str, known: Tracked) -> tuple[str, ...]:
    """Give the tracked files that a text names, in its order."""
    found = (known.meant(word[0]) for word in _PATH.finditer(text[:_READ]))
    return tuple(dict.fromkeys(path for path in found if path))


def errors(text: str) -> tuple[str, ...]:
    """Give the errors that a text shows: their kind and what they begin with, without values."""
    shown = text[:_READ]
    found = [_signature(one[1], one[2] or "") for one in _ERROR.finditer(shown)]
    found += [_signature(one[1].lower(), one[2]) for one in _FATAL.finditer(shown)]
    return tuple(dict.fromkeys([*found, *_NUMBERED.findall(shown)]))


def symbols(text: str, *, besides: Collection[str] = ()) -> tuple[str, ...]:
    """Give the names of code that a text holds, but for those that are known as other things."""
    shown = text[:_READ]
    found = [*_CODE.findall(shown), *_IDENTIFIER.findall(shown)]
    return tuple(dict.fromkeys(one for one in found if one not in besides))


def _last(path: str) -> str:
    return path.rpartition("/")[2]


def _signature(kind: str, said: str) -> str:
    words = " ".join(_VARIES.sub("*", said).split()[:_WORDS]).rstrip(" .,:;")
    return f"{kind}: {words}" if words.strip("* ") else kind
