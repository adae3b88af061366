"""What the line decides, one promise a test; the simulation beside it covers their combinations."""

from dataclasses import replace

import pytest

from factory.changes import Retire, SetSeats
from factory.events import (
    AwaitVerdict,
    Closing,
    ComposeTree,
    Dead,
    GateAwaits,
    GateComposed,
    GateTried,
    InGate,
    Killed,
    Land,
    Landed,
    Missed,
    NeedsYou,
    Reason,
    Resting,
    Resumed,
    Retried,
    Salvage,
    Start,
    Steered,
    Stop,
    TestTree,
    Waiting,
    WakeAt,
    Withdrawn,
    Woke,
    Working,
)
from factory.line import BREAKS, blocked_by, under_way
from stations.contract import (
    Budget,
    Composed,
    Escalated,
    Failed,
    Found,
    Green,
    Job,
    Kind,
    Lost,
    Red,
    Spend,
    Split,
    Strayed,
    Unchanged,
)
from tests.factory.desk import BASE, Desk, job, station
from tests.factory.line_world import decision
from worktrees.names import JobId, Oid, StationName


def test_no_more_start_than_there_are_seats() -> None:
    """Seats bound the attempts under way, over all stations and per station."""
    jobs = [job(f"j{n}") for n in range(5)]
    assert len(Desk(*jobs, seats=3).started()) == 3
    narrow = (station("code", seats=1),)
    assert len(Desk(*jobs, stations=narrow).started()) == 1


def test_more_seats_start_more_jobs_at_once() -> None:
    """A change of seats takes effect with the next step."""
    desk = Desk(*[job(f"j{n}") for n in range(5)], seats=1)

    desk.send(decision(1, SetSeats(seats=3)))

    assert len(desk.started()) == 2


def test_overlapping_scopes_run_one_after_the_other() -> None:
    """The second starts only when the first has landed, and the line says whom it waits for."""
    desk = Desk(job("a", path="src/**"), job("b", path="src/x.py"), job("c", path="doc/**"))
    assert desk.started() == ["a", "c"]
    assert blocked_by(under_way(desk.line), desk.line.jobs[JobId("b")]) == "a"

    desk.done("a")
    assert desk.place("b") == Waiting()
    desk.land("a")

    assert desk.started() == ["b"]


def test_a_job_starts_after_its_needs_have_landed_and_gets_their_answers() -> None:
    """`needs` orders jobs, and what a read station found stands in the dependant's brief."""
    stations = (station("code"), station("ask", Kind.READ))
    desk = Desk(job("ask", route=StationName("ask")), job("b", needs=("ask",)), stations=stations)
    assert desk.started() == ["ask"]

    actions = desk.finish("ask", Found(data="use the second form"))

    start = next(a for a in actions if isinstance(a, Start))
    assert start.assignment.brief.found == {"ask": "use the second form"}


def test_a_job_whose_need_died_is_a_dead_letter_that_names_it() -> None:
    """Nothing waits for ever for work that will not come."""
    desk = Desk(job("a"), job("b", needs=("a",)), job("c", needs=("b",)))

    desk.finish("a", Failed(fault="exit 1"))

    assert desk.place("b") == Dead(fault="it needs a, which did not land")
    assert isinstance(desk.place("c"), Dead)


def test_a_retryable_failure_rests_and_comes_back_until_its_attempts_are_used_up() -> None:
    """Backoff grows, is capped, and ends in a dead letter with the last tail."""
    desk = Desk(job("a"))
    rests = []
    for _ in range(2):
        desk.finish("a", Failed(fault="busy", retryable=True, tail="try later"))
        place = desk.place("a")
        assert isinstance(place, Resting)
        rests.append(place.until - desk.now)
        desk.now = place.until
        desk.send(Woke())
        assert desk.started() == ["a"]
    desk.finish("a", Failed(fault="busy", retryable=True, tail="try later"))

    assert desk.place("a") == Dead(fault="busy", tail="try later")
    assert 1 <= rests[0] <= 2 <= rests[1] <= 4


def test_a_failure_is_handed_to_the_station_that_on_names() -> None:
    """`on = { failed = "senior" }` sends the job there with the reason in its brief."""
    stations = (station("code", on={"failed": "senior"}), station("senior"))
    desk = Desk(job("a"), stations=stations)

    actions = desk.finish("a", Failed(fault="exit 1"))

    start = next(a for a in actions if isinstance(a, Start))
    assert start.assignment.station == "senior"
    assert "exit 1" in start.assignment.brief.failure


