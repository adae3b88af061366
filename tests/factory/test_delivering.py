"""Delivering what landed: once, never over the work of others, and every refusal said."""

import queue
import re
import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from factory import delivering
from factory.complaint import Complaint
from factory.ending import exit_code
from factory.events import Advanced, Delivered, Event, Landed, Placed
from factory.forge import standing
from factory.forge.texts import Strategy
from factory.outgoing import Outgoing
from factory.site import deliver_to
from factory.stacking import Size
from factory.telling import Planned
from stations.contract import Job, Wanted
from tests.factory.post import TOY, Post, asked, post_at
from worktrees.names import JobId, RunId


def enter(post: Post, patch: pytest.MonkeyPatch, login: str = "mona", level: str = "write") -> None:
    """Let this process speak for somebody."""
    patch.delenv("GH_TOKEN", raising=False)
    patch.setenv("GITHUB_TOKEN", post.hub.token(login, level))
    patch.setenv("GITHUB_API_URL", post.hub.api_url)


@pytest.fixture
def post(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Post]:
    """Give a run without jobs, on a fresh forge."""
    with post_at(tmp_path) as made:
        enter(made, monkeypatch)
        yield made


def with_forge(post: Post, **forge: object) -> None:
    """Give the run other settings of the forge."""
    settings = post.site.settings
    table = replace(settings.forge, **forge)  # type: ignore[arg-type]  # fields of the table
    site = replace(post.site, settings=replace(settings, forge=table))
    post.site, post.courier = site, replace(post.courier, site=site)


def from_issue(post: Post, number: int, name: str = "gh-1") -> Job:
    """Give a job of an issue as it is now."""
    with delivering.connected(post.site, say=post.said.append) as forge:
        seen = standing.mark(forge.door.issue(number))
    return asked(name, issues=(Wanted(number=number, seen=seen),))


def test_many_deliveries_leave_one_pull_request_that_follows_the_run(post: Post) -> None:
    """Once more changes nothing; a further landing moves the branch and the text, nothing else."""
    one, two = asked("one"), asked("two")
    post.record(Placed(jobs=(one, two)))
    first = post.land(one, a="1\n")
    for _ in range(3):
        assert post.deliver() == ()
    assert post.pulls() == [(1, "main", first)]
    assert "job `two`: `is not finished`" in post.body(1)
    second = post.land(two, b="2\n")

    assert post.deliver() == ()

    assert post.pulls() == [(1, "main", second)]
    assert post.places() == {"one": "proposed", "two": "proposed"}
    assert "`b` (+1 -0)" in post.body(1)
    assert post.delivered() == ["created", "updated"]
    held = post.hub.objects(TOY)
    assert (held.pulls, held.branches, held.comments) == (1, 2, 0)


def test_another_run_for_the_same_jobs_brings_the_same_pull_request_up_to_date(
    tmp_path: Path, post: Post
) -> None:
    """The key is what was asked, not the run; what was merged or closed by a person stays so."""
    post.land(asked("one"), a="1\n")
    assert post.deliver() == ()
    with post_at(tmp_path, run_id="run2", hub=post.hub) as again:
        second = again.land(asked("one"), a="other\n")
        assert again.deliver() == ()
        assert again.pulls() == [(1, "main", second)]

        post.hub.act("octo").close(TOY, 1)
        code, why = again.refused()
    assert (code, "closed #1" in why) == (4, True)
    assert post.hub.objects(TOY).pulls == 1


def test_a_foreign_commit_on_the_branch_is_never_pushed_over(post: Post) -> None:
    """Nothing is pushed, the commit is named, and the exit code is that of a gate."""
    one, two = asked("one"), asked("two")
    post.record(Placed(jobs=(one, two)))
    post.land(one, a="1\n")
    assert post.deliver() == ()
    [(_, pull)] = post.hub.repo(TOY).pulls()
    foreign = post.hub.act("octo").commit(TOY, pull.head_ref, {"theirs": "x\n"}, "Mine")
    post.land(two, b="2\n")

    code, why = post.refused()

    assert (code, foreign[:12] in why, "take that commit over" in why) == (5, True, True)
    assert post.hub.repo(TOY).bare.branch(pull.head_ref) == foreign
    assert exit_code(post.line) == 5
    assert any("factory resume run1" in text for text in post.said)


