"""The way of the jobs through the line: down as planned, and back for rework."""

from collections.abc import Mapping, Sequence
from typing import Final

from factory.pace.values import GATE, LANDED, LEFT, PERSON, PROVIDER, START
from factory.show.figures import Figures, Flow
from factory.show.markup import Html, number, tag, text
from factory.wording import cut

MOST: Final = 7
"""Most stations where work begins that are drawn one by one."""
OTHERS: Final = "other stations"
_NAMES: Final = {START: "jobs in", LANDED: "landed", LEFT: "ended otherwise"}
_FIRST: Final = ("command", "code", "read")
_RANKS: Final = (*_FIRST, "review", GATE, "test", "cleanup", PERSON, PROVIDER)
_APART, _LINE = 26.0, 12.0
_WIDE, _MIDDLE, _HALF, _STEP, _HIGH = 360.0, 180.0, 76.0, 46.0, 26.0


def flow(figures: Figures) -> Html:
    """Draw how often jobs went from where to where; what goes up is rework."""
    kinds = {row["name"]: row["kind"] for row in figures.balance["stations"]}
    moves = _gathered(figures.flows, kinds)
    if not moves:
        return tag("p", text("No job has moved yet."), cls="quiet")
    spots = {name: at for at, name in enumerate(_ordered(moves, kinds))}
    back = [move for move in moves if spots[move.end] <= spots[move.start]]
    said = ", ".join(f"{_name(m.start)} to {_name(m.end)} {m.times}" for m in back)
    finding = f"The way of the jobs. Back for rework: {said or 'none'}."
    most = max(move.times for move in moves)
    taken: list[tuple[float, float]] = []
    links = [_link(move, spots, most, taken) for move in sorted(moves, key=lambda m: m.times)]
    drawn = tag(
        "svg",
        *links,
        *(_node(name, at, chosen=name == figures.limiting) for name, at in spots.items()),
        viewbox=f"0 0 {_WIDE:.0f} {number(_STEP * (len(spots) - 1) + _HIGH + 4)}",
        cls="flow",
        role="img",
        aria_label=finding,
    )
    keys = tag(
        "figcaption",
        tag("span", tag("i", cls="key onward"), text("onward, with how many jobs")),
        tag("span", tag("i", cls="key back"), text("back for rework")),
        cls="legend",
    )
    return tag("figure", drawn, keys)


def _name(name: str) -> str:
    return _NAMES.get(name, name)


def _gathered(flows: Sequence[Flow], kinds: Mapping[str, str]) -> list[Flow]:
    """Give the moves with the least used stations where work begins as one station."""
    came: dict[str, int] = {}
    for move in flows:
        if kinds.get(move.end) in _FIRST:
            came[move.end] = came.get(move.end, 0) + move.times
    few = frozenset(sorted(came, key=lambda name: -came[name])[MOST:])
    found: dict[tuple[str, str], int] = {}
    for move in flows:
        start = OTHERS if move.start in few else move.start
        end = OTHERS if move.end in few else move.end
        found[start, end] = found.get((start, end), 0) + move.times
    return [Flow(start=start, end=end, times=times) for (start, end), times in found.items()]


def _ordered(moves: Sequence[Flow], kinds: Mapping[str, str]) -> list[str]:
    ends = {START: -1, LANDED: len(_RANKS), LEFT: len(_RANKS) + 1}

    def rank(name: str) -> tuple[int, str]:
        kind = kinds.get(name, "code")
        return ends.get(name, _RANKS.index(kind) if kind in _RANKS else 1), name

    return sorted({name for move in moves for name in (move.start, move.end)}, key=rank)


def _node(name: str, at: int, *, chosen: bool) -> Html:
    top = at * _STEP + 2
    box = tag(
        "rect",
        tag("title", text(_name(name))),
        x=_MIDDLE - _HALF,
        y=top,
        width=2 * _HALF,
        height=_HIGH,
        rx=6,
        cls="node limit" if chosen else "node",
    )
    said = text(cut(_name(name), 20))
    return tag("g", box, tag("text", said, x=_MIDDLE, y=top + 17, text_anchor="middle"))


def _link(
    move: Flow, spots: Mapping[str, int], most: int, taken: list[tuple[float, float]]
) -> Html:
    """Draw one move: straight down to the next, bowed to the right past others, up on the left.

    Its number keeps off those that are ``taken``.
    """
    a, b = spots[move.start], spots[move.end]
    wide = number(1 + 5 * move.times / most)
    title = tag("title", text(f"{_name(move.start)} to {_name(move.end)}: {move.times}"))
    if b == a + 1:
        top, bottom = a * _STEP + 2 + _HIGH, b * _STEP + 2
        way = f"M{number(_MIDDLE)} {number(top)}V{number(bottom)}"
        spot = (_MIDDLE + 7, (top + bottom) / 2 + 4, "start")
    else:
        side = 1 if b > a else -1
        edge = _MIDDLE + side * _HALF
        reach = 22 + 62 * min(1.0, abs(b - a) / max(2, len(spots) - 1))
        # Ways that begin or end at one node keep apart where they touch it.
        begin, end = a * _STEP + _HIGH / 2 + 7, b * _STEP + _HIGH / 2 - 2
        bend = edge + side * reach * 4 / 3
        way = (
            f"M{number(edge)} {number(begin)}C{number(bend)} {number(begin)}"
            f" {number(bend)} {number(end)} {number(edge)} {number(end)}"
        )
        spot = (edge + side * (reach + 3), (begin + end) / 2 + 4, "start" if side > 0 else "end")
    drawn = tag("path", title, d=way, stroke_width=wide, cls="onward" if b > a else "back")
    x, y, anchor = spot
    while any(abs(x - left) < _APART and abs(y - top) < _LINE for left, top in taken):
        y += _LINE
    taken.append((x, y))
    said = tag("text", text(move.times), x=x, y=y, text_anchor=anchor, cls="times")
    return tag("g", drawn, said)
