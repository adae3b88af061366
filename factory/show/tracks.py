"""Bars along one line each: demand of the stations, who worked when, who limited the line when.

A track stretches with the page while its words are text of the page: nothing is scaled or clipped.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from factory.pace.sentence import rate_text
from factory.show.figures import Figures, Span
from factory.show.markup import NOTHING, Html, joined, number, tag, text
from factory.views.schemas import BalanceRow, ShiftRow
from factory.wording import count, cut, listed, span

WIDE: Final = 1000.0
ROWS: Final = 60
"""Most jobs that the timeline shows."""
NAMED: Final = 150
"""Most spans of a station that are named one by one."""
_TALL: Final = 16
_HUES: Final = 8
_LEGEND: Final = (
    ("work", "at work"),
    ("good", "done, green"),
    ("bad", "failed, red, sent back"),
    ("wait", "waits for a person"),
    ("cut", "ended by order or lost"),
)

Link = Callable[[str], str | None]
"""Gives the address of a job's page; None where there is none."""


def bars(figures: Figures) -> Html:
    """Draw the demand of every station that was visited, with takt and next limit."""
    balance = figures.balance
    rows = visited(balance["stations"])
    if not rows:
        return tag("p", text("No station has been visited yet."), cls="quiet")
    nearest = 60 / balance["without"] if balance["without"] and figures.limiting else None
    takt = balance["takt"]
    most = max(rows[0]["demand"], takt or 0.0, nearest or 0.0, 1e-9) * 1.04
    lines = joined(_line(takt, most, "takt", "takt"), _line(nearest, most, "next", "next limit"))
    legend = [tag("span", text("minutes of station time for one landed change"))]
    if takt is not None:
        legend.append(_key("takt", f"takt {takt:.2f} min ({rate_text(balance['wanted'] or 0)}/h)"))
    if nearest is not None:
        legend.append(_key("next", f"next limit {nearest:.2f} min"))
    drawn = joined(*(_bar(row, most, lines, figures.limiting) for row in rows))
    finding = f"Demand of {count(len(rows), 'station')}: {balance['sentence']}"
    return tag(
        "figure",
        tag("div", drawn, cls="tracks", role="img", aria_label=finding),
        tag("figcaption", *legend, cls="legend"),
    )


def visited(stations: Iterable[BalanceRow]) -> list[BalanceRow]:
    """Give the stations that anything came to, the one with the most demand first."""
    return sorted((row for row in stations if row["visits"]), key=lambda row: -row["demand"])


def timeline_of_jobs(figures: Figures, link: Link) -> Html:
    """Draw who worked on each job when; jobs that have ended longest give way to the others."""
    mine: dict[str, list[Span]] = {}
    for each in figures.spans:
        for job in each.jobs:
            mine.setdefault(job, []).append(each)
    begun = [row for row in figures.status["jobs"] if row["id"] in mine]
    held = [row for row in begun if row["id"] not in figures.settled]
    ended = [row for row in begun if row["id"] in figures.settled]
    ended.sort(key=lambda row: -figures.settled[row["id"]])
    shown = sorted((held + ended)[:ROWS], key=lambda row: mine[row["id"]][0].begin)
    if not shown:
        return tag("p", text("No job has begun yet."), cls="quiet")
    rows = []
    for row in shown:
        spans = sorted(mine[row["id"]], key=lambda each: each.begin)
        name = f"{row['id']}: {count(row['attempt'], 'attempt')}, {row['where']}"
        rects = [_rect(each, figures, top=0, tall=_TALL) for each in spans]
        end = figures.settled.get(row["id"])
        if row["place"] in ("landed", "proposed") and end is not None:
            rects.append(_mark(end, figures, row["where"]))
        rows.append(_row(_who(row["id"], link(row["id"])), _track(rects, name), NOTHING))
    rest = len(begun) - len(shown)
    said = f"{count(rest, 'job')} that ended before are not drawn" if rest else ""
    finding = f"When {count(len(shown), 'job')} were worked on, over {span(figures.seconds)}"
    return _timeline(rows, figures, finding, said)


