"""Following a run: what is read in pieces gives the figures of what is read at once."""

from dataclasses import replace
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from factory.balancing import balancing
from factory.events import Closed, Finished, Killed, Resumed
from factory.pace.catalogue import Policy
from factory.show.watching import Watch
from factory.views.balance import balance_document
from factory.views.documents import status_document
from tests.factory.planted import Tale, job, oid
from tests.show.crowds import Crowd

POLICY = Policy(mode="suggest", wanted=20.0)


@settings(max_examples=6, deadline=None)
@given(st.lists(st.integers(min_value=1, max_value=80), min_size=1, max_size=8))
def test_pieces_give_the_same_as_the_whole(cuts: list[int]) -> None:
    """However the ledger is cut into reads, the figures are those of one reading."""
    crowd = Crowd(8, seed=sum(cuts)).go()
    records = crowd.tale.records()
    whole, pieces = Watch(POLICY), Watch(POLICY)
    whole.take(records)
    begin = 0
    for cut in cuts:
        pieces.take(records[begin : begin + cut])
        begin += cut
    pieces.take(records[begin:])

    at = crowd.tale.at
    assert pieces.figures(at, alive=False) == whole.figures(at, alive=False)


def test_the_figures_are_those_of_the_commands() -> None:
    """The page never says anything else than `status` and `balance` do of the same ledger."""
    crowd = Crowd(30).go()
    records, at = crowd.tale.records(), crowd.tale.at
    watch = Watch(POLICY)
    watch.take(records)

    made = watch.figures(at, crowd.calls(), alive=False)

    status = status_document(crowd.line, records, now=at, alive=False, calls=crowd.calls())
    seen = balancing(crowd.line, [(r.event, r.at) for r in records], POLICY, at)
    balance = balance_document(crowd.line, records, seen, now=at, alive=False)
    assert made.status == status
    assert {**made.balance, "shifts": []} == {**balance, "shifts": []}
    assert {row["ships"] for row in made.balance["shifts"]} <= set(range(len(status["jobs"]) + 1))


def test_every_attempt_and_test_run_is_a_span_that_ends() -> None:
    """After a run nothing is open but questions, and every attempt and trial was drawn once."""
    crowd = Crowd(25).go()
    watch = Watch(POLICY)
    watch.take(crowd.tale.records())
    spans = watch.figures(crowd.tale.at, alive=False).spans

    open_ones = {span.how for span in spans if span.end is None}
    assert open_ones <= {"wait"}
    attempts = [event for event, _ in crowd.tale.book if isinstance(event, Finished)]
    assert sum(span.what.startswith("attempt") for span in spans) == len(attempts)
    assert all(span.end is None or span.end >= span.begin for span in spans)


def test_time_in_which_nobody_worked_does_not_count() -> None:
    """A night between two processes takes no room on the timeline, and cuts what was under way."""
    tale = Tale(job("a"), job("b"), seats=2).tell(Closed(exit=130), after=10)
    tale.tell(Resumed(serial=9, tip=oid("base")), after=36_000).tell(Killed(job=job("b").id))
    watch = Watch(POLICY)
    watch.take(tale.records())

    made = watch.figures(tale.at, alive=False)

    assert made.seconds == 11
    assert [span.how for span in made.spans if span.begin == 0] == ["cut", "cut"]


def test_a_question_is_a_span_of_the_person() -> None:
    """While a job waits for a person that is drawn, until it is answered."""
    crowd = Crowd(50).go()
    watch = Watch(POLICY)
    watch.take(crowd.tale.records())
    made = watch.figures(crowd.tale.at, alive=False)

    asked = [span for span in made.spans if span.station == "you"]
    assert len(asked) == len(made.inbox) > 0
    assert made.order == "factory inbox" or made.limiting != "you"


def test_late_calls_lie_within_the_run() -> None:
    """A curve never leaves its picture, whenever its calls were made."""
    crowd = Crowd(8).go()
    late = [replace(call, at=call.at + 9_000_000) for call in crowd.calls()]
    watch = Watch(POLICY)
    watch.take(crowd.tale.records())

    made = watch.figures(crowd.tale.at, late, alive=False)

    assert made.spent[-1].tokens == sum(9700 for _ in late)


def test_shifts_thin_out_as_a_run_grows() -> None:
    """Who limited the line is asked at some hundred landings at most, however long the run."""
    crowd = Crowd(150).go()
    watch = Watch(POLICY)
    watch.take(crowd.tale.records())

    rows = watch.figures(crowd.tale.at, alive=False).balance["shifts"]

    gaps = [b["ships"] - a["ships"] for a, b in pairwise(rows)]
    assert min(gaps) >= 5
    assert gaps[-1] >= 6
