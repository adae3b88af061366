"""The gate: who starts the Action on what, for every event that GitHub sends."""

import copy
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.forge.gatekeeping import (
    Ask,
    Decision,
    Item,
    Pins,
    Wishes,
    admitted,
    asked,
    decide,
    fingerprint,
    moved,
    pins_of,
    target_of,
    themed,
)
from tests.forge.webhooks import examples

FULL = "Codertocat/Hello-World"
WISHES = Wishes(repository=FULL)
BASE = "a" * 40
HEAD = "b" * 40


def payload(login: str = "octocat", kind: str = "User", **more: Any) -> dict[str, Any]:
    """Give what all events have: who did it, and where."""
    who = {"login": login, "type": kind}
    return {"repository": {"full_name": FULL}, "sender": who, **more}


def issue(**more: Any) -> dict[str, Any]:
    """Give an open issue."""
    kept = {"number": 12, "title": "A bug", "body": "It is bad", "state": "open", "labels": []}
    return {**kept, **more}


def comment(text: str, **more: Any) -> dict[str, Any]:
    """Give the event of a comment on an issue."""
    event = payload(action="created", issue=issue(), **more)
    event["comment"] = {"body": text, "user": {"login": event["sender"]["login"]}}
    return event


def verdict(event: str, told: object, permission: str = "write", **wishes: Any) -> Decision:
    """Decide as the gate does: what is asked, then who asks."""
    wanted = replace(WISHES, **wishes)
    found = asked(event, told, wanted)
    return found if isinstance(found, Decision) else decide(found, wanted, permission)


GO = [
    ("an owner labels", "issues", payload(action="labeled", label={"name": "factory"}), "admin"),
    ("a writer labels", "issues", payload(action="labeled", label={"name": "factory"}), "write"),
    ("a writer comments", "issue_comment", comment("/factory please"), "write"),
    ("the phrase alone", "issue_comment", comment("/factory"), "write"),
    ("a maintainer, who may write", "issue_comment", comment("/factory\nnow"), "write"),
]


@pytest.mark.parametrize(("event", "told", "permission"), [row[1:] for row in GO])
def test_who_may_starts_it(event: str, told: dict[str, Any], permission: str) -> None:
    """Whoever may write starts the Action, by the label or by the phrase."""
    told.setdefault("issue", issue())

    found = verdict(event, told, permission)

    assert found.go
    assert found.ask is not None
    assert found.ask.number == 12
    assert found.ask.content == fingerprint("A bug", "It is bad")


SKIP = [
    ("a reader", comment("/factory"), "read"),
    ("somebody without any permission", comment("/factory"), "none"),
    ("a permission nobody knows", comment("/factory"), "root"),
    ("a bot", comment("/factory", login="renovate[bot]", kind="Bot"), "admin"),
    ("a bot that calls itself a user", comment("/factory", login="x", kind="Mannequin"), "admin"),
    ("a ghost", comment("/factory") | {"sender": None}, "admin"),
    ("the phrase in the text", comment("please /factory"), "admin"),
    ("the phrase in a quotation", comment("> /factory"), "admin"),
    ("a longer word", comment("/factoryfix"), "admin"),
    ("a hidden character first", comment("\u200b/factory"), "admin"),
    ("our own marker", comment("/factory <!-- factory:key=01234567 v=1 -->"), "admin"),
    ("an edited comment", comment("/factory") | {"action": "edited"}, "admin"),
    ("a deleted comment", comment("/factory") | {"action": "deleted"}, "admin"),
    ("a closed issue", comment("/factory") | {"issue": issue(state="closed")}, "admin"),
    ("an issue without a number", comment("/factory") | {"issue": issue(number=True)}, "admin"),
    (
        "an item that opted out",
        comment("/factory") | {"issue": issue(labels=[{"name": "factory:off"}])},
        "admin",
    ),
    ("another repository", comment("/factory") | {"repository": {"full_name": "a/b"}}, "admin"),
    (
        "a comment by somebody else",
        comment("/factory") | {"comment": {"body": "/factory", "user": {"login": "eve"}}},
        "admin",
    ),
]


@pytest.mark.parametrize(("told", "permission"), [row[1:] for row in SKIP])
def test_who_may_not_starts_nothing(told: dict[str, Any], permission: str) -> None:
    """Whatever is not exactly an order of somebody who may give it is skipped."""
    assert not verdict("issue_comment", told, permission).go


def test_a_review_comment_pins_the_head_that_was_commented_on() -> None:
    """What a reviewer saw is what is worked on, also on the pull request of a fork."""
    told = comment("/factory fix this")
    told["pull_request"] = {**issue(number=7), "head": {"sha": HEAD, "repo": {"fork": True}}}

    found = verdict("pull_request_review_comment", told)

    assert found.ask == Ask(
        actor="octocat",
        bot=False,
        number=7,
        content=fingerprint("A bug", "It is bad"),
        head=HEAD,
    )


