"""A plan's file: made by `fix --plan-only`, edited by a person, shown as a run by `plan`."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

import factory.__main__  # noqa: F401  every command is known to the app
from factory.cli.app import run
from factory.complaint import Complaint
from factory.strategy import document, loading, showing
from factory.strategy.values import Action, Alternative, Strategy
from factory.survey import document as surveys
from factory.survey.values import Class, Survey
from factory.views.screen import Cell, Table
from tests.conftest import make_repository
from tests.strategy import scenes

CONFIG = """
version = 1
[line]
budget = { usd = 5, minutes = 60 }
[[station]]
name = "code"
scope = ["src/**", "tests/**"]
agent = { runtime = "command", run = ["sh", "agent.sh"] }
[[station]]
name = "tests"
kind = "test"
run = ["python", "-m", "pytest", "-q"]
"""
Json = dict[str, Any]


@dataclass
class Desk:
    """A person in a checkout, who types commands in this process and reads what they say."""

    place: Path
    capture: pytest.CaptureFixture[str]

    def __call__(self, *words: str, code: int = 0) -> tuple[str, str]:
        """Type a command; give what it printed and what it told."""
        assert run(words) == code, self.capture.readouterr()
        said = self.capture.readouterr()
        return said.out, said.err

    def survey(self, found: Survey, name: str = "survey.json") -> Path:
        """Lay a survey's document into the checkout."""
        path = self.place / name
        path.write_text(surveys.text(found))
        return path

    def plan(self) -> Json:
        """Read the plan's file."""
        found: Json = json.loads((self.place / "plan.json").read_text())
        return found

    def edit(self, **changes: object) -> None:
        """Change fields of the plan's file, as a person does."""
        (self.place / "plan.json").write_text(json.dumps(self.plan() | changes))


