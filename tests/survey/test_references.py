"""References: what a text names as the forge would link it, and what only looks like it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.survey.references import found

HOST = "github.com"
NAMES = frozenset({"octo/toy"})
FENCE = "```"


def named(text: str) -> list[tuple[str, int]]:
    """Give what a text names, in its order."""
    return [(link.kind, link.number) for link in found(text, HOST, NAMES)]


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("see #1, (#2), [#3] and #4's", [1, 2, 3, 4]),
        ("octo/toy#5 Octo/Toy#6 other/toy#7 GH-8", [5, 6, 8]),
        ("https://github.com/octo/toy/issues/9#issuecomment-10", [9]),
        ("https://github.com/OCTO/toy/pull/11/files", [11]),
        ("https://github.com/octo/other/pull/12 https://example.com/octo/toy/pull/13", []),
        ("&#128512; #ffffff #7abc a#14 x/#15 ##16 #0 #017 #1234567890", []),
        ("`#18` ``#19 ` `` <code>#20</code> #21", [21]),
        (f"{FENCE}\n#22\n{FENCE}\n#23\n~~~ text\n#24\n", [23]),
        (f"> {FENCE}\n> #25\n> {FENCE}\n> #26", [26]),
        ("text\n\n    #27\n\n    #28\ntext #29", [29]),
        ("- one\n\n    #30", [30]),
        ("<!-- #31 --> #32 <!-- #33", [32]),
        ("`<!--` #34 `-->`", [34]),
        ("one ` tick #35\n\nand ` another #36", [35, 36]),
    ],
)
def test_only_what_the_forge_would_link_is_a_reference(text: str, numbers: list[int]) -> None:
    """Numbers and addresses of this repository are; code, comments, colours and entities not."""
    assert [number for _, number in named(text)] == numbers


def test_the_words_before_a_reference_say_what_it_means() -> None:
    """A closing word closes, and a duplicate is one; the stronger word of two counts."""
    assert named("Fixes #1. closes: #2, then #3") == [("closes", 1), ("closes", 2), ("mentions", 3)]
    assert named("duplicate of #4; Duplicates octo/toy#5") == [("duplicate", 4), ("duplicate", 5)]
    assert named("see #6, it is a dupe of #6, see #6") == [("duplicate", 6)]
    assert named("prefixes #7, unfixed #8") == [("mentions", 7), ("mentions", 8)]


@given(st.text(alphabet="#1`<!->c od\n\t &~/", max_size=300))
def test_whatever_is_in_a_fence_names_nothing(text: str) -> None:
    """Nothing gets out of a block of code but by ending it."""
    inner = text.replace("`", "").replace("\n", "\n ")
    assert named(f"{FENCE}\n{inner}\n{FENCE}") == []


@given(st.text(max_size=200), st.integers(1, 999_999))
def test_any_text_can_be_read(text: str, number: int) -> None:
    """No text breaks it, and a reference in a paragraph of its own after plain words stands."""
    found(text, HOST, NAMES)
    plain = "".join(char for char in text if char.isalpha() or char == " ")
    assert ("mentions", number) in named(f"{plain}\n\nsee #{number}\n")


@given(st.integers(1, 10**8), st.sampled_from(["&", "a", "_", "/", "#"]), st.sampled_from("abz_é"))
def test_a_number_within_a_word_is_none(number: int, before: str, after: str) -> None:
    """What touches a letter on either side is a colour, an entity, an anchor or a name."""
    assert named(f"x {before}#{number} y") == []
    assert named(f"x #{number}{after} y") == []


def test_a_line_of_quotes_is_read_however_deep_it_is() -> None:
    """Each blank of it may stand in one place only, or a reader would never come to its end."""
    assert named("> " * 30_000 + "see #1\n>>> > >\t> ```\n#2\n") == [("mentions", 1)]