def test_strayed_work_is_kept_told_once_and_then_dead() -> None:
    """The second attempt is told which paths were denied; the second breach ends the job."""
    desk = Desk(job("a"))
    strayed = Strayed(paths=("x",), reasons=("scope: x is outside",), commit=Oid("bad"))

    actions = desk.finish("a", strayed)
    start = next(a for a in actions if isinstance(a, Start))
    assert "x is outside" in start.assignment.brief.failure
    assert Salvage(job=JobId("a"), commit=Oid("bad")) in actions
    desk.finish("a", strayed)

    assert isinstance(desk.place("a"), Dead)


@pytest.mark.parametrize("kind", [Kind.COMMAND, Kind.CLEANUP])
def test_nothing_to_change_is_no_failure_of_a_command(kind: Kind) -> None:
    """It is withdrawn, and who needs it goes on."""
    desk = Desk(job("a"), job("b", needs=("a",)), stations=(station("code", kind),))

    desk.finish("a", Unchanged())

    assert desk.place("a") == Withdrawn(why="nothing to change", met=True)
    assert desk.started() == ["b"]


def test_an_agent_that_changes_nothing_gets_one_retry() -> None:
    """Once more, then a dead letter."""
    desk = Desk(job("a"))
    desk.finish("a", Unchanged())
    desk.now += 60
    desk.send(Woke())
    desk.finish("a", Unchanged())

    assert desk.place("a") == Dead(fault="the agent changed nothing")


def test_a_red_single_is_confirmed_and_then_repaired_from_the_refused_commit() -> None:
    """It starts on the refused commit, sees the tail, is judged from where the work began."""
    stations = (station("code"), station("repair", Kind.CLEANUP, rounds=1))
    desk = Desk(job("a"), stations=stations, repair=StationName("repair"))
    desk.done("a")

    desk.refuse()

    start = next(a for a in desk.actions if isinstance(a, Start))
    assert start.assignment.station == "repair"
    assert start.assignment.base == "commit-a"
    assert start.assignment.judged_from == BASE
    assert start.assignment.brief.failure == "assert 1 == 2"
    desk.done("a", "repaired")
    desk.land("a")
    assert isinstance(desk.place("a"), Landed)


def test_after_the_last_round_red_work_is_a_dead_letter_and_kept() -> None:
    """At most `rounds` repairs; the refused work is salvaged."""
    stations = (station("code"), station("repair", Kind.CLEANUP, rounds=1))
    desk = Desk(job("a"), stations=stations, repair=StationName("repair"))
    desk.done("a")
    desk.refuse()
    desk.done("a", "repaired")
    desk.refuse()

    assert desk.place("a") == Dead(fault="its tests are red after 1 repairs", tail="assert 1 == 2")
    assert Salvage(job=JobId("a"), commit=Oid("repaired")) in desk.actions


def test_a_repair_that_changes_nothing_leaves_the_red_as_it_is() -> None:
    """An unchanged repair is not `nothing to change`: the red work must not look settled."""
    stations = (station("code"), station("repair", Kind.CLEANUP))
    desk = Desk(job("a"), stations=stations, repair=StationName("repair"))
    desk.done("a")
    desk.refuse()
    desk.finish("a", Unchanged())

    assert desk.place("a") == Dead(
        fault="red, and the repair changed nothing", tail="assert 1 == 2"
    )


def test_a_missed_swap_tests_the_work_again_on_the_new_tip() -> None:
    """A foreign commit is never overwritten and nothing stale lands."""
    desk = Desk(job("a"))
    desk.done("a")
    desk.compose(desk.trial())
    desk.verdict(green=True)
    desk.compose(desk.trial(), Green(tree=Oid(f"tree-{desk.trial()}"), key="k"))

    actions = desk.send(Missed(trial=desk.trial(), tip=Oid("foreign")))

    again = next(a for a in actions if isinstance(a, ComposeTree))
    assert again.task.base == "foreign"


def test_a_known_red_never_strikes_a_single() -> None:
    """A cached red splits groups only; a single branch is always really run."""
    desk = Desk(job("a"))
    desk.done("a")

    actions = desk.compose(desk.trial(), Red(tree=Oid("t"), key="k"))

    assert any(isinstance(a, TestTree) for a in actions)


