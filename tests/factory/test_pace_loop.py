"""The controller in closed loop: what it does to lines whose truth is known, and what it leaves."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from factory.changes import (
    Advice,
    Change,
    LimitWip,
    Option,
    Order,
    Reorder,
    Replace,
    Restore,
    Retire,
    Sample,
    SetSeats,
    SetSlots,
)
from factory.events import Decided, Measured, Undone
from factory.pace.catalogue import Policy, catalogue
from factory.pace.controller import Look, Past, chosen, named, undone
from factory.pace.iron import broken
from factory.pace.layout import AtWork, Layout, Spot
from factory.pace.odds import limit
from factory.pace.values import LANDED
from tests.factory.line_world import Loop, Place, Plan, World, chance, rate, reference
from worktrees.names import JobId, StationName

AUTO = Policy(mode="auto")


def balanced() -> Plan:
    """Give a line whose four stations all need three minutes for a change."""
    ways = {"code": "test", "test": "review", "review": "merge", "merge": LANDED}
    seats = {"code": 4, "test": 2, "review": 3, "merge": 1}
    return Plan(
        places={
            name: Place(minutes=3.0 * seats[name], seats=seats[name], to={to: 1.0}, most=8)
            for name, to in ways.items()
        },
        first="code",
        wip=15,
    )


def test_the_loop_widens_the_constraint_of_the_reference_line() -> None:
    """One change at a time, none at the optional station: nearly twice the throughput."""
    world = World(reference(), 0)
    world.ship(60)
    loop = Loop(world, AUTO)
    loop.run(260)

    kinds = {each.chosen.change.kind for each in loop.applied}
    assert loop.applied[0].inputs.station == "security"
    assert kinds == {"seats"}
    assert rate(world.ships[-60:]) > 1.7 * rate(world.ships[:60])
    waiting = 0
    for _, verdict in loop.told:
        if isinstance(verdict, Decided) and verdict.applied:
            assert not waiting, "one change at a time"
            waiting = verdict.number
        elif isinstance(verdict, Measured):
            assert verdict.number == waiting
            waiting = 0


def test_a_slow_test_station_is_named_within_twenty_landings_and_the_throughput_doubles() -> None:
    """Tests six times as slow are the first thing that is done something about."""
    plan = reference(more=8)
    world = World(replace(plan, wip=40), 1)
    world.speed["test"] = 6.0
    world.ship(20)
    assert limit(world.pace(), chance(1)).station == "test"
    loop = Loop(world, AUTO)
    loop.run(160)

    assert loop.applied[0].chosen.change == SetSeats(seats=12, station=StationName("test"))
    assert rate(world.ships[-60:]) > 2 * rate(world.ships[:20])


def test_a_balanced_line_is_left_alone() -> None:
    """Where every station limits the line as much as the next, nothing is done, nor suggested."""
    world = World(balanced(), 5)
    loop = Loop(world, AUTO)
    loop.run(160)

    assert loop.applied == []


def test_a_line_without_enough_work_is_left_alone() -> None:
    """When jobs come more slowly than the line works, more of anything would change nothing."""
    world = World(replace(reference(), arrivals=6.0), 5)
    loop = Loop(world, AUTO)
    loop.run(100)

    assert loop.told == []


def test_the_wanted_takt_is_enough() -> None:
    """A line that does what people want of it is not changed."""
    world = World(reference(), 0)
    loop = Loop(world, replace(AUTO, wanted=10.0))
    loop.run(120)

    assert loop.applied == []


def test_off_looks_at_nothing_and_suggest_changes_nothing() -> None:
    """Only `auto` changes a line; `suggest` says each thing once in a while."""
    silent, telling = World(reference(), 0), World(reference(), 0)
    off, suggest = Loop(silent, Policy(mode="off")), Loop(telling, Policy(mode="suggest"))
    off.run(90)
    suggest.run(90)

    assert off.told == []
    assert suggest.told
    assert suggest.applied == []
    names = [v.chosen.name for _, v in suggest.told if isinstance(v, Decided)]
    assert len(names) == len(set(names))


def test_a_change_that_slows_the_line_down_is_taken_back() -> None:
    """When a wider station makes everything slower, it is measured as worse and undone."""
    world = World(reference(), 0)
    loop = Loop(world, AUTO)
    while not loop.applied:
        loop.run(len(world.ships) + 1)
    world.drag = 2.5  # the seats it gave are seats of one machine
    loop.run(len(world.ships) + 160)

    first = loop.applied[0]
    assert loop.past.measured[first.number].effect == "worse"
    assert first.number in loop.past.undone
    assert isinstance(first.chosen.change, SetSeats)
    assert world.desks[str(first.chosen.change.station)].seats == 2


def test_a_retirement_needs_leave_and_findings_are_told() -> None:
    """An optional station goes by itself only if a person allowed it; what it found is said."""
    seen = []
    for allowed in (False, True):
        world = World(reference(more=0), 3)
        world.ship(60)
        policy = Policy(mode="auto", allow_retire=allowed)
        pace, layout = world.pace(), world.layout()
        options = catalogue(pace, limit(pace, chance(1)), layout, policy, chance(1))
        retire = next(each for each in options if each.change.kind == "retire")
        assert "finding" in retire.why
        seen.append(retire.alone)

    assert seen == [False, True]


def test_a_hung_visit_is_replaced_once_and_nobody_else() -> None:
    """In a thousand visits and more only the one that hangs is ended, and its job lands."""
    world = World(reference(), 4)
    loop = Loop(world, replace(AUTO, wanted=1.0))
    loop.run(40)
    job = world.hang("code")
    loop.run(190)

    replaced = [each for each in loop.applied if isinstance(each.chosen.change, Replace)]
    assert [each.chosen.name for each in replaced] == [f"replace-{job}"]
    assert [hung for _, _, hung in world.killed] == [True]
    assert job not in world.desks["code"].at


def test_predictions_come_true() -> None:
    """What a wider constraint promised is what the simulated line then does, within a seventh."""
    world = World(reference(), 0)
    world.ship(200)
    pace = world.pace()
    before = rate(world.ships[50:])
    options = catalogue(pace, limit(pace, chance(1)), world.layout(), AUTO, chance(1))
    option = next(each for each in options if each.name == "seats-security-3")
    assert option.prediction is not None
    world.apply(option.change)
    world.ship(900)

    gained = rate(world.ships[300:]) / before

    assert abs(option.prediction.gain.mid / gained - 1) < 1 / 7


def test_a_smaller_cap_keeps_the_throughput_and_shortens_the_lead() -> None:
    """With far too much under way the loop's first change is a cap, and work is done sooner."""
    world = World(replace(reference(more=0), wip=160), 0)
    world.ship(60)
    loop = Loop(world, AUTO)
    loop.run(65 + 160)

    assert isinstance(loop.applied[0].chosen.change, LimitWip)
    assert loop.applied[0].chosen.change.wip == 75


