"""One run on one page: the constraint first, then what waits for a person, then everything else."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from factory.pace.sentence import rate_text
from factory.show import tables, tracks
from factory.show.curves import curves, money_text, points
from factory.show.figures import Figures
from factory.show.flow import flow
from factory.show.markup import NOTHING, Html, joined, tag, text, words
from factory.show.tracks import Link
from factory.views.rows import headline
from factory.wording import count, span

JOBS: Final = 200
"""Most jobs that the live page lists: the report lists all of them."""


def nowhere(_: str) -> str | None:
    """Give no address: what is on paper leads nowhere."""
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ways:
    """Where a page's names lead, and what may be done on it; on paper to nothing."""

    job: Link = nowhere
    apply: Link = nowhere
    undo: Link = nowhere
    groups: Html = NOTHING
    """How the timeline may be grouped; nothing where both groupings are shown."""
    by_station: bool = False
    controls: Html = NOTHING
    jobs: int | None = None
    live: bool = False


def overview(figures: Figures, ways: Ways) -> Html:
    """Give everything that is shown of a run."""
    status, balance = figures.status, figures.balance
    parts = [_head(figures, ways), _tiles(figures)]
    if figures.inbox:
        inbox = tables.waiting(figures.inbox, status["at"], ways.job)
        parts.append(section("inbox", "Waits for you", inbox))
    parts += [
        section(
            "balance",
            "Balance: who limits the line",
            tracks.bars(figures),
            folded("The stations as a table", tables.stations(figures)),
        ),
        section("options", "What may be done", tables.options(balance["options"], ways.apply)),
        section(
            "decisions",
            "Decisions: predicted against measured",
            tables.decisions(balance["decisions"], ways.undo),
            tables.calibration(balance["calibration"]),
        ),
        section("flow", "Flow, with rework", flow(figures)),
        section("jobs", "Jobs", tables.jobs(figures, ways.job, most=ways.jobs)),
        section("timeline", "Timeline", ways.groups, *_timelines(figures, ways)),
        section("spent", "Tokens and money", *_spent(figures, ways)),
        section("shifts", "Who limited the line when", tracks.shifts(balance["shifts"])),
    ]
    return joined(*parts)


def section(mark: str, title: str, *inside: Html) -> Html:
    """Give a part of the page with its heading."""
    head = tag("h2", text(title), id=f"{mark}-title")
    return tag("section", head, *inside, id=mark, aria_labelledby=f"{mark}-title")


def folded(title: str, inside: Html, *, shown: bool = False) -> Html:
    """Give what can be unfolded."""
    return tag("details", tag("summary", text(title)), inside, open=shown)


def tiles(rows: Sequence[tuple[str, str, str]]) -> Html:
    """Give figures side by side, each with its name and what it means."""
    made = (
        tag(
            "div",
            tag("dt", text(name)),
            tag("dd", text(value), *([tag("small", text(more))] if more else [])),
        )
        for name, value, more in rows
    )
    return tag("dl", *made, cls="tiles")


def _head(figures: Figures, ways: Ways) -> Html:
    status = figures.status
    notes = []
    if status["paused"]:
        notes.append("The line is paused: nothing more starts until it is resumed.")
    if status["closing"]:
        notes.append(f"The line is closing: {status['closing']}")
    if not status["alive"] and any(job["state"] == "waiting" for job in status["jobs"]):
        notes.append(f"Nobody works on this run now: factory resume {status['run']}")
    notes += status["undelivered"]
    order = figures.order
    command = (
        tag("p", words(text("To ease it:"), tag("code", text(order))), cls="order")
        if order
        else NOTHING
    )
    return tag(
        "header",
        tag("h1", text(figures.balance["sentence"])),
        command,
        tag("p", text(headline(status["run"], status["target"], status["counts"]))),
        *(tag("p", text(note), cls="note") for note in notes),
        ways.controls,
        id="constraint",
    )


def _tiles(figures: Figures) -> Html:
    balance, status, money = figures.balance, figures.status, figures.money
    landed = sum(status["counts"].get(kind, 0) for kind in ("landed", "proposed"))
    wip, limiting = balance["wip"], figures.limiting
    odds = next((r["odds"] for r in balance["stations"] if r["name"] == limiting), None)
    second = sorted(row["headroom"] for row in balance["stations"] if row["headroom"])[1:2]
    second = second if limiting else []
    bound = f"at most {_rate(balance['bound'])} by demand" if limiting else ""
    limit = "no limit set" if wip["limit"] is None else f"at most {wip['limit']}"
    rows = [
        ("Landed", f"{landed} of {len(status['jobs'])}", f"in {span(figures.seconds)}"),
        ("Rate of late", _rate(balance["rate"]), bound),
        ("P(constraint)", "-" if odds is None else f"{odds:.2f}", limiting or "too early to say"),
        (
            "Headroom",
            f"{second[0]:.1f} x" if second else "-",
            f"next limit {_rate(balance['without'])}" if second else "",
        ),
        (
            "Takt",
            "-" if balance["takt"] is None else f"{balance['takt']:.2f} min",
            "no [pace] wanted" if balance["wanted"] is None else f"{balance['wanted']:g}/h wanted",
        ),
        ("A new job takes", _span(balance["lead"]), "forecast, Little's law"),
        ("All done in", _span(balance["rest"]), "forecast"),
        ("Under way", str(wip["inside"]), f"{limit}; {wip['advised']} keep it busy"),
        (
            "First pass",
            "-" if balance["first_pass"] is None else f"{100 * balance['first_pass']:.0f} %",
            "green at the first trial",
        ),
        (
            "Billed",
            money_text(money.billed),
            f"{money.tokens:,} tokens, {count(money.calls, 'call')}",
        ),
        ("Imputed", money_text(money.imputed), _unpriced(money.unpriced)),
    ]
    over = not status["alive"]
    left = ("A new job takes", "All done in", "Under way") if over else ()
    return tiles([row for row in rows if row[0] not in left])


def _unpriced(calls: int) -> str:
    unknown = f"; {count(calls, 'call')} without a price" if calls else ""
    return f"not billed by a provider{unknown}"


def _rate(rate: float) -> str:
    return f"{rate_text(rate)}/h" if rate else "-"


def _span(seconds: float | None) -> str:
    return "-" if seconds is None else span(seconds)


def _timelines(figures: Figures, ways: Ways) -> list[Html]:
    if ways.live:
        by_station = tracks.timeline_of_stations(figures) if ways.by_station else None
        return [by_station or tracks.timeline_of_jobs(figures, ways.job)]
    return [
        folded("By job", tracks.timeline_of_jobs(figures, ways.job), shown=True),
        folded("By station", tracks.timeline_of_stations(figures)),
    ]


def _spent(figures: Figures, ways: Ways) -> list[Html]:
    drawn = [tag("div", curves(figures), cls="still"), tables.models(figures)]
    if ways.live and figures.spent:
        chart = tag("div", id="chart", data_points=points(figures), hidden=True)
        canvas = tag("div", cls="canvas", id="canvas", hx_morph_skip=True)
        return [chart, canvas, *drawn]
    return drawn
