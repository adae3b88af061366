"""The mirror: nothing lost, nothing asked twice, nothing kept that does not show."""

import sqlite3
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from factory.complaint import Complaint
from factory.forge.failures import ForgeError, Limited, Unreachable
from factory.survey.mirror import Mirror, path_of
from factory.survey.values import Link
from tests.forge.client import call
from tests.survey.forges import NOW, TOY, Scene, scene

ISSUES = "/repos/{owner}/{repo}/issues"


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Scene]:
    """Give a forge and a place for mirrors."""
    with scene(tmp_path) as found:
        yield found


def pages(at: Scene, mirror: Mirror) -> list[int]:
    """Sync, and give the statuses of the pages that were asked for."""
    door = at.door()
    asked = at.requests(lambda: mirror.sync(door, now=NOW))
    door.close()
    return [status for template, status in asked if template == ISSUES]


def opened(at: Scene, many: int) -> list[int]:
    """Open issues."""
    return [at.octocat.open(TOY, f"Trouble number {n}", "It breaks.") for n in range(many)]


def test_all_items_are_taken_over_and_an_unchanged_tail_costs_one_free_request(at: Scene) -> None:
    """The second time the forge says 304 to the one page that is asked for."""
    numbers = opened(at, 250)
    with at.mirror() as mirror:
        assert pages(at, mirror) == [200, 200, 200]
        assert mirror.items(numbers).keys() == set(numbers)

        assert pages(at, mirror) == [304]

        at.octocat.edit(TOY, numbers[3], title="Other trouble")
        new = at.octocat.open(TOY, "One more")
        assert pages(at, mirror) == [200]
        assert mirror.size == 251
        other = mirror.item(numbers[3])
        assert other is not None
        assert other.title == "Other trouble"
        assert new in mirror.ranking.rank("one more")
        assert pages(at, mirror) == [304]


def test_a_sync_that_was_cut_off_goes_on_and_repeats_no_page(at: Scene) -> None:
    """What was taken over before the forge failed is kept, with the place to go on from."""
    opened(at, 350)
    at.hub.fault("GET", "*/issues", "status", 5, skip=2, status=502)
    with at.mirror() as mirror:
        door = at.door()
        with pytest.raises(Unreachable):
            mirror.sync(door, now=NOW)
        assert mirror.size in range(195, 201)
        before = len(at.hub.log)
    with at.mirror() as mirror:
        pages(at, mirror)
        assert mirror.size == 350
    asked = [(one.query.get("since"), one.query.get("page")) for one in at.hub.log[:before]]
    again = [(one.query.get("since"), one.query.get("page")) for one in at.hub.log[before:]]
    done = [one for one, log in zip(asked, at.hub.log, strict=False) if log.status == 200]
    assert not set(filter(any, done)) & set(filter(any, again))


def test_more_items_of_one_second_than_a_page_holds_are_neither_lost_nor_looped(at: Scene) -> None:
    """Also when one of them changes in between, so that the others move up a place."""
    numbers = opened(at, 330)
    moment = at.hub.clock.now().replace(microsecond=0)
    for number in numbers[20:300]:
        at.hub.issue(TOY, number).updated = moment
    at.hub.clock.advance(60)
    for number in numbers[300:]:
        at.hub.issue(TOY, number).updated = at.hub.clock.now()
    with at.mirror() as mirror:
        door = at.door()
        mirror.sync(door, now=NOW, most=3)
        at.octocat.edit(TOY, numbers[25], body="changed meanwhile")

        assert len(pages(at, mirror)) < 12

        assert mirror.items(numbers).keys() == set(numbers)
        assert pages(at, mirror) == [304]


def test_a_whole_repository_of_one_second_costs_one_request_when_unchanged(at: Scene) -> None:
    """An import may give all items one time; then the pages are counted."""
    numbers = opened(at, 300)
    moment = at.hub.clock.now().replace(microsecond=0)
    for number in numbers:
        at.hub.issue(TOY, number).updated = moment
    with at.mirror() as mirror:
        assert len(pages(at, mirror)) <= 5
        assert mirror.size == 300
        assert pages(at, mirror) in ([200], [304])


def test_what_does_not_show_and_what_is_secret_is_not_kept(at: Scene) -> None:
    """Comments of HTML, signs without a shape, controls and keys; what stays is cut."""
    key = "ghp_" + "a1B2" * 9
    hidden = f"<!-- obey -->seen \u200b\u202ehere\x07 {key} " + "word " * 9000
    number = at.octocat.open(TOY, "Title\u200b <!-- x -->\x1b[31m", hidden)
    with at.mirror() as mirror:
        pages(at, mirror)
        kept = mirror.item(number)
        assert kept is not None
        assert kept.title == "Title [31m"
        assert kept.body.startswith("seen here ")
        assert "obey" not in kept.body
        assert key not in kept.body
        assert len(kept.body) <= 20_000
    db = sqlite3.connect(at.place / "toy.sqlite")
    (length,) = db.execute("SELECT length FROM items").fetchone()
    db.close()
    assert length == len(hidden)


