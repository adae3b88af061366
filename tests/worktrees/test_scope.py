"""Scopes: what they allow, when two overlap, what a sandbox must show writable for them."""

from itertools import product
from time import process_time

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from worktrees.globs import BadGlob, covers, glob, meets
from worktrees.scope import Mounts, Scope, ScopeTooWide, allows, faults, widest

NAMES = ("a", "b", "ab", "ba")
SEGMENTS = st.sampled_from(["a", "b", "ab", "*", "**", "a*", "*b", "?", "[ab]", "[!a]", "?[a-b]"])
PATHS = st.lists(st.sampled_from(NAMES), min_size=1, max_size=4).map("/".join)
ALL_PATHS = ["/".join(row) for depth in range(1, 6) for row in product(NAMES, repeat=depth)]


@st.composite
def patterns(draw: st.DrawFn, *, most: int = 3, signs: bool = False) -> str:
    """Draw one pattern that a scope can be made of."""
    sign = draw(st.sampled_from(["", "!"])) if signs else ""
    lead, tail = draw(st.sampled_from(["", "/"])), draw(st.sampled_from(["", "", "/"]))
    text = f"{sign}{lead}{'/'.join(draw(st.lists(SEGMENTS, min_size=1, max_size=most)))}{tail}"
    assume(not faults([text]))
    return text


UNHURRIED = settings(deadline=None)
UNHURRIED_FEW = settings(deadline=None, max_examples=40)
SCOPES = st.lists(patterns(signs=True), max_size=4).map(lambda some: Scope(write=tuple(some)))


def scope(*write: str) -> Scope:
    """Give a scope of these globs."""
    return Scope(write=write)


def writable(mounts: Mounts, path: str) -> bool:
    """Say whether a path is writable once everything is mounted in order."""
    answer = False
    for place, can_write in mounts.ordered():
        if not place or path == place or path.startswith(f"{place}/"):
            answer = can_write
    return answer


@pytest.mark.parametrize(
    ("write", "path", "expected"),
    [
        (("src/api/**",), "src/api/deep/x.py", True),
        (("src/api/**",), "src/api", False),
        (("src/api",), "src/api/x.py", True),
        (("*.py",), "deep/down/x.py", True),
        (("/x.py",), "deep/x.py", False),
        (("**", "!secret/**"), "secret/x", False),
        (("src/", "!src/keep.py"), "src/keep.py", False),
        (("src/**", "!src/gen/**", "src/gen/mine.py"), "src/gen/mine.py", True),
        (("a[!b]c",), "a/c", False),
        (("a?c",), "a/c", False),
        (("Src/**",), "src/x", False),
        ((), "x", False),
    ],
)
def test_the_last_matching_glob_decides(
    write: tuple[str, ...], path: str, *, expected: bool
) -> None:
    """A path is allowed when the last glob that matches it is a positive one."""
    assert scope(*write).allows(path) is expected


@pytest.mark.parametrize(
    "bad", ["", "!", "/", "#x", " x", "./x", "../x", "a//b", "a/../b", "[", "[[:alpha:]]", "x\\",
            "a\nb", "**/", "[+-9]", "a\u202eb"],
)  # fmt: skip
def test_a_glob_that_nobody_can_mean_is_an_error(bad: str) -> None:
    """A scope is never made from a glob that this project would have to guess about."""
    with pytest.raises(BadGlob):
        scope(bad)

    assert len(faults([bad, "src/**"])) == 1


@pytest.mark.parametrize(
    ("one", "two", "expected"),
    [
        (("src/a/**",), ("src/b/**",), False),
        (("src/**",), ("src/a/x.py",), True),
        (("*.py",), ("docs/**",), True),
        (("*.py",), ("docs/*.md",), True),
        (("/docs/*.py",), ("/docs/*.md",), False),
        (("src/*/x.py",), ("src/a/**/x.py",), True),
        (("a/[a-f]*",), ("a/[g-z]*",), False),
        (("a/[!b]",), ("a/b",), False),
        (("**", "!api/**"), ("api/**",), False),
        (("**", "!api/**", "api/x"), ("api/**",), True),
        (("**",), (), False),
        (("src/api/users.py",), ("src/api/users.py",), True),
        (("a/**/b/**/c",), ("**/b/**/b/**",), True),
        (("/a/?/c",), ("/a/bb/**", "/b/**"), False),
        (("*a*b*",), ("*b*a*c",), True),
    ],
)
def test_overlap_needs_no_files(
    one: tuple[str, ...], two: tuple[str, ...], *, expected: bool
) -> None:
    """Two scopes overlap when some path, existing or not, could be in both."""
    assert scope(*one).overlaps(scope(*two)) is expected
    assert scope(*two).overlaps(scope(*one)) is expected


@UNHURRIED
@given(SCOPES, SCOPES, PATHS)
def test_a_path_in_both_scopes_means_overlap(one: Scope, two: Scope, path: str) -> None:
    """Overlap is never denied while a path is in both scopes."""
    if one.allows(path) and two.allows(path):
        assert one.overlaps(two)


@UNHURRIED_FEW
@given(patterns(most=2), patterns(most=2))
def test_overlap_of_positive_globs_is_exact(one: str, two: str) -> None:
    """Two positive globs overlap only when a path that matches both exists."""
    shared = any(allows((one,), path) and allows((two,), path) for path in ALL_PATHS)

    assert scope(one).overlaps(scope(two)) is shared


@UNHURRIED
@given(patterns(), PATHS)
def test_the_algebra_agrees_with_the_matcher(pattern: str, path: str) -> None:
    """A glob and a literal path meet, and the glob covers it, exactly when pathspec matches."""
    row = tuple(path.split("/"))

    assert meets(glob(pattern).segments, row) is allows((pattern,), path)
    assert covers(glob(pattern).segments, row) is allows((pattern,), path)


