"""Security reports are set aside; the word alone is none."""

import pytest

from factory.survey.security import suspicion
from tests.survey.scenes import ITEMS, item

REPORTS = (
    ("Crash", "This is CVE-2024-12345 all over again."),
    ("Crash", "see GHSA-2c4h-7pmr-8xqg"),
    ("RCE through the config loader", ""),
    ("Config loader allows arbitrary code execution", ""),
    ("Crafted archive", "A crafted zip leads to path traversal outside of the target."),
    ("Header handling", "An attacker can add headers of their own."),
    ("Debug log", "The debug log leaks the user's access tokens."),
    ("Password is exposed in the process list", ""),
    ("Login", "Found an authentication bypass when the cookie is empty."),
    ("Possible XSS in the report page", ""),
    ("Regex hangs", "It can be exploited by a long line."),
    ("Security vulnerability in the proxy", ""),
    ("Big header", "A denial of service with one request."),
)
OTHERS = (
    ("Not a security issue: the banner is ugly", ""),
    ("Import fails", "ImportError in src/security/attackers.py, see security/exploit.md"),
    ("SecurityManager is deprecated", "java.security.AccessControlException: denied"),
    ("Crash on start", "- [ ] This is a security vulnerability\n- [x] I searched for others"),
    ("Crash on start", "If this is a security vulnerability, write to the maintainers."),
    ("Crash on start", "Please do not report security vulnerabilities here. It crashes."),
    ("Docs", "Our security policy is linked twice."),
    ("SSRF guard blocks the local proxy", "The SSRF check refuses 127.0.0.1."),
    ("CSRF token is missing in the form", ""),
    ("Memory leak in the pool", "It leaks connections and grows."),
    ("Token bucket is unfair", "The limiter's tokens are exposed as a metric."),
    ("Add a security section to the handbook", "`exploit()` is only a name there."),
    ("Works without any vulnerability", ""),
    ("Quoted mail", "> attacker says hello\nAll is well."),
)


@pytest.mark.parametrize(("title", "body"), REPORTS)
def test_a_report_is_set_aside(title: str, body: str) -> None:
    """An advisory, an attack, a leak or a hole by its name is enough, and the rule repeats none."""
    why = suspicion(item(1, title, body))

    assert why
    assert not set(why.split()) & {"CVE-2024-12345", "GHSA-2c4h-7pmr-8xqg", "config", "archive"}


@pytest.mark.parametrize(("title", "body"), OTHERS)
def test_the_word_alone_sets_nothing_aside(title: str, body: str) -> None:
    """Paths, names of code, negations, templates and guards are no reports."""
    assert suspicion(item(1, title, body)) == ""


@pytest.mark.parametrize("label", ["security", "Type: Security", "kind/vulnerability", "CVE"])
def test_a_label_sets_aside(label: str) -> None:
    """Who put the label there has judged."""
    assert suspicion(item(1, "Crash", labels=("bug", label))) == "bears a label of security"


@pytest.mark.parametrize(
    "label", ["not security", "securities", "non-security", "good first issue"]
)
def test_other_labels_do_not(label: str) -> None:
    """A label that says the opposite, or only begins alike, is none."""
    assert suspicion(item(1, "Crash", labels=(label,))) == ""


def test_comments_count_too() -> None:
    """A report may become one in its comments."""
    assert suspicion(item(1, "Crash"), ["Is this CVE-2023-1111?"]) == "names an advisory"


def test_ordinary_items_are_left_alone() -> None:
    """None of a set of plain bug reports is taken for one."""
    assert [one.number for one in ITEMS if suspicion(one)] == []
