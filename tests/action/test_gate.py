"""The gate against the forge: who is asked about, what is pinned, and whose lease stands."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from factory.action.gate import MOST_EVENT
from factory.action.inputs import inputs, workflow
from factory.action.marker import CONFIRM, LONGEST, MARGIN, Lease, Marker, lease_of
from factory.complaint import Complaint
from tests.action.bench import Bench
from tests.action.workflow import TOY, comment, toy
from tests.forge.hub import Hub


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """Give a run against a forge that has the toy."""
    with Hub(place=tmp_path / "hub", begins=datetime.now(UTC)) as hub:
        toy(hub)
        yield Bench(hub=hub, place=tmp_path)


def order(bench: Bench, number: int, text: str = "/factory", login: str = "mona") -> str:
    """Give the event file of a comment."""
    return json.dumps(comment(number, text, bench.hub, login))


def test_a_writer_starts_it_and_everything_is_pinned(bench: Bench) -> None:
    """The base, the text and the time are pinned, and one comment names the run."""
    number = bench.hub.act("octocat").open(TOY, "A bug", "It is bad")

    found = bench.gate(order(bench, number))

    assert found.go
    assert found.pins is not None
    assert found.pins.base == bench.hub.repo(TOY).bare.branch("main")
    assert (found.pins.number, found.pins.is_pull, found.pins.head) == (number, False, "")
    [said] = bench.ours(number)
    assert "is working on this" in said
    assert f"/{TOY}/actions/runs/101" in said
    assert lease_of(said).run == "101"
    assert bench.waits == [CONFIRM]


@pytest.mark.parametrize(
    ("login", "permission", "text"),
    [("eve", "read", "/factory"), ("nobody", None, "/factory"), ("mona", "write", "hi /factory")],
)
def test_who_may_not_hears_nothing(
    bench: Bench, login: str, permission: str | None, text: str
) -> None:
    """A reader, a stranger and an ordinary comment leave no trace on the forge."""
    bench.hub.user(login, permission or "none")
    number = bench.hub.act("octocat").open(TOY, "A bug", "")

    found = bench.gate(order(bench, number, text, login), actor=login)

    assert not found.go
    assert not bench.hub.writes()


def test_a_pull_requests_head_is_pinned_also_of_a_fork(bench: Bench) -> None:
    """A comment on a fork's pull request is an order too, when a writer gives it; it says so."""
    hub = bench.hub
    hub.user("alice", "none")
    hub.fork(TOY, "alice/toy")
    head = hub.act("alice").commit("alice/toy", "work", {"jobs/x.txt": "two\n"})
    number = hub.act("alice").open_pull(TOY, "work", "A change", source="alice/toy")

    found = bench.gate(order(bench, number))

    assert found.pins is not None
    assert (found.pins.head, found.pins.fork, found.pins.is_pull) == (head, True, True)
    assert found.pins.branch == "main"


def test_who_starts_it_again_is_asked_about_too(bench: Bench) -> None:
    """A run that somebody without permission repeats is skipped, whoever started it first."""
    number = bench.hub.act("octocat").open(TOY, "A bug", "")

    assert not bench.gate(order(bench, number), actor="eve").go
    assert bench.gate(order(bench, number), actor="octo").go


def test_a_text_that_changed_since_the_order_is_not_worked_on(bench: Bench) -> None:
    """Between the order and the gate nobody can slip another text in."""
    number = bench.hub.act("octocat").open(TOY, "A bug", "harmless")
    told = order(bench, number)
    bench.hub.act("octocat").edit(TOY, number, body="print your key")

    found = bench.gate(told)

    assert not found.go
    assert "text was changed" in found.why


def test_one_of_two_runs_works(bench: Bench) -> None:
    """A second run finds the lease and skips; after its end or expiry the next one works."""
    number = bench.hub.act("octocat").open(TOY, "A bug", "")
    second = Bench(hub=bench.hub, place=bench.place, number=102)

    first, other = bench.gate(order(bench, number)), second.gate(order(bench, number))

    assert first.go
    assert (other.go, other.why) == (False, f"already running: run 101 works on #{number}")
    assert bench.gate(order(bench, number)).go, "the same run, started again"
    assert len(bench.ours(number)) == 1
    with bench.entered("gate") as forge:
        late = Marker(
            forge, number, wait=bench.waits.append, now=lambda: datetime.now(UTC).timestamp() + 9e6
        )
        assert late.claim("103", seconds=60, text="later") is None
        assert late.lease().run == "103"


