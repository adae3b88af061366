"""A goal becomes jobs: what a model proposes is judged as a person's file is, and never run."""

import json
import time
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from factory import settings, sharing
from factory.complaint import Complaint
from factory.models import Models
from factory.sharing import Desk, Piece
from tests.factory.loading import Load
from tests.scripted.messages import Asked, MessagesServer, answer, text
from worktrees.names import RunId

LINE = """
[provider.anthropic]
base_url = "{url}"
[[station]]
name = "api"
scope = ["src/api/**", "tests/api/**"]
agent = "sdk:medium"
[[station]]
name = "docs"
scope = ["docs/**"]
agent = "sdk:small"
[[station]]
name = "tests"
kind = "test"
run = ["pytest", "-q"]
"""
TRACKED = ("src/api/users.py", "tests/api/test_users.py", "docs/users.md")


def one(name: str, *scope: str, **more: object) -> dict[str, object]:
    """Give a job as a model writes it."""
    return {
        "id": name,
        "title": f"Do {name}",
        "brief": f"Make {name} work. The tests show it.",
        "station": "",
        "scope": list(scope),
        "needs": [],
        "accept": [],
        "large": False,
        **more,
    }


def asked(load: Load, script: Callable[[Asked], object], goal: str = "Add PUT") -> sharing.Shared:
    """Split a goal with a real client against a server that answers so."""
    with MessagesServer(script) as server:
        found = load(LINE.format(url=server.url))
        run = RunId("split-1")
        ledger = load.checkout / "ledger.sqlite"
        with Models(
            found, ledger, run, path="/usr/bin", now=time.time, warn=lambda _line: None
        ) as models:
            desk = Desk(
                settings=found,
                caller=models.caller(),
                run=run,
                tracked=TRACKED,
                calls=lambda: models.calls.of_run(run),
            )
            return sharing.share(desk, goal)


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Give a function that loads settings from texts."""
    return Load(tmp_path)


def test_a_goal_becomes_a_jobs_file_that_is_right(load: Load, tmp_path: Path) -> None:
    """The text is a jobs file with scopes, needs and acceptance; overlaps and basis are told."""
    jobs = [
        one("put", "src/api/users.py", accept=[["pytest", "-q", "tests/api"]]),
        one("put-tests", "src/api/**", "tests/api/**"),
        one("tell", "docs/users.md", needs=["put"]),
    ]
    seen: list[Asked] = []

    def script(said: Asked) -> object:
        seen.append(said)
        return answer({"jobs": jobs})

    made = asked(load, script)

    path = tmp_path / "jobs.toml"
    path.write_text(made.text)
    read = settings.jobs_file(path, load())
    assert [(job.id, job.route, job.needs) for job in read] == [
        ("put", "api", ()),
        ("put-tests", "api", ()),
        ("tell", "docs", ("put",)),
    ]
    assert read[0].accept == (("pytest", "-q", "tests/api"),)
    assert made.overlaps == (("put", "put-tests"),)
    assert "# put and put-tests overlap" in made.text
    assert "this says nothing about a real model" in made.text
    assert (made.model, made.spent.calls, made.spent.basis) == ("claude-opus-5-5", 1, "synthetic")
    (request,) = seen
    assert "Add PUT" in request.first
    assert "src/api/users.py" in request.first
    assert "- docs (code): docs/**" in request.first
    assert "1 call to claude-opus-5-5" in sharing.cost(made.spent, made.model)
    assert "synthetic" in sharing.cost(made.spent, made.model)
    assert sharing.document(made, "Add PUT", None)["schema"] == "factory.split/1"


def test_mistakes_go_back_once_with_their_reasons(load: Load) -> None:
    """The second try hears what a person would: scopes, needs, programs."""
    wrong = [one("put", "lib/x.py", needs=["nobody"], accept=[["curl", "x"]])]

    def script(said: Asked) -> object:
        return answer({"jobs": wrong if said.turn == 0 else [one("put", "src/api/users.py")]})

    heard: list[str] = []

    def spy(said: Asked) -> object:
        heard.append(said.last)
        return script(said)

    made = asked(load, spy)

    assert [job.id for job in made.jobs] == ["put"]
    assert made.spent.calls == 2
    for words in ("no station's scope holds", 'no job "nobody"', "'curl' is no program"):
        assert words in heard[1]


def test_what_stays_wrong_is_told_and_gives_no_file(load: Load) -> None:
    """After one repair the mistakes are a complaint."""
    with pytest.raises(Complaint, match="not sound"):
        asked(load, lambda _said: answer({"jobs": [one("put", "lib/x.py")]}))
    with pytest.raises(Complaint, match="no jobs that can be used"):
        asked(load, lambda _said: text("I would rather talk."))


def test_a_job_of_more_than_two_sentences_is_split_once_more(load: Load) -> None:
    """Its parts take its place, its needs and who needed it; what is still large is said."""
    long = "First do this. Then do that. At last look at it."

    def script(said: Asked) -> object:
        if "part of a larger plan" not in said.first:
            return answer(
                {
                    "jobs": [
                        one("base", "src/api/a.py"),
                        one("big", "src/api/b/**", brief=long, needs=["base"]),
                        one("end", "docs/**", needs=["big"]),
                    ]
                }
            )
        return answer(
            {
                "jobs": [
                    one("base", "src/api/b/x.py"),
                    one("rest", "src/api/b/y.py", needs=["base"], large=True),
                ]
            }
        )

    made = asked(load, script)

    needs = {str(job.id): job.needs for job in made.jobs}
    assert list(needs) == ["base", "big-base-2", "rest", "end"]
    assert needs["big-base-2"] == ("base",)
    assert needs["rest"] == ("base", "big-base-2")
    assert needs["end"] == ("big-base-2", "rest")
    assert any("rest is still large" in note for note in made.notes)


@given(
    words=some.text(max_size=60),
    lists=some.lists(some.text(min_size=1, max_size=12), max_size=3),
)
def test_any_text_of_a_model_is_good_toml(words: str, lists: list[str]) -> None:
    """Quotes, control characters, lone surrogates and line ends cannot break the file."""
    reply = {"jobs": [one("a", *lists, title=words, brief=words, needs=lists)]}
    (piece,) = _pieces(reply)

    table = tomllib.loads(sharing.as_toml([piece]))["job"][0]

    assert table["title"] == piece.title
    assert tuple(table.get("scope", ())) == piece.scope


def _pieces(reply: object) -> tuple[Piece, ...]:
    found = sharing.read(json.dumps(reply))
    assert not isinstance(found, str)
    return found


@pytest.mark.parametrize(
    ("said", "number"),
    [
        ("", 0),
        ("One", 1),
        ("Use e.g. Redis here. Then test v1.2 of it.", 2),
        ("One. Two! Three?", 3),
        ("Call a.b() and see 3.14.", 1),
    ],
)
def test_sentences_are_counted_by_their_ends(said: str, number: int) -> None:
    """Dots in names, versions and abbreviations end no sentence."""
    assert sharing.sentences(said) == number


def test_a_large_repository_is_shown_by_its_directories() -> None:
    """The list of files stays short; each directory says how many it holds."""
    tracked = [f"src/{part}/{number}.py" for part in "ab" for number in range(300)]

    assert sharing.shown(tracked) == ["src/a (300 files)", "src/b (300 files)"]
    assert sharing.shown(["x", "a/y"]) == ["a/y", "x"]
