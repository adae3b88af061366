"""A plan carried out by the real program: a pull request with proof for each issue, or why not."""

import random
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.system.conftest import settle
from tests.system.forges import TOY, Works
from tests.system.plans import FIXES, plan_of, put, script, surveyed
from tests.system.user import User

pytestmark = pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is missing")

Row = Mapping[str, Any]


def fix(works: Works, *words: str, code: int = 0, **more: Any) -> dict[str, Any]:
    """Carry out the plan that lies beside the checkout, and give the document."""
    path = works.user.checkout.parent / "plan.json"
    given = ("fix", str(path), "--trust", *words)
    return works.user.document(*given, schema="factory.run/1", code=code, env={**works.env, **more})


def states(document: Mapping[str, Any]) -> dict[int, str]:
    """Give what became of each item."""
    return {row["issue"]: row["state"] for row in document["issues"]}


def row(document: Mapping[str, Any], number: int) -> Row:
    """Give one item's row."""
    return next(each for each in document["issues"] if each["issue"] == number)


def job(document: Mapping[str, Any], name: str) -> Row:
    """Give one job's row."""
    return next(each for each in document["jobs"] if each["id"] == name)


def ours(works: Works) -> list[tuple[str, str]]:
    """Give branch and body of the pull requests that are not alice's."""
    found = works.hub.repo(TOY).pulls()
    return [(pull.head_ref, issue.body or "") for issue, pull in found if issue.number != 6]


def keywords(body: str) -> list[tuple[str, str]]:
    """Give the lines that close or name issues."""
    return re.findall(r"^(Fixes|Refs) #(\d+)$", body, re.MULTILINE)


def without(number: int, plan: dict[str, Any]) -> dict[str, Any]:
    """Give a plan as a person edits it who leaves an issue for another day."""
    for each in plan["items"]:
        each["action"] = "leave" if each["n"] == number else each["action"]
    for each in plan["closing"]:
        each["keyword"] = "none" if each["item"] == number else each["keyword"]
    return plan


def test_a_plan_becomes_one_pull_request_though_the_factory_is_killed(
    user: User, tmp_path: Path
) -> None:
    """Killed where the pull request exists and no record of it: resumed, everything is there once.

    Each issue has a test that is red on the base and green on what landed; what was fixed already
    is told with the test that passes; alice's pull request is built on, with credit, and untouched.
    """
    with surveyed(user, tmp_path / "hub") as works:
        put(works, without(3, plan_of(works)))
        env = {**works.env, "FACTORY_FAILPOINT": "delivering.pull.after:kill"}
        user.fac("fix", str(tmp_path / "plan.json"), "--trust", "--json", code=-9, env=env)

        done = user.document("resume", "--trust", schema="factory.run/1", env=works.env)

        assert states(done) == {
            1: "fixed",
            2: "duplicate",
            3: "left",
            4: "already-fixed",
            5: "fixed",
            6: "built-on",
            7: "human",
            8: "security",
        }
        one = row(done, 1)
        assert (one["base"], one["head"], one["runs"], one["closes"]) == ("fail", "pass", 3, True)
        assert "3 != 4" in one["failure"]
        assert row(done, 4)["test"] == "tests/test_four.py::Issue4"
        [(branch, body)] = ours(works)
        assert branch == f"factory/pr/wrong-numbers-{done['plan']['sha256'][:8]}"
        assert keywords(body) == [("Fixes", number) for number in "125"]
        assert f"the plan: `{done['plan']['sha256']}`" in body
        assert "Builds on #6 by @alice" in body
        assert "item 4: `already-fixed: tests/test_four.py::Issue4 passes on the base" in body
        assert "secret words" not in body
        log = user.git("log", "--format=%(trailers:key=Co-authored-by)", f"{done['target']}")
        # Not what alice's commits say of who made them: that is anybody's word.
        assert re.search(r"^Co-authored-by: alice <\d+\+alice@users\.noreply\.", log, re.MULTILINE)
        assert log.count("Co-authored-by") == 1
        held = works.hub.objects(TOY)
        assert (held.pulls, held.branches, held.comments) == (2, 2, 0)
        assert works.hub.issue(TOY, 6).state == "open"


@pytest.mark.soak
def test_a_partial_success_delivers_what_is_proven_and_says_what_is_not(
    user: User, tmp_path: Path
) -> None:
    """A station that leaves its scope twice is given up by name, one without proof closes nothing.

    The rest is offered, and the exit code says that a job failed.
    """
    strays = "echo x > pkg/stray.py\n" + script(FIXES["two"])
    unproven = script({**FIXES["three"], "pkg/new.py": "X = 1\n"}) + (
        "sed -i '1i from pkg import new' tests/test_three.py\n"
    )
    with surveyed(user, tmp_path / "hub", two=strays, three=unproven) as works:
        plan = plan_of(works)
        plan["stations"][2]["scope"]["write"].append("pkg/new.py")
        put(works, plan)

        done = fix(works, code=1)

        assert states(done)[3] == "failed"
        two = job(done, "two")
        assert (two["state"], two["attempts"]) == ("dead", 2)
        assert "pkg/stray.py" in two["reason"]
        assert row(done, 5)["state"] == "not-shown"
        assert "do not run at all" in row(done, 5)["why"]
        [(_, body)] = ours(works)
        assert keywords(body) == [("Fixes", "1"), ("Fixes", "2"), ("Refs", "5")]
        assert "job `two`: `not fixed for it: 3; " in body
        brief = next(user.checkout.glob(".git/factory/runs/*/two/2/brief.json")).read_text()
        assert "pkg/stray.py" in brief


