"""A quote is what stands in the text: blanks may differ, nothing else."""

from hypothesis import given
from hypothesis import strategies as some

from factory.survey import quotes
from factory.survey.values import Quote

TEXT = "It hangs:\n\n    wait(0)   never returns\nsee `src/a.py` (twice)."


def test_a_quote_is_given_as_it_stands_in_the_text() -> None:
    """Other blanks and line ends are forgiven, and the stored words are what is kept."""
    assert quotes.stored(TEXT, "wait(0) never returns see") == "wait(0)   never returns\nsee"
    assert quotes.stored(TEXT, "  It  hangs: ") == "It hangs:"


def test_what_is_not_there_letter_for_letter_is_no_quote() -> None:
    """Case, punctuation, order and invention all count."""
    for said in ("it hangs: wait", "wait(1) never", "never returns wait(0)", "fixed by 9", "", " "):
        assert quotes.stored(TEXT, said) == ""


def test_a_few_letters_show_nothing_unless_they_are_the_whole_text() -> None:
    """A word that stands everywhere is no evidence; a short title may be quoted whole."""
    assert quotes.stored(TEXT, "returns") == ""
    assert quotes.stored("Crash", "Crash") == "Crash"


def test_a_secret_is_never_quoted() -> None:
    """What looks like a key stays where it is."""
    key = "ghp_" + "a1B2" * 9
    assert quotes.stored(f"my token is {key} and fails", f"token is {key}") == ""
    assert quotes.stored(f"my token is {key} and fails", "my token is") == "my token is"


def test_quotes_are_checked_against_the_text_that_they_name() -> None:
    """A quote of the body does not stand in the title; none is given twice."""
    claimed = [
        Quote(source="body", quote="never returns"),
        Quote(source="body", quote="never  returns"),
        Quote(source="title", quote="never returns"),
        Quote(source="comment:9", quote="never returns"),
    ]
    assert quotes.checked(claimed, {"title": "A hang", "body": TEXT}) == (claimed[0],)


@given(some.text(max_size=80), some.text(max_size=200), some.text(max_size=40))
def test_whatever_is_given_stands_in_the_text(before: str, text: str, said: str) -> None:
    """For any text and any claim: the result is a part of the text, or empty."""
    assert quotes.stored(before + text, said) in before + text
    assert quotes.stored(text, text[:300]) in text
