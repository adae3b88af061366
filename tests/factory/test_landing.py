"""The gate keeps its rules one by one, and its promises in every simulated world."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from factory.landing import (
    Arrived,
    Cancel,
    Cause,
    Composed,
    Entry,
    Gate,
    GateError,
    Input,
    Land,
    Landed,
    Moved,
    Output,
    Paused,
    Refused,
    Result,
    Return,
    Run,
    Slots,
    Start,
    Withdrawn,
    check,
    gate,
    held,
    opened,
    position,
)
from tests.factory.gate_mutants import MUTANTS, NoSwap
from tests.factory.gate_sim import Plan, PromiseError, World, fleet, fuzzed, serial
from worktrees.names import JobId, Oid

ORIGIN, TIP = Oid("a" * 40), Oid("b" * 40)


def jobs(names: str) -> tuple[JobId, ...]:
    """Give one job per letter."""
    return tuple(JobId(name) for name in names)


def groups(*names: str) -> tuple[tuple[JobId, ...], ...]:
    """Give one group per word."""
    return tuple(jobs(word) for word in names)


def arrived(names: str, scope: str = "api") -> Arrived:
    """Let one branch per letter arrive."""
    return Arrived(
        branches=tuple(Entry(job=job, commit=TIP, scope_key=scope) for job in jobs(names))
    )


def green(run: int) -> Result:
    """Let a run pass."""
    return Result(run=run, verdict="green")


def red(run: int, suspects: str = "") -> Result:
    """Let a run fail."""
    return Result(run=run, verdict="red", suspects=jobs(suspects))


def lost(run: int) -> Result:
    """Let a run end without a verdict."""
    return Result(run=run, verdict="lost")


def proven(slots: int, names: str) -> Gate:
    """Give a gate that proves these branches in as many groups as it has slots."""
    passed = (green(run + 1) for run in range(slots))
    pause, go_on = Paused(paused=True), Paused(paused=False)
    return told(slots, arrived(names), pause, *passed, go_on)[0]


def start(run: int, names: str, base: Oid = ORIGIN) -> Start:
    """Give the start of a run that is expected."""
    return Start(run=run, base=base, jobs=jobs(names))


def told(slots: int, *events: Input) -> tuple[Gate, tuple[Output, ...]]:
    """Give a new gate after these inputs, sound after each, and what it answered the last."""
    return then(opened(ORIGIN, slots), *events)


def then(state: Gate, *events: Input) -> tuple[Gate, tuple[Output, ...]]:
    """Give a gate after these inputs, sound after each, and what it answered the last."""
    outputs: tuple[Output, ...] = ()
    for event in events:
        state, outputs = gate(state, event)
        check(state)
    return state, outputs


# New groups.


def test_a_lone_branch_is_tested_then_proven_then_landed() -> None:
    """A single branch takes one run, a proof of the same tree, and one swap."""
    state, started = told(2, arrived("a"))
    state, proof = then(state, green(1))
    state, land = then(state, green(2))
    state, after = then(state, Landed(tip=TIP))

    assert (started, proof) == ((start(1, "a"),), (start(2, "a"),))
    assert (land, after) == ((Land(run=2, jobs=jobs("a")),), ())
    assert (state.target, state.landed, held(state)) == (TIP, 1, ())


def test_a_group_is_the_oldest_branch_its_scope_and_then_the_others() -> None:
    """Branches of one scope are tested together before the oldest of other scopes join."""
    state, _ = told(1, Paused(paused=True), arrived("a", "api"), arrived("bc", "web"))
    _, outputs = then(state, arrived("de", "api"), arrived("fgh", "web"), Paused(paused=False))

    assert outputs == (start(1, "adeb"),)


@pytest.mark.parametrize(
    ("landed", "returned", "size"), [(0, 0, 4), (10, 0, 9), (0, 4, 1), (90, 10, 4), (1000, 0, 40)]
)
def test_groups_grow_with_what_lands_and_shrink_with_what_is_bad(
    landed: int, returned: int, size: int
) -> None:
    """A new group is as large as a three-in-five chance to pass allows, and never empty."""
    state = replace(opened(ORIGIN, 1), landed=landed, returned=returned)

    _, outputs = gate(state, arrived("".join(map(chr, range(0x4E00, 0x4E00 + 40)))))

    assert [len(output.jobs) for output in outputs if isinstance(output, Start)] == [size]


def test_few_newcomers_are_shared_among_the_free_slots() -> None:
    """No slot stays free so that a group may be larger."""
    _, outputs = told(3, arrived("abcde"))

    assert outputs == (start(1, "ab"), start(2, "cd"), start(3, "e"))


# Proofs.


def test_a_proof_waits_until_as_many_groups_passed_as_are_undecided() -> None:
    """A proof starts when what passed is worth a run, and takes all groups as they passed."""
    state, first = told(2, arrived("abcdefghijklmnop"), green(2))
    _, second = then(state, green(1))

    assert first == (start(3, "ijkl"),)
    assert second == (start(4, "efghabcd"),)


def test_a_proof_waits_for_suspects_too() -> None:
    """While more groups are suspected than passed, the slot goes to a suspect."""
    _, outputs = told(1, arrived("abcd"), red(1), red(2), green(3))

    assert outputs == (start(4, "b"),)


def test_every_branch_that_lands_counts() -> None:
    """The estimate of how many are bad learns from branches, not from landings."""
    state, _ = told(1, arrived("abc"), green(1), green(2), Landed(tip=TIP))

    assert (state.landed, state.bad) == (3, 1 / 13)


def test_there_is_one_proof_at_a_time() -> None:
    """What passes while a proof runs waits for the next, and slots go to newcomers."""
    state, _ = told(2, arrived("abcdefghijklmnop"), green(2), green(1))
    state, outputs = then(state, green(3))

    assert outputs == (start(5, "mnop"),)
    assert state.green == groups("ijkl")


def test_suspects_are_tested_before_newcomers() -> None:
    """The halves of a red group take the next free slots."""
    _, outputs = told(1, arrived("abcdefgh"), red(1))

    assert outputs == (start(2, "ab"),)


def test_a_red_proof_forces_its_first_half_to_be_the_next_proof() -> None:
    """The first half is proven at once and alone; the second is one suspect group at the end."""
    state = proven(4, "abcdefgh")

    assert state.runs == {5: Run(kind="proof", base=ORIGIN, groups=groups("ab", "cd", "ef", "gh"))}
    state, outputs = then(state, red(5))
    assert outputs == (start(6, "abcd"), start(7, "efgh"))
    _, outputs = then(state, red(6))
    assert outputs == (start(8, "ab"), start(9, "cd"))


def test_the_second_half_of_a_red_proof_waits_behind_other_suspects() -> None:
    """What was suspected before a proof failed is tested before the half that is not forced."""
    state, outputs = then(proven(2, "ab"), arrived("cd"), red(4), red(3))

    assert outputs == (start(6, "a"),)
    assert state.pool == groups("d", "b")


def test_a_red_proof_of_one_group_is_that_group_red() -> None:
    """A proof that holds one group splits it like any red group."""
    _, outputs = told(1, arrived("abcd"), green(1), red(2))

    assert outputs == (start(3, "ab"),)


def test_a_proof_lands_only_on_the_target_it_was_tested_on() -> None:
    """A proof that somehow outlived a move is a bug that stops the gate."""
    state, _ = told(1, arrived("a"), green(1))

    with pytest.raises(GateError, match="run 2 proved"):
        gate(replace(state, target=TIP), green(2))


# Red groups.


def test_a_red_group_is_halved_in_front_of_other_suspects() -> None:
    """Halves are contiguous, and go before what was suspected earlier."""
    state, _ = told(1, arrived("abcdefgh"), red(1), red(2))

    assert state.runs[3].groups == groups("a")
    assert state.pool == groups("b", "cd")


def test_a_red_group_is_split_over_slots_that_nothing_else_needs() -> None:
    """With nobody else waiting every free slot gets a part."""
    state, _ = told(1, arrived("abcd"), Slots(n=3))
    _, outputs = then(state, red(1))

    assert outputs == (start(2, "a"), start(3, "b"), start(4, "cd"))


@pytest.mark.parametrize(
    ("suspects", "expected"),
    [("c", ("c", "abd")), ("db", ("bd", "ac")), ("abcd", ("ab", "cd")), ("xyz", ("ab", "cd"))],
)
def test_a_hint_parts_the_suspects_from_the_rest(suspects: str, expected: tuple[str, str]) -> None:
    """A hint that tells the branches apart replaces the halves; any other is ignored."""
    state, _ = told(1, arrived("abcdefgh"), red(1, suspects))

    assert (*state.runs[2].groups, *state.pool) == groups(*expected)


def test_a_branch_is_sent_back_only_after_two_reds_of_its_own() -> None:
    """The first red is confirmed by a run of its own, behind everything else that is suspected."""
    state, _ = told(1, arrived("ab"), red(1))
    state, first = then(state, red(2))
    state, second = then(state, green(3), green(4), Landed(tip=TIP))

    assert first == (start(3, "b"),)
    assert second == (start(5, "a", TIP),)
    state, outputs = then(state, red(5))
    assert outputs == (Return(job=JobId("a"), cause=Cause.RED, run=5),)
    assert (state.returned, held(state)) == (1, ())


def test_a_repaired_branch_starts_without_a_strike() -> None:
    """What was sent back and comes again is judged anew."""
    state, _ = told(1, arrived("a"), red(1), red(2), arrived("a"))
    _, outputs = then(state, red(3))

    assert outputs == (start(4, "a"),)


def test_a_lost_run_is_no_verdict() -> None:
    """A lost group is the next to be tested and bears no strike; a lost proof is proven again."""
    state, outputs = told(1, arrived("a"), lost(1))
    assert (outputs, dict(state.strikes)) == ((start(2, "a"),), {})

    _, outputs = then(state, green(2), lost(3))
    assert outputs == (start(4, "a"),)


def test_a_lost_group_keeps_its_turn() -> None:
    """Other suspects do not overtake the group whose run was lost."""
    _, outputs = told(1, arrived("abcd"), red(1), lost(2))

    assert outputs == (start(3, "ab"),)


# Conflicts.


def test_a_branch_that_conflicts_with_the_target_is_sent_back() -> None:
    """A conflict with the base costs no test run, and the mates go on without that branch."""
    state, outputs = told(1, arrived("abcd"), Composed(run=1, base_clash=jobs("b")))

    assert outputs == (Return(job=JobId("b"), cause=Cause.CONFLICT, run=1),)
    assert state.runs[1].jobs == jobs("acd")
    assert state.returned == 0


def test_a_branch_that_conflicts_with_a_mate_is_tested_by_itself() -> None:
    """A conflict between mates holds up neither: the later one waits for a run of its own."""
    state, outputs = told(1, arrived("abcd"), Composed(run=1, mate_clash=jobs("bd")))

    assert (outputs, state.runs[1].jobs) == ((), jobs("ac"))
    assert state.pool == groups("b", "d")


def test_a_branch_that_conflicts_with_target_and_mates_is_sent_back() -> None:
    """A conflict with the base is the stronger one: that branch is not tested again."""
    both = Composed(run=1, base_clash=jobs("b"), mate_clash=jobs("b"))

    state, outputs = told(1, arrived("abcd"), both)

    assert outputs == (Return(job=JobId("b"), cause=Cause.CONFLICT, run=1),)
    assert held(state) == jobs("acd")


def test_a_run_that_loses_all_its_branches_is_void() -> None:
    """When nothing is left to test the slot is free at once."""
    everything = Composed(run=1, base_clash=jobs("ab"), mate_clash=jobs("cd"))

    state, outputs = told(1, arrived("abcd"), everything)

    assert outputs[2:] == (start(2, "c"),)
    assert 1 not in state.runs


def test_groups_of_a_proof_that_conflict_leave_it() -> None:
    """A proof goes on with the groups that merge; the others are tested again."""
    state, _ = then(proven(2, "abcd"), Composed(run=3, mate_clash=jobs("cd")))

    assert state.runs[3].groups == groups("ab")
    assert state.runs[4].groups == groups("c")
    assert state.pool == groups("d")


# What comes from outside.


def test_a_moved_target_cancels_the_proof_and_nothing_else() -> None:
    """What passed is proven again on the new tip; group runs are evidence on any base."""
    state, _ = then(proven(2, "ab"), arrived("c"))
    state, outputs = then(state, Moved(tip=TIP))

    assert outputs == (Cancel(run=3), start(5, "ab", TIP))
    assert state.runs[4].base == ORIGIN


def test_what_passed_first_is_proven_first_on_the_new_tip() -> None:
    """The groups of a cancelled proof stand before those that passed after it began."""
    _, outputs = then(proven(2, "ab"), arrived("c"), green(4), Moved(tip=TIP))

    assert outputs == (Cancel(run=3), start(5, "abc", TIP))


def test_a_move_to_where_the_target_is_changes_nothing() -> None:
    """Hearing of one's own landing does not disturb a proof."""
    state, _ = told(1, arrived("a"), green(1))

    assert gate(state, Moved(tip=ORIGIN)) == (state, ())