def test_a_conflict_with_the_target_starts_over_on_it() -> None:
    """The old work is kept, and the next attempt is told where it clashed."""
    desk = Desk(job("a"))
    desk.done("a")
    composed = Composed(
        trial=desk.trial(), tree=None, key="k", base_clash={JobId("a"): ("src/x.py",)}
    )

    actions = desk.send(GateComposed(composed=composed))

    start = next(a for a in actions if isinstance(a, Start))
    assert "src/x.py" in start.assignment.brief.failure
    assert Salvage(job=JobId("a"), commit=Oid("commit-a")) in actions


@pytest.mark.parametrize(
    ("answer", "place"),
    [("yes", InGate(commit=Oid("c"))), ("no", Withdrawn(why="dropped by a person", met=False))],
)
def test_a_person_answers_for_protected_work(answer: str, place: object) -> None:
    """A yes sends the durable work to the gate, a no drops it and keeps it reachable."""
    desk = Desk(job("a"))
    desk.finish("a", Escalated(reason="protected: Makefile", commit=Oid("c")))
    assert isinstance(desk.place("a"), NeedsYou)
    assert desk.line.still

    desk.send(Steered(job=JobId("a"), text=answer))

    assert desk.place("a") == place


def test_any_other_answer_goes_into_the_next_attempt() -> None:
    """What a person says to a blocked agent is in the brief of its next attempt."""
    desk = Desk(job("a"))
    desk.finish("a", Escalated(reason="which form?"))

    actions = desk.send(Steered(job=JobId("a"), text="the second"))

    start = next(a for a in actions if isinstance(a, Start))
    assert start.assignment.brief.told == ("the second",)


def test_a_killed_job_stops_and_a_late_answer_is_only_kept() -> None:
    """Its attempt is stopped, its work salvaged when it still arrives, and it never lands."""
    desk = Desk(job("a"))
    actions = desk.send(Killed(job=JobId("a")))
    assert Stop(job=JobId("a"), attempt=1) in actions

    actions = desk.done("a", "late")

    assert actions == (Salvage(job=JobId("a"), commit=Oid("late")),)
    assert desk.place("a") == Withdrawn(why="killed by a person", met=False)


def test_a_retried_job_starts_from_scratch() -> None:
    """`factory retry` puts a dead letter back with all its attempts."""
    desk = Desk(job("a"))
    desk.finish("a", Failed(fault="exit 1"))

    desk.send(Retried(job=JobId("a")))

    assert desk.started() == ["a"]


def test_a_split_job_is_met_by_all_its_parts() -> None:
    """Parts take the parent's place; who needs the parent waits for every one of them."""
    desk = Desk(job("a", path="src/**"), job("b", needs=("a",)))
    parts = (
        job("a1", path="src/1.py", depth=1),
        job("a2", path="src/2.py", depth=1),
    )
    desk.finish("a", Split(jobs=parts))
    assert desk.started() == ["a1", "a2"]

    desk.done("a1")
    desk.land("a1")
    assert desk.place("b") == Waiting()
    desk.done("a2")
    desk.land("a2")

    assert desk.started() == ["b"]


@pytest.mark.parametrize(
    ("part", "why"),
    [
        (job("p", path="doc/**", depth=1), "outside the parent's"),
        (job("p", path="src/p.py", depth=3), "too deep"),
        (job("a", path="src/p.py", depth=1), "such a job already"),
        (job("p", path="src/p.py", depth=1, route=StationName("ghost")), "no station"),
    ],
)
def test_a_split_beyond_the_parent_is_refused(part: Job, why: str) -> None:
    """Parts stay inside the parent's scope, depth and stations."""
    desk = Desk(job("a", path="src/**"))

    desk.finish("a", Split(jobs=(part,)))

    place = desk.place("a")
    assert isinstance(place, Dead)
    assert why in place.fault