def test_pull_requests_are_kept_with_their_state_and_their_surroundings(at: Scene) -> None:
    """Files, head and comments only once it is asked for; links of text and of the forge."""
    one = at.octocat.open(TOY, "It breaks")
    two = at.octocat.open(TOY, "Hangs", f"like #{one}, see `#3`")
    at.octocat.commit(TOY, "mend", {"src/net.py": "x = 2\n"})
    pull = at.octocat.open_pull(TOY, "mend", "Mend it", body=f"Fixes #{one}")
    at.octocat.comment(TOY, two, "the same as the other")
    at.octocat.duplicate(TOY, two, one)
    with at.mirror() as mirror:
        pages(at, mirror)
        found = mirror.items([one, two, pull])
        assert (found[pull].kind, found[pull].state, found[pull].files) == ("pull", "open", ())
        assert mirror.links([one])[one] == (
            Link(kind="mentions", number=two),
            Link(kind="closes", number=pull),
        )
        assert mirror.stale([one, two, pull], NOW) == (one, two, pull)
        assert mirror.unread(waiting=10, merged=10) == (pull,)

        door = at.door()
        mirror.surround((one, two, pull), door.around((one, two, pull)), NOW)

        (said,) = mirror.comments(two)
        assert said.body == "the same as the other"
        assert Link(kind="duplicate", number=one) in mirror.links([two])[two]
        whole = mirror.items([pull])[pull]
        assert (whole.files, whole.head_ref) == (("src/net.py",), "mend")
        assert mirror.changing({"src/net.py"}) == {pull}
        assert mirror.stale([one, two, pull], NOW) == ()
        assert mirror.unread(waiting=10, merged=10) == ()
        assert mirror.stale([one], NOW + timedelta(days=1)) == (one,)
        at.hub.act("octocat").merge(TOY, pull)
        pages(at, mirror)
        merged = mirror.item(pull)
        assert merged is not None
        assert merged.state == "merged"
        assert mirror.stale([pull], NOW) == (pull,)


def test_an_item_that_is_gone_from_the_forge_is_forgotten(at: Scene) -> None:
    """Deleted or transferred: it is in no list any more, and found out when it is looked at."""
    one, two = opened(at, 2)
    with at.mirror() as mirror:
        pages(at, mirror)
        at.octocat.remove(TOY, one)
        door = at.door()
        mirror.surround((one, two), door.around((one, two)), NOW)

        assert mirror.items([one, two]).keys() == {two}
        assert mirror.ranking.rank("trouble") == [two]


def test_another_repository_of_the_same_name_begins_anew(at: Scene) -> None:
    """Its numbers mean other things."""
    opened(at, 3)
    with at.mirror() as mirror:
        pages(at, mirror)
    at.hub.repository(TOY)
    number = at.octocat.open(TOY, "Of the new one")
    with at.mirror() as mirror:
        pages(at, mirror)
        assert mirror.size == 1
        new = mirror.item(number)
        assert new is not None
        assert new.title == "Of the new one"
    assert any("another repository" in line for line in at.said)


def test_a_renamed_repository_is_followed_and_not_mixed_with_others(at: Scene) -> None:
    """What it was called before still means it, in texts and in the remote's address."""
    at.hub.repository("octo/renamed")
    one = at.octocat.open("octo/renamed", "It breaks")
    two = at.octocat.open("octo/renamed", "Also", f"octo/toy#{one}, octo/renamed#{one}, x/y#{one}")
    moved = {"location": f"{at.hub.api_url}/repos/octo/renamed"}
    at.hub.fault("GET", "/repos/octo/toy", "status", status=301, body={}, headers=moved)
    pages = {"location": f"{moved['location']}/issues?state=all&sort=updated&direction=asc"}
    at.hub.fault("GET", "/repos/octo/toy/issues", "status", status=301, body={}, headers=pages)
    with at.mirror() as mirror:
        mirror.sync(at.door(), now=NOW)
        assert (mirror.size, mirror.full) == (2, "octo/renamed")
        assert mirror.links([two])[two] == (Link(kind="mentions", number=one),)
    assert "octo/toy is called octo/renamed now" in at.said


@pytest.mark.parametrize("harm", ["text", "torn", "newer"])
def test_a_broken_file_is_made_anew_with_a_word(at: Scene, harm: str) -> None:
    """No database, a torn one, or one of another version: it holds nothing that cannot be read."""
    opened(at, 120)
    with at.mirror() as mirror:
        pages(at, mirror)
    path = at.place / "toy.sqlite"
    if harm == "text":
        path.write_text("nothing of a database, but long enough to be looked at" * 40)
    elif harm == "torn":
        data = bytearray(path.read_bytes())
        data[4096:20480] = b"\xff" * 16384
        path.write_bytes(data)
    else:
        db = sqlite3.connect(path)
        db.execute("PRAGMA user_version = 99")
        db.close()
    with at.mirror() as mirror:
        assert mirror.size == 0
        pages(at, mirror)
        assert mirror.size == 120
    assert sum("made anew" in line for line in at.said) == 1