def test_a_move_without_a_proof_is_only_noted() -> None:
    """The next run starts on the new tip."""
    state, outputs = told(2, arrived("a"), Moved(tip=TIP))

    assert (outputs, state.target) == ((), TIP)


def test_a_refused_landing_is_proven_again_on_the_new_tip() -> None:
    """Nothing of a refused proof is lost, and nothing of it is believed to have landed."""
    state, _ = told(1, arrived("ab"), green(1), green(2))
    state, outputs = then(state, Refused(tip=TIP))

    assert outputs == (start(3, "ab", TIP),)
    assert (state.landed, state.landing) == (0, None)


WHERE: dict[str, tuple[Input, ...]] = {
    "todo": (arrived("abcdefgh"),),
    "pool": (arrived("hgfe"), red(1), red(2)),
    "green": (arrived("hgfe"), arrived("abcdijkl"), Slots(n=2), green(1)),
    "group": (arrived("abch"),),
    "proof": (arrived("abch"), green(1)),
}


@pytest.mark.parametrize("where", WHERE)
def test_a_withdrawn_branch_is_nowhere_and_takes_nobody_along(where: str) -> None:
    """Wherever a branch stands it can be withdrawn, and every other one stays in the gate."""
    state, _ = told(1, *WHERE[where])
    others = set(held(state)) - {"h"}

    state, _ = then(state, Withdrawn(job=JobId("h")))

    assert set(held(state)) == others
    assert position(state, JobId("h")) is None


