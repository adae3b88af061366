"""The report as Markdown, for a CI step summary or an issue; agents' text cannot format it."""

import re
from typing import Final

from factory.pace.values import SPAWN
from factory.views.rows import headline, per_model, spent
from factory.views.schemas import JobRow, ReportDocument, StationRow
from factory.wording import clean, span

_SPECIAL: Final = re.compile(r"([\\`*_{}\[\]<>#|~&])")
_MARKS: Final = {
    "landed": "landed",
    "proposed": "proposed",
    "dead": "**gave up**",
    "withdrawn": "withdrawn",
    "waiting": "waits",
}


def markdown(document: ReportDocument) -> str:
    """Give the report of a run as Markdown."""
    failures = document["failures"]
    titles = {row["id"]: row["title"] for row in document["jobs"]}
    parts = [
        f"### {plain(headline(document['run'], document['target'], document['counts']))}",
        plain(f"{span(document['seconds'])}, {spent(document['spend'])}"),
        plain(document["constraint"]["sentence"]),
        table(("job", "state", "tries", "time", "what"), [_job(row) for row in document["jobs"]]),
    ]
    for job, lines in failures.items():
        # An indented block ends with its indent: no line of an agent can close it.
        shown = "\n".join(f"    {clean(line)}" for line in lines)
        parts.append(f"**{plain(job)}**: {plain(titles.get(job, ''))}\n\n{shown}")
    parts += [plain(text) for text in per_model(document["models"])]
    came = (row for row in document["stations"] if row["visits"])
    stations = [_station(row) for row in came if row["kind"] != SPAWN]
    heads = ("station", "seats", "busy", "waiting", "idle", "visits", "P")
    parts.append(table(heads, stations))
    return "\n\n".join(parts)


def plain(text: str) -> str:
    """Give a text that Markdown shows as it is, on one line."""
    return _SPECIAL.sub(r"\\\1", clean(text))


def _job(row: JobRow) -> tuple[str, ...]:
    return (
        plain(row["id"]),
        _MARKS[row["state"]],
        str(row["attempts"]),
        span(row["seconds"]),
        plain(row["reason"] or row["title"]),
    )


def _station(row: StationRow) -> tuple[str, ...]:
    return (
        plain(row["name"]),
        str(row["seats"]),
        *(span(row[key]) for key in ("busy", "waiting", "idle")),
        str(row["visits"]),
        "-" if row["odds"] is None else f"{row['odds']:.2f}",
    )


def table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """Give a Markdown table; its cells must be plain already."""
    lines = [heads, tuple("---" for _ in heads), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
