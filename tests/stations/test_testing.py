"""Trees and verdicts: what is merged, made, materialised and tested is exactly what would land."""

import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from stations import testing
from stations.bench import Bench, rooms_of
from stations.box import SandboxError
from stations.contract import (
    Argv,
    Branch,
    Check,
    Compose,
    Composed,
    Green,
    Kind,
    Lost,
    Red,
    StationSpec,
    Trial,
    Verdict,
)
from stations.tools import Surroundings
from stations.trees import materialise
from tests.conftest import commit_files, make_repository
from tests.run import run
from tests.stations.benches import PATH, RUN, base_of, bench_at
from tests.stations.boxes import OnImage
from worktrees.names import JobId, Oid, RunId, StationName
from worktrees.scope import Scope


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """Give a bench on the small repository."""
    with bench_at(tmp_path / "repo") as made:
        yield made


def suite(
    *words: str, name: str = "tests", when: tuple[str, ...] = (), required: bool = True
) -> StationSpec:
    """Give a test station."""
    return StationSpec(
        name=StationName(name),
        kind=Kind.TEST,
        scope=Scope(),
        run=words,
        when=when,
        required=required,
    )


def maker(script: str, scope: tuple[str, ...], when: tuple[str, ...] = ()) -> StationSpec:
    """Give a station that makes files on the merged tree."""
    return StationSpec(
        name=StationName("codegen"),
        kind=Kind.COMMAND,
        scope=Scope(write=scope),
        run=("sh", "-c", script),
        at_merge=True,
        when=when,
    )


def on_forge(name: str) -> StationSpec:
    """Give a test station whose verdict is the forge's."""
    return replace(suite(name=name), checks=(f"ci / {name}",))


def branch(bench: Bench, job: str, files: dict[str, str | bytes | None], *accept: Argv) -> Branch:
    """Give durable work of a job."""
    commit = commit_files(bench.repository, base_of(bench), files)
    return Branch(job=JobId(job), commit=commit, accept=accept)


def composed(bench: Bench, specs: Sequence[StationSpec], *branches: Branch) -> Composed:
    """Compose branches on main."""
    task = Compose(run=RUN, trial=1, base=base_of(bench), branches=branches, line="h")
    return testing.Testing(bench=bench, specs=tuple(specs)).compose(task)


def verdict(
    bench: Bench, tree: Oid, *checks: Check, stop: threading.Event | None = None
) -> Verdict:
    """Try checks on a tree."""
    task = Trial(run=RUN, trial=1, base=base_of(bench), tree=tree, checks=checks, key="k")
    return testing.Testing(bench=bench, specs=()).try_tree(task, stop)


def check(*words: str, required: bool = True, timeout: float = 30.0) -> Check:
    """Give a check."""
    return Check(owner="tests", run=words, required=required, timeout=timeout)


def tree_of_main(bench: Bench) -> Oid:
    """Give the tree of main."""
    return bench.git.tree_of(base_of(bench))


def test_branches_are_merged_and_their_checks_chosen(bench: Bench) -> None:
    """The tree holds both changes; stations whose `when` matches and acceptance commands count."""
    specs = [
        suite("true", name="all"),
        suite("true", name="api", when=("src/api/**",)),
        suite("true", name="docs", when=("docs/**",)),
        suite("true", name="lint", required=False),
    ]

    made = composed(
        bench,
        specs,
        branch(bench, "one", {"src/api/one.py": "1\n"}, ("sh", "-c", "true")),
        branch(bench, "two", {"two.py": "2\n"}),
    )

    assert made.tree is not None
    names = bench.git("ls-tree", "-r", "--name-only", made.tree).text.splitlines()
    assert {"src/api/one.py", "two.py"} <= set(names)
    assert [one.owner for one in made.commands] == ["all", "api", "accept:one", "lint"]
    assert made.fault == ""


