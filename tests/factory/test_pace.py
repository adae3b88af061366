"""The pace: seconds as measured, demand, odds, and a sentence that claims no more than that."""

import random

import pytest

from factory.changes import SetSeats
from factory.events import (
    Closed,
    Delivered,
    NeedsYou,
    PullMerged,
    Resumed,
    Steered,
    Woke,
)
from factory.meter import gaps, measured
from factory.pace.demand import demand, visits_per_change
from factory.pace.odds import limit
from factory.pace.sentence import sentence
from factory.pace.values import LANDED, Chance, Pace, StationPace
from stations.contract import Agent, Escalated, Failed, Kind
from tests.factory.line_sim import simulate
from tests.factory.line_world import decision
from tests.factory.planted import Tale, job, oid, station
from worktrees.names import JobId


def draws(seed: int = 1) -> Chance:
    """Give seeded chance."""
    rng = random.Random(seed)  # noqa: S311  (a simulation, not a secret)
    return lambda shape: rng.gammavariate(shape, 1.0)


def landed(tale: Tale, *, work: float, test: float) -> Tale:
    """Let every job of a tale land one after the other."""
    for name in tuple(tale.line.jobs):
        tale.done(name, after=work).compose(after=1).test(after=test)
        tale.compose(after=0, known=True).land()
    return tale


def paced(name: str, *, busy: float, finished: int, kind: str = "code") -> StationPace:
    """Give a station of one seat whose visits all took the same time."""
    each = busy / finished if finished else 0.0
    return StationPace(
        name=name,
        kind=kind,
        seats=1,
        required=True,
        busy=busy,
        waiting=0.0,
        idle=0.0,
        queued=0.0,
        visits=finished,
        finished=finished,
        running=0,
        square=each * each * finished,
        finished_busy=busy,
        each_seat=(busy,),
    )


def test_seconds_are_counted_where_they_were_spent() -> None:
    """A job's work, its composing and its test run each count at their own station."""
    pace = measured(landed(Tale(job("a")), work=10, test=5).book)

    assert pace.stations["api"].busy == 10
    assert pace.stations["gate"].busy == 1
    assert pace.stations["tests"].busy == 5
    assert pace.seconds == 16
    assert pace.landed == 1


def test_a_job_lands_once_however_often_it_is_offered_and_merged() -> None:
    """A pull request and its merge are no further landings of the job that stands in it."""
    tale = landed(Tale(job("a")), work=10, test=5)
    work = JobId("a")
    offered = Delivered(
        key="k",
        jobs=(work,),
        branch="factory/pr/a-k",
        base="main",
        commit=oid("tip"),
        number=1,
        pull="http://127.0.0.1/pull/1",
        operation="created",
    )
    tale.tell(offered).tell(
        PullMerged(key="k", jobs=(work,), commit=oid("merged"), tree=oid("tree"))
    )

    pace = measured(tale.book)

    assert pace.landed == 1
    assert pace.moves["tests", LANDED] == 1.0
    assert (LANDED, LANDED) not in pace.moves


def test_busy_waiting_and_idle_sum_to_seats_times_seconds() -> None:
    """Over many simulated runs no seat-second is lost or counted twice at any station."""
    for seed in range(15):
        pace = measured(simulate(seed).book)
        for each in pace.stations.values():
            total = each.busy + each.waiting + each.idle
            assert total == pytest.approx(each.seats * pace.seconds), (seed, each)
            assert sum(each.each_seat) == pytest.approx(each.busy)
            assert each.visits == each.finished + each.running or each.kind == "you"


def test_seats_are_numbered_by_first_free() -> None:
    """The second job sits at seat 1 while the first sits at seat 0, and a third takes the freed."""
    tale = Tale(job("a"), job("b"), job("c"))
    tale.done("a", after=4).done("b", after=2).done("c", after=1)

    assert measured(tale.book).stations["api"].each_seat == (4 + 3, 6)


def test_a_free_seat_with_held_up_work_waits_and_does_not_idle() -> None:
    """Of two seats one stands waiting while the second job's scope overlaps the first one's."""
    tale = Tale(job("a"), job("b", scope=job("a").scope)).tell(Woke(), after=10)

    api = measured(tale.book).stations["api"]

    assert (api.busy, api.waiting, api.idle, api.queued) == (10, 10, 0, 10)


