import pytest

from shopkit.stock.levels import Shelf
from shopkit.stock.reorder import needs_reorder, packs_for, rush


def test_a_shelf_gives_what_it_has():
    shelf = Shelf({"MUG-1": 3})
    assert shelf.take("MUG-1", 2) == 2
    assert shelf.take("MUG-1", 2) == 1
    assert shelf.is_empty("MUG-1")


def test_a_shelf_knows_its_items():
    shelf = Shelf({"MUG-1": 0})
    assert shelf.has("MUG-1")
    assert not shelf.has("POS-2")


@pytest.mark.parametrize(("count", "reorder"), [(6, False), (5, True), (4, True)])
def test_the_threshold_itself_reorders(count, reorder):
    assert needs_reorder(count, 5) is reorder


@pytest.mark.parametrize(("missing", "packs"), [(-1, 0), (0, 0), (1, 1), (12, 1), (13, 2)])
def test_packs_cover_what_is_missing(missing, packs):
    assert packs_for(missing) == packs


@pytest.mark.parametrize(("count", "hurry"), [(15, False), (14, True)])
def test_a_rush_is_when_the_shelf_runs_empty_first(count, hurry):
    assert rush(count, 5, 3) is hurry