def test_a_branch_withdrawn_from_a_forced_half_leaves_it() -> None:
    """A half that waits to be proven is proven without what was withdrawn meanwhile."""
    paused = Paused(paused=True)

    state, _ = then(proven(4, "abcd"), paused, red(5), Withdrawn(job=JobId("a")))

    assert state.forced == groups("b")


def test_withdrawing_from_a_running_group_starts_its_mates_again() -> None:
    """The run that held the branch is cancelled, and the mates are the next to be tested."""
    _, outputs = told(1, arrived("abcd"), Withdrawn(job=JobId("b")))

    assert outputs == (Cancel(run=1), start(2, "acd"))


def test_withdrawing_from_a_proof_proves_the_rest() -> None:
    """A proof that held the branch is cancelled and made again without it."""
    _, outputs = then(proven(2, "ab"), Withdrawn(job=JobId("b")))

    assert outputs == (Cancel(run=3), start(4, "a"))


def test_an_unknown_branch_may_be_withdrawn() -> None:
    """Withdrawing what already left changes nothing."""
    state, _ = told(1, arrived("a"))

    assert gate(state, Withdrawn(job=JobId("z"))) == (state, ())


@pytest.mark.parametrize("late", [green(1), red(1), lost(1), Composed(run=1, base_clash=jobs("a"))])
def test_news_of_a_run_that_is_over_is_ignored(late: Input) -> None:
    """Neither a late verdict nor a late conflict reaches a branch that is somewhere else."""
    state, _ = told(1, arrived("ab"), Withdrawn(job=JobId("b")))

    assert gate(state, late) == (state, ())