def test_work_behind_a_running_test_does_not_wait_at_a_free_slot() -> None:
    """Gate and tests share the slots: while the only one tests, the gate has none that is free."""
    tale = Tale(job("a"), job("b")).done("a", after=1).done("b", after=0).compose(after=0)
    tale.tell(Woke(), after=10)

    gate = measured(tale.book).stations["gate"]

    assert (gate.waiting, gate.queued) == (0, 10)


def test_a_running_attempt_counts_up_to_now() -> None:
    """An attempt that hangs raises its station's busy seconds and its demand before it ends."""
    tale = Tale(job("a"), job("b"), job("c"), seats=1).done("a", after=10).done("b", after=10)

    early, late = measured(tale.book), measured(tale.book, tale.at + 500)

    assert late.stations["api"].busy - early.stations["api"].busy == 500
    assert demand(late)["api"] > demand(early)["api"]
    assert late.stations["api"].running == 1


def test_ten_questions_at_once_are_one_persons_delay() -> None:
    """`you` is busy for the union of the times in which something waited for a person."""
    tale = Tale(job("a"), job("b"))
    tale.finish("a", Escalated(reason="may I?"), after=1)
    tale.finish("b", Escalated(reason="may I too?"), after=4)
    tale.tell(Steered(job=JobId("a"), text="no"), after=5)
    tale.tell(Steered(job=JobId("b"), text="no"), after=1)

    you = measured(tale.book).stations["you"]

    assert you.busy == 10
    assert (you.visits, you.finished) == (2, 2)


def test_time_in_which_nobody_worked_does_not_count() -> None:
    """The hours between a killed process and its resume are in no station and not in the run."""
    tale = Tale(job("a")).tell(Woke(), after=3)
    tale.tell(Resumed(serial=5, tip=oid("base")), after=7200)
    tale.finish("a", Failed(fault="interrupted", retryable=True, interrupted=True), after=0)

    pace = measured(tale.book)

    assert pace.seconds == 3
    assert pace.stations["api"].busy == 3
    assert gaps(tale.book) == ((1003.0, 8203.0),)


def test_a_closed_run_stands_still() -> None:
    """Looking at a run a day after its end changes nothing of what was measured."""
    tale = landed(Tale(job("a")), work=10, test=5).tell(Closed(exit=0), after=0)

    assert measured(tale.book, tale.at + 86400) == measured(tale.book)


def test_visits_per_change_count_rework() -> None:
    """When each landed change was worked on twice, its station is visited about twice for each."""
    pace = Pace(
        stations={},
        moves={
            ("<in>", "api"): 100.0,
            ("api", "tests"): 200.0,
            ("tests", "api"): 100.0,
            ("tests", LANDED): 100.0,
        },
        landed=100,
        placed=100,
        seconds=1.0,
    )

    visits = visits_per_change(pace)

    assert visits["api"] == pytest.approx(2.0)
    assert visits["tests"] == pytest.approx(2.0)


def test_demand_is_visits_times_time_over_seats() -> None:
    """Ten changes of ten busy minutes each at one seat need about ten minutes for each change."""
    moves = {("<in>", "api"): 10.0, ("api", "tests"): 10.0, ("tests", LANDED): 10.0}
    stations = {
        "api": paced("api", busy=6000, finished=10),
        "tests": paced("tests", busy=600, finished=10),
    }
    pace = Pace(stations=stations, moves=moves, landed=10, placed=10, seconds=6000)

    found = demand(pace)

    assert found["api"] == pytest.approx(10.0, rel=0.05)
    assert found["tests"] == pytest.approx(1.0, rel=0.15)


def test_the_sentence_names_the_constraint_its_bound_and_its_odds() -> None:
    """With enough landings and clear figures it says who limits the line, and how much."""
    moves = {("<in>", "api"): 10.0, ("api", "tests"): 10.0, ("tests", LANDED): 10.0}
    stations = {
        "api": paced("api", busy=6000, finished=10),
        "tests": paced("tests", busy=600, finished=10),
    }
    pace = Pace(stations=stations, moves=moves, landed=10, placed=10, seconds=6000)

    limits = limit(pace, draws())

    assert limits.station == "api"
    assert sentence(pace, limits) == (
        "api limits the line: at most 6.2 changes/h, P 1.00; without it 54.4/h (10 jobs landed)"
    )
    assert "api limited the line" in sentence(pace, limits, over=True)


