"""What a plan may still work on, and what is said of each of its items in the end."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from factory import rechecking, shift
from factory.complaint import Complaint
from factory.events import Dead, Landed, Opened, Place, Placed, Reproduced
from factory.fixes import Facts, Left, pull_job, results
from factory.forge.texts import OFF
from factory.line import Line, opened, step
from factory.strategy.values import (
    Acceptance,
    Action,
    Allowance,
    Alternative,
    Bounds,
    Closing,
    Credit,
    Delivery,
    Plan,
    PlanItem,
    PlanStation,
    Strategy,
)
from factory.survey.values import Class
from stations.contract import Wanted
from stations.plain import Plain
from tests.factory.works import rules, site_at, task
from tests.forge.desktop import Desktop, entered
from tests.forge.hub import Hub
from worktrees.names import JobId, Oid, RunId
from worktrees.scope import Scope

TOY = "octo/toy"
BEGINS = datetime(2026, 6, 1, tzinfo=UTC)
OID = Oid("1" * 40)


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """Give a forge with a repository and people around it."""
    with Hub(place=tmp_path_factory.mktemp("hub"), begins=BEGINS) as found:
        found.repository(TOY)
        found.user("mona", "write")
        found.user("eve", "read")
        yield found


@pytest.fixture(scope="module")
def desk(hub: Hub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desktop]:
    """Give a clone that is connected to it."""
    found = entered(hub, tmp_path_factory.mktemp("desk") / "toy")
    with found.forge:
        yield found


def item(number: int, action: Action = Action.FIX, **fields: object) -> PlanItem:
    """Give an item of a plan."""
    made = PlanItem(
        n=number,
        kind="issue",
        state="open",
        title=f"Item {number}",
        updated_at=BEGINS,
        verdict=Class.CANONICAL,
        root_cause_id="rc-1",
        confidence=0.9,
        action=action,
    )
    return replace(made, **fields)  # type: ignore[arg-type]  # fields of the item


def plan(
    *items: PlanItem, credit: tuple[Credit, ...] = (), closing: tuple[Closing, ...] = ()
) -> Plan:
    """Give a plan of these items; one station works on their root cause."""
    return Plan(
        schema="factory.plan/1",
        repo=TOY,
        base_sha=OID,
        theme="t",
        created=BEGINS,
        items=items,
        root_causes=(),
        strategy=Strategy(statement="s", alternatives=(Alternative(what="w", why_not="n"),)),
        stations=(
            PlanStation(
                id="one",
                root_cause_ids=("rc-1",),
                scope=Scope(write=("one/**",)),
                budget=Allowance(),
            ),
        ),
        waves=(("one",),),
        delivery=Delivery(
            mode="one-pr", branches=("factory/pr/x",), limits=Bounds(files=9, lines=9)
        ),
        credit=credit,
        closing=closing,
    )


def test_only_what_is_as_it_was_surveyed_is_worked_on(hub: Hub, desk: Desktop) -> None:
    """Texts, states, labels, the words of people who may write, and others' work count."""
    octo, eve = hub.act("octocat"), hub.act("eve")
    numbers = [octo.open(TOY, f"Bug {n}", "It breaks.") for n in range(9)]
    same, text, renamed, closed, off, spoken, stranger, taken, gone = numbers
    surveyed = {n: hub.issue(TOY, n).updated for n in numbers}
    octo.edit(TOY, text, body="Do something else.")
    octo.edit(TOY, renamed, title="Other")
    hub.act("octo").close(TOY, closed)
    hub.act("mona").label(TOY, off, OFF)
    hub.act("mona").comment(TOY, spoken, "Please wait with it.")
    eve.comment(TOY, stranger, "me too")
    hub.fork(TOY, "eve/toy")
    eve.commit("eve/toy", "x", {"x": "x\n"}, "X")
    other = eve.open_pull(TOY, "x", "X", body=f"Fixes #{taken}", source="eve/toy")
    hub.act("octo").remove(TOY, gone)

    now = rechecking.look(
        desk.forge,
        plan(*(item(n, updated_at=surveyed[n]) for n in numbers)),
        onto="",
        replace=False,
    )

    assert now.marks.keys() == {same, stranger}
    whys = {number: left.why for number, left in now.left.items()}
    assert whys == {
        text: "its text was changed since the survey",
        renamed: "its text was changed since the survey",
        closed: "it was closed since the survey",
        off: f"it has the label {OFF}",
        spoken: "somebody commented on it since the survey",
        taken: f"pull request {other} is open for it; name it in the plan's credit to build on it,"
        " or to do it anew with --replace",
        gone: "it is not there any more",
    }
    assert now.left[taken].state == "in-flight"


