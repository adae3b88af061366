"""The plan of a run that has not begun."""

from factory import planning
from stations.contract import Kind
from tests.factory.works import rules, spec, task
from worktrees.names import JobId

TRACKED = ("a/x", "b/x", "c/x")


def test_each_job_has_the_first_round_in_which_it_can_start() -> None:
    """Needs count wherever they stand in the list; of an overlap the later job waits."""
    late = task("late", "b/**", needs=(JobId("early"),))
    early, other = task("early", "a/**"), task("other", "a/x")

    made = planning.plan(rules(), [late, early, other], tracked=TRACKED, refused={})

    assert [(each.job.id, each.wave) for each in made.jobs] == [
        ("late", 2),
        ("early", 1),
        ("other", 2),
    ]
    assert [each.waits_for for each in made.jobs] == [("early",), (), ("early",)]
    assert [each.overlaps for each in made.jobs] == [(), ("other",), ("early",)]
    assert made.waves == 2


def test_a_job_that_is_needed_is_never_behind_who_needs_it() -> None:
    """An overlap of a job with its own need is told, and the need goes first."""
    made = planning.plan(
        rules(),
        [task("late", "a/**", needs=(JobId("early"),)), task("early", "a/**")],
        tracked=TRACKED,
        refused={},
    )

    assert [(each.wave, each.waits_for) for each in made.jobs] == [(2, ("early",)), (1, ())]


def test_a_refused_job_takes_no_place() -> None:
    """What is refused is told and holds nobody up."""
    twin = task("twin", "a/**")

    made = planning.plan(
        rules(), [task("one", "a/**"), twin], tracked=TRACKED, refused={twin.id: "the same"}
    )

    assert [(each.wave, each.overlaps, each.refused) for each in made.jobs] == [
        (1, (), ""),
        (0, (), "the same"),
    ]


def test_the_constraint_is_said_from_seats_and_order() -> None:
    """One job is no order; a chain is; more jobs than seats name their station."""
    chain = [task("a"), task("b", needs=(JobId("a"),))]

    def said(jobs: list, seats: int = 4) -> str:
        made = planning.plan(rules(seats=seats), jobs, tracked=TRACKED, refused={})
        return made.constraint

    assert said([]) == "nothing to do"
    assert said([task("a")]) == "code: 1 job for 4 seats; tests run 2 at a time"
    assert said([task("a"), task("b")]).startswith("code: 2 jobs for 4 seats")
    assert said([task("a"), task("b"), task("c")], seats=1).startswith("code: 3 jobs for 1 seat;")
    assert said(chain).startswith("order: 2 jobs must run one after the other")


def test_doubts_are_said_before_money_is_spent() -> None:
    """Missing tests and acceptance, wide and empty scopes and thin briefs are warned of."""
    jobs = [task("wide", "**", brief="short"), task("nowhere", "z/**", accept=(("true",),))]

    made = planning.plan(rules(spec("code")), jobs, tracked=TRACKED, refused={}, said=["note"])

    assert made.warnings == (
        "note",
        "no test station: what agents make would land untested",
        "no acceptance command says when it is done: wide",
        "the brief is very short: wide",
        "the scope holds more than 50% of the files: wide",
        "the scope matches no file yet: nowhere",
    )
    asks = rules(spec("code"), spec("ask", Kind.READ), spec("tests", Kind.TEST))
    reads = planning.plan(asks, [task("q", route="ask")], tracked=TRACKED, refused={})
    assert reads.warnings == ()
