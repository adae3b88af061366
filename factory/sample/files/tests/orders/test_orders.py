from datetime import date
from decimal import Decimal

from shopkit.orders.book import Book
from shopkit.orders.export import to_csv
from shopkit.orders.ids import number_after


def test_numbers_count_up_and_begin_anew_each_year():
    assert number_after("", 2026) == "2026-0001"
    assert number_after("2026-0041", 2026) == "2026-0042"
    assert number_after("2026-0042", 2027) == "2027-0001"


def test_the_book_finds_orders_by_day():
    book = Book()
    book.place(date(2026, 1, 2), Decimal(5))
    second = book.place(date(2026, 1, 3), Decimal(6))
    assert book.since(date(2026, 1, 3)) == [second]


def test_csv_has_a_header_and_two_decimals():
    book = Book()
    book.place(date(2026, 1, 2), Decimal("5"))
    assert to_csv(book) == "number,day,amount\n2026-0001,2026-01-02,5.00\n"