def test_a_breaker_opens_after_failures_of_the_machine_and_costs_no_try() -> None:
    """While it rests nothing starts at that station; one success closes it."""
    desk = Desk(job("a"), job("b"), seats=1, breaker_after=2, breaker_rest=50.0)
    sick = Failed(fault="no space left", retryable=True, environment=True)
    for _ in range(2):
        name = desk.started()[0]
        desk.finish(name, sick)
        if not desk.started():
            desk.now += 5
            desk.send(Woke())
    assert desk.started() == []
    assert desk.line.closing is None
    assert not desk.line.still

    desk.now += 50
    desk.send(Woke())
    assert len(desk.started()) == 1
    name = desk.started()[0]
    assert desk.line.jobs[JobId(name)].tries == 1
    desk.done(name)

    assert desk.line.breakers[StationName("code")].opened == 0


def test_a_station_that_keeps_failing_for_the_machine_closes_the_line() -> None:
    """The jobs stay and wait for a resume; they are not blamed."""
    desk = Desk(job("a"), breaker_after=1, breaker_rest=10.0)
    for _ in range(BREAKS):
        desk.finish("a", Failed(fault="no space", retryable=True, environment=True))
        desk.now += 100
        desk.send(Woke())

    assert desk.line.closing is not None
    assert desk.line.closing.reason is Reason.ENVIRONMENT
    assert isinstance(desk.place("a"), Waiting)


def test_lost_trials_close_the_line_and_strike_nobody() -> None:
    """Three test runs lost in a row are the machine's fault, not a branch's."""
    desk = Desk(job("a"))
    desk.done("a")
    for _ in range(3):
        desk.compose(desk.trial())
        desk.send(GateTried(trial=desk.trial(), verdict=Lost(why="no room")))

    assert desk.line.closing is not None
    assert isinstance(desk.place("a"), InGate)


def test_a_closing_line_starts_nothing_and_drains() -> None:
    """Ctrl-C: running work finishes, nothing new begins, and the rest waits for a resume."""
    desk = Desk(job("a"), job("b"), seats=1)
    desk.send(Closing(reason=Reason.INTERRUPTED, why="Ctrl-C"))
    assert not desk.line.drained

    desk.done("a")

    assert desk.started() == []
    assert desk.line.drained
    desk.send(Resumed(serial=9, tip=BASE))
    assert desk.started() == ["b"]
    assert any(isinstance(a, ComposeTree) for a in desk.actions)


def test_an_interrupted_attempt_costs_no_try() -> None:
    """A crash of the factory is not the job's fault, up to a limit."""
    desk = Desk(job("a"))
    for _ in range(5):
        desk.finish("a", Failed(fault="interrupted", retryable=True, interrupted=True))
        assert desk.started() == ["a"]
    assert desk.line.jobs[JobId("a")].tries == 1


def test_the_minutes_of_a_run_close_it() -> None:
    """Nothing starts after the budget's last second; it is resumable."""
    desk = Desk(job("a"), job("b"), seats=1, budget=Budget(seconds=60.0))
    desk.now += 61
    desk.done("a")

    assert desk.line.closing is not None
    assert desk.line.closing.reason is Reason.BUDGET
    assert desk.started() == []


def test_a_required_station_is_never_retired() -> None:
    """The iron rule holds in the line itself; an optional one gives its jobs to its heir."""
    stations = (station("code", required=True, seats=1), station("heir"))
    desk = Desk(job("a"), job("b"), stations=stations)
    desk.send(decision(1, Retire(station=StationName("code"))))
    assert desk.started() == []

    optional = (station("code", required=False, seats=1), station("heir"))
    desk = Desk(job("a"), job("b"), stations=optional)
    desk.send(decision(1, Retire(station=StationName("code"))))
    assert desk.started() == ["b"]


def test_a_verdict_from_outside_is_taken_once_under_its_own_id() -> None:
    """A late verdict needs the durable id it was awaited under, also after a resume."""
    desk = Desk(job("a"))
    desk.done("a")
    desk.compose(desk.trial())
    trial = desk.trial()
    desk.send(GateAwaits(trial=trial, external="check-7"))
    desk.send(Resumed(serial=3, tip=BASE))
    assert trial in desk.line.trials
    green = Green(tree=Oid(f"tree-{trial}"), key="k")

    assert desk.send(GateTried(trial=trial, verdict=green, external="check-8")) == ()
    actions = desk.send(GateTried(trial=trial, verdict=green, external="check-7"))

    assert any(isinstance(a, ComposeTree) for a in actions)
    assert desk.send(GateTried(trial=trial, verdict=green, external="check-7")) == ()


