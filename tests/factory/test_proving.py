"""The forge's checks as verdicts: each conclusion, what is late or cancelled, what is left."""

import itertools
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from typing_extensions import override

from factory.forge.proofs import Proof
from factory.proving import LIMITS, Pace
from stations.contract import Awaited, Check, Green, Lost, Red, Trial, Verdict
from tests.forge.ci import Verdict as Said
from tests.forge.judges import FULL, UNIT, Court, court
from worktrees.names import proof_branch, spent_ref

TOKEN = "ghp_" + "a1B2" * 9
LOG = (
    "2026-01-01T00:00:01.1234567Z \x1b[31mcollected 1 item\x1b[0m\n"
    f"2026-01-01T00:00:02.1234567Z env token={TOKEN}\n"
    "2026-01-01T00:00:03.1234567Z E   assert 1 == 2\n"
    "2026-01-01T00:00:04.1234567Z ##[error]Process completed with exit code 1.\n"
    "2026-01-01T00:00:05.1234567Z Post job cleanup.\n"
)


def told(place: Path) -> Said:
    """Judge as the tree itself says."""
    word = (place / "a.py").read_text().split()[0]
    note = {"path": "a.py", "start_line": 3, "end_line": 3, "annotation_level": "failure"}
    notes = ({**note, "message": "one is not two"},) if word == "failure" else ()
    return Said(conclusion=word, log=LOG if word == "failure" else "", annotations=notes)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Court]:
    """Give a forge whose checks conclude what the first word of the tree says."""
    with court(tmp_path_factory.mktemp("bench"), {UNIT: told}) as here:
        yield here


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Court]:
    """Give a forge that checks nothing by itself."""
    with court(tmp_path_factory.mktemp("quiet")) as here:
        yield here


class Patient(threading.Event):
    """Notes how long it would have waited, and waits no time."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float] = []

    @override
    def wait(self, timeout: float | None = None) -> bool:
        """Note it."""
        self.waits.append(timeout or 0.0)
        return self.is_set()


def ticking(here: Court, seconds: float = 1.0) -> Court:
    """Give the same court, for which so much time passes between two looks at its clock."""
    clock = itertools.count(step=seconds)
    return replace(here, proving=replace(here.proving, now=lambda: next(clock)))


def in_thread(judge: Callable[[], Verdict | Awaited]) -> Callable[[], Verdict | Awaited]:
    """Begin to wait for a verdict, and give what waits until it is there."""
    found: list[Verdict | Awaited] = []
    thread = threading.Thread(target=lambda: found.append(judge()))
    thread.start()

    def ended() -> Verdict | Awaited:
        thread.join(20)
        return found[0]

    return ended


def finished(here: Court, task: Trial, external: str) -> Verdict | Awaited:
    """Give the verdict on what is there already."""
    found = here.proving.judge(task, external, threading.Event())
    here.proving.let_go(task, external)
    return found


def test_a_green_check_of_exactly_the_tree_is_the_verdict(bench: Court) -> None:
    """The forge is shown the tree on its base; the verdict says where the forge shows its own."""
    task = bench.trial("success\n")
    external = bench.shown(task)
    proof = Proof.of(external)
    bare = bench.hub.repo(FULL).bare

    assert proof.branch == proof_branch(task.tree)
    assert bare.branch(proof.branch) == proof.commit
    assert bare.ref(f"{proof.commit}^{{tree}}") == task.tree
    assert bare.ref(f"{proof.commit}^") == task.base
    verdict = finished(bench, task, external)

    assert isinstance(verdict, Green)
    assert (verdict.tree, verdict.key) == (task.tree, "k")
    assert verdict.checked
    assert all(at.startswith(bench.hub.url) for at in verdict.checked)
    assert bare.branch(proof.branch) is None
    assert proof.commit not in "".join(bench.remembered)


def test_the_end_of_a_failing_log_is_clean_and_short(bench: Court) -> None:
    """Stamps, colours, secrets and the workers' own cleaning up do not reach who repairs it."""
    verdict = bench.judged(bench.trial("failure of a log\n"))

    assert isinstance(verdict, Red)
    assert verdict.owner == "suite"
    assert f"'{UNIT}' ended as failure on the forge: {bench.hub.url}/" in verdict.tail
    assert "a.py:3: one is not two" in verdict.tail
    assert "\nE   assert 1 == 2\n" in verdict.tail
    hidden = ("2026-01-01T", "\x1b", TOKEN, "Post job")
    assert not [word for word in hidden if word in verdict.tail]


