"""Near duplicates: the same wish twice is found, and nothing else."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.duplicates import near_duplicates
from stations.contract import Agent, Job, Kind, StationSpec
from worktrees.names import JobId, StationName
from worktrees.scope import Scope, widest


def job(name: str, text: str, **changed: object) -> Job:
    """Give a job with this text."""
    title, _, brief = text.partition("|")
    given: dict[str, object] = {
        "id": JobId(name),
        "title": title,
        "brief": brief or title,
        "scope": widest(),
        "route": StationName("code"),
        **changed,
    }
    return Job(**given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Fix the parser", "Fix the parser"),
        ("Fix the parser", "fix  the parser."),
        ("Please fix the parser!", "Fix parser"),
        ("Fix it|- Fix `a.b`\n- Test it", "Fix it|* fix `a.b`\n\n* test it."),
    ],
)
def test_the_same_wish_in_another_form_is_a_duplicate(one: str, other: str) -> None:
    """Spacing, articles, politeness, list marks and a first capital make no other wish."""
    ((kept, dropped, why),) = near_duplicates([job("a", one), job("b", other)])

    assert (kept, dropped) == ("a", "b")
    assert why.endswith("for the same station and scope")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Edit file 17", "Edit file 18"),
        ("Edit src/a.py", "Edit src/A.py"),
        ("Rename alpha to beta", "Rename beta to alpha"),
        ("Rename User to user", "Rename user to User"),
        ("Use version 1.2", "Use version 12"),
        ("Set x to -1", "Set x to 1"),
        ("Remove `foo`", "Remove `Foo`"),
        ('Say "a the b"', 'Say "a b"'),
        ("Allow empty names", "Do not allow empty names"),
        ("Check a.b", "Check a b"),
        ("Fix it|Use a - b", "Fix it|Use a b"),
        ("Fix it|Use a\n- b", "Fix it|Use a\nb"),
    ],
)
def test_what_may_mean_something_else_is_kept(one: str, other: str) -> None:
    """A number, a path, an identifier, a quote, an order or a sign makes another wish."""
    assert near_duplicates([job("a", one), job("b", other)]) == ()


@pytest.mark.parametrize(
    "changed",
    [
        {"scope": Scope(write=("src/**",))},
        {"route": StationName("other")},
        {"accept": (("make", "test"),)},
        {"needs": (JobId("z"),)},
    ],
)
def test_another_place_or_proof_is_another_job(changed: dict[str, object]) -> None:
    """Station, scope, acceptance and needs must be equal too."""
    assert near_duplicates([job("a", "Fix it"), job("b", "Fix it", **changed)]) == ()


def test_the_order_of_globs_counts_only_with_a_negation() -> None:
    """A scope is the same when its globs stand in another order and none takes away."""
    plain = [
        job("a", "Fix", scope=Scope(write=("a", "b"))),
        job("b", "Fix", scope=Scope(write=("b", "a"))),
    ]
    taking = [
        job("a", "Fix", scope=Scope(write=("a", "!b"))),
        job("b", "Fix", scope=Scope(write=("!b", "a"))),
    ]

    assert len(near_duplicates(plain)) == 1
    assert near_duplicates(taking) == ()


def test_a_job_that_others_need_is_never_dropped() -> None:
    """Dropping it would leave its dependants without what they wait for."""
    jobs = [job("a", "Fix it"), job("b", "Fix it"), job("c", "Go on", needs=(JobId("b"),))]

    assert near_duplicates(jobs) == ()


def test_commands_are_duplicates_only_with_equal_texts() -> None:
    """A command station's text may be its input: nothing in it is read as politeness."""
    spec = StationSpec(name=StationName("code"), kind=Kind.COMMAND, scope=widest(), run=("x",))
    coding = StationSpec(
        name=StationName("code"), kind=Kind.CODE, scope=widest(), agent=Agent(runtime="sdk")
    )
    jobs = [job("a", "Fix the file"), job("b", "Fix file"), job("c", "Fix file")]

    assert [(kept, gone) for kept, gone, _ in near_duplicates(jobs, [spec])] == [("b", "c")]
    assert [(kept, gone) for kept, gone, _ in near_duplicates(jobs, [coding])] == [
        ("a", "b"),
        ("a", "c"),
    ]


def test_a_thousand_numbered_jobs_are_never_duplicates_and_soon_told() -> None:
    """1,000 jobs that differ in a number only are all kept, in well under a second."""
    brief = "Edit the file as the guide says. Keep its tests green. " * 10
    jobs = [job(f"j{n}", f"Edit file {n}|{brief} It is src/module_{n}.py.") for n in range(1000)]

    before = time.process_time()
    assert near_duplicates(jobs) == ()
    assert time.process_time() - before < 1


@given(st.lists(st.text(max_size=20), max_size=8))
def test_every_job_is_kept_or_has_one_that_is(texts: list[str]) -> None:
    """What is dropped is dropped once, and for a job that stays."""
    jobs = [job(f"j{n}", text) for n, text in enumerate(texts)]

    pairs = near_duplicates(jobs)

    dropped = [gone for _, gone, _ in pairs]
    assert len(dropped) == len(set(dropped))
    assert not {kept for kept, _, _ in pairs} & set(dropped)
