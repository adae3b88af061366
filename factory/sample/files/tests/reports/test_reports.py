from decimal import Decimal

from shopkit.reports.summary import average, summary
from shopkit.reports.tables import table


def test_columns_are_aligned():
    assert table([("a", 1), ("bbb", 22)]) == "a    1\nbbb  22"
    assert table([]) == ""


def test_the_mean_of_nothing_is_nothing():
    assert average([]) == 0


def test_a_summary_has_three_lines():
    text = summary([Decimal("1.00"), Decimal("2.01")])
    assert text.splitlines() == ["orders  2", "sum     3.01", "mean    1.51"]
