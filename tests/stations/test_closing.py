"""How an attempt closes, and what its ear and the parking of its session keep: pure parts."""

from dataclasses import replace

import pytest

from stations.contract import Assignment, Brief
from stations.models.values import ModelError
from stations.runtimes.closing import DEEPEST, End, broken_off, escalated, parted, reported
from stations.runtimes.ear import MOST_CHARACTERS, Ear
from stations.runtimes.journal import RESUME_TOKENS, Session
from stations.runtimes.parking import Parking
from worktrees.names import JobId, Oid, RunId, StationName
from worktrees.scope import Scope

ASSIGNMENT = Assignment(
    run=RunId("run1"),
    job=JobId("job1"),
    station=StationName("work"),
    attempt=1,
    serial=0,
    base=Oid("0" * 40),
    judged_from=Oid("0" * 40),
    scope=Scope(write=("src/api/**",)),
    brief=Brief(title="T", text="x"),
    seconds=30.0,
    idle=0.0,
    line="hash",
)
PART = {"title": "One", "brief": "Do one.", "scope": ["src/api/one/**"]}
SESSION = Session(job="j", station="work", kind="worker", model="m", tokens=10)


def test_what_a_report_says_is_cut_and_made_printable() -> None:
    """A fault is one line, however many its author wrote."""
    given = {"status": "failed", "summary": "no\n\x1b[2Jway" + "!" * 9_000}

    end = reported(given)

    assert end.status == "failed"
    assert end.fault.startswith("no \N{REPLACEMENT CHARACTER}[2Jway!!")
    assert end.fault.isprintable()
    assert end.report is not None
    assert len(end.report.summary) == 2_000
    assert reported({"status": "failed", "summary": ""}).fault == "it failed and does not say why"


def test_a_question_is_never_without_words() -> None:
    """Who escalates with nothing to say is blocked all the same; what it needs is bounded."""
    end = escalated({"reason": " \n", "need": ["src/\x1bx"] * 1_000})

    assert (end.status, end.fault) == ("blocked", "blocked")
    assert end.report is not None
    assert end.report.needs_scope == ("src/\N{REPLACEMENT CHARACTER}x",) * 50


@pytest.mark.parametrize(
    ("parts", "wrong"),
    [
        ([PART], "propose 2 to 8"),
        ([PART] * 9, "propose 2 to 8"),
        ([PART, {**PART, "title": " \n"}], "jobs[1] has no title"),
        ([PART, {**PART, "scope": []}], "jobs[1] must be globs inside src/api/**"),
        ([PART, {**PART, "scope": ["src/**"]}], "jobs[1] must be globs inside src/api/**"),
        ([PART, {**PART, "scope": ["../x"]}], "jobs[1] must be globs inside"),
        ([PART, {**PART, "scope": ["src/api/\x1b"]}], "jobs[1] must be globs inside"),
        ([PART, {**PART, "scope": ["src/api/a"] * 51}], "at most 50 short globs"),
        ([PART, {**PART, "scope": ["src/api/" + "a" * 400]}], "at most 50 short globs"),
        ([PART, {**PART, "needs": [1]}], "jobs[1] may only need jobs before it"),
    ],
)
def test_a_split_that_cannot_be_taken_says_why(parts: list[dict[str, object]], wrong: str) -> None:
    """Nothing outside the scope, nothing that waits for itself, nothing without end."""
    said = parted(parts, ASSIGNMENT)

    assert isinstance(said, str)
    assert wrong in said
    assert said.isprintable()


def test_a_split_is_taken_only_so_deep() -> None:
    """Parts of parts are done, or escalated."""
    jobs = [PART, {**PART, "title": "Two", "needs": [0, 0]}]

    taken = parted(jobs, replace(ASSIGNMENT, depth=DEEPEST - 1))
    refused = parted(jobs, replace(ASSIGNMENT, depth=DEEPEST))

    assert isinstance(taken, End)
    assert [(one.title, one.needs) for one in taken.split] == [("One", ()), ("Two", (0,))]
    assert "a part of a part" in str(refused)


def test_a_call_that_failed_for_good_keeps_whose_account_it_was() -> None:
    """What has no status of its own may work later."""
    spent = broken_off(ModelError("budget", "spent", account="day"))
    cut = broken_off(ModelError("incomplete", "cut"))

    assert (spent.status, spent.account, spent.fault) == ("budget", "day", "spent")
    assert cut.status == "provider"


def test_an_ear_says_honestly_whether_a_word_will_be_heard() -> None:
    """It does not close over a word that waits, and takes none when it is closed."""
    ear = Ear()

    assert ear.tell("one") == "queued"
    assert not ear.close_if_quiet()
    assert ear.take() == ("one",)
    assert ear.tell("x" * 5_000) == "queued"
    (long,) = ear.take()
    assert ear.close_if_quiet()
    assert ear.tell("late") == "unsupported"
    assert ear.take() == ()
    assert (len(long), long[-6:]) == (MOST_CHARACTERS, " [cut]")
    assert ear.heard == ("one", long)


def test_a_parked_session_serves_only_its_own_kind_of_job() -> None:
    """Another run, station or model, a full batch or a long talk: it stays where it is."""
    parking = Parking()
    parking.park("run1", SESSION)
    parking.park("run1", replace(SESSION, station="long", tokens=RESUME_TOKENS + 1))

    assert parking.unpark("run2", "work", "m", batch=5) is None
    assert parking.unpark("run1", "other", "m", batch=5) is None
    assert parking.unpark("run1", "work", "other", batch=5) is None
    assert parking.unpark("run1", "work", "m", batch=1) is None
    assert parking.unpark("run1", "long", "m", batch=5) is None
    assert parking.unpark("run1", "work", "m", batch=2) == SESSION
    assert parking.unpark("run1", "work", "m", batch=2) is None
