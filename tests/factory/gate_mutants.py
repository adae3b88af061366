"""Worlds that are wrong in one known way each, to show that the simulator finds bugs."""

from dataclasses import replace

from typing_extensions import override

from factory.landing import (
    Composed,
    Input,
    Land,
    Landed,
    Moved,
    Refused,
    Result,
    Run,
    Slots,
    Step,
    Withdrawn,
    gate,
    held,
)
from tests.factory.gate_sim import Trial, Verdict, World


class NoSwap(World):
    """Moves the target without looking where it is."""

    @override
    def swapped(self, land: Land) -> int | None:
        return self.trials[land.run].tree


class MergeAfterTest(World):
    """Merges again when the target has moved, instead of testing again."""

    @override
    def swapped(self, land: Land) -> int | None:
        return self.compose(self.tip, land.jobs).tree


class StaleProof(World):
    """Keeps a proof's verdict after the target has moved, and swaps from the new tip."""

    @override
    def step(self, event: Input) -> Step:
        if not isinstance(event, Moved):
            return gate(self.state, event)
        runs = {
            number: replace(run, base=event.tip) if run.kind == "proof" else run
            for number, run in self.state.runs.items()
        }
        return gate(replace(self.state, target=event.tip, runs=runs), event)


class NoForcedHalf(World):
    """Puts the first half of a red proof back to green, where others may join it again."""

    @override
    def step(self, event: Input) -> Step:
        state = self.state
        run = state.runs.get(event.run) if isinstance(event, Result) else None
        if not (isinstance(event, Result) and event.verdict == "red" and run and run.groups[1:]):
            return gate(state, event)
        middle = len(run.groups) // 2
        rest = tuple(job for group in run.groups[middle:] for job in group)
        mutant = replace(
            state,
            runs={number: other for number, other in state.runs.items() if number != event.run},
            green=run.groups[:middle] + state.green,
            pool=(*state.pool, rest),
        )
        return gate(mutant, Slots(n=state.slots))


class CachedStrikes(World):
    """Takes a single branch's red verdict from memory."""

    @override
    def remembered(self, trial: Trial) -> Verdict | None:
        return self.cache.get(trial.tree)


class LostIsRed(World):
    """Takes a lost machine for a verdict."""

    @override
    def test(self, trial: Trial) -> Verdict:
        verdict = super().test(trial)
        return "red" if verdict == "lost" else verdict


class OneStrike(World):
    """Sends a branch back on its first red run."""

    @override
    def step(self, event: Input) -> Step:
        struck = dict.fromkeys(held(self.state), 1)
        state, outputs = gate(replace(self.state, strikes=struck), event)
        return replace(state, strikes={}), outputs


class NoProof(World):
    """Lands a green group at once when no branch that landed since shares a scope with it."""

    @override
    def step(self, event: Input) -> Step:
        state = self.state
        run = state.runs.get(event.run) if isinstance(event, Result) else None
        if not (isinstance(event, Result) and event.verdict == "green" and run):
            return gate(state, event)
        scopes = {self.scope[job] for job in run.jobs}
        since = self.trees[state.target] & ~self.trees[run.base]
        if any(self.bit[job] & since and self.scope[job] in scopes for job in self.bit):
            return gate(state, event)
        lane = Run(kind="proof", base=state.target, groups=run.groups)
        return gate(replace(state, runs={**state.runs, event.run: lane}), event)

    @override
    def swapped(self, land: Land) -> int | None:
        return self.compose(self.tip, land.jobs).tree


class AnswerNotAwaited(World):
    """Takes a refused swap for a landing."""

    @override
    def step(self, event: Input) -> Step:
        return gate(self.state, Landed(tip=event.tip) if isinstance(event, Refused) else event)


class MatesForgotten(World):
    """Drops a branch that conflicts with a mate, instead of testing it again."""

    @override
    def step(self, event: Input) -> Step:
        state, outputs = gate(self.state, event)
        mates = event.mate_clash if isinstance(event, Composed) else ()
        pool = tuple(group for group in state.pool if not set(group) <= set(mates))
        return replace(state, pool=pool), outputs


class WithdrawnGoesOn(World):
    """Lets a running group land although one of its branches was withdrawn."""

    @override
    def step(self, event: Input) -> Step:
        running = (job for run in self.state.runs.values() for job in run.jobs)
        if isinstance(event, Withdrawn) and event.job in running:
            return self.state, ()
        return gate(self.state, event)


MUTANTS: tuple[type[World], ...] = (
    NoSwap,
    MergeAfterTest,
    StaleProof,
    NoForcedHalf,
    CachedStrikes,
    LostIsRed,
    OneStrike,
    NoProof,
    AnswerNotAwaited,
    MatesForgotten,
    WithdrawnGoesOn,
)
