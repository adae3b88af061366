"""The report as one file that opens from a disk: no script, no request, its own strict policy."""

from base64 import b64encode
from datetime import UTC, datetime
from hashlib import sha256

from factory.show.assets import read
from factory.show.figures import Figures
from factory.show.markup import Html, tag, text
from factory.show.overview import Ways, overview


def paper(figures: Figures) -> Html:
    """Give a run as a whole HTML document."""
    style = "\n".join(line.strip() for line in read("page.css").decode().splitlines())
    digest = b64encode(sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    run = figures.status["run"]
    began = datetime.fromtimestamp(figures.began, UTC).strftime("%Y-%m-%d %H:%M UTC")
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        Html(f'<meta http-equiv="Content-Security-Policy" content="{policy}">'),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", text(f"Run {run} - factory")),
        Html(f"<style>{style}</style>"),
    )
    bar = tag(
        "div",
        tag("strong", text("factory report")),
        tag("span", text(f"run {run}, began {began}"), cls="link"),
        cls="top-bar",
    )
    body = tag("body", bar, tag("main", overview(figures, Ways()), id="main"))
    return Html(f"<!doctype html>{tag('html', head, body, lang='en')}\n")
