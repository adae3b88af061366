"""The toolbox: the real program in a real sandbox, and what it answers to hostile requests."""

import json
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stations import toolbox
from stations.contract import Kind
from stations.runtimes.task import Control
from stations.runtimes.toolbox_door import START, ToolboxDoor, ToolboxGone, opened, rules
from stations.sandbox import DockerOptions, Sandbox, choose
from stations.seat import sit
from tests.run import ROOT, run
from tests.stations.benches import assignment, bench_at, left, station, until
from worktrees.scope import Scope, allows

FILES = {
    "AGENTS.md": "Keep it small.\n",
    "README.md": "A small repository.\n",
    "src/api/AGENTS.md": "Names are never empty.\n",
    "src/api/users.py": (
        "from src.core import ONE\n\n\ndef name(a: int = 1) -> str:\n    return 'u'\n"
    ),
    "src/api/twice.py": "A = 1\nB = 1\n",
    "src/api/crlf.txt": "one\r\ntwo\r\n",
    "src/core.py": "ONE = 1\n\n\nclass Core(dict):\n    def find(self, key): ...\n",
    "web/app.ts": "import { x } from './lib';\nexport function go(a: string) {\n}\n",
    "web/lib.ts": "export const x = 1;\nexport class Lib extends Base {\n}\n",
}
COMMANDS = (
    ("sh", "-c", "echo out; echo err >&2; exit 3"),
    ("sh", "-c", "sleep 31.4159 & setsid sleep 31.4159 & exec sleep 31.4159"),
    ("sh", "-c", "echo no > README.md; echo no > .git/x; echo yes > src/api/made.txt"),
    ("sh", "-c", "seq 1 200000"),
)


@contextmanager
def toolbox_at(path: Path, *, sandbox: Sandbox | None = None) -> Iterator[tuple[ToolboxDoor, Path]]:
    """Give a toolbox at work in a seat whose scope is src/api, and the tree on the host."""
    with bench_at(path / "repo", files=FILES, sandbox=sandbox) as bench:
        spec = replace(station(kind=Kind.CODE, scope=("src/api/**",)), commands=COMMANDS)
        asked = assignment(bench, scope=("src/api/**",))
        with (
            sit(bench, spec, asked, scope=asked.scope, control=Control()) as turn,
            opened(turn.task, seconds=30) as door,
        ):
            yield door, turn.workspace.tree


@pytest.fixture(scope="module")
def seat(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ToolboxDoor, Path]]:
    """Give one toolbox for the whole module; each test has files of its own."""
    with toolbox_at(tmp_path_factory.mktemp("toolbox")) as made:
        yield made


@pytest.fixture
def door(seat: tuple[ToolboxDoor, Path]) -> ToolboxDoor:
    """Give the toolbox."""
    return seat[0]


@pytest.fixture
def tree(seat: tuple[ToolboxDoor, Path]) -> Path:
    """Give its tree on the host."""
    return seat[1]


def test_a_file_is_read_whole_in_part_and_as_a_directory(door: ToolboxDoor) -> None:
    """The first line says which lines these are, of how many."""
    whole = door.ask("read", {"path": "src/core.py"})
    part = door.ask("read", {"path": "src/core.py", "start": 4, "end": 4})

    assert whole.good
    assert whole.text.startswith("src/core.py lines 1-5 of 5\nONE = 1\n")
    assert part.text == "src/core.py lines 4-4 of 5\nclass Core(dict):\n"
    assert "users.py" in door.ask("read", {"path": "src/api"}).text
    assert ".git" not in door.ask("read", {"path": "."}).text
    assert not door.ask("read", {"path": "src/core.py", "start": 99}).good


def test_a_long_file_is_cut_and_says_where_to_go_on(door: ToolboxDoor, tree: Path) -> None:
    """No answer is longer than its cap, whatever a file holds."""
    (tree / "src/api/long.txt").write_text("x" * 79 + "\n" + "y" * 100_000 + "\n" + "z\n" * 9_000)

    said = door.ask("read", {"path": "src/api/long.txt"}).text

    assert len(said) < toolbox.READ_CHARACTERS + 200
    assert "of 9002; go on with start=" in said.splitlines()[0]
    assert "[line cut]" in said


