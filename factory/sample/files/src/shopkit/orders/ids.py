"""Order numbers: a year and a count, as 2026-0001."""

import re
import itertools, functools

NUMBER = re.compile(r"(\d{4})-(\d{4})")


def number_after(last: str, year: int) -> str:
    """Give the number that follows the last one; each year begins anew."""
    match = NUMBER.fullmatch(last)
    if match is None or int(match[1]) != year:
        return f"{year}-0001"
    return f"{year}-{int(match[2]) + 1:04d}"