def test_a_large_change_becomes_a_stack_of_landings(post: Post) -> None:
    """Each part is a tested landing on the branch below it, and the bodies say their place."""
    with_forge(post, files=2, lines=100)
    jobs = [asked(name) for name in ("one", "two", "three")]
    post.record(Placed(jobs=tuple(jobs)))
    post.land(jobs[0], a="1\n")
    low = post.land(jobs[1], b="2\n")
    high = post.land(jobs[2], c="3\n", d="4\n", e="5\n")

    assert post.deliver() == ()
    assert post.deliver() == ()

    [(_, below), (_, above)] = post.hub.repo(TOY).pulls()
    assert post.pulls() == [(1, "main", low), (2, below.head_ref, high)]
    assert "Part 1 of a stack of 2." in post.body(1)
    assert "Part 2 of a stack of 2; it is based on #1." in post.body(2)
    assert "larger than the 2 files" in post.body(2)
    assert "larger than" not in post.body(1)
    assert above.draft


def heard(post: Post, told: "queue.SimpleQueue[Event]", outgoing: Outgoing, kind: str) -> None:
    """Be the floor for one event of this kind."""
    event = told.get(timeout=30)
    assert event.kind == kind
    post.record(event)
    outgoing.seen(event)


def test_one_pull_request_for_each_job_where_that_is_asked_for(post: Post) -> None:
    """Every landing has its own while the run goes on; none is written before it is on record."""
    with_forge(post, pulls="job")
    told: queue.SimpleQueue[Event] = queue.SimpleQueue()
    first = post.land(asked("one"), a="1\n")
    landed = Advanced(trial=9, jobs=(), commit=first, tree=first)

    with Outgoing(courier=post.courier, put=told.put) as outgoing:
        outgoing.seen(landed)
        heard(post, told, outgoing, "delivering")
        heard(post, told, outgoing, "delivered")
        second = post.land(asked("two"), b="2\n")
        outgoing.seen(landed)
        heard(post, told, outgoing, "delivered")  # the first says now that it is part of a stack
        assert told.get(timeout=30).kind == "delivering"  # and the floor leaves without a word

    assert post.pulls() == [(1, "main", first)]
    assert post.hub.objects(TOY).branches == 2
    post.courier = replace(post.courier, stop=threading.Event())
    assert post.deliver() == ()
    [(_, below), _] = post.hub.repo(TOY).pulls()
    assert post.pulls() == [(1, "main", first), (2, below.head_ref, second)]


@pytest.mark.parametrize("how", ["squash", pytest.param("merge", marks=pytest.mark.soak)])
def test_what_the_forge_merged_is_landed(post: Post, how: str) -> None:
    """Also as one commit, with work of people on top; the next delivery writes nothing more.

    No issue was closed by what anybody wrote into a title.
    """
    octo = post.hub.act("octo")
    octo.open(TOY, "It breaks", "Always")
    post.land(asked("one", title="Do it. Fixes #1, closes octo/toy#1 @octo <!-- x -->"), a="1\n")
    with_forge(post, draft=False)
    assert post.deliver() == ()
    [(_, pull)] = post.hub.repo(TOY).pulls()
    octo.commit(TOY, pull.head_ref, {"theirs": "x\n"}, "On top")
    octo.merge(TOY, 2, how)
    writes = len(post.hub.writes("POST")) + len(post.hub.writes("PATCH"))

    assert post.deliver() == ()

    assert post.hub.issue(TOY, 1).state == "open"
    merged = post.hub.repo(TOY).bare.branch("main")
    place = next(iter(post.line.jobs.values())).place
    assert isinstance(place, Landed)
    assert (place.commit, exit_code(post.line)) == (merged, 0)
    assert len(post.hub.writes("POST")) + len(post.hub.writes("PATCH")) == writes


def test_a_token_that_may_not_open_one_leaves_a_branch_and_a_truthful_comment(post: Post) -> None:
    """The fallback never claims a pull request; a resume comments no second time."""
    post.hub.act("octo").open(TOY, "It breaks", "Always")
    post.land(from_issue(post, 1), a="1\n")
    post.hub.fault("POST", "*/pulls", "status", times=2, status=403)

    code, why = post.refused()
    assert post.refused()[0] == 4

    assert (code, "no pull request was opened" in why, "/compare/main..." in why) == (4, True, True)
    [comment] = post.hub.comments(TOY, 1)
    assert "no pull request could be opened" in comment.body
    assert "/compare/main...factory/pr/gh-1-" in comment.body
    assert post.hub.objects(TOY).branches == 2
    assert post.places() == {"gh-1": "landed"}


