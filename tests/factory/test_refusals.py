"""What the line does when a budget, a provider or a model says no, and what a person may say."""

from dataclasses import replace
from decimal import Decimal
from typing import Literal

import pytest

from factory.events import (
    Closing,
    Dead,
    Finished,
    InGate,
    Killed,
    Landed,
    NeedsYou,
    Paused,
    Reason,
    Resting,
    Resumed,
    Steered,
    Tell,
    Waiting,
    Working,
)
from stations.contract import (
    Budget,
    Escalated,
    Failed,
    Kind,
    Spend,
    Split,
    Strayed,
    Unchanged,
)
from tests.factory.desk import (
    BASE,
    DENIED,
    LIMITED,
    Desk,
    budget,
    by_model,
    job,
    station,
)
from worktrees.names import JobId, Oid, StationName


@pytest.mark.parametrize("account", ["run", "day"])
def test_a_spent_run_or_day_closes_the_line_and_the_job_waits_for_the_resume(account: str) -> None:
    """Exit 3; the attempt is no try of the job, what it spent counts, a resume tries it again."""
    desk = Desk(job("a"), stations=(by_model(),))

    desk.finish("a", budget(account))

    assert desk.closed() == (Reason.BUDGET, 3)
    assert desk.place("a") == Waiting()
    work = desk.line.jobs[JobId("a")]
    assert (work.tries, work.raised, work.spend.dollars) == (0, 0, Decimal("0.5"))
    desk.send(Resumed(serial=4, tip=BASE))
    assert desk.started() == ["a"]
    assert desk.assigned().raised == 0


@pytest.mark.parametrize("account", ["run", "day"])
def test_what_was_paid_for_still_lands_when_the_money_is_spent(account: str) -> None:
    """Testing costs no money: the line ends with 3 when the gate is empty, not before."""
    desk = Desk(job("a"), job("b"), stations=(by_model(),))
    desk.done("a")

    desk.finish("b", budget(account))

    assert desk.closed() == (Reason.BUDGET, 3)
    assert not desk.line.drained
    desk.land("a")
    assert isinstance(desk.place("a"), Landed)
    assert desk.place("b") == Waiting()
    assert desk.line.drained
    assert desk.closed() == (Reason.BUDGET, 3)


@pytest.mark.parametrize(
    "later",
    [
        Closing(reason=Reason.INTERRUPTED, why="Ctrl-C"),
        Closing(reason=Reason.TARGET, why="the checkout has changes"),
        Paused(on=True),
    ],
)
def test_what_stops_the_gate_stops_it_also_when_the_money_is_spent(
    later: Closing | Paused,
) -> None:
    """A line that waits for its gate waits for nothing that can no longer come."""
    desk = Desk(job("a"), job("b"), stations=(by_model(),))
    desk.done("a")
    desk.finish("b", budget("run"))
    desk.compose(desk.trial())

    desk.send(later)
    desk.verdict(green=True)

    assert isinstance(desk.place("a"), InGate)
    assert desk.line.drained


def test_minutes_that_are_up_stop_also_the_gate() -> None:
    """Time is what testing costs, also while a line ends for want of money."""
    desk = Desk(job("a"), job("b"), stations=(by_model(),), budget=Budget(seconds=60.0))
    desk.done("a")
    desk.finish("b", budget("run"))

    desk.wake(61)
    desk.compose(desk.trial())
    desk.verdict(green=True)

    assert isinstance(desk.place("a"), InGate)
    assert desk.line.drained


def test_a_yes_lets_a_job_change_what_its_agent_wanted() -> None:
    """The question shows every glob that a yes allows; what is no glob allows nothing."""
    wants = ("src/b.py", "!src/a.py", "../out", "a/a.py", "more/**")
    desk = Desk(job("a"), stations=(by_model(),))

    desk.finish("a", Escalated(reason="May I?", wants=wants))

    asked = f"May I? (a yes lets it change {', '.join(wants)})"
    assert desk.place("a") == NeedsYou(question=asked, wants=wants)
    desk.send(Steered(job=JobId("a"), text="Yes "))
    task = desk.assigned()
    assert task.scope.write == ("a/a.py", "src/b.py", "more/**")
    assert task.brief.told == (f'To "{asked}" a person answered: Yes ',)


