"""Killed or made to fail at every named point, a run can be resumed and nothing is lost."""

import os
import re
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest

from tests.run import ROOT
from tests.system.outside import Before, agent_bytes, check, lost_bytes, remember
from tests.system.sites import WRITES, Plan, Toy, make_toy, report, states

CALL: Final = re.compile(r'failpoint\(\s*"([a-z_.]+)"')
FORGE: Final = ("delivering.", "floor.await.", "proofs.", "repairing.")
"""Points that only a run with a forge comes to; the tests of that part kill there."""
POINTS: Final = tuple(
    dict.fromkeys(
        name
        for package in ("worktrees", "stations", "factory")
        for file in sorted((ROOT / package).rglob("*.py"))
        for name in CALL.findall(file.read_text("utf-8"))
        if not name.startswith(FORGE)
    )
)
LANDED: Final = {"a": "landed", "b": "landed", "c": "landed"}
OTHERWISE: Final = 'if [ "$FACTORY_JOB" = c ]; then {}; fi\n' + WRITES
FAILS: Final = OTHERWISE.format("echo half > jobs/c/half.txt; exit 1")
BURIES: Final = OTHERWISE.format(
    "mkdir jobs/c/inner; git init -q jobs/c/inner; echo kept > jobs/c/inner/x; exit 1"
)
RED: Final = "if grep -q BUG jobs/*/x.txt; then exit 1; fi\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A run that reaches some points, and how its jobs end.

    With ``first`` it is killed there and the point is hit by the resume; ``plant`` leaves something
    between the two.
    """

    plan: Plan = field(default_factory=Plan)
    ends: dict[str, str] = field(default_factory=lambda: LANDED)
    waiting: tuple[str, ...] = ()
    first: str = ""
    plant: Callable[[Toy], None] = lambda _toy: None


def plant_lock(toy: Toy) -> None:
    """Leave the lock that a killed git leaves on the target."""
    old(toy.common / f"{toy.target}.lock")


def plant_object(toy: Toy) -> None:
    """Leave the half-written object that a killed git leaves."""
    place = toy.common / "objects" / "ab"
    place.mkdir(exist_ok=True)
    old(place / "tmp_obj_Xy12Zw")


def old(path: Path) -> None:
    """Make an empty file that is an hour old."""
    path.touch()
    then = path.stat().st_mtime - 3600
    os.utime(path, (then, then))


MAKES: Final = Plan(
    station='[[station]]\nname = "list"\nat = "merge"\nscope = ["made/**"]\n'
    'run = ["sh", "list.sh"]\n',
    files={"list.sh": "cat jobs/*/x.txt > made/list.txt\n", "made/list.txt": "none\n"},
)
DEAD_C: Final = {**LANDED, "c": "dead"}
SCENARIOS: Final = {
    "plain": Scenario(),
    "red": Scenario(
        plan=Plan(agent=OTHERWISE.format("echo BUG > jobs/c/x.txt; exit 0"), check=RED),
        ends=DEAD_C,
    ),
    "repaired": Scenario(
        plan=Plan(
            agent=OTHERWISE.format("echo BUG > jobs/c/x.txt; exit 0"),
            check=RED,
            station='[[station]]\nname = "repair"\nkind = "cleanup"\nrounds = 2\n'
            'agent = { runtime = "command", run = ["sh", "repair.sh"] }\n',
            files={"repair.sh": WRITES},
        ),
    ),
    "failing agent": Scenario(plan=Plan(agent=FAILS), ends=DEAD_C),
    "buried files": Scenario(plan=Plan(agent=BURIES), ends=DEAD_C),
    "made at the merge": Scenario(plan=MAKES),
    "protected path": Scenario(
        plan=Plan(
            agent=OTHERWISE.format("echo all > jobs/c/Makefile; exit 0"),
            line='protect = ["**/Makefile"]',
        ),
        ends={**LANDED, "c": "waiting"},
        waiting=("c",),
    ),
    "checked-out target": Scenario(plan=Plan(target="main")),
    "setup": Scenario(
        plan=Plan(
            env='setup = ["sh", "setup.sh"]\nkey = ["setup.sh"]\n',
            files={"setup.sh": "mkdir deps; echo 1 > deps/one\n"},
        )
    ),
    "killed while exporting": Scenario(first="seat.export.before"),
    "killed before it was known": Scenario(first="shadow.ref.after"),
    "killed before a made commit was let go": Scenario(plan=MAKES, first="testing.made.before"),
    "killed with a stale lock": Scenario(first="floor.swap.before", plant=plant_lock),
    "killed with a half object": Scenario(first="floor.swap.before", plant=plant_object),
}
REACHES: Final = {
    "floor.salvage": "red",
    "merge.salvage": "red",
    "seat.keep": "failing agent",
    "seat.set_aside": "buried files",
    "testing.made": "made at the merge",
    "setup.keep": "setup",
    "shift.rescue": "killed while exporting",
    "janitor.fell": "killed while exporting",
    "janitor.salvage": "killed before it was known",
    "janitor.branch": "killed before it was known",
    "janitor.made": "killed before a made commit was let go",
    "janitor.unlock": "killed with a stale lock",
    "janitor.sweep": "killed with a half object",
}
"""Which scenario reaches a point (by the name of its effect); all others are in the plain one."""


STAGES: Final = (
    "shift.refs",
    "pool.grow",
    "workspace",
    "trees",
    "shadow",
    "ledger",
    "floor.start",
    "seat",
    "pool.give_back",
    "bench",
    "testing",
    "floor.compose",
    "floor.test",
    "merge",
    "floor.swap",
    "floor.tidy",
    "janitor",
)
"""The order in which a run passes its points."""


def scenario_of(point: str) -> Scenario:
    """Give the run that reaches a point."""
    return SCENARIOS[REACHES.get(point.rpartition(".")[0], "plain")]


def interrupted(tmp_path: Path, scenario: Scenario, armed: str) -> tuple[Toy, Before, int]:
    """Run a scenario with an armed point; give its exit code, with nobody left alive."""
    toy = make_toy(tmp_path / "toy", scenario.plan)
    before = remember(toy)
    if scenario.first:
        assert toy.run(failpoint=f"{scenario.first}:kill").code == -signal.SIGKILL
        toy.nobody_left()
        scenario.plant(toy)
        return toy, before, toy.resume(failpoint=armed).code
    return toy, before, toy.run(failpoint=armed).code


def ends_well(toy: Toy, before: Before, scenario: Scenario) -> None:
    """Resume, and check the invariants and the jobs' ends."""
    seen = agent_bytes(toy)
    document = toy.finish()
    check(toy, before, document, waiting=scenario.waiting)
    assert states(document) == scenario.ends
    assert not lost_bytes(toy, seen), "I4: what an agent wrote is gone"


