"""The figures as tables: what the pictures say in words, for reading, searching and listening."""

from collections.abc import Iterable, Sequence
from typing import Final

from factory.pace.sentence import rate_text
from factory.show.curves import money_text
from factory.show.figures import Figures
from factory.show.markup import NOTHING, Html, joined, tag, text, words
from factory.show.tracks import Link, visited
from factory.views.rows import ORDER, per_model
from factory.views.schemas import DecisionRow, InboxRow, OptionRow, PredictionRow, StatusJob
from factory.wording import count, cut, span

_MARKS: Final = {
    "needs-you": ("wait", "waits for you"),
    "working": ("work", "at work"),
    "gate": ("work", "in the gate"),
    "resting": ("wait", "resting"),
    "waiting": ("cut", "waiting"),
    "dead": ("bad", "gave up"),
    "withdrawn": ("cut", "withdrawn"),
    "proposed": ("good", "proposed"),
    "landed": ("good", "landed"),
}
_TITLE: Final = 90
_SHORT: Final = 48
_MANY: Final = 400
"""Jobs above which the titles of those that landed are cut shorter: a report stays small."""


def table(name: str, heads: Sequence[str], rows: Iterable[Html], *, right: int = 0) -> Html:
    """Give a table in a region that scrolls by itself; the last ``right`` columns are figures."""
    many = len(heads)
    cells = [
        tag("th", text(head), scope="col", cls="n" if at >= many - right else None)
        for at, head in enumerate(heads)
    ]
    inside = joined(tag("thead", tag("tr", *cells)), tag("tbody", *rows))
    made = tag("table", tag("caption", text(name), cls="unseen"), inside)
    return tag("div", made, cls="scroll", tabindex=0, role="region", aria_label=name)


def row(*cells: Html, right: int = 0) -> Html:
    """Give a row of a table; its last ``right`` cells are figures.

    The ends of cells and rows are left to the parser, which knows them: a report has thousands.
    """
    many = len(cells)
    made = (
        f"<td{' class=n' if at >= many - right else ''}>{each}" for at, each in enumerate(cells)
    )
    return Html(f"<tr>{''.join(made)}\n")


def stations(figures: Figures) -> Html:
    """Give every station that was visited with its demand, odds and headroom."""
    seen = visited(figures.balance["stations"])
    heads = ("Station", "Seats", "Visits", "Mean", "D, min", "P", "Headroom", "Waiting", "Caught")
    rows = (
        row(
            tag("span", text(each["name"] + ("" if each["required"] else " (optional)"))),
            text(each["seats"]),
            text(each["visits"]),
            text(span(each["mean"]) if each["finished"] else "-"),
            text(f"{each['demand']:.3f}"),
            text("-" if each["odds"] is None else f"{each['odds']:.2f}"),
            text("-" if each["headroom"] is None else f"{each['headroom']:.1f} x"),
            text(span(each["queued"])),
            text(each["found"] or "-"),
            right=8,
        )
        for each in seen
    )
    return table("Stations: demand, odds and headroom", heads, rows, right=8)


def jobs(figures: Figures, link: Link, *, most: int | None = None) -> Html:
    """Give where each job is and what it waits for; what wants something comes first."""
    ranked = sorted(figures.status["jobs"], key=lambda each: ORDER.index(each["place"]))
    shown = ranked if most is None else ranked[:most]
    wide = _TITLE if len(shown) <= _MANY else _SHORT
    rows = (_job(each, link, wide) for each in shown)
    made = table("Jobs and where they wait", ("Job", "Where and why", "Tries"), rows, right=1)
    rest = len(ranked) - len(shown)
    said = f"and {count(rest, 'job')} more, landed or ended: the report holds all of them"
    return joined(made, tag("p", text(said), cls="quiet")) if rest else made


def state(place: str) -> Html:
    """Give where a job is, as a word with its colour."""
    cls, word = _MARKS[place]
    return tag("span", text(word), cls=f"state {cls}")


def standing(place: str, where: str) -> Html:
    """Say where a job is and why, with the colour of that."""
    cls, _ = _MARKS[place]
    return tag("span", text(where), cls=f"state line {cls}")


def _job(each: StatusJob, link: Link, wide: int) -> Html:
    href = link(each["id"])
    name = text(each["id"]) if href is None else tag("a", text(each["id"]), href=href)
    lines = [text(each["where"])]
    if each["title"] and each["title"] != each["where"]:
        lines.append(tag("small", text(cut(each["title"], _TITLE))))
    lines += [
        tag("code", text(cut(line, 160))) for line in each["failure"] if line not in each["where"]
    ]
    if each["place"] in ("landed", "proposed"):
        lines = [words(text(cut(each["title"], wide)), text(f"({each['where']})"))]
    return row(words(name, state(each["place"])), joined(*lines), text(each["attempt"]), right=1)


