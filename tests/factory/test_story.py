"""Stories and progress lines: every outcome, verdict and event is told in words, once."""

from dataclasses import replace

import pytest

from factory.events import (
    Advanced,
    Closed,
    Closing,
    Event,
    Finished,
    GateAwaits,
    GateComposed,
    GateTried,
    Killed,
    Landing,
    Missed,
    Moved,
    Noted,
    Paused,
    Reason,
    Refused,
    Resumed,
    Retried,
    Steered,
    Woke,
)
from factory.line import step
from factory.meter import Meter
from factory.views.progress import told
from factory.views.story import Follower, red_trials, steps, why_document
from stations.contract import (
    Composed,
    Done,
    Escalated,
    Failed,
    Found,
    Kind,
    Lost,
    Outcome,
    Red,
    Remark,
    Reviewed,
    Split,
    Strayed,
    Unchanged,
)
from tests.factory.planted import RULES, Tale, job, oid, station
from worktrees.names import JobId

A = JobId("a")


def story(tale: Tale, name: JobId = A) -> list[tuple[str, str]]:
    """Give what and text of each moment after the first attempt began."""
    document = why_document(tale.line, tale.records(), name, now=tale.at, in_target=None)
    return [(each["what"], each["text"]) for each in document["moments"]][2:]


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (Moved(tip=oid("x")), ("gate", f"somebody moved the target to {oid('x')[:12]}")),
        (GateAwaits(trial=1, external="ci 7"), ("gate", "waits for the checks of ci 7")),
        (
            GateAwaits(trial=1, external="factory/proof/ab@c0ffee#1"),
            ("gate", "waits for the checks of factory/proof/ab"),
        ),
        (Steered(job=A, text="be\x1b quick"), ("you", "told a: be\\x1b quick")),
        (Killed(job=A), ("you", "killed a; its work is kept")),
        (Retried(job=A), ("you", "put a back on the line")),
        (Paused(on=True), ("line", "paused")),
        (Paused(on=False), ("line", "goes on")),
        (
            Closing(reason=Reason.BUDGET, why="5 minutes are up"),
            ("line", "closing (budget): 5 minutes are up"),
        ),
        (Resumed(serial=3, tip=oid("base")), ("line", f"resumed at {oid('base')[:12]}")),
        (Noted(what="janitor", text="one lock"), ("janitor", "one lock")),
        (Noted(what="review", text="found good", job=A), ("review", "a: found good")),
        (Closed(exit=4), ("line", "ended with exit code 4")),
        (Woke(), None),
    ],
)
def test_every_event_is_told_in_words(event: Event, said: tuple[str, str] | None) -> None:
    """What a person should hear of an event is one line by the one it is about, or nothing."""
    tale = Tale(job("a"))
    before = tale.line
    tale.tell(event)

    lines = list(told(before, tale.line, event))

    assert (lines[0][:2] if lines else None) == said


@pytest.mark.parametrize(
    ("outcome", "what", "text"),
    [
        (Failed(fault="broke", tail="E boom"), "failed", "attempt 1 failed after 0.0 s: broke"),
        (
            Failed(fault="no disk", environment=True),
            "failed",
            "attempt 1 failed after 0.0 s (the machine's fault): no disk",
        ),
        (
            Failed(fault="5 of 5", cause="budget", account="station"),
            "failed",
            "attempt 1 failed after 0.0 s (the budget of the station is spent): 5 of 5",
        ),
        (
            Failed(fault="401", environment=True, cause="denied"),
            "failed",
            "attempt 1 failed after 0.0 s (the provider denied it): 401",
        ),
        (
            Failed(fault="in 1 h", environment=True, cause="limited"),
            "failed",
            "attempt 1 failed after 0.0 s (the provider told us to wait): in 1 h",
        ),
        (
            Failed(fault="no end", cause="contract"),
            "failed",
            "attempt 1 failed after 0.0 s (no valid report): no end",
        ),
        (
            Strayed(paths=("x",), reasons=("scope: x: is outside",)),
            "strayed",
            "attempt 1 was refused after 0.0 s",
        ),
        (Escalated(reason="may I?"), "escalated", "attempt 1 asked a person after 0.0 s: may I?"),
        (
            Unchanged(note="all fine"),
            "unchanged",
            "attempt 1 changed nothing after 0.0 s: all fine",
        ),
        (Found(data="42"), "found", "attempt 1 answered after 0.0 s"),
        (
            Split(jobs=(replace(job("a1", scope=job("a").scope), depth=1),)),
            "split",
            "attempt 1 was split after 0.0 s into a1",
        ),
        (
            Done(commit=oid("x"), note="done\nso"),
            "finished",
            f"attempt 1 made {oid('x')[:12]} after 0.0 s: done so",
        ),
    ],
)
def test_every_outcome_is_told_in_words(outcome: Outcome, what: str, text: str) -> None:
    """However an attempt ends, its story says how, and what the line decided comes after it."""
    tale = Tale(job("a")).finish("a", outcome)

    told_so = story(tale)

    assert told_so[0] == (what, text)
    assert told_so[1][0] == "decided"