def test_an_issue_that_moved_is_not_written_about(post: Post) -> None:
    """An edit, a comment, a closing, an opt-out or another's pull request stops every write."""
    hub, octo = post.hub, post.hub.act("octo")
    octo.open(TOY, "It breaks", "Always")
    post.land(from_issue(post, 1), a="1\n")
    before = hub.objects(TOY)

    octo.comment(TOY, 1, "Wait")
    assert post.refused() == (
        4,
        "somebody commented on issue #1 since it was read; look at it, then start it anew",
    )
    octo.label(TOY, 1, "factory:off")
    assert "factory:off" in post.refused()[1]
    octo.unlabel(TOY, 1, "factory:off")
    octo.edit(TOY, 1, title="It works")
    assert "text of issue #1" in post.refused()[1]
    octo.edit(TOY, 1, title="It breaks")
    octo.commit(TOY, "theirs", {"x": "x\n"}, "Mine")
    octo.open_pull(TOY, "theirs", "Cure it", body="Fixes #1")
    assert "another open pull request: #2" in post.refused()[1]
    octo.close(TOY, 1)
    assert "closed" in post.refused()[1]

    after = hub.objects(TOY)
    assert (after.pulls, after.branches) == (before.pulls + 1, before.branches + 1) == (1, 2)


def test_a_stranger_stops_no_delivery(post: Post) -> None:
    """What somebody without write permission says about an issue is no reason to stop."""
    post.hub.user("eve", "read")
    number = post.hub.act("eve").open(TOY, "It breaks", "Always")
    post.land(from_issue(post, number), a="1\n")
    post.hub.act("eve").comment(TOY, number, "Me too")

    assert post.deliver() == ()

    assert len(post.pulls()) == 1


def test_what_git_cannot_do_is_said_and_ends_no_later_offer(post: Post) -> None:
    """The reason is on record, nothing is raised, and the next landing is offered."""
    told: queue.SimpleQueue[Event] = queue.SimpleQueue()
    first = post.land(asked("one"), a="1\n")
    whole, post.line = post.line, replace(post.line, target="no ref")
    landed = Advanced(trial=9, jobs=(), commit=first, tree=first)

    with Outgoing(courier=post.courier, put=told.put) as outgoing:
        outgoing.seen(landed)
        heard(post, told, outgoing, "undelivered")
        assert post.line.undelivered[""].why.startswith("git failed: ")
        post.line = whole
        outgoing.seen(landed)
        heard(post, told, outgoing, "delivering")
        heard(post, told, outgoing, "delivered")

    assert post.pulls() == [(1, "main", first)]


def test_a_merge_whose_commit_the_forge_does_not_name_is_looked_for_later(post: Post) -> None:
    """Until it is named nothing is put on record about the merge, and nothing fails in git."""
    post.land(asked("one"), a="1\n")
    with_forge(post, draft=False)
    assert post.deliver() == ()
    post.hub.act("octo").merge(TOY, 1, "squash")
    [(_, pull)] = post.hub.repo(TOY).pulls()
    named, pull.merge_commit = pull.merge_commit, None

    unnamed = post.deliver()
    assert not any("git failed" in fault.why for fault in unnamed)
    assert post.places() == {"one": "proposed"}

    pull.merge_commit = named
    assert post.deliver() == ()
    assert post.places() == {"one": "landed"}


def test_a_path_that_the_forge_protects_is_named_before_any_push(post: Post) -> None:
    """The exit code is that of a gate, and no branch of ours is there."""
    post.hub.protect(TOY, "main", paths=("ci/*",))
    post.land(asked("one"), **{"ci/x": "1\n"})

    code, why = post.refused()

    assert (code, "ci/x is protected on the forge (ci/*)" in why) == (5, True)
    assert post.hub.objects(TOY).branches == 1


def test_issues_that_were_switched_off_keep_no_work_back(post: Post) -> None:
    """The pull request is opened all the same, closes nothing and says so."""
    post.hub.act("octo").open(TOY, "It breaks", "Always")
    post.land(from_issue(post, 1), a="1\n")
    post.hub.repo(TOY).has_issues = False

    assert post.deliver() == ()

    assert "Issues are switched off here" in post.body(2)
    assert "Fixes" not in post.body(2)


