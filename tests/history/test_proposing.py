"""Stations proposed from a past of known structure."""

from collections.abc import Sequence
from itertools import combinations
from random import Random
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factory.history.proposing import Proposal, TooFewPieces, propose
from tests.history.histories import planted
from worktrees.scope import Scope

HOSTILE: Final = (
    *("src/[a]/x.py", "src/a*b/x.py", "src/a*b/?.py", "!top.py", "#top.py", "src/ lead/x.py"),
    *("src/trail /x.py", "src/new\nline/x.py", "src/back\\slash/x.py", 'src/"quoted"/x.py'),
    *("src/\udcff/x.py", "src/\u202eright/x.py", "src/ü/x.py", "a", "**/x.py", "src/**"),
    *("src/trail ", "src/-rf/--force", "src/a]b/x.py", "docs/...", "src/x/.hidden"),
)


def stations(
    groups: Sequence[tuple[str, ...]], tracked: Sequence[str] = (), **more: object
) -> Proposal:
    """Propose stations for groups of files, of which all are tracked."""
    every = sorted({*tracked, *(file for files in groups for file in files)})
    given = {"imports": {}, "owners": lambda _path: ()}
    return propose(groups, every, **(given | more))  # type: ignore[arg-type]


def holders(proposal: Proposal, path: str) -> list[str]:
    """Give the names of the stations that may write a path."""
    return [each.name for each in proposal.stations if Scope(write=each.scope).allows(path)]


def parts(proposal: Proposal) -> set[frozenset[str]]:
    """Give the proposal as sets of files."""
    return {frozenset(each.files) for each in proposal.stations}


@pytest.mark.parametrize("count", [2, 3, 5, 8])
def test_the_planted_parts_are_found_with_their_tests(count: int) -> None:
    """Code that changes apart goes to stations of its own, each with the tests it changes with."""
    found = stations(planted(count, rounds=24))

    for number in range(count):
        code, tests = f"src/app/part{number}/m1.py", f"tests/part{number}/test_m1.py"
        assert holders(found, code) == holders(found, tests) == [f"part{number}"]
    assert len(found.stations) == count


def test_a_scope_names_directories_where_they_are_enough() -> None:
    """A part that fills its directories is said by them, and by no file."""
    found = stations(planted(3, rounds=24))

    globs = [glob for each in found.stations for glob in each.scope]
    assert {"src/app/part1/**", "tests/part1/**"} <= set(globs) | {"**"}
    assert not [glob for glob in globs if glob.endswith(".py")]


def test_a_file_goes_alone_where_its_directory_does_not() -> None:
    """In a directory that two parts share, single files are named."""
    groups = [
        (f"lib/{name}{number % 3}.py", f"t/test_{name}{number % 3}.py", f"lib/{name}.py")
        for number in range(60)
        for name in ("cli", "web")
    ]

    found = stations(groups, sizes=[2])

    for name in ("cli", "web"):
        files = (f"lib/{name}.py", f"lib/{name}1.py", f"t/test_{name}1.py")
        assert len({tuple(holders(found, file)) for file in files}) == 1
    assert holders(found, "lib/cli.py") != holders(found, "lib/web.py")


paths = st.lists(
    st.sampled_from([*"abcd", "tests", "src", "x.py", "y.js", "z", "[", "!", "#"]),
    min_size=1,
    max_size=4,
).map("/".join)


def trees(files: Sequence[str]) -> list[str]:
    """Give the paths that can be files of one tree: none is a directory of another."""
    return [one for one in files if not any(other.startswith(f"{one}/") for other in files)]