def timeline_of_stations(figures: Figures) -> Html:
    """Draw who was at work at each station when, a line for each seat that was used."""
    mine: dict[str, list[Span]] = {}
    for each in figures.spans:
        mine.setdefault(each.station, []).append(each)
    rows = []
    for name in sorted(mine, key=lambda each: min(one.begin for one in mine[each])):
        seats = _seated(mine[name])
        tall = max(4, min(9, 150 // max(1, len(seats))))
        if len(mine[name]) > NAMED:
            rects = _merged(seats, figures, tall)
        else:
            rects = [
                _rect(each, figures, top=at * (tall + 1), tall=tall)
                for at, lane in enumerate(seats)
                for each in lane
            ]
        taken = sum((each.end or figures.seconds) - each.begin for each in mine[name])
        most = f"at most {len(seats)} at once"
        said = f"{name}: {count(len(mine[name]), 'visit')}, {span(taken)}, {most}"
        high = max(_TALL, len(seats) * (tall + 1))
        rows.append(_row(_who(name, None), _track(rects, said, tall=high), NOTHING))
    if not rows:
        return tag("p", text("No station has been visited yet."), cls="quiet")
    finding = f"When {count(len(rows), 'station')} were at work, over {span(figures.seconds)}"
    return _timeline(rows, figures, finding, "")


def shifts(rows: Sequence[ShiftRow]) -> Html:
    """Draw which station limited the line while the first, second and further jobs landed."""
    if not rows:
        said = "Nothing to show before a few jobs have landed."
        return tag("p", text(said), cls="quiet")
    names = list(dict.fromkeys(row["station"] or "unclear" for row in rows))
    hues = {name: f"hue{at % _HUES}" for at, name in enumerate(names)}
    total, before = rows[-1]["ships"], 0
    share: dict[str, int] = {}
    rects: list[Html] = []
    for first, last in _stretches(rows):
        name = first["station"] or "unclear"
        ships = last["ships"] - before
        share[name] = share.get(name, 0) + ships
        said = f"{name}: landings {before + 1} to {last['ships']}, P {last['odds']:.2f}"
        left, wide = before / total * WIDE, ships / total * WIDE
        rects.append(_box(left, wide, 0, _TALL, hues[name], said))
        before = last["ships"]
    parts = [f"{name} {100 * ships / total:.0f} %" for name, ships in share.items()]
    finding = f"Who limited the line over {count(total, 'landing')}: {listed(parts, most=12)}"
    keys = [_key(hues[name], part) for name, part in zip(share, parts, strict=True)]
    return tag(
        "figure",
        tag("div", _row(tag("span", text("landings")), _track(rects, finding), NOTHING)),
        _axis("0", str(round(total / 2)), str(total)),
        tag("figcaption", *keys, cls="legend"),
    )


def _stretches(rows: Sequence[ShiftRow]) -> list[tuple[ShiftRow, ShiftRow]]:
    found: list[tuple[ShiftRow, ShiftRow]] = []
    for row in rows:
        if found and found[-1][0]["station"] == row["station"]:
            found[-1] = (found[-1][0], row)
        else:
            found.append((row, row))
    return found


def _bar(row: BalanceRow, most: float, lines: Html, limiting: str | None) -> Html:
    odds = "" if row["odds"] is None else f", P {row['odds']:.2f}"
    room = "" if row["headroom"] is None else f", headroom {row['headroom']:.1f} x"
    kind = "required" if row["required"] else "optional"
    said = f"{row['name']} ({kind}): {row['demand']:.3f} min{odds}{room}"
    tint = row["colour"] or ("limit" if row["name"] == limiting else "calm")
    fill = _box(0.0, max(2.0, row["demand"] / most * WIDE), 0, _TALL, tint, said)
    who = [text(cut(row["name"], 40))]
    if row["required"]:
        who.append(tag("small", text("required"), cls="badge"))
    value = tag("span", text(f"{row['demand']:.2f} min{odds}"), cls="value")
    return _row(tag("span", *who, cls="who"), _plain(joined(fill, lines)), value)


def _line(at: float | None, most: float, cls: str, name: str) -> Html:
    if at is None:
        return NOTHING
    where = number(at / most * WIDE)
    return tag("path", tag("title", text(f"{name} {at:.2f} min")), cls=cls, d=f"M{where} 0V{_TALL}")


def _key(cls: str, said: str) -> Html:
    return tag("span", tag("i", cls=f"key {cls}"), text(said))


def _who(name: str, link: str | None) -> Html:
    shown = text(cut(name, 40))
    inside = shown if link is None else tag("a", shown, href=link)
    return tag("span", inside, cls="who", title=name if len(name) > 40 else None)  # noqa: PLR2004


def _row(who: Html, track: Html, value: Html) -> Html:
    return tag("div", who, track, value, cls="lane")


def _plain(inside: Html, tall: int = _TALL) -> Html:
    return tag(
        "svg",
        inside,
        viewbox=f"0 0 {WIDE:.0f} {tall}",
        preserveAspectRatio="none",
        height=tall,
        cls="track",
    )


def _track(rects: Iterable[Html], said: str, *, tall: int = _TALL) -> Html:
    return tag(
        "svg",
        *rects,
        viewbox=f"0 0 {WIDE:.0f} {tall}",
        preserveAspectRatio="none",
        height=tall,
        cls="track",
        role="img",
        aria_label=said,
    )


def _place(each: Span, figures: Figures) -> tuple[float, float]:
    scale = WIDE / max(figures.seconds, 1e-9)
    begin = each.begin * scale
    return begin, max(1.5, (each.end or figures.seconds) * scale - begin)


def _rect(each: Span, figures: Figures, *, top: float, tall: float) -> Html:
    left, wide = _place(each, figures)
    took = span((each.end or figures.seconds) - each.begin)
    return _box(left, wide, top, tall, each.how, f"{each.station}, {cut(each.what, 90)}, {took}")


def _box(left: float, wide: float, top: float, tall: float, cls: str, said: str) -> Html:
    box = f"M{number(left)} {number(top)}h{number(wide)}v{number(tall)}h-{number(wide)}z"
    return tag("path", tag("title", text(said)), cls=cls, d=box)


def _mark(at: float, figures: Figures, said: str) -> Html:
    left = min(WIDE - 3, at / max(figures.seconds, 1e-9) * WIDE)
    return _box(left, 3.0, 0, _TALL, "landed", said)


def _merged(seats: Sequence[Sequence[Span]], figures: Figures, tall: int) -> list[Html]:
    ways: dict[str, list[str]] = {}
    for lane, spans in enumerate(seats):
        top = lane * (tall + 1)
        for how, left, right in _stretched(spans, figures):
            ways.setdefault(how, []).append(f"M{left} {top}h{right - left}v{tall}H{left}z")
    return [
        tag(
            "path",
            tag("title", text(f"{cls}: {count(len(way), 'stretch', 'stretches')}")),
            cls=cls,
            d="".join(way),
        )
        for cls, way in ways.items()
    ]


def _stretched(spans: Sequence[Span], figures: Figures) -> list[tuple[str, int, int]]:
    """Give the spans of one seat; what no eye can tell apart is one."""
    found: list[tuple[str, int, int]] = []
    for each in spans:
        begin, wide = _place(each, figures)
        left, right = round(begin), max(round(begin + wide), round(begin) + 1)
        if found and found[-1][0] == each.how and left <= found[-1][2] + 1:
            found[-1] = (each.how, found[-1][1], right)
        else:
            found.append((each.how, left, right))
    return found


def _seated(spans: Sequence[Span]) -> list[list[Span]]:
    lanes: list[list[Span]] = []
    for each in sorted(spans, key=lambda one: one.begin):
        for lane in lanes:
            if lane[-1].end is not None and lane[-1].end <= each.begin + 1e-6:
                lane.append(each)
                break
        else:
            lanes.append([each])
    return lanes


def _timeline(rows: Sequence[Html], figures: Figures, finding: str, more: str) -> Html:
    used: Mapping[str, bool] = {each.how: True for each in figures.spans}
    keys = [_key(how, said) for how, said in _LEGEND if how in used]
    if figures.settled:
        keys.append(_key("landed", "landed"))
    note = tag("p", text(more), cls="quiet") if more else NOTHING
    return tag(
        "figure",
        tag("div", *rows, cls="tracks", role="group", aria_label=finding),
        _axis("0", span(figures.seconds / 2), span(figures.seconds)),
        tag("figcaption", *keys, cls="legend"),
        note,
    )


def _axis(*labels: str) -> Html:
    marks = tag("div", *(tag("span", text(each)) for each in labels), cls="axis")
    return tag("div", tag("span", cls="who"), marks, tag("span"), cls="lane", aria_hidden="true")
