from decimal import Decimal

import pytest

from shopkit.carts.cart import Cart
from shopkit.carts.checkout import due, receipt, shipping_for


@pytest.fixture
def cart(mug, poster):
    filled = Cart()
    filled.add(mug, 2)
    filled.add(poster)
    return filled


def test_a_total_counts_quantities(cart):
    assert cart.get_total() == Decimal("27.00")


def test_adding_twice_adds_up(cart, mug):
    cart.add(mug)
    assert cart.lines[mug] == 3
    assert cart.get_total() == Decimal("34.50")


def test_an_empty_cart_is_free():
    assert Cart().is_free()


def test_a_quantity_below_one_is_refused(mug):
    with pytest.raises(ValueError, match="at least 1"):
        Cart().add(mug, 0)


def test_large_carts_ship_for_free(cart, poster):
    assert shipping_for(cart) == Decimal("4.90")
    cart.add(poster, 2)
    assert shipping_for(cart) == 0


def test_due_taxes_the_shipping_too(cart):
    assert due(cart, "DE") == Decimal("37.96")


def test_a_receipt_sums_the_carts(cart):
    assert receipt([cart, cart]).splitlines()[-1] == "together: 54.00"
