"""Decisions at the line: applied, replayed and taken back; and what no decision can ever do."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factory.adjusting import effective_hash
from factory.balancing import Balancer, balancing, take_back
from factory.changes import (
    Change,
    LimitWip,
    Order,
    Reorder,
    Replace,
    Restore,
    Retire,
    Sample,
    SetSeats,
    SetSlots,
)
from factory.events import (
    Advanced,
    Decided,
    Event,
    InGate,
    Measured,
    NeedsYou,
    Noted,
    OpenHours,
    Resting,
    Stop,
    Undone,
    Waiting,
    Woke,
    Working,
)
from factory.ledger import Ledger, Letter
from factory.line import opened, replay, step
from factory.meter import Meter, measured, open_within
from factory.pace.catalogue import Policy
from factory.pace.odds import limit
from factory.pace.sentence import sentence
from factory.pace.values import PROVIDER
from factory.shift import Mail
from stations.contract import Agent, Done, Failed, Kind, Reviewed, Spend, StationSpec
from tests.factory import line_sim
from tests.factory.line_world import chance, decision
from tests.factory.planted import Tale, job, oid, station
from worktrees.names import JobId, StationName
from worktrees.scope import Scope

SH = Agent(runtime="command", run=("agent",))
API = station("api", Kind.CODE, agent=SH)
LOOK = station("look", Kind.REVIEW, agent=SH, required=False)
TESTS = station("tests", Kind.TEST, run=("pytest",))


def line_of(*stations: StationSpec, jobs: int = 3, **rules: object) -> Tale:
    """Give a run whose jobs all wait or work."""
    names = [job(f"j{n}") for n in range(jobs)]
    return Tale(*names, stations=stations or (API, TESTS), **rules)


def working(tale: Tale) -> list[str]:
    """Give the jobs that are at work."""
    return [name for name, work in tale.line.jobs.items() if isinstance(work.place, Working)]


@pytest.mark.parametrize(
    ("change", "back", "of"),
    [
        (LimitWip(wip=2), LimitWip(wip=None), lambda rules: rules.wip),
        (
            Reorder(station=StationName("api"), order=Order.OLDEST),
            Reorder(station=StationName("api"), order=Order.ARRIVAL),
            lambda rules: dict(rules.orders),
        ),
        (SetSeats(seats=5), SetSeats(seats=2), lambda rules: rules.seats),
        (
            SetSeats(seats=1, station=StationName("api")),
            SetSeats(seats=0, station=StationName("api")),
            lambda rules: rules.station(StationName("api")).seats,
        ),
        (SetSlots(slots=3), SetSlots(slots=1), lambda rules: rules.slots),
        (
            Sample(station=StationName("look"), every=4),
            Sample(station=StationName("look"), every=1),
            lambda rules: dict(rules.sampled),
        ),
        (
            Retire(station=StationName("look")),
            Restore(station=StationName("look")),
            lambda rules: rules.retired,
        ),
    ],
    ids=lambda value: getattr(value, "kind", ""),
)
def test_a_change_is_replayed_and_taken_back(change, back, of) -> None:
    """The same record gives the same line, and an undo gives the rules that were before."""
    tale = line_of(API, LOOK, TESTS)
    before = of(tale.line.rules)
    tale.tell(decision(1, change, back))
    after = of(tale.line.rules)

    assert after != before
    assert replay(iter(e for e in tale.book if e[0].kind != "started")) == tale.line
    tale.tell(Undone(number=1, by="a test", why="a test"))
    if change.kind == "seats" and change == SetSeats(seats=1, station=StationName("api")):
        return  # a station without seats of its own cannot be given none
    assert of(tale.line.rules) == before
    assert tale.line.rules.hash == "h"
    undone = tale.line
    tale.tell(Undone(number=1, by="a test", why="again"))
    assert tale.line.undone == undone.undone


def test_a_suggestion_changes_nothing() -> None:
    """What was only suggested stands in the record, and the rules are as they were."""
    tale = line_of()
    rules = tale.line.rules
    tale.tell(replace(decision(1, SetSeats(seats=9)), applied=False))

    assert tale.line.rules == rules
    assert 1 in tale.line.decided


def test_no_more_jobs_are_begun_than_the_limit_allows() -> None:
    """With a limit of two the third job begins only when one of the first has ended."""
    tale = line_of(seats=5, wip=2)

    assert working(tale) == ["j0", "j1"]
    tale.done("j0").done("j1")
    assert working(tale) == []
    tale.compose().test().compose(known=True).land()
    assert working(tale) == ["j2"]


def test_work_that_came_back_does_not_wait_for_the_limit() -> None:
    """A job that was begun goes on, however many are under way."""
    tale = line_of(seats=5, wip=2)
    again = Failed(fault="interrupted", retryable=True, interrupted=True)
    tale.finish("j0", again)

    assert set(working(tale)) == {"j0", "j1"}


def test_the_oldest_or_the_shortest_start_first() -> None:
    """An order at a station decides who of the waiting gets the next seat."""
    long, short = "x" * 5000, "x"
    jobs = [job("a", brief=short), job("b", brief=long), job("c", brief=short)]
    tale = Tale(*jobs, stations=(API, TESTS), seats=1)
    tale.tell(decision(1, Reorder(station=StationName("api"), order=Order.SHORTEST)))
    tale.done("a")

    assert working(tale) == ["c"]


def test_a_replaced_attempt_is_stopped_and_its_job_tried_again() -> None:
    """The attempt ends, keeps what it saved, and does not count as a try of its job."""
    tale = line_of(jobs=1)
    _, actions = step(tale.line, decision(1, Replace(job=JobId("j0"), attempt=1)), tale.at)
    tale.tell(decision(1, Replace(job=JobId("j0"), attempt=1)))
    tale.finish("j0", Failed(fault="stopped", retryable=True, interrupted=True))

    assert Stop(job=JobId("j0"), attempt=1) in actions
    assert tale.line.jobs[JobId("j0")].attempt == 2
    assert tale.line.jobs[JobId("j0")].tries == 1


def test_an_attempt_that_has_ended_is_not_replaced() -> None:
    """A decision that comes too late ends nobody else's attempt."""
    tale = line_of(jobs=1)
    _, actions = step(tale.line, decision(1, Replace(job=JobId("j0"), attempt=7)), tale.at)

    assert not [each for each in actions if isinstance(each, Stop)]


