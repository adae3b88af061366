"""What two versions of a line must have in common before they are compared."""

from pathlib import Path

import pytest

from factory import settings, versions
from factory.comparisons import unlike
from factory.complaint import Complaint

BASE = """
version = 1
[line]
target = "main"
[[station]]
name = "code"
agent = {{ runtime = "command", run = ["sh", "agent.sh"] }}
seats = {seats}
[[station]]
name = "tests"
kind = "test"
run = ["make", "test"]
{more}
"""
OPTIONAL = '[[station]]\nname = "lint"\nkind = "test"\nrun = ["lint"]\nrequired = false\n'


def loaded(place: Path, text: str) -> settings.Settings:
    """Give what a file of this text says in the place of the repository's own."""
    path = place / "version.toml"
    path.write_text(text)
    around = {"HOME": str(place)}
    return settings.load(place, flags={}, tracked=None, environ=around, instead=path)


def version(place: Path, *, seats: int = 2, more: str = "") -> settings.Settings:
    """Give the settings of one version."""
    return loaded(place, BASE.format(seats=seats, more=more))


def test_seats_agents_and_optional_stations_may_differ(tmp_path: Path) -> None:
    """What says who works and how, and what nothing rests on, is what a comparison is for."""
    one, two = version(tmp_path), version(tmp_path, seats=8, more=OPTIONAL)

    assert unlike(one, two) == ()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("timeout = '1m'", "the required station tests is not the same in both"),
        ("when = ['src/**']", "the required station tests is not the same in both"),
        ("required = false", "the required station tests stands in only one of them"),
        ("[limits]\nfiles = 9999", "[limits]"),
        ("[env]\nshare = ['.venv']", "[env]"),
    ],
)
def test_what_a_change_must_pass_may_not_differ(tmp_path: Path, more: str, said: str) -> None:
    """Another check, an optional one in its place, other limits: each is named."""
    found = unlike(version(tmp_path), version(tmp_path, more=more))

    assert [text for text in found if said in text]


def test_a_file_stands_for_all_that_the_repository_says(tmp_path: Path) -> None:
    """With a version given, neither factory.toml nor pyproject.toml is read; its commands are."""
    (tmp_path / "factory.toml").write_text("not right")
    (tmp_path / "pyproject.toml").write_text("[tool.factory.line]\nseats = 3\n")

    found = version(tmp_path)

    assert found.rules.seats == 8
    assert [each.where for each in found.trusts] == ['station "code".agent', 'station "tests".run']
    with pytest.raises(settings.ConfigErrors, match="does not exist"):
        settings.load(tmp_path, flags={}, tracked=None, instead=tmp_path / "none.toml")


def test_a_kept_version_that_was_changed_is_not_used(tmp_path: Path) -> None:
    """What lies under a hash is what has that hash, or it is refused by name."""
    name = versions.keep(tmp_path, "version = 1\n")
    assert versions.keep(tmp_path, "version = 1\n") == name
    assert versions.named(tmp_path, name[:6]) == name
    assert versions.text_of(tmp_path, name) == "version = 1\n"
    versions.path_of(tmp_path, name).write_text("version = 1\nmore = 1\n")

    with pytest.raises(Complaint, match="not kept any more, or was changed"):
        versions.path_of(tmp_path, name)
