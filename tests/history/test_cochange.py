"""Files that changed together."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factory.history.cochange import build, related

files = st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=5, unique=True).map(tuple)


def test_a_commit_gives_each_file_one_vote() -> None:
    """A pair weighs the more the fewer files changed with it."""
    graph = build([("a", "b"), ("a", "b", "c")])

    assert graph.shared["a"] == {"b": 1.5, "c": 0.5}
    assert graph.changes == {"a": 2, "b": 2, "c": 1}


def test_what_changes_with_everything_is_nobodys_neighbour() -> None:
    """A file of every commit weighs less than one that changed with this one alone."""
    groups = [("a", "test_a", "hub")] * 4 + [(f"x{number}", "hub") for number in range(60)]

    found = related(build(groups), ["a"])

    assert [each.path for each in found] == ["test_a", "hub"]
    assert found[0].weight == pytest.approx(0.5)
    assert found[1].weight < 0.15


def test_strangers_and_weak_neighbours_are_left_out() -> None:
    """What never changed has no neighbours, and a rare meeting is none."""
    graph = build([("a", "b")] + [("a",)] * 40 + [("b",)] * 40)

    assert related(graph, ["never.py"]) == ()
    assert related(graph, ["a"]) == ()
    assert [each.path for each in related(graph, ["a"], least=0.0)] == ["b"]


@settings(max_examples=40, deadline=None)
@given(st.lists(files, max_size=20), files, st.integers(1, 5))
def test_neighbours_are_ordered_bounded_and_never_the_asked(
    groups: list[tuple[str, ...]], asked: tuple[str, ...], most: int
) -> None:
    """Weights lie between 0 and 1, come strongest first, and no asked file is among them."""
    found = related(build(groups), asked, most=most, least=0.0)

    assert len(found) <= most
    assert not {each.path for each in found} & set(asked)
    assert all(0 < each.weight <= 1 for each in found)
    assert list(found) == sorted(found, key=lambda each: (-each.weight, each.path))