def test_a_sampled_review_sees_one_in_so_many() -> None:
    """Of four changes a review that samples one in two reads the first and the third."""
    tale = line_of(API, LOOK, TESTS, jobs=4, seats=4)
    tale.tell(decision(1, Sample(station=StationName("look"), every=2)))
    for name in ("j0", "j1", "j2", "j3"):
        tale.done(name)

    at = {name: work.station for name, work in tale.line.jobs.items()}
    assert at == {"j0": "look", "j1": "api", "j2": "look", "j3": "api"}
    assert tale.line.rules.hash != "h"
    assert tale.line.rules.configured == "h"


def test_a_retired_review_reads_nothing_more() -> None:
    """What waits for it goes on to the gate, and so does what comes."""
    tale = line_of(API, LOOK, TESTS, jobs=3, seats=1)
    tale.done("j0")
    assert tale.line.jobs[JobId("j0")].station == "look"
    tale.tell(decision(1, Retire(station=StationName("look"))))
    tale.finish("j0", Reviewed(back=False)).done("j1")

    places = [tale.line.jobs[JobId(name)].place for name in ("j0", "j1")]
    assert all(isinstance(place, InGate) for place in places)


def test_the_jobs_of_a_retired_station_go_where_their_scope_is_held() -> None:
    """Another station of its kind takes over what it may; the rest waits for a person."""
    gone = station("api", Kind.CODE, agent=SH, required=False, seats=1)
    heir = station("heir", Kind.CODE, agent=SH, scope=Scope(write=("j1/**",)), seats=1)
    tale = Tale(*(job(f"j{n}") for n in range(3)), stations=(gone, heir, TESTS), seats=2)
    tale.tell(decision(1, Retire(station=StationName("api")), Restore(station=StationName("api"))))

    jobs = tale.line.jobs
    assert isinstance(jobs[JobId("j0")].place, Working)  # it is under way: let it end
    assert jobs[JobId("j1")].station == "heir"
    assert isinstance(jobs[JobId("j2")].place, NeedsYou)
    tale.finish("j0", Failed(fault="x", retryable=True, interrupted=True))
    assert isinstance(tale.line.jobs[JobId("j0")].place, NeedsYou)


