"""A review reads finished work before the gate: it may send it back once, and decides nothing."""

from dataclasses import replace
from pathlib import Path

import pytest

from factory.changes import Retire
from factory.events import (
    InGate,
    Landed,
    NeedsYou,
    Reason,
    Steered,
    Waiting,
    Withdrawn,
)
from factory.line import blocked_by, under_way
from stations.contract import (
    Escalated,
    Failed,
    Found,
    Kind,
    Outcome,
    Remark,
    Reviewed,
    Split,
    Strayed,
    Unchanged,
)
from tests.factory.desk import (
    BASE,
    DENIED,
    LIMITED,
    MODEL,
    Desk,
    budget,
    by_model,
    job,
    station,
)
from tests.factory.line_world import decision
from tests.factory.works import site_at
from worktrees.names import JobId, Oid, StationName

SERIOUS = Remark(text="is never read", path="src/x.py", line=3, serious=True)


READ = station("read", Kind.REVIEW, agent=MODEL)


REVIEWED = (by_model(), READ)


def test_finished_work_is_read_before_it_is_tested() -> None:
    """The reader gets the commit and where it is judged from; a good review lets it on."""
    desk = Desk(job("a"), stations=REVIEWED)

    desk.done("a")

    task = desk.assigned()
    assert (task.station, task.base, task.judged_from, task.raised) == ("read", "commit-a", BASE, 0)
    desk.finish("a", Reviewed(back=False, remarks=(Remark(text="a name"),)))
    assert desk.place("a") == InGate(commit=Oid("commit-a"))
    assert desk.notes() == ["found good; it says a name"]
    assert desk.line.jobs[JobId("a")].station == "code"
    desk.land("a")
    assert isinstance(desk.place("a"), Landed)


def test_a_review_sends_work_back_once_and_is_never_the_last_gate() -> None:
    """The author repairs the commit with the remarks; a second refusal goes on with a note."""
    desk = Desk(job("a"), stations=REVIEWED)
    desk.done("a")

    desk.finish("a", Reviewed(back=True, remarks=(SERIOUS,)))

    task = desk.assigned()
    assert (task.station, task.base, task.judged_from) == ("code", "commit-a", BASE)
    assert "- src/x.py:3: is never read" in task.brief.failure
    desk.done("a", "second")
    assert (desk.assigned().station, desk.assigned().base) == ("read", "second")
    assert "is never read" in desk.assigned().brief.failure
    desk.finish("a", Reviewed(back=True, remarks=(SERIOUS,)))
    assert desk.place("a") == InGate(commit=Oid("second"))
    assert desk.notes() == ["sent back once already; it still says src/x.py:3: is never read"]


@pytest.mark.parametrize(
    "outcome",
    [
        Failed(fault="no findings", cause="contract", retryable=True),
        Failed(fault="no space", environment=True, retryable=True),
        LIMITED,
        budget("job"),
        Unchanged(),
        Escalated(reason="which form?"),
        Strayed(paths=("x",), reasons=("x",)),
        Found(data="hm"),
    ],
)
def test_without_a_review_the_work_goes_on_with_a_note(outcome: Outcome) -> None:
    """Whatever becomes of a reader, it stops nothing and closes nothing."""
    desk = Desk(job("a"), stations=REVIEWED)
    desk.done("a")

    desk.finish("a", outcome)

    assert desk.place("a") == InGate(commit=Oid("commit-a"))
    assert desk.notes()[0].startswith("not reviewed: ")
    assert desk.closed() is None
    assert desk.line.breakers.get(StationName("read")) is None


@pytest.mark.parametrize("outcome", [DENIED, budget("station")])
def test_a_reader_that_cannot_work_is_asked_no_more(outcome: Failed) -> None:
    """The work under way and all that comes later goes on unread, until a resume."""
    desk = Desk(*[job(f"j{n}") for n in range(3)], stations=(by_model(), replace(READ, seats=1)))
    for n in range(2):
        desk.done(f"j{n}")
    assert desk.place("j1") == Waiting()

    desk.finish("j0", outcome)

    assert isinstance(desk.place("j0"), InGate)
    assert isinstance(desk.place("j1"), InGate)
    desk.done("j2")
    assert desk.notes() == [f"not reviewed: {outcome.fault}"]
    assert desk.closed() is None


def test_a_spent_run_closes_the_line_also_from_a_review() -> None:
    """The work is in the gate then, unread, and lands when it is green."""
    desk = Desk(job("a"), stations=REVIEWED)
    desk.done("a")

    desk.finish("a", budget("run"))

    assert desk.closed() == (Reason.BUDGET, 3)
    assert isinstance(desk.place("a"), InGate)
    desk.land("a")
    assert isinstance(desk.place("a"), Landed)
    assert desk.line.drained


def test_a_review_that_was_cut_short_is_made_again() -> None:
    """A crash is no answer; the job's own tries are untouched by its reviews."""
    desk = Desk(job("a"), stations=REVIEWED)
    desk.done("a")

    desk.finish("a", Failed(fault="interrupted", retryable=True, interrupted=True))

    assert (desk.assigned().station, desk.assigned().base) == ("read", "commit-a")
    assert desk.line.jobs[JobId("a")].tries == 1


