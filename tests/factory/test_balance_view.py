"""What `factory balance` shows: the document, and how it is drawn for people."""

import io
from dataclasses import replace
from pathlib import Path

import pytest

from factory.balancing import balancing
from factory.changes import Advice, LimitWip, Replace, Retire, Sample, SetSeats, SetSlots
from factory.config.mistakes import ConfigErrors
from factory.config.quantities import hours
from factory.events import Decided, Measured, Undone
from factory.pace.catalogue import Policy
from factory.pace.controller import chosen
from factory.settings import load
from factory.views.balance import balance_document, show_parts, suggest_parts
from factory.views.decisions import balanced, change_text
from factory.views.documents import status_document
from factory.views.schemas import BalanceDocument
from factory.views.screen import Part, Screen, Terminal
from stations.contract import Agent, Kind
from tests.factory.planted import Tale, job, station
from worktrees.names import JobId, StationName

POLICY = Policy(mode="suggest", wanted=60.0, max_seats=4)


def told() -> Tale:
    """Give a run at one slow seat in which somebody gave it another one, and took it back."""
    api = station("api", Kind.CODE, agent=Agent(runtime="command", run=("x",)))
    tests = station("tests", Kind.TEST, run=("pytest",))
    tale = Tale(*(job(f"j{n}") for n in range(14)), stations=(api, tests), seats=1)
    for name in tuple(tale.line.jobs)[:10]:
        tale.done(name, after=100).compose(after=1).test(after=1)
        tale.compose(after=0, known=True).land()
    seen = balancing(tale.line, tale.book, POLICY, tale.at)
    option = next(each for each in seen.options if each.name == "seats-2")
    decided = chosen(seen.look, option, by="a person")
    assert isinstance(decided, Decided)
    after = decided.inputs
    tale.tell(decided)
    tale.tell(Measured(number=1, after=after, effect="even", why="as before"))
    return tale.tell(Undone(number=1, by="a person", why="asked for", ships=10))


def document() -> BalanceDocument:
    """Give the document of that run."""
    tale = told()
    seen = balancing(tale.line, tale.book, POLICY, tale.at)
    return balance_document(tale.line, tale.records(), seen, now=tale.at, alive=True)


def drawn(parts: list[Part]) -> str:
    """Give how parts look at 80 columns."""
    stream = io.StringIO()
    Screen(stream, Terminal(tty=False, color=False, animate=False, columns=80)).show(*parts)
    return stream.getvalue()


def test_a_balance_begins_with_the_constraint_and_shows_what_was_decided() -> None:
    """Sentence, figures, stations by demand, decisions with predicted against measured."""
    text = drawn(show_parts(document()))

    assert text.startswith("api limits the line: at most ")
    assert "60.0/h wanted" in text
    assert "a job that begins now takes about" in text
    assert text.index("api  ") < text.index("tests  ")
    assert "give the line 2 seats (a person)" in text
    assert "undone by a person: asked for" in text
    assert all(len(line) <= 80 or " " in line[80:] for line in text.splitlines())


def test_suggestions_say_why_what_they_promise_and_how_to_have_them() -> None:
    """Every option stands with its prediction and the line that applies it."""
    text = drawn(suggest_parts(document()))

    assert "give the line 4 seats" in text
    assert "  predicted: " in text
    assert "  factory balance apply seats-4" in text


def test_the_document_holds_predicted_and_measured() -> None:
    """Programs get the takt, the colours, every decision and the constraint's history."""
    found = document()

    assert found["takt"] == 1.0
    by_name = {row["name"]: row for row in found["stations"]}
    assert by_name["api"]["colour"] == "red"
    assert by_name["api"]["headroom"] == 1.0
    (decision,) = found["decisions"]
    assert decision["predicted"] is not None
    assert decision["effect"] == "even"
    assert decision["undo"] is None
    assert [row["ships"] for row in found["shifts"]] == [5, 10]
    assert found["shifts"][-1]["station"] == "api"
    (pair,) = found["calibration"]
    assert pair[1] == 1.0