def test_a_mirror_that_cannot_be_opened_is_a_complaint(at: Scene) -> None:
    """With its path and what to look at."""
    (at.place / "toy.sqlite").mkdir()
    with pytest.raises(Complaint, match=r"toy\.sqlite"):
        at.mirror()


def test_two_surveys_at_once_do_not_ask_twice(at: Scene) -> None:
    """The second one waits for the first, and then has nothing left to ask for but the tail."""
    opened(at, 300)
    begun, sizes = threading.Barrier(2), list[int]()

    def sync() -> None:
        with at.mirror() as mirror:
            door = at.door()
            begun.wait()
            mirror.sync(door, now=NOW, patience=30)
            sizes.append(mirror.size)

    threads = [threading.Thread(target=sync) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sizes == [300, 300]
    asked = [one for one in at.hub.log if one.template == ISSUES]
    assert sorted(one.status for one in asked) == [200] * 4 + [304]


def test_whoever_may_not_wait_reads_what_is_there(at: Scene) -> None:
    """Without a request, and with a word."""
    opened(at, 2)
    held, let_go = threading.Event(), threading.Event()

    def hold() -> None:
        with at.mirror() as mirror, mirror.lock:
            held.set()
            let_go.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(30)
    with at.mirror() as mirror:
        assert mirror.sync(at.door(), now=NOW).requests == 0
    let_go.set()
    thread.join()
    assert any("another survey" in line for line in at.said)


def test_a_limit_that_lasts_longer_than_may_be_waited_keeps_what_was_read(at: Scene) -> None:
    """All waits count together."""
    opened(at, 250)
    at.hub.fault("GET", "*/issues", "secondary", 2, skip=1, seconds=40)
    with at.mirror() as mirror:
        door = at.door()
        with door.waiting(60), pytest.raises(Limited):
            mirror.sync(door, now=NOW)
        assert mirror.size >= 100
        assert at.waits == [40.0]
        assert door.waited == 40.0


def test_a_mirror_lies_with_the_repository_in_small_letters(at: Scene) -> None:
    """The forge does not tell Octo from octo."""
    assert path_of(Path("/r/.git"), at.repo) == Path("/r/.git/factory/mirror/octo+toy.sqlite")


def told(at: Scene, times: int, *, again: bool = False, **changed: object) -> None:
    """Let the forge answer with its one item, but for what is changed."""
    (item,) = call(at.hub, at.token, "GET", "/repos/octo/toy/issues")
    link = f'<{at.hub.api_url}/repos/octo/toy/issues?page=2>; rel="next"'
    headers = {"link": link} if again else {}
    body = [item | changed]
    at.hub.fault("GET", "*/issues", "status", times, status=200, body=body, headers=headers)


def test_a_forge_whose_pages_go_in_a_circle_is_asked_no_more(at: Scene) -> None:
    """The same page under the next number says so; later, all that is new is read again."""
    opened(at, 1)
    told(at, 3, again=True)
    with at.mirror() as mirror:
        with pytest.raises(ForgeError, match="again and again"):
            pages(at, mirror)
        opened(at, 2)
        pages(at, mirror)
        assert mirror.size == 3


def test_a_time_to_come_does_not_keep_later_changes_out(at: Scene) -> None:
    """An item that is told to have changed in years to come is not where reading goes on."""
    opened(at, 1)
    told(at, 1, again=True, updated_at="9999-01-01T00:00:00Z")
    with at.mirror() as mirror:
        pages(at, mirror)
        opened(at, 2)
        pages(at, mirror)
        assert mirror.size == 3


def test_a_repository_is_kept_by_a_name_that_one_may_have(at: Scene) -> None:
    """Another one is no word for a search or a terminal; half characters do not stop a survey."""
    there = call(at.hub, at.token, "GET", "/repos/octo/toy")
    for changed in ({"full_name": "octo/toy is:open\x1b[2J"}, {"node_id": "R_\ud800"}):
        body = there | changed
        at.hub.fault("GET", "/repos/{owner}/{repo}", "status", status=200, body=body)
    with at.mirror() as mirror:
        with pytest.raises(ForgeError, match="none that a repository may have"):
            pages(at, mirror)
        assert pages(at, mirror) == [200]
        assert mirror.full == TOY


@pytest.mark.parametrize(
    "changed",
    [
        {"number": 10**30},
        {"comments": -(2**63) - 1},
        {"updated_at": "0001-01-01T00:00:00+14:00"},
    ],
    ids=["number", "count", "time"],
)
def test_what_no_database_holds_is_the_forges_fault(at: Scene, changed: dict[str, object]) -> None:
    """Numbers and times out of all range are refused in the forge's own kind of error."""
    opened(at, 1)
    told(at, 1, **changed)
    with at.mirror() as mirror, pytest.raises(ForgeError, match=r"no number that|is no time"):
        pages(at, mirror)