def test_a_paused_gate_starts_nothing_but_lets_a_proof_land() -> None:
    """A line that drains lands what is proven and keeps the rest."""
    state, _ = told(1, arrived("a"), green(1), Paused(paused=True), arrived("b"))
    state, outputs = then(state, green(2))
    assert outputs == (Land(run=2, jobs=jobs("a")),)

    state, outputs = then(state, Landed(tip=TIP))
    assert outputs == ()
    assert then(state, Paused(paused=False))[1] == (start(3, "b", TIP),)


def test_fewer_slots_end_no_run_and_more_start_some() -> None:
    """Slots that were taken away are given up as their runs end."""
    state, _ = told(2, arrived("abcdefghijkl"), Slots(n=1))
    state, outputs = then(state, red(1))
    assert outputs == ()

    assert len(then(state, Slots(n=3))[1]) == 2


# Misuse.


@pytest.mark.parametrize(
    "event", [arrived("b"), green(1), Moved(tip=TIP), Withdrawn(job=JobId("a")), Slots(n=3)]
)
def test_nothing_is_heard_before_the_landing_is_answered(event: Input) -> None:
    """A host that tells something else first is stopped."""
    state, _ = told(1, arrived("a"), green(1), green(2))

    with pytest.raises(GateError, match="before it was told"):
        gate(state, event)