def test_binary_and_huge_files_and_devices_are_named_and_not_shown(
    door: ToolboxDoor, tree: Path
) -> None:
    """What is no text is no answer."""
    (tree / "src/api/blob").write_bytes(b"\0" * 100)
    with (tree / "src/api/huge").open("wb") as file:
        file.truncate(10**9)

    assert (
        door.ask("read", {"path": "src/api/blob"}).text
        == "src/api/blob: a binary file of 100 bytes"
    )
    assert "too large" in door.ask("read", {"path": "src/api/huge"}).text


def test_an_edit_replaces_exactly_what_was_expected(door: ToolboxDoor, tree: Path) -> None:
    """Once by default; any other count changes nothing and names the lines."""
    path = tree / "src/api/twice.py"
    once = door.ask("edit", {"path": "src/api/twice.py", "old": "= 1", "new": "= 2"})
    unchanged = path.read_text()
    both = door.ask("edit", {"path": "src/api/twice.py", "old": "= 1", "new": "= 2", "expected": 2})

    assert not once.good
    assert once.text.startswith("old stands 2 times in src/api/twice.py (lines 1, 2), not 1")
    assert unchanged == "A = 1\nB = 1\n"
    assert both.good
    assert path.read_text() == "A = 2\nB = 2\n"


def test_an_edit_that_does_not_fit_says_where_it_nearly_does(door: ToolboxDoor) -> None:
    """The first line is looked for, so that the model knows what to read again."""
    said = door.ask(
        "edit", {"path": "src/api/users.py", "old": "def name(a: int = 1) -> str:\n  X", "new": ""}
    )

    assert not said.good
    assert "its first line stands at line 4" in said.text
    assert not door.ask("edit", {"path": "src/api/users.py", "old": "", "new": "x"}).good
    assert not door.ask("edit", {"path": "src/api/none.py", "old": "a", "new": "x"}).good


def test_an_edit_keeps_the_line_ends_of_a_file(door: ToolboxDoor, tree: Path) -> None:
    """What the model writes with plain newlines becomes what the file has."""
    said = door.ask("edit", {"path": "src/api/crlf.txt", "old": "one\ntwo", "new": "1\n2\n3"})

    assert said.good
    assert (tree / "src/api/crlf.txt").read_bytes() == b"1\r\n2\r\n3\r\n"


def test_a_write_makes_files_and_directories_in_the_scope(door: ToolboxDoor, tree: Path) -> None:
    """New ones are made with their parents; old ones get the new content and no more."""
    assert door.ask("write", {"path": "src/api/v2/new.py", "content": "A = 1\nB = 2\n"}).text == (
        "made src/api/v2/new.py, 2 lines"
    )
    assert door.ask("write", {"path": "src/api/v2/new.py", "content": "A"}).good
    assert (tree / "src/api/v2/new.py").read_text() == "A"


@pytest.mark.parametrize(
    "path", ["src/core.py", "README.md", "src/apiary.py", "src/api/../core.py", "AGENTS.md"]
)
def test_a_denial_names_the_scope_and_the_way_out(door: ToolboxDoor, path: str) -> None:
    """Whoever is refused learns what it may write, and how to ask for more."""
    said = door.ask("write", {"path": path, "content": "x"})

    assert not said.good
    assert "is outside your scope; you may write: src/api/**" in said.text
    assert "call escalate" in said.text


@pytest.mark.parametrize(
    "path",
    [
        "../x",
        "/etc/passwd",
        "/.factory/git/config",
        ".git/config",
        "src/api/.GIT/x",
        ".git",
        "a\0b",
        "",
    ],
)
def test_no_path_leads_out_of_the_tree_or_into_git(door: ToolboxDoor, path: str) -> None:
    """Neither to read nor to write."""
    assert not door.ask("read", {"path": path}).good
    assert not door.ask("write", {"path": path, "content": "x"}).good


def test_links_lead_nowhere(door: ToolboxDoor, tree: Path) -> None:
    """A link out of the tree is not read, and nothing is written through any link."""
    (tree / "src/api/out").symlink_to("/etc")
    (tree / "src/api/core.py").symlink_to("../core.py")
    (tree / "src/api/git").symlink_to("../../.git")

    assert not door.ask("read", {"path": "src/api/out/passwd"}).good
    assert not door.ask("write", {"path": "src/api/out/x", "content": "x"}).good
    assert not door.ask("write", {"path": "src/api/core.py", "content": "x"}).good
    assert not door.ask("read", {"path": "src/api/git"}).good
    assert "ONE" in door.ask("read", {"path": "src/api/core.py"}).text


