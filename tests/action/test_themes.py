"""A theme's survey and fix in the Action: what is pinned, what is written, and what stops it."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from factory.action import findings
from factory.action.apply import Applied
from factory.action.bundle import Evidence, Seen
from factory.complaint import Complaint
from factory.forge import standing
from factory.forge.gatekeeping import Pins
from factory.forge.texts import Asked, Claim, Strategy
from factory.survey.values import Survey
from stations.contract import Spend
from tests.action.bench import Bench
from tests.action.workflow import EXAMPLES, TOY, toy
from tests.conftest import commit_files
from tests.forge.hub import Hub
from worktrees.names import JobId, Oid

NEW = {"jobs/new.txt": "new\n"}
PLAN = "ab" * 32
DISPATCH = {"repository": {"full_name": TOY}, "sender": {"login": "mona", "type": "User"}}


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """Give a run against a forge that has the toy."""
    with Hub(place=tmp_path / "hub", begins=datetime.now(UTC)) as hub:
        toy(hub)
        yield Bench(hub=hub, place=tmp_path)


def gated(bench: Bench, **given: str) -> Pins:
    """Give the pins of a fix that somebody started by hand."""
    told = {"command": "fix", "query": "proxy handling", **given}
    found = bench.gate(json.dumps(DISPATCH), event="workflow_dispatch", **told)
    assert found.pins is not None, found.why
    return found.pins


def seen(bench: Bench, *numbers: int) -> tuple[Seen, ...]:
    """Give the marks of issues as they are now."""
    with bench.entered("agent") as forge:
        issues = [forge.door.issue(number) for number in numbers]
    return tuple(Seen(number=each.number, mark=standing.mark(each)) for each in issues)


def applied(bench: Bench, pins: Pins, numbers: tuple[int, ...], **told: Any) -> Applied:
    """Seal a fix of issues, of which the first one was reproduced, and apply it."""
    digest = sealed(bench, pins, numbers, **told)
    return bench.apply(pins, bundle_sha256=digest)


def sealed(bench: Bench, pins: Pins, numbers: tuple[int, ...], **told: Any) -> str:
    """Seal a fix of issues, of which the first one was reproduced."""
    repository = bench.clone()
    head = commit_files(repository, Oid(pins.base), NEW)
    claims = tuple(Claim(issue=number, closes=True) for number in numbers)
    shown = Evidence(
        job="gh-1",
        issue=numbers[0],
        base=pins.base,
        tree=repository.git.tree_of(head),
        shown=True,
        why="red before, green now",
    )
    more = {
        "plan": PLAN,
        "seen": seen(bench, *numbers),
        "asked": (Asked(job=JobId("gh-1"), title="One part", claims=claims),),
        "strategy": Strategy(digest=PLAN, statement="One strategy"),
        "evidence": (shown,),
        **told,
    }
    return bench.sealed(pins, head, **more)


def opened(bench: Bench, count: int = 2) -> tuple[int, ...]:
    """Open issues."""
    return tuple(bench.hub.act("octocat").open(TOY, f"Bug {n}", "bad") for n in range(count))


def test_a_theme_becomes_one_pull_request_with_a_word_for_each_issue(bench: Bench) -> None:
    """Only what has evidence is closed; applied twice it is one branch and one pull request.

    Without an item there is no comment: the page of the run says what became of it. What is said of
    an issue that the fix is not for stands nowhere.
    """
    *numbers, other = opened(bench, 3)
    pins = gated(bench)
    claims = tuple(Claim(issue=number, closes=True) for number in (*numbers, other))
    asked = (Asked(job=JobId("gh-1"), title="One part", claims=claims),)
    left = {JobId("other"): "it is red"}
    digest = sealed(bench, pins, tuple(numbers), asked=asked, left_out=left)

    first = bench.apply(pins, bundle_sha256=digest)
    second = bench.apply(pins, bundle_sha256=digest)

    assert (first.status, first.operation, second.operation) == ("changed", "created", "none")
    [(issue, pull)] = bench.hub.repo(TOY).pulls()
    assert pull.head_ref.startswith("factory/pr/fix-proxy-handling-")
    assert f"Fixes #{numbers[0]}\n" in issue.body
    assert f"Refs #{numbers[1]}\n" in issue.body
    assert f"#{other}" not in issue.body
    assert "| passes |" in issue.body
    assert "| not shown: " in issue.body
    assert bench.hub.objects(TOY).comments == 0


def test_two_plans_never_stand_side_by_side(bench: Bench) -> None:
    """While the first one's pull request is open a second one waits; then it has its own branch."""
    numbers = opened(bench)
    pins = gated(bench)
    first = bench.apply(pins, bundle_sha256=sealed(bench, pins, numbers))
    clear(bench)
    other = sealed(bench, pins, numbers, plan="cd" * 32)

    early = bench.apply(pins, bundle_sha256=other)
    bench.hub.act("mona").close(TOY, first.number)
    late = bench.apply(pins, bundle_sha256=other)

    assert (early.code, f"another open pull request: #{first.number}" in early.why) == (5, True)
    assert late.operation == "created"
    assert len(bench.branches()) == 2


