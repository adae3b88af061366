"""The files that GitHub reads: every promise of theirs that can be seen in the text."""

import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from factory.action import texts
from factory.action.inputs import inputs
from factory.action.outputs import SUMMARY, put, summarise
from tests.action.workflow import ACTION, EXAMPLES, TOY, action, read_outputs

PINNED = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}")
WORKFLOWS = sorted(EXAMPLES.glob("*.yml"))
EVENTS = {
    "issues",
    "issue_comment",
    "pull_request_review_comment",
    "workflow_dispatch",
    "workflow_call",
}


def tree(path: Path) -> dict[Any, Any]:
    """Give a file's tree; YAML 1.1 reads the key `on` as true."""
    read: dict[Any, Any] = yaml.safe_load(path.read_text())
    return read


def steps(path: Path) -> list[dict[str, Any]]:
    """Give all steps of a file."""
    read = tree(path)
    if "runs" in read:
        return list(read["runs"]["steps"])
    return [step for job in read["jobs"].values() for step in job["steps"]]


@pytest.mark.parametrize("path", [ACTION, *WORKFLOWS], ids=lambda path: path.name)
def test_nothing_foreign_is_run(path: Path) -> None:
    """Each action is pinned to a commit, and no expression stands in a text that a shell reads."""
    for step in steps(path):
        assert "uses" not in step or PINNED.fullmatch(step["uses"]), step
        assert "${{" not in step.get("run", ""), step
        assert "cache" not in str(step.get("uses", "")), step


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_no_job_has_more_power_than_its_role(path: Path) -> None:
    """Nothing is granted to all; the model's key and the right to write are never in one job."""
    read = tree(path)
    jobs = read["jobs"]

    assert read["permissions"] == {}
    assert set(read[True]) <= EVENTS
    assert set(jobs) == {"gate", "agent", "apply"}
    for job in jobs.values():
        assert job["timeout-minutes"] <= 45
        assert job["concurrency"]["cancel-in-progress"] is False
    assert set(jobs["agent"]["permissions"].values()) == {"read"}
    assert jobs["gate"]["permissions"]["contents"] == "read"
    assert "secrets." not in str(jobs["gate"]) + str(jobs["apply"])
    assert "checkout" not in str(jobs["gate"]) + str(jobs["apply"])
    [checkout] = [s for s in jobs["agent"]["steps"] if "checkout" in s.get("uses", "")]
    assert checkout["with"]["persist-credentials"] is False
    assert jobs["apply"]["if"].startswith("always()")


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_what_is_handed_over_exists(path: Path) -> None:
    """Inputs and outputs that a workflow names are those of the action and of its jobs."""
    read, known = tree(path), action()
    for job in read["jobs"].values():
        for step in job["steps"]:
            if "coding-agent-factory" in step.get("uses", ""):
                assert set(step["with"]) <= set(known["inputs"])
    text = path.read_text()
    assert set(re.findall(r"steps\.factory\.outputs\.([\w-]+)", text)) <= set(known["outputs"])
    for job, output in re.findall(r"needs\.(\w+)\.outputs\.([\w-]+)", text):
        assert output in read["jobs"][job]["outputs"]


def test_every_input_reaches_its_reader() -> None:
    """Each variable that the action sets is read, and the defaults are those that are read."""
    role = action()["runs"]["steps"][-1]
    told = {name for name in role["env"] if name.startswith("INPUT_")}
    source = (ACTION.parent / "factory/action/inputs.py").read_text()
    defaults = {
        f"INPUT_{name.upper().replace('-', '_')}": str(one.get("default", ""))
        for name, one in action()["inputs"].items()
    }

    assert told == set(re.findall(r'"(INPUT_\w+)"', source))
    given = inputs({name: defaults[name] for name in told}, TOY)
    assert given == inputs({"INPUT_PROTECTED_PATHS": defaults["INPUT_PROTECTED_PATHS"]}, TOY)


@given(values=st.dictionaries(st.sampled_from(["why", "status", "pins"]), st.text(max_size=60)))
def test_an_output_can_name_no_other(values: dict[str, str]) -> None:
    """Whatever a value holds, the runner reads exactly the outputs that were put, on one line."""
    with TemporaryDirectory() as place:
        path = Path(place) / "output"
        put(path, values)
        found = read_outputs(path)

    assert set(found) == set(values)
    for value in found.values():
        assert value.isprintable()


EVIL = "a \"b\" 'c' $(d) `e`\n::set-output name=x::y\n%0A \x1b[31m \u202e <img src=x> <!-- @eve #1"


def test_a_page_shows_hostile_words_as_text(tmp_path: Path) -> None:
    """Titles with quotes, commands, escapes or direction marks stand in the page as a code span."""
    page = tmp_path / "page"

    summarise(
        page,
        texts.summary(
            "apply",
            "blocked",
            facts={"item": "#1"},
            phases={"applying": 1.0},
            more=texts.findings((EVIL,)),
        ),
    )
    summarise(page, texts.refused("address", "mode", (EVIL,)))
    summarise(page, texts.ended("address", "failure", EVIL))

    said = page.read_text()
    for bad in ("\x1b", "\u202e", "<img", "<!--", "@eve", "\n::set-output"):
        assert bad not in said
    assert said.count("`a \"b\" 'c' $(d) 'e' ::set-output") == 3


def test_a_page_has_a_bound(tmp_path: Path) -> None:
    """GitHub drops a page that is too long as a whole, so ours ends before."""
    page = tmp_path / "page"

    summarise(page, "é" * SUMMARY)

    assert len(page.read_bytes()) < SUMMARY + 100
    assert "too long" in page.read_text()
