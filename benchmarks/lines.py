"""Prints how well the pace knows and widens the constraint of simulated lines.

SIMULATED: stations with seats, lognormal work, a rework loop and a cap on work in progress; times
are those of a model. The truth is the largest true demand, which favours whoever measures demand;
the check that does not is the bound against the simulated throughput.
"""

import argparse
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from statistics import mean, pstdev

from factory.changes import Replace, SetSeats
from factory.events import Decided
from factory.pace.catalogue import Policy
from factory.pace.odds import limit
from factory.pace.values import LANDED
from tests.factory.line_world import (
    Loop,
    Place,
    Plan,
    World,
    chance,
    random_plan,
    rate,
    reference,
    true_demand,
)
from worktrees.names import StationName

MARKS = (3, 8, 20, 50)
AUTO = Policy(mode="auto")


def longest_task(world: World) -> str:
    """Name the station whose visits take longest."""
    stations = world.pace().stations
    return max(stations, key=lambda name: stations[name].mean)


def utilisation(world: World) -> str:
    """Name the station whose seats were busy most."""
    stations = world.pace().stations
    return max(stations, key=lambda name: stations[name].busy / stations[name].seats)


def active_period(world: World) -> str:
    """Name the station whose seats work longest without a pause, on the average."""
    periods = {
        name: [*desk.periods, *(world.time - began for began in desk.active.values())]
        for name, desk in world.desks.items()
    }
    return max(periods, key=lambda name: mean(periods[name] or [0.0]))


def average_queue(world: World) -> str:
    """Name the station with the longest queue on the average."""
    return max(world.desks, key=lambda name: world.desks[name].queued)


def queue_now(world: World) -> str:
    """Name the station with the longest queue now."""
    return max(world.desks, key=lambda name: len(world.desks[name].queue))


DETECTORS: Mapping[str, Callable[[World], str]] = {
    "longest mean task": longest_task,
    "utilisation": utilisation,
    "active period": active_period,
    "longest average queue": average_queue,
    "longest queue now": queue_now,
}


def detectors(lines: int, cv: tuple[float, float]) -> None:
    """Compare who names the constraint of lines that nobody knows."""
    right: Counter[tuple[str, int]] = Counter()
    sure: Counter[int] = Counter()
    sure_right: Counter[int] = Counter()
    for seed in range(lines):
        plan = random_plan(seed, cv=cv)
        true = true_demand(plan)
        truth = max(true, key=lambda name: true[name])
        world = World(plan, seed)
        for mark in MARKS:
            world.ship(mark)
            for name, detector in DETECTORS.items():
                right[name, mark] += detector(world) == truth
            found = limit(world.pace(), chance(mark))
            right["demand (ours)", mark] += found.station == truth
            if found.station is not None and found.odds[found.station] >= 0.8:
                sure[mark] += 1
                sure_right[mark] += found.station == truth
    print(
        f"\n{lines} random lines, cv {cv[0]} to {cv[1]}: share named right after so many landings"
    )
    print(f"  {'':24}" + "".join(f"{mark:>8}" for mark in MARKS))
    for name in (*DETECTORS, "demand (ours)"):
        print(f"  {name:24}" + "".join(f"{right[name, mark] / lines:8.2f}" for mark in MARKS))
    said = "".join(f"{sure[m]:4}/{sure_right[m] / max(1, sure[m]):.2f}"[:9].rjust(9) for m in MARKS)
    print(f"  {'P >= .8: calls/right':23}{said}")


def bounds(seeds: int) -> None:
    """Compare what demand allows with what simulated lines do."""
    off = []
    for seed in range(seeds):
        plan = random_plan(seed)
        world = World(plan, seed)
        world.ship(800)
        true = 60 / max(true_demand(plan).values())
        off.append(abs(rate(world.ships[200:]) / true - 1))
    print(
        f"\nbound against throughput, {seeds} lines: mean {mean(off):.1%}, worst {max(off):.1%} off"
    )


