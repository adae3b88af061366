"""Root causes into stations: disjoint, complete, in order, within bounds, the same each time."""

from dataclasses import replace
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as some

from factory.strategy import carving
from factory.strategy.carving import Carved, Need, Terms
from factory.strategy.values import Found
from stations.contract import Budget
from worktrees.scope import Scope

FILES = [f"src/{name}.py" for name in "abcdefgh"]


def found(*paths: str, weight: float = 3.0) -> tuple[Found, ...]:
    """Give files that the same speaks for."""
    return tuple(Found(path=path, weight=weight) for path in paths)


def needs(*wanted: tuple[str, ...]) -> list[Need]:
    """Give root causes that want these files."""
    return [Need(cause=f"rc-{place}", code=found(*paths)) for place, paths in enumerate(wanted, 1)]


def files(carved: Carved) -> dict[str, tuple[str, ...]]:
    """Give who writes what."""
    return {draft.id: draft.files for draft in carved.stations}


@some.composite
def many_needs(draw: some.DrawFn) -> list[Need]:
    """Give any root causes over a few files, with any weights, tests and texts beside them."""
    result = []
    for place in range(draw(some.integers(1, 8))):
        code = draw(some.dictionaries(some.sampled_from(FILES), some.floats(0.1, 9), max_size=6))
        beside = draw(
            some.sets(some.sampled_from(["tests/test_a.py", "tests/test_b.py", "docs/a.md"]))
        )
        result.append(
            Need(
                cause=f"rc-{place}",
                code=tuple(Found(path=path, weight=weight) for path, weight in code.items()),
                beside=found(*sorted(beside), weight=0.5),
            )
        )
    return result


@given(wanted=many_needs(), most=some.integers(1, 6))
@settings(max_examples=40, deadline=None)
def test_stations_are_disjoint_complete_and_in_order(wanted: list[Need], most: int) -> None:
    """No file has two writers, each cause has one home, and what is shared is written before."""
    terms = Terms(most_files=most, taken=frozenset({"a", "shared"}))
    carved = carving.carve(wanted, terms)

    written = [path for draft in carved.stations for path in draft.files]
    assert len(written) == len(set(written))
    homes = [cause for draft in carved.stations for cause in draft.home]
    assert sorted(homes) == sorted(need.cause for need in wanted if need.code or need.beside)
    names = [draft.id for draft in carved.stations]
    assert len(names) == len(set(names))
    assert not {"a", "shared"} & set(names)
    assert sorted(name for wave in carved.waves for name in wave) == sorted(names)
    place = {name: number for number, wave in enumerate(carved.waves) for name in wave}
    for draft in carved.stations:
        assert set(draft.home) <= set(draft.causes)
        assert draft.files
        assert all(place[need] < place[draft.id] for need in draft.depends_on)
    assert carving.carve(wanted, terms) == carved


def test_causes_that_share_a_file_become_one_station() -> None:
    """Two agents are never given one file: their causes are one station's work."""
    carved = carving.carve(needs(("src/a.py",), ("src/a.py", "src/b.py"), ("src/c.py",)), Terms())

    assert files(carved) == {"a": ("src/a.py", "src/b.py"), "c": ("src/c.py",)}
    assert carved.stations[0].home == ("rc-1", "rc-2")
    assert carved.waves == (("a", "c"),)


def test_a_file_that_many_want_is_written_before_them() -> None:
    """The contract between three causes goes to a station of its own, in the first wave."""
    wanted = needs(*((f"src/{name}.py", "src/rules.py") for name in "abc"), ("src/d.py",))

    carved = carving.carve(wanted, Terms())

    assert files(carved)["shared"] == ("src/rules.py",)
    assert carved.waves == (("shared", "d"), ("a", "b", "c"))
    shared = carved.stations[0]
    assert (shared.causes, shared.home) == (("rc-1", "rc-2", "rc-3"), ())
    assert carved.stations[1].depends_on == ("shared",)


def test_a_cause_of_a_contract_alone_is_at_home_in_it() -> None:
    """A cause without a file of its own is cured, and shown cured, where the contract is made."""
    wanted = needs(*((f"src/{name}.py", "src/x.py") for name in "abc"), ("src/x.py",))

    carved = carving.carve(wanted, Terms())

    assert carved.stations[0].home == ("rc-4",)
    assert carved.waves == (("shared",), ("a", "b", "c"))


