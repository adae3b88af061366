"""The documents: what the contract promises to scripts, from a line and its records."""

import json
from dataclasses import replace
from decimal import Decimal

import pytest
from pydantic import TypeAdapter

from factory.ending import exit_code
from factory.events import (
    Closed,
    Closing,
    Dead,
    Killed,
    NeedsYou,
    Noted,
    Paused,
    Reason,
    Withdrawn,
)
from factory.line import Line
from factory.planning import plan
from factory.views.documents import (
    inbox_document,
    plan_document,
    report_document,
    run_document,
    runs_document,
    status_document,
)
from factory.views.schemas import (
    InboxDocument,
    PlanDocument,
    ReportDocument,
    RunDocument,
    RunsDocument,
    StatusDocument,
    StatusJob,
    WhyDocument,
)
from factory.views.story import why_document
from stations.contract import Agent, Done, Escalated, Failed, Found, Kind, Spend
from tests.factory.line_sim import simulate
from tests.factory.planted import RULES, Tale, job, oid, station
from worktrees.names import JobId, StationName

SECRET = "ghp_" + "a1B2" * 9
TAIL = "\n".join(
    ["===== FAILURES =====", "def test_x():", f"E   assert 1 == 2 {SECRET}", "more", "FAILED x"]
)


def landed(*names: str) -> Tale:
    """Give a run in which these jobs landed one after the other."""
    tale = Tale(*(job(name) for name in names), seats=1)
    for name in names:
        tale.done(name, after=2).compose().test(after=3).compose(after=0, known=True).land()
    return tale


def row(tale: Tale, name: str, *, now: float | None = None) -> StatusJob:
    """Give a job's row of the status."""
    at = tale.at if now is None else now
    document = status_document(tale.line, tale.records(), now=at, alive=True)
    return next(each for each in document["jobs"] if each["id"] == name)


def ended(*places: object, reason: Reason | None = None) -> Line:
    """Give a line whose jobs ended so, and that was closed for this reason."""
    tale = Tale(*(job(f"j{n}") for n in range(len(places))))
    jobs = {
        name: replace(work, place=place)  # type: ignore[arg-type]  # places of the line
        for (name, work), place in zip(tale.line.jobs.items(), places, strict=True)
    }
    closing = None if reason is None else Closing(reason=reason, why="so")
    return replace(tale.line, jobs=jobs, closing=closing)


def test_a_runs_document_is_what_the_contract_says() -> None:
    """`factory.run/1` holds exactly the promised fields, with the landing's commit and tree."""
    tale = landed("a").tell(Closed(exit=0), after=0)

    assert run_document(tale.line, tale.records()) == {
        "schema": "factory.run/1",
        "run": "r1",
        "target": "main",
        "base": oid("base"),
        "tip": oid("landing of a"),
        "seconds": 6.0,
        "jobs": [
            {
                "id": "a",
                "title": "Do a",
                "station": "api",
                "state": "landed",
                "commit": oid("landing of a"),
                "tree": oid("tree of a"),
                "pull": None,
                "attempts": 1,
                "seconds": 6.0,
                "spend": {
                    "tokens_in": 0,
                    "tokens_out": 0,
                    "tokens_cached": 0,
                    "usd": "0",
                    "seconds": 2.0,
                    "basis": None,
                    "calls": 0,
                },
                "reason": None,
            }
        ],
        "undelivered": [],
        "spend": {
            "tokens_in": 0,
            "tokens_out": 0,
            "tokens_cached": 0,
            "usd": "0",
            "seconds": 2.0,
            "basis": None,
            "calls": 0,
        },
        "constraint": {
            "sentence": "too early to say what limits the line: 1 job landed;"
            " tests was busy longest, 3.0 s",
            "station": None,
            "odds": None,
        },
    }


def test_every_document_of_every_simulated_run_has_its_promised_shape() -> None:
    """Whatever happens to jobs, documents keep their shape and are plain JSON."""
    for seed in range(8):
        world = simulate(seed)
        line, tale = world.floor.line, Tale()
        tale.book, tale.at = world.book, world.time
        records, now = tale.records(), world.time
        for shape, document in (
            (RunDocument, run_document(line, records)),
            (StatusDocument, status_document(line, records, now=now, alive=True)),
            (ReportDocument, report_document(line, records)),
            (InboxDocument, inbox_document([line])),
            (RunsDocument, runs_document([(line, records, False)])),
            *(
                (WhyDocument, why_document(line, records, name, now=now, in_target=None))
                for name in line.jobs
            ),
        ):
            TypeAdapter(shape).validate_python(document, strict=True)
            assert json.loads(json.dumps(document)) == document