def test_the_key_changes_with_whatever_decides_a_verdict(bench: Bench) -> None:
    """Other commands, surroundings or programs are another key; the same are the same."""
    work = branch(bench, "one", {"one.py": "1\n"})
    first = composed(bench, [suite("true")], work).key

    assert composed(bench, [suite("true")], work).key == first
    assert composed(bench, [suite("false")], work).key != first
    other = replace(bench, surroundings=Surroundings(path=PATH, scratch=("build",)))
    assert composed(other, [suite("true")], work).key != first
    runs = (bench.run, RunId("another"))
    alone = [replace(bench, anew=True, run=run) for run in runs]
    assert len({first, *(composed(each, [suite("true")], work).key for each in alone)}) == 3
    on_image = replace(bench, sandbox=OnImage(image="one"))
    assert composed(on_image, [suite("true")], work).key != first


def test_a_clash_is_named_and_the_rest_goes_on(bench: Bench) -> None:
    """A mate's conflict names job and path, its acceptance commands do not count."""
    made = composed(
        bench,
        [],
        branch(bench, "one", {"src/core.py": "ONE = 11\n"}),
        branch(bench, "two", {"src/core.py": "ONE = 12\n"}, ("false",)),
        branch(bench, "three", {"three.py": "3\n"}),
    )

    assert made.mate_clash == {"two": ("src/core.py",)}
    assert made.commands == ()
    assert made.tree is not None


def test_nothing_left_to_merge_gives_no_tree(bench: Bench) -> None:
    """A branch that conflicts with the base itself leaves no tree and no fault."""
    newer = commit_files(bench.repository, base_of(bench), {"src/core.py": "ONE = 9\n"})
    old = branch(bench, "one", {"src/core.py": "ONE = 8\n"})
    run(["git", "update-ref", "refs/heads/main", newer], cwd=bench.checkout)

    made = composed(bench, [], old)

    assert made.tree is None
    assert made.fault == ""
    assert made.base_clash == {"one": ("src/core.py",)}


def test_generated_files_are_made_on_the_merged_tree(bench: Bench) -> None:
    """What the branches brought at such a path is dropped, the maker sees both branches."""
    codegen = maker("mkdir -p gen; cat src/*.txt > gen/all.txt", ("gen/**",), ("src/**",))
    one = branch(bench, "one", {"src/1.txt": "1\n", "gen/all.txt": "by hand 1\n"})
    two = branch(bench, "two", {"src/2.txt": "2\n", "gen/all.txt": "by hand 2\n"})

    made = composed(bench, [codegen], one, two)

    assert made.tree is not None
    assert bench.git("cat-file", "blob", f"{made.tree}:gen/all.txt").out == b"1\n2\n"
    assert bench.git("for-each-ref", "refs/factory/made").out == b""


@pytest.mark.parametrize(
    ("script", "said"),
    [("echo broken >&2; exit 1", "broken"), ("ln -s / gen/link", "symbolic link")],
)
def test_a_maker_that_fails_blames_the_branches(bench: Bench, script: str, said: str) -> None:
    """A failing or refused maker gives no tree and says why."""
    made = composed(bench, [maker(script, ("gen/**",))], branch(bench, "one", {"src/1.txt": "1\n"}))

    assert made.tree is None
    assert made.blame == "branches"
    assert said in made.fault


def test_a_maker_cannot_write_outside_its_scope(bench: Bench) -> None:
    """Its sandbox shows the rest of the tree read-only."""
    made = composed(
        bench,
        [maker("echo x > src/core.py; echo y > gen/y; true", ("gen/**",))],
        branch(bench, "one", {"src/1.txt": "1\n"}),
    )

    assert made.tree is not None
    assert b"ONE = 1" in bench.git("cat-file", "blob", f"{made.tree}:src/core.py").out


def test_a_tree_that_passes_everything_is_green(bench: Bench) -> None:
    """Green is about exactly the tree that was asked about."""
    tree = tree_of_main(bench)

    got = verdict(bench, tree, check("grep", "-q", "ONE", "src/core.py"), check("true"))

    assert isinstance(got, Green)
    assert (got.tree, got.key) == (tree, "k")
    assert list(rooms_of(bench.repository, RUN).iterdir()) == []


