"""Two versions of a line on the same work: how jobs are dealt, and what may be claimed."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.balancing import seeded
from factory.comparing import (
    Name,
    Result,
    Share,
    Taken,
    compare,
    deal,
    parcels,
    sentence,
    turns,
    wilson,
)
from factory.pace.values import Chance
from stations.contract import Job
from worktrees.names import JobId, StationName
from worktrees.scope import Scope

NAMES: dict[Name, str] = {"a": "a.toml", "b": "b.toml"}


def job(number: int, *, place: int = -1, needs: tuple[int, ...] = ()) -> Job:
    """Give a job that writes one file, its own unless a place is given."""
    return Job(
        id=JobId(f"j{number}"),
        title=f"Do {number}",
        brief=f"Do {number}",
        scope=Scope(write=(f"/f{number if place < 0 else place}.txt",)),
        route=StationName(f"s{number % 2}"),
        needs=tuple(JobId(f"j{need}") for need in needs),
    )


@st.composite
def some_jobs(draw: st.DrawFn) -> list[Job]:
    """Draw jobs of which some overlap and some need earlier ones."""
    many = draw(st.integers(1, 14))
    return [
        job(
            number,
            place=draw(st.integers(0, 20)),
            needs=tuple(sorted(draw(st.sets(st.integers(0, number - 1), max_size=1))))
            if number and draw(st.integers(0, 3)) == 0
            else (),
        )
        for number in range(many)
    ]


@given(some_jobs(), st.integers(0, 2**32))
def test_jobs_are_dealt_once_balanced_and_never_torn(jobs: list[Job], seed: int) -> None:
    """Each job is in one turn; what is tied is in the same; sizes differ by one parcel at most."""
    whole = parcels(jobs)
    chance = seeded(seed)
    dealt = deal(whole, {each.id: each.route for each in jobs}, chance)
    taken = turns(dealt, chance)

    flat = [name for turn in taken for name in turn.jobs]
    assert sorted(flat) == sorted(each.id for each in jobs)
    at = {name: number for number, turn in enumerate(taken) for name in turn.jobs}
    for one, two in combinations(jobs, 2):
        if one.scope.overlaps(two.scope) or one.id in two.needs:
            assert at[one.id] == at[two.id]
    sizes = [sum(map(len, dealt[name])) for name in NAMES]
    assert max(sizes) - min(sizes) <= max(map(len, whole))
    again = seeded(seed)
    assert turns(deal(whole, {each.id: each.route for each in jobs}, again), again) == taken


def test_versions_take_turns_there_and_back() -> None:
    """With jobs enough each works twice, first and last the same, so that a trend hits both."""
    orders = set()
    for seed in range(20):
        chance = seeded(seed)
        jobs = [job(number) for number in range(8)]
        order = tuple(t.name for t in turns(deal(parcels(jobs), {}, chance), chance))
        orders.add(order)

    assert orders == {("a", "b", "b", "a"), ("b", "a", "a", "b")}


def test_each_version_gets_the_same_kinds_of_jobs() -> None:
    """Jobs of one station are dealt out in pairs."""
    jobs = [job(number) for number in range(12)]
    kinds = {each.id: str(each.route) for each in jobs}

    for seed in range(20):
        dealt = deal(parcels(jobs), kinds, seeded(seed))
        mine = [kinds[name] for parcel in dealt["a"] for name in parcel]
        assert (mine.count("s0"), mine.count("s1")) == (3, 3)


def test_what_asks_for_the_same_stays_together() -> None:
    """Jobs that are alike are one parcel though their scopes are apart."""
    jobs = [job(number) for number in range(3)]

    assert parcels(jobs, [(jobs[0].id, jobs[2].id)]) == (("j0", "j2"), ("j1",))


def turn(chance: Chance, jobs: int, mean: float, *, cv: float, seats: int = 4) -> Taken:
    """Let seats work jobs whose times vary so much; all of them land."""
    free, results = [0.0] * seats, list[Result]()
    for _ in range(jobs):
        took = chance(1 / cv**2) * mean * cv**2
        free[free.index(min(free))] += took
        results.append(Result(landed=True, seconds=took, dollars=0.0))
    return Taken(seconds=max(free), results=tuple(results))


def share(*taken: Taken, passed: float = 20) -> Share:
    """Give what a version did, with so many of twenty first passes."""
    return Share(turns=taken, passed=passed, judged=20)


def test_equal_versions_are_seldom_told_apart_and_unequal_ones_often() -> None:
    """Of 20 comparisons of equals at most two claim anything; one twice as slow is seen."""
    draws = seeded(5)
    claimed = seen = 0
    for number in range(20):
        fast, like, slow = (
            share(*(turn(draws, 10, mean, cv=cv) for _ in range(2)))
            for mean, cv in ((10, 1.0), (10, 1.0), (20, 0.3))
        )
        even = share(*(turn(draws, 10, 10, cv=0.3) for _ in range(2)))
        claimed += compare(fast, like, seeded(number)).rate.larger is not None
        seen += compare(even, slow, seeded(number)).rate.larger == "a"

    assert claimed <= 2
    assert seen >= 15


def test_the_sentence_says_how_sure_it_is() -> None:
    """Who is faster, and whose work is sounder, stands there with odds; few jobs claim nothing."""
    draws = seeded(1)
    fast = share(*(turn(draws, 10, 10, cv=0.3) for _ in range(2)))
    slow = share(*(turn(draws, 10, 30, cv=0.3) for _ in range(2)), passed=8)
    both: dict[Name, Share] = {"a": fast, "b": slow}

    said = sentence(compare(fast, slow, seeded(1)), both, NAMES)
    assert said.startswith("a.toml is faster: ")
    assert "(P 0.99, b.toml at 0.3" in said
    assert "more of a.toml passes at first: 20 of 20 against 8 of 20 (P 0.99)" in said
    few = {name: Share(turns=each.turns[:0], passed=0, judged=0) for name, each in both.items()}
    said = sentence(compare(few["a"], few["b"], seeded(1)), few, NAMES)
    assert said.startswith("too few jobs to say which is faster: 0 of 0 and 0 of 0 landed")


def test_a_version_that_lands_nothing_is_not_called_too_few() -> None:
    """That none of ten jobs landed, of ten that did for the other, is a finding."""
    done = turn(seeded(1), 10, 10, cv=0.3)
    lost = Taken(
        seconds=done.seconds,
        results=tuple(Result(landed=False, seconds=e.seconds, dollars=0.0) for e in done.results),
    )

    assert compare(share(done), share(lost), seeded(1)).rate.larger == "a"


def test_cost_counts_what_did_not_land() -> None:
    """Dollars of lost jobs are borne by those that landed; unknown dollars claim nothing."""

    def paid(dollars: float | None, *, landed: int) -> Share:
        results = (Result(landed=at < landed, seconds=1, dollars=dollars) for at in range(10))
        return share(Taken(seconds=10, results=tuple(results)))

    found = compare(paid(1.0, landed=10), paid(1.0, landed=5), seeded(3))
    assert found.cost is not None
    assert found.cost.a.mid == pytest.approx(1.0)
    assert found.cost.b.mid == pytest.approx(2.0, rel=0.2)
    assert found.cost.larger == "b"
    assert compare(paid(None, landed=9), paid(1.0, landed=9), seeded(3)).cost is None
    assert compare(paid(0.0, landed=9), paid(0.0, landed=9), seeded(3)).cost is None


@given(st.integers(0, 60), st.integers(0, 60))
def test_shares_have_an_interval_that_holds_them(hits: int, misses: int) -> None:
    """The interval of a share lies between nought and one and holds it."""
    found = wilson(hits, hits + misses)

    assert 0 <= found.low <= found.mid <= found.high <= 1
