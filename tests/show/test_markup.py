"""Text becomes markup only by being escaped: no name, message or secret gets through as it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.show.markup import NOTHING, lines, tag, text
from tests.show.crowds import HOSTILE

KEY = "sk-" + "a1B2" * 6


@given(st.text())
def test_no_text_opens_or_closes_anything(said: str) -> None:
    """Whatever a text holds, nothing of it is markup, a control character or an end of quotes."""
    for shown in (text(said), lines(said), tag("p", cls=said).removeprefix('<p class="')[:-6]):
        assert not set(shown) & set("<>\x00\x1b\u202e")
        assert "'" not in shown
        assert '"' not in shown


def test_hostile_words_are_shown_as_they_were_written() -> None:
    """A script tag in a title is readable, and is none."""
    shown = tag("p", text(HOSTILE), title=HOSTILE)

    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in shown
    assert shown.count("<") == 2
    assert "\\x1b[2J" in shown


@pytest.mark.parametrize("made", [text(KEY), lines(f"a\n{KEY}\nb"), tag("p", title=KEY)])
def test_secrets_are_three_stars(made: str) -> None:
    """What looks like a key stands in no text and in no attribute."""
    assert KEY not in made
    assert "***" in made


def test_attributes_are_named_and_left_out() -> None:
    """True is an attribute alone, None and False are none, numbers are short."""
    made = tag("path", cls="a", d="M0 0", hidden=True, open=False, id=None, aria_label="x", y=2.0)

    assert made == '<path class="a" d="M0 0" hidden aria-label="x" y="2"/>'
    assert tag("div", NOTHING) == "<div></div>"
