"""What is drawn of a run: the bars, the flow, the timeline, the curves, the tables, as text."""

import re
from dataclasses import replace
from functools import cache
from xml.etree import ElementTree as Xml

import pytest

from factory.changes import Inputs, Option, SetSlots
from factory.events import Decided, Measured, Noted
from factory.pace.catalogue import Policy
from factory.show import tables, tracks
from factory.show.curves import curves, points
from factory.show.figures import Figures, Flow
from factory.show.flow import OTHERS, flow
from factory.show.overview import Ways, nowhere, overview
from factory.show.paper import paper
from factory.show.watching import Watch
from stations.contract import Escalated, Failed
from tests.factory.planted import Tale, job
from tests.show.crowds import HOSTILE, Crowd

POLICY = Policy(mode="suggest", wanted=30.0)


def drawn(crowd: Crowd, *, alive: bool = False, policy: Policy = POLICY) -> Figures:
    """Give the figures of a run as it stands."""
    watch = Watch(policy)
    watch.take(crowd.tale.records())
    return watch.figures(crowd.tale.at, crowd.calls(), alive=alive)


@cache
def fifty() -> Figures:
    """Give the figures of a run of fifty jobs that came to its end."""
    return drawn(Crowd(50).go())


@cache
def midway() -> Figures:
    """Give the figures of a run of fifty jobs while thirty have landed."""
    crowd = Crowd(50).go(
        lambda line: sum(w.place.kind == "landed" for w in line.jobs.values()) > 29
    )
    return drawn(crowd, alive=True)


def empty() -> Figures:
    """Give the figures of a run in which nothing has happened yet."""
    crowd = Crowd(3)
    crowd.tale.book = crowd.tale.book[:1]
    return drawn(crowd)


def parsed(markup: str) -> Xml.Element:
    """Give well-formed markup as a tree."""
    return Xml.fromstring(f"<all>{markup}</all>")  # noqa: S314  (our own)


def test_the_constraint_and_its_command_come_first() -> None:
    """The page begins with the one sentence and the command that eases what it names."""
    shown = overview(fifty(), Ways())

    assert shown.startswith(f'<header id="constraint"><h1>{fifty().balance["sentence"]}</h1>')
    assert "To ease it: <code>factory inbox</code>" in shown


def test_bars_show_demand_takt_and_the_next_limit() -> None:
    """Each visited station has a bar with its figures; takt and next limit cross all of them."""
    made = parsed(tracks.bars(fifty()))
    tracks_of = made.findall(".//svg")
    visited = [row for row in fifty().balance["stations"] if row["visits"]]

    assert len(tracks_of) == len(visited)
    assert len(made.findall(".//path[@class='takt']")) == len(visited)
    assert len(made.findall(".//path[@class='next']")) == len(visited)
    said = [title.text or "" for title in made.iter("title")]
    assert any(re.fullmatch(r"review \(optional\): \d+\.\d+ min, P .*", each) for each in said)
    required = sum(row["required"] for row in visited)
    assert tracks.bars(fifty()).count(">required</small>") == required


def test_the_picture_says_its_finding() -> None:
    """Whoever listens hears what the picture shows, of every picture of the page."""
    made = parsed(tracks.bars(fifty())).find(".//*[@role='img']")

    assert made is not None
    assert fifty().balance["sentence"] in made.attrib["aria-label"]
    pictures = re.findall(r"<(?:svg|div)[^>]*role=\"img\"[^>]*>", overview(fifty(), Ways()))
    assert len(pictures) > 50
    assert all(re.search(r'aria-label="[^"]{6,}"', each) for each in pictures)


def test_bars_need_no_takt() -> None:
    """Without wanted changes there is no takt line, and the constraint stands out by itself."""
    made = tracks.bars(drawn(Crowd(30).go(), policy=Policy(mode="suggest")))

    assert "takt" not in made
    assert 'class="limit"' in made


def test_the_flow_shows_rework_going_back() -> None:
    """A red test sends jobs back: that link is drawn as rework and named in the finding."""
    made = parsed(flow(midway()))
    picture = made.find(".//svg")

    assert picture is not None
    assert "Back for rework: " in picture.attrib["aria-label"]
    assert made.findall(".//path[@class='back']")
    names = {each.text for each in made.iter("title")}
    assert {"jobs in", "landed", "tests"} <= names


def test_many_stations_of_the_flow_are_one() -> None:
    """With twenty coding stations the least used stand together: the picture stays readable."""
    row = next(row for row in fifty().balance["stations"] if row["name"] == "api")
    many = [{**row, "name": f"area-{n}"} for n in range(20)]
    moves = tuple(Flow(start="<in>", end=f"area-{n}", times=20 - n) for n in range(20))
    figures = replace(fifty(), flows=moves)
    figures.balance["stations"].extend(many)  # type: ignore[arg-type]  # rows of its own shape

    made = flow(figures)
    del figures.balance["stations"][-20:]

    assert OTHERS in made
    assert made.count("<rect") == 9