@pytest.mark.parametrize(
    "outcome",
    [
        Unchanged(),
        Failed(fault="no idea"),
        Escalated(reason="they are wrong"),
        Split(jobs=()),
        budget("job"),
    ],
)
def test_an_author_who_does_not_answer_a_review_loses_nothing(outcome: Outcome) -> None:
    """The commit that was read goes on to the gate: a review alone blocks nothing."""
    desk = Desk(job("a"), stations=REVIEWED)
    desk.done("a")
    desk.finish("a", Reviewed(back=True, remarks=(SERIOUS,)))

    desk.finish("a", outcome)

    assert desk.place("a") == InGate(commit=Oid("commit-a"))
    assert desk.notes()[0].startswith("what it asked for was not done: ")


def test_a_person_may_want_to_be_asked_when_there_is_no_review() -> None:
    """`on = { failed = "inbox" }` at the review station; a yes sends the work to the gate."""
    desk = Desk(job("a"), stations=(by_model(), replace(READ, on={"failed": "inbox"})))
    desk.done("a")
    desk.finish("a", Failed(fault="no findings"))
    assert desk.place("a") == NeedsYou(question="not reviewed: no findings", commit=Oid("commit-a"))

    desk.send(Steered(job=JobId("a"), text="yes"))

    assert desk.place("a") == InGate(commit=Oid("commit-a"))


def test_a_scope_stays_taken_while_its_work_is_read() -> None:
    """Nobody begins on a base that the work under review is about to change."""
    stations = (by_model(), replace(READ, seats=1))
    jobs = (job("x"), job("a", path="src/**"), job("b", path="src/x.py"))
    desk = Desk(*jobs, stations=stations)
    desk.done("x")
    desk.done("a")

    assert desk.place("a") == desk.place("b") == Waiting()
    assert blocked_by(under_way(desk.line), desk.line.jobs[JobId("b")]) == "a"


def test_repaired_work_is_read_again() -> None:
    """A cleanup station is an author too, and gets its own work back."""
    repair = by_model("repair", kind=Kind.CLEANUP)
    desk = Desk(job("a"), stations=(*REVIEWED, repair), repair=StationName("repair"))
    desk.done("a")
    desk.finish("a", Reviewed(back=False))
    desk.refuse()
    desk.done("a", "repaired")
    assert desk.assigned().station == "read"

    desk.finish("a", Reviewed(back=True, remarks=(SERIOUS,)))

    assert (desk.assigned().station, desk.assigned().base) == ("repair", "repaired")
    assert desk.line.jobs[JobId("a")].rounds == 1


def test_a_review_station_that_left_lets_its_work_on() -> None:
    """An optional reader may be retired; nothing waits for it."""
    stations = (by_model(), replace(READ, seats=1, required=False))
    desk = Desk(job("a"), job("b"), stations=stations)
    desk.done("a")
    desk.done("b")

    desk.send(decision(1, Retire(station=StationName("read"))))

    assert isinstance(desk.place("b"), InGate)


def test_a_job_for_a_review_station_is_answered_with_its_findings() -> None:
    """Without a commit there is nothing to land: the findings are for who needs the job."""
    jobs = (job("a", route=StationName("read")), job("b", needs=("a",)))
    desk = Desk(*jobs, stations=REVIEWED)

    desk.finish("a", Reviewed(back=True, remarks=(SERIOUS,)))

    assert desk.place("a") == Withdrawn(why="answered; it changes nothing", met=True)
    assert desk.assigned().brief.found == {"a": "src/x.py:3: is never read"}


def test_a_repair_knows_which_attempt_wrote_the_change() -> None:
    """Also when a review stood between: its session may be gone on with."""
    stations = (station("code"), READ, by_model("repair", kind=Kind.CLEANUP))
    desk = Desk(job("a"), stations=stations, repair=StationName("repair"))
    assert desk.assigned().wrote == 0
    desk.done("a")
    assert desk.assigned().wrote == 1
    desk.finish("a", Reviewed(back=False))
    desk.refuse()

    assert (desk.assigned().station, desk.assigned().attempt) == ("repair", 3)
    assert desk.assigned().wrote == 1


def test_a_repair_of_work_that_a_person_approved_knows_who_wrote_it() -> None:
    """Not the attempt before it, whose work was dropped."""
    stations = (station("code"), by_model("repair", kind=Kind.CLEANUP))
    desk = Desk(job("a"), stations=stations, repair=StationName("repair"))
    desk.finish("a", Strayed(paths=("x",), reasons=("x",)))
    desk.finish("a", Escalated(reason="protected: Makefile", commit=Oid("second")))
    desk.send(Steered(job=JobId("a"), text="yes"))

    desk.refuse()

    assert (desk.assigned().base, desk.assigned().wrote) == ("second", 2)


def test_a_second_review_station_is_warned_of(checkout: Path) -> None:
    """Only the first one reads finished work; a person learns it before a run."""
    reader = '[[station]]\nname = "{}"\nkind = "review"\nrun = ["true"]\n'
    code = '[[station]]\nname = "code"\nagent = {runtime = "command", run = ["true"]}\n'

    found = site_at(checkout, config=code + reader.format("one") + reader.format("two")).settings

    assert found.rules.review is not None
    assert found.rules.review.name == "one"
    assert 'only the first review station, "one", reads finished work' in found.warnings
