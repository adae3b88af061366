"""The line, the gate, the floor and the ledger's order of events, under crashes and bad agents."""

import inspect
from collections import Counter
from collections.abc import Callable
from types import FunctionType, ModuleType

import pytest

from factory import floor, landing, line
from tests.factory.line_sim import simulate

SEEDS = 5000
CHUNKS = 10


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_every_seed_ends_with_every_promise_kept(chunk: int) -> None:
    """No job is lost or lands twice, no untested tree is on the target, replay equals state."""
    size = SEEDS // CHUNKS
    for seed in range(chunk * size, (chunk + 1) * size):
        try:
            simulate(seed)
        except AssertionError as broken:
            pytest.fail(f"seed {seed}: {broken}")


def test_the_seeds_reach_what_they_are_meant_to_test() -> None:
    """Landings, dead letters, withdrawals, crashes, repairs, misses and splits all happen."""
    seen: Counter[str] = Counter()
    for seed in range(300):
        world = simulate(seed)
        seen["crash"] += world.crashes
        for work in world.floor.line.jobs.values():
            seen[work.place.kind] += 1
            seen["repaired"] += work.rounds > 0
            seen["split"] += bool(work.children)
        for event, _ in world.book:
            seen[event.kind] += 1

    wanted = {"crash", "landed", "dead", "withdrawn", "repaired", "split", "missed", "moved"}
    assert all(seen[what] >= 10 for what in wanted), seen


def test_the_same_seed_gives_the_same_ledger() -> None:
    """A schedule decides everything: two runs of one seed leave the same events."""
    assert simulate(7).book == simulate(7).book


@pytest.mark.parametrize(
    "mutant",
    [
        "no compare-and-swap",
        "no idempotence",
        "merge after test",
        "stale base",
        "forget the salvage",
    ],
)
def test_a_world_with_a_broken_twin_is_caught(mutant: str) -> None:
    """The simulator can find bugs: each broken effect breaks a promise within 400 seeds."""
    assert _caught(mutant)


MUTATIONS: list[tuple[ModuleType, str, str, str]] = [
    (
        line,
        "_Turn.finished",
        "event.attempt != work.attempt or not isinstance(work.place, Working)",
        "False",
    ),
    (line, "_Turn.drop", "self.put(job, Withdrawn(why=why, met=False))", "pass"),
    (line, "_Turn.wait", "if job not in self.line.queue:", "if False:"),
    (line, "_Turn.advanced", "for job in event.jobs:", "for job in event.jobs[1:]:"),
    (
        floor,
        "Floor._land",
        "if not self._ground.swap(plan):",
        "if self._ground.swap(plan) is None:",
    ),
]


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda m: m[1])
def test_a_broken_core_is_caught(
    mutation: tuple[ModuleType, str, str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each planted fault in the line or the floor breaks a promise within 400 seeds."""
    plant(mutation, monkeypatch)
    assert _caught("")


def plant(mutation: tuple[ModuleType, str, str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a function with one changed line in the place of the real one."""
    module, where, old, new = mutation
    owner: ModuleType | type = module
    *path, name = where.split(".")
    for part in path:
        owner = getattr(owner, part)
    source = inspect.getsource(getattr(owner, name))
    assert source.count(old) == 1, f"{where} does not hold the line to change any more"
    lines = source.replace(old, new).splitlines()
    indent = len(lines[0]) - len(lines[0].lstrip())
    scope: dict[str, Callable[..., object]] = {}
    exec("\n".join(text[indent:] for text in lines), vars(module), scope)  # noqa: S102
    function = scope[name]
    assert isinstance(function, FunctionType)
    monkeypatch.setattr(owner, name, function)


def _caught(mutant: str) -> bool:
    for seed in range(400):
        try:
            simulate(seed, mutant)
        except (AssertionError, landing.GateError, KeyError):
            return True
    return False