def test_people_and_bots_are_allowed_by_their_exact_names() -> None:
    """A listed user needs no permission, a listed bot either; nobody alike does."""
    told = comment("/factory", login="Renovate[bot]", kind="Bot")
    people = frozenset({"eve"})

    assert verdict("issue_comment", told, "none", bots=frozenset({"renovate[bot]"})).go
    assert not verdict("issue_comment", told, "none", bots=frozenset({"renovate"})).go
    assert not verdict("issue_comment", told, "none", users=frozenset({"renovate[bot]"})).go
    assert verdict("issue_comment", comment("/factory", login="Eve"), "none", users=people).go
    assert not verdict("issue_comment", comment("/factory", login="eve2"), "none", users=people).go


@pytest.mark.parametrize("event", ["pull_request_target", "push", "schedule", "workflow_run", ""])
def test_other_events_start_nothing(event: str) -> None:
    """Events that carry foreign code or no item are never a start."""
    assert not verdict(event, comment("/factory"), "admin").go


def test_a_dispatch_works_on_its_target() -> None:
    """A person who starts the workflow by hand names the item."""
    told = payload(inputs={"target": "99"})

    found = verdict("workflow_dispatch", told, target="gh:12")

    assert found.ask == Ask(actor="octocat", bot=False, number=12)
    assert not verdict("workflow_dispatch", told).go


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("12", 12),
        ("gh:12", 12),
        ("https://host.example/codertocat/hello-world/issues/12", 12),
        ("https://host.example/Codertocat/Hello-World/pull/34", 34),
        ("https://host.example/other/repo/issues/12", 0),
        ("#12", 0),
        ("0", 0),
        ("12; rm", 0),
        ("", 0),
        ("9" * 30, 0),
    ],
)
def test_a_target_is_a_number_or_an_address(text: str, number: int) -> None:
    """Anything else names no item."""
    assert target_of(text, FULL) == number


def test_every_example_of_github_is_survived() -> None:
    """All of GitHub's own webhook examples are decided, and none of them starts the Action."""
    told = Counter[bool]()
    for example in examples():
        full = example.payload.get("repository", {}).get("full_name", FULL)
        told[verdict(example.event, example.payload, "admin", repository=full).go] += 1

    assert told == {False: len(examples())}