def test_the_first_required_red_ends_a_trial_and_an_optional_one_informs(bench: Bench) -> None:
    """The tail is the failing command's; an optional failure is a note."""
    optional = check("sh", "-c", "echo optional; exit 1", required=False)
    red = check("sh", "-c", "echo first words; echo 'E  boom \x1b[31m' >&2; exit 1")

    noted = verdict(bench, tree_of_main(bench), optional)
    failed = verdict(bench, tree_of_main(bench), red, check("sh", "-c", "exit 9"))

    assert isinstance(noted, Green)
    assert "optional" in noted.notes[0]
    assert isinstance(failed, Red)
    assert "E  boom" in failed.tail
    assert "\x1b" not in failed.tail


def test_a_check_that_hangs_is_red_in_time(bench: Bench) -> None:
    """Its time limit ends it and the tail says so."""
    began = time.monotonic()

    got = verdict(bench, tree_of_main(bench), check("sleep", "60", timeout=0.5))

    assert isinstance(got, Red)
    assert "ended after 0.5 s" in got.tail
    assert time.monotonic() - began < 4


def test_a_cancelled_trial_is_lost_at_once(bench: Bench) -> None:
    """No verdict is made from a check that was ended."""
    stop = threading.Event()
    threading.Timer(0.4, stop.set).start()
    began = time.monotonic()

    got = verdict(bench, tree_of_main(bench), check("sleep", "60"), stop=stop)

    assert isinstance(got, Lost)
    assert time.monotonic() - began < 3


def test_a_missing_program_is_lost_and_not_red(bench: Bench) -> None:
    """The machine is at fault, and the sentence says what is missing."""
    got = verdict(bench, tree_of_main(bench), check("no-such-runner"))

    assert isinstance(got, Lost)
    assert "no-such-runner: not found" in got.why


def test_checks_cannot_reach_each_other_or_the_host(bench: Bench) -> None:
    """What one check writes into the tree the next one does not see, and neither does the host."""
    vandal = check("sh", "-c", "echo x > src/core.py; echo x > new; git commit -qam x; git tag x")
    honest = check(
        "sh", "-c", "grep -q 'ONE = 1' src/core.py && test ! -e new && ! git tag | grep x"
    )

    got = verdict(bench, tree_of_main(bench), vandal, honest)

    assert isinstance(got, Green), got
    assert run(["git", "tag"], cwd=bench.checkout).text == ""


def test_git_in_a_check_sees_the_candidate_and_the_tags(bench: Bench) -> None:
    """Builds that ask git for a version get one, and the tree is clean."""
    run(["git", "tag", "v1.2"], cwd=bench.checkout)

    got = verdict(
        bench,
        tree_of_main(bench),
        check("sh", "-ec", 'git describe --tags | grep ^v1.2-1-g; test -z "$(git status -s)"'),
    )

    assert isinstance(got, Green), got


def test_what_export_rules_would_hide_is_there(tmp_path: Path) -> None:
    """Attributes of the tree neither remove nor convert a file on its way to the tests."""
    files = {
        ".gitattributes": "hidden.txt export-ignore\n*.crlf eol=crlf\nsubst.txt export-subst\n",
        "hidden.txt": "here\n",
        "a.crlf": "one\r\n",
        "subst.txt": "$Format:%H$\n",
    }
    with bench_at(tmp_path / "repo", files=files) as bench, bench.room("look") as room:
        found = materialise(bench, tree_of_main(bench), room=room)

        assert (found / "hidden.txt").read_text() == "here\n"
        assert (found / "subst.txt").read_text() == "$Format:%H$\n"


def test_a_tree_that_cannot_be_proved_is_not_tested(bench: Bench) -> None:
    """An id that is no tree stops before any check runs."""
    wrong = Oid("0" * 40)

    with bench.room("look") as room, pytest.raises(SandboxError, match="exactly"):
        materialise(bench, wrong, room=room)