@settings(max_examples=30, deadline=None)
@given(
    st.lists(paths | st.sampled_from(HOSTILE), min_size=4, max_size=24, unique=True).map(trees),
    st.data(),
    st.lists(paths, max_size=6),
)
def test_every_path_belongs_to_exactly_one_station(
    files: list[str], data: st.DataObject, later: list[str]
) -> None:
    """Whatever the files are called and however they changed, scopes are disjoint and total."""
    groups = data.draw(
        st.lists(st.lists(st.sampled_from(files), min_size=1, max_size=4), max_size=30)
    )
    past = [tuple(sorted(set(group))) for group in groups]

    try:
        found = stations(past, files)
    except TooFewPieces:
        return

    for path in (*files, *later):
        assert len(holders(found, path)) == 1, (path, found)
    for each in found.stations:
        assert all(holders(found, file) == [each.name] for file in each.files)
    for one, other in combinations(found.stations, 2):
        assert not Scope(write=one.scope).overlaps(Scope(write=other.scope))
    assert sorted(file for each in found.stations for file in each.files) == sorted(files)


def test_the_order_of_files_and_commits_changes_nothing() -> None:
    """The same past gives the same stations, in whatever order it is told."""
    groups = planted(4, rounds=12)
    tracked = sorted({file for files in groups for file in files})
    first = stations(groups, tracked)

    for seed in range(3):
        chance = Random(seed)  # noqa: S311  nothing is kept secret by it
        mixed, shuffled = list(groups), list(tracked)
        chance.shuffle(mixed)
        chance.shuffle(shuffled)
        assert propose(mixed, shuffled, imports={}, owners=lambda _path: ()) == first


def test_another_name_of_a_directory_moves_nothing() -> None:
    """What a part is called does not decide where its files go."""
    groups = planted(4, rounds=12)
    renamed = [tuple(sorted(file.replace("part2", "zebra") for file in files)) for files in groups]

    found = {
        frozenset(file.replace("zebra", "part2") for file in part)
        for part in parts(stations(renamed))
    }

    assert found == parts(stations(groups))


def test_imports_place_what_never_changed_together() -> None:
    """A directory whose changes came alone goes to the station of what imports it."""
    alone = [("lib/helper.py",)] * 6
    groups = [*planted(2, rounds=24), *alone]

    for part in (0, 1):
        importers = {f"src/app/part{part}/m{number}.py": {"lib/helper.py"} for number in range(3)}
        found = stations(groups, imports=importers, sizes=[2])
        assert holders(found, "lib/helper.py") == holders(found, f"src/app/part{part}/m0.py")


def test_owners_place_what_nothing_else_does() -> None:
    """Directories of one team stay together where the past says nothing."""
    groups = [(f"{name}/x.py",) for name in "abcd" for _ in range(12)]
    teams = {"a": "@one", "d": "@one", "b": "@two", "c": "@two"}

    found = stations(groups, sizes=[2], owners=lambda path: (teams[path[0]],))

    assert parts(found) == {
        frozenset({"a/x.py", "d/x.py"}),
        frozenset({"b/x.py", "c/x.py"}),
    }


def test_a_file_that_changes_alone_is_no_station() -> None:
    """A single file goes with a part, although its few changes touch nothing else."""
    found = stations([*planted(2, rounds=30), *[("lone/x.py",)] * 3])

    assert len(found.stations) == 2


def test_stations_have_names_of_their_own() -> None:
    """Names are ids, tell where the changes are, and leave those alone that are taken."""
    groups = [
        (f"pkgs/{team}/src/m{number % 4}.py", f"pkgs/{team}/README.md")
        for number in range(40)
        for team in ("Web UI", "web-ui", "core")
    ]

    found = stations(groups, taken=("core", "inbox"))

    names = [each.name for each in found.stations]
    assert len(set(names)) == len(names)
    assert not {"core", "inbox"} & set(names)
    assert all(name.replace("-", "").isalnum() and name == name.lower() for name in names)


def test_more_stations_than_pieces_are_refused() -> None:
    """A repository of one file has nothing to part."""
    with pytest.raises(TooFewPieces):
        stations([("a.py",)] * 50)


def test_the_number_that_is_asked_for_is_given() -> None:
    """A person's number of stations is kept, also where another one would fit better."""
    assert len(stations(planted(4, rounds=24), sizes=[6]).stations) == 6