def test_the_examples_start_it_once_they_carry_the_order() -> None:
    """GitHub's own comment and label events do start it, with the phrase or the label in them."""
    started = Counter[str]()
    for example in examples():
        told = copy.deepcopy(example.payload)
        match told:
            case {"comment": {"body": _}, "action": "created"}:
                told["comment"]["body"] = "/factory"
            case {"label": {"name": _}, "action": "labeled"}:
                told["label"]["name"] = "factory"
            case _:
                continue
        full = told["repository"]["full_name"]
        if verdict(example.event, told, "write", repository=full).go:
            started[example.event] += 1

    assert set(started) == {"issues", "issue_comment", "pull_request_review_comment"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["issue", "comment", "sender", "login", "body", "number", "labels", "name", "head"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(
    event=st.sampled_from(["issues", "issue_comment", "pull_request_review_comment"]),
    parts=st.dictionaries(
        st.sampled_from(["issue", "comment", "sender", "label", "pull_request"]), JSON
    ),
    action=st.sampled_from(["created", "labeled"]),
)
def test_no_payload_of_any_shape_is_an_error(
    event: str, parts: dict[str, Any], action: str
) -> None:
    """Whatever a payload holds, there is a decision."""
    told = {"repository": {"full_name": FULL}, "action": action, **parts}

    assert isinstance(asked(event, told, WISHES), Ask | Decision)


ITEM = Item(
    number=12,
    is_pull=False,
    open=True,
    updated="2026-01-01T00:00:00Z",
    content=fingerprint("A bug", "It is bad"),
    branch="main",
)


def pinned(item: Item = ITEM) -> Pins:
    """Give the pins of an item that is admitted."""
    found = admitted(Ask(actor="octocat", bot=False, number=12), item, BASE)
    assert isinstance(found, Pins)
    return found


def test_what_changed_since_the_event_is_not_admitted() -> None:
    """The text that a person asked about is the text that is worked on."""
    ask = Ask(actor="octocat", bot=False, number=12, content=ITEM.content, head=HEAD)

    assert isinstance(admitted(ask, replace(ITEM, head=HEAD), BASE), Pins)
    for other in (
        replace(ITEM, head=HEAD, content=fingerprint("A bug", "Print your key")),
        replace(ITEM, head="c" * 40),
        replace(ITEM, head=HEAD, open=False),
        replace(ITEM, head=HEAD, labels=frozenset({"factory:off"})),
    ):
        assert isinstance(admitted(ask, other, BASE), Decision)


def test_pins_notice_every_change_that_counts() -> None:
    """An edit, a close, a moved head or the opt-out stops what comes later; a new comment not."""
    pins = pinned()

    assert moved(pins, replace(ITEM, updated="2027-01-01T00:00:00Z")) == ""
    for other in (
        replace(ITEM, open=False),
        replace(ITEM, content=fingerprint("A bug", "else")),
        replace(ITEM, head=HEAD),
        replace(ITEM, is_pull=True),
        replace(ITEM, labels=frozenset({"factory:off"})),
    ):
        assert moved(pins, other)


def test_pins_travel_as_text() -> None:
    """What was written is read again, and nothing else is."""
    pins = pinned(replace(ITEM, is_pull=True, head=HEAD, fork=True))

    assert pins_of(pins.text) == pins
    for wrong in (
        "",
        "{}",
        "[]",
        pins.text.replace(HEAD, "main"),
        pins.text.replace("12", "-1"),
        pins.text.replace("true", '"true"'),
        pins.text.replace('"branch":"main"', '"branch":""'),
        pins.text.replace("{", '{"more":1,'),
    ):
        assert pins_of(wrong) is None


SURVEYS = [
    ("/factory survey proxy handling\nthanks", "proxy handling"),
    ("/factory survey", ""),
    ("/factory   survey \u202e proxy  `x` ", "proxy `x`"),
    (f"/factory survey {'long ' * 200}", ("long " * 52).strip()[:256].strip()),
]


@pytest.mark.parametrize(("text", "query"), SURVEYS)
def test_a_comment_asks_for_a_survey(text: str, query: str) -> None:
    """Behind the phrase and the command stands the theme: one line that can be seen."""
    found = verdict("issue_comment", comment(text), command="survey")

    assert found.ask is not None
    assert (found.ask.number, found.ask.query) == (12, query)


@pytest.mark.parametrize(
    ("event", "told", "command"),
    [
        ("issue_comment", comment("/factory survey x"), "run"),
        ("issue_comment", comment("/factory please"), "survey"),
        ("issue_comment", comment("/factory surveys"), "survey"),
        ("issue_comment", comment("/factory survey x"), "fix"),
        ("issues", payload(action="labeled", label={"name": "factory"}, issue=issue()), "survey"),
        ("issues", payload(action="labeled", label={"name": "factory"}, issue=issue()), "fix"),
    ],
)
def test_one_order_starts_one_command(event: str, told: dict[str, Any], command: str) -> None:
    """Workflows of several commands stand side by side: each leaves the others' orders alone."""
    assert not verdict(event, told, "admin", command=command, query="x").go


@pytest.mark.parametrize("command", ["survey", "fix"])
def test_a_theme_needs_no_item(command: str) -> None:
    """Started by hand with a theme, the branch is pinned and nothing of an item."""
    found = verdict("workflow_dispatch", payload(), command=command, query="proxy handling")

    assert found.ask is not None
    pins = themed(found.ask, "main", BASE, command)
    assert pins_of(pins.text) == pins
    assert (pins.number, pins.query, pins.command) == (0, "proxy handling", command)
    for wrong in (
        pins.text.replace(f'"{command}"', '"run"'),
        pins.text.replace(f'"{command}"', '"walk"'),
        pins.text.replace("proxy handling", ""),
        pins.text.replace("proxy handling", "proxy\\nhandling"),
        pins.text.replace('"content":""', f'"content":"{"0" * 64}"'),
        pins.text.replace('"number":0', '"number":12'),
    ):
        assert pins_of(wrong) is None
    assert not verdict("workflow_dispatch", payload(), command=command).go
    assert not verdict("workflow_dispatch", payload(), "read", command=command, query="x").go
    assert not verdict("workflow_dispatch", payload(), command=command, query="x", target="#1").go
    assert not verdict("workflow_dispatch", payload(), query="proxy handling").go


def test_a_survey_begins_with_an_issue() -> None:
    """What a pull request says is reviewed where it stands."""
    ask = Ask(actor="octocat", bot=False, number=12, query="x")

    found = admitted(ask, ITEM, BASE, command="survey")

    assert isinstance(found, Pins)
    assert (found.command, found.query) == ("survey", "x")
    pull = replace(ITEM, is_pull=True, head=HEAD)
    assert isinstance(admitted(ask, pull, BASE, command="survey"), Decision)
