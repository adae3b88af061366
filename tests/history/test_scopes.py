"""The command that proposes stations from a repository's history."""

import shutil
import tomllib
from pathlib import Path
from typing import Final

import pytest
from pydantic import TypeAdapter

from factory.views.schemas import ScopesDocument
from tests.history.histories import Step, grow, planted, touches
from tests.run import run
from tests.system.user import User

HOSTILE: Final = ("src/app/part0/[x]\n\x1b[31m.py", "src/app/part1/ü !#*.py", "docs/-f")
SCHEMA: Final = "factory.scopes/1"


def steps() -> list[Step]:
    """Give a history of three parts; its newest fifth holds names that mean harm."""
    past = touches(planted(3, rounds=20))
    past[50] = {**past[50], **dict.fromkeys(HOSTILE, "text\n")}
    return past


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the repository once; every test gets a copy."""
    return grow(tmp_path_factory.mktemp("grown") / "repo", steps())


@pytest.fixture
def user(tmp_path: Path, grown: Path) -> User:
    """Give a user at a copy of the repository."""
    checkout, home = tmp_path / "repo", tmp_path / "home"
    shutil.copytree(grown, checkout)
    home.mkdir()
    return User(checkout=checkout, home=home)


def configured(user: User) -> list[dict]:
    """Give the stations of the user's factory.toml."""
    return tomllib.loads((user.checkout / "factory.toml").read_text())["station"]


def test_the_history_is_shown_as_stations_with_their_fit(user: User) -> None:
    """Without --write the stations, the score beside the plainest ones and the text are shown."""
    ran = user.fac("scopes")

    said = ran.out.decode()
    assert "newest changes fit one scope" in said
    assert "one per top directory" in said
    assert {
        each["name"] for each in tomllib.loads(said[said.index("# Stations") :])["station"]
    } == {
        "part0",
        "part1",
        "part2",
    }
    assert "\x1b" not in said
    assert not (user.checkout / "factory.toml").exists()


def test_the_document_tells_what_was_measured(user: User) -> None:
    """The JSON document has its schema's shape, and counts every commit once."""
    told = user.document("scopes", schema=SCHEMA)

    TypeAdapter(ScopesDocument).validate_python(told, strict=True)
    assert told["commits"] == 60 == told["changes"] + told["sweeps"] + told["silent"]
    assert told["made_from"] + told["judged_on"] == told["changes"]
    assert told["fit"]["fit"] > told["top_directories"]["fit"]
    assert told["one_scope"]["fit"] == 1.0
    assert f"{100 * told['fit']['fit']:.0f} %" in told["sentence"]
    assert told["written"] is None


def test_what_is_newest_is_not_learned_from(user: User) -> None:
    """Changing the newest fifth of a history changes the score, and no station."""
    before = user.document("scopes", schema=SCHEMA)
    user.git("reset", "-q", "--hard", "HEAD~12")
    for number in range(12):
        user.commit({f"src/app/part{part}/m0.py": f"all {number}\n" for part in range(3)})

    after = user.document("scopes", schema=SCHEMA)

    stations = [
        [(each["name"], each["scope"]) for each in told["stations"]] for told in (before, after)
    ]
    assert stations[0] == stations[1]
    assert (before["fit"]["fit"] > 0.5, after["fit"]["fit"]) == (True, 0.0)


def test_written_stations_are_a_sound_configuration(user: User) -> None:
    """--write makes the file that `init` would, with these stations, and it is right."""
    told = user.document("scopes", "--write", schema=SCHEMA)

    assert told["written"] == str(user.checkout / "factory.toml")
    coding = [each for each in configured(user) if each.get("agent") and "kind" not in each]
    assert [each["scope"] for each in coding] == [each["scope"] for each in told["stations"]]
    user.fac("config", "check")
    user.fac("scopes", "--write", "--stations", "2")
    assert len([each for each in configured(user) if "scope" in each]) == 2