def test_work_does_not_go_round_between_a_station_and_one_that_left() -> None:
    """Who hands on to a station that left is not its heir: its failures would come back to it."""
    cheap = replace(API, name=StationName("cheap"), attempts=1, on={"failed": "dear"})
    dear = replace(API, name=StationName("dear"), required=False)
    task = replace(job("a"), route=StationName("cheap"))
    tale = Tale(task, stations=(cheap, dear, TESTS))
    tale.tell(decision(1, Retire(station=dear.name), Restore(station=dear.name)))

    tale.finish("a", Failed(fault="it cannot"))

    assert isinstance(tale.line.jobs[JobId("a")].place, NeedsYou)
    assert tale.line.jobs[JobId("a")].attempt == 1


def test_a_landing_names_the_line_whose_evidence_it_is() -> None:
    """The hash of the line that composed a trial goes with it to the landing."""
    tale = line_of(API, LOOK, TESTS, jobs=1)
    tale.tell(decision(1, Retire(station=StationName("look")))).done("j0").compose()
    held = next(iter(tale.line.trials.values()))

    assert held.line == tale.line.rules.hash == effective_hash(tale.line.rules) != "h"


STATIONS = (
    API,
    station("coder", Kind.CODE, agent=SH, required=False),
    LOOK,
    station("second", Kind.REVIEW, agent=SH),
    TESTS,
    station("lint", Kind.TEST, run=("lint",), required=False),
)
NAMES = st.sampled_from([str(spec.name) for spec in STATIONS] + ["nobody"]).map(StationName)
NUMBERS = st.integers(min_value=-2, max_value=9)
CHANGES: st.SearchStrategy[Change] = st.one_of(
    st.builds(LimitWip, wip=st.none() | NUMBERS),
    st.builds(Reorder, station=NAMES, order=st.sampled_from(Order)),
    st.builds(Replace, job=st.sampled_from(["j0", "j1"]).map(JobId), attempt=NUMBERS),
    st.builds(SetSeats, seats=NUMBERS, station=st.none() | NAMES),
    st.builds(SetSlots, slots=NUMBERS),
    st.builds(Sample, station=NAMES, every=NUMBERS),
    st.builds(Retire, station=NAMES),
    st.builds(Restore, station=NAMES),
)


@settings(max_examples=40, deadline=None)
@given(changes=st.lists(st.tuples(CHANGES, CHANGES, st.booleans()), max_size=8))
def test_no_sequence_of_decisions_weakens_a_required_station(
    changes: list[tuple[Change, Change, bool]],
) -> None:
    """Even events that nobody should have written leave every required station as it was."""
    tale = line_of(*STATIONS, jobs=2)
    fixed = [replace(spec, seats=0) for spec in tale.line.rules.stations]
    required = {spec.name for spec in STATIONS if spec.required}
    for number, (change, back, takes_back) in enumerate(changes, start=1):
        tale.tell(decision(number, change, back))
        if takes_back:
            tale.tell(Undone(number=number, by="a test", why="a test"))
        rules = tale.line.rules

        assert [replace(spec, seats=0) for spec in rules.stations] == fixed
        assert not required & (set(rules.retired) | set(rules.sampled))
        assert not {"tests", "lint"} & (set(rules.retired) | set(rules.sampled))
        assert rules.seats >= 1
        assert rules.slots >= 1
        assert rules.wip is None or rules.wip >= 1
        part = any(every > 1 for every in rules.sampled.values())
        assert (rules.hash == "h") is (not part and not rules.retired)


