"""Coding: stations that change the tree, by an agent or by a program; cleaning is one of them."""

from dataclasses import dataclass

from stations.bench import Bench
from stations.contract import Assignment, Outcome, StationSpec
from stations.runtimes.task import Control
from stations.seat import take_turn


@dataclass(frozen=True, slots=True, kw_only=True)
class Coding:
    """A station of kind code, command or cleanup; whoever calls ``work`` sits in a seat."""

    spec: StationSpec
    bench: Bench

    def work(self, assignment: Assignment, control: Control | None = None) -> Outcome:
        """Do one attempt; ended by its control it is over in two seconds and its work is kept."""
        return take_turn(self.bench, self.spec, assignment, control=control or Control())