def closed_loop(seeds: int, ships: int) -> None:
    """Widen the reference line, beside those who widen the longest task, and who do nothing."""
    final: dict[str, list[float]] = {}
    counts: dict[str, list[int]] = {}
    gains: list[tuple[float, float]] = []
    for seed in range(seeds):
        world = World(reference(), seed)
        world.ship(ships)
        final.setdefault("plain", []).append(rate(world.ships[ships // 2 :]))
        world = World(reference(), seed)
        for number in range(1, 3):
            world.ship(50 * number)
            name = longest_task(world)
            seats = world.desks[name].seats + 2
            world.apply(SetSeats(seats=seats, station=StationName(name)))
        world.ship(ships)
        final.setdefault("widen the longest task", []).append(rate(world.ships[ships // 2 :]))
        for label, policy in (
            ("demand, optional kept", AUTO),
            ("demand, may retire", replace(AUTO, allow_retire=True)),
        ):
            world = World(reference(), seed)
            loop = Loop(world, policy, seed)
            loop.run(ships)
            final.setdefault(label, []).append(rate(world.ships[ships // 2 :]))
            counts.setdefault(label, []).append(len(loop.applied))
            gains += [
                gain(loop, each) for each in loop.applied if each.number in loop.past.measured
            ]
            if label == "demand, optional kept":
                assert "security" not in world.gone, "the optional station was to stay"
    base = mean(final["plain"])
    print(f"\nclosed loop on the reference line, {seeds} seeds, {ships} landings, last half")
    for label, values in final.items():
        done = f"{mean(counts[label]):.1f} changes" if label in counts else ""
        line = (
            f"{mean(values):6.2f} +- {pstdev(values):4.2f}/h  x {mean(values) / base:.2f}  {done}"
        )
        print(f"  {label:24} {line}")
    told = sorted(set(gains))
    off = mean(abs(two / one - 1) for one, two in told)
    print(f"  predicted -> measured gain of each change, {off:.0%} off on the mean: ", end="")
    print(", ".join(f"{one:.2f} -> {two:.2f}" for one, two in told))


def gain(loop: Loop, decided: Decided) -> tuple[float, float]:
    """Give what a change promised, and what the demand measured after it says."""
    made, measured = decided.chosen.prediction, loop.past.measured[decided.number]
    promised = made.gain.mid if made is not None else 1.0
    return promised, measured.after.bound / decided.inputs.bound


def drift(seeds: int) -> None:
    """Say how soon another constraint is found when a station slows down in the middle."""
    after = []
    for seed in range(seeds):
        world = World(reference(), seed)
        world.ship(150)
        world.speed["review"] = 6.0
        for count in range(1, 60):
            world.ship(150 + count)
            if limit(world.pace(), chance(count)).station == "review":
                after.append(count)
                break
    print(
        f"\na station six times as slow from one landing to the next: named after {mean(after):.1f}"
    )
    print(f"  landings on the average, {max(after)} at most ({len(after)} of {seeds} runs)")


def even_lines(seeds: int, ships: int) -> None:
    """Count what is done to lines at which nothing is to be done."""
    ways = {"code": "test", "test": "review", "review": "merge", "merge": LANDED}
    seats = {"code": 4, "test": 2, "review": 3, "merge": 1}
    even = Plan(
        places={
            name: Place(minutes=3.0 * seats[name], seats=seats[name], to={to: 1.0}, most=8)
            for name, to in ways.items()
        },
        first="code",
        wip=15,
    )
    near = replace(
        even, places={**even.places, "merge": replace(even.places["merge"], minutes=3.2)}
    )
    idle = replace(reference(), arrivals=6.0)
    for label, plan in (("balanced", even), ("nearly tied (7 %)", near), ("too little work", idle)):
        changes, flips = [], 0
        for seed in range(seeds):
            loop = Loop(World(plan, seed), AUTO, seed)
            loop.run(ships)
            changes.append(len(loop.applied))
            flips += len(loop.past.undone)
        print(
            f"  {label:20} {sum(changes)} changes and {flips} undone in {seeds} x {ships} landings"
        )


def steady(seeds: int, ships: int) -> None:
    """Count changes and reversals over many landings of a line with one slow station."""
    print(f"\nno oscillation: a test station six times as slow, {seeds} x {ships} landings")
    for seed in range(seeds):
        world = World(replace(reference(more=8), wip=40), seed)
        world.speed["test"] = 6.0
        loop = Loop(world, AUTO, seed)
        loop.run(ships)
        first = next(each for _, each in loop.told if isinstance(each, Decided))
        before = rate(world.ships[: first.inputs.ships])
        print(
            f"  seed {seed}: {first.chosen.name} after {first.inputs.ships} landings,"
            f" {before:.1f} -> {rate(world.ships[-150:]):.1f}/h, {len(loop.applied)} changes,"
            f" {len(loop.past.undone)} undone"
        )


def stragglers(visits: int) -> None:
    """Count healthy visits that are taken for hung, and hung ones that are found."""
    print("\nhung visits: healthy ones ended (false), hung ones replaced, by variation")
    for cv in (0.3, 0.6, 1.0, 3.0):
        plan = reference()
        places = {name: replace(place, cv=cv) for name, place in plan.places.items()}
        world = World(replace(plan, places=places), 3)
        loop = Loop(world, replace(AUTO, wanted=0.1))
        loop.run(60)
        while sum(desk.finished for desk in world.desks.values()) < visits:
            loop.run(len(world.ships) + 1)
        false = sum(not hung for _, _, hung in world.killed)
        job = world.hang("code")
        began = len(world.ships)
        done = [each for each in loop.applied if isinstance(each.chosen.change, Replace)]
        for count in range(400):
            loop.run(began + count + 1)
            done = [each for each in loop.applied if isinstance(each.chosen.change, Replace)]
            if any(each.chosen.name == f"replace-{job}" for each in done):
                break
        found = any(each.chosen.name == f"replace-{job}" for each in done)
        said = f"found after {len(world.ships) - began} landings" if found else "not found"
        print(f"  cv {cv}: {false} false among {visits} healthy visits; the hung one: {said}")


def main() -> None:
    """Print every comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    print(__doc__)
    detectors(options.lines, (0.3, 1.0))
    detectors(options.lines // 2, (0.3, 3.0))
    bounds(20)
    drift(20)
    stragglers(2000)
    closed_loop(options.seeds, 800)
    steady(3, 500)
    print("\nlines at which nothing is to be done")
    even_lines(options.seeds, 500)


if __name__ == "__main__":
    main()
