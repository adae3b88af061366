"""Tokens and money over time: server-made curves, and the points that the page draws itself."""

from collections.abc import Callable, Sequence
from typing import Final

from factory.show.figures import Figures, Spent
from factory.show.markup import NOTHING, Html, number, tag, text
from factory.wording import span

_WIDE, _HIGH = 1000.0, 100.0
Lines = Sequence[tuple[str, str, Callable[[Spent], float]]]
_TOKENS: Final[Lines] = (("tokens", "tokens", lambda each: each.tokens),)
_MONEY: Final[Lines] = (
    ("billed", "billed", lambda each: each.billed),
    ("imputed", "imputed", lambda each: each.imputed),
)


def money_text(dollars: float) -> str:
    """Give an amount as people read it."""
    return f"{dollars:.4f} USD" if 0 < dollars < 0.1 else f"{dollars:,.2f} USD"  # noqa: PLR2004


def curves(figures: Figures) -> Html:
    """Draw what had been spent by when, billed dollars apart from imputed ones."""
    if not figures.spent:
        return tag("p", text("No model was called."), cls="quiet")
    last = figures.spent[-1]
    money = f"{money_text(last.billed)} billed, {money_text(last.imputed)} imputed"
    return tag(
        "div",
        _figure(figures, _TOKENS, f"{last.tokens:,} tokens", last.tokens),
        _figure(figures, _MONEY, money, max(last.billed, last.imputed)),
        cls="pair",
    )


def points(figures: Figures) -> str:
    """Give the points of the curves as JSON: seconds, tokens, dollars billed and imputed."""
    columns = (
        [round(each.at, 1) for each in figures.spent],
        [each.tokens for each in figures.spent],
        [round(each.billed, 4) for each in figures.spent],
        [round(each.imputed, 4) for each in figures.spent],
    )
    return f"[{','.join('[' + ','.join(map(str, column)) + ']' for column in columns)}]"


def _figure(figures: Figures, lines: Lines, said: str, most: float) -> Html:
    drawn = [
        tag(
            "path",
            tag("title", text(name)),
            d=_way(figures, value, most),
            cls=f"curve {cls}",
        )
        for cls, name, value in lines
    ]
    keys = [tag("span", tag("i", cls=f"key {cls}"), text(name)) for cls, name, _ in lines]
    return tag(
        "figure",
        tag("p", text(said), cls="top"),
        tag(
            "svg",
            *drawn,
            viewbox=f"0 0 {_WIDE:.0f} {_HIGH:.0f}",
            preserveAspectRatio="none",
            cls="curves",
            role="img",
            aria_label=f"By {span(figures.seconds)}: {said}",
        ),
        tag("div", *(tag("span", text(each)) for each in ("0", span(figures.seconds))), cls="axis"),
        tag("figcaption", *keys, cls="legend") if len(keys) > 1 else NOTHING,
    )


def _way(figures: Figures, value: Callable[[Spent], float], most: float) -> str:
    wide, high = _WIDE / max(figures.seconds, 1e-9), (_HIGH - 4) / max(most, 1e-9)
    way = f"M0 {_HIGH - 2:.0f}"
    for each in figures.spent:
        x, y = min(_WIDE, each.at * wide), _HIGH - 2 - value(each) * high
        way += f"H{number(x)}V{number(y)}"
    return way + f"H{_WIDE:.0f}"
