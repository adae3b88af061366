"""Demand, odds, windows, drift and takt: on lines whose truth is known, and on made figures."""

import random
from dataclasses import replace

import pytest

from factory.pace.demand import needs, visits_per_change
from factory.pace.drift import drifted, since_drift
from factory.pace.odds import limit
from factory.pace.stragglers import bound_of
from factory.pace.takt import colour, late_rate, lead_ahead, rest_ahead, takt
from factory.pace.values import LANDED, Move, Pace, Pool, Ship, Visit
from factory.pace.windows import moves, weight
from tests.factory.line_world import (
    World,
    chance,
    random_plan,
    rate,
    reference,
    true_demand,
)


def test_the_constraint_of_random_lines_is_named() -> None:
    """Of thirty unknown lines 85 % are told right after 20 landings, and of sure calls 93 %."""
    right = sure = sure_right = 0
    for seed in range(30):
        plan = random_plan(seed)
        true = true_demand(plan)
        truth = max(true, key=lambda name: true[name])
        world = World(plan, seed)
        world.ship(20)
        found = limit(world.pace(), chance(seed))
        right += found.station == truth
        if found.station is not None and found.odds[found.station] >= 0.8:
            sure += 1
            sure_right += found.station == truth

    assert right >= 0.85 * 30
    assert sure_right >= 0.93 * sure


def test_the_bound_is_the_throughput_of_a_line_that_has_work() -> None:
    """What demand allows is what a simulated line does, within 5 %."""
    plan = reference()
    world = World(plan, 3)
    world.ship(1500)

    bound = 60 / max(true_demand(plan).values())

    assert rate(world.ships[100:]) == pytest.approx(bound, rel=0.05)


def test_a_hung_visit_raises_its_stations_demand_before_it_ends() -> None:
    """A seat that hangs costs as long as it hangs: its station is named without any more finish."""
    plan = reference()
    world = World(plan, 1)
    world.ship(30)
    before = limit(world.pace(), chance(1)).demand["review"]
    world.hang("review")
    world.ship(45)

    after = limit(world.pace(), chance(1)).demand["review"]

    assert after > 1.2 * before


def test_a_station_that_slows_down_is_found_within_ten_landings() -> None:
    """When the constraint moves in the middle of a run, it is named before ten more have landed."""
    found = []
    for seed in range(5):
        world = World(reference(), seed)
        world.ship(120)
        assert limit(world.pace(), chance(1)).station == "security"
        world.speed["review"] = 8.0
        world.ship(130)
        found.append(limit(world.pace(), chance(1)).station)

    assert found == ["review"] * 5


def test_older_landings_weigh_less() -> None:
    """The last 25 landings count in full, those before them half, and so on."""
    assert [weight(age, 25) for age in (0, 24, 25, 50)] == [1, 1, 0.5, 0.25]


def test_moves_of_late_replace_those_of_long_ago() -> None:
    """Rework that stopped long ago is hardly counted any more."""
    world = World(reference(), 1)
    world.ship(3)
    old = [Move(start="test", end="repair", ships=0) for _ in range(50)]
    new = [Move(start="test", end="security", ships=200) for _ in range(50)]
    pace = replace(world.pace(), landed=200, trail=(*old, *new))

    counted = moves(pace)

    assert counted["test", "security"] > 40 * counted["test", "repair"]


def test_one_speed_is_no_drift_and_two_are() -> None:
    """Chance alone hardly ever looks like a change of speed; a change of four times does."""
    rng = random.Random(4)  # noqa: S311  (a simulation, not a secret)

    def visits(scale: float, many: int) -> list[Visit]:
        return [Visit(seconds=scale * rng.lognormvariate(0, 0.6), ships=n) for n in range(many)]

    false = sum(drifted(visits(10, 120)) is not None for _ in range(100))
    cut = [since_drift([*visits(10, 80), *visits(40, 12)]) for _ in range(20)]

    assert false <= 3
    assert sum(8 <= len(rest) <= 16 for rest in cut) >= 18


