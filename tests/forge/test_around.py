"""What is read of many items at once: pages of all, a search, and what surrounds them."""

from pathlib import Path

import pytest

from factory.forge import around
from factory.forge.answers import Part
from factory.forge.failures import ForgeError, Limited, Missing, Refused
from factory.forge.values import Reference
from tests.forge.test_door import TOY, door_of, hub_of


def reference(kind: str, number: int, *, pull: bool = False, merged: bool = False) -> Reference:
    """Give a reference within the repository."""
    state = "closed" if merged else "open"
    return Reference(kind=kind, number=number, repo=TOY, is_pull=pull, state=state, merged=merged)


def test_what_surrounds_items_is_read_in_one_request(tmp_path: Path) -> None:
    """Who names, closes, is linked with or is a duplicate of it; files, head, comments."""
    with hub_of(tmp_path) as hub:
        octocat = hub.act("octocat")
        one, two = octocat.open(TOY, "It breaks"), octocat.open(TOY, "It hangs")
        octocat.commit(TOY, "feat", {"a.py": "x = 2\n", "sub/b.py": "y = 1\n"})
        pull = octocat.open_pull(TOY, "feat", "Mend", body=f"Fixes #{one}")
        octocat.comment(TOY, two, f"like #{one}")
        octocat.duplicate(TOY, two, one)
        octocat.connect(TOY, two, pull)
        door = door_of(hub)

        first, second, change = door.around((one, two, 99, pull))

        assert door.requests == 1
        assert first.references == (
            reference("closes", pull, pull=True),
            reference("mentions", two),
        )
        assert set(second.references) == {
            reference("duplicate", one),
            reference("connected", pull, pull=True),
        }
        assert [comment.body for comment in second.comments] == [f"like #{one}"]
        assert change.changes is not None
        assert change.changes == door.changes((pull,))[0]
        assert set(change.changes.files) == {"a.py", "sub/b.py"}
        assert (change.changes.head_ref, change.changes.head_repo) == ("feat", TOY)
        assert change.changes.head_sha == door.pull(pull).head_sha
        assert (first.changes, second.number) == (None, two)


def test_many_items_are_asked_for_a_few_at_a_time(tmp_path: Path) -> None:
    """So that no question is too large; none is asked for none."""
    with hub_of(tmp_path) as hub:
        numbers = [hub.act("octocat").open(TOY, f"No. {n}") for n in range(around.MOST + 1)]
        door = door_of(hub)

        assert [each.number for each in door.around(numbers)] == numbers
        assert door.requests == 2
        assert door.around(()) == door.changes(()) == ()
        assert door.requests == 2


def test_a_repository_that_is_gone_is_no_empty_answer(tmp_path: Path) -> None:
    """Only items may be missing."""
    with hub_of(tmp_path) as hub:
        door = door_of(hub)
        hub.life.repos.clear()
        with pytest.raises(Missing):
            door.around((1,))


@pytest.mark.parametrize(
    "answer",
    [{}, {"updatedAt": "never"}, {"updatedAt": 1}, {"updatedAt": "2026-01-01T00:00:00Z"}],
)
def test_an_answer_of_another_shape_is_a_failure(answer: dict[str, object]) -> None:
    """What is read is checked."""
    with pytest.raises(ForgeError):
        around.read(Part({"i1": answer}, "GraphQL"), (1,))


def test_all_issues_are_read_page_by_page_from_where_they_changed(tmp_path: Path) -> None:
    """The longest unchanged first, pull requests with their state; the same page once."""
    with hub_of(tmp_path) as hub:
        octocat = hub.act("octocat")
        numbers = [octocat.open(TOY, f"No. {n}") for n in range(120)]
        octocat.commit(TOY, "feat", {"a.py": "x = 2\n"})
        pull = octocat.open_pull(TOY, "feat", "Mend", draft=True)
        door = door_of(hub)

        first = door.page(since=None)
        second = door.page(since=None, place=2)

        assert first.issues is not None
        assert second.issues is not None
        assert [one.number for one in first.issues + second.issues] == [*numbers, pull]
        assert (first.following, second.following) == (True, False)
        assert (second.issues[-1].draft, second.issues[-1].merged) == (True, False)
        assert door.page(since=None, place=2, etag=second.etag).issues is None
        since = second.issues[0].updated
        assert door.page(since=since).issues == second.issues


def test_the_search_finds_in_this_repository_alone(tmp_path: Path) -> None:
    """And what it does not take is refused with its reason."""
    with hub_of(tmp_path) as hub:
        octocat = hub.act("octocat")
        number = octocat.open(TOY, "The proxy breaks", "always")
        hub.repository("octo/other")
        octocat.open("octo/other", "The proxy breaks", "here too")
        door = door_of(hub)

        assert [one.number for one in door.search("is:issue proxy")] == [number]
        with pytest.raises(Refused, match="256"):
            door.search("x" * 300)


def test_waits_for_limits_are_bounded_in_sum(tmp_path: Path) -> None:
    """Each alone would be short enough; outside of the block the door's own bound holds again."""
    with hub_of(tmp_path) as hub:
        number = hub.act("octocat").open(TOY, "It breaks")
        hub.fault("GET", "*/issues/{issue_number}", "secondary", 4, seconds=30)
        waits: list[float] = []
        door = door_of(hub, wait=waits.append)

        with door.waiting(70), pytest.raises(Limited):
            door.issue(number)
        assert waits == [30.0, 30.0]
        assert door.waited == 60.0
        door.issue(number)

        assert door.waited == 90.0