def test_what_tested_nothing_is_green_only_where_the_rules_count_it(tmp_path: Path) -> None:
    """A skipped check is no verdict, unless the branch's rules require that very check."""
    with court(tmp_path, {UNIT: lambda _: "skipped"}) as here:
        lost = here.judged(here.trial("one\n"))
        here.hub.protect(FULL, "main", checks=(UNIT,))

        verdict = here.judged(here.trial("two\n"))

    assert isinstance(lost, Lost)
    assert not lost.again
    assert "is skipped, which says nothing about the tree" in lost.why
    assert isinstance(verdict, Green)


def test_what_was_cancelled_is_asked_once_more_and_then_lost(bench: Court) -> None:
    """The tree is shown anew as another commit of the same branch; the second end is no verdict."""
    task = bench.trial("cancelled\n")
    first = bench.shown(task)
    again = bench.proving.judge(task, first, threading.Event())
    assert isinstance(again, Awaited)
    one, two = Proof.of(first), Proof.of(again.external)
    assert (two.branch, two.asked) == (one.branch, 2)
    assert two.commit != one.commit
    bench.proving.let_go(task, first)  # it is not this one's branch any more
    assert bench.hub.repo(FULL).bare.branch(two.branch) == two.commit

    lost = finished(bench, task, again.external)

    assert lost == Lost(why=f"the forge's checks of {one.branch} were cancelled, twice")


def test_a_second_trial_of_a_tree_gets_a_verdict_of_its_own(bench: Court) -> None:
    """A proof that was judged is never taken for that of a later trial, though it still stands."""
    task = bench.trial("failure twice\n")
    first = bench.shown(task)
    bench.proving.judge(task, first, threading.Event())

    second = bench.shown(replace(task, trial=2))

    assert Proof.of(second).commit != Proof.of(first).commit
    assert Proof.of(second).branch == Proof.of(first).branch
    bench.proving.let_go(task, first)
    assert isinstance(finished(bench, task, second), Red)


def test_a_proof_that_nobody_judged_is_used_again(quiet: Court) -> None:
    """Whoever was killed after the push, or before it, shows the forge the same commit."""
    task = quiet.trial("once\n")
    git = quiet.desktop.repository.git
    first = quiet.shown(task)
    assert quiet.shown(replace(task, trial=7)) == first

    commit = Proof.of(first).commit
    quiet.proving.proofs.remote.delete(f"refs/heads/{Proof.of(first).branch}", expect=commit)
    assert quiet.shown(replace(task, trial=8)) == first  # by the ref that came before the push
    quiet.proving.let_go(task, first)

    assert git.resolve(spent_ref(task.run, commit)) is None


def test_a_name_that_holds_another_tree_is_not_taken(quiet: Court) -> None:
    """A branch of somebody else is neither judged nor moved; a person is told."""
    task = quiet.trial("taken\n")
    name = proof_branch(task.tree)
    there = quiet.hub.act("octocat").commit(FULL, name, {"b.py": "theirs\n"}, "mine")

    lost = quiet.proving.prove(task, threading.Event(), ())

    assert isinstance(lost, Lost)
    assert not lost.again
    assert f"{name} on the forge holds another tree" in lost.why
    assert quiet.hub.repo(FULL).bare.branch(name) == there


def test_a_check_that_never_starts_is_named(quiet: Court) -> None:
    """Without any run the workflow's triggers are asked about; with others, those are named."""
    here = ticking(quiet)
    task = here.trial("never\n", timeout=3.0)
    external = here.shown(task)
    lost = here.proving.judge(task, external, threading.Event())
    assert isinstance(lost, Lost)
    assert not lost.again
    assert f"no run of '{UNIT}' appeared" in lost.why
    assert "pushes to factory/proof/**" in lost.why

    here.hub.act("octocat").check(FULL, here.commit(external), "unit", "success", "")
    other = finished(ticking(quiet), task, external)

    assert isinstance(other, Lost)
    assert other.why.endswith("; these did: unit")


