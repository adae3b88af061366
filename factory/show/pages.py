"""Whole pages: a run, one of its jobs, what is asked before an order is given, the list of runs."""

from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import quote

from factory.show.figures import Figures
from factory.show.markup import NOTHING, Html, Value, element, joined, lines, tag, text, words
from factory.show.overview import JOBS, Ways, overview, section
from factory.show.tables import promised, standing
from factory.views.rows import headline, spent
from factory.views.schemas import DecisionRow, Moment, OptionRow, RunsDocument, WhyDocument
from factory.wording import count, span

Group = Literal["job", "station"]
_HTMX: Final = '{"includeIndicatorCSS": false, "morphIgnore": ["data-htmx-powered", "open"]}'
_SCRIPTS: Final = ("page.js", "htmx.min.js", "hx-sse.min.js", "uplot.min.js")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a person is asked before an order is given: what it is, and what it would do."""

    title: str
    said: tuple[str, ...]
    button: str
    kind: str
    what: str
    back: str
    danger: bool = False


def address(run: str, *rest: str) -> str:
    """Give the address of a page about a run."""
    return "/".join(("/run", *(quote(part, safe="") for part in (run, *rest))))


def live_overview(figures: Figures, *, key: str, group: Group) -> Html:
    """Give a run as its page shows it; ``key`` is what every form must send back."""
    run = figures.status["run"]
    ways = Ways(
        job=lambda job: address(run, "job", job),
        apply=lambda name: address(run, "apply", name),
        undo=lambda number: address(run, "undo", number),
        groups=_groups(run, group),
        by_station=group == "station",
        controls=_controls(figures, key),
        jobs=JOBS,
        live=True,
    )
    return overview(figures, ways)


def live_job(document: WhyDocument) -> Html:
    """Give the story of a job as its page shows it, newest first."""
    moments = [_moment(each) for each in reversed(document["moments"])]
    facts = f"Scope {', '.join(document['scope'])}; spent {spent(document['spend'])}"
    act = tag("a", text("Tell it something, kill it, read its brief"), href="#act")
    return joined(
        tag(
            "header",
            tag("h1", text(f"{document['job']}: {document['title']}")),
            tag("p", standing(document["place"], document["where"])),
            tag("p", text(facts), cls="quiet"),
            tag("p", act),
        ),
        section("story", "What happened, newest first", tag("ol", *moments, cls="story")),
    )


def run_page(figures: Figures, runs: int, *, key: str, group: Group, note: str = "") -> Html:
    """Give the page of a run."""
    run = figures.status["run"]
    live = live_overview(figures, key=key, group=group)
    stream = f"{address(run, 'live')}?group={group}&after={figures.seq}"
    title = figures.balance["sentence"]
    report = tag("a", text("The report as one file"), href=address(run, "report"))
    return page(title, _noted(note), _live(stream, live), tag("p", report), runs=runs, live=True)


def job_page(document: WhyDocument, runs: int, *, key: str, seq: int, note: str = "") -> Html:
    """Give the page of a job, with what may be told to it."""
    run, job = document["run"], document["job"]
    stream = f"{address(run, 'job', job, 'live')}?after={seq}"
    forms = [_tell(run, job, key)] if document["state"] == "waiting" else []
    orders = []
    if document["state"] == "waiting":
        orders.append(tag("a", text("Kill…"), href=address(run, "job", job, "kill"), cls="button"))
    if document["state"] in ("dead", "withdrawn"):
        orders.append(_form(run, key, "retry", "Retry", what=job))
    brief = tag("details", tag("summary", text("The brief")), _pre(document["brief"]))
    return page(
        f"{job}: {document['title']}",
        tag("p", tag("a", text(f"← run {run}"), href=address(run))),
        _noted(note),
        _live(stream, live_job(document)),
        section("act", "Act on it", *forms, *orders, brief),
        runs=runs,
        live=True,
    )


def ask_page(run: str, asked: Asked, runs: int, *, key: str) -> Html:
    """Give the page that asks before an order is given."""
    button = _form(run, key, asked.kind, asked.button, what=asked.what, danger=asked.danger)
    return page(
        asked.title,
        tag("h1", text(asked.title)),
        *(tag("p", text(line)) for line in asked.said),
        button,
        tag("a", text("Leave it as it is"), href=asked.back, cls="button"),
        runs=runs,
    )


def kill_asked(run: str, job: str, where: str) -> Asked:
    """Give what is asked before a job is killed."""
    return Asked(
        title=f"Take {job} off the line?",
        said=(where, "What it saved is kept, and it can be put back by Retry."),
        button=f"Kill {job}",
        kind="kill",
        what=job,
        back=address(run, "job", job),
        danger=True,
    )


def apply_asked(run: str, option: OptionRow) -> Asked:
    """Give what is asked before an option is applied, with what it promises."""
    promise = promised(option["prediction"])
    said = (option["why"], f"predicted: {promise}" if promise else "nothing is predicted")
    more = "It is measured afterwards, and can be undone."
    return Asked(
        title=f"Apply: {option['change']}?",
        said=(*said, more, f"the same: {option['apply']}"),
        button="Apply",
        kind="apply",
        what=option["name"],
        back=address(run),
    )


def undo_asked(run: str, decision: DecisionRow) -> Asked:
    """Give what is asked before a decision is taken back."""
    return Asked(
        title=f"Undo decision {decision['number']}: {decision['change']}?",
        said=(decision["told"] or "It was not measured yet.", f"the same: {decision['undo']}"),
        button="Undo",
        kind="undo",
        what=str(decision["number"]),
        back=address(run),
    )


def runs_page(document: RunsDocument) -> Html:
    """Give the list of a repository's runs, newest first."""
    items = [
        tag(
            "li",
            tag(
                "a",
                text(headline(each["run"], each["target"], each["counts"])),
                href=address(each["run"]),
            ),
            tag("small", text(f"{span(each['seconds'])}{', at work' if each['alive'] else ''}")),
        )
        for each in document["runs"]
    ]
    return page(
        "Runs", tag("h1", text("Runs of this repository")), tag("ul", *items, cls="cards"), runs=0
    )