def test_only_a_yes_widens_a_scope_and_by_no_more_than_was_shown() -> None:
    """Words are for the agent, and of a long list a person sees and allows the beginning."""
    desk = Desk(job("a"))
    desk.finish("a", Escalated(reason="May I?", wants=("src/b.py",)))

    desk.send(Steered(job=JobId("a"), text="do it without"))

    assert desk.assigned().scope == job("a").scope
    many = tuple(f"src/{n}.py" for n in range(50))
    desk.finish("a", Escalated(reason="May I?", wants=many))
    desk.send(Steered(job=JobId("a"), text="yes"))
    assert desk.assigned().scope.write == ("a/a.py", *many[:8])


def test_a_spent_job_is_a_dead_letter_and_the_others_go_on() -> None:
    """It goes to no other station, which would have nothing to spend; a person may be asked."""
    stations = (by_model(on={"failed": "senior"}), by_model("senior"))
    desk = Desk(job("a"), job("b"), stations=stations)

    desk.finish("a", budget("job"))

    fault = "the job's budget is spent: the job has spent 5 of 5 dollars"
    assert desk.place("a") == Dead(fault=fault)
    assert isinstance(desk.place("b"), Working)
    assert desk.closed() is None
    desk = Desk(job("a"), stations=(by_model(on={"failed": "inbox"}),))
    desk.finish("a", budget("job"))
    assert desk.place("a") == NeedsYou(question=fault)


def test_a_spent_station_rests_until_nothing_else_can_move_and_then_the_line_closes() -> None:
    """Other stations finish first; then exit 3, and a resume opens the station again."""
    stations = (by_model(), by_model("other"))
    jobs = (job("a"), job("b"), job("c", route=StationName("other")))
    desk = Desk(*jobs, stations=stations, seats=3)

    desk.finish("a", budget("station"))
    desk.finish("b", budget("station"))

    assert desk.closed() is None
    assert desk.place("a") == desk.place("b") == Waiting()
    desk.done("c")
    assert desk.closed() is None
    desk.land("c")
    assert desk.closed() == (Reason.BUDGET, 3)
    assert desk.line.closing is not None
    assert "station code" in desk.line.closing.why
    desk.send(Resumed(serial=9, tip=Oid("tip-c")))
    assert sorted(desk.started()) == ["a", "b"]


def test_a_station_works_no_longer_than_its_budget_of_time() -> None:
    """An attempt's deadline is what is left; when nothing is, its other jobs wait for a resume."""
    stations = (station("code", budget=Budget(seconds=90.0), timeout=60.0),)
    desk = Desk(job("a"), job("b"), job("c"), stations=stations, seats=1)
    assert desk.assigned().seconds == 60

    desk.finish("a", Failed(fault="x", spend=Spend(seconds=50.0)))
    assert desk.assigned().seconds == 40
    desk.finish("b", Failed(fault="x", spend=Spend(seconds=41.0)))

    assert desk.closed() == (Reason.BUDGET, 3)
    assert desk.place("c") == Waiting()
    desk.send(Resumed(serial=5, tip=BASE))
    assert desk.started() == ["c"]


def test_a_resume_may_bring_another_budget() -> None:
    """A run whose minutes are up goes on with what the resume allows."""
    desk = Desk(job("a"), seats=1, budget=Budget(seconds=60.0))
    desk.wake(61)
    assert desk.closed() == (Reason.BUDGET, 3)

    desk.send(Resumed(serial=2, tip=BASE, budget=Budget(seconds=500.0)))
    desk.wake(499)

    assert desk.closed() is None


@pytest.mark.parametrize("cause", ["denied", "full"])
def test_a_denied_call_or_a_full_disk_closes_the_line_at_once(
    cause: Literal["denied", "full"],
) -> None:
    """Exit 7 with the words of who refused; no other try, no other start, nobody is blamed."""
    desk = Desk(job("a"), job("b"), job("c"), stations=(by_model(),), seats=2)

    desk.finish("a", replace(DENIED, cause=cause))

    assert desk.closed() == (Reason.ENVIRONMENT, 7)
    assert desk.line.closing is not None
    assert desk.line.closing.why == "station code: 401: no such key"
    assert desk.started() == []
    assert desk.place("a") == desk.place("c") == Waiting()
    assert desk.line.jobs[JobId("a")].tries == 0


