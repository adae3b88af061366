"""Mistakes in configuration: all at once, each with its place, its reason and a hint."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.config.tables import ConfigFile
from factory.settings import ConfigError, ConfigErrors
from tests.factory.loading import LINE, Load, as_toml, every_table

EIGHT_MISTAKES = """\
version = 1

[line]
delivr = "merge"
seats = "8"
budget = { usd = 20, tokens = "5 million" }

[[station]]
name = "api"
scope = ["src/api/**"]
agent = "sdk:medium"
timeout = "20 minutes"
on = { failed = "senoir" }

[[station]]
name = "imports"
scope = ["src/**"]
run = "ruff check --fix src"

[[station]]
name = "tests"
kind = "tset"
run = ["pytest", "-q"]

[[job]]
id = "users"
title = "Reject empty names"
station = "api"
scope = ["src/web/users.py"]
"""

EIGHT_MESSAGES = """\
factory.toml:4:1: error: line.delivr: unknown key; did you mean "deliver"?
  4 | delivr = "merge"
    | ^
factory.toml:5:9: error: line.seats: must be a whole number, not a text; write 8 without quotes
  5 | seats = "8"
    |         ^
factory.toml:6:31: error: line.budget.tokens: "5 million" is not a number of tokens; \
write a whole number, or a text such as "200k" or "5M"
  6 | budget = { usd = 20, tokens = "5 million" }
    |                               ^
factory.toml:12:11: error: station "api".timeout: "20 minutes" is not a duration; \
write seconds, or a text such as "90s", "20m" or "1h30m", up to "366d"
  12 | timeout = "20 minutes"
     |           ^
factory.toml:13:17: error: station "api".on.failed: there is no station "senoir"; \
stations: api, imports, tests
  13 | on = { failed = "senoir" }
     |                 ^
factory.toml:18:7: error: station "imports".run: a command is a list of words, never a shell line; \
write ["ruff", "check", "--fix", "src"]
  18 | run = "ruff check --fix src"
     |       ^
factory.toml:22:8: error: station "tests".kind: "tset" is not one of code, command, test, cleanup, \
review, read; did you mean "test"?
  22 | kind = "tset"
     |        ^