def test_a_check_that_does_not_end_is_red_and_one_that_waits_is_lost(quiet: Court) -> None:
    """What runs too long failed, as it would here; what waits for a worker is no verdict."""
    here = ticking(quiet)
    hangs, waits = (here.trial(f"{word}\n", timeout=3.0) for word in ("hangs", "waits"))
    act = here.hub.act("octocat")
    external = here.shown(hangs)
    number = act.check(FULL, here.commit(external), UNIT, None, "")
    here.hub.repo(FULL).runs[number].status = "in_progress"
    red = finished(here, hangs, external)
    external = here.shown(waits)
    number = act.check(FULL, here.commit(external), UNIT, None, "")
    here.hub.repo(FULL).runs[number].status = "queued"
    lost = finished(here, waits, external)

    assert isinstance(red, Red)
    assert "did not end within 3.0 s" in red.tail
    assert isinstance(lost, Lost)
    assert "was still queued after 3.0 s" in lost.why


def test_a_commit_status_is_a_check_too(quiet: Court) -> None:
    """The older kind is waited for while pending, and decides when it ends."""
    task = quiet.trial("status\n")
    external = quiet.shown(task)
    act, commit = quiet.hub.act("octocat"), quiet.commit(external)
    act.status(FULL, commit, UNIT, "pending")
    verdict = in_thread(lambda: finished(quiet, task, external))
    act.status(FULL, commit, UNIT, "success")

    assert isinstance(verdict(), Green)


def test_a_check_that_does_not_count_only_informs(quiet: Court) -> None:
    """A red check of an optional station leaves a note on the green verdict."""
    task = quiet.trial("optional\n")
    lint = Check(owner="lint", run=(), required=False, checks=("lint",), timeout=20.0)
    task = replace(task, checks=(*task.checks, lint))
    external = quiet.shown(task)
    act, commit = quiet.hub.act("octocat"), quiet.commit(external)
    act.check(FULL, commit, UNIT, "success", "")
    act.check(FULL, commit, "lint", "failure", "")

    verdict = finished(quiet, task, external)

    assert isinstance(verdict, Green)
    assert verdict.notes == ("'lint' does not count: failure",)


def test_a_cancelled_wait_decides_nothing_and_keeps_the_proof(quiet: Court) -> None:
    """Who is stopped gives no verdict; the same id asks again later and is answered."""
    task = quiet.trial("later\n")
    external = quiet.shown(task)
    stop = threading.Event()
    stop.set()
    assert quiet.proving.judge(task, external, stop) == Lost(why="cancelled")
    assert quiet.shown(task) == external
    quiet.hub.act("octocat").check(FULL, quiet.commit(external), UNIT, "success", "")

    assert isinstance(finished(quiet, task, external), Green)


def test_a_forge_that_fails_for_a_while_is_asked_again(quiet: Court) -> None:
    """Broken answers and limits on the way cost time and no verdict."""
    task = quiet.trial("faults\n")
    external = quiet.shown(task)
    quiet.hub.act("octocat").check(FULL, quiet.commit(external), UNIT, "success", "")
    quiet.hub.fault("GET", "*/check-runs", "status", times=7, status=502)

    assert isinstance(finished(quiet, task, external), Green)


def test_a_token_that_may_not_look_is_told_at_once(quiet: Court) -> None:
    """No other try can help: the line closes with what the forge said."""
    task = quiet.trial("denied\n")
    external = quiet.shown(task)
    quiet.hub.fault("GET", "*/check-runs", "status", status=403, body={"message": "Not yours"})

    lost = finished(quiet, task, external)

    assert isinstance(lost, Lost)
    assert not lost.again
    assert "Not yours" in lost.why


def test_a_rate_limit_is_waited_for_and_not_for_ever(quiet: Court) -> None:
    """A limit longer than one request may wait costs time; after some in a row it is no verdict."""
    here = ticking(quiet, 0.1)
    task = here.trial("limited\n")
    external = here.shown(task)
    here.hub.act("octocat").check(FULL, here.commit(external), UNIT, "success", "")
    here.hub.fault("GET", "*/check-runs", "primary", times=LIMITS, seconds=9_000)
    verdict = here.proving.judge(task, external, Patient())
    here.hub.fault("GET", "*/check-runs", "primary", times=LIMITS + 1, seconds=9_000)
    lost = here.proving.judge(task, external, Patient())

    assert isinstance(verdict, Green)
    assert isinstance(lost, Lost)
    assert lost.again
    here.proving.let_go(task, external)


def test_a_forge_that_stays_silent_is_no_verdict_in_the_end(quiet: Court) -> None:
    """The station's own time bounds how long nobody answers."""
    here = ticking(quiet, 30.0)
    task = here.trial("silent\n", timeout=20.0)
    external = here.shown(task)
    here.hub.fault("GET", "*/check-runs", "status", times=5, status=502)

    lost = finished(here, task, external)

    assert isinstance(lost, Lost)
    assert lost.again


