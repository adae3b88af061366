"""Prints how fast the gate drains beside testing one branch at a time: simulated, not measured."""

from math import log2
from statistics import mean, quantiles

from tests.factory.gate_sim import Drain, World, fleet, serial

ABOUT = """\
SIMULATED. The real gate in a model world: T is the length of one full test run, every tree takes
T +-10 %, merging takes no time. 0.4 % of the pairs of one scope clash, a run is red for no reason
with chance f, a red branch is confirmed once before it is sent back. Every landing is checked to
be a tree that passed and is truly green; a red target would stop this program.
p: chance that a branch is bad, c: test runs at once, LB: information bound of the time.
sieve and serial: time to drain in T (mean, for sieve also p95); runs: test runs per branch.
"""
CELLS = [
    *((10, 0.05, slots, 0.01) for slots in (2, 4)),
    (10, 0.30, 4, 0.01),
    *((50, 0.02, slots, 0.01) for slots in (4, 16)),
    *((50, 0.05, slots, 0.01) for slots in (1, 2, 4, 8, 16)),
    (50, 0.05, 4, 0.05),
    (50, 0.10, 4, 0.01),
    *((50, 0.30, slots, 0.01) for slots in (4, 16)),
    *((200, 0.05, slots, 0.01) for slots in (4, 16)),
]


def bound(branches: int, bad: float, slots: int) -> float:
    """Give the time that the entropy of who is bad takes over so many one-bit runs at once."""
    entropy = -bad * log2(bad) - (1 - bad) * log2(1 - bad)
    return max(1.0, branches * entropy / slots) + (slots > 1)


def row(branches: int, bad: float, slots: int, flake: float) -> str:
    """Drain the same worlds both ways, and give the line that compares them."""
    plan = fleet(branches=branches, bad=bad, slots=slots, flake=flake)
    seeds = range(24 if branches <= 50 else 10)
    sieve = [World(plan, seed).drain() for seed in seeds]
    plain = [serial(plan, seed) for seed in seeds]
    time, base = mean(drain.time for drain in sieve), mean(drain.time for drain in plain)
    late = quantiles((drain.time for drain in sieve), n=20)[-1]
    least = bound(branches, bad, slots)
    return (
        f"{branches:4} {bad:5.2f} {slots:3} {flake:5.2f} {least:6.1f} {base:7.1f} {time:7.1f}"
        f" {late:6.1f} {base / time:6.1f}x {time / least:5.2f}"
        f" {waits(plain):7.1f} {waits(sieve):6.1f}"
        f" {runs(plain, branches):7.2f} {runs(sieve, branches):6.2f}"
        f" {false_returns(plain):7.2f} {false_returns(sieve):6.2f}"
    )


def waits(drains: list[Drain]) -> float:
    """Give the mean time until a branch landed."""
    return mean(wait for drain in drains for wait in drain.waits)


def runs(drains: list[Drain], branches: int) -> float:
    """Give the test runs per branch."""
    return mean(drain.runs for drain in drains) / branches


def false_returns(drains: list[Drain]) -> float:
    """Give how many good branches were sent back per drain."""
    return mean(drain.false_returns for drain in drains)


def steady(rate: int, slots: int) -> str:
    """Let branches arrive all the time, and give how long half and most of them wait."""
    plan = fleet(branches=120 * rate, bad=0.05, slots=slots, span=120)
    cuts = quantiles((wait for seed in range(2) for wait in World(plan, seed).drain().waits), n=20)
    return f"{cuts[9]:7.1f} /{cuts[18]:5.1f}"


if __name__ == "__main__":
    print(ABOUT)
    print("                               time to drain (T)              wait (T)    ", end="")
    print("  runs/branch   false returns")
    print("   N     p   c     f     LB  serial   sieve    p95  ratio  /LB", end="")
    print("  serial  sieve  serial  sieve  serial  sieve")
    for cell in CELLS:
        print(row(*cell))
    print("\nSteady arrivals for 120 T, p=.05, f=.01: wait in T, p50 / p95, at c = 2, 4, 8")
    for rate in (1, 2, 4):
        print(f"{rate} per T ", *(steady(rate, slots) for slots in (2, 4, 8)))
    print("\nTargets: N=50 p=.05: c=4 <= 12 T, c=2 <= 21 T, both >= 2.5x serial; runs <= 0.9 at")
    print("p <= .1; false returns <= 0.05 at f = .05; red targets 0.")
