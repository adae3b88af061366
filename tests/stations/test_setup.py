"""Setup: made once per content of the key files, shown read-only, never a way to the host."""

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from stations.bench import Bench
from stations.contract import Check, Green, Trial
from stations.setup import SetupError, setup
from stations.testing import try_tree
from tests.conftest import FILES, commit_files
from tests.stations.benches import RUN, base_of, bench_at
from tests.stations.boxes import OnImage

MAKE = ("sh", "-ec", "mkdir deps; cat need.txt > deps/lib; date +%N > deps/stamp; ln -s /root leak")
WITH = {**FILES, "need.txt": "one\n"}


def stamp(bench: Bench, name: str = "deps") -> str:
    """Give what a setup wrote, to tell two runs of it apart."""
    made = dict(setup(bench, MAKE, keys=("need.txt",), base=base_of(bench)).made)
    return (made[name] / "stamp").read_text()


def test_setup_runs_once_per_content_of_its_key_files(tmp_path: Path) -> None:
    """The same key gives the same place; a change of a key file runs it again."""
    with bench_at(tmp_path / "repo", files=WITH) as bench:
        first, second = stamp(bench), stamp(bench)
        base = commit_files(bench.repository, base_of(bench), {"need.txt": "two\n"})
        again = dict(setup(bench, MAKE, keys=("need.txt",), base=base).made)

        assert first == second
        assert (again["deps"] / "lib").read_text() == "two\n"
        assert [path.name for path in (bench.repository.factory / "rooms" / RUN).iterdir()] == []


def test_setup_runs_again_on_another_image(tmp_path: Path) -> None:
    """What one system made is not shown to programs of another one."""
    with bench_at(tmp_path / "repo", files=WITH) as bench:
        first = stamp(replace(bench, sandbox=OnImage(image="one")))
        other = stamp(replace(bench, sandbox=OnImage(image="two")))

        assert len({stamp(bench), first, other}) == 3
        assert stamp(replace(bench, sandbox=OnImage(image="one"))) == first


def test_what_setup_made_is_seen_by_tests_and_links_are_left_out(tmp_path: Path) -> None:
    """It stands at its place in the tree, read-only; a link out of the sandbox is not followed."""
    with bench_at(tmp_path / "repo", files=WITH) as bench:
        around = setup(bench, MAKE, keys=("need.txt",), base=base_of(bench))
        shown = replace(bench, surroundings=around)
        script = "grep -q one deps/lib && ! test -e leak && ! echo x 2>/dev/null > deps/lib"
        tree = bench.git.tree_of(base_of(bench))
        check = Check(owner="t", run=("sh", "-c", script), timeout=20)
        trial = Trial(run=RUN, trial=1, base=base_of(bench), tree=tree, checks=(check,), key="k")

        got = try_tree(shown, trial, stop=threading.Event())

        assert isinstance(got, Green), got
        assert [name for name, _ in around.made] == ["deps"]


def test_a_setup_that_fails_says_its_last_lines_and_keeps_nothing(tmp_path: Path) -> None:
    """The next run tries again."""
    with bench_at(tmp_path / "repo", files=WITH) as bench:
        with pytest.raises(SetupError, match="no such package"):
            setup(
                bench,
                ("sh", "-c", "mkdir deps; echo 'no such package' >&2; exit 1"),
                keys=(),
                base=base_of(bench),
            )

        assert not (bench.repository.factory / "setup").exists()
