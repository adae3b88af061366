"""Co-change: which files the past changed together, as a weighted graph. Pure.

A commit of k files gives each pair of them 1/(k-1): every file gets one vote a commit, whatever
the commit's size.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import sqrt
from typing import Final

MOST: Final = 20
LEAST: Final = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """Files with their neighbours: what two share, and how many commits changed each."""

    shared: Mapping[str, Mapping[str, float]]
    changes: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Related:
    """A file that changed together with others, and how surely: 0 is never, 1 is always."""

    path: str
    weight: float


def build(groups: Iterable[tuple[str, ...]]) -> Graph:
    """Give the graph of groups of distinct files, each group a commit."""
    shared: dict[str, dict[str, float]] = {}
    changes: dict[str, int] = {}
    for files in groups:
        for file in files:
            changes[file] = changes.get(file, 0) + 1
        if len(files) == 1:
            continue
        vote = 1 / (len(files) - 1)
        for one in files:
            near = shared.setdefault(one, {})
            for other in files:
                if other != one:
                    near[other] = near.get(other, 0.0) + vote
    return Graph(shared=shared, changes=changes)


def related(
    graph: Graph, files: Iterable[str], *, most: int = MOST, least: float = LEAST
) -> tuple[Related, ...]:
    """Give the files that changed together with these, the strongest first, none of these.

    What two files share is measured against how often each changed, so that a file which is in
    every commit is nobody's neighbour.
    """
    asked = frozenset(files)
    weights: dict[str, float] = {}
    for file in sorted(asked & graph.shared.keys()):
        for other, vote in graph.shared[file].items():
            if other not in asked:
                known = sqrt(graph.changes[file] * graph.changes[other])
                weights[other] = max(weights.get(other, 0.0), vote / known)
    found = [Related(path=path, weight=weight) for path, weight in weights.items()]
    strong = [each for each in found if each.weight >= least]
    return tuple(sorted(strong, key=lambda each: (-each.weight, each.path))[:most])