def test_a_review_is_told_with_its_remarks() -> None:
    """What a reader asked for, that its author got it, and how it ended are in the story."""
    reader = station("read", Kind.REVIEW, run=("read",))
    tale = Tale(job("a"), stations=(*RULES.stations, reader)).done("a")
    asked = Remark(text="say\x1b two", path="a/x", line=3, serious=True)
    tale.finish("a", Reviewed(back=True, remarks=(asked,)))
    tale.finish("a", Failed(fault="no idea"))

    told_so = story(tale)

    assert ("reviewed", "attempt 2 read it after 0.0 s: asked for more, 1 remark") in told_so
    assert ("decided", r"goes back to api: a/x:3: say\x1b two") in told_so
    assert [(what, text) for what, text in told_so if what in ("failed", "decided")][-1] == (
        "decided",
        f"has made {oid('work of a')[:12]}, which is on its way to land",
    )


def test_a_part_of_a_split_knows_where_it_comes_from() -> None:
    """The story of a job that was split off begins with its parent."""
    part = replace(job("a1", scope=job("a").scope), depth=1)
    tale = Tale(job("a")).finish("a", Split(jobs=(part,)))

    document = why_document(tale.line, tale.records(), part.id, now=tale.at, in_target=None)

    assert document["moments"][0]["text"] == "a was split into 1 job"


def test_conflicts_and_lost_runs_are_told() -> None:
    """A clash with the target names its paths; a run without a verdict says why."""
    tale = Tale(job("a")).done("a")
    clash = Composed(trial=1, tree=None, base_clash={A: ("src/x.py",)})
    tale.tell(GateComposed(composed=clash))

    assert ("merged", "conflicts with the target in src/x.py") in story(tale)
    assert story(tale)[-1][1].endswith("conflicts with the target in src/x.py")

    lost = Tale(job("a")).done("a").compose()
    lost.tell(GateTried(trial=1, verdict=Lost(why="the machine")))

    assert ("tested", "no verdict on a: the machine") in story(lost)


def test_a_fault_of_the_merge_is_told() -> None:
    """A tree that could not be made is in the story with its reason."""
    tale = Tale(job("a")).done("a")
    made = Composed(trial=1, tree=None, fault="generator failed", blame="branches")
    tale.tell(GateComposed(composed=made))

    assert ("merged", "the tree could not be made: generator failed") in story(tale)


def test_mates_that_clash_are_told_apart() -> None:
    """Of two branches that conflict with each other the later one is tested without the first."""
    tale = Tale(job("a"), job("b"), job("c"), seats=3, slots=1).done("a").done("b").done("c")
    tale.compose().test().compose(known=True).land()
    trial = min(tale.line.trials)
    first, second = tale.line.gate.runs[trial].jobs
    made = Composed(trial=trial, tree=oid("t"), key="k", mate_clash={second: ("x", "y")})
    tale.tell(GateComposed(composed=made))

    texts = [text for _, text in story(tale, second)]
    assert "conflicts with a mate in x, y; tested without it" in texts
    assert f"merged with {second} onto the target" in [text for _, text in story(tale, first)]


def test_a_landing_that_missed_is_told_and_tried_again() -> None:
    """When the target moved first, the story says where it stood and that nothing moved."""
    tale = Tale(job("a")).done("a").compose().test().compose(known=True)
    trial = tale.line.gate.landing
    assert trial is not None
    about = {"trial": trial, "jobs": (A,), "commit": oid("n"), "tree": oid("t")}
    tale.tell(Landing(old=oid("base"), **about)).tell(Missed(trial=trial, tip=oid("else")))

    told_so = story(tale)

    start, new, tip = oid("base")[:12], oid("n")[:12], oid("else")[:12]
    assert ("landing", f"about to move the target from {start} to {new}") in told_so
    assert ("missed", f"the target stood at {tip} by then; nothing moved") in told_so