def test_stations_that_share_seats_limit_the_line_together() -> None:
    """Two stations that are no constraint alone are one when they share too few seats."""
    world = World(reference(), 2)
    world.ship(60)
    alone = world.pace()
    pool = Pool(name="seats", members=("code", "repair"), seats=5)

    apart, together = limit(alone, chance(1)), limit(replace(alone, pools=(pool,)), chance(1))

    assert apart.station == "security"
    assert together.station == "code"
    work = needs(alone).minutes
    assert together.bound == pytest.approx(60 / ((work["code"] + work["repair"]) / 5))


def test_headroom_is_how_much_more_a_station_could_do() -> None:
    """The constraint has a headroom of one, and every other station more."""
    world = World(reference(), 2)
    world.ship(60)
    found = limit(world.pace(), chance(1))

    assert found.headroom["security"] == 1.0
    assert min(found.headroom.values()) == 1.0
    assert found.without > found.bound


def test_takt_colours() -> None:
    """Six changes an hour are one every ten minutes; beyond that a station is red."""
    assert takt(6) == 10
    assert [colour(d, 10) for d in (8.4, 8.6, 10.1)] == ["green", "amber", "red"]


def test_the_lead_ahead_is_littles_law() -> None:
    """Sixty jobs under way at fifteen an hour take about four hours."""
    world = World(reference(), 2)
    world.ship(200)
    pace = world.pace()
    found = limit(pace, chance(1))

    lead = lead_ahead(pace, found)

    assert lead is not None
    assert lead / 3600 == pytest.approx(4, rel=0.4)
    rest = rest_ahead(pace, found)
    assert rest is not None
    assert rest > lead


def test_a_change_is_visited_as_often_as_its_rework_says() -> None:
    """Of the reference line's tests a third fail: every change is tested 1.7 times."""
    world = World(reference(), 5)
    world.ship(400)

    visits = visits_per_change(world.pace())

    assert visits["test"] == pytest.approx(1 / 0.9 / 0.65, rel=0.12)
    assert visits[LANDED] == 1.0


def test_healthy_visits_are_never_taken_for_hung() -> None:
    """Of 4,000 lognormal visits, tails of cv 3 included, none is longer than its cohort allows."""
    rng = random.Random(9)  # noqa: S311  (a simulation, not a secret)
    wrong = 0
    for number in range(400):
        sigma = (0.2, 0.47, 0.83, 1.52)[number % 4]
        cohort = [rng.lognormvariate(3, sigma) for _ in range(rng.randint(5, 60))]
        bound = bound_of(cohort)
        assert bound is not None
        wrong += sum(rng.lognormvariate(3, sigma) > bound for _ in range(10))

    assert wrong == 0


def test_a_visit_six_times_as_long_is_found_where_visits_are_alike() -> None:
    """With twenty finished visits that vary by a fifth, six times their middle is too long."""
    rng = random.Random(9)  # noqa: S311  (a simulation, not a secret)
    found = 0
    for _ in range(50):
        cohort = [rng.lognormvariate(3, 0.2) for _ in range(20)]
        bound = bound_of(cohort)
        assert bound is not None
        found += bound < 6 * 20.1

    assert found >= 40


def test_too_few_visits_judge_nobody() -> None:
    """With four finished visits no attempt is called hung, however long it takes."""
    assert bound_of([1.0, 1.0, 1.0, 1.0]) is None


def test_others_that_are_slow_too_raise_the_bound() -> None:
    """Where many under way take long as well, it is the work that is long, not one seat."""
    finished = [10.0, 11.0, 9.0, 10.5, 9.5, 10.0, 11.5, 8.5]

    alone, among = bound_of(finished), bound_of(finished, [60.0] * 6)

    assert alone is not None
    assert among is not None
    assert among > 3 * alone


def test_the_rate_of_late_is_never_that_of_a_batch_alone() -> None:
    """What landed at once took as long as everything before it; 25 landings are looked back on."""
    none = Pace(stations={}, moves={}, landed=0, placed=0, seconds=0)
    batch = tuple(Ship(at=at, lead=1.0) for at in [50.0, *[60.0] * 6])
    steady = tuple(Ship(at=60.0 * n, lead=1.0) for n in range(1, 41))

    assert late_rate(none) == 0
    assert late_rate(replace(none, landed=7, ships=batch)) == pytest.approx(7 * 60)
    assert late_rate(replace(none, landed=40, ships=steady)) == pytest.approx(60)