def test_what_only_a_few_share_with_its_own_cause_is_no_contract() -> None:
    """Two causes that want the one file of a third are its work: no round is lost for them."""
    wanted = needs(("src/a.py", "src/x.py"), ("src/b.py", "src/x.py"), ("src/x.py",))

    carved = carving.carve(wanted, Terms())

    assert carved.waves == (("x",),)
    assert carved.stations[0].home == ("rc-1", "rc-2", "rc-3")


def test_causes_that_want_nothing_but_one_file_are_one_station() -> None:
    """Where nothing else is left, there is nothing to share: it is simply one piece of work."""
    carved = carving.carve(needs(*[("src/x.py",)] * 4), Terms())

    assert files(carved) == {"x": ("src/x.py",)}
    assert carved.stations[0].home == ("rc-1", "rc-2", "rc-3", "rc-4")


def test_contracts_that_are_all_there_is_are_one_station() -> None:
    """Causes that share all they want have nothing to do apart from each other."""
    carved = carving.carve(needs(*[("src/x.py", "src/y.py")] * 3), Terms())

    assert files(carved) == {"x": ("src/x.py", "src/y.py")}
    assert carved.stations[0].home == ("rc-1", "rc-2", "rc-3")


def test_what_would_be_too_broad_is_split_before_anybody_codes() -> None:
    """Two large causes with one file between them stay two stations, and a person is told why."""
    wanted = needs(
        ("src/a.py", "src/b.py", "src/x.py"),
        ("src/c.py", "src/d.py", "src/x.py"),
    )

    carved = carving.carve(wanted, Terms(most_files=4))

    assert carved.waves == (("shared",), ("a", "c"))
    assert "src/x.py is shared by rc-1 and rc-2" in carved.notes[0]


def test_a_station_writes_what_most_speaks_for_and_reads_the_rest() -> None:
    """Of many files the strongest are written, and the cut is said."""
    code = tuple(Found(path=path, weight=9 - place) for place, path in enumerate(FILES))

    carved = carving.carve([Need(cause="rc-1", code=code)], Terms(most_files=3))

    assert carved.stations[0].files == ("src/a.py", "src/b.py", "src/c.py")
    assert "8 files speak for it; the 3" in carved.notes[0]


def test_texts_and_tests_that_several_want_are_written_last() -> None:
    """A page and a test file of two stations come after both, in a station of their own."""
    wanted = [
        replace(need, beside=found("docs/page.md", "tests/test_both.py"))
        for need in needs(("src/a.py",), ("src/b.py",))
    ]

    carved = carving.carve(wanted, Terms())

    assert files(carved)["tests-and-docs"] == ("docs/page.md", "tests/test_both.py")
    assert carved.waves == (("a", "b"), ("tests-and-docs",))


@given(path=some.text(some.characters(codec="utf-8", categories=["L", "N", "P", "S"]), min_size=1))
@settings(max_examples=40, deadline=None)
def test_a_literal_glob_means_its_own_path_alone(path: str) -> None:
    """Whatever a file is called, brackets and stars too, its scope holds it and no neighbour."""
    names = [name for name in path.split("/") if name not in {"", ".", ".."}]
    path = "/".join(names) or "x"

    scope = Scope(write=(carving.literal(path),))

    assert scope.allows(path)
    assert not scope.allows(f"deep/{path}")
    assert not scope.allows(f"{path}x")


@settings(max_examples=25, deadline=None)
@given(
    sizes=some.lists(some.tuples(some.integers(1, 60), some.integers(0, 30)), min_size=1),
    tokens=some.one_of(some.none(), some.integers(100, 10**8)),
    usd=some.one_of(some.none(), some.decimals("0.5", "900", places=2)),
)
def test_allowances_stay_within_the_runs_budget(
    sizes: list[tuple[int, int]], tokens: int | None, usd: Decimal | None
) -> None:
    """Sums and the longest way through the waves are bounded by what the run may spend."""
    terms = Terms(budget=Budget(tokens=tokens, dollars=usd, seconds=900.0), timeout=600.0)

    given_out = carving.allowances(sizes, terms, waves=3)

    assert all(each.seconds is not None and 3 * each.seconds <= 900 for each in given_out)
    if tokens is not None:
        assert sum(each.tokens or 0 for each in given_out) <= tokens
    if usd is not None:
        assert sum(each.usd or Decimal(0) for each in given_out) <= usd
    else:
        assert all(each.usd is None for each in given_out)