def waiting(rows: Sequence[InboxRow], now: float, link: Link) -> Html:
    """Give everything that waits for a person, oldest first, with the command that answers it."""
    items = []
    for each in rows:
        href = link(each["job"])
        name = text(each["job"]) if href is None else tag("a", text(each["job"]), href=href)
        age = span(max(0.0, now - each["since"]))
        wants = [tag("p", text("wants: " + ", ".join(each["wants"])))] if each["wants"] else []
        items.append(
            tag(
                "li",
                tag("strong", words(name, text(f"has waited {age}"))),
                tag("p", text(each["question"]), cls="asked"),
                *wants,
                tag("code", text(each["answer"])),
            )
        )
    return tag("ul", *items, cls="cards")


def decisions(rows: Sequence[DecisionRow], undo: Link) -> Html:
    """Give every decision with what it promised and what was measured."""
    if not rows:
        return tag("p", text("Nothing was decided about this line yet."), cls="quiet")
    made = (
        row(
            text(each["number"]),
            joined(
                tag("strong", text(each["change"])),
                tag(
                    "small",
                    text(f"{each['by'] if each['applied'] else 'suggested'}: {each['why']}"),
                ),
                *([tag("small", text(f"undone {each['undone']}"))] if each["undone"] else []),
                *([tag("small", text(each["told"]))] if each["told"] else []),
                _undo(each, undo),
            ),
            text(_gain(each["predicted"])),
            text(_measured(each)),
            right=2,
        )
        for each in reversed(rows)
    )
    heads = ("No", "Decision", "Predicted", "Measured")
    return table("Decisions: predicted against measured", heads, made, right=2)


def calibration(pairs: Sequence[Sequence[float]]) -> Html:
    """Say how good the predictions were that have been measured."""
    if not pairs:
        return NOTHING
    off = sorted(abs(measured / predicted - 1) for predicted, measured in pairs if predicted)
    middle = off[len(off) // 2] if off else 0.0
    said = (
        f"{count(len(pairs), 'prediction')} measured so far, off by {100 * middle:.0f} % (median)"
    )
    return tag("p", text(said), cls="quiet")


def options(rows: Sequence[OptionRow], apply: Link) -> Html:
    """Give what may be done about the constraint, each with what it promises."""
    if not rows:
        said = "Nothing to suggest: no station is known to limit the line, or the run is over."
        return tag("p", text(said), cls="quiet")
    items = []
    for each in rows:
        href = apply(each["name"]) if each["apply"] else None
        order = text(each["apply"] or "for a person to change: the loop never edits factory.toml")
        button = [tag("a", text("Apply"), text("…"), href=href, cls="button")] if href else []
        promise = promised(each["prediction"])
        items.append(
            tag(
                "li",
                tag("strong", text(each["change"])),
                tag("p", text(each["why"])),
                *([tag("p", text(f"predicted: {promise}"), cls="quiet")] if promise else []),
                tag("code", order),
                *button,
            )
        )
    return tag("ul", *items, cls="cards")


def promised(made: PredictionRow | None) -> str:
    """Say what a change promises, with its doubt; nothing when nothing is known."""
    if made is None:
        return ""
    rate, lead = made["rate"], made["lead"]
    low, high = rate_text(rate["low"]), rate_text(rate["high"])
    said = f"{rate_text(rate['mid'])}/h ({low} to {high}), lead {span(lead['mid'])}"
    return said if made["usd"] is None else f"{said}, {money_text(made['usd']['mid'])} a change"


def models(figures: Figures) -> Html:
    """Give what each model was asked and what that cost."""
    return tag("ul", *(tag("li", text(line)) for line in per_model(figures.models)), cls="quiet")


def _undo(each: DecisionRow, link: Link) -> Html:
    if each["undo"] is None:
        return NOTHING
    href = link(str(each["number"]))
    button = [tag("a", text("Undo…"), href=href, cls="button")] if href else []
    return joined(tag("code", text(each["undo"])), *button)


def _gain(made: PredictionRow | None) -> str:
    return "-" if made is None else f"x {made['gain']['mid']:.2f}"


def _measured(each: DecisionRow) -> str:
    if each["rate_after"] is None or not each["rate_before"]:
        return "-"
    return f"x {each['rate_after'] / each['rate_before']:.2f} {each['effect']}"