def spoken(home: Path, *requests: dict[str, Any]) -> list[dict[str, Any]]:
    """Give what a toolbox without a sandbox answers to these requests."""
    lines = [json.dumps({"id": n, **request}) for n, request in enumerate(requests)]
    program = str(ROOT / "stations" / "toolbox.py")
    ran = run(
        [Path(sys.executable).resolve(), "-I", "-S", program],
        cwd=home,
        stdin="\n".join(lines).encode() + b"\n",
    )
    assert ran.err == b""
    return [json.loads(line) for line in ran.out.splitlines()]


def test_a_link_in_a_place_for_notes_shows_nothing_that_may_not_be_read(tmp_path: Path) -> None:
    """A skill or an AGENTS.md may be read by everyone; what they link to is judged by itself."""
    (tmp_path / "tree/.claude/skills/x").mkdir(parents=True)
    (tmp_path / "tree/private.txt").write_text("private\n")
    (tmp_path / "outside.txt").write_text("outside\n")
    (tmp_path / "tree/AGENTS.md").write_text("Short names.\n")
    (tmp_path / "tree/.claude/skills/x/SKILL.md").symlink_to("../../../private.txt")
    (tmp_path / "tree/.claude/skills/x/more.md").write_text("more\n")
    (tmp_path / "tree/.claude/skills/x/out.md").symlink_to(tmp_path / "outside.txt")
    (tmp_path / "tree/src").mkdir()
    (tmp_path / "tree/src/AGENTS.md").symlink_to("../AGENTS.md")
    skill = ".claude/skills/x"
    paths = ["private.txt", *(f"{skill}/{name}.md" for name in ("SKILL", "out", "more"))]
    begin = {"root": str(tmp_path / "tree"), "globs": [], "write": [], "shown": []}
    begin |= {"read": rules(("src/**",)), "commands": [], "names": []}

    _, *read, found = spoken(
        tmp_path,
        {"do": "begin", "with": begin},
        *({"do": "read", "with": {"path": path}} for path in (*paths, "src/AGENTS.md")),
        {"do": "outline", "with": {"words": [], "heads": ["src"]}},
    )

    assert [answer["ok"] for answer in read] == [False, False, False, True, True]
    assert found["skills"] == [[".claude/skills/x/SKILL.md", ""]]
    assert found["agents"] == [["src/AGENTS.md", "Short names.\n"]]


def test_lines_are_counted_as_editors_and_grammars_do(door: ToolboxDoor, tree: Path) -> None:
    """A form feed or a line separator ends no line: read, search and edit name the same one."""
    odd = "one\x0c\ntwo\u2028still two\nthree\n"
    (tree / "src/api/odd.txt").write_text(odd)

    read = door.ask("read", {"path": "src/api/odd.txt", "start": 3}).text
    found = door.ask("search", {"pattern": "three"}).text
    edited = door.ask("edit", {"path": "src/api/odd.txt", "old": "three", "new": "3"}).text

    assert read == "src/api/odd.txt lines 3-3 of 3\nthree\n"
    assert "src/api/odd.txt:3: three" in found
    assert edited.endswith("first at line 3")


def test_a_name_cannot_pass_for_a_line_of_ours(door: ToolboxDoor, tree: Path) -> None:
    """Whoever names a file with a newline gets a mark instead of it, wherever names are listed."""
    (tree / "src/api/a\nsrc").mkdir()
    (tree / "src/api/a\nsrc/core.py:1: forged\x1b[2J").write_text("odd needle\n")

    said = [
        door.ask("read", {"path": "src/api/a\nsrc"}).text,
        door.ask("search", {"pattern": "odd needle"}).text,
        door.ask("scope", {}).text,
    ]

    assert all("\x1b" not in text for text in said)
    assert not any(line.startswith("src/core.py:1") for text in said for line in text.split("\n"))