SUITE = """
import getpass, os, pathlib, socket, ssl, subprocess
import pytest
import demo

def test_imports_mean_this_tree():
    assert demo.VALUE == "fresh"
    assert pathlib.Path(demo.__file__).parent == pathlib.Path.cwd() / "src" / "demo"

def test_temporary_directory(tmp_path):
    (tmp_path / "x").write_text("x")

def test_git_in_the_tree():
    pathlib.Path("made").write_text("x")
    subprocess.run(["git", "add", "-A"], check=True)
    subprocess.run(["git", "commit", "-qm", "x"], check=True)

def test_git_elsewhere(tmp_path):
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    subprocess.run(["git", "commit", "-q", "--allow-empty", "-m", "x"], cwd=tmp_path, check=True)

def test_loopback():
    with socket.create_server(("localhost", 0)) as server:
        with socket.create_connection(server.getsockname()[:2]):
            pass

def test_tls():
    assert ssl.create_default_context().get_ca_certs() is not None

def test_user_name():
    assert getpass.getuser()

def test_home_is_empty_and_only_the_interpreter_is_shown():
    assert pathlib.Path.home() == pathlib.Path(os.environ["TMPDIR"])
    assert not os.path.isdir(HOME) or os.listdir(HOME) == [pathlib.Path(PREFIX).name]

def test_nothing_else_can_be_written():
    for place in (".venv/x", "/x", "/usr/x", PREFIX + "/x", "/.factory/objects/x"):
        with pytest.raises(OSError):
            open(place, "w")
"""


def test_a_python_suite_runs_on_this_tree_with_the_users_virtual_environment(
    tmp_path: Path,
) -> None:
    """Nine tests pass: an editable install means the candidate, a stale copy is never imported."""
    base = Path(sys.base_prefix)
    libraries = Path(pytest.__file__).parents[1]
    checkout = tmp_path / "repo"
    # An interpreter of the system lies in no home: then the user's own must not be there at all.
    home = Path.home() if base == Path("/usr") else base.parent
    constants = f"HOME = {str(home)!r}\nPREFIX = {str(base)!r}\n"
    make_repository(
        checkout,
        {
            "src/demo/__init__.py": 'VALUE = "old"\n',
            "tests/test_demo.py": constants + SUITE,
            ".gitignore": ".venv\n",
        },
    )
    run([base / "bin/python3", "-m", "venv", "--without-pip", checkout / ".venv"])
    (site,) = (checkout / ".venv/lib").glob("python*/site-packages")
    (site / "editable.pth").write_text(f"{checkout}/src\n{libraries}\n")
    stale = tmp_path / "elsewhere" / "src" / "demo"
    stale.mkdir(parents=True)
    (stale / "__init__.py").write_text('VALUE = "stale"\n')
    (checkout / "src/demo/__init__.py").write_text('VALUE = "stale"\n')  # the user's own edit
    around = Surroundings(share=(".venv",), tools=(libraries,), path=PATH)

    with bench_at(checkout, files=None, surroundings=around) as bench:
        tree = bench.git.tree_of(
            commit_files(
                bench.repository, base_of(bench), {"src/demo/__init__.py": 'VALUE = "fresh"\n'}
            )
        )
        words = ("env", "PYTEST_DISABLE_PLUGIN_AUTOLOAD=1", "python", "-m", "pytest", "-q")
        got = verdict(bench, tree, check(*words, "tests"))
        old = verdict(bench, tree_of_main(bench), check(*words, "-k", "imports", "tests"))

    assert isinstance(got, Green), got
    assert isinstance(old, Red)
    assert "1 failed" in old.tail


def test_the_forge_is_asked_last_and_nothing_of_it_runs_here(bench: Bench) -> None:
    """Checks of this machine come first, and a tree that passes them is green without the forge."""
    specs = [on_forge("far"), suite("true"), suite("true", name="lint", required=False)]

    made = composed(bench, specs, branch(bench, "one", {"x": "x\n"}))
    other = composed(bench, specs[1:], branch(bench, "one", {"x": "x\n"}))

    assert [check.owner for check in made.commands] == ["tests", "lint", "far"]
    assert made.commands[-1].checks == ("ci / far",)
    assert made.key != other.key
    assert made.tree is not None
    task = Trial(
        run=RUN, trial=1, base=base_of(bench), tree=made.tree, checks=made.commands, key=made.key
    )
    assert [check.owner for check in task.outside] == ["far"]
    assert isinstance(testing.try_tree(bench, task, stop=threading.Event()), Green)