@pytest.mark.parametrize("event", [Landed(tip=TIP), Refused(tip=TIP)])
def test_no_landing_is_heard_of_that_was_not_asked_for(event: Input) -> None:
    """An answer without a question is a bug."""
    with pytest.raises(GateError, match="not asked for"):
        gate(opened(ORIGIN, 1), event)


def test_a_branch_does_not_arrive_twice() -> None:
    """The same job cannot stand in two places."""
    state, _ = told(1, arrived("a"))

    with pytest.raises(GateError, match="in the gate already"):
        gate(state, arrived("a"))


def test_the_gate_counts_its_branches() -> None:
    """An input after which a branch too many is gone stops the gate."""
    state = replace(opened(ORIGIN, 0), pool=groups("a", "a"))

    with pytest.raises(GateError, match="lost count"):
        gate(state, Withdrawn(job=JobId("a")))


PROOF = Run(kind="proof", base=ORIGIN, groups=groups("a", "b"))
LONE = Run(kind="group", base=ORIGIN, groups=groups("a"))
UNSOUND: dict[str, Callable[[Gate], Gate]] = {
    "two places": lambda state: replace(state, pool=groups("a"), runs={1: LONE}),
    "empty": lambda state: replace(state, green=groups("", "a"), runs={1: PROOF}),
    "several groups": lambda state: replace(state, runs={1: replace(PROOF, kind="group")}),
    "two proofs": lambda state: replace(state, runs={1: PROOF, 2: PROOF}),
    "old target": lambda state: replace(state, runs={1: PROOF}, target=TIP),
    "something else": lambda state: replace(state, runs={1: LONE}, landing=1),
    "has a strike": lambda state: replace(state, strikes={JobId("z"): 1}),
    "free slot": lambda state: replace(state, runs={1: LONE}, pool=groups("b")),
    "nothing runs": lambda state: replace(state, green=groups("a")),
}


@pytest.mark.parametrize("fault", UNSOUND)
def test_an_unsound_gate_is_told_from_a_sound_one(fault: str) -> None:
    """Each way in which a gate may be wrong is called by its name."""
    with pytest.raises(GateError, match=fault):
        check(UNSOUND[fault](opened(ORIGIN, 2)))


# Words and records.


def test_a_person_can_ask_where_a_branch_is() -> None:
    """Every place in the gate has its own words, and names the run and the mates."""
    state, _ = told(1, arrived("abcdefgh"))
    assert position(state, JobId("b")) == f"is tested in run 1 on {ORIGIN[:12]}, with a, c, d"
    assert position(state, JobId("f")) == "waits for its first test run, 2 of 4"

    state, _ = then(state, red(1), red(2), red(3))
    assert (
        position(state, JobId("a")) == "failed once by itself, waits for the run that confirms it"
    )
    assert position(state, JobId("c")) == "waits for another test run, with d"

    state, _ = then(state, Paused(paused=True), green(4))
    assert position(state, JobId("b")) == "passed by itself, waits for the proof"

    state, _ = told(1, arrived("ab"), green(1))
    assert position(state, JobId("b")) == f"is proven in run 2 on {ORIGIN[:12]}, with a"
    state, _ = then(state, green(2))
    assert position(state, JobId("b")) == "passed in run 2, is landing"
    assert position(state, JobId("z")) is None


def test_a_large_proof_is_told_in_few_words() -> None:
    """Of many mates a person is shown the first few and the number of the others."""
    state = proven(3, "abcdefghijkl")

    words = position(state, JobId("a"))

    assert words == f"is proven in run 4 on {ORIGIN[:12]}, with b, c, d, e, f, g, h, i and 3 more"