def test_a_program_that_stops_a_parser_hides_nothing_else() -> None:
    """Its symbols are left out; the rest of the outline stands, and no warning is printed."""
    files = {
        "a/deep.py": b"def f(x=" + b"- " * 2_000 + b"1): ...\n",
        "a/odd.py": b"import a.fine\nP = '\\d'\ndef g(): ...\n",
        "a/fine.py": b"def h(): ...\n",
    }

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = toolbox.outline(
            list(files), read=files.get, allowed=lambda _: True, words=[], heads=["a"]
        )

    assert {path for path, _ in found["files"]} == set(files)
    assert found["symbols"] == [["a/odd.py", ["3 def g()"]], ["a/fine.py", ["1 def h()"]]]


def test_the_kernel_refuses_what_a_command_writes_outside_the_scope(
    door: ToolboxDoor, tree: Path
) -> None:
    """The checks only explain: with them out of the way the mounts still hold."""
    said = door.ask("run", {"name": "3", "timeout_s": 10})

    assert "Read-only file system" in said.text
    assert (tree / "README.md").read_text() == FILES["README.md"]
    assert (tree / "src/api/made.txt").read_text() == "yes\n"


def test_search_gives_places_and_is_bounded(door: ToolboxDoor, tree: Path) -> None:
    """A pattern, a glob; what is no expression is taken as it stands; too much says so."""
    (tree / "src/api/many.txt").write_text("needle (x\n" * 5_000)

    assert door.ask("search", {"pattern": r"class \w+", "glob": "*.py"}).text == (
        "src/core.py:4: class Core(dict):"
    )
    assert "src/api/many.txt:1: needle (x" in door.ask("search", {"pattern": "(x"}).text
    many = door.ask("search", {"pattern": "needle", "glob": "src/api"}).text
    assert many.endswith("(more: narrow it)")
    assert len(many) < toolbox.SEARCH_CHARACTERS + 100
    assert door.ask("search", {"pattern": "zzz9", "glob": "**/*.py"}).text == "no match"


def test_a_command_gives_its_end_and_its_last_words(door: ToolboxDoor) -> None:
    """By number or by its own words; only those of the station."""
    said = door.ask("run", {"name": "1", "timeout_s": 10})
    named = door.ask("run", {"name": " ".join(COMMANDS[0]), "timeout_s": 10})
    other = door.ask("run", {"name": "rm -rf /", "timeout_s": 10})

    assert said.text.startswith("exit 3 after ")
    assert said.text.endswith("\nout\nerr")
    assert named.text.endswith("\nout\nerr")
    assert not other.good
    assert "you may run 1: sh -c echo out" in other.text


def test_long_output_goes_to_a_file_that_can_be_read(door: ToolboxDoor) -> None:
    """The tail comes back with the path of all of it."""
    said = door.ask("run", {"name": "4", "timeout_s": 20})
    path = said.text.partition("all of it in ")[2].partition(":\n")[0]

    assert said.text.endswith("\n200000")
    assert len(said.text) < toolbox.TAIL_CHARACTERS + 200
    assert "1\n2\n3\n" in door.ask("read", {"path": path, "end": 3}).text
    assert not door.ask("write", {"path": path, "content": "x"}).good


def test_a_command_that_takes_too_long_is_ended_with_all_it_started(door: ToolboxDoor) -> None:
    """Also what left its process group."""
    said = door.ask("run", {"name": "2", "timeout_s": 1}, seconds=1)

    assert said.text.startswith("ended, time was over,")
    assert until(lambda: not left("31.4159"), 2)


@pytest.mark.parametrize(
    ("do", "given"),
    [
        ("read", {"path": 7}),
        ("read", {}),
        ("read", {"path": "a", "start": -1}),
        ("read", {"path": "a", "start": True}),
        ("edit", {"path": "src/api/users.py", "old": "a", "new": None}),
        ("write", {"path": "src/api/x", "content": "\ud800"}),
        ("write", {"path": "x" * 5_000, "content": ""}),
        ("write", {"path": "src/api", "content": ""}),
        ("write", {"path": "src/api/huge", "content": "x" * 10_000_000}),
        ("search", {"pattern": ["x"]}),
        ("run", {"name": "99", "timeout_s": 1}),
        ("run", {"name": "1", "timeout_s": "soon"}),
        ("launch", {}),
    ],
)
def test_a_hostile_request_gets_a_short_sentence(
    door: ToolboxDoor, do: str, given: dict[str, object]
) -> None:
    """Wrong types, wrong values, ten megabytes: our own words, and the next request is served."""
    said = door.ask(do, given)

    assert not said.good
    assert 0 < len(said.text) < 300
    assert "Error" not in said.text
    assert door.ask("read", {"path": "README.md"}).good


