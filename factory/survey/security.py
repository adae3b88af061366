"""Which items look like security reports, and are set aside for a maintainer. Pure.

Whoever reports a hole may have said too much in public already: such an item goes into no prompt
and no text of ours. A needless look costs a person little; still, the word alone is no report: not
in a path, a name of code, a negation, or in the sentence of a template that says where to report.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Final

from factory.survey.values import Item

_LABEL: Final = re.compile(
    r"\b(?:security|vulnerabilit(?:y|ies)|vuln|cve|ghsa|exploit|embargo(?:ed)?)\b", re.IGNORECASE
)
_LABELLED_AWAY: Final = re.compile(
    r"\b(?:not?|non|isn'?t)\b.{0,8}\b(?:security|vuln)|security[-_ /]?(?:reviewed|hardening|docs)",
    re.IGNORECASE,
)
_ADVISORY: Final = re.compile(
    r"\bCVE-\d{4}-\d{4,}\b|\bGHSA(?:-[23456789cfghjmpqrvwx]{4}){3}\b|\b(?:PYSEC|RUSTSEC)-\d{4}-\d+",
    re.IGNORECASE,
)
_HELD: Final = (
    r"(?:credential|password|passphrase|private key|secret key|api key|access key|access token"
    r"|auth(?:orization)? (?:token|header)|bearer token|session (?:token|cookie)|secret)s?"
)
"""What is to be kept secret."""
_LEAKED: Final = (
    r"(?:leak(?:s|ed|ing|age)?|expos(?:e|es|ed|ing|ure)|disclos(?:e|es|ed|ing|ure)|exfiltrat\w+"
    r"|steal(?:s|ing)?|stolen)"
)
_GUARDED: Final = r"(?:authentication|authorization|auth|access control|login|2fa|mfa)"
_TOLD: Final[Mapping[str, tuple[str, ...]]] = {
    "names a way to run code": (
        r"\b(?:remote|arbitrary|unauthenticated)[ -](?:code|command)s? (?:execution|injection)",
        r"\b(?:execut\w+|run\w*) arbitrary (?:code|command|script|binar)",
    ),
    "names an injection": (
        r"\b(?:sql|shell|os command|command|code|template|ldap|header|crlf) injection\b",
        r"\b(?:path|directory) traversal\b",
        r"\bzip[ -]slip\b",
    ),
    "names a known class of holes": (
        r"\bcross[ -]site (?:scripting|request forgery)\b",
        r"\bserver[ -]side request forgery\b",
        r"\binsecure deserializ\w+|\bdeserializ\w+ (?:of )?untrusted\b",
        r"\bprototype pollution\b",
        r"\b(?:heap|stack|buffer)[ -](?:based )?(?:buffer )?overflow (?:attack|exploit|vuln)",
        r"\bman[ -]in[ -]the[ -]middle\b",
        r"\btiming attack\b",
    ),
    "names a way past a guard": (
        r"\bprivilege escalation\b|\bescalat\w+ (?:of )?privileges?\b",
        r"\bsandbox escape\b",
        rf"\b{_GUARDED} bypass\b|\bbypass(?:es|ed|ing)? (?:the )?{_GUARDED}\b",
    ),
    "tells of a secret that leaks": (
        rf"\b{_LEAKED} (?:[\w']+ ){{0,3}}{_HELD}\b",
        rf"\b{_HELD} (?:[\w']+ ){{0,3}}{_LEAKED}\b",
    ),
    "speaks of an attack": (
        r"\battackers?\b",
        r"\bexploit(?:s|ed|able|ation|ing)?\b(?! the (?:fact|cache|locality))",
        r"\b(?:0|zero)-?day\b",
        r"\bdenial[ -]of[ -]service\b",
        r"\bmalicious(?:ly)?\b",
    ),
    "calls itself a security report": (
        r"\bsecurity[ -](?:vulnerabilit|issue|bug|flaw|hole|report|advisor|problem|breach|risk)",
        r"\bsecurity[ -](?:incident|concern|defect|weakness|implication|disclosure)",
        r"\bvulnerabilit(?:y|ies)\b|\bvulnerable to\b",
        r"\b(?:responsible|coordinated) disclosure\b",
        r"\bCVEs?\b|\bCWE-?\d+",
    ),
}
_REPORTS: Final = tuple(
    (why, re.compile("|".join(patterns), re.IGNORECASE)) for why, patterns in _TOLD.items()
)
_WEAK: Final = re.compile(r"\b(?:RCE|XSS|CSRF|SSRF|SQLi|LFI|XXE|ReDoS|DoS|MITM|TOCTOU)\b")
"""Short names, written large: also what a guard against them is called."""
_GUARD: Final = re.compile(
    r"\b(?:guard|protect\w*|prevent\w*|polic(?:y|ies)|check(?:s|ed|ing)?|filter\w*|block(?:s|ed|ing)?"
    r"|token|header|middleware|allow-?list|mitigat\w*|cookie)\b",
    re.IGNORECASE,
)
_AWAY: Final = re.compile(
    r"\b(?:no|not|non|isn'?t|aren'?t|wasn'?t|without|never|neither|nor|unrelated to|rather than)\b"
    r"[^.;:!?]{0,40}$",
    re.IGNORECASE,
)
_TEMPLATE: Final = re.compile(
    r"\bif (?:this|you|it)\b|\bsearched\b|^\s*[-*] \[ \]"
    r"|\b(?:do not|don't|please|never) (?:report|open|file|disclose|use|email|post|include|share)\b"
    r"|\bsecurity (?:policy|team|@)|\breport(?:ed|ing)? (?:it )?(?:privately|to)\b",
    re.IGNORECASE,
)
_CODE: Final = re.compile(r"^(```|~~~).*?^\1[^\n]*$|`[^`\n]*`", re.DOTALL | re.MULTILINE)
_NAMES: Final = re.compile(
    r"\b\w{1,20}://\S+|(?<![\w.@~-])[\w.@~-]{0,200}/[\w./@~-]+|\b\w+(?:\.\w+)+|\b\w*_\w+|\b\w+\(\)|^>.*$",
    re.MULTILINE,
)
_SENTENCES: Final = re.compile(r"(?<=[.!?;])\s+|\n+")


def suspicion(item: Item, remarks: Iterable[str] = ()) -> str:
    """Say by which rule an item is set aside, in words that repeat none of its own; else empty."""
    if any(_LABEL.search(_spaced(label)) and not _away(label) for label in item.labels):
        return "bears a label of security"
    texts = (item.title, item.body, *remarks)
    if any(_ADVISORY.search(text) for text in texts):
        return "names an advisory"
    return next((why for text in texts if (why := _reported(text))), "")


def _spaced(label: str) -> str:
    return re.sub(r"[-_/:.]+", " ", label)


def _away(label: str) -> bool:
    return _LABELLED_AWAY.search(label) is not None


def _reported(text: str) -> str:
    """Say by which rule a text reports a hole; empty when it does not."""
    prose = _NAMES.sub(" ", _CODE.sub(" ", text))
    for sentence in _SENTENCES.split(prose):
        if _TEMPLATE.search(sentence):
            continue
        for why, pattern in _REPORTS:
            if _meant(pattern.finditer(sentence), sentence):
                return why
        if _meant(_WEAK.finditer(sentence), sentence) and not _GUARD.search(sentence):
            return "names a known class of holes"
    return ""


def _meant(found: Iterable[re.Match[str]], sentence: str) -> bool:
    return any(not _AWAY.search(sentence[: one.start()]) for one in found)