def test_a_limited_station_rests_and_the_line_closes_when_nothing_else_moves() -> None:
    """After two minutes of being told to wait: exit 75; a resume goes on."""
    desk = Desk(job("a"), stations=(by_model(),), breaker_rest=60.0)
    for _ in range(2):
        desk.finish("a", LIMITED)
        assert desk.place("a") == Resting(until=desk.now + 60, why="wait 1 h", limited=True)
        assert desk.closed() is None
        desk.wake(60)
        assert desk.started() == ["a"]

    desk.finish("a", LIMITED)

    assert desk.closed() == (Reason.LIMITED, 75)
    desk.now += 100
    desk.send(Resumed(serial=5, tip=BASE))
    assert desk.started() == ["a"]
    assert desk.line.jobs[JobId("a")].tries == 1


def test_a_limited_station_stops_no_other_and_forgets_when_a_call_works() -> None:
    """While others move the line stays open; the first good call ends the limit."""
    stations = (by_model(), station("other"))
    jobs = (job("a"), job("b", route=StationName("other")))
    desk = Desk(*jobs, stations=stations, breaker_rest=60.0)
    for _ in range(4):
        desk.finish("a", LIMITED)
        desk.wake(60)
    assert desk.closed() is None

    desk.done("a")

    assert desk.line.limited is None
    assert desk.line.breakers[StationName("code")].opened == 0


def test_only_one_job_tries_a_limited_station_again() -> None:
    """After the rest one attempt asks whether the provider answers, not all of them."""
    desk = Desk(*[job(f"j{n}") for n in range(4)], stations=(by_model(),), breaker_rest=60.0)
    for n in range(4):
        desk.finish(f"j{n}", LIMITED)

    desk.wake(60)
    assert len(desk.started()) == 1
    desk.done(desk.started()[0])

    assert len(desk.started()) == 3


def test_a_broken_report_is_asked_for_once_more() -> None:
    """The second breach of the contract is a failure."""
    breach = Failed(fault="no valid report", retryable=True, cause="contract")
    desk = Desk(job("a"), stations=(by_model(attempts=9),))

    desk.finish("a", breach)
    desk.wake(60)
    assert desk.assigned().raised == 1
    assert desk.assigned().brief.failure == "no valid report"
    desk.finish("a", breach)

    assert desk.place("a") == Dead(fault="no valid report")


def test_each_try_of_a_model_that_came_to_nothing_raises_the_tier() -> None:
    """Failed, strayed and unchanged count; the machine, a crash and a budget do not."""
    desk = Desk(job("a"), stations=(by_model(attempts=9),), breaker_after=99)
    raised = [
        (Failed(fault="wrong", retryable=True), 1),
        (Failed(fault="no space", retryable=True, environment=True), 1),
        (Failed(fault="interrupted", retryable=True, interrupted=True), 1),
        (Strayed(paths=("x",), reasons=("outside: x",)), 2),
        (LIMITED, 2),
        (Unchanged(), 3),
    ]
    for outcome, wanted in raised:
        desk.finish("a", outcome)
        if not desk.started():
            desk.wake(100)
        assert desk.assigned().raised == wanted, outcome


def test_a_program_is_never_raised_and_a_hand_off_begins_below() -> None:
    """Tiers are for models, and another station counts its own tries."""
    desk = Desk(job("a"), stations=(station("code"),))
    desk.finish("a", Failed(fault="x", retryable=True))
    desk.wake(60)
    assert desk.assigned().raised == 0

    stations = (by_model(on={"failed": "senior"}), by_model("senior"))
    desk = Desk(job("a"), stations=stations)
    desk.finish("a", Failed(fault="x"))
    assert (desk.assigned().station, desk.assigned().raised) == ("senior", 0)


def test_a_second_repair_is_of_a_higher_tier() -> None:
    """A repair that left the work red came to nothing."""
    stations = (station("code"), by_model("repair", kind=Kind.CLEANUP, rounds=2))
    desk = Desk(job("a"), stations=stations, repair=StationName("repair"))
    desk.done("a")
    desk.refuse()
    assert desk.assigned().raised == 0
    desk.done("a", "again")
    desk.refuse()

    assert desk.assigned().raised == 1


def test_an_assignment_carries_what_the_job_may_spend_and_must_pass() -> None:
    """Budget, depth and acceptance are the job's own."""
    own = Budget(tokens=1000, dollars=Decimal(2))
    desk = Desk(job("a", budget=own, depth=1, accept=(("true",),)))

    assigned = desk.assigned()

    assert (assigned.budget, assigned.depth, assigned.accept) == (own, 1, (("true",),))