def test_hand_written_stations_and_the_rest_of_the_file_are_kept(user: User) -> None:
    """A person's coding stations stay unless --force is typed; other tables and comments stay."""
    text = (
        'version = 1\n# mine\n[line]\nseats = 3\n\n[[station]]\nname = "own"\nscope = ["src/**"]\n'
        'agent = "sdk:large"\n\n[[station]]\nname = "part1"\nkind = "test"\nrun = ["true"]\n'
    )
    path = user.checkout / "factory.toml"
    path.write_text(text)

    ran = user.fac("scopes", "--write", code=2)

    assert "own" in ran.err.decode()
    assert "--force" in ran.err.decode()
    assert path.read_text() == text
    user.fac("scopes", "--write", "--force")
    assert "# mine" in path.read_text()
    names = [each["name"] for each in configured(user)]
    assert "own" not in names
    assert len(set(names)) == len(names)
    assert {each["agent"] for each in configured(user) if "scope" in each} == {"sdk:large"}
    user.fac("config", "check")


def test_a_file_that_would_have_mistakes_is_left_as_it_is(user: User) -> None:
    """When a job names a station that would go, nothing is written and the mistake is shown."""
    text = (
        'version = 1\n[[station]]\nname = "code"\nagent = "sdk:medium"\n'
        '[[job]]\nid = "one"\ntitle = "x"\nstation = "code"\n'
    )
    (user.checkout / "factory.toml").write_text(text)

    ran = user.fac("scopes", "--write", code=2)

    assert 'there is no station "code"' in ran.err.decode()
    assert (user.checkout / "factory.toml").read_text() == text


def test_stations_in_the_project_file_are_not_hidden(user: User) -> None:
    """Where pyproject.toml holds the stations, no second place is made for them."""
    (user.checkout / "pyproject.toml").write_text(
        '[[tool.factory.station]]\nname = "code"\nagent = "sdk:medium"\n'
    )

    ran = user.fac("scopes", "--write", code=2)

    assert "pyproject.toml" in ran.err.decode()
    assert not (user.checkout / "factory.toml").exists()


def test_a_link_is_not_written_through(user: User, tmp_path: Path) -> None:
    """A factory.toml that is a link to elsewhere is left alone."""
    elsewhere = tmp_path / "elsewhere.toml"
    elsewhere.write_text("version = 1\n")
    (user.checkout / "factory.toml").symlink_to(elsewhere)

    ran = user.fac("scopes", "--write", code=2)

    assert "no plain file" in ran.err.decode()
    assert elsewhere.read_text() == "version = 1\n"


def test_a_history_that_says_too_little_is_refused(tmp_path: Path, user: User) -> None:
    """Without commits, with few, and with one piece the command says what is missing."""
    for name, past in (("none", []), ("few", touches([("a.py", "b.py")] * 39))):
        path = grow(tmp_path / name, past) if past else tmp_path / name
        run(["git", "init", "-q", str(path)])
        user.fac("scopes", code=2, cwd=path)
    one = grow(tmp_path / "one", touches([("a.py",)] * 40))

    ran = user.fac("scopes", code=2, cwd=one)

    assert "does not fall into that many parts" in ran.err.decode()


def test_a_shallow_clone_is_refused(tmp_path: Path, user: User) -> None:
    """Half a history would look like a whole one; the way to the whole is told."""
    clone = tmp_path / "shallow"
    run(["git", "clone", "-q", "--depth", "3", f"file://{user.checkout}", str(clone)])

    ran = user.fac("scopes", code=7, cwd=clone)

    assert "--unshallow" in ran.err.decode()


def test_owners_of_the_repository_count(tmp_path: Path, user: User) -> None:
    """Where the past says nothing, what one team owns by CODEOWNERS stays together."""
    past = touches([(f"{name}/x.py",) for _ in range(12) for name in "abcd"])
    past[0] = {**past[0], "docs/CODEOWNERS": "/b/ @two\n/c/ @two\n/a/ @x/one # team\nd/ @x/one\n"}
    owned = grow(tmp_path / "owned", past)

    told = user.document("scopes", "--stations", "2", schema=SCHEMA, cwd=owned)

    scopes = [each["scope"] for each in told["stations"]]
    assert any({"a/**", "d/**"} <= set(scope) or {"b/**", "c/**"} <= set(scope) for scope in scopes)
