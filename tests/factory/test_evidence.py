"""Evidence of what landed: what shows the cure of an issue, and all that does not."""

import shutil
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from factory.events import Reproduced
from factory.evidence import holds, idle, of_landing, of_landings, passes, wants
from stations.contract import Check, Wanted
from stations.plain import Plain
from tests.factory.post import Post, asked, post_at
from worktrees.names import JobId, Oid

ONE = JobId("one")
WANTED = Wanted(number=1)
SUITE = """
case "$1" in
  Cured) grep -q cured src/core.py || {
    printf '    seen = 1\\n>   assert cured\\nE   AssertionError: not cured\\n'; exit 1; } ;;
  Passes) : ;;
  Imports) grep -q cured src/core.py || { echo "ModuleNotFoundError: helper"; exit 1; } ;;
  Setup) grep -q cured src/core.py || {
    printf '__ ERROR at setup of test_it __\nE   ValueError: no such place\n'; exit 1; } ;;
  Silent) grep -q cured src/core.py ;;
  Skips) grep -q cured src/core.py || { echo "AssertionError: no"; exit 1; }
    echo "1 skipped in 0.01s" ;;
  Flaky) echo "AssertionError: now and then"; exit 1 ;;
esac
"""
"""One file with several tests; the word behind its name chooses one."""


def tried(post: Post) -> Reproduced:
    """Try the one job."""
    return of_landing(post.courier.bench, post.line, ONE, WANTED, stop=threading.Event())


def test_what_is_on_record_of_the_tree_stands_and_a_lost_landing_shows_nothing(
    tmp_path: Path,
) -> None:
    """Nothing is tried twice of one tree, and a target that was moved away closes no issue."""
    with post_at(tmp_path) as post:
        post.land(asked(ONE, issues=(WANTED,)), a="1\n")

        first = tried(post)
        post.line = replace(post.line, reproduced={(ONE, 1): first})
        again = tried(post)
        post.site.repository.git("update-ref", post.line.target, post.line.base)
        lost = tried(post)

    assert (first.shown, again is first) == (False, True)
    assert "brings no test of its own" in first.why
    assert (lost.shown, "does not hold its landing" in lost.why) == (False, True)


def named(number: int, name: str, *, command: tuple[str, ...] = ()) -> Wanted:
    """Give an issue with a test of its own in the one file."""
    words = command or ("sh", "tests/test_all.sh", name)
    return Wanted(number=number, test=f"tests/test_all.sh::{name}", command=words)


def test_each_issue_is_shown_by_its_own_test_and_nothing_less(tmp_path: Path) -> None:
    """Red before for a reason that is said and green after; each other way is told apart.

    A test that passes before, an import error, a failure without a word, a name that the file does
    not hold, one that cannot be run alone, one that skips itself and one that stays red close
    nothing.
    """
    if shutil.which("bwrap") is None:
        pytest.skip("bubblewrap is not installed")
    issues = (
        *(named(1, "Cured"), named(2, "Passes"), named(3, "Imports"), named(4, "Silent")),
        *(named(5, "Missing"), named(6, "Passes2", command=("sh", "check.sh")), named(7, "Flaky")),
        *(named(8, "Cured"), named(9, "Skips")),
        *(named(12, "Setup"),),
        *(named(10, "Cure", command=("sh", "tests/test_all.sh", "Cured")),),
        *(named(11, "Passes2", command=("sh", "tests/test_all.sh", "Cured", "xPasses2")),),
    )
    with post_at(tmp_path) as post:
        post.land(
            asked(ONE, issues=issues),
            **{"src/core.py": "cured\n", "tests/test_all.sh": f"{SUITE}# Passes2\n"},
        )
        git, tip = post.site.repository.git, post.site.repository.git.resolve(post.line.target)
        assert tip is not None
        wanted = wants(post.line, [ONE])
        bench = post.courier.bench

        found = {
            made.issue: made
            for made in of_landings(bench, post.line, wanted, stop=threading.Event())
        }
        check = Check(owner="accept:4", run=("sh", "tests/test_all.sh", "Passes"))
        tree = git.tree_of(tip)
        good = passes(bench, check, base=tip, tree=tree, stop=threading.Event())

    assert [number for number, made in found.items() if made.shown] == [1, 8]
    assert found[1].failure == "assert cured / AssertionError: not cured"
    assert [number for number, made in found.items() if made.already] == [2]
    assert "do not run at all (ModuleNotFoundError)" in found[3].why
    assert "without saying why" in found[4].why
    assert "holds no tests/test_all.sh::Missing" in found[5].why
    assert "runs the tests of #1, #2" in found[6].why
    assert "do not pass every time with the change" in found[7].why
    assert "skips itself" in found[9].why
    assert "holds no tests/test_all.sh::Cure" in found[10].why
    assert "runs the tests of #1, #2" in found[11].why
    assert "do not run at all (ERROR at setup of)" in found[12].why
    assert good == ""
    assert holds(git, tip, "tests/test_all.sh::Cured")
    assert not holds(git, tip, "../tests/test_all.sh::Cured")


