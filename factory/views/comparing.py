"""Shows versions of a line: two that were compared, and all that runs used, as documents too."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from factory.comparing import Compared, Figure, Interval, Name, Share, sentence
from factory.pace.sentence import rate_text
from factory.views.schemas import (
    CompareDocument,
    FigureRow,
    VersionRow,
    VersionsDocument,
    VersionShareRow,
)
from factory.views.screen import Cell, Column, Part, Table
from factory.wording import clean, count, span

SHORT = 12
"""Characters of a hash that are shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version of a comparison: its file, the file's hash, its runs."""

    file: str
    hash: str
    runs: tuple[str, ...]


def compare_document(
    found: Compared,
    shares: Mapping[Name, Share],
    versions: Mapping[Name, Version],
    *,
    name: str,
    seed: int,
    turns: Sequence[Name],
    target: str,
    whole: bool,
    code: int,
) -> CompareDocument:
    """Give what `factory run --compare --json` prints."""
    names = {key: clean(version.file) for key, version in versions.items()}
    return {
        "schema": "factory.compare/1",
        "id": name,
        "seed": seed,
        "target": target.removeprefix("refs/heads/") or None,
        "sentence": sentence(found, shares, names),
        "versions": {key: _share(shares[key], version) for key, version in versions.items()},
        "turns": list(turns),
        "rate": _figure(found.rate),
        "first_pass": _figure(found.first_pass),
        "cost": None if found.cost is None else _figure(found.cost),
        "whole": whole,
        "exit": code,
    }


def _share(share: Share, version: Version) -> VersionShareRow:
    paid = [each.dollars for each in share.results]
    return {
        "file": clean(version.file),
        "hash": version.hash,
        "runs": list(version.runs),
        "jobs": len(share.results),
        "landed": share.landed,
        "passed": share.passed,
        "judged": share.judged,
        "seconds": round(share.seconds, 3),
        "usd": None if None in paid else round(sum(each or 0.0 for each in paid), 6),
    }


def _figure(figure: Figure) -> FigureRow:
    return {
        "a": _three(figure.a),
        "b": _three(figure.b),
        "ratio": _three(figure.ratio),
        "odds": round(figure.odds, 3),
        "larger": figure.larger,
        "enough": figure.enough,
    }


def _three(interval: Interval) -> list[float]:
    return [round(each, 4) for each in (interval.low, interval.mid, interval.high)]


def compare_parts(shown: CompareDocument) -> Iterator[Part]:
    """Give what a person sees of a comparison: the sentence, then both versions side by side."""
    yield Cell(shown["sentence"], "strong")
    versions = shown["versions"]
    yield Table(
        (
            Column("", wide=True),
            *(Column(versions[name]["file"], right=True, most=28) for name in versions),
        ),
        tuple(_rows(shown)),
    )
    order = " ".join(shown["turns"])
    where = f"; all of it is on {shown['target']}" if shown["target"] else ""
    yield Cell(f"turns: {order}; jobs dealt with seed {shown['seed']}{where}", "dim")


def _rows(shown: CompareDocument) -> Iterator[tuple[Cell, ...]]:
    both = list(shown["versions"].values())
    yield Cell("jobs"), *(Cell(f"{each['landed']} of {each['jobs']} landed") for each in both)
    yield Cell("worked"), *(Cell(span(each["seconds"])) for each in both)
    rates = zip(both, (shown["rate"]["a"], shown["rate"]["b"]), strict=True)
    yield Cell("changes/h (90 %)"), *(Cell(_rate(each, three)) for each, three in rates)
    passes = zip(both, (shown["first_pass"]["a"], shown["first_pass"]["b"]), strict=True)
    yield (
        Cell("first pass (90 %)"),
        *(Cell(_first_pass(each, three)) for each, three in passes),
    )
    cost = shown["cost"]
    if cost is not None:
        yield (
            Cell("USD for each that landed (90 %)"),
            *(Cell(f"{f[1]:.2f} ({f[0]:.2f} to {f[2]:.2f})") for f in (cost["a"], cost["b"])),
        )


def _rate(share: VersionShareRow, three: Sequence[float]) -> str:
    if not share["landed"]:
        return "none landed"
    return f"{rate_text(three[1])} ({rate_text(three[0])} to {rate_text(three[2])})"


def _first_pass(share: VersionShareRow, three: Sequence[float]) -> str:
    if not share["judged"]:
        return "none was tried"
    return f"{three[1]:.2f} ({three[0]:.2f} to {three[2]:.2f})"


def versions_document(rows: Sequence[VersionRow]) -> VersionsDocument:
    """Give what `factory config history --json` prints."""
    return {"schema": "factory.versions/1", "versions": list(rows)}


def versions_parts(shown: VersionsDocument) -> Iterator[Part]:
    """Give what a person sees of the versions that runs used."""
    rows = shown["versions"]
    if not rows:
        yield Cell("no run has used a factory.toml yet")
        return
    yield Table(
        (
            Column("VERSION"),
            Column("LAST USED"),
            Column("RUNS", right=True),
            Column("LANDED", right=True),
            Column("FIRST PASS", right=True),
            Column("CHANGES/H", right=True),
            Column("", wide=True),
        ),
        tuple(
            (
                Cell(row["hash"][:SHORT], "strong" if row["now"] else "plain"),
                Cell(f"{datetime.fromtimestamp(row['last'], UTC):%Y-%m-%d %H:%M}"),
                Cell(str(len(row["runs"]))),
                Cell(str(row["landed"])),
                Cell("-" if row["first_pass"] is None else f"{row['first_pass']:.2f}"),
                Cell("-" if row["per_hour"] is None else rate_text(row["per_hour"])),
                Cell(_remark(row), "dim"),
            )
            for row in rows
        ),
    )
    runs = count(sum(len(row["runs"]) for row in rows), "run")
    yield Cell(f"{runs}; `factory config rollback VERSION` puts one back", "dim")


def _remark(row: VersionRow) -> str:
    if row["now"]:
        return "in use"
    return "" if row["kept"] else "its file is gone"
