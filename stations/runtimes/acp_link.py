"""The way of a protocol's agent to its model: what the runtime needs of it, and one without any."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from typing import Protocol

from stations.box import Box
from stations.contract import Spend
from stations.models.values import ModelError, Usage
from stations.runtimes.command import program, variables
from stations.runtimes.task import Step, Task, equipped


class Link(Protocol):
    """An attempt's way to its model: the box in which it is, and what went through it."""

    @property
    def box(self) -> Box:
        """The box to start."""
        ...

    @property
    def model(self) -> str:
        """The model that it is to use; empty when that is its own choice."""
        ...

    @property
    def fault(self) -> ModelError | None:
        """The last call that was refused for good."""
        ...

    @property
    def busy(self) -> bool:
        """Whether a call is under way."""
        ...

    def usage(self) -> Usage:
        """Give the tokens so far."""
        ...

    def spend(self) -> Spend:
        """Give what the attempt's calls cost so far."""
        ...

    def steps(self) -> Iterator[Step]:
        """Give what went through since the last time."""
        ...


class Linker(Protocol):
    """Gives an attempt its way to a model for as long as it is under way."""

    def __call__(self, task: Task) -> AbstractContextManager[Link]:
        """Open the way."""
        ...


@contextmanager
def alone(task: Task) -> Iterator["Alone"]:
    """Give the box of an agent that calls no model of ours."""
    box = equipped(task, program(task))
    yield Alone(box=replace(box, env={**box.env, **variables(task)}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Alone:
    """No way to any model."""

    box: Box
    model: str = ""
    fault: ModelError | None = None
    busy: bool = False

    def usage(self) -> Usage:
        """Give no tokens."""
        return Usage()

    def spend(self) -> Spend:
        """Give no cost."""
        return Spend()

    def steps(self) -> Iterator[Step]:
        """Give nothing: nothing happens on the way."""
        return iter(())