def stage(point: str) -> int:
    """Say how far a run is when it first passes a point."""
    return next(rank for rank, word in enumerate((*STAGES, point)) if point.startswith(word))


def in_pairs(points: list[str]) -> list[tuple[str, ...]]:
    """Give each point a mate of a later stage: the resume of the first is killed at the second."""
    ordered = sorted(points, key=stage)
    half = (len(ordered) + 1) // 2
    pairs = zip(ordered[:half], (*ordered[half:], None), strict=False)
    return [(first, second) if second else (first,) for first, second in pairs]


PLAIN: Final = [point for point in POINTS if point.rpartition(".")[0] not in REACHES]


def in_groups() -> dict[str, list[str]]:
    """Give the points of each rarer scenario in the order in which resumes come to them."""
    groups: dict[str, list[str]] = {}
    for effect, name in REACHES.items():
        for point in POINTS:
            if point.rpartition(".")[0] == effect:
                # Of a job's end only one kill can be made: the next process finds it settled.
                groups.setdefault(point if name == "red" else name, []).append(point)
    return groups


def stands(tmp_path: Path, scenario: Scenario, points: Sequence[str]) -> None:
    """Kill a run at a point and its resumes at the further ones; then let it end, and check."""
    toy, before, code = interrupted(tmp_path, scenario, f"{points[0]}:kill")
    for point in points:
        if point != points[0]:
            code = toy.go_on(failpoint=f"{point}:kill").code
        reached = code == -signal.SIGKILL
        assert reached, f"no scenario reaches {point}: say in REACHES which one does"
        toy.nobody_left()

    ends_well(toy, before, scenario)