def test_the_sentence_claims_nothing_after_one_landing() -> None:
    """One landed job is too early to name a constraint; the busiest station is all it tells."""
    pace = measured(landed(Tale(job("a")), work=3.2, test=1).book)

    limits = limit(pace, draws())

    assert limits.station is None
    assert sentence(pace, limits) == (
        "too early to say what limits the line: 1 job landed; api was busy longest, 3.2 s"
    )


def test_the_sentence_of_an_idle_line_says_so() -> None:
    """Before anything was done the sentence does not divide by nothing."""
    pace = measured(Tale().book)

    assert sentence(pace, limit(pace, draws())) == (
        "too early to say what limits the line: 0 jobs landed, nothing has been busy yet"
    )


def test_two_equal_stations_are_not_told_apart() -> None:
    """Where the draws favour no station the sentence names both and says it is not clear."""
    moves = {("<in>", "api"): 4.0, ("api", "tests"): 4.0, ("tests", LANDED): 4.0}
    stations = {
        "api": paced("api", busy=400, finished=4),
        "tests": paced("tests", busy=400, finished=4),
    }
    pace = Pace(stations=stations, moves=moves, landed=4, placed=4, seconds=800)

    said = sentence(pace, limit(pace, draws()))

    assert said.startswith("no station clearly limits the line: ")
    assert "api P 0." in said
    assert "tests P 0." in said


def test_a_person_who_is_waited_for_is_named_as_the_constraint() -> None:
    """When answers take longest, the sentence says `you` and points to the inbox."""
    tale = Tale(*(job(f"j{n}") for n in range(4)), seats=4)
    for name in tuple(tale.line.jobs):
        ask = Escalated(reason="protected path", commit=oid(name))
        tale.finish(name, ask, after=1)
        assert isinstance(tale.line.jobs[name].place, NeedsYou)
        tale.tell(Steered(job=name, text="yes"), after=300)
        tale.compose(after=1).test(after=1).compose(after=0, known=True).land()
    pace = measured(tale.book)

    said = sentence(pace, limit(pace, draws()))

    assert said.startswith("you limit the line (factory inbox): at most 1")


def test_the_same_ledger_gives_the_same_odds() -> None:
    """Odds are drawn with seeded chance: asked twice, the answer is the same, and sums to one."""
    pace = measured(simulate(3).book)

    one, two = limit(pace, draws(7)), limit(pace, draws(7))

    assert one == two
    assert sum(one.odds.values()) == pytest.approx(1.0)


def test_stations_with_our_own_names_keep_apart() -> None:
    """A station that a user calls `gate` is not mixed up with the gate itself."""
    mine = station("gate", Kind.CODE, agent=Agent(runtime="command", run=("x",)))
    rules = (mine, station("unit", Kind.TEST), station("lint", Kind.TEST))
    tale = Tale(job("a", route="gate"), stations=rules).done("a", after=7).compose(after=2)
    tale.tell(Woke(), after=3)

    stations = measured(tale.book).stations

    assert {name: each.busy for name, each in stations.items()} == {
        "gate": 7,
        "the gate": 2,
        "tests": 3,
        "you": 0,
        "provider": 0,
        "spawn": 0,
    }


def test_seats_that_change_count_from_then_on() -> None:
    """After a station got more seats, its idle seconds are those of the new number."""
    more = decision(1, SetSeats(seats=3))
    tale = Tale(job("a"), seats=1).tell(more, after=10).tell(Woke(), after=10)

    api = measured(tale.book).stations["api"]

    assert (api.seats, api.busy, api.idle) == (3, 20, 20)


def test_a_run_begins_with_its_opening() -> None:
    """Events that do not begin with `opened` are no run, and are refused by name."""
    with pytest.raises(ValueError, match="not with `woke`"):
        measured([(Woke(), 0.0)])
