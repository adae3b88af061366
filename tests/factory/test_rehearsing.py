"""Rehearsal: what became of replayed commits is read from the events, and what to try again."""

from dataclasses import replace

import pytest
from pydantic import TypeAdapter

from factory import patching, rehearsal, rehearsing
from factory.cli.place import NO_SETTINGS
from factory.complaint import Complaint
from factory.events import Advanced, Killed, Retried, Rules
from factory.rehearsal import Change, Ended, Fate, Told
from factory.rehearsing import Wish
from factory.views.rehearsal import document, parts
from factory.views.schemas import RehearsalDocument
from factory.views.screen import Cell
from stations.contract import Agent, Escalated, Failed, Kind, Strayed, Unchanged
from tests.conftest import commit_files
from tests.factory.planted import RULES, Tale, job, oid, station
from worktrees.git import Repository
from worktrees.names import JobId, Oid
from worktrees.scope import Scope

CONFLICT = f"exit 3: {patching.CONFLICT} a/x"
WISH = Wish(commits=5, tip=oid("tip"))


def change(name: str, *paths: str, placed: bool = True) -> Change:
    """Give a commit of that name, on the line unless told otherwise."""
    return Change(
        commit=oid(f"commit {name}"),
        title=f"Change {name}",
        paths=paths or (f"{name}/x",),
        station="api" if placed else "",
        job=JobId(name) if placed else None,
    )


def told(tale: Tale, *changes: Change) -> Told:
    """Give what a tale tells of changes, by default of one for each of its jobs."""
    every = changes or tuple(change(name) for name in tale.line.jobs)
    return rehearsal.told(every, tale.book)


def fate(tale: Tale, name: str = "a") -> Ended:
    """Give how the change of that name ended."""
    (found,) = told(tale, change(name)).ended
    return found


def landed(tale: Tale, name: str) -> Tale:
    """Let a job's work be tested alone and land."""
    return tale.done(name).compose().test().compose(known=True).land()


def test_a_change_that_lands_at_once_is_a_first_try() -> None:
    """One attempt that lands is a first try; one that first failed landed after others."""
    tale = Tale(job("a"), job("b"), seats=1)
    landed(tale, "a")
    tale.finish("b", Failed(fault=CONFLICT)).tell(Retried(job=JobId("b")))
    landed(tale, "b")

    assert [each.fate for each in told(tale).ended] == [Fate.FIRST, Fate.LATER]
    assert [each.tries for each in told(tale).ended] == [1, 2]
    assert told(tale).landed == 2


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (Failed(fault=CONFLICT), Fate.CONFLICT),
        (Failed(fault=f"exit 5: {patching.DENIED} b/x"), Fate.FAILED),
        (Failed(fault="the change was refused: mode: a/x: is a symbolic link"), Fate.POLICY),
        (Strayed(paths=("b",), reasons=("scope: b: is outside the scope",)), Fate.SCOPE),
        (Escalated(reason="protected: a/x", commit=oid("w")), Fate.PROTECTED),
    ],
)
def test_each_way_of_being_refused_has_its_name(
    outcome: Failed | Strayed | Escalated, expected: Fate
) -> None:
    """What a seat or the policy refused is told apart, with the reason."""
    stations = (replace(RULES.stations[0], kind=Kind.COMMAND, agent=None, run=patching.PROGRAM),)
    tale = Tale(job("a"), stations=(*stations, RULES.stations[1])).finish("a", outcome)

    ended = fate(tale)

    assert ended.fate is expected
    assert ended.why


def test_a_conflict_names_what_it_follows() -> None:
    """Where an earlier change of the same files did not land, the conflict says which."""
    tale = Tale(job("a")).finish("a", Failed(fault=CONFLICT))
    before = replace(change("m", "a/x", placed=False), why="no station may write a/x")

    misfit, conflict = told(tale, before, change("a")).ended

    assert misfit.why == "no station may write a/x"
    assert conflict.why == (
        f"{patching.CONFLICT} a/x; it follows {before.commit[:10]}, not landed either"
    )


def test_a_question_that_nobody_answered_stays_a_protected_path() -> None:
    """At its end a rehearsal gives up what waits for a person: it still counts as protected."""
    tale = Tale(job("a")).finish("a", Escalated(reason="protected: a/x", commit=oid("w")))
    tale.tell(Killed(job=JobId("a")))

    ended = fate(tale)

    assert (ended.fate, ended.asked) == (Fate.PROTECTED, True)
    assert ended.why == "protected: a/x"


def test_red_tests_are_told_with_their_first_lines() -> None:
    """A change whose tests are red twice is refused, with the lines that say what failed."""
    tale = Tale(job("a")).done("a").compose().test(red="E   assert 1 == 2")
    tale.compose().test(red="E   assert 1 == 2")

    ended = fate(tale)

    assert (ended.fate, ended.lines) == (Fate.RED, ("E assert 1 == 2",))
    assert told(tale).gate.red == 2


