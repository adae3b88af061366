"""Shows proposed stations: as a table with the sentence that judges them, and as a document."""

from datetime import UTC, datetime
from typing import Final

from factory.history.scoring import Score
from factory.history.studying import Study
from factory.views.schemas import FitRow, ScopesDocument
from factory.views.screen import Cell, Column, Part, Style, Table
from factory.wording import clean, count, cut

_SHOWN: Final = 6
_LONGEST: Final = 60
_MISSED: Final = 0.005
_BESIDE: Final = 1.3
"""Fewer changes at a time than this are hardly more than one."""


def document(study: Study, *, text: str, written: str | None) -> ScopesDocument:
    """Give what `factory scopes --json` prints."""
    past = study.past
    return {
        "schema": "factory.scopes/1",
        "head": past.head,
        "commits": past.seen,
        "changes": len(past.changes),
        "since": _since(study),
        "sweeps": past.sweeps,
        "silent": past.silent,
        "made_from": study.made_from,
        "judged_on": study.score.changes,
        "sentence": sentence(study),
        "stations": [
            {
                "name": each.name,
                "scope": list(each.scope),
                "files": len(each.files),
                "touched": round(study.score.touched.get(each.name, 0.0), 4),
            }
            for each in study.proposal.stations
        ],
        "fit": _row(study.score),
        "one_scope": _row(study.whole),
        "top_directories": _row(study.tops),
        "breakers": [
            {"path": clean(each.path), "changes": each.changes} for each in study.breakers
        ],
        "toml": text,
        "written": written,
    }


def sentence(study: Study) -> str:
    """Say in one sentence how well the stations fit changes that they were not made from."""
    return (
        f"{_percent(study.score.fit)} of the {study.score.changes} newest changes fit one scope"
        f" ({_percent(study.score.wide_fit)} of the {study.score.wide} with several files)"
    )


def note(study: Study) -> str:
    """Give the line that stands over the stations in the configuration."""
    return (
        f"made from {study.made_from} past changes; {_percent(study.score.fit)} of the"
        f" {study.score.changes} newer ones fit one scope"
    )


def parts(study: Study) -> list[Part]:
    """Give what a terminal shows: the stations, the sentence, the plainest scopes beside it."""
    return [
        Table(
            columns=(
                Column("station"),
                Column("files", right=True),
                Column("changes", right=True),
                Column("scope", wide=True),
            ),
            rows=tuple(
                (
                    Cell(each.name, "strong"),
                    Cell(str(len(each.files))),
                    Cell(_percent(study.score.touched.get(each.name, 0.0))),
                    _globs(each.scope),
                )
                for each in study.proposal.stations
            ),
        ),
        Cell(""),
        Cell(f"{sentence(study)}.", "strong"),
        Table(
            columns=(
                Column("scopes", wide=True),
                Column("fit one", right=True),
                Column("of several files", right=True),
                Column("scopes a change", right=True),
                Column("at a time", right=True),
            ),
            rows=(
                _judged("these stations", study.score, "plain"),
                _judged("one per top directory", study.tops, "dim"),
                _judged("the whole repository", study.whole, "dim"),
            ),
        ),
        *_alone(study),
        *_blamed(study),
        Cell(_left_out(study), "dim"),
    ]


def _judged(name: str, score: Score, style: Style) -> tuple[Cell, ...]:
    return (
        Cell(name, style),
        Cell(_percent(score.fit), style),
        Cell(_percent(score.wide_fit), style),
        Cell(f"{score.mean:.2f}", style),
        Cell(f"{score.at_once:.1f}", style),
    )


def _alone(study: Study) -> list[Part]:
    if study.score.at_once >= _BESIDE:
        return []
    said = "nearly every change needs the same scope: here stations side by side gain little"
    return [Cell(said, "warn")]


def _blamed(study: Study) -> list[Part]:
    worst = [each for each in study.breakers if each.changes >= _MISSED * study.score.changes]
    if not worst:
        return []
    said = ", ".join(f"{clean(each.path)} ({each.changes})" for each in worst)
    return [Cell(f"files that alone kept changes from fitting: {said}")]


def _left_out(study: Study) -> str:
    past = study.past
    return (
        f"made from {study.made_from} older changes of {count(past.seen, 'commit')} (the oldest"
        f" that counts of {_since(study)}); left out:"
        f" {past.sweeps} of too many files, {past.silent} of files that say nothing"
        " (lockfiles, changelogs, manifests, checks) or are gone"
    )


def _since(study: Study) -> str:
    return datetime.fromtimestamp(study.past.changes[-1].when, UTC).date().isoformat()


def _globs(scope: tuple[str, ...]) -> tuple[Cell, ...]:
    held = [glob for glob in scope if not glob.startswith("!")]
    shown = [Cell(cut(clean(glob), _LONGEST)) for glob in held[:_SHOWN]]
    more = len(held) - _SHOWN
    without = len(scope) - len(held)
    rest = [f"and {more} more"] if more > 0 else []
    rest += [f"without {count(without, 'place')} of other stations"] if without else []
    return (*shown, *(Cell(text, "dim") for text in rest))


def _row(score: Score) -> FitRow:
    return {
        "fit": round(score.fit, 4),
        "wide": score.wide,
        "wide_fit": round(score.wide_fit, 4),
        "scopes_per_change": round(score.mean, 4),
        "at_once": round(score.at_once, 3),
    }


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
