from decimal import Decimal

import pytest

from shopkit.shipping.parcels import BOXES, smallest, volume
from shopkit.shipping.rates import rate, zone_of


def test_the_smallest_box_that_fits_is_taken():
    assert smallest(900, 1_000_000).name == "S"
    assert smallest(1001, 1_000_000).name == "M"


def test_what_fits_nowhere_is_refused():
    with pytest.raises(ValueError, match="nothing holds 20001 g"):
        smallest(20_001, 1)


def test_boxes_grow():
    assert sorted(BOXES, key=volume) == list(BOXES)


def test_the_world_is_zone_three():
    assert (zone_of("DE"), zone_of("FR"), zone_of("NZ")) == (1, 2, 3)


@pytest.mark.parametrize(("grams", "price"), [(1000, "4.90"), (1001, "7.35"), (2000, "7.35"), (2001, "9.80")])
def test_every_begun_kilogram_costs(grams, price):
    assert rate("DE", grams) == Decimal(price)