def test_a_rate_limit_ends_it_resumably(post: Post) -> None:
    """The work stays landed, and the exit code says to come again."""
    with_forge(post, max_wait=0.0)
    post.land(asked("one"), a="1\n")
    post.hub.fault("POST", "*/pulls", "secondary", seconds=900)

    assert post.refused()[0] == 75
    assert post.places() == {"one": "landed"}
    assert post.deliver() == ()
    assert post.pulls()[0][0] == 1


def test_closing_words_need_a_reproduction(post: Post) -> None:
    """A test that is red without the change and green with it closes; anything less refers."""
    if shutil.which("bwrap") is None:
        pytest.skip("bubblewrap is not installed")
    octo = post.hub.act("octo")
    for number in (1, 2, 3, 4):
        octo.open(TOY, f"It breaks {number}", "Fixes #9 @octo <!-- hidden -->")
    shows = ("python3", "test_one.py")
    post.land(
        replace(from_issue(post, 1, "shown"), accept=(shows,)),
        **{
            "src/core.py": "ONE = 2\n",
            "test_one.py": "import sys; sys.exit('ONE = 2' not in open('src/core.py').read())\n",
        },
    )
    post.land(from_issue(post, 2, "untested"), a="1\n")
    post.land(
        replace(from_issue(post, 3, "imports"), accept=(("python3", "test_three.py"),)),
        **{"helper.py": "X = 1\n", "test_three.py": "import helper\n"},
    )

    post.land(
        replace(from_issue(post, 4, "passes"), accept=(("python3", "test_four.py"),)),
        **{"b": "1\n", "test_four.py": "assert True\n"},
    )

    assert post.deliver() == ()

    body = post.body(5)
    words = re.findall(r"^(Fixes|Refs) #(\d)$", body, re.MULTILINE)
    assert words == [("Fixes", "1"), ("Refs", "2"), ("Refs", "3"), ("Refs", "4")], (
        body,
        post.line.reproduced,
    )
    proofs = {str(job): proof.why for (job, _), proof in post.line.reproduced.items()}
    assert "brings no test" in proofs["untested"]
    assert "do not run at all" in proofs["imports"]
    assert "pass without the change" in proofs["passes"]


def test_a_base_that_the_forge_does_not_have_is_refused_before_the_run(post: Post) -> None:
    """Commits that were never pushed would slip into the pull request; the remedy is named."""
    run = RunId("run9")
    delivering.check(post.site, deliver_to(post.site, run), say=post.said.append)
    git = post.site.repository.git
    more = git("commit-tree", "main^{tree}", "-p", "main", stdin=b"mine\n").text
    git("update-ref", "refs/heads/main", more)

    with pytest.raises(Complaint, match="main holds 1 commits") as caught:
        delivering.check(post.site, deliver_to(post.site, run), say=post.said.append)

    assert (caught.value.code, "git push origin main" in caught.value.hint) == (7, True)


def test_the_owners_of_what_was_touched_are_asked(post: Post) -> None:
    """As the base branch names them; labels come with it."""
    post.hub.user("ada", "write")
    post.hub.act("octo").commit(TOY, "main", {".github/CODEOWNERS": "/a @ada\n"}, "Owners")
    with_forge(post, labels=("by-factory",))
    post.land(asked("one"), a="1\n")

    assert post.deliver() == ()

    [(issue, pull)] = post.hub.repo(TOY).pulls()
    assert (pull.reviewers, "by-factory" in str(issue.labels)) == (["ada"], True)
    assert "moved on by 1 commit" in post.body(1)


def test_merging_is_left_to_the_forge_and_its_rules(post: Post) -> None:
    """Without a required check nothing is merged; with one the forge is asked to, by head."""
    with_forge(post, after="auto-merge")
    post.land(asked("one"), a="1\n")
    assert post.deliver() == ()
    assert any("requires no check" in text for text in post.said)
    post.hub.protect(TOY, "main", checks=("ci / unit",))
    post.hub.repo(TOY).auto_merge = True

    assert post.deliver() == ()

    [(_, pull)] = post.hub.repo(TOY).pulls()
    assert (pull.merged, pull.draft) == (None, False)
    assert pull.auto_merge is not None
    assert not post.hub.writes("PUT")


def test_what_somebody_pushes_at_the_last_moment_is_never_merged_by_itself(post: Post) -> None:
    """The forge is asked to merge the commit that was tested, and says no to any other."""
    with_forge(post, after="auto-merge")
    post.hub.protect(TOY, "main", checks=("ci / unit",))
    post.hub.repo(TOY).auto_merge = True
    mine = post.land(asked("one"), a="1\n")

    def record(event: Event) -> None:
        post.record(event)
        if isinstance(event, Delivered):
            post.hub.act("octo").commit(TOY, event.branch, {"evil.py": "1\n"})

    post.courier = replace(post.courier, record=record)

    post.deliver()

    [(_, pull)] = post.hub.repo(TOY).pulls()
    assert pull.head != mine
    assert pull.auto_merge is None
    assert any("the forge says no" in text for text in post.said)