def test_a_tree_that_was_red_and_then_green_is_flaky() -> None:
    """The same tree under the same checks with two verdicts is named, with whose work it was."""
    tale = Tale(job("a")).done("a").compose().test(red="E   flaked").compose().test()
    tale.compose(known=True).land()

    (flake,) = told(tale).flakes

    assert (flake.jobs, flake.lines) == ((JobId("a"),), ("E flaked",))
    assert fate(tale).fate is Fate.FIRST


def test_what_is_there_already_and_what_is_no_job_is_told_apart() -> None:
    """An empty commit, a misfit and what the target has already are three different ends."""
    stations = (replace(RULES.stations[0], kind=Kind.COMMAND, agent=None, run=("true",)),)
    tale = Tale(job("a"), stations=(*stations, RULES.stations[1])).finish("a", Unchanged())
    empty = replace(change("e", placed=False), paths=())

    found = told(tale, change("a"), empty, change("m", placed=False))

    assert [each.fate for each in found.ended] == [Fate.ALREADY, Fate.EMPTY, Fate.MISFIT]


def test_every_landing_must_have_been_proved() -> None:
    """A landing whose tree no verdict made green before is not among the proved ones."""
    tale = landed(Tale(job("a"), job("b"), seats=1), "a")
    whole = told(tale)
    (proof,) = whole.proved
    *before, (last, at) = tale.book
    assert isinstance(last, Advanced)
    forged = [*before, (replace(last, tree=oid("another tree")), at)]

    assert proof == oid("landing of a")
    assert whole.gate.landings == 1
    assert rehearsal.told([change("a")], forged).proved == ()


def test_only_a_newer_target_makes_another_try_worthwhile() -> None:
    """What was refused on an older target is tried again; on the same target it is not."""
    tale = Tale(job("a"), job("b"), seats=1).finish("a", Failed(fault=CONFLICT))
    assert rehearsal.again(told(tale), rehearsal.judged_on(tale.book)) == ()

    landed(tale, "b")
    assert rehearsal.again(told(tale), rehearsal.judged_on(tale.book)) == ("a",)

    tale.tell(Retried(job=JobId("a"))).finish("a", Failed(fault=CONFLICT))
    assert rehearsal.again(told(tale), rehearsal.judged_on(tale.book)) == ()


def test_a_red_change_is_judged_on_what_its_trial_stood_on() -> None:
    """Tests that were red on the newest target are not run again, however old the attempt is."""
    tale = landed(Tale(job("a"), job("b"), seats=2), "b")
    tale.done("a").compose().test(red="E no").compose().test(red="E no")

    assert fate(tale).fate is Fate.RED
    assert rehearsal.again(told(tale), rehearsal.judged_on(tale.book)) == ()


def test_a_refusal_that_no_target_changes_is_final() -> None:
    """What the policy refused is not tried again, wherever the target stands."""
    tale = Tale(job("a"), job("b"), seats=1)
    tale.finish("a", Failed(fault="the change was refused: mode: a/x: is a symbolic link"))
    landed(tale, "b")

    assert rehearsal.again(told(tale), rehearsal.judged_on(tale.book)) == ()


def test_the_document_is_what_its_schema_says() -> None:
    """`factory.rehearse/1` holds every promised field; what a person sees names the proof."""
    tale = landed(Tale(job("a"), job("b"), seats=1), "a").finish("b", Failed(fault=CONFLICT))

    made = document(told(tale), tip="c" * 40, green=True, same=False, code=1)

    TypeAdapter(RehearsalDocument).validate_python(made, strict=True)
    assert made["counts"] == {"first try": 1, "conflict": 1}
    shown = [part.text for part in parts(made) if isinstance(part, Cell)]
    assert any("green at every commit: 1 landing" in line for line in shown)
    (red,) = [
        part for part in parts({**made, "green": False}) if getattr(part, "style", "") == "bad"
    ]
    assert isinstance(red, Cell)
    assert red.text.startswith("NOT PROVED")


def rules(*more: object) -> Rules:
    """Give rules of a coding station for src, with an agent, and tests, and whatever is added."""
    code = replace(RULES.stations[0], scope=Scope(write=("src/**",)), on={"red": "inbox"})
    return replace(RULES, stations=(code, RULES.stations[1], *more))  # type: ignore[arg-type]


def test_no_station_of_a_rehearsal_has_an_agent() -> None:
    """Coding stations get oracles; what else has an agent, or asks the forge, is left out."""
    agent = Agent(runtime="sdk", model="small")
    given = rules(
        station("mend", Kind.CLEANUP, agent=agent),
        station("look", Kind.REVIEW, agent=agent),
        station("ci", Kind.TEST, checks=("build",)),
        station("sort", Kind.COMMAND, run=("sort",)),
        station("lock", Kind.COMMAND, run=("lock",), at_merge=True),
    )

    made = rehearsing.rules_of(given, WISH)

    assert [spec.name for spec in made.stations] == ["api", "tests", "lock"]
    assert not any(spec.agent for spec in made.stations)
    assert made.repair is None
    assert made.stations[0].run == patching.PROGRAM
    assert not made.stations[0].on
    said = "\n".join(rehearsing.left_out(given))
    assert all(name in said for name in ("mend", "look", "ci"))
    assert "sort" not in said