def test_a_run_that_has_just_begun_has_nothing_to_suggest() -> None:
    """Before anything has landed no option is offered, and that is said."""
    tale = Tale(job("a"))
    seen = balancing(tale.line, tale.book, POLICY, tale.at)
    made = balance_document(tale.line, tale.records(), seen, now=tale.at, alive=True)

    assert made["options"] == []
    assert "there is nothing to suggest" in drawn(suggest_parts(made))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (LimitWip(wip=3), "have at most 3 jobs under way"),
        (LimitWip(wip=None), "have at most any number of jobs under way"),
        (Replace(job=JobId("a"), attempt=2), "end attempt 2 of a and try it again"),
        (SetSeats(seats=1), "give the line 1 seat"),
        (SetSlots(slots=2), "test 2 trees at once"),
        (Sample(station=StationName("s"), every=4), "let s see one in 4"),
        (Retire(station=StationName("s")), "let s leave the line"),
        (Advice(topic="provider", station="provider"), "use fewer seats, another tier"),
    ],
    ids=lambda value: getattr(value, "kind", ""),
)
def test_every_change_is_said_in_words(change, said) -> None:
    """A change reads as an order."""
    assert change_text(change).startswith(said)


def test_progress_names_the_command_that_takes_a_decision_back() -> None:
    """Who watches a run sees what was decided, what came of it, and how to undo it."""
    tale = told()
    lines = [
        text
        for event, _ in tale.book
        if isinstance(event, Decided | Measured | Undone)
        for _, text, _ in balanced(event)
    ]

    assert lines[0].endswith("(factory balance undo 1)")
    assert lines[1:] == [
        "decision 1 was even: as before",
        "decision 1 undone by a person: asked for",
    ]


def loaded(place: Path, text: str) -> object:
    """Load a factory.toml of these tables."""
    (place / "factory.toml").write_text(f"version = 1\n{text}")
    return load(place, flags={}, tracked=None, environ={"HOME": str(place)})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[pace]\nopen_hours = "25:00-26:00"\n', 'write from and to, such as "09:00-17:30"'),
        ('[pace]\nopen_hours = "09:00-09:00"\n', "are no hours of a day"),
        ("[pace]\nmax_seats = 4\n", "4 is less than the 8 seats of [line]"),
        ('[pace]\nmode = "on"\n', "is not one of off, suggest, auto"),
    ],
)
def test_mistakes_of_the_pace_are_named_with_their_remedy(tmp_path, text, said) -> None:
    """A wrong value of [pace] is told with its place and what to write instead."""
    with pytest.raises(ConfigErrors) as told:
        loaded(tmp_path, text)

    assert "factory.toml:3:" in str(told.value)
    assert said in str(told.value)


def test_hours_and_limits_reach_the_line(tmp_path) -> None:
    """Open hours and the limit of work in progress stand in the rules of the run."""
    found = loaded(tmp_path, '[pace]\nopen_hours = "09:00-17:30"\nwip = 12\nwanted = "6/h"\n')

    assert found.rules.wip == 12
    assert (found.rules.open_hours.begin, found.rules.open_hours.end) == hours("09:00-17:30")
    assert found.pace.wanted == 6


def test_a_status_offers_what_the_loop_suggests() -> None:
    """A suggestion about what limits the line stands below the sentence until it was taken."""
    tale = told()
    made = tale.line.decided[1]
    tale.tell(replace(made, number=2, applied=False, by="the loop"))

    document = status_document(tale.line, tale.records(), now=tale.at, alive=True)
    tale.tell(replace(made, number=3))
    later = status_document(tale.line, tale.records(), now=tale.at, alive=True)

    assert document["suggestion"] == "factory balance apply seats-2"
    assert later["suggestion"] is None
    assert document["lead"] is not None
    assert document["rest"] is not None