def test_a_pull_request_is_built_on_only_as_it_was_read(hub: Hub, desk: Desktop) -> None:
    """Its own issue is not held up by it; moved, it is not used, and its issue is in flight."""
    issue = hub.act("octocat").open(TOY, "Bug", "It breaks.")
    hub.fork(TOY, "mona/toy")
    head = hub.act("mona").commit("mona/toy", "y", {"y": "y\n"}, "Y")
    pull = hub.act("mona").open_pull(TOY, "y", "Y", body=f"Fixes #{issue}", source="mona/toy")
    credit = Credit(login="mallory", id=None, pr=pull, how="co-author")
    made = plan(
        item(issue, updated_at=hub.issue(TOY, issue).updated),
        item(pull, Action.CLOSE_AFTER_MERGE, kind="pull", head_sha=head),
        credit=(credit,),
    )

    now = rechecking.look(desk.forge, made, onto="main", replace=False)
    hub.act("mona").commit("mona/toy", "y", {"y": "z\n"}, "Z")
    moved = rechecking.look(desk.forge, made, onto="main", replace=False)
    other = rechecking.look(desk.forge, made, onto="next", replace=False)
    anew = rechecking.look(desk.forge, made, onto="main", replace=True)
    hub.act("mona").close(TOY, pull)
    closed = rechecking.look(desk.forge, made, onto="main", replace=True)

    assert (dict(now.heads), now.left) == ({pull: head}, {})
    assert (moved.heads, "its head moved" in moved.unused[pull]) == ({}, True)
    assert moved.left[issue].state == "in-flight"
    assert (anew.heads, anew.unused, anew.left) == ({}, {}, {})
    assert (now.authors, closed.authors) == ({pull: "mona"}, {})
    [line] = now.credit[pull]
    assert re.fullmatch(r"mona <\d+\+mona@users\.noreply\.127\.0\.0\.1>", line)
    assert "it is for the branch main and not for next" in other.unused[pull]


def test_a_plan_alone_replaces_nobodys_open_pull_request(hub: Hub, desk: Desktop) -> None:
    """A reader's word that one is superseded needs a person's, or another one that is used."""
    issue = hub.act("octocat").open(TOY, "Bug", "It breaks.")
    heads, pulls = [], []
    for login in ("mona", "eve"):
        hub.fork(TOY, f"{login}/toy")
        branch = f"for-{issue}"
        heads.append(hub.act(login).commit(f"{login}/toy", branch, {"z": f"{login}\n"}, "Z"))
        body = f"Fixes #{issue}"
        pulls.append(hub.act(login).open_pull(TOY, branch, "Z", body=body, source=f"{login}/toy"))
    items = (
        item(issue, updated_at=hub.issue(TOY, issue).updated),
        *(
            item(pull, Action.CLOSE_AFTER_MERGE, kind="pull", head_sha=head)
            for pull, head in zip(pulls, heads, strict=True)
        ),
    )
    mentions = tuple(Credit(login="x", id=None, pr=pull, how="mention") for pull in pulls)
    first = replace(mentions[0], how="co-author")

    told = rechecking.look(desk.forge, plan(*items, credit=mentions), onto="", replace=False)
    anew = rechecking.look(desk.forge, plan(*items, credit=mentions), onto="", replace=True)
    used = rechecking.look(
        desk.forge, plan(*items, credit=(first, mentions[1])), onto="", replace=False
    )

    assert told.left[issue].state == "in-flight"
    assert "--replace" in told.left[issue].why
    assert (anew.left, used.left, dict(used.heads)) == ({}, {}, {pulls[0]: heads[0]})