def test_every_job_of_a_run_is_in_its_document_once() -> None:
    """Jobs that were split off are rows like those that were placed; none is left out."""
    for seed in range(8):
        world = simulate(seed)
        tale = Tale()
        tale.book = world.book
        rows = run_document(world.floor.line, tale.records())["jobs"]
        assert [each["id"] for each in rows] == list(world.floor.line.jobs)
        assert all(each["seconds"] >= 0 for each in rows)


def test_unknown_dollars_are_null_and_stay_so_in_the_sum() -> None:
    """A run with one job of unknown cost has an unknown cost, not a low one."""
    tale = Tale(job("a"), job("b"))
    tale.finish("a", Done(commit=oid("a"), spend=Spend(dollars=None)))
    tale.finish("b", Done(commit=oid("b"), spend=Spend(dollars=Decimal("1.50"), tokens_in=7)))

    document = run_document(tale.line, tale.records())

    assert [each["spend"]["usd"] for each in document["jobs"]] == [None, "1.50"]
    assert document["spend"]["usd"] is None
    assert document["spend"]["tokens_in"] == 7


@pytest.mark.parametrize(
    ("reason", "places", "code"),
    [
        (None, (), 0),
        (None, (Withdrawn(why="nothing to change", met=True),), 0),
        (None, (Dead(fault="red"),), 1),
        (None, (Dead(fault="red"), NeedsYou(question="may I?")), 1),
        (None, (NeedsYou(question="may I?"), Withdrawn(why="killed", met=False)), 4),
        (Reason.TARGET, (Withdrawn(why="", met=True),), 0),
        (Reason.TARGET, (NeedsYou(question="may I?"),), 4),
        (Reason.TARGET, (Dead(fault="red"),), 1),
        (Reason.BUDGET, (Dead(fault="red"),), 3),
        (Reason.LIMITED, (Dead(fault="red"),), 75),
        (Reason.ENVIRONMENT, (Dead(fault="red"), NeedsYou(question="?")), 7),
        (Reason.INTERRUPTED, (Dead(fault="red"),), 130),
    ],
)
def test_the_exit_code_follows_the_contracts_precedence(
    reason: Reason | None, places: tuple[object, ...], code: int
) -> None:
    """Where several codes hold, the first of 130, 7, 75, 3, 1, 4, 0 is the one."""
    assert exit_code(ended(*places, reason=reason)) == code


def test_a_job_that_waits_for_an_answered_one_ends_the_run_with_4() -> None:
    """A run in which the only open job needs one that waits for a person waits for a person."""
    tale = Tale(job("a"), job("b", needs=("a",)))
    tale.finish("a", Escalated(reason="may I?", commit=oid("a")))

    assert exit_code(tale.line) == 4
    assert row(tale, "b")["waits_for"]["needs"] == ["a"]
    assert row(tale, "b")["where"] == "waits for a to land"


def test_status_says_with_whom_a_scope_overlaps() -> None:
    """A job that stands behind an overlapping one says which."""
    tale = Tale(job("a"), job("b", scope=job("a").scope))

    assert row(tale, "b")["waits_for"]["overlaps"] == "a"
    assert row(tale, "b")["where"] == "waits for a: their scopes overlap"


def test_status_says_that_a_seat_is_missing() -> None:
    """A job that only waits for a free seat says so, and nothing else holds it up."""
    tale = Tale(job("a"), job("b"), seats=1)

    assert row(tale, "b")["waits_for"] == {
        "needs": [],
        "overlaps": None,
        "seat": True,
        "breaker": None,
        "question": None,
    }
    assert row(tale, "b")["where"] == "waits for a seat at api"


def test_status_says_that_a_station_rests() -> None:
    """When the machine failed a station too often, its jobs say until when it rests."""
    tale = Tale(job("a"), job("b"), seats=1, breaker_after=1, breaker_rest=60.0)
    tale.finish("a", Failed(fault="no room", environment=True))

    assert row(tale, "b")["waits_for"]["breaker"] == tale.at + 60
    assert row(tale, "b")["where"] == "waits: station api rests for 1 min 00 s"
    assert row(tale, "a")["where"].endswith(": no room")


