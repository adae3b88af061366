from shopkit.catalog.items import label
from shopkit.catalog.search import search, words


def test_label_shows_two_decimals(mug):
    assert label(mug) == "MUG-1  Mug  7.50"


def test_words_ignores_punctuation():
    assert words("Poster, LARGE!") == ["poster", "large"]


def test_search_needs_every_word(mug, poster):
    assert search([mug, poster], "large poster") == [poster]
    assert search([mug, poster], "small poster") == []


def test_search_gives_the_cheapest_first(mug, poster):
    assert search([poster, mug], "") == [mug, poster]