def test_people_are_in_the_story() -> None:
    """Words, a kill, a retry, a refusal and a note about a job are moments of its story."""
    tale = Tale(job("a")).tell(Steered(job=A, text="use tabs")).tell(Noted(what="note", text="n"))
    tale.tell(Noted(what="note", text="of another", job=JobId("b")))
    tale.tell(Noted(what="preflight", text="of this one", job=A))
    tale.tell(Killed(job=A)).tell(Retried(job=A)).tell(Refused(job=A, why="a copy"))

    told_so = [(what, text) for what, text in story(tale) if what not in ("started", "decided")]

    assert told_so == [
        ("told", "use tabs"),
        ("preflight", "of this one"),
        ("killed", "by a person; its work is kept"),
        ("retried", "a person put it back on the line"),
        ("refused", "a copy"),
    ]


def test_red_trials_of_a_job_keep_their_tails() -> None:
    """Every red run that tested a job is given with its owner and tail; green ones are not."""
    tale = Tale(job("a"), job("b")).done("a").done("b").compose().test(red="E one\n")
    tale.compose().test(red="E two\n")

    assert [(red.owner, red.tail) for red in red_trials(tale.records(), A)] == [
        ("tests", "E one\n"),
        ("tests", "E two\n"),
    ]
    assert not red_trials(tale.records(), JobId("b"))


def test_a_follower_goes_on_where_it_stopped() -> None:
    """Records that come later are stepped from the line of the earlier ones."""
    tale = Tale(job("a")).done("a").compose()
    records, follower = tale.records(), Follower()

    first = list(follower.more(records[:2]))
    rest = list(follower.more(records[2:]))

    assert len(first) + len(rest) == len(records)
    assert follower.seq == records[-1].seq
    assert follower.line == tale.line
    with pytest.raises(ValueError, match="a run begins with `opened`"):
        list(steps(records[1:]))


def test_a_retry_is_told_with_its_reason_in_the_progress() -> None:
    """A failed attempt that is tried again says why, and then the first failing line."""
    api = replace(RULES.stations[0], attempts=2)
    tale = Tale(job("a"), stations=(api, RULES.stations[1]))
    lines: list[str] = []
    for event, after in (
        (Finished(job=A, attempt=1, outcome=Failed(fault="x", retryable=True, tail="E boom")), 1),
        (Woke(), 60),
    ):
        before = tale.line
        tale.tell(event, after=after)
        lines += [text for _, text, _ in told(before, tale.line, event)]

    assert lines == ["a will be tried again in 1.6 s: x", "a begins attempt 2"]


def test_a_landing_is_told_once_and_a_missed_one_too() -> None:
    """The gate says what landed where, and the jobs' change of place is not said again."""
    tale = Tale(job("a")).done("a").compose().test().compose(known=True)
    trial, before = tale.line.gate.landing, tale.line
    assert trial is not None
    landed = Advanced(trial=trial, jobs=(A,), commit=oid("n"), tree=oid("t"))
    missed = Missed(trial=trial, tip=oid("else"))

    after, _ = step(before, landed, tale.at)
    again, _ = step(before, missed, tale.at)

    assert list(told(before, after, landed)) == [
        ("gate", f"landed in {oid('n')[:12]}: a", "good"),
    ]
    assert [text for _, text, _ in told(before, again, missed)] == [
        f"not landed: the target stands at {oid('else')[:12]}; it is tried again",
    ]


def test_a_view_that_replayed_the_past_tells_only_what_is_new() -> None:
    """A resumed floor has a line of its own; what both know already is not told again."""
    past, floor = Tale(job("a"), job("b")), Tale(job("a"), job("b"))
    event = Noted(what="note", text="hello")
    floor.tell(event)

    assert list(told(past.line, floor.line, event)) == [("note", "hello", "dim")]
    meter = Meter()
    for each, at in past.book:
        meter.take(each, at)
    meter.see(floor.line, event, floor.at)
    assert meter.read().stations["api"].visits == 2


def test_a_red_without_an_owner_names_none() -> None:
    """A red verdict that names no station is told without one."""
    tale = Tale(job("a")).done("a").compose()
    verdict = Red(tree=oid("t"), key="k", tail="E boom")
    tale.tell(GateTried(trial=1, verdict=verdict))

    assert ("tested", "red in 0.0 s: a") in story(tale)


def test_why_a_line_closes_by_itself_is_told_when_it_does() -> None:
    """A provider that denies the key closes the line; the reason is the first thing said."""
    tale = Tale(job("a"))
    before = tale.line
    event = Finished(
        job=A, attempt=1, outcome=Failed(fault="answered 401", retryable=False, cause="denied")
    )

    tale.tell(event, after=1)
    said = [text for _, text, _ in told(before, tale.line, event)]

    assert said[0].startswith("closing (environment):")
    assert "answered 401" in said[0]
    assert sum("answered 401" in text for text in said) == 1
