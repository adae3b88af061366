"""The line, the gate, the floor and the ledger's order of events, under crashes and bad agents."""

import inspect
from collections import Counter
from collections.abc import Callable
from types import FunctionType, ModuleType

import pytest

from factory import (
    asking,
    budgets,
    ending,
    feeding,
    floor,
    landing,
    line,
    outcomes,
    reviews,
    starting,
    turn,
)
from factory.events import GateAwaits
from tests.factory import line_sim
from tests.factory.line_sim import simulate

SEEDS = 2000
MORE = 30_000
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


@pytest.mark.soak
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_many_more_seeds_keep_every_promise(chunk: int) -> None:
    """The same worlds, more of them than the suite has time for."""
    size = (MORE - SEEDS) // CHUNKS
    for seed in range(SEEDS + chunk * size, SEEDS + (chunk + 1) * size):
        try:
            simulate(seed)
        except AssertionError as broken:
            pytest.fail(f"seed {seed}: {broken}")


def test_the_seeds_reach_what_they_are_meant_to_test() -> None:
    """Landings, dead letters, crashes, repairs, splits, reviews, refusals: all happen."""
    seen: Counter[str] = Counter()
    for seed in range(300):
        world = simulate(seed)
        seen["crash"] += world.crashes
        for work in world.floor.line.jobs.values():
            seen[work.place.kind] += 1
            seen["repaired"] += work.rounds > 0
            seen["split"] += bool(work.children)
            seen["sent back"] += work.returns
            seen["raised"] += work.raised > 0
        seen.update(f"exit {code}" for code in world.exits)
        for event, _ in world.book:
            seen[event.kind] += 1
        awaited = [event for event, _ in world.book if isinstance(event, GateAwaits)]
        seen["asked again"] += len(awaited) - len({event.trial for event in awaited})

    wanted = {"crash", "landed", "dead", "withdrawn", "repaired", "split", "missed", "moved"}
    wanted |= {"gate-awaits", "asked again"}
    wanted |= {"sent back", "raised", "exit 3", "exit 7", "exit 75", "exit 130"}
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


CORE: list[ModuleType] = [
    *(asking, budgets, ending, feeding, floor, line, outcomes, reviews, starting, turn),
    line_sim,
]
MUTATIONS: list[tuple[ModuleType, str, str, str]] = [
    (
        outcomes,
        "finished",
        "event.attempt != work.attempt or not isinstance(work.place, Working)",
        "False",
    ),
    (turn, "Turn.drop", "self.put(job, Withdrawn(why=why, met=False))", "pass"),
    (turn, "Turn.wait", "if job not in self.line.queue:", "if False:"),
    (feeding, "advanced", "for job in event.jobs:", "for job in event.jobs[1:]:"),
    (outcomes, "finished", "if event.attempt in work.unanswered:", "if True:"),
    (outcomes, "lose", "if work.answering:", "if False:"),
    (
        outcomes,
        "_failed",
        "close(turn, Closing(reason=Reason.ENVIRONMENT, why=why))",
        "pass",
    ),
    (outcomes, "_clock", "if used >= whole:", "if False:"),
    (outcomes, "_missed", "raised=work.raised + 1", "raised=work.raised"),
    (reviews, "reviewed", "if work.returns == 0:", "if True:"),
    (reviews, "pass_on", "arrive(turn, job, work.commit)", "turn.drop(job, work.commit, note)"),
    (feeding, "tried", "event.external != held.external", "False"),
    (feeding, "await_again", "if held.external:", "if False:"),
    (feeding, "close", "event if event.reason.outranks(known.reason) else known", "known"),
    (feeding, "close", "if event.lands:", "if False:"),
    (feeding, "close", "lands=known.lands and event.lands", "lands=True"),
    (outcomes, "_outcome", "commit=commit, wrote=work.attempt", "commit=commit"),
    (outcomes, "_budget", "turn.shut(spec.name, failed.fault)", "pass"),
    (
        outcomes,
        "_budget",
        "turn.change(job, tries=untried)\n        turn.wait(job)\n        close",
        "close",
    ),
    (outcomes, "_misfits", "or job.depth > DEPTH", ""),
    (outcomes, "_misfits", "job.id in turn.line.jobs", "False"),
    (budgets, "share", "max(0, tokens - _tokens(spend)) // parts", "tokens"),
    (budgets, "exhausted", "_tokens(spend) >= budget.tokens", "False"),
    (reviews, "submit", "wrote=work.attempt", "wrote=1"),
    (reviews, "reviewed", "station=work.author", "station=work.job.route"),
    (asking, "_allowed", "(*job.scope.write, *fresh)", "job.scope.write"),
    (asking, "steered", "if answer in YES:", "if True:"),
    (asking, "killed", "Landed | Proposed | Withdrawn | Dead", "Proposed"),
    (
        starting,
        "fill",
        "if turn.line.closing is not None or turn.line.paused:",
        "if turn.line.paused:",
    ),
    (starting, "_may_start", "if spec.seats and busy >= spec.seats:", "if False:"),
    (starting, "_may_start", "if spent or gone:", "if gone:"),
    (starting, "_start_all", "blocked_by(held, work) is not None", "False"),
    (starting, "_without", "if work.author is not None:", "if False:"),
    (line, "_resumed", "shut={}", "shut=turn.line.shut"),
    (ending, "exit_code", "codes.add(1)", "codes.add(0)"),
    (starting, "_may_start", 'turn.line.shut.get(spec.name, "")', '""'),
    (starting, "_check_limits", "if resting and not moves and", "if resting and"),
    (
        asking,
        "steered",
        "turn.actions.append(Tell(job=job, attempt=work.attempt, text=text))",
        "pass",
    ),
    (
        floor,
        "Floor._land",
        "if not self._ground.swap(plan):",
        "if self._ground.swap(plan) is None:",
    ),
]


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda m: f"{m[1]}: {m[3]}")
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
    planted = getattr(owner, name)
    exec("\n".join(text[indent:] for text in lines), vars(module), scope)  # noqa: S102
    function = scope[name]
    assert isinstance(function, FunctionType)
    monkeypatch.setattr(owner, name, function)
    for other in CORE:  # who imported it by name must get the changed one too
        if vars(other).get(name) is planted:
            monkeypatch.setattr(other, name, function)


def _caught(mutant: str) -> bool:
    for seed in range(400):
        try:
            simulate(seed, mutant)
        except (AssertionError, landing.GateError, KeyError):
            return True
    return False
