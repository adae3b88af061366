"""Stations put into the text of a factory.toml."""

import tomllib
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factory.history.writing import Entry, NotRewritten, rewritten

ENTRIES: Final = (
    Entry(name="api", scope=("src/api/**", "!src/api/made.py")),
    Entry(name="web", scope=("**", "!src/api/**")),
)
INITIAL: Final = """\
version = 1

[line]
budget = { usd = 5, minutes = 60 }   # a little

# Who codes.
[[station]]
name = "code"
scope = ["src/**"]
agent = "sdk:medium"   # or another

[[station]]
name = "tests"
kind = "test"
run = ["pytest"]

[[station]]
name = "repair"
kind = "cleanup"
agent = "sdk:small"
"""
BY_HAND: Final = INITIAL.replace('name = "code"', 'name = "core"')


def coding(text: str) -> tuple[str, ...]:
    """Give the names of the stations of a text that have a scope."""
    return tuple(each["name"] for each in tomllib.loads(text)["station"] if "scope" in each)


def put(text: str, *, entries: tuple[Entry, ...] = ENTRIES, force: bool = False) -> str:
    """Put stations into a text."""
    return rewritten(text, entries, note="a note", force=force)


def test_new_stations_stand_where_the_initial_one_stood() -> None:
    """What `init` wrote is replaced; comments, other tables and their order stay."""
    made = put(INITIAL)

    told = tomllib.loads(made)
    assert [each["name"] for each in told["station"]] == ["api", "web", "tests", "repair"]
    assert told["station"][0]["scope"] == list(ENTRIES[0].scope)
    assert {each["agent"] for each in told["station"][:2]} == {"sdk:medium"}
    assert told["line"] == {"budget": {"usd": 5, "minutes": 60}}
    for line in ("# Who codes.", "   # a little", 'run = ["pytest"]'):
        assert line in made
    assert made.count("# or another") == 1


def test_writing_again_replaces_what_was_written() -> None:
    """Stations that this wrote are replaced without a word, and leave nothing behind."""
    once = put(INITIAL)

    assert put(once) == once
    again = put(once, entries=(Entry(name="all", scope=("**",)),))
    assert coding(again) == ("all",)
    assert again.count("a note") == 1
    assert "\n\n\n" not in again


def test_stations_of_a_person_are_not_replaced() -> None:
    """A station that a person wrote, or changed after this wrote it, is kept and named."""
    with pytest.raises(NotRewritten, match="core"):
        put(BY_HAND)
    with pytest.raises(NotRewritten, match="api"):
        put(put(INITIAL).replace('"src/api/**"', '"src/**"', 1))


def test_force_replaces_also_those() -> None:
    """A person who says so gets the stations in the place of their own."""
    assert coding(put(BY_HAND, force=True)) == ("api", "web")


def test_what_all_of_them_said_goes_over() -> None:
    """Agent, commands and limits of the replaced stations are those of the new ones."""
    text = put(INITIAL).replace(
        'agent = "sdk:medium"',
        'agent = { runtime = "command", run = ["sh", "a#b.sh"] }\ncommands = [\n  ["make"],  # x\n'
        ']\n[station.on]\nfailed = "inbox"',
    )

    made = tomllib.loads(put(text, entries=(*ENTRIES, Entry(name="c", scope=("c/**",)))))

    for each in made["station"][:3]:
        assert each["agent"] == {"runtime": "command", "run": ["sh", "a#b.sh"]}
        assert each["commands"] == [["make"]]
        assert each["on"] == {"failed": "inbox"}


def test_what_they_did_not_all_say_is_not_lost() -> None:
    """Stations of our own that a person told apart are not made alike."""
    made = put(INITIAL)
    told_apart = made.replace(
        '"sdk:medium"\n\n[[station]]\nname = "tests"', '"sdk:large"\n\n[[station]]\nname = "tests"'
    )
    assert told_apart != made

    with pytest.raises(NotRewritten, match="differ"):
        put(told_apart)


def test_a_text_without_coding_stations_gets_them_at_its_end() -> None:
    """An empty file, and one that only tests, take stations with the usual agent."""
    assert [each["agent"] for each in tomllib.loads(put(""))["station"]] == ["sdk:medium"] * 2
    made = put('version = 1\n[[station]]\nname = "tests"\nrun = ["x"]\n')
    assert [each["name"] for each in tomllib.loads(made)["station"]] == ["tests", "api", "web"]


def test_stations_in_one_array_are_left_alone() -> None:
    """An array of inline tables has no place for a comment, and is not taken apart."""
    with pytest.raises(NotRewritten, match="array"):
        put('station = [{ name = "code", agent = "sdk:medium" }]\n')


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=60),
        min_size=1,
        max_size=12,
    )
)
def test_every_glob_comes_back_as_it_was(globs: list[str]) -> None:
    """Whatever a path holds, the text is TOML that means it."""
    entry = Entry(name="a", scope=tuple(globs))

    made = put(INITIAL, entries=(entry,))

    assert tomllib.loads(made)["station"][0]["scope"] == globs
    assert put(made, entries=(entry,)) == made