def test_each_item_ends_with_what_became_of_it_and_why() -> None:
    """Proven, already fixed, in flight, a duplicate, given up or set aside: no two look alike."""
    proof = Acceptance(item=4, test_id="t.py::four", command=("true",))
    made = plan(
        item(1),
        item(2, Action.COVERED, verdict=Class.DUPLICATE, of=1),
        item(3),
        item(4, Action.ALREADY_FIXED, proof=proof),
        item(5),
        item(6, Action.CLOSE_AFTER_MERGE, kind="pull"),
        item(7, Action.HUMAN, why="unclear"),
        item(8, Action.SECURITY, title=""),
        item(9),
        item(10, Action.LEAVE, verdict=Class.DUPLICATE, of=1),
        closing=(Closing(item=2, keyword="none"),),
        credit=(Credit(login="ada", id=None, pr=6, how="co-author"),),
    )
    facts = Facts(
        base=OID,
        fixed=(4,),
        left={9: Left(state="in-flight", why="there is one")},
        pulls={6: "a..b"},
    )
    line = run(
        done={"one": (1, 2, 5), pull_job(6): ()},
        dead={"three": (3,)},
        proofs={1: "shown", 2: "shown", 5: "already"},
    )

    found = {each.n: each for each in results(made, facts, line)}

    assert {number: each.state for number, each in found.items()} == dict(
        enumerate(
            (
                *("fixed", "duplicate", "failed", "already-fixed", "not-shown", "built-on"),
                *("human", "security", "in-flight", "duplicate"),
            ),
            start=1,
        )
    )
    assert (found[1].base, found[1].head, found[1].runs, found[1].closes) == (
        *("fail", "pass"),
        *(3, True),
    )
    assert [each.n for each in found.values() if each.closes] == [1]
    assert (found[5].base, found[5].runs) == ("pass", 1)
    assert (found[3].why, found[4].test, found[2].of) == ("gave up", "t.py::four", 1)


def test_a_pull_request_is_replaced_only_where_something_took_its_place() -> None:
    """Without a landing for its root cause nobody is told that theirs is superseded."""
    made = plan(
        item(1),
        item(6, Action.CLOSE_AFTER_MERGE, kind="pull"),
        item(7, Action.CLOSE_AFTER_MERGE, kind="pull", root_cause_id=None),
        credit=tuple(Credit(login="ada", id=None, pr=n, how="mention") for n in (6, 7)),
    )
    facts = Facts(base=OID, authors={6: "ada", 7: "ada"}, replace=True)

    states = [
        [each.state for each in results(made, facts, line)[1:]]
        for line in (
            None,
            run(done={}, dead={"one": (1,)}, proofs={}),
            run(done={"one": (1,)}, dead={}, proofs={1: "shown"}),
        )
    ]

    gone = replace(facts, authors={7: "ada"})
    landed = run(done={"one": (1,)}, dead={}, proofs={1: "shown"})
    assert results(made, gone, landed)[1].state == "in-flight"
    assert states == [["in-flight"] * 2, ["in-flight"] * 2, ["superseded", "in-flight"]]


def test_a_branch_that_moves_while_a_plan_is_shown_starts_no_run(checkout: Path) -> None:
    """What was proven on one commit is never the word on a run that begins at another."""
    site = site_at(checkout, config="[line]\ndeliver = 'branch'\n")
    order = shift.Order(jobs=(), options={}, sandbox=Plain(), prepared=OID)

    with pytest.raises(Complaint, match="the branch moved to") as refused:
        shift.start(site, order, watch=lambda *_: None, say=print)

    assert refused.value.code == 4


def run(
    *,
    done: dict[str, tuple[int, ...]],
    dead: dict[str, tuple[int, ...]],
    proofs: dict[int, str],
) -> Line:
    """Give a line whose jobs ended so, with what is on record of their issues."""
    line = opened(
        Opened(run=RunId("r"), base=OID, target="refs/heads/t", deliver="pr", rules=rules()), 0.0
    )
    jobs = {
        name: task(name, f"{name}/**", issues=tuple(Wanted(number=n) for n in numbers))
        for name, numbers in {**done, **dead}.items()
    }
    line, _ = step(line, Placed(jobs=tuple(jobs.values())), 1.0)
    for name in jobs:
        place: Place = Landed(commit=OID, tree=OID) if name in done else Dead(fault="gave up")
        works = {**line.jobs, JobId(name): replace(line.jobs[JobId(name)], place=place)}
        line = replace(line, jobs=works)
    for name, numbers in done.items():
        for number in numbers:
            made = Reproduced(
                job=JobId(name),
                base=OID,
                tree=OID,
                issue=number,
                shown=proofs[number] == "shown",
                already=proofs[number] == "already",
                why="as tried",
            )
            line, _ = step(line, made, 2.0)
    return line
