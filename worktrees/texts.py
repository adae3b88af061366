"""Texts: what no added line may hold (characters that hide, secrets), and what is worth a warning.

Pure. Only added lines are looked at: text that a repository already has may be as it is. What a
secret pattern found is never repeated.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from math import log2
from typing import Final

HIDING: Final = (
    "\u202a-\u202e\u2066-\u2069\u200b-\u200f\u2060-\u2064\ufeff\u061c\u180e\u2028\u2029"
    "\U000e0000-\U000e007f\U000e0100-\U000e01ef"
)
"""Bidi, zero-width and tag characters, as the inside of a character class."""
_CONTROLS: Final = "\x00-\x08\x0a-\x1f\x7f-\x9f"
_UNSEEN: Final = re.compile(f"[{HIDING}{_CONTROLS}]")
_UNDECODED: Final = re.compile("[\udc80-\udcff]")
_JOINER: Final = "\u200d"
_WORD: Final = re.compile(r"\w+")
_SCRIPTS: Final = (
    ("Latin", re.compile("[A-Za-z\u00c0-\u024f]")),
    ("Greek", re.compile("[\u0370-\u03ff]")),
    ("Cyrillic", re.compile("[\u0400-\u052f]")),
    ("Armenian", re.compile("[\u0530-\u058f]")),
    ("Cherokee", re.compile("[\u13a0-\u13ff]")),
    ("fullwidth", re.compile("[\uff21-\uff3a\uff41-\uff5a]")),
)
_TEXT_NAMES: Final = re.compile(
    r"(?:^|/)(?:[a-z]+file|readme|license|[^/]*\.(?:[chmrv]|cc|cpp|cxx|hpp|hh|mm|cs|css|scss|sass|"
    r"less|go|html?|java|[cm]?jsx?|[cm]?tsx?|json5?|jsonc|ipynb|kts?|lua|mdx?|mk|php|p[lm]|py[iwx]?|"
    r"rb|erb|rs|rst|scala|groovy|clj|jl|zig|nim|sh|bash|zsh|ksh|fish|bats|ps1|psm1|bat|cmd|vbs|sql|"
    r"swift|toml|txt|xml|svg|ya?ml|cfg|conf|ini|env|properties|cmake|vue|svelte|hbs|ejs|tpl|j2|"
    r"exs?|erl|hs|ml|dart|tf|proto|graphql|gradle))$",
    re.IGNORECASE,
)
_SECRETS: Final = (
    ("an AWS access key", r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    ("an AWS secret key", r"(?i:aws.{0,24}secret.{0,24}[=:]\s*['\"]?)[A-Za-z0-9/+]{40}(?![\w/+])"),
    ("a GitHub token", r"\bgh[pousr]_[A-Za-z0-9]{36,}|\bgithub_pat_[A-Za-z0-9_]{40,}"),
    ("a GitLab token", r"\bgl(?:pat|dt|rt|ptt)-[A-Za-z0-9_-]{20,}"),
    ("a Slack token", r"\bxox[abeoprs]-[A-Za-z0-9-]{12,}|hooks\.slack\.com/services/T\w+/B\w+/\w+"),
    ("a private key", r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----"),
    ("a model provider's key", r"\bsk-ant-[\w-]{20,}|\bsk-(?:proj-|svcacct-)?[A-Za-z0-9_]{32,}\b"),
    ("a Google key", r"\bAIza[0-9A-Za-z_-]{35}(?![\w-])|\bya29\.[\w-]{30,}"),
    ("a Stripe key", r"\b[rs]k_live_[0-9A-Za-z]{16,}"),
    ("a registry token", r"\bnpm_[A-Za-z0-9]{36}\b|\bpypi-AgE[\w-]{50,}|\bdckr_pat_[\w-]{20,}"),
    ("a signed web token", r"\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}"),
)
_KNOWN: Final = re.compile("|".join(f"(?P<s{n}>{one})" for n, (_, one) in enumerate(_SECRETS)))
_ASSIGNED: Final = re.compile(
    r"(?i:api_?-?key|secret|token|passw(?:or)?d|credential)[\w\"'\]]{0,16}\s*[:=]+\s*"
    r"[\"']([\w+/=.~-]{24,200})[\"']"
)
_LOGIN: Final = re.compile(r"\b[a-z][a-z0-9+.-]{1,20}://[^\s/:@\"']{1,64}:([^\s/:@\"'{}$<>]{12,})@")
_RANDOM_BITS: Final = 3.8
"""Entropy per character from which a value looks drawn by chance; words stay below."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AddedLine:
    """One line that a change adds; bytes that are no UTF-8 are surrogates."""

    path: bytes
    number: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """What is wrong with one added line; a grave one refuses the change."""

    path: bytes
    why: str
    grave: bool