def test_status_says_that_a_budget_or_a_provider_holds_a_job_up() -> None:
    """A station without a budget and a provider that told us to wait are named."""
    model = replace(RULES.stations[0], agent=Agent(runtime="sdk", model="small"))
    tale = Tale(job("a"), job("b"), stations=(model, RULES.stations[1]), breaker_rest=60.0)
    limited = Failed(fault="wait 1 h", environment=True, cause="limited")
    spent = Failed(fault="5 of 5 dollars", cause="budget", account="station")
    tale.finish("a", limited).finish("b", spent)

    assert row(tale, "a")["where"] == (
        "tries again in 59 s: the provider told us to wait: wait 1 h"
    )
    assert row(tale, "b")["where"] == "waits: the budget of station api is spent"
    assert not row(tale, "b")["waits_for"]["seat"]


def test_status_says_what_an_attempt_does_and_for_how_long() -> None:
    """A running job shows attempt, station and seconds; a paused line says why others wait."""
    tale = Tale(job("a"), job("b"), seats=1).tell(Paused(on=True))

    assert row(tale, "a", now=tale.at + 9)["where"] == "attempt 1 at api for 10 s"
    assert row(tale, "b")["where"] == "waits: the line is paused"


def test_the_first_failing_lines_are_in_the_status_without_secrets() -> None:
    """A red job's status shows the lines that say what failed, not the banner, secrets masked."""
    tale = Tale(job("a")).done("a").compose().test(red=TAIL).compose().test(red=TAIL)

    assert row(tale, "a")["failure"] == ["E assert 1 == 2 ***", "FAILED x"]
    assert row(tale, "a")["where"] == "gave up: its tests are red"
    report = report_document(tale.line, tale.records())
    assert report["failures"] == {"a": ["E assert 1 == 2 ***", "FAILED x"]}
    assert report["exit"] == 1


def test_agents_words_cannot_carry_secrets_or_escapes_into_a_document() -> None:
    """A fault with an escape sequence, an override and a key is harmless in every document."""
    tale = Tale(job("a", title="\x1b[2Jtidy\u202e"))
    tale.finish("a", Failed(fault=f"boom\x1b[31m {SECRET}\u202e"))
    story = why_document(tale.line, tale.records(), JobId("a"), now=tale.at, in_target=None)
    everything = [
        run_document(tale.line, tale.records()),
        status_document(tale.line, tale.records(), now=tale.at, alive=True),
        report_document(tale.line, tale.records()),
        story,
    ]

    text = json.dumps(everything, ensure_ascii=False)

    assert SECRET not in text
    assert "\\u001b" not in text
    assert "\u202e" not in text
    assert "boom\\\\x1b[31m ***" in text


def test_a_status_of_a_dead_process_does_not_let_time_pass() -> None:
    """When nobody works on a run, its running attempt does not grow older in the status."""
    tale = Tale(job("a")).tell(Paused(on=False), after=5)

    document = status_document(tale.line, tale.records(), now=tale.at + 9999, alive=False)

    assert document["seconds"] == 5
    assert document["jobs"][0]["where"] == "attempt 1 at api for 5.0 s"


def test_the_gate_row_says_what_is_tested_and_what_waits() -> None:
    """One slot tests the first branch while the second waits for its first run."""
    tale = Tale(job("a"), job("b")).done("a").done("b").compose()

    document = status_document(tale.line, tale.records(), now=tale.at, alive=True)

    assert document["gate"] == {
        "slots": 1,
        "todo": ["b"],
        "again": [],
        "green": [],
        "runs": [{"trial": 1, "kind": "group", "jobs": ["a"], "testing": True}],
    }
    assert row(tale, "b")["where"] == "waits for its first test run, 1 of 1"


def test_the_inbox_is_oldest_first_with_the_answering_line() -> None:
    """Questions of all runs come oldest first, each with the exact command that answers it."""
    old = Tale(job("a"), run="r1").finish("a", Escalated(reason="first?"), after=1)
    new = Tale(job("b"), run="r2")
    new.finish("b", Escalated(reason="second?", wants=("x/**",), commit=oid("b")), after=9)

    rows = inbox_document([new.line, old.line])["waiting"]

    assert [each["question"] for each in rows] == ["first?", "second?"]
    assert rows[1] == {
        "run": "r2",
        "job": "b",
        "title": "Do b",
        "since": 1009.0,
        "question": "second?",
        "wants": ["x/**"],
        "commit": oid("b"),
        "answer": "factory tell b yes",
    }
    assert rows[0]["answer"] == 'factory tell a "what to do"'


def test_a_report_says_whose_work_nobody_read() -> None:
    """A review that was left out is seen at the end of a run, not only in its story."""
    note = Noted(what="review", text="not reviewed: 401", job=JobId("a"))
    tale = Tale(job("a")).done("a").tell(note)

    assert report_document(tale.line, tale.records())["reviews"] == {"a": "not reviewed: 401"}