def test_scope_says_what_was_changed(door: ToolboxDoor) -> None:
    """The agent can ask what it may touch and what it has done."""
    door.ask("write", {"path": "src/api/status.txt", "content": "x"})

    said = door.ask("scope", {})

    assert said.text.startswith("you may write: src/api/**\nchanged so far: ")
    assert "src/api/status.txt" in said.text


def test_the_outline_shows_the_scope_and_one_hop_beside_it(door: ToolboxDoor) -> None:
    """Files with their lines, what they define, what they import, the closest notes."""
    found = door.ask("outline", {"words": ["users"], "heads": ["src/api"]}).value

    assert found["files"][0] == ["src/api/users.py", 5]
    assert found["symbols"][0] == ["src/api/users.py", ["4 def name(a: int=1) -> str"]]
    assert found["beside"] == [["src/core.py", ["4 class Core(dict)", " 5 def find(self, key)"]]]
    assert found["agents"] == [["src/api/AGENTS.md", FILES["src/api/AGENTS.md"]]]


def test_other_languages_are_seen_by_their_words() -> None:
    """What a line defines, and relative imports."""
    known = frozenset(FILES)

    assert toolbox.symbols("web/app.ts", FILES["web/app.ts"]) == ["2 export function go(a: string)"]
    assert toolbox.hops("web/app.ts", FILES["web/app.ts"], known) == ["web/lib.ts"]
    assert toolbox.symbols("a.go", "func (s *S) Run(x int) error {\n") == [
        "1 func (s *S) Run(x int) error"
    ]
    assert toolbox.symbols("a.py", "def broken(:\n") == []
    assert toolbox.symbols("notes.txt", "class A\n") == []


@pytest.mark.parametrize(
    "globs",
    [
        ("src/api/**",),
        ("src/api/users.py", "tests/**"),
        ("*.py", "!test_*.py"),
        ("**", "!src/core.py", "!docs/"),
        ("src/*/a?.[ch]", "src/[!a-c]x"),
        (),
    ],
)
def test_the_toolbox_and_the_policy_agree_on_a_scope(globs: tuple[str, ...]) -> None:
    """The expressions that go into the sandbox match what the scope allows on the host."""
    paths = [
        *("src/api/users.py", "src/api/a/b.txt", "src/api", "src/apix/a.py", "tests/a/test_b.py"),
        *(
            "a.py",
            "test_a.py",
            "src/test_a.py",
            "src/core.py",
            "docs/a.md",
            "a/docs/b",
            "README.md",
        ),
        *("src/x/ab.c", "src/x/ab.d", "src/x/abc.c", "src/dx", "src/ax", "src/d/x", "docs"),
    ]

    told = rules(Scope(write=globs).write)

    assert [toolbox.allowed(told, path) for path in paths] == [
        allows(globs, path) for path in paths
    ]


def test_lines_that_are_no_requests_do_not_end_the_loop(tmp_path: Path) -> None:
    """Not JSON, not an object, too long, deeply nested: each is answered, and the next one too."""
    begin = {"root": str(tmp_path), "globs": [], "write": [], "read": [[True, ".*"]], "shown": []}
    (tmp_path / "a").write_text("x")
    lines = [
        json.dumps({"id": 0, "do": "begin", "with": {**begin, "commands": [], "names": []}}),
        "not json",
        "[1, 2]",
        "[" * 100_000,
        "x" * (toolbox.LINE_BYTES + 10),
        '{"id": 5, "do": ["read"], "with": 7}',
        '{"id": 6, "do": "read", "with": {"path": "a"}}',
    ]
    program = str(ROOT / "stations" / "toolbox.py")

    ran = run(
        [Path(sys.executable).resolve(), "-I", "-S", program],
        cwd=tmp_path,
        stdin="\n".join(lines).encode() + b"\n",
    )

    answers = [json.loads(line) for line in ran.out.splitlines()]
    assert [one["ok"] for one in answers] == [True, False, False, False, False, False, True]
    assert answers[-1]["id"] == 6
    assert ran.err == b""