@pytest.mark.parametrize("link", [nowhere, lambda job: f"/job/{job}"])
def test_the_timeline_has_a_row_for_each_job_with_its_spans(link: tracks.Link) -> None:
    """Every attempt and test run of a job is a bar with its words; what landed is marked."""
    shown = tracks.timeline_of_jobs(midway(), link)
    made = parsed(shown)
    rows = made.findall(".//svg")

    begun = {job for span in midway().spans for job in span.jobs}
    assert len(rows) == len(begun)
    assert "attempt 1: made a change" in shown
    assert 'class="landed"' in shown
    assert ("/job/job-0001" in shown) is (link is not nowhere)


def test_the_timeline_of_stations_has_a_line_for_each_seat() -> None:
    """Two that work at once never lie on top of each other."""
    made = parsed(tracks.timeline_of_stations(midway()))
    api = next(row for row in made.findall(".//svg") if row.attrib["aria-label"].startswith("api"))
    tops = {path.attrib["d"].split("h")[0].split(" ")[1] for path in api.iter("path")}

    assert len(tops) > 1
    most = re.search(r"at most (\d+) at once", api.attrib["aria-label"])
    assert most is not None
    assert int(most[1]) == len(tops)


def test_curves_tell_billed_from_imputed() -> None:
    """Dollars a provider asks for and dollars nobody pays are two curves and two figures."""
    shown, page = curves(fifty()), overview(fifty(), Ways())

    assert "curve billed" in shown
    assert "curve imputed" in shown
    money = fifty().money
    assert money.billed > money.imputed > 0
    assert f"{money.billed:.2f} USD billed, {money.imputed:.2f} USD imputed" in shown
    assert "<dt>Billed</dt>" in page
    assert "<dt>Imputed</dt>" in page
    assert points(fifty()).count("[") == 5


def test_shifts_name_who_limited_the_line_when() -> None:
    """The track of shifts says which station limited how large a share of the landings."""
    shown = tracks.shifts(fifty().balance["shifts"])

    assert re.search(r"Who limited the line over 45 landings: .*\d+ %", shown)
    assert (
        tracks.shifts([]) == '<p class="quiet">Nothing to show before a few jobs have landed.</p>'
    )


def test_decisions_show_what_was_predicted_and_what_came() -> None:
    """A decision stands with its promise, its measured effect and the command that undoes it."""
    crowd = Crowd(40).go(lambda line: sum(w.place.kind == "landed" for w in line.jobs.values()) > 9)
    inputs = _inputs(rate=20.0)
    chosen = Option(name="slots-3", change=SetSlots(slots=3), why="tests wait", alone=True)
    crowd.tale.tell(
        Decided(
            number=1,
            by="a person",
            applied=True,
            chosen=chosen,
            inputs=inputs,
            back=SetSlots(slots=2),
        )
    )
    crowd.tale.tell(
        Measured(number=1, after=_inputs(rate=30.0), effect="better", why="rate 20.0 to 30.0/h")
    )

    rows = drawn(crowd).balance["decisions"]
    shown = tables.decisions(rows, lambda number: f"/undo/{number}")

    assert "x 1.50 better" in shown
    assert "rate 20.0 to 30.0/h" in shown
    assert "factory balance undo 1" in shown
    assert 'href="/undo/1"' in shown


def _inputs(*, rate: float) -> Inputs:
    return Inputs(
        ships=10, rate=rate, seen=9, bound=40.0, lead=600.0, passed=9, judged=10, station="tests"
    )


def test_hostile_words_stay_words_everywhere() -> None:
    """Titles, questions, faults and station names of an attacker open no element anywhere."""
    crowd = Crowd(12)
    tale = Tale(
        *(job(f"j-{n}", title=HOSTILE) for n in range(4)), run="261121-081502-3f2a", seats=4
    )
    tale.finish("j-0", Failed(fault=HOSTILE, tail=HOSTILE))
    tale.finish("j-1", Escalated(reason=HOSTILE, wants=(HOSTILE,)))
    tale.tell(Noted(what=HOSTILE, text=HOSTILE))
    crowd.tale = tale

    shown = paper(drawn(crowd))

    assert not re.search(r"<script|<!--|onload='y'|\x1b|\u202e", shown)
    assert "&lt;script&gt;" in shown
    assert shown.count("<h1>") == 1


def test_an_empty_run_says_so() -> None:
    """Before anything happened every part says in words that there is nothing yet."""
    shown = overview(empty(), Ways())

    for said in (
        "No station has been visited yet.",
        "No job has moved yet.",
        "No job has begun yet.",
        "No model was called.",
        "Nothing was decided about this line yet.",
    ):
        assert said in shown