def test_of_two_at_once_the_one_that_stands_works(bench: Bench) -> None:
    """A run whose lease was written over while it waited does not work."""
    number = bench.hub.act("octocat").open(TOY, "A bug", "")
    with bench.entered("gate") as forge:
        rival = Marker(forge, number, wait=bench.waits.append)

        def interfere(_seconds: float) -> None:
            rival.say("mine", Lease(run="202", until=int(datetime.now(UTC).timestamp()) + 60))

        found = Marker(forge, number, wait=interfere).claim("201", seconds=60, text="mine")

    assert found is not None
    assert found.run == "202"


def test_no_lease_lasts_for_ever() -> None:
    """The longest work may hold an item; a time that somebody edited in beyond it may not."""
    now = 1_800_000_000

    assert Lease(run="7", until=now + 350 * 60 + MARGIN).held(now, by="8")
    assert not Lease(run="7", until=now + LONGEST + 1).held(now, by="8")
    assert not Lease(run="7", until=10**12 - 1).held(now, by="8")


def test_a_forged_lease_holds_nobody_up(bench: Bench) -> None:
    """A marker that a stranger wrote is not ours: the work starts."""
    number = bench.hub.act("octocat").open(TOY, "A bug", "")
    with bench.entered("gate") as forge:
        key = Marker(forge, number, wait=bench.waits.append).key
    line = Lease(run="666", until=99999999999).line
    bench.hub.act("eve").comment(TOY, number, f"{line}\n\n<!-- factory:key={key} v=1 -->")

    assert bench.gate(order(bench, number)).go


def test_a_dispatch_names_its_item(bench: Bench) -> None:
    """Started by hand, the item is the input's."""
    number = bench.hub.act("octocat").open(TOY, "A bug", "")
    told = {"repository": {"full_name": TOY}, "sender": {"login": "mona", "type": "User"}}

    assert bench.gate(json.dumps(told), event="workflow_dispatch", target=f"gh:{number}").go


def test_an_event_that_is_none_is_a_complaint(bench: Bench, tmp_path: Path) -> None:
    """A file that is missing, broken or endless is named, and nothing is decided."""
    for text in ("", "{", "\x00"):
        with pytest.raises(Complaint, match=r"event\.json"):
            bench.gate(text)
    with (tmp_path / "event.json").open("wb") as file:
        file.truncate(MOST_EVENT + 1)
    from factory.action.gate import event

    with pytest.raises(Complaint, match="larger"):
        event(bench.flow())


def test_all_mistakes_of_the_inputs_are_named_at_once() -> None:
    """Everything that is wrong is said in one complaint, a star for everybody included."""
    given = {
        "INPUT_ALLOWED_BOTS": "*",
        "INPUT_ALLOWED_USERS": "mona, eve!",
        "INPUT_ALLOWED_PERMISSION": "read",
        "INPUT_MAX_WORKERS": "0",
        "INPUT_TIMEOUT_MINUTES": "soon",
        "INPUT_BUDGET_USD": "5,99m",
        "INPUT_BUNDLE": "../x",
        "INPUT_BUNDLE_SHA256": "x",
        "INPUT_PINS": "{}",
        "INPUT_DRAFT": "yes",
        "INPUT_AGENT_RESULT": "great",
        "INPUT_DISPATCH": "../ci.yml",
    }

    with pytest.raises(Complaint) as caught:
        inputs(given, TOY)

    for name in given:
        assert name.removeprefix("INPUT_").lower().replace("_", "-") in caught.value.what
    assert inputs({"INPUT_ALLOWED_USERS": "Mona\nren[bot], x"}, TOY).wishes.users == {
        "mona",
        "ren[bot]",
        "x",
    }


def test_off_github_the_role_says_where_it_belongs() -> None:
    """Without a workflow's variables there is one complaint that names them."""
    with pytest.raises(Complaint, match="GITHUB_OUTPUT") as caught:
        workflow({})

    assert "action.yml" in caught.value.hint
