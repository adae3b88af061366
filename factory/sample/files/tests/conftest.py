from decimal import Decimal

import pytest

from shopkit.catalog.items import Item


@pytest.fixture
def mug():
    return Item(sku="MUG-1", name="Mug", price=Decimal("7.50"), grams=320)


@pytest.fixture
def poster():
    return Item(sku="POS-2", name="Poster, large", price=Decimal("12.00"), grams=90)