@pytest.mark.soak
def test_what_moved_since_the_survey_is_left_and_said(user: User, tmp_path: Path) -> None:
    """A changed text, a closed issue, a maintainer's word and a moved pull request are not used."""
    with surveyed(user, tmp_path / "hub") as works:
        put(works, plan_of(works))
        octo = works.hub.act("octo")
        works.hub.act("octocat").edit(TOY, 1, body="Something else.")
        works.hub.act("eve").comment(TOY, 2, "me too")
        octo.close(TOY, 3)
        works.hub.act("alice").commit("alice/toy", "neg", {"pkg/three.py": "x = 1\n"}, "More")

        done = fix(works)

        assert states(done) == {
            1: "left",
            2: "duplicate",
            3: "left",
            4: "already-fixed",
            5: "in-flight",
            6: "in-flight",
            7: "human",
            8: "security",
        }
        assert "its text was changed since the survey" in row(done, 1)["why"]
        assert "its head moved" in row(done, 6)["why"]
        [(_, body)] = ours(works)
        assert keywords(body) == [("Fixes", "2")]
        assert [each["id"] for each in done["jobs"]] == ["one"]


@pytest.mark.soak
def test_replacing_a_pull_request_needs_a_word_and_thanks_its_author(
    user: User, tmp_path: Path
) -> None:
    """With --replace nothing of it is used, and it stays as it is."""
    alone = script({**FIXES["three"], "pkg/three.py": "def negative(x):\n    return 0 - x\n"})
    with surveyed(user, tmp_path / "hub", three=alone) as works:
        put(works, plan_of(works))

        done = fix(works, "--replace")

        assert (states(done)[5], states(done)[6]) == ("fixed", "superseded")
        [(_, body)] = ours(works)
        assert "Supersedes #6 (thanks @alice)" in body
        assert ("Fixes", "5") in keywords(body)
        log = user.git("log", "--format=%(trailers:key=Co-authored-by)", done["target"])
        assert "alice" not in log
        assert works.hub.issue(TOY, 6).state == "open"


@pytest.mark.soak
def test_an_issue_that_moves_during_the_run_stops_the_delivery(user: User, tmp_path: Path) -> None:
    """Nothing is written about what is not what was read; the work stays, and a resume tries."""
    with surveyed(user, tmp_path / "hub") as works:
        put(works, plan_of(works))
        env = {**works.env, "FACTORY_FAILPOINT": "delivering.push.before:kill"}
        user.fac("fix", str(tmp_path / "plan.json"), "--trust", "--json", code=-9, env=env)
        works.hub.act("alice").commit("alice/toy", "neg", {"pkg/three.py": "x = 1\n"}, "More")

        done = user.document("resume", "--trust", schema="factory.run/1", code=4, env=works.env)

        assert "#6, on which this builds, moved" in str(done["undelivered"])
        assert ours(works) == []


@pytest.mark.soak
def test_a_plan_file_that_changes_changes_no_run(user: User, tmp_path: Path) -> None:
    """The run goes on with the plan that it began with; a kept plan that was changed is refused."""
    with surveyed(user, tmp_path / "hub") as works:
        path = put(works, plan_of(works))
        env = {**works.env, "FACTORY_FAILPOINT": "merge.landing_commit.before:kill"}
        user.fac("fix", str(path), "--trust", "--json", code=-9, env=env)
        path.write_text("{}")
        [kept] = user.checkout.glob(".git/factory/plans/*.json")
        before = kept.read_text()
        kept.write_text(before.replace("wrong numbers", "other numbers"))
        ran = user.fac("resume", "--trust", code=7, env=works.env)
        assert "is not the plan that the run began with" in ran.err.decode()
        kept.write_text(before)

        done = user.document("resume", "--trust", schema="factory.run/1", env=works.env)

        assert states(done)[1] == "fixed"


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(5))
def test_twenty_kills_of_a_fix_leave_no_duplicate(
    seed: int, small_repository: Path, tmp_path: Path
) -> None:
    """Five worlds, each killed four times at random moments: the same tree, one of everything."""
    dice, done = random.Random(seed), 0  # noqa: S311  it picks when to kill
    user = settle(small_repository, tmp_path)
    with surveyed(user, tmp_path / "hub") as works:
        path = str(put(works, plan_of(works)))

        def words() -> tuple[str, ...]:
            placed = works.next() == ("resume",)
            return ("resume", "--trust") if placed else ("fix", path, "--trust")

        while done < 4:
            seconds = dice.uniform(0.3, 9)
            done += works.kill_after(words(), seconds)
        final = user.document(*words(), schema="factory.run/1", env=works.env)

        assert set(states(final).values()) >= {"fixed", "duplicate", "already-fixed", "built-on"}
        tree = user.git("rev-parse", f"{final['target']}^{{tree}}")
        for path_, text in {k: v for each in FIXES.values() for k, v in each.items()}.items():
            assert user.at(tree, path_) + "\n" == text
        assert len(ours(works)) == 1
        held = works.hub.objects(TOY)
        assert (held.pulls, held.branches, held.comments) == (2, 2, 0)
        assert works.leaks() == []
