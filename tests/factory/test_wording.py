"""The wording: durations and lists as people say them, harmless text, masked secrets."""

import re

import pytest

from factory.wording import Curtain, block, clean, count, cut, failing, listed, masked, span

TOKEN = "ghp_" + "a1B2" * 9


def test_texts_are_cleaned_to_one_line_or_kept_as_lines() -> None:
    """`clean` makes one line of anything; `block` keeps lines and what tells them apart."""
    assert clean(" a\tb\r\nc\x00d\u2028e ") == "a b c\\x00d e"
    assert block("a\tb\r\nc\x1b[1m\u200bd") == "a   b\nc\\x1b[1m\N{REPLACEMENT CHARACTER}d"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        *((0, "0.0 s"), (3.21, "3.2 s"), (9.96, "10 s"), (59.4, "59 s"), (61, "1 min 01 s")),
        *((3599.9, "59 min 59 s"), (7500, "2 h 05 min")),
    ],
)
def test_durations_are_said_as_people_do(seconds: float, said: str) -> None:
    """Seconds get a decimal where it matters; minutes and hours are named."""
    assert span(seconds) == said


def test_numbers_and_names_are_said_as_people_do() -> None:
    """One job, two jobs; a long list ends with how many more there are."""
    assert (count(1, "job"), count(2, "job"), count(2, "try", "tries")) == (
        "1 job",
        "2 jobs",
        "2 tries",
    )
    assert listed("abcdefgh", most=3) == "a, b, c and 5 more"
    assert cut("abcdef", 4) == "abc\N{HORIZONTAL ELLIPSIS}"


@pytest.mark.parametrize(
    "text",
    [
        f"token {TOKEN}",
        "key " + "sk-" + "ant-api03-" + "x9Y_" * 8,
        "aws " + "AKIA" + "ABCDEFGH12345678",
        "curl -H 'Authorization: " + "Bearer " + "abcdefgh12345678'",
        "git clone https://" + "user:hunter2secret@example.org/x",
        "MY_API_KEY" + "=abcdefgh12345678",
        'password: "' + 'correct-horse-battery"',
        "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxMjM0In0" + ".c2lnbmF0dXJl",
    ],
)
def test_what_looks_like_a_secret_is_masked(text: str) -> None:
    """Keys of known shape, bearer tokens, logins in addresses and named values become stars."""
    assert "***" in masked(text)
    words = re.findall(r"[A-Za-z0-9_-]{12,}", text)
    assert not [word for word in words if word in masked(text) and any(map(str.isdigit, word))]


def test_plain_words_are_not_masked() -> None:
    """Ordinary output is left as it is."""
    text = "test_token_count PASSED in src/tokens.py: 3 tokens, secret santa, key order"

    assert masked(text) == text


def test_a_private_key_is_masked_over_all_its_lines() -> None:
    """The curtain stays down from the first to the last line of a key, and goes up after it."""
    begin, end = "-----BEGIN RSA PRIVATE KEY-----", "-----END RSA PRIVATE KEY-----"
    curtain = Curtain()

    shown = [curtain.draw(line) for line in ("before", begin, "MIIabc", "def", end, "after")]

    assert shown == ["before", "***", "***", "***", "***", "after"]
    assert masked(f"x {begin}\nMIIabc\n{end} y") == "x *** y"


def test_the_first_failing_lines_are_found_in_a_tail() -> None:
    """Of pytest's output the lines that say what failed come first, not its banners."""
    tail = (
        "=================== FAILURES ===================\n"
        "__________________ test_total __________________\n"
        "    def test_total():\n"
        ">       assert total([1, 2]) == 4\n"
        "E       assert 3 == 4\n"
        "=========== short test summary info ============\n"
        "FAILED tests/test_cart.py::test_total - assert 3 == 4\n"
    )

    assert failing(tail) == (
        "> assert total([1, 2]) == 4",
        "E assert 3 == 4",
        "FAILED tests/test_cart.py::test_total - assert 3 == 4",
    )
    assert failing("one\ntwo\n\nthree\nfour") == ("two", "three", "four")


def test_a_path_is_no_secret() -> None:
    """What the system says of a well-known file is shown as it is."""
    assert masked("/etc/passwd: Read-only file system") == "/etc/passwd: Read-only file system"