class Balanced(line_sim.World):
    """A simulated world with crashes and foreign commits, in which somebody keeps deciding."""

    def people(self) -> list[Event]:
        events = super().people()
        line = self.floor.line
        number = max(line.decided, default=0) + 1
        if self.far.random() < 0.5:
            names = [str(spec.name) for spec in line.rules.stations]
            station_name = StationName(self.far.choice(names))
            every, seats = self.far.choice([1, 2, 3]), self.far.choice([1, 2, 3, 5])
            jobs = [work for work in line.jobs.values() if isinstance(work.place, Working)]
            pairs: list[tuple[Change, Change]] = [
                (SetSeats(seats=seats), SetSeats(seats=line.rules.seats)),
                (SetSlots(slots=seats), SetSlots(slots=line.rules.slots)),
                (LimitWip(wip=seats), LimitWip(wip=None)),
                (Retire(station=station_name), Restore(station=station_name)),
                (Sample(station=station_name, every=every), Sample(station=station_name, every=1)),
                (
                    Reorder(station=station_name, order=Order.SHORTEST),
                    Reorder(station=station_name, order=Order.ARRIVAL),
                ),
            ]
            change, back = self.far.choice(pairs)
            if jobs and self.far.random() < 0.2:
                change = Replace(job=jobs[0].job.id, attempt=jobs[0].attempt)
            events.append(decision(number, change, back))
        if line.decided and self.far.random() < 0.3:
            of = self.far.choice(tuple(line.decided))
            events.append(Undone(number=of, by="a test", why="a test"))
        return events


def balanced_world(seed: int) -> None:
    """Run one seed to its end, with decisions all along, and look at it from outside."""
    world = Balanced(seed)
    world.run()
    line_sim.check(world)
    rules = world.floor.line.rules
    required = {spec.name for spec in rules.stations if spec.required}
    assert not required & (set(rules.retired) | set(rules.sampled))


def test_decisions_lose_no_work_whatever_else_happens() -> None:
    """With random decisions between crashes, people and foreign commits every promise holds."""
    for seed in range(25):
        balanced_world(seed)


@pytest.mark.soak
def test_decisions_lose_no_work_in_many_worlds() -> None:
    """The same in a thousand worlds."""
    for seed in range(25, 1025):
        balanced_world(seed)


def slow_line(jobs: int, *, most: int | None = 4) -> tuple[Tale, Policy]:
    """Give a run of many jobs at one slow seat, and a policy that allows more."""
    tale = Tale(*(job(f"j{n}") for n in range(jobs)), stations=(API, TESTS), seats=1)
    return tale, Policy(mode="auto", max_seats=most)


def landings(tale: Tale) -> Iterator[str]:
    """Let jobs land one after the other; each is named when it did."""
    for name in tuple(tale.line.jobs):
        tale.done(name, after=100).compose(after=1).test(after=1)
        tale.compose(after=0, known=True).land()
        yield name


def test_the_loop_on_a_live_run_widens_what_limits_it() -> None:
    """Fed with a run's events it decides after some landings, and the line has the seats then."""
    tale, policy = slow_line(30)
    loop, fed, line = Balancer(policy), 0, None
    decided: list[Event] = []
    for _ in landings(tale):
        for event, at in tale.book[fed:]:
            line = opened(event, at) if line is None else step(line, event, at)[0]
            loop.watch(line, event, at)
        fed = len(tale.book)
        decided += loop.look(tale.line, tale.at)
        if decided:
            break

    assert isinstance(decided[0], Decided)
    assert decided[0].chosen.change == SetSeats(seats=4)
    tale.tell(decided[0])
    assert tale.line.rules.seats == 4