def test_a_fix_that_began_with_an_issue_speaks_there(bench: Bench) -> None:
    """Its one comment is another one than that of the issue's own work."""
    numbers = opened(bench)
    pins = gated(bench, target=str(numbers[0]), query="")
    own = bench.pins(numbers[0])

    found = applied(bench, pins, numbers)

    assert found.status == "changed"
    [said] = bench.ours(numbers[0])
    assert f"opened #{found.number}" in said
    bench.apply(own, agent_status="no-change")
    assert len(bench.ours(numbers[0])) == 2


def test_an_issue_that_changed_stops_all_of_it(bench: Bench) -> None:
    """Closed, spoken on, or taken by somebody: nothing is pushed, and the issue is named."""
    pins = gated(bench)
    for change, why in (
        (lambda n: bench.hub.act("octocat").close(TOY, n), "was closed"),
        (lambda n: bench.hub.act("mona").comment(TOY, n, "wait"), "commented"),
        (lambda n: rival(bench, n), "another open pull request"),
    ):
        numbers = opened(bench)
        digest = sealed(bench, pins, numbers)
        change(numbers[1])

        found = bench.apply(pins, bundle_sha256=digest)

        assert (found.status, found.code) == ("blocked", 5)
        assert why in found.why
        assert f"#{numbers[1]}" in found.why
        clear(bench)
    assert not bench.branches()


def clear(bench: Bench) -> None:
    """Take the folder away, as another run has its own."""
    folder = bench.flow().temp / "factory-bundle"
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()


def rival(bench: Bench, number: int) -> int:
    """Open somebody's pull request for an issue."""
    bench.hub.act("dora").commit(TOY, "rival", {"jobs/rival.txt": "mine\n"})
    return bench.hub.act("dora").open_pull(TOY, "rival", "Mine", body=f"Fixes #{number}")


def test_a_pull_request_that_is_built_on_stops_nothing(bench: Bench) -> None:
    """Whose work is part of the plan is not ahead of it."""
    pins = gated(bench)
    numbers = opened(bench)
    theirs = rival(bench, numbers[0])

    built = Strategy(digest=PLAN, statement="One", builds=((theirs, "dora"),))

    assert applied(bench, pins, numbers, built=(theirs,), strategy=built).status == "changed"
    [_, (issue, _)] = bench.hub.repo(TOY).pulls()
    assert f"Builds on #{theirs} by @dora" in issue.body


def test_nobody_is_thanked_for_what_somebody_else_did(bench: Bench) -> None:
    """A name is a mention on a forge: it must be the one of who opened that pull request."""
    pins = gated(bench)
    numbers = opened(bench)
    theirs = rival(bench, numbers[0])
    for thanked in ((theirs, "eve"), (numbers[1], "octocat")):
        told = Strategy(digest=PLAN, statement="One", replaces=(thanked,))

        found = applied(bench, pins, numbers[1:], built=(theirs,), strategy=told)

        assert (found.code, "whom it names" in found.findings[0]) == (5, True)
        clear(bench)
    assert not bench.branches()


def test_evidence_of_an_issue_that_is_none_of_the_plans_is_refused(bench: Bench) -> None:
    """A bundle cannot close what the fix is not for, nor take a pull request for an issue."""
    pins = gated(bench)
    numbers = opened(bench, 3)
    foreign = Evidence(
        job="gh-1", issue=numbers[2], base=pins.base, tree="0" * 40, shown=True, why="believe me"
    )

    found = applied(bench, pins, numbers[:2], evidence=(foreign,))

    assert (found.status, found.code) == ("blocked", 5)
    assert "its evidence is not of" in found.findings[0]
    clear(bench)
    theirs = rival(bench, numbers[0])
    assert "is no issue" in applied(bench, pins, (theirs,)).why
    assert not bench.branches()