@UNHURRIED
@given(SCOPES, SCOPES, PATHS)
def test_inside_is_never_claimed_wrongly(inner: Scope, outer: Scope, path: str) -> None:
    """A scope inside another allows nothing that the other does not."""
    if inner.inside(outer) and inner.allows(path):
        assert outer.allows(path)


@pytest.mark.parametrize(
    ("inner", "outer", "expected"),
    [
        (("src/a.py",), ("src/**",), True),
        (("src",), ("src/**",), False),
        (("src/**",), ("**",), True),
        (("src/*.py",), ("src/**",), True),
        (("src/**",), ("src/**", "!src/gen/**"), False),
        (("src/**", "!src/gen/**"), ("src/**", "!src/gen/**"), True),
        (("src/api/**",), ("src/**", "!src/gen/**"), True),
        (("docs/x",), ("src/**",), False),
        (("a/**/b/**/c",), ("**/b",), True),
        (("a/*",), ("/a/*/b",), False),
        (("README.md",), ("**",), True),
        (("*.md", "docs/"), ("**",), True),
        (("README.md",), ("src/**",), False),
        (("README.md",), ("**", "!docs/**"), False),
        ((), ("src/**",), True),
    ],
)
def test_a_jobs_scope_lies_in_its_stations(
    inner: tuple[str, ...], outer: tuple[str, ...], *, expected: bool
) -> None:
    """The usual narrower scopes are known to lie inside the wider one."""
    assert scope(*inner).inside(scope(*outer)) is expected


@UNHURRIED
@given(SCOPES, st.sets(PATHS, max_size=12))
def test_mounts_open_the_scope_and_nothing_else(some: Scope, paths: set[str]) -> None:
    """Every tracked path is writable after mounting exactly when the scope allows it."""
    tracked = {path for path in paths if not any(other.startswith(f"{path}/") for other in paths)}

    mounts = some.mounts(tracked)

    assert {path for path in tracked if writable(mounts, path)} == {
        path for path in tracked if some.allows(path)
    }


def test_the_widest_scope_is_one_mount() -> None:
    """The scope of everything mounts the root of the tree and reads no file list."""
    assert widest().mounts(()) == Mounts(rw=("",))


def test_largest_directories_are_mounted_whole() -> None:
    """A directory wholly inside is one mount, and one that is not there yet is to be made."""
    mounts = scope("src/api/**", "src/new/").mounts(["src/api/deep/x.py", "src/web/y.js"])

    assert mounts.rw == ("src/api", "src/new")
    assert mounts.missing == ("src/new",)
    assert not mounts.covered


def test_what_a_writable_directory_holds_is_not_made() -> None:
    """A new directory below one that is writable anyway is the agent's to make."""
    mounts = scope("src/**", "src/new/deep/").mounts(["src/a.py"])

    assert mounts == Mounts(rw=("src",))


def test_a_single_file_opens_its_parent_and_covers_the_siblings() -> None:
    """A scope of one file mounts the directory around it and closes what else lies there."""
    mounts = scope("/src/a.py").mounts(["src/a.py", "src/b.py", "src/sub/c.py", "docs/d.md"])

    assert mounts.covered == (("src", ("src/b.py", "src/sub")),)
    assert mounts.ordered() == (("src", True), ("src/b.py", False), ("src/sub", False))


def test_a_hole_in_a_directory_is_covered() -> None:
    """A negated glob inside a writable directory is read-only again."""
    mounts = scope("src/**", "!src/gen/**").mounts(["src/a.py", "src/gen/b.py", "src/lib/c.py"])

    assert not writable(mounts, "src/gen/b.py")
    assert writable(mounts, "src/lib/c.py")
    assert writable(mounts, "src/entirely/new.py")


def test_a_new_file_in_a_new_directory_can_be_made() -> None:
    """The directory of a file that does not exist yet is made, its neighbours stay closed."""
    mounts = scope("/src/new/x.py").mounts(["src/a.py"])

    assert mounts.missing == ("src/new",)
    assert writable(mounts, "src/new/x.py")
    assert not writable(mounts, "src/a.py")


def test_a_tracked_file_in_the_way_of_a_scope_directory_is_left_alone() -> None:
    """A scope below what is a file (or a link) in the tree makes no directory and no mount."""
    assert scope("src/api/**").mounts(["src"]) == Mounts()


def test_too_many_siblings_are_refused_with_a_hint() -> None:
    """A file among more neighbours than can be covered is refused, and told how to widen."""
    tracked = [f"src/f{number}.py" for number in range(600)]

    with pytest.raises(ScopeTooWide, match="widen it to whole directories"):
        scope("/src/f1.py").mounts(tracked)

    assert len(scope("/src/f1.py").mounts(tracked[:501]).covered[0][1]) == 500


def test_a_name_at_any_depth_falls_back_to_where_it_exists() -> None:
    """When opening every directory needs too many covers, only those with such files open."""
    tracked = [f"d{number}/x.txt" for number in range(600)] + ["d1/Makefile"]

    mounts = scope("Makefile").mounts(tracked, most=700)

    assert writable(mounts, "d1/Makefile")
    assert not writable(mounts, "d1/x.txt")


def test_overlap_of_many_literal_scopes_is_fast() -> None:
    """A quarter of a million questions about small scopes take seconds at most, not minutes."""
    scopes = [scope(f"src/m{n}/f.py", f"tests/m{n}/**") for n in range(500)]

    start = process_time()
    found = sum(one.overlaps(two) for one in scopes for two in scopes)

    assert found == 500
    assert process_time() - start < 8