@pytest.mark.parametrize("points", in_pairs(PLAIN), ids="+".join)
def test_kills_at_every_point_are_made_good(points, tmp_path):
    """Killed before or after any effect, and once more, a run is resumed to the same end."""
    stands(tmp_path, SCENARIOS["plain"], points)


@pytest.mark.parametrize("points", in_groups().values(), ids=in_groups())
def test_kills_at_every_rarer_point_are_made_good(points, tmp_path):
    """The same holds for points that only special lines, or a resume, come to."""
    stands(tmp_path, scenario_of(points[0]), points)


def fails_at(tmp_path: Path, point: str, hit: int = 1) -> None:
    """Let a point raise, resume, and check."""
    scenario = scenario_of(point)
    toy, before, code = interrupted(tmp_path, scenario, f"{point}:raise:{hit}")
    assert code >= 0
    toy.nobody_left()

    ends_well(toy, before, scenario)


SAMPLE: Final = (
    "floor.swap.after",
    "ledger.append.after",
    "workspace.hand_out.branch",
    "seat.export.before",
    "testing.check.after",
    "pool.grow.before",
    "merge.advance.before",
    "janitor.prune.before",
)


@pytest.mark.parametrize("point", SAMPLE)
def test_a_fault_at_a_point_is_made_good(point, tmp_path):
    """An error before or after an effect ends in a run that can be resumed to the same end."""
    assert point in POINTS

    fails_at(tmp_path, point)


@pytest.mark.soak
@pytest.mark.parametrize("point", [point for point in POINTS if point not in SAMPLE])
def test_a_fault_at_every_other_point_is_made_good(point, tmp_path):
    """The same holds at all other points."""
    fails_at(tmp_path, point)


@pytest.mark.soak
@pytest.mark.parametrize("hit", [2, 3])
@pytest.mark.parametrize("point", POINTS)
def test_a_kill_at_a_later_pass_is_made_good(point, hit, tmp_path):
    """Killed at a later pass of a point, or never when there is none, a run ends the same."""
    scenario = scenario_of(point)
    toy, before, _ = interrupted(tmp_path, scenario, f"{point}:kill:{hit}")
    toy.nobody_left()

    ends_well(toy, before, scenario)


@pytest.mark.parametrize("name", ["repaired", "protected path", "checked-out target"])
def test_a_kill_around_the_swap_is_made_good_on_other_lines(name, tmp_path):
    """Repairs, protected paths and a checked-out target stand a kill right after the swap too."""
    scenario = SCENARIOS[name]
    toy, before, code = interrupted(tmp_path, scenario, "floor.swap.after:kill")
    assert code == -signal.SIGKILL
    toy.nobody_left()

    ends_well(toy, before, scenario)


@pytest.mark.parametrize("name", [name for name, one in SCENARIOS.items() if one.ends != LANDED])
def test_without_a_fault_a_scenario_ends_as_it_is_said_to(name, tmp_path):
    """The ends that the kill tests expect are those of a run that nothing disturbs."""
    scenario = SCENARIOS[name]
    toy = make_toy(tmp_path / "toy", scenario.plan)
    before = remember(toy)

    document = report(toy.run())

    assert states(document) == scenario.ends
    check(toy, before, document, waiting=scenario.waiting)


def test_every_effect_has_a_point_before_and_after_it():
    """A named effect can be interrupted on both of its sides."""
    ends: dict[str, set[str]] = {}
    for name in POINTS:
        effect, _, side = name.rpartition(".")
        ends.setdefault(effect, set()).add(side)

    lone = {
        effect: sides
        for effect, sides in ends.items()
        if "before" not in sides or not sides - {"before"}
    }
    assert lone == {}