@pytest.fixture
def desk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Desk:
    """Give a person in a checkout of the sample's files."""
    files = {path: "X = 1\n" for path in scenes.TRACKED if path != "conftest.py"}
    place = make_repository(tmp_path / "repo", {**files, "factory.toml": CONFIG})
    monkeypatch.chdir(place)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("ANTHROPIC_API_KEY", "GITHUB_TOKEN", "GH_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    return Desk(place=place, capture=capsys)


def test_a_survey_becomes_a_plan_that_waits_for_words(desk: Desk) -> None:
    """Without a model plan.json lies beside the survey, is shown, and says what to fill in."""
    desk.survey(scenes.sample())

    out, err = desk("fix", "survey.json", "--plan-only", code=4)

    assert "octo/ferry: 5 issues to fix, 4 root causes, 3 stations in 1 wave" in out
    assert "tests/test_proxy_issues.py::test_issue_1" in " ".join(out.split())
    assert "no model key: the strategy is left for you to put into words" in err
    assert "to fill in: strategy.statement" in err
    assert "then: factory fix plan.json" in err
    assert document.read(json.dumps(desk.plan())).worked() == (1, 2, 3, 5, 8)


def test_an_edited_plan_counts_and_its_hash_is_told(desk: Desk) -> None:
    """Put into words, the plan is right; the same survey again goes on with it, edits and all."""
    desk.survey(scenes.sample())
    desk("fix", "survey.json", "--plan-only", code=4)
    desk.edit(strategy={"statement": "One table decides.", "risks": ["Dots count."]})

    _, err = desk("fix", "survey.json", "--plan-only")

    assert "it counts, with your edits" in err
    assert f"plan {document.digest(document.read(json.dumps(desk.plan())))[:12]}: plan.json" in err
    out, _ = desk("fix", "plan.json", "--plan-only", "--json")
    assert json.loads(out)["strategy"]["statement"] == "One table decides."


def test_a_plan_of_another_survey_is_never_written_over(desk: Desk) -> None:
    """It may hold somebody's edits: it is named, with both ways out."""
    desk.survey(scenes.sample())
    desk("fix", "survey.json", "--plan-only", code=4)
    desk.survey(replace(scenes.sample(), theme="other"), "other.json")

    _, err = desk("fix", "other.json", "--plan-only", code=2)

    assert "plan.json exists, and is not a plan of this survey" in err
    assert "--force makes it anew" in err
    desk("fix", "other.json", "--plan-only", "--force", code=4)
    assert desk.plan()["theme"] == "other"
    desk("fix", "survey.json", "--plan-only", code=2)
    desk("fix", "other.json", "--plan-only", "--out", "elsewhere/deep", code=4)
    assert (desk.place / "elsewhere/deep/plan.json").is_file()


def test_all_that_is_wrong_with_an_edited_plan_is_told(desk: Desk) -> None:
    """Shape first, then the rules: each mistake a line, with what to do; exit 2."""
    desk.survey(scenes.sample())
    desk("fix", "survey.json", "--plan-only", code=4)
    good = desk.plan()
    desk.edit(waves=[], left_out=[])

    _, err = desk("fix", "plan.json", "--plan-only", code=2)

    assert "plan.json is no plan that can run:" in err
    assert "station url: is in no wave; put it into one" in err
    assert "item #6: is in no root cause and not in left_out" in err
    good["stations"][0]["scop"] = 1
    desk.edit(**good)
    _, err = desk("fix", "plan.json", "--plan-only", code=2)
    assert '$.stations[0] (proxy).scop: is no field of a plan; did you mean "scope"?' in err


def test_plan_shows_a_plan_file_as_a_run(desk: Desk) -> None:
    """Jobs, waves, scopes and what is to be known, with `@` or without; nothing is started."""
    desk.survey(scenes.sample())
    desk("fix", "survey.json", "--plan-only", code=4)

    out, _ = desk("plan", "@plan.json", "--json")

    shown = json.loads(out)
    assert [(row["id"], row["station"], row["round"]) for row in shown["jobs"]] == [
        ("proxy", "proxy", 1),
        ("url", "url", 1),
        ("pool", "pool", 1),
    ]
    assert shown["waves"] == 1
    assert shown["constraint"]
    assert shown["jobs"][1]["accept"][0][-1] == "tests/test_url_issues.py::test_issue_3"
    assert any(line.startswith("to fill in: strategy") for line in shown["warnings"])
    said, _ = desk("plan", "plan.json")
    assert "3 jobs in 1 round" in said


def test_what_is_neither_survey_nor_plan_is_named(desk: Desk) -> None:
    """Another document, a file that is none, and jobs beside a plan are refused in words."""
    (desk.place / "x.json").write_text("{}")
    desk.survey(scenes.sample())
    desk("fix", "survey.json", "--plan-only", code=4)
    shown, _ = desk("plan", "plan.json", "--json")
    (desk.place / "shown.json").write_text(shown)

    assert "x.json is no survey" in desk("fix", "x.json", code=2)[1]
    assert "no.json cannot be read" in desk("fix", "no.json", code=2)[1]
    assert "which is no strategy" in desk("fix", "shown.json", code=2)[1]
    assert "factory fix plan.json" in desk("run", "@plan.json", code=2)[1]
    assert "takes no further jobs" in desk("plan", "plan.json", "more", code=2)[1]
    assert "x.json is no plan.json" in desk("plan", "@x.json", code=2)[1]


def test_the_schema_of_a_plan_is_printed_for_editors(desk: Desk) -> None:
    """`fix --schema` needs neither a survey nor a plan."""
    assert json.loads(desk("fix", "--schema")[0]) == document.schema()


def test_a_kept_plan_is_what_its_hash_says(tmp_path: Path) -> None:
    """What a run began with cannot be changed behind its back."""
    plan = scenes.plan()
    place = loading.keep(plan, tmp_path)

    assert loading.kept(tmp_path, document.digest(plan)) == plan
    place.write_text(place.read_text().replace("proxy handling", "something else"))
    with pytest.raises(Complaint, match="is not the plan that the run began with"):
        loading.kept(tmp_path, document.digest(plan))
    place.unlink()
    with pytest.raises(Complaint, match="cannot be read"):
        loading.kept(tmp_path, document.digest(plan))


def test_the_picture_of_a_plan_holds_no_secret_and_no_control_character() -> None:
    """Words of strangers and of models are masked, and what was set aside is not shown."""
    key = "ghp_" + "c3" * 18
    plan = scenes.with_item(scenes.plan(), 6, verdict=Class.SECURITY, action=Action.SECURITY)
    plan = scenes.with_item(plan, 6, title="", evidence=(), why="set aside")
    plan = scenes.with_item(plan, 1, title=f"\x1b[2J{key}")
    words = Strategy(
        statement=f"See {key}.", alternatives=(Alternative(what=key, why_not="no"),), risks=(key,)
    )

    parts = list(showing.parts(replace(plan, strategy=words), [key]))

    texts = [part.text for part in parts if isinstance(part, Cell)]
    for table in (part for part in parts if isinstance(part, Table)):
        for row in table.rows:
            for cell in row:
                texts += [each.text for each in (cell if isinstance(cell, tuple) else (cell,))]
    assert not [each for each in texts if key in each or "\x1b" in each]
    assert "(not shown)" in texts