def test_a_fault_of_a_first_try_is_over_when_the_work_is_delivered(
    tmp_path: Path, post: Post
) -> None:
    """Also where the work has another key than what was merged before: the run ends in 0."""
    with_forge(post, draft=False)
    post.land(asked("one"), a="1\n")
    assert post.deliver() == ()
    post.hub.act("octo").merge(TOY, 1)
    with post_at(tmp_path, run_id="run2", hub=post.hub) as again:
        again.land(asked("one"), a="2\n")
        post.hub.protect(TOY, "main", paths=("a",))
        code, _ = again.refused()
        assert code == 5
        post.hub.repo(TOY).rules = []

        again.courier.deliver()

        assert again.places() == {"one": "proposed"}
        assert exit_code(again.line) == 0


def test_landed_work_that_its_branch_does_not_hold_is_said_to_be_undelivered(post: Post) -> None:
    """A branch that somebody moved back offers nothing, and that is no success."""
    post.land(asked("one"), a="1\n")
    post.site.repository.git("update-ref", post.line.target, post.line.base)

    code, why = post.refused()

    assert (code, "does not hold what landed for one" in why) == (4, True)
    assert exit_code(post.line) == 4
    assert not post.pulls()


def test_doctor_names_what_the_rules_would_refuse(post: Post) -> None:
    """Each finding says what would be refused and how to put it right."""
    with_forge(post, after="auto-merge")
    post.hub.protect(TOY, "main", checks=("ci",), signatures=True, linear=True, reviews=2)

    found = delivering.obstacles_of(post.site, deliver_to(post.site, RunId("run9")))

    texts = {each.text: each.ok for each in found}
    assert texts["main takes signed commits only: set [commit] sign = true"] is False
    assert texts["required checks of main: ci"] is True
    assert texts["main wants 2 approving reviews of people"] is True
    assert any("squash when merging" in text for text in texts)
    assert not any(each.stops for each in found)


def test_doctor_says_of_a_token_that_cannot_push(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stops a run, and the remedy is named."""
    enter(post, monkeypatch, "eve", "read")

    [first, *_] = delivering.obstacles_of(post.site, deliver_to(post.site, RunId("run9")))

    assert (first.ok, first.stops, "write permission" in first.text) == (False, True, True)


def test_what_a_plan_keeps_open_is_not_closed_and_only_what_landed_replaces_anything(
    post: Post,
) -> None:
    """A person's "none" outranks every proof; nobody is thanked for work that nothing replaced."""
    if shutil.which("bwrap") is None:
        pytest.skip("bubblewrap is not installed")
    test = "grep -q cured src/core.py || { echo AssertionError: not cured; exit 1; }\n"
    numbers = [post.hub.act("octocat").open(TOY, f"Bug {n}", "It breaks.") for n in range(2)]
    issues = tuple(
        Wanted(number=n, test=f"tests/test_{n}.sh", command=("sh", f"tests/test_{n}.sh"))
        for n in numbers
    )
    one, two = asked("one", issues=issues), asked("two")
    strategy = Strategy(digest="d" * 64, statement="One way.", replaces=((8, "ada"), (9, "bob")))
    plan = Planned(
        branches=("factory/pr/one-way",),
        strategy=strategy,
        limit=Size(files=50, lines=800),
        replaces={8: (JobId("one"),), 9: (JobId("one"), JobId("two"))},
        kept_open=frozenset({numbers[1]}),
    )
    post.courier = replace(post.courier, plan=plan)
    post.record(Placed(jobs=(one, two)))
    post.land(one, **{"src/core.py": "cured\n", **{f"tests/test_{n}.sh": test for n in numbers}})

    assert post.deliver() == ()

    body = post.body(post.pulls()[0][0])
    assert re.findall(r"^(?:Fixes|Refs) #\d+$", body, re.MULTILINE) == [
        f"Fixes #{numbers[0]}",
        f"Refs #{numbers[1]}",
    ]
    assert body.count("passes |") == len(numbers)
    assert re.findall(r"Supersedes #\d+", body) == ["Supersedes #8"]
