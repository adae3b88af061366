"""How well scopes fit what was not used to make them."""

import pytest

from factory.history.changes import Change
from factory.history.fitting import at_once
from factory.history.scoring import breakers, halves, one_scope, score, top_directory
from worktrees.names import Oid


def changes(*groups: tuple[str, ...]) -> list[Change]:
    """Give changes of these files, the first the newest."""
    return [
        Change(commit=Oid(f"{number:040x}"), when=1_000 - number, files=files)
        for number, files in enumerate(groups)
    ]


def test_the_newest_fifth_is_held_out() -> None:
    """Nothing that judges was there to be learned from, and it is what came last."""
    every = changes(*[("a",)] * 50)

    older, newest = halves(every)

    assert list(newest) == every[:10]
    assert list(older) == every[10:]


def test_a_change_fits_when_one_scope_holds_it() -> None:
    """Fit, fit among changes of several files, mean and touched are counted as they read."""
    found = score(changes(("a/x",), ("a/x", "a/y"), ("a/x", "b/x"), ("b/x",)), lambda path: path[0])

    assert (found.changes, found.wide) == (4, 2)
    assert (found.fit, found.wide_fit, found.mean) == (0.75, 0.5, 1.25)
    assert found.touched == {"a": 0.75, "b": 0.5}


def test_one_scope_fits_everything_and_lets_nothing_be_done_beside() -> None:
    """The plainest scope is the yardstick at the other end: all fit, one at a time."""
    found = score(changes(("a/x", "b/x"), ("c",)), one_scope)

    assert (found.fit, found.mean, found.at_once) == (1.0, 1.0, 1.0)


def test_a_directory_at_the_top_is_one_scope() -> None:
    """Files at the top are together in a scope of their own."""
    assert {top_directory(path) for path in ("a/b/c", "a/d", "x", "y")} == {"a/**", "/*"}


@pytest.mark.parametrize(
    ("loads", "total", "wanted"),
    [([10], 10, 1.0), ([5, 5], 10, 2.0), ([10, 10], 10, 1.0), ([9, 1], 10, 100 / 82), ([], 0, 1.0)],
)
def test_how_many_changes_go_at_a_time(loads: list[float], total: float, wanted: float) -> None:
    """Equal parts that share no change go side by side; a part that takes all goes alone."""
    assert at_once(loads, total) == pytest.approx(wanted)


def test_the_file_that_spoils_the_fit_is_named() -> None:
    """A lone file of another scope is blamed; of one here and one there neither is."""
    found = breakers(
        changes(("a/x", "a/y", "b/hub"), ("a/x", "a/z", "b/hub"), ("a/x", "b/y"), ("a/x",)),
        lambda path: path[0],
    )

    assert [(each.path, each.changes) for each in found] == [("b/hub", 2)]
