"""Places of keys and values in TOML texts."""

import tomllib

from hypothesis import given
from hypothesis import strategies as st

from factory.config.toml_places import Path, Place, places
from tests.factory.loading import as_toml

TEXT = '''\
# a comment with [brackets] = "and quotes"
version = 1
"quoted key" = 'literal # no comment'

[line]
budget = { usd = 20, deep = { "a.b" = [1, 2] } }
dotted.inner = true

[[station]]
name = "one"
scope = [
  "a/**",  # first
  "b]#/**",
]

[station.on]
failed = "inbox"

[[station]]
name = """
a [[station]] that is none
"""
when = 1979-05-27 07:32:00

[tool.factory.line]
seats = 3
'''


def place(line: int, col: int) -> Place:
    """Give a place, briefly."""
    return Place(line=line, col=col)


def test_keys_and_values_stand_where_they_are_as_toml() -> None:
    """Each key and each value of every TOML form has its own line and column."""
    found = places(TEXT)

    assert found.key(("version",)) == place(2, 1)
    assert found.value(("version",)) == place(2, 11)
    assert found.key(("quoted key",)) == place(3, 1)
    assert found.value(("quoted key",)) == place(3, 16)
    assert found.key(("line",)) == place(5, 1)
    assert found.key(("line", "budget", "usd")) == place(6, 12)
    assert found.value(("line", "budget", "deep", "a.b", 1)) == place(6, 43)
    assert found.value(("line", "dotted", "inner")) == place(7, 16)
    assert found.value(("station", 0, "scope", 1)) == place(13, 3)
    assert found.value(("station", 0, "on", "failed")) == place(17, 10)
    assert found.key(("station", 1)) == place(19, 1)
    assert found.value(("station", 1, "when")) == place(23, 8)
    assert found.key(("tool", "factory", "line", "seats")) == place(26, 1)


def test_an_unknown_path_stands_at_the_nearest_known_one() -> None:
    """What is missing is told at the table in which it is missing."""
    found = places(TEXT)

    assert found.key(("station", 1, "kind")) == place(19, 1)
    assert found.value(("line", "budget", "usd", "more")) == place(6, 18)
    assert found.key(("nowhere", 3)) == place(1, 1)


def test_windows_line_ends_do_not_move_columns() -> None:
    """A text with CRLF has the same places as the one with LF."""
    assert places(TEXT.replace("\n", "\r\n")) == places(TEXT)


def test_escapes_in_quoted_keys_are_read() -> None:
    """A quoted key is found by the name it means, not by its spelling."""
    found = places('[a]\n"b\\u0041\\"\\n" = """x\\""""\nc = 1\n')

    assert found.key(("a", 'bA"\n')) == place(2, 1)
    assert found.key(("a", "c")) == place(3, 1)


VALUES = st.recursive(
    st.integers(-9, 9)
    | st.booleans()
    | st.text(st.sampled_from("a]}#,=\"'\\ \n["), max_size=6)
    | st.floats(-2, 2),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.sampled_from("ab.\"' ]="), max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


def walk(value: object, above: Path) -> list[Path]:
    """Give the path of every value."""
    found = [above]
    if isinstance(value, dict):
        for key, inner in value.items():
            found += walk(inner, (*above, key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            found += walk(inner, (*above, number))
    return found


@given(st.dictionaries(st.sampled_from(["a", "b", "c"]), VALUES, max_size=3))
def test_every_value_of_any_document_has_a_place_where_it_is_written(
    document: dict[str, object],
) -> None:
    """Reading the text from a value's place on gives that value."""
    text = "".join(f"{key} = {as_toml(value)}\n" for key, value in document.items())
    lines = text.split("\n")
    assert tomllib.loads(text) == document

    found = places(text)

    expected = [path for key, value in document.items() for path in walk(value, (key,))]
    assert set(found.values) == set(expected)
    for path, spot in found.values.items():
        value: object = document
        for part in path:
            value = value[part]  # type: ignore[index]
        start = "\n".join([lines[spot.line - 1][spot.col - 1 :], *lines[spot.line :]])
        assert start.startswith(as_toml(value))
