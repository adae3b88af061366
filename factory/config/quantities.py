"""Quantities people write: durations, token counts, money and rates, read and written. Pure."""

import math
import re
from decimal import Decimal, InvalidOperation
from typing import Final

_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(ms|s|m|h|d)\s*")
_DURATION: Final = re.compile(rf"(?:{_PART.pattern})+")
_TOKENS: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([kMG]?)")
_SCALES: Final = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9}
_RATE: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*/\s*([mhd])")
_TIME: Final = r"([01][0-9]|2[0-3]):([0-5][0-9])"
_HOURS: Final = re.compile(rf"{_TIME}-{_TIME}")
_PER_HOUR: Final = {"m": 60.0, "h": 1.0, "d": 1 / 24}
_LONGEST: Final = 366 * 86400.0
_MOST_TOKENS: Final = 10**15
_MOST_DOLLARS: Final = Decimal(10) ** 9
_LONGEST_TEXT: Final = 40


def duration(given: object) -> float:
    """Give seconds from a number of seconds or a text such as ``90s``, ``20m`` or ``1h30m``."""
    seconds = math.nan
    if (
        isinstance(given, str)
        and len(given) <= _LONGEST_TEXT
        and _DURATION.fullmatch(given.strip())
    ):
        parts = _PART.findall(given)
        # A sum of rounded products is off by one in the last place for texts such as 1.1s.
        seconds = float(sum(Decimal(number) * Decimal(str(_UNITS[unit])) for number, unit in parts))
    elif isinstance(given, int | float) and not isinstance(given, bool):
        seconds = float(given)
    if not 0 <= seconds <= _LONGEST:
        msg = (
            f"{_shown(given)} is not a duration; write seconds, or a text such as "
            '"90s", "20m" or "1h30m", up to "366d"'
        )
        raise ValueError(msg)
    return seconds


def duration_text(seconds: float) -> str:
    """Give the shortest text that reads back as exactly these seconds."""
    for unit in ("d", "h", "m"):
        count = seconds / _UNITS[unit]
        if count >= 1 and count == int(count):
            return f"{int(count)}{unit}"
    plain = format(Decimal(repr(seconds)), "f")
    return (plain.rstrip("0").rstrip(".") if "." in plain else plain) + "s"


def tokens(given: object) -> int:
    """Give a number of tokens from a whole number or a text such as ``200k`` or ``1.5M``."""
    count = Decimal(-1)
    if isinstance(given, str) and len(given) <= _LONGEST_TEXT:
        found = _TOKENS.fullmatch(given.strip())
        if found is not None:
            count = Decimal(found[1]) * _SCALES[found[2]]
    elif isinstance(given, int) and not isinstance(given, bool):
        count = Decimal(given)
    if not 0 < count <= _MOST_TOKENS or count != int(count):
        msg = (
            f"{_shown(given)} is not a number of tokens; write a whole number, "
            'or a text such as "200k" or "5M"'
        )
        raise ValueError(msg)
    return int(count)


def tokens_text(count: int) -> str:
    """Give the shortest text that reads back as exactly this number of tokens."""
    for unit in ("G", "M", "k"):
        if count >= _SCALES[unit] and count % _SCALES[unit] == 0:
            return f"{count // _SCALES[unit]}{unit}"
    return str(count)


def dollars(given: object) -> Decimal:
    """Give an exact amount of dollars from a number or a text such as ``0.50`` or ``$20``."""
    amount = Decimal("NaN")
    if isinstance(given, int | float | str) and not isinstance(given, bool):
        try:
            amount = Decimal(str(given)[:_LONGEST_TEXT].strip().removeprefix("$"))
        except InvalidOperation:
            amount = Decimal("NaN")
    if amount.is_nan() or not 0 < amount <= _MOST_DOLLARS:
        msg = f"{_shown(given)} is not an amount of dollars; write a number above 0"
        raise ValueError(msg)
    return amount


def price(given: object) -> Decimal:
    """Give exact dollars for a million tokens, which may be none."""
    return Decimal(0) if given in (0, "0") and given is not False else dollars(given)


def rate(given: object) -> float:
    """Give changes per hour from a text such as ``6/h``, ``2/m`` or ``40/d``."""
    found = _RATE.fullmatch(given.strip()) if isinstance(given, str) else None
    if found is None or not float(found[1]) > 0:
        msg = f'{_shown(given)} is not a rate; write changes per time, such as "6/h"'
        raise ValueError(msg)
    return float(found[1]) * _PER_HOUR[found[2]]


def hours(given: str) -> tuple[int, int]:
    """Give the seconds after midnight of a text such as ``09:00-17:30``, from and to."""
    found = _HOURS.fullmatch(given.strip())
    times = [int(part) for part in found.groups()] if found is not None else []
    if not times or times[0] * 60 + times[1] == times[2] * 60 + times[3]:
        msg = f'{_shown(given)} are no hours of a day; write from and to, such as "09:00-17:30"'
        raise ValueError(msg)
    return times[0] * 3600 + times[1] * 60, times[2] * 3600 + times[3] * 60


def budget(text: str) -> dict[str, object]:
    """Give a budget's keys from a text such as ``20``, ``$20,5M,60m`` or ``usd=20,tokens=5M``."""
    found: dict[str, object] = {}
    for part in text.split(","):
        key, named, value = part.strip().rpartition("=")
        if not named:
            key = _budget_key(value)
        if key not in {"usd", "tokens", "minutes"} or key in found:
            raise ValueError(
                f'"{text[:_LONGEST_TEXT]}" is not a budget; '
                'write dollars, tokens or a time, such as "20", "5M", "60m" or "20,5M,60m"'
            )
        found[key] = int(value) if key == "minutes" and value.isdecimal() else value
    return found


def _budget_key(value: str) -> str:
    if re.fullmatch(r"\$?[0-9]+(?:\.[0-9]+)?", value):
        return "usd"
    return (
        "tokens"
        if value[-1:] in {"k", "M", "G"}
        else "minutes"
        if _DURATION.fullmatch(value)
        else ""
    )


def _shown(given: object) -> str:
    if isinstance(given, str):
        return f'"{given[:_LONGEST_TEXT]}"'
    return str(given).lower() if isinstance(given, bool) else str(given)[:_LONGEST_TEXT]