def message_page(title: str, said: str, *, back: str | None = None) -> Html:
    """Give a page that only says something: what went wrong, and what to do next."""
    link = tag("p", tag("a", text("Back"), href=back)) if back else NOTHING
    return page(title, tag("h1", text(title)), tag("p", text(said)), link, runs=0)


def page(title: str, *inside: Html, runs: int, live: bool = False) -> Html:
    """Give a whole page; a ``live`` one follows the ledger."""
    links = [tag("link", rel="stylesheet", href="/assets/page.css")]
    scripts = []
    if live:
        links.append(tag("link", rel="stylesheet", href="/assets/uplot.min.css"))
        scripts = [tag("script", src=f"/assets/{name}", defer=True) for name in _SCRIPTS]
    said = tag("span", text("a snapshot"), cls="link", id="link", role="status")
    every = tag("a", text(f"All {count(runs, 'run')}"), href="/runs") if runs else NOTHING
    newest = tag("a", text("Newest run"), href="/")
    bar = tag(
        "div",
        tag("strong", text("factory")),
        said if live else NOTHING,
        tag("nav", words(newest, every), aria_label="Runs"),
        cls="top-bar",
    )
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="htmx-config", content=_HTMX),
        tag("title", text(f"{title} - factory")),
        tag("link", rel="icon", href="/assets/icon.svg", type="image/svg+xml"),
        *links,
        *scripts,
    )
    skip = tag("a", text("Skip to the content"), href="#main", cls="skip")
    body = tag("body", skip, bar, tag("main", *inside, id="main", tabindex=-1))
    return Html(f"<!doctype html>{tag('html', head, body, lang='en')}")


def _noted(note: str) -> Html:
    return tag("p", text(note), cls="note", role="status") if note else NOTHING


def _live(stream: str, inside: Html) -> Html:
    attributes: dict[str, Value] = {
        "id": "live",
        "hx-sse:connect": stream,
        "hx-swap": "innerMorph",
    }
    return element("div", attributes, inside)


def _groups(run: str, group: Group) -> Html:
    names: tuple[Group, ...] = ("job", "station")
    links = (
        tag("strong", text(f"by {name}"))
        if name == group
        else tag("a", text(f"by {name}"), href=f"{address(run)}?group={name}#timeline")
        for name in names
    )
    return tag("p", words(*links))


def _controls(figures: Figures, key: str) -> Html:
    status = figures.status
    if not status["alive"]:
        return NOTHING
    kind, said = ("resume", "Go on") if status["paused"] else ("pause", "Pause the line")
    return _form(status["run"], key, kind, said)


def _form(
    run: str, key: str, kind: str, said: str, *, what: str = "", danger: bool = False
) -> Html:
    fields = {"key": key, "kind": kind, "what": what}
    return tag(
        "form",
        *(tag("input", type="hidden", name=name, value=value) for name, value in fields.items()),
        tag("button", text(said), type="submit", cls="danger" if danger else None),
        method="post",
        action=address(run, "letter"),
        cls="inline",
    )


def _tell(run: str, job: str, key: str) -> Html:
    fields = {"key": key, "kind": "tell", "what": job}
    return tag(
        "form",
        *(tag("input", type="hidden", name=name, value=value) for name, value in fields.items()),
        tag(
            "label",
            text("Tell it something, or answer its question (yes, no, or words)"),
            for_="words",
        ),
        tag("textarea", id="words", name="text", required=True, maxlength=4000),
        tag("button", text(f"Tell {job}"), type="submit"),
        method="post",
        action=address(run, "letter"),
    )


def _moment(each: Moment) -> Html:
    tail = [_pre("\n".join(each["tail"]))] if each["tail"] else []
    return tag(
        "li",
        tag("time", text(span(each["seconds"]))),
        tag("strong", text(each["what"])),
        tag("p", text(each["text"])),
        *tail,
    )


def _pre(said: str) -> Html:
    return tag("pre", lines(said))