def test_a_proof_is_of_the_tree_that_is_offered_and_not_of_one_on_the_way(
    tmp_path: Path,
) -> None:
    """A cure that a later landing undid is not shown, though its own landing passes its test."""
    if shutil.which("bwrap") is None:
        pytest.skip("bubblewrap is not installed")
    want = named(1, "Cured")
    with post_at(tmp_path) as post:
        first = post.land(
            asked(ONE, issues=(want,)), **{"src/core.py": "cured\n", "tests/test_all.sh": SUITE}
        )
        early = shown(post, want)
        post.line = replace(post.line, reproduced={(ONE, 1): early})
        post.land(asked("two"), **{"src/core.py": "undone\n"})

        late, part = shown(post, want), shown(post, want, head=first)

    assert (early.shown, late.shown) == (True, False)
    assert "do not pass every time with the change" in late.why
    assert (early.tree == late.tree, part is early) == (False, True)


def test_runs_without_a_sandbox_show_nothing(tmp_path: Path) -> None:
    """Where runs share a machine, one may leave behind what the next one passes by."""
    want = named(1, "Cured")
    with post_at(tmp_path) as post:
        post.land(
            asked(ONE, issues=(want,)), **{"src/core.py": "cured\n", "tests/test_all.sh": SUITE}
        )
        bench = replace(post.courier.bench, sandbox=Plain())
        [made] = of_landings(bench, post.line, [(ONE, want)], stop=threading.Event())
        check = Check(owner="accept:1", run=want.command)
        said = passes(bench, check, base=post.line.base, tree=made.tree, stop=threading.Event())

    assert (made.shown, "no sandbox" in made.why, "no sandbox" in said) == (False, True, True)


def shown(post: Post, want: Wanted, *, head: Oid | None = None) -> Reproduced:
    """Try one issue of the one job."""
    [made] = of_landings(
        post.courier.bench, post.line, [(ONE, want)], head=head, stop=threading.Event()
    )
    return made


@pytest.mark.parametrize(
    ("said", "nothing"),
    [
        ("s\n1 skipped in 0.01s\n", True),
        ("==== 1 skipped, 1 warning in 0.02s ====", True),
        ("x\n1 xfailed in 0.03s", True),
        ("Ran 1 test in 0.000s\n\nOK (skipped=1)\n", True),
        ("ok  pkg 0.01s [no tests to run]", True),
        ("Tests:       1 skipped, 1 total", True),
        ("1 passed, 1 skipped in 0.1s", False),
        ("Ran 2 tests in 0.000s\n\nOK (skipped=1)\n", False),
        ("1 passed in 0.1s", False),
        ("", False),
    ],
)
def test_a_run_that_passes_because_it_ran_nothing_is_known(said: str, *, nothing: bool) -> None:
    """What the runners say of skipped tests is no proof, beside one test that ran it is nothing."""
    assert idle(said) is nothing