def test_a_model_gets_no_attempt_that_the_job_cannot_pay() -> None:
    """Tokens or dollars that are spent end a job before another session is begun."""
    for spend, said in [
        (Spend(tokens_in=900, tokens_out=100), "the 1,000 tokens of its budget are spent"),
        (Spend(dollars=Decimal("2.01")), "the 2 dollars of its budget are spent"),
    ]:
        own = Budget(tokens=1000, dollars=Decimal(2))
        desk = Desk(job("a", budget=own), stations=(by_model(),))
        desk.finish("a", Failed(fault="x", retryable=True, spend=spend))
        desk.wake(60)
        remedy = "raise `budget` of its [[job]] for a new run"
        assert desk.place("a") == Dead(fault=f"{said}; {remedy}", tail="x")


def test_who_needs_a_job_that_cannot_be_paid_learns_it_at_once() -> None:
    """A dependant that stands before its need in the queue is not left waiting for ever."""
    jobs = (job("b", needs=("a",)), job("a", budget=Budget(tokens=0)))

    desk = Desk(*jobs, stations=(by_model(),))

    assert desk.place("b") == Dead(fault="it needs a, which did not land")


def test_what_an_attempt_spent_counts_once_however_late_it_answers() -> None:
    """A killed attempt is charged when it answers, and a repeated answer charges nothing."""
    desk = Desk(job("a"))
    desk.send(Killed(job=JobId("a")))
    late = Finished(
        job=JobId("a"), attempt=1, outcome=Failed(fault="stopped", spend=Spend(tokens_in=5))
    )

    desk.send(late)
    desk.send(late)

    assert desk.line.jobs[JobId("a")].spend.tokens_in == 5


def test_a_word_for_a_job_at_work_reaches_its_agent_and_its_next_attempts() -> None:
    """`factory tell`: now, and in every later brief."""
    desk = Desk(job("a"))

    actions = desk.send(Steered(job=JobId("a"), text="use tabs"))

    assert actions == (Tell(job=JobId("a"), attempt=1, text="use tabs"),)
    desk.finish("a", Failed(fault="x", retryable=True))
    assert desk.send(Steered(job=JobId("a"), text="and hurry")) == ()
    desk.wake(60)
    assert desk.assigned().brief.told == ("use tabs", "and hurry")


def test_the_reason_that_outranks_the_others_names_the_exit_code() -> None:
    """A line that drains for its budget and is denied then exits 7, and 130 after Ctrl-C."""
    desk = Desk(job("a"), job("b"), stations=(by_model(),))
    desk.finish("a", budget("run"))
    desk.finish("b", DENIED)
    assert desk.closed() == (Reason.ENVIRONMENT, 7)

    desk.send(Closing(reason=Reason.INTERRUPTED, why="Ctrl-C"))
    desk.send(Closing(reason=Reason.BUDGET, why="minutes"))

    assert desk.closed() == (Reason.INTERRUPTED, 130)


def test_parts_share_what_is_left_and_the_last_must_pass_what_the_parent_must() -> None:
    """Spent money is not given again, and acceptance holds where all the parts are in."""
    own = Budget(tokens=1000, dollars=Decimal(3), attempts=2)
    parent = job("a", path="src/**", budget=own, accept=(("make", "check"),))
    desk = Desk(parent, stations=(by_model(),))
    parts = tuple(job(f"a{n}", path=f"src/{n}.py", depth=1) for n in range(2))

    spend = Spend(tokens_in=300, tokens_out=100, dollars=Decimal(1))
    desk.finish("a", Split(jobs=parts, spend=spend))

    first, last = (desk.line.jobs[JobId(f"a{n}")].job for n in range(2))
    assert first.budget == Budget(tokens=300, dollars=Decimal(1), attempts=2)
    assert (first.accept, last.accept) == ((), (("make", "check"),))
    assert last.needs == ("a0",)
    assert desk.started() == ["a0"]


def test_parts_that_need_each_other_in_a_circle_are_refused() -> None:
    """A part may need only those before it, so that there is always one to begin with."""
    desk = Desk(job("a", path="src/**"))
    parts = (
        job("a0", path="src/0.py", depth=1, needs=("a1",)),
        job("a1", path="src/1.py", depth=1),
    )

    desk.finish("a", Split(jobs=parts))

    place = desk.place("a")
    assert isinstance(place, Dead)
    assert "needs what comes after it" in place.fault