def test_a_choice_by_name_obeys_the_same_rules() -> None:
    """A person who names what is not there, or is only advice, is told what is."""
    world = World(reference(), 1)
    world.ship(60)
    look = Look(
        pace=world.pace(), layout=world.layout(), policy=AUTO, past=Past(), chance=chance(1)
    )

    limits = limit(look.pace, chance(1))
    option = named(look, limits, "seats-security-3")
    assert isinstance(option, Option)
    assert isinstance(chosen(look, option, by="a person"), Decided)
    assert "is required" in str(
        chosen(look, replace(option, change=Retire(station=StationName("test"))), by="a person")
    )
    refused = named(look, limits, "retire-test")
    assert isinstance(refused, str)
    assert refused.startswith("there is no option retire-test now; there is ")


def test_a_decision_is_undone_once_and_not_under_a_later_one() -> None:
    """Taking back twice, or what was never done, or under a later change, is refused by name."""
    world = World(reference(), 0)
    loop = Loop(world, AUTO)
    while not loop.applied:
        loop.run(len(world.ships) + 1)
    first = loop.applied[0]
    later = replace(first, number=first.number + 1)
    past = Past(decided={first.number: first, later.number: later})

    assert isinstance(undone(loop.past, first.number, by="a person", why="", ships=1), Undone)
    assert "undo that one first" in str(undone(past, first.number, by="me", why="", ships=1))
    assert undone(Past(), 7, by="me", why="", ships=1) == "there is no decision 7"


SPOTS = {
    "code": Spot(name="code", kind="code", seats=4, most=6),
    "test": Spot(name="test", kind="test", seats=2, most=3),
    "look": Spot(name="look", kind="review", seats=1, most=6, optional=True, samples=True),
    "review": Spot(name="review", kind="review", seats=1, most=6, samples=True),
}
LAYOUT = Layout(
    spots=SPOTS,
    seats=4,
    most_seats=6,
    slots=2,
    most_slots=3,
    wip=None,
    at_work=(AtWork(job=JobId("j"), attempt=1, station="code", seconds=1.0),),
)
NAMES = st.sampled_from([*SPOTS, "nobody"]).map(StationName)
NUMBERS = st.integers(min_value=-3, max_value=40)
CHANGES: st.SearchStrategy[Change] = st.one_of(
    st.builds(LimitWip, wip=st.none() | NUMBERS),
    st.builds(Reorder, station=NAMES, order=st.sampled_from(Order)),
    st.builds(Replace, job=st.just(JobId("j")), attempt=NUMBERS),
    st.builds(SetSeats, seats=NUMBERS, station=st.none() | NAMES),
    st.builds(SetSlots, slots=NUMBERS),
    st.builds(Sample, station=NAMES, every=NUMBERS),
    st.builds(Retire, station=NAMES),
    st.builds(Restore, station=NAMES),
    st.builds(Advice, topic=st.just("person"), station=NAMES),
)


@settings(max_examples=150, deadline=None)
@given(change=CHANGES)
def test_no_lawful_change_touches_a_required_station(change: Change) -> None:
    """Whatever is proposed: nothing required is sampled or retired, nothing gets no seat at all."""
    if broken(LAYOUT, change):
        return

    match change:
        case Sample(station=station, every=every):
            assert SPOTS[station].optional
            assert every >= 1
        case Retire(station=station):
            assert SPOTS[station].optional
        case SetSeats(seats=seats) | SetSlots(slots=seats):
            assert 1 <= seats <= 6
        case LimitWip(wip=wip):
            assert wip is None or wip >= 1
        case Advice():
            raise AssertionError("advice is for a person")
        case _:
            pass
