"""Where the checks of a commit stand, by what a server says of them."""

from datetime import UTC, datetime

import pytest

from factory.forge.values import Check, Status
from factory.forge.verdicts import Mark, Standing, names, standings

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def check(conclusion: str | None, status: str = "completed", name: str = "unit") -> Check:
    """Give a check run."""
    return Check(
        id=7,
        name=name,
        status=status,
        conclusion=conclusion,
        url="https://forge/7",
        app="actions",
        external_id="",
        started=None,
        completed=None,
        title="Told",
        summary="more",
    )


def status(state: str, name: str = "unit") -> Status:
    """Give a commit status."""
    return Status(context=name, state=state, description="said", url="https://x/1", updated=NOW)


def mark(*found: Check | Status, counted: tuple[str, ...] = ()) -> Mark:
    """Give where `unit` stands."""
    checks = [each for each in found if isinstance(each, Check)]
    statuses = [each for each in found if isinstance(each, Status)]
    (standing,) = standings(["unit", "unit"], checks, statuses, counted=counted)
    return standing.mark


@pytest.mark.parametrize(
    ("conclusion", "expected"),
    [
        ("success", Mark.GREEN),
        ("failure", Mark.RED),
        ("timed_out", Mark.RED),
        ("action_required", Mark.RED),
        ("startup_failure", Mark.RED),
        ("cancelled", Mark.CANCELLED),
        ("stale", Mark.CANCELLED),
        ("neutral", Mark.UNCOUNTED),
        ("skipped", Mark.UNCOUNTED),
        ("splendid", Mark.UNCOUNTED),
    ],
)
def test_each_conclusion_stands_for_something(conclusion: str, expected: Mark) -> None:
    """What this release does not know is no verdict, and never green."""
    assert mark(check(conclusion)) is expected


def test_only_what_the_rules_require_counts_when_it_tested_nothing() -> None:
    """The rules turn skipped and neutral into green for the names they hold, and nothing else."""
    assert mark(check("skipped"), counted=("unit",)) is Mark.GREEN
    assert mark(check("neutral"), counted=("other",)) is Mark.UNCOUNTED
    assert mark(check("splendid"), counted=("unit",)) is Mark.UNCOUNTED


def test_of_several_runs_of_one_name_the_worst_counts() -> None:
    """One red is red, whoever else is green; what still runs is waited for before a new try."""
    assert mark(check("success"), check("failure")) is Mark.RED
    assert mark(check("success"), check(None, "queued")) is Mark.PENDING
    assert mark(check("cancelled"), check(None, "in_progress")) is Mark.PENDING
    assert mark(check("success"), status("pending")) is Mark.PENDING
    assert mark(check("success"), status("error")) is Mark.RED
    assert mark(status("success")) is Mark.GREEN
    assert mark(check("success", name="Unit")) is Mark.ABSENT


def test_a_standing_says_what_there_is_to_look_at() -> None:
    """Its words, its address and its id are the server's; an absent one has none."""
    (found,) = standings(["unit"], [check("failure")], [])

    assert found == Standing(
        name="unit", mark=Mark.RED, said="failure", run=7, url="https://forge/7", told="Told\nmore"
    )
    assert standings(["none"], [check("failure")], []) == (Standing(name="none", mark=Mark.ABSENT),)
    assert names([check("failure")], [status("success", "lint")]) == ("unit", "lint")