def test_a_program_that_cleans_without_a_model_stays() -> None:
    """A cleanup station with a program of its own costs nothing and repairs as it always does."""
    made = rehearsing.rules_of(rules(station("fmt", Kind.CLEANUP, run=("fmt",))), WISH)

    assert made.repair == "fmt"


def test_another_wish_is_another_line() -> None:
    """The hash that guards a resume covers the line as configured and what is to be rehearsed."""
    known = rehearsing.rules_of(rules(), WISH).hash

    assert known == rehearsing.rules_of(rules(), WISH).hash
    assert known != rehearsing.rules_of(rules(), replace(WISH, misfits=True)).hash
    assert known != rehearsing.rules_of(replace(rules(), hash="other"), WISH).hash


def test_the_options_of_a_run_hold_the_wish() -> None:
    """A resume reads from the run's options exactly what was wished."""
    for wish in (WISH, replace(WISH, misfits=True, keep=True), replace(WISH, approve=True)):
        assert rehearsing.wish_of({**wish.options, "trust": "True"}) == wish
        assert set(wish.options) <= set(rehearsing.OPTIONS) <= NO_SETTINGS
    assert rehearsing.wish_of({"trust": "True"}) is None


def history(repository: Repository, base: Oid) -> Oid:
    """Give the tip of a history: one in src, one outside, an empty one, and a merge."""
    one = commit_files(repository, base, {"src/core.py": "ONE = 2\n"})
    two = commit_files(repository, one, {"docs/new.md": "New.\n"})
    git = repository.git
    tree = git.tree_of(two)
    three = Oid(git("commit-tree", tree, "-p", two, stdin=b"Nothing\n").text)
    side = commit_files(repository, two, {"src/api/items.py": "ITEMS = 1\n"})
    side = commit_files(repository, side, {"src/api/users.py": "USERS = 1\n"})
    words = b"Merge pull request #7 from somebody/branch\n\nCount items and users\n"
    merged = ("commit-tree", git.tree_of(side), "-p", three, "-p", side)
    return Oid(git(*merged, stdin=words).text)


def replay(repository: Repository, wish: Wish) -> rehearsing.Replay:
    """Give what a wish comes to at a line with one station for src."""
    return rehearsing.replayed(repository.git, rules(), rehearsing.rules_of(rules(), wish), wish)


def test_commits_become_jobs_in_their_order(repository: Repository, base: Oid) -> None:
    """Each first-parent commit is one change, a merge with all it brought; the base is before."""
    tip = history(repository, base)

    made = replay(repository, Wish(commits=4, tip=tip))

    assert made.base == base
    assert [each.paths for each in made.changes] == [
        ("src/core.py",),
        ("docs/new.md",),
        (),
        ("src/api/items.py", "src/api/users.py"),
    ]
    assert [each.station for each in made.changes] == ["api", "", "", "api"]
    assert [each.fits for each in made.changes] == [True, False, True, True]
    assert made.changes[1].why == "no station may write docs/new.md"
    assert [job.title for job in made.jobs] == ["change", "Count items and users"]
    assert made.changes[3].job == made.jobs[1].id == f"4-{tip[:10]}"


def test_misfits_run_where_that_is_asked_for(repository: Repository, base: Oid) -> None:
    """A commit that fits no station then has a job at one over the whole repository."""
    tip = history(repository, base)

    made = replay(repository, Wish(commits=4, tip=tip, misfits=True))

    assert [job.route for job in made.jobs] == ["api", "whole", "api"]
    assert not made.changes[1].fits


def test_a_short_history_is_replayed_as_far_as_it_goes(repository: Repository, base: Oid) -> None:
    """The first commit of all has nothing before it: the rest is replayed, and that is said."""
    tip = history(repository, base)

    made = replay(repository, Wish(commits=50, tip=tip))

    assert len(made.changes) == 4
    assert any("only 4 commits" in note for note in made.notes)


def test_nothing_to_replay_is_a_complaint_with_a_remedy(repository: Repository, base: Oid) -> None:
    """A lone commit, and commits that all fit no station, are refused before anything starts."""
    docs = commit_files(repository, base, {"docs/new.md": "New.\n"})

    with pytest.raises(Complaint, match="no commit before it"):
        replay(repository, Wish(commits=3, tip=base))
    with pytest.raises(Complaint, match="fits no coding station") as complaint:
        replay(repository, Wish(commits=1, tip=docs))
    assert "--misfits run" in complaint.value.hint