def remarks(added: Iterable[AddedLine], *, most: int = 100) -> tuple[Remark, ...]:
    """Give what the added lines must not hold, about so many of each file, in their order."""
    found: list[Remark] = []
    for path, group in groupby(added, key=lambda line: line.path):
        lines = list(group)
        binary = _is_binary(path, lines)
        grave = slight = 0
        for line in lines:
            for remark in _of_line(line, binary=binary):
                grave += remark.grave
                slight += not remark.grave
                # Remarks must not fill up the place of what is grave.
                if remark.grave or slight <= most:
                    found.append(remark)
            if grave >= most:
                break
    return tuple(found)


def hidden(text: str) -> str:
    """Name the first character that does not show, or give an empty string."""
    match = _UNSEEN.search(text)
    return _named(match.group()) if match else ""


def _is_binary(path: bytes, lines: list[AddedLine]) -> bool:
    """Say whether a file is data; what is called like a text never is.

    A name without a dot may be a program: that is data only when it begins as such.
    """
    name = path.decode("utf-8", "replace")
    if _TEXT_NAMES.search(name) or lines[0].text.startswith("#!"):
        return False
    if "." not in name.rpartition("/")[2]:
        return lines[0].number == 1 and _is_data(lines[0].text[:8000])
    return any(_is_data(line.text) for line in lines)


def _is_data(text: str) -> bool:
    return "\0" in text or bool(_UNDECODED.search(text) and _UNSEEN.search(text))


def _of_line(line: AddedLine, *, binary: bool) -> list[Remark]:
    found: list[Remark] = []
    if not binary:
        unseen = _unseen(line)
        if unseen:
            why = f"line {line.number} holds the unseen character {unseen}"
            found.append(Remark(path=line.path, why=why, grave=True))
        if not line.text.isascii():
            found += _mixed(line)
    secret = _secret(line.text)
    if secret:
        why = f"line {line.number} looks like it holds {secret}"
        found.append(Remark(path=line.path, why=why, grave=True))
    return found


def _unseen(line: AddedLine) -> str:
    # The end of a CRLF line, and the mark that some editors put before the first one.
    text = line.text.removesuffix("\r")
    if line.number == 1:
        text = text.removeprefix("\ufeff")
    for match in _UNSEEN.finditer(text):
        start, end = match.span()
        before, after = text[start - 1 : start], text[end : end + 1]
        if match.group() == _JOINER and _is_picture(before) and _is_picture(after):
            continue
        return _named(match.group())
    return ""


def _is_picture(char: str) -> bool:
    return char != "" and (char == "\ufe0f" or "\u2190" <= char <= "\u2bff" or char >= "\U0001f000")


def _named(char: str) -> str:
    return f"U+{ord(char):04X}"


def _mixed(line: AddedLine) -> list[Remark]:
    for word in _WORD.findall(line.text):
        if word.isascii():
            continue
        scripts = [name for name, letters in _SCRIPTS if letters.search(word)]
        if len(scripts) > 1:
            why = f"line {line.number} mixes {' and '.join(scripts)} letters in one word"
            return [Remark(path=line.path, why=why, grave=False)]
    return []


def _secret(text: str) -> str:
    match = _KNOWN.search(text)
    if match and match.lastgroup:
        return _SECRETS[int(match.lastgroup[1:])][0]
    for what, pattern in (("a secret value", _ASSIGNED), ("a password in an address", _LOGIN)):
        match = pattern.search(text)
        if match and _looks_random(match.group(1)):
            return what
    return ""


def _looks_random(value: str) -> bool:
    kinds: Mapping[str, bool] = {
        "digit": any(char.isdigit() for char in value),
        "upper": any(char.isupper() for char in value),
        "lower": any(char.islower() for char in value),
    }
    if not all(kinds.values()):
        return False
    counts = [value.count(char) / len(value) for char in set(value)]
    return -sum(part * log2(part) for part in counts) >= min(_RANDOM_BITS, log2(len(value)) * 0.85)
