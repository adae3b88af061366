"""Fusing: every place counts, every reason is kept, and the order is the same twice."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from factory.survey import fusing
from factory.survey.fusing import Signal
from factory.survey.ranks import fused, points
from factory.survey.values import Item, Link

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LISTS = st.lists(st.lists(st.integers(1, 30), unique=True, max_size=12), max_size=5)


def item(number: int, *files: str, labels: tuple[str, ...] = ()) -> Item:
    """Give a pull request that changes these files."""
    return Item(
        number=number,
        kind="pull",
        title=f"No. {number}",
        body="",
        state="open",
        author="mona",
        association="NONE",
        labels=labels,
        created=NOW,
        updated=NOW + timedelta(days=number),
        url="",
        comments=0,
        files=files,
    )


@given(LISTS)
def test_every_item_of_every_list_is_there_once_and_no_better_one_behind(
    lists: list[list[int]],
) -> None:
    """The order is by the sum of the reciprocal places; equals by their numbers."""
    order = fused(lists)
    worth = {
        number: sum(points(one.index(number)) for one in lists if number in one) for number in order
    }

    assert sorted(order) == sorted({number for one in lists for number in one})
    assert order == sorted(order, key=lambda number: (-worth[number], number))


@given(LISTS)
def test_an_items_score_is_the_sum_of_its_reasons(lists: list[list[int]]) -> None:
    """One reason of each kind, the strongest first, and nobody without one."""
    kinds = ("words", "pieces", "search", "link", "files")
    signals = [
        Signal(kind=kind, weight=1.0, numbers=one, said=kind)
        for kind, one in zip(kinds, lists, strict=False)
    ]
    found = fusing.reasons(signals)

    assert fusing.ordered(found) == fused(lists)
    for reasons in found.values():
        assert len({reason.kind for reason in reasons}) == len(reasons)
        assert [r.points for r in reasons] == sorted((r.points for r in reasons), reverse=True)


def test_a_link_to_a_seed_weighs_more_than_one_to_what_was_found() -> None:
    """And an item that is linked with everything says little with each link."""
    links = {1: (Link(kind="mentions", number=5),), 2: (Link(kind="mentions", number=6),)}
    seed, other = fusing.linked((1, 2), links, seeds=(1,))
    assert seed.weight > other.weight
    many = {1: tuple(Link(kind="mentions", number=n) for n in range(2, 102))}
    (crowded,) = fusing.linked((1,), many, seeds=(1,))
    assert crowded.weight < seed.weight
    both = {1: (Link(kind="mentions", number=5), Link(kind="closes", number=6))}
    (ordered,) = fusing.linked((1,), both, seeds=(1,))
    assert list(ordered.numbers) == [6, 5]
    assert ordered.words(6) == "one closes the other: #1"


def test_files_and_labels_count_by_how_rare_they_are() -> None:
    """A file that all change says less than one that two change; noise says nothing."""
    pulls = [item(1, "a.py", "all.py"), item(2, "a.py"), item(3, "all.py"), item(4, "all.py")]
    assert list(fusing.filed(pulls, {"a.py", "all.py"}).numbers) == [1, 2, 3, 4]
    assert fusing.filed(pulls, {"a.py"}).words(2) == "changes a.py"
    marked = [item(1, labels=("bug",)), item(2, labels=("bug", "net")), item(3, labels=())]
    assert list(fusing.labelled([item(9, labels=("bug", "net"))], marked).numbers) == [2, 1]
    assert list(fusing.recent(pulls).numbers) == [4, 3, 2, 1]
    near = fusing.sharing([*pulls, item(5, "yarn.lock"), item(6, "yarn.lock")])
    assert near[2] == (Link(kind="files", number=1),)
    assert near[5] == ()


def test_a_distance_is_the_least_number_of_links_from_a_seed() -> None:
    """A file in common is no link that leads anywhere."""
    links = {
        1: (Link(kind="closes", number=2),),
        2: (Link(kind="mentions", number=3), Link(kind="closes", number=1)),
        3: (Link(kind="files", number=4),),
    }
    assert fusing.distances((1,), links) == {1: 0, 2: 1, 3: 2}
    assert fusing.distances((), links) == {}