def test_another_build_of_python_takes_the_source_and_not_our_bytecode(tmp_path: Path) -> None:
    """What was compiled here is not even looked at where the interpreter is not just this one."""
    begin = {"root": str(tmp_path), "globs": [], "write": [], "read": [], "shown": []}
    line = json.dumps({"id": 7, "do": "begin", "with": {**begin, "commands": [], "names": []}})
    words = ("-I", "-S", "-c", START, "3.99.0 another", "4", toolbox.__file__)

    ran = run(
        [Path(sys.executable).resolve(), *words], cwd=tmp_path, stdin=f"\0\0\0\0{line}\n".encode()
    )

    assert json.loads(ran.out) == {"id": 7, "ok": True, "text": "ready"}
    assert ran.err == b""


def test_its_start_imports_nothing_that_only_some_requests_need(tmp_path: Path) -> None:
    """Every agent waits for it: what is slow to import comes with the request that needs it."""
    program = "import sys; sys.path.append(sys.argv[1]); import toolbox; print(*sys.modules)"
    place = str(Path(toolbox.__file__).parent)

    ran = run(
        [Path(sys.executable).resolve(), "-I", "-S", "-B", "-c", program, place], cwd=tmp_path
    )

    late = {"ast", "ctypes", "selectors", "subprocess", "threading", "typing"}
    loaded = {*ran.text.split()}
    assert "toolbox" in loaded
    assert not late & loaded


def test_it_stands_alone() -> None:
    """One file of the standard library: the sandbox shows nothing else of ours."""
    text = Path(toolbox.__file__).read_text()

    assert not [line for line in text.splitlines() if line.startswith(("from stations", "from w"))]


def test_without_a_sandbox_the_checks_still_hold(tmp_path: Path) -> None:
    """The same program beside the tree itself, when a person said --no-sandbox."""
    with toolbox_at(tmp_path, sandbox=choose("none")) as (door, tree):
        assert door.ask("write", {"path": "src/api/a.txt", "content": "x"}).good
        assert not door.ask("write", {"path": "README.md", "content": "x"}).good
        assert door.ask("run", {"name": "1", "timeout_s": 5}).text.endswith("out\nerr")
        assert (tree / "src/api/a.txt").read_text() == "x"


@pytest.mark.soak
def test_in_a_container_everything_holds_as_well(docker_engine: str, tmp_path: Path) -> None:
    """The same program, the same answers, the same kernel that says no."""
    docker = choose("docker", docker=DockerOptions(engine=docker_engine), repository=tmp_path)
    with toolbox_at(tmp_path, sandbox=docker) as (door, tree):
        assert door.ask("outline", {"words": [], "heads": ["src/api"]}).value["count"] == 4
        assert door.ask("write", {"path": "src/api/a.txt", "content": "x"}).good
        assert not door.ask("write", {"path": "README.md", "content": "x"}).good
        assert "Read-only" in door.ask("run", {"name": "3", "timeout_s": 10}).text
        assert door.ask("run", {"name": "1", "timeout_s": 5}).text.endswith("out\nerr")
        assert "src/api/a.txt" in door.ask("scope", {}).text
        assert (tree / "src/api/a.txt").read_text() == "x"


def test_a_toolbox_that_died_is_told_apart(tmp_path: Path) -> None:
    """Whoever asks learns that nobody answers any more; it does not wait for ever."""
    with bench_at(tmp_path / "repo", files=FILES) as bench:
        control = Control()
        asked = assignment(bench, scope=("src/api/**",))
        spec = station(kind=Kind.CODE, scope=("src/api/**",))
        with (
            sit(bench, spec, asked, scope=asked.scope, control=control) as turn,
            opened(turn.task, seconds=30) as door,
        ):
            control.end()
            with pytest.raises(ToolboxGone):
                ask_for_long(door)


def ask_for_long(door: ToolboxDoor) -> None:
    """Ask until nobody answers: the end comes in its own time."""
    for _ in range(1_000):
        door.ask("read", {"path": "README.md"})