def test_a_bundle_of_another_command_is_refused(bench: Bench) -> None:
    """A fix is applied where the gate let in a fix, and nowhere else."""
    numbers = opened(bench)
    pins = gated(bench, target=str(numbers[0]), query="")

    found = applied(bench, replace(pins, command="run"), numbers)

    assert (found.status, found.code) == ("blocked", 5)
    assert "another command" in found.findings[0]


def test_a_person_looks_before_anything_of_a_fix_is_written() -> None:
    """It starts by hand alone, and the job that may write waits in an environment of its own."""
    read = yaml.safe_load((EXAMPLES / "factory-survey-fix.yml").read_text())
    survey = yaml.safe_load((EXAMPLES / "factory-survey.yml").read_text())["jobs"]

    assert set(read[True]) == {"workflow_dispatch"}
    assert read["jobs"]["apply"]["environment"] == "factory-apply"
    assert "secrets." not in str(read["jobs"]["apply"])
    powers = {**survey["apply"]["permissions"], **survey["gate"]["permissions"]}
    assert powers == {"contents": "read", "issues": "write"}


def made(**told: Any) -> Survey:
    """Give a survey of the toy that found nothing."""
    blank = {
        "repo": TOY,
        "query": "proxy @eve <b> Fixes #1",
        "seeds": (),
        "created": datetime(2026, 1, 1, tzinfo=UTC),
        "complete": True,
        "why": "",
        "theme": "",
        "classified": False,
        "model": "",
        "asked": 0,
        "agreement": None,
        "requests": 3,
        "waited": 0.0,
        "spend": Spend(),
        **dict.fromkeys(("candidates", "findings", "causes", "quarantined", "left_out"), ()),
    }
    return Survey(**{**blank, **told})


def test_only_the_survey_that_was_made_is_told(tmp_path: Path) -> None:
    """Changed, of another repository, too long, a link or no survey at all: it is not read."""
    folder = tmp_path / "bundle"
    digest = findings.write(folder, made())
    data = folder / "survey.json"
    sound = data.read_bytes()

    assert findings.read(folder, digest, repository=TOY) == made()
    with pytest.raises(Complaint, match="another repository"):
        findings.read(folder, digest, repository="octo/other")
    for bad in (sound + b" ", b"", b"x" * (findings.MOST + 1)):
        data.write_bytes(bad)
        with pytest.raises(Complaint, match="not the survey that was made"):
            findings.read(folder, digest, repository=TOY)
    data.write_bytes(b"[]")
    with pytest.raises(Complaint):
        findings.read(folder, hashlib.sha256(b"[]").hexdigest(), repository=TOY)
    data.unlink()
    data.symlink_to(tmp_path / "other.json")
    (tmp_path / "other.json").write_bytes(sound)
    with pytest.raises(Complaint, match="not the survey"):
        findings.read(folder, digest, repository=TOY)


def test_a_survey_is_told_once_in_words_that_do_nothing(bench: Bench) -> None:
    """Told twice it is one comment, made of fields; on an issue that changed only that is told."""
    [number] = opened(bench, 1)
    pins = replace(bench.pins(number), command="survey", query="proxy")
    digest = findings.write(bench.flow().temp / "factory-bundle", made())

    first, second = (told(bench, pins, bundle_sha256=digest) for _ in range(2))
    bench.hub.act("octocat").edit(TOY, number, body="else")
    late = told(bench, pins, bundle_sha256=digest)
    none = told(bench, replace(pins, number=0), bundle_sha256=digest)

    assert (first.status, second.status) == ("changed", "changed")
    assert (late.status, late.code, none.status) == ("blocked", 5, "no-change")
    [said] = bench.ours(number)
    assert "text was changed" in said
    assert "@eve" not in first.said
    assert "Fixes #1" not in first.said
    assert "<b>" not in first.said


def told(bench: Bench, pins: Pins, **given: str) -> Applied:
    """Let the role that may comment do its job."""
    with bench.entered("apply") as forge:
        return findings.Comment(
            forge=forge,
            flow=bench.flow(),
            given=bench.inputs(**given),
            pins=pins,
            wait=bench.waits.append,
        ).run()