def test_why_tells_every_attempt_verdict_and_decision_in_order() -> None:
    """The story of a job that was red once, repaired and landed has all its turns, with times."""
    repair = station("repair", Kind.CLEANUP, run=("fix",))
    rules = {"stations": (*RULES.stations, repair), "repair": StationName("repair")}
    tale = Tale(job("a"), **rules).done("a", after=2).compose().test(after=3, red=TAIL)
    tale.compose().test(red=TAIL).done("a", after=4).compose().test().compose(known=True).land()

    story = why_document(tale.line, tale.records(), JobId("a"), now=tale.at, in_target=True)

    told = [(each["seconds"], each["what"], each["text"]) for each in story["moments"]]
    start, work, tree = oid("base")[:12], oid("work of a")[:12], oid("tree of a")[:12]
    assert told == [
        (0, "placed", "one of 1 job"),
        (0, "started", f"attempt 1 at api from {start} in workspace r1-0"),
        (2, "finished", f"attempt 1 made {work} after 2.0 s"),
        (2, "decided", f"has made {work}, which is on its way to land"),
        (3, "merged", "merged alone onto the target"),
        (6, "tested", "red in 3.0 s by tests: a"),
        (7, "merged", "merged alone onto the target"),
        (8, "tested", "red in 1.0 s by tests: a"),
        (8, "decided", "goes to repair: E assert 1 == 2 ***"),
        (8, "started", f"attempt 2 at repair from {work} in workspace r1-1"),
        (12, "finished", f"attempt 2 made {work} after 4.0 s"),
        (12, "decided", f"has made {work}, which is on its way to land"),
        (13, "merged", "merged alone onto the target"),
        (14, "tested", "green in 1.0 s: a"),
        (15, "merged", "merged; this very tree is known to be green"),
        (15, "landed", f"in {oid('landing of a')[:12]} as exactly the tested tree {tree}: a"),
    ]
    assert story["moments"][5]["tail"] == ["E assert 1 == 2 ***", "FAILED x"]
    assert story["in_target"] is True
    assert story["where"] == f"landed in {oid('landing of a')[:12]}"


def test_why_tells_of_people_and_of_late_answers() -> None:
    """What a person did to a job is in its story, and an outcome that came after it is marked."""
    tale = Tale(job("a"), job("b")).tell(Killed(job=JobId("a")), after=2)
    tale.finish("a", Failed(fault="stopped"), after=1)

    story = why_document(tale.line, tale.records(), JobId("a"), now=tale.at, in_target=False)

    told = [(each["what"], each["text"]) for each in story["moments"]]
    assert told[2:] == [
        ("killed", "by a person; its work is kept"),
        ("decided", "ended without a change: killed by a person"),
        ("failed", "attempt 1 (given up before) failed after 0.0 s: stopped"),
    ]
    assert story["state"] == "withdrawn"


def test_an_answer_of_a_reading_job_ends_it_without_a_change() -> None:
    """A read station's job counts as withdrawn, with the reason that it changes nothing."""
    ask = station("ask", Kind.READ, run=("look",))
    tale = Tale(job("a", route="ask"), stations=(*RULES.stations, ask))
    tale.finish("a", Found(data="42"))

    (only,) = run_document(tale.line, tale.records())["jobs"]

    assert (only["state"], only["reason"]) == ("withdrawn", "answered; it changes nothing")
    assert exit_code(tale.line) == 0


def test_a_plan_has_rounds_scopes_and_refusals() -> None:
    """`factory.plan/1` says in which round each job can start, after whom, and what is refused."""
    jobs = [job("a"), job("b", needs=("a",)), job("c")]

    document = plan_document(
        plan(RULES, jobs, tracked=["a/x"], refused={JobId("c"): "near-duplicate of a"})
    )

    TypeAdapter(PlanDocument).validate_python(document, strict=True)
    assert [(each["id"], each["round"]) for each in document["jobs"]] == [
        ("a", 1),
        ("b", 2),
        ("c", 0),
    ]
    assert document["jobs"][1]["waits_for"] == ["a"]
    assert document["jobs"][2]["refused"] == "near-duplicate of a"


def test_landed_work_that_was_never_offered_is_told() -> None:
    """After a kill between landing and pull request the status says what is missing, not before."""
    tale = Tale(job("a"), deliver="pr").done("a").compose().test()
    tale.compose(known=True).land()

    def told(*, alive: bool) -> list[str]:
        document = status_document(tale.line, tale.records(), now=tale.at, alive=alive)
        return document["undelivered"]

    assert told(alive=True) == []
    assert told(alive=False) == ["a: in no pull request yet; `factory resume r1` goes on"]