def test_a_failure_without_log_or_findings_is_red_all_the_same(bench: Court) -> None:
    """What cannot be read is not made up; the check's own words and address remain."""
    task = bench.trial("failure without a log\n")
    bench.hub.fault("GET", "*/annotations", "status", status=404)
    bench.hub.fault("GET", "*/logs", "status", status=410)

    verdict = bench.judged(task)

    assert isinstance(verdict, Red)
    assert "its findings cannot be read" in verdict.tail
    assert "assert 1 == 2" not in verdict.tail


def test_who_is_stopped_right_after_the_push_takes_it_back(quiet: Court) -> None:
    """A trial that was cancelled meanwhile awaits nothing and leaves nothing."""
    task = quiet.trial("stopped\n")
    stop = threading.Event()
    stop.set()

    assert quiet.proving.prove(task, stop, ()) == Lost(why="cancelled")
    assert quiet.hub.repo(FULL).bare.branch(proof_branch(task.tree)) is None


def test_a_branch_that_cannot_be_removed_is_told_of_and_swept_later(quiet: Court) -> None:
    """The memory of it stays until it is gone."""
    task = quiet.trial("stuck\n")
    external = quiet.shown(task)
    quiet.hub.fault("POST", "*/git-receive-pack", "status", status=403)

    quiet.proving.let_go(task, external)

    proof = Proof.of(external)
    assert quiet.desktop.said[-1].startswith(f"{proof.branch} is still on the forge")
    assert proof.branch in quiet.proving.proofs.sweep(())
    assert not quiet.proving.proofs.left()


def test_a_base_is_judged_by_its_own_checks_before_any_proof(quiet: Court) -> None:
    """What the forge said of the base itself counts; only where it said nothing, it is shown."""
    task = quiet.trial("fine\n")  # the tree of the base
    pushed = len(quiet.hub.writes("POST"))
    act = quiet.hub.act("octocat")
    number = act.check(FULL, task.base, UNIT, "failure", "E   broken before\n")

    red = quiet.proving.base(task, threading.Event())

    assert isinstance(red, Red)
    assert len(quiet.hub.writes("POST")) == pushed
    act.finish(FULL, number, "success", "")
    assert isinstance(quiet.proving.base(task, threading.Event()), Green)


def test_a_base_that_was_never_checked_is_shown_to_the_forge(bench: Court) -> None:
    """Its proof is judged and removed like any other."""
    task = bench.trial("success of the base\n")

    assert isinstance(bench.proving.base(task, threading.Event()), Green)
    assert bench.hub.repo(FULL).bare.branch(proof_branch(task.tree)) is None


def test_the_sweep_leaves_only_what_is_awaited(quiet: Court) -> None:
    """Branches that a killed process left are removed with their memory; awaited ones stay."""
    kept, gone = (quiet.shown(quiet.trial(f"{word}\n")) for word in ("kept", "gone"))
    proofs = quiet.proving.proofs

    assert Proof.of(gone).branch in proofs.sweep({Proof.of(kept).commit})

    assert Proof.of(kept).branch in {ref.removeprefix("refs/heads/") for ref in quiet.branches}
    assert set(proofs.left()) == {Proof.of(kept).commit}
    assert proofs.sweep(()) == (Proof.of(kept).branch,)
    assert not proofs.left()


def test_few_requests_are_made_while_nothing_changes(quiet: Court) -> None:
    """Waits grow to their bound, and what did not change is not charged by the forge."""
    here = replace(quiet, proving=replace(ticking(quiet, 20.0).proving, pace=Pace(most=4.0)))
    task = here.trial("patience\n", timeout=120.0)
    external = here.shown(task)
    act, commit = here.hub.act("octocat"), here.commit(external)
    act.status(FULL, commit, "other", "success")
    stop, before = Patient(), len(here.hub.log)

    lost = here.proving.judge(task, external, stop)

    assert isinstance(lost, Lost)
    assert stop.waits[:3] == [1.0, 1.5, 2.25]
    assert stop.waits == sorted(stop.waits)
    assert stop.waits[-1] == 4.0
    asked = here.hub.log[before:]
    assert len(asked) <= 2 * len(stop.waits) + 4
    assert [one.status for one in asked[2:-2]] == [304] * len(asked[2:-2])