@pytest.mark.parametrize("seed", range(20))
def test_a_gate_goes_through_the_ledger_unchanged(seed: int) -> None:
    """Written and read again, or replayed from its inputs, a gate is the same gate."""
    world = World(fuzzed(seed), seed)
    world.drain()
    form: TypeAdapter[Gate] = TypeAdapter(Gate)
    inputs: TypeAdapter[Input] = TypeAdapter(Input)

    state = opened(ORIGIN, 1)
    state = replace(state, target=Oid("t0"), slots=world.plan.slots)
    for event, outputs in world.told:
        again = form.validate_json(form.dump_json(state))
        assert again == state
        state, answer = gate(again, inputs.validate_json(inputs.dump_json(event)))
        assert answer == outputs
    assert state == world.state


# Worlds.

CHUNKS, WORLDS = 16, 625


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_every_promise_holds_in_ten_thousand_worlds(chunk: int) -> None:
    """No untested tree, no red target, no branch lost or landed twice, and always an end."""
    for seed in range(chunk * WORLDS, (chunk + 1) * WORLDS):
        World(fuzzed(seed), seed).drain()


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("chunk", range(10))
def test_every_promise_holds_in_many_more_worlds(chunk: int) -> None:
    """The same, in a quarter of a million other worlds."""
    for seed in range(1_000_000 + chunk * 25_000, 1_025_000 + chunk * 25_000):
        World(fuzzed(seed), seed).drain()


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    plan=st.builds(
        Plan,
        branches=st.integers(1, 12),
        slots=st.integers(1, 5),
        bad=st.floats(0, 0.9),
        flake=st.floats(0, 0.3),
        clash=st.floats(0, 0.5),
        conflict=st.floats(0, 0.4),
        lost=st.floats(0, 0.3),
        hint=st.floats(0, 1),
        race=st.floats(0, 0.5),
        pushes=st.integers(0, 5),
        withdrawals=st.integers(0, 5),
        stirs=st.integers(0, 5),
        span=st.floats(0, 6),
        jitter=st.floats(0, 1),
        making=st.floats(0, 1),
        scopes=st.integers(1, 4),
    ),
    seed=st.integers(0, 2**32),
)
def test_every_promise_holds_in_worlds_that_shrink(plan: Plan, seed: int) -> None:
    """Worlds drawn so that a broken promise is shown in the smallest one that breaks it."""
    World(plan, seed).drain()


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_the_simulator_finds_every_known_mistake(mutant: type[World]) -> None:
    """A gate or host that is wrong in one known way breaks a promise within few worlds."""

    def hunt() -> None:
        for seed in range(100):
            mutant(fuzzed(seed), seed).drain()

    with pytest.raises(PromiseError, match=f"{mutant.__name__} seed"):
        hunt()


def test_a_broken_promise_tells_how_to_see_it_again() -> None:
    """The trace of a failing world holds its seed, its plan and what the gate was told."""
    racy = Plan(branches=4, slots=1, bad=0.0, race=1.0)

    def failure() -> str:
        with pytest.raises(PromiseError) as broken:
            NoSwap(racy, 3).drain()
        return str(broken.value)

    assert failure() == failure()
    assert "NoSwap seed 3: Plan(branches=4" in failure()
    assert "Arrived(" in failure()


def test_a_thousand_branches_drain() -> None:
    """A long queue of branches lands or is returned, each with an end, in far fewer runs."""
    plan = replace(fleet(branches=1_000, bad=0.02, slots=8), clash=0.0, far_clash=0.0)

    drain = World(plan, 1).drain()

    assert drain.landed + drain.returned == 1_000
    assert drain.runs < 1_000


@pytest.mark.parametrize("seed", range(5))
def test_the_gate_sends_back_what_the_plain_way_sends_back(seed: int) -> None:
    """Where nothing flakes or clashes, the order of testing decides nothing but the cost."""
    plan = replace(fleet(branches=50, bad=0.1, slots=4, flake=0.0), clash=0.0, far_clash=0.0)

    plain, sieved = serial(plan, seed), World(plan, seed).drain()

    assert (sieved.landed, sieved.returned) == (plain.landed, plain.returned)
    assert sieved.false_returns == plain.false_returns == 0