def test_a_person_may_apply_and_undo_by_name() -> None:
    """What a person names is decided at once, or refused with a note that says what there is."""
    tale, policy = slow_line(12)
    for _ in landings(tale):
        if len(measured(tale.book).ships) > 9:
            break
    loop = Balancer(replace(policy, mode="off"), tale.book)

    known = balancing(tale.line, tale.book, policy, tale.at).options
    option = next(each for each in known if each.name == "seats-2")
    (refused,) = loop.apply(tale.line, replace(option, change=SetSeats(seats=99)), tale.at)
    (decided,) = loop.apply(tale.line, option, tale.at)

    assert isinstance(refused, Noted)
    assert "at most 4 seats ([pace] max_seats)" in refused.text
    assert isinstance(decided, Decided)
    tale.tell(decided)
    assert tale.line.rules.seats == 2
    (back,) = loop.undo(tale.line, "seats-2")
    assert isinstance(back, Undone)
    tale.tell(back)
    assert tale.line.rules.seats == 1
    assert take_back(tale.line, "1", landed=0) == "decision 1 was undone already"


def test_an_option_that_the_line_went_past_is_refused() -> None:
    """A letter may lie for long: more seats never become fewer, and nobody leaves twice."""
    tale, policy = slow_line(12)
    for _ in landings(tale):
        if len(measured(tale.book).ships) > 9:
            break
    shown = balancing(tale.line, tale.book, policy, tale.at).options
    tale.tell(decision(1, SetSeats(seats=4), SetSeats(seats=1)))
    tale.tell(Undone(number=1, by="a test", why="a test"))
    widened = decision(2, SetSeats(seats=3), SetSeats(seats=1))
    tale.tell(widened)
    tale.tell(Measured(number=2, after=widened.inputs, effect="even", why="a test"))
    loop = Balancer(policy, tale.book)
    two, four = (next(o for o in shown if o.name == f"seats-{n}") for n in (2, 4))
    back = replace(two, change=Restore(station=StationName("api")))

    (few,) = loop.apply(tale.line, two, tale.at)
    (there,) = loop.apply(tale.line, back, tale.at)
    (more,) = loop.apply(tale.line, four, tale.at)

    assert isinstance(few, Noted)
    assert isinstance(there, Noted)
    assert isinstance(more, Decided)
    assert "the line has 3 seats by now" in few.text
    assert "api has not left" in there.text


def test_two_letters_at_once_are_one_change_at_a_time(tmp_path: Path) -> None:
    """The second is judged by the line that the first made: no number is given twice."""
    tale, policy = slow_line(12)
    for _ in landings(tale):
        if len(measured(tale.book).ships) > 9:
            break
    options = balancing(tale.line, tale.book, policy, tale.at).options
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        mail = Mail(ledger, tale.run, Balancer(policy, tale.book), lambda: tale.at)
        for option in options[:2]:
            letter = Letter(kind="apply", text=option.name, option=option)
            ledger.post(tale.run, letter, tale.at)
        ledger.post(tale.run, Letter(kind="undo", text="1"), tale.at)
        ledger.post(tale.run, Letter(kind="undo", text="1" * 5_000), tale.at)
        asked = mail.collect(tale.line)

    one, two, three, four = asked
    assert isinstance(one, Decided)
    assert isinstance(two, Noted)
    assert isinstance(three, Undone)
    assert isinstance(four, Noted)
    assert (one.number, one.chosen) == (1, options[0])
    assert "one change at a time" in two.text
    assert three.number == 1
    assert "there is no decision 111" in four.text


def test_what_a_killed_process_left_at_work_does_not_hang() -> None:
    """The hours in which nobody worked are no attempt's: a resume begins with a look at nothing."""
    tale, policy = slow_line(12)
    for _ in landings(tale):
        if len(measured(tale.book).ships) > 7:
            break
    loop = Balancer(policy, tale.book)

    assert loop.look(tale.line, tale.at + 36_000) == ()

    loop.watch(tale.line, Woke(), tale.at + 1)
    (hung,) = loop.look(tale.line, tale.at + 36_000)
    assert isinstance(hung, Decided)
    assert isinstance(hung.chosen.change, Replace)