factory.toml:29:9: error: job "users".scope: lies outside the scope of station "api"; \
it holds src/api/**
  29 | scope = ["src/web/users.py"]
     |         ^
8 mistakes"""


def golden(name: str) -> list[tuple[str, str]]:
    """Give the cases of a golden file: what is written, and what is said about it."""
    text = (Path(__file__).parent / "golden" / f"{name}.toml").read_text()
    return [(case["text"], case["says"]) for case in tomllib.loads(text)["case"]]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Give a function that loads settings from texts."""
    return Load(tmp_path)


def test_eight_mistakes_of_one_file_are_told_at_once(load: Load) -> None:
    """Types, unknown keys and references are reported together, each with place, line and caret."""
    with pytest.raises(ConfigErrors) as caught:
        load(EIGHT_MISTAKES)

    assert str(caught.value) == EIGHT_MESSAGES


def test_mistakes_of_all_sources_are_told_at_once(load: Load) -> None:
    """A flag, a variable, both project files and the user's file are checked in one go."""
    (load.checkout / "pyproject.toml").write_text("[tool.factory.gate]\nslots = 0\n")
    user = load.user
    user.write_text("[commit]\nsign = 1\n")

    with pytest.raises(ConfigErrors) as caught:
        load(
            "[line]\nsandbox = 'none'\n",
            flags={"seats": "many", "budget": "cheap"},
            FACTORY_LIMITS_FILES="few",
            FACTORY_LINE_SAETS="3",
        )

    places = [(e.file, e.line, e.col, e.where) for e in caught.value.errors]
    assert sorted(places) == sorted(
        [
            ("command line", 1, 9, "line.seats"),
            ("command line", 1, 10, "line.budget"),
            ("environment", 1, 22, "limits.files"),
            ("environment", 1, 20, "FACTORY_LINE_SAETS"),
            ("factory.toml", 2, 11, "line.sandbox"),
            ("pyproject.toml", 2, 9, "gate.slots"),
            (str(user), 2, 8, "commit.sign"),
        ]
    )


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("[line]\nseats = \n", "2:9"),
        ("[line\n", "1:6"),
        ("a = 1\na = 2\n", "2:6"),
        ("x = [1,\n", "2:1"),
    ],
)
def test_a_syntax_mistake_has_its_place(load: Load, text: str, place: str) -> None:
    """A file that is not TOML is told with line and column, and nothing else is guessed from it."""
    (only,) = load.mistakes(text)

    assert only.startswith(f"factory.toml:{place}: error: file: is not TOML: ")


@pytest.mark.parametrize(
    "raw", [b"a = '\xff'", b"a = " + b"[" * 5000 + b"]" * 5000, b"#" * 1_000_001]
)
def test_a_hostile_file_is_a_mistake_and_no_crash(load: Load, raw: bytes) -> None:
    """Bytes that are no text, bottomless nesting and huge files are refused by name."""
    (load.checkout / "factory.toml").write_bytes(raw)

    with pytest.raises(ConfigErrors, match=r"factory\.toml:1:\d+: error: file: "):
        load()


@pytest.mark.parametrize(("text", "message"), golden("values"))
def test_each_value_is_refused_with_a_reason_and_a_hint(
    load: Load, text: str, message: str
) -> None:
    """What a key does not accept is told in the words of its table."""
    assert load.mistake(text) == message


@pytest.mark.parametrize(("text", "message"), golden("stations"))
def test_each_misuse_of_a_station_is_told(load: Load, text: str, message: str) -> None:
    """What a station of a kind misses or cannot use is told by name."""
    assert load.mistake(f"[[station]]\n{text}\n") == message


@pytest.mark.parametrize(("text", "message"), golden("jobs"))
def test_each_mistake_of_a_job_is_told(load: Load, text: str, message: str) -> None:
    """A job that no station can do, or that refers to nothing, is told with what there is."""
    assert load.mistake(f"{LINE}[[job]]\n{text}\n") == message


def test_names_and_ids_are_unique(load: Load) -> None:
    """A second station or job of one name is a mistake at the second."""
    twice = '[[station]]\nname = "api"\nrun = ["a"]\n'
    jobs = '[[job]]\nid = "a"\nstation = "imports"\n' * 2

    assert load.mistakes(LINE + twice + jobs) == [
        (
            'factory.toml:17:8: error: station "api".name: the name "api" is taken by station 1; '
            "names are unique"
        ),
        'factory.toml:23:6: error: job "a".id: the id "a" is taken by job 1; ids are unique',
    ]


def test_circles_of_needs_and_of_hand_offs_are_told_once(load: Load) -> None:
    """Every circle is reported, at its earliest member, with the whole way round."""
    stations = "".join(
        f'[[station]]\nname = "{name}"\nrun = ["a"]\non = {{ failed = "{to}" }}\n'
        for name, to in (("a", "b"), ("b", "c"), ("c", "a"))
    )
    jobs = "".join(
        f'[[job]]\nid = "{name}"\nstation = "a"\nneeds = {needs}\n'
        for name, needs in (("j", ["k"]), ("k", ["l", "j"]), ("l", []), ("m", ["k"]))
    )

    assert [text.partition(": error: ")[2] for text in load.mistakes(stations + jobs)] == [
        (
            'station "a".on: hands on in a circle: a -> b -> c -> a; '
            'let one of them hand on to "inbox"'
        ),
        'job "j".needs: needs itself in a circle: j -> k -> j',
    ]


def test_a_broken_station_does_not_make_its_jobs_wrong(load: Load) -> None:
    """One mistake is reported once: what refers to a station with mistakes is not blamed."""
    text = LINE.replace('run = ["ruff", "check", "--fix", "src"]', "run = 3")

    assert load.mistake(f'{text}[[job]]\nstation = "imports"\n') == (
        'station "imports".run: must be a list, not a number'
    )


@pytest.mark.parametrize("tool", ["~/..", "/", "{checkout}", "{checkout}/sub", "~/link"])
def test_a_tools_path_never_shows_the_checkout(load: Load, tool: str) -> None:
    """A path that contains the checkout, is it, or lies in it is refused, also behind a link."""
    (load.home / "link").symlink_to(load.checkout)
    path = tool.format(checkout=load.checkout)

    assert "the checkout is never visible" in load.mistake(f'[env]\ntools = ["{path}"]\n')


def test_secrets_in_a_file_are_refused_and_never_repeated(load: Load) -> None:
    """A pasted key is a mistake, and neither message nor source line shows it."""
    key = "sk-ant-api03-abcdef"
    text = (
        f'[provider.a]\nkey_env = "{key}"\napi_key = "{key}"\n'
        f'[forge]\napi_url = "https://me:{key}@host/"\n'
        f'[network]\nproxy = "http://{key}@host:1"\n'
    )

    with pytest.raises(ConfigErrors) as caught:
        load(text)

    assert len(caught.value.errors) == 4
    assert key not in str(caught.value)
    assert key not in repr(caught.value.errors)


def test_a_message_holds_no_control_character(load: Load) -> None:
    """What a hostile file makes us repeat cannot move the cursor or colour the terminal."""
    with pytest.raises(ConfigErrors) as caught:
        load('[line]\ntarget = "\\u001b[31m..x"\n"\\u001b]0;\\u0007" = 1\n')

    assert not any(ord(c) < 32 and c != "\n" for c in str(caught.value))


def test_a_secret_in_a_variable_is_never_repeated(load: Load) -> None:
    """A token set where the NAME of its variable belongs is refused without being shown."""
    for name in ("FACTORY_FORGE_TOKEN_ENV", "FACTORY_PROVIDER_A_KEY"):
        with pytest.raises(ConfigErrors) as caught:
            load(**{name: "ghp_abcdef0123"})

        assert "ghp_" not in str(caught.value)
        assert name in str(caught.value)


@pytest.mark.parametrize("target", ["/dev/zero", "/dev/null", "."])
def test_a_file_that_is_a_link_to_a_device_is_not_read(load: Load, target: str) -> None:
    """A repository cannot make us read without end."""
    (load.checkout / "factory.toml").symlink_to(target)

    with pytest.raises(ConfigErrors, match="factory\\.toml:1:1: error: file: is no plain file"):
        load()


KEYS = sorted({name for table in every_table(ConfigFile) for name in table.model_fields})
VALUES = st.recursive(
    st.sampled_from(["", "a", "tests", "inbox", "merge", "5M", "**", "!x", "\x00", "x" * 99])
    | st.integers(-1, 3)
    | st.booleans()
    | st.floats(),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from([*KEYS, "x"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["line", "env", "station", "job", "provider", "x"]), VALUES))
def test_whatever_a_file_holds_it_loads_or_is_told(
    tmp_path_factory: pytest.TempPathFactory, tree: dict[str, object]
) -> None:
    """No value of any shape in any key is more than a list of mistakes with places."""
    load = Load(tmp_path_factory.mktemp("any"))
    text = "".join(f"{key} = {as_toml(value)}\n" for key, value in tree.items())

    told: tuple[ConfigError, ...] = ()
    try:
        load(text)
    except ConfigErrors as caught:
        told = caught.errors

    assert all(error.line >= 1 and error.col >= 1 and error.what for error in told)
    assert "unnamed-" not in "".join(map(str, told))
