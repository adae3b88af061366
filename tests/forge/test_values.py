"""Values and failures: answers of any shape become values of ours, or one clear failure."""

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from factory.forge import answers, failures
from factory.forge.answers import GHOST, Part
from factory.forge.failures import ForgeError, Limited, one_line, sorted_out
from factory.forge.values import Check, Person, Repo

ISSUE: dict[str, object] = {
    "number": 7,
    "title": "It breaks",
    "body": None,
    "state": "open",
    "user": None,
    "labels": ["old", {"name": "bug"}, {"name": None}],
    "created_at": "2026-01-02T03:04:05Z",
    "updated_at": "2026-01-02T05:04:05+02:00",
}
JSON = some.recursive(
    some.none() | some.booleans() | some.integers() | some.text(max_size=8),
    lambda inner: (
        some.lists(inner, max_size=3) | some.dictionaries(some.sampled_from(sorted(ISSUE)), inner)
    ),
    max_leaves=12,
)


def test_an_issue_is_read_with_what_is_missing_made_plain() -> None:
    """No body is an empty one, a deleted account is the ghost, times are of UTC."""
    issue = answers.issue(Part(ISSUE, "issue"))

    assert (issue.body, issue.author, issue.labels) == ("", GHOST, ("old", "bug"))
    assert (
        issue.created == issue.updated.replace(hour=3) == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    )
    assert not issue.is_pull


@settings(max_examples=40)
@given(JSON)
def test_an_answer_of_any_shape_is_a_value_or_a_forge_error(value: object) -> None:
    """Nothing that a server can say makes reading end in another exception."""
    for read in (answers.issue, answers.pull, answers.check, answers.thread, answers.references):
        for form in (value, {**ISSUE, "labels": value}, {**ISSUE, "user": value}):
            with suppress(ForgeError):
                read(Part(form, "answer"))


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, '"\\ud800', "NaN5"])
def test_what_is_no_json_is_a_forge_error(text: str) -> None:
    """A broken or bottomless text is refused in the same words."""
    with pytest.raises(ForgeError, match="no JSON"):
        answers.document(text, "GET /x")


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, failures.Denied),
        (403, failures.Denied),
        (404, failures.Missing),
        (405, failures.Refused),
        (409, failures.Conflict),
        (410, failures.Gone),
        (422, failures.Refused),
        (418, ForgeError),
    ],
)
def test_each_status_has_its_failure(status: int, kind: type[ForgeError]) -> None:
    """What an answer's status means is one class, below `ForgeError`."""
    error = sorted_out(status, "no", request_id="A1")

    assert type(error) is kind
    assert (error.status, error.request_id) == (status, "A1")


def test_a_servers_words_are_one_printable_line() -> None:
    """Line breaks, escapes and bidirectional marks of a message do not reach a terminal."""
    error = ForgeError("a\x1b[31m\n::set-output name=x::y\u202e\u200b" + "z" * 5000)

    assert error.message.isprintable()
    assert len(error.message) <= 500
    assert str(error) == error.message
    assert one_line("a\r\n b") == "a b"


def test_a_limit_says_when_to_come_back() -> None:
    """`Limited` bears the moment after which it is worth asking again."""
    assert Limited("slow", retry_at=12.5, status=429).retry_at == 12.5


@pytest.mark.parametrize(
    ("status", "conclusion", "done", "green"),
    [
        ("queued", None, False, False),
        ("completed", "success", True, True),
        ("completed", "skipped", True, True),
        ("completed", "neutral", True, True),
        ("completed", "failure", True, False),
        ("completed", "action_required", True, False),
        ("completed", None, False, False),
        ("in_progress", "success", False, False),
    ],
)
def test_a_check_is_green_only_when_it_ended_well(
    *, status: str, conclusion: str | None, done: bool, green: bool
) -> None:
    """A check that runs, failed or waits for a person is not green."""
    check = Check(
        id=1,
        name="unit",
        status=status,
        conclusion=conclusion,
        url="",
        app="",
        external_id="",
        started=None,
        completed=None,
        title="",
        summary="",
    )

    assert (check.done, check.green) == (done, green)


def test_a_bot_is_known_by_kind_or_name() -> None:
    """Programs are told from people, also where a list leaves the kind out."""
    person = Person(login="mona", kind="User", id=1)

    assert not person.bot
    assert replace(person, kind="Bot").bot
    assert replace(person, login="ci[bot]").bot
    assert Repo(owner="octo", name="toy", host="h").full == "octo/toy"