def test_a_balance_is_read_from_the_record_alone() -> None:
    """The same record gives the same constraint, options and predictions."""
    tale, policy = slow_line(12)
    for _ in landings(tale):
        if len(measured(tale.book).ships) > 9:
            break

    one = balancing(tale.line, tale.book, policy, tale.at)
    two = balancing(tale.line, tale.book, policy, tale.at)

    assert one.limits == two.limits
    assert one.options == two.options
    assert one.limits.station == "api"
    assert {option.name for option in one.options} >= {"seats-2", "seats-4"}


def test_a_rate_limit_is_one_delay_and_is_named_as_the_constraint() -> None:
    """While any job is held back by its provider, the station `provider` is busy, once for all."""
    model = station("api", Kind.CODE, agent=Agent(runtime="sdk", model="small"))
    tale = Tale(*(job(f"j{n}") for n in range(6)), stations=(model, TESTS), seats=2)
    limited = Failed(fault="429", retryable=True, environment=True, cause="limited")
    tale.finish("j0", limited, after=0).finish("j1", limited, after=0).tell(Woke(), after=50)
    provider = measured(tale.book).stations["provider"]

    assert provider.kind == PROVIDER
    assert (provider.visits, provider.busy) == (2, 50)
    while any(isinstance(work.place, Waiting | Resting) for work in tale.line.jobs.values()):
        for name in working(tale):
            tale.done(name).compose().test().compose(after=0, known=True).land()
            for other in working(tale):
                tale.finish(other, limited, after=0)
        tale.tell(Woke(), after=61)
    pace = measured(tale.book)
    limits = limit(pace, chance(1))

    assert limits.station == "provider"
    assert sentence(pace, limits).startswith("the provider's rate limit limits the line")
    found = balancing(tale.line, tale.book, Policy(max_seats=9), tale.at)
    assert [each.name for each in found.options if each.name.startswith("seats")] == []


def test_closed_hours_are_nobodys_delay() -> None:
    """A question that waits over night counts only the hours in which people answer."""
    hours = OpenHours(begin=9 * 3600, end=17 * 3600)
    day = 86400.0

    assert open_within(hours, 0, day) == 8 * 3600
    assert open_within(hours, 16 * 3600, day + 10 * 3600) == 2 * 3600
    assert open_within(OpenHours(begin=22 * 3600, end=6 * 3600), 0, day) == 8 * 3600
    assert open_within(replace(hours, offset=3600), 8 * 3600, 9 * 3600) == 3600
    assert open_within(None, 3, 10) == 7


def test_making_a_seat_ready_is_a_station_of_its_own() -> None:
    """What an attempt took beyond its agent's own time is the time of `spawn`."""
    tale = line_of(jobs=1)
    done = Done(commit=oid("w"), spend=Spend(seconds=7))
    tale.finish("j0", done, after=10)

    assert measured(tale.book).stations["spawn"].busy == 3


def test_first_trials_are_counted_once_for_each_job() -> None:
    """A job that is red first and green after counts as judged once, and not as passed."""
    cleanup = station("repair", Kind.CLEANUP, agent=SH)
    tale = Tale(job("a"), job("b"), stations=(API, TESTS, cleanup), repair=cleanup.name, seats=2)
    tale.done("a").compose().test(red="no").compose(known=False).test(red="no")
    assert isinstance(tale.line.jobs[JobId("a")].place, Working | Waiting)
    tale.done("a", commit=oid("mended")).compose().test().compose(known=True).land()

    meter = Meter()
    for event, at in tale.book:
        meter.take(event, at)
    pace = meter.read()
    assert (pace.passed, pace.judged) == (0, 1)
    assert any(isinstance(event, Advanced) for event, _ in tale.book)