def awaiting() -> tuple[Desk, int]:
    """Give a line whose one trial waits for a verdict from outside."""
    desk = Desk(job("a"))
    desk.done("a")
    desk.compose(desk.trial())
    desk.send(GateAwaits(trial=desk.trial(), external="check-7"))
    return desk, desk.trial()


def test_a_verdict_from_outside_is_asked_for_when_it_is_on_record_and_after_a_resume() -> None:
    """Whoever asks is told by an action, so that nobody asks for what a kill would forget."""
    desk, trial = awaiting()
    [asked] = [a for a in desk.actions if isinstance(a, AwaitVerdict)]
    assert (asked.external, asked.task.trial, asked.task.base) == ("check-7", trial, BASE)

    [again] = [a for a in desk.send(Resumed(serial=3, tip=BASE)) if isinstance(a, AwaitVerdict)]
    assert again == asked
    [anew] = desk.send(GateAwaits(trial=trial, external="check-8"))

    assert anew == replace(asked, external="check-8")


def test_a_line_that_closes_does_not_wait_for_verdicts_from_outside() -> None:
    """Ctrl-C leaves at once; the verdict is there for whoever resumes, unless work is to land."""
    desk, _ = awaiting()
    desk.send(Closing(reason=Reason.INTERRUPTED, why="Ctrl-C"))
    assert desk.line.drained

    desk, _ = awaiting()
    desk.send(Closing(reason=Reason.BUDGET, why="spent", lands=True))
    assert not desk.line.drained


def test_a_loss_that_no_other_try_can_help_closes_the_line_at_once() -> None:
    """A person is told why before hours are spent on tries that end the same way."""
    desk, trial = awaiting()
    lost = Lost(why="no run of 'ci' appeared", again=False)
    desk.send(GateTried(trial=trial, verdict=lost, external="check-7"))

    assert desk.closed() == (Reason.ENVIRONMENT, 7)
    assert desk.line.closing is not None
    assert desk.line.closing.why == lost.why


def test_the_landing_names_where_the_forge_shows_its_checks() -> None:
    """The addresses of a green verdict, also of a known one, go along to the landing."""
    desk, trial = awaiting()
    green = Green(tree=Oid(f"tree-{trial}"), key="k", checked=("https://forge/1",))
    desk.send(GateTried(trial=trial, verdict=green, external="check-7"))

    actions = desk.compose(desk.trial(), green)

    [land] = [a for a in actions if isinstance(a, Land)]
    assert land.checked == ("https://forge/1",)


def test_attempts_are_numbered_and_serials_never_return() -> None:
    """Every attempt gets a workspace number of its own, past those of a dead process."""
    desk = Desk(job("a"))
    desk.finish("a", Failed(fault="busy", retryable=True))
    desk.send(Resumed(serial=40, tip=BASE))
    desk.now += 10
    actions = desk.send(Woke())

    start = next(a for a in actions if isinstance(a, Start))
    assert (start.assignment.attempt, start.assignment.serial) == (2, 40)


def test_one_job_that_works_blocks_nobody_else() -> None:
    """A working job stays working whatever happens to the others."""
    desk = Desk(job("a"), job("b"))
    desk.finish("b", Failed(fault="exit 1"))

    assert isinstance(desk.place("a"), Working)


def test_a_resume_sets_the_alarm_of_a_resting_job_anew() -> None:
    """The alarm of a job that rests went with the process that set it."""
    desk = Desk(job("a"))
    desk.finish("a", Failed(fault="no space", retryable=True, environment=True))
    place = desk.place("a")
    assert isinstance(place, Resting)

    actions = desk.send(Resumed(serial=3, tip=BASE))

    assert WakeAt(when=place.until) in actions
    desk.now = place.until
    desk.send(Woke())
    assert desk.started() == ["a"]


def test_a_job_whose_time_is_spent_gets_no_other_attempt() -> None:
    """A retry that its own budget has no room for is not begun; work that was saved is kept."""
    desk = Desk(job("a", budget=Budget(seconds=10.0)))

    desk.finish("a", Failed(fault="late", retryable=True, spend=Spend(seconds=10.5)))
    desk.now += 100
    desk.send(Woke())

    place = desk.place("a")
    assert isinstance(place, Dead)
    assert place.fault == (
        "the 10 seconds of its budget are spent; raise `budget` of its [[job]] for a new run"
    )
    assert desk.started() == []
